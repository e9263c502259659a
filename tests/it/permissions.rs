//! Credentials that lack a permission: which one it is, is said, and nothing is made up about what
//! could not be read.

use serde_json::{Value, json};

use crate::every_kind;
use crate::lab::{Lab, Ran};
use crate::told::flowing;

/// What a plan reads with, and what it can't tell of without each: kinds, or addresses.
pub const READ: [(&str, &[&str]); 13] = [
    ("Zone Read", &["dns_record"]),
    ("DNS Read", &["dns_record"]),
    ("Cloudflare Tunnel Read", &["tunnel", "tunnel_config", "tunnel_route", "hostname_route"]),
    (
        "Access: Apps and Policies Read",
        &["access_policy", "access_application", "access_application_policy"],
    ),
    ("Access: Organizations, Identity Providers, and Groups Read", &["access_group"]),
    ("Access: Service Tokens Read", &["service_token"]),
    ("Zero Trust Read", &["split_tunnel"]),
    ("Workers KV Storage Read", &["cloudflare_object.space"]),
    ("Workers R2 Storage Read", &["cloudflare_object.bucket"]),
    ("D1 Read", &["cloudflare_object.database"]),
    ("Workers Routes Read", &["cloudflare_object.route"]),
    ("Account Rulesets Read", &["cloudflare_object.rules"]),
    ("Dynamic URL Redirects Read", &["cloudflare_object.redirects"]),
];

/// A token with these permission groups, for the account and all its zones.
pub fn token(lab: &Lab, names: &[&str]) -> String {
    let known = lab.cloudflare("GET", "/user/tokens/permission_groups", None);
    let groups: Vec<Value> = names
        .iter()
        .map(|name| {
            let mut known = known.as_array().unwrap().iter();
            json!({"id": known.find(|group| group["name"] == *name).unwrap()["id"]})
        })
        .collect();
    let account = format!("com.cloudflare.api.account.{}", crate::lab::ACCOUNT);
    let policy = json!({"effect": "allow", "permission_groups": groups, "resources": {
        account: "*", "com.cloudflare.api.account.zone.*": "*"}});
    let body = json!({"name": "plan", "policies": [policy]});
    let made = lab.cloudflare("POST", "/user/tokens", Some(body));
    made["value"].as_str().unwrap().to_owned()
}

/// The addresses of what a plan makes, and how many changes it has in all.
fn planned(ran: &Ran) -> (Vec<String>, usize) {
    let of = |line: &str, verb: &str| {
        let (_, address) = line.trim().split_once(verb)?;
        Some(address.trim().to_owned())
    };
    let all =
        |verb: &str| -> Vec<String> { ran.out.lines().filter_map(|line| of(line, verb)).collect() };
    let made = all("+ create ");
    let count = made.len() + all("~ update ").len();
    (made, count)
}

/// A plan with each token that lacks one permission: it says which, and makes nothing of what it
/// could not read; the rest is planned.
fn each_is_named(lab: &mut Lab, tokens: &[(&str, &[&str], String)], creates: bool) {
    for (lacking, kinds, token) in tokens {
        lab.set("CLOUDFLARE_API_TOKEN", token);
        let plan = lab.run(&["plan"]).exits(1);
        let all = flowing(&format!("{}{}", plan.out, plan.err));
        assert!(all.contains(&format!("`{lacking}`")), "{lacking} is not in\n{all}");
        let (made, count) = planned(&plan);
        let blind = |address: &String| {
            let kind = address.split('.').next().unwrap_or_default();
            kinds.contains(&kind) || kinds.contains(&address.as_str())
        };
        let wrong = made.iter().any(|address| blind(address) || !creates);
        assert!(!wrong, "{lacking}: unreadable is not absent:\n{}", plan.out);
        // Zones, and what is looked up by name, are read before anything is planned.
        let looked_up = ["Zone Read", READ[2].0, READ[4].0].contains(lacking);
        assert!(
            count > 0 || looked_up,
            "{lacking}: what can be read is planned:\n{}{}",
            plan.out,
            plan.err
        );
    }
}

#[test]
fn a_plan_says_which_permission_its_token_lacks_and_plans_the_rest() {
    let mut lab = every_kind::lab(&[]);
    lab.write(every_kind::FILE, every_kind::BASE);
    lab.apply(&[]);
    let all = lab.variable("CLOUDFLARE_API_TOKEN").to_owned();
    let names = READ.map(|(name, _)| name);
    let tokens = READ.map(|(lacking, kinds)| {
        let others: Vec<&str> = names.into_iter().filter(|name| *name != lacking).collect();
        (lacking, kinds, token(&lab, &others))
    });
    let enough = token(&lab, &names);
    lab.write(every_kind::FILE, &format!("{}{}", every_kind::BASE, every_kind::LEAVES));
    each_is_named(&mut lab, &tokens, true);
    lab.set("CLOUDFLARE_API_TOKEN", &all);
    lab.apply(&[]);
    every_kind::change(&lab);
    each_is_named(&mut lab, &tokens, false);

    lab.set("CLOUDFLARE_API_TOKEN", &enough);
    lab.run(&["plan", "--detailed-exitcode"]).exits(2);
    let ran = lab.run(&["apply", "--yes"]).exits(3);
    let text = flowing(&ran.err);
    for (read, _) in &READ[1..] {
        let write = read.replace("Read", "Write");
        assert!(text.contains(&format!("`{write}`")), "{write} is not in\n{text}");
    }
    lab.set("CLOUDFLARE_API_TOKEN", &all);
    lab.apply(&[]);
    lab.is_settled(&[]);
}

/// What AWS says to who may not do this.
pub fn denied(operation: &str, action: &str) -> Value {
    json!([{"service": "ssm", "path": operation, "times": 1000, "status": 400,
        "code": "AccessDeniedException",
        "message": format!("User: arn:aws:iam::123456789012:user/reader is not authorized to \
            perform: {action} on resource: x because no identity-based policy allows it")}])
}

#[test]
fn credentials_that_lack_a_permission_of_aws_are_told_which() {
    let lab = every_kind::lab(&[]);
    lab.apply(&[]);
    // Without the descriptions there is nothing to go by.
    lab.plan_faults(&denied("DescribeParameters", "ssm:DescribeParameters"));
    let plan = lab.run(&["plan"]).exits(1).says("ssm:DescribeParameters");
    assert!(!plan.out.contains("+ create"), "unreadable is not absent:\n{}", plan.out);

    // Without tags, the rest is compared, and it is said that they are not.
    lab.plan_faults(&denied("ListTagsForResource", "ssm:ListTagsForResource"));
    let plan = lab.is_settled(&["--json"]).json();
    let checks = plan["stacks"][0]["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["code"] == "unchecked").unwrap();
    assert_eq!(check["address"], "ssm_parameter.plain");
    assert!(check.to_string().contains("ssm:ListTagsForResource"), "{check}");
    lab.edit(every_kind::FILE, "value: one, tags", "value: two, tags");
    let plan = lab.run(&["plan", "--detailed-exitcode"]).exits(2);
    assert!(!plan.out.contains("tags."), "{}", plan.out);

    // A value that is kept has to be read to be put back.
    lab.edit(every_kind::FILE, "description: first", "description: second");
    lab.plan_faults(&denied("GetParameter", "kms:Decrypt"));
    lab.run(&["plan", "--detailed-exitcode"]).exits(2);
    lab.run(&["apply", "--yes"]).exits(3).says("kms:Decrypt");
    lab.plan_faults(&json!([]));
    lab.apply(&[]);
    lab.is_settled(&[]);
}
