//! DNS records (contract 3).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::dns_content::{
    SIMPLE_TYPES, is_data_type, normal_content, normal_name, proxiable, rendered,
};
use super::plans::Plan;
use super::reply::{Answer, ApiError, Outcome};
use super::zones::Zone;
use super::{Call, State, dns_list, is_hex_id, text};
use crate::sandbox::env::Env;
use crate::sandbox::quirks::Quirk;

/// A DNS record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// 32 hexadecimal digits.
    pub id: String,
    /// The zone it is in.
    pub zone_id: String,
    /// Its type in capitals.
    pub kind: String,
    /// Lower-case Punycode FQDN.
    pub name: String,
    /// What was sent, in the server's form, or what was rendered from `data`.
    pub content: String,
    /// For types whose content is rendered.
    pub data: Option<Value>,
    /// For MX and URI.
    pub priority: Option<u64>,
    /// Seconds; 1 is automatic.
    pub ttl: u64,
    /// Proxied by Cloudflare.
    pub proxied: bool,
    /// Never empty.
    pub comment: Option<String>,
    /// `name:value`.
    #[serde(default)]
    pub tags: Vec<String>,
    /// `flatten_cname` and the like.
    pub settings: Map<String, Value>,
    /// A and AAAA only, where it was sent.
    pub private_routing: Option<bool>,
    created_on: String,
    modified_on: String,
    comment_modified_on: Option<String>,
    #[serde(default)]
    tags_modified_on: Option<String>,
}

/// `/zones/{zone}/dns_records/…`.
pub fn handle(
    state: &mut State,
    call: &Call<'_>,
    zone: &Zone,
    rest: &[&str],
    env: &mut Env,
) -> Outcome {
    match (call.method, rest) {
        ("GET", []) => dns_list::list(state, zone, call.query()),
        ("POST", []) => create(state, zone, &call.object()?, env).map(|r| Answer::ok(shown(&r))),
        ("POST", ["batch"]) => batch(state, zone, &call.object()?, env),
        (method, [] | ["batch"]) => Err(ApiError::no_method(method)),
        (_, [id]) if !is_hex_id(id) => Err(ApiError::no_route(call.path)),
        ("GET", [id]) => find(state, zone, id).map(|n| Answer::ok(shown(&state.records[n]))),
        ("PUT", [id]) => {
            write(state, zone, id, &call.object()?, false, env).map(|r| Answer::ok(shown(&r)))
        }
        ("PATCH", [id]) => {
            write(state, zone, id, &call.object()?, true, env).map(|r| Answer::ok(shown(&r)))
        }
        ("DELETE", [id]) => {
            remove(state, zone, id).map(|record| Answer::ok(json!({ "id": record.id })))
        }
        (method, [_]) => Err(ApiError::no_method(method)),
        _ => Err(ApiError::no_route(call.path)),
    }
}

fn find(state: &State, zone: &Zone, id: &str) -> Result<usize, ApiError> {
    state
        .records
        .iter()
        .position(|record| record.id == id && record.zone_id == zone.id)
        .ok_or_else(|| ApiError::new(404, 81044, "Record does not exist."))
}

fn create(
    state: &mut State,
    zone: &Zone,
    body: &Map<String, Value>,
    env: &mut Env,
) -> Result<Record, ApiError> {
    let mut record = drafted(body, None, zone, env)?;
    check_neighbours(state, &record)?;
    record.id = env.ids.hex(32);
    state.records.push(record.clone());
    Ok(record)
}

/// PUT (unspecified fields go back to defaults) or, with `merge`, PATCH (they stay).
fn write(
    state: &mut State,
    zone: &Zone,
    id: &str,
    body: &Map<String, Value>,
    merge: bool,
    env: &mut Env,
) -> Result<Record, ApiError> {
    let at = find(state, zone, id)?;
    let before = state.records[at].clone();
    let base = match merge {
        true => before.clone(),
        false => Record {
            kind: String::new(),
            name: String::new(),
            content: String::new(),
            data: None,
            priority: None,
            ttl: 1,
            proxied: false,
            comment: None,
            tags: Vec::new(),
            settings: Map::new(),
            private_routing: None,
            ..before.clone()
        },
    };
    let mut record = drafted(body, Some(base), zone, env)?;
    record.comment_modified_on = match (&record.comment, record.comment == before.comment) {
        (None, _) => None,
        (Some(_), true) => before.comment_modified_on.clone(),
        (Some(_), false) => Some(env.stamp()),
    };
    record.tags_modified_on = match record.tags == before.tags {
        _ if record.tags.is_empty() => None,
        true => before.tags_modified_on.clone(),
        false => Some(env.stamp()),
    };
    check_neighbours(state, &record)?;
    if env.quirks.has(Quirk::NoOpUnmodified) {
        let same = Record { modified_on: before.modified_on.clone(), ..record.clone() };
        if same == before {
            record = before;
        }
    }
    state.records[at] = record.clone();
    Ok(record)
}

