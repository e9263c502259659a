//! A project with its states and its way to the APIs, for one command.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::RwLock;
use std::time::Duration;

use crate::config::{self, Commands, Disk, Inputs, Loaded};
use crate::engine::rollback;
use crate::model::error::{Exit, Report, Stop};
use crate::model::project::Project;
use crate::model::resource::{Stack, VariableValue};
use crate::model::scope::Scope;
use crate::model::secret::Secrets;
use crate::model::state::State;
use crate::run::pipeline::{Origin, Subject};
use crate::sandbox;
use crate::store::{self, Lock, LockError, LockInfo, Store, StoreError};

use super::connect::Overrides;
use super::keeping;
use super::ui::Ui;

/// What every command is given.
#[derive(Clone, Debug, Default)]
pub struct Globals {
    /// The project's directory, if it was said.
    pub project: Option<PathBuf>,
    /// `--var NAME=VALUE`.
    pub vars: Vec<(String, String)>,
    /// `--var-file FILE`.
    pub var_files: Vec<PathBuf>,
    /// How long to wait for a lock.
    pub lock_timeout: Duration,
    /// Whether to run against the embedded sandbox.
    pub sandbox: bool,
    /// The command and its stacks, as a lock tells others.
    pub doing: String,
}

/// A project in use.
pub struct Session {
    /// The project's directory.
    pub dir: PathBuf,
    /// What it says.
    pub project: Project,
    /// Its states.
    pub store: Store,
    /// What takes the place of the environment's endpoints and credentials.
    pub overrides: Overrides,
    /// What every command is given.
    pub globals: Globals,
    /// The sandbox that this process serves, if it does.
    embedded: Option<sandbox::Running>,
}

/// Values of variables in an earlier run, by stack and name.
pub type Earlier = BTreeMap<String, BTreeMap<String, VariableValue>>;

/// The stacks of a run, with what stands beside them.
pub struct Gathered {
    /// Stacks with a file, or retired.
    pub subjects: Vec<Subject>,
    /// States whose file is gone and that are not retired, whatever stacks were asked for.
    pub orphans: Vec<String>,
    /// Values of sensitive variables and of Secrets.
    pub secrets: RwLock<Secrets>,
    /// Warnings and notes of loading.
    pub reports: Vec<Report>,
}

impl Gathered {
    /// The names of the states that a run writes, under their earlier names too.
    pub fn states(&self) -> Vec<String> {
        let stacks = self.subjects.iter().map(|subject| &subject.stack);
        stacks.flat_map(|s| std::iter::once(&s.name).chain(&s.renamed_from)).cloned().collect()
    }

    /// The secrets, taken out.
    pub fn secrets_taken(&self) -> Secrets {
        std::mem::take(&mut *crate::run::write(&self.secrets))
    }
}

/// The project's directory, as said or found.
///
/// # Errors
/// There is none.
pub fn project_dir(globals: &Globals) -> Result<PathBuf, Stop> {
    if let Some(dir) = &globals.project {
        let dir = if dir.is_file() { dir.parent().map(Path::to_path_buf) } else { None }
            .unwrap_or_else(|| dir.clone());
        return Ok(dir);
    }
    let here = std::env::current_dir().map_err(|error| {
        Stop::error(Report::error("the working directory is gone").cause(error))
    })?;
    config::find_project(&here).ok_or_else(|| {
        Stop::error(
            Report::error("there is no boxctl.yaml here or above")
                .hint("`boxctl init` makes a project, `--project DIR` names one"),
        )
    })
}

fn failed(reports: Vec<Report>) -> Stop {
    Stop { exit: Exit::Error, reports }
}

/// A store's error as the end of a command.
pub fn store_stop(error: &StoreError) -> Stop {
    let exit = match error {
        StoreError::Moved { .. } | StoreError::Replaced { .. } => Exit::Locked,
        StoreError::Elsewhere { .. } | StoreError::Both { .. } => Exit::Refused,
        _ => Exit::Error,
    };
    Stop { exit, reports: vec![error.report()] }
}

