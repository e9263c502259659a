//! What can't be changed of an object, and what is lost with it.

use crate::model::Json;

use super::names::{group_of, kind_of};

/// Why a change at a path needs a new object; the fields are those that the API documents as
/// immutable, and that it refuses to change.
pub fn replacement_reason(path: &str, manifest: &Json, live: &Json) -> Option<String> {
    let under = |head: &str| {
        path.strip_prefix(head).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    let any = |heads: &[&str]| heads.iter().any(|head| under(head));
    let frozen = live.get("immutable").and_then(Json::as_bool) == Some(true);
    let immutable = match (group_of(manifest), kind_of(manifest).1) {
        ("apps", "Deployment" | "DaemonSet" | "ReplicaSet") => under("spec.selector"),
        ("apps", "StatefulSet") => {
            under("spec")
                && !any(&[
                    "spec.replicas",
                    "spec.ordinals",
                    "spec.template",
                    "spec.updateStrategy",
                    "spec.revisionHistoryLimit",
                    "spec.persistentVolumeClaimRetentionPolicy",
                    "spec.minReadySeconds",
                ])
        }
        ("batch", "Job") => any(&["spec.selector", "spec.template", "spec.completionMode"]),
        ("", "PersistentVolumeClaim") => {
            under("spec") && !any(&["spec.resources", "spec.volumeAttributesClassName"])
        }
        ("", "Service") => any(&["spec.clusterIP", "spec.clusterIPs"]),
        ("", "ConfigMap") => frozen && any(&["data", "binaryData", "immutable"]),
        ("", "Secret") => under("type") || (frozen && any(&["data", "stringData", "immutable"])),
        ("scheduling.k8s.io", "PriorityClass") => any(&["value", "preemptionPolicy"]),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => under("roleRef"),
        ("storage.k8s.io", "StorageClass") => {
            any(&["provisioner", "parameters", "reclaimPolicy", "volumeBindingMode"])
        }
        ("node.k8s.io", "RuntimeClass") => under("handler"),
        ("networking.k8s.io", "IngressClass") => under("spec.controller"),
        _ => false,
    };
    immutable.then(|| format!("{path} of a {} can't be changed in place", kind_of(manifest).1))
}

/// Whether [`replacement_reason`] knows all that can't be changed of a kind of object; of others,
/// only the server does.
pub fn has_known_limits(manifest: &Json) -> bool {
    match (group_of(manifest), kind_of(manifest).1) {
        ("apps", kind) => {
            matches!(kind, "Deployment" | "DaemonSet" | "ReplicaSet" | "StatefulSet")
        }
        ("", kind) => matches!(kind, "PersistentVolumeClaim" | "Service" | "ConfigMap" | "Secret"),
        ("batch", kind) => kind == "Job",
        _ => false,
    }
}

/// What is lost with an object when it is deleted or replaced, beside what its manifest says.
pub fn loses(spec: &Json) -> Option<&'static str> {
    let when_deleted = spec.pointer("/spec/persistentVolumeClaimRetentionPolicy/whenDeleted");
    match (group_of(spec), kind_of(spec).1) {
        ("", "PersistentVolumeClaim") => Some(
            "its volume goes with it, and all data on it, unless the volume's reclaim policy \
             is Retain",
        ),
        ("", "PersistentVolume") => Some(
            "the cluster no longer knows the volume, and what is on it is where the storage \
             keeps it",
        ),
        ("", "Namespace") => Some("everything in it goes with it, claims and their data too"),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            Some("every object of the kind goes with it, in all namespaces")
        }
        ("apps", "StatefulSet") if when_deleted.and_then(Json::as_str) == Some("Delete") => {
            Some("the claims of its pods go with it, and all data on their volumes")
        }
        _ => None,
    }
}
