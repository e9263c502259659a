//! `drift revert`: what has drifted is put back as it was applied last, and nothing else is done.

use std::collections::BTreeSet;

use crate::engine::narrow::narrow;
use crate::engine::resolve::without_fingerprints;
use crate::engine::rollback::as_it_was;
use crate::model::address::Address;
use crate::model::change::{Drift, DriftKind};
use crate::model::error::{Exit, Report, Stop};
use crate::model::history::Past;
use crate::model::plan::{Options, Plan};
use crate::model::resource::Stack;
use crate::model::secret::{SecretId, Secrets};
use crate::run::pipeline::{Origin, Subject};

use super::applying::{Ready, carry_out, confirm};
use super::asked::{Asked, asked};
use super::drift_commands::RevertArgs;
use super::drifting::{Look, look};
use super::planning;
use super::rollback::{gather, lacking};
use super::session::{Session, store_stop};
use super::ui::Ui;
use super::wires::Wires;

/// Runs `drift revert`: an apply of what was applied last, of these resources alone. What the files
/// ask for and was not applied yet stays pending.
///
/// # Errors
/// What was asked for has not drifted, or what stops it before anything is done.
pub async fn run(session: &Session, ui: &Ui, args: &RevertArgs) -> Result<Exit, Stop> {
    let looked = look(session, ui, &args.stacks, args.verify_secrets).await?;
    let mut found: Vec<Asked> = Vec::new();
    for text in &args.what {
        let some = asked(text, &looked.addresses, &looked.view.drift)?;
        some.iter().try_for_each(|one| is_whole(one, &looked))?;
        found.extend(some);
    }
    found.retain(|one| one.drift.kind != DriftKind::Foreign);
    let targets: BTreeSet<Address> = found.iter().map(|one| one.drift.address.clone()).collect();
    let names: BTreeSet<&String> = found.iter().map(|one| &one.stack).collect();
    let names: Vec<String> = names.into_iter().cloned().collect();
    let mut options = Options {
        verify_secrets: args.verify_secrets,
        no_commands: args.no_commands,
        ..Options::default()
    };
    let _lock = session.lock(ui, &names)?;
    let mut gathered = gather(session, ui, &names, &options)?;
    gathered.orphans.clear();
    let secrets = gathered.secrets_taken();
    let mut concerned = targets.clone();
    for subject in &mut gathered.subjects {
        concerned.extend(dependents(subject, &targets));
        let pending = put_back(session, subject, &targets, &secrets)?;
        for address in pending {
            ui.note(&format!(
                "The files ask for something else of {address} by now: what was applied last is put \
                 back, and that stays to be applied."
            ));
        }
    }
    options.target = concerned.iter().map(ToString::to_string).collect();
    let wires = Wires::connect(session, ui, secrets);
    let (mut plan, observations) = planning::make(session, ui, &wires, gathered, &options).await?;
    plan.stacks.iter_mut().for_each(|stack| narrow(stack, &targets));
    let context = wires.context(session.project.timing);
    lacking(&mut plan, &crate::run::read(context.secrets));
    for address in beside(&plan, &targets) {
        ui.note(&format!("{address} goes with it: it is needed for that, or follows from it."));
    }
    let ready = Ready::new(plan, observations, "drift revert");
    let question = "Put this back? Only \"yes\" does it: ";
    let wait = !args.no_wait;
    carry_out(session, ui, &wires, ready, wait, |ui| confirm(ui, question, "yes", args.yes)).await
}

