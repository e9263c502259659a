//! Any tunnel, configuration, route and split tunnel, in any spelling (contract 4, 5, 7.9).

use proptest::prelude::*;
use serde_json::{Value, json};

use super::spell::{
    Always, Gen, Maybe, any_network, flag, hostname, list, network, note, object, one_of, text,
};
use super::world::NETWORK;

pub fn tunnel(at: usize) -> Gen {
    let name = note().prop_map(move |note| json!(format!("t{at} {}", note.as_str().unwrap())));
    object(vec![Always("name", name.boxed())])
}

/// A reference to the tunnel that stands beside what is generated.
fn of_tunnel(at: usize) -> Gen {
    Just(json!(format!("${{tunnel.t{at}.id}}"))).boxed()
}

pub fn config(at: usize) -> Gen {
    let rules = (1..6usize).prop_flat_map(move |count| {
        let rules: Vec<Gen> = (0..count).map(|index| rule(at, index)).collect();
        (rules, proptest::option::of(catch_all())).prop_map(|(mut rules, last)| {
            rules.extend(last);
            Value::from(rules)
        })
    });
    object(vec![
        Always("tunnel", of_tunnel(at)),
        Always("ingress", rules.boxed()),
        Maybe("origin_request", settings()),
    ])
}

/// A rule that no other one shadows.
fn rule(at: usize, index: usize) -> Gen {
    let host = |form: &str| hostname(form.replace('N', &format!("r{index}.t{at}")));
    let hosts = ["N.b0xp.io", "*.N.b0xp.io", "N", "büro.N.a.test"].map(host);
    let path = || text(&["", "^/v1", "\\.(jpg|png)$", "/API/[0-9]+"]);
    let with_host = object(vec![
        Always("hostname", proptest::strategy::Union::new(hosts).boxed()),
        Maybe("path", path()),
        Always("service", service()),
        Maybe("origin_request", settings()),
    ]);
    let everywhere = object(vec![
        Always("path", Just(json!(format!("^/only/{index}"))).boxed()),
        Maybe("hostname", text(&["", "*"])),
        Always("service", service()),
        Maybe("origin_request", settings()),
    ]);
    prop_oneof![3 => with_host, 1 => everywhere].boxed()
}

fn catch_all() -> Gen {
    object(vec![
        Maybe("hostname", text(&["", "*"])),
        Maybe("path", text(&[""])),
        Always("service", service()),
        Maybe("origin_request", settings()),
    ])
}

fn service() -> Gen {
    text(&[
        "http://frontend.app.svc.cluster.local:80",
        "https://10.0.0.1:8443",
        "http://[fd00::1]:80",
        "ssh://localhost:22",
        "tcp://db:5432",
        "unix:/run/x.sock",
        "unix+tls:/run/x.sock",
        "http_status:404",
        "http_status:503",
        "hello_world",
        "hello-world",
        "socks-proxy",
        "bastion",
    ])
}

/// Seconds as a number, a text, a text with a unit.
fn seconds() -> Gen {
    one_of(&[
        json!(30),
        json!("30"),
        json!("30s"),
        json!("1m30s"),
        json!("0s"),
        json!(0),
        json!("2m"),
    ])
}

