//! A stack file: from its text to the resources that it stands for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::connector::{self, Workload};
use super::manifest::{Document, Reader};
use super::object::{self, Object, Objects, Scopes};
use super::reference;
use super::scalar::Rules;
use super::service::{self, Surroundings};
use super::settings::{self, AppliedBy, MetaFile, Setting};
use super::shape::{self, Marks};
use super::source::{Diagnostics, Mark, shown_path, suggestion};
use super::variables::{self, Declared, Sources, Variables};
use super::yaml::{self, Node, Shape};
use super::{Context, lookup, moving};
use crate::model::Json;
use crate::model::address::{Address, AddressGlob};
use crate::model::resource::{Lookup, Meta};
use crate::model::secret::Secrets;

/// A stack file, parsed, with its variables declared.
pub(super) struct Parsed {
    /// The stack's name.
    pub name: String,
    /// The file, relative to the project.
    pub file: String,
    /// Its directory.
    pub base: PathBuf,
    /// Where the name stands, or the file begins.
    pub mark: Mark,
    /// What it holds; nothing after an error.
    pub node: Option<Node>,
    /// Its variables.
    pub declared: BTreeMap<String, Declared>,
}

/// A resource on its way from the file to the run.
pub(super) struct Draft {
    /// What it is called.
    pub address: Address,
    /// Its spec, references unresolved.
    pub spec: Json,
    /// What goes with it.
    pub meta: Meta,
    /// Where it was asked for.
    pub mark: Mark,
    /// Where its fields stand.
    pub marks: Marks,
    /// Where the addresses of its `depends_on` stand.
    pub depends_on: Vec<(String, Mark)>,
    /// Whether its spec has the right shape.
    pub sound: bool,
}

/// A stack on its way from the file to the run.
pub(super) struct Drafts {
    /// The stack's name.
    pub name: String,
    /// An earlier name.
    pub renamed_from: Option<String>,
    /// The file, relative to the project.
    pub file: String,
    /// Resources in the order of the file.
    pub resources: Vec<Draft>,
    /// Lookups and where their fields stand.
    pub lookups: Vec<Lookup>,
    /// Patterns of what leaves the state and stays.
    pub forget: Vec<(String, Mark)>,
    /// The variables.
    pub variables: Variables,
    /// Warnings that are meant.
    pub accept: BTreeMap<String, String>,
    /// Hostnames that are said to be public.
    pub public: BTreeSet<String>,
    /// Lines of `settings`.
    pub settings: Vec<Setting>,
    /// The workload that runs each service's connector.
    pub workloads: Vec<(String, Workload)>,
    /// Kubernetes objects that services stand for.
    pub generated: Vec<Address>,
    /// Services and resources that are not there because of an error that is told: references to
    /// them say nothing more.
    pub broken: BTreeSet<String>,
    /// Whether objects are missing that commands would print, since they are not run.
    pub partial: bool,
}

impl Drafts {
    /// The resource at an address.
    pub fn resource(&self, address: &Address) -> Option<&Draft> {
        self.resources.iter().find(|draft| draft.address == *address)
    }

    /// Whether an address is missing because of an error that is told.
    pub fn is_broken(&self, address: &Address) -> bool {
        (self.partial && address.is_kubernetes())
            || self.broken.contains(&address.to_string())
            || self.broken.iter().any(|name| {
                address.name() == name
                    || address
                        .name()
                        .strip_prefix(name.as_str())
                        .is_some_and(|r| r.starts_with('-'))
            })
    }
}

