//! Pods: the kubelets. A pod whose node, volumes, images and configuration are there runs, and is
//! ready when its containers are.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::containers::{self, Conduct, Fate};
use super::events::{Said, Source};
use super::pod_status::{self, Fates};
use super::replicas::is_ready;
use super::{containers::conduct, going};
use crate::sandbox::kubernetes::value::{items, set, text};
use crate::sandbox::kubernetes::{Cluster, Connector, connectors};

const KUBELET: &str = "kubelet";
/// How often a kubelet says again that something still fails.
const REPEAT: SignedDuration = SignedDuration::from_secs(10);
/// How long a failed pull is shown as such before it is shown as backing off.
const FIRST_PULL: SignedDuration = SignedDuration::from_secs(1);

/// What a kubelet remembers of one pod.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Run {
    /// When each container could first be started.
    since: BTreeMap<String, Timestamp>,
    /// When each image that can't be pulled was first tried.
    #[serde(default)]
    tried: BTreeMap<String, Timestamp>,
    /// What was said of each container.
    said: BTreeMap<String, String>,
}

impl Cluster {
    pub(super) fn run_pods(&mut self, now: Timestamp) {
        for pod in self.all_of("", "pods") {
            let over = matches!(text(&pod, "/status/phase"), "Succeeded" | "Failed");
            if going(&pod) {
                self.stop(&pod, now);
            } else if over {
                continue;
            } else if text(&pod, "/spec/nodeName").is_empty() {
                self.schedule(&pod, now);
            } else if !is_ready(&pod) {
                self.start(&pod, now);
            }
        }
    }

    /// Whether some pod is still on its way, so that time alone can move it.
    pub fn is_moving(&self) -> bool {
        self.store.list("", "pods", None).into_iter().any(|pod| {
            !is_ready(pod) && !matches!(text(pod, "/status/phase"), "Succeeded" | "Failed")
        }) || self.jobs_expire()
    }

    /// The kubelet confirms that a deleted pod has ended.
    fn stop(&mut self, pod: &Value, now: Timestamp) {
        let (ns, name) = (text(pod, "/metadata/namespace"), text(pod, "/metadata/name"));
        let uid = text(pod, "/metadata/uid");
        if self.runs.remove(uid).is_some() {
            for status in items(pod, "/status/containerStatuses") {
                if status.pointer("/state/running").is_some() {
                    let container = text(status, "/name");
                    let message = format!("Stopping container {container}");
                    self.say(pod, container, Said::normal("Killing", &message), now);
                }
            }
        }
        if items(pod, "/metadata/finalizers").is_empty() {
            self.store.remove("", "pods", ns, name);
        }
        self.started.remove(uid);
    }

    /// Says something of a container, or of the pod where the name is empty.
    fn say(&mut self, pod: &Value, container: &str, said: Said<'_>, now: Timestamp) {
        let init = items(pod, "/spec/initContainers").iter().any(|c| text(c, "/name") == container);
        let list = if init { "initContainers" } else { "containers" };
        let path = match container {
            "" => String::new(),
            name => format!("spec.{list}{{{name}}}"),
        };
        let node = text(pod, "/spec/nodeName").to_owned();
        self.tell_again(pod, Source::Kubelet(&node, &path), said, REPEAT, now);
    }

    fn start(&mut self, pod: &Value, now: Timestamp) {
        let mut object = pod.clone();
        let uid = text(pod, "/metadata/uid").to_owned();
        let mut run = self.runs.remove(&uid).unwrap_or_default();
        let (init, main) = self.fates(pod, &mut run, now);
        let lists = ["/spec/initContainers", "/spec/containers"];
        for (list, fates) in lists.iter().zip([&init, &main]) {
            for (container, (_, fate)) in items(pod, list).iter().zip(fates) {
                self.comment(pod, container, fate, &mut run, now);
            }
        }
        let runs = main.iter().any(|(_, fate)| fate.started());
        if runs
            && !self.started.contains_key(&uid)
            && let Some(token) = connectors::token(&self.store, pod)
        {
            self.started.insert(uid.clone(), token);
        }
        set(&mut object, "status", Some(pod_status::of(pod, &init, &main, now)));
        self.runs.insert(uid, run);
        self.update_status_as(KUBELET, &object, now);
    }

