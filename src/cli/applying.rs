//! `apply` and `destroy`: plan, ask, carry out, record.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::config::Commands;
use crate::engine::exposure::{Exposure, Role};
use crate::kinds::wiring;
use crate::model::change::StepId;
use crate::model::error::{Exit, Level, Report, Stop};
use crate::model::event::{Event, Failed, Waiting};
use crate::model::history::Past;
use crate::model::journal::OpenIntent;
use crate::model::plan::{Options, Plan, StackPlan};
use crate::model::scope::Scope;
use crate::model::state::State;
use crate::render::applied::Applied;
use crate::run::Context;
use crate::run::apply::{apply, keep_records};
use crate::run::past::{self, Doing};
use crate::run::pipeline::{self, Observations};
use crate::run::stack_run::{Shared, StackRun, StepError};

use super::planning::{self, commands, orphan, refusal};
use super::reports::Outputs;
use super::saved;
use super::session::{Gathered, Session, store_stop};
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
pub(super) struct Ready<'a> {
    pub plan: Plan,
    pub observations: Observations,
    /// Steps of each stack that are not done.
    pub refused: Vec<BTreeSet<StepId>>,
    /// What this run is for each stack.
    pub runs: Vec<Doing>,
    /// Where else to tell what it came to.
    pub outputs: Option<&'a Outputs<'a>>,
}

impl Ready<'_> {
    /// A plan of which everything is done.
    pub fn new(plan: Plan, observations: Observations, run: &str) -> Self {
        let refused = plan.stacks.iter().map(|_| BTreeSet::new()).collect();
        let doing = Doing { run: run.to_owned(), back_to: None };
        let runs = plan.stacks.iter().map(|_| doing.clone()).collect();
        Ready { plan, observations, refused, runs, outputs: None }
    }
}

/// Runs `apply`.
///
/// # Errors
/// What stops it before anything is done.
pub async fn run(
    session: &Session,
    ui: &Ui,
    command: &ApplyCommand,
    outputs: &Outputs<'_>,
) -> Result<Exit, Stop> {
    if let Some(path) = &command.plan {
        return saved::run(session, ui, command, path, outputs).await;
    }
    // Which states there are does not hang on what commands print.
    let gathered = session.gather(&command.stacks, Commands::Skip)?;
    refuse_without_file(&gathered, &command.stacks)?;
    let _lock = session.lock(ui, &gathered.states())?;
    // The state may have moved while the lock was waited for.
    let gathered = session.gather(&command.stacks, commands(&command.options))?;
    let wires = Wires::connect(session, ui, gathered.secrets_taken());
    let (plan, observations) =
        planning::make(session, ui, &wires, gathered, &command.options).await?;
    let outputs = Some(outputs);
    let ready = Ready { outputs, ..Ready::new(plan, observations, "apply") };
    let question = "Apply these changes? Only \"yes\" does it: ";
    let yes = command.yes;
    let wait = !command.no_wait;
    carry_out(session, ui, &wires, ready, wait, |ui| confirm(ui, question, "yes", yes)).await
}

/// A state without its file says nothing of what is wanted: apply touches none before that is said.
fn refuse_without_file(gathered: &Gathered, asked: &[String]) -> Result<(), Stop> {
    let concerned = |name: &&String| asked.is_empty() || asked.contains(name);
    let reports: Vec<Report> =
        gathered.orphans.iter().filter(concerned).map(|name| orphan(name, Level::Error)).collect();
    if reports.is_empty() { Ok(()) } else { Err(Stop { exit: Exit::Refused, reports }) }
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
    let gather = || match session.gather_as_applied(&names) {
        Ok(gathered) => Ok(gathered),
        // Files that are broken or gone do not keep anything from being destroyed: the state does.
        Err(_) if names.iter().all(|name| matches!(session.store.load(name), Ok(Some(_)))) => {
            session.states_alone(&names)
        }
        Err(stop) => Err(stop),
    };
    let _lock = session.lock(ui, &gather()?.states())?;
    // The state may have moved while the lock was waited for.
    let mut gathered = gather()?;
    gathered.orphans.clear();
    let wires = Wires::connect(session, ui, gathered.secrets_taken());
    let (plan, observations) = planning::make(session, ui, &wires, gathered, &options).await?;
    let ready = Ready::new(plan, observations, "destroy");
    let all = names.join(" ");
    let question = format!("Destroy all this? Only \"{all}\" does it: ");
    carry_out(session, ui, &wires, ready, true, |ui| confirm(ui, &question, &all, command.yes))
        .await
}

