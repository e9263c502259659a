//! Where the states of several machines are in these tests: buckets of moto's S3, and namespaces of
//! a sandbox's Kubernetes. Neither was made for boxctl's store.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::prelude::*;
use serde_json::{Value, json};

use crate::between::{Asked, Between};
use crate::lab::Lab;
use crate::moto::Moto;
use crate::tools::is_there;

/// The project of the labs.
pub const PROJECT: &str = "lolice";

/// What the keys in a bucket begin with.
const PREFIX: &str = "team/";

/// What keeps the states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Bucket,
    Cluster,
}

enum Server {
    Moto(Moto),
    Sandbox(Box<Lab>),
}

/// A server with a place for the states of each test.
pub struct Home {
    pub kind: Kind,
    server: Server,
    http: reqwest::Client,
    runtime: tokio::runtime::Runtime,
    /// What moto looks at and what it writes is not one step, as it is in S3.
    writing: Arc<tokio::sync::Mutex<()>>,
    places: AtomicUsize,
}

impl Home {
    /// Starts one; None where there is no moto.
    pub fn start(kind: Kind) -> Option<Home> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let server = match kind {
            Kind::Bucket if !is_there("moto_server", &["--help"]) => return None,
            Kind::Bucket => Server::Moto(Moto::start()),
            Kind::Cluster => Server::Sandbox(Box::new(Lab::own("openhands"))),
        };
        Some(Home {
            kind,
            server,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            runtime: tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()
                .unwrap(),
            writing: Arc::default(),
            places: AtomicUsize::new(0),
        })
    }

    /// Where it answers.
    pub fn url(&self) -> String {
        match &self.server {
            Server::Moto(moto) => moto.url.clone(),
            Server::Sandbox(lab) => {
                let url = lab.variable("CLOUDFLARE_BASE_URL");
                url.trim_end_matches("/client/v4").to_owned()
            }
        }
    }

    /// The sandbox, where that is what keeps the states.
    pub fn lab(&self) -> Option<&Lab> {
        match &self.server {
            Server::Moto(_) => None,
            Server::Sandbox(lab) => Some(lab),
        }
    }

    /// A proxy before it.
    pub fn between(&self) -> Between {
        Between::before(&self.url(), &self.writing)
    }

    /// A new bucket, or a new namespace.
    pub fn place(&self) -> String {
        let place = format!("states-{}", self.places.fetch_add(1, Ordering::SeqCst));
        match self.kind {
            Kind::Bucket => self.ask("PUT", &format!("/{place}"), None),
            Kind::Cluster => {
                let body = json!({"apiVersion": "v1", "kind": "Namespace",
                    "metadata": {"name": place}});
                self.ask("POST", "/api/v1/namespaces", Some(body.to_string()))
            }
        };
        place
    }

    /// Keeps every version of what is in a bucket.
    pub fn version(&self, bucket: &str) {
        let on = "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
                  <Status>Enabled</Status></VersioningConfiguration>";
        self.ask("PUT", &format!("/{bucket}?versioning"), Some(on.to_owned()));
    }

    /// Has moto hold requests to the policies of who asks.
    pub fn enforce_policies(&self) {
        self.ask("POST", "/moto-api/reset-auth", Some("0".to_owned()));
    }

    /// A new place with what is in another.
    pub fn copy(&self, from: &str) -> String {
        let to = self.place();
        match self.kind {
            Kind::Bucket => {
                for key in self.keys(from) {
                    let text = self.ask("GET", &format!("/{from}/{key}"), None);
                    self.ask("PUT", &format!("/{to}/{key}"), Some(text));
                }
            }
            Kind::Cluster => {
                for kind in ["/api/v1#secrets", "/apis/coordination.k8s.io/v1#leases"] {
                    let path = |place: &str| kind.replace('#', &format!("/namespaces/{place}/"));
                    for mut object in self.objects(&path(from)) {
                        let kept = object["metadata"].clone();
                        object["metadata"] = json!({"name": kept["name"],
                            "labels": kept["labels"], "annotations": kept["annotations"]});
                        self.ask("POST", &path(&to), Some(object.to_string()));
                    }
                }
            }
        }
        to
    }

    /// What the store has in a place, by its own names, without the lines that say which write made
    /// them.
    pub fn documents(&self, place: &str) -> BTreeMap<String, String> {
        let kept: Vec<(String, Vec<u8>)> = match self.kind {
            Kind::Bucket => self
                .keys(place)
                .into_iter()
                .map(|key| {
                    let text = self.ask("GET", &format!("/{place}/{key}"), None);
                    (key.strip_prefix(PREFIX).unwrap().to_owned(), text.into_bytes())
                })
                .collect(),
            Kind::Cluster => {
                self.objects(&format!("/api/v1/namespaces/{place}/secrets"))
                    .iter()
                    .chain(&self.objects(&format!(
                        "/apis/coordination.k8s.io/v1/namespaces/{place}/leases"
                    )))
                    .map(unpacked)
                    .collect()
            }
        };
        kept.into_iter().map(|(name, content)| (name, less_head(&content))).collect()
    }

    /// An operation of moto's IAM.
    pub fn iam(&self, input: &[(&str, &str)]) -> String {
        let body =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(input).finish();
        // By this moto knows the service.
        let who = "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/iam/aws4_request, \
                   SignedHeaders=host, Signature=x";
        let request = self
            .http
            .post(self.url())
            .header("authorization", who)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body);
        self.runtime.block_on(async {
            let response = request.send().await.unwrap();
            let status = response.status();
            let text = response.text().await.unwrap();
            assert!(status.is_success(), "{status} {text}");
            text
        })
    }

    fn keys(&self, bucket: &str) -> Vec<String> {
        let list = self.ask("GET", &format!("/{bucket}?list-type=2"), None);
        let parts = list.split("<Key>").skip(1);
        parts.map(|part| part.split_once("</Key>").unwrap().0.to_owned()).collect()
    }

    fn objects(&self, path: &str) -> Vec<Value> {
        let list: Value = serde_json::from_str(&self.ask("GET", path, None)).unwrap();
        let ours = |item: &&Value| item["metadata"]["annotations"]["boxctl/name"].is_string();
        list["items"].as_array().unwrap().iter().filter(ours).cloned().collect()
    }

    fn ask(&self, method: &str, path: &str, body: Option<String>) -> String {
        let url = format!("{}{path}", self.url());
        // moto looks whether anyone asks at all.
        let who = "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/s3/aws4_request, \
                   SignedHeaders=host, Signature=x";
        let mut request = self.http.request(method.parse().unwrap(), url);
        if self.kind == Kind::Bucket {
            request = request.header("authorization", who);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        let (status, text) = self.runtime.block_on(async {
            let response = request.send().await.unwrap();
            (response.status().as_u16(), response.text().await.unwrap())
        });
        assert!(status < 300, "{method} {path}: {status} {text}");
        text
    }

    /// The `state:` of a project whose states are in a place, reached through a proxy. The context
    /// is the one of [`kubeconfig`].
    pub fn setting(&self, place: &str, url: &str) -> String {
        match self.kind {
            Kind::Bucket => format!(
                "state: {{backend: s3, bucket: {place}, prefix: team, region: us-east-1, \
                 endpoint: '{url}'}}"
            ),
            Kind::Cluster => {
                format!("state: {{backend: kubernetes, namespace: {place}, context: states}}")
            }
        }
    }
}

