//! Contract 4.1 to 4.4.

use base64::prelude::*;
use serde_json::{Value, json};

use super::{CONNECTIONS, Running, connect};
use crate::sandbox::cloudflare::testing::Sandbox;

fn tunnels(sandbox: &Sandbox) -> String {
    format!("/accounts/{}/cfd_tunnel", sandbox.account())
}

fn create(sandbox: &mut Sandbox, name: &str) -> Value {
    let path = tunnels(sandbox);
    let secret = BASE64_STANDARD.encode([7_u8; 32]);
    let body = json!({"name": name, "tunnel_secret": secret, "config_src": "cloudflare"});
    let (status, body) = sandbox.call("POST", &path, Some(body));
    assert_eq!(status, 200, "{body}");
    body["result"].clone()
}

fn run(sandbox: &mut Sandbox, running: &[(&str, &str)]) {
    run_with(sandbox, running, CONNECTIONS);
}

fn run_with(sandbox: &mut Sandbox, running: &[(&str, &str)], connections: usize) {
    let one = |(pod, token): &(&str, &str)| Running {
        pod: (*pod).to_owned(),
        token: (*token).to_owned(),
        connections,
    };
    let running: Vec<_> = running.iter().map(one).collect();
    connect(&mut sandbox.state, &running, &mut sandbox.env);
}

fn later(sandbox: &mut Sandbox, seconds: i64) {
    sandbox.env.now += jiff::SignedDuration::from_secs(seconds);
}

#[test]
fn the_secret_is_never_answered_and_the_token_holds_it() {
    let mut sandbox = Sandbox::new();
    let made = create(&mut sandbox, "a tunnel");
    assert_eq!(made["status"], "inactive");
    let path = format!("{}/{}", tunnels(&sandbox), made["id"].as_str().unwrap());
    let read = sandbox.get(&path)["result"].clone();
    assert!(read.get("tunnel_secret").is_none() && read.get("token").is_none());
    let token = sandbox.get(&format!("{path}/token"))["result"].clone();
    assert_eq!(token, made["token"]);
    let decoded = BASE64_STANDARD.decode(token.as_str().unwrap()).unwrap();
    let text = String::from_utf8(decoded).unwrap();
    let expected = format!(
        r#"{{"a":"{}","t":{},"s":"{}"}}"#,
        sandbox.account(),
        made["id"],
        BASE64_STANDARD.encode([7_u8; 32])
    );
    assert_eq!(text, expected);
}

#[test]
fn secrets_that_are_short_or_no_base64_are_refused() {
    let mut sandbox = Sandbox::new();
    let path = tunnels(&sandbox);
    for secret in ["short", &"!".repeat(40)] {
        let body = json!({"name": "t", "tunnel_secret": secret});
        assert_eq!(sandbox.status("POST", &path, Some(body)), 400, "{secret}");
    }
    let documented = "Ml9zZWNyZXRfdGVzdF8xMjM0NTY3ODkw";
    let body = json!({"name": "t", "tunnel_secret": documented});
    assert_eq!(sandbox.status("POST", &path, Some(body)), 200);
}

#[test]
fn names_are_unique_among_live_tunnels_and_tombstones_stay() {
    let mut sandbox = Sandbox::new();
    let path = tunnels(&sandbox);
    let first = create(&mut sandbox, "t");
    assert_eq!(sandbox.refusal("POST", &path, Some(json!({"name": "t"}))), (409, 1013));
    let one = format!("{path}/{}", first["id"].as_str().unwrap());
    let deleted = sandbox.call("DELETE", &one, None).1;
    assert!(deleted["result"]["deleted_at"].is_string());
    assert!(sandbox.get(&one)["result"]["deleted_at"].is_string());
    create(&mut sandbox, "t");
    let count = |sandbox: &mut Sandbox, query: &str| {
        sandbox.get(&format!("{path}{query}"))["result"].as_array().unwrap().len()
    };
    assert_eq!(count(&mut sandbox, "?name=t"), 2);
    assert_eq!(count(&mut sandbox, "?name=t&is_deleted=false"), 1);
    assert_eq!(count(&mut sandbox, "?is_deleted=true"), 1);
    assert_eq!(sandbox.refusal("GET", &format!("{one}/token"), None), (404, 1054));
    assert_eq!(sandbox.refusal("GET", &format!("{one}/configurations"), None), (404, 1055));
    assert_eq!(sandbox.refusal("PATCH", &one, Some(json!({"name": "u"}))), (404, 1002));
}

#[test]
fn unknown_tunnels_are_not_found_and_malformed_ids_have_no_route() {
    let mut sandbox = Sandbox::new();
    let path = tunnels(&sandbox);
    let unknown = format!("{path}/f70ff985-a4ef-4643-bbbc-4a0ed4fc8415");
    assert_eq!(sandbox.refusal("GET", &unknown, None), (404, 1002));
    assert_eq!(sandbox.refusal("GET", &format!("{path}/zzz"), None), (404, 7003));
}

