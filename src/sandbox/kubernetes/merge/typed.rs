//! Typed values: the fields that an object has, and how two objects differ.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::fieldset::{FieldSet, PathElement, Scalar};
use super::schema::{ListType, Relation, Shape, Type, TypeRef};

/// How an object differs from the one before it.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    pub(super) added: FieldSet,
    pub(super) removed: FieldSet,
    pub(super) modified: FieldSet,
}

impl Comparison {
    /// What was added or has another value.
    pub(super) fn changed(&self) -> FieldSet {
        self.added.union(&self.modified)
    }

    /// The same less some fields and what is below them.
    pub(super) fn without(&self, fields: &FieldSet) -> Comparison {
        Comparison {
            added: self.added.recursive_difference(fields),
            removed: self.removed.recursive_difference(fields),
            modified: self.modified.recursive_difference(fields),
        }
    }
}

/// What tells this item of a list apart from the others.
pub(super) fn item_step(
    list: &ListType,
    index: usize,
    item: &Value,
) -> Result<PathElement, String> {
    match (&list.relation, item) {
        (Relation::Atomic, _) => Ok(PathElement::Index(i64::try_from(index).unwrap_or(i64::MAX))),
        (Relation::Set, Value::Object(_)) => {
            Err("associative list without keys has an element that's a map type".to_owned())
        }
        (Relation::Set, Value::Array(_)) => {
            Err("not supported: associative list with lists as elements".to_owned())
        }
        (Relation::Set, Value::Null) => {
            Err("associative list without keys has an element that's an explicit null".to_owned())
        }
        (Relation::Set, value) => Ok(PathElement::Value(Scalar(value.clone()))),
        (Relation::Keyed(_), Value::Null) => {
            Err("associative list with keys may not have a null element".to_owned())
        }
        (Relation::Keyed(names), Value::Object(fields)) => keyed_step(list, names, fields),
        (Relation::Keyed(_), _) => {
            Err("associative list with keys may not have non-map elements".to_owned())
        }
    }
}

fn keyed_step(
    list: &ListType,
    names: &[String],
    fields: &Map<String, Value>,
) -> Result<PathElement, String> {
    let of = list.item.resolve();
    let mut keys = Vec::with_capacity(names.len());
    for name in names {
        let default = match &*of {
            Type::Map(map) => map.defaults.get(name),
            _ => None,
        };
        let Some(value) = fields.get(name).or(default) else {
            return Err(format!(
                "associative list with keys has an element that omits key field {name:?} \
                 (and doesn't have default value)"
            ));
        };
        keys.push((name.clone(), Scalar(value.clone())));
    }
    keys.sort();
    Ok(PathElement::Key(keys))
}

/// Whether two values are equal; numbers by value, so that `1` equals `1.0`.
pub(super) fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(_), Value::Number(_)) => Scalar(left.clone()) == Scalar(right.clone()),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(a, b)| same(a, b))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(name, a)| right.get(name).is_some_and(|b| same(a, b)))
        }
        _ => left == right,
    }
}

/// The fields of an object, as its applier owns them.
pub(super) fn to_field_set(of: &TypeRef, object: &Value) -> FieldSet {
    let mut set = FieldSet::default();
    collect_fields(of, object, &mut Vec::new(), &mut set);
    set
}

fn collect_fields(of: &TypeRef, value: &Value, path: &mut Vec<PathElement>, set: &mut FieldSet) {
    let resolved = of.resolve();
    match (resolved.shape(Some(value)), value) {
        (Shape::Scalar(_), _) => set.insert(path),
        (Shape::List(list), _) if list.relation == Relation::Atomic => set.insert(path),
        (Shape::Map(map), _) if map.atomic => set.insert(path),
        (Shape::List(list), Value::Array(items)) => {
            let (_, by_step) = index_items(list, items);
            for (step, items) in by_step {
                path.push(step);
                // Which of several items with one key is meant can't be told: only the key is owned.
                if let [only] = items.as_slice() {
                    collect_fields(&list.item, only, path, set);
                }
                set.insert(path);
                path.pop();
            }
        }
        (Shape::Map(map), Value::Object(entries)) => {
            for (name, entry) in entries {
                let Some(of) = map.field(name) else { continue };
                path.push(PathElement::field(name));
                collect_fields(of, entry, path, set);
                let is_empty = entry.is_null() || entry.as_object().is_some_and(Map::is_empty);
                if is_empty || !map.fields.contains_key(name) {
                    set.insert(path);
                }
                path.pop();
            }
        }
        _ => {}
    }
}

pub(super) type ItemsByStep<'v> = BTreeMap<PathElement, Vec<&'v Value>>;

