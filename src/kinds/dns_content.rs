//! Normal forms of DNS record contents (contract 3.5).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::json;

use super::support::{fields, hostname, is_special};
use crate::model::kind::Problem;
use crate::model::{Json, JsonMap};

/// Types whose value is `content`.
pub const SIMPLE: [&str; 8] = ["A", "AAAA", "CNAME", "MX", "NS", "OPENPGPKEY", "PTR", "TXT"];
/// Types whose value is `data`.
pub const STRUCTURED: [&str; 13] = [
    "CAA", "CERT", "DNSKEY", "DS", "HTTPS", "LOC", "NAPTR", "SMIMEA", "SRV", "SSHFP", "SVCB",
    "TLSA", "URI",
];

/// The content as the API answers it: the rows of contract 8 on `dns.content`, by type (3.5).
pub fn canonical(kind: &str, content: &str) -> String {
    match kind {
        "A" => content
            .trim()
            .parse::<Ipv4Addr>()
            .map_or_else(|_| content.to_owned(), |ip| ip.to_string()),
        // 8: textual IPv6 forms.
        "AAAA" => content
            .trim()
            .parse::<Ipv6Addr>()
            .map_or_else(|_| content.to_owned(), |ip| ip.to_string()),
        // 8: trailing dot, ASCII case.
        "CNAME" | "MX" | "NS" | "PTR" => hostname(content),
        // 3.5: compared without quotes, the chunks joined.
        "TXT" => unquoted(content),
        "OPENPGPKEY" => content.split_whitespace().collect(),
        _ => content.to_owned(),
    }
}

/// The text of a TXT record without quotes: `"a" "b"` is `ab`.
fn unquoted(content: &str) -> String {
    let trimmed = content.trim();
    if !(trimmed.len() >= 2 && trimmed.starts_with('"') && trimmed.ends_with('"')) {
        return content.to_owned();
    }
    let mut out = String::new();
    let mut inside = false;
    let mut chars = trimmed.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => inside = !inside,
            '\\' if inside => out.extend(chars.next()),
            c if inside => out.push(c),
            c if c.is_whitespace() => {}
            _ => return content.to_owned(),
        }
    }
    // What would look quoted itself keeps its quotes, or it would lose them one by one.
    let quoted = out.len() >= 2 && out.starts_with('"') && out.ends_with('"');
    if inside || quoted { content.to_owned() } else { out }
}

/// `data` with numbers as numbers and targets as hostnames; what the API has added to that of an
/// SRV record is left out.
pub fn canonical_data(kind: &str, data: &Json) -> Json {
    const ADDED: [&str; 3] = ["service", "proto", "name"];
    const TEXTS: [&str; 10] = [
        "value",
        "tag",
        "target",
        "certificate",
        "fingerprint",
        "public_key",
        "digest",
        "service",
        "regex",
        "replacement",
    ];
    if is_special(data) || !data.is_object() {
        return data.clone();
    }
    let mut out = JsonMap::new();
    for (key, value) in fields(data) {
        if value.is_null() || (kind == "SRV" && ADDED.contains(&key.as_str())) {
            continue;
        }
        let value = match &value {
            // A URI's target is no hostname, and its case means something.
            Json::String(text) if key == "target" && kind != "URI" && text != "." => {
                json!(hostname(text))
            }
            Json::String(text) if !TEXTS.contains(&key.as_str()) => {
                text.parse::<u64>().map_or_else(|_| value.clone(), |number| json!(number))
            }
            Json::Number(number) => number
                .as_f64()
                .filter(|n| n.fract() == 0.0 && *n >= 0.0 && *n < 9e15)
                .map_or_else(|| value.clone(), |n| json!(n as u64)),
            _ => value.clone(),
        };
        out.insert(key, value);
    }
    Json::Object(out)
}

