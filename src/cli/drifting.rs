//! `drift`: recorded against observed; read-only.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::model::address::Address;
use crate::model::change::Drift;
use crate::model::error::{Exit, Level, Stop};
use crate::model::resource::Location;
use crate::render::drift::{self, DriftView};
use crate::render::graph::Graph;
use crate::run::look::{self, Looked, Standing, States};
use crate::run::pipeline::Subject;

use super::acknowledging;
use super::drift_args::DriftArgs;
use super::lines::Lines;
use super::notifying;
use super::planning::orphan;
use super::reports::Outputs;
use super::session::{Session, store_stop};
use super::ui::Ui;
use super::wires::Wires;

/// What a look found: all that is not as it was recorded, whatever is known of it.
pub(super) struct Look {
    /// For people and machines.
    pub view: DriftView,
    /// What is declared or recorded, with its stack.
    pub addresses: BTreeSet<(String, Address)>,
}

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
    let known = acknowledging::load(session)?;
    if args.notify {
        notifying::check(session)?;
    }
    let looked = look(session, ui, &args.stacks, args.verify_secrets).await?;
    let mut view = acknowledging::told_apart(session, looked, &known).view;
    let unread = view.checks.iter().any(|check| check.level == Level::Error);
    let lines = Lines::of(&session.dir);
    view.checks.iter_mut().for_each(|check| lines.fill(check));
    if ui.json {
        ui.print_json(&drift::json(&view));
    } else {
        ui.print(&drift::text(&view, &ui.out));
    }
    outputs.drift(ui, session, &view)?;
    let mut found = if view.drift.is_empty() { Exit::Done } else { Exit::Found };
    if args.notify {
        let seen = acknowledging::Seen::of(&view);
        let is_seen = |stack: &str, address: &Address| seen.has(stack, address);
        found = found.and(notifying::notify(session, ui, &view, &is_seen).await);
    }
    Ok(found.and(if unread { Exit::Error } else { Exit::Done }))
}

/// Looks for drift, and reads only.
///
/// # Errors
/// What stops it before anything was compared.
pub(super) async fn look(
    session: &Session,
    ui: &Ui,
    stacks: &[String],
    verify_secrets: bool,
) -> Result<Look, Stop> {
    let began = Instant::now();
    let mut gathered = session.gather_as_applied(stacks)?;
    let mut view = DriftView {
        project: session.project.name.clone(),
        at: jiff::Timestamp::now(),
        checks: gathered.reports.clone(),
        verify_secrets,
        ..DriftView::default()
    };
    view.checks.extend(gathered.orphans.iter().map(|name| orphan(name, Level::Warning)));
    let mut addresses = BTreeSet::new();
    for subject in &gathered.subjects {
        let name = &subject.stack.name;
        let declared = subject.stack.resources.iter().map(|resource| &resource.address);
        let recorded = subject.state.iter().flat_map(|state| state.resources.keys());
        addresses.extend(declared.chain(recorded).map(|one| (name.clone(), one.clone())));
    }
    let wires = Wires::reading(session, ui, gathered.secrets_taken());
    let context = wires.context(session.project.timing);
    let first = Mutex::new(Some(std::mem::take(&mut gathered.subjects)));
    let states = Watched { session, stacks, first };
    let looked = look::look(&context, &session.project, &states, verify_secrets).await?;
    let Looked { found, observations, holders, under_way } = looked;
    for (subject, found) in observations.subjects.iter().zip(found) {
        let name = &subject.stack.name;
        view.stacks.push(name.clone());
        if let Some(state) = &subject.state {
            view.graphs.push((name.clone(), Graph::of_state(state)));
        }
        view.places.extend(places(subject, &found.drift));
        view.drift.extend(found.drift.into_iter().map(|drift| (name.clone(), drift)));
        let pending = found.pending.into_iter();
        view.pending.extend(pending.map(|(address, action)| (name.clone(), address, action)));
        view.checks.extend(found.checks);
        view.taken.extend(found.taken);
    }
    view.in_progress = holders.into_iter().collect();
    view.under_way = under_way.into_iter().map(|one| (one.stack, one.drift)).collect();
    view.checks.extend(observations.away.reports());
    view.checks.extend(observations.settled.iter().flat_map(|found| found.reports.clone()));
    view.requests = context.transport.requests();
    view.elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(Look { view, addresses })
}

/// The project's states while others may work on them.
struct Watched<'a> {
    session: &'a Session,
    stacks: &'a [String],
    /// What was loaded to begin with.
    first: Mutex<Option<Vec<Subject>>>,
}

impl States for Watched<'_> {
    fn subjects(&self) -> Result<(Vec<Subject>, BTreeMap<String, String>), Stop> {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        let load = || self.session.gather_as_applied(self.stacks).map(|all| all.subjects);
        let mut subjects = first.map_or_else(load, Ok)?;
        let mut held = self.session.leave_to_holders(&mut subjects);
        // A run that ended after its state was loaded has left nothing open.
        if subjects.iter().any(|subject| !subject.lost.is_empty()) {
            subjects = load()?;
            held = self.session.leave_to_holders(&mut subjects);
        }
        Ok((subjects, held.into_iter().collect()))
    }

    fn standings(&self) -> Result<BTreeMap<String, Standing>, Stop> {
        let store = &self.session.store;
        let mut out = BTreeMap::new();
        for name in store.list().map_err(|error| store_stop(&error))? {
            // Whoever lets go of it between the two has written it before.
            let holder = store.holder(&name).map_err(|error| store_stop(&error))?;
            let Some(loaded) = store.load(&name).map_err(|error| store_stop(&error))? else {
                continue;
            };
            let state = loaded.state;
            let standing = Standing {
                holder,
                touched: loaded.touched,
                ids: state.resources.values().map(|recorded| recorded.id.clone()).collect(),
                lineage: state.lineage,
                serial: state.serial,
                journal: state.journal,
            };
            out.insert(name, standing);
        }
        Ok(out)
    }
}

/// Where the files ask for what has drifted; of what has left them, the stack's file.
fn places(
    subject: &Subject,
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
