//! What the tests of kinds share: a scope, steps driven by answers, examples of the contract.

use serde_json::json;

use crate::model::address::Address;
use crate::model::call::{Answer, Call};
use crate::model::kind::{Facts, Kind, KindError, Next, Verb, Work};
use crate::model::observed::Remote;
use crate::model::scope::{IdentityProvider, Scope, Zone};
use crate::model::{Json, JsonMap};

/// The id of the provider `GitHub`.
pub const GITHUB: &str = "aa0a4aab-672b-4bdb-bc33-a59f1130a11f";

/// The id of the Access group `staff`.
pub const STAFF: &str = "cc0a4aab-672b-4bdb-bc33-a59f1130a11f";

/// One account, two zones, two identity providers.
pub fn scope() -> Scope {
    let zone = |id: &str, name: &str| Zone { id: id.to_owned(), name: name.to_owned() };
    let provider = |id: &str, name: &str, kind: &str| IdentityProvider {
        id: id.to_owned(),
        name: name.to_owned(),
        kind: kind.to_owned(),
    };
    Scope {
        account_id: "acc".to_owned(),
        zones: vec![zone("z1", "b0xp.io"), zone("z2", "sub.b0xp.io")],
        identity_providers: Some(vec![
            provider(GITHUB, "GitHub", "github"),
            provider("bb0a4aab-672b-4bdb-bc33-a59f1130a11f", "PIN", "onetimepin"),
        ]),
        access_groups: Some(vec![
            zone(STAFF, "staff"),
            zone("dd0a4aab-672b-4bdb-bc33-a59f1130a11f", "twins"),
            zone("ee0a4aab-672b-4bdb-bc33-a59f1130a11f", "twins"),
        ]),
        lineage: "l".to_owned(),
        ..Scope::default()
    }
}

/// A step to be driven.
pub struct Step<'a> {
    pub kind: &'a dyn Kind,
    pub verb: Verb,
    pub spec: Json,
    pub sent: Option<Json>,
    pub version: Option<String>,
    pub remote: Option<Remote>,
    pub removed: Vec<String>,
    pub shared: Vec<String>,
    pub ignore: Vec<String>,
    pub rotate: Option<jiff::Timestamp>,
    pub keeps: bool,
}

impl<'a> Step<'a> {
    pub fn new(kind: &'a dyn Kind, verb: Verb, spec: Json, remote: Option<Remote>) -> Self {
        let (removed, shared, ignore) = (Vec::new(), Vec::new(), Vec::new());
        let (sent, version, rotate, keeps) = (None, None, None, false);
        Step { kind, verb, spec, sent, version, remote, removed, shared, ignore, rotate, keeps }
    }

    /// The calls of the step, each answered by the next of the answers, and how it ends.
    pub fn run(&self, answers: &[Answer]) -> (Vec<Call>, Result<Option<Remote>, KindError>) {
        let scope = scope();
        let address = Address::new(self.kind.name(), "x");
        let work = Work {
            verb: self.verb,
            address: &address,
            spec: &self.spec,
            sent: self.sent.as_ref(),
            version: self.version.as_deref(),
            remote: self.remote.as_ref(),
            removed: &self.removed,
            shared: &self.shared,
            ignore: &self.ignore,
            force: &[],
            scope: &scope,
            mark: "m4rk",
            restart: None,
            rotate: self.rotate,
            keeps: self.keeps,
        };
        let mut calls = Vec::new();
        loop {
            match self.kind.next(&work, &answers[..calls.len().min(answers.len())]) {
                Ok(Next::Call(call)) => {
                    calls.push(*call);
                    assert!(calls.len() <= answers.len(), "no answer for {:?}", calls.last());
                }
                Ok(Next::Done(remote)) => return (calls, Ok(remote.map(|remote| *remote))),
                Err(error) => return (calls, Err(error)),
            }
        }
    }
}

/// A call in one line: `POST /path`.
pub fn line(call: &Call) -> String {
    format!("{} {}", call.method.as_str(), call.path)
}

pub fn ok(body: Json) -> Answer {
    Answer { status: 200, body, warnings: Vec::new() }
}

pub fn refusal(status: u16, code: &str) -> Answer {
    let body = json!({"code": code, "reason": code, "message": "no", "causes": []});
    Answer { status, body, warnings: Vec::new() }
}

/// The result of an example of the contract.
pub fn example(text: &str) -> Json {
    let example: Json = serde_json::from_str(text).unwrap();
    example.get("result").unwrap().clone()
}

/// The one object that an item holds.
pub fn read(kind: &dyn Kind, item: &Json) -> Remote {
    let mut read = kind.read(item, &scope());
    assert_eq!(read.len(), 1, "{item}");
    read.remove(0)
}

pub fn declare(kind: &dyn Kind, spec: Json) -> Json {
    kind.declare(&spec, &scope()).unwrap()
}

/// The fields of `a` in `b`: whether `a` is part of `b`.
pub fn part_of(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Object(a), Json::Object(b)) => {
            a.iter().all(|(key, value)| b.get(key).is_some_and(|seen| part_of(value, seen)))
        }
        _ => a == b,
    }
}

pub fn problems(kind: &dyn Kind, spec: Json) -> Vec<String> {
    kind.check(&spec, &scope()).into_iter().map(|problem| problem.path).collect()
}

pub fn facts<'a>(
    declared: Option<&'a Json>,
    sent: Option<&'a Json>,
    remote: &'a Remote,
    shared: &'a [String],
) -> Facts<'a> {
    Facts {
        declared,
        sent,
        answered: sent,
        version: None,
        remote,
        preview: None,
        ignore: &[],
        force: &[],
        shared,
    }
}

pub fn bodies(calls: &[Call]) -> Vec<Json> {
    calls.iter().filter_map(|call| call.body.clone()).collect()
}

pub fn object(value: &Json) -> JsonMap {
    value.as_object().unwrap().clone()
}
