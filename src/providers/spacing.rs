//! Calls of one operation, kept apart from one another once the service has said that they come too
//! fast. SSM says neither how many it takes nor when to come back.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What is known of the room between calls.
#[derive(Debug)]
pub struct Spacing {
    apart: Duration,
    /// When there is room for the next call; none as long as none was refused.
    next: Mutex<Option<Instant>>,
}

impl Spacing {
    /// Calls are as fast as they come, until one is refused; then they are so far apart.
    pub fn new(apart: Duration) -> Spacing {
        Spacing { apart, next: Mutex::new(None) }
    }

    /// A call was refused, since it came too fast.
    pub fn refused(&self, now: Instant) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        next.get_or_insert(now + self.apart);
    }

    /// Takes the place of one call: how long to wait for it.
    pub fn place(&self, now: Instant) -> Duration {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(at) = *next else { return Duration::ZERO };
        let at = at.max(now);
        *next = Some(at + self.apart);
        at - now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_kept_apart_from_the_first_refusal_on() {
        let ms = Duration::from_millis;
        let start = Instant::now();
        let spacing = Spacing::new(ms(100));
        assert!((0..50).all(|_| spacing.place(start) == Duration::ZERO));
        spacing.refused(start);
        spacing.refused(start);
        let waits: Vec<Duration> = (0..3).map(|_| spacing.place(start)).collect();
        assert_eq!(waits, [ms(100), ms(200), ms(300)]);
        // Who comes later finds room at once, and those after him keep their distance.
        let later = start + ms(1_000);
        assert_eq!([spacing.place(later), spacing.place(later)], [ms(0), ms(100)]);
    }
}
