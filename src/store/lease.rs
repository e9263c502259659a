//! A lock that several machines share: an object that its holder writes again and again. Who waits
//! for it takes it over when it has not moved for a while by the waiter's own clock; no two clocks
//! are ever compared.

use std::sync::{Arc, Mutex, PoisonError, Weak, mpsc};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::backend::{self, Backend};
use super::calls::Calls;
use super::error::StoreError;
use super::lock::LockInfo;
use super::remote::Remote;
use super::standing::{Moment, Standing};
use crate::model::port::{Expected, Turn};

/// How long a run that ends waits for its lease to be given back.
const LAST: Duration = Duration::from_secs(10);
/// How long a process that ends at once waits for it.
const AT_ONCE: Duration = Duration::from_secs(1);
/// How often a lease is taken from a holder that moves while it is taken.
const ATTEMPTS: usize = 8;

/// Waits of a shared store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How long a lease has to stand still before another takes it over; it is renewed six times in
    /// that time.
    pub dead: Duration,
    /// The first pause before a call is sent again; doubled each time, with jitter.
    pub backoff: Duration,
    /// The longest pause before a call is sent again.
    pub backoff_max: Duration,
}

impl Timing {
    /// How often a holder writes its lease again.
    pub fn renew(&self) -> Duration {
        self.dead / 6
    }

    /// How often who waits looks at it.
    pub(super) fn poll(&self) -> Duration {
        (self.renew() / 5).clamp(Duration::from_millis(10), Duration::from_secs(2))
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
    /// What is known of it.
    pub standing: Arc<Standing>,
    handle: Arc<Handle>,
    /// The runtime has to live until the lease is given back.
    _calls: Calls,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.handle.stop();
        self.handle.ended(LAST);
    }
}

/// What ends the renewing of a lease.
struct Handle {
    stop: tokio::sync::mpsc::Sender<()>,
    ended: Mutex<mpsc::Receiver<()>>,
}

impl Handle {
    /// Has it be given back.
    fn stop(&self) {
        let _ = self.stop.try_send(());
    }

    /// Waits until it is, for a while.
    fn ended(&self, most: Duration) {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = ended.recv_timeout(most);
    }
}

/// The leases of this process.
static HELD: Mutex<Vec<Weak<Handle>>> = Mutex::new(Vec::new());

/// Gives back every lease of a process that is about to end without dropping them: nobody has to
/// wait for it then.
pub fn give_back_leases() {
    let held = std::mem::take(&mut *HELD.lock().unwrap_or_else(PoisonError::into_inner));
    let held: Vec<Arc<Handle>> = held.iter().filter_map(Weak::upgrade).collect();
    held.iter().for_each(|handle| handle.stop());
    held.iter().for_each(|handle| handle.ended(AT_ONCE));
}

impl Turn for Lease {
    fn check(&self) -> std::io::Result<()> {
        self.standing.assure().map_err(std::io::Error::other)
    }
}

/// A lease as somebody else has it.
pub(super) struct Watched {
    expected: Expected,
    /// Since when it stands still, by this process's monotonic clock.
    since: Instant,
    /// Whether it was seen to move: its holder is alive.
    pub moved: bool,
    /// Who has it.
    pub holder: String,
}

impl Watched {
    fn anew(expected: Expected, holder: String, moved: bool) -> Watched {
        Watched { expected, since: Instant::now(), moved, holder }
    }
}

/// What came of an attempt at a lease.
pub(super) enum Attempt {
    /// It is held from now on.
    Taken(Lease),
    /// Somebody else has it, whom this names.
    Held(String),
}

impl Lease {
    /// Looks whether a lease moves that is wanted later.
    pub(super) fn look(
        remote: &Remote,
        of: &str,
        watch: &mut Option<Watched>,
    ) -> Result<(), StoreError> {
        let name = backend::lock(of);
        let Some(found) = remote.read(&name)? else { return Ok(()) };
        let Some(holder) = parse(remote, &name, &found.content)?.holder else { return Ok(()) };
        if watch.as_ref().is_none_or(|seen| seen.expected != found.expected) {
            *watch = Some(Watched::anew(found.expected, holder, watch.is_some()));
        }
        Ok(())
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
        let mut holder = None;
        for _ in 0..ATTEMPTS {
            let found = remote.read(&name)?;
            let record = found.as_ref().map(|found| parse(remote, &name, &found.content));
            let record = record.transpose()?;
            let expected = found.map_or(Expected::Absent, |found| found.expected);
            holder = record.as_ref().and_then(|record| record.holder.clone());
            let Some(holder) = &holder else {
                *watch = None;
                match Lease::write(remote, of, info, &expected)? {
                    Some(lease) => return Ok(Attempt::Taken(lease)),
                    None => continue,
                }
            };
            match watch {
                Some(seen) if seen.expected == expected => {
                    // Its holder may have been told to renew it less often.
                    let theirs = record.map_or(0, |record| record.seconds);
                    let dead = remote.calls.timing.dead.max(Duration::from_secs(theirs));
                    if seen.since.elapsed() < dead {
                        return Ok(Attempt::Held(holder.clone()));
                    }
                    if let Some(lease) = Lease::write(remote, of, info, &expected)? {
                        return Ok(Attempt::Taken(lease));
                    }
                }
                _ => {
                    *watch = Some(Watched::anew(expected, holder.clone(), watch.is_some()));
                    return Ok(Attempt::Held(holder.clone()));
                }
            }
        }
        Ok(Attempt::Held(holder.unwrap_or_else(|| "another run".to_owned())))
    }

