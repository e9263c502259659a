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
        assert_eq!(super::readiness(&lines[line].body(), None), readiness, "line {line}");
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
            Readiness::Waiting("1 old replica has to end".into()),
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
        assert_eq!(super::readiness(&object, None), readiness, "{object}");
    }
}

fn object(api: &str, kind: &str, spec: Json, status: Json) -> Json {
    json!({"apiVersion": api, "kind": kind, "metadata": {"generation": 2}, "spec": spec,
        "status": status})
}

fn conditions(list: &[(&str, &str, &str, &str)]) -> Json {
    let list: Vec<Json> = list
        .iter()
        .map(|(kind, status, reason, message)| {
            json!({"type": kind, "status": status, "reason": reason, "message": message})
        })
        .collect();
    json!(list)
}

fn is_waiting(text: &str) -> Readiness {
    Readiness::Waiting(text.to_owned())
}

#[test]
fn deployments_at_their_edges() {
    let deployment = |spec: Json, status: Json| object("apps/v1", "Deployment", spec, status);
    let quota = conditions(&[
        ("Progressing", "True", "NewReplicaSetCreated", ""),
        ("ReplicaFailure", "True", "FailedCreate", "pods is forbidden: exceeded quota"),
    ]);
    for (object, readiness) in [
        (deployment(json!({"replicas": 0}), json!({"observedGeneration": 2})), Readiness::Ready),
        (
            deployment(json!({"replicas": 0}), json!({"observedGeneration": 2, "replicas": 2})),
            is_waiting("2 old replicas have to end"),
        ),
        (
            deployment(json!({"replicas": 0}), json!({"observedGeneration": 1})),
            is_waiting("its controller has not seen it yet"),
        ),
        (deployment(json!({"paused": true}), json!({"observedGeneration": 2})), Readiness::Ready),
        (
            deployment(json!({}), json!({"observedGeneration": 2, "conditions": quota})),
            is_waiting("FailedCreate: pods is forbidden: exceeded quota"),
        ),
        (
            // Ready, and not for `minReadySeconds` yet.
            deployment(
                json!({"replicas": 2, "minReadySeconds": 30}),
                json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2,
                    "readyReplicas": 2, "availableReplicas": 1}),
            ),
            is_waiting("1 of 2 replicas are available"),
        ),
    ] {
        assert_eq!(super::readiness(&object, None), readiness, "{object}");
    }
}

#[test]
fn sets_at_their_edges() {
    let set = |spec: Json, status: Json| object("apps/v1", "StatefulSet", spec, status);
    let rolling = |partition: u32| {
        json!({"replicas": 3, "updateStrategy": {"type": "RollingUpdate",
            "rollingUpdate": {"partition": partition}}})
    };
    let status = |ready: u32, updated: u32| {
        json!({"observedGeneration": 2, "replicas": 3, "readyReplicas": ready,
            "updatedReplicas": updated, "currentRevision": "a", "updateRevision": "b"})
    };
    let on_delete = json!({"replicas": 3, "updateStrategy": {"type": "OnDelete"}});
    for (object, readiness) in [
        (set(rolling(0), status(3, 2)), is_waiting("2 of 3 replicas are updated")),
        (set(rolling(2), status(3, 1)), Readiness::Ready),
        (set(rolling(5), status(3, 0)), Readiness::Ready),
        (set(rolling(2), status(2, 1)), is_waiting("2 of 3 replicas are ready")),
        (set(on_delete.clone(), status(3, 0)), Readiness::Ready),
        (set(json!({"replicas": 0}), json!({"observedGeneration": 2})), Readiness::Ready),
        (
            set(
                json!({"replicas": 1, "minReadySeconds": 5}),
                json!({"observedGeneration": 2, "readyReplicas": 1, "availableReplicas": 0}),
            ),
            is_waiting("0 of 1 replicas are available"),
        ),
        (
            object(
                "apps/v1",
                "DaemonSet",
                json!({"updateStrategy": {"type": "OnDelete"}}),
                json!({"observedGeneration": 2, "desiredNumberScheduled": 1,
                    "updatedNumberScheduled": 0, "numberAvailable": 1}),
            ),
            Readiness::Ready,
        ),
        (
            object("apps/v1", "DaemonSet", json!({}), json!({"observedGeneration": 2})),
            Readiness::Ready,
        ),
        (
            object("apps/v1", "ReplicaSet", json!({}), json!({"observedGeneration": 2})),
            is_waiting("0 of 1 replicas are available"),
        ),
    ] {
        assert_eq!(super::readiness(&object, None), readiness, "{object}");
    }
}

