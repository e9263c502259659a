//! API tokens and what they permit (contract 1.3): permission groups over accounts and zones.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::reply::{Answer, ApiError, Outcome};
use super::{Call, State, text};
use crate::sandbox::env::Env;
use crate::sandbox::mangle::hash;

/// An API token.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ApiToken {
    /// Its id, which `verify` tells.
    pub id: String,
    /// The text that is sent as a bearer token.
    pub value: String,
    /// What its owner calls it.
    #[serde(default)]
    pub name: String,
    /// It has read permissions only.
    pub read_only: bool,
    /// What it permits; none: everything, or everything that reads.
    #[serde(default)]
    pub grants: Option<Vec<Grant>>,
}

/// Permission groups over resources.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Grant {
    /// Names of permission groups.
    groups: Vec<String>,
    /// Ids of accounts and zones; `*` is any zone.
    resources: Vec<String>,
}

const ACCOUNT: &str = "com.cloudflare.api.account";
const ZONE: &str = "com.cloudflare.api.account.zone";

/// What is permitted apart: each is a permission group to read and one to write.
const AREAS: [(&str, &str); 15] = [
    ("Zone", ZONE),
    ("DNS", ZONE),
    ("Cloudflare Tunnel", ACCOUNT),
    ("Access: Apps and Policies", ACCOUNT),
    ("Access: Organizations, Identity Providers, and Groups", ACCOUNT),
    ("Access: Service Tokens", ACCOUNT),
    ("Zero Trust", ACCOUNT),
    ("Workers KV Storage", ACCOUNT),
    ("Workers R2 Storage", ACCOUNT),
    ("D1", ACCOUNT),
    ("Account Rulesets", ACCOUNT),
    ("Account Settings", ACCOUNT),
    ("Workers Routes", ZONE),
    ("Dynamic URL Redirects", ZONE),
    ("Zone WAF", ZONE),
];

/// The area that a path belongs to, and the account or zone; none wants no permission.
fn area<'a>(path: &[&'a str]) -> Option<(&'static str, &'a str)> {
    let access = |rest: &[&str]| match rest.first() {
        Some(&("identity_providers" | "groups" | "organizations")) => {
            "Access: Organizations, Identity Providers, and Groups"
        }
        Some(&"service_tokens") => "Access: Service Tokens",
        _ => "Access: Apps and Policies",
    };
    match path {
        ["zones", zone, "dns_records", ..] => Some(("DNS", zone)),
        ["zones", zone, "access", rest @ ..] => Some((access(rest), zone)),
        ["zones", zone, "workers", ..] => Some(("Workers Routes", zone)),
        ["zones", zone, "rulesets", "phases", "http_request_dynamic_redirect", ..] => {
            Some(("Dynamic URL Redirects", zone))
        }
        ["zones", zone, "rulesets", ..] => Some(("Zone WAF", zone)),
        ["zones", zone, ..] => Some(("Zone", zone)),
        ["accounts", account, "cfd_tunnel" | "tunnels" | "teamnet" | "zerotrust", ..] => {
            Some(("Cloudflare Tunnel", account))
        }
        ["accounts", account, "access", rest @ ..] => Some((access(rest), account)),
        ["accounts", account, "devices", ..] => Some(("Zero Trust", account)),
        ["accounts", account, "storage", "kv", ..] => Some(("Workers KV Storage", account)),
        ["accounts", account, "r2", ..] => Some(("Workers R2 Storage", account)),
        ["accounts", account, "d1", ..] => Some(("D1", account)),
        ["accounts", account, "rulesets", ..] => Some(("Account Rulesets", account)),
        ["accounts", account, "logs", ..] => Some(("Account Settings", account)),
        _ => None,
    }
}

impl ApiToken {
    /// Whether it may do this.
    pub fn permits(&self, state: &State, method: &str, path: &[&str]) -> bool {
        let writes = needs_write(method, path);
        match &self.grants {
            None => !(self.read_only && writes),
            Some(_) => match area(path) {
                // Tokens are made by who may do everything.
                None => !writes,
                Some((area, resource)) => self.covers(state, area, resource, writes),
            },
        }
    }

