use proptest::prelude::*;

use super::*;
use crate::kinds::testing::{
    GITHUB, Step, bodies, declare, example, line, ok, part_of, problems, read,
};

const EXAMPLE: &str = include_str!("../../tests/contract/access_policy.json");
const ID: &str = "f174e90a-fafe-4643-bbbc-4a0ed4fc8415";

fn github() -> Json {
    declare(
        &AccessPolicy,
        json!({"name": "policy for codex-task-board.b0xp.io", "decision": "allow",
            "include": [{"login_method": "GitHub"}], "session_duration": "1440m"}),
    )
}

#[test]
fn the_example_of_the_contract_is_read() {
    let remote = read(&AccessPolicy, &example(EXAMPLE));
    assert!(part_of(&github(), &remote.spec), "{}", remote.spec);
    assert!(AccessPolicy.fits(&github(), &remote));
}

#[test]
fn a_policy_is_created_under_a_mark_and_renamed() {
    let step = Step::new(&AccessPolicy, Verb::Create, github(), None);
    let (calls, end) = step.run(&[ok(json!({"id": ID})), ok(example(EXAMPLE))]);
    let path = "/accounts/acc/access/policies";
    let lines: Vec<String> = calls.iter().map(line).collect();
    assert_eq!(lines, [format!("POST {path}"), format!("PUT {path}/{ID}")]);
    let marked = "policy for codex-task-board.b0xp.io [boxctl m4rk]";
    assert_eq!(bodies(&calls)[0]["name"], marked);
    assert_eq!(Json::Object(calls[0].key.clone()), json!({"name": marked}));
    assert_eq!(bodies(&calls)[1]["name"], "policy for codex-task-board.b0xp.io");
    assert_eq!(bodies(&calls)[1]["include"], json!([{"login_method": {"id": GITHUB}}]));
    assert!(end.unwrap().is_some());

    let mut lost = example(EXAMPLE);
    lost["name"] = json!(marked);
    let remote = read(&AccessPolicy, &lost);
    assert!(AccessPolicy.fits(&github(), &remote));
    assert_eq!(AccessPolicy.mark_of(&remote).as_deref(), Some("m4rk"));
}

#[test]
fn an_update_keeps_what_nobody_declares() {
    let mut raw = example(EXAMPLE);
    raw["mfa_config"] = json!({"mfa_disabled": true});
    raw["purpose_justification_prompt"] = json!("why?");
    let remote = read(&AccessPolicy, &raw);
    let mut step = Step::new(&AccessPolicy, Verb::Update, github(), Some(remote));
    step.removed = vec!["purpose_justification_prompt".to_owned()];
    let (calls, _) = step.run(&[ok(raw.clone()), ok(raw)]);
    let body = &bodies(&calls)[0];
    assert_eq!(body["mfa_config"], json!({"mfa_disabled": true}));
    for gone in ["id", "app_count", "reusable", "created_at", "purpose_justification_prompt"] {
        assert!(body.get(gone).is_none(), "{gone}");
    }
}

#[test]
fn policies_that_cannot_be_are_refused() {
    let good = json!([{"email": "a@b.c"}]);
    for (spec, path) in [
        (json!({"name": "x", "decision": "allow"}), "include"),
        (json!({"name": "x", "decision": "allow", "include": []}), "include"),
        (json!({"name": "x", "decision": "permit", "include": good}), "decision"),
        (json!({"name": "", "decision": "allow", "include": good}), "name"),
        (
            json!({"name": "x", "decision": "allow", "include": good,
                "require": [{"ip": "x"}]}),
            "require[0].ip",
        ),
        (
            json!({"name": "x", "decision": "allow", "include": good,
                "session_duration": "1 day"}),
            "session_duration",
        ),
        (
            json!({"name": "x", "decision": "allow", "include": [{"service_token": "t"}]}),
            "include[0]",
        ),
    ] {
        assert_eq!(problems(&AccessPolicy, spec.clone()), [path], "{spec}");
    }
}

proptest! {
    #[test]
    fn declaring_twice_changes_nothing_and_what_is_sent_reads_back(
        name in "[ -~]{1,20}",
        rules in prop::collection::vec(prop_oneof![
            "[a-z]{1,5}@[a-z]{1,5}\\.io".prop_map(|v| json!({"email": v})),
            "[0-9]{1,2}\\.0\\.0\\.[0-9]{1,2}".prop_map(|v| json!({"ip": v})),
            "[a-z]{2}".prop_map(|v| json!({"geo": v})),
            Just(json!("everyone")),
            Just(json!({"login_method": "github"})),
            "[a-z]{1,5}".prop_map(|v| json!({"azure_ad": {"id": v}})),
            "[a-z]{1,5}".prop_map(|v| json!({"user_risk_score": v})),
        ], 1..5),
        session in prop::option::of(1u32..5000),
    ) {
        let mut spec = json!({"name": name, "decision": "allow", "include": rules});
        if let Some(minutes) = session { spec["session_duration"] = json!(format!("{minutes}m")); }
        let declared = declare(&AccessPolicy, spec);
        prop_assert_eq!(&declare(&AccessPolicy, declared.clone()), &declared);
        let mut echo = Json::Object(policy_body(&declared));
        echo["id"] = json!(ID);
        let seen = read(&AccessPolicy, &echo);
        prop_assert!(part_of(&declared, &seen.spec), "{} {}", declared, seen.spec);
    }
}
