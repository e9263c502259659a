//! Generated sequences of edits by all sides: after an apply that succeeds the next plan is empty,
//! and what others wrote beside boxctl's fields stays. The pipeline runs in this process, against
//! a cluster that is served from it.

pub mod files;
mod soak;
pub mod world;

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use files::{Files, bits, files, meta, resources};
use world::World;

const APPLY: &str = "application/apply-patch+yaml";
const MERGE: &str = "application/merge-patch+json";

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
