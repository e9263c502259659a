//! What must not change about an object once it exists.

use serde_json::{Map, Value, json};
use similar::TextDiff;

use crate::sandbox::kubernetes::quantities::nanos;
use crate::sandbox::kubernetes::resources::Resource;
use crate::sandbox::kubernetes::status::Cause;
use crate::sandbox::kubernetes::value::text;

const IMMUTABLE: &str = "field is immutable";

/// Causes against a change from `live` to `new`.
pub fn changed(resource: &Resource, new: &Value, live: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let differs = |pointer: &str| new.pointer(pointer) != live.pointer(pointer);
    let at = |pointer: &str| new.pointer(pointer).cloned().unwrap_or(Value::Null);
    match (resource.group.as_str(), resource.plural.as_str()) {
        ("apps", "deployments" | "replicasets" | "daemonsets") if differs("/spec/selector") => {
            causes.push(Cause::invalid("spec.selector", &at("/spec/selector"), IMMUTABLE));
        }
        ("apps", "statefulsets") => stateful_set(new, live, &mut causes),
        ("batch", "jobs") => {
            for field in ["selector", "template", "completionMode"] {
                let pointer = format!("/spec/{field}");
                if differs(&pointer) {
                    causes.push(Cause::invalid(format!("spec.{field}"), &at(&pointer), IMMUTABLE));
                }
            }
        }
        ("", "persistentvolumeclaims") => claim(new, live, &mut causes),
        ("", "services") => service(new, live, &mut causes),
        ("", "secrets" | "configmaps") => {
            if resource.plural == "secrets" && differs("/type") {
                causes.push(Cause::invalid("type", &at("/type"), IMMUTABLE));
            }
            if live.get("immutable") == Some(&Value::Bool(true)) {
                let detail = "field is immutable when `immutable` is set";
                for field in ["immutable", "data", "binaryData"] {
                    if differs(&format!("/{field}")) {
                        causes.push(Cause::forbidden(field, detail));
                    }
                }
            }
        }
        ("", "pods") => pod(new, live, &mut causes),
        ("scheduling.k8s.io", "priorityclasses") => {
            if differs("/value") {
                causes.push(Cause::forbidden("value", "may not be changed in an update."));
            }
            if differs("/preemptionPolicy") {
                let value = at("/preemptionPolicy");
                causes.push(Cause::invalid("preemptionPolicy", &value, IMMUTABLE));
            }
        }
        ("storage.k8s.io", "storageclasses") => {
            for field in ["provisioner", "parameters", "reclaimPolicy", "volumeBindingMode"] {
                if differs(&format!("/{field}")) {
                    let detail = "updates to {} are forbidden.".replace("{}", field);
                    causes.push(Cause::forbidden(field, &detail));
                }
            }
        }
        ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings")
            if differs("/roleRef") =>
        {
            causes.push(Cause::invalid("roleRef", &at("/roleRef"), "cannot change roleRef"));
        }
        ("apiextensions.k8s.io", "customresourcedefinitions") => {
            for field in ["group", "scope"] {
                let pointer = format!("/spec/{field}");
                if differs(&pointer) {
                    causes.push(Cause::invalid(format!("spec.{field}"), &at(&pointer), IMMUTABLE));
                }
            }
        }
        _ => {}
    }
    causes
}

fn stateful_set(new: &Value, live: &Value, causes: &mut Vec<Cause>) {
    const FREE: [&str; 7] = [
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    ];
    let fixed = |object: &Value| {
        let spec = object.get("spec").and_then(Value::as_object).cloned().unwrap_or_default();
        spec.into_iter().filter(|(k, _)| !FREE.contains(&k.as_str())).collect::<Map<_, _>>()
    };
    if fixed(new) != fixed(live) {
        causes.push(Cause::forbidden(
            "spec",
            "updates to statefulset spec for fields other than 'replicas', 'ordinals', \
             'template', 'updateStrategy', 'revisionHistoryLimit', \
             'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
        ));
    }
}

