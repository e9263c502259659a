//! A policy of one Access application (contract 6.2, app-scoped).

use schemars::JsonSchema;
use serde_json::json;

use super::access_policy::{
    ApprovalGroup, Decision, FORMS, check_policy, declare_policy, policy_body, replacement_body,
    spec_of,
};
use super::access_rules::{self, Rule};
use super::compare;
use super::forms;
use super::support::{is_gone, is_special, items, moment, pick, refused, text};
use crate::model::call::{Answer, Call, Method, Service};
use crate::model::kind::{
    Diffed, Facts, Kind, KindError, Locate, Next, Output, Problem, Verb, Work,
};
use crate::model::observed::Remote;
use crate::model::scope::{Need, Scope};
use crate::model::{Json, JsonMap};

/// Who gets in: a policy of one application.
#[derive(Debug, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccessApplicationPolicySpec {
    /// The application's id: `${access_application.<name>.id}`.
    pub application: String,
    /// The place among the application's policies, from 1; the lowest that fits decides.
    pub precedence: Option<u32>,
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

/// The kind `access_application_policy`.
pub struct AccessApplicationPolicy;

fn collection(scope: &Scope, application: &str) -> String {
    format!("/accounts/{}/access/apps/{application}/policies", scope.account_id)
}

/// Whether an item of an application's expanded policies belongs to the application alone.
pub(super) fn is_own(policy: &Json) -> bool {
    policy.get("reusable").and_then(Json::as_bool) != Some(true)
}

fn remote(application: &str, policy: &Json, scope: &Scope) -> Option<Remote> {
    let id = text(policy, "id")?;
    let mut spec = spec_of(policy, scope);
    spec.insert("application".to_owned(), json!(application));
    let mut outputs = JsonMap::new();
    outputs.insert("id".to_owned(), json!(id));
    outputs.insert("name".to_owned(), policy.get("name").cloned().unwrap_or_default());
    Some(Remote {
        id: format!("{application}/{id}"),
        spec: Json::Object(spec),
        outputs,
        version: None,
        raw: policy.clone(),
    })
}

/// The application's id and the policy's own.
fn ids<'a>(work: &'a Work<'_>) -> Result<(&'a str, &'a str), KindError> {
    let remote = work.remote.ok_or_else(|| KindError::Answer("id".to_owned()))?;
    remote.id.split_once('/').ok_or_else(|| KindError::Answer("id".to_owned()))
}

