//! `rollback`: what an earlier run applied is applied again.

use crate::config::Commands;
use crate::engine::rollback::{self, NoPast};
use crate::model::error::{Exit, Report, Stop};
use crate::model::history::Past;
use crate::model::plan::{Options, Plan};
use crate::model::secret::Secrets;
use crate::run::past::Doing;
use crate::run::pipeline::{Origin, Subject};

use super::applying::{Ready, carry_out, confirm};
use super::planning::{self, commands};
use super::saved;
use super::session::{Gathered, Session, store_stop};
use super::ui::Ui;
use super::wires::Wires;

/// What `rollback` is told.
#[derive(Clone, Debug, Default)]
pub struct RollbackCommand {
    /// The stack; None with `all`.
    pub stack: Option<String>,
    /// The run to go back to; the last complete one that applied something else if None.
    pub serial: Option<u64>,
    /// Whether all stacks that have a state are meant.
    pub all: bool,
    /// What to plan.
    pub options: Options,
    /// Whether not to ask.
    pub yes: bool,
    /// Whether not to wait until things are ready.
    pub no_wait: bool,
}

/// Runs `rollback`.
///
/// # Errors
/// What stops it before anything is done.
pub async fn run(session: &Session, ui: &Ui, command: &RollbackCommand) -> Result<Exit, Stop> {
    let names = match &command.stack {
        Some(stack) => vec![stack.clone()],
        None => session.store.list().map_err(|error| store_stop(&error))?,
    };
    // A lock's file would stay of what is no stack.
    for name in &names {
        if session.store.load(name).map_err(|error| store_stop(&error))?.is_none() {
            session.gather(std::slice::from_ref(name), Commands::Skip)?;
        }
    }
    let _lock = session.lock(ui, &names)?;
    let mut gathered = gather(session, ui, &names, &command.options)?;
    let secrets = gathered.secrets_taken();
    let (mut subjects, mut runs) = (Vec::new(), Vec::new());
    for mut subject in std::mem::take(&mut gathered.subjects) {
        match take_back(session, &mut subject, command, &secrets) {
            Ok(run) => {
                runs.push(run);
                subjects.push(subject);
            }
            // Of all stacks, those that never changed stay as they are.
            Err(Untaken::NoPast(error, _)) if command.all && error == NoPast::NothingElse => {
                ui.note(&format!("{} stays as it is: {error}", subject.stack.name));
            }
            Err(Untaken::NoPast(error, kept)) => {
                return Err(no_past(&subject.stack.name, &error, &kept));
            }
            Err(Untaken::Stopped(stop)) => return Err(stop),
        }
    }
    let names: Vec<&str> = subjects.iter().map(|s| s.stack.name.as_str()).collect();
    let named =
        names.iter().zip(&runs).map(|(name, doing)| doing.run.replacen("rollback", name, 1));
    let question =
        format!("Roll {} back? Only \"yes\" does it: ", named.collect::<Vec<_>>().join(", "));
    gathered.subjects = subjects;
    // What the files lack now is what was asked for.
    gathered.orphans.clear();
    let wires = Wires::connect(session, ui, secrets);
    let (mut plan, observations) =
        planning::make(session, ui, &wires, gathered, &command.options).await?;
    let context = wires.context(session.project.timing);
    lacking(&mut plan, &crate::run::read(context.secrets));
    let ready = Ready { runs, ..Ready::new(plan, observations, "rollback") };
    let yes = command.yes;
    carry_out(session, ui, &wires, ready, !command.no_wait, |ui| confirm(ui, &question, "yes", yes))
        .await
}

/// The stacks with their files, for the values of secrets. That files are broken by now does not
/// keep anything from being taken back: then there are no values.
pub(super) fn gather(
    session: &Session,
    ui: &Ui,
    names: &[String],
    options: &Options,
) -> Result<Gathered, Stop> {
    match session.gather(names, commands(options)) {
        Ok(gathered) => Ok(gathered),
        Err(stop) => {
            let known = names.iter().all(|n| matches!(session.store.load(n), Ok(Some(_))));
            if !known {
                return Err(stop);
            }
            ui.note("warning: the files have mistakes (`boxctl validate`), so no secret is read");
            session.states_alone(names)
        }
    }
}

/// Declares what an earlier run applied; returns what the history will call this one.
fn take_back(
    session: &Session,
    subject: &mut Subject,
    command: &RollbackCommand,
    secrets: &Secrets,
) -> Result<Doing, Untaken> {
    let name = subject.stack.name.clone();
    let mut history =
        session.store.history(&name).map_err(|error| Untaken::Stopped(store_stop(&error)))?;
    // A run that was killed before its checkpoint is not over yet.
    let serial = subject.state.as_ref().map_or(0, |state| state.serial);
    history.retain(|past| past.serial() <= serial);
    let (past, stack) = rollback::past(&history, command.serial)
        .map_err(|error| Untaken::NoPast(error, applied(&history)))?;
    let note = rollback::note(&history, past, &subject.files);
    let at_hand = |id: &crate::model::secret::SecretId| secrets.get(id).is_some();
    subject.stack = rollback::as_it_was(stack, &name, at_hand);
    subject.origin = Origin::EarlierRun(note);
    subject.retired = false;
    let serial = past.serial();
    Ok(Doing { run: format!("rollback to {serial}"), back_to: Some(serial) })
}

/// Why a stack was not taken back.
enum Untaken {
    /// There is no such run; those that there are.
    NoPast(NoPast, Vec<String>),
    /// Something failed.
    Stopped(Stop),
}

/// The runs that can be applied again.
fn applied(history: &[Past]) -> Vec<String> {
    let applied = history.iter().filter(|past| past.declared.is_some());
    applied.map(|past| past.serial().to_string()).collect()
}

fn no_past(stack: &str, error: &NoPast, kept: &[String]) -> Stop {
    let report = Report::error(format!("{stack} can't be rolled back: {error}")).code("no-run");
    Stop::error(match kept {
        [] => report.hint("runs are kept from the next apply on"),
        kept => report.hint(format!(
            "what was applied is kept of {}; `boxctl state history {stack}` lists them",
            kept.join(", ")
        )),
    })
}

/// Refuses what needs a secret that no file has any more.
pub(super) fn lacking(plan: &mut Plan, secrets: &Secrets) {
    for stack in &mut plan.stacks {
        let missing: Vec<String> = saved::needed(&stack.changes)
            .into_iter()
            .filter(|source| !secrets.ids().any(|id| id.as_str() == source))
            .collect();
        if !missing.is_empty() {
            stack.checks.push(
                Report::error("this needs secrets whose values are in no file any more")
                    .code("secrets")
                    .cause(missing.join(", "))
                    .hint("the history holds no secret: give variables with --var, put files back"),
            );
        }
    }
}
