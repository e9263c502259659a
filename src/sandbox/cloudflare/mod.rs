//! The Cloudflare API, v4: zones, DNS, tunnels and Zero Trust Access as pure functions over a
//! [`State`], held to the contract (`cloudflare-api.md`).

pub mod access;
pub mod audit;
pub mod devices;
mod dns;
mod dns_content;
mod dns_list;
pub mod networks;
mod plans;
mod quirky;
pub mod reply;
mod rulesets;
mod storage;
pub mod tokens;
mod tunnel_config;
pub mod tunnels;
mod workers;
mod zones;

pub use plans::{Plan, ZonePlan};
pub use tokens::ApiToken;
pub use zones::Zone;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::env::Env;
use reply::{Answer, ApiError, Outcome, Query};

/// What all Cloudflare paths begin with.
pub const BASE: &str = "/client/v4";

/// An account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Account {
    /// 32 hexadecimal digits.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// Everything the Cloudflare API of a sandbox holds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct State {
    /// Accounts the tokens can see.
    pub accounts: Vec<Account>,
    /// API tokens.
    pub tokens: Vec<ApiToken>,
    /// Zones.
    pub zones: Vec<zones::Zone>,
    /// DNS records of all zones.
    pub records: Vec<dns::Record>,
    /// Tunnels, deleted ones too.
    pub tunnels: Vec<tunnels::Tunnel>,
    /// Zero Trust Access.
    pub access: access::State,
    /// Private networks.
    #[serde(default)]
    pub networks: networks::State,
    /// Default device profiles.
    #[serde(default)]
    pub devices: Vec<devices::Profile>,
    /// What Workers keep things in.
    #[serde(default)]
    pub storage: storage::State,
    /// Routes to Workers.
    #[serde(default)]
    pub worker_routes: Vec<workers::Route>,
    /// Rulesets.
    #[serde(default)]
    pub rulesets: Vec<rulesets::Ruleset>,
    /// What was changed, oldest first.
    #[serde(default)]
    pub audit: Vec<audit::Entry>,
}

/// One request, as far as the handlers look at it.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The method in capitals.
    pub method: &'a str,
    /// The path with [`BASE`], without query.
    pub path: &'a str,
    /// The query's parameters, decoded.
    pub query: &'a [(String, String)],
    /// The header `Authorization`.
    pub authorization: Option<&'a str>,
    /// The header `cf-r2-storage-class`.
    pub storage_class: Option<&'a str>,
    /// The body's bytes.
    pub body: &'a [u8],
}

impl<'a> Call<'a> {
    /// The query's parameters.
    pub fn query(&self) -> Query<'a> {
        Query(self.query)
    }

    /// The body as a JSON object.
    pub fn object(&self) -> Result<Map<String, Value>, ApiError> {
        match serde_json::from_slice(self.body) {
            Ok(Value::Object(map)) => Ok(map),
            _ => Err(ApiError::new(400, 6007, "Malformed JSON in request body")),
        }
    }
}

/// Answers one request: HTTP status and envelope, which is null where there is no body.
pub fn handle(state: &mut State, call: &Call<'_>, env: &mut Env) -> (u16, Value) {
    let outcome = route(state, call, env);
    match quirky::after(outcome, call, env) {
        Ok(answer) => (answer.status, answer.envelope()),
        Err(error) => (error.status, error.envelope()),
    }
}

fn route(state: &mut State, call: &Call<'_>, env: &mut Env) -> Outcome {
    let rest = call.path.strip_prefix(BASE).ok_or_else(|| ApiError::no_route(call.path))?;
    let segments: Vec<&str> = rest.split('/').skip(1).collect();
    let verify = matches!(
        segments.as_slice(),
        ["user", "tokens", "verify"] | ["accounts", _, "tokens", "verify"]
    );
    let token = authenticate(state, call, verify)?;
    if !token.permits(state, call.method, &segments) {
        return Err(ApiError::forbidden());
    }
    quirky::before(state, call, &segments, env)?;
    let answer = routed(state, call, &segments, &token, env)?;
    audit::note(state, call, &answer, &token, env);
    Ok(answer)
}

