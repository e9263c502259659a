//! Manifests from anywhere: files of every form, commands, copies in another namespace, references,
//! and the documents' own variants.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::lab::{Lab, Ran};

/// A lab with a stack of its own in the place of the fixture's.
fn lab_of(stack: &str) -> Lab {
    let lab = Lab::of("volumes");
    std::fs::remove_dir_all(lab.path().join("manifests")).unwrap();
    std::fs::create_dir_all(lab.path().join("manifests")).unwrap();
    lab.write("stacks/openhands.yaml", stack);
    lab
}

fn script(lab: &Lab, file: &str, text: &str) {
    lab.write(file, &format!("#!/bin/sh\n{text}"));
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(lab.path().join(file), mode).unwrap();
}

fn config_map(name: &str, value: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: default}}\ndata: {{value: \"{value}\"}}\n"
    )
}

fn value_of(lab: &Lab, name: &str) -> Value {
    let path = format!("/api/v1/namespaces/default/configmaps/{name}");
    lab.kubernetes("GET", &path, None)["data"]["value"].clone()
}

fn addresses(ran: Ran) -> Vec<String> {
    let expanded = ran.exits(0).json();
    let resources = expanded["stacks"][0]["resources"].as_array().unwrap();
    resources.iter().map(|r| r["address"].as_str().unwrap().to_owned()).collect()
}

/// Everything that boxctl can do to a stack, and nothing is left.
fn lives_and_dies(lab: &Lab, stack: &str, arguments: &[&str]) {
    lab.apply(arguments);
    lab.is_settled(arguments);
    lab.run(&["drift"]).exits(0);
    lab.run(&["destroy", stack, "--yes"]).exits(5).says("protected");
    lab.run(&["destroy", stack, "--yes", "--allow-protected", "**"]).exits(0);
    assert_eq!(lab.run(&["state", "list", stack]).exits(0).out, "Nothing is recorded.\n");
}

#[test]
fn volumes_claims_pod_service_and_cluster_wide_roles_are_kept_as_the_document_has_them() {
    let lab = Lab::of("volumes");
    let before = names(&lab.dump());
    lives_and_dies(&lab, "openhands", &[]);
    assert_eq!(names(&lab.dump()), before);
}

#[test]
fn the_stack_moves_between_socket_dind_and_proxy_and_back() {
    let lab = Lab::of("openhands");
    for runtime in ["socket", "proxy", "dind", "proxy", "socket"] {
        let variable = format!("runtime={runtime}");
        let arguments = ["--var", &variable];
        lab.apply(&arguments);
        lab.is_settled(&arguments);
        lab.run(&["drift"]).exits(0);
        let policies = "/apis/networking.k8s.io/v1/namespaces/openhands/networkpolicies";
        let policies = lab.kubernetes("GET", policies, None)["items"].as_array().unwrap().len();
        assert_eq!(policies, usize::from(runtime == "proxy"), "{runtime}");
    }
    lives_and_dies(&lab, "openhands", &["--var", "runtime=proxy"]);
}

#[test]
fn files_of_every_form_are_one_stack() {
    let lab = lab_of("manifests: [../manifests, ../one.json, {path: ../no, optional: true}]\n");
    lab.write(
        "manifests/a.yaml",
        &format!("# a comment alone\n---\n{}---\n", config_map("a", "1")),
    );
    lab.write(
        "manifests/b.yml",
        &format!("\u{feff}{}", config_map("b", "2")).replace('\n', "\r\n"),
    );
    let items = json!([
        {"metadata": {"name": "c", "namespace": "default"}, "data": {"value": "😀"}},
        {"metadata": {"name": "d", "namespace": "default"}, "data": {"value": "\t"}},
    ]);
    let list = json!({"apiVersion": "v1", "kind": "ConfigMapList", "items": items});
    lab.write("manifests/c.json", &serde_json::to_string_pretty(&list).unwrap());
    let escaped = "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"e\",\"namespace\":\"default\"},\"data\":{\"value\":\"\\ud83d\\ude00\\u00e9\\/\"}}\n";
    let binding = json!({"apiVersion": "v1", "kind": "List", "items": [{
        "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
        "metadata": {"name": "p", "namespace": "default"}, "value": 1}]});
    lab.write("one.json", &format!("{escaped}{binding}"));
    std::fs::create_dir(lab.path().join("manifests/deeper")).unwrap();
    lab.write("manifests/deeper/z.yaml", "this: is not looked at\n");
    lab.write("manifests/notes.txt", "nor is this\n");
    assert_eq!(
        addresses(lab.run(&["expand", "--json"])),
        [
            "k8s.ConfigMap/default/a",
            "k8s.ConfigMap/default/b",
            "k8s.ConfigMap/default/c",
            "k8s.ConfigMap/default/d",
            "k8s.ConfigMap/default/e",
            "k8s.PriorityClass/p",
        ]
    );
    lab.apply(&[]);
    lab.is_settled(&[]);
    let values = ["a", "b", "c", "d", "e"].map(|name| value_of(&lab, name));
    assert_eq!(values, ["1", "2", "😀", "\t", "😀é/"]);
}

