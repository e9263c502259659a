//! Workloads that get ready late or not at all, and what the cluster says about them.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::tests::{apply, condition, get, now, preset, send_at};
use crate::sandbox::kubernetes::value::{items, number, text};
use crate::sandbox::kubernetes::{Cluster, Outside};

const APP: &str = "/apis/apps/v1/namespaces/default/deployments/app";
const PODS: &str = "/api/v1/namespaces/default/pods";
const EVENTS: &str = "/api/v1/namespaces/default/events";

fn app(pod: &Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "app", "namespace": "default"},
        "spec": {"progressDeadlineSeconds": 60, "selector": {"matchLabels": {"app": "app"}},
            "template": pod},
    })
}

fn template(spec: Value) -> Value {
    json!({"metadata": {"labels": {"app": "app"}}, "spec": spec})
}

fn container(more: &Value) -> Value {
    let mut container = json!({"name": "c", "image": "ghcr.io/a/b:1"});
    if let (Some(map), Some(more)) = (container.as_object_mut(), more.as_object()) {
        map.extend(more.clone());
    }
    container
}

fn at(seconds: i64) -> Timestamp {
    now() + SignedDuration::from_secs(seconds)
}

fn run(cluster: &mut Cluster, seconds: i64) {
    cluster.reconcile(&Outside::default(), at(seconds));
}

fn said(cluster: &mut Cluster, query: &str) -> Vec<Value> {
    items(&get(cluster, &format!("{EVENTS}?{query}")), "/items").to_vec()
}

fn reasons(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| text(event, "/reason")).collect()
}

fn first_pod(cluster: &mut Cluster) -> Value {
    items(&get(cluster, PODS), "/items").first().cloned().unwrap_or_default()
}

const WAITING: &str = "/status/containerStatuses/0/state/waiting/reason";

#[test]
fn what_keeps_a_pod_from_running_is_said_as_a_real_cluster_says_it() {
    let bare = || json!({"containers": [container(&json!({}))]});
    let with = |key: &str, value: Value| {
        let mut spec = bare();
        spec[key] = value;
        spec
    };
    let one = |more: &Value| json!({"containers": [container(more)]});
    let key = json!({"env": [{"name": "A", "valueFrom":
        {"secretKeyRef": {"name": "missing", "key": "k"}}}]});
    let volume = |source: &Value| json!([source]);
    for (spec, waiting, reason, message) in [
        (
            one(&json!({"image": "registry.invalid/a:1"})),
            "ImagePullBackOff",
            "Failed",
            "lookup registry.invalid: no such host",
        ),
        (one(&json!({"image": "Wrong:1"})), "InvalidImageName", "InspectFailed", "Wrong:1"),
        (one(&key), "CreateContainerConfigError", "Failed", "Error: secret \"missing\" not found"),
        (
            with("volumes", volume(&json!({"name": "v", "configMap": {"name": "missing"}}))),
            "ContainerCreating",
            "FailedMount",
            "MountVolume.SetUp failed for volume \"v\" : configmap \"missing\" not found",
        ),
        (
            with("nodeSelector", json!({"disk": "none"})),
            "",
            "FailedScheduling",
            "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector.",
        ),
        (
            with(
                "volumes",
                volume(&json!({"name": "v",
                "persistentVolumeClaim": {"claimName": "missing"}})),
            ),
            "",
            "FailedScheduling",
            "persistentvolumeclaim \"missing\" not found",
        ),
        (
            one(&json!({"resources": {"requests": {"cpu": "64"}}})),
            "",
            "FailedScheduling",
            "2 Insufficient cpu",
        ),
        (
            one(&json!({"command": ["sh", "-c", "exit 3"]})),
            "CrashLoopBackOff",
            "BackOff",
            "Back-off restarting failed container c in pod app-",
        ),
    ] {
        let mut cluster = preset();
        apply(&mut cluster, APP, &app(&template(spec.clone())));
        run(&mut cluster, 0);
        run(&mut cluster, 2);
        let pod = first_pod(&mut cluster);
        assert_eq!(text(&pod, WAITING), waiting, "{spec}: {}", pod["status"]);
        let uid = text(&pod, "/metadata/uid");
        let query = format!("fieldSelector=involvedObject.uid={uid},reason={reason}");
        let events = said(&mut cluster, &query);
        let found = events.iter().any(|event| text(event, "/message").contains(message));
        assert!(found, "{message}: {events:#?}");
        let warned = events.iter().any(|event| text(event, "/type") == "Warning");
        assert!(warned, "{events:#?}");
        let deployment = get(&mut cluster, APP);
        assert_eq!(condition(&deployment, "Available").0, "False");
        assert_eq!(condition(&deployment, "Progressing").1, "ReplicaSetUpdated");

        run(&mut cluster, 61);
        let failed = ("False".to_owned(), "ProgressDeadlineExceeded".to_owned());
        assert_eq!(condition(&get(&mut cluster, APP), "Progressing"), failed, "{spec}");
    }
}

