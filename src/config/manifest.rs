//! The entries of `manifests`: files, directories and commands, to documents.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::command::{Command, CommandError};
use super::files::{Files, tidy};
use super::settings::AppliedBy;
use super::source::{Diagnostics, Mark, nearest, shown_path};
use super::variables::Variables;
use super::yaml::Node;
use super::{Commands, documents, reference, shape};
use crate::model::Json;
use crate::model::error::Report;
use crate::model::secret::Secrets;

/// One document, not yet read as an object.
pub(super) struct Document {
    /// What it holds.
    pub node: Node,
    /// The tool that applies it, where its entry says so.
    pub applied_by: Option<AppliedBy>,
    /// The namespace that its entry moves it to.
    pub moved: Option<Moved>,
}

/// Where an entry of `manifests` moves what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Moved {
    /// The namespace.
    pub namespace: String,
    /// Where that is said.
    pub mark: Mark,
}

/// What manifests are read with.
pub(super) struct Reader<'a> {
    /// The project's directory.
    pub dir: &'a Path,
    /// The directory of the stack's file.
    pub base: PathBuf,
    /// The disk.
    pub files: &'a dyn Files,
    /// The stack's variables.
    pub variables: &'a Variables,
    /// Whether commands are run.
    pub commands: Commands,
    /// How long one may take.
    pub limit: Duration,
    /// What may not be seen of what they say.
    pub secrets: &'a Secrets,
}

/// The JSON Schema of an entry of `manifests`.
pub(super) fn schema() -> Json {
    let common = |extra: &[(&str, Json)]| {
        let mut fields = serde_json::json!({
            "namespace": {"type": "string", "x-known": true, "description": "The namespace of a copy: every object is moved to it, and cluster-wide ones are left out."},
            "substitute": {"type": "boolean", "description": "Whether `${…}` in them is replaced."},
            "applied_by": {"type": "string", "enum": ["boxctl", "argocd"], "description": "The tool that applies them: what another one applies is only read and shown."}
        });
        if let Some(map) = fields.as_object_mut() {
            map.extend(extra.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())));
        }
        fields
    };
    serde_json::json!({
        "anyOf": [
            {"type": "string", "x-known": true, "description": "A file or directory, relative to this file."},
            {"type": "object", "additionalProperties": false, "required": ["path"], "properties": common(&[
                ("path", serde_json::json!({"type": "string", "x-known": true, "description": "A file or directory, relative to this file."})),
                ("optional", serde_json::json!({"type": "boolean", "description": "Whether it may be missing."}))])},
            {"type": "object", "additionalProperties": false, "required": ["command"], "properties": common(&[
                ("command", serde_json::json!({"type": "array", "items": {"type": "string", "x-known": true}, "description": "A command that prints manifests."})),
                ("dir", serde_json::json!({"type": "string", "x-known": true, "description": "Where it runs, relative to this file."}))])}
        ]
    })
}

