//! `state migrate`: the states of a project go from one place to another.

use crate::config;
use crate::model::error::{Exit, Report, Stop};
use crate::model::project::Keeping;
use crate::store::{LockInfo, Moved, Mover, Named, migrate, reseal};

use super::applying::confirm;
use super::keeping;
use super::session::{Session, lock_stop};
use super::ui::Ui;

/// Which of the two places the command says; the other is the project file's.
#[derive(Clone, Copy, Debug)]
pub enum Said<'a> {
    /// Where the states were.
    From(&'a str),
    /// Where they are to be.
    To(&'a str),
}

/// Runs `state migrate`.
///
/// # Errors
/// A place that can't be used, a lock that is held, or states in both places.
pub fn run(session: &Session, said: Said<'_>, yes: bool, ui: &Ui) -> Result<Exit, Stop> {
    if session.globals.sandbox {
        return Err(Stop::error(
            Report::error("the states of the embedded sandbox stay where they are")
                .hint("leave `--sandbox` out"),
        ));
    }
    let project = &session.project;
    let (Said::From(text) | Said::To(text)) = said;
    let other = config::read_keeping(text, project)
        .map_err(|reports| Stop { exit: Exit::Error, reports })?;
    let (from, to) = match said {
        Said::From(_) => (&other, &project.keeping),
        Said::To(_) => (&project.keeping, &other),
    };
    if from == to {
        return Err(Stop::error(
            Report::error(format!("the states are kept {} already", described(to)))
                .hint("`--from` says where they were, `--to` where they are to be"),
        ));
    }
    let (from_name, to_name) = (from.place.to_string(), to.place.to_string());
    let question = format!(
        "Move the states kept {} so that they are kept {}? Only \"yes\" does it: ",
        described(from),
        described(to)
    );
    if !confirm(ui, &question, "yes", yes)? {
        ui.note("Nothing was done.");
        return Ok(Exit::Refused);
    }
    let source = keeping::open(&session.dir, project, from)?;
    let target = keeping::open(&session.dir, project, to)?;
    let now = jiff::Timestamp::now().to_string();
    let info = LockInfo::of_this_process(session.globals.doing.clone(), now.clone());
    let mover = Mover { info: &info, at: &now, timeout: session.globals.lock_timeout };
    let is_in_place = from.place == to.place;
    let (from, target) =
        (Named { store: &source, name: &from_name }, Named { store: &target, name: &to_name });
    let tell = &mut |text: &str| ui.note(text);
    let moved = match is_in_place {
        true => reseal(from, target, mover, tell),
        false => migrate(from, target, mover, tell),
    };
    report(&moved.map_err(lock_stop)?, to, ui);
    if let Said::To(text) = said {
        ui.note(&format!("Write it into boxctl.yaml now, before anything else: state: {text}"));
    }
    Ok(Exit::Done)
}

fn report(moved: &Moved, to: &Keeping, ui: &Ui) {
    if ui.json {
        let stacks: Vec<_> = (moved.stacks.iter())
            .map(|(stack, open)| serde_json::json!({"stack": stack, "open_calls": open}))
            .collect();
        ui.print_json(&serde_json::json!({
            "format_version": "1", "to": to.place.to_string(), "stacks": stacks,
            "written": moved.written,
        }));
        return;
    }
    if moved.is_old {
        ui.print(&format!("The states are kept {} already.", described(to)));
    } else if moved.stacks.is_empty() {
        ui.print("There are no states to move.");
    } else {
        for (stack, open) in &moved.stacks {
            let calls = match open {
                0 => String::new(),
                _ => format!(", with {open} calls whose outcome the next apply looks up"),
            };
            ui.print(&format!("{stack} is kept {} now{calls}", described(to)));
        }
    }
}

fn described(keeping: &Keeping) -> String {
    let sealed = if keeping.key_env.is_some() { ", sealed" } else { "" };
    format!("in {}{sealed}", keeping.place)
}
