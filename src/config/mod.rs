//! What users write: project, stacks and manifests, from text to resources.

mod accept;
mod acknowledged;
mod check;
mod cluster_kinds;
mod command;
mod connector;
mod documents;
mod edit;
mod files;
mod hostname;
mod init;
mod keeping;
mod lookup;
mod manifest;
#[cfg(test)]
mod manifest_tests;
mod moving;
mod notify;
mod object;
mod print;
mod project;
mod reference;
#[cfg(test)]
mod refused_tests;
mod rendered;
mod scalar;
mod schemas;
mod service;
mod settings;
mod shape;
mod source;
mod spans;
mod stack;
#[cfg(test)]
mod tests;
mod variables;
mod wanted;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

pub use accept::{Edited, accept};
pub use acknowledged::{
    FILE as DRIFT_FILE, edit_acknowledged, ends, load_acknowledged, read_acknowledged,
};
pub use command::{Command, CommandError, CommandOutput, end_running};
pub use files::{Disk, Files, find_project};
pub use init::init_files;
pub use print::expanded_yaml;
pub use rendered::{Rendered, rendered, rendered_of};

use crate::kinds::cloudflare_object::literal_secrets;
use crate::kinds::ssm_parameter::literal_secret;
use crate::model::Json;
use crate::model::address::Address;
use crate::model::error::{Level, Report};
use crate::model::kind::Kind;
use crate::model::project::{Keeping, Project};
use crate::model::resource::{Resource, Stack, VariableValue};
use crate::model::scope::Scope;
use crate::model::secret::{Secret, SecretId, Secrets};
use crate::model::value::Special;
use project::ProjectFile;
use shape::Fault;
use source::{Diagnostics, Mark, suggestion};
use stack::{Drafts, Parsed};
use variables::Sources;

/// The kinds that a load knows.
type Kinds = [&'static dyn Kind];

/// What becomes of commands that print manifests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Commands {
    /// They are run.
    #[default]
    Run,
    /// They are not run; a note says so, and what they print is not known.
    Skip,
}

/// What a load is given beside the files of the project.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// `--var NAME=VALUE`, in order.
    pub vars: Vec<(String, String)>,
    /// `--var-file FILE`, in order; the last that has a name wins.
    pub var_files: Vec<PathBuf>,
    /// The environment, or at least its `BOXCTL_VAR_*`.
    pub environment: BTreeMap<String, String>,
    /// What becomes of commands.
    pub commands: Commands,
    /// The stacks asked for; none for all. All files are read, for the rules across stacks.
    pub stacks: Vec<String>,
    /// Stacks that have a state: asking for one is no mistake where its file is gone.
    pub recorded: Vec<String>,
    /// Values of an earlier run, by stack and name. Those that were given for that run only stand
    /// for what is not given now, before `values` and `default`; all of them where nothing else does.
    /// A sensitive one has no value here, only the place of one.
    pub earlier: BTreeMap<String, BTreeMap<String, VariableValue>>,
}

/// The workload that runs the connector of a tunnel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectorWorkload {
    /// The stack.
    pub stack: String,
    /// The tunnel.
    pub tunnel: Address,
    /// The workload.
    pub workload: Address,
}

/// A project as it was loaded.
#[derive(Debug)]
pub struct Loaded {
    /// The project.
    pub project: Project,
    /// The stacks that were asked for, expanded.
    pub stacks: Vec<Stack>,
    /// Values of sensitive variables, of Secrets' data and of parameters written in files.
    pub secrets: Secrets,
    /// Warnings and notes.
    pub reports: Vec<Report>,
    /// The accounts as far as the files know them: zones by name.
    pub scope: Scope,
    /// Which workload runs which tunnel's connector, where services say so.
    pub connectors: Vec<ConnectorWorkload>,
    /// Kubernetes objects that services stand for, with their stack.
    pub generated: BTreeSet<(String, Address)>,
    /// The names of all stacks that have a file, also of those not asked for.
    pub all_stacks: Vec<String>,
    /// Earlier names of all stacks that have a file.
    pub earlier_names: Vec<String>,
}

/// What every part of a load needs.
struct Context<'a> {
    dir: &'a Path,
    files: &'a dyn Files,
    kinds: &'a Kinds,
    /// The kinds' schemas by name: they are the same for all resources of a kind.
    schemas: BTreeMap<&'static str, Json>,
    project: &'a ProjectFile,
    scope: Scope,
}

impl Context<'_> {
    fn kind(&self, name: &str) -> Option<&'static dyn Kind> {
        self.kinds.iter().copied().find(|kind| kind.name() == name)
    }

    fn schema(&self, name: &str) -> Option<&Json> {
        self.schemas.get(name)
    }
}

