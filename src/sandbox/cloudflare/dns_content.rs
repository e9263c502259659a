//! Names and contents of DNS records in the forms the API gives them (contract 3.4 and 3.5).

use std::net::{Ipv4Addr, Ipv6Addr};

use serde_json::{Map, Value};

use super::reply::ApiError;

/// Types whose content is written by the client.
pub const SIMPLE_TYPES: &[&str] = &["A", "AAAA", "CNAME", "MX", "NS", "OPENPGPKEY", "PTR", "TXT"];

/// Types whose content the server renders from `data`: the members in order.
const DATA_TYPES: &[(&str, &[(&str, Member)])] = &[
    ("CAA", &[("flags", Member::Int), ("tag", Member::Text), ("value", Member::Quoted)]),
    (
        "CERT",
        &[
            ("type", Member::Int),
            ("key_tag", Member::Int),
            ("algorithm", Member::Int),
            ("certificate", Member::Text),
        ],
    ),
    (
        "DNSKEY",
        &[
            ("flags", Member::Int),
            ("protocol", Member::Int),
            ("algorithm", Member::Int),
            ("public_key", Member::Text),
        ],
    ),
    (
        "DS",
        &[
            ("key_tag", Member::Int),
            ("algorithm", Member::Int),
            ("digest_type", Member::Int),
            ("digest", Member::Text),
        ],
    ),
    ("HTTPS", SERVICE_BINDING),
    (
        "LOC",
        &[
            ("lat_degrees", Member::Int),
            ("lat_minutes", Member::Optional),
            ("lat_seconds", Member::Optional),
            ("lat_direction", Member::Text),
            ("long_degrees", Member::Int),
            ("long_minutes", Member::Optional),
            ("long_seconds", Member::Optional),
            ("long_direction", Member::Text),
            ("altitude", Member::Optional),
            ("size", Member::Optional),
            ("precision_horz", Member::Optional),
            ("precision_vert", Member::Optional),
        ],
    ),
    (
        "NAPTR",
        &[
            ("order", Member::Int),
            ("preference", Member::Int),
            ("flags", Member::Quoted),
            ("service", Member::Quoted),
            ("regex", Member::Quoted),
            ("replacement", Member::Text),
        ],
    ),
    ("SMIMEA", CERTIFICATE_USE),
    (
        "SRV",
        &[
            ("priority", Member::Int),
            ("weight", Member::Int),
            ("port", Member::Int),
            ("target", Member::Host),
        ],
    ),
    ("SSHFP", &[("algorithm", Member::Int), ("type", Member::Int), ("fingerprint", Member::Text)]),
    ("SVCB", SERVICE_BINDING),
    ("TLSA", CERTIFICATE_USE),
    ("URI", &[("weight", Member::Int), ("target", Member::Quoted)]),
];

const SERVICE_BINDING: &[(&str, Member)] =
    &[("priority", Member::Int), ("target", Member::Text), ("value", Member::TextOrNothing)];

const CERTIFICATE_USE: &[(&str, Member)] = &[
    ("usage", Member::Int),
    ("selector", Member::Int),
    ("matching_type", Member::Int),
    ("certificate", Member::Text),
];

#[derive(Clone, Copy, PartialEq)]
enum Member {
    Int,
    Optional,
    Text,
    TextOrNothing,
    Quoted,
    Host,
}

/// Whether the server renders the content of records of this type from `data`.
pub fn is_data_type(kind: &str) -> bool {
    DATA_TYPES.iter().any(|(name, _)| *name == kind)
}

/// `name` as the API gives it back: a lower-case Punycode FQDN without trailing dot (contract 3.5).
pub fn normal_name(name: &str, zone: &str) -> Result<String, ApiError> {
    let invalid = || ApiError::new(400, 9000, "DNS name is invalid.");
    let name = name.strip_suffix('.').unwrap_or(name);
    if name == "@" || name.eq_ignore_ascii_case(zone) {
        return Ok(zone.to_owned());
    }
    let ascii = idna::domain_to_ascii(name).map_err(|_| invalid())?;
    let full = match ascii.strip_suffix(zone).is_some_and(|rest| rest.ends_with('.')) {
        true => ascii,
        false => format!("{ascii}.{zone}"),
    };
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_*".contains(&b))
            && (label == "*" || !label.contains('*'))
    };
    match full.len() <= 253 && full.split('.').all(label) {
        true => Ok(full),
        false => Err(invalid()),
    }
}

/// The content of a simple type in the form the API gives back.
pub fn normal_content(kind: &str, content: &str) -> Result<String, ApiError> {
    match kind {
        "A" => content.parse::<Ipv4Addr>().map(|ip| ip.to_string()).map_err(|_| {
            ApiError::new(400, 9005, "Content for A record must be a valid IPv4 address.")
        }),
        "AAAA" => content.parse::<Ipv6Addr>().map(|ip| ip.to_string()).map_err(|_| {
            ApiError::new(400, 9006, "Content for AAAA record must be a valid IPv6 address.")
        }),
        "CNAME" | "MX" | "NS" | "PTR" => hostname(content).ok_or_else(|| {
            let text = format!("Content for {kind} record must be a hostname.");
            ApiError::new(400, 9007, text)
        }),
        _ if content.is_empty() => {
            Err(ApiError::new(400, 9008, format!("Content for {kind} record must not be empty.")))
        }
        _ => Ok(content.to_owned()),
    }
}

