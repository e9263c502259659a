//! What is recorded of a step.

use std::collections::BTreeMap;

use crate::engine::drift;
use crate::engine::fingerprint;
use crate::engine::resolve::fingerprints_of;
use crate::engine::restart;
use crate::model::address::Address;
use crate::model::call::Answer;
use crate::model::change::{Action, Change, Phase};
use crate::model::journal::Effect;
use crate::model::kind::{Kind, Readiness, Since, Verb, Work};
use crate::model::observed::Remote;
use crate::model::path;
use crate::model::resource::Resource;
use crate::model::secret::SecretId;
use crate::model::state::Recorded;
use crate::model::{Json, JsonMap};

use super::read;
use super::stack_run::{Shared, StackRun, outputs};

impl<'a> StackRun<'a> {
    /// How the record changes when a step is done.
    pub(super) fn ending(
        &self,
        kind: &dyn Kind,
        change: &Change,
        work: &Work<'_>,
        resource: Option<&Resource>,
        remote: Option<&Remote>,
    ) -> Vec<Effect> {
        let address = change.address.clone();
        let mut effects = Vec::new();
        if let Some(old) = &change.moved_from {
            effects.push(Effect::Remove { address: old.clone() });
        }
        match (remote, resource) {
            (None, _) if change.phase == Phase::Remove => {
                let recorded = self.shared().state.resources.get(&address).cloned();
                if let Some(mut record) = recorded {
                    record.replacing = true;
                    effects.push(Effect::Record { address, record: Box::new(record) });
                }
            }
            (None, _) => effects.push(Effect::Remove { address }),
            (Some(_), _) if change.phase == Phase::Widen => {}
            (Some(remote), Some(resource)) => {
                let record = self.recorded(kind, resource, work.spec, remote, change);
                effects.push(Effect::Record { address, record: Box::new(record) });
            }
            (Some(_), None) => {}
        }
        effects
    }

    /// A create that needs more calls is recorded with its id at once: it must not get lost.
    pub(super) fn interim(
        &self,
        kind: &dyn Kind,
        change: &Change,
        work: &Work<'_>,
        resource: Option<&Resource>,
        answer: &Answer,
    ) -> Vec<Effect> {
        let (Some(resource), Verb::Create) = (resource, work.verb) else { return Vec::new() };
        let Some(remote) = kind.begun(work.spec, answer, &self.scope()) else {
            return Vec::new();
        };
        let is_known = |recorded: &Recorded| !recorded.replacing && recorded.id == remote.id;
        if self.shared().state.resources.get(&change.address).is_some_and(is_known) {
            return Vec::new();
        }
        let mut record = self.recorded(kind, resource, work.spec, &remote, change);
        // It is not what was asked for yet: the next plan has to see the difference.
        record.sent = Json::Object(JsonMap::new());
        record.answered = Json::Object(JsonMap::new());
        vec![Effect::Record { address: change.address.clone(), record: Box::new(record) }]
    }

    pub(super) fn recorded(
        &self,
        kind: &dyn Kind,
        resource: &Resource,
        spec: &Json,
        remote: &Remote,
        change: &Change,
    ) -> Recorded {
        let expected = self.expected(kind, resource, spec, change);
        let answered = kind
            .answered(&expected.sent, remote)
            .unwrap_or_else(|| path::project(&expected.sent, &remote.spec));
        let before = self.shared().remotes.get(&resource.address).cloned();
        let since = Since { before: before.as_ref(), written: remote };
        let is_ready = || kind.readiness(remote, Some(&since)) == Readiness::Ready;
        let mut record = Recorded {
            id: remote.id.clone(),
            answered,
            outputs: remote.outputs.clone(),
            version: remote.version.clone(),
            modified_at: kind.modified_at(remote).map(|at| at.to_string()),
            awaited: expected.awaited && !is_ready(),
            ..expected
        };
        drift::note_beside(kind, &mut record, remote);
        record
    }

