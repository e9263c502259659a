//! API tokens that lack a permission: which one it is, is said.

use serde_json::{Value, json};

use crate::lab::Lab;
use crate::told::flowing;

/// What a plan of the example reads with.
const READ: [&str; 5] = [
    "Zone Read",
    "DNS Read",
    "Cloudflare Tunnel Read",
    "Access: Apps and Policies Read",
    "Access: Organizations, Identity Providers, and Groups Read",
];

/// A token with these permission groups, for the account and all its zones.
fn token(lab: &Lab, names: &[&str]) -> String {
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

#[test]
fn a_plan_says_which_permission_its_token_lacks() {
    let mut lab = Lab::of("openhands");
    lab.apply(&[]);
    let all = lab.variable("CLOUDFLARE_API_TOKEN").to_owned();
    let tokens: Vec<(&str, String)> = READ
        .iter()
        .map(|lacking| {
            let others: Vec<&str> = READ.into_iter().filter(|name| name != lacking).collect();
            (*lacking, token(&lab, &others))
        })
        .collect();
    let enough = token(&lab, &READ);
    for (lacking, token) in tokens {
        lab.set("CLOUDFLARE_API_TOKEN", &token);
        let plan = lab.run(&["plan"]).exits(1);
        let said = format!("`{lacking}`");
        let all = flowing(&format!("{}{}", plan.out, plan.err));
        assert!(all.contains(&said), "{said} is not in\n{}{}", plan.out, plan.err);
        assert!(!plan.out.contains("+ create"), "unreadable is not absent:\n{}", plan.out);
    }
    lab.set("CLOUDFLARE_API_TOKEN", &enough);
    lab.is_settled(&[]);
    lab.edit("stacks/openhands.yaml", "session_duration: 24h", "session_duration: 12h");
    let ran = lab.run(&["apply", "--yes"]).exits(3);
    assert!(flowing(&ran.err).contains("`Access: Apps and Policies Write`"), "{}", ran.err);
    lab.set("CLOUDFLARE_API_TOKEN", &all);
    lab.apply(&[]);
    lab.is_settled(&[]);
}
