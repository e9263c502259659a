//! The AWS column of the reference's table, row by row.

use serde_json::{Value, json};

use super::*;
use crate::sandbox::env::{Env, Ids};
use crate::sandbox::world::preset_aws;

struct Sandbox {
    state: State,
    env: Env,
    key: String,
}

impl Sandbox {
    fn new() -> Self {
        let now = "2026-01-02T03:04:05.25Z".parse().unwrap();
        let mut env = Env::new(now, Ids::seeded(3));
        let mut state = State::default();
        preset_aws(&mut state, &mut env);
        let key = state.keys[0].id.clone();
        Sandbox { state, env, key }
    }

    fn call(&mut self, operation: &str, input: Value) -> Result<Value, &'static str> {
        let header = format!(
            "AWS4-HMAC-SHA256 Credential={}/20260102/ap-northeast-1/ssm/aws4_request, \
             SignedHeaders=host, Signature=x",
            self.key
        );
        let body = input.to_string();
        let call = Call { operation, authorization: Some(&header), body: body.as_bytes() };
        let response = handle(&mut self.state, &call, &mut self.env);
        match response.error {
            None => Ok(response.json.unwrap()),
            Some(kind) => Err(kind),
        }
    }

    fn put(&mut self, input: Value) -> Result<Value, &'static str> {
        self.call("PutParameter", input)
    }
}

fn secure(name: &str, value: &str) -> Value {
    json!({"Name": name, "Value": value, "Type": "SecureString"})
}

fn with(mut input: Value, members: Value) -> Value {
    for (name, value) in members.as_object().unwrap() {
        input[name] = value.clone();
    }
    input
}

#[test]
fn a_parameter_is_created_once_and_overwritten_by_version() {
    let mut sandbox = Sandbox::new();
    let created = sandbox.put(with(secure("p", "a"), json!({"Description": "d"})));
    assert_eq!(created, Ok(json!({"Version": 1, "Tier": "Standard"})));
    assert_eq!(sandbox.put(secure("p", "a")), Err("ParameterAlreadyExists"));
    let overwritten = sandbox.put(json!({"Name": "p", "Value": "a", "Overwrite": true}));
    assert_eq!(overwritten, Ok(json!({"Version": 2, "Tier": "Standard"})));
    let described = sandbox.call("DescribeParameters", json!({})).unwrap();
    let row = &described["Parameters"][0];
    assert_eq!(row["Description"], "d");
    assert_eq!(row["KeyId"], "alias/aws/ssm");
    assert_eq!(row["LastModifiedDate"], 1767323045.25);
    assert!(row.get("Value").is_none());
}

#[test]
fn what_the_service_refuses_is_refused() {
    let overwrite = json!({"Overwrite": true});
    for (input, kind) in [
        (json!({"Name": "n", "Value": "v"}), "ValidationException"),
        (secure("n", ""), "ValidationException"),
        (secure("n", &"x".repeat(4097)), "ValidationException"),
        (with(secure("n", &"x".repeat(8193)), json!({"Tier": "Advanced"})), "ValidationException"),
        (secure("n", "a {{x}} b"), "ValidationException"),
        (with(secure("n", "v"), json!({"KeyId": "alias/unknown"})), "InvalidKeyId"),
        (
            with(secure("n", "v"), json!({"AllowedPattern": "^[0-9]+$"})),
            "ParameterPatternMismatchException",
        ),
        (with(secure("n", "v"), json!({"AllowedPattern": "("})), "InvalidAllowedPatternException"),
        (
            with(secure("old", "v"), json!({"Type": "String", "Overwrite": true})),
            "HierarchyTypeMismatchException",
        ),
        (
            with(
                with(secure("old", "v"), json!({"Tags": [{"Key": "a", "Value": "b"}]})),
                overwrite,
            ),
            "ValidationException",
        ),
        (
            with(secure("big", "v"), json!({"Tier": "Standard", "Overwrite": true})),
            "ValidationException",
        ),
        (with(secure("n", "v"), json!({"Type": "Secret"})), "ValidationException"),
        (with(secure("n", "v"), json!({"Description": "x".repeat(1025)})), "ValidationException"),
        (
            with(secure("n", "v"), json!({"Tags": [{"Key": "aws:a", "Value": "b"}]})),
            "ValidationException",
        ),
    ] {
        let mut sandbox = Sandbox::new();
        sandbox.put(secure("old", "v")).unwrap();
        sandbox.put(with(secure("big", "v"), json!({"Tier": "Advanced"}))).unwrap();
        let text = input.to_string().chars().take(120).collect::<String>();
        assert_eq!(sandbox.put(input), Err(kind), "{text}");
    }
}