    /// Writes a lease as one's own and keeps renewing it; None where another was quicker.
    fn write(
        remote: &Remote,
        of: &str,
        info: &LockInfo,
        expected: &Expected,
    ) -> Result<Option<Lease>, StoreError> {
        let timing = remote.calls.timing;
        let name = backend::lock(of);
        let now = Timestamp::now().to_string();
        let record = Record {
            holder: Some(info.to_string()),
            acquired: now.clone(),
            renewed: now,
            seconds: timing.dead.as_secs(),
            nonce: uuid::Uuid::new_v4().to_string(),
        };
        let at = Moment::now();
        let held = match remote.put(&name, &text(&record), expected) {
            Ok(held) => held,
            Err(StoreError::Moved { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let standing = Arc::new(Standing::new(of, info.to_string(), timing.dead, at));
        let (stop, stopped) = tokio::sync::mpsc::channel(1);
        let (end, ended) = mpsc::channel();
        let renewing = Renewing {
            calls: remote.calls.clone(),
            name,
            record,
            held,
            standing: standing.clone(),
        };
        remote.calls.begin(async move {
            renewing.run(stopped).await;
            let _ = end.send(());
        });
        let handle = Arc::new(Handle { stop, ended: Mutex::new(ended) });
        let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|handle| handle.strong_count() > 0);
        held.push(Arc::downgrade(&handle));
        Ok(Some(Lease { standing, handle, _calls: remote.calls.clone() }))
    }
}

/// Writes a lease again and again.
struct Renewing {
    calls: Calls,
    name: String,
    record: Record,
    held: Expected,
    standing: Arc<Standing>,
}

impl Renewing {
    /// Renews the lease until it is given back, or was taken over.
    async fn run(mut self, mut stopped: tokio::sync::mpsc::Receiver<()>) {
        let every = self.calls.timing.renew();
        loop {
            let is_over = tokio::select! {
                _ = stopped.recv() => true,
                () = tokio::time::sleep(every) => false,
                () = self.standing.wanted.notified() => false,
            };
            self.record.renewed = Timestamp::now().to_string();
            if is_over {
                self.record.holder = None;
            }
            let at = Moment::now();
            match self.calls.put(&self.name, &text(&self.record), &self.held).await {
                Ok(Some(next)) => {
                    self.held = next;
                    self.standing.renewed(at);
                }
                Ok(None) => {
                    if !self.look(at).await {
                        return;
                    }
                }
                Err(error) => {
                    tracing::debug!(self.name, %error, "a lease could not be renewed");
                    self.standing.failed(error.to_string());
                }
            }
            if is_over {
                return;
            }
        }
    }

    /// Looks whose the lease is after a renewal was refused: an earlier one may have arrived after
    /// it was given up on. Whether it is still this holder's.
    async fn look(&mut self, at: Moment) -> bool {
        let found = match self.calls.read(&self.name).await {
            Ok(found) => found,
            Err(error) => {
                self.standing.failed(error.to_string());
                return true;
            }
        };
        let there = found.and_then(|found| Some((read(&found.content).ok()?, found.expected)));
        match there {
            Some((record, expected)) if record.nonce == self.record.nonce => {
                self.held = expected;
                self.standing.renewed(at);
                true
            }
            other => {
                self.standing.lost(other.and_then(|(record, _)| record.holder));
                false
            }
        }
    }
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

/// Frees a stack's lease whoever holds it; names who did.
///
/// # Errors
/// [`StoreError::Moved`] where it is renewed meanwhile.
pub(super) fn free(remote: &Remote, stack: &str) -> Result<Option<String>, StoreError> {
    let name = backend::lock(stack);
    let Some(found) = remote.read(&name)? else { return Ok(None) };
    let record = parse(remote, &name, &found.content)?;
    let Some(holder) = record.holder.clone() else { return Ok(None) };
    let nonce = uuid::Uuid::new_v4().to_string();
    let record = Record { holder: None, nonce, ..record };
    remote.put(&name, &text(&record), &found.expected)?;
    Ok(Some(holder))
}

fn text(record: &Record) -> Vec<u8> {
    let mut text = serde_json::json!(record).to_string().into_bytes();
    text.push(b'\n');
    text
}

fn read(content: &[u8]) -> Result<Record, serde_json::Error> {
    serde_json::from_slice(content)
}

fn parse(remote: &Remote, name: &str, content: &[u8]) -> Result<Record, StoreError> {
    read(content).map_err(|source| StoreError::Malformed {
        path: remote.path(name),
        what: "lock",
        source,
    })
}
