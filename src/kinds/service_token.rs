//! A service token of Access (contract 6.4). Its secret is said once: when it is made, and when it
//! is made anew.

use schemars::JsonSchema;
use serde_json::json;

use super::compare::{self, Compared};
use super::forms::{self, Form, NormalForm, Rest, rule};
use super::marked::{self, Collection};
use super::support::{
    days, duration, fields, listed, moment, pick, remote_of, required_text, text,
};
use crate::model::call::{Answer, Call, Listing, Method, Paging, Service};
use crate::model::kind::{
    Diffed, Facts, Kind, KindError, Locate, Next, Output, Problem, Verb, Work,
};
use crate::model::observed::Remote;
use crate::model::scope::Scope;
use crate::model::{Json, JsonMap};

/// What machines get through Access with.
#[derive(Debug, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceTokenSpec {
    /// The name.
    pub name: String,
    /// How long it is valid, counted from when it is made or its secret is made anew: `8760h` (the
    /// default), or `forever`.
    pub duration: Option<String>,
    /// When its secret is due to be made anew, by `boxctl rotate --due`.
    pub rotate: Option<Rotate>,
}

/// When a secret is made anew.
#[derive(Debug, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rotate {
    /// How old it may get: `90d`, `2160h`.
    pub every: Option<String>,
    /// How long the one before stays valid: `24h`. Left out: not at all.
    pub keep_old: Option<String>,
}

/// The kind `service_token`.
pub struct ServiceToken;

/// What the service makes of a token of which no duration is said.
const DURATION: &str = "8760h";

/// Its normal forms. The secret, its end and its last use are not looked at (contract 8).
#[rustfmt::skip]
const FORMS: &[NormalForm] = &[
    rule("duration", Form::Spelt(|length, _| duration(length))),  // 6.4: a Go duration, or forever
    rule("duration", Form::Absent(Rest::Text(DURATION))),         // 8: 8760h
];

fn tokens(scope: &Scope) -> Collection {
    let path = format!("/accounts/{}/access/service_tokens", scope.account_id);
    Collection { path, noun: "service token" }
}

/// The account's service tokens.
pub fn listing(scope: &Scope) -> Listing {
    let call = Call::get(Service::Cloudflare, tokens(scope).path);
    Listing { call: call.purpose("listing service tokens"), paging: Paging::Pages(100) }
}

fn body(spec: &Json) -> JsonMap {
    pick(spec, &["name", "duration"])
}

/// The body of a change: a token that someone disabled stays so.
fn changed(work: &Work<'_>, remote: &Remote) -> JsonMap {
    let mut body = body(&super::support::with_ignored(work.spec, &remote.spec, work.ignore));
    if body.get("duration").is_none() && work.removed.iter().any(|path| path == "duration") {
        body.insert("duration".to_owned(), json!(DURATION));
    }
    if remote.raw.get("enabled") == Some(&json!(false)) {
        body.insert("enabled".to_owned(), json!(false));
    }
    body
}

/// One thing that a change of a token has to do, in order.
enum Step {
    /// Its name or duration.
    Put(JsonMap),
    /// Its end is counted from now on: a new secret does not move it.
    Refresh,
    /// A new secret, the last call, since only its answer says it.
    Rotate(jiff::Timestamp),
}

fn steps(work: &Work<'_>, remote: &Remote) -> Vec<Step> {
    let mut steps = Vec::new();
    let body = changed(work, remote);
    let differs = body.iter().any(|(field, value)| remote.spec.get(field) != Some(value));
    if work.rotate.is_none() || differs {
        steps.push(Step::Put(body));
    }
    if let Some(now) = work.rotate {
        if remote.raw.get("expires_at").is_some_and(|at| !at.is_null()) {
            steps.push(Step::Refresh);
        }
        steps.push(Step::Rotate(now));
    }
    steps
}

fn post(work: &Work<'_>, remote: &Remote, what: &str, purpose: &str) -> Call {
    let path = format!("{}/{what}", tokens(work.scope).one(&remote.id));
    Call::change(Service::Cloudflare, Method::Post, path).purpose(purpose)
}

fn rotation(work: &Work<'_>, remote: &Remote, now: jiff::Timestamp) -> Call {
    let keep = work.spec.pointer("/rotate/keep_old").and_then(Json::as_str).and_then(days);
    let until = keep.filter(|keep| *keep > 0).and_then(|keep| {
        let until = now.checked_add(jiff::SignedDuration::from_secs(keep)).ok()?;
        jiff::Timestamp::from_second(until.as_second()).ok()
    });
    let body = match until {
        Some(until) => json!({"previous_client_secret_expires_at": until.to_string()}),
        None => json!({}),
    };
    post(work, remote, "rotate", "making the token's secret anew").body(body)
}

fn check_span(spec: &Json, field: &str, problems: &mut Vec<Problem>) -> Option<i64> {
    let path = format!("rotate.{field}");
    let value = spec.pointer(&format!("/rotate/{field}")).and_then(Json::as_str)?;
    let span = days(value);
    if span.is_none() {
        problems.push(
            Problem::error(path, format!("`{value}` is not a length of time"))
                .hint("write it as `90d`, `24h` or `30m`"),
        );
    }
    span
}

