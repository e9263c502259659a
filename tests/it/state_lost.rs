//! A stack whose state is lost: nothing is made a second time.

use serde_json::json;

use crate::kill::world::outline;
use crate::lab::Lab;

/// A fixture that was applied, and whose state is gone.
fn lost(fixture: &str) -> Lab {
    let lab = Lab::of(fixture);
    lab.apply(&[]);
    std::fs::remove_dir_all(lab.path().join("state")).unwrap();
    lab.forget_requests();
    lab
}

#[test]
fn everything_is_taken_over_by_one_flag_and_nothing_is_made_again() {
    // All kinds are in one of them.
    for fixture in ["openhands", "longform", "several"] {
        let lab = lost(fixture);
        let before = outline(&lab.dump());
        lab.run(&["apply", "--yes"]).exits(5).says("as the files say").says("`--adopt`");
        assert_eq!(lab.changes(), Vec::<String>::new(), "{fixture}");

        let ran = lab.apply(&["--adopt"]);
        assert!(ran.err.contains("0 created, 0 updated, 0 deleted"), "{}", ran.err);
        assert_eq!(outline(&lab.dump()), before, "{fixture}");
        lab.is_settled(&[]);
    }
}

#[test]
fn who_has_read_an_earlier_version_reads_the_one_that_a_takeover_writes() {
    let lab = Lab::of("openhands");
    lab.apply(&[]);
    lab.run(&["rotate", "tunnel.openhands", "--yes"]).exits(0);
    std::fs::remove_dir_all(lab.path().join("state")).unwrap();
    let plan = lab.run(&["plan", "--adopt"]).exits(0);
    plan.says("refreshed, since ssm_parameter.openhands gets a new version");
    lab.apply(&["--adopt"]);
    lab.is_settled(&[]);
}

#[test]
fn what_differs_is_a_conflict_that_no_flag_decides() {
    let lab = lost("openhands");
    let record = lab.only(&lab.records());
    let path = format!("{}/{}", lab.records(), record["id"].as_str().unwrap());
    lab.cloudflare("PATCH", &path, Some(json!({"proxied": false})));
    lab.forget_requests();
    let refused = lab.run(&["apply", "--yes", "--adopt"]).exits(5);
    assert!(refused.out.contains("error[conflict]: dns_record.openhands"), "{}", refused.out);
    assert!(refused.out.contains("`proxied` is false, and the files want true"), "{}", refused.out);
    assert_eq!(lab.changes(), Vec::<String>::new());

    let stack = lab.read("stacks/openhands.yaml");
    lab.write(
        "stacks/openhands.yaml",
        &(stack + "\nsettings:\n  dns_record.openhands: {adopt: true}\n"),
    );
    lab.apply(&["--adopt"]);
    assert_eq!(lab.only(&lab.records())["proxied"], true);
    assert_eq!(lab.only(&lab.records())["id"], record["id"]);
    lab.is_settled(&[]);
}

#[test]
fn what_another_tracks_is_taken_by_its_full_address_and_not_by_a_pattern() {
    let lab = lost("openhands");
    let service = "/api/v1/namespaces/openhands/services/openhands-service";
    let label = json!({"metadata": {"annotations": {
        "argocd.argoproj.io/tracking-id": "other:/Service:openhands/openhands-service"}}});
    lab.patch(service, label);
    lab.forget_requests();
    let stack = lab.read("stacks/openhands.yaml");
    lab.write("stacks/openhands.yaml", &(stack.clone() + "\nsettings:\n  '**': {adopt: true}\n"));
    let refused = lab.run(&["apply", "--yes"]).exits(5);
    assert!(
        refused.out.contains("error[foreign]: k8s.Service/openhands/openhands-service"),
        "{}",
        refused.out
    );
    assert!(!refused.out.contains("error[adopt]"), "{}", refused.out);
    assert_eq!(lab.changes(), Vec::<String>::new());

    let by_name = "\nsettings:\n  k8s.Service/openhands/openhands-service: {adopt: true}\n  '**': {adopt: true}\n";
    lab.write("stacks/openhands.yaml", &(stack + by_name));
    lab.apply(&[]);
}

#[test]
fn of_several_that_fit_one_is_asked_for() {
    let lab = lost("openhands");
    let name = lab.only(&lab.account("access/policies"))["name"].clone();
    let second = json!({"name": name, "decision": "allow",
        "include": [{"email": {"email": "someone@example.com"}}]});
    lab.cloudflare("POST", &lab.account("access/policies"), Some(second));
    lab.forget_requests();
    lab.run(&["apply", "--yes", "--adopt"])
        .exits(5)
        .says("access_policy.openhands fits several objects that are there already")
        .says("`adopt: ID`");
    assert_eq!(lab.changes(), Vec::<String>::new());
}
