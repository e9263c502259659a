//! `apply` and `destroy`: plan, ask, carry out, record.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::config::Commands;
use crate::engine::exposure::{Exposure, Role};
use crate::kinds::wiring;
use crate::model::change::{Change, StepId};
use crate::model::error::{Exit, Level, Report, Stop};
use crate::model::event::Event;
use crate::model::plan::{Options, Plan, StackPlan};
use crate::model::scope::Scope;
use crate::model::state::State;
use crate::run::Context;
use crate::run::apply::{Applied, apply};
use crate::run::pipeline::{self, Observations};
use crate::run::stack_run::StackRun;
use crate::store;

use super::planning::{self, commands, orphan, plan_path, refusal, subjects_of};
use super::session::{Session, store_stop};
use super::ui::Ui;
use super::wires::Wires;

/// What `apply` is told.
#[derive(Clone, Debug, Default)]
pub struct ApplyCommand {
    /// The stacks; all if empty.
    pub stacks: Vec<String>,
    /// What to plan.
    pub options: Options,
    /// A saved plan to carry out instead.
    pub plan: Option<PathBuf>,
    /// Whether not to ask.
    pub yes: bool,
    /// Whether not to wait until things are ready.
    pub no_wait: bool,
}

/// What `destroy` is told.
#[derive(Clone, Debug, Default)]
pub struct DestroyCommand {
    /// The stacks.
    pub stacks: Vec<String>,
    /// Whether all stacks are meant.
    pub all: bool,
    /// Patterns of protected resources that may go.
    pub allow_protected: Vec<String>,
    /// Whether not to ask.
    pub yes: bool,
}

/// A plan to be carried out, with what it rests on.
struct Ready {
    plan: Plan,
    observations: Observations,
    refused: Vec<BTreeSet<StepId>>,
}

/// Runs `apply`.
///
/// # Errors
/// What stops it before anything is done.
pub async fn run(session: &Session, ui: &Ui, command: &ApplyCommand) -> Result<Exit, Stop> {
    if let Some(path) = &command.plan {
        return run_saved(session, ui, command, path).await;
    }
    let gathered = session.gather(&command.stacks, commands(&command.options))?;
    if command.stacks.is_empty() && !gathered.orphans.is_empty() {
        let reports = gathered.orphans.iter().map(|name| orphan(name, Level::Error)).collect();
        return Err(Stop { exit: Exit::Refused, reports });
    }
    let names: Vec<String> = gathered.subjects.iter().map(|s| s.stack.name.clone()).collect();
    let _lock = session.lock(&names)?;
    // The state may have moved while the lock was waited for.
    let gathered = session.gather(&command.stacks, commands(&command.options))?;
    let wires = Wires::connect(session, ui, gathered.secrets_taken());
    let (plan, observations) = planning::make(session, &wires, gathered, &command.options).await?;
    let refused = plan.stacks.iter().map(|_| BTreeSet::new()).collect();
    let ready = Ready { plan, observations, refused };
    let question = "Apply these changes? Only \"yes\" does it: ";
    let yes = command.yes;
    let wait = !command.no_wait;
    carry_out(session, ui, &wires, ready, wait, |ui| confirm(ui, question, "yes", yes)).await
}

/// Runs `destroy`.
///
/// # Errors
/// What stops it before anything is done.
pub async fn destroy(session: &Session, ui: &Ui, command: &DestroyCommand) -> Result<Exit, Stop> {
    let names = if command.all {
        session.store.list().map_err(|error| store_stop(&error))?
    } else {
        command.stacks.clone()
    };
    let options = Options {
        destroy: true,
        allow_protected: command.allow_protected.clone(),
        no_commands: true,
        ..Options::default()
    };
    let gathered = match session.gather(&names, Commands::Skip) {
        Ok(gathered) => gathered,
        // Files that are broken or gone do not keep anything from being destroyed: the state does.
        Err(_) if names.iter().all(|name| matches!(session.store.load(name), Ok(Some(_)))) => {
            session.states_alone(&names)?
        }
        Err(stop) => return Err(stop),
    };
    let _lock = session.lock(&names)?;
    let wires = Wires::connect(session, ui, gathered.secrets_taken());
    let (plan, observations) = planning::make(session, &wires, gathered, &options).await?;
    let refused = plan.stacks.iter().map(|_| BTreeSet::new()).collect();
    let ready = Ready { plan, observations, refused };
    let all = names.join(" ");
    let question = format!("Destroy all this? Only \"{all}\" does it: ");
    carry_out(session, ui, &wires, ready, true, |ui| confirm(ui, &question, &all, command.yes))
        .await
}

