//! Secrets that are made anew: because it was asked for, because they are due, or because a value
//! that its API says only once has yet to reach those who hold it.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::Json;
use crate::model::address::Address;
use crate::model::change::{Action, Change, Phase};
use crate::model::error::Report;
use crate::model::kind::Kind;
use crate::model::observed::Remote;
use crate::model::plan::StackPlan;
use crate::model::resource::Resource;
use crate::model::state::Recorded;
use crate::model::value::secret_sources;

use super::graph;
use super::plan::{Input, Planner, needed_secrets};
use super::settle::ground;

/// What gets a new secret, and why.
pub(super) type Rotating = BTreeMap<Address, String>;

const DAY_S: i64 = 86_400;

/// Since when a secret is due to be made anew; None where it is not.
fn due_since(
    every_s: Option<i64>,
    recorded: &Recorded,
    now: jiff::Timestamp,
) -> Option<jiff::Timestamp> {
    let made = recorded.rotated_at.as_ref().unwrap_or(&recorded.created_at);
    let made: jiff::Timestamp = made.parse().ok()?;
    let due = made.checked_add(jiff::SignedDuration::from_secs(every_s?)).ok()?;
    (due <= now).then_some(due)
}

fn since(due: jiff::Timestamp, now: jiff::Timestamp) -> String {
    match now.duration_since(due).as_secs() / DAY_S {
        0 => "due since today".to_owned(),
        1 => "due since yesterday".to_owned(),
        days => format!("due since {days} days"),
    }
}

/// What was asked for, and what is due where that was asked for.
pub(super) fn asked(input: &Input<'_>) -> Rotating {
    let options = input.options;
    let mut rotating = Rotating::new();
    if !options.rotates() {
        return rotating;
    }
    for resource in &input.stack.resources {
        let address = &resource.address;
        let recorded = input.state.and_then(|state| state.resources.get(address));
        let kind = (input.kinds)(address.kind());
        let every = kind.and_then(|kind| kind.rotates_every_s(&resource.spec));
        let due = recorded.and_then(|recorded| due_since(every, recorded, input.now));
        if options.rotate.iter().any(|asked| *asked == address.to_string()) {
            rotating.insert(address.clone(), "asked for".to_owned());
        } else if let Some(due) = due.filter(|_| options.rotate_due) {
            rotating.insert(address.clone(), since(due, input.now));
        }
    }
    rotating
}

fn sends(change: &Change) -> bool {
    !matches!(change.action, Action::Delete | Action::Forget) && change.phase != Phase::Remove
}

/// Whether a change leaves the secrets of its object as they are there.
pub fn leaves_secrets(kind: &dyn Kind, change: &Change) -> bool {
    kind.reads_back()
        && change.action == Action::Update
        && !change.paths.iter().any(|field| field.secret)
}

/// Secrets that steps of this plan have to send, and that their API says no more.
pub(super) fn unheld(input: &Input<'_>, plan: &StackPlan) -> Rotating {
    let stays = |address: &Address| {
        let mut steps = plan.changes.iter().filter(|change| change.address == *address);
        let made = [Action::Create, Action::Replace, Action::Rotate, Action::Delete];
        input.world.resources.get(address).and_then(|seen| seen.present()).is_some()
            && !steps.any(|change| made.contains(&change.action))
            || steps_adopt(plan, address)
    };
    let mut found = Rotating::new();
    let sent = plan.changes.iter().filter(|change| sends(change)).filter(|change| {
        (input.kinds)(change.address.kind()).is_none_or(|kind| !leaves_secrets(kind, change))
    });
    for change in sent {
        for source in change.spec.iter().flat_map(needed_secrets) {
            let Some((address, output)) = source.as_output() else { continue };
            let Some(kind) = (input.kinds)(address.kind()) else { continue };
            if kind.said_once().contains(&output) && stays(&address) {
                let why =
                    format!("its {output} is said only once, and {} needs it", change.address);
                found.entry(address).or_insert(why);
            }
        }
    }
    found
}

fn steps_adopt(plan: &StackPlan, address: &Address) -> bool {
    let mut steps = plan.changes.iter();
    steps.any(|change| change.address == *address && change.action == Action::Adopt)
}

