//! Objects that several machines share, in an S3 bucket or a store that speaks like one. Their ETag
//! is the version that writes are conditional on.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use tokio::sync::OnceCell;

use super::aws::{self, AwsSettings};
use super::chain;
use crate::model::port::{Expected, KeepError, Keeping, Object, Objects, Put};

/// Where the objects are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// The bucket.
    pub name: String,
    /// What stands before the names: empty, or ends in `/`.
    pub prefix: String,
    /// Its region; None: as the AWS SDK finds it.
    pub region: Option<String>,
    /// Another store than AWS's own; None: as the AWS SDK finds it.
    pub endpoint: Option<String>,
}

/// Objects in a bucket.
pub struct BucketObjects {
    bucket: Bucket,
    settings: Option<AwsSettings>,
    attempt: Duration,
    client: OnceCell<Client>,
}

impl BucketObjects {
    /// The objects of a bucket; `attempt` is how long one request may take.
    pub fn new(bucket: Bucket, settings: Option<AwsSettings>, attempt: Duration) -> Self {
        BucketObjects { bucket, settings, attempt, client: OnceCell::new() }
    }

    async fn client(&self) -> &Client {
        self.client.get_or_init(|| self.load()).await
    }

    async fn load(&self) -> Client {
        let config = aws::load(self.settings.as_ref(), self.bucket.region.as_deref()).await;
        let mut builder = aws_sdk_s3::config::Builder::from(&config)
            .retry_config(RetryConfig::disabled())
            .timeout_config(
                TimeoutConfig::builder().operation_attempt_timeout(self.attempt).build(),
            )
            // A bucket's name in the host's needs a certificate and DNS that few other stores have.
            .force_path_style(self.bucket.endpoint.is_some() || self.settings.is_some());
        if let Some(endpoint) = &self.bucket.endpoint {
            builder = builder.endpoint_url(endpoint);
        }
        Client::from_conf(builder.build())
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.bucket.prefix)
    }
}

/// The HTTP status of a refusal.
fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

/// A call that came to nothing, or of which that is not known. Texts of the SDK hold no credentials.
fn failed<E>(error: &SdkError<E>) -> KeepError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let said = error.code().map(|code| match error.message() {
        Some(message) => format!("{code}: {message}"),
        None => code.to_owned(),
    });
    let status = status(error);
    let message = said.unwrap_or_else(|| match error {
        // What is behind a refusal that can't be read is its body.
        SdkError::ServiceError(_) | SdkError::ResponseError(_) => {
            format!("HTTP {}", status.unwrap_or_default())
        }
        other => chain(other),
    });
    let hint = match (error.code(), status) {
        (Some("NoSuchBucket"), _) => Some("make the bucket, or look at `state.bucket`"),
        (Some("AccessDenied"), _) | (_, Some(403)) => Some(
            "the credentials need s3:GetObject, s3:PutObject, s3:DeleteObject and s3:ListBucket \
             there",
        ),
        (Some("PermanentRedirect" | "AuthorizationHeaderMalformed"), _) | (_, Some(301)) => {
            Some("the bucket is in another region: set `state.region`")
        }
        _ => None,
    };
    // 409: another conditional write of the same object is under way.
    let is_passing = match error {
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => {
            true
        }
        _ => status.is_some_and(|status| matches!(status, 408 | 409 | 429) || status >= 500),
    };
    KeepError { message, hint: hint.map(str::to_owned), is_passing }
}

fn version(etag: Option<&str>) -> Result<String, KeepError> {
    etag.map(str::to_owned).ok_or_else(|| KeepError {
        message: "the answer has no ETag".to_owned(),
        hint: None,
        is_passing: false,
    })
}

impl Objects for BucketObjects {
    fn place(&self, name: &str) -> String {
        format!("s3://{}/{}", self.bucket.name, self.key(name))
    }

    fn read<'a>(&'a self, name: &'a str) -> Keeping<'a, Option<Object>> {
        Box::pin(async move {
            let get =
                self.client().await.get_object().bucket(&self.bucket.name).key(self.key(name));
            let found = match get.send().await {
                Ok(found) => found,
                Err(error) if error.code() == Some("NoSuchKey") => return Ok(None),
                Err(error) => return Err(failed(&error)),
            };
            let version = version(found.e_tag())?;
            let content = found.body.collect().await.map_err(|error| KeepError {
                message: chain(&error),
                hint: None,
                is_passing: true,
            })?;
            Ok(Some(Object { content: content.to_vec(), version }))
        })
    }

    fn put<'a>(
        &'a self,
        name: &'a str,
        content: &'a [u8],
        expected: &'a Expected,
    ) -> Keeping<'a, Put> {
        Box::pin(async move {
            let put = self
                .client()
                .await
                .put_object()
                .bucket(&self.bucket.name)
                .key(self.key(name))
                .content_type("application/json")
                .body(ByteStream::from(content.to_vec()));
            let put = match expected {
                Expected::Absent => put.if_none_match("*"),
                Expected::Version(version) => put.if_match(version),
            };
            match put.send().await {
                Ok(done) => version(done.e_tag()).map(Put::Done),
                Err(error) if status(&error) == Some(412) => Ok(Put::Moved),
                // If-Match of an object that is gone.
                Err(error) if error.code() == Some("NoSuchKey") => Ok(Put::Moved),
                Err(error) => Err(failed(&error)),
            }
        })
    }

    /// Not every store knows a conditional DELETE: this looks first.
    fn remove<'a>(&'a self, name: &'a str, version: &'a str) -> Keeping<'a, Put> {
        Box::pin(async move {
            let there = self.read(name).await?;
            match there {
                None => return Ok(Put::Done(String::new())),
                Some(there) if there.version != version => return Ok(Put::Moved),
                Some(_) => {}
            }
            let delete =
                self.client().await.delete_object().bucket(&self.bucket.name).key(self.key(name));
            match delete.send().await {
                Ok(_) => Ok(Put::Done(String::new())),
                Err(error) => Err(failed(&error)),
            }
        })
    }

    fn list<'a>(&'a self, prefix: &'a str) -> Keeping<'a, Vec<String>> {
        Box::pin(async move {
            let list = self.client().await.list_objects_v2().bucket(&self.bucket.name);
            let mut pages = list.prefix(self.key(prefix)).into_paginator().send();
            let mut names = Vec::new();
            while let Some(page) = pages.next().await {
                let page = page.map_err(|error| failed(&error))?;
                let keys = page.contents().iter().filter_map(|object| object.key());
                names.extend(
                    keys.filter_map(|key| key.strip_prefix(&self.bucket.prefix))
                        .map(str::to_owned),
                );
            }
            names.sort();
            Ok(names)
        })
    }
}
