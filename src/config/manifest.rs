//! Kubernetes manifests as kubectl reads them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::Commands;
use super::cluster_kinds::{is_cluster_scoped, is_own_group};
use super::files::{Files, tidy};
use super::reference;
use super::scalar::Rules;
use super::settings::AppliedBy;
use super::shape::{self, Marks};
use super::source::{Diagnostics, Mark, nearest, shown_path};
use super::variables::Variables;
use super::yaml::{self, Node, Shape};
use crate::model::address::Address;
use crate::model::error::Report;
use crate::model::secret::{Secret, SecretId, Secrets};
use crate::model::value::Special;
use crate::model::{Json, JsonMap};

/// An object that a manifest declares.
#[derive(Clone, Debug)]
pub(super) struct Object {
    /// What it is called.
    pub address: Address,
    /// The manifest, its namespace put in.
    pub spec: Json,
    /// Where it begins.
    pub mark: Mark,
    /// Where its fields stand.
    pub marks: Marks,
    /// Whether another tool applies it.
    pub applied_by: Option<AppliedBy>,
}

/// One document, not yet read as an object.
pub(super) struct Document {
    node: Node,
    namespace: Option<String>,
    applied_by: Option<AppliedBy>,
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
}

/// The JSON Schema of an entry of `manifests`.
pub(super) fn schema() -> Json {
    let common = |extra: &[(&str, Json)]| {
        let mut fields = serde_json::json!({
            "namespace": {"type": "string", "x-known": true, "description": "The namespace of manifests that name none."},
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
        let checked = shape::check(entry, &schema(), false);
        if !checked.faults.is_empty() {
            super::tell(checked.faults, diagnostics);
            return Vec::new();
        }
        let said = checked.value;
        let text = |key: &str| said.get(key).and_then(Json::as_str);
        let options = Options {
            namespace: text("namespace").map(str::to_owned),
            substitute: said.get("substitute").and_then(Json::as_bool).unwrap_or_default(),
            applied_by: match text("applied_by") {
                Some("argocd") => Some(AppliedBy::Argocd),
                Some(_) => Some(AppliedBy::Boxctl),
                None => None,
            },
        };
        if let Some(command) = said.get("command").and_then(Json::as_array) {
            let argv: Vec<String> =
                command.iter().filter_map(Json::as_str).map(str::to_owned).collect();
            let dir = tidy(&self.base.join(text("dir").unwrap_or(".")));
            return self.command(&argv, &dir, entry.mark, &options, diagnostics);
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
        let mut found = false;
        for path in paths {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let manifest = [".yaml", ".yml", ".json"].iter().any(|end| name.ends_with(end));
            if !manifest || name.starts_with('.') || self.files.is_dir(&path) {
                continue;
            }
            if matches!(name.as_str(), "kustomization.yaml" | "kustomization.yml") {
                let report = Report::warning(
                    "kustomization",
                    format!("{} is left out", shown_path(self.dir, &path)),
                )
                .hint("`{command: [kustomize, build, .], dir: …}` applies it");
                diagnostics.push(Some(mark), report);
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
            diagnostics.push(Some(mark), Report::warning("no-manifests", message));
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
        let shown = argv.join(" ");
        match self.commands {
            Commands::Skip => {
                let message = format!("`{shown}` was not run: what it prints is not looked at");
                diagnostics.push(Some(mark), Report::note(message));
                return Vec::new();
            }
            Commands::Forbid => {
                let message = format!("`{shown}` may not be run");
                diagnostics.error(mark, message);
                return Vec::new();
            }
            Commands::Run => {}
        }
        match self.files.run(dir, argv) {
            Ok(output) if output.success => {
                self.text(&format!("`{shown}`"), &output.stdout, options, diagnostics)
            }
            Ok(output) => {
                const LINES: usize = 20;
                let report = output
                    .stderr
                    .lines()
                    .take(LINES)
                    .fold(Report::error(format!("`{shown}` failed")), Report::cause);
                diagnostics.push(Some(mark), report);
                Vec::new()
            }
            Err(error) => {
                let report = Report::error(format!("`{shown}` could not be run"))
                    .cause(error)
                    .hint(format!("it runs in {}", shown_path(self.dir, dir)));
                diagnostics.push(Some(mark), report);
                Vec::new()
            }
        }
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
        let Some(nodes) = yaml::parse(text, source, diagnostics) else { return Vec::new() };
        if holds_secret {
            diagnostics.unmask_all(source);
            nodes.iter().for_each(|node| mask_secrets(node, diagnostics));
        }
        let mut documents = Vec::new();
        for node in nodes.into_iter().filter(|node| !node.is_null()) {
            let node = if options.substitute {
                reference::interpolate(&node, self.variables, diagnostics)
            } else {
                node
            };
            flatten(node, options, &mut documents);
        }
        documents
    }
}

struct Options {
    namespace: Option<String>,
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

fn mask_secrets(node: &Node, diagnostics: &mut Diagnostics) {
    if let Some(Shape::List(items)) = node.get("items").map(|items| &items.shape) {
        items.iter().for_each(|item| mask_secrets(item, diagnostics));
        return;
    }
    if node.get("kind").and_then(Node::text) == Some("Secret") {
        let last = node.show_keys(diagnostics);
        diagnostics.mask_document(node.mark.source, node.mark.line, last);
    }
}

fn flatten(node: Node, options: &Options, out: &mut Vec<Document>) {
    let is_list = node.get("kind").and_then(Node::text).is_some_and(|kind| kind.ends_with("List"));
    match node.get("items").map(|items| &items.shape) {
        Some(Shape::List(items)) if is_list => {
            items.iter().for_each(|item| flatten(item.clone(), options, out));
        }
        _ => out.push(Document {
            node,
            namespace: options.namespace.clone(),
            applied_by: options.applied_by,
        }),
    }
}

/// The scopes that the CustomResourceDefinitions among the documents give to kinds.
pub(super) fn defined_scopes(documents: &[Document]) -> BTreeMap<(String, String), bool> {
    let mut scopes = BTreeMap::new();
    for document in documents {
        let node = &document.node;
        if node.get("kind").and_then(Node::text) != Some("CustomResourceDefinition") {
            continue;
        }
        let Some(spec) = node.get("spec") else { continue };
        let text = |node: Option<&Node>| node.and_then(Node::text).map(str::to_owned);
        let group = text(spec.get("group"));
        let kind = text(spec.get("names").and_then(|names| names.get("kind")));
        if let (Some(group), Some(kind)) = (group, kind) {
            let cluster = spec.get("scope").and_then(Node::text) == Some("Cluster");
            scopes.insert((group, kind), cluster);
        }
    }
    scopes
}

/// What an object is read with.
pub(super) struct Objects<'a> {
    /// The namespace of objects that name none: the stack's, else the project's.
    pub namespace: Option<&'a str>,
    /// Scopes that definitions in the stack give.
    pub scopes: &'a BTreeMap<(String, String), bool>,
    /// Where values of Secrets go.
    pub secrets: &'a mut Secrets,
}

impl Objects<'_> {
    /// The object of a document of a manifest.
    pub fn document(
        &mut self,
        document: &Document,
        diagnostics: &mut Diagnostics,
    ) -> Option<Object> {
        let namespace = document.namespace.as_deref().or(self.namespace);
        let mut object = self.object(&document.node, namespace, Rules::Kubectl, diagnostics)?;
        object.applied_by = document.applied_by;
        Some(object)
    }

    /// The object that a node declares.
    pub fn object(
        &mut self,
        node: &Node,
        namespace: Option<&str>,
        rules: Rules,
        diagnostics: &mut Diagnostics,
    ) -> Option<Object> {
        let head = head(node, diagnostics)?;
        let group = head.api_version.split_once('/').map_or("", |(group, _)| group);
        let own = head.namespace.as_deref().or(namespace);
        let defined = self.scopes.get(&(group.to_owned(), head.kind.clone())).copied();
        let cluster = match defined.or_else(|| is_cluster_scoped(group, &head.kind)) {
            Some(cluster) => cluster,
            // Only the cluster knows. Without a namespace it can only be cluster-scoped.
            None => own.is_none(),
        };
        let namespace = if cluster { None } else { own };
        if !cluster && namespace.is_none() {
            let message = format!("the {} `{}` has no namespace", head.kind, head.name);
            let hint = "write metadata.namespace, or `namespace:` in the stack or in boxctl.yaml";
            let mark = node.get("metadata").map_or(node.mark, |node| node.mark);
            diagnostics.error_hint(mark, message, Some(hint));
            return None;
        }
        let shown_group = (!is_own_group(group)).then_some(group);
        let address = Address::kubernetes(&head.kind, shown_group, namespace, &head.name);
        let mut spec = node.to_json(rules, diagnostics);
        if let Some(metadata) = spec.get_mut("metadata").and_then(Json::as_object_mut) {
            put_namespace(metadata, namespace);
            check_texts(metadata, node, diagnostics);
        }
        if group.is_empty() && head.kind == "Secret" {
            self.hide(&address, &mut spec);
        }
        let marks = shape::marks(node);
        Some(Object { address, spec, mark: head.mark, marks, applied_by: None })
    }

    /// Moves the values of a Secret out of its spec.
    fn hide(&mut self, address: &Address, spec: &mut Json) {
        const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
        if let Some(notes) = spec.pointer_mut("/metadata/annotations").and_then(Json::as_object_mut)
        {
            notes.shift_remove(LAST_APPLIED);
        }
        for field in ["data", "stringData"] {
            let Some(values) = spec.get_mut(field).and_then(Json::as_object_mut) else { continue };
            for (key, value) in values {
                if Special::of(value).is_some() {
                    continue;
                }
                let text = match &*value {
                    Json::String(text) => text.clone(),
                    Json::Null => String::new(),
                    other => other.to_string(),
                };
                let id = SecretId::output(address, &format!("{field}.{key}"));
                self.secrets.insert(id.clone(), Secret::new(text));
                *value = Special::secret(id, None);
            }
        }
    }
}

fn put_namespace(metadata: &mut JsonMap, namespace: Option<&str>) {
    match namespace {
        None => {
            metadata.shift_remove("namespace");
        }
        Some(namespace) if metadata.get("namespace").is_none_or(Json::is_null) => {
            let mut ordered = JsonMap::new();
            for (key, value) in std::mem::take(metadata) {
                let is_name = key == "name";
                if key != "namespace" {
                    ordered.insert(key, value);
                }
                if is_name {
                    ordered.insert("namespace".to_owned(), namespace.into());
                }
            }
            *metadata = ordered;
        }
        Some(_) => {}
    }
}

/// Labels and annotations are text; a number or a boolean is refused by the API.
fn check_texts(metadata: &JsonMap, node: &Node, diagnostics: &mut Diagnostics) {
    for field in ["labels", "annotations"] {
        for (key, value) in metadata.get(field).and_then(Json::as_object).into_iter().flatten() {
            if !matches!(value, Json::Bool(_) | Json::Number(_)) {
                continue;
            }
            let entry = node
                .get("metadata")
                .and_then(|node| node.get(field))
                .and_then(|node| node.get(key));
            let message = format!("metadata.{field}.{key} is to be text, not {value}");
            let mark = entry.map_or(node.mark, |node| node.mark);
            diagnostics.error_hint(mark, message, Some("put quotes around it"));
        }
    }
}

struct Head {
    api_version: String,
    kind: String,
    name: String,
    namespace: Option<String>,
    mark: Mark,
}

fn head(node: &Node, diagnostics: &mut Diagnostics) -> Option<Head> {
    let Some(entries) = node.entries() else {
        let message = format!("a manifest is a mapping, not {}", node.describe());
        diagnostics.error(node.mark, message);
        return None;
    };
    let mark = entries.first().map_or(node.mark, |entry| entry.mark);
    let what = match node.get("kind").and_then(Node::text) {
        Some(kind) => format!("this {kind}"),
        None => "this".to_owned(),
    };
    let mut missing = Vec::new();
    let mut text = |node: Option<&Node>, path: &str| match node {
        Some(node) if node.text().is_some_and(|text| !text.is_empty()) => {
            node.text().map(str::to_owned)
        }
        _ => {
            missing.push((path.to_owned(), node.map_or(mark, |node| node.mark)));
            None
        }
    };
    let api_version = text(node.get("apiVersion"), "apiVersion");
    let kind = text(node.get("kind"), "kind");
    let metadata = node.get("metadata");
    let name = text(metadata.and_then(|node| node.get("name")), "metadata.name");
    let generated = metadata.is_some_and(|node| node.get("generateName").is_some());
    let is_manifest = api_version.is_some() || kind.is_some();
    for (path, mark) in &missing {
        let hint = match path.as_str() {
            "metadata.name" if generated => {
                Some("an object with `generateName` would be another one each time".to_owned())
            }
            "apiVersion" => {
                kind.as_deref().and_then(known_version).map(|v| format!("apiVersion: {v}"))
            }
            _ => None,
        };
        let message = if is_manifest {
            format!("{what} has no `{path}`")
        } else {
            "this is no Kubernetes manifest: it has neither `apiVersion` nor `kind`".to_owned()
        };
        diagnostics.error_hint(*mark, message, hint);
        if !is_manifest {
            return None;
        }
    }
    let namespace = metadata.and_then(|node| node.get("namespace")).and_then(Node::text);
    Some(Head {
        api_version: api_version?,
        kind: kind?,
        name: name?,
        namespace: namespace.filter(|text| !text.is_empty()).map(str::to_owned),
        mark,
    })
}

/// The version of well-known kinds, for advice.
fn known_version(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "ConfigMap"
        | "Namespace"
        | "PersistentVolume"
        | "PersistentVolumeClaim"
        | "Pod"
        | "Secret"
        | "Service"
        | "ServiceAccount" => "v1",
        "DaemonSet" | "Deployment" | "StatefulSet" => "apps/v1",
        "CronJob" | "Job" => "batch/v1",
        "Ingress" | "NetworkPolicy" => "networking.k8s.io/v1",
        "ClusterRole" | "ClusterRoleBinding" | "Role" | "RoleBinding" => {
            "rbac.authorization.k8s.io/v1"
        }
        _ => return None,
    })
}
