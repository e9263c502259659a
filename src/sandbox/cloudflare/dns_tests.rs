//! Contract 3, row by row.

use serde_json::{Value, json};

use crate::sandbox::ZonePlan;
use crate::sandbox::cloudflare::testing::Sandbox;

fn records(sandbox: &Sandbox) -> String {
    format!("/zones/{}/dns_records", sandbox.zone())
}

fn create(sandbox: &mut Sandbox, body: Value) -> (u16, Value) {
    let path = records(sandbox);
    sandbox.call("POST", &path, Some(body))
}

fn code(answer: &(u16, Value)) -> (u16, u64) {
    (answer.0, answer.1["errors"][0]["code"].as_u64().unwrap_or_default())
}

#[test]
fn a_created_record_comes_back_in_the_servers_form() {
    let mut sandbox = Sandbox::new();
    let (status, body) = create(
        &mut sandbox,
        json!({"type": "CNAME", "name": "Www", "content": "X.cfargotunnel.com.", "proxied": true, "ttl": 300}),
    );
    assert_eq!(status, 200);
    let record = &body["result"];
    assert_eq!(record["name"], "www.b0xp.io");
    assert_eq!(record["content"], "x.cfargotunnel.com");
    assert_eq!(record["ttl"], 1);
    assert_eq!(record["comment"], Value::Null);
    assert_eq!(record["settings"], json!({"flatten_cname": false}));
    assert_eq!(record["id"].as_str().unwrap().len(), 32);
    assert!(record.get("zone_id").is_none() && record.get("comment_modified_on").is_none());
}

#[test]
fn what_may_not_stand_side_by_side_is_refused_with_its_code() {
    let mut sandbox = Sandbox::new();
    let a = json!({"type": "A", "name": "a", "content": "203.0.113.1", "ttl": 1});
    let cname = json!({"type": "CNAME", "name": "c", "content": "x.example.com"});
    assert_eq!(create(&mut sandbox, a.clone()).0, 200);
    assert_eq!(create(&mut sandbox, cname.clone()).0, 200);
    assert_eq!(code(&create(&mut sandbox, a)), (400, 81058));
    assert_eq!(code(&create(&mut sandbox, cname)), (400, 81058));
    let second = json!({"type": "A", "name": "a", "content": "203.0.113.2"});
    assert_eq!(create(&mut sandbox, second).0, 200);
    let over_a = json!({"type": "CNAME", "name": "a", "content": "x.example.com"});
    assert_eq!(code(&create(&mut sandbox, over_a)), (400, 81053));
    let over_cname = json!({"type": "CNAME", "name": "c", "content": "y.example.com"});
    assert_eq!(code(&create(&mut sandbox, over_cname)), (400, 81053));
    let a_over_cname = json!({"type": "A", "name": "c", "content": "203.0.113.1"});
    assert_eq!(code(&create(&mut sandbox, a_over_cname)), (400, 81054));
    let txt = json!({"type": "TXT", "name": "c", "content": "hello"});
    assert_eq!(create(&mut sandbox, txt).0, 200);
}

#[test]
fn values_out_of_range_are_refused_with_their_codes() {
    for (body, expected) in [
        (json!({"type": "A", "name": "a", "content": "x"}), 9005),
        (json!({"type": "A", "name": "a", "content": "192.168.0.1", "proxied": true}), 9041),
        (json!({"type": "TXT", "name": "a", "content": "x", "proxied": true}), 9041),
        (json!({"type": "A", "name": "a", "content": "203.0.113.1", "ttl": 59}), 9021),
        (json!({"type": "A", "name": "a", "content": "203.0.113.1", "tags": ["a:b"]}), 9300),
        (json!({"type": "a", "name": "a", "content": "203.0.113.1"}), 9020),
        (json!({"type": "MX", "name": "a", "content": "mx.example.com"}), 1004),
        (json!({"type": "CNAME", "name": "a", "content": "a.b0xp.io"}), 9039),
    ] {
        let mut sandbox = Sandbox::new();
        assert_eq!(code(&create(&mut sandbox, body.clone())), (400, expected), "{body}");
    }
}

#[test]
fn put_resets_and_patch_merges() {
    let mut sandbox = Sandbox::new();
    let (_, made) = create(
        &mut sandbox,
        json!({"type": "A", "name": "a", "content": "203.0.113.1", "ttl": 300, "comment": "x"}),
    );
    let path = format!("{}/{}", records(&sandbox), made["result"]["id"].as_str().unwrap());
    let patched = sandbox.call("PATCH", &path, Some(json!({"content": "203.0.113.2"}))).1;
    assert_eq!(patched["result"]["ttl"], 300);
    assert_eq!(patched["result"]["comment"], "x");
    let cleared = sandbox.call("PATCH", &path, Some(json!({"comment": ""}))).1;
    assert_eq!(cleared["result"]["comment"], Value::Null);
    let body = json!({"type": "A", "name": "a", "content": "203.0.113.2"});
    let put = sandbox.call("PUT", &path, Some(body)).1;
    assert_eq!(put["result"]["ttl"], 1);
    assert_eq!(put["result"]["id"], made["result"]["id"]);
}

