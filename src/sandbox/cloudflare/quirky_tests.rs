use serde_json::{Value, json};

use super::super::testing::Sandbox;

fn sandbox(quirks: &str) -> Sandbox {
    let mut sandbox = Sandbox::new();
    sandbox.env.quirks = quirks.parse().unwrap();
    sandbox
}

/// What a life with a quirk comes to, in words that differ from those without it.
fn told(quirk: &str, on: bool) -> Value {
    let mut sandbox = sandbox(if on { quirk } else { "none" });
    let account = format!("/accounts/{}", sandbox.account());
    let records = format!("/zones/{}/dns_records", sandbox.zone());
    let tunnels = format!("{account}/cfd_tunnel");
    let (apps, policies) = (format!("{account}/access/apps"), format!("{account}/access/policies"));
    let policy = json!({"name": "p", "decision": "allow", "include": [{"everyone": {}}]});
    let app = json!({"type": "self_hosted", "name": "a", "domain": "a.b0xp.io"});
    let mut post = |path: &str, body: Value| sandbox.call("POST", path, Some(body));
    let id = |answer: &(u16, Value)| answer.1["result"]["id"].as_str().unwrap().to_owned();
    match quirk {
        "tunnel-conflict-400" => {
            post(&tunnels, json!({"name": "t"}));
            post(&tunnels, json!({"name": "t"})).0.into()
        }
        "long-secrets" => {
            let short = "c2hvcnQgc2VjcmV0IG9mIDI0IGJ5dGVz";
            post(&tunnels, json!({"name": "t", "tunnel_secret": short})).0.into()
        }
        "routes-outlive-tunnel" | "same-hostname-route" => {
            let tunnel = id(&post(&tunnels, json!({"name": "t"})));
            let routes = format!("{account}/zerotrust/routes/hostname");
            let route = json!({"hostname": "a.lan", "tunnel_id": tunnel});
            post(&routes, route.clone());
            let again = post(&routes, route).0;
            sandbox.status("DELETE", &format!("{tunnels}/{tunnel}"), None);
            let left = sandbox.get(&format!("{routes}?is_deleted=false"))["result"].clone();
            json!([again, left.as_array().unwrap().len()])
        }
        "no-config-src" => post(&tunnels, json!({"name": "t"})).1["result"]["config_src"].clone(),
        "unconfigured-minus-one" | "unconfigured-missing" => {
            let tunnel = id(&post(&tunnels, json!({"name": "t"})));
            let read = sandbox.call("GET", &format!("{tunnels}/{tunnel}/configurations"), None);
            json!([read.0, read.1["result"]["version"]])
        }
        "tombstones-deleted" => {
            let tunnel = format!("{tunnels}/{}", id(&post(&tunnels, json!({"name": "t"}))));
            sandbox.status("DELETE", &tunnel, None);
            sandbox.status("DELETE", &tunnel, None).into()
        }
        "never-inactive" => {
            post(&tunnels, json!({"name": "t"})).1["result"]["conns_inactive_at"].clone()
        }
        "other-codes" => sandbox.call("GET", "/nonsense", None).1["errors"].clone(),
        "ttl-required" => {
            post(&records, json!({"type": "TXT", "name": "a", "content": "x"})).0.into()
        }
        "txt-quoted" => {
            let record = json!({"type": "TXT", "name": "a", "content": "x", "ttl": 1});
            post(&records, record).1["result"]["content"].clone()
        }
        "ipv6-as-sent" => {
            let record = json!({"type": "AAAA", "name": "a", "content": "2001:DB8:0::1", "ttl": 1});
            post(&records, record).1["result"]["content"].clone()
        }
        "ttl-as-sent" => {
            let record = json!({"type": "A", "name": "a", "content": "203.0.113.1",
                "proxied": true, "ttl": 300});
            post(&records, record).1["result"]["ttl"].clone()
        }
        "no-op-unmodified" => {
            let record = json!({"type": "TXT", "name": "a", "content": "x", "ttl": 1});
            let made = post(&records, record);
            sandbox.env.now += jiff::SignedDuration::from_secs(1);
            let path = format!("{records}/{}", id(&made));
            let patched = sandbox.call("PATCH", &path, Some(json!({"ttl": 1})));
            (patched.1["result"]["modified_on"] == made.1["result"]["modified_on"]).into()
        }
        "mixed-policies" => {
            let one = id(&post(&policies, policy.clone()));
            let mut app = app;
            app["policies"] = json!([one, policy]);
            post(&apps, app).0.into()
        }
        "detaching-delete" => {
            let one = id(&post(&policies, policy));
            let mut app = app;
            app["policies"] = json!([one]);
            post(&apps, app);
            sandbox.status("DELETE", &format!("{policies}/{one}"), None).into()
        }
        "unique-app-names" => {
            post(&apps, app.clone());
            let mut other = app;
            other["domain"] = json!("b.b0xp.io");
            post(&apps, other).0.into()
        }
        "zone-apps-apart" => {
            let of_zone = format!("/zones/{}/access/apps", sandbox.zone());
            sandbox.call("POST", &of_zone, Some(app));
            sandbox.get(&apps)["result"].as_array().unwrap().len().into()
        }
        "late-policies" => {
            let one = id(&post(&policies, policy));
            let mut app = app;
            app["policies"] = json!([one]);
            let early = post(&apps, app.clone()).0;
            app["domain"] = json!("b.b0xp.io");
            sandbox.env.now += jiff::SignedDuration::from_secs(4);
            json!([early, sandbox.status("POST", &apps, Some(app))])
        }
        "stale-lists" => {
            post(&policies, policy);
            let early = sandbox.get(&policies)["result"].as_array().unwrap().len();
            sandbox.env.now += jiff::SignedDuration::from_secs(2);
            json!([early, sandbox.get(&policies)["result"].as_array().unwrap().len()])
        }
        "access-throttles" => (0..5).map(|_| sandbox.status("GET", &apps, None)).collect(),
        "put-tells-secret" => {
            let tokens = format!("{account}/access/service_tokens");
            let one = id(&post(&tokens, json!({"name": "s"})));
            let body = json!({"name": "s", "client_secret_version": 2});
            let put = sandbox.call("PUT", &format!("{tokens}/{one}"), Some(body));
            put.1["result"]["client_secret"].is_string().into()
        }
        "active-connections-409" => {
            let tunnel = post(&tunnels, json!({"name": "t"}));
            let token = tunnel.1["result"]["token"].as_str().unwrap().to_owned();
            let connections = super::super::tunnels::CONNECTIONS;
            let pod = "pod".to_owned();
            let running = [super::super::tunnels::Running { pod, token, connections }];
            super::super::tunnels::connect(&mut sandbox.state, &running, &mut sandbox.env);
            sandbox.status("DELETE", &format!("{tunnels}/{}", id(&tunnel)), None).into()
        }
        other => panic!("{other} is not shown"),
    }
}

/// Those of SSM: the tests of a parameter's life have them.
const OTHERS: [&str; 3] = ["short-pages", "slow-deletes", "stale-descriptions"];

#[test]
fn each_quirk_makes_a_difference() {
    let described = crate::sandbox::quirks::described();
    let names = described.lines().filter_map(|line| line.trim().split([':', '[']).next());
    let names = names.filter(|name| !OTHERS.contains(name));
    let mut count = 0;
    for quirk in names {
        count += 1;
        assert_ne!(told(quirk, true), told(quirk, false), "{quirk}");
    }
    assert_eq!(count, 24);
}

#[test]
fn what_passes_does_pass() {
    assert_eq!(told("stale-lists", true), json!([0, 1]));
    assert_eq!(told("late-policies", true), json!([400, 201]));
    assert_eq!(told("access-throttles", true), json!([200, 200, 200, 200, 403]));
}
