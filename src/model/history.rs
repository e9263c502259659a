//! Earlier runs: what each applied, and what was recorded when it ended.

use serde::{Deserialize, Serialize};

use super::plan::Summary;
use super::resource::Stack;
use super::state::State;

/// The version of the format of history files.
pub const FORMAT_VERSION: u32 = 2;

/// A run that changed something. Its number is the serial of its state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Past {
    /// [`FORMAT_VERSION`].
    pub format_version: u32,
    /// When it ended (RFC 3339); empty where that was not noted.
    pub at: String,
    /// What was run: `apply`, `rollback to 7`, `state rm`; empty where that was not noted.
    pub run: String,
    /// The run whose objects it applied again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back_to: Option<u64>,
    /// Whether all that was asked for was done.
    pub complete: bool,
    /// What was done.
    pub done: Summary,
    /// What is applied since, as it was declared, secrets as references. None where the run applied
    /// nothing, or was noted by a boxctl that did not keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared: Option<Stack>,
    /// What was recorded when it ended.
    pub state: State,
}

impl Past {
    /// What is known of a run by its state alone.
    pub fn of_state(state: State) -> Self {
        Past {
            format_version: FORMAT_VERSION,
            at: String::new(),
            run: String::new(),
            back_to: None,
            complete: false,
            done: Summary::default(),
            declared: None,
            state,
        }
    }

    /// Its number.
    pub fn serial(&self) -> u64 {
        self.state.serial
    }
}
