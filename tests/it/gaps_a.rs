//! What is easily forgotten: names that change, plans that wait, values that are not given again,
//! and guards that leave by side doors.

use serde_json::{Value, json};

use crate::lab::{Lab, Ran};

fn changes(plan: &Value) -> Vec<(String, String)> {
    let stacks = plan["stacks"].as_array().unwrap();
    let changes = stacks.iter().flat_map(|stack| stack["changes"].as_array().unwrap());
    let text = |change: &Value, key: &str| change[key].as_str().unwrap().to_owned();
    changes.map(|change| (text(change, "action"), text(change, "address"))).collect()
}

fn planned(lab: &Lab, arguments: &[&str]) -> Vec<(String, String)> {
    changes(&lab.run(&[&["plan", "--json"], arguments].concat()).json())
}

fn state(lab: &Lab, stack: &str) -> Value {
    serde_json::from_str(&lab.read(&format!("state/{stack}.json"))).unwrap()
}

fn delete_application(lab: &Lab) {
    let application = lab.only(&lab.account("access/apps"));
    let path = lab.account(&format!("access/apps/{}", application["id"].as_str().unwrap()));
    lab.cloudflare("DELETE", &path, None);
}

/// The longform project, with a stack file of its own.
fn with_stack(text: &str) -> Lab {
    let lab = Lab::of("longform");
    std::fs::remove_file(lab.path().join("stacks/openhands.yaml")).unwrap();
    lab.write("stacks/app.yaml", text);
    lab
}

const SERVICE: &str = "services:\n  app:\n    hostname: app.b0xp.io\n    origin: http://app:80\n    access: {allow: [{login_method: GitHub}]}\n";

#[test]
fn a_saved_plan_routes_nothing_whose_guard_has_gone_since() {
    let lab = with_stack(SERVICE);
    lab.apply(&[]);
    lab.edit("stacks/app.yaml", "http://app:80", "http://app:8080");
    lab.run(&["plan", "--out", "p"]).exits(0);
    delete_application(&lab);
    lab.forget_requests();
    lab.run(&["apply", "--plan", "p", "--yes"])
        .exits(5)
        .says("tunnel_config.app")
        .says("it needs access_application.app by now");
    assert_eq!(lab.changes(), Vec::<String>::new());
}

#[test]
fn a_saved_plan_that_was_cut_short_goes_on() {
    let mut lab = with_stack(SERVICE);
    lab.apply(&[]);
    let tunnel = lab.only(&lab.account("cfd_tunnel?is_deleted=false"))["id"].clone();
    let path = lab.account(&format!("cfd_tunnel/{}", tunnel.as_str().unwrap()));
    lab.cloudflare("DELETE", &path, None);
    lab.edit("stacks/app.yaml", "app.b0xp.io", "web.b0xp.io");
    lab.run(&["plan", "--out", "p"]).exits(0);
    // The record can't be moved at first: the tunnel is made, the application is widened.
    lab.write(
        "faults.yaml",
        "- {service: cloudflare, path: \"/dns_records/[^/]+$\", method: PATCH, times: 99, status: 400}\n",
    );
    lab.restart(&["--faults", "faults.yaml"]);
    lab.run(&["apply", "--plan", "p", "--yes"]).exits(3);
    lab.restart(&[]);
    lab.run(&["apply", "--plan", "p", "--yes"]).exits(0);
    lab.is_settled(&[]);
    let application = lab.only(&lab.account("access/apps"));
    assert_eq!(application["domain"], "web.b0xp.io");
    assert!(!application.to_string().contains("app.b0xp.io\""), "{application:#}");
    lab.run(&["apply", "--plan", "p", "--yes"]).exits(5).says("carried out already");
}

