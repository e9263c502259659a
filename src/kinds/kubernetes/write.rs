//! The calls that make and change objects, one after the other.

use serde_json::json;

use crate::model::call::{Answer, Call, Method, Service};
use crate::model::kind::{KindError, Next, Verb, Work};
use crate::model::observed::Remote;
use crate::model::scope::{ApiResource, Scope};
use crate::model::{Json, JsonMap};

use super::compare::{is_claimable, is_immutable, may_take, without};
use super::delete;
use super::fields::{Element, Path, covered};
use super::names::{self, RESTART_ANNOTATION};
use super::object;
use super::owners::{MANAGER, RESTART_MANAGER, managed, own, resolve};
use super::secret;

const APPLY: &str = "application/apply-patch+yaml";

/// Where an object is.
pub(super) struct Place<'a> {
    resource: &'a ApiResource,
    pub(super) path: String,
}

pub(super) fn place<'a>(manifest: &Json, scope: &'a Scope) -> Result<Place<'a>, KindError> {
    let (api_version, kind) = names::kind_of(manifest);
    let resource = scope.api_resource(api_version, kind).ok_or_else(|| KindError::Impossible {
        message: format!("the cluster does not serve {kind} in {api_version}"),
        hint: Some(
            "install what defines it, or put its CustomResourceDefinition into the stack".into(),
        ),
    })?;
    if resource.namespaced && names::namespace(manifest).is_none() {
        return Err(KindError::Impossible {
            message: format!("a {kind} lives in a namespace, and none is said"),
            hint: Some("write `metadata.namespace`, or `namespace:` in the stack".into()),
        });
    }
    let path = names::object_path(resource, names::namespace(manifest), names::name(manifest));
    Ok(Place { resource, path })
}

/// The next call of a step.
///
/// # Errors
/// A refusal, a conflict that no file allows to force, a kind that is not served.
pub fn next(work: &Work<'_>, answers: &[Answer]) -> Result<Next, KindError> {
    match work.verb {
        Verb::Create | Verb::Update | Verb::Widen => apply(work, answers),
        Verb::Delete => delete::next(work, answers),
    }
}

/// What the calls of an apply have come to so far.
struct Progress<'a> {
    stage: Stage,
    force: bool,
    claims: Vec<Path>,
    /// Fields that were sent last and belong to others by now: no claim needs them.
    lost: Vec<Path>,
    applied: Option<&'a Answer>,
}

#[derive(Clone, Copy, PartialEq)]
enum Stage {
    Apply,
    Claim,
    Restart,
    Done,
}

fn apply(work: &Work<'_>, answers: &[Answer]) -> Result<Next, KindError> {
    let place = place(work.spec, work.scope)?;
    let mut progress = Progress {
        stage: Stage::Apply,
        force: false,
        claims: Vec::new(),
        lost: Vec::new(),
        applied: None,
    };
    for answer in answers {
        advance(work, &mut progress, answer)?;
    }
    let call = match progress.stage {
        Stage::Apply => {
            patch(&place, body(work), MANAGER, progress.force).purpose(match work.verb {
                Verb::Create => "creating the object",
                _ => "applying the manifest",
            })
        }
        Stage::Claim => patch(&place, claim_body(work, &progress)?, MANAGER, false)
            .purpose("claiming defaults that stand in the way"),
        Stage::Restart => {
            let body = restart_body(work, work.restart.unwrap_or_default());
            patch(&place, body, RESTART_MANAGER, true)
                .purpose("making it read its parameters again")
        }
        Stage::Done => {
            let answer = progress.applied.ok_or_else(|| KindError::Answer("object".into()))?;
            return Ok(Next::done(object::remote(&answer.body, place.resource)?));
        }
    };
    Ok(Next::call(call.key(object::key(work.spec)).tolerate(&[409, 422])))
}

