//! The configuration of a tunnel: which hostname goes to which origin. There is one for each
//! tunnel, and it is only replaced as a whole (contract 4.5).

use schemars::JsonSchema;
use serde_json::json;

use super::compare::{self, Compared};
use super::origin::{self, OriginRequest};
use super::support::{
    fields, hostname, hostname_problem, interleave, is_empty, is_special, items, text, with_ignored,
};
use crate::model::call::{Answer, Call, Method, Service};
use crate::model::change::FieldChange;
use crate::model::kind::{
    Diffed, Facts, Kind, KindError, Locate, Next, Output, Problem, Verb, Work,
};
use crate::model::observed::Remote;
use crate::model::path;
use crate::model::scope::Scope;
use crate::model::{Json, JsonMap};

/// The configuration of a tunnel.
#[derive(Debug, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TunnelConfigSpec {
    /// The tunnel's id: `${tunnel.<name>.id}`.
    pub tunnel: String,
    /// The rules, in the order in which they are tried. A last rule that takes everything,
    /// `service: http_status:404`, is implied.
    pub ingress: Vec<IngressRule>,
    /// Settings for all origins.
    pub origin_request: Option<OriginRequest>,
}

/// Which requests go where.
#[derive(Debug, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IngressRule {
    /// The hostname, `*.` at the beginning stands for any label. Left out in the last rule only.
    pub hostname: Option<String>,
    /// A regular expression (Go's) that the request's path has to match.
    pub path: Option<String>,
    /// `http://host:port`, `https://…`, `ssh://…`, `tcp://…`, `unix:/path`, `http_status:404`,
    /// `hello_world`, `socks-proxy`, `bastion`.
    pub service: String,
    /// Settings for this origin.
    pub origin_request: Option<OriginRequest>,
}

/// The kind `tunnel_config`.
pub struct TunnelConfig;

const CATCH_ALL: &str = "http_status:404";
/// The tunnel's configuration does not exist (yet): contract 12, row 10.
const NO_CONFIGURATION: &str = "1055";

fn path_of(scope: &Scope, tunnel: &str) -> String {
    format!("/accounts/{}/cfd_tunnel/{tunnel}/configurations", scope.account_id)
}

fn get(scope: &Scope, tunnel: &str) -> Call {
    Call::get(Service::Cloudflare, path_of(scope, tunnel))
        .tolerate(&[404])
        .purpose("reading the tunnel's configuration")
}

fn put(scope: &Scope, tunnel: &str, config: Json) -> Call {
    Call::change(Service::Cloudflare, Method::Put, path_of(scope, tunnel))
        .body(json!({"config": config}))
        .purpose("writing the tunnel's configuration")
}

fn is_catch_all(rule: &Json) -> bool {
    rule.is_object()
        && !is_special(rule)
        && rule.get("hostname").is_none_or(|host| host == "" || host == "*")
        && rule.get("path").is_none_or(|path| path == "" || path.is_null())
}

/// What tells a rule from others: hostname and path.
fn rule_key(rule: &Json) -> (Json, Json) {
    let part = |name: &str| rule.get(name).cloned().unwrap_or(Json::Null);
    (part("hostname"), part("path"))
}

fn canonical_rule(rule: &Json, global: Option<&Json>) -> Json {
    if is_special(rule) || !rule.is_object() {
        return rule.clone();
    }
    let catch_all = is_catch_all(rule);
    let mut out = JsonMap::new();
    for (key, value) in fields(rule) {
        let value = match key.as_str() {
            "hostname" if catch_all => continue,
            "hostname" => value.as_str().map_or(value.clone(), |host| json!(hostname(host))),
            "origin_request" => origin::canonical(&value, global),
            _ => value,
        };
        if !is_empty(&value) && value != json!("") {
            out.insert(key, value);
        }
    }
    Json::Object(out)
}

