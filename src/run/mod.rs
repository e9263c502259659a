//! The pipeline: observe, plan, execute, record.

pub mod apply;
pub mod audit;
pub mod collections;
pub mod contents;
mod going;
pub mod look;
mod lost;
pub mod observe;
pub mod past;
pub mod pipeline;
mod recording;
mod rotated;
pub mod scope;
mod secrets;
mod settle;
pub mod stack_run;
pub mod step;
mod values;
mod waiting;
mod waves;

use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::model::event::Events;
use crate::model::kind::Kind;
use crate::model::port::{Outside, Transport, Turns};
use crate::model::project::Timing;
use crate::model::secret::Secrets;

/// The secrets, for reading; a panic elsewhere does not make them unreadable.
pub(crate) fn read(secrets: &RwLock<Secrets>) -> std::sync::RwLockReadGuard<'_, Secrets> {
    secrets.read().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The secrets, for adding some.
pub(crate) fn write(secrets: &RwLock<Secrets>) -> std::sync::RwLockWriteGuard<'_, Secrets> {
    secrets.write().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// What every part of a run is given.
pub struct Context<'a> {
    /// Sends calls.
    pub transport: &'a dyn Transport,
    /// Takes events.
    pub events: &'a dyn Events,
    /// The secrets of this run.
    pub secrets: &'a RwLock<Secrets>,
    /// Time and chance.
    pub outside: &'a dyn Outside,
    /// Has runs take turns.
    pub turns: &'a dyn Turns,
    /// Waits.
    pub timing: Timing,
    /// Whether the user asked to stop.
    pub stop: &'a StopFlag,
    /// Finds kinds by name.
    pub kinds: fn(&str) -> Option<&'static dyn Kind>,
}

impl Context<'_> {
    /// Now, as states write it: whole seconds are what people compare.
    pub fn now(&self) -> String {
        let now = self.outside.now();
        jiff::Timestamp::from_second(now.as_second()).unwrap_or(now).to_string()
    }

    /// Now, as journals write it: to the millisecond, since a request's time limit is counted from
    /// there.
    pub fn moment(&self) -> String {
        let now = self.outside.now();
        jiff::Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now).to_string()
    }

    /// The pause before the n-th look at the same thing (from 0): short at first, since most things
    /// are soon done.
    pub fn poll_ms(&self, looks: u32) -> u64 {
        (self.timing.poll_ms / 8).max(1).saturating_mul(1 << looks.min(8)).min(self.timing.poll_ms)
    }

    /// A new salt for a fingerprint.
    pub fn salt(&self) -> [u8; 16] {
        let mut salt = [0; 16];
        self.outside.random(&mut salt);
        salt
    }
}

/// Set once when the user asks to stop: no new step is begun after that.
#[derive(Debug, Default)]
pub struct StopFlag {
    set: AtomicBool,
    notify: tokio::sync::Notify,
}

impl StopFlag {
    /// Asks to stop.
    pub fn set(&self) {
        self.set.store(true, Ordering::SeqCst);
        self.notify.notify_waiters();
    }

    /// Whether it was asked.
    pub fn is_set(&self) -> bool {
        self.set.load(Ordering::SeqCst)
    }

    /// Ends when it is asked to stop.
    pub async fn asked(&self) {
        // Made before the look, so that nothing is missed in between.
        let notified = self.notify.notified();
        if !self.is_set() {
            notified.await;
        }
    }

    /// Ends so many milliseconds after it was asked to stop.
    pub async fn grace(&self, millis: u64) {
        self.asked().await;
        tokio::time::sleep(std::time::Duration::from_millis(millis)).await;
    }

    /// Waits, but no longer once it is asked to stop.
    pub async fn pause(&self, millis: u64) {
        let pause = tokio::time::sleep(std::time::Duration::from_millis(millis));
        tokio::select! {
            () = pause => {}
            () = self.asked() => {}
        }
    }
}
