//! The hole that the outside is plugged into: something that sends calls.

use std::future::Future;
use std::pin::Pin;

use super::Json;
use super::call::{Answer, Call, Listing, Service};
use super::error::CallError;
use super::plan::Requests;
use super::scope::{ApiResource, Scope};
use super::secret::Secrets;
use super::state::Target;

/// A future that a port returns.
pub type Sending<'a, T> = Pin<Box<dyn Future<Output = Result<T, CallError>> + Send + 'a>>;

/// Sends calls. Retries, pacing, redaction and tracing happen behind this, once for all kinds.
pub trait Transport: Send + Sync {
    /// Sends one call, with its secrets put in from `secrets`.
    fn send<'a>(
        &'a self,
        call: &'a Call,
        secrets: &'a std::sync::RwLock<Secrets>,
    ) -> Sending<'a, Answer>;

    /// Reads a whole collection: the items of all pages.
    fn list<'a>(&'a self, listing: &'a Listing) -> Sending<'a, Vec<Json>>;

    /// Reads a whole collection if that takes one request: None where it has more than `most` items.
    fn list_small<'a>(
        &'a self,
        listing: &'a Listing,
        _most: u32,
    ) -> Sending<'a, Option<Vec<Json>>> {
        Box::pin(async move { self.list(listing).await.map(Some) })
    }

    /// Listings that can be read together, each with the positions of those that it serves.
    fn merge(&self, listings: &[Listing]) -> Vec<(Listing, Vec<usize>)> {
        listings.iter().cloned().enumerate().map(|(at, listing)| (listing, vec![at])).collect()
    }

    /// Calls that read single objects and can be sent together, each with the positions of those
    /// that it serves.
    fn merge_calls(&self, calls: &[Call]) -> Vec<(Call, Vec<usize>)> {
        calls.iter().cloned().enumerate().map(|(at, call)| (call, vec![at])).collect()
    }

    /// What the cluster serves.
    fn api_resources<'a>(&'a self) -> Sending<'a, Vec<ApiResource>>;

    /// Who and where a service is, for the state's target: only the parts of that service are set.
    fn target<'a>(&'a self, service: Service, scope: &'a Scope) -> Sending<'a, Target>;

    /// How many requests were sent so far.
    fn requests(&self) -> Requests;

    /// For how long a service had no room for requests so far, in milliseconds: that takes no time
    /// from a step.
    fn held_ms(&self, _service: Service) -> u64 {
        0
    }

    /// How far a service's clock is ahead of this machine's, in milliseconds, by the `Date` of its
    /// last answer (whole seconds); None before the first.
    fn skew_ms(&self, _service: Service) -> Option<i64> {
        None
    }
}

/// Has runs take turns at what several of them may write.
pub trait Turns: Send + Sync {
    /// Takes the turn at something, by its name, until what is returned is dropped; None while
    /// another run has it.
    ///
    /// # Errors
    /// It can't be told whose turn it is.
    fn take(&self, name: &str) -> std::io::Result<Option<Box<dyn Turn>>>;
}

/// A turn that is had until it is dropped.
pub trait Turn: Send {
    /// Looks whether it is still had: who was paused for long may have been replaced.
    ///
    /// # Errors
    /// It is another's by now, or that can't be told.
    fn check(&self) -> std::io::Result<()>;
}

/// What a run holds while it changes something: its locks.
pub trait Holding: Send + Sync {
    /// Makes sure that they are still its own: who was paused for long may have been replaced.
    ///
    /// # Errors
    /// Another run has one of them by now, or that can't be told.
    fn check(&self) -> std::io::Result<()>;
}

/// Time and chance, from outside.
pub trait Outside: Send + Sync {
    /// Now.
    fn now(&self) -> jiff::Timestamp;

    /// Milliseconds since some fixed moment; never goes back.
    fn elapsed_ms(&self) -> u64;

    /// Fills the bytes from the operating system's randomness.
    fn random(&self, bytes: &mut [u8]);
}

/// A future that [`Objects`] returns.
pub type Keeping<'a, T> = Pin<Box<dyn Future<Output = Result<T, KeepError>> + Send + 'a>>;

/// Keeps small objects by name, for several machines at once: a bucket, or a namespace of a
/// cluster. A write says what it expects to be there, and is refused where that has changed.
pub trait Objects: Send + Sync {
    /// Where an object is, as people would look for it.
    fn place(&self, name: &str) -> String;

    /// Reads an object; None where there is none.
    fn read<'a>(&'a self, name: &'a str) -> Keeping<'a, Option<Object>>;

    /// Writes an object whole, if what is there is what is expected.
    fn put<'a>(
        &'a self,
        name: &'a str,
        content: &'a [u8],
        expected: &'a Expected,
    ) -> Keeping<'a, Put>;

    /// Removes an object of that version; one that is gone already is fine.
    fn remove<'a>(&'a self, name: &'a str, version: &'a str) -> Keeping<'a, Put>;

    /// The names of the objects that begin so, in order.
    fn list<'a>(&'a self, prefix: &'a str) -> Keeping<'a, Vec<String>>;
}

/// An object as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// What is in it.
    pub content: Vec<u8>,
    /// The store's own mark of this write: an ETag, a resourceVersion.
    pub version: String,
}

/// What a write expects to be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Nothing.
    Absent,
    /// This version.
    Version(String),
}

/// What became of a conditional write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Put {
    /// It was done; the version that it made (none for a removal).
    Done(String),
    /// Something else is there than was expected: nothing was done.
    Moved,
}

/// An object that could not be read or written.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct KeepError {
    /// Code and message of the store.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Whether it may go better the next time. A write may have been done all the same.
    pub is_passing: bool,
}
