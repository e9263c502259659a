//! Access rules: how files spell them and how the wire does (contract 6.2).

use schemars::JsonSchema;
use serde_json::json;

use super::access_policy::SETS;
use super::support::{fields, is_id, is_special, items, text};
use crate::model::kind::Problem;
use crate::model::scope::{Need, Scope};
use crate::model::{Json, JsonMap};

/// One rule: exactly one of these fields.
#[derive(Debug, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub struct Rule {
    /// Everyone: `everyone: true`.
    pub everyone: Option<Flag>,
    /// Every service token of the account that is valid.
    pub any_valid_service_token: Option<Flag>,
    /// Every valid client certificate.
    pub certificate: Option<Flag>,
    /// An email address.
    pub email: Option<Selector>,
    /// The domain of an email address.
    pub email_domain: Option<Selector>,
    /// A list of email addresses, by id.
    pub email_list: Option<Selector>,
    /// An Access group: its name, its id, or a reference.
    pub group: Option<Selector>,
    /// An address or network.
    pub ip: Option<Selector>,
    /// A list of networks, by id.
    pub ip_list: Option<Selector>,
    /// A country, by its two-letter code.
    pub geo: Option<Selector>,
    /// An identity provider: its name, its type (`github`), its id, or a reference.
    pub login_method: Option<Selector>,
    /// A service token, by id.
    pub service_token: Option<Selector>,
    /// The common name of a client certificate.
    pub common_name: Option<Selector>,
    /// An authentication method of RFC 8176: `mfa`, `hwk`.
    pub auth_method: Option<Selector>,
    /// An OAuth token of another application, by its uid.
    pub linked_app_token: Option<Selector>,
    /// Levels of user risk: `low`, `medium`, `high`, `unscored`.
    pub user_risk_score: Option<Selector>,
    /// A device posture check, by its integration's uid.
    pub device_posture: Option<Selector>,
    /// Members of a Cloudflare account, by its id.
    pub cloudflare_account_member: Option<Selector>,
    /// A GitHub organization: `{name, team, identity_provider_id}`.
    pub github_organization: Option<Selector>,
    /// A group of Microsoft Entra ID: `{id, identity_provider_id}`.
    pub azure_ad: Option<Selector>,
    /// A group of Google Workspace: `{email, identity_provider_id}`.
    pub gsuite: Option<Selector>,
    /// A group of Okta: `{name, identity_provider_id}`.
    pub okta: Option<Selector>,
    /// A SAML attribute: `{attribute_name, attribute_value, identity_provider_id}`.
    pub saml: Option<Selector>,
    /// An OIDC claim: `{claim_name, claim_value, identity_provider_id}`.
    pub oidc: Option<Selector>,
    /// An authentication context of Entra ID: `{id, ac_id, identity_provider_id}`.
    pub auth_context: Option<Selector>,
    /// A service that decides: `{evaluate_url, keys_url}`.
    pub external_evaluation: Option<Selector>,
}

/// `true`, or nothing at all: the rule has no value.
#[derive(Debug, JsonSchema)]
#[serde(untagged)]
pub enum Flag {
    /// `true`.
    On(bool),
    /// `{}`.
    Empty {},
}

/// A value, a list of values, or an object of the API's own fields.
#[derive(Debug, JsonSchema)]
#[serde(untagged)]
pub enum Selector {
    /// The value.
    Text(String),
    /// Several values, where the rule has several.
    List(Vec<String>),
    /// The API's own fields.
    Fields(serde_json::Map<String, Json>),
}

/// What a rule's value is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// Nothing.
    Flag,
    /// One field of that name on the wire.
    One(&'static str),
    /// Several fields, which have to be written; the first is the one that names.
    Many(&'static [&'static str]),
}

/// Name in files, on the wire, and shape.
const RULES: [(&str, &str, Shape); 26] = [
    ("everyone", "everyone", Shape::Flag),
    ("any_valid_service_token", "any_valid_service_token", Shape::Flag),
    ("certificate", "certificate", Shape::Flag),
    ("email", "email", Shape::One("email")),
    ("email_domain", "email_domain", Shape::One("domain")),
    ("email_list", "email_list", Shape::One("id")),
    ("group", "group", Shape::One("id")),
    ("ip", "ip", Shape::One("ip")),
    ("ip_list", "ip_list", Shape::One("id")),
    ("geo", "geo", Shape::One("country_code")),
    ("login_method", "login_method", Shape::One("id")),
    ("service_token", "service_token", Shape::One("token_id")),
    ("common_name", "common_name", Shape::One("common_name")),
    ("auth_method", "auth_method", Shape::One("auth_method")),
    ("linked_app_token", "linked_app_token", Shape::One("app_uid")),
    ("user_risk_score", "user_risk_score", Shape::One("user_risk_score")),
    ("device_posture", "device_posture", Shape::One("integration_uid")),
    ("cloudflare_account_member", "cloudflare_account_member", Shape::One("account_id")),
    ("github_organization", "github-organization", Shape::Many(&["name"])),
    ("azure_ad", "azureAD", Shape::Many(&["id"])),
    ("gsuite", "gsuite", Shape::Many(&["email"])),
    ("okta", "okta", Shape::Many(&["name"])),
    ("saml", "saml", Shape::Many(&["attribute_name", "attribute_value"])),
    ("oidc", "oidc", Shape::Many(&["claim_name", "claim_value"])),
    ("auth_context", "auth_context", Shape::Many(&["id", "ac_id"])),
    ("external_evaluation", "external_evaluation", Shape::Many(&["evaluate_url", "keys_url"])),
];
const PROVIDER: &str = "identity_provider_id";

