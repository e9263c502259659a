//! Deployments: a replica set for each template, the newest one scaled up.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::events::{Said, Source};
use super::replicas::{FAILURE, is_active, is_ready, template_hash};
use super::{MANAGER, controls, going, owned_by};
use crate::sandbox::kubernetes::value::{child, fields, items, metadata, number, set, text};
use crate::sandbox::kubernetes::{Cluster, rfc3339};

const REVISION: &str = "deployment.kubernetes.io/revision";
const REVISION_AT: &str = "/metadata/annotations/deployment.kubernetes.io~1revision";
const HASH: &str = "pod-template-hash";

impl Cluster {
    /// Brings every Deployment's replica sets to what its strategy wants next.
    pub(super) fn run_deployments(&mut self, now: Timestamp) {
        for deployment in self.all_of("apps", "deployments") {
            if !going(&deployment) {
                self.run_deployment(&deployment, now);
            }
        }
        self.run_replica_sets(now);
    }

    fn run_deployment(&mut self, deployment: &Value, now: Timestamp) {
        let template = deployment.pointer("/spec/template").cloned().unwrap_or_default();
        let hash = template_hash(&template);
        let name = format!("{}-{hash}", text(deployment, "/metadata/name"));
        let sets = self.replica_sets_of(deployment);
        let mut revision = sets.iter().map(revision_of).max().unwrap_or(0);
        let current = sets.iter().find(|s| text(s, "/metadata/name") == name).cloned();
        let paused = deployment.pointer("/spec/paused") == Some(&Value::Bool(true));
        match &current {
            None if paused => return,
            None => {
                revision += 1;
                let made = replica_set(deployment, &template, &name, &hash, revision);
                self.put_as(MANAGER, &made, now);
            }
            // An older template is wanted again: its set gets the newest revision.
            Some(set) if revision_of(set) < revision => {
                revision += 1;
                let mut set = set.clone();
                fields(child(child(&mut set, "metadata"), "annotations"))
                    .insert(REVISION.to_owned(), revision.to_string().into());
                self.update_as(MANAGER, &set, now);
            }
            Some(_) => {}
        }
        self.shift_replicas(deployment, &name, now);
        self.forget_old_sets(deployment, &name, now);
        self.note_deployment(deployment, &name, revision, now);
    }

    fn replica_sets_of(&self, deployment: &Value) -> Vec<Value> {
        let namespace = text(deployment, "/metadata/namespace");
        let sets = self.store.list("apps", "replicasets", Some(namespace));
        sets.into_iter().filter(|set| controls(deployment, set)).cloned().collect()
    }

    /// Recreate: the old pods go before the new ones come. RollingUpdate: as many at a time as
    /// `maxSurge` and `maxUnavailable` let go and come.
    fn shift_replicas(&mut self, deployment: &Value, name: &str, now: Timestamp) {
        let wanted = number(deployment, "/spec/replicas").unwrap_or(1);
        let sets = self.replica_sets_of(deployment);
        let (new, old): (Vec<_>, Vec<_>) =
            sets.into_iter().partition(|s| text(s, "/metadata/name") == name);
        let Some(new) = new.first() else { return };
        let old_pods = old.iter().map(|s| self.pods_of(s).len()).sum::<usize>();
        if text(deployment, "/spec/strategy/type") == "Recreate" {
            if old_pods > 0 {
                old.iter().for_each(|s| self.scale(deployment, s, 0, now));
            } else {
                self.scale(deployment, new, wanted, now);
            }
            return;
        }
        let (surge, unavailable) = bounds(deployment, wanted);
        let size = |s: &Value| number(s, "/spec/replicas").unwrap_or(0);
        let ready = |s: &Value| {
            let ready = self.pods_of(s).iter().filter(|p| is_ready(p)).count();
            i64::try_from(ready).unwrap_or(i64::MAX)
        };
        let old_size: i64 = old.iter().map(size).sum();
        let room = (wanted + surge - old_size - size(new)).max(0);
        let next = if size(new) > wanted { wanted } else { (size(new) + room).min(wanted) };
        // Old pods that are not ready can go at once, ready ones only when enough are left.
        let mut spare = (ready(new) + old.iter().map(ready).sum::<i64>()) - (wanted - unavailable);
        let mut smaller = Vec::new();
        for set in &old {
            let broken = (size(set) - ready(set)).max(0);
            let go = spare.clamp(0, ready(set));
            spare -= go;
            smaller.push((set, size(set) - broken - go));
        }
        self.scale(deployment, new, next, now);
        for (set, size) in smaller {
            self.scale(deployment, set, size.max(0), now);
        }
    }

