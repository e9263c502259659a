//! Groups, identity providers and tags (contract 6.3 and 6.5).

use serde_json::{Map, Value, json};

use super::{Item, PAGING, State, required_name, rules};
use crate::sandbox::cloudflare::reply::{Answer, ApiError, Outcome, Paging, Query, page};
use crate::sandbox::cloudflare::{Call, text};
use crate::sandbox::env::Env;

const PROVIDER_PAGING: Paging = Paging { default: 200, min: 1, max: 1000 };
const PROVIDER_TYPES: &[&str] = &[
    "onetimepin",
    "azureAD",
    "saml",
    "centrify",
    "facebook",
    "github",
    "google-apps",
    "google",
    "linkedin",
    "oidc",
    "okta",
    "onelogin",
    "pingone",
    "yandex",
    "cloudflare",
];

/// Makes an object out of a body, on top of what there was.
type Make = fn(&Map<String, Value>, Option<&Item>, &mut Env) -> Result<Item, ApiError>;

/// What tells one collection from another.
struct Collection {
    /// What its items are known by.
    key: &'static str,
    paging: Paging,
    not_found: (u32, &'static str),
    made: Make,
}

/// `{scope}/access/groups/…`.
pub fn groups(
    state: &mut State,
    call: &Call<'_>,
    account: &str,
    rest: &[&str],
    env: &mut Env,
) -> Outcome {
    let collection = Collection {
        key: "id",
        paging: PAGING,
        not_found: (12152, "access.api.error.group_not_found"),
        made: group,
    };
    serve(&mut state.groups, &collection, call, account, rest, env)
}

/// `{scope}/access/identity_providers/…`.
pub fn identity_providers(
    state: &mut State,
    call: &Call<'_>,
    account: &str,
    rest: &[&str],
    env: &mut Env,
) -> Outcome {
    let collection = Collection {
        key: "id",
        paging: PROVIDER_PAGING,
        not_found: (12135, "access.api.error.identity_provider_not_found"),
        made: provider,
    };
    serve(&mut state.identity_providers, &collection, call, account, rest, env)
}

/// `/accounts/{account}/access/tags/…`.
pub fn tags(
    state: &mut State,
    call: &Call<'_>,
    account: &str,
    rest: &[&str],
    env: &mut Env,
) -> Outcome {
    if call.method == "POST" {
        let name = required_name(&call.object()?)?;
        if state.tags.iter().any(|tag| tag.account_id == account && tag.id == name) {
            return Err(ApiError::invalid_request(format_args!("tag {name} already exists")));
        }
    }
    let collection = Collection {
        key: "name",
        paging: PAGING,
        not_found: (12135, "access.api.error.tag_not_found"),
        made: tag,
    };
    serve(&mut state.tags, &collection, call, account, rest, env)
}

fn serve(
    items: &mut Vec<Item>,
    collection: &Collection,
    call: &Call<'_>,
    account: &str,
    rest: &[&str],
    env: &mut Env,
) -> Outcome {
    let [id] = rest else {
        return match (call.method, rest) {
            ("GET", []) => list(items, collection, account, call.query()),
            ("POST", []) => {
                let mut item = (collection.made)(&call.object()?, None, env)?;
                item.account_id = account.to_owned();
                let answer = Value::Object(item.object.clone());
                items.push(item);
                Ok(Answer::created(answer))
            }
            (method, []) => Err(ApiError::no_method(method)),
            _ => Err(ApiError::no_route(call.path)),
        };
    };
    let (code, message) = collection.not_found;
    let at = items.iter().position(|item| item.id == *id && item.account_id == account);
    let at = at.ok_or_else(|| ApiError::new(404, code, message))?;
    match call.method {
        "GET" => Ok(Answer::ok(items[at].object.clone().into())),
        "PUT" => {
            let mut item = (collection.made)(&call.object()?, Some(&items[at]), env)?;
            item.account_id = account.to_owned();
            items[at] = item;
            Ok(Answer::ok(items[at].object.clone().into()))
        }
        "DELETE" => {
            items.remove(at);
            Ok(Answer { status: 202, ..Answer::ok(json!({ collection.key: id })) })
        }
        method => Err(ApiError::no_method(method)),
    }
}

fn list(items: &[Item], collection: &Collection, account: &str, query: Query<'_>) -> Outcome {
    let named = |item: &Item, wanted: &str| {
        let name = text(&item.object, "name").unwrap_or_default();
        name.to_lowercase().contains(&wanted.to_lowercase())
    };
    let rows = items.iter().filter(|item| {
        item.account_id == account
            && query.get("name").is_none_or(|wanted| named(item, wanted))
            && query.get("search").is_none_or(|wanted| named(item, wanted))
            && query.flag("scim_enabled").is_none_or(|wanted| {
                item.object.get("scim_config").is_some_and(|scim| scim["enabled"] == wanted)
            })
    });
    page(rows.map(|item| item.object.clone().into()).collect(), query, collection.paging)
}

fn item(id: String, object: Value) -> Item {
    Item { id, account_id: String::new(), object: object.as_object().cloned().unwrap_or_default() }
}

fn created_at(before: Option<&Item>, env: &Env) -> String {
    let known = before.and_then(|item| text(&item.object, "created_at"));
    known.map_or_else(|| env.stamp(), str::to_owned)
}

fn group(
    body: &Map<String, Value>,
    before: Option<&Item>,
    env: &mut Env,
) -> Result<Item, ApiError> {
    let include = rules::checked(body, "include")?;
    if include.as_array().is_none_or(Vec::is_empty) {
        return Err(ApiError::invalid_request("include needs at least one rule"));
    }
    let name = required_name(body)?;
    let exclude = rules::checked(body, "exclude")?;
    let require = rules::checked(body, "require")?;
    let id = before.map_or_else(|| env.ids.uuid(), |item| item.id.clone());
    let object = json!({
        "id": id, "uid": id, "name": name, "include": include, "exclude": exclude,
        "require": require, "created_at": created_at(before, env), "updated_at": env.stamp(),
    });
    Ok(item(id, object))
}

fn tag(body: &Map<String, Value>, before: Option<&Item>, env: &mut Env) -> Result<Item, ApiError> {
    let name = required_name(body)?;
    let object = json!({
        "name": name, "created_at": created_at(before, env), "updated_at": env.stamp(),
    });
    Ok(item(name, object))
}

fn provider(
    body: &Map<String, Value>,
    before: Option<&Item>,
    env: &mut Env,
) -> Result<Item, ApiError> {
    let kind = text(body, "type").unwrap_or_default();
    if !PROVIDER_TYPES.contains(&kind) {
        return Err(ApiError::invalid_request(format_args!(
            "unknown identity provider type {kind}"
        )));
    }
    if before.is_some_and(|item| text(&item.object, "type") != Some(kind)) {
        return Err(ApiError::invalid_request(
            "the type of an identity provider cannot be changed",
        ));
    }
    let name = required_name(body)?;
    let mut config = match body.get("config") {
        Some(Value::Object(config)) => config.clone(),
        _ => return Err(ApiError::invalid_request("config is required")),
    };
    // The client secret cannot be read back (contract 6.3).
    config.shift_remove("client_secret");
    let id = before.map_or_else(|| env.ids.uuid(), |item| item.id.clone());
    let version = env.ids.hex(32);
    let object = provider_object(&id, &name, kind, config.into(), &version);
    Ok(Item { id, account_id: String::new(), object })
}

/// An identity provider as answers show it.
pub fn provider_object(
    id: &str,
    name: &str,
    kind: &str,
    config: Value,
    version: &str,
) -> Map<String, Value> {
    let object = json!({
        "id": id, "uid": id, "name": name, "type": kind, "config": config,
        "scim_config": {
            "enabled": false, "user_deprovision": false, "seat_deprovision": false,
            "identity_update_behavior": "no_action",
        },
        "version": version, "read_only": false,
    });
    object.as_object().cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::sandbox::cloudflare::testing::Sandbox;

    #[test]
    fn github_and_the_one_time_pin_are_there() {
        let mut sandbox = Sandbox::new();
        let path = format!("/accounts/{}/access/identity_providers", sandbox.account());
        let rows = sandbox.get(&path)["result"].clone();
        let types: Vec<&Value> = rows.as_array().unwrap().iter().map(|row| &row["type"]).collect();
        assert_eq!(types, ["github", "onetimepin"]);
        assert_eq!(rows[0]["name"], "GitHub");
        assert!(rows[0]["config"].get("client_secret").is_none());
    }

    #[test]
    fn a_providers_client_secret_is_not_answered() {
        let mut sandbox = Sandbox::new();
        let path = format!("/accounts/{}/access/identity_providers", sandbox.account());
        let config = json!({"client_id": "a", "client_secret": "b"});
        let body = json!({"name": "GitHub", "type": "github", "config": config});
        let (status, made) = sandbox.call("POST", &path, Some(body));
        assert_eq!(status, 201);
        assert_eq!(made["result"]["config"], json!({"client_id": "a"}));
    }

    #[test]
    fn groups_have_their_own_code() {
        let mut sandbox = Sandbox::new();
        let path = format!("/accounts/{}/access/groups", sandbox.account());
        let body = json!({"name": "g", "include": [{"ip": {"ip": "192.0.2.7"}}]});
        let (status, made) = sandbox.call("POST", &path, Some(body.clone()));
        assert_eq!(status, 201);
        assert_eq!(made["result"]["include"], json!([{"ip": {"ip": "192.0.2.7/32"}}]));
        let one = format!("{path}/{}", made["result"]["id"].as_str().unwrap());
        assert_eq!(sandbox.status("PUT", &one, Some(body)), 200);
        assert_eq!(sandbox.status("DELETE", &one, None), 202);
        assert_eq!(sandbox.refusal("GET", &one, None), (404, 12152));
    }

    #[test]
    fn tags_are_known_by_name() {
        let mut sandbox = Sandbox::new();
        let path = format!("/accounts/{}/access/tags", sandbox.account());
        assert_eq!(sandbox.status("POST", &path, Some(json!({"name": "t"}))), 201);
        assert_eq!(sandbox.refusal("POST", &path, Some(json!({"name": "t"}))), (400, 12130));
        assert_eq!(sandbox.status("DELETE", &format!("{path}/t"), None), 202);
    }
}
