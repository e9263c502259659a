//! The documents of `state/` and `plans/` say what the code does.
//!
//! `UPDATE=1 cargo test store::documents` writes the schemas anew.

use std::path::{Path, PathBuf};

use crate::model::Json;
use crate::model::history::Past;
use crate::model::plan::Plan;
use crate::model::state::State;

use super::{format, history_schema, load_plan, plan_schema, state_schema};

fn at(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> Json {
    let text = std::fs::read_to_string(at(path)).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn check_schema(path: &str, schema: &schemars::Schema) {
    let text = format!("{}\n", serde_json::to_string_pretty(schema).unwrap());
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(at(path), &text).unwrap();
    }
    let there = std::fs::read_to_string(at(path)).unwrap_or_default();
    assert!(there == text, "{path} is not what the code generates: run the test with UPDATE=1");
}

/// What of a value does not fit a schema: the keywords that schemars writes.
fn misfits(schema: &Json, value: &Json, root: &Json, path: &str) -> Vec<String> {
    let mut found = Vec::new();
    let Some(schema) = schema.as_object() else {
        return match schema {
            Json::Bool(false) => vec![format!("{path}: nothing may be here")],
            _ => found,
        };
    };
    for (keyword, rule) in schema {
        match (keyword.as_str(), rule) {
            ("$ref", Json::String(to)) => {
                let target = root.pointer(to.trim_start_matches('#')).unwrap();
                found.extend(misfits(target, value, root, path));
            }
            ("type", rule) if !has_type(rule, value) => {
                found.push(format!("{path}: {value} is not of type {rule}"));
            }
            ("const", rule) if rule != value => found.push(format!("{path}: not {rule}")),
            ("enum", Json::Array(all)) if !all.contains(value) => {
                found.push(format!("{path}: {value} is none of {rule}"));
            }
            ("pattern", Json::String(pattern)) => {
                let fits = value.as_str().is_some_and(|text| matches(pattern, text));
                if !fits {
                    found.push(format!("{path}: {value} does not fit {pattern}"));
                }
            }
            ("anyOf" | "oneOf", Json::Array(all)) => {
                if all.iter().all(|one| !misfits(one, value, root, path).is_empty()) {
                    found.push(format!("{path}: {value} fits none of {keyword}"));
                }
            }
            _ => found.extend(misfits_inside(keyword, rule, schema, value, root, path)),
        }
    }
    found
}

fn misfits_inside(
    keyword: &str,
    rule: &Json,
    schema: &crate::model::JsonMap,
    value: &Json,
    root: &Json,
    path: &str,
) -> Vec<String> {
    let mut found = Vec::new();
    match (keyword, rule, value) {
        ("required", Json::Array(names), Json::Object(map)) => {
            let missing = names.iter().filter_map(Json::as_str).filter(|n| !map.contains_key(*n));
            found.extend(missing.map(|name| format!("{path}.{name} is missing")));
        }
        ("properties", Json::Object(rules), Json::Object(map)) => {
            for (name, item) in map {
                match rules.get(name) {
                    Some(rule) => {
                        found.extend(misfits(rule, item, root, &format!("{path}.{name}")));
                    }
                    // An example that has what the types no longer have is out of date.
                    None if !schema.contains_key("additionalProperties") => {
                        found.push(format!("{path}.{name} is not known"));
                    }
                    None => {}
                }
            }
        }
        ("additionalProperties", rule, Json::Object(map)) => {
            let others = map.iter().filter(|(name, _)| !is_named(schema, name));
            found.extend(
                others
                    .flat_map(|(name, item)| misfits(rule, item, root, &format!("{path}.{name}"))),
            );
        }
        ("patternProperties", Json::Object(rules), Json::Object(map)) => {
            for (pattern, rule) in rules {
                for (name, item) in map.iter().filter(|(name, _)| matches(pattern, name)) {
                    found.extend(misfits(rule, item, root, &format!("{path}.{name}")));
                }
            }
        }
        ("items", rule, Json::Array(items)) => {
            for (i, item) in items.iter().enumerate() {
                found.extend(misfits(rule, item, root, &format!("{path}[{i}]")));
            }
        }
        _ => {}
    }
    found
}

/// Whether a property is spoken of by its name or a pattern.
fn is_named(schema: &crate::model::JsonMap, name: &str) -> bool {
    let of = |keyword: &str| schema.get(keyword).and_then(Json::as_object);
    of("properties").is_some_and(|all| all.contains_key(name))
        || of("patternProperties").is_some_and(|all| all.keys().any(|one| matches(one, name)))
}

fn matches(pattern: &str, text: &str) -> bool {
    regex::Regex::new(pattern).unwrap().is_match(text)
}

fn has_type(rule: &Json, value: &Json) -> bool {
    let is = |name: &str| match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    };
    match rule {
        Json::String(name) => is(name),
        Json::Array(names) => names.iter().filter_map(Json::as_str).any(is),
        _ => false,
    }
}

fn check_example(example: &Json, schema: schemars::Schema) {
    let schema = schema.to_value();
    assert_eq!(misfits(&schema, example, &schema, ""), Vec::<String>::new());
    let mut broken = example.clone();
    broken["format_version"] = "one".into();
    assert_ne!(misfits(&schema, &broken, &schema, ""), Vec::<String>::new());
}

#[test]
fn the_schemas_are_what_the_code_generates() {
    check_schema("state/state.schema.json", &state_schema());
    check_schema("state/history.schema.json", &history_schema());
    check_schema("plans/plan.schema.json", &plan_schema());
}

#[test]
fn the_example_of_a_state_is_one() {
    let example = read("state/example.json");
    check_example(&example, state_schema());
    let state: State = serde_json::from_value(example.clone()).unwrap();
    assert_eq!(serde_json::to_value(&state).unwrap(), example);
}

#[test]
fn the_example_of_an_earlier_run_is_one() {
    let example = read("state/history.example.json");
    check_example(&example, history_schema());
    let path = at("state/history.example.json");
    let past: Past = format::past(&path, &std::fs::read(&path).unwrap()).unwrap();
    assert!(past.declared.is_some());
    assert_eq!(serde_json::to_value(&past).unwrap(), example);
}

#[test]
fn the_example_of_a_plan_is_one() {
    let example = read("plans/example.json");
    check_example(&example, plan_schema());
    let plan: Plan = load_plan(&at("plans/example.json")).unwrap();
    assert_eq!(serde_json::to_value(&plan).unwrap(), example);
}
