//! Service tokens (contract 6.4): the secret is said once.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{PAGING, Scope, State, is_duration, required_name};
use crate::sandbox::cloudflare::reply::{Answer, ApiError, Outcome, page};
use crate::sandbox::cloudflare::{Call, text};
use crate::sandbox::env::{Env, stamp};
use crate::sandbox::quirks::Quirk;

/// A service token.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServiceToken {
    /// UUID.
    pub id: String,
    account_id: String,
    name: String,
    duration: String,
    /// 32 hexadecimal digits and `.access`.
    pub client_id: String,
    /// 64 hexadecimal digits; only create and rotate answer it.
    pub client_secret: String,
    client_secret_version: u64,
    previous_client_secret_expires_at: Option<String>,
    enabled: bool,
    expires_at: Option<String>,
    created_at: String,
    updated_at: String,
}

/// `{scope}/access/service_tokens/…`.
pub fn handle(
    state: &mut State,
    call: &Call<'_>,
    scope: &Scope,
    rest: &[&str],
    env: &mut Env,
) -> Outcome {
    let [id, rest @ ..] = rest else {
        return match call.method {
            "GET" => list(state, call, scope),
            "POST" => create(state, call, scope, env),
            method => Err(ApiError::no_method(method)),
        };
    };
    let found = |t: &ServiceToken| t.id == **id && t.account_id == scope.account;
    let at = state
        .service_tokens
        .iter()
        .position(found)
        .ok_or_else(|| ApiError::new(404, 12135, "access.api.error.service_token_not_found"))?;
    match (call.method, rest) {
        ("GET", []) => Ok(Answer::ok(state.service_tokens[at].shown())),
        ("PUT", []) => {
            let token = &mut state.service_tokens[at];
            let before = token.client_secret.clone();
            token.update(&call.object()?, env)?;
            let tells = token.client_secret != before && env.quirks.has(Quirk::PutTellsSecret);
            Ok(Answer::ok(if tells { token.shown_with_secret() } else { token.shown() }))
        }
        ("DELETE", []) => Ok(Answer::ok(state.service_tokens.remove(at).shown())),
        ("POST", ["rotate"]) if scope.zone.is_none() => {
            let token = &mut state.service_tokens[at];
            let body = if call.body.is_empty() { Map::new() } else { call.object()? };
            let until = text(&body, "previous_client_secret_expires_at").map(str::to_owned);
            token.rotate(until, env);
            Ok(Answer::ok(token.shown_with_secret()))
        }
        ("POST", ["refresh"]) if scope.zone.is_none() => {
            let token = &mut state.service_tokens[at];
            token.expires_at = expiry(&token.duration, env.now);
            token.updated_at = env.stamp();
            Ok(Answer::ok(token.shown()))
        }
        (method, []) => Err(ApiError::no_method(method)),
        _ => Err(ApiError::no_route(call.path)),
    }
}

fn list(state: &State, call: &Call<'_>, scope: &Scope) -> Outcome {
    let query = call.query();
    let named = |token: &ServiceToken, wanted: &str| {
        token.name.to_lowercase().contains(&wanted.to_lowercase())
    };
    let rows = state.service_tokens.iter().filter(|token| {
        token.account_id == scope.account
            && query.get("name").is_none_or(|wanted| named(token, wanted))
            && query.get("search").is_none_or(|wanted| named(token, wanted))
    });
    page(rows.map(ServiceToken::shown).collect(), query, PAGING)
}

fn create(state: &mut State, call: &Call<'_>, scope: &Scope, env: &mut Env) -> Outcome {
    let body = call.object()?;
    let mut token = ServiceToken {
        id: env.ids.uuid(),
        account_id: scope.account.clone(),
        name: required_name(&body)?,
        duration: "8760h".to_owned(),
        client_id: format!("{}.access", env.ids.hex(32)),
        client_secret: env.ids.hex(64),
        client_secret_version: 1,
        previous_client_secret_expires_at: None,
        enabled: true,
        expires_at: expiry("8760h", env.now),
        created_at: env.stamp(),
        updated_at: env.stamp(),
    };
    token.take(&body, env)?;
    let answer = token.shown_with_secret();
    state.service_tokens.push(token);
    Ok(Answer::created(answer))
}