#[test]
fn a_tunnel_with_connections_is_not_deleted_until_they_are_cleaned_up() {
    let mut sandbox = Sandbox::new();
    let made = create(&mut sandbox, "t");
    let path = format!("{}/{}", tunnels(&sandbox), made["id"].as_str().unwrap());
    let token = made["token"].as_str().unwrap().to_owned();
    run(&mut sandbox, &[("pod-1", &token), ("pod-2", "other")]);
    let read = sandbox.get(&path)["result"].clone();
    assert_eq!(read["status"], "healthy");
    assert!(read["conns_active_at"].is_string() && read["conns_inactive_at"].is_null());
    let clients = sandbox.get(&format!("{path}/connections"))["result"].clone();
    assert_eq!(clients.as_array().unwrap().len(), 1);
    assert_eq!(clients[0]["conns"].as_array().unwrap().len(), 4);
    assert_eq!(sandbox.refusal("DELETE", &path, None), (400, 1022));

    assert_eq!(sandbox.status("DELETE", &format!("{path}/connections"), None), 200);
    run(&mut sandbox, &[("pod-1", &token)]);
    assert_eq!(sandbox.get(&path)["result"]["status"], "down");
    later(&mut sandbox, 5);
    run(&mut sandbox, &[("pod-1", &token)]);
    assert_eq!(sandbox.get(&path)["result"]["status"], "healthy");

    run(&mut sandbox, &[]);
    assert_eq!(sandbox.get(&path)["result"]["status"], "down");
    assert_eq!(sandbox.status("DELETE", &path, None), 200);
    run(&mut sandbox, &[("pod-1", &token)]);
    assert!(sandbox.get(&format!("{path}/connections"))["result"] == json!([]));
}

#[test]
fn another_secret_is_another_token_and_who_is_connected_stays() {
    let mut sandbox = Sandbox::new();
    let made = create(&mut sandbox, "t");
    let path = format!("{}/{}", tunnels(&sandbox), made["id"].as_str().unwrap());
    let old = made["token"].as_str().unwrap().to_owned();
    run(&mut sandbox, &[("pod-1", &old)]);
    let body = json!({"tunnel_secret": BASE64_STANDARD.encode([8_u8; 32])});
    assert_eq!(sandbox.status("PATCH", &path, Some(body)), 200);
    let token = sandbox.get(&format!("{path}/token"))["result"].clone();
    assert_ne!(token.as_str(), Some(old.as_str()));
    run(&mut sandbox, &[("pod-1", &old), ("pod-2", &old)]);
    let clients = sandbox.get(&format!("{path}/connections"))["result"].clone();
    assert_eq!(clients.as_array().unwrap().len(), 1);
}

#[test]
fn a_tunnel_is_degraded_while_some_of_its_connections_are_down() {
    let mut sandbox = Sandbox::new();
    let made = create(&mut sandbox, "t");
    let path = format!("{}/{}", tunnels(&sandbox), made["id"].as_str().unwrap());
    let token = made["token"].as_str().unwrap().to_owned();
    for (connections, status) in [(2, "degraded"), (4, "healthy"), (1, "degraded")] {
        run_with(&mut sandbox, &[("pod-1", &token)], connections);
        assert_eq!(sandbox.get(&path)["result"]["status"], status);
        let clients = sandbox.get(&format!("{path}/connections"))["result"].clone();
        assert_eq!(clients[0]["conns"].as_array().unwrap().len(), connections);
    }
    run(&mut sandbox, &[]);
    assert_eq!(sandbox.get(&path)["result"]["status"], "down");
}

#[test]
fn a_cascading_delete_takes_connections_along() {
    let mut sandbox = Sandbox::new();
    let made = create(&mut sandbox, "t");
    let path = format!("{}/{}", tunnels(&sandbox), made["id"].as_str().unwrap());
    let token = made["token"].as_str().unwrap().to_owned();
    run(&mut sandbox, &[("pod-1", &token)]);
    assert_eq!(sandbox.refusal("DELETE", &path, None), (400, 1022));
    assert_eq!(sandbox.status("DELETE", &format!("{path}?cascade=true"), None), 200);
    assert!(sandbox.get(&path)["result"]["deleted_at"].is_string());
    // A configuration is never deleted, only replaced.
    let second = create(&mut sandbox, "second");
    let configuration =
        format!("{}/{}/configurations", tunnels(&sandbox), second["id"].as_str().unwrap());
    assert_eq!(sandbox.refusal("DELETE", &configuration, None), (405, 7001));
}
