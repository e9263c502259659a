//! Decides what happens to each resource, and puts the steps in order.
//!
//! Resources are taken in the order of their references, since whether one will be made again
//! decides what is known to those that refer to it. Plan resolves against the observed world,
//! never against the state; only the fingerprints of secrets are the recorded ones, while the
//! observed object is the recorded one.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::model::address::{Address, AddressGlob};
use crate::model::change::{
    Action, Change, Confidence, Drift, DriftKind, FieldChange, Phase, StepId,
};
use crate::model::error::Report;
use crate::model::kind::{Diffed, Facts, Kind, Problem};
use crate::model::observed::{Observed, Preview, Remote, World};
use crate::model::path;
use crate::model::plan::{Options, Refresh, StackPlan};
use crate::model::resource::{Adopt, Meta, Resource, Stack};
use crate::model::scope::Scope;
use crate::model::state::{Recorded, State, Target};
use crate::model::value::{Special, each_special, references, secret_sources};
use crate::model::{Json, JsonMap};

use super::exposure::{self, Exposure, Role};
use super::resolve::{Known, Outputs, resolve};
use super::{fingerprint, graph, guard, restart, steps};

/// Everything that a stack's plan is made from.
pub struct Input<'a> {
    /// What is declared; for a destroy, with no resources.
    pub stack: &'a Stack,
    /// Finds kinds by name.
    pub kinds: fn(&str) -> Option<&'static dyn Kind>,
    /// What is recorded.
    pub state: Option<&'a State>,
    /// The state's lineage; for a first apply, the one it will get.
    pub lineage: &'a str,
    /// What was observed.
    pub world: &'a World,
    /// The accounts.
    pub scope: &'a Scope,
    /// Outputs of lookups.
    pub lookups: &'a Known,
    /// What resources need beside references: names in manifests.
    pub edges: &'a BTreeMap<Address, BTreeSet<Address>>,
    /// The objects that read each parameter.
    pub readers: &'a BTreeMap<Address, Vec<Address>>,
    /// What was asked for.
    pub options: &'a Options,
    /// The share of resources that may be deleted or replaced, in percent.
    pub limit_percent: u8,
    /// Whether the stack's file is gone and it is to be destroyed.
    pub retired: bool,
    /// Where it lives.
    pub target: Target,
}

/// A plan, and what it would like to ask the servers before it is believed.
pub struct Planned {
    /// The plan.
    pub plan: StackPlan,
    /// Objects for which a preview would tell more, with the spec and what is needed to ask.
    pub previews: Vec<Wanted>,
}

/// A preview that a plan would like to have.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// The object.
    pub address: Address,
    /// What would be sent.
    pub spec: Json,
    /// What is there.
    pub remote: Option<Remote>,
    /// What was sent last.
    pub sent: Option<Json>,
    /// Paths that are taken from other owners.
    pub force: Vec<String>,
}

/// Plans one stack.
pub fn plan(input: &Input<'_>) -> Planned {
    let mut planner = Planner::new(input);
    planner.take_renames();
    planner.decide_declared();
    planner.decide_orphans();
    planner.owe_restarts();
    planner.finish()
}

pub(super) struct Planner<'a> {
    pub input: &'a Input<'a>,
    /// Records by the address that they have now.
    pub recorded: BTreeMap<Address, Recorded>,
    pub moved: BTreeMap<Address, Address>,
    pub changes: BTreeMap<Address, Change>,
    pub specs: BTreeMap<Address, Json>,
    pub unchanged: BTreeSet<Address>,
    pub refresh: Vec<Refresh>,
    pub drift: Vec<Drift>,
    pub checks: Vec<Report>,
    pub kept: Vec<Address>,
    pub elsewhere: Vec<Address>,
    pub needs: BTreeMap<Address, BTreeSet<Address>>,
    pub wanted: Vec<Wanted>,
    /// What declared resources will publish, and what is published now.
    pub exposure: Exposure,
    pub exposed_now: Exposure,
    known: Known,
    blocked: BTreeSet<Address>,
}

