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
    assert_eq!((status, &gone["result"]), (200, &json!(null)));
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
    assert_eq!(sandbox.status("DELETE", &format!("{path}/logs"), None), 200);
    assert_eq!(sandbox.refusal("GET", &format!("{path}/logs"), None), (404, 10006));
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
    assert_eq!(sandbox.get(&format!("{path}?name=ap"))["result"][0]["name"], "app");
    assert_eq!(sandbox.status("DELETE", &one, None), 200);
    assert_eq!(sandbox.refusal("GET", &one, None), (404, 7404));
}
