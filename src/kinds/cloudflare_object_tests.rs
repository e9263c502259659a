use proptest::prelude::*;

use super::*;
use crate::kinds::testing::{Step, bodies, declare, facts, line, ok, problems, refusal, scope};
use crate::model::kind::Verb;
use crate::model::secret::SecretId;
use crate::model::value::Special;

const KV: &str = "accounts/acc/storage/kv/namespaces";

fn kv(more: Json) -> Json {
    let mut spec = json!({"path": "accounts/{account_id}/storage/kv/namespaces", "key": "title",
        "body": {"title": "a"}});
    for (name, value) in fields(&more) {
        spec[name] = value;
    }
    declare(&CloudflareObject, spec)
}

fn seen(spec: &Json, item: Json) -> Remote {
    CloudflareObject.read_by(spec, &item, &scope()).remove(0)
}

fn changed(declared: &Json, sent: &Json, item: Json) -> Vec<String> {
    let remote = seen(sent, item.clone());
    let answered = CloudflareObject.answered(sent, &remote);
    let facts =
        Facts { answered: answered.as_ref(), ..facts(Some(declared), Some(sent), &remote, &[]) };
    let diffed = CloudflareObject.diff(&facts);
    assert!(diffed.drift.is_empty(), "{:?}", diffed.drift);
    diffed.changes.into_iter().map(|change| change.path).collect()
}

#[test]
fn paths_are_filled_in_and_objects_known_by_them() {
    let spec = kv(json!({}));
    assert_eq!((&spec["path"], &spec["key"]), (&json!(KV), &json!(["title"])));
    let remote = seen(&spec, json!({"id": "0f", "title": "a", "more": 1}));
    assert_eq!(remote.id, format!("{KV}/0f"));
    assert_eq!(remote.outputs["id"], "0f");
    assert!(CloudflareObject.fits(&spec, &remote));
    assert!(remote.spec["body"].get("more").is_none());
    let zoned = json!({"path": "/zones/{zone_id}/workers/routes", "zone": "Sub.b0xp.io",
        "key": "pattern", "body": {"pattern": "x"}});
    assert_eq!(declare(&CloudflareObject, zoned.clone())["path"], "zones/z2/workers/routes");
    assert_eq!(CloudflareObject.needs(&zoned), [Need::Zones]);
    let bucket =
        declare(&CloudflareObject, json!({"path": "b", "id": "name", "body": {"name": "x/y"}}));
    let Some(Locate::By(call)) = CloudflareObject.locate(Some(&bucket), None, &scope()) else {
        panic!("it has a path of its own");
    };
    assert_eq!(line(&call), "GET /b/x%2Fy");
    assert_eq!(CloudflareObject.known_outputs(&bucket, &scope())["id"], "x/y");
}

#[test]
fn what_the_service_adds_is_left_alone() {
    let body = json!({"title": "a", "list": [{"x": 1}], "map": {"k": "v"}, "hint": "Apac"});
    let spec = kv(json!({"body": body, "write_only": ["hint"]}));
    let item = |stamp: u32| {
        json!({"id": "1", "title": "a", "list": [{"x": 1, "stamp": stamp}],
        "map": {"k": "v", "added": stamp}, "hint": stamp, "stamp": stamp})
    };
    let remote = seen(&spec, item(2));
    let answered = CloudflareObject.answered(&spec, &seen(&spec, item(1)));
    let facts =
        Facts { answered: answered.as_ref(), ..facts(Some(&spec), Some(&spec), &remote, &[]) };
    assert_eq!(CloudflareObject.diff(&facts), Diffed::default());
    // Adopting, too; a field that differs does.
    let adopting = Facts { sent: None, answered: None, ..facts };
    assert_eq!(CloudflareObject.diff(&adopting), Diffed::default());
    let mut other = item(1);
    other["map"]["k"] = json!("w");
    let remote = seen(&spec, other);
    let differs = CloudflareObject.diff(&Facts { remote: &remote, ..adopting });
    assert_eq!(differs.changes[0].path, "body.map.k");
}

