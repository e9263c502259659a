//! The API beyond what the recordings show.

use std::sync::LazyLock;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::value::{items, text};
use super::{Cluster, Outside, Preset, Request, Response};

const ADMIN: Option<&str> = Some("Bearer sandbox-admin");
const READER: Option<&str> = Some("Bearer sandbox-read");
pub const APPLY: &str = "application/apply-patch+yaml";
pub const MERGE: &str = "application/merge-patch+json";
pub const JSON: &str = "application/json";
const MAPS: &str = "/api/v1/namespaces/default/configmaps";
pub const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/default/deployments/d";
const METADATA: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

pub fn now() -> Timestamp {
    "2026-11-22T21:31:00Z".parse().expect("a time")
}

/// A cluster with the presets, and how to talk to it.
pub struct World(pub Cluster);

impl World {
    /// A fresh one.
    pub fn new() -> Self {
        static FRESH: LazyLock<Cluster> = LazyLock::new(World::fresh);
        Self(FRESH.clone())
    }

    fn fresh() -> Cluster {
        let mut cluster = Cluster::new(now());
        let nodes = vec!["n1".to_owned()];
        cluster.preset(&Preset { secret_stores: Vec::new(), nodes }, now());
        cluster.reconcile(&Outside::default(), now());
        cluster
    }

    fn raw(
        &mut self,
        who: Option<&str>,
        method: &str,
        path: &str,
        (media, accept): (&str, &str),
        body: &[u8],
    ) -> Response {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let query = query.split('&').filter_map(|q| q.split_once('='));
        self.0.handle(
            &Request {
                method,
                path,
                query: query.map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
                content_type: Some(media),
                accept: Some(accept),
                user_agent: Some("tester/1"),
                authorization: who,
                body,
            },
            now(),
        )
    }

    /// Sends JSON as the administrator.
    pub fn send(&mut self, method: &str, path: &str, media: &str, body: &Value) -> (u16, Value) {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let response = self.raw(ADMIN, method, path, (media, JSON), text.as_bytes());
        (response.status, serde_json::from_slice(&response.body).unwrap_or_default())
    }

    fn get(&mut self, path: &str) -> Value {
        self.send("GET", path, "", &Value::Null).1
    }

    fn map(&mut self, name: &str, tier: &str) -> Value {
        let map = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": name, "labels": {"tier": tier}}, "data": {"k": "v"},
        });
        self.send("POST", MAPS, JSON, &map).1
    }
}

pub fn deployment() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
        "spec": {"selector": {"matchLabels": {"app": "d"}}, "template": {
            "metadata": {"labels": {"app": "d"}},
            "spec": {"containers": [{"name": "c", "image": "i:1"}]}}},
    })
}

fn names(list: &Value) -> Vec<String> {
    items(list, "/items").iter().map(|o| text(o, "/metadata/name").to_owned()).collect()
}

#[test]
fn a_dry_run_changes_nothing_but_answers_what_would_be() {
    let mut world = World::new();
    world.map("a", "x");
    world.send("PATCH", &format!("{DEPLOYMENT}?fieldManager=m"), APPLY, &deployment());
    let before = (world.0.dump(), world.0.store.revision());
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"},
        "spec": {"ports": [{"port": 80}]}});
    let scale = json!({"kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": {"name": "d"}, "spec": {"replicas": 4}});
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
    let services = "/api/v1/namespaces/default/services";
    let cases = [
        ("POST", services.to_owned(), JSON, service.clone(), 201),
        ("PATCH", format!("{services}/s"), APPLY, service, 201),
        ("PUT", format!("{MAPS}/a"), JSON, map, 200),
        ("PATCH", format!("{MAPS}/a"), MERGE, json!({"data": {"k": "w"}}), 200),
        ("PUT", format!("{DEPLOYMENT}/scale"), JSON, scale, 200),
        ("PATCH", format!("{DEPLOYMENT}/status"), MERGE, json!({"status": {"replicas": 9}}), 200),
        ("DELETE", format!("{MAPS}/a"), JSON, Value::Null, 200),
        ("DELETE", MAPS.to_owned(), JSON, Value::Null, 200),
        ("DELETE", "/api/v1/namespaces/argocd".to_owned(), JSON, Value::Null, 200),
    ];
    for (method, path, media, body, wanted) in cases {
        let path = format!("{path}?dryRun=All&fieldManager=m");
        let (status, answer) = world.send(method, &path, media, &body);
        assert_eq!(status, wanted, "{method} {path}: {answer}");
        assert_eq!((world.0.dump(), world.0.store.revision()), before, "{method} {path}");
    }
}

