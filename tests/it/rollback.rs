//! What an earlier run applied is applied again by one command.

use serde_json::{Value, json};

use crate::kill::{Point, kill, world::outline};
use crate::lab::Lab;

const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/openhands/deployments/openhands";

/// The openhands stack, moved to Docker in Docker by its files; with the world before that.
fn moved() -> (Lab, Value) {
    let lab = Lab::of("openhands");
    lab.apply(&[]);
    let before = specs(&lab);
    lab.edit(
        "boxctl.yaml",
        "project: lolice",
        "project: lolice\nvalues: {openhands: {runtime: dind}}",
    );
    lab.apply(&[]);
    assert_ne!(specs(&lab), before);
    (lab, before)
}

/// What a user asked for, whatever its ids are.
fn specs(lab: &Lab) -> Value {
    outline(&lab.dump())
}

fn strategy(lab: &Lab) -> Value {
    lab.kubernetes("GET", DEPLOYMENT, None)["spec"]["strategy"]["type"].clone()
}

#[test]
fn the_move_to_docker_in_docker_is_taken_back_by_one_command() {
    let (lab, before) = moved();
    lab.run(&["rollback", "openhands", "--yes"]).exits(0).says("5 deleted");
    assert_eq!(specs(&lab), before);

    // The files still ask for it, and nothing does it in passing.
    let plan = lab.run(&["plan"]).exits(0);
    assert_eq!(
        plan.out.lines().nth(1),
        Some("error[rolled-back]: rolled back to 1, the files ask for 2"),
        "{}",
        plan.out
    );
    lab.forget_requests();
    lab.run(&["apply", "--yes"]).exits(5).says("boxctl apply --forward");
    assert_eq!(lab.changes(), Vec::<String>::new());
    lab.run(&["drift"]).exits(0);
    lab.run(&["state", "history", "openhands"])
        .exits(0)
        .says("rollback to 1")
        .says("the files ask for 2");

    lab.apply(&["--forward"]);
    assert_eq!(strategy(&lab), "Recreate");
    lab.is_settled(&[]);
    lab.run(&["rollback", "openhands", "3", "--yes"]).exits(0);
    assert_eq!(specs(&lab), before);
}

#[test]
fn once_the_files_ask_for_something_else_apply_follows_them_again() {
    let (lab, before) = moved();
    lab.run(&["rollback", "openhands", "--yes"]).exits(0);
    lab.edit("boxctl.yaml", "runtime: dind", "runtime: socket");
    lab.is_settled(&[]);
    lab.apply(&[]);
    assert_eq!(specs(&lab), before);
    let record = lab.run(&["state", "history", "openhands", "--json"]).exits(0).json();
    assert_eq!(record["stacks"][0]["rolled_back"], Value::Null, "{record:#}");
}

#[test]
fn a_way_back_that_failed_in_part_is_gone_on_with() {
    let (mut lab, before) = moved();
    // What the files say of a secret is not needed to go back, nor that they can be read at all.
    lab.edit("stacks/openhands.yaml", "services:", "servicesx:");
    let faults = "- {service: kubernetes, method: DELETE, path: \"roles/pod-exec-role$\", nth: 1, times: 99, \
                  status: 403}\n";
    lab.write("faults.yaml", faults);
    lab.restart(&["--faults", "faults.yaml"]);
    let ran = lab.run(&["rollback", "openhands", "--yes"]).exits(3);
    let ran = ran.says("1 failed").says("Next: the same command again does what is left");
    assert!(ran.err.contains("the files have mistakes"), "{}", ran.err);
    lab.restart(&[]);
    lab.run(&["rollback", "openhands", "--yes"]).exits(0);
    assert_eq!(specs(&lab), before);
}

