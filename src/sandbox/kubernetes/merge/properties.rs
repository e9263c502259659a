//! What holds of every apply, over generated objects and managers.

use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

/// A kind with one field of each way to merge.
static SCHEMA: LazyLock<Arc<Schema>> = LazyLock::new(|| {
    let string = json!({"type": "string"});
    Schema::of_crd(&json!({"type": "object", "properties": {"spec": {
        "type": "object",
        "properties": {
            "size": {"type": "integer"},
            "color": string,
            "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": string},
            "plain": {"type": "array", "items": string},
            "parts": {
                "type": "array",
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name", "protocol"],
                "items": {"type": "object", "properties": {
                    "name": string,
                    "protocol": {"type": "string", "default": "TCP"},
                    "count": {"type": "integer"},
                }},
            },
            "labels": {"type": "object", "additionalProperties": string},
            "selector": {
                "type": "object",
                "additionalProperties": string,
                "x-kubernetes-map-type": "atomic",
            },
            "nested": {"type": "object", "properties": {"a": string, "b": string}},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
        },
    }}}))
});

fn word() -> impl Strategy<Value = Value> {
    prop::sample::select(vec!["x", "y", "z"]).prop_map(Value::from)
}

fn map() -> impl Strategy<Value = Value> {
    prop::collection::btree_map("[abc]", word(), 1..3)
        .prop_map(|entries| Value::Object(entries.into_iter().collect()))
}

fn distinct() -> impl Strategy<Value = Value> {
    prop::collection::btree_set(prop::sample::select(vec!["x", "y", "z"]), 1..4)
        .prop_map(|items| items.into_iter().map(Value::from).collect())
}

fn parts() -> impl Strategy<Value = Value> {
    let part = (prop::option::of(0..3), any::<bool>());
    prop::collection::btree_map("[mno]", part, 1..4).prop_map(|parts| {
        let part = |(name, (count, udp)): (String, (Option<i32>, bool))| {
            let mut part = json!({"name": name});
            if let Some(count) = count {
                part["count"] = count.into();
            }
            if udp {
                part["protocol"] = "UDP".into();
            }
            part
        };
        parts.into_iter().map(part).collect()
    })
}

fn config() -> impl Strategy<Value = Value> {
    let fields: Vec<(&str, BoxedStrategy<Value>)> = vec![
        ("size", (0..3).prop_map(Value::from).boxed()),
        ("color", word().boxed()),
        ("tags", distinct().boxed()),
        ("plain", distinct().boxed()),
        ("parts", parts().boxed()),
        ("labels", map().boxed()),
        ("selector", map().boxed()),
        ("nested", map().prop_map(nested).boxed()),
        ("free", map().prop_map(|map| json!({"deep": map})).boxed()),
    ];
    let (names, values): (Vec<_>, Vec<_>) =
        fields.into_iter().map(|(name, value)| (name, prop::option::weighted(0.6, value))).unzip();
    values.prop_map(move |values| {
        let set = names.iter().zip(values).filter_map(|(n, v)| Some(((*n).to_owned(), v?)));
        let spec: Map<String, Value> = set.collect();
        let mut object = json!({"apiVersion": "example.dev/v1", "kind": "Widget",
            "metadata": {"name": "w", "namespace": "default"}});
        if !spec.is_empty() {
            object["spec"] = Value::Object(spec);
        }
        object
    })
}

/// Keeps the declared names only.
fn nested(map: Value) -> Value {
    let Value::Object(mut map) = map else { return map };
    map.retain(|name, _| name != "c");
    Value::Object(map)
}

fn apply_as(
    manager: &str,
    force: bool,
    live: Option<&Value>,
    config: &Value,
) -> Result<Value, ApplyError> {
    let reset = reset_fields("");
    let applier = Applier {
        manager,
        api_version: "example.dev/v1",
        subresource: "",
        force,
        now: "2026-11-22T22:00:00Z",
        reset: &reset,
    };
    let managers = live.map(Managers::of).unwrap_or_default();
    let merged = apply(&SCHEMA, live, &managers, config, &applier)?;
    let mut object = merged.object;
    merged.managers.write_to(&mut object);
    Ok(object)
}

fn force(manager: &str, live: Option<&Value>, config: &Value) -> Value {
    apply_as(manager, true, live, config).expect("a forced apply of a valid object succeeds")
}

/// The paths that a manager owns.
fn owned(object: &Value, name: &str) -> Vec<Vec<PathElement>> {
    let managers = Managers::of(object);
    let of_manager = managers.iter().filter(|(manager, _)| manager.name == name);
    of_manager.flat_map(|(_, entry)| entry.set.paths()).collect()
}

fn is_within(part: &Value, whole: &Value) -> bool {
    match (part, whole) {
        (Value::Object(part), Value::Object(whole)) => part
            .iter()
            .all(|(name, value)| whole.get(name).is_some_and(|whole| is_within(value, whole))),
        (Value::Array(part), Value::Array(whole)) => {
            part.iter().all(|part| whole.iter().any(|whole| is_within(part, whole)))
        }
        _ => part == whole,
    }
}

fn spec_without_empty(object: &Value) -> Value {
    let empty = [json!(null), json!({}), json!([])];
    let fields = object["spec"].as_object().cloned().unwrap_or_default();
    Value::Object(fields.into_iter().filter(|(_, value)| !empty.contains(value)).collect())
}

