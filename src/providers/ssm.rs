//! AWS SSM and STS by the AWS SDK: JSON in AWS's own names from and to typed calls.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use aws_config::SdkConfig;
use aws_sdk_ssm::config::http::HttpResponse;
use aws_sdk_ssm::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_ssm::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_ssm::error::{BoxError, ProvideErrorMetadata, SdkError};
use aws_sdk_ssm::operation::RequestId;
use aws_sdk_ssm::primitives::DateTime;
use aws_sdk_ssm::types::{
    Parameter, ParameterMetadata, ParameterStringFilter, ParameterTier, ParameterType,
    ResourceTypeForTagging, Tag,
};
use serde_json::json;
use tokio::sync::{OnceCell, Semaphore};

use super::clock::Clock;
use super::retry::{self, Retry};
use super::spacing::Spacing;
use super::{AwsSettings, aws, chain, hints, host_of, not_sent, reveal, scrub, tolerated};
use crate::model::call::{Answer, Call, Listing, Service};
use crate::model::error::{CallError, Failure};
use crate::model::secret::Secrets;
use crate::model::state::Target;
use crate::model::{Json, JsonMap};

/// The most parameters that a page of DescribeParameters has.
const PAGE: i32 = 50;
/// The room between two PutParameter once SSM has refused one: it takes 3 a second unless the
/// account pays for more.
const PUTS_APART: Duration = Duration::from_millis(340);
/// How many parameters' tags may be asked for at once.
const TAGS_AT_ONCE: usize = 16;
/// The operation that says whose credentials these are.
pub const CALLER: &str = "sts:GetCallerIdentity";

/// Sends to SSM and STS.
pub struct Ssm {
    settings: Option<AwsSettings>,
    region: Option<String>,
    retry: Retry,
    clients: OnceCell<Clients>,
    sent: AtomicU64,
    /// The session token goes along in a header: texts are scrubbed of it.
    session: RwLock<Secrets>,
    clock: Arc<Clock>,
    puts: Spacing,
    /// Tags cost a request a parameter, of which only so many are under way at once.
    tag_places: Semaphore,
}

struct Clients {
    config: SdkConfig,
    ssm: aws_sdk_ssm::Client,
    sts: aws_sdk_sts::Client,
}

impl Ssm {
    /// A client; the SDK's chain is asked when something is sent first.
    pub fn new(settings: Option<AwsSettings>, region: Option<String>, retry: Retry) -> Self {
        Ssm {
            settings,
            region,
            retry,
            clients: OnceCell::new(),
            sent: AtomicU64::new(0),
            session: aws::session(),
            clock: Arc::default(),
            puts: Spacing::new(PUTS_APART),
            tag_places: Semaphore::new(TAGS_AT_ONCE),
        }
    }

    /// How far the service's clock is ahead of this one's, in milliseconds.
    pub fn skew_ms(&self) -> Option<i64> {
        self.clock.skew_ms()
    }

    fn dates(&self) -> Dates {
        Dates(Arc::clone(&self.clock))
    }

