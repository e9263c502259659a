//! Sends calls to a Kubernetes API server, and tells what became of them.

use std::borrow::Cow;
use std::sync::RwLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::{Request, Response};
use kube::client::Body;
use kube::config::{KubeConfigOptions, KubeconfigError};
use kube::{Client, Config};
use secrecy::ExposeSecret;
use serde_json::json;

use crate::model::call::{Answer, Call, Listing, Paging, Service};
use crate::model::error::{CallError, Failure};
use crate::model::project::Timing;
use crate::model::scope::ApiResource;
use crate::model::secret::{Secret, SecretId, Secrets};
use crate::model::{Json, JsonMap};

use super::clock::Clock;
use super::{proxy, scrub};

mod discovery;
mod refusal;

/// The content type of a server-side apply.
const APPLY: &str = "application/apply-patch+yaml";
/// How often a list whose continuation has expired is begun again.
const LIST_ATTEMPTS: usize = 3;

/// A connection to one API server. It retries nothing: that is decided where it is used.
pub struct KubernetesClient {
    client: Client,
    request: Duration,
    requests: AtomicU64,
    /// What the kubeconfig proves who it is with, so that texts can be scrubbed of it.
    credentials: RwLock<Secrets>,
    clock: Clock,
}

fn credentials(config: &Config) -> Secrets {
    let auth = &config.auth_info;
    let read = |path: &String| std::fs::read_to_string(path).ok();
    let texts = [
        auth.token.as_ref().map(|token| token.expose_secret().to_owned()),
        auth.token_file.as_ref().and_then(read).map(|token| token.trim().to_owned()),
        auth.password.as_ref().map(|password| password.expose_secret().to_owned()),
    ];
    let mut secrets = Secrets::new();
    for (index, text) in texts.into_iter().enumerate() {
        if let Some(text) = text {
            secrets.insert(SecretId::variable(&format!("kubeconfig-{index}")), Secret::new(text));
        }
    }
    secrets
}

/// A failure before anything was sent.
fn not_sent(operation: &str, message: String, hint: &str) -> CallError {
    CallError {
        service: Service::Kubernetes,
        operation: operation.to_owned(),
        failure: Failure::NotSent,
        status: None,
        code: None,
        message,
        request_id: None,
        hint: Some(hint.to_owned()),
        retry_after_ms: None,
    }
}

const CONNECT: &str = "connection";

async fn configure(context: Option<&str>) -> Result<Config, CallError> {
    let options =
        KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
    let error = match Config::from_kubeconfig(&options).await {
        Ok(config) => return Ok(config),
        Err(error) => error,
    };
    // Within a pod there is no kubeconfig; one that is there and broken is never passed over.
    let is_missing = matches!(
        error,
        KubeconfigError::ReadConfig(..)
            | KubeconfigError::FindPath
            | KubeconfigError::CurrentContextNotSet
    );
    let is_named = std::env::var_os("KUBECONFIG").is_some_and(|path| !path.is_empty());
    if context.is_none()
        && is_missing
        && !is_named
        && let Ok(config) = Config::incluster()
    {
        return Ok(config);
    }
    let hint = match context {
        Some(context) => format!(
            "the context is named by `kubernetes.context` in boxctl.yaml: `kubectl config \
             get-contexts` lists those there are (looking for `{context}`)"
        ),
        None => "set KUBECONFIG, or name a context under `kubernetes` in boxctl.yaml".to_owned(),
    };
    Err(not_sent(CONNECT, sources(&error), &hint))
}

/// An error with what is behind it, each said once.
fn sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let more = source.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        next = source.source();
    }
    text
}

impl KubernetesClient {
    /// Connects as `KUBECONFIG`, the default kubeconfig or the pod's service account say; nothing
    /// is sent yet.
    ///
    /// # Errors
    /// A kubeconfig that can't be read, or a context that is not in it.
    pub async fn connect(context: Option<&str>, timing: &Timing) -> Result<Self, CallError> {
        KubernetesClient::with(configure(context).await?, timing).await
    }

    /// Connects as a configuration says. The connections are kept by the runtime it is called in.
    ///
    /// # Errors
    /// A configuration that no client can be made of: a certificate that is none, say.
    pub async fn with(mut config: Config, timing: &Timing) -> Result<Self, CallError> {
        let request = Duration::from_millis(timing.request_ms);
        config.default_retry = false;
        config.connect_timeout = Some(request.min(Duration::from_secs(10)));
        config.read_timeout = Some(request);
        config.write_timeout = Some(request);
        config.reset_reader_on_write = true;
        proxy::of_cluster(&mut config);
        let credentials = RwLock::new(credentials(&config));
        let client = Client::try_from(config).map_err(|error| {
            not_sent(CONNECT, sources(&error), "check the cluster's entry in the kubeconfig")
        })?;
        let (requests, clock) = (AtomicU64::new(0), Clock::default());
        Ok(KubernetesClient { client, request, requests, credentials, clock })
    }

