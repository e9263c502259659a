//! How to reach each API: the one place that sends.

mod aws;
pub mod bucket;
mod clock;
pub mod cloudflare;
pub mod cluster;
pub mod cluster_objects;
pub mod hints;
pub mod kubernetes;
pub mod merge;
mod pace;
mod pages;
mod proxy;
pub mod retry;
mod spacing;
pub mod ssm;
pub mod webhook;

use std::sync::{Arc, RwLock};

use crate::model::Json;
use crate::model::call::{Call, Listing, Service};
use crate::model::error::{CallError, Failure};
use crate::model::plan::Requests;
use crate::model::port::{Sending, Transport};
use crate::model::scope::{ApiResource, Scope};
use crate::model::secret::{Secret, Secrets};
use crate::model::state::Target;

pub use merge::{merge_calls, merge_listings};
pub use retry::Retry;

/// Credentials and endpoints of Cloudflare and AWS, from the variables that their own tools read.
#[derive(Debug, Default)]
pub struct Settings {
    /// `CLOUDFLARE_API_TOKEN`.
    pub cloudflare_token: Option<Secret>,
    /// `CLOUDFLARE_BASE_URL`; the real API by default.
    pub cloudflare_base_url: Option<String>,
    /// What takes the place of the AWS SDK's own chain; None: the chain.
    pub aws: Option<AwsSettings>,
    /// The project's AWS region; None: as the AWS SDK finds it.
    pub aws_region: Option<String>,
    /// Whether no proxy is used, whatever the environment says.
    pub direct: bool,
    /// How calls are sent again.
    pub retry: Retry,
}

/// An AWS endpoint with keys of its own: an embedded sandbox.
#[derive(Debug)]
pub struct AwsSettings {
    /// `AWS_ENDPOINT_URL`.
    pub endpoint_url: String,
    /// `AWS_REGION`.
    pub region: String,
    /// `AWS_ACCESS_KEY_ID`.
    pub access_key_id: String,
    /// `AWS_SECRET_ACCESS_KEY`.
    pub secret_access_key: Secret,
}

impl Settings {
    /// What the environment says; AWS is left to its SDK.
    pub fn from_env(aws_region: Option<String>, retry: Retry) -> Self {
        let get = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Settings {
            cloudflare_token: get("CLOUDFLARE_API_TOKEN").map(Secret::new),
            cloudflare_base_url: get("CLOUDFLARE_BASE_URL"),
            aws: None,
            aws_region,
            direct: false,
            retry,
        }
    }

    /// What the given variables say and nothing else: those that a sandbox prints. Nothing goes
    /// through a proxy.
    pub fn from_variables(get: impl Fn(&str) -> Option<String>, retry: Retry) -> Self {
        let aws = get("AWS_ENDPOINT_URL").map(|endpoint_url| AwsSettings {
            endpoint_url,
            region: get("AWS_REGION").unwrap_or_else(|| "us-east-1".to_owned()),
            access_key_id: get("AWS_ACCESS_KEY_ID").unwrap_or_default(),
            secret_access_key: Secret::new(get("AWS_SECRET_ACCESS_KEY").unwrap_or_default()),
        });
        Settings {
            cloudflare_token: get("CLOUDFLARE_API_TOKEN").map(Secret::new),
            cloudflare_base_url: get("CLOUDFLARE_BASE_URL"),
            aws_region: aws.as_ref().map(|aws| aws.region.clone()),
            aws,
            direct: true,
            retry,
        }
    }
}

/// All APIs of a run.
pub struct Apis {
    cloudflare: cloudflare::Cloudflare,
    ssm: ssm::Ssm,
    kubernetes: Option<Arc<dyn Transport>>,
}

impl Apis {
    /// The APIs as the settings say; nothing is sent yet.
    pub fn new(settings: Settings) -> Self {
        let Settings { cloudflare_token, cloudflare_base_url, aws, aws_region, direct, retry } =
            settings;
        Apis {
            cloudflare: cloudflare::Cloudflare::new(
                cloudflare_token,
                cloudflare_base_url,
                direct,
                retry.clone(),
            ),
            ssm: ssm::Ssm::new(aws, aws_region, retry),
            kubernetes: None,
        }
    }

    /// The same with a cluster.
    #[must_use]
    pub fn with_kubernetes(mut self, kubernetes: Arc<dyn Transport>) -> Self {
        self.kubernetes = Some(kubernetes);
        self
    }

    fn cluster(&self) -> Result<&Arc<dyn Transport>, CallError> {
        self.kubernetes.as_ref().ok_or_else(|| {
            not_sent(Service::Kubernetes, "connect", "credentials", "no cluster is configured")
                .with_hint("set KUBECONFIG, or name a context under `kubernetes:` in boxctl.yaml")
        })
    }
}

