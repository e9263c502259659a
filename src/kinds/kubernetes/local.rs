//! What has changed of an object, told from the manifest alone: where the server can't be asked.

use crate::model::change::FieldChange;
use crate::model::kind::Facts;
use crate::model::value::Special;
use crate::model::{Json, JsonMap};

use super::compare::{hide, hides};
use super::fields::{Element, Path, covered};
use super::owners::{Managed, other_owner};
use super::secret;

/// Fields that left the manifest, of those that boxctl applied.
pub fn removed(facts: &Facts<'_>, declared: &Json) -> Vec<String> {
    let answered = facts.answered.and_then(Json::as_object);
    let (declared, sent) = (secret::kept(declared), facts.sent.map(secret::kept));
    let gone = |text: &&String| {
        Path::parse(text)
            .is_some_and(|path| path.get(&declared).is_none() && !covered(facts.ignore, &path))
            && sent
                .as_ref()
                .is_some_and(|sent| Path::parse(text).is_some_and(|p| p.get(sent).is_some()))
    };
    answered.into_iter().flat_map(JsonMap::keys).filter(gone).cloned().collect()
}

/// The manifest against the object, without a schema: what it says and the object has otherwise,
/// and what boxctl applied and it says no more.
pub fn local(facts: &Facts<'_>, declared: &Json, owners: &[Managed]) -> Vec<FieldChange> {
    let live = &facts.remote.raw;
    let mut changes = Vec::new();
    let kept = secret::kept(declared);
    if let Json::Object(map) = &kept {
        // What a manifest says of the status, no apply writes.
        for (key, value) in
            map.iter().filter(|(key, _)| !["apiVersion", "kind", "status"].contains(&key.as_str()))
        {
            let mut at = vec![Element::Field(key.clone())];
            subset(value, live.get(key), &mut at, &mut changes);
        }
    }
    for text in removed(facts, declared) {
        if let Some(before) = Path::parse(&text).and_then(|path| path.get(live).cloned())
            && !others_own(owners, &text)
        {
            changes.push(FieldChange::new(text, Some(before), None));
        }
    }
    changes.retain(|change| {
        Path::parse(&change.path).is_none_or(|path| !covered(facts.ignore, &path))
    });
    for change in &mut changes {
        let is_value = hides(facts, &change.path);
        hide(change, is_value);
    }
    // Whether two values are the same can't be told here: owners tell it, or the server.
    changes.retain(|change| !change.secret || change.before.is_none() || change.after.is_none());
    changes
}

fn others_own(owners: &[Managed], text: &str) -> bool {
    Path::parse(text).is_some_and(|path| other_owner(owners, &path).is_some())
}

fn subset(want: &Json, have: Option<&Json>, at: &mut Vec<Element>, out: &mut Vec<FieldChange>) {
    if let Some(special) = Special::of(want) {
        if have.is_none() || !matches!(special, Special::Secret(_)) {
            let path = Path(at.clone()).to_string();
            out.push(FieldChange::new(path, have.cloned(), Some(want.clone())));
        }
        return;
    }
    match (want, have) {
        (Json::Object(want), Some(Json::Object(have))) => {
            for (key, value) in want {
                at.push(Element::Field(key.clone()));
                subset(value, have.get(key), at, out);
                at.pop();
            }
        }
        (Json::Array(want), Some(Json::Array(have))) if identity(want).is_some() => {
            let key = identity(want).unwrap_or_default();
            for item in want {
                let value = item.get(key).cloned().unwrap_or_default();
                let found = have.iter().find(|other| other.get(key) == Some(&value));
                at.push(Element::Item(vec![(key.to_owned(), value)]));
                subset(item, found, at, out);
                at.pop();
            }
        }
        (Json::Array(want_items), Some(Json::Array(have_items)))
            if want_items.len() == have_items.len() =>
        {
            for (index, (item, other)) in want_items.iter().zip(have_items).enumerate() {
                at.push(Element::Index(index));
                subset(item, Some(other), at, out);
                at.pop();
            }
        }
        // As if it were not written: `creationTimestamp: null`, as kubectl prints it.
        (Json::Null, _) => {}
        (want, None) if is_empty(want) => {}
        (want, have) => {
            if have.is_none_or(|have| !same_value(want, have, at)) {
                let path = Path(at.clone()).to_string();
                out.push(FieldChange::new(path, have.cloned(), Some(want.clone())));
            }
        }
    }
}

/// What the server leaves out of objects.
fn is_empty(value: &Json) -> bool {
    match value {
        Json::Null | Json::Bool(false) => true,
        Json::Bool(true) => false,
        Json::Number(number) => number.as_f64() == Some(0.0),
        Json::String(text) => text.is_empty(),
        Json::Array(items) => items.is_empty(),
        Json::Object(map) => map.values().all(is_empty),
    }
}

/// The field that tells the items of a list apart, as in most lists of built-in kinds.
fn identity(items: &[Json]) -> Option<&'static str> {
    ["name", "mountPath", "devicePath", "containerPort", "port", "ip", "uid", "type"]
        .into_iter()
        .find(|key| {
            let values: Vec<&Json> = items.iter().filter_map(|item| item.get(*key)).collect();
            !items.is_empty()
                && values.len() == items.len()
                && values.iter().enumerate().all(|(i, value)| {
                    !matches!(value, Json::Object(_) | Json::Array(_))
                        && values.iter().skip(i + 1).all(|other| other != value)
                })
        })
}

fn same_value(want: &Json, have: &Json, at: &[Element]) -> bool {
    if want == have {
        return true;
    }
    let is_quantity = at.iter().any(|element| {
        matches!(element, Element::Field(name)
            if matches!(name.as_str(), "limits" | "requests" | "capacity" | "hard" | "sizeLimit" | "divisor"))
    });
    is_quantity
        && quantity(want)
            .is_some_and(|a| quantity(have).is_some_and(|b| (a - b).abs() <= a.abs() * 1e-12))
}

/// The number that a quantity stands for: `1000m`, `1Gi`, `0.5`, `1e3`.
pub fn quantity(value: &Json) -> Option<f64> {
    let text = match value {
        Json::Number(number) => return number.as_f64(),
        Json::String(text) => text.trim(),
        _ => return None,
    };
    let units: [(&str, f64); 16] = [
        ("Ki", 1024.0),
        ("Mi", 1024f64.powi(2)),
        ("Gi", 1024f64.powi(3)),
        ("Ti", 1024f64.powi(4)),
        ("Pi", 1024f64.powi(5)),
        ("Ei", 1024f64.powi(6)),
        ("n", 1e-9),
        ("u", 1e-6),
        ("m", 1e-3),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("P", 1e15),
        ("E", 1e18),
        ("", 1.0),
    ];
    units.into_iter().find_map(|(unit, factor)| {
        let number = text.strip_suffix(unit)?;
        number.parse::<f64>().ok().filter(|n| n.is_finite()).map(|n| n * factor)
    })
}