    /// Where init containers and containers are: one init container after the other, then all
    /// containers.
    fn fates(&mut self, pod: &Value, run: &mut Run, now: Timestamp) -> (Fates, Fates) {
        let policy = text(pod, "/spec/restartPolicy");
        let once = policy != "Always"
            && items(pod, "/metadata/ownerReferences").iter().any(|o| text(o, "/kind") == "Job");
        let blocked = self.missing_volume(pod, now);
        let mut held = blocked.then(|| Fate::Waiting("ContainerCreating", String::new()));
        let (mut init, mut main) = (Fates::new(), Fates::new());
        let inits = items(pod, "/spec/initContainers");
        for container in inits {
            let sidecar = text(container, "/restartPolicy") == "Always";
            let fate = held.clone().unwrap_or_else(|| {
                let conduct = conduct(&Value::Null, container, SignedDuration::ZERO, !sidecar);
                let policy = match (sidecar, policy) {
                    (true, _) => "Always",
                    (false, "Never") => "Never",
                    (false, _) => "OnFailure",
                };
                self.fate_of(pod, container, conduct, policy, run, now)
            });
            if !fate.settled() || matches!(fate, Fate::Ended { code } if code != 0) {
                let waits = || Fate::Waiting("PodInitializing", String::new());
                held.get_or_insert_with(waits);
            }
            init.push((text(container, "/name").to_owned(), fate));
        }
        for container in items(pod, "/spec/containers") {
            let fate = held.clone().unwrap_or_else(|| {
                let conduct = conduct(pod, container, self.ready_after, once);
                self.fate_of(pod, container, conduct, policy, run, now)
            });
            main.push((text(container, "/name").to_owned(), fate));
        }
        if !inits.is_empty() && blocked {
            // What comes after init containers waits for them, whatever they wait for.
            for (_, fate) in &mut main {
                *fate = Fate::Waiting("PodInitializing", String::new());
            }
        }
        (init, main)
    }

    fn fate_of(
        &self,
        pod: &Value,
        container: &Value,
        conduct: Conduct,
        policy: &str,
        run: &mut Run,
        now: Timestamp,
    ) -> Fate {
        let name = text(container, "/name");
        let image = text(container, "/image");
        let pulled = |since: Timestamp| now.duration_since(since) < FIRST_PULL;
        let first = run.tried.get(name).copied().is_none_or(pulled);
        if let Some((reason, message)) = containers::unpullable(image, first) {
            run.tried.entry(name.to_owned()).or_insert(now);
            return Fate::Waiting(reason, message);
        }
        let namespace = text(pod, "/metadata/namespace");
        if !run.since.contains_key(name)
            && let Some(message) = connectors::missing(&self.store, namespace, container)
        {
            return Fate::Waiting("CreateContainerConfigError", message);
        }
        let since = *run.since.entry(name.to_owned()).or_insert(now);
        let probed =
            container.get("readinessProbe").is_some() || container.get("startupProbe").is_some();
        containers::fate(conduct, probed, policy, now.duration_since(since))
    }

