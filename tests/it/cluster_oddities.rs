//! Manifests and objects as other tools leave them.

use serde_json::json;

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
