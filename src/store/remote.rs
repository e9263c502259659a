//! States as objects that several machines share.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::backend::{self, Backend, Document, Durable, Telling};
pub(super) use super::calls::Calls;
use super::calls::{PROBE, Runtime, TIMES};
use super::claims::Claims;
use super::error::StoreError;
use super::lease::{self, Attempt, Lease, Watched};
use super::lock::{Lock, LockError, LockInfo};
use super::waiting;
use crate::model::port::{Expected, KeepError, Objects, Put, Turn};

/// How long a lock is waited for at most, whatever was asked for.
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// Objects that several machines share.
pub(super) struct Remote {
    pub(super) calls: Calls,
    probed: Mutex<bool>,
    /// The turns of others that this process waits for.
    watched: Mutex<BTreeMap<String, Option<Watched>>>,
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Remote").field(&self.calls.place("")).finish()
    }
}

impl Remote {
    pub(super) fn new(objects: Arc<dyn Objects>, timing: lease::Timing) -> io::Result<Remote> {
        let calls = Calls::new(objects, Runtime::start()?, timing);
        Ok(Remote { calls, probed: Mutex::new(false), watched: Mutex::default() })
    }

    fn failed(&self, name: &str, error: KeepError) -> StoreError {
        StoreError::Remote { path: self.path(name), source: error }
    }

    /// Proves once that writes are refused whose conditions do not hold.
    ///
    /// # Errors
    /// They are done all the same.
    fn probe(&self) -> Result<(), StoreError> {
        let mut probed = self.probed.lock().unwrap_or_else(PoisonError::into_inner);
        if *probed {
            return Ok(());
        }
        let calls = self.calls.clone();
        let mut attempt = 1;
        loop {
            let calls = calls.clone();
            match self.calls.wait(async move { calls.probe().await }) {
                Ok(true) => break *probed = true,
                Ok(false) => return Err(StoreError::Unconditional { path: self.path("") }),
                Err(error) if error.is_passing && attempt < TIMES => attempt += 1,
                Err(error) => return Err(self.failed(PROBE, error)),
            }
        }
        Ok(())
    }

    fn all(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let (calls, of) = (self.calls.clone(), prefix.to_owned());
        let names = self.calls.wait(async move { calls.list(&of).await });
        names.map_err(|error| self.failed(prefix, error))
    }
}

impl Backend for Remote {
    fn is_shared(&self) -> bool {
        true
    }

    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from(self.calls.place(name))
    }

    fn read(&self, name: &str) -> Result<Option<Document>, StoreError> {
        let (calls, of) = (self.calls.clone(), name.to_owned());
        let found = self.calls.wait(async move { calls.read(&of).await });
        found.map_err(|error| self.failed(name, error))
    }

    fn put(&self, name: &str, content: &[u8], expected: &Expected) -> Result<Expected, StoreError> {
        let (calls, of) = (self.calls.clone(), name.to_owned());
        let (content, expected) = (content.to_vec(), expected.clone());
        match self.calls.wait(async move { calls.put(&of, &content, &expected).await }) {
            Ok(Some(next)) => Ok(next),
            Ok(None) => Err(StoreError::Moved { path: self.path(name) }),
            Err(error) => Err(self.failed(name, error)),
        }
    }

    fn appender(
        self: Arc<Self>,
        name: &str,
        content: Vec<u8>,
        is_torn: bool,
        claims: &Claims,
    ) -> Result<Box<dyn Durable>, StoreError> {
        debug_assert!(!is_torn, "an object is there whole or not at all");
        Ok(Box::new(Whole::of(self, name, content, claims)))
    }

    fn remove(&self, name: &str, expected: Option<&Expected>) -> Result<(), StoreError> {
        let expected = match expected {
            Some(expected) => expected.clone(),
            None => self.read(name)?.map_or(Expected::Absent, |found| found.expected),
        };
        let Expected::Version(version) = expected else { return Ok(()) };
        let (calls, of) = (self.calls.clone(), name.to_owned());
        match self.calls.wait(async move { calls.remove(&of, &version).await }) {
            Ok(Put::Done(_)) => Ok(()),
            Ok(Put::Moved) => Err(StoreError::Moved { path: self.path(name) }),
            Err(error) => Err(self.failed(name, error)),
        }
    }

    fn names(&self, dir: &str) -> Result<Vec<String>, StoreError> {
        let names = self.all(dir)?;
        let within = names.iter().filter_map(|name| name.strip_prefix(dir));
        Ok(within.filter(|name| !name.contains('/')).map(str::to_owned).collect())
    }

    fn sweep(&self, _stack: &str) -> Result<(), StoreError> {
        Ok(())
    }

    fn lock(
        &self,
        stacks: &[&str],
        info: &LockInfo,
        timeout: Duration,
        tell: Telling<'_>,
    ) -> Result<Lock, LockError> {
        self.probe()?;
        let deadline = Instant::now() + timeout.min(YEAR);
        let (mut leases, mut standings, mut taken_over) = (Vec::new(), Vec::new(), Vec::new());
        let all = waiting::take_all(self, stacks, info, deadline, tell)?;
        for (stack, taken) in stacks.iter().zip(all) {
            standings.push(((*stack).to_owned(), Arc::clone(&taken.lease.standing)));
            if taken.is_taken_over {
                taken_over.push((*stack).to_owned());
            }
            leases.push(taken.lease);
        }
        Ok(Lock::new(leases).of_leases(standings, taken_over))
    }

    fn turn(&self, name: &str) -> Result<Option<Box<dyn Turn>>, StoreError> {
        self.probe()?;
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let watch = watched.entry(name.to_owned()).or_default();
        let info = LockInfo::of_this_process(format!("turn {name}"), Timestamp::now().to_string());
        Ok(match Lease::attempt(self, name, &info, watch)? {
            Attempt::Taken(lease) => {
                watched.remove(name);
                Some(Box::new(lease))
            }
            Attempt::Held(_) => None,
        })
    }

    fn holder(&self, stack: &str) -> Result<Option<String>, StoreError> {
        lease::holder(self, stack)
    }

    fn free(&self, stack: &str) -> Result<Option<String>, StoreError> {
        lease::free(self, stack)
    }

    fn everything(&self) -> Result<Vec<String>, StoreError> {
        let names = self.all("")?.into_iter();
        Ok(names.filter(|name| !name.ends_with(backend::LOCK)).collect())
    }
}

/// A document that is written whole for every addition.
pub(super) struct Whole {
    backend: Arc<dyn Backend>,
    name: String,
    content: Vec<u8>,
    claims: Claims,
}

impl Whole {
    pub(super) fn of(
        backend: Arc<dyn Backend>,
        name: &str,
        content: Vec<u8>,
        claims: &Claims,
    ) -> Whole {
        Whole { backend, name: name.to_owned(), content, claims: claims.clone() }
    }
}

impl Durable for Whole {
    fn add(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.content.extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let expected = self.claims.get(&self.name).unwrap_or(Expected::Absent);
        let put = self.backend.put(&self.name, &self.content, &expected);
        let stack = self.name.strip_suffix(backend::JOURNAL).unwrap_or(&self.name);
        let named = |error| self.claims.named(self.backend.as_ref(), stack, error);
        let next = put.map_err(|error| io::Error::other(named(error)))?;
        self.claims.set(&self.name, next);
        Ok(())
    }
}
