//! One request to an API as a value, and what came back.

use serde::{Deserialize, Serialize};

use super::{Json, JsonMap};

/// The API that a call goes to.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Service {
    /// The Cloudflare v4 API.
    Cloudflare,
    /// AWS SSM; STS GetCallerIdentity is counted with it.
    Ssm,
    /// A Kubernetes API server.
    Kubernetes,
}

impl Service {
    /// The name as a person reads it.
    pub fn title(self) -> &'static str {
        match self {
            Service::Cloudflare => "Cloudflare",
            Service::Ssm => "SSM",
            Service::Kubernetes => "Kubernetes",
        }
    }
}

/// HTTP methods that the APIs use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// Reads.
    Get,
    /// Creates, or calls an operation.
    Post,
    /// Replaces.
    Put,
    /// Changes parts.
    Patch,
    /// Deletes.
    Delete,
}

impl Method {
    /// The method's name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        }
    }
}

/// One call, described: nothing has been sent. Secrets in the body are references.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Where it goes.
    pub service: Service,
    /// The HTTP method; POST for operations of SSM.
    pub method: Method,
    /// The path below the API's base (`/zones/…/dns_records`, `/apis/apps/v1/…`), or SSM's
    /// operation (`PutParameter`), or `sts:GetCallerIdentity`.
    pub path: String,
    /// Query parameters, not encoded.
    pub query: Vec<(String, String)>,
    /// The content type, where it is not JSON.
    pub content_type: Option<&'static str>,
    /// What the answer should be like, where that is not JSON.
    pub accept: Option<&'static str>,
    /// The body, secrets as references.
    pub body: Option<Json>,
    /// Whether it changes anything. A dry-run does not.
    pub mutating: bool,
    /// What finds the object of a create again: fields of the body that name it.
    pub key: JsonMap,
    /// HTTP statuses of refusals that the kind wants to see as answers.
    pub tolerate: Vec<u16>,
    /// What is being done, to be read after "while": `creating the tunnel`.
    pub purpose: String,
    /// How long it may be sent again, in milliseconds: what is left of its step's time. None: as
    /// long as a whole step may take.
    #[serde(skip)]
    pub within_ms: Option<u64>,
}

impl Call {
    /// A call that only reads.
    pub fn get(service: Service, path: impl Into<String>) -> Self {
        Call {
            service,
            method: Method::Get,
            path: path.into(),
            query: Vec::new(),
            content_type: None,
            accept: None,
            body: None,
            mutating: false,
            key: JsonMap::new(),
            tolerate: Vec::new(),
            purpose: String::new(),
            within_ms: None,
        }
    }

    /// A call that changes something.
    pub fn change(service: Service, method: Method, path: impl Into<String>) -> Self {
        Call { method, mutating: true, ..Call::get(service, path) }
    }

    /// An operation of SSM; only reading unless [`Call::mutating`] is set.
    pub fn operation(operation: &str, input: Json) -> Self {
        Call { method: Method::Post, body: Some(input), ..Call::get(Service::Ssm, operation) }
    }

    /// The same call with one more query parameter.
    #[must_use]
    pub fn query(mut self, name: &str, value: impl Into<String>) -> Self {
        self.query.push((name.to_owned(), value.into()));
        self
    }

    /// The same call with a body.
    #[must_use]
    pub fn body(mut self, body: Json) -> Self {
        self.body = Some(body);
        self
    }

    /// The same call with a purpose.
    #[must_use]
    pub fn purpose(mut self, purpose: impl Into<String>) -> Self {
        self.purpose = purpose.into();
        self
    }

    /// The same call, which sees these statuses as answers.
    #[must_use]
    pub fn tolerate(mut self, statuses: &[u16]) -> Self {
        self.tolerate = statuses.to_vec();
        self
    }

    /// The same call with the natural key of what it creates.
    #[must_use]
    pub fn key(mut self, key: JsonMap) -> Self {
        self.key = key;
        self
    }
}

/// How the items of a collection are put over several answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paging {
    /// No parameters of pages; where an answer has a cursor, what follows it. The items are where the
    /// provider's envelope has them.
    One,
    /// Cloudflare: `page` and `per_page` (the number given) until a page is short, or by cursor
    /// where an answer has one.
    Pages(u32),
    /// Cloudflare: by cursor, and no more than so many answers, of a list that begins with what is
    /// newest.
    Newest(u32),
    /// SSM: `NextToken`; Kubernetes: `continue`.
    Token,
}

/// A collection to be read: equal listings of a run are read once.
#[derive(Clone, Debug, PartialEq)]
pub struct Listing {
    /// The call for the first page, without paging parameters.
    pub call: Call,
    /// How it goes on.
    pub paging: Paging,
}

/// Query parameters that leave out items of a collection.
pub type Filter = Vec<(String, String)>;

impl Listing {
    /// Whether two listings read the same, whatever they are read for.
    pub fn is_same(&self, other: &Listing) -> bool {
        let (a, b) = (&self.call, &other.call);
        self.paging == other.paging
            && a.path == b.path
            && a.body == b.body
            && a.query == b.query
            && (a.service, a.method, a.accept) == (b.service, b.method, b.accept)
    }

    /// What a filter leaves of it.
    #[must_use]
    pub fn narrowed(&self, filter: &[(String, String)]) -> Listing {
        let mut listing = self.clone();
        listing.call.query.extend_from_slice(filter);
        listing
    }
}

/// What an API answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body, out of its envelope: Cloudflare's `result`, SSM's output, the Kubernetes object.
    /// For a tolerated refusal: `{"code", "reason", "message", "causes": [{"field", "message"}]}`.
    pub body: Json,
    /// Warnings that came with it.
    pub warnings: Vec<String>,
}

impl Answer {
    /// Whether the call was carried out.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}
