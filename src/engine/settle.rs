//! What happens to a declared resource, by what was observed and recorded of it.

use std::collections::BTreeMap;

use serde_json::json;

use crate::model::address::Address;
use crate::model::call::Service;
use crate::model::change::{Action, Change, Confidence, Drift, DriftKind, FieldChange, Phase};
use crate::model::error::Report;
use crate::model::kind::{Diffed, Facts, Kind, Readiness};
use crate::model::observed::{Observed, Preview, Remote};
use crate::model::path;
use crate::model::plan::Refresh;
use crate::model::resource::Resource;
use crate::model::state::Recorded;
use crate::model::value::Special;
use crate::model::{Json, JsonMap};

use super::plan::{Planner, Wanted};
use super::{fingerprint, values};

impl<'a> Planner<'a> {
    /// Decides about one resource; returns the object that stays, if one does.
    pub(super) fn settle(
        &mut self,
        kind: &dyn Kind,
        resource: &Resource,
        spec: &Json,
    ) -> Option<Remote> {
        let address = &resource.address;
        let recorded = self.recorded.get(address).cloned();
        match (self.observed(address), recorded) {
            (Observed::Unreadable(why), _) => {
                self.checks.push(Report::unreadable(address, why));
                self.blocked.insert(address.clone());
                None
            }
            (Observed::Present(remote), Some(recorded)) => {
                self.compare(kind, resource, spec, &recorded, remote)
            }
            (Observed::Going(_), recorded) => {
                let reason = "the one there is being deleted; it is waited for";
                self.missing(address, recorded.as_ref());
                self.create(kind, resource, spec, Some(reason.to_owned()));
                None
            }
            (Observed::Absent, Some(recorded))
                if !recorded.replacing && kind.is_spent(&recorded.sent, recorded.end) =>
            {
                if kind.recordable(spec) == recorded.sent {
                    self.unchanged.insert(address.clone());
                } else {
                    let reason = "it has ended and is gone, and is asked for with another manifest";
                    self.create(kind, resource, spec, Some(reason.to_owned()));
                }
                None
            }
            (Observed::Absent, Some(recorded)) => {
                self.missing(address, Some(&recorded));
                let reason = if recorded.replacing {
                    "it was being replaced".to_owned()
                } else {
                    "it is gone: someone deleted it".to_owned()
                };
                self.create(kind, resource, spec, Some(reason));
                None
            }
            (Observed::Present(remote), None) => {
                self.take_over(kind, resource, spec, std::slice::from_ref(remote))
            }
            (Observed::Absent, None) => {
                let world = self.input.world;
                match world.candidates.get(address) {
                    Some(candidates) if !candidates.is_empty() => {
                        self.take_over(kind, resource, spec, candidates)
                    }
                    _ => {
                        self.create(kind, resource, spec, None);
                        None
                    }
                }
            }
        }
    }

    pub(super) fn missing(&mut self, address: &Address, recorded: Option<&Recorded>) {
        let Some(recorded) = recorded.filter(|recorded| !recorded.replacing) else { return };
        let id = Some(json!(recorded.id));
        self.drift.push(Drift {
            address: address.clone(),
            kind: DriftKind::Missing,
            paths: vec![FieldChange::new("id", id, None)],
        });
        self.exposed(address, recorded, None);
    }

    /// Hostnames that an application guarded when it was written last, and guards no more.
    fn exposed(&mut self, address: &Address, recorded: &Recorded, remote: Option<&Remote>) {
        let Some(kind) = self.kind(address.kind()) else { return };
        self.checks.extend(super::drift::exposed(
            kind,
            address,
            recorded,
            remote,
            self.input.scope,
        ));
    }

    pub(super) fn change(&self, resource: &Resource, action: Action, spec: &Json) -> Change {
        let mut unknown = BTreeMap::new();
        collect_unknown("", spec, &mut unknown);
        Change {
            address: resource.address.clone(),
            action,
            phase: Phase::Whole,
            id: None,
            paths: Vec::new(),
            removed: Vec::new(),
            spec: Some(spec.clone()),
            before: None,
            unknown,
            reason: None,
            interrupts: None,
            confidence: Confidence::Compared,
            needs: Vec::new(),
            ground: "absent".to_owned(),
            restart: BTreeMap::new(),
            moved_from: self.moved.get(&resource.address).cloned(),
            location: resource.location.clone(),
        }
    }

