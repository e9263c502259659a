//! A proxy between boxctl and what it talks to that keeps what was said, and can answer in the
//! place of what is behind it.

use std::sync::{Arc, Mutex};

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use serde_json::Value;

/// One request and its answer.
#[derive(Debug, Clone)]
pub struct Exchange {
    pub method: String,
    /// Without the base path of the API.
    pub path: String,
    pub query: Vec<(String, String)>,
    pub sent: Option<Value>,
    pub status: u16,
    pub answer: Value,
}

/// A request as it came.
pub struct Asked<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub query: &'a str,
    /// All headers, `name: value` in lines.
    pub headers: &'a str,
    pub body: &'a str,
}

/// What is answered instead: status, headers, body.
pub type Answer = (u16, Vec<(String, String)>, String);

/// None: what is behind it answers.
type Instead = dyn Fn(&Asked<'_>) -> Option<Answer> + Send + Sync;

struct Shared {
    behind: String,
    http: reqwest::Client,
    heard: Mutex<Vec<Exchange>>,
    instead: Box<Instead>,
}

pub struct Recorder {
    url: String,
    shared: Arc<Shared>,
    /// Ends the server with it.
    _runtime: tokio::runtime::Runtime,
}

const LIMIT: usize = 64 << 20;

async fn pass(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let sent = to_bytes(body, LIMIT).await.unwrap();
    let text = String::from_utf8_lossy(&sent).into_owned();
    let method = parts.method.to_string();
    let headers: Vec<String> = parts
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap_or_default()))
        .collect();
    let instead = (shared.instead)(&Asked {
        method: &method,
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or_default(),
        headers: &headers.join("\n"),
        body: &text,
    });
    let (status, headers, answer) = match instead {
        Some(answer) => answer,
        None => {
            let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
            let mut request =
                shared.http.request(parts.method.clone(), format!("{}{path}", shared.behind));
            for (name, value) in &parts.headers {
                if name != "host" && name != "content-length" {
                    request = request.header(name, value);
                }
            }
            let response = request.body(sent.to_vec()).send().await.unwrap();
            let status = response.status().as_u16();
            let headers = response.headers().iter().filter(|(name, _)| {
                !["content-length", "transfer-encoding", "connection"].contains(&name.as_str())
            });
            let headers = headers
                .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
                .collect();
            (status, headers, response.text().await.unwrap())
        }
    };
    let query = parts.uri.query().unwrap_or_default();
    shared.heard.lock().unwrap().push(Exchange {
        method,
        path: parts.uri.path().trim_start_matches("/client/v4").to_owned(),
        query: url::form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
        sent: serde_json::from_str(&text).ok(),
        status,
        answer: serde_json::from_str(&answer).unwrap_or_default(),
    });
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    response.body(Body::from(answer)).unwrap()
}

impl Recorder {
    /// In front of a server.
    pub fn before(behind: &str) -> Recorder {
        Recorder::instead(behind, |_| None)
    }

    /// In front of a server some of whose answers are replaced.
    pub fn instead(
        behind: &str,
        instead: impl Fn(&Asked<'_>) -> Option<Answer> + Send + Sync + 'static,
    ) -> Recorder {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let origin = url::Url::parse(behind).unwrap();
        let shared = Arc::new(Shared {
            behind: origin.origin().ascii_serialization(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            heard: Mutex::default(),
            instead: Box::new(instead),
        });
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}{}", listener.local_addr().unwrap(), origin.path());
        let app = axum::Router::new().fallback(pass).with_state(Arc::clone(&shared));
        runtime.spawn(async move { axum::serve(listener, app).await });
        Recorder { url: url.trim_end_matches('/').to_owned(), shared, _runtime: runtime }
    }

    /// What stands in the place of the server's own URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What was said so far.
    pub fn heard(&self) -> Vec<Exchange> {
        self.shared.heard.lock().unwrap().clone()
    }
}