    /// How many requests were sent.
    pub fn requests(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    async fn clients(&self) -> &Clients {
        self.clients.get_or_init(|| self.load()).await
    }

    async fn load(&self) -> Clients {
        let attempt = Duration::from_millis(self.retry.timing.request_ms);
        let config = aws::load(self.settings.as_ref(), self.region.as_deref(), attempt).await;
        let ssm = aws_sdk_ssm::config::Builder::from(&config).interceptor(self.dates());
        let sts = aws_sdk_sts::config::Builder::from(&config).interceptor(self.dates());
        Clients {
            ssm: aws_sdk_ssm::Client::from_conf(ssm.build()),
            sts: aws_sdk_sts::Client::from_conf(sts.build()),
            config,
        }
    }

    /// Account, region and endpoint; one request, to STS.
    ///
    /// # Errors
    /// What became of it.
    pub async fn target(&self) -> Result<Target, CallError> {
        let secrets = RwLock::new(Secrets::new());
        let caller = self.send(&Call::operation(CALLER, json!({})), &secrets).await?;
        let config = &self.clients().await.config;
        let region = config.region().map(ToString::to_string);
        let own = std::env::var("AWS_ENDPOINT_URL_SSM").ok().filter(|_| self.settings.is_none());
        let endpoint = own.or_else(|| config.endpoint_url().map(str::to_owned));
        let host = endpoint
            .as_deref()
            .and_then(host_of)
            .or_else(|| region.as_ref().map(|region| format!("ssm.{region}.amazonaws.com")));
        Ok(Target {
            aws_account: caller.body.get("Account").and_then(Json::as_str).map(str::to_owned),
            aws_region: region,
            aws_host: host,
            ..Target::default()
        })
    }

    /// Sends one operation.
    ///
    /// # Errors
    /// What became of it otherwise, with advice.
    pub async fn send(&self, call: &Call, secrets: &RwLock<Secrets>) -> Result<Answer, CallError> {
        match self.all_pages(call, secrets).await {
            Ok(body) => {
                let body = self.with_tags(call, body).await?;
                Ok(Answer { status: 200, body, warnings: Vec::new() })
            }
            Err(error) if error.status.is_some_and(|status| call.tolerate.contains(&status)) => {
                Ok(tolerated(&error))
            }
            Err(error) => Err(error),
        }
    }

    /// Sends one operation; of what comes in pages, all of them. A page may be empty and not the
    /// last one, even where one item is asked for.
    async fn all_pages(&self, call: &Call, secrets: &RwLock<Secrets>) -> Result<Json, CallError> {
        let mut body = self.retry.run(call, || self.once(call, secrets)).await?;
        while let Some(token) = body.get("NextToken").filter(|token| token.is_string()).cloned() {
            let mut next = call.clone();
            if let Some(Json::Object(input)) = &mut next.body {
                input.insert("NextToken".to_owned(), token);
            }
            let mut page = self.retry.run(&next, || self.once(&next, secrets)).await?;
            if let Some(items) = page.get_mut("Parameters").and_then(Json::as_array_mut)
                && let Some(all) = body.get_mut("Parameters").and_then(Json::as_array_mut)
            {
                items.splice(0..0, std::mem::take(all));
            }
            body = page;
        }
        Ok(body)
    }

    /// Reads all of a collection. Where the input's `TagsOf` names parameters, their items
    /// get `Tags`: SSM has no list of tags, so this costs one request each. Those that may not be
    /// read get `TagsUnread`, which says why.
    ///
    /// # Errors
    /// What became of one of the requests.
    pub async fn list(&self, listing: &Listing) -> Result<Vec<Json>, CallError> {
        let answer = self.send(&listing.call, &RwLock::new(Secrets::new())).await?;
        let items = answer.body.get("Parameters").and_then(Json::as_array);
        Ok(items.cloned().unwrap_or_default())
    }

    async fn with_tags(&self, call: &Call, mut body: Json) -> Result<Json, CallError> {
        let wanted = call.body.as_ref().and_then(|input| input.get("TagsOf")?.as_array());
        let Some(wanted) = wanted.filter(|_| call.path == "DescribeParameters") else {
            return Ok(body);
        };
        let items = body.get_mut("Parameters").and_then(Json::as_array_mut);
        let reading = items.into_iter().flatten().filter_map(|item| {
            let name = item.get("Name").filter(|name| wanted.contains(name))?.clone();
            let map = item.as_object_mut()?;
            Some(async move {
                let (field, value) = self.tags(&name).await?;
                map.insert(field.to_owned(), value);
                Ok(())
            })
        });
        futures::future::try_join_all(reading).await?;
        Ok(body)
    }

    /// The tags of a parameter, or why they may not be read, with the field for it: the rest can be
    /// told without.
    async fn tags(&self, name: &Json) -> Result<(&'static str, Json), CallError> {
        // It closes with the client only, and then nobody waits.
        let _place = self.tag_places.acquire().await.ok();
        let secrets = RwLock::new(Secrets::new());
        let input = json!({"ResourceType": "Parameter", "ResourceId": name});
        let tags = Call::operation("ListTagsForResource", input);
        match self.retry.run(&tags, || self.once(&tags, &secrets)).await {
            Ok(answer) => Ok(("Tags", answer.get("TagList").cloned().unwrap_or_default())),
            Err(error) if error.code.as_deref() == Some("AccessDeniedException") => {
                Ok(("TagsUnread", json!(error.to_string())))
            }
            Err(error) => Err(error),
        }
    }

    async fn once(&self, call: &Call, secrets: &RwLock<Secrets>) -> Result<Json, CallError> {
        let clients = self.clients().await;
        if clients.config.region().is_none() {
            let error = not_sent(Service::Ssm, &call.path, "region", "no AWS region is known");
            return Err(with_advice(error));
        }
        let empty = json!({});
        let input = call.body.as_ref().unwrap_or(&empty);
        let input = reveal(Service::Ssm, &call.path, input, secrets)?;
        let puts = call.path == "PutParameter";
        if puts {
            let pause = self.puts.place(Instant::now());
            self.retry.tell_pause("SSM PutParameter", pause);
            tokio::time::sleep(pause).await;
        }
        self.retry.may_send(call, &call.path)?;
        self.sent.fetch_add(1, Ordering::Relaxed);
        let start = Instant::now();
        let result = operate(clients, &call.path, &input).await;
        tracing::debug!(
            operation = %call.path,
            ok = result.is_ok(),
            elapsed_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
            "SSM"
        );
        result.map_err(|mut error| {
            if puts && error.code.as_deref().is_some_and(is_throttled) {
                self.puts.refused(Instant::now());
            }
            error.operation = call.path.clone();
            error.message = scrub(&scrub(&error.message, secrets), &self.session);
            with_advice(error)
        })
    }
}

/// Reads the `Date` of every answer.
#[derive(Debug)]
struct Dates(Arc<Clock>);

impl Intercept for Dates {
    fn name(&self) -> &'static str {
        "Dates"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(date) = context.response().headers().get("date") {
            self.0.see(date);
        }
        Ok(())
    }
}

