//! Decides what happens to each resource, and puts the steps in order.
//!
//! Resources are taken in the order of their references, since whether one will be made again
//! decides what is known to those that refer to it. Plan resolves against the observed world,
//! never against the state; only the fingerprints of secrets are the recorded ones, while the
//! observed object is the recorded one.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::Json;
use crate::model::address::Address;
use crate::model::change::{Action, Change, Drift, Phase, StepId};
use crate::model::error::Report;
use crate::model::kind::{Disturbance, Kind, Problem};
use crate::model::observed::{Observed, Remote, World};
use crate::model::plan::{Options, Refresh, StackPlan};
use crate::model::resource::{Resource, Stack};
use crate::model::scope::Scope;
use crate::model::secret::SecretId;
use crate::model::state::{Recorded, RolledBack, State, Target};
use crate::model::status::Elsewhere;
use crate::model::unread::{Reading, Taken};
use crate::model::value::{Special, each_special, references, secret_sources};

use super::exposure::{self, Exposure};
use super::resolve::{Known, Outputs, fingerprints_of, resolve};
use super::rotation::{self, Rotating};
use super::{graph, guard, steps, values};

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
    /// Hostnames that other stacks have in lists that this one shares, with the stack.
    pub fellows: &'a BTreeMap<String, String>,
    /// The stacks that are destroyed in this run.
    pub leaving: &'a BTreeSet<&'a str>,
    /// What was asked for.
    pub options: &'a Options,
    /// Now: what is due by then is told.
    pub now: jiff::Timestamp,
    /// The share of resources that may be deleted or replaced, in percent.
    pub limit_percent: u8,
    /// Whether the stack's file is gone and it is to be destroyed.
    pub retired: bool,
    /// Where it lives.
    pub target: Target,
    /// That what is declared is what an earlier run applied.
    pub rolled_back: Option<RolledBack>,
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
    let mut rotating = rotation::asked(input);
    loop {
        let planned = once(input, &rotating);
        // What is to be written and can't be read back has to be made anew, and then everywhere.
        let before = rotating.len();
        rotating.extend(rotation::unheld(input, &planned.plan));
        if rotating.len() == before {
            return planned;
        }
    }
}

fn once(input: &Input<'_>, rotating: &Rotating) -> Planned {
    let mut planner = Planner::new(input, rotating);
    planner.take_renames();
    planner.decide_declared();
    planner.decide_orphans();
    planner.owe_restarts();
    planner.name_restarts();
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
    pub awaited: BTreeSet<Address>,
    pub refresh: Vec<Refresh>,
    pub taken: Vec<Taken>,
    pub drift: Vec<Drift>,
    pub checks: Vec<Report>,
    pub kept: Vec<Address>,
    pub elsewhere: Vec<Elsewhere>,
    pub needs: BTreeMap<Address, BTreeSet<Address>>,
    pub wanted: Vec<Wanted>,
    /// What declared resources will publish, and what is published now.
    pub exposure: Exposure,
    pub exposed_now: Exposure,
    pub known: Known,
    pub blocked: BTreeSet<Address>,
    /// What gets a new secret, and why.
    pub rotating: &'a Rotating,
}

impl<'a> Planner<'a> {
    fn new(input: &'a Input<'a>, rotating: &'a Rotating) -> Self {
        Planner {
            input,
            recorded: input.state.map(|state| state.resources.clone()).unwrap_or_default(),
            moved: BTreeMap::new(),
            changes: BTreeMap::new(),
            specs: BTreeMap::new(),
            unchanged: BTreeSet::new(),
            awaited: BTreeSet::new(),
            refresh: Vec::new(),
            taken: Vec::new(),
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
            rotating,
        }
    }

