//! Policies: the account's reusable ones and those of one application (contract 6.2).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Scope, State, duration, required_name, rules};
use crate::sandbox::cloudflare::reply::{Answer, ApiError, Outcome, Paging, page};
use crate::sandbox::cloudflare::{Call, is_uuid};
use crate::sandbox::env::Env;
use crate::sandbox::quirks::Quirk;

/// A policy.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Policy {
    /// UUID.
    pub id: String,
    /// The account it belongs to.
    pub account_id: String,
    /// The application that owns it; a reusable policy has none.
    pub app: Option<String>,
    fields: Map<String, Value>,
    /// When it was made.
    pub created_at: String,
    updated_at: String,
}

const PAGING: Paging = Paging { default: 100, min: 1, max: 1000 };

/// `/accounts/{account}/access/policies/…`.
pub fn handle(
    state: &mut State,
    call: &Call<'_>,
    scope: &Scope,
    rest: &[&str],
    env: &mut Env,
) -> Outcome {
    match (call.method, rest) {
        ("GET", []) => {
            let rows = state.policies.iter().filter(|p| p.is_reusable_in(&scope.account));
            page(rows.map(|policy| policy.shown(state, None)).collect(), call.query(), PAGING)
        }
        ("POST", []) => {
            let policy = Policy::made(&call.object()?, &scope.account, None, env)?;
            let answer = policy.shown(state, None);
            state.policies.push(policy);
            Ok(Answer::created(answer))
        }
        (method, []) => Err(ApiError::no_method(method)),
        (_, [id]) if !is_uuid(id) => Err(ApiError::no_route(call.path)),
        (method, [id]) => {
            let found = |p: &Policy| p.id == **id && p.is_reusable_in(&scope.account);
            let at = state.policies.iter().position(found).ok_or_else(not_found)?;
            match method {
                "GET" => Ok(Answer::ok(state.policies[at].shown(state, None))),
                "PUT" => {
                    state.policies[at].replace(&call.object()?, env)?;
                    Ok(Answer::ok(state.policies[at].shown(state, None)))
                }
                "DELETE" => delete(state, at, env),
                method => Err(ApiError::no_method(method)),
            }
        }
        _ => Err(ApiError::no_route(call.path)),
    }
}

/// What deleting an attached policy does is not known (contract 12, 11): it is refused, or the
/// policy leaves its applications.
fn delete(state: &mut State, at: usize, env: &Env) -> Outcome {
    let id = state.policies[at].id.clone();
    let users = state.apps.iter().filter(|app| app.policies.iter().any(|l| l.id == id)).count();
    if users > 0 && !env.open(Quirk::DetachingDelete) {
        let text = format!("policy {id} is used by {users} application(s)");
        return Err(ApiError::invalid_request(text));
    }
    for app in &mut state.apps {
        app.policies.retain(|link| link.id != id);
    }
    state.policies.remove(at);
    Ok(Answer::deleted(&id))
}

/// The refusal of an unknown policy.
pub fn not_found() -> ApiError {
    ApiError::new(404, 12135, "access.api.error.policy_not_found")
}

impl Policy {
    /// A new policy out of a body.
    pub fn made(
        body: &Map<String, Value>,
        account: &str,
        app: Option<&str>,
        env: &mut Env,
    ) -> Result<Policy, ApiError> {
        let fields = fields(body)?;
        Ok(Policy {
            id: env.ids.uuid(),
            account_id: account.to_owned(),
            app: app.map(str::to_owned),
            fields,
            created_at: env.stamp(),
            updated_at: env.stamp(),
        })
    }

    /// A full replacement: what is not written goes back to its default.
    pub fn replace(&mut self, body: &Map<String, Value>, env: &Env) -> Result<(), ApiError> {
        self.fields = fields(body)?;
        self.updated_at = env.stamp();
        Ok(())
    }

    /// Whether it is a reusable policy of `account`.
    pub fn is_reusable_in(&self, account: &str) -> bool {
        self.app.is_none() && self.account_id == account
    }

