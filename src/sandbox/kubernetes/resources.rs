//! The kinds that the API serves: built-in ones from a table, others from established CRDs.

use std::sync::LazyLock;

use serde_json::Value;

use super::store::Store;
use super::value::{items, text};

/// One served kind in one version.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    /// API group, empty for the core group.
    pub group: String,
    /// Version such as `v1`.
    pub version: String,
    /// Name in paths.
    pub plural: String,
    /// Name for people.
    pub singular: String,
    /// Kind.
    pub kind: String,
    /// Kind of lists.
    pub list_kind: String,
    /// Whether objects live in namespaces.
    pub namespaced: bool,
    /// Abbreviations for kubectl.
    pub short_names: Vec<String>,
    /// Groups of resources such as `all`.
    pub categories: Vec<String>,
    /// `status`, `scale` and the others, where there are such.
    pub subresources: Vec<String>,
    /// What a CRD adds; built-in kinds have none.
    pub custom: Option<Custom>,
}

/// The part of a CRD that serves one version.
#[derive(Debug, Clone, PartialEq)]
pub struct Custom {
    /// `openAPIV3Schema`.
    pub schema: Value,
    /// Warning for each answer in a deprecated version.
    pub deprecation: Option<String>,
    /// Columns for tables.
    pub columns: Vec<Value>,
}

impl Resource {
    /// `apiVersion` of its objects.
    pub fn api_version(&self) -> String {
        api_version(&self.group, &self.version)
    }

    /// Whether it has the subresource.
    pub fn has(&self, subresource: &str) -> bool {
        self.subresources.iter().any(|s| s == subresource)
    }

    /// The group under which objects are stored: events are one set of objects in two groups.
    pub fn storage_group(&self) -> &str {
        if self.group == "events.k8s.io" { "" } else { &self.group }
    }

    /// What can be done with it, in discovery's order.
    pub fn verbs(&self) -> Vec<&'static str> {
        if self.custom.is_some() {
            let verbs = "delete deletecollection get list patch create update watch";
            return verbs.split(' ').collect();
        }
        let only = match (self.group.as_str(), self.plural.as_str()) {
            ("authorization.k8s.io" | "authentication.k8s.io", _) | ("", "bindings") => "create",
            ("", "componentstatuses") => "get list",
            ("", "namespaces") => "create delete get list patch update watch",
            _ => "create delete deletecollection get list patch update watch",
        };
        only.split(' ').collect()
    }

    /// Group, version and kind that a subresource takes and answers with, and its verbs; group and
    /// version are empty where they are the resource's own.
    pub fn subresource(
        &self,
        name: &str,
    ) -> (&'static str, &'static str, String, Vec<&'static str>) {
        let of = |group, version, kind: &str, verbs: &'static str| {
            (group, version, kind.to_owned(), verbs.split(' ').collect())
        };
        let options = |what: &str| format!("{}{what}Options", self.kind);
        match name {
            "scale" => of("autoscaling", "v1", "Scale", "get patch update"),
            "eviction" => of("policy", "v1", "Eviction", "create"),
            "token" => of("authentication.k8s.io", "v1", "TokenRequest", "create"),
            "binding" => of("", "", "Binding", "create"),
            "finalize" => of("", "", &self.kind, "update"),
            "log" => of("", "", &self.kind, "get"),
            "attach" => of("", "", &options("Attach"), "create get"),
            "exec" => of("", "", &options("Exec"), "create get"),
            "portforward" => of("", "", &options("PortForward"), "create get"),
            "proxy" => of("", "", &options("Proxy"), "create delete get patch update"),
            _ => of("", "", &self.kind, "get patch update"),
        }
    }

    /// Whether the group and plural are these.
    pub fn is(&self, group: &str, plural: &str) -> bool {
        self.group == group && self.plural == plural
    }
}

/// `group/version`, or the version alone for the core group.
pub fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

