//! What any resource may carry beside its spec, and durations.

use std::sync::LazyLock;

use serde::Deserialize;

use super::shape;
use super::source::Diagnostics;
use super::yaml::{Entry, Node, Shape};
use crate::model::Json;
use crate::model::address::AddressGlob;
use crate::model::resource::{Adopt, Meta};

/// Another tool that applies an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum AppliedBy {
    /// boxctl applies it.
    Boxctl,
    /// Argo CD does; boxctl reads and shows it.
    Argocd,
}

/// `true`, or the id of the object that is meant.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
pub(super) enum AdoptFile {
    /// The one that fits.
    Any(bool),
    /// The one with this id.
    Id(String),
}

/// Seconds, or text like `90s`, `10m`, `1h30m`.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
pub(super) enum DurationFile {
    /// Seconds.
    Seconds(u64),
    /// A number with a unit: `ms`, `s`, `m`, `h`, `d`.
    Text(String),
}

/// What any resource may carry, or get by `settings`.
#[derive(Clone, Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MetaFile {
    /// Addresses of resources that come first.
    pub depends_on: Option<Vec<String>>,
    /// Whether it is kept when it leaves the files, until this says false.
    pub protect: Option<bool>,
    /// Paths that are left to others.
    pub ignore: Option<Vec<String>>,
    /// Paths that are taken from other owners; `**` for all.
    pub force: Option<Vec<String>>,
    /// Whether an object that is there already is taken over: true, or its id.
    pub adopt: Option<AdoptFile>,
    /// Lists that others write too.
    pub shared: Option<Vec<String>>,
    /// Whether apply waits until it is ready.
    pub wait: Option<bool>,
    /// How long apply waits.
    pub timeout: Option<DurationFile>,
    /// An earlier address.
    pub renamed_from: Option<String>,
    /// The tool that applies it.
    pub applied_by: Option<AppliedBy>,
}

/// The names of what any resource may carry.
pub(super) fn names() -> Vec<String> {
    shape::fields(schema())
}

/// The JSON Schema of what any resource may carry; made once, since it is asked for by every one.
pub(super) fn schema() -> &'static Json {
    static SCHEMA: LazyLock<Json> = LazyLock::new(|| schemars::schema_for!(MetaFile).to_value());
    &SCHEMA
}

/// A mapping of `settings`, or the part of a resource that is no spec.
pub(super) fn read(node: &Node, diagnostics: &mut Diagnostics) -> MetaFile {
    let checked = shape::check(node, schema());
    let sound = checked.faults.is_empty();
    super::tell(checked.faults, diagnostics);
    if !sound {
        return MetaFile::default();
    }
    let file: MetaFile = serde_json::from_value(checked.value).unwrap_or_default();
    check_texts(node, &file, diagnostics);
    file
}

fn check_texts(node: &Node, file: &MetaFile, diagnostics: &mut Diagnostics) {
    let item = |key: &str, i: usize| match node.get(key).map(|list| &list.shape) {
        Some(Shape::List(items)) => items.get(i).map_or(node.mark, |item| item.mark),
        _ => node.mark,
    };
    for (i, text) in file.depends_on.iter().flatten().enumerate() {
        if text.parse::<crate::model::address::Address>().is_err() {
            let message = format!("`{text}` is not an address");
            diagnostics.error_hint(item("depends_on", i), message, Some("write `kind.name`"));
        }
    }
    let renamed = file.renamed_from.as_deref();
    if renamed.is_some_and(|text| text.parse::<crate::model::address::Address>().is_err()) {
        let mark = node.get("renamed_from").map_or(node.mark, |node| node.mark);
        diagnostics.error_hint(mark, "this is not an address", Some("write `kind.name`"));
    }
    if let Some(timeout) = &file.timeout
        && timeout.milliseconds().is_none()
    {
        let mark = node.get("timeout").map_or(node.mark, |node| node.mark);
        diagnostics.error_hint(mark, "this is not a duration", Some("write 90s, 10m or 1h30m"));
    }
}

impl DurationFile {
    /// The duration in milliseconds; None for text that says none.
    pub fn milliseconds(&self) -> Option<u64> {
        match self {
            DurationFile::Seconds(seconds) => seconds.checked_mul(1000),
            DurationFile::Text(text) => milliseconds(text),
        }
    }
}