#[test]
fn jobs_and_pods_at_their_edges() {
    let job = |spec: Json, status: Json| object("batch/v1", "Job", spec, status);
    for (object, readiness) in [
        (job(json!({"suspend": true}), json!({})), Readiness::Ready),
        (
            job(json!({"completions": 3}), json!({"succeeded": 1, "failed": 2})),
            is_waiting("1 of 3 completions, 2 pods failed"),
        ),
        (
            job(
                json!({}),
                json!({"conditions": conditions(&[
                    ("FailureTarget", "True", "BackoffLimitExceeded", "too often")])}),
            ),
            Readiness::Failed("BackoffLimitExceeded: too often".into()),
        ),
        (
            job(
                json!({}),
                json!({"conditions": conditions(&[
                ("SuccessCriteriaMet", "True", "CompletionsReached", "")])}),
            ),
            is_waiting("0 of 1 completions"),
        ),
        (object("v1", "Pod", json!({}), json!({"phase": "Succeeded"})), Readiness::Ready),
        (
            object("v1", "Pod", json!({}), json!({"phase": "Failed"})),
            Readiness::Failed("a container of it failed".into()),
        ),
        (
            object(
                "v1",
                "Pod",
                json!({}),
                json!({"phase": "Pending", "conditions": conditions(&[
                    ("PodScheduled", "False", "Unschedulable", "0/1 nodes are available")])}),
            ),
            is_waiting("Unschedulable: 0/1 nodes are available"),
        ),
    ] {
        assert_eq!(super::readiness(&object, None), readiness, "{object}");
    }
}

#[test]
fn what_never_says_so_is_never_waited_for() {
    for (api, kind) in [
        ("v1", "Service"),
        ("v1", "PersistentVolumeClaim"),
        ("networking.k8s.io/v1", "Ingress"),
        ("policy/v1", "PodDisruptionBudget"),
        ("autoscaling/v2", "HorizontalPodAutoscaler"),
        ("batch/v1", "CronJob"),
        ("example.dev/v1", "Anything"),
    ] {
        let status = json!({"conditions": conditions(&[("Ready", "False", "No", "")])});
        let object = object(api, kind, json!({"type": "LoadBalancer"}), status);
        assert_eq!(super::readiness(&object, None), Readiness::Ready, "{kind}");
    }
}

#[test]
fn applications_are_waited_for_where_they_sync_by_themselves() {
    let source = json!({"repoURL": "https://example.org/r", "path": "p", "targetRevision": "main"});
    let application = |automated: Json, status: Json| {
        object(
            "argoproj.io/v1alpha1",
            "Application",
            json!({"source": source, "syncPolicy": {"automated": automated}}),
            status,
        )
    };
    let status = |health: &str, sync: &str, path: &str| {
        json!({"health": {"status": health}, "sync": {"status": sync,
            "comparedTo": {"source": {"repoURL": "https://example.org/r", "path": path}}}})
    };
    let mut broken = status("Healthy", "Unknown", "p");
    broken["conditions"] = json!([{"type": "ComparisonError", "message": "no such path"}]);
    for (object, readiness) in [
        (application(Json::Null, json!({})), Readiness::Ready),
        (application(json!({"enabled": false}), json!({})), Readiness::Ready),
        (application(json!({}), json!({})), is_waiting("Argo CD has not seen it yet")),
        (application(json!({}), status("Healthy", "Synced", "p")), Readiness::Ready),
        (
            application(json!({"prune": true}), status("Progressing", "Synced", "p")),
            is_waiting("health is Progressing, sync is Synced"),
        ),
        (
            application(json!({}), status("Healthy", "Synced", "old")),
            is_waiting("Argo CD has not compared it with its new source yet"),
        ),
        (
            application(json!({}), broken),
            is_waiting("health is Healthy, sync is Unknown: no such path"),
        ),
    ] {
        assert_eq!(super::readiness(&object, None), readiness, "{object}");
    }
}