#[test]
fn a_command_runs_in_its_folder_without_credentials_and_only_where_it_should() {
    let mut lab = lab_of("manifests: [{command: [./print.sh, it], dir: ../tool}]\n");
    std::fs::create_dir(lab.path().join("tool")).unwrap();
    lab.set("BOXCTL_VAR_PASSWORD", "x");
    lab.set("AWS_SESSION_TOKEN", "x");
    lab.set("GITHUB_TOKEN", "x");
    script(
        &lab,
        "tool/print.sh",
        "echo run >> ../runs\nenv | sed 's/=.*//' | sort > ../environment\ncat\ncat here.yaml\n",
    );
    lab.write("tool/here.yaml", &config_map("here", "1"));
    lab.apply(&[]);
    assert_eq!(value_of(&lab, "here"), "1");
    let environment = lab.read("environment");
    let names: Vec<&str> =
        environment.lines().filter(|name| !["_", "OLDPWD", "SHLVL"].contains(name)).collect();
    assert_eq!(names, ["HOME", "PATH", "PWD", "SSL_CERT_FILE", "TZ"]);
    let runs = || lab.read("runs").lines().count();
    for (arguments, runs_by) in [
        (&["plan"] as &[&str], 1),
        (&["apply", "--yes"], 1),
        (&["expand"], 1),
        (&["plan", "--no-commands"], 0),
        (&["apply", "--yes", "--no-commands"], 0),
        (&["validate"], 0),
        (&["drift"], 0),
        (&["show"], 0),
        (&["graph"], 0),
        (&["state", "list", "openhands"], 0),
    ] {
        let before = runs();
        lab.run(arguments).exits(0);
        assert_eq!(runs() - before, runs_by, "{arguments:?}");
    }
    for arguments in [&["plan", "--no-commands", "--detailed-exitcode"] as &[&str], &["validate"]] {
        lab.run(arguments).exits(0).says("`./print.sh it` was not run");
    }
    let before = runs();
    lab.run(&["destroy", "openhands", "--yes"]).exits(0);
    assert_eq!(runs(), before);
    let left = lab.kubernetes("GET", "/api/v1/namespaces/default/configmaps", None);
    assert!(!left.to_string().contains("here"), "{left}");
}

#[test]
fn what_a_command_printed_before_stays_where_it_is_not_run() {
    let lab = lab_of("manifests: [{command: [cat, here.yaml], dir: ..}, ../beside.yaml]\n");
    lab.write("here.yaml", &config_map("here", "1"));
    lab.write("beside.yaml", &config_map("beside", "1"));
    lab.apply(&[]);
    lab.write("beside.yaml", &config_map("beside", "2"));
    lab.write("here.yaml", &config_map("here", "2"));
    lab.forget_requests();
    lab.apply(&["--no-commands"]);
    assert_eq!((value_of(&lab, "here"), value_of(&lab, "beside")), ("1".into(), "2".into()));
    lab.run(&["plan", "--out", "p", "--no-commands"]).exits(0);
    lab.run(&["apply", "--plan", "p", "--yes"]).exits(0);
    assert_eq!(value_of(&lab, "here"), "1");
    lab.apply(&[]);
    assert_eq!(value_of(&lab, "here"), "2");
    lab.is_settled(&[]);
    // Going back to the run without the command leaves what it printed alone.
    lab.run(&["rollback", "openhands", "2", "--yes"]).exits(0);
    assert_eq!((value_of(&lab, "here"), value_of(&lab, "beside")), ("1".into(), "2".into()));
}

#[test]
fn what_settings_say_of_a_commands_objects_holds_where_it_is_not_run() {
    let lab = lab_of(
        "manifests: [{command: [cat, here.yaml], dir: ..}]\nsettings: {k8s.ConfigMap/**: {ignore: [data.value]}}\n",
    );
    lab.write("here.yaml", &config_map("here", "1"));
    lab.apply(&[]);
    let path = "/api/v1/namespaces/default/configmaps/here";
    lab.patch(path, json!({"data": {"value": "theirs"}}));
    lab.is_settled(&[]);
    lab.is_settled(&["--no-commands"]);
    let drift = lab.run(&["drift"]).exits(0);
    assert!(!drift.out.contains("Not applied yet"), "{}", drift.out);
    lab.apply(&[]);
    assert_eq!(value_of(&lab, "here"), "theirs");
    lab.write("stacks/openhands.yaml", "manifests: [{command: [cat, here.yaml], dir: ..}]\n");
    lab.run(&["drift"]).exits(2).says("data.value");
}

