//! Private networks: subnets and hostnames that only clients of WARP reach, through a tunnel, and
//! what their split tunnel leaves out.

use serde_json::{Value, json};

use crate::lab::Lab;

const ROUTES: &str = "teamnet/routes?is_deleted=false";
const HOSTNAMES: &str = "zerotrust/routes/hostname?is_deleted=false";
const STACK: &str = "stacks/net.yaml";

/// The longform project, with a stack file of its own.
fn with_stack(options: &[&str], text: &str) -> Lab {
    let lab = Lab::with("longform", options);
    std::fs::remove_file(lab.path().join("stacks/openhands.yaml")).unwrap();
    lab.write(STACK, text);
    lab
}

fn rows(lab: &Lab, list: &str) -> Vec<Value> {
    lab.cloudflare("GET", &lab.account(list), None).as_array().unwrap().clone()
}

fn tunnel(lab: &Lab, name: &str) -> Value {
    let all = rows(lab, &format!("cfd_tunnel?is_deleted=false&name={name}"));
    all[0]["id"].clone()
}

const BOTH: &str = "resources:
  tunnel.home: {name: home}
  tunnel_route.lan: {network: 192.168.10.98/24, tunnel: \"${tunnel.home.id}\", comment: The LAN}
  tunnel_route.six: {network: \"FD00:0::/64\", tunnel: \"${tunnel.home.id}\"}
  hostname_route.nas: {hostname: NAS.home.arpa, tunnel: \"${tunnel.home.id}\"}
";

#[test]
fn routes_are_made_changed_in_place_and_deleted_before_their_tunnel() {
    let lab = with_stack(&[], BOTH);
    let before = lab.dump();
    lab.apply(&[]);
    // They are made at once, and one of them first.
    let mut made = rows(&lab, ROUTES);
    made.sort_by_key(|route| route["network"].to_string());
    let networks: Vec<&str> = made.iter().map(|r| r["network"].as_str().unwrap()).collect();
    assert_eq!(networks, ["192.168.10.0/24", "fd00::/64"]);
    assert!(made.iter().all(|route| route["virtual_network_name"] == "default"));
    assert_eq!(lab.only(&lab.account(HOSTNAMES))["hostname"], "nas.home.arpa");
    lab.forget_requests();
    let plan = lab.is_settled(&["--json"]).json();
    assert!(plan["requests"]["cloudflare"].as_u64().unwrap() <= 5, "{plan:#}");
    lab.run(&["drift"]).exits(0);

    lab.edit(STACK, "192.168.10.98/24", "192.168.20.0/24");
    lab.edit(STACK, ", comment: The LAN", "");
    lab.edit(STACK, "NAS.home.arpa", "nas.lan");
    lab.forget_requests();
    lab.apply(&[]);
    let changes = lab.changes();
    assert_eq!(changes.len(), 2, "{changes:#?}");
    assert!(changes.iter().all(|change| change.starts_with("PATCH ")), "{changes:#?}");
    let now = rows(&lab, ROUTES).into_iter().find(|route| route["id"] == made[0]["id"]).unwrap();
    assert_eq!((&now["network"], &now["comment"]), (&json!("192.168.20.0/24"), &json!("")));
    lab.is_settled(&[]);

    lab.forget_requests();
    lab.run(&["destroy", "net", "--yes"]).exits(0);
    let changes = lab.changes();
    let at = |text: &str| changes.iter().rposition(|change| change.contains(text)).unwrap();
    let tunnel = changes.iter().position(|change| change.contains("/cfd_tunnel/")).unwrap();
    assert!(at("/teamnet/routes/") < tunnel && at("/routes/hostname/") < tunnel, "{changes:#?}");
    assert_eq!(lab.dump(), before);
}

#[test]
fn routes_settle_whatever_normal_form_the_service_answers_in() {
    for seed in ["1", "2", "3", "7"] {
        let lab = with_stack(&["--mangle", seed], BOTH);
        lab.apply(&[]);
        lab.is_settled(&[]);
        lab.run(&["drift"]).exits(0);
        lab.edit(STACK, "The LAN", "The office");
        lab.apply(&[]);
        lab.is_settled(&[]);
        lab.run(&["destroy", "net", "--yes"]).exits(0);
        assert!(rows(&lab, ROUTES).is_empty() && rows(&lab, HOSTNAMES).is_empty());
    }
}

#[test]
fn a_route_that_is_there_already_is_adopted_or_asked_about() {
    let lab = with_stack(&[], "resources:\n  tunnel.home: {name: home}\n");
    lab.apply(&[]);
    let home = tunnel(&lab, "home");
    let other = lab.cloudflare("POST", &lab.account("cfd_tunnel"), Some(json!({"name": "other"})));
    let subnet = json!({"network": "10.0.0.0/8", "tunnel_id": home});
    lab.cloudflare("POST", &lab.account("teamnet/routes"), Some(subnet));
    let name = json!({"hostname": "nas.lan", "tunnel_id": other["id"]});
    lab.cloudflare("POST", &lab.account("zerotrust/routes/hostname"), Some(name));
    // A part of a hostname is not the hostname.
    let longer = json!({"hostname": "my.nas.lan", "tunnel_id": other["id"]});
    lab.cloudflare("POST", &lab.account("zerotrust/routes/hostname"), Some(longer));
    lab.write(
        STACK,
        "resources:
  tunnel.home: {name: home}
  tunnel_route.lan: {network: 10.1.2.3/8, tunnel: \"${tunnel.home.id}\"}
  hostname_route.nas: {hostname: nas.lan., tunnel: \"${tunnel.home.id}\"}
",
    );
    lab.run(&["apply", "--yes"])
        .exits(5)
        .says("tunnel_route.lan is there already, identical to what the files say")
        .says("hostname_route.nas is there already and differs from the files");
    let stack = lab.read(STACK);
    lab.write(STACK, &format!("{stack}settings: {{hostname_route.nas: {{adopt: true}}}}\n"));
    lab.forget_requests();
    lab.apply(&["--adopt"]);
    let changes = lab.changes();
    assert_eq!(changes.len(), 1, "{changes:#?}");
    lab.is_settled(&[]);
    let names = rows(&lab, HOSTNAMES);
    let of =
        |name: &str| names.iter().find(|r| r["hostname"] == name).unwrap()["tunnel_id"].clone();
    assert_eq!((of("nas.lan"), of("my.nas.lan")), (home, other["id"].clone()));
}

#[test]
fn equal_subnets_live_side_by_side_in_virtual_networks_that_are_looked_up() {
    let lab = with_stack(&[], "resources: {tunnel.home: {name: home}}\n");
    let lookup = |name: &str| {
        format!(
            "lookups: {{virtual_network.lab: {{name: {name}}}}}
resources:
  tunnel.home: {{name: home}}
  tunnel_route.a: {{network: 10.0.0.0/8, tunnel: \"${{tunnel.home.id}}\"}}
  tunnel_route.b: {{network: 10.0.0.0/8, tunnel: \"${{tunnel.home.id}}\", virtual_network: \"${{virtual_network.lab.id}}\"}}
  tunnel_route.c: {{network: 10.0.0.0/9, tunnel: \"${{tunnel.home.id}}\", virtual_network: lab}}
"
        )
    };
    let network = json!({"name": "lab"});
    lab.cloudflare("POST", &lab.account("teamnet/virtual_networks"), Some(network));
    lab.write(STACK, &lookup("labor"));
    lab.run(&["plan"]).exits(1).says("no virtual network fits").says("lab (").says("default (");
    lab.write(STACK, &lookup("lab"));
    lab.apply(&[]);
    let names: Vec<Value> =
        rows(&lab, ROUTES).iter().map(|r| r["virtual_network_name"].clone()).collect();
    assert_eq!(names.iter().filter(|name| *name == "lab").count(), 2);
    lab.is_settled(&[]);
}

#[test]
fn a_route_whose_tunnel_was_deleted_by_someone_is_made_again_with_it() {
    for quirks in ["none", "routes-outlive-tunnel"] {
        let lab = with_stack(&["--quirks", quirks], BOTH);
        lab.apply(&[]);
        let path = format!("cfd_tunnel/{}", tunnel(&lab, "home").as_str().unwrap());
        lab.cloudflare("DELETE", &lab.account(&path), None);
        lab.run(&["drift"]).exits(2);
        lab.apply(&[]);
        let home = tunnel(&lab, "home");
        for list in [ROUTES, HOSTNAMES] {
            let rows = rows(&lab, list);
            assert!(rows.iter().all(|route| route["tunnel_id"] == home), "{quirks}: {rows:#?}");
        }
        lab.is_settled(&[]);
    }
}

#[test]
fn a_route_takes_what_another_has_after_that_has_given_it_up() {
    let lab = with_stack(&[], &BOTH.replace("\"FD00:0::/64\"", "192.168.20.0/24"));
    lab.apply(&[]);
    let of = |network: &str| {
        rows(&lab, ROUTES).into_iter().find(|r| r["network"] == network).unwrap()["id"].clone()
    };
    let (lan, six) = (of("192.168.10.0/24"), of("192.168.20.0/24"));
    // One moves on, another follows.
    lab.edit(STACK, "192.168.20.0/24", "192.168.30.0/24");
    lab.edit(STACK, "192.168.10.98/24", "192.168.20.0/24");
    lab.apply(&[]);
    assert_eq!((of("192.168.20.0/24"), of("192.168.30.0/24")), (lan, six));
    lab.is_settled(&[]);
    // Neither can be the first.
    lab.edit(STACK, "192.168.20.0/24", "10.0.0.0/8");
    lab.edit(STACK, "192.168.30.0/24", "192.168.20.0/24");
    lab.edit(STACK, "10.0.0.0/8", "192.168.30.0/24");
    lab.forget_requests();
    lab.run(&["apply", "--yes"])
        .exits(1)
        .says("tunnel_route.lan, tunnel_route.six need one another")
        .says("give one another in between");
    assert!(lab.changes().is_empty(), "{:?}", lab.changes());
}

#[test]
fn what_went_with_its_tunnel_is_gone_and_ended_connections_are_waited_for() {
    let mut lab = with_stack(&[], BOTH);
    lab.apply(&[]);
    lab.write(
        "faults.yaml",
        "- {method: DELETE, path: '*/teamnet/routes/*', times: 2, status: 404, code: 1015, \
         message: that isn't routed}
- {method: DELETE, path: '*/routes/hostname/*', status: 404, code: 1002, message: no such route}
- {method: DELETE, path: '*/cfd_tunnel/*-*-*-*-????????????', times: 9, status: 400, code: 1022, \
         message: active connections}
",
    );
    lab.restart(&["--faults", "faults.yaml"]);
    lab.forget_requests();
    lab.run(&["destroy", "net", "--yes"]).exits(0);
    let changes = lab.changes();
    let cleaned = changes.iter().filter(|change| change.ends_with("/connections")).count();
    assert_eq!(cleaned, 2, "{changes:#?}");
    assert_eq!(rows(&lab, "cfd_tunnel?is_deleted=false"), Vec::<Value>::new());
    assert!(
        !lab.path().join("state/net.json").exists()
            || !lab.read("state/net.json").contains("tunnel.")
    );
}

#[test]
fn zones_and_tunnels_of_others_are_looked_up() {
    let lab = with_stack(
        &[],
        "lookups:
  tunnel.shared: {name: shared}
  zone.home: {name: B0XP.io.}
resources:
  tunnel_route.lan: {network: 10.0.0.0/8, tunnel: \"${tunnel.shared.id}\"}
  dns_record.app: {name: app, zone: \"${zone.home.name}\", type: CNAME, content: \"${tunnel.shared.cname}\", proxied: true}
",
    );
    lab.run(&["plan"]).exits(1).says("no tunnel fits `name: ");
    let made = lab.cloudflare("POST", &lab.account("cfd_tunnel"), Some(json!({"name": "shared"})));
    lab.apply(&[]);
    lab.is_settled(&[]);
    assert_eq!(lab.only(&lab.account(ROUTES))["tunnel_id"], made["id"]);
    let content = format!("{}.cfargotunnel.com", made["id"].as_str().unwrap());
    assert_eq!(lab.only(&lab.records())["content"], content);
    // What is only looked up is never deleted.
    lab.run(&["destroy", "net", "--yes"]).exits(0);
    assert_eq!(tunnel(&lab, "shared"), made["id"]);
    // A tombstone is no tunnel.
    let path = lab.account(&format!("cfd_tunnel/{}", made["id"].as_str().unwrap()));
    lab.cloudflare("DELETE", &path, None);
    lab.run(&["plan"]).exits(1).says("no tunnel fits `name: ");
}

fn service(expose: &str) -> String {
    format!(
        "services:
  app:
    access: {{allow: [{{login_method: GitHub}}]}}
    routes:
      - {{hostname: app.b0xp.io, origin: \"http://app:80\"}}
      - {{hostname: lan.b0xp.io, origin: \"http://lan:80\", expose: {expose}}}
"
    )
}

#[test]
fn a_private_route_of_a_service_has_no_record_and_no_application() {
    let lab = with_stack(&[], &service("private"));
    let plan = lab.run(&["plan"]).exits(0);
    assert!(!format!("{}{}", plan.out, plan.err).contains("is public"), "{}", plan.out);
    lab.apply(&[]);
    lab.is_settled(&[]);
    let route = lab.only(&lab.account(HOSTNAMES));
    assert_eq!(route["hostname"], "lan.b0xp.io");
    assert_eq!(route["tunnel_id"], tunnel(&lab, "app"));
    assert_eq!(lab.only(&lab.records())["name"], "app.b0xp.io");
    assert_eq!(lab.only(&lab.account("access/apps"))["domain"], "app.b0xp.io");
    let path = format!("cfd_tunnel/{}/configurations", tunnel(&lab, "app").as_str().unwrap());
    let config = lab.cloudflare("GET", &lab.account(&path), None);
    assert_eq!(config["config"]["ingress"][1]["hostname"], "lan.b0xp.io");
    // A record that leads to it makes it public, and that is told.
    let record = "resources:\n  dns_record.all: {name: \"*\", type: CNAME, content: \"${tunnel.app.cname}\", proxied: true}\n";
    lab.write(STACK, &format!("{}{record}", service("private")));
    lab.run(&["plan"]).says("lan.b0xp.io is public: no Access application here guards it");
}

#[test]
fn a_hostname_becomes_private_and_public_again_and_is_never_open() {
    let lab = with_stack(&[], &service("public"));
    lab.apply(&[]);
    lab.write(STACK, &service("private"));
    lab.forget_requests();
    lab.apply(&["--allow-large"]);
    let at = |changes: &[String], method: &str, text: &str| {
        let fits = |change: &String| change.starts_with(method) && change.contains(text);
        changes.iter().position(fits).unwrap_or_else(|| panic!("{text}: {changes:#?}"))
    };
    let changes = lab.changes();
    assert!(at(&changes, "DELETE", "/dns_records/") < at(&changes, "DELETE", "/access/apps/"));
    lab.is_settled(&[]);
    lab.write(STACK, &service("public"));
    lab.forget_requests();
    lab.apply(&[]);
    let changes = lab.changes();
    assert!(at(&changes, "POST", "/access/apps") < at(&changes, "POST", "/dns_records"));
    lab.is_settled(&[]);
    assert!(rows(&lab, HOSTNAMES).is_empty());
}

const SPLIT: &str = "resources:
  split_tunnel.all:
    mode: exclude
    shared: [entries]
    entries:
      - {address: 10.9.8.7/16, description: lab}
      - {host: NAS.home.arpa}
";

/// Entries in one order.
fn sorted(mut entries: Vec<Value>) -> Vec<Value> {
    entries.sort_by_key(|entry| format!("{} {}", entry["address"], entry["host"]));
    entries
}

fn excluded(lab: &Lab) -> Vec<Value> {
    sorted(rows(lab, "devices/policy/exclude"))
}

#[test]
fn the_default_profile_is_taken_over_and_keeps_what_others_wrote() {
    let lab = with_stack(&["--mangle", "5"], SPLIT);
    let before = excluded(&lab);
    lab.run(&["apply", "--yes"]).exits(5).says("split_tunnel.all is there already and differs");
    lab.write(STACK, &SPLIT.replace("mode:", "adopt: true\n    mode:"));
    lab.apply(&[]);
    assert_eq!(excluded(&lab).len(), before.len() + 2);
    lab.is_settled(&[]);
    lab.run(&["drift"]).exits(0);
    // Someone adds one, and takes one of ours away.
    let mut other: Vec<Value> = excluded(&lab);
    other.retain(|entry| entry["description"] != "lab");
    other.push(json!({"host": "theirs.example.org"}));
    let list = lab.account("devices/policy/exclude");
    lab.cloudflare("PUT", &list, Some(json!(other)));
    lab.run(&["drift"]).exits(2);
    lab.apply(&[]);
    lab.is_settled(&[]);
    lab.edit(STACK, "      - {host: NAS.home.arpa}\n", "");
    lab.apply(&[]);
    lab.is_settled(&[]);
    let mut left = before.clone();
    left.push(json!({"host": "theirs.example.org"}));
    left.push(json!({"address": "10.9.0.0/16", "description": "lab"}));
    left = sorted(left);
    assert_eq!(excluded(&lab), left);
    // The profile stays, less what was put in.
    lab.run(&["destroy", "net", "--yes"]).exits(0);
    left.retain(|entry| entry["address"] != "10.9.0.0/16");
    assert_eq!(excluded(&lab), left);
    let stack = lab.read(STACK);
    lab.write(STACK, &stack.replace("resources:", "resources:\n  tunnel.t: {name: t}"));
    lab.apply(&[]);
    lab.is_settled(&[]);
}

#[test]
fn a_list_that_is_not_shared_is_the_files() {
    let text = "resources:
  split_tunnel.all: {mode: include, adopt: true, entries: [{address: 10.9.0.0/16}, {host: nas.lan}]}
";
    let lab = with_stack(&["--mangle", "6"], text);
    lab.apply(&[]);
    lab.is_settled(&[]);
    assert!(excluded(&lab).is_empty(), "one mode ends the other");
    assert_eq!(rows(&lab, "devices/policy/include").len(), 2);
    let list = lab.account("devices/policy/include");
    lab.cloudflare("PUT", &list, Some(json!([{"host": "nas.lan"}, {"host": "theirs.lan"}])));
    lab.run(&["drift"]).exits(2);
    lab.apply(&[]);
    lab.is_settled(&[]);
    let hosts = rows(&lab, "devices/policy/include");
    assert!(hosts.iter().all(|entry| entry["host"] != "theirs.lan"), "{hosts:#?}");
    lab.edit(STACK, "mode: include", "mode: exclude");
    lab.apply(&[]);
    lab.is_settled(&[]);
    assert_eq!(excluded(&lab).len(), 2);
}