    /// Whether it is the one that may do everything.
    pub fn permits_all(&self) -> bool {
        self.grants.is_none() && !self.read_only
    }

    /// Whether it may read the zone itself; others are not listed.
    pub fn sees_zone(&self, state: &State, zone: &str) -> bool {
        self.grants.is_none() || self.covers(state, "Zone", zone, false)
    }

    /// Who may write may read; what is granted for an account is for its zones too.
    fn covers(&self, state: &State, area: &str, resource: &str, writes: bool) -> bool {
        let zone = state.zones.iter().find(|zone| zone.id == resource);
        let fits = |group: &String| {
            group
                .strip_prefix(area)
                .is_some_and(|rest| rest == " Write" || !writes && rest == " Read")
        };
        self.grants.iter().flatten().any(|grant| {
            let covered = grant.resources.iter().any(|granted| {
                granted == resource
                    || zone.is_some_and(|zone| granted == "*" || *granted == zone.account_id)
            });
            covered && grant.groups.iter().any(fits)
        })
    }
}

/// Also the token of a tunnel wants a write permission, although it is only read (contract 1.3).
fn needs_write(method: &str, path: &[&str]) -> bool {
    let tunnel_token = matches!(path, ["accounts", _, "cfd_tunnel", _, "token"]);
    tunnel_token || !matches!(method, "GET" | "HEAD" | "OPTIONS")
}

/// The permission groups there are: id, name, and what they are for.
fn groups() -> impl Iterator<Item = (String, String, &'static str)> {
    AREAS.iter().flat_map(|(area, scope)| {
        ["Read", "Write"].map(|level| {
            let name = format!("{area} {level}");
            (format!("{:016x}{:016x}", hash(1, &name), hash(2, &name)), name, *scope)
        })
    })
}

/// `/user/tokens/…`.
pub fn handle(
    state: &mut State,
    call: &Call<'_>,
    token: &ApiToken,
    rest: &[&str],
    env: &mut Env,
) -> Outcome {
    if token.grants.is_some() {
        return Err(ApiError::forbidden());
    }
    match (call.method, rest) {
        ("GET", ["permission_groups"]) => Ok(Answer::ok(
            groups()
                .map(|(id, name, scope)| json!({"id": id, "name": name, "scopes": [scope]}))
                .collect(),
        )),
        ("POST", []) => create(state, call, env),
        ("DELETE", [id]) => {
            let at = state.tokens.iter().position(|t| t.id == *id && t.grants.is_some());
            let at = at.ok_or_else(|| ApiError::new(404, 1003, "Valid token not found"))?;
            Ok(Answer::ok(json!({ "id": state.tokens.remove(at).id })))
        }
        (method, [] | [_]) => Err(ApiError::no_method(method)),
        _ => Err(ApiError::no_route(call.path)),
    }
}

