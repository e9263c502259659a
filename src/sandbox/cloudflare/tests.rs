//! Authentication and routing.

use serde_json::json;

use super::testing::Sandbox;
use super::{Call, handle};

fn with_header(sandbox: &mut Sandbox, path: &str, header: Option<&str>) -> (u16, u64) {
    let call = Call {
        method: "GET",
        path,
        query: &[],
        authorization: header,
        storage_class: None,
        body: b"",
    };
    let (status, body) = handle(&mut sandbox.state, &call, &mut sandbox.env);
    (status, body["errors"][0]["code"].as_u64().unwrap_or_default())
}

#[test]
fn a_token_that_is_missing_malformed_or_unknown_is_refused() {
    let mut sandbox = Sandbox::new();
    let zones = "/client/v4/zones";
    assert_eq!(with_header(&mut sandbox, zones, None), (400, 6003));
    assert_eq!(with_header(&mut sandbox, zones, Some("Basic x")), (400, 6003));
    assert_eq!(with_header(&mut sandbox, zones, Some("Bearer a b")), (400, 6003));
    assert_eq!(with_header(&mut sandbox, zones, Some("Bearer nope")), (403, 9109));
    let verify = "/client/v4/user/tokens/verify";
    assert_eq!(with_header(&mut sandbox, verify, Some("Bearer nope")), (401, 1000));
}

#[test]
fn verify_says_so_in_a_message() {
    let mut sandbox = Sandbox::new();
    let body = sandbox.get("/user/tokens/verify");
    assert_eq!(body["result"]["status"], "active");
    assert_eq!(body["messages"][0]["code"], 10000);
    assert_eq!(body["errors"], json!([]));
}

#[test]
fn the_reading_token_writes_nothing_and_reads_no_tunnel_token() {
    let mut sandbox = Sandbox::new();
    let account = sandbox.account();
    let tunnels = format!("/accounts/{account}/cfd_tunnel");
    let (_, made) = sandbox.call("POST", &tunnels, Some(json!({"name": "t"})));
    let id = made["result"]["id"].as_str().unwrap().to_owned();
    sandbox.token = sandbox.state.tokens.iter().find(|t| t.read_only).unwrap().value.clone();
    assert_eq!(sandbox.status("GET", &tunnels, None), 200);
    let refused = (403, 10000);
    assert_eq!(sandbox.refusal("GET", &format!("{tunnels}/{id}/token"), None), refused);
    assert_eq!(sandbox.refusal("POST", &tunnels, Some(json!({"name": "u"}))), refused);
    assert_eq!(sandbox.refusal("DELETE", &format!("{tunnels}/{id}"), None), refused);
}

#[test]
fn paths_that_lead_nowhere_are_told_apart_from_wrong_methods() {
    let mut sandbox = Sandbox::new();
    assert_eq!(sandbox.refusal("GET", "/nowhere", None), (404, 7003));
    assert_eq!(sandbox.refusal("DELETE", "/zones", None), (405, 7001));
    assert_eq!(sandbox.refusal("GET", "/accounts/short/cfd_tunnel", None), (404, 7003));
    let foreign = format!("/accounts/{}/cfd_tunnel", "0".repeat(32));
    assert_eq!(sandbox.refusal("GET", &foreign, None), (403, 10000));
}
