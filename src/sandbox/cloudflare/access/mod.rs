//! Zero Trust Access (contract 6): applications, policies, groups, identity providers, service
//! tokens and tags.

mod app_body;
mod apps;
mod directory;
mod links;
mod policies;
mod rules;
mod service_tokens;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::reply::{Answer, ApiError, Outcome, Paging};
use super::{Call, State as Cloudflare};
use crate::sandbox::env::Env;

/// Everything Access holds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct State {
    /// Applications.
    pub apps: Vec<apps::App>,
    /// Reusable policies and those of one application.
    pub policies: Vec<policies::Policy>,
    /// Identity providers.
    pub identity_providers: Vec<Item>,
    /// Groups.
    pub groups: Vec<Item>,
    /// Service tokens.
    pub service_tokens: Vec<service_tokens::ServiceToken>,
    /// Tags that applications may bear.
    pub tags: Vec<Item>,
}

/// An object that is answered as it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Item {
    /// UUID; a tag's is its name.
    pub id: String,
    /// The account it belongs to.
    pub account_id: String,
    /// What answers show.
    pub object: Map<String, Value>,
}

/// `/accounts/{account_id}` or `/zones/{zone_id}`.
#[derive(Debug, Clone)]
pub struct Scope {
    /// The account; a zone's is its owner.
    pub account: String,
    /// The zone, in zone scope.
    pub zone: Option<String>,
}

/// Rows a page of the lists whose parameters were not readable (contract 1.4).
const PAGING: Paging = Paging { default: 25, min: 1, max: 1000 };

/// `{scope}/access/…`.
pub fn handle(
    state: &mut Cloudflare,
    call: &Call<'_>,
    scope: &Scope,
    rest: &[&str],
    env: &mut Env,
) -> Outcome {
    match rest {
        ["apps", rest @ ..] => apps::handle(state, call, scope, rest, env),
        ["policies", rest @ ..] if scope.zone.is_none() => {
            policies::handle(&mut state.access, call, scope, rest, env)
        }
        ["groups", rest @ ..] => {
            directory::groups(&mut state.access, call, &scope.account, rest, env)
        }
        ["identity_providers", rest @ ..] => {
            directory::identity_providers(&mut state.access, call, &scope.account, rest, env)
        }
        ["service_tokens", rest @ ..] => {
            service_tokens::handle(&mut state.access, call, scope, rest, env)
        }
        ["tags", rest @ ..] if scope.zone.is_none() => {
            directory::tags(&mut state.access, call, &scope.account, rest, env)
        }
        ["organizations"] if call.method == "GET" => Ok(organization(&scope.account)),
        _ => Err(ApiError::no_route(call.path)),
    }
}

fn organization(account: &str) -> Answer {
    let team = team_domain(account);
    Answer::ok(json!({
        "name": team, "auth_domain": team, "login_design": {}, "is_ui_read_only": false,
        "auto_redirect_to_identity": false, "session_duration": "24h",
    }))
}

/// The account's domain of login pages.
fn team_domain(account: &str) -> String {
    format!("team-{}.cloudflareaccess.com", account.get(..8).unwrap_or(account))
}

/// What the organization has before anyone configures anything: a GitHub and a one-time-PIN
/// identity provider, and the applications of the WARP client and the App Launcher, which are
/// singletons (contract 6.1; 9, 8 and 11).
pub fn preset(state: &mut State, account: &str, env: &mut Env) {
    if state.identity_providers.iter().any(|item| item.account_id == account) {
        return;
    }
    let team = team_domain(account);
    for (name, kind) in [("GitHub", "github"), ("One-time PIN login", "onetimepin")] {
        let id = env.ids.uuid();
        let redirect = format!("https://{team}/cdn-cgi/access/callback");
        let config = match kind {
            "github" => json!({
                "client_id": format!("Iv1.{}", env.ids.hex(16)), "redirect_url": redirect }),
            _ => json!({ "redirect_url": redirect }),
        };
        let object = directory::provider_object(&id, name, kind, config, &env.ids.hex(32));
        state.identity_providers.push(Item { id, account_id: account.to_owned(), object });
    }
    for kind in ["warp", "app_launcher"] {
        state.apps.push(apps::App::singleton(kind, account, &team, env));
    }
}

/// Whether `text` is a duration as Go writes them, like `24h` or `1h30m`.
fn is_duration(text: &str) -> bool {
    let mut rest = text;
    if rest == "0" {
        return true;
    }
    if rest.is_empty() {
        return false;
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let (number, unit) = rest.split_at(digits);
        if number.parse::<f64>().is_err() {
            return false;
        }
        let units = ["ns", "us", "µs", "ms", "s", "m", "h"];
        let Some(found) = units.iter().find(|name| {
            unit.strip_prefix(**name).is_some_and(|after| {
                after.is_empty() || after.starts_with(|c: char| c.is_ascii_digit())
            })
        }) else {
            return false;
        };
        rest = &unit[found.len()..];
    }
    true
}

/// A member that must be a duration where it is written; null, "" and absence give `default`.
fn duration(body: &Map<String, Value>, default: &str) -> Result<String, ApiError> {
    match body.get("session_duration") {
        None | Some(Value::Null) => Ok(default.to_owned()),
        Some(Value::String(text)) if text.is_empty() => Ok(default.to_owned()),
        Some(Value::String(text)) if is_duration(text) => Ok(text.clone()),
        Some(_) => Err(ApiError::invalid_request("session_duration must be a duration like 24h")),
    }
}

/// A name that must be written.
fn required_name(body: &Map<String, Value>) -> Result<String, ApiError> {
    super::text(body, "name")
        .filter(|name| !name.trim().is_empty())
        .map(str::to_owned)
        .ok_or_else(|| ApiError::invalid_request("name is required"))
}

#[cfg(test)]
mod tests {
    use super::is_duration;

    #[test]
    fn durations_are_gos() {
        for right in ["24h", "1h30m", "0", "30s", "1.5h", "8760h", "300ms"] {
            assert!(is_duration(right), "{right}");
        }
        for wrong in ["", "24", "h", "1d", "24 h", "-", "1h x"] {
            assert!(!is_duration(wrong), "{wrong}");
        }
    }
}
