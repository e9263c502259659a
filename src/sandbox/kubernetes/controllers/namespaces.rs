//! Namespaces get a service account and the cluster's certificate, and end when they are empty.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{MANAGER, condition, going};
use crate::sandbox::kubernetes::Cluster;
use crate::sandbox::kubernetes::resources::namespaced;
use crate::sandbox::kubernetes::value::{items, set, text};

const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nsandbox\n-----END CERTIFICATE-----\n";

impl Cluster {
    pub(super) fn furnish_namespaces(&mut self, now: Timestamp) {
        for namespace in self.all_of("", "namespaces") {
            if going(&namespace) {
                continue;
            }
            let name = text(&namespace, "/metadata/name");
            let account = json!({
                "apiVersion": "v1", "kind": "ServiceAccount",
                "metadata": {"name": "default", "namespace": name},
            });
            self.put_as(MANAGER, &account, now);
            let certificate = json!({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {"name": "kube-root-ca.crt", "namespace": name, "annotations": {
                    "kubernetes.io/description": "Contains a CA bundle that can be used to verify \
                        the kube-apiserver when using internal endpoints such as the internal \
                        service IP or kubernetes.default.svc. No other usage is guaranteed across \
                        distributions of Kubernetes clusters."}},
                "data": {"ca.crt": CERTIFICATE},
            });
            self.put_as(MANAGER, &certificate, now);
        }
    }

    pub(in crate::sandbox::kubernetes) fn end_namespaces(&mut self, now: Timestamp) {
        for namespace in self.all_of("", "namespaces") {
            if !going(&namespace) {
                continue;
            }
            let name = text(&namespace, "/metadata/name");
            let mut left: Vec<(String, Value)> = Vec::new();
            for (group, plural) in namespaced(&self.store) {
                let found: Vec<Value> =
                    self.store.list(&group, &plural, Some(name)).into_iter().cloned().collect();
                for object in found.iter().filter(|o| !going(o)) {
                    self.delete_as_controller(object, now);
                }
                let still = self.store.list(&group, &plural, Some(name));
                left.extend(still.into_iter().map(|o| (format!("{plural}.{group}"), o.clone())));
            }
            if left.is_empty() {
                self.store.remove("", "namespaces", "", name);
            } else {
                self.note_contents(&namespace, &left, now);
            }
        }
    }

    /// Says in the status what a namespace on its way out still waits for (recording 15).
    fn note_contents(&mut self, namespace: &Value, left: &[(String, Value)], now: Timestamp) {
        let before = items(namespace, "/status/conditions");
        let mut kinds: Vec<(&str, usize)> = Vec::new();
        let mut finalizers: Vec<(&str, usize)> = Vec::new();
        for (kind, object) in left {
            tally(&mut kinds, kind);
            for finalizer in items(object, "/metadata/finalizers").iter().filter_map(Value::as_str)
            {
                tally(&mut finalizers, finalizer);
            }
        }
        let say = |list: &[(&str, usize)], verb: &str| {
            let lines: Vec<_> = list
                .iter()
                .map(|(what, n)| format!("{what} {verb} {n} resource instances"))
                .collect();
            lines.join(", ")
        };
        let content = format!("Some resources are remaining: {}", say(&kinds, "has"));
        let waiting = format!(
            "Some content in the namespace has finalizers remaining: {}",
            say(&finalizers, "in")
        );
        let conditions = json!([
            condition(
                before,
                "NamespaceDeletionDiscoveryFailure",
                false,
                "ResourcesDiscovered",
                "All resources successfully discovered",
                now
            ),
            condition(
                before,
                "NamespaceDeletionGroupVersionParsingFailure",
                false,
                "ParsedGroupVersions",
                "All legacy kube types successfully parsed",
                now
            ),
            condition(
                before,
                "NamespaceDeletionContentFailure",
                false,
                "ContentDeleted",
                "All content successfully deleted, may be waiting on finalization",
                now
            ),
            condition(
                before,
                "NamespaceContentRemaining",
                true,
                "SomeResourcesRemain",
                &content,
                now
            ),
            condition(
                before,
                "NamespaceFinalizersRemaining",
                !finalizers.is_empty(),
                "SomeFinalizersRemain",
                &waiting,
                now
            ),
        ]);
        let mut status = json!({"phase": "Terminating"});
        set(&mut status, "conditions", Some(conditions));
        let name = text(namespace, "/metadata/name");
        self.set_status(MANAGER, "v1", "Namespace", "", name, status, now);
    }
}

fn tally<'a>(list: &mut Vec<(&'a str, usize)>, what: &'a str) {
    match list.iter_mut().find(|(known, _)| *known == what) {
        Some((_, n)) => *n += 1,
        None => list.push((what, 1)),
    }
}
