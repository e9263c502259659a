//! Tunnels, their tokens and connections (contract 4.1 to 4.4).

use std::collections::BTreeMap;

use base64::prelude::*;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::reply::{Answer, ApiError, Outcome, Paging, existed, is_by, page};
use super::tunnel_config::{self, Configuration};
use super::{Call, State, is_uuid, text};
use crate::sandbox::env::{Env, stamp};
use crate::sandbox::quirks::Quirk;

/// A tunnel; deleted ones stay as tombstones (contract 4.4).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Tunnel {
    /// UUID.
    pub id: String,
    /// The account it belongs to.
    pub account_id: String,
    /// Unique among the account's live tunnels.
    pub name: String,
    /// Base64, never answered (contract 4.3).
    pub secret: String,
    /// `cloudflare` or `local`.
    pub config_src: String,
    /// Free JSON of the creator.
    pub metadata: Value,
    created_at: String,
    /// Set on tombstones.
    pub deleted_at: Option<String>,
    conns_active_at: Option<String>,
    conns_inactive_at: Option<String>,
    ever_connected: bool,
    /// Live connections by the uid of the pod that holds them.
    pub connections: BTreeMap<String, Connection>,
    /// Pods whose connections were cleaned up, and when.
    cleaned: BTreeMap<String, Timestamp>,
    /// What was last put, if anything was.
    pub configuration: Option<Configuration>,
}

/// The connections of one connector.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Connection {
    /// The connector's id.
    pub client_id: String,
    opened_at: String,
    conns: Vec<String>,
}

const PAGING: Paging = Paging { default: 20, min: 1, max: 1000 };
/// How long a connector whose connections were cleaned up stays away (contract 4.2: "a live
/// cloudflared reconnects within seconds").
const RECONNECT: SignedDuration = SignedDuration::from_secs(2);

/// `/accounts/{account}/cfd_tunnel/…`, and the list of all types at `/tunnels`.
pub fn handle(
    state: &mut State,
    call: &Call<'_>,
    account: &str,
    rest: &[&str],
    env: &mut Env,
) -> Outcome {
    let [id, rest @ ..] = rest else {
        return match call.method {
            "GET" => list(state, call, account),
            "POST" if call.path.ends_with("/cfd_tunnel") => create(state, call, account, env),
            method => Err(ApiError::no_method(method)),
        };
    };
    if !is_uuid(id) {
        return Err(ApiError::no_route(call.path));
    }
    let at = state.tunnels.iter().position(|t| t.id == **id && t.account_id == account);
    let at = at.ok_or_else(|| ApiError::new(404, 1002, "Tunnel not found"))?;
    match (call.method, rest) {
        ("GET", []) => Ok(Answer::ok(shown(&state.tunnels[at]))),
        ("PATCH", []) => update(state, call, at),
        ("DELETE", []) => delete(state, call, at, env),
        ("GET", ["token"]) => token_answer(&state.tunnels[at]),
        ("GET", ["connections"]) => Ok(Answer::ok(clients(&state.tunnels[at]))),
        ("DELETE", ["connections"]) => clean_up(&mut state.tunnels[at], call, env),
        ("GET", ["connectors", client]) => connector(&state.tunnels[at], client),
        ("GET" | "PUT", ["configurations"]) => {
            tunnel_config::handle(&mut state.tunnels[at], call, env)
        }
        (method, [] | ["token" | "connections" | "configurations"] | ["connectors", _]) => {
            Err(ApiError::no_method(method))
        }
        _ => Err(ApiError::no_route(call.path)),
    }
}