    pub(super) fn kind(&self, name: &str) -> Option<&'static dyn Kind> {
        (self.input.kinds)(name)
    }

    pub(super) fn observed(&self, address: &Address) -> &'a Observed {
        static ABSENT: Observed = Observed::Absent;
        let old = self.moved.get(address);
        let world = &self.input.world.resources;
        // What was renamed was observed under the address that it is recorded under.
        old.and_then(|old| world.get(old)).or_else(|| world.get(address)).unwrap_or(&ABSENT)
    }

    /// What reading values told, where it was asked for.
    pub(super) fn readings(&self, address: &Address) -> Option<&'a [Reading]> {
        let readings = &self.input.world.readings;
        let old = self.moved.get(address).and_then(|old| readings.get(old));
        old.or_else(|| readings.get(address)).map(Vec::as_slice)
    }

    fn reference_needs(&self, resource: &Resource) -> BTreeSet<Address> {
        let mut needs: BTreeSet<Address> =
            references(&resource.spec).into_iter().map(|reference| reference.address).collect();
        for source in secret_sources(&resource.spec) {
            // The data of a Secret comes from its manifest, and not from a step.
            if let Some((address, _)) = source.as_output().filter(|(a, _)| !a.is_kubernetes()) {
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
        let by_address: BTreeMap<&Address, &Resource> =
            resources.iter().map(|resource| (&resource.address, resource)).collect();
        for address in &order {
            if let Some(resource) = by_address.get(address) {
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

    pub(super) fn problem(
        &mut self,
        problem: &Problem,
        address: &Address,
        resource: Option<&Resource>,
    ) {
        let at =
            if problem.path.is_empty() { String::new() } else { format!(" at `{}`", problem.path) };
        let mut report = match problem.code {
            Some(Report::UNCHECKED) => {
                let text = format!(
                    "{address} is compared without `{}`: {}",
                    problem.path, problem.message
                );
                Report::note(text).code(Report::UNCHECKED)
            }
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
            let remote = self.look_at(kind, resource, &spec);
            self.learn(kind, address, &spec, remote.as_ref());
            return;
        }
        if self.waits_for_others(resource, &spec) {
            self.learn(kind, address, &spec, None);
            return;
        }
        let remote = self.settle(kind, resource, &spec);
        self.learn(kind, address, &spec, remote.as_ref());
        self.rotate(kind, resource, &spec, remote.as_ref());
    }

    /// What dependents may know of this resource. `remote` is None where it is about to be made.
    fn learn(&mut self, kind: &dyn Kind, address: &Address, spec: &Json, remote: Option<&Remote>) {
        let mut outputs = Outputs::default();
        if let Some(remote) = remote {
            outputs.plain.extend(remote.outputs.clone());
            let recorded = self.recorded.get(address).filter(|recorded| recorded.id == remote.id);
            for output in kind.secret_outputs(spec) {
                let others = self.readings(address).unwrap_or_default();
                let is_other = values::others(others).any(|path| path == output);
                let known = recorded.and_then(|r| r.secrets.get(&output).cloned());
                let known = known.filter(|_| !is_other);
                // What the files themselves say is known before it is written.
                let said = fingerprints_of(spec, &SecretId::output(address, &output)).pop();
                outputs.secret.insert(output, said.or(known));
            }
        }
        outputs.plain.extend(kind.known_outputs(spec, self.input.scope));
        self.known.insert(address.clone(), outputs);
    }

    /// What stays as it is may still need something else by now: deletes go by what is recorded.
    fn refresh_dependencies(&mut self) {
        let fresh: BTreeSet<Address> = self.refresh.iter().map(|r| r.address.clone()).collect();
        for address in self.unchanged.iter().filter(|address| !fresh.contains(*address)) {
            let (Some(recorded), Some(needs)) =
                (self.recorded.get(address), self.needs.get(address))
            else {
                continue;
            };
            if recorded.dependencies == *needs {
                continue;
            }
            let record = Recorded { dependencies: needs.clone(), ..recorded.clone() };
            self.refresh.push(Refresh {
                address: address.clone(),
                moved_from: None,
                record: Some(Box::new(record)),
                shown: false,
            });
        }
    }

    /// Marks what interrupts a service.
    fn note_interruptions(&mut self) {
        for (address, change) in &mut self.changes {
            let is_made = matches!(change.action, Action::Update | Action::Replace | Action::Adopt);
            let world = &self.input.world.resources;
            let observed = self.moved.get(address).and_then(|old| world.get(old));
            let remote = observed.or_else(|| world.get(address)).and_then(Observed::present);
            let kind = (self.input.kinds)(address.kind());
            if let (true, Some(kind), Some(spec), Some(remote)) =
                (is_made, kind, &change.spec, remote)
            {
                let paths = change.paths.iter().map(|field| &field.path).chain(&change.removed);
                let paths: Vec<String> = paths.cloned().collect();
                change.interrupts = kind.interrupts(&Disturbance {
                    spec,
                    remote,
                    paths: &paths,
                    replaced: change.action == Action::Replace,
                    restarted: !change.restart.is_empty(),
                });
            }
        }
    }

    fn finish(mut self) -> Planned {
        for address in &self.blocked {
            // What is refused anyway is shown, and what it would come to is not promised.
            if let Some(change) = self.changes.get_mut(address) {
                change.needs.clear();
            }
        }
        self.refresh_dependencies();
        // What is written again is waited for after that.
        self.awaited.retain(|address| !self.changes.contains_key(address));
        steps::leave_out(&mut self);
        guard::check(&mut self);
        self.note_interruptions();
        let changes = steps::ordered(&mut self);
        let wanted = std::mem::take(&mut self.wanted);
        let accepted = &self.input.stack.accept;
        let mut checks = self.checks;
        checks.retain(|check| {
            check.level == crate::model::error::Level::Error
                || check.code.as_ref().is_none_or(|code| !accepted.contains_key(code))
        });
        if self.input.options.strict {
            for check in &mut checks {
                if check.level == crate::model::error::Level::Warning {
                    check.level = crate::model::error::Level::Error;
                }
            }
        }
        // What is made anew is not taken as it was.
        let changes_whole = |step: &Change| matches!(step.action, Action::Rotate | Action::Replace);
        let anew: BTreeSet<&Address> =
            changes.iter().filter(|step| changes_whole(step)).map(|step| &step.address).collect();
        self.taken.retain(|value| !anew.contains(&value.address));
        let state = self.input.state;
        let plan = StackPlan {
            stack: self.input.stack.name.clone(),
            renamed_from: self.input.stack.renamed_from.clone(),
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
            timeout_settings: self.input.stack.timeout_settings.clone(),
            partial: self.input.stack.partial,
            file: self.input.stack.file.clone(),
            retired: self.input.retired,
            rolled_back: self.input.rolled_back.clone(),
            changes,
            unchanged: self.unchanged.into_iter().collect(),
            awaited: self.awaited.into_iter().collect(),
            taken: self.taken,
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