#[test]
fn intelligent_tiering_resolves_the_tier() {
    let mut sandbox = Sandbox::new();
    let tiering = json!({"Tier": "Intelligent-Tiering"});
    let small = sandbox.put(with(secure("a", "v"), tiering.clone())).unwrap();
    assert_eq!(small["Tier"], "Standard");
    let large = sandbox.put(with(secure("b", &"x".repeat(5000)), tiering)).unwrap();
    assert_eq!(large["Tier"], "Advanced");
}

#[test]
fn values_are_opaque_without_decryption() {
    let mut sandbox = Sandbox::new();
    sandbox.put(secure("p", "plain text")).unwrap();
    let read = sandbox.call("GetParameter", json!({"Name": "p"})).unwrap();
    let opaque = read["Parameter"]["Value"].as_str().unwrap().to_owned();
    assert!(!opaque.contains("plain"));
    let input = json!({"Name": "p", "WithDecryption": true});
    let read = sandbox.call("GetParameter", input).unwrap();
    assert_eq!(read["Parameter"]["Value"], "plain text");
    let arn = read["Parameter"]["ARN"].as_str().unwrap().to_owned();
    assert!(arn.starts_with("arn:aws:ssm:ap-northeast-1:") && arn.ends_with(":parameter/p"));
    let read = sandbox.call("GetParameter", json!({"Name": arn, "WithDecryption": true}));
    assert_eq!(read.unwrap()["Parameter"]["Name"], "p");
}

#[test]
fn versions_are_selected_and_the_newest_hundred_are_kept() {
    let mut sandbox = Sandbox::new();
    sandbox.put(secure("p", "1")).unwrap();
    for value in 2..=103 {
        sandbox.put(json!({"Name": "p", "Value": value.to_string(), "Overwrite": true})).unwrap();
    }
    let input = json!({"Name": "p:50", "WithDecryption": true});
    assert_eq!(sandbox.call("GetParameter", input).unwrap()["Parameter"]["Value"], "50");
    let gone = sandbox.call("GetParameter", json!({"Name": "p:3"}));
    assert_eq!(gone, Err("ParameterVersionNotFound"));
    let first = sandbox.call("GetParameterHistory", json!({"Name": "p"})).unwrap();
    assert_eq!(first["Parameters"].as_array().unwrap().len(), 50);
    assert_eq!(first["Parameters"][0]["Version"], 4);
    let token = first["NextToken"].clone();
    let second =
        sandbox.call("GetParameterHistory", json!({"Name": "p", "NextToken": token})).unwrap();
    assert_eq!(second["Parameters"][49]["Version"], 103);
    assert!(second.get("NextToken").is_none());
}