#[test]
fn secrets_are_todays_and_what_has_none_is_refused() {
    let lab = Lab::of("openhands");
    let with = |password: &str| format!("password={password}");
    lab.edit(
        "stacks/openhands.yaml",
        "variables:\n",
        "variables:\n  password: {sensitive: true}\n",
    );
    let parameter = |description: &str| {
        format!(
            "\nresources:\n  ssm_parameter.password: {{name: /app/password, description: {description}, \
             value: \"${{var.password}}\"}}\n"
        )
    };
    let files = lab.read("stacks/openhands.yaml");
    lab.write("stacks/openhands.yaml", &(files.clone() + &parameter("one")));
    lab.apply(&["--var", &with("first")]);
    lab.write("stacks/openhands.yaml", &(files.clone() + &parameter("two")));
    lab.apply(&["--var", &with("second")]);
    let read = || {
        let input = json!({"Name": "/app/password", "WithDecryption": true});
        lab.ssm("GetParameter", input)["Parameter"]["Value"].clone()
    };

    lab.run(&["rollback", "openhands", "--yes", "--var", &with("third")]).exits(0);
    assert_eq!(read(), "third");
    let described = |wanted: &str| {
        let found = lab.ssm("DescribeParameters", json!({}));
        let all = found["Parameters"].as_array().unwrap().clone();
        let one = all.iter().find(|one| one["Name"] == "/app/password").unwrap().clone();
        assert_eq!(one["Description"], wanted);
    };
    described("one");

    // What a run needs and nothing gives is said before anything is done.
    lab.write("stacks/openhands.yaml", &files.replace("  password: {sensitive: true}\n", ""));
    lab.forget_requests();
    lab.run(&["rollback", "openhands", "2", "--yes"]).exits(5).says("var.password");
    assert_eq!(lab.changes(), Vec::<String>::new());
}

#[test]
fn what_there_is_to_go_back_to_is_told() {
    let lab = Lab::of("openhands");
    lab.run(&["rollback", "openhands", "--yes"]).exits(1);
    lab.apply(&[]);
    lab.run(&["rollback", "openhands", "--yes"]).exits(1).says("no earlier run is kept");
    lab.run(&["rollback", "openhands", "7", "--yes"]).exits(1).says("run 7 is not kept");
    lab.run(&["rollback", "openhands", "1"]).exits(0).says("No changes");
    lab.run(&["rollback", "--all", "--yes"]).exits(0).says("openhands stays as it is");
}

#[test]
fn verify_reads_files_records_and_world() {
    let lab = Lab::of("openhands");
    lab.run(&["state", "verify", "openhands"]).exits(1).says("nothing was applied yet");
    lab.apply(&[]);
    lab.forget_requests();
    lab.run(&["state", "verify"]).exits(0).says("Verified");
    assert_eq!(lab.changes(), Vec::<String>::new());

    lab.patch(DEPLOYMENT, json!({"spec": {"replicas": 3}}));
    lab.run(&["state", "verify"]).exits(2).says("spec.replicas");
    lab.apply(&[]);

    let state = lab.read("state/openhands.json");
    let dangling = state.replacen("\"dependencies\": [", "\"dependencies\": [\"tunnel.gone\",", 1);
    assert_ne!(state, dangling);
    lab.write("state/openhands.json", &dangling);
    lab.run(&["state", "verify"]).says("tunnel.gone, which is not recorded");
    lab.write("state/openhands.json", &state);

    let history = lab.read("state/history/openhands/1.json");
    lab.write("state/history/openhands/1.json", &history[..history.len() / 2]);
    lab.run(&["state", "verify"]).exits(1).says("history/openhands/1.json");
    lab.write("state/history/openhands/1.json", &history);

    let journal = lab.read("state/openhands.journal");
    let damaged = journal.replacen("\"number\":", "\"number\": ", 1);
    lab.write("state/openhands.journal", &(damaged + "{}\n"));
    lab.run(&["state", "verify"]).exits(1).says("openhands.journal");
}

#[test]
fn a_way_back_that_was_killed_is_gone_on_with() {
    if crate::kill::is_moto() {
        return;
    }
    let mut lab = Lab::hasty("openhands", &[]);
    lab.apply(&[]);
    let before = specs(&lab);
    lab.edit(
        "boxctl.yaml",
        "project: lolice",
        "project: lolice\nvalues: {openhands: {runtime: dind}}",
    );
    lab.apply(&[]);
    let point = Point::Call("PATCH", "*/deployments/openhands");
    let mut ran = Vec::new();
    assert!(kill(&mut lab, &["rollback", "openhands", "--yes"], point, &mut ran));
    lab.restart(&[]);

    // The files ask for what the way back has half undone: that is not done in passing.
    lab.forget_requests();
    lab.run(&["apply", "--yes"]).exits(5).says("boxctl apply --forward");
    assert_eq!(lab.changes(), Vec::<String>::new());
    lab.run(&["rollback", "openhands", "--yes"]).exits(0);
    assert_eq!(specs(&lab), before);
    lab.apply(&["--forward"]);
    lab.is_settled(&[]);
}

#[test]
fn of_what_is_no_stack_nothing_is_left_behind() {
    let lab = Lab::of("openhands");
    lab.run(&["rollback", "nowhere", "--yes"]).exits(1).says("there is no stack");
    assert!(!lab.path().join("state").exists());
}
