//! Rulesets of accounts and zones, as far as phases' entry points go (contract 7.8).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::reply::{Answer, ApiError, Outcome};
use super::{Call, is_hex_id, text};
use crate::sandbox::env::Env;

/// The entry point of a phase.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ruleset {
    id: String,
    /// The account's or zone's id.
    scope: String,
    /// `root` or `zone`.
    kind: String,
    name: String,
    description: String,
    phase: String,
    version: u64,
    last_updated: String,
    rules: Vec<Map<String, Value>>,
}

/// Phases that zones have (those that the user's stacks use among them).
const ZONE_PHASES: [&str; 9] = [
    "http_config_settings",
    "http_ratelimit",
    "http_request_cache_settings",
    "http_request_dynamic_redirect",
    "http_request_firewall_custom",
    "http_request_late_transform",
    "http_request_origin",
    "http_request_transform",
    "http_response_headers_transform",
];
/// Phases that accounts have.
const ACCOUNT_PHASES: [&str; 3] =
    ["http_ratelimit", "http_request_firewall_custom", "http_request_redirect"];

/// `/{accounts|zones}/{scope}/rulesets/…`
pub fn handle(
    all: &mut Vec<Ruleset>,
    call: &Call<'_>,
    scope: &str,
    rest: &[&str],
    env: &mut Env,
) -> Outcome {
    let is_zone = call.path.starts_with("/client/v4/zones/");
    match (rest, call.method) {
        // This list has no pages, and its items no rules.
        ([], "GET") => {
            let own = all.iter().filter(|ruleset| ruleset.scope == scope);
            Ok(Answer::ok(own.map(|ruleset| shown(ruleset, false)).collect()))
        }
        (["phases", phase, "entrypoint"], method @ ("GET" | "PUT")) => {
            let phases = if is_zone { &ZONE_PHASES[..] } else { &ACCOUNT_PHASES[..] };
            if !phases.contains(phase) {
                let level = if is_zone { "zone" } else { "account" };
                let text = format!("phase {phase} not allowed at {level} level");
                return Err(ApiError::new(400, 20012, text));
            }
            let at = all.iter().position(|r| r.scope == scope && r.phase == **phase);
            match (method, at) {
                ("GET", Some(at)) => Ok(Answer::ok(shown(&all[at], true))),
                ("GET", None) => {
                    let text = format!("could not find entrypoint ruleset in the {phase} phase");
                    Err(ApiError::new(404, 10003, text))
                }
                (_, at) => put(all, call, at, (scope, phase, is_zone), env),
            }
        }
        ([id], method) if is_hex_id(id) => {
            let at = all.iter().position(|r| r.id == **id && r.scope == scope);
            let at = at.ok_or_else(|| ApiError::new(404, 10003, "could not find ruleset"))?;
            match method {
                "GET" => Ok(Answer::ok(shown(&all[at], true))),
                "DELETE" => {
                    all.remove(at);
                    Ok(Answer::ok(Value::Null))
                }
                method => Err(ApiError::no_method(method)),
            }
        }
        ([] | ["phases", _, "entrypoint"], method) => Err(ApiError::no_method(method)),
        _ => Err(ApiError::no_route(call.path)),
    }
}

fn shown(ruleset: &Ruleset, whole: bool) -> Value {
    let mut answer = json!({
        "id": ruleset.id, "name": ruleset.name, "description": ruleset.description,
        "kind": ruleset.kind, "phase": ruleset.phase, "version": ruleset.version.to_string(),
        "last_updated": ruleset.last_updated,
    });
    if whole {
        answer["rules"] = json!(ruleset.rules);
    }
    answer
}