/// A lock that was not taken, as the end of a command.
pub fn lock_stop(error: LockError) -> Stop {
    match error {
        LockError::Held(held) => {
            Stop {
                exit: Exit::Locked,
                reports: vec![Report::error(held.to_string()).code("locked").hint(
                    "wait for it, or give `--lock-timeout 5m`; the lock ends with its process",
                )],
            }
        }
        LockError::Failed(error) => store_stop(&error),
    }
}

impl Session {
    /// Opens the project; serves or joins the sandbox if that is wanted.
    ///
    /// # Errors
    /// No project, mistakes in its file, or a sandbox that does not start.
    pub async fn open(globals: Globals) -> Result<Session, Stop> {
        let dir = project_dir(&globals)?;
        let project = config::load_project(&dir, &Disk).map_err(failed)?;
        let mut overrides = Overrides::default();
        let mut embedded = None;
        if globals.sandbox {
            let (environment, running) = super::sandbox::join(&dir, &project).await?;
            overrides = Some(environment);
            embedded = running;
        }
        let store = keeping::of(&dir, &project, globals.sandbox)?;
        Ok(Session { dir, project, store, overrides, globals, embedded })
    }

    /// Opens the project for commands that ask no API.
    ///
    /// # Errors
    /// No project, or mistakes in its file.
    pub fn offline(globals: Globals) -> Result<Session, Stop> {
        let dir = project_dir(&globals)?;
        let project = config::load_project(&dir, &Disk).map_err(failed)?;
        let store = keeping::of(&dir, &project, globals.sandbox)?;
        Ok(Session {
            dir,
            project,
            store,
            overrides: Overrides::default(),
            globals,
            embedded: None,
        })
    }

    /// Ends what this process serves.
    pub async fn close(self) {
        if let Some(running) = self.embedded {
            running.stop().await;
        }
    }

    /// Loads the files.
    ///
    /// # Errors
    /// Every mistake in them.
    pub fn load(
        &self,
        names: &[String],
        commands: Commands,
        earlier: Earlier,
    ) -> Result<Loaded, Stop> {
        let inputs = self.inputs(names, commands, earlier)?;
        config::load(&self.dir, &Disk, &inputs).map_err(failed)
    }

    /// What a load of these stacks is given beside the files.
    ///
    /// # Errors
    /// The states can't be listed.
    pub fn inputs(
        &self,
        names: &[String],
        commands: Commands,
        earlier: Earlier,
    ) -> Result<Inputs, Stop> {
        let mut inputs = inputs(&self.globals, commands);
        inputs.stacks = names.to_vec();
        inputs.recorded = self.store.list().map_err(|error| store_stop(&error))?;
        inputs.earlier = earlier;
        Ok(inputs)
    }

    /// The values that variables had in the last apply of each stack.
    ///
    /// # Errors
    /// A state can't be read.
    pub fn recorded_variables(&self) -> Result<Earlier, Stop> {
        let names = self.store.list().map_err(|error| store_stop(&error))?;
        let mut earlier = Earlier::new();
        for name in names {
            if let Some(loaded) = self.store.load(&name).map_err(|error| store_stop(&error))? {
                earlier.insert(name, loaded.state.variables);
            }
        }
        Ok(earlier)
    }

    /// The stacks of the run: those named, or all.
    ///
    /// # Errors
    /// Mistakes in the files, a name that is no stack, a state that can't be read.
    pub fn gather(&self, names: &[String], commands: Commands) -> Result<Gathered, Stop> {
        self.gather_with(names, commands, Earlier::new())
    }

    /// As [`Session::gather`], with the values that variables had in the last apply where none are
    /// given: what is compared with the records is what was applied.
    ///
    /// # Errors
    /// As [`Session::gather`].
    pub fn gather_as_applied(&self, names: &[String]) -> Result<Gathered, Stop> {
        self.gather_with(names, Commands::Skip, self.recorded_variables()?)
    }

