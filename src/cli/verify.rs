//! `state verify`: whether files, records and world agree.

use crate::engine::verify;
use crate::kinds;
use crate::model::error::{Exit, Level, Report, Stop};
use crate::render::drift::{self, DriftView};
use crate::run::pipeline;

use super::session::{Session, store_stop};
use super::ui::Ui;
use super::wires::Wires;

/// Runs `state verify`: the files' checksums and formats, what leads nowhere in the records, calls
/// of which nothing is known, and what the APIs say of each record.
///
/// # Errors
/// No such state; something that all stacks need could not be read.
pub async fn run(session: &Session, stack: Option<&String>, ui: &Ui) -> Result<Exit, Stop> {
    let names = match stack {
        Some(stack) => vec![stack.clone()],
        None => session.store.list().map_err(|error| store_stop(&error))?,
    };
    let mut checks = Vec::new();
    let sound = names.iter().filter(|name| files_are_sound(session, name, &mut checks));
    let sound: Vec<String> = sound.cloned().collect();
    if stack.is_some() && checks.is_empty() && sound.is_empty() {
        return Err(super::states::no_state(session, &names.concat())?);
    }
    let mut view = DriftView { stacks: sound.clone(), ..DriftView::default() };
    if !sound.is_empty() {
        // Where a file is broken, records are compared without what the files say to ignore.
        let gathered = match checks.iter().any(|check| check.level == Level::Error) {
            false => session.gather_as_applied(&sound),
            true => session.states_alone(&sound),
        };
        let mut gathered = gathered.or_else(|_| session.states_alone(&sound))?;
        gathered.subjects.retain(|subject| subject.state.is_some());
        for subject in &gathered.subjects {
            let Some(state) = &subject.state else { continue };
            checks.extend(verify::inconsistencies(state, Some(&subject.stack), kinds::find));
            checks.extend(lost(subject));
        }
        view.in_progress = session.leave_to_holders(&mut gathered.subjects);
        let wires = Wires::reading(session, ui, gathered.secrets_taken());
        let context = wires.context(session.project.timing);
        let (found, observations) =
            pipeline::find_drift(&context, &session.project, gathered.subjects, false).await?;
        for (subject, found) in observations.subjects.iter().zip(found) {
            let name = &subject.stack.name;
            view.drift.extend(found.drift.into_iter().map(|drift| (name.clone(), drift)));
            view.checks.extend(found.checks);
        }
        view.requests = context.transport.requests();
    }
    view.checks.splice(0..0, checks);
    let wrong = view.checks.iter().any(|check| check.level == Level::Error);
    if ui.json {
        ui.print_json(&drift::json(&view));
    } else {
        ui.print(&drift::verified(&view, &ui.out));
    }
    let found = if view.drift.is_empty() { Exit::Done } else { Exit::Found };
    Ok(found.and(if wrong { Exit::Error } else { Exit::Done }))
}

/// Whether checkpoint and journal can be believed; what is wrong with them and the history is told.
fn files_are_sound(session: &Session, stack: &str, checks: &mut Vec<Report>) -> bool {
    if let Err(error) = session.store.history(stack) {
        checks.push(error.report());
    }
    match session.store.load(stack) {
        Ok(Some(loaded)) => {
            if loaded.torn {
                let text = format!("the journal of {stack} ends in half a record");
                checks.push(
                    Report::warning("torn", text)
                        .cause("a run was killed while it wrote it; nothing was sent for it")
                        .hint("the next apply cuts it off"),
                );
            }
            true
        }
        Ok(None) => false,
        Err(error) => {
            checks.push(error.report());
            false
        }
    }
}

/// Calls of an earlier run of which it is not known what became of them.
fn lost(subject: &pipeline::Subject) -> Vec<Report> {
    let reports = subject.lost.iter().map(|open| {
        let intent = &open.intent;
        Report::warning(
            "lost",
            format!("what became of a call for {} is not known", intent.address),
        )
        .about(&intent.address)
        .cause(format!(
            "{} {} was about to be sent at {}",
            intent.method.as_str(),
            intent.path,
            intent.at
        ))
        .hint("the next apply looks it up")
    });
    reports.collect()
}
