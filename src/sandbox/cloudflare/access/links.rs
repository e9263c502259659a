//! An application's `policies`: links to reusable policies, or policies of its own
//! (contract 6.1.1).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::State;
use super::policies::Policy;
use crate::sandbox::cloudflare::reply::ApiError;
use crate::sandbox::cloudflare::text;
use crate::sandbox::env::Env;
use crate::sandbox::quirks::Quirk;

/// A policy at its place in an application.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// The policy's id.
    pub id: String,
    /// Unique in the application; lower goes first.
    pub precedence: u64,
}

/// One item as it was sent.
enum Sent {
    Link(String),
    Own { id: Option<String>, body: Map<String, Value> },
}

/// What a body's `policies` comes to: the links in order, with policies made or changed on the
/// way. Nothing of `state` is changed.
pub struct Resolved {
    /// In order of precedence.
    pub links: Vec<Link>,
    /// The application's own policies, new ones and replaced ones.
    pub own: Vec<Policy>,
}

/// Reads `policies`; `None` where it is absent or null, which leaves what there is.
pub fn resolve(
    state: &State,
    body: &Map<String, Value>,
    account: &str,
    app: &str,
    env: &mut Env,
) -> Result<Option<Resolved>, ApiError> {
    let items = match body.get("policies") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Array(items)) => items,
        Some(_) => return Err(ApiError::invalid_request("policies must be a list")),
    };
    let mut resolved = Resolved { links: Vec::new(), own: Vec::new() };
    let (mut reusable, mut fresh) = (false, false);
    for item in items {
        let (sent, precedence) = read(item)?;
        let id = match sent {
            Sent::Link(id) => {
                let policy = usable(state, &id, account, app)?;
                reusable |= policy.app.is_none();
                id
            }
            Sent::Own { id, body } => match id.map(|id| usable(state, &id, account, app)) {
                Some(policy) => {
                    let policy = policy?;
                    reusable |= policy.app.is_none();
                    if policy.app.is_some() {
                        let mut policy = policy.clone();
                        policy.replace(&body, env)?;
                        resolved.own.push(policy.clone());
                    }
                    policy.id.clone()
                }
                None => {
                    fresh = true;
                    let policy = Policy::made(&body, account, Some(app), env)?;
                    let id = policy.id.clone();
                    resolved.own.push(policy);
                    id
                }
            },
        };
        if resolved.links.iter().any(|link| link.id == id) {
            return Err(ApiError::invalid_request(format_args!("policy {id} is given twice")));
        }
        let previous = resolved.links.last().map_or(0, |link| link.precedence);
        let precedence = precedence.unwrap_or(previous + 1);
        if resolved.links.iter().any(|link| link.precedence == precedence) {
            return Err(taken(precedence));
        }
        resolved.links.push(Link { id, precedence });
    }
    if reusable && fresh && !env.quirks.has(Quirk::MixedPolicies) {
        let text = "reusable and inline policies are mutually exclusive";
        return Err(ApiError::invalid_request(text));
    }
    resolved.links.sort_by_key(|link| link.precedence);
    Ok(Some(resolved))
}

/// The refusal of a precedence that another policy has.
pub fn taken(precedence: u64) -> ApiError {
    ApiError::invalid_request(format_args!("precedence {precedence} is given twice"))
}

/// A body's precedence, which is at least 1.
pub fn precedence(body: &Map<String, Value>) -> Result<Option<u64>, ApiError> {
    match body.get("precedence") {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64() {
            Some(number) if number >= 1 => Ok(Some(number)),
            _ => Err(ApiError::invalid_request("precedence must be an integer from 1")),
        },
    }
}

fn read(item: &Value) -> Result<(Sent, Option<u64>), ApiError> {
    match item {
        Value::String(id) => Ok((Sent::Link(id.clone()), None)),
        Value::Object(body) => {
            let precedence = precedence(body)?;
            let id = text(body, "id").map(str::to_owned);
            let inline = body.contains_key("include") || body.contains_key("decision");
            match (id, inline) {
                (Some(id), false) => Ok((Sent::Link(id), precedence)),
                (id, _) => Ok((Sent::Own { id, body: body.clone() }, precedence)),
            }
        }
        _ => Err(ApiError::invalid_request("each policy must be an id or an object")),
    }
}

/// A policy that the application may bear: a reusable one of the account, or one of its own.
fn usable<'a>(
    state: &'a State,
    id: &str,
    account: &str,
    app: &str,
) -> Result<&'a Policy, ApiError> {
    state
        .policies
        .iter()
        .find(|policy| {
            policy.id == id
                && policy.account_id == account
                && policy.app.as_deref().is_none_or(|owner| owner == app)
        })
        .ok_or_else(|| ApiError::new(400, 12130, format!("policy {id} not found")))
}
