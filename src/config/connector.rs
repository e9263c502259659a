//! The cloudflared Deployment of a service and the ExternalSecret that brings it the token.

use serde::Deserialize;
use serde_json::json;

use super::settings::AppliedBy;
use super::source::{Diagnostics, Mark};
use super::yaml::Node;
use crate::model::address::Address;
use crate::model::project::Connector;
use crate::model::{Json, JsonMap};

const EXTERNAL_SECRETS: &str = "external-secrets.io";
const SECRET_KEY: &str = "tunnel-token";

/// What runs where the project names no image: never `latest`, so that a pod that starts anew runs
/// what ran before.
const IMAGE: &str = "docker.io/cloudflare/cloudflared:2026.8.2";
const METRICS: &str = "0.0.0.0:2000";
/// The user of cloudflared's image (its Dockerfile: `USER 65532:65532`).
const USER: u32 = 65532;
/// The most characters of a label's value, which the Deployment's name becomes.
const LABEL: usize = 63;

/// What generated connectors look like.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConnectorText {
    /// The image of cloudflared, with its version; one that boxctl pins where nothing is said.
    image: Option<String>,
    /// Arguments between `tunnel` and `run`.
    args: Option<Vec<String>>,
    /// How many pods run it; 1 where nothing is said.
    #[schemars(range(min = 1))]
    replicas: Option<u32>,
    /// Requests and limits of the container, as Kubernetes writes them.
    resources: Option<JsonMap>,
    /// Which nodes the pods may run on, as Kubernetes writes it.
    affinity: Option<JsonMap>,
    /// Where it serves its metrics and `/ready`; `0.0.0.0:2000` where nothing is said.
    metrics: Option<String>,
    /// Where External Secrets finds the tunnel's token.
    secret_store: SecretStoreText,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct SecretStoreText {
    /// `ClusterSecretStore` or `SecretStore`.
    kind: Option<StoreKind>,
    /// Its name.
    name: String,
    /// The version of External Secrets' API; operators before 0.16 serve v1beta1 only.
    api_version: Option<StoreVersion>,
}

#[derive(Clone, Copy, Debug, Deserialize, schemars::JsonSchema)]
enum StoreKind {
    ClusterSecretStore,
    SecretStore,
}

#[derive(Clone, Copy, Debug, Deserialize, schemars::JsonSchema)]
enum StoreVersion {
    #[serde(rename = "external-secrets.io/v1")]
    V1,
    #[serde(rename = "external-secrets.io/v1beta1")]
    V1beta1,
}

/// What the project says of connectors, checked.
pub(super) fn settings(
    text: ConnectorText,
    at: &dyn Fn(&str) -> Mark,
    diagnostics: &mut Diagnostics,
) -> Connector {
    let store = text.secret_store;
    let kind = match store.kind {
        None | Some(StoreKind::ClusterSecretStore) => "ClusterSecretStore",
        Some(StoreKind::SecretStore) => "SecretStore",
    };
    let version = match store.api_version {
        None | Some(StoreVersion::V1) => "v1",
        Some(StoreVersion::V1beta1) => "v1beta1",
    };
    let args = text.args.unwrap_or_default();
    for (i, argument) in args.iter().enumerate() {
        let name = argument.split('=').next().unwrap_or_default();
        let hint = match name {
            "--token" | "--token-file" => "the token comes from the Secret, by TUNNEL_TOKEN",
            "--metrics" => "say it as `metrics`: probes have to know the port",
            "tunnel" | "run" => "`args` stand between `tunnel` and `run`",
            _ => continue,
        };
        let message = format!("`{name}` is no argument to give here");
        diagnostics.error_hint(at(&format!("connector.args[{i}]")), message, Some(hint));
    }
    let metrics = text.metrics.unwrap_or_else(|| METRICS.to_owned());
    let metrics_port = port(&metrics).unwrap_or_else(|| {
        diagnostics.error_hint(
            at("connector.metrics"),
            format!("`{metrics}` is no address that probes of the kubelet reach"),
            Some("write host and port, where the host is not the loopback: 0.0.0.0:2000"),
        );
        0
    });
    Connector {
        image: text.image.unwrap_or_else(|| IMAGE.to_owned()),
        args,
        replicas: text.replicas.unwrap_or(1),
        resources: text.resources.map_or_else(resources, Json::Object),
        affinity: text.affinity.map(Json::Object),
        metrics,
        metrics_port,
        secret_store_kind: kind.to_owned(),
        secret_store_name: store.name,
        secret_store_version: version.to_owned(),
    }
}

