//! Replays recorded writes of a real API server (`tests/recordings/kubernetes`): what it answered
//! is what this module makes of the object before and the request.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::*;

const RECORDINGS: &[&str] = &[
    "03-crd-and-ssa-merge",
    "04-openhands-create",
    "05-migrate-and-roll-back",
    "06-drift-and-conflicts",
    "07-rejections",
    "08-quantities",
    "11-strategy-switch",
    "12-strategy-switch-by-claim-and-drop",
    "13-drop-an-immutable-field",
    "14-status-and-readiness",
];

/// The server's canonical form of the quantities that the recordings have.
const CANONICAL: &[(&str, &str)] = &[
    ("1000m", "1"),
    ("2000m", "2"),
    ("1024Mi", "1Gi"),
    ("1.5Gi", "1536Mi"),
    ("0.5", "500m"),
    ("1.0", "1"),
    ("0.1", "100m"),
];

/// The schemas of custom resources whose CRDs were installed outside of the recordings, as far as
/// these use them.
fn custom_schemas() -> BTreeMap<String, Arc<Schema>> {
    let string = json!({"type": "string"});
    let free = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let source = json!({"type": "object", "properties": {
        "chart": string, "repoURL": string, "targetRevision": string, "path": string, "helm": free,
    }});
    let application = json!({"type": "object", "properties": {"status": free, "spec": {
        "type": "object", "properties": {
            "project": string,
            "sources": {"type": "array", "items": source},
            "source": source,
            "destination": {"type": "object", "properties": {"server": string, "namespace": string}},
            "syncPolicy": {"type": "object", "properties": {
                "syncOptions": {"type": "array", "items": string},
            }},
    }}}});
    let external_secret = json!({"type": "object", "properties": {"spec": {
        "type": "object", "properties": {
            "refreshInterval": string,
            "data": {"type": "array", "items": free},
            "secretStoreRef": {"type": "object", "properties": {"kind": string, "name": string}},
            "target": {"type": "object", "properties": {"name": string, "creationPolicy": string}},
        }},
        "status": {"type": "object", "properties": {
            "conditions": {"type": "array", "items": free},
            "refreshTime": {"type": "string", "format": "date-time"},
            "syncedResourceVersion": string,
        }},
    }});
    let named = [
        ("argoproj.io/v1alpha1/Application", application),
        ("external-secrets.io/v1beta1/ExternalSecret", external_secret),
    ];
    named.into_iter().map(|(name, schema)| (name.to_owned(), Schema::of_crd(&schema))).collect()
}

/// The objects as last answered, and what was checked.
struct World {
    objects: BTreeMap<String, Value>,
    schemas: BTreeMap<String, Arc<Schema>>,
    checked: BTreeMap<&'static str, usize>,
}

impl World {
    fn schema_of(&self, object: &Value) -> Arc<Schema> {
        let api_version = object["apiVersion"].as_str().unwrap_or_default();
        let kind = object["kind"].as_str().unwrap_or_default();
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        Schema::built_in(group, version, kind)
            .or_else(|| self.schemas.get(&format!("{api_version}/{kind}")).cloned())
            .unwrap_or_else(|| panic!("no schema of {api_version} {kind}"))
    }

    /// Custom resources get their schema when their CRD is applied.
    fn learn(&mut self, object: &Value) {
        if object["kind"] != "CustomResourceDefinition" {
            return;
        }
        for version in object["spec"]["versions"].as_array().into_iter().flatten() {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let name = format!(
                "{}/{}/{}",
                text(&object["spec"]["group"]),
                text(&version["name"]),
                text(&object["spec"]["names"]["kind"])
            );
            self.schemas.insert(name, Schema::of_crd(&version["schema"]["openAPIV3Schema"]));
        }
    }

    fn count(&mut self, what: &'static str) {
        *self.checked.entry(what).or_default() += 1;
    }
}

/// The managers less when they wrote, but for whether they ever changed something.
fn without_times(managers: &Value) -> Value {
    let mut managers = managers.clone();
    for time in managers.as_array_mut().into_iter().flatten().filter_map(|e| e.get_mut("time")) {
        *time = Value::Null;
    }
    managers
}

/// Fails where the merged object has something that the answer has not, or has otherwise.
fn assert_within(merged: &Value, answered: &Value, path: &str, at: &str) {
    match (merged, answered) {
        (Value::Object(merged), Value::Object(answered)) => {
            for (name, value) in merged {
                let of_server = ["resourceVersion", "generation", "managedFields", "status"];
                if !of_server.contains(&name.as_str()) {
                    let path = format!("{path}.{name}");
                    // An empty struct or an empty value is not printed.
                    let empty = json!(null);
                    let said = answered.get(name).unwrap_or(&empty);
                    let nothing = [json!({}), json!([]), json!(""), json!(false), json!(null)];
                    if !(said.is_null() && nothing.contains(value)) {
                        assert_within(value, said, &path, at);
                    }
                }
            }
        }
        (Value::Array(merged), Value::Array(answered)) => {
            assert_eq!(merged.len(), answered.len(), "{at}: items of {path}");
            for (index, (merged, answered)) in merged.iter().zip(answered).enumerate() {
                assert_within(merged, answered, &format!("{path}[{index}]"), at);
            }
        }
        _ => assert_eq!(merged, answered, "{at}: value of {path}"),
    }
}

