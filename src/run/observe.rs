//! Reads the world by collections: every list once for all stacks of a run, in as many rounds as
//! references make necessary (two, at most three).

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::resolve::{Known, Outputs, resolve};
use crate::model::Json;
use crate::model::address::Address;
use crate::model::call::{Call, Filter};
use crate::model::error::CallError;
use crate::model::journal::OpenIntent;
use crate::model::kind::{Kind, Locate};
use crate::model::observed::{Observed, Remote, World};
use crate::model::resource::Stack;
use crate::model::scope::Scope;
use crate::model::state::State;
use crate::model::value::references;

use super::Context;
use super::collections::{Collections, Wanted};
use super::scope::Away;

/// One stack to be observed.
pub struct Subject<'a> {
    /// What is declared.
    pub stack: &'a Stack,
    /// What is recorded.
    pub state: Option<&'a State>,
    /// Outputs of its lookups.
    pub lookups: &'a Known,
    /// Calls whose answers were lost.
    pub lost: &'a [OpenIntent],
}

struct Pending<'a> {
    subject: usize,
    address: Address,
    kind: &'static dyn Kind,
    /// What is declared, for what is not recorded.
    declared: Option<&'a Json>,
    /// What was sent, and the id, for what is recorded.
    recorded: Option<(&'a Json, &'a str)>,
    /// The number of the intent and what it asked for, where a lost call is looked up.
    lost: Option<(u64, &'a Json)>,
}

/// What a round found out about where to look.
struct Located {
    pending: usize,
    spec: Json,
    locate: Locate,
    /// What leaves of collections only what can be the resource.
    filter: Filter,
}

impl Located {
    /// What is wanted of each collection.
    fn wanted(&self) -> impl Iterator<Item = Wanted> + '_ {
        let listings = match &self.locate {
            Locate::In(listings) => listings.as_slice(),
            Locate::By(_) | Locate::Nowhere | Locate::Away(_) => &[],
        };
        let wanted = |listing| Wanted { listing, filter: self.filter.clone() };
        listings.iter().cloned().map(wanted)
    }

    /// The call of its own.
    fn call(&self) -> Option<&Call> {
        match &self.locate {
            Locate::By(call) => Some(call),
            Locate::In(_) | Locate::Nowhere | Locate::Away(_) => None,
        }
    }
}

