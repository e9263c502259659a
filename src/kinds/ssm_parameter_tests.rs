use super::*;
use crate::kinds::testing::{Step, bodies, declare, facts, ok, part_of, problems, read, refusal};
use crate::model::address::Address;

fn seen(version: u64) -> Json {
    json!({"Name": "p", "Type": "SecureString", "Version": version, "Tier": "Standard",
        "LastModifiedDate": 1_700_000_000.5, "Description": "d", "DataType": "text",
        "ARN": "arn:aws:ssm:r:1:parameter/p", "LastModifiedUser": "someone",
        "Tags": [{"Key": "a", "Value": "1"}, {"Key": "x", "Value": "y"}]})
}

/// As the sender shows what GetParameters answers.
fn undescribed(version: u64) -> Json {
    json!({"Name": "p", "Type": "SecureString", "Version": version, "DataType": "text",
        "LastModifiedDate": 1_700_000_000.5, "ARN": "arn:aws:ssm:r:1:parameter/p",
        "Undescribed": true})
}

fn described(version: u64) -> Answer {
    ok(json!({"Parameters": [seen(version)]}))
}

fn token() -> Json {
    let source = SecretId::output(&Address::new("tunnel", "a"), "token");
    Special::secret(source, Some("f".to_owned()))
}

fn spec(more: Json) -> Json {
    let mut spec = json!({"name": "p", "value": token(), "description": "d"});
    for (key, value) in fields(&more) {
        spec[key] = value;
    }
    declare(&SsmParameter, spec)
}

fn operations(calls: &[Call]) -> Vec<&str> {
    calls.iter().map(|call| call.path.as_str()).collect()
}

#[test]
fn a_create_never_overwrites_and_carries_tags() {
    let step = Step::new(&SsmParameter, Verb::Create, spec(json!({"tags": {"a": "1"}})), None);
    let (calls, end) = step.run(&[ok(json!({"Version": 1, "Tier": "Standard"})), described(1)]);
    assert_eq!(operations(&calls), ["PutParameter", "DescribeParameters"]);
    assert!(calls[0].mutating && !calls[1].mutating);
    assert_eq!(
        bodies(&calls)[0],
        json!({"Name": "p", "Type": "SecureString", "Description": "d", "Value": token(),
            "Tags": [{"Key": "a", "Value": "1"}]})
    );
    assert_eq!(Json::Object(calls[0].key.clone()), json!({"Name": "p"}));
    let remote = end.unwrap().unwrap();
    assert_eq!(remote.version.as_deref(), Some("1@1700000000.5"));
    assert_eq!(remote.outputs["version"], "1");
}

#[test]
fn a_description_that_lags_behind_gives_the_version_that_was_written() {
    let step = Step::new(&SsmParameter, Verb::Create, spec(json!({})), None);
    let (put, none) = (ok(json!({"Version": 1})), ok(json!({"Parameters": []})));
    let got = |version: u64| ok(json!({"Parameters": [undescribed(version)]}));
    let denied = refusal(400, "AccessDeniedException");
    for (asked, version) in [(got(1), "1@1700000000.5"), (got(2), "1@"), (denied, "1@")] {
        let (calls, end) = step.run(&[put.clone(), none.clone(), asked]);
        assert_eq!(operations(&calls), ["PutParameter", "DescribeParameters", "GetParameters"]);
        let remote = end.unwrap().unwrap();
        assert_eq!(remote.version.as_deref(), Some(version));
        assert_eq!(remote.outputs["version"], "1");
        assert_eq!(remote.spec["description"], "d");
    }
    assert!(same_version("1@", "1@17") && !same_version("1@17", "1@18"));
    assert!(!same_version("1@", "2@"));
}

#[test]
fn an_update_looks_first_and_notices_a_version_in_between() {
    let remote = read(&SsmParameter, &seen(3));
    let declared = spec(json!({"tags": {"a": "2"}}));
    let mut step = Step::new(&SsmParameter, Verb::Update, declared, Some(remote));
    step.sent = Some(spec(json!({"tags": {"a": "1", "b": "1"}})));
    let put = |version: u64| ok(json!({"Version": version}));
    let (calls, end) =
        step.run(&[described(3), put(4), ok(json!({})), ok(json!({})), described(4)]);
    assert_eq!(
        operations(&calls),
        [
            "DescribeParameters",
            "PutParameter",
            "AddTagsToResource",
            "RemoveTagsFromResource",
            "DescribeParameters"
        ]
    );
    let bodies = bodies(&calls);
    assert_eq!(bodies[1]["Overwrite"], true);
    assert!(bodies[1].get("Tags").is_none());
    assert_eq!(bodies[2]["Tags"], json!([{"Key": "a", "Value": "2"}]));
    assert_eq!(bodies[3]["TagKeys"], json!(["b"]));
    assert!(end.is_ok());
    let (_, end) = step.run(&[described(3), put(5)]);
    let error = end.unwrap_err().to_string();
    assert!(error.contains("version 5 was written, but version 4"), "{error}");
    // What was seen lags behind what boxctl itself has written.
    step.version = Some("4@1700000001".to_owned());
    let answers = [described(3), put(5), ok(json!({})), ok(json!({})), described(5)];
    assert!(step.run(&answers).1.is_ok());
}

