//! What a kind's type tells about an object apart from merging.

use serde_json::Value;

use super::fieldset::spell;
use super::schema::{Scalar, Schema, Type, TypeRef};
use super::validate::{ProblemKind, validate};

impl Schema {
    /// Calls `change` on every quantity of the object (`"1000m"`, `1`), to bring it into the
    /// server's form.
    pub fn visit_quantities(&self, object: &mut Value, change: &mut dyn FnMut(&mut Value)) {
        visit_quantities(&self.root, object, change);
    }

    /// The required fields that the object lacks, as `spec.template.spec.containers[0].name`.
    pub fn missing_required(&self, object: &Value) -> Vec<String> {
        let mut missing = Vec::new();
        find_missing(&self.root, object, "", &mut missing);
        missing
    }

    /// Drops the fields that are not declared, as the server does where it decodes a create, update
    /// or merge patch, and names them: `spec.template.spec.containers[0].imagePullPolcy`.
    pub fn drop_unknown(&self, object: &mut Value) -> Vec<String> {
        let mut dropped = Vec::new();
        drop_unknown(&self.root, object, "", &mut dropped);
        dropped
    }

    /// The values that are of another type than theirs, in the server's words:
    /// `.spec.replicas: expected numeric (int or float), got string`. An object may have to lose its
    /// unknown fields first: beside one of these nothing more is found.
    pub fn type_problems(&self, object: &Value) -> Vec<String> {
        validate(&self.root, object)
            .into_iter()
            .filter(|problem| problem.kind == ProblemKind::Type)
            .map(|problem| format!("{}: {}", spell(&problem.path), problem.text))
            .collect()
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn visit_quantities(of: &TypeRef, value: &mut Value, change: &mut dyn FnMut(&mut Value)) {
    match (&*of.resolve(), value) {
        (Type::Scalar(Scalar::Quantity), value) if !value.is_null() => change(value),
        (Type::List(list), Value::Array(items)) => {
            items.iter_mut().for_each(|item| visit_quantities(&list.item, item, change));
        }
        (Type::Map(map), Value::Object(entries)) => {
            for (name, entry) in entries.iter_mut() {
                if let Some(of) = map.field(name) {
                    visit_quantities(of, entry, change);
                }
            }
        }
        _ => {}
    }
}

fn find_missing(of: &TypeRef, value: &Value, path: &str, missing: &mut Vec<String>) {
    match (&*of.resolve(), value) {
        (Type::List(list), Value::Array(items)) => {
            for (index, item) in items.iter().enumerate() {
                find_missing(&list.item, item, &format!("{path}[{index}]"), missing);
            }
        }
        (Type::Map(map), Value::Object(entries)) => {
            for name in &map.required {
                if entries.get(name).is_none_or(Value::is_null) {
                    missing.push(join(path, name));
                }
            }
            for (name, entry) in entries {
                if let Some(of) = map.field(name) {
                    find_missing(of, entry, &join(path, name), missing);
                }
            }
        }
        _ => {}
    }
}

fn drop_unknown(of: &TypeRef, value: &mut Value, path: &str, dropped: &mut Vec<String>) {
    match (&*of.resolve(), value) {
        (Type::List(list), Value::Array(items)) => {
            for (index, item) in items.iter_mut().enumerate() {
                drop_unknown(&list.item, item, &format!("{path}[{index}]"), dropped);
            }
        }
        (Type::Map(map), Value::Object(entries)) => {
            entries.retain(|name, _| {
                let declared = map.field(name).is_some();
                if !declared {
                    dropped.push(join(path, name));
                }
                declared
            });
            for (name, entry) in entries.iter_mut() {
                if let Some(of) = map.field(name) {
                    drop_unknown(of, entry, &join(path, name), dropped);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;

    fn deployment() -> Arc<Schema> {
        Schema::built_in("apps", "v1", "Deployment").expect("a built-in kind")
    }

    #[test]
    fn finds_quantities_and_missing_fields() {
        let mut object = json!({"spec": {"replicas": 1, "template": {"spec": {"containers": [
            {"image": "x", "resources": {"limits": {"cpu": 1, "memory": "1Gi"}}},
        ]}}}});
        assert_eq!(
            deployment().missing_required(&object),
            ["spec.selector", "spec.template.spec.containers[0].name"]
        );
        let mut seen = Vec::new();
        deployment().visit_quantities(&mut object, &mut |quantity| seen.push(quantity.take()));
        assert_eq!(seen, [json!(1), json!("1Gi")]);
    }

    #[test]
    fn drops_and_names_unknown_fields() {
        let mut object = json!({
            "metadata": {"labels": {"any": "x"}},
            "extra": {},
            "spec": {"replicas": "1", "template": {"spec": {
                "containers": [{"name": "c", "imagePullPolcy": "Always"}],
            }}},
        });
        assert_eq!(
            deployment().drop_unknown(&mut object),
            ["extra", "spec.template.spec.containers[0].imagePullPolcy"]
        );
        assert_eq!(
            object,
            json!({
                "metadata": {"labels": {"any": "x"}},
                "spec": {"replicas": "1", "template": {"spec": {"containers": [{"name": "c"}]}}},
            })
        );
        assert_eq!(
            deployment().type_problems(&object),
            [".spec.replicas: expected numeric (int or float), got string"]
        );
    }

    #[test]
    fn keeps_what_a_custom_resource_may_hold() {
        let schema = Schema::of_crd(&json!({"type": "object", "properties": {
            "spec": {"type": "object", "properties": {
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                "map": {"type": "object", "additionalProperties": {"type": "integer"}},
            }},
        }}));
        let whole = json!({"apiVersion": "a/v1", "kind": "A", "metadata": {"name": "a"},
            "spec": {"free": {"x": {"y": 1}}, "map": {"k": 1}}});
        let mut object = whole.clone();
        object["spec"]["other"] = 1.into();
        assert_eq!(schema.drop_unknown(&mut object), ["spec.other"]);
        assert_eq!(object, whole);
    }
}
