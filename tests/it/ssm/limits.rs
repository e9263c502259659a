//! What SSM does where it is asked too much, at the same time, or by whom it does not know.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::Service;
use crate::lab::Lab;
use crate::readonly::read_only;

/// A stack with so many parameters, beside nothing else.
fn parameters(lab: &Lab, count: usize) {
    let resource = |n| format!("  ssm_parameter.p{n}: {{name: /many/p{n}, value: v{n}}}\n");
    let resources: String = (0..count).map(resource).collect();
    lab.write("stacks/openhands.yaml", &format!("resources:\n{resources}"));
}

fn statuses(lab: &Lab, operation: &str) -> Vec<Value> {
    let requests = lab.requests();
    let asked = requests.iter().filter(|request| request["path"] == operation);
    asked.map(|request| request["status"].clone()).collect()
}

#[test]
fn what_comes_too_fast_is_refused_and_tried_again() {
    let lab = Lab::hasty("longform", &["--throughput", "1/1,40/1"]);
    parameters(&lab, 4);
    lab.apply(&[]);
    let puts = statuses(&lab, "PutParameter");
    assert_eq!(puts.iter().filter(|status| **status == 200).count(), 4, "{puts:?}");
    assert!(puts.contains(&json!(400)), "one a second is granted: {puts:?}");
    // Told of the limit once, boxctl keeps to what AWS grants instead of asking again and again.
    assert!(puts.len() <= 24, "{puts:?}");
    lab.is_settled(&[]);

    let lab = Lab::hasty("longform", &["--throughput", "1/60,2/60"]);
    let service = Service::at(lab.aws());
    let throttled = Err(("ThrottlingException".to_owned(), "Rate exceeded".to_owned()));
    let put = |name: &str| json!({"Name": name, "Value": "v", "Type": "String"});
    assert!(service.call("PutParameter", &put("a")).is_ok());
    assert_eq!(service.call("PutParameter", &put("b")), throttled);
    // The ways to read a value share what is granted, descriptions have their own.
    assert!(service.call("GetParameter", &json!({"Name": "a"})).is_ok());
    assert!(service.call("GetParametersByPath", &json!({"Path": "/"})).is_ok());
    assert_eq!(service.call("GetParameters", &json!({"Names": ["a"]})), throttled);
    assert!(service.call("DescribeParameters", &json!({})).is_ok());
}

#[test]
fn one_parameter_is_written_by_one_call_at_a_time() {
    let lab = Lab::hasty("longform", &["--latency", "1000"]);
    let put = |name: &'static str| {
        let aws = lab.aws();
        let input = json!({"Name": name, "Value": "v", "Type": "String", "Overwrite": true});
        std::thread::spawn(move || Service::at(aws).call("PutParameter", &input))
    };
    let calls = [put("same"), put("same"), put("other")];
    let [first, second, other] = calls.map(|call| call.join().unwrap());
    let refused: Vec<&(String, String)> =
        [&first, &second].iter().filter_map(|o| o.as_ref().err()).collect();
    assert_eq!(refused.len(), 1, "{first:?} {second:?}");
    assert_eq!(refused[0].0, "TooManyUpdates");
    assert!(other.is_ok(), "{other:?}");
}

#[test]
fn who_signs_with_another_secret_or_at_another_time_is_told_so() {
    let mut lab = Lab::hasty("longform", &["--signatures"]);
    let service = Service::at(lab.aws());
    for (minutes, said) in [(-20, "Signature expired"), (20, "Signature not yet current")] {
        let now = Timestamp::now() + SignedDuration::from_mins(minutes);
        let input = json!({"Name": "parameter-reader-access-key-id"});
        let request = service.aws.request_at(&service.http, "GetParameter", &input, now);
        let (code, message) = service.send(request).unwrap_err();
        assert_eq!(code, "InvalidSignatureException");
        assert!(message.starts_with(said), "{message}");
    }
    lab.set("AWS_SECRET_ACCESS_KEY", "not the one");
    let (code, message) =
        Service::at(lab.aws()).call("DescribeParameters", &json!({})).unwrap_err();
    assert_eq!(code, "InvalidSignatureException");
    assert!(message.contains("does not match the signature you provided"), "{message}");
    lab.run(&["plan"]).exits(1).says("SignatureDoesNotMatch").says("AWS_SECRET_ACCESS_KEY");
    lab.set("AWS_ACCESS_KEY_ID", "AKIANOBODY");
    lab.run(&["plan"]).exits(1).says("InvalidClientTokenId").says("AWS_ACCESS_KEY_ID");
}

#[test]
fn a_plan_needs_no_key_that_decrypts() {
    let mut lab = Lab::hasty("longform", &[]);
    let text = "resources:\n  ssm_parameter.p: {name: p, value: secret one, key_id: alias/sandbox, \
                description: first}\n";
    lab.write("stacks/openhands.yaml", text);
    lab.apply(&[]);
    read_only(&mut lab);
    let service = Service::at(lab.aws());
    let get = json!({"Name": "p", "WithDecryption": true});
    let (code, message) = service.call("GetParameter", &get).unwrap_err();
    assert_eq!(code, "AccessDeniedException");
    assert!(message.contains("not allowed to access"), "{message}");
    assert!(service.call("GetParameter", &json!({"Name": "p"})).is_ok());
    lab.forget_requests();
    lab.is_settled(&[]);
    lab.run(&["drift"]).exits(0);
    lab.edit("stacks/openhands.yaml", "first", "second");
    lab.run(&["plan"]).exits(0).says("description: \"first\" → \"second\"");
    assert!(statuses(&lab, "GetParameter").is_empty());
    lab.run(&["apply", "--yes"]).exits(3).says("ssm:PutParameter");
}
