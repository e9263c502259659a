//! The Cloudflare v4 API over HTTP (contract 1).

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::clock::Clock;
use super::pace::Pace;
use super::pages::Turn;
use super::retry::{self, Retry};
use super::{chain, hints, host_of, not_sent, proxy, reveal, scrub, tolerated};
use crate::model::Json;
use crate::model::call::{Answer, Call, Listing, Method, Paging, Service};
use crate::model::error::{CallError, Failure};
use crate::model::scope::Scope;
use crate::model::secret::{Secret, SecretId, Secrets};
use crate::model::state::Target;

const BASE_URL: &str = "https://api.cloudflare.com/client/v4";
/// Pages that a list may have at most: a server that never ends is an error, not a loop.
const MOST_PAGES: u32 = 1000;

/// Sends to the Cloudflare API.
pub struct Cloudflare {
    http: Result<reqwest::Client, String>,
    base: String,
    /// Holds the API token alone, so that texts can be scrubbed of it.
    token: RwLock<Secrets>,
    retry: Retry,
    sent: AtomicU64,
    pace: Mutex<Pace>,
    clock: Clock,
}

/// A page of an answer.
struct Page {
    result: Json,
    info: Json,
    warnings: Vec<String>,
    status: u16,
}

fn token_id() -> SecretId {
    SecretId::variable("CLOUDFLARE_API_TOKEN")
}

impl Cloudflare {
    /// A client; nothing is sent, and what is missing is said when something is to be.
    pub fn new(
        token: Option<Secret>,
        base_url: Option<String>,
        direct: bool,
        retry: Retry,
    ) -> Self {
        // Another part of the program may have installed it before.
        drop(rustls::crypto::ring::default_provider().install_default());
        let builder = reqwest::Client::builder()
            .timeout(Duration::from_millis(retry.timing.request_ms))
            .user_agent(concat!("boxctl/", env!("CARGO_PKG_VERSION")));
        let builder = if direct { Ok(builder.no_proxy()) } else { proxy::of_cloudflare(builder) };
        let mut secrets = Secrets::new();
        if let Some(token) = token {
            secrets.insert(token_id(), token);
        }
        Cloudflare {
            http: builder.and_then(|builder| builder.build().map_err(|error| chain(&error))),
            base: base_url.unwrap_or_else(|| BASE_URL.to_owned()).trim_end_matches('/').to_owned(),
            token: RwLock::new(secrets),
            retry,
            sent: AtomicU64::new(0),
            pace: Mutex::default(),
            clock: Clock::default(),
        }
    }

