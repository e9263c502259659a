//! Earlier runs of a stack: the last ten that changed something.

use super::backend;
use super::error::StoreError;
use super::format;
use super::states::{Store, check_name};
use crate::model::history::Past;
use crate::model::port::Expected;
use crate::model::state;

/// How many runs are kept, the last one among them.
const KEPT: usize = 10;

impl Store {
    /// The runs of a stack that are kept, in order of their serials.
    ///
    /// # Errors
    /// A file that can't be read, is damaged, or of a newer format.
    pub fn history(&self, stack: &str) -> Result<Vec<Past>, StoreError> {
        check_name(stack)?;
        self.check_here_once()?;
        let mut runs = Vec::new();
        for serial in self.serials(stack)? {
            let name = past_name(stack, serial);
            if let Some(found) = self.backend.read(&name)? {
                runs.push(format::past(&self.backend.path(&name), &found.content)?);
            }
        }
        Ok(runs)
    }

    fn serials(&self, stack: &str) -> Result<Vec<u64>, StoreError> {
        let names = self.backend.names(&backend::history(stack))?;
        let mut serials: Vec<u64> =
            names.iter().filter_map(|name| name.strip_suffix(".json")?.parse().ok()).collect();
        serials.sort_unstable();
        Ok(serials)
    }

    /// Whether a run is kept.
    pub(super) fn is_kept(&self, stack: &str, serial: u64) -> Result<bool, StoreError> {
        Ok(self.backend.read(&past_name(stack, serial))?.is_some())
    }

    /// Puts a run into the history, and takes the oldest ones out of it.
    pub(super) fn keep(&self, run: &Past) -> Result<(), StoreError> {
        let (stack, serial) = (&run.state.stack, run.serial());
        if serial == 0 {
            return Ok(());
        }
        let name = past_name(stack, serial);
        let path = self.backend.path(&name);
        self.put_past(stack, &name, format::write_past(run, &path)?.as_bytes())?;
        let serials = self.serials(stack)?;
        for old in serials.iter().rev().filter(|old| **old <= serial).skip(KEPT) {
            self.backend.remove(&past_name(stack, *old), None)?;
        }
        Ok(())
    }

    /// Writes into the history. What is there under that name was written by a run that was
    /// replaced, or killed before its checkpoint: only who still holds the lock replaces it.
    fn put_past(&self, stack: &str, name: &str, content: &[u8]) -> Result<(), StoreError> {
        match self.backend.put(name, content, &Expected::Absent) {
            Err(StoreError::Moved { .. }) => {}
            done => return done.map(drop),
        }
        let there = self.backend.read(name)?.map_or(Expected::Absent, |found| found.expected);
        self.check_held(stack)?;
        self.backend.put(name, content, &there).map(drop)
    }

    /// Keeps a checkpoint of an older format as it is, before it is written in today's.
    pub(super) fn keep_original(&self, stack: &str) -> Result<(), StoreError> {
        let name = backend::checkpoint(stack);
        let Some(found) = self.backend.read(&name)? else { return Ok(()) };
        let Some(version) = format::version(&found.content) else { return Ok(()) };
        if version >= u64::from(state::FORMAT_VERSION) {
            return Ok(());
        }
        let serial = format::state(&self.backend.path(&name), &found.content)?.serial;
        let name = format!("{}{serial}.format-{version}.json", backend::history(stack));
        self.put_past(stack, &name, &found.content)
    }
}

fn past_name(stack: &str, serial: u64) -> String {
    format!("{}{serial}.json", backend::history(stack))
}
