//! `sandbox serve|env|reset`, and joining the sandbox with `--sandbox`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::{self, Disk};
use crate::model::error::{Exit, Report, Stop};
use crate::model::project::Project;
use crate::sandbox::{self, Options, Preset};

use super::session::{Globals, project_dir};
use super::ui::Ui;

/// What `sandbox serve` is told.
#[derive(Clone, Debug)]
pub struct ServeCommand {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where the world is kept; None: `.boxctl/sandbox` of the project.
    pub dir: Option<PathBuf>,
    /// How long each answer takes, in milliseconds.
    pub latency_ms: u64,
    /// How long containers take to be ready, in milliseconds.
    pub ready_after_ms: u64,
    /// Faults to play.
    pub faults: Option<PathBuf>,
    /// Where requests are logged.
    pub log: Option<PathBuf>,
    /// Answer in normal forms that no table knows.
    pub mangle: Option<u64>,
    /// Doubts of the references that go the other way.
    pub quirks: sandbox::Quirks,
    /// How many requests the Cloudflare API takes in which time.
    pub budget: sandbox::Budget,
    /// How many requests SSM takes in which time.
    pub throughput: sandbox::Throughput,
    /// Plans of zones.
    pub plans: Vec<sandbox::ZonePlan>,
    /// Check the signatures of AWS requests.
    pub signatures: bool,
    /// Journals that must announce each mutating call.
    pub journals: Vec<PathBuf>,
}

/// The environment that a sandbox is used with.
pub type Environment = Vec<(String, String)>;

fn stopped(error: &sandbox::SandboxError) -> Stop {
    let mut report = Report::error("the sandbox could not be used").cause(error);
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        report = report.cause(inner);
        source = inner.source();
    }
    Stop::error(report)
}

/// What a sandbox presumes, from the project at hand; without one, an example account.
fn preset(project: Option<&Project>) -> Preset {
    let cloudflare = project.and_then(|project| project.cloudflare.as_ref());
    let account = cloudflare.map(|settings| settings.account_id.clone());
    let connector = project.and_then(|project| project.connector.as_ref());
    let mut stores = vec!["parameterstore".to_owned()];
    stores.extend(connector.map(|connector| connector.secret_store_name.clone()));
    stores.dedup();
    Preset {
        account_id: account
            .filter(|account| !account.is_empty())
            .unwrap_or_else(|| "0123456789abcdef0123456789abcdef".to_owned()),
        zones: cloudflare.map_or_else(Vec::new, |settings| settings.zones.clone()),
        region: project
            .and_then(|project| project.aws_region.clone())
            .unwrap_or_else(|| "ap-northeast-1".to_owned()),
        context: project
            .and_then(|project| project.kubernetes_context.clone())
            .or_else(|| project.map(|project| project.name.clone()))
            .unwrap_or_else(|| "sandbox".to_owned()),
        secret_stores: stores,
        plans: Vec::new(),
    }
}

/// The sandbox's directory of a project.
pub fn dir_of(project: &Path) -> PathBuf {
    project.join(".boxctl").join("sandbox")
}

/// Uses the sandbox that is served for this project, or serves it in this process.
///
/// # Errors
/// It does not start.
pub async fn join(
    dir: &Path,
    project: &Project,
) -> Result<(Environment, Option<sandbox::Running>), Stop> {
    let place = dir_of(dir);
    if let Some(environment) =
        sandbox::running_environment(&place).map_err(|error| stopped(&error))?
    {
        return Ok((environment, None));
    }
    let running = sandbox::start(Options {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        dir: place,
        latency: Duration::ZERO,
        ready_after: Duration::ZERO,
        faults: None,
        log: None,
        mangle: None,
        quirks: sandbox::Quirks::default(),
        budget: sandbox::Budget::default(),
        throughput: sandbox::Throughput::default(),
        signatures: false,
        journals: Vec::new(),
        preset: preset(Some(project)),
        upstream_ssm: std::env::var("AWS_ENDPOINT_URL").ok().filter(|url| !url.is_empty()),
    })
    .await
    .map_err(|error| stopped(&error))?;
    Ok((running.environment(), Some(running)))
}

