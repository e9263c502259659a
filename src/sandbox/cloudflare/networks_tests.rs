//! Routes and virtual networks.

use serde_json::{Value, json};

use crate::sandbox::cloudflare::testing::Sandbox;

fn path(sandbox: &Sandbox, rest: &str) -> String {
    format!("/accounts/{}/{rest}", sandbox.account())
}

fn made(sandbox: &mut Sandbox, rest: &str, body: Value) -> Value {
    let path = path(sandbox, rest);
    let (status, body) = sandbox.call("POST", &path, Some(body));
    assert_eq!(status, 200, "{body}");
    body["result"].clone()
}

fn rows(sandbox: &mut Sandbox, rest: &str) -> Vec<Value> {
    let path = path(sandbox, rest);
    sandbox.get(&path)["result"].as_array().unwrap().clone()
}

/// A tunnel's id.
fn tunnel(sandbox: &mut Sandbox, name: &str) -> Value {
    made(sandbox, "cfd_tunnel", json!({"name": name}))["id"].clone()
}

#[test]
fn subnets_are_made_canonical_and_go_to_the_default_network() {
    let mut sandbox = Sandbox::new();
    let id = tunnel(&mut sandbox, "t");
    let network = rows(&mut sandbox, "teamnet/virtual_networks?is_default=true")[0].clone();
    for (written, canonical) in [
        ("192.168.10.98/24", "192.168.10.0/24"),
        ("10.0.0.1", "10.0.0.1/32"),
        ("FD00:0::1/64", "fd00::/64"),
        ("0.0.0.0/0", "0.0.0.0/0"),
    ] {
        let body = json!({"network": written, "tunnel_id": id});
        let route = made(&mut sandbox, "teamnet/routes", body);
        assert_eq!(route["network"], canonical);
        assert_eq!(route["comment"], "");
        assert_eq!(route["virtual_network_id"], network["id"]);
    }
    let listed = rows(&mut sandbox, "teamnet/routes")[0].clone();
    assert_eq!(listed["tunnel_name"], "t");
    assert_eq!(listed["virtual_network_name"], "default");
    let routes = path(&sandbox, "teamnet/routes");
    for wrong in ["x", "10.0.0.0/33", "10.0.0.0/"] {
        let body = json!({"network": wrong, "tunnel_id": id});
        assert_eq!(sandbox.refusal("POST", &routes, Some(body)).0, 400, "{wrong}");
    }
    let nowhere = "f70ff985-a4ef-4643-bbbc-4a0ed4fc8415";
    let body = json!({"network": "10.1.0.0/16", "tunnel_id": nowhere});
    assert_eq!(sandbox.refusal("POST", &routes, Some(body)), (404, 1002));
    let body = json!({"network": "10.1.0.0/16", "tunnel_id": id, "virtual_network_id": nowhere});
    assert_eq!(sandbox.refusal("POST", &routes, Some(body)), (404, 1046));
}

#[test]
fn a_subnet_is_routed_once_in_a_virtual_network() {
    let mut sandbox = Sandbox::new();
    let (one, two) = (tunnel(&mut sandbox, "one"), tunnel(&mut sandbox, "two"));
    let other = made(&mut sandbox, "teamnet/virtual_networks", json!({"name": "lab"}));
    let body = json!({"network": "10.0.0.0/8", "tunnel_id": one});
    let route = made(&mut sandbox, "teamnet/routes", body);
    let routes = path(&sandbox, "teamnet/routes");
    let again = json!({"network": "10.9.9.9/8", "tunnel_id": two});
    assert_eq!(sandbox.refusal("POST", &routes, Some(again)), (409, 1014));
    let networks = path(&sandbox, "teamnet/virtual_networks");
    let again = json!({"name": "lab"});
    assert_eq!(sandbox.refusal("POST", &networks, Some(again)), (409, 1014));
    for body in [
        json!({"network": "10.0.0.0/16", "tunnel_id": two}),
        json!({"network": "10.0.0.0/8", "tunnel_id": two, "virtual_network_id": other["id"]}),
    ] {
        made(&mut sandbox, "teamnet/routes", body);
    }
    let exact = "teamnet/routes?network_subset=10.0.0.0/8&network_superset=10.0.0.0/8";
    assert_eq!(rows(&mut sandbox, exact).len(), 2);
    assert_eq!(rows(&mut sandbox, "teamnet/routes?network_superset=10.0.1.0/24").len(), 3);
    assert_eq!(rows(&mut sandbox, "teamnet/routes?network_subset=10.0.0.0/12").len(), 1);
    let by_ip = sandbox.get(&format!("{routes}/ip/10.0.3.4"))["result"].clone();
    assert_eq!(by_ip["network"], "10.0.0.0/16");

    let id = route["id"].as_str().unwrap();
    let one_route = format!("{routes}/{id}");
    let clash = json!({"network": "10.0.0.0/16"});
    assert_eq!(sandbox.refusal("PATCH", &one_route, Some(clash)), (409, 1014));
    let same = json!({"network": "10.0.0.0/8", "comment": ""});
    assert_eq!(sandbox.refusal("PATCH", &one_route, Some(same)), (500, 1000));
    let moved = json!({"network": "10.0.0.0/9", "tunnel_id": two});
    let (_, answer) = sandbox.call("PATCH", &one_route, Some(moved));
    assert_eq!(answer["result"]["id"], route["id"]);
    assert_eq!(answer["result"]["network"], "10.0.0.0/9");

    let (_, answer) = sandbox.call("DELETE", &one_route, None);
    assert!(answer["result"]["deleted_at"].is_string());
    assert_eq!(sandbox.refusal("DELETE", &one_route, None), (404, 1015));
    assert_eq!(rows(&mut sandbox, "teamnet/routes").len(), 3);
    assert_eq!(rows(&mut sandbox, "teamnet/routes?is_deleted=false").len(), 2);
}

