//! Manifests and objects as other tools leave them.

use serde_json::{Value, json};

use crate::lab::Lab;

const MANIFESTS: &str = r#"
apiVersion: v1
kind: List
metadata: {resourceVersion: ""}
items:
  - apiVersion: v1
    kind: ConfigMap
    metadata: {name: odd, namespace: openhands, creationTimestamp: null}
    data: {"yes": "on", "n": "1e3", big: "9007199254740993", empty: ""}
  - apiVersion: apps/v1
    kind: Deployment
    metadata:
      creationTimestamp: null
      labels: {app: odd}
      name: odd
      namespace: openhands
    spec:
      replicas: 1
      revisionHistoryLimit: null
      selector: {matchLabels: {app: odd}}
      strategy: {}
      template:
        metadata: {creationTimestamp: null, labels: {app: odd}}
        spec:
          terminationGracePeriodSeconds: 30.0
          containers:
            - image: nginx
              name: nginx
              resources: {requests: {cpu: 0.5, memory: 1e3}, limits: {cpu: 1000m, memory: 1024Mi}}
              securityContext: {runAsUser: 0x3e8}
    status: {}
---
apiVersion: v1
kind: Service
metadata: {name: odd, namespace: openhands, creationTimestamp: null}
spec:
  ports: [{port: 80, targetPort: 8080}]
  selector: {app: odd}
status: {loadBalancer: {}}
"#;

#[test]
fn what_kubectl_prints_settles_although_it_has_nulls_and_a_status() {
    let lab = Lab::of("openhands");
    lab.write("manifests/socket/odd.yaml", MANIFESTS);
    lab.apply(&[]);
    lab.is_settled(&[]);
    let map = lab.kubernetes("GET", "/api/v1/namespaces/openhands/configmaps/odd", None);
    assert_eq!(
        map["data"],
        json!({"yes": "on", "n": "1e3", "big": "9007199254740993", "empty": ""})
    );
    lab.edit("manifests/socket/odd.yaml", "status: {}", "status: {replicas: 7}");
    lab.is_settled(&[]);
}

/// An object as `kubectl apply` without `--server-side` makes it.
fn applied_by_kubectl(lab: &Lab, collection: &str, mut object: Value) {
    let last = object.to_string();
    object["metadata"]["annotations"] =
        json!({"kubectl.kubernetes.io/last-applied-configuration": last});
    let path = format!("{collection}?fieldManager=kubectl-client-side-apply");
    lab.kubernetes("POST", &path, Some(("application/json", object)));
}

#[test]
fn an_object_that_kubectl_applied_is_adopted_and_what_it_had_alone_stays() {
    let lab = Lab::of("openhands");
    lab.apply(&[]);
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "old", "namespace": "openhands", "labels": {"a": "b"}},
        "data": {"k": "v", "other": "x"}});
    let path = "/api/v1/namespaces/openhands/configmaps";
    applied_by_kubectl(&lab, path, object);
    let manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: old, namespace: openhands}\ndata: {k: v}\n";
    lab.write("manifests/socket/old.yaml", manifest);
    lab.run(&["apply", "--yes"]).exits(5).says("k8s.ConfigMap/openhands/old");
    lab.apply(&["--adopt"]);
    lab.is_settled(&[]);
    let seen = lab.kubernetes("GET", &format!("{path}/old"), None);
    assert_eq!(seen["data"], json!({"k": "v", "other": "x"}));
    // What boxctl has taken over it changes and takes away; the rest is not its own.
    lab.edit("manifests/socket/old.yaml", "data: {k: v}", "data: {k: w, new: z}");
    lab.apply(&[]);
    lab.is_settled(&[]);
    let seen = lab.kubernetes("GET", &format!("{path}/old"), None);
    assert_eq!(seen["data"], json!({"k": "w", "other": "x", "new": "z"}));
    lab.edit("manifests/socket/old.yaml", "data: {k: w, new: z}", "data: {k: w}");
    lab.apply(&[]);
    lab.is_settled(&[]);
    lab.run(&["drift"]).exits(0);
}
