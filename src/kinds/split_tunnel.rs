//! Which addresses and hosts WARP sends through the tunnel: the list of the default device profile
//! (contract 7.9). The account has one profile, so it is taken over, and never made or deleted.

use schemars::JsonSchema;
use serde_json::json;

use super::compare::{self, Compared};
use super::support::{
    code_of, fields, hostname, hostname_problem, is_special, items, refused, text, with_ignored,
};
use super::tunnel_route::subnet;
use crate::model::call::{Answer, Call, Method, Service};
use crate::model::change::FieldChange;
use crate::model::kind::{
    Diffed, Facts, Kind, KindError, Leaving, Locate, Next, Problem, Verb, Work,
};
use crate::model::observed::Remote;
use crate::model::scope::Scope;
use crate::model::{Json, JsonMap};

/// The split tunnel of the account's default device profile.
#[derive(Debug, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SplitTunnelSpec {
    /// Whether everything but the entries goes through the tunnel, or the entries alone.
    pub mode: Mode,
    /// The entries. With `shared: [entries]`, those of others stay.
    pub entries: Vec<Entry>,
}

/// What the entries mean.
#[derive(Debug, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// They stay out of the tunnel.
    Exclude,
    /// They alone go through it.
    Include,
}

/// An address or a host.
#[derive(Debug, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// A subnet, or one address; or `host`.
    pub address: Option<String>,
    /// A domain, `*.` at the beginning stands for all below it; or `address`.
    pub host: Option<String>,
    /// What clients show beside it.
    pub description: Option<String>,
}

/// The kind `split_tunnel`.
pub struct SplitTunnel;

/// There is one profile to speak of.
const ID: &str = "default";

fn profile(scope: &Scope) -> String {
    format!("/accounts/{}/devices/policy", scope.account_id)
}

fn get(scope: &Scope) -> Call {
    Call::get(Service::Cloudflare, profile(scope))
        .tolerate(&[404])
        .purpose("reading the default device profile")
}

fn put(scope: &Scope, mode: &str, entries: Vec<Json>) -> Call {
    Call::change(Service::Cloudflare, Method::Put, format!("{}/{mode}", profile(scope)))
        .body(Json::Array(entries))
        .purpose("writing the split tunnel")
}

/// An entry in canonical words (contract 7.9, spelt as routes of 8): subnets and hosts have one
/// spelling, a description that is "" is none.
fn canonical(entry: &Json) -> Json {
    if is_special(entry) || !entry.is_object() {
        return entry.clone();
    }
    let mut out = JsonMap::new();
    for (field, value) in fields(entry) {
        let value = match (field.as_str(), value.as_str()) {
            ("address", Some(address)) => subnet(address).map_or(value.clone(), |s| json!(s)),
            ("host", Some(host)) => json!(hostname(host)),
            ("description", Some("")) => continue,
            _ => value,
        };
        if !value.is_null() {
            out.insert(field, value);
        }
    }
    Json::Object(out)
}

/// What tells an entry from others.
fn key(entry: &Json) -> (Json, Json) {
    let part = |name: &str| entry.get(name).cloned().unwrap_or_default();
    (part("address"), part("host"))
}

fn shares(shared: &[String]) -> bool {
    shared.iter().any(|path| path == "entries" || path == "**")
}

/// Entries that neither were sent nor are declared.
fn foreign(sent: Option<&Json>, declared: Option<&Json>, observed: &[Json]) -> Vec<Json> {
    let known = [sent, declared].into_iter().flatten();
    let known: Vec<_> = known.flat_map(|spec| items(spec, "entries").iter().map(key)).collect();
    observed.iter().filter(|entry| !known.contains(&key(&canonical(entry)))).cloned().collect()
}

/// Another writer's entry.
fn beside(entry: &Json) -> FieldChange {
    let (word, value) = match text(entry, "host") {
        Some(host) => ("host", host),
        None => ("address", text(entry, "address").unwrap_or_default()),
    };
    let path = format!("entries[{word}=\"{value}\"]");
    let mut change = FieldChange::new(path, None, Some(entry.clone()));
    change.note = Some("another writer's entry, kept since `entries` is shared".to_owned());
    change
}

