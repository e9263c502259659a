//! What may be seen of `kind: Secret` objects: their keys, never their values.
//!
//! Nothing is recorded of a value, so a changed one is found in two ways. What someone else wrote
//! shows in the owners: a field that boxctl applied and owns no more, or an entry of boxctl's that
//! is newer than the record ([`crate::model::observed::Remote::version`] is that entry's time). What
//! the manifest changed shows in a dry-run, whose answer is compared with the live object: both hold
//! values, which are made marks of ([`mark`]) as soon as they are read. Without the permission for a
//! dry-run only the first way is left, and such a plan is unchecked.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::OnceLock;

use crate::model::value::{Special, each_special};
use crate::model::{Json, JsonMap};

use super::fields::Path;

/// What stands for a value.
pub const HIDDEN: &str = "(secret)";

/// The annotation in which `kubectl apply` notes what it applied.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Whether an object or manifest is a core Secret.
pub fn is_secret(object: &Json) -> bool {
    object.get("kind").and_then(Json::as_str) == Some("Secret")
        && object.get("apiVersion").and_then(Json::as_str).is_none_or(|v| !v.contains('/'))
}

fn map_values(object: &Json, hide: impl Fn(&Json) -> Json) -> Json {
    let mut out = object.clone();
    if !is_secret(object) {
        return out;
    }
    for field in ["data", "stringData"] {
        if let Some(map) = out.get_mut(field).and_then(Json::as_object_mut) {
            map.values_mut().for_each(|value| *value = hide(value));
        }
    }
    if let Some(annotations) =
        out.pointer_mut("/metadata/annotations").and_then(Json::as_object_mut)
        && let Some(value) = annotations.get_mut(LAST_APPLIED)
    {
        *value = hide(value);
    }
    out
}

/// A manifest as the server keeps it: what a Secret says as `stringData` is there as `data`.
pub fn kept(manifest: &Json) -> Json {
    let mut out = manifest.clone();
    if !is_secret(manifest) {
        return out;
    }
    let Some(map) = out.as_object_mut() else { return out };
    if let Some(Json::Object(texts)) = map.shift_remove("stringData") {
        let data = map.entry("data").or_insert_with(|| Json::Object(JsonMap::new()));
        if let Json::Object(data) = data {
            data.extend(texts);
        }
    }
    out
}

/// The object with [`HIDDEN`] for every value, where it is a Secret; as it is otherwise.
pub fn hide(object: &Json) -> Json {
    map_values(object, |_| Json::String(HIDDEN.to_owned()))
}

/// The object with a mark for every value, where it is a Secret: equal values have equal marks
/// within this process, and the key of the marks is gone with it, so none can be traced back.
pub fn mark(object: &Json) -> Json {
    static KEY: OnceLock<RandomState> = OnceLock::new();
    let key = KEY.get_or_init(RandomState::new);
    map_values(object, |value| match value.as_str() {
        Some(text) if text.starts_with("(secret") => value.clone(),
        _ => Json::String(format!("(secret {:016x})", key.hash_one(value.to_string()))),
    })
}

/// Whether what a path leads to may not be seen: a value of a Secret, by the object or manifest, or
/// what a manifest puts a secret into.
pub fn hides(path: &str, objects: &[Option<&Json>]) -> bool {
    objects.iter().flatten().any(|object| {
        if is_secret(object) && is_value(path) {
            return true;
        }
        let mut found = false;
        if let Some(value) = Path::parse(path).and_then(|path| path.get(object)) {
            each_special(value, &mut |special| found |= matches!(special, Special::Secret(_)));
        }
        found
    })
}

/// Whether a path leads to a value, in a Secret.
fn is_value(path: &str) -> bool {
    ["data", "stringData"].into_iter().any(|field| {
        path.strip_prefix(field).is_some_and(|r| r.is_empty() || r.starts_with(['.', '[']))
    }) || (path.starts_with("metadata.annotations") && path.contains(LAST_APPLIED))
}
