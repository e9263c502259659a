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
    fn take(&self, name: &str) -> std::io::Result<Option<Box<dyn Send>>>;
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
