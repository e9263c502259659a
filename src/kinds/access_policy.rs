//! A reusable Access policy of the account (contract 6.2).

use schemars::JsonSchema;
use serde_json::json;

use super::access_rules::{self, Rule};
use super::compare;
use super::forms::{self, Form, NormalForm, Rest, rule};
use super::marked::{self, Collection};
use super::support::{
    duration, fields, items, listed, moment, pick, remote_of, required_text, text, with_ignored,
};
use crate::model::call::{Answer, Call, Listing, Paging, Service};
use crate::model::kind::{
    Diffed, Facts, Kind, KindError, Locate, Next, Output, Problem, Verb, Work,
};
use crate::model::observed::Remote;
use crate::model::scope::{Need, Scope};
use crate::model::{Json, JsonMap};

/// Who gets in: a policy that several applications may use.
#[derive(Debug, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccessPolicySpec {
    /// The name.
    pub name: String,
    /// What happens to those it fits.
    pub decision: Decision,
    /// Any of these has to fit.
    pub include: Vec<Rule>,
    /// None of these may fit.
    pub exclude: Option<Vec<Rule>>,
    /// All of these have to fit.
    pub require: Option<Vec<Rule>>,
    /// How long a session lasts, `24h`; that of the application where it is left out.
    pub session_duration: Option<String>,
    /// Whether someone has to approve each session.
    pub approval_required: Option<bool>,
    /// Who may approve.
    pub approval_groups: Option<Vec<ApprovalGroup>>,
    /// Whether the application is shown in an isolated browser.
    pub isolation_required: Option<bool>,
    /// Whether users have to say what they want.
    pub purpose_justification_required: Option<bool>,
    /// How they are asked.
    pub purpose_justification_prompt: Option<String>,
    /// Rules for remote desktops.
    pub connection_rules: Option<serde_json::Map<String, Json>>,
    /// What is asked for beside the login.
    pub mfa_config: Option<serde_json::Map<String, Json>>,
}

/// What happens to those whom a policy fits.
#[derive(Debug, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// They get in.
    Allow,
    /// They don't.
    Deny,
    /// They get in without Access looking at all.
    Bypass,
    /// They get in without an identity: service tokens, certificates.
    NonIdentity,
}

/// A group of people who may approve.
#[derive(Debug, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApprovalGroup {
    /// How many of them have to.
    pub approvals_needed: u32,
    /// Their email addresses.
    pub email_addresses: Option<Vec<String>>,
    /// A list of their email addresses, by id.
    pub email_list_uuid: Option<String>,
}

/// The kind `access_policy`.
pub struct AccessPolicy;

pub(super) const FIELDS: [&str; 14] = [
    "name",
    "decision",
    "include",
    "exclude",
    "require",
    "session_duration",
    "approval_required",
    "approval_groups",
    "isolation_required",
    "purpose_justification_required",
    "purpose_justification_prompt",
    "connection_rules",
    "mfa_config",
    "precedence",
];
/// What the service sets; the rest of a reading goes back in a full replacement.
const SERVER_SET: [&str; 8] =
    ["id", "uid", "created_at", "updated_at", "reusable", "app_count", "account_id", "app_id"];
/// Its normal forms. Those of single rules are in `access_rules`.
#[rustfmt::skip]
pub(super) const FORMS: &[NormalForm] = &[
    rule("include", Form::Set),                                                    // 8
    rule("exclude", Form::Set),                                                    // 8
    rule("exclude", Form::Absent(Rest::Nothing)),                                  // 8
    rule("require", Form::Set),                                                    // 8
    rule("require", Form::Absent(Rest::Nothing)),                                  // 8
    rule("session_duration", Form::Spelt(|length, _| session(length))),            // 8: "" is null; durations
    rule("session_duration", Form::Absent(Rest::Text("24h"))),                     // 8, marked as a doubt
    rule("approval_required", Form::Absent(Rest::Switch(false))),                  // 8
    rule("isolation_required", Form::Absent(Rest::Switch(false))),                 // 8
    rule("purpose_justification_required", Form::Absent(Rest::Switch(false))),     // 8
    rule("approval_groups", Form::Absent(Rest::Nothing)),                          // 6.2
    rule("purpose_justification_prompt", Form::Absent(Rest::Text(""))),            // 6.2
];
/// The lists of rules.
pub(super) const SETS: [&str; 3] = ["include", "exclude", "require"];

