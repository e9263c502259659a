//! Tables: what `kubectl get` prints.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::resources::{Custom, Resource};
use super::value::{items, number, text};

/// A column's name and how to fill it.
type Column = (&'static str, fn(&Value) -> Value);

/// The table of some objects.
pub fn of(resource: &Resource, objects: &[Value], meta: Value, now: Timestamp) -> Value {
    let own = columns(resource);
    let custom = resource.custom.as_ref();
    let mut definitions = vec![definition("Name", "string", "name", 0)];
    match custom {
        Some(custom) => definitions.extend(custom.columns.iter().map(custom_definition)),
        None => definitions.extend(own.iter().map(|(name, _)| definition(name, "string", "", 0))),
    }
    let aged = !definitions.iter().any(|d| text(d, "/name") == "Age");
    if aged {
        definitions.push(definition("Age", "string", "", 0));
    }
    let rows: Vec<_> = objects
        .iter()
        .map(|object| {
            let mut cells = vec![Value::from(text(object, "/metadata/name"))];
            match custom {
                Some(custom) => cells.extend(custom_cells(custom, object, now)),
                None => cells.extend(own.iter().map(|(_, fill)| fill(object))),
            }
            if aged {
                cells.push(age(text(object, "/metadata/creationTimestamp"), now).into());
            }
            json!({"cells": cells, "object": {
                "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
                "metadata": object.get("metadata").cloned().unwrap_or_default(),
            }})
        })
        .collect();
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": meta,
        "columnDefinitions": definitions, "rows": rows,
    })
}

fn definition(name: &str, kind: &str, format: &str, priority: i64) -> Value {
    json!({
        "name": name, "type": kind, "format": format, "description": name, "priority": priority,
    })
}

fn custom_definition(column: &Value) -> Value {
    let priority = number(column, "/priority").unwrap_or(0);
    definition(text(column, "/name"), text(column, "/type"), "", priority)
}

fn custom_cells(custom: &Custom, object: &Value, now: Timestamp) -> Vec<Value> {
    let cell = |column: &Value| {
        let value = at_path(object, text(column, "/jsonPath"));
        match (text(column, "/type"), value) {
            ("date", Some(value)) => age(value.as_str().unwrap_or_default(), now).into(),
            (_, Some(value)) => value.clone(),
            (_, None) => json!(""),
        }
    };
    custom.columns.iter().map(cell).collect()
}

/// The simple JSON paths of printer columns: `.a.b` and `.list[?(@.key=="value")].field`.
fn at_path<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    let mut at = object;
    let mut rest = path.trim_start_matches('.');
    while !rest.is_empty() {
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (name, tail) = rest.split_at(end);
        if !name.is_empty() {
            at = at.get(name)?;
        }
        rest = tail.trim_start_matches('.');
        if let Some(filter) = rest.strip_prefix("[?(@.") {
            let (test, after) = filter.split_once(")]")?;
            let (key, value) = test.split_once("==")?;
            let wanted = value.trim().trim_matches(['"', '\'']);
            at = at.as_array()?.iter().find(|e| text(e, &format!("/{}", key.trim())) == wanted)?;
            rest = after.trim_start_matches('.');
        } else if let Some(index) = rest.strip_prefix('[') {
            let (index, after) = index.split_once(']')?;
            at = at.get(index.parse::<usize>().ok()?)?;
            rest = after.trim_start_matches('.');
        }
    }
    Some(at)
}

