//! `drift revert`: what has drifted is put back as it was applied last, and nothing else is done.

use serde_json::{Value, json};

use crate::lab::Lab;

fn record(lab: &Lab) -> String {
    let record = lab.only(&lab.records());
    format!("{}/{}", lab.records(), record["id"].as_str().unwrap())
}

fn application(lab: &Lab) -> (String, Value) {
    let application = lab.only(&lab.account("access/apps"));
    let path = lab.account(&format!("access/apps/{}", application["id"].as_str().unwrap()));
    (path, application)
}

fn session(lab: &Lab, duration: &str) {
    let (path, mut body) = application(lab);
    body.as_object_mut().unwrap().remove("policies");
    body["session_duration"] = json!(duration);
    lab.cloudflare("PUT", &path, Some(body));
}

#[test]
fn only_what_was_asked_for_is_put_back() {
    let lab = Lab::of("openhands");
    lab.apply(&[]);
    let at = record(&lab);
    lab.cloudflare("PATCH", &at, Some(json!({"proxied": false, "ttl": 300})));
    session(&lab, "1h");
    // The files ask for something else by now, of what has drifted and of what has not.
    lab.edit("stacks/openhands.yaml", "session_duration: 24h", "session_duration: 12h");
    lab.edit("manifests/socket/deployment.yaml", "replicas: 1", "replicas: 2");

    lab.forget_requests();
    lab.run(&["drift", "revert", "dns_record.openhands"]).exits(5).says("no terminal");
    lab.run(&["drift", "revert", "tunnel.openhands", "--yes"]).exits(5).says("has not drifted");
    let refused = lab.run(&["drift", "revert", "dns_record.openhands.ttl", "--yes"]).exits(5);
    refused.says("has drifted elsewhere").says("proxied");
    assert_eq!(lab.changes(), [] as [String; 0]);

    lab.run(&["drift", "revert", "dns_record.openhands", "--yes"]).exits(0);
    let changes = lab.changes();
    assert!(changes.len() == 1 && changes[0].contains("/dns_records/"), "{changes:?}");
    let now = lab.cloudflare("GET", &at, None);
    assert_eq!((&now["proxied"], &now["ttl"]), (&json!(true), &json!(1)));
    lab.run(&["drift"]).exits(2).says("session_duration");
    lab.run(&["plan", "--detailed-exitcode"]).exits(2).says("spec.replicas");

    let said = lab.run(&["drift", "revert", "access_application.openhands", "--yes"]).exits(0);
    said.says("The files ask for something else of access_application.openhands");
    assert_eq!(application(&lab).1["session_duration"], "24h", "as applied, not as asked for");
    lab.run(&["drift"]).exits(0);
    // What was pending still is.
    lab.run(&["plan", "--detailed-exitcode"])
        .exits(2)
        .says("24h")
        .says("12h")
        .says("spec.replicas");
    lab.apply(&[]);
    lab.is_settled(&[]);
    assert_eq!(application(&lab).1["session_duration"], "12h");
}

#[test]
fn every_kind_of_drift_of_what_is_boxctls_is_put_back() {
    let lab = Lab::of("openhands");
    lab.apply(&[]);
    let revert = |what: &str| {
        lab.run(&["drift"]).exits(2);
        lab.run(&["drift", "revert", what, "--yes"]).exits(0);
        lab.run(&["drift"]).exits(0);
        lab.is_settled(&[]);
    };
    lab.cloudflare("DELETE", &record(&lab), None);
    revert("dns_record.openhands");
    let name = "openhands-tunnel-token";
    let read = || lab.ssm("GetParameter", json!({"Name": name, "WithDecryption": true}));
    let value = read()["Parameter"]["Value"].clone();
    lab.ssm("PutParameter", json!({"Name": name, "Value": "other", "Overwrite": true}));
    revert("ssm_parameter.openhands.value");
    assert_eq!(read()["Parameter"]["Value"], value);
    let path = "/apis/apps/v1/namespaces/openhands/deployments/openhands";
    lab.patch(path, json!({"spec": {"replicas": 3}}));
    revert("k8s.Deployment/**");
    // What hangs on a tunnel that is made anew follows it.
    let tunnel = lab.only(&lab.account("cfd_tunnel?is_deleted=false"));
    let path = lab.account(&format!("cfd_tunnel/{}", tunnel["id"].as_str().unwrap()));
    lab.cloudflare("DELETE", &format!("{path}/connections"), None);
    lab.cloudflare("DELETE", &path, None);
    lab.run(&["drift", "revert", "tunnel.openhands", "--yes"]).exits(0).says("goes with it");
    lab.run(&["drift"]).exits(0);
    lab.is_settled(&[]);
    let tunnel = lab.only(&lab.account("cfd_tunnel?is_deleted=false"));
    let config =
        lab.account(&format!("cfd_tunnel/{}/configurations", tunnel["id"].as_str().unwrap()));
    let rules = |lab: &Lab| lab.cloudflare("GET", &config, None)["config"]["ingress"].clone();
    let was = rules(&lab);
    let evil = json!([{"hostname": "evil.b0xp.io", "service": "http://evil:80"}, was[1]]);
    lab.cloudflare("PUT", &config, Some(json!({"config": {"ingress": evil}})));
    revert("tunnel_config.openhands");
    assert_eq!(rules(&lab), was);
}

#[test]
fn a_guard_that_is_gone_comes_back_before_its_hostname() {
    let lab = Lab::of("openhands");
    lab.apply(&[]);
    let (path, _) = application(&lab);
    lab.cloudflare("DELETE", &path, None);
    lab.cloudflare("DELETE", &record(&lab), None);
    lab.forget_requests();
    // The record alone was asked for: without its guard it does not go ahead.
    lab.run(&["drift", "revert", "dns_record.openhands", "--yes"]).exits(0).says("goes with it");
    let changes = lab.changes();
    let first = |what: &str| changes.iter().position(|change| change.contains(what)).unwrap();
    assert!(first("/access/apps") < first("/dns_records"), "{changes:?}");
    lab.run(&["drift"]).exits(0);
    lab.is_settled(&[]);
}

#[test]
fn after_a_rollback_it_is_what_was_rolled_back_to() {
    let lab = Lab::of("openhands");
    lab.apply(&[]);
    lab.edit("stacks/openhands.yaml", "session_duration: 24h", "session_duration: 12h");
    lab.apply(&[]);
    lab.run(&["rollback", "openhands", "--yes"]).exits(0);
    session(&lab, "1h");
    lab.run(&["drift", "revert", "access_application.openhands", "--yes"]).exits(0);
    assert_eq!(application(&lab).1["session_duration"], "24h");
    lab.run(&["drift"]).exits(0);
    lab.run(&["apply", "--yes"]).exits(5).says("rolled back");
}