/// The account's reusable policies.
pub fn listing(scope: &Scope) -> Listing {
    let call = Call::get(Service::Cloudflare, collection(scope)).purpose("listing Access policies");
    Listing { call, paging: Paging::Pages(1000) }
}

fn collection(scope: &Scope) -> String {
    format!("/accounts/{}/access/policies", scope.account_id)
}

/// What is wrong with a policy, reusable or not.
pub(super) fn check_policy(spec: &Json) -> Vec<Problem> {
    let mut problems = Vec::new();
    required_text(spec, "name", &mut problems);
    for field in SETS {
        access_rules::check(spec, field, &mut problems);
    }
    let include = spec.get("include");
    if include.is_none() || include.and_then(Json::as_array).is_some_and(Vec::is_empty) {
        problems.push(
            Problem::error("include", "a policy without `include` fits nobody")
                .hint("name who it is for, as in `include: [{email: me@example.org}]`"),
        );
    }
    if let Some(decision) = text(spec, "decision")
        && !["allow", "deny", "bypass", "non_identity"].contains(&decision)
    {
        let message = format!("`{decision}` is not a decision");
        problems.push(
            Problem::error("decision", message)
                .hint("the decisions are allow, deny, bypass and non_identity"),
        );
    }
    let tokens = items(spec, "include").iter().position(|rule| {
        rule.get("service_token").is_some() || rule.get("any_valid_service_token").is_some()
    });
    if let (Some(index), Some("allow")) = (tokens, text(spec, "decision")) {
        problems.push(
            Problem::warning(
                "service-token-allow",
                format!("include[{index}]"),
                "a service token gets in by a policy with `decision: non_identity` only",
            )
            .hint("give service tokens a policy of their own"),
        );
    }
    check_duration(spec, "session_duration", &mut problems);
    problems
}

/// What is wrong with a session's length.
pub(super) fn check_duration(spec: &Json, field: &str, problems: &mut Vec<Problem>) {
    let wrong = |value: &&str| {
        let known = value.is_empty() || *value == "no_expiry" || *value == "0";
        !known && super::support::nanoseconds(value).is_none()
    };
    if let Some(value) = text(spec, field).filter(wrong) {
        problems.push(
            Problem::error(field, format!("`{value}` is not a duration"))
                .hint("write it as `24h`, `30m` or `1h30m`"),
        );
    }
}

/// A session's length in its one spelling; an empty one is left out.
pub(super) fn session(length: &Json) -> Json {
    if length == "" { Json::Null } else { duration(length) }
}

/// A policy's spec in canonical form.
pub(super) fn declare_policy(spec: &Json, scope: &Scope) -> Result<Json, Problem> {
    let mut out = forms::spelt(FORMS, fields(spec));
    for field in SETS {
        if let Some(rules) = out.get(field) {
            let rules = access_rules::canonical(rules, field, scope)?;
            out.insert(field.to_owned(), rules);
        }
    }
    Ok(Json::Object(out))
}

/// A policy of the API in the words of the spec, with what the service leaves out.
pub(super) fn spec_of(item: &Json, scope: &Scope) -> JsonMap {
    let mut spec = pick(item, &FIELDS);
    for field in SETS {
        let rules = item.get(field).cloned().unwrap_or_default();
        spec.insert(field.to_owned(), access_rules::from_wire(&rules, scope));
    }
    forms::read(FORMS, spec)
}

