//! The default device profile of WARP (contract 7.9): it is there, and is neither made nor deleted.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::reply::{Answer, ApiError, Outcome, Paging, page};
use super::{Call, State, text};
use crate::sandbox::env::Env;

/// The default profile of an account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Profile {
    account_id: String,
    gateway_unique_id: String,
    /// What goes around the tunnel; empty where `include` is not.
    pub exclude: Vec<Value>,
    /// What alone goes through it.
    pub include: Vec<Value>,
    fallback_domains: Vec<Value>,
    /// Everything else that was set.
    settings: Map<String, Value>,
}

/// What is excluded from the start (a part of what the service fills in).
const EXCLUDED: [(&str, &str); 6] = [
    ("10.0.0.0/8", ""),
    ("100.64.0.0/10", ""),
    ("169.254.0.0/16", "DHCP Unspecified"),
    ("172.16.0.0/12", ""),
    ("192.168.0.0/16", ""),
    ("fe80::/10", "IPv6 Link Local"),
];
const LISTS: [&str; 3] = ["exclude", "include", "fallback_domains"];

/// The profile that an account has from the start.
pub fn preset(state: &mut Vec<Profile>, account: &str, env: &mut Env) {
    if state.iter().any(|profile| profile.account_id == account) {
        return;
    }
    let excluded = EXCLUDED.iter().map(|(address, description)| match *description {
        "" => json!({ "address": address }),
        text => json!({ "address": address, "description": text }),
    });
    state.push(Profile {
        account_id: account.to_owned(),
        gateway_unique_id: env.ids.hex(32),
        exclude: excluded.collect(),
        include: Vec::new(),
        fallback_domains: vec![json!({ "suffix": "local" }), json!({ "suffix": "home.arpa" })],
        settings: Map::new(),
    });
}

/// `/accounts/{account}/devices/…`
pub fn handle(state: &mut State, call: &Call<'_>, account: &str, rest: &[&str]) -> Outcome {
    let unknown = || ApiError::new(404, 2052, "Device settings policy not found");
    let profile = state.devices.iter_mut().find(|profile| profile.account_id == account);
    match (rest, call.method) {
        (["policy"], "GET") => Ok(Answer::ok(shown(profile.ok_or_else(unknown)?))),
        (["policy"], "PATCH") => change(profile.ok_or_else(unknown)?, call),
        (["policy", list], "GET") if LISTS.contains(list) => {
            let rows = profile.ok_or_else(unknown)?.list(list).clone();
            page(rows, call.query(), Paging { default: 1000, min: 1, max: 1000 })
        }
        (["policy", list], "PUT") if LISTS.contains(list) => {
            let profile = profile.ok_or_else(unknown)?;
            let Ok(Value::Array(rows)) = serde_json::from_slice(call.body) else {
                return Err(ApiError::new(400, 6007, "Malformed JSON in request body"));
            };
            profile.replace(list, rows)?;
            Ok(Answer::ok(json!(profile.list(list))))
        }
        (["policy"], method) => Err(ApiError::no_method(method)),
        (["policy", list], method) if LISTS.contains(list) => Err(ApiError::no_method(method)),
        (["policy", id], _) if super::is_uuid(id) => Err(unknown()),
        _ => Err(ApiError::no_route(call.path)),
    }
}

fn shown(profile: &Profile) -> Value {
    let mut answer = json!({
        "default": true, "enabled": true, "gateway_unique_id": profile.gateway_unique_id,
        "service_mode_v2": { "mode": "warp" }, "allow_mode_switch": true, "allow_updates": true,
        "allowed_to_leave": true, "auto_connect": 0, "captive_portal": 180,
        "disable_auto_fallback": false, "exclude_office_ips": false, "support_url": "",
        "switch_locked": false, "tunnel_protocol": "masque",
    });
    for (name, value) in &profile.settings {
        answer[name] = value.clone();
    }
    for list in LISTS {
        answer[list] = json!(profile.list(list));
    }
    answer
}

impl Profile {
    fn list(&self, name: &str) -> &Vec<Value> {
        match name {
            "include" => &self.include,
            "exclude" => &self.exclude,
            _ => &self.fallback_domains,
        }
    }

