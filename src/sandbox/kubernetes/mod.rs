//! The Kubernetes API of the sandbox: an honest model of a 1.36 API server with the controllers
//! that matter to boxctl, held to recordings of a real one.

mod access;
mod autoscalers;
mod columns;
mod connectors;
mod controllers;
mod crd;
mod defaults;
mod delete;
mod discovery;
mod events;
pub mod merge;
mod normalise;
mod openapi;
mod presets;
mod protobuf;
mod quantities;
mod quota;
mod read;
mod request;
mod resources;
mod reviews;
mod rules;
mod status;
mod store;
mod strategic;
mod subresources;
mod table;
mod validate;
mod value;
mod watch;
mod write;

#[cfg(test)]
mod behaviour;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod robustness;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use request::{Options, Route, accepted};
use status::Failure;
use store::Store;

pub use watch::Watch;

/// One request as the server received it.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// HTTP method, upper case.
    pub method: &'a str,
    /// Path without the query.
    pub path: &'a str,
    /// Query parameters, decoded.
    pub query: Vec<(String, String)>,
    /// Content-Type header.
    pub content_type: Option<&'a str>,
    /// Accept header.
    pub accept: Option<&'a str>,
    /// User-Agent header: what stands before the slash is the default field manager.
    pub user_agent: Option<&'a str>,
    /// Authorization header: `Bearer sandbox-admin…` may do everything, `Bearer sandbox-read…`
    /// only get, list and watch; without one everything, as on an insecure port.
    pub authorization: Option<&'a str>,
    /// The body.
    pub body: &'a [u8],
}

/// The answer to a request.
#[derive(Debug, Clone)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// Content-Type header.
    pub content_type: String,
    /// Other headers (`Warning`).
    pub headers: Vec<(String, String)>,
    /// The body, of a watch its beginning.
    pub body: Vec<u8>,
    /// How a watch goes on.
    pub watch: Option<Box<Watch>>,
}

impl Response {
    fn json(status: u16, body: &Value) -> Self {
        let mut bytes = body.to_string().into_bytes();
        bytes.push(b'\n');
        Self {
            status,
            content_type: "application/json".to_owned(),
            headers: Vec::new(),
            body: bytes,
            watch: None,
        }
    }

    fn plain(body: &str) -> Self {
        Self {
            status: 200,
            content_type: "text/plain; charset=utf-8".to_owned(),
            headers: Vec::new(),
            body: body.as_bytes().to_vec(),
            watch: None,
        }
    }

    fn warn<'a>(&mut self, warnings: impl IntoIterator<Item = &'a String>) {
        for warning in warnings {
            let header = format!("299 - {}", json!(warning));
            self.headers.push(("warning".to_owned(), header));
        }
    }
}

/// What a cluster holds beyond what every cluster has.
#[derive(Debug, Clone, Default)]
pub struct Preset {
    /// Names of ClusterSecretStores, made ready.
    pub secret_stores: Vec<String>,
    /// Names of nodes, made ready.
    pub nodes: Vec<String>,
}

/// What the controllers get from outside the cluster.
#[derive(Debug, Clone, Default)]
pub struct Outside {
    /// Decrypted values of the parameters that exist, of those wanted.
    pub parameters: BTreeMap<String, String>,
}

/// One running cloudflared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connector {
    /// The pod it runs in.
    pub pod_uid: String,
    /// The tunnel token that it started with.
    pub token: String,
    /// How many connections it holds, by the pod's annotation `sandbox.boxctl/connections`; all of
    /// them where that says nothing.
    pub connections: Option<usize>,
}

/// A cluster: its objects, its API and its controllers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Cluster {
    store: Store,
    /// Tokens with which running pods started, by pod uid.
    #[serde(default)]
    started: BTreeMap<String, String>,
    /// What kubelets remember, by pod uid.
    #[serde(default)]
    runs: BTreeMap<String, controllers::Run>,
    /// Key of the event that says a thing of an object, by both.
    #[serde(default)]
    told: BTreeMap<String, String>,
    /// How long containers take to be ready.
    #[serde(default)]
    ready_after: SignedDuration,
    /// What mutating webhooks do to objects that are made or changed.
    #[serde(skip)]
    mutations: Vec<fn(&mut Value)>,
}

