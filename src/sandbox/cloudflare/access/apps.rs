//! Applications and the policies that belong to one of them (contract 6.1).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::app_body::{Known, SINGLETONS, fields};
use super::links::{self, Link, Resolved};
use super::policies::{self, Policy};
use super::{PAGING, Scope, State};
use crate::sandbox::cloudflare::reply::{Answer, ApiError, Outcome, Query, page};
use crate::sandbox::cloudflare::{Call, State as Cloudflare, is_hex_id, is_uuid};
use crate::sandbox::env::Env;
use crate::sandbox::quirks::Quirk;

/// An application.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct App {
    /// UUID.
    pub id: String,
    /// The account it belongs to.
    pub account_id: String,
    /// The zone in whose scope it was made, if it was.
    pub zone_id: Option<String>,
    /// 64 hexadecimal digits, the same for the application's life.
    pub aud: String,
    fields: Map<String, Value>,
    /// In order of precedence.
    pub policies: Vec<Link>,
    created_at: String,
    updated_at: String,
}

/// `{scope}/access/apps/…`.
pub fn handle(
    state: &mut Cloudflare,
    call: &Call<'_>,
    scope: &Scope,
    rest: &[&str],
    env: &mut Env,
) -> Outcome {
    let access = &mut state.access;
    let [id, rest @ ..] = rest else {
        return match call.method {
            "GET" => list(access, scope, call.query(), env),
            "POST" => create(access, call, scope, env),
            method => Err(ApiError::no_method(method)),
        };
    };
    if !is_uuid(id) && !is_hex_id(id) {
        return Err(ApiError::new(400, 12045, "access.api.error.invalid_application_id"));
    }
    let at = access.apps.iter().position(|app| app.id == **id && app.is_in(scope, env));
    let at = at.ok_or_else(|| ApiError::new(404, 11021, "access.api.error.unknown_application"))?;
    match (call.method, rest) {
        ("GET", []) => Ok(Answer::ok(access.apps[at].shown(access))),
        ("PUT", []) => replace(access, at, call, env),
        ("DELETE", []) => delete(access, at),
        (_, ["policies", rest @ ..]) => own_policies(access, at, call, rest, env),
        ("POST", ["revoke_tokens"]) => Ok(Answer { status: 202, ..Answer::ok(json!({})) }),
        (method, []) => Err(ApiError::no_method(method)),
        _ => Err(ApiError::no_route(call.path)),
    }
}

fn list(access: &State, scope: &Scope, query: Query<'_>, env: &Env) -> Outcome {
    let exact = query.flag("exact") == Some(true);
    let fits = |wanted: &str, value: &str| match exact {
        true => value.eq_ignore_ascii_case(wanted),
        false => value.to_lowercase().contains(&wanted.to_lowercase()),
    };
    let rows = access.apps.iter().filter(|app| {
        let name = app.name().unwrap_or_default();
        app.is_in(scope, env)
            && query.get("name").is_none_or(|wanted| fits(wanted, name))
            && query.get("aud").is_none_or(|wanted| app.aud == wanted)
            && query.get("domain").is_none_or(|wanted| app.domains().any(|d| fits(wanted, d)))
            && query.get("search").is_none_or(|wanted| {
                fits(wanted, name) || app.domains().any(|domain| fits(wanted, domain))
            })
    });
    page(rows.map(|app| app.shown(access)).collect(), query, PAGING)
}

fn checked_fields(
    access: &State,
    account: &str,
    body: &Map<String, Value>,
) -> Result<Map<String, Value>, ApiError> {
    let ids = |items: &[super::Item]| -> Vec<String> {
        items.iter().filter(|i| i.account_id == account).map(|i| i.id.clone()).collect()
    };
    let (providers, tags) = (ids(&access.identity_providers), ids(&access.tags));
    fields(body, &Known { identity_providers: &providers, tags: &tags })
}

/// Whether another application of the account has one of these public destinations.
fn domain_taken(access: &State, account: &str, fields: &Map<String, Value>, but: &str) -> bool {
    let mine = domains(fields);
    access
        .apps
        .iter()
        .filter(|app| app.account_id == account && app.id != but)
        .any(|app| app.domains().any(|domain| mine.contains(&domain)))
}

