//! A stack that gets another name.

use super::backend;
use super::error::StoreError;
use super::format;
use super::journal;
use super::states::{Store, begin_entry, check_name};
use crate::model::journal::{Entry, OpenIntent};
use crate::model::port::Expected;
use crate::model::state::State;

impl Store {
    /// Whether a run of the stack has begun under this name: a stack that is being renamed has its
    /// state under the earlier name until then, whatever checkpoint is there.
    ///
    /// # Errors
    /// The place can't be read.
    pub fn has_begun(&self, stack: &str) -> Result<bool, StoreError> {
        check_name(stack)?;
        Ok(self.backend.read(&backend::journal(stack))?.is_some())
    }

    /// Puts the state of a stack that had another name under its name now, with the calls of which
    /// it is not known what became of them; their new numbers come back. What is there under the
    /// earlier name stays until [`Store::remove`]. The locks of both names are held.
    ///
    /// # Errors
    /// A document that can't be written; [`StoreError::Moved`] where another run did it meanwhile.
    pub fn take_name(
        &self,
        state: &State,
        open: &[OpenIntent],
    ) -> Result<Vec<OpenIntent>, StoreError> {
        let stack = &state.stack;
        check_name(stack)?;
        // The checkpoint first, which a rename that was cut short may have left: without a journal
        // beside it, nobody takes it for the state.
        let (name, path) = (backend::checkpoint(stack), self.checkpoint_path(stack));
        if let Some(found) = self.backend.read(&name)? {
            let there = format::state(&path, &found.content)?;
            if there.lineage != state.lineage {
                let (found, expected) = (there.lineage, state.lineage.clone());
                let journal = self.journal_path(stack);
                return Err(StoreError::OtherLineage {
                    journal,
                    checkpoint: path,
                    found: expected,
                    expected: found,
                });
            }
            self.claims.set(&name, found.expected);
        }
        self.put(stack, &name, format::write_state(state, &path)?.as_bytes())?;
        let (name, path) = (backend::journal(stack), self.journal_path(stack));
        let mut entries = vec![begin_entry(state)];
        entries.extend(open.iter().map(|open| Entry::Intent(Box::new(open.intent.clone()))));
        self.claims.set(&name, Expected::Absent);
        let begun = journal::text(&path, entries, state.journal + 1)?;
        self.put(stack, &name, begun.as_bytes())?;
        let numbered = (state.journal + 2..).zip(open);
        Ok(numbered.map(|(number, open)| OpenIntent { number, ..open.clone() }).collect())
    }
}