fn service(new: &Value, live: &Value, causes: &mut Vec<Cause>) {
    let external = |o: &Value| text(o, "/spec/type") == "ExternalName";
    if external(new) || external(live) {
        return;
    }
    let was = text(live, "/spec/clusterIP");
    let is = text(new, "/spec/clusterIP");
    if !was.is_empty() && was != is {
        let detail = "may not change once set";
        causes.push(Cause::invalid("spec.clusterIPs[0]", &json!([is]), detail));
    }
}

fn pod(new: &Value, live: &Value, causes: &mut Vec<Cause>) {
    let fixed = |object: &Value| {
        let mut spec = object.get("spec").cloned().unwrap_or_default();
        for field in ["activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds"] {
            super::super::value::set(&mut spec, field, None);
        }
        for list in ["containers", "initContainers"] {
            super::super::value::each(&mut spec, list, |container| {
                super::super::value::set(container, "image", None);
            });
        }
        spec
    };
    if fixed(new) != fixed(live) {
        causes.push(Cause::forbidden(
            "spec",
            "pod updates may not change fields other than `spec.containers[*].image`, \
             `spec.initContainers[*].image`, `spec.activeDeadlineSeconds`, `spec.tolerations` \
             (only additions to existing tolerations), `spec.terminationGracePeriodSeconds` \
             (allow it to be set to 1 if it was previously negative)",
        ));
    }
}

fn claim(new: &Value, live: &Value, causes: &mut Vec<Cause>) {
    let requests = "/spec/resources/requests/storage";
    let bound = text(live, "/status/phase") == "Bound";
    let free = |object: &Value| {
        let mut view = internal(object);
        if bound && let Some(resources) = view.get_mut("Resources") {
            super::super::value::set(resources, "Requests", None);
            super::super::value::set(&mut view, "VolumeAttributesClassName", None);
        }
        view
    };
    // The claim's controller may fill in the volume of a claim that has none.
    let binding =
        text(live, "/spec/volumeName").is_empty() && !text(new, "/spec/volumeName").is_empty() && {
            let mut filled = live.clone();
            if let Some(spec) = filled.get_mut("spec") {
                super::super::value::set(
                    spec,
                    "volumeName",
                    new.pointer("/spec/volumeName").cloned(),
                );
            }
            free(&filled) == free(new)
        };
    if free(new) != free(live) && !binding {
        let detail = "spec is immutable after creation except resources.requests and \
                      volumeAttributesClassName for bound claims";
        causes.push(Cause::forbidden("spec", &format!("{detail}\n{}", difference(live, new))));
        return;
    }
    let (was, is) = (nanos(text(live, requests)), nanos(text(new, requests)));
    if bound && is < was {
        let detail = "field can not be less than status.capacity";
        causes.push(Cause::forbidden("spec.resources.requests.storage", detail));
    }
}

/// The spec as the server's internal type prints it, which is what its message compares.
fn internal(claim: &Value) -> Value {
    let at = |pointer: &str| claim.pointer(pointer).cloned().unwrap_or(Value::Null);
    json!({
        "AccessModes": at("/spec/accessModes"),
        "Selector": at("/spec/selector"),
        "Resources": {
            "Limits": at("/spec/resources/limits"),
            "Requests": at("/spec/resources/requests"),
        },
        "VolumeName": text(claim, "/spec/volumeName"),
        "StorageClassName": at("/spec/storageClassName"),
        "VolumeMode": at("/spec/volumeMode"),
        "DataSource": at("/spec/dataSource"),
        "DataSourceRef": at("/spec/dataSourceRef"),
        "VolumeAttributesClassName": at("/spec/volumeAttributesClassName"),
    })
}

fn difference(live: &Value, new: &Value) -> String {
    let print = |claim: &Value| {
        let mut bytes = Vec::new();
        let formatter = serde_json::ser::PrettyFormatter::with_indent(b" ");
        let mut printer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
        match serde::Serialize::serialize(&internal(claim), &mut printer) {
            Ok(()) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(_) => String::new(),
        }
    };
    let (old, new) = (print(live), print(new));
    TextDiff::from_lines(&old, &new)
        .unified_diff()
        .context_radius(3)
        .missing_newline_hint(false)
        .to_string()
}
