//! The configuration of a tunnel: which hostname goes to which origin. There is one for each
//! tunnel, and it is only replaced as a whole (contract 4.5).

use schemars::JsonSchema;
use serde_json::json;

use super::compare::{self, Compared};
use super::ingress;
use super::origin::{self, OriginRequest};
use super::support::{fields, hostname, hostname_problem, is_empty, is_special, items, text};
use crate::model::call::{Answer, Call, Method, Service};
use crate::model::kind::{
    Diffed, Facts, Kind, KindError, Locate, Next, Output, Problem, Verb, Work,
};
use crate::model::observed::Remote;
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

pub(super) const CATCH_ALL: &str = "http_status:404";
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

pub(super) fn is_catch_all(rule: &Json) -> bool {
    rule.is_object()
        && !is_special(rule)
        && rule.get("hostname").is_none_or(|host| host == "" || host == "*")
        && rule.get("path").is_none_or(|path| path == "" || path.is_null())
}

/// What tells a rule from others: hostname and path.
pub(super) fn rule_key(rule: &Json) -> (Json, Json) {
    let part = |name: &str| rule.get(name).cloned().unwrap_or(Json::Null);
    (part("hostname"), part("path"))
}

/// A rule in its one form (contract 8): a `path` that is "" and an `originRequest` that is {} are
/// none, and so is what the last rule, which takes everything, has for a hostname (4.5: "" or `*`).
/// Settings of origins are in `origin::canonical`.
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

/// The spec in canonical form; also what a reading is brought into. What else an answer has
/// (version, source, `warp-routing`) is not looked at (contract 8).
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

pub(super) fn rule_to_wire(rule: &Json) -> Json {
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

    fn path(&self, id: &str, scope: &Scope) -> Option<String> {
        Some(get(scope, id).path)
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

    /// Each write makes a new version of the configuration (contract 4.5).
    fn modified_at(&self, remote: &Remote) -> Option<jiff::Timestamp> {
        super::support::moment(remote.raw.get("created_at"))
    }

    fn diff(&self, facts: &Facts<'_>) -> Diffed {
        match ingress::is_shared(facts.shared) {
            true => ingress::diff_of_ours(facts),
            false => compare::fields(facts, Compared::default()),
        }
    }

    fn joins(&self, facts: &Facts<'_>) -> bool {
        let is_new = |declared| ingress::is_beside(declared, &facts.remote.spec);
        ingress::is_shared(facts.shared) && facts.declared.is_some_and(is_new)
    }

    fn turn(&self, spec: &Json, shared: &[String]) -> Option<String> {
        let tunnel = text(spec, "tunnel").filter(|_| ingress::is_shared(shared))?;
        Some(format!("{}-{tunnel}", self.name()))
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
        // Readings and writes by turns, and a reading is the last.
        let Some(last) = answers.last() else { return Ok(Next::call(get(work.scope, &tunnel))) };
        if answers.len().is_multiple_of(2) {
            return match work.verb == Verb::Delete && !last.is_success() {
                true => Ok(Next::gone()),
                false => Ok(Next::call(get(work.scope, &tunnel))),
            };
        }
        match work.verb {
            Verb::Delete => empty(work, &tunnel, answers, last),
            _ => write(work, &tunnel, answers, last),
        }
    }
}

/// What a create or an update does after a reading: writes, until what was written is there.
fn write(
    work: &Work<'_>,
    tunnel: &str,
    answers: &[Answer],
    read: &Answer,
) -> Result<Next, KindError> {
    let current = read_answer(tunnel, read);
    let [first, .., written, _] = answers else {
        let code = super::support::code_of(read);
        if !read.is_success() && code.is_some_and(|code| code != NO_CONFIGURATION) {
            return Err(super::support::refused(read, Some("the tunnel is not there")));
        }
        writes::same_as_planned(work, read, &current)?;
        let config = ingress::config_to_put(work, &current, &ingress::others(work, &current));
        return Ok(Next::call(put(work.scope, tunnel, config)));
    };
    let ours = read_answer(tunnel, written);
    if !writes::is_newer(read, written) || ingress::holds(work.spec, &ours.spec, &current.spec) {
        writes::nothing_covered(answers)?;
        let is_first = answers.len() == 3;
        return Ok(Next::done(match is_first || ingress::is_shared(work.shared) {
            true => ours,
            // What someone added meanwhile was kept, and is not ours: the next plan shows it.
            false => ingress::only_ours(work.spec, ours),
        }));
    }
    writes::may_go_on(answers)?;
    let new = ingress::others_since(work, &read_answer(tunnel, first), &current);
    let config = ingress::config_to_put(work, &current, &new);
    Ok(Next::call(put(work.scope, tunnel, config)))
}

/// What a delete does after a reading: takes our rules out, until they are.
fn empty(
    work: &Work<'_>,
    tunnel: &str,
    answers: &[Answer],
    read: &Answer,
) -> Result<Next, KindError> {
    if !read.is_success() {
        return Ok(Next::gone());
    }
    let current = read_answer(tunnel, read);
    if let [_, .., written, _] = answers {
        if !writes::is_newer(read, written) || !ingress::has_ours(work.spec, &current.spec) {
            writes::nothing_covered(answers)?;
            return Ok(Next::gone());
        }
        writes::may_go_on(answers)?;
    } else {
        writes::same_as_planned(work, read, &current)?;
    }
    let config = ingress::config_without(work, &current);
    Ok(Next::call(put(work.scope, tunnel, config).tolerate(&[404])))
}

fn rule_is_default(rule: &Json) -> bool {
    is_catch_all(rule)
        && text(rule, "service") == Some(CATCH_ALL)
        && rule.get("originRequest").is_none_or(is_empty)
}

/// Whether an earlier rule takes every request that a later one would.
pub(super) fn shadows(earlier: &Json, later: &Json) -> bool {
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

#[path = "tunnel_config_writes.rs"]
mod writes;

#[cfg(test)]
#[path = "tunnel_config_tests.rs"]
mod tests;