impl Reader<'_> {
    /// The documents of an entry of `manifests`.
    pub fn documents(&self, entry: &Node, diagnostics: &mut Diagnostics) -> Vec<Document> {
        let checked = shape::check(entry, &schema());
        if !checked.faults.is_empty() {
            super::tell(checked.faults, diagnostics);
            return Vec::new();
        }
        let said = checked.value;
        let text = |key: &str| said.get(key).and_then(Json::as_str);
        let options = Options {
            moved: entry.get("namespace").and_then(|node| {
                Some(Moved { namespace: node.text()?.to_owned(), mark: node.mark })
            }),
            substitute: said.get("substitute").and_then(Json::as_bool).unwrap_or_default(),
            applied_by: match text("applied_by") {
                Some("argocd") => Some(AppliedBy::Argocd),
                Some(_) => Some(AppliedBy::Boxctl),
                None => None,
            },
        };
        if let Some(moved) = &options.moved
            && !is_namespace(&moved.namespace)
        {
            let message = format!("`{}` is no name of a namespace", moved.namespace);
            let hint = "lower-case letters, digits and `-`, at most 63 of them";
            diagnostics.error_hint(moved.mark, message, Some(hint));
            return Vec::new();
        }
        if let Some(command) = said.get("command").and_then(Json::as_array) {
            let argv: Vec<String> =
                command.iter().filter_map(Json::as_str).map(str::to_owned).collect();
            let dir = tidy(&self.base.join(text("dir").unwrap_or(".")));
            let mark = entry.get("command").map_or(entry.mark, |node| node.mark);
            return self.command(&argv, &dir, mark, &options, diagnostics);
        }
        let path = said.as_str().or_else(|| text("path")).unwrap_or_default();
        let mark = entry.get("path").map_or(entry.mark, |node| node.mark);
        let optional = said.get("optional").and_then(Json::as_bool).unwrap_or_default();
        let path = tidy(&self.base.join(path));
        if self.files.is_dir(&path) {
            return self.directory(&path, mark, &options, diagnostics);
        }
        match self.files.read(&path) {
            Ok(text) => self.text(&shown_path(self.dir, &path), &text, &options, diagnostics),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                if !optional {
                    self.missing(&path, mark, diagnostics);
                }
                Vec::new()
            }
            Err(error) => {
                let message = format!("{} could not be read", shown_path(self.dir, &path));
                diagnostics.push(Some(mark), Report::error(message).cause(error));
                Vec::new()
            }
        }
    }

    fn missing(&self, path: &Path, mark: Mark, diagnostics: &mut Diagnostics) {
        let message = format!("there is no manifest {}", shown_path(self.dir, path));
        let beside = path.parent().and_then(|dir| self.files.list(dir).ok()).unwrap_or_default();
        let names: Vec<String> = beside
            .iter()
            .filter_map(|path| path.file_name())
            .map(|name| name.to_string_lossy().into_owned())
            .collect();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let near = nearest(&name.unwrap_or_default(), names.iter().map(String::as_str));
        let hint = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => "`{path: …, optional: true}` lets it be missing".to_owned(),
        };
        diagnostics.error_hint(mark, message, Some(hint));
    }

    fn directory(
        &self,
        dir: &Path,
        mark: Mark,
        options: &Options,
        diagnostics: &mut Diagnostics,
    ) -> Vec<Document> {
        let mut paths = match self.files.list(dir) {
            Ok(paths) => paths,
            Err(error) => {
                let message = format!("{} could not be listed", shown_path(self.dir, dir));
                diagnostics.push(Some(mark), Report::error(message).cause(error));
                return Vec::new();
            }
        };
        paths.sort();
        let mut documents = Vec::new();
        let (mut found, mut deeper) = (false, false);
        for path in paths {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if self.files.is_dir(&path) {
                deeper = true;
                continue;
            }
            if matches!(name.as_str(), "kustomization.yaml" | "kustomization.yml" | "Kustomization")
            {
                let report = Report::warning(
                    "kustomization",
                    format!("{} is left out", shown_path(self.dir, &path)),
                )
                .hint("`{command: [kustomize, build, .], dir: …}` applies it");
                diagnostics.push(Some(mark), report);
                continue;
            }
            let manifest = [".yaml", ".yml", ".json"].iter().any(|end| name.ends_with(end));
            if !manifest || name.starts_with('.') {
                continue;
            }
            found = true;
            match self.files.read(&path) {
                Ok(text) => {
                    let shown = shown_path(self.dir, &path);
                    documents.extend(self.text(&shown, &text, options, diagnostics));
                }
                Err(error) => {
                    let message = format!("{} could not be read", shown_path(self.dir, &path));
                    diagnostics.push(Some(mark), Report::error(message).cause(error));
                }
            }
        }
        if !found {
            let message = format!("{} holds no manifest", shown_path(self.dir, dir));
            let report = Report::warning("no-manifests", message);
            let hint = deeper.then_some("directories in it are entries of their own");
            diagnostics.push(Some(mark), hint.into_iter().fold(report, Report::hint));
        }
        documents
    }

    fn command(
        &self,
        argv: &[String],
        dir: &Path,
        mark: Mark,
        options: &Options,
        diagnostics: &mut Diagnostics,
    ) -> Vec<Document> {
        let shown = format!("`{}`", shortened(&argv.join(" ")));
        if self.commands == Commands::Skip {
            let message = format!("{shown} was not run: what it prints is not looked at");
            diagnostics.push(Some(mark), Report::note(message).code("not-run"));
            return Vec::new();
        }
        match self.files.run(&Command { argv, dir, limit: self.limit }) {
            Ok(output) => {
                if !output.stderr.trim().is_empty() {
                    let report = Report::note(format!("{shown} has something to say"));
                    diagnostics.push(Some(mark), self.quoted(report, &output.stderr));
                }
                let documents = self.text(&shown, &output.stdout, options, diagnostics);
                if output.stdout.trim().is_empty() {
                    let message = format!("{shown} printed no manifest");
                    diagnostics.push(Some(mark), Report::warning("no-manifests", message));
                }
                documents
            }
            Err(error) => {
                diagnostics.push(Some(mark), self.failure(&shown, dir, &error));
                Vec::new()
            }
        }
    }

    /// Why a command gave no manifests, and what to do about it.
    fn failure(&self, shown: &str, dir: &Path, error: &CommandError) -> Report {
        let report = match error {
            CommandError::Failed { .. } => Report::error(format!("{shown} failed")),
            CommandError::TooSlow { .. } => Report::error(format!("{shown} took too long")),
            CommandError::TooMuch | CommandError::NotText { .. } => {
                Report::error(format!("{shown} printed no manifests"))
            }
            CommandError::Empty
            | CommandError::NoProgram(_)
            | CommandError::NoDirectory(_)
            | CommandError::Io(_) => Report::error(format!("{shown} could not be run")),
        };
        let report = report.cause(error);
        let at = shown_path(self.dir, dir);
        match error {
            CommandError::Failed { stderr, .. } => self
                .quoted(report, stderr)
                .hint(format!("it ran in {at}, without boxctl's credentials")),
            CommandError::TooSlow { stderr, .. } => self
                .quoted(report, stderr)
                .hint("`timing: {command: 5m}` in boxctl.yaml gives it more time"),
            CommandError::NoProgram(program) if program.contains('/') => {
                report.hint(format!("it is looked for from {at}"))
            }
            CommandError::NoProgram(program) => {
                report.hint(format!("install `{program}`, or put the directory it is in on PATH"))
            }
            CommandError::NoDirectory(_) => report.hint("`dir` is relative to the stack's file"),
            CommandError::Empty
            | CommandError::TooMuch
            | CommandError::NotText { .. }
            | CommandError::Io(_) => report.hint(format!("it runs in {at}")),
        }
    }

    /// A report with the last lines of what a command said.
    fn quoted(&self, report: Report, stderr: &str) -> Report {
        const LINES: usize = 20;
        let said = self.secrets.scrub(stderr);
        let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
        let skipped = lines.len().saturating_sub(LINES);
        lines.into_iter().skip(skipped).fold(report, Report::cause)
    }

    fn text(
        &self,
        name: &str,
        text: &str,
        options: &Options,
        diagnostics: &mut Diagnostics,
    ) -> Vec<Document> {
        let source = diagnostics.add(name, text);
        let holds_secret = mentions_secret(text);
        if holds_secret {
            diagnostics.mask_all(source);
        }
        let Some(nodes) = documents::nodes(text, source, diagnostics) else { return Vec::new() };
        let mut objects = Vec::new();
        for node in nodes.into_iter().filter(|node| !node.is_null()) {
            documents::flatten(node, &mut objects);
        }
        if holds_secret {
            diagnostics.unmask_all(source);
            objects.iter().for_each(|node| mask_secret(node, diagnostics));
        }
        let documents = objects.into_iter().map(|node| Document {
            node: match options.substitute {
                true => reference::interpolate(&node, self.variables, diagnostics),
                false => node,
            },
            applied_by: options.applied_by,
            moved: options.moved.clone(),
        });
        documents.collect()
    }
}