fn domains(fields: &Map<String, Value>) -> Vec<&str> {
    let list = fields.get("self_hosted_domains").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).collect()
}

fn create(access: &mut State, call: &Call<'_>, scope: &Scope, env: &mut Env) -> Outcome {
    let body = call.object()?;
    if !body.contains_key("type") {
        return Err(ApiError::invalid_request("type is required"));
    }
    let fields = checked_fields(access, &scope.account, &body)?;
    let kind = super::super::text(&fields, "type").unwrap_or_default();
    let second = SINGLETONS.contains(&kind)
        && access.apps.iter().any(|app| {
            app.account_id == scope.account && app.fields.get("type") == fields.get("type")
        });
    if second || domain_taken(access, &scope.account, &fields, "") {
        let text = "access.api.error.application_already_exists";
        return Err(ApiError::new(409, 11010, text));
    }
    let mut app = App {
        id: env.ids.uuid(),
        account_id: scope.account.clone(),
        zone_id: scope.zone.clone(),
        aud: env.ids.hex(64),
        fields,
        policies: Vec::new(),
        created_at: env.stamp(),
        updated_at: env.stamp(),
    };
    if let Some(resolved) = links::resolve(access, &body, &scope.account, &app.id, env)? {
        app.policies = settle(access, &app.id, resolved);
    }
    let answer = app.shown(access);
    access.apps.push(app);
    Ok(Answer::created(answer))
}

/// Keeps the application's own policies that are still linked, and only those.
fn settle(access: &mut State, app: &str, resolved: Resolved) -> Vec<Link> {
    let Resolved { links, own } = resolved;
    for policy in own {
        match access.policies.iter_mut().find(|known| known.id == policy.id) {
            Some(known) => *known = policy,
            None => access.policies.push(policy),
        }
    }
    access.policies.retain(|policy| {
        policy.app.as_deref() != Some(app) || links.iter().any(|link| link.id == policy.id)
    });
    links
}

fn replace(access: &mut State, at: usize, call: &Call<'_>, env: &mut Env) -> Outcome {
    let body = call.object()?;
    let (id, account) = (access.apps[at].id.clone(), access.apps[at].account_id.clone());
    let fields = checked_fields(access, &account, &body)?;
    if fields.get("type") != access.apps[at].fields.get("type") {
        return Err(ApiError::invalid_request("the type of an application cannot be changed"));
    }
    if domain_taken(access, &account, &fields, &id) {
        return Err(ApiError::new(409, 11010, "destination belongs to another application"));
    }
    let resolved = links::resolve(access, &body, &account, &id, env)?;
    if let Some(resolved) = resolved {
        access.apps[at].policies = settle(access, &id, resolved);
    }
    access.apps[at].fields = fields;
    access.apps[at].updated_at = env.stamp();
    Ok(Answer::ok(access.apps[at].shown(access)))
}

fn delete(access: &mut State, at: usize) -> Outcome {
    let app = access.apps.remove(at);
    access.policies.retain(|policy| policy.app.as_ref() != Some(&app.id));
    Ok(Answer::deleted(&app.id))
}

