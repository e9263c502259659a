//! The server: one port for all services, one world behind it.

mod planned;
mod time;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::connection::{Cuttable, Scissors};
use super::core::Core;
use super::directory::{Directory, Endpoint};
use super::env::{Env, Ids};
use super::exchange::{Received, Reply, Service};
use super::faults::{Asked, Drop, Fault, Faults};
use super::journal::{self, Announced};
use super::log::{self, Line, Log};
use super::upstream::Upstream;
use super::world::World;
use super::{Options, SandboxError, cloudflare};

/// Bytes a request's body may have; the API server's own limit is 3 MiB.
const BODY_LIMIT: usize = 8 << 20;
/// How often the parts of the world may act on one another before that is called settled.
const ROUNDS: usize = 4;
/// How long open connections are waited for at the end.
const FAREWELL: Duration = Duration::from_secs(2);
/// A sandbox that answers.
pub struct Running {
    address: SocketAddr,
    environment: Vec<(String, String)>,
    shared: Arc<Shared>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The environment by which clients reach it: names and values, in order.
    pub fn environment(&self) -> Vec<(String, String)> {
        self.environment.clone()
    }

    /// Stops listening, lets running requests end, and gives the directory free.
    pub async fn stop(self) {
        self.shared.directory.retract();
        self.shared.stopping.store(true, Ordering::Relaxed);
        // The receiver is gone where the server has ended by itself.
        let _ = self.stop.send(());
        let abort = self.task.abort_handle();
        if tokio::time::timeout(FAREWELL, self.task).await.is_err() {
            abort.abort();
        }
    }
}

/// What all requests share.
struct Shared {
    directory: Directory,
    latency: Duration,
    journals: Vec<PathBuf>,
    faults: Mutex<Faults>,
    /// Whether some reads are answered from before the last change.
    lags: AtomicBool,
    /// Calls that are still on their way, and how many others come before each.
    late: tokio::sync::Mutex<Vec<(u64, Received)>>,
    /// Parameters that a call on its way changes.
    writing: Mutex<BTreeSet<String>>,
    log: Option<Log>,
    upstream: Option<Upstream>,
    /// Without tokens, only what stays on this machine is served.
    loopback: bool,
    core: tokio::sync::Mutex<Core>,
    /// Whether watches have to end.
    stopping: AtomicBool,
}

/// Holds the directory, loads its world or sets one up, and answers.
///
/// # Errors
/// The directory is held or can't be used, the address can't be listened on, the faults can't be
/// read, or the outer SSM doesn't answer.
pub async fn start(options: Options) -> Result<Running, SandboxError> {
    let directory = Directory::hold(&options.dir)?;
    directory.retract();
    let faults = options.faults.as_deref().map(Faults::load).transpose()?.unwrap_or_default();
    let log = options.log.as_deref().map(Log::open).transpose()?;
    let listen = |source| SandboxError::Listen { address: options.listen, source };
    let listener = TcpListener::bind(options.listen).await.map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    let url = format!("http://{address}");

    let mut env = Env {
        seed: options.mangle,
        quirks: options.quirks.clone(),
        ..Env::new(Timestamp::now(), Ids::random())
    };
    let kept = directory.world()?;
    let fresh = kept.is_none();
    let mut world = kept.unwrap_or_else(|| World::new(env.now, &mut env.ids));
    world.preset(&options.preset, fresh, &mut env);
    world.serve_at(&url);
    world
        .cluster
        .set_ready_after(SignedDuration::try_from(options.ready_after).unwrap_or_default());
    let outer = options.upstream_ssm.as_deref().map(|outer| outer.trim_end_matches('/'));
    let upstream = match outer.filter(|outer| world.served_at.iter().all(|own| own != outer)) {
        Some(outer) => Some(Upstream::connect(outer, &options.preset.region).await),
        None => None,
    };
    preset_parameters(&mut world, upstream.as_ref(), &mut env).await?;

    let endpoint = endpoint(&world, &directory, &url, upstream.as_ref());
    let context = &options.preset.context;
    let (all, read) = (&world.kubernetes_token, &world.kubernetes_read_token);
    directory.write_kubeconfig(&directory.kubeconfig(), &url, context, all)?;
    directory.write_kubeconfig(&directory.kubeconfig_read(), &url, context, read)?;
    let core = Core::new(world, env, &options);
    let shared = Arc::new(Shared {
        directory,
        latency: options.latency,
        journals: options.journals,
        lags: faults.have_lag().into(),
        faults: Mutex::new(faults),
        late: tokio::sync::Mutex::default(),
        writing: Mutex::default(),
        log,
        upstream,
        loopback: address.ip().is_loopback(),
        core: tokio::sync::Mutex::new(core),
        stopping: AtomicBool::new(false),
    });
    let mut core = shared.core.lock().await;
    shared.settle(&mut core).await;
    shared.directory.keep(&core.world)?;
    drop(core);

    tokio::spawn(time::keep(Arc::downgrade(&shared)));
    let (stop, task) = serve(listener, shared.clone());
    shared.directory.announce(&endpoint)?;
    Ok(Running { address, environment: endpoint.environment, shared, stop, task })
}