/// Asks, unless told not to.
pub(super) fn confirm(ui: &Ui, question: &str, wanted: &str, yes: bool) -> Result<bool, Stop> {
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

/// Shows a plan, asks, carries it out, and tells what it came to.
pub(super) async fn carry_out(
    session: &Session,
    ui: &Ui,
    wires: &Wires,
    ready: Ready<'_>,
    wait: bool,
    confirm: impl FnOnce(&Ui) -> Result<bool, Stop>,
) -> Result<Exit, Stop> {
    let ended = carried_out(session, ui, wires, &ready, wait, confirm).await;
    let (exit, stopped) = match &ended {
        Ok(exit) => (*exit, [].as_slice()),
        Err(stop) => (stop.exit, stop.reports.as_slice()),
    };
    let Some(outputs) = ready.outputs else { return ended };
    let told = wires.told();
    let applied = Applied { plan: &ready.plan, told: &told, exit, stopped };
    // What was done is done, whether it could be written down or not.
    let written = outputs.applied(ui, session, &applied);
    Ok(ended?.and(written))
}

async fn carried_out(
    session: &Session,
    ui: &Ui,
    wires: &Wires,
    ready: &Ready<'_>,
    wait: bool,
    confirm: impl FnOnce(&Ui) -> Result<bool, Stop>,
) -> Result<Exit, Stop> {
    let Ready { plan, observations, refused, runs, .. } = ready;
    if !ui.json {
        planning::show(ui, plan);
    }
    let refusals: Vec<Report> = plan.stacks.iter().flat_map(StackPlan::refusals).cloned().collect();
    if !refusals.is_empty() {
        let exit = refusal(plan);
        if ui.json {
            ui.stop(exit, &refusals);
        }
        return Ok(exit);
    }
    let something = !plan.summary().is_empty();
    if something && !confirm(ui)? {
        ui.note("Nothing was done.");
        return Ok(Exit::Refused);
    }
    let in_ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
    if something && in_ci && session.overrides.is_none() && !session.store.is_shared() {
        ui.note(
            "warning: the state is on this machine's disk; keep it where the next run finds it, \
             runners that are thrown away lose it (`state: {backend: s3, …}` or `kubernetes`)",
        );
    }
    wires.expect(plan);
    let watcher = wires.watch_signals();
    let mut exit = Exit::Done;
    let context = wires.context(session.project.timing);
    let stacks = plan.stacks.iter().zip(refused).zip(runs).enumerate();
    for (at, ((stack, refused), run)) in stacks {
        if wires.stop.is_set() {
            exit = exit.and(Exit::Interrupted);
            break;
        }
        let part = Part {
            plan: stack,
            plan_id: &plan.id,
            is_whole: plan.options.target.is_empty()
                && plan.options.exclude.is_empty()
                && !plan.options.rotates()
                && !stack.partial,
            refused,
            at,
            wait,
            run,
        };
        exit = exit.and(one_stack(session, &context, wires, observations, &part).await?);
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
    /// Whether nothing was left out by options.
    is_whole: bool,
    refused: &'a BTreeSet<StepId>,
    at: usize,
    wait: bool,
    run: &'a Doing,
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
    let settled = observations.settled.get(part.at).map(|found| found.settled.clone());
    let settled = settled.filter(|settled| !settled.is_empty());
    let waits = part.wait && !plan.awaited.is_empty();
    let found = session.store.load(&plan.stack).map_err(|error| store_stop(&error))?;
    let cut_short = found.is_some_and(|found| found.unfinished);
    if settled.is_none() && !cut_short && !waits && is_kept(session, subject, plan) {
        return Ok(Exit::Done);
    }
    let state =
        subject.state.clone().unwrap_or_else(|| State::new(&plan.stack, subject.lineage.clone()));
    let lost = take_name(session, subject, &state)?;
    let journal = session.store.open_journal(&state).map_err(|error| store_stop(&error))?;
    let scope = Scope { lineage: subject.lineage.clone(), ..observations.scope.clone() };
    let wiring = wiring::of(&subject.stack.resources);
    let run = StackRun::new(
        context,
        scope,
        plan,
        &subject.stack.resources,
        &wiring.readers,
        lookups,
        world,
        state,
        lost,
        Box::new(journal),
        part.wait,
    );
    // What a run that was cut short has recorded gets its serial now.
    run.shared().changed |= cut_short;
    if let Some(settled) = settled {
        run.settle(settled).map_err(|error| unwritten(&error))?;
    }
    let applied = if plan.changes.is_empty() && !waits {
        keep_records(&run, plan, part.plan_id)?;
        None
    } else {
        Some(apply(&run, plan, part.plan_id, part.refused).await)
    };
    let Shared { state, changed, broken, replaced, journal, .. } = run.into_shared();
    drop(journal);
    // What can't be read of the history is of no use to it either.
    let before = session.store.history(&plan.stack).unwrap_or_default();
    let ended = past::past(past::Ended {
        plan,
        applied: applied.as_ref(),
        refused: part.refused,
        is_whole: part.is_whole,
        doing: part.run,
        at: context.now(),
        changed,
        before: before.into_iter().find(|past| past.serial() == state.serial),
        state,
    });
    let state = ended.state.clone();
    let broken = match (broken, replaced) {
        (_, true) => Some(Exit::Locked),
        (true, false) => Some(Exit::Error),
        (false, false) => None,
    };
    let ended = match end(session, subject, ended, broken) {
        Ok(ended) => ended,
        Err(stop) if applied.is_none() => return Err(stop),
        // What was done is recorded in the journal, and told.
        Err(stop) => {
            for report in stop.reports {
                wires.events().emit(Event::Told { report: Box::new(report) });
            }
            if changed { Exit::Partial } else { stop.exit }
        }
    };
    let Some(applied) = applied else { return Ok(ended) };
    let lost = session.store.load(&plan.stack).ok().flatten().map_or(0, |left| left.open.len());
    let exit = applied.exit.and(ended);
    wires.published(published(&state, &observations.scope));
    wires.events().emit(Event::ApplyEnded {
        stack: plan.stack.clone(),
        done: applied.done,
        failed: applied.failed.iter().map(failed).collect(),
        waiting: applied.waiting.iter().cloned().map(waiting).collect(),
        lost,
        serial: state.serial,
        exit,
        elapsed_ms: context.outside.elapsed_ms().saturating_sub(began),
        requests: context.transport.requests(),
    });
    Ok(exit)
}

/// Brings the state of a stack that was renamed under its name, if it is not there yet. The calls of
/// which it is not known what became of them come back.
fn take_name(
    session: &Session,
    subject: &pipeline::Subject,
    state: &State,
) -> Result<Vec<OpenIntent>, Stop> {
    let store = &session.store;
    let stopped = |error| store_stop(&error);
    let is_under = match &subject.stack.renamed_from {
        Some(old) if !store.has_begun(&state.stack).map_err(stopped)? => {
            let earlier = store.load(old).map_err(stopped)?;
            earlier.is_some_and(|earlier| earlier.state.lineage == state.lineage)
        }
        _ => false,
    };
    if is_under {
        return store.take_name(state, &subject.lost).map_err(stopped);
    }
    Ok(subject.lost.clone())
}

fn failed((step, report): &(StepId, Report)) -> Failed {
    // What failed is the step: what is of use is why.
    let why = report.causes.first().unwrap_or(&report.message).clone();
    Failed { step: step.clone(), why }
}

fn waiting((step, waits_for): (StepId, Vec<StepId>)) -> Waiting {
    Waiting { step, waits_for }
}

fn unwritten(error: &StepError) -> Stop {
    Stop::error(Report::error("the journal could not be written, so nothing was sent").cause(error))
}

/// Whether neither world nor state have anything to follow.
fn is_kept(session: &Session, subject: &pipeline::Subject, plan: &StackPlan) -> bool {
    let Some(state) = &subject.state else { return plan.changes.is_empty() };
    plan.changes.is_empty()
        && plan.refresh.is_empty()
        && (state.variables == plan.variables || subject.stack.file.is_empty())
        && !subject.retired
        && state.rolled_back == plan.rolled_back
        && (subject.stack.renamed_from.as_ref())
            .is_none_or(|old| !session.store.has(old).unwrap_or(true))
}

/// Writes what a run of a stack came to, unless the journal could not be written to the end.
fn end(
    session: &Session,
    subject: &pipeline::Subject,
    past: Past,
    broken: Option<Exit>,
) -> Result<Exit, Stop> {
    if let Some(exit) = broken {
        // The journal has what is durable; a checkpoint might say more than that.
        return Ok(exit);
    }
    session.store.checkpoint(&past).map_err(|error| store_stop(&error))?;
    remove_old_name(session, subject)?;
    if subject.retired && past.state.resources.is_empty() {
        session.store.remove(&subject.stack.name).map_err(|error| store_stop(&error))?;
    }
    Ok(Exit::Done)
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