/// Splits an `apiVersion` into group and version.
pub fn split_api_version(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

/// group, version, plural, singular, kind, namespaced, short names, categories, subresources
type Row = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    bool,
    &'static str,
    &'static str,
    &'static str,
);

/// The built-in kinds in the order in which a 1.36 server lists them.
#[rustfmt::skip]
const TABLE: &[Row] = &[
    ("", "v1", "bindings", "binding", "Binding", true, "", "", ""),
    ("", "v1", "componentstatuses", "componentstatus", "ComponentStatus", false, "cs", "", ""),
    ("", "v1", "configmaps", "configmap", "ConfigMap", true, "cm", "", ""),
    ("", "v1", "endpoints", "endpoints", "Endpoints", true, "ep", "", ""),
    ("", "v1", "events", "event", "Event", true, "ev", "", ""),
    ("", "v1", "limitranges", "limitrange", "LimitRange", true, "limits", "", ""),
    ("", "v1", "namespaces", "namespace", "Namespace", false, "ns", "", "finalize,status"),
    ("", "v1", "nodes", "node", "Node", false, "no", "", "proxy,status"),
    ("", "v1", "persistentvolumeclaims", "persistentvolumeclaim", "PersistentVolumeClaim", true, "pvc", "", "status"),
    ("", "v1", "persistentvolumes", "persistentvolume", "PersistentVolume", false, "pv", "", "status"),
    ("", "v1", "pods", "pod", "Pod", true, "po", "all", "attach,binding,ephemeralcontainers,eviction,exec,log,portforward,proxy,resize,status"),
    ("", "v1", "podtemplates", "podtemplate", "PodTemplate", true, "", "", ""),
    ("", "v1", "replicationcontrollers", "replicationcontroller", "ReplicationController", true, "rc", "all", "scale,status"),
    ("", "v1", "resourcequotas", "resourcequota", "ResourceQuota", true, "quota", "", "status"),
    ("", "v1", "secrets", "secret", "Secret", true, "", "", ""),
    ("", "v1", "serviceaccounts", "serviceaccount", "ServiceAccount", true, "sa", "", "token"),
    ("", "v1", "services", "service", "Service", true, "svc", "all", "proxy,status"),
    ("apiregistration.k8s.io", "v1", "apiservices", "apiservice", "APIService", false, "", "api-extensions", "status"),
    ("apps", "v1", "controllerrevisions", "controllerrevision", "ControllerRevision", true, "", "", ""),
    ("apps", "v1", "daemonsets", "daemonset", "DaemonSet", true, "ds", "all", "status"),
    ("apps", "v1", "deployments", "deployment", "Deployment", true, "deploy", "all", "scale,status"),
    ("apps", "v1", "replicasets", "replicaset", "ReplicaSet", true, "rs", "all", "scale,status"),
    ("apps", "v1", "statefulsets", "statefulset", "StatefulSet", true, "sts", "all", "scale,status"),
    ("events.k8s.io", "v1", "events", "event", "Event", true, "ev", "", ""),
    ("authentication.k8s.io", "v1", "selfsubjectreviews", "selfsubjectreview", "SelfSubjectReview", false, "", "", ""),
    ("authentication.k8s.io", "v1", "tokenreviews", "tokenreview", "TokenReview", false, "", "", ""),
    ("authorization.k8s.io", "v1", "localsubjectaccessreviews", "localsubjectaccessreview", "LocalSubjectAccessReview", true, "", "", ""),
    ("authorization.k8s.io", "v1", "selfsubjectaccessreviews", "selfsubjectaccessreview", "SelfSubjectAccessReview", false, "", "", ""),
    ("authorization.k8s.io", "v1", "selfsubjectrulesreviews", "selfsubjectrulesreview", "SelfSubjectRulesReview", false, "", "", ""),
    ("authorization.k8s.io", "v1", "subjectaccessreviews", "subjectaccessreview", "SubjectAccessReview", false, "", "", ""),
    ("autoscaling", "v2", "horizontalpodautoscalers", "horizontalpodautoscaler", "HorizontalPodAutoscaler", true, "hpa", "all", "status"),
    ("autoscaling", "v1", "horizontalpodautoscalers", "horizontalpodautoscaler", "HorizontalPodAutoscaler", true, "hpa", "all", "status"),
    ("batch", "v1", "cronjobs", "cronjob", "CronJob", true, "cj", "all", "status"),
    ("batch", "v1", "jobs", "job", "Job", true, "", "all", "status"),
    ("certificates.k8s.io", "v1", "certificatesigningrequests", "certificatesigningrequest", "CertificateSigningRequest", false, "csr", "", "approval,status"),
    ("networking.k8s.io", "v1", "ingressclasses", "ingressclass", "IngressClass", false, "", "", ""),
    ("networking.k8s.io", "v1", "ingresses", "ingress", "Ingress", true, "ing", "", "status"),
    ("networking.k8s.io", "v1", "ipaddresses", "ipaddress", "IPAddress", false, "ip", "", ""),
    ("networking.k8s.io", "v1", "networkpolicies", "networkpolicy", "NetworkPolicy", true, "netpol", "", ""),
    ("networking.k8s.io", "v1", "servicecidrs", "servicecidr", "ServiceCIDR", false, "", "", "status"),
    ("policy", "v1", "poddisruptionbudgets", "poddisruptionbudget", "PodDisruptionBudget", true, "pdb", "", "status"),
    ("rbac.authorization.k8s.io", "v1", "clusterrolebindings", "clusterrolebinding", "ClusterRoleBinding", false, "", "", ""),
    ("rbac.authorization.k8s.io", "v1", "clusterroles", "clusterrole", "ClusterRole", false, "", "", ""),
    ("rbac.authorization.k8s.io", "v1", "rolebindings", "rolebinding", "RoleBinding", true, "", "", ""),
    ("rbac.authorization.k8s.io", "v1", "roles", "role", "Role", true, "", "", ""),
    ("storage.k8s.io", "v1", "csidrivers", "csidriver", "CSIDriver", false, "", "", ""),
    ("storage.k8s.io", "v1", "csinodes", "csinode", "CSINode", false, "", "", ""),
    ("storage.k8s.io", "v1", "csistoragecapacities", "csistoragecapacity", "CSIStorageCapacity", true, "", "", ""),
    ("storage.k8s.io", "v1", "storageclasses", "storageclass", "StorageClass", false, "sc", "", ""),
    ("storage.k8s.io", "v1", "volumeattachments", "volumeattachment", "VolumeAttachment", false, "", "", "status"),
    ("storage.k8s.io", "v1", "volumeattributesclasses", "volumeattributesclass", "VolumeAttributesClass", false, "vac", "", ""),
    ("admissionregistration.k8s.io", "v1", "mutatingadmissionpolicies", "mutatingadmissionpolicy", "MutatingAdmissionPolicy", false, "", "api-extensions", ""),
    ("admissionregistration.k8s.io", "v1", "mutatingadmissionpolicybindings", "mutatingadmissionpolicybinding", "MutatingAdmissionPolicyBinding", false, "", "api-extensions", ""),
    ("admissionregistration.k8s.io", "v1", "mutatingwebhookconfigurations", "mutatingwebhookconfiguration", "MutatingWebhookConfiguration", false, "", "api-extensions", ""),
    ("admissionregistration.k8s.io", "v1", "validatingadmissionpolicies", "validatingadmissionpolicy", "ValidatingAdmissionPolicy", false, "", "api-extensions", "status"),
    ("admissionregistration.k8s.io", "v1", "validatingadmissionpolicybindings", "validatingadmissionpolicybinding", "ValidatingAdmissionPolicyBinding", false, "", "api-extensions", ""),
    ("admissionregistration.k8s.io", "v1", "validatingwebhookconfigurations", "validatingwebhookconfiguration", "ValidatingWebhookConfiguration", false, "", "api-extensions", ""),
    ("apiextensions.k8s.io", "v1", "customresourcedefinitions", "customresourcedefinition", "CustomResourceDefinition", false, "crd,crds", "api-extensions", "status"),
    ("scheduling.k8s.io", "v1", "priorityclasses", "priorityclass", "PriorityClass", false, "pc", "", ""),
    ("coordination.k8s.io", "v1", "leases", "lease", "Lease", true, "", "", ""),
    ("node.k8s.io", "v1", "runtimeclasses", "runtimeclass", "RuntimeClass", false, "", "", ""),
    ("discovery.k8s.io", "v1", "endpointslices", "endpointslice", "EndpointSlice", true, "", "", ""),
    ("resource.k8s.io", "v1", "deviceclasses", "deviceclass", "DeviceClass", false, "", "", ""),
    ("resource.k8s.io", "v1", "resourceclaims", "resourceclaim", "ResourceClaim", true, "", "", "status"),
    ("resource.k8s.io", "v1", "resourceclaimtemplates", "resourceclaimtemplate", "ResourceClaimTemplate", true, "", "", ""),
    ("resource.k8s.io", "v1", "resourceslices", "resourceslice", "ResourceSlice", false, "", "", ""),
    ("flowcontrol.apiserver.k8s.io", "v1", "flowschemas", "flowschema", "FlowSchema", false, "", "", "status"),
    ("flowcontrol.apiserver.k8s.io", "v1", "prioritylevelconfigurations", "prioritylevelconfiguration", "PriorityLevelConfiguration", false, "", "", "status"),
];

