//! Deployments: a replica set for each template, the newest one scaled up.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::replicas::{is_ready, template_hash};
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

    /// Recreate: the old pods go before the new ones come. RollingUpdate: the other way round.
    fn shift_replicas(&mut self, deployment: &Value, name: &str, now: Timestamp) {
        let wanted = number(deployment, "/spec/replicas").unwrap_or(1);
        let sets = self.replica_sets_of(deployment);
        let (new, old): (Vec<_>, Vec<_>) =
            sets.into_iter().partition(|s| text(s, "/metadata/name") == name);
        let Some(new) = new.first() else { return };
        let old_pods = old.iter().map(|s| self.pods_of(s).len()).sum::<usize>();
        let recreate = text(deployment, "/spec/strategy/type") == "Recreate";
        if recreate && old_pods > 0 {
            old.iter().for_each(|s| self.scale(s, 0, now));
            return;
        }
        self.scale(new, wanted, now);
        let ready = self.pods_of(new).iter().filter(|p| is_ready(p)).count();
        if recreate || i64::try_from(ready).is_ok_and(|ready| ready >= wanted) {
            old.iter().for_each(|s| self.scale(s, 0, now));
        }
    }

    fn scale(&mut self, replica_set: &Value, replicas: i64, now: Timestamp) {
        if number(replica_set, "/spec/replicas") == Some(replicas) {
            return;
        }
        let mut object = replica_set.clone();
        set(child(&mut object, "spec"), "replicas", Some(replicas.into()));
        self.update_as(MANAGER, &object, now);
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
            let pods: Vec<_> = self.pods_of(&set).into_iter().filter(|p| !going(p)).collect();
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
    let available = counts.ready >= wanted;
    let complete = counts.updated_ready >= wanted && counts.all == counts.updated;
    let (reason, message) = if available {
        ("MinimumReplicasAvailable", "Deployment has minimum availability.")
    } else {
        ("MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    };
    let (progress, state) = if complete {
        ("NewReplicaSetAvailable", "has successfully progressed")
    } else {
        ("ReplicaSetUpdated", "is progressing")
    };
    let state = format!("ReplicaSet {name:?} {state}.");
    let before = items(deployment, "/status/conditions");
    let conditions = json!([
        condition(before, "Available", available, reason, message, now),
        condition(before, "Progressing", true, progress, &state, now),
    ]);
    map.insert("conditions".to_owned(), conditions);
    status
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
