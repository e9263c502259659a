//! States as objects that several machines share. The calls run in a runtime of their own: they
//! neither need the run's nor hold it up.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use backon::{ExponentialBuilder, Retryable};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::backend::{self, Backend, Document, Durable, Telling};
use super::claims::Claims;
use super::error::StoreError;
use super::lease::{self, Attempt, Lease, Watched};
use super::lock::{Lock, LockError, LockInfo};
use crate::model::port::{Expected, KeepError, Objects, Put, Turn};

/// What proves that a store honours conditions.
const PROBE: &str = ".boxctl";
/// What is in it once it has.
const HONOURED: &[u8] = b"this store honours the conditions of writes\n";

/// How often a call is sent again that may go better the next time.
const TIMES: usize = 8;
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
        f.debug_tuple("Remote").field(&self.calls.objects.place("")).finish()
    }
}

/// The runtime of the store's calls.
pub(super) struct Runtime(Option<tokio::runtime::Runtime>);

impl Runtime {
    pub(super) fn start() -> io::Result<Runtime> {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(1).thread_name("store").enable_all();
        builder.build().map(|runtime| Runtime(Some(runtime)))
    }

    /// Begins something; it goes on by itself.
    pub(super) fn begin(&self, doing: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = &self.0 {
            runtime.spawn(doing);
        }
    }

    /// Does something and waits for it.
    pub(super) fn wait<T: Send + 'static>(
        &self,
        doing: impl Future<Output = Result<T, KeepError>> + Send + 'static,
    ) -> Result<T, KeepError> {
        let (done, result) = mpsc::channel();
        self.begin(async move {
            // Nobody waits any more where this fails.
            let _ = done.send(doing.await);
        });
        result.recv().unwrap_or_else(|_| {
            Err(KeepError {
                message: "the call ended without a result".to_owned(),
                hint: None,
                is_passing: false,
            })
        })
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // A runtime that waits for its threads must not be dropped within another.
            runtime.shutdown_background();
        }
    }
}

/// The first line of an object: which write made it. The same content written twice is not the same
/// write, and a write whose answer was lost can be told from somebody else's.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    boxctl: u32,
    nonce: String,
}

/// The version of the head line.
const FORMAT: u32 = 1;

fn wrap(content: &[u8]) -> (String, Vec<u8>) {
    let nonce = uuid::Uuid::new_v4().to_string();
    let mut body = format!("{{\"boxctl\":{FORMAT},\"nonce\":\"{nonce}\"}}\n").into_bytes();
    body.extend_from_slice(content);
    (nonce, body)
}

/// Nonce and content of an object; None where boxctl did not write it.
fn unwrap(body: &[u8]) -> Option<(String, &[u8])> {
    let end = body.iter().position(|byte| *byte == b'\n')?;
    let head: Head = serde_json::from_slice(&body[..end]).ok()?;
    (head.boxctl <= FORMAT).then(|| (head.nonce, &body[end + 1..]))
}

fn is_passing(error: &KeepError) -> bool {
    error.is_passing
}

/// Reads and writes objects, again where that may help.
#[derive(Clone)]
pub(super) struct Calls {
    objects: Arc<dyn Objects>,
    runtime: Arc<Runtime>,
    pub(super) timing: lease::Timing,
}

impl Calls {
    fn backoff(&self) -> ExponentialBuilder {
        let most = self.timing.backoff_max.min(self.timing.renew() / 2).max(self.timing.backoff);
        ExponentialBuilder::default()
            .with_min_delay(self.timing.backoff)
            .with_max_delay(most)
            .with_max_times(TIMES)
            .with_jitter()
    }

    /// Begins something; it goes on by itself.
    pub(super) fn begin(&self, doing: impl Future<Output = ()> + Send + 'static) {
        self.runtime.begin(doing);
    }

    /// Does something and waits for it.
    pub(super) fn wait<T: Send + 'static>(
        &self,
        doing: impl Future<Output = Result<T, KeepError>> + Send + 'static,
    ) -> Result<T, KeepError> {
        self.runtime.wait(doing)
    }

    /// Reads an object, less its head.
    pub(super) async fn read(&self, name: &str) -> Result<Option<Document>, KeepError> {
        let read = || self.objects.read(name);
        let found = read.retry(self.backoff()).when(is_passing).await?;
        let Some(found) = found else { return Ok(None) };
        let Some((_, content)) = unwrap(&found.content) else {
            return Err(KeepError {
                message: "it is not an object that this boxctl wrote".to_owned(),
                hint: Some("use the boxctl that wrote it, or move the object away".to_owned()),
                is_passing: false,
            });
        };
        let (content, expected) = (content.to_vec(), Expected::Version(found.version));
        Ok(Some(Document { content, expected }))
    }

    /// Writes an object where what is expected is there; None where something else is. A write
    /// whose answer was lost is sent again as it was: where it had been done, the refusal finds its
    /// nonce.
    pub(super) async fn put(
        &self,
        name: &str,
        content: &[u8],
        expected: &Expected,
    ) -> Result<Option<Expected>, KeepError> {
        let (nonce, body) = wrap(content);
        let attempt = || async {
            match self.objects.put(name, &body, expected).await? {
                Put::Done(version) => Ok(Some(Expected::Version(version))),
                Put::Moved => {
                    let there = self.objects.read(name).await?;
                    let ours = there.filter(|found| {
                        unwrap(&found.content).is_some_and(|(written, _)| written == nonce)
                    });
                    Ok(ours.map(|found| Expected::Version(found.version)))
                }
            }
        };
        attempt.retry(self.backoff()).when(is_passing).await
    }

    async fn remove(&self, name: &str, version: &str) -> Result<Put, KeepError> {
        let attempt = || self.objects.remove(name, version);
        attempt.retry(self.backoff()).when(is_passing).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, KeepError> {
        let list = || self.objects.list(prefix);
        list.retry(self.backoff()).when(is_passing).await
    }

    /// Whether writes are refused whose conditions do not hold.
    async fn probe(&self) -> Result<bool, KeepError> {
        let found = self.read(PROBE).await?;
        if found.as_ref().is_some_and(|found| found.content == HONOURED) {
            return Ok(true);
        }
        let mut there = found.map(|found| found.expected);
        if there.is_none() {
            there = self.put(PROBE, b"1\n", &Expected::Absent).await?;
        }
        let Some(first) = there else { return Err(busy()) };
        if self.put(PROBE, b"2\n", &Expected::Absent).await?.is_some() {
            return Ok(false);
        }
        let Some(second) = self.put(PROBE, b"3\n", &first).await? else {
            return Err(busy());
        };
        if self.put(PROBE, b"4\n", &first).await?.is_some() {
            return Ok(false);
        }
        match self.put(PROBE, HONOURED, &second).await? {
            Some(_) => Ok(true),
            None => Err(busy()),
        }
    }
}

impl Remote {
    pub(super) fn new(objects: Arc<dyn Objects>, timing: lease::Timing) -> io::Result<Remote> {
        let calls = Calls { objects, runtime: Arc::new(Runtime::start()?), timing };
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

/// Two runs prove it at the same time.
fn busy() -> KeepError {
    KeepError {
        message: "another run uses this store for the first time, too".to_owned(),
        hint: Some("run it again".to_owned()),
        is_passing: true,
    }
}

impl Backend for Remote {
    fn is_shared(&self) -> bool {
        true
    }

    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from(self.calls.objects.place(name))
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
        for stack in stacks {
            let taken = Lease::take(self, stack, info, deadline, tell)?;
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