#[test]
fn a_hostname_is_routed_once_and_found_by_a_part_of_it() {
    let mut sandbox = Sandbox::new();
    let (one, two) = (tunnel(&mut sandbox, "one"), tunnel(&mut sandbox, "two"));
    let list = "zerotrust/routes/hostname";
    let body = json!({"hostname": "Lan.Example.org.", "tunnel_id": one});
    let route = made(&mut sandbox, list, body);
    assert_eq!(route["hostname"], "lan.example.org");
    assert_eq!(route["tunnel_name"], "one");
    made(&mut sandbox, list, json!({"hostname": "a.lan.example.org", "tunnel_id": one}));
    let all = path(&sandbox, list);
    let again = json!({"hostname": "lan.example.org", "tunnel_id": two});
    assert_eq!(sandbox.refusal("POST", &all, Some(again)).0, 409);
    assert_eq!(rows(&mut sandbox, "zerotrust/routes/hostname?hostname=LAN.example").len(), 2);
    let path = format!("{all}/{}", route["id"].as_str().unwrap());
    assert_eq!(sandbox.refusal("PATCH", &path, Some(json!({"tunnel_id": one}))), (500, 1000));
    assert_eq!(sandbox.status("PATCH", &path, Some(json!({"tunnel_id": two}))), 200);
    assert_eq!(sandbox.status("DELETE", &path, None), 200);
    assert_eq!(sandbox.refusal("DELETE", &path, None).0, 404);
    assert_eq!(sandbox.status("POST", &all, Some(json!({"hostname": "x", "tunnel_id": ""}))), 404);
}

#[test]
fn routes_go_with_their_tunnel() {
    let mut sandbox = Sandbox::new();
    let id = tunnel(&mut sandbox, "t");
    let route = json!({"network": "10.0.0.0/8", "tunnel_id": id});
    made(&mut sandbox, "teamnet/routes", route);
    let route = json!({"hostname": "a.lan", "tunnel_id": id});
    made(&mut sandbox, "zerotrust/routes/hostname", route);
    let path = path(&sandbox, &format!("cfd_tunnel/{}", id.as_str().unwrap()));
    assert_eq!(sandbox.status("DELETE", &path, None), 200);
    for list in ["teamnet/routes", "zerotrust/routes/hostname"] {
        assert_eq!(rows(&mut sandbox, &format!("{list}?is_deleted=false")).len(), 0);
        assert_eq!(rows(&mut sandbox, &format!("{list}?is_deleted=true")).len(), 1);
    }
}

#[test]
fn a_virtual_network_is_renamed_and_there_is_one_default() {
    let mut sandbox = Sandbox::new();
    let lab = made(&mut sandbox, "teamnet/virtual_networks", json!({"name": "lab"}));
    let one = path(&sandbox, &format!("teamnet/virtual_networks/{}", lab["id"].as_str().unwrap()));
    let taken = json!({"name": "default"});
    assert_eq!(sandbox.refusal("PATCH", &one, Some(taken)), (409, 1014));
    let body = json!({"name": "home", "comment": "x", "is_default_network": true});
    let (_, answer) = sandbox.call("PATCH", &one, Some(body));
    assert_eq!(
        (&answer["result"]["name"], &answer["result"]["comment"]),
        (&json!("home"), &json!("x"))
    );
    let defaults = rows(&mut sandbox, "teamnet/virtual_networks?is_default=true");
    assert_eq!(defaults.iter().map(|row| &row["name"]).collect::<Vec<_>>(), ["home"]);
    // What is the default one is not deleted.
    assert_eq!(sandbox.refusal("DELETE", &one, None).0, 400);
}
