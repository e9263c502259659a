//! A service's clock, by the `Date` of its answers.

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;

/// `Date` tells whole seconds: half of one is what it leaves out on average.
const LEFT_OUT_MS: i64 = 500;
const UNKNOWN: i64 = i64::MIN;

/// How far a service's clock is ahead of this machine's.
#[derive(Debug)]
pub(super) struct Clock(AtomicI64);

impl Default for Clock {
    fn default() -> Self {
        Clock(AtomicI64::new(UNKNOWN))
    }
}

impl Clock {
    /// Takes note of an answer's `Date`, which has just come.
    pub(super) fn see(&self, date: &str) {
        if let Some(skew) = skew_ms(date, Timestamp::now()) {
            self.0.store(skew, Ordering::Relaxed);
        }
    }

    /// Milliseconds; None before the first answer.
    pub(super) fn skew_ms(&self) -> Option<i64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|skew| *skew != UNKNOWN)
    }
}

fn skew_ms(date: &str, now: Timestamp) -> Option<i64> {
    let then = jiff::fmt::rfc2822::parse(date).ok()?.timestamp();
    Some(then.as_millisecond() + LEFT_OUT_MS - now.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_tells_how_far_a_clock_is_ahead() {
        let now: Timestamp = "2026-11-23T03:00:00.500Z".parse().unwrap();
        assert_eq!(skew_ms("Mon, 23 Nov 2026 03:00:00 GMT", now), Some(0));
        assert_eq!(skew_ms("Mon, 23 Nov 2026 03:01:00 GMT", now), Some(60_000));
        assert_eq!(skew_ms("Mon, 23 Nov 2026 02:59:00 GMT", now), Some(-60_000));
        assert_eq!(skew_ms("yesterday", now), None);
        assert_eq!(Clock::default().skew_ms(), None);
    }
}