fn only_entry(rule: &Json) -> Option<(String, Json)> {
    let map = rule.as_object().filter(|map| map.len() == 1 && !is_special(rule))?;
    map.iter().next().map(|(key, value)| (key.clone(), value.clone()))
}

fn by_name(name: &str) -> Option<Shape> {
    RULES.iter().find(|(file, _, _)| *file == name).map(|(_, _, shape)| *shape)
}

/// An address without its full-length prefix: the API has refused `/32` on updates (contract 6.2).
fn bare_ip(ip: &Json) -> Json {
    let network = ip.as_str().and_then(|text| text.parse::<ipnet::IpNet>().ok());
    let single = network.filter(|network| network.prefix_len() == network.max_prefix_len());
    single.map_or_else(|| ip.clone(), |network| json!(network.addr().to_string()))
}

/// A network as the API answers it: a single address with its full-length prefix (contract 8:
/// `/32`, `/128`), the bits of hosts zero.
pub fn network(ip: &Json) -> Json {
    let Some(text) = ip.as_str() else { return ip.clone() };
    if let Ok(address) = text.parse::<std::net::IpAddr>() {
        return json!(ipnet::IpNet::from(address).to_string());
    }
    text.parse::<ipnet::IpNet>().map_or_else(|_| ip.clone(), |net| json!(net.trunc().to_string()))
}

/// The id of an identity provider, given by id, name or type.
///
/// # Errors
/// Nothing, or several things, have that name.
pub fn provider_id(name: &str, path: &str, scope: &Scope) -> Result<String, Problem> {
    if is_id(name) {
        return Ok(name.to_owned());
    }
    let Some(known) = &scope.identity_providers else { return Ok(name.to_owned()) };
    let named: Vec<_> = known.iter().filter(|provider| provider.name == name).collect();
    let typed: Vec<_> = known.iter().filter(|provider| provider.kind == name).collect();
    let found = if named.is_empty() { typed } else { named };
    match found.as_slice() {
        [one] => Ok(one.id.clone()),
        [] => Err(Problem::error(path, format!("there is no identity provider `{name}`"))
            .hint(super::lookup::providers_there_are(scope))),
        several => {
            let ids: Vec<&str> = several.iter().map(|provider| provider.id.as_str()).collect();
            Err(Problem::error(path, format!("several identity providers are called `{name}`"))
                .hint(format!("write the id of one of them: {}", ids.join(", "))))
        }
    }
}

/// Whether a list of rules names identity providers by something other than their ids.
fn names_providers(rules: &[Json]) -> bool {
    let named = |value: Option<&Json>| value.and_then(Json::as_str).is_some_and(|v| !is_id(v));
    rules.iter().filter_map(only_entry).any(|(key, value)| {
        named(value.get(PROVIDER))
            || (key == "login_method" && (named(Some(&value)) || named(value.get("id"))))
    })
}

/// The id of an Access group, given by id or name.
///
/// # Errors
/// Nothing, or several things, have that name.
fn group_id(name: &str, path: &str, scope: &Scope) -> Result<String, Problem> {
    if is_id(name) {
        return Ok(name.to_owned());
    }
    let Some(known) = &scope.access_groups else { return Ok(name.to_owned()) };
    let found: Vec<_> = known.iter().filter(|group| group.name == name).collect();
    match found.as_slice() {
        [one] => Ok(one.id.clone()),
        [] => {
            let names = known.iter().map(|group| group.name.clone()).collect();
            let there_are = super::lookup::there_are(names);
            Err(Problem::error(path, format!("there is no Access group `{name}`")).hint(format!(
                "{there_are}; one that this stack makes is `${{access_group.NAME.id}}`"
            )))
        }
        several => {
            let ids: Vec<&str> = several.iter().map(|group| group.id.as_str()).collect();
            Err(Problem::error(path, format!("several Access groups are called `{name}`"))
                .hint(format!("write the id of one of them: {}", ids.join(", "))))
        }
    }
}