    fn scale(&mut self, deployment: &Value, replica_set: &Value, replicas: i64, now: Timestamp) {
        let before = number(replica_set, "/spec/replicas").unwrap_or(0);
        if before == replicas {
            return;
        }
        let mut object = replica_set.clone();
        set(child(&mut object, "spec"), "replicas", Some(replicas.into()));
        self.update_as(MANAGER, &object, now);
        let name = text(replica_set, "/metadata/name");
        let way = if replicas > before { "up" } else { "down" };
        let message = format!("Scaled {way} replica set {name} from {before} to {replicas}");
        let source = Source::Controller("deployment-controller");
        self.tell(deployment, source, Said::normal("ScalingReplicaSet", &message), now);
    }

    fn forget_old_sets(&mut self, deployment: &Value, name: &str, now: Timestamp) {
        let limit = number(deployment, "/spec/revisionHistoryLimit").unwrap_or(10);
        let mut idle: Vec<_> = self
            .replica_sets_of(deployment)
            .into_iter()
            .filter(|s| text(s, "/metadata/name") != name && self.pods_of(s).is_empty())
            .filter(|s| number(s, "/spec/replicas") == Some(0))
            .collect();
        idle.sort_by_key(|set| std::cmp::Reverse(revision_of(set)));
        for set in idle.iter().skip(usize::try_from(limit).unwrap_or(0)) {
            self.delete_as_controller(set, now);
        }
    }

    fn note_deployment(&mut self, deployment: &Value, name: &str, revision: i64, now: Timestamp) {
        let mut counts = Counts::default();
        for set in self.replica_sets_of(deployment) {
            let pods: Vec<_> = self.pods_of(&set).into_iter().filter(is_active).collect();
            let failed = items(&set, "/status/conditions").iter();
            counts.failed = counts
                .failed
                .take()
                .or_else(|| failed.clone().find(|c| text(c, "/type") == FAILURE).cloned());
            counts.all += pods.len();
            counts.ready += pods.iter().filter(|p| is_ready(p)).count();
            if text(&set, "/metadata/name") == name {
                counts.updated = pods.len();
                counts.updated_ready = pods.iter().filter(|p| is_ready(p)).count();
            }
        }
        let status = deployment_status(deployment, name, &counts, now);
        // Someone else may have written between the copy and now.
        let namespace = text(deployment, "/metadata/namespace");
        let key = text(deployment, "/metadata/name");
        let Some(mut object) = self.store.get("apps", "deployments", namespace, key).cloned()
        else {
            return;
        };
        set(&mut object, "status", Some(status));
        if revision > 0 {
            fields(child(child(&mut object, "metadata"), "annotations"))
                .insert(REVISION.to_owned(), revision.to_string().into());
        }
        self.update_status_as(MANAGER, &object, now);
    }
}

#[derive(Default)]
struct Counts {
    all: usize,
    ready: usize,
    updated: usize,
    updated_ready: usize,
    /// Why a replica set can't make its pods.
    failed: Option<Value>,
}

fn revision_of(replica_set: &Value) -> i64 {
    text(replica_set, REVISION_AT).parse().unwrap_or(0)
}

fn replica_set(
    deployment: &Value,
    template: &Value,
    name: &str,
    hash: &str,
    revision: i64,
) -> Value {
    let mut template = template.clone();
    set(child(child(&mut template, "metadata"), "labels"), HASH, Some(hash.into()));
    let mut selector = deployment.pointer("/spec/selector").cloned().unwrap_or_default();
    set(child(&mut selector, "matchLabels"), HASH, Some(hash.into()));
    let labels = template.pointer("/metadata/labels").cloned().unwrap_or_default();
    let mut annotations = json!({
        REVISION: revision.to_string(),
        "deployment.kubernetes.io/desired-replicas":
            number(deployment, "/spec/replicas").unwrap_or(1).to_string(),
    });
    let own = deployment.pointer("/metadata/annotations").and_then(Value::as_object);
    for (key, value) in own.into_iter().flatten() {
        let private = key == REVISION || key == "kubectl.kubernetes.io/last-applied-configuration";
        if !private {
            set(&mut annotations, key, Some(value.clone()));
        }
    }
    let mut object = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"name": name, "namespace": text(deployment, "/metadata/namespace"),
            "labels": labels, "annotations": annotations},
        "spec": {"replicas": 0, "selector": selector, "template": template},
    });
    metadata(&mut object).insert("ownerReferences".to_owned(), owned_by(deployment));
    object
}

