use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::kinds::testing::{
    GITHUB, STAFF, Step, bodies, declare, example, facts, line, ok, part_of, problems, read, scope,
};

const EXAMPLE: &str = include_str!("../../tests/contract/access_group.json");
const ID: &str = "a0a2b6fe-3fd4-4d5c-9c7c-9b8b6a0c1d2e";

fn staff() -> Json {
    declare(
        &AccessGroup,
        json!({"name": "staff", "require": [{"login_method": "GitHub"}],
            "include": [{"ip": "192.0.2.7"}, {"email_domain": "example.org"}]}),
    )
}

#[test]
fn the_example_of_the_contract_is_read_and_settled() {
    let remote = read(&AccessGroup, &example(EXAMPLE));
    assert!(AccessGroup.fits(&staff(), &remote));
    // Rules are sets: the order of the file is not the service's.
    let spec = staff();
    let diffed = AccessGroup.diff(&facts(Some(&spec), None, &remote, &[]));
    assert_eq!(diffed.changes, []);
}

#[test]
fn a_group_is_created_under_a_mark_and_renamed() {
    let step = Step::new(&AccessGroup, Verb::Create, staff(), None);
    let (calls, end) = step.run(&[ok(json!({"id": ID})), ok(example(EXAMPLE))]);
    let path = "/accounts/acc/access/groups";
    let lines: Vec<String> = calls.iter().map(line).collect();
    assert_eq!(lines, [format!("POST {path}"), format!("PUT {path}/{ID}")]);
    assert_eq!(bodies(&calls)[0]["name"], "staff [boxctl m4rk]");
    assert_eq!(Json::Object(calls[0].key.clone()), json!({"name": "staff [boxctl m4rk]"}));
    assert_eq!(
        bodies(&calls)[1],
        json!({"name": "staff", "require": [{"login_method": {"id": GITHUB}}],
            "include": [{"ip": {"ip": "192.0.2.7"}}, {"email_domain": {"domain": "example.org"}}]})
    );
    assert_eq!(end.unwrap().unwrap().id, ID);

    let mut lost = example(EXAMPLE);
    lost["name"] = json!("staff [boxctl m4rk]");
    let remote = read(&AccessGroup, &lost);
    assert!(AccessGroup.fits(&staff(), &remote));
    assert_eq!(AccessGroup.mark_of(&remote).as_deref(), Some("m4rk"));
}

#[test]
fn an_update_keeps_what_nobody_declares_and_drops_what_left_the_file() {
    let mut raw = example(EXAMPLE);
    raw["is_default"] = json!(true);
    let spec = declare(&AccessGroup, json!({"name": "all", "include": ["everyone"]}));
    let remote = read(&AccessGroup, &raw);
    let mut step = Step::new(&AccessGroup, Verb::Update, spec, Some(remote));
    step.removed = vec!["require".to_owned()];
    let (calls, _) = step.run(&[ok(raw.clone()), ok(raw)]);
    assert_eq!(
        bodies(&calls)[0],
        json!({"name": "all", "include": [{"everyone": {}}], "exclude": [], "is_default": true})
    );
}

#[test]
fn empty_selectors_of_a_reading_do_not_go_back() {
    let raw = json!({"id": ID, "name": "x", "include": [{"everyone": {}}],
        "require": [{"email": {"email": "a@b.c"}, "geo": {"country_code": null}},
            {"common_name": {"common_name": null}}, {"ip": {"ip": "192.0.2.1/32"}}]});
    let remote = read(&AccessGroup, &raw);
    let spec = declare(&AccessGroup, json!({"name": "x", "include": ["certificate"]}));
    let step = Step::new(&AccessGroup, Verb::Update, spec, Some(remote));
    let (calls, _) = step.run(&[ok(raw.clone()), ok(raw)]);
    let left = json!([{"email": {"email": "a@b.c"}}, {"ip": {"ip": "192.0.2.1"}}]);
    assert_eq!(bodies(&calls)[0]["require"], left);
}

#[test]
fn a_rule_may_name_a_group() {
    let spec = json!({"name": "x", "include": [{"group": "staff"}]});
    assert_eq!(AccessGroup.needs(&spec), [Need::AccessGroups]);
    assert_eq!(declare(&AccessGroup, spec)["include"], json!([{"group": STAFF}]));
    let by_id = json!({"name": "x", "include": [{"group": STAFF}, {"group": {"id": STAFF}}]});
    assert_eq!(AccessGroup.needs(&by_id), []);
    assert_eq!(
        declare(&AccessGroup, by_id)["include"],
        json!([{"group": STAFF}, {"group": STAFF}])
    );
    let unknown = json!({"name": "x", "include": [{"group": "stuff"}]});
    let problem = AccessGroup.declare(&unknown, &scope()).unwrap_err();
    assert_eq!(problem.path, "include[0].group");
    assert!(problem.hint.unwrap().starts_with("there are staff"), "{}", problem.message);
    let twins = json!({"name": "x", "include": [{"group": "twins"}]});
    assert!(AccessGroup.declare(&twins, &scope()).unwrap_err().message.starts_with("several"));
}

#[test]
fn groups_that_cannot_be_are_refused() {
    for (spec, path) in [
        (json!({"name": "x"}), "include"),
        (json!({"name": "x", "include": []}), "include"),
        (json!({"name": " ", "include": ["everyone"]}), "name"),
        (json!({"name": "x", "include": ["everyone"], "exclude": [{"ip": "x"}]}), "exclude[0].ip"),
    ] {
        assert_eq!(problems(&AccessGroup, spec.clone()), [path], "{spec}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]
    #[test]
    fn what_is_sent_reads_back_in_whatever_order(
        name in "[ -~]{1,20}",
        rules in prop::collection::vec(prop_oneof![
            "[a-z]{1,5}@[a-z]{1,5}\\.io".prop_map(|v| json!({"email": v})),
            "[0-9]{1,2}\\.0\\.0\\.[0-9]{1,2}".prop_map(|v| json!({"ip": v})),
            "[a-z]{2}".prop_map(|v| json!({"geo": v})),
            Just(json!("everyone")),
            Just(json!({"group": "staff"})),
        ], 1..5),
    ) {
        let spec = json!({"name": name, "include": rules});
        let declared = declare(&AccessGroup, spec);
        prop_assert_eq!(&declare(&AccessGroup, declared.clone()), &declared);
        let mut echo = Json::Object(body(&declared));
        echo["id"] = json!(ID);
        prop_assert!(part_of(&declared, &read(&AccessGroup, &echo).spec));
        echo["include"].as_array_mut().unwrap().reverse();
        echo["include"][0]["common_name"] = json!({"common_name": null});
        let seen = read(&AccessGroup, &echo);
        let diffed = AccessGroup.diff(&facts(Some(&declared), None, &seen, &[]));
        prop_assert_eq!(diffed.changes, vec![]);
    }
}
