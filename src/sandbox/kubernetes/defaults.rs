//! Defaults that the API server fills in when it decodes a built-in object.
//!
//! They are there before field managers are worked out: what an update's body leaves out and
//! the server defaults belongs to the updater (recording 14, the pod's managed fields).

use serde_json::{Value, json};

use super::resources::Resource;
use super::value::{child, default_to, each, fields, number, text};

/// Fills in the defaults of one object; custom resources get theirs from their schema.
pub fn apply(resource: &Resource, object: &mut Value) {
    match (resource.group.as_str(), resource.plural.as_str()) {
        ("", "namespaces") => {
            let name = text(object, "/metadata/name").to_owned();
            if !name.is_empty() {
                let labels = child(child(object, "metadata"), "labels");
                default_to(labels, "kubernetes.io/metadata.name", name);
            }
        }
        ("", "pods") => pod(object),
        ("", "replicationcontrollers") => {
            let spec = child(object, "spec");
            default_to(spec, "replicas", 1);
            template(child(spec, "template"));
        }
        ("", "podtemplates") => template(child(object, "template")),
        ("", "services") => service(object),
        ("", "persistentvolumeclaims") => claim(object),
        ("", "persistentvolumes") => {
            let spec = child(object, "spec");
            default_to(spec, "persistentVolumeReclaimPolicy", "Retain");
            default_to(spec, "volumeMode", "Filesystem");
            if let Some(path) = spec.get_mut("hostPath") {
                default_to(path, "type", "");
            }
        }
        ("", "secrets") => default_to(object, "type", "Opaque"),
        ("apps", plural) => workload(plural, object),
        ("batch", "jobs") => job(child(object, "spec")),
        ("batch", "cronjobs") => cron_job(object),
        ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings") => binding(object),
        ("scheduling.k8s.io", "priorityclasses") => {
            default_to(object, "preemptionPolicy", "PreemptLowerPriority");
        }
        ("storage.k8s.io", "storageclasses") => {
            default_to(object, "reclaimPolicy", "Delete");
            default_to(object, "volumeBindingMode", "Immediate");
        }
        ("networking.k8s.io", "networkpolicies") => network_policy(child(object, "spec")),
        ("autoscaling", "horizontalpodautoscalers") => {
            default_to(child(object, "spec"), "minReplicas", 1);
        }
        ("apiextensions.k8s.io", "customresourcedefinitions") => definition(object),
        _ => {}
    }
}

fn workload(plural: &str, object: &mut Value) {
    let spec = child(object, "spec");
    match plural {
        "deployments" => {
            default_to(spec, "replicas", 1);
            let strategy = child(spec, "strategy");
            default_to(strategy, "type", "RollingUpdate");
            if text(strategy, "/type") == "RollingUpdate" {
                let rolling = child(strategy, "rollingUpdate");
                default_to(rolling, "maxUnavailable", "25%");
                default_to(rolling, "maxSurge", "25%");
            }
            default_to(spec, "revisionHistoryLimit", 10);
            default_to(spec, "progressDeadlineSeconds", 600);
            // These times are written as null where nobody set them (recording 14).
            if let Some(status) = object.get_mut("status") {
                each(status, "conditions", |condition| {
                    default_to(condition, "lastUpdateTime", Value::Null);
                    default_to(condition, "lastTransitionTime", Value::Null);
                });
            }
        }
        "statefulsets" => {
            default_to(spec, "replicas", 1);
            default_to(spec, "podManagementPolicy", "OrderedReady");
            default_to(spec, "revisionHistoryLimit", 10);
            let strategy = child(spec, "updateStrategy");
            default_to(strategy, "type", "RollingUpdate");
            if text(strategy, "/type") == "RollingUpdate" {
                default_to(child(strategy, "rollingUpdate"), "partition", 0);
            }
            let retention = child(spec, "persistentVolumeClaimRetentionPolicy");
            default_to(retention, "whenDeleted", "Retain");
            default_to(retention, "whenScaled", "Retain");
            each(spec, "volumeClaimTemplates", |wanted| {
                default_to(wanted, "apiVersion", "v1");
                default_to(wanted, "kind", "PersistentVolumeClaim");
                claim(wanted);
                default_to(child(wanted, "status"), "phase", "Pending");
            });
        }
        "daemonsets" => {
            default_to(spec, "revisionHistoryLimit", 10);
            let strategy = child(spec, "updateStrategy");
            default_to(strategy, "type", "RollingUpdate");
            if text(strategy, "/type") == "RollingUpdate" {
                let rolling = child(strategy, "rollingUpdate");
                default_to(rolling, "maxUnavailable", 1);
                default_to(rolling, "maxSurge", 0);
            }
        }
        "replicasets" => default_to(spec, "replicas", 1),
        _ => return,
    }
    template(child(child(object, "spec"), "template"));
}