    /// How many requests were sent.
    pub fn requests(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// How far the service's clock is ahead of this one's, in milliseconds.
    pub fn skew_ms(&self) -> Option<i64> {
        self.clock.skew_ms()
    }

    /// Account and endpoint; no request.
    pub fn target(&self, scope: &Scope) -> Target {
        Target {
            cloudflare_account: Some(scope.account_id.clone()).filter(|id| !id.is_empty()),
            cloudflare_host: host_of(&self.base),
            ..Target::default()
        }
    }

    /// Sends one call.
    ///
    /// # Errors
    /// What became of it otherwise, with advice.
    pub async fn send(&self, call: &Call, secrets: &RwLock<Secrets>) -> Result<Answer, CallError> {
        let held = || self.held();
        let page = self.retry.run_beside(call, held, || self.once(call, secrets)).await;
        match page {
            Ok(page) => {
                Ok(Answer { status: page.status, body: page.result, warnings: page.warnings })
            }
            Err(error)
                if error.status.is_some_and(|status| call.tolerate.contains(&status))
                    && !is_unrouted(error.code.as_deref()) =>
            {
                Ok(tolerated(&error))
            }
            Err(error) => Err(error),
        }
    }

    /// Reads all pages of a collection.
    ///
    /// # Errors
    /// What became of one of the requests.
    pub async fn list(&self, listing: &Listing) -> Result<Vec<Json>, CallError> {
        let secrets = RwLock::new(Secrets::new());
        let mut all: Vec<Json> = Vec::new();
        let mut turn = Turn::first(listing.paging);
        let most = match listing.paging {
            Paging::Newest(most) => most,
            Paging::One | Paging::Pages(_) | Paging::Token => MOST_PAGES,
        };
        for _ in 1..=most {
            let (found, next) = self.page(&listing.call, &turn, &secrets).await?;
            let repeated = found.first().is_some_and(|first| all.first() == Some(first));
            if repeated {
                return Ok(all);
            }
            all.extend(found);
            match next {
                Some(next) => turn = next,
                None => return Ok(all),
            }
        }
        if matches!(listing.paging, Paging::Newest(_)) {
            return Ok(all);
        }
        Err(CallError {
            failure: Failure::Refused,
            ..not_sent(
                Service::Cloudflare,
                &operation(&listing.call),
                "paging",
                format!("the list has not ended after {MOST_PAGES} pages"),
            )
        })
    }

    /// Reads a collection that fits into a page of `most` items; None for a larger one.
    ///
    /// # Errors
    /// What became of the request.
    pub async fn list_small(
        &self,
        listing: &Listing,
        most: u32,
    ) -> Result<Option<Vec<Json>>, CallError> {
        if !matches!(listing.paging, Paging::Pages(_)) {
            return self.list(listing).await.map(Some);
        }
        let secrets = RwLock::new(Secrets::new());
        let first = Turn::first(Paging::Pages(most));
        let (items, next) = self.page(&listing.call, &first, &secrets).await?;
        Ok(next.is_none().then_some(items))
    }

    /// A page of a collection, and what to ask for next.
    async fn page(
        &self,
        call: &Call,
        turn: &Turn,
        secrets: &RwLock<Secrets>,
    ) -> Result<(Vec<Json>, Option<Turn>), CallError> {
        let call = turn.asked(call);
        let held = || self.held();
        let page = self.retry.run_beside(&call, held, || self.once(&call, secrets)).await?;
        let found = items(&call, page.result)?;
        let next = turn.next(found.len(), &page.info);
        Ok((found, next))
    }

    async fn once(&self, call: &Call, secrets: &RwLock<Secrets>) -> Result<Page, CallError> {
        let operation = operation(call);
        let request = self.request(call, &operation, secrets)?;
        let place = self.place(&operation).await;
        self.retry.may_send(call, &operation)?;
        self.sent.fetch_add(1, Ordering::Relaxed);
        let start = Instant::now();
        let sent = request.send().await;
        drop(place);
        let elapsed = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        let response = sent.map_err(|error| self.lost(&operation, error, secrets))?;
        let status = response.status().as_u16();
        tracing::debug!(
            method = call.method.as_str(),
            path = %call.path,
            status,
            elapsed_ms = elapsed,
            "Cloudflare"
        );
        let header = |name: &str| {
            response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        let request_id = header("cf-ray");
        if let Some(date) = header("date") {
            self.clock.see(&date);
        }
        // A date is the service's, and so is the clock that it is read by.
        let now = Timestamp::now();
        let skew = SignedDuration::from_millis(self.clock.skew_ms().unwrap_or(0));
        let now = now.checked_add(skew).unwrap_or(now);
        let retry_after_ms =
            header("retry-after").and_then(|text| retry::retry_after_ms(&text, now));
        if let Some(limit) = header("ratelimit") {
            let policy = header("ratelimit-policy");
            self.pace().learn(&limit, policy.as_deref(), Instant::now());
        }
        // Others that send at the same time would only be refused, too.
        if let Some(ms) = retry_after_ms.filter(|_| status == 429) {
            self.hold_back(Duration::from_millis(ms));
        }
        let text = response.text().await.map_err(|error| self.lost(&operation, error, secrets))?;
        decode(status, &text).map_err(|refusal| {
            let mut error = CallError {
                service: Service::Cloudflare,
                operation,
                failure: refusal.failure,
                status: Some(status),
                code: refusal.code,
                message: self.scrubbed(&refusal.message, secrets),
                request_id,
                hint: None,
                retry_after_ms,
            };
            error.hint = hints::hint(&error);
            error
        })
    }

    fn request(
        &self,
        call: &Call,
        operation: &str,
        secrets: &RwLock<Secrets>,
    ) -> Result<reqwest::RequestBuilder, CallError> {
        let unsent =
            |code: &str, text: String| not_sent(Service::Cloudflare, operation, code, text);
        let http = self.http.as_ref().map_err(|text| unsent("client", text.clone()))?;
        let method = match call.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Patch => reqwest::Method::PATCH,
            Method::Delete => reqwest::Method::DELETE,
        };
        let url = url::Url::parse(&format!("{}{}", self.base, call.path)).map_err(|error| {
            let text = format!("CLOUDFLARE_BASE_URL is `{}`, which is no URL: {error}", self.base);
            unsent("client", text)
                .with_hint("write it like https://api.cloudflare.com/client/v4, or leave it unset")
        })?;
        let mut request = http.request(method, url);
        if !call.query.is_empty() {
            request = request.query(&call.query);
        }
        if let Some(body) = &call.body {
            request = request.json(&reveal(Service::Cloudflare, operation, body, secrets)?);
        }
        let token = self.token.read().unwrap_or_else(PoisonError::into_inner);
        let Some(token) = token.get(&token_id()) else {
            let hint = format!("set CLOUDFLARE_API_TOKEN; {}", hints::TOKEN_SCOPES);
            let error = unsent("credentials", "CLOUDFLARE_API_TOKEN is not set".to_owned());
            return Err(error.with_hint(&hint));
        };
        Ok(request.bearer_auth(token.expose()))
    }

    fn scrubbed(&self, text: &str, secrets: &RwLock<Secrets>) -> String {
        scrub(&scrub(text, secrets), &self.token)
    }

    fn lost(&self, operation: &str, error: reqwest::Error, secrets: &RwLock<Secrets>) -> CallError {
        let never = error.is_builder() || error.is_connect();
        let code = if error.is_connect() { retry::CONNECT } else { "request" };
        let text = self.scrubbed(&chain(&error.without_url()), secrets);
        let mut lost = not_sent(Service::Cloudflare, operation, code, text);
        if !never {
            lost.failure = Failure::Unknown;
        }
        lost.hint = hints::hint(&lost);
        lost
    }

    /// Waits until the service has room for one more request (contract 1.5).
    async fn place(&self, operation: &str) -> Place<'_> {
        let mut waiting = None;
        loop {
            let taken = self.pace().take(Instant::now());
            let Err(pause) = taken else { return Place(self) };
            if waiting.is_none() {
                self.retry.tell_pause(&format!("Cloudflare {operation}"), pause);
                self.pace().waits(Instant::now());
                waiting = Some(Waiting(self));
            }
            // Another may have taken the place meanwhile.
            tokio::time::sleep(pause + Duration::from_millis(1)).await;
        }
    }