/// Answers until it is told to stop.
fn serve(listener: TcpListener, shared: Arc<Shared>) -> (oneshot::Sender<()>, JoinHandle<()>) {
    let app = Router::new()
        .fallback(answer)
        .with_state(shared)
        .into_make_service_with_connect_info::<Scissors>();
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(async move {
        let serving = axum::serve(Cuttable::new(listener), app).with_graceful_shutdown(async {
            // A sender that is gone means the same as a message.
            let _ = stopped.await;
        });
        if let Err(error) = serving.await {
            tracing::error!(%error, "the sandbox stopped answering");
        }
    });
    (stop, task)
}

/// The two preset parameters, in the outer SSM where there is one; what is there stays.
async fn preset_parameters(
    world: &mut World,
    upstream: Option<&Upstream>,
    env: &mut Env,
) -> Result<(), SandboxError> {
    let parameters = World::preset_parameters(&mut env.ids);
    match upstream {
        Some(upstream) => upstream.preset(&parameters).await,
        None => {
            world.put_missing_parameters(&parameters, env);
            Ok(())
        }
    }
}

fn endpoint(
    world: &World,
    directory: &Directory,
    url: &str,
    upstream: Option<&Upstream>,
) -> Endpoint {
    let token = |read_only: bool| {
        let mut tokens = world.cloudflare.tokens.iter();
        tokens.find(|t| t.read_only == read_only).map(|t| t.value.clone()).unwrap_or_default()
    };
    let key = |read_only: bool| {
        let mut keys = world.ssm.keys.iter();
        let key = keys.find(|key| key.read_only == read_only);
        key.map(|key| (key.id.clone(), key.secret.clone())).unwrap_or_default()
    };
    let named = |name: &str, value: String| (name.to_owned(), value);
    let mut environment = vec![
        named("CLOUDFLARE_BASE_URL", format!("{url}{}", cloudflare::BASE)),
        named("CLOUDFLARE_API_TOKEN", token(false)),
    ];
    match upstream {
        Some(upstream) => {
            environment.push(named("AWS_ENDPOINT_URL", upstream.url.clone()));
            environment.extend(upstream.environment.clone());
        }
        None => {
            let (id, secret) = key(false);
            environment.push(named("AWS_ENDPOINT_URL", url.to_owned()));
            environment.push(named("AWS_REGION", world.region.clone()));
            environment.push(named("AWS_ACCESS_KEY_ID", id));
            environment.push(named("AWS_SECRET_ACCESS_KEY", secret));
        }
    }
    // The AWS command line's first version reads this name only.
    let region = environment.iter().find(|(name, _)| name == "AWS_REGION").cloned();
    environment.push(named("KUBECONFIG", directory.kubeconfig().display().to_string()));
    environment.extend(region.map(|(_, region)| named("AWS_DEFAULT_REGION", region)));
    Endpoint {
        url: url.to_owned(),
        environment,
        cloudflare_read_token: token(true),
        aws_read_key: key(true),
        kubeconfig_read: directory.kubeconfig_read(),
    }
}

