use serde_json::json;

use super::*;
use crate::model::observed::Remote;

fn remote(raw: Json) -> Remote {
    Remote { id: "x".into(), spec: Json::Null, outputs: Default::default(), version: None, raw }
}

fn told(kind: &str, spec: &Json, live: Json, paths: &[&str]) -> Option<String> {
    let api = if kind == "Pod" || kind == "Service" { "v1" } else { "apps/v1" };
    let object = |spec: &Json| json!({"apiVersion": api, "kind": kind, "spec": spec});
    let mut raw = object(&live["spec"]);
    raw["status"] = live["status"].clone();
    let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
    interrupts(&Disturbance {
        spec: &object(spec),
        remote: &remote(raw),
        paths: &paths,
        replaced: false,
        restarted: false,
    })
}

const IMAGE: &str = "spec.template.spec.containers[name=\"a\"].image";

#[test]
fn a_rollout_interrupts_where_its_last_pod_ends_first() {
    let rolling = |surge: Json, missing: Json| {
        json!({"replicas": 1, "strategy": {"type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": surge, "maxUnavailable": missing}}})
    };
    let three = |missing: Json| json!({"replicas": 3, "strategy": {"rollingUpdate": {"maxUnavailable": missing}}});
    let recreate = json!({"replicas": 2, "strategy": {"type": "Recreate"}});
    for (spec, interrupts) in [
        (json!({}), false),
        (json!({"replicas": 1}), false),
        (recreate.clone(), true),
        (rolling(json!("25%"), json!("25%")), false),
        (rolling(json!(0), json!(1)), true),
        (rolling(json!(0), json!("25%")), true),
        (rolling(json!(1), json!("100%")), true),
        (three(json!(2)), false),
        (three(json!("100%")), true),
    ] {
        let found = told("Deployment", &spec, json!({"spec": {"replicas": 1}}), &[IMAGE]);
        assert_eq!(found.is_some(), interrupts, "{spec}: {found:?}");
        // Nothing starts anew without a new template.
        assert_eq!(told("Deployment", &spec, json!({}), &["metadata.labels.a"]), None, "{spec}");
        assert_eq!(told("Deployment", &spec, json!({}), &["spec.strategy"]), None, "{spec}");
    }
    let live = json!({"spec": recreate});
    let spec = json!({"replicas": 2});
    assert!(told("Deployment", &spec, live.clone(), &[IMAGE]).is_some(), "someone else's strategy");
    let both = [IMAGE, "spec.strategy.type"];
    assert_eq!(told("Deployment", &spec, live, &both), None, "back to the default");
}

#[test]
fn scaling_to_nothing_interrupts_and_nothing_can_not_be_interrupted() {
    let live = |replicas: u32| json!({"spec": {"replicas": replicas}});
    let none = json!({"replicas": 0});
    assert!(told("Deployment", &none, live(2), &["spec.replicas"]).is_some());
    let recreate = json!({"strategy": {"type": "Recreate"}});
    assert_eq!(told("Deployment", &recreate, live(0), &[IMAGE]), None);
}

#[test]
fn sets_and_bare_pods() {
    let set = |spec: Json| told("StatefulSet", &spec, json!({"spec": {"replicas": 1}}), &[IMAGE]);
    assert!(set(json!({})).is_some());
    assert_eq!(set(json!({"updateStrategy": {"type": "OnDelete"}})), None);
    assert_eq!(set(json!({"updateStrategy": {"rollingUpdate": {"partition": 1}}})), None);
    let three = json!({"spec": {"replicas": 3}});
    assert_eq!(told("StatefulSet", &json!({"replicas": 3}), three, &[IMAGE]), None);

    let daemons = |spec: Json, nodes: u32| {
        let live = json!({"status": {"desiredNumberScheduled": nodes}});
        told("DaemonSet", &spec, live, &[IMAGE]).is_some()
    };
    let surge = json!({"updateStrategy": {"rollingUpdate": {"maxSurge": 1}}});
    assert!(daemons(json!({}), 1));
    assert!(!daemons(json!({}), 3));
    assert!(!daemons(surge, 1));
    assert!(told("Pod", &json!({}), json!({}), &["spec.containers[name=\"a\"].image"]).is_some());
    assert_eq!(told("Service", &json!({}), json!({}), &["spec.selector"]), None);
}

#[test]
fn a_restart_and_a_replacement_interrupt_too() {
    let spec = json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "spec": {"strategy": {"type": "Recreate"}}});
    let live = remote(spec.clone());
    let change = |replaced: bool, restarted: bool| Disturbance {
        spec: &spec,
        remote: &live,
        paths: &[],
        replaced,
        restarted,
    };
    assert_eq!(interrupts(&change(false, false)), None);
    assert!(interrupts(&change(false, true)).unwrap().contains("Recreate"));
    assert!(interrupts(&change(true, false)).unwrap().contains("deleted with its pods"));
}
