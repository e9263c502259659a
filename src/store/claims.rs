//! Writing where several machines share the states: every write is conditional on the one before
//! it, so that a run whose lock was taken over while it was paused fails to write.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::backend::{self, Backend};
use super::error::StoreError;
use super::format;
use super::journal::{self, Text};
use super::standing::Standing;
use super::states::{Store, begin_entry};
use crate::model::port::Expected;
use crate::model::state::State;

/// How often a document is put there again that its holder writes meanwhile.
const ATTEMPTS: usize = 8;

/// What this process holds of documents that several machines share.
#[derive(Clone, Debug, Default)]
pub(super) struct Claims(Arc<Mutex<Held>>);

#[derive(Debug, Default)]
struct Held {
    /// What it wrote last: what its next writes expect to be there.
    written: BTreeMap<String, Expected>,
    /// What it knows of its locks, by stack.
    locks: BTreeMap<String, Arc<Standing>>,
}

impl Claims {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a write of a document has to expect; None where nothing was claimed.
    pub(super) fn get(&self, name: &str) -> Option<Expected> {
        self.held().written.get(name).cloned()
    }

    /// Keeps what the next write has to expect.
    pub(super) fn set(&self, name: &str, expected: Expected) {
        self.held().written.insert(name.to_owned(), expected);
    }

    /// Claims a document no more.
    pub(super) fn forget(&self, name: &str) {
        self.held().written.remove(name);
    }

    /// Keeps what is known of a stack's lock.
    pub(super) fn hold(&self, stack: &str, standing: &Arc<Standing>) {
        self.held().locks.insert(stack.to_owned(), Arc::clone(standing));
    }

    /// What is known of all locks.
    pub(super) fn standings(&self) -> Vec<Arc<Standing>> {
        self.held().locks.values().cloned().collect()
    }

    /// What is known of a stack's lock.
    pub(super) fn standing(&self, stack: &str) -> Option<Arc<Standing>> {
        self.held().locks.get(stack).cloned()
    }

    /// A write of a stack's that was refused, with who has its lock instead.
    pub(super) fn named(
        &self,
        backend: &dyn Backend,
        stack: &str,
        error: StoreError,
    ) -> StoreError {
        if !matches!(error, StoreError::Moved { .. }) {
            return error;
        }
        let own = self.standing(stack);
        let is_own = |by: &String| own.as_ref().is_some_and(|own| own.holder == *by);
        match backend.holder(stack) {
            Ok(Some(by)) if !is_own(&by) => {
                StoreError::Replaced { stack: stack.to_owned(), by: Some(by) }
            }
            _ => error,
        }
    }
}

impl Store {
    /// Writes what only the holder of a stack's lock writes.
    pub(super) fn put(&self, stack: &str, name: &str, content: &[u8]) -> Result<(), StoreError> {
        let expected = self.claims.get(name).unwrap_or(Expected::Absent);
        let put = self.backend.put(name, content, &expected);
        let next = put.map_err(|error| self.claims.named(self.backend.as_ref(), stack, error))?;
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
        if !self.backend.is_shared() {
            self.check_fit(state, &text)?;
            return Ok((content, text));
        }
        let moved = |path| {
            let moved = StoreError::Moved { path };
            Err(self.claims.named(self.backend.as_ref(), stack, moved))
        };
        // What this process wrote itself, it knows; what another has, it must have read.
        let is_own = found.as_ref().is_some_and(|found| self.is_last(&name, &found.expected));
        if !is_own && text.last().is_some_and(|last| last != state.journal) {
            return moved(path);
        }
        self.check_fit(state, &text)?;
        if text.records.is_empty() {
            content = journal::text(&path, vec![begin_entry(state)], state.journal + 1)?.into();
        } else {
            content.truncate(text.whole);
        }
        self.claims.set(&name, found.map_or(Expected::Absent, |found| found.expected));
        self.put(stack, &name, &content)?;
        text = Text::read(&path, &content)?;
        // Only now: what an earlier holder did to the checkpoint before this is there to be seen,
        // and it can do nothing to it after.
        let (name, path) = (backend::checkpoint(stack), self.checkpoint_path(stack));
        let found = self.backend.read(&name)?;
        let checkpoint = match &found {
            Some(found) if format::state(&path, &found.content)?.serial > state.serial => {
                return moved(path);
            }
            Some(found) => found.content.clone(),
            None => format::write_state(state, &path)?.into(),
        };
        self.claims.set(&name, found.map_or(Expected::Absent, |found| found.expected));
        self.put(stack, &name, &checkpoint)?;
        Ok((content, text))
    }

    /// Puts a stack's documents there again as they are, so that whoever held its lock before fails
    /// to write from now on. Nothing is claimed by it: what is there has still to be read.
    pub(super) fn fence(&self, stack: &str) -> Result<(), StoreError> {
        for name in [backend::journal(stack), backend::checkpoint(stack)] {
            let mut attempt = 1;
            while let Some(found) = self.backend.read(&name)? {
                match self.backend.put(&name, &found.content, &found.expected) {
                    Err(StoreError::Moved { .. }) if attempt < ATTEMPTS => attempt += 1,
                    Err(error) => return Err(error),
                    Ok(_) => break,
                }
            }
        }
        Ok(())
    }

    /// Fails where the lock was taken over.
    pub(super) fn check_held(&self, stack: &str) -> Result<(), StoreError> {
        let name = backend::journal(stack);
        match self.backend.read(&name)? {
            Some(found) if self.backend.is_shared() => self.put(stack, &name, &found.content),
            _ => Ok(()),
        }
    }

    /// Takes the lock of a stack from whoever holds it, whom this names: it writes nothing more.
    /// None where nobody holds it, or where a lock can't be taken from its holder.
    ///
    /// # Errors
    /// [`StoreError::Moved`] where its holder writes meanwhile; a place that can't be used.
    pub fn unlock(&self, stack: &str) -> Result<Option<String>, StoreError> {
        super::states::check_name(stack)?;
        if !self.backend.is_shared() {
            return Ok(None);
        }
        self.fence(stack)?;
        self.backend.free(stack)
    }
}
