//! A proxy between boxctl and the store of its states, that cuts connections and does what a test
//! wants before a request arrives, or before its answer does.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A request on its way; a test may change it.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    /// With its query.
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Asked {
    pub fn is_write(&self) -> bool {
        self.method != "GET" && self.method != "HEAD"
    }
}

/// What becomes of a request or an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It goes on.
    Pass,
    /// Its connection is cut.
    Cut,
}

type Before = dyn Fn(&mut Asked) -> Fate + Send + Sync;
type After = dyn Fn(&Asked, u16) -> Fate + Send + Sync;

/// What is done with the requests.
#[derive(Clone)]
struct Hooks {
    before: Arc<Before>,
    after: Arc<After>,
}

struct Shared {
    behind: String,
    http: reqwest::Client,
    hooks: Mutex<Hooks>,
    /// One write at a time: a store of a single process need not look and write at once.
    writing: Arc<tokio::sync::Mutex<()>>,
}

/// The proxy; it ends with this.
pub struct Between {
    url: String,
    shared: Arc<Shared>,
    _runtime: tokio::runtime::Runtime,
}

impl Between {
    /// A proxy that lets everything pass. `writing` is shared by all that stand before one server.
    pub fn before(behind: &str, writing: &Arc<tokio::sync::Mutex<()>>) -> Between {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let origin = url::Url::parse(behind).unwrap();
        let hooks = Hooks { before: Arc::new(|_| Fate::Pass), after: Arc::new(|_, _| Fate::Pass) };
        let shared = Arc::new(Shared {
            behind: origin.origin().ascii_serialization(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            hooks: Mutex::new(hooks),
            writing: Arc::clone(writing),
        });
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let served = Arc::clone(&shared);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&served);
                tokio::spawn(async move { serve(stream, &shared).await });
            }
        });
        Between { url, shared, _runtime: runtime }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Does this from now on: `before` sees requests before they arrive, `after` before their
    /// answers do, with the status.
    pub fn hook(
        &self,
        before: impl Fn(&mut Asked) -> Fate + Send + Sync + 'static,
        after: impl Fn(&Asked, u16) -> Fate + Send + Sync + 'static,
    ) {
        let hooks = Hooks { before: Arc::new(before), after: Arc::new(after) };
        *self.shared.hooks.lock().unwrap() = hooks;
    }
}

/// Serves one connection, until either side ends it or it is cut.
async fn serve(mut stream: TcpStream, shared: &Shared) {
    let mut unread = Vec::new();
    while let Some(mut asked) = request(&mut stream, &mut unread).await {
        let hooks = shared.hooks.lock().unwrap().clone();
        // What a test does takes its time; others are served meanwhile.
        if tokio::task::block_in_place(|| (hooks.before)(&mut asked)) == Fate::Cut {
            return;
        }
        let answer = {
            let _one = match asked.is_write() {
                true => Some(shared.writing.lock().await),
                false => None,
            };
            let Some(answer) = pass(shared, &asked).await else { return };
            if tokio::task::block_in_place(|| (hooks.after)(&asked, answer.0)) == Fate::Cut {
                return;
            }
            answer.1
        };
        if stream.write_all(&answer).await.is_err() {
            return;
        }
    }
}

/// The next request of a connection; None at its end.
async fn request(stream: &mut TcpStream, unread: &mut Vec<u8>) -> Option<Asked> {
    let end = loop {
        if let Some(at) = unread.windows(4).position(|part| part == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(unread).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(unread.drain(..end).collect()).unwrap();
    let mut lines = head.lines();
    let mut first = lines.next().unwrap().split(' ');
    let (method, path) = (first.next().unwrap().to_owned(), first.next().unwrap().to_owned());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let named = |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, value)| value);
    assert!(named("transfer-encoding").is_none(), "a body of unknown length: {head}");
    let length: usize = named("content-length").map_or(0, |text| text.parse().unwrap());
    while unread.len() < length {
        if stream.read_buf(unread).await.ok()? == 0 {
            return None;
        }
    }
    let body = unread.drain(..length).collect();
    Some(Asked { method, path, headers, body })
}

/// Status and answer of what is behind; None where it does not answer.
async fn pass(shared: &Shared, asked: &Asked) -> Option<(u16, Vec<u8>)> {
    let method = asked.method.parse::<reqwest::Method>().unwrap();
    let mut request = shared.http.request(method, format!("{}{}", shared.behind, asked.path));
    for (name, value) in &asked.headers {
        if !["host", "content-length", "connection"].contains(&name.as_str()) {
            request = request.header(name, value);
        }
    }
    let response = request.body(asked.body.clone()).send().await.ok()?;
    let status = response.status().as_u16();
    let mut answer = format!("HTTP/1.1 {status} -\r\n").into_bytes();
    for (name, value) in response.headers() {
        if !["content-length", "transfer-encoding", "connection"].contains(&name.as_str()) {
            answer.extend_from_slice(format!("{name}: ").as_bytes());
            answer.extend_from_slice(value.as_bytes());
            answer.extend_from_slice(b"\r\n");
        }
    }
    let body = response.bytes().await.ok()?;
    if status != 204 {
        answer.extend_from_slice(format!("content-length: {}\r\n", body.len()).as_bytes());
    }
    answer.extend_from_slice(b"\r\n");
    answer.extend_from_slice(&body);
    Some((status, answer))
}
