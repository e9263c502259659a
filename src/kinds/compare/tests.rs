//! Table tests of the three-way comparison, field by field.

use serde_json::json;

use super::*;
use crate::model::address::Address;
use crate::model::observed::Remote;
use crate::model::secret::SecretId;
use crate::model::value::Reference;

fn diff(facts: &Facts<'_>) -> Diffed {
    let defaults = json!({"ttl": 1}).as_object().cloned().unwrap_or_default();
    fields(facts, Compared { sets: vec!["include"], apart: &[], defaults })
}

/// One case: declared, sent, answered, observed → paths that change, paths that drifted.
fn check(declared: Json, sent: Json, answered: Json, observed: Json, expected: (&[&str], &[&str])) {
    check_with(declared, Some((sent, answered)), observed, &[], expected);
}

#[track_caller]
fn check_with(
    declared: Json,
    recorded: Option<(Json, Json)>,
    observed: Json,
    shared: &[String],
    expected: (&[&str], &[&str]),
) {
    let remote = Remote {
        id: "1".into(),
        spec: observed.clone(),
        outputs: JsonMap::new(),
        version: None,
        raw: observed,
    };
    let facts = Facts {
        declared: Some(&declared),
        sent: recorded.as_ref().map(|(sent, _)| sent),
        answered: recorded.as_ref().map(|(_, answered)| answered),
        version: None,
        remote: &remote,
        preview: None,
        ignore: &["left".to_owned()],
        force: &[],
        shared,
    };
    let diffed = diff(&facts);
    let paths = |changes: &[FieldChange]| -> Vec<String> {
        changes.iter().map(|change| change.path.clone()).collect()
    };
    assert_eq!((paths(&diffed.changes), paths(&diffed.drift)), {
        let own = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect();
        (own(expected.0), own(expected.1))
    });
}

#[test]
fn without_an_answer_only_what_is_there_counts() {
    for (observed, changed) in [(json!({"ttl": 300}), &[][..]), (json!({"ttl": 1}), &["ttl"][..])] {
        let (spec, before) = (json!({"ttl": 300}), json!({"ttl": 300, "note": "x"}));
        let remote = Remote {
            id: "1".into(),
            spec: observed.clone(),
            outputs: JsonMap::new(),
            version: None,
            raw: observed,
        };
        for sent in [&spec, &before] {
            let facts = Facts {
                declared: Some(&spec),
                sent: Some(sent),
                answered: None,
                version: None,
                remote: &remote,
                preview: None,
                ignore: &[],
                force: &[],
                shared: &[],
            };
            let changes = diff(&facts).changes;
            assert_eq!(changes.iter().map(|c| c.path.as_str()).collect::<Vec<_>>(), changed);
        }
    }
}

#[test]
fn what_was_sent_and_answered_is_settled_whatever_the_service_made_of_it() {
    check(
        json!({"name": "A", "list": [{"x": 1}]}),
        json!({"name": "A", "list": [{"x": 1}]}),
        json!({"name": "a ", "list": [{"x": "one", "y": true}]}),
        json!({"name": "a ", "list": [{"x": "one", "y": true}], "other": 1}),
        (&[], &[]),
    );
}

#[test]
fn an_edit_of_the_file_is_a_change_and_no_drift() {
    check(
        json!({"name": "B"}),
        json!({"name": "A"}),
        json!({"name": "a"}),
        json!({"name": "a"}),
        (&["name"], &[]),
    );
}

#[test]
fn an_edit_of_the_world_is_drift_and_taken_back() {
    check(
        json!({"name": "A"}),
        json!({"name": "A"}),
        json!({"name": "A"}),
        json!({"name": "Z"}),
        (&["name"], &["name"]),
    );
}

#[test]
fn both_sides_at_the_same_value_need_no_change() {
    check(
        json!({"name": "Z"}),
        json!({"name": "A"}),
        json!({"name": "A"}),
        json!({"name": "Z"}),
        (&[], &["name"]),
    );
}