fn list(state: &State, call: &Call<'_>, account: &str) -> Outcome {
    let query = call.query();
    let existed_at = query.time("existed_at")?;
    let (active, inactive) = (query.time("was_active_at")?, query.time("was_inactive_at")?);
    let since = |stamp: &Option<String>, at: Option<Timestamp>| {
        at.is_none_or(|at| stamp.as_ref().is_some_and(|stamp| is_by(stamp, at)))
    };
    let rows = state.tunnels.iter().filter(|tunnel| {
        let deleted = tunnel.deleted_at.is_some();
        tunnel.account_id == account
            && query.get("name").is_none_or(|name| tunnel.name == name)
            && query.get("uuid").is_none_or(|id| tunnel.id == id)
            && query.flag("is_deleted").is_none_or(|wanted| wanted == deleted)
            && ["include_prefix", "name_prefix"].iter().all(|parameter| {
                query.get(parameter).is_none_or(|prefix| tunnel.name.starts_with(prefix))
            })
            && query.get("exclude_prefix").is_none_or(|prefix| !tunnel.name.starts_with(prefix))
            && query.get("status").is_none_or(|status| tunnel.status() == status)
            && query.get("tun_types").is_none_or(|t| t.split(',').any(|t| t == "cfd_tunnel"))
            && existed(existed_at, &tunnel.created_at, tunnel.deleted_at.as_deref())
            && since(&tunnel.conns_active_at, active)
            && since(&tunnel.conns_inactive_at, inactive)
    });
    page(rows.map(shown).collect(), query, PAGING)
}

fn name_taken(state: &State, account: &str, name: &str, but: Option<&str>) -> bool {
    state.tunnels.iter().any(|tunnel| {
        tunnel.account_id == account
            && tunnel.deleted_at.is_none()
            && tunnel.name == name
            && Some(tunnel.id.as_str()) != but
    })
}

fn name_conflict() -> ApiError {
    let text = "You already have a tunnel with this name. Delete the existing tunnel, or choose a \
                different name for your new tunnel";
    ApiError::new(409, 1013, text)
}

fn invalid(text: impl Into<String>) -> ApiError {
    ApiError::new(400, 1001, text)
}

/// The name a body gives, if it gives one.
fn named(body: &Map<String, Value>) -> Result<Option<&str>, ApiError> {
    match body.get("name") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(name)) if !name.trim().is_empty() => Ok(Some(name)),
        Some(_) => Err(invalid("tunnel name must be a non-empty string")),
    }
}

/// The secret a body gives, if it gives one; the check is as lax as contract 4.3 found it.
fn secret(body: &Map<String, Value>) -> Result<Option<String>, ApiError> {
    let Some(value) = body.get("tunnel_secret").filter(|value| !value.is_null()) else {
        return Ok(None);
    };
    let right = value
        .as_str()
        .filter(|text| text.len() >= 32 && BASE64_STANDARD.decode(text).is_ok())
        .ok_or_else(|| invalid("tunnel_secret must be base64 of at least 32 bytes"))?;
    Ok(Some(right.to_owned()))
}

fn create(state: &mut State, call: &Call<'_>, account: &str, env: &mut Env) -> Outcome {
    let body = call.object()?;
    let name = named(&body)?.ok_or_else(|| invalid("tunnel name is required"))?;
    let secret = match secret(&body)? {
        Some(secret) => secret,
        None => BASE64_STANDARD.encode(env.ids.bytes(32)),
    };
    let config_src = match text(&body, "config_src") {
        None => "local",
        Some(source @ ("local" | "cloudflare")) => source,
        Some(_) => return Err(invalid("config_src must be local or cloudflare")),
    };
    if name_taken(state, account, name, None) {
        return Err(name_conflict());
    }
    let now = env.stamp();
    let inactive_since = (!env.open(Quirk::NeverInactive)).then(|| now.clone());
    let tunnel = Tunnel {
        id: env.ids.uuid(),
        account_id: account.to_owned(),
        name: name.to_owned(),
        secret,
        config_src: config_src.to_owned(),
        metadata: body.get("metadata").cloned().unwrap_or_else(|| json!({})),
        created_at: now,
        deleted_at: None,
        conns_active_at: None,
        conns_inactive_at: inactive_since,
        ever_connected: false,
        connections: BTreeMap::new(),
        cleaned: BTreeMap::new(),
        configuration: None,
    };
    let mut answer = shown(&tunnel);
    answer["credentials_file"] = json!({
        "AccountTag": tunnel.account_id, "TunnelID": tunnel.id, "TunnelName": tunnel.name,
        "TunnelSecret": tunnel.secret,
    });
    answer["token"] = json!(tunnel.token());
    state.tunnels.push(tunnel);
    Ok(Answer::ok(answer))
}

