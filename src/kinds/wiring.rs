//! How resources hang together beside references: names in manifests, readers of parameters,
//! lookups.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::Json;
use crate::model::address::Address;
use crate::model::error::Report;
use crate::model::known::{Known, Outputs};
use crate::model::resource::{Lookup, Resource};
use crate::model::scope::Scope;

use super::kubernetes::edges;

/// What resources need, and who reads which parameter.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wiring {
    /// What each resource needs by name.
    pub needs: BTreeMap<Address, BTreeSet<Address>>,
    /// The objects that read each parameter, directly or through a Secret.
    pub readers: BTreeMap<Address, Vec<Address>>,
}

/// The wiring of a stack.
pub fn of(resources: &[Resource]) -> Wiring {
    let specs: Vec<(&Address, &Json)> =
        resources.iter().map(|resource| (&resource.address, &resource.spec)).collect();
    let mut needs: BTreeMap<Address, BTreeSet<Address>> = BTreeMap::new();
    for (address, needed) in edges::edges(&specs) {
        needs.entry(address).or_default().insert(needed);
    }
    Wiring { needs, readers: edges::parameter_readers(&specs) }
}

/// The outputs of lookups.
///
/// # Errors
/// A lookup that finds nothing, or several things.
pub fn lookups(lookups: &[Lookup], scope: &Scope) -> Result<Known, Vec<Report>> {
    let mut known = Known::new();
    let mut reports = Vec::new();
    for lookup in lookups {
        match super::lookup::resolve(lookup.address.kind(), &lookup.query, scope) {
            Ok(plain) => {
                let outputs = Outputs { plain, secret: BTreeMap::new() };
                known.insert(lookup.address.clone(), outputs);
            }
            Err(problem) => {
                let text = format!("looking up {}: {}", lookup.address, problem.message);
                let mut report = Report::error(text).about(&lookup.address);
                report.hints.extend(problem.hint);
                reports.push(report.at(lookup.location.clone()));
            }
        }
    }
    if reports.is_empty() { Ok(known) } else { Err(reports) }
}
