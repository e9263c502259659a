//! Values that plans take as they are recorded, and `--verify-secrets`, which reads them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::every_kind;
use crate::lab::Lab;
use crate::permissions::denied as denied_by_aws;
use crate::readonly::read_only;
use crate::secrets::are_nowhere;
use crate::told::flowing;

const READ: [&str; 1] = ["--verify-secrets"];

/// What a plan took as it is recorded: `address path`.
fn taken(plan: &Value) -> Vec<String> {
    let all = plan["stacks"][0]["taken"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    all.map(|one| format!("{} {}", text(&one["address"]), text(&one["path"]))).collect()
}

fn value(lab: &Lab, name: &str) -> String {
    let read = lab.ssm("GetParameter", json!({"Name": name, "WithDecryption": true}));
    read["Parameter"]["Value"].as_str().unwrap().to_owned()
}

/// Someone writes a value, of which no version tells: the record has the one that is there.
fn tamper(lab: &Lab, address: &str, name: &str, value: &str) {
    lab.ssm("PutParameter", json!({"Name": name, "Value": value, "Overwrite": true}));
    let filter = json!([{"Key": "Name", "Option": "Equals", "Values": [name]}]);
    let described = lab.ssm("DescribeParameters", json!({"ParameterFilters": filter}));
    let now = &described["Parameters"][0];
    let version = format!("{}@{}", now["Version"], now["LastModifiedDate"]);
    let file = "state/every.json";
    let mut state: Value = serde_json::from_str(&lab.read(file)).unwrap();
    state["resources"][address]["version"] = json!(version);
    lab.write(file, &serde_json::to_string_pretty(&state).unwrap());
}

/// How many calls of this operation, or of paths that end so, were sent.
fn calls(lab: &Lab, path: &str) -> usize {
    let is = |request: &Value| request["path"].as_str().unwrap().ends_with(path);
    lab.requests().iter().filter(|request| is(request)).count()
}

#[test]
fn values_that_no_version_tells_of_are_read_when_it_is_asked_for() {
    let lab = every_kind::lab(&[]);
    lab.apply(&[]);
    lab.forget_requests();
    let plan = lab.is_settled(&["--json"]).json();
    let all = [
        "ssm_parameter.made value",
        "ssm_parameter.plain value",
        "ssm_parameter.secret value",
        "tunnel.base token",
        "tunnel.leaf token",
    ];
    let mut named = taken(&plan);
    named.sort();
    assert_eq!(named, all);
    let text = flowing(&lab.is_settled(&[]).out);
    assert!(text.contains("5 values (`-v` names them). `--verify-secrets` reads them,"), "{text}");
    assert_eq!((calls(&lab, "GetParameters"), calls(&lab, "/token")), (0, 0));

    let plan = lab.is_settled(&["--verify-secrets", "--json"]).json();
    assert_eq!(taken(&plan), Vec::<String>::new());
    assert_eq!((calls(&lab, "GetParameters"), calls(&lab, "/token")), (1, 2));
    assert_eq!(lab.changes(), Vec::<String>::new());
    lab.run(&["drift", "--verify-secrets"]).exits(0);

    let tunnels = lab.cloudflare("GET", &lab.account("cfd_tunnel"), None);
    let tunnels = tunnels.as_array().unwrap();
    let base = tunnels.iter().find(|tunnel| tunnel["name"] == "base").unwrap();
    let base = lab.account(&format!("cfd_tunnel/{}", base["id"].as_str().unwrap()));
    let secret = "c29tZW9uZSBtYWRlIHRoaXMgc2VjcmV0IGJ5IGhhbmQu";
    lab.cloudflare("PATCH", &base, Some(json!({"tunnel_secret": secret})));
    tamper(&lab, "ssm_parameter.plain", "/every/plain", "a plain value of someone");
    tamper(&lab, "ssm_parameter.made", "/every/made", "a made value of someone");
    lab.is_settled(&[]);
    lab.run(&["drift"]).exits(0);

    let drift = lab.run(&["drift", "--verify-secrets"]).exits(2);
    for address in ["tunnel.base", "ssm_parameter.plain", "ssm_parameter.made"] {
        assert!(drift.out.contains(address), "{address}:\n{}", drift.out);
    }
    let drift = drift.says("`boxctl apply --verify-secrets` puts it right");
    let plan = lab.run(&["plan", "--verify-secrets", "--json", "--detailed-exitcode"]).exits(2);
    let changes = plan.json()["stacks"][0]["changes"].clone();
    let changes: Vec<&str> =
        changes.as_array().unwrap().iter().map(|one| one["address"].as_str().unwrap()).collect();
    assert_eq!(changes, ["ssm_parameter.plain", "ssm_parameter.secret"]);
    let shown = lab.run(&["plan", "--verify-secrets", "-v", "--out", "read"]).exits(0);

    // The saved plan reads again, and does what it says.
    let applied = lab.run(&["apply", "--plan", "read", "--yes"]).exits(0);
    assert_eq!(value(&lab, "/every/plain"), "one");
    let token = lab.cloudflare("GET", &format!("{base}/token"), None);
    assert_eq!(token, value(&lab, "every-token"));
    lab.is_settled(&[]);
    lab.is_settled(&READ);
    // What is generated once is told, and left as it is.
    let last = lab.run(&["drift", "--verify-secrets"]).exits(2).says("ssm_parameter.made");
    assert_eq!(value(&lab, "/every/made"), "a made value of someone");
    let secrets = [secret, token.as_str().unwrap(), "a made value of someone"];
    let secrets: Vec<String> = secrets.iter().map(|secret| (*secret).to_owned()).collect();
    are_nowhere(&lab, &[drift, plan, shown, applied, last], &secrets, &[]);
}

#[test]
fn a_value_that_someone_wrote_is_seen_while_descriptions_lag_behind() {
    let lab = every_kind::lab(&[]);
    lab.apply(&[]);
    lab.plan_faults(&json!([{"path": "DescribeParameters", "times": 1000, "lag": true}]));
    let input = json!({"Name": "every-token", "Value": "x", "Overwrite": true});
    lab.ssm("PutParameter", input);
    lab.is_settled(&[]);
    lab.run(&["plan", "--verify-secrets", "--detailed-exitcode"])
        .exits(2)
        .says("written again over another value");
    lab.plan_faults(&json!([]));
    lab.apply(&READ);
    lab.is_settled(&READ);
}

#[test]
fn a_value_is_written_again_although_the_answer_is_lost() {
    for lost in ["before", "after"] {
        let lab = every_kind::hasty_lab(&[]);
        lab.apply(&[]);
        tamper(&lab, "ssm_parameter.plain", "/every/plain", "a plain value of someone");
        lab.plan_faults(&json!([{"path": "PutParameter", "times": 1, "drop": lost}]));
        lab.apply(&READ);
        assert_eq!(lab.hits(), [1], "{lost}");
        assert_eq!(value(&lab, "/every/plain"), "one", "{lost}");
        lab.plan_faults(&json!([]));
        lab.is_settled(&READ);
        lab.is_settled(&[]);
    }
}

/// The notes of a plan on what it could not check, by address.
fn unchecked(plan: &Value) -> BTreeMap<String, String> {
    let checks = plan["stacks"][0]["checks"].as_array().unwrap().iter();
    let checks = checks.filter(|check| check["code"] == "unchecked");
    let note =
        |check: &Value| (check["address"].as_str().unwrap().to_owned(), check["hints"].to_string());
    checks.map(note).collect()
}

#[test]
fn what_may_not_be_read_is_named_with_the_permission_for_it() {
    let mut lab = every_kind::lab(&[]);
    let keyed =
        "  ssm_parameter.keyed: {name: keyed, value: of an own key, key_id: alias/sandbox}\n";
    lab.write(every_kind::FILE, &(lab.read(every_kind::FILE) + keyed));
    lab.apply(&[]);
    // What fails for another reason is an error, as whatever could not be read.
    lab.plan_faults(&json!([{"path": "GetParameters", "times": 1000, "status": 400,
        "code": "ValidationException", "message": "no"}]));
    lab.run(&["drift", "--verify-secrets"]).exits(1).says("ssm_parameter.plain");
    lab.plan_faults(&denied_by_aws("GetParameters", "ssm:GetParameters"));
    let plan = lab.is_settled(&["--verify-secrets", "--json"]).json();
    assert_eq!(unchecked(&plan).len(), 4);
    lab.plan_faults(&json!([]));

    read_only(&mut lab);
    lab.forget_requests();
    // All but what an own key encrypts can be read, although one request asks for all.
    let plan = lab.is_settled(&["--verify-secrets", "--json"]).json();
    let tunnel = "\"to compare it, `--verify-secrets` takes Cloudflare Tunnel Write\"";
    let own_key = "\"to compare it, `--verify-secrets` takes ssm:GetParameters and kms:Decrypt\"";
    let denied = [
        ("ssm_parameter.keyed", "value", own_key),
        ("tunnel.base", "token", tunnel),
        ("tunnel.leaf", "token", tunnel),
    ];
    let mut named = taken(&plan);
    named.sort();
    assert_eq!(named, denied.map(|(address, path, _)| format!("{address} {path}")));
    let notes = unchecked(&plan);
    assert_eq!(notes.len(), denied.len(), "{notes:#?}");
    for (address, _, wants) in denied {
        assert_eq!(notes[address], format!("[{wants}]"));
    }
    let text = flowing(&lab.is_settled(&READ).out);
    for part in ["the value of ssm_parameter.keyed", "kms:Decrypt", "Cloudflare Tunnel Write"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let text = flowing(&lab.run(&["drift", "--verify-secrets"]).exits(0).out);
    assert!(text.contains("ssm_parameter.keyed is compared without `value`"), "{text}");
    assert_eq!(lab.changes(), Vec::<String>::new());
}