impl ServiceToken {
    /// The members that a body may give at any time.
    fn take(&mut self, body: &Map<String, Value>, env: &Env) -> Result<(), ApiError> {
        if let Some(duration) = text(body, "duration") {
            if duration != "forever" && !is_duration(duration) {
                let text = "duration must be a duration like 8760h, or forever";
                return Err(ApiError::invalid_request(text));
            }
            if duration != self.duration {
                self.duration = duration.to_owned();
                self.expires_at = expiry(duration, env.now);
            }
        }
        if let Some(enabled) = body.get("enabled").and_then(Value::as_bool) {
            self.enabled = enabled;
        }
        Ok(())
    }

    fn update(&mut self, body: &Map<String, Value>, env: &mut Env) -> Result<(), ApiError> {
        let mut changed = self.clone();
        changed.take(body, env)?;
        if body.contains_key("name") {
            changed.name = required_name(body)?;
        }
        if let Some(version) = body.get("client_secret_version").and_then(Value::as_u64)
            && version > changed.client_secret_version
        {
            let until = text(body, "previous_client_secret_expires_at").map(str::to_owned);
            changed.rotate(until, env);
            changed.client_secret_version = version;
        }
        changed.updated_at = env.stamp();
        *self = changed;
        Ok(())
    }

    fn rotate(&mut self, previous_until: Option<String>, env: &mut Env) {
        self.client_secret = env.ids.hex(64);
        self.client_secret_version += 1;
        self.previous_client_secret_expires_at = previous_until;
        self.updated_at = env.stamp();
    }

    fn shown(&self) -> Value {
        json!({
            "id": self.id, "name": self.name, "client_id": self.client_id,
            "duration": self.duration, "enabled": self.enabled, "expires_at": self.expires_at,
            "client_secret_version": self.client_secret_version,
            "previous_client_secret_expires_at": self.previous_client_secret_expires_at,
            "last_seen_at": null, "created_at": self.created_at, "updated_at": self.updated_at,
        })
    }

    fn shown_with_secret(&self) -> Value {
        let mut object = self.shown();
        object["client_secret"] = json!(self.client_secret);
        object
    }
}

/// When a token of this duration that begins now ends; `forever` does not.
fn expiry(duration: &str, now: Timestamp) -> Option<String> {
    let duration: SignedDuration = duration.parse().ok()?;
    now.checked_add(duration).ok().map(stamp)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::sandbox::cloudflare::testing::Sandbox;

    #[test]
    fn the_secret_is_said_once() {
        let mut sandbox = Sandbox::new();
        let path = format!("/accounts/{}/access/service_tokens", sandbox.account());
        let (status, made) = sandbox.call("POST", &path, Some(json!({"name": "CI"})));
        assert_eq!(status, 201);
        let made = made["result"].clone();
        assert_eq!(made["client_secret"].as_str().unwrap().len(), 64);
        assert_eq!(made["expires_at"], "2027-01-02T03:04:05.000000Z");
        let one = format!("{path}/{}", made["id"].as_str().unwrap());
        assert!(sandbox.get(&one)["result"].get("client_secret").is_none());
        let rotated = sandbox.call("POST", &format!("{one}/rotate"), None).1["result"].clone();
        assert_ne!(rotated["client_secret"], made["client_secret"]);
        assert_eq!(rotated["client_id"], made["client_id"]);
        assert_eq!(rotated["client_secret_version"], 2);
        let refreshed = sandbox.call("POST", &format!("{one}/refresh"), None);
        assert!(refreshed.1["result"].get("client_secret").is_none());
        assert_eq!(sandbox.status("POST", &path, Some(json!({"name": "CI"}))), 201);
        assert_eq!(sandbox.status("DELETE", &one, None), 200);
        assert_eq!(sandbox.refusal("DELETE", &one, None), (404, 12135));
    }
}