impl Planner<'_> {
    /// Plans a new secret for what stays, where it gets one; tells of one that is due.
    pub(super) fn rotate(
        &mut self,
        kind: &dyn Kind,
        resource: &Resource,
        spec: &Json,
        remote: Option<&Remote>,
    ) {
        let address = &resource.address;
        let Some(remote) = remote.filter(|_| kind.rotates()) else { return };
        let Some(why) = self.rotating.get(address) else {
            return self.tell_due(kind, resource, spec);
        };
        if !self.changes.contains_key(address) {
            let mut change = self.change(resource, Action::Rotate, spec);
            change.id = Some(remote.id.clone());
            change.ground = ground(remote, &[]);
            self.unchanged.remove(address);
            self.changes.insert(address.clone(), change);
        }
        let Some(change) = self.changes.get_mut(address) else { return };
        if !matches!(change.action, Action::Update | Action::Adopt | Action::Rotate) {
            return;
        }
        change.action = Action::Rotate;
        change.reason = Some(why.clone());
        // Those who hold the secret can't have the new one yet.
        if let Some(outputs) = self.known.get_mut(address) {
            outputs.secret.values_mut().for_each(|fingerprint| *fingerprint = None);
        }
    }

    fn tell_due(&mut self, kind: &dyn Kind, resource: &Resource, spec: &Json) {
        let address = &resource.address;
        let Some(recorded) = self.recorded.get(address) else { return };
        if let Some(due) = due_since(kind.rotates_every_s(spec), recorded, self.input.now) {
            let since = since(due, self.input.now);
            self.checks.push(
                Report::note(format!("a new secret for {address} is {since}"))
                    .code("rotation-due")
                    .about(address)
                    .at(resource.location.clone())
                    .hint("`boxctl rotate --due` makes it"),
            );
        }
    }

    /// What gets a new secret, and everything that holds it or reads what holds it.
    pub(super) fn hangs_on_rotated(&self) -> BTreeSet<Address> {
        let mut uses: BTreeMap<Address, BTreeSet<Address>> = BTreeMap::new();
        for resource in &self.input.stack.resources {
            let secrets = secret_sources(&resource.spec).into_iter();
            let mut from: Vec<Address> =
                secrets.filter_map(|source| Some(source.as_output()?.0)).collect();
            let references = crate::model::value::references(&resource.spec).into_iter();
            from.extend(references.filter(|r| self.is_secret(r)).map(|r| r.address));
            for address in from {
                uses.entry(address).or_default().insert(resource.address.clone());
            }
        }
        for (parameter, readers) in self.input.readers {
            uses.entry(parameter.clone()).or_default().extend(readers.iter().cloned());
        }
        let rotating: BTreeSet<Address> = self.rotating.keys().cloned().collect();
        graph::reach(&rotating, &uses)
    }

    /// Whoever holds a secret that is made anew has to get it in the same run.
    pub(super) fn leave_no_holder(&mut self, left_out: &BTreeSet<Address>) {
        let rotates = |address: &&Address| {
            self.changes.get(*address).is_some_and(|change| change.action == Action::Rotate)
        };
        let rotated: BTreeSet<Address> = self.rotating.keys().filter(rotates).cloned().collect();
        if rotated.is_empty() {
            return;
        }
        let left = self.hangs_on_rotated().into_iter().filter(|one| left_out.contains(one));
        let names: Vec<String> = left.map(|one| one.to_string()).collect();
        if names.is_empty() {
            return;
        }
        let rotated: Vec<String> = rotated.iter().map(Address::to_string).collect();
        let text = format!("{} would get a new secret, and not all who use it", rotated.join(", "));
        let mut report = Report::error(text)
            .code("rotate")
            .hint("do not leave them out, or leave out what needs a new secret");
        report.causes = names.into_iter().map(|name| format!("{name} is left out")).collect();
        self.checks.push(report);
    }

    fn is_secret(&self, reference: &crate::model::value::Reference) -> bool {
        let Some(kind) = self.kind(reference.address.kind()) else { return false };
        let resource = self.input.stack.resource(&reference.address);
        let spec = resource.map_or(&Json::Null, |resource| &resource.spec);
        kind.secret_outputs(spec).contains(&reference.output)
    }
}
