//! What the AWS services have in common: the SDK's own chain of credentials and settings, over the
//! TLS and the proxies that everything here uses, and what its errors say.

use std::sync::RwLock;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_ssm::config::Credentials;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::{Builder, Connector, tls};

use super::{AwsSettings, proxy};
use crate::model::secret::{Secret, SecretId, Secrets};

/// What the SDK's chain finds, or the settings that take its place. `attempt` is the limit of one
/// request; nothing is sent again by the SDK itself.
pub(super) async fn load(
    settings: Option<&AwsSettings>,
    region: Option<&str>,
    attempt: Duration,
) -> SdkConfig {
    let direct = settings.is_some();
    let http = Builder::new().build_with_connector_fn(move |settings, components| {
        let way = if direct { ProxyConfig::disabled() } else { proxy::of_aws() };
        let mut builder = Connector::builder().proxy_config(way);
        builder.set_connector_settings(settings.cloned());
        builder.set_sleep_impl(components.and_then(|components| components.sleep_impl()));
        let ring = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
        builder.tls_provider(ring).build()
    });
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(attempt).build());
    if let Some(region) = region {
        loader = loader.region(Region::new(region.to_owned()));
    }
    if let Some(aws) = settings {
        let secret = aws.secret_access_key.expose();
        let keys = Credentials::new(&aws.access_key_id, secret, None, None, "boxctl");
        loader = loader
            .endpoint_url(&aws.endpoint_url)
            .region(Region::new(aws.region.clone()))
            .credentials_provider(keys);
    }
    loader.load().await
}

/// The credentials of the environment, that texts are scrubbed of: a session token goes along in a
/// header.
pub(super) fn session() -> RwLock<Secrets> {
    let mut session = Secrets::new();
    for name in ["AWS_SESSION_TOKEN", "AWS_SECRET_ACCESS_KEY"] {
        if let Ok(value) = std::env::var(name) {
            session.insert(SecretId::variable(name), Secret::new(value));
        }
    }
    RwLock::new(session)
}

/// A message without the request that AWS repeats where a signature is wrong: its headers hold the
/// session token.
pub(super) fn without_request(message: &str) -> String {
    let said = message.split_once("The Canonical String").map_or(message, |(said, _)| said);
    said.trim_end().to_owned()
}

/// Whether a text says that no connection came about.
pub(super) fn is_unconnected(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["connection refused", "tcp connect error", "dns error", "failed to lookup"]
        .iter()
        .any(|part| text.contains(part))
}

/// Whether a text says that the request was never signed.
pub(super) fn is_without_credentials(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["credential", "identity", "sso", "profile"].iter().any(|part| text.contains(part))
}
