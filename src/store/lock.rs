//! The lock of a stack: an operating system lock, gone with its process. The text in the file is
//! for people.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::model::port::Turns;

use super::error::StoreError;
use super::local::{LocalStore, check_name};

/// How often a lock that is held is tried again.
const POLL: Duration = Duration::from_millis(50);
/// How long a lock is tried for at least: [`LocalStore::holder`] of another process has it for an
/// instant.
const GLANCE: Duration = Duration::from_millis(100);
/// How long a lock is waited for at most, whatever was asked for.
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

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

/// The locks of a run, released when dropped, or by the operating system when the process ends.
#[derive(Debug)]
pub struct Lock {
    files: Vec<File>,
}

impl Drop for Lock {
    fn drop(&mut self) {
        for file in &self.files {
            // The text is for people only: one that stays behind means nothing.
            let _ = file.set_len(0);
            let _ = file.unlock();
        }
    }
}

impl LocalStore {
    /// The file of a stack's lock.
    pub fn lock_path(&self, stack: &str) -> PathBuf {
        self.dir().join(format!("{stack}.lock"))
    }

    /// Who holds the lock of a stack, if anyone does. Takes nothing.
    ///
    /// # Errors
    /// The lock's file can't be looked at, so that nobody knows.
    pub fn holder(&self, stack: &str) -> Result<Option<String>, StoreError> {
        let path = self.lock_path(stack);
        let mut file = match OpenOptions::new().read(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(StoreError::Read { path, source }),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(None),
            Err(TryLockError::WouldBlock) => Ok(Some(holder(&mut file))),
            Err(TryLockError::Error(source)) => Err(StoreError::Read { path, source }),
        }
    }

    /// Locks stacks, all or none, waiting up to `timeout` for others to let go of them.
    ///
    /// # Errors
    /// The first lock that is held beyond the timeout; a file that can't be used.
    pub fn lock(
        &self,
        stacks: &[&str],
        info: &LockInfo,
        timeout: Duration,
    ) -> Result<Lock, LockError> {
        // In order of names, so that two runs never wait for one another.
        let mut stacks = stacks.to_vec();
        stacks.sort_unstable();
        stacks.dedup();
        let deadline = Instant::now() + timeout.clamp(GLANCE, YEAR);
        let mut lock = Lock { files: Vec::new() };
        for stack in stacks {
            check_name(stack)?;
            lock.files.push(take(stack, &self.lock_path(stack), info, deadline)?);
            self.sweep(stack)?;
        }
        Ok(lock)
    }
}

impl Turns for LocalStore {
    /// A lock like that of a stack; nothing is written into it, since nobody is told who has it.
    fn take(&self, name: &str) -> io::Result<Option<Box<dyn Send>>> {
        check_name(name).map_err(io::Error::other)?;
        let path = self.lock_path(name);
        std::fs::create_dir_all(super::files::parent(&path))?;
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

fn take(stack: &str, path: &Path, info: &LockInfo, deadline: Instant) -> Result<File, LockError> {
    let failed = |source: io::Error| StoreError::Write { path: path.to_owned(), source };
    std::fs::create_dir_all(super::files::parent(path)).map_err(failed)?;
    let mut options = OpenOptions::new();
    let mut file =
        options.create(true).truncate(false).read(true).write(true).open(path).map_err(failed)?;
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::Error(error)) => return Err(failed(error).into()),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                let (stack, path) = (stack.to_owned(), path.to_owned());
                return Err(Locked { stack, path, holder: holder(&mut file) }.into());
            }
            Err(TryLockError::WouldBlock) => {
                std::thread::sleep(POLL.min(deadline.saturating_duration_since(Instant::now())));
            }
        }
    }
    let written = (|| -> io::Result<()> {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{info}")?;
        file.flush()
    })();
    written.map_err(failed)?;
    Ok(file)
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    match file.rewind().and_then(|()| file.read_to_string(&mut text)) {
        Ok(_) if !text.trim().is_empty() => text.trim().to_owned(),
        _ => "another run, which has not said who it is".to_owned(),
    }
}
