//! What the controllers make of the user's stack.

use jiff::{Span, Timestamp};
use serde_json::{Value, json};

use crate::sandbox::kubernetes::value::{items, text};
use crate::sandbox::kubernetes::{Cluster, Outside, Preset, Request};

pub fn now() -> Timestamp {
    "2026-11-22T21:31:00Z".parse().expect("a time")
}

pub fn send(
    cluster: &mut Cluster,
    method: &str,
    path: &str,
    media: &str,
    body: &Value,
) -> (u16, Value) {
    send_at(cluster, method, path, media, body, now())
}

pub fn send_at(
    cluster: &mut Cluster,
    method: &str,
    path: &str,
    media: &str,
    body: &Value,
    at: Timestamp,
) -> (u16, Value) {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let query = query.split('&').filter_map(|q| q.split_once('='));
    let text = if body.is_null() { String::new() } else { body.to_string() };
    let response = cluster.handle(
        &Request {
            method,
            path,
            query: query.map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
            content_type: Some(media),
            accept: Some("application/json"),
            user_agent: Some("tester/1"),
            authorization: Some("Bearer sandbox-admin"),
            body: text.as_bytes(),
        },
        at,
    );
    (response.status, serde_json::from_slice(&response.body).unwrap_or_default())
}

pub fn apply(cluster: &mut Cluster, path: &str, body: &Value) -> Value {
    let path = format!("{path}?fieldManager=boxctl");
    let (status, answer) = send(cluster, "PATCH", &path, "application/apply-patch+yaml", body);
    assert!(status < 300, "{path}: {answer}");
    answer
}

pub fn get(cluster: &mut Cluster, path: &str) -> Value {
    let (status, answer) = send(cluster, "GET", path, "", &Value::Null);
    assert_eq!(status, 200, "{path}: {answer}");
    answer
}

fn status_of(cluster: &mut Cluster, path: &str) -> u16 {
    send(cluster, "GET", path, "", &Value::Null).0
}

pub fn preset() -> Cluster {
    let mut cluster = Cluster::new(now());
    let preset = Preset {
        secret_stores: vec!["parameterstore".to_owned()],
        nodes: vec!["golyat-1".to_owned(), "golyat-2".to_owned()],
    };
    cluster.preset(&preset, now());
    cluster.reconcile(&Outside::default(), now());
    cluster
}

const NS: &str = "/api/v1/namespaces/openhands";
const CLAIM: &str = "/api/v1/namespaces/openhands/persistentvolumeclaims/data";
const APP: &str = "/apis/apps/v1/namespaces/openhands/deployments/app";
const CONNECTOR: &str = "/apis/apps/v1/namespaces/openhands/deployments/cloudflared";
const EXTERNAL: &str =
    "/apis/external-secrets.io/v1beta1/namespaces/openhands/externalsecrets/external-secret";

pub fn deployment(name: &str, strategy: &Value, pod: &Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "namespace": "openhands"},
        "spec": {"replicas": 1, "strategy": strategy,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": pod}},
    })
}

fn cloudflared() -> Value {
    let container = json!({
        "name": "cloudflared", "image": "docker.io/cloudflare/cloudflared:latest",
        "args": ["tunnel", "run", "--token", "$(TUNNEL_TOKEN)"],
        "env": [{"name": "TUNNEL_TOKEN", "valueFrom": {"secretKeyRef":
            {"name": "tunnel-credentials", "key": "tunnel-token"}}}],
    });
    deployment(
        "cloudflared",
        &json!({"type": "RollingUpdate"}),
        &json!({"containers": [container]}),
    )
}

fn app(image: &str, strategy: &str) -> Value {
    let container = json!({
        "name": "app", "image": image,
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    });
    let hostname = json!({
        "matchExpressions":
            [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["golyat-2"]}],
    });
    let pod = json!({
        "containers": [container],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
            {"nodeSelectorTerms": [hostname]}}},
    });
    deployment("app", &json!({"type": strategy}), &pod)
}

fn external_secret() -> Value {
    json!({
        "apiVersion": "external-secrets.io/v1beta1", "kind": "ExternalSecret",
        "metadata": {"name": "external-secret", "namespace": "openhands"},
        "spec": {"refreshInterval": "1h",
            "secretStoreRef": {"name": "parameterstore", "kind": "ClusterSecretStore"},
            "target": {"name": "tunnel-credentials", "creationPolicy": "Owner"},
            "data": [{"secretKey": "tunnel-token", "remoteRef": {"key": "openhands-token"}}]},
    })
}

