//! Who owns which fields of an object, by its own `managedFields`.

use crate::model::{Json, JsonMap};

use super::fields::{Element, Path};

/// The field manager that boxctl applies manifests as.
pub const MANAGER: &str = "boxctl";
/// The field manager that boxctl asks for restarts as.
pub const RESTART_MANAGER: &str = "boxctl-restart";
/// The field manager that keeps what has left the manifest and can't be taken away.
pub const RETAINED_MANAGER: &str = "boxctl-retained";

/// An entry of `managedFields`: who wrote which fields.
#[derive(Clone, Debug, PartialEq)]
pub struct Managed {
    /// The manager's name.
    pub manager: String,
    /// Whether it applied them, rather than updated.
    pub applied: bool,
    /// The subresource that it wrote through.
    pub subresource: Option<String>,
    /// When it wrote last (RFC 3339).
    pub time: Option<String>,
    /// The fields that it owns: leaves of its set.
    pub paths: Vec<Path>,
}

impl Managed {
    /// Whether this is what boxctl applied.
    pub fn is_ours(&self) -> bool {
        self.manager == MANAGER && self.applied && self.subresource.is_none()
    }

    /// Whether boxctl applied this, under any of its names: to others they are one.
    pub fn is_boxctls(&self) -> bool {
        let names = [MANAGER, RESTART_MANAGER, RETAINED_MANAGER];
        self.applied && self.subresource.is_none() && names.contains(&self.manager.as_str())
    }

    /// Whether this was written through `/scale`.
    pub fn is_scale(&self) -> bool {
        self.subresource.as_deref() == Some("scale")
    }
}

/// Everyone who owns fields of an object.
pub fn managed(object: &Json) -> Vec<Managed> {
    let entries = object.pointer("/metadata/managedFields").and_then(Json::as_array);
    let text = |entry: &Json, key: &str| entry.get(key).and_then(Json::as_str).map(str::to_owned);
    entries
        .into_iter()
        .flatten()
        .map(|entry| {
            let mut paths = Vec::new();
            if let Some(fields) = entry.get("fieldsV1") {
                collect(fields, &mut Vec::new(), &mut paths);
            }
            Managed {
                manager: text(entry, "manager").unwrap_or_default(),
                applied: entry.get("operation").and_then(Json::as_str) == Some("Apply"),
                subresource: text(entry, "subresource").filter(|name| !name.is_empty()),
                time: text(entry, "time"),
                paths,
            }
        })
        .collect()
}

/// The leaves of a field set: what has nothing beneath it but itself (`.`).
fn collect(fields: &Json, at: &mut Vec<Element>, out: &mut Vec<Path>) {
    let Some(map) = fields.as_object() else { return };
    let mut leaf = true;
    for (key, inner) in map {
        let Some(element) = element_of(key) else { continue };
        leaf = false;
        at.push(element);
        collect(inner, at, out);
        at.pop();
    }
    if leaf && !at.is_empty() {
        out.push(Path(at.clone()));
    }
}

/// What a key of a field set stands for; None for `.`, the container itself.
pub(super) fn element_of(key: &str) -> Option<Element> {
    let (kind, rest) = key.split_once(':')?;
    match kind {
        "f" => Some(Element::Field(rest.to_owned())),
        "v" => serde_json::from_str(rest).ok().map(Element::Value),
        "i" => rest.parse().ok().map(Element::Index),
        "k" => {
            let keys: JsonMap = serde_json::from_str(rest).ok()?;
            Some(Element::Item(keys.into_iter().collect()))
        }
        _ => None,
    }
}

/// The fields that boxctl owns.
pub fn own(managed: &[Managed]) -> Vec<Path> {
    managed.iter().filter(|entry| entry.is_ours()).flat_map(|entry| entry.paths.clone()).collect()
}

/// The fields that boxctl keeps although they have left the manifest.
pub fn retained(managed: &[Managed]) -> Vec<Path> {
    let keepers = managed.iter().filter(|entry| {
        entry.manager == RETAINED_MANAGER && entry.applied && entry.subresource.is_none()
    });
    keepers.flat_map(|entry| entry.paths.clone()).collect()
}

/// The fields that boxctl owns with their values, by path; null for an owned field that the server
/// leaves out (an empty string).
pub fn owned_values(object: &Json) -> JsonMap {
    own(&managed(object))
        .into_iter()
        .map(|path| {
            let value = path.get(object).cloned().unwrap_or(Json::Null);
            (path.to_string(), value)
        })
        .collect()
}

/// The other owner of a field who wrote last.
pub fn other_owner<'a>(managed: &'a [Managed], path: &Path) -> Option<&'a Managed> {
    managed
        .iter()
        .filter(|entry| !entry.is_boxctls() && entry.paths.contains(path))
        .max_by(|a, b| (a.is_scale(), &a.time).cmp(&(b.is_scale(), &b.time)))
}

/// The path that the server means by a text in a conflict, where names are not quoted, or in a
/// refusal, where items have the place that they get when the manifest is applied.
pub fn resolve(managed: &[Managed], text: &str, manifest: &Json, live: &Json) -> Option<Path> {
    let text = text.strip_prefix('.').unwrap_or(text);
    let owned = managed.iter().flat_map(|entry| &entry.paths);
    if let Some(path) = owned.clone().find(|path| path.server_text() == text) {
        return Some(path.clone());
    }
    let mut out = Path::default();
    for element in Path::parse(text)?.0 {
        let Element::Index(index) = element else {
            out.0.push(element);
            continue;
        };
        let keys = owned.clone().find_map(|path| match path.0.get(out.0.len()) {
            Some(Element::Item(keys)) if out.leads_to(path) => Some(keys),
            _ => None,
        });
        let item = |object: &'_ Json| out.get(object)?.as_array()?.get(index).cloned();
        // What is applied comes first in its order.
        let item = item(manifest).or_else(|| item(live));
        out.0.push(match (keys, item) {
            (Some(keys), Some(item)) => Element::Item(
                keys.iter()
                    .filter_map(|(key, _)| Some((key.clone(), item.get(key)?.clone())))
                    .collect(),
            ),
            _ => Element::Index(index),
        });
    }
    Some(out)
}
