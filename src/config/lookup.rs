//! `lookups`: names for what exists and is not boxctl's.

use serde_json::json;

use super::schema;
use super::source::{Diagnostics, suggestion};
use super::yaml::Entry;
use crate::model::Json;
use crate::model::address::Address;
use crate::model::resource::Lookup;

/// What can be looked up, by which fields, and what that gives.
const KINDS: &[(&str, &[&str], &[&str])] = &[
    ("identity_provider", &["name", "type"], &["id", "name", "type"]),
    ("tunnel", &["name"], &["id", "name", "cname"]),
    ("zone", &["name"], &["id", "name"]),
];

/// The JSON Schema of a lookup.
pub(super) fn schema() -> Json {
    fields_schema(&["name", "type"])
}

fn fields_schema(names: &[&str]) -> Json {
    let fields: crate::model::JsonMap =
        names.iter().map(|name| ((*name).to_owned(), json!({"type": "string"}))).collect();
    json!({"type": "object", "additionalProperties": false, "properties": fields})
}

/// The outputs of a lookup's kind; None for what can't be looked up.
pub(super) fn outputs(kind: &str) -> Option<&'static [&'static str]> {
    KINDS.iter().find(|(name, _, _)| *name == kind).map(|(_, _, outputs)| *outputs)
}

/// A lookup of the file.
pub(super) fn read(entry: &Entry, diagnostics: &mut Diagnostics) -> Option<Lookup> {
    let address: Address = match entry.key.parse() {
        Ok(address) => address,
        Err(error) => {
            diagnostics.error(entry.mark, format!("{error}"));
            return None;
        }
    };
    let Some((_, fields, _)) = KINDS.iter().find(|(name, _, _)| *name == address.kind()) else {
        let message = format!("`{}` can't be looked up", address.kind());
        let names = KINDS.iter().map(|(name, _, _)| *name);
        diagnostics.error_hint(entry.mark, message, suggestion(address.kind(), names));
        return None;
    };
    if !super::reference::is_name(address.name()) {
        let message = format!("`{}` is no name", address.name());
        let hint = "names are lower-case letters, digits, `-` and `_`";
        diagnostics.error_hint(entry.mark, message, Some(hint));
        return None;
    }
    let checked = schema::check(&entry.value, &fields_schema(fields), false);
    if !checked.faults.is_empty() {
        super::tell(checked.faults, diagnostics);
        return None;
    }
    if checked.value.as_object().is_none_or(|map| map.is_empty()) {
        let hint = format!("write one of: {}", fields.join(", "));
        diagnostics.error_hint(entry.value.mark, "this looks for nothing", Some(hint));
        return None;
    }
    Some(Lookup { address, query: checked.value, location: diagnostics.location(entry.mark) })
}
