//! How resources are, as they were read: what other tools apply, and whether things work.

use serde::{Deserialize, Serialize};

use super::address::Address;

/// The only other tool that a file can name as the one that applies an object.
pub const ARGOCD: &str = "argocd";

/// How an object that another tool applies stands to its manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It is as its manifest says.
    InSync,
    /// It is there, and other than its manifest says.
    Differs,
    /// It is not there.
    Missing,
    /// It is being deleted.
    Going,
    /// It could not be read.
    Unreadable,
}

/// An object that another tool applies, as it was read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Elsewhere {
    /// The object.
    pub address: Address,
    /// The tool that applies it: `argocd`.
    pub applied_by: String,
    /// How it stands to its manifest.
    pub standing: Standing,
    /// Paths of the fields that differ.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differs: Vec<String>,
    /// Why it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Whether a resource does what it is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// It does.
    Works,
    /// Not yet.
    Waiting,
    /// It will not by itself.
    Failed,
    /// It is not there.
    Missing,
    /// It is being deleted.
    Going,
    /// It could not be read.
    Unreadable,
}

/// A resource of a stack and whether it works.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    /// The resource.
    pub address: Address,
    /// Whether it works.
    pub health: Health,
    /// What there is to know beside that: what it waits for, why it failed.
    pub reason: Option<String>,
    /// How it stands to its manifest, where another tool applies it.
    pub elsewhere: Option<Elsewhere>,
}
