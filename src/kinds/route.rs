//! What the kinds of routes to tunnels share: by subnet and by hostname (contract 5).

use serde_json::json;

use super::forms::{self, Form, NormalForm, Rest, rule};
use super::support::{is_gone, pick, refused, remote_of, with_ignored};
use crate::model::call::{Answer, Call, Listing, Method, Paging, Service};
use crate::model::kind::{Kind, KindError, Next, Verb, Work};
use crate::model::observed::Remote;
use crate::model::{Json, JsonMap};

/// A field of the spec, and what the API calls it.
pub(super) type Names = [(&'static str, &'static str)];

/// The live routes of a collection.
pub(super) fn listing(collection: String) -> Listing {
    let call = Call::get(Service::Cloudflare, collection)
        .query("is_deleted", "false")
        .purpose("listing routes");
    Listing { call, paging: Paging::Pages(1000) }
}

/// Whether an item is only what is left of a deleted route.
pub(super) fn is_tombstone(item: &Json) -> bool {
    item.get("deleted_at").is_some_and(|at| !at.is_null())
}

/// A comment that the API leaves out, or has as null, is empty (contract 8).
pub(super) const COMMENT: NormalForm = rule("comment", Form::Absent(Rest::Text("")));

/// A route as it was read, in its normal forms.
pub(super) fn remote(id: &str, item: &Json, spec: JsonMap, rules: &[NormalForm]) -> Remote {
    let mut spec = spec;
    spec.extend(pick(item, &["comment"]));
    let mut outputs = JsonMap::new();
    outputs.insert("id".to_owned(), json!(id));
    Remote {
        id: id.to_owned(),
        spec: Json::Object(forms::read(rules, spec)),
        outputs,
        version: None,
        raw: item.clone(),
    }
}

fn body(spec: &Json, names: &Names) -> JsonMap {
    let said = names.iter().filter_map(|(field, name)| Some((*name, spec.get(*field)?)));
    said.map(|(name, value)| (name.to_owned(), value.clone())).collect()
}

/// What differs from what is there: a PATCH that changes nothing has been answered with 500
/// (contract 5.1).
fn patch(work: &Work<'_>, remote: &Remote, names: &Names) -> JsonMap {
    let mut wanted = with_ignored(work.spec, &remote.spec, work.ignore);
    if let (Some(map), true) = (wanted.as_object_mut(), work.removed.contains(&"comment".into())) {
        map.insert("comment".to_owned(), json!(""));
    }
    let mut out = body(&wanted, names);
    let there = body(&remote.spec, names);
    out.retain(|name, value| there.get(name) != Some(value));
    out
}

/// The next call of a step. `key` are the names that the API finds the route by.
pub(super) fn next(
    kind: &dyn Kind,
    work: &Work<'_>,
    answers: &[Answer],
    collection: String,
    names: &Names,
    key: &[&str],
) -> Result<Next, KindError> {
    let one = || {
        let remote = work.remote.ok_or_else(|| KindError::Answer("id".to_owned()))?;
        Ok::<_, KindError>((remote, format!("{collection}/{}", remote.id)))
    };
    match (work.verb, answers.last()) {
        (Verb::Delete, None) => {
            let (_, path) = one()?;
            let call = Call::change(Service::Cloudflare, Method::Delete, path);
            Ok(Next::call(call.tolerate(&[404]).purpose("deleting the route")))
        }
        (Verb::Delete, Some(answer)) if is_gone(answer) => Ok(Next::gone()),
        (Verb::Delete, Some(answer)) => Err(refused(answer, None)),
        (_, Some(answer)) => Ok(Next::done(remote_of(kind.read(&answer.body, work.scope))?)),
        (Verb::Create, None) => {
            let body = body(work.spec, names);
            let mut named = body.clone();
            named.retain(|name, _| key.contains(&name.as_str()));
            let call = Call::change(Service::Cloudflare, Method::Post, collection)
                .body(Json::Object(body))
                .key(named)
                .purpose("creating the route");
            Ok(Next::call(call))
        }
        (Verb::Update | Verb::Widen, None) => {
            let (remote, path) = one()?;
            let body = patch(work, remote, names);
            if body.is_empty() {
                return Ok(Next::done(remote.clone()));
            }
            let call = Call::change(Service::Cloudflare, Method::Patch, path)
                .body(Json::Object(body))
                .purpose("changing the route");
            Ok(Next::call(call))
        }
    }
}
