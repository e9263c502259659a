//! A DNS record of a zone (contract 3).

use serde_json::json;

use super::compare;
use super::dns_content::{self, SIMPLE, STRUCTURED};
pub use super::dns_record_spec::DnsRecordSpec;
use super::dns_settings::{self, SETTINGS};
use super::forms::{self, Form, NormalForm, Rest, rule};
use super::support::{
    fields, flag, hostname, hostname_problem, is_gone, is_special, moment, pick, refused,
    remote_of, text, with_ignored,
};
use crate::model::call::{Answer, Call, Filter, Listing, Method, Paging, Service};
use crate::model::change::FieldChange;
use crate::model::kind::{
    Diffed, Facts, Kind, KindError, Locate, Next, Output, Problem, Verb, Work,
};
use crate::model::observed::Remote;
use crate::model::path;
use crate::model::scope::{Need, Scope, Zone};
use crate::model::{Json, JsonMap};

/// The kind `dns_record`.
pub struct DnsRecord;

/// Its normal forms. The name's are in `place`, since the zone belongs to them: case, Punycode,
/// the trailing dot, `@`, relative or whole (contract 8). What is not in `FIELDS` is not looked at.
#[rustfmt::skip]
const FORMS: &[NormalForm] = &[
    rule("type", Form::Spelt(|kind, _| upper(kind))),                           // 3.1: upper case
    rule("content", Form::Spelt(content_of)),                                   // 8, by type: dns_content.rs
    rule("data", Form::Spelt(data_of)),                                         // 3.5: numbers; 8: SRV target
    rule("settings", Form::Spelt(|settings, _| dns_settings::known(settings))), // 3.1
    rule("settings.flatten_cname", Form::Absent(Rest::Switch(false))),          // 8: absent, {} and all false
    rule("settings.ipv4_only", Form::Absent(Rest::Switch(false))),              // 8
    rule("settings.ipv6_only", Form::Absent(Rest::Switch(false))),              // 8
    rule("comment", Form::Absent(Rest::Text(""))),                              // 8: absent, null and ""
    rule("tags", Form::Absent(Rest::Nothing)),                                  // 8: absent and []
    rule("tags", Form::Set),                                                    // 8: the order of tags
    rule("ttl", Form::Spelt(ttl_of)),                                           // 8: proxied, it is 1
    rule("ttl", Form::Absent(Rest::Number(1))),                                 // 3.1: 1 is automatic
    rule("proxied", Form::Absent(Rest::Switch(false))),                         // 3.1
    rule("private_routing", Form::Absent(Rest::Switch(false))),                 // 3.1: not echoed
];
/// What is read of a record, beside where it is.
const FIELDS: [&str; 10] = [
    "type",
    "content",
    "data",
    "ttl",
    "proxied",
    "priority",
    "comment",
    "tags",
    "settings",
    "private_routing",
];
const PROXIABLE: [&str; 3] = ["A", "AAAA", "CNAME"];

/// The records of a zone.
pub fn listing(zone: &Zone) -> Listing {
    let call = Call::get(Service::Cloudflare, collection(&zone.id))
        .purpose(format!("listing the records of {}", zone.name));
    Listing { call, paging: Paging::Pages(5000) }
}

fn collection(zone: &str) -> String {
    format!("/zones/{zone}/dns_records")
}

fn kind_of(spec: &Json) -> Option<String> {
    text(spec, "type").map(str::to_ascii_uppercase)
}

/// The record's whole name and its zone.
fn place(spec: &Json, scope: &Scope) -> Result<Option<(String, Zone)>, Problem> {
    let Some(name) = text(spec, "name") else { return Ok(None) };
    let whole = hostname(name);
    let said = match spec.get("zone") {
        None => None,
        Some(Json::String(zone)) => {
            let plain = hostname(zone);
            let found = scope.zones.iter().find(|z| z.name == plain || z.id == *zone);
            Some(found.cloned().ok_or_else(|| unknown_zone("zone", zone, scope))?)
        }
        Some(_) => return Ok(None),
    };
    let below = |zone: &Zone| {
        whole == zone.name || whole.strip_suffix(&zone.name).is_some_and(|h| h.ends_with('.'))
    };
    if let Some(zone) = &said {
        if name == "@" {
            return Ok(Some((zone.name.clone(), zone.clone())));
        }
        let full = if below(zone) { whole } else { format!("{whole}.{}", zone.name) };
        return match scope.zone_of(&full) {
            Some(nearest) if nearest.name != zone.name => Err(Problem::error(
                "zone",
                format!("{full} belongs to the zone {}, not to {}", nearest.name, zone.name),
            )),
            _ => Ok(Some((full, zone.clone()))),
        };
    }
    if let Some(zone) = scope.zone_of(&whole) {
        return Ok(Some((whole, zone.clone())));
    }
    if name.ends_with('.') {
        return Err(unknown_zone("name", name, scope));
    }
    match scope.zones.as_slice() {
        [zone] if name == "@" => Ok(Some((zone.name.clone(), zone.clone()))),
        [zone] => Ok(Some((format!("{whole}.{}", zone.name), zone.clone()))),
        _ => Err(unknown_zone("name", name, scope)),
    }
}

