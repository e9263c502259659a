//! Access groups beside a service, and applications of other types than it makes: those that guard a
//! shell, and those that the account has one of.

use serde_json::{Value, json};

use crate::lab::Lab;

const STACK: &str = "stacks/openhands.yaml";

fn lab_with(resources: &str) -> Lab {
    let lab = Lab::of("openhands");
    let text = lab.read(STACK);
    lab.write(STACK, &format!("resources:\n{resources}\n{text}"));
    lab
}

#[test]
fn a_group_lives_as_its_file_says() {
    let lab = lab_with(
        "  access_group.staff: {name: staff, include: [{email: a@example.org}], require: \
         [{login_method: GitHub}]}",
    );
    lab.edit(STACK, "allow: [{login", "allow: [{group: \"${access_group.staff.id}\"}, {login");
    lab.apply(&[]);
    let group = lab.only(&lab.account("access/groups"));
    assert_eq!(group["name"], "staff");
    let policy = lab.only(&lab.account("access/policies"));
    assert_eq!(policy["include"][0], json!({"group": {"id": group["id"]}}));
    lab.is_settled(&[]);

    lab.edit(STACK, ", require: [{login_method: GitHub}]", "");
    lab.edit(STACK, "name: staff", "name: team");
    lab.apply(&[]);
    let changed = lab.only(&lab.account("access/groups"));
    assert_eq!((&changed["id"], &changed["name"]), (&group["id"], &json!("team")));
    assert_eq!(changed["require"], json!([]));
    lab.is_settled(&[]);
    lab.run(&["destroy", "openhands", "--yes", "--allow-protected", "**"]).exits(0);
    assert_eq!(lab.cloudflare("GET", &lab.account("access/groups"), None), json!([]));
}

#[test]
fn a_rule_names_a_group_that_is_there() {
    let lab = Lab::of("openhands");
    let path = lab.account("access/groups");
    let body = json!({"name": "staff", "include": [{"everyone": {}}]});
    let group = lab.cloudflare("POST", &path, Some(body));
    lab.edit(STACK, "allow: [{login", "allow: [{group: stuff}, {login");
    lab.run(&["plan"]).exits(1).says("there is no Access group `stuff`").says("there are staff");
    lab.edit(STACK, "group: stuff", "group: staff");
    lab.apply(&[]);
    let policy = lab.only(&lab.account("access/policies"));
    assert_eq!(policy["include"][0], json!({"group": {"id": group["id"]}}));
    lab.is_settled(&[]);
}

#[test]
fn a_group_whose_state_was_lost_is_taken_over_and_never_doubled() {
    let group = "  access_group.staff: {name: staff, include: [{email: a@example.org}]}";
    let lab = lab_with(group);
    let target = ["--target", "access_group.staff"];
    lab.apply(&target);
    std::fs::remove_dir_all(lab.path().join("state")).unwrap();
    lab.run(&["apply", "--yes", "--target", "access_group.staff"]).exits(5).says("--adopt");
    lab.apply(&["--target", "access_group.staff", "--adopt"]);
    assert_eq!(lab.only(&lab.account("access/groups"))["name"], "staff");
    lab.is_settled(&target);
}

/// The longform project, with a stack file of its own.
fn with_stack(options: &[&str], text: &str) -> Lab {
    let lab = Lab::with("longform", options);
    std::fs::remove_file(lab.path().join(STACK)).unwrap();
    lab.write(STACK, text);
    lab
}

/// The account's only application of a type.
fn of_type(lab: &Lab, kind: &str) -> Value {
    let all = lab.cloudflare("GET", &lab.account("access/apps"), None);
    let mut fitting = all.as_array().unwrap().iter().filter(|app| app["type"] == kind);
    let found = fitting.next().unwrap().clone();
    assert!(fitting.next().is_none(), "{all:#}");
    found
}

fn policy_names(app: &Value) -> Vec<&str> {
    app["policies"].as_array().unwrap().iter().filter_map(|p| p["name"].as_str()).collect()
}

