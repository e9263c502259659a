//! Generated sequences of edits by all sides: after an apply that succeeds the next plan is empty,
//! and what others wrote beside boxctl's fields stays. The pipeline runs in this process, against
//! a cluster that is served from it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, RwLock};

use boxctl::kinds;
use boxctl::kinds::wiring;
use boxctl::model::address::Address;
use boxctl::model::event::{Event, Events};
use boxctl::model::journal::{Entry, Journal, JournalError};
use boxctl::model::plan::{Options, StackPlan};
use boxctl::model::port::Outside;
use boxctl::model::project::{Project, Timing};
use boxctl::model::resource::{Meta, Resource, Stack};
use boxctl::model::scope::Scope;
use boxctl::model::secret::Secrets;
use boxctl::model::state::State;
use boxctl::providers::cluster::Cluster as Api;
use boxctl::providers::{Apis, Retry, Settings};
use boxctl::run::apply::{apply, keep_records};
use boxctl::run::pipeline::{self, Origin, Subject};
use boxctl::run::stack_run::StackRun;
use boxctl::run::{Context, StopFlag};
use boxctl::sandbox::kubernetes::{Cluster, Outside as Beside, Request};
use boxctl::sandbox::mangle::Mangler;
use proptest::prelude::*;
use serde_json::{Value, json};

const APPLY: &str = "application/apply-patch+yaml";
const MERGE: &str = "application/merge-patch+json";
const NAMESPACE: &str = "app";

const TIMING: Timing = Timing {
    request_ms: 10_000,
    backoff_ms: 5,
    backoff_max_ms: 50,
    step_ms: 10_000,
    poll_ms: 10,
    grace_ms: 10_000,
    late_ms: 10_000,
};

struct Silent;

impl Events for Silent {
    fn emit(&self, _: Event) {}
}

struct Machine(std::time::Instant);

impl Outside for Machine {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::now()
    }

    fn elapsed_ms(&self) -> u64 {
        self.0.elapsed().as_millis().try_into().unwrap()
    }

    fn random(&self, bytes: &mut [u8]) {
        rand::fill(bytes);
    }
}

/// A journal that is as durable as this process.
struct Memory(u64);

impl Journal for Memory {
    fn append(&mut self, _: Entry) -> Result<u64, JournalError> {
        self.0 += 1;
        Ok(self.0)
    }
}

struct World {
    cluster: Arc<Mutex<Cluster>>,
    mangler: Arc<Mutex<Option<Mangler>>>,
    kubeconfig: tempfile::NamedTempFile,
    secrets: RwLock<Secrets>,
    stop: StopFlag,
    outside: Machine,
    state: Option<State>,
}

fn handled(cluster: &Mutex<Cluster>, request: &Request<'_>) -> (u16, String, Vec<u8>) {
    let now = jiff::Timestamp::now();
    let mut cluster = cluster.lock().unwrap();
    let answer = cluster.handle(request, now);
    if request.method != "GET" {
        cluster.reconcile(&Beside::default(), now);
    }
    (answer.status, answer.content_type.to_owned(), answer.body)
}

