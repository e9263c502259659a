//! What the API server refuses about an object, in its own words.

mod change;
mod names;
mod pods;

use serde_json::Value;

use super::resources::Resource;
use super::status::Cause;
use super::value::{items, number, selects, text};

pub use change::changed;

/// Causes against an object as it is, whether it is created or changed.
pub fn object(resource: &Resource, object: &Value) -> Vec<Cause> {
    let mut causes = names::metadata(resource, object);
    let key = (resource.group.as_str(), resource.plural.as_str());
    match key {
        ("apps", "deployments" | "replicasets" | "statefulsets" | "daemonsets") => {
            workload(resource, object, &mut causes);
        }
        ("", "pods") => {
            let spec = object.get("spec").unwrap_or(&Value::Null);
            pods::spec(spec, "spec", &["Always", "OnFailure", "Never"], &mut causes);
        }
        ("batch", "jobs") => {
            let spec = object.pointer("/spec/template/spec").unwrap_or(&Value::Null);
            pods::spec(spec, "spec.template.spec", &["OnFailure", "Never"], &mut causes);
        }
        ("batch", "cronjobs") => cron_job(object, &mut causes),
        ("", "services") => service(object, &mut causes),
        ("", "persistentvolumeclaims") => claim(object, &mut causes),
        ("", "configmaps" | "secrets") => {
            for map in ["data", "binaryData"] {
                names::keys(object, map, &mut causes);
            }
            size(resource, object, &mut causes);
        }
        ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings") => {
            binding(object, &mut causes);
        }
        ("rbac.authorization.k8s.io", "roles" | "clusterroles") => {
            for (i, rule) in items(object, "/rules").iter().enumerate() {
                if items(rule, "/verbs").is_empty() {
                    let detail = "verbs must contain at least one value";
                    causes.push(Cause::required(format!("rules[{i}].verbs"), detail));
                }
            }
        }
        ("storage.k8s.io", "storageclasses") if text(object, "/provisioner").is_empty() => {
            causes.push(Cause::required("provisioner", ""));
        }
        ("apiextensions.k8s.io", "customresourcedefinitions") => definition(object, &mut causes),
        _ => {}
    }
    causes
}

/// How many bytes the values of a Secret or a ConfigMap have together at most
/// (k8s.io/api/core/v1, `MaxSecretSize`).
const MOST: usize = 1024 * 1024;

fn size(resource: &Resource, object: &Value, causes: &mut Vec<Cause>) {
    let of = |map: &str, is_encoded: bool| -> usize {
        let values = object.get(map).and_then(Value::as_object).into_iter().flatten();
        let texts = values.filter_map(|(_, value)| value.as_str());
        texts
            .map(|text| match is_encoded {
                true => text.trim_end_matches('=').len() * 3 / 4,
                false => text.len(),
            })
            .sum()
    };
    let (field, bytes) = match resource.plural.as_str() {
        "secrets" => ("data", of("data", true)),
        _ => ("", of("data", false) + of("binaryData", true)),
    };
    if bytes > MOST {
        causes.push(Cause::too_long(field, MOST));
    }
}

fn workload(resource: &Resource, object: &Value, causes: &mut Vec<Cause>) {
    let at_least_zero = "must be greater than or equal to 0";
    for field in ["replicas", "minReadySeconds", "revisionHistoryLimit"] {
        if let Some(n) = number(object, &format!("/spec/{field}")).filter(|n| *n < 0) {
            causes.push(Cause::invalid(format!("spec.{field}"), &n.into(), at_least_zero));
        }
    }
    let labels = object.pointer("/spec/template/metadata/labels");
    match object.pointer("/spec/selector") {
        None => {
            causes.push(Cause::required("spec.selector", ""));
            mismatch(labels, causes);
        }
        Some(selector) => {
            let empty = selector.as_object().is_some_and(serde_json::Map::is_empty);
            if empty {
                let detail = "empty selector is invalid for deployment"
                    .replace("deployment", &resource.singular);
                causes.push(Cause::invalid("spec.selector", selector, &detail));
            }
            if !empty && !selects(selector, labels) {
                mismatch(labels, causes);
            }
        }
    }
    if resource.plural == "deployments" {
        strategy(object, causes);
    }
    let spec = object.pointer("/spec/template/spec").unwrap_or(&Value::Null);
    pods::spec(spec, "spec.template.spec", &["Always"], causes);
}

fn mismatch(labels: Option<&Value>, causes: &mut Vec<Cause>) {
    causes.push(Cause::invalid(
        "spec.template.metadata.labels",
        labels.unwrap_or(&Value::Null),
        "`selector` does not match template `labels`",
    ));
}

fn strategy(object: &Value, causes: &mut Vec<Cause>) {
    let rolling = object.pointer("/spec/strategy/rollingUpdate");
    match text(object, "/spec/strategy/type") {
        "Recreate" if rolling.is_some() => causes.push(Cause::forbidden(
            "spec.strategy.rollingUpdate",
            "may not be specified when strategy `type` is 'Recreate'",
        )),
        "Recreate" | "RollingUpdate" => {}
        other => causes.push(Cause::unsupported(
            "spec.strategy.type",
            &other.into(),
            &["Recreate", "RollingUpdate"],
        )),
    }
}