/// `90`, `90s`, `500ms`, `1h30m` in milliseconds.
fn milliseconds(text: &str) -> Option<u64> {
    if let Ok(seconds) = text.parse::<u64>() {
        return seconds.checked_mul(1000);
    }
    let mut rest = text;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        let tail = &rest[digits..];
        let unit = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let factor = match &tail[..unit] {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        total = total.checked_add(number.checked_mul(factor)?)?;
        rest = &tail[unit..];
    }
    (!text.is_empty()).then_some(total)
}

impl MetaFile {
    /// How long apply waits, in seconds, where this says so.
    pub fn timeout_s(&self) -> Option<u64> {
        let timeout = self.timeout.as_ref().and_then(DurationFile::milliseconds);
        timeout.map(|timeout| timeout.div_ceil(1000))
    }

    /// Puts what this says over what is there; `exact`: said of that one address.
    pub fn onto(&self, exact: bool, meta: &mut Meta) {
        if let Some(addresses) = &self.depends_on {
            meta.depends_on.extend(addresses.iter().filter_map(|text| text.parse().ok()));
        }
        meta.protect = self.protect.or(meta.protect);
        for (from, to) in [
            (&self.ignore, &mut meta.ignore),
            (&self.force, &mut meta.force),
            (&self.shared, &mut meta.shared),
        ] {
            if let Some(paths) = from {
                to.clone_from(paths);
            }
        }
        match &self.adopt {
            Some(AdoptFile::Any(true)) if exact => meta.adopt = Adopt::Yes,
            Some(AdoptFile::Any(true)) if meta.adopt == Adopt::No => meta.adopt = Adopt::Fitting,
            Some(AdoptFile::Any(true)) => {}
            Some(AdoptFile::Any(false)) => meta.adopt = Adopt::No,
            Some(AdoptFile::Id(id)) => meta.adopt = Adopt::Id(id.clone()),
            None => {}
        }
        meta.wait = self.wait.unwrap_or(meta.wait);
        meta.timeout_s = self.timeout_s().or(meta.timeout_s);
        if let Some(address) = self.renamed_from.as_ref().and_then(|text| text.parse().ok()) {
            meta.renamed_from = Some(address);
        }
        if let Some(tool) = self.applied_by {
            meta.applied_elsewhere = tool != AppliedBy::Boxctl;
        }
    }
}

/// Takes the keys that any resource may carry out of a resource's mapping: spec and the rest.
pub(super) fn split(node: &Node, own: &[String]) -> (Node, Node) {
    let names = names();
    let (mut spec, mut rest): (Vec<Entry>, Vec<Entry>) = (Vec::new(), Vec::new());
    for entry in node.entries().unwrap_or_default() {
        if names.contains(&entry.key) && !own.contains(&entry.key) {
            rest.push(entry.clone());
        } else {
            spec.push(entry.clone());
        }
    }
    let at = |entries: Vec<Entry>| Node { shape: Shape::Map(entries), mark: node.mark };
    (at(spec), at(rest))
}

/// One line of `settings`.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    /// Which resources.
    pub glob: AddressGlob,
    /// What they get.
    pub file: MetaFile,
    /// Where it stands.
    pub mark: super::source::Mark,
}

/// The stack's `settings`, in order; a later one is stronger.
pub(super) fn settings(node: Option<&Node>, diagnostics: &mut Diagnostics) -> Vec<Setting> {
    let mut out = Vec::new();
    for entry in node.and_then(Node::entries).unwrap_or_default() {
        match entry.key.parse::<AddressGlob>() {
            Ok(glob) => {
                let file = read(&entry.value, diagnostics);
                out.push(Setting { glob, file, mark: entry.mark });
            }
            Err(error) => {
                let message = format!("`{}` is not a pattern for addresses: {error}", entry.key);
                diagnostics.error(entry.mark, message);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_in_any_unit() {
        for (text, expected) in [
            ("90", Some(90_000)),
            ("500ms", Some(500)),
            ("1h30m", Some(5_400_000)),
            ("", None),
            ("m", None),
            ("5 m", None),
            ("5x", None),
        ] {
            assert_eq!(milliseconds(text), expected, "{text}");
        }
    }

    #[test]
    fn a_later_setting_is_stronger() {
        let mut meta = Meta::default();
        let first = MetaFile { protect: Some(true), wait: Some(false), ..MetaFile::default() };
        let second = MetaFile { protect: Some(false), ..MetaFile::default() };
        first.onto(true, &mut meta);
        second.onto(true, &mut meta);
        assert_eq!((meta.protect, meta.wait), (Some(false), false));
    }
}
