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

#[test]
fn what_else_objects_name_comes_before_them() {
    let object = |api: &str, kind: &str, namespace: Option<&str>, name: &str, more: Json| {
        let mut object = json!({"apiVersion": api, "kind": kind, "metadata": {"name": name}});
        if let Some(namespace) = namespace {
            object["metadata"]["namespace"] = namespace.into();
        }
        object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let group = Some(group_of(&object)).filter(|g| g.contains('.') && !g.ends_with(".k8s.io"));
        (Address::kubernetes(kind, group, namespace, name), object.clone())
    };
    let a = Some("a");
    let service = json!({"service": {"namespace": "a", "name": "hooks"}});
    let mut token = object("v1", "Secret", a, "token", json!({}));
    token.1["metadata"]["annotations"] = json!({"kubernetes.io/service-account.name": "robot"});
    let resources: BTreeMap<Address, Json> = [
        object("v1", "Service", a, "hooks", json!({})),
        object("v1", "Secret", a, "pull", json!({})),
        object("v1", "ServiceAccount", a, "robot", json!({"imagePullSecrets": [{"name": "pull"}]})),
        token,
        object("v1", "PersistentVolumeClaim", a, "old", json!({})),
        object(
            "v1",
            "PersistentVolumeClaim",
            a,
            "new",
            json!({"spec": {"dataSource": {"kind": "PersistentVolumeClaim", "name": "old"}}}),
        ),
        object("networking.k8s.io/v1", "IngressClass", None, "nginx", json!({})),
        object(
            "networking.k8s.io/v1",
            "Ingress",
            a,
            "i",
            json!({"spec": {"ingressClassName": "nginx"}}),
        ),
        object("cert-manager.io/v1", "ClusterIssuer", None, "acme", json!({})),
        object(
            "cert-manager.io/v1",
            "Certificate",
            a,
            "c",
            json!({"spec": {"issuerRef": {"kind": "ClusterIssuer", "name": "acme"}}}),
        ),
        object(
            "admissionregistration.k8s.io/v1",
            "ValidatingWebhookConfiguration",
            None,
            "w",
            json!({"webhooks": [{"clientConfig": service}]}),
        ),
        object(
            "apiregistration.k8s.io/v1",
            "APIService",
            None,
            "v1.example.dev",
            json!({"spec": service}),
        ),
        object("example.dev/v1", "Thing", a, "t", json!({})),
    ]
    .into();
    let edges = found(&resources);
    for (needs, needed) in [
        ("k8s.ServiceAccount/a/robot", "k8s.Secret/a/pull"),
        ("k8s.Secret/a/token", "k8s.ServiceAccount/a/robot"),
        ("k8s.PersistentVolumeClaim/a/new", "k8s.PersistentVolumeClaim/a/old"),
        ("k8s.Ingress/a/i", "k8s.IngressClass/nginx"),
        ("k8s.Certificate.cert-manager.io/a/c", "k8s.ClusterIssuer.cert-manager.io/acme"),
        ("k8s.ValidatingWebhookConfiguration/w", "k8s.Service/a/hooks"),
        ("k8s.APIService/v1.example.dev", "k8s.Service/a/hooks"),
        ("k8s.Thing.example.dev/a/t", "k8s.APIService/v1.example.dev"),
    ] {
        assert!(edges.contains(&(needs.into(), needed.into())), "{needs} → {needed}: {edges:#?}");
    }
    assert_eq!(edges.len(), 8, "{edges:#?}");
}
