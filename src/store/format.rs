//! The formats of files: which versions are read, and how older ones become today's.

use std::path::Path;

use super::error::StoreError;
use crate::model::Json;
use crate::model::history::{self, Past};
use crate::model::plan::Summary;
use crate::model::state::{self, State};

/// What turns a document of version n + 1 (by its place) into the next version.
type Migrations = &'static [fn(Json) -> Json];

/// Version 2 has `rolled_back`, which a program that knows version 1 only would drop.
const STATE: Migrations = &[|state| state];
/// Version 1 was the bare state.
const HISTORY: Migrations = &[|state| {
    serde_json::json!({
        "at": "", "run": "", "complete": false, "done": Summary::default(), "state": state,
    })
}];

/// A checkpoint, whatever version it was written in.
pub(super) fn state(path: &Path, content: &[u8]) -> Result<State, StoreError> {
    parse(path, "state", content, state::FORMAT_VERSION, STATE)
}

/// An earlier run, whatever version it was written in.
pub(super) fn past(path: &Path, content: &[u8]) -> Result<Past, StoreError> {
    parse(path, "history", content, history::FORMAT_VERSION, HISTORY)
}

/// The version that a document says it has.
pub(super) fn version(content: &[u8]) -> Option<u64> {
    let value: Json = serde_json::from_slice(content).ok()?;
    value.get("format_version").and_then(Json::as_u64)
}

/// A document with a `format_version`: refused where that is newer than what is known here.
pub(super) fn parse<T: serde::de::DeserializeOwned>(
    path: &Path,
    what: &'static str,
    content: &[u8],
    known: u32,
    migrations: Migrations,
) -> Result<T, StoreError> {
    let malformed = |source| StoreError::Malformed { path: path.to_owned(), what, source };
    let mut value: Json = serde_json::from_slice(content).map_err(malformed)?;
    if let Some(found) = value.get("format_version").and_then(Json::as_u64) {
        if found > u64::from(known) {
            return Err(StoreError::Newer { path: path.to_owned(), found, known });
        }
        let done = usize::try_from(found).unwrap_or(usize::MAX).saturating_sub(1);
        for migrate in migrations.iter().skip(done) {
            value = migrate(value);
            value["format_version"] = known.into();
        }
        // What a history file holds has a version of its own.
        if let Some(Json::Object(inner)) = value.get_mut("state").filter(|_| what == "history") {
            inner.insert("format_version".to_owned(), state::FORMAT_VERSION.into());
        }
    }
    serde_json::from_value(value).map_err(malformed)
}

/// A state as it stands in its file.
pub(super) fn write_state(state: &State, path: &Path) -> Result<String, StoreError> {
    let mut value = serde_json::to_value(state).map_err(|error| unwritable(path, error))?;
    sort(&mut value);
    text(&value, path)
}

/// An earlier run as it stands in its file.
pub(super) fn write_past(past: &Past, path: &Path) -> Result<String, StoreError> {
    let mut value = serde_json::to_value(past).map_err(|error| unwritable(path, error))?;
    sort(&mut value["state"]);
    text(&value, path)
}

/// Puts the keys of a state's values in order, so that its file only changes where something
/// changed, whatever order a server answers in.
fn sort(state: &mut Json) {
    let Some(resources) = state.get_mut("resources").and_then(Json::as_object_mut) else { return };
    for record in resources.values_mut() {
        for part in ["key", "sent", "answered", "outputs"] {
            if let Some(part) = record.get_mut(part) {
                part.sort_all_objects();
            }
        }
    }
}

fn text(value: &Json, path: &Path) -> Result<String, StoreError> {
    let mut text = serde_json::to_string_pretty(value).map_err(|error| unwritable(path, error))?;
    text.push('\n');
    Ok(text)
}

fn unwritable(path: &Path, error: serde_json::Error) -> StoreError {
    StoreError::Write { path: path.to_owned(), source: error.into() }
}
