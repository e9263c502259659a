//! Replica sets, and the pods of everything that makes pods from a template.

use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{MANAGER, controls, going, owned_by};
use crate::sandbox::kubernetes::Cluster;
use crate::sandbox::kubernetes::safe_letter;
use crate::sandbox::kubernetes::value::{child, fields, items, metadata, number, set, text};

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
    pub(super) fn make_pod(
        &mut self,
        owner: &Value,
        template: &Value,
        name: &str,
        labels: &[(&str, &str)],
        now: Timestamp,
    ) {
        let spec = template.get("spec").cloned().unwrap_or_default();
        if !self.pod_admitted(text(owner, "/metadata/namespace"), &spec) {
            return;
        }
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
        self.put_as(MANAGER, &pod, now);
    }

    /// Whether the API server would take the pod: its service account and priority are there.
    fn pod_admitted(&self, namespace: &str, spec: &Value) -> bool {
        let named = text(spec, "/serviceAccountName");
        let account = if named.is_empty() { "default" } else { named };
        let class = text(spec, "/priorityClassName");
        let built_in = ["", "system-cluster-critical", "system-node-critical"].contains(&class);
        self.store.get("", "serviceaccounts", namespace, account).is_some()
            && (built_in
                || self.store.get("scheduling.k8s.io", "priorityclasses", "", class).is_some())
    }

    /// Brings every replica set's pods to the number it wants.
    pub(super) fn run_replica_sets(&mut self, now: Timestamp) {
        for set in self.all_of("apps", "replicasets") {
            if going(&set) {
                continue;
            }
            let wanted = usize::try_from(number(&set, "/spec/replicas").unwrap_or(0)).unwrap_or(0);
            let mut pods: Vec<_> =
                self.pods_of(&set).into_iter().filter(|pod| !going(pod)).collect();
            let template = set.pointer("/spec/template").cloned().unwrap_or_default();
            let prefix = format!("{}-", text(&set, "/metadata/name"));
            for _ in pods.len()..wanted {
                self.make_pod(&set, &template, &prefix, &[], now);
            }
            // Those that are not ready go first.
            pods.sort_by_key(|pod| !is_ready(pod));
            for pod in pods.iter().skip(wanted) {
                self.delete_as_controller(pod, now);
            }
            self.note_replicas(&set, now);
        }
    }

    fn note_replicas(&mut self, replica_set: &Value, now: Timestamp) {
        let pods: Vec<_> = self.pods_of(replica_set).into_iter().filter(|p| !going(p)).collect();
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
        let mut object = replica_set.clone();
        set(&mut object, "status", Some(status));
        self.update_status_as(MANAGER, &object, now);
    }
}
