//! `namespace:` of an entry of `manifests`: what it holds, moved to a namespace of its own, so that
//! a copy can stand beside the original.
//!
//! All namespaces of an entry become the one that is said: `metadata.namespace`, the Namespace's
//! own name, the subjects of bindings. Cluster-wide objects have no namespace to keep a copy apart
//! from the original, so they are left out. Nothing else is rewritten: a text that holds the name of
//! a namespace may mean it, or a label, a path or an image, so what may mean it is named.

use std::collections::BTreeSet;

use super::manifest::{Document, Moved};
use super::object::{Scopes, scope};
use super::source::{Diagnostics, Mark};
use super::yaml::{Entry, Node, Shape, join};
use crate::model::error::Report;
use crate::model::value::{Part, Special};

const RBAC: &str = "rbac.authorization.k8s.io";

/// The label that every Namespace bears with its own name.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// What a document is to a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// It says where others live.
    Namespace,
    /// It lives outside namespaces.
    ClusterWide,
    /// It lives in one.
    Namespaced,
    /// It names no namespace, and only the cluster knows its kind: taken to live in one.
    Unknown,
}

/// The documents with those moved whose entries say so, and without those that can't be.
pub(super) fn moved(
    documents: Vec<Document>,
    scopes: &Scopes,
    diagnostics: &mut Diagnostics,
) -> Vec<Document> {
    let mut out = Vec::new();
    let mut rest = documents.into_iter().peekable();
    while let Some(first) = rest.next() {
        let Some(to) = first.moved.clone() else {
            out.push(first);
            continue;
        };
        let mut entry = vec![first];
        while let Some(document) = rest.next_if(|next| next.moved.as_ref() == Some(&to)) {
            entry.push(document);
        }
        out.extend(entry_moved(entry, &to, scopes, diagnostics));
    }
    out
}

fn entry_moved(
    documents: Vec<Document>,
    to: &Moved,
    scopes: &Scopes,
    diagnostics: &mut Diagnostics,
) -> Vec<Document> {
    let roles: Vec<Role> = documents.iter().map(|document| role(&document.node, scopes)).collect();
    let old = old_names(&documents, &roles, &to.namespace);
    let mut out = Vec::new();
    let (mut left_out, mut unknown) = (Vec::new(), BTreeSet::new());
    let mut has_namespace = false;
    for (document, role) in documents.into_iter().zip(roles) {
        let stays_behind = match role {
            Role::ClusterWide => true,
            // Several that become one are declared once.
            Role::Namespace => std::mem::replace(&mut has_namespace, true),
            Role::Namespaced => false,
            Role::Unknown => {
                unknown.insert(text(&document.node, "kind").unwrap_or_default().to_owned());
                false
            }
        };
        if stays_behind {
            left_out.push(called(&document.node));
            continue;
        }
        let node = rewritten(document.node, role, &old, &to.namespace);
        tell_names(&node, &old, &to.namespace, diagnostics);
        out.push(Document { node, ..document });
    }
    if !left_out.is_empty() {
        let message = format!(
            "cluster-wide objects are left out of what goes to `{}`: {}",
            to.namespace,
            left_out.join(", ")
        );
        let hint = "`namespace:` of the stack itself is for manifests that name none, and leaves nothing out";
        diagnostics.push(Some(to.mark), Report::warning("cluster-wide", message).hint(hint));
    }
    if !unknown.is_empty() {
        let kinds: Vec<String> = unknown.into_iter().collect();
        let message = format!(
            "only the cluster knows whether {} has namespaces: taken to, and put into `{}`",
            kinds.join(", "),
            to.namespace
        );
        diagnostics.push(Some(to.mark), Report::note(message));
    }
    out
}

fn text<'a>(node: &'a Node, key: &str) -> Option<&'a str> {
    node.get(key).and_then(Node::text)
}

fn metadata<'a>(node: &'a Node, key: &str) -> Option<&'a str> {
    text(node.get("metadata")?, key).filter(|text| !text.is_empty())
}

