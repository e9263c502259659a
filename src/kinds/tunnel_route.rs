//! A route of a private subnet to a tunnel, for clients of WARP (contract 5.1).

use std::net::IpAddr;

use schemars::JsonSchema;
use serde_json::json;

use super::compare;
use super::forms::{self, Form, NormalForm, rule};
use super::route;
use super::support::{fields, moment, pick, text};
use crate::model::call::{Answer, Call, Service};
use crate::model::change::FieldChange;
use crate::model::kind::{Diffed, Facts, Kind, KindError, Locate, Next, Output, Problem, Work};
use crate::model::observed::Remote;
use crate::model::scope::{Need, Scope, VirtualNetwork};
use crate::model::{Json, JsonMap};

/// A route of a private subnet to a tunnel.
#[derive(Debug, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TunnelRouteSpec {
    /// The subnet (`10.0.0.0/8`, `fd00::/64`), or one address.
    pub network: String,
    /// The tunnel's id: `${tunnel.<name>.id}`.
    pub tunnel: String,
    /// The virtual network, by name or id; the account's default one where nothing is said.
    pub virtual_network: Option<String>,
    /// A note.
    pub comment: Option<String>,
}

/// The kind `tunnel_route`.
pub struct TunnelRoute;

/// Its normal forms; the virtual network's, that none is the default one (contract 8), is in
/// `declare` and `read`, since it takes the account's networks.
#[rustfmt::skip]
const FORMS: &[NormalForm] = &[
    rule("network", Form::Spelt(|network, _| spelt_subnet(network))), // 8: canonical CIDR
    route::COMMENT,                                                   // 8
];

const NAMES: [(&str, &str); 4] = [
    ("network", "network"),
    ("tunnel", "tunnel_id"),
    ("virtual_network", "virtual_network_id"),
    ("comment", "comment"),
];

fn collection(scope: &Scope) -> String {
    format!("/accounts/{}/teamnet/routes", scope.account_id)
}

/// A subnet as the API answers it: the bits of hosts are zero, IPv6 is short, and one address has
/// the whole length. None for what is no subnet.
pub(super) fn subnet(written: &str) -> Option<String> {
    let (address, length) = match written.trim().split_once('/') {
        Some((address, length)) => (address, Some(length.parse::<u8>().ok()?)),
        None => (written.trim(), None),
    };
    let (address, length): (IpAddr, u8) = match address.parse().ok()? {
        IpAddr::V4(v4) => {
            let length = length.unwrap_or(32);
            let away = u32::from(32_u8.checked_sub(length)?);
            let mask = u32::MAX.checked_shl(away).unwrap_or(0);
            (IpAddr::V4((v4.to_bits() & mask).into()), length)
        }
        IpAddr::V6(v6) => {
            let length = length.unwrap_or(128);
            let away = u32::from(128_u8.checked_sub(length)?);
            let mask = u128::MAX.checked_shl(away).unwrap_or(0);
            (IpAddr::V6((v6.to_bits() & mask).into()), length)
        }
    };
    Some(format!("{address}/{length}"))
}

fn spelt_subnet(network: &Json) -> Json {
    network.as_str().and_then(subnet).map_or_else(|| network.clone(), |subnet| json!(subnet))
}

/// The virtual network that a name or an id means; the default one for None.
fn virtual_network<'a>(
    said: Option<&str>,
    known: &'a [VirtualNetwork],
) -> Result<Option<&'a VirtualNetwork>, Problem> {
    let Some(said) = said else { return Ok(known.iter().find(|network| network.is_default)) };
    let found = known.iter().find(|network| network.id == said || network.name == said);
    let names: Vec<&str> = known.iter().map(|network| network.name.as_str()).collect();
    let unknown = || {
        Problem::error("virtual_network", format!("there is no virtual network `{said}`"))
            .hint(format!("there are {}", names.join(", ")))
    };
    found.map(Some).ok_or_else(unknown)
}