/// What the rules of a policy or group name by something other than an id.
pub fn needs(spec: &Json) -> Vec<Need> {
    let lists = || SETS.iter().map(|field| items(spec, field));
    let mut needs = Vec::new();
    if lists().any(names_providers) {
        needs.push(Need::IdentityProviders);
    }
    if lists().any(names_groups) {
        needs.push(Need::AccessGroups);
    }
    needs
}

/// Whether a list of rules names groups by something other than their ids.
fn names_groups(rules: &[Json]) -> bool {
    let named = |value: Option<&Json>| value.and_then(Json::as_str).is_some_and(|v| !is_id(v));
    rules
        .iter()
        .filter_map(only_entry)
        .any(|(key, value)| key == "group" && (named(Some(&value)) || named(value.get("id"))))
}

fn canonical_rule(rule: &Json, path: &str, scope: &Scope) -> Result<Json, Problem> {
    let flag = rule.as_str().filter(|name| by_name(name) == Some(Shape::Flag));
    if let Some(name) = flag {
        return Ok(json!({name: {}}));
    }
    let Some((key, value)) = only_entry(rule) else { return Ok(rule.clone()) };
    let Some(shape) = by_name(&key) else { return Ok(rule.clone()) };
    let value = match shape {
        Shape::Flag => json!({}),
        Shape::One(_) if is_special(&value) => value,
        Shape::One(field) => {
            let inner = match value.as_object() {
                Some(map) if map.len() == 1 => map.get(field).cloned().unwrap_or(value),
                _ => value,
            };
            match (key.as_str(), inner.as_str()) {
                // 8: `/32`, `/128`.
                ("ip", _) => network(&inner),
                ("geo", Some(code)) => json!(code.to_ascii_uppercase()),
                ("login_method", Some(name)) => json!(provider_id(name, path, scope)?),
                ("group", Some(name)) => json!(group_id(name, path, scope)?),
                ("user_risk_score", Some(level)) => json!([level]),
                _ => inner,
            }
        }
        Shape::Many(_) => {
            let mut map = fields(&value);
            map.retain(|_, value| !value.is_null());
            if let Some(name) = text(&value, PROVIDER) {
                let id = provider_id(name, &format!("{path}.{PROVIDER}"), scope)?;
                map.insert(PROVIDER.to_owned(), json!(id));
            }
            if is_special(&value) { value } else { Json::Object(map) }
        }
    };
    Ok(json!({key: value}))
}

/// Rules in canonical form: names looked up, one-field rules as `{kind: value}`.
///
/// # Errors
/// A name that stands for nothing, or for several things.
pub fn canonical(rules: &Json, path: &str, scope: &Scope) -> Result<Json, Problem> {
    let Some(list) = rules.as_array() else { return Ok(rules.clone()) };
    let rules = list.iter().enumerate().map(|(index, rule)| {
        let name = only_entry(rule).map_or(String::new(), |(key, _)| format!(".{key}"));
        canonical_rule(rule, &format!("{path}[{index}]{name}"), scope)
    });
    Ok(Json::Array(rules.collect::<Result<_, _>>()?))
}

/// Rules as the API spells them.
pub fn to_wire(rules: &Json) -> Json {
    let Some(list) = rules.as_array() else { return rules.clone() };
    let wire = |rule: &Json| {
        let (key, value) = only_entry(rule)?;
        let (_, wire, shape) = RULES.iter().find(|(file, _, _)| *file == key)?;
        let value = match shape {
            Shape::One(_) if value.is_object() && !is_special(&value) => value,
            Shape::One(field) if key == "ip" => json!({*field: bare_ip(&value)}),
            Shape::One(field) => json!({*field: value}),
            Shape::Flag | Shape::Many(_) => value,
        };
        Some(json!({*wire: value}))
    };
    Json::Array(list.iter().map(|rule| wire(rule).unwrap_or_else(|| rule.clone())).collect())
}

/// The lists of rules of a reading that go back with a replacement: without the empty selectors that
/// the API adds and does not take (contract 8).
pub fn put_back(raw: &JsonMap, scope: &Scope) -> JsonMap {
    let lists = SETS.iter().filter_map(|field| Some((*field, raw.get(*field)?)));
    lists
        .filter(|(_, rules)| !rules.is_null())
        .map(|(field, rules)| (field.to_owned(), to_wire(&from_wire(rules, scope))))
        .collect()
}

