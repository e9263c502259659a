//! `apply --plan`: carries out what a saved plan says, as far as it still rests on the same ground.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::engine::fingerprint;
use crate::engine::hold::hold_to;
use crate::model::change::{Action, Change, StepId};
use crate::model::error::{Exit, Level, Report, Stop};
use crate::model::plan::{Plan, StackPlan};
use crate::model::resource::{VariableSource, VariableValue};
use crate::model::secret::Secrets;
use crate::model::value::{SecretPart, Special, each_special};
use crate::run::pipeline::{self, Subject};
use crate::store;

use super::applying::{ApplyCommand, Ready, carry_out, confirm};
use super::planning::{self, commands, plan_path};
use super::reports::Outputs;
use super::session::{Earlier, Session, store_stop};
use super::ui::Ui;
use super::wires::Wires;

/// Runs `apply --plan`.
///
/// # Errors
/// What stops it before anything is done.
pub async fn run(
    session: &Session,
    ui: &Ui,
    command: &ApplyCommand,
    path: &Path,
    outputs: &Outputs<'_>,
) -> Result<Exit, Stop> {
    let path = plan_path(&session.dir, &session.project.keeping.place, path);
    let saved = store::load_plan(&path).map_err(|error| store_stop(&error))?;
    let names = saved.stacks.iter().flat_map(|s| std::iter::once(&s.stack).chain(&s.renamed_from));
    let names: Vec<String> = names.cloned().collect();
    let _lock = session.lock(ui, &names)?;
    let subjects = subjects_of(session, &saved)?;
    let wires = Wires::connect(session, ui, secrets_of(session, &saved)?);
    let context = wires.context(session.project.timing);
    let options = saved.options.clone();
    let (mut fresh, observations) =
        pipeline::plan(&context, &session.project, subjects, &options, saved.id.clone()).await?;
    let mut refused = Vec::new();
    for (stack, now) in saved.stacks.iter().zip(&mut fresh.stacks) {
        same_target(stack, now)?;
        let mut stale = hold_to(stack, now);
        stale.extend(other_secrets(now, &crate::run::read(context.secrets)));
        refused.push(stale);
    }
    let something = fresh.stacks.iter().zip(&refused).any(|(stack, refused)| {
        stack.changes.iter().any(|change| !refused.contains_key(&change.step()))
    });
    if !something && refused.iter().any(|refused| !refused.is_empty()) {
        planning::show(ui, &fresh);
        let reports = refused.iter().flatten().map(|(step, why)| stale(step, why)).collect();
        return Err(Stop { exit: Exit::Refused, reports });
    }
    for (stack, refused) in fresh.stacks.iter_mut().zip(&refused) {
        stack.checks.extend(
            refused.iter().map(|(step, why)| Report { level: Level::Warning, ..stale(step, why) }),
        );
    }
    let refused = refused.into_iter().map(|stale| stale.into_keys().collect()).collect();
    let outputs = Some(outputs);
    let ready = Ready { refused, outputs, ..Ready::new(fresh, observations, "apply --plan") };
    let question = "Apply this plan? Only \"yes\" does it: ";
    let yes = command.yes;
    carry_out(session, ui, &wires, ready, !command.no_wait, |ui| confirm(ui, question, "yes", yes))
        .await
}

fn stale(step: &StepId, why: &str) -> Report {
    Report::error(format!("{step} is not done: {why}"))
        .code("stale")
        .about(&step.address)
        .hint("plan again, and look at what has changed")
}

fn same_target(saved: &StackPlan, now: &StackPlan) -> Result<(), Stop> {
    let Some((what, then, now)) = saved.target.differences(&now.target).into_iter().next() else {
        return Ok(());
    };
    Err(Stop::refused(
        Report::error(format!("the plan of {} is for another target", saved.stack))
            .code("target")
            .cause(format!("{what}: the plan says {then}, this run has {now}")),
    ))
}