/// Loads the project in `dir`.
///
/// # Errors
/// Everything that is wrong with the files, sorted by place.
pub fn load(dir: &Path, files: &dyn Files, inputs: &Inputs) -> Result<Loaded, Vec<Report>> {
    load_with(dir, files, inputs, crate::kinds::KINDS)
}

/// Loads `boxctl.yaml` alone.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load_project(dir: &Path, files: &dyn Files) -> Result<Project, Vec<Report>> {
    let mut diagnostics = Diagnostics::default();
    let file = project::load(dir, files, &mut diagnostics);
    let failed = diagnostics.failed_since(0);
    match file {
        Some(file) if !failed => Ok(file.project),
        _ => Err(diagnostics.finish()),
    }
}

/// What `state:` of a project's file would say with this text.
///
/// # Errors
/// Every mistake in it.
pub fn read_keeping(text: &str, project: &Project) -> Result<Keeping, Vec<Report>> {
    let around = keeping::Around {
        project: &project.name,
        region: project.aws_region.as_deref(),
        context: project.kubernetes_context.as_deref(),
    };
    keeping::read(text, around)
}

/// The JSON Schemas of `boxctl.yaml` (`project`), of stack files (`stack`) and of `drift.yaml`
/// (`drift`).
pub fn schema() -> Json {
    serde_json::json!({
        "project": project::schema(),
        "stack": schemas::stack(crate::kinds::KINDS),
        "drift": acknowledged::schema(),
    })
}

/// As [`load`], with a table of kinds.
fn load_with(
    dir: &Path,
    files: &dyn Files,
    inputs: &Inputs,
    kinds: &Kinds,
) -> Result<Loaded, Vec<Report>> {
    let mut diagnostics = Diagnostics::default();
    let Some(project) = project::load(dir, files, &mut diagnostics) else {
        return Err(diagnostics.finish());
    };
    let scope = project.scope();
    let schemas = kinds.iter().map(|kind| (kind.name(), kind.schema().to_value())).collect();
    let context = Context { dir, files, kinds, schemas, project: &project, scope };
    let mut secrets = Secrets::new();
    let all = stack_files(&context, inputs, &mut secrets, &mut diagnostics);
    if diagnostics.failed_since(0) {
        return Err(diagnostics.finish());
    }
    let asked = |name: &str| inputs.stacks.is_empty() || inputs.stacks.iter().any(|s| s == name);
    let earlier_names = all.iter().filter_map(|drafts| drafts.renamed_from.clone()).collect();
    let all_stacks = all.iter().map(|drafts| drafts.name.clone()).collect();
    let mut stacks = Vec::new();
    let mut connectors = Vec::new();
    let mut generated = BTreeSet::new();
    for drafts in all.into_iter().filter(|drafts| asked(&drafts.name)) {
        connectors.extend(drafts.workloads.iter().map(|(service, workload)| ConnectorWorkload {
            stack: drafts.name.clone(),
            tunnel: Address::new("tunnel", service),
            workload: workload.address.clone(),
        }));
        let of_stack = drafts.generated.iter().map(|a| (drafts.name.clone(), a.clone()));
        generated.extend(of_stack);
        stacks.push(finished(drafts, &mut secrets, &mut diagnostics));
    }
    let scope = context.scope;
    let reports = diagnostics.finish();
    let project = project.project;
    Ok(Loaded {
        project,
        stacks,
        secrets,
        reports,
        scope,
        connectors,
        generated,
        all_stacks,
        earlier_names,
    })
}

