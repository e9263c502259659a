//! Access groups beside a service: made, used by name and by reference, changed, found again.

use serde_json::json;

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
