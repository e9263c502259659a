//! A tunnel's configuration and how the service checks it (contract 4.5).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::Call;
use super::reply::{Answer, ApiError, Outcome};
use super::tunnels::Tunnel;
use crate::sandbox::env::Env;
use crate::sandbox::quirks::Quirk;

/// The last configuration that was put.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Configuration {
    version: u64,
    created_at: String,
    config: Value,
}

/// `…/configurations`.
pub fn handle(tunnel: &mut Tunnel, call: &Call<'_>, env: &mut Env) -> Outcome {
    let not_found = || ApiError::new(404, 1055, "Tunnel configuration not found");
    if tunnel.deleted_at.is_some() {
        return Err(not_found());
    }
    if call.method == "PUT" {
        let body = call.object()?;
        let config = checked(body.get("config").unwrap_or(&Value::Null))?;
        let version = tunnel.configuration.as_ref().map_or(0, |c| c.version) + 1;
        tunnel.configuration = Some(Configuration { version, created_at: env.stamp(), config });
    }
    let shown = |version: i64, created_at: Value, config: Value| {
        Answer::ok(json!({
            "account_id": tunnel.account_id, "tunnel_id": tunnel.id, "version": version,
            "source": tunnel.config_src, "created_at": created_at, "config": config,
        }))
    };
    match &tunnel.configuration {
        Some(Configuration { version, created_at, config }) => {
            Ok(shown(*version as i64, json!(created_at), config.clone()))
        }
        // What an unconfigured tunnel answers is not known (contract 12, 10).
        None if env.open(Quirk::UnconfiguredMissing) => Err(not_found()),
        None if env.open(Quirk::UnconfiguredMinusOne) => Ok(shown(-1, Value::Null, Value::Null)),
        None => Ok(shown(0, Value::Null, Value::Null)),
    }
}

fn bad(text: impl std::fmt::Display) -> ApiError {
    ApiError::new(400, 1056, format!("Bad Configuration: Validation failed: {text}"))
}

/// The configuration as it is kept: known members only, `originRequest` on every named rule.
fn checked(config: &Value) -> Result<Value, ApiError> {
    let config = config.as_object().ok_or_else(|| bad("config must be an object"))?;
    let rules = config.get("ingress").and_then(Value::as_array);
    let rules = rules.filter(|rules| !rules.is_empty());
    let rules = rules.ok_or_else(|| bad("ingress needs at least one rule"))?;
    let mut ingress = Vec::new();
    for (at, rule) in rules.iter().enumerate() {
        let rule = rule.as_object().ok_or_else(|| bad("each ingress rule must be an object"))?;
        ingress.push(checked_rule(rule, at, at + 1 == rules.len())?);
    }
    let global = checked_origin(config.get("originRequest"))?;
    Ok(json!({
        "ingress": ingress, "originRequest": global, "warp-routing": { "enabled": false },
    }))
}

fn checked_rule(rule: &Map<String, Value>, at: usize, last: bool) -> Result<Value, ApiError> {
    let member = |name: &str| match rule.get(name) {
        None | Some(Value::Null) => Ok(""),
        Some(Value::String(text)) => Ok(text.as_str()),
        Some(_) => Err(bad(format_args!("{name} of rule #{} must be a string", at + 1))),
    };
    let (hostname, path, service) = (member("hostname")?, member("path")?, member("service")?);
    let catch_all = (hostname.is_empty() || hostname == "*") && path.is_empty();
    if last && !catch_all {
        return Err(bad("The last ingress rule must match all URLs (i.e. it should not have a \
                        hostname or path filter)"));
    }
    if !last && catch_all {
        return Err(bad(format_args!(
            "Rule #{} is matching the hostname '{hostname}', but this will match every hostname, \
             meaning the rules which follow it will never be triggered.",
            at + 1
        )));
    }
    check_hostname(hostname)?;
    if !path.is_empty() && regex::Regex::new(path).is_err() {
        return Err(bad(format_args!("Rule #{} has an invalid regex", at + 1)));
    }
    check_service(service)?;
    let origin = checked_origin(rule.get("originRequest"))?;
    let mut kept = Map::new();
    if !hostname.is_empty() {
        kept.insert("hostname".to_owned(), hostname.into());
    }
    if !path.is_empty() {
        kept.insert("path".to_owned(), path.into());
    }
    kept.insert("service".to_owned(), service.into());
    if !hostname.is_empty() || !origin.is_empty() {
        kept.insert("originRequest".to_owned(), origin.into());
    }
    Ok(Value::Object(kept))
}

