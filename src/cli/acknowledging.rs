//! `drift ack`: what has drifted and is known is quiet, until it changes or the time is up.

use std::process::{Command, Stdio};

use crate::config::{self, DRIFT_FILE, Disk};
use crate::engine::acknowledge::{self, Sorted};
use crate::model::acknowledge::Acknowledgement;
use crate::model::address::Address;
use crate::model::change::DriftKind;
use crate::model::error::{Exit, Level, Report, Stop};
use crate::render::drift::{self, DriftView};

use super::asked::{Asked, asked};
use super::drift_commands::AckArgs;
use super::drifting::{Look, look};
use super::lines::Lines;
use super::session::Session;
use super::ui::Ui;

/// What the project's `drift.yaml` says.
///
/// # Errors
/// Every mistake in it.
pub(super) fn load(session: &Session) -> Result<Vec<Acknowledgement>, Stop> {
    config::load_acknowledged(&session.dir, &Disk)
        .map_err(|reports| Stop { exit: Exit::Error, reports })
}

/// What a look found, with what is known told from what rings.
pub(super) struct Told {
    /// For people and machines.
    pub view: DriftView,
    /// Which statements are over.
    pub over: Vec<usize>,
}

/// Tells what rings from what is known. A stack that an apply works on, and what could not be read,
/// says nothing of what is over.
pub(super) fn told_apart(session: &Session, looked: Look, known: &[Acknowledgement]) -> Told {
    let Look { mut view, addresses } = looked;
    let seen = Seen::of(&view);
    let is_seen = |stack: &str, address: &Address| seen.has(stack, address);
    let drift = view.drift.clone();
    let Sorted { rings, quiet, mut reports, over } =
        acknowledge::sort(drift, known, view.at, &drift::shown, &is_seen);
    for report in &mut reports {
        let Some(address) = &report.address else { continue };
        if report.level == Level::Note && !addresses.iter().any(|(_, one)| one == address) {
            report.message = format!("{address} is acknowledged, and no stack has it");
            report.hints.extend(nearest(address, addresses.iter().map(|(_, one)| one)));
        }
    }
    let lines = Lines::of(&session.dir);
    reports.iter_mut().for_each(|report| lines.fill(report));
    view.drift = rings;
    view.acknowledged = quiet;
    view.checks.extend(reports);
    Told { view, over }
}

/// What a look has seen: what was not looked at may have drifted or not.
pub(super) struct Seen {
    stacks: Vec<String>,
    unread: Vec<Address>,
    /// Whether something could not be read of which it is not known what it is.
    some_unread: bool,
}

impl Seen {
    /// What that look has seen.
    pub fn of(view: &DriftView) -> Self {
        let is_held = |stack: &String| view.in_progress.iter().any(|(name, _)| name == stack);
        let errors = || view.checks.iter().filter(|check| check.level == Level::Error);
        Seen {
            stacks: view.stacks.iter().filter(|stack| !is_held(stack)).cloned().collect(),
            unread: errors().filter_map(|check| check.address.clone()).collect(),
            some_unread: errors().any(|check| check.address.is_none()),
        }
    }

    /// Whether a resource was looked at.
    pub fn has(&self, stack: &str, address: &Address) -> bool {
        !self.some_unread
            && self.stacks.iter().any(|name| name == stack)
            && !self.unread.contains(address)
    }
}

fn nearest<'a>(address: &Address, all: impl Iterator<Item = &'a Address>) -> Option<String> {
    let text = address.to_string();
    let near = all
        .map(|one| (strsim::damerau_levenshtein(&text, &one.to_string()), one))
        .filter(|(distance, _)| *distance * 4 <= text.len())
        .min()?;
    Some(format!("did you mean {}?", near.1))
}

/// Runs `drift ack`.
///
/// # Errors
/// Nothing of it has drifted; mistakes in `drift.yaml`; it can't be written.
pub async fn run(session: &Session, ui: &Ui, args: &AckArgs) -> Result<Exit, Stop> {
    let known = load(session)?;
    let now = jiff::Timestamp::now();
    let until = args.until.as_deref().map(|text| until(text, now)).transpose()?;
    if args.reason.as_ref().is_some_and(|reason| reason.trim().is_empty()) {
        return Err(Stop::refused(Report::error("`--reason` says nothing").code("no-reason")));
    }
    let looked = look(session, ui, &args.stacks, args.verify_secrets).await?;
    let unread = looked.view.checks.iter().any(|check| check.level == Level::Error);
    let (added, without) = match (until, &args.reason) {
        (Some(until), Some(reason)) => {
            let mut found: Vec<Asked> = Vec::new();
            for text in &args.what {
                found.extend(asked(text, &looked.addresses, &looked.view.drift)?);
            }
            let by = args.by.clone().or_else(|| who(session));
            let new = entries(&found, &until, reason, by.as_deref(), now);
            let over = known.iter().enumerate();
            let over = over.filter(|(_, old)| new.iter().any(|one| one.supersedes(old)));
            let over = over.map(|(at, _)| at).collect();
            (new, over)
        }
        _ => (Vec::new(), told_apart(session, looked, &known).over),
    };
    write(session, &added, &without)?;
    let exit = if unread { Exit::Error } else { Exit::Done };
    tell(ui, &added, without.iter().filter_map(|at| known.get(*at)), args.prune);
    Ok(exit)
}

