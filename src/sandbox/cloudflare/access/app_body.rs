//! An application's body as the service keeps it: defaults, derived destinations (contract 6.1).

use serde_json::{Map, Value, json};

use super::{duration, is_duration, rules};
use crate::sandbox::cloudflare::reply::ApiError;
use crate::sandbox::cloudflare::text;

/// Application types, and whether they protect hostnames.
const TYPES: &[(&str, bool)] = &[
    ("self_hosted", true),
    ("ssh", true),
    ("vnc", true),
    ("rdp", true),
    ("saas", false),
    ("app_launcher", false),
    ("warp", false),
    ("biso", false),
    ("bookmark", false),
    ("dash_sso", false),
    ("infrastructure", false),
    ("mcp", false),
    ("mcp_portal", false),
    ("proxy_endpoint", false),
];

/// Types of which an account has one at most.
pub const SINGLETONS: &[&str] = &["warp", "app_launcher", "biso", "dash_sso"];

/// Switches that are always answered, with their defaults.
const SWITCHES: &[(&str, bool)] = &[
    ("app_launcher_visible", true),
    ("auto_redirect_to_identity", false),
    ("enable_binding_cookie", false),
    ("http_only_cookie_attribute", true),
    ("options_preflight_bypass", false),
];

/// What applications of some types do not have, by the official client's models of each.
const LACKS: &[(&[&str], &[&str])] = &[
    (
        &["enable_binding_cookie", "http_only_cookie_attribute", "options_preflight_bypass"],
        &["saas", "app_launcher", "warp", "biso", "proxy_endpoint", "bookmark", "infrastructure"],
    ),
    (&["session_duration"], &["saas", "bookmark", "infrastructure"]),
    (&["allowed_idps", "auto_redirect_to_identity"], &["bookmark", "infrastructure"]),
    (
        &["app_launcher_visible", "tags"],
        &["app_launcher", "warp", "biso", "proxy_endpoint", "infrastructure"],
    ),
    (&["app_launcher_visible", "enable_binding_cookie"], &["mcp", "mcp_portal"]),
];

/// Switches that are answered where they were set to true.
const RARE_SWITCHES: &[&str] = &[
    "skip_interstitial",
    "path_cookie_attribute",
    "service_auth_401_redirect",
    "allow_iframe",
    "use_clientless_isolation_app_launcher_url",
];

/// Members that are kept as sent.
const KEPT: &[&str] = &[
    "allow_authenticate_via_warp",
    "custom_deny_message",
    "custom_deny_url",
    "custom_non_identity_deny_url",
    "logo_url",
    "custom_pages",
    "cors_headers",
    "scim_config",
    "mfa_config",
    "oauth_configuration",
    "read_service_tokens_from_header",
    "eager_redirect_cookie_setting",
    "saas_app",
    "target_criteria",
];

/// What else exists that a body may name.
pub struct Known<'a> {
    /// Ids of identity providers.
    pub identity_providers: &'a [String],
    /// Names of tags.
    pub tags: &'a [String],
}

fn invalid(text: impl std::fmt::Display) -> ApiError {
    ApiError::invalid_request(text)
}

/// The application's fields, without policies and what the service sets.
pub fn fields(
    body: &Map<String, Value>,
    known: &Known<'_>,
) -> Result<Map<String, Value>, ApiError> {
    let kind = text(body, "type").unwrap_or("self_hosted");
    let (_, hosted) = TYPES
        .iter()
        .find(|(name, _)| *name == kind)
        .ok_or_else(|| invalid(format_args!("unknown application type {kind}")))?;
    let mut fields = Map::new();
    fields.insert("type".to_owned(), kind.into());
    fields.insert("name".to_owned(), text(body, "name").unwrap_or(kind).into());
    if *hosted {
        fields.extend(destinations(body)?);
    } else if let Some(domain) = text(body, "domain") {
        fields.insert("domain".to_owned(), domain.into());
    }
    switches(body, &mut fields)?;
    fields.insert("session_duration".to_owned(), duration(body, "24h")?.into());
    let idps = strings(body, "allowed_idps")?;
    if let Some(unknown) = idps.iter().find(|id| !known.identity_providers.contains(id)) {
        return Err(invalid(format_args!("identity provider {unknown} not found")));
    }
    if fields["auto_redirect_to_identity"] == true && idps.len() != 1 {
        return Err(invalid("auto_redirect_to_identity needs exactly one allowed_idps"));
    }
    fields.insert("allowed_idps".to_owned(), json!(idps));
    let mut tags = strings(body, "tags")?;
    if let Some(unknown) = tags.iter().find(|tag| !known.tags.contains(tag)) {
        return Err(invalid(format_args!("tag {unknown} does not exist")));
    }
    tags.sort();
    fields.insert("tags".to_owned(), json!(tags));
    kept(body, &mut fields)?;
    let lacks: Vec<&str> = LACKS
        .iter()
        .filter(|(_, kinds)| kinds.contains(&kind))
        .flat_map(|(names, _)| names.iter().copied())
        .collect();
    fields.retain(|name, _| !lacks.contains(&name.as_str()));
    Ok(fields)
}

