//! Whether an object is of its kind's type, in the words of the server.

use std::collections::BTreeSet;

use serde_json::Value;

use super::fieldset::PathElement;
use super::schema::{ListType, MapType, Relation, Scalar, Shape, TypeRef};
use super::typed::item_step;

/// What is wrong with an object, and where.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) path: Vec<PathElement>,
    pub(super) text: String,
    pub(super) kind: ProblemKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProblemKind {
    /// A value of another type.
    Type,
    /// A field that the type has not.
    Undeclared,
    /// List items that can't be told apart.
    Items,
}

fn problem(path: &[PathElement], kind: ProblemKind, text: String) -> Problem {
    Problem { path: path.to_vec(), text, kind }
}

/// What is wrong with a configuration: fields of another type, fields that are not declared,
/// several items with one key.
pub(super) fn validate(of: &TypeRef, object: &Value) -> Vec<Problem> {
    let mut problems = Vec::new();
    check(of, object, &mut Vec::new(), &mut problems);
    problems
}

fn check(of: &TypeRef, value: &Value, path: &mut Vec<PathElement>, out: &mut Vec<Problem>) {
    if value.is_null() {
        return;
    }
    let resolved = of.resolve();
    match resolved.shape(Some(value)) {
        Shape::Scalar(scalar) => {
            out.extend(
                scalar_problem(scalar, value).map(|text| problem(path, ProblemKind::Type, text)),
            );
        }
        Shape::List(list) => match value {
            Value::Array(items) => check_items(list, items, path, out),
            other => out.push(problem(
                path,
                ProblemKind::Type,
                format!("expected list, got {}", go_value(other)),
            )),
        },
        Shape::Map(map) => match value {
            Value::Object(entries) => {
                for (name, entry) in entries {
                    path.push(PathElement::field(name));
                    let declared = check_entry(map, name, entry, path, out);
                    path.pop();
                    if !declared {
                        return;
                    }
                }
            }
            other => out.push(problem(
                path,
                ProblemKind::Type,
                format!("expected map, got {}", go_value(other)),
            )),
        },
    }
}

/// False if the field is not declared: the server then looks no further in this map.
fn check_entry(
    map: &MapType,
    name: &str,
    entry: &Value,
    path: &mut Vec<PathElement>,
    out: &mut Vec<Problem>,
) -> bool {
    match map.field(name) {
        Some(of) => check(of, entry, path, out),
        None => out.push(problem(
            path,
            ProblemKind::Undeclared,
            "field not declared in schema".to_owned(),
        )),
    }
    map.field(name).is_some()
}

fn check_items(
    list: &ListType,
    items: &[Value],
    path: &mut Vec<PathElement>,
    out: &mut Vec<Problem>,
) {
    let mut seen = BTreeSet::new();
    for (index, item) in items.iter().enumerate() {
        let step = match item_step(list, index, item) {
            Ok(step) => step,
            Err(text) => {
                out.push(problem(path, ProblemKind::Items, format!("element {index}: {text}")));
                return;
            }
        };
        if list.relation != Relation::Atomic && !seen.insert(step.clone()) {
            out.push(problem(
                path,
                ProblemKind::Items,
                format!("duplicate entries for key {step}"),
            ));
        }
        path.push(step);
        check(&list.item, item, path, out);
        path.pop();
    }
}

fn scalar_problem(scalar: Scalar, value: &Value) -> Option<String> {
    match (scalar, value) {
        (Scalar::Number, Value::Number(_))
        | (Scalar::String, Value::String(_))
        | (Scalar::Boolean, Value::Bool(_)) => None,
        (Scalar::Number, other) => {
            Some(format!("expected numeric (int or float), got {}", go_type(other)))
        }
        (Scalar::String, other) => Some(format!(
            "expected string, got &value.valueUnstructured{{Value:{}}}",
            go_syntax(other)
        )),
        (Scalar::Boolean, other) => Some(format!("expected boolean, got {}", go_value(other))),
        (Scalar::Untyped | Scalar::Quantity, Value::Array(_) | Value::Object(_)) => {
            Some(format!("expected any scalar, got {}", go_value(value)))
        }
        (Scalar::Untyped | Scalar::Quantity, _) => None,
    }
}