fn hostname(text: &str) -> Option<String> {
    let name = text.strip_suffix('.').unwrap_or(text);
    let ascii = idna::domain_to_ascii(name).ok()?;
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    (ascii.len() <= 253 && ascii.split('.').all(label)).then_some(ascii)
}

/// The content that the server renders from `data`.
pub fn rendered(kind: &str, data: &Map<String, Value>) -> Result<String, ApiError> {
    let members = DATA_TYPES.iter().find(|(name, _)| *name == kind).map_or(&[][..], |(_, m)| *m);
    let mut parts = Vec::new();
    for (name, member) in members {
        let wrong = || {
            let text = format!("DNS Validation Error: data.{name} of a {kind} record is invalid.");
            ApiError::new(400, 1004, text)
        };
        let value = data.get(*name).filter(|value| !value.is_null());
        match (member, value) {
            (Member::Optional | Member::TextOrNothing, None) => {}
            (_, None) => return Err(wrong()),
            (Member::Int, Some(value)) => parts.push(integer(value).ok_or_else(wrong)?.to_string()),
            (Member::Optional, Some(value)) => {
                parts.push(value.as_f64().map(|n| n.to_string()).ok_or_else(wrong)?);
            }
            (Member::Quoted, Some(value)) => {
                parts.push(format!("\"{}\"", value.as_str().ok_or_else(wrong)?));
            }
            (Member::Host, Some(value)) => {
                let host = value.as_str().ok_or_else(wrong)?;
                parts.push(if host == "." {
                    ".".to_owned()
                } else {
                    hostname(host).ok_or_else(wrong)?
                });
            }
            (Member::Text | Member::TextOrNothing, Some(value)) => {
                parts.push(value.as_str().ok_or_else(wrong)?.to_owned());
            }
        }
    }
    Ok(parts.join(" "))
}

/// A number that clients send as number or text.
fn integer(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// Whether a record of this type and content can be proxied (contract 3.4).
pub fn proxiable(kind: &str, content: &str) -> bool {
    match kind {
        "A" => content.parse::<Ipv4Addr>().is_ok_and(|ip| {
            !(ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_unspecified()
                || ip.is_multicast()
                || ip.is_broadcast())
        }),
        "AAAA" => content.parse::<Ipv6Addr>().is_ok_and(|ip| {
            !(ip.is_loopback()
                || ip.is_unspecified()
                || ip.is_multicast()
                || ip.is_unique_local()
                || ip.is_unicast_link_local())
        }),
        "CNAME" => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_come_back_as_fully_qualified_names() {
        for (sent, stored) in [
            ("www", "www.example.com"),
            ("WWW.Example.com.", "www.example.com"),
            ("@", "example.com"),
            ("example.com", "example.com"),
            ("notexample.com", "notexample.com.example.com"),
            ("*", "*.example.com"),
            ("日本", "xn--wgv71a.example.com"),
            ("_acme-challenge.a", "_acme-challenge.a.example.com"),
        ] {
            assert_eq!(normal_name(sent, "example.com").unwrap(), stored, "{sent}");
        }
        for wrong in ["", "a..b", "a b", "x*", &"a".repeat(64)] {
            assert_eq!(normal_name(wrong, "example.com").unwrap_err().code(), 9000, "{wrong}");
        }
    }

    #[test]
    fn contents_come_back_in_one_form() {
        assert_eq!(normal_content("CNAME", "Ghs.Example.ORG.").unwrap(), "ghs.example.org");
        assert_eq!(normal_content("AAAA", "2001:DB8:0:0:0:0:0:1").unwrap(), "2001:db8::1");
        assert_eq!(normal_content("TXT", "\"v=spf1 -all\"").unwrap(), "\"v=spf1 -all\"");
        assert_eq!(normal_content("A", "1.2.3").unwrap_err().code(), 9005);
        assert_eq!(normal_content("CNAME", "a b").unwrap_err().status, 400);
    }

    #[test]
    fn data_becomes_content() {
        let caa = json!({"flags": 0, "tag": "issue", "value": "letsencrypt.org"});
        assert_eq!(
            rendered("CAA", caa.as_object().unwrap()).unwrap(),
            "0 issue \"letsencrypt.org\""
        );
        let srv =
            json!({"priority": "10", "weight": 5, "port": 5060, "target": "Sip.example.com."});
        assert_eq!(rendered("SRV", srv.as_object().unwrap()).unwrap(), "10 5 5060 sip.example.com");
        let lacking = json!({"weight": 5});
        assert_eq!(rendered("SRV", lacking.as_object().unwrap()).unwrap_err().code(), 1004);
    }

    #[test]
    fn private_addresses_are_not_proxiable() {
        assert!(proxiable("A", "203.0.113.1"));
        assert!(!proxiable("A", "192.168.10.98"));
        assert!(proxiable("AAAA", "100::"));
        assert!(!proxiable("TXT", "x"));
    }
}
