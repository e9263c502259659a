use serde_json::json;

use super::super::recordings;
use super::*;
use crate::model::JsonMap;

/// The manifests of the user's stack, as they were applied in the recordings.
fn manifests(files: &[&str]) -> BTreeMap<Address, Json> {
    let mut found = BTreeMap::new();
    for file in files {
        for line in recordings::lines(file) {
            let sent = line.sent();
            if sent.get("kind").is_none() || line.path().ends_with("/namespaces") {
                continue;
            }
            let group = Some(group_of(&sent)).filter(|group| group.contains('.'));
            let group = group.filter(|group| !group.ends_with(".k8s.io"));
            let address =
                Address::kubernetes(kind_of(&sent).1, group, namespace(&sent), name(&sent));
            found.insert(address, sent);
        }
    }
    found.insert(
        Address::new("ssm_parameter", "openhands"),
        json!({"name": "openhands-tunnel-token", "type": "SecureString"}),
    );
    found
}

fn pairs(resources: &BTreeMap<Address, Json>) -> Vec<(&Address, &Json)> {
    resources.iter().collect()
}

fn found(resources: &BTreeMap<Address, Json>) -> Vec<(String, String)> {
    let found = edges(&pairs(resources));
    found.into_iter().map(|(a, b)| (a.to_string(), b.to_string())).collect()
}

const ES: &str = "k8s.ExternalSecret.external-secrets.io/openhands/external-secret";

#[test]
fn the_stack_is_put_in_order_by_what_it_names() {
    let edges = found(&manifests(&["04-openhands-create.jsonl"]));
    for (needs, needed) in [
        (ES, "ssm_parameter.openhands"),
        (ES, "k8s.Namespace/openhands"),
        ("k8s.Deployment/openhands/openhands", "k8s.Namespace/openhands"),
        (
            "k8s.Deployment/openhands/openhands",
            "k8s.PersistentVolumeClaim/openhands/openhands-state-pvc",
        ),
        (
            "k8s.Deployment/openhands/openhands",
            "k8s.PersistentVolumeClaim/openhands/openhands-data",
        ),
        ("k8s.Deployment/openhands/cloudflared", ES),
    ] {
        assert!(edges.contains(&(needs.into(), needed.into())), "{needs} → {needed}: {edges:#?}");
    }
    assert!(edges.iter().all(|(needs, _)| needs != "k8s.Namespace/openhands"));
}

#[test]
fn jobs_need_their_accounts_and_bindings_their_roles() {
    let edges = found(&manifests(&["05-migrate-and-roll-back.jsonl"]));
    for (needs, needed) in [
        ("k8s.CronJob/openhands/docker-cleanup", "k8s.ServiceAccount/openhands/docker-cleanup-sa"),
        ("k8s.RoleBinding/openhands/pod-exec-rolebinding", "k8s.Role/openhands/pod-exec-role"),
        (
            "k8s.RoleBinding/openhands/pod-exec-rolebinding",
            "k8s.ServiceAccount/openhands/docker-cleanup-sa",
        ),
    ] {
        assert!(edges.contains(&(needs.into(), needed.into())), "{needs} → {needed}: {edges:#?}");
    }
}

#[test]
fn a_parameter_is_read_by_its_external_secret_and_the_connector() {
    let readers = parameter_readers(&pairs(&manifests(&["04-openhands-create.jsonl"])));
    let list: Vec<String> = readers
        .get(&Address::new("ssm_parameter", "openhands"))
        .unwrap()
        .iter()
        .map(Address::to_string)
        .collect();
    assert_eq!(list, [ES, "k8s.Deployment/openhands/cloudflared"]);
    assert_eq!(readers.len(), 1);
}

#[test]
fn every_way_of_naming_makes_an_edge() {
    let pod = json!({
        "serviceAccountName": "sa", "priorityClassName": "high",
        "imagePullSecrets": [{"name": "pull"}],
        "volumes": [
            {"projected": {"sources": [{"configMap": {"name": "cm"}}, {"secret": {"name": "made"}}]}},
            {"secret": {"secretName": "cert"}},
        ],
        "initContainers": [{"envFrom": [{"configMapRef": {"name": "env"}}]}],
        "containers": [{"env": [{"valueFrom": {"secretKeyRef": {"name": "pull", "key": "k"}}}]}],
    });
    let object = |api: &str, kind: &str, ns: Option<&str>, name: &str, spec: Json| {
        let mut metadata = JsonMap::new();
        metadata.insert("name".into(), name.into());
        if let Some(ns) = ns {
            metadata.insert("namespace".into(), ns.into());
        }
        json!({"apiVersion": api, "kind": kind, "metadata": metadata, "spec": spec})
    };
    let all = [
        object("example.org/v1", "Thing", Some("a"), "w", json!({"template": {"spec": pod}})),
        object("v1", "ServiceAccount", Some("a"), "sa", json!({})),
        object("scheduling.k8s.io/v1", "PriorityClass", None, "high", json!({})),
        object("v1", "Secret", Some("a"), "pull", json!({})),
        object("v1", "ConfigMap", Some("a"), "cm", json!({})),
        object("v1", "ConfigMap", Some("a"), "env", json!({})),
        object("v1", "ConfigMap", Some("b"), "cm", json!({})),
        object(
            "external-secrets.io/v1",
            "ExternalSecret",
            Some("a"),
            "es",
            json!({"target": {"name": "made"}, "secretStoreRef": {"name": "s", "kind": "ClusterSecretStore"}}),
        ),
        object("external-secrets.io/v1", "ClusterSecretStore", None, "s", json!({})),
        object("cert-manager.io/v1", "Certificate", Some("a"), "c", json!({"secretName": "cert"})),
        object(
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            None,
            "things.example.org",
            json!({"group": "example.org", "names": {"kind": "Thing"}}),
        ),
        object(
            "networking.k8s.io/v1",
            "Ingress",
            Some("a"),
            "i",
            json!({
            "rules": [{"http": {"paths": [{"backend": {"service": {"name": "svc"}}}]}}],
            "tls": [{"secretName": "cert"}]}),
        ),
        object("v1", "Service", Some("a"), "svc", json!({})),
        object(
            "argoproj.io/v1alpha1",
            "Application",
            Some("argocd"),
            "app",
            json!({"project": "p"}),
        ),
        object("argoproj.io/v1alpha1", "AppProject", Some("argocd"), "p", json!({})),
    ];
    let resources: BTreeMap<Address, Json> = all
        .into_iter()
        .map(|m| (Address::kubernetes(kind_of(&m).1, None, namespace(&m), name(&m)), m))
        .collect();
    let edge = |a: &str, b: &str| (format!("k8s.{a}"), format!("k8s.{b}"));
    let mut expected = vec![
        edge("Thing/a/w", "ServiceAccount/a/sa"),
        edge("Thing/a/w", "PriorityClass/high"),
        edge("Thing/a/w", "Secret/a/pull"),
        edge("Thing/a/w", "ConfigMap/a/cm"),
        edge("Thing/a/w", "ConfigMap/a/env"),
        edge("Thing/a/w", "ExternalSecret/a/es"),
        edge("Thing/a/w", "Certificate/a/c"),
        edge("Thing/a/w", "CustomResourceDefinition/things.example.org"),
        edge("ExternalSecret/a/es", "ClusterSecretStore/s"),
        edge("Ingress/a/i", "Service/a/svc"),
        edge("Ingress/a/i", "Certificate/a/c"),
        edge("Application/argocd/app", "AppProject/argocd/p"),
    ];
    expected.sort();
    let mut found = found(&resources);
    found.sort();
    assert_eq!(found, expected);
}