fn place(globals: &Globals, said: Option<&PathBuf>) -> Result<(PathBuf, Option<Project>), Stop> {
    let project = match project_dir(globals) {
        Ok(dir) => {
            let project = config::load_project(&dir, &Disk)
                .map_err(|reports| Stop { exit: Exit::Error, reports })?;
            Some((dir, project))
        }
        Err(stop) if said.is_none() => return Err(stop),
        Err(_) => None,
    };
    let dir = match (said, &project) {
        (Some(said), _) => said.clone(),
        (None, Some((dir, _))) => dir_of(dir),
        (None, None) => PathBuf::from(".boxctl/sandbox"),
    };
    Ok((dir, project.map(|(_, project)| project)))
}

/// The lines that a shell takes.
fn exports(environment: &Environment) -> String {
    let quoted = |value: &str| format!("'{}'", value.replace('\'', "'\\''"));
    let lines =
        environment.iter().map(|(name, value)| format!("export {name}={}\n", quoted(value)));
    lines.collect()
}

/// Runs `sandbox serve`: prints its environment as soon as it answers, and runs until it is ended.
///
/// # Errors
/// It does not start.
pub async fn serve(globals: &Globals, command: &ServeCommand, ui: &Ui) -> Result<Exit, Stop> {
    let (dir, project) = place(globals, command.dir.as_ref())?;
    let running = sandbox::start(Options {
        listen: command.listen,
        dir,
        latency: Duration::from_millis(command.latency_ms),
        ready_after: Duration::from_millis(command.ready_after_ms),
        faults: command.faults.clone(),
        log: command.log.clone(),
        mangle: command.mangle,
        quirks: command.quirks.clone(),
        budget: command.budget,
        throughput: command.throughput,
        signatures: command.signatures,
        journals: command.journals.clone(),
        preset: Preset { plans: command.plans.clone(), ..preset(project.as_ref()) },
        upstream_ssm: std::env::var("AWS_ENDPOINT_URL").ok().filter(|url| !url.is_empty()),
    })
    .await
    .map_err(|error| stopped(&error))?;
    ui.print(&exports(&running.environment()));
    ui.note(&format!("The sandbox answers on {}. Ctrl-C ends it.", running.address()));
    super::signals::Signals::listen().next().await;
    running.stop().await;
    Ok(Exit::Done)
}

/// Runs `sandbox env`.
///
/// # Errors
/// None is served.
pub fn env(globals: &Globals, dir: Option<&PathBuf>, ui: &Ui) -> Result<Exit, Stop> {
    let (dir, _) = place(globals, dir)?;
    match sandbox::running_environment(&dir).map_err(|error| stopped(&error))? {
        Some(environment) => {
            ui.print(&exports(&environment));
            Ok(Exit::Done)
        }
        None => Err(Stop::error(
            Report::error(format!("no sandbox is served from {}", dir.display()))
                .hint("`boxctl sandbox serve` serves one"),
        )),
    }
}

/// Runs `sandbox reset`: empties the sandbox and the states made against it.
///
/// # Errors
/// It is being served.
pub fn reset(globals: &Globals, dir: Option<&PathBuf>, ui: &Ui) -> Result<Exit, Stop> {
    let (place, _) = place(globals, dir)?;
    sandbox::reset(&place).map_err(|error| stopped(&error))?;
    if let Ok(project) = project_dir(globals)
        && dir.is_none()
    {
        let states = project.join(".boxctl").join("sandbox-state");
        if let Err(error) = std::fs::remove_dir_all(&states)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            let text = format!("{} could not be emptied", states.display());
            return Err(Stop::error(Report::error(text).cause(error)));
        }
    }
    ui.print("The sandbox is empty.");
    Ok(Exit::Done)
}