/// Whether an address is one that Cloudflare can proxy: it has to be reached from the internet
/// (contract 3.4). `100::` counts: Workers stand behind it. Other texts are none of its business.
pub fn is_public(content: &str) -> bool {
    match content.trim().parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => {
            let shared = ip.octets()[0] == 100 && (64..128).contains(&ip.octets()[1]);
            !(shared
                || ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_unspecified()
                || ip.is_multicast()
                || ip.is_broadcast())
        }
        Ok(IpAddr::V6(ip)) => {
            !(ip.is_loopback()
                || ip.is_unspecified()
                || ip.is_multicast()
                || ip.is_unique_local()
                || ip.is_unicast_link_local())
        }
        Err(_) => true,
    }
}

/// What is wrong with a content that is known.
pub fn check(kind: &str, content: &str) -> Option<Problem> {
    let wrong = |message: String| Some(Problem::error("content", message));
    match kind {
        "A" if content.trim().parse::<Ipv4Addr>().is_err() => {
            wrong(format!("`{content}` is not an IPv4 address, which an A record holds"))
        }
        "AAAA" if content.trim().parse::<Ipv6Addr>().is_err() => {
            wrong(format!("`{content}` is not an IPv6 address, which an AAAA record holds"))
        }
        "CNAME" if content.trim().parse::<IpAddr>().is_ok() => {
            let problem =
                Problem::error("content", format!("a CNAME cannot point to the address {content}"));
            Some(problem.hint("an A or AAAA record can"))
        }
        "CNAME" | "MX" | "NS" | "PTR" => match super::support::hostname_problem(content, false) {
            Some(message) if content != "." => wrong(message),
            _ => None,
        },
        _ if content.is_empty() => wrong("the content is empty".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_have_the_spelling_of_the_api() {
        for (kind, written, canonical) in [
            ("CNAME", "Target.Example.com.", "target.example.com"),
            ("MX", "Mail.example.com", "mail.example.com"),
            ("AAAA", "100:0::0", "100::"),
            ("A", " 192.0.2.1", "192.0.2.1"),
            ("TXT", "\"v=spf1\" \" -all\"", "v=spf1 -all"),
            ("TXT", "say \"hi\"", "say \"hi\""),
            ("TXT", "\"a\\\"b\"", "a\"b"),
            ("TXT", "\"unended", "\"unended"),
            ("TXT", "\"\\\"a\\\"\"", "\"\\\"a\\\"\""),
            ("TXT", "\"\\\"\"", "\""),
        ] {
            assert_eq!(super::canonical(kind, written), canonical, "{kind} {written}");
        }
    }

    #[test]
    fn data_has_numbers_and_hostnames() {
        let data = json!({"priority": "10", "weight": 5.0, "port": 443, "target": "A.b.",
            "service": "_x", "proto": "_tcp", "name": "b"});
        let canonical = canonical_data("SRV", &data);
        assert_eq!(canonical, json!({"priority": 10, "weight": 5, "port": 443, "target": "a.b"}));
        assert_eq!(canonical_data("SRV", &canonical), canonical);
        let naptr = json!({"order": 100, "preference": 10, "flags": "U", "service": "E2U+sip",
            "regex": "", "replacement": "."});
        assert_eq!(canonical_data("NAPTR", &naptr), naptr);
    }

    #[test]
    fn addresses_within_a_network_are_not_public() {
        for (content, public) in [
            ("203.0.113.1", true),
            ("192.168.10.98", false),
            ("10.0.0.1", false),
            ("127.0.0.1", false),
            ("169.254.1.1", false),
            ("100::", true),
            ("fd00::1", false),
            ("fe80::1", false),
            ("::1", false),
            ("a.example.com", true),
        ] {
            assert_eq!(is_public(content), public, "{content}");
        }
    }

    #[test]
    fn contents_that_cannot_be_are_named() {
        assert!(check("A", "100::").is_some());
        assert!(check("AAAA", "192.0.2.1").is_some());
        assert!(check("CNAME", "192.0.2.1").is_some());
        assert!(check("CNAME", "http://x.y").is_some());
        assert!(check("CNAME", "x.cfargotunnel.com").is_none());
    }
}
