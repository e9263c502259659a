//! The JSON Schema of stack files.

use serde_json::json;

use super::variables::VariableFile;
use super::{lookup, manifest, service, settings};
use crate::model::Json;
use crate::model::address::KUBERNETES;

/// The shape of a stack file: what its sections hold is looked at one by one.
pub(super) fn outline() -> Json {
    let section = json!({"type": ["object", "null"]});
    let text = |doc: &str| json!({"type": ["string", "null"], "x-known": true, "description": doc});
    json!({
        "type": ["object", "null"],
        "additionalProperties": false,
        "properties": {
            "stack": text("The stack's name; the file's where nothing is said."),
            "renamed_from": text("An earlier name of the stack."),
            "namespace": text("The namespace of manifests that name none."),
            "variables": section,
            "services": section,
            "resources": section,
            "lookups": section,
            "manifests": {"type": ["array", "null"]},
            "settings": section,
            "forget": {"type": ["array", "null"], "items": {"type": "string"}, "description": "Addresses that leave the state and stay in the world."},
            "accept": {"type": ["object", "null"], "additionalProperties": {"type": "string"}, "description": "Warnings that are meant: code and reason."}
        }
    })
}

/// The JSON Schema of stack files, the kinds' own included.
pub(super) fn stack(kinds: &super::Kinds) -> Json {
    let mut root = outline();
    let mut definitions = crate::model::JsonMap::new();
    let mut include = |name: &str, schema: Json| {
        definitions.insert(name.to_owned(), rooted(schema, name));
        json!({"$ref": format!("#/$defs/{name}")})
    };
    let meta = include("meta", settings::schema().clone());
    let service = include("service", service::schema());
    let variable = include("variable", schemars::schema_for!(VariableFile).to_value());
    let entry = include("manifest", manifest::schema());
    let lookups = include("lookup", lookup::schema());
    let mut patterns = crate::model::JsonMap::new();
    let fields = settings::schema();
    for kind in kinds.iter().filter(|kind| kind.name() != KUBERNETES) {
        let mut own = kind.schema().to_value();
        if let (Some(map), Some(extra)) = (
            own.get_mut("properties").and_then(Json::as_object_mut),
            fields.get("properties").and_then(Json::as_object),
        ) {
            for name in extra.keys() {
                let place = format!("#/$defs/meta/properties/{name}");
                map.entry(name.clone()).or_insert_with(|| json!({"$ref": place}));
            }
        }
        if let Some(map) = own.as_object_mut() {
            map.insert("description".to_owned(), kind.doc().into());
        }
        let reference = include(kind.name(), own);
        patterns.insert(format!("^{}\\.", kind.name()), reference);
    }
    patterns.insert("^k8s\\.".to_owned(), json!({"type": "object"}));
    if let Some(map) = root.get_mut("properties").and_then(Json::as_object_mut) {
        let table =
            |schema: Json| json!({"type": ["object", "null"], "additionalProperties": schema});
        map.insert("variables".to_owned(), table(json!({"anyOf": [variable, {"type": "null"}]})));
        map.insert("services".to_owned(), table(service));
        map.insert("settings".to_owned(), table(meta));
        map.insert("lookups".to_owned(), table(lookups));
        map.insert("manifests".to_owned(), json!({"type": ["array", "null"], "items": entry}));
        map.insert(
            "resources".to_owned(),
            json!({"type": ["object", "null"], "patternProperties": patterns, "additionalProperties": false}),
        );
    }
    if let Some(map) = root.as_object_mut() {
        map.insert("$schema".to_owned(), "https://json-schema.org/draft/2020-12/schema".into());
        map.insert("title".to_owned(), "A stack of boxctl".into());
        map.insert("$defs".to_owned(), Json::Object(definitions));
    }
    root
}

/// A schema that was a document of its own, moved below `#/$defs/<name>`.
fn rooted(schema: Json, name: &str) -> Json {
    match schema {
        Json::Object(map) => Json::Object(
            map.into_iter()
                .filter(|(key, _)| key != "$schema")
                .map(|(key, value)| match (key.as_str(), &value) {
                    ("$ref", Json::String(at)) if at.starts_with('#') => {
                        let at = format!("#/$defs/{name}{}", &at[1..]);
                        (key, Json::String(at))
                    }
                    _ => (key, rooted(value, name)),
                })
                .collect(),
        ),
        Json::Array(items) => {
            Json::Array(items.into_iter().map(|item| rooted(item, name)).collect())
        }
        other => other,
    }
}
