//! What boxctl writes of a parameter, and what it leaves alone.

use serde_json::{Value, json};

use crate::lab::Lab;

/// An ExternalSecret that reads the parameter `app-password`.
const READER: &str = "\
apiVersion: external-secrets.io/v1beta1
kind: ExternalSecret
metadata: {name: app, namespace: openhands}
spec:
  refreshInterval: 1h
  secretStoreRef: {name: parameterstore, kind: ClusterSecretStore}
  target: {name: app, creationPolicy: Owner}
  data:
  - secretKey: password
    remoteRef: {key: app-password}
";

const RESOURCES: &str = "
resources:
  ssm_parameter.app:
    name: app-password
    value: {generate: {length: 32}}
    description: first
    tags: {team: a}
";

fn lab() -> Lab {
    let lab = Lab::of("openhands");
    let stack = lab.read("stacks/openhands.yaml") + RESOURCES;
    lab.write("stacks/openhands.yaml", &stack);
    lab.write("manifests/socket/app-secret.yaml", READER);
    lab.apply(&[]);
    lab
}

fn parameter(lab: &Lab) -> Value {
    let input = json!({"Name": "app-password", "WithDecryption": true});
    lab.ssm("GetParameter", input)["Parameter"].clone()
}

#[test]
fn a_change_of_tags_writes_tags_and_nothing_else() {
    let lab = lab();
    let before = parameter(&lab);
    lab.edit("stacks/openhands.yaml", "team: a", "team: b");
    lab.forget_requests();
    let ran = lab.apply(&[]);
    assert!(!ran.out.contains("ExternalSecret"), "who reads it is left alone: {}", ran.out);
    if !lab.has_moto() {
        assert_eq!(lab.changes(), ["POST AddTagsToResource"]);
    }
    assert_eq!(parameter(&lab), before);
    lab.is_settled(&[]);
    // A tag that leaves the file goes; one of someone else stays.
    let someones = json!({"ResourceType": "Parameter", "ResourceId": "app-password",
        "Tags": [{"Key": "cost", "Value": "7"}]});
    lab.ssm("AddTagsToResource", someones);
    lab.edit("stacks/openhands.yaml", "team: b", "owner: c");
    lab.apply(&[]);
    let input = json!({"ResourceType": "Parameter", "ResourceId": "app-password"});
    let mut tags = lab.ssm("ListTagsForResource", input)["TagList"].as_array().unwrap().clone();
    tags.sort_by_key(|tag| tag["Key"].to_string());
    let expected = json!([{"Key": "cost", "Value": "7"}, {"Key": "owner", "Value": "c"}]);
    assert_eq!(json!(tags), expected);
    assert_eq!(parameter(&lab)["Version"], 1);
    lab.is_settled(&[]);
}

#[test]
fn a_version_that_a_description_costs_is_read_again_in_the_same_run() {
    let lab = lab();
    let before = parameter(&lab);
    lab.edit("stacks/openhands.yaml", "description: first", "description: second");
    let plan = lab.run(&["plan"]).exits(0);
    assert!(
        plan.out.contains("refreshed, since ssm_parameter.app gets a new version"),
        "{}",
        plan.out
    );
    lab.apply(&[]);
    let after = parameter(&lab);
    assert_eq!((&after["Version"], &after["Value"]), (&json!(2), &before["Value"]));
    lab.is_settled(&[]);
}

#[test]
fn pages_that_come_short_are_read_to_their_end() {
    let lab = Lab::hasty("longform", &["--quirks", "short-pages"]);
    let stack = "resources:\n  ssm_parameter.p: {name: p, value: v, tags: {a: b}}\n";
    lab.write("stacks/openhands.yaml", stack);
    lab.apply(&[]);
    lab.is_settled(&[]);
    let first = lab.ssm("DescribeParameters", json!({}));
    assert_eq!(first["Parameters"], json!([]));
    assert!(first["NextToken"].is_string(), "{first}");
    lab.edit("stacks/openhands.yaml", "value: v", "value: w");
    lab.apply(&[]);
    lab.ssm("DeleteParameter", json!({"Name": "p"}));
    lab.run(&["drift"]).exits(2);
    lab.apply(&[]);
    lab.is_settled(&[]);
}

