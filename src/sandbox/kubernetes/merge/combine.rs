//! Merges an applied configuration into the live object.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::fieldset::PathElement;
use super::schema::{ListType, MapType, Relation, Shape, Type, TypeRef};
use super::typed::{ItemsByStep, entry, index_items, list_items, map_entries, names_of};

/// `config` merged over `live`; none if there is nothing of either.
pub(super) fn merge(of: &TypeRef, live: Option<&Value>, config: Option<&Value>) -> Option<Value> {
    let resolved = of.resolve();
    let shape = match config {
        None => resolved.shape(live),
        Some(config) => resolved.shape(Some(config)),
    };
    match shape {
        Shape::List(list) if list.relation != Relation::Atomic => {
            let (ours, theirs) = (list_items(live), list_items(config));
            if ours.is_empty() && theirs.is_empty() {
                return config.or(live).cloned();
            }
            let merged = merge_items(list, ours, theirs);
            (!merged.is_empty()).then(|| Value::Array(merged))
        }
        Shape::Map(map) if !map.atomic => {
            let (ours, theirs) = (map_entries(live), map_entries(config));
            if ours.is_none() && theirs.is_none() {
                return config.or(live).cloned();
            }
            let merged = merge_entries(map, ours, theirs);
            (!merged.is_empty()).then(|| Value::Object(merged))
        }
        _ => config.or(live).cloned(),
    }
}

fn merge_entries(
    map: &MapType,
    live: Option<&Map<String, Value>>,
    config: Option<&Map<String, Value>>,
) -> Map<String, Value> {
    let deduced = TypeRef::deduced();
    let mut out = Map::new();
    for name in names_of(live, config) {
        let of = map.field(name).unwrap_or(&deduced);
        if let Some(value) = merge(of, entry(live, name), entry(config, name)) {
            out.insert(name.clone(), value);
        }
    }
    out
}

/// Merges item by item. Items of the configuration come in its order, and the live object's other
/// items stay where they are between the items that both have.
fn merge_items(list: &ListType, live: &[Value], config: &[Value]) -> Vec<Value> {
    let (live_order, live_items) = index_items(list, live);
    let (config_order, config_items) = index_items(list, config);
    let mut shared = config_order.iter().filter(|step| live_items.contains_key(*step)).peekable();
    let mut merged = BTreeSet::new();
    let mut out = Vec::new();
    let (mut at_live, mut at_config) = (0, 0);
    while at_live < live_order.len() || at_config < config_order.len() {
        if let Some(step) = live_order.get(at_live) {
            if !config_items.contains_key(step) {
                out.extend(live_items.get(step).into_iter().flatten().map(|item| (*item).clone()));
                at_live += 1;
                continue;
            }
            let is_next = shared.peek().is_some_and(|next| *next == step);
            if merged.contains(step) || (!is_next && config_order.get(at_config).is_some()) {
                // Shared, but placed by the configuration's order.
                at_live += 1;
                continue;
            }
        }
        let Some(step) = config_order.get(at_config) else { break };
        let (ours, theirs) = (only_item(&live_items, step), only_item(&config_items, step));
        out.extend(merge(&list.item, ours, theirs));
        merged.insert(step.clone());
        at_config += 1;
        if shared.peek().is_some_and(|next| *next == step) {
            shared.next();
        }
    }
    out
}

/// The object less the nulls of declared fields: the server drops them when it decodes or prunes.
pub(super) fn without_nulls(of: &TypeRef, value: Value) -> Value {
    let resolved = of.resolve();
    match (&*resolved, value) {
        (Type::List(list), Value::Array(items)) => {
            items.into_iter().map(|item| without_nulls(&list.item, item)).collect()
        }
        (Type::Map(map), Value::Object(entries)) => Value::Object(
            entries
                .into_iter()
                .filter(|(name, entry)| !entry.is_null() || !map.fields.contains_key(name))
                .map(|(name, entry)| {
                    let entry = match map.field(&name) {
                        Some(of) => without_nulls(of, entry),
                        None => entry,
                    };
                    (name, entry)
                })
                .collect(),
        ),
        (_, value) => value,
    }
}

/// The item of a step, if it is the only one.
fn only_item<'v>(items: &ItemsByStep<'v>, step: &PathElement) -> Option<&'v Value> {
    match items.get(step)?.as_slice() {
        [only] => Some(only),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::schema::Schema;
    use super::*;

    fn merged(live: &Value, config: &Value) -> Value {
        let schema = Schema::of_crd(&json!({"type": "object", "properties": {
            "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
            "atomic": {"type": "array", "items": {"type": "string"}},
            "struct": {"type": "object", "properties": {
                "a": {"type": "string"}, "b": {"type": "string"},
            }},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
        }}));
        merge(&schema.root, Some(live), Some(config)).unwrap_or_default()
    }

    #[test]
    fn the_configurations_items_come_in_its_order_among_the_others() {
        let table = [
            (json!(["a", "b"]), json!(["b", "c"]), json!(["a", "b", "c"])),
            (json!(["a", "b", "c"]), json!(["c", "a"]), json!(["b", "c", "a"])),
            (json!(["a", "x", "b"]), json!(["b", "a"]), json!(["x", "b", "a"])),
            (json!(["x", "a"]), json!(["n", "a"]), json!(["x", "n", "a"])),
            (json!([]), json!(["n", "a"]), json!(["n", "a"])),
            (json!(["x", "x", "a"]), json!(["a"]), json!(["x", "x", "a"])),
        ];
        for (live, config, expected) in table {
            assert_eq!(
                merged(&json!({"set": live}), &json!({"set": config})),
                json!({"set": expected}),
                "{live} with {config}"
            );
        }
    }

    #[test]
    fn merges_maps_and_replaces_what_is_one_value() {
        let live =
            json!({"atomic": ["a", "b"], "struct": {"a": "1"}, "free": {"m": {"x": 1}, "l": [1]}});
        let config =
            json!({"atomic": ["c"], "struct": {"b": "2"}, "free": {"m": {"y": 2}, "l": {}}});
        assert_eq!(
            merged(&live, &config),
            json!({
                "atomic": ["c"],
                "struct": {"a": "1", "b": "2"},
                "free": {"m": {"x": 1, "y": 2}, "l": {}},
            })
        );
    }

    #[test]
    fn a_null_takes_nothing_away_from_a_map() {
        let live = json!({"struct": {"a": "1"}});
        assert_eq!(merged(&live, &json!({"struct": null})), live);
    }
}
