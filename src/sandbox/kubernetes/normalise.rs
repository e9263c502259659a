//! What decoding into the server's own types does to a built-in object: quantities become
//! canonical, zero values that are not written out disappear.

use serde_json::Value;

use super::merge::Schema;
use super::quantities::{SYNTAX, canonical};
use super::value::{fields, text};

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

/// Brings every quantity into its canonical form.
///
/// # Errors
///
/// The server's text where one can't be read.
pub fn quantities(schema: &Schema, object: &mut Value) -> Result<(), &'static str> {
    let mut readable = true;
    schema.visit_quantities(object, &mut |member| {
        let given = match &*member {
            Value::String(s) => s.clone(),
            Value::Null => return,
            other => other.to_string(),
        };
        match canonical(&given) {
            Some(form) => *member = form.into(),
            None => readable = false,
        }
    });
    if readable { Ok(()) } else { Err(SYNTAX) }
}

/// Takes out the zero values that the server's types don't write.
pub fn leave_out_zeros(object: &mut Value) {
    // A definition's schemas are data of their own.
    if text(object, "/kind") != "CustomResourceDefinition" {
        walk(object, "");
    }
}

fn walk(value: &mut Value, parent: &str) {
    match value {
        Value::Object(map) => {
            let opaque =
                ["data", "binaryData", "stringData", "annotations", "labels", "managedFields"];
            if opaque.contains(&parent) {
                map.retain(|_, v| !v.is_null());
                return;
            }
            for (key, member) in map.iter_mut() {
                walk(member, key);
            }
            let in_env = map.contains_key("name") && parent == "env";
            map.retain(|key, member| !absent(key, member, in_env));
        }
        Value::Array(list) => list.iter_mut().for_each(|element| walk(element, parent)),
        _ => {}
    }
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

/// `stringData` of a Secret is write-only: its values move to `data` where the object is decoded. Who
/// applied them owns `stringData` all the same, and `data` nobody.
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

/// Where the first value of a Secret's `data` that is no base64 goes wrong.
pub fn broken_base64(secret: &Value) -> Option<usize> {
    use base64::{DecodeError, prelude::*};
    let data = secret.get("data").and_then(Value::as_object);
    let mut values = data.into_iter().flatten().filter_map(|(_, value)| value.as_str());
    values.find_map(|value| match BASE64_STANDARD.decode(value) {
        Ok(_) => None,
        Err(
            DecodeError::InvalidByte(at, _) | DecodeError::InvalidLastSymbol { offset: at, .. },
        ) => Some(at),
        Err(_) => Some(value.len()),
    })
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
        let schema = Schema::built_in("", "v1", "Pod").expect("a known kind");
        quantities(&schema, &mut object).expect("readable");
        leave_out_zeros(&mut object);
        assert_eq!(
            object["spec"],
            json!({"securityContext": {}, "containers": [{"env": [{"name": "A"}],
                "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}],
                "volumes": [{"name": "v", "emptyDir": {}}]})
        );
    }
}
