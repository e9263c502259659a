//! How many requests a service has room for, by what it said last (contract 1.5).

use std::time::{Duration, Instant};

/// The budget of one service, as far as it is known.
#[derive(Debug, Default)]
pub struct Pace {
    /// What is left until the budget is granted anew.
    window: Option<Window>,
    /// Requests that were sent and not answered yet: what the service says does not count them.
    on_their_way: u64,
    /// Nothing is sent before, as the service asked.
    not_before: Option<Instant>,
    /// How many wait for room, and since when anyone does.
    waiting: (u32, Option<Instant>),
    /// How long anyone waited for room before that.
    waited: Duration,
}

#[derive(Debug, Clone, Copy)]
struct Window {
    left: u64,
    resets: Instant,
    /// What is granted in each window, and how long one is, where the service says so.
    granted: Option<(u64, Duration)>,
}

impl Pace {
    /// Takes the place of one request, or says how long to wait before asking again.
    ///
    /// # Errors
    /// There is no room for so long.
    pub fn take(&mut self, now: Instant) -> Result<(), Duration> {
        if let Some(until) = self.not_before.filter(|until| *until > now) {
            return Err(until - now);
        }
        self.not_before = None;
        if let Some(window) = &mut self.window
            && window.resets <= now
        {
            match window.granted {
                // What it comes to is said by the next answer.
                Some((granted, time)) => {
                    window.left = granted.saturating_sub(self.on_their_way).max(1);
                    window.resets = now + time;
                }
                None => self.window = None,
            }
        }
        if let Some(window) = &mut self.window {
            if window.left == 0 {
                return Err(window.resets.saturating_duration_since(now));
            }
            window.left -= 1;
        }
        self.on_their_way += 1;
        Ok(())
    }

    /// One request was answered, or never will be.
    pub fn ended(&mut self) {
        self.on_their_way = self.on_their_way.saturating_sub(1);
    }

    /// One more request waits for room.
    pub fn waits(&mut self, now: Instant) {
        self.waiting = (self.waiting.0 + 1, self.waiting.1.or(Some(now)));
    }

    /// One of them waits no more.
    pub fn waits_no_more(&mut self, now: Instant) {
        self.waiting.0 = self.waiting.0.saturating_sub(1);
        if self.waiting.0 == 0 {
            self.waited = self.held(now);
            self.waiting.1 = None;
        }
    }

    /// For how long there was no room so far, as far as anyone waited for it.
    pub fn held(&self, now: Instant) -> Duration {
        let by_now = self.waiting.1.map(|since| now.saturating_duration_since(since));
        self.waited + by_now.unwrap_or_default()
    }

    /// Learns from the headers `Ratelimit` and `Ratelimit-Policy` of an answer. Answers overtake one
    /// another, so within a window the smaller number counts.
    pub fn learn(&mut self, limit: &str, policy: Option<&str>, now: Instant) {
        let Some((remaining, time)) = rate_limit(limit) else { return };
        let granted = policy.and_then(rate_policy);
        let resets = now + time;
        let left = remaining.saturating_sub(self.on_their_way);
        // Whole seconds: the same end may seem one away.
        let slack = Duration::from_millis(1_500);
        let same = self.window.filter(|window| resets <= window.resets + slack);
        let (left, resets) = match same {
            Some(window) => (left.min(window.left), resets.min(window.resets).max(now)),
            None => (left, resets),
        };
        self.window = Some(Window { left, resets, granted });
    }

    /// Nothing is sent for so long.
    pub fn hold_back(&mut self, pause: Duration, now: Instant) {
        let then = now + pause;
        self.not_before = Some(self.not_before.map_or(then, |until| until.max(then)));
    }
}

/// The smallest remaining number of a `Ratelimit` header and the time until it is reset:
/// `"default";r=50;t=30`, several items apart by commas.
fn rate_limit(header: &str) -> Option<(u64, Duration)> {
    pairs(header, "r=", "t=").min_by_key(|(remaining, _)| *remaining)
}

