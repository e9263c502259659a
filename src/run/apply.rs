//! Carries a stack's plan out: steps that need nothing open run side by side, and what depends on
//! a failed step waits for the next run.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{FuturesUnordered, StreamExt};

use crate::model::change::{Change, Phase, StepId};
use crate::model::error::{Exit, Report};
use crate::model::event::Event;
use crate::model::journal::{Effect, Entry};
use crate::model::plan::{StackPlan, Summary};

use super::stack_run::StackRun;
use super::waves::{self, Waves};

/// How many steps may be under way at once.
const AT_ONCE: usize = 10;

/// What came of carrying a plan out.
#[derive(Debug)]
pub struct Applied {
    /// What was done.
    pub done: Summary,
    /// What failed, and why.
    pub failed: Vec<(StepId, Report)>,
    /// What was not begun, and what it waits for.
    pub waiting: Vec<(StepId, Vec<StepId>)>,
    /// How the run ends.
    pub exit: Exit,
}

/// Carries the plan out. `refused` are steps that no longer rest on what they were planned on.
pub async fn apply(
    run: &StackRun<'_>,
    plan: &StackPlan,
    plan_id: &str,
    refused: &BTreeSet<StepId>,
) -> Applied {
    let events = run.context.events;
    let steps: BTreeMap<StepId, &Change> =
        plan.changes.iter().map(|change| (change.step(), change)).collect();
    let awaited: Vec<Change> = match run.wait {
        true => plan.awaited.iter().cloned().map(Change::awaiting).collect(),
        false => Vec::new(),
    };
    let count = steps.len() + awaited.len();
    events.emit(Event::ApplyStarted { stack: run.stack.to_owned(), steps: count });
    let mut progress = Progress::default();
    if let Err(report) = begin(run, plan, plan_id) {
        progress.told.push(report);
    } else {
        carry_out(run, plan, &awaited, refused, &mut progress).await;
        if progress.failed.is_empty() {
            progress.failed.extend(run.wait_for_users(plan).await);
        }
    }
    let finished = progress.failed.is_empty()
        && progress.told.is_empty()
        && steps.keys().all(|id| progress.done.contains(id) || refused.contains(id));
    if finished && let Err(error) = run.record(Entry::PlanEnded { plan: plan_id.to_owned() }) {
        progress.told.push(Report::error("the end of the plan was not recorded").cause(error));
    }
    progress.told.drain(..).for_each(|report| {
        events.emit(Event::Told { report: Box::new(report.clone()) });
        progress.failed.push((
            StepId {
                address: crate::model::address::Address::new("journal", run.stack),
                phase: Phase::Whole,
            },
            report,
        ));
    });
    finish(run, plan, refused, progress)
}

#[derive(Default)]
struct Progress {
    done: BTreeSet<StepId>,
    summary: Summary,
    failed: Vec<(StepId, Report)>,
    told: Vec<Report>,
}

/// Brings records up to date where nothing has to be sent.
///
/// # Errors
/// The journal could not be written.
pub fn keep_records(run: &StackRun<'_>, plan: &StackPlan, plan_id: &str) -> Result<(), Report> {
    begin(run, plan, plan_id)?;
    run.record(Entry::PlanEnded { plan: plan_id.to_owned() })
        .map(|_| ())
        .map_err(|error| Report::error("the end of the plan was not recorded").cause(error))
}

/// Notes that the plan is being carried out, and brings records up to date that need no call.
fn begin(run: &StackRun<'_>, plan: &StackPlan, plan_id: &str) -> Result<(), Report> {
    let unwritten = |error: super::stack_run::StepError| {
        Report::error("the journal could not be written, so nothing was sent").cause(error)
    };
    run.record(Entry::PlanStarted {
        plan: plan_id.to_owned(),
        target: Box::new(plan.target.clone()),
        variables: plan.variables.clone(),
        rolled_back: plan.rolled_back.clone(),
    })
    .map_err(unwritten)?;
    let moved = plan.refresh.iter().filter_map(|r| Some((r.moved_from.as_ref()?, &r.address)));
    let moved_too = plan.changes.iter().filter_map(|c| Some((c.moved_from.as_ref()?, &c.address)));
    moved.chain(moved_too).for_each(|(from, to)| run.is_called(from, to));
    let mut effects = Vec::new();
    for refresh in &plan.refresh {
        if let Some(old) = &refresh.moved_from {
            effects.push(Effect::Remove { address: old.clone() });
        }
        effects.push(match &refresh.record {
            Some(record) => {
                let mut record = record.clone();
                let needs = run.needs.get(&refresh.address);
                record.dependencies = needs.cloned().unwrap_or(record.dependencies);
                Effect::Record { address: refresh.address.clone(), record }
            }
            None => Effect::Remove { address: refresh.address.clone() },
        });
    }
    if plan.refresh.iter().any(|refresh| refresh.shown) {
        run.shared().changed = true;
    }
    if !effects.is_empty() {
        run.record(Entry::Effects(effects)).map_err(unwritten)?;
    }
    Ok(())
}

