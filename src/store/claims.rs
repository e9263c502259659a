//! Writing where several machines share the states: every write is conditional on the one before
//! it, so that a run whose lock was taken over while it was paused fails to write.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::backend;
use super::error::StoreError;
use super::format;
use super::journal::{self, Text};
use super::states::{Store, begin_entry};
use crate::model::port::Expected;
use crate::model::state::State;

/// What this process wrote last of documents that several machines share: what its next writes
/// expect to be there.
#[derive(Clone, Debug, Default)]
pub(super) struct Claims(Arc<Mutex<BTreeMap<String, Expected>>>);

impl Claims {
    /// What a write of a document has to expect; None where nothing was claimed.
    pub(super) fn get(&self, name: &str) -> Option<Expected> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Keeps what the next write has to expect.
    pub(super) fn set(&self, name: &str, expected: Expected) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), expected);
    }

    /// Claims a document no more.
    pub(super) fn forget(&self, name: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}

impl Store {
    /// Writes what only the holder of the lock writes.
    pub(super) fn put(&self, name: &str, content: &[u8]) -> Result<(), StoreError> {
        let expected = self.claims.get(name).unwrap_or(Expected::Absent);
        let next = self.backend.put(name, content, &expected)?;
        self.claims.set(name, next);
        Ok(())
    }

    /// Whether a document is as this process wrote it last.
    fn is_last(&self, name: &str, found: &Expected) -> bool {
        self.claims.get(name).as_ref() == Some(found)
    }

    /// Whether this process has put a stack's documents there as their holder.
    pub(super) fn is_claimed(&self, stack: &str) -> bool {
        !self.backend.is_shared() || self.claims.get(&backend::checkpoint(stack)).is_some()
    }

    /// Reads a stack's journal for writing. Where others share it, journal and checkpoint are put
    /// there again as they are, first: that fails where the lock was taken over, and makes whoever
    /// held it before fail from then on.
    pub(super) fn claim(&self, state: &State) -> Result<(Vec<u8>, Text), StoreError> {
        let stack = &state.stack;
        let (name, path) = (backend::journal(stack), self.journal_path(stack));
        let found = self.backend.read(&name)?;
        let mut content = found.as_ref().map(|found| found.content.clone()).unwrap_or_default();
        let mut text = Text::read(&path, &content)?;
        self.check_fit(state, &text)?;
        if !self.backend.is_shared() {
            return Ok((content, text));
        }
        // What this process wrote itself, it knows; what another has, it must have read.
        let is_own = found.as_ref().is_some_and(|found| self.is_last(&name, &found.expected));
        if !is_own && text.last().is_some_and(|last| last != state.journal) {
            return Err(StoreError::Moved { path });
        }
        if text.records.is_empty() {
            content = journal::text(&path, vec![begin_entry(state)], state.journal + 1)?.into();
        } else {
            content.truncate(text.whole);
        }
        self.claims.set(&name, found.map_or(Expected::Absent, |found| found.expected));
        self.put(&name, &content)?;
        text = Text::read(&path, &content)?;
        // Only now: what an earlier holder did to the checkpoint before this is there to be seen,
        // and it can do nothing to it after.
        let (name, path) = (backend::checkpoint(stack), self.checkpoint_path(stack));
        let found = self.backend.read(&name)?;
        let checkpoint = match &found {
            Some(found) if format::state(&path, &found.content)?.serial > state.serial => {
                return Err(StoreError::Moved { path });
            }
            Some(found) => found.content.clone(),
            None => format::write_state(state, &path)?.into(),
        };
        self.claims.set(&name, found.map_or(Expected::Absent, |found| found.expected));
        self.put(&name, &checkpoint)?;
        Ok((content, text))
    }

    /// Fails where the lock was taken over.
    pub(super) fn check_held(&self, stack: &str) -> Result<(), StoreError> {
        let name = backend::journal(stack);
        match self.backend.read(&name)? {
            Some(found) if self.backend.is_shared() => self.put(&name, &found.content),
            _ => Ok(()),
        }
    }
}