/// The tightest grant of a `Ratelimit-Policy` header: `"default";q=1200;w=300`.
fn rate_policy(header: &str) -> Option<(u64, Duration)> {
    pairs(header, "q=", "w=").min_by_key(|(granted, _)| *granted)
}

fn pairs(header: &str, number: &str, seconds: &str) -> impl Iterator<Item = (u64, Duration)> {
    let pair = move |item: &str| {
        let parameter = |name: &str| {
            item.split(';').find_map(|part| part.trim().strip_prefix(name)?.parse::<u64>().ok())
        };
        Some((parameter(number)?, Duration::from_secs(parameter(seconds)?)))
    };
    header.split(',').filter_map(pair).collect::<Vec<_>>().into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Option<&str> = Some("\"default\";q=3;w=10");

    fn at(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn headers_are_read() {
        for (header, read) in [
            ("\"default\";r=50;t=30", Some((50, 30))),
            ("\"default\";r=50;t=30, \"burst\";r=2;t=7", Some((2, 7))),
            ("nonsense", None),
            ("\"default\";r=;t=30", None),
        ] {
            let read = read.map(|(left, seconds)| (left, Duration::from_secs(seconds)));
            assert_eq!(rate_limit(header), read, "{header}");
        }
        assert_eq!(rate_policy("\"burst\";q=100;w=60"), Some((100, Duration::from_secs(60))));
    }

    #[test]
    fn no_more_is_sent_than_there_is_room_for() {
        let start = Instant::now();
        let mut pace = Pace::default();
        assert!(pace.take(start).is_ok(), "nothing is known yet");
        pace.ended();
        pace.learn("\"default\";r=2;t=10", POLICY, start);
        assert!(pace.take(start).is_ok());
        assert!(pace.take(start).is_ok());
        assert_eq!(pace.take(at(start, 4)), Err(Duration::from_secs(6)));
        // Then there is as much as the service grants, and no more.
        pace.ended();
        pace.ended();
        for seconds in [10, 11, 11] {
            assert!(pace.take(at(start, seconds)).is_ok());
        }
        assert!(pace.take(at(start, 12)).is_err());
    }

    #[test]
    fn the_time_without_room_is_counted_once_however_many_wait() {
        let start = Instant::now();
        let mut pace = Pace::default();
        assert_eq!(pace.held(at(start, 5)), Duration::ZERO);
        pace.waits(start);
        pace.waits(at(start, 2));
        assert_eq!(pace.held(at(start, 3)), Duration::from_secs(3));
        pace.waits_no_more(at(start, 4));
        pace.waits_no_more(at(start, 6));
        assert_eq!(pace.held(at(start, 9)), Duration::from_secs(6));
        pace.waits(at(start, 10));
        assert_eq!(pace.held(at(start, 11)), Duration::from_secs(7));
    }

    #[test]
    fn what_is_on_its_way_counts_and_an_answer_that_is_late_does_not_add() {
        let start = Instant::now();
        let mut pace = Pace::default();
        for _ in 0..3 {
            assert!(pace.take(start).is_ok());
        }
        pace.ended();
        // Two others are not among those that it has counted.
        pace.learn("\"default\";r=3;t=10", POLICY, start);
        assert!(pace.take(start).is_ok());
        assert!(pace.take(start).is_err());
        pace.ended();
        pace.learn("\"default\";r=9;t=10", POLICY, start);
        assert!(pace.take(start).is_err());
        // In the next window it does.
        pace.learn("\"default\";r=9;t=10", POLICY, at(start, 10));
        assert!(pace.take(at(start, 10)).is_ok());
    }

    #[test]
    fn a_service_that_says_no_policy_is_asked_again_when_its_time_has_come() {
        let start = Instant::now();
        let mut pace = Pace::default();
        pace.learn("\"default\";r=0;t=10", None, start);
        assert_eq!(pace.take(start), Err(Duration::from_secs(10)));
        assert!((0..5).all(|_| pace.take(at(start, 10)).is_ok()));
        pace.hold_back(Duration::from_secs(7), start);
        assert_eq!(pace.take(at(start, 2)), Err(Duration::from_secs(5)));
    }
}