/// Reads, expands and checks every stack file.
fn stack_files(
    context: &Context<'_>,
    inputs: &Inputs,
    secrets: &mut Secrets,
    diagnostics: &mut Diagnostics,
) -> Vec<Drafts> {
    let asked = |name: &str| inputs.stacks.is_empty() || inputs.stacks.iter().any(|s| s == name);
    let mut parsed: Vec<Parsed> = Vec::new();
    for path in stack_paths(context, diagnostics) {
        let before = diagnostics.count();
        let file = stack::parse(&path, context, diagnostics);
        if !asked(&file.name) {
            leave_out(&file.name, before, diagnostics);
        }
        parsed.push(file);
    }
    check_stacks(&parsed, context, inputs, diagnostics);
    let names = |asked_only: bool| -> BTreeSet<String> {
        parsed
            .iter()
            .filter(|parsed| !asked_only || asked(&parsed.name))
            .flat_map(|parsed| parsed.declared.keys().cloned())
            .collect()
    };
    let broken = parsed.iter().any(|parsed| parsed.node.is_none());
    let file_values = var_files(context, inputs, diagnostics);
    // A stack that could not be read may declare what seems unknown.
    if !broken {
        variables::check_names(inputs, &file_values, &names(true), &names(false), diagnostics);
        let declared = parsed
            .iter()
            .map(|parsed| (parsed.name.clone(), parsed.declared.keys().cloned().collect()))
            .collect();
        context.project.check_values(&declared, diagnostics);
    }
    let sources = Sources {
        inputs,
        files: &file_values,
        project: context.project,
        ambiguous: &ambiguous(&parsed),
    };
    let mut all = Vec::new();
    for file in &parsed {
        let before = diagnostics.count();
        let wanted = asked(&file.name);
        let commands = if wanted { inputs.commands } else { Commands::Skip };
        let drafts = stack::expand(file, context, &sources, commands, secrets, diagnostics);
        if let Some(mut drafts) = drafts {
            check::stack(&mut drafts, context, diagnostics);
            diagnostics.accept_since(before, &drafts.accept);
            all.push(drafts);
        }
        if !wanted {
            leave_out(&file.name, before, diagnostics);
        }
    }
    let shown: Vec<&Drafts> = all.iter().collect();
    let before = diagnostics.count();
    check::across(&shown, context, diagnostics);
    if !inputs.stacks.is_empty() {
        let files: BTreeSet<&str> =
            all.iter().filter(|drafts| asked(&drafts.name)).map(|d| d.file.as_str()).collect();
        diagnostics.keep_about_since(before, &files);
    }
    all
}

/// Drops what was said about a stack that nobody asked for, but for the fact that something was.
fn leave_out(stack: &str, before: usize, diagnostics: &mut Diagnostics) {
    let failed = diagnostics.failed_since(before);
    diagnostics.forget_since(before);
    if failed {
        let report = Report::warning(
            "stack-not-compared",
            format!("the stack `{stack}` has errors, and was not compared with this one"),
        )
        .hint(format!("`boxctl validate {stack}` shows them"));
        diagnostics.push(None, report);
    }
}

/// The files that the project's patterns stand for, each once.
fn stack_paths(context: &Context<'_>, diagnostics: &mut Diagnostics) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for (i, pattern) in context.project.project.stacks.iter().enumerate() {
        let mark = shape::place(&context.project.marks, &format!("stacks[{i}]"));
        match files::matching(context.dir, pattern, context.files) {
            Ok(found) => {
                if found.is_empty() {
                    let message = format!("`{pattern}` fits no file");
                    diagnostics.push(mark, Report::warning("no-stacks", message));
                }
                for path in found {
                    if !paths.contains(&path) {
                        paths.push(path);
                    }
                }
            }
            Err(error) => {
                let report = Report::error(format!("`{pattern}` could not be followed"));
                diagnostics.push(mark, report.cause(error));
            }
        }
    }
    paths
}

/// Names of stacks: each once, those asked for and retired.
fn check_stacks(
    parsed: &[Parsed],
    context: &Context<'_>,
    inputs: &Inputs,
    diagnostics: &mut Diagnostics,
) {
    let mut seen: BTreeMap<&str, &Parsed> = BTreeMap::new();
    for file in parsed {
        if let Some(first) = seen.insert(&file.name, file) {
            let message = format!("there are two stacks `{}`", file.name);
            let hint = format!("the other is {}", first.file);
            diagnostics.error_hint(file.mark, message, Some(hint));
        }
    }
    let retired = &context.project.project.retired;
    for name in inputs.stacks.iter().filter(|name| !seen.contains_key(name.as_str())) {
        if retired.contains(name) || inputs.recorded.contains(name) {
            continue;
        }
        let mut report = Report::error(format!("there is no stack `{name}`"));
        report.hints.extend(suggestion(name, seen.keys().copied()));
        diagnostics.push(None, report);
    }
    for (i, name) in retired.iter().enumerate() {
        if let Some(file) = seen.get(name.as_str()) {
            let mark = shape::place(&context.project.marks, &format!("retired[{i}]"));
            let report = Report::error(format!("the stack `{name}` is retired and has a file"))
                .hint(format!("remove {}, or the name here", file.file));
            diagnostics.push(mark, report);
        }
    }
}

/// Names of sensitive variables that more than one stack has.
fn ambiguous(parsed: &[Parsed]) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let sensitive = parsed.iter().flat_map(|parsed| &parsed.declared).filter(|(_, d)| d.sensitive);
    sensitive.filter(|(name, _)| !seen.insert((*name).clone())).map(|(n, _)| n.clone()).collect()
}