impl<'a> Planner<'a> {
    fn new(input: &'a Input<'a>) -> Self {
        Planner {
            input,
            recorded: input.state.map(|state| state.resources.clone()).unwrap_or_default(),
            moved: BTreeMap::new(),
            changes: BTreeMap::new(),
            specs: BTreeMap::new(),
            unchanged: BTreeSet::new(),
            refresh: Vec::new(),
            drift: Vec::new(),
            checks: Vec::new(),
            kept: Vec::new(),
            elsewhere: Vec::new(),
            needs: BTreeMap::new(),
            wanted: Vec::new(),
            exposure: Exposure::default(),
            exposed_now: Exposure::default(),
            known: input.lookups.clone(),
            blocked: BTreeSet::new(),
        }
    }

    pub(super) fn kind(&self, name: &str) -> Option<&'static dyn Kind> {
        (self.input.kinds)(name)
    }

    fn observed(&self, address: &Address) -> &'a Observed {
        static ABSENT: Observed = Observed::Absent;
        let old = self.moved.get(address);
        let world = &self.input.world.resources;
        world.get(address).or_else(|| world.get(old?)).unwrap_or(&ABSENT)
    }

    /// Two addresses that mean one remote object are a rename, never a deletion and a creation.
    fn take_renames(&mut self) {
        let declared: BTreeSet<&Address> =
            self.input.stack.resources.iter().map(|resource| &resource.address).collect();
        for resource in &self.input.stack.resources {
            if self.recorded.contains_key(&resource.address) {
                continue;
            }
            let said = resource.meta.renamed_from.clone().filter(|old| {
                self.recorded.get(old).is_some_and(|r| r.kind == resource.address.kind())
            });
            let candidates =
                self.input.world.candidates.get(&resource.address).map_or(&[][..], Vec::as_slice);
            let same_object = || {
                let orphans = self.recorded.iter().filter(|(old, _)| !declared.contains(old));
                orphans
                    .filter(|(_, r)| r.kind == resource.address.kind())
                    .find(|(_, r)| candidates.iter().any(|remote| remote.id == r.id))
                    .map(|(old, _)| old.clone())
            };
            let Some(old) = said.or_else(same_object) else { continue };
            if let Some(record) = self.recorded.remove(&old) {
                self.recorded.insert(resource.address.clone(), record);
                self.moved.insert(resource.address.clone(), old);
            }
        }
    }

    fn reference_needs(&self, resource: &Resource) -> BTreeSet<Address> {
        let mut needs: BTreeSet<Address> =
            references(&resource.spec).into_iter().map(|reference| reference.address).collect();
        for source in secret_sources(&resource.spec) {
            if let Some((address, _)) = source.as_output() {
                needs.insert(address);
            }
        }
        needs.extend(resource.meta.depends_on.iter().cloned());
        needs.extend(self.input.edges.get(&resource.address).into_iter().flatten().cloned());
        needs.remove(&resource.address);
        needs
    }

    fn decide_declared(&mut self) {
        let resources = &self.input.stack.resources;
        for resource in resources {
            let needs = self.reference_needs(resource);
            self.needs.insert(resource.address.clone(), needs);
        }
        let nodes: Vec<Address> = resources.iter().map(|r| r.address.clone()).collect();
        let order = match graph::order(&nodes, &self.needs, |_| 0) {
            Ok(order) => order,
            Err(cycle) => {
                let names: Vec<_> = cycle.iter().map(Address::to_string).collect();
                self.checks.push(
                    Report::error(format!("{} need one another", names.join(", ")))
                        .code("cycle")
                        .hint("take one of the references or `depends_on` out"),
                );
                return;
            }
        };
        for address in order {
            if let Some(resource) = resources.iter().find(|r| r.address == address) {
                self.decide(resource);
            }
        }
        self.guard_edges();
    }

    /// What routes or names a hostname needs what guards it.
    fn guard_edges(&mut self) {
        for (address, needed) in self.exposure.needs() {
            let mut all = needed.clone();
            for application in &needed {
                all.extend(
                    exposure::policies_of(application, &self.input.stack.resources).cloned(),
                );
            }
            all.remove(&address);
            self.needs.entry(address).or_default().extend(all);
        }
    }

    fn problem(&mut self, problem: &Problem, address: &Address, resource: Option<&Resource>) {
        let at =
            if problem.path.is_empty() { String::new() } else { format!(" at `{}`", problem.path) };
        let mut report = match problem.code {
            Some(code) => Report::warning(code, format!("{address}{at}: {}", problem.message)),
            None => Report::error(format!("{address}{at}: {}", problem.message)),
        };
        report.hints.extend(problem.hint.clone());
        report = report.about(address).at(resource.and_then(|r| r.location.clone()));
        if problem.code.is_none() {
            self.blocked.insert(address.clone());
        }
        self.checks.push(report);
    }

    fn decide(&mut self, resource: &Resource) {
        let address = &resource.address;
        let Some(kind) = self.kind(address.kind()) else {
            self.checks
                .push(Report::error(format!("{address} is of no kind there is")).about(address));
            return;
        };
        let resolved = resolve(&resource.spec, &self.known);
        let spec = match kind.declare(&resolved, self.input.scope) {
            Ok(spec) => spec,
            Err(problem) => return self.problem(&problem, address, Some(resource)),
        };
        self.specs.insert(address.clone(), spec.clone());
        self.exposure.add(kind, address, &spec, self.input.scope);
        if let Some(remote) = self.observed(address).present() {
            self.exposed_now.add(kind, address, &remote.spec, self.input.scope);
        }
        if resource.meta.applied_elsewhere {
            self.elsewhere.push(address.clone());
            let remote = self.observed(address).present().cloned();
            self.learn(kind, address, &spec, remote.as_ref());
            return;
        }
        let remote = self.settle(kind, resource, &spec);
        self.learn(kind, address, &spec, remote.as_ref());
    }

    /// What dependents may know of this resource. `remote` is None where it is about to be made.
    fn learn(&mut self, kind: &dyn Kind, address: &Address, spec: &Json, remote: Option<&Remote>) {
        let mut outputs = Outputs::default();
        if let Some(remote) = remote {
            outputs.plain.extend(remote.outputs.clone());
            let recorded = self.recorded.get(address).filter(|recorded| recorded.id == remote.id);
            for output in kind.outputs().iter().filter(|output| output.secret) {
                let fingerprint = recorded.and_then(|r| r.secrets.get(output.name).cloned());
                outputs.secret.insert(output.name.to_owned(), fingerprint);
            }
        }
        outputs.plain.extend(kind.known_outputs(spec, self.input.scope));
        self.known.insert(address.clone(), outputs);
    }

    /// Decides about one resource; returns the object that stays, if one does.
    fn settle(&mut self, kind: &dyn Kind, resource: &Resource, spec: &Json) -> Option<Remote> {
        let address = &resource.address;
        let recorded = self.recorded.get(address).cloned();
        match (self.observed(address), recorded) {
            (Observed::Unreadable(why), _) => {
                self.checks.push(
                    Report::error(format!("{address} could not be read"))
                        .code("unreadable")
                        .about(address)
                        .cause(why),
                );
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

    fn missing(&mut self, address: &Address, recorded: Option<&Recorded>) {
        let Some(recorded) = recorded.filter(|recorded| !recorded.replacing) else { return };
        let id = Some(json!(recorded.id));
        self.drift.push(Drift {
            address: address.clone(),
            kind: DriftKind::Missing,
            paths: vec![FieldChange::new("id", id, None)],
        });
        let hostnames: Vec<String> = self
            .kind(address.kind())
            .filter(|kind| exposure::role(kind.name()) == Some(Role::Guard))
            .map(|kind| kind.hostnames(&recorded.sent, self.input.scope))
            .unwrap_or_default();
        for hostname in hostnames {
            self.checks.push(
                Report::warning(
                    "exposed",
                    format!(
                        "{hostname} is open to everyone: {address} was deleted by someone else"
                    ),
                )
                .about(address)
                .hint("apply makes it again before it touches anything else of that hostname"),
            );
        }
    }

    fn change(&self, resource: &Resource, action: Action, spec: &Json) -> Change {
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
            confidence: Confidence::Compared,
            needs: Vec::new(),
            ground: "absent".to_owned(),
            restart: BTreeMap::new(),
            moved_from: self.moved.get(&resource.address).cloned(),
            location: resource.location.clone(),
        }
    }

    fn create(
        &mut self,
        kind: &dyn Kind,
        resource: &Resource,
        spec: &Json,
        reason: Option<String>,
    ) {
        let address = &resource.address;
        let mut change = self.change(resource, Action::Create, spec);
        change.reason = reason;
        change.confidence = Confidence::New;
        match self.input.world.previews.get(address) {
            Some(Preview::Object(_)) => change.confidence = Confidence::Checked,
            Some(Preview::Unchecked(why)) => {
                change.confidence = Confidence::Unchecked(why.clone());
            }
            Some(Preview::Refused { status, message, .. }) => self.checks.push(
                Report::error(format!("{address} would be refused"))
                    .code("refused")
                    .about(address)
                    .at(resource.location.clone())
                    .cause(format!("the server answers {status}: {message}")),
            ),
            None if kind.service() == crate::model::call::Service::Kubernetes => {
                self.wanted.push(Wanted {
                    address: address.clone(),
                    spec: spec.clone(),
                    remote: None,
                    sent: None,
                    force: resource.meta.force.clone(),
                });
            }
            None => {}
        }
        self.changes.insert(address.clone(), change);
    }

    fn compare(
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
        let diffed = kind.diff(&facts);
        self.note(address, resource, &diffed);
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
            self.unchanged.insert(address.clone());
            self.bring_up_to_date(kind, resource, spec, recorded, remote);
            return Some(remote.clone());
        }
        let why: Vec<String> = diffed
            .changes
            .iter()
            .filter_map(|change| kind.replaces(&change.path, spec, remote))
            .collect();
        let action = if why.is_empty() { Action::Update } else { Action::Replace };
        let mut change = self.change(resource, action, spec);
        change.id = Some(remote.id.clone());
        change.before = Some(remote.spec.clone());
        change.removed = diffed.removed;
        change.paths = diffed.changes;
        change.confidence = confidence(facts.preview);
        change.ground = ground(remote, &change.paths);
        if let Some(why) = why.first() {
            change.reason = Some(why.clone());
            if let Some(steps) = kind.never_replaced() {
                let text = format!("{address} can't be changed like this: {why}");
                let report = Report::error(text).code("never-replaced").about(address).hint(steps);
                self.checks.push(report.at(resource.location.clone()));
            }
        }
        self.changes.insert(address.clone(), change);
        (action == Action::Update).then(|| remote.clone())
    }

    /// Drift, conflicts and warnings of a comparison.
    fn note(&mut self, address: &Address, resource: &Resource, diffed: &Diffed) {
        let ids = self.recorded.values().map(|recorded| recorded.id.as_str());
        let beside = super::drift::foreign(&diffed.foreign, ids);
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
            let mut report =
                Report::error(format!("{address}: `{}` belongs to {owner}", conflict.path))
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

    fn bring_up_to_date(
        &mut self,
        kind: &dyn Kind,
        resource: &Resource,
        spec: &Json,
        recorded: &Recorded,
        remote: &Remote,
    ) {
        let moved_from = self.moved.get(&resource.address).cloned();
        let mut record = recorded.clone();
        let now = recordable(kind, spec);
        if now != recorded.sent {
            record.answered =
                kind.answered(&now, remote).unwrap_or_else(|| path::project(&now, &remote.spec));
            record.sent = now;
            record.version.clone_from(&remote.version);
        }
        record.protected = protected(kind, &resource.meta, spec);
        record.shared.clone_from(&resource.meta.shared);
        record.outputs.clone_from(&remote.outputs);
        record.replacing = false;
        if record != *recorded || moved_from.is_some() {
            self.refresh.push(Refresh {
                address: resource.address.clone(),
                shown: moved_from.is_some(),
                moved_from,
                record: Some(Box::new(record)),
            });
        }
    }

    /// Something is there that nobody recorded: own or ask.
    fn take_over(
        &mut self,
        kind: &dyn Kind,
        resource: &Resource,
        spec: &Json,
        candidates: &[Remote],
    ) -> Option<Remote> {
        let address = &resource.address;
        let ours = fingerprint::mark(self.input.lineage, address);
        let marked = |remote: &&Remote| kind.mark_of(remote).as_deref() == Some(&ours);
        let remote = match (&resource.meta.adopt, candidates) {
            (Adopt::Id(id), _) => candidates
                .iter()
                .find(|remote| &remote.id == id || remote.id.rsplit('/').next() == Some(id)),
            (_, [one]) => Some(one),
            _ => candidates.iter().find(marked),
        };
        let Some(remote) = remote else {
            let ids: Vec<_> = candidates.iter().map(|remote| remote.id.as_str()).collect();
            self.checks.push(
                Report::error(format!("{address} fits several objects that are there already"))
                    .code("several")
                    .about(address)
                    .at(resource.location.clone())
                    .cause(format!("they are {}", ids.join(", ")))
                    .hint("say which one with `adopt: ID`"),
            );
            self.blocked.insert(address.clone());
            return None;
        };
        let told = resource.meta.adopt != Adopt::No;
        let is_ours = marked(&remote);
        let other = kind.tracked_by(remote).or_else(|| {
            kind.mark_of(remote)
                .filter(|mark| *mark != ours)
                .map(|_| "another boxctl stack".to_owned())
        });
        let facts = Facts {
            declared: Some(spec),
            sent: None,
            answered: None,
            version: None,
            remote,
            preview: self.input.world.previews.get(address),
            ignore: &resource.meta.ignore,
            force: if told { &["**".to_owned()] } else { &resource.meta.force },
            shared: &resource.meta.shared,
        };
        let diffed = kind.diff(&facts);
        if diffed.wants_preview && facts.preview.is_none() {
            self.wanted.push(Wanted {
                address: address.clone(),
                spec: spec.clone(),
                remote: Some(remote.clone()),
                sent: None,
                force: facts.force.to_vec(),
            });
        }
        // A secret can't be read, so it is written; that alone makes no difference to decide about.
        let differs = diffed.changes.iter().any(|change| !change.secret)
            || !diffed.conflicts.is_empty()
            || diffed.warnings.iter().any(|warning| warning.code.is_none());
        let mut change = self.change(resource, Action::Adopt, spec);
        change.id = Some(remote.id.clone());
        change.before = Some(remote.spec.clone());
        change.ground = ground(remote, &diffed.changes);
        change.confidence = confidence(facts.preview);
        change.paths.clone_from(&diffed.changes);
        if !told {
            let refusal = match (other, differs) {
                (Some(other), _) => Some((
                    "foreign",
                    format!("{address} is there already and belongs to {other}"),
                    format!("`settings: {{{address}: {{adopt: true}}}}` takes it over"),
                )),
                (None, _) if is_ours => None,
                (None, true) => Some((
                    "conflict",
                    format!("{address} is there already and differs from the files"),
                    format!(
                        "`settings: {{{address}: {{adopt: true}}}}` takes it over and changes it"
                    ),
                )),
                (None, false) if self.input.options.adopt => None,
                (None, false) => Some((
                    "adopt",
                    format!("{address} is there already, identical to what the files say"),
                    "`--adopt` takes it over".to_owned(),
                )),
            };
            if let Some((code, text, hint)) = refusal {
                let mut report = Report::error(text).code(code).about(address);
                if differs {
                    report.causes.extend(differences(&diffed));
                }
                self.checks.push(report.at(resource.location.clone()).hint(hint));
                self.blocked.insert(address.clone());
            }
        }
        self.changes.insert(address.clone(), change);
        Some(remote.clone())
    }

    /// Records whose resource has left the files.
    fn decide_orphans(&mut self) {
        let forget: Vec<AddressGlob> =
            self.input.stack.forget.iter().filter_map(|glob| glob.parse().ok()).collect();
        let declared: BTreeSet<Address> =
            self.input.stack.resources.iter().map(|resource| resource.address.clone()).collect();
        let orphans: Vec<(Address, Recorded)> = self
            .recorded
            .iter()
            .filter(|(address, _)| {
                !declared.contains(*address) || forget.iter().any(|glob| glob.matches(address))
            })
            .map(|(address, recorded)| (address.clone(), recorded.clone()))
            .collect();
        for (address, recorded) in orphans {
            if forget.iter().any(|glob| glob.matches(&address)) {
                self.unchanged.remove(&address);
                self.changes.insert(address.clone(), orphan(&address, &recorded, Action::Forget));
                continue;
            }
            self.orphan(&address, &recorded);
        }
    }

    fn orphan(&mut self, address: &Address, recorded: &Recorded) {
        match self.observed(address) {
            Observed::Absent => self.refresh.push(Refresh {
                address: address.clone(),
                moved_from: None,
                record: None,
                shown: true,
            }),
            Observed::Unreadable(why) => {
                self.checks.push(
                    Report::error(format!("{address} could not be read"))
                        .code("unreadable")
                        .about(address)
                        .cause(why),
                );
            }
            observed @ (Observed::Present(_) | Observed::Going(_)) => {
                let said = self.input.stack.protect_settings.iter().rev().find(|(pattern, _)| {
                    pattern.parse::<AddressGlob>().is_ok_and(|glob| glob.matches(address))
                });
                let protected = said.map_or(recorded.protected, |(_, protect)| *protect);
                if protected && !guard::allowed(&self.input.options.allow_protected, address) {
                    self.kept.push(address.clone());
                    return;
                }
                let mut change = orphan(address, recorded, Action::Delete);
                if let Some(remote) = observed.present() {
                    if let Some(kind) = self.kind(address.kind()) {
                        self.exposed_now.add(kind, address, &remote.spec, self.input.scope);
                    }
                    change.before = Some(remote.spec.clone());
                    change.ground = ground(remote, &[]);
                }
                self.changes.insert(address.clone(), change);
            }
        }
    }

    /// Objects that read a parameter which gets, or has, another version than they have read.
    fn owe_restarts(&mut self) {
        for (parameter, readers) in self.input.readers {
            let version = self.version_to_come(parameter);
            for reader in readers {
                self.owe_restart(parameter, reader, version.as_ref());
            }
        }
    }

    /// The version a parameter will have: known, or an unknown that its step will tell.
    fn version_to_come(&self, parameter: &Address) -> Option<Json> {
        let reference = crate::model::value::Reference {
            address: parameter.clone(),
            output: "version".to_owned(),
        };
        match self.changes.get(parameter) {
            Some(change) if matches!(change.action, Action::Delete | Action::Forget) => None,
            Some(change)
                if change.action != Action::Update
                    || change.paths.iter().any(|path| path.path == "value") =>
            {
                Some(Special::unknown(reference))
            }
            _ => self.known.get(parameter)?.plain.get("version").cloned(),
        }
    }

    fn owe_restart(&mut self, parameter: &Address, reader: &Address, version: Option<&Json>) {
        let Some(version) = version else { return };
        let Some(recorded) = self.recorded.get(reader).cloned() else { return };
        let Some(remote) = self.observed(reader).present() else { return };
        let Some(resource) = self.input.stack.resource(reader) else { return };
        let read = restart::versions_read(&remote.raw)
            .remove(parameter)
            .or_else(|| recorded.reads.get(parameter).cloned());
        let now = restart::version_text(version);
        if now.is_some() && (read.is_none() || read == now) {
            return;
        }
        let planned = self.changes.remove(reader);
        let mut change = planned.unwrap_or_else(|| {
            let mut change = self.change(resource, Action::Update, &Json::Null);
            change.spec = self.specs.get(reader).cloned();
            change.id = Some(remote.id.clone());
            change.ground = ground(remote, &[]);
            change
        });
        if change.action == Action::Update || change.action == Action::Adopt {
            change.restart.insert(parameter.clone(), version.clone());
            let what = if reader.kubernetes_kind().is_some_and(|(kind, _)| kind == "ExternalSecret")
            {
                "refreshed"
            } else {
                "restarted"
            };
            let reason = format!("{what}, since {parameter} gets a new version");
            change.reason.get_or_insert(reason);
            self.unchanged.remove(reader);
        }
        self.changes.insert(reader.clone(), change);
    }

    fn finish(mut self) -> Planned {
        for address in &self.blocked {
            // What is refused anyway is shown, and what it would come to is not promised.
            if let Some(change) = self.changes.get_mut(address) {
                change.needs.clear();
            }
        }
        guard::check(&mut self);
        let changes = steps::ordered(&mut self);
        let wanted = std::mem::take(&mut self.wanted);
        let accepted = &self.input.stack.accept;
        let mut checks = self.checks;
        checks.retain(|check| {
            check.level == crate::model::error::Level::Error
                || check.code.as_ref().is_none_or(|code| !accepted.contains_key(code))
        });
        one_of_two_owners(&mut checks);
        if self.input.options.strict {
            for check in &mut checks {
                if check.level == crate::model::error::Level::Warning {
                    check.level = crate::model::error::Level::Error;
                }
            }
        }
        let state = self.input.state;
        let plan = StackPlan {
            stack: self.input.stack.name.clone(),
            lineage: self.input.lineage.to_owned(),
            serial: state.map_or(0, |state| state.serial),
            target: self.input.target.clone(),
            variables: self.input.stack.variables.clone(),
            declared: self.input.stack.resources.clone(),
            lookups: self.input.stack.lookups.clone(),
            forget: self.input.stack.forget.clone(),
            accept: self.input.stack.accept.clone(),
            public: self.input.stack.public.clone(),
            protect_settings: self.input.stack.protect_settings.clone(),
            file: self.input.stack.file.clone(),
            retired: self.input.retired,
            changes,
            unchanged: self.unchanged.into_iter().collect(),
            drift: self.drift,
            checks,
            kept: self.kept,
            elsewhere: self.elsewhere,
            refresh: self.refresh,
            needs: self.needs,
        };
        Planned { plan, previews: wanted }
    }

    /// Whether a resource's step is one of these.
    pub(super) fn action(&self, address: &Address) -> Option<Action> {
        self.changes.get(address).map(|change| change.action)
    }
}

/// However many objects another tool keeps as well, that is one warning.
fn one_of_two_owners(checks: &mut Vec<Report>) {
    let is = |check: &Report| check.code.as_deref() == Some("two-owners");
    let addresses: BTreeSet<Address> =
        checks.iter().filter(|check| is(check)).filter_map(|check| check.address.clone()).collect();
    if addresses.len() < 2 {
        return;
    }
    let mut first = true;
    checks.retain_mut(|check| {
        if !is(check) {
            return true;
        }
        if std::mem::take(&mut first) {
            check.message = format!("{} objects are kept by another tool as well", addresses.len());
            check.causes = addresses.iter().map(Address::to_string).collect();
            check.address = None;
            check.location = None;
            return true;
        }
        false
    });
}

fn orphan(address: &Address, recorded: &Recorded, action: Action) -> Change {
    Change {
        address: address.clone(),
        action,
        phase: Phase::Whole,
        id: Some(recorded.id.clone()),
        paths: Vec::new(),
        removed: Vec::new(),
        spec: None,
        before: None,
        unknown: BTreeMap::new(),
        reason: None,
        confidence: Confidence::Compared,
        needs: Vec::new(),
        ground: String::new(),
        restart: BTreeMap::new(),
        moved_from: None,
        location: None,
    }
}

/// What is recorded as sent.
pub fn recordable(kind: &dyn Kind, spec: &Json) -> Json {
    kind.recordable(spec)
}

/// Whether a resource is kept unless told otherwise.
pub fn protected(kind: &dyn Kind, meta: &Meta, spec: &Json) -> bool {
    meta.protect.unwrap_or_else(|| kind.protected(spec))
}

fn confidence(preview: Option<&Preview>) -> Confidence {
    match preview {
        Some(Preview::Object(_)) => Confidence::Checked,
        Some(Preview::Unchecked(why)) => Confidence::Unchecked(why.clone()),
        Some(Preview::Refused { .. }) | None => Confidence::Compared,
    }
}

/// A fingerprint of what a change rests on: the object, and the values that it is about to change.
fn ground(remote: &Remote, paths: &[FieldChange]) -> String {
    let before: JsonMap = paths
        .iter()
        .map(|change| (change.path.clone(), change.before.clone().unwrap_or(Json::Null)))
        .collect();
    fingerprint::of_public(&json!({"id": remote.id, "before": before}))
}

fn differences(diffed: &Diffed) -> Vec<String> {
    let all = diffed.changes.iter().chain(&diffed.conflicts).filter(|change| !change.secret);
    let mut lines: Vec<String> = all
        .map(|change| {
            let (before, after) = (shown(change.before.as_ref()), shown(change.after.as_ref()));
            format!("`{}` is {before}, and the files want {after}", change.path)
        })
        .collect();
    lines.extend(diffed.warnings.iter().filter(|w| w.code.is_none()).map(|w| w.message.clone()));
    lines
}

fn shown(value: Option<&Json>) -> String {
    match value {
        None => "not set".to_owned(),
        Some(value) => match Special::of(value) {
            Some(Special::Secret(_)) => "(secret)".to_owned(),
            Some(Special::Unknown(reference)) => format!("(known after {})", reference.address),
            _ => value.to_string(),
        },
    }
}

fn collect_unknown(at: &str, value: &Json, out: &mut BTreeMap<String, Address>) {
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

/// The secrets that a spec needs when it is sent.
pub fn needed_secrets(spec: &Json) -> BTreeSet<crate::model::secret::SecretId> {
    let mut out = BTreeSet::new();
    each_special(spec, &mut |special| {
        if let Special::Secret(parts) = special {
            out.extend(parts.into_iter().filter_map(|part| match part {
                crate::model::value::SecretPart::From { source, .. } => Some(source),
                crate::model::value::SecretPart::Literal(_) => None,
            }));
        }
    });
    out
}

pub(super) fn step(address: &Address, phase: Phase) -> StepId {
    StepId { address: address.clone(), phase }
}
