//! Events: what controllers, scheduler and kubelets say about an object, in the core form.
//!
//! What is said again about the same object is counted, as client-go's recorder does it
//! (`tools/record/events_cache.go`); the scheduler writes the newer form of events.k8s.io, with
//! `eventTime` and a `series` in the place of timestamps and count.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::MANAGER;
use crate::sandbox::kubernetes::store::key;
use crate::sandbox::kubernetes::value::{metadata, number, set, text};
use crate::sandbox::kubernetes::{Cluster, rfc3339};

/// How long the API server keeps an event (`--event-ttl`).
const KEPT: SignedDuration = SignedDuration::from_hours(1);

/// Who says something.
#[derive(Debug, Clone, Copy)]
pub enum Source<'a> {
    /// A controller of this name.
    Controller(&'static str),
    /// The scheduler, and what it did: `Binding` or `Scheduling`.
    Scheduler(&'static str),
    /// A node's kubelet, about the part of the pod at this field path, if about one.
    Kubelet(&'a str, &'a str),
}

impl Source<'_> {
    fn component(&self) -> &'static str {
        match self {
            Source::Controller(name) => name,
            Source::Scheduler(_) => "default-scheduler",
            Source::Kubelet(..) => "kubelet",
        }
    }

    fn manager(&self) -> &'static str {
        match self {
            Source::Controller(_) => MANAGER,
            Source::Scheduler(_) => "kube-scheduler",
            Source::Kubelet(..) => "kubelet",
        }
    }
}

/// What is said.
#[derive(Debug, Clone, Copy)]
pub struct Said<'a> {
    /// Something went wrong.
    pub warning: bool,
    /// Machine-readable reason such as `FailedScheduling`.
    pub reason: &'a str,
    /// The same for people.
    pub message: &'a str,
}

impl<'a> Said<'a> {
    /// What is as it should be.
    pub fn normal(reason: &'a str, message: &'a str) -> Self {
        Self { warning: false, reason, message }
    }

    /// What is not.
    pub fn warning(reason: &'a str, message: &'a str) -> Self {
        Self { warning: true, reason, message }
    }
}

impl Cluster {
    /// Says something about an object.
    pub(super) fn tell(
        &mut self,
        about: &Value,
        source: Source<'_>,
        said: Said<'_>,
        now: Timestamp,
    ) {
        self.tell_again(about, source, said, SignedDuration::ZERO, now);
    }

    /// As [`Cluster::tell`], but says the same thing again only when `pause` is over, a second at
    /// least.
    pub(super) fn tell_again(
        &mut self,
        about: &Value,
        source: Source<'_>,
        said: Said<'_>,
        pause: SignedDuration,
        now: Timestamp,
    ) {
        let path = if let Source::Kubelet(_, path) = source { path } else { "" };
        let uid = text(about, "/metadata/uid");
        let what = [uid, path, source.component(), said.reason, said.message].join("\n");
        let known = self.told.get(&what).and_then(|name| self.store.at(name)).cloned();
        if let Some(event) = known {
            if now.duration_since(last_seen(&event)) >= pause.max(SignedDuration::from_secs(1)) {
                self.update_as(source.manager(), &counted(event, source, now), now);
            }
            return;
        }
        let event = self.event(about, source, said, path, now);
        if let Some(made) = self.put_as(source.manager(), &event, now) {
            let place = (text(&made, "/metadata/namespace"), text(&made, "/metadata/name"));
            self.told.insert(what, key("", "events", place.0, place.1));
        }
    }

    fn event(
        &self,
        about: &Value,
        source: Source<'_>,
        said: Said<'_>,
        path: &str,
        now: Timestamp,
    ) -> Value {
        let namespace = match text(about, "/metadata/namespace") {
            "" => "default",
            named => named,
        };
        // Two events of one instant still have names of their own.
        let nanos = now.as_nanosecond().saturating_add(i128::from(self.store.revision()));
        let name = format!("{}.{nanos:x}", text(about, "/metadata/name"));
        let mut subject = json!({
            "kind": text(about, "/kind"), "namespace": text(about, "/metadata/namespace"),
            "name": text(about, "/metadata/name"), "uid": text(about, "/metadata/uid"),
            "apiVersion": text(about, "/apiVersion"),
            "resourceVersion": text(about, "/metadata/resourceVersion"),
        });
        if text(&subject, "/namespace").is_empty() {
            set(&mut subject, "namespace", None);
        }
        if !path.is_empty() {
            set(&mut subject, "fieldPath", Some(path.into()));
        }
        let component = source.component();
        let mut event = json!({
            "apiVersion": "v1", "kind": "Event",
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": subject, "reason": said.reason, "message": said.message,
            "source": {}, "firstTimestamp": null, "lastTimestamp": null,
            "type": if said.warning { "Warning" } else { "Normal" },
            "eventTime": null, "reportingComponent": component, "reportingInstance": "",
        });
        let time = Some(Value::from(rfc3339(now)));
        if let Source::Scheduler(action) = source {
            set(&mut event, "action", Some(action.into()));
            set(&mut event, "eventTime", Some(micros(now)));
            let instance = format!("{component}-control-plane");
            set(&mut event, "reportingInstance", Some(instance.into()));
            return event;
        }
        let mut from = json!({"component": component});
        if let Source::Kubelet(node, _) = source {
            set(&mut from, "host", Some(node.into()));
            set(&mut event, "reportingInstance", Some(node.into()));
        }
        set(&mut event, "source", Some(from));
        set(&mut event, "firstTimestamp", time.clone());
        set(&mut event, "lastTimestamp", time);
        set(&mut event, "count", Some(1.into()));
        event
    }

    /// Forgets what was said long ago, and what was said of objects whose events are gone.
    pub(super) fn forget_events(&mut self, now: Timestamp) {
        let old: Vec<(String, String)> = self
            .store
            .list("", "events", None)
            .into_iter()
            .filter(|event| now.duration_since(last_seen(event)) > KEPT)
            .map(|event| {
                let at = |pointer| text(event, pointer).to_owned();
                (at("/metadata/namespace"), at("/metadata/name"))
            })
            .collect();
        for (namespace, name) in &old {
            self.store.remove("", "events", namespace, name);
        }
        let store = &self.store;
        self.told.retain(|_, name| store.at(name).is_some());
    }
}

/// When an event was seen last, in whichever form it says so.
fn last_seen(event: &Value) -> Timestamp {
    ["/series/lastObservedTime", "/lastTimestamp", "/eventTime", "/metadata/creationTimestamp"]
        .iter()
        .find_map(|pointer| text(event, pointer).parse().ok())
        .unwrap_or(Timestamp::UNIX_EPOCH)
}

fn counted(mut event: Value, source: Source<'_>, now: Timestamp) -> Value {
    if let Source::Scheduler(_) = source {
        let count = number(&event, "/series/count").unwrap_or(1) + 1;
        let series = json!({"count": count, "lastObservedTime": micros(now)});
        set(&mut event, "series", Some(series));
    } else {
        let count = number(&event, "/count").unwrap_or(1) + 1;
        set(&mut event, "count", Some(count.into()));
        set(&mut event, "lastTimestamp", Some(rfc3339(now).into()));
    }
    metadata(&mut event).shift_remove("resourceVersion");
    event
}

/// A `MicroTime`: six digits after the point.
fn micros(time: Timestamp) -> Value {
    time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string().into()
}
