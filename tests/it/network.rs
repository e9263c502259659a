//! Proxies, and servers that do not answer as they should.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use crate::lab::Lab;

/// A proxy that connects to nothing, and what it was asked to connect to.
fn proxy() -> (String, Arc<Mutex<BTreeSet<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(BTreeSet::new()));
    let heard = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut line = String::new();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            reader.read_line(&mut line).unwrap();
            let mut header = String::new();
            while reader.read_line(&mut header).unwrap() > 2 {
                header.clear();
            }
            heard.lock().unwrap().insert(line.trim().to_owned());
            let _ =
                stream.write_all(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n");
        }
    });
    (url, asked)
}

/// The lab's project with endpoints that are not on this machine.
fn abroad() -> Lab {
    let mut lab = Lab::of("openhands");
    lab.set("CLOUDFLARE_BASE_URL", "https://cloudflare.invalid/client/v4");
    lab.set("AWS_ENDPOINT_URL", "https://aws.invalid");
    let kubeconfig = std::fs::read_to_string(lab.variable("KUBECONFIG")).unwrap();
    let server = kubeconfig.lines().find(|line| line.contains("server:")).unwrap();
    lab.write(
        "kubeconfig",
        &kubeconfig.replace(server, "    server: https://cluster.invalid:6443"),
    );
    let path = lab.path().join("kubeconfig").to_str().unwrap().to_owned();
    lab.set("KUBECONFIG", &path);
    lab
}

const EVERYONE: [&str; 3] = [
    "CONNECT aws.invalid:443 HTTP/1.1",
    "CONNECT cloudflare.invalid:443 HTTP/1.1",
    "CONNECT cluster.invalid:6443 HTTP/1.1",
];

/// What the proxy is asked for by a run for each API alone, since the first failure ends a run.
fn asked_for(lab: &mut Lab, variables: &[(&str, &str)]) -> BTreeSet<String> {
    let (url, asked) = proxy();
    lab.set("HTTPS_PROXY", &url);
    for (name, value) in variables {
        lab.set(name, value);
    }
    let stacks = [
        "resources: {ssm_parameter.a: {name: a, value: b}}\n",
        "resources: {tunnel.a: {name: a}}\n",
        "manifests: [../manifests/socket/namespace.yaml]\n",
    ];
    for stack in stacks {
        lab.write("stacks/openhands.yaml", stack);
        lab.run(&["plan"]).exits(1);
    }
    asked.lock().unwrap().clone()
}

#[test]
fn all_three_apis_are_reached_through_the_same_proxy_and_past_it_alike() {
    let mut lab = abroad();
    let found = asked_for(&mut lab, &[]);
    assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), EVERYONE);
    let found =
        asked_for(&mut lab, &[("NO_PROXY", "cluster.invalid, .aws.invalid,cloudflare.invalid")]);
    assert_eq!(found, BTreeSet::new());
}

#[test]
fn what_listens_on_this_machine_is_reached_without_a_proxy() {
    let mut lab = Lab::of("openhands");
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        // Nothing listens there.
        lab.set(name, "http://127.0.0.1:9");
        lab.set(&name.to_lowercase(), "http://127.0.0.1:9");
    }
    lab.run(&["plan"]).exits(0);
}