    /// The namespace or the definition of an object that comes with the same plan: the server could
    /// not say anything about the object before.
    fn place_to_come(&self, address: &Address) -> Option<&Address> {
        let needed = self.input.edges.get(address)?;
        needed.iter().find(|one| match one.kubernetes_kind() {
            Some(("Namespace", None)) => {
                matches!(self.action(one), Some(Action::Create | Action::Replace))
            }
            Some(("CustomResourceDefinition", None)) => self.action(one).is_some(),
            _ => false,
        })
    }

    /// Whether the service can take a spec at all; says so where it can't. None: it can.
    fn unservable(&mut self, kind: &dyn Kind, resource: &Resource, spec: &Json) -> Option<String> {
        let problem = kind.servable(spec, self.input.scope).err()?;
        self.problem(&problem, &resource.address, Some(resource));
        Some(problem.message)
    }

    pub(super) fn create(
        &mut self,
        kind: &dyn Kind,
        resource: &Resource,
        spec: &Json,
        reason: Option<String>,
    ) {
        let address = &resource.address;
        self.refuse_clash(kind, resource, spec);
        let mut change = self.change(resource, Action::Create, spec);
        change.reason = reason;
        change.confidence = Confidence::New;
        match self.input.world.previews.get(address) {
            Some(Preview::Object(_)) => change.confidence = Confidence::Checked,
            Some(Preview::Unchecked(why)) => {
                change.confidence = Confidence::Unchecked(why.clone());
            }
            Some(Preview::Refused { status, message, .. }) => {
                let mut report = Report::error(format!("{address} would be refused"))
                    .code("refused")
                    .about(address)
                    .at(resource.location.clone())
                    .cause(format!("the server answers {status}: {message}"));
                if message.contains("because it is being terminated") {
                    report = report.hint("wait until the namespace is gone and made again");
                }
                self.checks.push(report);
            }
            None if kind.service() != Service::Kubernetes => {}
            // A dry-run would tell what a change of that one comes to.
            None if matches!(self.input.world.resources.get(address), Some(Observed::Going(_))) => {
                let why = "while the one that is being deleted is there".to_owned();
                change.confidence = Confidence::Unchecked(why);
            }
            None => match self.place_to_come(address) {
                Some(place) => {
                    change.confidence = Confidence::Unchecked(format!("before {place} is there"));
                }
                None => match self.unservable(kind, resource, spec) {
                    Some(why) => change.confidence = Confidence::Unchecked(why),
                    None => self.wanted.push(Wanted {
                        address: address.clone(),
                        spec: spec.clone(),
                        remote: None,
                        sent: None,
                        force: resource.meta.force.clone(),
                    }),
                },
            },
        }
        self.changes.insert(address.clone(), change);
    }

