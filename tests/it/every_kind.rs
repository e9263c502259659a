//! A stack that holds every kind of Cloudflare's and SSM's, for what has to hold for each of them.

use crate::lab::Lab;

/// The stack's file.
pub const FILE: &str = "stacks/every.yaml";

/// What the rest hangs on: made before, so that one resource of each kind depends on nothing new.
pub const BASE: &str = "\
lookups:
  identity_provider.github: {name: GitHub}
  zone.home: {name: b0xp.io}
  virtual_network.usual: {name: default}
resources:
  tunnel.base: {name: base}
  access_policy.base: {name: base, decision: allow, include: [{email: a@example.org}]}
  access_application.base:
    {name: base, domain: base.b0xp.io, policies: ['${access_policy.base.id}']}
  access_application.own: {name: own, domain: own.b0xp.io}
";

/// One resource of each kind, or several where kinds behave in several ways.
pub const LEAVES: &str = "  tunnel.leaf: {name: leaf}
  tunnel_config.leaf:
    {tunnel: '${tunnel.base.id}', ingress: [{hostname: base.b0xp.io, service: 'http://app:80'}]}
  tunnel_route.leaf:
    network: 10.7.0.9/16
    tunnel: ${tunnel.base.id}
    virtual_network: ${virtual_network.usual.id}
    comment: first
  hostname_route.leaf: {hostname: nas.lan, tunnel: '${tunnel.base.id}', comment: first}
  split_tunnel.leaf:
    {mode: exclude, adopt: true, shared: [entries], entries: [{address: 10.7.0.0/16}]}
  dns_record.base:
    {name: base, type: CNAME, content: '${tunnel.base.cname}', proxied: true, comment: first}
  dns_record.text: {name: text, type: TXT, content: v=spf1 -all}
  dns_record.six:
    {name: six, zone: '${zone.home.name}', type: AAAA, content: '2001:DB8:0:0::1', proxied: true}
  access_group.leaf: {name: leaf, include: [{email_domain: example.org}]}
  access_policy.leaf:
    {name: leaf, decision: allow, include: [{login_method: '${identity_provider.github.id}'}]}
  access_application.leaf:
    {name: leaf, domain: leaf.b0xp.io, session_duration: 24h, policies: ['${access_policy.base.id}']}
  access_application_policy.leaf:
    application: ${access_application.own.id}
    name: leaf
    precedence: 1
    decision: allow
    include: [{email_domain: example.org}]
  access_application.shell:
    name: shell
    type: ssh
    domain: ssh.b0xp.io
    session_duration: 24h
    policies: ['${access_policy.base.id}']
  access_application.screen:
    name: screen
    type: vnc
    domain: vnc.b0xp.io
    session_duration: 24h
    policies: ['${access_policy.base.id}']
  access_application.warp:
    type: warp
    adopt: true
    shared: [policies]
    session_duration: 24h
    policies: ['${access_policy.base.id}']
  access_application.launcher:
    type: app_launcher
    adopt: true
    shared: [policies]
    session_duration: 24h
    policies: ['${access_policy.base.id}']
  service_token.leaf: {name: leaf}
  cloudflare_object.space:
    path: accounts/{account_id}/storage/kv/namespaces
    key: title
    body: {title: one space}
  cloudflare_object.bucket:
    path: accounts/{account_id}/r2/buckets
    id: name
    update: none
    body: {name: one-bucket, locationHint: enam}
    write_only: [locationHint]
  cloudflare_object.database:
    path: accounts/{account_id}/d1/database
    id: uuid
    key: name
    update: patch
    body: {name: leaf, primary_location_hint: apac, read_replication: {mode: auto}}
    write_only: [primary_location_hint]
    immutable: [name, primary_location_hint]
  cloudflare_object.route:
    path: zones/{zone_id}/workers/routes
    key: pattern
    per_page: 0
    body: {pattern: api.b0xp.io/*, script: one}
  cloudflare_object.rules:
    path: accounts/{account_id}/rulesets
    key: name
    per_page: 0
    body: {name: leaf, kind: custom, phase: http_ratelimit, description: first, rules: []}
    immutable: [name, kind, phase]
  cloudflare_object.redirects:
    path: zones/{zone_id}/rulesets/phases/http_request_dynamic_redirect/entrypoint
    singleton: true
    body: {rules: [{ref: leaf, action: redirect, expression: 'true', description: first}]}
    reset: {rules: []}
  ssm_parameter.secret: {name: every-token, value: '${tunnel.base.token}'}
  ssm_parameter.made: {name: /every/made, value: {generate: {length: 32}}, description: first}
  ssm_parameter.plain:
    {name: /every/plain, type: String, value: one, tags: {team: first, kept: 'yes'}}
";

/// What is changed in it, so that each resource of a kind that can be changed is.
pub const CHANGES: [(&str, &str); 16] = [
    ("tunnel.leaf: {name: leaf}", "tunnel.leaf: {name: second}"),
    ("http://app:80", "http://app:8080"),
    ("comment: first", "comment: second"),
    ("address: 10.7.0.0/16", "address: 10.8.0.0/16"),
    ("v=spf1 -all", "v=spf1 mx -all"),
    (
        "name: leaf, include: [{email_domain: example.org}]",
        "name: leaf, include: [{ip: 192.0.2.1}]",
    ),
    ("name: leaf, decision: allow", "name: leaf, session_duration: 1h, decision: allow"),
    ("session_duration: 24h", "session_duration: 12h"),
    ("    include: [{email_domain: example.org}]", "    include: [{email_domain: example.net}]"),
    ("service_token.leaf: {name: leaf}", "service_token.leaf: {name: second}"),
    ("description: first", "description: second"),
    ("title: one space", "title: another space"),
    ("name: one-bucket", "name: another-bucket"),
    ("mode: auto", "mode: disabled"),
    ("script: one", "script: another"),
    ("value: one, tags: {team: first, kept: 'yes'}", "value: two, tags: {team: second}"),
];

/// A lab with the stack, of which nothing is made yet.
pub fn lab(options: &[&str]) -> Lab {
    let lab = hasty_lab(options);
    lab.edit("boxctl.yaml", "{request: 600ms, grace: 2s, ", "{");
    lab
}

/// The same, in which lost calls are looked up soon.
pub fn hasty_lab(options: &[&str]) -> Lab {
    let lab = Lab::hasty("longform", options);
    std::fs::remove_file(lab.path().join("stacks/openhands.yaml")).unwrap();
    lab.write(FILE, &format!("{BASE}{LEAVES}"));
    lab
}

/// Changes what can be changed.
pub fn change(lab: &Lab) {
    for (from, to) in CHANGES {
        lab.edit(FILE, from, to);
    }
}

#[test]
fn every_kind_is_in_the_stack() {
    let lab = Lab::of("longform");
    let schema = lab.run(&["schema"]).exits(0).json();
    let kinds = &schema["stack"]["properties"]["resources"]["patternProperties"];
    let all = format!("{BASE}{LEAVES}");
    // Objects of a cluster have tests of their own.
    let all_kinds = kinds.as_object().unwrap().keys();
    for pattern in all_kinds.filter(|pattern| *pattern != r"^k8s\.") {
        let kind = pattern.trim_start_matches('^').trim_end_matches(r"\.");
        let written = all.lines().any(|line| line.trim_start().starts_with(&format!("{kind}.")));
        assert!(written, "{kind} is missing in tests/it/every_kind.rs");
    }
}