    /// How far the server's clock is ahead of this one's, in milliseconds.
    pub fn skew_ms(&self) -> Option<i64> {
        self.clock.skew_ms()
    }

    /// How many requests were sent so far.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Sends one call; `body` is the call's with its secrets put in. Texts of refusals may quote
    /// values of the body: the caller scrubs them.
    ///
    /// # Errors
    /// No answer, or a refusal that the call does not tolerate.
    pub async fn send(&self, call: &Call, body: Option<Json>) -> Result<Answer, CallError> {
        let operation = format!("{} {}", call.method.as_str(), call.path);
        let request = build(call, body.as_ref())
            .map_err(|error| not_sent(&operation, error.to_string(), "this is an invalid path"))?;
        self.requests.fetch_add(1, Ordering::Relaxed);
        let exchange = async {
            let response = self.client.send(request).await?;
            let (parts, body) = response.into_parts();
            let bytes = body.collect_bytes().await?;
            Ok::<_, kube::Error>(Response::from_parts(parts, bytes))
        };
        let response = match tokio::time::timeout(self.request, exchange).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(lost(&operation, &error)),
            Err(_) => {
                let message = format!("no answer within {} ms", self.request.as_millis());
                return Err(CallError {
                    failure: Failure::Unknown,
                    hint: None,
                    ..not_sent(&operation, message, "")
                });
            }
        };
        if let Some(date) = response.headers().get("date").and_then(|date| date.to_str().ok()) {
            self.clock.see(date);
        }
        let status = response.status();
        tracing::debug!(operation, status = status.as_u16(), "answered");
        if status.is_success() {
            let body = serde_json::from_slice::<Json>(response.body()).map_err(|_| CallError {
                failure: Failure::Unknown,
                status: Some(status.as_u16()),
                hint: Some("what answers there may be a proxy, not an API server".to_owned()),
                ..not_sent(&operation, "the answer is not JSON".to_owned(), "")
            })?;
            let warnings = refusal::warnings(response.headers());
            return Ok(Answer { status: status.as_u16(), body, warnings });
        }
        let text = scrub(&String::from_utf8_lossy(response.body()), &self.credentials);
        let body = serde_json::from_str::<Json>(&text).ok();
        let refused = refusal::Refusal::read(status.as_u16(), response.headers(), body, &text);
        if call.tolerate.contains(&status.as_u16()) {
            return Ok(refused.into_answer());
        }
        Err(refused.into_error(operation))
    }

    /// Reads a whole collection. Its items get the kind and version that the list leaves out.
    ///
    /// # Errors
    /// A page that can't be read.
    pub async fn list(&self, listing: &Listing) -> Result<Vec<Json>, CallError> {
        let mut attempt = 1;
        'again: loop {
            let mut items = Vec::new();
            let mut next: Option<String> = None;
            loop {
                let mut call = listing.call.clone();
                if let Some(next) = next {
                    call = call.query("continue", next);
                }
                let page = match self.send(&call, None).await {
                    Ok(page) => page.body,
                    Err(error) if error.status == Some(410) && attempt < LIST_ATTEMPTS => {
                        attempt += 1;
                        continue 'again;
                    }
                    Err(error) => return Err(error),
                };
                let token = page.pointer("/metadata/continue").and_then(Json::as_str);
                next = token.filter(|token| !token.is_empty()).map(str::to_owned);
                items.extend(list_items(page));
                if next.is_none() || listing.paging != Paging::Token {
                    return Ok(items);
                }
            }
        }
    }

    /// Every kind that the cluster serves.
    ///
    /// # Errors
    /// Discovery that can't be read.
    pub async fn api_resources(&self) -> Result<Vec<ApiResource>, CallError> {
        discovery::read(self).await
    }

    /// What tells this cluster from others: the uid of its `kube-system` namespace.
    ///
    /// # Errors
    /// The namespace can't be read.
    pub async fn cluster_uid(&self) -> Result<String, CallError> {
        let call = Call::get(Service::Kubernetes, "/api/v1/namespaces/kube-system");
        let answer = self.send(&call, None).await?;
        let uid = answer.body.pointer("/metadata/uid").and_then(Json::as_str);
        uid.map(str::to_owned).ok_or_else(|| CallError {
            failure: Failure::Refused,
            status: Some(answer.status),
            hint: None,
            ..not_sent("GET /api/v1/namespaces/kube-system", "there is no uid in it".into(), "")
        })
    }
}

