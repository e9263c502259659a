//! Custom resources: what their schema defaults, prunes and refuses.

use serde_json::{Value, json};

use super::resources::Resource;
use super::status::Cause;
use super::value::{fields, items, text};

const PRESERVE: &str = "x-kubernetes-preserve-unknown-fields";

/// Fills in the schema's defaults where an object lacks a member.
pub fn apply_defaults(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(map) => {
            let properties = schema.get("properties").and_then(Value::as_object);
            for (name, property) in properties.into_iter().flatten() {
                let nullable = property.get("nullable") == Some(&Value::Bool(true));
                let missing = match map.get(name) {
                    None => true,
                    Some(Value::Null) => !nullable,
                    Some(_) => false,
                };
                if let Some(default) = property.get("default").filter(|_| missing) {
                    map.insert(name.clone(), default.clone());
                }
                if let Some(member) = map.get_mut(name) {
                    apply_defaults(property, member);
                }
            }
            if let Some(any) = schema.get("additionalProperties").filter(|a| a.is_object()) {
                map.values_mut().for_each(|member| apply_defaults(any, member));
            }
        }
        Value::Array(list) => {
            if let Some(element) = schema.get("items") {
                list.iter_mut().for_each(|member| apply_defaults(element, member));
            }
        }
        _ => {}
    }
}

/// Takes out what the schema does not know and returns its paths.
pub fn prune(schema: &Value, object: &mut Value) -> Vec<String> {
    let mut unknown = Vec::new();
    for (name, member) in fields(object).iter_mut() {
        if matches!(name.as_str(), "apiVersion" | "kind" | "metadata") {
            continue;
        }
        if let Some(property) = schema.get("properties").and_then(|p| p.get(name)) {
            prune_in(property, member, name, &mut unknown);
        }
    }
    if schema.get(PRESERVE) != Some(&Value::Bool(true)) {
        fields(object).retain(|name, _| {
            let general = matches!(name.as_str(), "apiVersion" | "kind" | "metadata");
            let known = schema.get("properties").is_some_and(|p| p.get(name).is_some());
            if !general && !known {
                unknown.push(name.clone());
            }
            general || known
        });
    }
    unknown
}

fn prune_in(schema: &Value, value: &mut Value, at: &str, unknown: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            let properties = schema.get("properties");
            let additional = schema.get("additionalProperties");
            let preserve = schema.get(PRESERVE) == Some(&Value::Bool(true));
            map.retain(|name, member| {
                let path = format!("{at}.{name}");
                if let Some(property) = properties.and_then(|p| p.get(name)) {
                    prune_in(property, member, &path, unknown);
                } else if let Some(any) = additional.filter(|a| a.is_object()) {
                    prune_in(any, member, &path, unknown);
                } else if !preserve && additional != Some(&Value::Bool(true)) {
                    unknown.push(path);
                    return false;
                }
                true
            });
        }
        Value::Array(list) => {
            for (i, element) in list.iter_mut().enumerate() {
                if let Some(of) = schema.get("items") {
                    prune_in(of, element, &format!("{at}[{i}]"), unknown);
                }
            }
        }
        _ => {}
    }
}

/// Causes against an object by its kind's schema.
pub fn validate(schema: &Value, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    check(schema, object, "", &mut causes);
    causes
}