fn job(spec: &mut Value) {
    // An indexed or work-queue job leaves completions out on purpose.
    if spec.get("completions").is_none() && spec.get("parallelism").is_none() {
        default_to(spec, "completions", 1);
    }
    default_to(spec, "parallelism", 1);
    default_to(spec, "backoffLimit", 6);
    default_to(spec, "completionMode", "NonIndexed");
    default_to(spec, "suspend", false);
    default_to(spec, "podReplacementPolicy", "TerminatingOrFailed");
    template(child(spec, "template"));
}

fn cron_job(object: &mut Value) {
    let spec = child(object, "spec");
    default_to(spec, "concurrencyPolicy", "Allow");
    default_to(spec, "suspend", false);
    default_to(spec, "successfulJobsHistoryLimit", 3);
    default_to(spec, "failedJobsHistoryLimit", 1);
    let job_template = child(spec, "jobTemplate");
    child(job_template, "metadata");
    template(child(child(job_template, "spec"), "template"));
}

fn binding(object: &mut Value) {
    let group = "rbac.authorization.k8s.io";
    default_to(child(object, "roleRef"), "apiGroup", group);
    each(object, "subjects", |subject| match text(subject, "/kind") {
        "User" | "Group" => default_to(subject, "apiGroup", group),
        _ => {}
    });
}

fn network_policy(spec: &mut Value) {
    if spec.get("policyTypes").is_none() {
        let mut types = vec![json!("Ingress")];
        if spec.get("egress").is_some_and(|e| e.as_array().is_some_and(|e| !e.is_empty())) {
            types.push(json!("Egress"));
        }
        default_to(spec, "policyTypes", types);
    }
}

fn definition(object: &mut Value) {
    let spec = child(object, "spec");
    let names = child(spec, "names");
    let kind = text(names, "/kind").to_owned();
    if !kind.is_empty() {
        default_to(names, "singular", kind.to_lowercase());
        default_to(names, "listKind", format!("{kind}List"));
    }
    default_to(child(spec, "conversion"), "strategy", "None");
}

fn service(object: &mut Value) {
    let spec = child(object, "spec");
    default_to(spec, "type", "ClusterIP");
    default_to(spec, "sessionAffinity", "None");
    if text(spec, "/type") != "ExternalName" {
        default_to(spec, "internalTrafficPolicy", "Cluster");
    }
    if matches!(text(spec, "/type"), "NodePort" | "LoadBalancer") {
        default_to(spec, "externalTrafficPolicy", "Cluster");
    }
    if text(spec, "/type") == "LoadBalancer" {
        default_to(spec, "allocateLoadBalancerNodePorts", true);
    }
    each(spec, "ports", |port| {
        default_to(port, "protocol", "TCP");
        if let Some(number) = number(port, "/port") {
            default_to(port, "targetPort", number);
        }
    });
}

fn claim(object: &mut Value) {
    default_to(child(object, "spec"), "volumeMode", "Filesystem");
}

/// A pod of its own has defaults that a template does not.
fn pod(object: &mut Value) {
    let spec = child(object, "spec");
    pod_spec(spec);
    default_to(spec, "enableServiceLinks", true);
    each(spec, "containers", |container| {
        let limits = container.pointer("/resources/limits").cloned();
        for (name, limit) in limits.as_ref().and_then(Value::as_object).into_iter().flatten() {
            default_to(child(child(container, "resources"), "requests"), name, limit.clone());
        }
    });
}

/// A pod template.
fn template(template: &mut Value) {
    child(template, "metadata");
    if template.get("spec").is_some() {
        pod_spec(child(template, "spec"));
    }
}