/// The port of an address that can be reached from outside the pod.
fn port(address: &str) -> Option<u16> {
    let (host, port) = address.rsplit_once(':')?;
    let local = host == "localhost" || host.starts_with("127.") || host == "[::1]";
    port.parse().ok().filter(|port| *port > 0 && !local)
}

fn resources() -> Json {
    json!({
        "requests": {"cpu": "100m", "memory": "128Mi"},
        "limits": {"cpu": "200m", "memory": "256Mi"},
    })
}

/// What is wrong with a connector before it is made.
pub(super) fn check(
    service: &str,
    settings: &Connector,
    mark: Mark,
    diagnostics: &mut Diagnostics,
) {
    let name = deployment_name(service);
    if name.len() > LABEL {
        let message = format!("`{name}` is too long for a label, which has {LABEL} characters");
        diagnostics.error_hint(mark, message, Some("give the service a shorter name"));
    }
    if is_moving(&settings.image) {
        let report = crate::model::error::Report::warning(
            "image-not-pinned",
            format!("the connector's image `{}` names no version", settings.image),
        )
        .hint(format!("write one into boxctl.yaml: `connector: {{image: \"{IMAGE}\"}}`"));
        diagnostics.push(Some(mark), report);
    }
}

/// Whether an image may be another one tomorrow: it has no tag and no digest, or `latest`.
fn is_moving(image: &str) -> bool {
    let last = image.rsplit('/').next().unwrap_or_default();
    !last.contains('@') && last.split_once(':').is_none_or(|(_, tag)| tag == "latest")
}

fn deployment_name(service: &str) -> String {
    format!("{}-cloudflared", service.replace('_', "-"))
}

/// The objects; the workload is the last.
pub(super) fn objects(
    service: &str,
    namespace: &str,
    settings: &Connector,
    parameter: Node,
    mark: Mark,
) -> [(Address, Node); 2] {
    let name = deployment_name(service);
    let secret = format!("{}-tunnel-token", service.replace('_', "-"));
    let external = json!({
        "apiVersion": format!("{EXTERNAL_SECRETS}/{}", settings.secret_store_version),
        "kind": "ExternalSecret",
        "metadata": {"name": secret, "namespace": namespace},
        "spec": {
            "refreshInterval": "1h",
            "secretStoreRef": {
                "name": settings.secret_store_name,
                "kind": settings.secret_store_kind,
            },
            "target": {"name": secret, "creationPolicy": "Owner"},
            "data": [{"secretKey": SECRET_KEY, "remoteRef": {
                "conversionStrategy": "Default",
                "decodingStrategy": "None",
                "key": parameter.to_plain(),
                "metadataPolicy": "None",
            }}],
        },
    });
    let deployment = deployment(&name, &secret, namespace, settings);
    [
        (
            Address::kubernetes("ExternalSecret", Some(EXTERNAL_SECRETS), Some(namespace), &secret),
            Node::of_json(&external, mark),
        ),
        (
            Address::kubernetes("Deployment", None, Some(namespace), &name),
            Node::of_json(&deployment, mark),
        ),
    ]
}

fn deployment(name: &str, secret: &str, namespace: &str, settings: &Connector) -> Json {
    let mut args = vec!["tunnel", "--metrics", settings.metrics.as_str()];
    args.extend(settings.args.iter().map(String::as_str));
    // The token comes from the environment: arguments can be read by every process of the node.
    args.push("run");
    let ready = json!({"path": "/ready", "port": settings.metrics_port});
    let mut pod = json!({
        "automountServiceAccountToken": false,
        "securityContext": {
            "runAsNonRoot": true,
            "runAsUser": USER,
            "runAsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [{
            "name": "cloudflared",
            "image": settings.image,
            "args": args,
            "env": [{"name": "TUNNEL_TOKEN", "valueFrom": {
                "secretKeyRef": {"name": secret, "key": SECRET_KEY},
            }}],
            "ports": [{"name": "metrics", "containerPort": settings.metrics_port}],
            "readinessProbe": {"httpGet": ready, "periodSeconds": 10},
            "livenessProbe": {
                "httpGet": ready,
                "failureThreshold": 1,
                "initialDelaySeconds": 10,
                "periodSeconds": 10,
            },
            "resources": settings.resources,
            "securityContext": {
                "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
                "capabilities": {"drop": ["ALL"]},
            },
        }],
    });
    if let (Some(affinity), Some(pod)) = (&settings.affinity, pod.as_object_mut()) {
        pod.insert("affinity".to_owned(), affinity.clone());
    }
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
        "spec": {
            "replicas": settings.replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": pod},
        },
    })
}

