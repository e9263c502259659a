//! A spec with what was observed put in.

use super::spans::Segment;
use crate::model::change::{Drift, DriftKind, FieldChange};
use crate::model::path::segments;
use crate::model::value::Special;
use crate::model::{Json, JsonMap};

/// What stands in the place of an item that goes, until all differences are made: places of lists
/// are counted with it.
const GONE: &str = "\u{0}gone";

/// The spec that asks for what was observed; None where a difference can't be put into it.
pub(super) fn wanted(spec: &Json, drift: &Drift) -> Option<Json> {
    let mut out = spec.clone();
    for change in &drift.paths {
        match (drift.kind, &change.after) {
            (DriftKind::Missing, _) => return None,
            (DriftKind::Foreign, Some(after)) => add(&mut out, change, after)?,
            (DriftKind::Drifted, Some(after)) => {
                put(&mut out, &segments(&change.path), after.clone())?;
            }
            (DriftKind::Drifted, None) => take(&mut out, &segments(&change.path))?,
            (DriftKind::Foreign, None) => return None,
        }
    }
    // An item that has nothing left is gone; one that got something else is not.
    for change in drift.paths.iter().filter(|change| change.after.is_none()) {
        let path = segments(&change.path);
        let ends =
            (1..path.len()).filter(|end| path.get(end - 1).is_some_and(|s| s.starts_with('[')));
        for end in ends.rev() {
            let item = path.get(..end).unwrap_or_default();
            if at(&out, item).and_then(Json::as_object).is_some_and(JsonMap::is_empty) {
                put(&mut out, item, GONE.into())?;
            }
        }
    }
    sweep(&mut out);
    Some(out)
}

/// The reference, or text with references, at a path or around it.
pub(super) fn reference_at<'a>(spec: &'a Json, path: &str) -> Option<&'a Json> {
    let mut at = spec;
    if Special::of(at).is_some() {
        return Some(at);
    }
    for segment in segments(path) {
        at = step(at, &Segment::of(segment))?;
        if Special::of(at).is_some() {
            return Some(at);
        }
    }
    None
}

/// The value at a path.
pub(super) fn value_at<'a>(spec: &'a Json, path: &str) -> Option<&'a Json> {
    at(spec, &segments(path))
}

fn at<'a>(spec: &'a Json, path: &[&str]) -> Option<&'a Json> {
    path.iter().try_fold(spec, |at, segment| step(at, &Segment::of(segment)))
}

fn step<'a>(value: &'a Json, segment: &Segment) -> Option<&'a Json> {
    match segment {
        Segment::Key(key) => value.get(key),
        Segment::Index(index) => value.get(index),
        Segment::Item(keys) => {
            let at = position(value.as_array()?, keys)?;
            value.get(at)
        }
    }
}

fn step_mut<'a>(value: &'a mut Json, segment: &Segment) -> Option<&'a mut Json> {
    match segment {
        Segment::Key(key) => value.get_mut(key),
        Segment::Index(index) => value.get_mut(index),
        Segment::Item(keys) => {
            let at = position(value.as_array()?, keys)?;
            value.get_mut(at)
        }
    }
}

/// The place of the item that has these values.
fn position(items: &[Json], keys: &[(String, String)]) -> Option<usize> {
    let text = |value: &Json| match value {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    };
    items.iter().position(|item| {
        keys.iter().all(|(key, wanted)| match key.as_str() {
            "" => text(item) == *wanted,
            key => item.get(key).is_some_and(|value| text(value) == *wanted),
        })
    })
}

/// Puts a value where a path leads; what is missing on the way is made.
fn put(value: &mut Json, path: &[&str], new: Json) -> Option<()> {
    let Some((first, rest)) = path.split_first() else {
        *value = new;
        return Some(());
    };
    let segment = Segment::of(first);
    if value.is_null() {
        *value = match segment {
            Segment::Key(_) => Json::Object(JsonMap::new()),
            Segment::Index(_) | Segment::Item(_) => Json::Array(Vec::new()),
        };
    }
    if step(value, &segment).is_none() {
        match (&segment, &mut *value) {
            (Segment::Key(key), Json::Object(map)) => {
                map.insert(key.clone(), Json::Null);
            }
            (Segment::Index(index), Json::Array(items)) if *index == items.len() => {
                items.push(Json::Null);
            }
            _ => return None,
        }
    }
    put(step_mut(value, &segment)?, rest, new)
}

/// Takes out what a path leads to.
fn take(value: &mut Json, path: &[&str]) -> Option<()> {
    let (first, rest) = path.split_first()?;
    let segment = Segment::of(first);
    if rest.is_empty() {
        match (&segment, &mut *value) {
            (Segment::Key(key), Json::Object(map)) => {
                map.shift_remove(key)?;
            }
            _ => *step_mut(value, &segment)? = GONE.into(),
        }
        return Some(());
    }
    take(step_mut(value, &segment)?, rest)
}