impl Kind for ServiceToken {
    fn name(&self) -> &'static str {
        "service_token"
    }

    fn doc(&self) -> &'static str {
        "A service token of Access: what machines get in with."
    }

    fn service(&self) -> Service {
        Service::Cloudflare
    }

    fn schema(&self) -> schemars::Schema {
        schemars::schema_for!(ServiceTokenSpec)
    }

    fn outputs(&self) -> &'static [Output] {
        &[
            Output { name: "id", secret: false, doc: "The token's UUID, for rules." },
            Output { name: "client_id", secret: false, doc: "What it is known by in requests." },
            Output { name: "client_secret", secret: true, doc: "What it proves itself with." },
        ]
    }

    fn check(&self, spec: &Json, _scope: &Scope) -> Vec<Problem> {
        let mut problems = Vec::new();
        required_text(spec, "name", &mut problems);
        if let Some(value) = text(spec, "duration")
            && value != "forever"
            && super::support::nanoseconds(value).is_none_or(|nanos| nanos == 0)
        {
            problems.push(
                Problem::error("duration", format!("`{value}` is not a duration"))
                    .hint("write it as `8760h`, or `forever`"),
            );
        }
        let every = check_span(spec, "every", &mut problems);
        let keep = check_span(spec, "keep_old", &mut problems);
        if every == Some(0) {
            problems.push(Problem::error("rotate.every", "it would always be due"));
        }
        if let (Some(every), Some(keep)) = (every, keep)
            && keep >= every
            && every > 0
        {
            problems.push(
                Problem::error("rotate.keep_old", "the old secret would outlive the new one")
                    .hint("keep it for as long as it takes to hand the new one out, as in `24h`"),
            );
        }
        problems
    }

    fn declare(&self, spec: &Json, _scope: &Scope) -> Result<Json, Problem> {
        Ok(Json::Object(forms::spelt(FORMS, fields(spec))))
    }

    fn locate(&self, _spec: Option<&Json>, _id: Option<&str>, scope: &Scope) -> Option<Locate> {
        Some(Locate::In(vec![listing(scope)]))
    }

    fn read(&self, item: &Json, _scope: &Scope) -> Vec<Remote> {
        if ["name", "client_id"].iter().any(|field| text(item, field).is_none()) {
            return Vec::new();
        }
        listed(item, forms::read(FORMS, pick(item, &["name", "duration"])), &["id", "client_id"])
    }

    fn fetch(&self, id: &str, scope: &Scope) -> Option<Call> {
        Some(tokens(scope).get(id))
    }

    fn fits(&self, spec: &Json, remote: &Remote) -> bool {
        marked::fits(spec, remote)
    }

    fn key(&self, spec: &Json) -> JsonMap {
        pick(spec, &["name"])
    }

    fn mark_of(&self, remote: &Remote) -> Option<String> {
        marked::mark_of(remote)
    }

    fn made_at(&self, remote: &Remote) -> Option<jiff::Timestamp> {
        moment(remote.raw.get("created_at"))
    }

    fn modified_at(&self, remote: &Remote) -> Option<jiff::Timestamp> {
        super::support::modified(&remote.raw)
    }

    /// When it ends and what its secret's version is moves by itself, and is no difference.
    fn diff(&self, facts: &Facts<'_>) -> Diffed {
        compare::fields(facts, Compared { apart: &["rotate"], ..forms::compared(FORMS) })
    }

    fn rotates(&self) -> bool {
        true
    }

    fn said_once(&self) -> &'static [&'static str] {
        &["client_secret"]
    }

    fn rotates_every_s(&self, spec: &Json) -> Option<i64> {
        days(spec.pointer("/rotate/every")?.as_str()?).filter(|every| *every > 0)
    }

    fn next(&self, work: &Work<'_>, answers: &[Answer]) -> Result<Next, KindError> {
        let tokens = tokens(work.scope);
        match work.verb {
            Verb::Create => tokens.create(self, work, answers, body(work.spec), body(work.spec)),
            Verb::Delete => tokens.delete(work, answers.last()),
            Verb::Update | Verb::Widen => {
                let remote = work.remote.ok_or_else(|| KindError::Answer("id".to_owned()))?;
                match steps(work, remote).into_iter().nth(answers.len()) {
                    Some(Step::Put(body)) => Ok(Next::call(tokens.put(&remote.id, body))),
                    Some(Step::Refresh) => {
                        let purpose = "counting the token's end from now";
                        Ok(Next::call(post(work, remote, "refresh", purpose)))
                    }
                    Some(Step::Rotate(now)) => Ok(Next::call(rotation(work, remote, now))),
                    None => {
                        let last = answers.last().map(|answer| &answer.body);
                        let last = last.unwrap_or(&remote.raw);
                        if work.rotate.is_some() && text(last, "client_secret").is_none() {
                            return Err(KindError::Answer("client_secret".to_owned()));
                        }
                        Ok(Next::done(remote_of(self.read(last, work.scope))?))
                    }
                }
            }
        }
    }

    fn secrets_in_answers(&self) -> &'static [(&'static str, &'static str)] {
        &[("client_secret", "/client_secret")]
    }
}

#[cfg(test)]
#[path = "service_token_tests.rs"]
mod tests;
