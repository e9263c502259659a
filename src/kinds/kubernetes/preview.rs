//! Asking the server what an apply would come to, without making it.

use crate::model::Json;
use crate::model::call::{Answer, Call};
use crate::model::kind::{Verb, Work};
use crate::model::observed::Preview;
use crate::model::value::has_unknown;

use super::bodies;
use super::owners::MANAGER;
use super::secret;
use super::write::{causes, message, patch, place};

/// Refusals of a dry-run that say something about the manifest, the permissions or the place.
const PREVIEW_REFUSALS: &[u16] = &[400, 403, 404, 409, 422, 500];

/// The dry-run that tells what applying the manifest would come to. It takes conflicting fields,
/// so that it shows every change; who owns them is told by the object itself.
pub fn preview(work: &Work<'_>) -> Option<Call> {
    if has_unknown(work.spec) || matches!(work.verb, Verb::Delete) {
        return None;
    }
    let place = place(work.spec, work.scope).ok()?;
    let live = work.remote.map_or(&Json::Null, |remote| &remote.raw);
    let mut call = patch(&place, bodies::manifest(work, live), MANAGER, true)
        .query("dryRun", "All")
        .tolerate(PREVIEW_REFUSALS)
        .purpose("asking what applying the manifest would come to");
    call.mutating = false;
    Some(call)
}

/// What the answer to [`preview`]'s call says.
pub fn preview_from(answer: &Answer) -> Preview {
    if answer.is_success() {
        return Preview::Object(secret::mark(&answer.body));
    }
    let message = message(answer).trim_end().to_owned();
    match answer.status {
        // Nobody may make anything in a namespace that ends.
        403 if !message.contains("because it is being terminated") => {
            Preview::Unchecked(format!("a dry-run needs the permission to patch it: {message}"))
        }
        404 => Preview::Unchecked(format!("there is no place for it yet: {message}")),
        status => Preview::Refused {
            status,
            message,
            fields: causes(answer).map(|(field, _)| field.to_owned()).collect(),
            conflict: status == 409,
        },
    }
}