/// What is to be written of what was found, each once.
fn entries(
    found: &[Asked],
    (until, ends): &(String, jiff::Timestamp),
    reason: &str,
    by: Option<&str>,
    now: jiff::Timestamp,
) -> Vec<Acknowledgement> {
    let mut all: Vec<Acknowledgement> = Vec::new();
    for Asked { stack, drift, path } in found {
        let one = Acknowledgement {
            stack: stack.clone(),
            address: drift.address.clone(),
            path: path.clone(),
            drift: drift.kind,
            observed: acknowledge::seen(drift.kind, &drift::shown(drift)),
            until: until.clone(),
            ends: *ends,
            reason: reason.trim().to_owned(),
            by: by.map(str::to_owned),
            at: Some(seconds(now).to_string()),
            location: None,
        };
        if !all.iter().any(|other| other.is_about(&one)) {
            all.push(one);
        }
    }
    all
}

fn seconds(time: jiff::Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// The end that was asked for, as the file says it: of days a day, of hours a time.
fn until(text: &str, now: jiff::Timestamp) -> Result<(String, jiff::Timestamp), Stop> {
    let refused = |report: Report| Err(Stop::refused(report.code("until")));
    let said = match relative(text) {
        Some((number, 'd')) => {
            let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
            let days = jiff::Span::new().try_days(number);
            days.and_then(|days| today.checked_add(days)).map(|day| day.to_string())
        }
        Some((number, _)) => {
            let hours = jiff::Span::new().try_hours(number);
            hours.and_then(|hours| now.checked_add(hours)).map(|time| seconds(time).to_string())
        }
        None => Ok(text.to_owned()),
    };
    let ends = said.as_ref().ok().and_then(|said| config::ends(said));
    match (said, ends) {
        (Ok(said), Some(ends)) if ends > now => Ok((said, ends)),
        (Ok(_), Some(_)) => refused(Report::error(format!("`--until {text}` is over already"))),
        _ => refused(
            Report::error(format!("`{text}` is no time until which something can be known"))
                .hint("12h, 30d, 2027-01-31 and 2027-01-31T12:00:00Z are what one looks like"),
        ),
    }
}

/// `30d`, `12h`.
fn relative(text: &str) -> Option<(i64, char)> {
    let unit = text.chars().last().filter(|unit| matches!(unit, 'd' | 'h'))?;
    let number: u32 = text.strip_suffix(unit)?.parse().ok()?;
    (number > 0).then_some((i64::from(number), unit))
}

/// Who works here, as git or the system calls them.
fn who(session: &Session) -> Option<String> {
    let git = Command::new("git")
        .args(["config", "user.name"])
        .current_dir(&session.dir)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    let named = git.ok().filter(|output| output.status.success());
    let named = named.and_then(|output| String::from_utf8(output.stdout).ok());
    let user = || std::env::var("USER").ok();
    let name = named.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    name.or_else(user).filter(|name| !name.is_empty())
}

/// Writes the file whole, if anything in it changes.
fn write(session: &Session, added: &[Acknowledgement], without: &[usize]) -> Result<(), Stop> {
    if added.is_empty() && without.is_empty() {
        return Ok(());
    }
    let path = session.dir.join(DRIFT_FILE);
    let failed = |error: std::io::Error| {
        Stop::error(Report::error(format!("{DRIFT_FILE} could not be written")).cause(error))
    };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(failed(error)),
    };
    let after = config::edit_acknowledged(&text, without, added).map_err(Stop::error)?;
    super::files::replace(&path, &after).map_err(failed)
}

fn tell<'a>(
    ui: &Ui,
    added: &[Acknowledgement],
    without: impl Iterator<Item = &'a Acknowledgement>,
    prune: bool,
) {
    let gone: Vec<&Acknowledgement> = without.filter(|_| prune).collect();
    if ui.json {
        let entry = |one: &&Acknowledgement| {
            serde_json::json!({
                "stack": one.stack, "address": one.address, "path": one.path,
                "until": one.until, "reason": one.reason, "by": one.by,
            })
        };
        ui.print_json(&serde_json::json!({
            "format_version": "1",
            "acknowledged": added.iter().map(|one| entry(&one)).collect::<Vec<_>>(),
            "pruned": gone.iter().map(entry).collect::<Vec<_>>(),
        }));
        return;
    }
    for one in added {
        ui.print(&format!("{} is known until {}: {}", one.subject(), one.until, one.reason));
    }
    for one in &gone {
        ui.print(&format!("{} is over: taken out of {DRIFT_FILE}", one.subject()));
    }
    let puts_back = added.iter().any(|one| one.drift != DriftKind::Foreign);
    match (added.is_empty(), gone.is_empty(), puts_back) {
        (true, true, _) => ui.note(&format!("Nothing in {DRIFT_FILE} is over.")),
        (true, false, _) | (false, _, false) => ui.note(&format!("Commit {DRIFT_FILE}.")),
        (false, _, true) => ui.note(&format!(
            "Commit {DRIFT_FILE}. plan and apply do not read it: an apply puts back what was applied."
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_a_day_or_a_time() {
        let now = "2026-11-25T20:10:30.5Z".parse().unwrap();
        for (text, said, ends) in [
            ("30d", "2026-12-25", "2026-12-26T00:00:00Z"),
            ("12h", "2026-11-26T08:10:30Z", "2026-11-26T08:10:30Z"),
            ("2027-01-31", "2027-01-31", "2027-02-01T00:00:00Z"),
            ("2026-11-25", "2026-11-25", "2026-11-26T00:00:00Z"),
        ] {
            let found = until(text, now).ok().map(|(said, ends)| (said, ends.to_string()));
            assert_eq!(found, Some((said.to_owned(), ends.to_owned())), "{text}");
        }
        for text in ["0d", "soon", "-3d", "2026-11-24", "4294967296d", "99999999d", "30", ""] {
            assert_eq!(until(text, now).unwrap_err().exit, Exit::Refused, "{text}");
        }
    }
}
