//! What users write: project, stacks and manifests, from text to resources.