fn settings() -> Gen {
    let word = |words: &[&str]| text(words);
    let access = object(vec![
        Maybe("required", flag()),
        Always("team_name", word(&["team", "Other"])),
        Maybe("aud_tag", list("[0-9a-f]{64}".prop_map(Value::from).boxed(), 0..=3)),
    ]);
    object(vec![
        Maybe("connect_timeout", seconds()),
        Maybe("tls_timeout", seconds()),
        Maybe("tcp_keep_alive", seconds()),
        Maybe("keep_alive_timeout", seconds()),
        Maybe("keep_alive_connections", one_of(&[json!(0), json!(100)])),
        Maybe("no_happy_eyeballs", flag()),
        Maybe("no_tls_verify", flag()),
        Maybe("disable_chunked_encoding", flag()),
        Maybe("http2_origin", flag()),
        Maybe("match_sni_to_host", flag()),
        Maybe("http_host_header", word(&["", "Host.example.org"])),
        Maybe("origin_server_name", word(&["", "origin.example.org"])),
        Maybe("ca_pool", word(&["", "/etc/ca.pem"])),
        Maybe("proxy_type", word(&["", "socks"])),
        Maybe("proxy_address", word(&["", "127.0.0.1"])),
        Maybe("proxy_port", one_of(&[json!(0), json!(8080)])),
        Maybe("bastion_mode", flag()),
        Maybe(
            "ip_rules",
            list(
                Just(json!({"prefix": "10.0.0.0/8", "ports": [80], "allow": true})).boxed(),
                0..=2,
            ),
        ),
        Maybe("access", access),
    ])
}

/// A subnet that no other one is, with the bits of hosts set or not.
pub fn route(at: usize) -> Gen {
    let v4 = (16..=32_u32, any::<u8>()).prop_map(move |(length, low)| {
        // Below /16 all subnets of this place are distinct, whatever their length.
        (format!("10.{at}.{low}.{low}"), length)
    });
    let v6 = (32..=128_u32, any::<u16>())
        .prop_map(move |(length, low)| (format!("fd00:{at:x}:{low:x}::{low:x}"), length));
    let network = (prop_oneof![v4, v6], 0..4usize)
        .prop_map(|((address, length), way)| json!(network(&format!("{address}/{length}"), way)));
    object(vec![
        Always("network", network.boxed()),
        Always("tunnel", of_tunnel(0)),
        Maybe("virtual_network", text(&["default", NETWORK])),
        Maybe("comment", note()),
    ])
}

pub fn hostname_route(at: usize) -> Gen {
    let names = [
        format!("h{at}.lan"),
        format!("*.h{at}.internal"),
        format!("büro.h{at}.lan"),
        format!("h{at}"),
    ];
    object(vec![
        Always(
            "hostname",
            proptest::sample::select(names.to_vec()).prop_flat_map(hostname).boxed(),
        ),
        Always("tunnel", prop_oneof![of_tunnel(0), of_tunnel(1)].boxed()),
        Maybe("comment", note()),
    ])
}

/// The one list there is: taken over.
pub fn split_tunnel(_: usize) -> Gen {
    let address = any_network().prop_map(|address| ("address", address));
    let host = ("[a-z]{1,9}", any::<bool>()).prop_flat_map(|(name, wild)| {
        let name = if wild { format!("*.{name}.lan") } else { format!("{name}.b0xp.io") };
        hostname(name).prop_map(|host| ("host", host))
    });
    let entry = (prop_oneof![address, host], proptest::option::of(note())).prop_map(
        |((field, value), description)| {
            let mut entry = json!({field: value});
            if let Some(description) = description {
                entry["description"] = description;
            }
            entry
        },
    );
    let entries = proptest::collection::vec(entry, 1..8).prop_map(|entries| {
        let mut keys = Vec::new();
        let mut once = entries;
        once.retain(|entry| {
            let key = key(entry);
            let is_new = !keys.contains(&key);
            keys.push(key);
            is_new
        });
        Value::from(once)
    });
    object(vec![
        Always("mode", text(&["include", "exclude"])),
        Always("entries", entries.boxed()),
        Always("adopt", Just(json!(true)).boxed()),
    ])
}

/// What an entry is about, whatever its spelling.
fn key(entry: &Value) -> String {
    let text = |field: &str| entry[field].as_str();
    match text("address") {
        Some(address) => {
            let whole = network(address, 1);
            whole.parse::<ipnet::IpNet>().unwrap().trunc().to_string()
        }
        None => text("host").unwrap().trim_end_matches('.').to_lowercase(),
    }
}