/// What the server has defaults for, of what the recordings write.
const DEFAULTED: &[&str] =
    &["strategy", "terminationMessagePath", "terminationMessagePolicy", "imagePullPolicy"];

/// Fails where a write of an object that was there lost something, other than defaults.
fn assert_whole(merged: &Value, answered: &Value, path: &str, at: &str) {
    match (merged, answered) {
        (Value::Object(merged), Value::Object(answered)) => {
            for (name, value) in answered {
                let path = format!("{path}.{name}");
                match merged.get(name) {
                    Some(merged) => assert_whole(merged, value, &path, at),
                    None if name == "managedFields" => {}
                    None => assert!(DEFAULTED.contains(&name.as_str()), "{at}: lost {path}"),
                }
            }
        }
        (Value::Array(merged), Value::Array(answered)) => {
            for (index, (merged, answered)) in merged.iter().zip(answered).enumerate() {
                assert_whole(merged, answered, &format!("{path}[{index}]"), at);
            }
        }
        _ => {}
    }
}

/// When the answer was given, as far as its managers tell: their order depends on it.
fn time_of(answered: &Value) -> String {
    let entries = answered["metadata"]["managedFields"].as_array().into_iter().flatten();
    let times = entries.filter_map(|entry| entry["time"].as_str());
    times.max().unwrap_or("2026-11-22T22:00:00Z").to_owned()
}

fn canonical(schema: &Schema, object: &Value) -> Value {
    let mut object = object.clone();
    schema.visit_quantities(&mut object, &mut |quantity| {
        let text = quantity.as_str().map_or_else(|| quantity.to_string(), str::to_owned);
        let known = CANONICAL.iter().find(|(from, _)| *from == text);
        *quantity = known.map_or(text.as_str(), |(_, to)| to).into();
    });
    object
}

fn check_apply(world: &mut World, path: &str, subresource: &str, line: &Value, at: &str) {
    let (request, response) = (&line["request"], &line["response"]);
    let body = request["body"].as_str().unwrap_or_default();
    let Ok(config) = serde_json::from_str::<Value>(body) else { return world.count("not JSON") };
    let status = response["status"].as_u64().unwrap_or_default();
    let message = response["body"]["message"].as_str().unwrap_or_default();
    let refused = match status {
        409 if message.starts_with("Apply failed") => "conflict",
        500 if message.starts_with("failed to create typed") => "typed",
        200 | 201 if response["body"]["metadata"]["managedFields"].is_array() => "",
        _ => return world.count("of the server around it"),
    };
    let schema = world.schema_of(&config);
    // Some recordings start over: what is created was not there.
    let live = world.objects.get(path).filter(|_| status != 201).cloned();
    let managers = live.as_ref().map(Managers::of).unwrap_or_default();
    let applier = Applier {
        manager: request["query"]["fieldManager"].as_str().unwrap_or_default(),
        api_version: config["apiVersion"].as_str().unwrap_or_default(),
        subresource,
        force: request["query"]["force"] == "true",
        now: &time_of(&response["body"]),
        reset: &reset_fields(subresource),
    };
    match apply(&schema, live.as_ref(), &managers, &config, &applier) {
        Err(ApplyError::Conflict(conflicts)) if refused == "conflict" => {
            assert_conflicts(conflicts, &response["body"], at);
            world.count("conflict");
        }
        Err(ApplyError::Typed(text)) if refused == "typed" => {
            // The server tells several problems in no order.
            let sorted = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
            assert_eq!(sorted(&text), sorted(message), "{at}");
            world.count("typed");
        }
        Ok(merged) if refused.is_empty() => {
            let answered = &response["body"];
            assert_merged(&merged, &schema, answered, at);
            let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
            let is_dry_run = request["query"].get("dryRun").is_some();
            if let Some(live) = live {
                assert_whole(&canonical(&schema, &merged.object), answered, "", at);
                if !is_dry_run && version(&live) == version(answered) {
                    assert!(merged.managers.same_but_for_times(&managers), "{at}");
                    world.count("nothing changed");
                }
            }
            world.count("applied");
        }
        other => panic!("{at}: {other:?}\nexpected {status}: {message}"),
    }
}