#[test]
fn several_are_read_and_deleted_at_once() {
    let mut sandbox = Sandbox::new();
    sandbox.put(secure("a", "1")).unwrap();
    let read = sandbox.call("GetParameters", json!({"Names": ["a", "b"]})).unwrap();
    assert_eq!(read["Parameters"][0]["Name"], "a");
    assert_eq!(read["InvalidParameters"], json!(["b"]));
    let many: Vec<String> = (0..11).map(|n| n.to_string()).collect();
    let input = json!({ "Names": many });
    assert_eq!(sandbox.call("GetParameters", input.clone()), Err("ValidationException"));
    assert_eq!(sandbox.call("DeleteParameters", input), Err("ValidationException"));
    let gone = sandbox.call("DeleteParameters", json!({"Names": ["a", "b"]})).unwrap();
    assert_eq!(gone, json!({"DeletedParameters": ["a"], "InvalidParameters": ["b"]}));
    assert_eq!(sandbox.call("DeleteParameter", json!({"Name": "a"})), Err("ParameterNotFound"));
    assert_eq!(sandbox.put(secure("a", "1")).unwrap()["Version"], 1);
}

#[test]
fn paths_are_walked() {
    let mut sandbox = Sandbox::new();
    for name in ["/x/a", "/x/y/b", "/z/c", "d"] {
        sandbox.put(secure(name, "v")).unwrap();
    }
    let mut named = |operation: &str, input: Value| -> Result<Vec<String>, &'static str> {
        let answer = sandbox.call(operation, input)?;
        let rows = answer["Parameters"].as_array().unwrap();
        Ok(rows.iter().map(|row| row["Name"].as_str().unwrap().to_owned()).collect())
    };
    let by_path = "GetParametersByPath";
    assert_eq!(named(by_path, json!({"Path": "/x"})).unwrap(), ["/x/a"]);
    let input = json!({"Path": "/x/", "Recursive": true});
    assert_eq!(named(by_path, input).unwrap(), ["/x/a", "/x/y/b"]);
    assert_eq!(named(by_path, json!({"Path": "/none"})).unwrap(), Vec::<String>::new());
    assert_eq!(named(by_path, json!({"Path": "x"})), Err("ValidationException"));
    assert_eq!(named(by_path, json!({"Path": "/", "MaxResults": 11})), Err("ValidationException"));
    let describe = "DescribeParameters";
    let filter = |filter: Value| json!({ "ParameterFilters": [filter] });
    let name = filter(json!({"Key": "Name", "Option": "BeginsWith", "Values": ["/x"]}));
    assert_eq!(named(describe, name).unwrap(), ["/x/a", "/x/y/b"]);
    let name = filter(json!({"Key": "Name", "Values": ["d", "/z/c"]}));
    assert_eq!(named(describe, name).unwrap(), ["/z/c", "d"]);
    let path = filter(json!({"Key": "Path", "Option": "Recursive", "Values": ["/x"]}));
    assert_eq!(named(describe, path).unwrap(), ["/x/a", "/x/y/b"]);
    assert_eq!(named(describe, json!({"MaxResults": 51})), Err("ValidationException"));
    let unknown = filter(json!({"Key": "Colour", "Values": ["red"]}));
    assert_eq!(named(describe, unknown), Err("InvalidFilterKey"));
}

#[test]
fn a_region_holds_so_many_parameters_of_a_tier() {
    let mut sandbox = Sandbox::new();
    let one = Parameter::secure("v", "someone", sandbox.env.now);
    let region = sandbox.state.parameters.entry("ap-northeast-1".to_owned()).or_default();
    region.extend((0..10_000).map(|n| (format!("p{n}"), one.clone())));
    assert_eq!(sandbox.put(secure("more", "v")), Err("ParameterLimitExceeded"));
    let advanced = with(secure("more", "v"), json!({"Tier": "Advanced"}));
    assert_eq!(sandbox.put(advanced).unwrap()["Tier"], "Advanced");
    let overwrite = json!({"Name": "p7", "Value": "w", "Overwrite": true});
    assert_eq!(sandbox.put(overwrite).unwrap()["Version"], 2);
    sandbox.call("DeleteParameter", json!({"Name": "p7"})).unwrap();
    assert!(sandbox.put(secure("another", "v")).is_ok());
}

