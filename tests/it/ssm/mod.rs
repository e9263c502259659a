//! SSM as AWS does it: one table of cases, asked of the sandbox and of moto; and how boxctl lives
//! with it.

mod cases;
mod life;
mod limits;

use serde_json::{Value, json};

use crate::aws::Aws;
use crate::lab::{Lab, tell};
use crate::moto::Moto;
use crate::tools::is_there;
use cases::{Case, Expected, cases};

/// A service that speaks SSM, and a client of it.
pub struct Service {
    aws: Aws,
    http: reqwest::Client,
    runtime: tokio::runtime::Runtime,
}

impl Service {
    pub fn at(aws: Aws) -> Service {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Service { aws, http, runtime }
    }

    /// What an operation comes to: its answer, or the code and message of its refusal.
    pub fn call(&self, operation: &str, input: &Value) -> Result<Value, (String, String)> {
        self.send(self.aws.request(&self.http, operation, input))
    }

    pub fn send(&self, request: reqwest::RequestBuilder) -> Result<Value, (String, String)> {
        let (status, answer) = self.runtime.block_on(async {
            let response = request.send().await.unwrap();
            let status = response.status().as_u16();
            (status, response.text().await.unwrap())
        });
        let answer: Value = serde_json::from_str(&answer).unwrap_or_else(|_| json!(answer));
        let said = |key: &str| answer[key].as_str().unwrap_or_default().to_owned();
        match status {
            200 => Ok(answer),
            _ => {
                let code = said("__type");
                let code = code.rsplit('#').next().unwrap_or_default().to_owned();
                Err((code, format!("{}{}", said("message"), said("Message"))))
            }
        }
    }

    /// What a case comes to, on parameters of its own.
    fn outcome(&self, number: usize, case: &Case) -> Result<Value, (String, String)> {
        let own = format!("c{number}");
        for (operation, input) in &case.before {
            let made = self.call(operation, &filled(input, &own, ""));
            assert!(made.is_ok(), "{}: {operation} before it: {made:?}", case.about);
        }
        let (operation, input) = &case.call;
        let mut arn = String::new();
        if input.to_string().contains("$arn") {
            let read = self.call("GetParameter", &json!({ "Name": own })).unwrap();
            arn = read["Parameter"]["ARN"].as_str().unwrap().to_owned();
        }
        self.call(operation, &filled(input, &own, &arn))
    }
}

/// An input or an expectation with a case's own names in the place of `@`.
fn filled(value: &Value, own: &str, arn: &str) -> Value {
    match value {
        Value::String(text) => json!(text.replace("$arn", arn).replace('@', own)),
        Value::Array(items) => items.iter().map(|item| filled(item, own, arn)).collect(),
        Value::Object(map) => {
            map.iter().map(|(key, item)| (key.clone(), filled(item, own, arn))).collect()
        }
        other => other.clone(),
    }
}

/// Whether an answer has all that is expected of it: lists in any order and nothing beside,
/// `{"absent": true}` nothing, `{"without": text}` a text that does not hold another.
fn fits(expected: &Value, actual: &Value) -> bool {
    if let Some(text) = expected["without"].as_str() {
        return actual.as_str().is_some_and(|actual| !actual.contains(text));
    }
    match (expected, actual) {
        (Value::Object(expected), actual) => {
            expected.iter().all(|(key, value)| match value["absent"] == true {
                true => actual.get(key).is_none(),
                false => actual.get(key).is_some_and(|actual| fits(value, actual)),
            })
        }
        (Value::Array(expected), Value::Array(actual)) => {
            let mut left: Vec<&Value> = actual.iter().collect();
            let found = |item: &Value, left: &mut Vec<&Value>| {
                let place = left.iter().position(|actual| fits(item, actual));
                place.map(|place| left.remove(place)).is_some()
            };
            expected.len() == actual.len() && expected.iter().all(|item| found(item, &mut left))
        }
        (expected, actual) => expected == actual,
    }
}

/// Whether a case came to what is expected of AWS.
fn is_as_expected(case: &Case, number: usize, outcome: &Result<Value, (String, String)>) -> bool {
    match (&case.expected, outcome) {
        (Expected::Answer(expected), Ok(answer)) => {
            fits(&filled(expected, &format!("c{number}"), ""), answer)
        }
        (Expected::Refused(code, said), Err((actual, message))) => {
            actual == code && message.contains(said)
        }
        _ => false,
    }
}

#[test]
fn the_sandbox_answers_as_aws_does_and_moto_alike_where_it_does() {
    let lab = Lab::hasty("longform", &["--signatures"]);
    let sandbox = Service::at(lab.aws());
    let cases = cases();
    let mut wrong = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let outcome = sandbox.outcome(number, case);
        if !is_as_expected(case, number, &outcome) {
            wrong.push(format!("the sandbox, {}: {outcome:?}", case.about));
        }
    }
    let mut alike = 0;
    if is_there("moto_server", &["--help"]) {
        let server = Moto::start();
        let moto = Service::at(Aws { url: server.url.clone(), ..lab.aws() });
        for (number, case) in cases.iter().enumerate() {
            let outcome = moto.outcome(number, case);
            match (is_as_expected(case, number, &outcome), case.moto) {
                (true, None) => alike += 1,
                (false, Some(_)) => {}
                (false, None) => wrong.push(format!("moto, {}: {outcome:?}", case.about)),
                (true, Some(reason)) => {
                    wrong.push(format!("moto, {}: no longer `{reason}`", case.about));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    tell(&format!("SSM: {} cases, {alike} of them alike on moto", cases.len()));
}

#[test]
fn the_table_of_errors_has_every_error_that_the_model_of_aws_names() {
    let script = "\
import botocore.session as session
model = session.get_session().get_service_model
for service, operations in {
    'ssm': ['PutParameter', 'DeleteParameter', 'GetParameter', 'GetParameters',
            'DescribeParameters', 'AddTagsToResource', 'RemoveTagsFromResource',
            'ListTagsForResource'],
    'kms': ['Encrypt', 'Decrypt', 'GenerateDataKey'],
    'sts': ['GetCallerIdentity'],
}.items():
    for operation in operations:
        for error in model(service).operation_model(operation).error_shapes:
            print(error.name)
";
    if !is_there("python3", &["-c", "import botocore"]) {
        return;
    }
    let output = std::process::Command::new("python3").args(["-c", script]).output().unwrap();
    let names = String::from_utf8(output.stdout).unwrap();
    assert!(names.contains("ParameterAlreadyExists") && names.contains("KMSInvalidStateException"));
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/providers/errors.yaml");
    let table = std::fs::read_to_string(source).unwrap();
    let words: Vec<&str> = table.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    // A dry run of KMS is nothing that SSM asks for.
    let missing: Vec<&str> = names
        .lines()
        .filter(|name| *name != "DryRunOperationException" && !words.contains(name))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
