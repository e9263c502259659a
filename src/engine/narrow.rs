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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::error::Report;

    fn change(name: &str, action: Action, needs: &[&str], unknown: &[&str]) -> Change {
        let address = |name: &str| Address::new("x", name);
        let mut change = Change::awaiting(address(name));
        change.phase = crate::model::change::Phase::Whole;
        change.action = action;
        let step = |name: &&str| Change { address: address(name), ..change.clone() }.step();
        change.needs = needs.iter().map(step).collect();
        change.unknown = unknown.iter().map(|name| (format!("of_{name}"), address(name))).collect();
        change
    }

    /// The names of the changes that are left of a plan, and of what they need.
    fn left(changes: &[Change], asked: &str, exposed: &[&str]) -> (String, String) {
        let warning =
            |name: &&str| Report::warning("exposed", "open").about(&Address::new("x", *name));
        let example = include_str!("../../plans/example.json");
        let example: crate::model::plan::Plan = serde_json::from_str(example).unwrap();
        let mut plan = StackPlan {
            changes: changes.to_vec(),
            checks: exposed.iter().map(warning).collect(),
            ..example.stacks[0].clone()
        };
        narrow(&mut plan, &BTreeSet::from([Address::new("x", asked)]));
        let names = plan.changes.iter().map(|change| change.address.name()).collect();
        let needs = plan.changes.iter().flat_map(|change| &change.needs);
        (names, needs.map(|step| step.address.name()).collect())
    }

    #[test]
    fn what_was_asked_for_is_left_with_what_it_takes_and_brings() {
        let is = |names: &str, needs: &str| (names.to_owned(), needs.to_owned());
        let update = |name, needs: &[&str]| change(name, Action::Update, needs, &[]);
        let all = [
            update("a", &[]),
            update("b", &["a"]),
            change("c", Action::Create, &[], &[]),
            update("d", &["c"]),
            change("e", Action::Update, &["d", "c"], &["c"]),
            update("f", &[]),
        ];
        assert_eq!(left(&all, "b", &[]), is("b", ""), "a mere update is not needed");
        assert_eq!(left(&all, "b", &["a"]), is("ab", "a"), "but a guard that is open is");
        assert_eq!(left(&all, "d", &[]), is("cde", "cdc"), "what is gone is, and who waits for it");
        assert_eq!(left(&all, "f", &["a"]), is("f", ""));
        assert_eq!(left(&all, "z", &[]), is("", ""));
    }
}
