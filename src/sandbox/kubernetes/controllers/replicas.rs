//! Replica sets, and the pods of everything that makes pods from a template.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::events::{Said, Source};
use super::{MANAGER, condition, controls, going, owned_by};
use crate::sandbox::kubernetes::Cluster;
use crate::sandbox::kubernetes::safe_letter;
use crate::sandbox::kubernetes::status::Failure;
use crate::sandbox::kubernetes::value::{child, fields, items, metadata, number, set, text};

/// No set gets more pods than this, whatever it asks for.
const MOST_PODS: usize = 500;
/// How often it is said again that a pod can't be made.
pub const RETRY: SignedDuration = SignedDuration::from_secs(15);
/// The condition that says a pod can't be made.
pub const FAILURE: &str = "ReplicaFailure";

/// A short text that differs where templates differ, as in `cloudflared-6df5f484cc`.
pub fn template_hash(template: &Value) -> String {
    let digest = Sha256::digest(canonical(template).to_string().as_bytes());
    let number = digest.iter().take(4).fold(0_u32, |n, b| n << 8 | u32::from(*b));
    number.to_string().bytes().map(safe_letter).collect()
}

/// Members in one order: a template is the same however it was written.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<_> = map.iter().collect();
            keys.sort_by_key(|(key, _)| *key);
            keys.into_iter()
                .map(|(k, v)| (k.clone(), canonical(v)))
                .collect::<serde_json::Map<_, _>>()
                .into()
        }
        Value::Array(list) => list.iter().map(canonical).collect(),
        other => other.clone(),
    }
}

/// Whether a pod counts for who made it: it neither ends nor has ended.
pub fn is_active(pod: &Value) -> bool {
    !going(pod) && !matches!(text(pod, "/status/phase"), "Succeeded" | "Failed")
}

/// Whether a pod runs and is ready.
pub fn is_ready(pod: &Value) -> bool {
    let ready = |c: &Value| text(c, "/type") == "Ready" && text(c, "/status") == "True";
    !going(pod) && items(pod, "/status/conditions").iter().any(ready)
}

impl Cluster {
    /// The pods that an object controls.
    pub(super) fn pods_of(&self, owner: &Value) -> Vec<Value> {
        let namespace = text(owner, "/metadata/namespace");
        let pods = self.store.list("", "pods", Some(namespace));
        pods.into_iter().filter(|pod| controls(owner, pod)).cloned().collect()
    }

    /// Makes a pod from a template; `name` is generated where it ends with a dash.
    ///
    /// # Errors
    ///
    /// What the API server refuses: quota, a missing service account.
    pub(super) fn make_pod(
        &mut self,
        owner: &Value,
        template: &Value,
        name: &str,
        labels: &[(&str, &str)],
        now: Timestamp,
    ) -> Result<Option<Value>, Failure> {
        let spec = template.get("spec").cloned().unwrap_or_default();
        let mut pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"namespace": text(owner, "/metadata/namespace")}, "spec": spec,
        });
        let meta = metadata(&mut pod);
        let key = if name.ends_with('-') { "generateName" } else { "name" };
        meta.insert(key.to_owned(), name.into());
        for field in ["labels", "annotations"] {
            if let Some(map) = template.pointer(&format!("/metadata/{field}")) {
                meta.insert(field.to_owned(), map.clone());
            }
        }
        meta.insert("ownerReferences".to_owned(), owned_by(owner));
        let own = fields(child(child(&mut pod, "metadata"), "labels"));
        for (key, value) in labels {
            own.insert((*key).to_owned(), (*value).into());
        }
        self.make_as(MANAGER, &pod, now)
    }

    /// Makes a pod as [`Cluster::make_pod`] does and says so; what was refused is given back.
    pub(super) fn make_counted_pod(
        &mut self,
        owner: &Value,
        template: &Value,
        labels: &[(&str, &str)],
        source: Source<'_>,
        now: Timestamp,
    ) -> Option<String> {
        let prefix = format!("{}-", text(owner, "/metadata/name"));
        match self.make_pod(owner, template, &prefix, labels, now) {
            Ok(Some(pod)) => {
                let message = format!("Created pod: {}", text(&pod, "/metadata/name"));
                self.tell(owner, source, Said::normal("SuccessfulCreate", &message), now);
                None
            }
            Ok(None) => None,
            Err(failure) => {
                let message = format!("Error creating: {}", failure.message);
                let said = Said::warning("FailedCreate", &message);
                self.tell_again(owner, source, said, RETRY, now);
                Some(failure.message)
            }
        }
    }

    /// Brings every replica set's pods to the number it wants.
    pub(super) fn run_replica_sets(&mut self, now: Timestamp) {
        let source = Source::Controller("replicaset-controller");
        for set in self.all_of("apps", "replicasets") {
            if going(&set) {
                continue;
            }
            let wanted = usize::try_from(number(&set, "/spec/replicas").unwrap_or(0)).unwrap_or(0);
            let mut pods: Vec<_> = self.pods_of(&set).into_iter().filter(is_active).collect();
            let template = set.pointer("/spec/template").cloned().unwrap_or_default();
            let mut refused = None;
            for _ in pods.len()..wanted.min(MOST_PODS) {
                refused = self.make_counted_pod(&set, &template, &[], source, now);
                // The next ones would be refused as well.
                if refused.is_some() {
                    break;
                }
            }
            // Those that are not ready go first.
            pods.sort_by_key(is_ready);
            let surplus = pods.len().saturating_sub(wanted);
            for pod in pods.iter().take(surplus) {
                self.delete_as_controller(pod, now);
                let message = format!("Deleted pod: {}", text(pod, "/metadata/name"));
                self.tell(&set, source, Said::normal("SuccessfulDelete", &message), now);
            }
            self.note_replicas(&set, refused.as_deref(), now);
        }
    }

    fn note_replicas(&mut self, replica_set: &Value, refused: Option<&str>, now: Timestamp) {
        let pods: Vec<_> = self.pods_of(replica_set).into_iter().filter(is_active).collect();
        let ready = pods.iter().filter(|p| is_ready(p)).count();
        let mut status = json!({"replicas": pods.len(), "terminatingReplicas": 0});
        let map = fields(&mut status);
        let observed = number(replica_set, "/metadata/generation").unwrap_or(1);
        map.insert("observedGeneration".to_owned(), observed.into());
        for (field, n) in [
            ("fullyLabeledReplicas", pods.len()),
            ("readyReplicas", ready),
            ("availableReplicas", ready),
        ] {
            if n > 0 {
                map.insert(field.to_owned(), n.into());
            }
        }
        if let Some(message) = refused {
            let before = items(replica_set, "/status/conditions");
            let mut failed = condition(before, FAILURE, true, "FailedCreate", message, now);
            // The name in the message is another one with each attempt.
            let known = before.iter().find(|c| text(c, "/type") == FAILURE);
            if let Some(known) = known {
                failed = known.clone();
            }
            map.insert("conditions".to_owned(), json!([failed]));
        }
        let mut object = replica_set.clone();
        set(&mut object, "status", Some(status));
        self.update_status_as(MANAGER, &object, now);
    }
}
