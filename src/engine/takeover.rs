//! What is there and not recorded, and what is recorded and no longer declared: own or ask.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::Json;
use crate::model::address::{Address, AddressGlob};
use crate::model::change::{Action, Change, Confidence, Phase};
use crate::model::error::Report;
use crate::model::kind::{Diffed, Facts, Kind, Leaving};
use crate::model::observed::{Observed, Remote};
use crate::model::plan::Refresh;
use crate::model::resource::{Adopt, Resource};
use crate::model::state::Recorded;

use super::plan::{Planner, Wanted};
use super::settle::{confidence, ground, replacement, shown};
use super::{fingerprint, guard};

impl<'a> Planner<'a> {
    /// Two addresses that mean one remote object are a rename, never a deletion and a creation.
    pub(super) fn take_renames(&mut self) {
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

    /// Something is there that nobody recorded: own or ask.
    pub(super) fn take_over(
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
        if !told && kind.joins(&facts) {
            self.create(kind, resource, spec, None);
            return None;
        }
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
        change.paths = diffed.changes.iter().chain(&diffed.handover).cloned().collect();
        // Another's is only taken where it is meant by name.
        let others = resource.meta.adopt == Adopt::Fitting && other.is_some();
        if !told || others {
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
        if let Some(why) = replacement(kind, &facts, &diffed) {
            let text = format!("{address} is there already, and can't become what the files say");
            self.checks.push(
                Report::error(text)
                    .code("conflict")
                    .about(address)
                    .at(resource.location.clone())
                    .cause(why)
                    .hint(
                        "write the field as it is there, or delete the object and let it be made",
                    ),
            );
            self.blocked.insert(address.clone());
        }
        self.changes.insert(address.clone(), change);
        Some(remote.clone())
    }

    /// What is there and is not this stack's may leave no room for what is to be made.
    pub(super) fn refuse_clash(&mut self, kind: &dyn Kind, resource: &Resource, spec: &Json) {
        let address = &resource.address;
        let clashing = self.input.world.clashing.get(address).into_iter().flatten();
        let others = clashing.filter(|remote| {
            let mut records = self.recorded.values();
            !records.any(|record| record.kind == kind.name() && record.id == remote.id)
        });
        let causes: Vec<String> = others.filter_map(|remote| kind.clash(spec, remote)).collect();
        if causes.is_empty() {
            return;
        }
        let mut report = Report::error(format!("{address} can't be made beside what is there"))
            .code("conflict")
            .about(address)
            .at(resource.location.clone());
        report.causes.extend(causes);
        self.checks.push(report.hint("delete what is there, or declare that instead"));
        self.blocked.insert(address.clone());
    }

    /// Records whose resource has left the files.
    pub(super) fn decide_orphans(&mut self) {
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
            // What a command printed the last time is not gone because it was not run this time.
            if !self.input.stack.may_have(&address) {
                self.orphan(&address, &recorded);
            }
        }
    }

    pub(super) fn orphan(&mut self, address: &Address, recorded: &Recorded) {
        let kind = self.kind(address.kind());
        match self.observed(address) {
            Observed::Present(remote) | Observed::Going(remote)
                if kind.is_some_and(|kind| kind.is_anothers(recorded, remote)) =>
            {
                let text = format!("{address} is not the one that boxctl made, and is left alone");
                self.checks.push(
                    Report::warning("replaced", text)
                        .about(address)
                        .cause("someone deleted that one and made another under its name"),
                );
                self.refresh.push(Refresh {
                    address: address.clone(),
                    moved_from: None,
                    record: None,
                    shown: true,
                });
            }
            Observed::Absent => self.refresh.push(Refresh {
                address: address.clone(),
                moved_from: None,
                record: None,
                shown: true,
            }),
            Observed::Unreadable(why) => self.checks.push(Report::unreadable(address, why)),
            observed @ (Observed::Present(_) | Observed::Going(_)) => {
                let said = self.input.stack.protect_settings.iter().rev().find(|(pattern, _)| {
                    pattern.parse::<AddressGlob>().is_ok_and(|glob| glob.matches(address))
                });
                let protected = said.map_or(recorded.protected, |(_, protect)| *protect);
                if protected && !guard::allowed(&self.input.options.allow_protected, address) {
                    self.kept.push(address.clone());
                    return;
                }
                let leaving = kind.map_or(Leaving::Deleted, |kind| kind.leaving(&recorded.sent));
                let mut change = match leaving {
                    Leaving::Left(why) => {
                        let mut change = orphan(address, recorded, Action::Forget);
                        change.reason = Some(why.to_owned());
                        self.changes.insert(address.clone(), change);
                        return;
                    }
                    Leaving::Deleted | Leaving::Emptied(_) => {
                        orphan(address, recorded, Action::Delete)
                    }
                };
                if let Leaving::Emptied(what) = leaving {
                    change.reason = Some(what.to_owned());
                }
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
}

pub(super) fn orphan(address: &Address, recorded: &Recorded, action: Action) -> Change {
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
        interrupts: None,
        reason: None,
        confidence: Confidence::Compared,
        needs: Vec::new(),
        ground: String::new(),
        restart: BTreeMap::new(),
        moved_from: None,
        location: None,
    }
}

pub(super) fn differences(diffed: &Diffed) -> Vec<String> {
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