fn with_advice(mut error: CallError) -> CallError {
    error.hint = hints::hint(&error);
    error
}

fn text(input: &Json, field: &str) -> Option<String> {
    input.get(field).and_then(Json::as_str).map(str::to_owned)
}

fn texts(input: &Json, field: &str) -> Option<Vec<String>> {
    let list = input.get(field)?.as_array()?;
    Some(list.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect())
}

fn flag(input: &Json, field: &str) -> Option<bool> {
    input.get(field).and_then(Json::as_bool)
}

fn objects<'a>(input: &'a Json, field: &str) -> impl Iterator<Item = &'a Json> {
    input.get(field).and_then(Json::as_array).into_iter().flatten()
}

/// The tags of an input.
fn tags(input: &Json) -> Result<Option<Vec<Tag>>, CallError> {
    if input.get("Tags").is_none() {
        return Ok(None);
    }
    let tag = |item: &Json| {
        let value = text(item, "Value").unwrap_or_default();
        Tag::builder().set_key(text(item, "Key")).value(value).build().map_err(unbuilt)
    };
    objects(input, "Tags").map(tag).collect::<Result<_, _>>().map(Some)
}

fn filters(input: &Json) -> Result<Vec<ParameterStringFilter>, CallError> {
    let filter = |item: &Json| {
        ParameterStringFilter::builder()
            .set_key(text(item, "Key"))
            .set_option(text(item, "Option"))
            .set_values(texts(item, "Values"))
            .build()
            .map_err(unbuilt)
    };
    objects(input, "ParameterFilters").map(filter).collect()
}

fn unbuilt(error: impl std::error::Error) -> CallError {
    not_sent(Service::Ssm, "", "input", error.to_string())
}

fn resource_type(input: &Json) -> Option<ResourceTypeForTagging> {
    text(input, "ResourceType").map(|kind| kind.as_str().into())
}

