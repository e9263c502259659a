//! The sandbox's services in this process, answering in the forms that are asked for, and the
//! pipeline that runs against them out of files.

use std::sync::{Arc, Mutex};

use axum::response::Response;
use boxctl::config::{self, Disk, Inputs};
use boxctl::model::error::Level;
use boxctl::model::plan::{Options, StackPlan};
use boxctl::model::project::Project;
use boxctl::model::resource::Stack;
use boxctl::providers::{Apis, Retry, Settings};
use boxctl::run::look::Looked;
use boxctl::sandbox::cloudflare::{self, BASE};
use boxctl::sandbox::env::{Env, Ids};
use boxctl::sandbox::mangle::Mangler;
use boxctl::sandbox::ssm;
use boxctl::sandbox::world::{preset_aws, preset_cloudflare};
use serde_json::{Map, Value, json};

use super::rules::Forms;
use crate::pipeline::{Asked, Looker, Pipeline, TIMING};

/// The account of all worlds.
pub const ACCOUNT: &str = "0123456789abcdef0123456789abcdef";
/// The zones, as the project's file spells them; one is below another, one is Punycode.
pub const ZONES: [&str; 5] =
    ["b0xp.io", "sub.b0xp.io", "xn--bcher-kva.example", "a.test", "b.test"];
/// Tags of Access that are there.
pub const TAGS: [&str; 3] = ["alpha", "beta", "gamma"];
/// A virtual network beside the default one.
pub const NETWORK: &str = "office";
const REGION: &str = "ap-northeast-1";

/// What the services hold, and how they answer.
pub struct Served {
    pub cloudflare: cloudflare::State,
    pub ssm: ssm::State,
    env: Env,
    /// Forms that no table knows, for as long as the world is there.
    mangler: Option<Mangler>,
    /// Forms that the contract knows, anew in every answer.
    pub forms: Option<Forms>,
}

pub struct World {
    pub served: Arc<Mutex<Served>>,
    apis: Arc<Apis>,
    dir: tempfile::TempDir,
    pub pipeline: Pipeline,
}

impl Served {
    fn new(mangle: Option<u64>) -> Served {
        let mut env = Env::new(jiff::Timestamp::now(), Ids::random());
        let mut state = cloudflare::State::default();
        let zones = ZONES.map(str::to_owned);
        preset_cloudflare(&mut state, ACCOUNT, &zones, &mut env);
        let mut ssm = ssm::State::default();
        preset_aws(&mut ssm, &mut env);
        let mangler = mangle.map(Mangler::new);
        let mut served = Served { cloudflare: state, ssm, env, mangler, forms: None };
        for tag in TAGS {
            served.ask("POST", "/access/tags", &json!({"name": tag}));
        }
        served.ask("POST", "/teamnet/virtual_networks", &json!({"name": NETWORK}));
        served
    }

    /// A request by someone else, below the account.
    fn ask(&mut self, method: &str, path: &str, body: &Value) {
        let authorization = format!("Bearer {}", self.cloudflare.tokens[0].value);
        let body = body.to_string();
        let call = cloudflare::Call {
            method,
            path: &format!("{BASE}/accounts/{ACCOUNT}{path}"),
            query: &[],
            authorization: Some(&authorization),
            storage_class: None,
            body: body.as_bytes(),
        };
        let (status, answer) = cloudflare::handle(&mut self.cloudflare, &call, &mut self.env);
        assert!(status < 300, "{answer}");
    }

    /// Makes a parameter by hand.
    pub fn put_parameter(&mut self, input: &Map<String, Value>) {
        let key = format!("AWS4-HMAC-SHA256 Credential={}/d/{REGION}/ssm/x", self.ssm.keys[0].id);
        let body = json!(input).to_string();
        let call = ssm::Call {
            operation: "PutParameter",
            authorization: Some(&key),
            body: body.as_bytes(),
        };
        let answer = ssm::handle(&mut self.ssm, &call, &mut self.env);
        assert_eq!(answer.status, 200, "{}", answer.text);
    }