    pub(super) fn compare(
        &mut self,
        kind: &dyn Kind,
        resource: &Resource,
        spec: &Json,
        recorded: &Recorded,
        remote: &Remote,
    ) -> Option<Remote> {
        let address = &resource.address;
        let facts = Facts {
            declared: Some(spec),
            sent: Some(&recorded.sent),
            answered: Some(&recorded.answered),
            version: recorded.version.as_deref(),
            remote,
            preview: self.input.world.previews.get(address),
            ignore: &resource.meta.ignore,
            force: &resource.meta.force,
            shared: &resource.meta.shared,
        };
        let mut diffed = kind.diff(&facts);
        let readings = self.readings(address);
        let ignore = &resource.meta.ignore;
        values::add(kind, Some(spec), recorded, readings.unwrap_or_default(), ignore, &mut diffed);
        super::attribution::date(kind, recorded, remote, &mut diffed.drift);
        self.note(address, resource, &diffed);
        self.exposed(address, recorded, Some(remote));
        let taken =
            values::taken(kind, address, recorded, readings, ignore, remote, self.input.scope);
        let told = values::reports(address, readings.unwrap_or_default(), &taken, ignore);
        self.checks.extend(told);
        let is_written = |path: &str| diffed.changes.iter().any(|change| change.path == path);
        self.taken.extend(taken.into_iter().filter(|value| !is_written(&value.path)));
        if diffed.wants_preview && facts.preview.is_none() {
            self.wanted.push(Wanted {
                address: address.clone(),
                spec: spec.clone(),
                remote: Some(remote.clone()),
                sent: Some(recorded.sent.clone()),
                force: resource.meta.force.clone(),
            });
        }
        if diffed.changes.is_empty() && diffed.removed.is_empty() {
            if let Some(Preview::Unchecked(why)) = facts.preview {
                self.checks.push(
                    Report::note(format!("{address} is compared without what can't be read"))
                        .code(Report::UNCHECKED)
                        .about(address)
                        .cause(why),
                );
            }
            self.unchanged.insert(address.clone());
            self.bring_up_to_date(kind, resource, spec, recorded, remote);
            return Some(remote.clone());
        }
        let why = replacement(kind, &facts, &diffed);
        let action = if why.is_none() { Action::Update } else { Action::Replace };
        let mut change = self.change(resource, action, spec);
        change.id = Some(remote.id.clone());
        change.before = Some(remote.spec.clone());
        change.removed = diffed.removed;
        change.paths = diffed.changes;
        change.confidence = confidence(facts.preview);
        change.ground = ground(remote, &change.paths);
        if let Some(why) = why {
            change.reason = Some(match kind.loses(&remote.spec) {
                Some(lost) => format!("{why}; data loss: {lost}"),
                None => why.clone(),
            });
            if let Some(steps) = kind.never_replaced() {
                let text = format!("{address} can't be changed like this: {why}");
                let report = Report::error(text).code("never-replaced").about(address).hint(steps);
                self.checks.push(report.at(resource.location.clone()));
            }
        }
        if let Some(why) = self.unservable(kind, resource, spec) {
            change.confidence = Confidence::Unchecked(why);
        }
        self.changes.insert(address.clone(), change);
        (action == Action::Update).then(|| remote.clone())
    }

    /// Drift, conflicts and warnings of a comparison.
    pub(super) fn note(&mut self, address: &Address, resource: &Resource, diffed: &Diffed) {
        let ids = self.recorded.values().map(|recorded| recorded.id.as_str());
        let beside = super::drift::foreign(&diffed.foreign, ids, self.input.fellows);
        for (kind, paths) in [(DriftKind::Drifted, &diffed.drift), (DriftKind::Foreign, &beside)] {
            if !paths.is_empty() {
                self.drift.push(Drift { address: address.clone(), kind, paths: paths.clone() });
            }
        }
        for warning in &diffed.warnings {
            self.problem(warning, address, Some(resource));
        }
        for conflict in &diffed.conflicts {
            let owner = conflict.by.as_deref().unwrap_or("someone else");
            let since = conflict.since.as_ref().map(|since| format!(" since {since}"));
            let how = conflict.note.as_ref().map(|note| format!(", {note}"));
            let since = format!("{}{}", since.unwrap_or_default(), how.unwrap_or_default());
            let mut report =
                Report::error(format!("{address}: `{}` belongs to {owner}{since}", conflict.path))
                    .code("conflict")
                    .about(address)
                    .at(resource.location.clone())
                    .cause(format!(
                        "it is {}, and the files want {}",
                        shown(conflict.before.as_ref()),
                        shown(conflict.after.as_ref())
                    ));
            report.hints.push(format!(
                "`settings: {{{address}: {{force: [{p}]}}}}` takes it, `ignore: [{p}]` leaves it",
                p = conflict.path
            ));
            self.checks.push(report);
            self.blocked.insert(address.clone());
        }
    }