impl Transport for Apis {
    fn send<'a>(
        &'a self,
        call: &'a Call,
        secrets: &'a RwLock<Secrets>,
    ) -> Sending<'a, crate::model::call::Answer> {
        Box::pin(async move {
            match call.service {
                Service::Cloudflare => self.cloudflare.send(call, secrets).await,
                Service::Ssm => self.ssm.send(call, secrets).await,
                Service::Kubernetes => self.cluster()?.send(call, secrets).await,
            }
        })
    }

    fn list<'a>(&'a self, listing: &'a Listing) -> Sending<'a, Vec<Json>> {
        Box::pin(async move {
            match listing.call.service {
                Service::Cloudflare => self.cloudflare.list(listing).await,
                Service::Ssm => self.ssm.list(listing).await,
                Service::Kubernetes => self.cluster()?.list(listing).await,
            }
        })
    }

    fn list_small<'a>(&'a self, listing: &'a Listing, most: u32) -> Sending<'a, Option<Vec<Json>>> {
        Box::pin(async move {
            match listing.call.service {
                Service::Cloudflare => self.cloudflare.list_small(listing, most).await,
                Service::Ssm | Service::Kubernetes => self.list(listing).await.map(Some),
            }
        })
    }

    fn merge(&self, listings: &[Listing]) -> Vec<(Listing, Vec<usize>)> {
        merge_listings(listings)
    }

    fn merge_calls(&self, calls: &[Call]) -> Vec<(Call, Vec<usize>)> {
        merge_calls(calls)
    }

    fn api_resources<'a>(&'a self) -> Sending<'a, Vec<ApiResource>> {
        Box::pin(async move { self.cluster()?.api_resources().await })
    }

    fn target<'a>(&'a self, service: Service, scope: &'a Scope) -> Sending<'a, Target> {
        Box::pin(async move {
            match service {
                Service::Cloudflare => Ok(self.cloudflare.target(scope)),
                Service::Ssm => self.ssm.target().await,
                Service::Kubernetes => self.cluster()?.target(service, scope).await,
            }
        })
    }

    fn skew_ms(&self, service: Service) -> Option<i64> {
        match service {
            Service::Cloudflare => self.cloudflare.skew_ms(),
            Service::Ssm => self.ssm.skew_ms(),
            Service::Kubernetes => self.kubernetes.as_ref()?.skew_ms(service),
        }
    }

    fn held_ms(&self, service: Service) -> u64 {
        match service {
            Service::Cloudflare => {
                u64::try_from(self.cloudflare.held().as_millis()).unwrap_or(u64::MAX)
            }
            Service::Ssm | Service::Kubernetes => 0,
        }
    }

    fn requests(&self) -> Requests {
        let kubernetes = self.kubernetes.as_ref().map(|cluster| cluster.requests().kubernetes);
        Requests {
            cloudflare: self.cloudflare.requests(),
            ssm: self.ssm.requests(),
            kubernetes: kubernetes.unwrap_or(0),
        }
    }
}

/// A call that nothing was sent of. `code` says why, for the retries: [`retry::CONNECT`] may go
/// better the next time.
pub(crate) fn not_sent(
    service: Service,
    operation: &str,
    code: &str,
    message: impl Into<String>,
) -> CallError {
    CallError {
        service,
        operation: operation.to_owned(),
        failure: Failure::NotSent,
        status: None,
        code: Some(code.to_owned()),
        message: message.into(),
        request_id: None,
        hint: None,
        retry_after_ms: None,
    }
}

impl CallError {
    /// The same with advice.
    #[must_use]
    pub fn with_hint(mut self, hint: &str) -> Self {
        self.hint = Some(hint.to_owned());
        self
    }
}

/// The body with its secrets put in.
pub(crate) fn reveal(
    service: Service,
    operation: &str,
    body: &Json,
    secrets: &RwLock<Secrets>,
) -> Result<Json, CallError> {
    let secrets = secrets.read().unwrap_or_else(std::sync::PoisonError::into_inner);
    secrets
        .reveal(body)
        .map_err(|missing| not_sent(service, operation, "secret", missing.to_string()))
}

/// The text without any secret of the run.
pub(crate) fn scrub(text: &str, secrets: &RwLock<Secrets>) -> String {
    secrets.read().unwrap_or_else(std::sync::PoisonError::into_inner).scrub(text)
}

/// The host name of a URL, without port.
pub(crate) fn host_of(url: &str) -> Option<String> {
    url::Url::parse(url).ok()?.host_str().map(str::to_owned)
}

/// The texts of an error and what is behind it, outermost first, each said once.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if !texts.iter().any(|said| said.contains(&text)) {
            texts.push(text);
        }
        next = error.source();
    }
    texts.join(": ")
}

/// What the answer to a tolerated refusal looks like.
pub(crate) fn tolerated(error: &CallError) -> crate::model::call::Answer {
    crate::model::call::Answer {
        status: error.status.unwrap_or(0),
        body: serde_json::json!({
            "code": error.code,
            "reason": error.code,
            "message": error.message,
            "hint": error.hint,
            "causes": [],
        }),
        warnings: Vec::new(),
    }
}