async fn run_saved(
    session: &Session,
    ui: &Ui,
    command: &ApplyCommand,
    path: &std::path::Path,
) -> Result<Exit, Stop> {
    let path = plan_path(&session.dir, &session.project.state_dir, path);
    let saved = store::load_plan(&path).map_err(|error| store_stop(&error))?;
    let names: Vec<String> = saved.stacks.iter().map(|stack| stack.stack.clone()).collect();
    let _lock = session.lock(&names)?;
    let subjects = subjects_of(session, &saved)?;
    // The files are read for secrets only: what is declared is the plan's.
    let secrets = session.load(commands(&saved.options)).map(|loaded| loaded.secrets);
    let wires = Wires::connect(session, ui, secrets.unwrap_or_default());
    let context = wires.context(session.project.timing);
    let options = saved.options.clone();
    let (mut fresh, observations) =
        pipeline::plan(&context, &session.project, subjects, &options, saved.id.clone()).await?;
    let mut refused = Vec::new();
    for (stack, now) in saved.stacks.iter().zip(&mut fresh.stacks) {
        let differences = stack.target.differences(&now.target);
        if let Some((what, then, now)) = differences.first() {
            return Err(Stop::refused(
                Report::error(format!("the plan of {} is for another target", stack.stack))
                    .code("target")
                    .cause(format!("{what}: the plan says {then}, this run has {now}")),
            ));
        }
        refused.push(hold_to(stack, now));
    }
    let something = fresh.stacks.iter().zip(&refused).any(|(stack, refused)| {
        stack.changes.iter().any(|change| !refused.contains(&change.step()))
    });
    if !something && refused.iter().any(|refused| !refused.is_empty()) {
        planning::show(ui, &fresh);
        let reports: Vec<Report> = refused.iter().flatten().map(stale).collect();
        return Err(Stop { exit: Exit::Refused, reports });
    }
    let ready = Ready { plan: fresh, observations, refused };
    let question = "Apply this plan? Only \"yes\" does it: ";
    let yes = command.yes;
    carry_out(session, ui, &wires, ready, !command.no_wait, |ui| confirm(ui, question, "yes", yes))
        .await
}

fn stale(step: &StepId) -> Report {
    Report::error(format!("{step} no longer rests on what it was planned on"))
        .code("stale")
        .about(&step.address)
        .hint("plan again, and look at what has changed")
}

/// Keeps of a fresh plan what the saved one says; returns the steps whose ground has changed.
fn hold_to(saved: &StackPlan, fresh: &mut StackPlan) -> BTreeSet<StepId> {
    let mut refused = BTreeSet::new();
    let same =
        |a: &Change, b: &Change| a.action == b.action && a.ground == b.ground && a.paths == b.paths;
    fresh.changes.retain(|now| {
        let Some(then) = saved.changes.iter().find(|then| then.step() == now.step()) else {
            return false;
        };
        if !same(then, now) {
            refused.insert(now.step());
        }
        true
    });
    for step in &refused {
        fresh.checks.push(stale(step));
        if let Some(last) = fresh.checks.last_mut() {
            last.level = Level::Warning;
        }
    }
    // Refusals of steps that the saved plan does not have are not this plan's.
    let kept: BTreeSet<_> = fresh.changes.iter().map(|change| change.address.clone()).collect();
    fresh.checks.retain(|check| {
        check.level != Level::Error || check.address.as_ref().is_none_or(|a| kept.contains(a))
    });
    refused
}

/// Asks, unless told not to.
fn confirm(ui: &Ui, question: &str, wanted: &str, yes: bool) -> Result<bool, Stop> {
    if yes {
        return Ok(true);
    }
    match ui.ask(question) {
        Some(answer) if answer == wanted => Ok(true),
        Some(_) => Ok(false),
        None => Err(Stop::refused(
            Report::error("there is no terminal to ask on")
                .code("no-terminal")
                .hint("`--yes` goes on without asking"),
        )),
    }
}

async fn carry_out(
    session: &Session,
    ui: &Ui,
    wires: &Wires,
    ready: Ready,
    wait: bool,
    confirm: impl FnOnce(&Ui) -> Result<bool, Stop>,
) -> Result<Exit, Stop> {
    let Ready { plan, observations, refused } = ready;
    if !ui.json {
        planning::show(ui, &plan);
    }
    let refusals: Vec<Report> = plan.stacks.iter().flat_map(StackPlan::refusals).cloned().collect();
    if !refusals.is_empty() {
        let exit = refusal(&plan);
        if ui.json {
            ui.stop(exit, &refusals);
        }
        return Ok(exit);
    }
    let nothing =
        plan.summary().is_empty() && plan.stacks.iter().all(|stack| stack.refresh.is_empty());
    if nothing {
        wires.done(Exit::Done);
        return Ok(Exit::Done);
    }
    if !plan.summary().is_empty() && !confirm(ui)? {
        ui.note("Nothing was done.");
        return Ok(Exit::Refused);
    }
    if std::env::var_os("CI").is_some_and(|ci| ci == "true") && session.overrides.is_none() {
        ui.note(
            "warning: the state is on this machine's disk; keep it where the next run finds it, \
             runners that are thrown away lose it",
        );
    }
    wires.expect(&plan);
    let watcher = wires.watch_signals();
    let mut exit = Exit::Done;
    let context = wires.context(session.project.timing);
    let stacks = plan.stacks.iter().zip(&refused).enumerate();
    for (at, (stack, refused)) in stacks {
        if wires.stop.is_set() {
            exit = exit.and(Exit::Interrupted);
            break;
        }
        let part = Part { plan: stack, plan_id: &plan.id, refused, at, wait };
        exit = exit.and(one_stack(session, &context, wires, &observations, &part).await?);
    }
    watcher.abort();
    wires.done(exit);
    if !ui.json && exit == Exit::Done {
        wires.take_published().iter().for_each(|line| ui.print(line));
    }
    Ok(exit)
}

