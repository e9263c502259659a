//! Saved plans.

use std::path::Path;

use super::error::StoreError;
use super::files;
use super::format;
use crate::model::plan::{FORMAT_VERSION, Plan};

/// Writes a plan to a file that only its owner can read.
///
/// # Errors
/// A file that can't be written.
pub fn save_plan(path: &Path, plan: &Plan) -> Result<(), StoreError> {
    let mut text = serde_json::to_string_pretty(plan)
        .map_err(|error| StoreError::Write { path: path.to_owned(), source: error.into() })?;
    text.push('\n');
    files::replace(path, text.as_bytes())
}

/// Reads a saved plan.
///
/// # Errors
/// A file that is not there, can't be read, is no plan, or of a newer format.
pub fn load_plan(path: &Path) -> Result<Plan, StoreError> {
    let content =
        std::fs::read(path).map_err(|source| StoreError::Read { path: path.to_owned(), source })?;
    format::parse(path, "plan", &content, FORMAT_VERSION, &[])
}
