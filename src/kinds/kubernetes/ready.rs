//! Whether objects do what they are there for, and in which order they are made.

use crate::model::Json;
use crate::model::kind::Readiness;

fn number(object: &Json, pointer: &str) -> Option<i64> {
    object.pointer(pointer).and_then(Json::as_i64)
}

fn text<'a>(object: &'a Json, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Json::as_str).unwrap_or_default()
}

/// Status, reason and message of a condition.
fn condition<'a>(object: &'a Json, kind: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let conditions = object.pointer("/status/conditions")?.as_array()?;
    let found = conditions.iter().find(|c| text(c, "/type") == kind)?;
    Some((text(found, "/status"), text(found, "/reason"), text(found, "/message")))
}

/// `reason: message`, or what there is of it.
fn said(reason: &str, message: &str) -> String {
    match (reason, message) {
        ("", "") => "nothing said yet".to_owned(),
        (one, "") | ("", one) => one.to_owned(),
        (reason, message) => format!("{reason}: {message}"),
    }
}

/// Whether an object, just read, does what it is there for. Claims are never waited for: one may
/// be bound by its first consumer only.
pub fn readiness(object: &Json) -> Readiness {
    let group = text(object, "/apiVersion").split_once('/').map_or("", |(group, _)| group);
    match (group, text(object, "/kind")) {
        ("apps", "Deployment") => deployment(object),
        ("apps", "StatefulSet") => stateful_set(object),
        ("apps", "DaemonSet") => daemon_set(object),
        ("batch", "Job") => job(object),
        ("", "Pod") => pod(object),
        ("", "Namespace") => match text(object, "/status/phase") {
            "" | "Active" => Readiness::Ready,
            phase => Readiness::Waiting(format!("the namespace is {phase}")),
        },
        ("apiextensions.k8s.io", "CustomResourceDefinition") => definition(object),
        ("external-secrets.io", "ExternalSecret" | "SecretStore" | "ClusterSecretStore") => {
            external_secret(object)
        }
        _ => Readiness::Ready,
    }
}

/// Whether the controller has seen what was written last.
fn is_seen(object: &Json) -> bool {
    let generation = number(object, "/metadata/generation").unwrap_or(0);
    number(object, "/status/observedGeneration").unwrap_or(0) >= generation
}

fn unseen() -> Readiness {
    Readiness::Waiting("its controller has not seen it yet".to_owned())
}

fn count(have: i64, want: i64, what: &str) -> Option<Readiness> {
    (have < want).then(|| Readiness::Waiting(format!("{have} of {want} replicas are {what}")))
}

fn deployment(object: &Json) -> Readiness {
    if !is_seen(object) {
        return unseen();
    }
    if let Some((_, "ProgressDeadlineExceeded", message)) = condition(object, "Progressing") {
        return Readiness::Failed(said("ProgressDeadlineExceeded", message));
    }
    if let Some(("True", reason, message)) = condition(object, "ReplicaFailure") {
        return Readiness::Waiting(said(reason, message));
    }
    let want = number(object, "/spec/replicas").unwrap_or(1);
    let updated = number(object, "/status/updatedReplicas").unwrap_or(0);
    let total = number(object, "/status/replicas").unwrap_or(0);
    let available = number(object, "/status/availableReplicas").unwrap_or(0);
    if let Some(waiting) = count(updated, want, "updated") {
        return waiting;
    }
    if total > updated {
        return Readiness::Waiting(format!("{} old replicas have to end", total - updated));
    }
    count(available, want, "available").unwrap_or(Readiness::Ready)
}

fn stateful_set(object: &Json) -> Readiness {
    if !is_seen(object) {
        return unseen();
    }
    let want = number(object, "/spec/replicas").unwrap_or(1);
    let ready = number(object, "/status/readyReplicas").unwrap_or(0);
    if let Some(waiting) = count(ready, want, "ready") {
        return waiting;
    }
    if text(object, "/spec/updateStrategy/type") == "OnDelete" {
        return Readiness::Ready;
    }
    let partition = number(object, "/spec/updateStrategy/rollingUpdate/partition").unwrap_or(0);
    let updated = number(object, "/status/updatedReplicas").unwrap_or(0);
    let revised = text(object, "/status/updateRevision") == text(object, "/status/currentRevision");
    if revised {
        return Readiness::Ready;
    }
    count(updated, (want - partition).max(0), "updated").unwrap_or(Readiness::Ready)
}

