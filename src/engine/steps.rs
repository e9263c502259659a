//! From changes to steps in order: what needs what, which changes take two steps, and what a
//! target leaves out.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::address::{Address, AddressGlob};
use crate::model::change::{Action, Change, Phase, StepId};
use crate::model::error::Report;

use super::exposure::{self, Role};
use super::graph;
use super::plan::{Planner, step};

/// The steps of a plan, in an order in which they could be done one after the other.
pub(super) fn ordered(planner: &mut Planner<'_>) -> Vec<Change> {
    let mut steps: BTreeMap<StepId, Change> = BTreeMap::new();
    for (address, change) in std::mem::take(&mut planner.changes) {
        for phase in phases(planner, &address, &change) {
            let mut part = change.clone();
            part.phase = phase;
            steps.insert(step(&address, phase), part);
        }
    }
    let needs = edges(planner, &steps);
    let nodes: Vec<StepId> = steps.keys().cloned().collect();
    let rank = |id: &StepId| rank(planner, steps.get(id));
    let order = match graph::order(&nodes, &needs, rank) {
        Ok(order) => order,
        Err(cycle) => {
            let names: Vec<_> = cycle.iter().map(StepId::to_string).collect();
            planner.checks.push(
                Report::error(format!("the steps {} need one another", names.join(", ")))
                    .code("cycle")
                    .hint("apply a part of the change first, with `--target`")
                    .hint("where they swap what one alone can have, give one another in between"),
            );
            nodes
        }
    };
    order
        .into_iter()
        .filter_map(|id| {
            let mut change = steps.remove(&id)?;
            change.needs = needs.get(&id).into_iter().flatten().cloned().collect();
            Some(change)
        })
        .collect()
}

/// Creation goes up the ranks, deletion down.
fn rank(planner: &Planner<'_>, change: Option<&Change>) -> i64 {
    let Some(change) = change else { return 0 };
    let spec = change.spec.as_ref().or(change.before.as_ref());
    let rank = match (planner.kind(change.address.kind()), spec) {
        (Some(kind), Some(spec)) => i64::from(kind.rank(spec)),
        _ => 0,
    };
    if change.action == Action::Delete { 10_000 - rank } else { rank }
}

/// The parts that a change is done in.
fn phases(planner: &Planner<'_>, address: &Address, change: &Change) -> Vec<Phase> {
    match change.action {
        Action::Replace => vec![Phase::Remove, Phase::Remake],
        Action::Update if gives_up_published_hostname(planner, address) => {
            let now = planner.exposed_now.hostnames(address);
            let then = planner.exposure.hostnames(address);
            if then.iter().all(|hostname| now.contains(hostname)) {
                // What an interrupted run widened, or a hostname that just goes: what is still
                // published is guarded already, so nothing waits for this.
                vec![Phase::Narrow]
            } else {
                vec![Phase::Widen, Phase::Narrow]
            }
        }
        _ => vec![Phase::Whole],
    }
}

/// Whether an Access application gives up a hostname that is still published.
fn gives_up_published_hostname(planner: &Planner<'_>, address: &Address) -> bool {
    let is_guard = exposure::role(address.kind()) == Some(Role::Guard);
    let (now, then) = (planner.exposed_now.hostnames(address), planner.exposure.hostnames(address));
    is_guard
        && now
            .iter()
            .filter(|hostname| !then.contains(*hostname))
            .any(|hostname| planner.exposed_now.publishers(hostname).next().is_some())
}

fn makes(change: &Change) -> bool {
    matches!(change.action, Action::Create | Action::Update | Action::Adopt | Action::Rotate)
        || change.action == Action::Replace && change.phase == Phase::Remake
}

fn removes(change: &Change) -> bool {
    change.action == Action::Delete
        || change.action == Action::Replace && change.phase == Phase::Remove
}

