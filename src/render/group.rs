//! List items that come or go as a whole, shown as one difference instead of one for each field.

use super::mask::Mask;
use crate::model::change::FieldChange;
use crate::model::path::segments;
use crate::model::{Json, JsonMap};

/// The differences of a change, those of an item that comes or goes as a whole taken together: it
/// does where the field that it is found by does. Values are masked.
pub(super) fn grouped(fields: &[FieldChange], mask: Mask) -> Vec<FieldChange> {
    let masked: Vec<FieldChange> = fields
        .iter()
        .map(|field| {
            let (before, after) = mask.field(field);
            FieldChange { before, after, ..field.clone() }
        })
        .collect();
    let items: Vec<Option<&str>> = masked.iter().map(|field| item(field, &masked)).collect();
    let mut out = Vec::new();
    for (at, field) in masked.iter().enumerate() {
        let together = |other: usize| items[other] == items[at] && alike(&masked[other], field);
        match items[at] {
            None => out.push(field.clone()),
            Some(_) if (0..at).any(together) => {}
            Some(prefix) => {
                let parts = (at..masked.len()).filter(|other| together(*other));
                out.push(whole(prefix, field, parts.map(|part| &masked[part])));
            }
        }
    }
    out
}

/// The outermost item that a field comes or goes with.
fn item<'a>(field: &'a FieldChange, all: &[FieldChange]) -> Option<&'a str> {
    if field.before.is_some() == field.after.is_some() {
        return None;
    }
    let mut end = 0;
    for segment in segments(&field.path) {
        end += field.path[end..].find(segment)? + segment.len();
        let prefix = &field.path[..end];
        let Some((key, _)) = segment.strip_prefix('[').and_then(|inner| inner.split_once('='))
        else {
            continue;
        };
        let found_by = format!("{prefix}.{key}");
        if all.iter().any(|other| other.path == found_by && alike(other, field)) {
            return Some(prefix);
        }
    }
    None
}

/// Whether two fields go the same way, for the same reason.
fn alike(a: &FieldChange, b: &FieldChange) -> bool {
    a.before.is_some() == b.before.is_some()
        && a.after.is_some() == b.after.is_some()
        && (&a.by, &a.since, &a.note) == (&b.by, &b.since, &b.note)
}

/// One difference for a whole item.
fn whole<'a>(
    prefix: &str,
    first: &FieldChange,
    parts: impl Iterator<Item = &'a FieldChange>,
) -> FieldChange {
    let mut value = Json::Object(JsonMap::new());
    for part in parts {
        let path = part.path.get(prefix.len()..).unwrap_or_default();
        if let Some(new) = part.before.as_ref().or(part.after.as_ref()) {
            put(&mut value, &segments(path), new);
        }
    }
    let value = lists(value);
    let (before, after) = match first.before {
        Some(_) => (Some(value), None),
        None => (None, Some(value)),
    };
    // What was secret in it is masked already.
    FieldChange { path: prefix.to_owned(), before, after, secret: false, ..first.clone() }
}

fn put(holder: &mut Json, segments: &[&str], new: &Json) {
    let (Some((first, rest)), Json::Object(map)) = (segments.split_first(), holder) else { return };
    let empty = Json::Object(JsonMap::new());
    match rest.is_empty() {
        true => {
            map.insert((*first).to_owned(), new.clone());
        }
        false => put(map.entry((*first).to_owned()).or_insert(empty), rest, new),
    }
}

/// Objects whose keys are all items of a list become lists; what names an item comes first in it.
fn lists(value: Json) -> Json {
    let Json::Object(map) = value else { return value };
    let items = !map.is_empty() && map.keys().all(|key| key.starts_with('['));
    let parts = map.into_iter().map(|(key, item)| (key, lists(item)));
    if items {
        return Json::Array(parts.map(|(_, item)| item).collect());
    }
    let (names, others): (Vec<_>, Vec<_>) = parts.partition(|(key, _)| key == "name");
    Json::Object(names.into_iter().chain(others).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::address::Address;
    use serde_json::json;

    fn gone(path: &str, value: Json) -> FieldChange {
        FieldChange::new(path, Some(value), None)
    }

    fn of(fields: &[FieldChange]) -> Vec<FieldChange> {
        grouped(fields, Mask::of(&Address::new("x", "y"), None))
    }

    #[test]
    fn an_item_that_goes_is_one_difference() {
        let fields = [
            gone(r#"c[name="a.b"].env[name="X"].name"#, json!("X")),
            gone(r#"c[name="a.b"].env[name="X"].value"#, json!("1")),
            gone(r#"c[name="a.b"].image"#, json!("i")),
            gone(r#"c[name="a.b"].name"#, json!("a.b")),
            gone(r#"c[name="other"].image"#, json!("j")),
        ];
        let whole = json!({"name": "a.b", "env": [{"name": "X", "value": "1"}], "image": "i"});
        let expected = [gone(r#"c[name="a.b"]"#, whole), fields[4].clone()];
        assert_eq!(of(&fields), expected);
    }

    #[test]
    fn what_stays_or_was_written_by_another_is_told_by_itself() {
        let name = gone(r#"c[name="a"].name"#, json!("a"));
        let changed = FieldChange::new(r#"c[name="a"].image"#, Some(json!(1)), Some(json!(2)));
        let by = FieldChange { by: Some("x".into()), ..gone(r#"c[name="a"].env"#, json!([])) };
        let all = of(&[name.clone(), changed.clone(), by.clone()]);
        assert_eq!(all, [gone(r#"c[name="a"]"#, json!({"name": "a"})), changed, by]);
        // Without the field that the item is found by, it stays.
        let some = [gone(r#"c[name="a"].image"#, json!("i"))];
        assert_eq!(of(&some), some);
    }

    #[test]
    fn no_secret_comes_with_an_item() {
        let secret = FieldChange { secret: true, ..gone(r#"c[name="a"].value"#, json!("hidden")) };
        let all = of(&[gone(r#"c[name="a"].name"#, json!("a")), secret]);
        assert_eq!(all, [gone(r#"c[name="a"]"#, json!({"name": "a", "value": "(secret)"}))]);
    }
}
