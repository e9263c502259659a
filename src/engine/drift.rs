//! Drift: recorded against observed, with nothing else looked at.

use crate::model::address::Address;
use crate::model::change::{Drift, DriftKind, FieldChange};
use crate::model::error::Report;
use crate::model::kind::{Facts, Kind};
use crate::model::observed::{Observed, Remote, World};
use crate::model::resource::Stack;
use crate::model::scope::Scope;
use crate::model::state::{Recorded, State};

use super::exposure::{self, Role};

/// What drift found in one stack.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// What someone changed, deleted or added.
    pub drift: Vec<Drift>,
    /// What could not be read, and what else there is to tell.
    pub checks: Vec<Report>,
}

/// Compares every record with what was observed. `stack` tells what is ignored or shared; records
/// whose file is gone are compared without.
pub fn drift(
    stack: Option<&Stack>,
    state: &State,
    world: &World,
    kinds: fn(&str) -> Option<&'static dyn Kind>,
    scope: &Scope,
) -> Found {
    let mut found = Found::default();
    for (address, recorded) in &state.resources {
        let Some(kind) = kinds(address.kind()) else { continue };
        let remote = match world.resources.get(address) {
            Some(Observed::Present(remote)) => remote,
            Some(Observed::Absent | Observed::Going(_)) | None => {
                let spent = kind.is_spent(&recorded.sent, recorded.end);
                if !recorded.replacing && !spent {
                    let id = Some(serde_json::json!(recorded.id));
                    found.drift.push(one(
                        address,
                        DriftKind::Missing,
                        vec![FieldChange::new("id", id, None)],
                    ));
                    found.checks.extend(exposed(kind, address, recorded, None, scope));
                }
                continue;
            }
            Some(Observed::Unreadable(why)) => {
                let report = Report::error(format!("{address} could not be read"));
                found.checks.push(report.code("unreadable").about(address).cause(why));
                continue;
            }
        };
        found.checks.extend(exposed(kind, address, recorded, Some(remote), scope));
        let meta = stack.and_then(|stack| stack.resource(address)).map(|resource| &resource.meta);
        let ignored = stack.map_or(&[][..], |stack| stack.ignored(address));
        let diffed = kind.diff(&Facts {
            declared: None,
            sent: Some(&recorded.sent),
            answered: Some(&recorded.answered),
            version: recorded.version.as_deref(),
            remote,
            preview: None,
            ignore: meta.map_or(ignored, |meta| &meta.ignore),
            force: meta.map_or(&[], |meta| &meta.force),
            shared: meta.map_or(&recorded.shared, |meta| &meta.shared),
        });
        if !diffed.drift.is_empty() {
            found.drift.push(one(address, DriftKind::Drifted, diffed.drift));
        }
        let ids = state.resources.values().map(|recorded| recorded.id.as_str());
        let beside = foreign(&diffed.foreign, ids);
        if !beside.is_empty() {
            found.drift.push(one(address, DriftKind::Foreign, beside));
        }
        if let Some(other) = kind.tracked_by(remote) {
            let text = format!("{address} is kept by {other} as well, and boxctl's");
            found.checks.push(Report::warning("two-owners", text).about(address));
        }
    }
    found
}

/// Warnings about hostnames that an application guarded when it was written last, and that someone
/// else left without it. `remote` is what is there now.
pub(super) fn exposed(
    kind: &dyn Kind,
    address: &Address,
    recorded: &Recorded,
    remote: Option<&Remote>,
    scope: &Scope,
) -> Vec<Report> {
    if recorded.replacing || exposure::role(kind.name()) != Some(Role::Guard) {
        return Vec::new();
    }
    let guarded = remote.map(|remote| kind.hostnames(&remote.spec, scope)).unwrap_or_default();
    let what = if remote.is_some() { "changed" } else { "deleted" };
    kind.hostnames(&recorded.sent, scope)
        .into_iter()
        .filter(|hostname| !guarded.iter().any(|pattern| exposure::fits(pattern, hostname)))
        .map(|hostname| {
            Report::warning(
                "exposed",
                format!("{hostname} is open to everyone: {address} was {what} by someone else"),
            )
            .about(address)
            .hint("apply puts it right before it touches anything else of that hostname")
        })
        .collect()
}

/// What stands beside a resource, less what is recorded as a resource of its own: a policy of one
/// application shows on the application too.
pub(super) fn foreign<'a>(
    found: &[FieldChange],
    recorded: impl Iterator<Item = &'a str> + Clone,
) -> Vec<FieldChange> {
    let is_ours = |path: &str| {
        let id = path.split("[id=\"").nth(1).and_then(|rest| rest.strip_suffix("\"]"));
        id.is_some_and(|id| {
            recorded.clone().any(|ours| ours == id || ours.rsplit('/').next() == Some(id))
        })
    };
    found.iter().filter(|change| !is_ours(&change.path)).cloned().collect()
}

fn one(address: &Address, kind: DriftKind, paths: Vec<FieldChange>) -> Drift {
    Drift { address: address.clone(), kind, paths }
}