fn var_files(
    context: &Context<'_>,
    inputs: &Inputs,
    diagnostics: &mut Diagnostics,
) -> variables::FileValues {
    let mut values = variables::FileValues::new();
    for path in &inputs.var_files {
        match context.files.read(path) {
            Ok(text) => {
                let source = diagnostics.add(&source::shown_path(context.dir, path), &text);
                diagnostics.mask_all(source);
                if let Some(nodes) = yaml::parse(&text, source, diagnostics) {
                    values.extend(variables::file_values(&nodes, diagnostics));
                }
            }
            Err(error) => {
                let message = format!("the variable file {} could not be read", path.display());
                diagnostics.push(None, Report::error(message).cause(error));
            }
        }
    }
    values
}

/// A stack as the rest of the program takes it.
fn finished(drafts: Drafts, secrets: &mut Secrets, diagnostics: &mut Diagnostics) -> Stack {
    let before = diagnostics.count();
    let resources = drafts
        .resources
        .into_iter()
        .map(|draft| {
            let location = diagnostics.location(draft.mark);
            let mut spec = draft.spec;
            if draft.address.kind() == "ssm_parameter"
                && let Some(text) = literal_secret(&spec).map(str::to_owned)
            {
                let mark = shape::place(&draft.marks, "value").unwrap_or(draft.mark);
                let id = SecretId::output(&draft.address, "value");
                let hint = "take it from a sensitive variable, or write `value: {by_hand: true}`";
                hide(&mut spec, "value", (id, text), (mark, hint), secrets, diagnostics);
            }
            if draft.address.kind() == "cloudflare_object" {
                for (output, at, text) in literal_secrets(&spec) {
                    let mark = shape::place(&draft.marks, &at).unwrap_or(draft.mark);
                    let id = SecretId::output(&draft.address, &output);
                    let hint = "take it from a sensitive variable";
                    hide(&mut spec, &at, (id, text), (mark, hint), secrets, diagnostics);
                }
            }
            Resource { address: draft.address, spec, meta: draft.meta, location }
        })
        .collect();
    diagnostics.accept_since(before, &drafts.accept);
    Stack {
        name: drafts.name,
        renamed_from: drafts.renamed_from,
        file: drafts.file,
        resources,
        lookups: drafts.lookups,
        forget: drafts.forget.into_iter().map(|(text, _)| text).collect(),
        variables: drafts.variables.recorded(),
        accept: drafts.accept,
        public: drafts.public,
        partial: drafts.partial,
        protect_settings: drafts
            .settings
            .iter()
            .filter_map(|s| Some((s.glob.as_str().to_owned(), s.file.protect?)))
            .collect(),
        timeout_settings: drafts
            .settings
            .iter()
            .filter_map(|s| Some((s.glob.as_str().to_owned(), s.file.timeout_s()?)))
            .collect(),
        ignore_settings: drafts
            .settings
            .iter()
            .filter_map(|s| Some((s.glob.as_str().to_owned(), s.file.ignore.clone()?)))
            .collect(),
    }
}

/// Takes a secret that stands in a file out of the spec.
fn hide(
    spec: &mut Json,
    at: &str,
    (id, text): (SecretId, String),
    (mark, hint): (Mark, &str),
    secrets: &mut Secrets,
    diagnostics: &mut Diagnostics,
) {
    let report =
        Report::warning("secret-in-file", "a secret value stands in a file of the project")
            .hint(hint);
    let about = id.as_output().map(|(address, _)| address);
    secrets.insert(id.clone(), Secret::new(text));
    crate::model::path::put(spec, at, Special::secret(id, None));
    diagnostics.mask_document(mark.source, mark.line, mark.line);
    let report = about.iter().fold(report, Report::about);
    diagnostics.push(Some(mark), report);
}

/// Reports the faults of a check.
fn tell(faults: Vec<Fault>, diagnostics: &mut Diagnostics) {
    for fault in faults {
        diagnostics.error_hint(fault.mark, fault.message, fault.hint);
    }
}

/// Reports the faults of a resource's spec; what is missing from the whole is told at its address.
fn tell_about(
    faults: Vec<Fault>,
    address: &Address,
    at: Mark,
    whole: Mark,
    diagnostics: &mut Diagnostics,
) {
    for fault in faults {
        let mark = if fault.mark == whole { at } else { fault.mark };
        let report = Report { level: Level::Error, ..Report::error(fault.message) }.about(address);
        diagnostics.push(Some(mark), fault.hint.into_iter().fold(report, Report::hint));
    }
}
