//! The account's audit log, version 2: who changed what, and how. Only what succeeded is in it here.

use base64::prelude::*;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::reply::{Answer, ApiError, Outcome, Query};
use super::tokens::ApiToken;
use super::{Call, State, is_hex_id, is_uuid};
use crate::sandbox::env::Env;

/// Entries that are kept.
const KEPT: usize = 5000;
/// Entries of a page, where nothing is said and at most.
const PAGE: (usize, usize) = (100, 1000);

/// A change that was made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry {
    id: String,
    time: String,
    actor: Value,
    method: String,
    uri: String,
    status: u16,
    product: String,
    resource: Option<String>,
    zone: Option<String>,
}

/// What a path ends in that names an object.
fn is_id(part: &&str) -> bool {
    is_hex_id(part) || is_uuid(part)
}

/// Notes a change, by a token or, where the request says so, by a person in the dashboard.
pub fn note(state: &mut State, call: &Call<'_>, answer: &Answer, token: &ApiToken, env: &mut Env) {
    let reads = matches!(call.method, "GET" | "HEAD" | "OPTIONS");
    let parts: Vec<&str> = call.path.split('/').skip(3).collect();
    let ["accounts" | "zones", scope, rest @ ..] = parts.as_slice() else { return };
    if reads {
        return;
    }
    let actor = match &env.user {
        Some(email) => json!({ "context": "dash", "email": email, "type": "user" }),
        None => json!({
            "context": "api_token", "email": "owner@example.com", "type": "user",
            "token_id": token.id, "token_name": token.name,
        }),
    };
    let named = rest.iter().rev().copied().find(is_id).map(str::to_owned);
    let made = answer.result.get("id").and_then(Value::as_str).map(str::to_owned);
    let entry = Entry {
        id: env.ids.hex(32),
        time: env.stamp(),
        actor,
        method: call.method.to_owned(),
        uri: call.path.to_owned(),
        status: answer.status,
        product: rest.first().copied().unwrap_or_default().to_owned(),
        resource: if call.method == "POST" { made.or(named) } else { named.or(made) },
        zone: (parts[0] == "zones").then(|| (*scope).to_owned()),
    };
    state.audit.push(entry);
    let over = state.audit.len().saturating_sub(KEPT);
    state.audit.drain(..over);
}

fn shown(entry: &Entry, state: &State, account: &str) -> Value {
    let action = match entry.method.as_str() {
        "POST" => "create",
        "DELETE" => "delete",
        _ => "update",
    };
    let named = state.accounts.iter().find(|one| one.id == account);
    let zone = entry.zone.as_ref().map(|id| {
        let name = state.zones.iter().find(|zone| zone.id == *id).map(|zone| &zone.name);
        json!({ "id": id, "name": name })
    });
    let mut out = json!({
        "id": entry.id,
        "account": { "id": account, "name": named.map(|one| &one.name) },
        "action": { "result": "success", "time": entry.time, "type": action },
        "actor": entry.actor,
        "raw": { "method": entry.method, "status_code": entry.status, "uri": entry.uri },
        "resource": {
            "product": entry.product, "type": entry.product, "id": entry.resource,
            "scope": if zone.is_some() { "zones" } else { "accounts" },
        },
    });
    if let Some(zone) = zone {
        out["zone"] = zone;
    }
    out
}

/// A day, or a moment: the day's beginning.
fn moment(query: Query<'_>, name: &str) -> Result<Timestamp, ApiError> {
    let wrong = || ApiError::new(400, 1001, format!("{name} must be a date or an RFC 3339 time"));
    let text = query.get(name).ok_or_else(wrong)?;
    let day = || format!("{text}T00:00:00Z").parse();
    text.parse().or_else(|_| day()).map_err(|_| wrong())
}

/// `GET /accounts/{id}/logs/audit`: between two times, which have to be said, by cursor.
pub fn list(state: &State, call: &Call<'_>, account: &str) -> Outcome {
    let query = call.query();
    let (since, before) = (moment(query, "since")?, moment(query, "before")?);
    let bad = |name: &str| ApiError::new(400, 1001, format!("Invalid query parameter {name}"));
    let limit = query.get("limit").map_or(Ok(PAGE.0), str::parse).map_err(|_| bad("limit"))?;
    if limit == 0 || limit > PAGE.1 {
        return Err(bad("limit"));
    }
    let passed = match query.get("cursor") {
        None => 0,
        Some(cursor) => {
            let bytes = BASE64_URL_SAFE.decode(cursor).map_err(|_| bad("cursor"))?;
            let text = String::from_utf8(bytes).map_err(|_| bad("cursor"))?;
            text.parse::<usize>().map_err(|_| bad("cursor"))?
        }
    };
    let within =
        |entry: &&Entry| entry.time.parse::<Timestamp>().is_ok_and(|at| since <= at && at < before);
    let mut rows: Vec<&Entry> = state.audit.iter().filter(within).collect();
    match query.get("direction") {
        None | Some("desc") => rows.reverse(),
        Some("asc") => {}
        Some(_) => return Err(bad("direction")),
    }
    let page: Vec<Value> =
        rows.iter().skip(passed).take(limit).map(|entry| shown(entry, state, account)).collect();
    let end = passed + page.len();
    let after = (end < rows.len()).then(|| BASE64_URL_SAFE.encode(end.to_string()));
    let mut info = json!({ "count": page.len(), "cursors": {} });
    if let Some(after) = after {
        info["cursors"]["after"] = json!(after);
    }
    Ok(Answer { info: Some(info), ..Answer::ok(Value::Array(page)) })
}
