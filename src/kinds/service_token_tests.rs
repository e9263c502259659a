use proptest::prelude::*;

use super::*;
use crate::kinds::testing::{Step, bodies, declare, example, facts, line, ok, problems, read};

const EXAMPLE: &str = include_str!("../../tests/contract/service_token.json");
const PATH: &str = "/accounts/acc/access/service_tokens";
const ID: &str = "f174e90a-fafe-4643-bbbc-4a0ed4fc8415";

fn ci() -> Json {
    declare(
        &ServiceToken,
        json!({"name": "CI/CD token", "duration": "525600m",
            "rotate": {"every": "90d", "keep_old": "24h"}}),
    )
}

fn rotating(spec: Json, raw: &Json) -> Step<'static> {
    let mut step = Step::new(&ServiceToken, Verb::Update, spec, Some(read(&ServiceToken, raw)));
    step.rotate = Some("2026-04-01T00:00:00Z".parse().unwrap());
    step
}

#[test]
fn the_example_of_the_contract_is_read_and_settled_whatever_time_moves() {
    let mut item = example(EXAMPLE);
    let secret = item.as_object_mut().unwrap().shift_remove("client_secret");
    assert!(secret.is_some());
    let remote = read(&ServiceToken, &item);
    assert_eq!(remote.outputs["client_id"], "88bf3b6d86161464f6509f7219099e57.access");
    assert!(ServiceToken.fits(&ci(), &remote));
    let declared = ci();
    for (field, value) in [
        ("expires_at", json!("2030-01-01T00:00:00Z")),
        ("client_secret_version", json!(7)),
        ("last_seen_at", json!("2026-02-01T00:00:00Z")),
        ("duration", Json::Null),
    ] {
        item[field] = value;
        let remote = read(&ServiceToken, &item);
        for sent in [None, Some(&declared)] {
            let diffed = ServiceToken.diff(&facts(Some(&declared), sent, &remote, &[]));
            assert_eq!((diffed.changes, diffed.drift), (vec![], vec![]), "{field}");
        }
    }
}

#[test]
fn a_token_is_created_under_a_mark_and_renamed() {
    let step = Step::new(&ServiceToken, Verb::Create, ci(), None);
    let (calls, end) = step.run(&[ok(example(EXAMPLE)), ok(example(EXAMPLE))]);
    let lines: Vec<String> = calls.iter().map(line).collect();
    assert_eq!(lines, [format!("POST {PATH}"), format!("PUT {PATH}/{ID}")]);
    assert_eq!(
        bodies(&calls)[0],
        json!({"name": "CI/CD token [boxctl m4rk]", "duration": "8760h"})
    );
    assert_eq!(bodies(&calls)[1], json!({"name": "CI/CD token", "duration": "8760h"}));
    assert_eq!(end.unwrap().unwrap().id, ID);
}

#[test]
fn a_new_secret_comes_last_and_leaves_the_old_one_its_time() {
    let raw = example(EXAMPLE);
    let (calls, end) = rotating(ci(), &raw).run(&[ok(raw.clone()), ok(raw.clone())]);
    let lines: Vec<String> = calls.iter().map(line).collect();
    let one = format!("POST {PATH}/{ID}");
    assert_eq!(lines, [format!("{one}/refresh"), format!("{one}/rotate")]);
    let until = json!({"previous_client_secret_expires_at": "2026-04-02T00:00:00Z"});
    assert_eq!(bodies(&calls), [until]);
    assert!(end.unwrap().is_some());

    // Without `keep_old`, and where the token has no end.
    let spec = json!({"name": "other", "duration": "forever"});
    let mut endless = raw;
    endless["expires_at"] = Json::Null;
    endless["enabled"] = json!(false);
    let (calls, _) = rotating(spec, &endless).run(&[ok(endless.clone()), ok(endless.clone())]);
    let lines: Vec<String> = calls.iter().map(line).collect();
    assert_eq!(lines, [format!("PUT {PATH}/{ID}"), format!("{one}/rotate")]);
    let put = json!({"name": "other", "duration": "forever", "enabled": false});
    assert_eq!(bodies(&calls), [put, json!({})]);
}

#[test]
fn an_answer_without_the_secret_is_no_success() {
    let raw = example(EXAMPLE);
    let mut mute = raw.clone();
    mute.as_object_mut().unwrap().shift_remove("client_secret");
    let (_, end) = rotating(ci(), &raw).run(&[ok(raw.clone()), ok(mute)]);
    assert_eq!(end, Err(KindError::Answer("client_secret".to_owned())));
}

#[test]
fn tokens_that_cannot_be_are_refused() {
    for (more, path) in [
        (json!({"name": " "}), "name"),
        (json!({"duration": "1y"}), "duration"),
        (json!({"duration": "0s"}), "duration"),
        (json!({"rotate": {"every": "monthly"}}), "rotate.every"),
        (json!({"rotate": {"every": "0d"}}), "rotate.every"),
        (json!({"rotate": {"every": "90d", "keep_old": "a day"}}), "rotate.keep_old"),
        (json!({"rotate": {"every": "1d", "keep_old": "24h"}}), "rotate.keep_old"),
    ] {
        let mut spec = json!({"name": "x"});
        more.as_object().unwrap().iter().for_each(|(k, v)| spec[k] = v.clone());
        assert_eq!(problems(&ServiceToken, spec.clone()), [path], "{spec}");
    }
    assert_eq!(problems(&ServiceToken, ci()), [] as [&str; 0]);
}

#[test]
fn days_are_counted_too() {
    for (text, seconds) in
        [("90d", Some(7_776_000)), ("24h", Some(86_400)), ("1.5d", None), ("d", None), ("", None)]
    {
        assert_eq!(days(text), seconds, "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]
    #[test]
    fn what_is_sent_reads_back_however_the_service_spells_it(
        name in "[ -~]{1,20}",
        minutes in prop::option::of(1u32..1_000_000),
        every in prop::option::of(1u32..400),
        spelled in 0..3,
    ) {
        let mut spec = json!({"name": name});
        if let Some(minutes) = minutes { spec["duration"] = json!(format!("{minutes}m")); }
        if let Some(every) = every { spec["rotate"] = json!({"every": format!("{every}d")}); }
        let declared = declare(&ServiceToken, spec);
        prop_assert_eq!(&declare(&ServiceToken, declared.clone()), &declared);
        let mut echo = example(EXAMPLE);
        echo["name"] = declared["name"].clone();
        echo["duration"] = match (minutes, spelled) {
            (None, 0) => Json::Null,
            (None, _) => json!("8760h0m0s"),
            (Some(minutes), 0) => json!(format!("{minutes}m")),
            (Some(minutes), 1) => json!(format!("{}h{}m0s", minutes / 60, minutes % 60)),
            (Some(minutes), _) => json!(format!("{}s", u64::from(minutes) * 60)),
        };
        let seen = read(&ServiceToken, &echo);
        let diffed = ServiceToken.diff(&facts(Some(&declared), None, &seen, &[]));
        prop_assert_eq!(diffed.changes, vec![]);
    }
}
