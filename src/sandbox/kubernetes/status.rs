//! Refusals as the API server words them: a `Status` object with code, reason and causes.

use serde_json::{Value, json};

use super::Response;
use super::resources::Resource;

/// One reason why an object is invalid.
#[derive(Debug, Clone, PartialEq)]
pub struct Cause {
    /// Machine-readable reason such as `FieldValueForbidden`.
    pub reason: &'static str,
    /// What is wrong, without the field.
    pub message: String,
    /// Path of the field such as `spec.selector`.
    pub field: String,
}

impl Cause {
    /// A required field is missing.
    pub fn required(field: impl Into<String>, detail: &str) -> Self {
        let message = if detail.is_empty() {
            "Required value".to_owned()
        } else {
            format!("Required value: {detail}")
        };
        Self { reason: "FieldValueRequired", message, field: field.into() }
    }

    /// A value breaks a rule; strings are quoted, everything else is compact JSON.
    pub fn invalid(field: impl Into<String>, value: &Value, detail: &str) -> Self {
        let message = format!("Invalid value: {value}: {detail}");
        Self { reason: "FieldValueInvalid", message, field: field.into() }
    }

    /// A value is not allowed here.
    pub fn forbidden(field: impl Into<String>, detail: &str) -> Self {
        let message = format!("Forbidden: {detail}");
        Self { reason: "FieldValueForbidden", message, field: field.into() }
    }

    /// There is more in a field than it takes.
    pub fn too_long(field: impl Into<String>, bytes: usize) -> Self {
        let message = format!("Too long: may not be more than {bytes} bytes");
        Self { reason: "FieldValueTooLong", message, field: field.into() }
    }

    /// A value names something that is not there.
    pub fn not_found(field: impl Into<String>, value: &str) -> Self {
        let message = format!("Not found: {}", json!(value));
        Self { reason: "FieldValueNotFound", message, field: field.into() }
    }

    /// A value occurs twice.
    pub fn duplicate(field: impl Into<String>, value: &Value) -> Self {
        let message = format!("Duplicate value: {value}");
        Self { reason: "FieldValueDuplicate", message, field: field.into() }
    }

    /// A value is none of those that are supported.
    pub fn unsupported(field: impl Into<String>, value: &Value, supported: &[&str]) -> Self {
        let list = supported.iter().map(|s| format!("{s:?}")).collect::<Vec<_>>().join(", ");
        let message = format!("Unsupported value: {value}: supported values: {list}");
        Self { reason: "FieldValueNotSupported", message, field: field.into() }
    }
}

/// A refused request.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// HTTP status.
    pub code: u16,
    /// Machine-readable reason; some internal errors have none.
    pub reason: Option<&'static str>,
    /// What went wrong, for people.
    pub message: String,
    /// What it is about and why.
    pub details: Option<Value>,
    /// Seconds after which it is worth trying again.
    retry_after: Option<u32>,
    plain: bool,
}

impl Failure {
    fn new(code: u16, reason: &'static str, message: String, details: Option<Value>) -> Self {
        Self { code, reason: Some(reason), message, details, retry_after: None, plain: false }
    }

    /// Nothing is served under this path at all.
    pub fn page_not_found() -> Self {
        let message = "404 page not found\n".to_owned();
        Self { code: 404, reason: None, message, details: None, retry_after: None, plain: true }
    }

    /// The group is served but not this version or resource.
    pub fn no_such_resource() -> Self {
        let message = "the server could not find the requested resource".to_owned();
        Self::new(404, "NotFound", message, Some(json!({})))
    }

    /// An object does not exist.
    pub fn not_found(group: &str, plural: &str, name: &str) -> Self {
        let message = format!("{} {name:?} not found", qualified(plural, group));
        Self::new(404, "NotFound", message, Some(subject(group, plural, name)))
    }

    /// A created object exists.
    pub fn already_exists(resource: &Resource, name: &str) -> Self {
        let (group, plural) = (&resource.group, &resource.plural);
        let message = format!("{} {name:?} already exists", qualified(plural, group));
        Self::new(409, "AlreadyExists", message, Some(subject(group, plural, name)))
    }