    /// What will be recorded, as far as it is known before the answer.
    pub(super) fn expected(
        &self,
        kind: &dyn Kind,
        resource: &Resource,
        spec: &Json,
        change: &Change,
    ) -> Recorded {
        let sent = kind.recordable(spec);
        let shared = self.shared();
        let old = shared.state.resources.get(&resource.address);
        let old = old.or_else(|| shared.state.resources.get(change.moved_from.as_ref()?));
        let created = change.action == Action::Create || change.phase == Phase::Remake;
        let rotated = change.action == Action::Rotate;
        let now = self.context.now();
        let secrets = read(self.context.secrets);
        let outputs = kind.secret_outputs(spec).into_iter();
        let made = kind.makes(spec).into_iter().map(|(output, _)| output.to_owned());
        let fingerprints = outputs
            .chain(made)
            .filter_map(|output| {
                let recorded = old.and_then(|old| old.secrets.get(&output)).cloned();
                let id = SecretId::output(&resource.address, &output);
                let fingerprint = match (secrets.get(&id), recorded) {
                    (Some(secret), Some(recorded)) if fingerprint::is_of(&recorded, secret) => {
                        recorded
                    }
                    // One value that the spec holds has one fingerprint.
                    (Some(secret), _) => fingerprints_of(spec, &id)
                        .into_iter()
                        .find(|said| fingerprint::is_of(said, secret))
                        .unwrap_or_else(|| {
                            self.new_fingerprint(&resource.address, &output, secret)
                        }),
                    (None, Some(recorded)) if !created && !rotated => recorded,
                    (None, _) => return None,
                };
                Some((output, fingerprint))
            })
            .collect();
        Recorded {
            kind: kind.name().to_owned(),
            id: old.filter(|_| !created).map(|old| old.id.clone()).unwrap_or_default(),
            key: kind.key(spec),
            sent,
            answered: Json::Object(JsonMap::new()),
            outputs: JsonMap::new(),
            secrets: fingerprints,
            version: None,
            reads: self.versions_of(&shared, &resource.address),
            dependencies: self.needs.get(&resource.address).cloned().unwrap_or_default(),
            protected: resource.meta.protects(kind.protected(spec)),
            shared: resource.meta.shared.clone(),
            adopted: old.map_or(!created, |old| old.adopted),
            replacing: false,
            end: None,
            awaited: self.wait && resource.meta.wait,
            modified_at: None,
            beside: old.filter(|_| !created).map(|old| old.beside.clone()).unwrap_or_default(),
            created_at: old
                .filter(|_| !created)
                .map_or_else(|| now.clone(), |old| old.created_at.clone()),
            rotated_at: if rotated {
                Some(now.clone())
            } else {
                old.filter(|_| !created).and_then(|old| old.rotated_at.clone())
            },
            updated_at: now,
        }
    }

    /// The versions of the parameters that an object reads, as they are by now.
    pub(super) fn versions(&self, address: &Address) -> BTreeMap<Address, String> {
        self.versions_of(&self.shared(), address)
    }

    pub(super) fn versions_of(
        &self,
        shared: &Shared,
        address: &Address,
    ) -> BTreeMap<Address, String> {
        self.readers
            .iter()
            .filter(|(_, readers)| readers.contains(address))
            .filter_map(|(parameter, _)| {
                let version = shared.known.get(parameter)?.plain.get("version")?;
                Some((parameter.clone(), restart::version_text(version)?))
            })
            .collect()
    }

    /// What others may know of this resource from now on.
    pub(super) fn learn(&self, kind: &dyn Kind, address: &Address, spec: &Json, remote: &Remote) {
        let mut shared = self.shared();
        let mut outputs = outputs(self.context, address, remote, &shared.state);
        outputs.plain.extend(kind.known_outputs(spec, &self.scope()));
        shared.known.insert(address.clone(), outputs);
        shared.remotes.insert(address.clone(), remote.clone());
    }
}
