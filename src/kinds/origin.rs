//! Origin request settings of tunnels: how files spell them and how the wire does (contract 4.5).

use schemars::JsonSchema;
use serde_json::json;

use super::support::{is_empty, is_special, seconds};
use crate::model::kind::Problem;
use crate::model::{Json, JsonMap};

/// How cloudflared talks to an origin. Durations are texts like `30s`, or numbers of seconds.
#[derive(Debug, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OriginRequest {
    /// How long a TCP connection may take; cloudflared's own default is 30s.
    pub connect_timeout: Option<Duration>,
    /// How long a TLS handshake may take; cloudflared's own default is 10s.
    pub tls_timeout: Option<Duration>,
    /// The pause between two TCP keepalive packets; cloudflared's own default is 30s.
    pub tcp_keep_alive: Option<Duration>,
    /// How long an idle connection is kept; cloudflared's own default is 90s.
    pub keep_alive_timeout: Option<Duration>,
    /// How many idle connections are kept; cloudflared's own default is 100.
    pub keep_alive_connections: Option<u32>,
    /// Turns off the fallback between IPv4 and IPv6.
    pub no_happy_eyeballs: Option<bool>,
    /// Takes any certificate of the origin.
    pub no_tls_verify: Option<bool>,
    /// Turns off chunked transfer encoding, as WSGI servers want it.
    pub disable_chunked_encoding: Option<bool>,
    /// Talks HTTP/2 to the origin.
    pub http2_origin: Option<bool>,
    /// Uses the hostname of the request as the TLS server name.
    pub match_sni_to_host: Option<bool>,
    /// The Host header that the origin gets.
    pub http_host_header: Option<String>,
    /// The hostname that the origin's certificate has to bear.
    pub origin_server_name: Option<String>,
    /// The path, at the connector, of the certificate authority that signed the origin's.
    pub ca_pool: Option<String>,
    /// `socks`, or nothing.
    pub proxy_type: Option<String>,
    /// The listen address of a proxy at the connector (legacy).
    pub proxy_address: Option<String>,
    /// The listen port of a proxy at the connector (legacy).
    pub proxy_port: Option<u32>,
    /// Runs as a jump host (legacy).
    pub bastion_mode: Option<bool>,
    /// Rules of addresses that a proxy may reach (legacy).
    pub ip_rules: Option<Vec<Json>>,
    /// Checks the Access token at the connector.
    pub access: Option<OriginAccess>,
}

/// The check of Access tokens at the connector. cloudflared reads it on rules only.
#[derive(Debug, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OriginAccess {
    /// Whether requests without a valid token are turned away.
    pub required: Option<bool>,
    /// The Zero Trust organization's name.
    pub team_name: Option<String>,
    /// The `aud` of the applications whose tokens are taken.
    pub aud_tag: Option<Vec<String>>,
}

/// A duration: a text like `30s` or `1m30s`, or a number of seconds.
#[derive(Debug, JsonSchema)]
#[serde(untagged)]
pub enum Duration {
    /// `30s`.
    Text(String),
    /// 30.
    Seconds(u32),
}

/// Names in files and on the wire.
const NAMES: [(&str, &str); 19] = [
    ("connect_timeout", "connectTimeout"),
    ("tls_timeout", "tlsTimeout"),
    ("tcp_keep_alive", "tcpKeepAlive"),
    ("keep_alive_timeout", "keepAliveTimeout"),
    ("keep_alive_connections", "keepAliveConnections"),
    ("no_happy_eyeballs", "noHappyEyeballs"),
    ("no_tls_verify", "noTLSVerify"),
    ("disable_chunked_encoding", "disableChunkedEncoding"),
    ("http2_origin", "http2Origin"),
    ("match_sni_to_host", "matchSNItoHost"),
    ("http_host_header", "httpHostHeader"),
    ("origin_server_name", "originServerName"),
    ("ca_pool", "caPool"),
    ("proxy_type", "proxyType"),
    ("proxy_address", "proxyAddress"),
    ("proxy_port", "proxyPort"),
    ("bastion_mode", "bastionMode"),
    ("ip_rules", "ipRules"),
    ("access", "access"),
];
const ACCESS_NAMES: [(&str, &str); 3] =
    [("required", "required"), ("team_name", "teamName"), ("aud_tag", "audTag")];
/// Whole seconds on the wire.
const DURATIONS: [&str; 4] =
    ["connect_timeout", "tls_timeout", "tcp_keep_alive", "keep_alive_timeout"];

fn renamed(value: &Json, names: &[(&str, &str)], to_wire: bool) -> Json {
    let Some(map) = value.as_object().filter(|_| !is_special(value)) else {
        return value.clone();
    };
    let mut out = JsonMap::new();
    for (key, value) in map {
        let found = names.iter().find(|(file, wire)| key == if to_wire { file } else { wire });
        let key = found.map_or(key.as_str(), |(file, wire)| if to_wire { wire } else { file });
        let value =
            if key == "access" { renamed(value, &ACCESS_NAMES, to_wire) } else { value.clone() };
        out.insert(key.to_owned(), value);
    }
    Json::Object(out)
}

/// The settings as the API spells them.
pub fn to_wire(settings: &Json) -> Json {
    renamed(settings, &NAMES, true)
}

/// The settings as files spell them.
pub fn from_wire(settings: &Json) -> Json {
    renamed(settings, &NAMES, false)
}

/// Settings in canonical form: durations in seconds; nulls, empty texts, and, unless `global` has
/// the same setting, false left out, as the API does (contract 4.5, 8). Below a global setting
/// false means something: it overrides.
pub fn canonical(settings: &Json, global: Option<&Json>) -> Json {
    let Some(map) = settings.as_object().filter(|_| !is_special(settings)) else {
        return settings.clone();
    };
    let mut out = JsonMap::new();
    for (key, value) in map {
        let overrides = global.is_some_and(|global| global.get(key).is_some());
        let value = match key.as_str() {
            "access" => canonical(value, None),
            key if DURATIONS.contains(&key) => seconds(value),
            _ => value.clone(),
        };
        let absent =
            is_empty(&value) || value.as_str() == Some("") || (value == json!(false) && !overrides);
        if !absent {
            out.insert(key.clone(), value);
        }
    }
    Json::Object(out)
}

/// What is wrong with settings at a path.
pub fn check(settings: &Json, path: &str, problems: &mut Vec<Problem>) {
    for key in DURATIONS {
        let Some(value) = settings.get(key).filter(|value| !is_special(value)) else { continue };
        if !seconds(value).is_u64() {
            problems.push(
                Problem::error(format!("{path}.{key}"), "this is not a duration in whole seconds")
                    .hint("write it as `30s`, `1m30s` or `30`"),
            );
        }
    }
    if let Some(kind) = settings.get("proxy_type").and_then(Json::as_str)
        && !kind.is_empty()
        && kind != "socks"
    {
        let message = format!("`{kind}` is not a proxy type: `socks` is the only one");
        problems.push(Problem::error(format!("{path}.proxy_type"), message));
    }
    let Some(access) = settings.get("access") else { return };
    let team = access.get("team_name").is_some_and(|team| team.as_str() != Some(""));
    let tags = access.get("aud_tag").and_then(Json::as_array).is_some_and(|tags| !tags.is_empty());
    if access.get("required").and_then(Json::as_bool) == Some(true) && tags && !team {
        let message = "`team_name` is needed where `required` is set and `aud_tag` is given";
        problems.push(Problem::error(format!("{path}.access"), message));
    }
}
