//! Taking fields over from the tools that applied an object before boxctl did.
//!
//! A field that two managers own stays when one of them drops it. What is adopted is therefore
//! taken from its makers as `kubectl apply --server-side` takes it from client-side apply
//! (k8s.io/client-go/util/csaupgrade): their entries of `managedFields` become part of boxctl's,
//! under the resourceVersion that was read, and the apply that follows takes away what the manifest
//! does not have.

use serde_json::json;

use crate::model::{Json, JsonMap};

use super::fields::{Element, Path};
use super::names;
use super::owners::{MANAGER, Managed, element_of, managed, own};
use super::secret::{self, LAST_APPLIED};

/// Field managers of tools that apply whole manifests: what they own and the manifest does not
/// have was dropped from it. A program's default name is that of its binary or user agent
/// (k8s.io/apiserver/pkg/endpoints/handlers/create.go, `managerOrUserAgent`).
const APPLIERS: [&str; 11] = [
    "kubectl-client-side-apply",
    "kubectl",
    "kubectl-last-applied",
    "helm",
    "Helm",
    "helm-controller",
    "kustomize-controller",
    "argocd-controller",
    "kapp-server",
    "Terraform",
    "HashiCorp",
];

fn applies_manifests(manager: &str) -> bool {
    APPLIERS.contains(&manager)
}

/// What a taking over comes to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Handover {
    /// `managedFields` afterwards.
    pub managed_fields: Vec<Json>,
    /// Who gives something up.
    pub from: Vec<String>,
    /// Fields that the manifest does not have and that go with the next apply, with who set them.
    pub leaving: Vec<(Path, Managed)>,
    /// Whether kubectl's note of what it applied last goes: it would be wrong from now on.
    pub drops_last_applied: bool,
}

/// What boxctl would take over of an object that a manifest means; None where there is nothing to
/// take.
pub fn handover(live: &Json, manifest: &Json) -> Option<Handover> {
    let entries = live.pointer("/metadata/managedFields").and_then(Json::as_array)?;
    let manifest = &secret::kept(manifest);
    let (api_version, _) = names::kind_of(manifest);
    let last_applied = last_applied(live);
    let note = last_applied_path();
    let mut found = Handover::default();
    let mut ours = Json::Object(JsonMap::new());
    let mut version = Json::String(api_version.to_owned());
    for (entry, owner) in entries.iter().zip(managed(live)) {
        let fields = entry.get("fieldsV1").cloned().unwrap_or_default();
        if owner.is_ours() {
            ours = union(&fields, &ours);
            version = entry.get("apiVersion").cloned().unwrap_or_default();
            continue;
        }
        let applier = applies_manifests(&owner.manager);
        if owner.is_boxctls() || owner.subresource.is_some() || (owner.applied && !applier) {
            found.managed_fields.push(entry.clone());
            continue;
        }
        // What is written by POST or PUT owns the server's defaults, too: what kubectl was told
        // is in its note.
        let said = |path: &Path| {
            let noted = last_applied.as_ref().filter(|_| !owner.applied);
            path.get(manifest).is_some()
                || (applier && noted.is_none_or(|noted| path.get(noted).is_some() || *path == note))
        };
        let (taken, left) = split(&fields, &mut Vec::new(), &said);
        if !applier && is_empty(&taken) {
            found.managed_fields.push(entry.clone());
            continue;
        }
        found.from.push(owner.manager.clone());
        if !applier && !is_empty(&left) {
            let mut rest = entry.clone();
            if let Some(rest) = rest.as_object_mut() {
                rest.insert("fieldsV1".to_owned(), left);
            }
            found.managed_fields.push(rest);
        }
        // Paths of another version of the kind may be others.
        if entry.get("apiVersion").and_then(Json::as_str) == Some(api_version) {
            ours = union(&ours, &taken);
        }
    }
    if found.from.is_empty() {
        return None;
    }
    if !is_empty(&ours) {
        // Without a time: boxctl has not written anything of this yet.
        found.managed_fields.insert(
            0,
            json!({
                "manager": MANAGER,
                "operation": "Apply",
                "apiVersion": version,
                "fieldsType": "FieldsV1",
                "fieldsV1": ours,
            }),
        );
    }
    let after = managed(&with_owners(live, &found));
    let before = managed(live);
    for path in own(&after) {
        let lead = |entry: &&Managed| entry.paths.iter().any(|owned| path.leads_to(owned));
        let mut others = after.iter().filter(|entry| !entry.is_ours());
        if path == note {
            found.drops_last_applied = path.get(manifest).is_none();
        } else if path.get(manifest).is_none() && !others.any(|entry| lead(&entry)) {
            let by = before.iter().filter(|entry| !entry.is_ours());
            if let Some(by) = by.filter(lead).max_by(|a, b| a.time.cmp(&b.time)) {
                found.leaving.push((path, by.clone()));
            }
        }
    }
    found.leaving.retain(|(path, _)| path.get(live).is_some());
    Some(found)
}

