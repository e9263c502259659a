//! Secrets made anew: service tokens and tunnels, and all who hold or use what is in them.

use serde_json::{Value, json};

use crate::lab::Lab;

const STACK: &str = "stacks/openhands.yaml";
const TOKEN: &str = "\
resources:
  service_token.ci: {name: CI, duration: 8760h, rotate: {every: 90d, keep_old: 24h}}
  ssm_parameter.ci: {name: ci-secret, value: \"${service_token.ci.client_secret}\"}
";

fn lab_with_token() -> Lab {
    let lab = Lab::of("openhands");
    let text = lab.read(STACK);
    lab.write(STACK, &format!("{TOKEN}{text}"));
    lab.apply(&[]);
    lab
}

fn value(lab: &Lab, name: &str) -> String {
    let input = json!({"Name": name, "WithDecryption": true});
    lab.ssm("GetParameter", input)["Parameter"]["Value"].as_str().unwrap().to_owned()
}

/// The token as the sandbox keeps it, with the secret that the API says only once.
fn token(lab: &Lab) -> Value {
    let tokens = lab.dump()["cloudflare"]["access"]["service_tokens"].clone();
    assert_eq!(tokens.as_array().unwrap().len(), 1, "{tokens:#}");
    tokens[0].clone()
}

fn is_nowhere(lab: &Lab, secrets: &[String]) {
    crate::secrets::are_nowhere(lab, &[], secrets, &[]);
}

#[test]
fn a_tokens_secret_goes_into_its_parameter_and_is_made_anew_when_asked() {
    let lab = lab_with_token();
    let first = token(&lab);
    assert_eq!(first["name"], "CI");
    assert_eq!(first["client_secret"], value(&lab, "ci-secret"));
    lab.is_settled(&[]);

    lab.forget_requests();
    lab.run(&["rotate", "service_token.ci", "--yes"]).exits(0).says("rotated");
    let second = token(&lab);
    assert_eq!((&second["id"], &second["client_id"]), (&first["id"], &first["client_id"]));
    assert_ne!(second["client_secret"], first["client_secret"]);
    assert_eq!(second["client_secret"], value(&lab, "ci-secret"));
    // The old one stays for `keep_old`.
    assert!(second["previous_client_secret_expires_at"].is_string(), "{second:#}");
    let changes = lab.changes();
    let written: Vec<&String> = changes.iter().filter(|c| !c.contains("service_tokens")).collect();
    // Where moto serves SSM, the sandbox does not see it.
    let in_its_log: &[&str] = if lab.has_moto() { &[] } else { &["POST PutParameter"] };
    assert_eq!(written, in_its_log);
    lab.is_settled(&[]);
    let secret = |token: &Value| token["client_secret"].as_str().unwrap().to_owned();
    is_nowhere(&lab, &[secret(&first), secret(&second)]);
}

#[test]
fn a_secret_that_was_said_once_is_made_anew_for_who_still_needs_it() {
    let lab = lab_with_token();
    let first = token(&lab);
    lab.ssm("DeleteParameter", json!({"Name": "ci-secret"}));
    let plan = lab.run(&["plan"]).exits(0);
    let plan = plan.says("@ rotate  service_token.ci").says("said only once");
    plan.says("+ create  ssm_parameter.ci");
    lab.apply(&[]);
    let second = token(&lab);
    assert_ne!(second["client_secret"], first["client_secret"]);
    assert_eq!(second["client_secret"], value(&lab, "ci-secret"));
    lab.is_settled(&[]);

    // A second parameter gets the new one together with the first.
    lab.edit(
        STACK,
        "  ssm_parameter.ci:",
        "  ssm_parameter.copy: {name: copy, value: \"x ${service_token.ci.client_secret}\"}\n  \
         ssm_parameter.ci:",
    );
    lab.apply(&[]);
    let third = token(&lab)["client_secret"].as_str().unwrap().to_owned();
    assert_eq!(
        (value(&lab, "ci-secret"), value(&lab, "copy")),
        (third.clone(), format!("x {third}"))
    );
    lab.is_settled(&[]);

    // What does not concern the secret leaves it.
    lab.edit(STACK, "name: CI,", "name: Builds,");
    lab.edit(STACK, "keep_old: 24h", "keep_old: 12h");
    lab.apply(&[]);
    let renamed = token(&lab);
    assert_eq!((&renamed["name"], &renamed["client_secret"]), (&json!("Builds"), &json!(third)));
    lab.is_settled(&[]);
}

#[test]
fn what_changes_around_a_secret_leaves_the_secret() {
    let lab = lab_with_token();
    let (first, held) = (token(&lab), value(&lab, "ci-secret"));
    let described = "name: ci-secret, description: what CI gets in with,";
    for (from, to) in
        [("name: ci-secret,", described), (described, "name: ci-secret, tags: {a: b},")]
    {
        lab.edit(STACK, from, to);
        let plan = lab.run(&["plan"]).exits(0).says("~ update  ssm_parameter.ci");
        assert!(!plan.out.contains("rotate"), "{}", plan.out);
        lab.apply(&[]);
        assert_eq!((token(&lab), value(&lab, "ci-secret")), (first.clone(), held.clone()));
        lab.is_settled(&[]);
        lab.run(&["drift"]).exits(0);
    }
    // A value that someone else wrote is not read back.
    let input = json!({"Name": "ci-secret", "Value": "theirs", "Overwrite": true});
    lab.ssm("PutParameter", input);
    lab.apply(&[]);
    let second = token(&lab)["client_secret"].clone();
    assert_eq!(second, value(&lab, "ci-secret"));
    assert_ne!(second, first["client_secret"]);
    lab.is_settled(&[]);
    is_nowhere(&lab, &[held, second.as_str().unwrap().to_owned()]);
}

const COPY: &str =
    "  ssm_parameter.copy: {name: copy, value: \"x ${service_token.ci.client_secret}\"}\n";

#[test]
fn a_target_comes_with_all_who_hold_a_new_secret_and_none_of_them_is_left_out() {
    let lab = lab_with_token();
    let first = token(&lab);
    lab.edit(STACK, "  ssm_parameter.ci:", &format!("{COPY}  ssm_parameter.ci:"));
    lab.forget_requests();
    lab.run(&["apply", "--yes", "--exclude", "ssm_parameter.ci"])
        .exits(5)
        .says("service_token.ci would get a new secret, and not all who use it")
        .says("ssm_parameter.ci is left out");
    assert!(lab.changes().is_empty(), "{:?}", lab.changes());
    lab.apply(&["--target", "ssm_parameter.copy"]);
    let second = token(&lab)["client_secret"].as_str().unwrap().to_owned();
    assert_ne!(first["client_secret"], second);
    assert_eq!(
        (value(&lab, "ci-secret"), value(&lab, "copy")),
        (second.clone(), format!("x {second}"))
    );
    lab.is_settled(&[]);
}

#[test]
fn a_token_that_is_taken_over_gets_a_secret_that_its_holders_know() {
    let lab = Lab::of("openhands");
    let made = json!({"name": "CI", "duration": "8760h"});
    let made = lab.cloudflare("POST", &lab.account("access/service_tokens"), Some(made));
    let text = lab.read(STACK);
    lab.write(STACK, &format!("{TOKEN}{text}"));
    lab.run(&["apply", "--yes"]).exits(5).says("service_token.ci is there already");
    lab.edit(STACK, "{name: CI,", "{adopt: true, name: CI,");
    let plan = lab.run(&["plan"]).exits(0).says("@ rotate  service_token.ci");
    plan.says("its client_secret is said only once, and ssm_parameter.ci needs it");
    lab.apply(&[]);
    let taken = token(&lab);
    assert_eq!((&taken["id"], &taken["client_id"]), (&made["id"], &made["client_id"]));
    assert_ne!(taken["client_secret"], made["client_secret"]);
    assert_eq!(taken["client_secret"], value(&lab, "ci-secret"));
    lab.is_settled(&[]);
    lab.run(&["drift"]).exits(0);
    is_nowhere(&lab, &[value(&lab, "ci-secret")]);
}

#[test]
fn a_saved_plan_goes_on_after_the_secret_that_it_made_was_lost() {
    let mut lab = Lab::hasty("openhands", &[]);
    let text = lab.read(STACK);
    lab.write(STACK, &format!("{TOKEN}{text}"));
    lab.apply(&[]);
    let first = token(&lab)["client_secret"].clone();
    lab.ssm("DeleteParameter", json!({"Name": "ci-secret"}));
    lab.run(&["plan", "--out", "p.json"]).exits(0).says("@ rotate  service_token.ci");
    let refused = "- {service: ssm, path: PutParameter, status: 400, \
                   body: {__type: AccessDeniedException, Message: no}}\n";
    lab.write("faults.yaml", refused);
    lab.restart(&["--faults", "faults.yaml"]);
    lab.run(&["apply", "--plan", "plans/p.json", "--yes"]).exits(3).says("ssm_parameter.ci");
    let second = token(&lab)["client_secret"].clone();
    assert_ne!(first, second);
    lab.run(&["apply", "--plan", "plans/p.json", "--yes"]).exits(0);
    assert_eq!(token(&lab)["client_secret"], value(&lab, "ci-secret"));
    lab.is_settled(&[]);
    lab.run(&["apply", "--plan", "plans/p.json", "--yes"]).exits(5);
    is_nowhere(&lab, &[value(&lab, "ci-secret")]);
}

#[test]
fn what_is_due_is_a_note_of_the_plan_and_no_change() {
    let lab = lab_with_token();
    lab.run(&["rotate", "--due", "--yes"]).exits(0).says("No changes.");
    let first = token(&lab);
    let mut state: Value = serde_json::from_str(&lab.read("state/openhands.json")).unwrap();
    let made = &mut state["resources"]["service_token.ci"]["created_at"];
    assert!(made.is_string(), "{state:#}");
    *made = json!("2020-01-01T00:00:00Z");
    lab.write("state/openhands.json", &state.to_string());
    lab.is_settled(&[]).says("a new secret for service_token.ci is due since").says("rotate --due");
    lab.run(&["rotate", "--due"]).exits(5).says("@ rotate  service_token.ci").says("--yes");
    assert_eq!(token(&lab), first);
    lab.run(&["rotate", "--due", "--yes"]).exits(0).says("rotated");
    let second = token(&lab);
    assert_eq!(second["client_secret"], value(&lab, "ci-secret"));
    assert_ne!(second["client_secret"], first["client_secret"]);
    assert!(!lab.is_settled(&[]).out.contains("due since"));
}

#[test]
fn a_tunnel_gets_a_new_secret_and_its_connectors_run_with_it() {
    let lab = Lab::of("openhands");
    lab.apply(&[]);
    let tunnel = lab.only(&lab.account("cfd_tunnel?is_deleted=false"));
    let path = lab.account(&format!("cfd_tunnel/{}", tunnel["id"].as_str().unwrap()));
    let get = |what: &str| lab.cloudflare("GET", &format!("{path}/{what}"), None);
    let connectors = || -> Vec<String> {
        let all = get("connections");
        all.as_array().unwrap().iter().map(|c| c["id"].as_str().unwrap().to_owned()).collect()
    };
    let (token, before) = (get("token"), connectors());
    // What else is to be done is left to `apply`.
    lab.edit(STACK, "session_duration: 24h", "session_duration: 12h");
    lab.forget_requests();
    lab.run(&["rotate", "tunnel.openhands", "--yes"]).exits(0).says("rotated");
    let changes = lab.changes();
    assert!(changes[0].starts_with("PATCH ") && changes[0].contains("/cfd_tunnel/"), "{changes:?}");
    assert!(!changes.iter().any(|change| change.contains("/access/")), "{changes:?}");
    assert_ne!(get("token"), token);
    assert_eq!(get("token"), value(&lab, "openhands-tunnel-token"));
    let after = connectors();
    assert!(!after.is_empty() && after.iter().all(|id| !before.contains(id)), "{after:?}");
    lab.edit(STACK, "session_duration: 12h", "session_duration: 24h");
    lab.is_settled(&[]);
    is_nowhere(&lab, &[token.as_str().unwrap().to_owned(), value(&lab, "openhands-tunnel-token")]);
}

#[test]
fn what_has_no_secret_to_make_anew_is_refused() {
    let lab = Lab::of("openhands");
    for (address, why) in [
        ("tunnel.openhands", "is not there yet"),
        ("dns_record.openhands", "has no secret that could be made anew"),
        ("tunnel.other", "no stack has tunnel.other"),
        ("tunnel", "is not an address"),
    ] {
        lab.run(&["rotate", address, "--yes"]).exits(5).says(why);
    }
    lab.run(&["rotate", "--due", "--yes"]).exits(0).says("No stack has a secret");
    assert!(lab.changes().is_empty(), "{:?}", lab.changes());
}
