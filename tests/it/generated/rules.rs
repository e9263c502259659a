//! What the services may answer for what they hold: the table of section 8 of the contract (and
//! of the places of it that this names), one rule a line. Written from the contract, and knowing
//! nothing of how boxctl reads an answer.
//!
//! What a user may write in several ways and no answer has (`@`, relative names) is in the
//! generators. Rows of types that boxctl has no kind for (identity providers, Pages, Workers,
//! rulesets, R2, D1) are left out.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::spell;

type Item = Map<String, Value>;

/// What an answer shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    Record,
    Tunnel,
    Config,
    Route,
    HostnameRoute,
    App,
    Policy,
    Group,
    Token,
    Profile,
    Parameter,
}

/// A rule: the row, what it is about, and what may be answered as well.
pub struct Rule {
    pub row: &'static str,
    pub of: Of,
    mangle: fn(&mut Item, &mut Dice),
}

const fn rule(of: Of, row: &'static str, mangle: fn(&mut Item, &mut Dice)) -> Rule {
    Rule { row, of, mangle }
}

/// Names that answers are written in and that are hosts' names (contract 3.5).
const TARGETS: [&str; 4] = ["CNAME", "MX", "NS", "PTR"];
/// Switches of applications that are off where they are left out (contract 8).
const APP_OFF: [&str; 7] = [
    "enable_binding_cookie",
    "options_preflight_bypass",
    "skip_interstitial",
    "path_cookie_attribute",
    "service_auth_401_redirect",
    "allow_iframe",
    "auto_redirect_to_identity",
];
const APP_ON: [&str; 2] = ["http_only_cookie_attribute", "app_launcher_visible"];
const POLICY_OFF: [&str; 3] =
    ["approval_required", "isolation_required", "purpose_justification_required"];
const RULE_LISTS: [&str; 3] = ["include", "exclude", "require"];

