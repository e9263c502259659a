use serde_json::json;

use super::super::names::{defines, is_going, served};
use super::super::recordings;
use super::*;
use crate::model::address::Address;

fn remote_of(object: &Json) -> Remote {
    Object.read(object, &recordings::scope()).pop().unwrap()
}

#[test]
fn an_object_is_known_by_kind_place_and_name_in_every_version() {
    let lines = recordings::lines("04-openhands-create.jsonl");
    let deployment = remote_of(&lines[31].body());
    assert_eq!(deployment.id, "deployments.apps/openhands/openhands");
    assert!(deployment.spec.pointer("/metadata/managedFields").is_none());
    assert!(deployment.spec.get("status").is_none());
    assert!(deployment.outputs.contains_key("uid"));
    let fetch = Object.fetch(&deployment.id, &recordings::scope()).unwrap();
    assert_eq!(fetch.path, "/apis/apps/v1/namespaces/openhands/deployments/openhands");
    assert!(Object.fits(&lines[31].sent(), &deployment));

    let secret = remote_of(&lines[21].body());
    assert_eq!(secret.id, "externalsecrets.external-secrets.io/openhands/external-secret");
    let namespace = remote_of(&lines[1].body());
    assert_eq!(namespace.id, "namespaces/openhands");
    assert_eq!(
        path_of_id(&namespace.id, &recordings::scope()).unwrap(),
        "/api/v1/namespaces/openhands"
    );
    assert_eq!(path_of_id("things.example.org/a/b", &recordings::scope()), None);
}

#[test]
fn objects_are_found_in_lists_and_secrets_by_name() {
    let scope = recordings::scope();
    let manifest = |api: &str, kind: &str| json!({"apiVersion": api, "kind": kind, "metadata": {"name": "n", "namespace": "a"}});
    let paths = |locate: Option<Locate>| match locate {
        Some(Locate::In(lists)) => lists.into_iter().map(|list| list.call.path).collect(),
        Some(Locate::By(call)) => vec![call.path],
        Some(Locate::Nowhere) => vec!["nowhere".into()],
        Some(Locate::Away(_)) => vec!["away".into()],
        None => Vec::<String>::new(),
    };
    for (api, kind, expected) in [
        ("apps/v1", "Deployment", "/apis/apps/v1/namespaces/a/deployments"),
        ("v1", "Namespace", "/api/v1/namespaces"),
        ("v1", "Secret", "/api/v1/namespaces/a/secrets/n"),
        ("example.org/v1", "Thing", "nowhere"),
    ] {
        let found = paths(Object.locate(Some(&manifest(api, kind)), None, &scope));
        assert_eq!(found, [expected], "{kind}");
    }
    let mut stale = scope.clone();
    let mut version = stale.api_resources.as_ref().unwrap()[0].clone();
    (version.group, version.version) = ("example.org".into(), "v1".into());
    (version.kind, version.plural) = (String::new(), String::new());
    stale.api_resources.as_mut().unwrap().push(version);
    let thing = manifest("example.org/v1", "Thing");
    assert_eq!(paths(Object.locate(Some(&thing), None, &stale)), ["away"]);
    assert_eq!(paths(Object.locate(None, Some("things.example.org/a/n"), &stale)), ["away"]);
    assert_eq!(paths(Object.locate(None, Some("others.example.com/a/n"), &stale)), ["nowhere"]);
    let by_id = Object.locate(None, Some("services/a/n"), &scope);
    assert_eq!(paths(by_id), ["/api/v1/namespaces/a/services"]);
    assert!(Object.locate(Some(&manifest("v1", "Service")), None, &Scope::default()).is_none());
    assert!(served(&manifest("apps/v1", "Deployment"), &scope));
    assert!(!served(&manifest("apps/v2", "Deployment"), &scope));
}

#[test]
fn a_definition_says_what_it_defines() {
    let lines = recordings::lines("03-crd-and-ssa-merge.jsonl");
    assert_eq!(defines(&lines[0].sent()), Some(("example.dev", "Widget")));
    assert_eq!(defines(&lines[4].sent()), None);
}

