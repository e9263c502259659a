use proptest::prelude::*;
use serde_json::json;

use super::super::owners::owned_values;
use super::super::recordings;
use super::*;
use crate::model::JsonMap;

#[test]
fn a_path_reads_back_as_it_was_written() {
    for text in [
        "spec.template.spec.containers[name=\"x\"].image",
        "spec.ports[port=80,protocol=\"TCP\"].targetPort",
        "spec.tags[=\"a.b]\"]",
        "spec.args[0]",
        "metadata.annotations[\"example.org/a\"]",
        "spec.free[\"*\"].x",
        "spec.*.image",
        "**.image",
    ] {
        assert_eq!(Path::parse(text).unwrap().to_string(), text);
    }
    let dotted = Path::parse(".spec.replicas").unwrap();
    assert_eq!(dotted.to_string(), "spec.replicas");
    for text in ["spec..a", "spec.", "a[", "a[x", "a[=]", "a[b=]"] {
        assert_eq!(Path::parse(text), None, "{text}");
    }
}

#[test]
fn what_boxctl_applied_becomes_a_flat_map() {
    let lines = recordings::lines("12-strategy-switch-by-claim-and-drop.jsonl");
    let values = owned_values(&lines[0].body());
    let limits = "spec.template.spec.containers[name=\"openhands\"].resources.limits";
    for (path, value) in [
        ("spec.replicas".to_owned(), json!(1)),
        ("spec.selector".to_owned(), json!({"matchLabels": {"app": "openhands"}})),
        (format!("{limits}.cpu"), json!("1")),
        (
            "spec.template.spec.containers[name=\"openhands\"].ports[containerPort=3000,protocol=\
             \"TCP\"].containerPort"
                .to_owned(),
            json!(3000),
        ),
        (
            "spec.template.spec.volumes[name=\"workspace\"].persistentVolumeClaim.claimName"
                .to_owned(),
            json!("openhands-data"),
        ),
    ] {
        assert_eq!(values.get(&path), Some(&value), "{path}");
    }
    assert!(values.keys().all(|path| !path.starts_with("spec.strategy")));
    // An owned field whose value the server leaves out: `value: ""` of a variable.
    let values = owned_values(&lines[3].body());
    let empty = "spec.template.spec.containers[name=\"dind-daemon\"].env[name=\"DOCKER_TLS_CERTDIR\"].value";
    assert_eq!(values.get(empty), Some(&Json::Null));
}

#[test]
fn items_of_sets_are_owned_one_by_one() {
    let lines = recordings::lines("03-crd-and-ssa-merge.jsonl");
    let values = owned_values(&lines[4].body());
    assert_eq!(values.get("spec.tags[=\"a\"]"), Some(&json!("a")));
    assert_eq!(values.get("spec.parts[name=\"x\"].count"), Some(&json!(1)));
    assert_eq!(values.get("spec.plain"), Some(&json!(["p"])));
}

#[test]
fn patterns_cover_what_is_beneath_them() {
    for (pattern, path, covered) in [
        ("**", "spec.replicas", true),
        ("spec", "spec.replicas", true),
        ("spec.replicas", "spec", false),
        ("spec.*.spec", "spec.template.spec.nodeName", true),
        ("**.image", "spec.containers[name=\"x\"].image", true),
        ("spec.containers[*].image", "spec.containers[name=\"x\"].image", true),
        ("spec.ports[port=80]", "spec.ports[port=80,protocol=\"TCP\"].name", true),
        ("spec.ports[port=81]", "spec.ports[port=80,protocol=\"TCP\"].name", false),
        ("metadata.annotations.example.org/a", "metadata.annotations[\"example.org/a\"]", true),
    ] {
        let path = Path::parse(path).unwrap();
        assert_eq!(super::covered(&[pattern.to_owned()], &path), covered, "{pattern} {path}");
    }
}