#[rustfmt::skip]
pub static RULES: &[Rule] = &[
    rule(Of::Record, "dns.name: case", |it, dice| cased(it, "name", dice)),
    rule(Of::Record, "dns.name: Punycode", |it, dice| rewritten(it, "name", dice, |name, _| idna::domain_to_unicode(name).0)),
    rule(Of::Record, "dns.name: trailing dot", |it, dice| rewritten(it, "name", dice, |name, _| format!("{name}."))),
    rule(Of::Record, "dns.content (targets): trailing dot", |it, dice| if is_target(it) { rewritten(it, "content", dice, |name, _| format!("{}.", name.trim_end_matches('.'))) }),
    rule(Of::Record, "dns.content (targets): ASCII case", |it, dice| if is_target(it) { cased(it, "content", dice) }),
    rule(Of::Record, "dns.content (SRV target): trailing dot, case", |it, dice| if it["type"] == "SRV" { below(it, "data", |data| { cased(data, "target", dice); dotted(data, "target"); }) }),
    rule(Of::Record, "dns.content (AAAA): textual IPv6 forms", |it, dice| if it["type"] == "AAAA" { rewritten(it, "content", dice, |ip, dice| spell::ipv6(ip.parse().unwrap(), dice.roll(4))) }),
    rule(Of::Record, "dns.content (TXT): quoting and 255-byte chunks (3.5)", |it, dice| if it["type"] == "TXT" { rewritten(it, "content", dice, quoted) }),
    rule(Of::Record, "dns.settings: absent == {} == all false", settings),
    rule(Of::Record, "dns.tags: absent == [] == null", |it, dice| empty(it, "tags", &[json!([]), Value::Null], dice)),
    rule(Of::Record, "dns.comment: absent == null == \"\"", |it, dice| empty(it, "comment", &[json!(""), Value::Null], dice)),
    rule(Of::Record, "dns.ttl: proxied => 1", |it, dice| if it["proxied"] == true { it.insert("ttl".into(), json!([1, 300, 3600][dice.roll(3)])); }),
    rule(Of::Record, "dns.meta, modified_on, *_modified_on, proxiable, created_on: ignore", |it, dice| ignored(it, &["meta", "modified_on", "comment_modified_on", "tags_modified_on", "proxiable", "created_on"], dice)),
    rule(Of::Record, "dns.private_routing: absent == false (3.1)", |it, dice| off(it, &["private_routing"], dice)),
    rule(Of::Record, "dns.data: numbers as int, float or text (3.5)", |it, dice| below(it, "data", |data| numbers(data, dice))),
    rule(Of::Record, "dns.data: SRV echoes service, proto, name (3.5)", echoed),

    rule(Of::Tunnel, "tunnel.connections, conns_*, status, metadata, remote_config, config_src, tun_type: ignore", |it, dice| ignored(it, &["connections", "conns_active_at", "conns_inactive_at", "status", "metadata", "remote_config", "config_src", "tun_type"], dice)),
    rule(Of::Config, "tunnel_config.version, created_at, source, warp-routing: ignore", config_server_set),
    rule(Of::Config, "tunnel_config.originRequest: absent == {}", |it, dice| origins(it, |owner| empty(owner, "originRequest", &[json!({}), Value::Null], dice))),
    rule(Of::Config, "tunnel_config: path \"\" == absent", |it, dice| ingress(it, |rule| empty(rule, "path", &[json!(""), Value::Null], dice))),
    rule(Of::Config, "tunnel_config.originRequest: \"\" == absent", |it, dice| origin_settings(it, |settings, _| ["httpHostHeader", "originServerName", "caPool", "proxyType", "proxyAddress"].iter().for_each(|key| empty(settings, key, &[json!("")], dice)))),
    rule(Of::Config, "tunnel_config.originRequest: false == absent", |it, dice| origin_settings(it, |settings, global| origin_off(settings, global, dice))),

    rule(Of::Route, "route.comment: \"\" == absent == null", |it, dice| empty(it, "comment", &[json!(""), Value::Null], dice)),
    rule(Of::Route, "route.virtual_network_id: absent == default vnet", |it, dice| if it.get("virtual_network_id") == Some(&json!(dice.default_network)) && dice.fires() { it.remove("virtual_network_id"); }),
    rule(Of::Route, "route.network: canonical CIDR", |it, dice| rewritten(it, "network", dice, |network, dice| spell::network(network, dice.roll(4)))),
    rule(Of::Route, "route: names and times come and go (5.1)", |it, dice| ignored(it, &["tunnel_name", "tun_type", "virtual_network_name", "created_at"], dice)),
    rule(Of::HostnameRoute, "route.comment: \"\" == absent == null", |it, dice| empty(it, "comment", &[json!(""), Value::Null], dice)),
    rule(Of::HostnameRoute, "route: names and times come and go (5.2)", |it, dice| ignored(it, &["tunnel_name", "tun_type", "created_at"], dice)),

    rule(Of::App, "app.destinations: `type` default public", |it, dice| each(it, "destinations", |item| if item.get("type") == Some(&json!("public")) && dice.fires() { item.remove("type"); })),
    rule(Of::App, "app.destinations: a single address is a /32 or bare (6.1)", |it, dice| each(it, "destinations", |item| rewritten(item, "cidr", dice, |cidr, dice| spell::network(cidr, dice.roll(4))))),
    rule(Of::App, "app.policies: expanded bodies are ignored", |it, dice| each(it, "policies", |policy| expanded(policy, dice))),
    rule(Of::App, "app.policies: precedence gaps are ignored", gaps),
    rule(Of::App, "app.policies: in order of precedence", |it, dice| shuffled(it, "policies", dice)),
    rule(Of::App, "app booleans: absent == false", |it, dice| off(it, &APP_OFF, dice)),
    rule(Of::App, "app.http_only_cookie_attribute, app_launcher_visible: absent == true", |it, dice| on(it, &APP_ON, dice)),
    rule(Of::App, "app.session_duration: absent == 24h", |it, dice| default(it, "session_duration", "24h", &[], dice)),
    rule(Of::App, "app.session_duration: parsed durations", |it, dice| rewritten(it, "session_duration", dice, |text, dice| spell::same_duration(text, dice.roll(4)))),
    rule(Of::App, "app.allowed_idps, tags, custom_pages: absent == []", |it, dice| ["allowed_idps", "tags", "custom_pages"].iter().for_each(|list| empty(it, list, &[json!([]), Value::Null], dice))),
    rule(Of::App, "app.allowed_idps, tags, custom_pages: sets", |it, dice| ["allowed_idps", "tags", "custom_pages"].iter().for_each(|list| shuffled(it, list, dice))),
    rule(Of::App, "app.id, uid, aud, times, domain_type: set by the server (6.1)", |it, dice| ignored(it, &["uid", "created_at", "updated_at", "domain_type"], dice)),

    rule(Of::Policy, "policy rules: sets", |it, dice| RULE_LISTS.iter().for_each(|list| shuffled(it, list, dice))),
    rule(Of::Policy, "policy rules: empty selectors", |it, dice| RULE_LISTS.iter().for_each(|list| empty_selectors(it, list, dice))),
    rule(Of::Policy, "policy rules: /32, /128", |it, dice| RULE_LISTS.iter().for_each(|list| bare_addresses(it, list, dice))),
    rule(Of::Policy, "policy rules: absent == []", |it, dice| ["exclude", "require"].iter().for_each(|list| empty(it, list, &[json!([]), Value::Null], dice))),
    rule(Of::Policy, "policy switches: absent == false", |it, dice| off(it, &POLICY_OFF, dice)),
    rule(Of::Policy, "policy.session_duration: absent == null == \"\" == 24h", |it, dice| default(it, "session_duration", "24h", &[json!(""), Value::Null], dice)),
    rule(Of::Policy, "policy.session_duration: parsed durations", |it, dice| rewritten(it, "session_duration", dice, |text, dice| spell::same_duration(text, dice.roll(4)))),
    rule(Of::Policy, "policy.uid, times, app_count, account_id: set by the server (6.2)", |it, dice| ignored(it, &["uid", "created_at", "updated_at", "app_count", "account_id"], dice)),

    rule(Of::Group, "policy rules: sets", |it, dice| RULE_LISTS.iter().for_each(|list| shuffled(it, list, dice))),
    rule(Of::Group, "policy rules: empty selectors", |it, dice| RULE_LISTS.iter().for_each(|list| empty_selectors(it, list, dice))),
    rule(Of::Group, "policy rules: /32, /128", |it, dice| RULE_LISTS.iter().for_each(|list| bare_addresses(it, list, dice))),
    rule(Of::Group, "policy rules: absent == []", |it, dice| ["exclude", "require"].iter().for_each(|list| empty(it, list, &[json!([]), Value::Null], dice))),
    rule(Of::Group, "group.uid, times: set by the server (6.5)", |it, dice| ignored(it, &["uid", "created_at", "updated_at"], dice)),

    rule(Of::Token, "service_token.client_secret, expires_at, last_seen_at: ignore", |it, dice| ignored(it, &["expires_at", "last_seen_at", "created_at", "updated_at"], dice)),
    rule(Of::Token, "service_token.duration: absent == 8760h", |it, dice| default(it, "duration", "8760h", &[Value::Null], dice)),
    rule(Of::Token, "service_token.duration: a Go duration (6.4)", |it, dice| rewritten(it, "duration", dice, |text, dice| spell::same_duration(text, dice.roll(4)))),

    rule(Of::Profile, "split tunnel: absent == \"\" description (7.9)", |it, dice| ["include", "exclude"].iter().for_each(|list| each(it, list, |entry| empty(entry, "description", &[json!(""), Value::Null], dice)))),
    rule(Of::Profile, "split tunnel: canonical CIDR (5.1)", |it, dice| ["include", "exclude"].iter().for_each(|list| each(it, list, |entry| rewritten(entry, "address", dice, |address, dice| spell::network(address, dice.roll(4)))))),
    rule(Of::Profile, "device profile: many booleans of the server's (7.9)", |it, dice| ignored(it, &["fallback_domains", "gateway_unique_id", "service_mode_v2", "switch_locked", "captive_portal", "auto_connect"], dice)),

    rule(Of::Parameter, "SSM: no description is none or empty", |it, dice| empty(it, "Description", &[json!("")], dice)),
    rule(Of::Parameter, "SSM: DescribeParameters guarantees no ARN", |it, dice| ignored(it, &["ARN"], dice)),
    rule(Of::Parameter, "SSM: policies are none or empty", |it, dice| empty(it, "Policies", &[json!([])], dice)),
];

