use serde_json::json;

use super::super::recordings;
use super::*;

#[test]
fn a_recorded_namespace_says_what_it_still_has() {
    let lines = recordings::lines("15-namespace-termination.jsonl");
    let bodies: Vec<Json> = lines.iter().map(recordings::Line::body).collect();
    let last = bodies.iter().rfind(|body| body["kind"] == "Namespace").unwrap();
    assert_eq!(
        held(last),
        "it is still there, Some resources are remaining: persistentvolumeclaims. has 1 resource \
         instances; Some content in the namespace has finalizers remaining: \
         kubernetes.io/pvc-protection in 1 resource instances"
    );
    assert_eq!(held(&bodies[0]), "it is still there");
}

#[test]
fn what_holds_an_object_is_named() {
    let object = |kind: &str, rest: Json| {
        let mut object = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "x"}});
        object.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        object
    };
    for (object, held) in [
        (
            object("ConfigMap", json!({"metadata": {"finalizers": ["example.dev/a", "b/c"]}})),
            "it is still there, held by example.dev/a, b/c",
        ),
        (
            object(
                "Pod",
                json!({"metadata": {"deletionGracePeriodSeconds": 30}, "spec": {"nodeName": "n1"}}),
            ),
            "it is still there, its containers have 30 s to end on n1",
        ),
        (
            object(
                "PersistentVolume",
                json!({"spec": {"claimRef": {"namespace": "a", "name": "b"}}}),
            ),
            "it is still there, the claim a/b is bound to it",
        ),
    ] {
        assert_eq!(super::held(&object), held);
    }
}

#[test]
fn the_pods_that_use_a_claim_are_looked_for() {
    let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "namespace": "a", "finalizers": ["kubernetes.io/pvc-protection"]}});
    let Explain::Look(call) = not_gone(&claim, &[]) else { panic!() };
    assert_eq!(call.path, "/api/v1/namespaces/a/pods");
    assert!(!call.mutating);
    let pod = |name: &str, claim: &str, phase: &str| {
        json!({"metadata": {"name": name}, "status": {"phase": phase},
            "spec": {"volumes": [{"persistentVolumeClaim": {"claimName": claim}}]}})
    };
    let list = |pods: &[Json]| {
        Some(Answer { status: 200, body: json!({"items": pods}), warnings: Vec::new() })
    };
    let (one, done) = (pod("web-0", "data", "Running"), pod("job-x", "data", "Succeeded"));
    let (two, other) = (pod("web-1", "data", "Pending"), pod("db-0", "other", "Running"));
    for (answer, told) in [
        (list(&[one.clone(), done.clone(), other.clone()]), vec!["the pod web-0 uses it"]),
        (list(&[one, two]), vec!["the pods web-0, web-1 use it"]),
        (list(&[done, other]), vec![]),
        (None, vec![]),
    ] {
        let told = told.into_iter().map(str::to_owned).collect();
        assert_eq!(not_gone(&claim, &[answer]), Explain::Told(told));
    }
}
