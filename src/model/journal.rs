//! The journal's records: what was about to be sent, and what became of it.

use serde::{Deserialize, Serialize};

use super::address::Address;
use super::call::Method;
use super::change::{Action, StepId};
use super::state::{Recorded, State};
use super::{JsonMap, state};

/// A call that is about to be sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    /// The step it belongs to.
    pub step: StepId,
    /// The resource.
    pub address: Address,
    /// What the step does.
    pub action: Action,
    /// The HTTP method; POST for operations of SSM.
    pub method: Method,
    /// The path, or SSM's operation.
    pub path: String,
    /// What finds the object again.
    pub key: JsonMap,
    /// A fingerprint of the request, secrets as references.
    pub request: String,
    /// When (RFC 3339).
    pub at: String,
}

/// How a record of the state changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It becomes this.
    Record {
        /// Whose.
        address: Address,
        /// What.
        record: Box<Recorded>,
    },
    /// It leaves.
    Remove {
        /// Whose.
        address: Address,
    },
}

/// What became of a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The number of the intent's record.
    pub intent: u64,
    /// The HTTP status, where there was an answer.
    pub status: Option<u16>,
    /// The error, secrets scrubbed.
    pub error: Option<String>,
    /// Whether the answer was lost, so that it is not known what became of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unknown: bool,
    /// How records change by it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub effects: Vec<Effect>,
    /// When (RFC 3339).
    pub at: String,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// The first line: which state this continues, and from which record on.
    Begin {
        /// The state's lineage.
        lineage: String,
        /// The stack.
        stack: String,
        /// The number of the last record that the checkpoint has.
        after: u64,
    },
    /// A plan is being carried out.
    PlanStarted {
        /// Its id.
        plan: String,
        /// Where the stack lives.
        target: Box<state::Target>,
        /// The values of variables.
        variables: std::collections::BTreeMap<String, super::resource::VariableValue>,
    },
    /// A plan was carried out: every change of it done or refused.
    PlanEnded {
        /// Its id.
        plan: String,
    },
    /// Before a call.
    Intent(Box<Intent>),
    /// After it.
    Outcome(Box<Outcome>),
    /// Records change without a call.
    Effects(Vec<Effect>),
}

/// A record with its number: from 1, for the life of the state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Numbered {
    /// The number.
    pub number: u64,
    /// The record.
    #[serde(flatten)]
    pub entry: Entry,
}

/// A journal that could not be written: nothing more may be sent.
#[derive(Debug, thiserror::Error)]
#[error("the journal {path} could not be written")]
pub struct JournalError {
    /// The file.
    pub path: String,
    /// Why.
    #[source]
    pub source: std::io::Error,
}

/// Where records go. `append` returns when the record is durable.
pub trait Journal: Send {
    /// Adds a record and returns its number.
    ///
    /// # Errors
    /// The record is not durable; nothing may be sent that it announces, nor anything after it.
    fn append(&mut self, entry: Entry) -> Result<u64, JournalError>;
}

impl State {
    /// The state with a journal record taken in: what load and apply both do.
    pub fn fold(&mut self, number: u64, entry: &Entry) {
        if number <= self.journal {
            return;
        }
        self.journal = number;
        let effects = match entry {
            Entry::Begin { .. } | Entry::Intent(_) => return,
            Entry::PlanStarted { target, variables, .. } => {
                self.target = target.as_ref().clone().or(&self.target);
                self.variables = variables.clone();
                return;
            }
            Entry::PlanEnded { plan } => {
                self.ended_plans.push(plan.clone());
                return;
            }
            Entry::Outcome(outcome) => &outcome.effects,
            Entry::Effects(effects) => effects,
        };
        for effect in effects {
            match effect {
                Effect::Record { address, record } => {
                    self.resources.insert(address.clone(), record.as_ref().clone());
                }
                Effect::Remove { address } => {
                    self.resources.remove(address);
                }
            }
        }
    }
}
