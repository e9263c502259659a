//! The lock of a stack: whose it is, and what keeps it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::error::StoreError;
use super::standing::Standing;

/// Who holds a lock, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockInfo {
    /// The machine.
    pub host: String,
    /// The user.
    pub user: String,
    /// The subcommand with its stacks: `apply openhands`.
    pub command: String,
    /// Since when (RFC 3339).
    pub since: String,
}

impl LockInfo {
    /// This machine and user, with what they are about to do.
    pub fn of_this_process(command: impl Into<String>, since: impl Into<String>) -> Self {
        LockInfo { host: host(), user: user(), command: command.into(), since: since.into() }
    }
}

impl fmt::Display for LockInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`boxctl {}` of {} on {} (process {}), since {}",
            self.command,
            self.user,
            self.host,
            std::process::id(),
            self.since
        )
    }
}

fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("HOSTNAME").ok())
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "this machine".to_owned())
}

fn user() -> String {
    ["USER", "LOGNAME", "USERNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
        .unwrap_or_else(|| "an unnamed user".to_owned())
}

/// A lock that another run holds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the state of `{stack}` is locked by {holder}")]
pub struct Locked {
    /// The stack.
    pub stack: String,
    /// The lock's file.
    pub path: PathBuf,
    /// Who holds it: command, user, host, since when.
    pub holder: String,
}

/// Why a lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another run holds it.
    #[error(transparent)]
    Held(#[from] Locked),
    /// The lock's file can't be used.
    #[error(transparent)]
    Failed(#[from] StoreError),
}

/// The locks of a run, released when dropped.
pub struct Lock {
    /// What lets go of them when it is dropped itself.
    _held: Box<dyn std::any::Any + Send + Sync>,
    /// What is known of those that others can take over, by stack.
    pub(super) standings: Vec<(String, Arc<Standing>)>,
    /// The stacks whose locks were others' until now.
    pub(super) taken_over: Vec<String>,
}

impl Lock {
    /// A lock that is held for as long as `held` lives.
    pub(super) fn new(held: impl std::any::Any + Send + Sync) -> Lock {
        Lock { _held: Box::new(held), standings: Vec::new(), taken_over: Vec::new() }
    }

    /// The same, of leases: with what is known of each, and which were others'.
    pub(super) fn of_leases(
        self,
        standings: Vec<(String, Arc<Standing>)>,
        taken_over: Vec<String>,
    ) -> Lock {
        Lock { standings, taken_over, ..self }
    }
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lock")
    }
}
