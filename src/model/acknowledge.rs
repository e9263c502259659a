//! Drift that someone said is known: what `drift.yaml` holds.

use super::Json;
use super::address::Address;
use super::change::DriftKind;
use super::path;
use super::resource::Location;

/// One statement that drift of a resource, or of a part of it, is known as it was seen then.
#[derive(Clone, Debug, PartialEq)]
pub struct Acknowledgement {
    /// The stack of the resource.
    pub stack: String,
    /// The resource.
    pub address: Address,
    /// Which part of it, with all below; None: all of it.
    pub path: Option<String>,
    /// How it had drifted.
    pub drift: DriftKind,
    /// What was there then, at each path that differed.
    pub observed: Vec<Seen>,
    /// Until when it is quiet, as it is written: a day (UTC), which counts to its end, or a time.
    pub until: String,
    /// The first moment at which it is no longer.
    pub ends: jiff::Timestamp,
    /// Why it may stay.
    pub reason: String,
    /// Who said so.
    pub by: Option<String>,
    /// When it was said (RFC 3339).
    pub at: Option<String>,
    /// Where it stands.
    pub location: Option<Location>,
}

impl Acknowledgement {
    /// The address with the path, as people write it.
    pub fn subject(&self) -> String {
        match &self.path {
            None => self.address.to_string(),
            Some(path) if path.starts_with('[') => format!("{}{path}", self.address),
            Some(path) => format!("{}.{path}", self.address),
        }
    }

    /// Whether it speaks of the same as another one.
    pub fn is_about(&self, other: &Acknowledgement) -> bool {
        (&self.stack, &self.address, &self.path, self.drift)
            == (&other.stack, &other.address, &other.path, other.drift)
    }

    /// Whether it speaks of all that another one speaks of.
    pub fn supersedes(&self, other: &Acknowledgement) -> bool {
        let is_of_it =
            (&self.stack, &self.address, self.drift) == (&other.stack, &other.address, other.drift);
        is_of_it
            && match (&self.path, &other.path) {
                (None, _) => true,
                (Some(path), Some(other)) => path::covers(path, other),
                (Some(_), None) => false,
            }
    }
}

/// What was at a path when it was acknowledged.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// The path.
    pub path: String,
    /// What was there, as far as it may be kept.
    pub content: Content,
}

/// What of a value is kept to tell whether it changed again.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Nothing was there.
    Nothing,
    /// The value.
    Value(Json),
    /// A fingerprint of a value that is too long to be read; no secret is in it.
    Fingerprint(String),
    /// It may not be kept: what the service says of who wrote it and since when.
    Secret {
        /// What was said of the write, like `someone wrote version 3 after version 2`.
        note: Option<String>,
        /// Since when it is there.
        since: Option<String>,
    },
}
