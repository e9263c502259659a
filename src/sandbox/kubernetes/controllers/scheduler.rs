//! The scheduler: a node for each pod, or why there is none.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::events::{Said, Source};
use super::{condition, going};
use crate::sandbox::kubernetes::Cluster;
use crate::sandbox::kubernetes::quantities::nanos;
use crate::sandbox::kubernetes::value::{child, has_labels, items, selects, set, text};

/// How often a pod that fits nowhere is tried again.
const RETRY: SignedDuration = SignedDuration::from_mins(5);

const AFFINITY: &str = "didn't match Pod's node affinity/selector";

impl Cluster {
    /// Names of the nodes on which a pod may run.
    pub(super) fn nodes_for(&self, spec: &Value) -> Vec<String> {
        self.store
            .list("", "nodes", None)
            .into_iter()
            .filter(|node| refusal(node, spec).is_none())
            .map(|node| text(node, "/metadata/name").to_owned())
            .collect()
    }

    /// Binds a pod to a node, or says in its status and by an event why it can't.
    pub(super) fn schedule(&mut self, pod: &Value, now: Timestamp) {
        if self.store.list("", "nodes", None).is_empty() {
            // A cluster without nodes has no scheduler either (recording 14).
            return;
        }
        match self.place_for(pod) {
            Ok(node) => {
                let mut bound = pod.clone();
                let namespace = text(pod, "/metadata/namespace");
                let name = text(pod, "/metadata/name");
                let message = format!("Successfully assigned {namespace}/{name} to {node}");
                set(child(&mut bound, "spec"), "nodeName", Some(node.into()));
                // Binding is the scheduler's own call: no field manager gets to own the node.
                let bound = self.store.put("", "pods", bound);
                let source = Source::Scheduler("Binding");
                self.tell(&bound, source, Said::normal("Scheduled", &message), now);
            }
            Err(message) => {
                let said = Said::warning("FailedScheduling", &message);
                self.tell_again(pod, Source::Scheduler("Scheduling"), said, RETRY, now);
                let before = items(pod, "/status/conditions").to_vec();
                let mut waits =
                    condition(&before, "PodScheduled", false, "Unschedulable", &message, now);
                set(&mut waits, "lastProbeTime", Some(Value::Null));
                let mut pod = pod.clone();
                set(child(&mut pod, "status"), "conditions", Some(json!([waits])));
                self.update_status_as("kube-scheduler", &pod, now);
            }
        }
    }

    fn place_for(&self, pod: &Value) -> Result<String, String> {
        let nodes = self.store.list("", "nodes", None);
        let none = nodes.len();
        // The plugins' own texts, as kube-scheduler joins them (framework/types.go).
        let unplaced = |why: &str| {
            format!(
                "0/{none} nodes are available: {why}. no new claims to deallocate, preemption: \
                 0/{none} nodes are available: {none} Preemption is not helpful for scheduling."
            )
        };
        if let Some(why) = self.unbound_claim(pod) {
            return Err(unplaced(&why));
        }
        let spec = pod.get("spec").unwrap_or(&Value::Null);
        let mut reasons: Vec<(String, usize)> = Vec::new();
        for node in nodes {
            let full = || self.shortage(node, spec);
            let Some(reason) = refusal(node, spec).map(str::to_owned).or_else(full) else {
                return Ok(text(node, "/metadata/name").to_owned());
            };
            match reasons.iter_mut().find(|(known, _)| *known == reason) {
                Some((_, count)) => *count += 1,
                None => reasons.push((reason, 1)),
            }
        }
        let mut lines: Vec<_> = reasons
            .iter()
            .map(|(reason, count)| match reason.starts_with("Insufficient") {
                true => format!("{count} {reason}"),
                false => format!("{count} node(s) {reason}"),
            })
            .collect();
        lines.sort_unstable();
        Err(unplaced(&lines.join(", ")))
    }

    /// A claim of the pod that is not there, or that has to be bound before the pod is placed.
    fn unbound_claim(&self, pod: &Value) -> Option<String> {
        let namespace = text(pod, "/metadata/namespace");
        items(pod, "/spec/volumes").iter().find_map(|volume| {
            let name = text(volume, "/persistentVolumeClaim/claimName");
            if name.is_empty() {
                return None;
            }
            let Some(claim) = self.store.get("", "persistentvolumeclaims", namespace, name) else {
                return Some(format!("persistentvolumeclaim {name:?} not found"));
            };
            if going(claim) {
                return Some(format!("persistentvolumeclaim {name:?} is being deleted"));
            }
            let bound = text(claim, "/status/phase") == "Bound";
            (!bound && !self.binds_late(claim))
                .then(|| "pod has unbound immediate PersistentVolumeClaims".to_owned())
        })
    }

    /// What the node has too little of, with what runs there already.
    fn shortage(&self, node: &Value, spec: &Value) -> Option<String> {
        let name = text(node, "/metadata/name");
        ["cpu", "memory", "ephemeral-storage"].into_iter().find_map(|resource| {
            let wanted = requested(spec, resource);
            let allocatable = text(node, &format!("/status/allocatable/{resource}"));
            if wanted == 0 || allocatable.is_empty() {
                return None;
            }
            let used: i128 = self
                .store
                .list("", "pods", None)
                .into_iter()
                .filter(|pod| text(pod, "/spec/nodeName") == name)
                .filter(|pod| !matches!(text(pod, "/status/phase"), "Succeeded" | "Failed"))
                .map(|pod| requested(pod.get("spec").unwrap_or(&Value::Null), resource))
                .sum();
            (used + wanted > nanos(allocatable).unwrap_or(i128::MAX))
                .then(|| format!("Insufficient {resource}"))
        })
    }
}

/// What the containers of a pod ask for of one resource, in billionths.
fn requested(spec: &Value, resource: &str) -> i128 {
    let of = |container: &Value| {
        nanos(text(container, &format!("/resources/requests/{resource}"))).unwrap_or(0)
    };
    items(spec, "/containers").iter().map(of).sum()
}

/// Why the node does not take a pod, in the scheduler's words.
fn refusal(node: &Value, spec: &Value) -> Option<&'static str> {
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
    let tainted = items(node, "/spec/taints").iter().any(|taint| {
        text(taint, "/effect") != "PreferNoSchedule"
            && !items(spec, "/tolerations").iter().any(|t| tolerates(t, taint))
    });
    match () {
        () if closed => Some("were unschedulable"),
        () if tainted || !ready => Some("had untolerated taint(s)"),
        () if !selected || !near => Some(AFFINITY),
        () => None,
    }
}

fn tolerates(toleration: &Value, taint: &Value) -> bool {
    let (key, effect) = (text(toleration, "/key"), text(toleration, "/effect"));
    let same_key =
        key == text(taint, "/key") || key.is_empty() && text(toleration, "/operator") == "Exists";
    let same_value = text(toleration, "/operator") == "Exists"
        || text(toleration, "/value") == text(taint, "/value");
    same_key && same_value && (effect.is_empty() || effect == text(taint, "/effect"))
}