    fn pace(&self) -> std::sync::MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For how long there was no room for requests so far.
    pub fn held(&self) -> Duration {
        self.pace().held(Instant::now())
    }

    fn hold_back(&self, pause: Duration) {
        let pause = pause.min(Duration::from_millis(self.retry.timing.step_ms));
        self.pace().hold_back(pause, Instant::now());
    }
}

/// A request that waits for room.
struct Waiting<'a>(&'a Cloudflare);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.pace().waits_no_more(Instant::now());
    }
}

/// The place of a request that is on its way.
struct Place<'a>(&'a Cloudflare);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.pace().ended();
    }
}

fn operation(call: &Call) -> String {
    format!("{} {}", call.method.as_str(), call.path)
}

fn items(call: &Call, result: Json) -> Result<Vec<Json>, CallError> {
    match result {
        Json::Array(items) => Ok(items),
        Json::Null => Ok(Vec::new()),
        // R2 puts its list under a name of its own (contract 7.6).
        Json::Object(map) if map.len() == 1 && map.values().all(Json::is_array) => {
            Ok(map.into_values().filter_map(|list| list.as_array().cloned()).flatten().collect())
        }
        _ => Err(CallError {
            failure: Failure::Unknown,
            ..not_sent(Service::Cloudflare, &operation(call), "list", "the answer is not a list")
        }),
    }
}