#[test]
fn no_value_of_a_secret_is_kept() {
    let manifest = json!({"apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "s", "namespace": "a", "annotations": {
            "kubectl.kubernetes.io/last-applied-configuration": "{\"data\":\"aHVudGVyMg==\"}"}},
        "data": {"password": "aHVudGVyMg==", "other": "aHVudGVyMg=="}});
    let mut object = manifest.clone();
    object["metadata"]["uid"] = json!("u");
    object["metadata"]["managedFields"] = json!([{
        "manager": "boxctl", "operation": "Apply", "time": "2026-01-01T00:00:00Z",
        "fieldsV1": {"f:data": {"f:password": {}, "f:other": {}}}}]);
    let remote = remote_of(&object);
    let answered = Object.answered(&manifest, &remote).unwrap();
    assert_eq!(answered, json!({"data.password": "(secret)", "data.other": "(secret)"}));
    assert_eq!(remote.version.as_deref(), Some("2026-01-01T00:00:00Z"));
    for kept in [
        serde_json::to_string(&remote).unwrap(),
        format!("{remote:?}"),
        Object.recordable(&manifest).to_string(),
        answered.to_string(),
    ] {
        assert!(!kept.contains("aHVudGVyMg"), "{kept}");
        assert!(kept.contains("password"), "{kept}");
    }
    // Equal values can be told from others within a run, and only there.
    assert_eq!(remote.raw["data"]["password"], remote.raw["data"]["other"]);
    assert_eq!(secret::mark(&remote.raw), remote.raw);
}

#[test]
fn trackers_are_known_by_their_marks() {
    let object = |metadata: Json| json!({"metadata": metadata});
    let argo = json!([{"manager": "argocd-controller", "operation": "Apply"}]);
    for (metadata, tool) in [
        (
            json!({"annotations": {"argocd.argoproj.io/tracking-id": "app:apps/Deployment:a/b"}}),
            Some("Argo CD (application app)"),
        ),
        (
            json!({"labels": {"app.kubernetes.io/instance": "app"}, "managedFields": argo}),
            Some("Argo CD (application app)"),
        ),
        (json!({"labels": {"app.kubernetes.io/instance": "app"}}), None),
        (
            json!({"labels": {"kustomize.toolkit.fluxcd.io/name": "k"}}),
            Some("Flux (Kustomization k)"),
        ),
        (
            json!({"labels": {"app.kubernetes.io/managed-by": "Helm"},
            "annotations": {"meta.helm.sh/release-name": "r"}}),
            Some("Helm (release r)"),
        ),
        (json!({"labels": {"app.kubernetes.io/managed-by": "Helm"}}), None),
        (json!({"labels": {"kapp.k14s.io/app": "1"}}), Some("kapp (app 1)")),
    ] {
        assert_eq!(tracker(&object(metadata.clone())).as_deref(), tool, "{metadata}");
    }
}

#[test]
fn what_holds_data_or_others_is_protected() {
    for (api, kind, protected) in [
        ("v1", "PersistentVolumeClaim", true),
        ("v1", "PersistentVolume", true),
        ("v1", "Namespace", true),
        ("apiextensions.k8s.io/v1", "CustomResourceDefinition", true),
        ("apps/v1", "Deployment", false),
        ("example.org/v1", "Namespace", false),
    ] {
        let manifest = json!({"apiVersion": api, "kind": kind});
        assert_eq!(Object.protected(&manifest), protected, "{kind}");
    }
}

#[test]
fn manifests_without_a_name_are_refused() {
    let problems = Object
        .check(&json!({"kind": "Pod", "metadata": {"generateName": "a-"}}), &Scope::default());
    let paths: Vec<&str> = problems.iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(paths, ["apiVersion", "metadata.generateName"]);
    let address = Address::kubernetes("Pod", None, Some("a"), "b");
    assert_eq!(address.kind(), Object.name());
}

#[test]
fn a_going_object_is_recognised() {
    assert!(is_going(&json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}})));
    assert!(!is_going(&json!({"metadata": {"deletionTimestamp": null}})));
}