#[test]
fn what_is_not_described_yet_is_there_all_the_same() {
    // Nothing that is written here is described before the test ends.
    let mut lab = Lab::hasty("longform", &["--quirks", "stale-descriptions=600000"]);
    let stack = "resources:\n  ssm_parameter.p: {name: p, value: v, description: d, tags: {a: b}}\n  \
                 ssm_parameter.q: {name: q, value: {generate: {length: 20}}, tier: Advanced}\n";
    lab.write("stacks/openhands.yaml", stack);
    lab.apply(&[]);
    for (from, to) in
        [("", ""), ("value: v", "value: w"), ("description: d", "description: e"), ("a: b", "a: c")]
    {
        lab.edit("stacks/openhands.yaml", from, to);
        lab.apply(&[]);
        lab.is_settled(&[]);
        lab.run(&["drift"]).exits(0);
    }
    lab.ssm("DeleteParameter", json!({"Name": "q"}));
    lab.run(&["drift"]).exits(2).says("ssm_parameter.q");
    let plan = lab.run(&["plan"]).exits(0).says("+ create  ssm_parameter.q");
    plan.says("Plan: 1 to create, 0 to update, 0 to delete, 1 unchanged.");

    // Who may not ask does not take it for gone.
    let denied = "- {service: ssm, path: GetParameters, status: 400, times: 100, \
                  body: {__type: AccessDeniedException, Message: no}}\n";
    lab.write("faults.yaml", denied);
    lab.restart(&["--quirks", "stale-descriptions=600000", "--faults", "faults.yaml"]);
    let plan = lab.run(&["plan"]).exits(1).says("ssm:GetParameters");
    assert!(!plan.out.contains("+ create"), "{}", plan.out);
}

#[test]
fn another_type_makes_the_parameter_anew() {
    let lab = Lab::of("longform");
    let stack = "resources:\n  ssm_parameter.p: {name: p, value: v}\n";
    lab.write("stacks/openhands.yaml", stack);
    lab.apply(&[]);
    lab.edit("stacks/openhands.yaml", "value: v}", "value: v, type: String}");
    lab.run(&["plan"]).exits(0).says("type cannot be changed");
    lab.apply(&["--allow-large"]);
    let now = lab.ssm("GetParameter", json!({"Name": "p"}))["Parameter"].clone();
    assert_eq!(
        (&now["Type"], &now["Value"], &now["Version"]),
        (&json!("String"), &json!("v"), &json!(1))
    );
    lab.is_settled(&[]);
    // What is protected is not deleted for it.
    lab.edit("stacks/openhands.yaml", "type: String}", "protect: true}");
    let ran = lab.run(&["apply", "--yes", "--allow-large"]).exits(5).says("protect");
    assert!(!ran.out.contains("deleted"), "{}", ran.out);
}

#[test]
fn a_name_that_is_not_free_yet_is_told_and_taken_later() {
    let mut lab = Lab::hasty("longform", &["--quirks", "slow-deletes=600000"]);
    lab.write("stacks/openhands.yaml", "resources:\n  ssm_parameter.p: {name: p, value: v}\n");
    lab.apply(&[]);
    lab.edit("stacks/openhands.yaml", "value: v}", "value: v, type: String}");
    let ran = lab.run(&["apply", "--yes"]).exits(3).says("ParameterAlreadyExists");
    ran.says("wait 30 seconds and run this again");
    lab.restart(&[]);
    lab.apply(&[]);
    let now = lab.ssm("GetParameter", json!({"Name": "p"}))["Parameter"].clone();
    assert_eq!((&now["Type"], &now["Version"]), (&json!("String"), &json!(1)));
    lab.is_settled(&[]);
}
