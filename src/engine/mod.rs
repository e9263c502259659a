//! Verbs: pure functions from model to model.
