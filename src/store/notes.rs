//! What is kept beside the states and is no state: one document by name for the whole project,
//! written without a lock.

use super::backend::NOTES;
use super::error::StoreError;
use super::states::{Store, check_name};
use crate::model::port::Expected;

/// How often a note is written again that others write at the same time.
const ATTEMPTS: usize = 8;

impl Store {
    /// What a note is called among the objects of a store.
    pub fn note_name(name: &str) -> String {
        note(name)
    }

    /// Where a note is.
    pub fn note_path(&self, name: &str) -> std::path::PathBuf {
        self.backend.path(&note(name))
    }

    /// Reads a note; None where there is none.
    ///
    /// # Errors
    /// It can't be read, or its name can't be a file's.
    pub fn read_note(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        check_name(name)?;
        Ok(self.backend.read(&note(name))?.map(|found| found.content))
    }

    /// Writes a note whole; the last who writes it wins. No lock is taken, and nothing else is
    /// written.
    ///
    /// # Errors
    /// It can't be written, or its name can't be a file's.
    pub fn put_note(&self, name: &str, content: &[u8]) -> Result<(), StoreError> {
        check_name(name)?;
        let name = note(name);
        let mut attempt = 1;
        loop {
            let there = self.backend.read(&name)?.map_or(Expected::Absent, |found| found.expected);
            match self.backend.put(&name, content, &there) {
                Err(StoreError::Moved { .. }) if attempt < ATTEMPTS => attempt += 1,
                done => return done.map(drop),
            }
        }
    }
}

fn note(name: &str) -> String {
    format!("{NOTES}{name}.json")
}
