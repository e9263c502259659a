//! Whether workloads run as they are asked to: the rules by which `kubectl rollout status` and
//! `kubectl wait` tell, and what the API documents of each status.

use crate::model::Json;
use crate::model::kind::Readiness;

use super::status::{Condition, is_seen, number, said, text, waiting};

fn unseen() -> Readiness {
    waiting("its controller has not seen it yet")
}

fn count(have: i64, want: i64, what: &str) -> Option<Readiness> {
    (have < want).then(|| waiting(format!("{have} of {want} replicas are {what}")))
}

fn failure(object: &Json) -> Option<Readiness> {
    let failure = Condition::of(object, "ReplicaFailure").filter(|failure| failure.is("True"))?;
    Some(waiting(failure.said()))
}

/// A Deployment is ready when all replicas are of the new template and available (for
/// `minReadySeconds`), and none of an older one is left. A paused one makes none by its own wish.
pub(super) fn deployment(object: &Json) -> Readiness {
    if !is_seen(object) {
        return unseen();
    }
    if object.pointer("/spec/paused").and_then(Json::as_bool) == Some(true) {
        return Readiness::Ready;
    }
    if let Some(progress) = Condition::of(object, "Progressing")
        && progress.reason() == "ProgressDeadlineExceeded"
    {
        return Readiness::Failed(progress.said());
    }
    if let Some(failure) = failure(object) {
        return failure;
    }
    let want = number(object, "/spec/replicas").unwrap_or(1);
    let updated = number(object, "/status/updatedReplicas").unwrap_or(0);
    let total = number(object, "/status/replicas").unwrap_or(0);
    let available = number(object, "/status/availableReplicas").unwrap_or(0);
    if let Some(waiting) = count(updated, want, "updated") {
        return waiting;
    }
    match total - updated {
        ..=0 => {}
        1 => return waiting("1 old replica has to end"),
        old => return waiting(format!("{old} old replicas have to end")),
    }
    count(available, want, "available").unwrap_or(Readiness::Ready)
}

/// A StatefulSet is ready when all replicas are, and those from its partition on are of the new
/// template; by `OnDelete` nothing is moved until someone deletes a pod.
pub(super) fn stateful_set(object: &Json) -> Readiness {
    if !is_seen(object) {
        return unseen();
    }
    let want = number(object, "/spec/replicas").unwrap_or(1);
    let ready = number(object, "/status/readyReplicas").unwrap_or(0);
    if let Some(waiting) = count(ready, want, "ready") {
        return waiting;
    }
    if number(object, "/spec/minReadySeconds").unwrap_or(0) > 0 {
        let available = number(object, "/status/availableReplicas").unwrap_or(0);
        if let Some(waiting) = count(available, want, "available") {
            return waiting;
        }
    }
    if text(object, "/spec/updateStrategy/type") == "OnDelete" {
        return Readiness::Ready;
    }
    if text(object, "/status/updateRevision") == text(object, "/status/currentRevision") {
        return Readiness::Ready;
    }
    let partition = number(object, "/spec/updateStrategy/rollingUpdate/partition").unwrap_or(0);
    let updated = number(object, "/status/updatedReplicas").unwrap_or(0);
    count(updated, (want - partition).max(0), "updated").unwrap_or(Readiness::Ready)
}

/// A DaemonSet is ready when each node that it wants has an available pod of the new template.
pub(super) fn daemon_set(object: &Json) -> Readiness {
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

/// A ReplicaSet is ready when all its replicas are available.
pub(super) fn replica_set(object: &Json) -> Readiness {
    if !is_seen(object) {
        return unseen();
    }
    if let Some(failure) = failure(object) {
        return failure;
    }
    let want = number(object, "/spec/replicas").unwrap_or(1);
    let available = number(object, "/status/availableReplicas").unwrap_or(0);
    count(available, want, "available").unwrap_or(Readiness::Ready)
}

/// Whether a Job has come to its end well.
pub(super) fn is_complete(object: &Json) -> bool {
    Condition::of(object, "Complete").is_some_and(|complete| complete.is("True"))
}

/// Whether a Job has given up.
pub(super) fn is_failed(object: &Json) -> bool {
    Condition::of(object, "Failed").is_some_and(|failed| failed.is("True"))
}

/// A Job is ready when it is complete, and failed when it says so; one that is suspended waits for
/// someone else.
pub(super) fn job(object: &Json) -> Readiness {
    for kind in ["Failed", "FailureTarget"] {
        if let Some(failed) = Condition::of(object, kind).filter(|failed| failed.is("True")) {
            return Readiness::Failed(failed.said());
        }
    }
    if is_complete(object) || object.pointer("/spec/suspend").and_then(Json::as_bool) == Some(true)
    {
        return Readiness::Ready;
    }
    let done = number(object, "/status/succeeded").unwrap_or(0);
    let want = number(object, "/spec/completions").unwrap_or(1);
    let mut text = format!("{done} of {want} completions");
    match number(object, "/status/failed").unwrap_or(0) {
        0 => {}
        1 => text.push_str(", 1 pod failed"),
        failed => text.push_str(&format!(", {failed} pods failed")),
    }
    waiting(text)
}

/// A Pod is ready when it says so, or has ended well.
pub(super) fn pod(object: &Json) -> Readiness {
    match text(object, "/status/phase") {
        "Succeeded" => return Readiness::Ready,
        "Failed" => {
            let (reason, message) =
                (text(object, "/status/reason"), text(object, "/status/message"));
            return Readiness::Failed(match (reason, message) {
                ("", "") => "a container of it failed".to_owned(),
                _ => said(reason, message),
            });
        }
        _ => {}
    }
    match Condition::of(object, "Ready") {
        Some(ready) if ready.is("True") => Readiness::Ready,
        Some(ready) => waiting(ready.said()),
        None => match Condition::of(object, "PodScheduled") {
            Some(scheduled) if scheduled.is("False") => waiting(scheduled.said()),
            _ => waiting("the pod has not started yet"),
        },
    }
}
