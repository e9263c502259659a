//! Whole projects, loaded.