#[test]
fn only_what_the_files_change_is_changed() {
    let sent = kv(json!({"body": {"title": "a", "b": 1, "c": {"d": 1, "e": 2}}}));
    let item = json!({"id": "1", "title": "a", "b": 1, "c": {"d": 1, "e": 2}, "f": 3});
    for (body, expected) in [
        (json!({"title": "a", "b": 1, "c": {"d": 1, "e": 2}}), &[][..]),
        (json!({"title": "a", "b": 2, "c": {"d": 1}}), &["body.b", "body.c.e"][..]),
        // What is there as it is asked for needs no change.
        (json!({"title": "a", "b": 1, "c": {"d": 1, "e": 2}, "f": 3}), &[][..]),
    ] {
        let declared = kv(json!({"body": body}));
        assert_eq!(changed(&declared, &sent, item.clone()), expected, "{body}");
    }
    let declared = kv(json!({"body": sent["body"], "update": "patch", "immutable": ["b"]}));
    assert!(changed(&declared, &sent, item.clone()).is_empty());
    let remote = seen(&sent, item);
    for (at, replaced) in
        [("body.b", true), ("body.c.e", false), ("path", true), ("outputs", false)]
    {
        assert_eq!(CloudflareObject.replaces(at, &declared, &remote).is_some(), replaced, "{at}");
    }
}

#[test]
fn steps_send_what_the_file_says() {
    let spec = kv(json!({}));
    let step = Step::new(&CloudflareObject, Verb::Create, spec.clone(), None);
    let (calls, end) = step.run(&[ok(json!({"id": "1", "title": "a"}))]);
    assert_eq!(line(&calls[0]), format!("POST /{KV}"));
    assert_eq!(Json::Object(calls[0].key.clone()), json!({"title": "a"}));
    assert_eq!(end.unwrap().unwrap().id, format!("{KV}/1"));

    // An answer that does not show the object is followed by a look.
    let remote = seen(&spec, json!({"id": "1", "title": "old"}));
    let mut step = Step::new(&CloudflareObject, Verb::Update, spec.clone(), Some(remote.clone()));
    step.sent = Some(spec.clone());
    let (calls, end) = step.run(&[ok(Json::Null), ok(json!({"id": "1", "title": "a"}))]);
    let lines: Vec<String> = calls.iter().map(line).collect();
    assert_eq!(lines, [format!("PUT /{KV}/1"), format!("GET /{KV}/1")]);
    assert_eq!(end.unwrap().unwrap().spec["body"], json!({"title": "a"}));

    let step = Step::new(&CloudflareObject, Verb::Delete, spec, Some(remote));
    let (calls, end) = step.run(&[refusal(404, "10013")]);
    assert_eq!((line(&calls[0]), end), (format!("DELETE /{KV}/1"), Ok(None)));
}

#[test]
fn a_patch_holds_what_differs_and_null_for_what_left() {
    let spec = kv(json!({"update": "patch", "body": {"title": "a", "b": 2, "hint": "x"},
        "write_only": ["hint"]}));
    let sent = kv(json!({"body": {"title": "a", "b": 1, "hint": "x", "env": {"k": 1}}}));
    let remote = seen(&sent, json!({"id": "1", "title": "a", "b": 1, "env": {"k": 1}}));
    let mut step = Step::new(&CloudflareObject, Verb::Update, spec, Some(remote));
    step.sent = Some(sent);
    step.removed = vec!["body.env.k".to_owned()];
    let (calls, _) = step.run(&[ok(json!({"id": "1", "title": "a", "b": 2}))]);
    assert_eq!(bodies(&calls), [json!({"b": 2, "env": {"k": null}})]);
}