fn gone() -> ApiError {
    ApiError::new(404, 1002, "Tunnel has been deleted")
}

fn update(state: &mut State, call: &Call<'_>, at: usize) -> Outcome {
    let body = call.object()?;
    let name = named(&body)?;
    let secret = secret(&body)?;
    let tunnel = &state.tunnels[at];
    if tunnel.deleted_at.is_some() {
        return Err(gone());
    }
    if let Some(name) = name
        && name_taken(state, &tunnel.account_id, name, Some(&tunnel.id))
    {
        return Err(name_conflict());
    }
    let tunnel = &mut state.tunnels[at];
    if let Some(name) = name {
        tunnel.name = name.to_owned();
    }
    if let Some(secret) = secret {
        tunnel.secret = secret;
    }
    Ok(Answer::ok(shown(tunnel)))
}

fn delete(state: &mut State, call: &Call<'_>, at: usize, env: &mut Env) -> Outcome {
    let tunnel = &mut state.tunnels[at];
    if tunnel.deleted_at.is_some() {
        return match env.open(Quirk::TombstonesDeleted) {
            false => Err(gone()),
            true => Ok(Answer::ok(shown(tunnel))),
        };
    }
    let cascade = call.query().flag("cascade") == Some(true);
    if !tunnel.connections.is_empty() && !cascade {
        let text = "Cannot delete tunnel because it has active connections";
        return Err(ApiError::new(400, 1022, text));
    }
    tunnel.disconnect(env.now);
    tunnel.cleaned.clear();
    tunnel.deleted_at = Some(env.stamp());
    super::networks::tunnel_gone(&mut state.networks, &tunnel.id, cascade, env);
    Ok(Answer::ok(shown(tunnel)))
}

fn token_answer(tunnel: &Tunnel) -> Outcome {
    match tunnel.deleted_at {
        None => Ok(Answer::ok(json!(tunnel.token()))),
        Some(_) => Err(ApiError::new(404, 1054, "Tunnel token not found")),
    }
}

fn clean_up(tunnel: &mut Tunnel, call: &Call<'_>, env: &Env) -> Outcome {
    if tunnel.deleted_at.is_some() {
        return Err(gone());
    }
    let wanted = call.query().get("client_id");
    let leaving: Vec<String> = tunnel
        .connections
        .iter()
        .filter(|(_, connection)| wanted.is_none_or(|id| connection.client_id == id))
        .map(|(pod, _)| pod.clone())
        .collect();
    for pod in leaving {
        tunnel.connections.remove(&pod);
        tunnel.cleaned.insert(pod, env.now);
    }
    if tunnel.connections.is_empty() {
        tunnel.disconnect(env.now);
    }
    Ok(Answer::ok(json!({})))
}

fn client(connection: &Connection) -> Value {
    let conns: Vec<Value> = connection
        .conns
        .iter()
        .zip(["kix01", "kix02", "nrt05", "nrt09"])
        .map(|(id, colo)| {
            json!({
                "id": id, "uuid": id, "client_id": connection.client_id,
                "client_version": "2026.8.2", "colo_name": colo, "is_pending_reconnect": false,
                "opened_at": connection.opened_at, "origin_ip": "198.51.100.7",
            })
        })
        .collect();
    json!({
        "id": connection.client_id, "arch": "linux_amd64", "config_version": 1,
        "features": ["allow_remote_config", "serialized_headers", "support_datagram_v2"],
        "run_at": connection.opened_at, "version": "2026.8.2", "conns": conns,
    })
}

fn clients(tunnel: &Tunnel) -> Value {
    tunnel.connections.values().map(client).collect()
}

fn connector(tunnel: &Tunnel, id: &str) -> Outcome {
    tunnel
        .connections
        .values()
        .find(|connection| connection.client_id == id)
        .map(|connection| Answer::ok(client(connection)))
        .ok_or_else(|| ApiError::new(404, 1002, "Connector not found"))
}

