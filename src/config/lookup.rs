//! `lookups`: names for what exists and is not boxctl's.

use serde_json::json;

use super::shape;
use super::source::{Diagnostics, suggestion};
use super::yaml::Entry;
use crate::kinds::lookup as kinds;
use crate::model::Json;
use crate::model::address::Address;
use crate::model::kind::Output;
use crate::model::resource::Lookup;

/// The JSON Schema of a lookup of any kind.
pub(super) fn schema() -> Json {
    let kinds: Vec<Json> = kinds::KINDS
        .iter()
        .filter_map(|kind| kinds::schema(kind))
        .map(|schema| schema.to_value())
        .collect();
    json!({"anyOf": kinds})
}

/// The outputs of a lookup's kind; None for what can't be looked up.
pub(super) fn outputs(kind: &str) -> Option<&'static [Output]> {
    kinds::KINDS.contains(&kind).then(|| kinds::outputs(kind))
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
    let Some(schema) = kinds::schema(address.kind()) else {
        let message = format!("`{}` can't be looked up", address.kind());
        let hint = suggestion(address.kind(), kinds::KINDS);
        diagnostics.error_hint(entry.mark, message, hint);
        return None;
    };
    if !super::reference::is_name(address.name()) {
        let message = format!("`{}` is no name", address.name());
        let hint = "names are lower-case letters, digits, `-` and `_`";
        diagnostics.error_hint(entry.mark, message, Some(hint));
        return None;
    }
    let checked = shape::check(&entry.value, &schema.to_value(), false);
    if !checked.faults.is_empty() {
        super::tell(checked.faults, diagnostics);
        return None;
    }
    let problems = kinds::check(address.kind(), &checked.value);
    let marks = shape::marks(&entry.value);
    for problem in &problems {
        let mark = shape::place(&marks, &problem.path).unwrap_or(entry.mark);
        diagnostics.error_hint(mark, problem.message.clone(), problem.hint.clone());
    }
    if !problems.is_empty() {
        return None;
    }
    Some(Lookup { address, query: checked.value, location: diagnostics.location(entry.mark) })
}