/// The spec in canonical form; also what a reading is brought into.
fn canonical(spec: &Json) -> Json {
    let mut out = JsonMap::new();
    if let Some(tunnel) = spec.get("tunnel") {
        out.insert("tunnel".to_owned(), tunnel.clone());
    }
    let global = spec.get("origin_request").map(|settings| origin::canonical(settings, None));
    let mut rules: Vec<Json> =
        items(spec, "ingress").iter().map(|rule| canonical_rule(rule, global.as_ref())).collect();
    if !rules.last().is_some_and(is_catch_all) {
        rules.push(json!({"service": CATCH_ALL}));
    }
    out.insert("ingress".to_owned(), Json::Array(rules));
    if let Some(global) = global.filter(|global| !is_empty(global)) {
        out.insert("origin_request".to_owned(), global);
    }
    Json::Object(out)
}

fn rule_from_wire(rule: &Json) -> Json {
    let mut out = JsonMap::new();
    for (key, value) in fields(rule) {
        match key.as_str() {
            "originRequest" => {
                out.insert("origin_request".to_owned(), origin::from_wire(&value));
            }
            _ => {
                out.insert(key, value);
            }
        }
    }
    Json::Object(out)
}

fn rule_to_wire(rule: &Json) -> Json {
    let mut out = JsonMap::new();
    for (key, value) in fields(rule) {
        match key.as_str() {
            "origin_request" => {
                out.insert("originRequest".to_owned(), origin::to_wire(&value));
            }
            _ => {
                out.insert(key, value);
            }
        }
    }
    Json::Object(out)
}

/// A tolerated 404 is an empty configuration, and so are null and version 0.
fn remote(tunnel: &str, body: &Json, version: Option<String>) -> Remote {
    let config = body.get("config").cloned().unwrap_or(Json::Null);
    let ingress: Vec<Json> = items(&config, "ingress").iter().map(rule_from_wire).collect();
    let mut spec = json!({"tunnel": tunnel, "ingress": ingress});
    if let (Some(settings), Some(map)) = (config.get("originRequest"), spec.as_object_mut()) {
        map.insert("origin_request".to_owned(), origin::from_wire(settings));
    }
    Remote {
        id: tunnel.to_owned(),
        spec: canonical(&spec),
        outputs: JsonMap::new(),
        version,
        raw: body.clone(),
    }
}

/// Rules at the service that neither were sent nor are declared, less the catch-all.
fn foreign_rules(sent: Option<&Json>, declared: Option<&Json>, observed: &[Json]) -> Vec<Json> {
    let known: Vec<_> = [sent, declared]
        .into_iter()
        .flatten()
        .flat_map(|spec| items(spec, "ingress").iter().map(rule_key))
        .collect();
    observed
        .iter()
        .filter(|rule| !is_catch_all(rule) && !known.contains(&rule_key(rule)))
        .cloned()
        .collect()
}

fn shares_ingress(shared: &[String]) -> bool {
    shared.iter().any(|path| path == "ingress" || path == "**")
}

fn without(spec: &Json, rules: &[Json]) -> Json {
    let kept: Vec<Json> =
        items(spec, "ingress").iter().filter(|rule| !rules.contains(rule)).cloned().collect();
    let mut out = fields(spec);
    out.insert("ingress".to_owned(), Json::Array(kept));
    Json::Object(out)
}

/// The `config` to put: what was read less what the server sets (`warp-routing` among it), with the
/// declared rules and settings on top.
fn config_to_put(work: &Work<'_>, current: &Remote) -> Json {
    let spec = with_ignored(work.spec, &current.spec, work.ignore);
    let observed = items(&current.spec, "ingress");
    let mut rules = items(&spec, "ingress").to_vec();
    if shares_ingress(work.shared) {
        let foreign = foreign_rules(work.sent, Some(work.spec), observed);
        let last = rules.pop();
        let seen: Vec<Json> = observed.iter().filter(|rule| !is_catch_all(rule)).cloned().collect();
        rules = interleave(&seen, |rule| foreign.contains(rule), &rules);
        rules.extend(last);
    }
    let mut settings = fields(current.spec.get("origin_request").unwrap_or(&Json::Null));
    for path in work.removed {
        if let Some(name) = path.strip_prefix("origin_request.") {
            let mut value = Json::Object(settings);
            path::take(&mut value, name);
            settings = fields(&value);
        } else if path == "origin_request" {
            let sent = work.sent.and_then(|sent| sent.get("origin_request"));
            fields(sent.unwrap_or(&Json::Null)).keys().for_each(|key| {
                settings.shift_remove(key);
            });
        }
    }
    settings.extend(fields(spec.get("origin_request").unwrap_or(&Json::Null)));
    let mut config = fields(current.raw.get("config").unwrap_or(&Json::Null));
    config.shift_remove("warp-routing");
    let rules: Vec<Json> = rules.iter().map(rule_to_wire).collect();
    config.insert("ingress".to_owned(), Json::Array(rules));
    if settings.is_empty() {
        config.shift_remove("originRequest");
    } else {
        config.insert("originRequest".to_owned(), origin::to_wire(&Json::Object(settings)));
    }
    Json::Object(config)
}

