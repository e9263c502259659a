//! The kind of Kubernetes objects against the sandbox's API server, over a socket.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use boxctl::kinds::kubernetes::object::{Object, preview_from};
use boxctl::model::Json;
use boxctl::model::address::Address;
use boxctl::model::error::Failure;
use boxctl::model::kind::{Diffed, Facts, Kind, KindError, Locate, Next, Readiness, Verb, Work};
use boxctl::model::observed::{Preview, Remote};
use boxctl::model::project::Timing;
use boxctl::model::scope::Scope;
use boxctl::providers::kubernetes::KubernetesClient;
use boxctl::sandbox::kubernetes::{Cluster, Request};
use serde_json::json;

struct World {
    client: KubernetesClient,
    cluster: Arc<Mutex<Cluster>>,
    scope: Scope,
    state: BTreeMap<String, (Json, Json)>,
}

fn serve(
    cluster: &Arc<Mutex<Cluster>>,
    parts: &http::request::Parts,
    body: &[u8],
) -> axum::response::Response {
    let header = |name: &str| parts.headers.get(name).and_then(|v| v.to_str().ok());
    let query = url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
    let request = Request {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: query.into_owned().collect(),
        content_type: header("content-type"),
        accept: header("accept"),
        user_agent: header("user-agent"),
        authorization: None,
        body,
    };
    let answer = cluster.lock().unwrap().handle(&request, jiff::Timestamp::now());
    let mut response =
        http::Response::builder().status(answer.status).header("content-type", answer.content_type);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    response.body(axum::body::Body::from(answer.body)).unwrap()
}

impl World {
    async fn new() -> World {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let cluster = Arc::new(Mutex::new(Cluster::new(jiff::Timestamp::now())));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::clone(&cluster);
        let app = axum::Router::new().fallback(move |request: axum::extract::Request| {
            let shared = Arc::clone(&shared);
            async move {
                let (parts, body) = request.into_parts();
                let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
                serve(&shared, &parts, &body)
            }
        });
        tokio::spawn(async move { axum::serve(listener, app).await });
        let config = kube::Config::new(format!("http://{address}").parse().unwrap());
        let client = KubernetesClient::with(config, &Timing::default()).await.unwrap();
        let scope = Scope {
            api_resources: Some(client.api_resources().await.unwrap()),
            ..Scope::default()
        };
        World { client, cluster, scope, state: BTreeMap::new() }
    }

    fn edit(&self, method: &str, path: &str, query: &str, content_type: &str, body: &Json) -> Json {
        let request = http::Request::builder()
            .method(method)
            .uri(format!("{path}?{query}"))
            .header("content-type", content_type)
            .body(())
            .unwrap();
        let (parts, ()) = request.into_parts();
        let cluster = &self.cluster;
        let query = url::form_urlencoded::parse(parts.uri.query().unwrap().as_bytes());
        let body = body.to_string();
        let answer = cluster.lock().unwrap().handle(
            &Request {
                method,
                path,
                query: query.into_owned().collect(),
                content_type: Some(content_type),
                accept: None,
                user_agent: None,
                authorization: None,
                body: body.as_bytes(),
            },
            jiff::Timestamp::now(),
        );
        assert!(answer.status < 300, "{}", String::from_utf8_lossy(&answer.body));
        serde_json::from_slice(&answer.body).unwrap()
    }

    async fn read(&self, manifest: &Json) -> Option<Remote> {
        let items = match Object.locate(Some(manifest), None, &self.scope).unwrap() {
            Locate::In(lists) => self.client.list(&lists[0]).await.unwrap(),
            Locate::By(call) => vec![self.client.send(&call, None).await.unwrap().body],
            Locate::Nowhere | Locate::Away(_) => Vec::new(),
        };
        let mut found = items.iter().flat_map(|item| Object.read(item, &self.scope));
        found.find(|remote| Object.fits(manifest, remote))
    }

