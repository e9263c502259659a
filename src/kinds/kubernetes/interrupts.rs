//! Which changes interrupt what an object does for others.

use crate::model::Json;
use crate::model::kind::Disturbance;

use super::names::{group_of, kind_of};
use super::status::number;

/// How a change interrupts the service of an object; None where it does not. What follows from the
/// manifest is told, not whether a new pod comes up.
pub(super) fn interrupts(change: &Disturbance<'_>) -> Option<String> {
    let (live, spec) = (&change.remote.raw, change.spec);
    let kind = (group_of(spec), kind_of(spec).1);
    if change.replaced {
        return match kind {
            ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet") => {
                Some("it is deleted with its pods before it is made again".to_owned())
            }
            ("", "Pod" | "Service") | ("networking.k8s.io", "Ingress") => {
                Some("it is deleted before it is made again".to_owned())
            }
            _ => None,
        };
    }
    let under = |head: &str| change.paths.iter().any(|path| is_under(path, head));
    if kind == ("", "Pod") {
        return under("spec.containers").then(|| "its containers are restarted".to_owned());
    }
    if !matches!(kind, ("apps", "Deployment" | "StatefulSet" | "DaemonSet")) {
        return None;
    }
    let was = number(live, "/spec/replicas").unwrap_or(1);
    let will_be = number(spec, "/spec/replicas").unwrap_or(was);
    if kind.1 != "DaemonSet" {
        if was == 0 {
            return None;
        }
        if will_be == 0 {
            return Some("it is scaled to no replicas".to_owned());
        }
    }
    if !under("spec.template") && !change.restarted {
        return None;
    }
    match kind.1 {
        "Deployment" if under("spec.strategy") => deployment(spec, &Json::Null, will_be),
        // What others have set, or the defaults, stay as they are.
        "Deployment" => deployment(spec, live, will_be),
        "StatefulSet" => stateful_set(spec, live, will_be.min(was)),
        _ => daemon_set(spec, live),
    }
}

fn is_under(path: &str, head: &str) -> bool {
    path.strip_prefix(head).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// What the manifest says, else what the object has.
fn said<'a>(spec: &'a Json, live: &'a Json, pointer: &str) -> Option<&'a Json> {
    spec.pointer(pointer).or_else(|| live.pointer(pointer))
}

/// A number, or a percentage of a number of pods.
fn share(value: Option<&Json>, of: i64, up: bool) -> Option<i64> {
    match value? {
        Json::Number(number) => number.as_i64(),
        Json::String(text) => {
            let percent = text.strip_suffix('%')?.parse::<i64>().ok()?;
            Some(if up { (percent * of + 99) / 100 } else { percent * of / 100 })
        }
        _ => None,
    }
}

/// As the API documents `RollingUpdateDeployment`: surge is rounded up, what may be unavailable
/// down, both are 25 % by default, and where both come to nothing one pod may be unavailable.
fn deployment(spec: &Json, live: &Json, replicas: i64) -> Option<String> {
    let strategy = said(spec, live, "/spec/strategy/type").and_then(Json::as_str);
    if strategy == Some("Recreate") {
        return Some("all pods end before new ones start (Recreate)".to_owned());
    }
    let rolling = "/spec/strategy/rollingUpdate";
    let surge = share(said(spec, live, &format!("{rolling}/maxSurge")), replicas, true);
    let surge = surge.unwrap_or((25 * replicas + 99) / 100);
    let missing = said(spec, live, &format!("{rolling}/maxUnavailable"));
    let missing = share(missing, replicas, false);
    let mut missing = missing.unwrap_or(25 * replicas / 100);
    if surge == 0 && missing == 0 {
        missing = 1;
    }
    (missing >= replicas).then(|| match replicas {
        1 => "its only pod ends before the new one is ready (maxUnavailable)".to_owned(),
        n => format!("all {n} pods may be away at once (maxUnavailable)"),
    })
}

fn stateful_set(spec: &Json, live: &Json, replicas: i64) -> Option<String> {
    let strategy = said(spec, live, "/spec/updateStrategy/type").and_then(Json::as_str);
    let partition = said(spec, live, "/spec/updateStrategy/rollingUpdate/partition");
    let partition = partition.and_then(Json::as_i64).unwrap_or(0);
    if strategy == Some("OnDelete") || partition >= replicas {
        return None;
    }
    (replicas == 1).then(|| "its only pod ends before the new one starts".to_owned())
}

fn daemon_set(spec: &Json, live: &Json) -> Option<String> {
    let strategy = said(spec, live, "/spec/updateStrategy/type").and_then(Json::as_str);
    let nodes = number(live, "/status/desiredNumberScheduled").unwrap_or(0);
    let rolling = "/spec/updateStrategy/rollingUpdate";
    let of =
        |field: &str, up: bool| share(said(spec, live, &format!("{rolling}/{field}")), nodes, up);
    if strategy == Some("OnDelete") || nodes == 0 || of("maxSurge", true).unwrap_or(0) > 0 {
        return None;
    }
    // What may be unavailable is rounded up here, and 1 by default.
    let missing = of("maxUnavailable", true).unwrap_or(1);
    (missing >= nodes).then(|| match nodes {
        1 => "its only pod ends before the new one starts".to_owned(),
        n => format!("its pods on all {n} nodes may be away at once (maxUnavailable)"),
    })
}

#[cfg(test)]
#[path = "interrupts_tests.rs"]
mod tests;