/// Group and kind.
fn group_kind(node: &Node) -> (&str, &str) {
    let version = text(node, "apiVersion").unwrap_or_default();
    let group = version.split_once('/').map_or("", |(group, _)| group);
    (group, text(node, "kind").unwrap_or_default())
}

fn called(node: &Node) -> String {
    format!("{} `{}`", group_kind(node).1, metadata(node, "name").unwrap_or_default())
}

fn role(node: &Node, scopes: &Scopes) -> Role {
    let (group, kind) = group_kind(node);
    if (group, kind) == ("", "Namespace") {
        return Role::Namespace;
    }
    match scope(scopes, group, kind) {
        Some(true) => Role::ClusterWide,
        Some(false) => Role::Namespaced,
        None if metadata(node, "namespace").is_some() => Role::Namespaced,
        None => Role::Unknown,
    }
}

/// The namespaces that an entry's objects live in as they are written.
fn old_names(documents: &[Document], roles: &[Role], new: &str) -> BTreeSet<String> {
    let names = documents.iter().zip(roles).filter_map(|(document, role)| match role {
        Role::Namespace => metadata(&document.node, "name"),
        Role::Namespaced => metadata(&document.node, "namespace"),
        Role::ClusterWide | Role::Unknown => None,
    });
    names.filter(|name| *name != new).map(str::to_owned).collect()
}

fn rewritten(mut node: Node, role: Role, old: &BTreeSet<String>, new: &str) -> Node {
    let is_binding = group_kind(&node) == (RBAC, "RoleBinding");
    let field = if role == Role::Namespace { "name" } else { "namespace" };
    if let Some(metadata) = field_of(&mut node, "metadata")
        && let Some(value) = field_of(metadata, field)
        && value.text().is_some()
    {
        *value = Node::of_text(new, value.mark);
    }
    if is_binding
        && let Some(Node { shape: Shape::List(subjects), .. }) = field_of(&mut node, "subjects")
    {
        for subject in subjects {
            move_subject(subject, old, new);
        }
    }
    node
}

fn move_subject(subject: &mut Node, old: &BTreeSet<String>, new: &str) {
    let moved = |text: &str| match text.strip_prefix("system:serviceaccounts:") {
        Some(namespace) => old.contains(namespace).then(|| format!("system:serviceaccounts:{new}")),
        None => {
            let (namespace, name) = text.strip_prefix("system:serviceaccount:")?.split_once(':')?;
            old.contains(namespace).then(|| format!("system:serviceaccount:{new}:{name}"))
        }
    };
    if let Some(value) = field_of(subject, "namespace")
        && value.text().is_some_and(|text| old.contains(text))
    {
        *value = Node::of_text(new, value.mark);
    }
    if let Some(value) = field_of(subject, "name")
        && let Some(text) = value.text().and_then(moved)
    {
        *value = Node::of_text(text, value.mark);
    }
}

fn field_of<'a>(node: &'a mut Node, key: &str) -> Option<&'a mut Node> {
    match &mut node.shape {
        Shape::Map(entries) => {
            entries.iter_mut().find(|entry| entry.key == key).map(|entry| &mut entry.value)
        }
        Shape::Scalar(_) | Shape::List(_) | Shape::Special(_) => None,
    }
}

/// Names the texts that may still mean an old namespace.
fn tell_names(node: &Node, old: &BTreeSet<String>, new: &str, diagnostics: &mut Diagnostics) {
    let mut found: Vec<(String, Mark, String)> = Vec::new();
    let mut visit = |path: &str, mark: Mark, name: &str| {
        found.push((path.to_owned(), mark, name.to_owned()));
    };
    search(node, &Place::default(), old, &mut visit);
    for (path, mark, name) in found {
        let mark = diagnostics.find(mark, &name);
        let message = format!("`{path}` still names the namespace `{name}`");
        let report = Report::warning("old-namespace", message)
            .hint(format!("what is in `{new}` uses what is in `{name}`: see that it is meant"));
        diagnostics.push(Some(mark), report);
    }
}

/// Where a text stands, as far as that says what it means.
#[derive(Clone, Default)]
struct Place {
    path: String,
    key: String,
    /// In labels or a selector, whose values are no namespaces.
    is_label: bool,
}

