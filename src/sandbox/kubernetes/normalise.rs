//! What decoding into the server's own types does to a built-in object: quantities become
//! canonical, zero values that are not written out disappear.

use serde_json::Value;

use super::quantities::{SYNTAX, canonical};
use super::value::{fields, text};

/// Maps whose values are quantities.
const QUANTITY_MAPS: [&str; 9] = [
    "limits",
    "requests",
    "capacity",
    "allocatable",
    "hard",
    "used",
    "overhead",
    "allocatedResources",
    "defaultRequest",
];
/// Members that are quantities themselves.
const QUANTITIES: [&str; 5] =
    ["sizeLimit", "divisor", "averageValue", "maximumVolumeSize", "storageCapacity"];
/// Booleans that the server's types leave out when they are false.
const FALSE_IS_ABSENT: [&str; 12] = [
    "globalDefault",
    "hostNetwork",
    "hostPID",
    "hostIPC",
    "readOnly",
    "stdin",
    "stdinOnce",
    "tty",
    "publishNotReadyAddresses",
    "paused",
    "unschedulable",
    "preserveUnknownFields",
];
/// Strings that the server's types leave out when they are empty.
const EMPTY_IS_ABSENT: [&str; 12] = [
    "nodeName",
    "subPath",
    "workingDir",
    "serviceAccountName",
    "hostname",
    "subdomain",
    "priorityClassName",
    "loadBalancerIP",
    "externalName",
    "description",
    "generateName",
    "hostIP",
];
/// Maps that the server's types leave out when they are empty.
const EMPTY_MAP_IS_ABSENT: [&str; 10] = [
    "labels",
    "annotations",
    "nodeSelector",
    "data",
    "binaryData",
    "stringData",
    "matchLabels",
    "limits",
    "requests",
    "parameters",
];
/// Lists that the server's types write out even when they are empty.
const EMPTY_LIST_STAYS: [&str; 4] = ["rules", "webhooks", "endpoints", "currentMetrics"];

/// Brings a built-in object into the form in which the server's types write it.
///
/// # Errors
///
/// The server's text where a quantity can't be read.
pub fn normalise(object: &mut Value) -> Result<(), String> {
    let kind = text(object, "/kind").to_owned();
    if kind == "CustomResourceDefinition" {
        return Ok(());
    }
    let version = super::resources::split_api_version(text(object, "/apiVersion")).1.to_owned();
    walk(object, "").map_err(|()| {
        format!("{kind} in version {version:?} cannot be handled as a {kind}: {SYNTAX}")
    })
}

fn walk(value: &mut Value, parent: &str) -> Result<(), ()> {
    match value {
        Value::Object(map) => {
            let opaque = matches!(parent, "data" | "binaryData" | "stringData" | "annotations")
                || parent == "labels"
                || parent == "managedFields";
            if opaque {
                map.retain(|_, v| !v.is_null());
                return Ok(());
            }
            for (key, member) in map.iter_mut() {
                let is_quantity = QUANTITY_MAPS.contains(&parent) && !member.is_object()
                    || QUANTITIES.contains(&key.as_str()) && !member.is_object();
                if is_quantity && !member.is_null() {
                    quantity(member)?;
                } else {
                    walk(member, key)?;
                }
            }
            let in_env = map.contains_key("name") && parent == "env";
            map.retain(|key, member| !absent(key, member, in_env));
        }
        Value::Array(list) => {
            for element in list {
                walk(element, parent)?;
            }
        }
        _ => {}
    }
    Ok(())
}

fn absent(key: &str, member: &Value, in_env: bool) -> bool {
    match member {
        // Times that nobody set are written as null (recording 14).
        Value::Null => !matches!(key, "lastTransitionTime" | "lastUpdateTime" | "eventTime"),
        Value::Bool(false) => FALSE_IS_ABSENT.contains(&key),
        Value::String(s) if s.is_empty() => {
            EMPTY_IS_ABSENT.contains(&key) || in_env && key == "value"
        }
        Value::Array(list) if list.is_empty() => !EMPTY_LIST_STAYS.contains(&key),
        Value::Object(map) if map.is_empty() => EMPTY_MAP_IS_ABSENT.contains(&key),
        _ => false,
    }
}

fn quantity(member: &mut Value) -> Result<(), ()> {
    let given = match &*member {
        Value::String(s) => s.clone(),
        Value::Number(n) => n.to_string(),
        _ => return Err(()),
    };
    *member = canonical(&given).ok_or(())?.into();
    Ok(())
}

/// `stringData` of a Secret is write-only: its values move to `data`.
pub fn fold_string_data(object: &mut Value) {
    use base64::prelude::*;
    let Some(plain) = fields(object).shift_remove("stringData") else { return };
    let Value::Object(plain) = plain else { return };
    let data = fields(super::value::child(object, "data"));
    for (key, value) in plain {
        if let Some(value) = value.as_str() {
            data.insert(key, BASE64_STANDARD.encode(value).into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn zero_values_that_the_types_leave_out_disappear() {
        let mut object = json!({"kind": "Pod", "apiVersion": "v1", "spec": {
            "hostNetwork": false, "nodeSelector": {}, "securityContext": {},
            "containers": [{"env": [{"name": "A", "value": ""}], "args": [],
                "resources": {"limits": {"cpu": 1, "memory": "1024Mi"}}}],
            "volumes": [{"name": "v", "emptyDir": {}}]}});
        normalise(&mut object).expect("readable");
        assert_eq!(
            object["spec"],
            json!({"securityContext": {}, "containers": [{"env": [{"name": "A"}],
                "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}],
                "volumes": [{"name": "v", "emptyDir": {}}]})
        );
    }
}