#[test]
fn a_change_of_tags_alone_makes_no_version() {
    let remote = read(&SsmParameter, &seen(3));
    let tags = |more: Json| spec(json!({"tags": more}));
    let mut step =
        Step::new(&SsmParameter, Verb::Update, tags(json!({"a": "2"})), Some(remote.clone()));
    step.sent = Some(tags(json!({"a": "1", "b": "1"})));
    step.version = Some("3@1700000000.5".to_owned());
    let (calls, end) = step.run(&[ok(json!({})), ok(json!({})), described(3)]);
    assert_eq!(
        operations(&calls),
        ["AddTagsToResource", "RemoveTagsFromResource", "DescribeParameters"]
    );
    assert_eq!(end.unwrap().unwrap().version.as_deref(), Some("3@1700000000.5"));

    // A version of someone else is covered, and what stands around the value goes with it.
    for (version, description, removed) in
        [("2@1", "d", ""), ("3@", "new", ""), ("3@", "d", "key_id")]
    {
        let declared = spec(json!({"tags": {"a": "2"}, "description": description}));
        let mut step = Step::new(&SsmParameter, Verb::Update, declared, Some(remote.clone()));
        step.sent = Some(tags(json!({"a": "1"})));
        step.version = Some(version.to_owned());
        step.removed = Some(removed.to_owned()).into_iter().filter(|r| !r.is_empty()).collect();
        let (calls, _) =
            step.run(&[described(3), ok(json!({"Version": 4})), ok(json!({})), described(4)]);
        assert_eq!(calls[1].path, "PutParameter", "{version} {description} {removed}");
    }
}

#[test]
fn an_ignored_value_is_put_back_with_what_changes_around_it() {
    let remote = read(&SsmParameter, &seen(3));
    let declared = spec(json!({"description": "new"}));
    let mut step = Step::new(&SsmParameter, Verb::Update, declared, Some(remote));
    step.sent = Some(spec(json!({})));
    step.version = Some("3@1700000000.5".to_owned());
    step.ignore = vec!["value".to_owned()];
    let answers = [
        described(3),
        ok(json!({"Parameter": {"Name": "p"}})),
        ok(json!({"Version": 4})),
        described(4),
    ];
    let (calls, end) = step.run(&answers);
    assert_eq!(calls[1].path, "GetParameter");
    let own = SecretId::output(&Address::new("ssm_parameter", "x"), "value");
    assert_eq!(bodies(&calls)[2]["Value"], Special::secret(own, None));
    assert!(end.is_ok());
}

#[test]
fn a_description_that_lags_behind_is_no_one_s_write() {
    let remote = read(&SsmParameter, &seen(4));
    let declared = spec(json!({}));
    let diff = |version: &str| {
        let facts = Facts {
            version: Some(version),
            ..facts(Some(&declared), Some(&declared), &remote, &[])
        };
        SsmParameter.diff(&facts)
    };
    assert_eq!(diff("5@1700000001"), Diffed::default());
    // Made anew by someone, it counts from one again, and is younger.
    assert_eq!(diff("5@1600000000").drift[0].path, "value");
}