    /// Says what became of a container since it was last said.
    fn comment(
        &mut self,
        pod: &Value,
        container: &Value,
        fate: &Fate,
        run: &mut Run,
        now: Timestamp,
    ) {
        let name = text(container, "/name");
        let image = text(container, "/image");
        let said = run.said.get(name).cloned().unwrap_or_default();
        let mut now_said = said.clone();
        let first = |what: &str, now_said: &mut String| {
            let new = !now_said.split(' ').any(|known| known == what);
            if new {
                *now_said = format!("{now_said} {what}");
            }
            new
        };
        let unpulled = matches!(fate, Fate::Waiting("ErrImagePull" | "ImagePullBackOff", _));
        let waits = matches!(fate, Fate::Waiting("PodInitializing" | "InvalidImageName", _))
            || matches!(fate, Fate::Waiting("ContainerCreating", _))
                && !run.since.contains_key(name);
        if !waits && first("Pulling", &mut now_said) {
            let message = format!("Pulling image {image:?}");
            self.say(pod, name, Said::normal("Pulling", &message), now);
        }
        let creating = matches!(fate, Fate::Waiting("ContainerCreating", _));
        if !waits && !unpulled && !creating && first("Pulled", &mut now_said) {
            let message = format!(
                "Successfully pulled image {image:?} in 1s (1s including waiting). Image size: \
                 1048576 bytes."
            );
            self.say(pod, name, Said::normal("Pulled", &message), now);
        }
        match fate {
            Fate::Waiting("InvalidImageName", message) => {
                self.say(pod, name, Said::warning("InspectFailed", message), now);
                self.say(pod, name, Said::warning("Failed", "Error: InvalidImageName"), now);
            }
            Fate::Waiting("ErrImagePull", why) => {
                first("ErrImagePull", &mut now_said);
                let message = format!("Failed to pull image {image:?}: {why}");
                self.say(pod, name, Said::warning("Failed", &message), now);
                self.say(pod, name, Said::warning("Failed", "Error: ErrImagePull"), now);
            }
            Fate::Waiting("ImagePullBackOff", _) => {
                let message = format!("Back-off pulling image {image:?}");
                self.say(pod, name, Said::normal("BackOff", &message), now);
                self.say(pod, name, Said::warning("Failed", "Error: ImagePullBackOff"), now);
            }
            Fate::Waiting("CreateContainerConfigError", why) => {
                let message = format!("Error: {why}");
                self.say(pod, name, Said::warning("Failed", &message), now);
            }
            _ => {}
        }
        if fate.started() {
            let restarts = match fate {
                Fate::Crashing { restarts, .. } => *restarts,
                _ => 0,
            };
            if first(&format!("Started-{restarts}"), &mut now_said) {
                self.say(pod, name, Said::normal("Created", "Container created"), now);
                self.say(pod, name, Said::normal("Started", "Container started"), now);
            }
        }
        match fate {
            Fate::Crashing { .. } => {
                let uid = text(pod, "/metadata/uid");
                let at = [text(pod, "/metadata/name"), text(pod, "/metadata/namespace")].join("_");
                let message =
                    format!("Back-off restarting failed container {name} in pod {at}({uid})");
                self.say(pod, name, Said::warning("BackOff", &message), now);
            }
            Fate::Running { ready: false } => {
                let message = "Readiness probe failed: connection refused";
                self.say(pod, name, Said::warning("Unhealthy", message), now);
            }
            _ => {}
        }
        run.said.insert(name.to_owned(), now_said);
    }

    /// Whether a volume of the pod can't be mounted, which an event says.
    fn missing_volume(&mut self, pod: &Value, now: Timestamp) -> bool {
        let namespace = text(pod, "/metadata/namespace");
        let mut missing = false;
        for volume in items(pod, "/spec/volumes") {
            let claim = text(volume, "/persistentVolumeClaim/claimName");
            let found = self.store.get("", "persistentvolumeclaims", namespace, claim);
            missing |=
                !claim.is_empty() && found.is_none_or(|c| text(c, "/status/phase") != "Bound");
            let Some(what) = self.missing_source(namespace, volume) else { continue };
            missing = true;
            let name = text(volume, "/name");
            let message =
                format!("MountVolume.SetUp failed for volume {name:?} : {what} not found");
            self.say(pod, "", Said::warning("FailedMount", &message), now);
        }
        missing
    }

    fn missing_source(&self, namespace: &str, volume: &Value) -> Option<String> {
        let projected = items(volume, "/projected/sources");
        let sources = projected.iter().chain([volume]);
        let kinds = [
            ("secrets", "secret", "secretName"),
            ("secrets", "secret", "name"),
            ("configmaps", "configMap", "name"),
        ];
        sources.flat_map(|source| kinds.map(|kind| (source, kind))).find_map(
            |(source, (plural, field, key))| {
                let source = source.get(field)?;
                let name = text(source, &format!("/{key}"));
                let optional = source.get("optional") == Some(&Value::Bool(true));
                let there = self.store.get("", plural, namespace, name).is_some();
                (!name.is_empty() && !optional && !there)
                    .then(|| format!("{} {name:?}", field.to_lowercase()))
            },
        )
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
                let said = pod.pointer("/metadata/annotations/sandbox.boxctl~1connections");
                let connections = said.and_then(Value::as_str).and_then(|text| text.parse().ok());
                let connections = connections.filter(|number| (1..=4).contains(number));
                Some(Connector { pod_uid: uid.to_owned(), token, connections })
            })
            .collect()
    }
}
