use proptest::prelude::*;

use super::*;
use crate::kinds::testing::{
    Step, bodies, declare, example, line, object, ok, part_of, problems, read, recorded, refusal,
    scope,
};
use crate::model::kind::{Shows, Written};

const EXAMPLE: &str = include_str!("../../tests/contract/dns_record.json");

#[test]
fn the_example_of_the_contract_is_read() {
    let remote = read(&DnsRecord, &example(EXAMPLE));
    assert_eq!(remote.id, "z1/372e67954025e0ba6aaa6d586b9e0b59");
    let declared = declare(
        &DnsRecord,
        json!({"name": "k8s", "zone": "b0xp.io", "type": "cname", "proxied": true,
            "content": "F70FF985-a4ef-4643-bbbc-4a0ed4fc8415.cfargotunnel.com.",
            "comment": "managed by x", "tags": [], "settings": {"flatten_cname": false}}),
    );
    assert!(part_of(&declared, &remote.spec), "{declared} {}", remote.spec);
    assert!(DnsRecord.fits(&declared, &remote));
    assert_eq!(remote.outputs.get("hostname"), Some(&json!("k8s.b0xp.io")));
}

#[test]
fn names_find_their_zone() {
    let mut one = scope();
    one.zones.truncate(1);
    for (scope, spec, expected) in [
        (&one, json!({"name": "@"}), Some("b0xp.io")),
        (&one, json!({"name": "App"}), Some("app.b0xp.io")),
        (&one, json!({"name": "a.b"}), Some("a.b.b0xp.io")),
        (&one, json!({"name": "b0xp.io"}), Some("b0xp.io")),
        (&one, json!({"name": "x.example.com."}), None),
        (&scope(), json!({"name": "app"}), None),
        (&scope(), json!({"name": "app", "zone": "z1"}), Some("app.b0xp.io")),
        (&scope(), json!({"name": "app.sub.b0xp.io"}), Some("app.sub.b0xp.io")),
        (&scope(), json!({"name": "app.sub", "zone": "b0xp.io"}), None),
        (&scope(), json!({"name": "app", "zone": "other.io"}), None),
    ] {
        let found = place(&spec, scope).ok().flatten().map(|(name, _)| name);
        assert_eq!(found.as_deref(), expected, "{spec}");
    }
}

#[test]
fn a_record_is_created_patched_and_deleted() {
    let spec =
        declare(&DnsRecord, json!({"name": "app.b0xp.io", "type": "A", "content": "192.0.2.1"}));
    let step = Step::new(&DnsRecord, Verb::Create, spec.clone(), None);
    let answer = json!({"id": "r1", "name": "app.b0xp.io", "type": "A",
        "content": "192.0.2.1", "ttl": 1, "comment": "old"});
    let (calls, end) = step.run(&[ok(answer.clone())]);
    assert_eq!(line(&calls[0]), "POST /zones/z1/dns_records");
    assert_eq!(
        bodies(&calls)[0],
        json!({"name": "app.b0xp.io", "type": "A", "content": "192.0.2.1", "ttl": 1,
            "proxied": false})
    );
    for (field, value) in &calls[0].key {
        assert_eq!(bodies(&calls)[0].get(field), Some(value));
    }
    let remote = end.unwrap();
    assert_eq!(remote.as_ref().unwrap().id, "z1/r1");

    let mut step = Step::new(&DnsRecord, Verb::Update, spec.clone(), remote.clone());
    step.removed = vec!["comment".to_owned()];
    let (calls, _) = step.run(&[ok(answer)]);
    assert_eq!(line(&calls[0]), "PATCH /zones/z1/dns_records/r1");
    assert_eq!(bodies(&calls)[0]["comment"], "");

    let step = Step::new(&DnsRecord, Verb::Delete, spec, remote);
    let (calls, end) = step.run(&[refusal(404, "81044")]);
    assert_eq!(line(&calls[0]), "DELETE /zones/z1/dns_records/r1");
    assert_eq!(end, Ok(None));
}