/// A workload that a file names.
#[derive(Clone, Debug)]
pub(super) struct Workload {
    /// What it is called.
    pub address: Address,
    /// Where it is named.
    pub mark: Mark,
    /// The tool that applies it, where no manifest of the stack has it.
    pub applied_by: Option<AppliedBy>,
}

/// The kinds whose pods come from a template and stay, and the versions of their APIs.
const WORKLOADS: [(&str, &str); 4] = [
    ("Deployment", "apps/v1"),
    ("StatefulSet", "apps/v1"),
    ("DaemonSet", "apps/v1"),
    ("Rollout.argoproj.io", "argoproj.io/v1alpha1"),
];

/// The address of `Kind/namespace/name`.
///
/// # Errors
/// Advice, where the text names no workload.
pub(super) fn workload(text: &str) -> Result<Address, String> {
    let parts: Vec<&str> = text.split('/').collect();
    match parts.as_slice() {
        [kind, namespace, name] if [kind, namespace, name].iter().all(|part| !part.is_empty()) => {
            if WORKLOADS.iter().any(|(known, _)| known == kind) {
                return Ok(Address::kubernetes(kind, None, Some(namespace), name));
            }
            let kinds: Vec<&str> = WORKLOADS.iter().map(|(kind, _)| *kind).collect();
            let near = super::source::suggestion(kind, kinds.iter().copied());
            Err(near.unwrap_or_else(|| format!("the kinds are {}", kinds.join(", "))))
        }
        _ => Err("write Kind/namespace/name: Deployment/openhands/cloudflared".to_owned()),
    }
}

/// A workload by its name alone: what is known of one that only the cluster has.
pub(super) fn named(address: &Address) -> Option<Json> {
    let mut parts = address.name().split('/');
    let (kind, namespace, name) = (parts.next()?, parts.next()?, parts.next()?);
    let (_, version) = WORKLOADS.iter().find(|(known, _)| *known == kind)?;
    Some(json!({
        "apiVersion": version,
        "kind": kind.split('.').next().unwrap_or_default(),
        "metadata": {"name": name, "namespace": namespace},
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_without_a_version_moves() {
        for (image, moves) in [
            (IMAGE, false),
            ("cloudflare/cloudflared", true),
            ("cloudflare/cloudflared:latest", true),
            ("registry:5000/cloudflared", true),
            ("registry:5000/cloudflared:1", false),
            ("cloudflare/cloudflared@sha256:00", false),
        ] {
            assert_eq!(is_moving(image), moves, "{image}");
        }
    }

    #[test]
    fn probes_reach_the_port_from_outside_the_pod() {
        for (address, expected) in [
            ("0.0.0.0:2000", Some(2000)),
            (":9090", Some(9090)),
            ("[::]:2000", Some(2000)),
            ("127.0.0.1:2000", None),
            ("localhost:2000", None),
            ("[::1]:2000", None),
            ("0.0.0.0", None),
            ("0.0.0.0:0", None),
            ("0.0.0.0:70000", None),
        ] {
            assert_eq!(port(address), expected, "{address}");
        }
    }

    #[test]
    fn workloads_are_named_in_full() {
        for text in ["Deployment/a/b", "StatefulSet/a/b", "Rollout.argoproj.io/a/b"] {
            let address = workload(text).unwrap();
            assert_eq!(address.name(), text);
            assert_eq!(named(&address).unwrap()["metadata"]["name"], "b");
        }
        for (text, advice) in [
            ("Deployment/b", "Kind/namespace/name"),
            ("Deploymnt/a/b", "`Deployment`"),
            ("CronJob/a/b", "StatefulSet"),
        ] {
            assert!(workload(text).unwrap_err().contains(advice), "{text}");
        }
    }
}
