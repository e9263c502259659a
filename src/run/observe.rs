//! Reads the world by collections: every list once for all stacks of a run, in as many rounds as
//! references make necessary (two, at most three).

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{self, StreamExt};

use crate::engine::resolve::{Known, Outputs, resolve};
use crate::model::Json;
use crate::model::address::Address;
use crate::model::call::{Call, Listing};
use crate::model::error::{CallError, Failure};
use crate::model::journal::OpenIntent;
use crate::model::kind::{Kind, Locate};
use crate::model::observed::{Observed, Remote, World};
use crate::model::resource::Stack;
use crate::model::scope::Scope;
use crate::model::state::State;

use super::Context;
use super::scope::Away;

/// How many requests of observing may be under way at once.
const AT_ONCE: usize = 16;

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
}

/// Observes all subjects together.
pub async fn observe(
    context: &Context<'_>,
    subjects: &[Subject<'_>],
    scope: &Scope,
    away: &Away,
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
    let mut reader = Reader::default();
    while !pending.is_empty() {
        let located = locate(&pending, &known, scope);
        if located.is_empty() {
            break;
        }
        reader.read(context, &located).await;
        let mut done = BTreeSet::new();
        for found in &located {
            let item = &pending[found.pending];
            let world = &mut worlds[item.subject];
            let seen = reader.seen(context, item, found, scope).await;
            done.insert(found.pending);
            if let Some((number, _)) = item.lost {
                world.lost.insert(number, fitting(seen));
                continue;
            }
            note(world, &mut known[item.subject], subjects, item, found, seen, &taken);
        }
        let mut at = 0;
        pending.retain(|_| {
            at += 1;
            !done.contains(&(at - 1))
        });
    }
    for item in pending {
        // Where to look depends on something that is not there.
        if item.lost.is_none() {
            worlds[item.subject].resources.insert(item.address, Observed::Absent);
        }
    }
    worlds
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
                out.push(Located { pending: at, spec: spec.clone(), locate });
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
                        out.push(Located { pending: at, spec: resolved, locate: Locate::Nowhere });
                        continue;
                    }
                };
                let locate = item.kind.locate(Some(&spec), None, scope);
                (spec, locate)
            }
            (None, None) => continue,
        };
        if let Some(locate) = locate {
            out.push(Located { pending: at, spec, locate });
        }
    }
    out
}

/// Why something could not be read; where a permission lacks, with which one that is.
fn why(error: &CallError) -> String {
    match &error.hint {
        Some(hint) if error.failure == Failure::Denied => format!("{error}; {hint}"),
        _ => error.to_string(),
    }
}

/// What was seen of one resource.
enum Seen {
    At(Observed),
    Fitting(Vec<Remote>),
}

/// What of a look at a lost call's place fits it.
fn fitting(seen: Seen) -> Result<Vec<Remote>, String> {
    match seen {
        Seen::Fitting(remotes) => Ok(remotes),
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
        Seen::Fitting(mut remotes) => {
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

type Read = Result<Vec<Json>, CallError>;

/// Keeps what was read, so that nothing is read twice.
#[derive(Default)]
struct Reader {
    lists: Vec<(Listing, Read)>,
    calls: Vec<(Call, Read)>,
}

impl Reader {
    async fn read(&mut self, context: &Context<'_>, located: &[Located]) {
        let mut listings: Vec<Listing> = Vec::new();
        let mut calls: Vec<Call> = Vec::new();
        for found in located {
            match &found.locate {
                Locate::In(wanted) => {
                    for listing in wanted {
                        let read = self.lists.iter().any(|(known, _)| known == listing);
                        if !read && !listings.contains(listing) {
                            listings.push(listing.clone());
                        }
                    }
                }
                Locate::By(call) => {
                    let read = self.calls.iter().any(|(known, _)| known == call);
                    if !read && !calls.contains(call) {
                        calls.push(call.clone());
                    }
                }
                Locate::Nowhere | Locate::Away(_) => {}
            }
        }
        let merged = context.transport.merge(&listings);
        let lists = stream::iter(merged)
            .map(|(listing, serves)| async move {
                let items = context.transport.list(&listing).await;
                (serves, items)
            })
            .buffer_unordered(AT_ONCE)
            .collect::<Vec<_>>();
        let answers = stream::iter(calls)
            .map(|call| async move {
                let answer = get(context, &call).await;
                (call, answer)
            })
            .buffer_unordered(AT_ONCE)
            .collect::<Vec<_>>();
        let (lists, answers) = futures::join!(lists, answers);
        for (serves, items) in lists {
            for at in serves {
                if let Some(listing) = listings.get(at) {
                    self.lists.push((listing.clone(), items.clone()));
                }
            }
        }
        self.calls.extend(answers);
    }

    /// What of all that was read is the resource.
    async fn seen(
        &self,
        context: &Context<'_>,
        item: &Pending<'_>,
        found: &Located,
        scope: &Scope,
    ) -> Seen {
        let mut remotes: Vec<Remote> = Vec::new();
        let reads: Vec<&Read> = match &found.locate {
            Locate::Nowhere => Vec::new(),
            Locate::Away(why) => return Seen::At(Observed::Unreadable(why.clone())),
            Locate::In(listings) => {
                let of = |listing| self.lists.iter().find(|(known, _)| known == listing);
                listings.iter().filter_map(of).map(|(_, read)| read).collect()
            }
            Locate::By(call) => {
                self.calls.iter().filter(|(known, _)| known == call).map(|(_, read)| read).collect()
            }
        };
        for read in reads {
            match read {
                Ok(items) => {
                    let of = |one| item.kind.read_by(&found.spec, one, scope);
                    remotes.extend(items.iter().flat_map(of));
                }
                Err(error) => return Seen::At(Observed::Unreadable(why(error))),
            }
        }
        let Some((_, id)) = item.recorded else {
            remotes.retain(|remote| item.kind.fits(&found.spec, remote));
            return Seen::Fitting(remotes);
        };
        let listed = remotes.into_iter().find(|remote| remote.id == id);
        let fetched = match (listed, item.kind.fetch(id, scope)) {
            (Some(remote), _) => Ok(Some(remote)),
            (None, Some(call)) if matches!(found.locate, Locate::In(_)) => {
                // Not listed is not yet gone: it is asked for by its id.
                let items = get(context, &call).await;
                items.map(|items| {
                    let all =
                        items.iter().flat_map(|one| item.kind.read_by(&found.spec, one, scope));
                    all.into_iter().find(|remote| remote.id == id)
                })
            }
            (None, _) => Ok(None),
        };
        Seen::At(match fetched {
            Ok(Some(remote)) if item.kind.is_going(&remote) => Observed::Going(remote),
            Ok(Some(remote)) => Observed::Present(remote),
            Ok(None) => Observed::Absent,
            Err(error) => Observed::Unreadable(why(&error)),
        })
    }
}

/// One object, or none where the API says that there is none.
async fn get(context: &Context<'_>, call: &Call) -> Read {
    match context.transport.send(call, context.secrets).await {
        Ok(answer) if answer.is_success() => Ok(vec![answer.body]),
        Ok(_) => Ok(Vec::new()),
        Err(error) if error.failure == crate::model::error::Failure::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
