//! Where states are kept: beside the project, or in the cluster where several machines share them.

use serde_json::{Value, json};

use crate::interrupted::{Apply, Gate};
use crate::kill::{Point, is_moto, kill, points};
use crate::lab::Lab;

/// 32 bytes in Base64.
const KEY: &str = "YSBrZXkgb2YgMzIgYnl0ZXMgZm9yIHRlc3RzIG9ubHk=";
const OTHER_KEY: &str = "YW5vdGhlciBvbmUsIDMyIGJ5dGVzLCBmb3IgdGVzdHM=";
const SHARED: &str = "{backend: kubernetes, namespace: boxctl}";
const SEALED: &str = "{backend: kubernetes, namespace: boxctl, encryption: {key_env: STATE_KEY}}";

fn namespace(lab: &Lab) {
    let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "boxctl"}});
    lab.kubernetes("POST", "/api/v1/namespaces", Some(("application/json", body)));
}

/// Has the project keep its states so from now on.
fn keep(lab: &Lab, state: &str) {
    let text = lab.read("boxctl.yaml");
    let lines = text.lines().filter(|line| !line.starts_with("state: "));
    let rest: Vec<&str> = lines.collect();
    lab.write("boxctl.yaml", &format!("{}\nstate: {state}\n", rest.join("\n")));
}

fn secrets(lab: &Lab) -> Vec<Value> {
    let list = lab.kubernetes("GET", "/api/v1/namespaces/boxctl/secrets", None);
    list["items"].as_array().unwrap().clone()
}

/// What is recorded, as commands tell it.
fn told(lab: &Lab) -> (Value, String) {
    let overview = lab.run(&["show", "--json"]).exits(0).json();
    (overview, lab.run(&["state", "history"]).exits(0).out)
}

#[test]
fn states_move_into_the_cluster_and_back_and_every_command_finds_them() {
    let mut lab = Lab::of("several");
    namespace(&lab);
    lab.set("STATE_KEY", KEY);
    lab.apply(&[]);
    let before = told(&lab);

    lab.run(&["state", "migrate", "--to", SHARED]).exits(5).says("--yes");
    let moved = lab.run(&["state", "migrate", "--to", SHARED, "--yes"]).exits(0);
    moved.says("wiki is kept in namespace boxctl now").says("Write it into boxctl.yaml now");
    for command in [&["plan"][..], &["apply", "--yes"], &["drift"], &["state", "list"]] {
        lab.run(command).exits(5).says("were moved to namespace boxctl");
    }
    keep(&lab, SHARED);
    assert_eq!(told(&lab), before);
    lab.is_settled(&[]);
    lab.run(&["drift"]).exits(0);
    lab.run(&["state", "verify"]).exits(0);
    // A run that is repeated has nothing to do, and reading writes nothing.
    lab.forget_requests();
    lab.run(&["plan"]).exits(0);
    lab.run(&["drift"]).exits(0);
    lab.run(&["state", "unlock", "wiki"]).exits(0).says("is not locked");
    assert_eq!(lab.changes(), Vec::<String>::new());

    // Sealed where it is, with the files edited first.
    keep(&lab, SEALED);
    lab.run(&["plan"]).exits(1).says("it is not sealed");
    lab.run(&["state", "migrate", "--from", SHARED, "--yes"]).exits(0).says("boxctl, sealed now");
    assert_eq!(told(&lab), before);
    lab.run(&["state", "migrate", "--from", SHARED, "--yes"]).exits(0);
    lab.set("STATE_KEY", OTHER_KEY);
    lab.run(&["plan"]).exits(1).says("sealed with another key");
    lab.set("STATE_KEY", "correct horse battery staple");
    lab.run(&["plan"]).exits(1).says("it is not 32 bytes in Base64");
    lab.set("STATE_KEY", "");
    lab.run(&["plan"]).exits(1).says("STATE_KEY is not set");
    lab.set("STATE_KEY", KEY);

    // A run of a saved plan, one that goes back, and edits of the state.
    lab.edit("stacks/wiki.yaml", "wiki.apps.svc", "wiki.docs.svc");
    lab.run(&["plan", "--out", "edit.json"]).exits(0);
    assert!(lab.path().join("plans/edit.json").is_file());
    lab.apply(&["--plan", "edit.json"]);
    lab.is_settled(&[]);
    lab.run(&["rollback", "wiki", "--yes"]).exits(0);
    lab.apply(&["--forward"]);
    lab.is_settled(&[]);
    lab.run(&["state", "mv", "wiki", "tunnel.wiki", "tunnel.other"]).exits(0);
    lab.run(&["state", "mv", "wiki", "tunnel.other", "tunnel.wiki"]).exits(0);
    lab.run(&["destroy", "wiki", "--yes"]).exits(0);
    lab.apply(&[]);
    lab.is_settled(&[]);
    let after = told(&lab);
    assert_ne!(after, before);

    // Back over what is left there, which is old.
    keep(&lab, "{backend: local, dir: state}");
    lab.run(&["plan"]).exits(5);
    lab.run(&["state", "migrate", "--from", SEALED, "--yes"]).exits(0).says("kept in state/ now");
    assert_eq!(told(&lab), after);
    lab.is_settled(&[]);
    assert!(!secrets(&lab).is_empty(), "the old copy stays, and says where the states are");
    keep(&lab, SEALED);
    lab.run(&["apply", "--yes"]).exits(5).says("were moved to state/");
}