#[test]
fn a_second_delete_does_not_find_the_record() {
    let mut sandbox = Sandbox::new();
    let (_, made) = create(&mut sandbox, json!({"type": "TXT", "name": "@", "content": "hello"}));
    let id = made["result"]["id"].as_str().unwrap().to_owned();
    let path = format!("{}/{id}", records(&sandbox));
    assert_eq!(sandbox.call("DELETE", &path, None).1["result"], json!({"id": id}));
    assert_eq!(code(&sandbox.call("DELETE", &path, None)), (404, 81044));
    assert_eq!(code(&sandbox.call("GET", &path, None)), (404, 81044));
}

#[test]
fn a_batch_is_one_transaction_with_deletes_first() {
    let mut sandbox = Sandbox::new();
    let (_, made) =
        create(&mut sandbox, json!({"type": "A", "name": "a", "content": "203.0.113.1"}));
    let id = made["result"]["id"].as_str().unwrap().to_owned();
    let cname = json!({"type": "CNAME", "name": "a", "content": "x.example.com"});
    let path = format!("{}/batch", records(&sandbox));
    let broken = json!({"deletes": [{"id": id}], "posts": [cname, {"type": "A", "name": "b", "content": "x"}]});
    assert_eq!(code(&sandbox.call("POST", &path, Some(broken))), (400, 9005));
    let list = records(&sandbox);
    assert_eq!(sandbox.get(&list)["result"][0]["id"], id.as_str());
    let right = json!({"deletes": [{"id": id}], "posts": [cname]});
    let (status, body) = sandbox.call("POST", &path, Some(right));
    assert_eq!((status, body["result"]["posts"][0]["type"].as_str()), (200, Some("CNAME")));
    let many: Vec<Value> = (0..201).map(|_| cname.clone()).collect();
    assert_eq!(sandbox.call("POST", &path, Some(json!({ "posts": many }))).0, 400);
}

#[test]
fn lists_filter_exactly_and_without_case() {
    let mut sandbox = Sandbox::new();
    for (name, content) in [("a", "203.0.113.1"), ("ab", "203.0.113.2")] {
        create(&mut sandbox, json!({"type": "A", "name": name, "content": content}));
    }
    let list = records(&sandbox);
    let named = |sandbox: &mut Sandbox, query: &str| -> Vec<String> {
        let rows = sandbox.get(&format!("{list}?{query}"));
        let rows = rows["result"].as_array().unwrap().clone();
        rows.iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(named(&mut sandbox, "name=A.b0xp.io"), ["a.b0xp.io"]);
    assert_eq!(named(&mut sandbox, "name.startswith=a"), ["a.b0xp.io", "ab.b0xp.io"]);
    assert_eq!(named(&mut sandbox, "type=CNAME"), Vec::<String>::new());
    assert_eq!(named(&mut sandbox, "content.exact=203.0.113.2"), ["ab.b0xp.io"]);
    assert_eq!(named(&mut sandbox, "per_page=1&page=2"), ["ab.b0xp.io"]);
}

#[test]
fn a_plan_that_is_paid_for_includes_tags_and_one_kind_of_address() {
    let mut sandbox = Sandbox::new();
    sandbox.state.zones[0].plan = "b0xp.io:pro".parse::<ZonePlan>().unwrap().plan;
    let body = json!({"type": "AAAA", "name": "a", "content": "2001:db8::1", "proxied": true,
        "tags": ["team:web", "Stage:live"], "settings": {"ipv6_only": true}});
    let (_, made) = create(&mut sandbox, body);
    let record = made["result"].clone();
    assert_eq!(record["tags"], json!(["Stage:live", "team:web"]));
    assert_eq!(record["settings"], json!({"ipv6_only": true}));
    assert!(record["tags_modified_on"].is_string());
    let list = records(&sandbox);
    for (filter, count) in [
        ("tag=team", 1),
        ("tag=stage:LIVE", 1),
        ("tag.present=other", 0),
        ("tag.absent=other", 1),
        ("tag.startswith=team:w", 1),
        ("tag.exact=team:w", 0),
    ] {
        let rows = sandbox.get(&format!("{list}?{filter}"));
        assert_eq!(rows["result"].as_array().unwrap().len(), count, "{filter}");
    }
    let path = format!("{list}/{}", record["id"].as_str().unwrap());
    let kept = sandbox.call("PATCH", &path, Some(json!({"comment": "x".repeat(400)}))).1;
    assert_eq!(kept["result"]["tags"], record["tags"]);
    let cleared = sandbox.call("PATCH", &path, Some(json!({"tags": [], "settings": {}}))).1;
    assert_eq!(cleared["result"]["tags"], json!([]));
    assert_eq!(cleared["result"].get("settings"), None);
    let many: Vec<String> = (0..21).map(|n| format!("t{n}:x")).collect();
    assert_eq!(code(&sandbox.call("PATCH", &path, Some(json!({ "tags": many })))), (400, 9300));
    let zone = sandbox.get("/zones")["result"][0].clone();
    assert_eq!(zone["plan"]["legacy_id"], "pro");
    assert!("b0xp.io:gold".parse::<ZonePlan>().is_err());
}
