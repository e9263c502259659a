//! What a place says of itself: that its states were moved elsewhere, or are being moved.

use serde::{Deserialize, Serialize};

use super::error::StoreError;
use super::states::Store;
use crate::model::port::Expected;

/// The document. No stack can be named so, and it is never sealed.
const NAME: &str = ".moved";
/// The version of its format.
const FORMAT_VERSION: u32 = 1;

/// Where a place stands in a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Moving {
    /// Its states are being moved away: they are whole here, and may be written elsewhere already.
    Leaving,
    /// Its states are gone: what is here is an old copy.
    Left,
    /// States are being moved here: not all of them are here yet.
    Arriving,
}

/// What a place says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The version of the format.
    pub format_version: u32,
    /// Where it stands.
    pub moving: Moving,
    /// Which move this is: both places say the same.
    pub id: String,
    /// The other place, for people.
    pub place: String,
    /// Whether what was there before is an old copy: it is replaced.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replaces: bool,
    /// Since when (RFC 3339).
    pub at: String,
}

impl Mark {
    pub(super) fn new(moving: Moving, place: &str, at: &str) -> Mark {
        let (place, at) = (place.to_owned(), at.to_owned());
        let id = uuid::Uuid::new_v4().to_string();
        Mark { format_version: FORMAT_VERSION, moving, id, place, replaces: false, at }
    }
}

impl Store {
    /// What the place says of itself.
    pub(super) fn mark(&self) -> Result<Option<Mark>, StoreError> {
        let Some(found) = self.backend.read(NAME)? else { return Ok(None) };
        let path = self.backend.path(NAME);
        let mark: Mark = serde_json::from_slice(&found.content).map_err(|source| {
            StoreError::Malformed { path: path.clone(), what: "mark of a move", source }
        })?;
        if mark.format_version > FORMAT_VERSION {
            let (found, known) = (u64::from(mark.format_version), FORMAT_VERSION);
            return Err(StoreError::Newer { path, found, known });
        }
        Ok(Some(mark))
    }

    /// Has the place say something of itself, or nothing.
    pub(super) fn set_mark(&self, mark: Option<&Mark>) -> Result<(), StoreError> {
        let Some(mark) = mark else { return self.backend.remove(NAME, None) };
        let path = self.backend.path(NAME);
        let mut text = serde_json::to_vec_pretty(mark)
            .map_err(|error| StoreError::Write { path, source: error.into() })?;
        text.push(b'\n');
        let there = self.backend.read(NAME)?.map_or(Expected::Absent, |found| found.expected);
        self.backend.put(NAME, &text, &there).map(drop)
    }

    /// Fails where the states are not here any more, or not yet.
    ///
    /// # Errors
    /// [`StoreError::Elsewhere`], and a place that can't be read.
    pub(super) fn check_here(&self) -> Result<(), StoreError> {
        if self.is_moving {
            return Ok(());
        }
        match self.mark()? {
            None => Ok(()),
            Some(mark) => Err(StoreError::Elsewhere {
                path: self.backend.path(""),
                moving: mark.moving,
                place: mark.place,
                at: mark.at,
            }),
        }
    }

    /// As [`Store::check_here`], once.
    pub(super) fn check_here_once(&self) -> Result<(), StoreError> {
        if self.here.get().is_none() {
            self.check_here()?;
            // Another thread may have been quicker.
            let _ = self.here.set(());
        }
        Ok(())
    }
}
