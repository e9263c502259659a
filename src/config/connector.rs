//! The cloudflared Deployment of a service and the ExternalSecret that brings it the token.

use serde_json::json;

use super::source::Mark;
use super::yaml::Node;
use crate::model::Json;
use crate::model::address::Address;
use crate::model::project::Connector;

const EXTERNAL_SECRETS: &str = "external-secrets.io";
const SECRET_KEY: &str = "tunnel-token";
const METRICS_PORT: u16 = 2000;

/// The objects; the workload is the last.
pub(super) fn objects(
    service: &str,
    namespace: &str,
    settings: &Connector,
    parameter: Node,
    mark: Mark,
) -> [(Address, Node); 2] {
    let name = format!("{}-cloudflared", service.replace('_', "-"));
    let secret = format!("{}-tunnel-token", service.replace('_', "-"));
    let external = json!({
        "apiVersion": format!("{EXTERNAL_SECRETS}/v1beta1"),
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
    let metrics = format!("0.0.0.0:{METRICS_PORT}");
    let mut args = vec!["tunnel", "--metrics", metrics.as_str()];
    args.extend(settings.args.iter().map(String::as_str));
    // The token comes from the environment: arguments can be read by every process of the node.
    args.push("run");
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{
                    "name": "cloudflared",
                    "image": settings.image,
                    "args": args,
                    "env": [{"name": "TUNNEL_TOKEN", "valueFrom": {
                        "secretKeyRef": {"name": secret, "key": SECRET_KEY},
                    }}],
                    "ports": [{"name": "metrics", "containerPort": METRICS_PORT}],
                    "livenessProbe": {
                        "httpGet": {"path": "/ready", "port": METRICS_PORT},
                        "failureThreshold": 1,
                        "initialDelaySeconds": 10,
                        "periodSeconds": 10,
                    },
                    "resources": {
                        "requests": {"cpu": "100m", "memory": "128Mi"},
                        "limits": {"cpu": "200m", "memory": "256Mi"},
                    },
                }]},
            },
        },
    })
}

/// The address of `Kind/namespace/name`.
pub(super) fn workload(text: &str) -> Option<Address> {
    match text.split('/').collect::<Vec<_>>().as_slice() {
        [kind, namespace, name] if [kind, namespace, name].iter().all(|part| !part.is_empty()) => {
            Some(Address::kubernetes(kind, None, Some(namespace), name))
        }
        _ => None,
    }
}