fn without(spec: &Json, entries: &[Json]) -> Json {
    let mut out = fields(spec);
    let kept = items(spec, "entries").iter().filter(|entry| !entries.contains(entry));
    out.insert("entries".to_owned(), Json::Array(kept.cloned().collect()));
    Json::Object(out)
}

/// The mode of a profile, and its entries as they were read. A profile has one of the two lists
/// (contract 7.9).
fn list(profile: &Json) -> (&'static str, &[Json]) {
    match items(profile, "include") {
        [] => ("exclude", items(profile, "exclude")),
        include => ("include", include),
    }
}

fn remote(mode: &str, entries: &[Json], raw: Json) -> Remote {
    let entries: Vec<Json> = entries.iter().map(canonical).collect();
    Remote {
        id: ID.to_owned(),
        spec: json!({"mode": mode, "entries": entries}),
        outputs: JsonMap::new(),
        version: None,
        raw,
    }
}

fn write(work: &Work<'_>, read: &Answer) -> Call {
    let (mode_there, there) = list(&read.body);
    let seen = remote(mode_there, there, Json::Null);
    let spec = with_ignored(work.spec, &seen.spec, work.ignore);
    let mode = text(&spec, "mode").unwrap_or(mode_there);
    let mut entries = items(&spec, "entries").to_vec();
    // In the other mode the entries of others would mean the opposite.
    if shares(work.shared) && mode == mode_there {
        let mut all = foreign(work.sent, Some(&spec), there);
        all.append(&mut entries);
        entries = all;
    }
    put(work.scope, mode, entries)
}

/// Takes out what boxctl has put in, and nothing else.
fn take_out(work: &Work<'_>, read: &Answer) -> Next {
    let (mode, there) = list(&read.body);
    let left = foreign(work.sent, Some(work.spec), there);
    let ours_is_there = left.len() < there.len() && text(work.spec, "mode") == Some(mode);
    if !read.is_success() || !ours_is_there {
        return Next::gone();
    }
    Next::call(put(work.scope, mode, left))
}

fn check_entry(entry: &Json, at: usize, problems: &mut Vec<Problem>) {
    if is_special(entry) {
        return;
    }
    let path = format!("entries[{at}]");
    match (entry.get("address"), entry.get("host")) {
        (Some(_), Some(_)) => problems.push(
            Problem::error(path.clone(), "an entry is an address or a host, not both")
                .hint("write two entries"),
        ),
        (None, None) => {
            problems.push(Problem::error(path.clone(), "an entry needs `address` or `host`"));
        }
        _ => {}
    }
    if let Some(address) = text(entry, "address").filter(|address| subnet(address).is_none()) {
        let problem = format!("`{address}` is not a subnet");
        problems.push(Problem::error(format!("{path}.address"), problem));
    }
    if let Some(problem) = text(entry, "host").and_then(|host| hostname_problem(host, true)) {
        problems.push(Problem::error(format!("{path}.host"), problem));
    }
}