/// One operation, typed on the way to the SDK and back.
async fn operate(clients: &Clients, operation: &str, input: &Json) -> Result<Json, CallError> {
    let ssm = &clients.ssm;
    match operation {
        "DescribeParameters" => describe(ssm, input).await,
        "PutParameter" => put(ssm, input).await,
        "GetParameter" => {
            let request = ssm.get_parameter().set_name(text(input, "Name"));
            let request = request.set_with_decryption(flag(input, "WithDecryption"));
            let output = request.send().await.map_err(failed)?;
            Ok(json!({"Parameter": output.parameter().map(parameter)}))
        }
        "GetParameters" => {
            let request = ssm.get_parameters().set_names(texts(input, "Names"));
            let request = request.set_with_decryption(flag(input, "WithDecryption"));
            let output = request.send().await.map_err(failed)?;
            let decrypts = flag(input, "WithDecryption") == Some(true);
            let seen = |item| if decrypts { parameter(item) } else { undescribed(item) };
            let found: Vec<Json> = output.parameters().iter().map(seen).collect();
            Ok(json!({"Parameters": found, "InvalidParameters": output.invalid_parameters()}))
        }
        "DeleteParameter" => {
            let request = ssm.delete_parameter().set_name(text(input, "Name"));
            request.send().await.map_err(failed)?;
            Ok(json!({}))
        }
        "ListTagsForResource" => {
            let request = ssm.list_tags_for_resource().set_resource_type(resource_type(input));
            let request = request.set_resource_id(text(input, "ResourceId"));
            let output = request.send().await.map_err(failed)?;
            let tag = |tag: &Tag| json!({"Key": tag.key(), "Value": tag.value()});
            Ok(json!({"TagList": output.tag_list().iter().map(tag).collect::<Vec<_>>()}))
        }
        "AddTagsToResource" => {
            let request = ssm.add_tags_to_resource().set_resource_type(resource_type(input));
            let request = request.set_resource_id(text(input, "ResourceId"));
            request.set_tags(tags(input)?).send().await.map_err(failed)?;
            Ok(json!({}))
        }
        "RemoveTagsFromResource" => {
            let request = ssm.remove_tags_from_resource().set_resource_type(resource_type(input));
            let request = request.set_resource_id(text(input, "ResourceId"));
            let request = request.set_tag_keys(texts(input, "TagKeys"));
            request.send().await.map_err(failed)?;
            Ok(json!({}))
        }
        CALLER => {
            let output = clients.sts.get_caller_identity().send().await.map_err(failed)?;
            let (account, arn) = (output.account(), output.arn());
            Ok(json!({"Account": account, "Arn": arn, "UserId": output.user_id()}))
        }
        other => {
            let message = format!("{other} is not an operation that is known here");
            Err(not_sent(Service::Ssm, other, "operation", message))
        }
    }
}

async fn describe(ssm: &aws_sdk_ssm::Client, input: &Json) -> Result<Json, CallError> {
    let output = ssm
        .describe_parameters()
        .set_parameter_filters(Some(filters(input)?).filter(|filters| !filters.is_empty()))
        .max_results(PAGE)
        .set_next_token(text(input, "NextToken"))
        .send()
        .await
        .map_err(failed)?;
    let found: Vec<Json> = output.parameters().iter().map(metadata).collect();
    let mut out = json!({"Parameters": found});
    if let (Some(token), Some(map)) = (output.next_token(), out.as_object_mut()) {
        map.insert("NextToken".to_owned(), json!(token));
    }
    Ok(out)
}

async fn put(ssm: &aws_sdk_ssm::Client, input: &Json) -> Result<Json, CallError> {
    let output = ssm
        .put_parameter()
        .set_name(text(input, "Name"))
        .set_value(text(input, "Value"))
        .set_type(text(input, "Type").map(|kind| ParameterType::from(kind.as_str())))
        .set_description(text(input, "Description"))
        .set_key_id(text(input, "KeyId"))
        .set_tier(text(input, "Tier").map(|tier| ParameterTier::from(tier.as_str())))
        .set_allowed_pattern(text(input, "AllowedPattern"))
        .set_data_type(text(input, "DataType"))
        .set_overwrite(flag(input, "Overwrite"))
        .set_tags(tags(input)?)
        .send()
        .await
        .map_err(failed)?;
    Ok(json!({"Version": output.version(), "Tier": output.tier().map(ParameterTier::as_str)}))
}

fn date(date: &DateTime) -> Json {
    json!(date.as_secs_f64())
}

fn object(fields: Vec<(&str, Option<Json>)>) -> Json {
    let present = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Json::Object(present.collect::<JsonMap>())
}