fn switches(body: &Map<String, Value>, fields: &mut Map<String, Value>) -> Result<(), ApiError> {
    let read = |name: &str| match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(on)) => Ok(Some(*on)),
        Some(_) => Err(invalid(format_args!("{name} must be a boolean"))),
    };
    for (name, default) in SWITCHES {
        fields.insert((*name).to_owned(), read(name)?.unwrap_or(*default).into());
    }
    for name in RARE_SWITCHES {
        if read(name)? == Some(true) {
            fields.insert((*name).to_owned(), true.into());
        }
    }
    Ok(())
}

fn kept(body: &Map<String, Value>, fields: &mut Map<String, Value>) -> Result<(), ApiError> {
    match text(body, "same_site_cookie_attribute") {
        None | Some("") => {}
        Some(value @ ("none" | "lax" | "strict")) => {
            fields.insert("same_site_cookie_attribute".to_owned(), value.into());
        }
        Some(_) => return Err(invalid("same_site_cookie_attribute must be none, lax or strict")),
    }
    for name in KEPT {
        if let Some(value) = body.get(*name).filter(|value| !value.is_null()) {
            fields.insert((*name).to_owned(), value.clone());
        }
    }
    let mfa = body.get("mfa_config").and_then(|mfa| mfa["session_duration"].as_str());
    match mfa.is_none_or(is_duration) {
        true => Ok(()),
        false => Err(invalid("mfa_config.session_duration must be a duration")),
    }
}

fn strings(body: &Map<String, Value>, name: &str) -> Result<Vec<String>, ApiError> {
    let wrong = || invalid(format_args!("{name} must be a list of strings"));
    match body.get(name) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) => {
            items.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
        }
        Some(_) => Err(wrong()),
    }
}

/// `domain`, `destinations` and `self_hosted_domains`, each derived from what was given.
fn destinations(body: &Map<String, Value>) -> Result<Map<String, Value>, ApiError> {
    let mut kept: Vec<Value> = Vec::new();
    match body.get("destinations") {
        Some(Value::Array(items)) if !items.is_empty() => {
            for item in items {
                kept.push(destination(item)?);
            }
        }
        None | Some(Value::Null | Value::Array(_)) => {
            for domain in strings(body, "self_hosted_domains")? {
                kept.push(json!({ "type": "public", "uri": hosted_name(&domain)? }));
            }
        }
        Some(_) => return Err(invalid("destinations must be a list")),
    }
    let uri = |item: &Value| (item["type"] == "public").then(|| item["uri"].clone());
    let domain = match text(body, "domain").filter(|domain| !domain.is_empty()) {
        Some(domain) => Some(hosted_name(domain)?),
        None => kept.iter().find_map(uri).and_then(|uri| uri.as_str().map(str::to_owned)),
    };
    if let Some(domain) = &domain
        && !kept.iter().any(|item| uri(item).is_some_and(|uri| uri == domain.as_str()))
    {
        kept.insert(0, json!({ "type": "public", "uri": domain }));
    }
    if kept.is_empty() {
        return Err(invalid("domain or destinations is required"));
    }
    let public: Vec<Value> = kept.iter().filter_map(uri).collect();
    for (at, uri) in public.iter().enumerate() {
        if public[..at].contains(uri) {
            return Err(invalid(format_args!("destination {uri} is given twice")));
        }
    }
    let mut fields = Map::new();
    if let Some(domain) = domain {
        fields.insert("domain".to_owned(), domain.into());
    }
    let domain_type = if public.is_empty() { "private" } else { "public" };
    fields.insert("domain_type".to_owned(), domain_type.into());
    fields.insert("destinations".to_owned(), kept.into());
    fields.insert("self_hosted_domains".to_owned(), public.into());
    Ok(fields)
}

fn destination(item: &Value) -> Result<Value, ApiError> {
    let item = item.as_object().ok_or_else(|| invalid("each destination must be an object"))?;
    match text(item, "type").unwrap_or("public") {
        "public" => {
            let uri = text(item, "uri").ok_or_else(|| invalid("a destination needs a uri"))?;
            let mut kept = json!({ "type": "public", "uri": hosted_name(uri)? });
            if let Some(overrides) = item.get("overrides").filter(|o| !o.is_null()) {
                kept["overrides"] = overrides.clone();
            }
            Ok(kept)
        }
        "private" => {
            let mut kept = item.clone();
            kept.retain(|_, value| !value.is_null());
            if let Some(cidr) = text(item, "cidr") {
                let cidr = rules::cidr(cidr)
                    .ok_or_else(|| invalid(format_args!("{cidr} is no network")))?;
                kept.insert("cidr".to_owned(), cidr.into());
            } else if text(item, "hostname").is_none() {
                return Err(invalid("a private destination needs a cidr or a hostname"));
            }
            Ok(Value::Object(kept))
        }
        "via_mcp_server_portal"
        | "worker"
        | "preview_worker"
        | "all_workers"
        | "all_preview_workers" => Ok(Value::Object(item.clone())),
        kind => Err(invalid(format_args!("unknown destination type {kind}"))),
    }
}

