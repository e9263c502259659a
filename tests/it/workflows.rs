//! Workflows for CI, run step by step as a runner would, with a `gh` and a `docker` that note what
//! they were asked.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::install::actionlint;
use crate::lab::Lab;

/// Answers what was left for it, and notes its words and the file that it was given.
const GH: &str = r#"#!/bin/sh
echo "$*" >> "$HOME/gh.log"
case "$1 $2" in
  "issue list"|"api --paginate") cat "$HOME/gh.answer" 2>/dev/null ;;
  "issue create"|"issue edit") cp drift.md "$HOME/gh.body" ;;
  "api --method") cp plan.md "$HOME/gh.body" ;;
esac
exit 0
"#;

/// The image holds the boxctl of this build.
const DOCKER: &str = r#"#!/bin/sh
case "$1" in
  create) echo container ;;
  cp) [ "$2" = container:/boxctl ] && ln -sf "$BOXCTL" "$3" ;;
esac
"#;

struct Runner<'l> {
    lab: &'l Lab,
    workflow: Value,
    home: PathBuf,
}

impl<'l> Runner<'l> {
    fn new(lab: &'l Lab, workflow: &str) -> Runner<'l> {
        let home = lab.path().join("runner");
        std::fs::create_dir_all(home.join("bin")).unwrap();
        for (name, text) in [("gh", GH), ("docker", DOCKER)] {
            let path = home.join("bin").join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        Runner { lab, workflow: serde_saphyr::from_str(workflow).unwrap(), home }
    }

    /// Runs the job's steps; whether all of them went well.
    fn run(&self) -> bool {
        let kubeconfig = std::fs::read_to_string(self.lab.variable("KUBECONFIG")).unwrap();
        let mut output = String::new();
        let jobs = self.workflow["jobs"].as_object().unwrap();
        let steps = jobs.values().next().unwrap()["steps"].as_array().unwrap();
        let mut well = true;
        for step in steps.iter().filter(|step| step["run"].is_string()) {
            let always = step["if"].as_str().is_some_and(|text| text.starts_with("always()"));
            if !(well || always) {
                continue;
            }
            let set = self.home.join("output");
            let mut command = self.lab.command_of("bash");
            command.args(["-e", "-c", step["run"].as_str().unwrap()]);
            let path =
                format!("{}:{}", self.home.join("bin").display(), std::env::var("PATH").unwrap());
            command.env("PATH", path).env("BOXCTL", env!("CARGO_BIN_EXE_boxctl"));
            command.env("HOME", &self.home).env("RUNNER_TEMP", &self.home);
            command.env("GITHUB_REPOSITORY", "me/home").env("GITHUB_ACTIONS", "true");
            command
                .env("GITHUB_STEP_SUMMARY", self.home.join("summary"))
                .env("GITHUB_OUTPUT", &set);
            for (name, value) in step["env"].as_object().into_iter().flatten() {
                let value = value.as_str().unwrap();
                let known = BTreeMap::from([
                    ("${{ secrets.BOXCTL_DRIFT_KUBECONFIG }}", kubeconfig.as_str()),
                    ("${{ secrets.BOXCTL_PLAN_KUBECONFIG }}", kubeconfig.as_str()),
                    ("${{ secrets.BOXCTL_APPLY_KUBECONFIG }}", kubeconfig.as_str()),
                    ("${{ runner.temp }}/kubeconfig", "runner/kubeconfig"),
                    ("${{ steps.look.outputs.code }}", output.trim().trim_start_matches("code=")),
                    ("${{ github.event.pull_request.number }}", "7"),
                    ("${{ github.token }}", "t"),
                ]);
                match known.get(value) {
                    Some(value) => command.env(name, value),
                    None if value.contains("API_TOKEN") => continue,
                    None => command.env(name, value),
                };
            }
            let ran = command.output().unwrap();
            well &= ran.status.success();
            if let Ok(text) = std::fs::read_to_string(&set) {
                output = text;
                std::fs::remove_file(&set).unwrap();
            }
        }
        well
    }

    fn answer(&self, text: &str) {
        std::fs::write(self.home.join("gh.answer"), text).unwrap();
    }

    /// What `gh` was asked since the last look.
    fn asked(&self) -> String {
        let path = self.home.join("gh.log");
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let _ = std::fs::remove_file(&path);
        let mut verbs = String::new();
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').take(3).collect();
            write!(verbs, "{}; ", words.join(" ")).unwrap();
        }
        verbs
    }

    fn told(&self, file: &str) -> String {
        std::fs::read_to_string(self.home.join(file)).unwrap()
    }
}

#[test]
fn the_drift_job_opens_updates_and_closes_one_issue() {
    let lab = Lab::of("openhands");
    lab.apply(&[]);
    let install = ["drift", "install", "github", "--image", "ghcr.io/me/boxctl:1", "--to", "-"];
    let text = lab.run(&install).exits(0).out;
    let runner = Runner::new(&lab, &text);
    assert!(runner.run());
    assert_eq!(runner.asked(), "issue list --label; ");

    let record = lab.only(&lab.records());
    let path = format!("{}/{}", lab.records(), record["id"].as_str().unwrap());
    lab.cloudflare("PATCH", &path, Some(serde_json::json!({"proxied": false})));
    assert!(runner.run());
    assert_eq!(
        runner.asked(),
        "issue list --label; label create boxctl-drift-lolice; issue create --title; "
    );
    assert!(runner.told("gh.body").contains("dns_record.openhands"));
    runner.answer("12\n");
    assert!(runner.run());
    assert_eq!(runner.asked(), "issue list --label; issue edit 12; ");

    lab.apply(&[]);
    assert!(runner.run());
    assert_eq!(runner.asked(), "issue list --label; issue close 12; ");

    // A job that could not look is a failed job, and touches no issue.
    std::fs::rename(lab.path().join("boxctl.yaml"), lab.path().join("away.yaml")).unwrap();
    assert!(!runner.run());
    assert_eq!(runner.asked(), "");
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/github").join(name)
}

#[test]
fn a_pull_request_is_planned_and_what_is_merged_is_applied() {
    let lab = Lab::of("openhands");
    let plan = Runner::new(&lab, &std::fs::read_to_string(example("boxctl-plan.yaml")).unwrap());
    assert!(plan.run());
    assert_eq!(plan.asked(), "api --paginate repos/me/home/issues/7/comments; api --method POST; ");
    assert!(plan.told("gh.body").starts_with("<!-- boxctl:plan:lolice -->\n"));
    assert!(plan.told("summary").contains("tunnel.openhands"));
    plan.answer("99\n");
    assert!(plan.run());
    assert_eq!(
        plan.asked(),
        "api --paginate repos/me/home/issues/7/comments; api --method PATCH; "
    );
    assert!(lab.changes().is_empty());

    let apply = Runner::new(&lab, &std::fs::read_to_string(example("boxctl-apply.yaml")).unwrap());
    // The first run fails half-way; run again, it goes on.
    if !lab.has_moto() {
        lab.plan_faults(&serde_json::json!([
            {"method": "POST", "path": "*/dns_records", "times": 1, "status": 400}]));
        assert!(!apply.run());
    }
    assert!(apply.run());
    assert!(apply.told("summary").contains("tunnel.openhands"));
    lab.is_settled(&[]);
}

#[test]
fn actionlint_takes_the_examples() {
    if let Some(found) = actionlint(&[example("boxctl-plan.yaml"), example("boxctl-apply.yaml")]) {
        assert_eq!(found, "");
    }
}