/// How often rules take effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// All that apply, everywhere.
    All,
    /// Now and then.
    Some,
}

/// What decides between forms.
pub struct Dice {
    state: u64,
    how: How,
    default_network: String,
}

impl Dice {
    /// A number below `sides`.
    pub fn roll(&mut self, sides: usize) -> usize {
        // SplitMix64: the forms have to differ, and to be the same for the same seed.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) >> 33).unwrap() % sides
    }

    fn fires(&mut self) -> bool {
        self.how == How::All || self.roll(2) == 0
    }
}

/// Answers in other forms, each answer in its own.
pub struct Forms {
    dice: Dice,
    /// How often each rule changed something, by row.
    pub fired: BTreeMap<&'static str, usize>,
}

impl Forms {
    pub fn new(seed: u64, how: How, default_network: &str) -> Forms {
        let dice = Dice { state: seed, how, default_network: default_network.to_owned() };
        Forms { dice, fired: BTreeMap::new() }
    }

    /// An answer of Cloudflare.
    pub fn cloudflare(&mut self, path: &str, answer: &mut Value) {
        let Some(of) = shown_by(path) else { return };
        match answer.get_mut("result") {
            Some(Value::Array(items)) => items.iter_mut().for_each(|item| self.item(of, item)),
            Some(item) => self.item(of, item),
            None => {}
        }
    }