#[test]
fn a_field_that_left_the_file_goes_back_to_the_services_default() {
    let sent = json!({"name": "A", "ttl": 300, "comment": "x"});
    check(
        json!({"name": "A"}),
        sent.clone(),
        sent.clone(),
        sent.clone(),
        (&["ttl", "comment"], &[]),
    );
    check(
        json!({"name": "A"}),
        sent.clone(),
        sent,
        json!({"name": "A", "ttl": 1}),
        (&[], &["ttl", "comment"]),
    );
}

#[test]
fn what_is_ignored_or_was_never_said_is_left_alone() {
    check(
        json!({"name": "A", "left": 1}),
        json!({"name": "A", "left": 1}),
        json!({"name": "A", "left": 1}),
        json!({"name": "A", "left": 2, "foreign": 3}),
        (&[], &[]),
    );
}

#[test]
fn a_list_is_wholly_the_files() {
    let rules = json!({"rules": [{"host": "a"}, {"last": true}]});
    let added = json!({"rules": [{"host": "a"}, {"host": "b"}, {"last": true}]});
    check(
        rules.clone(),
        rules.clone(),
        rules.clone(),
        added,
        (
            &["rules[1].last", "rules[1].host", "rules[2]"],
            &["rules[1].last", "rules[1].host", "rules[2]"],
        ),
    );
    let swapped = json!({"rules": [{"last": true}, {"host": "a"}]});
    let four = &["rules[0].host", "rules[0].last", "rules[1].last", "rules[1].host"];
    check(rules.clone(), rules.clone(), rules, swapped, (four, four));
}

#[test]
fn a_field_that_someone_put_into_an_item_of_a_list_is_taken_out() {
    let rules = json!({"rules": [{"host": "a"}]});
    let answered = json!({"rules": [{"host": "a", "origin": {}}]});
    let observed = json!({"rules": [{"host": "a", "origin": {}, "path": "/x"}]});
    check(rules.clone(), rules, answered, observed, (&["rules[0].path"], &["rules[0].path"]));
}

#[test]
fn the_order_of_a_set_means_nothing() {
    let one = json!({"include": [{"email": "a"}, {"email": "b"}]});
    let other = json!({"include": [{"email": "b"}, {"email": "a"}]});
    check(one.clone(), one.clone(), one.clone(), other, (&[], &[]));
    let more = json!({"include": [{"email": "b"}, {"email": "a"}, {"everyone": {}}]});
    check(one.clone(), one.clone(), one, more, (&["include"], &["include"]));
}

#[test]
fn others_items_of_a_shared_list_stay() {
    let ours = json!({"include": [{"email": "a"}]});
    let both = json!({"include": [{"email": "b"}, {"email": "a"}]});
    let shared = ["include".to_owned()];
    check_with(ours.clone(), Some((ours.clone(), both.clone())), both, &shared, (&[], &[]));
    let gone = json!({"include": [{"email": "b"}]});
    let paths: (&[&str], &[&str]) = (&["include"], &["include[0]"]);
    check_with(ours.clone(), Some((ours.clone(), ours)), gone, &shared, paths);
}

#[test]
fn adopting_compares_what_is_declared_and_knows_defaults() {
    check_with(json!({"name": "A", "ttl": 1}), None, json!({"name": "A", "x": 1}), &[], (&[], &[]));
    check_with(
        json!({"name": "A", "ttl": 60}),
        None,
        json!({"name": "B"}),
        &[],
        (&["name", "ttl"], &[]),
    );
}

#[test]
fn a_secret_is_compared_by_its_reference_and_an_unknown_always_changes() {
    let secret = |fingerprint: &str| json!({"value": crate::model::value::Special::secret(SecretId::variable("p"), Some(fingerprint.into()))});
    check(secret("f"), secret("f"), json!({}), json!({}), (&[], &[]));
    check(secret("g"), secret("f"), json!({}), json!({}), (&["value"], &[]));
    let reference = Reference { address: Address::new("tunnel", "a"), output: "id".into() };
    let unknown = json!({"value": crate::model::value::Special::unknown(reference)});
    check(
        unknown,
        json!({"value": 1}),
        json!({"value": 1}),
        json!({"value": 1}),
        (&["value"], &[]),
    );
}