#[test]
fn a_target_does_not_leave_a_published_hostname_without_its_guard() {
    let lab = with_stack(SERVICE);
    lab.apply(&[]);
    lab.edit("stacks/app.yaml", "app.b0xp.io", "web.b0xp.io");
    let with = planned(&lab, &["--target", "access_application.app"]);
    for address in ["tunnel_config.app", "dns_record.app"] {
        assert!(with.iter().any(|(_, a)| a == address), "{with:?}");
    }
    let without = planned(&lab, &["--exclude", "dns_record.app"]);
    assert!(!without.iter().any(|(_, a)| a == "access_application.app"), "{without:?}");
}

#[test]
fn what_a_target_leaves_out_does_not_refuse_it() {
    let lab = Lab::of("openhands");
    lab.apply(&[]);
    for file in ["service", "external-secret", "priorityclass", "application", "deployment"] {
        std::fs::remove_file(lab.path().join(format!("manifests/socket/{file}.yaml"))).unwrap();
    }
    lab.apply(&["--target", "k8s.PriorityClass/**"]);
}

#[test]
fn a_wildcard_application_may_not_leave_what_is_published_below_it() {
    let lab = with_stack(
        "resources:\n  tunnel.t: {name: t}\n  tunnel_config.t:\n    tunnel: ${tunnel.t.id}\n    ingress: [{hostname: a.b0xp.io, service: \"http://a:80\"}]\n  dns_record.a: {name: a, type: CNAME, content: \"${tunnel.t.cname}\", proxied: true}\n  access_policy.p: {name: p, decision: allow, include: [{login_method: GitHub}]}\n  access_application.all: {name: all, domain: \"*.b0xp.io\", policies: [\"${access_policy.p.id}\"]}\n",
    );
    lab.apply(&[]);
    lab.edit("stacks/app.yaml", "  access_application.all", "  #");
    lab.run(&["apply", "--yes"])
        .exits(5)
        .says("a.b0xp.io would be open to everyone without access_application.all");
    lab.only(&lab.account("access/apps"));
}

#[test]
fn an_application_that_was_turned_to_another_hostname_is_named_as_exposed() {
    let lab = with_stack(SERVICE);
    lab.apply(&[]);
    let mut application = lab.only(&lab.account("access/apps"));
    let path = lab.account(&format!("access/apps/{}", application["id"].as_str().unwrap()));
    application["domain"] = json!("other.b0xp.io");
    for field in ["destinations", "self_hosted_domains", "policies"] {
        application.as_object_mut().unwrap().remove(field);
    }
    lab.cloudflare("PUT", &path, Some(application));
    lab.run(&["plan"]).exits(0).says("exposed").says("app.b0xp.io is open to everyone");
    lab.run(&["drift"]).exits(2).says("app.b0xp.io is open to everyone");
    lab.apply(&[]);
    lab.is_settled(&[]);
    delete_application(&lab);
    lab.run(&["drift"]).exits(2).says("app.b0xp.io is open to everyone");
}

#[test]
fn a_renamed_service_keeps_what_it_has_while_something_else_changes() {
    let lab = with_stack(SERVICE);
    lab.apply(&[]);
    let tunnel = lab.only(&lab.account("cfd_tunnel?is_deleted=false"))["id"].clone();
    lab.write(
        "stacks/app.yaml",
        "services:\n  web:\n    renamed_from: app\n    hostname: app.b0xp.io\n    origin: http://app:8080\n    tunnel: {name: app, token_parameter: app-tunnel-token}\n    access: {allow: [{login_method: GitHub}], session_duration: 12h}\n",
    );
    let all = planned(&lab, &[]);
    assert!(all.iter().all(|(action, _)| action == "update"), "{all:?}");
    assert!(all.iter().any(|(_, address)| address == "tunnel_config.web"), "{all:?}");
    lab.apply(&[]);
    lab.is_settled(&[]);
    assert_eq!(lab.only(&lab.account("cfd_tunnel?is_deleted=false"))["id"], tunnel);
    let resources = state(&lab, "app")["resources"].clone();
    assert!(
        resources.as_object().unwrap().keys().all(|address| address.ends_with(".web")),
        "{resources:#}"
    );
    lab.run(&["destroy", "app", "--yes"]).exits(0);
}