impl Place {
    fn below(&self, key: &str) -> Place {
        const LABELS: [&str; 5] =
            ["labels", "matchLabels", "selector", "nodeSelector", "matchExpressions"];
        Place {
            path: join(&self.path, key),
            key: key.to_owned(),
            is_label: self.is_label || LABELS.contains(&key),
        }
    }
}

fn search(
    node: &Node,
    place: &Place,
    old: &BTreeSet<String>,
    visit: &mut impl FnMut(&str, Mark, &str),
) {
    match &node.shape {
        Shape::Scalar(scalar) => {
            if let Some(name) = held(&scalar.text, place, old) {
                visit(&place.path, node.mark, name);
            }
        }
        Shape::Special(value) => {
            let parts = match Special::of(value) {
                Some(Special::Text(parts)) => parts,
                _ => Vec::new(),
            };
            for part in &parts {
                if let Part::Literal(text) = part
                    && let Some(name) = held(text, place, old)
                {
                    visit(&place.path, node.mark, name);
                }
            }
        }
        Shape::List(items) => {
            for (i, item) in items.iter().enumerate() {
                let path = format!("{}[{i}]", place.path);
                search(item, &Place { path, ..place.clone() }, old, visit);
            }
        }
        Shape::Map(entries) => {
            // `{key: kubernetes.io/metadata.name, operator: In, values: […]}`
            let of_name = text(node, "key") == Some(NAME_LABEL) && node.get("operator").is_some();
            for Entry { key, value, .. } in entries {
                let mut below = place.below(key);
                if of_name || key == NAME_LABEL {
                    below.is_label = false;
                    below.key.clear();
                }
                search(value, &below, old, visit);
            }
        }
    }
}

/// The old namespace that a text may mean.
fn held<'a>(text: &str, place: &Place, old: &'a BTreeSet<String>) -> Option<&'a str> {
    // `name`, `claimName`, `serviceAccountName`: what stands there alone is that thing's name.
    let is_name = place.key.ends_with("name") || place.key.ends_with("Name");
    old.iter().map(String::as_str).find(|name| {
        let is_whole = text == *name;
        !(place.is_label || place.key == "image" || is_whole && is_name) && has_word(text, name)
    })
}