fn remove(state: &mut State, zone: &Zone, id: &str) -> Result<Record, ApiError> {
    let at = find(state, zone, id)?;
    Ok(state.records.remove(at))
}

fn batch(state: &mut State, zone: &Zone, body: &Map<String, Value>, env: &mut Env) -> Outcome {
    let part = |name: &str| -> Result<Vec<Map<String, Value>>, ApiError> {
        let invalid = || ApiError::new(400, 9207, "Request body is invalid.");
        match body.get(name) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(items)) => {
                items.iter().map(|item| item.as_object().cloned().ok_or_else(invalid)).collect()
            }
            Some(_) => Err(invalid()),
        }
    };
    let (deletes, patches) = (part("deletes")?, part("patches")?);
    let (puts, posts) = (part("puts")?, part("posts")?);
    let total = deletes.len() + patches.len() + puts.len() + posts.len();
    let limit = zone.plan.batch();
    if total > limit {
        let text = format!("Batch of {total} operations exceeds the limit of {limit}.");
        return Err(ApiError::new(400, 81059, text));
    }
    let before = state.records.clone();
    let mut run = || -> Outcome {
        let id = |item: &Map<String, Value>| text(item, "id").unwrap_or_default().to_owned();
        let mut result = json!({});
        let mut rows = Vec::new();
        for item in &deletes {
            rows.push(shown(&remove(state, zone, &id(item))?));
        }
        result["deletes"] = std::mem::take(&mut rows).into();
        for item in &patches {
            rows.push(shown(&write(state, zone, &id(item), item, true, env)?));
        }
        result["patches"] = std::mem::take(&mut rows).into();
        for item in &puts {
            rows.push(shown(&write(state, zone, &id(item), item, false, env)?));
        }
        result["puts"] = std::mem::take(&mut rows).into();
        for item in &posts {
            rows.push(shown(&create(state, zone, item, env)?));
        }
        result["posts"] = rows.into();
        Ok(Answer::ok(result))
    };
    let outcome = run();
    if outcome.is_err() {
        state.records = before;
    }
    outcome
}

/// The record that `body` describes on top of `base`, checked and in the server's forms.
fn drafted(
    body: &Map<String, Value>,
    base: Option<Record>,
    zone: &Zone,
    env: &Env,
) -> Result<Record, ApiError> {
    let fresh = base.is_none();
    let mut record = base.unwrap_or_else(|| Record {
        id: String::new(),
        zone_id: zone.id.clone(),
        kind: String::new(),
        name: String::new(),
        content: String::new(),
        data: None,
        priority: None,
        ttl: 1,
        proxied: false,
        comment: None,
        tags: Vec::new(),
        settings: Map::new(),
        private_routing: None,
        created_on: env.stamp(),
        modified_on: String::new(),
        comment_modified_on: None,
        tags_modified_on: None,
    });
    record.modified_on = env.stamp();
    if let Some(kind) = text(body, "type") {
        record.kind = kind.to_owned();
    }
    if !SIMPLE_TYPES.contains(&record.kind.as_str()) && !is_data_type(&record.kind) {
        return Err(ApiError::new(400, 9020, "DNS record type is invalid."));
    }
    if let Some(name) = text(body, "name") {
        record.name = normal_name(name, &zone.name)?;
    }
    if record.name.is_empty() {
        return Err(ApiError::new(400, 9000, "DNS name is invalid."));
    }
    fill_content(&mut record, body)?;
    as_doubted(&mut record, body, env);
    fill_serving(&mut record, body, zone.plan, env)?;
    fill_notes(&mut record, body, zone.plan)?;
    if fresh && record.comment.is_some() {
        record.comment_modified_on = Some(env.stamp());
    }
    if fresh && !record.tags.is_empty() {
        record.tags_modified_on = Some(env.stamp());
    }
    Ok(record)
}

