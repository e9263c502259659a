//! What the holder of a lease knows of it, and whether it may go on by that.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::Notify;

use super::error::StoreError;

/// What a holder knows of its lease.
#[derive(Debug)]
pub(super) struct Standing {
    of: String,
    /// Who holds it: what the lease says.
    pub(super) holder: String,
    dead: Duration,
    known: Mutex<Known>,
    /// Told when something else is known.
    told: Condvar,
    /// Has it renewed at once.
    pub(super) wanted: Notify,
}

/// A moment by which time is counted that has passed in any case: one clock stands still while the
/// machine sleeps, the other one can be set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment(Instant, SystemTime);

impl Moment {
    pub(super) fn now() -> Moment {
        Moment(Instant::now(), SystemTime::now())
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed().max(self.1.elapsed().unwrap_or_default())
    }
}

#[derive(Debug)]
enum Known {
    /// It was this holder's at that moment; since then, renewing it failed if there is a reason.
    Held { at: Moment, trouble: Option<String> },
    /// Somebody else has it.
    Lost { to: Option<String> },
}

impl Standing {
    /// One of a lease that was taken at that moment.
    pub(super) fn new(of: &str, holder: String, dead: Duration, at: Moment) -> Standing {
        Standing {
            of: of.to_owned(),
            holder,
            dead,
            known: Mutex::new(Known::Held { at, trouble: None }),
            told: Condvar::new(),
            wanted: Notify::new(),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It was renewed, by a call that began at that moment.
    pub(super) fn renewed(&self, at: Moment) {
        self.tell(Known::Held { at, trouble: None });
    }

    /// Somebody else has it.
    pub(super) fn lost(&self, to: Option<String>) {
        self.tell(Known::Lost { to });
    }

    /// It could not be renewed.
    pub(super) fn failed(&self, reason: String) {
        if let Known::Held { trouble, .. } = &mut *self.known() {
            *trouble = Some(reason);
        }
        self.told.notify_all();
    }

    fn tell(&self, known: Known) {
        *self.known() = known;
        self.told.notify_all();
    }

    /// Whether the holder may go on, as far as it knows. That it was paused is no reason against
    /// it: whether it was replaced meanwhile, its next write finds out.
    ///
    /// # Errors
    /// It was replaced, or could not renew its lease for so long that it may have been.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        match &*self.known() {
            Known::Lost { to } => {
                Err(StoreError::Replaced { stack: self.of.clone(), by: to.clone() })
            }
            Known::Held { at, trouble: Some(reason) } if at.elapsed() >= self.dead => {
                let (stack, reason) = (self.of.clone(), reason.clone());
                Err(StoreError::Unrenewed { stack, dead: self.dead, reason })
            }
            Known::Held { .. } => Ok(()),
        }
    }

    /// Makes sure that nobody has the lease instead, or can take it within half the time that it may
    /// stand still. Where it was not renewed so lately, as after a pause, it is renewed first: that
    /// it is there as it was is not enough, since another may be about to take it.
    ///
    /// # Errors
    /// As [`Standing::check`]; it could not be renewed.
    pub(super) fn assure(&self) -> Result<(), StoreError> {
        let asked = Instant::now();
        let mut known = self.known();
        loop {
            let reason = match &*known {
                Known::Lost { to } => {
                    return Err(StoreError::Replaced { stack: self.of.clone(), by: to.clone() });
                }
                Known::Held { at, .. } if at.elapsed() < self.dead / 2 => return Ok(()),
                Known::Held { trouble, .. } => trouble.clone(),
            };
            let left = self.dead.saturating_sub(asked.elapsed());
            if left.is_zero() {
                let reason = reason.unwrap_or_else(|| "there was no answer".to_owned());
                let (stack, dead) = (self.of.clone(), self.dead);
                return Err(StoreError::Unrenewed { stack, dead, reason });
            }
            self.wanted.notify_one();
            let waited = self.told.wait_timeout(known, left);
            known = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(dead: Duration) -> Standing {
        Standing::new("s", "me".to_owned(), dead, Moment::now())
    }

    /// One that was not renewed for an hour.
    fn stale(dead: Duration) -> Standing {
        let hour = Duration::from_secs(3600);
        let at = Moment(Instant::now(), SystemTime::now() - hour);
        Standing::new("s", "me".to_owned(), dead, at)
    }

    #[test]
    fn who_was_paused_renews_its_lease_before_it_goes_on() {
        let minute = Duration::from_secs(60);
        assert!(standing(minute).assure().is_ok(), "it was renewed just now");
        let asked = |what: fn(&Standing)| {
            let late = stale(minute);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                    runtime.block_on(late.wanted.notified());
                    what(&late);
                });
                late.assure().map_err(|error| error.to_string())
            })
        };
        assert_eq!(asked(|late| late.renewed(Moment::now())), Ok(()));
        let replaced = asked(|late| late.lost(Some("them".to_owned())));
        assert_eq!(replaced, Err("the lock of `s` was taken over by them".to_owned()));
        // Where nobody answers, it waits for as long as the lease lasts, and no longer.
        let cut_off = stale(Duration::from_millis(1));
        cut_off.failed("the connection was reset".to_owned());
        let error = cut_off.assure().unwrap_err().to_string();
        assert!(error.ends_with("for 1ms: the connection was reset"), "{error}");
    }

    #[test]
    fn who_cannot_renew_a_lease_for_as_long_as_it_lasts_goes_on_no_more() {
        let lasting = standing(Duration::from_secs(3600));
        lasting.failed("the connection was reset".to_owned());
        assert!(lasting.check().is_ok(), "there is time left");
        // No time at all: it was paused, or nothing went wrong but slowly.
        let late = standing(Duration::ZERO);
        assert!(late.check().is_ok(), "its next write finds out");
        late.failed("the connection was reset".to_owned());
        let error = late.check().unwrap_err().to_string();
        assert_eq!(error, "the lock of `s` could not be renewed for 0ns: the connection was reset");
        late.renewed(Moment::now());
        assert!(late.check().is_ok());
        late.lost(Some("them".to_owned()));
        late.failed("later".to_owned());
        let error = late.check().unwrap_err().to_string();
        assert_eq!(error, "the lock of `s` was taken over by them");
    }
}
