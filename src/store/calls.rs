//! Calls of objects that several machines share, each with a nonce that tells its writes from others'.
//! They run in a runtime of their own: they neither need the run's nor hold it up.

use std::future::Future;
use std::io;
use std::sync::{Arc, mpsc};

use backon::{ExponentialBuilder, Retryable};
use serde::{Deserialize, Serialize};

use super::backend::Document;
use super::lease;
use crate::model::port::{Expected, KeepError, Objects, Put};

/// What proves that a store honours conditions.
pub(super) const PROBE: &str = ".boxctl";
/// What is in it once it has.
const HONOURED: &[u8] = b"this store honours the conditions of writes\n";

/// How often a call is sent again that may go better the next time.
pub(super) const TIMES: usize = 8;

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
    pub(super) fn new(objects: Arc<dyn Objects>, runtime: Runtime, timing: lease::Timing) -> Calls {
        Calls { objects, runtime: Arc::new(runtime), timing }
    }

    /// Where an object is, for people.
    pub(super) fn place(&self, name: &str) -> String {
        self.objects.place(name)
    }

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

    pub(super) async fn remove(&self, name: &str, version: &str) -> Result<Put, KeepError> {
        let attempt = || self.objects.remove(name, version);
        attempt.retry(self.backoff()).when(is_passing).await
    }

    pub(super) async fn list(&self, prefix: &str) -> Result<Vec<String>, KeepError> {
        let list = || self.objects.list(prefix);
        list.retry(self.backoff()).when(is_passing).await
    }

    /// Whether writes are refused whose conditions do not hold.
    pub(super) async fn probe(&self) -> Result<bool, KeepError> {
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

/// Two runs prove it at the same time.
fn busy() -> KeepError {
    KeepError {
        message: "another run uses this store for the first time, too".to_owned(),
        hint: Some("run it again".to_owned()),
        is_passing: true,
    }
}