/// The object as the handover leaves it.
pub fn with_owners(live: &Json, handover: &Handover) -> Json {
    let mut out = live.clone();
    if let Some(metadata) = out.get_mut("metadata").and_then(Json::as_object_mut) {
        let fields = Json::Array(handover.managed_fields.clone());
        metadata.insert("managedFields".to_owned(), fields);
    }
    out
}

/// The path of kubectl's note of what it applied last.
pub fn last_applied_path() -> Path {
    let names = ["metadata", "annotations", LAST_APPLIED];
    Path(names.into_iter().map(|name| Element::Field(name.to_owned())).collect())
}

/// What kubectl applied last, by its own note.
fn last_applied(live: &Json) -> Option<Json> {
    let note = last_applied_path();
    serde_json::from_str(note.get(live)?.as_str()?).ok().filter(Json::is_object)
}

fn is_empty(fields: &Json) -> bool {
    fields.as_object().is_none_or(JsonMap::is_empty)
}

/// A field set in two: what is taken, and the rest. `.` stands for the container itself.
fn split(fields: &Json, at: &mut Vec<Element>, taken: &impl Fn(&Path) -> bool) -> (Json, Json) {
    let (mut yes, mut no) = (JsonMap::new(), JsonMap::new());
    for (key, inner) in fields.as_object().into_iter().flatten() {
        let Some(element) = element_of(key) else {
            let side = if taken(&Path(at.clone())) { &mut yes } else { &mut no };
            side.insert(key.clone(), inner.clone());
            continue;
        };
        at.push(element);
        if is_empty(inner) {
            let side = if taken(&Path(at.clone())) { &mut yes } else { &mut no };
            side.insert(key.clone(), inner.clone());
        } else {
            let (a, b) = split(inner, at, taken);
            for (side, part) in [(&mut yes, a), (&mut no, b)] {
                if !is_empty(&part) {
                    side.insert(key.clone(), part);
                }
            }
        }
        at.pop();
    }
    (Json::Object(yes), Json::Object(no))
}

/// All fields of two sets.
fn union(a: &Json, b: &Json) -> Json {
    let (Some(a), Some(b)) = (a.as_object(), b.as_object()) else { return a.clone() };
    let mut out = a.clone();
    for (key, theirs) in b {
        let both = match out.get(key) {
            None => theirs.clone(),
            Some(ours) if is_empty(ours) && is_empty(theirs) => continue,
            Some(ours) => {
                let mut both = union(ours, theirs);
                // A set with nothing beneath it stands for the field itself.
                if is_empty(ours) != is_empty(theirs)
                    && let Some(both) = both.as_object_mut()
                {
                    both.insert(".".to_owned(), Json::Object(JsonMap::new()));
                }
                both
            }
        };
        out.insert(key.clone(), both);
    }
    Json::Object(out)
}

#[cfg(test)]
#[path = "handover_tests.rs"]
mod tests;