fn advance<'a>(
    work: &Work<'_>,
    progress: &mut Progress<'a>,
    answer: &'a Answer,
) -> Result<(), KindError> {
    if answer.is_success() {
        progress.applied = Some(answer);
        progress.stage = match progress.stage {
            Stage::Claim => Stage::Apply,
            Stage::Apply if work.restart.is_some() => Stage::Restart,
            Stage::Apply | Stage::Restart | Stage::Done => Stage::Done,
        };
        return Ok(());
    }
    match (answer.status, progress.stage) {
        (409, Stage::Apply) if !progress.force => {
            may_force(work, answer)?;
            progress.force = true;
            Ok(())
        }
        (409, Stage::Claim) => {
            let owners = work.remote.map(|remote| managed(&remote.raw)).unwrap_or_default();
            let lost: Vec<Path> = causes(answer)
                .filter_map(|(field, _)| resolve(&owners, field))
                .filter(|path| !progress.lost.contains(path))
                .collect();
            if lost.is_empty() {
                return Err(refused(answer));
            }
            progress.lost.extend(lost);
            Ok(())
        }
        (422, Stage::Apply) => {
            let new = claimable(work, answer, &progress.claims)?;
            progress.claims.extend(new);
            progress.stage = Stage::Claim;
            Ok(())
        }
        _ => Err(refused(answer)),
    }
}

pub(super) fn causes(answer: &Answer) -> impl Iterator<Item = (&str, &str)> {
    answer.body.get("causes").and_then(Json::as_array).into_iter().flatten().filter_map(|cause| {
        let field = cause.get("field").and_then(Json::as_str).filter(|field| !field.is_empty())?;
        Some((field, cause.get("message").and_then(Json::as_str).unwrap_or_default()))
    })
}

pub(super) fn message(answer: &Answer) -> &str {
    answer.body.get("message").and_then(Json::as_str).unwrap_or_default()
}

pub(super) fn refused(answer: &Answer) -> KindError {
    let message = message(answer).trim_end().to_owned();
    let hint = if is_immutable(&message) {
        Some("put the field back as it is, or delete the object and let it be made again".into())
    } else if answer.status == 409 {
        Some("someone else changed or replaced the object meanwhile: plan again".into())
    } else {
        None
    };
    KindError::Refused { status: answer.status, message, hint }
}

/// Whether every conflict is about a field that boxctl may take back.
fn may_force(work: &Work<'_>, answer: &Answer) -> Result<(), KindError> {
    let owners = work.remote.map(|remote| managed(&remote.raw)).unwrap_or_default();
    let mut found = false;
    let mut kept = Vec::new();
    for (field, message) in causes(answer) {
        found = true;
        let path = resolve(&owners, field).ok_or_else(|| refused(answer))?;
        let by_scale = message.contains("with subresource \"scale\"");
        if !may_take(&path, by_scale, work.sent, work.force) {
            kept.push((path.to_string(), message.to_owned()));
        }
    }
    if !found {
        return Err(refused(answer));
    }
    if kept.is_empty() {
        return Ok(());
    }
    let list: Vec<String> = kept.iter().map(|(path, by)| format!("{path} ({by})")).collect();
    let paths: Vec<&str> = kept.iter().map(|(path, _)| path.as_str()).collect();
    Err(KindError::Refused {
        status: 409,
        message: format!("these fields belong to others: {}", list.join(", ")),
        hint: Some(format!(
            "take them with `force: {0}`, or leave them to their owners with `ignore: {0}`",
            json!(paths)
        )),
    })
}

/// The defaults that a refusal names, if they are all that it names.
fn claimable(work: &Work<'_>, answer: &Answer, claimed: &[Path]) -> Result<Vec<Path>, KindError> {
    let Some(remote) = work.remote else { return Err(refused(answer)) };
    let owners = managed(&remote.raw);
    let mut found: Vec<Path> = Vec::new();
    for (field, _) in causes(answer) {
        let path = resolve(&owners, field)
            .filter(|path| is_claimable(path, work.spec, &remote.raw, &owners))
            .ok_or_else(|| refused(answer))?;
        let path = claim_root(&path, work.sent);
        if claimed.contains(&path) {
            return Err(refused(answer));
        }
        if !found.contains(&path) {
            found.push(path);
        }
    }
    if found.is_empty() { Err(refused(answer)) } else { Ok(found) }
}

