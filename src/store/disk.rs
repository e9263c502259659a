//! States in a directory, under the locks of the operating system: gone with their process.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::backend::{self, Backend, Document, Durable, Telling};
use super::claims::Claims;
use super::error::StoreError;
use super::files;
use super::lock::{Lock, LockError, LockInfo, Locked};
use crate::model::port::{Expected, Turn};

/// How often a lock that is held is tried again.
const POLL: Duration = Duration::from_millis(50);
/// How long a lock is tried for at least: a look at who holds it has it for an instant.
const GLANCE: Duration = Duration::from_millis(100);
/// How long a lock is waited for at most, whatever was asked for.
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// A directory, which need not exist yet.
#[derive(Debug)]
pub(super) struct Disk {
    dir: PathBuf,
}

impl Disk {
    pub(super) fn new(dir: PathBuf) -> Disk {
        Disk { dir }
    }
}

impl Backend for Disk {
    fn is_shared(&self) -> bool {
        false
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn read(&self, name: &str) -> Result<Option<Document>, StoreError> {
        // Whoever writes holds the lock: there is nothing to expect.
        let document = |content| Document { content, expected: Expected::Absent };
        Ok(files::read(&self.path(name))?.map(document))
    }

    fn put(&self, name: &str, content: &[u8], expected: &Expected) -> Result<Expected, StoreError> {
        files::replace(&self.path(name), content)?;
        Ok(expected.clone())
    }

    fn appender(
        self: Arc<Self>,
        name: &str,
        content: Vec<u8>,
        is_torn: bool,
        _claims: &Claims,
    ) -> Result<Box<dyn Durable>, StoreError> {
        let path = self.path(name);
        let opened = (|| -> io::Result<File> {
            let file = OpenOptions::new().append(true).open(&path)?;
            if is_torn {
                file.set_len(content.len() as u64)?;
                file.sync_all()?;
            }
            Ok(file)
        })();
        match opened {
            Ok(file) => Ok(Box::new(file)),
            Err(source) => Err(StoreError::Write { path, source }),
        }
    }

    fn remove(&self, name: &str, _expected: Option<&Expected>) -> Result<(), StoreError> {
        files::remove(&self.path(name))
    }

    fn names(&self, dir: &str) -> Result<Vec<String>, StoreError> {
        files::names(&self.path(dir))
    }

    fn sweep(&self, stack: &str) -> Result<(), StoreError> {
        files::sweep(&self.path(&backend::checkpoint(stack)))?;
        files::sweep(&self.path(&backend::journal(stack)))?;
        files::sweep_all(&self.path(&backend::history(stack)))
    }

    fn lock(
        &self,
        stacks: &[&str],
        info: &LockInfo,
        timeout: Duration,
        tell: Telling<'_>,
    ) -> Result<Lock, LockError> {
        let mut locks = Locks { files: Vec::new() };
        let mut timeout = Some(timeout).filter(|timeout| !timeout.is_zero());
        for stack in stacks {
            let path = self.path(&backend::lock(stack));
            let mut taken = take(stack, &path, info, Instant::now() + GLANCE);
            if let (Err(LockError::Held(held)), Some(time)) = (&taken, timeout) {
                tell(&format!("{held}: waiting up to {time:?} for it"));
                let deadline = Instant::now() + time.min(YEAR);
                taken = take(stack, &path, info, deadline);
                timeout = Some(deadline.saturating_duration_since(Instant::now()))
                    .filter(|left| !left.is_zero());
            }
            locks.files.push(taken?);
        }
        Ok(Lock::new(locks))
    }

    /// A lock like that of a stack; nothing is written into it, since nobody is told who has it.
    fn turn(&self, name: &str) -> Result<Option<Box<dyn Turn>>, StoreError> {
        let path = self.path(&backend::lock(name));
        let opened = std::fs::create_dir_all(files::parent(&path))
            .and_then(|()| OpenOptions::new().create(true).truncate(false).write(true).open(&path));
        let failed = |source| StoreError::Write { path: path.clone(), source };
        let file = opened.map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    fn holder(&self, stack: &str) -> Result<Option<String>, StoreError> {
        let path = self.path(&backend::lock(stack));
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

    fn free(&self, _stack: &str) -> Result<Option<String>, StoreError> {
        Ok(None)
    }

    fn everything(&self) -> Result<Vec<String>, StoreError> {
        let mut dirs = vec![String::new(), backend::NOTES.to_owned()];
        for stack in files::dirs(&self.path(backend::HISTORY))? {
            dirs.push(backend::history(&stack));
        }
        let mut all = Vec::new();
        for dir in dirs {
            let names = self.names(&dir)?.into_iter().filter(|name| !name.ends_with(backend::LOCK));
            all.extend(names.map(|name| format!("{dir}{name}")));
        }
        Ok(all)
    }
}

impl Turn for File {
    fn check(&self) -> io::Result<()> {
        // It is gone with this process, and not before.
        Ok(())
    }
}

impl Durable for File {
    fn add(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

/// Locks that go with the process, or when this is dropped.
#[derive(Debug)]
struct Locks {
    files: Vec<File>,
}

impl Drop for Locks {
    fn drop(&mut self) {
        for file in &self.files {
            // The text is for people only: one that stays behind means nothing.
            let _ = file.set_len(0);
            let _ = file.unlock();
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