/// What became of a request.
enum Ending {
    Reply(Reply),
    /// The connection is closed without an answer.
    Cut {
        reset: bool,
    },
    /// The connection is closed in the middle of this answer.
    Torn(Reply),
}

/// The one handler: reads the request, lets it happen whatever becomes of its client, and sends
/// the answer.
async fn answer(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(scissors): ConnectInfo<Scissors>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_LIMIT).await else {
        return response(Reply::text(413, "text/plain", "the body is too large"));
    };
    let query = parts.uri.query().unwrap_or_default();
    let received =
        Received::new(parts.method.as_str(), parts.uri.path(), query, parts.headers, body);
    // In a task of its own: a client that goes away does not stop what it asked for half-way.
    let following = shared.clone();
    let happening = tokio::spawn(async move { shared.happen(&received).await });
    match happening.await {
        Ok(Ending::Reply(mut reply)) => match reply.watch.take() {
            Some(watch) => time::followed(reply, following, watch),
            None => response(reply),
        },
        Ok(Ending::Torn(reply)) => torn(reply),
        Ok(Ending::Cut { reset }) => {
            scissors.cut(reset);
            Response::new(Body::empty())
        }
        Err(error) => {
            tracing::error!(%error, "a request could not be handled");
            response(Reply::text(500, "text/plain", "the sandbox failed"))
        }
    }
}

/// An answer whose second half never comes.
fn torn(mut reply: Reply) -> Response {
    let whole = reply.body.len();
    let body = Bytes::from(std::mem::take(&mut reply.body)).slice(..whole / 2);
    let parts = [Ok(body), Err(std::io::Error::from(std::io::ErrorKind::ConnectionAborted))];
    let mut response = response(reply);
    response.headers_mut().insert(CONTENT_LENGTH, whole.into());
    *response.body_mut() = Body::from_stream(futures::stream::iter(parts));
    response
}

fn response(reply: Reply) -> Response {
    let mut response = Response::new(Body::from(reply.body));
    if let Ok(status) = reply.status.try_into() {
        *response.status_mut() = status;
    }
    for (name, value) in &reply.headers {
        let pair = (HeaderName::try_from(name.as_str()), HeaderValue::try_from(value.as_str()));
        if let (Ok(name), Ok(value)) = pair {
            response.headers_mut().append(name, value);
        }
    }
    response
}

/// That a call changes a parameter.
struct Writing<'a> {
    shared: &'a Shared,
    name: Option<String>,
}

impl std::ops::Drop for Writing<'_> {
    fn drop(&mut self) {
        if let (Some(name), Ok(mut writing)) = (&self.name, self.shared.writing.lock()) {
            writing.remove(name);
        }
    }
}

