//! Rulesets of accounts and zones: entry points of phases, and custom ones (contract 7.8).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::reply::{Answer, ApiError, Outcome, Paging, after_cursor};
use super::{Call, is_hex_id, text};
use crate::sandbox::env::Env;

/// A ruleset.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ruleset {
    id: String,
    /// The account's or zone's id.
    scope: String,
    /// `root` or `zone`: the entry point of a phase; `custom`.
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
        // The items have no rules; the official client pages them by cursor.
        ([], "GET") => {
            let own = all.iter().filter(|ruleset| ruleset.scope == scope);
            let rows = own.map(|ruleset| shown(ruleset, false)).collect();
            let paging = Paging { default: 50, min: 1, max: 50 };
            let (rows, info) = after_cursor(rows, call.query(), paging)?;
            Ok(Answer { info: Some(info), ..Answer::ok(rows.into()) })
        }
        ([], "POST") => create(all, &call.object()?, (scope, is_zone), env),
        (["phases", phase, "entrypoint"], method @ ("GET" | "PUT")) => {
            known_phase(phase, is_zone)?;
            let at = entry_point(all, scope, phase);
            match (method, at) {
                ("GET", Some(at)) => Ok(Answer::ok(shown(&all[at], true))),
                ("GET", None) => {
                    let text = format!("could not find entrypoint ruleset in the {phase} phase");
                    Err(ApiError::new(404, 10003, text))
                }
                (_, Some(at)) => put(&mut all[at], &call.object()?, env),
                (_, None) => {
                    let mut made = bare(scope, entry_kind(is_zone), phase, env);
                    let answer = put(&mut made, &call.object()?, env)?;
                    all.push(made);
                    Ok(answer)
                }
            }
        }
        ([id], method) if is_hex_id(id) => {
            let at = all.iter().position(|r| r.id == **id && r.scope == scope);
            let at = at.ok_or_else(|| ApiError::new(404, 10003, "could not find ruleset"))?;
            match method {
                "GET" => Ok(Answer::ok(shown(&all[at], true))),
                "PUT" => put(&mut all[at], &call.object()?, env),
                "DELETE" => {
                    all.remove(at);
                    Ok(Answer::nothing())
                }
                method => Err(ApiError::no_method(method)),
            }
        }
        ([] | ["phases", _, "entrypoint"], method) => Err(ApiError::no_method(method)),
        _ => Err(ApiError::no_route(call.path)),
    }
}

fn entry_kind(is_zone: bool) -> &'static str {
    if is_zone { "zone" } else { "root" }
}

fn entry_point(all: &[Ruleset], scope: &str, phase: &str) -> Option<usize> {
    let is_entry = |r: &Ruleset| r.scope == scope && r.phase == phase && r.kind != "custom";
    all.iter().position(is_entry)
}

fn known_phase(phase: &str, is_zone: bool) -> Result<(), ApiError> {
    let phases = if is_zone { &ZONE_PHASES[..] } else { &ACCOUNT_PHASES[..] };
    if phases.contains(&phase) {
        return Ok(());
    }
    let level = if is_zone { "zone" } else { "account" };
    Err(ApiError::new(400, 20012, format!("phase {phase} not allowed at {level} level")))
}

fn bare(scope: &str, kind: &str, phase: &str, env: &mut Env) -> Ruleset {
    Ruleset {
        id: env.ids.hex(32),
        scope: scope.to_owned(),
        kind: kind.to_owned(),
        name: "default".to_owned(),
        description: String::new(),
        phase: phase.to_owned(),
        version: 0,
        last_updated: env.stamp(),
        rules: Vec::new(),
    }
}

