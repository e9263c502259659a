//! How the world answers one request after the other.

use std::time::Instant;

use serde_json::Value;

use super::budget::{Account, Buckets};
use super::env::Env;
use super::exchange::{Received, Reply, Service};
use super::mangle::Mangler;
use super::options::Options;
use super::world::World;
use super::{cloudflare, kubernetes, ssm};

/// What one request at a time may have.
pub struct Core {
    /// Everything there is.
    pub world: World,
    /// The time of the request, and where identifiers come from.
    pub env: Env,
    /// The world before the last change, where somebody may be shown it.
    pub before: Option<World>,
    mangler: Option<Mangler>,
    /// When the secret store last looked.
    pub store_read: Option<Instant>,
    /// Cloudflare's budget of requests.
    account: Account,
    /// What SSM takes.
    buckets: Buckets,
    /// Whether the signatures of AWS requests are checked.
    signatures: bool,
}

impl Core {
    /// `world`, answered in the forms and within the budgets of the options.
    pub fn new(world: World, env: Env, options: &Options) -> Core {
        let now = Instant::now();
        Core {
            world,
            env,
            before: None,
            mangler: options.mangle.map(Mangler::new),
            store_read: None,
            account: Account::new(options.budget, now),
            buckets: Buckets::new(options.throughput, now),
            signatures: options.signatures,
        }
    }

    /// Counts a request; the refusal of one that is too many.
    pub fn admit(&mut self, received: &Received) -> Option<Reply> {
        if received.service == Service::Ssm {
            let takes = self.buckets.take(&received.operation, Instant::now());
            return (!takes).then(|| {
                let mut reply = Reply::refusal(Service::Ssm, 400, "Rate exceeded");
                reply.headers.push(("x-amzn-requestid".to_owned(), self.env.ids.uuid()));
                reply
            });
        }
        if received.service != Service::Cloudflare {
            return None;
        }
        let seconds = self.account.count(Instant::now()).err()?;
        let mut reply = Reply::refusal(Service::Cloudflare, 429, &self.account.refusal());
        reply.headers.push(("retry-after".to_owned(), seconds.to_string()));
        reply.headers.push(("cf-ray".to_owned(), format!("{}-NRT", self.env.ids.hex(16))));
        Some(reply)
    }

    /// What the service answers, in its own order and forms unless they are to be mangled.
    pub fn answered(&mut self, received: &Received, loopback: bool) -> Reply {
        match received.service {
            Service::Cloudflare => self.cloudflare(received),
            Service::Ssm | Service::Sts => self.aws(received),
            Service::Kubernetes => self.kubernetes(received, loopback),
            Service::Sandbox => self.sandbox(received),
        }
    }

    fn cloudflare(&mut self, received: &Received) -> Reply {
        let call = cloudflare::Call {
            method: &received.method,
            path: &received.path,
            query: &received.query,
            authorization: received.header("authorization"),
            storage_class: received.header("cf-r2-storage-class"),
            body: &received.body,
        };
        // What a person does by hand, so that it can be told from what programs do.
        self.env.user = received.header("x-sandbox-user").map(str::to_owned);
        let (status, mut body) =
            cloudflare::handle(&mut self.world.cloudflare, &call, &mut self.env);
        if body.is_null() {
            return Reply { status, ..Reply::default() };
        }
        if let Some(mangler) = &mut self.mangler {
            body = mangler.cloudflare(body, call.query().get("order").is_some());
        }
        Reply::json(status, &body)
    }

    fn aws(&mut self, received: &Received) -> Reply {
        let call = ssm::Call {
            operation: &received.operation,
            authorization: received.header("authorization"),
            body: &received.body,
        };
        let sts = received.service == Service::Sts;
        let signature = self.signature(received);
        let answer = match signature {
            Err(error) => ssm::refuse(&error, sts, &mut self.env),
            Ok(()) if sts => ssm::handle_sts(&self.world.ssm, &call, &mut self.env),
            Ok(()) => ssm::handle(&mut self.world.ssm, &call, &mut self.env),
        };
        let text = match (answer.json, &mut self.mangler) {
            (Some(body), Some(mangler)) => mangler.ssm(body).to_string(),
            (Some(body), None) => body.to_string(),
            (None, _) => answer.text,
        };
        let mut reply = Reply::text(answer.status, answer.content_type, text);
        if let Some(kind) = answer.error {
            reply.headers.push(("x-amzn-errortype".to_owned(), kind.to_owned()));
        }
        reply
    }

