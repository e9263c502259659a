//! What the references doubt, either way: the whole life of a project with each quirk on.

use serde_json::json;

use crate::lab::Lab;

/// Every quirk by name; those that pass do so within the waits of a lab.
const QUIRKS: [&str; 26] = [
    "tunnel-conflict-400",
    "active-connections-409",
    "routes-outlive-tunnel",
    "same-hostname-route",
    "long-secrets",
    "mixed-policies",
    "ttl-required",
    "no-config-src",
    "put-tells-secret",
    "access-throttles",
    "unconfigured-minus-one",
    "unconfigured-missing",
    "detaching-delete",
    "unique-app-names",
    "txt-quoted",
    "ipv6-as-sent",
    "ttl-as-sent",
    "no-op-unmodified",
    "zone-apps-apart",
    "other-codes",
    "stale-lists=100",
    "late-policies=100",
    "tombstones-deleted",
    "never-inactive",
    "short-pages",
    "slow-deletes=100",
];

/// Records, routes and an application whose forms are in doubt, beside what a fixture has.
const BESIDE: &str = "\
resources:
  dns_record.text: {name: text, type: TXT, content: v=spf1 -all}
  dns_record.six: {name: six, type: AAAA, content: '2001:DB8:0:0::1', proxied: true}
  access_application.own: {name: own, domain: own.b0xp.io}
  access_application_policy.own:
    application: ${access_application.own.id}
    name: own
    precedence: 1
    decision: allow
    include: [{email_domain: example.org}]
  tunnel.beside: {name: beside}
  tunnel_route.beside: {network: 10.7.0.9/16, tunnel: '${tunnel.beside.id}', comment: first}
  hostname_route.beside: {hostname: beside.lan, tunnel: '${tunnel.beside.id}'}
";

/// Made, changed and taken away; what was done is settled each time.
fn lives(fixture: &str, quirk: &str, stack: &str, change: (&str, &str)) {
    let lab = Lab::with(fixture, &["--quirks", quirk]);
    let before = lab.dump();
    lab.write("stacks/beside.yaml", BESIDE);
    lab.apply(&[]);
    lab.is_settled(&[]);
    lab.run(&["drift"]).exits(0);
    lab.edit(stack, change.0, change.1);
    lab.edit("stacks/beside.yaml", "v=spf1 -all", "v=spf1 mx -all");
    lab.edit("stacks/beside.yaml", "example.org", "example.net");
    lab.run(&["plan", "--detailed-exitcode"]).exits(2);
    lab.apply(&[]);
    lab.is_settled(&[]);
    let stacks = std::fs::read_dir(lab.path().join("stacks")).unwrap();
    for stack in stacks {
        let name = stack.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned();
        let ran = lab.run(&["destroy", &name, "--yes", "--allow-protected", "**"]);
        assert_eq!(ran.code, 0, "{quirk}: {}{}", ran.out, ran.err);
    }
    let (mut before, mut after) = (before, lab.dump());
    for dump in [&mut before, &mut after] {
        // The cluster's own objects and the log of what happened in it stay.
        dump.as_object_mut().unwrap().remove("kubernetes");
    }
    assert_eq!(after, before, "{quirk}");
}

#[test]
fn one_service_lives_with_each_quirk() {
    let change = ("session_duration: 24h", "session_duration: 12h");
    for quirk in QUIRKS {
        lives("openhands", quirk, "stacks/openhands.yaml", change);
    }
}

#[test]
fn several_services_live_with_the_quirks_of_what_they_share() {
    let change = ("session_duration: 8h", "session_duration: 4h");
    for quirk in [
        "access-throttles",
        "unconfigured-missing",
        "detaching-delete",
        "unique-app-names",
        "stale-lists=100",
        "late-policies=100",
    ] {
        lives("several", quirk, "stacks/shop.yaml", change);
    }
}

#[test]
fn services_live_with_all_quirks_at_once() {
    let all = "all,stale-lists=100,late-policies=100";
    let change = ("session_duration: 24h", "session_duration: 12h");
    lives("openhands", all, "stacks/openhands.yaml", change);
}

#[test]
fn an_application_of_the_zone_that_the_account_does_not_show_is_named() {
    let lab = Lab::with("openhands", &["--quirks", "zone-apps-apart"]);
    let zone = lab.only("/zones");
    let path = format!("/zones/{}/access/apps", zone["id"].as_str().unwrap());
    let body = json!({"type": "self_hosted", "name": "old", "domain": "openhands.b0xp.io"});
    lab.cloudflare("POST", &path, Some(body));
    let ran = lab.run(&["apply", "--yes"]).exits(3).says("code 11010").says("scope");
    assert!(!ran.out.contains("dns_record.openhands: created"), "{}", ran.out);
    assert_eq!(lab.cloudflare("GET", &lab.records(), None), json!([]), "nothing is exposed");
}

#[test]
fn a_wrong_name_lists_the_quirks() {
    let lab = Lab::of("openhands");
    let ran = lab.run(&["sandbox", "serve", "--quirks", "nonsense"]);
    let known: Vec<&str> = QUIRKS.iter().map(|quirk| quirk.split('=').next().unwrap()).collect();
    let listed: Vec<&str> = ran
        .err
        .lines()
        .filter_map(|line| line.trim().split_once(": "))
        .map(|(name, _)| name.trim_end_matches("[=MS]"))
        .filter(|name| !name.contains(' ') && *name != "error")
        .collect();
    assert_eq!(listed, known, "{}", ran.err);
}
