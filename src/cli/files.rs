//! Commands that read and write files only: `init`, `validate`, `expand`, `schema`, `graph`.

use std::path::Path;

use crate::config::{self, Commands};
use crate::kinds::wiring;
use crate::model::error::{Exit, Level, Report, Stop};
use crate::model::resource::Stack;
use crate::render::graph::{self, Graph};

use super::session::{Globals, load, project_dir};
use super::ui::Ui;

/// Runs `init`: writes a commented project, and overwrites nothing.
///
/// # Errors
/// A file is there already, or can't be written.
pub fn init(dir: &Path, ui: &Ui) -> Result<Exit, Stop> {
    let name = std::fs::canonicalize(dir)
        .ok()
        .and_then(|dir| dir.file_name().map(|name| name.to_string_lossy().into_owned()))
        .unwrap_or_else(|| "project".to_owned());
    let files = config::init_files(&name);
    let shown = |path: &Path| match dir == Path::new(".") {
        true => path.display().to_string(),
        false => dir.join(path).display().to_string(),
    };
    let ignored = Path::new(".gitignore");
    let mut there = files.iter().filter(|(path, _)| path != ignored && dir.join(path).exists());
    if let Some((path, _)) = there.next() {
        return Err(Stop::refused(
            Report::error(format!("{} is there already", shown(path)))
                .hint("nothing was written; take it away, or go to another directory"),
        ));
    }
    for (path, text) in &files {
        let full = dir.join(path);
        if let Some(parent) = full.parent() {
            std::fs::create_dir_all(parent).map_err(|error| unwritten(parent, &error))?;
        }
        let text = match (path == ignored).then(|| std::fs::read_to_string(&full)) {
            // A repository has one already: it gets the lines that it lacks.
            Some(Ok(own)) => with_lines_of(&own, text),
            Some(Err(error)) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(unwritten(&full, &error));
            }
            _ => text.clone(),
        };
        std::fs::write(&full, text).map_err(|error| unwritten(&full, &error))?;
        ui.print(&format!("wrote {}", shown(path)));
    }
    ui.note(
        "Next: `boxctl --sandbox apply` tries it here, without any account. Then put your own \
         account,\nzone and service into the files, and look at `boxctl plan`.",
    );
    Ok(Exit::Done)
}

/// A text with the lines of another one that it lacks.
fn with_lines_of(own: &str, other: &str) -> String {
    let lacks = |line: &&str| !own.lines().any(|have| have.trim() == *line);
    let missing: Vec<&str> = other.lines().filter(lacks).collect();
    if missing.iter().all(|line| line.starts_with('#')) {
        return own.to_owned();
    }
    let end = if own.is_empty() || own.ends_with('\n') { "" } else { "\n" };
    format!("{own}{end}{}\n", missing.join("\n"))
}

fn unwritten(path: &Path, error: &std::io::Error) -> Stop {
    Stop::error(Report::error(format!("{} could not be written", path.display())).cause(error))
}

/// Writes a file of the project so that it is there whole or as it was; who may read it stays.
///
/// # Errors
/// It can't be written.
pub(super) fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    // What a link leads to is written, and the link stays.
    let Ok(path) = std::fs::canonicalize(path) else { return std::fs::write(path, text) };
    let permissions = std::fs::metadata(&path)?.permissions();
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".boxctl-").tempfile_in(dir)?;
    std::io::Write::write_all(&mut file, text.as_bytes())?;
    file.as_file().set_permissions(permissions)?;
    file.as_file().sync_all()?;
    file.persist(&path).map_err(|error| error.error)?;
    Ok(())
}

