//! Programs that boxctl's authors did not write: the official Cloudflare client for Python, the AWS
//! command line, kubectl, and moto in the place of SSM. Each is looked for on the PATH; with
//! BOXCTL_TEST_TOOLS=required it has to be there.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::lab::{ACCOUNT, Lab, tell};
use crate::moto::Moto;

/// Whether a command works here.
pub fn is_there(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    let ran = command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let works = ran.is_ok_and(|status| status.success());
    let required = std::env::var("BOXCTL_TEST_TOOLS").is_ok_and(|value| value == "required");
    assert!(works || !required, "{program} {arguments:?} does not work here");
    if !works {
        tell(&format!("left out: {program} {arguments:?} does not work here"));
    }
    works
}

/// A tool, run with what the sandbox printed and nothing else.
pub fn tool(lab: &Lab, program: &str, arguments: &[&str]) -> String {
    let mut command = lab.command_of(program);
    // Nothing is left beside scripts.
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    let output = command.args(arguments).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

#[test]
fn the_official_cloudflare_client_reads_what_boxctl_made() {
    if !is_there("python3", &["-c", "import cloudflare"]) {
        return;
    }
    let lab = Lab::of("openhands");
    lab.apply(&[]);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools/cloudflare_client.py");
    let read = tool(&lab, "python3", &[script.to_str().unwrap(), ACCOUNT, "b0xp.io"]);
    let read: Value = serde_json::from_str(&read).unwrap();
    let tunnel = &read["tunnels"][0];
    assert_eq!(tunnel[1], "cloudflare openhands tunnel");
    let cname = format!("{}.cfargotunnel.com", tunnel[0].as_str().unwrap());
    assert_eq!(read["records"], json!([["openhands.b0xp.io", "CNAME", cname]]));
    assert_eq!(read["ingress"][1][1], "http_status:404");
    assert_eq!(
        read["apps"],
        json!([["openhands.b0xp.io", "24h", ["policy for openhands.b0xp.io"]]])
    );
    assert_eq!(read["policies"], json!([["policy for openhands.b0xp.io", "allow"]]));
    assert_eq!(read["providers"], json!(["github", "onetimepin"]));
    assert_eq!(read["token"], true);
    // A record that another client makes is none of boxctl's business.
    lab.is_settled(&[]);
    lab.run(&["drift"]).exits(0);
}

#[test]
fn the_aws_command_line_reads_and_writes_parameters() {
    if !is_there("aws", &["--version"]) {
        return;
    }
    let lab = Lab::of("openhands");
    lab.apply(&[]);
    let name = "openhands-tunnel-token";
    let get = ["ssm", "get-parameter", "--name", name, "--with-decryption", "--output", "json"];
    let read: Value = serde_json::from_str(&tool(&lab, "aws", &get)).unwrap();
    assert_eq!(read["Parameter"]["Type"], "SecureString");
    let put = ["ssm", "put-parameter", "--name", name, "--value", "other", "--overwrite"];
    tool(&lab, "aws", &put);
    lab.run(&["drift"]).exits(2).says("ssm_parameter.openhands");
    lab.apply(&[]);
    let again: Value = serde_json::from_str(&tool(&lab, "aws", &get)).unwrap();
    assert_eq!(again["Parameter"]["Value"], read["Parameter"]["Value"]);
    assert_eq!(again["Parameter"]["Version"], 3);
    let who = tool(&lab, "aws", &["sts", "get-caller-identity", "--output", "json"]);
    let who: Value = serde_json::from_str(&who).unwrap();
    let state: Value = serde_json::from_str(&lab.read("state/openhands.json")).unwrap();
    assert_eq!(who["Account"], state["target"]["aws_account"]);
}

#[test]
fn kubectl_lists_and_gets_what_boxctl_applied() {
    if !is_there("kubectl", &["version", "--client"]) {
        return;
    }
    let lab = Lab::of("openhands");
    lab.apply(&[]);
    let pods = tool(&lab, "kubectl", &["get", "deploy,pods", "-n", "openhands"]);
    assert!(pods.contains("deployment.apps/openhands") && pods.contains("1/1"), "{pods}");
    let secrets = tool(&lab, "kubectl", &["get", "externalsecrets", "-A"]);
    assert!(secrets.contains("SecretSynced"), "{secrets}");
    let yaml = tool(
        &lab,
        "kubectl",
        &["get", "deploy", "openhands", "-n", "openhands", "-o", "yaml", "--show-managed-fields"],
    );
    assert!(yaml.contains("manager: boxctl"), "{yaml}");
    tool(
        &lab,
        "kubectl",
        &["-n", "openhands", "set", "image", "deploy/openhands", "openhands=evil:1"],
    );
    lab.run(&["drift"]).exits(2).says("kubectl-set");
    lab.apply(&[]);
    lab.is_settled(&[]);
}

#[test]
fn the_whole_life_of_the_stack_with_moto_in_the_place_of_ssm() {
    if !is_there("moto_server", &["--help"]) {
        return;
    }
    let moto = Moto::start();
    let lab = Lab::beside("openhands", &[], &[("AWS_ENDPOINT_URL", &moto.url)]);
    assert_eq!(lab.variable("AWS_ENDPOINT_URL"), moto.url);
    lab.apply(&[]);
    lab.is_settled(&[]);
    let name = json!({"Name": "openhands-tunnel-token", "WithDecryption": true});
    let value = lab.ssm("GetParameter", name.clone())["Parameter"]["Value"].clone();
    let other = json!({"Name": "openhands-tunnel-token", "Value": "x", "Overwrite": true});
    lab.ssm("PutParameter", other);
    lab.run(&["drift"]).exits(2).says("ssm_parameter.openhands");
    lab.apply(&[]);
    lab.is_settled(&[]);
    assert_eq!(lab.ssm("GetParameter", name)["Parameter"]["Value"], value);
    lab.ssm("DeleteParameter", json!({"Name": "openhands-tunnel-token"}));
    lab.apply(&[]);
    lab.is_settled(&[]);
    lab.apply(&["--var", "runtime=dind"]);
    lab.is_settled(&["--var", "runtime=dind"]);
    lab.run(&["destroy", "openhands", "--yes", "--allow-protected", "**"]).exits(0);
    let left = lab.ssm("DescribeParameters", json!({}));
    let names: Vec<&str> = left["Parameters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["Name"].as_str().unwrap())
        .collect();
    assert!(!names.contains(&"openhands-tunnel-token"), "{names:?}");
}