#[test]
fn a_renamed_stack_takes_its_state_along_also_by_a_saved_plan() {
    let lab = with_stack(SERVICE);
    lab.apply(&[]);
    let lineage = state(&lab, "app")["lineage"].clone();
    lab.write("stacks/app.yaml", &format!("stack: web\nrenamed_from: app\n{SERVICE}"));
    lab.run(&["plan", "--detailed-exitcode", "--out", "p"]).exits(0);
    lab.run(&["apply", "--plan", "p", "--yes"]).exits(0);
    assert_eq!(state(&lab, "web")["lineage"], lineage);
    assert!(!lab.path().join("state/app.json").exists());
    lab.is_settled(&[]);
    let serial = state(&lab, "web")["serial"].clone();
    lab.apply(&[]);
    assert_eq!(state(&lab, "web")["serial"], serial);
}

#[test]
fn a_stack_without_its_file_is_not_destroyed_by_being_named() {
    let lab = Lab::of("several");
    lab.apply(&[]);
    std::fs::remove_file(lab.path().join("stacks/wiki.yaml")).unwrap();
    lab.forget_requests();
    lab.run(&["apply", "wiki", "--yes"]).exits(5).says("the state of wiki has no stack file");
    lab.run(&["plan", "status"]).exits(0).says("the state of wiki has no stack file");
    lab.run(&["apply", "status", "--yes"]).exits(0);
    assert_eq!(lab.changes(), Vec::<String>::new());
    for stack in ["shop", "status"] {
        std::fs::remove_file(lab.path().join(format!("stacks/{stack}.yaml"))).unwrap();
    }
    lab.edit("boxctl.yaml", "values:", "# values:");
    lab.edit("boxctl.yaml", "  shop:", "#  shop:");
    lab.run(&["plan"]).exits(0).says("the state of wiki has no stack file");
}

#[test]
fn a_retired_stack_that_holds_nothing_leaves_with_its_state() {
    let lab = with_stack(SERVICE);
    lab.apply(&[]);
    lab.run(&["destroy", "app", "--yes"]).exits(0);
    std::fs::remove_file(lab.path().join("stacks/app.yaml")).unwrap();
    let project = lab.read("boxctl.yaml");
    lab.write("boxctl.yaml", &format!("{project}\nretired: [app]\n"));
    lab.apply(&[]);
    assert!(!lab.path().join("state/app.json").exists());
}

#[test]
fn what_could_not_be_read_makes_a_plan_fail_whatever_else_it_found() {
    let mut lab = with_stack(SERVICE);
    lab.apply(&[]);
    let resources = lab.read("stacks/app.yaml") + "resources:\n  tunnel.there: {name: there}\n";
    lab.write("stacks/app.yaml", &resources);
    let tunnel = json!({"name": "there", "config_src": "cloudflare"});
    lab.cloudflare("POST", &lab.account("cfd_tunnel"), Some(tunnel));
    lab.run(&["plan"]).exits(0).says("is there already");
    lab.write(
        "faults.yaml",
        "- {service: cloudflare, method: GET, path: \"access/policies$\", nth: 1, times: 99, status: 403}\n",
    );
    lab.restart(&["--faults", "faults.yaml"]);
    lab.run(&["plan"]).exits(1);
}

