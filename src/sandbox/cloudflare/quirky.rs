//! The quirks that are the same for several handlers: what is refused before a request is looked
//! at, and how answers differ.

use base64::prelude::*;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::reply::{ApiError, Outcome};
use super::{Call, State, text};
use crate::sandbox::env::Env;
use crate::sandbox::quirks::Quirk;

/// How many calls of Access succeed between two that are throttled, the second included.
const THROTTLED: u64 = 5;

/// Refuses what a quirk makes the service refuse.
pub fn before(
    state: &State,
    call: &Call<'_>,
    path: &[&str],
    env: &mut Env,
) -> Result<(), ApiError> {
    let access = path.get(2) == Some(&"access");
    if access && env.quirks.has(Quirk::AccessThrottles) {
        env.access_calls += 1;
        if env.access_calls.is_multiple_of(THROTTLED) {
            return Err(ApiError::forbidden());
        }
    }
    let writes = matches!(call.method, "POST" | "PUT" | "PATCH");
    let body = if writes { call.object().unwrap_or_default() } else { Map::new() };
    match path {
        ["zones", _, "dns_records", ..] if call.method != "PATCH" && writes => {
            let lacks = !path.ends_with(&["batch"]) && body.get("ttl").is_none_or(Value::is_null);
            if lacks && env.quirks.has(Quirk::TtlRequired) {
                return Err(ApiError::new(400, 9021, "ttl is required."));
            }
        }
        ["accounts", _, "cfd_tunnel"] | ["accounts", _, "cfd_tunnel", _] => {
            let decoded = text(&body, "tunnel_secret").map(|text| BASE64_STANDARD.decode(text));
            let short = decoded.is_some_and(|bytes| bytes.is_ok_and(|bytes| bytes.len() < 32));
            if short && env.quirks.has(Quirk::LongSecrets) {
                let text = "tunnel_secret must be base64 of at least 32 bytes";
                return Err(ApiError::new(400, 1001, text));
            }
        }
        [_, scope, "access", "apps", app @ ..] if app.len() < 2 => {
            let id = app.first().copied().unwrap_or_default();
            if writes && env.quirks.has(Quirk::UniqueAppNames) && taken(state, scope, &body, id) {
                let text = "access.api.error.application_already_exists";
                return Err(ApiError::new(409, 11010, text));
            }
            late_policies(state, call, &body, env)?;
        }
        _ => {}
    }
    Ok(())
}

fn taken(state: &State, scope: &str, body: &Map<String, Value>, but: &str) -> bool {
    let zone = state.zones.iter().find(|zone| zone.id == scope);
    let account = zone.map_or(scope, |zone| zone.account_id.as_str());
    let mut others = state.access.apps.iter();
    let name = text(body, "name");
    name.is_some() && others.any(|a| a.account_id == account && a.id != but && a.name() == name)
}

/// Whether an RFC 3339 time is less than `time` ago.
fn is_recent(stamp: &str, time: std::time::Duration, now: Timestamp) -> bool {
    let time = SignedDuration::try_from(time).unwrap_or_default();
    stamp.parse::<Timestamp>().is_ok_and(|then| now.duration_since(then) < time)
}

/// Writes that name a policy that was made a moment ago are refused, and so is the list while an
/// application has one (contract 6.1.1).
fn late_policies(
    state: &State,
    call: &Call<'_>,
    body: &Map<String, Value>,
    env: &Env,
) -> Result<(), ApiError> {
    let Some(time) = env.quirks.lasts(Quirk::LatePolicies) else { return Ok(()) };
    let late = |id: &str| {
        let found = state.access.policies.iter().find(|policy| policy.id == id);
        found.is_some_and(|policy| is_recent(&policy.created_at, time, env.now))
    };
    let sent = body.get("policies").and_then(Value::as_array).into_iter().flatten();
    let named = sent.filter_map(|item| item.as_str().or_else(|| item.get("id")?.as_str()));
    let linked = state.access.apps.iter().flat_map(|app| &app.policies).map(|l| l.id.as_str());
    let late = match call.method {
        "GET" => linked.filter(|id| reusable(state, id)).find(|id| late(id)),
        _ => named.into_iter().find(|id| late(id)),
    };
    match late {
        Some(id) => Err(ApiError::new(400, 12130, format!("policy {id} not found"))),
        None => Ok(()),
    }
}

fn reusable(state: &State, id: &str) -> bool {
    state.access.policies.iter().any(|policy| policy.id == id && policy.app.is_none())
}

/// The answer as the quirks have it.
pub fn after(outcome: Outcome, call: &Call<'_>, env: &Env) -> Outcome {
    let mut answer = match outcome {
        Ok(answer) => answer,
        Err(error) => return Err(otherwise(error, env)),
    };
    if env.quirks.has(Quirk::NoConfigSrc) && call.path.contains("/cfd_tunnel") {
        for tunnel in each(&mut answer.result) {
            tunnel.shift_remove("config_src");
            tunnel.shift_remove("remote_config");
        }
    }
    if let Some(time) = env.quirks.lasts(Quirk::StaleLists)
        && let Value::Array(items) = &mut answer.result
        && call.method == "GET"
    {
        items.retain(|item| {
            let made = ["created_at", "created_on"].into_iter().find_map(|key| item[key].as_str());
            made.is_none_or(|made| !is_recent(made, time, env.now))
        });
        let count = items.len();
        if let Some(info) = &mut answer.info {
            info["count"] = count.into();
        }
    }
    Ok(answer)
}

/// The object of an answer, or those of its list.
fn each(result: &mut Value) -> Vec<&mut Map<String, Value>> {
    match result {
        Value::Object(object) => vec![object],
        Value::Array(items) => items.iter_mut().filter_map(Value::as_object_mut).collect(),
        _ => Vec::new(),
    }
}

/// A refusal with the status, code or text that the references leave possible.
fn otherwise(mut error: ApiError, env: &Env) -> ApiError {
    match error.code() {
        1013 if env.quirks.has(Quirk::TunnelConflict400) => error.status = 400,
        1022 if env.quirks.has(Quirk::ActiveConnections409) => {
            error.status = 409;
            error.errors[0]["message"] = json!("the tunnel has active connections");
        }
        _ => {}
    }
    if env.quirks.has(Quirk::OtherCodes) {
        error.errors.retain(|error| error["code"] != 7000);
        for error in &mut error.errors {
            let other = match error["code"].as_u64() {
                Some(9109) => 9106,
                Some(1000) => 1001,
                Some(1056) => 1057,
                Some(81053) => {
                    error["message"] = json!("A record with that host already exists.");
                    continue;
                }
                _ => continue,
            };
            error["code"] = json!(other);
        }
    }
    error
}

#[cfg(test)]
#[path = "quirky_tests.rs"]
mod tests;
