//! A lock that several machines share: an object that its holder writes again and again. Who waits
//! for it takes it over when it has not moved for a while by the waiter's own clock; no two clocks
//! are ever compared.

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::backend;
use super::backend::{Backend, Telling};
use super::error::StoreError;
use super::lock::{LockError, LockInfo, Locked};
use super::remote::{Remote, put, read};
use crate::model::port::{Expected, Objects};

/// How long a run that ends waits for its lease to be given back.
const LAST: Duration = Duration::from_secs(10);

/// When a lease is renewed, and when it is taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How often its holder writes it again.
    pub renew: Duration,
    /// How long it has to stand still before another takes it over.
    pub dead: Duration,
}

impl Timing {
    /// A lease that is taken over after so long; it is renewed six times in that time.
    pub fn of(dead: Duration) -> Timing {
        Timing { renew: dead / 6, dead }
    }

    /// How often who waits looks at it.
    fn poll(&self) -> Duration {
        (self.renew / 5).clamp(Duration::from_millis(10), Duration::from_secs(2))
    }
}

impl Default for Timing {
    /// Renewed every 10 seconds, taken over after 60.
    fn default() -> Timing {
        Timing::of(Duration::from_secs(60))
    }
}

/// What a lease's object says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    /// Who holds it: command, user, host, since when. None: it is free.
    pub holder: Option<String>,
    /// When it was taken (RFC 3339, by its holder's clock).
    pub acquired: String,
    /// When it was renewed last (RFC 3339, by its holder's clock).
    pub renewed: String,
    /// How long it may stand still, in seconds.
    pub seconds: u64,
    /// What tells this holding from any other.
    pub nonce: String,
}

/// A lease that is held, and renewed, until it is dropped.
pub(super) struct Lease {
    stop: tokio::sync::mpsc::Sender<()>,
    ended: std::sync::Mutex<mpsc::Receiver<()>>,
    /// The runtime has to live until the lease is given back.
    _runtime: Arc<super::remote::Runtime>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        let _ = self.stop.try_send(());
        if let Ok(ended) = self.ended.get_mut() {
            let _ = ended.recv_timeout(LAST);
        }
    }
}

/// A lease as somebody else has it.
pub(super) struct Watched {
    expected: Expected,
    /// Since when it stands still, by this process's monotonic clock.
    since: Instant,
    /// Whether it was seen to move: its holder is alive.
    moved: bool,
}

/// What came of an attempt at a lease.
pub(super) enum Attempt {
    /// It is held from now on.
    Taken(Lease),
    /// Somebody else has it, whom this names.
    Held(String),
}

impl Lease {
    /// Takes a stack's lease, waiting for one that is held until it is known whether its holder is
    /// alive, and up to `timeout` if it is.
    pub(super) fn take(
        remote: &Remote,
        stack: &str,
        info: &LockInfo,
        timeout: Duration,
        tell: Telling<'_>,
    ) -> Result<Lease, LockError> {
        let began = Instant::now();
        let mut watch: Option<Watched> = None;
        let mut told: Option<String> = None;
        loop {
            let holder = match Lease::attempt(remote, stack, info, &mut watch)? {
                Attempt::Taken(lease) => {
                    if let Some(gone) = told.filter(|_| watch.is_some()) {
                        tell(&format!(
                            "the lock of {gone} has not moved for {:?}: took it over",
                            remote.lease.dead
                        ));
                    }
                    return Ok(lease);
                }
                Attempt::Held(holder) => holder,
            };
            if told.as_ref() != Some(&holder) {
                tell(&format!(
                    "the state of `{stack}` is locked by {holder}: waiting up to {:?} for it to \
                     move",
                    remote.lease.dead.max(timeout)
                ));
                told = Some(holder.clone());
            }
            if watch.as_ref().is_some_and(|seen| seen.moved) && began.elapsed() >= timeout {
                let (stack, path) = (stack.to_owned(), remote.path(&backend::lock(stack)));
                return Err(Locked { stack, path, holder }.into());
            }
            std::thread::sleep(remote.lease.poll());
        }
    }

