//! One HTTP exchange: which service a request is for, what it does, and how that service words
//! an answer.

use axum::body::Bytes;
use axum::http::HeaderMap;
use serde_json::{Value, json};

use super::cloudflare::{self, reply::ApiError};
use super::kubernetes::Watch;
use super::ssm;

/// What answers a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// The Cloudflare API.
    Cloudflare,
    /// The parameter store.
    Ssm,
    /// `GetCallerIdentity`.
    Sts,
    /// The Kubernetes API.
    Kubernetes,
    /// The sandbox itself: `/sandbox/dump`.
    Sandbox,
}

impl Service {
    /// Its name in logs and faults.
    pub fn name(self) -> &'static str {
        match self {
            Service::Cloudflare => "cloudflare",
            Service::Ssm => "ssm",
            Service::Sts => "sts",
            Service::Kubernetes => "kubernetes",
            Service::Sandbox => "sandbox",
        }
    }
}

/// A request as it was received.
#[derive(Clone, Debug)]
pub struct Received {
    /// Which service it is for.
    pub service: Service,
    /// The method in capitals.
    pub method: String,
    /// The path, without query.
    pub path: String,
    /// The query as it was sent.
    pub query_text: String,
    /// The query's parameters, decoded.
    pub query: Vec<(String, String)>,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// For AWS, the operation.
    pub operation: String,
}

impl Received {
    /// Finds out which service a request is for.
    pub fn new(
        method: &str,
        path: &str,
        query_text: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Received {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let form = header("content-type").is_some_and(|t| t.starts_with("application/x-www-form"));
        let pairs = |text: &[u8]| -> Vec<(String, String)> {
            url::form_urlencoded::parse(text).into_owned().collect()
        };
        let (service, operation) = if path.starts_with(cloudflare::BASE) {
            (Service::Cloudflare, String::new())
        } else if let Some(target) = header("x-amz-target") {
            (Service::Ssm, target.strip_prefix(ssm::TARGET).unwrap_or(target).to_owned())
        } else if path == "/" && method == "POST" && form {
            let action = pairs(&body).into_iter().find(|(name, _)| name == "Action");
            (Service::Sts, action.map(|(_, value)| value).unwrap_or_default())
        } else if path.starts_with("/sandbox/") {
            (Service::Sandbox, String::new())
        } else {
            (Service::Kubernetes, String::new())
        };
        Received {
            service,
            method: method.to_owned(),
            path: path.to_owned(),
            query_text: query_text.to_owned(),
            query: pairs(query_text.as_bytes()),
            headers,
            body,
            operation,
        }
    }

    /// A header that is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The path as the log has it: for AWS, the operation.
    pub fn shown_path(&self) -> &str {
        match self.service {
            Service::Ssm | Service::Sts => &self.operation,
            _ => &self.path,
        }
    }

    /// The path as journals and faults have it: Cloudflare's without its base.
    pub fn short_path(&self) -> &str {
        match self.service {
            Service::Cloudflare => self.path.strip_prefix(cloudflare::BASE).unwrap_or(&self.path),
            _ => self.shown_path(),
        }
    }

    /// Whether it is a Kubernetes dry-run.
    pub fn is_dry_run(&self) -> bool {
        self.service == Service::Kubernetes
            && self.query.iter().any(|(name, value)| name == "dryRun" && value == "All")
    }

    /// Whether it would change something; reviews of access only ask.
    pub fn is_mutating(&self) -> bool {
        let writes = !matches!(self.method.as_str(), "GET" | "HEAD" | "OPTIONS");
        match self.service {
            Service::Ssm => ssm::is_mutating(&self.operation),
            Service::Cloudflare => writes,
            Service::Kubernetes => {
                let group = self.path.strip_prefix("/apis/").unwrap_or_default();
                let asks = group.starts_with("authorization.k8s.io/")
                    || group.starts_with("authentication.k8s.io/");
                writes && !asks && !self.is_dry_run()
            }
            Service::Sts | Service::Sandbox => false,
        }
    }
}

/// An answer as it goes out.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Headers, `content-type` among them.
    pub headers: Vec<(String, String)>,
    /// The body, of a watch its beginning.
    pub body: Vec<u8>,
    /// How a watch goes on.
    pub watch: Option<Box<Watch>>,
}

impl Reply {
    /// A JSON body.
    pub fn json(status: u16, body: &Value) -> Reply {
        Reply::text(status, "application/json", body.to_string())
    }

