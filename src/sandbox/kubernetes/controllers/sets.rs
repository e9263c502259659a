//! Stateful sets and daemon sets.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::events::{Said, Source};
use super::replicas::{RETRY, is_active, is_ready, template_hash};
use super::{MANAGER, going};
use crate::sandbox::kubernetes::Cluster;
use crate::sandbox::kubernetes::value::{child, fields, items, metadata, number, set, text};

/// No set gets more pods than this, whatever it asks for.
const MOST_PODS: i64 = 500;

const REVISION: &str = "controller-revision-hash";
const STATEFUL: Source<'static> = Source::Controller("statefulset-controller");
const DAEMON: Source<'static> = Source::Controller("daemonset-controller");

impl Cluster {
    /// Brings stateful and daemon sets to what they want.
    pub(super) fn run_sets(&mut self, now: Timestamp) {
        for object in self.all_of("apps", "statefulsets") {
            if !going(&object) {
                self.run_stateful_set(&object, now);
            }
        }
        for object in self.all_of("apps", "daemonsets") {
            if !going(&object) {
                self.run_daemon_set(&object, now);
            }
        }
    }

    fn run_stateful_set(&mut self, owner: &Value, now: Timestamp) {
        let name = text(owner, "/metadata/name").to_owned();
        let namespace = text(owner, "/metadata/namespace").to_owned();
        let wanted = number(owner, "/spec/replicas").unwrap_or(1).min(MOST_PODS);
        let template = owner.pointer("/spec/template").cloned().unwrap_or_default();
        let revision = format!("{name}-{}", template_hash(&template));
        let parallel = text(owner, "/spec/podManagementPolicy") == "Parallel";
        let updates = text(owner, "/spec/updateStrategy/type") != "OnDelete";
        let mut pods = self.pods_of(owner);
        let ordinal = |pod: &Value| {
            text(pod, "/metadata/name").rsplit('-').next().and_then(|n| n.parse::<i64>().ok())
        };
        pods.sort_by_key(|pod| std::cmp::Reverse(ordinal(pod)));
        let mut settled = pods.iter().all(is_ready) || parallel;
        for pod in pods.iter().filter(|p| !going(p)) {
            let surplus = ordinal(pod).is_some_and(|n| n >= wanted);
            let stale = label(pod, REVISION) != revision && updates;
            let over = text(pod, "/status/phase") == "Failed";
            // One after the other, the highest first; one that is not ready may go at any time.
            if over || (surplus || stale) && (settled || !is_ready(pod)) {
                self.delete_as_controller(pod, now);
                let pod = text(pod, "/metadata/name");
                let message = format!("delete Pod {pod} in StatefulSet {name} successful");
                self.tell(owner, STATEFUL, Said::normal("SuccessfulDelete", &message), now);
                settled = parallel;
            }
        }
        for n in 0..wanted {
            let pod = format!("{name}-{n}");
            match self.store.get("", "pods", &namespace, &pod) {
                Some(there) if is_ready(there) || parallel => continue,
                Some(_) => break,
                None => {}
            }
            if !self.make_ordinal(owner, &template, &pod, n, &revision, now) || !parallel {
                break;
            }
        }
        self.note_stateful_set(owner, &revision, now);
    }

    /// Makes one pod of a stateful set with its claims; whether the API server took it.
    fn make_ordinal(
        &mut self,
        owner: &Value,
        template: &Value,
        pod: &str,
        n: i64,
        revision: &str,
        now: Timestamp,
    ) -> bool {
        let name = text(owner, "/metadata/name");
        let claims = items(owner, "/spec/volumeClaimTemplates").to_vec();
        let mut template = template.clone();
        for claim in &claims {
            self.make_claim(text(owner, "/metadata/namespace"), claim, pod, now);
        }
        mount_claims(&mut template, &claims, pod);
        let index = n.to_string();
        let labels = [
            (REVISION, revision),
            ("statefulset.kubernetes.io/pod-name", pod),
            ("apps.kubernetes.io/pod-index", index.as_str()),
        ];
        match self.make_pod(owner, &template, pod, &labels, now) {
            Ok(_) => {
                let message = format!("create Pod {pod} in StatefulSet {name} successful");
                self.tell(owner, STATEFUL, Said::normal("SuccessfulCreate", &message), now);
                true
            }
            Err(failure) => {
                let why = failure.message;
                let message = format!("create Pod {pod} in StatefulSet {name} failed error: {why}");
                let said = Said::warning("FailedCreate", &message);
                self.tell_again(owner, STATEFUL, said, RETRY, now);
                false
            }
        }
    }

