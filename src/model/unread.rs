//! Values that plans take for what was recorded, since reading them takes more than to see that they
//! are there; and what reading them told.

use serde::{Deserialize, Serialize};

use super::Json;
use super::address::Address;
use super::kind::Locate;

/// A value that a plan knows by a fingerprint and its service's version only, and how it is read.
#[derive(Clone, Debug, PartialEq)]
pub struct Unread {
    /// Its path in the spec, or the name of the output.
    pub path: &'static str,
    /// What is recorded of it: the value itself, or a secret with its fingerprints.
    pub kept: Json,
    /// Where it can be read. [`super::kind::Kind::value_in`] finds it in what comes back.
    pub how: Locate,
    /// The permissions that reading it takes, by their names at the service.
    pub wants: &'static [&'static str],
}

/// What reading a value told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The value's path, as in [`Unread`].
    pub path: &'static str,
    /// The permissions that reading it takes.
    pub wants: &'static [&'static str],
    /// What it is.
    pub told: Told,
}

/// What a value is, by reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// What was recorded.
    Same,
    /// Another one.
    Other,
    /// It can't be told, and why: it may not be read, or too little is recorded of it.
    Unknown(String),
    /// It could not be read for another reason than a permission.
    Failed(String),
}

/// A value that a plan took as it is recorded, for the user to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Taken {
    /// The resource.
    pub address: Address,
    /// The value's path in its spec, or the name of the output.
    pub path: String,
    /// The permissions that reading it takes, by their names at the service.
    pub wants: Vec<String>,
    /// Why it can't be told although it was asked for; None where it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}