impl Kind for SplitTunnel {
    fn name(&self) -> &'static str {
        "split_tunnel"
    }

    fn doc(&self) -> &'static str {
        "What WARP sends through the tunnel, in the account's default device profile."
    }

    fn service(&self) -> Service {
        Service::Cloudflare
    }

    fn schema(&self) -> schemars::Schema {
        schemars::schema_for!(SplitTunnelSpec)
    }

    fn check(&self, spec: &Json, _scope: &Scope) -> Vec<Problem> {
        let mut problems = Vec::new();
        let entries = items(spec, "entries");
        let keys: Vec<_> = entries.iter().map(|entry| key(&canonical(entry))).collect();
        for (at, entry) in entries.iter().enumerate() {
            check_entry(entry, at, &mut problems);
            if keys.iter().take(at).any(|before| Some(before) == keys.get(at)) {
                let text = "this address or host is there twice";
                problems.push(Problem::error(format!("entries[{at}]"), text));
            }
        }
        problems
    }

    fn declare(&self, spec: &Json, _scope: &Scope) -> Result<Json, Problem> {
        let mut out = fields(spec);
        if let Some(Json::Array(entries)) = spec.get("entries") {
            let entries = entries.iter().map(canonical).collect();
            out.insert("entries".to_owned(), Json::Array(entries));
        }
        Ok(Json::Object(out))
    }

    fn locate(&self, _spec: Option<&Json>, _id: Option<&str>, scope: &Scope) -> Option<Locate> {
        Some(Locate::By(get(scope)))
    }

    fn path(&self, _id: &str, scope: &Scope) -> Option<String> {
        Some(get(scope).path)
    }

    /// A profile; a tolerated 404 is none.
    fn read(&self, item: &Json, _scope: &Scope) -> Vec<Remote> {
        if item.get("include").is_none() && item.get("exclude").is_none() {
            return Vec::new();
        }
        let (mode, entries) = list(item);
        vec![remote(mode, entries, item.clone())]
    }

    fn fits(&self, _spec: &Json, remote: &Remote) -> bool {
        remote.id == ID
    }

    fn key(&self, _spec: &Json) -> JsonMap {
        [("profile".to_owned(), json!(ID))].into_iter().collect()
    }

    fn diff(&self, facts: &Facts<'_>) -> Diffed {
        let shared = shares(facts.shared);
        let of = |spec: &Json| match shared {
            true => foreign(facts.sent, facts.declared, items(spec, "entries")),
            false => Vec::new(),
        };
        let others = of(&facts.remote.spec);
        let mut seen = facts.remote.clone();
        seen.spec = without(&facts.remote.spec, &others);
        let answered = facts.answered.map(|answered| without(answered, &of(answered)));
        let own = Facts { remote: &seen, answered: answered.as_ref(), shared: &[], ..*facts };
        let how = Compared { sets: vec!["entries"], ..Compared::default() };
        let mut diffed = compare::fields(&own, how);
        if facts.declared.is_none() {
            diffed.foreign.extend(others.iter().map(beside));
        } else if !others.is_empty() {
            let mut change = FieldChange::new("entries", None, Some(Json::Array(others)));
            change.note = Some("other writers' entries, kept since `entries` is shared".to_owned());
            diffed.foreign.push(change);
        }
        diffed
    }

    fn answered(&self, _sent: &Json, remote: &Remote) -> Option<Json> {
        Some(remote.spec.clone())
    }

    fn leaving(&self, _sent: &Json) -> Leaving {
        Leaving::Emptied("the account keeps its profile: the entries that were put in come out")
    }

    fn next(&self, work: &Work<'_>, answers: &[Answer]) -> Result<Next, KindError> {
        match (answers, work.verb) {
            (_, Verb::Create) => Err(KindError::Impossible {
                message: "the account has no default device profile".to_owned(),
                hint: Some("set Zero Trust up in the dashboard first: it makes one".to_owned()),
            }),
            ([], _) => Ok(Next::call(get(work.scope))),
            ([read], Verb::Delete) => Ok(take_out(work, read)),
            ([_, ..], Verb::Delete) => Ok(Next::gone()),
            ([read], _) if !read.is_success() => {
                let hint = code_of(read).map(|_| "the default device profile is not there");
                Err(refused(read, hint))
            }
            ([read], _) => Ok(Next::call(write(work, read))),
            ([read, written, ..], _) => {
                let mode = text(work.spec, "mode").unwrap_or(list(&read.body).0);
                let entries = written.body.as_array().map_or(&[][..], Vec::as_slice);
                Ok(Next::done(remote(mode, entries, json!({mode: written.body}))))
            }
        }
    }
}

#[cfg(test)]
#[path = "split_tunnel_tests.rs"]
mod tests;
