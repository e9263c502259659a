//! Why an object is not ready, as a person would look for it: its pods, what should make them, and
//! the last events. Every list may be refused; what is left is told then.

use crate::model::Json;
use crate::model::call::{Answer, Call, Service};
use crate::model::kind::Explain;

use super::names::{group_of, kind_of, name, namespace};
use super::pods::{self, cut};
use super::status::{Condition, items, number, text};

/// How many reasons are told.
const TOLD: usize = 3;
/// Objects a list: more pods than that are not looked at.
const MOST: &str = "200";

/// One list after the other: the ReplicaSets of a Deployment, the pods, the events of what stands
/// nearest to the reason.
pub(super) fn not_ready(object: &Json, answers: &[Option<Answer>]) -> Explain {
    let mut answers = answers.iter();
    let Some(place) = Place::of(object) else {
        let Some(events) = answers.next() else { return look(events_of(object)) };
        return Explain::Told(warnings(events.as_ref(), &[]));
    };
    let mut told = Vec::new();
    let mut nearest = object.clone();
    let mut owner = Some(text(object, "/metadata/uid").to_owned());
    if place.has_replica_sets {
        let Some(sets) = answers.next() else { return look(place.list("apps", "replicasets")) };
        let newest = sets.as_ref().and_then(|sets| newest_of(&sets.body, object));
        owner = newest.map(|set| text(set, "/metadata/uid").to_owned());
        if let Some(set) = newest {
            let failure = Condition::of(set, "ReplicaFailure").filter(|one| one.is("True"));
            // The Deployment repeats it, as its own reason.
            if let Some(failure) =
                failure.filter(|_| Condition::of(object, "ReplicaFailure").is_none())
            {
                told.push(format!("replica set {}: {}", name(set), failure.said()));
            }
            nearest = set.clone();
        }
    }
    let mut pods: Vec<&Json> = Vec::new();
    if !place.is_pod {
        let Some(list) = answers.next() else { return look(place.list("", "pods")) };
        if let Some(list) = list {
            let is_of = |pod: &&Json| {
                owner.as_ref().is_none_or(|owner| {
                    items(pod, "/metadata/ownerReferences").any(|o| text(o, "/uid") == owner)
                })
            };
            pods = items(&list.body, "/items").filter(is_of).collect();
        }
    } else {
        pods.push(object);
    }
    let troubled = pods::troubles(&pods);
    if let Some((pod, _)) = troubled.first() {
        nearest = (*pod).clone();
    }
    told.extend(troubled.into_iter().map(|(_, trouble)| trouble));
    told.truncate(TOLD);
    let Some(events) = answers.next() else { return look(events_of(&nearest)) };
    let more = warnings(events.as_ref(), &told);
    told.extend(more);
    Explain::Told(told)
}

fn look(call: Call) -> Explain {
    Explain::Look(Box::new(call.query("limit", MOST)))
}

/// Where the pods of an object are.
struct Place<'a> {
    namespace: &'a str,
    selector: String,
    has_replica_sets: bool,
    is_pod: bool,
}

impl<'a> Place<'a> {
    /// None for what has no pods.
    fn of(object: &'a Json) -> Option<Self> {
        let (group, kind) = (group_of(object), kind_of(object).1);
        let is_pod = (group, kind) == ("", "Pod");
        let has_pods = matches!(
            (group, kind),
            ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet") | ("batch", "Job")
        );
        let selector = object.pointer("/spec/selector").map(selector_text);
        (is_pod || has_pods).then(|| Place {
            namespace: namespace(object).unwrap_or_default(),
            selector: selector.unwrap_or_default(),
            has_replica_sets: kind == "Deployment",
            is_pod,
        })
    }

    fn list(&self, group: &str, plural: &str) -> Call {
        let base = if group.is_empty() { "/api/v1".into() } else { format!("/apis/{group}/v1") };
        let path = format!("{base}/namespaces/{}/{plural}", self.namespace);
        Call::get(Service::Kubernetes, path)
            .query("labelSelector", self.selector.clone())
            .purpose(format!("looking at the {plural} for the reason"))
    }
}

/// A label selector as queries write it.
fn selector_text(selector: &Json) -> String {
    let labels = selector.get("matchLabels").and_then(Json::as_object);
    let mut parts: Vec<String> = labels
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    for expression in items(selector, "/matchExpressions") {
        let key = text(expression, "/key");
        let values: Vec<&str> = items(expression, "/values").filter_map(Json::as_str).collect();
        parts.push(match text(expression, "/operator") {
            "In" => format!("{key} in ({})", values.join(",")),
            "NotIn" => format!("{key} notin ({})", values.join(",")),
            "DoesNotExist" => format!("!{key}"),
            _ => key.to_owned(),
        });
    }
    parts.join(",")
}

/// The ReplicaSet of a Deployment's last template.
fn newest_of<'a>(sets: &'a Json, deployment: &Json) -> Option<&'a Json> {
    const REVISION: &str = "deployment.kubernetes.io/revision";
    let uid = text(deployment, "/metadata/uid");
    let revision = |set: &&Json| {
        let text = set.pointer("/metadata/annotations")?.get(REVISION)?.as_str()?;
        text.parse::<u64>().ok()
    };
    items(sets, "/items")
        .filter(|set| items(set, "/metadata/ownerReferences").any(|o| text(o, "/uid") == uid))
        .max_by_key(revision)
}

/// The events about one object. Those of objects without namespace are kept in `default`.
fn events_of(object: &Json) -> Call {
    let namespace = namespace(object).unwrap_or("default");
    let uid = text(object, "/metadata/uid");
    Call::get(Service::Kubernetes, format!("/api/v1/namespaces/{namespace}/events"))
        .query("fieldSelector", format!("involvedObject.uid={uid}"))
        .purpose("looking at the events for the reason")
}

/// The last warnings, newest first, each kind once, without what is told already.
fn warnings(events: Option<&Answer>, told: &[String]) -> Vec<String> {
    let Some(events) = events else { return Vec::new() };
    let mut all: Vec<&Json> = items(&events.body, "/items")
        .filter(|event| text(event, "/type") == "Warning" && !text(event, "/message").is_empty())
        .collect();
    all.sort_by_key(|event| std::cmp::Reverse(last_seen(event)));
    let mut out: Vec<String> = Vec::new();
    let mut reasons: Vec<&str> = Vec::new();
    for event in all {
        let (reason, message) = (text(event, "/reason"), text(event, "/message"));
        if reasons.contains(&reason) || told.iter().any(|told| told.contains(message)) {
            continue;
        }
        reasons.push(reason);
        let count = number(event, "/series/count").or_else(|| number(event, "/count")).unwrap_or(1);
        let times = if count > 1 { format!(" ({count} times)") } else { String::new() };
        out.push(format!("event {reason}: {}{times}", cut(message)));
        if out.len() == TOLD {
            break;
        }
    }
    out
}

/// When an event was seen last: a series says it, older reporters in `lastTimestamp`, newer ones
/// only when it began.
fn last_seen(event: &Json) -> &str {
    ["/series/lastObservedTime", "/lastTimestamp", "/eventTime", "/metadata/creationTimestamp"]
        .iter()
        .map(|pointer| text(event, pointer))
        .find(|time| !time.is_empty())
        .unwrap_or_default()
}

#[cfg(test)]
#[path = "explain_tests.rs"]
mod tests;
