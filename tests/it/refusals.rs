//! What boxctl refuses, cannot read, or is told to stop.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::Value;

use crate::lab::Lab;

fn endpoint(lab: &Lab) -> Value {
    serde_json::from_str(&lab.read(".boxctl/sandbox/endpoint.json")).unwrap()
}

#[test]
fn plan_works_with_credentials_that_only_read_and_says_what_they_could_not_check() {
    let mut lab = Lab::of("openhands");
    lab.apply(&[]);
    let known = endpoint(&lab);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    lab.set("CLOUDFLARE_API_TOKEN", &text(&known["cloudflare_read_token"]));
    lab.set("KUBECONFIG", &text(&known["kubeconfig_read"]));
    let key = &known["aws_read_key"];
    if let Some(id) = key["access_key_id"].as_str() {
        lab.set("AWS_ACCESS_KEY_ID", id);
        lab.set("AWS_SECRET_ACCESS_KEY", &text(&key["secret_access_key"]));
    }
    lab.forget_requests();
    lab.is_settled(&[]);
    lab.run(&["drift"]).exits(0);
    lab.run(&["plan", "--var", "runtime=dind"]).exits(0).says("unchecked").says("patch");
    assert!(lab.changes().is_empty());
}

#[test]
fn what_could_not_be_read_is_an_error_and_never_taken_for_absent() {
    let mut lab = Lab::of("openhands");
    lab.apply(&[]);
    let faults = "- {service: cloudflare, method: GET, path: \"access/policies$\", nth: 1, times: 99, status: 403}\n\
                  - {service: kubernetes, method: GET, path: \"/services$\", nth: 1, times: 99, status: 403}\n";
    lab.write("faults.yaml", faults);
    lab.restart(&["--faults", "faults.yaml"]);
    lab.forget_requests();
    let plan = lab.run(&["plan"]).exits(1);
    for address in ["access_policy.openhands", "k8s.Service/openhands/openhands-service"] {
        assert!(plan.out.contains(&format!("{address} could not be read")), "{}", plan.out);
    }
    assert!(!plan.out.contains("+ create"), "{}", plan.out);
    lab.run(&["drift"]).exits(1).says("could not be read");
    lab.run(&["apply", "--yes"]).exits(1);
    assert!(lab.changes().is_empty());
}

#[test]
fn a_chart_that_is_no_string_is_refused_by_the_plans_dry_run() {
    let lab = Lab::of("openhands");
    let chart = "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: chart, namespace: argocd}\nspec:\n  \
                 project: default\n  sources:\n    - chart: [OPENHANDS_CHART_NAME]\n      repoURL: x\n      targetRevision: \
                 y\n  destination: {server: z, namespace: openhands}\n";
    lab.write("manifests/socket/chart.yaml", chart);
    let plan = lab.run(&["plan"]);
    assert_ne!(plan.code, 0, "{}", plan.out);
    plan.says("k8s.Application.argoproj.io/argocd/chart would be refused").says("chart");
    lab.run(&["apply", "--yes"]).exits(1);
    assert!(lab.changes().is_empty());
}

#[test]
fn an_interrupt_finishes_what_is_in_flight_and_the_next_apply_goes_on() {
    let lab = Lab::with("openhands", &["--latency", "40"]);
    let mut command = lab.command();
    command.args(["apply", "--yes"]).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut running = command.spawn().unwrap();
    let mut lines = BufReader::new(running.stderr.take().unwrap()).lines();
    lines.by_ref().map(Result::unwrap).find(|line| line.contains("created")).expect("a first step");
    let killed = std::process::Command::new("kill")
        .args(["-INT", &running.id().to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    lines.for_each(drop);
    assert_eq!(running.wait().unwrap().code(), Some(130));
    let open =
        lab.read("state/openhands.journal").lines().filter(|l| l.contains("\"intent\":{")).count();
    assert_eq!(open, 0, "every call that was announced is settled");
    lab.apply(&[]);
    lab.is_settled(&[]);
    lab.only(&lab.account("cfd_tunnel?is_deleted=false"));
    lab.only(&lab.account("access/policies"));
}

#[test]
fn every_mistake_is_told_at_once_with_its_place() {
    let lab = Lab::of("mistakes");
    let ran = lab.run(&["validate"]).exits(1);
    for place in [
        "manifests/deployment.yaml:1:1",
        "stacks/a-service.yaml:3:5",
        "stacks/a-service.yaml:7:15",
        "stacks/a-service.yaml:10:3",
        "stacks/b-resources.yaml:7:14",
        "stacks/b-resources.yaml:8:14",
        "stacks/b-resources.yaml:10:11",
        "stacks/b-resources.yaml:19:5",
        "stacks/c-manifests.yaml:3:5",
        "stacks/d-yaml.yaml:2:21",
        "stacks/f-hostname.yaml:3:15",
    ] {
        assert!(ran.err.contains(place), "{place} is not in\n{}", ran.err);
    }
    assert!(lab.requests().is_empty(), "without a network");
}

#[test]
fn a_result_that_could_not_be_written_is_an_error() {
    let lab = Lab::of("openhands");
    for arguments in [&["plan"][..], &["plan", "--json"], &["expand"]] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let ran = lab.command().args(arguments).stdout(full).output().unwrap();
        let said = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.status.code(), Some(1), "{said}");
        assert!(said.contains("the result could not be written"), "{said}");
    }
}