impl Shared {
    /// One request from its planned fault to its line in the log.
    async fn happen(&self, received: &Received) -> Ending {
        let time = log::time();
        let fault = self.fault(received);
        let delay = fault.as_ref().map_or(Duration::ZERO, |fault| fault.delay);
        let writing = match fault {
            // On its way still, or never there: others are not in its way.
            Some(_) => Some(None),
            None => self.begin_write(received).map(Some),
        };
        let Some(_writing) = writing else {
            let text = "There are concurrent updates for a resource that supports one update at a \
                        time.";
            self.note(received, time, 400, None);
            return Ending::Reply(Reply::refusal_with(Service::Ssm, 400, "TooManyUpdates", text));
        };
        tokio::time::sleep(self.latency + delay).await;
        if let Some(ask) = fault.as_ref().and_then(|fault| fault.ask)
            && let Ok(mut stream) = TcpStream::connect(ask).await
        {
            // Whatever ends the wait, the call goes on.
            let _ = stream.read(&mut [0]).await;
        }
        self.arrive().await;
        let ending = match &fault {
            Some(Fault { hold: Some(when), tell, .. }) => {
                if *when == Drop::After {
                    self.handled(received, false).await;
                }
                self.note(received, time, 0, fault.as_ref());
                if let Some(tell) = tell {
                    // Who wants to know listens; the call is held for nobody, too.
                    let _ = TcpStream::connect(tell).await;
                }
                return std::future::pending().await;
            }
            Some(Fault { late: Some(calls), reset, .. }) => {
                // Announced when it was sent, whatever the journal says when it arrives.
                if self.announced(received).is_ok() {
                    self.late.lock().await.push((*calls, received.clone()));
                }
                Ending::Cut { reset: *reset }
            }
            Some(Fault { lag: true, .. }) => Ending::Reply(self.handled(received, true).await),
            Some(Fault { truncate: true, .. }) => Ending::Torn(self.handled(received, false).await),
            Some(Fault { drop: Some(Drop::Before), reset, .. }) => Ending::Cut { reset: *reset },
            Some(fault) if fault.status.is_some() && !fault.effect && fault.drop.is_none() => {
                Ending::Reply(faulty(fault, received.service, None))
            }
            Some(fault) => {
                let reply = self.handled(received, false).await;
                match fault.drop {
                    Some(_) => Ending::Cut { reset: fault.reset },
                    None => Ending::Reply(faulty(fault, received.service, Some(reply))),
                }
            }
            None => Ending::Reply(self.handled(received, false).await),
        };
        let status = match &ending {
            Ending::Reply(reply) | Ending::Torn(reply) => reply.status,
            Ending::Cut { .. } => 0,
        };
        self.note(received, time, status, fault.as_ref());
        ending
    }

    fn fault(&self, received: &Received) -> Option<Fault> {
        if received.service == Service::Sandbox {
            return None;
        }
        let paths = [received.shown_path(), received.short_path()];
        let mut faults = self.faults.lock().ok()?;
        faults.next(&Asked {
            service: received.service.name(),
            method: &received.method,
            paths: &paths,
            mutating: received.is_mutating(),
        })
    }