fn check_hostname(hostname: &str) -> Result<(), ApiError> {
    if hostname.contains(':') {
        return Err(bad("Hostname cannot contain a port"));
    }
    let stars = hostname.matches('*').count();
    if stars > 1 || (stars == 1 && hostname != "*" && !hostname.starts_with("*.")) {
        return Err(bad(
            "Hostname patterns can have at most one wildcard character (\"*\") and it \
                        can only be used for subdomains, e.g. \"*.example.com\"",
        ));
    }
    Ok(())
}

fn check_service(service: &str) -> Result<(), ApiError> {
    let unix = ["unix:", "unix+tls:"]
        .iter()
        .any(|scheme| service.strip_prefix(scheme).is_some_and(|path| !path.is_empty()));
    let named = matches!(service, "hello_world" | "hello-world" | "socks-proxy" | "bastion");
    if unix || named {
        return Ok(());
    }
    if let Some(code) = service.strip_prefix("http_status:") {
        return match code.parse::<u16>() {
            Ok(100..=999) => Ok(()),
            _ => Err(bad(format_args!("invalid HTTP status code: {code}"))),
        };
    }
    let wrong = || {
        bad(format_args!(
            "{service} is an invalid address, please make sure it has a scheme and a hostname"
        ))
    };
    let (scheme, rest) = service.split_once("://").ok_or_else(wrong)?;
    let scheme_fits = !scheme.is_empty()
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    if !scheme_fits || rest.is_empty() || rest.starts_with(['/', ':']) {
        return Err(wrong());
    }
    if rest.contains('/') {
        return Err(bad(format_args!(
            "{service} is an invalid address, ingress rules don't support proxying to a different \
             path on the origin service. The path will be the same as the eyeball request's path"
        )));
    }
    match url::Url::parse(service) {
        Ok(url) if url.has_host() => Ok(()),
        _ => Err(wrong()),
    }
}

const SECONDS: &[&str] = &["connectTimeout", "tlsTimeout", "tcpKeepAlive", "keepAliveTimeout"];
const INTEGERS: &[&str] = &["keepAliveConnections", "proxyPort"];
const SWITCHES: &[&str] = &[
    "noHappyEyeballs",
    "noTLSVerify",
    "disableChunkedEncoding",
    "http2Origin",
    "matchSNItoHost",
    "bastionMode",
];
const TEXTS: &[&str] =
    &["httpHostHeader", "originServerName", "caPool", "proxyType", "proxyAddress"];

/// The settings that are known, of the right types; the rest is dropped.
fn checked_origin(origin: Option<&Value>) -> Result<Map<String, Value>, ApiError> {
    let mut kept = Map::new();
    let origin = match origin {
        None | Some(Value::Null) => return Ok(kept),
        Some(Value::Object(origin)) => origin,
        Some(_) => return Err(bad("originRequest must be an object")),
    };
    for (name, value) in origin {
        let known = name.as_str();
        let fits = if SECONDS.contains(&known) || INTEGERS.contains(&known) {
            value.is_i64() || value.is_u64()
        } else if SWITCHES.contains(&known) {
            value.is_boolean()
        } else if TEXTS.contains(&known) {
            value.is_string()
        } else if known == "access" {
            check_access(value)?;
            value.is_object()
        } else if known == "ipRules" {
            value.is_array()
        } else {
            continue;
        };
        if value.is_null() {
            continue;
        }
        if !fits {
            return Err(bad(format_args!("originRequest.{name} has the wrong type")));
        }
        if known == "proxyType" && !matches!(value.as_str(), Some("" | "socks")) {
            return Err(bad("originRequest.proxyType must be \"\" or \"socks\""));
        }
        kept.insert(name.clone(), value.clone());
    }
    Ok(kept)
}

