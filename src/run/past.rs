//! What the history says of a run that has ended.

use std::collections::BTreeSet;

use crate::engine::rollback;
use crate::model::address::Address;
use crate::model::change::StepId;
use crate::model::history::{FORMAT_VERSION, Past};
use crate::model::plan::{StackPlan, Summary};
use crate::model::state::State;

use super::apply::Applied;

/// What a run is.
#[derive(Clone, Debug)]
pub struct Doing {
    /// What the history calls it.
    pub run: String,
    /// The run whose objects it applies again.
    pub back_to: Option<u64>,
}

/// A run that has ended.
pub struct Ended<'a> {
    /// What was planned.
    pub plan: &'a StackPlan,
    /// What came of it; None where there was nothing to send.
    pub applied: Option<&'a Applied>,
    /// Steps that no longer rested on what they were planned on.
    pub refused: &'a BTreeSet<StepId>,
    /// Whether nothing was left out by options.
    pub is_whole: bool,
    /// What it is.
    pub doing: &'a Doing,
    /// When (RFC 3339).
    pub at: String,
    /// Whether it changed anything, and so gets a serial of its own.
    pub changed: bool,
    /// What is recorded by now.
    pub state: State,
    /// The run before.
    pub before: Option<Past>,
}

/// What the history says of it.
pub fn past(ended: Ended<'_>) -> Past {
    let Ended { plan, applied, mut state, before, .. } = ended;
    let undone: BTreeSet<&Address> = applied
        .iter()
        .flat_map(|applied| {
            let failed = applied.failed.iter().map(|(step, _)| step);
            failed.chain(applied.waiting.iter().map(|(step, _)| step))
        })
        .chain(ended.refused)
        .map(|step| &step.address)
        .collect();
    let complete = ended.is_whole && undone.is_empty();
    let now = plan.as_declared();
    let declared = if complete {
        now
    } else {
        let changed: BTreeSet<&Address> = plan.changes.iter().map(|c| &c.address).collect();
        let done = |address: &Address| {
            plan.unchanged.contains(address)
                || plan.elsewhere.iter().any(|found| found.address == *address)
                || changed.contains(address) && !undone.contains(address)
        };
        let is_recorded = |address: &Address| state.resources.contains_key(address);
        let earlier = before.as_ref().and_then(|past| past.declared.as_ref());
        rollback::as_applied(earlier, &now, &done, &is_recorded)
    };
    let same = before.filter(|past| !ended.changed && past.serial() == state.serial);
    if ended.changed {
        state.serial += 1;
    }
    match same {
        Some(past) => {
            let complete = past.complete || complete;
            Past { declared: Some(declared), complete, state, ..past }
        }
        None => Past {
            format_version: FORMAT_VERSION,
            at: ended.at,
            run: ended.doing.run.clone(),
            back_to: ended.doing.back_to,
            complete,
            done: applied.map_or_else(Summary::default, |applied| applied.done),
            declared: Some(declared),
            state,
        },
    }
}