    fn work<'a>(
        &'a self,
        verb: Verb,
        address: &'a Address,
        manifest: &'a Json,
        remote: Option<&'a Remote>,
        force: &'a [String],
        restart: Option<&'a str>,
    ) -> Work<'a> {
        Work {
            verb,
            address,
            spec: manifest,
            sent: self.state.get(&Object.key(manifest)["name"].to_string()).map(|(sent, _)| sent),
            version: None,
            remote,
            removed: &[],
            shared: &[],
            ignore: &[],
            force,
            scope: &self.scope,
            mark: "m",
            restart,
            rotate: None,
            keeps: false,
        }
    }

    async fn plan(&self, manifest: &Json, force: &[String]) -> Option<Diffed> {
        let remote = self.read(manifest).await?;
        let address = Address::new("k8s", "x");
        let state = self.state.get(&Object.key(manifest)["name"].to_string());
        let mut facts = Facts {
            declared: Some(manifest),
            sent: state.map(|(sent, _)| sent),
            answered: state.map(|(_, answered)| answered),
            version: remote.version.as_deref(),
            remote: &remote,
            preview: None,
            ignore: &[],
            force,
            shared: &[],
        };
        let first = Object.diff(&facts);
        if !first.wants_preview {
            return Some(first);
        }
        let work = self.work(Verb::Update, &address, manifest, Some(&remote), force, None);
        let call = Object.preview(&work).unwrap();
        let preview: Preview =
            preview_from(&self.client.send(&call, call.body.clone()).await.unwrap());
        facts.preview = Some(&preview);
        Some(Object.diff(&facts))
    }

    async fn step(
        &mut self,
        verb: Verb,
        manifest: &Json,
        force: &[String],
        restart: Option<&str>,
    ) -> Result<(usize, Option<Remote>), KindError> {
        let remote = self.read(manifest).await;
        let address = Address::new("k8s", "x");
        let mut answers = Vec::new();
        loop {
            let work = self.work(verb, &address, manifest, remote.as_ref(), force, restart);
            match Object.next(&work, &answers)? {
                Next::Call(call) => {
                    answers.push(self.client.send(&call, call.body.clone()).await.unwrap());
                }
                Next::Done(done) => {
                    let key = Object.key(manifest)["name"].to_string();
                    if let Some(remote) = &done {
                        let answered = Object.answered(manifest, remote).unwrap();
                        self.state.insert(key, (Object.recordable(manifest), answered));
                    } else {
                        self.state.remove(&key);
                    }
                    return Ok((answers.len(), done.map(|remote| *remote)));
                }
            }
        }
    }
}