/// Reads a stack file as far as its name and variables.
pub(super) fn parse(path: &Path, context: &Context<'_>, diagnostics: &mut Diagnostics) -> Parsed {
    let file = shown_path(context.dir, path);
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let text = context.files.read(path);
    let source = diagnostics.add(&file, text.as_deref().unwrap_or_default());
    let mark = Mark { source, line: 1, column: 1, width: 1 };
    let mut parsed = Parsed {
        name: stem,
        file,
        base: path.parent().unwrap_or(context.dir).to_owned(),
        mark,
        node: None,
        declared: BTreeMap::new(),
    };
    let text = match text {
        Ok(text) => text,
        Err(error) => {
            let message = format!("the stack file {} could not be read", parsed.file);
            let report = crate::model::error::Report::error(message).cause(error);
            diagnostics.push(None, report);
            return parsed;
        }
    };
    let Some(nodes) = yaml::parse(&text, source, diagnostics) else { return parsed };
    let node = match nodes.len() {
        0 => Node { shape: Shape::Map(Vec::new()), mark },
        1 => nodes.into_iter().next().unwrap_or(Node { shape: Shape::Map(Vec::new()), mark }),
        _ => {
            diagnostics.error(mark, "a stack file is to hold one document");
            return parsed;
        }
    };
    if let Some(named) = node.get("stack").filter(|node| node.text().is_some()) {
        parsed.name = named.text().unwrap_or_default().to_owned();
        parsed.mark = named.mark;
    }
    if !reference::is_name(&parsed.name) {
        let message = format!("`{}` is no name of a stack", parsed.name);
        let hint = "names are lower-case letters, digits, `-` and `_`";
        diagnostics.error_hint(parsed.mark, message, Some(hint));
    }
    parsed.declared = variables::declared(node.get("variables"), diagnostics);
    parsed.node = Some(node);
    parsed
}

/// Expands a stack file to its resources. What is wrong goes to `diagnostics`.
pub(super) fn expand(
    parsed: &Parsed,
    context: &Context<'_>,
    sources: &Sources<'_>,
    commands: super::Commands,
    secrets: &mut Secrets,
    diagnostics: &mut Diagnostics,
) -> Option<Drafts> {
    let node = parsed.node.as_ref()?;
    let checked = shape::check(node, &super::schemas::outline());
    super::tell(checked.faults, diagnostics);
    let variables =
        variables::resolve(&parsed.name, &parsed.declared, sources, secrets, diagnostics);
    let text = |key: &str| node.get(key).and_then(Node::text).map(str::to_owned);
    let accept = node
        .get("accept")
        .and_then(Node::entries)
        .unwrap_or_default()
        .iter()
        .map(|entry| (entry.key.clone(), entry.value.text().unwrap_or_default().to_owned()))
        .collect();
    let mut expansion = Expansion {
        parsed,
        context,
        namespace: text("namespace").or_else(|| context.project.project.namespace.clone()),
        drafts: Drafts {
            name: parsed.name.clone(),
            renamed_from: text("renamed_from"),
            file: parsed.file.clone(),
            resources: Vec::new(),
            lookups: Vec::new(),
            forget: Vec::new(),
            variables,
            accept,
            public: BTreeSet::new(),
            settings: settings::settings(node.get("settings"), diagnostics),
            workloads: Vec::new(),
            generated: Vec::new(),
            broken: BTreeSet::new(),
            partial: false,
        },
        scopes: Scopes::new(),
    };
    expansion.all(node, commands, secrets, diagnostics);
    Some(expansion.drafts)
}

struct Expansion<'a> {
    parsed: &'a Parsed,
    context: &'a Context<'a>,
    namespace: Option<String>,
    drafts: Drafts,
    scopes: Scopes,
}

/// A resource before its kind has looked at it.
struct Raw {
    address: Address,
    node: Node,
    own: Option<Node>,
    mark: Mark,
    renamed_from: Option<Address>,
    applied_by: Option<AppliedBy>,
    /// Whether all is there that it stands for.
    whole: bool,
}

