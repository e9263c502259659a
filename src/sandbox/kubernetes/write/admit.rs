//! What the server itself adds to an object on its way into storage.

use serde_json::{Value, json};

use crate::sandbox::kubernetes::Cluster;
use crate::sandbox::kubernetes::resources::Resource;
use crate::sandbox::kubernetes::store::Store;
use crate::sandbox::kubernetes::value::{
    child, default_to, fields, items, metadata, number, set, text,
};

const CONTROLLER_UID: &str = "batch.kubernetes.io/controller-uid";
const JOB_NAME: &str = "batch.kubernetes.io/job-name";

impl Cluster {
    /// Has a mutating webhook see every object that is made or changed. What it writes is nobody's:
    /// owners are told apart before admission (k8s.io/apiserver/pkg/endpoints/handlers/create.go).
    pub fn mutate(&mut self, webhook: fn(&mut Value)) {
        self.mutations.push(webhook);
    }

    pub(super) fn mutated(&self, subresource: &str, object: &mut Value) {
        if subresource.is_empty() {
            self.mutations.iter().for_each(|webhook| webhook(object));
        }
    }
}

/// Completes a new object.
pub fn new(store: &mut Store, resource: &Resource, dry_run: bool, object: &mut Value) {
    match (resource.group.as_str(), resource.plural.as_str()) {
        ("", "namespaces") => {
            default_to(child(object, "spec"), "finalizers", json!(["kubernetes"]));
            set(object, "status", Some(json!({"phase": "Active"})));
        }
        ("", "persistentvolumeclaims") => {
            add_finalizer(object, "kubernetes.io/pvc-protection");
            if object.pointer("/spec/storageClassName").is_none()
                && let Some(class) = default_class(store)
            {
                fields(child(object, "spec")).insert("storageClassName".to_owned(), class.into());
            }
            set(object, "status", Some(json!({"phase": "Pending"})));
        }
        ("", "persistentvolumes") => {
            add_finalizer(object, "kubernetes.io/pv-protection");
            set(object, "status", Some(json!({"phase": "Pending"})));
        }
        ("", "services") => {
            addresses(store, dry_run, object);
            set(object, "status", Some(json!({"loadBalancer": {}})));
        }
        ("networking.k8s.io", "ingresses") => {
            set(object, "status", Some(json!({"loadBalancer": {}})));
        }
        ("", "pods") => pod(store, object),
        ("batch", "jobs") => job(object),
        ("apps", "replicasets") => set(object, "status", Some(json!({"replicas": 0}))),
        ("apps", "statefulsets") => {
            set(object, "status", Some(json!({"replicas": 0, "availableReplicas": 0})));
        }
        ("apps", "daemonsets") => set(
            object,
            "status",
            Some(json!({"currentNumberScheduled": 0, "numberMisscheduled": 0,
                "desiredNumberScheduled": 0, "numberReady": 0})),
        ),
        ("policy", "poddisruptionbudgets") => set(
            object,
            "status",
            Some(json!({"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0,
                "expectedPods": 0})),
        ),
        ("apiextensions.k8s.io", "customresourcedefinitions") => {
            let stored: Vec<_> = items(object, "/spec/versions")
                .iter()
                .filter(|v| v.get("storage") == Some(&Value::Bool(true)))
                .filter_map(|v| v.get("name").cloned())
                .collect();
            let status = json!({"conditions": null, "storedVersions": stored,
                "acceptedNames": {"plural": "", "kind": ""}});
            set(object, "status", Some(status));
        }
        _ if resource.custom.is_none() && resource.has("status") => {
            set(object, "status", Some(json!({})));
        }
        _ => {}
    }
}

/// Completes a changed object.
pub fn change(resource: &Resource, live: &Value, object: &mut Value) {
    match (resource.group.as_str(), resource.plural.as_str()) {
        ("", "namespaces") => {
            let finalizers = live.pointer("/spec/finalizers").cloned();
            set(child(object, "spec"), "finalizers", finalizers);
        }
        ("", "services") => {
            // What was allocated stays where the new object says nothing.
            let spec = child(object, "spec");
            for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
                if spec.get(field).is_none()
                    && let Some(value) = live.pointer(&format!("/spec/{field}"))
                {
                    fields(spec).insert(field.to_owned(), value.clone());
                }
            }
        }
        ("batch", "jobs") => {
            for pointer in ["/spec/selector", "/spec/template/metadata/labels"] {
                let (parent, key) = pointer.rsplit_once('/').unwrap_or_default();
                let value = live.pointer(pointer).cloned();
                if object.pointer(pointer).is_none()
                    && let Some(parent) = object.pointer_mut(parent)
                {
                    set(parent, key, value);
                }
            }
        }
        _ => {}
    }
}

