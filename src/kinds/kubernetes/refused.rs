//! What a refusal of the server says of the fields that it names, and what gets an apply through.

use crate::model::Json;
use crate::model::kind::Problem;

use super::fields::{Element, Path};
use super::limits;
use super::owners::{Managed, managed, own, resolve};

/// An apply that was refused as invalid (422).
pub(super) struct Refusal<'a> {
    message: &'a str,
    /// The fields that it names.
    named: Vec<Path>,
    manifest: &'a Json,
    live: &'a Json,
    owners: Vec<Managed>,
}

impl<'a> Refusal<'a> {
    /// What a message with its causes says of a manifest and the object that it is to change.
    pub(super) fn of(
        message: &'a str,
        causes: &[&str],
        manifest: &'a Json,
        live: &'a Json,
    ) -> Refusal<'a> {
        let owners = managed(live);
        let named = causes.iter().filter_map(|text| resolve(&owners, text, manifest, live));
        Refusal { message, named: named.collect(), manifest, live, owners }
    }

    /// The defaults that stand in the way, if they are all that is named. Claimed at their live
    /// values and then left out, they go away.
    pub(super) fn claims(&self) -> Vec<Path> {
        let mut found: Vec<Path> = Vec::new();
        for path in &self.named {
            let here = if self.is_claimable(path) { vec![path.clone()] } else { self.beside(path) };
            if here.is_empty() {
                return Vec::new();
            }
            found.extend(here);
        }
        found
    }

    /// Whether a field is a default: not the manifest's, nobody's, and there.
    fn is_claimable(&self, path: &Path) -> bool {
        !path.0.is_empty()
            && path.get(self.manifest).is_none()
            && path.get(self.live).is_some()
            && !self.is_owned(path)
    }

    fn is_owned(&self, path: &Path) -> bool {
        self.owners.iter().flat_map(|entry| &entry.paths).any(|owned| path.leads_to(owned))
    }

    /// The defaults beside a field of the manifest that is forbidden because of one of them: of
    /// several that exclude each other, the server names one (a volume's `emptyDir`, which stands
    /// where no source was said, and the claim that it is to have now).
    fn beside(&self, path: &Path) -> Vec<Path> {
        let is_choice = self.message.contains("Forbidden: ") && !is_immutable(self.message);
        let Some((_, around)) = path.0.split_last().filter(|(_, around)| around.len() > 1) else {
            return Vec::new();
        };
        let around = Path(around.to_vec());
        // What is there already is not what is new.
        if !is_choice || path.get(self.manifest).is_none() || path.get(self.live).is_some() {
            return Vec::new();
        }
        let siblings = around.get(self.live).and_then(Json::as_object).into_iter().flatten();
        siblings
            .filter(|(_, value)| value.is_object())
            .map(|(name, _)| {
                let mut sibling = around.clone();
                sibling.0.push(Element::Field(name.clone()));
                sibling
            })
            .filter(|sibling| self.is_claimable(sibling))
            .collect()
    }

    /// The fields that have left the manifest and that the refusal does not let go: those beneath
    /// the fields that it names.
    pub(super) fn stays(&self) -> Vec<Path> {
        if !is_immutable(self.message) {
            return Vec::new();
        }
        let meant = |path: &Path| self.names(path);
        let left: Vec<Path> = own(&self.owners)
            .into_iter()
            .filter(|path| path.get(self.manifest).is_none() && path.get(self.live).is_some())
            .filter(|path| meant(path) && !is_content(path))
            .collect();
        if !limits::has_known_limits(self.manifest) {
            return left;
        }
        let fixed = |path: &Path| {
            limits::replacement_reason(&path.to_string(), self.manifest, self.live).is_some()
        };
        left.into_iter().filter(fixed).collect()
    }

    fn names(&self, path: &Path) -> bool {
        self.named.iter().any(|at| at.leads_to(path) || path.leads_to(at))
    }

    /// Why a field that differs needs a new object.
    pub(super) fn replacement(&self, path: &str) -> Option<String> {
        if !is_immutable(self.message) {
            return None;
        }
        if limits::has_known_limits(self.manifest) {
            return limits::replacement_reason(path, self.manifest, self.live);
        }
        self.names(&Path::parse(path)?).then(|| {
            let kind = self.manifest.get("kind").and_then(Json::as_str).unwrap_or("object");
            format!("{path} of a {kind} can't be changed in place: {}", self.message.trim_end())
        })
    }
}

/// What an object is for: it does not stay behind in silence where the object can be made anew.
fn is_content(path: &Path) -> bool {
    let names: Vec<&str> = path
        .0
        .iter()
        .map_while(|element| match element {
            Element::Field(name) => Some(name.as_str()),
            _ => None,
        })
        .collect();
    matches!(
        names.as_slice(),
        ["spec", "template", ..] | ["data" | "stringData" | "binaryData" | "immutable", ..]
    )
}

/// Whether a refusal says that a field can't be changed in place.
pub(super) fn is_immutable(message: &str) -> bool {
    const WORDS: [&str; 11] = [
        "immutable",
        "may not be changed",
        "may not change",
        "cannot change",
        "cannot be changed",
        "can not be changed",
        "can't be changed",
        "cannot be updated",
        "cannot be modified",
        "updates to ",
        // What a rule without a message of its own says.
        "oldself",
    ];
    let message = message.to_lowercase();
    WORDS.iter().any(|text| message.contains(text))
}

/// A refusal of the server as a problem with the manifest.
pub(super) fn problem(status: u16, message: &str, fields: &[String]) -> Problem {
    let path = fields.first().map(|text| text.trim_start_matches('.').to_owned());
    let problem = Problem::error(
        path.unwrap_or_default(),
        format!("the cluster refuses this object ({status}): {}", message.trim_end()),
    );
    if is_immutable(message) {
        return problem
            .hint("put the field back as it is, or delete the object and let it be made again");
    }
    problem
}
