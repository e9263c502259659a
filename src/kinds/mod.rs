//! One file per kind of resource: what to send, and how to read the answer. No I/O.

pub mod kubernetes;

use crate::model::kind::Kind;

pub mod wiring;

/// Every kind. Adding one is a file in this folder and a line here.
pub static KINDS: &[&dyn Kind] = &[&kubernetes::object::Object];

/// The kind of that name.
pub fn find(name: &str) -> Option<&'static dyn Kind> {
    KINDS.iter().copied().find(|kind| kind.name() == name)
}