fn stack() -> Cluster {
    let mut cluster = preset();
    let namespace =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "openhands"}});
    apply(&mut cluster, NS, &namespace);
    cluster.reconcile(&Outside::default(), now());
    let claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "namespace": "openhands"},
        "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "longhorn",
            "resources": {"requests": {"storage": "5Gi"}}},
    });
    apply(&mut cluster, CLAIM, &claim);
    apply(&mut cluster, EXTERNAL, &external_secret());
    apply(&mut cluster, APP, &app("app:1", "RollingUpdate"));
    apply(&mut cluster, CONNECTOR, &cloudflared());
    cluster
}

pub fn parameters(value: &str) -> Outside {
    let entry = ("openhands-token".to_owned(), value.to_owned());
    Outside { parameters: [entry].into() }
}

pub fn condition(object: &Value, kind: &str) -> (String, String) {
    let found = items(object, "/status/conditions").iter().find(|c| text(c, "/type") == kind);
    found.map_or_else(Default::default, |c| {
        (text(c, "/status").to_owned(), text(c, "/reason").to_owned())
    })
}

fn pods(cluster: &mut Cluster) -> Vec<Value> {
    items(&get(cluster, "/api/v1/namespaces/openhands/pods"), "/items").to_vec()
}

#[test]
fn the_stack_gets_ready_when_its_parameter_is_there() {
    let mut cluster = stack();
    assert_eq!(cluster.wanted_parameters(now()), ["openhands-token"]);
    cluster.reconcile(&Outside::default(), now());
    let failed = ("False".to_owned(), "SecretSyncedError".to_owned());
    assert_eq!(condition(&get(&mut cluster, EXTERNAL), "Ready"), failed);
    assert_eq!(condition(&get(&mut cluster, CONNECTOR), "Available").0, "False");
    assert_eq!(condition(&get(&mut cluster, APP), "Available").0, "True");
    assert!(cluster.connectors().is_empty());

    cluster.reconcile(&parameters("first"), now());
    let synced = ("True".to_owned(), "SecretSynced".to_owned());
    assert_eq!(condition(&get(&mut cluster, EXTERNAL), "Ready"), synced);
    let ready = get(&mut cluster, CONNECTOR);
    assert_eq!(condition(&ready, "Available").0, "True");
    assert_eq!(condition(&ready, "Progressing").1, "NewReplicaSetAvailable");
    assert_eq!(ready.pointer("/status/readyReplicas"), Some(&json!(1)));
    assert_eq!(text(&get(&mut cluster, CLAIM), "/status/phase"), "Bound");
    let tokens: Vec<_> = cluster.connectors().into_iter().map(|c| c.token).collect();
    assert_eq!(tokens, ["first"]);
    assert!(cluster.wanted_parameters(now()).is_empty());

    let before = cluster.dump();
    cluster.reconcile(&parameters("first"), now());
    assert_eq!(cluster.dump(), before, "a settled cluster stays as it is");
}

#[test]
fn a_new_value_reaches_pods_by_a_refresh_and_a_restart() {
    let mut cluster = stack();
    cluster.reconcile(&parameters("first"), now());
    let mut touched = external_secret();
    touched["metadata"]["annotations"] = json!({"force-sync": "2"});
    apply(&mut cluster, EXTERNAL, &touched);
    assert_eq!(cluster.wanted_parameters(now()), ["openhands-token"]);
    cluster.reconcile(&parameters("second"), now());
    let token = |cluster: &Cluster| cluster.connectors().first().map(|c| c.token.clone());
    assert_eq!(token(&cluster).as_deref(), Some("first"), "a running pod keeps its environment");

    let restart = json!({"spec": {"template": {"metadata": {"annotations": {"restart": "2"}}}}});
    let path = format!("{CONNECTOR}?fieldManager=boxctl-restart");
    let (status, _) =
        send(&mut cluster, "PATCH", &path, "application/strategic-merge-patch+json", &restart);
    assert_eq!(status, 200);
    cluster.reconcile(&Outside::default(), now());
    assert_eq!(token(&cluster).as_deref(), Some("second"));
    assert_eq!(cluster.connectors().len(), 1);

    let later = now() + Span::new().hours(1);
    assert_eq!(cluster.wanted_parameters(later), ["openhands-token"]);
}