#[test]
fn a_singleton_is_written_in_its_place_and_never_deleted() {
    let spec = |more: Json| {
        let mut spec = json!({"path": "zones/z/x", "singleton": true, "body": {"a": 1}});
        spec.as_object_mut().unwrap().extend(fields(&more));
        declare(&CloudflareObject, spec)
    };
    let made = Step::new(&CloudflareObject, Verb::Create, spec(json!({})), None);
    let (calls, end) = made.run(&[ok(json!({"id": "7", "a": 1}))]);
    assert_eq!(
        (line(&calls[0]), end.unwrap().unwrap().id),
        ("PUT /zones/z/x".into(), "zones/z/x".into())
    );
    let patched =
        Step::new(&CloudflareObject, Verb::Create, spec(json!({"update": "patch"})), None);
    assert!(patched.run(&[]).1.is_err());
    let remote = seen(&spec(json!({})), json!({"a": 1}));
    let left = spec(json!({}));
    assert!(matches!(CloudflareObject.leaving(&left), Leaving::Left(_)));
    let back = spec(json!({"reset": {"a": 0}}));
    assert!(matches!(CloudflareObject.leaving(&back), Leaving::Emptied(_)));
    let step = Step::new(&CloudflareObject, Verb::Delete, back, Some(remote));
    let (calls, end) = step.run(&[ok(json!({"a": 0}))]);
    assert_eq!((bodies(&calls), end), (vec![json!({"a": 0})], Ok(None)));
}

#[test]
fn secrets_are_taken_out_of_what_is_read() {
    let secret = Special::secret(SecretId::variable("x"), None);
    let body =
        json!({"title": "a", "config": {"key": secret, "plain": 1}, "list": [{"v": secret}]});
    let spec = kv(json!({"body": body, "secrets": {"token": "auth.token"},
        "outputs": {"first": "names[0].n"}}));
    let remote = seen(
        &spec,
        json!({"id": "1", "title": "a", "names": [{"n": "x"}],
        "config": {"key": "SEEN", "plain": 1}, "list": [{"v": "SEEN"}], "auth": {"token": "SEEN"}}),
    );
    assert!(!format!("{remote:?}").contains("SEEN"), "{remote:?}");
    assert_eq!(remote.outputs["first"], "x");
    assert_eq!(remote.spec["body"]["config"], json!({"plain": 1}));
    assert_eq!(CloudflareObject.secret_outputs(&spec), ["token"]);
    let (call, pointer) = CloudflareObject.reveal(&remote, "token", &scope()).unwrap();
    assert_eq!((line(&call), pointer.as_str()), (format!("GET /{KV}/1"), "/auth/token"));

    let own = kv(json!({"body": {"title": "a", "config": {"key": "k"}},
        "secrets": {"key": "config.key"}}));
    let text = |text: &str| text.to_owned();
    assert_eq!(literal_secrets(&own), [(text("key"), text("body.config.key"), text("k"))]);
    let echoed = seen(&own, json!({"id": "1", "title": "a", "config": {"key": "***"}}));
    assert_eq!(echoed.spec["body"]["config"], json!({}));
    assert!(CloudflareObject.named_outputs(&own)[0].pointer.is_none());
}

#[test]
fn specs_that_cannot_be_meant_are_refused() {
    for (spec, at) in [
        (json!({"path": "a/b", "body": {"title": "x"}}), &[""][..]),
        (json!({"path": "a/b", "key": ["x", "title"], "body": {"title": "x"}}), &["key[0]"][..]),
        (json!({"path": "a/{b}", "key": "title", "body": {"title": "x"}}), &["path"][..]),
        (
            json!({"path": "zones/{zone_id}/x", "key": "title", "body": {"title": "x"}}),
            &["path"][..],
        ),
        (json!({"path": "a?b", "key": "title", "body": {"title": "x"}}), &["path"][..]),
        (json!({"path": "a/cfd_tunnel", "key": "name", "body": {"name": "x"}}), &["path"][..]),
        (json!({"path": "a", "singleton": true, "update": "none", "body": {}}), &["update"][..]),
        (json!({"path": "a", "id": "name", "body": {"name": 1}}), &["body.name"][..]),
        (
            json!({"path": "a", "key": "t", "body": {"t": 1}, "outputs": {"A": "x"}, "secrets": {"b": ""}}),
            &["outputs.A", "secrets.b"][..],
        ),
        (json!({"path": "a", "id": "name", "body": {"name": "x"}}), &[][..]),
    ] {
        assert_eq!(problems(&CloudflareObject, spec.clone()), at, "{spec}");
    }
}

