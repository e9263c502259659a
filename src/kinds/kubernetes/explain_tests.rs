use serde_json::json;

use super::super::recordings;
use super::*;

fn answer(items: &[Json]) -> Option<Answer> {
    Some(Answer { status: 200, body: json!({"items": items}), warnings: Vec::new() })
}

fn deployment() -> Json {
    json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "a", "uid": "d"},
        "spec": {"selector": {"matchLabels": {"app": "web"}, "matchExpressions": [
            {"key": "tier", "operator": "In", "values": ["x", "y"]},
            {"key": "old", "operator": "DoesNotExist"}]}}})
}

fn set(name: &str, revision: &str, status: Json) -> Json {
    json!({"metadata": {"name": name, "namespace": "a", "uid": name,
        "ownerReferences": [{"uid": "d"}],
        "annotations": {"deployment.kubernetes.io/revision": revision}}, "status": status})
}

fn pod(name: &str, owner: &str, status: Json) -> Json {
    json!({"metadata": {"name": name, "namespace": "a", "uid": name,
        "ownerReferences": [{"uid": owner}]},
        "status": status})
}

fn containers(status: Json) -> Json {
    json!({"phase": "Pending", "containerStatuses": [status]})
}

fn told(explained: Explain) -> Vec<String> {
    match explained {
        Explain::Told(told) => told,
        Explain::Look(call) => panic!("{call:?}"),
    }
}

fn asked(explained: Explain) -> (String, String) {
    match explained {
        Explain::Look(call) => {
            assert!(!call.mutating);
            (call.path.clone(), call.query[0].1.clone())
        }
        Explain::Told(told) => panic!("{told:?}"),
    }
}

#[test]
fn a_deployment_is_followed_to_the_pod_of_its_last_template() {
    let selector = "app=web,tier in (x,y),!old";
    let object = deployment();
    let mut answers = Vec::new();
    let (path, query) = asked(not_ready(&object, &answers));
    assert_eq!(path, "/apis/apps/v1/namespaces/a/replicasets");
    assert_eq!(query, selector);
    answers.push(answer(&[set("web-2", "10", json!({})), set("web-1", "9", json!({}))]));
    let (path, query) = asked(not_ready(&object, &answers));
    assert_eq!((path.as_str(), query.as_str()), ("/api/v1/namespaces/a/pods", selector));
    let crashing = containers(json!({"name": "c", "image": "i", "restartCount": 4,
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s"}},
        "lastState": {"terminated": {"exitCode": 1, "reason": "Error", "message": "no\nconfig\n"}}}));
    answers.push(answer(&[
        pod(
            "old",
            "web-1",
            containers(json!({"name": "c", "state": {"waiting": {"reason": "X"}}})),
        ),
        pod("new", "web-2", crashing),
    ]));
    let (path, query) = asked(not_ready(&object, &answers));
    assert_eq!(path, "/api/v1/namespaces/a/events");
    assert_eq!(query, "involvedObject.uid=new");
    let event = |reason: &str, message: &str, at: &str, kind: &str| json!({"reason": reason, "message": message, "type": kind, "lastTimestamp": at, "count": 3});
    answers.push(answer(&[
        event("Pulled", "Successfully pulled", "2026-11-22T00:00:09Z", "Normal"),
        event("BackOff", "older", "2026-11-22T00:00:01Z", "Warning"),
        event("BackOff", "Back-off restarting failed container", "2026-11-22T00:00:05Z", "Warning"),
    ]));
    assert_eq!(
        told(not_ready(&object, &answers)),
        [
            "pod new: container c: CrashLoopBackOff: it ended with exit code 1 (Error): no config; \
             it was restarted 4 times",
            "event BackOff: Back-off restarting failed container (3 times)",
        ]
    );
}

#[test]
fn a_quota_shows_in_the_replica_set_and_its_events() {
    let status = json!({"conditions": [{"type": "ReplicaFailure", "status": "True",
        "reason": "FailedCreate", "message": "pods \"web-\" is forbidden: exceeded quota: q"}]});
    let answers = [answer(&[set("web-1", "1", status)]), answer(&[])];
    let (_, query) = asked(not_ready(&deployment(), &answers));
    assert_eq!(query, "involvedObject.uid=web-1");
    let mut answers = answers.to_vec();
    answers.push(None);
    assert_eq!(
        told(not_ready(&deployment(), &answers)),
        ["replica set web-1: FailedCreate: pods \"web-\" is forbidden: exceeded quota: q"]
    );
}