/// Observes all subjects together, with what was read before.
pub async fn observe(
    context: &Context<'_>,
    subjects: &[Subject<'_>],
    scope: &Scope,
    away: &Away,
    mut collections: Collections,
) -> Vec<World> {
    let mut worlds: Vec<World> = subjects.iter().map(|_| World::default()).collect();
    let mut known: Vec<Known> = subjects.iter().map(|subject| subject.lookups.clone()).collect();
    let taken = recorded_ids(subjects);
    let mut pending = pending(context, subjects);
    pending.retain(|item| {
        let Some(why) = away.of(item.kind.service()) else { return true };
        let world = &mut worlds[item.subject];
        match item.lost {
            Some((number, _)) => world.lost.insert(number, Err(why)).map(|_| ()),
            None => {
                world.resources.insert(item.address.clone(), Observed::Unreadable(why)).map(|_| ())
            }
        };
        false
    });
    while !pending.is_empty() {
        let located = locate(&pending, &known, scope);
        if located.is_empty() {
            break;
        }
        let wanted: Vec<Wanted> = located.iter().flat_map(Located::wanted).collect();
        let calls: Vec<Call> = located.iter().filter_map(Located::call).cloned().collect();
        collections.read(context, &wanted, &calls).await;
        let unlisted: Vec<Call> = located
            .iter()
            .flat_map(|found| unlisted(&mut collections, &pending[found.pending], found, scope))
            .collect();
        collections.read(context, &[], &unlisted).await;
        let mut done = BTreeSet::new();
        for found in &located {
            let item = &pending[found.pending];
            let world = &mut worlds[item.subject];
            let seen = seen(&mut collections, item, found, scope);
            done.insert(found.pending);
            if let Some((number, _)) = item.lost {
                world.lost.insert(number, fitting(seen));
                continue;
            }
            note(world, &mut known[item.subject], subjects, item, found, seen, &taken);
            let beside = beside(&mut collections, item, found, scope);
            if !beside.is_empty() {
                worlds[item.subject].beside.insert(item.address.clone(), beside);
            }
        }
        let mut at = 0;
        pending.retain(|_| {
            at += 1;
            !done.contains(&(at - 1))
        });
    }
    pending.retain(|item| item.lost.is_none());
    for item in &pending {
        // Where to look depends on something that is not there, or that could not be read.
        let seen = match unread(item, &pending, &worlds[item.subject], 0) {
            Some(needed) => {
                Observed::Unreadable(format!("it needs {needed}, which could not be read"))
            }
            None => Observed::Absent,
        };
        worlds[item.subject].resources.insert(item.address.clone(), seen);
    }
    worlds
}

/// What could not be read of what an item names, directly or by others that could not be located
/// either.
fn unread(
    item: &Pending<'_>,
    pending: &[Pending<'_>],
    world: &World,
    depth: usize,
) -> Option<Address> {
    let named = item.declared.map(references).unwrap_or_default();
    named.into_iter().find_map(|reference| {
        let address = reference.address;
        if matches!(world.resources.get(&address), Some(Observed::Unreadable(_))) {
            return Some(address);
        }
        let same = |other: &&Pending<'_>| {
            other.subject == item.subject && other.address == address && depth < pending.len()
        };
        unread(pending.iter().find(same)?, pending, world, depth + 1)
    })
}

fn pending<'a>(context: &Context<'_>, subjects: &[Subject<'a>]) -> Vec<Pending<'a>> {
    let mut out = Vec::new();
    for (at, subject) in subjects.iter().enumerate() {
        let recorded = subject.state.map(|state| &state.resources);
        let renamed: BTreeSet<&Address> =
            subject.stack.resources.iter().filter_map(|r| r.meta.renamed_from.as_ref()).collect();
        for (address, record) in recorded.into_iter().flatten() {
            if let Some(kind) = (context.kinds)(&record.kind) {
                let recorded = Some((&record.sent, record.id.as_str()));
                let address = address.clone();
                out.push(Pending {
                    subject: at,
                    address,
                    kind,
                    declared: None,
                    recorded,
                    lost: None,
                });
            }
        }
        for resource in &subject.stack.resources {
            let is_recorded = recorded.is_some_and(|all| all.contains_key(&resource.address));
            let moves = resource.meta.renamed_from.as_ref().is_some_and(|old| {
                renamed.contains(old) && recorded.is_some_and(|all| all.contains_key(old))
            });
            if is_recorded || moves {
                continue;
            }
            if let Some(kind) = (context.kinds)(resource.address.kind()) {
                let declared = Some(&resource.spec);
                let address = resource.address.clone();
                out.push(Pending {
                    subject: at,
                    address,
                    kind,
                    declared,
                    recorded: None,
                    lost: None,
                });
            }
        }
        for open in subject.lost {
            let (address, then) = (open.intent.address.clone(), open.intent.then.as_deref());
            if let (Some(kind), Some(then)) = ((context.kinds)(address.kind()), then) {
                let lost = Some((open.number, &then.sent));
                let (declared, recorded) = (None, None);
                out.push(Pending { subject: at, address, kind, declared, recorded, lost });
            }
        }
    }
    out
}

/// Ids that are recorded for something that is declared: nobody else may take those over.
fn recorded_ids(subjects: &[Subject<'_>]) -> BTreeSet<(String, String)> {
    let mut out = BTreeSet::new();
    for subject in subjects {
        for (address, record) in subject.state.into_iter().flat_map(|state| &state.resources) {
            if subject.stack.resource(address).is_some() {
                out.insert((record.kind.clone(), record.id.clone()));
            }
        }
    }
    out
}

fn locate(pending: &[Pending<'_>], known: &[Known], scope: &Scope) -> Vec<Located> {
    let mut out = Vec::new();
    for (at, item) in pending.iter().enumerate() {
        if let Some((_, spec)) = item.lost {
            if let Some(locate) = item.kind.locate(Some(spec), None, scope) {
                let filter = item.kind.narrowed(spec);
                out.push(Located { pending: at, spec: spec.clone(), locate, filter });
            }
            continue;
        }
        let (spec, locate) = match (item.recorded, item.declared) {
            (Some((sent, id)), _) => (sent.clone(), item.kind.locate(Some(sent), Some(id), scope)),
            (None, Some(declared)) => {
                let resolved = resolve(declared, &known[item.subject]);
                let spec = match item.kind.declare(&resolved, scope) {
                    Ok(spec) => spec,
                    // The plan says what is wrong with it.
                    Err(_) => {
                        let (locate, filter) = (Locate::Nowhere, Filter::new());
                        out.push(Located { pending: at, spec: resolved, locate, filter });
                        continue;
                    }
                };
                let locate = item.kind.locate(Some(&spec), None, scope);
                (spec, locate)
            }
            (None, None) => continue,
        };
        if let Some(locate) = locate {
            let whole = item.recorded.is_some_and(|(_, id)| item.kind.fetch(id, scope).is_none());
            let filter = if whole { Filter::new() } else { item.kind.narrowed(&spec) };
            out.push(Located { pending: at, spec, locate, filter });
        }
    }
    out
}

/// Why something could not be read, and what to do; where a permission lacks, with which one.
pub(super) fn why(error: &CallError) -> String {
    match &error.hint {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    }
}

/// What was seen of one resource.
enum Seen {
    At(Observed),
    /// What fits, and what it would clash with.
    Fitting(Vec<Remote>, Vec<Remote>),
}

/// What of a look at a lost call's place fits it.
fn fitting(seen: Seen) -> Result<Vec<Remote>, String> {
    match seen {
        Seen::Fitting(remotes, _) => Ok(remotes),
        Seen::At(Observed::Unreadable(why)) => Err(why),
        Seen::At(Observed::Present(remote) | Observed::Going(remote)) => Ok(vec![remote]),
        Seen::At(Observed::Absent) => Ok(Vec::new()),
    }
}

fn note(
    world: &mut World,
    known: &mut Known,
    subjects: &[Subject<'_>],
    item: &Pending<'_>,
    found: &Located,
    seen: Seen,
    taken: &BTreeSet<(String, String)>,
) {
    let observed = match seen {
        Seen::At(observed) => observed,
        Seen::Fitting(mut remotes, clashing) => {
            let kind = item.kind.name();
            remotes.retain(|remote| !taken.contains(&(kind.to_owned(), remote.id.clone())));
            let observed = match remotes.as_slice() {
                // One that is going away is waited for, and is no candidate.
                [one] if item.kind.is_going(one) => Observed::Going(one.clone()),
                _ => Observed::Absent,
            };
            if matches!(observed, Observed::Absent) {
                if let [one] = remotes.as_slice() {
                    learn(known, item, found, one, None);
                }
                world.candidates.insert(item.address.clone(), remotes);
                world.clashing.insert(item.address.clone(), clashing);
            }
            observed
        }
    };
    if let Observed::Present(remote) = &observed {
        let state = subjects[item.subject].state;
        let recorded = state.and_then(|state| state.resources.get(&item.address));
        learn(known, item, found, remote, recorded.map(|recorded| &recorded.secrets));
    }
    world.resources.insert(item.address.clone(), observed);
}

fn learn(
    known: &mut Known,
    item: &Pending<'_>,
    found: &Located,
    remote: &Remote,
    secrets: Option<&BTreeMap<String, String>>,
) {
    let mut outputs = Outputs { plain: remote.outputs.clone(), secret: BTreeMap::new() };
    for output in item.kind.secret_outputs(&found.spec) {
        let fingerprint = secrets.and_then(|secrets| secrets.get(&output).cloned());
        outputs.secret.insert(output, fingerprint);
    }
    known.insert(item.address.clone(), outputs);
}

/// The places of all that was read of where a resource is looked for.
fn places(collections: &Collections, found: &Located) -> Vec<usize> {
    let call = found.call().and_then(|call| collections.of_call(call));
    let lists = found.wanted().filter_map(|wanted| collections.of_list(&wanted));
    lists.chain(call).collect()
}

/// The calls that ask for a recorded object that no list holds, since not listed is not yet gone; and
/// for what a list does not show whole.
fn unlisted(
    collections: &mut Collections,
    item: &Pending<'_>,
    found: &Located,
    scope: &Scope,
) -> Vec<Call> {
    if !matches!(found.locate, Locate::In(_)) {
        return Vec::new();
    }
    let mut ids: BTreeSet<String> = BTreeSet::new();
    let mut missing = item.recorded.map(|(_, id)| id);
    for at in places(collections, found) {
        let Ok(objects) = collections.objects(at, item.kind, &found.spec, scope) else {
            return Vec::new();
        };
        let listed: Vec<&Remote> = match item.recorded {
            Some((_, id)) => objects.by_id(id).into_iter().collect(),
            None => objects.iter().filter(|one| item.kind.fits(&found.spec, one)).collect(),
        };
        missing = missing.filter(|_| listed.is_empty());
        let parts = listed.into_iter().filter(|one| !item.kind.is_whole(&found.spec, one));
        ids.extend(parts.map(|one| one.id.clone()));
    }
    let parts = ids.iter().filter_map(|id| item.kind.fetch(id, scope));
    parts.chain(missing.and_then(|id| item.kind.confirm(id, scope))).collect()
}

/// What of all that was read takes a place of a recorded resource, and changes what it means.
fn beside(
    collections: &mut Collections,
    item: &Pending<'_>,
    found: &Located,
    scope: &Scope,
) -> Vec<Remote> {
    let Some((_, id)) = item.recorded else { return Vec::new() };
    let taken = item.kind.places(&found.spec);
    let mut out: Vec<Remote> = Vec::new();
    for at in if taken.is_empty() { Vec::new() } else { places(collections, found) } {
        let Ok(objects) = collections.objects(at, item.kind, &found.spec, scope) else { continue };
        for other in taken.iter().flat_map(|place| objects.at_place(place)) {
            let is_new = other.id != id && out.iter().all(|known| known.id != other.id);
            if is_new && item.kind.overlaid(&found.spec, other).is_some() {
                out.push(other.clone());
            }
        }
    }
    out
}

/// What of all that was read is the resource.
fn seen(collections: &mut Collections, item: &Pending<'_>, found: &Located, scope: &Scope) -> Seen {
    if let Locate::Away(why) = &found.locate {
        return Seen::At(Observed::Unreadable(why.clone()));
    }
    // What was asked for by its id says more than a list.
    let asked = unlisted(collections, item, found, scope);
    let mut places: Vec<usize> = asked.iter().filter_map(|c| collections.of_call(c)).collect();
    places.extend(self::places(collections, found));
    let (mut fitting, mut clashing): (Vec<Remote>, Vec<Remote>) = Default::default();
    for at in places {
        let objects = match collections.objects(at, item.kind, &found.spec, scope) {
            Ok(objects) => objects,
            Err(error) => return Seen::At(Observed::Unreadable(why(&error))),
        };
        match item.recorded {
            Some((_, id)) => fitting.extend(objects.by_id(id).cloned()),
            None => {
                // A page that moved on while it was read shows an item twice.
                let new = |remote: &&Remote| fitting.iter().all(|known| known.id != remote.id);
                let fits = |remote: &&Remote| item.kind.fits(&found.spec, remote);
                let more: Vec<Remote> = objects.iter().filter(fits).filter(new).cloned().collect();
                fitting.extend(more);
                let clashes = |remote: &&Remote| item.kind.clash(&found.spec, remote).is_some();
                clashing.extend(objects.iter().filter(clashes).cloned());
            }
        }
    }
    if item.recorded.is_none() {
        return Seen::Fitting(fitting, clashing);
    }
    Seen::At(match fitting.into_iter().next() {
        Some(remote) if item.kind.is_going(&remote) => Observed::Going(remote),
        Some(remote) => Observed::Present(remote),
        None => Observed::Absent,
    })
}

#[cfg(test)]
#[path = "observe_tests.rs"]
mod tests;
