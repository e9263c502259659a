//! Tables: what `kubectl get` prints.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::columns;
use super::resources::{Custom, Resource};
use super::value::{number, text};

/// The table of some objects.
pub fn of(resource: &Resource, objects: &[Value], meta: Value, now: Timestamp) -> Value {
    let own = columns::of(resource);
    let definitions: Vec<Value> = match &resource.custom {
        Some(custom) => custom_definitions(custom),
        None => own
            .iter()
            .map(|(name, wide, _)| {
                let format = if *name == "Name" { "name" } else { "" };
                definition(name, "string", format, i64::from(*wide))
            })
            .collect(),
    };
    let cells = |object: &Value| -> Vec<Value> {
        match &resource.custom {
            Some(custom) => custom_cells(custom, object, now),
            None => own.iter().map(|(_, _, fill)| fill(object, now)).collect(),
        }
    };
    let rows: Vec<_> = objects
        .iter()
        .map(|object| {
            json!({"cells": cells(object), "object": {
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

/// A custom resource's name and the columns of its definition; its age where there are none.
fn custom_definitions(custom: &Custom) -> Vec<Value> {
    let mut all = vec![definition("Name", "string", "name", 0)];
    all.extend(custom.columns.iter().map(custom_definition));
    if custom.columns.is_empty() {
        all.push(definition("Age", "date", "", 0));
    }
    all
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
    let since =
        |text: &str| text.parse().map_or_else(|_| "<unknown>".to_owned(), |then| age(then, now));
    let cell = |column: &Value| {
        let value = at_path(object, text(column, "/jsonPath"));
        match (text(column, "/type"), value) {
            ("date", Some(value)) => since(value.as_str().unwrap_or_default()).into(),
            (_, Some(value)) => value.clone(),
            (_, None) => Value::Null,
        }
    };
    let mut all = vec![Value::from(text(object, "/metadata/name"))];
    all.extend(custom.columns.iter().map(cell));
    if custom.columns.is_empty() {
        all.push(since(text(object, "/metadata/creationTimestamp")).into());
    }
    all
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

/// The time between two instants as people are told it
/// (`k8s.io/apimachinery/pkg/util/duration`).
pub fn age(since: Timestamp, now: Timestamp) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    let seconds = now.as_second().saturating_sub(since.as_second()).max(0);
    let two = |large: i64, of: char, small: i64, and: char| match seconds % large / small {
        0 => format!("{}{of}", seconds / large),
        rest => format!("{}{of}{rest}{and}", seconds / large),
    };
    match seconds {
        ..120 => format!("{seconds}s"),
        120..600 => two(MINUTE, 'm', 1, 's'),
        600..10_800 => format!("{}m", seconds / MINUTE),
        10_800..28_800 => two(HOUR, 'h', MINUTE, 'm'),
        28_800..172_800 => format!("{}h", seconds / HOUR),
        172_800..691_200 => two(DAY, 'd', HOUR, 'h'),
        _ => format!("{}d", seconds / DAY),
    }
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
