//! What can be wrong with an object without a kind of its own before anything is asked of the API.

use serde_json::json;

use super::cloudflare_object::{id_field, is_singleton, key_paths, own_name, zone_of};
use super::cloudflare_object_body::leads;
use super::support::{fields, is_special, items, text};
use crate::model::Json;
use crate::model::kind::Problem;
use crate::model::path;
use crate::model::scope::Scope;
use crate::model::value::{Special, canonical_text};

/// Collections that have kinds of their own, which know what the service does to their fields and
/// what hangs on them.
const KINDS: [(&str, &str); 10] = [
    ("/dns_records", "dns_record"),
    ("/cfd_tunnel", "tunnel"),
    ("/configurations", "tunnel_config"),
    ("/teamnet/routes", "tunnel_route"),
    ("/zerotrust/routes/hostname", "hostname_route"),
    ("/access/apps", "access_application"),
    ("/access/policies", "access_policy"),
    ("/access/groups", "access_group"),
    ("/access/service_tokens", "service_token"),
    ("/devices/policy", "split_tunnel"),
];
const PLACES: [&str; 2] = ["account_id", "zone_id"];

/// What is wrong with a spec as it is written.
pub(super) fn check(spec: &Json, scope: &Scope) -> Vec<Problem> {
    let mut problems = Vec::new();
    check_path(spec, scope, &mut problems);
    match is_singleton(spec) {
        true => check_singleton(spec, &mut problems),
        false => check_member(spec, &mut problems),
    }
    let body = spec.get("body").unwrap_or(&Json::Null);
    for field in ["immutable", "write_only"] {
        for (index, at) in items(spec, field).iter().enumerate() {
            if let Some(at) = at.as_str().filter(|at| !leads(body, at)) {
                let message = format!("`body` has no `{at}`");
                problems.push(Problem::error(path::index(field, index), message));
            }
        }
    }
    check_outputs(spec, &mut problems);
    problems
}

fn check_path(spec: &Json, scope: &Scope, problems: &mut Vec<Problem>) {
    // Of a path with references in it, what is not a reference is looked at.
    let written = canonical_text(spec.get("path").unwrap_or(&Json::Null));
    if written.contains("{zone_id}") {
        if let Err(problem) = zone_of(spec, scope) {
            problems.push(problem);
        }
    } else if spec.get("zone").is_some_and(|zone| !zone.is_null()) {
        problems.push(Problem::error("zone", "the path has no `{zone_id}`"));
    }
    let Some(at) = text(spec, "path") else { return };
    let mut wrong = |message: String, hint: &str| {
        problems.push(Problem::error("path", message).hint(hint));
    };
    let plain = at.trim_matches('/');
    if at.contains("://") || plain.starts_with("client/v4") {
        wrong(
            format!("`{at}` is more than the path"),
            "write what follows `/client/v4/`: `accounts/{account_id}/…`, `zones/{zone_id}/…`",
        );
    } else if plain.is_empty() || plain.contains(['?', '#', ' ']) || plain.split('/').any(bad) {
        wrong(format!("`{at}` is not a path"), "an example: `accounts/{account_id}/r2/buckets`");
    }
    let unknown = plain.split('{').skip(1).filter_map(|rest| rest.split_once('}'));
    if let Some((name, _)) = unknown.into_iter().find(|(name, _)| !PLACES.contains(name)) {
        wrong(
            format!("`{{{name}}}` stands for nothing"),
            "`{account_id}` and `{zone_id}` are filled in; other values are references (`${…}`)",
        );
    }
    if let Some((_, kind)) = KINDS.iter().find(|(end, _)| format!("/{plain}").ends_with(end)) {
        problems.push(
            Problem::warning("has-kind", "path", format!("`{kind}` is the kind for these"))
                .hint("it knows what guards what, and what the service does to its fields"),
        );
    }
}

fn bad(segment: &str) -> bool {
    segment.is_empty() || segment == "." || segment == ".."
}

fn check_singleton(spec: &Json, problems: &mut Vec<Problem>) {
    for field in ["key", "id", "per_page"] {
        if spec.get(field).is_some_and(|value| !value.is_null()) {
            let message = format!("a singleton is found by its path: it has no `{field}`");
            problems.push(Problem::error(field, message));
        }
    }
    if text(spec, "update") == Some("none") {
        let message = "a singleton is never made anew, so it has to be changed in place";
        problems.push(Problem::error("update", message));
    }
}

/// An object of a collection: it has to be found again when an answer was lost (contract 1.7).
fn check_member(spec: &Json, problems: &mut Vec<Problem>) {
    if spec.get("reset").is_some_and(|value| !value.is_null()) {
        let message = "only a singleton is set back; others are deleted";
        problems.push(Problem::error("reset", message));
    }
    let body = spec.get("body").unwrap_or(&Json::Null);
    let written = spec.get("key").is_some_and(|key| !key.is_null());
    let several = spec.get("key").is_some_and(Json::is_array);
    for (index, at) in key_paths(spec).iter().enumerate() {
        let place = if several { path::index("key", index) } else { "key".to_owned() };
        if path::get(body, at).is_none_or(Json::is_null) {
            let message = format!("`body` has no `{at}`");
            problems.push(Problem::error(if written { place } else { String::new() }, message));
        } else if path::get(body, at).is_some_and(is_secret) {
            let message = format!("`{at}` is secret, and nothing is found by a secret");
            problems.push(Problem::error(place, message));
        }
    }
    if key_paths(spec).is_empty() {
        problems.push(Problem::error("", "nothing tells it from others of its collection").hint(
            "name the fields of `body` that no other has: `key: title`. Without them, one \
                     whose answer was lost could not be found, and would be made twice",
        ));
    }
    if own_name(spec).is_some_and(|name| !name.is_string() && !is_special(name)) {
        let place = path::key("body", id_field(spec));
        problems.push(Problem::error(place, "what the API knows it by is a text"));
    }
}

fn is_secret(value: &Json) -> bool {
    matches!(Special::of(value), Some(Special::Secret(_)))
}

fn check_outputs(spec: &Json, problems: &mut Vec<Problem>) {
    let named = |field: &str| fields(spec.get(field).unwrap_or(&Json::Null));
    let plain = named("outputs");
    for field in ["outputs", "secrets"] {
        for (name, at) in named(field) {
            let place = path::key(field, &name);
            let first = name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
            let allowed =
                |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
            if !first || !name.chars().all(allowed) {
                let message = format!("`{name}` is no name for an output");
                let hint = "names are lower-case letters, digits, `-` and `_`";
                problems.push(Problem::error(place.clone(), message).hint(hint));
            }
            if name == "id" || field == "secrets" && plain.contains_key(&name) {
                let message = format!("there is an output `{name}` already");
                problems.push(Problem::error(place.clone(), message));
            }
            if at == json!("") {
                problems.push(Problem::error(place, "it says where answers have the value"));
            }
        }
    }
}