#[test]
fn records_that_cannot_be_are_refused() {
    for (spec, path) in [
        (json!({"name": "a..b0xp.io", "type": "A", "content": "192.0.2.1"}), "name"),
        (json!({"name": "a.other.io", "type": "A", "content": "192.0.2.1"}), "name"),
        (json!({"name": "a.b0xp.io", "type": "A", "content": "x"}), "content"),
        (json!({"name": "a.b0xp.io", "type": "A"}), ""),
        (json!({"name": "a.b0xp.io", "type": "B", "content": "x"}), "type"),
        (json!({"name": "a.b0xp.io", "type": "SRV", "content": "x", "data": {}}), "content"),
        (json!({"name": "a.b0xp.io", "type": "TXT", "content": "x", "proxied": true}), "proxied"),
        (json!({"name": "a.b0xp.io", "type": "TXT", "content": "x", "ttl": 5}), "ttl"),
        (
            json!({"name": "a.b0xp.io", "type": "A", "content": "192.168.1.7", "proxied": true}),
            "proxied",
        ),
        (
            json!({"name": "a.b0xp.io", "type": "AAAA", "content": "fd00::1", "proxied": true}),
            "proxied",
        ),
        (
            json!({"name": "a.b0xp.io", "type": "A", "content": "192.0.2.1", "proxied": true,
                "ttl": 300}),
            "ttl",
        ),
        (
            json!({"name": "a.b0xp.io", "type": "A", "content": "192.168.10.98", "proxied": true}),
            "proxied",
        ),
        (
            json!({"name": "a.b0xp.io", "type": "AAAA", "content": "fd00::1", "proxied": true}),
            "proxied",
        ),
        (json!({"name": "a.b0xp.io", "type": "CNAME", "content": "A.b0xp.io."}), "content"),
        (json!({"name": "a.b0xp.io", "type": "MX", "content": "m.b0xp.io"}), ""),
        (
            json!({"name": "a.b0xp.io", "type": "URI",
                "data": {"weight": 1, "target": "https://b0xp.io/"}}),
            "",
        ),
    ] {
        assert_eq!(problems(&DnsRecord, spec.clone()), [path], "{spec}");
    }
    let reference = crate::model::value::Special::reference(
        crate::model::address::Address::new("tunnel", "a"),
        "cname",
    );
    for spec in [
        json!({"name": "a.b0xp.io", "type": "CNAME", "content": reference, "proxied": true}),
        json!({"name": "a.b0xp.io", "type": "AAAA", "content": "100::", "proxied": true}),
        json!({"name": "a.b0xp.io", "type": "A", "content": "192.168.1.7"}),
    ] {
        assert!(problems(&DnsRecord, spec.clone()).is_empty(), "{spec}");
    }
}

#[test]
fn a_cname_is_the_only_address_of_its_name() {
    let record = |name: &str, kind: &str, content: &str| {
        let item = json!({"id": "r", "name": name, "type": kind, "content": content, "ttl": 1});
        read(&DnsRecord, &item)
    };
    for (declared, there, clashes) in [
        ("CNAME", record("a.b0xp.io", "A", "192.0.2.1"), true),
        ("CNAME", record("a.b0xp.io", "AAAA", "100::"), true),
        ("A", record("A.b0xp.io.", "CNAME", "x.example.com"), true),
        ("AAAA", record("a.b0xp.io", "CNAME", "x.example.com"), true),
        ("AAAA", record("a.b0xp.io", "A", "192.0.2.1"), false),
        ("A", record("a.b0xp.io", "A", "192.0.2.1"), false),
        ("CNAME", record("a.b0xp.io", "CNAME", "x.example.com"), false),
        ("CNAME", record("a.b0xp.io", "TXT", "x"), false),
        ("CNAME", record("b.b0xp.io", "A", "192.0.2.1"), false),
        ("TXT", record("a.b0xp.io", "CNAME", "x.example.com"), false),
    ] {
        let spec = json!({"name": "a.b0xp.io", "type": declared, "content": "y.example.com"});
        let spec = declare(&DnsRecord, spec);
        let found = DnsRecord.clash(&spec, &there).is_some();
        assert_eq!(found, clashes, "{declared} beside {:?}", there.spec);
    }
}