/// A PUT replaces the rules; one keeps its id where it bears the id or the `ref` of an earlier one.
fn put(
    all: &mut Vec<Ruleset>,
    call: &Call<'_>,
    at: Option<usize>,
    (scope, phase, is_zone): (&str, &str, bool),
    env: &mut Env,
) -> Outcome {
    let body = call.object()?;
    let before = at.map(|at| all[at].clone());
    let old = before.as_ref().map(|ruleset| ruleset.rules.clone()).unwrap_or_default();
    let rules = match body.get("rules") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(rules)) => {
            rules.iter().map(|rule| made(rule, &old, env)).collect::<Result<_, _>>()?
        }
        Some(_) => return Err(invalid("rules must be a list")),
    };
    let ruleset = Ruleset {
        id: before.as_ref().map_or_else(|| env.ids.hex(32), |before| before.id.clone()),
        scope: scope.to_owned(),
        kind: if is_zone { "zone" } else { "root" }.to_owned(),
        name: text(&body, "name").unwrap_or("default").to_owned(),
        description: text(&body, "description").unwrap_or_default().to_owned(),
        phase: phase.to_owned(),
        version: before.map_or(1, |before| before.version + 1),
        last_updated: env.stamp(),
        rules,
    };
    let answer = shown(&ruleset, true);
    match at {
        Some(at) => all[at] = ruleset,
        None => all.push(ruleset),
    }
    Ok(Answer::ok(answer))
}

fn invalid(text: impl Into<String>) -> ApiError {
    ApiError::new(400, 20021, text)
}

fn made(
    rule: &Value,
    old: &[Map<String, Value>],
    env: &mut Env,
) -> Result<Map<String, Value>, ApiError> {
    let rule = rule.as_object().ok_or_else(|| invalid("a rule must be an object"))?;
    for name in ["action", "expression"] {
        if text(rule, name).is_none_or(str::is_empty) {
            return Err(invalid(format!("rule: {name} is required")));
        }
    }
    let same = |name: &str| {
        let wanted = text(rule, name)?;
        old.iter().find(|known| text(known, name) == Some(wanted))
    };
    let known = same("id").or_else(|| same("ref"));
    let id = known.and_then(|known| text(known, "id")).map(str::to_owned);
    let id = id.unwrap_or_else(|| env.ids.hex(32));
    let version = known.and_then(|known| text(known, "version")?.parse::<u64>().ok()).unwrap_or(0);
    let mut made = rule.clone();
    made.insert("id".to_owned(), json!(id));
    made.entry("ref").or_insert(json!(id));
    made.entry("enabled").or_insert(json!(true));
    made.entry("description").or_insert(json!(""));
    made.insert("version".to_owned(), json!((version + 1).to_string()));
    made.insert("last_updated".to_owned(), json!(env.stamp()));
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::cloudflare::testing::Sandbox;

    #[test]
    fn an_entry_point_is_made_by_its_first_put() {
        let mut sandbox = Sandbox::new();
        let base = format!("/zones/{}/rulesets", sandbox.zone());
        let path = format!("{base}/phases/http_request_dynamic_redirect/entrypoint");
        assert_eq!(sandbox.refusal("GET", &path, None), (404, 10003));
        let rule = |to: &str| json!({"ref": "a", "action": "redirect", "expression": to});
        let rules = json!({"rules": [rule("x"), {"action": "redirect", "expression": "y"}]});
        let first = sandbox.call("PUT", &path, Some(rules.clone())).1["result"].clone();
        let second = sandbox.call("PUT", &path, Some(rules)).1["result"].clone();
        assert_eq!((&first["version"], &second["version"]), (&json!("1"), &json!("2")));
        assert_eq!(first["rules"][0]["id"], second["rules"][0]["id"]);
        assert_ne!(first["rules"][1]["id"], second["rules"][1]["id"]);
        assert_eq!(first["rules"][1]["ref"], first["rules"][1]["id"]);
        assert!(sandbox.get(&base)["result"][0].get("rules").is_none());
        assert_eq!(sandbox.refusal("POST", &path, Some(json!({}))), (405, 7001));
    }

    #[test]
    fn phases_belong_to_zones_or_accounts() {
        let mut sandbox = Sandbox::new();
        let phase = "rulesets/phases/http_request_redirect/entrypoint";
        let zone = format!("/zones/{}/{phase}", sandbox.zone());
        assert_eq!(sandbox.refusal("PUT", &zone, Some(json!({"rules": []}))).0, 400);
        let account = format!("/accounts/{}/{phase}", sandbox.account());
        assert_eq!(sandbox.status("PUT", &account, Some(json!({"rules": []}))), 200);
        let bad = json!({"rules": [{"action": "redirect"}]});
        assert_eq!(sandbox.refusal("PUT", &account, Some(bad)).0, 400);
    }
}
