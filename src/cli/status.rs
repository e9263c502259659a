//! `status`: whether things work; read-only.

use crate::engine::status;
use crate::kinds;
use crate::model::error::{Exit, Level, Stop};
use crate::render::status::{self as view, StatusView};
use crate::run::pipeline;

use super::planning::orphan;
use super::session::Session;
use super::ui::Ui;
use super::wires::Wires;

/// Runs `status`.
///
/// # Errors
/// What stops it before anything was read.
pub async fn run(session: &Session, ui: &Ui, stack: Option<&String>) -> Result<Exit, Stop> {
    let names: Vec<String> = stack.into_iter().cloned().collect();
    let mut gathered = session.gather_as_applied(&names)?;
    let mut found = StatusView { checks: gathered.reports.clone(), ..StatusView::default() };
    found.checks.extend(gathered.orphans.iter().map(|name| orphan(name, Level::Warning)));
    session.leave_to_holders(&mut gathered.subjects);
    let wires = Wires::reading(session, ui, gathered.secrets_taken());
    let context = wires.context(session.project.timing);
    let seen = pipeline::look(&context, &session.project, gathered.subjects).await?;
    let worlds = seen.worlds.iter().zip(&seen.lookups);
    for (subject, (world, lookups)) in seen.subjects.iter().zip(worlds) {
        let (stack, state) = (&subject.stack, subject.state.as_ref());
        let all = status::status(stack, state, world, kinds::find, &seen.scope, lookups);
        found.stacks.push((stack.name.clone(), all));
    }
    found.requests = context.transport.requests();
    if ui.json {
        ui.print_json(&view::json(&found));
    } else {
        ui.print(&view::text(&found, &ui.out));
    }
    Ok(if found.works() { Exit::Done } else { Exit::Error })
}
