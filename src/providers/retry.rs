//! When a call is sent again: only reads, and calls of which it is certain that nothing was done.

use std::future::Future;
use std::time::{Duration, Instant};

use backon::{ExponentialBuilder, Retryable};

use crate::model::call::{Call, Service};
use crate::model::error::{CallError, Failure};
use crate::model::project::Timing;

/// The code of a call of which no connection came about.
pub const CONNECT: &str = "connect";

/// How often a refusal that may only be early is asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Patience {
    /// Not at all.
    None,
    /// So many times.
    Times(u32),
    /// As long as the step may take.
    Long,
}

/// What a failure asks for. A changing call whose outcome is not known is never repeated.
fn patience(call: &Call, error: &CallError) -> Patience {
    let code = error.code.as_deref();
    let access = call.service == Service::Cloudflare && call.path.contains("/access/");
    match error.failure {
        Failure::Throttled => Patience::Long,
        Failure::NotSent if code == Some(CONNECT) => Patience::Times(3),
        Failure::NotSent | Failure::NotFound => Patience::None,
        Failure::Unknown if call.mutating => Patience::None,
        Failure::Unknown => Patience::Times(5),
        // Access also answers 403 to valid tokens when it is pressed (contract 1.3).
        Failure::Denied if access && error.status == Some(403) => Patience::Times(2),
        Failure::Denied => Patience::None,
        // The edge counts ended connections of a tunnel for a while (contract 4.4).
        _ if code == Some("1022") => Patience::Times(5),
        // A policy just made is not known everywhere for some seconds (contract 6.1.1).
        Failure::Refused if access && unknown_policy(error) => Patience::Times(7),
        Failure::Refused | Failure::Conflict => Patience::None,
    }
}

fn unknown_policy(error: &CallError) -> bool {
    error.status == Some(400)
        && error.message.contains("policy")
        && error.message.contains("not found")
}

/// Sends until it succeeds, or until sending again could do harm or takes too long. What a service
/// says about when to come back is obeyed.
///
/// # Errors
/// The last failure.
pub async fn run<T, F>(
    call: &Call,
    timing: &Timing,
    attempt: impl FnMut() -> F,
) -> Result<T, CallError>
where
    F: Future<Output = Result<T, CallError>>,
{
    let start = Instant::now();
    let limit = Duration::from_millis(timing.step_ms);
    let mut failed = 0;
    let pauses = ExponentialBuilder::default()
        .with_jitter()
        .with_factor(2.0)
        .with_min_delay(Duration::from_millis(timing.backoff_ms.max(1)))
        .with_max_delay(Duration::from_millis(timing.backoff_max_ms.max(1)))
        .without_max_times();
    attempt
        .retry(pauses)
        .when(move |error| {
            failed += 1;
            match patience(call, error) {
                Patience::None => false,
                Patience::Times(times) => failed <= times,
                Patience::Long => true,
            }
        })
        .adjust(move |error, pause| {
            let asked = error.retry_after_ms.map(Duration::from_millis).unwrap_or_default();
            let pause = pause?.max(asked);
            (start.elapsed() + pause <= limit).then_some(pause)
        })
        .notify(|error, pause| {
            tracing::debug!(
                service = error.service.title(),
                operation = %error.operation,
                status = error.status,
                pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
                "sending again"
            );
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::call::Method;
    use crate::providers::not_sent;

    fn timing() -> Timing {
        Timing { backoff_ms: 1, backoff_max_ms: 2, step_ms: 200, ..Timing::default() }
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
        let mut count = 0;
        let result: Result<(), CallError> = run(call, &timing(), || {
            count += 1;
            let error = error.clone();
            async move { if count > 20 { Ok(()) } else { Err(error) } }
        })
        .await;
        drop(result);
        count
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
        assert_eq!(attempts(&write, denied.clone()).await, 3);
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
}
