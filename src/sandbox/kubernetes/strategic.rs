//! Strategic merge patches: merge patches whose lists of built-in kinds merge by key.

use serde_json::{Map, Value};

use super::value::fields;

/// Merges a strategic merge patch into an object.
pub fn merge(object: &mut Value, patch: &Value) {
    merge_member(object, patch, "");
}

fn merge_member(target: &mut Value, patch: &Value, name: &str) {
    match patch {
        Value::Object(patch) => merge_map(target, patch, name),
        Value::Array(patch) => merge_list(target, patch, name),
        scalar => *target = scalar.clone(),
    }
}

fn merge_map(target: &mut Value, patch: &Map<String, Value>, name: &str) {
    match patch.get("$patch").and_then(Value::as_str) {
        Some("replace") => {
            let mut with = patch.clone();
            with.shift_remove("$patch");
            *target = Value::Object(with);
            return;
        }
        Some("delete") => {
            *target = Value::Null;
            return;
        }
        _ => {}
    }
    let map = fields(target);
    if let Some(keep) = patch.get("$retainKeys").and_then(Value::as_array) {
        map.retain(|key, _| keep.iter().any(|k| k.as_str() == Some(key)));
    }
    for (key, member) in patch {
        if let Some(list) = key.strip_prefix("$deleteFromPrimitiveList/") {
            if let (Some(Value::Array(held)), Value::Array(gone)) = (map.get_mut(list), member) {
                held.retain(|element| !gone.contains(element));
            }
            continue;
        }
        if key.starts_with('$') {
            continue;
        }
        if member.is_null() {
            map.shift_remove(key);
        } else {
            let key_name = if key == "ports" && name == "spec" { "servicePorts" } else { key };
            merge_member(map.entry(key.clone()).or_insert(Value::Null), member, key_name);
            if map.get(key).is_some_and(Value::is_null) {
                map.shift_remove(key);
            }
        }
    }
}

fn merge_list(target: &mut Value, patch: &[Value], name: &str) {
    let Some(key) = merge_key(name) else {
        if name == "finalizers" {
            let mut all = target.as_array().cloned().unwrap_or_default();
            all.extend(patch.iter().filter(|p| !all.contains(p)).cloned().collect::<Vec<_>>());
            *target = Value::Array(all);
        } else {
            *target = Value::Array(patch.to_vec());
        }
        return;
    };
    let replace = |p: &Value| p.get("$patch").and_then(Value::as_str) == Some("replace");
    if patch.iter().any(replace) {
        *target = patch.iter().filter(|p| !replace(p)).cloned().collect();
        return;
    }
    let held = target.as_array().cloned().unwrap_or_default();
    let id = |element: &Value| element.get(key).cloned();
    let mut merged = held.clone();
    let mut added = Vec::new();
    for element in patch {
        let delete = element.get("$patch").and_then(Value::as_str) == Some("delete");
        if delete {
            merged.retain(|m| id(m) != id(element));
        } else if let Some(own) = merged.iter_mut().find(|m| id(m) == id(element)) {
            merge_member(own, element, "");
        } else {
            let mut fresh = Value::Null;
            merge_member(&mut fresh, element, "");
            added.push(fresh);
        }
    }
    // The patch's own elements come before those that it does not name (recording 06, line 6).
    added.extend(merged);
    *target = Value::Array(added);
}

/// The key by which a list of this name merges, none for lists that are replaced.
fn merge_key(name: &str) -> Option<&'static str> {
    Some(match name {
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "env"
        | "volumes"
        | "imagePullSecrets"
        | "secrets"
        | "resourceClaims"
        | "schedulingGates" => "name",
        "ports" => "containerPort",
        "servicePorts" => "port",
        "volumeMounts" => "mountPath",
        "volumeDevices" => "devicePath",
        "hostAliases" => "ip",
        "conditions" | "addresses" => "type",
        "ownerReferences" => "uid",
        "topologySpreadConstraints" => "topologyKey",
        "podIPs" | "hostIPs" => "ip",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keyed_lists_merge_and_others_are_replaced() {
        let mut object = json!({"spec": {"containers": [
            {"name": "a", "image": "x", "args": ["1"], "env": [{"name": "E", "value": "1"}]}]}});
        merge(
            &mut object,
            &json!({"spec": {"containers": [{"name": "a", "args": ["2"],
                "env": [{"name": "F", "value": "2"}]}, {"name": "b", "image": "y"}]}}),
        );
        assert_eq!(
            object["spec"]["containers"],
            json!([{"name": "b", "image": "y"}, {"name": "a", "image": "x", "args": ["2"],
                "env": [{"name": "F", "value": "2"}, {"name": "E", "value": "1"}]}])
        );
        merge(&mut object, &json!({"spec": {"containers": [{"name": "b", "$patch": "delete"}]}}));
        assert_eq!(object["spec"]["containers"].as_array().map(Vec::len), Some(1));
    }
}
