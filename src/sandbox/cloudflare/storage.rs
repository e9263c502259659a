//! What Workers keep things in: KV namespaces, R2 buckets, D1 databases (contract 7.5 to 7.7). What
//! is in them is not modelled, nor jurisdictions.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::reply::{Answer, ApiError, Outcome, Paging, Query, after_cursor, page};
use super::{Call, is_hex_id, is_uuid, text};
use crate::sandbox::env::Env;

/// What the accounts have.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct State {
    /// KV namespaces.
    pub namespaces: Vec<Namespace>,
    /// R2 buckets.
    pub buckets: Vec<Bucket>,
    /// D1 databases.
    pub databases: Vec<Database>,
}

/// A KV namespace.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Namespace {
    id: String,
    account_id: String,
    title: String,
}

/// An R2 bucket.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Bucket {
    account_id: String,
    name: String,
    location: String,
    storage_class: String,
    creation_date: String,
}

/// A D1 database.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Database {
    uuid: String,
    account_id: String,
    name: String,
    mode: String,
    created_at: String,
}

/// `/accounts/{account}/storage/kv/namespaces/…`
pub fn kv(
    state: &mut State,
    call: &Call<'_>,
    account: &str,
    rest: &[&str],
    env: &mut Env,
) -> Outcome {
    let all = &mut state.namespaces;
    let shown = |one: &Namespace| json!({ "id": one.id, "title": one.title, "supports_url_encoding": true });
    let title = |body: &Map<String, Value>, all: &[Namespace], but: &str| {
        let title = text(body, "title").filter(|title| !title.is_empty());
        let title = title.ok_or_else(|| ApiError::new(400, 10019, "title required"))?;
        let taken = all.iter().any(|n| n.account_id == account && n.title == title && n.id != but);
        let text = "a namespace with this account ID and title already exists";
        if taken { Err(ApiError::new(400, 10014, text)) } else { Ok(title.to_owned()) }
    };
    match (rest, call.method) {
        ([], "GET") => {
            let own = all.iter().filter(|one| one.account_id == account);
            let paging = Paging { default: 20, min: 5, max: 100 };
            page(own.map(shown).collect(), call.query(), paging)
        }
        ([], "POST") => {
            let title = title(&call.object()?, all, "")?;
            let made = Namespace { id: env.ids.hex(32), account_id: account.to_owned(), title };
            let answer = shown(&made);
            all.push(made);
            Ok(Answer::ok(answer))
        }
        ([id], method) if is_hex_id(id) => {
            let at = all.iter().position(|one| one.id == **id && one.account_id == account);
            let at = at.ok_or_else(|| ApiError::new(404, 10013, "namespace not found"))?;
            match method {
                "GET" => Ok(Answer::ok(shown(&all[at]))),
                "PUT" => {
                    all[at].title = title(&call.object()?, all, id)?;
                    Ok(Answer::ok(shown(&all[at])))
                }
                "DELETE" => {
                    all.remove(at);
                    Ok(Answer::ok(json!({})))
                }
                method => Err(ApiError::no_method(method)),
            }
        }
        ([], method) => Err(ApiError::no_method(method)),
        _ => Err(ApiError::no_route(call.path)),
    }
}

/// `/accounts/{account}/r2/buckets/…`
pub fn r2(
    state: &mut State,
    call: &Call<'_>,
    account: &str,
    rest: &[&str],
    env: &mut Env,
) -> Outcome {
    let all = &mut state.buckets;
    let shown = |one: &Bucket| {
        json!({
            "name": one.name, "creation_date": one.creation_date, "location": one.location,
            "storage_class": one.storage_class, "jurisdiction": "default",
        })
    };
    match (rest, call.method) {
        ([], "GET") => {
            let own = all.iter().filter(|one| one.account_id == account);
            let buckets = listed(own.collect(), call.query()).into_iter().map(shown).collect();
            let paging = Paging { default: 20, min: 1, max: 1000 };
            let (buckets, info) = after_cursor(buckets, call.query(), paging)?;
            Ok(Answer { info: Some(info), ..Answer::ok(json!({ "buckets": buckets })) })
        }
        ([], "POST") => {
            let made = bucket(&call.object()?, account, env)?;
            if all.iter().any(|one| one.account_id == account && one.name == made.name) {
                let text = "The bucket you tried to create already exists, and you own it.";
                return Err(ApiError::new(409, 10004, text));
            }
            let answer = shown(&made);
            all.push(made);
            Ok(Answer::ok(answer))
        }
        ([name], method) => {
            let at = all.iter().position(|one| one.name == **name && one.account_id == account);
            let missing = || ApiError::new(404, 10006, "The specified bucket does not exist.");
            let at = at.ok_or_else(missing)?;
            match method {
                "GET" => Ok(Answer::ok(shown(&all[at]))),
                "PATCH" => {
                    all[at].storage_class = storage_class(call.storage_class)?;
                    Ok(Answer::ok(shown(&all[at])))
                }
                "DELETE" => {
                    all.remove(at);
                    Ok(Answer::ok(json!({})))
                }
                method => Err(ApiError::no_method(method)),
            }
        }
        ([], method) => Err(ApiError::no_method(method)),
        _ => Err(ApiError::no_route(call.path)),
    }
}