#[test]
fn a_saved_plan_holds_what_the_command_printed_then() {
    let lab = lab_of("manifests: [{command: [cat, here.yaml], dir: ..}]\n");
    lab.write("here.yaml", &config_map("here", "then"));
    lab.run(&["plan", "--out", "p"]).exits(0);
    lab.write("here.yaml", "this is no manifest any more\n");
    lab.run(&["apply", "--plan", "p", "--yes"]).exits(0);
    assert_eq!(value_of(&lab, "here"), "then");
}

#[test]
fn the_order_in_which_a_command_prints_changes_nothing() {
    let lab = lab_of("manifests: [{command: [cat, here.yaml], dir: ..}]\n");
    let (a, b) = (config_map("a", "1"), config_map("b", "2"));
    lab.write("here.yaml", &format!("{a}---\n{b}"));
    lab.apply(&[]);
    lab.write("here.yaml", &format!("{b}---\n{a}"));
    lab.is_settled(&[]);
    // One that never prints the same is never settled, and is carried out as it was shown.
    lab.write("here.yaml", &format!("{a}---\n{b}"));
    script(
        &lab,
        "random.sh",
        "echo x >> runs; sed \"s/\\\"2\\\"/\\\"$(wc -l < runs)\\\"/\" here.yaml\n",
    );
    lab.write("stacks/openhands.yaml", "manifests: [{command: [./random.sh], dir: ..}]\n");
    let planned = lab.run(&["plan", "--out", "p"]).exits(0);
    planned.says("data.value");
    let runs = lab.read("runs").lines().count().to_string();
    lab.run(&["apply", "--plan", "p", "--yes"]).exits(0);
    assert_eq!(value_of(&lab, "b"), runs.as_str());
    lab.run(&["plan", "--detailed-exitcode"]).exits(2);
}

#[test]
fn a_command_that_gives_nothing_to_go_by_is_told_where_it_is_asked_for() {
    let lab = lab_of("");
    lab.edit("boxctl.yaml", "timing: {", "timing: {command: 300ms, ");
    script(&lab, "fails.sh", "echo 'no such base: ../base' >&2\nexit 3\n");
    script(&lab, "slow.sh", "echo $$ > pid\nsleep 600 &\nsleep 600\n");
    script(&lab, "latin.sh", "printf 'a: \\351'\n");
    script(
        &lab,
        "wrong.sh",
        "printf 'apiVersion: v1\\nkind: ConfigMap\\nmetadata:\\n  name: a\\n  nmae: b\\n'\n",
    );
    for (command, messages) in [
        (
            "no-such-tool, build",
            &[
                "`no-such-tool build` could not be run",
                "there is no program `no-such-tool`",
                "install `no-such-tool`",
            ] as &[&str],
        ),
        (
            "./fails.sh",
            &["`./fails.sh` failed", "it ended with exit status 3", "no such base: ../base"],
        ),
        ("./slow.sh", &["`./slow.sh` took too long", "300 ms", "timing: {command: 5m}"]),
        ("./latin.sh", &["line 1 of what it printed is not UTF-8"]),
        ("./wrong.sh", &["the ConfigMap `a` has no namespace", "`./wrong.sh`:4:3"]),
    ] {
        let stack = format!("manifests:\n  - {{command: [{command}], dir: ..}}\n");
        lab.write("stacks/openhands.yaml", &stack);
        let ran = lab.run(&["plan"]).exits(1);
        let ran = messages.iter().fold(ran, |ran, message| ran.says(message));
        if !command.starts_with("./wrong") {
            ran.says("stacks/openhands.yaml:2:15");
        }
    }
    // What it started is gone with it.
    let group = lab.read("pid").trim().to_owned();
    let left = std::process::Command::new("sh")
        .args(["-c", &format!("kill -0 -- -{group}")])
        .stderr(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(!left.success(), "the process group {group} is still there");
}

#[test]
fn a_copy_can_be_tried_beside_the_original() {
    let lab = Lab::of("openhands");
    lab.edit(
        "stacks/openhands.yaml",
        "  - ../manifests/${var.runtime}\n",
        "  - ../manifests/dind\n",
    );
    lab.write("stacks/try.yaml", "manifests:\n  - {path: ../manifests/dind, namespace: try}\n");
    let planned = lab.run(&["plan", "try"]).exits(0);
    let planned = planned
        .says("cluster-wide objects are left out of what goes to `try`: PriorityClass `openhands-priority`")
        .says("still names the namespace `openhands`")
        .says("manifests/dind/docker-cleanup-cronjob.yaml:22:");
    assert!(!planned.err.contains("manifests/dind/deployment.yaml"), "{}", planned.err);
    lab.apply(&["openhands"]);
    let before = names(&lab.dump());
    lab.apply(&["try"]);
    lab.is_settled(&[]);
    lab.run(&["drift"]).exits(0);
    let binding =
        "/apis/rbac.authorization.k8s.io/v1/namespaces/try/rolebindings/pod-exec-rolebinding";
    assert_eq!(lab.kubernetes("GET", binding, None)["subjects"][0]["namespace"], "try");
    lab.run(&["destroy", "try", "--yes", "--allow-protected", "**"]).exits(0);
    assert_eq!(names(&lab.dump()), before);
    lab.is_settled(&["openhands"]);
}

/// Every name in a dump of the world, in order.
fn names(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    fn walk(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| walk(item, found)),
            Value::Object(map) => {
                if let (Some(kind), Some(metadata)) = (map.get("kind"), map.get("metadata")) {
                    found.push(format!("{kind} {} {}", metadata["namespace"], metadata["name"]));
                }
                map.values().for_each(|item| walk(item, found));
            }
            _ => {}
        }
    }
    walk(value, &mut found);
    found.retain(|name| !name.starts_with("\"Event\""));
    found.sort();
    found
}

