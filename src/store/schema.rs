//! The JSON Schemas of the files that the store writes, made from the types.

use schemars::{Schema, schema_for};

use crate::model::history::Past;
use crate::model::plan::Plan;
use crate::model::state::State;

/// The schema of `state/<stack>.json`.
pub fn state_schema() -> Schema {
    schema_for!(State)
}

/// The schema of `state/history/<stack>/<serial>.json`.
pub fn history_schema() -> Schema {
    schema_for!(Past)
}

/// The schema of a saved plan.
pub fn plan_schema() -> Schema {
    schema_for!(Plan)
}
