use serde_json::json;

use crate::sandbox::cloudflare::testing::Sandbox;

#[test]
fn a_kv_namespace_has_its_title_alone() {
    let mut sandbox = Sandbox::new();
    let path = format!("/accounts/{}/storage/kv/namespaces", sandbox.account());
    let (status, made) = sandbox.call("POST", &path, Some(json!({"title": "a"})));
    assert_eq!((status, &made["result"]["supports_url_encoding"]), (200, &json!(true)));
    assert_eq!(sandbox.refusal("POST", &path, Some(json!({"title": "a"}))), (400, 10014));
    assert_eq!(sandbox.refusal("POST", &path, Some(json!({}))), (400, 10019));
    let one = format!("{path}/{}", made["result"]["id"].as_str().unwrap());
    let renamed = sandbox.call("PUT", &one, Some(json!({"title": "b"}))).1;
    assert_eq!(renamed["result"]["title"], "b");
    assert_eq!(sandbox.get(&path)["result_info"]["per_page"], 20);
    let (status, gone) = sandbox.call("DELETE", &one, None);
    assert_eq!((status, &gone["result"]), (200, &json!({})));
    assert_eq!(sandbox.refusal("GET", &one, None), (404, 10013));
}

#[test]
fn a_bucket_is_known_by_its_name() {
    let mut sandbox = Sandbox::new();
    let path = format!("/accounts/{}/r2/buckets", sandbox.account());
    let body = json!({"name": "logs", "locationHint": "enam"});
    let made = sandbox.call("POST", &path, Some(body.clone())).1;
    assert_eq!(made["result"]["location"], "ENAM");
    assert_eq!(sandbox.refusal("POST", &path, Some(body)), (409, 10004));
    for name in ["ab", "Logs", "-logs"] {
        assert_eq!(sandbox.refusal("POST", &path, Some(json!({"name": name}))), (400, 10005));
    }
    assert_eq!(sandbox.get(&path)["result"]["buckets"][0]["name"], "logs");
    // Another storage class is told in a header.
    let one = format!("{path}/logs");
    assert_eq!(sandbox.refusal("PATCH", &one, None), (400, 10005));
    sandbox.storage_class = Some("InfrequentAccess");
    let changed = sandbox.call("PATCH", &one, None).1;
    assert_eq!(changed["result"]["storage_class"], "InfrequentAccess");
    assert_eq!(sandbox.status("DELETE", &one, None), 200);
    assert_eq!(sandbox.refusal("GET", &format!("{path}/logs"), None), (404, 10006));
}

#[test]
fn buckets_are_listed_by_cursor() {
    let mut sandbox = Sandbox::new();
    let path = format!("/accounts/{}/r2/buckets", sandbox.account());
    for name in ["ccc", "aaa", "ddd", "bbb", "abb"] {
        assert_eq!(sandbox.status("POST", &path, Some(json!({"name": name}))), 200);
    }
    let names = |page: &serde_json::Value| -> Vec<String> {
        let buckets = page["result"]["buckets"].as_array().unwrap();
        buckets.iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    };
    let first = sandbox.get(&format!("{path}?per_page=3&page=2"));
    assert_eq!(names(&first), ["aaa", "abb", "bbb"], "there are no numbers of pages");
    let cursor = first["result_info"]["cursor"].as_str().unwrap();
    let second = sandbox.get(&format!("{path}?per_page=3&cursor={cursor}"));
    assert_eq!(
        (names(&second), &second["result_info"]["cursor"]),
        (vec!["ccc".into(), "ddd".into()], &json!(""))
    );
    for (query, wanted) in [
        ("start_after=bbb", vec!["ccc", "ddd"]),
        ("direction=desc&start_after=bbb", vec!["abb", "aaa"]),
        ("name_contains=bb", vec!["abb", "bbb"]),
    ] {
        assert_eq!(names(&sandbox.get(&format!("{path}?{query}"))), wanted, "{query}");
    }
    for query in ["per_page=0", "per_page=1001", "cursor=x"] {
        assert_eq!(sandbox.status("GET", &format!("{path}?{query}"), None), 400, "{query}");
    }
}

#[test]
fn of_a_database_only_its_replication_changes() {
    let mut sandbox = Sandbox::new();
    let path = format!("/accounts/{}/d1/database", sandbox.account());
    let body = json!({"name": "app", "primary_location_hint": "apac"});
    let made = sandbox.call("POST", &path, Some(body.clone())).1["result"].clone();
    assert!(made.get("primary_location_hint").is_none());
    assert_eq!(sandbox.status("POST", &path, Some(body)), 400);
    let one = format!("{path}/{}", made["uuid"].as_str().unwrap());
    let replication = json!({"read_replication": {"mode": "auto"}});
    assert_eq!(
        sandbox.call("PATCH", &one, Some(replication.clone())).1["result"]["read_replication"],
        replication["read_replication"]
    );
    assert_eq!(sandbox.refusal("PATCH", &one, Some(json!({"name": "x"}))), (400, 7400));
    let listed = sandbox.get(&format!("{path}?name=ap"))["result"][0].clone();
    assert_eq!((&listed["name"], listed.get("read_replication")), (&json!("app"), None));
    assert_eq!(sandbox.status("DELETE", &one, None), 200);
    assert_eq!(sandbox.refusal("GET", &one, None), (404, 7404));
}