/// One stack of a plan.
struct Part<'a> {
    plan: &'a StackPlan,
    plan_id: &'a str,
    refused: &'a BTreeSet<StepId>,
    at: usize,
    wait: bool,
}

async fn one_stack(
    session: &Session,
    context: &Context<'_>,
    wires: &Wires,
    observations: &Observations,
    part: &Part<'_>,
) -> Result<Exit, Stop> {
    let plan = part.plan;
    let began = context.outside.elapsed_ms();
    let (Some(subject), Some(world), Some(lookups)) = (
        observations.subjects.get(part.at),
        observations.worlds.get(part.at),
        observations.lookups.get(part.at),
    ) else {
        return Ok(Exit::Error);
    };
    let state =
        subject.state.clone().unwrap_or_else(|| State::new(&plan.stack, subject.lineage.clone()));
    let journal = session.store.open_journal(&state).map_err(|error| store_stop(&error))?;
    let scope = Scope { lineage: subject.lineage.clone(), ..observations.scope.clone() };
    let wiring = wiring::of(&subject.stack.resources);
    let run = StackRun::new(
        context,
        scope,
        &plan.stack,
        &subject.stack.resources,
        &plan.needs,
        &wiring.readers,
        lookups,
        world,
        state,
        Box::new(journal),
        part.wait,
    );
    let applied: Applied = apply(&run, plan, part.plan_id, part.refused).await;
    let shared = run.into_shared();
    let mut state = shared.state;
    drop(shared.journal);
    if shared.changed {
        state.serial += 1;
    }
    let finished = if shared.broken {
        // The journal has what is durable; a checkpoint might say more than that.
        Exit::Error
    } else {
        session.store.checkpoint(&state).map_err(|error| store_stop(&error))?;
        remove_old_name(session, subject)?;
        if subject.retired && state.resources.is_empty() {
            session.store.remove(&plan.stack).map_err(|error| store_stop(&error))?;
        }
        Exit::Done
    };
    let exit = applied.exit.and(finished);
    wires.published(published(&state, &observations.scope));
    wires.events().emit(Event::ApplyEnded {
        stack: plan.stack.clone(),
        done: applied.done,
        failed: applied.failed.len(),
        waiting: applied.waiting.len(),
        serial: state.serial,
        exit,
        elapsed_ms: context.outside.elapsed_ms().saturating_sub(began),
        requests: context.transport.requests(),
    });
    Ok(exit)
}

/// What a stack publishes by now: each hostname with what guards it.
fn published(state: &State, scope: &Scope) -> Vec<String> {
    let mut exposure = Exposure::default();
    for (address, record) in &state.resources {
        if let Some(kind) = crate::kinds::find(&record.kind) {
            exposure.add(kind, address, &record.sent, scope);
        }
    }
    let hostnames = exposure.by_hostname.keys();
    hostnames
        .filter(|hostname| exposure.with_role(hostname, Role::Name).next().is_some())
        .filter(|hostname| exposure.with_role(hostname, Role::Route).next().is_some())
        .map(|hostname| match exposure.with_role(hostname, Role::Guard).next() {
            Some(guard) => format!("https://{hostname} is published, guarded by {guard}"),
            None => format!("https://{hostname} is published, open to everyone"),
        })
        .collect()
}

/// A stack that was renamed has its state under the new name now.
fn remove_old_name(session: &Session, subject: &pipeline::Subject) -> Result<(), Stop> {
    let Some(old) = &subject.stack.renamed_from else { return Ok(()) };
    match session.store.load(old) {
        Ok(Some(loaded)) if loaded.state.lineage == subject.lineage => {
            session.store.remove(old).map_err(|error| store_stop(&error))
        }
        Ok(_) => Ok(()),
        Err(error) => Err(store_stop(&error)),
    }
}