#[test]
fn what_is_not_described_yet_is_as_it_was_written() {
    let whole = json!({"Parameters": [undescribed(3)], "InvalidParameters": []});
    let remote = read(&SsmParameter, &whole);
    let sent = spec(json!({"tier": "Advanced", "key_id": "alias/own", "tags": {"a": "1"}}));
    let diff = |declared: &Json, version: &str| {
        let facts =
            Facts { version: Some(version), ..facts(Some(declared), Some(&sent), &remote, &[]) };
        SsmParameter.diff(&facts)
    };
    assert_eq!(diff(&sent, "3@1700000000.5"), Diffed::default());
    let changed = diff(&spec(json!({"tier": "Advanced", "key_id": "alias/own"})), "3@");
    assert_eq!(changed.removed, ["tags.a"]);
    assert_eq!(diff(&sent, "2@1600000000").drift[0].path, "value");

    // A change of tags alone looks at what it has done, and that is not described either.
    let mut declared = sent.clone();
    declared["tags"] = json!({"a": "2"});
    let mut step = Step::new(&SsmParameter, Verb::Update, declared, Some(remote));
    step.sent = Some(sent);
    step.version = Some("3@1700000000.5".to_owned());
    let (calls, end) = step.run(&[ok(json!({})), ok(json!({"Parameters": []})), ok(whole)]);
    assert_eq!(operations(&calls), ["AddTagsToResource", "DescribeParameters", "GetParameters"]);
    assert_eq!(end.unwrap().unwrap().version.as_deref(), Some("3@1700000000.5"));
}

#[test]
fn a_value_that_the_files_do_not_say_is_put_back() {
    let remote = read(&SsmParameter, &seen(3));
    for value in [json!({"generate": {"length": 32}}), json!({"by_hand": true})] {
        let declared = spec(json!({"value": value, "description": "new"}));
        let step = Step::new(&SsmParameter, Verb::Update, declared, Some(remote.clone()));
        let answers = [
            described(3),
            ok(json!({"Parameter": {"Name": "p"}})),
            ok(json!({"Version": 4})),
            described(4),
        ];
        let (calls, end) = step.run(&answers);
        assert_eq!(calls[1].path, "GetParameter");
        let own = SecretId::output(&Address::new("ssm_parameter", "x"), "value");
        assert_eq!(bodies(&calls)[2]["Value"], Special::secret(own, None));
        assert!(end.is_ok());
    }
    let hand = spec(json!({"value": {"by_hand": true}}));
    let step = Step::new(&SsmParameter, Verb::Create, hand, None);
    assert!(matches!(step.run(&[]).1, Err(KindError::Impossible { .. })));
    let made = spec(json!({"value": {"generate": {"length": 20}}}));
    assert_eq!(SsmParameter.makes(&made), [("value", Recipe::Characters(20))]);
}

#[test]
fn a_foreign_version_is_drift_of_the_value_and_is_written_over() {
    let remote = read(&SsmParameter, &seen(4));
    let declared = spec(json!({}));
    let diff = |version: &str, declared: &Json, sent: &Json| {
        let facts =
            Facts { version: Some(version), ..facts(Some(declared), Some(sent), &remote, &[]) };
        SsmParameter.diff(&facts)
    };
    let same = diff("4@1700000000.5", &declared, &declared);
    assert_eq!(same, Diffed::default());
    let foreign = diff("3@1", &declared, &declared);
    assert_eq!(foreign.drift[0].path, "value");
    assert_eq!(foreign.drift[0].by.as_deref(), Some("someone"));
    assert!(foreign.drift[0].secret);
    assert_eq!(foreign.changes[0].path, "value");
    let hand = spec(json!({"value": {"by_hand": true}}));
    assert_eq!(diff("3@1", &hand, &hand), Diffed::default());
    let rotated = spec(json!({"value": Special::secret(SecretId::variable("v"), None)}));
    assert_eq!(diff("4@", &rotated, &declared).changes[0].path, "value");
    let adopting = SsmParameter.diff(&facts(Some(&declared), None, &remote, &[]));
    let value = adopting.changes.iter().find(|change| change.path == "value").unwrap();
    assert!(value.secret, "what is not read is written, and never shown");
    let hand = SsmParameter.diff(&facts(Some(&hand), None, &remote, &[]));
    assert!(hand.changes.iter().all(|change| change.path != "value"));
}

#[test]
fn what_is_described_reads_back_and_a_delete_takes_not_found() {
    let remote = read(&SsmParameter, &seen(1));
    let mut declared = spec(json!({"tags": {"a": "1"}}));
    declared.as_object_mut().unwrap().shift_remove("value");
    assert!(part_of(&declared, &remote.spec));
    assert_eq!(declare(&SsmParameter, declared.clone()), declared);
    let step = Step::new(&SsmParameter, Verb::Delete, declared, Some(remote));
    assert_eq!(step.run(&[refusal(400, "ParameterNotFound")]).1, Ok(None));
    assert!(step.run(&[refusal(400, "ValidationException")]).1.is_err());
}