fn build(call: &Call, body: Option<&Json>) -> Result<Request<Body>, http::Error> {
    let mut uri = call.path.clone();
    if !call.query.is_empty() {
        let query =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&call.query).finish();
        uri.push('?');
        uri.push_str(&query);
    }
    let mut request = Request::builder()
        .method(call.method.as_str())
        .uri(uri)
        .header(http::header::ACCEPT, call.accept.unwrap_or("application/json"))
        .header(http::header::USER_AGENT, concat!("boxctl/", env!("CARGO_PKG_VERSION")));
    if body.is_some() {
        let content_type = call.content_type.unwrap_or("application/json");
        request = request.header(http::header::CONTENT_TYPE, content_type);
    }
    let text = body.map(|body| match call.content_type {
        Some(APPLY) => as_kept(body).to_string(),
        _ => body.to_string(),
    });
    request.body(text.map_or_else(Body::empty, |text| Body::from(text.into_bytes())))
}

/// An applied object as the server keeps it: a Secret's `stringData` as `data`. Sent as it is, it
/// would be owned as `stringData` and kept as `data`, which then nobody owns: a key that is applied
/// no more would stay (kubernetes/kubernetes#108008). What is no text is left for the server to
/// refuse under its own name.
fn as_kept(body: &Json) -> Cow<'_, Json> {
    let is_secret = body.get("kind").and_then(Json::as_str) == Some("Secret")
        && body.get("apiVersion").and_then(Json::as_str) == Some("v1");
    let texts = body.get("stringData").and_then(Json::as_object).filter(|_| is_secret);
    let Some(texts) = texts.filter(|texts| texts.values().all(Json::is_string)) else {
        return Cow::Borrowed(body);
    };
    let mut data = match body.get("data") {
        None | Some(Json::Null) => JsonMap::new(),
        Some(Json::Object(data)) => data.clone(),
        Some(_) => return Cow::Borrowed(body),
    };
    let encoded = |text: &Json| BASE64_STANDARD.encode(text.as_str().unwrap_or_default());
    data.extend(texts.iter().map(|(key, text)| (key.clone(), encoded(text).into())));
    let mut kept = body.clone();
    if let Some(kept) = kept.as_object_mut() {
        kept.shift_remove("stringData");
        kept.insert("data".to_owned(), Json::Object(data));
    }
    Cow::Owned(kept)
}

fn list_items(page: Json) -> Vec<Json> {
    let Json::Object(mut page) = page else { return Vec::new() };
    let kind = page
        .get("kind")
        .and_then(Json::as_str)
        .and_then(|kind| kind.strip_suffix("List"))
        .map(|kind| json!(kind));
    let api_version = page.get("apiVersion").cloned();
    let Some(Json::Array(mut items)) = page.remove("items") else { return Vec::new() };
    for item in items.iter_mut().filter_map(Json::as_object_mut) {
        for (key, value) in [("kind", &kind), ("apiVersion", &api_version)] {
            if let (false, Some(value)) = (item.contains_key(key), value) {
                item.insert(key.to_owned(), value.clone());
            }
        }
    }
    items
}

/// A call without an answer: not sent where there was no connection or no credentials, else of
/// unknown outcome.
fn lost(operation: &str, error: &kube::Error) -> CallError {
    let text = sources(error);
    let mut next: Option<&dyn std::error::Error> = Some(error);
    let mut is_connect = false;
    while let Some(source) = next {
        is_connect |= source.to_string().contains("client error (Connect)");
        next = source.source();
    }
    let is_setup = matches!(
        error,
        kube::Error::Auth(_)
            | kube::Error::InferConfig(_)
            | kube::Error::InferKubeconfig(_)
            | kube::Error::RustlsTls(_)
            | kube::Error::TlsRequired
            | kube::Error::HttpError(_)
    );
    if is_connect || is_setup {
        let hint = "check that the cluster of the kubeconfig is reachable";
        let code = is_connect.then(|| super::retry::CONNECT.to_owned());
        return CallError { code, ..not_sent(operation, text, hint) };
    }
    CallError { failure: Failure::Unknown, hint: None, ..not_sent(operation, text, "") }
}

#[cfg(test)]
mod tests;
