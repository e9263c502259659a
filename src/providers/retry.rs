//! When a call is sent again: only reads, and calls of which it is certain that nothing was done.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use backon::{ExponentialBuilder, Retryable};
use jiff::Timestamp;

use crate::model::call::{Call, Service};
use crate::model::error::{CallError, Failure};
use crate::model::event::{Event, Events};
use crate::model::port::Holding;
use crate::model::project::Timing;

use super::not_sent;

/// The code of a call of which no connection came about.
pub const CONNECT: &str = "connect";

/// The code of a call that is not sent, since another run goes on with the state.
const REPLACED: &str = "replaced";

/// How long a pause is not worth a line.
const BRIEF: Duration = Duration::from_secs(1);

/// A message that was not taken, as far as is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undelivered {
    /// Why, secrets scrubbed.
    pub message: String,
    /// Whether sending it again may help.
    pub again: bool,
    /// When to try again, in milliseconds, where the receiver said so.
    pub retry_after_ms: Option<u64>,
}

/// Sends calls again, within limits, and tells so.
#[derive(Clone, Default)]
pub struct Retry {
    /// Limits and pauses.
    pub timing: Timing,
    /// Who is told of pauses.
    pub events: Option<Arc<dyn Events>>,
    /// What has to be held still when a call that changes something leaves.
    pub holding: Option<Arc<dyn Holding>>,
}

impl From<Timing> for Retry {
    fn from(timing: Timing) -> Self {
        Retry { timing, ..Retry::default() }
    }
}

impl std::fmt::Debug for Retry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Retry").field("timing", &self.timing).finish_non_exhaustive()
    }
}

/// How often a failed call is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Patience {
    /// Not at all.
    None,
    /// So many times.
    Times(u32),
    /// So many times, which is told from the first on: it looks like a mistake of the user's.
    Told(u32),
    /// As long as the step may take.
    Long,
}

/// What a failure asks for, and what may be behind it. A changing call whose outcome is not known
/// is never repeated.
fn patience(call: &Call, error: &CallError) -> (Patience, &'static str) {
    let code = error.code.as_deref();
    let access = call.service == Service::Cloudflare && call.path.contains("/access/");
    match error.failure {
        Failure::Throttled if error.status == Some(500) => {
            (Patience::Long, "a webhook that it asks first does not answer")
        }
        Failure::Throttled => (Patience::Long, "it has had too many requests"),
        Failure::NotSent if code == Some(CONNECT) => (Patience::Times(3), "it can't be reached"),
        Failure::NotSent | Failure::NotFound => (Patience::None, ""),
        Failure::Unknown if call.mutating => (Patience::None, ""),
        Failure::Unknown => (Patience::Times(5), "it gave no usable answer"),
        // Contract 1.3; 12133 is what the account's plan does not include.
        Failure::Denied if access && error.status == Some(403) && code != Some("12133") => {
            (Patience::Told(4), "Access refuses valid tokens too while it is busy")
        }
        Failure::Denied => (Patience::None, ""),
        // Contract 4.4.
        _ if code == Some("1022") => {
            (Patience::Told(5), "it still counts connections of the tunnel that have ended")
        }
        // Contract 6.1.1.
        Failure::Refused if access && unknown_policy(error) => {
            (Patience::Told(7), "a policy just made is not known everywhere at once")
        }
        Failure::Refused | Failure::Conflict => (Patience::None, ""),
    }
}

fn unknown_policy(error: &CallError) -> bool {
    error.status == Some(400)
        && error.message.contains("policy")
        && error.message.contains("not found")
}

impl Retry {
    /// Sends until it succeeds, or until sending again could do harm or takes too long. What a
    /// service says about when to come back is obeyed.
    ///
    /// # Errors
    /// The last failure.
    pub async fn run<T, F>(&self, call: &Call, attempt: impl FnMut() -> F) -> Result<T, CallError>
    where
        F: Future<Output = Result<T, CallError>>,
    {
        self.run_beside(call, || Duration::ZERO, attempt).await
    }

