//! Drift: recorded against observed, with nothing else looked at.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::address::Address;
use crate::model::change::{Action, Drift, DriftKind, FieldChange};
use crate::model::error::{Level, Report};
use crate::model::kind::{Facts, Kind};
use crate::model::observed::{Observed, Remote, World};
use crate::model::resource::Stack;
use crate::model::scope::Scope;
use crate::model::state::{Recorded, State};
use crate::model::unread::Taken;

use super::exposure::{self, Role};
use super::{attribution, values};

/// The code of the warning that another tool keeps an object of boxctl's, too.
const TWO_OWNERS: &str = "two-owners";
/// The code of the warning that a hostname is open which an application guarded.
const EXPOSED: &str = "exposed";

/// What drift found in one stack.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// What someone changed, deleted or added.
    pub drift: Vec<Drift>,
    /// Values that were taken as they are recorded, since they were not read.
    pub taken: Vec<Taken>,
    /// What could not be read, and what else there is to tell.
    pub checks: Vec<Report>,
    /// What the files ask for and was not applied yet: no drift.
    pub pending: Vec<(Address, Action)>,
}

/// Compares every record with what was observed. `stack` tells what is ignored or shared; records
/// whose file is gone are compared without. `fellows` are hostnames that other stacks have in lists
/// that this one shares.
pub fn drift(
    stack: &Stack,
    fellows: &BTreeMap<String, String>,
    state: &State,
    world: &World,
    kinds: fn(&str) -> Option<&'static dyn Kind>,
    scope: &Scope,
) -> Found {
    let mut found = Found::default();
    for (address, recorded) in &state.resources {
        let meta = stack.resource(address).map(|resource| &resource.meta);
        // The next apply gives it up.
        if meta.is_some_and(|meta| meta.applied_elsewhere) {
            continue;
        }
        let Some(kind) = kinds(address.kind()) else { continue };
        let remote = match world.resources.get(address) {
            Some(Observed::Present(remote)) => remote,
            seen @ (Some(Observed::Absent | Observed::Going(_)) | None) => {
                let spent = kind.is_spent(&recorded.sent, recorded.end);
                if !recorded.replacing && !spent {
                    let id = Some(serde_json::json!(recorded.id));
                    let mut gone = FieldChange::new("id", id, None);
                    if let Some(Observed::Going(remote)) = seen {
                        gone.since = kind.going_since(remote).map(|at| at.to_string());
                        gone.note = Some(kind.held(&remote.raw));
                    }
                    found.drift.push(one(address, DriftKind::Missing, vec![gone]));
                    found.checks.extend(exposed(kind, address, recorded, None, scope));
                }
                continue;
            }
            Some(Observed::Unreadable(why)) => {
                found.checks.push(Report::unreadable(address, why));
                continue;
            }
        };
        found.checks.extend(exposed(kind, address, recorded, Some(remote), scope));
        let ignored = stack.ignored(address);
        let ignore = meta.map_or(ignored, |meta| &meta.ignore);
        let mut diffed = kind.diff(&Facts {
            declared: None,
            sent: Some(&recorded.sent),
            answered: Some(&recorded.answered),
            version: recorded.version.as_deref(),
            remote,
            preview: None,
            ignore,
            force: meta.map_or(&[], |meta| &meta.force),
            shared: meta.map_or(&recorded.shared, |meta| &meta.shared),
        });
        let readings = world.readings.get(address).map(Vec::as_slice);
        let read = readings.unwrap_or_default();
        values::add(kind, None, recorded, read, ignore, &mut diffed);
        let taken = values::taken(kind, address, recorded, readings, ignore, remote, scope);
        found.checks.extend(values::reports(address, read, &taken, ignore));
        found.taken.extend(taken);
        attribution::date(kind, recorded, remote, &mut diffed.drift);
        if !diffed.drift.is_empty() {
            found.drift.push(one(address, DriftKind::Drifted, diffed.drift));
        }
        let ids = state.resources.values().map(|recorded| recorded.id.as_str());
        let new = world.beside.get(address).into_iter().flatten();
        let new = new.filter(|other| is_new(kind, recorded, remote, other));
        let new = new.filter_map(|other| kind.overlaid(&recorded.sent, other));
        let unknown =
            diffed.foreign.into_iter().filter(|one| !recorded.beside.contains(&name(one)));
        let around: Vec<FieldChange> = unknown.chain(new).collect();
        let beside = foreign(&around, ids, fellows);
        if !beside.is_empty() {
            found.drift.push(one(address, DriftKind::Foreign, beside));
        }
        if let Some(other) = kind.tracked_by(remote) {
            let text = format!("{address}: {other} tracks this object, which is boxctl's");
            found.checks.push(Report::warning(TWO_OWNERS, text).about(address));
        }
    }
    found.checks.retain(|check| {
        check.level == Level::Error
            || check.code.as_ref().is_none_or(|code| !stack.accept.contains_key(code))
    });
    found
}

/// However many objects of however many stacks another tool keeps as well, that is one warning a
/// run. It stands with the first stack that has one.
pub fn tell_two_owners_once(stacks: &mut [&mut Vec<Report>]) {
    let is = |check: &Report| check.code.as_deref() == Some(TWO_OWNERS);
    let all = stacks.iter().flat_map(|checks| checks.iter().filter(|check| is(check)));
    let addresses: BTreeSet<Address> = all.filter_map(|check| check.address.clone()).collect();
    if addresses.len() < 2 {
        return;
    }
    let mut first = true;
    for checks in stacks.iter_mut() {
        checks.retain_mut(|check| {
            if !is(check) {
                return true;
            }
            if std::mem::take(&mut first) {
                check.message =
                    format!("{} objects are tracked by another tool as well", addresses.len());
                check.causes = addresses.iter().map(Address::to_string).collect();
                check.address = None;
                check.location = None;
                return true;
            }
            false
        });
    }
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
                EXPOSED,
                format!("{hostname} is open to everyone: {address} was {what} by someone else"),
            )
            .about(address)
            .hint("apply puts it right before it touches anything else of that hostname")
        })
        .collect()
}