impl Tunnel {
    /// The token by which a connector runs the tunnel (contract 4.3).
    pub fn token(&self) -> String {
        let token = json!({ "a": self.account_id, "t": self.id, "s": self.secret });
        BASE64_STANDARD.encode(token.to_string())
    }

    /// `inactive`, `healthy`, `degraded` or `down` (contract 4.1).
    pub fn status(&self) -> &'static str {
        let all = self.connections.values().all(|connection| connection.conns.len() == CONNECTIONS);
        match (self.connections.is_empty(), self.ever_connected) {
            (false, _) if all => "healthy",
            (false, _) => "degraded",
            (true, true) => "down",
            (true, false) => "inactive",
        }
    }

    fn disconnect(&mut self, now: Timestamp) {
        self.connections.clear();
        if self.ever_connected && self.conns_inactive_at.is_none() {
            self.conns_inactive_at = Some(stamp(now));
        }
        self.conns_active_at = None;
    }
}

fn shown(tunnel: &Tunnel) -> Value {
    json!({
        "id": tunnel.id, "account_tag": tunnel.account_id, "name": tunnel.name,
        "created_at": tunnel.created_at, "deleted_at": tunnel.deleted_at, "connections": [],
        "conns_active_at": tunnel.conns_active_at, "conns_inactive_at": tunnel.conns_inactive_at,
        "tun_type": "cfd_tunnel", "metadata": tunnel.metadata, "status": tunnel.status(),
        "remote_config": tunnel.config_src == "cloudflare", "config_src": tunnel.config_src,
    })
}

/// A connector that runs.
#[derive(Debug, Clone)]
pub struct Running {
    /// The uid of its pod.
    pub pod: String,
    /// The token it started with.
    pub token: String,
    /// How many connections it holds: all of them, unless some fail.
    pub connections: usize,
}

/// Brings the connections in line with the connectors that run. A new connector needs the token of a live tunnel; one that is connected stays, whatever became of
/// the token (contract 4.3). Tells whether anything changed.
pub fn connect(state: &mut State, running: &[Running], env: &mut Env) -> bool {
    let mut changed = false;
    for tunnel in &mut state.tunnels {
        let before = tunnel.connections.len();
        tunnel.connections.retain(|pod, _| running.iter().any(|one| one.pod == *pod));
        tunnel.cleaned.retain(|pod, _| running.iter().any(|one| one.pod == *pod));
        changed |= tunnel.connections.len() != before;
        if tunnel.deleted_at.is_none() {
            let token = tunnel.token();
            for Running { pod, .. } in running.iter().filter(|one| one.token.trim() == token) {
                let away = tunnel.cleaned.get(pod);
                let early = away.is_some_and(|since| env.now.duration_since(*since) < RECONNECT);
                if early || tunnel.connections.contains_key(pod) {
                    continue;
                }
                tunnel.cleaned.remove(pod);
                tunnel.connections.insert(pod.clone(), opened(env));
                changed = true;
            }
        }
        for Running { pod, connections, .. } in running {
            let Some(connection) = tunnel.connections.get_mut(pod) else { continue };
            changed |= connection.conns.len() != *connections;
            connection.conns.resize_with(*connections, || env.ids.uuid());
        }
        if tunnel.connections.is_empty() {
            if tunnel.conns_active_at.is_some() {
                tunnel.disconnect(env.now);
            }
        } else if tunnel.conns_active_at.is_none() {
            tunnel.ever_connected = true;
            tunnel.conns_active_at = Some(env.stamp());
            tunnel.conns_inactive_at = None;
        }
    }
    changed
}

/// How many connections a connector that lacks nothing has.
pub const CONNECTIONS: usize = 4;

fn opened(env: &mut Env) -> Connection {
    Connection {
        client_id: env.ids.uuid(),
        opened_at: env.stamp(),
        conns: (0..CONNECTIONS).map(|_| env.ids.uuid()).collect(),
    }
}

#[cfg(test)]
#[path = "tunnels_tests.rs"]
mod tests;