    pub(super) fn bring_up_to_date(
        &mut self,
        kind: &dyn Kind,
        resource: &Resource,
        spec: &Json,
        recorded: &Recorded,
        remote: &Remote,
    ) {
        let moved_from = self.moved.get(&resource.address).cloned();
        let mut record = recorded.clone();
        let now = kind.recordable(spec);
        if now != recorded.sent {
            record.answered =
                kind.answered(&now, remote).unwrap_or_else(|| path::project(&now, &remote.spec));
            record.sent = now;
            record.version.clone_from(&remote.version);
            record.modified_at = kind.modified_at(remote).map(|at| at.to_string());
        }
        record.protected = resource.meta.protects(kind.protected(spec));
        record.shared.clone_from(&resource.meta.shared);
        record.outputs.clone_from(&remote.outputs);
        // A fingerprint of what is no more would make the same difference for ever.
        let readings = self.readings(&resource.address).unwrap_or_default();
        let gone = values::others(readings).filter(|path| recorded.sent.get(path).is_none());
        gone.for_each(|path| drop(record.secrets.remove(path)));
        record.replacing = false;
        record.end = kind.ended(remote);
        record.awaited = self.is_awaited(kind, resource, recorded, remote);
        if record != *recorded || moved_from.is_some() {
            self.refresh.push(Refresh {
                address: resource.address.clone(),
                shown: moved_from.is_some(),
                moved_from,
                record: Some(Box::new(record)),
            });
        }
    }
}

impl Planner<'_> {
    /// Whether what stays as it is was applied by an earlier run, and is still not what it is waited
    /// for to be.
    fn is_awaited(
        &mut self,
        kind: &dyn Kind,
        resource: &Resource,
        recorded: &Recorded,
        remote: &Remote,
    ) -> bool {
        if !recorded.awaited || !resource.meta.wait {
            return false;
        }
        if kind.readiness(remote, None) == Readiness::Ready {
            return false;
        }
        let address = &resource.address;
        let text = format!("{address} was applied earlier and is not ready: apply waits for it");
        self.checks.push(Report::note(text).code("awaited").about(address));
        self.awaited.insert(address.clone());
        true
    }
}

/// Why what differs needs a new object. What the server would take needs none, nor does what only
/// changes hands.
pub(super) fn replacement(kind: &dyn Kind, facts: &Facts<'_>, diffed: &Diffed) -> Option<String> {
    if matches!(facts.preview, Some(Preview::Object(_))) {
        return None;
    }
    let declared = facts.declared?;
    let differ = diffed.changes.iter().filter(|c| c.secret || c.before != c.after);
    diffed.replaced.clone().or_else(|| {
        differ.filter_map(|change| kind.replaces(&change.path, declared, facts.remote)).next()
    })
}

pub(super) fn confidence(preview: Option<&Preview>) -> Confidence {
    match preview {
        Some(Preview::Object(_)) => Confidence::Checked,
        Some(Preview::Unchecked(why)) => Confidence::Unchecked(why.clone()),
        Some(Preview::Refused { .. }) | None => Confidence::Compared,
    }
}

/// A fingerprint of what a change rests on: the object (one that was made anew under the same name is
/// another), and the values that it is about to change.
pub(super) fn ground(remote: &Remote, paths: &[FieldChange]) -> String {
    let before: JsonMap = paths
        .iter()
        .map(|change| (change.path.clone(), change.before.clone().unwrap_or(Json::Null)))
        .collect();
    let mut rests_on = json!({"id": remote.id, "before": before});
    if let Some(uid) = remote.outputs.get("uid") {
        rests_on["uid"] = uid.clone();
    }
    fingerprint::of_public(&rests_on)
}

pub(super) fn shown(value: Option<&Json>) -> String {
    match value {
        None => "not set".to_owned(),
        Some(value) => match Special::of(value) {
            Some(Special::Secret(_)) => "(secret)".to_owned(),
            Some(Special::Unknown(reference)) => format!("(known after {})", reference.address),
            _ => value.to_string(),
        },
    }
}

pub(super) fn collect_unknown(at: &str, value: &Json, out: &mut BTreeMap<String, Address>) {
    if let Some(special) = Special::of(value) {
        if let Special::Unknown(reference) = special {
            out.insert(at.to_owned(), reference.address);
        }
        return;
    }
    match value {
        Json::Object(map) => {
            map.iter().for_each(|(key, value)| collect_unknown(&path::key(at, key), value, out));
        }
        Json::Array(items) => {
            let items = items.iter().enumerate();
            items.for_each(|(i, value)| collect_unknown(&path::index(at, i), value, out));
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}