fn create(state: &mut State, call: &Call<'_>, env: &mut Env) -> Outcome {
    let body = call.object()?;
    let wrong = |what: &str| ApiError::new(400, 1001, format!("Invalid token: {what}"));
    let name = text(&body, "name").ok_or_else(|| wrong("name is required"))?;
    let policies = body.get("policies").and_then(Value::as_array);
    let policies = policies.filter(|list| !list.is_empty());
    let mut grants = Vec::new();
    for policy in policies.ok_or_else(|| wrong("policies are required"))? {
        if policy["effect"] != "allow" {
            return Err(wrong("effect must be allow"));
        }
        let wanted = policy["permission_groups"].as_array().into_iter().flatten();
        let mut named = Vec::new();
        for group in wanted {
            let known = groups().find(|(id, ..)| group["id"] == **id);
            named.push(known.ok_or_else(|| wrong("a permission group is unknown"))?.1);
        }
        let keys = policy["resources"].as_object().into_iter().flatten().map(|(key, _)| key);
        let resource = |key: &String| {
            let id = key.strip_prefix(ZONE).or_else(|| key.strip_prefix(ACCOUNT))?;
            Some(id.strip_prefix('.')?.to_owned())
        };
        let resources: Option<Vec<String>> = keys.map(resource).collect();
        let resources = resources.filter(|list| !list.is_empty() && !named.is_empty());
        let resources = resources.ok_or_else(|| wrong("a policy wants groups and resources"))?;
        grants.push(Grant { groups: named, resources });
    }
    let token = ApiToken {
        id: env.ids.hex(32),
        value: env.ids.token(40),
        name: name.to_owned(),
        read_only: false,
        grants: Some(grants),
    };
    let answer = json!({
        "id": token.id, "name": name, "status": "active", "issued_on": env.stamp(),
        "modified_on": env.stamp(), "policies": body["policies"], "value": token.value,
    });
    state.tokens.push(token);
    Ok(Answer::ok(answer))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::testing::Sandbox;

    /// A token for these groups over all zones, or over the account.
    fn token(sandbox: &mut Sandbox, names: &[&str], zone: Option<&str>) -> String {
        let known = sandbox.get("/user/tokens/permission_groups")["result"].clone();
        let groups: Vec<Value> = names
            .iter()
            .map(|name| {
                let mut known = known.as_array().unwrap().iter();
                json!({"id": known.find(|group| group["name"] == *name).unwrap()["id"]})
            })
            .collect();
        let resource = match zone {
            Some(zone) => format!("com.cloudflare.api.account.zone.{zone}"),
            None => format!("com.cloudflare.api.account.{}", sandbox.account()),
        };
        let policies = json!([{
            "effect": "allow", "permission_groups": groups, "resources": {resource: "*"},
        }]);
        let body = json!({"name": "t", "policies": policies});
        let made = sandbox.call("POST", "/user/tokens", Some(body)).1;
        made["result"]["value"].as_str().unwrap().to_owned()
    }

    #[test]
    fn a_token_does_what_its_permission_groups_say() {
        let mut sandbox = Sandbox::new();
        let (account, zone) = (sandbox.account(), sandbox.zone());
        let (records, tunnels) =
            (format!("/zones/{zone}/dns_records"), format!("/accounts/{account}/cfd_tunnel"));
        let apps = format!("/accounts/{account}/access/apps");
        let all = sandbox.token.clone();
        sandbox.token = token(&mut sandbox, &["DNS Write", "Cloudflare Tunnel Read"], None);
        let record = json!({"type": "TXT", "name": "a", "content": "x", "ttl": 1});
        assert_eq!(sandbox.status("GET", &records, None), 200);
        assert_eq!(sandbox.status("POST", &records, Some(record)), 200);
        assert_eq!(sandbox.status("GET", &tunnels, None), 200);
        assert_eq!(sandbox.refusal("POST", &tunnels, Some(json!({"name": "t"}))), (403, 10000));
        assert_eq!(sandbox.refusal("GET", &apps, None), (403, 10000));
        assert_eq!(sandbox.refusal("POST", "/user/tokens", Some(json!({}))), (403, 10000));
        // Zones that it may not read are not listed.
        assert_eq!(sandbox.get("/zones")["result"], json!([]));
        sandbox.token = all;
        sandbox.token = token(&mut sandbox, &["Zone Read"], Some(&zone));
        assert_eq!(sandbox.get("/zones")["result"].as_array().unwrap().len(), 1);
        assert_eq!(sandbox.refusal("GET", &records, None), (403, 10000));
        assert_eq!(sandbox.status("GET", "/user/tokens/verify", None), 200);
    }

    #[test]
    fn tokens_that_permit_nothing_are_not_made() {
        let mut sandbox = Sandbox::new();
        for body in [
            json!({}),
            json!({"name": "t", "policies": []}),
            json!({"name": "t", "policies": [{"effect": "allow", "permission_groups": [{"id": "x"}], "resources": {}}]}),
        ] {
            assert_eq!(sandbox.status("POST", "/user/tokens", Some(body)), 400);
        }
    }
}