#[test]
fn what_migrate_is_told_is_checked_like_the_project_file() {
    let lab = Lab::of("longform");
    for (arguments, code, said) in [
        (&["--yes"][..], 1, "--from"),
        (&["--from", SHARED, "--to", SHARED], 1, "cannot be used with"),
        (&["--to", "{backend: s3}", "--yes"], 1, "`bucket` is missing"),
        (&["--to", "{backend: s4, bucket: x}", "--yes"], 1, "the command line:1:11"),
        (&["--to", "{backend: local, dir: state}", "--yes"], 1, "are kept in state/ already"),
        (&["--to", "{backend: local, dir: other}", "--yes"], 0, "no states to move"),
    ] {
        lab.run(&[&["state", "migrate"], arguments].concat()).exits(code).says(said);
    }
    // Nothing was marked: the first apply works in either place.
    lab.apply(&[]);
    lab.run(&["--sandbox", "state", "migrate", "--to", SHARED, "--yes"]).exits(1);
}

#[test]
fn a_lock_in_the_cluster_can_be_taken_from_its_holder_which_then_sends_nothing() {
    if is_moto() {
        return;
    }
    let (lab, gate) = Gate::lab();
    namespace(&lab);
    keep(&lab, SHARED);
    lab.edit("boxctl.yaml", "request: 600ms", "lease: 12s, request: 60s");
    let first = Apply::start(&lab, &[]);
    let held = gate.reached();
    let pid = first.child.id().to_string();
    lab.run(&["apply", "--yes"]).exits(4).says("is locked by").says(&pid);
    // Who only reads is not kept waiting.
    lab.run(&["plan"]).exits(0);
    lab.run(&["state", "unlock", "openhands"]).exits(5).says(&pid).says("--yes");
    lab.run(&["state", "unlock", "openhands", "--yes"]).exits(0).says("is not locked any more");
    let before = lab.changes();
    drop(held);
    let (code, said) = first.end();
    assert!(matches!(code, Some(3 | 4)), "{code:?}: {said}");
    assert!(said.contains("nothing more is sent"), "{said}");
    let cloudflare =
        |changes: &[String]| changes.iter().filter(|change| change.contains("/client/v4/")).count();
    // The one call that was under way when the lock was taken.
    assert!(cloudflare(&lab.changes()) <= cloudflare(&before) + 1, "{:?}", lab.changes());
    // Nothing of it is under way any more.
    lab.edit("boxctl.yaml", "request: 60s", "request: 600ms");
    lab.apply(&[]);
    lab.is_settled(&[]);
    let tunnels = lab.cloudflare("GET", &lab.account("cfd_tunnel?is_deleted=false"), None);
    assert_eq!(tunnels.as_array().unwrap().len(), 1, "{tunnels:#}");
}

#[test]
fn only_states_on_a_runners_own_disk_are_warned_of() {
    let mut lab = Lab::of("longform");
    namespace(&lab);
    lab.set("CI", "true");
    keep(&lab, SHARED);
    let shared = lab.apply(&[]);
    assert!(!shared.err.contains("runners that are thrown away"), "{}", shared.err);
    let other = Lab::of("longform");
    let mut command = other.command();
    command.env("CI", "true").args(["apply", "--yes"]);
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("runners that are thrown away lose it (`state: {backend: s3"), "{said}");
}

#[test]
fn a_stack_whose_rename_is_killed_anywhere_has_all_it_had() {
    if is_moto() {
        return;
    }
    let lab = Lab::hasty("longform", &[]);
    lab.apply(&[]);
    let tunnel = lab.only(&lab.account("cfd_tunnel?is_deleted=false"))["id"].clone();
    lab.write(
        "stacks/renamed.yaml",
        &format!("renamed_from: openhands\n{}", lab.read("stacks/openhands.yaml")),
    );
    std::fs::remove_file(lab.path().join("stacks/openhands.yaml")).unwrap();
    let durable = points(&lab.copy(&[]), &["apply", "--yes"]);
    let durable = durable.into_iter().filter(|point| matches!(point, Point::Disk(_)));
    for point in durable {
        let mut copy = lab.copy(&[]);
        let mut ran = Vec::new();
        assert!(kill(&mut copy, &["apply", "--yes"], point, &mut ran), "{point:?}");
        copy.run(&["plan"]).exits(0);
        copy.apply(&[]);
        copy.is_settled(&[]);
        let now = copy.only(&copy.account("cfd_tunnel?is_deleted=false"));
        assert_eq!(now["id"], tunnel, "{point:?}");
        assert!(!copy.path().join("state/openhands.json").exists(), "{point:?}");
    }
}

#[test]
fn a_signal_before_any_step_gives_the_lock_back() {
    if is_moto() {
        return;
    }
    let (lab, gate) = Gate::before("method: GET, path: '*/cfd_tunnel'");
    namespace(&lab);
    keep(&lab, SHARED);
    lab.edit("boxctl.yaml", "request: 600ms", "request: 60s");
    let apply = Apply::start(&lab, &[]);
    let held = gate.reached();
    lab.run(&["state", "unlock", "openhands"]).exits(5).says("is locked by `boxctl apply`");
    apply.signal("-INT");
    let (code, said) = apply.end();
    assert_eq!(code, Some(130), "{said}");
    let leases =
        lab.kubernetes("GET", "/apis/coordination.k8s.io/v1/namespaces/boxctl/leases", None);
    let lease = &leases["items"][0];
    assert!(lease["metadata"]["name"].is_string(), "{leases:#}");
    assert_eq!(lease["spec"]["holderIdentity"].as_str().unwrap_or_default(), "", "{lease:#}");
    drop(held);
}