static BUILT_IN: LazyLock<Vec<Resource>> = LazyLock::new(|| {
    let words = |s: &str| s.split(',').filter(|w| !w.is_empty()).map(str::to_owned).collect();
    TABLE
        .iter()
        .map(|row| Resource {
            group: row.0.to_owned(),
            version: row.1.to_owned(),
            plural: row.2.to_owned(),
            singular: row.3.to_owned(),
            kind: row.4.to_owned(),
            list_kind: format!("{}List", row.4),
            namespaced: row.5,
            short_names: words(row.6),
            categories: words(row.7),
            subresources: words(row.8),
            custom: None,
        })
        .collect()
});

/// The built-in kinds.
pub fn built_in() -> &'static [Resource] {
    &BUILT_IN
}

/// Every served kind: built-in ones, then those of established CRDs.
pub fn served(store: &Store) -> Vec<Resource> {
    let mut all = BUILT_IN.clone();
    for crd in store.list("apiextensions.k8s.io", "customresourcedefinitions", None) {
        all.extend(of_crd(crd));
    }
    all
}

/// The served kind at a place in the API.
pub fn find(store: &Store, group: &str, version: &str, plural: &str) -> Option<Resource> {
    let fits = |r: &&Resource| r.group == group && r.version == version && r.plural == plural;
    if let Some(found) = BUILT_IN.iter().find(fits) {
        return Some(found.clone());
    }
    let name = format!("{plural}.{group}");
    let crd = store.get("apiextensions.k8s.io", "customresourcedefinitions", "", &name)?;
    of_crd_where(crd, |name| name == version).pop()
}

