//! The job that looks for drift: its files pass the checks of those who run them, and it may read
//! what it has to, and no more.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::lab::Lab;
use crate::tools::{is_there, tool};

fn documents(text: &str) -> Vec<Value> {
    let all: Vec<Value> = serde_saphyr::from_multiple(text).unwrap();
    all.into_iter().filter(|one| !one.is_null()).collect()
}

/// An applied lab with Secrets and objects of the whole cluster.
fn applied() -> Lab {
    let lab = Lab::of("openhands");
    let more = "apiVersion: v1\nkind: Secret\nmetadata: {name: app, namespace: openhands}\n\
                stringData: {a: b}\n---\napiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\n\
                metadata: {name: low}\nvalue: 10\n";
    lab.write("manifests/socket/more.yaml", more);
    lab.apply(&[]);
    lab
}

fn install(lab: &Lab, words: &[&str]) -> String {
    lab.run(&[&["drift", "install"], words, &["--to", "-"]].concat()).exits(0).out
}

/// Whether one of the rules that bind the account covers a request, as RBAC decides it.
fn covers(documents: &[Value], request: &Value) -> bool {
    let path = request["path"].as_str().unwrap().split('?').next().unwrap();
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let (group, rest) = match parts.as_slice() {
        // Discovery is everyone's (the ClusterRole system:discovery).
        ["version" | "openapi", ..]
        | ["api"]
        | ["apis"]
        | ["api", _]
        | ["apis", _]
        | ["apis", _, _] => return true,
        ["api", _, rest @ ..] => ("", rest),
        ["apis", group, _, rest @ ..] => (*group, rest),
        _ => return false,
    };
    let (namespace, rest) = match rest {
        ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some(*namespace), rest),
        rest => (None, rest),
    };
    let (plural, name) = (rest[0], rest.get(1).copied());
    let verb = match request["method"].as_str().unwrap() {
        "GET" if name.is_none() => "list",
        "GET" => "get",
        "POST" => "create",
        "PUT" => "update",
        other => other,
    };
    let has = |rule: &Value, field: &str, wanted: &str| {
        rule[field].as_array().unwrap().iter().any(|one| one == wanted)
    };
    documents.iter().any(|role| {
        let is_place = match role["kind"].as_str().unwrap() {
            "ClusterRole" => true,
            "Role" => role["metadata"]["namespace"].as_str() == namespace,
            _ => false,
        };
        is_place
            && role["rules"].as_array().unwrap().iter().any(|rule| {
                let names = rule["resourceNames"].as_array();
                has(rule, "apiGroups", group)
                    && has(rule, "resources", plural)
                    && has(rule, "verbs", verb)
                    && names.is_none_or(|names| {
                        names.iter().any(|one| Some(one.as_str().unwrap()) == name)
                    })
            })
    })
}

#[test]
fn the_job_in_the_cluster_may_read_what_it_reads_and_no_more() {
    let lab = applied();
    let words =
        ["kubernetes", "--image", "boxctl:1", "--repository", "https://git.example.org/a.git"];
    let all = documents(&install(&lab, &words));
    lab.forget_requests();
    lab.run(&["drift"]).exits(0);
    let asked: Vec<Value> =
        lab.requests().into_iter().filter(|one| one["service"] == "kubernetes").collect();
    assert!(asked.len() > 5, "{asked:#?}");
    for request in &asked {
        assert!(request["method"] == "GET" && covers(&all, request), "{request}");
    }
    // What it may read beside is what a list may leave out, and is then asked for by name.
    for role in all.iter().filter(|one| one["rules"].is_array()) {
        for rule in role["rules"].as_array().unwrap() {
            let verbs = rule["verbs"].as_array().unwrap();
            assert!(verbs.iter().all(|verb| verb == "get" || verb == "list"), "{rule}");
            let resource = rule["resources"][0].as_str().unwrap();
            let is_asked =
                |one: &Value| one["path"].as_str().unwrap().contains(&format!("/{resource}"));
            assert!(asked.iter().any(is_asked), "{rule}");
            if resource == "secrets" {
                assert_eq!(rule["resourceNames"], json!(["app"]));
                assert_eq!(rule["verbs"], json!(["get"]));
            }
        }
    }
}

#[test]
fn the_job_may_read_states_in_the_cluster_and_write_what_it_told_last() {
    let mut lab = Lab::of("openhands");
    let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "boxctl"}});
    lab.kubernetes("POST", "/api/v1/namespaces", Some(("application/json", body)));
    // Nobody listens there, and there is nothing to tell.
    let state = "state: {backend: kubernetes, namespace: boxctl}\n\
                 notify: [{type: json, url_env: HOOK}]\n";
    let project = lab.read("boxctl.yaml");
    let rest = project.lines().filter(|line| !line.starts_with("state:"));
    lab.write("boxctl.yaml", &format!("{}\n{state}", rest.collect::<Vec<_>>().join("\n")));
    lab.set("HOOK", "http://127.0.0.1:9/");
    lab.apply(&[]);
    let words =
        ["kubernetes", "--image", "boxctl:1", "--repository", "https://git.example.org/a.git"];
    let text = install(&lab, &words);
    assert!(text.contains("--from-literal=HOOK=..."), "{text}");
    let all = documents(&text);
    lab.forget_requests();
    lab.run(&["drift", "--notify"]).exits(0);
    for request in lab.requests().iter().filter(|one| one["service"] == "kubernetes") {
        assert!(covers(&all, request), "{request}");
    }
    // The one object that it may change is named, and no other kind can be written.
    let writes = |rule: &&Value| {
        rule["verbs"].as_array().unwrap().iter().any(|verb| verb != "get" && verb != "list")
    };
    let rules: Vec<&Value> =
        all.iter().filter_map(|role| role["rules"].as_array()).flatten().filter(writes).collect();
    assert_eq!(rules.len(), 2, "{rules:?}");
    assert_eq!(
        (&rules[0]["verbs"], &rules[0]["resources"]),
        (&json!(["create"]), &json!(["secrets"]))
    );
    assert_eq!(rules[1]["verbs"], json!(["update"]));
    assert_eq!(rules[1]["resourceNames"], json!(["boxctl.lolice.notes.drift.json"]));
}

