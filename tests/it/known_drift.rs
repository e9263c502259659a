//! Drift that is known: `drift ack` makes it quiet until it changes or the time is up.

use serde_json::{Value, json};

use crate::lab::Lab;

/// Arguments that acknowledge something for a month.
fn ack<'a>(what: &'a str, reason: &'a str) -> [&'a str; 7] {
    ["drift", "ack", what, "--until", "30d", "--reason", reason]
}

/// What `drift --json` has of a kind.
fn found(lab: &Lab, code: i32, kind: &str) -> Vec<Value> {
    let found = lab.run(&["drift", "--json"]).exits(code).json();
    found[kind].as_array().unwrap_or_else(|| panic!("{kind} is not in {found:#}")).clone()
}

fn record(lab: &Lab) -> String {
    let record = lab.only(&lab.records());
    format!("{}/{}", lab.records(), record["id"].as_str().unwrap())
}

#[test]
fn what_is_known_is_quiet_until_it_changes_or_the_time_is_up() {
    let lab = Lab::of("openhands");
    lab.apply(&[]);
    lab.run(&ack("dns_record.openhands", "x")).exits(5).says("has not drifted").says("nothing has");
    let path = record(&lab);
    let set = |body: Value| lab.cloudflare("PATCH", &path, Some(body));
    set(json!({"proxied": false, "ttl": 300}));
    lab.run(&ack("dns_record.openhnds.ttl", "x"))
        .exits(5)
        .says("did you mean dns_record.openhands");
    lab.run(&ack("tunnel.openhands", "x")).exits(5).says("this has: dns_record.openhands");
    lab.run(&ack("dns_record.openhands.name", "x")).exits(5).says("has not drifted");
    assert!(!lab.path().join("drift.yaml").exists(), "nothing was written yet");

    lab.run(&ack("dns_record.openhands.ttl", "the move")).exits(0).says("is known until");
    lab.run(&["drift"]).exits(2).says("proxied").says("Known: dns_record.openhands (ttl)");
    let text = lab.read("drift.yaml").replace("  - stack", "  # ours\n  - stack");
    lab.write("drift.yaml", &text);
    lab.run(&ack("dns_record.openhands.proxied", "as well")).exits(0);
    assert!(lab.read("drift.yaml").starts_with(&text), "what was there stays");
    let quiet = found(&lab, 0, "acknowledged");
    assert_eq!(quiet.len(), 2, "{quiet:#?}");
    assert_eq!(quiet[0]["acknowledged"]["reason"], "the move");
    assert_eq!(quiet[0]["paths"], json!(["ttl"]));
    lab.run(&ack("dns_record.openhands", "all of it")).exits(0);
    assert!(lab.read("drift.yaml").contains("  # ours\n  - stack: openhands\n"));
    let said = lab.run(&["drift"]).exits(0).says("No drift.").says("all of it");
    assert!(!said.out.contains("boxctl apply"), "{}", said.out);
    assert_eq!(found(&lab, 0, "acknowledged").len(), 1, "all of it includes its parts");
    assert_eq!(found(&lab, 0, "drifted"), [] as [Value; 0]);

    // Acknowledged or not, an apply would put it back, and plan says so.
    lab.run(&["plan", "--detailed-exitcode"]).exits(2).says("ttl");

    set(json!({"ttl": 600}));
    lab.run(&["drift"]).exits(2).says("600").says("changed again since it was acknowledged");
    lab.run(&ack("dns_record.openhands", "and again")).exits(0);
    lab.run(&["drift"]).exits(0);
    let text = lab.read("drift.yaml");
    assert_eq!(text.matches("address: dns_record.openhands").count(), 1, "{text}");

    let until = text.split("until: ").nth(1).unwrap().split('\n').next().unwrap().to_owned();
    lab.edit("drift.yaml", &until, "2026-01-31");
    lab.run(&["drift"]).exits(2).says("acknowledged until 2026-01-31, which is over").says("600");
    lab.run(&["drift", "ack", "--prune"]).exits(0).says("is over: taken out");
    lab.run(&["drift", "ack", "--prune"]).exits(0).says("Nothing in drift.yaml is over");
    lab.run(&["drift"]).exits(2);
}

