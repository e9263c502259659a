//! The full life of every kind by clients that boxctl's authors did not write, unchanged: the
//! official Cloudflare client for Python, with strict validation, and the AWS command line.

use std::collections::BTreeSet;
use std::path::Path;

use boxctl::kinds::KINDS;
use serde_json::{Value, json};

use crate::lab::{ACCOUNT, Lab};
use crate::official_schema::{self, Held};
use crate::recorder::Recorder;
use crate::tools::{is_there, tool};

/// Kinds whose life other tests follow: of the AWS command line below, of kubectl and the official
/// Kubernetes client in `kubectl`.
const ELSEWHERE: [&str; 2] = ["k8s", "ssm_parameter"];

fn script(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools").join(name);
    path.to_str().unwrap().to_owned()
}

#[test]
fn the_official_cloudflare_client_lives_out_every_kind() {
    if !is_there("python3", &["-c", "import cloudflare"]) {
        return;
    }
    let mut lab = Lab::of("openhands");
    // Of boxctl's own, so that there is something beside what the client makes.
    lab.write(
        "stacks/net.yaml",
        "resources:
  tunnel.home: {name: home}
  tunnel_route.lan: {network: 10.0.0.0/8, tunnel: \"${tunnel.home.id}\"}
  hostname_route.nas: {hostname: nas.lan, tunnel: \"${tunnel.home.id}\"}
  split_tunnel.all: {mode: exclude, entries: [{host: nas.lan}], shared: [entries], adopt: true}
",
    );
    lab.apply(&[]);
    let before = lab.dump();
    let behind = lab.variable("CLOUDFLARE_BASE_URL").to_owned();
    let recorder = Recorder::before(&behind);
    lab.set("CLOUDFLARE_BASE_URL", recorder.url());
    let lived = tool(&lab, "python3", &[&script("lives"), ACCOUNT, "b0xp.io"]);
    lab.set("CLOUDFLARE_BASE_URL", &behind);
    let lived: BTreeSet<String> = serde_json::from_str(&lived).unwrap();
    for kind in KINDS.iter().map(|kind| kind.name()) {
        assert!(lived.contains(kind) || ELSEWHERE.contains(&kind), "{kind} has no client");
    }
    // Nothing is left of it, and what boxctl made is as it was. What is there once was written to.
    let after = lab.dump();
    for part in ["records", "networks", "access"] {
        let kept = |dump: &Value| {
            let mut kept = dump["cloudflare"][part].clone();
            if let Some(apps) = kept.get_mut("apps").and_then(Value::as_array_mut) {
                apps.retain(|app| app["fields"]["type"] == "self_hosted");
            }
            kept
        };
        assert!(!kept(&before).is_null(), "{part}");
        assert_eq!(kept(&after), kept(&before), "{part}");
    }
    lab.is_settled(&[]);
    official_schema::holds(&lab, &recorder.heard(), Held::Answers);
}

#[test]
fn the_official_cloudflare_client_meets_limits_and_lost_answers() {
    if !is_there("python3", &["-c", "import cloudflare"]) {
        return;
    }
    let faults = tempfile::NamedTempFile::new().unwrap();
    let planned = json!([
        {"method": "POST", "path": "*/cfd_tunnel", "drop": "after"},
        {"path": "*/access/groups", "status": 502, "body": "<html>Bad gateway</html>"},
    ]);
    std::fs::write(faults.path(), planned.to_string()).unwrap();
    let options = ["--budget", "20/1", "--faults", faults.path().to_str().unwrap()];
    let lab = Lab::with("longform", &options);
    assert_eq!(tool(&lab, "python3", &[&script("cloudflare_errors.py"), ACCOUNT]).trim(), "true");
}

/// The AWS command line, and what it tells: JSON, or the name of the error.
struct Aws<'a>(&'a Lab);

impl Aws<'_> {
    #[track_caller]
    fn does(&self, line: &str) -> Value {
        let text = tool(self.0, "aws", &words(line));
        if text.trim().is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() }
    }

    #[track_caller]
    fn refuses(&self, line: &str, error: &str) {
        let output = self.0.command_of("aws").args(words(line)).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        // 254 of version 2, 255 of version 1.
        assert!(matches!(output.status.code(), Some(254 | 255)), "{line}: {said}");
        assert!(said.contains(&format!("({error})")), "{line}: {said}");
    }
}

/// The words of a line, with quotes only around what has a space.
fn words(line: &str) -> Vec<&str> {
    let mut words = vec!["--output", "json", "ssm"];
    for (at, part) in line.split('\'').enumerate() {
        match at % 2 {
            0 => words.extend(part.split_whitespace()),
            _ => words.push(part),
        }
    }
    words
}

/// One member of each item of a list.
fn each(list: &Value, member: &str) -> Vec<Value> {
    list.as_array().unwrap().iter().map(|item| item[member].clone()).collect()
}

