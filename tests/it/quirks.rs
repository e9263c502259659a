//! What the references doubt, either way: the whole life of every kind with each quirk on.

use serde_json::json;

use crate::every_kind;
use crate::kill::all;
use crate::lab::Lab;

/// Every quirk as the sandbox lists them; those that pass do so within the waits of a lab.
fn quirks() -> Vec<String> {
    let ran = Lab::of("longform").run(&["sandbox", "serve", "--quirks", "nonsense"]);
    let names = ran.err.lines().filter_map(|line| line.trim().split_once(": "));
    let quirks: Vec<String> = names
        .map(|(name, _)| name.replace("[=MS]", "=100"))
        .filter(|name| !name.contains(' ') && name != "error")
        .collect();
    assert!(quirks.len() >= 24, "{}", ran.err);
    quirks
}

/// The world without what stays: the cluster's own objects, the log of what happened in it, what an
/// account has one of, and entry points of rulesets, which are emptied.
fn outside(lab: &Lab) -> serde_json::Value {
    let mut dump = lab.dump();
    dump.as_object_mut().unwrap().remove("kubernetes");
    let cloudflare = &mut dump["cloudflare"];
    let rulesets = cloudflare["rulesets"].as_array_mut().unwrap();
    rulesets.retain(|ruleset| ruleset["rules"] != json!([]));
    let apps = cloudflare["access"]["apps"].as_array_mut().unwrap();
    let policies_of = |app: &serde_json::Value| app["policies"].as_array().unwrap().len();
    apps.retain(|app| app["fields"]["type"] == "self_hosted" || policies_of(app) > 0);
    dump
}

/// Every kind is made, changed, taken over when its state was lost, and deleted; what was done is
/// settled each time, and nothing is left in the end.
fn every_kind_lives(quirks: &str) {
    let lab = every_kind::lab(&["--quirks", quirks]);
    let before = outside(&lab);
    lab.apply(&[]);
    lab.is_settled(&[]);
    lab.run(&["drift"]).exits(0);
    every_kind::change(&lab);
    lab.run(&["plan", "--detailed-exitcode"]).exits(2);
    lab.apply(&[]);
    lab.is_settled(&[]);
    std::fs::remove_dir_all(lab.path().join("state")).unwrap();
    lab.forget_requests();
    lab.apply(&["--adopt"]);
    // Values that are not read are written again, and nothing else.
    assert_eq!(lab.changes(), ["POST PutParameter"; 2], "{quirks}");
    lab.is_settled(&[]);
    lab.run(&["destroy", "every", "--yes", "--allow-protected", "**"]).exits(0);
    assert_eq!(outside(&lab), before, "{quirks}");
}

#[test]
fn every_kind_lives_with_each_quirk() {
    // The sandbox logs what SSM is asked only where it answers that itself.
    if crate::kill::is_moto() {
        return;
    }
    all(&quirks(), |quirk| every_kind_lives(quirk));
}

#[test]
fn every_kind_lives_with_all_quirks_that_go_together() {
    // The sandbox logs what SSM is asked only where it answers that itself.
    if crate::kill::is_moto() {
        return;
    }
    // A tunnel that was never configured either shows a version or nothing.
    let either = ["unconfigured-missing", "unconfigured-minus-one"];
    let together = either.map(|not| {
        let all = quirks();
        let others: Vec<&str> =
            all.iter().map(String::as_str).filter(|name| *name != not).collect();
        others.join(",")
    });
    all(&together, |quirks| every_kind_lives(quirks));
}

/// A fixture is made, changed and taken away; what was done is settled each time.
fn lives(fixture: &str, quirk: &str, stack: &str, change: (&str, &str)) {
    let lab = Lab::with(fixture, &["--quirks", quirk]);
    let before = outside(&lab);
    lab.apply(&[]);
    lab.is_settled(&[]);
    lab.run(&["drift"]).exits(0);
    lab.edit(stack, change.0, change.1);
    lab.run(&["plan", "--detailed-exitcode"]).exits(2);
    lab.apply(&[]);
    lab.is_settled(&[]);
    let stacks = std::fs::read_dir(lab.path().join("stacks")).unwrap();
    for stack in stacks {
        let name = stack.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned();
        let ran = lab.run(&["destroy", &name, "--yes", "--allow-protected", "**"]);
        assert_eq!(ran.code, 0, "{quirk}: {}{}", ran.out, ran.err);
    }
    assert_eq!(outside(&lab), before, "{quirk}");
}

#[test]
fn several_services_live_with_the_quirks_of_what_they_share() {
    let change = ("session_duration: 8h", "session_duration: 4h");
    for quirk in [
        "access-throttles",
        "unconfigured-missing",
        "detaching-delete",
        "unique-app-names",
        "stale-lists=100",
        "late-policies=100",
    ] {
        lives("several", quirk, "stacks/shop.yaml", change);
    }
}

#[test]
fn services_live_with_all_quirks_at_once() {
    let all = "all,stale-lists=100,late-policies=100";
    let change = ("session_duration: 24h", "session_duration: 12h");
    lives("openhands", all, "stacks/openhands.yaml", change);
}

#[test]
fn an_application_of_the_zone_that_the_account_does_not_show_is_named() {
    let lab = Lab::with("openhands", &["--quirks", "zone-apps-apart"]);
    let zone = lab.only("/zones");
    let path = format!("/zones/{}/access/apps", zone["id"].as_str().unwrap());
    let body = json!({"type": "self_hosted", "name": "old", "domain": "openhands.b0xp.io"});
    lab.cloudflare("POST", &path, Some(body));
    let ran = lab.run(&["apply", "--yes"]).exits(3).says("code 11010").says("scope");
    assert!(!ran.out.contains("dns_record.openhands: created"), "{}", ran.out);
    assert_eq!(lab.cloudflare("GET", &lab.records(), None), json!([]), "nothing is exposed");
}