    /// Notes that a call changes a parameter, until what it gives is dropped; none where another
    /// one is at it.
    fn begin_write(&self, received: &Received) -> Option<Writing<'_>> {
        let name = (received.service == Service::Ssm && received.is_mutating())
            .then(|| serde_json::from_slice::<Value>(&received.body).ok())
            .flatten()
            .and_then(|input| {
                let named = ["Name", "ResourceId"].iter().find_map(|key| input.get(*key)?.as_str());
                named.map(str::to_owned)
            });
        if let (Some(name), Ok(mut writing)) = (&name, self.writing.lock())
            && !writing.insert(name.clone())
        {
            return None;
        }
        Some(Writing { shared: self, name })
    }

    /// What was delayed on its way arrives when its time has come.
    async fn arrive(&self) {
        let mut due = Vec::new();
        {
            let mut late = self.late.lock().await;
            for (calls, _) in late.iter_mut() {
                *calls = calls.saturating_sub(1);
            }
            late.retain(|(calls, received)| {
                if *calls == 0 {
                    due.push(received.clone());
                }
                *calls > 0
            });
        }
        for received in &due {
            let reply = self.carried_out(received, false).await;
            self.note_as(received, log::time(), reply.status, Some("arrived late"));
        }
    }

    fn note(&self, received: &Received, time: String, status: u16, fault: Option<&Fault>) {
        let fault = fault.map(|fault| match (fault.hold, fault.drop) {
            (Some(Drop::Before), _) => "held before",
            (Some(Drop::After), _) => "held after",
            _ if fault.late.is_some() => "delayed on its way",
            _ if fault.lag => "answered from before the last change",
            _ if fault.truncate => "truncated",
            (_, Some(Drop::Before)) => "dropped before",
            (_, Some(Drop::After)) => "dropped after",
            _ if fault.status.is_some() => "answered",
            _ => "delayed",
        });
        self.note_as(received, time, status, fault);
    }

    fn note_as(&self, received: &Received, time: String, status: u16, fault: Option<&str>) {
        let Some(log) = &self.log else { return };
        if received.service == Service::Sandbox {
            return;
        }
        log.write(&Line {
            time,
            service: received.service.name(),
            method: &received.method,
            path: received.shown_path(),
            query: &received.query_text,
            status,
            mutating: received.is_mutating(),
            dry_run: received.is_dry_run(),
            fault,
        });
    }

    /// Whether a journal announces a call that would change something.
    fn announced(&self, received: &Received) -> Result<(), String> {
        if !received.is_mutating() {
            return Ok(());
        }
        let (method, path) = (received.method.as_str(), received.short_path());
        journal::check(&self.journals, &Announced { method, path, body: &received.body })
    }

    /// The request without faults; `lag`: as if the last change had not been made yet.
    async fn handled(&self, received: &Received, lag: bool) -> Reply {
        if received.service == Service::Sandbox && received.path == planned::PATH {
            return self.planned(received).await;
        }
        let refusal = self.core.lock().await.admit(received);
        if let Some(refusal) = refusal {
            return refusal;
        }
        match self.announced(received) {
            Ok(()) => self.carried_out(received, lag).await,
            Err(text) => Reply::refusal(received.service, 409, &text),
        }
    }

    async fn carried_out(&self, received: &Received, lag: bool) -> Reply {
        let mutating = received.is_mutating();
        let mut core = self.core.lock().await;
        core.env.now = Timestamp::now();
        if received.service == Service::Kubernetes && !mutating {
            self.pass_time(&mut core).await;
        }
        if mutating && self.lags.load(Ordering::Relaxed) {
            core.before = Some(core.world.clone());
        }
        let mut reply = if lag
            && !mutating
            && let Some(before) = core.before.take()
        {
            let now = std::mem::replace(&mut core.world, before);
            let reply = core.answered(received, self.loopback);
            core.before = Some(std::mem::replace(&mut core.world, now));
            reply
        } else {
            core.answered(received, self.loopback)
        };
        if mutating && reply.status < 400 {
            self.settle(&mut core).await;
            if let Err(reason) = self.directory.keep(&core.world) {
                let text = format!("the world cannot be kept: {reason}");
                reply = Reply::refusal(received.service, 500, &text);
            }
        }
        core.dress(received, &mut reply);
        reply
    }

    fn keep(&self, core: &Core) {
        if let Err(error) = self.directory.keep(&core.world) {
            tracing::error!(%error, "the world cannot be kept");
        }
    }

    /// Lets secret store, controllers and connectors act until no other parameter is wanted.
    async fn settle(&self, core: &mut Core) {
        core.store_read = Some(Instant::now());
        let mut wanted = core.world.cluster.wanted_parameters(core.env.now);
        for _ in 0..ROUNDS {
            let parameters = match &self.upstream {
                Some(upstream) => upstream.read(&wanted).await,
                None => core.world.own_parameters(&wanted),
            };
            core.world.reconcile(parameters, &mut core.env);
            let next = core.world.cluster.wanted_parameters(core.env.now);
            if next.is_empty() || next == wanted {
                break;
            }
            wanted = next;
        }
    }
}

/// The answer that a fault gives instead of `reply`, or on top of it.
fn faulty(fault: &Fault, service: Service, reply: Option<Reply>) -> Reply {
    let mut reply = match (fault.status, &fault.body) {
        (Some(status), None) => {
            let message = fault.message.as_deref().unwrap_or("a planned fault");
            match &fault.code {
                Some(code) => Reply::refusal_with(service, status, code, message),
                None => Reply::refusal(service, status, message),
            }
        }
        (status, Some(body)) => {
            let status = status.or(reply.map(|reply| reply.status)).unwrap_or(200);
            match body {
                Value::String(text) => Reply::text(status, "text/html", text.clone()),
                body => Reply::json(status, body),
            }
        }
        (None, None) => reply.unwrap_or_default(),
    };
    if reply.status == 429 && !fault.headers.iter().any(|(name, _)| name == "retry-after") {
        reply.headers.push(("retry-after".to_owned(), "1".to_owned()));
    }
    for (name, value) in &fault.headers {
        reply.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        // One without a value takes away what would be sent.
        if !value.is_empty() {
            reply.headers.push((name.to_lowercase(), value.clone()));
        }
    }
    reply
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