/// The kind of objects with this `apiVersion` and kind.
pub fn find_kind(store: &Store, api_version: &str, kind: &str) -> Option<Resource> {
    let (group, version) = split_api_version(api_version);
    let fits = |r: &&Resource| r.group == group && r.version == version && r.kind == kind;
    if let Some(found) = BUILT_IN.iter().find(fits) {
        return Some(found.clone());
    }
    let definitions = store.list("apiextensions.k8s.io", "customresourcedefinitions", None);
    let crd = definitions
        .into_iter()
        .find(|crd| text(crd, "/spec/group") == group && text(crd, "/spec/names/kind") == kind)?;
    of_crd_where(crd, |name| name == version).pop()
}

/// Group and plural of every namespaced kind, each once.
pub fn namespaced(store: &Store) -> Vec<(String, String)> {
    let built_in = BUILT_IN.iter().filter(|r| r.namespaced && r.storage_group() == r.group);
    let mut kinds: Vec<_> = built_in.map(|r| (r.group.clone(), r.plural.clone())).collect();
    // A kind of several versions is one.
    kinds.dedup();
    let definitions = store.list("apiextensions.k8s.io", "customresourcedefinitions", None);
    let custom = definitions.into_iter().filter(|crd| text(crd, "/spec/scope") == "Namespaced");
    kinds.extend(custom.map(|crd| {
        (text(crd, "/spec/group").to_owned(), text(crd, "/spec/names/plural").to_owned())
    }));
    kinds
}