    fn note_stateful_set(&mut self, owner: &Value, revision: &str, now: Timestamp) {
        let wanted = number(owner, "/spec/replicas").unwrap_or(1);
        let pods: Vec<_> = self.pods_of(owner).into_iter().filter(is_active).collect();
        let ready = pods.iter().filter(|p| is_ready(p)).count();
        let updated = pods.iter().filter(|p| label(p, REVISION) == revision).count();
        let known = text(owner, "/status/currentRevision");
        let complete = updated == pods.len() && i64::try_from(ready).is_ok_and(|n| n >= wanted);
        let current = if complete || known.is_empty() { revision } else { known };
        let at_current = pods.iter().filter(|p| label(p, REVISION) == current).count();
        let mut status = json!({
            "observedGeneration": number(owner, "/metadata/generation").unwrap_or(1),
            "replicas": pods.len(), "availableReplicas": ready,
            "currentRevision": current, "updateRevision": revision, "collisionCount": 0,
        });
        for (field, n) in [
            ("readyReplicas", ready),
            ("currentReplicas", at_current),
            ("updatedReplicas", updated),
        ] {
            if n > 0 {
                fields(&mut status).insert(field.to_owned(), n.into());
            }
        }
        self.note(owner, status, now);
    }

    fn make_claim(&mut self, namespace: &str, claim: &Value, pod: &str, now: Timestamp) {
        let mut object = json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": claim.get("metadata").cloned().unwrap_or_default(),
            "spec": claim.get("spec").cloned().unwrap_or_default(),
        });
        let name = format!("{}-{pod}", text(claim, "/metadata/name"));
        let meta = metadata(&mut object);
        meta.insert("name".to_owned(), name.into());
        meta.insert("namespace".to_owned(), namespace.into());
        self.put_as(MANAGER, &object, now);
    }

    fn run_daemon_set(&mut self, owner: &Value, now: Timestamp) {
        let template = owner.pointer("/spec/template").cloned().unwrap_or_default();
        let hash = template_hash(&template);
        let spec = template.get("spec").cloned().unwrap_or_default();
        let nodes = self.nodes_for(&spec);
        let pods = self.pods_of(owner);
        let mut kept = Vec::new();
        let updates = text(owner, "/spec/updateStrategy/type") != "OnDelete";
        // One at a time: what is ready goes only while all the others are (maxUnavailable 1).
        let mut spare = pods.iter().all(is_ready);
        for pod in pods.iter().filter(|p| !going(p)) {
            let node = text(pod, "/spec/nodeName").to_owned();
            let placed = nodes.contains(&node) && !kept.contains(&node);
            let stale = label(pod, REVISION) != hash && updates;
            if placed && is_active(pod) && (!stale || is_ready(pod) && !spare) {
                kept.push(node);
                continue;
            }
            spare &= !(placed && stale);
            self.delete_as_controller(pod, now);
            let message = format!("Deleted pod: {}", text(pod, "/metadata/name"));
            self.tell(owner, DAEMON, Said::normal("SuccessfulDelete", &message), now);
        }
        for node in nodes.iter().filter(|node| !kept.contains(node)) {
            let mut placed = template.clone();
            let wanted = json!({"kubernetes.io/hostname": node});
            set(child(&mut placed, "spec"), "nodeSelector", Some(wanted));
            set(child(&mut placed, "spec"), "nodeName", Some(node.as_str().into()));
            let labels = [(REVISION, hash.as_str())];
            if self.make_counted_pod(owner, &placed, &labels, DAEMON, now).is_some() {
                break;
            }
        }
        let pods: Vec<_> = self.pods_of(owner).into_iter().filter(is_active).collect();
        let ready = pods.iter().filter(|p| is_ready(p)).count();
        let updated = pods.iter().filter(|p| label(p, REVISION) == hash).count();
        let mut status = json!({
            "observedGeneration": number(owner, "/metadata/generation").unwrap_or(1),
            "currentNumberScheduled": pods.len(), "desiredNumberScheduled": nodes.len(),
            "numberMisscheduled": 0, "numberReady": ready,
        });
        for (field, n) in [
            ("updatedNumberScheduled", updated),
            ("numberAvailable", ready),
            ("numberUnavailable", nodes.len().saturating_sub(ready)),
        ] {
            if n > 0 {
                fields(&mut status).insert(field.to_owned(), n.into());
            }
        }
        self.note(owner, status, now);
    }

    pub(super) fn note(&mut self, object: &Value, status: Value, now: Timestamp) {
        let mut object = object.clone();
        set(&mut object, "status", Some(status));
        self.update_status_as(MANAGER, &object, now);
    }
}

fn label<'a>(object: &'a Value, key: &str) -> &'a str {
    object
        .pointer("/metadata/labels")
        .and_then(|labels| labels.get(key))
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// Each pod of a stateful set mounts its own claims.
fn mount_claims(template: &mut Value, claims: &[Value], pod: &str) {
    if claims.is_empty() {
        return;
    }
    let own =
        |volume: &Value| claims.iter().any(|c| text(c, "/metadata/name") == text(volume, "/name"));
    let spec = child(template, "spec");
    let mut volumes: Vec<_> = items(spec, "/volumes").iter().filter(|v| !own(v)).cloned().collect();
    for claim in claims {
        let name = text(claim, "/metadata/name");
        volumes.push(json!({
            "name": name, "persistentVolumeClaim": {"claimName": format!("{name}-{pod}")},
        }));
    }
    set(spec, "volumes", Some(Value::Array(volumes)));
}