fn metadata(item: &ParameterMetadata) -> Json {
    object(vec![
        ("Name", item.name().map(|v| json!(v))),
        ("ARN", item.arn().map(|v| json!(v))),
        ("Type", item.r#type().map(|v| json!(v.as_str()))),
        ("KeyId", item.key_id().map(|v| json!(v))),
        ("LastModifiedDate", item.last_modified_date().map(date)),
        ("LastModifiedUser", item.last_modified_user().map(|v| json!(v))),
        ("Description", item.description().map(|v| json!(v))),
        ("AllowedPattern", item.allowed_pattern().map(|v| json!(v))),
        ("Version", Some(json!(item.version()))),
        ("Tier", item.tier().map(|v| json!(v.as_str()))),
        ("DataType", item.data_type().map(|v| json!(v))),
    ])
}

fn parameter(item: &Parameter) -> Json {
    object(vec![
        ("Name", item.name().map(|v| json!(v))),
        ("ARN", item.arn().map(|v| json!(v))),
        ("Type", item.r#type().map(|v| json!(v.as_str()))),
        ("Value", item.value().map(|v| json!(v))),
        ("Version", Some(json!(item.version()))),
        ("LastModifiedDate", item.last_modified_date().map(date)),
        ("DataType", item.data_type().map(|v| json!(v))),
    ])
}

/// A parameter that was got for what it is and not for its value: `Undescribed` says that tier,
/// description, key and pattern are not to be seen that way.
fn undescribed(item: &Parameter) -> Json {
    let mut out = parameter(item);
    if let Some(map) = out.as_object_mut() {
        map.shift_remove("Value");
        map.insert("Undescribed".to_owned(), json!(true));
    }
    out
}

/// What an SDK error says, by code and message only: its Debug, and the text of an answer that
/// could not be read, may hold a decrypted value (crates.md, section 5).
fn failed<E>(error: SdkError<E, HttpResponse>) -> CallError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let status = error.raw_response().map(|response| response.status().as_u16());
    let request_id = error.request_id().map(str::to_owned);
    let mut out = not_sent(Service::Ssm, "", "request", "");
    out.request_id = request_id;
    match &error {
        SdkError::ServiceError(_) => {
            out.status = status;
            out.code = error.code().map(str::to_owned);
            out.message =
                aws::without_request(error.message().unwrap_or("the service gave no reason"));
            out.failure = failure_of(status, error.code());
        }
        SdkError::ConstructionFailure(_) => {
            out.message = "the request could not be made".to_owned()
        }
        SdkError::TimeoutError(_) => {
            out.failure = Failure::Unknown;
            out.message = "there was no answer in time".to_owned();
        }
        SdkError::ResponseError(_) => {
            out.failure = Failure::Unknown;
            out.status = status;
            out.message = "the answer could not be read".to_owned();
        }
        SdkError::DispatchFailure(failure) => {
            let text = chain(&error);
            out.message = text.clone();
            if aws::is_unconnected(&text) {
                out.code = Some(retry::CONNECT.to_owned());
            } else if aws::is_without_credentials(&text) {
                out.code = Some("credentials".to_owned());
            } else if !failure.is_user() {
                out.failure = Failure::Unknown;
            }
        }
        _ => {
            out.failure = Failure::Unknown;
            out.message = "the call failed".to_owned();
        }
    }
    out
}

/// Whether a code says that calls come too fast.
fn is_throttled(code: &str) -> bool {
    matches!(code, "ThrottlingException" | "Throttling" | "RequestLimitExceeded")
}

fn failure_of(status: Option<u16>, code: Option<&str>) -> Failure {
    match code.unwrap_or_default() {
        code if is_throttled(code) => Failure::Throttled,
        "TooManyUpdates" => Failure::Throttled,
        "AccessDeniedException"
        | "AccessDenied"
        | "NotAuthorized"
        | "OptInRequired"
        | "RegionDisabledException"
        | "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "IncompleteSignature"
        | "IncompleteSignatureException"
        | "RequestExpired"
        | "ExpiredTokenException"
        | "ExpiredToken"
        | "MissingAuthenticationTokenException"
        | "MissingAuthenticationToken" => Failure::Denied,
        "ParameterNotFound" | "ParameterVersionNotFound" | "InvalidResourceId" => Failure::NotFound,
        "ParameterAlreadyExists" | "HierarchyTypeMismatchException" => Failure::Conflict,
        _ => match status {
            Some(429) => Failure::Throttled,
            Some(401 | 403) => Failure::Denied,
            // The end of a wait, not of the request (RFC 9110, 15.5.9).
            Some(408) => Failure::Unknown,
            Some(400..500) => Failure::Refused,
            _ => Failure::Unknown,
        },
    }
}

#[cfg(test)]
#[path = "ssm_tests.rs"]
mod tests;
