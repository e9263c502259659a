//! Whether the resources of a stack do what they are there for, told from one observation.

use std::collections::BTreeSet;

use crate::model::address::Address;
use crate::model::kind::{Kind, Readiness};
use crate::model::observed::{Observed, Remote, World};
use crate::model::resource::{Resource, Stack};
use crate::model::scope::Scope;
use crate::model::state::State;
use crate::model::status::{Elsewhere, Health, Standing, Status};

use super::elsewhere::{seen, standing};
use super::resolve::{Known, resolve};

/// Every resource that is declared or recorded, in the order of the files.
pub fn status(
    stack: &Stack,
    state: Option<&State>,
    world: &World,
    kinds: fn(&str) -> Option<&'static dyn Kind>,
    scope: &Scope,
    lookups: &Known,
) -> Vec<Status> {
    let declared: BTreeSet<&Address> = stack.resources.iter().map(|r| &r.address).collect();
    let mut found = Vec::new();
    for resource in &stack.resources {
        let Some(kind) = kinds(resource.address.kind()) else { continue };
        let recorded = state.is_some_and(|s| s.resources.contains_key(&resource.address));
        found.push(if resource.meta.applied_elsewhere {
            applied_elsewhere(kind, resource, world, scope, lookups)
        } else {
            own(kind, &resource.address, recorded, world)
        });
    }
    for address in state.into_iter().flat_map(|state| state.resources.keys()) {
        if let Some(kind) = kinds(address.kind()).filter(|_| !declared.contains(address)) {
            found.push(own(kind, address, true, world));
        }
    }
    found
}

fn own(kind: &dyn Kind, address: &Address, recorded: bool, world: &World) -> Status {
    let (health, reason) = match world.resources.get(address) {
        Some(Observed::Present(remote)) => works(kind, remote),
        Some(Observed::Going(_)) => (Health::Going, Some("it is being deleted".to_owned())),
        Some(Observed::Unreadable(why)) => (Health::Unreadable, Some(why.clone())),
        Some(Observed::Absent) | None => {
            let reason = match (recorded, seen(world, address)) {
                (true, _) => "it was deleted by someone else",
                (false, Some(_)) => "one is there, and boxctl did not make it",
                (false, None) => "it was not applied yet",
            };
            (Health::Missing, Some(reason.to_owned()))
        }
    };
    Status { address: address.clone(), health, reason, elsewhere: None }
}

fn works(kind: &dyn Kind, remote: &Remote) -> (Health, Option<String>) {
    match kind.works(remote) {
        Readiness::Ready => (Health::Works, None),
        Readiness::Waiting(reason) => (Health::Waiting, Some(reason)),
        Readiness::Failed(reason) => (Health::Failed, Some(reason)),
    }
}

fn applied_elsewhere(
    kind: &dyn Kind,
    resource: &Resource,
    world: &World,
    scope: &Scope,
    lookups: &Known,
) -> Status {
    let address = resource.address.clone();
    let spec = resolve(&resource.spec, lookups);
    let spec = kind.declare(&spec, scope).unwrap_or(spec);
    let (elsewhere, _) = standing(kind, resource, &spec, world, None);
    let (health, reason) = match elsewhere.standing {
        Standing::InSync | Standing::Differs => match seen(world, &address) {
            Some(remote) => works(kind, remote),
            None => (Health::Missing, None),
        },
        Standing::Missing => (Health::Missing, not_made(&elsewhere)),
        Standing::Going => (Health::Going, Some("it is being deleted".to_owned())),
        Standing::Unreadable => (Health::Unreadable, elsewhere.reason.clone()),
    };
    Status { address, health, reason, elsewhere: Some(elsewhere) }
}

fn not_made(elsewhere: &Elsewhere) -> Option<String> {
    Some(format!("{} has not made it", elsewhere.applied_by))
}