#[test]
fn an_external_secret_is_ready_when_what_was_written_last_is_synced() {
    let external = |spec: Json, generation: u32, synced: &str, mark: &str| {
        json!({"apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "spec": spec,
            "metadata": {"generation": generation, "annotations": {"a": mark}},
            "status": {"syncedResourceVersion": synced,
                "conditions": conditions(&[("Ready", "True", "SecretSynced", "")])}})
    };
    let remote = |raw: &Json| crate::model::observed::Remote {
        id: "x".into(),
        spec: Json::Null,
        outputs: Default::default(),
        version: None,
        raw: raw.clone(),
    };
    let hourly = json!({"refreshInterval": "1h"});
    let stale = is_waiting("its operator has not synced what was written last yet");
    // Before, as the write's answer showed it, now.
    for (before, written, now, readiness) in [
        // Made just now.
        (None, ("1", 1, ""), ("1", 1, "1-a"), Readiness::Ready),
        // The spec changed.
        (Some(("1", 1, "1-a")), ("1", 2, "1-a"), ("1", 2, "1-a"), stale.clone()),
        (Some(("1", 1, "1-a")), ("1", 2, "1-a"), ("1", 2, "2-a"), Readiness::Ready),
        // Only an annotation did.
        (Some(("1", 1, "1-a")), ("2", 1, "1-a"), ("2", 1, "1-a"), stale.clone()),
        (Some(("1", 1, "1-a")), ("2", 1, "1-a"), ("2", 1, "1-b"), Readiness::Ready),
        // Nothing did.
        (Some(("1", 1, "1-a")), ("1", 1, "1-a"), ("1", 1, "1-a"), Readiness::Ready),
        // An operator that notes nothing, or something else.
        (Some(("1", 1, "")), ("2", 1, ""), ("2", 1, ""), Readiness::Ready),
    ] {
        let object = |(mark, generation, synced): (&str, u32, &str)| {
            remote(&external(hourly.clone(), generation, synced, mark))
        };
        let (before, written) = (before.map(object), object(written));
        let since = Since { before: before.as_ref(), written: &written };
        let found = super::readiness(&object(now).raw, Some(&since));
        assert_eq!(found, readiness, "{written:?} {now:?}");
    }
    let stale_one = |spec: Json| super::readiness(&external(spec, 2, "1-a", "1"), None);
    assert_eq!(stale_one(hourly), stale);
    assert_eq!(stale_one(json!({"refreshInterval": "0"})), Readiness::Ready);
    assert_eq!(stale_one(json!({"refreshInterval": "0s"})), Readiness::Ready);
    assert_eq!(stale_one(json!({"refreshInterval": "0", "refreshPolicy": "OnChange"})), stale);
    assert_eq!(stale_one(json!({"refreshPolicy": "CreatedOnce"})), Readiness::Ready);
}

#[test]
fn what_had_its_time_is_not_missing() {
    let job = |spec: Json| json!({"apiVersion": "batch/v1", "kind": "Job", "spec": spec});
    let pod = |policy: &str| {
        json!({"apiVersion": "v1", "kind": "Pod",
        "spec": {"restartPolicy": policy}})
    };
    let (well, badly) = (Some(End::Succeeded), Some(End::Failed));
    for (manifest, end, spent) in [
        (job(json!({"ttlSecondsAfterFinished": 60})), None, true),
        (job(json!({"ttlSecondsAfterFinished": 0})), well, true),
        (job(json!({"ttlSecondsAfterFinished": 0})), badly, false),
        (job(json!({})), well, false),
        (pod("Never"), well, true),
        (pod("Never"), badly, false),
        (pod("Never"), None, false),
        (pod("Always"), well, false),
        (json!({"apiVersion": "v1", "kind": "Pod", "spec": {}}), well, false),
        (json!({"apiVersion": "v1", "kind": "ConfigMap"}), well, false),
    ] {
        assert_eq!(is_spent(&manifest, end), spent, "{manifest} {end:?}");
    }
    let job = |kind: &str| {
        let status = json!({"conditions": conditions(&[(kind, "True", "", "")])});
        object("batch/v1", "Job", json!({}), status)
    };
    let pod = |phase: &str| object("v1", "Pod", json!({}), json!({"phase": phase}));
    assert_eq!(ended(&job("Complete")), well);
    assert_eq!(ended(&job("Failed")), badly);
    assert_eq!(ended(&job("FailureTarget")), None);
    assert_eq!(ended(&pod("Succeeded")), well);
    assert_eq!(ended(&pod("Failed")), badly);
    assert_eq!(ended(&pod("Running")), None);
}
