//! `drift`: recorded against observed; read-only.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::model::address::Address;
use crate::model::change::{Action, Drift};
use crate::model::error::{Exit, Level, Stop};
use crate::model::resource::Location;
use crate::render::drift::{self, DriftView};
use crate::render::graph::Graph;
use crate::run::pipeline;

use super::drift_args::DriftArgs;
use super::planning::orphan;
use super::reports::Outputs;
use super::session::Session;
use super::ui::Ui;
use super::wires::Wires;

/// Runs `drift`.
///
/// # Errors
/// What stops it before anything was compared, or a file that can't be written.
pub async fn run(
    session: &Session,
    ui: &Ui,
    args: &DriftArgs,
    outputs: &Outputs<'_>,
) -> Result<Exit, Stop> {
    let (began, verify_secrets) = (Instant::now(), args.verify_secrets);
    let mut gathered = session.gather_as_applied(&args.stacks)?;
    let mut view = DriftView {
        project: session.project.name.clone(),
        at: jiff::Timestamp::now(),
        checks: gathered.reports.clone(),
        verify_secrets,
        ..DriftView::default()
    };
    view.checks.extend(gathered.orphans.iter().map(|name| orphan(name, Level::Warning)));
    for subject in &gathered.subjects {
        view.stacks.push(subject.stack.name.clone());
        view.pending.extend(pending(subject));
        if let Some(state) = &subject.state {
            view.graphs.push((subject.stack.name.clone(), Graph::of_state(state)));
        }
    }
    view.in_progress = session.leave_to_holders(&mut gathered.subjects);
    let wires = Wires::reading(session, ui, gathered.secrets_taken());
    let context = wires.context(session.project.timing);
    let (found, observations) =
        pipeline::find_drift(&context, &session.project, gathered.subjects, verify_secrets).await?;
    for (subject, found) in observations.subjects.iter().zip(found) {
        let name = &subject.stack.name;
        view.places.extend(places(subject, &found.drift));
        view.drift.extend(found.drift.into_iter().map(|drift| (name.clone(), drift)));
        view.checks.extend(found.checks);
        view.taken.extend(found.taken);
    }
    view.checks.extend(observations.away.reports());
    view.checks.extend(observations.settled.iter().flat_map(|found| found.reports.clone()));
    view.requests = context.transport.requests();
    view.elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let unread = view.checks.iter().any(|check| check.level == Level::Error);
    if ui.json {
        ui.print_json(&drift::json(&view));
    } else {
        ui.print(&drift::text(&view, &ui.out));
    }
    outputs.drift(ui, session, &view)?;
    let found = if view.drift.is_empty() { Exit::Done } else { Exit::Found };
    Ok(found.and(if unread { Exit::Error } else { Exit::Done }))
}

/// Where the files ask for what has drifted; of what has left them, the stack's file.
fn places(
    subject: &pipeline::Subject,
    drift: &[Drift],
) -> impl Iterator<Item = ((String, Address), Location)> {
    let stack = &subject.stack;
    let all: BTreeMap<&Address, &Location> = stack
        .resources
        .iter()
        .filter_map(|resource| Some((&resource.address, resource.location.as_ref()?)))
        .collect();
    let place = |one: &Drift| {
        let place = all.get(&one.address).map(|place| (*place).clone());
        let file = || Location { file: stack.file.clone(), line: 1, column: 1 };
        let place = place.or_else(|| (!stack.file.is_empty()).then(file))?;
        Some(((stack.name.clone(), one.address.clone()), place))
    };
    drift.iter().filter_map(place).collect::<Vec<_>>().into_iter()
}

/// What the files ask for and was not applied yet, as far as the files alone tell.
fn pending(subject: &pipeline::Subject) -> impl Iterator<Item = (String, Address, Action)> + '_ {
    let recorded = subject.state.as_ref().map(|state| &state.resources);
    let name = &subject.stack.name;
    let new = subject.stack.resources.iter().filter(move |resource| {
        !resource.meta.applied_elsewhere
            && !recorded.is_some_and(|all| all.contains_key(&resource.address))
    });
    let gone = recorded
        .into_iter()
        .flatten()
        .filter(|(address, recorded)| {
            subject.stack.resource(address).is_none()
                && !recorded.protected
                && !subject.stack.may_have(address)
        })
        .map(|(address, _)| (name.clone(), address.clone(), Action::Delete));
    new.map(|resource| (name.clone(), resource.address.clone(), Action::Create)).chain(gone)
}
