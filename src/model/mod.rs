//! Nouns: plain data, no I/O, no clock, no printing.

pub mod acknowledge;
pub mod address;
pub mod call;
pub mod change;
pub mod error;
pub mod event;
pub mod history;
pub mod journal;
pub mod kind;
pub mod known;
pub mod notify;
pub mod observed;
pub mod path;
pub mod plan;
pub mod project;
pub mod resource;
pub mod scope;
pub mod secret;
pub mod state;
pub mod status;
pub mod unread;
pub mod value;

/// The JSON that specs, answers and documents are made of.
pub type Json = serde_json::Value;
/// An object of [`Json`], in the order in which it was written.
pub type JsonMap = serde_json::Map<String, Json>;

pub mod port;
