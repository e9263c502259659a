//! What the services are known to refuse, or to take and not to work, is told before anything is
//! asked of them, at its place; what takes a look at names that are there, by the plan.

use serde_json::json;

use crate::lab::Lab;

const STACK: &str = "stacks/openhands.yaml";

fn lab() -> Lab {
    let lab = Lab::of("longform");
    lab.write(STACK, "");
    lab
}

/// A stack's text, where something is wrong in it, and what is said of it.
type Row = (&'static str, &'static str, &'static str);

const INGRESS: &[Row] = &[
    (
        "[{service: 'http://a:80'}, {hostname: a.b0xp.io, service: 'http://a:80'}]",
        "",
        "this rule takes everything",
    ),
    ("[{hostname: 'a.b0xp.io:80', service: 'http://a:80'}]", "'a.b0xp.io:80'", "has a port"),
    ("[{hostname: a.b0xp.io, service: 'http://a:80/x'}]", "'http://a:80/x'", "has a path"),
    ("[{hostname: a.b0xp.io, service: 'http://a:80/'}]", "'http://a:80/'", "has a path"),
    ("[{hostname: a.b0xp.io, service: 'a:80'}]", "'a:80'", "error"),
    ("[{hostname: a.b0xp.io, service: 'http_status:1000'}]", "'http_status:1000'", "error"),
    ("[{hostname: a.b0xp.io, path: '(', service: 'http://a:80'}]", "'('", "error"),
    (
        "[{hostname: 'a.*.b0xp.io', service: 'http://a:80'}]",
        "'a.*.b0xp.io'",
        "`*` can only be the whole first label",
    ),
    (
        "[{hostname: '*.*.b0xp.io', service: 'http://a:80'}]",
        "'*.*.b0xp.io'",
        "`*` can only be the whole first label",
    ),
    (
        "[{hostname: 'x*.b0xp.io', service: 'http://a:80'}]",
        "'x*.b0xp.io'",
        "`*` can only be the whole first label",
    ),
    (
        "[{hostname: a.b0xp.io, service: 'http://a:80', origin_request: {connect_timeout: 10x}}]",
        "10x",
        "not a duration in whole seconds",
    ),
];

const RESOURCES: &[Row] = &[
    ("dns_record.a: {name: a, type: A, content: 192.168.1.1, proxied: true}", "true}", "is a private address"),
    ("dns_record.a: {name: a, type: AAAA, content: 'fd00::1', proxied: true}", "true}", "is a private address"),
    ("dns_record.a: {name: a, type: A, content: 192.0.2.1, proxied: true, ttl: 300}", "300}", "a proxied record has no ttl of its own"),
    ("dns_record.a: {name: a, type: TXT, content: x, proxied: true}", "true}", "a TXT record cannot be proxied"),
    ("dns_record.a: {name: a, type: A, content: 192.0.2.1, settings: {flatten_cname: true}}", "true}}", "a record of type A takes no `flatten_cname`"),
    ("dns_record.a: {name: a, type: CNAME, content: b.example.org, proxied: true, settings: {flatten_cname: true}}", "true}}", "a proxied record takes no `flatten_cname`"),
    ("dns_record.a: {name: a, type: A, content: 192.0.2.1, proxied: true, settings: {ipv4_only: true, ipv6_only: true}}", "true}}", "together leave no address"),
    ("dns_record.a: {name: a, type: A, content: 192.0.2.1, settings: {ipv4_only: true}}", "true}}", "does something only where the record is proxied"),
    ("access_policy.a: {name: a, decision: allow, include: [{email_domain: '@example.org'}]}", "'@example.org'", "is not the domain of an email address"),
    ("access_policy.a: {name: a, decision: allow, include: [{email: '*@example.org'}]}", "'*@example.org'", "is not an email address"),
    ("access_policy.a: {name: a, decision: allow, include: [{geo: Japan}]}", "Japan", "is not the code of a country"),
    ("tunnel_route.a: {network: 10.0.0.0/8, tunnel: '${lookup.tunnel.a.id}'}", "'${lookup", "a lookup is referred to as a resource is"),
    ("dns_record.a: {name: a, type: A, content: 192.0.2.1, ttl: 5}", "5}", "5 is not a ttl"),
    ("dns_record.a: {name: 'a.*', type: A, content: 192.0.2.1}", "'a.*'", "`*` can only be the whole first label"),
    ("dns_record.a: {name: a, type: A, content: 192.0.2.1}\n  dns_record.b: {name: a, type: CNAME, content: b.example.org}", "dns_record.b", "a CNAME stands alone"),
    ("access_policy.a: {name: a, decision: allow, include: [{github-organization: {name: o}}]}", "github-organization", "did you mean `github_organization`?"),
    ("access_policy.a: {name: a, decision: allow, include: [{azureAD: {id: o}}]}", "azureAD", "did you mean `azure_ad`?"),
    ("access_policy.a: {name: a, decision: allow, include: [{any_valid_service_token: true}]}", "{any_valid", "a service token gets in by a policy with"),
    ("access_policy.a: {name: a, decision: permit, include: [{everyone: true}]}", "permit", "is none of allow, deny, bypass, non_identity"),
    ("access_policy.a: {name: a, decision: allow, include: [{everyone: true}], session_duration: 1x}", "1x", "is not a duration"),
    ("access_application.a: {domain: a.b0xp.io, session_duration: '24'}", "'24'", "is not a duration"),
    ("access_application.a: {domain: a.b0xp.io, type: selfhosted}", "selfhosted", "did you mean `self_hosted`?"),
    ("access_application.a: {type: warp, domain: a.b0xp.io}", "a.b0xp.io", "a `warp` application takes no `domain`"),
    ("access_application.a: {type: app_launcher, destinations: [{uri: a.b0xp.io}]}", "[{uri", "takes no `destinations`"),
    ("access_application.a: {type: ssh, name: a}", "access_application.a", "the application guards nothing"),
    (
        "access_application.a: {domain: a.b0xp.io}
  access_application_policy.a: {application: '${access_application.a.id}', precedence: 1, name: x, decision: allow, include: [{everyone: true}]}
  access_application_policy.b: {application: '${access_application.a.id}', name: y, decision: allow, include: [{everyone: true}], precedence: 1}",
        "1}",
        "access_application_policy.a has precedence 1 too",
    ),
    ("service_token.a: {name: a, duration: 1y}", "1y", "is not a duration"),
    ("service_token.a: {name: a, rotate: {every: soon}}", "soon", "is not a length of time"),
];

const SERVICES: &[Row] = &[
    (
        "a: {hostname: a.b0xp.io, origin: 'http://a:80'}",
        "a: {host",
        "`access: public` for everyone",
    ),
    (
        "a: {hostname: a.b0xp.io, origin: 'http://a:80', access: publik}",
        "publik",
        "did you mean `public`?",
    ),
    (
        "a: {hostname: a.b0xp.io, origin: 'http://a:80/x', access: public}",
        "'http://a:80/x'",
        "has a path",
    ),
    (
        "a: {hostname: 'a.b0xp.io:80', origin: 'http://a:80', access: public}",
        "'a.b0xp.io:80'",
        "bad hostname",
    ),
    (
        "a: {hostname: a.example.org, origin: 'http://a:80', access: public}",
        "a.example.org",
        "is in none of the project's zones",
    ),
    (
        "a: {hostname: a.b0xp.io, origin: 'http://a:80', access: {allow: [{login_method: x}], session_duration: 24x}}",
        "24x",
        "is not a duration",
    ),
];

#[test]
fn what_cannot_work_is_told_at_its_place() {
    let lab = lab();
    let tunnel = "resources:\n  tunnel.t: {name: t}\n  tunnel_config.t:\n    tunnel: '${tunnel.t.id}'\n    ingress: ";
    for (begin, rows) in
        [(tunnel, INGRESS), ("resources:\n  ", RESOURCES), ("services:\n  ", SERVICES)]
    {
        for (text, at, said) in rows {
            let stack = format!("{begin}{text}\n");
            lab.write(STACK, &stack);
            let ran = lab.run(&["validate", "--strict"]).exits(1).says(said);
            // The last that is spelt so is what is wrong.
            let offset = stack.rfind(at).unwrap_or_default();
            let before = &stack[..offset];
            let line = before.matches('\n').count() + 1;
            let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
            let places = [column, column + 1].map(|column| format!("{STACK}:{line}:{column}\n"));
            let all = format!("{}{}", ran.out, ran.err);
            assert!(at.is_empty() || places.iter().any(|p| all.contains(p)), "{text}: {all}");
        }
    }
    assert!(lab.requests().is_empty(), "nothing was asked of a network");
}

#[test]
fn access_public_is_said_and_quiet() {
    let lab = lab();
    let service = "services:\n  a: {hostname: a.b0xp.io, origin: 'http://a:80', access: public}\n";
    lab.write(STACK, service);
    let ran = lab.run(&["validate", "--strict"]).exits(0);
    assert!(!ran.err.contains("unguarded"), "{}", ran.err);
}

#[test]
fn an_identity_provider_is_named_by_what_is_there_once() {
    let lab = lab();
    let with = |name: &str| {
        let text = "resources:\n  access_policy.a:\n    name: a\n    decision: allow\n    include: [{login_method: ";
        lab.write(STACK, &format!("{text}{name}}}]\n"));
    };
    with("Gitlab");
    lab.run(&["plan"])
        .exits(1)
        .says("there is no identity provider `Gitlab`")
        .says("GitHub (github")
        .says("One-time PIN login (onetimepin");
    let second = json!({"name": "GitHub", "type": "github", "config": {"client_id": "a", "client_secret": "b"}});
    let second = lab.cloudflare("POST", &lab.account("access/identity_providers"), Some(second));
    with("GitHub");
    let id = second["id"].as_str().unwrap();
    lab.run(&["plan"]).exits(1).says("several identity providers are called `GitHub`").says(id);
    with(id);
    lab.run(&["plan"]).exits(0);
    with("onetimepin");
    lab.run(&["plan"]).exits(0);
}
