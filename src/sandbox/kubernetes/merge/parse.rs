//! Reads types: from the built-in table's notation and from a CRD's structural schema.

use std::sync::Arc;

use serde_json::Value;

use super::schema::{ListType, MapType, Relation, Scalar, Type, TypeRef};

impl TypeRef {
    /// Reads the table's notation: `"string"`, `"core.v1.PodSpec"`, `{"list": .., "keys": ..}`,
    /// `{"map": ..}`, `{"ref": .., "granular": true}`.
    pub(super) fn of_notation(notation: &Value) -> TypeRef {
        if let Some(name) = notation.as_str() {
            return match name {
                "string" => TypeRef::scalar(Scalar::String),
                "number" => TypeRef::scalar(Scalar::Number),
                "boolean" => TypeRef::scalar(Scalar::Boolean),
                "time" | "int-or-string" => TypeRef::scalar(Scalar::Untyped),
                "quantity" => TypeRef::scalar(Scalar::Quantity),
                "any" => TypeRef::deduced(),
                name => TypeRef::named(name, None),
            };
        }
        let is = |flag: &str| notation[flag].as_bool().unwrap_or(false);
        if let Some(name) = notation["ref"].as_str() {
            let atomic = (is("granular") || is("atomic")).then(|| is("atomic"));
            return TypeRef::named(name, atomic);
        }
        TypeRef::Inline(Arc::new(if let Some(item) = notation.get("list") {
            let relation = match strings(&notation["keys"]) {
                keys if !keys.is_empty() => Relation::Keyed(keys),
                _ if is("set") => Relation::Set,
                _ => Relation::Atomic,
            };
            Type::List(ListType { item: TypeRef::of_notation(item), relation })
        } else if let Some(element) = notation.get("map") {
            Type::Map(MapType {
                element: Some(TypeRef::of_notation(element)),
                atomic: is("atomic"),
                ..MapType::default()
            })
        } else {
            Type::Deduced
        }))
    }
}

impl Type {
    pub(super) fn of_definition(definition: &Value) -> Type {
        if let Some(alias) = definition.get("is") {
            return (*TypeRef::of_notation(alias).resolve()).clone();
        }
        let entries = |name: &str| definition[name].as_object().cloned().unwrap_or_default();
        let fields = entries("fields");
        Type::Map(MapType {
            fields: fields.iter().map(|(n, t)| (n.clone(), TypeRef::of_notation(t))).collect(),
            element: None,
            atomic: definition["atomic"].as_bool().unwrap_or(false),
            defaults: entries("defaults").into_iter().collect(),
            required: strings(&definition["required"]),
            held: strings(&definition["held"]),
        })
    }

    /// Reads a CRD's structural schema.
    pub(super) fn of_structural(schema: &Value) -> Type {
        let is = |flag: &str| schema[flag].as_bool().unwrap_or(false);
        if is("x-kubernetes-int-or-string") {
            return Type::Scalar(Scalar::Untyped);
        }
        let preserve = is("x-kubernetes-preserve-unknown-fields");
        match schema["type"].as_str() {
            Some("string") => Type::Scalar(match schema["format"].as_str().unwrap_or_default() {
                "" | "byte" => Scalar::String,
                _ => Scalar::Untyped,
            }),
            Some("integer" | "number") => Type::Scalar(Scalar::Number),
            Some("boolean") => Type::Scalar(Scalar::Boolean),
            Some("array") => Type::List(ListType {
                item: TypeRef::Inline(Arc::new(Type::of_structural(&schema["items"]))),
                relation: match schema["x-kubernetes-list-type"].as_str() {
                    Some("set") => Relation::Set,
                    Some("map") => Relation::Keyed(strings(&schema["x-kubernetes-list-map-keys"])),
                    _ => Relation::Atomic,
                },
            }),
            Some("object") => Type::Map(Type::of_structural_object(schema, preserve)),
            _ => Type::Deduced,
        }
    }

    fn of_structural_object(schema: &Value, preserve: bool) -> MapType {
        let properties = schema["properties"].as_object().cloned().unwrap_or_default();
        let mut map = MapType {
            atomic: schema["x-kubernetes-map-type"].as_str() == Some("atomic"),
            required: strings(&schema["required"]),
            ..MapType::default()
        };
        for (name, property) in &properties {
            let inline = TypeRef::Inline(Arc::new(Type::of_structural(property)));
            map.fields.insert(name.clone(), inline);
            if let Some(default) = property.get("default") {
                map.defaults.insert(name.clone(), default.clone());
            }
        }
        map.element = match schema.get("additionalProperties") {
            Some(Value::Bool(true)) => Some(TypeRef::deduced()),
            Some(element @ Value::Object(_)) => {
                Some(TypeRef::Inline(Arc::new(Type::of_structural(element))))
            }
            _ if preserve => Some(TypeRef::deduced()),
            _ => None,
        };
        if schema["x-kubernetes-embedded-resource"].as_bool() == Some(true) {
            map.add_object_fields();
        }
        map
    }
}

fn strings(value: &Value) -> Vec<String> {
    let items = value.as_array().into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}
