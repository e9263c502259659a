//! An object of the Cloudflare API that has no kind of its own: paths, key and body are the file's.
//!
//! It is known by its path: `accounts/…/storage/kv/namespaces/0f2a…`. What the service adds to it
//! is left alone and not kept; secrets are taken out of what is read before anything sees it.

use serde_json::json;

use super::cloudflare_object_body::{leads, take_hidden, view};
use super::cloudflare_object_check;
pub use super::cloudflare_object_spec::CloudflareObjectSpec;
use super::cloudflare_object_steps::{self, call, get};
use super::compare::{self, Compared};
use super::support::{fields, flag, items, moment, text};
use crate::model::call::{Answer, Call, Listing, Method, Paging, Service};
use crate::model::kind::{
    Diffed, Facts, Kind, KindError, Leaving, Locate, Named, Next, Output, Problem, Shows, Work,
    Written,
};
use crate::model::observed::Remote;
use crate::model::path;
use crate::model::scope::{Need, Scope, Zone};
use crate::model::value::{canonical_text, has_unknown};
use crate::model::{Json, JsonMap};

/// The kind `cloudflare_object`.
pub struct CloudflareObject;

/// Fields that say how to work, and are not compared.
const APART: [&str; 8] =
    ["key", "id", "singleton", "update", "per_page", "reset", "immutable", "write_only"];
const PER_PAGE: u32 = 100;
/// What the service's own fields of when an object was made are called.
const MADE: [&str; 4] = ["created_at", "created_on", "creation_date", "created"];

/// The field of answers that holds the id.
pub(super) fn id_field(spec: &Json) -> &str {
    text(spec, "id").unwrap_or("id")
}

pub(super) fn is_singleton(spec: &Json) -> bool {
    flag(spec, "singleton") == Some(true)
}

/// The id where the body has it.
pub(super) fn own_name(spec: &Json) -> Option<&Json> {
    if is_singleton(spec) { None } else { spec.get("body")?.get(id_field(spec)) }
}

/// The paths of the body that tell the object from others.
pub(super) fn key_paths(spec: &Json) -> Vec<String> {
    let several = || items(spec, "key").iter().filter_map(Json::as_str).map(str::to_owned);
    match (text(spec, "key"), own_name(spec)) {
        (Some(one), _) => vec![one.to_owned()],
        (None, Some(_)) if spec.get("key").is_none() => vec![id_field(spec).to_owned()],
        (None, _) => several().collect(),
    }
}

/// The zone that `{zone_id}` means.
pub(super) fn zone_of(spec: &Json, scope: &Scope) -> Result<Zone, Problem> {
    let known = || scope.zones.iter().map(|zone| zone.name.as_str()).collect::<Vec<_>>().join(", ");
    match (text(spec, "zone"), scope.zones.as_slice()) {
        (Some(said), zones) => {
            let plain = super::support::hostname(said);
            let found = zones.iter().find(|zone| zone.name == plain || zone.id == said);
            found.cloned().ok_or_else(|| {
                Problem::error("zone", format!("the project has no zone `{said}`"))
                    .hint(format!("its zones are: {}", known()))
            })
        }
        (None, [one]) => Ok(one.clone()),
        (None, _) => Err(Problem::error("path", "`{zone_id}` may be any of several zones")
            .hint(format!("write `zone: NAME`; the project's zones are: {}", known()))),
    }
}

/// A segment of a path, with what has a meaning of its own encoded.
fn segment(value: &Json) -> Option<String> {
    let plain = match value {
        Json::String(text) if !text.is_empty() => text.clone(),
        Json::Number(number) => number.to_string(),
        _ => return None,
    };
    let encoded: String = url::form_urlencoded::byte_serialize(plain.as_bytes()).collect();
    Some(encoded.replace('+', "%20"))
}

/// The path of the object with this id.
fn one(spec: &Json, id: &Json) -> Option<String> {
    Some(format!("{}/{}", text(spec, "path")?, segment(id)?))
}

/// What compares and what is kept of an object, as far as the body says something of it.
fn seen_as(spec: &Json, body: &Json, raw: &Json) -> Json {
    let mut out = JsonMap::new();
    for name in ["path", "outputs", "secrets"] {
        if let Some(value) = spec.get(name) {
            out.insert(name.to_owned(), value.clone());
        }
    }
    out.insert("body".to_owned(), view(body, raw, "").unwrap_or_else(|| json!({})));
    Json::Object(out)
}

