//! The Kubernetes API of the sandbox.

pub mod merge;
