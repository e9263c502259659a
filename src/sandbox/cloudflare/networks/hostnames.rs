//! Routes by hostname (contract 5.2).

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{PAGING, nothing_changed, tunnel};
use crate::sandbox::cloudflare::reply::{Answer, ApiError, Outcome, existed, page};
use crate::sandbox::cloudflare::{Call, State, is_uuid, text};
use crate::sandbox::env::Env;
use crate::sandbox::quirks::Quirk;

/// A route of a private hostname to a tunnel.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HostnameRoute {
    /// UUID.
    pub id: String,
    account_id: String,
    /// Unique among the account's live routes.
    pub hostname: String,
    /// The tunnel it leads to.
    pub tunnel_id: String,
    comment: String,
    created_at: String,
    /// Set on tombstones.
    pub deleted_at: Option<String>,
}

/// `/accounts/{account}/zerotrust/routes/hostname/…`
pub fn handle(
    state: &mut State,
    call: &Call<'_>,
    account: &str,
    rest: &[&str],
    env: &mut Env,
) -> Outcome {
    match (rest, call.method) {
        ([], "GET") => list(state, call, account),
        ([], "POST") => create(state, call, account, env),
        ([id], "GET" | "PATCH" | "DELETE") if is_uuid(id) => {
            let routes = &state.networks.hostname_routes;
            let at = routes.iter().position(|r| r.id == **id && r.account_id == account);
            let at = at.ok_or_else(not_found)?;
            match call.method {
                "GET" => Ok(Answer::ok(shown(state, &routes[at]))),
                _ if routes[at].deleted_at.is_some() => Err(not_found()),
                "PATCH" => update(state, call, at),
                _ => {
                    state.networks.hostname_routes[at].deleted_at = Some(env.stamp());
                    Ok(Answer::ok(shown(state, &state.networks.hostname_routes[at])))
                }
            }
        }
        ([], method) => Err(ApiError::no_method(method)),
        ([id], method) if is_uuid(id) => Err(ApiError::no_method(method)),
        _ => Err(ApiError::no_route(call.path)),
    }
}

/// The contract knows the status alone.
fn not_found() -> ApiError {
    ApiError::new(404, 1015, "Hostname route not found")
}

fn shown(state: &State, route: &HostnameRoute) -> Value {
    let tunnel = state.tunnels.iter().find(|tunnel| tunnel.id == route.tunnel_id);
    json!({
        "id": route.id, "hostname": route.hostname, "tunnel_id": route.tunnel_id,
        "tunnel_name": tunnel.map(|tunnel| &tunnel.name), "tun_type": "cfd_tunnel",
        "comment": route.comment, "created_at": route.created_at, "deleted_at": route.deleted_at,
    })
}

fn list(state: &State, call: &Call<'_>, account: &str) -> Outcome {
    let query = call.query();
    // A part of the hostname is enough (contract 5.2).
    let part = query.get("hostname").map(str::to_lowercase);
    let existed_at = query.time("existed_at")?;
    let rows = state.networks.hostname_routes.iter().filter(|route| {
        route.account_id == account
            && query.get("id").is_none_or(|id| route.id == id)
            && part.as_ref().is_none_or(|part| route.hostname.contains(part))
            && query.get("tunnel_id").is_none_or(|id| route.tunnel_id == id)
            && query.get("comment").is_none_or(|comment| route.comment == comment)
            && query.flag("is_deleted").is_none_or(|wanted| wanted == route.deleted_at.is_some())
            && existed(existed_at, &route.created_at, route.deleted_at.as_deref())
    });
    page(rows.map(|route| shown(state, route)).collect(), query, PAGING)
}

fn hostname(text: &str) -> Result<String, ApiError> {
    let name = text.trim_end_matches('.');
    let right = !name.is_empty()
        && name.len() <= 253
        && name.split('.').all(|label| !label.is_empty())
        && !name.contains(['/', ':', ' ']);
    let wrong = || ApiError::new(400, 1001, format!("invalid hostname {text}"));
    right.then(|| name.to_lowercase()).ok_or_else(wrong)
}

/// The live route of a hostname, but for one.
fn of<'a>(state: &'a State, wanted: &HostnameRoute) -> Option<&'a HostnameRoute> {
    state.networks.hostname_routes.iter().find(|route| {
        route.account_id == wanted.account_id
            && route.id != wanted.id
            && route.deleted_at.is_none()
            && route.hostname == wanted.hostname
    })
}

fn taken(hostname: &str) -> ApiError {
    ApiError::new(409, 1014, format!("{hostname} is already routed to another tunnel"))
}

fn create(state: &mut State, call: &Call<'_>, account: &str, env: &mut Env) -> Outcome {
    let body = call.object()?;
    let missing = |name: &str| ApiError::new(400, 1001, format!("{name} is required"));
    let name = hostname(text(&body, "hostname").ok_or_else(|| missing("hostname"))?)?;
    let id = text(&body, "tunnel_id").ok_or_else(|| missing("tunnel_id"))?;
    let route = HostnameRoute {
        id: env.ids.uuid(),
        account_id: account.to_owned(),
        hostname: name,
        tunnel_id: tunnel(state, account, id)?.id.clone(),
        comment: text(&body, "comment").unwrap_or_default().to_owned(),
        created_at: env.stamp(),
        deleted_at: None,
    };
    if let Some(there) = of(state, &route) {
        // What the same route to the same tunnel comes to is not known (contract 5.2).
        let same = there.tunnel_id == route.tunnel_id;
        return match same && env.open(Quirk::SameHostnameRoute) {
            true => Ok(Answer::ok(shown(state, there))),
            false => Err(taken(&route.hostname)),
        };
    }
    let answer = shown(state, &route);
    state.networks.hostname_routes.push(route);
    Ok(Answer::ok(answer))
}

fn update(state: &mut State, call: &Call<'_>, at: usize) -> Outcome {
    let body = call.object()?;
    let before = state.networks.hostname_routes[at].clone();
    let mut route = before.clone();
    if let Some(name) = text(&body, "hostname") {
        route.hostname = hostname(name)?;
    }
    if let Some(id) = text(&body, "tunnel_id") {
        route.tunnel_id = tunnel(state, &route.account_id, id)?.id.clone();
    }
    if let Some(comment) = text(&body, "comment") {
        route.comment = comment.to_owned();
    }
    if shown(state, &route) == shown(state, &before) {
        return Err(nothing_changed());
    }
    if of(state, &route).is_some() {
        return Err(taken(&route.hostname));
    }
    let answer = shown(state, &route);
    state.networks.hostname_routes[at] = route;
    Ok(Answer::ok(answer))
}