#[test]
fn a_value_that_moved_into_the_project_is_recorded_as_such() {
    let lab = Lab::of("openhands");
    lab.apply(&["--var", "runtime=dind"]);
    assert_eq!(state(&lab, "openhands")["variables"]["runtime"]["source"], "command_line");
    let serial = state(&lab, "openhands")["serial"].clone();
    let project = lab.read("boxctl.yaml");
    lab.write("boxctl.yaml", &format!("{project}\nvalues: {{openhands: {{runtime: dind}}}}\n"));
    lab.apply(&[]);
    assert_eq!(state(&lab, "openhands")["variables"]["runtime"]["source"], "values");
    assert_eq!(state(&lab, "openhands")["serial"], serial, "nothing was changed");
    // From now on, an edit of the project is a change like any other.
    lab.edit("boxctl.yaml", "runtime: dind", "runtime: socket");
    lab.apply(&[]);
}

#[test]
fn what_stays_and_needs_something_else_is_recorded_without_a_change() {
    let text = "resources:\n  tunnel.a: {name: a}\n  tunnel.b: {name: b}\n";
    let lab = with_stack(text);
    lab.apply(&[]);
    let serial = state(&lab, "app")["serial"].clone();
    lab.write("stacks/app.yaml", &text.replace("{name: b}", "{name: b, depends_on: [tunnel.a]}"));
    lab.is_settled(&[]);
    lab.apply(&[]);
    let now = state(&lab, "app");
    assert_eq!(now["resources"]["tunnel.b"]["dependencies"], json!(["tunnel.a"]));
    assert_eq!(now["serial"], serial);
}

const PASSWORD: &str = "variables:\n  password: {sensitive: true}\n  level: {}\nresources:\n  ssm_parameter.pw: {name: /app/pw, value: \"x-${var.password}\", description: \"${var.level}\"}\n  ssm_parameter.literal: {name: /app/literal, value: written-in-the-file}\n";

#[test]
fn what_a_person_chose_is_kept_as_argon2id_and_a_plan_knows_it_again() {
    let lab = with_stack(PASSWORD);
    let given = ["--var", "password=hunter2hunter2", "--var", "level=1"];
    lab.apply(&given);
    lab.is_settled(&given);
    let text = state(&lab, "app").to_string();
    assert!(text.contains("argon2id:") && !text.contains("hmac-sha256:"), "{text}");
    lab.edit("stacks/app.yaml", "written-in-the-file", "written-anew");
    assert_eq!(planned(&lab, &given), [("update".to_owned(), "ssm_parameter.literal".to_owned())]);
}

#[test]
fn drift_and_destroy_need_no_value_that_was_given_before() {
    let lab = with_stack(PASSWORD);
    lab.apply(&["--var", "password=hunter2hunter2", "--var", "level=1"]);
    lab.run(&["drift"]).exits(0);
    lab.run(&["plan"]).exits(1).says("the variable `password` has no value");
    lab.run(&["destroy", "app", "--yes"]).exits(0);
}

#[test]
fn a_saved_plan_wants_its_secrets_again_and_the_same_ones() {
    let lab = with_stack(PASSWORD);
    let given = |password: &'static str| ["--var", password, "--var", "level=1"];
    let mut plan = vec!["plan", "--out", "p"];
    plan.extend(given("password=hunter2hunter2"));
    lab.run(&plan).exits(0);
    lab.run(&["apply", "--plan", "p", "--yes"]).exits(5).says("var.password");
    let other: Ran =
        lab.run(&["apply", "--plan", "p", "--yes", "--var", "password=another-one"]).exits(3);
    other.says("var.password has another value");
    // What else was planned is done; the rest is planned again.
    assert!(state(&lab, "app")["resources"].get("ssm_parameter.pw").is_none());
    assert!(state(&lab, "app")["resources"].get("ssm_parameter.literal").is_some());
}

#[test]
fn one_stack_can_be_planned_without_what_another_wants_to_be_given() {
    let lab = with_stack(SERVICE);
    lab.write(
        "stacks/other.yaml",
        "variables: {must: {}}\nresources: {tunnel.o: {name: \"${var.must}\"}}\n",
    );
    lab.run(&["plan", "app"]).exits(0);
    lab.run(&["plan"]).exits(1).says("`must` has no value");
}
