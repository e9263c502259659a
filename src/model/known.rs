//! What is known of the outputs of resources and lookups.

use std::collections::BTreeMap;

use super::JsonMap;
use super::address::Address;

/// What is known of one resource's outputs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outputs {
    /// Plain outputs.
    pub plain: JsonMap,
    /// Secret outputs that exist, with the fingerprint where one is recorded.
    pub secret: BTreeMap<String, Option<String>>,
}

/// What is known, by address. A resource that is not in here has no outputs yet.
pub type Known = BTreeMap<Address, Outputs>;