/// Runs `validate`: files only, no network, no commands.
///
/// # Errors
/// Every mistake.
pub fn validate(globals: &Globals, stacks: &[String], strict: bool, ui: &Ui) -> Result<Exit, Stop> {
    let dir = project_dir(globals)?;
    let loaded = load(&dir, globals, Commands::Skip)?;
    config::load_acknowledged(&dir, &config::Disk)
        .map_err(|reports| Stop { exit: Exit::Error, reports })?;
    let chosen = choose(&loaded.stacks, stacks)?;
    let count: usize = chosen.iter().map(|stack| stack.resources.len()).sum();
    let mut reports = loaded.reports;
    if strict {
        for report in reports.iter_mut().filter(|report| report.level == Level::Warning) {
            report.level = Level::Error;
        }
        if reports.iter().any(|report| report.level == Level::Error) {
            return Err(Stop { exit: Exit::Error, reports });
        }
    }
    ui.reports(&reports);
    let word = if chosen.len() == 1 { "stack" } else { "stacks" };
    if ui.json {
        ui.print_json(&serde_json::json!({
            "format_version": "1",
            "valid": true,
            "stacks": chosen.iter().map(|stack| &stack.name).collect::<Vec<_>>(),
            "resources": count,
            "checks": reports.iter().map(crate::render::json::report).collect::<Vec<_>>(),
        }));
    } else {
        ui.print(&format!("Valid: {} {word}, {count} resources.", chosen.len()));
    }
    Ok(Exit::Done)
}

pub(super) fn choose<'a>(all: &'a [Stack], names: &[String]) -> Result<Vec<&'a Stack>, Stop> {
    for name in names {
        if !all.iter().any(|stack| &stack.name == name) {
            let there: Vec<_> = all.iter().map(|stack| stack.name.as_str()).collect();
            return Err(Stop::error(
                Report::error(format!("there is no stack {name}"))
                    .hint(format!("the stacks are: {}", there.join(", "))),
            ));
        }
    }
    Ok(all.iter().filter(|stack| names.is_empty() || names.contains(&stack.name)).collect())
}

/// Runs `expand`: the explicit resources that a stack stands for.
///
/// # Errors
/// Mistakes in the files, or a name that is no stack.
pub fn expand(globals: &Globals, stack: Option<&String>, ui: &Ui) -> Result<Exit, Stop> {
    let dir = project_dir(globals)?;
    let loaded = load(&dir, globals, Commands::Run)?;
    ui.reports(&loaded.reports);
    let names: Vec<String> = stack.cloned().into_iter().collect();
    let chosen = choose(&loaded.stacks, &names)?;
    if ui.json {
        let stacks: Vec<_> = chosen
            .iter()
            .map(|stack| {
                serde_json::json!({
                    "stack": stack.name,
                    "resources": stack.resources.iter().map(|resource| {
                        serde_json::json!({
                            "address": resource.address,
                            "spec": resource.spec,
                            "location": resource.location,
                        })
                    }).collect::<Vec<_>>(),
                })
            })
            .collect();
        ui.print_json(&serde_json::json!({"format_version": "1", "stacks": stacks}));
        return Ok(Exit::Done);
    }
    for (at, stack) in chosen.iter().enumerate() {
        if chosen.len() > 1 {
            ui.print(&format!("{}# {}", if at > 0 { "---\n" } else { "" }, stack.file));
        }
        ui.print(&config::expanded_yaml(stack));
    }
    Ok(Exit::Done)
}

/// Runs `schema`.
pub fn schema(ui: &Ui) -> Exit {
    ui.print_json(&config::schema());
    Exit::Done
}

/// Runs `graph`: what the files ask for and what needs what.
///
/// # Errors
/// Mistakes in the files, or a name that is no stack.
pub fn graph(
    globals: &Globals,
    stack: Option<&String>,
    mermaid: bool,
    ui: &Ui,
) -> Result<Exit, Stop> {
    let dir = project_dir(globals)?;
    let loaded = load(&dir, globals, Commands::Skip)?;
    ui.reports(&loaded.reports);
    let names: Vec<String> = stack.cloned().into_iter().collect();
    let chosen = choose(&loaded.stacks, &names)?;
    let resources: Vec<_> =
        chosen.iter().flat_map(|stack| stack.resources.iter().cloned()).collect();
    let mut drawn = Graph::of_resources(&resources);
    for stack in &chosen {
        for (address, needed) in wiring::of(&stack.resources).needs {
            needed.iter().for_each(|needed| drawn.edge(&address, needed));
        }
    }
    ui.print(&if mermaid { graph::mermaid(&drawn) } else { graph::dot(&drawn) });
    Ok(Exit::Done)
}
