//! State, journal, locks and saved plans on disk.
//!
//! A state is a checkpoint (`<stack>.json`) plus the fold of the journal after it
//! (`<stack>.journal`). Everything written here is durable when the function returns.

mod error;
mod files;
mod format;
mod history;
mod journal;
mod local;
mod lock;
mod plans;
mod schema;

pub use error::StoreError;
pub use journal::LocalJournal;
pub use local::{Loaded, LocalStore};
pub use lock::{Lock, LockError, LockInfo, Locked};
pub use plans::{load_plan, save_plan};
pub use schema::{history_schema, plan_schema, state_schema};

#[cfg(test)]
mod documents;
#[cfg(test)]
mod tests;