impl World {
    async fn new(mangle: Option<u64>) -> World {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let cluster = Arc::new(Mutex::new(Cluster::new(jiff::Timestamp::now())));
        let mangler = Arc::new(Mutex::new(mangle.map(Mangler::new)));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (shared, mangled) = (Arc::clone(&cluster), Arc::clone(&mangler));
        let app = axum::Router::new().fallback(move |request: axum::extract::Request| {
            let (shared, mangled) = (Arc::clone(&shared), Arc::clone(&mangled));
            async move {
                let (parts, body) = request.into_parts();
                let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
                let header = |name: &str| parts.headers.get(name).and_then(|v| v.to_str().ok());
                let query = parts.uri.query().unwrap_or_default().as_bytes();
                let (status, kind, mut body) = handled(
                    &shared,
                    &Request {
                        method: parts.method.as_str(),
                        path: parts.uri.path(),
                        query: url::form_urlencoded::parse(query).into_owned().collect(),
                        content_type: header("content-type"),
                        accept: header("accept"),
                        user_agent: header("user-agent"),
                        authorization: None,
                        body: &body,
                    },
                );
                if let Some(mangler) = mangled.lock().unwrap().as_mut()
                    && let Ok(plain) = serde_json::from_slice(&body)
                {
                    body = mangler.kubernetes(plain).to_string().into_bytes();
                }
                http::Response::builder()
                    .status(status)
                    .header("content-type", kind)
                    .body(axum::body::Body::from(body))
                    .unwrap()
            }
        });
        tokio::spawn(async move { axum::serve(listener, app).await });
        let kubeconfig = tempfile::NamedTempFile::new().unwrap();
        let text = json!({"apiVersion": "v1", "kind": "Config", "current-context": "x",
            "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
            "users": [{"name": "x", "user": {}}],
            "clusters": [{"name": "x", "cluster": {"server": format!("http://{address}")}}]});
        std::fs::write(kubeconfig.path(), text.to_string()).unwrap();
        let world = World {
            cluster,
            mangler,
            kubeconfig,
            secrets: RwLock::new(Secrets::new()),
            stop: StopFlag::default(),
            outside: Machine(std::time::Instant::now()),
            state: None,
        };
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
        world.ask("POST", "/api/v1/namespaces", "", "application/json", &namespace).unwrap();
        let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        world.ask("POST", path, "", "application/json", &definition()).unwrap();
        world
    }

    /// A request by someone else; the refusal's text where it is refused.
    fn ask(
        &self,
        method: &str,
        path: &str,
        query: &str,
        kind: &str,
        body: &Value,
    ) -> Result<Value, String> {
        let body = body.to_string();
        let (status, _, body) = handled(
            &self.cluster,
            &Request {
                method,
                path,
                query: url::form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
                content_type: Some(kind),
                accept: None,
                user_agent: None,
                authorization: None,
                body: body.as_bytes(),
            },
        );
        if status < 300 {
            return Ok(serde_json::from_slice(&body).unwrap());
        }
        Err(String::from_utf8_lossy(&body).into_owned())
    }

    fn get(&self, path: &str) -> Option<Value> {
        self.ask("GET", path, "", "application/json", &Value::Null).ok()
    }

    /// One run: the plan, and, where nothing refuses it and it is to be, what came of it.
    async fn run(&mut self, resources: &[Resource], carry_out: bool) -> StackPlan {
        let retry = Retry { timing: TIMING, events: None };
        let path = self.kubeconfig.path().to_path_buf();
        let api = Api::new(None, Some(path), retry.clone());
        let settings = Settings::from_variables(|_| None, retry);
        let apis = Apis::new(settings).with_kubernetes(Arc::new(api));
        let context = Context {
            transport: &apis,
            events: &Silent,
            secrets: &self.secrets,
            outside: &self.outside,
            timing: TIMING,
            stop: &self.stop,
            kinds: kinds::find,
        };
        let project = Project {
            dir: ".".into(),
            name: "edits".into(),
            stacks: Vec::new(),
            cloudflare: None,
            aws_region: None,
            kubernetes_context: None,
            namespace: None,
            state_dir: "state".into(),
            values: BTreeMap::new(),
            retired: Vec::new(),
            destroy_limit_percent: 100,
            connector: None,
            timing: TIMING,
        };
        let stack =
            Stack { name: "edits".into(), resources: resources.to_vec(), ..Stack::default() };
        let lineage = "lineage".to_owned();
        let subject = Subject {
            stack,
            state: self.state.clone(),
            lineage: lineage.clone(),
            retired: false,
            lost: Vec::new(),
            files: String::new(),
            origin: Origin::Files,
        };
        let options = Options {
            allow_protected: vec!["**".to_owned()],
            allow_large: true,
            ..Options::default()
        };
        let (plan, seen) =
            pipeline::plan(&context, &project, vec![subject], &options, "plan".to_owned())
                .await
                .unwrap_or_else(|stop| panic!("{:?}", stop.reports));
        let plan = plan.stacks.into_iter().next().unwrap();
        if !carry_out || plan.refusals().next().is_some() {
            return plan;
        }
        let state = self.state.take().unwrap_or_else(|| State::new("edits", lineage.clone()));
        let journal = Memory(state.journal);
        let wiring = wiring::of(resources);
        let run = StackRun::new(
            &context,
            Scope { lineage, ..seen.scope.clone() },
            "edits",
            resources,
            &plan.needs,
            &wiring.readers,
            &seen.lookups[0],
            &seen.worlds[0],
            state,
            Vec::new(),
            Box::new(journal),
            false,
        );
        if plan.changes.is_empty() {
            keep_records(&run, &plan, "plan").unwrap();
        } else {
            let applied = apply(&run, &plan, "plan", &BTreeSet::new()).await;
            assert!(applied.failed.is_empty(), "{:#?}\nof {:#?}", applied.failed, plan.changes);
        }
        self.state = Some(run.into_shared().state);
        plan
    }
}