/// What is left of a configuration when its rules go: those of others, and the catch-all.
fn config_without(work: &Work<'_>, current: &Remote) -> Json {
    if !shares_ingress(work.shared) {
        return json!({"ingress": [{"service": CATCH_ALL}]});
    }
    let observed = items(&current.spec, "ingress");
    let mut rules = foreign_rules(work.sent, Some(work.spec), observed);
    rules.extend(observed.last().filter(|rule| is_catch_all(rule)).cloned());
    let rules: Vec<Json> = rules.iter().map(rule_to_wire).collect();
    let mut config = fields(current.raw.get("config").unwrap_or(&Json::Null));
    config.shift_remove("warp-routing");
    config.insert("ingress".to_owned(), Json::Array(rules));
    Json::Object(config)
}

fn read_answer(tunnel: &str, answer: &Answer) -> Remote {
    let body = if answer.is_success() { &answer.body } else { &Json::Null };
    remote(tunnel, body, None)
}

fn tunnel_of(work: &Work<'_>) -> Result<String, KindError> {
    let id = text(work.spec, "tunnel").map(str::to_owned);
    id.or_else(|| work.remote.map(|remote| remote.id.clone())).ok_or_else(|| {
        KindError::Impossible { message: "the tunnel's id is not known".to_owned(), hint: None }
    })
}

