//! What an API server says when it refuses, and what became of the call.

use http::HeaderMap;
use serde_json::json;

use crate::model::Json;
use crate::model::call::{Answer, Service};
use crate::model::error::{CallError, Failure};

/// A refusal, read.
pub struct Refusal {
    status: u16,
    reason: Option<String>,
    message: String,
    causes: Vec<Json>,
    retry_after_ms: Option<u64>,
    request_id: Option<String>,
}

fn text(value: &Json, pointer: &str) -> Option<String> {
    value.pointer(pointer)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

impl Refusal {
    /// Reads a refusal: a `Status` object, or plain text where something else answered.
    pub fn read(status: u16, headers: &HeaderMap, body: Option<Json>, plain: &str) -> Self {
        let body = body.unwrap_or_default();
        let plain: String = plain.trim().chars().take(300).collect();
        let causes = body.pointer("/details/causes").and_then(Json::as_array);
        let causes = causes.into_iter().flatten().map(|cause| {
            json!({
                "field": text(cause, "/field").unwrap_or_default(),
                "message": text(cause, "/message").unwrap_or_default(),
            })
        });
        let seconds = header(headers, "retry-after")
            .and_then(|value| value.trim().parse::<u64>().ok())
            .or_else(|| body.pointer("/details/retryAfterSeconds").and_then(Json::as_u64));
        Refusal {
            status,
            reason: text(&body, "/reason"),
            message: text(&body, "/message").unwrap_or(plain),
            causes: causes.collect(),
            retry_after_ms: seconds.map(|seconds| seconds.saturating_mul(1000)),
            request_id: header(headers, "audit-id"),
        }
    }

    /// As an answer, for a kind that asked to see it.
    pub fn into_answer(self) -> Answer {
        let body = json!({
            "code": self.status,
            "reason": self.reason,
            "message": self.message,
            "causes": self.causes,
        });
        Answer { status: self.status, body, warnings: Vec::new() }
    }

    /// As an error.
    pub fn into_error(self, operation: String) -> CallError {
        CallError {
            service: Service::Kubernetes,
            operation,
            failure: self.failure(),
            status: Some(self.status),
            hint: self.hint(),
            code: self.reason,
            message: self.message,
            request_id: self.request_id,
            retry_after_ms: self.retry_after_ms,
        }
    }

    fn is_terminating(&self) -> bool {
        self.message.contains("because it is being terminated")
    }

    /// Whether an admission webhook could not be asked (k8s.io/apiserver/pkg/admission/plugin/webhook,
    /// `ErrCallingWebhook`).
    fn is_uncalled(&self) -> bool {
        self.message.contains("failed calling webhook")
    }

    fn failure(&self) -> Failure {
        match self.status {
            401 => Failure::Denied,
            403 if self.is_terminating() => Failure::Conflict,
            403 => Failure::Denied,
            404 => Failure::NotFound,
            409 => Failure::Conflict,
            429 | 503 => Failure::Throttled,
            // A manifest that does not fit its schema is answered so, and will be again.
            500 if self.message.contains("failed to create typed patch object") => Failure::Refused,
            500 if self.message.contains("failed to convert") => Failure::Refused,
            // Admission comes before anything is stored, and a webhook that is not up yet will be.
            500 if self.is_uncalled() => Failure::Throttled,
            status if status >= 500 => Failure::Unknown,
            _ => Failure::Refused,
        }
    }

    fn hint(&self) -> Option<String> {
        match self.status {
            401 => Some(
                "the cluster does not accept these credentials: check the user of the kubeconfig's \
                 context"
                    .to_owned(),
            ),
            403 if self.is_terminating() => {
                Some("wait until the namespace is gone, and run it again".to_owned())
            }
            403 => denied(&self.message).or_else(|| {
                let text = "this is no missing permission: a quota or an admission policy of the \
                            cluster refuses it, as the text says";
                Some(text.to_owned()).filter(|_| self.message.contains(" is forbidden: "))
            }),
            500 if self.is_uncalled() => Some(
                "nothing was done: see to the webhook's own service, then run it again".to_owned(),
            ),
            404 if self.reason.is_none() => Some(
                "the cluster does not serve this kind in this version: is its definition installed?"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}

/// The permission that is missing, out of the words that every refusal of RBAC has.
fn denied(message: &str) -> Option<String> {
    let (user, rest) = message.split_once(" cannot ")?;
    let (verb, rest) = rest.split_once(" resource ")?;
    let (resource, rest) = rest.split_once(" in API group ")?;
    let user = user.rsplit_once("User ").map_or("the user", |(_, user)| user);
    Some(format!("{user} needs the verb \"{verb}\" on {resource} in API group {rest}"))
}

/// The texts of `Warning` headers: `299 - "text"`.
pub fn warnings(headers: &HeaderMap) -> Vec<String> {
    headers
        .get_all(http::header::WARNING)
        .iter()
        .filter_map(|value| {
            let value = value.to_str().ok()?;
            let (_, quoted) = value.split_once('"')?;
            let text = quoted.rsplit_once('"').map_or(quoted, |(text, _)| text);
            Some(text.replace("\\\"", "\"").replace("\\\\", "\\"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, body: Json) -> Refusal {
        Refusal::read(status, &HeaderMap::new(), Some(body), "")
    }

    #[test]
    fn refusals_are_told_apart() {
        let typed = json!({"message": "failed to create typed patch object (a/b; apps/v1, \
                           Kind=Deployment): .spec.replicas: expected numeric (int or float), got string"});
        let ending = json!({"reason": "Forbidden", "message": "services \"a\" is forbidden: unable to \
                            create new content in namespace a because it is being terminated"});
        let uncalled = json!({"reason": "InternalError", "message": "Internal error occurred: failed \
            calling webhook \"w\": failed to call webhook: Post \"https://w.a.svc:443/\": no endpoints \
            available for service \"w\""});
        for (status, body, failure) in [
            (500, typed, Failure::Refused),
            (500, json!({"message": "etcdserver: request timed out"}), Failure::Unknown),
            (500, uncalled, Failure::Throttled),
            (403, ending, Failure::Conflict),
            (403, json!({"reason": "Forbidden"}), Failure::Denied),
            (401, json!({"reason": "Unauthorized"}), Failure::Denied),
            (404, json!({"reason": "NotFound"}), Failure::NotFound),
            (409, json!({"reason": "Conflict"}), Failure::Conflict),
            (422, json!({"reason": "Invalid"}), Failure::Refused),
            (429, json!({}), Failure::Throttled),
            (503, json!({}), Failure::Throttled),
            (504, json!({}), Failure::Unknown),
        ] {
            assert_eq!(refusal(status, body).failure(), failure, "{status}");
        }
    }

    #[test]
    fn a_missing_permission_is_named() {
        let body = json!({"reason": "Forbidden", "message": "services \"s\" is forbidden: User \
            \"system:serviceaccount:default:reader\" cannot patch resource \"services\" in API group \
            \"\" in the namespace \"openhands\""});
        let error = refusal(403, body).into_error("PATCH /x".into());
        assert_eq!(
            error.hint.as_deref(),
            Some(
                "\"system:serviceaccount:default:reader\" needs the verb \"patch\" on \"services\" \
                 in API group \"\" in the namespace \"openhands\""
            )
        );
    }

    #[test]
    fn what_no_role_forbids_is_not_told_as_a_missing_permission() {
        let quota =
            json!({"reason": "Forbidden", "message": "pods \"p\" is forbidden: exceeded quota: q"});
        let error = refusal(403, quota).into_error("PATCH /x".into());
        assert!(error.hint.is_some_and(|hint| hint.contains("quota")));
    }

    #[test]
    fn a_tolerated_refusal_keeps_its_causes() {
        let body = json!({"reason": "Invalid", "message": "m", "details": {"causes": [
            {"reason": "FieldValueForbidden", "message": "no", "field": "spec.strategy.rollingUpdate"}]}});
        assert_eq!(
            refusal(422, body).into_answer().body,
            json!({"code": 422, "reason": "Invalid", "message": "m", "causes": [
                {"field": "spec.strategy.rollingUpdate", "message": "no"}]})
        );
        let plain = Refusal::read(404, &HeaderMap::new(), None, "404 page not found\n");
        assert_eq!(plain.into_error("GET /x".into()).message, "404 page not found");
    }

    #[test]
    fn waits_and_warnings_come_from_the_headers() {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", "2".parse().unwrap());
        headers
            .insert("warning", "299 - \"v1beta1 is deprecated; use \\\"v1\\\"\"".parse().unwrap());
        assert_eq!(warnings(&headers), ["v1beta1 is deprecated; use \"v1\""]);
        let refusal = Refusal::read(429, &headers, None, "");
        assert_eq!(refusal.into_error("GET /x".into()).retry_after_ms, Some(2000));
    }
}
