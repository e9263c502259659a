//! The order among steps that nothing makes need one another: a preference, not a need. What comes
//! first in it is waited for while it can still be done; when it fails, what comes after goes on.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::change::{Action, Change, Phase, StepId};
use crate::model::kind::{Kind, Wave};

/// Where each step of a plan stands.
pub(super) struct Waves {
    places: Vec<Place>,
    at: BTreeMap<StepId, usize>,
}

struct Place {
    step: StepId,
    removes: bool,
    wave: Wave,
}

impl Waves {
    /// The waves of a plan's steps, in the plan's order: what a step needs comes before it there, so
    /// that waves and needs never go round in a circle.
    pub(super) fn of(changes: &[Change], kinds: fn(&str) -> Option<&'static dyn Kind>) -> Self {
        let place = |change: &Change| {
            let spec = change.spec.as_ref().or(change.before.as_ref())?;
            let wave = kinds(change.address.kind())?.wave(spec)?;
            let removes = change.action == Action::Delete || change.phase == Phase::Remove;
            Some(Place { step: change.step(), removes, wave })
        };
        let places: Vec<Place> = changes.iter().filter_map(place).collect();
        let at = places.iter().enumerate().map(|(at, place)| (place.step.clone(), at)).collect();
        Waves { places, at }
    }

    /// Whether a step lets others go first. `ahead` tells of a step whether it is under way or will
    /// still be done.
    pub(super) fn holds(&self, step: &StepId, ahead: impl Fn(&StepId) -> bool) -> bool {
        let Some(at) = self.at.get(step).copied() else { return false };
        let this = &self.places[at];
        self.places[..at].iter().filter(|other| other.removes == this.removes).any(|other| {
            let (first, second) = if this.removes { (this, other) } else { (other, this) };
            second.wave.follows(&first.wave) && ahead(&other.step)
        })
    }
}

/// The steps that will not be done in this run any more: refused, failed, or needing one that is.
pub(super) fn given_up(
    plan: &[Change],
    refused: &BTreeSet<StepId>,
    failed: impl Iterator<Item = StepId>,
) -> BTreeSet<StepId> {
    let mut out: BTreeSet<StepId> = refused.iter().cloned().chain(failed).collect();
    // The plan has what is needed before what needs it.
    for change in plan {
        if change.needs.iter().any(|need| out.contains(need)) {
            out.insert(change.step());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::address::Address;

    fn change(action: Action, kind: &str, namespace: &str, needs: &[&Change]) -> Change {
        let api = match kind {
            "Deployment" => "apps/v1",
            "NetworkPolicy" => "networking.k8s.io/v1",
            "ValidatingWebhookConfiguration" => "admissionregistration.k8s.io/v1",
            _ => "v1",
        };
        let spec = json!({"apiVersion": api, "kind": kind,
            "metadata": {"name": "x", "namespace": namespace}});
        let change = json!({
            "address": Address::kubernetes(kind, None, Some(namespace), "x"), "action": action,
            "phase": "whole", "id": null, "paths": [], "removed": [], "spec": spec, "before": null,
            "unknown": {}, "reason": null, "confidence": "new",
            "needs": needs.iter().map(|change| change.step()).collect::<Vec<_>>(),
            "ground": "", "moved_from": null, "location": null,
        });
        serde_json::from_value::<Change>(change).unwrap()
    }

    /// For each step, the earlier ones that it lets go first.
    fn first(plan: &[Change]) -> Vec<Vec<usize>> {
        let waves = Waves::of(plan, crate::kinds::find);
        let ahead = |of: &Change| {
            (0..plan.len())
                .filter(|at| waves.holds(&of.step(), |step| *step == plan[*at].step()))
                .collect()
        };
        plan.iter().map(ahead).collect()
    }

    #[test]
    fn what_pods_meet_comes_before_them_and_goes_after_them() {
        let all = ["NetworkPolicy", "Service", "Deployment", "ValidatingWebhookConfiguration"];
        let made: Vec<Change> =
            all.iter().map(|kind| change(Action::Create, kind, "a", &[])).collect();
        assert_eq!(first(&made), [vec![], vec![0], vec![0, 1], vec![0, 1, 2]]);
        let gone: Vec<Change> =
            all.iter().rev().map(|kind| change(Action::Delete, kind, "a", &[])).collect();
        assert_eq!(first(&gone), [vec![], vec![0], vec![0, 1], vec![0, 1, 2]]);
    }

    #[test]
    fn other_namespaces_and_the_other_direction_are_not_waited_for() {
        let plan = [
            change(Action::Create, "Service", "a", &[]),
            change(Action::Create, "Deployment", "b", &[]),
            change(Action::Delete, "Deployment", "a", &[]),
        ];
        assert_eq!(first(&plan), [Vec::<usize>::new(), vec![], vec![]]);
    }

    #[test]
    fn what_needs_a_failed_step_is_given_up() {
        let one = change(Action::Create, "Service", "a", &[]);
        let two = change(Action::Create, "NetworkPolicy", "a", &[&one]);
        let three = change(Action::Create, "Deployment", "a", &[&two]);
        let plan = [one.clone(), two.clone(), three.clone()];
        let gone = given_up(&plan, &BTreeSet::new(), std::iter::once(one.step()));
        assert_eq!(gone, plan.iter().map(Change::step).collect());
        assert_eq!(
            given_up(&plan, &BTreeSet::new(), std::iter::empty()),
            BTreeSet::<StepId>::new()
        );
    }
}