/// A command in one line that is not too long to be part of a message.
fn shortened(command: &str) -> String {
    const LONG: usize = 60;
    let line: String = command.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= LONG {
        return line;
    }
    format!("{}…", line.chars().take(LONG).collect::<String>())
}

/// Whether the API takes a text as a namespace's name: a label of RFC 1123.
fn is_namespace(text: &str) -> bool {
    let inside = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=63).contains(&text.len())
        && text.chars().all(inside)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

struct Options {
    moved: Option<Moved>,
    substitute: bool,
    applied_by: Option<AppliedBy>,
}

/// Whether a text may hold a Secret: asked before it is known to be YAML.
fn mentions_secret(text: &str) -> bool {
    text.lines().any(|line| {
        line.split_once("kind").is_some_and(|(_, rest)| {
            let rest = rest.trim_start_matches(['"', '\'', ' ', '\t']);
            rest.strip_prefix(':').is_some_and(|value| {
                value.trim_start_matches([' ', '\t', '"', '\'']).starts_with("Secret")
            })
        })
    })
}

fn mask_secret(node: &Node, diagnostics: &mut Diagnostics) {
    if node.get("kind").and_then(Node::text) == Some("Secret") {
        let last = node.show_keys(diagnostics);
        diagnostics.mask_document(node.mark.source, node.mark.line, last);
    }
}
