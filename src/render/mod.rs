//! Plans and events as text for people and machines.
//!
//! Functions return text or write to the writer they are given; nothing prints by itself. No secret
//! is shown, whatever a plan holds (`mask`).

pub mod annotations;
pub mod applied;
pub mod drift;
pub mod graph;
pub mod history;
pub mod human;
pub mod job;
pub mod json;
pub mod markdown;
pub mod notice;
pub mod page;
pub mod progress;
pub mod prometheus;
pub mod reports;
pub mod state;
pub mod status;

mod board;
mod fields;
mod group;
mod mask;
mod taken;
mod text;

/// What the text is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RenderOptions {
    /// Columns.
    pub width: usize,
    /// Whether ANSI colours are written.
    pub color: bool,
    /// Whether what is usually left out is shown.
    pub verbose: bool,
}

impl Default for RenderOptions {
    fn default() -> Self {
        RenderOptions { width: 80, color: false, verbose: false }
    }
}

#[cfg(test)]
mod samples;
#[cfg(test)]
mod secrets_tests;
