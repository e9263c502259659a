//! The body of an object without a kind of its own: what of an answer it says something of, and
//! what is sent when it changes.

use serde_json::json;

use super::support::{fields, is_special, items, with_ignored};
use crate::model::kind::Work;
use crate::model::path;
use crate::model::value::{Special, each_special};
use crate::model::{Json, JsonMap};

fn holds_secret(value: &Json) -> bool {
    let mut found = false;
    each_special(value, &mut |special| found |= matches!(special, Special::Secret(_)));
    found
}

/// What of an object the body says something of: its fields, and of its lists' items theirs. A list
/// with a secret in it is not looked at, since its order is the service's.
pub(super) fn view(body: &Json, seen: &Json, at: &str) -> Option<Json> {
    match (body, seen) {
        (Json::Object(map), Json::Object(there)) if !is_special(body) => {
            let mut out = JsonMap::new();
            for (name, value) in map {
                let below = path::key(at, name);
                let found = there.get(name).and_then(|seen| view(value, seen, &below));
                out.extend(found.map(|value| (name.clone(), value)));
            }
            Some(Json::Object(out))
        }
        _ if holds_secret(body) => None,
        (Json::Array(said), Json::Array(there)) => {
            let items = there.iter().enumerate().map(|(index, seen)| {
                let below = path::index(at, index);
                said.get(index)
                    .and_then(|item| view(item, seen, &below))
                    .unwrap_or_else(|| seen.clone())
            });
            Some(items.collect())
        }
        _ => Some(seen.clone()),
    }
}

/// Takes out everything that a pattern covers.
fn strip(value: &mut Json, at: &str, patterns: &[String]) {
    match value {
        Json::Object(map) => {
            map.retain(|name, _| !path::covered(patterns, &path::key(at, name)));
            for (name, value) in map {
                strip(value, &path::key(at, name), patterns);
            }
        }
        Json::Array(list) => {
            for (index, value) in list.iter_mut().enumerate() {
                let below = path::index(at, index);
                if path::covered(patterns, &below) {
                    *value = Json::Null;
                }
                strip(value, &below, patterns);
            }
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

/// The paths of the body where secrets are sent.
fn secret_paths(body: &Json, at: &str, out: &mut Vec<String>) {
    match body {
        Json::Object(map) if !is_special(body) => {
            map.iter().for_each(|(name, value)| secret_paths(value, &path::key(at, name), out));
        }
        _ if holds_secret(body) => out.push(at.to_owned()),
        _ => {}
    }
}

/// An answer without its secrets, and without what is not to be looked at.
pub(super) fn take_hidden(item: &Json, spec: &Json) -> Json {
    let mut hidden: Vec<String> =
        items(spec, "write_only").iter().filter_map(Json::as_str).map(str::to_owned).collect();
    let secrets = fields(spec.get("secrets").unwrap_or(&Json::Null));
    hidden.extend(secrets.values().filter_map(Json::as_str).map(str::to_owned));
    secret_paths(spec.get("body").unwrap_or(&Json::Null), "", &mut hidden);
    let mut out = item.clone();
    strip(&mut out, "", &hidden);
    out
}

/// The body with what is left to others as it is at the service.
fn wanted(work: &Work<'_>, raw: &Json) -> Json {
    let whole = json!({"body": work.spec.get("body")});
    let there = json!({"body": raw});
    let ignored = with_ignored(&whole, &there, work.ignore);
    ignored.get("body").cloned().unwrap_or_default()
}

fn sent(work: &Work<'_>) -> Option<Json> {
    work.sent.and_then(|sent| sent.get("body")).cloned()
}

/// Whether a value is at the service as it is asked for, and was sent so. Of what can't be read, that
/// it was sent is all there is to know.
fn stands(value: &Json, sent: Option<&Json>, there: Option<&Json>, unread: bool) -> bool {
    let seen = there.and_then(|there| view(value, there, ""));
    sent == Some(value) && (unread || seen.as_ref() == Some(value))
}

/// The fields of the body that are not at the service as they are asked for, or were not sent so.
fn differing(work: &Work<'_>, body: &Json, raw: &Json) -> JsonMap {
    let before = sent(work);
    let mut out = fields(body);
    out.retain(|name, value| {
        let sent = before.as_ref().and_then(|before| before.get(name));
        let write_only = items(work.spec, "write_only").contains(&json!(name));
        let unread = write_only || holds_secret(value);
        let ignored = path::covered(work.ignore, &path::key("body", name));
        !ignored && !stands(value, sent, raw.get(name), unread)
    });
    out
}

/// The whole body; None where nothing of it changes.
pub(super) fn put(work: &Work<'_>, raw: &Json) -> Option<Json> {
    let body = wanted(work, raw);
    let changes = !work.removed.is_empty() || !differing(work, &body, raw).is_empty();
    changes.then_some(body)
}

/// The fields that differ, and null for those that left the files (RFC 7396); None where nothing
/// does.
pub(super) fn patch(work: &Work<'_>, raw: &Json) -> Option<Json> {
    let body = wanted(work, raw);
    let out = differing(work, &body, raw);
    let mut out = Json::Object(out);
    for at in work.removed.iter().filter_map(|at| at.strip_prefix("body.")) {
        path::put(&mut out, at, Json::Null);
    }
    let is_empty = out.as_object().is_none_or(JsonMap::is_empty);
    (!is_empty).then_some(out)
}

/// Whether a path leads to something in a body.
pub(super) fn leads(body: &Json, at: &str) -> bool {
    let first = path::segments(at).into_iter().next().unwrap_or_default();
    body.get(first).is_some()
}