fn assert_conflicts(conflicts: Vec<Conflict>, answered: &Value, at: &str) {
    let cause = |conflict: &Conflict| json!({"reason": "FieldManagerConflict", "message": conflict.cause(), "field": conflict.path});
    let causes: Vec<_> = conflicts.iter().map(cause).collect();
    assert_eq!(Value::Array(causes), answered["details"]["causes"], "{at}");
    let message = ApplyError::Conflict(conflicts).to_string();
    assert_eq!(message, answered["message"].as_str().unwrap_or_default(), "{at}");
}

fn assert_merged(merged: &Merged, schema: &Schema, answered: &Value, at: &str) {
    assert_eq!(
        without_times(&merged.managers.encode()),
        without_times(&answered["metadata"]["managedFields"]),
        "{at}"
    );
    assert_within(&canonical(schema, &merged.object), answered, "", at);
}

fn check_update(world: &mut World, path: &str, subresource: &str, line: &Value, at: &str) {
    let (request, new) = (&line["request"], &line["response"]["body"]);
    if !new["metadata"]["managedFields"].is_array() {
        return world.count("of the server around it");
    }
    let live = world.objects.get(path).cloned();
    let live_managers = live.as_ref().map(Managers::of).unwrap_or_default();
    let updater = Updater {
        manager: request["query"]["fieldManager"].as_str().unwrap_or("python-requests"),
        api_version: new["apiVersion"].as_str().unwrap_or_default(),
        subresource,
        now: &time_of(new),
        reset: &reset_fields(subresource),
    };
    let schema = world.schema_of(new);
    let mut written = new.clone();
    if let Some(spec) = written.get_mut("spec").and_then(Value::as_object_mut) {
        // The server adds it to a new namespace after it has settled who owns what.
        spec.shift_remove("finalizers");
    }
    let got = update(&schema, live.as_ref(), &written, &live_managers, &updater).encode();
    let expected = without_times(&new["metadata"]["managedFields"]);
    assert_eq!(without_times(&got), expected, "{at}");
    world.count("updated");
}

fn replay(world: &mut World, name: &str) {
    let path = format!("{}/tests/recordings/kubernetes/{name}.jsonl", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut scaled = None;
    for (index, line) in text.lines().enumerate() {
        let line: Value = serde_json::from_str(line).expect("a recorded line is JSON");
        let at = format!("{name}:{} {}", index + 1, line["note"]);
        let request = &line["request"];
        let full = request["path"].as_str().unwrap_or_default().to_owned();
        let (path, subresource) = ["scale", "status"]
            .iter()
            .find_map(|sub| Some((full.strip_suffix(&format!("/{sub}"))?.to_owned(), *sub)))
            .unwrap_or((full.clone(), ""));
        let method = request["method"].as_str().unwrap_or_default();
        let is_apply = request["content_type"] == "application/apply-patch+yaml";
        match method {
            "PATCH" if is_apply => check_apply(world, &path, subresource, &line, &at),
            "PUT" if subresource == "scale" => {
                scaled = Some(request["query"]["fieldManager"].clone())
            }
            "PATCH" | "PUT" => check_update(world, &path, subresource, &line, &at),
            "POST" => check_update(world, "(none)", subresource, &line, &at),
            "GET" if scaled.is_some() => {
                // The answer to a write of the scale is no Deployment: the next read has it.
                let mut write = line.clone();
                write["request"]["query"] = json!({"fieldManager": scaled.take()});
                check_update(world, &path, "scale", &write, &at);
            }
            _ => {}
        }
        let answered = &line["response"]["body"];
        let stored = request["query"].get("dryRun").is_none()
            && matches!(line["response"]["status"].as_u64(), Some(200 | 201))
            && answered["metadata"]["uid"].is_string();
        if stored && method == "DELETE" {
            world.objects.remove(&path);
        } else if stored && answered["kind"] != "Scale" {
            world.learn(answered);
            let name = answered["metadata"]["name"].as_str().unwrap_or_default();
            let path = if method == "POST" { format!("{path}/{name}") } else { path };
            world.objects.insert(path, answered.clone());
        }
    }
}

#[test]
fn answers_as_the_recorded_server_did() {
    let mut world =
        World { objects: BTreeMap::new(), schemas: custom_schemas(), checked: BTreeMap::new() };
    for name in RECORDINGS {
        replay(&mut world, name);
    }
    let checked = |what| world.checked.get(what).copied().unwrap_or_default();
    assert!(checked("applied") > 60, "{:?}", world.checked);
    assert!(checked("conflict") > 5 && checked("typed") > 9, "{:?}", world.checked);
    assert!(checked("updated") > 9 && checked("nothing changed") > 10, "{:?}", world.checked);
    assert_eq!(checked("not JSON"), 0);
}
