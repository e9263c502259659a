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
    if let Some(why) = unchecked(answer.status, &message) {
        return Preview::Unchecked(format!("{why}: {message}"));
    }
    Preview::Refused {
        status: answer.status,
        message,
        fields: causes(answer).map(|(field, _)| field.to_owned()).collect(),
        conflict: answer.status == 409,
    }
}

/// Why a refusal says nothing of the manifest, where it does not.
fn unchecked(status: u16, message: &str) -> Option<&'static str> {
    match status {
        // A webhook with side effects is left out of no dry-run: the request is refused instead
        // (k8s.io/apiserver/pkg/admission/plugin/webhook/errors, `NewDryRunUnsupportedErr`).
        400 if message.contains("does not support dry run") => {
            Some("a webhook of the cluster takes no dry-run")
        }
        // Nobody may make anything in a namespace that ends.
        403 if message.contains("because it is being terminated") => None,
        403 if message.contains(" cannot ") && message.contains(" resource ") => {
            Some("a dry-run needs the permission to patch it")
        }
        // Quotas, pod security, accounts and classes that pods name: what goes before it in the
        // same plan may change that.
        403 => Some("as the cluster is now, it would refuse this"),
        404 => Some("there is no place for it yet"),
        // What does not fit its schema is answered so, too.
        500 if !["failed to create typed patch object", "failed to convert"]
            .iter()
            .any(|text| message.contains(text)) =>
        {
            Some("the cluster could not check it")
        }
        _ => None,
    }
}