#[test]
fn the_aws_command_line_lives_out_parameters() {
    if !is_there("aws", &["--version"]) {
        return;
    }
    let lab = Lab::own("longform");
    let aws = Aws(&lab);

    // Every type and tier.
    let a = "--name /life/a --type String --value one --description 'the first' --allowed-pattern ^o --tags Key=k,Value=v";
    assert_eq!(aws.does(&format!("put-parameter {a}")), json!({"Version": 1, "Tier": "Standard"}));
    let list = "put-parameter --name /life/deep/list --type StringList --value a,b --tier Intelligent-Tiering";
    assert_eq!(aws.does(list)["Tier"], "Standard");
    let long = "x".repeat(5000);
    let put = format!(
        "put-parameter --name /life/secret --type SecureString --value {long} --tier Advanced"
    );
    assert_eq!(aws.does(&put), json!({"Version": 1, "Tier": "Advanced"}));

    // What is refused, by name.
    for (line, error) in [
        ("put-parameter --name /life/a --type String --value other", "ParameterAlreadyExists"),
        ("put-parameter --name /life/a --value x --overwrite", "ParameterPatternMismatchException"),
        (
            "put-parameter --name /life/a --value o --type SecureString --overwrite",
            "HierarchyTypeMismatchException",
        ),
        ("put-parameter --name /life/b --value x", "ValidationException"),
        (
            "put-parameter --name /life/b --type SecureString --value x --key-id alias/no",
            "InvalidKeyId",
        ),
        ("get-parameter --name /life/a:7", "ParameterVersionNotFound"),
        ("delete-parameter --name /life/none", "ParameterNotFound"),
        (
            "list-tags-for-resource --resource-type Parameter --resource-id /life/none",
            "InvalidResourceId",
        ),
    ] {
        aws.refuses(line, error);
    }

    // Versions.
    assert_eq!(aws.does("put-parameter --name /life/a --value other --overwrite")["Version"], 2);
    let read = aws.does("get-parameter --name /life/a")["Parameter"].clone();
    assert_eq!((&read["Value"], &read["Version"]), (&json!("other"), &json!(2)));
    assert!(read["ARN"].as_str().unwrap().ends_with(":parameter/life/a"), "{read}");
    assert_eq!(aws.does("get-parameter --name /life/a:1")["Parameter"]["Value"], "one");
    let past = aws.does("get-parameter-history --name /life/a")["Parameters"].clone();
    assert_eq!(each(&past, "Value"), [json!("one"), json!("other")]);
    assert_eq!(each(&past, "Description"), [json!("the first"), json!("the first")]);

    // A secret is only told with decryption.
    let cipher = aws.does("get-parameter --name /life/secret")["Parameter"].clone();
    assert!(!cipher["Value"].as_str().unwrap().contains("xxx"), "{cipher}");
    let plain = aws.does("get-parameters --names /life/secret /life/none --with-decryption");
    assert_eq!(plain["Parameters"][0]["Value"], long.as_str());
    assert_eq!(plain["InvalidParameters"], json!(["/life/none"]));

    // Lists, in pages that the command line puts together.
    let tree = aws.does("get-parameters-by-path --path /life --recursive --page-size 1");
    let all = [json!("/life/a"), json!("/life/deep/list"), json!("/life/secret")];
    assert_eq!(each(&tree["Parameters"], "Name"), all);
    let level = aws.does("get-parameters-by-path --path /life");
    assert_eq!(each(&level["Parameters"], "Name"), [json!("/life/a"), json!("/life/secret")]);
    for (filters, wanted) in [
        ("Key=Name,Option=BeginsWith,Values=/life/", &all[..]),
        ("Key=tag:k,Values=v", &all[..1]),
        (
            "Key=Path,Option=Recursive,Values=/life/deep Key=Type,Values=StringList,String",
            &all[1..2],
        ),
        ("Key=Tier,Values=Advanced Key=KeyId,Values=alias/aws/ssm", &all[2..]),
    ] {
        let line = format!("describe-parameters --page-size 1 --parameter-filters {filters}");
        assert_eq!(each(&aws.does(&line)["Parameters"], "Name"), wanted, "{filters}");
    }

    // Tags.
    let resource = "--resource-type Parameter --resource-id /life/a";
    aws.does(&format!("add-tags-to-resource {resource} --tags Key=k,Value=w Key=l,Value="));
    aws.does(&format!("remove-tags-from-resource {resource} --tag-keys k"));
    let tags = aws.does(&format!("list-tags-for-resource {resource}"));
    assert_eq!(tags["TagList"], json!([{"Key": "l", "Value": ""}]));

    let names = "/life/a /life/deep/list /life/secret /life/none";
    let gone = aws.does(&format!("delete-parameters --names {names}"));
    assert_eq!(gone["DeletedParameters"].as_array().unwrap().len(), 3);
    assert_eq!(gone["InvalidParameters"], json!(["/life/none"]));
    aws.refuses("get-parameter --name /life/a", "ParameterNotFound");
}
