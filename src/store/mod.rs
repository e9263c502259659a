//! State, journal, locks and saved plans: on disk, or where several machines share them.
//!
//! A state is a checkpoint (`<stack>.json`) plus the fold of the journal after it
//! (`<stack>.journal`). Everything written here is durable when the function returns.

mod backend;
mod calls;
mod claims;
mod disk;
mod error;
mod files;
mod format;
mod history;
mod journal;
mod lease;
mod lock;
mod marks;
mod moving;
mod notes;
mod plans;
mod remote;
mod renaming;
mod schema;
mod sealed;
mod standing;
mod states;
mod waiting;

pub use error::StoreError;
pub use journal::StoreJournal;
pub use lease::{Timing as LeaseTiming, give_back_leases};
pub use lock::{Lock, LockError, LockInfo, Locked};
pub use marks::Moving;
pub use moving::{Moved, Mover, Named, migrate, reseal};
pub use plans::{load_plan, save_plan};
pub use schema::{history_schema, plan_schema, state_schema};
pub use states::{Loaded, Store};

#[cfg(test)]
mod documents;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod moving_tests;
#[cfg(test)]
mod shared_tests;
#[cfg(test)]
mod tests;
