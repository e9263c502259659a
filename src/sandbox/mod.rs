//! A model of the real services, to try boxctl on: Cloudflare, SSM, STS and a Kubernetes API.

pub mod cloudflare;
pub mod kubernetes;
pub mod ssm;