/// The versions that a CRD serves, none before it is established.
pub fn of_crd(crd: &Value) -> Vec<Resource> {
    of_crd_where(crd, |_| true)
}

fn of_crd_where(crd: &Value, wanted: impl Fn(&str) -> bool) -> Vec<Resource> {
    let established = items(crd, "/status/conditions")
        .iter()
        .any(|c| text(c, "/type") == "Established" && text(c, "/status") == "True");
    if !established {
        return Vec::new();
    }
    let names = crd.pointer("/spec/names").cloned().unwrap_or_default();
    let words = |pointer| {
        items(&names, pointer).iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let group = text(crd, "/spec/group");
    let kind = text(&names, "/kind");
    items(crd, "/spec/versions")
        .iter()
        .filter(|v| v.get("served") == Some(&Value::Bool(true)) && wanted(text(v, "/name")))
        .map(|version| Resource {
            group: group.to_owned(),
            version: text(version, "/name").to_owned(),
            plural: text(&names, "/plural").to_owned(),
            singular: text(&names, "/singular").to_owned(),
            kind: kind.to_owned(),
            list_kind: text(&names, "/listKind").to_owned(),
            namespaced: text(crd, "/spec/scope") == "Namespaced",
            short_names: words("/shortNames"),
            categories: words("/categories"),
            subresources: ["status", "scale"]
                .into_iter()
                .filter(|s| version.pointer(&format!("/subresources/{s}")).is_some())
                .map(str::to_owned)
                .collect(),
            custom: Some(Custom {
                schema: version.pointer("/schema/openAPIV3Schema").cloned().unwrap_or_default(),
                deprecation: deprecation(crd, version),
                columns: items(version, "/additionalPrinterColumns").to_vec(),
            }),
        })
        .collect()
}

/// Stable versions before beta and alpha, newer before older, as the API server ranks them.
pub fn version_rank(version: &str) -> (u8, u32, u32) {
    let parse = |s: &str| s.parse::<u32>().unwrap_or(0);
    let rest = version.strip_prefix('v').unwrap_or(version);
    match (rest.split_once("beta"), rest.split_once("alpha")) {
        (Some((major, minor)), _) => (1, parse(major), parse(minor)),
        (_, Some((major, minor))) => (0, parse(major), parse(minor)),
        _ => (2, parse(rest), 0),
    }
}

fn deprecation(crd: &Value, version: &Value) -> Option<String> {
    if version.get("deprecated") != Some(&Value::Bool(true)) {
        return None;
    }
    let own = text(version, "/deprecationWarning");
    if !own.is_empty() {
        return Some(own.to_owned());
    }
    let (group, kind) = (text(crd, "/spec/group"), text(crd, "/spec/names/kind"));
    let name = text(version, "/name");
    let better = items(crd, "/spec/versions")
        .iter()
        .filter(|v| v.get("served") == Some(&Value::Bool(true)))
        .filter(|v| v.get("deprecated") != Some(&Value::Bool(true)))
        .map(|v| text(v, "/name"))
        .max_by_key(|v| version_rank(v))
        .filter(|v| version_rank(v) > version_rank(name));
    let hint = better.map(|v| format!("; use {group}/{v} {kind}")).unwrap_or_default();
    Some(format!("{group}/{name} {kind} is deprecated{hint}"))
}