fn routed(
    state: &mut State,
    call: &Call<'_>,
    segments: &[&str],
    token: &ApiToken,
    env: &mut Env,
) -> Outcome {
    match segments {
        ["user", "tokens", "verify"] if call.method == "GET" => Ok(verified(token)),
        ["user", "tokens", rest @ ..] => tokens::handle(state, call, token, rest, env),
        ["accounts"] if call.method == "GET" => zones::accounts(state, call),
        ["zones"] if call.method == "GET" => zones::list(state, call, token),
        ["zones", rest @ ..] => zones::handle(state, call, rest, env),
        ["accounts", account, rest @ ..] => {
            known_account(state, call, account)?;
            match rest {
                [] if call.method == "GET" => zones::account(state, account),
                ["tokens", "verify"] if call.method == "GET" => Ok(verified(token)),
                ["logs", "audit"] if call.method == "GET" => audit::list(state, call, account),
                ["cfd_tunnel" | "tunnels", rest @ ..] => {
                    tunnels::handle(state, call, account, rest, env)
                }
                ["teamnet", rest @ ..] => networks::teamnet(state, call, account, rest, env),
                ["devices", rest @ ..] => devices::handle(state, call, account, rest),
                ["zerotrust", rest @ ..] => networks::zerotrust(state, call, account, rest, env),
                ["storage", "kv", "namespaces", rest @ ..] => {
                    storage::kv(&mut state.storage, call, account, rest, env)
                }
                ["r2", "buckets", rest @ ..] => {
                    storage::r2(&mut state.storage, call, account, rest, env)
                }
                ["d1", "database", rest @ ..] => {
                    storage::d1(&mut state.storage, call, account, rest, env)
                }
                ["rulesets", rest @ ..] => {
                    rulesets::handle(&mut state.rulesets, call, account, rest, env)
                }
                ["access", rest @ ..] => {
                    let scope = access::Scope { account: account.to_string(), zone: None };
                    access::handle(state, call, &scope, rest, env)
                }
                _ => Err(ApiError::no_route(call.path)),
            }
        }
        _ => Err(ApiError::no_route(call.path)),
    }
}

fn verified(token: &ApiToken) -> Answer {
    let message = json!({
        "code": 10000, "message": "This API Token is valid and active", "type": null });
    let result = json!({ "id": token.id, "status": "active" });
    Answer { messages: vec![message], ..Answer::ok(result) }
}

fn authenticate(state: &State, call: &Call<'_>, verify: bool) -> Result<ApiToken, ApiError> {
    let malformed = || ApiError {
        status: 400,
        errors: vec![json!({
            "code": 6003, "message": "Invalid request headers",
            "error_chain": [
                { "code": 6111, "message": "Invalid format for Authorization header" }
            ],
        })],
    };
    let value = call
        .authorization
        .and_then(|header| header.strip_prefix("Bearer "))
        .map(str::trim)
        .filter(|value| !value.is_empty() && value.bytes().all(|b| b.is_ascii_graphic()))
        .ok_or_else(malformed)?;
    let unknown = || match verify {
        true => ApiError::new(401, 1000, "Invalid API Token"),
        false => ApiError::new(403, 9109, "Invalid access token"),
    };
    state.tokens.iter().find(|token| token.value == value).cloned().ok_or_else(unknown)
}

fn known_account(state: &State, call: &Call<'_>, id: &str) -> Result<(), ApiError> {
    if state.accounts.iter().any(|account| account.id == id) {
        return Ok(());
    }
    match is_hex_id(id) {
        true => Err(ApiError::forbidden()),
        false => Err(ApiError::no_route(call.path)),
    }
}

/// Whether `id` is an identifier of an account, zone or record: 32 hexadecimal digits.
pub(crate) fn is_hex_id(id: &str) -> bool {
    id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Whether `id` is a UUID in its usual text form.
pub(crate) fn is_uuid(id: &str) -> bool {
    id.len() == 36 && uuid::Uuid::try_parse(id).is_ok()
}

/// A member that is a string; null counts as absent.
pub(crate) fn text<'a>(body: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    body.get(name).and_then(Value::as_str)
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