#[test]
fn a_change_replaces_pods_and_keeps_history() {
    for strategy in ["RollingUpdate", "Recreate"] {
        let mut cluster = stack();
        cluster.reconcile(&parameters("t"), now());
        let mut changed = app("app:2", strategy);
        changed["spec"]["replicas"] = json!(2);
        let claimed = json!({"maxUnavailable": "25%", "maxSurge": "25%"});
        let mut claim = app("app:1", "RollingUpdate");
        claim["spec"]["strategy"]["rollingUpdate"] = claimed;
        apply(&mut cluster, APP, &claim);
        apply(&mut cluster, APP, &changed);
        cluster.reconcile(&Outside::default(), now());
        let images: Vec<_> = pods(&mut cluster)
            .iter()
            .map(|p| text(p, "/spec/containers/0/image").to_owned())
            .filter(|image| image.starts_with("app"))
            .collect();
        assert_eq!(images, ["app:2", "app:2"], "{strategy}");
        let deployment = get(&mut cluster, APP);
        assert_eq!(deployment.pointer("/status/readyReplicas"), Some(&json!(2)));
        let revision = "/metadata/annotations/deployment.kubernetes.io~1revision";
        assert_eq!(text(&deployment, revision), "2");
        let managers: Vec<_> = items(&deployment, "/metadata/managedFields")
            .iter()
            .map(|m| (text(m, "/manager").to_owned(), text(m, "/subresource").to_owned()))
            .collect();
        let controller = ("kube-controller-manager".to_owned(), "status".to_owned());
        assert!(managers.contains(&controller), "{managers:?}");
    }
}

#[test]
fn what_is_deleted_takes_its_own_along() {
    let mut cluster = stack();
    cluster.reconcile(&parameters("t"), now());
    send(&mut cluster, "DELETE", EXTERNAL, "", &Value::Null);
    let foreground = json!({"propagationPolicy": "Foreground"});
    let (_, answer) = send(&mut cluster, "DELETE", CONNECTOR, "application/json", &foreground);
    assert_eq!(items(&answer, "/metadata/finalizers"), ["foregroundDeletion"]);
    send(&mut cluster, "DELETE", CLAIM, "", &Value::Null);
    cluster.reconcile(&Outside::default(), now());
    assert_eq!(status_of(&mut cluster, CONNECTOR), 404);
    let secret = "/api/v1/namespaces/openhands/secrets/tunnel-credentials";
    assert_eq!(status_of(&mut cluster, secret), 404);
    assert_eq!(pods(&mut cluster).len(), 1);
    assert_eq!(status_of(&mut cluster, CLAIM), 200, "a claim in use is protected");
    send(&mut cluster, "DELETE", APP, "", &Value::Null);
    cluster.reconcile(&Outside::default(), now());
    assert_eq!(status_of(&mut cluster, CLAIM), 404);
    assert!(items(&get(&mut cluster, "/api/v1/persistentvolumes"), "/items").is_empty());
}

#[test]
fn a_namespace_ends_with_all_that_is_in_it() {
    let mut fresh = preset();
    let mut cluster = stack();
    cluster.reconcile(&parameters("t"), now());
    let (_, answer) = send(&mut cluster, "DELETE", NS, "", &Value::Null);
    assert_eq!(text(&answer, "/status/phase"), "Terminating");
    cluster.reconcile(&Outside::default(), now());
    assert_eq!(status_of(&mut cluster, NS), 404);
    let names = |cluster: &mut Cluster| -> Vec<String> {
        let dump = cluster.dump();
        let objects = dump.as_array().cloned().unwrap_or_default();
        objects
            .iter()
            .map(|o| {
                let at = |pointer| text(o, pointer).to_owned();
                [at("/kind"), at("/metadata/namespace"), at("/metadata/name")].join("/")
            })
            .collect()
    };
    assert_eq!(names(&mut cluster), names(&mut fresh));
}

#[test]
fn a_world_survives_being_written_down() {
    let mut cluster = stack();
    cluster.reconcile(&parameters("t"), now());
    let text = serde_json::to_string(&cluster).expect("serialises");
    let mut again: Cluster = serde_json::from_str(&text).expect("deserialises");
    assert_eq!(again.dump(), cluster.dump());
    assert_eq!(again.connectors(), cluster.connectors());
    again.reconcile(&Outside::default(), now());
    assert_eq!(again.dump(), cluster.dump());
}

