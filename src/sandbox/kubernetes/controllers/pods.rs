//! Pods: the scheduler and the kubelets. A pod whose node, claims and secrets are there runs and
//! is ready at once.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::replicas::is_ready;
use super::{condition, going};
use crate::sandbox::kubernetes::value::{fields, has_labels, items, number, selects, set, text};
use crate::sandbox::kubernetes::{Cluster, Connector, connectors, rfc3339};

const KUBELET: &str = "kubelet";

impl Cluster {
    pub(super) fn run_pods(&mut self, now: Timestamp) {
        for pod in self.all_of("", "pods") {
            if going(&pod) {
                self.stop(&pod);
            } else if text(&pod, "/spec/nodeName").is_empty() {
                self.schedule(&pod, now);
            } else if !is_ready(&pod) && text(&pod, "/status/phase") != "Succeeded" {
                self.start(&pod, now);
            }
        }
    }

    /// The kubelet confirms that a deleted pod has ended.
    fn stop(&mut self, pod: &Value) {
        let (ns, name) = (text(pod, "/metadata/namespace"), text(pod, "/metadata/name"));
        if items(pod, "/metadata/finalizers").is_empty() {
            self.store.remove("", "pods", ns, name);
        }
        self.started.remove(text(pod, "/metadata/uid"));
    }

    /// Names of the nodes on which a pod may run.
    pub(super) fn nodes_for(&self, spec: &Value) -> Vec<String> {
        self.store
            .list("", "nodes", None)
            .into_iter()
            .filter(|node| admits(node, spec))
            .map(|node| text(node, "/metadata/name").to_owned())
            .collect()
    }

    fn schedule(&mut self, pod: &Value, now: Timestamp) {
        let spec = pod.get("spec").cloned().unwrap_or_default();
        let mut pod = pod.clone();
        if let Some(node) = self.nodes_for(&spec).into_iter().next() {
            // Binding is the scheduler's own call: no field manager gets to own the node.
            set(super::super::value::child(&mut pod, "spec"), "nodeName", Some(node.into()));
            self.store.put("", "pods", pod);
            return;
        }
        // A cluster without nodes has no scheduler either (recording 14).
        if self.store.list("", "nodes", None).is_empty() {
            return;
        }
        let message = "no node fits the pod's node selector and affinity";
        let before = items(&pod, "/status/conditions").to_vec();
        let waits = condition(&before, "PodScheduled", false, "Unschedulable", message, now);
        let status = super::super::value::child(&mut pod, "status");
        set(status, "conditions", Some(json!([waits])));
        self.update_status_as("kube-scheduler", &pod, now);
    }

    fn start(&mut self, pod: &Value, now: Timestamp) {
        let mut object = pod.clone();
        let status = match self.obstacle(pod) {
            Some((reason, message)) => waiting(pod, reason, &message, now),
            None => {
                let uid = text(pod, "/metadata/uid").to_owned();
                if let Some(token) = connectors::token(&self.store, pod) {
                    self.started.insert(uid, token);
                }
                running(pod, now)
            }
        };
        set(&mut object, "status", Some(status));
        self.update_status_as(KUBELET, &object, now);
    }

    /// What keeps a pod's containers from starting.
    fn obstacle(&self, pod: &Value) -> Option<(&'static str, String)> {
        let namespace = text(pod, "/metadata/namespace");
        let has = |plural: &str, name: &str| {
            name.is_empty() || self.store.get("", plural, namespace, name).is_some()
        };
        for volume in items(pod, "/spec/volumes") {
            let claim = text(volume, "/persistentVolumeClaim/claimName");
            let found = self.store.get("", "persistentvolumeclaims", namespace, claim);
            if !claim.is_empty() && found.is_none_or(|c| text(c, "/status/phase") != "Bound") {
                let message = format!("persistentvolumeclaim {claim:?} not bound");
                return Some(("ContainerCreating", message));
            }
            for (plural, pointer) in
                [("secrets", "/secret/secretName"), ("configmaps", "/configMap/name")]
            {
                let source = pointer.rsplit_once('/').map_or("", |(source, _)| source);
                let optional = volume.pointer(&format!("{source}/optional"));
                let name = text(volume, pointer);
                if optional != Some(&Value::Bool(true)) && !has(plural, name) {
                    let message = format!("{plural} {name:?} not found");
                    return Some(("ContainerCreating", message));
                }
            }
        }
        let containers = ["/spec/initContainers", "/spec/containers"];
        containers
            .iter()
            .flat_map(|list| items(pod, list))
            .find_map(|container| connectors::missing(&self.store, namespace, container))
            .map(|message| ("CreateContainerConfigError", message))
    }

