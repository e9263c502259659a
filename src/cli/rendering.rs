//! `render`: generated manifests as files, for the tool that applies them.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use similar::TextDiff;

use crate::config::{self, Commands};
use crate::model::error::{Exit, Report, Stop};

use super::files::choose;
use super::planning::write;
use super::session::{Globals, load, project_dir};
use super::ui::Ui;

/// Lines around a difference.
const CONTEXT: usize = 3;

/// What becomes of a file.
struct Change {
    name: String,
    before: Option<String>,
    after: Option<String>,
}

impl Change {
    fn word(&self) -> &'static str {
        match (&self.before, &self.after) {
            (None, _) => "create",
            (Some(_), None) => "delete",
            (Some(before), Some(after)) if before == after => "unchanged",
            (Some(_), Some(_)) => "update",
        }
    }

    fn is_none(&self) -> bool {
        self.before == self.after
    }

    fn diff(&self, to: &Path) -> String {
        let path = to.join(&self.name).display().to_string();
        let side = |text: &Option<String>| match text {
            Some(_) => path.clone(),
            None => "/dev/null".to_owned(),
        };
        let (before, after) = (self.before.as_deref(), self.after.as_deref());
        TextDiff::from_lines(before.unwrap_or_default(), after.unwrap_or_default())
            .unified_diff()
            .context_radius(CONTEXT)
            .header(&side(&self.before), &side(&self.after))
            .to_string()
    }
}

/// Runs `render`: writes the files into `to`, or with `check` only says what would be written.
///
/// # Errors
/// Mistakes in the files, an object that can't be rendered, a file of someone else's in the way.
pub fn run(
    globals: &Globals,
    stack: Option<&String>,
    to: &Path,
    check: bool,
    ui: &Ui,
) -> Result<Exit, Stop> {
    let dir = project_dir(globals)?;
    let mut loaded = load(&dir, globals, Commands::Run)?;
    let names: Vec<String> = stack.cloned().into_iter().collect();
    let chosen = choose(&loaded.stacks, &names)?.into_iter().cloned().collect();
    loaded.stacks = chosen;
    let wanted = config::rendered(&loaded)
        .map_err(|reports| Stop { exit: Exit::Error, reports })?
        .into_iter()
        .map(|file| (file.name, file.text))
        .collect();
    let changes = compare(to, wanted, &loaded.project.name, stack.map(String::as_str))?;
    if !check {
        carry_out(to, &changes)?;
    }
    show(to, &changes, check, ui);
    let found = check && changes.iter().any(|change| !change.is_none());
    Ok(if found { Exit::Found } else { Exit::Done })
}

/// What there is against what there should be; of what there is, only what was rendered counts.
fn compare(
    to: &Path,
    mut wanted: BTreeMap<String, String>,
    project: &str,
    stack: Option<&str>,
) -> Result<Vec<Change>, Stop> {
    let mut changes = Vec::new();
    let mut in_the_way = Vec::new();
    for (name, before) in there(to)? {
        match wanted.remove(&name) {
            Some(after) if config::rendered_of(&before, project, None) => {
                changes.push(Change { name, before: Some(before), after: Some(after) });
            }
            Some(_) => in_the_way.push(
                Report::error(format!("{} is there already", to.join(&name).display()))
                    .cause("`boxctl render` did not write it for this project")
                    .hint("move it away, or render to another directory"),
            ),
            None if config::rendered_of(&before, project, stack) => {
                changes.push(Change { name, before: Some(before), after: None });
            }
            None => {}
        }
    }
    if !in_the_way.is_empty() {
        return Err(Stop { exit: Exit::Refused, reports: in_the_way });
    }
    let new = wanted.into_iter();
    changes.extend(new.map(|(name, text)| Change { name, before: None, after: Some(text) }));
    changes.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(changes)
}

/// The YAML files of a directory, by name; none where it is not there.
fn there(to: &Path) -> Result<BTreeMap<String, String>, Stop> {
    let unread = |path: &Path, error: std::io::Error| {
        Stop::error(Report::error(format!("{} could not be read", path.display())).cause(error))
    };
    let entries = match std::fs::read_dir(to) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(unread(to, error)),
    };
    let mut found = BTreeMap::new();
    for entry in entries {
        let entry = entry.map_err(|error| unread(to, error))?;
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if path.extension().is_none_or(|end| end != "yaml") || path.is_dir() {
            continue;
        }
        let bytes = std::fs::read(&path).map_err(|error| unread(&path, error))?;
        // What is no text was not rendered, and is told apart by that.
        found.insert(name, String::from_utf8_lossy(&bytes).into_owned());
    }
    Ok(found)
}

fn carry_out(to: &Path, changes: &[Change]) -> Result<(), Stop> {
    let failed = |path: &Path, what: &str, error: std::io::Error| {
        Stop::error(Report::error(format!("{} could not be {what}", path.display())).cause(error))
    };
    for change in changes.iter().filter(|change| !change.is_none()) {
        let path = to.join(&change.name);
        match &change.after {
            Some(text) => {
                std::fs::create_dir_all(to).map_err(|error| failed(to, "made", error))?;
                write(&path, text)?;
            }
            None => std::fs::remove_file(&path).map_err(|error| failed(&path, "removed", error))?,
        }
    }
    Ok(())
}

fn show(to: &Path, changes: &[Change], check: bool, ui: &Ui) {
    if ui.json {
        let files: Vec<_> = changes
            .iter()
            .map(|change| {
                let path = to.join(&change.name).display().to_string();
                serde_json::json!({"path": path, "action": change.word()})
            })
            .collect();
        return ui.print_json(&serde_json::json!({
            "format_version": "1",
            "written": !check,
            "files": files,
        }));
    }
    for change in changes.iter().filter(|change| !change.is_none()) {
        let path = to.join(&change.name);
        match (check, &change.after) {
            (true, _) => ui.print(&change.diff(to)),
            (false, Some(_)) => ui.print(&format!("wrote {}", path.display())),
            (false, None) => ui.print(&format!("removed {}", path.display())),
        }
    }
    if changes.is_empty() {
        ui.note(
            "Nothing to render: no service has `connector: {namespace: …, applied_by: argocd}`.",
        );
    } else if changes.iter().all(Change::is_none) {
        ui.note(&format!("{} is up to date.", to.display()));
    }
}
