//! SIGINT and SIGTERM: they end a command at once, and let a run finish what is in flight.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config;
use crate::model::error::Exit;
use crate::store;

/// Whether steps have begun: from then on a signal is the run's.
static STEPS: AtomicBool = AtomicBool::new(false);

/// Ends the process at the first signal while nothing but reading, waiting and asking goes on. The
/// system's own answer would be none at all where this is the first process of a container.
pub(super) fn end_before_steps() {
    let mut signals = Signals::listen();
    tokio::spawn(async move {
        signals.next().await;
        if !STEPS.load(Ordering::SeqCst) {
            config::end_running();
            store::give_back_leases();
            std::process::exit(i32::from(Exit::Interrupted.code()));
        }
    });
}

/// Steps begin: who calls this listens to signals already.
pub(super) fn steps_begin() {
    STEPS.store(true, Ordering::SeqCst);
}

/// The signals that ask a process to end.
pub(super) struct Signals([Option<Signal>; 2]);

impl Signals {
    /// Listens from here on. One that can't be listened to keeps its own effect.
    pub(super) fn listen() -> Self {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate()];
        Signals(kinds.map(|kind| signal(kind).ok()))
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) {
        let [interrupt, terminate] = &mut self.0;
        tokio::select! {
            () = received(interrupt) => {}
            () = received(terminate) => {}
        }
    }
}

async fn received(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}