    /// One for each running pod that runs cloudflared with a tunnel token.
    pub fn connectors(&self) -> Vec<Connector> {
        self.store
            .list("", "pods", None)
            .into_iter()
            .filter(|pod| is_ready(pod))
            .filter_map(|pod| {
                let uid = text(pod, "/metadata/uid");
                let token = self.started.get(uid)?.clone();
                Some(Connector { pod_uid: uid.to_owned(), token })
            })
            .collect()
    }
}

fn admits(node: &Value, spec: &Value) -> bool {
    let labels = node.pointer("/metadata/labels");
    let ready = items(node, "/status/conditions")
        .iter()
        .any(|c| text(c, "/type") == "Ready" && text(c, "/status") == "True");
    let selected = spec.get("nodeSelector").is_none_or(|wanted| has_labels(labels, wanted));
    let closed = node.pointer("/spec/unschedulable") == Some(&Value::Bool(true));
    let terms = spec.pointer(
        "/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms",
    );
    let near = terms
        .and_then(Value::as_array)
        .is_none_or(|terms| terms.iter().any(|term| selects(term, labels)));
    ready && selected && !closed && near
}

fn conditions(pod: &Value, ready: bool, reason: &str, message: &str, now: Timestamp) -> Value {
    let before = items(pod, "/status/conditions");
    let kinds = [
        ("PodReadyToStartContainers", ready),
        ("Initialized", true),
        ("Ready", ready),
        ("ContainersReady", ready),
        ("PodScheduled", true),
    ];
    kinds
        .iter()
        .map(|(kind, status)| {
            let mut one = condition(before, kind, *status, reason, message, now);
            set(&mut one, "lastProbeTime", Some(Value::Null));
            for field in ["reason", "message"] {
                if *status || text(&one, &format!("/{field}")).is_empty() {
                    set(&mut one, field, None);
                }
            }
            one
        })
        .collect()
}

fn base(pod: &Value, now: Timestamp) -> Value {
    let mut status = pod.get("status").cloned().unwrap_or_default();
    let started = text(&status, "/startTime").to_owned();
    let started = if started.is_empty() { rfc3339(now) } else { started };
    set(&mut status, "startTime", Some(started.into()));
    let generation = number(pod, "/metadata/generation").unwrap_or(1);
    set(&mut status, "observedGeneration", Some(generation.into()));
    status
}

fn waiting(pod: &Value, reason: &str, message: &str, now: Timestamp) -> Value {
    let mut status = base(pod, now);
    let containers: Vec<_> = items(pod, "/spec/containers")
        .iter()
        .map(|c| {
            json!({
                "name": text(c, "/name"), "image": text(c, "/image"), "imageID": "",
                "ready": false, "restartCount": 0, "started": false,
                "state": {"waiting": {"reason": reason, "message": message}},
            })
        })
        .collect();
    let map = fields(&mut status);
    map.insert("phase".to_owned(), "Pending".into());
    let text = "containers with unready status";
    map.insert("conditions".to_owned(), conditions(pod, false, "ContainersNotReady", text, now));
    map.insert("containerStatuses".to_owned(), Value::Array(containers));
    status
}

fn running(pod: &Value, now: Timestamp) -> Value {
    let mut status = base(pod, now);
    let once = text(pod, "/spec/restartPolicy") != "Always"
        && items(pod, "/metadata/ownerReferences").iter().any(|o| text(o, "/kind") == "Job");
    let containers: Vec<_> = items(pod, "/spec/containers")
        .iter()
        .map(|c| {
            let state = if once {
                json!({"terminated": {"exitCode": 0, "reason": "Completed",
                    "startedAt": rfc3339(now), "finishedAt": rfc3339(now)}})
            } else {
                json!({"running": {"startedAt": rfc3339(now)}})
            };
            json!({
                "name": text(c, "/name"), "image": text(c, "/image"),
                "imageID": text(c, "/image"), "containerID": "containerd://sandbox",
                "ready": !once, "restartCount": 0, "started": !once, "state": state,
            })
        })
        .collect();
    let map = fields(&mut status);
    map.insert("phase".to_owned(), if once { "Succeeded" } else { "Running" }.into());
    map.insert("conditions".to_owned(), conditions(pod, !once, "PodCompleted", "", now));
    map.insert("containerStatuses".to_owned(), Value::Array(containers));
    status
}
