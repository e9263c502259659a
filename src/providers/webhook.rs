//! Messages to webhooks: a JSON body to a URL that is itself a secret.

use std::time::Duration;

use jiff::Timestamp;

use super::retry::{Retry, Undelivered, retry_after_ms};
use super::{chain, proxy};
use crate::model::Json;
use crate::model::secret::{Secret, Secrets};

/// How much of a refusal is told, in characters.
const TOLD: usize = 200;

/// Sends to webhooks.
#[derive(Debug)]
pub struct Webhooks {
    http: Result<reqwest::Client, String>,
    retry: Retry,
}

impl Webhooks {
    /// Nothing is sent yet.
    pub fn new(retry: Retry) -> Self {
        // Another part of the program may have installed it before.
        drop(rustls::crypto::ring::default_provider().install_default());
        let builder = reqwest::Client::builder()
            .timeout(Duration::from_millis(retry.timing.request_ms))
            // Where a webhook leads elsewhere, its path would be told there.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("boxctl/", env!("CARGO_PKG_VERSION")));
        let built = proxy::of_cloudflare(builder);
        let http = built.and_then(|builder| builder.build().map_err(|error| chain(&error)));
        Webhooks { http, retry }
    }

    /// Sends a body, again where that may help.
    ///
    /// # Errors
    /// It was not taken, or that is not known; the URL is in no text.
    pub async fn send(&self, url: Secret, body: &Json) -> Result<(), Undelivered> {
        let parsed = match reqwest::Url::parse(url.expose()) {
            Ok(parsed) if matches!(parsed.scheme(), "https" | "http") && parsed.has_host() => {
                parsed
            }
            // What the parser says may repeat what it was given.
            Ok(_) | Err(_) => return Err(never("it is not an http(s) URL".to_owned())),
        };
        let http = self.http.as_ref().map_err(|error| never(error.clone()))?;
        let mut secrets = Secrets::new();
        for part in [parsed.path(), parsed.query().unwrap_or_default(), parsed.as_str()] {
            if part.len() > 1 {
                secrets.hide(Secret::new(part));
            }
        }
        secrets.hide(url);
        let sent = self.retry.deliver(|| async { once(http, &parsed, body).await }).await;
        sent.map_err(|error| Undelivered { message: secrets.scrub(&error.message), ..error })
    }
}

fn never(message: String) -> Undelivered {
    Undelivered { message, again: false, retry_after_ms: None }
}

async fn once(http: &reqwest::Client, url: &reqwest::Url, body: &Json) -> Result<(), Undelivered> {
    let answer = http.post(url.clone()).json(body).send().await.map_err(|error| {
        // Whether it arrived is not known, and twice is better than never.
        Undelivered { message: chain(&error.without_url()), again: true, retry_after_ms: None }
    })?;
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let after = answer.headers().get(reqwest::header::RETRY_AFTER);
    let after = after.and_then(|value| value.to_str().ok());
    let retry_after = after.and_then(|text| retry_after_ms(text, Timestamp::now()));
    let text = answer.text().await.unwrap_or_default();
    let said: String = text.trim().chars().take(TOLD).collect();
    let again = status.as_u16() == 429 || status.as_u16() == 408 || status.is_server_error();
    let message = match said.is_empty() {
        true => format!("it answered {status}"),
        false => format!("it answered {status}: {said}"),
    };
    Err(Undelivered { message, again, retry_after_ms: retry_after })
}
