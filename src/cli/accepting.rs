//! `drift accept`: the edit of the files that keeps what was observed.

use std::collections::BTreeSet;
use std::path::Path;

use similar::TextDiff;

use crate::config::{self, Commands, Disk, Edited};
use crate::model::error::{Exit, Report, Stop};

use super::asked::{Asked, asked};
use super::drift_commands::AcceptArgs;
use super::drifting::look;
use super::session::Session;
use super::ui::Ui;

/// The code of the warning that a secret stands in a file.
const SECRET_IN_FILE: &str = "secret-in-file";
/// How many unchanged lines are shown around changed ones.
const CONTEXT: usize = 3;

/// A file that is edited: its name in the project, and the edit as a unified diff.
struct Shown {
    name: String,
    diff: String,
}

/// Runs `drift accept`: shows the edit, and makes it where it is told to.
///
/// # Errors
/// What was asked for has not drifted, or no edit keeps it: what is to be written by hand.
pub async fn run(session: &Session, ui: &Ui, args: &AcceptArgs) -> Result<Exit, Stop> {
    let looked = look(session, ui, &args.stacks, args.verify_secrets).await?;
    let mut found: Vec<Asked> = Vec::new();
    for text in &args.what {
        found.extend(asked(text, &looked.addresses, &looked.view.drift)?);
    }
    let inputs = session.inputs(&[], Commands::Skip, session.recorded_variables()?)?;
    let mut edited = Edited::new(&Disk);
    let mut refused: Vec<Report> = Vec::new();
    for one in &found {
        match config::accept(&session.dir, &edited, &inputs, &one.stack, &one.drift) {
            Ok(next) => edited = next,
            Err(report) => refused.push(report),
        }
    }
    let lines = super::lines::Lines::of(&session.dir);
    refused.iter_mut().for_each(|report| lines.fill(report));
    let loaded = config::load(&session.dir, &Disk, &inputs);
    let reports = loaded.map(|loaded| loaded.reports).unwrap_or_default();
    let in_files = reports
        .into_iter()
        .filter(|report| report.code.as_deref() == Some(SECRET_IN_FILE))
        .filter_map(|report| Some(report.location?.file))
        .collect();
    let shown = shown(session, &edited, &in_files)?;
    // What can't be done is told before any of it is done.
    let write = args.write && refused.is_empty();
    if write {
        for (path, text) in &edited.files {
            written(path, text.as_deref())?;
        }
    }
    tell(ui, &shown, write);
    if refused.is_empty() {
        return Ok(Exit::Done);
    }
    ui.reports(&refused);
    if args.write && !shown.is_empty() {
        ui.note("Nothing was written, since not all of it can be.");
    }
    Ok(Exit::Refused)
}

fn shown(
    session: &Session,
    edited: &Edited<'_>,
    in_files: &BTreeSet<String>,
) -> Result<Vec<Shown>, Stop> {
    let mut out = Vec::new();
    for (path, after) in &edited.files {
        let before = std::fs::read_to_string(path).map_err(|error| {
            Stop::error(Report::error(format!("{} could not be read", path.display())).cause(error))
        })?;
        let name = path.strip_prefix(&session.dir).unwrap_or(path).display().to_string();
        let after_text = after.clone().unwrap_or_default();
        let hidden = may_hold_secrets(&name, &before, in_files);
        let heads = (format!("a/{name}"), format!("b/{name}"));
        let new_head = if after.is_some() { heads.1.as_str() } else { "/dev/null" };
        let diff = TextDiff::from_lines(&before, &after_text)
            .unified_diff()
            .context_radius(if hidden { 0 } else { CONTEXT })
            .header(&heads.0, new_head)
            .to_string();
        out.push(Shown { name, diff });
    }
    Ok(out)
}

/// Whether lines beside those that are edited could hold a secret: then they are not shown.
/// `in_files`: files of which a warning says that one stands in them.
fn may_hold_secrets(name: &str, text: &str, in_files: &BTreeSet<String>) -> bool {
    let is_secret = |line: &str| {
        let line = line.trim_start_matches(['-', ' ', '{', '"', '\'']);
        line.starts_with("kind") && line.contains("Secret")
    };
    in_files.contains(name) || text.contains(SECRET_IN_FILE) || text.lines().any(is_secret)
}

fn written(path: &Path, text: Option<&str>) -> Result<(), Stop> {
    let done = match text {
        Some(text) => super::files::replace(path, text),
        None => std::fs::remove_file(path),
    };
    done.map_err(|error| {
        Stop::error(Report::error(format!("{} could not be written", path.display())).cause(error))
    })
}

fn tell(ui: &Ui, shown: &[Shown], written: bool) {
    if ui.json {
        let edits: Vec<_> = shown
            .iter()
            .map(|one| serde_json::json!({"file": one.name, "diff": one.diff}))
            .collect();
        ui.print_json(&serde_json::json!({
            "format_version": "1", "edits": edits, "written": written,
        }));
        return;
    }
    shown.iter().for_each(|one| ui.print(&crate::render::drift::plain(&one.diff)));
    match (shown.is_empty(), written) {
        (true, _) => {}
        (false, false) => ui.note("Nothing is written yet: `--write` makes this edit."),
        (false, true) => ui.note(
            "Written. The next `boxctl apply` records it, and changes nothing else of it; commit \
             the files.",
        ),
    }
}