fn recorded(file: &str, line: usize) -> Json {
    let path = format!("{}/tests/recordings/kubernetes/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let line: Json = serde_json::from_str(text.lines().nth(line).unwrap()).unwrap();
    serde_json::from_str(line["request"]["body"].as_str().unwrap()).unwrap()
}

fn namespace(name: &str) -> Json {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
}

const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/probe/deployments/openhands";
const MERGE: &str = "application/merge-patch+json";

fn paths(changes: &[boxctl::model::change::FieldChange]) -> Vec<&str> {
    changes.iter().map(|change| change.path.as_str()).collect()
}

#[tokio::test]
async fn a_deployment_is_made_moved_and_rolled_back() {
    let mut world = World::new().await;
    let socket = recorded("12-strategy-switch-by-claim-and-drop.jsonl", 0);
    let dind = recorded("12-strategy-switch-by-claim-and-drop.jsonl", 1);
    world.step(Verb::Create, &namespace("probe"), &[], None).await.unwrap();
    assert_eq!(world.plan(&namespace("probe"), &[]).await, Some(Diffed::default()));
    assert_eq!(world.plan(&socket, &[]).await, None);
    let (calls, _) = world.step(Verb::Create, &socket, &[], None).await.unwrap();
    assert_eq!(calls, 1);
    assert_eq!(world.plan(&socket, &[]).await, Some(Diffed::default()));

    let moved = world.plan(&dind, &[]).await.unwrap();
    assert!(paths(&moved.changes).contains(&"spec.strategy.rollingUpdate"), "{moved:#?}");
    assert!(moved.warnings.is_empty() && moved.conflicts.is_empty());
    let (calls, remote) = world.step(Verb::Update, &dind, &[], None).await.unwrap();
    assert_eq!(calls, 3);
    assert_eq!(remote.unwrap().raw["spec"]["strategy"], json!({"type": "Recreate"}));
    assert_eq!(world.plan(&dind, &[]).await, Some(Diffed::default()));

    let back = world.plan(&socket, &[]).await.unwrap();
    assert!(paths(&back.changes).contains(&"spec.strategy.type"), "{back:#?}");
    let (calls, remote) = world.step(Verb::Update, &socket, &[], None).await.unwrap();
    assert_eq!(calls, 1);
    assert_eq!(remote.unwrap().raw["spec"]["strategy"]["type"], "RollingUpdate");
    assert_eq!(world.plan(&socket, &[]).await, Some(Diffed::default()));
}

#[tokio::test]
async fn drift_is_taken_back_and_scale_is_a_conflict() {
    let mut world = World::new().await;
    let socket = recorded("12-strategy-switch-by-claim-and-drop.jsonl", 0);
    world.step(Verb::Create, &namespace("probe"), &[], None).await.unwrap();
    world.step(Verb::Create, &socket, &[], None).await.unwrap();
    let patch = json!({"spec": {"replicas": 3}, "metadata": {"labels": {"note": "x"}}});
    world.edit("PATCH", DEPLOYMENT, "fieldManager=kubectl-edit", MERGE, &patch);
    let found = world.plan(&socket, &[]).await.unwrap();
    assert_eq!(paths(&found.drift), ["spec.replicas"]);
    assert_eq!(paths(&found.changes), ["spec.replicas"]);
    assert_eq!(found.changes[0].by.as_deref(), Some("kubectl-edit"));
    let (calls, _) = world.step(Verb::Update, &socket, &[], None).await.unwrap();
    assert_eq!(calls, 2);
    assert_eq!(world.plan(&socket, &[]).await, Some(Diffed::default()));

    let scale = json!({"apiVersion": "autoscaling/v1", "kind": "Scale",
        "metadata": {"name": "openhands", "namespace": "probe"}, "spec": {"replicas": 2}});
    let path = format!("{DEPLOYMENT}/scale");
    world.edit("PUT", &path, "fieldManager=hpa", "application/json", &scale);
    let found = world.plan(&socket, &[]).await.unwrap();
    assert_eq!(paths(&found.conflicts), ["spec.replicas"]);
    assert!(matches!(
        world.step(Verb::Update, &socket, &[], None).await,
        Err(KindError::Refused { status: 409, .. })
    ));
    let force = ["spec.replicas".to_owned()];
    assert!(world.plan(&socket, &force).await.unwrap().conflicts.is_empty());
    world.step(Verb::Update, &socket, &force, None).await.unwrap();
    assert_eq!(world.plan(&socket, &[]).await, Some(Diffed::default()));
}

#[tokio::test]
async fn restarts_leave_the_plan_empty_and_deletes_end() {
    let mut world = World::new().await;
    let socket = recorded("12-strategy-switch-by-claim-and-drop.jsonl", 0);
    world.step(Verb::Create, &namespace("probe"), &[], None).await.unwrap();
    world.step(Verb::Create, &socket, &[], None).await.unwrap();
    let (calls, remote) = world.step(Verb::Update, &socket, &[], Some("token@2")).await.unwrap();
    assert_eq!(calls, 2);
    let raw = remote.unwrap().raw;
    assert_eq!(boxctl::kinds::kubernetes::object::restart_text(&raw), Some("token@2"));
    assert_eq!(world.plan(&socket, &[]).await, Some(Diffed::default()));
    let remote = world.read(&socket).await.unwrap();
    assert!(!matches!(Object.readiness(&remote, None), Readiness::Failed(_)));
    let (_, done) = world.step(Verb::Delete, &socket, &[], None).await.unwrap();
    assert!(done.is_none());
    assert!(world.read(&socket).await.is_none());
    assert!(world.client.cluster_uid().await.unwrap().len() > 10);
}

#[tokio::test]
async fn an_update_of_a_vanished_object_does_not_make_it() {
    let mut world = World::new().await;
    let socket = recorded("12-strategy-switch-by-claim-and-drop.jsonl", 0);
    world.step(Verb::Create, &namespace("probe"), &[], None).await.unwrap();
    world.step(Verb::Create, &socket, &[], None).await.unwrap();
    let remote = world.read(&socket).await.unwrap();
    world.edit("DELETE", DEPLOYMENT, "x=1", "application/json", &json!({}));
    let address = Address::new("k8s", "x");
    let work = world.work(Verb::Update, &address, &socket, Some(&remote), &[], None);
    let Next::Call(call) = Object.next(&work, &[]).unwrap() else { panic!() };
    match world.client.send(&call, call.body.clone()).await {
        Ok(answer) => assert_eq!(answer.status, 409, "{answer:?}"),
        Err(error) => assert_eq!(error.failure, Failure::NotFound, "{error}"),
    }
    assert!(world.read(&socket).await.is_none());
}

#[tokio::test]
async fn a_secret_is_compared_without_its_values() {
    let mut world = World::new().await;
    let manifest = |value: &str| {
        json!({"apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "s", "namespace": "default"}, "stringData": {"k": value}})
    };
    world.step(Verb::Create, &manifest("one"), &[], None).await.unwrap();
    assert_eq!(world.plan(&manifest("one"), &[]).await, Some(Diffed::default()));
    let found = world.plan(&manifest("two"), &[]).await.unwrap();
    assert!(found.changes.iter().all(|change| change.secret) && !found.changes.is_empty());
    assert!(!format!("{found:?}").contains("dHdv"));
    world.step(Verb::Update, &manifest("two"), &[], None).await.unwrap();
    assert_eq!(world.plan(&manifest("two"), &[]).await, Some(Diffed::default()));
}

#[tokio::test]
async fn another_applier_of_the_same_values_only_warns() {
    let mut world = World::new().await;
    let socket = recorded("12-strategy-switch-by-claim-and-drop.jsonl", 0);
    world.step(Verb::Create, &namespace("probe"), &[], None).await.unwrap();
    world.step(Verb::Create, &socket, &[], None).await.unwrap();
    let mut theirs = socket.clone();
    theirs["metadata"]["annotations"] =
        json!({"argocd.argoproj.io/tracking-id": "a:apps/Deployment:probe/openhands"});
    let sync = "fieldManager=argocd-controller&force=true";
    let apply = "application/apply-patch+yaml";
    world.edit("PATCH", DEPLOYMENT, sync, apply, &theirs);
    let found = world.plan(&socket, &[]).await.unwrap();
    assert_eq!(found.warnings.len(), 1);
    assert_eq!(found.warnings[0].code, Some("two-owners"));
    assert!(found.changes.is_empty() && found.drift.is_empty() && found.conflicts.is_empty());

    theirs["spec"]["replicas"] = json!(4);
    world.edit("PATCH", DEPLOYMENT, sync, apply, &theirs);
    let found = world.plan(&socket, &[]).await.unwrap();
    assert_eq!(paths(&found.drift), ["spec.replicas"]);
    assert_eq!(found.drift[0].by.as_deref(), Some("argocd-controller"));
    assert_eq!(paths(&found.changes), ["spec.replicas"]);
    world.step(Verb::Update, &socket, &[], None).await.unwrap();
    let found = world.plan(&socket, &[]).await.unwrap();
    assert!(found.changes.is_empty() && found.drift.is_empty() && found.conflicts.is_empty());
}

#[tokio::test]
async fn a_changed_claim_is_immutable_and_a_misspelt_field_is_an_error() {
    let mut world = World::new().await;
    let claim = |class: &str| {
        json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {"name": "c", "namespace": "default"},
            "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": class,
                "resources": {"requests": {"storage": "5Gi"}}}})
    };
    world.step(Verb::Create, &claim("a"), &[], None).await.unwrap();
    assert_eq!(world.plan(&claim("a"), &[]).await, Some(Diffed::default()));
    let found = world.plan(&claim("b"), &[]).await.unwrap();
    assert_eq!(paths(&found.changes), ["spec.storageClassName"]);
    let remote = world.read(&claim("b")).await.unwrap();
    assert!(Object.replaces("spec.storageClassName", &claim("b"), &remote).is_some());
    let mut misspelt = claim("a");
    misspelt["spec"]["acessModes"] = json!([]);
    let found = world.plan(&misspelt, &[]).await.unwrap();
    assert_eq!(found.warnings.len(), 1, "{found:?}");
    assert_eq!(found.warnings[0].code, None);
}
