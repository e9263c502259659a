//! What happens during a run, for eyes: renderers take these, and nothing else prints.

use serde::{Deserialize, Serialize};

use super::change::{Action, StepId};
use super::error::{Exit, Report};
use super::plan::{Requests, Summary};

/// Something that happened. Events own small values and never a secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The APIs are being read.
    Observing {
        /// Stacks of the run.
        stacks: Vec<String>,
    },
    /// They were read.
    Observed {
        /// What it cost.
        requests: Requests,
    },
    /// A stack's plan is about to be carried out.
    ApplyStarted {
        /// The stack.
        stack: String,
        /// How many steps.
        steps: usize,
    },
    /// A step has begun.
    StepStarted {
        /// The stack.
        stack: String,
        /// The step.
        step: StepId,
        /// What it does.
        action: Action,
    },
    /// A step waits: for an object to be ready, for a service to take requests again.
    StepWaiting {
        /// The stack.
        stack: String,
        /// The step.
        step: StepId,
        /// For what.
        reason: String,
    },
    /// A call failed in a way that may pass, and is sent again after a pause.
    Retrying {
        /// The service, and what was sent: `Cloudflare GET /zones`.
        operation: String,
        /// The HTTP status, where there was an answer.
        status: Option<u16>,
        /// What may be behind it.
        reason: String,
        /// How long the pause is.
        pause_ms: u64,
    },
    /// A step is done.
    StepDone {
        /// The stack.
        stack: String,
        /// The step.
        step: StepId,
        /// What it did.
        action: Action,
        /// The object's id, where it has one.
        id: Option<String>,
        /// How long it took.
        elapsed_ms: u64,
    },
    /// A step failed.
    StepFailed {
        /// The stack.
        stack: String,
        /// The step.
        step: StepId,
        /// Why, and what to do.
        report: Box<Report>,
        /// How long it took.
        elapsed_ms: u64,
    },
    /// A step was not begun, since one that it needs was not done.
    StepSkipped {
        /// The stack.
        stack: String,
        /// The step.
        step: StepId,
        /// What it does.
        action: Action,
        /// The steps it waits for.
        waits_for: Vec<StepId>,
    },
    /// Something else to tell.
    Told {
        /// What.
        report: Box<Report>,
    },
    /// The user asked to stop: what is in flight is finished.
    Stopping,
    /// The end of the run.
    ApplyEnded {
        /// The stack.
        stack: String,
        /// What was done.
        done: Summary,
        /// Steps that failed.
        failed: Vec<Failed>,
        /// Steps that were not begun.
        waiting: Vec<Waiting>,
        /// Calls of which it is not known what became of them: the next run looks that up.
        lost: usize,
        /// The state's serial after the run.
        serial: u64,
        /// How the run ends.
        exit: Exit,
        /// How long it took.
        elapsed_ms: u64,
        /// What the whole run cost.
        requests: Requests,
    },
}

/// A step that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// The step.
    pub step: StepId,
    /// Why, in a line.
    pub why: String,
}

/// A step that was not begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// The step.
    pub step: StepId,
    /// The steps that it needs and that were not done; none where the run was stopped before it.
    pub waits_for: Vec<StepId>,
}

/// Takes events. Implementations must not block for long.
pub trait Events: Send + Sync {
    /// Something happened.
    fn emit(&self, event: Event);
}
