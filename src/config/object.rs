//! A document of a manifest as an object: its address, its namespace, its values of secrets.

use std::collections::BTreeMap;

use super::cluster_kinds::{is_cluster_scoped, is_own_group};
use super::manifest::Document;
use super::scalar::Rules;
use super::settings::AppliedBy;
use super::shape::{self, Marks};
use super::source::{Diagnostics, Mark};
use super::yaml::{Node, Shape};
use crate::model::address::Address;
use crate::model::secret::{Secret, SecretId, Secrets};
use crate::model::value::Special;
use crate::model::{Json, JsonMap};

/// Whether kinds, by group and name, live outside namespaces.
pub(super) type Scopes = BTreeMap<(String, String), bool>;

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

/// The scopes that the CustomResourceDefinitions among the documents give to kinds.
pub(super) fn defined_scopes(documents: &[Document]) -> Scopes {
    let mut scopes = Scopes::new();
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

/// Whether a kind lives outside namespaces, as a definition in the stack says, or as is known of it.
pub(super) fn scope(scopes: &Scopes, group: &str, kind: &str) -> Option<bool> {
    let defined = scopes.get(&(group.to_owned(), kind.to_owned())).copied();
    defined.or_else(|| is_cluster_scoped(group, kind))
}

/// What an object is read with.
pub(super) struct Objects<'a> {
    /// The namespace of objects that name none: the stack's, else the project's.
    pub namespace: Option<&'a str>,
    /// Scopes that definitions in the stack give.
    pub scopes: &'a Scopes,
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
        let moved = document.moved.as_ref().map(|moved| moved.namespace.as_str());
        let namespace = moved.or(self.namespace);
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
        let head = head(node, rules, diagnostics)?;
        let group = head.api_version.split_once('/').map_or("", |(group, _)| group);
        let own = head.namespace.as_deref().or(namespace);
        let cluster = match scope(self.scopes, group, &head.kind) {
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
        let marks = shape::marks(node);
        if group.is_empty() && head.kind == "Secret" {
            check_data(&spec, &marks, head.mark, diagnostics);
            self.hide(&address, &mut spec);
        }
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

/// `data` is base64, and what an output gives is not.
fn check_data(spec: &Json, marks: &Marks, at: Mark, diagnostics: &mut Diagnostics) {
    for (key, value) in spec.get("data").and_then(Json::as_object).into_iter().flatten() {
        if let Some(Special::Text(_)) = Special::of(value) {
            let mark = shape::place(marks, &format!("data.{key}")).unwrap_or(at);
            let message = format!("`data.{key}` is to be base64, which no output is");
            diagnostics.error_hint(mark, message, Some("put it under `stringData`"));
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

fn head(node: &Node, rules: Rules, diagnostics: &mut Diagnostics) -> Option<Head> {
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
        Some(Node { shape: Shape::Special(_), mark }) => {
            let message = format!("`{path}` must be known from the files: no reference here");
            diagnostics.error_hint(*mark, message, Some("a variable may stand here"));
            None
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
    let generated = metadata.and_then(|node| node.get("generateName"));
    let is_manifest = api_version.is_some() || kind.is_some();
    for (path, mark) in &missing {
        let generated = generated.filter(|_| path == "metadata.name");
        let mark = generated.map_or(*mark, |node| node.mark);
        let hint = match path.as_str() {
            "metadata.name" if generated.is_some() => {
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
        diagnostics.error_hint(mark, message, hint);
        if !is_manifest {
            return None;
        }
    }
    let namespace = metadata.and_then(|node| node.get("namespace"));
    for (field, node) in
        [("name", metadata.and_then(|node| node.get("name"))), ("namespace", namespace)]
    {
        let Some(node) = node else { continue };
        let value = node.to_json(rules, diagnostics);
        if matches!(value, Json::Bool(_) | Json::Number(_)) {
            let message = format!("`metadata.{field}` is to be text, not {value}");
            diagnostics.error_hint(node.mark, message, Some("put quotes around it"));
            return None;
        }
    }
    if let Some(Node { shape: Shape::Special(_), mark }) = namespace {
        let message = "`metadata.namespace` must be known from the files: no reference here";
        diagnostics.error_hint(*mark, message, Some("a variable may stand here"));
        return None;
    }
    let namespace = namespace.and_then(Node::text);
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