impl Expansion<'_> {
    fn all(
        &mut self,
        node: &Node,
        commands: super::Commands,
        secrets: &mut Secrets,
        diagnostics: &mut Diagnostics,
    ) {
        let documents = self.documents(node.get("manifests"), commands, secrets, diagnostics);
        self.scopes = object::defined_scopes(&documents);
        let documents = moving::moved(documents, &self.scopes, diagnostics);
        let mut raws = self.services(node.get("services"), diagnostics);
        self.explicit(node.get("resources"), &mut raws, diagnostics);
        for raw in raws {
            self.draft(raw, secrets, diagnostics);
        }
        for document in &documents {
            let mut objects = Objects {
                namespace: self.namespace.as_deref(),
                scopes: &self.scopes,
                secrets: &mut *secrets,
            };
            if let Some(object) = objects.document(document, diagnostics) {
                self.object(object, MetaFile::default(), None, diagnostics);
            }
        }
        self.looked_up_workloads(diagnostics);
        self.lookups(node.get("lookups"), diagnostics);
        if let Some(Shape::List(items)) = node.get("forget").map(|node| &node.shape) {
            for item in items {
                self.forget(item, diagnostics);
            }
        }
    }

    /// Workloads that a `connector` names, that no manifest has, and that another tool applies: the
    /// cluster is asked for them by name.
    fn looked_up_workloads(&mut self, diagnostics: &mut Diagnostics) {
        for (service, workload) in self.drafts.workloads.clone() {
            let elsewhere = workload.applied_by == Some(AppliedBy::Argocd);
            let Some(spec) = connector::named(&workload.address).filter(|_| elsewhere) else {
                continue;
            };
            if self.drafts.resource(&workload.address).is_some() {
                continue;
            }
            let mut meta = self.meta(&workload.address, workload.applied_by, &MetaFile::default());
            meta.depends_on.insert(Address::new("ssm_parameter", service));
            let draft = Draft {
                address: workload.address,
                spec,
                meta,
                mark: workload.mark,
                marks: Marks::default(),
                depends_on: Vec::new(),
                sound: true,
            };
            self.add(draft, diagnostics);
        }
    }

    fn documents(
        &mut self,
        node: Option<&Node>,
        commands: super::Commands,
        secrets: &Secrets,
        diagnostics: &mut Diagnostics,
    ) -> Vec<Document> {
        let Some(Shape::List(entries)) = node.map(|node| &node.shape) else { return Vec::new() };
        let reader = Reader {
            dir: self.context.dir,
            base: self.parsed.base.clone(),
            files: self.context.files,
            variables: &self.drafts.variables,
            commands,
            limit: Duration::from_millis(self.context.project.project.timing.command_ms),
            secrets,
        };
        let mut documents = Vec::new();
        for entry in entries {
            self.drafts.partial |=
                commands == super::Commands::Skip && entry.get("command").is_some();
            let before = diagnostics.count();
            let entry = reference::interpolate(entry, &self.drafts.variables, diagnostics);
            if !diagnostics.failed_since(before) {
                documents.extend(reader.documents(&entry, diagnostics));
            }
        }
        documents
    }

    fn services(&mut self, node: Option<&Node>, diagnostics: &mut Diagnostics) -> Vec<Raw> {
        let around = Surroundings {
            scope: &self.context.scope,
            connector: self.context.project.project.connector.as_ref(),
        };
        let mut raws = Vec::new();
        for entry in node.and_then(Node::entries).unwrap_or_default() {
            let before = diagnostics.count();
            let value = reference::interpolate(&entry.value, &self.drafts.variables, diagnostics);
            if diagnostics.failed_since(before) {
                self.drafts.broken.insert(entry.key.clone());
                continue;
            }
            let entry = yaml::Entry { value, ..entry.clone() };
            let expanded = service::expand(&entry, &around, diagnostics);
            if expanded.broken {
                self.drafts.broken.insert(entry.key.clone());
            }
            self.drafts.public.extend(expanded.public);
            if let Some(workload) = expanded.workload {
                self.drafts.workloads.push((entry.key.clone(), workload));
            }
            let objects = expanded.resources.iter().map(|generated| &generated.address);
            self.drafts.generated.extend(objects.filter(|a| a.is_kubernetes()).cloned());
            raws.extend(expanded.resources.into_iter().map(|generated| Raw {
                address: generated.address,
                node: generated.node,
                own: None,
                mark: generated.mark,
                renamed_from: generated.renamed_from,
                applied_by: generated.applied_by,
                whole: !expanded.broken,
            }));
        }
        raws
    }

    /// Resources written by hand: new ones, or fields over those of a service.
    fn explicit(
        &mut self,
        node: Option<&Node>,
        raws: &mut Vec<Raw>,
        diagnostics: &mut Diagnostics,
    ) {
        for entry in node.and_then(Node::entries).unwrap_or_default() {
            let Some(address) = self.address(&entry.key, entry.mark, diagnostics) else {
                continue;
            };
            let before = diagnostics.count();
            let value = reference::interpolate(&entry.value, &self.drafts.variables, diagnostics);
            if diagnostics.failed_since(before) {
                self.drafts.broken.insert(address.to_string());
            }
            if value.entries().is_none() && !value.is_null() {
                let message = format!("{address} is to be a mapping, not {}", value.describe());
                diagnostics.error(value.mark, message);
                self.drafts.broken.insert(address.to_string());
                continue;
            }
            let own = self.context.schema(address.kind()).map(shape::fields).unwrap_or_default();
            let (spec, rest) = if address.is_kubernetes() {
                (value, Node { shape: Shape::Map(Vec::new()), mark: entry.mark })
            } else {
                settings::split(&value, &own)
            };
            match raws.iter_mut().find(|raw| raw.address == address) {
                Some(raw) => {
                    raw.node = raw.node.clone().overridden(&spec);
                    raw.own = Some(rest);
                    raw.mark = entry.mark;
                }
                None => raws.push(Raw {
                    address,
                    node: spec,
                    own: Some(rest),
                    mark: entry.mark,
                    renamed_from: None,
                    applied_by: None,
                    whole: true,
                }),
            }
        }
    }

    fn address(&self, text: &str, mark: Mark, diagnostics: &mut Diagnostics) -> Option<Address> {
        let address: Address = match text.parse() {
            Ok(address) => address,
            Err(error) => {
                diagnostics.error(mark, error.to_string());
                return None;
            }
        };
        if address.is_kubernetes() {
            return Some(address);
        }
        if self.context.kind(address.kind()).is_none() {
            let names = self.context.kinds.iter().map(|kind| kind.name());
            let message = format!("there is no kind `{}`", address.kind());
            diagnostics.error_hint(mark, message, suggestion(address.kind(), names));
            return None;
        }
        if !reference::is_name(address.name()) {
            let message = format!("`{}` is no name of a resource", address.name());
            let hint = "names are lower-case letters, digits, `-` and `_`";
            diagnostics.error_hint(mark, message, Some(hint));
            return None;
        }
        Some(address)
    }

    fn draft(&mut self, raw: Raw, secrets: &mut Secrets, diagnostics: &mut Diagnostics) {
        let own = match &raw.own {
            Some(node) => settings::read(node, diagnostics),
            None => MetaFile::default(),
        };
        let depends_on = raw.own.as_ref().and_then(|node| node.get("depends_on")).cloned();
        if raw.address.is_kubernetes() {
            let mut objects =
                Objects { namespace: self.namespace.as_deref(), scopes: &self.scopes, secrets };
            let namespace = self.namespace.as_deref();
            if let Some(object) = objects.object(&raw.node, namespace, Rules::Core, diagnostics) {
                if object.address != raw.address {
                    let message = format!("what stands here is {}", object.address);
                    diagnostics.error_hint(
                        raw.mark,
                        message,
                        Some(format!("call it `{}`", object.address)),
                    );
                }
                let object = Object { mark: raw.mark, applied_by: raw.applied_by, ..object };
                self.object(object, own, depends_on.as_ref(), diagnostics);
            } else {
                self.drafts.broken.insert(raw.address.to_string());
            }
            return;
        }
        let Some(schema) = self.context.schema(raw.address.kind()) else {
            diagnostics.error(raw.mark, format!("there is no kind `{}`", raw.address.kind()));
            return;
        };
        let broken = self.drafts.broken.contains(&raw.address.to_string());
        let node = if raw.node.is_null() {
            Node { shape: Shape::Map(Vec::new()), mark: raw.mark }
        } else {
            raw.node
        };
        let checked = shape::check(&node, schema);
        let sound = checked.faults.is_empty() && !broken && raw.whole;
        super::tell_about(checked.faults, &raw.address, raw.mark, node.mark, diagnostics);
        let mut marks = shape::marks(&node);
        marks.insert(String::new(), raw.mark);
        let mut meta = self.meta(&raw.address, None, &own);
        if meta.applied_elsewhere {
            // A pattern may have meant objects only.
            meta.applied_elsewhere = false;
            if own.applied_by.is_some() {
                let message = format!("{} is no Kubernetes object", raw.address);
                let hint = "`applied_by` is for objects that Argo CD applies";
                diagnostics.error_hint(raw.mark, message, Some(hint));
            }
        }
        if meta.renamed_from.is_none() {
            meta.renamed_from = raw.renamed_from;
        }
        self.add(
            Draft {
                address: raw.address,
                spec: checked.value,
                meta,
                mark: raw.mark,
                marks,
                depends_on: listed(depends_on.as_ref()),
                sound,
            },
            diagnostics,
        );
    }

    fn object(
        &mut self,
        object: Object,
        own: MetaFile,
        depends_on: Option<&Node>,
        diagnostics: &mut Diagnostics,
    ) {
        let meta = self.meta(&object.address, object.applied_by, &own);
        let draft = Draft {
            meta,
            address: object.address,
            spec: object.spec,
            mark: object.mark,
            marks: object.marks,
            depends_on: listed(depends_on),
            sound: true,
        };
        self.add(draft, diagnostics);
    }

    /// What `settings` says of an address, over who applies all that it comes with, and under the
    /// resource's own words.
    fn meta(&self, address: &Address, applied_by: Option<AppliedBy>, own: &MetaFile) -> Meta {
        let mut meta = Meta::default();
        MetaFile { applied_by, ..MetaFile::default() }.onto(true, &mut meta);
        for setting in self.drafts.settings.iter().filter(|s| s.glob.matches(address)) {
            setting.file.onto(setting.glob.is_exact(), &mut meta);
        }
        own.onto(true, &mut meta);
        meta
    }

    fn add(&mut self, draft: Draft, diagnostics: &mut Diagnostics) {
        if let Some(first) = self.drafts.resource(&draft.address) {
            let place = diagnostics.location(first.mark);
            let hint = place.map(|place| format!("it is declared at {place} already"));
            let message = format!("{} is declared twice", draft.address);
            diagnostics.error_hint(draft.mark, message, hint);
            return;
        }
        self.drafts.resources.push(draft);
    }

    fn lookups(&mut self, node: Option<&Node>, diagnostics: &mut Diagnostics) {
        for entry in node.and_then(Node::entries).unwrap_or_default() {
            let value = reference::interpolate(&entry.value, &self.drafts.variables, diagnostics);
            let entry = yaml::Entry { value, ..entry.clone() };
            let Some(found) = lookup::read(&entry, diagnostics) else {
                self.drafts.broken.insert(entry.key.clone());
                continue;
            };
            if self.drafts.resource(&found.address).is_some() {
                let message = format!("{} is a resource of this stack too", found.address);
                diagnostics.error(entry.mark, message);
            }
            self.drafts.lookups.push(found);
        }
    }

    fn forget(&mut self, item: &Node, diagnostics: &mut Diagnostics) {
        let Some(text) = item.text() else { return };
        match text.parse::<AddressGlob>() {
            Ok(glob) => {
                if let Some(draft) =
                    self.drafts.resources.iter().find(|draft| glob.matches(&draft.address))
                {
                    let place = diagnostics.location(draft.mark);
                    let message = format!("{} is declared and forgotten at once", draft.address);
                    let hint = place.map(|place| format!("it is declared at {place}"));
                    diagnostics.error_hint(item.mark, message, hint);
                }
                self.drafts.forget.push((text.to_owned(), item.mark));
            }
            Err(error) => {
                diagnostics.error(item.mark, format!("`{text}` is not a pattern: {error}"));
            }
        }
    }
}

fn listed(node: Option<&Node>) -> Vec<(String, Mark)> {
    match node.map(|node| &node.shape) {
        Some(Shape::List(items)) => {
            items.iter().filter_map(|item| Some((item.text()?.to_owned(), item.mark))).collect()
        }
        _ => Vec::new(),
    }
}
