//! What an Access application's full replacement consists of: destinations, policies, and what was
//! read (contract 6.1).

use serde_json::json;

use super::access_application_policy::is_own;
use super::access_rules::network;
use super::support::{fields, hostname, interleave, items, text, with_ignored};
use crate::model::kind::Work;
use crate::model::path;
use crate::model::{Json, JsonMap};

pub(super) const SERVER_SET: [&str; 6] =
    ["id", "uid", "aud", "created_at", "updated_at", "domain_type"];
/// Where one is declared, the service makes the others from it (contract 6.1).
pub(super) const GUARDED: [&str; 3] = ["domain", "destinations", "self_hosted_domains"];

/// A domain as the API answers it: the host in lower case, the path as it is.
pub(super) fn canonical_domain(domain: &str) -> String {
    let domain = domain.trim();
    match domain.split_once('/') {
        Some((host, path)) if !path.is_empty() => format!("{}/{path}", hostname(host)),
        Some((host, _)) => hostname(host),
        None => hostname(domain),
    }
}

pub(super) fn host_of(domain: &str) -> String {
    hostname(domain.split('/').next().unwrap_or(domain))
}

pub(super) fn public(domain: &str) -> Json {
    json!({"type": "public", "uri": canonical_domain(domain)})
}

pub(super) fn canonical_destination(value: &Json) -> Json {
    let Some(map) = value.as_object().filter(|_| !super::support::is_special(value)) else {
        return value.clone();
    };
    let mut out = JsonMap::new();
    let kind = map.get("type").cloned().unwrap_or_else(|| json!("public"));
    out.insert("type".to_owned(), kind);
    for (key, value) in map.iter().filter(|(key, value)| *key != "type" && !value.is_null()) {
        let value = match (key.as_str(), value.as_str()) {
            ("uri", Some(uri)) => json!(canonical_domain(uri)),
            ("hostname", Some(host)) => json!(hostname(host)),
            ("cidr", Some(_)) => network(value),
            _ => value.clone(),
        };
        out.insert(key.clone(), value);
    }
    Json::Object(out)
}

pub(super) fn canonical_list(value: &Json, item: impl Fn(&Json) -> Json) -> Json {
    value
        .as_array()
        .map_or_else(|| value.clone(), |list| json!(list.iter().map(item).collect::<Vec<_>>()))
}

pub(super) fn spelt_domain(domain: &Json) -> Json {
    domain.as_str().map_or_else(|| domain.clone(), |text| json!(canonical_domain(text)))
}

pub(super) fn observed_policies(raw: &Json) -> Vec<Json> {
    let mut policies: Vec<&Json> = items(raw, "policies").iter().collect();
    policies.sort_by_key(|policy| policy.get("precedence").and_then(Json::as_u64));
    policies.iter().filter_map(|policy| policy.get("id").cloned()).collect()
}

/// Policies at the service that neither were sent nor are declared.
pub(super) fn foreign_policies(
    sent: Option<&Json>,
    declared: Option<&Json>,
    observed: &[Json],
) -> Vec<Json> {
    let known = |id: &&Json| {
        [sent, declared].into_iter().flatten().any(|spec| items(spec, "policies").contains(id))
    };
    observed.iter().filter(|id| !known(id)).cloned().collect()
}

pub(super) fn shares(shared: &[String], field: &str) -> bool {
    shared.iter().any(|path| path == field || path == "**")
}

/// The policy on the application as an item of a write: a link to a reusable one; one of the
/// application's own whole, since a bare link would lose it.
pub(super) fn policy_item(id: &Json, index: usize, raw: &Json) -> Json {
    let own = items(raw, "policies").iter().find(|p| p.get("id") == Some(id) && is_own(p));
    let mut item = own.map(fields).unwrap_or_default();
    for name in ["uid", "created_at", "updated_at", "reusable", "app_id"] {
        item.shift_remove(name);
    }
    item.insert("id".to_owned(), id.clone());
    item.insert("precedence".to_owned(), json!(index + 1));
    Json::Object(item)
}

pub(super) fn policy_items(ids: &[Json], raw: &Json) -> Json {
    json!(ids.iter().enumerate().map(|(at, id)| policy_item(id, at, raw)).collect::<Vec<_>>())
}

/// The policies to send: None leaves those there are (contract 6.1.1).
pub(super) fn policies_to_send(work: &Work<'_>, raw: &Json) -> Option<Json> {
    let observed = observed_policies(raw);
    if path::covered(work.ignore, "policies") {
        return None;
    }
    let ids = match work.spec.get("policies") {
        Some(_) => {
            let declared = items(work.spec, "policies");
            if shares(work.shared, "policies") {
                let foreign = foreign_policies(work.sent, Some(work.spec), &observed);
                interleave(&observed, |id| foreign.contains(id), declared)
            } else {
                declared.to_vec()
            }
        }
        None if work.removed.iter().any(|path| path == "policies") => {
            foreign_policies(work.sent, None, &observed)
        }
        None => return None,
    };
    Some(policy_items(&ids, raw))
}

