//! Objects that several machines share, in an S3 bucket or a store that speaks like one. Their ETag
//! is the version that writes are conditional on (Amazon S3 user guide, "How to prevent object
//! overwrites with conditional writes" and "How to perform conditional deletes").

use std::sync::RwLock;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::config::{Builder, Region, RequestChecksumCalculation, ResponseChecksumValidation};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use tokio::sync::OnceCell;

use super::{AwsSettings, aws, chain, scrub};
use crate::model::port::{Expected, KeepError, Keeping, Object, Objects, Put};
use crate::model::secret::Secrets;

/// The region that other stores than AWS's own take, where none is said: they have but one.
const ANY_REGION: &str = "us-east-1";

/// Where the objects are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// The bucket's name.
    pub name: String,
    /// What stands before the names of the objects, as a directory: `team/boxctl`. Empty for none.
    pub prefix: String,
    /// Its region; None: as the AWS SDK finds it.
    pub region: Option<String>,
    /// The URL of another store than AWS's own; None: as the AWS SDK finds it.
    pub endpoint: Option<String>,
}

/// Objects in a bucket.
pub struct BucketObjects {
    bucket: Bucket,
    settings: Option<AwsSettings>,
    attempt: Duration,
    client: OnceCell<Client>,
    /// What texts are scrubbed of.
    session: RwLock<Secrets>,
}

impl BucketObjects {
    /// The objects of a bucket; `settings` take the place of the SDK's own chain, and `attempt` is
    /// the limit of one request.
    pub fn new(bucket: Bucket, settings: Option<AwsSettings>, attempt: Duration) -> Self {
        let prefix = match bucket.prefix.trim_matches('/') {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        };
        let bucket = Bucket { prefix, ..bucket };
        let (client, session) = (OnceCell::new(), aws::session());
        BucketObjects { bucket, settings, attempt, client, session }
    }

    async fn client(&self) -> Result<&Client, KeepError> {
        self.client.get_or_try_init(|| self.load()).await
    }

    async fn load(&self) -> Result<Client, KeepError> {
        let region = self.bucket.region.as_deref();
        let config = aws::load(self.settings.as_ref(), region, self.attempt).await;
        let own = std::env::var("AWS_ENDPOINT_URL_S3").ok().filter(|_| self.settings.is_none());
        let is_other = [self.bucket.endpoint.as_deref(), own.as_deref(), config.endpoint_url()]
            .iter()
            .any(Option::is_some);
        let mut builder = Builder::from(&config)
            // The bucket's name as a part of the host's needs certificates and DNS that few other
            // stores have.
            .force_path_style(is_other)
            // Others know none of the checksums that the SDK adds unless it is told not to.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
        match config.region() {
            Some(_) => {}
            None if is_other => builder = builder.region(Region::new(ANY_REGION)),
            None => {
                return Err(KeepError {
                    message: "no AWS region is known".to_owned(),
                    hint: Some("set `state.region`, or AWS_REGION".to_owned()),
                    is_passing: false,
                });
            }
        }
        if let Some(endpoint) = &self.bucket.endpoint {
            builder = builder.endpoint_url(endpoint);
        }
        Ok(Client::from_conf(builder.build()))
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.bucket.prefix)
    }

    /// What became of a call that was not carried out, or of which that is not known.
    fn failed<E>(&self, error: &SdkError<E, HttpResponse>) -> KeepError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let failed = failed(error);
        KeepError { message: scrub(&failed.message, &self.session), ..failed }
    }
}

fn status<E>(error: &SdkError<E, HttpResponse>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

/// By code and message only: the rest of an answer repeats what was sent.
fn failed<E>(error: &SdkError<E, HttpResponse>) -> KeepError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let status = status(error);
    let (message, is_passing) = match error {
        SdkError::ServiceError(_) => {
            let text = match (error.code(), error.message()) {
                (Some(code), Some(message)) => {
                    format!("{code}: {}", aws::without_request(message))
                }
                (Some(code), None) => code.to_owned(),
                (None, _) => format!("it answered with status {}", status.unwrap_or_default()),
            };
            (text, is_passing(error.code(), status))
        }
        SdkError::TimeoutError(_) => ("there was no answer in time".to_owned(), true),
        SdkError::ResponseError(_) => ("the answer could not be read".to_owned(), true),
        SdkError::DispatchFailure(failure) => {
            let text = chain(error);
            let is_setup = failure.is_user() || aws::is_without_credentials(&text);
            (text, !is_setup)
        }
        other => (chain(other), false),
    };
    let region = error.raw_response().and_then(|raw| raw.headers().get("x-amz-bucket-region"));
    let hint = match error {
        SdkError::DispatchFailure(_) if is_passing => {
            Some("look at the network, HTTPS_PROXY and the store's endpoint".to_owned())
        }
        SdkError::DispatchFailure(_) => Some(
            "the AWS SDK's own chain finds no credentials: set AWS_PROFILE, AWS_ACCESS_KEY_ID and \
             AWS_SECRET_ACCESS_KEY, or run `aws sso login`"
                .to_owned(),
        ),
        _ => advice(error.code(), status, &message, region),
    };
    KeepError { message, hint, is_passing }
}

/// Whether the same call may go better the next time.
fn is_passing(code: Option<&str>, status: Option<u16>) -> bool {
    match (code, status) {
        // Another write of the same object is under way: the guide says to send it again.
        (Some("ConditionalRequestConflict" | "OperationAborted"), _) => true,
        (Some("RequestTimeout" | "SlowDown"), _) => true,
        (_, Some(501)) => false,
        (_, Some(408 | 429 | 500..)) => true,
        _ => false,
    }
}