#[test]
fn a_workload_gets_ready_when_its_time_has_come() {
    let probe = json!({"readinessProbe": {"httpGet": {"path": "/", "port": 80}}});
    for (more, annotation, phase) in [
        (json!({}), None, "Pending"),
        (probe.clone(), None, "Running"),
        (json!({}), Some("5000"), "Pending"),
        (probe, Some("5000"), "Running"),
    ] {
        let mut cluster = preset();
        if annotation.is_none() {
            cluster.set_ready_after(SignedDuration::from_secs(5));
        }
        let mut pod = template(json!({"containers": [container(&more)]}));
        pod["metadata"]["annotations"] = json!({"sandbox.boxctl/ready": annotation});
        apply(&mut cluster, APP, &app(&pod));
        run(&mut cluster, 0);
        run(&mut cluster, 4);
        assert_eq!(text(&first_pod(&mut cluster), "/status/phase"), phase);
        assert_eq!(condition(&get(&mut cluster, APP), "Available").0, "False");
        assert!(cluster.is_moving());
        run(&mut cluster, 5);
        assert_eq!(condition(&get(&mut cluster, APP), "Available").0, "True");
        assert!(!cluster.is_moving());
        let pod = first_pod(&mut cluster);
        let uid = text(&pod, "/metadata/uid").to_owned();
        let events = said(&mut cluster, &format!("fieldSelector=involvedObject.uid={uid}"));
        let told = reasons(&events);
        for wanted in ["Scheduled", "Pulling", "Pulled", "Created", "Started"] {
            assert!(told.contains(&wanted), "{wanted}: {told:?}");
        }
        assert_eq!(told.contains(&"Unhealthy"), phase == "Running");
    }
}

#[test]
fn a_crash_loop_restarts_more_and_more_slowly() {
    let mut cluster = preset();
    let mut pod = template(json!({"containers": [container(&json!({}))]}));
    pod["metadata"]["annotations"] = json!({"sandbox.boxctl/ready": "crash"});
    apply(&mut cluster, APP, &app(&pod));
    for (seconds, restarts) in [(0, 1), (5, 1), (10, 2), (29, 2), (30, 3)] {
        run(&mut cluster, seconds);
        let pod = first_pod(&mut cluster);
        let status = pod.pointer("/status/containerStatuses/0").expect("a status");
        assert_eq!(number(status, "/restartCount"), Some(restarts), "after {seconds} s");
        assert_eq!(text(status, "/state/waiting/reason"), "CrashLoopBackOff");
        assert_eq!(text(status, "/lastState/terminated/reason"), "Error");
        assert_eq!(number(status, "/lastState/terminated/exitCode"), Some(1));
    }
    let events = said(&mut cluster, "fieldSelector=reason=BackOff");
    assert!(number(&events[0], "/count").is_some_and(|count| count > 1), "{events:?}");
}

