//! `state` and `show`: what is recorded, and careful ways to change that.

use std::path::Path;

use crate::model::address::{Address, AddressGlob};
use crate::model::error::{Exit, Report, Stop};
use crate::model::history::Past;
use crate::model::journal::{Effect, Entry, Journal};
use crate::model::state::State;
use crate::render;
use crate::run::scope;
use crate::store;

use super::planning::plan_path;
use super::session::{Session, store_stop};
use super::ui::Ui;
use super::wires::Wires;

fn load(session: &Session, stack: &str) -> Result<State, Stop> {
    match session.store.load(stack) {
        Ok(Some(loaded)) => Ok(loaded.state),
        Ok(None) => Err(no_state(session, stack)?),
        Err(error) => Err(store_stop(&error)),
    }
}

/// That a stack has no state, and which ones have.
///
/// # Errors
/// The directory can't be read.
pub(super) fn no_state(session: &Session, stack: &str) -> Result<Stop, Stop> {
    let names = session.store.list().map_err(|error| store_stop(&error))?;
    let there = if names.is_empty() {
        "nothing was applied yet".to_owned()
    } else {
        format!("there are {}", names.join(", "))
    };
    Ok(Stop::error(Report::error(format!("there is no state of {stack}")).hint(there)))
}

/// Every state of the project.
///
/// # Errors
/// One can't be read.
pub(super) fn all(session: &Session) -> Result<Vec<State>, Stop> {
    let names = session.store.list().map_err(|error| store_stop(&error))?;
    names.iter().map(|name| load(session, name)).collect()
}

/// Runs `state list`.
///
/// # Errors
/// A state that can't be read.
pub fn list(session: &Session, stack: Option<&String>, ui: &Ui) -> Result<Exit, Stop> {
    let states = match stack {
        Some(stack) => vec![load(session, stack)?],
        None => all(session)?,
    };
    if ui.json {
        ui.print_json(&render::state::list_json(&states));
    } else {
        ui.print(&render::state::list(&states, &ui.out));
    }
    Ok(Exit::Done)
}

/// Runs `state show`.
///
/// # Errors
/// No such record, or none that is meant alone.
pub fn show_record(
    session: &Session,
    stack: Option<&str>,
    address: &str,
    ui: &Ui,
) -> Result<Exit, Stop> {
    let address = parse(address)?;
    let state = match stack {
        Some(stack) => load(session, stack)?,
        None => holder(all(session)?, &address)?,
    };
    let record = state.resources.get(&address).ok_or_else(|| unrecorded(&state, &address))?;
    if ui.json {
        ui.print_json(&render::state::record_json(&state.stack, &address, record));
    } else {
        ui.print(&render::state::record(&address, record, &ui.out));
    }
    Ok(Exit::Done)
}

/// Runs `show`: what is recorded of stacks, or a saved plan.
///
/// # Errors
/// A state or plan that can't be read.
pub fn show(
    session: &Session,
    stack: Option<&String>,
    plan: Option<&Path>,
    ui: &Ui,
) -> Result<Exit, Stop> {
    if let Some(path) = plan {
        let path = plan_path(&session.dir, &session.project.keeping.place, path);
        let plan = store::load_plan(&path).map_err(|error| store_stop(&error))?;
        super::planning::show(ui, &plan);
        return Ok(Exit::Done);
    }
    let states = match stack {
        Some(stack) => vec![load(session, stack)?],
        None => all(session)?,
    };
    if states.is_empty() {
        ui.note("Nothing was applied yet.");
    }
    if ui.json {
        let states: Vec<_> = states.iter().map(render::state::overview_json).collect();
        ui.print_json(&serde_json::json!({"format_version": "1", "stacks": states}));
        return Ok(Exit::Done);
    }
    for state in &states {
        ui.print(&render::state::overview(state, &ui.out));
    }
    Ok(Exit::Done)
}

/// The only state that an address can be looked for in.
fn holder(mut states: Vec<State>, address: &Address) -> Result<State, Stop> {
    if states.len() > 1 {
        states.retain(|state| state.resources.contains_key(address));
    }
    match (states.pop(), states.as_slice()) {
        (Some(state), []) => Ok(state),
        (Some(state), others) => {
            let names = others.iter().chain([&state]).map(|state| state.stack.as_str());
            let names = names.collect::<Vec<_>>().join(", ");
            Err(Stop::error(
                Report::error(format!("{address} is in the states of {names}"))
                    .hint(format!("`boxctl state show STACK {address}` says which")),
            ))
        }
        (None, _) => Err(Stop::error(
            Report::error(format!("{address} is in no state"))
                .hint("`boxctl state list` lists what is"),
        )),
    }
}

fn parse(address: &str) -> Result<Address, Stop> {
    address.parse().map_err(|error: crate::model::address::AddressError| {
        Stop::error(Report::error(error.to_string()))
    })
}

fn unrecorded(state: &State, address: &Address) -> Stop {
    let report = Report::error(format!("{address} is not in the state of {}", state.stack));
    let near = state
        .resources
        .keys()
        .map(|other| (strsim::damerau_levenshtein(&address.to_string(), &other.to_string()), other))
        .min();
    Stop::error(match near {
        Some((distance, other)) if distance <= 4 => report.hint(format!("did you mean {other}?")),
        _ => report.hint(format!("`boxctl state list {}` lists what is", state.stack)),
    })
}