/// A refusal in an envelope.
#[derive(Debug, PartialEq)]
struct Refusal {
    failure: Failure,
    code: Option<String>,
    message: String,
}

/// Takes an answer out of its envelope (contract 1.2).
fn decode(status: u16, text: &str) -> Result<Page, Refusal> {
    let good = (200..300).contains(&status);
    if good && text.trim().is_empty() {
        return Ok(Page { result: Json::Null, info: Json::Null, warnings: Vec::new(), status });
    }
    let envelope = match serde_json::from_str::<Json>(text) {
        Ok(value @ Json::Object(_)) => value,
        _ => {
            let failure = if status == 429 { Failure::Throttled } else { Failure::Unknown };
            let message =
                format!("the answer is not the API's JSON but {} bytes of text", text.len());
            return Err(Refusal { failure, code: None, message });
        }
    };
    let list = |field: &str| envelope.get(field).and_then(Json::as_array).cloned();
    let errors = list("errors").unwrap_or_default();
    let denied = envelope.get("success") == Some(&json!(false));
    if good && errors.is_empty() && !denied {
        let messages = list("messages").unwrap_or_default();
        return Ok(Page {
            result: envelope.get("result").cloned().unwrap_or_default(),
            info: envelope.get("result_info").cloned().unwrap_or_default(),
            warnings: messages.iter().filter_map(message_text).collect(),
            status,
        });
    }
    let code = errors.iter().find_map(|error| match error.get("code") {
        Some(Json::Number(code)) => Some(code.to_string()),
        Some(Json::String(code)) => Some(code.clone()),
        _ => None,
    });
    let chained = errors.iter().flat_map(|error| {
        let chain = error.get("error_chain").and_then(Json::as_array).cloned();
        std::iter::once(error.clone()).chain(chain.unwrap_or_default())
    });
    let mut texts: Vec<String> = chained.filter_map(|error| message_text(&error)).collect();
    texts.dedup();
    let message =
        if texts.is_empty() { "the service gave no reason".to_owned() } else { texts.join("; ") };
    Err(Refusal { failure: failure_of(status, code.as_deref()), code, message })
}

fn message_text(message: &Json) -> Option<String> {
    let text = message.as_str().or_else(|| message.get("message")?.as_str())?;
    Some(text.to_owned()).filter(|text| !text.is_empty())
}

/// Whether the service knows no such path, as where an id in it is none (contract 1.6). It comes
/// with 404, and says nothing of whether an object is there.
fn is_unrouted(code: Option<&str>) -> bool {
    matches!(code, Some("7003" | "7000"))
}

/// What a refusal means. Codes count only where a status does not say it (contract 1.6).
fn failure_of(status: u16, code: Option<&str>) -> Failure {
    match (status, code) {
        (429, _) | (_, Some("10100" | "971" | "10429")) => Failure::Throttled,
        (401 | 403, _) | (_, Some("10000" | "9109" | "6003")) => Failure::Denied,
        (400..500, code) if is_unrouted(code) => Failure::Refused,
        (404, _) | (_, Some("81044")) => Failure::NotFound,
        (409, _) | (_, Some("81053" | "81054" | "81056" | "81057" | "81058")) => Failure::Conflict,
        (408 | 500.., _) => Failure::Unknown,
        _ => Failure::Refused,
    }
}

#[cfg(test)]
#[path = "cloudflare_tests.rs"]
mod tests;
