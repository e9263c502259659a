//! What a world comes to, whatever its ids and times are: two runs that did the same are alike.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// What differs from run to run and says nothing about what was done.
const VOLATILE: [&str; 38] = [
    "id",
    "uuid",
    "uid",
    "aud",
    "kid",
    "resourceVersion",
    "generation",
    "observedGeneration",
    "creationTimestamp",
    "managedFields",
    "status",
    "clusterIP",
    "clusterIPs",
    "volumeName",
    "created_at",
    "created_on",
    "updated_at",
    "modified_on",
    "comment_modified_on",
    "conns_active_at",
    "conns_inactive_at",
    "ever_connected",
    "cleaned",
    "secret",
    "client_id",
    "client_secret",
    "client_secret_version",
    "expires_at",
    "version",
    "kubectl.kubernetes.io/restartedAt",
    "boxctl/parameter-versions",
    "deployment.kubernetes.io/revision",
    "zone_id",
    "controller-uid",
    "batch.kubernetes.io/controller-uid",
    "gateway_unique_id",
    "creation_date",
    "last_updated",
];

/// Kinds whose objects others make under names of chance.
const MADE: [&str; 3] = ["Pod", "ReplicaSet", "PersistentVolume"];

/// Everything of a dump that a user asked for, with ids told by names.
pub fn outline(dump: &Value) -> Value {
    let cloudflare = &dump["cloudflare"];
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    let mut learn = |items: &Value, name: &dyn Fn(&Value) -> Value| {
        for item in items.as_array().into_iter().flatten() {
            if let (Some(id), Some(name)) = (item["id"].as_str(), name(item).as_str()) {
                names.insert(id.to_owned(), format!("<{name}>"));
            }
        }
    };
    learn(&cloudflare["tunnels"], &|item| item["name"].clone());
    learn(&cloudflare["access"]["policies"], &|item| item["fields"]["name"].clone());
    learn(&cloudflare["access"]["apps"], &|item| item["fields"]["domain"].clone());
    learn(&cloudflare["networks"]["virtual_networks"], &|item| item["name"].clone());
    learn(&cloudflare["access"]["identity_providers"], &|item| item["object"]["name"].clone());

    learn(&cloudflare["access"]["groups"], &|item| item["object"]["name"].clone());
    learn(&cloudflare["access"]["service_tokens"], &|item| item["name"].clone());

    let tunnels = cloudflare["tunnels"].as_array().unwrap();
    let tunnels: Vec<Value> = tunnels
        .iter()
        .map(|tunnel| {
            json!({"name": tunnel["name"], "config": tunnel["configuration"]["config"],
                "connected": tunnel["connections"].as_object().is_some_and(|all| !all.is_empty())})
        })
        .collect();
    let access = &cloudflare["access"];
    let parameters: Map<String, Value> = dump["ssm"]["parameters"]
        .as_object()
        .into_iter()
        .flatten()
        .flat_map(|(_, region)| region.as_object().into_iter().flatten())
        .map(|(name, parameter)| {
            let last = parameter["versions"].as_array().and_then(|all| all.last()).cloned();
            let mut last = last.unwrap_or_default();
            last["value"] = token_of(last["value"].as_str().unwrap_or_default(), &names);
            for volatile in ["modified_at", "created_at", "at", "modified", "last_modified"] {
                last.as_object_mut().map(|last| last.remove(volatile));
            }
            (
                name.clone(),
                json!({"kind": parameter["kind"], "tags": parameter["tags"], "last": last}),
            )
        })
        .collect();
    let objects: Map<String, Value> = dump["kubernetes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|object| !MADE.iter().any(|made| object["kind"] == *made))
        .map(|object| {
            let mut object = object.clone();
            object["managers"] = managers(&object);
            if object["kind"] == "Secret" {
                object["data"] = keys(&object["data"]);
            }
            let meta = &object["metadata"];
            let key = format!("{} {} {}", object["kind"], meta["namespace"], meta["name"]);
            (key, object)
        })
        .collect();
    let whole = json!({
        "records": cloudflare["records"],
        "tunnels": tunnels,
        "applications": access["apps"],
        "policies": access["policies"],
        "groups": access["groups"],
        "service_tokens": access["service_tokens"],
        "routes": [cloudflare["networks"]["routes"], cloudflare["networks"]["hostname_routes"]],
        "devices": cloudflare["devices"],
        "storage": cloudflare["storage"],
        "rulesets": cloudflare["rulesets"],
        "parameters": parameters,
        "objects": objects,
    });
    plain(whole, &names)
}

/// Which fields each field manager has, without times.
fn managers(object: &Value) -> Value {
    let entries = object["metadata"]["managedFields"].as_array().into_iter().flatten();
    entries
        .filter(|entry| entry["manager"] == "boxctl")
        .map(|entry| json!({"operation": entry["operation"], "fields": entry["fieldsV1"]}))
        .collect()
}

fn keys(data: &Value) -> Value {
    data.as_object().into_iter().flatten().map(|(key, _)| json!(key)).collect()
}

/// A tunnel's token by the tunnel it is for; other values by nothing.
fn token_of(value: &str, names: &BTreeMap<String, String>) -> Value {
    use base64::prelude::*;
    let decoded = BASE64_STANDARD.decode(value).unwrap_or_default();
    let token: Value = serde_json::from_slice(&decoded).unwrap_or_default();
    let tunnel = token["t"].as_str().and_then(|id| names.get(id));
    tunnel.map_or(json!("a value"), |name| json!(format!("token of {name}")))
}

fn plain(value: Value, names: &BTreeMap<String, String>) -> Value {
    match value {
        Value::Object(map) => map
            .into_iter()
            .filter(|(key, _)| !VOLATILE.contains(&key.as_str()))
            .map(|(key, value)| (key, plain(value, names)))
            .collect(),
        Value::Array(items) => {
            let mut items: Vec<Value> = items.into_iter().map(|item| plain(item, names)).collect();
            // Rules and containers have an order that means something, and come to the same text.
            if items.iter().all(|item| item["name"].is_string() || item["fields"].is_object()) {
                items.sort_by_cached_key(Value::to_string);
            }
            Value::Array(items)
        }
        Value::String(text) => {
            let named = names.iter().fold(text, |text, (id, name)| text.replace(id, name));
            Value::String(named)
        }
        other => other,
    }
}

/// Hostnames that lead into the cluster without an Access application.
pub fn unguarded(dump: &Value) -> Vec<String> {
    let cloudflare = &dump["cloudflare"];
    let guarded: Vec<&str> = cloudflare["access"]["apps"]
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|app| app["fields"]["self_hosted_domains"].as_array().into_iter().flatten())
        .filter_map(Value::as_str)
        .collect();
    let routed = cloudflare["records"].as_array().into_iter().flatten();
    let routed = routed.filter_map(|record| record["name"].as_str());
    let rules = cloudflare["tunnels"].as_array().into_iter().flatten();
    let rules = rules.filter(|tunnel| tunnel["deleted_at"].is_null()).flat_map(|tunnel| {
        let ingress = tunnel["configuration"]["config"]["ingress"].as_array();
        ingress.into_iter().flatten().filter_map(|rule| rule["hostname"].as_str())
    });
    let open = routed.chain(rules).filter(|name| !guarded.contains(name));
    open.map(str::to_owned).collect()
}

/// Every secret that the APIs hold.
pub fn secrets(dump: &Value) -> Vec<String> {
    let tunnels = dump["cloudflare"]["tunnels"].as_array().into_iter().flatten();
    let tunnels = tunnels.filter_map(|tunnel| tunnel["secret"].as_str());
    let parameters = dump["ssm"]["parameters"].as_object().into_iter().flatten();
    let values = parameters
        .flat_map(|(_, region)| region.as_object().into_iter().flatten())
        .flat_map(|(_, parameter)| parameter["versions"].as_array().into_iter().flatten())
        .filter_map(|version| version["value"].as_str());
    let tokens = dump["cloudflare"]["access"]["service_tokens"].as_array().into_iter().flatten();
    let tokens = tokens.filter_map(|token| token["client_secret"].as_str());
    tunnels.chain(values).chain(tokens).map(str::to_owned).collect()
}