const WARP: &str = "resources:
  access_policy.staff: {name: staff, decision: allow, include: [{email_domain: b0xp.io}]}
  access_application.warp:
    type: warp
    session_duration: 12h
    policies: [\"${access_policy.staff.id}\"]
    shared: [policies]
";

#[test]
fn the_application_of_warp_is_taken_over_and_keeps_what_others_put_on_it() {
    for options in [&[][..], &["--mangle", "4"][..]] {
        let lab = with_stack(options, WARP);
        let before = of_type(&lab, "warp");
        let body = json!({"name": "theirs", "decision": "allow", "include": [{"everyone": {}}]});
        let theirs = lab.cloudflare("POST", &lab.account("access/policies"), Some(body));
        let path = lab.account(&format!("access/apps/{}", before["id"].as_str().unwrap()));
        let mut body = before.clone();
        body["policies"] = json!([{"id": theirs["id"], "precedence": 1}]);
        lab.cloudflare("PUT", &path, Some(body));
        let warp = "access_application.warp is there already and differs";
        lab.run(&["apply", "--yes"]).exits(5).says(warp);
        lab.edit(STACK, "type: warp", "type: warp\n    adopt: true");
        lab.apply(&[]);
        lab.is_settled(&[]);
        let now = of_type(&lab, "warp");
        assert_eq!((&now["id"], now["policies"].as_array().unwrap().len()), (&before["id"], 2));
        assert_eq!(now["policies"][0]["id"], theirs["id"]);
        assert_eq!((&now["aud"], &now["domain"]), (&before["aud"], &before["domain"]));
        lab.edit(STACK, "12h", "6h");
        lab.apply(&[]);
        lab.is_settled(&[]);
        lab.forget_requests();
        lab.run(&["plan", "--destroy"]).says("the account keeps this application");
        lab.run(&["destroy", "openhands", "--yes"]).exits(0);
        let changes = lab.changes();
        assert!(
            changes[0].starts_with("PUT ") && changes[1].starts_with("DELETE "),
            "{changes:#?}"
        );
        let left = of_type(&lab, "warp");
        assert_eq!(left["policies"].as_array().unwrap().len(), 1);
        assert_eq!(left["policies"][0]["id"], theirs["id"]);
    }
}

#[test]
fn the_app_launcher_is_dropped_from_the_state_and_stays() {
    let text = "resources:\n  access_application.launcher: {type: app_launcher}\n";
    let lab = with_stack(&[], text);
    let before = of_type(&lab, "app_launcher");
    lab.run(&["apply", "--yes"]).exits(5).says("identical to what the files say");
    lab.forget_requests();
    lab.apply(&["--adopt"]);
    assert!(lab.changes().is_empty());
    assert_eq!(of_type(&lab, "app_launcher"), before);
    lab.edit(
        STACK,
        "app_launcher}",
        "app_launcher, allowed_idps: [GitHub], auto_redirect_to_identity: true}",
    );
    lab.apply(&[]);
    lab.is_settled(&[]);
    lab.edit(STACK, ", allowed_idps: [GitHub], auto_redirect_to_identity: true", "");
    lab.apply(&[]);
    assert_eq!(of_type(&lab, "app_launcher")["auto_redirect_to_identity"], false);
    lab.is_settled(&[]);
    lab.forget_requests();
    lab.run(&["destroy", "openhands", "--yes"])
        .exits(0)
        .says("the account keeps this application: it stays as it is");
    assert!(lab.changes().is_empty());
    assert_eq!(of_type(&lab, "app_launcher")["id"], before["id"]);
    // One that is not there is not made.
    let path = lab.account(&format!("access/apps/{}", before["id"].as_str().unwrap()));
    lab.cloudflare("DELETE", &path, None);
    lab.run(&["apply", "--yes"]).exits(1).says("the account has no `app_launcher` application");
    assert!(!lab.changes().iter().any(|change| change.starts_with("POST")));
}

#[test]
fn an_application_guards_a_shell() {
    let text = "resources:
  access_policy.staff: {name: staff, decision: allow, include: [{email_domain: b0xp.io}]}
  access_application.shell:
    type: ssh
    name: shell
    domain: ssh.b0xp.io
    policies: [\"${access_policy.staff.id}\"]
";
    let lab = with_stack(&["--mangle", "8"], text);
    lab.apply(&[]);
    lab.is_settled(&[]);
    let app = of_type(&lab, "ssh");
    assert_eq!((&app["domain"], policy_names(&app).len()), (&json!("ssh.b0xp.io"), 1));
    lab.edit(STACK, "type: ssh", "type: vnc");
    lab.run(&["plan"]).says("an application's type cannot be changed");
    lab.edit(STACK, "type: vnc", "type: ssh\n    allow_authenticate_via_warp: true");
    lab.apply(&[]);
    lab.is_settled(&[]);
    assert_eq!(of_type(&lab, "ssh")["allow_authenticate_via_warp"], true);
    lab.run(&["destroy", "openhands", "--yes"]).exits(0);
}