fn edges(
    planner: &Planner<'_>,
    steps: &BTreeMap<StepId, Change>,
) -> BTreeMap<StepId, BTreeSet<StepId>> {
    let mut needs: BTreeMap<StepId, BTreeSet<StepId>> = BTreeMap::new();
    let of = |address: &Address| {
        let phases = [Phase::Whole, Phase::Widen, Phase::Narrow, Phase::Remove, Phase::Remake];
        phases.map(|phase| step(address, phase)).into_iter().filter(|id| steps.contains_key(id))
    };
    // The step of a resource after which others may rely on it.
    let made = |address: &Address| {
        of(address).find(|id| id.phase != Phase::Narrow && steps.get(id).is_some_and(makes))
    };
    let mut need = |id: &StepId, needed: StepId| {
        if *id != needed {
            needs.entry(id.clone()).or_default().insert(needed);
        }
    };
    for (id, change) in steps {
        match id.phase {
            Phase::Remake => need(id, step(&id.address, Phase::Remove)),
            Phase::Narrow => of(&id.address)
                .filter(|half| half.phase == Phase::Widen)
                .for_each(|widen| need(id, widen)),
            Phase::Whole | Phase::Widen | Phase::Remove | Phase::Await => {}
        }
        if makes(change) {
            for needed in planner.needs.get(&id.address).into_iter().flatten() {
                if let Some(made) = made(needed) {
                    need(id, made);
                } else if planner.awaited.contains(needed) {
                    need(id, step(needed, Phase::Await));
                }
            }
        }
        // What used it goes, or lets go of it, before.
        if removes(change) {
            for (user, recorded) in &planner.recorded {
                if !recorded.dependencies.contains(&id.address) {
                    continue;
                }
                let replaced = change.action == Action::Replace;
                for user_step in of(user) {
                    let Some(user_change) = steps.get(&user_step) else { continue };
                    let lets_go = makes(user_change) && !replaced;
                    if removes(user_change) || lets_go {
                        need(id, user_step);
                    }
                }
            }
        }
    }
    hostname_edges(planner, steps, &mut need);
    claim_edges(planner, steps, &mut need);
    needs
}

/// What one object alone can have is taken after the one that has it has given it up.
fn claim_edges(
    planner: &Planner<'_>,
    steps: &BTreeMap<StepId, Change>,
    need: &mut impl FnMut(&StepId, StepId),
) {
    let claim = |change: &Change, spec: Option<&crate::model::Json>| {
        let kind = planner.kind(change.address.kind())?;
        Some((change.address.kind().to_owned(), kind.claims(spec?)?))
    };
    let given_up: BTreeMap<_, &StepId> = steps
        .iter()
        .filter_map(|(id, change)| {
            let now = planner.observed(&change.address).present().map(|remote| &remote.spec);
            let now = claim(change, now)?;
            let then = claim(change, change.spec.as_ref()).filter(|_| !removes(change));
            (then.as_ref() != Some(&now)).then_some((now, id))
        })
        .collect();
    for (id, change) in steps.iter().filter(|(_, change)| makes(change)) {
        let wanted = claim(change, change.spec.as_ref());
        if let Some(first) = wanted.and_then(|wanted| given_up.get(&wanted)) {
            need(id, (*first).clone());
        }
    }
}

/// A hostname loses its guard last: after its routes and names are gone.
fn hostname_edges(
    planner: &Planner<'_>,
    steps: &BTreeMap<StepId, Change>,
    need: &mut impl FnMut(&StepId, StepId),
) {
    // The step in which a resource gives a hostname up, if there is one.
    let losing = |hostname: &str, address: &Address| {
        let stays = planner.exposure.hostnames(address).contains(hostname);
        let phases = [Phase::Whole, Phase::Narrow, Phase::Remove];
        phases
            .map(|phase| step(address, phase))
            .into_iter()
            .find(|id| steps.get(id).is_some_and(|change| removes(change) || !stays))
    };
    for (hostname, parts) in &planner.exposed_now.by_hostname {
        let with = |role: Role| parts.iter().filter(move |(r, _)| *r == role).map(|(_, a)| a);
        for guard in with(Role::Guard).filter_map(|guard| losing(hostname, guard)) {
            for (_, _, publisher) in planner.exposed_now.publishers(hostname) {
                let lost = planner.exposed_now.hostnames(publisher);
                let lost = lost.into_iter().filter(|h| meets(hostname, h));
                lost.filter_map(|h| losing(h, publisher)).for_each(|id| need(&guard, id));
            }
        }
        let deleted = |id: &StepId| steps.get(id).is_some_and(removes);
        let names = || with(Role::Name).filter_map(|name| losing(hostname, name)).filter(deleted);
        for route in with(Role::Route).filter_map(|route| losing(hostname, route)) {
            names().for_each(|id| need(&route, id));
        }
    }
}