/// `…/apps/{app}/policies/…`: the two id spaces of policies do not cross (contract 6.2).
fn own_policies(
    access: &mut State,
    at: usize,
    call: &Call<'_>,
    rest: &[&str],
    env: &mut Env,
) -> Outcome {
    let app = access.apps[at].clone();
    match (call.method, rest) {
        ("GET", []) => page(app.policies_shown(access), call.query(), PAGING),
        ("POST", []) => {
            let body = call.object()?;
            let last = app.policies.last().map_or(0, |link| link.precedence);
            let precedence = links::precedence(&body)?.unwrap_or(last + 1);
            let policy = Policy::made(&body, &app.account_id, Some(&app.id), env)?;
            place(&mut access.apps[at], &policy.id, precedence)?;
            let answer = policy.shown(access, Some(precedence));
            access.policies.push(policy);
            Ok(Answer::created(answer))
        }
        (method, []) => Err(ApiError::no_method(method)),
        (_, [id]) if !is_uuid(id) => Err(ApiError::no_route(call.path)),
        (method, [id]) => {
            let own = |p: &Policy| p.id == **id && p.app.as_ref() == Some(&app.id);
            let policy = access.policies.iter().position(own).ok_or_else(policies::not_found)?;
            let found = app.policies.iter().find(|link| link.id == **id);
            let precedence = found.map_or(1, |link| link.precedence);
            match method {
                "GET" => Ok(Answer::ok(access.policies[policy].shown(access, Some(precedence)))),
                "PUT" => {
                    let body = call.object()?;
                    let precedence = links::precedence(&body)?.unwrap_or(precedence);
                    let mut changed = access.policies[policy].clone();
                    changed.replace(&body, env)?;
                    place(&mut access.apps[at], id, precedence)?;
                    access.policies[policy] = changed;
                    Ok(Answer::ok(access.policies[policy].shown(access, Some(precedence))))
                }
                "DELETE" => {
                    access.policies.remove(policy);
                    access.apps[at].policies.retain(|link| link.id != **id);
                    Ok(Answer::deleted(id))
                }
                method => Err(ApiError::no_method(method)),
            }
        }
        _ => Err(ApiError::no_route(call.path)),
    }
}

fn place(app: &mut App, id: &str, precedence: u64) -> Result<(), ApiError> {
    if app.policies.iter().any(|link| link.id != id && link.precedence == precedence) {
        return Err(links::taken(precedence));
    }
    app.policies.retain(|link| link.id != id);
    app.policies.push(Link { id: id.to_owned(), precedence });
    app.policies.sort_by_key(|link| link.precedence);
    Ok(())
}

impl App {
    /// A singleton: `warp`, by which WARP clients enrol, or `app_launcher`, the page with all
    /// applications.
    pub fn singleton(kind: &str, account: &str, team: &str, env: &mut Env) -> App {
        let (name, domain) = match kind {
            "warp" => ("Warp Login App", format!("{team}/warp")),
            _ => ("App Launcher", team.to_owned()),
        };
        let fields = json!({
            "type": kind, "name": name, "domain": domain, "app_launcher_visible": false, "auto_redirect_to_identity": false,
            "session_duration": "24h", "allowed_idps": [], "tags": [],
        });
        App {
            id: env.ids.uuid(),
            account_id: account.to_owned(),
            zone_id: None,
            aud: env.ids.hex(64),
            fields: fields.as_object().cloned().unwrap_or_default(),
            policies: Vec::new(),
            created_at: env.stamp(),
            updated_at: env.stamp(),
        }
    }

    /// Applications of either scope are seen at the account's, unless those of zones stand apart;
    /// a zone sees its own.
    fn is_in(&self, scope: &Scope, env: &Env) -> bool {
        let seen = self.zone_id.is_none() || !env.quirks.has(Quirk::ZoneAppsApart);
        self.account_id == scope.account
            && scope.zone.as_ref().map_or(seen, |zone| self.zone_id.as_ref() == Some(zone))
    }

    /// Its name.
    pub fn name(&self) -> Option<&str> {
        super::super::text(&self.fields, "name")
    }

    fn domains(&self) -> impl Iterator<Item = &str> {
        domains(&self.fields).into_iter()
    }

    fn policies_shown(&self, access: &State) -> Vec<Value> {
        let shown = |link: &Link| {
            let policy = access.policies.iter().find(|policy| policy.id == link.id)?;
            Some(policy.shown(access, Some(link.precedence)))
        };
        self.policies.iter().filter_map(shown).collect()
    }

    /// The application as answers show it, its policies expanded.
    fn shown(&self, access: &State) -> Value {
        let mut object = json!({ "id": self.id, "uid": self.id, "aud": self.aud });
        for (name, value) in &self.fields {
            object[name] = value.clone();
        }
        object["created_at"] = json!(self.created_at);
        object["updated_at"] = json!(self.updated_at);
        object["policies"] = self.policies_shown(access).into();
        object
    }
}

#[cfg(test)]
#[path = "apps_tests.rs"]
mod tests;
