//! Routes by subnet (contract 5.1).

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{PAGING, nothing_changed, tunnel, unknown_network};
use crate::sandbox::cloudflare::reply::{Answer, ApiError, Outcome, existed, page};
use crate::sandbox::cloudflare::{Call, State, is_uuid, text};
use crate::sandbox::env::Env;

/// A route of a subnet to a tunnel.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Route {
    /// UUID.
    pub id: String,
    account_id: String,
    /// The subnet in canonical form.
    pub network: String,
    /// The tunnel it leads to.
    pub tunnel_id: String,
    comment: String,
    /// The virtual network it belongs to.
    pub virtual_network_id: String,
    created_at: String,
    /// Set on tombstones.
    pub deleted_at: Option<String>,
}

/// A subnet: address with the host's bits zero, and length of the prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Subnet {
    address: IpAddr,
    length: u8,
}

impl Subnet {
    /// A subnet in CIDR notation; a bare address stands for itself (contract 5.1, a doubt).
    fn parse(text: &str) -> Option<Subnet> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length.parse::<u8>().ok()?)),
            None => (text, None),
        };
        match address.parse::<IpAddr>().ok()? {
            IpAddr::V4(v4) => {
                let length = length.unwrap_or(32);
                let mask = u32::MAX.checked_shl(u32::from(32_u8.checked_sub(length)?)).unwrap_or(0);
                Some(Subnet { address: IpAddr::V4((v4.to_bits() & mask).into()), length })
            }
            IpAddr::V6(v6) => {
                let length = length.unwrap_or(128);
                let away = u32::from(128_u8.checked_sub(length)?);
                let mask = u128::MAX.checked_shl(away).unwrap_or(0);
                Some(Subnet { address: IpAddr::V6((v6.to_bits() & mask).into()), length })
            }
        }
    }

    /// Whether the other lies within this one.
    fn holds(&self, other: &Subnet) -> bool {
        self.length <= other.length
            && self.address.is_ipv4() == other.address.is_ipv4()
            && Subnet::parse(&format!("{}/{}", other.address, self.length)) == Some(*self)
    }

    fn text(&self) -> String {
        format!("{}/{}", self.address, self.length)
    }
}

/// `/accounts/{account}/teamnet/routes/…`
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
        (["ip", address], "GET") => by_address(state, call, account, address),
        ([id], "GET" | "PATCH" | "DELETE") if is_uuid(id) => {
            let routes = &state.networks.routes;
            let at = routes.iter().position(|r| r.id == **id && r.account_id == account);
            let at = at.ok_or_else(not_routed)?;
            match call.method {
                "GET" => Ok(Answer::ok(shown(&routes[at]))),
                _ if routes[at].deleted_at.is_some() => Err(not_routed()),
                "PATCH" => update(state, call, at),
                _ => {
                    let route = &mut state.networks.routes[at];
                    route.deleted_at = Some(env.stamp());
                    Ok(Answer::ok(shown(route)))
                }
            }
        }
        ([], method) => Err(ApiError::no_method(method)),
        ([id], method) if is_uuid(id) => Err(ApiError::no_method(method)),
        _ => Err(ApiError::no_route(call.path)),
    }
}

fn not_routed() -> ApiError {
    let text = "You are trying to modify the route for a network that isn't routed. Please add the \
                network before modifying it. Or, check that you specified the correct network.";
    ApiError::new(404, 1015, text)
}

fn no_subnet(text: &str) -> ApiError {
    ApiError::new(400, 1001, format!("Could not parse input: invalid address {text}"))
}

/// Creating and changing answer less than lists (contract 5.1).
fn shown(route: &Route) -> Value {
    json!({
        "id": route.id, "network": route.network, "tunnel_id": route.tunnel_id,
        "comment": route.comment, "virtual_network_id": route.virtual_network_id,
        "created_at": route.created_at, "deleted_at": route.deleted_at,
    })
}

fn listed(state: &State, route: &Route) -> Value {
    let mut row = shown(route);
    let tunnel = state.tunnels.iter().find(|tunnel| tunnel.id == route.tunnel_id);
    let networks = &state.networks.virtual_networks;
    let network = networks.iter().find(|network| network.id == route.virtual_network_id);
    row["tunnel_name"] = json!(tunnel.map(|tunnel| &tunnel.name));
    row["tun_type"] = json!("cfd_tunnel");
    row["virtual_network_name"] = json!(network.map(|network| &network.name));
    row
}