/// Whether two hostnames, possibly wildcards, have something in common.
fn meets(a: &str, b: &str) -> bool {
    exposure::fits(a, b) || exposure::fits(b, a)
}

/// Takes out what `--target` and `--exclude` leave aside: a target comes with all that it needs, an
/// exclusion goes with all that needs it.
pub(super) fn leave_out(planner: &mut Planner<'_>) {
    let options = planner.input.options;
    let aimed = !options.target.is_empty() || options.rotates();
    if !aimed && options.exclude.is_empty() {
        return;
    }
    let globs = |patterns: &[String]| -> Vec<AddressGlob> {
        patterns.iter().filter_map(|pattern| pattern.parse().ok()).collect()
    };
    let mut needs = planner.needs.clone();
    for (address, change) in &planner.changes {
        if change.action == Action::Delete {
            // A deletion needs the deletion of what uses it.
            let users = planner.recorded.iter().filter(|(_, r)| r.dependencies.contains(address));
            let users: BTreeSet<Address> = users.map(|(user, _)| user.clone()).collect();
            needs.entry(address.clone()).or_default().extend(users);
        }
    }
    for (guard, publishers) in left_behind(planner) {
        needs.entry(guard).or_default().extend(publishers);
    }
    let all: BTreeSet<Address> = planner.changes.keys().cloned().collect();
    let matching = |globs: &[AddressGlob]| -> BTreeSet<Address> {
        let hit = |address: &&Address| globs.iter().any(|glob| glob.matches(address));
        all.iter().filter(hit).cloned().collect()
    };
    let targets = globs(&options.target);
    for glob in &targets {
        let known = planner.specs.keys().chain(planner.recorded.keys());
        if !known.clone().any(|address| glob.matches(address)) {
            planner.checks.push(
                Report::error(format!("`--target {}` fits no resource", glob.as_str()))
                    .code("target")
                    .hint("`boxctl expand` lists the addresses"),
            );
        }
    }
    let named: BTreeSet<Address> = planner
        .specs
        .keys()
        .chain(planner.recorded.keys())
        .filter(|address| targets.iter().any(|glob| glob.matches(address)))
        .cloned()
        .chain(planner.hangs_on_rotated())
        .collect();
    let mut wanted = if aimed { graph::reach(&named, &needs) } else { all.clone() };
    let out = graph::reach(&matching(&globs(&options.exclude)), &graph::reversed(&needs));
    wanted.retain(|address| !out.contains(address));
    let left_out: BTreeSet<Address> = all.difference(&wanted).cloned().collect();
    planner.changes.retain(|address, _| wanted.contains(address));
    planner.leave_no_holder(&left_out);
    planner.kept.retain(|address| !out.contains(address) && (!aimed || named.contains(address)));
    let excluded = globs(&options.exclude);
    let is_left = |address: &Address| {
        let untouched = aimed && !wanted.contains(address);
        untouched || excluded.iter().any(|glob| glob.matches(address))
    };
    planner.awaited.retain(|address| !is_left(address));
    planner.checks.retain(|check| {
        let Some(address) = &check.address else { return true };
        // What could not be read has no change, and refuses only what it has a part in.
        let aside = check.is_unreadable() || check.code.as_deref() == Some("awaited");
        !(aside && is_left(address)) && (!all.contains(address) || wanted.contains(address))
    });
}

/// What publishes the hostnames that a guard gives up: it has to let go of them in the same run.
fn left_behind(planner: &Planner<'_>) -> BTreeMap<Address, BTreeSet<Address>> {
    let mut out: BTreeMap<Address, BTreeSet<Address>> = BTreeMap::new();
    for (hostname, parts) in &planner.exposed_now.by_hostname {
        for (_, guard) in parts.iter().filter(|(role, _)| *role == Role::Guard) {
            let stays = planner.exposure.hostnames(guard).contains(hostname.as_str());
            if stays || !planner.changes.contains_key(guard) {
                continue;
            }
            let publishers = planner.exposed_now.publishers(hostname).map(|(_, _, a)| a.clone());
            out.entry(guard.clone()).or_default().extend(publishers);
        }
    }
    out
}