async fn carry_out(
    run: &StackRun<'_>,
    plan: &StackPlan,
    awaited: &[Change],
    refused: &BTreeSet<StepId>,
    progress: &mut Progress,
) {
    let all = || awaited.iter().chain(&plan.changes);
    let mut open: Vec<&Change> = all().filter(|change| !refused.contains(&change.step())).collect();
    let planned: BTreeSet<StepId> = all().map(Change::step).collect();
    // What only waits takes no place of what has something to do.
    let at_once = AT_ONCE + awaited.len();
    let waves = Waves::of(&plan.changes, run.context.kinds);
    let mut running = FuturesUnordered::new();
    let mut under_way = BTreeSet::new();
    let grace = run.context.stop.grace(run.context.timing.grace_ms);
    tokio::pin!(grace);
    loop {
        while running.len() < at_once && !run.context.stop.is_set() && !run.shared().broken {
            let failed = progress.failed.iter().map(|(step, _)| step.clone());
            let given_up = waves::given_up(&plan.changes, refused, failed);
            let is_ahead = |step: &StepId| {
                planned.contains(step) && !progress.done.contains(step) && !given_up.contains(step)
            };
            let can_go = |change: &&Change| {
                let mut needs = change.needs.iter();
                needs.all(|need| progress.done.contains(need) || !planned.contains(need))
            };
            let first = |change: &&Change| can_go(change) && !waves.holds(&change.step(), is_ahead);
            let ready = open.iter().position(first);
            let Some(at) = ready else { break };
            let change = open.remove(at);
            under_way.insert(change.step());
            running.push(one(run, change));
        }
        let ended = tokio::select! {
            biased;
            ended = running.next() => ended,
            () = &mut grace => {
                // As if the process had been killed: what was sent is looked up by the next run.
                drop(running);
                progress.failed.extend(under_way.into_iter().map(|step| unfinished(run, step)));
                return;
            }
        };
        let Some((change, result)) = ended else { break };
        under_way.remove(&change.step());
        match result {
            Ok(()) => {
                progress.done.insert(change.step());
                progress.summary.count(change);
            }
            Err(report) => progress.failed.push((change.step(), *report)),
        }
    }
}

/// What is told of a step that did not end within the grace period.
fn unfinished(run: &StackRun<'_>, step: StepId) -> (StepId, Report) {
    let grace = std::time::Duration::from_millis(run.context.timing.grace_ms);
    let report = Report::error(format!("{step} was not finished"))
        .about(&step.address)
        .cause(format!("its call was not answered within {grace:?} of the interrupt"))
        .hint("the next run looks up what became of the call");
    let event = Event::StepFailed {
        stack: run.stack.to_owned(),
        step: step.clone(),
        report: Box::new(report.clone()),
        elapsed_ms: run.context.timing.grace_ms,
    };
    run.context.events.emit(event);
    (step, report)
}

async fn one<'a>(run: &StackRun<'_>, change: &'a Change) -> (&'a Change, Result<(), Box<Report>>) {
    let events = run.context.events;
    let began = run.context.outside.elapsed_ms();
    let (stack, step, action) = (run.stack.to_owned(), change.step(), change.action);
    events.emit(Event::StepStarted { stack: stack.clone(), step: step.clone(), action });
    let result = run.run(change).await;
    let elapsed_ms = run.context.outside.elapsed_ms().saturating_sub(began);
    match result {
        Ok(id) => {
            events.emit(Event::StepDone { stack, step, action, id, elapsed_ms });
            (change, Ok(()))
        }
        Err(report) => {
            let report = Box::new(report);
            events.emit(Event::StepFailed { stack, step, report: report.clone(), elapsed_ms });
            (change, Err(report))
        }
    }
}

fn finish(
    run: &StackRun<'_>,
    plan: &StackPlan,
    refused: &BTreeSet<StepId>,
    progress: Progress,
) -> Applied {
    let failed: BTreeSet<&StepId> = progress.failed.iter().map(|(id, _)| id).collect();
    let mut waiting = Vec::new();
    for change in &plan.changes {
        let step = change.step();
        if progress.done.contains(&step) || failed.contains(&step) || refused.contains(&step) {
            continue;
        }
        let is_open = |need: &&StepId| {
            !progress.done.contains(need) && (run.wait || need.phase != Phase::Await)
        };
        let open = change.needs.iter().filter(is_open);
        let waits_for: Vec<StepId> = open.cloned().collect();
        run.context.events.emit(Event::StepSkipped {
            stack: run.stack.to_owned(),
            step: step.clone(),
            action: change.action,
            waits_for: waits_for.clone(),
        });
        waiting.push((step, waits_for));
    }
    // What an earlier run did is left as long as it is waited for.
    let earlier = progress.failed.iter().any(|(step, _)| step.phase == Phase::Await);
    let now = progress.done.iter().any(|step| step.phase != Phase::Await);
    let something_done = now || earlier || run.shared().changed;
    let left = !progress.failed.is_empty() || !waiting.is_empty();
    let mut exit = match (left, something_done) {
        (false, _) => Exit::Done,
        (true, true) => Exit::Partial,
        (true, false) => Exit::Error,
    };
    if !refused.is_empty() {
        exit = exit.and(if progress.done.is_empty() { Exit::Refused } else { Exit::Partial });
    }
    if run.context.stop.is_set() && left {
        exit = Exit::Interrupted;
    }
    Applied { done: progress.summary, failed: progress.failed, waiting, exit }
}