    /// The request itself makes no sense.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message.into(), None)
    }

    /// A verb that the resource does not have.
    pub fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource".to_owned();
        Self::new(405, "MethodNotAllowed", message, Some(json!({})))
    }

    /// A media type that is not understood.
    pub fn unsupported_media_type(supported: &str) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: \
             {supported}"
        );
        Self::new(415, "UnsupportedMediaType", message, Some(json!({})))
    }

    /// A body of a known media type that still can't be read.
    pub fn unsupported_media(message: String) -> Self {
        Self::new(415, "UnsupportedMediaType", message, Some(json!({})))
    }

    /// No media type that the client accepts can be answered.
    pub fn not_acceptable() -> Self {
        let message = "only the following media types are accepted: application/json, \
                       application/yaml, application/vnd.kubernetes.protobuf"
            .to_owned();
        Self::new(406, "NotAcceptable", message, Some(json!({})))
    }

    /// No valid credentials.
    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized".to_owned(), None)
    }

    /// Something other than permission forbids it, e.g. a terminating namespace.
    pub fn forbidden(resource: &Resource, name: &str, why: &str, causes: Option<Value>) -> Self {
        let (group, plural) = (&resource.group, &resource.plural);
        let what = if name.is_empty() {
            qualified(plural, group)
        } else {
            format!("{} {name:?}", qualified(plural, group))
        };
        let mut details = subject(group, plural, name);
        if let Some(causes) = causes {
            super::value::fields(&mut details).insert("causes".to_owned(), causes);
        }
        Self::new(403, "Forbidden", format!("{what} is forbidden: {why}"), Some(details))
    }

    /// Optimistic locking failed.
    pub fn conflict(group: &str, plural: &str, name: &str, why: &str) -> Self {
        let what = qualified(plural, group);
        let message = format!("Operation cannot be fulfilled on {what} {name:?}: {why}");
        Self::new(409, "Conflict", message, Some(subject(group, plural, name)))
    }

    /// Field managers disagree (server-side apply without `force`).
    pub fn apply_conflict(message: String, causes: Value) -> Self {
        Self::new(409, "Conflict", message, Some(json!({ "causes": causes })))
    }

    /// The object breaks rules.
    pub fn invalid(group: &str, kind: &str, name: &str, causes: &[Cause]) -> Self {
        let lines: Vec<_> = causes.iter().map(|c| format!("{}: {}", c.field, c.message)).collect();
        let text = match lines.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let message = format!("{} {name:?} is invalid: {text}", qualified(kind, group));
        let mut details = subject(group, kind, name);
        let causes: Vec<_> = causes
            .iter()
            .map(|c| json!({"reason": c.reason, "message": c.message, "field": c.field}))
            .collect();
        super::value::fields(&mut details).insert("causes".to_owned(), Value::Array(causes));
        Self::new(422, "Invalid", message, Some(details))
    }

    /// The server's own failure; apply's schema errors come as one (recordings 03 and 07).
    pub fn internal(message: String) -> Self {
        Self { code: 500, reason: None, message, details: None, retry_after: None, plain: false }
    }

    /// What was asked for is forgotten by now.
    pub fn expired(message: String) -> Self {
        Self::new(410, "Expired", message, None)
    }

    /// A page of a list that is too old to go on.
    pub fn expired_token() -> Self {
        let message = "The provided continue parameter is too old to display a consistent list \
                       result. You can start a new list without the continue parameter, or use \
                       the continue token in this response to retrieve the remainder of the \
                       results. Continuing with the provided token results in an inconsistent \
                       list - objects that were created, modified, or deleted between the time \
                       the first chunk was returned and now may show up in the list.";
        Self::expired(message.to_owned())
    }

    /// A revision that is yet to come.
    pub fn too_large_version(wanted: u64, is: u64) -> Self {
        let message = format!("Timeout: Too large resource version: {wanted}, current: {is}");
        let causes = json!({"causes": [
            {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1});
        let failure = Self::new(504, "Timeout", message, Some(causes));
        Self { retry_after: Some(1), ..failure }
    }

    /// What only a container that really runs could answer.
    pub fn not_implemented(what: &str) -> Self {
        let message = format!("the sandbox runs no containers, so there is no {what}");
        Self { code: 501, reason: None, message, details: None, retry_after: None, plain: false }
    }

    /// The answer that says so.
    pub fn response(&self) -> Response {
        if self.plain {
            return Response {
                status: self.code,
                content_type: "text/plain; charset=utf-8".to_owned(),
                headers: Vec::new(),
                body: self.message.clone().into_bytes(),
                watch: None,
            };
        }
        let mut response = Response::json(self.code, &self.status());
        response
            .headers
            .extend(self.retry_after.map(|s| ("retry-after".to_owned(), s.to_string())));
        response
    }

    /// The `Status` object that says so.
    pub fn status(&self) -> Value {
        let mut body = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message,
        });
        let map = super::value::fields(&mut body);
        if let Some(reason) = self.reason {
            map.insert("reason".to_owned(), reason.into());
        }
        if let Some(details) = &self.details {
            map.insert("details".to_owned(), details.clone());
        }
        map.insert("code".to_owned(), self.code.into());
        body
    }
}

/// `plural.group`, without the dot for the core group.
pub fn qualified(plural: &str, group: &str) -> String {
    if group.is_empty() { plural.to_owned() } else { format!("{plural}.{group}") }
}

fn subject(group: &str, kind: &str, name: &str) -> Value {
    let mut details = serde_json::Map::new();
    for (key, value) in [("name", name), ("group", group), ("kind", kind)] {
        if !value.is_empty() {
            details.insert(key.to_owned(), value.into());
        }
    }
    Value::Object(details)
}