/// The fields of both, so that what left the files is looked at as well.
fn both(declared: &Json, sent: Option<&Json>) -> Json {
    let (Some(map), Some(sent)) = (declared.as_object(), sent.and_then(Json::as_object)) else {
        return declared.clone();
    };
    if super::support::is_special(declared) {
        return declared.clone();
    }
    let mut out = map.clone();
    for (key, old) in sent {
        let value = out.get(key).map(|value| both(value, Some(old)));
        out.insert(key.clone(), value.unwrap_or_else(|| old.clone()));
    }
    Json::Object(out)
}

pub(super) fn body_of(spec: &Json) -> &Json {
    spec.get("body").unwrap_or(&Json::Null)
}

impl Kind for CloudflareObject {
    fn name(&self) -> &'static str {
        "cloudflare_object"
    }

    fn doc(&self) -> &'static str {
        "An object of the Cloudflare API that has no kind of its own: its path, its key, its body."
    }

    fn service(&self) -> Service {
        Service::Cloudflare
    }

    fn schema(&self) -> schemars::Schema {
        schemars::schema_for!(CloudflareObjectSpec)
    }

    fn outputs(&self) -> &'static [Output] {
        &[Output { name: "id", secret: false, doc: "What the API knows it by." }]
    }

    fn named_outputs(&self, spec: &Json) -> Vec<Named> {
        let mut out = Vec::new();
        for (field, secret) in [("outputs", false), ("secrets", true)] {
            for (name, at) in fields(spec.get(field).unwrap_or(&Json::Null)) {
                let Some(at) = at.as_str() else { continue };
                let steps = path::segments(at).into_iter();
                let steps = steps.map(|step| format!("/{}", step.trim_matches(['[', ']', '"'])));
                // What was sent is not learnt from an answer, which may mask it.
                let sent = secret && path::get(body_of(spec), at).is_some();
                out.push(Named { name, pointer: (!sent).then(|| steps.collect()), secret });
            }
        }
        out
    }

    fn known_outputs(&self, spec: &Json, _scope: &Scope) -> JsonMap {
        let name = own_name(spec).filter(|name| name.is_string()).cloned();
        name.map(|name| ("id".to_owned(), name)).into_iter().collect()
    }

    fn check(&self, spec: &Json, scope: &Scope) -> Vec<Problem> {
        cloudflare_object_check::check(spec, scope)
    }

    fn needs(&self, spec: &Json) -> Vec<Need> {
        // A path with a reference in it is a node that has the text.
        let written = canonical_text(spec.get("path").unwrap_or(&Json::Null));
        if written.contains("{zone_id}") { vec![Need::Zones] } else { Vec::new() }
    }

    fn declare(&self, spec: &Json, scope: &Scope) -> Result<Json, Problem> {
        let mut out = fields(spec);
        out.retain(|name, value| name == "body" || !value.is_null());
        if let Some(at) = text(spec, "path") {
            let mut at = at.trim_matches('/').replace("{account_id}", &scope.account_id);
            if at.contains("{zone_id}") {
                let zone = zone_of(spec, scope)?;
                // Before the network a zone may be known by its name only.
                let id = if zone.id.is_empty() { zone.name } else { zone.id };
                at = at.replace("{zone_id}", &id);
            }
            out.insert("path".to_owned(), json!(at));
            out.shift_remove("zone");
        }
        if let Some(key) = text(spec, "key") {
            out.insert("key".to_owned(), json!([key]));
        }
        Ok(Json::Object(out))
    }

    fn locate(&self, spec: Option<&Json>, id: Option<&str>, _scope: &Scope) -> Option<Locate> {
        let spec = spec?;
        let at = text(spec, "path")?;
        if is_singleton(spec) {
            return Some(Locate::By(get(at)));
        }
        if let Some(name) = own_name(spec) {
            let path = id.map(str::to_owned).or_else(|| one(spec, name))?;
            return Some(Locate::By(get(&path)));
        }
        let per_page = spec.get("per_page").and_then(Json::as_u64);
        let paging = match per_page.map_or(PER_PAGE, |n| u32::try_from(n).unwrap_or(PER_PAGE)) {
            0 => Paging::One,
            size => Paging::Pages(size),
        };
        let call = call(Method::Get, at).purpose("listing the objects of the collection");
        Some(Locate::In(vec![Listing { call, paging }]))
    }

    /// Without a spec there is nothing to read it by.
    fn read(&self, _item: &Json, _scope: &Scope) -> Vec<Remote> {
        Vec::new()
    }

    fn read_as(&self, spec: &Json) -> String {
        spec.to_string()
    }

    fn read_by(&self, spec: &Json, item: &Json, _scope: &Scope) -> Vec<Remote> {
        let (Some(at), true) = (text(spec, "path"), item.is_object()) else { return Vec::new() };
        let found = item.get(id_field(spec)).cloned();
        let id = match is_singleton(spec) {
            true => Some(at.to_owned()),
            false => found.as_ref().and_then(|id| one(spec, id)),
        };
        let Some(id) = id else { return Vec::new() };
        let named = self.named_outputs(spec);
        let raw = take_hidden(item, spec);
        let mut outputs = JsonMap::new();
        outputs.extend(found.map(|id| ("id".to_owned(), id)));
        for output in named.into_iter().filter(|output| !output.secret) {
            let value = output.pointer.and_then(|pointer| raw.pointer(&pointer));
            if let Some(value) = value {
                outputs.insert(output.name, value.clone());
            }
        }
        let spec = seen_as(spec, body_of(spec), &raw);
        vec![Remote { id, spec, outputs, version: None, raw }]
    }

    fn fetch(&self, id: &str, _scope: &Scope) -> Option<Call> {
        Some(get(id))
    }

    /// Items of some lists have less than the objects: rulesets' have no rules (contract 7.8).
    fn is_whole(&self, spec: &Json, remote: &Remote) -> bool {
        let mut said = fields(&take_hidden(body_of(spec), spec));
        said.retain(|_, value| !value.is_null());
        let outputs = fields(spec.get("outputs").unwrap_or(&Json::Null));
        said.keys().all(|name| remote.raw.get(name).is_some())
            && outputs.values().filter_map(Json::as_str).all(|at| leads(&remote.raw, at))
    }

    fn fits(&self, spec: &Json, remote: &Remote) -> bool {
        if is_singleton(spec) {
            return text(spec, "path") == Some(&remote.id);
        }
        let same = |at: &String| {
            let wanted = path::get(body_of(spec), at).filter(|value| !has_unknown(value));
            let there = path::get(&remote.raw, at);
            wanted.is_some() && wanted.map(canonical_text) == there.map(canonical_text)
        };
        let key = key_paths(spec);
        !key.is_empty() && key.iter().all(same)
    }

    fn key(&self, spec: &Json) -> JsonMap {
        let mut out = JsonMap::new();
        out.extend(spec.get("path").map(|at| ("path".to_owned(), at.clone())));
        for at in key_paths(spec) {
            out.extend(path::get(body_of(spec), &at).map(|value| (at.clone(), value.clone())));
        }
        out
    }

    fn made_at(&self, remote: &Remote) -> Option<jiff::Timestamp> {
        MADE.iter().find_map(|name| moment(remote.raw.get(*name)))
    }

    /// What is there as the service writes it need not be what was sent to the letter: of an object
    /// with the key of a lost create, what is not shown or only spelt otherwise says nothing.
    fn shows(&self, written: &Written<'_>, remote: &Remote) -> Shows {
        let wanted = body_of(&written.then.sent);
        let seen = view(wanted, &remote.raw, "").unwrap_or_default();
        if reads_as(wanted, &seen) { Shows::Taken } else { Shows::Unclear }
    }

    fn modified_at(&self, remote: &Remote) -> Option<jiff::Timestamp> {
        super::support::modified(&remote.raw)
    }

    fn diff(&self, facts: &Facts<'_>) -> Diffed {
        let seen = |body: &Json, by: &Json| Remote {
            spec: seen_as(by, body, &facts.remote.raw),
            ..facts.remote.clone()
        };
        let how = || Compared { apart: &APART, ..Compared::default() };
        let mut out = Diffed::default();
        if let Some(sent) = facts.sent {
            let remote = seen(body_of(sent), sent);
            let facts = Facts { declared: None, remote: &remote, ..*facts };
            out.drift = compare::fields(&facts, how()).drift;
        }
        if let Some(declared) = facts.declared {
            let by = facts.sent.unwrap_or(declared);
            let body = both(body_of(declared), facts.sent.map(body_of));
            let remote = seen(&body, by);
            let left: Vec<String> = items(declared, "write_only")
                .iter()
                .filter_map(|at| Some(path::key("body", at.as_str()?)))
                .collect();
            // What can't be read makes no difference to decide about.
            let ignore: Vec<String> = match facts.sent {
                None => facts.ignore.iter().cloned().chain(left).collect(),
                Some(_) => facts.ignore.to_vec(),
            };
            let facts = Facts { remote: &remote, ignore: &ignore, ..*facts };
            let compared = compare::fields(&facts, how());
            out.changes = compared.changes;
            out.removed = compared.removed;
        }
        out
    }

    fn answered(&self, sent: &Json, remote: &Remote) -> Option<Json> {
        Some(seen_as(sent, body_of(sent), &remote.raw))
    }

    fn replaces(&self, at: &str, spec: &Json, _remote: &Remote) -> Option<String> {
        if at == "path" {
            return Some("it is in another collection".to_owned());
        }
        let field = at.strip_prefix("body.")?;
        if own_name(spec).is_some() && field == id_field(spec) {
            return Some(format!("`{field}` is what the API knows it by"));
        }
        let fixed = items(spec, "immutable").iter().filter_map(Json::as_str);
        if fixed.into_iter().any(|fixed| path::covers(fixed, field)) {
            return Some(format!("`{field}` cannot be changed, the file says (`immutable`)"));
        }
        (text(spec, "update") == Some("none"))
            .then(|| "it cannot be changed, the file says (`update: none`)".to_owned())
    }

    fn leaving(&self, sent: &Json) -> Leaving {
        match (is_singleton(sent), sent.get("reset")) {
            (false, _) => Leaving::Deleted,
            (true, Some(_)) => Leaving::Emptied("the object stays, and is set back to `reset`"),
            (true, None) => Leaving::Left("the API has one of it: it stays as it is"),
        }
    }

    fn next(&self, work: &Work<'_>, answers: &[Answer]) -> Result<Next, KindError> {
        cloudflare_object_steps::next(self, work, answers)
    }

    /// Nothing is known of how an API makes its secrets.
    fn is_chosen(&self, _spec: &Json, _output: &str) -> bool {
        true
    }

    fn reveal(&self, remote: &Remote, output: &str, _scope: &Scope) -> Option<(Call, String)> {
        let named = self.named_outputs(&remote.spec).into_iter();
        let found = named.filter(|named| named.secret).find(|named| named.name == output)?;
        Some((get(&remote.id), found.pointer?))
    }
}

/// The secrets that a file writes into the body itself: output, path in the spec and text.
pub fn literal_secrets(spec: &Json) -> Vec<(String, String, String)> {
    let named = fields(spec.get("secrets").unwrap_or(&Json::Null)).into_iter();
    let found = named.filter_map(|(name, at)| {
        let at = at.as_str()?;
        let text = path::get(body_of(spec), at)?.as_str()?;
        Some((name, format!("body.{at}"), text.to_owned()))
    });
    found.collect()
}

/// Whether what is there may be what was asked for: what it lacks and letters' cases say nothing.
fn reads_as(wanted: &Json, seen: &Json) -> bool {
    match (wanted, seen) {
        (Json::Object(wanted), Json::Object(seen)) => wanted
            .iter()
            .all(|(name, value)| seen.get(name).is_none_or(|seen| reads_as(value, seen))),
        (Json::Array(wanted), Json::Array(seen)) => {
            wanted.len() == seen.len() && wanted.iter().zip(seen).all(|(a, b)| reads_as(a, b))
        }
        (Json::String(wanted), Json::String(seen)) => wanted.eq_ignore_ascii_case(seen),
        _ => wanted == seen,
    }
}

#[cfg(test)]
#[path = "cloudflare_object_tests.rs"]
mod tests;