/// The buckets that a list has, by name.
fn listed<'a>(mut buckets: Vec<&'a Bucket>, query: Query<'_>) -> Vec<&'a Bucket> {
    buckets.sort_by(|a, b| a.name.cmp(&b.name));
    let down = query.get("direction") == Some("desc");
    if down {
        buckets.reverse();
    }
    let part = query.get("name_contains").unwrap_or_default();
    let after = query.get("start_after");
    let follows = |one: &Bucket, after: &str| match down {
        true => one.name.as_str() < after,
        false => one.name.as_str() > after,
    };
    buckets.retain(|one| one.name.contains(part) && after.is_none_or(|after| follows(one, after)));
    buckets
}

fn wrong_bucket(text: &str) -> ApiError {
    ApiError::new(400, 10005, format!("The bucket {text} is not valid."))
}

fn storage_class(said: Option<&str>) -> Result<String, ApiError> {
    let known = said.filter(|said| ["Standard", "InfrequentAccess"].contains(said));
    known.map(str::to_owned).ok_or_else(|| wrong_bucket("storage class"))
}

fn bucket(body: &Map<String, Value>, account: &str, env: &Env) -> Result<Bucket, ApiError> {
    let name = text(body, "name").unwrap_or_default();
    let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    let edges = name.starts_with('-') || name.ends_with('-');
    if !(3..=63).contains(&name.len()) || edges || !name.bytes().all(allowed) {
        return Err(wrong_bucket("name"));
    }
    let hint = text(body, "locationHint").unwrap_or("apac").to_ascii_lowercase();
    if !["apac", "eeur", "enam", "weur", "wnam", "oc"].contains(&hint.as_str()) {
        return Err(wrong_bucket("location"));
    }
    let storage_class = storage_class(text(body, "storageClass").or(Some("Standard")))?;
    Ok(Bucket {
        account_id: account.to_owned(),
        name: name.to_owned(),
        location: hint.to_ascii_uppercase(),
        storage_class,
        creation_date: env.stamp(),
    })
}

/// What a list tells of a database.
const LISTED: [&str; 5] = ["uuid", "name", "version", "created_at", "jurisdiction"];

/// `/accounts/{account}/d1/database/…`
pub fn d1(
    state: &mut State,
    call: &Call<'_>,
    account: &str,
    rest: &[&str],
    env: &mut Env,
) -> Outcome {
    let all = &mut state.databases;
    let shown = |one: &Database| {
        json!({
            "uuid": one.uuid, "name": one.name, "version": "production",
            "created_at": one.created_at, "num_tables": 0, "file_size": 12288,
            "read_replication": { "mode": one.mode }, "jurisdiction": null,
        })
    };
    match (rest, call.method) {
        ([], "GET") => {
            // The name is searched for, not compared.
            let part = call.query().get("name").unwrap_or_default().to_owned();
            let own = all.iter().filter(|d| d.account_id == account && d.name.contains(&part));
            let paging = Paging { default: 1000, min: 10, max: 10_000 };
            // The official client's items have this much alone.
            let item = |one: &Database| {
                let mut item = shown(one);
                if let Some(item) = item.as_object_mut() {
                    item.retain(|name, _| LISTED.contains(&name.as_str()));
                }
                item
            };
            page(own.map(item).collect(), call.query(), paging)
        }
        ([], "POST") => {
            let body = call.object()?;
            let name = text(&body, "name").filter(|name| !name.is_empty());
            let name = name.ok_or_else(|| invalid("name"))?;
            // Contract 1.7 is not sure of it.
            if all.iter().any(|one| one.account_id == account && one.name == name) {
                let text = format!("database with name '{name}' already exists");
                return Err(ApiError::new(400, 7502, text));
            }
            let made = Database {
                uuid: env.ids.uuid(),
                account_id: account.to_owned(),
                name: name.to_owned(),
                mode: mode(&body)?.unwrap_or_else(|| "disabled".to_owned()),
                created_at: env.stamp(),
            };
            let answer = shown(&made);
            all.push(made);
            Ok(Answer::ok(answer))
        }
        ([id], method) if is_uuid(id) => {
            let at = all.iter().position(|one| one.uuid == **id && one.account_id == account);
            let missing =
                || ApiError::new(404, 7404, format!("The database {id} could not be found"));
            let at = at.ok_or_else(missing)?;
            match method {
                "GET" => Ok(Answer::ok(shown(&all[at]))),
                "PATCH" | "PUT" => {
                    let body = call.object()?;
                    if let Some(name) = body.keys().find(|name| *name != "read_replication") {
                        return Err(invalid(name));
                    }
                    if let Some(mode) = mode(&body)? {
                        all[at].mode = mode;
                    } else if method == "PUT" {
                        return Err(invalid("read_replication"));
                    }
                    Ok(Answer::ok(shown(&all[at])))
                }
                "DELETE" => {
                    all.remove(at);
                    Ok(Answer::ok(Value::Null))
                }
                method => Err(ApiError::no_method(method)),
            }
        }
        ([], method) => Err(ApiError::no_method(method)),
        _ => Err(ApiError::no_route(call.path)),
    }
}

fn invalid(property: &str) -> ApiError {
    ApiError::new(400, 7400, format!("The request is malformed: Invalid property: {property}"))
}

fn mode(body: &Map<String, Value>) -> Result<Option<String>, ApiError> {
    let Some(replication) = body.get("read_replication").filter(|v| !v.is_null()) else {
        return Ok(None);
    };
    match replication["mode"].as_str() {
        Some(mode @ ("auto" | "disabled")) => Ok(Some(mode.to_owned())),
        _ => Err(invalid("read_replication.mode")),
    }
}

#[cfg(test)]
#[path = "storage_tests.rs"]
mod tests;