fn unknown_zone(path: &str, name: &str, scope: &Scope) -> Problem {
    let zones: Vec<&str> = scope.zones.iter().map(|zone| zone.name.as_str()).collect();
    let message = if path == "zone" {
        format!("the project has no zone `{name}`")
    } else {
        format!("`{name}` belongs to none of the project's zones")
    };
    let hint = if zones.is_empty() {
        "list the zone under `cloudflare: {zones: […]}` in boxctl.yaml".to_owned()
    } else {
        let zones = zones.join(", ");
        format!("the project has {zones}: write a name below one of them, or say which by `zone`")
    };
    Problem::error(path, message).hint(hint)
}

/// Whether zones are known by name: before the network some may be known by id only.
fn zones_are_named(scope: &Scope) -> bool {
    scope.zones.iter().all(|zone| !super::support::is_id(&zone.name) && !zone.name.is_empty())
}

fn upper(kind: &Json) -> Json {
    kind.as_str().map_or_else(|| kind.clone(), |kind| json!(kind.to_ascii_uppercase()))
}

fn content_of(content: &Json, record: &JsonMap) -> Json {
    match (record.get("type").and_then(Json::as_str), content.as_str()) {
        (Some(kind), Some(text)) => json!(dns_content::canonical(kind, text)),
        _ => content.clone(),
    }
}

fn data_of(data: &Json, record: &JsonMap) -> Json {
    let kind = record.get("type").and_then(Json::as_str);
    dns_content::canonical_data(kind.unwrap_or_default(), data)
}

fn ttl_of(ttl: &Json, record: &JsonMap) -> Json {
    if record.get("proxied") == Some(&json!(true)) { json!(1) } else { ttl.clone() }
}

/// The body of a create; of an update too, with what left the files at its defaults.
fn body(spec: &Json) -> JsonMap {
    let mut body = fields(spec);
    body.shift_remove("zone");
    body
}

fn zone_id(work: &Work<'_>) -> Result<String, KindError> {
    if let Some((zone, _)) = work.remote.and_then(|remote| remote.id.split_once('/')) {
        return Ok(zone.to_owned());
    }
    let name = text(work.spec, "zone").unwrap_or_default();
    let zone = work.scope.zones.iter().find(|zone| zone.name == name && !zone.id.is_empty());
    zone.map(|zone| zone.id.clone()).ok_or_else(|| KindError::Impossible {
        message: format!("the id of the zone {name} is not known"),
        hint: Some("the token has to see the zone: it wants `Zone Read` for it".to_owned()),
    })
}

fn record_path(work: &Work<'_>) -> Result<String, KindError> {
    let remote = work.remote.ok_or_else(|| KindError::Answer("id".to_owned()))?;
    let (zone, record) = remote.id.split_once('/').unwrap_or(("", &remote.id));
    let zone = if zone.is_empty() { zone_id(work)? } else { zone.to_owned() };
    Ok(format!("{}/{record}", collection(&zone)))
}

fn update_body(work: &Work<'_>, remote: &Remote) -> Json {
    let mut body = body(&with_ignored(work.spec, &remote.spec, work.ignore));
    for path in work.removed {
        match path.as_str() {
            "comment" => body.insert("comment".to_owned(), json!("")),
            "tags" => body.insert("tags".to_owned(), json!([])),
            "private_routing" => body.insert("private_routing".to_owned(), json!(false)),
            path if path == "settings" || path.starts_with("settings.") => {
                let settings = body.entry("settings").or_insert_with(|| json!({}));
                for name in SETTINGS {
                    let sent = work.sent.and_then(|sent| sent.get("settings")?.get(name));
                    if sent.is_some() && settings.get(name).is_none() {
                        path::put(settings, name, json!(false));
                    }
                }
                None
            }
            _ => None,
        };
    }
    Json::Object(body)
}

