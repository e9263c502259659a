//! Earlier runs of a stack: the last ten that changed something.

use std::path::PathBuf;

use super::error::StoreError;
use super::{LocalStore, files, format, local};
use crate::model::history::Past;
use crate::model::state;

/// How many runs are kept, the last one among them.
const KEPT: usize = 10;

impl LocalStore {
    /// The directory of a stack's earlier runs.
    pub fn history_dir(&self, stack: &str) -> PathBuf {
        self.dir().join("history").join(stack)
    }

    /// The runs of a stack that are kept, in order of their serials.
    ///
    /// # Errors
    /// A file that can't be read, is damaged, or of a newer format.
    pub fn history(&self, stack: &str) -> Result<Vec<Past>, StoreError> {
        local::check_name(stack)?;
        let mut runs = Vec::new();
        for serial in self.serials(stack)? {
            let path = self.past_path(stack, serial);
            if let Some(content) = files::read(&path)? {
                runs.push(format::past(&path, &content)?);
            }
        }
        Ok(runs)
    }

    fn past_path(&self, stack: &str, serial: u64) -> PathBuf {
        self.history_dir(stack).join(format!("{serial}.json"))
    }

    fn serials(&self, stack: &str) -> Result<Vec<u64>, StoreError> {
        let names = files::names(&self.history_dir(stack))?;
        let mut serials: Vec<u64> =
            names.iter().filter_map(|name| name.strip_suffix(".json")?.parse().ok()).collect();
        serials.sort_unstable();
        Ok(serials)
    }

    /// Whether a run is kept.
    pub(super) fn is_kept(&self, stack: &str, serial: u64) -> bool {
        self.past_path(stack, serial).exists()
    }

    /// Puts a run into the history, and takes the oldest ones out of it.
    pub(super) fn keep(&self, run: &Past) -> Result<(), StoreError> {
        let (stack, serial) = (&run.state.stack, run.serial());
        if serial == 0 {
            return Ok(());
        }
        let path = self.past_path(stack, serial);
        files::replace(&path, format::write_past(run, &path)?.as_bytes())?;
        let serials = self.serials(stack)?;
        for old in serials.iter().rev().filter(|old| **old <= serial).skip(KEPT) {
            files::remove(&self.past_path(stack, *old))?;
        }
        Ok(())
    }

    /// Keeps a checkpoint of an older format as it is, before it is written in today's.
    pub(super) fn keep_original(&self, stack: &str) -> Result<(), StoreError> {
        let path = self.checkpoint_path(stack);
        let Some(content) = files::read(&path)? else { return Ok(()) };
        let Some(version) = format::version(&content) else { return Ok(()) };
        if version >= u64::from(state::FORMAT_VERSION) {
            return Ok(());
        }
        let serial = format::state(&path, &content)?.serial;
        let name = format!("{serial}.format-{version}.json");
        files::replace(&self.history_dir(stack).join(name), &content)
    }
}