#[test]
fn every_kind_of_drift_can_be_known_and_rings_when_it_changes_again() {
    let lab = Lab::of("openhands");
    lab.apply(&[]);
    let name = "openhands-tunnel-token";
    let write = |value: &str| {
        lab.ssm("PutParameter", json!({"Name": name, "Value": value, "Overwrite": true}));
    };
    let deployment = "/apis/apps/v1/namespaces/openhands/deployments/openhands";
    let replicas = |number: u32| lab.patch(deployment, json!({"spec": {"replicas": number}}));
    let tunnel = lab.only(&lab.account("cfd_tunnel?is_deleted=false"));
    let config =
        lab.account(&format!("cfd_tunnel/{}/configurations", tunnel["id"].as_str().unwrap()));
    let rules = |service: &str| {
        let evil = json!({"hostname": "evil.b0xp.io", "service": service});
        let mut rules = lab.cloudflare("GET", &config, None)["config"]["ingress"].clone();
        let all = rules.as_array_mut().unwrap();
        all.retain(|rule| rule["hostname"] != "evil.b0xp.io");
        all.insert(1, evil);
        lab.cloudflare("PUT", &config, Some(json!({"config": {"ingress": rules}})));
    };
    let ring_and_hush = |what: &str| {
        lab.run(&["drift"]).exits(2);
        let value = format!("known: {what}");
        lab.run(&ack(what, &value)).exits(0);
        lab.run(&["drift"]).exits(0).says(&value);
    };
    write("s3cr3t-one");
    ring_and_hush("ssm_parameter.openhands");
    write("s3cr3t-two");
    ring_and_hush("ssm_parameter.openhands.value");
    let text = lab.read("drift.yaml");
    assert!(!text.contains("s3cr3t"), "a secret is in {text}");
    replicas(3);
    ring_and_hush("k8s.Deployment/openhands/openhands.spec");
    replicas(4);
    ring_and_hush("k8s.*/openhands/*");
    rules("http://evil:80");
    ring_and_hush("tunnel_config.openhands");
    rules("http://evil:81");
    ring_and_hush("tunnel_config.openhands.ingress");
    lab.cloudflare("DELETE", &record(&lab), None);
    ring_and_hush("dns_record.openhands");
    lab.run(&["validate"]).exits(0);
    // All of it is put back at once, and then known no more.
    lab.apply(&[]);
    lab.is_settled(&[]);
    lab.run(&["drift"]).exits(0).says("has drifted no more");
    // What is gone again is another one that is gone.
    lab.cloudflare("DELETE", &record(&lab), None);
    lab.run(&["drift"]).exits(2).says("missing dns_record.openhands").says("changed again");
    lab.apply(&[]);
    lab.run(&["drift", "ack", "--prune"]).exits(0);
    let left = lab.run(&["drift", "--json"]).exits(0).json();
    assert_eq!(left["checks"], json!([]), "{left:#}");
}

#[test]
fn mistakes_in_the_file_are_told_at_their_place() {
    let lab = Lab::of("openhands");
    lab.write("drift.yaml", "acknowledged:\n  - stack: openhands\n    adress: x.y\n");
    for command in [&["validate"][..], &["drift"]] {
        lab.run(command).exits(1).says("drift.yaml:3:5").says("unknown key `adress`");
    }
    lab.write("drift.yaml", "# nothing yet\n");
    lab.run(&["validate"]).exits(0);
    lab.run(&["drift", "ack", "tunnel.openhands", "--until", "soon", "--reason", "x"])
        .exits(5)
        .says("30d");
}

#[test]
fn a_look_writes_nothing() {
    let lab = Lab::of("openhands");
    lab.apply(&[]);
    let files = || {
        let list = |dir: &std::path::Path| {
            let names = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
            let mut found: Vec<_> = names
                .filter(|path| path.is_file() && !path.ends_with("requests.log"))
                .map(|path| (std::fs::read(&path).unwrap(), path))
                .collect();
            found.sort();
            found
        };
        (list(lab.path()), list(&lab.path().join("state")))
    };
    lab.cloudflare("PATCH", &record(&lab), Some(json!({"proxied": false, "ttl": 300})));
    let before = files();
    lab.forget_requests();
    lab.run(&["drift"]).exits(2);
    lab.run(&["drift", "--json"]).exits(2);
    assert_eq!(lab.changes(), [] as [String; 0]);
    lab.run(&ack("dns_record.openhands", "x")).exits(0);
    assert_eq!(lab.changes(), [] as [String; 0], "an acknowledgement only reads");
    std::fs::remove_file(lab.path().join("drift.yaml")).unwrap();
    assert_eq!(files(), before);
}