#[test]
fn a_reader_reads_and_nothing_else() {
    let mut world = World::new();
    world.map("a", "x");
    for (who, method, path, wanted) in [
        (READER, "GET", MAPS, 200),
        (READER, "PATCH", "/api/v1/namespaces/default/configmaps/a?dryRun=All", 403),
        (READER, "DELETE", MAPS, 403),
        (READER, "POST", MAPS, 403),
        (Some("Bearer other"), "GET", MAPS, 401),
        (Some("Basic x"), "GET", MAPS, 401),
        (Some("Bearer other"), "GET", "/version", 200),
        (None, "GET", MAPS, 200),
    ] {
        let response = world.raw(who, method, path, (APPLY, JSON), b"{}");
        assert_eq!(response.status, wanted, "{who:?} {method} {path}");
    }
    let review = json!({"spec": {"resourceAttributes": {"verb": "patch", "resource": "pods"}}});
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    for (who, allowed) in [(READER, false), (ADMIN, true)] {
        let response = world.raw(who, "POST", path, (JSON, JSON), review.to_string().as_bytes());
        let body: Value = serde_json::from_slice(&response.body).expect("JSON");
        assert_eq!(body.pointer("/status/allowed"), Some(&json!(allowed)));
    }
}

#[test]
fn selectors_choose_and_pages_add_up() {
    let mut world = World::new();
    for (name, tier) in [("a", "web"), ("b", "db"), ("c", "web"), ("d", "")] {
        world.map(name, tier);
    }
    for (selector, wanted) in [
        ("tier%3Dweb", &["a", "c"][..]),
        ("tier=web", &["a", "c"]),
        ("tier!=web", &["b", "d", "kube-root-ca.crt"]),
        ("tier in (web, db)", &["a", "b", "c"]),
        ("tier notin (web,db),tier", &["d"]),
        ("!tier", &["kube-root-ca.crt"]),
        ("tier", &["a", "b", "c", "d"]),
    ] {
        let selector = selector.replace("%3D", "=");
        let list = world.get(&format!("{MAPS}?labelSelector={selector}"));
        assert_eq!(names(&list), wanted, "{selector}");
    }
    assert_eq!(world.send("GET", &format!("{MAPS}?labelSelector=a b"), "", &Value::Null).0, 400);
    assert_eq!(
        world.send("GET", &format!("{MAPS}?fieldSelector=data.k=v"), "", &Value::Null).0,
        400
    );
    for collection in ["/api/v1/configmaps", MAPS, "/api/v1/namespaces"] {
        let all = names(&world.get(collection));
        let mut paged = Vec::new();
        let mut token = String::new();
        loop {
            let page = world.get(&format!("{collection}?limit=2&continue={token}"));
            paged.extend(names(&page));
            token = text(&page, "/metadata/continue").to_owned();
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(paged, all, "{collection}");
    }
}

#[test]
fn a_client_gets_the_form_it_asks_for() {
    let mut world = World::new();
    world.map("a", "x");
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
    for (path, accept, kind) in [
        (MAPS, METADATA, "PartialObjectMetadataList"),
        (MAPS, table, "Table"),
        (MAPS, "application/vnd.kubernetes.protobuf,application/json", "ConfigMapList"),
        (MAPS, "text/html", "Status"),
        ("/api/v1/namespaces/default/configmaps/a", table, "Table"),
    ] {
        let response = world.raw(ADMIN, "GET", path, ("", accept), b"");
        let body: Value = serde_json::from_slice(&response.body).expect("JSON");
        assert_eq!(text(&body, "/kind"), kind, "{accept}");
    }
    let response = world.raw(ADMIN, "GET", &format!("{MAPS}?watch=true"), ("", JSON), b"");
    let events = String::from_utf8(response.body).expect("text");
    let kinds: Vec<_> = events
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
        .map(|event| text(&event, "/type").to_owned())
        .collect();
    assert_eq!(kinds, ["ADDED", "ADDED"]);
    let protobuf = "application/vnd.kubernetes.protobuf";
    assert_eq!(world.raw(ADMIN, "POST", MAPS, (protobuf, JSON), b"k8s\0").status, 415);
}

#[test]
fn versions_of_a_custom_resource_are_one_object() {
    let mut world = World::new();
    let at = |version: &str| {
        format!("/apis/external-secrets.io/{version}/namespaces/default/externalsecrets/e")
    };
    let object = json!({
        "apiVersion": "external-secrets.io/v1beta1", "kind": "ExternalSecret",
        "metadata": {"name": "e"}, "spec": {"data": [], "unknown": 1},
    });
    let (status, answer) = world.send("POST", at("v1beta1").trim_end_matches("/e"), JSON, &object);
    assert_eq!(status, 201, "{answer}");
    assert_eq!(answer.pointer("/spec/unknown"), None);
    assert_eq!(text(&answer, "/spec/target/deletionPolicy"), "Retain");
    let stable = world.get(&at("v1"));
    assert_eq!(text(&stable, "/apiVersion"), "external-secrets.io/v1");
    assert_eq!(stable.get("spec"), answer.get("spec"));
    assert_eq!(
        world.send("PATCH", &at("v1"), "application/strategic-merge-patch+json", &json!({})).0,
        415
    );
    let (status, answer) = world.send(
        "PUT",
        &at("v1"),
        JSON,
        &json!({
        "apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret",
        "metadata": {"name": "e"}, "spec": {"target": {"creationPolicy": "Wrong"}}}),
    );
    assert_eq!(status, 422, "{answer}");
    let wrong = json!({"spec": {"target": {"creationPolicy": "Wrong"}}});
    let (status, answer) = world.send("PATCH", &at("v1"), MERGE, &wrong);
    assert_eq!(status, 422);
    assert!(text(&answer, "/message").contains("spec.target.creationPolicy: Unsupported value"));
}

#[test]
fn writes_are_checked_against_what_is_there() {
    let mut world = World::new();
    let made = world.map("a", "x");
    let path = format!("{MAPS}/a");
    let mut stale = made.clone();
    stale["data"] = json!({"k": "2"});
    assert_eq!(world.send("PUT", &path, JSON, &stale).0, 200);
    assert_eq!(world.send("PUT", &path, JSON, &stale).0, 409, "an old version");
    let (status, same) = world.send("PATCH", &path, MERGE, &json!({"data": {"k": "2"}}));
    assert_eq!(status, 200);
    let version = |o: &Value| text(o, "/metadata/resourceVersion").to_owned();
    assert_eq!(version(&same), version(&world.get(&path)), "nothing changed");
    let patch = json!([{"op": "replace", "path": "/data/k", "value": "3"}]);
    let (_, patched) = world.send("PATCH", &path, "application/json-patch+json", &patch);
    assert_eq!(text(&patched, "/data/k"), "3");
    assert_eq!(world.send("POST", MAPS, JSON, &made).0, 400, "a version on create");
    let wrong = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "b"}});
    assert_eq!(world.send("POST", MAPS, JSON, &wrong).0, 400);
    assert_eq!(
        world
            .send(
                "POST",
                "/api/v1/namespaces/nowhere/configmaps",
                JSON,
                &json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b"}})
            )
            .0,
        404
    );
    let scale = json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "spec": {"replicas": 1}});
    let deployments = DEPLOYMENT.trim_end_matches("/d");
    assert_eq!(world.send("POST", deployments, JSON, &scale).0, 400);
    for method in ["POST", "DELETE"] {
        assert_eq!(world.send(method, "/api/v1/configmaps", JSON, &Value::Null).0, 405);
    }
    let broken = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"a": "plain!"},
    });
    let (status, answer) = world.send("POST", "/api/v1/namespaces/default/secrets", JSON, &broken);
    assert_eq!(status, 400, "{answer}");
    let mut numbers = deployment();
    numbers["spec"]["replicas"] = json!("one");
    let (status, answer) = world.send("POST", deployments, JSON, &numbers);
    assert_eq!(status, 400, "{answer}");
}