#[test]
fn kubectl_takes_the_manifests_of_the_job() {
    if !is_there("kubectl", &["version", "--client"]) {
        return;
    }
    let lab = applied();
    let words = [
        "kubernetes",
        "--image",
        "boxctl:1",
        "--repository",
        "https://git.example.org/a.git",
        "--time-zone",
        "Asia/Tokyo",
    ];
    lab.write("job.yaml", &install(&lab, &words));
    tool(&lab, "kubectl", &["create", "namespace", "boxctl"]);
    let file = lab.path().join("job.yaml").display().to_string();
    let said = tool(&lab, "kubectl", &["apply", "--dry-run=server", "-f", &file]);
    assert!(said.contains("cronjob.batch/boxctl-drift-lolice created (server dry run)"), "{said}");
    assert_eq!(said.lines().count(), documents(&lab.read("job.yaml")).len(), "{said}");
    tool(&lab, "kubectl", &["apply", "-f", &file]);
    let zone = ["get", "cronjob", "-n", "boxctl", "-o", "jsonpath={.items[0].spec.timeZone}"];
    assert_eq!(tool(&lab, "kubectl", &zone), "Asia/Tokyo");
}

/// What actionlint says of workflows; None where it is not to be had.
pub fn actionlint(files: &[PathBuf]) -> Option<String> {
    let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/ci-tools/node_modules");
    let look = format!("require('{}/actionlint')", modules.display());
    if !is_there("node", &["-e", &look]) {
        return None;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools/actionlint.cjs");
    let ran =
        Command::new("node").env("NODE_PATH", modules).arg(script).args(files).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    Some(String::from_utf8(ran.stdout).unwrap())
}

#[test]
fn actionlint_takes_the_workflow_of_the_job() {
    let lab = applied();
    let words = ["github", "--image", "ghcr.io/me/boxctl:1"];
    let text = install(&lab, &words);
    assert!(text.lines().count() <= 40);
    // The linter's version is older than `timezone`, which GitHub has since March 2026.
    let zoned = install(&lab, &[&words[..], &["--time-zone", "Asia/Tokyo"]].concat());
    assert_eq!(zoned.replace(", timezone: \"Asia/Tokyo\"", ""), text);
    let workflow = lab.path().join("drift.yaml");
    std::fs::write(&workflow, &text).unwrap();
    if let Some(found) = actionlint(std::slice::from_ref(&workflow)) {
        assert_eq!(found, "");
        // And it would say if something were wrong.
        std::fs::write(&workflow, text.replace("steps.look.outputs", "step.look.outputs")).unwrap();
        assert!(actionlint(&[workflow]).unwrap().contains("undefined variable"));
    }
}

#[test]
fn systemd_takes_the_timer_of_the_job() {
    if !is_there("systemd-analyze", &["--version"]) {
        return;
    }
    let lab = applied();
    let to = lab.path().join("units of mine");
    let to = to.to_str().unwrap();
    let words = [
        "drift",
        "install",
        "systemd",
        "--time-zone",
        "Asia/Tokyo",
        "--run-as",
        "root",
        "--to",
        to,
    ];
    lab.run(&words).exits(0).says("boxctl-drift-lolice.timer");
    let unit = |kind: &str| format!("{to}/boxctl-drift-lolice.{kind}");
    tool(&lab, "systemd-analyze", &["verify", "--man=no", &unit("service"), &unit("timer")]);
    let event = lab.read("units of mine/boxctl-drift-lolice.timer");
    let event = event.lines().find_map(|line| line.strip_prefix("OnCalendar=")).unwrap();
    let next = tool(&lab, "systemd-analyze", &["calendar", event]);
    assert!(next.contains("06:17:00 Asia/Tokyo"), "{next}");
}

#[test]
fn files_of_someone_else_stay() {
    let lab = applied();
    let words = ["drift", "install", "systemd"];
    lab.run(&words).exits(0).says("wrote");
    lab.run(&words).exits(0);
    lab.edit("drift/boxctl-drift-lolice.timer", "06:17:00", "07:00:00");
    lab.run(&words).exits(5).says("--overwrite");
    assert!(lab.read("drift/boxctl-drift-lolice.timer").contains("07:00:00"));
    lab.run(&[&words[..], &["--overwrite"]].concat()).exits(0);
    assert!(lab.read("drift/boxctl-drift-lolice.timer").contains("06:17:00"));

    let fresh = Lab::of("openhands");
    fresh.run(&words).exits(5).says("boxctl apply");
    lab.run(&["drift", "install", "github", "--image", "a", "--schedule", "daily"])
        .exits(1)
        .says("no cron line");
}
