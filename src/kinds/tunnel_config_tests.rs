use proptest::prelude::*;

use super::*;
use crate::kinds::testing::{
    Step, bodies, declare, example, facts, line, object, ok, part_of, problems, read, refusal,
    scope,
};

const EXAMPLE: &str = include_str!("../../tests/contract/tunnel_config.json");
const TUNNEL: &str = "f70ff985-a4ef-4643-bbbc-4a0ed4fc8415";

fn spec(rules: Json) -> Json {
    declare(&TunnelConfig, json!({"tunnel": TUNNEL, "ingress": rules}))
}

fn answer(config: Json) -> Answer {
    ok(json!({"tunnel_id": TUNNEL, "version": 2, "config": config}))
}

#[test]
fn the_example_of_the_contract_is_read() {
    let remote = read(&TunnelConfig, &example(EXAMPLE));
    let declared = spec(json!([{
        "hostname": "K8s.b0xp.io.",
        "service": "http://argocd-server.argocd.svc.cluster.local:8080",
        "origin_request": {"no_tls_verify": false}
    }]));
    assert_eq!(remote.spec, declared);
    assert_eq!(remote.id, TUNNEL);
}

#[test]
fn empty_configurations_are_none() {
    for body in [
        json!({"code": "1055", "message": "no"}),
        json!({"tunnel_id": TUNNEL, "config": null, "version": 0}),
        json!({"tunnel_id": TUNNEL, "version": -1}),
        json!({"tunnel_id": TUNNEL, "version": 3,
            "config": {"ingress": [{"service": "http_status:404"}]}}),
    ] {
        assert!(TunnelConfig.read(&body, &scope()).is_empty(), "{body}");
    }
}

#[test]
fn a_write_keeps_what_nobody_declares_and_never_sends_warp_routing() {
    let declared = spec(json!([
        {"hostname": "a.b0xp.io", "service": "http://a:1",
         "origin_request": {"connect_timeout": "30s", "http_host_header": "x"}},
    ]));
    let step = Step::new(&TunnelConfig, Verb::Create, declared, None);
    let before = json!({
        "ingress": [{"hostname": "old.b0xp.io", "service": "http://old:1"},
            {"service": "http_status:404"}],
        "originRequest": {"noTLSVerify": true}, "warp-routing": {"enabled": true}, "other": 1});
    let (calls, end) = step.run(&[answer(before), answer(json!({"ingress": []}))]);
    assert_eq!(line(&calls[1]), format!("PUT /accounts/acc/cfd_tunnel/{TUNNEL}/configurations"));
    assert_eq!(
        bodies(&calls)[0]["config"],
        json!({
            "ingress": [
                {"hostname": "a.b0xp.io", "service": "http://a:1",
                 "originRequest": {"connectTimeout": 30, "httpHostHeader": "x"}},
                {"service": "http_status:404"}],
            "originRequest": {"noTLSVerify": true}, "other": 1})
    );
    assert!(end.is_ok());
}

#[test]
fn rules_of_others_stay_where_ingress_is_shared() {
    let sent = spec(json!([{"hostname": "a.b0xp.io", "service": "http://a:1"}]));
    let declared = spec(json!([{"hostname": "a.b0xp.io", "service": "http://a:2"}]));
    let config = json!({"ingress": [
        {"hostname": "x.b0xp.io", "service": "http://x:1"},
        {"hostname": "a.b0xp.io", "service": "http://a:1"},
        {"service": "http_status:404"}]});
    let remote = read(&TunnelConfig, &answer(config.clone()).body);
    let shared = ["ingress".to_owned()];
    let diffed = TunnelConfig.diff(&facts(Some(&declared), Some(&sent), &remote, &shared));
    let paths: Vec<&str> = diffed.changes.iter().map(|c| c.path.as_str()).collect();
    assert_eq!(paths, ["ingress[0].service"]);
    assert!(diffed.drift.is_empty());
    assert_eq!(diffed.foreign[0].path, "ingress[hostname=\"x.b0xp.io\"]");

    let mut step = Step::new(&TunnelConfig, Verb::Update, declared, Some(remote));
    step.sent = Some(sent.clone());
    step.shared = shared.to_vec();
    let (calls, _) = step.run(&[answer(config.clone()), answer(config.clone())]);
    let services: Vec<Json> = bodies(&calls)[0]["config"]["ingress"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| rule["service"].clone())
        .collect();
    assert_eq!(services, ["http://x:1", "http://a:2", "http_status:404"]);

    step.verb = Verb::Delete;
    step.spec = sent;
    let (calls, end) = step.run(&[answer(config.clone()), answer(config)]);
    let rules = &bodies(&calls)[0]["config"]["ingress"];
    assert_eq!(rules[0]["hostname"], "x.b0xp.io");
    assert_eq!(rules.as_array().unwrap().len(), 2);
    assert_eq!(end, Ok(None));
}

#[test]
fn rules_of_others_are_drift_where_it_is_not_shared() {
    let sent = spec(json!([{"hostname": "a.b0xp.io", "service": "http://a:1"}]));
    let config = json!({"ingress": [
        {"hostname": "a.b0xp.io", "service": "http://a:1"},
        {"hostname": "x.b0xp.io", "service": "http://x:1"},
        {"service": "http_status:404"}]});
    let remote = read(&TunnelConfig, &answer(config).body);
    let diffed = TunnelConfig.diff(&facts(Some(&sent), Some(&sent), &remote, &[]));
    assert!(!diffed.drift.is_empty() && !diffed.changes.is_empty());
    let same = TunnelConfig.diff(&facts(
        Some(&sent),
        Some(&sent),
        &read(
            &TunnelConfig,
            &answer(json!({"ingress": [
            {"hostname": "a.b0xp.io", "service": "http://a:1", "originRequest": {}},
            {"service": "http_status:404"}]}))
            .body,
        ),
        &[],
    ));
    assert_eq!(same, Diffed::default());
}