fn pod_spec(spec: &mut Value) {
    for kind in ["initContainers", "containers", "ephemeralContainers"] {
        each(spec, kind, container);
    }
    default_to(spec, "restartPolicy", "Always");
    default_to(spec, "terminationGracePeriodSeconds", 30);
    default_to(spec, "dnsPolicy", "ClusterFirst");
    default_to(spec, "securityContext", json!({}));
    default_to(spec, "schedulerName", "default-scheduler");
    let account = text(spec, "/serviceAccountName").to_owned();
    if !account.is_empty() {
        default_to(spec, "serviceAccount", account);
    } else if !text(spec, "/serviceAccount").is_empty() {
        let account = text(spec, "/serviceAccount").to_owned();
        default_to(spec, "serviceAccountName", account);
    }
    each(spec, "volumes", volume);
    if spec.get("hostNetwork") == Some(&Value::Bool(true)) {
        each(spec, "containers", |container| {
            each(container, "ports", |port| {
                if let Some(number) = number(port, "/containerPort") {
                    default_to(port, "hostPort", number);
                }
            });
        });
    }
}

fn container(container: &mut Value) {
    default_to(container, "terminationMessagePath", "/dev/termination-log");
    default_to(container, "terminationMessagePolicy", "File");
    child(container, "resources");
    let policy = pull_policy(text(container, "/image"));
    default_to(container, "imagePullPolicy", policy);
    each(container, "ports", |port| default_to(port, "protocol", "TCP"));
    each(container, "env", |variable| {
        if let Some(field) = variable.pointer_mut("/valueFrom/fieldRef") {
            default_to(field, "apiVersion", "v1");
        }
    });
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = container.get_mut(name).filter(|p| p.is_object()) {
            default_to(probe, "timeoutSeconds", 1);
            default_to(probe, "periodSeconds", 10);
            default_to(probe, "successThreshold", 1);
            default_to(probe, "failureThreshold", 3);
            handler(probe);
        }
    }
    for name in ["postStart", "preStop"] {
        if let Some(hook) = container.pointer_mut(&format!("/lifecycle/{name}")) {
            handler(hook);
        }
    }
}

fn handler(handler: &mut Value) {
    if let Some(get) = handler.get_mut("httpGet") {
        default_to(get, "path", "/");
        default_to(get, "scheme", "HTTP");
    }
    if let Some(grpc) = handler.get_mut("grpc") {
        default_to(grpc, "service", "");
    }
}

fn pull_policy(image: &str) -> &'static str {
    let name = image.rsplit('/').next().unwrap_or_default();
    let tag = name.split_once('@').map_or(name, |(tagged, _)| tagged).split_once(':');
    match (tag, name.contains('@')) {
        (None, false) | (Some((_, "latest")), _) => "Always",
        _ => "IfNotPresent",
    }
}

fn volume(volume: &mut Value) {
    let sources = fields(volume).keys().filter(|key| *key != "name").count();
    if sources == 0 {
        child(volume, "emptyDir");
    }
    if let Some(path) = volume.get_mut("hostPath") {
        default_to(path, "type", "");
    }
    for name in ["secret", "configMap", "downwardAPI", "projected"] {
        if let Some(source) = volume.get_mut(name) {
            default_to(source, "defaultMode", 0o644);
        }
    }
    if let Some(projected) = volume.get_mut("projected") {
        each(projected, "sources", |source| {
            if let Some(token) = source.get_mut("serviceAccountToken") {
                default_to(token, "expirationSeconds", 3600);
            }
        });
    }
    if let Some(spec) = volume.pointer_mut("/ephemeral/volumeClaimTemplate/spec") {
        default_to(spec, "volumeMode", "Filesystem");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pull_policy_follows_the_tag() {
        for (image, wanted) in [
            ("nginx", "Always"),
            ("nginx:latest", "Always"),
            ("registry:5000/nginx", "Always"),
            ("registry:5000/nginx:1.2", "IfNotPresent"),
            ("nginx@sha256:abc", "IfNotPresent"),
        ] {
            assert_eq!(pull_policy(image), wanted, "{image}");
        }
    }
}