fn list(state: &State, call: &Call<'_>, account: &str) -> Outcome {
    let query = call.query();
    let subnet = |name: &str| -> Result<Option<Subnet>, ApiError> {
        let Some(text) = query.get(name) else { return Ok(None) };
        Subnet::parse(text).map(Some).ok_or_else(|| no_subnet(text))
    };
    let (within, around) = (subnet("network_subset")?, subnet("network_superset")?);
    let existed_at = query.time("existed_at")?;
    let rows = state.networks.routes.iter().filter(|route| {
        let own = Subnet::parse(&route.network);
        route.account_id == account
            && query.get("comment").is_none_or(|comment| route.comment == comment)
            && query.get("tunnel_id").is_none_or(|id| route.tunnel_id == id)
            && query.get("route_id").is_none_or(|id| route.id == id)
            && query.get("virtual_network_id").is_none_or(|id| route.virtual_network_id == id)
            && query.get("tun_types").is_none_or(|t| t.split(',').any(|t| t == "cfd_tunnel"))
            && query.flag("is_deleted").is_none_or(|wanted| wanted == route.deleted_at.is_some())
            && existed(existed_at, &route.created_at, route.deleted_at.as_deref())
            && within.is_none_or(|outer| own.is_some_and(|own| outer.holds(&own)))
            && around.is_none_or(|inner| own.is_some_and(|own| own.holds(&inner)))
    });
    page(rows.map(|route| listed(state, route)).collect(), query, PAGING)
}

fn by_address(state: &State, call: &Call<'_>, account: &str, address: &str) -> Outcome {
    let inner = Subnet::parse(address).ok_or_else(|| no_subnet(address))?;
    let network = match call.query().get("virtual_network_id") {
        Some(id) => id.to_owned(),
        None => default_network(state, account)?,
    };
    let fitting = state.networks.routes.iter().filter(|route| {
        route.account_id == account
            && route.deleted_at.is_none()
            && route.virtual_network_id == network
            && Subnet::parse(&route.network).is_some_and(|own| own.holds(&inner))
    });
    let narrowest = fitting.max_by_key(|route| Subnet::parse(&route.network).map(|own| own.length));
    narrowest.map(|route| Answer::ok(listed(state, route))).ok_or_else(not_routed)
}

fn default_network(state: &State, account: &str) -> Result<String, ApiError> {
    let networks = &state.networks.virtual_networks;
    let found = networks.iter().find(|network| network.account_id == account && network.is_default);
    found.map(|network| network.id.clone()).ok_or_else(unknown_network)
}

/// What a body says of a route, checked.
struct Said {
    network: Option<String>,
    tunnel_id: Option<String>,
    comment: Option<String>,
    virtual_network_id: Option<String>,
}

fn said(state: &State, account: &str, body: &Map<String, Value>) -> Result<Said, ApiError> {
    let network = match text(body, "network") {
        Some(network) => Some(Subnet::parse(network).ok_or_else(|| no_subnet(network))?.text()),
        None => None,
    };
    let tunnel_id = match text(body, "tunnel_id") {
        Some(id) => Some(tunnel(state, account, id)?.id.clone()),
        None => None,
    };
    let virtual_network_id = match text(body, "virtual_network_id").filter(|id| !id.is_empty()) {
        Some(id) => {
            let networks = &state.networks.virtual_networks;
            let known = networks.iter().any(|n| n.id == id && n.account_id == account);
            Some(known.then(|| id.to_owned()).ok_or_else(unknown_network)?)
        }
        None => None,
    };
    let comment = text(body, "comment").map(str::to_owned);
    Ok(Said { network, tunnel_id, comment, virtual_network_id })
}

fn taken(state: &State, wanted: &Route) -> Result<(), ApiError> {
    let clash = state.networks.routes.iter().any(|route| {
        route.account_id == wanted.account_id
            && route.id != wanted.id
            && route.deleted_at.is_none()
            && route.network == wanted.network
            && route.virtual_network_id == wanted.virtual_network_id
    });
    let text = "You already have a route defined for this exact IP subnet";
    if clash { Err(ApiError::new(409, 1014, text)) } else { Ok(()) }
}

fn create(state: &mut State, call: &Call<'_>, account: &str, env: &mut Env) -> Outcome {
    let body = call.object()?;
    let said = said(state, account, &body)?;
    let missing = |name: &str| ApiError::new(400, 1001, format!("{name} is required"));
    let virtual_network_id = match said.virtual_network_id {
        Some(id) => id,
        None => default_network(state, account)?,
    };
    let route = Route {
        id: env.ids.uuid(),
        account_id: account.to_owned(),
        network: said.network.ok_or_else(|| missing("network"))?,
        tunnel_id: said.tunnel_id.ok_or_else(|| missing("tunnel_id"))?,
        comment: said.comment.unwrap_or_default(),
        virtual_network_id,
        created_at: env.stamp(),
        deleted_at: None,
    };
    taken(state, &route)?;
    let answer = shown(&route);
    state.networks.routes.push(route);
    Ok(Answer::ok(answer))
}

fn update(state: &mut State, call: &Call<'_>, at: usize) -> Outcome {
    let body = call.object()?;
    let before = state.networks.routes[at].clone();
    let said = said(state, &before.account_id, &body)?;
    let mut route = before.clone();
    route.network = said.network.unwrap_or(route.network);
    route.tunnel_id = said.tunnel_id.unwrap_or(route.tunnel_id);
    route.comment = said.comment.unwrap_or(route.comment);
    route.virtual_network_id = said.virtual_network_id.unwrap_or(route.virtual_network_id);
    if shown(&route) == shown(&before) {
        return Err(nothing_changed());
    }
    taken(state, &route)?;
    let answer = shown(&route);
    state.networks.routes[at] = route;
    Ok(Answer::ok(answer))
}
