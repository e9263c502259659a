//! Objects that another tool applies: read, compared and shown, never written.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::Json;
use crate::model::address::Address;
use crate::model::change::Action;
use crate::model::error::Report;
use crate::model::kind::{Facts, Kind};
use crate::model::observed::{Observed, Preview, Remote, World};
use crate::model::resource::Resource;
use crate::model::status::{ARGOCD, Elsewhere, Standing};
use crate::model::value::Special;

use super::plan::{Planner, Wanted};
use super::settle::collect_unknown;
use super::takeover::orphan;

/// What is there of a resource, whether it is recorded or only fits.
pub(super) fn seen<'w>(world: &'w World, address: &Address) -> Option<&'w Remote> {
    let observed = world.resources.get(address).and_then(Observed::present);
    observed.or_else(|| match world.candidates.get(address).map(Vec::as_slice) {
        Some([one]) => Some(one),
        _ => None,
    })
}

/// How an object stands to its manifest; and whether only the server can tell.
pub(super) fn standing(
    kind: &dyn Kind,
    resource: &Resource,
    spec: &Json,
    world: &World,
    preview: Option<&Preview>,
) -> (Elsewhere, bool) {
    let mut found = Elsewhere {
        address: resource.address.clone(),
        applied_by: ARGOCD.to_owned(),
        standing: Standing::Missing,
        differs: Vec::new(),
        reason: None,
    };
    if let Some(remote) = seen(world, &resource.address) {
        let diffed = kind.diff(&Facts {
            declared: Some(spec),
            sent: None,
            answered: None,
            version: None,
            remote,
            preview,
            ignore: &resource.meta.ignore,
            force: &["**".to_owned()],
            shared: &resource.meta.shared,
        });
        // What the other tool adds, its own mark among it, is its own.
        let declared = diffed.changes.into_iter().filter(|change| change.after.is_some());
        found.differs = declared.map(|change| change.path).collect();
        let differs = !found.differs.is_empty();
        found.standing = if differs { Standing::Differs } else { Standing::InSync };
        let wants_preview = diffed.wants_preview && differs;
        return (found, wants_preview);
    }
    match world.resources.get(&resource.address) {
        Some(Observed::Going(_)) => found.standing = Standing::Going,
        Some(Observed::Unreadable(why)) => {
            found.standing = Standing::Unreadable;
            found.reason = Some(why.clone());
        }
        Some(Observed::Present(_) | Observed::Absent) | None => {}
    }
    (found, false)
}

impl<'a> Planner<'a> {
    /// Compares an object that another tool applies; returns what is there.
    pub(super) fn look_at(
        &mut self,
        kind: &dyn Kind,
        resource: &Resource,
        spec: &Json,
    ) -> Option<Remote> {
        let address = &resource.address;
        let world = self.input.world;
        let preview = world.previews.get(address);
        let (found, wants_preview) = standing(kind, resource, spec, world, preview);
        let remote = seen(world, address).cloned();
        if wants_preview && preview.is_none() {
            self.wanted.push(Wanted {
                address: address.clone(),
                spec: spec.clone(),
                remote: remote.clone(),
                sent: None,
                force: vec!["**".to_owned()],
            });
        }
        self.elsewhere.push(found);
        if let Some(recorded) = self.recorded.get(address) {
            let mut change = orphan(address, recorded, Action::Forget);
            change.reason = Some(format!("{ARGOCD} applies it from now on"));
            change.location.clone_from(&resource.location);
            self.changes.insert(address.clone(), change);
        }
        remote
    }

    /// Whether a resource waits for a value of an object that another tool has to make: no step of
    /// boxctl's will ever tell it.
    pub(super) fn waits_for_others(&mut self, resource: &Resource, resolved: &Json) -> bool {
        let mut unknown = BTreeMap::new();
        collect_unknown("", resolved, &mut unknown);
        let others: BTreeSet<&Address> = unknown
            .values()
            .filter(|needed| self.elsewhere.iter().any(|found| found.address == **needed))
            .collect();
        for needed in &others {
            self.checks.push(
                Report::error(format!("{} needs a value of {needed}", resource.address))
                    .about(&resource.address)
                    .at(resource.location.clone())
                    .cause(format!("{ARGOCD} applies {needed}, and it is not there yet"))
                    .hint("sync it there, then run this again"),
            );
            self.blocked.insert(resource.address.clone());
        }
        !others.is_empty()
    }

    /// Objects of other tools that have to read a parameter again, which boxctl may not make them do.
    pub(super) fn name_restarts(&mut self) {
        let elsewhere: BTreeSet<&Address> =
            self.elsewhere.iter().map(|found| &found.address).collect();
        let mut due: BTreeSet<(Address, Address)> = BTreeSet::new();
        for (parameter, readers) in self.input.readers {
            let readers = readers.iter().filter(|reader| elsewhere.contains(reader));
            due.extend(readers.map(|reader| (parameter.clone(), reader.clone())));
        }
        for resource in &self.input.stack.resources {
            if elsewhere.contains(&resource.address) {
                let needed = resource.meta.depends_on.iter();
                let parameters = needed.filter(|needed| needed.kind() == "ssm_parameter");
                due.extend(parameters.map(|p| (p.clone(), resource.address.clone())));
            }
        }
        for (parameter, reader) in due {
            let is_new = self
                .version_to_come(&parameter)
                .is_some_and(|version| matches!(Special::of(&version), Some(Special::Unknown(_))));
            if is_new && seen(self.input.world, &reader).is_some() {
                self.checks.push(restart_there(&parameter, &reader));
            }
        }
    }
}

/// How a person has another tool's object read a parameter again.
fn restart_there(parameter: &Address, reader: &Address) -> Report {
    let mut parts = reader.name().split('/');
    let kind = parts.next().unwrap_or_default();
    let (namespace, name) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let kind = kind.split('.').next().unwrap_or_default().to_lowercase();
    let (verb, hint) = if kind == "externalsecret" {
        let command = format!(
            "kubectl annotate -n {namespace} {kind} {name} force-sync=\"$(date +%s)\" --overwrite"
        );
        ("refresh it there", format!("or wait for its refreshInterval: `{command}` is at once"))
    } else {
        let command = format!("kubectl rollout restart -n {namespace} {kind}/{name}");
        ("restart it there", format!("when its Secret has the new value: `{command}`"))
    };
    let text = format!("{ARGOCD} applies {reader}, which reads {parameter}: {verb}");
    Report::warning("restart", text).about(parameter).hint(hint)
}