impl Kind for TunnelRoute {
    fn name(&self) -> &'static str {
        "tunnel_route"
    }

    fn doc(&self) -> &'static str {
        "A route of a private subnet to a tunnel, for clients of WARP."
    }

    fn service(&self) -> Service {
        Service::Cloudflare
    }

    fn schema(&self) -> schemars::Schema {
        schemars::schema_for!(TunnelRouteSpec)
    }

    fn outputs(&self) -> &'static [Output] {
        &[Output { name: "id", secret: false, doc: "The route's UUID." }]
    }

    fn check(&self, spec: &Json, _scope: &Scope) -> Vec<Problem> {
        let network = text(spec, "network").filter(|network| subnet(network).is_none());
        let problem = network.map(|network| {
            Problem::error("network", format!("`{network}` is not a subnet"))
                .hint("examples: `10.0.0.0/8`, `192.168.1.7`, `fd00::/64`")
        });
        problem.into_iter().collect()
    }

    fn needs(&self, _spec: &Json) -> Vec<Need> {
        vec![Need::VirtualNetworks]
    }

    fn declare(&self, spec: &Json, scope: &Scope) -> Result<Json, Problem> {
        let mut out = forms::spelt(FORMS, fields(spec));
        let said = spec.get("virtual_network").filter(|value| !value.is_null());
        let said = said.map(|value| value.as_str().map(str::to_owned));
        if let (Some(known), None | Some(Some(_))) = (&scope.virtual_networks, &said)
            && let Some(network) = virtual_network(said.flatten().as_deref(), known)?
        {
            out.insert("virtual_network".to_owned(), json!(network.id));
        }
        Ok(Json::Object(out))
    }

    /// A subnet is routed once in a virtual network (contract 5.1).
    fn claims(&self, spec: &Json) -> Option<String> {
        let network = text(spec, "network")?;
        Some(format!("{network} in {}", text(spec, "virtual_network")?))
    }

    fn locate(&self, _spec: Option<&Json>, _id: Option<&str>, scope: &Scope) -> Option<Locate> {
        Some(Locate::In(vec![route::listing(collection(scope))]))
    }

    fn read(&self, item: &Json, scope: &Scope) -> Vec<Remote> {
        let (Some(id), Some(network), false) =
            (text(item, "id"), text(item, "network"), route::is_tombstone(item))
        else {
            return Vec::new();
        };
        let mut spec = JsonMap::new();
        spec.insert("network".to_owned(), json!(network));
        spec.insert("tunnel".to_owned(), item.get("tunnel_id").cloned().unwrap_or_default());
        let known = scope.virtual_networks.as_deref().unwrap_or_default();
        let default = || known.iter().find(|network| network.is_default).map(|n| n.id.clone());
        if let Some(id) = text(item, "virtual_network_id").map(str::to_owned).or_else(default) {
            spec.insert("virtual_network".to_owned(), json!(id));
        }
        vec![route::remote(id, item, spec, FORMS)]
    }

    fn fetch(&self, id: &str, scope: &Scope) -> Option<Call> {
        let path = format!("{}/{id}", collection(scope));
        Some(Call::get(Service::Cloudflare, path).purpose("reading the route"))
    }

    fn fits(&self, spec: &Json, remote: &Remote) -> bool {
        let equal = |field: &str| spec.get(field) == remote.spec.get(field);
        let anywhere = spec.get("virtual_network").is_none();
        text(spec, "network").is_some()
            && equal("network")
            && (anywhere || equal("virtual_network"))
    }

    fn places(&self, spec: &Json) -> Vec<String> {
        text(spec, "virtual_network").map(str::to_owned).into_iter().collect()
    }

    /// The route of the smaller subnet is the one that is taken (contract 5.1).
    fn overlaid(&self, spec: &Json, other: &Remote) -> Option<FieldChange> {
        let of = |spec: &Json| text(spec, "network")?.parse::<ipnet::IpNet>().ok();
        let (ours, theirs) = (of(spec)?, of(&other.spec)?);
        if ours == theirs || !ours.contains(&theirs) {
            return None;
        }
        let shown = Json::Object(pick(&other.spec, &["network", "tunnel", "comment"]));
        let mut change =
            FieldChange::new(format!("beside[id=\"{}\"]", other.id), None, Some(shown));
        change.note = Some("another route takes a part of this subnet".to_owned());
        change.since = self.made_at(other).map(|at| at.to_string());
        Some(change)
    }

    fn key(&self, spec: &Json) -> JsonMap {
        pick(spec, &["network", "virtual_network"])
    }

    fn made_at(&self, remote: &Remote) -> Option<jiff::Timestamp> {
        moment(remote.raw.get("created_at"))
    }

    fn diff(&self, facts: &Facts<'_>) -> Diffed {
        compare::fields(facts, forms::compared(FORMS))
    }

    fn next(&self, work: &Work<'_>, answers: &[Answer]) -> Result<Next, KindError> {
        let key = ["network", "virtual_network_id"];
        route::next(self, work, answers, collection(work.scope), &NAMES, &key)
    }
}

#[cfg(test)]
#[path = "tunnel_route_tests.rs"]
mod tests;