    /// As [`Retry::run`]; `held` tells how long the service had no room for requests so far, which
    /// takes no time from a step.
    ///
    /// # Errors
    /// The last failure.
    pub async fn run_beside<T, F>(
        &self,
        call: &Call,
        held: impl Fn() -> Duration,
        attempt: impl FnMut() -> F,
    ) -> Result<T, CallError>
    where
        F: Future<Output = Result<T, CallError>>,
    {
        let (start, before) = (Instant::now(), held());
        let whole = self.timing.step_ms;
        let limit = Duration::from_millis(call.within_ms.map_or(whole, |left| left.min(whole)));
        let mut failed = 0;
        attempt
            .retry(self.pauses())
            .when(move |error| {
                failed += 1;
                match patience(call, error).0 {
                    Patience::None => false,
                    Patience::Times(times) | Patience::Told(times) => failed <= times,
                    Patience::Long => true,
                }
            })
            .adjust(move |error, pause| {
                let asked = error.retry_after_ms.map(Duration::from_millis).unwrap_or_default();
                let pause = pause?.max(asked);
                let spent = start.elapsed().saturating_sub(held().saturating_sub(before));
                (spent + pause <= limit).then_some(pause)
            })
            .notify(|error, pause| self.tell(call, error, pause))
            .await
    }

    fn pauses(&self) -> ExponentialBuilder {
        ExponentialBuilder::default()
            .with_jitter()
            .with_factor(2.0)
            .with_min_delay(Duration::from_millis(self.timing.backoff_ms.max(1)))
            .with_max_delay(Duration::from_millis(self.timing.backoff_max_ms.max(1)))
            .without_max_times()
    }

    /// Sends a message until it was taken: one that arrives twice does no harm. What is refused is
    /// not sent again. What the receiver says about when to come back is obeyed, within the time
    /// of a step.
    ///
    /// # Errors
    /// The last failure.
    pub async fn deliver<F>(&self, attempt: impl FnMut() -> F) -> Result<(), Undelivered>
    where
        F: Future<Output = Result<(), Undelivered>>,
    {
        const TIMES: u32 = 5;
        let (start, limit) = (Instant::now(), Duration::from_millis(self.timing.step_ms));
        let mut failed = 0;
        attempt
            .retry(self.pauses())
            .when(move |error| {
                failed += 1;
                error.again && failed <= TIMES
            })
            .adjust(move |error, pause| {
                let asked = error.retry_after_ms.map(Duration::from_millis).unwrap_or_default();
                let pause = pause?.max(asked);
                (start.elapsed() + pause <= limit).then_some(pause)
            })
            .await
    }

    /// To be asked right before a call leaves, again each time that it is sent: a run that was
    /// paused meanwhile, and replaced, sends nothing more.
    ///
    /// # Errors
    /// Nothing is to be sent.
    pub fn may_send(&self, call: &Call, operation: &str) -> Result<(), CallError> {
        let Some(holding) = self.holding.as_ref().filter(|_| call.mutating) else { return Ok(()) };
        holding.check().map_err(|error| {
            let message = format!("nothing more is sent: {error}");
            not_sent(call.service, operation, REPLACED, message)
                .with_hint("plan again when the other run has ended")
        })
    }

    /// Tells of a wait for room in a service's budget, where it is worth a line.
    pub fn tell_pause(&self, operation: &str, pause: Duration) {
        if let Some(events) = self.events.as_ref().filter(|_| pause >= BRIEF) {
            events.emit(Event::Retrying {
                operation: operation.to_owned(),
                status: None,
                reason: "its budget of requests is used up".to_owned(),
                pause_ms: u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
            });
        }
    }

    fn tell(&self, call: &Call, error: &CallError, pause: Duration) {
        let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        tracing::debug!(
            service = error.service.title(),
            operation = %error.operation,
            status = error.status,
            pause_ms,
            "sending again"
        );
        let (patience, why) = patience(call, error);
        if let Some(events) = &self.events
            && (pause >= BRIEF || matches!(patience, Patience::Told(_)))
        {
            events.emit(Event::Retrying {
                operation: format!("{} {}", error.service.title(), error.operation),
                status: error.status,
                reason: why.to_owned(),
                pause_ms,
            });
        }
    }
}