/// `host[/path]` with the host in lower-case Punycode.
fn hosted_name(text: &str) -> Result<String, ApiError> {
    let wrong = || invalid(format_args!("{text} is no valid domain"));
    let (host, path) = match text.split_once('/') {
        Some((host, path)) => (host, Some(path)),
        None => (text, None),
    };
    let host = idna::domain_to_ascii(host).map_err(|_| wrong())?;
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_*".contains(&b))
    };
    if !host.contains('.') || !host.split('.').all(label) {
        return Err(wrong());
    }
    if path.is_some_and(|path| path.contains([' ', '?', '#'])) {
        return Err(wrong());
    }
    Ok(match path {
        Some(path) => format!("{host}/{path}"),
        None => host,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn ask(body: Value) -> Result<Map<String, Value>, ApiError> {
        let providers = ["idp".to_owned()];
        let tags = ["b".to_owned(), "a".to_owned()];
        let known = Known { identity_providers: &providers, tags: &tags };
        fields(body.as_object().unwrap(), &known)
    }

    #[test]
    fn each_form_of_the_domain_gives_the_others() {
        let expected = json!([{"type": "public", "uri": "a.b0xp.io"}]);
        for body in [
            json!({"domain": "A.b0xp.io"}),
            json!({"self_hosted_domains": ["a.b0xp.io"]}),
            json!({"destinations": [{"uri": "a.b0xp.io"}]}),
            json!({"domain": "a.b0xp.io", "destinations": [{"uri": "a.b0xp.io"}], "self_hosted_domains": ["old.b0xp.io"]}),
        ] {
            let fields = ask(body.clone()).unwrap();
            assert_eq!(fields["domain"], "a.b0xp.io", "{body}");
            assert_eq!(fields["destinations"], expected, "{body}");
            assert_eq!(fields["self_hosted_domains"], json!(["a.b0xp.io"]), "{body}");
        }
    }

    #[test]
    fn two_hostnames_make_two_destinations() {
        let destinations = json!([{"uri": "a.b0xp.io"}, {"uri": "b.b0xp.io/x"}]);
        let fields = ask(json!({"domain": "b.b0xp.io/x", "destinations": destinations})).unwrap();
        assert_eq!(fields["domain"], "b.b0xp.io/x");
        assert_eq!(fields["self_hosted_domains"], json!(["a.b0xp.io", "b.b0xp.io/x"]));
    }

    #[test]
    fn private_destinations_get_their_length() {
        let fields =
            ask(json!({"destinations": [{"type": "private", "cidr": "10.0.0.1"}]})).unwrap();
        assert_eq!(fields["destinations"][0]["cidr"], "10.0.0.1/32");
        assert!(fields.get("domain").is_none());
    }

    #[test]
    fn defaults_are_those_of_the_contract() {
        let fields = ask(json!({"domain": "a.b0xp.io"})).unwrap();
        assert_eq!(fields["session_duration"], "24h");
        assert_eq!(fields["app_launcher_visible"], true);
        assert_eq!(fields["http_only_cookie_attribute"], true);
        assert_eq!(fields["auto_redirect_to_identity"], false);
        assert_eq!(fields["allowed_idps"], json!([]));
        assert!(fields.get("skip_interstitial").is_none());
    }

    #[test]
    fn each_type_has_what_makes_sense_for_it() {
        let bookmark = ask(json!({"type": "bookmark", "domain": "https://a.example"})).unwrap();
        assert_eq!(bookmark["app_launcher_visible"], true);
        assert!(
            !bookmark.contains_key("session_duration") && !bookmark.contains_key("allowed_idps")
        );
        let criteria = json!([{"port": 22, "protocol": "SSH", "target_attributes": {}}]);
        let targets = ask(json!({"type": "infrastructure", "target_criteria": criteria})).unwrap();
        let names: Vec<&str> = targets.keys().map(String::as_str).collect();
        assert_eq!(names, ["type", "name", "target_criteria"]);
    }

    #[test]
    fn tags_exist_and_come_back_sorted() {
        let fields = ask(json!({"domain": "a.b0xp.io", "tags": ["b", "a"]})).unwrap();
        assert_eq!(fields["tags"], json!(["a", "b"]));
        assert!(ask(json!({"domain": "a.b0xp.io", "tags": ["c"]})).is_err());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for body in [
            json!({}),
            json!({"type": "nonsense", "domain": "a.b0xp.io"}),
            json!({"domain": "https://a.b0xp.io"}),
            json!({"domain": "a b.io"}),
            json!({"domain": "a.b0xp.io", "session_duration": "1d"}),
            json!({"domain": "a.b0xp.io", "allowed_idps": ["nobody"]}),
            json!({"domain": "a.b0xp.io", "auto_redirect_to_identity": true}),
            json!({"domain": "a.b0xp.io", "app_launcher_visible": "yes"}),
            json!({"domain": "a.b0xp.io", "same_site_cookie_attribute": "maybe"}),
        ] {
            assert_eq!(ask(body.clone()).unwrap_err().code(), 12130, "{body}");
        }
    }
}
