//! Takes leases, waiting for those that are held until it is known whether their holders are alive.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::backend::{self, Backend, Telling};
use super::lease::{Attempt, Lease, Watched};
use super::lock::{LockError, LockInfo, Locked};
use super::remote::Remote;

/// A lease that was taken.
pub(super) struct Taken {
    pub lease: Lease,
    /// Whether it was another's until then.
    pub is_taken_over: bool,
}

/// Takes the leases of stacks, in order, waiting for those of living holders until `deadline`. All
/// are watched from the first wait on: what a run has left behind that was ended is taken over
/// together.
pub(super) fn take_all(
    remote: &Remote,
    stacks: &[&str],
    info: &LockInfo,
    deadline: Instant,
    tell: Telling<'_>,
) -> Result<Vec<Taken>, LockError> {
    let timing = remote.calls.timing;
    let mut watches: Vec<Option<Watched>> = stacks.iter().map(|_| None).collect();
    let (mut waited_for, mut gone) = (BTreeSet::new(), BTreeSet::new());
    let mut all = Vec::new();
    for (at, stack) in stacks.iter().enumerate() {
        while let Some((watch, later)) = watches[at..].split_first_mut() {
            let holder = match Lease::attempt(remote, stack, info, watch)? {
                Attempt::Taken(lease) => {
                    if let Some(seen) = watch.as_ref().filter(|s| gone.insert(s.holder.clone())) {
                        tell(&format!(
                            "the lock of {} has not moved for {:?}: took it over",
                            seen.holder, timing.dead
                        ));
                    }
                    all.push(Taken { lease, is_taken_over: watch.is_some() });
                    break;
                }
                Attempt::Held(holder) => holder,
            };
            if waited_for.insert(holder.clone()) {
                let left = deadline.saturating_duration_since(Instant::now());
                let most = Duration::from_secs(left.as_secs()).max(timing.dead);
                tell(&format!(
                    "the state of `{stack}` is locked by {holder}: waiting up to {most:?} for it \
                     to move"
                ));
            }
            let moves = watch.as_ref().is_some_and(|seen| seen.moved);
            if moves && Instant::now() >= deadline {
                let (stack, path) = ((*stack).to_owned(), remote.path(&backend::lock(stack)));
                return Err(Locked { stack, path, holder }.into());
            }
            for (stack, watch) in stacks[at + 1..].iter().zip(later) {
                Lease::look(remote, stack, watch)?;
            }
            std::thread::sleep(timing.poll());
        }
    }
    Ok(all)
}
