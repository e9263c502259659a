//! Pod specs, in pods and in templates.

use std::collections::BTreeSet;

use serde_json::Value;

use super::names::is_label;
use crate::sandbox::kubernetes::quantities::nanos;
use crate::sandbox::kubernetes::status::Cause;
use crate::sandbox::kubernetes::value::{items, text};

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters \
                     or '-', and must start and end with an alphanumeric character (e.g. \
                     'my-name',  or '123-abc', regex used for validation is \
                     '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";

/// Sources of a volume, in the order in which they are looked at: of several, the first is taken
/// for the one that is meant (k8s.io/kubernetes/pkg/apis/core/validation, `validateVolumeSource`).
const SOURCES: [&str; 11] = [
    "emptyDir",
    "hostPath",
    "secret",
    "nfs",
    "iscsi",
    "persistentVolumeClaim",
    "downwardAPI",
    "configMap",
    "projected",
    "ephemeral",
    "csi",
];

/// Causes against a pod spec; `policies` are the restart policies allowed here.
pub fn spec(spec: &Value, at: &str, policies: &[&str], causes: &mut Vec<Cause>) {
    let mut volumes = BTreeSet::new();
    for (i, volume) in items(spec, "/volumes").iter().enumerate() {
        let name = text(volume, "/name");
        let field = format!("{at}.volumes[{i}].name");
        if name.is_empty() {
            causes.push(Cause::required(field, ""));
        } else if !is_label(name) {
            causes.push(Cause::invalid(field, &name.into(), LABEL));
        } else if !volumes.insert(name) {
            causes.push(Cause::duplicate(field, &name.into()));
        }
        let sources = SOURCES.iter().filter(|source| volume.get(**source).is_some());
        for source in sources.skip(1) {
            let field = format!("{at}.volumes[{i}].{source}");
            causes.push(Cause::forbidden(field, "may not specify more than 1 volume type"));
        }
        let claim = volume.get("persistentVolumeClaim");
        if claim.is_some_and(|c| text(c, "/claimName").is_empty()) {
            let field = format!("{at}.volumes[{i}].persistentVolumeClaim.claimName");
            causes.push(Cause::required(field, ""));
        }
    }
    if items(spec, "/containers").is_empty() {
        causes.push(Cause::required(format!("{at}.containers"), ""));
    }
    let mut names = BTreeSet::new();
    for list in ["containers", "initContainers"] {
        for (i, one) in items(spec, &format!("/{list}")).iter().enumerate() {
            container(one, &format!("{at}.{list}[{i}]"), &mut names, &volumes, causes);
        }
    }
    let policy = text(spec, "/restartPolicy");
    if !policies.contains(&policy) {
        let field = format!("{at}.restartPolicy");
        causes.push(Cause::unsupported(field, &policy.into(), policies));
    }
}

fn container<'a>(
    container: &'a Value,
    at: &str,
    names: &mut BTreeSet<&'a str>,
    volumes: &BTreeSet<&str>,
    causes: &mut Vec<Cause>,
) {
    let name = text(container, "/name");
    let field = format!("{at}.name");
    if name.is_empty() {
        causes.push(Cause::required(field, ""));
    } else if !is_label(name) {
        causes.push(Cause::invalid(field, &name.into(), LABEL));
    } else if !names.insert(name) {
        causes.push(Cause::duplicate(field, &name.into()));
    }
    if text(container, "/image").is_empty() {
        causes.push(Cause::required(format!("{at}.image"), ""));
    }
    for (i, one) in items(container, "/ports").iter().enumerate() {
        port(one.get("containerPort"), &format!("{at}.ports[{i}].containerPort"), causes);
    }
    for (i, variable) in items(container, "/env").iter().enumerate() {
        if text(variable, "/name").is_empty() {
            causes.push(Cause::required(format!("{at}.env[{i}].name"), ""));
        }
        if variable.get("value").is_some() && variable.get("valueFrom").is_some() {
            let detail = "may not be specified when `value` is not empty";
            let field = format!("{at}.env[{i}].valueFrom");
            causes.push(Cause::invalid(field, &"".into(), detail));
        }
    }
    let mut paths = BTreeSet::new();
    for (i, mount) in items(container, "/volumeMounts").iter().enumerate() {
        let name = text(mount, "/name");
        if name.is_empty() {
            causes.push(Cause::required(format!("{at}.volumeMounts[{i}].name"), ""));
        } else if !volumes.contains(name) {
            causes.push(Cause::not_found(format!("{at}.volumeMounts[{i}].name"), name));
        }
        let path = text(mount, "/mountPath");
        let field = format!("{at}.volumeMounts[{i}].mountPath");
        if path.is_empty() {
            causes.push(Cause::required(field, ""));
        } else if !paths.insert(path) {
            causes.push(Cause::invalid(field, &path.into(), "must be unique"));
        }
    }
    resources(container, at, causes);
}

fn resources(container: &Value, at: &str, causes: &mut Vec<Cause>) {
    let requests = container.pointer("/resources/requests").and_then(Value::as_object);
    for (name, request) in requests.into_iter().flatten() {
        let limit = text(container, &format!("/resources/limits/{name}"));
        let wanted = request.as_str().unwrap_or_default();
        if let (Some(least), Some(most)) = (nanos(wanted), nanos(limit))
            && least > most
        {
            let detail = format!("must be less than or equal to {name} limit of {limit}");
            let field = format!("{at}.resources.requests");
            causes.push(Cause::invalid(field, request, &detail));
        }
    }
}

/// Causes against a port number.
pub fn port(port: Option<&Value>, field: &str, causes: &mut Vec<Cause>) {
    match port.and_then(Value::as_i64) {
        None | Some(0) if field.ends_with("containerPort") => {
            causes.push(Cause::required(field, ""))
        }
        Some(1..=65535) => {}
        other => {
            let value = other.unwrap_or(0).into();
            causes.push(Cause::invalid(field, &value, "must be between 1 and 65535, inclusive"));
        }
    }
}