fn cron_job(object: &Value, causes: &mut Vec<Cause>) {
    let schedule = text(object, "/spec/schedule");
    let words = schedule.split_whitespace().count();
    if schedule.is_empty() {
        causes.push(Cause::required("spec.schedule", ""));
    } else if !schedule.starts_with('@') && words != 5 {
        let detail = format!("expected exactly 5 fields, found {words}: [{schedule}]");
        causes.push(Cause::invalid("spec.schedule", &schedule.into(), &detail));
    }
    let known = ["Allow", "Forbid", "Replace"];
    let policy = text(object, "/spec/concurrencyPolicy");
    if !known.contains(&policy) {
        causes.push(Cause::unsupported("spec.concurrencyPolicy", &policy.into(), &known));
    }
    let pod = object.pointer("/spec/jobTemplate/spec/template/spec").unwrap_or(&Value::Null);
    pods::spec(pod, "spec.jobTemplate.spec.template.spec", &["OnFailure", "Never"], causes);
}

fn service(object: &Value, causes: &mut Vec<Cause>) {
    let kinds = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
    let kind = text(object, "/spec/type");
    if !kinds.contains(&kind) {
        causes.push(Cause::unsupported("spec.type", &kind.into(), &kinds));
    }
    let ports = items(object, "/spec/ports");
    let headless = text(object, "/spec/clusterIP") == "None";
    if ports.is_empty() && kind != "ExternalName" && !headless {
        causes.push(Cause::required("spec.ports", ""));
    }
    for (i, port) in ports.iter().enumerate() {
        let field = format!("spec.ports[{i}]");
        if ports.len() > 1 && text(port, "/name").is_empty() {
            causes.push(Cause::required(format!("{field}.name"), ""));
        }
        pods::port(port.get("port"), &format!("{field}.port"), causes);
        let same = |other: &&Value| {
            other.get("port") == port.get("port") && other.get("protocol") == port.get("protocol")
        };
        if ports.iter().take(i).any(|other| same(&other)) {
            let value = serde_json::json!({
                "protocol": text(port, "/protocol"), "port": port.get("port"),
            });
            causes.push(Cause::duplicate(field, &value));
        }
    }
}

fn claim(object: &Value, causes: &mut Vec<Cause>) {
    let modes = items(object, "/spec/accessModes");
    if modes.is_empty() {
        causes.push(Cause::required("spec.accessModes", "at least 1 access mode is required"));
    }
    let known = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
    for mode in modes {
        if !mode.as_str().is_some_and(|m| known.contains(&m)) {
            causes.push(Cause::unsupported("spec.accessModes", mode, &known));
        }
    }
    if object.pointer("/spec/resources/requests/storage").is_none() {
        causes.push(Cause::required("spec.resources[storage]", ""));
    }
}

fn binding(object: &Value, causes: &mut Vec<Cause>) {
    let group = text(object, "/roleRef/apiGroup");
    if group != "rbac.authorization.k8s.io" {
        let known = ["rbac.authorization.k8s.io"];
        causes.push(Cause::unsupported("roleRef.apiGroup", &group.into(), &known));
    }
    let known: &[&str] = if text(object, "/kind") == "RoleBinding" {
        &["ClusterRole", "Role"]
    } else {
        &["ClusterRole"]
    };
    let kind = text(object, "/roleRef/kind");
    if !known.contains(&kind) {
        causes.push(Cause::unsupported("roleRef.kind", &kind.into(), known));
    }
    if text(object, "/roleRef/name").is_empty() {
        causes.push(Cause::required("roleRef.name", ""));
    }
    for (i, subject) in items(object, "/subjects").iter().enumerate() {
        if text(subject, "/name").is_empty() {
            causes.push(Cause::required(format!("subjects[{i}].name"), ""));
        }
        let account = text(subject, "/kind") == "ServiceAccount";
        if account && text(subject, "/namespace").is_empty() {
            causes.push(Cause::required(format!("subjects[{i}].namespace"), ""));
        }
    }
}

fn definition(object: &Value, causes: &mut Vec<Cause>) {
    let (plural, group) = (text(object, "/spec/names/plural"), text(object, "/spec/group"));
    let name = text(object, "/metadata/name");
    if name != format!("{plural}.{group}") {
        let detail = "must be spec.names.plural+\".\"+spec.group";
        causes.push(Cause::invalid("metadata.name", &name.into(), detail));
    }
    let versions = items(object, "/spec/versions");
    let stored = versions.iter().filter(|v| v.get("storage") == Some(&Value::Bool(true))).count();
    if stored != 1 {
        let detail = "must have exactly one version marked as storage version";
        causes.push(Cause::invalid("spec.versions", &serde_json::json!([]), detail));
    }
    let scope = text(object, "/spec/scope");
    if !["Cluster", "Namespaced"].contains(&scope) {
        causes.push(Cause::unsupported("spec.scope", &scope.into(), &["Cluster", "Namespaced"]));
    }
    for (i, version) in versions.iter().enumerate() {
        if version.pointer("/schema/openAPIV3Schema").is_none() {
            let field = format!("spec.versions[{i}].schema.openAPIV3Schema");
            causes.push(Cause::required(field, "schemas are required"));
        }
    }
}
