use proptest::prelude::*;

use super::*;
use crate::kinds::testing::{
    GITHUB, Step, bodies, declare, example, facts, line, ok, part_of, problems, read, scope,
};

const EXAMPLE: &str = include_str!("../../tests/contract/access_application.json");
const POLICY: &str = "ac06de43-91b7-4622-a9da-9598a6e0b347";

fn spec(more: Json) -> Json {
    let mut spec = json!({"name": "Access application for k8s.b0xp.io",
        "domain": "K8s.b0xp.io", "session_duration": "1440m"});
    for (key, value) in fields(&more) {
        spec[key] = value;
    }
    declare(&AccessApplication, spec)
}

/// The body of the write of an update.
fn update(declared: Json, raw: &Json, change: impl FnOnce(&mut Step<'_>)) -> Json {
    let remote = read(&AccessApplication, raw);
    let mut step = Step::new(&AccessApplication, Verb::Update, declared, Some(remote));
    change(&mut step);
    let (calls, end) = step.run(&[ok(raw.clone()), ok(raw.clone())]);
    assert!(end.is_ok());
    assert!(line(&calls[1]).starts_with("PUT /accounts/acc/access/apps/"));
    bodies(&calls)[0].clone()
}

fn with_other_policy(own: bool) -> Json {
    let mut raw = example(EXAMPLE);
    let mut other = raw["policies"][0].clone();
    other["id"] = json!("other");
    other["precedence"] = json!(2);
    other["reusable"] = json!(!own);
    raw["policies"].as_array_mut().unwrap().push(other);
    raw
}

#[test]
fn the_example_of_the_contract_is_read() {
    let remote = read(&AccessApplication, &example(EXAMPLE));
    let declared = spec(json!({"policies": [POLICY]}));
    assert!(part_of(&declared, &remote.spec), "{} {}", declared, remote.spec);
    assert!(AccessApplication.fits(&declared, &remote));
    assert_eq!(remote.outputs["domain"], "k8s.b0xp.io");
    let diffed = AccessApplication.diff(&facts(Some(&declared), None, &remote, &[]));
    assert_eq!(diffed, Diffed::default());
}

#[test]
fn a_create_links_policies_in_order() {
    let declared = spec(json!({"policies": ["a", "b"], "allowed_idps": ["GitHub"]}));
    let step = Step::new(&AccessApplication, Verb::Create, declared, None);
    let (calls, _) = step.run(&[ok(example(EXAMPLE))]);
    let body = &bodies(&calls)[0];
    let links = json!([{"id": "a", "precedence": 1}, {"id": "b", "precedence": 2}]);
    assert_eq!(body["policies"], links);
    assert_eq!(body["allowed_idps"], json!([GITHUB]));
    assert_eq!(Json::Object(calls[0].key.clone()), json!({"domain": "k8s.b0xp.io"}));
}

#[test]
fn an_update_keeps_what_nobody_declares() {
    let mut raw = example(EXAMPLE);
    raw["logo_url"] = json!("https://x/y.png");
    raw["something_new"] = json!({"a": 1});
    raw["custom_deny_message"] = json!("no");
    let body = update(spec(json!({"session_duration": "12h"})), &raw, |step| {
        step.removed = vec!["custom_deny_message".to_owned()];
    });
    assert_eq!(body["logo_url"], "https://x/y.png");
    assert_eq!(body["something_new"], json!({"a": 1}));
    assert_eq!(body["session_duration"], "12h");
    for gone in ["policies", "id", "uid", "aud", "created_at", "custom_deny_message"] {
        assert!(body.get(gone).is_none(), "{gone}");
    }
    let body = update(spec(json!({})), &raw, |step| step.ignore = vec!["name".to_owned()]);
    assert_eq!(body["name"], "Access application for k8s.b0xp.io");
}

#[test]
fn a_second_policy_goes_where_policies_are_ours_and_stays_where_they_are_shared() {
    let raw = with_other_policy(true);
    let declared = spec(json!({"policies": [POLICY]}));
    let body = update(declared.clone(), &raw, |_| ());
    assert_eq!(body["policies"], json!([{"id": POLICY, "precedence": 1}]));
    let body = update(declared.clone(), &raw, |step| step.shared = vec!["policies".to_owned()]);
    assert_eq!(body["policies"][0], json!({"id": POLICY, "precedence": 1}));
    assert_eq!(body["policies"][1]["id"], "other");
    assert_eq!(body["policies"][1]["decision"], "allow");

    let remote = read(&AccessApplication, &raw);
    let diff = |shared: &[String], declared: &Json| {
        AccessApplication.diff(&facts(Some(declared), Some(declared), &remote, shared))
    };
    let ours = diff(&[], &declared);
    assert_eq!(ours.changes[0].path, "policies[1]");
    assert!(!ours.drift.is_empty() && ours.foreign.is_empty());
    let shared = diff(&["policies".to_owned()], &declared);
    assert!(shared.changes.is_empty() && shared.drift.is_empty());
    assert_eq!(shared.foreign[0].path, "policies[id=\"other\"]");
    let unwritten = diff(&[], &spec(json!({})));
    assert_eq!((unwritten.changes.len(), unwritten.foreign.len()), (0, 2));
}

#[test]
fn policies_that_left_the_files_are_detached_and_an_empty_list_detaches_all() {
    let raw = with_other_policy(false);
    let body = update(spec(json!({"policies": []})), &raw, |_| ());
    assert_eq!(body["policies"], json!([]));
    let body = update(spec(json!({})), &raw, |step| {
        step.sent = Some(json!({"policies": [POLICY]}));
        step.removed = vec!["policies".to_owned()];
    });
    assert_eq!(body["policies"], json!([{"id": "other", "precedence": 1}]));
}

#[test]
fn a_hostname_moves_by_widening_and_narrowing() {
    let raw = example(EXAMPLE);
    let declared = spec(json!({"domain": "new.b0xp.io"}));
    let remote = read(&AccessApplication, &raw);
    let step = Step::new(&AccessApplication, Verb::Widen, declared.clone(), Some(remote));
    let (calls, _) = step.run(&[ok(raw.clone()), ok(raw.clone())]);
    let wide = bodies(&calls)[0].clone();
    let both = json!([public("k8s.b0xp.io"), public("new.b0xp.io")]);
    assert_eq!((&wide["domain"], &wide["destinations"]), (&json!("k8s.b0xp.io"), &both));
    assert!(wide.get("policies").is_none());

    let mut widened = raw.clone();
    widened["destinations"] = both;
    let narrow = update(declared.clone(), &widened, |_| ());
    assert_eq!(narrow["domain"], "new.b0xp.io");
    assert!(narrow.get("destinations").is_none());
    assert!(narrow.get("self_hosted_domains").is_none());

    widened["destinations"].as_array_mut().unwrap().push(public("foreign.b0xp.io"));
    let narrow = update(declared, &widened, |_| ());
    assert_eq!(narrow["destinations"], json!([public("new.b0xp.io"), public("foreign.b0xp.io")]));
}

#[test]
fn applications_that_cannot_be_are_refused() {
    for (spec, path) in [
        (json!({"name": "x"}), ""),
        (json!({"domain": "https://a.b"}), "domain"),
        (json!({"domain": "a b.c"}), "domain"),
        (json!({"type": "warp", "domain": "a.b"}), "domain"),
        (json!({"type": "app_launcher", "destinations": [{"uri": "a.b"}]}), "destinations"),
        (json!({"type": "saas", "self_hosted_domains": ["a.b"]}), "self_hosted_domains"),
        (
            json!({"type": "warp", "allow_authenticate_via_warp": true}),
            "allow_authenticate_via_warp",
        ),
        (json!({"type": "saas", "session_duration": "1h"}), "session_duration"),
        (json!({"type": "bookmark", "allowed_idps": ["a"]}), "allowed_idps"),
        (json!({"type": "infrastructure", "app_launcher_visible": true}), "app_launcher_visible"),
        (json!({"type": "ssh"}), ""),
        (json!({"type": "selfhosted", "domain": "a.b"}), "type"),
        (json!({"domain": "a.b", "session_duration": "x"}), "session_duration"),
        (json!({"domain": "a.b", "auto_redirect_to_identity": true}), "auto_redirect_to_identity"),
        (json!({"destinations": [{"uri": "a..b"}]}), "destinations[0].uri"),
        (json!({"domain": "a.b", "policies": []}), "policies"),
    ] {
        assert_eq!(problems(&AccessApplication, spec.clone()), [path], "{spec}");
    }
    assert!(problems(&AccessApplication, json!({"domain": "*.a.b/x/*"})).is_empty());
    let hosts = AccessApplication.hostnames(&json!({"domain": "A.b/x"}), &scope());
    assert_eq!(hosts, ["a.b"]);
}

#[test]
fn what_the_account_has_one_of_is_taken_over_and_stays() {
    let raw = json!({"id": "w", "uid": "w", "aud": "x", "type": "warp", "name": "Warp Login App",
        "domain": "team/warp", "session_duration": "720h", "app_launcher_visible": false,
        "policies": [{"id": "theirs", "precedence": 1, "reusable": true, "decision": "allow"}]});
    let remote = read(&AccessApplication, &raw);
    let declared = declare(&AccessApplication, json!({"type": "warp", "policies": ["ours"]}));
    assert!(AccessApplication.fits(&declared, &remote));
    assert_eq!(Json::Object(AccessApplication.key(&declared)), json!({"type": "warp"}));
    let shared = ["policies".to_owned()];
    let diffed = AccessApplication.diff(&facts(Some(&declared), None, &remote, &shared));
    let paths: Vec<&str> = diffed.changes.iter().map(|change| change.path.as_str()).collect();
    assert_eq!(paths, ["policies[0]"], "what nobody declares is left alone");
    let body = update(declared.clone(), &raw, |step| step.shared = shared.to_vec());
    let ids: Vec<&Json> = items(&body, "policies").iter().map(|policy| &policy["id"]).collect();
    assert_eq!(ids, ["theirs", "ours"]);
    assert_eq!((&body["session_duration"], &body["domain"]), (&json!("720h"), &json!("team/warp")));

    let made = Step::new(&AccessApplication, Verb::Create, declared.clone(), None);
    assert!(matches!(made.run(&[]).1, Err(KindError::Impossible { .. })));
    assert!(matches!(AccessApplication.leaving(&declared), Leaving::Emptied(_)));
    let bare = declare(&AccessApplication, json!({"type": "warp"}));
    assert!(matches!(AccessApplication.leaving(&bare), Leaving::Left(_)));
    let mut both = raw.clone();
    both["policies"] = json!([{"id": "theirs", "precedence": 1, "reusable": true},
        {"id": "ours", "precedence": 2, "reusable": true}]);
    let step = Step::new(&AccessApplication, Verb::Delete, declared.clone(), Some(remote.clone()));
    let (calls, end) = step.run(&[ok(both), ok(raw.clone())]);
    assert_eq!((line(&calls[1]), end), ("PUT /accounts/acc/access/apps/w".to_owned(), Ok(None)));
    assert_eq!(bodies(&calls)[0]["policies"], json!([{"id": "theirs", "precedence": 1}]));
    let step = Step::new(&AccessApplication, Verb::Delete, declared, Some(remote));
    let (calls, _) = step.run(&[ok(raw)]);
    assert_eq!(calls.len(), 1, "nothing of ours is on it");
}

proptest! {
    #[test]
    fn declaring_twice_changes_nothing_and_what_is_sent_reads_back(
        host in "[A-Za-z]{1,8}\\.b0xp\\.io\\.?",
        path in prop::option::of("[a-zA-Z]{1,5}"),
        several in any::<bool>(),
        minutes in prop::option::of(1u32..5000),
        visible in prop::option::of(any::<bool>()),
        tags in prop::option::of(prop::collection::vec("[a-z]{1,4}", 0..3)),
    ) {
        let domain = path.map_or(host.clone(), |path| format!("{host}/{path}"));
        let mut spec = json!({"name": "x"});
        if several {
            spec["destinations"] = json!([{"uri": domain}, {"type": "private", "cidr": "10.0.0.1"}]);
        } else {
            spec["domain"] = json!(domain);
        }
        if let Some(minutes) = minutes { spec["session_duration"] = json!(format!("{minutes}m")); }
        if let Some(visible) = visible { spec["app_launcher_visible"] = json!(visible); }
        if let Some(tags) = tags { spec["tags"] = json!(tags); }
        let declared = declare(&AccessApplication, spec);
        prop_assert_eq!(&declare(&AccessApplication, declared.clone()), &declared);
        let mut echo = Json::Object(create_body(&declared));
        echo["id"] = json!("a");
        let seen = read(&AccessApplication, &echo);
        prop_assert!(part_of(&declared, &seen.spec), "{} {}", declared, seen.spec);
        prop_assert!(AccessApplication.fits(&declared, &seen));
    }
}