fn check_access(access: &Value) -> Result<(), ApiError> {
    let required = access["required"].as_bool().unwrap_or(false);
    let tags = access["audTag"].as_array().is_some_and(|tags| !tags.is_empty());
    let team = access["teamName"].as_str().unwrap_or_default();
    match required && tags && team.is_empty() {
        true => Err(bad("access.TeamName cannot be blank when access.required is true")),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::testing::Sandbox;
    use super::checked;

    fn configured(sandbox: &mut Sandbox) -> String {
        let path = format!("/accounts/{}/cfd_tunnel", sandbox.account());
        let made = sandbox.call("POST", &path, Some(json!({"name": "t"}))).1;
        format!("{path}/{}/configurations", made["result"]["id"].as_str().unwrap())
    }

    #[test]
    fn a_put_replaces_everything_and_counts_up() {
        let mut sandbox = Sandbox::new();
        let path = configured(&mut sandbox);
        let empty = sandbox.get(&path)["result"].clone();
        assert_eq!((empty["config"].clone(), empty["version"].clone()), (Value::Null, json!(0)));
        let rule = json!({"hostname": "a.b0xp.io", "service": "http://a:80"});
        let body = json!({"config": {"ingress": [rule, {"service": "http_status:404"}]}});
        let put = sandbox.call("PUT", &path, Some(body)).1["result"].clone();
        assert_eq!(put["version"], 1);
        assert_eq!(put["config"]["ingress"][0]["originRequest"], json!({}));
        assert!(put["config"]["ingress"][1].get("originRequest").is_none());
        let body = json!({"config": {"ingress": [{"service": "http_status:404"}]}});
        assert_eq!(sandbox.call("PUT", &path, Some(body)).1["result"]["version"], 2);
        let read = sandbox.get(&path)["result"].clone();
        assert_eq!(read["config"]["ingress"], json!([{"service": "http_status:404"}]));
    }

    #[test]
    fn what_cloudflared_would_not_run_is_refused() {
        let last = json!({"service": "http_status:404"});
        for rules in [
            json!([]),
            json!([{"hostname": "a.b", "service": "http://a"}]),
            json!([{"path": "^/a", "service": "http://a"}]),
            json!([last, last]),
            json!([{"hostname": "a.b:80", "service": "http://a"}, last]),
            json!([{"hostname": "a.*.b", "service": "http://a"}, last]),
            json!([{"hostname": "*.*.b", "service": "http://a"}, last]),
            json!([{"hostname": "a.b", "path": "(", "service": "http://a"}, last]),
            json!([{"hostname": "a.b", "service": "http://a/"}, last]),
            json!([{"hostname": "a.b", "service": "http://a/path"}, last]),
            json!([{"hostname": "a.b", "service": "a:80"}, last]),
            json!([{"hostname": "a.b", "service": "http://"}, last]),
            json!([{"hostname": "a.b", "service": "http_status:99"}, last]),
            json!([{"hostname": "a.b"}, last]),
            json!([{"hostname": "a.b", "service": "http://a", "originRequest": {"connectTimeout": "30s"}}, last]),
            json!([{"hostname": "a.b", "service": "http://a", "originRequest": {"access": {"required": true, "audTag": ["x"], "teamName": ""}}}, last]),
        ] {
            let refused = checked(&json!({ "ingress": rules }));
            assert_eq!(refused.unwrap_err().status, 400, "{rules}");
        }
    }

    #[test]
    fn all_kinds_of_services_are_taken() {
        for service in [
            "http://a.b.svc.cluster.local:80",
            "https://10.0.0.1",
            "ssh://host:22",
            "tcp://[::1]:5432",
            "unix:/run/x.sock",
            "http_status:404",
            "hello_world",
            "socks-proxy",
            "bastion",
        ] {
            let config = json!({"ingress": [{"hostname": "foo", "service": service}, {"service": "http_status:404"}]});
            assert!(checked(&config).is_ok(), "{service}");
        }
    }

    #[test]
    fn unknown_settings_are_dropped() {
        let config = json!({
            "ingress": [{"service": "http_status:404"}], "nonsense": 1,
            "originRequest": {"noTLSVerify": true, "nonsense": 1},
        });
        let kept = checked(&config).unwrap();
        assert_eq!(kept["originRequest"], json!({"noTLSVerify": true}));
        assert!(kept.get("nonsense").is_none());
    }
}