    /// The whole list. The two lists of the split tunnel exclude each other.
    fn replace(&mut self, name: &str, rows: Vec<Value>) -> Result<(), ApiError> {
        if name == "fallback_domains" {
            self.fallback_domains = rows;
            return Ok(());
        }
        let rows = rows.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
        let used = !rows.is_empty();
        let (own, other) = match name {
            "include" => (&mut self.include, &mut self.exclude),
            _ => (&mut self.exclude, &mut self.include),
        };
        *own = rows;
        if used {
            other.clear();
        }
        Ok(())
    }
}

/// An entry of the split tunnel: an address or a host.
fn entry(row: &Value) -> Result<Value, ApiError> {
    let wrong = |why: &str| ApiError::new(400, 1001, format!("invalid split tunnel entry: {why}"));
    let row = row.as_object().ok_or_else(|| wrong("not an object"))?;
    let mut out = match (text(row, "address"), text(row, "host")) {
        (Some(address), None) => {
            let (ip, length) = address.split_once('/').unwrap_or((address, "0"));
            let right = ip.parse::<IpAddr>().is_ok() && length.parse::<u8>().is_ok();
            right.then(|| json!({ "address": address })).ok_or_else(|| wrong("address"))?
        }
        (None, Some(host)) if !host.is_empty() => json!({ "host": host }),
        _ => return Err(wrong("one of address and host")),
    };
    if let Some(description) = text(row, "description").filter(|text| !text.is_empty()) {
        out["description"] = json!(description);
    }
    Ok(out)
}

fn change(profile: &mut Profile, call: &Call<'_>) -> Outcome {
    let body = call.object()?;
    if body.is_empty() {
        return Err(ApiError::new(400, 1001, "the request body is empty"));
    }
    for (name, value) in body {
        match (LISTS.contains(&name.as_str()), value) {
            (true, Value::Array(rows)) => profile.replace(&name, rows)?,
            (_, value) => drop(profile.settings.insert(name, value)),
        }
    }
    Ok(Answer::ok(shown(profile)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::cloudflare::testing::Sandbox;

    #[test]
    fn a_list_is_replaced_as_a_whole_and_one_mode_ends_the_other() {
        let mut sandbox = Sandbox::new();
        let path = format!("/accounts/{}/devices/policy", sandbox.account());
        let excluded = sandbox.get(&format!("{path}/exclude"))["result"].clone();
        assert_eq!(excluded[0], json!({"address": "10.0.0.0/8"}));
        let row = json!([{"address": "10.9.0.0/16", "description": ""}]);
        assert_eq!(sandbox.status("PUT", &format!("{path}/exclude"), Some(row)), 200);
        let profile = sandbox.get(&path)["result"].clone();
        assert_eq!(profile["exclude"], json!([{"address": "10.9.0.0/16"}]));
        let row = json!([{"host": "a.lan"}]);
        assert_eq!(sandbox.status("PUT", &format!("{path}/include"), Some(row.clone())), 200);
        let profile = sandbox.get(&path)["result"].clone();
        assert_eq!((&profile["include"], &profile["exclude"]), (&row, &json!([])));
    }

    #[test]
    fn what_is_no_profile_or_no_entry_is_refused() {
        let mut sandbox = Sandbox::new();
        let path = format!("/accounts/{}/devices/policy", sandbox.account());
        assert_eq!(sandbox.refusal("PATCH", &path, Some(json!({}))).0, 400);
        assert_eq!(sandbox.status("PATCH", &path, Some(json!({"switch_locked": true}))), 200);
        assert_eq!(sandbox.get(&path)["result"]["switch_locked"], true);
        assert_eq!(sandbox.refusal("DELETE", &path, None), (405, 7001));
        assert_eq!(sandbox.refusal("POST", &path, None), (405, 7001));
        let unknown = format!("{path}/f70ff985-a4ef-4643-bbbc-4a0ed4fc8415");
        assert_eq!(sandbox.refusal("GET", &unknown, None), (404, 2052));
        let list = format!("{path}/exclude");
        for body in [
            json!({}),
            json!([{"address": "x"}]),
            json!([{"address": "10.0.0.0/8", "host": "a"}]),
            json!([{"description": "x"}]),
        ] {
            assert_eq!(sandbox.refusal("PUT", &list, Some(body.clone())).0, 400, "{body}");
        }
    }
}
