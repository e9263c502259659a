//! A cluster that is served from this process, and the pipeline that runs against it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use boxctl::model::plan::{Options, StackPlan};
use boxctl::model::project::{Keeping, Project};
use boxctl::model::resource::{Resource, Stack};
use boxctl::model::secret::Secrets;
use boxctl::providers::cluster::Cluster as Api;
use boxctl::providers::{Apis, Retry, Settings};
use boxctl::run::look::Looked;
use boxctl::sandbox::kubernetes::{Cluster, Outside as Beside, Request};
use boxctl::sandbox::mangle::Mangler;
use serde_json::{Value, json};

use super::files::{NAMESPACE, definition};
use crate::pipeline::{Asked, Looker, Pipeline, TIMING};

pub struct World {
    pub cluster: Arc<Mutex<Cluster>>,
    /// One for all runs: each client of its own costs more than a run.
    apis: Arc<Apis>,
    /// Read when the first request is sent.
    _kubeconfig: tempfile::NamedTempFile,
    pub pipeline: Pipeline,
    /// Whether what is there and identical is taken over.
    pub adopts: bool,
}

fn handled(cluster: &Mutex<Cluster>, request: &Request<'_>) -> (u16, String, Vec<u8>) {
    let now = jiff::Timestamp::now();
    let mut cluster = cluster.lock().unwrap();
    let answer = cluster.handle(request, now);
    if request.method != "GET" {
        cluster.reconcile(&Beside::default(), now);
    }
    (answer.status, answer.content_type.to_owned(), answer.body)
}

impl World {
    pub async fn new(mangle: Option<u64>) -> World {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let cluster = Arc::new(Mutex::new(Cluster::new(jiff::Timestamp::now())));
        let mangler = Arc::new(Mutex::new(mangle.map(Mangler::new)));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (shared, mangled) = (Arc::clone(&cluster), Arc::clone(&mangler));
        let app = axum::Router::new().fallback(move |request: axum::extract::Request| {
            let (shared, mangled) = (Arc::clone(&shared), Arc::clone(&mangled));
            async move {
                let (parts, body) = request.into_parts();
                let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
                let header = |name: &str| parts.headers.get(name).and_then(|v| v.to_str().ok());
                let query = parts.uri.query().unwrap_or_default().as_bytes();
                let (status, kind, mut body) = handled(
                    &shared,
                    &Request {
                        method: parts.method.as_str(),
                        path: parts.uri.path(),
                        query: url::form_urlencoded::parse(query).into_owned().collect(),
                        content_type: header("content-type"),
                        accept: header("accept"),
                        user_agent: header("user-agent"),
                        authorization: None,
                        body: &body,
                    },
                );
                if let Some(mangler) = mangled.lock().unwrap().as_mut()
                    && let Ok(plain) = serde_json::from_slice(&body)
                {
                    body = mangler.kubernetes(plain).to_string().into_bytes();
                }
                http::Response::builder()
                    .status(status)
                    .header("content-type", kind)
                    .body(axum::body::Body::from(body))
                    .unwrap()
            }
        });
        tokio::spawn(async move { axum::serve(listener, app).await });
        let kubeconfig = tempfile::NamedTempFile::new().unwrap();
        let text = json!({"apiVersion": "v1", "kind": "Config", "current-context": "x",
            "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
            "users": [{"name": "x", "user": {}}],
            "clusters": [{"name": "x", "cluster": {"server": format!("http://{address}")}}]});
        std::fs::write(kubeconfig.path(), text.to_string()).unwrap();
        let retry = Retry::from(TIMING);
        let api = Api::new(None, Some(kubeconfig.path().to_path_buf()), retry.clone());
        let settings = Settings::from_variables(|_| None, retry);
        let apis = Arc::new(Apis::new(settings).with_kubernetes(Arc::new(api)));
        let world = World {
            cluster,
            apis,
            _kubeconfig: kubeconfig,
            pipeline: Pipeline::new(),
            adopts: false,
        };
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
        world.ask("POST", "/api/v1/namespaces", "", "application/json", &namespace).unwrap();
        let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        world.ask("POST", path, "", "application/json", &definition()).unwrap();
        world
    }

    /// A request by someone else; the refusal's text where it is refused.
    pub fn ask(
        &self,
        method: &str,
        path: &str,
        query: &str,
        kind: &str,
        body: &Value,
    ) -> Result<Value, String> {
        let body = body.to_string();
        let (status, _, body) = handled(
            &self.cluster,
            &Request {
                method,
                path,
                query: url::form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
                content_type: Some(kind),
                accept: None,
                user_agent: None,
                authorization: None,
                body: body.as_bytes(),
            },
        );
        if status < 300 {
            return Ok(serde_json::from_slice(&body).unwrap());
        }
        Err(String::from_utf8_lossy(&body).into_owned())
    }

    pub fn get(&self, path: &str) -> Option<Value> {
        self.ask("GET", path, "", "application/json", &Value::Null).ok()
    }

    /// One run: the plan, and, where nothing refuses it and it is to be, what came of it.
    pub async fn run(&mut self, resources: &[Resource], carry_out: bool) -> StackPlan {
        let project = project();
        let stack = stack(resources);
        let options = Options {
            adopt: self.adopts,
            allow_protected: vec!["**".to_owned()],
            allow_large: true,
            ..Options::default()
        };
        let secrets = Secrets::new();
        let asked = Asked { apis: &self.apis, project: &project, stack, secrets, options };
        self.pipeline.run(asked, carry_out).await
    }

    /// Who looks for drift of these objects beside the runs.
    pub fn job(&self, resources: &[Resource]) -> Job {
        let (apis, looker) = (Arc::clone(&self.apis), self.pipeline.looker());
        Job { apis, looker, stack: stack(resources) }
    }
}

/// The drift job.
pub struct Job {
    apis: Arc<Apis>,
    looker: Looker,
    stack: Stack,
}

impl Job {
    pub async fn look(&self) -> Looked {
        self.looker.look(&self.apis, &project(), &self.stack).await
    }
}

fn stack(resources: &[Resource]) -> Stack {
    Stack { name: "edits".into(), resources: resources.to_vec(), ..Stack::default() }
}

fn project() -> Project {
    Project {
        dir: ".".into(),
        name: "edits".into(),
        stacks: Vec::new(),
        cloudflare: None,
        aws_region: None,
        kubernetes_context: None,
        namespace: None,
        keeping: Keeping::local("state"),
        values: BTreeMap::new(),
        retired: Vec::new(),
        destroy_limit_percent: 100,
        connector: None,
        notify: boxctl::model::notify::Notify::default(),
        timing: TIMING,
    }
}
