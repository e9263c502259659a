//! Which kinds of Kubernetes live outside namespaces, as far as it is known without a cluster.

/// Kubernetes' own API groups (discovery of v1.34); the core group is empty.
const OWN_GROUPS: &[&str] = &[
    "",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "apps",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "events.k8s.io",
    "extensions",
    "flowcontrol.apiserver.k8s.io",
    "internal.apiserver.k8s.io",
    "networking.k8s.io",
    "node.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "resource.k8s.io",
    "scheduling.k8s.io",
    "storage.k8s.io",
    "storagemigration.k8s.io",
];

/// Cluster-scoped kinds of Kubernetes itself.
const OWN_KINDS: &[(&str, &str)] = &[
    ("", "Namespace"),
    ("", "Node"),
    ("", "PersistentVolume"),
    ("", "ComponentStatus"),
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicy"),
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding"),
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"),
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
    ("apiregistration.k8s.io", "APIService"),
    ("certificates.k8s.io", "CertificateSigningRequest"),
    ("certificates.k8s.io", "ClusterTrustBundle"),
    ("flowcontrol.apiserver.k8s.io", "FlowSchema"),
    ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration"),
    ("networking.k8s.io", "IngressClass"),
    ("networking.k8s.io", "IPAddress"),
    ("networking.k8s.io", "ServiceCIDR"),
    ("node.k8s.io", "RuntimeClass"),
    ("rbac.authorization.k8s.io", "ClusterRole"),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
    ("resource.k8s.io", "DeviceClass"),
    ("resource.k8s.io", "ResourceSlice"),
    ("scheduling.k8s.io", "PriorityClass"),
    ("storage.k8s.io", "CSIDriver"),
    ("storage.k8s.io", "CSINode"),
    ("storage.k8s.io", "StorageClass"),
    ("storage.k8s.io", "VolumeAttachment"),
    ("storage.k8s.io", "VolumeAttributesClass"),
];

/// Whether a group is one of Kubernetes' own, whose kinds' addresses go without it.
pub(super) fn is_own_group(group: &str) -> bool {
    OWN_GROUPS.contains(&group)
}

/// Whether a kind lives outside namespaces. None where only the cluster, or a definition in the
/// stack, could tell: other groups' kinds. Names like `ClusterIssuer`, `GlobalNetworkPolicy` and
/// `GatewayClass` are taken at their word, as the projects that define kinds keep to it; a bare
/// `Cluster`, and all of Cluster API, is a thing that lives in a namespace.
pub(super) fn is_cluster_scoped(group: &str, kind: &str) -> Option<bool> {
    const CLUSTER_API: &str = "cluster.x-k8s.io";
    if is_own_group(group) {
        return Some(OWN_KINDS.contains(&(group, kind)));
    }
    let of_cluster_api =
        group.strip_suffix(CLUSTER_API).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    let begins = |word: &str| {
        let rest = kind.strip_prefix(word);
        rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()))
    };
    let says = begins("Cluster")
        || begins("Global")
        || kind.contains("Clusterwide")
        || kind.ends_with("Class");
    (says && !of_cluster_api).then_some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_known_of_kubernetes_and_read_off_telling_names() {
        for (group, kind, expected) in [
            ("", "ConfigMap", Some(false)),
            ("", "PersistentVolume", Some(true)),
            ("rbac.authorization.k8s.io", "RoleBinding", Some(false)),
            ("apps", "PersistentVolume", Some(false)),
            ("cert-manager.io", "ClusterIssuer", Some(true)),
            ("cert-manager.io", "Certificate", None),
            ("crd.projectcalico.org", "GlobalNetworkPolicy", Some(true)),
            ("cilium.io", "CiliumClusterwideNetworkPolicy", Some(true)),
            ("gateway.networking.k8s.io", "GatewayClass", Some(true)),
            ("postgresql.cnpg.io", "Cluster", None),
            ("postgresql.cnpg.io", "ClusterImageCatalog", Some(true)),
            ("cluster.x-k8s.io", "ClusterClass", None),
            ("addons.cluster.x-k8s.io", "ClusterResourceSet", None),
        ] {
            assert_eq!(is_cluster_scoped(group, kind), expected, "{group} {kind}");
        }
    }
}
