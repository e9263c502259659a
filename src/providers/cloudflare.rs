//! The Cloudflare v4 API over HTTP (contract 1).

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use serde_json::json;

use super::{chain, hints, host_of, not_sent, retry, reveal, scrub, tolerated};
use crate::model::Json;
use crate::model::call::{Answer, Call, Listing, Method, Paging, Service};
use crate::model::error::{CallError, Failure};
use crate::model::project::Timing;
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
    timing: Timing,
    sent: AtomicU64,
    pause_until: Mutex<Option<Instant>>,
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
        timing: Timing,
    ) -> Self {
        // Another part of the program may have installed it before.
        drop(rustls::crypto::ring::default_provider().install_default());
        let mut builder = reqwest::Client::builder()
            .timeout(Duration::from_millis(timing.request_ms))
            .user_agent(concat!("boxctl/", env!("CARGO_PKG_VERSION")));
        if direct {
            builder = builder.no_proxy();
        }
        let mut secrets = Secrets::new();
        if let Some(token) = token {
            secrets.insert(token_id(), token);
        }
        Cloudflare {
            http: builder.build().map_err(|error| chain(&error)),
            base: base_url.unwrap_or_else(|| BASE_URL.to_owned()).trim_end_matches('/').to_owned(),
            token: RwLock::new(secrets),
            timing,
            sent: AtomicU64::new(0),
            pause_until: Mutex::new(None),
        }
    }

    /// How many requests were sent.
    pub fn requests(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
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
        let page = retry::run(call, &self.timing, || self.once(call, secrets)).await;
        match page {
            Ok(page) => {
                Ok(Answer { status: page.status, body: page.result, warnings: page.warnings })
            }
            Err(error) if error.status.is_some_and(|status| call.tolerate.contains(&status)) => {
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
        let Paging::Pages(size) = listing.paging else {
            let answer = self.send(&listing.call, &secrets).await?;
            return items(&listing.call, answer.body);
        };
        let mut all: Vec<Json> = Vec::new();
        for number in 1..=MOST_PAGES {
            let call = listing
                .call
                .clone()
                .query("page", number.to_string())
                .query("per_page", size.to_string());
            let page = retry::run(&call, &self.timing, || self.once(&call, &secrets)).await?;
            let found = items(&call, page.result)?;
            let repeated = found.first().is_some_and(|first| all.first() == Some(first));
            if repeated {
                return Ok(all);
            }
            let count = found.len();
            all.extend(found);
            if is_last(number, size, count, &page.info) {
                return Ok(all);
            }
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

    async fn once(&self, call: &Call, secrets: &RwLock<Secrets>) -> Result<Page, CallError> {
        let operation = operation(call);
        let request = self.request(call, &operation, secrets)?;
        self.wait().await;
        self.sent.fetch_add(1, Ordering::Relaxed);
        let start = Instant::now();
        let sent = request.send().await;
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
        let retry_after_ms = header("retry-after").and_then(|text| retry_after(&text));
        if let Some(limit) = header("ratelimit") {
            self.pace(&limit);
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
        let mut request = http.request(method, format!("{}{}", self.base, call.path));
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

    /// Waits while the service has said that there is no room (contract 1.5).
    async fn wait(&self) {
        let until = *self.pause_until.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(until) = until.filter(|until| *until > Instant::now()) {
            tokio::time::sleep_until(until.into()).await;
        }
    }

    fn pace(&self, limit: &str) {
        let Some((remaining, reset)) = rate_limit(limit) else { return };
        let pause = match remaining {
            0 => reset,
            1..10 => reset / u32::try_from(remaining + 1).unwrap_or(1),
            _ => return,
        };
        let pause = pause.min(Duration::from_millis(self.timing.step_ms));
        let mut until = self.pause_until.lock().unwrap_or_else(PoisonError::into_inner);
        *until = Some(Instant::now() + pause);
    }
}

fn operation(call: &Call) -> String {
    format!("{} {}", call.method.as_str(), call.path)
}

/// The smallest remaining number of a `Ratelimit` header and the time until it is reset:
/// `"default";r=50;t=30`, several items apart by commas.
fn rate_limit(header: &str) -> Option<(u64, Duration)> {
    let item = |item: &str| {
        let parameter = |name: &str| {
            item.split(';').find_map(|part| part.trim().strip_prefix(name)?.parse::<u64>().ok())
        };
        Some((parameter("r=")?, Duration::from_secs(parameter("t=")?)))
    };
    header.split(',').filter_map(item).min_by_key(|(remaining, _)| *remaining)
}

fn retry_after(text: &str) -> Option<u64> {
    text.trim().parse::<u64>().ok().map(|seconds| seconds.saturating_mul(1000))
}

/// Whether a list ends here. Totals are not believed (contract 1.2): a short page ends it, and so
/// does the last page by number; more than was asked for means that paging is ignored.
fn is_last(number: u32, size: u32, count: usize, info: &Json) -> bool {
    let number_of = |field: &str| info.get(field).and_then(Json::as_u64).filter(|n| *n > 0);
    let size = u64::from(size);
    let granted = number_of("per_page").map_or(size, |granted| granted.min(size));
    let count = u64::try_from(count).unwrap_or(u64::MAX);
    let pages = number_of("total_pages").is_some_and(|pages| u64::from(number) >= pages);
    count == 0 || count < granted || count > size || pages
}

fn items(call: &Call, result: Json) -> Result<Vec<Json>, CallError> {
    match result {
        Json::Array(items) => Ok(items),
        Json::Null => Ok(Vec::new()),
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

/// What a refusal means. Codes count only where a status does not say it (contract 1.6).
fn failure_of(status: u16, code: Option<&str>) -> Failure {
    match (status, code) {
        (429, _) | (_, Some("10100" | "971" | "10429")) => Failure::Throttled,
        (401 | 403, _) | (_, Some("10000" | "9109" | "6003")) => Failure::Denied,
        (404, _) | (_, Some("81044")) => Failure::NotFound,
        (409, _) | (_, Some("81053" | "81054" | "81056" | "81057" | "81058")) => Failure::Conflict,
        (408 | 500.., _) => Failure::Unknown,
        _ => Failure::Refused,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::extract::{Request, State};
    use axum::response::{IntoResponse, Response};

    use super::*;

    type Script = Arc<Mutex<Vec<(u16, &'static str, String)>>>;

    async fn next(State(script): State<Script>, request: Request) -> Response {
        let uri = request.uri().to_string();
        let mut script = script.lock().unwrap();
        let (status, header, body) = if script.is_empty() {
            (500, "", format!("no more answers for {uri}"))
        } else {
            script.remove(0)
        };
        let mut response =
            (axum::http::StatusCode::from_u16(status).unwrap(), body).into_response();
        response.headers_mut().insert("cf-ray", "ray-1".parse().unwrap());
        if let Some((name, value)) = header.split_once(": ") {
            let name = axum::http::HeaderName::from_bytes(name.as_bytes()).unwrap();
            response.headers_mut().insert(name, value.parse().unwrap());
        }
        response
    }

    fn timing() -> Timing {
        Timing { backoff_ms: 1, backoff_max_ms: 2, step_ms: 3000, ..Timing::default() }
    }

    /// A client of a server that gives these answers in turn.
    async fn client(answers: Vec<(u16, &'static str, String)>) -> Cloudflare {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/client/v4", listener.local_addr().unwrap());
        let app = axum::Router::new().fallback(next).with_state(Arc::new(Mutex::new(answers)));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Cloudflare::new(Some(Secret::new("t0ken-t0ken")), Some(base), true, timing())
    }

    fn good(result: &Json) -> String {
        json!({"success": true, "errors": [], "messages": [], "result": result}).to_string()
    }

    fn bad(code: u32, message: &str) -> String {
        json!({"success": false, "errors": [{"code": code, "message": message}], "result": null})
            .to_string()
    }

    fn secrets() -> RwLock<Secrets> {
        RwLock::new(Secrets::new())
    }

    #[test]
    fn envelopes_are_opened() {
        let result = |status: u16, text: &str| decode(status, text).map(|page| page.result);
        assert_eq!(result(200, &good(&json!("token"))), Ok(json!("token")));
        assert_eq!(result(200, r#"{"result":{"id":"x"}}"#), Ok(json!({"id": "x"})));
        assert_eq!(result(204, ""), Ok(Json::Null));
        for (status, text, failure, code) in [
            (
                200,
                r#"{"success":true,"errors":[{"code":1003,"message":"x"}],"result":{}}"#.to_owned(),
                Failure::Refused,
                Some("1003"),
            ),
            (400, bad(81058, "x"), Failure::Conflict, Some("81058")),
            (404, bad(1002, "x"), Failure::NotFound, Some("1002")),
            (409, bad(11010, "x"), Failure::Conflict, Some("11010")),
            (400, bad(10000, "x"), Failure::Denied, Some("10000")),
            (403, bad(12133, "x"), Failure::Denied, Some("12133")),
            (429, bad(10100, "x"), Failure::Throttled, Some("10100")),
            (500, bad(1000, "x"), Failure::Unknown, Some("1000")),
            (502, "<html>bad gateway</html>".to_owned(), Failure::Unknown, None),
            (200, "<html>".to_owned(), Failure::Unknown, None),
        ] {
            let refusal = decode(status, &text).err().unwrap();
            assert_eq!((refusal.failure, refusal.code.as_deref()), (failure, code), "{text}");
        }
        let chained = r#"{"success":false,"errors":[{"code":1004,"message":"DNS Validation Error",
            "error_chain":[{"code":9005,"message":"Content must be valid"}]}]}"#;
        assert_eq!(
            decode(400, chained).err().unwrap().message,
            "DNS Validation Error; Content must be valid"
        );
    }

    #[test]
    fn lists_end_at_short_pages_and_pages_by_number() {
        let info = |info: Json| info;
        assert!(is_last(1, 100, 3, &Json::Null));
        assert!(!is_last(1, 100, 100, &Json::Null));
        assert!(is_last(1, 100, 250, &Json::Null));
        assert!(is_last(1, 100, 0, &info(json!({"total_pages": 0}))));
        assert!(!is_last(1, 1000, 25, &info(json!({"per_page": 25, "total_pages": 2}))));
        assert!(is_last(2, 1000, 25, &info(json!({"per_page": 25, "total_pages": 2}))));
        assert_eq!(
            rate_limit("\"default\";r=50;t=30, \"burst\";r=2;t=7"),
            Some((2, Duration::from_secs(7)))
        );
        assert_eq!(rate_limit("nonsense"), None);
    }

    #[tokio::test]
    async fn reads_are_repeated_and_lost_writes_are_not() {
        let html = || (502, "", "<html>".to_owned());
        let api = client(vec![
            html(),
            (429, "retry-after: 0", bad(10100, "slow")),
            (200, "", good(&json!({"id": 1}))),
        ])
        .await;
        let read = Call::get(Service::Cloudflare, "/zones/z");
        assert_eq!(api.send(&read, &secrets()).await.unwrap().body, json!({"id": 1}));
        assert_eq!(api.requests(), 3);
        let api = client(vec![html(), (200, "", good(&json!({})))]).await;
        let write = Call::change(Service::Cloudflare, Method::Post, "/zones/z/dns_records");
        let error = api.send(&write.body(json!({})), &secrets()).await.unwrap_err();
        assert_eq!((error.failure, error.status), (Failure::Unknown, Some(502)));
        assert_eq!(error.request_id.as_deref(), Some("ray-1"));
        assert_eq!(api.requests(), 1);
    }

    #[tokio::test]
    async fn tolerated_refusals_are_answers_and_others_bear_no_secret() {
        let api = client(vec![
            (404, "", bad(1055, "none")),
            (400, "", bad(12130, "bad hunter22 t0ken-t0ken")),
        ])
        .await;
        let call = Call::get(Service::Cloudflare, "/x").tolerate(&[404]);
        let answer = api.send(&call, &secrets()).await.unwrap();
        assert_eq!((answer.status, &answer.body["code"]), (404, &json!("1055")));
        let mut run = Secrets::new();
        run.insert(SecretId::variable("v"), Secret::new("hunter22"));
        let error = api.send(&call, &RwLock::new(run)).await.unwrap_err();
        assert_eq!(error.message, "bad (secret) (secret)");
    }

    #[tokio::test]
    async fn lists_are_read_to_their_end_whatever_the_server_does_with_pages() {
        let listing = |size: u32| Listing {
            call: Call::get(Service::Cloudflare, "/accounts/a/access/apps"),
            paging: Paging::Pages(size),
        };
        let page = |range: std::ops::Range<i32>| {
            (200, "", good(&json!(range.map(|id| json!({"id": id})).collect::<Vec<_>>())))
        };
        let api = client(vec![page(0..2), page(2..4), page(4..5)]).await;
        assert_eq!(api.list(&listing(2)).await.unwrap().len(), 5);
        let api = client(vec![page(0..2), page(0..2)]).await;
        assert_eq!(api.list(&listing(2)).await.unwrap().len(), 2);
        let api = client(vec![page(0..7)]).await;
        assert_eq!(api.list(&listing(2)).await.unwrap().len(), 7);
        assert_eq!(api.requests(), 1);
    }

    #[tokio::test]
    async fn without_a_token_or_a_server_nothing_is_sent() {
        let call = Call::get(Service::Cloudflare, "/zones");
        let api = Cloudflare::new(None, Some("http://127.0.0.1:1".to_owned()), true, timing());
        let error = api.send(&call, &secrets()).await.unwrap_err();
        assert_eq!(error.failure, Failure::NotSent);
        assert!(error.hint.unwrap().contains("set CLOUDFLARE_API_TOKEN"));
        assert_eq!(api.requests(), 0);
        let token = Some(Secret::new("t0ken-t0ken"));
        let api = Cloudflare::new(token, Some("http://127.0.0.1:1".to_owned()), true, timing());
        let error = api.send(&call, &secrets()).await.unwrap_err();
        assert_eq!((error.failure, error.code.as_deref()), (Failure::NotSent, Some("connect")));
        assert!(!error.to_string().contains("t0ken"));
        let host = api.target(&Scope::default()).cloudflare_host;
        assert_eq!(host.as_deref(), Some("127.0.0.1"));
    }
}