/// When to come back by a `retry-after` header, in milliseconds from now: seconds, or a date
/// (RFC 9110, 10.2.3).
pub(super) fn retry_after_ms(text: &str, now: Timestamp) -> Option<u64> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(seconds.saturating_mul(1000));
    }
    let until = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Some(u64::try_from(until.duration_since(now).as_millis()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::model::call::Method;

    #[derive(Default)]
    struct Heard(std::sync::Mutex<Vec<Event>>);

    impl Events for Heard {
        fn emit(&self, event: Event) {
            self.0.lock().unwrap().push(event);
        }
    }

    fn retry() -> Retry {
        // A step's limit that no load on the machine comes near.
        let timing = Timing { backoff_ms: 1, backoff_max_ms: 2, ..Timing::default() };
        Retry::from(Timing { step_ms: 30_000, ..timing })
    }

    fn failure(failure: Failure, status: u16, code: &str, message: &str) -> CallError {
        CallError {
            failure,
            status: Some(status),
            message: message.to_owned(),
            ..not_sent(Service::Cloudflare, "x", code, "")
        }
    }

    async fn attempts(call: &Call, error: CallError) -> u32 {
        attempts_by(&retry(), call, error).await
    }

    async fn attempts_by(retry: &Retry, call: &Call, error: CallError) -> u32 {
        let mut count = 0;
        let result: Result<(), CallError> = retry
            .run(call, || {
                count += 1;
                let error = error.clone();
                async move { if count > 20 { Ok(()) } else { Err(error) } }
            })
            .await;
        drop(result);
        count
    }

    /// Locks that are lost after so many looks.
    struct Lost(AtomicUsize);

    impl Holding for Lost {
        fn check(&self) -> std::io::Result<()> {
            let one_less = |left: usize| left.checked_sub(1);
            let left = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less);
            left.map(drop).map_err(|_| std::io::Error::other("another run took over"))
        }
    }

    #[tokio::test]
    async fn what_waits_to_be_sent_again_is_not_sent_once_the_locks_are_lost() {
        let holding: Option<Arc<dyn Holding>> = Some(Arc::new(Lost(2.into())));
        let retry = Retry { holding, ..retry() };
        let write = Call::change(Service::Cloudflare, Method::Post, "/x");
        let mut sent = 0;
        let result: Result<(), CallError> = retry
            .run(&write, || {
                let may = retry.may_send(&write, "POST /x");
                sent += usize::from(may.is_ok());
                let throttled = failure(Failure::Throttled, 429, "", "");
                async move { Err(may.err().unwrap_or(throttled)) }
            })
            .await;
        let error = result.unwrap_err();
        assert_eq!((sent, error.failure), (2, Failure::NotSent));
        assert_eq!(error.message, "nothing more is sent: another run took over");
        // Who only reads need not hold anything.
        assert!(retry.may_send(&Call::get(Service::Cloudflare, "/x"), "GET /x").is_ok());
    }

    #[tokio::test]
    async fn only_what_was_surely_not_done_is_sent_again() {
        let read = Call::get(Service::Cloudflare, "/zones");
        let write = Call::change(Service::Cloudflare, Method::Post, "/accounts/a/access/apps");
        let lost = failure(Failure::Unknown, 502, "", "html");
        assert_eq!(attempts(&write, lost.clone()).await, 1);
        assert_eq!(attempts(&read, lost).await, 6);
        let refused = failure(Failure::Refused, 400, "12130", "invalid");
        assert_eq!(attempts(&write, refused).await, 1);
        let early = failure(Failure::Refused, 400, "12130", "policy 1-2 not found");
        assert_eq!(attempts(&write, early).await, 8);
        let throttled = failure(Failure::Throttled, 429, "10100", "");
        assert_eq!(attempts(&write, throttled).await, 21);
        let denied = failure(Failure::Denied, 403, "10000", "");
        assert_eq!(attempts(&write, denied.clone()).await, 5);
        let lacking = failure(Failure::Denied, 403, "12133", "");
        assert_eq!(attempts(&write, lacking).await, 1);
        assert_eq!(attempts(&read, denied).await, 1);
        assert_eq!(attempts(&write, not_sent(Service::Ssm, "x", CONNECT, "")).await, 4);
        assert_eq!(attempts(&write, not_sent(Service::Ssm, "x", "credentials", "")).await, 1);
    }

    #[tokio::test]
    async fn a_pause_that_is_longer_than_the_step_ends_it() {
        let call = Call::get(Service::Cloudflare, "/zones");
        let mut error = failure(Failure::Throttled, 429, "10100", "");
        error.retry_after_ms = Some(60_000);
        assert_eq!(attempts(&call, error).await, 1);
    }

    #[tokio::test]
    async fn waiting_for_room_takes_no_time_from_a_step() {
        let mut call = Call::get(Service::Cloudflare, "/zones");
        call.within_ms = Some(0);
        let throttled = failure(Failure::Throttled, 429, "10100", "");
        let (retry, clock) = (retry(), std::cell::Cell::new(Duration::ZERO));
        let mut count = 0;
        let held = || clock.get();
        let result: Result<(), CallError> = retry
            .run_beside(&call, held, || {
                count += 1;
                // Of all the time since, none was the service's to give.
                clock.set(Duration::from_secs(3600) * count);
                let error = throttled.clone();
                async move { if count > 3 { Ok(()) } else { Err(error) } }
            })
            .await;
        // What the pauses take counts all the same.
        assert!(result.is_err() && count == 1, "{count}");
        call.within_ms = Some(100);
        count = 0;
        let result: Result<(), CallError> = retry
            .run_beside(&call, held, || {
                count += 1;
                clock.set(clock.get() + Duration::from_secs(3600));
                let error = throttled.clone();
                async move { if count > 3 { Ok(()) } else { Err(error) } }
            })
            .await;
        assert!(result.is_ok() && count == 4, "{count}");
    }

    #[tokio::test]
    async fn the_calls_of_a_step_share_its_time() {
        let mut call = Call::get(Service::Cloudflare, "/zones");
        let throttled = failure(Failure::Throttled, 429, "10100", "");
        call.within_ms = Some(0);
        assert_eq!(attempts(&call, throttled.clone()).await, 1);
        call.within_ms = Some(60_000);
        let mut long = throttled;
        long.retry_after_ms = Some(31_000);
        assert_eq!(attempts(&call, long).await, 1, "a step's whole time is never exceeded");
    }

    #[tokio::test]
    async fn what_looks_like_a_mistake_is_told_at_once_and_a_long_pause_always() {
        let heard = Arc::new(Heard::default());
        let retry = Retry { events: Some(heard.clone()), ..retry() };
        let write = Call::change(Service::Cloudflare, Method::Post, "/accounts/a/access/apps");
        let denied = failure(Failure::Denied, 403, "10000", "Authentication error");
        assert_eq!(attempts_by(&retry, &write, denied).await, 5);
        let read = Call::get(Service::Cloudflare, "/zones");
        attempts_by(&retry, &read, failure(Failure::Unknown, 502, "", "html")).await;
        let events = std::mem::take(&mut *heard.0.lock().unwrap());
        assert_eq!(events.len(), 4, "{events:?}");
        let Event::Retrying { operation, status, reason, .. } = &events[0] else {
            panic!("{events:?}")
        };
        assert_eq!((operation.as_str(), *status), ("Cloudflare x", Some(403)));
        assert_eq!(reason, "Access refuses valid tokens too while it is busy");
    }

    #[test]
    fn a_service_says_when_to_come_back_in_seconds_or_with_a_date() {
        let now: Timestamp = "2026-11-23T03:00:00Z".parse().unwrap();
        for (text, ms) in [
            ("7", Some(7_000)),
            (" 0 ", Some(0)),
            ("Mon, 23 Nov 2026 03:01:30 GMT", Some(90_000)),
            ("Mon, 23 Nov 2026 02:00:00 GMT", Some(0)),
            ("soon", None),
        ] {
            assert_eq!(retry_after_ms(text, now), ms, "{text}");
        }
    }
}
