//! An Access group of the account (contract 6.5).

use schemars::JsonSchema;

use super::access_policy::SETS;
use super::access_rules::{self, Rule};
use super::compare;
use super::forms::{self, Form, NormalForm, Rest, rule};
use super::marked::{self, Collection};
use super::support::{fields, listed, moment, pick, remote_of, required_text, text, with_ignored};
use crate::model::call::{Answer, Call, Listing, Paging, Service};
use crate::model::kind::{
    Diffed, Facts, Kind, KindError, Locate, Next, Output, Problem, Verb, Work,
};
use crate::model::observed::Remote;
use crate::model::scope::{Need, Scope};
use crate::model::{Json, JsonMap};

/// People and machines under one name, which policies and other groups may use.
#[derive(Debug, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccessGroupSpec {
    /// The name.
    pub name: String,
    /// Any of these has to fit.
    pub include: Vec<Rule>,
    /// None of these may fit.
    pub exclude: Option<Vec<Rule>>,
    /// All of these have to fit.
    pub require: Option<Vec<Rule>>,
}

/// Its normal forms. Those of single rules are in `access_rules`.
#[rustfmt::skip]
const FORMS: &[NormalForm] = &[
    rule("include", Form::Set),                   // 8, as policies
    rule("exclude", Form::Set),                   // 8, as policies
    rule("exclude", Form::Absent(Rest::Nothing)), // 8, as policies
    rule("require", Form::Set),                   // 8, as policies
    rule("require", Form::Absent(Rest::Nothing)), // 8, as policies
];

/// The kind `access_group`.
pub struct AccessGroup;

/// What the service sets; the rest of a reading goes back in a full replacement.
const SERVER_SET: [&str; 5] = ["id", "uid", "created_at", "updated_at", "account_id"];

fn collection(scope: &Scope) -> Collection {
    let path = format!("/accounts/{}/access/groups", scope.account_id);
    Collection { path, noun: "group" }
}

/// The account's groups.
pub fn listing(scope: &Scope) -> Listing {
    let path = collection(scope).path;
    let call = Call::get(Service::Cloudflare, path);
    Listing { call: call.purpose("listing Access groups"), paging: Paging::Pages(100) }
}

fn body(spec: &Json) -> JsonMap {
    let mut body = fields(spec);
    body.extend(access_rules::lists_to_wire(spec));
    body
}

/// What was read less what the service sets, with the declared fields on top.
fn replacement(work: &Work<'_>, remote: &Remote, raw: &Json) -> JsonMap {
    let mut out = fields(raw);
    out.retain(|key, value| !SERVER_SET.contains(&key.as_str()) && !value.is_null());
    out.extend(access_rules::put_back(&out, work.scope));
    for path in work.removed {
        out.shift_remove(path.split(['.', '[']).next().unwrap_or(path));
    }
    out.extend(body(&with_ignored(work.spec, &remote.spec, work.ignore)));
    out
}

impl Kind for AccessGroup {
    fn name(&self) -> &'static str {
        "access_group"
    }

    fn doc(&self) -> &'static str {
        "An Access group of the account, which rules name by `group`."
    }

    fn service(&self) -> Service {
        Service::Cloudflare
    }

    fn schema(&self) -> schemars::Schema {
        schemars::schema_for!(AccessGroupSpec)
    }

    fn outputs(&self) -> &'static [Output] {
        &[
            Output { name: "id", secret: false, doc: "The group's UUID." },
            Output { name: "name", secret: false, doc: "Its name." },
        ]
    }

    fn known_outputs(&self, spec: &Json, _scope: &Scope) -> JsonMap {
        text(spec, "name").map_or_else(JsonMap::new, |_| pick(spec, &["name"]))
    }

    fn check(&self, spec: &Json, _scope: &Scope) -> Vec<Problem> {
        let mut problems = Vec::new();
        required_text(spec, "name", &mut problems);
        for field in SETS {
            access_rules::check(spec, field, &mut problems);
        }
        if spec.get("include").and_then(Json::as_array).is_none_or(Vec::is_empty)
            && !spec.get("include").is_some_and(super::support::is_special)
        {
            problems.push(
                Problem::error("include", "a group without `include` has no members")
                    .hint("name who belongs to it, as in `include: [{email: me@example.org}]`"),
            );
        }
        problems
    }

    fn needs(&self, spec: &Json) -> Vec<Need> {
        access_rules::needs(spec)
    }

    fn declare(&self, spec: &Json, scope: &Scope) -> Result<Json, Problem> {
        let mut out = JsonMap::new();
        for (key, value) in fields(spec).into_iter().filter(|(_, value)| !value.is_null()) {
            let value = if SETS.contains(&key.as_str()) {
                access_rules::canonical(&value, &key, scope)?
            } else {
                value
            };
            out.insert(key, value);
        }
        Ok(Json::Object(out))
    }

    fn locate(&self, _spec: Option<&Json>, _id: Option<&str>, scope: &Scope) -> Option<Locate> {
        Some(Locate::In(vec![listing(scope)]))
    }

    fn read(&self, item: &Json, scope: &Scope) -> Vec<Remote> {
        if text(item, "name").is_none() || item.get("include").is_none() {
            return Vec::new();
        }
        let mut spec = pick(item, &["name"]);
        for field in SETS {
            let rules = item.get(field).cloned().unwrap_or_default();
            spec.insert(field.to_owned(), access_rules::from_wire(&rules, scope));
        }
        listed(item, spec, &["id", "name"])
    }

    fn fetch(&self, id: &str, scope: &Scope) -> Option<Call> {
        Some(collection(scope).get(id))
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

    fn diff(&self, facts: &Facts<'_>) -> Diffed {
        compare::fields(facts, forms::compared(FORMS))
    }

    fn next(&self, work: &Work<'_>, answers: &[Answer]) -> Result<Next, KindError> {
        let groups = collection(work.scope);
        match (work.verb, answers) {
            (Verb::Create, _) => {
                groups.create(self, work, answers, body(work.spec), body(work.spec))
            }
            (Verb::Delete, _) => groups.delete(work, answers.last()),
            (Verb::Update | Verb::Widen, _) => {
                let remote = work.remote.ok_or_else(|| KindError::Answer("id".to_owned()))?;
                match answers {
                    [] => Ok(Next::call(groups.get(&remote.id))),
                    [read] => {
                        let body = replacement(work, remote, &read.body);
                        Ok(Next::call(groups.put(&remote.id, body)))
                    }
                    [_, written, ..] => {
                        Ok(Next::done(remote_of(self.read(&written.body, work.scope))?))
                    }
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "access_group_tests.rs"]
mod tests;
