//! What may be shown of a value: secrets never are.
//!
//! Specs hold secrets as references already; what is hidden here beside them is what an object
//! holds by its kind (Kubernetes Secret data) and what a difference is marked as.

use std::collections::BTreeMap;

use crate::model::address::Address;
use crate::model::change::FieldChange;
use crate::model::value::{Part, Special, map_special};
use crate::model::{Json, JsonMap};

/// What stands in the place of a secret.
pub(super) const SECRET: &str = "(secret)";

/// kubectl's copy of a whole manifest, Secret data included.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// What of one resource's values is hidden.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mask {
    fields: &'static [&'static str],
}

impl Mask {
    /// For a resource; `spec` tells parameters that are not secret from those that are.
    pub(super) fn of(address: &Address, spec: Option<&Json>) -> Mask {
        let plain = |spec: &Json| {
            matches!(spec.get("type").and_then(Json::as_str), Some("String" | "StringList"))
        };
        let fields: &[&str] = match (address.kubernetes_kind(), address.kind()) {
            (Some(("Secret", None)), _) => &["data", "stringData"],
            (None, "ssm_parameter") if !spec.is_some_and(plain) => &["value"],
            _ => &[],
        };
        Mask { fields }
    }

    /// Whether a path leads to, or into, something hidden.
    fn hides(self, path: &str) -> bool {
        path.contains(LAST_APPLIED)
            || self.fields.iter().any(|field| {
                path.strip_prefix(field)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
            })
    }

    /// A value at a path, secrets hidden; unknown values stay as they are.
    pub(super) fn value(self, path: &str, value: &Json) -> Json {
        if self.hides(path) && !is_unknown(value) {
            return SECRET.into();
        }
        self.walk(value, path.is_empty())
    }

    /// The two sides of a difference, secrets hidden.
    pub(super) fn field(self, field: &FieldChange) -> (Option<Json>, Option<Json>) {
        let side = |value: &Option<Json>| {
            value.as_ref().map(|value| match field.secret && !is_unknown(value) {
                true => SECRET.into(),
                false => self.value(&field.path, value),
            })
        };
        (side(&field.before), side(&field.after))
    }

    fn walk(self, value: &Json, top: bool) -> Json {
        if let Some(special) = Special::of(value) {
            return match special {
                Special::Secret(_) => SECRET.into(),
                Special::Text(parts) => source_text(&parts).into(),
                Special::Unknown(_) => value.clone(),
            };
        }
        match value {
            Json::Object(map) => Json::Object(
                map.iter()
                    .map(|(key, item)| {
                        let hidden = key == LAST_APPLIED
                            || top && self.fields.contains(&key.as_str()) && !is_unknown(item);
                        let item = match (hidden, item) {
                            (true, Json::Object(inner)) if Special::of(item).is_none() => {
                                let hide = |(key, item): (&String, &Json)| {
                                    // How a value comes about, as in `{by_hand: true}`, is none.
                                    let how = self.fields == ["value"] && is_recipe(key, item);
                                    (key.clone(), if how { item.clone() } else { SECRET.into() })
                                };
                                Json::Object(inner.iter().map(hide).collect())
                            }
                            (true, _) => SECRET.into(),
                            (false, _) => self.walk(item, false),
                        };
                        (key.clone(), item)
                    })
                    .collect(),
            ),
            Json::Array(items) => {
                Json::Array(items.iter().map(|item| self.walk(item, false)).collect())
            }
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => value.clone(),
        }
    }
}

/// Whether this says where a parameter's value is from, and not what it is.
fn is_recipe(key: &str, item: &Json) -> bool {
    match key {
        "by_hand" => item.is_boolean(),
        "generate" => item.as_object().is_some_and(|map| map.values().all(Json::is_number)),
        _ => false,
    }
}

fn is_unknown(value: &Json) -> bool {
    matches!(Special::of(value), Some(Special::Unknown(_)))
}

/// A text with references as it stands in the files.
fn source_text(parts: &[Part]) -> String {
    parts
        .iter()
        .map(|part| match part {
            Part::Literal(text) => text.clone(),
            Part::Reference(reference) => {
                format!("${{{}.{}}}", reference.address, reference.output)
            }
        })
        .collect()
}

/// A masked value for machines: unknown values are null.
pub(super) fn with_nulls(value: &Json) -> Json {
    let nulled: Result<Json, std::convert::Infallible> =
        map_special(value, &mut |special| match special {
            Special::Unknown(_) => Ok(Json::Null),
            Special::Secret(_) | Special::Text(_) => Ok(SECRET.into()),
        });
    match nulled {
        Ok(value) => value,
        Err(never) => match never {},
    }
}

/// Unknown values with their paths, and who will tell them.
pub(super) fn unknowns(value: &Json) -> BTreeMap<String, Address> {
    fn walk(value: &Json, path: &str, found: &mut BTreeMap<String, Address>) {
        if let Some(special) = Special::of(value) {
            if let Special::Unknown(reference) = special {
                found.insert(path.to_owned(), reference.address);
            }
            return;
        }
        match value {
            Json::Object(map) => {
                for (key, item) in map {
                    walk(item, &join(path, key), found);
                }
            }
            Json::Array(items) => {
                for (i, item) in items.iter().enumerate() {
                    walk(item, &format!("{path}[{i}]"), found);
                }
            }
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
        }
    }
    let mut found = BTreeMap::new();
    walk(value, "", &mut found);
    found
}