/// A kubeconfig with one context, `states`.
pub fn kubeconfig(url: &str) -> String {
    format!(
        "apiVersion: v1
kind: Config
clusters: [{{name: states, cluster: {{server: '{url}'}}}}]
users: [{{name: states, user: {{}}}}]
contexts: [{{name: states, context: {{cluster: states, user: states}}}}]
current-context: states
"
    )
}

/// Name and content of an object of a cluster.
fn unpacked(object: &Value) -> (String, Vec<u8>) {
    let annotations = &object["metadata"]["annotations"];
    let name = annotations["boxctl/name"].as_str().unwrap().to_owned();
    if let Some(text) = annotations["boxctl/content"].as_str() {
        return (name, text.as_bytes().to_vec());
    }
    let packed = object["data"]["content.gz"].as_str().unwrap();
    let packed = BASE64_STANDARD.decode(packed).unwrap();
    let mut content = Vec::new();
    flate2::read::GzDecoder::new(packed.as_slice()).read_to_end(&mut content).unwrap();
    (name, content)
}

fn less_head(content: &[u8]) -> String {
    let text = String::from_utf8_lossy(content);
    let (head, rest) = text.split_once('\n').unwrap_or_default();
    assert!(head.contains("\"nonce\""), "{head}");
    rest.to_owned()
}

/// Name and content of what a request writes; None for any other.
pub fn written(asked: &Asked) -> Option<(String, String)> {
    if !["PUT", "POST"].contains(&asked.method.as_str()) {
        return None;
    }
    if let Ok(object) = serde_json::from_slice::<Value>(&asked.body)
        && object["metadata"]["annotations"]["boxctl/name"].is_string()
    {
        let (name, content) = unpacked(&object);
        return Some((name, less_head(&content)));
    }
    let path = asked.path.split_once('?').map_or(asked.path.as_str(), |(path, _)| path);
    let (_, key) = path.trim_start_matches('/').split_once('/')?;
    Some((key.strip_prefix(PREFIX)?.to_owned(), less_head(&asked.body)))
}