impl Kind for DnsRecord {
    fn name(&self) -> &'static str {
        "dns_record"
    }

    fn doc(&self) -> &'static str {
        "A DNS record of a zone at Cloudflare."
    }

    fn service(&self) -> Service {
        Service::Cloudflare
    }

    fn schema(&self) -> schemars::Schema {
        schemars::schema_for!(DnsRecordSpec)
    }

    fn outputs(&self) -> &'static [Output] {
        &[
            Output { name: "id", secret: false, doc: "The record's id." },
            Output { name: "hostname", secret: false, doc: "The record's whole name." },
        ]
    }

    fn known_outputs(&self, spec: &Json, scope: &Scope) -> JsonMap {
        let mut out = JsonMap::new();
        if let Ok(Some((name, _))) = place(spec, scope) {
            out.insert("hostname".to_owned(), json!(name));
        }
        out
    }

    fn check(&self, spec: &Json, scope: &Scope) -> Vec<Problem> {
        let mut problems = Vec::new();
        if let Some(name) = text(spec, "name").filter(|name| *name != "@")
            && let Some(message) = hostname_problem(name, true)
        {
            problems.push(Problem::error("name", message));
        } else if zones_are_named(scope)
            && let Err(problem) = place(spec, scope)
        {
            problems.push(problem);
        }
        let kind = kind_of(spec);
        if let Some(kind) = &kind {
            check_value(kind, spec, &mut problems);
            check_fields(kind, spec, scope, &mut problems);
        }
        problems
    }

    fn hostnames(&self, spec: &Json, scope: &Scope) -> Vec<String> {
        let published = kind_of(spec).is_some_and(|kind| PROXIABLE.contains(&kind.as_str()));
        match place(spec, scope) {
            Ok(Some((name, _))) if published => vec![name],
            _ => Vec::new(),
        }
    }

    fn needs(&self, _spec: &Json) -> Vec<Need> {
        vec![Need::Zones]
    }

    fn declare(&self, spec: &Json, scope: &Scope) -> Result<Json, Problem> {
        let mut out = forms::spelt(FORMS, fields(spec));
        if let Some((name, zone)) = place(spec, scope)? {
            out.insert("name".to_owned(), json!(name));
            out.insert("zone".to_owned(), json!(zone.name));
        }
        out.entry("ttl").or_insert(json!(1));
        if kind_of(spec).is_some_and(|kind| PROXIABLE.contains(&kind.as_str())) {
            out.entry("proxied").or_insert(json!(false));
        }
        Ok(Json::Object(out))
    }

    fn locate(&self, spec: Option<&Json>, id: Option<&str>, scope: &Scope) -> Option<Locate> {
        let by_spec = spec.and_then(|spec| {
            let (_, zone) = place(spec, scope).ok()??;
            scope.zones.iter().find(|known| known.name == zone.name)
        });
        let by_id = || {
            let zone = id?.split_once('/')?.0;
            scope.zones.iter().find(|known| known.id == zone)
        };
        let mut zones: Vec<&Zone> = by_spec.into_iter().collect();
        if let Some(zone) = by_id().filter(|zone| !zones.contains(zone)) {
            zones.push(zone);
        }
        if zones.is_empty() || zones.iter().any(|zone| zone.id.is_empty()) {
            return None;
        }
        Some(Locate::In(zones.into_iter().map(listing).collect()))
    }

    /// All records of the name, of whatever type (contract 3.2: exact, whole names, in any case). What
    /// a filter makes of `*`, and of a name that is not written in ASCII, is not said.
    fn narrowed(&self, spec: &Json) -> Filter {
        let plain =
            |name: &&str| name.contains('.') && !name.contains('*') && !name.contains("xn--");
        let name = text(spec, "name").filter(plain);
        name.map(|name| ("name".to_owned(), name.to_owned())).into_iter().collect()
    }

    fn read(&self, item: &Json, scope: &Scope) -> Vec<Remote> {
        let (Some(id), Some(name), Some(_)) =
            (text(item, "id"), text(item, "name"), text(item, "type"))
        else {
            return Vec::new();
        };
        let name = hostname(name);
        let zone = scope.zone_of(&name);
        let mut seen = pick(item, &FIELDS);
        if kind_of(item).is_some_and(|kind| STRUCTURED.contains(&kind.as_str())) {
            seen.shift_remove("content");
        }
        let mut spec = forms::read(FORMS, seen);
        spec.insert("name".to_owned(), json!(name));
        spec.insert("zone".to_owned(), json!(zone.map_or("", |zone| &zone.name)));
        let mut outputs = JsonMap::new();
        outputs.insert("id".to_owned(), json!(id));
        outputs.insert("hostname".to_owned(), json!(name));
        let zone = zone.map_or("", |zone| &zone.id);
        vec![Remote {
            id: format!("{zone}/{id}"),
            spec: Json::Object(spec),
            outputs,
            version: None,
            raw: item.clone(),
        }]
    }

    fn fetch(&self, id: &str, _scope: &Scope) -> Option<Call> {
        let (zone, record) = id.split_once('/').filter(|(zone, _)| !zone.is_empty())?;
        let path = format!("{}/{record}", collection(zone));
        Some(Call::get(Service::Cloudflare, path).purpose("reading the record"))
    }

    /// A CNAME is alone at its name; of the others there may be several, told apart by what they
    /// say.
    fn fits(&self, spec: &Json, remote: &Remote) -> bool {
        let equal = |field: &str| spec.get(field) == remote.spec.get(field);
        let known = |field: &str| spec.get(field).is_none_or(is_special);
        let alone = text(spec, "type") == Some("CNAME");
        equal("name")
            && equal("type")
            && (alone || known("content") || equal("content"))
            && (known("data") || equal("data"))
    }

    /// Of A, AAAA and CNAME records, a CNAME is alone at its name (contract 3.4; codes 81053 and
    /// 81054).
    fn clash(&self, spec: &Json, remote: &Remote) -> Option<String> {
        let types = [text(spec, "type")?, text(&remote.spec, "type")?];
        let clashes = spec.get("name") == remote.spec.get("name")
            && types[0] != types[1]
            && types.contains(&"CNAME")
            && types.iter().all(|kind| PROXIABLE.contains(kind));
        clashes.then(|| {
            let (name, content) = (text(spec, "name"), text(&remote.spec, "content"));
            format!(
                "a CNAME is the only address of its name, and {} has the {} record {} (id {})",
                name.unwrap_or_default(),
                types[1],
                content.unwrap_or_default(),
                remote.id.rsplit('/').next().unwrap_or_default(),
            )
        })
    }

    fn places(&self, spec: &Json) -> Vec<String> {
        text(spec, "name").map(str::to_owned).into_iter().collect()
    }

    /// Where a name leads is what all its address records say together; an NS record gives it to
    /// others, and HTTPS and SVCB records tell browsers another way. Mail goes to the first of all MX
    /// records. Other types may stand side by side.
    fn overlaid(&self, spec: &Json, other: &Remote) -> Option<FieldChange> {
        let (ours, theirs) = (text(spec, "type")?, text(&other.spec, "type")?);
        let leads =
            |kind: &str| PROXIABLE.contains(&kind) || ["NS", "HTTPS", "SVCB"].contains(&kind);
        let changes = match ours {
            "NS" | "MX" => theirs == ours,
            ours => PROXIABLE.contains(&ours) && leads(theirs),
        };
        if !changes || spec.get("name") != other.spec.get("name") {
            return None;
        }
        let id = other.id.rsplit('/').next().unwrap_or_default();
        let shown = pick(&other.spec, &["type", "name", "content", "data", "proxied"]);
        let path = format!("beside[id=\"{id}\"]");
        let mut change = FieldChange::new(path, None, Some(Json::Object(shown)));
        change.note = Some("another record of the same name".to_owned());
        change.since = self.modified_at(other).map(|at| at.to_string());
        Some(change)
    }

    fn key(&self, spec: &Json) -> JsonMap {
        pick(spec, &["name", "type", "content", "data"])
    }

    fn made_at(&self, remote: &Remote) -> Option<jiff::Timestamp> {
        moment(remote.raw.get("created_on"))
    }

    fn modified_at(&self, remote: &Remote) -> Option<jiff::Timestamp> {
        super::support::modified(&remote.raw)
    }

    fn diff(&self, facts: &Facts<'_>) -> Diffed {
        compare::fields(facts, forms::compared(FORMS))
    }

    fn replaces(&self, path: &str, _spec: &Json, _remote: &Remote) -> Option<String> {
        match path {
            "type" => Some("a record's type cannot be changed".to_owned()),
            "zone" => Some("a record cannot move to another zone".to_owned()),
            _ => None,
        }
    }

    fn next(&self, work: &Work<'_>, answers: &[Answer]) -> Result<Next, KindError> {
        match (work.verb, answers.last()) {
            (Verb::Delete, None) => {
                let path = record_path(work)?;
                let call = Call::change(Service::Cloudflare, Method::Delete, path)
                    .tolerate(&[404])
                    .purpose("deleting the record");
                Ok(Next::call(call))
            }
            (Verb::Delete, Some(answer)) if is_gone(answer) => Ok(Next::gone()),
            (Verb::Delete, Some(answer)) => Err(refused(answer, None)),
            (_, Some(answer)) => Ok(Next::done(remote_of(self.read(&answer.body, work.scope))?)),
            (Verb::Create, None) => {
                let body = body(work.spec);
                let call =
                    Call::change(Service::Cloudflare, Method::Post, collection(&zone_id(work)?))
                        .key(self.key(work.spec))
                        .body(Json::Object(body))
                        .purpose("creating the record");
                Ok(Next::call(call))
            }
            (Verb::Update | Verb::Widen, None) => {
                let path = record_path(work)?;
                let remote = work.remote.ok_or_else(|| KindError::Answer("id".to_owned()))?;
                let call = Call::change(Service::Cloudflare, Method::Patch, path)
                    .body(update_body(work, remote))
                    .purpose("changing the record");
                Ok(Next::call(call))
            }
        }
    }

    fn rank(&self, _spec: &Json) -> u32 {
        100
    }
}