/// What the application guards, as destinations.
pub(super) fn guarded(raw: &Json) -> Vec<Json> {
    let destinations = items(raw, "destinations");
    if !destinations.is_empty() {
        return destinations.iter().map(canonical_destination).collect();
    }
    let domains = items(raw, "self_hosted_domains").iter().filter_map(Json::as_str);
    let mut found: Vec<Json> = domains.map(public).collect();
    if found.is_empty() {
        found.extend(text(raw, "domain").map(public));
    }
    found
}

/// What the spec guards, as destinations.
pub(super) fn wanted(spec: &Json) -> Vec<Json> {
    guarded(spec)
}

/// Declares a domain while what others added beside the old one stays.
pub(super) fn move_domain(body: &mut JsonMap, raw: &Json, new: &str) {
    let old = text(raw, "domain").map(canonical_domain).unwrap_or_default();
    let mut destinations: Vec<Json> = Vec::new();
    for item in guarded(raw) {
        let item = if item == public(&old) { public(new) } else { item };
        if !destinations.contains(&item) {
            destinations.push(item);
        }
    }
    if destinations == [public(new)] || destinations.is_empty() {
        body.shift_remove("destinations");
    } else {
        body.insert("destinations".to_owned(), Json::Array(destinations));
    }
    body.shift_remove("self_hosted_domains");
}

/// The body of a full replacement: what was read less what the service sets, what left the files
/// taken out, and the declared fields on top. Undeclared policies stay as they are.
pub(super) fn replacement_body(work: &Work<'_>, raw: &Json) -> JsonMap {
    let mut body = fields(raw);
    body.retain(|key, value| !SERVER_SET.contains(&key.as_str()) && !value.is_null());
    body.shift_remove("policies");
    for path in work.removed {
        let mut value = Json::Object(body);
        path::take(&mut value, path);
        body = fields(&value);
    }
    let mut spec = fields(&with_ignored(work.spec, raw, work.ignore));
    spec.shift_remove("policies");
    if shares(work.shared, "destinations") && spec.contains_key("destinations") {
        let observed = guarded(raw);
        let ours = items(work.spec, "destinations");
        let sent = work.sent.map(wanted).unwrap_or_default();
        let foreign = |item: &Json| !ours.contains(item) && !sent.contains(item);
        let merged = interleave(&observed, foreign, ours);
        spec.insert("destinations".to_owned(), Json::Array(merged));
    }
    let several = spec.contains_key("destinations") || spec.contains_key("self_hosted_domains");
    if several {
        GUARDED.iter().for_each(|field| {
            body.shift_remove(*field);
        });
    } else if let Some(domain) = spec.get("domain").and_then(Json::as_str) {
        move_domain(&mut body, raw, domain);
    }
    body.extend(spec);
    if let Some(policies) = policies_to_send(work, raw) {
        body.insert("policies".to_owned(), policies);
    }
    body
}

/// The application as it is, with the new destinations beside the old ones.
pub(super) fn widened_body(work: &Work<'_>, raw: &Json) -> JsonMap {
    let mut body = fields(raw);
    body.retain(|key, value| !SERVER_SET.contains(&key.as_str()) && !value.is_null());
    body.shift_remove("policies");
    body.shift_remove("self_hosted_domains");
    let mut destinations = guarded(raw);
    for item in wanted(work.spec) {
        if !destinations.contains(&item) {
            destinations.push(item);
        }
    }
    body.insert("destinations".to_owned(), Json::Array(destinations));
    body
}

/// The application less the policies that were put on it; None where it has none of them.
pub(super) fn emptied_body(work: &Work<'_>, raw: &Json) -> Option<JsonMap> {
    let ours = items(work.spec, "policies");
    let observed = observed_policies(raw);
    let left: Vec<Json> = observed.iter().filter(|id| !ours.contains(id)).cloned().collect();
    if left.len() == observed.len() {
        return None;
    }
    let mut body = fields(raw);
    body.retain(|key, value| !SERVER_SET.contains(&key.as_str()) && !value.is_null());
    body.insert("policies".to_owned(), policy_items(&left, raw));
    Some(body)
}

pub(super) fn create_body(spec: &Json) -> JsonMap {
    let mut body = fields(spec);
    if body.contains_key("policies") {
        body.insert("policies".to_owned(), policy_items(items(spec, "policies"), &Json::Null));
    }
    body
}
