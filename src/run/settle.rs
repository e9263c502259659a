//! What an earlier run left open is looked up before anything is planned on it.

use std::collections::BTreeSet;

use crate::engine::recover::{self, Look, age_ms};
use crate::model::call::Service;
use crate::model::error::{Exit, Report, Stop};
use crate::model::event::Event;
use crate::model::journal::{Intent, OpenIntent};
use crate::model::scope::Need;
use crate::model::state::State;

use super::Context;
use super::pipeline::{Observations, Subject};

/// What has to be known before the places of lost calls can be read.
pub fn needs(context: &Context<'_>, lost: &[OpenIntent]) -> BTreeSet<Need> {
    let then = lost.iter().filter_map(|open| open.intent.then.as_deref());
    then.filter_map(|then| Some((context.kinds)(&then.kind)?.needs(&then.sent))).flatten().collect()
}

/// The services that lost calls went to.
pub fn services(context: &Context<'_>, lost: &[OpenIntent]) -> BTreeSet<Service> {
    lost.iter().filter_map(|open| service(context, &open.intent)).collect()
}

fn service(context: &Context<'_>, intent: &Intent) -> Option<Service> {
    (context.kinds)(intent.address.kind()).map(|kind| kind.service())
}

/// How far the clock of the service that a call went to is ahead of this one's.
fn skew_ms(context: &Context<'_>, intent: &Intent) -> Option<i64> {
    context.transport.skew_ms(service(context, intent)?)
}

/// How long it takes, in milliseconds, until a call can no longer take effect by itself: a request
/// has its own time limit, counted by the clock of the service.
pub(super) fn due_in_ms(context: &Context<'_>, intent: &Intent) -> u64 {
    let skew = skew_ms(context, intent).or(intent.skew_ms).unwrap_or(0);
    let age = u64::try_from(age_ms(intent, context.outside.now(), skew)).unwrap_or(0);
    context.timing.request_ms.saturating_sub(age).min(context.timing.request_ms)
}

/// Waits until no lost call can be under way any more.
///
/// # Errors
/// The user asked to stop.
pub async fn wait(context: &Context<'_>, subjects: &[Subject]) -> Result<(), Stop> {
    let lost = subjects.iter().flat_map(|subject| &subject.lost);
    let due = lost.map(|open| due_in_ms(context, &open.intent)).max().unwrap_or(0);
    if due == 0 {
        return Ok(());
    }
    let seconds = due.div_ceil(1000);
    let note = Report::note(format!(
        "a call of an earlier run may still be under way: it is looked up in {seconds} s"
    ));
    context.events.emit(Event::Told { report: Box::new(note.code("settling")) });
    context.stop.pause(due).await;
    if context.stop.is_set() {
        return Err(Stop { exit: Exit::Interrupted, reports: Vec::new() });
    }
    Ok(())
}

/// Finds out what became of lost calls, and puts it into states and worlds.
pub fn settle(context: &Context<'_>, observations: &mut Observations) {
    let Observations { subjects, worlds, settled, .. } = observations;
    for ((subject, world), settled) in subjects.iter_mut().zip(worlds).zip(settled) {
        if subject.lost.is_empty() {
            continue;
        }
        let (name, lineage) = (&subject.stack.name, subject.lineage.clone());
        let state = subject.state.get_or_insert_with(|| State::new(name, lineage));
        let skews = subject.lost.iter().filter_map(|open| skew_ms(context, &open.intent));
        let found = recover::recover(&Look {
            stack: name,
            open: &subject.lost,
            state,
            world,
            kinds: context.kinds,
            now: context.outside.now(),
            skew_ms: skews.max_by_key(|skew| skew.abs()).unwrap_or(0),
            late_ms: context.timing.late_ms,
        });
        state.take(&found.settled.effects);
        for (address, observed) in &found.observed {
            world.candidates.remove(address);
            world.resources.insert(address.clone(), observed.clone());
        }
        *settled = found;
    }
}
