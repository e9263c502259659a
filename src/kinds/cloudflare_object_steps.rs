//! The calls by which an object without a kind of its own is made, changed and deleted.

use super::cloudflare_object::{
    CloudflareObject, body_of, id_field, is_singleton, key_paths, own_name,
};
use super::cloudflare_object_body::{patch, put};
use super::support::{fields, is_gone, refused, remote_of, text};
use crate::model::Json;
use crate::model::call::{Answer, Call, Method, Service};
use crate::model::kind::{Kind, KindError, Next, Verb, Work};
use crate::model::path;

/// A call, given the path below the base without its first slash.
pub(super) fn call(method: Method, path: &str) -> Call {
    let path = format!("/{path}");
    match method {
        Method::Get => Call::get(Service::Cloudflare, path),
        method => Call::change(Service::Cloudflare, method, path),
    }
}

/// The call that reads the object at a path.
pub(super) fn get(path: &str) -> Call {
    call(Method::Get, path).purpose("reading the object")
}

fn method_of(spec: &Json) -> Method {
    if text(spec, "update") == Some("patch") { Method::Patch } else { Method::Put }
}

/// The object as a write's answer shows it, or as it is asked for where the answer does not.
fn written(
    kind: &CloudflareObject,
    work: &Work<'_>,
    path: &str,
    answers: &[Answer],
) -> Result<Next, KindError> {
    let seen = answers.last().map(|last| kind.read_by(work.spec, &last.body, work.scope));
    match seen.and_then(|seen| seen.into_iter().find(|remote| remote.id == path)) {
        Some(remote) => Ok(Next::done(remote)),
        None if answers.len() == 1 => Ok(Next::call(get(path))),
        None => Err(KindError::Answer(id_field(work.spec).to_owned())),
    }
}

fn create(kind: &CloudflareObject, work: &Work<'_>, answers: &[Answer]) -> Result<Next, KindError> {
    let path = text(work.spec, "path").ok_or_else(|| KindError::Answer("path".to_owned()))?;
    if is_singleton(work.spec) {
        return match (answers, method_of(work.spec)) {
            ([], Method::Patch) => Err(KindError::Impossible {
                message: format!("there is nothing at {path}, and a PATCH makes nothing"),
                hint: Some("`update: put` makes it, if the API takes that".to_owned()),
            }),
            ([], method) => {
                let call = call(method, path).body(body_of(work.spec).clone());
                Ok(Next::call(call.purpose("making the object")))
            }
            _ => written(kind, work, path, answers),
        };
    }
    match answers {
        [] => {
            let body = body_of(work.spec);
            let named = key_paths(work.spec).into_iter();
            let key = named.filter_map(|at| {
                let name = path::segments(&at).last().map(|last| (*last).to_owned())?;
                Some((name, path::get(body, &at)?.clone()))
            });
            let call = call(Method::Post, path).body(body.clone()).key(key.collect());
            Ok(Next::call(call.purpose("creating the object")))
        }
        [created, ..] => {
            // Where the body has the id, the answer need not.
            let mut item = fields(&created.body);
            if let (Some(name), true) = (own_name(work.spec), created.body.is_object()) {
                item.entry(id_field(work.spec)).or_insert_with(|| name.clone());
            }
            let by = id_field(work.spec);
            if created.body.is_object() && item.get(by).is_none_or(Json::is_null) {
                return Err(without_id(by));
            }
            let read = kind.read_by(work.spec, &Json::Object(item), work.scope);
            Ok(Next::done(remote_of(read)?))
        }
    }
}

/// The object was made, and it is not known which it is: to make it again would be to have it twice.
fn without_id(field: &str) -> KindError {
    KindError::Impossible {
        message: format!("it was made, and the answer has no `{field}` to know it by"),
        hint: Some(
            "say which field is its id, as in `id: name`; then `apply --adopt` takes it over"
                .to_owned(),
        ),
    }
}

fn update(kind: &CloudflareObject, work: &Work<'_>, answers: &[Answer]) -> Result<Next, KindError> {
    let remote = work.remote.ok_or_else(|| KindError::Answer("id".to_owned()))?;
    if !answers.is_empty() {
        return written(kind, work, &remote.id, answers);
    }
    let method = method_of(work.spec);
    let body = match (method, text(work.spec, "update")) {
        // What differs of its body would have made a new one.
        (_, Some("none")) => None,
        (Method::Patch, _) => patch(work, &remote.raw),
        _ => put(work, &remote.raw),
    };
    match body {
        Some(body) => {
            let call = call(method, &remote.id).body(body).purpose("changing the object");
            Ok(Next::call(call))
        }
        // Only what is read of it is another by now.
        None => {
            let read = kind.read_by(work.spec, &remote.raw, work.scope);
            Ok(Next::done(remote_of(read)?))
        }
    }
}

/// The next call of a step.
pub(super) fn next(
    kind: &CloudflareObject,
    work: &Work<'_>,
    answers: &[Answer],
) -> Result<Next, KindError> {
    match (work.verb, answers) {
        (Verb::Create, _) => create(kind, work, answers),
        (Verb::Update | Verb::Widen, _) => update(kind, work, answers),
        (Verb::Delete, []) => {
            let remote = work.remote.ok_or_else(|| KindError::Answer("id".to_owned()))?;
            let call = match (is_singleton(work.spec), work.spec.get("reset")) {
                (true, None) => return Ok(Next::gone()),
                (true, Some(body)) => call(method_of(work.spec), &remote.id)
                    .body(body.clone())
                    .purpose("setting the object back"),
                (false, _) => call(Method::Delete, &remote.id).purpose("deleting the object"),
            };
            Ok(Next::call(call.tolerate(&[404])))
        }
        (Verb::Delete, [.., last]) if is_gone(last) => Ok(Next::gone()),
        (Verb::Delete, [.., last]) => Err(refused(last, None)),
    }
}
