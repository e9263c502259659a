//! In which order objects are made, where nothing that they name decides it.

use crate::model::Json;
use crate::model::kind::Wave;

use super::names::{group_of, kind_of, namespace};

/// Where an object stands among those that could be made at once: lower first.
pub fn rank(manifest: &Json) -> u32 {
    match (group_of(manifest), kind_of(manifest).1) {
        ("apiextensions.k8s.io", _) => 10,
        ("", "Namespace") => 20,
        ("scheduling.k8s.io" | "storage.k8s.io" | "node.k8s.io", _) => 30,
        ("networking.k8s.io", "NetworkPolicy") => 35,
        ("", "ResourceQuota" | "LimitRange") => 38,
        ("", "ConfigMap" | "Secret") => 40,
        ("", "ServiceAccount") => 50,
        ("rbac.authorization.k8s.io", "Role" | "ClusterRole") => 60,
        ("rbac.authorization.k8s.io", _) => 61,
        ("", "PersistentVolume") => 70,
        ("", "PersistentVolumeClaim") => 71,
        ("", "Service") => 80,
        ("policy", "PodDisruptionBudget") => 85,
        ("external-secrets.io", "SecretStore" | "ClusterSecretStore") => 90,
        ("external-secrets.io" | "bitnami.com" | "cert-manager.io", _) => 91,
        ("apps" | "batch", _) | ("", "Pod" | "ReplicationController") => 110,
        ("apiregistration.k8s.io", _) => 130,
        ("admissionregistration.k8s.io", _) => 140,
        _ => 120,
    }
}

/// The wave that an object belongs to. What pods may meet when they start comes before them, named
/// by them or not: a policy, an account's rights, a Service's variables. What the API server asks
/// other servers comes last, since what they do not answer fails.
pub fn wave(manifest: &Json) -> Wave {
    let rank = rank(manifest);
    Wave {
        number: rank / 10,
        within: namespace(manifest).map(str::to_owned),
        leads: (30..90).contains(&rank),
        is_last: rank >= 130,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn definitions_come_before_namespaces_before_workloads() {
        let manifest = |api: &str, kind: &str| json!({"apiVersion": api, "kind": kind});
        let order = [
            manifest("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
            manifest("v1", "Namespace"),
            manifest("scheduling.k8s.io/v1", "PriorityClass"),
            manifest("networking.k8s.io/v1", "NetworkPolicy"),
            manifest("v1", "ConfigMap"),
            manifest("v1", "ServiceAccount"),
            manifest("rbac.authorization.k8s.io/v1", "Role"),
            manifest("rbac.authorization.k8s.io/v1", "RoleBinding"),
            manifest("v1", "PersistentVolumeClaim"),
            manifest("v1", "Service"),
            manifest("policy/v1", "PodDisruptionBudget"),
            manifest("external-secrets.io/v1", "ExternalSecret"),
            manifest("apps/v1", "Deployment"),
            manifest("argoproj.io/v1alpha1", "Application"),
            manifest("apiregistration.k8s.io/v1", "APIService"),
            manifest("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"),
        ];
        assert!(order.is_sorted_by_key(rank));
    }
}