fn fill_content(record: &mut Record, body: &Map<String, Value>) -> Result<(), ApiError> {
    if is_data_type(&record.kind) {
        if let Some(data) = body.get("data").filter(|data| !data.is_null()) {
            record.data = Some(data.clone());
        }
        let data = record.data.as_ref().and_then(Value::as_object).ok_or_else(|| {
            let text = format!("DNS Validation Error: a {} record needs data.", record.kind);
            ApiError::new(400, 1004, text)
        })?;
        record.content = rendered(&record.kind, data)?;
    } else {
        record.data = None;
        let content = text(body, "content").unwrap_or(&record.content);
        record.content = normal_content(&record.kind, content)?;
    }
    if record.kind == "CNAME" && record.content == record.name {
        return Err(ApiError::new(400, 9039, "CNAME content cannot reference itself."));
    }
    if let Some(priority) = body.get("priority").filter(|priority| !priority.is_null()) {
        let priority = priority.as_u64().filter(|n| *n <= 65535);
        let wrong = || ApiError::new(400, 9022, "Priority must be between 0 and 65535.");
        record.priority = Some(priority.ok_or_else(wrong)?);
    }
    match record.kind.as_str() {
        "MX" | "URI" if record.priority.is_none() => {
            let text = format!("DNS Validation Error: a {} record needs a priority.", record.kind);
            return Err(ApiError::new(400, 1004, text));
        }
        "MX" | "URI" => {}
        _ => record.priority = None,
    }
    Ok(())
}

/// Contents in the forms that are possible, too (contract 12, 13).
fn as_doubted(record: &mut Record, body: &Map<String, Value>, env: &Env) {
    if record.kind == "AAAA"
        && env.quirks.has(Quirk::Ipv6AsSent)
        && let Some(sent) = text(body, "content")
    {
        record.content = sent.to_owned();
    }
    let quoted = record.content.starts_with('"');
    if record.kind == "TXT" && env.quirks.has(Quirk::TxtQuoted) && !quoted {
        record.content = format!("\"{}\"", record.content.replace('"', "\\\""));
    }
}

fn fill_serving(
    record: &mut Record,
    body: &Map<String, Value>,
    plan: Plan,
    env: &Env,
) -> Result<(), ApiError> {
    match body.get("proxied") {
        None | Some(Value::Null) => {}
        Some(Value::Bool(proxied)) => record.proxied = *proxied,
        Some(_) => {
            return Err(ApiError::new(400, 9003, "Invalid 'proxied' value, must be a boolean."));
        }
    }
    if record.proxied && !proxiable(&record.kind, &record.content) {
        let text = "Invalid proxied mode. Record cannot be proxied";
        return Err(ApiError::new(400, 9041, text));
    }
    if let Some(ttl) = body.get("ttl").filter(|ttl| !ttl.is_null()) {
        let shortest = plan.ttl();
        let ttl = ttl.as_u64().filter(|ttl| *ttl == 1 || (shortest..=86400).contains(ttl));
        let text = format!(
            "Invalid TTL. Must be between {shortest} and 86400 seconds, or 1 for Automatic."
        );
        record.ttl = ttl.ok_or_else(|| ApiError::new(400, 9021, text))?;
    }
    if record.proxied && !env.quirks.has(Quirk::TtlAsSent) {
        record.ttl = 1;
    }
    if let Some(settings) = body.get("settings").and_then(Value::as_object) {
        let on = |name: &str| settings.get(name).and_then(Value::as_bool) == Some(true);
        let one_kind = on("ipv4_only") || on("ipv6_only");
        if one_kind && !plan.has_address_settings() {
            let text = "The IPv4 Only and IPv6 Only settings are not available to this zone.";
            return Err(ApiError::new(400, 9310, text));
        }
        if on("flatten_cname") && (record.proxied || record.kind != "CNAME") {
            let text = "The flatten_cname setting is not available for this record.";
            return Err(ApiError::new(400, 9311, text));
        }
        let names = ["flatten_cname", "ipv4_only", "ipv6_only"].into_iter();
        record.settings =
            names.filter(|name| on(name)).map(|name| (name.to_owned(), true.into())).collect();
    }
    if matches!(record.kind.as_str(), "A" | "AAAA") {
        if let Some(private) = body.get("private_routing").and_then(Value::as_bool) {
            record.private_routing = Some(private);
        }
    } else {
        record.private_routing = None;
    }
    Ok(())
}