fn age(since: &str, now: Timestamp) -> String {
    let Ok(since) = since.parse::<Timestamp>() else { return "<unknown>".to_owned() };
    let seconds = now.as_second().saturating_sub(since.as_second()).max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

fn count(object: &Value, pointer: &str) -> i64 {
    number(object, pointer).unwrap_or(0)
}

fn or_none(text: &str) -> Value {
    if text.is_empty() { "<none>".into() } else { text.into() }
}

fn columns(resource: &Resource) -> &'static [Column] {
    match (resource.group.as_str(), resource.plural.as_str()) {
        ("", "pods") => &[
            ("Ready", |o| {
                let all = items(o, "/spec/containers").len();
                let ready = items(o, "/status/containerStatuses")
                    .iter()
                    .filter(|s| s.get("ready") == Some(&Value::Bool(true)))
                    .count();
                format!("{ready}/{all}").into()
            }),
            ("Status", |o| match o.pointer("/metadata/deletionTimestamp") {
                Some(_) => "Terminating".into(),
                None => text(o, "/status/phase").into(),
            }),
            ("Restarts", |_| "0".into()),
        ],
        ("", "namespaces") => &[("Status", |o| text(o, "/status/phase").into())],
        ("", "nodes") => &[
            ("Status", |_| "Ready".into()),
            ("Roles", |_| "<none>".into()),
            ("Version", |o| text(o, "/status/nodeInfo/kubeletVersion").into()),
        ],
        ("", "services") => &[
            ("Type", |o| text(o, "/spec/type").into()),
            ("Cluster-IP", |o| or_none(text(o, "/spec/clusterIP"))),
            ("External-IP", |_| "<none>".into()),
            ("Port(s)", ports),
        ],
        ("", "configmaps") => {
            &[("Data", |o| o.get("data").and_then(Value::as_object).map_or(0, |d| d.len()).into())]
        }
        ("", "secrets") => &[
            ("Type", |o| text(o, "/type").into()),
            ("Data", |o| o.get("data").and_then(Value::as_object).map_or(0, |d| d.len()).into()),
        ],
        ("", "persistentvolumeclaims") => &[
            ("Status", |o| text(o, "/status/phase").into()),
            ("Volume", |o| text(o, "/spec/volumeName").into()),
            ("Capacity", |o| text(o, "/status/capacity/storage").into()),
            ("Access Modes", access_modes),
            ("StorageClass", |o| text(o, "/spec/storageClassName").into()),
        ],
        ("apps", plural) => workload_columns(plural),
        ("batch", "cronjobs") => &[
            ("Schedule", |o| text(o, "/spec/schedule").into()),
            ("Suspend", |o| o.pointer("/spec/suspend").map_or("", |_| "False").into()),
        ],
        ("scheduling.k8s.io", "priorityclasses") => &[("Value", |o| count(o, "/value").into())],
        ("apiextensions.k8s.io", "customresourcedefinitions") => {
            &[("Created At", |o| text(o, "/metadata/creationTimestamp").into())]
        }
        _ => &[],
    }
}

fn workload_columns(plural: &str) -> &'static [Column] {
    match plural {
        "deployments" => &[
            ("Ready", |o| {
                let wanted = count(o, "/spec/replicas");
                format!("{}/{wanted}", count(o, "/status/readyReplicas")).into()
            }),
            ("Up-to-date", |o| count(o, "/status/updatedReplicas").into()),
            ("Available", |o| count(o, "/status/availableReplicas").into()),
        ],
        "replicasets" => &[
            ("Desired", |o| count(o, "/spec/replicas").into()),
            ("Current", |o| count(o, "/status/replicas").into()),
            ("Ready", |o| count(o, "/status/readyReplicas").into()),
        ],
        "statefulsets" => &[("Ready", |o| {
            format!("{}/{}", count(o, "/status/readyReplicas"), count(o, "/spec/replicas")).into()
        })],
        "daemonsets" => &[
            ("Desired", |o| count(o, "/status/desiredNumberScheduled").into()),
            ("Ready", |o| count(o, "/status/numberReady").into()),
        ],
        _ => &[],
    }
}

fn ports(object: &Value) -> Value {
    let one = |p: &Value| format!("{}/{}", count(p, "/port"), text(p, "/protocol"));
    items(object, "/spec/ports").iter().map(one).collect::<Vec<_>>().join(",").into()
}

fn access_modes(object: &Value) -> Value {
    let short = |mode: &Value| match mode.as_str().unwrap_or_default() {
        "ReadWriteOnce" => "RWO",
        "ReadOnlyMany" => "ROX",
        "ReadWriteMany" => "RWX",
        "ReadWriteOncePod" => "RWOP",
        _ => "",
    };
    let modes = items(object, "/status/accessModes");
    modes.iter().map(short).collect::<Vec<_>>().join(",").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printer_columns_find_their_value() {
        let object = json!({"a": {"b": 1}, "c": [{"type": "Ready", "status": "True"}]});
        assert_eq!(at_path(&object, ".a.b"), Some(&json!(1)));
        let path = ".c[?(@.type==\"Ready\")].status";
        assert_eq!(at_path(&object, path), Some(&json!("True")));
        assert_eq!(at_path(&object, ".x.y"), None);
    }
}