fn daemon_set(object: &Json) -> Readiness {
    if !is_seen(object) {
        return unseen();
    }
    let want = number(object, "/status/desiredNumberScheduled").unwrap_or(0);
    let updated = number(object, "/status/updatedNumberScheduled").unwrap_or(0);
    if text(object, "/spec/updateStrategy/type") != "OnDelete"
        && let Some(waiting) = count(updated, want, "updated")
    {
        return waiting;
    }
    let available = number(object, "/status/numberAvailable").unwrap_or(0);
    count(available, want, "available").unwrap_or(Readiness::Ready)
}

fn job(object: &Json) -> Readiness {
    if let Some(("True", reason, message)) = condition(object, "Failed") {
        return Readiness::Failed(said(reason, message));
    }
    if let Some(("True", ..)) = condition(object, "Complete") {
        return Readiness::Ready;
    }
    if object.pointer("/spec/suspend").and_then(Json::as_bool) == Some(true) {
        return Readiness::Ready;
    }
    let done = number(object, "/status/succeeded").unwrap_or(0);
    let want = number(object, "/spec/completions").unwrap_or(1);
    Readiness::Waiting(format!("{done} of {want} completions"))
}

fn pod(object: &Json) -> Readiness {
    match text(object, "/status/phase") {
        "Succeeded" => return Readiness::Ready,
        "Failed" => {
            let (reason, message) =
                (text(object, "/status/reason"), text(object, "/status/message"));
            return Readiness::Failed(said(reason, message));
        }
        _ => {}
    }
    match condition(object, "Ready") {
        Some(("True", ..)) => Readiness::Ready,
        Some((_, reason, message)) => Readiness::Waiting(said(reason, message)),
        None => match condition(object, "PodScheduled") {
            Some(("False", reason, message)) => Readiness::Waiting(said(reason, message)),
            _ => Readiness::Waiting("the pod has not started yet".to_owned()),
        },
    }
}

fn definition(object: &Json) -> Readiness {
    if let Some(("False", reason, message)) = condition(object, "NamesAccepted") {
        return Readiness::Failed(said(reason, message));
    }
    match condition(object, "Established") {
        Some(("True", ..)) => Readiness::Ready,
        Some((_, reason, message)) => Readiness::Waiting(said(reason, message)),
        None => Readiness::Waiting("it is not established yet".to_owned()),
    }
}

fn external_secret(object: &Json) -> Readiness {
    match condition(object, "Ready") {
        Some(("True", ..)) => Readiness::Ready,
        Some((_, reason, message)) => Readiness::Waiting(said(reason, message)),
        None => Readiness::Waiting("its operator has not seen it yet".to_owned()),
    }
}

/// How long an object may take until it is ready, in seconds.
pub fn timeout_s(manifest: &Json) -> u64 {
    match text(manifest, "/kind") {
        "Deployment" => number(manifest, "/spec/progressDeadlineSeconds")
            .and_then(|s| u64::try_from(s).ok())
            .map_or(300, |s| s.max(300)),
        "StatefulSet" | "DaemonSet" | "Job" => 600,
        "CustomResourceDefinition" | "Namespace" => 60,
        "ExternalSecret" | "SecretStore" | "ClusterSecretStore" => 120,
        _ => 300,
    }
}

/// Where an object stands among those that could be made at once: lower first.
pub fn rank(manifest: &Json) -> u32 {
    let group = text(manifest, "/apiVersion").split_once('/').map_or("", |(group, _)| group);
    match (group, text(manifest, "/kind")) {
        ("apiextensions.k8s.io", _) => 10,
        ("", "Namespace") => 20,
        ("scheduling.k8s.io" | "storage.k8s.io" | "node.k8s.io", _) => 30,
        ("", "ConfigMap" | "Secret" | "ResourceQuota" | "LimitRange") => 40,
        ("", "ServiceAccount") => 50,
        ("rbac.authorization.k8s.io", "Role" | "ClusterRole") => 60,
        ("rbac.authorization.k8s.io", _) => 61,
        ("", "PersistentVolume") => 70,
        ("", "PersistentVolumeClaim") => 71,
        ("", "Service") => 80,
        ("external-secrets.io", "SecretStore" | "ClusterSecretStore") => 90,
        ("external-secrets.io" | "bitnami.com" | "cert-manager.io", _) => 91,
        ("apps" | "batch", _) | ("", "Pod") => 110,
        _ => 120,
    }
}

#[cfg(test)]
#[path = "ready_tests.rs"]
mod tests;