/// Notes what stands beside an object that was just written. What came since it was made or taken
/// over stays unknown, whatever else is written.
pub fn note_beside(kind: &dyn Kind, record: &mut Recorded, remote: &Remote) {
    let facts = Facts {
        declared: None,
        sent: Some(&record.sent),
        answered: Some(&record.answered),
        version: record.version.as_deref(),
        remote,
        preview: None,
        ignore: &[],
        force: &[],
        shared: &record.shared,
    };
    let there: BTreeSet<String> = kind.diff(&facts).foreign.iter().map(name).collect();
    if record.created_at == record.updated_at {
        record.beside = there;
    } else {
        record.beside.retain(|known| there.contains(known));
    }
}

/// What tells something that stands beside from others: where it is, and for a rule of an ingress,
/// which has that within its hostname, the path too.
fn name(beside: &FieldChange) -> String {
    let path = beside.after.as_ref().and_then(|item| item.get("path"));
    let path = path.and_then(serde_json::Value::as_str).unwrap_or_default();
    format!("{}{path}", beside.path)
}

/// Whether another object came after ours: what was there when ours was made or taken over is
/// known to whoever did that. Of what does not say when it was made, nobody can tell.
fn is_new(kind: &dyn Kind, recorded: &Recorded, ours: &Remote, other: &Remote) -> bool {
    let taken = recorded.created_at.parse().ok().filter(|_| recorded.adopted);
    match (kind.made_at(other), kind.made_at(ours)) {
        (Some(theirs), Some(ours)) => taken.map_or(ours, |taken| ours.max(taken)) < theirs,
        _ => false,
    }
}

/// What stands beside a resource, less what is recorded as a resource of its own (a policy of one
/// application shows on the application too), and less what another stack of the project has there.
pub(super) fn foreign<'a>(
    found: &[FieldChange],
    recorded: impl Iterator<Item = &'a str> + Clone,
    fellows: &BTreeMap<String, String>,
) -> Vec<FieldChange> {
    let is_ours = |path: &str| {
        keyed(path, "id").is_some_and(|id| {
            recorded.clone().any(|ours| ours == id || ours.rsplit('/').next() == Some(id))
        })
    };
    let is_a_fellows =
        |path: &str| keyed(path, "hostname").is_some_and(|h| fellows.contains_key(h));
    let is_anothers = |path: &str| !is_ours(path) && !is_a_fellows(path);
    found.iter().filter(|change| is_anothers(&change.path)).cloned().collect()
}

/// What an item of a list is called in a path: `list[key="this"]`.
pub(super) fn keyed<'p>(path: &'p str, key: &str) -> Option<&'p str> {
    path.split_once(&format!("[{key}=\""))?.1.strip_suffix("\"]")
}

/// These, with what they need and what needs them: a call about the one may show on the other.
pub fn neighbours(state: &State, touched: &BTreeSet<Address>) -> BTreeSet<Address> {
    let mut out = touched.clone();
    for (address, recorded) in &state.resources {
        if touched.contains(address) {
            out.extend(recorded.dependencies.iter().cloned());
        } else if recorded.dependencies.iter().any(|needed| touched.contains(needed)) {
            out.insert(address.clone());
        }
    }
    out
}

/// Takes out what a run under way works on, with what was said of it; where one works on another
/// stack (`others_work`), what stands beside may be that one's.
pub fn take_out(found: &mut Found, busy: &BTreeSet<Address>, others_work: bool) -> Vec<Drift> {
    let is_under_way = |one: &mut Drift| {
        busy.contains(&one.address) || others_work && one.kind == DriftKind::Foreign
    };
    let out = found.drift.extract_if(.., is_under_way).collect();
    found.checks.retain(|check| {
        let is_busy = check.address.as_ref().is_some_and(|address| busy.contains(address));
        !(is_busy && check.code.as_deref() == Some(EXPOSED))
    });
    out
}

/// Leaves out what stands beside a resource and is recorded by another stack, by these ids.
pub fn leave_out_recorded(found: &mut Vec<Drift>, ids: &BTreeSet<&str>) {
    for one in found.iter_mut().filter(|one| one.kind == DriftKind::Foreign) {
        let all = ids.iter().copied();
        one.paths = foreign(&one.paths, all, &BTreeMap::new());
    }
    found.retain(|one| !one.paths.is_empty());
}

fn one(address: &Address, kind: DriftKind, paths: Vec<FieldChange>) -> Drift {
    Drift { address: address.clone(), kind, paths }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warning(name: &str) -> Report {
        let address = Address::new("k8s", name);
        Report::warning(TWO_OWNERS, "Argo CD tracks it").about(&address)
    }

    #[test]
    fn two_owners_are_told_once_a_run() {
        let other = Report::note("something else");
        let mut a = vec![warning("Service/a/x"), other.clone(), warning("Service/a/y")];
        let mut b = vec![warning("Service/b/z")];
        tell_two_owners_once(&mut [&mut a, &mut b]);
        assert_eq!((a.len(), b.len()), (2, 0));
        assert_eq!(a[0].message, "3 objects are tracked by another tool as well");
        assert_eq!(a[0].causes, ["k8s.Service/a/x", "k8s.Service/a/y", "k8s.Service/b/z"]);
        let mut alone = vec![warning("Service/a/x"), other];
        tell_two_owners_once(&mut [&mut alone]);
        assert_eq!(alone[0], warning("Service/a/x"));
    }
}