    fn answer(&mut self, parts: &http::request::Parts, body: &[u8]) -> Response {
        self.env.now = jiff::Timestamp::now();
        let header = |name: &str| parts.headers.get(name).and_then(|v| v.to_str().ok());
        let reply = http::Response::builder();
        if parts.uri.path().starts_with(BASE) {
            let query = parts.uri.query().unwrap_or_default().as_bytes();
            let query: Vec<_> = url::form_urlencoded::parse(query).into_owned().collect();
            let call = cloudflare::Call {
                method: parts.method.as_str(),
                path: parts.uri.path(),
                query: &query,
                authorization: header("authorization"),
                storage_class: header("cf-r2-storage-class"),
                body,
            };
            let (status, mut answer) =
                cloudflare::handle(&mut self.cloudflare, &call, &mut self.env);
            if let Some(forms) = &mut self.forms {
                forms.cloudflare(parts.uri.path(), &mut answer);
            }
            if let Some(mangler) = &mut self.mangler {
                answer = mangler.cloudflare(answer, false);
            }
            let reply = reply.status(status).header("content-type", "application/json");
            return reply.body(answer.to_string().into()).unwrap();
        }
        let target = header("x-amz-target").unwrap_or_default();
        let operation = target.strip_prefix(ssm::TARGET);
        let call = ssm::Call {
            operation: operation.unwrap_or("GetCallerIdentity"),
            authorization: header("authorization"),
            body,
        };
        let answer = match operation {
            Some(_) => ssm::handle(&mut self.ssm, &call, &mut self.env),
            None => ssm::handle_sts(&self.ssm, &call, &mut self.env),
        };
        let text = match answer.json {
            Some(mut body) => {
                if let Some(forms) = &mut self.forms {
                    forms.ssm(&mut body);
                }
                match &mut self.mangler {
                    Some(mangler) => mangler.ssm(body).to_string(),
                    None => body.to_string(),
                }
            }
            None => answer.text,
        };
        let reply = reply.status(answer.status).header("content-type", answer.content_type);
        reply.body(text.into()).unwrap()
    }
}

impl World {
    /// A world whose answers are in the forms of the seed, or in the sandbox's own.
    pub async fn new(mangle: Option<u64>) -> World {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let served = Arc::new(Mutex::new(Served::new(mangle)));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::clone(&served);
        let app = axum::Router::new().fallback(move |request: axum::extract::Request| {
            let shared = Arc::clone(&shared);
            async move {
                let (parts, body) = request.into_parts();
                let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
                shared.lock().unwrap().answer(&parts, &body)
            }
        });
        tokio::spawn(async move { axum::serve(listener, app).await });
        let apis = {
            let served = served.lock().unwrap();
            let key = &served.ssm.keys[0];
            let variable = |name: &str| match name {
                "CLOUDFLARE_BASE_URL" => Some(format!("{url}{BASE}")),
                "CLOUDFLARE_API_TOKEN" => Some(served.cloudflare.tokens[0].value.clone()),
                "AWS_ENDPOINT_URL" => Some(url.clone()),
                "AWS_REGION" => Some(REGION.to_owned()),
                "AWS_ACCESS_KEY_ID" => Some(key.id.clone()),
                "AWS_SECRET_ACCESS_KEY" => Some(key.secret.clone()),
                _ => None,
            };
            let settings = Settings::from_variables(variable, Retry::from(TIMING));
            Arc::new(Apis::new(settings))
        };
        let dir = tempfile::tempdir().unwrap();
        let project = json!({"project": "generated", "stacks": ["stack.yaml"],
            "cloudflare": {"account_id": ACCOUNT, "zones": ZONES}, "aws": {"region": REGION}});
        std::fs::write(dir.path().join("boxctl.yaml"), project.to_string()).unwrap();
        World { served, apis, dir, pipeline: Pipeline::new() }
    }

    /// Has the stack's file say these resources: JSON is YAML, too.
    pub fn write(&self, resources: &Map<String, Value>) {
        let stack = json!({"stack": "generated", "resources": resources});
        std::fs::write(self.dir.path().join("stack.yaml"), format!("{stack:#}")).unwrap();
    }

    /// One run out of the files, `adopt` being `--adopt`.
    pub async fn run(&mut self, carry_out: bool, adopt: bool) -> StackPlan {
        let loaded = config::load(self.dir.path(), &Disk, &Inputs::default());
        let loaded = loaded.unwrap_or_else(|reports| {
            let errors: Vec<_> = reports.iter().filter(|r| r.level == Level::Error).collect();
            panic!("{errors:#?}")
        });
        let options = Options {
            adopt,
            allow_protected: vec!["**".to_owned()],
            allow_public: vec!["**".to_owned()],
            allow_large: true,
            ..Options::default()
        };
        let stack = loaded.stacks.into_iter().next().unwrap();
        let asked = Asked {
            apis: &self.apis,
            project: &loaded.project,
            stack,
            secrets: loaded.secrets,
            options,
        };
        self.pipeline.run(asked, carry_out).await
    }

    /// Who looks for drift beside the runs, in a world that goes on.
    pub fn job(&self) -> Job {
        let (project, stack) = self.loaded();
        let (apis, looker) = (Arc::clone(&self.apis), self.pipeline.looker());
        Job { apis, looker, project, stack }
    }

    fn loaded(&self) -> (Project, Stack) {
        let loaded = config::load(self.dir.path(), &Disk, &Inputs::default()).ok().unwrap();
        (loaded.project, loaded.stacks.into_iter().next().unwrap())
    }

    /// How the services answer from now on.
    pub fn answer_in(&self, forms: Option<Forms>) -> Option<Forms> {
        std::mem::replace(&mut self.served.lock().unwrap().forms, forms)
    }
}

/// The drift job, with the files as they were when it was set up.
pub struct Job {
    apis: Arc<Apis>,
    looker: Looker,
    project: Project,
    stack: Stack,
}

impl Job {
    pub async fn look(&self) -> Looked {
        self.looker.look(&self.apis, &self.project, &self.stack).await
    }
}