    fn gather_with(
        &self,
        names: &[String],
        commands: Commands,
        earlier: Earlier,
    ) -> Result<Gathered, Stop> {
        let loaded = self.load(names, commands, earlier)?;
        let recorded = self.store.list().map_err(|error| store_stop(&error))?;
        let renamed: BTreeSet<&String> = loaded.earlier_names.iter().collect();
        let files: BTreeSet<&String> = loaded.all_stacks.iter().collect();
        let gone: Vec<String> = recorded
            .iter()
            .filter(|name| !files.contains(name) && !renamed.contains(name))
            .cloned()
            .collect();
        let known: BTreeSet<&str> =
            files.iter().map(|name| name.as_str()).chain(gone.iter().map(String::as_str)).collect();
        if let Some(unknown) = names.iter().find(|name| !known.contains(name.as_str())) {
            return Err(Stop::error(unknown_stack(unknown, &known)));
        }
        let wanted = |name: &str| names.is_empty() || names.iter().any(|n| n == name);
        let mut subjects = Vec::new();
        let mut orphans = Vec::new();
        for stack in loaded.stacks.iter().filter(|stack| wanted(&stack.name)) {
            subjects.push(self.subject(stack.clone(), false)?);
        }
        let reports = loaded.reports;
        for name in gone {
            let retired = self.project.retired.contains(&name);
            let subject =
                self.subject(Stack { name: name.clone(), ..Stack::default() }, retired)?;
            let empty = subject.state.as_ref().is_none_or(|state| state.resources.is_empty());
            if empty && !retired {
                continue;
            }
            if !retired {
                orphans.push(name.clone());
            }
            // A state without its file is read only where it is asked for by name.
            if retired && wanted(&name) || names.contains(&name) {
                subjects.push(subject);
            }
        }
        Ok(Gathered { subjects, orphans, secrets: RwLock::new(loaded.secrets), reports })
    }

    /// Calls of a run that is under way are none that were lost: names who holds each state.
    pub fn leave_to_holders(&self, subjects: &mut [Subject]) -> Vec<(String, String)> {
        let mut held = Vec::new();
        for subject in subjects {
            if let Ok(Some(holder)) = self.store.holder(&subject.stack.name) {
                subject.lost.clear();
                held.push((subject.stack.name.clone(), holder));
            }
        }
        held
    }

    /// Stacks of which only the states are left, or wanted.
    ///
    /// # Errors
    /// A state can't be read.
    pub fn states_alone(&self, names: &[String]) -> Result<Gathered, Stop> {
        let stack = |name: &String| Stack { name: name.clone(), ..Stack::default() };
        let subjects = names.iter().map(|name| self.subject(stack(name), false));
        Ok(Gathered {
            subjects: subjects.collect::<Result<_, Stop>>()?,
            orphans: Vec::new(),
            secrets: RwLock::new(Secrets::new()),
            reports: Vec::new(),
        })
    }

    /// A stack with its state.
    ///
    /// # Errors
    /// The state can't be read.
    pub fn subject(&self, stack: Stack, retired: bool) -> Result<Subject, Stop> {
        let mut loaded = self.store.load(&stack.name).map_err(|error| store_stop(&error))?;
        if let Some(old) = &stack.renamed_from
            && let Some(earlier) = self.earlier(old, &stack.name, loaded.as_ref())?
        {
            loaded = Some(earlier);
        }
        let mut lost = Vec::new();
        let state = loaded.map(|loaded| {
            let mut state = loaded.state;
            state.stack.clone_from(&stack.name);
            lost = loaded.open;
            state
        });
        let lineage =
            state.as_ref().map_or_else(|| uuid::Uuid::new_v4().to_string(), |s| s.lineage.clone());
        let files = rollback::asks(&stack);
        let fellows = self.fellows(&stack, state.as_ref())?;
        Ok(Subject { stack, state, lineage, retired, lost, files, origin: Origin::Files, fellows })
    }

