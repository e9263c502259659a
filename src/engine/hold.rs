//! A saved plan is carried out as far as it still rests on what it was made on: what a fresh plan
//! of the same stack says now is held to it.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::address::Address;
use crate::model::change::{Action, Change, FieldChange, Phase, StepId};
use crate::model::error::Level;
use crate::model::plan::StackPlan;
use crate::model::value::Special;
use crate::model::{Json, JsonMap};

/// Takes out of a fresh plan what the saved one does not say; returns the steps that rest on
/// something else by now, and why they are refused.
pub fn hold_to(saved: &StackPlan, fresh: &mut StackPlan) -> BTreeMap<StepId, String> {
    let mut refused = BTreeMap::new();
    let mut added = BTreeSet::new();
    let first: BTreeSet<Address> = fresh
        .changes
        .iter()
        .filter(|now| now.phase == Phase::Widen)
        .map(|now| now.address.clone())
        .collect();
    fresh.changes.retain(|now| {
        let Some(then) = counterpart(saved, now) else {
            added.insert(now.step());
            return false;
        };
        let is_second_half = match now.phase {
            Phase::Narrow => {
                let widen = StepId { address: now.address.clone(), phase: Phase::Widen };
                !first.contains(&now.address) && saved.changes.iter().any(|c| c.step() == widen)
            }
            phase => phase != then.phase,
        };
        if !same(then, now, is_second_half) {
            let why = "it no longer rests on what it was planned on".to_owned();
            refused.insert(now.step(), why);
        }
        true
    });
    // What needs a step that nobody has looked at can't go ahead without it.
    while let Some((step, needed)) = fresh
        .changes
        .iter()
        .filter(|now| !refused.contains_key(&now.step()))
        .find_map(|now| Some((now.step(), now.needs.iter().find(|id| added.contains(id))?)))
    {
        refused.insert(step.clone(), format!("it needs {needed} by now, which is not in the plan"));
        added.insert(step);
    }
    // Refusals of what the saved plan does not touch are not this plan's.
    let kept: BTreeSet<_> = fresh.changes.iter().map(|change| change.address.clone()).collect();
    fresh.checks.retain(|check| {
        check.level != Level::Error || check.address.as_ref().is_none_or(|a| kept.contains(a))
    });
    refused
}

/// The step of the saved plan that a step of now is, or is what is left of.
fn counterpart<'a>(saved: &'a StackPlan, now: &Change) -> Option<&'a Change> {
    let with = |phase: Phase| {
        let step = StepId { address: now.address.clone(), phase };
        saved.changes.iter().find(|then| then.step() == step)
    };
    with(now.phase).or_else(|| match (now.phase, now.action) {
        (Phase::Whole, Action::Update) => with(Phase::Narrow),
        (Phase::Whole, Action::Create) => with(Phase::Remake),
        _ => None,
    })
}

/// Whether a step is what was planned, on the same ground. Of a second half only what it comes to
/// counts: what is there now is this plan's own doing.
fn same(then: &Change, now: &Change, is_second_half: bool) -> bool {
    let alike = match (&then.spec, &now.spec) {
        (Some(then), Some(now)) => agrees(then, now),
        (None, None) => true,
        _ => false,
    };
    if is_second_half {
        return alike;
    }
    alike
        && then.action == now.action
        && then.ground == now.ground
        && then.paths.len() == now.paths.len()
        && then.paths.iter().zip(&now.paths).all(|(then, now)| same_field(then, now))
}

fn same_field(then: &FieldChange, now: &FieldChange) -> bool {
    let after = match (&then.after, &now.after) {
        (Some(then), Some(now)) => agrees(then, now),
        (then, now) => then == now,
    };
    then.path == now.path && then.before == now.before && after
}

/// Whether a value is what was planned, as far as that was known then.
fn agrees(then: &Json, now: &Json) -> bool {
    if let Some(Special::Unknown(_)) = Special::of(then) {
        return true;
    }
    match (then, now) {
        (Json::Object(then), Json::Object(now)) => {
            let keys = |map: &JsonMap| map.keys().cloned().collect::<BTreeSet<_>>();
            keys(then) == keys(now)
                && then.iter().all(|(key, then)| now.get(key).is_some_and(|now| agrees(then, now)))
        }
        (Json::Array(then), Json::Array(now)) => {
            then.len() == now.len() && then.iter().zip(now).all(|(then, now)| agrees(then, now))
        }
        _ => then == now,
    }
}
