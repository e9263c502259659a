//! Asks the account's audit log who changed what was found to have changed at Cloudflare.

use crate::engine::attribution::{self, Log, Told};
use crate::engine::drift::Found;
use crate::model::Json;
use crate::model::call::{Call, Listing, Paging, Service};
use crate::model::error::{CallError, Report};

use super::Context;
use super::observe::why;
use super::pipeline::Observations;

/// How many requests the log is worth: so many pages of its newest entries are read.
const PAGES: u32 = 4;
/// The entries of a page that are asked for. What the most is is not documented.
const PAGE: &str = "1000";
/// How long the log may take, in milliseconds: what it adds is not worth more.
const WITHIN_MS: u64 = 20_000;
/// How far ahead of this machine's the service's clock may be, in seconds.
const AHEAD_S: i64 = 600;

/// The account's changes since then, the newest first (audit logs, version 2).
fn listing(account: &str, since: jiff::Timestamp, before: jiff::Timestamp) -> Listing {
    let second = |at: jiff::Timestamp| {
        jiff::Timestamp::from_second(at.as_second()).unwrap_or(at).to_string()
    };
    let call = Call::get(Service::Cloudflare, format!("/accounts/{account}/logs/audit"))
        .query("since", second(since))
        .query("before", second(before))
        .query("direction", "desc")
        .purpose("reading the audit log");
    let call = Call { within_ms: Some(WITHIN_MS), ..call };
    Listing { call, paging: Paging::Newest(PAGES) }
}

/// Names who made what was found, where something was and the log may be read. Without it nothing
/// fails: a note says what would tell.
pub async fn name_actors(context: &Context<'_>, observations: &Observations, found: &mut [Found]) {
    let subjects = &observations.subjects;
    let since = subjects.iter().zip(found.iter()).filter_map(|(subject, found)| {
        attribution::wanted_since(&found.drift, subject.state.as_ref()?, context.kinds)
    });
    let Some(since) = since.min() else { return };
    let now = context.outside.now();
    let before = now.checked_add(jiff::SignedDuration::from_secs(AHEAD_S)).unwrap_or(now);
    let plain = listing(&observations.scope.account_id, since.min(now), before);
    let large = plain.narrowed(&[("limit".to_owned(), PAGE.to_owned())]);
    let read = match context.transport.list(&large).await {
        Err(error) if error.status == Some(400) => context.transport.list(&plain).await,
        read => read,
    };
    let told: Vec<Told> = match read {
        Ok(entries) => entries.iter().filter_map(Told::read).collect(),
        Err(error) => {
            if let Some(first) = found.iter_mut().find(|found| !found.drift.is_empty()) {
                first.checks.push(unread(&error));
            }
            return;
        }
    };
    let with_token = told.iter().any(|told| told.token.is_some());
    let own =
        if with_token { own_token(context, &observations.scope.account_id).await } else { None };
    for (subject, found) in subjects.iter().zip(found) {
        let Some(state) = &subject.state else { continue };
        let log = Log {
            state,
            told: &told,
            own_token: own.as_deref(),
            kinds: context.kinds,
            scope: &observations.scope,
        };
        attribution::name(&mut found.drift, &log);
    }
}

fn unread(error: &CallError) -> Report {
    let text = "who changed it at Cloudflare is not known: the audit log could not be read";
    Report::note(text).code(Report::UNCHECKED).cause(why(error))
}

/// The id of the token in use: a user's, or the account's own (contract 1.3).
async fn own_token(context: &Context<'_>, account: &str) -> Option<String> {
    for path in ["/user/tokens/verify".to_owned(), format!("/accounts/{account}/tokens/verify")] {
        let call = Call::get(Service::Cloudflare, path).purpose("asking which token this is");
        let call = Call { within_ms: Some(WITHIN_MS), ..call };
        if let Ok(answer) = context.transport.send(&call, context.secrets).await
            && let Some(id) = answer.body.get("id").and_then(Json::as_str)
        {
            return Some(id.to_owned());
        }
    }
    None
}
