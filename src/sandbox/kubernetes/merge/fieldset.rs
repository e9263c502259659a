//! Sets of fields (FieldsV1): paths into an object, as one manager owns them.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Map, Value};

/// A JSON scalar with a total order, so that it can be part of a path element.
#[derive(Debug, Clone)]
pub struct Scalar(pub Value);

impl Scalar {
    fn rank(&self) -> u8 {
        match self.0 {
            Value::Number(_) => 0,
            Value::String(_) => 1,
            Value::Bool(_) => 2,
            Value::Array(_) => 3,
            Value::Object(_) => 4,
            Value::Null => 5,
        }
    }
}

impl Ord for Scalar {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (Value::String(a), Value::String(b)) => a.cmp(b),
            (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
            (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
                (Some(a), Some(b)) => a.cmp(&b),
                _ => a.as_f64().unwrap_or(0.0).total_cmp(&b.as_f64().unwrap_or(0.0)),
            },
            (a, b) => {
                self.rank().cmp(&other.rank()).then_with(|| a.to_string().cmp(&b.to_string()))
            }
        }
    }
}

impl PartialOrd for Scalar {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Scalar {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Scalar {}

/// One step of a path, in the order in which the server prints them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum PathElement {
    /// A named field or a map's key: `f:<name>`.
    Field(String),
    /// An item of a keyed list, its keys sorted by name: `k:{...}`.
    Key(Vec<(String, Scalar)>),
    /// An item of a set: `v:<value>`.
    Value(Scalar),
    /// An item of a list by its position: `i:<index>`.
    Index(i64),
}

impl PathElement {
    /// A named field.
    pub fn field(name: &str) -> Self {
        PathElement::Field(name.to_owned())
    }

    fn encode(&self) -> String {
        match self {
            PathElement::Field(name) => format!("f:{name}"),
            PathElement::Key(keys) => {
                let keys: Map<String, Value> =
                    keys.iter().map(|(name, value)| (name.clone(), value.0.clone())).collect();
                format!("k:{}", Value::Object(keys))
            }
            PathElement::Value(value) => format!("v:{}", value.0),
            PathElement::Index(index) => format!("i:{index}"),
        }
    }

    fn decode(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        match kind {
            "f" => Some(PathElement::field(rest)),
            "v" => serde_json::from_str(rest).ok().map(|value| PathElement::Value(Scalar(value))),
            "i" => rest.parse().ok().map(PathElement::Index),
            "k" => {
                let keys: Map<String, Value> = serde_json::from_str(rest).ok()?;
                let mut keys: Vec<_> =
                    keys.into_iter().map(|(name, value)| (name, Scalar(value))).collect();
                keys.sort();
                Some(PathElement::Key(keys))
            }
            _ => None,
        }
    }
}

/// As the server's messages spell it: `.spec`, `[name="x"]`, `[="a"]`, `[0]`.
impl fmt::Display for PathElement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PathElement::Field(name) => write!(f, ".{name}"),
            PathElement::Key(keys) => {
                f.write_str("[")?;
                for (index, (name, value)) in keys.iter().enumerate() {
                    let comma = if index == 0 { "" } else { "," };
                    write!(f, "{comma}{name}={}", value.0)?;
                }
                f.write_str("]")
            }
            PathElement::Value(value) => write!(f, "[={}]", value.0),
            PathElement::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// A set of paths. A path may be a member without its parents being so; in FieldsV1 a member that
/// has children is marked by `.` among them.
#[derive(Debug, Clone, Default)]
pub struct FieldSet {
    members: BTreeSet<PathElement>,
    children: BTreeMap<PathElement, FieldSet>,
}

impl PartialEq for FieldSet {
    fn eq(&self, other: &Self) -> bool {
        let filled = |set: &Self| -> Vec<_> {
            set.children
                .iter()
                .filter(|(_, child)| !child.is_empty())
                .map(|(k, _)| k.clone())
                .collect()
        };
        self.members == other.members
            && filled(self) == filled(other)
            && filled(self).iter().all(|step| self.child(step) == other.child(step))
    }
}

impl Eq for FieldSet {}

impl FieldSet {
    /// The set of the given paths of named fields.
    pub fn of_fields(paths: &[&[&str]]) -> Self {
        let mut set = FieldSet::default();
        for path in paths {
            let path: Vec<_> = path.iter().map(|name| PathElement::field(name)).collect();
            set.insert(&path);
        }
        set
    }

