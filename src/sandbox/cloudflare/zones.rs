//! Accounts and zones (contract 2).

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::access;
use super::plans::Plan;
use super::reply::{Answer, ApiError, Outcome, Paging, counted_page, page};
use super::{Account, ApiToken, Call, State, dns, is_hex_id, rulesets, workers};
use crate::sandbox::env::Env;

/// A zone.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Zone {
    /// 32 hexadecimal digits.
    pub id: String,
    /// The domain, lower-case Punycode.
    pub name: String,
    /// The account it belongs to.
    pub account_id: String,
    /// When it was added.
    pub created_on: String,
    /// What it includes.
    #[serde(default)]
    pub plan: Plan,
}

const PAGING: Paging = Paging { default: 20, min: 5, max: 50 };

/// `/zones/…`.
pub fn handle(state: &mut State, call: &Call<'_>, rest: &[&str], env: &mut Env) -> Outcome {
    let [id, rest @ ..] = rest else {
        return Err(ApiError::no_method(call.method));
    };
    if !is_hex_id(id) {
        return Err(ApiError::no_route(call.path));
    }
    let zone = state.zones.iter().find(|zone| zone.id == **id).cloned();
    let zone = zone.ok_or_else(ApiError::forbidden)?;
    match rest {
        [] => match call.method {
            "GET" => Ok(Answer::ok(shown(state, &zone))),
            method => Err(ApiError::no_method(method)),
        },
        ["dns_records", rest @ ..] => dns::handle(state, call, &zone, rest, env),
        ["workers", "routes", rest @ ..] => {
            workers::routes(&mut state.worker_routes, call, &zone, rest, env)
        }
        ["rulesets", rest @ ..] => rulesets::handle(&mut state.rulesets, call, &zone.id, rest, env),
        ["access", rest @ ..] => {
            let scope = access::Scope { account: zone.account_id.clone(), zone: Some(zone.id) };
            access::handle(state, call, &scope, rest, env)
        }
        _ => Err(ApiError::no_route(call.path)),
    }
}

/// `GET /zones`: those that the token sees.
pub fn list(state: &State, call: &Call<'_>, token: &ApiToken) -> Outcome {
    let query = call.query();
    let any = query.get("match") == Some("any");
    let mut zones: Vec<&Zone> = Vec::new();
    for zone in &state.zones {
        let account = state.accounts.iter().find(|account| account.id == zone.account_id);
        let verdicts: Vec<bool> = [
            ("name", zone.name.as_str()),
            ("status", "active"),
            ("account.id", &zone.account_id),
            ("account.name", account.map_or("", |account| &account.name)),
        ]
        .iter()
        .filter_map(|(name, text)| query.get(name).map(|filter| fits(filter, text)))
        .collect();
        let wanted = match any && !verdicts.is_empty() {
            true => verdicts.contains(&true),
            false => !verdicts.contains(&false),
        };
        if wanted && token.sees_zone(state, &zone.id) {
            zones.push(zone);
        }
    }
    zones.sort_by(|a, b| a.name.cmp(&b.name));
    if query.get("direction") == Some("desc") {
        zones.reverse();
    }
    counted_page(zones.into_iter().map(|zone| shown(state, zone)).collect(), query, PAGING)
}

/// A filter of the zone list with its optional operator (contract 2.1).
fn fits(filter: &str, text: &str) -> bool {
    let (operator, wanted) = match filter.split_once(':') {
        Some((operator, wanted)) => (operator, wanted),
        None => ("equal", filter),
    };
    let (operator, sensitive) = match operator.strip_suffix("_case_sensitive") {
        Some(operator) => (operator, true),
        None => (operator, false),
    };
    let fold = |text: &str| if sensitive { text.to_owned() } else { text.to_lowercase() };
    let (text, wanted) = (fold(text), fold(wanted));
    match operator {
        "equal" => text == wanted,
        "not_equal" => text != wanted,
        "starts_with" => text.starts_with(&wanted),
        "ends_with" => text.ends_with(&wanted),
        "contains" => text.contains(&wanted),
        _ => false,
    }
}

fn shown(state: &State, zone: &Zone) -> Value {
    let account = state.accounts.iter().find(|a| a.id == zone.account_id);
    json!({
        "id": zone.id, "name": zone.name, "status": "active", "paused": false, "type": "full",
        "development_mode": 0,
        "name_servers": ["bob.ns.cloudflare.com", "lola.ns.cloudflare.com"],
        "original_name_servers": null, "original_registrar": null, "original_dnshost": null,
        "modified_on": zone.created_on, "created_on": zone.created_on,
        "activated_on": zone.created_on,
        "meta": {
            "step": 2, "custom_certificate_quota": 0, "page_rule_quota": 3,
            "phishing_detected": false, "cdn_only": false, "dns_only": false,
            "foundation_dns": false,
        },
        "owner": { "id": null, "type": "user", "email": null },
        "account": { "id": zone.account_id, "name": account.map(|a| a.name.as_str()) },
        "tenant": { "id": null, "name": null }, "tenant_unit": { "id": null },
        "permissions": ["#dns_records:edit", "#dns_records:read", "#zone:read"],
        "plan": zone.plan.shown(),
    })
}

/// `GET /accounts`.
pub fn accounts(state: &State, call: &Call<'_>) -> Outcome {
    let wanted = call.query().get("name");
    let rows = state
        .accounts
        .iter()
        .filter(|account| wanted.is_none_or(|name| account.name == name))
        .map(account_shown)
        .collect();
    page(rows, call.query(), PAGING)
}

/// `GET /accounts/{id}`.
pub fn account(state: &State, id: &str) -> Outcome {
    let account = state.accounts.iter().find(|account| account.id == id);
    account.map(|a| Answer::ok(account_shown(a))).ok_or_else(ApiError::forbidden)
}

fn account_shown(account: &Account) -> Value {
    json!({
        "id": account.id, "name": account.name, "type": "standard",
        "settings": { "enforce_twofactor": false },
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::Sandbox;
    use super::fits;

    #[test]
    fn filters_have_operators() {
        assert!(fits("B0XP.io", "b0xp.io"));
        assert!(!fits("b0xp", "b0xp.io"));
        assert!(fits("starts_with:b0", "b0xp.io"));
        assert!(fits("not_equal:x", "b0xp.io"));
        assert!(!fits("equal_case_sensitive:B0XP.io", "b0xp.io"));
    }

    #[test]
    fn zones_are_listed_by_name_and_account() {
        let mut sandbox = Sandbox::new();
        let account = sandbox.account();
        let path = format!("/zones?name=b0xp.io&account.id={account}&per_page=50");
        let answer = sandbox.get(&path);
        assert_eq!(answer["result"][0]["name"], "b0xp.io");
        assert_eq!(answer["result"][0]["account"]["id"], account.as_str());
        assert_eq!(sandbox.get("/zones?name=nowhere.example")["result"], serde_json::json!([]));
        assert_eq!(sandbox.status("GET", "/zones?per_page=51", None), 400);
    }

    #[test]
    fn another_accounts_zone_is_forbidden_and_a_malformed_id_has_no_route() {
        let mut sandbox = Sandbox::new();
        let foreign = "0".repeat(32);
        let (status, body) = sandbox.call("GET", &format!("/zones/{foreign}/dns_records"), None);
        assert_eq!((status, body["errors"][0]["code"].as_u64()), (403, Some(10000)));
        let (status, body) = sandbox.call("GET", "/zones/abc/dns_records", None);
        assert_eq!((status, body["errors"][0]["code"].as_u64()), (404, Some(7003)));
    }
}