impl Kind for TunnelConfig {
    fn name(&self) -> &'static str {
        "tunnel_config"
    }

    fn doc(&self) -> &'static str {
        "Which hostname a tunnel takes to which origin; one for each tunnel."
    }

    fn service(&self) -> Service {
        Service::Cloudflare
    }

    fn schema(&self) -> schemars::Schema {
        schemars::schema_for!(TunnelConfigSpec)
    }

    fn outputs(&self) -> &'static [Output] {
        &[]
    }

    fn check(&self, spec: &Json, _scope: &Scope) -> Vec<Problem> {
        let mut problems = Vec::new();
        let rules = items(spec, "ingress");
        for (index, rule) in rules.iter().enumerate() {
            check_rule(rule, index, index + 1 == rules.len(), &mut problems);
            if let Some(earlier) = rules[..index].iter().position(|other| shadows(other, rule)) {
                problems.push(
                    Problem::warning(
                        "unreachable-rule",
                        format!("ingress[{index}]"),
                        format!("rule {} takes all that this one would", earlier + 1),
                    )
                    .hint("the first rule that fits is used: put the narrower one first"),
                );
            }
        }
        if rules.iter().all(rule_is_default) && spec.get("origin_request").is_none() {
            problems.push(
                Problem::error("ingress", "there is no rule beside the catch-all")
                    .hint("add a rule with a `hostname`, or leave the tunnel_config out"),
            );
        }
        if let Some(settings) = spec.get("origin_request") {
            origin::check(settings, "origin_request", &mut problems);
            if settings.get("access").is_some() {
                problems.push(
                    Problem::warning(
                        "ignored-origin-access",
                        "origin_request.access",
                        "cloudflared does not read `access` here",
                    )
                    .hint("write it under each rule's `origin_request`"),
                );
            }
        }
        problems
    }

    fn hostnames(&self, spec: &Json, _scope: &Scope) -> Vec<String> {
        let mut found = Vec::new();
        for rule in items(spec, "ingress") {
            let Some(host) = text(rule, "hostname").filter(|host| !host.is_empty()) else {
                continue;
            };
            let host = hostname(host);
            if host != "*" && !found.contains(&host) {
                found.push(host);
            }
        }
        found
    }

    fn declare(&self, spec: &Json, _scope: &Scope) -> Result<Json, Problem> {
        Ok(canonical(spec))
    }

    fn locate(&self, spec: Option<&Json>, id: Option<&str>, scope: &Scope) -> Option<Locate> {
        match spec {
            Some(spec) => Some(Locate::By(get(scope, text(spec, "tunnel")?))),
            None => Some(Locate::By(get(scope, id?))),
        }
    }

    /// The answer of a reading; a tolerated 404 (no configuration, no tunnel) is no object.
    fn read(&self, item: &Json, _scope: &Scope) -> Vec<Remote> {
        let Some(tunnel) = text(item, "tunnel_id") else { return Vec::new() };
        let config = item.get("config").filter(|config| !config.is_null());
        let version = item.get("version").and_then(Json::as_i64).unwrap_or(1);
        let rules = config.map_or(&[][..], |config| items(config, "ingress"));
        if config.is_none() || (version <= 0 && rules.is_empty()) {
            return Vec::new();
        }
        let bare = rules.len() == 1 && rules.iter().all(rule_is_default);
        let settings = config.and_then(|config| config.get("originRequest"));
        if bare && settings.is_none_or(is_empty) {
            return Vec::new();
        }
        vec![remote(tunnel, item, None)]
    }

    fn fits(&self, spec: &Json, remote: &Remote) -> bool {
        text(spec, "tunnel") == Some(&remote.id)
    }

    fn key(&self, spec: &Json) -> JsonMap {
        super::support::pick(spec, &["tunnel"])
    }

    fn diff(&self, facts: &Facts<'_>) -> Diffed {
        let shared = shares_ingress(facts.shared);
        let foreign = if shared {
            foreign_rules(facts.sent, facts.declared, items(&facts.remote.spec, "ingress"))
        } else {
            Vec::new()
        };
        let mut seen = facts.remote.clone();
        seen.spec = without(&facts.remote.spec, &foreign);
        let answered = facts.answered.map(|answered| {
            let old = foreign_rules(facts.sent, facts.declared, items(answered, "ingress"));
            without(answered, if shared { &old } else { &[] })
        });
        let facts = Facts { remote: &seen, answered: answered.as_ref(), ..*facts };
        let mut diffed = compare::fields(&facts, Compared::default());
        diffed.foreign.extend(foreign.into_iter().map(|rule| {
            let name = text(&rule, "hostname").unwrap_or_default().to_owned();
            let mut change =
                FieldChange::new(format!("ingress[hostname=\"{name}\"]"), None, Some(rule));
            change.note = Some("another writer's rule, kept since `ingress` is shared".to_owned());
            change
        }));
        diffed
    }

    fn answered(&self, sent: &Json, remote: &Remote) -> Option<Json> {
        let mut out = JsonMap::new();
        for key in ["tunnel", "ingress", "origin_request"] {
            if let (Some(_), Some(value)) = (sent.get(key), remote.spec.get(key)) {
                out.insert(key.to_owned(), value.clone());
            }
        }
        Some(Json::Object(out))
    }

    fn replaces(&self, path: &str, _spec: &Json, _remote: &Remote) -> Option<String> {
        (path == "tunnel").then(|| "a configuration belongs to its tunnel".to_owned())
    }

    fn next(&self, work: &Work<'_>, answers: &[Answer]) -> Result<Next, KindError> {
        let tunnel = match work.verb {
            Verb::Delete => match work.remote {
                Some(remote) => remote.id.clone(),
                None => tunnel_of(work)?,
            },
            _ => tunnel_of(work)?,
        };
        match (answers, work.verb) {
            ([], _) => Ok(Next::call(get(work.scope, &tunnel))),
            ([read], Verb::Delete) => {
                if !read.is_success() {
                    return Ok(Next::gone());
                }
                let config = config_without(work, &read_answer(&tunnel, read));
                Ok(Next::call(put(work.scope, &tunnel, config).tolerate(&[404])))
            }
            (_, Verb::Delete) => Ok(Next::gone()),
            ([read], _) => {
                let gone = !read.is_success()
                    && super::support::code_of(read).is_some_and(|code| code != NO_CONFIGURATION);
                if gone {
                    return Err(super::support::refused(read, Some("the tunnel is not there")));
                }
                let config = config_to_put(work, &read_answer(&tunnel, read));
                Ok(Next::call(put(work.scope, &tunnel, config)))
            }
            ([_, written, ..], _) => Ok(Next::done(remote(&tunnel, &written.body, None))),
        }
    }
}