fn definition() -> Value {
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
struct Files {
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

fn files() -> impl Strategy<Value = Files> {
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

fn bits(of: u8) -> impl Iterator<Item = u8> {
    (0..8).filter(move |bit| of & (1 << bit) != 0)
}

fn meta(name: &str) -> Value {
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

fn resources(files: &Files, force: bool) -> Vec<Resource> {
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

const PATHS: [&str; 5] = [
    "/apis/apps/v1/namespaces/app/deployments/web",
    "/api/v1/namespaces/app/services/web",
    "/api/v1/namespaces/app/configmaps/config",
    "/api/v1/namespaces/app/persistentvolumeclaims/claim",
    "/apis/example.org/v1/namespaces/app/things/thing",
];

/// What someone else does.
#[derive(Clone, Debug)]
enum Foreign {
    /// A label beside boxctl's fields, by an update or an apply.
    Label {
        object: usize,
        applied: bool,
    },
    /// An item in a list of boxctl's.
    Item,
    /// The value of a field that the files may have.
    Value {
        of: u8,
        forced: bool,
    },
    Scale,
    Delete(usize),
}

fn foreign() -> impl Strategy<Value = Foreign> {
    prop_oneof![
        3 => (0..5usize, any::<bool>())
            .prop_map(|(object, applied)| Foreign::Label { object, applied }),
        2 => Just(Foreign::Item),
        4 => (0..5u8, any::<bool>()).prop_map(|(of, forced)| Foreign::Value { of, forced }),
        1 => Just(Foreign::Scale),
        1 => (0..5usize).prop_map(Foreign::Delete),
    ]
}

/// Pointers into objects and what has to be there as long as the object is.
type Kept = BTreeMap<(usize, String), Value>;

/// Does it; what has to stay of it is noted.
fn meddle(world: &World, what: &Foreign, kept: &mut Kept) {
    let named = |path: &str, body: &Value| {
        let mut body = body.clone();
        let live = world.get(path).unwrap();
        for field in ["apiVersion", "kind"] {
            body[field] = live[field].clone();
        }
        body
    };
    match what {
        Foreign::Label { object, applied } => {
            let path = PATHS[*object];
            if world.get(path).is_none() {
                return;
            }
            let (name, query, kind) = match applied {
                true => ("theirs-applied", "fieldManager=other", APPLY),
                false => ("theirs-updated", "fieldManager=kubectl-edit", MERGE),
            };
            let body = named(path, &json!({"metadata": {"labels": {name: "x"}}}));
            world.ask("PATCH", path, query, kind, &body).unwrap();
            kept.insert((*object, format!("/metadata/labels/{name}")), "x".into());
        }
        Foreign::Item => {
            let body = json!({"spec": {"template": {"spec": {"containers": [
                {"name": "main", "env": [{"name": "THEIRS", "value": "x"}]}]}}}});
            let kind = "application/strategic-merge-patch+json";
            if world.ask("PATCH", PATHS[0], "fieldManager=kubectl-edit", kind, &body).is_ok() {
                kept.insert((0, "theirs".to_owned()), "THEIRS".into());
            }
        }
        Foreign::Value { of, forced } => {
            let (object, body) = match of {
                0 => (0, json!({"spec": {"replicas": 7}})),
                1 => (2, json!({"data": {"k0": "theirs"}})),
                2 => (4, json!({"spec": {"mode": "theirs"}})),
                3 => (2, json!({"data": {"k1": "theirs", "more": "theirs"}})),
                _ => (3, json!({"metadata": {"labels": {"ours": "theirs"}}})),
            };
            let path = PATHS[object];
            if world.get(path).is_none() {
                return;
            }
            let (query, kind) = match forced {
                true => ("fieldManager=other-value&force=true", APPLY),
                false => ("fieldManager=kubectl-edit", MERGE),
            };
            world.ask("PATCH", path, query, kind, &named(path, &body)).unwrap();
        }
        Foreign::Scale => {
            let body = json!({"apiVersion": "autoscaling/v1", "kind": "Scale",
                "metadata": meta("web"), "spec": {"replicas": 5}});
            let path = format!("{}/scale", PATHS[0]);
            let _ = world.ask("PUT", &path, "fieldManager=hpa", "application/json", &body);
        }
        Foreign::Delete(object) => {
            let options = json!({"kind": "DeleteOptions", "apiVersion": "v1"});
            let _ = world.ask("DELETE", PATHS[*object], "", "application/json", &options);
        }
    }
}

/// What has to be there of objects that are still the same.
fn stays(world: &World, kept: &Kept) {
    for ((object, pointer), value) in kept {
        let live = world.get(PATHS[*object]).unwrap();
        if pointer == "theirs" {
            assert!(live["spec"].to_string().contains("THEIRS"), "{live:#}");
        } else {
            assert_eq!(live.pointer(pointer), Some(value), "{live:#}");
        }
    }
}

fn label(object: &mut Value) {
    if matches!(object["kind"].as_str(), Some("ConfigMap" | "Deployment" | "Service" | "Thing")) {
        object["metadata"]["labels"]["injected"] = "by-webhook".into();
    }
}

fn sidecar(object: &mut Value) {
    if object["kind"] != "Deployment" {
        return;
    }
    let containers = object["spec"]["template"]["spec"]["containers"].as_array_mut().unwrap();
    if !containers.iter().any(|container| container["name"] == "proxy") {
        containers.push(json!({"name": "proxy", "image": "proxy:1", "imagePullPolicy": "Always",
            "resources": {}, "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File"}));
    }
}

fn uid(world: &World, object: usize) -> Value {
    world.get(PATHS[object]).map(|live| live["metadata"]["uid"].clone()).unwrap_or_default()
}

async fn play(steps: Vec<(Files, Vec<Foreign>)>, webhooks: u8, mangle: Option<u64>) {
    let mut world = World::new(mangle).await;
    {
        let mut cluster = world.cluster.lock().unwrap();
        bits(webhooks).for_each(|bit| cluster.mutate(if bit == 0 { label } else { sidecar }));
    }
    let mut kept = Kept::new();
    for (files, hands) in steps {
        for hand in &hands {
            meddle(&world, hand, &mut kept);
        }
        let uids: Vec<Value> = (0..PATHS.len()).map(|object| uid(&world, object)).collect();
        let plan = world.run(&resources(&files, false), true).await;
        let refusals: Vec<_> = plan.refusals().cloned().collect();
        let mut forced = false;
        if !refusals.is_empty() {
            let conflict = |code: &Option<String>| code.as_deref() == Some("conflict");
            assert!(refusals.iter().all(|refusal| conflict(&refusal.code)), "{refusals:#?}");
            forced = true;
            let plan = world.run(&resources(&files, true), true).await;
            assert!(plan.refusals().next().is_none(), "{:#?}", plan.checks);
        }
        let again = world.run(&resources(&files, forced), false).await;
        assert!(
            again.changes.is_empty() && again.drift.is_empty() && again.refusals().next().is_none(),
            "{files:#?}\n{hands:?}\nchanges: {:#?}\ndrift: {:#?}\nchecks: {:#?}",
            again.changes,
            again.drift,
            again.checks
        );
        kept.retain(|(object, _), _| uid(&world, *object) == uids[*object]);
        stays(&world, &kept);
    }
    assert_eq!(world.mangler.lock().unwrap().is_some(), mangle.is_some());
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(24),
        failure_persistence: None,
        max_shrink_iters: 200,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whoever_edits_what_an_apply_ends_in_an_empty_plan(
        steps in proptest::collection::vec(
            (files(), proptest::collection::vec(foreign(), 0..3)), 2..6),
        webhooks in 0..4u8,
        mangle in proptest::option::of(any::<u64>()),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(play(steps, webhooks, mangle));
    }
}
