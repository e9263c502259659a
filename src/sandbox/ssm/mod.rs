//! AWS: the parameter store (SSM) and `GetCallerIdentity` (STS) as pure functions over a
//! [`State`], held to the AWS column of the reference's table.

mod labels;
mod names;
mod read;
pub mod signature;
mod sts;
mod tags;
mod write;

pub use sts::error_text as xml_error;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::env::Env;
use super::quirks::Quirk;

/// An access key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AccessKey {
    /// `AKIA…`.
    pub id: String,
    /// 40 characters.
    pub secret: String,
    /// The user it belongs to.
    pub user: String,
    /// It may not write.
    pub read_only: bool,
}

/// Everything the AWS side of a sandbox holds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct State {
    /// 12 digits.
    pub account: String,
    /// Access keys.
    pub keys: Vec<AccessKey>,
    /// KMS keys: id and alias.
    pub kms: Vec<KmsKey>,
    /// Random; makes ciphertexts opaque.
    pub salt: String,
    /// Parameters by region and name.
    pub parameters: BTreeMap<String, BTreeMap<String, Parameter>>,
    /// When parameters were deleted whose names are not free yet, by ARN.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub deleted: BTreeMap<String, Timestamp>,
}

/// A KMS key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KmsKey {
    /// UUID.
    pub id: String,
    /// `alias/…`.
    pub alias: String,
}

/// A parameter with its history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Parameter {
    /// `String`, `StringList` or `SecureString`.
    pub kind: String,
    /// Oldest first, never empty, at most 100.
    pub versions: Vec<Version>,
    /// Tags by key.
    pub tags: BTreeMap<String, String>,
}

/// One version of a parameter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// Counts from 1.
    pub version: u64,
    /// The plain value.
    pub value: String,
    /// Where it was given.
    pub description: Option<String>,
    /// Of a SecureString, as it was given.
    pub key_id: Option<String>,
    /// `Standard` or `Advanced`.
    pub tier: String,
    /// A regular expression that values match.
    pub allowed_pattern: Option<String>,
    /// Policies as they were given.
    pub policies: Option<String>,
    /// `text` or `aws:ec2:image`.
    pub data_type: String,
    /// Seconds since the epoch, with milliseconds.
    pub modified: f64,
    /// ARN of who wrote it.
    pub user: String,
    /// Names for it; none is two versions' at once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
}

impl Parameter {
    /// A SecureString as a Put with nothing else makes it.
    pub fn secure(value: &str, user: &str, now: Timestamp) -> Self {
        let version = Version {
            version: 1,
            value: value.to_owned(),
            description: None,
            key_id: Some("alias/aws/ssm".to_owned()),
            tier: "Standard".to_owned(),
            allowed_pattern: None,
            policies: None,
            data_type: "text".to_owned(),
            modified: epoch_seconds(now),
            user: user.to_owned(),
            labels: Vec::new(),
        };
        Parameter {
            kind: "SecureString".to_owned(),
            versions: vec![version],
            tags: BTreeMap::new(),
        }
    }

    /// The current version.
    pub fn latest(&self) -> Option<&Version> {
        self.versions.last()
    }
}

/// A time as SSM writes it: seconds since the epoch, with milliseconds.
fn epoch_seconds(time: Timestamp) -> f64 {
    time.as_millisecond() as f64 / 1000.0
}

/// A refusal: `__type` and message.
#[derive(Debug, Clone, PartialEq)]
pub struct AwsError {
    /// HTTP status.
    pub status: u16,
    /// The error's type, without name space.
    pub kind: &'static str,
    /// What is wrong.
    pub message: String,
}

impl AwsError {
    /// HTTP 400, as nearly all refusals are.
    pub fn new(kind: &'static str, message: impl Into<String>) -> Self {
        AwsError { status: 400, kind, message: message.into() }
    }

    /// `ValidationException`.
    pub fn validation(message: impl Into<String>) -> Self {
        AwsError::new("ValidationException", message)
    }
}

/// What an operation comes to.
pub type Outcome = Result<Value, AwsError>;