fn check(schema: &Value, value: &Value, at: &str, causes: &mut Vec<Cause>) {
    let nullable = schema.get("nullable") == Some(&Value::Bool(true));
    if value.is_null() && nullable {
        return;
    }
    if let Some(wanted) = wrong_type(schema, value) {
        let detail = format!("{at} in body must be of type {wanted}: {}", json!(type_of(value)));
        let shown = Value::from(type_of(value));
        causes.push(Cause {
            reason: "FieldValueTypeInvalid",
            message: format!("Invalid value: {shown}: {detail}"),
            field: at.to_owned(),
        });
        return;
    }
    check_value(schema, value, at, causes);
    match value {
        Value::Object(map) => {
            for name in items(schema, "/required").iter().filter_map(Value::as_str) {
                if !map.contains_key(name) {
                    causes.push(Cause::required(join(at, name), ""));
                }
            }
            let additional = schema.get("additionalProperties").filter(|a| a.is_object());
            for (name, member) in map {
                if at.is_empty() && name == "metadata" {
                    continue;
                }
                let property = schema.get("properties").and_then(|p| p.get(name)).or(additional);
                if let Some(property) = property {
                    check(property, member, &join(at, name), causes);
                }
            }
        }
        Value::Array(list) => {
            for (i, element) in list.iter().enumerate() {
                if let Some(of) = schema.get("items") {
                    check(of, element, &format!("{at}[{i}]"), causes);
                }
            }
        }
        _ => {}
    }
}

fn check_value(schema: &Value, value: &Value, at: &str, causes: &mut Vec<Cause>) {
    let allowed = items(schema, "/enum");
    if !allowed.is_empty() && !allowed.contains(value) {
        let known: Vec<_> = allowed.iter().filter_map(Value::as_str).collect();
        causes.push(Cause::unsupported(at, value, &known));
    }
    let mut refuse = |detail: String| {
        causes.push(Cause::invalid(at, value, &format!("{at} in body {detail}")));
    };
    if let Some(n) = value.as_f64() {
        if let Some(least) = schema.get("minimum").filter(|m| m.as_f64().is_some_and(|m| n < m)) {
            refuse(format!("should be greater than or equal to {least}"));
        }
        if let Some(most) = schema.get("maximum").filter(|m| m.as_f64().is_some_and(|m| n > m)) {
            refuse(format!("should be less than or equal to {most}"));
        }
    }
    if let Some(s) = value.as_str() {
        let length = s.chars().count() as u64;
        let bound = |key: &str| schema.get(key).and_then(Value::as_u64);
        if let Some(least) = bound("minLength").filter(|least| length < *least) {
            refuse(format!("should be at least {least} chars long"));
        }
        if let Some(most) = bound("maxLength").filter(|most| length > *most) {
            refuse(format!("may not be longer than {most}"));
        }
        let pattern = text(schema, "/pattern");
        let matches = regex::Regex::new(pattern).map_or(true, |regex| regex.is_match(s));
        if !pattern.is_empty() && !matches {
            refuse(format!("should match '{pattern}'"));
        }
    }
}

/// The type that the schema wants, where the value is of another.
fn wrong_type<'a>(schema: &'a Value, value: &Value) -> Option<&'a str> {
    if schema.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true)) {
        return (!value.is_string() && !value.is_i64() && !value.is_u64()).then_some("integer");
    }
    let wanted = schema.get("type").and_then(Value::as_str)?;
    let fits = match wanted {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        _ => true,
    };
    (!fits).then_some(wanted)
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn join(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
}

/// Stored objects get the defaults of the version in which they are read.
pub fn present(resource: &Resource, object: &mut Value) {
    if let Some(custom) = &resource.custom {
        apply_defaults(&custom.schema, object);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_defaults_prunes_and_refuses() {
        let schema = json!({"type": "object", "properties": {"spec": {"type": "object",
            "required": ["size"], "properties": {
                "size": {"type": "integer", "minimum": 1},
                "color": {"type": "string", "default": "red"}}}}});
        let mut object = json!({"kind": "W", "spec": {"size": 0, "extra": {"a": 1}}, "other": 1});
        assert_eq!(prune(&schema, &mut object), ["spec.extra", "other"]);
        apply_defaults(&schema, &mut object);
        assert_eq!(object, json!({"kind": "W", "spec": {"size": 0, "color": "red"}}));
        let causes = validate(&schema, &object);
        assert_eq!(
            causes.iter().map(|c| c.message.as_str()).collect::<Vec<_>>(),
            ["Invalid value: 0: spec.size in body should be greater than or equal to 1"]
        );
        let causes = validate(&schema, &json!({"spec": {}}));
        assert_eq!(causes, [Cause::required("spec.size", "")]);
    }
}