fn rule_is_default(rule: &Json) -> bool {
    is_catch_all(rule)
        && text(rule, "service") == Some(CATCH_ALL)
        && rule.get("originRequest").is_none_or(is_empty)
}

/// Whether an earlier rule takes every request that a later one would.
fn shadows(earlier: &Json, later: &Json) -> bool {
    let plain = |rule: &Json, name: &str| text(rule, name).unwrap_or_default().to_owned();
    let (host, path) = (hostname(&plain(earlier, "hostname")), plain(earlier, "path"));
    let other = hostname(&plain(later, "hostname"));
    if is_special(earlier) || is_special(later) || host.is_empty() || other.is_empty() {
        return false;
    }
    let hosts = host == other
        || host.strip_prefix('*').is_some_and(|end| end.len() > 1 && other.ends_with(end));
    hosts && (path.is_empty() || path == plain(later, "path"))
}

fn check_rule(rule: &Json, index: usize, last: bool, problems: &mut Vec<Problem>) {
    let path = |field: &str| format!("ingress[{index}].{field}");
    if is_special(rule) {
        return;
    }
    let host = text(rule, "hostname").filter(|host| *host != "*");
    if let Some(problem) = host.filter(|h| !h.is_empty()).and_then(|h| hostname_problem(h, true)) {
        problems.push(Problem::error(path("hostname"), problem));
    }
    if !last && is_catch_all(rule) {
        problems.push(
            Problem::error(
                format!("ingress[{index}]"),
                "this rule takes everything, and rules after it would never be reached",
            )
            .hint("give it a `hostname` or a `path`, or make it the last one"),
        );
    }
    match text(rule, "service") {
        Some(service) => {
            if let Some(problem) = service_problem(service) {
                problems.push(
                    Problem::error(path("service"), problem).hint(
                        "examples: `http://host:8080`, `unix:/run/x.sock`, `http_status:404`",
                    ),
                );
            }
        }
        None if rule.get("service").is_none() => {
            problems.push(Problem::error(format!("ingress[{index}]"), "a rule needs a `service`"));
        }
        None => {}
    }
    if let Some(pattern) = text(rule, "path")
        && regex::Regex::new(pattern).is_err()
    {
        let message = format!("`{pattern}` is not a regular expression");
        problems.push(Problem::error(path("path"), message));
    }
    if let Some(settings) = rule.get("origin_request") {
        origin::check(settings, &path("origin_request"), problems);
    }
}

/// What cloudflared (and the API with it) takes for a service: contract 4.5.
fn service_problem(service: &str) -> Option<String> {
    const WORDS: [&str; 4] = ["hello_world", "hello-world", "socks-proxy", "bastion"];
    if WORDS.contains(&service) {
        return None;
    }
    if service.strip_prefix("unix:").or_else(|| service.strip_prefix("unix+tls:")).is_some() {
        return None;
    }
    if let Some(status) = service.strip_prefix("http_status:") {
        return match status.parse::<u16>() {
            Ok(100..=999) => None,
            _ => Some(format!("`{status}` is not an HTTP status from 100 to 999")),
        };
    }
    let Some((scheme, rest)) = service.split_once("://") else {
        return Some(format!("`{service}` is not a service: it has no `scheme://`"));
    };
    if scheme.is_empty() || rest.is_empty() || rest.starts_with('/') {
        return Some(format!("`{service}` is not a service: it needs a scheme and a host"));
    }
    if rest.contains('/') {
        return Some(format!(
            "`{service}` has a path, which is refused even where it is only a `/`"
        ));
    }
    None
}

#[cfg(test)]
#[path = "tunnel_config_tests.rs"]
mod tests;
