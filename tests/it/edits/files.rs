//! What the files say, generated.

use boxctl::model::address::Address;
use boxctl::model::resource::{Meta, Resource};
use proptest::prelude::*;
use serde_json::{Value, json};

pub const NAMESPACE: &str = "app";

pub fn definition() -> Value {
    let text = json!({"type": "string"});
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
    "metadata": {"name": "things.example.org"},
    "spec": {"group": "example.org", "scope": "Namespaced",
        "names": {"plural": "things", "singular": "thing", "kind": "Thing",
            "listKind": "ThingList"},
        "versions": [{"name": "v1", "served": true, "storage": true,
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {
                "type": "object", "properties": {
                    "mode": {"type": "string", "default": "slow"},
                    "tags": {"type": "array", "x-kubernetes-list-type": "set",
                        "items": text},
                    "parts": {"type": "array", "x-kubernetes-list-type": "map",
                        "x-kubernetes-list-map-keys": ["name"],
                        "items": {"type": "object", "required": ["name"], "properties": {
                            "name": text, "size": {"type": "integer", "default": 1}}}},
                }}}}}}]}})
}

/// What the files say.
#[derive(Clone, Debug, Default)]
pub struct Files {
    replicas: Option<u8>,
    strategy: u8,
    image: u8,
    env: u8,
    volume: u8,
    helper: bool,
    service: Option<(u8, bool)>,
    data: Option<[u8; 3]>,
    claim: Option<(bool, bool)>,
    thing: Option<(u8, u8, u8)>,
}

pub fn files() -> impl Strategy<Value = Files> {
    (
        (proptest::option::of(1..4u8), 0..4u8, 0..2u8, 0..8u8, 0..3u8, any::<bool>()),
        proptest::option::weighted(0.8, (1..8u8, any::<bool>())),
        proptest::option::weighted(0.8, proptest::array::uniform3(0..3u8)),
        proptest::option::weighted(0.9, (any::<bool>(), any::<bool>())),
        proptest::option::weighted(0.8, (0..3u8, 0..8u8, 0..9u8)),
    )
        .prop_map(
            |((replicas, strategy, image, env, volume, helper), service, data, claim, thing)| {
                Files {
                    replicas,
                    strategy,
                    image,
                    env,
                    volume,
                    helper,
                    service,
                    data,
                    claim,
                    thing,
                }
            },
        )
}

pub fn bits(of: u8) -> impl Iterator<Item = u8> {
    (0..8).filter(move |bit| of & (1 << bit) != 0)
}

pub fn meta(name: &str) -> Value {
    json!({"name": name, "namespace": NAMESPACE})
}

fn deployment(files: &Files) -> Value {
    let env: Vec<Value> = bits(files.env)
        .map(|bit| json!({"name": format!("E{bit}"), "value": format!("{bit}")}))
        .collect();
    let mut main = json!({"name": "main", "image": format!("image:{}", files.image)});
    if !env.is_empty() {
        main["env"] = env.into();
    }
    let mut containers = vec![main];
    if files.helper {
        containers.insert(0, json!({"name": "helper", "image": "helper:1"}));
    }
    let mut spec = json!({
        "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": containers}},
    });
    if let Some(replicas) = files.replicas {
        spec["replicas"] = replicas.into();
    }
    match files.strategy {
        1 => spec["strategy"] = json!({"type": "Recreate"}),
        2 => spec["strategy"] = json!({"type": "RollingUpdate"}),
        3 => spec["strategy"] = json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}),
        _ => {}
    }
    match files.volume {
        1 => spec["template"]["spec"]["volumes"] = json!([{"name": "v"}]),
        2 => {
            spec["template"]["spec"]["volumes"] =
                json!([{"name": "v", "configMap": {"name": "config"}}]);
        }
        _ => {}
    }
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta("web"), "spec": spec})
}

fn manifests(files: &Files) -> Vec<Value> {
    let mut out = vec![deployment(files)];
    if let Some((ports, node)) = files.service {
        let ports: Vec<Value> = bits(ports)
            .map(|bit| json!({"name": format!("p{bit}"), "port": 80 + u16::from(bit)}))
            .collect();
        let mut spec = json!({"selector": {"app": "web"}, "ports": ports});
        if node {
            spec["type"] = "NodePort".into();
        }
        out.push(
            json!({"apiVersion": "v1", "kind": "Service", "metadata": meta("web"), "spec": spec}),
        );
    }
    if let Some(data) = files.data {
        let data: serde_json::Map<String, Value> = data
            .iter()
            .enumerate()
            .filter(|(_, value)| **value > 0)
            .map(|(key, value)| (format!("k{key}"), format!("v{value}").into()))
            .collect();
        out.push(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta("config"), "data": data}));
    }
    if let Some((pinned, labelled)) = files.claim {
        let mut claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": meta("claim"), "spec": {"accessModes": ["ReadWriteOnce"],
                "storageClassName": "none", "resources": {"requests": {"storage": "5Gi"}}}});
        if pinned {
            claim["spec"]["volumeName"] = "volume-1".into();
        }
        if labelled {
            claim["metadata"]["labels"] = json!({"ours": "x"});
        }
        out.push(claim);
    }
    if let Some((mode, tags, parts)) = files.thing {
        let mut spec = json!({});
        if mode > 0 {
            spec["mode"] = format!("m{mode}").into();
        }
        if tags > 0 {
            spec["tags"] = bits(tags).map(|bit| Value::from(format!("t{bit}"))).collect();
        }
        if parts > 0 {
            let part = |bit: u8| match parts % 2 {
                0 => json!({"name": format!("n{bit}")}),
                _ => json!({"name": format!("n{bit}"), "size": 3}),
            };
            spec["parts"] = bits(parts).map(part).collect();
        }
        out.push(json!({"apiVersion": "example.org/v1", "kind": "Thing", "metadata": meta("thing"), "spec": spec}));
    }
    out
}

pub fn resources(files: &Files, force: bool) -> Vec<Resource> {
    manifests(files)
        .into_iter()
        .map(|spec| {
            let group =
                spec["apiVersion"].as_str().unwrap().split_once('/').map(|(group, _)| group);
            let group = group.filter(|group| group.contains('.'));
            let (kind, name) = (spec["kind"].as_str().unwrap(), &spec["metadata"]["name"]);
            let address = Address::kubernetes(kind, group, Some(NAMESPACE), name.as_str().unwrap());
            let mut meta = Meta { protect: Some(false), wait: false, ..Meta::default() };
            if force {
                meta.force = vec!["**".to_owned()];
            }
            Resource { address, spec, meta, location: None }
        })
        .collect()
}
