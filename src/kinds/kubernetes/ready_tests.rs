use serde_json::json;

use super::super::recordings;
use super::*;

#[test]
fn a_recorded_deployment_and_its_secret_become_ready() {
    let lines = recordings::lines("14-status-and-readiness.jsonl");
    let expected = [
        (0, Readiness::Waiting("its controller has not seen it yet".into())),
        (1, Readiness::Waiting("0 of 1 replicas are available".into())),
        (5, Readiness::Ready),
        (6, Readiness::Waiting("its operator has not seen it yet".into())),
        (
            8,
            Readiness::Waiting("SecretSyncedError: could not get secret data from provider".into()),
        ),
        (10, Readiness::Ready),
    ];
    for (line, readiness) in expected {
        assert_eq!(super::readiness(&lines[line].body()), readiness, "line {line}");
    }
}

#[test]
fn readiness_of_other_kinds() {
    let object = |api: &str, kind: &str, status: Json| {
        json!({"apiVersion": api, "kind": kind, "metadata": {"generation": 2}, "spec": {},
               "status": status})
    };
    let condition = |kind: &str, status: &str| {
        json!({"observedGeneration": 2, "conditions": [
            {"type": kind, "status": status, "reason": "R", "message": "m"}]})
    };
    let said = || "R: m".to_owned();
    for (object, readiness) in [
        (object("v1", "ConfigMap", Json::Null), Readiness::Ready),
        (object("v1", "PersistentVolumeClaim", json!({"phase": "Pending"})), Readiness::Ready),
        (object("v1", "Namespace", json!({"phase": "Active"})), Readiness::Ready),
        (
            object("v1", "Namespace", json!({"phase": "Terminating"})),
            Readiness::Waiting("the namespace is Terminating".into()),
        ),
        (object("batch/v1", "Job", condition("Complete", "True")), Readiness::Ready),
        (object("batch/v1", "Job", condition("Failed", "True")), Readiness::Failed(said())),
        (object("v1", "Pod", condition("Ready", "False")), Readiness::Waiting(said())),
        (
            object(
                "apiextensions.k8s.io/v1",
                "CustomResourceDefinition",
                condition("Established", "True"),
            ),
            Readiness::Ready,
        ),
        (
            object(
                "apps/v1",
                "Deployment",
                json!({"observedGeneration": 2, "conditions": [
                {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded",
                 "message": "too late"}]}),
            ),
            Readiness::Failed("ProgressDeadlineExceeded: too late".into()),
        ),
        (
            object(
                "apps/v1",
                "Deployment",
                json!({"observedGeneration": 2, "replicas": 2,
                "updatedReplicas": 1, "availableReplicas": 2}),
            ),
            Readiness::Waiting("1 old replicas have to end".into()),
        ),
        (
            object(
                "apps/v1",
                "StatefulSet",
                json!({"observedGeneration": 2, "readyReplicas": 1,
                "updateRevision": "b", "currentRevision": "a"}),
            ),
            Readiness::Waiting("0 of 1 replicas are updated".into()),
        ),
        (
            object(
                "apps/v1",
                "DaemonSet",
                json!({"observedGeneration": 2,
                "desiredNumberScheduled": 3, "updatedNumberScheduled": 3, "numberAvailable": 2}),
            ),
            Readiness::Waiting("2 of 3 replicas are available".into()),
        ),
    ] {
        assert_eq!(super::readiness(&object), readiness, "{object}");
    }
}

#[test]
fn definitions_come_before_namespaces_before_workloads() {
    let manifest = |api: &str, kind: &str| json!({"apiVersion": api, "kind": kind});
    let order = [
        manifest("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
        manifest("v1", "Namespace"),
        manifest("scheduling.k8s.io/v1", "PriorityClass"),
        manifest("v1", "ConfigMap"),
        manifest("v1", "ServiceAccount"),
        manifest("rbac.authorization.k8s.io/v1", "Role"),
        manifest("rbac.authorization.k8s.io/v1", "RoleBinding"),
        manifest("v1", "PersistentVolumeClaim"),
        manifest("v1", "Service"),
        manifest("external-secrets.io/v1", "ExternalSecret"),
        manifest("apps/v1", "Deployment"),
        manifest("argoproj.io/v1alpha1", "Application"),
    ];
    assert!(order.is_sorted_by_key(rank));
}