#[test]
fn what_a_namespace_may_not_have_is_refused_and_said() {
    let mut cluster = preset();
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota",
        "metadata": {"name": "q", "namespace": "default"}, "spec": {"hard": {"pods": "1"}}});
    apply(&mut cluster, "/api/v1/namespaces/default/resourcequotas/q", &quota);
    let mut deployment = app(&template(json!({"containers": [container(&json!({}))]})));
    deployment["spec"]["replicas"] = json!(2);
    apply(&mut cluster, APP, &deployment);
    run(&mut cluster, 0);
    let shown = get(&mut cluster, APP);
    let failed = ("True".to_owned(), "FailedCreate".to_owned());
    assert_eq!(condition(&shown, "ReplicaFailure"), failed);
    let events = said(&mut cluster, "fieldSelector=reason=FailedCreate");
    let message = text(&events[0], "/message");
    assert!(message.starts_with("Error creating: pods \"app-"), "{message}");
    let why = "exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1";
    assert!(message.ends_with(why), "{message}");
    let status = get(&mut cluster, "/api/v1/namespaces/default/resourcequotas/q");
    assert_eq!(status["status"]["used"], json!({"pods": "1"}));

    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
        "spec": {"containers": [container(&json!({}))]}});
    let (status, answer) = send_at(&mut cluster, "POST", PODS, "application/json", &pod, at(0));
    assert_eq!((status, text(&answer, "/reason")), (403, "Forbidden"), "{answer}");
}

#[test]
fn events_are_one_set_of_objects_in_two_versions() {
    let mut cluster = preset();
    apply(&mut cluster, APP, &app(&template(json!({"containers": [container(&json!({}))]}))));
    run(&mut cluster, 0);
    let newer = "/apis/events.k8s.io/v1/namespaces/default/events";
    let list = get(&mut cluster, &format!("{newer}?fieldSelector=regarding.kind=Deployment"));
    let event = &items(&list, "/items")[0];
    assert_eq!(text(&list, "/apiVersion"), "events.k8s.io/v1");
    assert_eq!(text(event, "/regarding/name"), "app");
    assert!(text(event, "/note").starts_with("Scaled up replica set app-"), "{event}");
    assert_eq!(text(event, "/deprecatedSource/component"), "deployment-controller");
    assert_eq!(event.get("message"), None);
    let core = said(&mut cluster, "fieldSelector=involvedObject.kind=Deployment");
    assert_eq!(core[0]["message"], event["note"]);
    assert_eq!(core[0]["metadata"]["uid"], event["metadata"]["uid"]);

    let own = json!({"apiVersion": "events.k8s.io/v1", "kind": "Event",
        "metadata": {"name": "own", "namespace": "default"},
        "eventTime": "2026-11-22T21:31:00.000000Z", "note": "hello", "reason": "Testing",
        "action": "Test", "type": "Normal", "reportingController": "tester",
        "reportingInstance": "tester-1", "regarding": {"kind": "Pod", "name": "p"}});
    let (status, answer) = send_at(&mut cluster, "POST", newer, "application/json", &own, at(0));
    assert_eq!((status, text(&answer, "/note")), (201, "hello"), "{answer}");
    assert_eq!(text(&get(&mut cluster, &format!("{EVENTS}/own")), "/message"), "hello");
    run(&mut cluster, 3700);
    assert!(said(&mut cluster, "").iter().all(|e| text(e, "/reason") != "ScalingReplicaSet"));
}

#[test]
fn a_job_that_fails_says_so_and_one_that_is_over_goes_when_its_time_has_come() {
    let path = "/apis/batch/v1/namespaces/default/jobs/j";
    let job = |command: Value| {
        json!({"apiVersion": "batch/v1", "kind": "Job",
            "metadata": {"name": "j", "namespace": "default"},
            "spec": {"backoffLimit": 1, "ttlSecondsAfterFinished": 30, "template": {"spec": {
                "restartPolicy": "Never",
                "containers": [container(&json!({"command": command}))]}}}})
    };
    for (command, kind, reason) in [
        (json!(["false"]), "Failed", "BackoffLimitExceeded"),
        (json!(["true"]), "Complete", "CompletionsReached"),
    ] {
        let mut cluster = preset();
        apply(&mut cluster, path, &job(command));
        run(&mut cluster, 0);
        let ended = ("True".to_owned(), reason.to_owned());
        assert_eq!(condition(&get(&mut cluster, path), kind), ended);
        run(&mut cluster, 29);
        get(&mut cluster, path);
        run(&mut cluster, 30);
        let gone = send_at(&mut cluster, "GET", path, "", &Value::Null, at(30)).0;
        assert_eq!(gone, 404);
        run(&mut cluster, 30);
        assert!(items(&get(&mut cluster, PODS), "/items").is_empty());
    }
}