/// The outermost field on the way that the last manifest did not have: a union's type and its
/// member belong together.
fn claim_root(path: &Path, sent: Option<&Json>) -> Path {
    let Some(sent) = sent else { return path.clone() };
    (1..=path.0.len())
        .map(|length| Path(path.0[..length].to_vec()))
        .find(|head| head.get(sent).is_none())
        .unwrap_or_else(|| path.clone())
}

/// What was sent last, with the claimed fields as they are.
fn claim_body(work: &Work<'_>, progress: &Progress<'_>) -> Result<Json, KindError> {
    let live = work.remote.map_or(&Json::Null, |remote| &remote.raw);
    let mut body = match work.sent {
        Some(sent) if !secret::is_secret(sent) => keeping(sent, Some(live), work.ignore),
        None if own(&managed(live)).is_empty() => identity(work.spec),
        _ => {
            return Err(KindError::Impossible {
                message:
                    "what was applied last is not recorded, so defaults that stand in the way \
                          can't be claimed"
                        .into(),
                hint: Some("delete the object and let it be made again".into()),
            });
        }
    };
    for path in &progress.lost {
        path.remove(&mut body);
    }
    for path in &progress.claims {
        if let Some(value) = path.get(live) {
            path.put(&mut body, value.clone());
        }
    }
    pin(&mut body, work.remote);
    Ok(body)
}

fn identity(manifest: &Json) -> Json {
    let mut metadata = JsonMap::new();
    for key in ["name", "namespace"] {
        if let Some(value) = manifest.pointer(&format!("/metadata/{key}")) {
            metadata.insert(key.to_owned(), value.clone());
        }
    }
    let (api_version, kind) = names::kind_of(manifest);
    json!({"apiVersion": api_version, "kind": kind, "metadata": metadata})
}

/// The manifest as it is; ignored fields stay as they are in the object while boxctl owns them
/// (leaving them out would take them away), and are left out otherwise.
pub(super) fn body(work: &Work<'_>) -> Json {
    let mut body = keeping(work.spec, work.remote.map(|remote| &remote.raw), work.ignore);
    pin(&mut body, work.remote);
    body
}

fn keeping(manifest: &Json, live: Option<&Json>, ignore: &[String]) -> Json {
    let Some(live) = live.filter(|_| !ignore.is_empty()) else { return manifest.clone() };
    let mut body = without(manifest, ignore);
    for path in own(&managed(live)) {
        if covered(ignore, &path)
            && let Some(value) = path.get(live)
        {
            path.put(&mut body, value.clone());
        }
    }
    body
}

/// Names the object that is meant: an apply would make it anew if it were gone, or change another
/// one of its name.
fn pin(body: &mut Json, remote: Option<&Remote>) {
    if let Some(uid) = remote.and_then(|remote| remote.outputs.get("uid")) {
        Path(vec![Element::Field("metadata".into()), Element::Field("uid".into())])
            .put(body, uid.clone());
    }
}

fn restart_body(work: &Work<'_>, versions: &str) -> Json {
    let mut body = identity(work.spec);
    let field = |name: &str| Element::Field(name.to_owned());
    let mut path = Vec::new();
    if names::has_pod_template(work.spec) {
        path.extend([field("spec"), field("template")]);
    }
    path.extend([field("metadata"), field("annotations"), field(RESTART_ANNOTATION)]);
    Path(path).put(&mut body, Json::String(versions.to_owned()));
    pin(&mut body, work.remote);
    body
}

pub(super) fn patch(place: &Place<'_>, body: Json, manager: &str, force: bool) -> Call {
    let mut call = Call::change(Service::Kubernetes, Method::Patch, place.path.clone())
        .query("fieldManager", manager)
        .query("fieldValidation", "Strict")
        .body(body);
    if force {
        call = call.query("force", "true");
    }
    call.content_type = Some(APPLY);
    call
}

#[cfg(test)]
#[path = "write_tests.rs"]
mod tests;