#[test]
fn put_and_remove_undo_each_other() {
    let path = Path::parse("spec.containers[name=\"x\"].env[name=\"A\"].value").unwrap();
    let mut object = json!({"spec": {"containers": [{"name": "y"}]}});
    path.put(&mut object, json!("1"));
    assert_eq!(path.get(&object), Some(&json!("1")));
    assert_eq!(object["spec"]["containers"][1]["env"][0], json!({"name": "A", "value": "1"}));
    path.remove(&mut object);
    assert_eq!(path.get(&object), None);
    Path::parse("spec.containers[*].name").unwrap().remove(&mut object);
    assert_eq!(object["spec"]["containers"][0], json!({}));
}

#[test]
fn missing_defaulted_keys_fit_after_present_ones() {
    let ports = json!({"ports": [
        {"port": 53}, {"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP", "name": "t"}]});
    let path = |text: &str| Path::parse(text).unwrap();
    assert_eq!(path("ports[port=53,protocol=\"TCP\"].name").get(&ports), Some(&json!("t")));
    assert_eq!(path("ports[port=53,protocol=\"SCTP\"]").get(&ports), Some(&json!({"port": 53})));
}

/// An object and the field set of a manager that owns all of it.
fn object() -> impl Strategy<Value = (Json, Json)> {
    let leaf = prop_oneof![
        any::<i32>().prop_map(Json::from),
        "[a-z.\\[\\]\" ]{0,6}".prop_map(Json::from),
        any::<bool>().prop_map(Json::from),
    ]
    .prop_map(|value| (value, json!({})));
    let key = "[a-zA-Z.\\[\\]\"=,*/-]{0,6}";
    leaf.prop_recursive(4, 40, 4, move |inner| {
        let map = prop::collection::btree_map(key, inner.clone(), 1..4).prop_map(|map| {
            let (mut values, mut fields) = (JsonMap::new(), JsonMap::new());
            for (name, (value, owned)) in map {
                fields.insert(format!("f:{name}"), owned);
                values.insert(name, value);
            }
            (Json::Object(values), Json::Object(fields))
        });
        let list = prop::collection::btree_map("[a-z]{1,3}", inner, 1..4).prop_map(|map| {
            let (mut items, mut fields) = (Vec::new(), JsonMap::new());
            for (name, (value, owned)) in map {
                let key = format!("k:{}", json!({"name": name}));
                fields.insert(key, json!({".": {}, "f:name": {}, "f:value": owned}));
                items.push(json!({"name": name, "value": value}));
            }
            (Json::Array(items), Json::Object(fields))
        });
        let set = prop::collection::btree_set("[a-z\\]\"]{1,3}", 1..4).prop_map(|set| {
            let fields: JsonMap =
                set.iter().map(|text| (format!("v:{}", json!(text)), json!({}))).collect();
            (json!(set), Json::Object(fields))
        });
        prop_oneof![map, list, set]
    })
}

proptest! {
    #[test]
    fn owned_paths_read_back_the_values_they_were_taken_from((spec, fields) in object()) {
        let object = json!({
            "metadata": {"managedFields": [
                {"manager": "boxctl", "operation": "Apply", "fieldsV1": {"f:spec": fields}}]},
            "spec": spec,
        });
        let values = owned_values(&object);
        prop_assert!(!values.is_empty());
        for (text, value) in &values {
            let path = Path::parse(text).unwrap();
            prop_assert_eq!(path.to_string(), text.clone());
            prop_assert_eq!(path.get(&object), Some(value), "{}", text);
            prop_assert!(!value.is_object() || value.as_object().unwrap().is_empty());
        }
        // Put together again from nothing, the leaves make the same object, order aside.
        let mut rebuilt = json!({});
        for (text, value) in &values {
            Path::parse(text).unwrap().put(&mut rebuilt, value.clone());
        }
        for (text, value) in &values {
            prop_assert_eq!(Path::parse(text).unwrap().get(&rebuilt), Some(value), "{}", text);
        }
    }
}
