//! Verbs: pure functions from model to model. No clock, no network, no files, no async.

pub mod acknowledge;
pub mod attribution;
pub mod drift;
mod elsewhere;
pub mod exposure;
pub mod fingerprint;
pub mod graph;
pub mod guard;
pub mod hold;
pub mod narrow;
pub mod news;
pub mod pending;
pub mod plan;
pub mod recover;
pub mod resolve;
pub mod restart;
pub mod rollback;
pub mod rotation;
mod settle;
pub mod status;
mod steps;
mod takeover;
pub mod values;
pub mod verify;