fn fill_notes(record: &mut Record, body: &Map<String, Value>, plan: Plan) -> Result<(), ApiError> {
    match body.get("comment") {
        None => {}
        Some(Value::Null) => record.comment = None,
        Some(Value::String(comment)) => {
            let limit = plan.comment();
            if comment.contains(['\n', '\r']) || comment.chars().count() > limit {
                let text = format!(
                    "DNS record comments have at most {limit} characters and no line breaks."
                );
                return Err(ApiError::new(400, 9313, text));
            }
            record.comment = Some(comment.clone()).filter(|comment| !comment.is_empty());
        }
        Some(_) => return Err(ApiError::new(400, 9207, "Request body is invalid.")),
    }
    let Some(tags) = body.get("tags").filter(|tags| !tags.is_null()) else { return Ok(()) };
    let invalid = || ApiError::new(400, 9207, "Request body is invalid.");
    let sent = tags.as_array().ok_or_else(invalid)?;
    let tags = sent.iter().map(|tag| tag.as_str().map(str::to_owned));
    let mut tags = tags.collect::<Option<Vec<String>>>().ok_or_else(invalid)?;
    tags.sort();
    tags.dedup();
    let (count, quota) = (tags.len(), plan.tags());
    if count > quota {
        let text = format!("DNS record has {count} tags, exceeding the quota of {quota}.");
        return Err(ApiError::new(400, 9300, text));
    }
    record.tags = tags;
    Ok(())
}

/// What may stand beside what (contract 3.4).
fn check_neighbours(state: &State, record: &Record) -> Result<(), ApiError> {
    let others = || {
        state.records.iter().filter(|other| {
            other.zone_id == record.zone_id && other.id != record.id && other.name == record.name
        })
    };
    if others().any(|o| o.kind == record.kind && o.content == record.content) {
        return Err(ApiError::new(400, 81058, "An identical record already exists."));
    }
    let address = |kind: &str| matches!(kind, "A" | "AAAA" | "CNAME");
    if record.kind == "CNAME" && others().any(|o| address(&o.kind)) {
        let text = "An A, AAAA, or CNAME record with that host already exists. For more details, \
                    refer to <https://developers.cloudflare.com/dns/manage-dns-records/\
                    troubleshooting/records-with-same-name/>.";
        return Err(ApiError::new(400, 81053, text));
    }
    if address(&record.kind) && others().any(|o| o.kind == "CNAME") {
        let text = "A CNAME record with that host already exists. For more details, refer to \
                    <https://developers.cloudflare.com/dns/manage-dns-records/troubleshooting/\
                    records-with-same-name/>.";
        return Err(ApiError::new(400, 81054, text));
    }
    let apex = state.zones.iter().any(|z| z.id == record.zone_id && z.name == record.name);
    let name_servers = others().any(|o| (o.kind == "NS") != (record.kind == "NS"));
    let delegation = record.kind == "NS" || others().any(|o| o.kind == "NS");
    if !apex && delegation && name_servers {
        return Err(ApiError::new(400, 81056, "NS records with that host already exist."));
    }
    Ok(())
}

/// The record as answers show it (contract 3.1).
pub fn shown(record: &Record) -> Value {
    let mut object = json!({
        "id": record.id, "name": record.name, "type": record.kind, "content": record.content,
        "proxiable": proxiable(&record.kind, &record.content), "proxied": record.proxied,
        "ttl": record.ttl,
    });
    if record.kind == "CNAME" || !record.settings.is_empty() {
        object["settings"] = json!(record.settings);
    }
    if record.kind == "CNAME" && !record.settings.contains_key("flatten_cname") {
        object["settings"]["flatten_cname"] = json!(false);
    }
    // Today's schema requires it of this type alone.
    if record.kind == "OPENPGPKEY" {
        object["settings"] = json!({});
    }
    object["meta"] = json!({});
    object["comment"] = json!(record.comment);
    object["tags"] = json!(record.tags);
    object["created_on"] = json!(record.created_on);
    object["modified_on"] = json!(record.modified_on);
    if let Some(data) = &record.data {
        object["data"] = data.clone();
    }
    if let Some(priority) = record.priority {
        object["priority"] = priority.into();
    }
    if let Some(private) = record.private_routing {
        object["private_routing"] = private.into();
    }
    if let Some(time) = &record.comment_modified_on {
        object["comment_modified_on"] = json!(time);
    }
    if let Some(time) = &record.tags_modified_on {
        object["tags_modified_on"] = json!(time);
    }
    object
}

#[cfg(test)]
#[path = "dns_tests.rs"]
mod tests;