/// A phase has one entry point; custom rulesets are an account's, and may be called the same.
fn create(
    all: &mut Vec<Ruleset>,
    body: &Map<String, Value>,
    (scope, is_zone): (&str, bool),
    env: &mut Env,
) -> Outcome {
    let needed = |field: &str| {
        let said = text(body, field).filter(|said| !said.is_empty());
        said.ok_or_else(|| invalid(format!("{field} is required")))
    };
    let (name, kind, phase) = (needed("name")?, needed("kind")?, needed("phase")?);
    known_phase(phase, is_zone)?;
    if kind != entry_kind(is_zone) && (is_zone || kind != "custom") {
        return Err(invalid(format!("kind {kind} is not allowed here")));
    }
    if kind != "custom" && entry_point(all, scope, phase).is_some() {
        return Err(invalid(format!("the phase {phase} has an entry point")));
    }
    let mut made = Ruleset { name: name.to_owned(), ..bare(scope, kind, phase, env) };
    let answer = put(&mut made, body, env)?;
    all.push(made);
    Ok(answer)
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
/// Kind, phase and the name of a custom ruleset stay (contract 7.8).
fn put(ruleset: &mut Ruleset, body: &Map<String, Value>, env: &mut Env) -> Outcome {
    let fixed = [("kind", &ruleset.kind), ("phase", &ruleset.phase), ("name", &ruleset.name)];
    for (field, is) in fixed {
        let renamed = field == "name" && ruleset.kind != "custom";
        if !renamed && text(body, field).is_some_and(|said| said != is) {
            return Err(invalid(format!("{field} cannot be changed")));
        }
    }
    let rules = match body.get("rules") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(rules)) => {
            rules.iter().map(|rule| made(rule, &ruleset.rules, env)).collect::<Result<_, _>>()?
        }
        Some(_) => return Err(invalid("rules must be a list")),
    };
    if ruleset.kind != "custom" {
        ruleset.name = text(body, "name").unwrap_or("default").to_owned();
    }
    ruleset.description = text(body, "description").unwrap_or_default().to_owned();
    ruleset.version += 1;
    ruleset.last_updated = env.stamp();
    ruleset.rules = rules;
    Ok(Answer::ok(shown(ruleset, true)))
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

    #[test]
    fn custom_rulesets_are_an_accounts_and_are_listed_by_cursor() {
        let mut sandbox = Sandbox::new();
        let path = format!("/accounts/{}/rulesets", sandbox.account());
        let zone = format!("/zones/{}/rulesets", sandbox.zone());
        let body = |name: &str| json!({"name": name, "kind": "custom", "phase": "http_ratelimit"});
        assert_eq!(sandbox.status("POST", &zone, Some(body("a"))), 400);
        assert_eq!(sandbox.status("POST", &path, Some(json!({"name": "a"}))), 400);
        for name in ["a", "b", "a"] {
            assert_eq!(sandbox.status("POST", &path, Some(body(name))), 200);
        }
        let root = json!({"name": "r", "kind": "root", "phase": "http_ratelimit"});
        assert_eq!(sandbox.status("POST", &path, Some(root.clone())), 200);
        assert_eq!(sandbox.status("POST", &path, Some(root)), 400);
        let first = sandbox.get(&format!("{path}?per_page=3"));
        let cursor = first["result_info"]["cursor"].as_str().unwrap();
        let second = sandbox.get(&format!("{path}?per_page=3&cursor={cursor}"));
        assert_eq!(
            (&second["result"][0]["name"], &second["result_info"]["cursor"]),
            (&json!("r"), &json!(""))
        );
        let one = format!("{path}/{}", first["result"][0]["id"].as_str().unwrap());
        assert_eq!(sandbox.status("PUT", &one, Some(json!({"rules": [], "name": "z"}))), 400);
        let put = sandbox.call("PUT", &one, Some(json!({"rules": [], "name": "a"}))).1;
        assert_eq!(put["result"]["version"], "2");
        assert_eq!(sandbox.call("DELETE", &one, None), (204, json!(null)));
        assert_eq!(sandbox.refusal("GET", &one, None), (404, 10003));
    }
}
