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
    let before = json!({
        "ingress": [{"hostname": "old.b0xp.io", "service": "http://old:1"},
            {"service": "http_status:404"}],
        "originRequest": {"noTLSVerify": true}, "warp-routing": {"enabled": true}, "other": 1});
    let planned = read(&TunnelConfig, &answer(before.clone()).body);
    let step = Step::new(&TunnelConfig, Verb::Update, declared, Some(planned));
    let written = answer(json!({"ingress": []}));
    let (calls, end) = step.run(&[answer(before), written.clone(), written]);
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
    let (calls, _) =
        step.run(&[answer(config.clone()), answer(config.clone()), answer(config.clone())]);
    let services: Vec<Json> = bodies(&calls)[0]["config"]["ingress"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| rule["service"].clone())
        .collect();
    assert_eq!(services, ["http://x:1", "http://a:2", "http_status:404"]);

    step.verb = Verb::Delete;
    step.spec = sent;
    let (calls, end) = step.run(&[answer(config.clone()), answer(config.clone()), answer(config)]);
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
    let answers = [ok(example(EXAMPLE)), ok(example(EXAMPLE)), ok(example(EXAMPLE))];
    let (calls, end) = step.run(&answers);
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

/// A configuration with rules for these hosts, as it is answered at a version.
fn at(version: i64, hosts: &[&str]) -> Answer {
    let rule = |host: &&str| json!({"hostname": host, "service": "http://a:1"});
    let mut rules: Vec<Json> = hosts.iter().map(rule).collect();
    rules.push(json!({"service": "http_status:404"}));
    ok(json!({"tunnel_id": TUNNEL, "version": version, "config": {"ingress": rules}}))
}

/// The hostnames that each write has.
fn written(calls: &[Call]) -> Vec<Vec<String>> {
    let hosts = |body: Json| {
        let rules = body["config"]["ingress"].as_array().unwrap().clone();
        rules.iter().filter_map(|rule| text(rule, "hostname").map(str::to_owned)).collect()
    };
    bodies(calls).into_iter().map(hosts).collect()
}

fn why(end: Result<Option<Remote>, KindError>) -> String {
    match end {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn what_someone_wrote_around_a_write_is_seen() {
    let hosts = |hosts: &[&str]| hosts.iter().map(|h| (*h).to_owned()).collect::<Vec<_>>();
    let (planned, changed) = (at(4, &["old"]), at(5, &["old", "x"]));
    for (shared, answers, writes, says) in [
        // Nobody did.
        (false, vec![&planned, &at(5, &["a"]), &at(5, &["a"])], vec![&["a"][..]], ""),
        // Between the plan and the reading.
        (false, vec![&changed], vec![], "since it was planned: version 4 is 5 by now (rules of x)"),
        (true, vec![&changed, &at(6, &["a", "x"]), &at(6, &["a", "x"])], vec![&["a", "x"]], ""),
        // Another version of the same is no matter.
        (false, vec![&at(5, &["old"]), &at(6, &["a"]), &at(6, &["a"])], vec![&["a"]], ""),
        // Between the reading and the write.
        (
            false,
            vec![&planned, &at(6, &["a"]), &at(6, &["a"])],
            vec![&["a"]],
            "version 5 had come in between from someone else",
        ),
        // After the write: with ours in it, and without.
        (false, vec![&planned, &at(5, &["a"]), &at(6, &["a", "x"])], vec![&["a"]], ""),
        (
            false,
            vec![
                &planned,
                &at(5, &["a"]),
                &at(6, &["old", "x"]),
                &at(7, &["a", "x"]),
                &at(7, &["a", "x"]),
            ],
            vec![&["a"], &["a", "x"]],
            "",
        ),
        // Again and again.
        (
            true,
            vec![
                &planned,
                &at(5, &["a"]),
                &at(6, &["x"]),
                &at(7, &["x", "a"]),
                &at(8, &["x"]),
                &at(9, &["x", "a"]),
                &at(10, &["x"]),
            ],
            vec![&["a"], &["x", "a"], &["x", "a"]],
            "keeps writing",
        ),
        // A reading that lags behind says nothing.
        (false, vec![&planned, &at(5, &["a"]), &planned], vec![&["a"]], ""),
    ] {
        let mut step = Step::new(
            &TunnelConfig,
            Verb::Update,
            spec(json!([{"hostname": "a", "service": "http://a:1"}])),
            Some(read(&TunnelConfig, &planned.body)),
        );
        step.sent = Some(spec(json!([{"hostname": "old", "service": "http://a:1"}])));
        step.shared = shared.then(|| "ingress".to_owned()).into_iter().collect();
        let answers: Vec<Answer> = answers.into_iter().cloned().collect();
        let (calls, end) = step.run(&answers);
        let writes: Vec<Vec<String>> = writes.into_iter().map(hosts).collect();
        assert_eq!(written(&calls), writes, "{answers:?}");
        assert_eq!(calls.len(), answers.len(), "{answers:?}");
        let why = why(end);
        assert!(why.contains(says) && why.is_empty() == says.is_empty(), "{why}");
    }
}

#[test]
fn a_configuration_that_the_plan_did_not_know_is_not_written_over() {
    let declared = spec(json!([{"hostname": "a", "service": "http://a:1"}]));
    let step = Step::new(&TunnelConfig, Verb::Create, declared, None);
    let (calls, end) = step.run(&[at(1, &["x"])]);
    assert!(bodies(&calls).is_empty());
    assert!(why(end).contains("since it was planned (rules of x)"));
    let (calls, end) = step.run(&[at(3, &[]), at(4, &["a"]), at(4, &["a"])]);
    assert_eq!((written(&calls).len(), why(end)), (1, String::new()));
}

#[test]
fn rules_that_someone_puts_back_while_they_are_deleted_are_taken_out_again() {
    let sent = spec(json!([{"hostname": "a", "service": "http://a:1"}]));
    let planned = at(4, &["a", "x"]);
    let remote = read(&TunnelConfig, &planned.body);
    let mut step = Step::new(&TunnelConfig, Verb::Delete, sent.clone(), Some(remote));
    step.sent = Some(sent);
    step.shared = vec!["ingress".to_owned()];
    let answers = [planned, at(5, &["x"]), at(6, &["a", "x", "y"]), at(7, &["x", "y"])];
    let (calls, end) = step.run(&[&answers[..], &answers[3..]].concat());
    assert_eq!(written(&calls), [vec!["x"], vec!["x", "y"]]);
    assert_eq!(end, Ok(None));
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
        let nothing = answer(json!(null));
        let (calls, _) = step.run(&[refusal(404, "1055"), nothing.clone(), nothing]);
        let config = bodies(&calls)[0]["config"].clone();
        let seen = read(&TunnelConfig, &answer(config).body);
        prop_assert!(part_of(&declared, &seen.spec), "{} {}", declared, seen.spec);
    }
}
