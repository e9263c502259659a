//! What Cloudflare is known to refuse, or to take and not do, is said before the network: at its
//! place in the file.

use super::tests::{one, shown};
use super::*;

/// A stack with these resources, each a line below `resources:`.
fn reports(resources: &str) -> Vec<Report> {
    match one(&format!("resources:\n{resources}")).load(&Inputs::default()) {
        Ok(loaded) => loaded.reports,
        Err(reports) => reports,
    }
}

/// Resources, where it is wrong (line and column), and a word of what is said.
const TABLE: &[(&str, &str, &str)] = &[
    // Ingress rules.
    (
        "  tunnel.a: {name: a}\n  tunnel_config.a:\n    tunnel: ${tunnel.a.id}\n    ingress:\n      - service: http://a\n      - {hostname: a.b0xp.io, service: 'http://a'}\n",
        "6:9",
        "takes everything",
    ),
    (
        "  tunnel.a: {name: a}\n  tunnel_config.a:\n    tunnel: ${tunnel.a.id}\n    ingress: [{hostname: 'a.b0xp.io:80', service: 'http://a'}]\n",
        "5:26",
        "port",
    ),
    (
        "  tunnel.a: {name: a}\n  tunnel_config.a:\n    tunnel: ${tunnel.a.id}\n    ingress: [{hostname: 'a.*.b0xp.io', service: 'http://a'}]\n",
        "5:26",
        "*",
    ),
    (
        "  tunnel.a: {name: a}\n  tunnel_config.a:\n    tunnel: ${tunnel.a.id}\n    ingress: [{hostname: a.b0xp.io, service: 'http://a/x'}]\n",
        "5:46",
        "path",
    ),
    (
        "  tunnel.a: {name: a}\n  tunnel_config.a:\n    tunnel: ${tunnel.a.id}\n    ingress:\n      - {hostname: '*.b0xp.io', service: 'http://a'}\n      - {hostname: a.b0xp.io, service: 'http://b'}\n",
        "7:9",
        "narrower",
    ),
    (
        "  tunnel.a: {name: a}\n  tunnel_config.a:\n    tunnel: ${tunnel.a.id}\n    ingress: [{hostname: a.b0xp.io, service: 'http://a', origin_request: {connect_timeout: 1500ms}}]\n",
        "5:92",
        "whole seconds",
    ),
    // Records.
    (
        "  dns_record.a: {name: a.b0xp.io, type: A, content: 192.0.2.1}\n  dns_record.b: {name: a.b0xp.io, type: CNAME, content: b.example.com}\n",
        "3:24",
        "a CNAME stands alone",
    ),
    (
        "  dns_record.a: {name: a.b0xp.io, type: A, content: 192.168.10.98, proxied: true}\n",
        "2:77",
        "publish it through a tunnel",
    ),
    (
        "  dns_record.a: {name: a.b0xp.io, type: A, content: 203.0.113.1, proxied: true, ttl: 300}\n",
        "2:86",
        "leave `ttl` out",
    ),
    (
        "  dns_record.a: {name: a.b0xp.io, type: TXT, content: x, proxied: true}\n",
        "2:67",
        "proxied",
    ),
    ("  dns_record.a: {name: a.b0xp.io, type: TXT, content: x, ttl: 7}\n", "2:63", "60 to 86400"),
    // Access.
    (
        "  access_policy.a: {name: a, decision: allow, include: [{github-organization: {name: x}}]}\n",
        "2:58",
        "github_organization",
    ),
    (
        "  access_policy.a: {name: a, decision: allow, include: [{service_token: x}]}\n",
        "2:57",
        "non_identity",
    ),
    (
        "  access_policy.a: {name: a, decision: allow, include: [{email: a@b.c}], session_duration: 1d}\n",
        "2:92",
        "24h",
    ),
    (
        "  access_application.a: {name: a, domain: a.b0xp.io, session_duration: soon}\n",
        "2:72",
        "24h",
    ),
    (
        "  access_application.a: {name: a, domain: a.b0xp.io}\n  access_application_policy.a: {application: '${access_application.a.id}', name: a, precedence: 1, decision: allow, include: [{email: a@b.c}]}\n  access_application_policy.b: {application: '${access_application.a.id}', name: b, precedence: 1, decision: allow, include: [{email: b@b.c}]}\n",
        "4:97",
        "precedence 1 too",
    ),
];

#[test]
fn what_will_not_work_is_said_at_its_place() {
    let mut wrong = String::new();
    for (resources, place, word) in TABLE {
        let mut reports = reports(resources);
        // That nothing guards these hostnames is another matter.
        reports.retain(|report| !report.message.contains("no Access application here"));
        let said = match reports.as_slice() {
            [report] => {
                let location = report.location.as_ref().map(ToString::to_string);
                let words = format!("{} {:?}", report.message, report.hints);
                location == Some(format!("stacks/s.yaml:{place}")) && words.contains(word)
            }
            _ => false,
        };
        if !said {
            wrong += &format!("{place} {word}\n{resources}{}\n", shown(&reports));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