/// The values of the secrets that stand in files, or are given for this run. What is declared is
/// the plan's, and so are the other variables.
fn secrets_of(session: &Session, saved: &Plan) -> Result<Secrets, Stop> {
    let stacks: Vec<String> =
        saved.stacks.iter().filter(|s| !s.retired).map(|s| s.stack.clone()).collect();
    let wanted: BTreeSet<String> =
        saved.stacks.iter().flat_map(|stack| needed(&stack.changes)).collect();
    if wanted.is_empty() {
        return Ok(Secrets::new());
    }
    let as_said = |value: &VariableValue| VariableValue {
        source: VariableSource::CommandLine,
        ..value.clone()
    };
    let earlier: Earlier = saved
        .stacks
        .iter()
        .map(|stack| {
            let values = stack.variables.iter().map(|(name, v)| (name.clone(), as_said(v)));
            (stack.stack.clone(), values.collect())
        })
        .collect();
    let secrets = session.load(&stacks, commands(&saved.options), earlier)?.secrets;
    let missing: Vec<String> = wanted
        .into_iter()
        .filter(|source| !secrets.ids().any(|id| id.as_str() == source))
        .collect();
    if missing.is_empty() {
        return Ok(secrets);
    }
    Err(Stop::refused(
        Report::error("the plan needs secrets that this run does not have")
            .code("secrets")
            .cause(missing.join(", "))
            .hint("a plan holds no secret: give sensitive variables again, and keep the files"),
    ))
}

/// The secrets that changes send and that no other resource gives: those of files and variables.
pub(super) fn needed(changes: &[Change]) -> BTreeSet<String> {
    let mut wanted = BTreeSet::new();
    for change in changes.iter().filter(|change| writes(change)) {
        each_part(change, &mut |part| {
            if let SecretPart::From { source, .. } = part {
                let own = source.as_output().is_none_or(|(address, _)| {
                    address.is_kubernetes() || address == change.address
                });
                if own {
                    wanted.insert(source.as_str().to_owned());
                }
            }
        });
    }
    wanted
}

fn writes(change: &Change) -> bool {
    !matches!(change.action, Action::Delete | Action::Forget)
}

fn each_part(change: &Change, visit: &mut impl FnMut(SecretPart)) {
    let Some(spec) = &change.spec else { return };
    each_special(spec, &mut |special| {
        if let Special::Secret(parts) = special {
            parts.into_iter().for_each(&mut *visit);
        }
    });
}

/// Steps whose secrets have other values than when the plan was made.
fn other_secrets(plan: &StackPlan, secrets: &Secrets) -> BTreeMap<StepId, String> {
    let mut other = BTreeMap::new();
    for change in plan.changes.iter().filter(|change| writes(change)) {
        each_part(change, &mut |part| {
            let SecretPart::From { source, fingerprint: Some(fingerprint) } = part else { return };
            let now = secrets.get(&source);
            if now.is_some_and(|secret| !fingerprint::is_of(&fingerprint, secret)) {
                let why = format!("{source} has another value than when it was planned");
                other.insert(change.step(), why);
            }
        });
    }
    other
}

/// The subjects of a saved plan, as they were declared then.
///
/// # Errors
/// A state that can't be read, is of another lineage, or has ended this plan already.
fn subjects_of(session: &Session, plan: &Plan) -> Result<Vec<Subject>, Stop> {
    let mut subjects = Vec::new();
    for stack in &plan.stacks {
        let mut subject = session.subject(stack.as_declared(), stack.retired)?;
        match &subject.state {
            None if stack.serial > 0 => {
                return Err(Stop::refused(
                    Report::error(format!(
                        "the plan is for a state of {} that is gone",
                        stack.stack
                    ))
                    .code("lineage")
                    .hint("bring the state back, or plan again"),
                ));
            }
            None => subject.lineage.clone_from(&stack.lineage),
            Some(state) if state.lineage != stack.lineage => {
                return Err(Stop::refused(
                    Report::error(format!("the plan is for another state of {}", stack.stack))
                        .code("lineage")
                        .cause(format!(
                            "the plan was made for lineage {}, the state has {}",
                            stack.lineage, state.lineage
                        ))
                        .hint("plan again"),
                ));
            }
            Some(state) if state.ended_plans.contains(&plan.id) => {
                return Err(Stop::refused(
                    Report::error(format!("the plan was carried out already (on {})", stack.stack))
                        .code("ended")
                        .hint("plan again to see whether there is anything left to do"),
                ));
            }
            Some(_) => {}
        }
        subjects.push(subject);
    }
    Ok(subjects)
}