/// Whatever a client may send, with the names of real fields so that it gets somewhere.
fn anything() -> impl Strategy<Value = Value> {
    const NAMES: &[&str] = &[
        "metadata",
        "managedFields",
        "finalizers",
        "annotations",
        "name",
        "spec",
        "template",
        "containers",
        "ports",
        "containerPort",
        "protocol",
        "replicas",
        "selector",
        "status",
        "fieldsV1",
        "operation",
        "manager",
        "f:spec",
        "k:{\"name\":\"x\"}",
        "k:[]",
        "v:",
        "i:x",
        ".",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec!["x", "TCP", "Apply", "Update", ""]).prop_map(Value::from),
    ];
    leaf.prop_recursive(8, 64, 6, |inner| {
        let name = prop::sample::select(NAMES);
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            3 => prop::collection::vec((name, inner), 0..6).prop_map(|entries| {
                let entries = entries.into_iter().map(|(name, value)| (name.to_owned(), value));
                Value::Object(entries.collect())
            }),
        ]
    })
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(live in anything(), config in anything()) {
        let deployment = Schema::built_in("apps", "v1", "Deployment").expect("a built-in kind");
        for schema in [deployment, Schema::deduced(), Schema::of_crd(&live)] {
            let reset = reset_fields("");
            let applier = Applier { manager: "a", api_version: "apps/v1", subresource: "",
                force: true, now: "2026-11-22T22:00:00Z", reset: &reset };
            let updater = Updater { manager: "b", api_version: "apps/v1", subresource: "",
                now: "2026-11-22T22:00:00Z", reset: &reset };
            let mut managers = Managers::of_write(&config, Some(&live));
            if let Ok(merged) = apply(&schema, Some(&live), &managers, &config, &applier) {
                managers = merged.managers;
            }
            let managers = update(&schema, Some(&live), &config, &managers, &updater);
            let mut object = config.clone();
            managers.write_to(&mut object);
            schema.drop_unknown(&mut object);
            schema.missing_required(&object);
            schema.type_problems(&object);
        }
    }

    #[test]
    fn applying_twice_changes_nothing(first in config(), other in config()) {
        let live = force("other", None, &other);
        let once = force("boxctl", Some(&live), &first);
        let twice = apply_as("boxctl", false, Some(&once), &first);
        prop_assert_eq!(twice, Ok(once));
    }

    #[test]
    fn what_is_applied_is_there(first in config(), second in config()) {
        let live = force("a", None, &first);
        let both = force("b", Some(&live), &second);
        prop_assert!(is_within(&second, &both), "{} lacks {}", both, second);
    }

    #[test]
    fn who_is_forced_out_conflicts_until_it_forces_back(
        first in config(),
        second in config(),
    ) {
        let mine = force("a", None, &first);
        let theirs = force("b", Some(&mine), &second);
        if let Err(ApplyError::Conflict(conflicts)) = apply_as("a", false, Some(&theirs), &first) {
            prop_assert!(conflicts.iter().all(|conflict| conflict.manager.name == "b"));
        } else {
            prop_assert!(is_within(&first, &theirs));
        }
        let back = force("a", Some(&theirs), &first);
        prop_assert!(is_within(&first, &back), "{} lacks {}", back, first);
        let settled = apply_as("a", false, Some(&back), &first);
        prop_assert_eq!(settled, Ok(back));
    }

    #[test]
    fn what_the_only_owner_drops_is_gone(first in config(), second in config()) {
        let live = force("a", None, &first);
        let dropped = force("a", Some(&live), &second);
        prop_assert_eq!(spec_without_empty(&dropped), spec_without_empty(&second));
        prop_assert_eq!(owned(&dropped, "a"), owned(&force("a", None, &second), "a"));
    }

    #[test]
    fn what_another_owns_too_stays(first in config(), second in config()) {
        let shared = force("b", Some(&force("a", None, &first)), &first);
        let dropped = force("a", Some(&shared), &second);
        let theirs = owned(&dropped, "b");
        let before = owned(&shared, "b");
        prop_assert!(theirs.iter().all(|path| before.contains(path)));
        // What "a" left alone is as "b" has it.
        let kept = force("b", Some(&dropped), &first);
        prop_assert!(is_within(&first, &kept));
    }

    #[test]
    fn field_sets_survive_writing(first in config(), second in config()) {
        let object = force("b", Some(&force("a", None, &first)), &second);
        let managers = Managers::of(&object);
        prop_assert_eq!(Managers::decode(&managers.encode()), managers);
    }

    #[test]
    fn an_update_owns_what_it_changed_alone(first in config(), second in config()) {
        let live = force("a", None, &first);
        let reset = reset_fields("");
        let updater = Updater {
            manager: "editor",
            api_version: "example.dev/v1",
            subresource: "",
            now: "2026-11-22T22:00:00Z",
            reset: &reset,
        };
        let managers = Managers::of_write(&second, Some(&live));
        let mut edited = second.clone();
        update(&SCHEMA, Some(&live), &second, &managers, &updater).write_to(&mut edited);
        let (editor, applier) = (owned(&edited, "editor"), owned(&edited, "a"));
        prop_assert!(editor.iter().all(|path| !applier.contains(path)));
        let same = spec_without_empty(&first) == spec_without_empty(&second);
        prop_assert_eq!(same && editor.is_empty(), same);
    }
}
