//! Stateful sets, daemon sets and jobs.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::replicas::{is_ready, template_hash};
use super::{MANAGER, condition, going};
use crate::sandbox::kubernetes::value::{child, fields, items, metadata, number, set, text};
use crate::sandbox::kubernetes::{Cluster, rfc3339};

const REVISION: &str = "controller-revision-hash";

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
        let wanted = number(owner, "/spec/replicas").unwrap_or(1);
        let mut template = owner.pointer("/spec/template").cloned().unwrap_or_default();
        let revision = format!("{name}-{}", template_hash(&template));
        let pods = self.pods_of(owner);
        for pod in pods.iter().filter(|p| !going(p)) {
            let ordinal = text(pod, "/metadata/name").rsplit('-').next().unwrap_or_default();
            let surplus = ordinal.parse::<i64>().is_ok_and(|n| n >= wanted);
            let stale = label(pod, REVISION) != revision;
            let updates = text(owner, "/spec/updateStrategy/type") != "OnDelete";
            if surplus || stale && updates {
                self.delete_as_controller(pod, now);
            }
        }
        let claims = items(owner, "/spec/volumeClaimTemplates").to_vec();
        for n in 0..wanted {
            let pod = format!("{name}-{n}");
            let namespace = text(owner, "/metadata/namespace");
            if self.store.get("", "pods", namespace, &pod).is_some() {
                continue;
            }
            for claim in &claims {
                self.make_claim(namespace, claim, &pod, now);
            }
            mount_claims(&mut template, &claims, &pod);
            let index = n.to_string();
            let labels = [
                (REVISION, revision.as_str()),
                ("statefulset.kubernetes.io/pod-name", pod.as_str()),
                ("apps.kubernetes.io/pod-index", index.as_str()),
            ];
            self.make_pod(owner, &template, &pod, &labels, now);
        }
        let pods: Vec<_> = self.pods_of(owner).into_iter().filter(|p| !going(p)).collect();
        let ready = pods.iter().filter(|p| is_ready(p)).count();
        let mut status = json!({
            "observedGeneration": number(owner, "/metadata/generation").unwrap_or(1),
            "replicas": pods.len(), "availableReplicas": ready,
            "currentRevision": revision, "updateRevision": revision, "collisionCount": 0,
        });
        for (field, n) in [
            ("readyReplicas", ready),
            ("currentReplicas", pods.len()),
            ("updatedReplicas", pods.len()),
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
        for pod in pods.iter().filter(|p| !going(p)) {
            let node = text(pod, "/spec/nodeName").to_owned();
            if label(pod, REVISION) == hash && nodes.contains(&node) && !kept.contains(&node) {
                kept.push(node);
            } else {
                self.delete_as_controller(pod, now);
            }
        }
        let prefix = format!("{}-", text(owner, "/metadata/name"));
        for node in nodes.iter().filter(|node| !kept.contains(node)) {
            let mut placed = template.clone();
            let wanted = json!({"kubernetes.io/hostname": node});
            set(child(&mut placed, "spec"), "nodeSelector", Some(wanted));
            set(child(&mut placed, "spec"), "nodeName", Some(node.as_str().into()));
            self.make_pod(owner, &placed, &prefix, &[(REVISION, &hash)], now);
        }
        let pods: Vec<_> = self.pods_of(owner).into_iter().filter(|p| !going(p)).collect();
        let ready = pods.iter().filter(|p| is_ready(p)).count();
        let mut status = json!({
            "observedGeneration": number(owner, "/metadata/generation").unwrap_or(1),
            "currentNumberScheduled": pods.len(), "desiredNumberScheduled": nodes.len(),
            "numberMisscheduled": 0, "numberReady": ready,
        });
        for (field, n) in [
            ("updatedNumberScheduled", pods.len()),
            ("numberAvailable", ready),
            ("numberUnavailable", nodes.len().saturating_sub(ready)),
        ] {
            if n > 0 {
                fields(&mut status).insert(field.to_owned(), n.into());
            }
        }
        self.note(owner, status, now);
    }

    /// Runs every job once: its pods succeed at once.
    pub(super) fn run_jobs(&mut self, now: Timestamp) {
        for job in self.all_of("batch", "jobs") {
            let suspended = job.pointer("/spec/suspend") == Some(&Value::Bool(true));
            if !going(&job) && !suspended {
                self.run_job(&job, now);
            }
        }
    }

    fn run_job(&mut self, job: &Value, now: Timestamp) {
        let parallel = number(job, "/spec/parallelism").unwrap_or(1);
        let wanted = number(job, "/spec/completions").unwrap_or(parallel);
        let wanted = usize::try_from(wanted).unwrap_or(1);
        let pods = self.pods_of(job);
        let template = job.pointer("/spec/template").cloned().unwrap_or_default();
        let prefix = format!("{}-", text(job, "/metadata/name"));
        for _ in pods.len()..wanted {
            self.make_pod(job, &template, &prefix, &[], now);
        }
        let pods = self.pods_of(job);
        let done = pods.iter().filter(|p| text(p, "/status/phase") == "Succeeded").count();
        let started = text(job, "/status/startTime");
        let started = if started.is_empty() { rfc3339(now) } else { started.to_owned() };
        let mut status = json!({"startTime": started, "terminating": 0});
        let map = fields(&mut status);
        map.insert("ready".to_owned(), 0.into());
        if done > 0 {
            map.insert("succeeded".to_owned(), done.into());
        }
        if pods.len() > done {
            map.insert("active".to_owned(), (pods.len() - done).into());
        }
        if done >= wanted {
            let before = items(job, "/status/conditions");
            let message = "Reached expected number of succeeded pods";
            let reason = "CompletionsReached";
            let conditions = json!([
                condition(before, "SuccessCriteriaMet", true, reason, message, now),
                condition(before, "Complete", true, reason, message, now),
            ]);
            map.insert("conditions".to_owned(), conditions);
            let ended = text(job, "/status/completionTime");
            let ended = if ended.is_empty() { rfc3339(now) } else { ended.to_owned() };
            map.insert("completionTime".to_owned(), ended.into());
        }
        self.note(job, status, now);
    }

    fn note(&mut self, object: &Value, status: Value, now: Timestamp) {
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