/// Adds an item to the list that it was found beside.
fn add(spec: &mut Json, change: &FieldChange, item: &Json) -> Option<()> {
    let path = segments(&change.path);
    let (last, list) = path.split_last()?;
    if !last.starts_with('[') || list.is_empty() {
        return None;
    }
    let joined = list.concat();
    let mut items = match value_at(spec, &joined) {
        None | Some(Json::Null) => Vec::new(),
        Some(Json::Array(items)) => items.clone(),
        Some(_) => return None,
    };
    // What takes all that is left stays last.
    let is_last = |one: &Json| one.is_object() && one.get("hostname").is_none();
    let at = match (item.get("hostname"), items.last()) {
        (Some(_), Some(last)) if is_last(last) => items.len() - 1,
        _ => items.len(),
    };
    items.insert(at, item.clone());
    put(spec, list, Json::Array(items))
}

/// Takes the items out that go.
fn sweep(value: &mut Json) {
    match value {
        Json::Array(items) => {
            items.retain(|item| item.as_str() != Some(GONE));
            items.iter_mut().for_each(sweep);
        }
        Json::Object(map) => map.values_mut().for_each(sweep),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::address::Address;
    use serde_json::json;

    #[test]
    fn what_was_observed_is_what_is_wanted() {
        use DriftKind::{Drifted, Foreign};
        type Change = (&'static str, Option<Json>);
        let table: Vec<(Json, DriftKind, Vec<Change>, Option<Json>)> = vec![
            (
                json!({"ttl": 1}),
                Drifted,
                vec![("ttl", Some(json!(300)))],
                Some(json!({"ttl": 300})),
            ),
            (
                json!({"a": 1}),
                Drifted,
                vec![("b.c", Some(json!(2)))],
                Some(json!({"a": 1, "b": {"c": 2}})),
            ),
            (json!({"a": 1, "b": 2}), Drifted, vec![("b", None)], Some(json!({"a": 1}))),
            // A rule in the middle: each place of the list differs from the one before.
            (
                json!({"r": [{"h": "x", "s": "1"}, {"s": "404"}]}),
                Drifted,
                vec![
                    ("r[1].h", Some(json!("e"))),
                    ("r[1].s", Some(json!("2"))),
                    ("r[2].s", Some(json!("404"))),
                ],
                Some(json!({"r": [{"h": "x", "s": "1"}, {"h": "e", "s": "2"}, {"s": "404"}]})),
            ),
            (
                json!({"r": [{"h": "x"}, {"h": "y"}, {"s": "404"}]}),
                Drifted,
                vec![("r[1].h", None), ("r[1].s", Some(json!("404"))), ("r[2].s", None)],
                Some(json!({"r": [{"h": "x"}, {"s": "404"}]})),
            ),
            (json!({"p": ["a", "b"]}), Drifted, vec![("p[1]", None)], Some(json!({"p": ["a"]}))),
            (
                json!({"p": ["a"]}),
                Drifted,
                vec![("p[1]", Some(json!("b")))],
                Some(json!({"p": ["a", "b"]})),
            ),
            (json!({"p": ["a"]}), Drifted, vec![("p[3]", Some(json!("b")))], None),
            (
                json!({"c": [{"name": "x", "image": "1"}, {"name": "y", "env": [{"name": "E", "value": "v"}]}]}),
                Drifted,
                vec![
                    ("c[name=\"x\"].image", Some(json!("2"))),
                    ("c[name=\"y\"].env[name=\"E\"].value", Some(json!("w"))),
                ],
                Some(
                    json!({"c": [{"name": "x", "image": "2"}, {"name": "y", "env": [{"name": "E", "value": "w"}]}]}),
                ),
            ),
            (
                json!({"a": {"x.y/z": "1"}}),
                Drifted,
                vec![("a[\"x.y/z\"]", None)],
                Some(json!({"a": {}})),
            ),
            (
                json!({}),
                Foreign,
                vec![("p[id=\"7\"]", Some(json!("7")))],
                Some(json!({"p": ["7"]})),
            ),
            (json!({"p": "x"}), Foreign, vec![("p[id=\"7\"]", Some(json!("7")))], None),
        ];
        for (spec, kind, changes, expected) in table {
            let paths =
                changes.iter().map(|(path, after)| FieldChange::new(*path, None, after.clone()));
            let drift = Drift { address: Address::new("x", "y"), kind, paths: paths.collect() };
            assert_eq!(wanted(&spec, &drift), expected, "{spec} {changes:?}");
        }
    }
}
