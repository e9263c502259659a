//! What the APIs say.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::address::Address;
use super::unread::Reading;
use super::{Json, JsonMap};

/// A remote object, read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Remote {
    /// What the API knows it by; for kinds within another object, that object's id and its own.
    pub id: String,
    /// It in the words of the spec, in canonical form.
    pub spec: Json,
    /// Values that others can refer to; secret outputs are not among them.
    pub outputs: JsonMap,
    /// The service's own version of it, where it has one: SSM's `Version@LastModifiedDate`.
    pub version: Option<String>,
    /// The answer as it came, for updates that replace whole objects.
    pub raw: Json,
}

/// What is known of one resource's remote object.
#[derive(Clone, Debug, PartialEq)]
pub enum Observed {
    /// It is there.
    Present(Remote),
    /// It is there and being deleted.
    Going(Remote),
    /// The API was asked and says it is not there.
    Absent,
    /// It could not be read, and why. Never taken for absent.
    Unreadable(String),
}

impl Observed {
    /// The object, if it is there and stays.
    pub fn present(&self) -> Option<&Remote> {
        match self {
            Observed::Present(remote) => Some(remote),
            Observed::Going(_) | Observed::Absent | Observed::Unreadable(_) => None,
        }
    }
}

/// What was observed of a stack.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// Declared and recorded resources, by address.
    pub resources: BTreeMap<Address, Observed>,
    /// Objects that nobody knows, which fit what is declared: candidates for adoption.
    pub candidates: BTreeMap<Address, Vec<Remote>>,
    /// Objects beside which the service will not take what is declared and not there yet.
    pub clashing: BTreeMap<Address, Vec<Remote>>,
    /// Objects that change what a recorded resource means, by its address: whoever made them.
    pub beside: BTreeMap<Address, Vec<Remote>>,
    /// What fits each call whose answer was lost, by the number of its intent; or why that could not
    /// be read.
    pub lost: BTreeMap<u64, Result<Vec<Remote>, String>>,
    /// What a dry-run made of the declared object, or why it was refused.
    pub previews: BTreeMap<Address, Preview>,
    /// What reading values told that are otherwise taken as recorded; of all recorded resources
    /// where that was asked for, of none where not.
    pub readings: BTreeMap<Address, Vec<Reading>>,
}

/// The result of asking the server what a change would come to.
#[derive(Clone, Debug, PartialEq)]
pub enum Preview {
    /// The object as it would be.
    Object(Json),
    /// The server refuses it: the text, and the fields that it names.
    Refused {
        /// The status.
        status: u16,
        /// What it says.
        message: String,
        /// The fields it names, as it writes them.
        fields: Vec<String>,
        /// Whether other owners of fields are the reason.
        conflict: bool,
    },
    /// It could not be asked, and why.
    Unchecked(String),
}