#[test]
fn a_secret_that_a_manifest_refers_to_is_in_the_cluster_and_nowhere_else() {
    let lab = Lab::of("openhands");
    let stack = lab.read("stacks/openhands.yaml");
    let stack = stack.split("manifests:").next().unwrap().replace("    connector:", "    # ");
    lab.write(
        "stacks/openhands.yaml",
        &format!("{stack}manifests: [{{path: ../m.yaml, substitute: true}}]\n"),
    );
    lab.write(
        "m.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m, namespace: default}\ndata:\n  host: ${dns_record.openhands.hostname}\n  id: tunnel ${tunnel.openhands.id}\n  literal: $${HOME}\n  token: TOKEN=${tunnel.openhands.token}\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: default}\nstringData:\n  token: ${tunnel.openhands.token}\n",
    );
    let planned = lab.run(&["plan"]).exits(0).says("known after tunnel.openhands");
    let applied = lab.apply(&[]);
    lab.is_settled(&[]);
    lab.run(&["drift"]).exits(0);
    let data = &lab.kubernetes("GET", "/api/v1/namespaces/default/configmaps/m", None)["data"];
    let tunnel = lab.only(&lab.account("cfd_tunnel"))["id"].as_str().unwrap().to_owned();
    assert_eq!(data["host"], "openhands.b0xp.io");
    assert_eq!(data["id"], format!("tunnel {tunnel}"));
    assert_eq!(data["literal"], "${HOME}");
    let token = data["token"].as_str().unwrap().strip_prefix("TOKEN=").unwrap();
    assert!(token.len() > 40);
    let shown = lab.run(&["show", "openhands"]);
    let expanded = lab.run(&["expand", "openhands"]);
    let texts = [&planned.out, &planned.err, &applied.out, &applied.err, &shown.out, &expanded.out];
    assert!(texts.iter().all(|text| !text.contains(token)));
    let mut left = vec![lab.path().join("state"), lab.path().join("plans")];
    lab.run(&["plan", "--out", "p"]).exits(0);
    let mut files = 0;
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        files += 1;
        let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
        assert!(!text.contains(token), "{}", path.display());
    }
    assert!(files > 2, "state, history and plan");
}

#[test]
fn kustomize_prints_what_boxctl_applies() {
    if !crate::tools::is_there("kubectl", &["kustomize", "--help"]) {
        return;
    }
    let lab = lab_of("manifests: [{command: [kubectl, kustomize, .], dir: ../overlay}]\n");
    std::fs::create_dir(lab.path().join("overlay")).unwrap();
    lab.write("manifests/base.yaml", &config_map("a", "1"));
    lab.write("manifests/kustomization.yaml", "resources: [base.yaml]\n");
    lab.write("overlay/kustomization.yaml", "resources: [../manifests]\nnamePrefix: try-\n");
    lab.apply(&[]);
    lab.is_settled(&[]);
    assert_eq!(value_of(&lab, "try-a"), "1");
    lab.write("overlay/kustomization.yaml", "resources: [../nowhere]\n");
    lab.run(&["plan"]).exits(1).says("`kubectl kustomize .` failed").says("nowhere");
}
