//! Credentials that may only read: what can't be checked with them is said to be unchecked.

use serde_json::Value;

use crate::lab::Lab;
use crate::told::flowing;

/// The lab's credentials become those that may only read.
pub fn read_only(lab: &mut Lab) {
    let file = lab.read(".boxctl/sandbox/endpoint.json");
    let endpoint: Value = serde_json::from_str(&file).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    lab.set("CLOUDFLARE_API_TOKEN", &text(&endpoint["cloudflare_read_token"]));
    lab.set("AWS_ACCESS_KEY_ID", &text(&endpoint["aws_read_key"][0]));
    lab.set("AWS_SECRET_ACCESS_KEY", &text(&endpoint["aws_read_key"][1]));
    lab.set("KUBECONFIG", &text(&endpoint["kubeconfig_read"]));
}

#[test]
fn everything_that_only_reads_works_with_credentials_that_may_only_read() {
    let mut lab = Lab::of("openhands");
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: app, namespace: openhands}\nstringData: {a: b}\n";
    lab.write("manifests/socket/secret.yaml", secret);
    lab.apply(&[]);
    read_only(&mut lab);
    lab.forget_requests();
    let text = flowing(&lab.is_settled(&[]).out);
    // What was not checked is named, and what would check it.
    for part in [
        "not read: the token of tunnel.openhands, the value of ssm_parameter.openhands.",
        "`--verify-secrets` reads them, with Cloudflare Tunnel Write and ssm:GetParameters.",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    lab.run(&["drift"]).exits(0);
    lab.run(&["validate"]).exits(0);
    lab.run(&["show"]).exits(0);
    lab.run(&["graph", "openhands"]).exits(0);
    assert!(lab.changes().is_empty());
    let paths: Vec<String> =
        lab.requests().iter().map(|request| request["path"].as_str().unwrap().to_owned()).collect();
    // These want a permission to write, or to decrypt.
    assert!(!paths.iter().any(|path| path.ends_with("/token") || path.contains("GetParameter")));

    // A change is planned, with what could not be checked said, and the permission for it.
    lab.edit("manifests/socket/secret.yaml", "a: b", "a: c");
    lab.edit("manifests/socket/deployment.yaml", "replicas: 1", "replicas: 2");
    lab.edit("stacks/openhands.yaml", "session_duration: 24h", "session_duration: 12h");
    let plan = lab.run(&["plan", "--json"]).exits(0).json();
    let changes = plan["stacks"][0]["changes"].as_array().unwrap();
    let of = |address: &str| changes.iter().find(|change| change["address"] == address);
    assert_eq!(changes.len(), 2, "{changes:#?}");
    let deployment = of("k8s.Deployment/openhands/openhands").unwrap();
    assert_eq!(deployment["confidence"], "unchecked");
    let why = deployment["unchecked"].as_str().unwrap();
    assert!(why.contains("cannot patch resource \"deployments\""), "{why}");
    assert_eq!(deployment["paths"], serde_json::json!(["spec.replicas"]));
    assert!(of("access_application.openhands").is_some());
    // Nothing can tell whether a value of a Secret is another one now, and that is said.
    let checks = plan["stacks"][0]["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["code"] == "unchecked").unwrap();
    assert_eq!(check["address"], "k8s.Secret/openhands/app");
    let text = flowing(&lab.run(&["plan"]).exits(0).out);
    assert!(
        text.contains("Not checked in full: k8s.Secret/openhands/app; `-v` says why"),
        "{text}"
    );
    lab.run(&["plan", "-v"]).exits(0).says("needs the permission to patch it: secrets");
    assert!(lab.changes().is_empty());
}