    /// Adds a path; the empty path (the whole object) is never a member.
    pub fn insert(&mut self, path: &[PathElement]) {
        match path {
            [] => {}
            [last] => {
                self.members.insert(last.clone());
            }
            [first, rest @ ..] => self.children.entry(first.clone()).or_default().insert(rest),
        }
    }

    /// Whether the path itself is a member.
    pub fn contains(&self, path: &[PathElement]) -> bool {
        match path {
            [] => false,
            [last] => self.members.contains(last),
            [first, rest @ ..] => self.child(first).is_some_and(|child| child.contains(rest)),
        }
    }

    /// Whether it has no member at any depth.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty() && self.children.values().all(FieldSet::is_empty)
    }

    pub(super) fn has(&self, step: &PathElement) -> bool {
        self.members.contains(step)
    }

    pub(super) fn child(&self, step: &PathElement) -> Option<&FieldSet> {
        self.children.get(step).filter(|child| !child.is_empty())
    }

    pub(super) fn add_member(&mut self, step: PathElement) {
        self.members.insert(step);
    }

    pub(super) fn add_child(&mut self, step: PathElement, child: FieldSet) {
        if !child.is_empty() {
            self.children.insert(step, child);
        }
    }

    pub(super) fn members(&self) -> impl Iterator<Item = &PathElement> {
        self.members.iter()
    }

    pub(super) fn children(&self) -> impl Iterator<Item = (&PathElement, &FieldSet)> {
        self.children.iter().filter(|(_, child)| !child.is_empty())
    }

    /// Paths of either set.
    pub fn union(&self, other: &FieldSet) -> FieldSet {
        let mut out = self.clone();
        out.members.extend(other.members.iter().cloned());
        for (step, child) in other.children() {
            let merged =
                out.children.get(step).map_or_else(|| child.clone(), |own| own.union(child));
            out.children.insert(step.clone(), merged);
        }
        out
    }

    /// Paths that are members of both sets.
    pub fn intersection(&self, other: &FieldSet) -> FieldSet {
        let mut out = FieldSet {
            members: self.members.intersection(&other.members).cloned().collect(),
            children: BTreeMap::new(),
        };
        for (step, child) in self.children() {
            if let Some(theirs) = other.child(step) {
                out.add_child(step.clone(), child.intersection(theirs));
            }
        }
        out
    }

    /// Paths of this set that are not members of the other.
    pub fn difference(&self, other: &FieldSet) -> FieldSet {
        self.without(other, false)
    }

    /// Paths of this set that are neither members of the other nor below one of its members.
    pub fn recursive_difference(&self, other: &FieldSet) -> FieldSet {
        self.without(other, true)
    }

    fn without(&self, other: &FieldSet, recursive: bool) -> FieldSet {
        let mut out = FieldSet {
            members: self.members.difference(&other.members).cloned().collect(),
            children: BTreeMap::new(),
        };
        for (step, child) in self.children() {
            if recursive && other.members.contains(step) {
                continue;
            }
            let left = match other.child(step) {
                Some(theirs) => child.without(theirs, recursive),
                None => child.clone(),
            };
            out.add_child(step.clone(), left);
        }
        out
    }

    /// The members that have no member below them.
    pub fn leaves(&self) -> FieldSet {
        let mut out = FieldSet::default();
        for step in &self.members {
            if self.child(step).is_none() {
                out.members.insert(step.clone());
            }
        }
        for (step, child) in self.children() {
            out.add_child(step.clone(), child.leaves());
        }
        out
    }

    /// Every member's path, a level's members before what is below them.
    pub fn paths(&self) -> Vec<Vec<PathElement>> {
        let mut out = Vec::new();
        self.collect_paths(&mut Vec::new(), &mut out);
        out
    }