impl Kind for AccessApplicationPolicy {
    fn name(&self) -> &'static str {
        "access_application_policy"
    }

    fn doc(&self) -> &'static str {
        "A policy of one Access application, which has no `policies` of its own then."
    }

    fn service(&self) -> Service {
        Service::Cloudflare
    }

    fn schema(&self) -> schemars::Schema {
        schemars::schema_for!(AccessApplicationPolicySpec)
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
        let mut problems = check_policy(spec);
        if spec.get("precedence").and_then(Json::as_u64) == Some(0) {
            problems.push(Problem::error("precedence", "precedences count from 1"));
        }
        problems
    }

    fn needs(&self, spec: &Json) -> Vec<Need> {
        access_rules::needs(spec)
    }

    fn declare(&self, spec: &Json, scope: &Scope) -> Result<Json, Problem> {
        declare_policy(spec, scope)
    }

    /// The list of applications shows their policies; no list of its own is read.
    fn locate(&self, spec: Option<&Json>, id: Option<&str>, scope: &Scope) -> Option<Locate> {
        let unknown = spec.and_then(|spec| spec.get("application")).is_some_and(is_special);
        if unknown && id.is_none() {
            return None;
        }
        Some(Locate::In(vec![super::access_application::listing(scope)]))
    }

    fn read(&self, item: &Json, scope: &Scope) -> Vec<Remote> {
        let Some(application) = text(item, "id").filter(|_| item.get("decision").is_none()) else {
            return Vec::new();
        };
        items(item, "policies")
            .iter()
            .filter(|policy| is_own(policy))
            .filter_map(|policy| remote(application, policy, scope))
            .collect()
    }

    fn fetch(&self, id: &str, scope: &Scope) -> Option<Call> {
        let (application, _) = id.split_once('/')?;
        let path = format!("/accounts/{}/access/apps/{application}", scope.account_id);
        Some(Call::get(Service::Cloudflare, path).purpose("reading the policy's application"))
    }

    fn path(&self, id: &str, scope: &Scope) -> Option<String> {
        let (application, policy) = id.split_once('/')?;
        Some(format!("{}/{policy}", collection(scope, application)))
    }

    fn fits(&self, spec: &Json, remote: &Remote) -> bool {
        ["application", "name"].iter().all(|field| spec.get(*field) == remote.spec.get(*field))
    }

    fn key(&self, spec: &Json) -> JsonMap {
        pick(spec, &["application", "name"])
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

    fn replaces(&self, path: &str, _spec: &Json, _remote: &Remote) -> Option<String> {
        (path == "application").then(|| "a policy stays with its application".to_owned())
    }

    fn next(&self, work: &Work<'_>, answers: &[Answer]) -> Result<Next, KindError> {
        let application = match work.remote {
            Some(_) => ids(work)?.0,
            None => text(work.spec, "application").ok_or_else(|| KindError::Impossible {
                message: "the application's id is not known".to_owned(),
                hint: None,
            })?,
        };
        let collection = collection(work.scope, application);
        match (work.verb, answers.last()) {
            (Verb::Delete, Some(answer)) if is_gone(answer) => Ok(Next::gone()),
            (Verb::Delete, Some(answer)) => Err(refused(answer, None)),
            (_, Some(answer)) => {
                let remote = remote(application, &answer.body, work.scope);
                remote.map(Next::done).ok_or_else(|| KindError::Answer("id".to_owned()))
            }
            (Verb::Create, None) => {
                let call = Call::change(Service::Cloudflare, Method::Post, collection)
                    .body(Json::Object(policy_body(work.spec)))
                    .key(pick(work.spec, &["name"]))
                    .purpose("creating the application's policy");
                Ok(Next::call(call))
            }
            (Verb::Update | Verb::Widen, None) => {
                let (_, id) = ids(work)?;
                let remote = work.remote.ok_or_else(|| KindError::Answer("id".to_owned()))?;
                let body = replacement_body(work, remote, &remote.raw);
                let call =
                    Call::change(Service::Cloudflare, Method::Put, format!("{collection}/{id}"))
                        .body(Json::Object(body))
                        .purpose("changing the application's policy");
                Ok(Next::call(call))
            }
            (Verb::Delete, None) => {
                let (_, id) = ids(work)?;
                let call =
                    Call::change(Service::Cloudflare, Method::Delete, format!("{collection}/{id}"))
                        .tolerate(&[404])
                        .purpose("deleting the application's policy");
                Ok(Next::call(call))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::testing::{
        Step, bodies, declare, example, line, ok, part_of, read, refusal, scope,
    };

    const APPLICATION: &str = include_str!("../../tests/contract/access_application.json");

    fn declared() -> Json {
        declare(
            &AccessApplicationPolicy,
            json!({"application": "app", "precedence": 1, "name": "p", "decision": "allow",
                "include": [{"login_method": "GitHub"}]}),
        )
    }

    #[test]
    fn policies_of_the_application_are_found_in_the_list_of_applications() {
        let mut item = example(APPLICATION);
        assert!(AccessApplicationPolicy.read(&item, &scope()).is_empty());
        item["id"] = json!("app");
        item["policies"][0]["reusable"] = json!(false);
        item["policies"][0]["id"] = json!("pol");
        let remote = read(&AccessApplicationPolicy, &item);
        assert_eq!(remote.id, "app/pol");
        assert_eq!(remote.spec["application"], "app");
        assert_eq!(remote.spec["precedence"], 1);
    }

    #[test]
    fn a_policy_is_created_replaced_and_deleted_below_its_application() {
        let kind = &AccessApplicationPolicy;
        let step = Step::new(kind, Verb::Create, declared(), None);
        let mut echo = Json::Object(policy_body(&declared()));
        echo["id"] = json!("pol");
        let (calls, end) = step.run(&[ok(echo.clone())]);
        assert_eq!(line(&calls[0]), "POST /accounts/acc/access/apps/app/policies");
        assert!(bodies(&calls)[0].get("application").is_none());
        let remote = end.unwrap().unwrap();
        assert_eq!(remote.id, "app/pol");
        assert!(part_of(&declared(), &remote.spec));

        let step = Step::new(kind, Verb::Update, declared(), Some(remote.clone()));
        let (calls, _) = step.run(&[ok(echo)]);
        assert_eq!(line(&calls[0]), "PUT /accounts/acc/access/apps/app/policies/pol");

        let step = Step::new(kind, Verb::Delete, declared(), Some(remote));
        let (calls, end) = step.run(&[refusal(404, "12135")]);
        assert_eq!(line(&calls[0]), "DELETE /accounts/acc/access/apps/app/policies/pol");
        assert_eq!(end, Ok(None));
    }
}
