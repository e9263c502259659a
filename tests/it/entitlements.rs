//! What the plan of a zone includes, and what it doesn't.

use serde_json::json;

use crate::lab::Lab;
use crate::told::flowing;

const STACK: &str = "stacks/openhands.yaml";
const RECORD: &str = "\
resources:
  dns_record.a:
    name: a
    type: AAAA
    content: 2001:db8::1
    proxied: true
    tags: [team:web]
    settings: {ipv6_only: true}
";

fn lab(options: &[&str]) -> Lab {
    let lab = Lab::with("longform", options);
    lab.write(STACK, RECORD);
    lab
}

#[test]
fn what_a_free_zone_does_not_include_is_told_and_the_rest_goes_through() {
    let lab = lab(&[]);
    let ran = lab.run(&["apply", "--yes"]);
    let text = flowing(&format!("{}{}", ran.out, ran.err));
    assert!(ran.code != 0 && text.contains("not available to this zone"), "{text}");
    assert!(text.contains("leave `settings` out"), "{text}");
    lab.edit(STACK, "    settings: {ipv6_only: true}\n", "");
    let ran = lab.run(&["apply", "--yes"]);
    let text = flowing(&format!("{}{}", ran.out, ran.err));
    assert!(ran.code != 0 && text.contains("code 9300"), "{text}");
    assert!(text.contains("leave `tags` out"), "{text}");
    lab.edit(STACK, "    tags: [team:web]\n", "");
    lab.apply(&[]);
    lab.is_settled(&[]);
}

#[test]
fn a_zone_that_is_paid_for_has_tags_and_records_of_one_kind_of_address() {
    let lab = lab(&["--zone", "b0xp.io:pro"]);
    lab.apply(&[]);
    lab.is_settled(&[]);
    let record = lab.only(&lab.records());
    assert_eq!(record["tags"], json!(["team:web"]));
    assert_eq!(record["settings"]["ipv6_only"], true);
    // Tags are a set, and what leaves the files goes.
    lab.edit(STACK, "[team:web]", "[team:web, stage:live]");
    lab.apply(&[]);
    lab.is_settled(&[]);
    lab.edit(STACK, "[team:web, stage:live]", "[stage:live, team:web]");
    lab.is_settled(&[]);
    lab.edit(STACK, "    tags: [stage:live, team:web]\n    settings: {ipv6_only: true}\n", "");
    lab.apply(&[]);
    lab.is_settled(&[]);
    let record = lab.only(&lab.records());
    assert_eq!(record["tags"], json!([]));
    assert_ne!(record["settings"]["ipv6_only"], true);
    std::fs::remove_dir_all(lab.path().join("state")).unwrap();
    lab.apply(&["--adopt"]);
    lab.is_settled(&[]);
}