/// The scalars, empty containers and special nodes of a spec by path, in order.
pub(super) fn leaves(value: &Json) -> Vec<(String, Json)> {
    fn walk(value: &Json, path: &str, found: &mut Vec<(String, Json)>) {
        let flat = |item: &Json| !item.is_object() || Special::of(item).is_some();
        match value {
            Json::Object(map) if Special::of(value).is_none() && !map.is_empty() => {
                for (key, item) in map {
                    walk(item, &join(path, key), found);
                }
            }
            Json::Array(items) if !items.iter().all(flat) => {
                for (i, item) in items.iter().enumerate() {
                    walk(item, &format!("{path}[{i}]"), found);
                }
            }
            _ => found.push((path.to_owned(), value.clone())),
        }
    }
    let mut found = Vec::new();
    walk(value, "", &mut found);
    found
}

fn join(path: &str, key: &str) -> String {
    match (path.is_empty(), key.contains('.')) {
        (true, false) => key.to_owned(),
        (false, false) => format!("{path}.{key}"),
        (_, true) => format!("{path}[\"{key}\"]"),
    }
}

/// A masked value in one line.
pub(super) fn compact(value: &Json) -> String {
    if let Some(Special::Unknown(reference)) = Special::of(value) {
        return format!("(known after {})", reference.address);
    }
    match value {
        Json::String(text) if text == SECRET => text.clone(),
        Json::Array(items) => {
            format!("[{}]", items.iter().map(compact).collect::<Vec<_>>().join(", "))
        }
        Json::Object(map) => compact_map(map),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => value.to_string(),
    }
}

fn compact_map(map: &JsonMap) -> String {
    let plain = |key: &str| {
        !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || "-_./".contains(c))
    };
    let entries: Vec<String> = map
        .iter()
        .map(|(key, item)| match plain(key) {
            true => format!("{key}: {}", compact(item)),
            false => format!("{}: {}", Json::from(key.as_str()), compact(item)),
        })
        .collect();
    format!("{{{}}}", entries.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::secret::SecretId;
    use crate::model::value::Reference;
    use serde_json::json;

    fn unknown() -> Json {
        Special::unknown(Reference { address: Address::new("tunnel", "a"), output: "id".into() })
    }

    #[test]
    fn secret_data_never_shows() {
        let address = Address::kubernetes("Secret", None, Some("a"), "b");
        let mask = Mask::of(&address, None);
        let manifest = json!({"kind": "Secret", "data": {"k": "aHVudGVyMg=="},
            "stringData": {"l": "hunter2"},
            "metadata": {"annotations": {LAST_APPLIED: "hunter2"}, "name": "b"}});
        let shown = compact(&mask.value("", &manifest));
        assert!(!shown.contains("hunter2") && !shown.contains("aHVu"), "{shown}");
        assert!(shown.contains("data: {k: (secret)}"), "{shown}");
        for path in ["data", "data.k", "stringData[\"l\"]"] {
            assert_eq!(mask.value(path, &json!("hunter2")), json!(SECRET), "{path}");
        }
        assert_eq!(mask.value("dataset", &json!("x")), json!("x"));

        let parameter = Address::new("ssm_parameter", "a");
        let hidden = Mask::of(&parameter, Some(&json!({"type": "SecureString"})));
        assert_eq!(hidden.value("value", &json!("x")), json!(SECRET));
        assert_eq!(hidden.value("value", &unknown()), unknown());
        for (value, said) in [
            (json!({"by_hand": true}), "{value: {by_hand: true}}"),
            (json!({"generate": {"length": 32}}), "{value: {generate: {length: 32}}}"),
            (
                json!({"by_hand": "x", "generate": {"x": "y"}}),
                "{value: {by_hand: (secret), generate: (secret)}}",
            ),
        ] {
            assert_eq!(compact(&hidden.value("", &json!({"value": value}))), said);
        }
        let shown = Mask::of(&parameter, Some(&json!({"type": "String"})));
        assert_eq!(shown.value("value", &json!("x")), json!("x"));
    }

    #[test]
    fn special_nodes_are_shown_as_what_they_are() {
        let mask = Mask::of(&Address::new("x", "y"), None);
        let secret = Special::secret(SecretId::variable("p"), Some("f".into()));
        let text = Special::reference(Address::new("tunnel", "a"), "id");
        let value = mask.value("", &json!({"a": secret, "b": unknown(), "c": text, "d": [1]}));
        let said = "{a: (secret), b: (known after tunnel.a), c: \"${tunnel.a.id}\", d: [1]}";
        assert_eq!(compact(&value), said);
        assert_eq!(
            with_nulls(&value),
            json!({"a": "(secret)", "b": null, "c": "${tunnel.a.id}", "d": [1]})
        );
        assert_eq!(unknowns(&value), BTreeMap::from([("b".into(), Address::new("tunnel", "a"))]));
        let marked = FieldChange { secret: true, ..FieldChange::new("x", None, Some(json!("y"))) };
        assert_eq!(mask.field(&marked), (None, Some(json!(SECRET))));
    }
}