    /// Any text.
    pub fn text(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Reply {
        let headers = vec![("content-type".to_owned(), content_type.to_owned())];
        Reply { status, headers, body: body.into(), watch: None }
    }

    /// A refusal worded as the service words its own, with the code that goes with the status.
    pub fn refusal(service: Service, status: u16, message: &str) -> Reply {
        let code = match (service, status) {
            (Service::Cloudflare, 429) => "10100",
            (Service::Cloudflare, 403) => "10000",
            (Service::Cloudflare, _) => "1000",
            (Service::Sts, 403) => "AccessDenied",
            (Service::Sts, _) => "Throttling",
            (Service::Ssm, 400 | 429) => "ThrottlingException",
            (Service::Ssm, 403) => "AccessDeniedException",
            (Service::Ssm, 409) => "UnannouncedCallException",
            (Service::Ssm, _) => "InternalServerError",
            (Service::Kubernetes | Service::Sandbox, 401) => "Unauthorized",
            (Service::Kubernetes | Service::Sandbox, 403) => "Forbidden",
            (Service::Kubernetes | Service::Sandbox, 404) => "NotFound",
            (Service::Kubernetes | Service::Sandbox, 409) => "Conflict",
            (Service::Kubernetes | Service::Sandbox, 429) => "TooManyRequests",
            (Service::Kubernetes | Service::Sandbox, 503) => "ServiceUnavailable",
            (Service::Kubernetes | Service::Sandbox, _) => "InternalError",
        };
        Reply::refusal_with(service, status, code, message)
    }

    /// A refusal worded as the service words its own; Cloudflare's codes are numbers.
    pub fn refusal_with(service: Service, status: u16, code: &str, message: &str) -> Reply {
        match service {
            Service::Cloudflare => {
                let number: u32 = code.parse().unwrap_or_default();
                Reply::json(status, &ApiError::new(status, number, message).envelope())
            }
            Service::Sts => {
                Reply::text(status, "text/xml", ssm::xml_error(code, message, "planned"))
            }
            Service::Ssm => {
                let content_type = "application/x-amz-json-1.1";
                let body = ssm::error_body(code, message).to_string();
                let mut reply = Reply::text(status, content_type, body);
                reply.headers.push(("x-amzn-errortype".to_owned(), code.to_owned()));
                reply
            }
            Service::Kubernetes | Service::Sandbox => {
                let body = json!({
                    "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                    "message": message, "reason": code, "code": status,
                });
                Reply::json(status, &body)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(method: &str, path: &str, query: &str, target: Option<&str>) -> Received {
        let mut headers = HeaderMap::new();
        if let Some(target) = target {
            headers.insert("x-amz-target", target.parse().unwrap());
        }
        Received::new(method, path, query, headers, Bytes::new())
    }

    #[test]
    fn requests_are_told_apart_and_what_they_change_is_known() {
        for (request, service, mutating) in [
            (received("GET", "/client/v4/zones", "", None), Service::Cloudflare, false),
            (received("PUT", "/client/v4/x", "", None), Service::Cloudflare, true),
            (received("POST", "/", "", Some("AmazonSSM.GetParameter")), Service::Ssm, false),
            (received("POST", "/", "", Some("AmazonSSM.PutParameter")), Service::Ssm, true),
            (received("POST", "/", "", Some("AmazonSSM.AddTagsToResource")), Service::Ssm, true),
            (received("GET", "/apis/apps/v1/deployments", "", None), Service::Kubernetes, false),
            (
                received("PATCH", "/api/v1/x", "dryRun=All&force=true", None),
                Service::Kubernetes,
                false,
            ),
            (received("PATCH", "/api/v1/x", "force=true", None), Service::Kubernetes, true),
            (
                received(
                    "POST",
                    "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
                    "",
                    None,
                ),
                Service::Kubernetes,
                false,
            ),
        ] {
            assert_eq!(request.service, service, "{}", request.path);
            assert_eq!(request.is_mutating(), mutating, "{} {}", request.method, request.path);
        }
    }

    #[test]
    fn forms_are_for_sts() {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", "application/x-www-form-urlencoded".parse().unwrap());
        let body = Bytes::from_static(b"Action=GetCallerIdentity&Version=2011-06-15");
        let request = Received::new("POST", "/", "", headers, body);
        assert_eq!(request.service, Service::Sts);
        assert_eq!(request.shown_path(), "GetCallerIdentity");
    }
}