/// Rules as files spell them; empty selectors, which the API may add, are left out (contract 8).
pub fn from_wire(rules: &Json, scope: &Scope) -> Json {
    let mut out = Vec::new();
    for rule in rules.as_array().into_iter().flatten() {
        let mut map = fields(rule);
        map.retain(|key, value| {
            let flag = by_name(key) == Some(Shape::Flag);
            let empty = value.as_object().is_none_or(|map| map.values().all(Json::is_null));
            flag || !empty
        });
        for (key, value) in map {
            let file = RULES.iter().find(|(_, wire, _)| *wire == key).map(|(file, _, _)| *file);
            let rule = json!({file.unwrap_or(&key): value});
            out.push(canonical_rule(&rule, "", scope).unwrap_or(rule));
        }
    }
    Json::Array(out)
}

/// What is wrong with a list of rules.
pub fn check(spec: &Json, field: &str, problems: &mut Vec<Problem>) {
    let rules = items(spec, field);
    for (index, rule) in rules.iter().enumerate() {
        let path = format!("{field}[{index}]");
        if is_special(rule) || rule.as_str().is_some_and(|n| by_name(n) == Some(Shape::Flag)) {
            continue;
        }
        let Some((key, value)) = only_entry(rule) else {
            problems.push(
                Problem::error(path, "a rule is an object with one field")
                    .hint("write `- email: me@example.org`; two conditions are two rules"),
            );
            continue;
        };
        let Some(shape) = by_name(&key) else {
            problems.push(unknown_rule(&key, &path));
            continue;
        };
        check_value(&key, shape, &value, &format!("{path}.{key}"), problems);
    }
}

fn unknown_rule(key: &str, path: &str) -> Problem {
    if let Some((file, _, _)) = RULES.iter().find(|(_, wire, _)| *wire == key) {
        let message = format!("`{key}` is how the API spells this rule");
        return Problem::error(path, message).hint(format!("write `{file}`"));
    }
    let nearest = RULES
        .iter()
        .map(|(file, _, _)| (strsim::damerau_levenshtein(file, key), *file))
        .min()
        .filter(|(distance, _)| *distance <= 3);
    let problem = Problem::error(path, format!("there is no rule `{key}`"));
    match nearest {
        Some((_, name)) => problem.hint(format!("did you mean `{name}`?")),
        None => {
            let names: Vec<&str> = RULES.iter().map(|(file, _, _)| *file).collect();
            problem.hint(format!("the rules are {}", names.join(", ")))
        }
    }
}

fn check_value(key: &str, shape: Shape, value: &Json, path: &str, problems: &mut Vec<Problem>) {
    if is_special(value) {
        return;
    }
    match shape {
        Shape::Flag => {
            if value == &json!(false) {
                let message = format!("`{key}: false` says nothing");
                problems.push(Problem::error(path, message).hint("leave the rule out"));
            }
        }
        Shape::One(field) => {
            let inner = value.get(field).unwrap_or(value);
            if inner.is_null() || inner.as_str() == Some("") {
                problems.push(Problem::error(path, format!("`{key}` needs a value")));
            }
            let Some(text) = inner.as_str() else { return };
            let no_network = network(inner) == *inner && text.parse::<ipnet::IpNet>().is_err();
            if key == "ip" && no_network {
                problems.push(
                    Problem::error(path, format!("`{text}` is not an address or network"))
                        .hint("examples: 192.0.2.1, 192.0.2.0/24, 2001:db8::/32"),
                );
            }
            if key == "email" && (!text.contains('@') || text.contains('*')) {
                problems.push(
                    Problem::error(path, format!("`{text}` is not an email address"))
                        .hint("a whole domain is `email_domain`"),
                );
            }
            if key == "email_domain" && text.contains(['@', '*']) {
                problems.push(
                    Problem::error(path, format!("`{text}` is not the domain of an email address"))
                        .hint("write what follows the `@`: `example.org`"),
                );
            }
            let is_code = text.len() == 2 && text.chars().all(|c| c.is_ascii_alphanumeric());
            if key == "geo" && !is_code {
                problems.push(
                    Problem::error(path, format!("`{text}` is not the code of a country"))
                        .hint("codes have two letters: `JP`"),
                );
            }
        }
        Shape::Many(needed) => {
            for field in needed.iter().filter(|field| value.get(**field).is_none()) {
                problems.push(Problem::error(path, format!("`{key}` needs `{field}`")));
            }
        }
    }
}

/// The rules of a policy's spec as a map of include, exclude and require, on the wire.
pub fn lists_to_wire(spec: &Json) -> JsonMap {
    let mut out = JsonMap::new();
    for field in ["include", "exclude", "require"] {
        if let Some(rules) = spec.get(field) {
            out.insert(field.to_owned(), to_wire(rules));
        }
    }
    out
}

#[cfg(test)]
#[path = "access_rules_tests.rs"]
mod tests;
