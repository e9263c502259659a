//! What the services may answer for what they hold: the table of section 8 of the contract (and
//! of the places of it that this names), one rule a line. Written from the contract, and knowing
//! nothing of how boxctl reads an answer.
//!
//! What a user may write in several ways and no answer has (`@`, relative names) is in the
//! generators. Rows of types that boxctl has no kind for (identity providers, Pages, Workers,
//! rulesets, R2, D1) are left out.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::forms::{
    Dice, How, Item, bare_addresses, below, cased, config_server_set, default, dotted, each,
    echoed, empty, empty_selectors, expanded, gaps, ignored, ingress, is_target, numbers, off, on,
    origin_off, origin_settings, origins, quoted, rewritten, settings, shuffled,
};
use super::spell;

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
    rule(Of::Config, "tunnel_config.version (but its growth), created_at, source, warp-routing: ignore", config_server_set),
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

/// Answers in other forms, each answer in its own.
pub struct Forms {
    dice: Dice,
    /// How often each rule changed something, by row.
    pub fired: BTreeMap<&'static str, usize>,
}

impl Forms {
    pub fn new(seed: u64, how: How, default_network: &str) -> Forms {
        Forms { dice: Dice::new(seed, how, default_network), fired: BTreeMap::new() }
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
