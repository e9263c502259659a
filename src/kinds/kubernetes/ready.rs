//! Whether objects do what they are there for, and how long that may take.

use crate::model::Json;
use crate::model::kind::{Readiness, Since};
use crate::model::state::End;

use super::custom::{application, by_condition, definition, external_secret};
use super::names::{group_of, kind_of};
use super::status::{number, text, waiting};
use super::workloads::{
    daemon_set, deployment, is_complete, is_failed, job, pod, replica_set, stateful_set,
};

/// Whether an object, just read, does what it is there for. Waited for is only what is known to
/// say so: workloads, definitions, namespaces, and the objects of a few well-known operators.
/// Claims are never waited for (their first consumer may be what binds them), nor are Services
/// of type LoadBalancer, Ingresses and custom resources of kinds that nothing is known of (what
/// gives them an address or a status may not be there).
pub fn readiness(object: &Json, since: Option<&Since<'_>>) -> Readiness {
    match (group_of(object), kind_of(object).1) {
        ("apps", "Deployment") => deployment(object),
        ("apps", "StatefulSet") => stateful_set(object),
        ("apps", "DaemonSet") => daemon_set(object),
        ("apps", "ReplicaSet") => replica_set(object),
        ("batch", "Job") => job(object),
        ("", "Pod") => pod(object),
        ("", "Namespace") => match text(object, "/status/phase") {
            "" | "Active" => Readiness::Ready,
            phase => waiting(format!("the namespace is {phase}")),
        },
        ("apiextensions.k8s.io", "CustomResourceDefinition") => definition(object),
        ("apiregistration.k8s.io", "APIService") => {
            by_condition(object, "Available", "the API server")
        }
        ("external-secrets.io", "ExternalSecret") => external_secret(object, since),
        ("external-secrets.io", "SecretStore" | "ClusterSecretStore") => {
            by_condition(object, "Ready", "its operator")
        }
        ("cert-manager.io", "Certificate" | "Issuer" | "ClusterIssuer") => {
            by_condition(object, "Ready", "cert-manager")
        }
        ("argoproj.io", "Application") => application(object),
        _ => Readiness::Ready,
    }
}

/// How an object has run to its end, where it has.
pub fn ended(object: &Json) -> Option<End> {
    let (succeeded, failed) = match (group_of(object), kind_of(object).1) {
        ("batch", "Job") => (is_complete(object), is_failed(object)),
        ("", "Pod") => {
            let phase = text(object, "/status/phase");
            (phase == "Succeeded", phase == "Failed")
        }
        _ => return None,
    };
    failed.then_some(End::Failed).or(succeeded.then_some(End::Succeeded))
}

/// Whether an object that is gone has had its time: a Job whose manifest has it taken away once it
/// has ended, or a Pod that was seen to succeed and is not to be started again. Whether such a Job
/// had succeeded can't be told once it is gone, and making it anew could run it twice; one that was
/// seen to fail is still owed.
pub fn is_spent(manifest: &Json, end: Option<End>) -> bool {
    match (group_of(manifest), kind_of(manifest).1) {
        ("batch", "Job") => {
            let has_limit = number(manifest, "/spec/ttlSecondsAfterFinished").is_some();
            has_limit && end != Some(End::Failed)
        }
        ("", "Pod") => {
            let policy = text(manifest, "/spec/restartPolicy");
            matches!(policy, "Never" | "OnFailure") && end == Some(End::Succeeded)
        }
        _ => false,
    }
}

/// How long an object may take until it is ready, in seconds.
pub fn timeout_s(manifest: &Json) -> u64 {
    let seconds = |pointer: &str| number(manifest, pointer).and_then(|s| u64::try_from(s).ok());
    match kind_of(manifest).1 {
        // The deadline has to have passed before the Deployment says so.
        "Deployment" => seconds("/spec/progressDeadlineSeconds").map_or(300, |s| s.max(300)),
        "Job" => seconds("/spec/activeDeadlineSeconds").map_or(600, |s| s.max(600)),
        "StatefulSet" | "DaemonSet" => 600,
        "CustomResourceDefinition" | "Namespace" | "APIService" => 60,
        "ExternalSecret" | "SecretStore" | "ClusterSecretStore" => 120,
        _ => 300,
    }
}

#[cfg(test)]
#[path = "ready_tests.rs"]
mod tests;
