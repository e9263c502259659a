//! The journal's records: what was about to be sent, and what became of it.

use serde::{Deserialize, Serialize};

use super::address::Address;
use super::call::Method;
use super::change::{Action, Phase, StepId};
use super::state::{Recorded, State};
use super::{JsonMap, state};

/// The version of the journal's format.
pub const FORMAT_VERSION: u32 = 2;

/// Journals did not say their version at first.
fn first_format() -> u32 {
    1
}

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
    /// What the API knows the object by, where it was there already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What will be recorded when the step is done, as far as it is known before the answer: with
    /// this a lost call is told from somebody else's. None where no record follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub then: Option<Box<Recorded>>,
    /// When (RFC 3339).
    pub at: String,
    /// How far the service's clock was ahead of this one's, in milliseconds, where that was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skew_ms: Option<i64>,
    /// Whether a later run has looked for what became of it and found nothing: it may still arrive.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub looked: bool,
}

impl Intent {
    /// Whether the call was to end the object's life.
    pub fn removes(&self) -> bool {
        self.action == Action::Delete || self.step.phase == Phase::Remove
    }
}

/// A call that was announced and of which it is not known what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenIntent {
    /// The number of the intent's record.
    pub number: u64,
    /// The call.
    pub intent: Intent,
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

impl Effect {
    /// Whose record changes.
    pub fn address(&self) -> &Address {
        match self {
            Effect::Record { address, .. } | Effect::Remove { address } => address,
        }
    }
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
        /// [`FORMAT_VERSION`].
        #[serde(default = "first_format")]
        format_version: u32,
    },
    /// A plan is being carried out.
    PlanStarted {
        /// Its id.
        plan: String,
        /// Where the stack lives.
        target: Box<state::Target>,
        /// The values of variables.
        variables: std::collections::BTreeMap<String, super::resource::VariableValue>,
        /// That it takes the stack back to an earlier run.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rolled_back: Option<state::RolledBack>,
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
    /// It was looked up what became of calls whose answers were lost.
    Settled(Settled),
}

impl Entry {
    /// The resources that it is about.
    pub fn addresses(&self) -> Vec<&Address> {
        let effects = match self {
            Entry::Begin { .. } | Entry::PlanStarted { .. } | Entry::PlanEnded { .. } => {
                return Vec::new();
            }
            Entry::Intent(intent) => return vec![&intent.address],
            Entry::Outcome(outcome) => &outcome.effects,
            Entry::Effects(effects) => effects,
            Entry::Settled(settled) => &settled.effects,
        };
        effects.iter().map(Effect::address).collect()
    }
}

/// What a look at lost calls came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Settled {
    /// The numbers of intents of which it is known by now.
    pub closed: Vec<u64>,
    /// The numbers of intents of which nothing is to be seen: they may still arrive.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub looked: Vec<u64>,
    /// How records change by what was found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub effects: Vec<Effect>,
}

impl Settled {
    /// Whether there is nothing to write down.
    pub fn is_empty(&self) -> bool {
        self.closed.is_empty() && self.looked.is_empty() && self.effects.is_empty()
    }
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
pub enum JournalError {
    /// The record is not durable.
    #[error("the journal {path} could not be written")]
    Unwritten {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Another run goes on with the state: this says which.
    #[error("{0}")]
    Replaced(String),
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
            Entry::PlanStarted { target, variables, rolled_back, .. } => {
                self.target = target.as_ref().clone().or(&self.target);
                self.variables = variables.clone();
                self.rolled_back.clone_from(rolled_back);
                return;
            }
            Entry::PlanEnded { plan } => {
                self.ended_plans.push(plan.clone());
                return;
            }
            Entry::Outcome(outcome) => &outcome.effects,
            Entry::Effects(effects) => effects,
            Entry::Settled(settled) => &settled.effects,
        };
        self.take(effects);
    }

    /// Records changed.
    pub fn take(&mut self, effects: &[Effect]) {
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