proptest! {
    #[test]
    fn declaring_twice_changes_nothing_and_what_is_sent_reads_back(
        name in "[A-Za-z][A-Za-z0-9]{0,8}(\\.[a-z]{1,5})?",
        record in prop_oneof![
            "[0-9]{1,2}\\.0\\.2\\.[0-9]{1,2}".prop_map(|content| ("A", content)),
            "2001:DB8:0:0::[0-9A-F]{1,4}".prop_map(|content| ("AAAA", content)),
            "[A-Za-z]{1,8}\\.Example\\.com\\.?".prop_map(|content| ("CNAME", content)),
            "[ -~]{1,40}".prop_map(|content| ("TXT", content)),
        ],
        ttl in prop::option::of(60u32..86400),
        comment in prop::option::of("[ -~]{0,20}"),
        tags in prop::option::of(prop::collection::vec("[a-z]{1,4}:[a-z]{1,4}", 0..3)),
    ) {
        let mut spec = json!({"name": name, "zone": "b0xp.io", "type": record.0,
            "content": record.1});
        if let Some(ttl) = ttl { spec["ttl"] = json!(ttl); }
        if let Some(comment) = comment { spec["comment"] = json!(comment); }
        if let Some(tags) = tags { spec["tags"] = json!(tags); }
        let Ok(declared) = DnsRecord.declare(&spec, &scope()) else { return Ok(()) };
        prop_assert_eq!(&declare(&DnsRecord, declared.clone()), &declared);
        let mut echo = Json::Object(body(&declared));
        echo["id"] = json!("r");
        let seen = read(&DnsRecord, &echo);
        prop_assert!(part_of(&declared, &seen.spec), "{} {}", declared, seen.spec);
    }
}

#[test]
fn a_lost_change_is_taken_for_done_only_where_all_of_it_is_to_be_seen() {
    let record = |more: Json| {
        let mut item = object(&example(EXAMPLE));
        item.extend(object(&more));
        read(&DnsRecord, &Json::Object(item))
    };
    let plain = json!({"name": "k8s", "zone": "b0xp.io", "type": "CNAME",
        "content": "f70ff985-a4ef-4643-bbbc-4a0ed4fc8415.cfargotunnel.com"});
    let spec = |more: Json| {
        let mut spec = object(&plain);
        spec.extend(object(&more));
        recorded(&declare(&DnsRecord, Json::Object(spec)))
    };
    let off = json!({"proxied": false, "comment": null});
    let on = json!({"proxied": true, "comment": null});
    let noted = json!({"proxied": false, "comment": "x"});
    for (before, then, seen, shown) in [
        (json!({}), json!({"proxied": true}), &on, Shows::Taken),
        // It is as it is by default, and as it was.
        (json!({}), json!({"proxied": true}), &off, Shows::Unclear),
        (json!({"comment": "x"}), json!({}), &off, Shows::Taken),
        // What was to go is there.
        (json!({"comment": "x"}), json!({}), &noted, Shows::Unclear),
        (json!({}), json!({"comment": "x"}), &noted, Shows::Taken),
        (json!({}), json!({"comment": "x"}), &off, Shows::Unclear),
    ] {
        let (before_record, then_record) = (spec(before.clone()), spec(then.clone()));
        let written = Written {
            then: &then_record,
            before: Some(&before_record),
            makes: false,
            asked_at: None,
        };
        let found = DnsRecord.shows(&written, &record(seen.clone()));
        assert_eq!(found, shown, "{before} → {then}: {seen}");
    }
}