/// One request, as far as the handlers look at it.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The operation, from `x-amz-target` or the form's `Action`.
    pub operation: &'a str,
    /// The header `Authorization`.
    pub authorization: Option<&'a str>,
    /// The body's bytes.
    pub body: &'a [u8],
}

/// What an answer looks like on the wire.
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: &'static str,
    /// Header `x-amzn-errortype`.
    pub error: Option<&'static str>,
    /// JSON for SSM.
    pub json: Option<Value>,
    /// XML for STS.
    pub text: String,
}

/// The prefix of `x-amz-target`.
pub const TARGET: &str = "AmazonSSM.";

/// Whether an operation changes something.
pub fn is_mutating(operation: &str) -> bool {
    ["Put", "Delete", "Add", "Remove", "Label", "Unlabel"].iter().any(|p| operation.starts_with(p))
}

/// Answers one SSM request.
pub fn handle(state: &mut State, call: &Call<'_>, env: &mut Env) -> Response {
    let outcome = dispatch(state, call, env);
    let (status, error, json) = match outcome {
        Ok(value) => (200, None, value),
        Err(error) => (error.status, Some(error.kind), error_body(error.kind, &error.message)),
    };
    let content_type = "application/x-amz-json-1.1";
    Response { status, content_type, error, json: Some(json), text: String::new() }
}

/// The answer to a request whose signature is refused.
pub fn refuse(error: &AwsError, sts: bool, env: &mut Env) -> Response {
    if sts {
        return sts::refuse(error.clone(), env);
    }
    let content_type = "application/x-amz-json-1.1";
    let json = Some(error_body(error.kind, &error.message));
    let (status, error) = (error.status, Some(error.kind));
    Response { status, content_type, error, json, text: String::new() }
}

/// Answers one STS request.
pub fn handle_sts(state: &State, call: &Call<'_>, env: &mut Env) -> Response {
    sts::handle(state, call, env)
}

/// The body of a refusal.
pub fn error_body(kind: &str, message: &str) -> Value {
    json!({ "__type": kind, "message": message })
}

/// Who asks, and where: an access key and the region of the signature's scope.
struct Caller {
    arn: String,
    user_id: String,
    region: String,
    read_only: bool,
}

/// Reads the credential scope of a SigV4 header; the signature is checked by [`signature`].
fn caller(state: &State, authorization: Option<&str>) -> Result<Caller, AwsError> {
    let missing =
        || AwsError::new("MissingAuthenticationTokenException", "Missing Authentication Token");
    let header = authorization.ok_or_else(missing)?;
    let incomplete = || {
        AwsError::new(
            "IncompleteSignatureException",
            "Authorization header requires 'Credential' parameter.",
        )
    };
    let scope = header
        .strip_prefix("AWS4-HMAC-SHA256 ")
        .and_then(|rest| rest.split(',').find_map(|part| part.trim().strip_prefix("Credential=")))
        .ok_or_else(incomplete)?;
    let mut parts = scope.split('/');
    let (Some(id), Some(_), Some(region)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(incomplete());
    };
    let key = state.keys.iter().find(|key| key.id == id).ok_or_else(|| {
        let text = "The security token included in the request is invalid.";
        AwsError::new("UnrecognizedClientException", text)
    })?;
    Ok(Caller {
        arn: format!("arn:aws:iam::{}:user/{}", state.account, key.user),
        user_id: key.id.replacen("AKIA", "AIDA", 1),
        region: region.to_owned(),
        read_only: key.read_only,
    })
}