    /// The state that a stack has under an earlier name, while no run has begun under its own: a
    /// rename that was cut short may have left a copy there.
    fn earlier(
        &self,
        old: &str,
        name: &str,
        loaded: Option<&store::Loaded>,
    ) -> Result<Option<store::Loaded>, Stop> {
        if loaded.is_some() && self.store.has_begun(name).map_err(|error| store_stop(&error))? {
            return Ok(None);
        }
        let earlier = self.store.load(old).map_err(|error| store_stop(&error))?;
        Ok(earlier.filter(|earlier| {
            loaded.is_none_or(|loaded| loaded.state.lineage == earlier.state.lineage)
        }))
    }

    /// Hostnames that other stacks have in lists that this one shares, by their states.
    fn fellows(
        &self,
        stack: &Stack,
        state: Option<&State>,
    ) -> Result<BTreeMap<String, String>, Stop> {
        let mut fellows = BTreeMap::new();
        let declares = stack.resources.iter().any(|resource| !resource.meta.shared.is_empty());
        let shares = |state: &State| state.resources.values().any(|one| !one.shared.is_empty());
        if !declares && !state.is_some_and(shares) {
            return Ok(fellows);
        }
        for name in self.store.list().map_err(|error| store_stop(&error))? {
            if name == stack.name || stack.renamed_from.as_ref() == Some(&name) {
                continue;
            }
            let other = self.store.load(&name).map_err(|error| store_stop(&error))?;
            let resources = other.iter().flat_map(|other| other.state.resources.values());
            for one in resources.filter(|one| !one.shared.is_empty()) {
                let Some(kind) = crate::kinds::find(&one.kind) else { continue };
                let hostnames = kind.hostnames(&one.sent, &Scope::default());
                fellows.extend(hostnames.into_iter().map(|hostname| (hostname, name.clone())));
            }
        }
        Ok(fellows)
    }

    /// Locks the states of stacks; tells what it waits for.
    ///
    /// # Errors
    /// Another run holds one of them.
    pub fn lock(&self, ui: &Ui, stacks: &[String]) -> Result<Lock, Stop> {
        let now = jiff::Timestamp::now().to_string();
        let info = LockInfo::of_this_process(self.globals.doing.clone(), now);
        let names: Vec<&str> = stacks.iter().map(String::as_str).collect();
        let timeout = self.globals.lock_timeout;
        let locked = self.store.lock(&names, &info, timeout, &mut |text| ui.note(text));
        locked.map_err(lock_stop)
    }
}

/// Loads the files of a project.
///
/// # Errors
/// Every mistake in them.
pub fn load(dir: &Path, globals: &Globals, commands: Commands) -> Result<Loaded, Stop> {
    config::load(dir, &Disk, &inputs(globals, commands)).map_err(failed)
}

fn inputs(globals: &Globals, commands: Commands) -> Inputs {
    let environment: BTreeMap<String, String> =
        std::env::vars().filter(|(name, _)| name.starts_with("BOXCTL_VAR_")).collect();
    Inputs {
        vars: globals.vars.clone(),
        var_files: globals.var_files.clone(),
        environment,
        commands,
        ..Inputs::default()
    }
}

fn unknown_stack(name: &str, known: &BTreeSet<&str>) -> Report {
    let report = Report::error(format!("there is no stack {name}"));
    let near = known
        .iter()
        .map(|other| (strsim::damerau_levenshtein(name, other), other))
        .filter(|(distance, _)| *distance <= 3)
        .min();
    match near {
        Some((_, other)) => report.hint(format!("did you mean {other}?")),
        None if known.is_empty() => report.hint("the project has no stacks yet"),
        None => {
            let names: Vec<_> = known.iter().copied().collect();
            report.hint(format!("there are {}", names.join(", ")))
        }
    }
}
