//! Pending: what the files ask for and was not applied yet, by the files and the records alone.

use std::collections::BTreeSet;

use crate::model::address::Address;
use crate::model::change::Action;
use crate::model::kind::{Facts, Kind};
use crate::model::observed::{Observed, World};
use crate::model::resource::{Resource, Stack};
use crate::model::scope::Scope;
use crate::model::state::{Recorded, State};
use crate::model::value::canonical_text;

use super::resolve::{Known, Outputs, resolve};

/// What is declared and not recorded, and what is recorded and was taken out of the files.
pub fn coming_and_going(stack: &Stack, state: Option<&State>) -> Vec<(Address, Action)> {
    let recorded =
        |address: &Address| state.is_some_and(|state| state.resources.contains_key(address));
    let mut renamed: BTreeSet<&Address> = BTreeSet::new();
    let mut out = Vec::new();
    for Resource { address, meta, .. } in &stack.resources {
        if meta.applied_elsewhere || recorded(address) {
            continue;
        }
        match meta.renamed_from.as_ref().filter(|old| recorded(old)) {
            Some(old) => {
                renamed.insert(old);
                out.push((address.clone(), Action::Update));
            }
            None => out.push((address.clone(), Action::Create)),
        }
    }
    let gone = state.into_iter().flat_map(|state| &state.resources).filter(|(address, record)| {
        stack.resource(address).is_none()
            && !renamed.contains(address)
            && !record.protected
            && !stack.may_have(address)
    });
    out.extend(gone.map(|(address, _)| (address.clone(), Action::Delete)));
    out
}

/// What a comparison of files and records rests on.
pub struct Look<'a> {
    /// What is declared.
    pub stack: &'a Stack,
    /// What is recorded.
    pub state: &'a State,
    /// What was observed of it.
    pub world: &'a World,
    /// Outputs of lookups.
    pub lookups: &'a Known,
    /// The accounts.
    pub scope: &'a Scope,
    /// Finds kinds by name.
    pub kinds: fn(&str) -> Option<&'static dyn Kind>,
    /// What someone changed, so that what is there tells nothing of the files.
    pub drifted: &'a BTreeSet<Address>,
}

/// Recorded resources of which the files ask for other values than those that were sent. Other
/// spellings of the same, and what nobody can tell without asking a server, are none.
pub fn updates(look: &Look<'_>) -> Vec<Address> {
    let known = known(look);
    let differs = |resource: &&Resource| {
        let Some(recorded) = look.state.resources.get(&resource.address) else { return false };
        let Some(kind) = (look.kinds)(resource.address.kind()) else { return false };
        !resource.meta.applied_elsewhere
            && !recorded.replacing
            && asks_for_more(look, kind, resource, recorded, &known)
    };
    look.stack.resources.iter().filter(differs).map(|one| one.address.clone()).collect()
}

fn asks_for_more(
    look: &Look<'_>,
    kind: &dyn Kind,
    resource: &Resource,
    recorded: &Recorded,
    known: &Known,
) -> bool {
    // The plan says what is wrong with what can't be declared.
    let Ok(spec) = kind.declare(&resolve(&resource.spec, known), look.scope) else { return false };
    if canonical_text(&kind.recordable(&spec)) == canonical_text(&recorded.sent) {
        return false;
    }
    let address = &resource.address;
    let there = look.world.resources.get(address).and_then(Observed::present);
    let Some(remote) = there.filter(|_| !look.drifted.contains(address)) else { return true };
    if address.is_kubernetes() {
        return true;
    }
    let diffed = kind.diff(&Facts {
        declared: Some(&spec),
        sent: Some(&recorded.sent),
        answered: Some(&recorded.answered),
        version: recorded.version.as_deref(),
        remote,
        preview: None,
        ignore: &resource.meta.ignore,
        force: &resource.meta.force,
        shared: &resource.meta.shared,
    });
    !diffed.changes.is_empty() || !diffed.removed.is_empty()
}

/// The outputs that resources had when they were written last, and those that the files say.
fn known(look: &Look<'_>) -> Known {
    let mut known = look.lookups.clone();
    for (address, recorded) in &look.state.resources {
        let secret = recorded.secrets.iter().map(|(name, of)| (name.clone(), Some(of.clone())));
        let outputs = Outputs { plain: recorded.outputs.clone(), secret: secret.collect() };
        known.insert(address.clone(), outputs);
    }
    for resource in &look.stack.resources {
        if let Some(kind) = (look.kinds)(resource.address.kind()) {
            let said = kind.known_outputs(&resource.spec, look.scope);
            known.entry(resource.address.clone()).or_default().plain.extend(said);
        }
    }
    known
}
