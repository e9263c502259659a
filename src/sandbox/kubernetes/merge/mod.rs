//! Server-side apply as pure functions: structured merge, field ownership and managed fields.
//!
//! The semantics are those of a Kubernetes 1.36 API server (structured-merge-diff v6): recorded
//! answers of one are replayed in the tests of this module.

mod combine;
mod conflict;
mod fieldset;
mod inspect;
mod managers;
mod operations;
mod parse;
#[cfg(test)]
mod properties;
mod prune;
#[cfg(test)]
mod replay;
mod schema;
mod typed;
mod validate;

pub use conflict::{ApplyError, Conflict, conflict_message};
pub use fieldset::{FieldSet, PathElement, Scalar};
pub use managers::{Manager, ManagerEntry, Managers, Operation};
pub use operations::{Applier, Merged, Updater, apply, reset_fields, update};
pub use schema::Schema;
