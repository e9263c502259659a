//! Differences and what is to be done about them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Json;
use super::address::Address;
use super::resource::Location;

/// What happens to a resource.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is made.
    Create,
    /// It is changed in place.
    Update,
    /// It is deleted and made again.
    Replace,
    /// It is deleted.
    Delete,
    /// What is there is taken over, and changed where it differs.
    Adopt,
    /// It leaves the state and stays in the world.
    Forget,
    /// A secret is made anew.
    Rotate,
}

/// Which part of a change a step is, where it takes several at different times.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The whole change.
    Whole,
    /// An Access application gets the new hostname beside the old one.
    Widen,
    /// It loses the old one.
    Narrow,
    /// The old object of a replacement goes.
    Remove,
    /// The new object of a replacement comes.
    Remake,
    /// Nothing is sent: what an earlier run applied and did not see ready is waited for.
    Await,
}

/// One field that differs. Secrets are references; `after` may hold unknowns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct FieldChange {
    /// `ingress[0].service`, `spec.template.spec.containers[name="x"].image`.
    pub path: String,
    /// What is there; None where nothing is.
    pub before: Option<Json>,
    /// What will be there; None where nothing will.
    pub after: Option<Json>,
    /// Whether before and after may not be shown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub secret: bool,
    /// Who wrote what is there, where the service says so: a field manager, a user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Since when, where the service says so (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Why this field makes a replacement necessary, or what else there is to know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl FieldChange {
    /// A difference with nothing else known of it.
    pub fn new(path: impl Into<String>, before: Option<Json>, after: Option<Json>) -> Self {
        FieldChange {
            path: path.into(),
            before,
            after,
            secret: false,
            by: None,
            since: None,
            note: None,
        }
    }
}

/// How sure the plan is of a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// The server was asked what it would come to.
    Checked,
    /// Compared with what is there.
    Compared,
    /// There is nothing to compare with.
    New,
    /// It can't be checked yet, and why.
    Unchecked(String),
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Change {
    /// What it is about.
    pub address: Address,
    /// What happens.
    pub action: Action,
    /// Which part of it.
    pub phase: Phase,
    /// What the API knows it by; None for what is to be made.
    pub id: Option<String>,
    /// What differs.
    pub paths: Vec<FieldChange>,
    /// Paths of fields that left the files.
    pub removed: Vec<String>,
    /// What will be sent: canonical, with unknowns. None for delete and forget.
    pub spec: Option<Json>,
    /// What was there, in the words of the spec.
    pub before: Option<Json>,
    /// Unknown paths and the address that will tell.
    pub unknown: BTreeMap<String, Address>,
    /// Why, where it is not plain from the fields.
    pub reason: Option<String>,
    /// How it interrupts what the object does for others, where it does and that can be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interrupts: Option<String>,
    /// How sure this is.
    pub confidence: Confidence,
    /// Steps that must have been done before.
    pub needs: Vec<StepId>,
    /// A fingerprint of what was observed, which this rests on.
    pub ground: String,
    /// Parameters whose new versions this object has to read: by address, the version or an unknown.
    /// Empty when no restart is due.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub restart: BTreeMap<Address, Json>,
    /// An earlier address of what is recorded, when it was renamed.
    pub moved_from: Option<Address>,
    /// Where it was asked for.
    pub location: Option<Location>,
}

impl Change {
    /// No change: what an earlier run applied is waited for.
    pub fn awaiting(address: Address) -> Self {
        Change {
            address,
            action: Action::Update,
            phase: Phase::Await,
            id: None,
            paths: Vec::new(),
            removed: Vec::new(),
            spec: None,
            before: None,
            unknown: BTreeMap::new(),
            reason: None,
            interrupts: None,
            confidence: Confidence::Compared,
            needs: Vec::new(),
            ground: String::new(),
            restart: BTreeMap::new(),
            moved_from: None,
            location: None,
        }
    }

    /// This step's name in the plan.
    pub fn step(&self) -> StepId {
        StepId { address: self.address.clone(), phase: self.phase }
    }
}

/// What a step is called within a plan.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
pub struct StepId {
    /// The resource.
    pub address: Address,
    /// Which part of its change.
    pub phase: Phase,
}

impl std::fmt::Display for StepId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let phase = match self.phase {
            Phase::Whole | Phase::Await => return self.address.fmt(f),
            Phase::Widen => "widen",
            Phase::Narrow => "narrow",
            Phase::Remove => "remove",
            Phase::Remake => "make again",
        };
        write!(f, "{} ({phase})", self.address)
    }
}

/// How a resource has drifted.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum DriftKind {
    /// Someone changed what boxctl set.
    Drifted,
    /// It is gone.
    Missing,
    /// Something new beside it changes its meaning.
    Foreign,
}

/// A resource that is not as it was recorded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Drift {
    /// What has drifted.
    pub address: Address,
    /// How.
    pub kind: DriftKind,
    /// Recorded (`before`) and observed (`after`) values.
    pub paths: Vec<FieldChange>,
}

/// What was said of drift that is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Acknowledged {
    /// When it counts again, whatever it is then (RFC 3339).
    pub until: String,
    /// Why it may stay.
    pub reason: String,
    /// Who said so, where that is written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}