fn bodies_of_any_form() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i32>().prop_map(Json::from),
        "[A-Za-z0-9 .:/]{0,8}".prop_map(Json::from),
    ];
    let value = leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::btree_map("[a-e]{1,2}", inner, 0..4).prop_map(|map| json!(map)),
        ]
    });
    ("[A-Za-z0-9]{1,8}", prop::collection::btree_map("[a-e]{1,2}", value, 0..5)).prop_map(
        |(title, map)| {
            let mut body = json!(map);
            body["title"] = json!(title);
            body
        },
    )
}

/// What a service makes of a body: nulls left out where it does so, fields of its own in every
/// object, and texts in its own form.
fn answered_as(value: &Json, stamp: u32, drops_nulls: bool, upper: bool) -> Json {
    let deeper = |value: &Json| answered_as(value, stamp, drops_nulls, upper);
    match value {
        Json::Object(map) => {
            let kept = map.iter().filter(|(_, value)| !drops_nulls || !value.is_null());
            let mut out: JsonMap = kept.map(|(name, v)| (name.clone(), deeper(v))).collect();
            out.insert("x_added".to_owned(), json!(stamp));
            Json::Object(out)
        }
        Json::Array(items) => items.iter().map(deeper).collect(),
        Json::String(text) if upper => json!(text.to_uppercase()),
        other => other.clone(),
    }
}

proptest! {
    #[test]
    fn what_was_sent_and_answered_settles_whatever_the_service_adds(
        body in bodies_of_any_form(),
        drops_nulls in any::<bool>(),
        upper in any::<bool>(),
        patches in any::<bool>(),
    ) {
        let spec = kv(json!({"body": body, "update": if patches { "patch" } else { "put" }}));
        prop_assert_eq!(&declare(&CloudflareObject, spec.clone()), &spec);
        let answer = |stamp, upper| {
            let mut item = answered_as(&body, stamp, drops_nulls, upper);
            item["id"] = json!("1");
            item
        };
        let written = seen(&spec, answer(1, upper));
        let record = CloudflareObject.answered(&spec, &written);
        let later = seen(&spec, answer(2, upper));
        let facts = Facts {
            answered: record.as_ref(),
            ..facts(Some(&spec), Some(&spec), &later, &[])
        };
        prop_assert_eq!(CloudflareObject.diff(&facts), Diffed::default());
        // What is spelt as the file has it is taken over as it is, and found by its key.
        let plain = seen(&spec, answer(2, false));
        let adopting = Facts { sent: None, answered: None, remote: &plain, ..facts };
        if !drops_nulls {
            prop_assert_eq!(CloudflareObject.diff(&adopting), Diffed::default());
        }
        prop_assert!(CloudflareObject.fits(&spec, &plain));
    }
}

#[test]
fn what_a_list_leaves_out_is_known_to_be_missing() {
    let spec = json!({"path": "accounts/a/x", "key": "name", "write_only": ["hint"],
        "body": {"name": "a", "hint": "b", "rules": [], "nothing": null}});
    let with_output = {
        let mut spec = spec.clone();
        spec["outputs"] = json!({"place": "at.place"});
        spec
    };
    for (item, whole, with_outputs) in [
        (json!({"id": "1", "name": "a"}), false, false),
        (json!({"id": "1", "name": "a", "rules": [1]}), true, false),
        (json!({"id": "1", "name": "a", "rules": null, "at": {}}), true, true),
    ] {
        let remote = CloudflareObject.read_by(&spec, &item, &Scope::default()).remove(0);
        assert_eq!(CloudflareObject.is_whole(&spec, &remote), whole, "{item}");
        assert_eq!(CloudflareObject.is_whole(&with_output, &remote), with_outputs, "{item}");
    }
}
