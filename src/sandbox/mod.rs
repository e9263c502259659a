//! A model of the real services, to try boxctl on: Cloudflare, SSM, STS and a Kubernetes API.

pub mod cloudflare;
pub mod env;
pub mod kubernetes;
pub mod mangle;
pub mod options;
pub mod ssm;
pub mod world;

pub use options::{Options, Preset};