    /// An answer of SSM.
    pub fn ssm(&mut self, answer: &mut Value) {
        for item in answer.get_mut("Parameters").and_then(Value::as_array_mut).into_iter().flatten()
        {
            self.item(Of::Parameter, item);
        }
    }

    fn item(&mut self, of: Of, item: &mut Value) {
        let Some(item) = item.as_object_mut().filter(|item| item.len() > 1) else { return };
        if of == Of::App {
            for policy in
                item.get_mut("policies").and_then(Value::as_array_mut).into_iter().flatten()
            {
                self.item(Of::Policy, policy);
            }
        }
        for rule in RULES.iter().filter(|rule| rule.of == of) {
            // As text, so that 1 and 1.0 differ.
            let text = |item: &Item| serde_json::to_string(item).unwrap();
            let before = text(item);
            (rule.mangle)(item, &mut self.dice);
            if text(item) != before {
                *self.fired.entry(rule.row).or_default() += 1;
            }
        }
    }
}

/// What the answers of a path show.
fn shown_by(path: &str) -> Option<Of> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).skip(2).collect();
    match parts.as_slice() {
        ["zones", _, "dns_records", ..] => Some(Of::Record),
        ["accounts", _, "cfd_tunnel"] | ["accounts", _, "cfd_tunnel", _] => Some(Of::Tunnel),
        ["accounts", _, "cfd_tunnel", _, "configurations"] => Some(Of::Config),
        ["accounts", _, "teamnet", "routes", ..] => Some(Of::Route),
        ["accounts", _, "zerotrust", "routes", "hostname", ..] => Some(Of::HostnameRoute),
        ["accounts", _, "access", "apps", _, "policies", ..] => Some(Of::Policy),
        ["accounts", _, "access", "apps", ..] => Some(Of::App),
        ["accounts", _, "access", "policies", ..] => Some(Of::Policy),
        ["accounts", _, "access", "groups", ..] => Some(Of::Group),
        ["accounts", _, "access", "service_tokens", ..] => Some(Of::Token),
        ["accounts", _, "devices", "policy"] => Some(Of::Profile),
        _ => None,
    }
}

fn is_nothing(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(Value::Array(items)) => items.is_empty(),
        Some(Value::Object(map)) => map.is_empty(),
        Some(Value::Bool(_) | Value::Number(_)) => false,
    }
}

/// What says nothing, in one of the ways to say it; absence is one more.
fn empty(item: &mut Item, key: &str, ways: &[Value], dice: &mut Dice) {
    if !is_nothing(item.get(key)) || !dice.fires() {
        return;
    }
    match ways.get(dice.roll(ways.len() + 1)) {
        Some(way) => drop(item.insert(key.to_owned(), way.clone())),
        None => drop(item.remove(key)),
    }
}

/// A value that is the default: left out, or in one of the ways.
fn default(item: &mut Item, key: &str, value: &str, ways: &[Value], dice: &mut Dice) {
    if item.get(key).and_then(Value::as_str) == Some(value) {
        item.insert(key.to_owned(), Value::Null);
        empty(item, key, ways, dice);
        if ways.is_empty() {
            item.remove(key);
        }
    }
}

