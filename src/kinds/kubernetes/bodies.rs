//! What the calls of an apply carry.

use serde_json::json;

use crate::model::kind::{KindError, Work};
use crate::model::{Json, JsonMap};

use super::compare::without;
use super::fields::{Element, Path, covered};
use super::handover::Handover;
use super::names::{self, RESTART_ANNOTATION};
use super::owners::{managed, own};
use super::secret;

fn field(name: &str) -> Element {
    Element::Field(name.to_owned())
}

/// The manifest as it is; ignored fields stay as they are in the object while boxctl owns them
/// (leaving them out would take them away), and are left out otherwise.
pub(super) fn manifest(work: &Work<'_>, live: &Json) -> Json {
    let mut body = keeping(work.spec, live, work.ignore);
    pin(&mut body, work);
    body
}

fn keeping(manifest: &Json, live: &Json, ignore: &[String]) -> Json {
    if live.is_null() || ignore.is_empty() {
        return manifest.clone();
    }
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

/// What was applied last, with the claimed fields as they are: what was sent, or, of an object that
/// nobody recorded, what boxctl owns of it.
pub(super) fn claim(
    work: &Work<'_>,
    live: &Json,
    claims: &[Path],
    lost: &[Path],
) -> Result<Json, KindError> {
    if secret::is_secret(work.spec) {
        return Err(KindError::Impossible {
            message: "the values of a Secret are not recorded, so defaults that stand in the way \
                      can't be claimed"
                .into(),
            hint: Some("delete the object and let it be made again".into()),
        });
    }
    let sent = work.sent.filter(|sent| sent.get("kind").is_some());
    let mut body = match sent {
        Some(sent) => keeping(sent, live, work.ignore),
        None => these(work, live, own(&managed(live)).into_iter()),
    };
    for path in lost {
        path.remove(&mut body);
    }
    for path in claims {
        if let Some(value) = path.get(live) {
            path.put(&mut body, value.clone());
        }
    }
    pin(&mut body, work);
    Ok(body)
}

/// The outermost field on the way that the last manifest did not have: a union's type and its
/// member belong together.
pub(super) fn claim_root(path: &Path, sent: Option<&Json>) -> Path {
    let Some(sent) = sent else { return path.clone() };
    (1..=path.0.len())
        .map(|length| Path(path.0[..length].to_vec()))
        .find(|head| head.get(sent).is_none())
        .unwrap_or_else(|| path.clone())
}

/// These fields as they are, and nothing else.
pub(super) fn retained(work: &Work<'_>, live: &Json, paths: impl Iterator<Item = Path>) -> Json {
    let mut body = these(work, live, paths);
    pin(&mut body, work);
    body
}

fn these(work: &Work<'_>, live: &Json, paths: impl Iterator<Item = Path>) -> Json {
    let mut body = identity(work.spec);
    for path in paths {
        if let Some(value) = path.get(live) {
            path.put(&mut body, value.clone());
        }
    }
    body
}

/// The object's owners as a handover leaves them, if it has not changed since it was read.
pub(super) fn taken_over(work: &Work<'_>, live: &Json, handover: Handover) -> Json {
    let mut body = identity(work.spec);
    let version = live.pointer("/metadata/resourceVersion").cloned().unwrap_or_default();
    let at = |name: &str| Path(vec![field("metadata"), field(name)]);
    at("resourceVersion").put(&mut body, version);
    at("managedFields").put(&mut body, Json::Array(handover.managed_fields));
    pin(&mut body, work);
    body
}

/// The text that makes an object read its parameters again.
pub(super) fn restart(work: &Work<'_>, versions: &str) -> Json {
    let mut body = identity(work.spec);
    let mut path = Vec::new();
    if names::has_pod_template(work.spec) {
        path.extend([field("spec"), field("template")]);
    }
    path.extend([field("metadata"), field("annotations"), field(RESTART_ANNOTATION)]);
    Path(path).put(&mut body, Json::String(versions.to_owned()));
    pin(&mut body, work);
    body
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

/// Names the object that is meant: an apply would make it anew if it were gone, or change another
/// one of its name.
fn pin(body: &mut Json, work: &Work<'_>) {
    if let Some(uid) = work.remote.and_then(|remote| remote.outputs.get("uid")) {
        Path(vec![field("metadata"), field("uid")]).put(body, uid.clone());
    }
}
