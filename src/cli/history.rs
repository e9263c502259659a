//! `state history` and `state unlock`: earlier runs, and the one that is under way.

use crate::model::error::{Exit, Report, Stop};
use crate::render;

use super::session::{Session, store_stop};
use super::ui::Ui;

/// Runs `state history`.
///
/// # Errors
/// A history that can't be read.
pub fn list(session: &Session, stack: Option<&String>, ui: &Ui) -> Result<Exit, Stop> {
    let names = match stack {
        Some(stack) => vec![stack.clone()],
        None => session.store.list().map_err(|error| store_stop(&error))?,
    };
    let mut views = Vec::new();
    for name in names {
        let runs = session.store.history(&name).map_err(|error| store_stop(&error))?;
        let state = session.store.load(&name).map_err(|error| store_stop(&error))?;
        if let (Some(_), true, None) = (stack, runs.is_empty(), &state) {
            return Err(super::states::no_state(session, &name)?);
        }
        let state = state.map(|loaded| loaded.state);
        views.push(render::history::View {
            stack: name,
            runs,
            serial: state.as_ref().map(|state| state.serial),
            rolled_back: state.and_then(|state| state.rolled_back),
        });
    }
    if ui.json {
        ui.print_json(&render::history::json(&views));
    } else {
        ui.print(&render::history::text(&views, &ui.out));
    }
    Ok(Exit::Done)
}

/// Runs `state unlock`: says who holds the lock. A local lock is its process's, and ends with it; a
/// shared one is taken from its holder.
///
/// # Errors
/// The state is locked, and stays so.
pub fn unlock(session: &Session, stack: &str, yes: bool, ui: &Ui) -> Result<Exit, Stop> {
    let is_shared = session.store.is_shared();
    let holder = session.store.holder(stack).map_err(|error| store_stop(&error))?;
    if holder.is_none() && !session.store.has(stack).map_err(|error| store_stop(&error))? {
        return Err(super::states::no_state(session, stack)?);
    }
    match holder {
        None => {
            ui.print(&format!("The state of {stack} is not locked: there is nothing to do."));
            if !is_shared {
                ui.note(
                    "A lock is the operating system's, and is gone with the process that held it.",
                );
            }
            Ok(Exit::Done)
        }
        Some(holder) if is_shared => {
            ui.print(&format!("The state of {stack} is locked by {holder}."));
            ui.note(
                "If that run is alive, it is stopped before its next change, and what became of \
                 its last calls is found out by the next apply.",
            );
            let question = "Take the lock from it? Only \"yes\" does it: ";
            if !super::applying::confirm(ui, question, "yes", yes)? {
                ui.note("Nothing was done.");
                return Ok(Exit::Locked);
            }
            session.store.unlock(stack).map_err(|error| store_stop(&error))?;
            ui.print(&format!("The state of {stack} is not locked any more."));
            Ok(Exit::Done)
        }
        Some(holder) => Err(Stop {
            exit: Exit::Locked,
            reports: vec![
                Report::error(format!("the state of {stack} is locked by {holder}"))
                    .code("locked")
                    .cause("that process is alive, and its lock can't be taken from it")
                    .hint("wait for it, or end that process: the lock ends with it")
                    .hint("the next apply then finds out what became of its calls"),
            ],
        }),
    }
}
