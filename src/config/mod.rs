//! What users write: project, stacks and manifests, from text to resources.

mod scalar;
mod schema;
mod source;
mod yaml;