/// Whether a name stands in a text as a word, and not as a part of a longer name.
fn has_word(text: &str, name: &str) -> bool {
    let in_name = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    text.match_indices(name).any(|(at, _)| {
        !text[..at].ends_with(in_name) && !text[at + name.len()..].starts_with(in_name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::scalar::Rules;
    use crate::config::yaml;
    use crate::model::Json;
    use serde_json::json;

    fn read(text: &str) -> (Vec<Json>, Vec<Report>) {
        let mut diagnostics = Diagnostics::default();
        let source = diagnostics.add("a.yaml", text);
        let nodes = yaml::parse(text, source, &mut diagnostics).unwrap();
        let mark = Mark { source, line: 1, column: 1, width: 1 };
        let to = Moved { namespace: "try".to_owned(), mark };
        let documents = nodes
            .into_iter()
            .map(|node| Document { node, applied_by: None, moved: Some(to.clone()) })
            .collect();
        let scopes = Scopes::from([(("x.io".to_owned(), "Wide".to_owned()), true)]);
        let moved = moved(documents, &scopes, &mut diagnostics);
        let values = moved.iter().map(|d| d.node.to_json(Rules::Kubectl, &mut diagnostics));
        let values = values.collect();
        (values, diagnostics.finish())
    }

    #[test]
    fn what_names_the_namespace_is_rewritten() {
        let table = [
            (
                "{apiVersion: v1, kind: Namespace, metadata: {name: app, labels: {a: b}}}",
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "try", "labels": {"a": "b"}}}),
            ),
            (
                "{apiVersion: v1, kind: ConfigMap, metadata: {name: app, namespace: app}}",
                json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "app", "namespace": "try"}}),
            ),
            (
                "{apiVersion: x.io/v1, kind: Thing, metadata: {name: t, namespace: app}}",
                json!({"apiVersion": "x.io/v1", "kind": "Thing", "metadata": {"name": "t", "namespace": "try"}}),
            ),
            (
                "{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: b, namespace: app}, subjects: [{kind: ServiceAccount, name: app, namespace: app}, {kind: ServiceAccount, name: p, namespace: monitoring}, {kind: Group, name: 'system:serviceaccounts:app'}, {kind: User, name: 'system:serviceaccount:app:x'}, {kind: User, name: jane}]}",
                json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "b", "namespace": "try"}, "subjects": [
                    {"kind": "ServiceAccount", "name": "app", "namespace": "try"},
                    {"kind": "ServiceAccount", "name": "p", "namespace": "monitoring"},
                    {"kind": "Group", "name": "system:serviceaccounts:try"},
                    {"kind": "User", "name": "system:serviceaccount:try:x"},
                    {"kind": "User", "name": "jane"}]}),
            ),
        ];
        for (text, expected) in table {
            let (values, reports) = read(text);
            assert_eq!(values, [expected], "{text}");
            assert_eq!(reports, [], "{text}");
        }
    }

    #[test]
    fn what_is_cluster_wide_is_left_out_and_named() {
        let texts = [
            "{apiVersion: v1, kind: Namespace, metadata: {name: a}}",
            "{apiVersion: v1, kind: Namespace, metadata: {name: b}}",
            "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: c}}",
            "{apiVersion: v1, kind: PersistentVolume, metadata: {name: d, namespace: a}}",
            "{apiVersion: x.io/v1, kind: Wide, metadata: {name: e}}",
            "{apiVersion: x.io/v1, kind: Odd, metadata: {name: f}}",
            "{apiVersion: apps/v1, kind: Deployment, metadata: {name: g}}",
        ];
        let (values, reports) = read(&texts.join("\n---\n"));
        let names: Vec<&str> =
            values.iter().map(|value| value["metadata"]["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["try", "f", "g"]);
        let messages: Vec<&str> = reports.iter().map(|r| r.message.as_str()).collect();
        assert_eq!(
            messages,
            [
                "cluster-wide objects are left out of what goes to `try`: Namespace `b`, ClusterRoleBinding `c`, PersistentVolume `d`, Wide `e`",
                "only the cluster knows whether Odd has namespaces: taken to, and put into `try`",
            ]
        );
    }

    #[test]
    fn texts_that_may_mean_the_old_namespace_are_named_at_their_places() {
        let head = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: app, namespace: app}\n";
        let table = [
            (
                "env: [{name: URL, value: 'http://app-service.app.svc.cluster.local:80'}]",
                Some("env[0].value"),
            ),
            ("env: [{name: app, value: app}]", Some("env[0].value")),
            ("args: [--namespace=app]", Some("args[0]")),
            ("run: |\n  x\n  kubectl -n app get pods\n", Some("run")),
            ("destination: {namespace: app}", Some("destination.namespace")),
            (
                "namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: app}}",
                Some("namespaceSelector.matchLabels.kubernetes.io/metadata.name"),
            ),
            (
                "matchExpressions: [{key: kubernetes.io/metadata.name, operator: In, values: [app]}]",
                Some("matchExpressions[0].values[0]"),
            ),
            ("matchExpressions: [{key: app, operator: In, values: [app]}]", None),
            ("selector: {app: app}", None),
            ("labels: {app: app}", None),
            ("claimName: app", None),
            ("image: example.org/app:1", None),
            ("a: [my-app, app-state, /.app_state, happen, application]", None),
        ];
        for (text, expected) in table {
            let (_, reports) = read(&format!("{head}{text}"));
            let found: Vec<&str> = reports.iter().map(|r| r.message.as_str()).collect();
            let expected: Vec<String> = expected
                .iter()
                .map(|path| format!("`{path}` still names the namespace `app`"))
                .collect();
            assert_eq!(found, expected, "{text}");
        }
        let (_, reports) = read(&format!("{head}run: |\n  x\n  kubectl -n app get pods\n"));
        let place = reports[0].location.as_ref().map(|at| (at.line, at.column));
        assert_eq!(place, Some((6, 14)));
    }
}
