//! `rotate`: secrets made anew, and handed on to all who hold them.

use crate::kinds;
use crate::model::address::Address;
use crate::model::error::{Exit, Report, Stop};
use crate::model::plan::Options;

use super::applying::{Ready, carry_out, confirm};
use super::planning::{self, commands};
use super::session::Session;
use super::ui::Ui;
use super::wires::Wires;

/// What `rotate` is told.
#[derive(Clone, Debug, Default)]
pub struct RotateCommand {
    /// The resource whose secret is made anew; None: all that are due.
    pub address: Option<String>,
    /// The stacks; all if empty.
    pub stacks: Vec<String>,
    /// Whether the commands of the files are not run.
    pub no_commands: bool,
    /// Whether not to ask.
    pub yes: bool,
    /// Whether not to wait until things are ready.
    pub no_wait: bool,
}

/// Runs `rotate`.
///
/// # Errors
/// What stops it before anything is done.
pub async fn run(session: &Session, ui: &Ui, command: &RotateCommand) -> Result<Exit, Stop> {
    let options = Options {
        rotate: command.address.iter().cloned().collect(),
        rotate_due: command.address.is_none(),
        no_commands: command.no_commands,
        ..Options::default()
    };
    let stacks = stacks(session, command)?;
    if stacks.is_empty() {
        ui.note("No stack has a secret that is made anew on a schedule.");
        return Ok(Exit::Done);
    }
    let gathered = session.gather(&stacks, crate::config::Commands::Skip)?;
    let _lock = session.lock(ui, &gathered.states())?;
    // The state may have moved while the lock was waited for.
    let mut gathered = session.gather(&stacks, commands(&options))?;
    gathered.orphans.clear();
    let wires = Wires::connect(session, ui, gathered.secrets_taken());
    let (plan, observations) = planning::make(session, ui, &wires, gathered, &options).await?;
    let ready = Ready::new(plan, observations, "rotate");
    let question = "Make these secrets anew? Only \"yes\" does it: ";
    let wait = !command.no_wait;
    carry_out(session, ui, &wires, ready, wait, |ui| confirm(ui, question, "yes", command.yes))
        .await
}

/// The stacks that are concerned.
fn stacks(session: &Session, command: &RotateCommand) -> Result<Vec<String>, Stop> {
    let gathered = session.gather(&command.stacks, crate::config::Commands::Skip)?;
    let Some(asked) = &command.address else {
        let due = gathered.subjects.iter().filter(|subject| {
            subject.stack.resources.iter().any(|resource| {
                kinds::find(resource.address.kind())
                    .is_some_and(|kind| kind.rotates_every_s(&resource.spec).is_some())
            })
        });
        return Ok(due.map(|subject| subject.stack.name.clone()).collect());
    };
    let refused = |report: Report| Err(Stop::refused(report.code("rotate")));
    let address: Address = match asked.parse() {
        Ok(address) => address,
        Err(_) => {
            let report = Report::error(format!("`{asked}` is not an address"));
            return refused(report.hint("one looks like `service_token.ci` or `tunnel.openhands`"));
        }
    };
    if !kinds::find(address.kind()).is_some_and(crate::model::kind::Kind::rotates) {
        let can: Vec<&str> =
            kinds::KINDS.iter().filter(|kind| kind.rotates()).map(|kind| kind.name()).collect();
        let report = Report::error(format!("{address} has no secret that could be made anew"));
        return refused(report.hint(format!("these have one: {}", can.join(", "))));
    }
    let with: Vec<_> = gathered
        .subjects
        .iter()
        .filter(|subject| subject.stack.resource(&address).is_some())
        .collect();
    match with.as_slice() {
        [one] if one.state.as_ref().is_some_and(|s| s.resources.contains_key(&address)) => {
            Ok(vec![one.stack.name.clone()])
        }
        [_] => refused(
            Report::error(format!("{address} is not there yet"))
                .hint("`boxctl apply` makes it, with a secret"),
        ),
        [] => refused(
            Report::error(format!("no stack has {address}"))
                .hint("`boxctl expand` lists the addresses"),
        ),
        several => {
            let names: Vec<&str> = several.iter().map(|one| one.stack.name.as_str()).collect();
            let report = Report::error(format!("several stacks have {address}"));
            refused(report.hint(format!("say which: `--stack {}`", names.join("`, `--stack "))))
        }
    }
}
