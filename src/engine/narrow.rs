//! A plan of which only a part is to be done: what was asked for, what that can't be done without,
//! and what it makes necessary elsewhere.

use std::collections::BTreeSet;

use crate::model::address::Address;
use crate::model::change::{Action, Change};
use crate::model::plan::StackPlan;

/// Leaves of a plan the changes of these resources; those that they rest on, as far as these are no
/// mere updates of what is there; and those that wait for what they bring. A guard that leaves its
/// hostname open stays in whatever it needs.
pub fn narrow(plan: &mut StackPlan, asked: &BTreeSet<Address>) {
    let exposed: BTreeSet<&Address> = plan
        .checks
        .iter()
        .filter(|check| check.code.as_deref() == Some("exposed"))
        .filter_map(|check| check.address.as_ref())
        .collect();
    let mut kept: BTreeSet<Address> = asked.clone();
    loop {
        let more: Vec<Address> = plan
            .changes
            .iter()
            .filter(|one| !kept.contains(&one.address))
            .filter(|one| {
                let follows = awaited(one).any(|address| kept.contains(address));
                let rests = plan.changes.iter().filter(|other| kept.contains(&other.address));
                follows || rests.into_iter().any(|other| needs(other, one, &exposed))
            })
            .map(|one| one.address.clone())
            .collect();
        if more.is_empty() {
            break;
        }
        kept.extend(more);
    }
    plan.changes.retain(|change| kept.contains(&change.address));
    let steps: BTreeSet<_> = plan.changes.iter().map(Change::step).collect();
    for change in &mut plan.changes {
        change.needs.retain(|step| steps.contains(step));
    }
}

/// Resources whose new values a change waits for.
fn awaited(change: &Change) -> impl Iterator<Item = &Address> {
    change.unknown.values().chain(change.restart.keys())
}

/// Whether a change can't be done without another one.
fn needs(change: &Change, other: &Change, exposed: &BTreeSet<&Address>) -> bool {
    let is_needed = change.needs.iter().any(|step| step.address == other.address);
    is_needed
        && (other.action != Action::Update
            || exposed.contains(&other.address)
            || awaited(change).any(|address| *address == other.address))
}