fn add_finalizer(object: &mut Value, name: &str) {
    let list = metadata(object).entry("finalizers").or_insert_with(|| json!([]));
    if let Some(list) = list.as_array_mut()
        && !list.iter().any(|f| f.as_str() == Some(name))
    {
        list.push(name.into());
    }
}

fn default_class(store: &Store) -> Option<String> {
    let mark = "/metadata/annotations/storageclass.kubernetes.io~1is-default-class";
    let classes = store.list("storage.k8s.io", "storageclasses", None);
    let found = classes.into_iter().find(|class| text(class, mark) == "true")?;
    Some(text(found, "/metadata/name").to_owned())
}

fn addresses(store: &mut Store, dry_run: bool, object: &mut Value) {
    let spec = child(object, "spec");
    if text(spec, "/type") == "ExternalName" {
        return;
    }
    let given = text(spec, "/clusterIP").to_owned();
    let address = match (given.is_empty(), dry_run) {
        (false, _) => given,
        // Nothing is allocated in a dry run (recording 04, line 26).
        (true, true) => "10.96.0.0".to_owned(),
        (true, false) => store.next_address(),
    };
    set(spec, "clusterIP", Some(address.clone().into()));
    set(spec, "clusterIPs", Some(json!([address])));
    default_to(spec, "ipFamilies", json!(["IPv4"]));
    default_to(spec, "ipFamilyPolicy", "SingleStack");
    if matches!(text(spec, "/type"), "NodePort" | "LoadBalancer") {
        let mut next = 30_000 + i64::try_from(store.revision() % 2_700).unwrap_or(0);
        super::super::value::each(spec, "ports", |port| {
            if number(port, "/nodePort").is_none_or(|n| n == 0) {
                next += 1;
                set(port, "nodePort", Some(next.into()));
            }
        });
    }
}

fn pod(store: &Store, object: &mut Value) {
    let class = text(object, "/spec/priorityClassName").to_owned();
    let priority = match class.as_str() {
        "system-cluster-critical" => 2_000_000_000,
        "system-node-critical" => 2_000_001_000,
        named => store
            .get("scheduling.k8s.io", "priorityclasses", "", named)
            .and_then(|class| number(class, "/value"))
            .unwrap_or(0),
    };
    let spec = child(object, "spec");
    default_to(spec, "priority", priority);
    default_to(spec, "preemptionPolicy", "PreemptLowerPriority");
    let waits = |key: &str| json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300});
    let mut tolerations = items(spec, "/tolerations").to_vec();
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        if !tolerations.iter().any(|t| text(t, "/key") == key) {
            tolerations.push(waits(key));
        }
    }
    set(spec, "tolerations", Some(Value::Array(tolerations)));
    let resources = |name: &str| {
        items(spec, "/containers")
            .iter()
            .any(|c| c.pointer(&format!("/resources/{name}")).is_some())
    };
    let class =
        if resources("requests") || resources("limits") { "Burstable" } else { "BestEffort" };
    set(object, "status", Some(json!({"phase": "Pending", "qosClass": class})));
}

fn job(object: &mut Value) {
    let uid = text(object, "/metadata/uid").to_owned();
    let name = text(object, "/metadata/name").to_owned();
    let spec = child(object, "spec");
    if spec.get("manualSelector") != Some(&Value::Bool(true)) {
        let labels = child(child(child(spec, "template"), "metadata"), "labels");
        for key in [CONTROLLER_UID, "controller-uid"] {
            set(labels, key, Some(uid.clone().into()));
        }
        for key in [JOB_NAME, "job-name"] {
            set(labels, key, Some(name.clone().into()));
        }
        set(spec, "selector", Some(json!({"matchLabels": {CONTROLLER_UID: uid}})));
    }
    set(object, "status", Some(json!({})));
}