#[test]
fn finalizers_hold_an_object_until_they_are_gone() {
    let mut world = World::new();
    world.map("a", "x");
    let path = format!("{MAPS}/a");
    let held = json!({"metadata": {"finalizers": ["example.dev/hold"]}});
    world.send("PATCH", &path, MERGE, &held);
    let (status, going) = world.send("DELETE", &path, "", &Value::Null);
    assert_eq!((status, going.pointer("/metadata/deletionTimestamp").is_some()), (200, true));
    let more = json!({"metadata": {"finalizers": ["example.dev/hold", "example.dev/more"]}});
    assert_eq!(world.send("PATCH", &path, MERGE, &more).0, 422);
    let free = json!({"metadata": {"finalizers": null}});
    assert_eq!(world.send("PATCH", &path, MERGE, &free).0, 200);
    assert_eq!(world.send("GET", &path, "", &Value::Null).0, 404);
}

#[test]
fn discovery_is_the_same_plain_and_aggregated() {
    let mut world = World::new();
    let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    for root in ["/api", "/apis"] {
        let response = world.raw(ADMIN, "GET", root, ("", accept), b"");
        let all: Value = serde_json::from_slice(&response.body).expect("JSON");
        for group in items(&all, "/items") {
            for version in items(group, "/versions") {
                let name = text(group, "/metadata/name");
                let at = [root, name, text(version, "/version")];
                let path = at.iter().filter(|p| !p.is_empty()).copied().collect::<Vec<_>>();
                let plain = world.get(&path.join("/"));
                let whole = items(&plain, "/resources")
                    .iter()
                    .map(|r| text(r, "/name"))
                    .filter(|name| !name.contains('/'));
                let aggregated = items(version, "/resources").iter().map(|r| text(r, "/resource"));
                assert!(whole.eq(aggregated), "{path:?}");
            }
        }
    }
}

#[test]
fn what_is_applied_as_string_data_is_owned_as_that_and_never_taken_away() {
    let mut world = World::new();
    let path = "/api/v1/namespaces/default/secrets/s?fieldManager=m";
    let secret = |texts: Value| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": texts});
    world.send("PATCH", path, APPLY, &secret(json!({"a": "one", "b": "two"})));
    let (status, live) = world.send("PATCH", path, APPLY, &secret(json!({"a": "three"})));
    assert_eq!(status, 200, "{live}");
    assert_eq!(live["data"], json!({"a": "dGhyZWU=", "b": "dHdv"}));
    assert_eq!(live.get("stringData"), None);
    let owned = &live["metadata"]["managedFields"][0]["fieldsV1"];
    assert_eq!(owned, &json!({"f:stringData": {"f:a": {}}}));
}