/// The steps to a list's items in their order (each once), and the items of each.
pub(super) fn index_items<'v>(
    list: &ListType,
    items: &'v [Value],
) -> (Vec<PathElement>, ItemsByStep<'v>) {
    let mut order = Vec::new();
    let mut by_step = ItemsByStep::new();
    for (index, item) in items.iter().enumerate() {
        let Ok(step) = item_step(list, index, item) else { continue };
        if !by_step.contains_key(&step) {
            order.push(step.clone());
        }
        by_step.entry(step).or_default().push(item);
    }
    (order, by_step)
}

/// How `new` differs from `old`.
pub(super) fn compare(of: &TypeRef, old: &Value, new: &Value) -> Comparison {
    let mut out = Comparison::default();
    compare_at(of, Some(old), Some(new), &mut Vec::new(), &mut out);
    out
}

fn compare_at(
    of: &TypeRef,
    old: Option<&Value>,
    new: Option<&Value>,
    path: &mut Vec<PathElement>,
    out: &mut Comparison,
) {
    let resolved = of.resolve();
    let (was, is) = (resolved.shape(old), resolved.shape(new));
    let leaf = if new.is_none() {
        compare_as(was, old, new, path, out)
    } else if old.is_none() || was.is_like(&is) {
        compare_as(is, old, new, path, out)
    } else {
        compare_as(was, old, new, path, out);
        compare_as(is, old, new, path, out)
    };
    match (leaf, old, new) {
        (false, None, _) => out.added.insert(path),
        (false, _, None) => out.removed.insert(path),
        _ => {}
    }
}

/// Compares as values of one form; true if they are one value, a leaf.
fn compare_as(
    shape: Shape<'_>,
    old: Option<&Value>,
    new: Option<&Value>,
    path: &mut Vec<PathElement>,
    out: &mut Comparison,
) -> bool {
    match shape {
        Shape::List(list) if list.relation != Relation::Atomic => {
            let (was, is) = (list_items(old), list_items(new));
            if was.is_empty() && is.is_empty() {
                return compare_leaf(old, new, path, out);
            }
            compare_items(list, was, is, path, out);
            false
        }
        Shape::Map(map) if !map.atomic => {
            let (was, is) = (map_entries(old), map_entries(new));
            if was.is_none() && is.is_none() {
                return compare_leaf(old, new, path, out);
            }
            for name in names_of(was, is) {
                let Some(of) = map.field(name) else { continue };
                path.push(PathElement::field(name));
                compare_at(of, entry(was, name), entry(is, name), path, out);
                path.pop();
            }
            false
        }
        _ => compare_leaf(old, new, path, out),
    }
}

fn compare_leaf(
    old: Option<&Value>,
    new: Option<&Value>,
    path: &[PathElement],
    out: &mut Comparison,
) -> bool {
    match (old, new) {
        (None, _) => out.added.insert(path),
        (_, None) => out.removed.insert(path),
        (Some(old), Some(new)) if !same(old, new) => out.modified.insert(path),
        _ => {}
    }
    true
}

fn compare_items(
    list: &ListType,
    was: &[Value],
    is: &[Value],
    path: &mut Vec<PathElement>,
    out: &mut Comparison,
) {
    let (_, was) = index_items(list, was);
    let (_, is) = index_items(list, is);
    let steps: BTreeSet<_> = was.keys().chain(is.keys()).cloned().collect();
    for step in steps {
        let old = was.get(&step).map_or(&[][..], Vec::as_slice);
        let new = is.get(&step).map_or(&[][..], Vec::as_slice);
        path.push(step);
        match (old, new) {
            ([old], [new]) => compare_at(&list.item, Some(old), Some(new), path, out),
            ([old], []) => compare_at(&list.item, Some(old), None, path, out),
            ([], [new]) => compare_at(&list.item, None, Some(new), path, out),
            ([], _) => out.added.insert(path),
            (_, []) => out.removed.insert(path),
            (old, new) => {
                let equal =
                    old.len() == new.len() && old.iter().zip(new).all(|(old, new)| same(old, new));
                if !equal {
                    out.modified.insert(path);
                }
            }
        }
        path.pop();
    }
}

/// A list's items; none for what is no list.
pub(super) fn list_items(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A map's entries, if it has any.
pub(super) fn map_entries(value: Option<&Value>) -> Option<&Map<String, Value>> {
    value.and_then(Value::as_object).filter(|entries| !entries.is_empty())
}

pub(super) fn entry<'v>(entries: Option<&'v Map<String, Value>>, name: &str) -> Option<&'v Value> {
    entries.and_then(|entries| entries.get(name))
}

/// The names of both, those of the first before those that only the second has.
pub(super) fn names_of<'v>(
    first: Option<&'v Map<String, Value>>,
    second: Option<&'v Map<String, Value>>,
) -> Vec<&'v String> {
    let mut names: Vec<_> = first.into_iter().flat_map(Map::keys).collect();
    let known = |name: &String| first.is_some_and(|first| first.contains_key(name));
    names.extend(second.into_iter().flat_map(Map::keys).filter(|name| !known(name)));
    names
}
