use super::*;
use crate::kinds::testing::{
    Step, bodies, declare, example, facts, line, ok, problems, read, refusal,
};

const EXAMPLE: &str = include_str!("../../tests/contract/device_profile.json");
const PROFILE: &str = "/accounts/acc/devices/policy";

fn spec(entries: Json) -> Json {
    declare(&SplitTunnel, json!({"mode": "exclude", "entries": entries}))
}

fn ours() -> Json {
    spec(json!([{"address": "10.1.2.3/16", "description": "lab"}]))
}

fn shared() -> Vec<String> {
    vec!["entries".to_owned()]
}

#[test]
fn the_example_of_the_contract_is_read() {
    let remote = read(&SplitTunnel, &example(EXAMPLE));
    let declared = spec(json!([
        {"host": "Example.ORG.", "description": ""},
        {"address": "FE80:0::/10", "description": "IPv6 Link Local"},
        {"address": "10.0.0.0/8"}
    ]));
    let diffed = SplitTunnel.diff(&facts(Some(&declared), None, &remote, &[]));
    assert_eq!(diffed, Diffed::default());
    let body = json!({"code": "2052", "message": "no"});
    assert!(SplitTunnel.read(&body, &Scope::default()).is_empty());
    let include = json!({"include": [{"address": "10.0.0.0/8"}], "exclude": []});
    assert_eq!(read(&SplitTunnel, &include).spec["mode"], "include");
}

#[test]
fn a_list_of_ones_own_is_replaced_as_a_whole() {
    let remote = read(&SplitTunnel, &example(EXAMPLE));
    let declared = ours();
    let diffed = SplitTunnel.diff(&facts(Some(&declared), None, &remote, &[]));
    assert_eq!(diffed.changes.len(), 1);
    let step = Step::new(&SplitTunnel, Verb::Update, declared.clone(), Some(remote));
    let answer = json!([{"address": "10.1.0.0/16", "description": "lab"}]);
    let (calls, end) = step.run(&[ok(example(EXAMPLE)), ok(answer.clone())]);
    let lines: Vec<String> = calls.iter().map(line).collect();
    assert_eq!(lines, [format!("GET {PROFILE}"), format!("PUT {PROFILE}/exclude")]);
    assert_eq!(bodies(&calls)[0], answer);
    assert_eq!(end.unwrap().unwrap().spec, declared);
}

#[test]
fn entries_of_others_stay_as_they_were_written_where_the_list_is_shared() {
    let before = example(EXAMPLE);
    let remote = read(&SplitTunnel, &before);
    let mut step = Step::new(&SplitTunnel, Verb::Update, ours(), Some(remote.clone()));
    step.shared = shared();
    // What was ours, and is declared no more.
    step.sent = Some(spec(json!([{"address": "10.0.0.0/8"}])));
    let (calls, _) = step.run(&[ok(before.clone()), ok(json!([]))]);
    let put = json!([before["exclude"][1], before["exclude"][2],
        {"address": "10.1.0.0/16", "description": "lab"}]);
    assert_eq!(bodies(&calls)[0], put);

    let declared = ours();
    let shared = shared();
    let diffed = SplitTunnel.diff(&facts(Some(&declared), None, &remote, &shared));
    assert_eq!((diffed.changes.len(), diffed.foreign.len()), (1, 1));
    assert_eq!(diffed.foreign[0].after, Some(remote.spec["entries"].clone()));
    let drift = facts(None, Some(&declared), &remote, &shared);
    let foreign = SplitTunnel.diff(&drift).foreign;
    let paths: Vec<&str> = foreign.iter().map(|one| one.path.as_str()).collect();
    assert_eq!(paths.len(), remote.spec["entries"].as_array().unwrap().len(), "{paths:?}");
    assert!(paths.iter().all(|path| path.starts_with("entries[")), "{paths:?}");
}

#[test]
fn another_writers_entry_is_no_change_and_a_missing_one_of_ours_is() {
    let declared = ours();
    let shared = shared();
    let mut item = json!({"exclude": [{"address": "10.1.0.0/16", "description": "LAB"}]});
    let answered = read(&SplitTunnel, &item).spec;
    let diff = |item: &Json| {
        let remote = read(&SplitTunnel, item);
        let facts = facts(Some(&declared), Some(&declared), &remote, &shared);
        SplitTunnel.diff(&Facts { answered: Some(&answered), ..facts })
    };
    item["exclude"].as_array_mut().unwrap().insert(0, json!({"host": "a.b"}));
    let diffed = diff(&item);
    assert_eq!((diffed.changes, diffed.drift, diffed.foreign.len()), (vec![], vec![], 1));
    let diffed = diff(&json!({"exclude": [{"host": "a.b"}]}));
    assert_eq!((diffed.changes.len(), diffed.drift.len()), (1, 1));
}

#[test]
fn the_other_mode_takes_nothing_along() {
    let mut step = Step::new(
        &SplitTunnel,
        Verb::Update,
        declare(&SplitTunnel, json!({"mode": "include", "entries": [{"host": "a.lan"}]})),
        Some(read(&SplitTunnel, &example(EXAMPLE))),
    );
    step.shared = shared();
    let (calls, end) = step.run(&[ok(example(EXAMPLE)), ok(json!([{"host": "a.lan"}]))]);
    assert_eq!(line(&calls[1]), format!("PUT {PROFILE}/include"));
    assert_eq!(bodies(&calls)[0], json!([{"host": "a.lan"}]));
    assert_eq!(end.unwrap().unwrap().spec["mode"], "include");
}

#[test]
fn leaving_takes_out_what_was_put_in_and_nothing_else() {
    let before = example(EXAMPLE);
    let sent = spec(json!([{"address": "10.0.0.0/8"}]));
    let remote = read(&SplitTunnel, &before);
    let step = Step::new(&SplitTunnel, Verb::Delete, sent.clone(), Some(remote));
    let (calls, end) = step.run(&[ok(before.clone()), ok(json!([]))]);
    assert_eq!(bodies(&calls)[0], json!([before["exclude"][1], before["exclude"][2]]));
    assert_eq!(end, Ok(None));
    // Nothing of ours, nothing at all, the other mode.
    for read in [
        ok(json!({"exclude": [{"host": "a.b"}]})),
        refusal(404, "2052"),
        ok(json!({"include": [{"address": "10.0.0.0/8"}]})),
    ] {
        let (calls, end) = step.run(&[read]);
        assert_eq!((calls.len(), end), (1, Ok(None)));
    }
}

#[test]
fn a_profile_is_never_made() {
    let step = Step::new(&SplitTunnel, Verb::Create, ours(), None);
    assert!(matches!(step.run(&[]).1, Err(KindError::Impossible { hint: Some(_), .. })));
}

#[test]
fn entries_that_cannot_be_are_refused() {
    for (entries, path) in [
        (json!([{"address": "10.0.0.0/99"}]), "entries[0].address"),
        (json!([{"host": "http://a"}]), "entries[0].host"),
        (json!([{"description": "x"}]), "entries[0]"),
        (json!([{"address": "10.0.0.0/8", "host": "a.b"}]), "entries[0]"),
        (json!([{"address": "10.0.0.0/8"}, {"address": "10.9.9.9/8"}]), "entries[1]"),
    ] {
        let spec = json!({"mode": "exclude", "entries": entries});
        assert_eq!(problems(&SplitTunnel, spec), [path]);
    }
    assert!(
        problems(&SplitTunnel, json!({"mode": "exclude", "entries": [{"host": "*.a.b"}]}))
            .is_empty()
    );
}