fn deployment_status(deployment: &Value, name: &str, counts: &Counts, now: Timestamp) -> Value {
    let wanted =
        usize::try_from(number(deployment, "/spec/replicas").unwrap_or(1)).unwrap_or_default();
    let mut status = json!({"terminatingReplicas": 0});
    let map = fields(&mut status);
    let observed = number(deployment, "/metadata/generation").unwrap_or(1);
    map.insert("observedGeneration".to_owned(), observed.into());
    for (field, n) in [
        ("replicas", counts.all),
        ("updatedReplicas", counts.updated),
        ("readyReplicas", counts.ready),
        ("availableReplicas", counts.ready),
        ("unavailableReplicas", wanted.saturating_sub(counts.ready)),
    ] {
        if n > 0 {
            map.insert(field.to_owned(), n.into());
        }
    }
    let spare = match text(deployment, "/spec/strategy/type") {
        "Recreate" => 0,
        _ => bounds(deployment, i64::try_from(wanted).unwrap_or(i64::MAX)).1,
    };
    let available = counts.ready >= wanted.saturating_sub(usize::try_from(spare).unwrap_or(0));
    let complete = counts.updated_ready >= wanted && counts.all == counts.updated;
    let (reason, message) = if available {
        ("MinimumReplicasAvailable", "Deployment has minimum availability.")
    } else {
        ("MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    };
    let before = items(deployment, "/status/conditions");
    let mut conditions = vec![condition(before, "Available", available, reason, message, now)];
    if let Some(failed) = &counts.failed {
        let (reason, message) = (text(failed, "/reason"), text(failed, "/message"));
        conditions.push(condition(before, FAILURE, true, reason, message, now));
    }
    conditions.push(progress(deployment, name, complete, &status, now));
    fields(&mut status).insert("conditions".to_owned(), Value::Array(conditions));
    status
}

/// The condition `Progressing`: a change of the counts is progress, none for
/// `progressDeadlineSeconds` is a failure (deployment/progress.go).
fn progress(
    deployment: &Value,
    name: &str,
    complete: bool,
    status: &Value,
    now: Timestamp,
) -> Value {
    let before = items(deployment, "/status/conditions");
    let known = before.iter().find(|c| text(c, "/type") == "Progressing");
    let count = |status: Option<&Value>, field: &str| {
        status.and_then(|s| s.get(field)).and_then(Value::as_i64).unwrap_or(0)
    };
    let (then, new) = (deployment.get("status"), Some(status));
    let old = |status| count(status, "replicas") - count(status, "updatedReplicas");
    let grown = |field: &str| count(new, field) > count(then, field);
    let moved = known.is_none()
        || ["updatedReplicas", "readyReplicas", "availableReplicas"].into_iter().any(grown)
        || old(new) < old(then);
    let deadline = number(deployment, "/spec/progressDeadlineSeconds").unwrap_or(600);
    let last = known.and_then(|c| text(c, "/lastUpdateTime").parse::<Timestamp>().ok());
    let late =
        last.is_some_and(|last| now.as_second() >= last.as_second().saturating_add(deadline));
    let paused = deployment.pointer("/spec/paused") == Some(&Value::Bool(true));
    let failed = known.is_some_and(|c| text(c, "/reason") == "ProgressDeadlineExceeded");
    let done = known.is_some_and(|c| text(c, "/reason") == "NewReplicaSetAvailable");
    let (well, reason, state) = match () {
        () if complete => (true, "NewReplicaSetAvailable", "has successfully progressed"),
        () if !paused && !done && (failed || late) && !moved => {
            (false, "ProgressDeadlineExceeded", "has timed out progressing")
        }
        () if done && old(new) == 0 => {
            (true, "NewReplicaSetAvailable", "has successfully progressed")
        }
        () => (true, "ReplicaSetUpdated", "is progressing"),
    };
    let text = format!("ReplicaSet {name:?} {state}.");
    let mut condition = condition(before, "Progressing", well, reason, &text, now);
    if well && !complete && moved {
        set(&mut condition, "lastUpdateTime", Some(rfc3339(now).into()));
    }
    condition
}

/// `maxSurge` and `maxUnavailable` in pods: a share is rounded up for the first and down for the
/// second, and both are never zero.
fn bounds(deployment: &Value, wanted: i64) -> (i64, i64) {
    let of = |field: &str, up: bool| {
        let value = deployment.pointer(&format!("/spec/strategy/rollingUpdate/{field}"));
        match value {
            Some(Value::String(share)) => {
                let share: i64 = share.trim_end_matches('%').parse().unwrap_or(0);
                let exact = wanted.saturating_mul(share);
                exact / 100 + i64::from(up && exact % 100 > 0)
            }
            Some(count) => count.as_i64().unwrap_or(0),
            None => 0,
        }
    };
    match (of("maxSurge", true), of("maxUnavailable", false)) {
        (0, 0) => (0, 1),
        both => both,
    }
}

/// A Deployment's condition also says when anything about it changed last.
fn condition(
    before: &[Value],
    kind: &str,
    status: bool,
    reason: &str,
    message: &str,
    now: Timestamp,
) -> Value {
    let mut condition = super::condition(before, kind, status, reason, message, now);
    let same = before.iter().find(|c| {
        ["/type", "/status", "/reason", "/message"]
            .iter()
            .all(|p| text(c, p) == text(&condition, p))
    });
    let updated = same.map_or_else(|| rfc3339(now), |c| text(c, "/lastUpdateTime").to_owned());
    set(&mut condition, "lastUpdateTime", Some(updated.into()));
    condition
}