#[test]
fn parameters_that_cannot_be_are_refused() {
    for (more, path) in [
        (json!({"name": "a b"}), "name"),
        (json!({"name": "a/b"}), "name"),
        (json!({"name": "/aws/x"}), "name"),
        (json!({"value": ""}), "value"),
        (json!({"value": "{{x}}"}), "value"),
        (json!({"value": "x".repeat(5000)}), "value"),
        (json!({"value": {"generate": {"length": 3}}}), "value.generate.length"),
        (json!({"value": {"other": 1}}), "value"),
        (json!({"type": "String", "key_id": "k"}), "key_id"),
        (json!({"type": "String", "value": "a", "allowed_pattern": "^[0-9]+$"}), "value"),
        (json!({"allowed_pattern": "x".repeat(1025)}), "allowed_pattern"),
        (json!({"description": "x".repeat(1025)}), "description"),
        (json!({"key_id": "x".repeat(257)}), "key_id"),
        (json!({"data_type": "number"}), "data_type"),
        (json!({"tags": {"aws:x": "y"}}), "tags.aws:x"),
        (json!({"tags": {"a": "x".repeat(257)}}), "tags.a"),
        (json!({"tags": {"a": "x;y"}}), "tags.a"),
    ] {
        assert_eq!(problems(&SsmParameter, spec(more.clone())), [path], "{more}");
    }
    for more in [
        json!({"name": "/a/b.c_d-e"}),
        json!({"type": "String", "value": "12", "allowed_pattern": "^[0-9]+$"}),
        // Java knows this pattern.
        json!({"type": "String", "value": "ab", "allowed_pattern": "^(?!x).*$"}),
        json!({"type": "String", "value": "{{ alone"}),
        json!({"tags": {"Cost Center": "a/b:c@d"}, "tier": "Advanced", "value": "x".repeat(8192)}),
    ] {
        assert_eq!(problems(&SsmParameter, spec(more.clone())), [""; 0], "{more}");
    }
}

#[test]
fn the_tier_that_results_is_the_intelligent_one_when_it_is_taken_over() {
    let declared = spec(json!({"tier": "Intelligent-Tiering"}));
    for (there, paths) in [("Standard", vec!["value"]), ("Advanced", vec!["value"])] {
        let mut item = seen(1);
        item["Tier"] = json!(there);
        let remote = read(&SsmParameter, &item);
        let diffed = SsmParameter.diff(&facts(Some(&declared), None, &remote, &[]));
        let found: Vec<&str> = diffed.changes.iter().map(|change| change.path.as_str()).collect();
        assert_eq!(found, paths, "{there}");
    }
    let remote = read(&SsmParameter, &seen(1));
    let advanced = spec(json!({"tier": "Advanced"}));
    let diffed = SsmParameter.diff(&facts(Some(&advanced), None, &remote, &[]));
    assert!(diffed.changes.iter().any(|change| change.path == "tier"));
}

#[test]
fn values_are_read_where_it_is_known_what_they_were() {
    let address = Address::new("ssm_parameter", "p");
    let made = Special::secret(SecretId::output(&address, "value"), Some("g".to_owned()));
    let generated = json!({"generate": {"length": 32}});
    let read = |value: &Json, more: Json| {
        let recorded: Recorded = serde_json::from_value(json!({
            "kind": "ssm_parameter", "id": "p", "key": {}, "answered": {}, "outputs": {},
            "sent": spec(json!({"value": value})), "secrets": {"value": "g"},
            "created_at": "2026-11-22T00:00:00Z", "updated_at": "2026-11-22T00:00:00Z",
        }))
        .unwrap();
        let mut item = seen(1);
        item.as_object_mut().unwrap().extend(fields(&more));
        let remote = crate::kinds::testing::read(&SsmParameter, &item);
        SsmParameter.unread(&address, &recorded, &remote, &Scope::default()).pop()
    };
    for (value, more, expected) in [
        (token(), json!({}), Some((token(), 1))),
        (token(), json!({"KeyId": "alias/own"}), Some((token(), 2))),
        (json!("one"), json!({"Type": "String"}), Some((json!("one"), 1))),
        (generated.clone(), json!({}), Some((made, 1))),
        (json!({"by_hand": true}), json!({}), None),
    ] {
        let unread = read(&value, more);
        assert_eq!(unread.map(|unread| (unread.kept, unread.wants.len())), expected, "{value}");
    }
    for (declared, writes) in [(token(), true), (generated, false)] {
        assert_eq!(SsmParameter.writes(&json!({"value": declared}), "value"), writes);
    }
}
