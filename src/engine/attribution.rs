//! Who changed something, and when, as far as services tell. Nothing is guessed: what is not surely
//! later than boxctl's own write is nobody's.

use jiff::Timestamp;

use crate::model::Json;
use crate::model::call::Service;
use crate::model::change::{Drift, DriftKind, FieldChange};
use crate::model::kind::Kind;
use crate::model::observed::Remote;
use crate::model::scope::Scope;
use crate::model::state::{Recorded, State};

use super::drift::keyed;

/// How much later than boxctl's own the service has to say that it was changed, in seconds, where
/// only this machine's clock tells when that was.
const DOUBT_S: i64 = 60;
/// How much later than the change itself the audit log may say that it was, in seconds: what the own
/// token did until then is boxctl's own write.
const LATE_S: i64 = 10;
/// How many are named as those who may have changed something.
const FEW: usize = 3;
/// What follows an object's path and is no change of it: calls about others, and readings.
const NOT_ITSELF: [&str; 4] = ["configurations", "connections", "token", "management"];

/// Since when an object is as it is, where its service says one time for the whole of it, later than
/// that of boxctl's last write.
pub fn date(kind: &dyn Kind, recorded: &Recorded, remote: &Remote, drift: &mut [FieldChange]) {
    if drift.is_empty() {
        return;
    }
    let Some(at) = kind.modified_at(remote).filter(|at| *at > last_write(recorded)) else { return };
    for field in drift.iter_mut().filter(|field| field.since.is_none() && kind.dates(&field.path)) {
        if let Some(own) = kind.own_name().filter(|_| field.by.is_none()) {
            field.by = Some(own.to_owned());
            let note = "written again under boxctl's name, by another run";
            field.note.get_or_insert_with(|| note.to_owned());
        }
        field.since = Some(at.to_string());
    }
}

/// The moment after which a change is surely not boxctl's last write.
fn last_write(recorded: &Recorded) -> Timestamp {
    let parse = |text: &str| text.parse::<Timestamp>().ok();
    let said = recorded.modified_at.as_deref().and_then(parse);
    let ours = || {
        let doubt = jiff::SignedDuration::from_secs(DOUBT_S);
        parse(&recorded.updated_at)?.checked_add(doubt).ok()
    };
    said.or_else(ours).unwrap_or(Timestamp::MAX)
}

/// A change that an account's audit log tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    at: Timestamp,
    deletes: bool,
    /// The path below account or zone.
    path: Vec<String>,
    /// The id of what it was about.
    resource: Option<String>,
    who: String,
    /// The id of the API token that was used.
    pub token: Option<String>,
}

/// What follows the account or the zone in a path, which may be the dashboard's.
fn below(path: &str) -> Vec<String> {
    let path = path.split('?').next().unwrap_or_default();
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let scope = parts.iter().position(|part| ["accounts", "zones"].contains(part));
    let rest = scope.map_or(&[][..], |at| parts.get(at + 2..).unwrap_or_default());
    rest.iter().map(|part| (*part).to_owned()).collect()
}

impl Told {
    /// An entry of the audit log (version 2); None for what changed nothing. Bodies of requests,
    /// which may hold secrets, are not looked at.
    pub fn read(entry: &Json) -> Option<Told> {
        let text = |pointer: &str| {
            let value = entry.pointer(pointer).and_then(Json::as_str);
            value.filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let method = text("/raw/method").unwrap_or_default();
        let action = text("/action/type").unwrap_or_default();
        if text("/action/result").is_some_and(|result| result != "success")
            || action == "view"
            || method == "GET"
        {
            return None;
        }
        Some(Told {
            at: text("/action/time")?.parse().ok()?,
            deletes: method == "DELETE" || method.is_empty() && action == "delete",
            path: below(&text("/raw/uri").unwrap_or_default()),
            resource: text("/resource/id"),
            who: who(
                &text("/actor/type").unwrap_or_default(),
                &text("/actor/context").unwrap_or_default(),
                text("/actor/email"),
                text("/actor/token_name"),
            ),
            token: text("/actor/token_id"),
        })
    }

    /// Whether it is about an object with this path.
    fn is_about(&self, object: &[String]) -> bool {
        let rest = self.path.strip_prefix(object);
        let of_itself =
            |rest: &[String]| rest.first().is_none_or(|next| !NOT_ITSELF.contains(&next.as_str()));
        !object.is_empty() && rest.is_some_and(of_itself)
    }

    /// Whether it is about an object with this id in this collection, or in a batch of it.
    fn names(&self, id: &str, collection: &[String]) -> bool {
        self.path.starts_with(collection) && self.resource.as_deref() == Some(id)
    }

    /// Whether it took the object away, or what holds it.
    fn removed(&self, object: &[String], id: &str) -> bool {
        let holds = self.path.len() > 1 && object.starts_with(&self.path);
        let collection = object.split_last().map_or(&[][..], |(_, collection)| collection);
        self.deletes && (holds || self.names(id, collection))
    }
}

/// An actor of the audit log as people call it.
fn who(kind: &str, context: &str, email: Option<String>, token: Option<String>) -> String {
    match (kind, context, email, token) {
        ("system" | "delegated_service", ..) => "Cloudflare itself".to_owned(),
        ("cloudflare_admin", ..) => "Cloudflare's staff".to_owned(),
        (_, "api_token", Some(email), Some(token)) => format!("the API token {token} of {email}"),
        (_, "api_token", None, Some(token)) => format!("the API token {token}"),
        (_, "api_token", Some(email), None) => format!("an API token of {email}"),
        (_, "oauth", Some(email), Some(app)) => format!("{email} by {app}"),
        (_, "api_key", Some(email), _) => format!("{email} by the global API key"),
        (_, "dash", Some(email), _) => format!("{email} in the dashboard"),
        (_, _, Some(email), _) => email,
        (_, _, None, _) => "someone whom the audit log does not name".to_owned(),
    }
}

/// What an audit log is held against.
pub struct Log<'a> {
    /// What is recorded.
    pub state: &'a State,
    /// What it tells, newest first.
    pub told: &'a [Told],
    /// The id of the token that boxctl uses, where that is known.
    pub own_token: Option<&'a str>,
    /// Finds kinds by name.
    pub kinds: fn(&str) -> Option<&'static dyn Kind>,
    /// The accounts.
    pub scope: &'a Scope,
}