fn check_value(kind: &str, spec: &Json, problems: &mut Vec<Problem>) {
    let (content, data) = (spec.get("content"), spec.get("data"));
    if SIMPLE.contains(&kind) {
        match content {
            None => problems.push(Problem::error("", format!("a {kind} record needs `content`"))),
            Some(Json::String(content)) => problems.extend(dns_content::check(kind, content)),
            Some(_) => {}
        }
        if data.is_some() {
            let message = format!("a {kind} record has `content`, not `data`");
            problems.push(Problem::error("data", message));
        }
    } else if STRUCTURED.contains(&kind) {
        if data.is_none() {
            problems.push(Problem::error("", format!("a {kind} record needs `data`")));
        }
        if content.is_some() {
            let message = format!("the service makes the content of a {kind} record from `data`");
            problems.push(Problem::error("content", message));
        }
    } else {
        let mut all: Vec<&str> = SIMPLE.iter().chain(&STRUCTURED).copied().collect();
        all.sort_unstable();
        problems.push(
            Problem::error("type", format!("`{kind}` is not a type of record"))
                .hint(format!("the types are {}", all.join(", "))),
        );
    }
}

fn check_fields(kind: &str, spec: &Json, scope: &Scope, problems: &mut Vec<Problem>) {
    let proxied = flag(spec, "proxied") == Some(true);
    dns_settings::check(kind, proxied, spec, problems);
    let ttl = spec.get("ttl").and_then(Json::as_u64);
    if proxied && !PROXIABLE.contains(&kind) {
        problems.push(Problem::error("proxied", format!("a {kind} record cannot be proxied")));
    }
    if let Some(content) = text(spec, "content").filter(|c| proxied && !dns_content::is_public(c)) {
        problems.push(
            Problem::error(
                "proxied",
                format!("{content} is a private address, and such a record cannot be proxied"),
            )
            .hint("leave `proxied` out, or publish it through a tunnel"),
        );
    }
    match ttl {
        Some(ttl) if proxied && ttl != 1 => problems.push(
            Problem::error("ttl", "a proxied record has no ttl of its own")
                .hint("leave `ttl` out, or write 1"),
        ),
        Some(ttl) if ttl != 1 && !(30..=86_400).contains(&ttl) => problems.push(Problem::error(
            "ttl",
            format!("{ttl} is not a ttl: 1 (automatic), or 60 to 86400 (from 30 for Enterprise)"),
        )),
        _ => {}
    }
    if let ("MX" | "URI", None) = (kind, spec.get("priority")) {
        let article = if kind == "MX" { "an" } else { "a" };
        problems.push(Problem::error("", format!("{article} {kind} record needs `priority`")));
    }
    if let Some(comment) = text(spec, "comment") {
        if comment.contains(['\n', '\r']) {
            problems.push(Problem::error("comment", "a comment is one line"));
        }
        if comment.chars().count() > 500 {
            problems.push(Problem::error("comment", "a comment has at most 500 characters"));
        }
    }
    let Ok(Some((name, _))) = place(spec, scope) else { return };
    let content = text(spec, "content").map(hostname).unwrap_or_default();
    if kind == "CNAME" && content == name {
        problems.push(Problem::error("content", "a CNAME cannot point to itself"));
    }
    if kind == "CNAME" && content.ends_with(".cfargotunnel.com") && !proxied {
        problems.push(
            Problem::warning(
                "unproxied-tunnel",
                "proxied",
                "a record that points to a tunnel works only when it is proxied",
            )
            .hint("write `proxied: true`"),
        );
    }
}

#[cfg(test)]
#[path = "dns_record_tests.rs"]
mod tests;