fn dispatch(state: &mut State, call: &Call<'_>, env: &mut Env) -> Outcome {
    let caller = caller(state, call.authorization)?;
    let input = match serde_json::from_slice(call.body) {
        Ok(Value::Object(input)) => input,
        _ if call.body.is_empty() => Map::new(),
        _ => return Err(AwsError::new("SerializationException", "Start of structure expected")),
    };
    if caller.read_only && is_mutating(call.operation) {
        let text = format!(
            "User: {} is not authorized to perform: ssm:{} on resource: {} because no \
             identity-based policy allows the ssm:{} action",
            caller.arn,
            call.operation,
            arn(state, &caller.region, str_of(&input, "Name").unwrap_or("*")),
            call.operation,
        );
        return Err(AwsError::new("AccessDeniedException", text));
    }
    let State { account, kms, salt, parameters, deleted, .. } = state;
    let mut store = Store {
        account,
        kms,
        salt,
        region: &caller.region,
        user: &caller.arn,
        read_only: caller.read_only,
        deleted,
        short_pages: env.quirks.has(Quirk::ShortPages),
        described_until: described_until(env),
        parameters: parameters.entry(caller.region.clone()).or_default(),
    };
    match call.operation {
        "PutParameter" => write::put(&mut store, &input, env),
        "DeleteParameter" => write::delete(&mut store, &input, env),
        "DeleteParameters" => write::delete_several(&mut store, &input, env),
        "GetParameter" => read::get(&store, &input),
        "GetParameters" => read::get_several(&store, &input),
        "GetParametersByPath" => read::by_path(&store, &input),
        "DescribeParameters" => read::describe(&store, &input),
        "GetParameterHistory" => read::history(&store, &input),
        "LabelParameterVersion" => labels::add(&mut store, &input),
        "UnlabelParameterVersion" => labels::remove(&mut store, &input),
        "AddTagsToResource" => tags::add(&mut store, &input),
        "RemoveTagsFromResource" => tags::remove(&mut store, &input),
        "ListTagsForResource" => tags::list(&store, &input),
        operation => {
            let text = format!("The operation {operation} is not known.");
            Err(AwsError::new("UnknownOperationException", text))
        }
    }
}

fn described_until(env: &Env) -> f64 {
    match env.quirks.lasts(Quirk::StaleDescriptions) {
        Some(lag) => epoch_seconds(env.now) - lag.as_secs_f64(),
        None => f64::INFINITY,
    }
}

/// The parameters of one region, and what handlers need beside them.
struct Store<'a> {
    account: &'a str,
    kms: &'a [KmsKey],
    salt: &'a str,
    region: &'a str,
    user: &'a str,
    /// Who asks may only read, and decrypt with no key of the account's own.
    read_only: bool,
    /// When parameters were deleted, by ARN.
    deleted: &'a mut BTreeMap<String, Timestamp>,
    /// Pages come short, and the first one empty.
    short_pages: bool,
    /// Since when, in seconds since the epoch, descriptions know of no version.
    described_until: f64,
    parameters: &'a mut BTreeMap<String, Parameter>,
}

impl Store<'_> {
    fn arn(&self, name: &str) -> String {
        arn_of(self.account, self.region, name)
    }
}

fn arn(state: &State, region: &str, name: &str) -> String {
    arn_of(&state.account, region, name)
}

fn arn_of(account: &str, region: &str, name: &str) -> String {
    let slash = if name.starts_with('/') { "" } else { "/" };
    format!("arn:aws:ssm:{region}:{account}:parameter{slash}{name}")
}

/// A member that is a string.
fn str_of<'a>(input: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    input.get(name).and_then(Value::as_str)
}

/// A member that is a truth value; false where it is absent.
fn flag(input: &Map<String, Value>, name: &str) -> bool {
    input.get(name).and_then(Value::as_bool).unwrap_or(false)
}

/// The string a call must give.
fn required<'a>(input: &'a Map<String, Value>, name: &str) -> Result<&'a str, AwsError> {
    str_of(input, name).filter(|text| !text.is_empty()).ok_or_else(|| {
        let member = format!("{}{}", name[..1].to_lowercase(), &name[1..]);
        AwsError::validation(format!(
            "1 validation error detected: Value at '{member}' failed to satisfy constraint: \
             Member must not be null"
        ))
    })
}

/// The strings of a list member.
fn strings<'a>(input: &'a Map<String, Value>, name: &str) -> Vec<&'a str> {
    let list = input.get(name).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).collect()
}

#[cfg(test)]
mod tests;
