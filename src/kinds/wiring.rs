//! How resources hang together beside references: names in manifests, readers of parameters,
//! lookups.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::address::Address;
use crate::model::error::Report;
use crate::model::known::Known;
use crate::model::resource::{Lookup, Resource};
use crate::model::scope::Scope;

/// What resources need, and who reads which parameter.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wiring {
    /// What each resource needs by name.
    pub needs: BTreeMap<Address, BTreeSet<Address>>,
    /// The objects that read each parameter, directly or through a Secret.
    pub readers: BTreeMap<Address, Vec<Address>>,
}

/// The wiring of a stack.
pub fn of(_resources: &[Resource]) -> Wiring {
    Wiring::default()
}

/// The outputs of lookups.
///
/// # Errors
/// A lookup that finds nothing, or several things.
pub fn lookups(_lookups: &[Lookup], _scope: &Scope) -> Result<Known, Vec<Report>> {
    Ok(Known::new())
}