    /// The policy as answers show it; with its precedence where an application is asked.
    pub fn shown(&self, state: &State, precedence: Option<u64>) -> Value {
        let mut object = json!({ "id": self.id, "uid": self.id });
        for (name, value) in &self.fields {
            object[name] = value.clone();
        }
        if let Some(precedence) = precedence {
            object["precedence"] = precedence.into();
        }
        object["reusable"] = self.app.is_none().into();
        if self.app.is_none() && precedence.is_none() {
            let users =
                state.apps.iter().filter(|app| app.policies.iter().any(|l| l.id == self.id));
            object["app_count"] = users.count().into();
            object["account_id"] = json!(self.account_id);
        }
        object["created_at"] = json!(self.created_at);
        object["updated_at"] = json!(self.updated_at);
        object
    }
}

/// Members that are kept as sent where they have the right type.
const SWITCHES: &[&str] =
    &["approval_required", "isolation_required", "purpose_justification_required"];
const OTHERS: &[&str] =
    &["approval_groups", "purpose_justification_prompt", "connection_rules", "mfa_config"];

fn fields(body: &Map<String, Value>) -> Result<Map<String, Value>, ApiError> {
    let decision = super::super::text(body, "decision").unwrap_or_default();
    if !matches!(decision, "allow" | "deny" | "non_identity" | "bypass") {
        let text = "decision must be allow, deny, non_identity or bypass";
        return Err(ApiError::invalid_request(text));
    }
    let include = rules::checked(body, "include")?;
    if include.as_array().is_none_or(Vec::is_empty) {
        return Err(ApiError::invalid_request("include needs at least one rule"));
    }
    let mut fields = Map::new();
    fields.insert("name".to_owned(), required_name(body)?.into());
    fields.insert("decision".to_owned(), decision.into());
    fields.insert("session_duration".to_owned(), duration(body, "24h")?.into());
    fields.insert("include".to_owned(), include);
    fields.insert("exclude".to_owned(), rules::checked(body, "exclude")?);
    fields.insert("require".to_owned(), rules::checked(body, "require")?);
    for name in SWITCHES {
        match body.get(*name) {
            None | Some(Value::Null | Value::Bool(false)) => {}
            Some(Value::Bool(true)) => {
                fields.insert((*name).to_owned(), true.into());
            }
            Some(_) => {
                return Err(ApiError::invalid_request(format_args!("{name} must be a boolean")));
            }
        }
    }
    for name in OTHERS {
        if let Some(value) = body.get(*name).filter(|value| !value.is_null()) {
            fields.insert((*name).to_owned(), value.clone());
        }
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::sandbox::cloudflare::testing::Sandbox;

    fn body(name: &str) -> Value {
        json!({"name": name, "decision": "allow", "include": [{"everyone": {}}]})
    }

    #[test]
    fn names_need_not_be_unique_and_puts_reset() {
        let mut sandbox = Sandbox::new();
        let path = format!("/accounts/{}/access/policies", sandbox.account());
        let mut long = body("p");
        long["session_duration"] = json!("30m");
        long["require"] = json!([{"email": {"email": "a@b.c"}}]);
        let (status, made) = sandbox.call("POST", &path, Some(long));
        assert_eq!(status, 201);
        assert_eq!(made["result"]["reusable"], true);
        assert_eq!(made["result"]["app_count"], 0);
        assert_eq!(sandbox.status("POST", &path, Some(body("p"))), 201);
        assert_eq!(sandbox.get(&path)["result"].as_array().unwrap().len(), 2);
        let one = format!("{path}/{}", made["result"]["id"].as_str().unwrap());
        let put = sandbox.call("PUT", &one, Some(body("q"))).1["result"].clone();
        assert_eq!(put["session_duration"], "24h");
        assert_eq!(put["require"], json!([]));
        assert_eq!(sandbox.status("DELETE", &one, None), 202);
        assert_eq!(sandbox.status("DELETE", &one, None), 404);
    }

    #[test]
    fn bodies_that_lack_something_are_refused() {
        let mut sandbox = Sandbox::new();
        let path = format!("/accounts/{}/access/policies", sandbox.account());
        for field in ["name", "decision", "include"] {
            let mut lacking = body("p");
            lacking.as_object_mut().unwrap().shift_remove(field);
            assert_eq!(sandbox.refusal("POST", &path, Some(lacking)), (400, 12130), "{field}");
        }
        let mut wrong = body("p");
        wrong["include"] = json!([]);
        assert_eq!(sandbox.refusal("POST", &path, Some(wrong)), (400, 12130));
    }
}
