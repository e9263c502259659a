//! `plan`: what an apply would do, and what it rests on.

use std::path::{Path, PathBuf};

use crate::config::Commands;
use crate::model::error::{Exit, Level, Report, Stop};
use crate::model::plan::{Options, Plan};
use crate::model::project::Place;
use crate::model::status::{Elsewhere, Standing};
use crate::render;
use crate::run::pipeline::{self, Observations};
use crate::store;

use super::lines::Lines;
use super::reports::Outputs;
use super::session::{Gathered, Session, store_stop};
use super::ui::Ui;
use super::wires::Wires;

/// What `plan` is told.
#[derive(Clone, Debug, Default)]
pub struct PlanCommand {
    /// The stacks; all if empty.
    pub stacks: Vec<String>,
    /// What to plan.
    pub options: Options,
    /// Where to save it.
    pub out: Option<PathBuf>,
    /// Whether changes make exit 2.
    pub detailed_exitcode: bool,
}

/// The commands of files, as options say.
pub fn commands(options: &Options) -> Commands {
    if options.no_commands { Commands::Skip } else { Commands::Run }
}

/// Where a saved plan goes: a name without a slash is in `plans/`, beside states that are files of
/// the project, else in the project.
pub fn plan_path(project: &Path, states: &Place, said: &Path) -> PathBuf {
    let bare = said.components().count() == 1 && !said.to_string_lossy().contains('/');
    if bare {
        let beside = match states {
            Place::Local { dir } => dir.parent().unwrap_or(Path::new("")),
            Place::S3 { .. } | Place::Kubernetes { .. } => Path::new(""),
        };
        project.join(beside).join("plans").join(said)
    } else {
        said.to_path_buf()
    }
}

/// Plans the gathered stacks.
///
/// # Errors
/// As [`pipeline::plan`].
pub async fn make(
    session: &Session,
    ui: &Ui,
    wires: &Wires,
    gathered: Gathered,
    options: &Options,
) -> Result<(Plan, Observations), Stop> {
    let Gathered { subjects, orphans, reports, .. } = gathered;
    let id = uuid::Uuid::new_v4().to_string();
    let context = wires.context(session.project.timing);
    let (mut plan, observations) =
        pipeline::plan(&context, &session.project, subjects, options, id).await?;
    let asked: Vec<String> = plan.stacks.iter().map(|stack| stack.stack.clone()).collect();
    let orphans = orphans
        .iter()
        .map(|name| orphan(name, if asked.contains(name) { Level::Error } else { Level::Warning }));
    match plan.stacks.first_mut() {
        Some(first) => {
            first.checks.splice(0..0, reports);
            first.checks.extend(orphans);
        }
        None => ui.reports(&reports.into_iter().chain(orphans).collect::<Vec<_>>()),
    }
    let lines = Lines::of(&session.dir);
    plan.stacks.iter_mut().flat_map(|stack| &mut stack.checks).for_each(|check| lines.fill(check));
    Ok((plan, observations))
}

/// A state whose file is gone and of which nobody said what is meant.
pub fn orphan(name: &str, level: Level) -> Report {
    let mut report =
        Report::warning("no-file", format!("the state of {name} has no stack file any more"));
    report.level = level;
    report
        .hint(format!(
            "to destroy it: `retired: [{name}]` in boxctl.yaml, or `boxctl destroy {name}`"
        ))
        .hint(format!("to keep what it made and forget it: `boxctl state rm {name} '**'`"))
}

/// The exit that a plan's checks ask for: what could not be read is an error, what is refused is a
/// refusal.
pub fn refusal(plan: &Plan) -> Exit {
    let reports = plan.stacks.iter().flat_map(|stack| stack.refusals());
    let exits = reports.map(|r| if is_refusal(r) { Exit::Refused } else { Exit::Error });
    exits.fold(Exit::Done, Exit::and)
}

/// Whether the report says that something is not done until it is said to be meant.
fn is_refusal(report: &Report) -> bool {
    const CODES: [&str; 15] = [
        "adopt",
        "conflict",
        "contents",
        "foreign",
        "limits",
        "never-replaced",
        "no-file",
        "protected",
        "public",
        "rolled-back",
        "rotate",
        "secrets",
        "several",
        "stale",
        "unsaid-variable",
    ];
    report.code.as_deref().is_some_and(|code| CODES.contains(&code))
}

/// What another tool applies and could not be read refuses nothing, and is an error all the same.
fn is_unread(found: &Elsewhere) -> bool {
    found.standing == Standing::Unreadable
}

/// Runs `plan`.
///
/// # Errors
/// What stops it before there is a plan, or a file that can't be written.
pub async fn run(
    session: &Session,
    ui: &Ui,
    command: &PlanCommand,
    outputs: &Outputs<'_>,
) -> Result<Exit, Stop> {
    let mut gathered = session.gather(&command.stacks, commands(&command.options))?;
    for (stack, holder) in session.leave_to_holders(&mut gathered.subjects) {
        let text = format!("an apply of {stack} is under way, which this plan may see half done");
        gathered.reports.push(Report::warning("in-progress", text).cause(holder));
    }
    let wires = Wires::reading(session, ui, gathered.secrets_taken());
    let (plan, _) = make(session, ui, &wires, gathered, &command.options).await?;
    show(ui, &plan);
    if let Some(out) = &command.out {
        let path = plan_path(&session.dir, &session.project.keeping.place, out);
        store::save_plan(&path, &plan).map_err(|error| store_stop(&error))?;
        ui.note(&format!(
            "Saved. `boxctl apply --plan {}` carries out exactly this.",
            out.display()
        ));
    }
    outputs.plan(ui, session, &plan)?;
    // A plan that would be refused is still a plan: only what could not be read is an error.
    let unread = plan.stacks.iter().flat_map(|stack| stack.refusals()).any(|r| !is_refusal(r))
        || plan.stacks.iter().flat_map(|stack| &stack.elsewhere).any(is_unread);
    let exit = if unread { Exit::Error } else { Exit::Done };
    let found = command.detailed_exitcode && !plan.summary().is_empty();
    Ok(exit.and(if found { Exit::Found } else { Exit::Done }))
}

/// Shows a plan.
pub fn show(ui: &Ui, plan: &Plan) {
    if ui.json {
        ui.print_json(&render::json::plan(plan));
    } else {
        ui.print(&render::human::plan(plan, &ui.out));
    }
}

/// Writes a file that the user asked for.
///
/// # Errors
/// It can't be written.
pub fn write(path: &Path, text: &str) -> Result<(), Stop> {
    std::fs::write(path, text).map_err(|error| {
        Stop::error(Report::error(format!("{} could not be written", path.display())).cause(error))
    })
}