/// The body of a create.
pub(super) fn policy_body(spec: &Json) -> JsonMap {
    let mut body = fields(spec);
    body.shift_remove("application");
    body.extend(access_rules::lists_to_wire(spec));
    body
}

/// The body of a full replacement: what was read less what the service sets, with the declared
/// fields on top and those that left the files taken out.
pub(super) fn replacement_body(work: &Work<'_>, remote: &Remote, raw: &Json) -> JsonMap {
    let mut body = fields(raw);
    body.retain(|key, value| !SERVER_SET.contains(&key.as_str()) && !value.is_null());
    body.extend(access_rules::put_back(&body, work.scope));
    for path in work.removed {
        body.shift_remove(path.split(['.', '[']).next().unwrap_or(path));
    }
    body.extend(policy_body(&with_ignored(work.spec, &remote.spec, work.ignore)));
    body
}

fn policies(scope: &Scope) -> Collection {
    Collection { path: collection(scope), noun: "policy" }
}

impl AccessPolicy {
    fn update(&self, work: &Work<'_>, answers: &[Answer]) -> Result<Next, KindError> {
        let remote = work.remote.ok_or_else(|| KindError::Answer("id".to_owned()))?;
        let policies = policies(work.scope);
        match answers {
            [] => Ok(Next::call(policies.get(&remote.id))),
            [read] => {
                let body = replacement_body(work, remote, &read.body);
                Ok(Next::call(policies.put(&remote.id, body)))
            }
            [_, written, ..] => Ok(Next::done(remote_of(self.read(&written.body, work.scope))?)),
        }
    }
}

impl Kind for AccessPolicy {
    fn name(&self) -> &'static str {
        "access_policy"
    }

    fn doc(&self) -> &'static str {
        "An Access policy of the account, which applications name in `policies`."
    }

    fn service(&self) -> Service {
        Service::Cloudflare
    }

    fn schema(&self) -> schemars::Schema {
        schemars::schema_for!(AccessPolicySpec)
    }

    fn outputs(&self) -> &'static [Output] {
        &[
            Output { name: "id", secret: false, doc: "The policy's UUID." },
            Output { name: "name", secret: false, doc: "Its name." },
        ]
    }

    fn known_outputs(&self, spec: &Json, _scope: &Scope) -> JsonMap {
        text(spec, "name").map_or_else(JsonMap::new, |_| pick(spec, &["name"]))
    }

    fn check(&self, spec: &Json, _scope: &Scope) -> Vec<Problem> {
        check_policy(spec)
    }

    fn needs(&self, spec: &Json) -> Vec<Need> {
        access_rules::needs(spec)
    }

    fn declare(&self, spec: &Json, scope: &Scope) -> Result<Json, Problem> {
        declare_policy(spec, scope)
    }

    fn locate(&self, _spec: Option<&Json>, _id: Option<&str>, scope: &Scope) -> Option<Locate> {
        Some(Locate::In(vec![listing(scope)]))
    }

    fn read(&self, item: &Json, scope: &Scope) -> Vec<Remote> {
        if text(item, "name").is_none() {
            return Vec::new();
        }
        if item.get("reusable") == Some(&json!(false)) || item.get("decision").is_none() {
            return Vec::new();
        }
        let mut spec = spec_of(item, scope);
        spec.shift_remove("precedence");
        listed(item, spec, &["id", "name"])
    }

    fn fetch(&self, id: &str, scope: &Scope) -> Option<Call> {
        Some(policies(scope).get(id))
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
        match work.verb {
            Verb::Create => {
                let body = policy_body(work.spec);
                policies(work.scope).create(self, work, answers, body.clone(), body)
            }
            Verb::Update | Verb::Widen => self.update(work, answers),
            Verb::Delete => policies(work.scope).delete(work, answers.last()),
        }
    }
}

#[cfg(test)]
#[path = "access_policy_tests.rs"]
mod tests;