    fn collect_paths(&self, prefix: &mut Vec<PathElement>, out: &mut Vec<Vec<PathElement>>) {
        for step in &self.members {
            prefix.push(step.clone());
            out.push(prefix.clone());
            prefix.pop();
        }
        for (step, child) in self.children() {
            prefix.push(step.clone());
            child.collect_paths(prefix, out);
            prefix.pop();
        }
    }

    /// Reads `fieldsV1`; entries that are not of its form are left out, as the server does.
    pub fn decode(fields: &Value) -> FieldSet {
        let mut set = FieldSet::default();
        let Some(fields) = fields.as_object() else { return set };
        for (text, below) in fields {
            let Some(step) = PathElement::decode(text) else { continue };
            let below = below.as_object();
            if below.is_none_or(|below| below.is_empty() || below.contains_key(".")) {
                set.members.insert(step.clone());
            }
            if let Some(below) = below {
                set.add_child(step, FieldSet::decode(&Value::Object(below.clone())));
            }
        }
        set
    }

    /// Writes `fieldsV1`, in the server's order.
    pub fn encode(&self) -> Value {
        Value::Object(self.encode_level(false))
    }

    fn encode_level(&self, is_member: bool) -> Map<String, Value> {
        let mut out = Map::new();
        if is_member && !self.is_empty() {
            out.insert(".".to_owned(), Value::Object(Map::new()));
        }
        let steps: BTreeSet<_> =
            self.members.iter().chain(self.children().map(|(step, _)| step)).collect();
        for step in steps {
            let is_member = self.members.contains(step);
            let below = self.child(step).map(|child| child.encode_level(is_member));
            out.insert(step.encode(), Value::Object(below.unwrap_or_default()));
        }
        out
    }
}

/// A path as the server's messages spell it.
pub(super) fn spell(path: &[PathElement]) -> String {
    path.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(fields: Value) -> FieldSet {
        FieldSet::decode(&fields)
    }

    #[test]
    fn decodes_and_encodes_what_the_server_prints() {
        let fields = json!({
            "f:metadata": {"f:annotations": {".": {}, "f:note": {}}},
            "f:spec": {
                "f:parts": {"k:{\"containerPort\":3000,\"protocol\":\"TCP\"}": {".": {}, "f:count": {}}},
                "f:tags": {"v:\"a\"": {}, "v:1": {}, "v:true": {}},
                "f:x": {"i:0": {}}
            }
        });
        let decoded = set(fields.clone());
        assert_eq!(decoded.encode(), fields);
        let spelled: Vec<_> = decoded.paths().iter().map(|path| spell(path)).collect();
        assert!(spelled.contains(&".metadata.annotations".to_owned()));
        assert!(
            spelled.contains(&".spec.parts[containerPort=3000,protocol=\"TCP\"].count".to_owned())
        );
        assert!(spelled.contains(&".spec.tags[=\"a\"]".to_owned()));
        assert!(spelled.contains(&".spec.x[0]".to_owned()));
    }

    #[test]
    fn combines_sets_member_by_member() {
        let left = set(json!({"f:a": {".": {}, "f:b": {}, "f:c": {}}, "f:d": {}}));
        let right = set(json!({"f:a": {"f:b": {}}, "f:e": {}}));
        let table = [
            (
                left.union(&right),
                json!({"f:a": {".": {}, "f:b": {}, "f:c": {}}, "f:d": {}, "f:e": {}}),
            ),
            (left.intersection(&right), json!({"f:a": {"f:b": {}}})),
            (left.difference(&right), json!({"f:a": {".": {}, "f:c": {}}, "f:d": {}})),
            (
                left.difference(&set(json!({"f:a": {}}))),
                json!({"f:a": {"f:b": {}, "f:c": {}}, "f:d": {}}),
            ),
            (left.recursive_difference(&set(json!({"f:a": {}}))), json!({"f:d": {}})),
            (left.leaves(), json!({"f:a": {"f:b": {}, "f:c": {}}, "f:d": {}})),
        ];
        for (got, expected) in table {
            assert_eq!(got.encode(), expected);
        }
    }

    #[test]
    fn what_is_empty_equals_the_empty_set() {
        let left = set(json!({"f:a": {"f:b": {}}}));
        assert_eq!(left.difference(&left), FieldSet::default());
        assert!(left.difference(&left).is_empty());
    }
}