/// The server's messages print values as Go does: this is `%T`,
fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// this is `%#v`,
fn go_syntax(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".to_owned(),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(go_syntax).collect();
            format!("[]interface {{}}{{{}}}", items.join(", "))
        }
        Value::Object(entries) => {
            let mut entries: Vec<_> = entries
                .iter()
                .map(|(name, entry)| format!("{}:{}", Value::from(name.as_str()), go_syntax(entry)))
                .collect();
            entries.sort();
            format!("map[string]interface {{}}{{{}}}", entries.join(", "))
        }
        scalar => scalar.to_string(),
    }
}

/// and this `%v` of the value's wrapper.
fn go_value(value: &Value) -> String {
    format!("&{{{}}}", go_plain(value))
}

fn go_plain(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            format!("[{}]", items.iter().map(go_plain).collect::<Vec<_>>().join(" "))
        }
        Value::Object(entries) => {
            let mut entries: Vec<_> =
                entries.iter().map(|(name, entry)| format!("{name}:{}", go_plain(entry))).collect();
            entries.sort();
            format!("map[{}]", entries.join(" "))
        }
        scalar => scalar.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::fieldset::spell;
    use super::super::schema::Schema;
    use super::*;

    fn problems(group: &str, kind: &str, object: &Value) -> Vec<String> {
        let schema = Schema::built_in(group, "v1", kind).expect("a built-in kind");
        let problems = validate(&schema.root, object);
        problems.iter().map(|p| format!("{}: {}", spell(&p.path), p.text)).collect()
    }

    #[test]
    fn tells_what_is_not_of_the_type() {
        let pod = |spec: Value| json!({"apiVersion": "v1", "kind": "Pod", "spec": spec});
        let container = |fields: Value| pod(json!({"containers": [fields]}));
        let table = [
            (pod(json!({"hostNetwork": "yes"})), ".spec.hostNetwork: expected boolean, got &{yes}"),
            (pod(json!({"containers": {}})), ".spec.containers: expected list, got &{map[]}"),
            (pod(json!("x")), ".spec: expected map, got &{x}"),
            (
                pod(json!({"nodeName": [1, "a", null, {"b": true}]})),
                ".spec.nodeName: expected string, got &value.valueUnstructured{Value:\
                 []interface {}{1, \"a\", interface {}(nil), map[string]interface {}{\"b\":true}}}",
            ),
            (
                container(json!({"image": "x"})),
                ".spec.containers: element 0: associative list with keys has an element that omits \
                 key field \"name\" (and doesn't have default value)",
            ),
            (
                container(json!({"name": "c", "resources": {"limits": {"cpu": []}}})),
                ".spec.containers[name=\"c\"].resources.limits.cpu: expected any scalar, got &{[]}",
            ),
            (
                container(json!({"name": "c", "args": [1]})),
                ".spec.containers[name=\"c\"].args[0]: expected string, got \
                 &value.valueUnstructured{Value:1}",
            ),
        ];
        for (object, expected) in table {
            assert_eq!(problems("", "Pod", &object), [expected]);
        }
    }

    #[test]
    fn finds_items_with_one_key() {
        let finalizers = json!({"metadata": {"finalizers": ["a", "a"]}});
        assert_eq!(
            problems("", "ConfigMap", &finalizers),
            [".metadata.finalizers: duplicate entries for key [=\"a\"]"]
        );
        let ports = json!({"spec": {"ports": [
            {"port": 53, "protocol": "UDP"}, {"port": 53}, {"port": 53, "protocol": "TCP"},
        ]}});
        assert_eq!(
            problems("", "Service", &ports),
            [".spec.ports: duplicate entries for key [port=53,protocol=\"TCP\"]"]
        );
    }

    #[test]
    fn takes_nulls_quantities_and_whatever_has_no_schema() {
        let fine = [
            ("apps", "Deployment", json!({"spec": {"replicas": null, "template": null}})),
            (
                "",
                "PersistentVolumeClaim",
                json!({"spec": {"resources": {"requests": {"storage": 5}}}}),
            ),
            ("", "Service", json!({"spec": {"ports": [{"port": 80, "targetPort": "http"}]}})),
            (
                "apiextensions.k8s.io",
                "CustomResourceDefinition",
                json!({"spec": {"versions": [{"schema": {"openAPIV3Schema": {"properties": {
                    "a": {"items": {"type": "string"}, "default": {"x": [1]}, "enum": [1, "b"]},
                }}}}]}}),
            ),
        ];
        for (group, kind, object) in fine {
            assert_eq!(problems(group, kind, &object), Vec::<String>::new());
        }
    }
}