/// Changes records under the lock, through the journal.
fn edit(
    session: &Session,
    ui: &Ui,
    stack: &str,
    effects: impl FnOnce(&State) -> Result<Vec<Effect>, Stop>,
) -> Result<State, Stop> {
    load(session, stack)?;
    let _lock = session.lock(ui, &[stack.to_owned()])?;
    let mut state = load(session, stack)?;
    let effects = effects(&state)?;
    if effects.is_empty() {
        return Ok(state);
    }
    let mut journal = session.store.open_journal(&state).map_err(|error| store_stop(&error))?;
    let entry = Entry::Effects(effects);
    let number = journal.append(entry.clone()).map_err(|error| {
        Stop::error(Report::error(error.to_string()).hint("nothing was changed"))
    })?;
    state.fold(number, &entry);
    drop(journal);
    noted(session, state)
}

/// Writes a state that was changed by hand, as a run of its own.
fn noted(session: &Session, mut state: State) -> Result<State, Stop> {
    session.store.open_journal(&state).map_err(|error| store_stop(&error))?;
    state.serial += 1;
    let run = session.globals.doing.clone();
    let at = jiff::Timestamp::now().to_string();
    let past = Past { at, run, complete: true, ..Past::of_state(state) };
    session.store.checkpoint(&past).map_err(|error| store_stop(&error))?;
    Ok(past.state)
}

/// Runs `state rm`: records leave, the objects stay.
///
/// # Errors
/// Nothing fits.
pub fn remove(session: &Session, stack: &str, patterns: &[String], ui: &Ui) -> Result<Exit, Stop> {
    let mut globs = Vec::new();
    for pattern in patterns {
        globs.push(pattern.parse::<AddressGlob>().map_err(|error| {
            Stop::error(Report::error(format!("`{pattern}` is not a pattern")).cause(error))
        })?);
    }
    let mut gone = Vec::new();
    edit(session, ui, stack, |state| {
        for glob in &globs {
            let hits: Vec<_> =
                state.resources.keys().filter(|a| glob.matches(a)).cloned().collect();
            if hits.is_empty() {
                return Err(Stop::error(
                    Report::error(format!(
                        "`{}` fits nothing in the state of {stack}",
                        glob.as_str()
                    ))
                    .hint(format!("`boxctl state list {stack}` lists what is in it")),
                ));
            }
            gone.extend(hits);
        }
        gone.sort();
        gone.dedup();
        Ok(gone.iter().map(|address| Effect::Remove { address: address.clone() }).collect())
    })?;
    gone.iter().for_each(|address| ui.print(&format!("removed {address} from the state")));
    ui.note("The objects themselves were left as they are.");
    Ok(Exit::Done)
}

/// Runs `state mv`: a record gets another address.
///
/// # Errors
/// No such record, or one under the new address.
pub fn rename(session: &Session, stack: &str, from: &str, to: &str, ui: &Ui) -> Result<Exit, Stop> {
    let (from, to) = (parse(from)?, parse(to)?);
    edit(session, ui, stack, |state| {
        let record = state.resources.get(&from).ok_or_else(|| unrecorded(state, &from))?;
        if from.kind() != to.kind() {
            return Err(Stop::error(Report::error(format!(
                "{from} can't become {to}: they are of different kinds"
            ))));
        }
        if state.resources.contains_key(&to) {
            return Err(Stop::error(
                Report::error(format!("{to} is in the state already"))
                    .hint(format!("`boxctl state rm {stack} {to}` takes it out first")),
            ));
        }
        let mut effects = vec![
            Effect::Remove { address: from.clone() },
            Effect::Record { address: to.clone(), record: Box::new(record.clone()) },
        ];
        for (address, other) in &state.resources {
            if other.dependencies.contains(&from) && *address != from {
                let mut other = other.clone();
                other.dependencies.remove(&from);
                other.dependencies.insert(to.clone());
                effects.push(Effect::Record { address: address.clone(), record: Box::new(other) });
            }
        }
        Ok(effects)
    })?;
    ui.print(&format!("{from} is {to} now"));
    Ok(Exit::Done)
}

/// Runs `state retarget`: the state belongs to the target of this shell from now on.
///
/// # Errors
/// The target can't be read, or the user does not confirm.
pub async fn retarget(session: &Session, stack: &str, yes: bool, ui: &Ui) -> Result<Exit, Stop> {
    let state = load(session, stack)?;
    let wires = Wires::reading(session, ui, crate::model::secret::Secrets::new());
    let context = wires.context(session.project.timing);
    let account = session.project.cloudflare.as_ref().map(|c| c.account_id.clone());
    let base = crate::model::scope::Scope {
        account_id: account.unwrap_or_default(),
        ..crate::model::scope::Scope::default()
    };
    let nothing = crate::model::resource::Stack::default();
    let services = scope::services(&context, &nothing, Some(&state));
    let (target, away) = scope::target(&context, &services, &base).await?;
    away.none()?;
    let differences = state.target.differences(&target);
    if differences.is_empty() {
        ui.print(&format!("The state of {stack} belongs to this target already."));
        return Ok(Exit::Done);
    }
    for (what, then, now) in &differences {
        ui.print(&format!("{what}: {then} → {now}"));
    }
    if !yes && ui.ask("Retarget the state? Only \"yes\" does it: ").as_deref() != Some("yes") {
        return Err(Stop::refused(
            Report::error("the state was not retargeted").hint("`--yes` goes on without asking"),
        ));
    }
    let _lock = session.lock(ui, &[stack.to_owned()])?;
    let mut state = load(session, stack)?;
    state.target = target.or(&state.target);
    noted(session, state)?;
    ui.note("The next plan compares what is recorded with what this target holds.");
    Ok(Exit::Done)
}