/// From when on the audit log may tell of what was found at Cloudflare; None where nothing was.
pub fn wanted_since(
    drift: &[Drift],
    state: &State,
    kinds: fn(&str) -> Option<&'static dyn Kind>,
) -> Option<Timestamp> {
    let of = |one: &Drift| {
        let recorded = state.resources.get(&one.address)?;
        let kind = kinds(&recorded.kind).filter(|kind| kind.service() == Service::Cloudflare);
        kind?;
        let said = match one.kind {
            DriftKind::Foreign => &recorded.created_at,
            _ => recorded.modified_at.as_ref().unwrap_or(&recorded.updated_at),
        };
        said.parse::<Timestamp>().ok()
    };
    drift.iter().filter_map(of).min()
}

/// Whether it is another object, and not an item of the object itself.
fn is_beside(field: &FieldChange) -> bool {
    field.path.starts_with("beside[")
}

/// Names those who made what was found at Cloudflare, by the audit log.
pub fn name(drift: &mut [Drift], log: &Log<'_>) {
    for one in drift {
        let Some(recorded) = log.state.resources.get(&one.address) else { continue };
        let Some(kind) = (log.kinds)(&recorded.kind) else { continue };
        if kind.service() != Service::Cloudflare {
            continue;
        }
        let Some(path) = kind.path(&recorded.id, log.scope) else { continue };
        let object = below(&path);
        let id = recorded.id.rsplit('/').next().unwrap_or_default();
        match one.kind {
            DriftKind::Missing => {
                let removal = log.told.iter().filter(|told| told.removed(&object, id)).take(1);
                put(&mut one.paths, &removal.collect::<Vec<_>>(), log.own_token);
            }
            DriftKind::Drifted => {
                let later = log.later(recorded, |told| !told.deletes && told.is_about(&object));
                put(&mut one.paths, &later, log.own_token);
            }
            DriftKind::Foreign => {
                let collection = object.split_last().map_or(&[][..], |(_, collection)| collection);
                for field in &mut one.paths {
                    let other = keyed(&field.path, "id").filter(|_| is_beside(field));
                    // Another object has an id of its own, and whoever is told of with it made it.
                    let found: Vec<&Told> = match other {
                        Some(id) => log.told.iter().filter(|t| t.names(id, collection)).collect(),
                        None => log.later(recorded, |told| !told.deletes && told.is_about(&object)),
                    };
                    put(std::slice::from_mut(field), &found, log.own_token);
                }
            }
        }
    }
}

impl Log<'_> {
    /// What fits and is surely later than boxctl's last write, newest first.
    fn later(&self, recorded: &Recorded, fits: impl Fn(&Told) -> bool) -> Vec<&Told> {
        let own = last_write(recorded);
        // The same write is told of a little later than the object says, if it is boxctl's own.
        let may_be_ours = |told: &Told| {
            let is_own = told.token.is_some()
                && self.own_token.is_none_or(|own| told.token.as_deref() == Some(own));
            is_own && told.at.duration_since(own).as_secs() < LATE_S
        };
        self.told.iter().filter(|told| fits(told) && told.at > own && !may_be_ours(told)).collect()
    }
}

/// Puts the actors to fields of which nobody is known yet. Several may have been at it, and which of
/// them did what the log does not say.
fn put(fields: &mut [FieldChange], told: &[&Told], own_token: Option<&str>) {
    let Some(newest) = told.first() else { return };
    let mut names: Vec<String> = Vec::new();
    for one in told {
        let is_own = one.token.is_some() && one.token.as_deref() == own_token;
        let name = match is_own {
            true => format!("{}, which boxctl uses here, in another run", one.who),
            false => one.who.clone(),
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let more = names.len().saturating_sub(FEW);
    names.truncate(FEW);
    let mut by = names.join(", or ");
    if more > 0 {
        by.push_str(", or others");
    }
    for field in fields.iter_mut().filter(|field| field.by.is_none()) {
        field.by = Some(by.clone());
        field.since.get_or_insert_with(|| newest.at.to_string());
    }
}

#[cfg(test)]
#[path = "attribution_tests.rs"]
mod tests;