#[test]
fn lists_that_are_refused_are_done_without() {
    let waiting = json!({"name": "c", "image": "ghcr.io/x:1",
        "state": {"waiting": {"reason": "ErrImagePull", "message": "not found"}}});
    let answers = [None, answer(&[pod("p", "?", containers(waiting))]), None];
    assert_eq!(
        told(not_ready(&deployment(), &answers)),
        ["pod p: container c (image ghcr.io/x:1): ErrImagePull: not found"]
    );
    assert_eq!(told(not_ready(&deployment(), &[None, None, None])), Vec::<String>::new());
}

#[test]
fn what_is_wrong_with_a_pod() {
    let object = json!({"apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": {"name": "s", "namespace": "a", "uid": "s"}});
    let running = json!({"name": "c", "ready": false, "state": {"running": {}}});
    for (status, text) in [
        (
            json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False",
                "reason": "Unschedulable", "message": "0/1 nodes are available: 1 Insufficient cpu."}]}),
            "Unschedulable: 0/1 nodes are available: 1 Insufficient cpu.",
        ),
        (
            json!({"phase": "Pending", "initContainerStatuses": [{"name": "i", "restartCount": 1,
                "state": {"terminated": {"exitCode": 2, "reason": "Error"}}}]}),
            "init container i: it ended with exit code 2 (Error); it was restarted once",
        ),
        (
            containers(json!({"name": "c", "state": {"waiting": {
                "reason": "CreateContainerConfigError", "message": "secret \"t\" not found"}}})),
            "container c: CreateContainerConfigError: secret \"t\" not found",
        ),
        (
            containers(json!({"name": "c", "state": {"waiting": {"reason": "ContainerCreating"}}})),
            "container c: ContainerCreating",
        ),
        (
            json!({"phase": "Running", "containerStatuses": [running]}),
            "container c runs and is not ready",
        ),
        (
            json!({"phase": "Failed", "reason": "Evicted", "message": "low on memory"}),
            "it failed: Evicted: low on memory",
        ),
    ] {
        let answers = [answer(&[pod("p", "s", status.clone())]), None];
        assert_eq!(told(not_ready(&object, &answers)), [format!("pod p: {text}")], "{status}");
    }
    let ended = pod("p", "s", json!({"phase": "Succeeded"}));
    assert_eq!(told(not_ready(&object, &[answer(&[ended]), None])), Vec::<String>::new());
}

#[test]
fn pods_with_the_same_trouble_are_told_once() {
    let object = json!({"apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": "j", "namespace": "a", "uid": "j"}});
    let status = json!({"phase": "Failed", "containerStatuses": [{"name": "c",
        "state": {"terminated": {"exitCode": 3, "message": "x".repeat(400)}}}]});
    let pods =
        [pod("a", "j", status.clone()), pod("b", "j", status.clone()), pod("c", "j", status)];
    let answers = [answer(&pods), None];
    let told = told(not_ready(&object, &answers));
    assert_eq!(told.len(), 1);
    assert!(told[0].starts_with("pod a and 2 more: container c: it ended with exit code 3: …x"));
    assert!(told[0].len() < 400);
}

#[test]
fn recorded_events_have_no_warning_to_tell() {
    let lines = recordings::lines("14-status-and-readiness.jsonl");
    let events = lines.iter().find(|line| line.path().ends_with("/events")).unwrap();
    let events = Answer { status: 200, body: events.body(), warnings: Vec::new() };
    assert!(!events.body["items"].as_array().unwrap().is_empty());
    assert_eq!(warnings(Some(&events), &[]), Vec::<String>::new());
    let (path, query) = asked(not_ready(
        &json!({"apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret",
            "metadata": {"name": "e", "namespace": "probe", "uid": "u"}}),
        &[],
    ));
    assert_eq!(path, "/api/v1/namespaces/probe/events");
    assert_eq!(query, "involvedObject.uid=u");
}