#[test]
fn a_delete_leaves_the_catch_all_and_is_done_when_the_tunnel_is_gone() {
    let remote = read(&TunnelConfig, &example(EXAMPLE));
    let spec = remote.spec.clone();
    let step = Step::new(&TunnelConfig, Verb::Delete, spec, Some(remote));
    let (calls, end) = step.run(&[ok(example(EXAMPLE)), ok(example(EXAMPLE))]);
    assert_eq!(bodies(&calls)[0], json!({"config": {"ingress": [{"service": "http_status:404"}]}}));
    assert_eq!(end, Ok(None));
    let (calls, end) = step.run(&[refusal(404, "1002")]);
    assert_eq!((calls.len(), end), (1, Ok(None)));
}

#[test]
fn rules_that_cannot_be_are_refused() {
    let check = |rules: Json| problems(&TunnelConfig, json!({"tunnel": TUNNEL, "ingress": rules}));
    let good = json!({"hostname": "a.b0xp.io", "service": "http://a:1"});
    assert!(check(json!([good])).is_empty());
    for (rule, path) in [
        (json!({"hostname": "a.b0xp.io:80", "service": "http://a:1"}), "ingress[0].hostname"),
        (json!({"hostname": "a.*.io", "service": "http://a:1"}), "ingress[0].hostname"),
        (json!({"hostname": "a.b0xp.io", "service": "http://a:1/"}), "ingress[0].service"),
        (json!({"hostname": "a.b0xp.io", "service": "a:1"}), "ingress[0].service"),
        (json!({"hostname": "a.b0xp.io", "service": "http_status:99"}), "ingress[0].service"),
        (json!({"hostname": "a.b0xp.io", "service": "http://a:1", "path": "("}), "ingress[0].path"),
        (json!({"service": "http://a:1"}), "ingress[0]"),
        (
            json!({"hostname": "a.b0xp.io", "service": "http://a:1",
                "origin_request": {"connect_timeout": "100ms"}}),
            "ingress[0].origin_request.connect_timeout",
        ),
    ] {
        let other = json!({"hostname": "z.b0xp.io", "service": "http://a:1"});
        assert_eq!(check(json!([rule, other])), [path]);
    }
    assert_eq!(check(json!([])), ["ingress"]);
    let rule =
        |host: &str, path: &str| json!({"hostname": host, "path": path, "service": "http://a:1"});
    for (first, second, shadowed) in [
        (rule("a.b0xp.io", ""), rule("a.b0xp.io", ""), true),
        (rule("a.b0xp.io", ""), rule("A.b0xp.io", "^/x"), true),
        (rule("*.b0xp.io", ""), rule("a.b0xp.io", "^/x"), true),
        (rule("a.b0xp.io", "^/x"), rule("a.b0xp.io", "^/x"), true),
        (rule("a.b0xp.io", "^/x"), rule("a.b0xp.io", ""), false),
        (rule("a.b0xp.io", "^/x"), rule("a.b0xp.io", "^/y"), false),
        (rule("a.b0xp.io", ""), rule("*.b0xp.io", ""), false),
        (rule("*.b0xp.io", ""), rule("b0xp.io", ""), false),
    ] {
        let expected: &[&str] = if shadowed { &["ingress[1]"] } else { &[] };
        assert_eq!(check(json!([first, second])), expected, "{first} {second}");
    }
}

proptest! {
    #[test]
    fn declaring_twice_changes_nothing_and_what_is_sent_reads_back(
        hosts in prop::collection::vec("[A-Za-z]{1,8}\\.b0xp\\.io\\.?", 1..5),
        path in prop::option::of("/[a-z]{1,5}"),
        timeout in prop::option::of(1u32..90),
        verify in prop::option::of(any::<bool>()),
        global in any::<bool>(),
    ) {
        let rules: Vec<Json> = hosts.iter().map(|host| {
            let mut rule = object(&json!({"hostname": host, "service": "http://a:1"}));
            if let Some(path) = &path { rule.insert("path".into(), json!(path)); }
            let mut settings = JsonMap::new();
            if let Some(s) = timeout { settings.insert("connect_timeout".into(), json!(format!("{s}s"))); }
            if let Some(v) = verify { settings.insert("no_tls_verify".into(), json!(v)); }
            rule.insert("origin_request".into(), Json::Object(settings));
            Json::Object(rule)
        }).collect();
        let mut raw = json!({"tunnel": TUNNEL, "ingress": rules});
        if global { raw["origin_request"] = json!({"no_tls_verify": true}); }
        let declared = declare(&TunnelConfig, raw);
        prop_assert_eq!(&declare(&TunnelConfig, declared.clone()), &declared);
        let step = Step::new(&TunnelConfig, Verb::Create, declared.clone(), None);
        let (calls, _) = step.run(&[refusal(404, "1055"), answer(json!(null))]);
        let config = bodies(&calls)[0]["config"].clone();
        let seen = read(&TunnelConfig, &answer(config).body);
        prop_assert!(part_of(&declared, &seen.spec), "{} {}", declared, seen.spec);
    }
}
