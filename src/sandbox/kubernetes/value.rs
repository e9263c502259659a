//! Small helpers to read and fill JSON objects whose shape nobody guarantees.

use serde_json::{Map, Value};

/// The string at a JSON pointer, empty where there is none.
pub fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The integer at a JSON pointer.
pub fn number(value: &Value, pointer: &str) -> Option<i64> {
    value.pointer(pointer).and_then(Value::as_i64)
}

/// The elements of the list at a JSON pointer, none where there is no list.
pub fn items<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The entries of the object itself; anything else becomes an empty object first.
pub fn fields(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    match value {
        Value::Object(map) => map,
        _ => unreachable!("made an object above"),
    }
}

/// The member of an object, made an empty object where it is missing or something else.
pub fn child<'a>(value: &'a mut Value, key: &str) -> &'a mut Value {
    let slot = fields(value).entry(key).or_insert(Value::Null);
    fields(slot);
    slot
}

/// `metadata` of an object.
pub fn metadata(object: &mut Value) -> &mut Map<String, Value> {
    fields(child(object, "metadata"))
}

/// Sets a member that is missing or null.
pub fn default_to(value: &mut Value, key: &str, default: impl Into<Value>) {
    let slot = fields(value).entry(key).or_insert(Value::Null);
    if slot.is_null() {
        *slot = default.into();
    }
}

/// Each element of the list under `key`.
pub fn each(value: &mut Value, key: &str, mut with: impl FnMut(&mut Value)) {
    if let Some(list) = value.get_mut(key).and_then(Value::as_array_mut) {
        list.iter_mut().for_each(&mut with);
    }
}

/// Sets or removes a member.
pub fn set(value: &mut Value, key: &str, to: Option<Value>) {
    let map = fields(value);
    match to {
        Some(to) => {
            map.insert(key.to_owned(), to);
        }
        None => {
            map.shift_remove(key);
        }
    }
}

/// Whether every label of `wanted` is among `labels`.
pub fn has_labels(labels: Option<&Value>, wanted: &Value) -> bool {
    wanted
        .as_object()
        .is_some_and(|wanted| wanted.iter().all(|(k, v)| labels.and_then(|l| l.get(k)) == Some(v)))
}

/// Whether a `LabelSelector` (matchLabels and matchExpressions) admits the labels.
pub fn selects(selector: &Value, labels: Option<&Value>) -> bool {
    let exact = selector.get("matchLabels").is_none_or(|wanted| has_labels(labels, wanted));
    exact
        && items(selector, "/matchExpressions").iter().all(|rule| {
            let value = labels.and_then(|l| l.get(text(rule, "/key"))).and_then(Value::as_str);
            let listed =
                value.is_some_and(|v| items(rule, "/values").iter().any(|x| x.as_str() == Some(v)));
            match text(rule, "/operator") {
                "In" => listed,
                "NotIn" => !listed,
                "Exists" => value.is_some(),
                "DoesNotExist" => value.is_none(),
                _ => false,
            }
        })
}