/// Refuses what can't be put back alone.
fn is_whole(one: &Asked, looked: &Look) -> Result<(), Stop> {
    let address = &one.drift.address;
    let is_of_it = |(stack, drift): &&(String, Drift)| {
        *stack == one.stack && drift.address == *address && drift.kind == one.drift.kind
    };
    let all = looked.view.drift.iter().filter(is_of_it).flat_map(|(_, drift)| &drift.paths);
    let rest: Vec<&str> = all
        .filter(|change| !one.drift.paths.iter().any(|own| own.path == change.path))
        .map(|change| change.path.as_str())
        .collect();
    if !rest.is_empty() {
        let report = Report::error(format!("{address} has drifted elsewhere, too")).code("revert");
        return Err(Stop::refused(
            report
                .cause(rest.join(", "))
                .hint("a resource is written as a whole, so that it is put back as a whole")
                .hint(format!("`boxctl drift revert {address}` puts all of it back")),
        ));
    }
    let only_foreign = looked.view.drift.iter().all(|(stack, drift)| {
        *stack != one.stack || drift.address != *address || drift.kind == DriftKind::Foreign
    });
    if only_foreign {
        let text = format!("what stands beside {address} is not boxctl's to remove");
        return Err(Stop::refused(
            Report::error(text)
                .code("revert")
                .cause(
                    one.drift.paths.iter().map(|c| c.path.as_str()).collect::<Vec<_>>().join(", "),
                )
                .hint(format!(
                    "remove it where it was made, or say that it is known: `boxctl drift ack {address}`"
                )),
        ));
    }
    Ok(())
}

/// Declares what was applied last; gives the addresses of which the files ask for something else.
fn put_back(
    session: &Session,
    subject: &mut Subject,
    targets: &BTreeSet<Address>,
    secrets: &Secrets,
) -> Result<Vec<Address>, Stop> {
    let name = subject.stack.name.clone();
    let history = session.store.history(&name).map_err(|error| store_stop(&error))?;
    let declared = applied(&history, subject).ok_or_else(|| {
        let report = Report::error(format!("what was applied last of {name} is not kept"));
        Stop::refused(report.code("revert").hint("`boxctl apply` puts back what the files ask for"))
    })?;
    let at_hand = |id: &SecretId| secrets.get(id).is_some();
    let mut stack = as_it_was(declared, &name, at_hand);
    if let Some(state) = &subject.state {
        stack.resources.retain(|resource| state.resources.contains_key(&resource.address));
    }
    for address in targets {
        let recorded = subject.state.as_ref().is_some_and(|s| s.resources.contains_key(address));
        if recorded && stack.resource(address).is_none() {
            let text = format!("what was applied last as {address} is not kept");
            return Err(Stop::refused(Report::error(text).code("revert")));
        }
    }
    let pending = targets.iter().filter(|address| differs(&subject.stack, &stack, address));
    let pending = pending.cloned().collect();
    // What a rollback noted stays noted: the files ask for what they asked for.
    let note = subject.state.as_ref().and_then(|state| state.rolled_back.clone());
    subject.origin = Origin::EarlierRun(note);
    subject.retired = false;
    subject.stack = stack;
    Ok(pending)
}

/// What the last run that applied something declared.
fn applied<'a>(history: &'a [Past], subject: &Subject) -> Option<&'a Stack> {
    // A run that was killed before its checkpoint is not over yet.
    let serial = subject.state.as_ref().map_or(0, |state| state.serial);
    let over = history.iter().filter(|past| past.serial() <= serial);
    over.rev().find_map(|past| past.declared.as_ref())
}

fn differs(files: &Stack, applied: &Stack, address: &Address) -> bool {
    let spec = |stack: &Stack| {
        stack.resource(address).map(|resource| without_fingerprints(&resource.spec, &|_| true))
    };
    // A stack of which the files could not be read asks for nothing that is known.
    !files.resources.is_empty()
        && applied.resource(address).is_some()
        && spec(files) != spec(applied)
}

/// What rests on these resources, at however many removes: it follows where they are made anew.
fn dependents(subject: &Subject, targets: &BTreeSet<Address>) -> BTreeSet<Address> {
    let mut found = targets.clone();
    loop {
        let recorded = subject.state.iter().flat_map(|state| &state.resources);
        let rests = recorded
            .filter(|(address, _)| !found.contains(*address))
            .filter(|(_, recorded)| recorded.dependencies.iter().any(|one| found.contains(one)));
        let more: Vec<Address> = rests.map(|(address, _)| address.clone()).collect();
        if more.is_empty() {
            return found;
        }
        found.extend(more);
    }
}

/// What is changed beside what was asked for.
fn beside(plan: &Plan, targets: &BTreeSet<Address>) -> BTreeSet<Address> {
    let changes = plan.stacks.iter().flat_map(|stack| &stack.changes);
    changes.map(|change| &change.address).filter(|a| !targets.contains(a)).cloned().collect()
}
