//! Kubernetes objects of any kind: what to send, and how to read the answer. No I/O.

pub mod compare;
pub mod edges;
pub mod fields;
pub mod object;
pub mod ready;
pub mod secret;
pub mod write;
