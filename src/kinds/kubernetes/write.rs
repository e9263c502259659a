//! The calls that make and change objects, one after the other.

use serde_json::json;

use crate::model::Json;
use crate::model::call::{Answer, Call, Method, Service};
use crate::model::kind::{KindError, Next, Verb, Work};
use crate::model::scope::{ApiResource, Scope};

use super::compare::may_take;
use super::fields::Path;
use super::handover::handover;
use super::owners::{MANAGER, RESTART_MANAGER, RETAINED_MANAGER, managed, resolve, retained};
use super::refused::{Refusal, is_immutable};
use super::{bodies, delete, names, object, secret};

const APPLY: &str = "application/apply-patch+yaml";
const MERGE: &str = "application/merge-patch+json";
/// How often an object is read again that changes while it is taken over.
const MOST_LOOKS: usize = 5;

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
    /// Defaults that stood in the way.
    claims: Vec<Path>,
    /// Fields that were sent last and belong to others by now: no claim needs them.
    lost: Vec<Path>,
    /// Fields that have left the manifest and were refused to go.
    kept: Vec<Path>,
    /// How often the object was taken over, and how often it had changed meanwhile.
    taken: usize,
    /// The object as the last answer shows it.
    live: Json,
    applied: Option<&'a Answer>,
}

#[derive(Clone, Copy, PartialEq)]
enum Stage {
    Look,
    TakeOver,
    Apply,
    Claim,
    Retain,
    GiveUp,
    Restart,
    Done,
}

fn apply(work: &Work<'_>, answers: &[Answer]) -> Result<Next, KindError> {
    let place = place(work.spec, work.scope)?;
    let live = work.remote.map_or(Json::Null, |remote| remote.raw.clone());
    let mut progress = Progress {
        stage: if adopts(work, &live) { Stage::TakeOver } else { Stage::Apply },
        force: false,
        claims: Vec::new(),
        lost: Vec::new(),
        kept: Vec::new(),
        taken: 0,
        live,
        applied: None,
    };
    for answer in answers {
        advance(work, &mut progress, answer)?;
    }
    let live = &progress.live;
    let call = match progress.stage {
        Stage::Look => {
            let call = Call::get(Service::Kubernetes, place.path)
                .purpose("reading the object that has changed meanwhile");
            return Ok(Next::call(call));
        }
        Stage::TakeOver => {
            let handover = handover(live, work.spec).unwrap_or_default();
            merge(&place, bodies::taken_over(work, live, handover))
                .purpose("taking fields over from who applied them before")
        }
        Stage::Apply => patch(&place, bodies::manifest(work, live), MANAGER, progress.force)
            .purpose(match work.verb {
                Verb::Create => "creating the object",
                _ => "applying the manifest",
            }),
        Stage::Claim => {
            let body = bodies::claim(work, live, &progress.claims, &progress.lost)?;
            patch(&place, body, MANAGER, false).purpose("claiming defaults that stand in the way")
        }
        Stage::Retain => {
            let kept = retained(&managed(live)).into_iter().chain(progress.kept.iter().cloned());
            patch(&place, bodies::retained(work, live, kept), RETAINED_MANAGER, false)
                .purpose("keeping what has left the manifest and can't be taken away")
        }
        Stage::GiveUp => {
            let kept = retained(&managed(live)).into_iter();
            let kept = kept.filter(|path| path.get(work.spec).is_none());
            patch(&place, bodies::retained(work, live, kept), RETAINED_MANAGER, false)
                .purpose("giving up what is the manifest's again")
        }
        Stage::Restart => {
            let body = bodies::restart(work, work.restart.unwrap_or_default());
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

/// Whether an object is taken over whole, and something of it is to be taken from who applied it
/// before.
fn adopts(work: &Work<'_>, live: &Json) -> bool {
    let is_adopted = work.sent.is_none() && work.force.iter().any(|pattern| pattern == "**");
    is_adopted && work.remote.is_some() && handover(live, work.spec).is_some()
}

fn advance<'a>(
    work: &Work<'_>,
    progress: &mut Progress<'a>,
    answer: &'a Answer,
) -> Result<(), KindError> {
    if answer.is_success() {
        progress.applied = Some(answer);
        progress.live = secret::mark(&answer.body);
        let live = &progress.live;
        let has_returned =
            || retained(&managed(live)).iter().any(|path| path.get(work.spec).is_some());
        progress.stage = match progress.stage {
            Stage::Look if adopts(work, live) => Stage::TakeOver,
            // An object that had no owners gets one for all that it is at its first apply.
            Stage::Apply if adopts(work, live) && progress.taken == 0 => Stage::TakeOver,
            Stage::Look | Stage::TakeOver | Stage::Claim | Stage::Retain => Stage::Apply,
            Stage::Apply if has_returned() => Stage::GiveUp,
            Stage::Apply | Stage::GiveUp if work.restart.is_some() => Stage::Restart,
            Stage::Apply | Stage::GiveUp | Stage::Restart | Stage::Done => Stage::Done,
        };
        progress.taken += usize::from(progress.stage == Stage::TakeOver);
        return Ok(());
    }
    let owners = managed(&progress.live);
    match (answer.status, progress.stage) {
        (409, Stage::TakeOver) if progress.taken < MOST_LOOKS => {
            progress.taken += 1;
            progress.stage = Stage::Look;
            Ok(())
        }
        (409, Stage::Apply) if !progress.force => {
            may_force(work, &progress.live, answer)?;
            progress.force = true;
            Ok(())
        }
        (409, Stage::Claim) => {
            let lost: Vec<Path> = causes(answer)
                .filter_map(|(field, _)| resolve(&owners, field, work.spec, &progress.live))
                .filter(|path| !progress.lost.contains(path))
                .collect();
            if lost.is_empty() {
                return Err(refused(answer));
            }
            progress.lost.extend(lost);
            Ok(())
        }
        (422, Stage::Apply) => {
            let causes: Vec<&str> = causes(answer).map(|(field, _)| field).collect();
            let why = Refusal::of(message(answer), &causes, work.spec, &progress.live);
            let new = |found: Vec<Path>, old: &[Path]| -> Vec<Path> {
                found.into_iter().filter(|path| !old.contains(path)).collect()
            };
            let roots = why.claims().into_iter().map(|path| bodies::claim_root(&path, work.sent));
            let claims = new(roots.collect(), &progress.claims);
            if !claims.is_empty() {
                progress.claims.extend(claims);
                progress.stage = Stage::Claim;
                return Ok(());
            }
            let kept = new(why.stays(), &progress.kept);
            if kept.is_empty() {
                return Err(refused(answer));
            }
            progress.kept.extend(kept);
            progress.stage = Stage::Retain;
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
fn may_force(work: &Work<'_>, live: &Json, answer: &Answer) -> Result<(), KindError> {
    let owners = managed(live);
    let mut found = false;
    let mut kept = Vec::new();
    for (field, message) in causes(answer) {
        found = true;
        let path = resolve(&owners, field, work.spec, live).ok_or_else(|| refused(answer))?;
        // boxctl's own names are one.
        if message.contains(&format!("\"{RETAINED_MANAGER}\"")) {
            continue;
        }
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

/// A merge patch, under boxctl's name: what an apply can't write.
fn merge(place: &Place<'_>, body: Json) -> Call {
    let mut call = Call::change(Service::Kubernetes, Method::Patch, place.path.clone())
        .query("fieldManager", MANAGER)
        .body(body);
    call.content_type = Some(MERGE);
    call
}

#[cfg(test)]
#[path = "write_tests.rs"]
mod tests;