    /// Takes a lease if it is free, or has stood still in `watch` for long enough: `watch` stays as
    /// it was seen last where it was taken over, and is empty where it was free.
    pub(super) fn attempt(
        remote: &Remote,
        of: &str,
        info: &LockInfo,
        watch: &mut Option<Watched>,
    ) -> Result<Attempt, StoreError> {
        let name = backend::lock(of);
        loop {
            let found = remote.read(&name)?;
            let record = found.as_ref().map(|found| parse(remote, &name, &found.content));
            let record = record.transpose()?;
            let expected = found.map_or(Expected::Absent, |found| found.expected);
            let Some(holder) = record.and_then(|record| record.holder) else {
                *watch = None;
                match Lease::write(remote, &name, info, &expected)? {
                    Some(lease) => return Ok(Attempt::Taken(lease)),
                    None => continue,
                }
            };
            match watch {
                Some(seen) if seen.expected == expected => {
                    if seen.since.elapsed() < remote.lease.dead {
                        return Ok(Attempt::Held(holder));
                    }
                    if let Some(lease) = Lease::write(remote, &name, info, &expected)? {
                        return Ok(Attempt::Taken(lease));
                    }
                }
                _ => {
                    let moved = watch.is_some();
                    *watch = Some(Watched { expected, since: Instant::now(), moved });
                    return Ok(Attempt::Held(holder));
                }
            }
        }
    }

    /// Writes a lease as one's own and keeps renewing it; None where another was quicker.
    fn write(
        remote: &Remote,
        name: &str,
        info: &LockInfo,
        expected: &Expected,
    ) -> Result<Option<Lease>, StoreError> {
        let now = Timestamp::now().to_string();
        let record = Record {
            holder: Some(info.to_string()),
            acquired: now.clone(),
            renewed: now,
            seconds: remote.lease.dead.as_secs(),
            nonce: uuid::Uuid::new_v4().to_string(),
        };
        let held = match remote.put(name, &text(&record), expected) {
            Ok(held) => held,
            Err(StoreError::Moved { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let (stop, stopped) = tokio::sync::mpsc::channel(1);
        let (end, ended) = mpsc::channel();
        let (objects, every) = (Arc::clone(&remote.objects), remote.lease.renew);
        let name = name.to_owned();
        remote.runtime.begin(async move {
            renew(objects.as_ref(), &name, record, held, every, stopped).await;
            let _ = end.send(());
        });
        let (ended, runtime) = (std::sync::Mutex::new(ended), Arc::clone(&remote.runtime));
        Ok(Some(Lease { stop, ended, _runtime: runtime }))
    }
}

/// Renews a lease until it is given back, or was taken over. A holder that is replaced need not be
/// told here: what it writes next fails.
async fn renew(
    objects: &dyn Objects,
    name: &str,
    mut record: Record,
    mut held: Expected,
    every: Duration,
    mut stopped: tokio::sync::mpsc::Receiver<()>,
) {
    loop {
        let is_over = tokio::time::timeout(every, stopped.recv()).await.is_ok();
        record.renewed = Timestamp::now().to_string();
        if is_over {
            record.holder = None;
        }
        match put(objects, name, &text(&record), &held).await {
            Ok(Some(next)) => held = next,
            // An earlier renewal may have arrived after it was given up on.
            Ok(None) => match still_ours(objects, name, &record).await {
                Some(there) => held = there,
                None => return,
            },
            Err(error) => tracing::debug!(name, %error, "a lease could not be renewed"),
        }
        if is_over {
            return;
        }
    }
}

/// What a lease's next renewal has to expect, if the one that is there is this holder's.
async fn still_ours(objects: &dyn Objects, name: &str, record: &Record) -> Option<Expected> {
    let found = read(objects, name).await.ok()??;
    let there: Record = serde_json::from_slice(&found.content).ok()?;
    let is_ours = there.nonce == record.nonce;
    is_ours.then_some(found.expected)
}

/// Who holds a stack's lease, by what it says of itself: one that has not been renewed for long is
/// held by nobody. This is for people: a lease is never taken by it.
pub(super) fn holder(remote: &Remote, stack: &str) -> Result<Option<String>, StoreError> {
    let name = backend::lock(stack);
    let Some(found) = remote.read(&name)? else { return Ok(None) };
    let record = parse(remote, &name, &found.content)?;
    let is_old = record.renewed.parse::<Timestamp>().is_ok_and(|renewed| {
        let age = Timestamp::now().duration_since(renewed).as_secs();
        u64::try_from(age).is_ok_and(|age| age > record.seconds)
    });
    Ok(record.holder.filter(|_| !is_old))
}

fn text(record: &Record) -> Vec<u8> {
    let mut text = serde_json::json!(record).to_string().into_bytes();
    text.push(b'\n');
    text
}

fn parse(remote: &Remote, name: &str, content: &[u8]) -> Result<Record, StoreError> {
    serde_json::from_slice(content).map_err(|source| StoreError::Malformed {
        path: remote.path(name),
        what: "lock",
        source,
    })
}
