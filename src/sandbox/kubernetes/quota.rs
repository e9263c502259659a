//! What a namespace uses of the things that a ResourceQuota counts, and what of them an object
//! would take more of.

use serde_json::Value;

use super::quantities::{canonical, nanos};
use super::resources::{Resource, namespaced};
use super::status::qualified;
use super::store::Store;
use super::value::{fields, items, text};

/// Billionths in one.
const NANO: i128 = 1_000_000_000;

/// Core kinds that a quota counts under their plain name too.
const COUNTED: [&str; 7] = [
    "pods",
    "services",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "replicationcontrollers",
    "resourcequotas",
];

/// One thing of which there would be too much.
struct Over<'a> {
    name: &'a str,
    more: i128,
    has: i128,
    limit: &'a str,
}

/// What a namespace uses of one thing such as `pods`, `requests.cpu` or `count/jobs.batch`.
pub fn used(store: &Store, namespace: &str, name: &str) -> String {
    let mut sum = 0;
    for (group, plural) in namespaced(store) {
        for object in store.list(&group, &plural, Some(namespace)) {
            sum += takes(&group, &plural, object, name).unwrap_or(0);
        }
    }
    written(sum, name)
}

/// Why a new object does not fit into its namespace's quotas, in the words of the quota admission.
pub fn exceeded(store: &Store, resource: &Resource, object: &Value) -> Option<String> {
    let namespace = text(object, "/metadata/namespace");
    store.list("", "resourcequotas", Some(namespace)).into_iter().find_map(|quota| {
        let mut quota = quota.clone();
        let hard = super::value::child(super::value::child(&mut quota, "spec"), "hard");
        let hard: Vec<(String, String)> = fields(hard)
            .iter()
            .map(|(name, limit)| (name.clone(), limit.as_str().unwrap_or_default().to_owned()))
            .collect();
        let quota = text(&quota, "/metadata/name");
        let unsaid: Vec<_> = hard
            .iter()
            .filter(|(name, _)| resource.is("", "pods") && !says(object, name))
            .collect();
        if !unsaid.is_empty() {
            let list: Vec<_> = unsaid
                .iter()
                .map(|(name, _)| format!("{name} for: {}", silent(object, name)))
                .collect();
            return Some(format!("failed quota: {quota}: must specify {}", list.join("; ")));
        }
        let over: Vec<Over<'_>> = hard
            .iter()
            .filter_map(|(name, limit)| {
                let more = takes(&resource.group, &resource.plural, object, name)?;
                let has = nanos(&used(store, namespace, name)).unwrap_or(0);
                (more > 0 && has + more > nanos(limit)?).then_some(Over { name, more, has, limit })
            })
            .collect();
        if over.is_empty() {
            return None;
        }
        let list = |of: fn(&Over<'_>) -> String| -> String {
            over.iter().map(|one| format!("{}={}", one.name, of(one))).collect::<Vec<_>>().join(",")
        };
        let requested = list(|one| written(one.more, one.name));
        let has = list(|one| written(one.has, one.name));
        let limited = list(|one| one.limit.to_owned());
        Some(format!(
            "exceeded quota: {quota}, requested: {requested}, used: {has}, limited: {limited}"
        ))
    })
}

/// Whether every container of a pod says what a quota on it wants said.
fn says(pod: &Value, name: &str) -> bool {
    silent(pod, name).is_empty()
}

/// The containers that don't.
fn silent(pod: &Value, name: &str) -> String {
    let Some((list, resource)) = computed(name) else { return String::new() };
    let unsaid = items(pod, "/spec/containers")
        .iter()
        .filter(|c| text(c, &format!("/resources/{list}/{resource}")).is_empty())
        .map(|c| text(c, "/name"));
    unsaid.collect::<Vec<_>>().join(",")
}

/// Where containers say what they want of a computed thing.
fn computed(name: &str) -> Option<(&'static str, &str)> {
    match name {
        "cpu" | "memory" | "ephemeral-storage" => Some(("requests", name)),
        _ => match name.split_once('.')? {
            ("requests", of @ ("cpu" | "memory" | "ephemeral-storage")) => Some(("requests", of)),
            ("limits", of @ ("cpu" | "memory" | "ephemeral-storage")) => Some(("limits", of)),
            _ => None,
        },
    }
}

/// What one object takes of a thing, in billionths; `None` where the thing is not about its kind.
fn takes(group: &str, plural: &str, object: &Value, name: &str) -> Option<i128> {
    let whole = format!("count/{}", qualified(plural, group));
    if name == whole {
        return Some(NANO);
    }
    if !group.is_empty() {
        return None;
    }
    if plural == "pods" {
        if matches!(text(object, "/status/phase"), "Succeeded" | "Failed") {
            return Some(0);
        }
        if let Some((list, resource)) = computed(name) {
            let of =
                |c: &Value| nanos(text(c, &format!("/resources/{list}/{resource}"))).unwrap_or(0);
            return Some(items(object, "/spec/containers").iter().map(of).sum());
        }
    }
    match (plural, name) {
        _ if plural == name && COUNTED.contains(&plural) => Some(NANO),
        ("persistentvolumeclaims", "requests.storage") => {
            nanos(text(object, "/spec/resources/requests/storage"))
        }
        ("services", "services.loadbalancers") => {
            Some(if text(object, "/spec/type") == "LoadBalancer" { NANO } else { 0 })
        }
        ("services", "services.nodeports") => {
            let open = matches!(text(object, "/spec/type"), "LoadBalancer" | "NodePort");
            let ports = items(object, "/spec/ports").len();
            Some(if open { i128::try_from(ports).unwrap_or(0) * NANO } else { 0 })
        }
        _ => None,
    }
}

/// A sum as a quantity: bytes in binary units, everything else in decimal ones.
fn written(sum: i128, name: &str) -> String {
    let bytes = name.contains("memory") || name.contains("storage");
    let text = if bytes && sum % (1024 * NANO) == 0 && sum > 0 {
        format!("{}Ki", sum / (1024 * NANO))
    } else if sum % NANO == 0 {
        (sum / NANO).to_string()
    } else {
        format!("{}m", sum / (NANO / 1000))
    };
    canonical(&text).unwrap_or(text)
}