    /// Whether a request is signed as AWS wants it, where that is checked.
    fn signature(&self, received: &Received) -> Result<(), ssm::AwsError> {
        if !self.signatures {
            return Ok(());
        }
        let names = received.headers.keys();
        let headers = names.flat_map(|name| {
            let values = received.headers.get_all(name).iter();
            values.filter_map(move |value| Some((name.as_str(), value.to_str().ok()?)))
        });
        let signed = ssm::signature::Signed {
            method: &received.method,
            path: &received.path,
            query: &received.query_text,
            headers: headers.collect(),
            body: &received.body,
        };
        ssm::signature::check(&self.world.ssm, received.service.name(), &signed, self.env.now)
    }

    fn kubernetes(&mut self, received: &Received, loopback: bool) -> Reply {
        let authorization = self.kubernetes_user(received, loopback);
        let request = kubernetes::Request {
            method: &received.method,
            path: &received.path,
            query: received.query.clone(),
            content_type: received.header("content-type"),
            accept: received.header("accept"),
            user_agent: received.header("user-agent"),
            authorization: Some(&authorization),
            body: &received.body,
        };
        let answer = self.world.cluster.handle(&request, self.env.now);
        let mut body = answer.body;
        let json = answer.content_type.starts_with("application/json");
        if let Some(mangler) = &mut self.mangler
            && json
            && let Ok(parsed) = serde_json::from_slice::<Value>(&body)
        {
            body = mangler.kubernetes(parsed).to_string().into_bytes();
        }
        let mut reply = Reply::text(answer.status, &answer.content_type, body);
        reply.headers.extend(answer.headers);
        reply.watch = answer.watch;
        reply
    }

    /// The header by which the cluster knows its users. Clients built on client-go send no token
    /// over plain HTTP, so who sends none from this machine is the kubeconfig's user; a browser's
    /// page is not.
    fn kubernetes_user(&self, received: &Received, loopback: bool) -> String {
        let known = [&self.world.kubernetes_token, &self.world.kubernetes_read_token];
        let given = match received.header("authorization") {
            Some(header) => header.strip_prefix("Bearer ").map(str::trim),
            None if loopback && received.header("origin").is_none() => Some(known[0].as_str()),
            None => None,
        };
        match known.into_iter().find(|token| Some(token.as_str()) == given) {
            Some(token) => format!("Bearer {token}"),
            None => "Bearer unknown".to_owned(),
        }
    }

    /// The refusal of who may not see the sandbox's own pages: they are for who bears the
    /// Cloudflare API token.
    pub fn stranger(&self, received: &Received) -> Option<Reply> {
        let bearer = received.header("authorization").and_then(|h| h.strip_prefix("Bearer "));
        let mut known = self.world.cloudflare.tokens.iter();
        let all = known.any(|token| token.permits_all() && Some(token.value.as_str()) == bearer);
        (!all).then(|| Reply::refusal(Service::Sandbox, 401, "bear the Cloudflare API token"))
    }

    /// The sandbox's own page of the world: `GET /sandbox/dump`.
    fn sandbox(&self, received: &Received) -> Reply {
        if let Some(refusal) = self.stranger(received) {
            return refusal;
        }
        match (received.method.as_str(), received.path.as_str()) {
            ("GET", "/sandbox/dump") => Reply::json(200, &self.world.dump()),
            _ => Reply::refusal(
                Service::Sandbox,
                404,
                "there is GET /sandbox/dump, and GET and PUT /sandbox/faults",
            ),
        }
    }

    /// The headers that a service puts on each of its answers.
    pub fn dress(&mut self, received: &Received, reply: &mut Reply) {
        let mut add = |name: &str, value: String| reply.headers.push((name.to_owned(), value));
        match received.service {
            Service::Cloudflare => {
                add("cf-ray", format!("{}-NRT", self.env.ids.hex(16)));
                for (name, value) in self.account.headers(Instant::now()) {
                    add(&name, value);
                }
            }
            Service::Ssm | Service::Sts => add("x-amzn-requestid", self.env.ids.uuid()),
            Service::Kubernetes | Service::Sandbox => {}
        }
    }
}