fn rewritten(item: &mut Item, key: &str, dice: &mut Dice, how: impl Fn(&str, &mut Dice) -> String) {
    if let Some(Value::String(text)) = item.get_mut(key)
        && !text.is_empty()
        && dice.fires()
    {
        *text = how(text, dice);
    }
}

fn cased(item: &mut Item, key: &str, dice: &mut Dice) {
    rewritten(item, key, dice, |text, dice| {
        let bits = dice.roll(1 << 16) as u64;
        spell::cased(text, bits | bits << 16 | bits << 32)
    });
}

fn dotted(item: &mut Item, key: &str) {
    if let Some(Value::String(text)) = item.get_mut(key)
        && !text.ends_with('.')
    {
        text.push('.');
    }
}

/// Switches that are off are said or left out.
fn off(item: &mut Item, keys: &[&str], dice: &mut Dice) {
    switched(item, keys, false, dice);
}

fn on(item: &mut Item, keys: &[&str], dice: &mut Dice) {
    switched(item, keys, true, dice);
}

fn switched(item: &mut Item, keys: &[&str], rest: bool, dice: &mut Dice) {
    for key in keys {
        if item.get(*key).is_none_or(|value| *value == rest || value.is_null()) && dice.fires() {
            match dice.roll(2) {
                0 => drop(item.insert((*key).to_owned(), rest.into())),
                _ => drop(item.remove(*key)),
            }
        }
    }
}

/// What means nothing is missing, null or another.
fn ignored(item: &mut Item, keys: &[&str], dice: &mut Dice) {
    for key in keys.iter().filter(|key| item.contains_key(**key)).copied().collect::<Vec<_>>() {
        if dice.fires() {
            match dice.roll(3) {
                0 => drop(item.remove(key)),
                1 => drop(item.insert(key.to_owned(), Value::Null)),
                _ => drop(item.insert(key.to_owned(), json!(format!("other {}", dice.roll(9))))),
            }
        }
    }
}

fn below(item: &mut Item, key: &str, how: impl FnOnce(&mut Item)) {
    if let Some(map) = item.get_mut(key).and_then(Value::as_object_mut) {
        how(map);
    }
}

fn each(item: &mut Item, key: &str, how: impl FnMut(&mut Item)) {
    let items = item.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten();
    items.filter_map(Value::as_object_mut).for_each(how);
}

fn shuffled(item: &mut Item, key: &str, dice: &mut Dice) {
    let Some(items) = item.get_mut(key).and_then(Value::as_array_mut) else { return };
    for at in (1..items.len()).rev() {
        if dice.fires() {
            items.swap(at, dice.roll(at + 1));
        }
    }
}

fn is_target(item: &Item) -> bool {
    item.get("type").and_then(Value::as_str).is_some_and(|kind| TARGETS.contains(&kind))
}

fn quoted(text: &str, dice: &mut Dice) -> String {
    if text.starts_with('"') && text.ends_with('"') && text.len() > 1 {
        return text.to_owned();
    }
    let escape = |part: &str| part.replace('\\', "\\\\").replace('"', "\\\"");
    let middle = dice.roll(text.chars().count() + 1);
    let cut = text.char_indices().nth(middle).map_or(text.len(), |(at, _)| at);
    let (first, second) = text.split_at(cut);
    format!("\"{}\" \"{}\"", escape(first), escape(second))
}

fn settings(item: &mut Item, dice: &mut Dice) {
    let said = item.get("settings").and_then(Value::as_object).cloned().unwrap_or_default();
    let on: Item = said.into_iter().filter(|(_, value)| *value == true).collect();
    if !dice.fires() {
        return;
    }
    let mut all = json!({"flatten_cname": false, "ipv4_only": false, "ipv6_only": false});
    match (on.is_empty(), dice.roll(4)) {
        (true, 0) => drop(item.remove("settings")),
        (true, 1) => drop(item.insert("settings".into(), Value::Null)),
        (_, 2) => {
            all.as_object_mut().unwrap().extend(on);
            item.insert("settings".into(), all);
        }
        _ => drop(item.insert("settings".into(), on.into())),
    }
}

