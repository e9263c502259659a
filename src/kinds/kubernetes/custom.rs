//! Whether objects of well-known operators, and what extends the API, do what they are there for.

use crate::model::Json;
use crate::model::kind::{Readiness, Since};

use super::status::{Condition, items, number, text, waiting};

/// A definition is there when the API server has taken its names and serves it.
pub(super) fn definition(object: &Json) -> Readiness {
    if let Some(names) = Condition::of(object, "NamesAccepted").filter(|names| names.is("False")) {
        return Readiness::Failed(names.said());
    }
    match Condition::of(object, "Established") {
        Some(established) if established.is("True") => Readiness::Ready,
        Some(established) => waiting(established.said()),
        None => waiting("it is not established yet"),
    }
}

/// Ready by the condition of that type.
pub(super) fn by_condition(object: &Json, kind: &str, controller: &str) -> Readiness {
    match Condition::of(object, kind) {
        Some(ready) if ready.is_stale(object) => {
            waiting(format!("{controller} has not seen it yet"))
        }
        Some(ready) if ready.is("True") => Readiness::Ready,
        Some(ready) => waiting(ready.said()),
        None => waiting(format!("{controller} has not seen it yet")),
    }
}

/// An ExternalSecret is ready when it says so of what was written last: the operator notes in
/// `syncedResourceVersion` the generation that it synced, a dash and a hash of labels and
/// annotations. One that is synced only once never notes anything again.
pub(super) fn external_secret(object: &Json, since: Option<&Since<'_>>) -> Readiness {
    let ready = by_condition(object, "Ready", "its operator");
    if ready != Readiness::Ready || is_synced_once(object) {
        return ready;
    }
    let synced = text(object, "/status/syncedResourceVersion");
    let generation = number(object, "/metadata/generation");
    let of = synced.split_once('-').and_then(|(generation, _)| generation.parse::<i64>().ok());
    let is_older = matches!((of, generation), (Some(of), Some(now)) if of < now);
    let is_as_before = since.is_some_and(|since| {
        let before = since.before.map(|before| &before.raw);
        let marks = |object: &Json| {
            ["/metadata/labels", "/metadata/annotations"].map(|p| object.pointer(p).cloned())
        };
        before.is_some_and(|before| marks(before) != marks(&since.written.raw))
            && !synced.is_empty()
            && text(&since.written.raw, "/status/syncedResourceVersion") == synced
    });
    if is_older || is_as_before {
        return waiting("its operator has not synced what was written last yet");
    }
    Readiness::Ready
}

/// Whether an operator that has synced an ExternalSecret leaves it alone from then on.
fn is_synced_once(object: &Json) -> bool {
    let interval = text(object, "/spec/refreshInterval");
    let is_zero = !interval.is_empty()
        && interval.chars().all(|c| c == '0' || c.is_ascii_alphabetic() || c == '.');
    match text(object, "/spec/refreshPolicy") {
        "CreatedOnce" => true,
        "OnChange" => false,
        _ => is_zero,
    }
}

/// An Argo CD Application that syncs by itself is ready when it is in sync and what it made is
/// healthy; one that somebody syncs by hand is not waited for.
pub(super) fn application(object: &Json) -> Readiness {
    let automated = object.pointer("/spec/syncPolicy/automated").filter(|it| !it.is_null());
    let is_off = |it: &Json| it.get("enabled").and_then(Json::as_bool) == Some(false);
    if automated.is_none_or(is_off) {
        return Readiness::Ready;
    }
    let (health, sync) =
        (text(object, "/status/health/status"), text(object, "/status/sync/status"));
    if health.is_empty() && sync.is_empty() {
        return waiting("Argo CD has not seen it yet");
    }
    if is_compared_with_another(object) {
        return waiting("Argo CD has not compared it with its new source yet");
    }
    if health == "Healthy" && sync == "Synced" {
        return Readiness::Ready;
    }
    let mut reason = format!("health is {}, sync is {}", or_unknown(health), or_unknown(sync));
    let error = items(object, "/status/conditions").find(|c| text(c, "/type").ends_with("Error"));
    let operation = matches!(text(object, "/status/operationState/phase"), "Failed" | "Error");
    let more = match error {
        Some(error) => text(error, "/message"),
        None if operation => text(object, "/status/operationState/message"),
        None => text(object, "/status/health/message"),
    };
    if !more.is_empty() {
        reason.push_str(": ");
        reason.push_str(more);
    }
    waiting(reason)
}

fn or_unknown(text: &str) -> &str {
    if text.is_empty() { "Unknown" } else { text }
}

/// Whether the status is about another source than the one that is asked for.
fn is_compared_with_another(object: &Json) -> bool {
    ["repoURL", "path", "chart", "targetRevision"].iter().any(|key| {
        let wanted = object.pointer(&format!("/spec/source/{key}"));
        let compared = object.pointer(&format!("/status/sync/comparedTo/source/{key}"));
        matches!((wanted, compared), (Some(wanted), Some(compared)) if wanted != compared)
    })
}