/// What to do about a refusal.
fn advice(
    code: Option<&str>,
    status: Option<u16>,
    message: &str,
    region: Option<&str>,
) -> Option<String> {
    let text = match (code.unwrap_or_default(), status) {
        ("NoSuchBucket", _) => "make the bucket, or see to `state.bucket`",
        (
            "PermanentRedirect"
            | "AuthorizationHeaderMalformed"
            | "IllegalLocationConstraintException",
            _,
        )
        | (_, Some(301 | 307)) => {
            let region = region.map_or_else(
                || "set `state.region` to it".to_owned(),
                |region| format!("set `state.region` to {region}"),
            );
            return Some(format!("the bucket is in another region: {region}"));
        }
        ("RequestTimeTooSkewed", _) => "set this machine's clock",
        (
            "InvalidAccessKeyId"
            | "SignatureDoesNotMatch"
            | "ExpiredToken"
            | "InvalidToken"
            | "TokenRefreshRequired",
            _,
        ) => {
            "the store does not take these credentials: see to AWS_PROFILE, or AWS_ACCESS_KEY_ID, \
             AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN"
        }
        ("AccessDenied" | "AllAccessDisabled", _) | (_, Some(403)) if message.contains("kms:") => {
            "the bucket is encrypted with a key of its own: the credentials need \
             kms:GenerateDataKey and kms:Decrypt for that key"
        }
        ("AccessDenied" | "AllAccessDisabled", _) | (_, Some(401 | 403)) => {
            "the credentials need s3:ListBucket for the bucket (without it, what is not there \
             reads as denied), and s3:GetObject, s3:PutObject and s3:DeleteObject for what is \
             under `state.prefix`"
        }
        ("NotImplemented", _) | (_, Some(501)) => {
            "a shared state needs a store that knows the conditions If-Match and If-None-Match of \
             a PUT"
        }
        (_, Some(404)) => "nothing that speaks S3 answers there: see to `state.endpoint`",
        _ => return None,
    };
    Some(text.to_owned())
}

fn version(etag: Option<&str>) -> Result<String, KeepError> {
    etag.map(str::to_owned).ok_or_else(|| KeepError {
        message: "the answer has no ETag".to_owned(),
        hint: Some("what answers there does not speak S3: see to `state.endpoint`".to_owned()),
        is_passing: false,
    })
}

impl Objects for BucketObjects {
    fn place(&self, name: &str) -> String {
        format!("s3://{}/{}", self.bucket.name, self.key(name))
    }

    fn read<'a>(&'a self, name: &'a str) -> Keeping<'a, Option<Object>> {
        Box::pin(async move {
            let client = self.client().await?;
            let get = client.get_object().bucket(&self.bucket.name).key(self.key(name));
            let found = match get.send().await {
                Ok(found) => found,
                Err(error) if error.code() == Some("NoSuchKey") => return Ok(None),
                Err(error) => return Err(self.failed(&error)),
            };
            let version = version(found.e_tag())?;
            let content = found.body.collect().await.map_err(|error| KeepError {
                message: chain(&error),
                hint: None,
                is_passing: true,
            })?;
            tracing::debug!(name, version, "read from the bucket");
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
            let client = self.client().await?;
            let put = client
                .put_object()
                .bucket(&self.bucket.name)
                .key(self.key(name))
                .content_type("application/json")
                .body(ByteStream::from(content.to_vec()));
            let put = match expected {
                Expected::Absent => put.if_none_match("*"),
                Expected::Version(version) => put.if_match(version),
            };
            let result = put.send().await;
            tracing::debug!(name, ok = result.is_ok(), "put into the bucket");
            match result {
                Ok(done) => version(done.e_tag()).map(Put::Done),
                Err(error) if status(&error) == Some(412) => Ok(Put::Moved),
                // What was there is gone.
                Err(error) if error.code() == Some("NoSuchKey") => Ok(Put::Moved),
                Err(error) => Err(self.failed(&error)),
            }
        })
    }

    /// Not every store knows the condition of a DELETE, and those that do not may pass over it: so
    /// this looks, too. The lock is held, so that nobody else is expected there.
    fn remove<'a>(&'a self, name: &'a str, version: &'a str) -> Keeping<'a, Put> {
        Box::pin(async move {
            match self.read(name).await? {
                None => return Ok(Put::Done(String::new())),
                Some(there) if there.version != version => return Ok(Put::Moved),
                Some(_) => {}
            }
            let client = self.client().await?;
            let delete = || client.delete_object().bucket(&self.bucket.name).key(self.key(name));
            let mut result = delete().if_match(version).send().await;
            if result.as_ref().is_err_and(|error| status(error) == Some(501)) {
                result = delete().send().await;
            }
            match result {
                Ok(_) => Ok(Put::Done(String::new())),
                Err(error) if status(&error) == Some(412) => Ok(Put::Moved),
                Err(error) if error.code() == Some("NoSuchKey") => Ok(Put::Done(String::new())),
                Err(error) => Err(self.failed(&error)),
            }
        })
    }

    fn list<'a>(&'a self, prefix: &'a str) -> Keeping<'a, Vec<String>> {
        Box::pin(async move {
            let client = self.client().await?;
            let list = client.list_objects_v2().bucket(&self.bucket.name);
            let mut pages = list.prefix(self.key(prefix)).into_paginator().send();
            let mut names = Vec::new();
            while let Some(page) = pages.next().await {
                let page = page.map_err(|error| self.failed(&error))?;
                let keys = page.contents().iter().filter_map(|object| object.key());
                names.extend(
                    keys.filter_map(|key| key.strip_prefix(&self.bucket.prefix)).map(str::to_owned),
                );
            }
            names.sort();
            Ok(names)
        })
    }
}

#[cfg(test)]
#[path = "bucket_tests.rs"]
mod tests;