fn numbers(data: &mut Item, dice: &mut Dice) {
    for value in data.values_mut() {
        if let Some(number) = value.as_u64()
            && dice.fires()
        {
            *value = match dice.roll(2) {
                0 => json!(number.to_string()),
                _ => json!(number as f64),
            };
        }
    }
}

fn echoed(item: &mut Item, dice: &mut Dice) {
    if item["type"] == "SRV" && dice.fires() {
        let name = item["name"].clone();
        below(item, "data", |data| {
            data.insert("service".into(), json!("_sip"));
            data.insert("proto".into(), json!("_tcp"));
            data.insert("name".into(), name);
        });
    }
}

fn config_server_set(item: &mut Item, dice: &mut Dice) {
    ignored(item, &["created_at", "source"], dice);
    if item.get("version").and_then(Value::as_i64).is_some_and(|version| version > 0) {
        item.insert("version".into(), json!(1 + dice.roll(99)));
    }
    below(item, "config", |config| match dice.roll(2) {
        0 => drop(config.remove("warp-routing")),
        _ => drop(config.insert("warp-routing".into(), json!({"enabled": true}))),
    });
}

fn ingress(item: &mut Item, how: impl FnMut(&mut Item)) {
    below(item, "config", |config| each(config, "ingress", how));
}

/// What may have an `originRequest`: the configuration and its rules.
fn origins(item: &mut Item, mut how: impl FnMut(&mut Item)) {
    below(item, "config", |config| {
        how(config);
        each(config, "ingress", how);
    });
}

/// The settings of the configuration and of its rules, each with those that it overrides.
fn origin_settings(item: &mut Item, mut how: impl FnMut(&mut Item, &Item)) {
    below(item, "config", |config| {
        let global = config.get("originRequest").and_then(Value::as_object).cloned();
        let global = global.unwrap_or_default();
        below(config, "originRequest", |settings| how(settings, &Item::new()));
        each(config, "ingress", |rule| below(rule, "originRequest", |s| how(s, &global)));
    });
}

/// A false that overrides a setting for all says something, and stays.
fn origin_off(settings: &mut Item, global: &Item, dice: &mut Dice) {
    let keys = [
        "noTLSVerify",
        "http2Origin",
        "matchSNItoHost",
        "disableChunkedEncoding",
        "noHappyEyeballs",
        "bastionMode",
    ];
    let free: Vec<&str> = keys.into_iter().filter(|key| !global.contains_key(*key)).collect();
    off(settings, &free, dice);
}

/// A reusable policy's body, as any other reading of it may have it by then.
fn expanded(policy: &mut Item, dice: &mut Dice) {
    if policy.get("reusable") == Some(&json!(true)) && dice.fires() {
        policy.insert("name".into(), json!(format!("renamed {}", dice.roll(9))));
        policy.insert("include".into(), json!([{"everyone": {}}]));
        policy.insert("session_duration".into(), json!("1h"));
    }
}

/// The order of precedences stays, their distance says nothing.
fn gaps(item: &mut Item, dice: &mut Dice) {
    let Some(policies) = item.get_mut("policies").and_then(Value::as_array_mut) else { return };
    // The precedence of an application's own policy is one that a file may have written.
    if policies.iter().all(|policy| policy["reusable"] == true) {
        let more = 1 + dice.roll(3) as u64;
        for policy in policies {
            if let Some(precedence) = policy["precedence"].as_u64() {
                policy["precedence"] = json!(precedence * (more + 1) + 2);
            }
        }
    }
}

fn empty_selectors(item: &mut Item, list: &str, dice: &mut Dice) {
    let Some(rules) = item.get_mut(list).and_then(Value::as_array_mut) else { return };
    if dice.fires() {
        rules.push(json!({"common_name": {"common_name": null}}));
    }
    if dice.fires() {
        rules.push(json!({"auth_method": null}));
    }
    for rule in rules.iter_mut().filter_map(Value::as_object_mut) {
        if !rule.contains_key("geo") && dice.fires() {
            rule.insert("geo".into(), json!({"country_code": null}));
        }
    }
}

fn bare_addresses(item: &mut Item, list: &str, dice: &mut Dice) {
    each(item, list, |rule| {
        below(rule, "ip", |ip| {
            rewritten(ip, "ip", dice, |ip, dice| spell::network(ip, dice.roll(4)))
        });
    });
}
