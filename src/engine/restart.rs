//! Who has to read a parameter again. An object says which versions it has read by an annotation,
//! or its record does; a plan sees by that a restart that an interrupted run still owes.

use std::collections::BTreeMap;

use crate::model::Json;
use crate::model::address::Address;
use crate::model::change::Action;
use crate::model::observed::Remote;
use crate::model::value::Special;

use super::plan::Planner;
use super::settle::ground;

/// The annotation that names the versions of parameters, on an object or its pod template.
pub const ANNOTATION: &str = "boxctl/parameter-versions";

/// The versions that a live object says it has read.
pub fn versions_read(live: &Json) -> BTreeMap<Address, String> {
    ["/metadata/annotations", "/spec/template/metadata/annotations"]
        .iter()
        .filter_map(|pointer| live.pointer(pointer)?.get(ANNOTATION)?.as_str())
        .flat_map(str::split_whitespace)
        .filter_map(|entry| {
            let (address, version) = entry.split_once('=')?;
            Some((address.parse().ok()?, version.to_owned()))
        })
        .collect()
}

/// The annotation's text for these versions.
pub fn text(versions: &BTreeMap<Address, String>) -> String {
    let entries: Vec<_> = versions.iter().map(|(a, version)| format!("{a}={version}")).collect();
    entries.join(" ")
}

/// Whether a change of this field makes a version of its parameter: all but tags are written
/// together with the value.
fn is_versioned(path: &str) -> bool {
    path != "tags" && !path.starts_with("tags.")
}

/// An output as the text of a version.
pub fn version_text(value: &Json) -> Option<String> {
    match value {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

impl<'a> Planner<'a> {
    /// Objects that read a parameter which gets, or has, another version than they have read.
    pub(super) fn owe_restarts(&mut self) {
        for (parameter, readers) in self.input.readers {
            let version = self.version_to_come(parameter);
            for reader in readers {
                self.owe_restart(parameter, reader, version.as_ref());
            }
        }
    }

    /// The version a parameter will have: known, or an unknown that its step will tell.
    pub(super) fn version_to_come(&self, parameter: &Address) -> Option<Json> {
        let reference = crate::model::value::Reference {
            address: parameter.clone(),
            output: "version".to_owned(),
        };
        match self.changes.get(parameter) {
            Some(change) if matches!(change.action, Action::Delete | Action::Forget) => None,
            Some(change)
                if !matches!(change.action, Action::Update | Action::Adopt)
                    || change.paths.iter().any(|field| is_versioned(&field.path))
                    || change.removed.iter().any(|path| is_versioned(path)) =>
            {
                Some(Special::unknown(reference))
            }
            _ => self.known.get(parameter)?.plain.get("version").cloned(),
        }
    }

    /// The object that an address takes over.
    fn adopted(&self, address: &Address) -> Option<&'a Remote> {
        let change = self.changes.get(address).filter(|change| change.action == Action::Adopt)?;
        let candidates = self.input.world.candidates.get(address)?;
        candidates.iter().find(|remote| change.id.as_ref() == Some(&remote.id))
    }

    pub(super) fn owe_restart(
        &mut self,
        parameter: &Address,
        reader: &Address,
        version: Option<&Json>,
    ) {
        let Some(version) = version else { return };
        let Some(remote) = self.observed(reader).present().or_else(|| self.adopted(reader)) else {
            return;
        };
        let Some(resource) = self.input.stack.resource(reader) else { return };
        let recorded = self.recorded.get(reader);
        let read = versions_read(&remote.raw)
            .remove(parameter)
            .or_else(|| recorded?.reads.get(parameter).cloned());
        let now = version_text(version);
        // Of what is taken over, only its annotation tells what it has read.
        let is_said = now.is_some() || recorded.is_none();
        if is_said && (read.is_none() || read == now) {
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_object_says_what_it_has_read() {
        let versions: BTreeMap<Address, String> = [
            (Address::new("ssm_parameter", "a"), "3".to_owned()),
            (Address::new("ssm_parameter", "b"), "11".to_owned()),
        ]
        .into();
        let text = text(&versions);
        for live in [
            json!({"metadata": {"annotations": {ANNOTATION: text}}}),
            json!({"spec": {"template": {"metadata": {"annotations": {ANNOTATION: text}}}}}),
        ] {
            assert_eq!(versions_read(&live), versions);
        }
        assert_eq!(versions_read(&json!({})), BTreeMap::new());
    }
}
