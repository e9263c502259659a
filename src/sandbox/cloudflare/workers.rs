//! Routes of a zone to Workers (contract 7.4). Scripts are not modelled: any name is taken.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::reply::{Answer, ApiError, Outcome};
use super::{Call, Zone, is_hex_id, text};
use crate::sandbox::env::Env;

/// A route.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Route {
    id: String,
    zone_id: String,
    pattern: String,
    script: Option<String>,
}

fn shown(route: &Route) -> Value {
    json!({ "id": route.id, "pattern": route.pattern, "script": route.script })
}

/// `/zones/{zone}/workers/routes/…`
pub fn routes(
    all: &mut Vec<Route>,
    call: &Call<'_>,
    zone: &Zone,
    rest: &[&str],
    env: &mut Env,
) -> Outcome {
    match (rest, call.method) {
        // This list has no pages.
        ([], "GET") => {
            Ok(Answer::ok(all.iter().filter(|r| r.zone_id == zone.id).map(shown).collect()))
        }
        ([], "POST") => {
            let body = call.object()?;
            let made = Route {
                id: env.ids.hex(32),
                zone_id: zone.id.clone(),
                pattern: pattern(&body, all, zone, "")?,
                script: text(&body, "script").map(str::to_owned),
            };
            let answer = shown(&made);
            all.push(made);
            Ok(Answer::ok(answer))
        }
        ([id], method) if is_hex_id(id) => {
            let at = all.iter().position(|route| route.id == **id && route.zone_id == zone.id);
            let at =
                at.ok_or_else(|| ApiError::new(404, 10009, "workers.api.error.route_not_found"))?;
            match method {
                "GET" => Ok(Answer::ok(shown(&all[at]))),
                "PUT" => {
                    let body = call.object()?;
                    let pattern = pattern(&body, all, zone, id)?;
                    all[at].pattern = pattern;
                    all[at].script = text(&body, "script").map(str::to_owned);
                    Ok(Answer::ok(shown(&all[at])))
                }
                "DELETE" => Ok(Answer::ok(json!({ "id": all.remove(at).id }))),
                method => Err(ApiError::no_method(method)),
            }
        }
        ([], method) => Err(ApiError::no_method(method)),
        _ => Err(ApiError::no_route(call.path)),
    }
}

/// The pattern, which is unique in the zone and within it.
fn pattern(
    body: &Map<String, Value>,
    all: &[Route],
    zone: &Zone,
    but: &str,
) -> Result<String, ApiError> {
    let pattern = text(body, "pattern").unwrap_or_default();
    let host = pattern.split('/').next().unwrap_or_default().trim_start_matches('*');
    let within = host.strip_suffix(zone.name.as_str());
    if !within.is_some_and(|rest| rest.is_empty() || rest.ends_with('.')) {
        return Err(ApiError::new(400, 10022, "workers.api.error.invalid_route_pattern"));
    }
    if all.iter().any(|r| r.zone_id == zone.id && r.pattern == pattern && r.id != but) {
        let text = "A route with the same pattern already exists.";
        return Err(ApiError::new(409, 10020, text));
    }
    Ok(pattern.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::cloudflare::testing::Sandbox;

    #[test]
    fn a_pattern_is_the_zones_and_is_there_once() {
        let mut sandbox = Sandbox::new();
        let path = format!("/zones/{}/workers/routes", sandbox.zone());
        let body = json!({"pattern": "api.b0xp.io/*", "script": "api"});
        let made = sandbox.call("POST", &path, Some(body.clone())).1["result"].clone();
        assert_eq!(sandbox.refusal("POST", &path, Some(body)), (409, 10020));
        for pattern in ["", "api.example.org/*", "notb0xp.io/*"] {
            let body = json!({"pattern": pattern});
            assert_eq!(sandbox.refusal("POST", &path, Some(body)), (400, 10022), "{pattern}");
        }
        let one = format!("{path}/{}", made["id"].as_str().unwrap());
        // A PUT replaces the whole.
        let body = json!({"pattern": "*.b0xp.io/x"});
        assert_eq!(sandbox.call("PUT", &one, Some(body)).1["result"]["script"], json!(null));
        assert_eq!(sandbox.get(&path)["result"].as_array().unwrap().len(), 1);
        assert_eq!(sandbox.status("DELETE", &one, None), 200);
        assert_eq!(sandbox.refusal("GET", &one, None), (404, 10009));
    }
}