#[test]
fn tags_are_added_removed_and_listed() {
    let mut sandbox = Sandbox::new();
    let tags = json!({"Tags": [{"Key": "a", "Value": "1"}]});
    sandbox.put(with(secure("p", "v"), tags)).unwrap();
    let on =
        |members: Value| with(json!({"ResourceType": "Parameter", "ResourceId": "p"}), members);
    let more = on(json!({"Tags": [{"Key": "b", "Value": "2"}]}));
    sandbox.call("AddTagsToResource", more).unwrap();
    sandbox.call("RemoveTagsFromResource", on(json!({"TagKeys": ["a"]}))).unwrap();
    let list = sandbox.call("ListTagsForResource", on(json!({}))).unwrap();
    assert_eq!(list, json!({"TagList": [{"Key": "b", "Value": "2"}]}));
    let missing = on(json!({"ResourceId": "q"}));
    assert_eq!(sandbox.call("ListTagsForResource", missing), Err("InvalidResourceId"));
    let other = on(json!({"ResourceType": "Document"}));
    assert_eq!(sandbox.call("ListTagsForResource", other), Err("InvalidResourceType"));
    let many: Vec<Value> = (0..50).map(|n| json!({"Key": format!("k{n}"), "Value": ""})).collect();
    let many = on(json!({ "Tags": many }));
    assert_eq!(sandbox.call("AddTagsToResource", many), Err("TooManyTagsError"));
}

#[test]
fn descriptions_may_lag_behind_what_is_got() {
    let mut sandbox = Sandbox::new();
    sandbox.env.quirks = "stale-descriptions=1000".parse().unwrap();
    let mut seen = Vec::new();
    for (value, later) in [("v", 0), ("w", 1001), ("", 500), ("", 501)] {
        sandbox.env.now += jiff::SignedDuration::from_millis(later);
        if !value.is_empty() {
            sandbox.put(with(secure("p", value), json!({"Overwrite": true}))).unwrap();
        }
        let filter = json!({"Key": "Name", "Values": ["p"]});
        let listed = sandbox.call("DescribeParameters", json!({"ParameterFilters": [filter]}));
        let got = sandbox.call("GetParameter", json!({"Name": "p"})).unwrap();
        let listed = listed.unwrap()["Parameters"][0]["Version"].as_u64();
        seen.push((listed, got["Parameter"]["Version"].as_u64()));
    }
    assert_eq!(seen, [(None, Some(1)), (Some(1), Some(2)), (Some(1), Some(2)), (Some(2), Some(2))]);
}

#[test]
fn the_reading_key_writes_nothing_and_unknown_keys_are_refused() {
    let mut sandbox = Sandbox::new();
    sandbox.put(secure("p", "v")).unwrap();
    sandbox.key = sandbox.state.keys.iter().find(|key| key.read_only).unwrap().id.clone();
    assert_eq!(sandbox.put(secure("q", "v")), Err("AccessDeniedException"));
    assert!(sandbox.call("GetParameter", json!({"Name": "p"})).is_ok());
    sandbox.key = "AKIANOBODY".to_owned();
    let refused = sandbox.call("GetParameter", json!({"Name": "p"}));
    assert_eq!(refused, Err("UnrecognizedClientException"));
}

#[test]
fn sts_answers_in_xml() {
    let mut sandbox = Sandbox::new();
    let header = format!("AWS4-HMAC-SHA256 Credential={}/d/r/sts/aws4_request", sandbox.key);
    let call = Call { operation: "GetCallerIdentity", authorization: Some(&header), body: b"" };
    let response = handle_sts(&sandbox.state, &call, &mut sandbox.env);
    assert_eq!(response.status, 200);
    let account = &sandbox.state.account;
    assert_eq!(account.len(), 12);
    assert!(response.text.contains(&format!("<Account>{account}</Account>")));
    let refused = Call { authorization: None, ..call };
    let response = handle_sts(&sandbox.state, &refused, &mut sandbox.env);
    assert_eq!(response.status, 403);
    assert!(response.text.contains("<Code>MissingAuthenticationToken</Code>"));
}