#[test]
fn sets_and_jobs_run() {
    let mut cluster = preset();
    let pod = json!({"metadata": {"labels": {"app": "x"}},
        "spec": {"containers": [{"name": "x", "image": "x:1"}]}});
    let selector = json!({"matchLabels": {"app": "x"}});
    let stateful = json!({"apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": {"name": "s", "namespace": "default"},
        "spec": {"replicas": 2, "serviceName": "s", "selector": selector, "template": pod,
            "volumeClaimTemplates": [{"metadata": {"name": "d"}, "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}}}}]}});
    let daemon = json!({"apiVersion": "apps/v1", "kind": "DaemonSet",
        "metadata": {"name": "d", "namespace": "default"},
        "spec": {"selector": selector, "template": pod}});
    let job = json!({"apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": "j", "namespace": "default"},
        "spec": {"template": {"spec": {"restartPolicy": "Never",
            "containers": [{"name": "x", "image": "x:1"}]}}}});
    let apps = "/apis/apps/v1/namespaces/default";
    apply(&mut cluster, &format!("{apps}/statefulsets/s"), &stateful);
    apply(&mut cluster, &format!("{apps}/daemonsets/d"), &daemon);
    apply(&mut cluster, "/apis/batch/v1/namespaces/default/jobs/j", &job);
    cluster.reconcile(&Outside::default(), now());
    let set = get(&mut cluster, &format!("{apps}/statefulsets/s"));
    assert_eq!(set.pointer("/status/readyReplicas"), Some(&json!(2)));
    assert_eq!(
        status_of(&mut cluster, "/api/v1/namespaces/default/persistentvolumeclaims/d-s-1"),
        200
    );
    let set = get(&mut cluster, &format!("{apps}/daemonsets/d"));
    assert_eq!(set.pointer("/status/numberReady"), Some(&json!(2)));
    let job = get(&mut cluster, "/apis/batch/v1/namespaces/default/jobs/j");
    assert_eq!(condition(&job, "Complete").0, "True");
}

#[test]
fn an_unchanged_apply_after_the_controllers_is_no_write() {
    let mut cluster = stack();
    cluster.reconcile(&parameters("t"), now());
    let before = cluster.dump();
    let claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "namespace": "openhands"},
        "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "longhorn",
            "resources": {"requests": {"storage": "5120Mi"}}},
    });
    apply(&mut cluster, CLAIM, &claim);
    apply(&mut cluster, EXTERNAL, &external_secret());
    apply(&mut cluster, APP, &app("app:1", "RollingUpdate"));
    apply(&mut cluster, CONNECTOR, &cloudflared());
    assert_eq!(cluster.dump(), before);
}

#[test]
fn a_claim_grows_where_its_class_can() {
    let mut cluster = stack();
    cluster.reconcile(&parameters("t"), now());
    let patch = json!({"spec": {"resources": {"requests": {"storage": "6Gi"}}}});
    let (status, answer) =
        send(&mut cluster, "PATCH", CLAIM, "application/merge-patch+json", &patch);
    assert_eq!(status, 200, "{answer}");
    cluster.reconcile(&Outside::default(), now());
    assert_eq!(text(&get(&mut cluster, CLAIM), "/status/capacity/storage"), "6Gi");
    let patch = json!({"spec": {"resources": {"requests": {"storage": "1Gi"}}}});
    let (status, _) = send(&mut cluster, "PATCH", CLAIM, "application/merge-patch+json", &patch);
    assert_eq!(status, 422);
}

#[test]
fn a_definition_takes_its_objects_along() {
    let mut cluster = stack();
    cluster.reconcile(&parameters("t"), now());
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/\
                externalsecrets.external-secrets.io";
    let (status, _) = send(&mut cluster, "DELETE", path, "", &Value::Null);
    assert_eq!(status, 200);
    cluster.reconcile(&Outside::default(), now());
    assert_eq!(status_of(&mut cluster, path), 404);
    assert_eq!(status_of(&mut cluster, EXTERNAL), 404);
    let secret = "/api/v1/namespaces/openhands/secrets/tunnel-credentials";
    assert_eq!(status_of(&mut cluster, secret), 404);
}

#[test]
fn orphans_stay_when_their_owner_goes() {
    let mut cluster = stack();
    cluster.reconcile(&parameters("t"), now());
    let orphan = json!({"propagationPolicy": "Orphan"});
    send(&mut cluster, "DELETE", APP, "application/json", &orphan);
    cluster.reconcile(&Outside::default(), now());
    assert_eq!(status_of(&mut cluster, APP), 404);
    let sets = get(&mut cluster, "/apis/apps/v1/namespaces/openhands/replicasets");
    assert_eq!(items(&sets, "/items").len(), 2);
    assert_eq!(pods(&mut cluster).len(), 2);
}