impl Cluster {
    /// A bare cluster: built-in kinds and the namespaces that every cluster has.
    pub fn new(now: Timestamp) -> Self {
        let mut cluster = Self {
            store: Store::default(),
            started: BTreeMap::new(),
            runs: BTreeMap::new(),
            told: BTreeMap::new(),
            ready_after: SignedDuration::ZERO,
            mutations: Vec::new(),
        };
        for name in ["default", "kube-node-lease", "kube-public", "kube-system"] {
            let namespace = json!({
                "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name},
            });
            cluster.put_as("kube-apiserver", &namespace, now);
        }
        let service = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "kubernetes", "namespace": "default",
                "labels": {"component": "apiserver", "provider": "kubernetes"}},
            "spec": {"clusterIP": "10.96.0.1",
                "ports": [{"name": "https", "port": 443, "targetPort": 6443}]},
        });
        cluster.put_as("kube-apiserver", &service, now);
        cluster
    }

    /// What has changed for a watch since it was last asked.
    pub fn follow(&self, watch: &mut Watch, now: Timestamp) -> Vec<u8> {
        watch.follow(&self.store, now)
    }

    /// The revision of the last write.
    pub fn revision(&self) -> u64 {
        self.store.revision()
    }

    /// Lets containers take this long to be ready from now on.
    pub fn set_ready_after(&mut self, delay: SignedDuration) {
        self.ready_after = delay;
    }

    /// Answers one request.
    pub fn handle(&mut self, request: &Request<'_>, now: Timestamp) -> Response {
        self.answer(request, now).unwrap_or_else(|failure| failure.response())
    }

    fn answer(&mut self, request: &Request<'_>, now: Timestamp) -> Result<Response, Failure> {
        if let Some(response) = discovery::open(request.path) {
            return Ok(response);
        }
        let identity = access::identity(request.authorization)?;
        if let Some(response) = discovery::answer(&self.store, request)? {
            return Ok(response);
        }
        let route = Route::find(&self.store, request.path)?;
        if reviews::is_review(&route.resource) {
            return reviews::answer(identity, request, &route);
        }
        let options = Options::read(request)?;
        access::check(identity, request, &route, &options)?;
        let collection = route.name.is_empty();
        self.check_verb(request.method, &route)?;
        if let Some(response) = self.subresource(request, &route, &options, now)? {
            return Ok(response);
        }
        // Over all namespaces one can only read.
        let everywhere = route.resource.namespaced && route.namespace.is_empty();
        if everywhere && !matches!(request.method, "GET" | "HEAD") {
            return Err(Failure::method_not_allowed());
        }
        match request.method {
            "GET" | "HEAD" => {
                let form = accepted(request.accept)?;
                let mut response = if collection || options.watch {
                    read::list(&self.store, &route, &options, form, now)?
                } else if route.subresource == "scale" {
                    let stored = route.stored(&self.store).ok_or_else(|| route.not_found())?;
                    Response::json(200, &write::scale_of(&route.resource, stored))
                } else {
                    read::get(&self.store, &route, form, now)?
                };
                let custom = route.resource.custom.as_ref();
                response.warn(custom.and_then(|c| c.deprecation.as_ref()));
                Ok(response)
            }
            "DELETE" if collection => self.delete_collection(request, &route, &options, now),
            "DELETE" if route.subresource.is_empty() => self.delete(request, &route, &options, now),
            "POST" | "PUT" | "PATCH" => self.write(request, &route, &options, now),
            _ => Err(Failure::method_not_allowed()),
        }
    }

    /// Refuses verbs that a kind or a subresource does not have.
    fn check_verb(&self, method: &str, route: &Route) -> Result<(), Failure> {
        let wanted: &[&str] = match method {
            "GET" | "HEAD" => &["get", "list"],
            "POST" => &["create"],
            "PUT" => &["update"],
            "PATCH" => &["patch"],
            "DELETE" if route.name.is_empty() => &["deletecollection"],
            "DELETE" => &["delete"],
            _ => &[],
        };
        let verbs = match route.subresource.as_str() {
            "" => route.resource.verbs(),
            name => route.resource.subresource(name).3,
        };
        let known = verbs.iter().any(|verb| wanted.contains(verb));
        if known { Ok(()) } else { Err(Failure::method_not_allowed()) }
    }

    /// Every stored object but events, which tell what was, sorted by kind, namespace and name.
    pub fn dump(&self) -> Value {
        let is_state = |object: &&Value| value::text(object, "/kind") != "Event";
        let mut objects: Vec<&Value> =
            self.store.all().map(|(_, object)| object).filter(is_state).collect();
        let order = |o: &Value| {
            ["/kind", "/metadata/namespace", "/metadata/name", "/apiVersion"]
                .map(|pointer| value::text(o, pointer).to_owned())
        };
        objects.sort_by_key(|object| order(object));
        Value::Array(objects.into_iter().cloned().collect())
    }
}

/// A time as the API writes it: whole seconds.
fn rfc3339(time: Timestamp) -> String {
    Timestamp::from_second(time.as_second()).unwrap_or(time).to_string()
}

/// Letters of generated names: no vowels, nothing that looks like something else.
const SAFE: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

fn safe_letter(byte: u8) -> char {
    char::from(SAFE.get(usize::from(byte) % SAFE.len()).copied().unwrap_or(b'x'))
}

/// Five letters out of an identifier.
fn generated_suffix(uid: &str) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(uid.as_bytes()).iter().take(5).map(|b| safe_letter(*b)).collect()
}
