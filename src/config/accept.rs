//! Edits of a project's files that keep what was observed: each is tried on the text and taken only
//! where the files then ask for exactly that, and for nothing else that they did not ask for.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::edit::{Editor, Patch, comes_from_elsewhere, patched};
use super::files::Files;
use super::print;
use super::spans::{self, Spot};
use super::wanted::{reference_at, value_at, wanted};
use super::{Command, CommandError, CommandOutput, Inputs, load};
use crate::model::address::Address;
use crate::model::change::{Drift, DriftKind};
use crate::model::error::Report;
use crate::model::path::segments;
use crate::model::resource::{Resource, Stack};
use crate::model::{Json, JsonMap};

/// How much of a value is told to who has to write it, in characters.
const TOLD: usize = 200;

/// Files with some of them edited.
pub struct Edited<'a> {
    base: &'a dyn Files,
    /// What edited files hold; None: it is gone.
    pub files: BTreeMap<PathBuf, Option<String>>,
}

impl<'a> Edited<'a> {
    /// Nothing is edited yet.
    pub fn new(base: &'a dyn Files) -> Self {
        Edited { base, files: BTreeMap::new() }
    }

    fn with(&self, path: &Path, text: Option<String>) -> Edited<'a> {
        let mut files = self.files.clone();
        files.insert(path.to_owned(), text);
        Edited { base: self.base, files }
    }
}

impl Files for Edited<'_> {
    fn read(&self, path: &Path) -> io::Result<String> {
        match self.files.get(path) {
            Some(Some(text)) => Ok(text.clone()),
            Some(None) => Err(io::ErrorKind::NotFound.into()),
            None => self.base.read(path),
        }
    }

    fn is_dir(&self, path: &Path) -> bool {
        self.base.is_dir(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let is_there = |path: &PathBuf| self.files.get(path) != Some(&None);
        Ok(self.base.list(dir)?.into_iter().filter(is_there).collect())
    }

    fn run(&self, command: &Command<'_>) -> Result<CommandOutput, CommandError> {
        self.base.run(command)
    }
}

/// Edits the files so that they ask for what was observed.
///
/// # Errors
/// No edit of theirs does: why, and what is to be edited by hand.
pub fn accept<'a>(
    dir: &Path,
    files: &Edited<'a>,
    inputs: &Inputs,
    stack: &str,
    drift: &Drift,
) -> Result<Edited<'a>, Report> {
    let address = &drift.address;
    let before = loaded(dir, files, inputs).map_err(|report| by_hand(drift, None).cause(report))?;
    let Some(of) = before.iter().find(|one| one.name == stack) else {
        return Err(by_hand(drift, None).cause(format!("the stack {stack} has no file")));
    };
    let Some(resource) = of.resource(address) else {
        let why = match of.may_have(address) {
            true => "a command prints it, or nothing asks for it any more",
            false => "no file asks for it any more: the next apply deletes it",
        };
        return Err(by_hand(drift, None).cause(why));
    };
    let try_it = Trial { dir, inputs, before: &before, stack: of, resource };
    if drift.kind == DriftKind::Missing {
        return try_it.removed(files, drift);
    }
    if drift.paths.iter().any(|change| change.secret) {
        let why = "its value is a secret, which is not read";
        return Err(by_hand(drift, Some(resource)).cause(why));
    }
    let of_its_own = drift.paths.iter().find(|c| c.path.contains("[id=\""));
    if let Some(change) = of_its_own.filter(|_| drift.kind == DriftKind::Foreign) {
        let why = format!("{} is an object of its own", change.path);
        let hint = format!(
            "write it as a resource with `adopt: ID`, or say that it is known: `boxctl drift ack \
             {address}`"
        );
        return Err(by_hand(drift, Some(resource)).cause(why).hint(hint));
    }
    for change in &drift.paths {
        if let Some(reference) = reference_at(&resource.spec, &change.path) {
            let text = print::written(reference);
            let why = format!("{} comes from `{}`", change.path, text.as_str().unwrap_or_default());
            return Err(by_hand(drift, Some(resource)).cause(why));
        }
    }
    let Some(spec) = wanted(&resource.spec, drift) else {
        let why = "what stands beside it can't be said of it in a file";
        return Err(by_hand(drift, Some(resource)).cause(why));
    };
    try_it.changed(files, drift, &spec)
}

/// The stacks, or the first mistake in the files.
fn loaded(dir: &Path, files: &dyn Files, inputs: &Inputs) -> Result<Vec<Stack>, String> {
    match load(dir, files, inputs) {
        Ok(loaded) => Ok(loaded.stacks),
        Err(reports) => {
            Err(reports.first().map_or_else(String::new, |report| match &report.location {
                Some(at) => format!("{at}: {}", report.message),
                None => report.message.clone(),
            }))
        }
    }
}

/// The error that no edit does, with what is to be written where.
fn by_hand(drift: &Drift, resource: Option<&Resource>) -> Report {
    let report = Report::error(format!("no edit of the files keeps {} as it is", drift.address))
        .code("accept")
        .about(&drift.address)
        .at(resource.and_then(|resource| resource.location.clone()));
    if drift.kind == DriftKind::Missing {
        return report.hint("take what asks for it out by hand");
    }
    let plain = drift.paths.iter().filter(|change| !change.secret);
    let told = plain.filter(|_| drift.kind == DriftKind::Drifted).map(|change| {
        let value = match &change.after {
            None => "to be left out".to_owned(),
            Some(value) => {
                let text: String = value.to_string().chars().take(TOLD).collect();
                format!("to be {text}")
            }
        };
        format!("by hand: `{}` is {value}", change.path)
    });
    told.fold(report, Report::hint)
}

/// What edits are tried for.
struct Trial<'a> {
    dir: &'a Path,
    inputs: &'a Inputs,
    before: &'a [Stack],
    stack: &'a Stack,
    resource: &'a Resource,
}

impl Trial<'_> {
    /// The files without the resource.
    fn removed<'f>(&self, files: &Edited<'f>, drift: &Drift) -> Result<Edited<'f>, Report> {
        let mut why = None;
        for (path, text) in self.without(files) {
            let edited = files.with(&path, text);
            match self.asks_for(&edited, None) {
                Ok(true) => return Ok(edited),
                Ok(false) => {}
                Err(mistake) => why = Some(format!("without it: {mistake}")),
            }
        }
        Err(self.explained(files, drift, why))
    }

    /// The files with another spec of the resource.
    fn changed<'f>(
        &self,
        files: &Edited<'f>,
        drift: &Drift,
        spec: &Json,
    ) -> Result<Edited<'f>, Report> {
        let mut why = None;
        let mut fits = |(path, text): (PathBuf, String)| {
            let edited = files.with(&path, Some(text));
            match self.asks_for(&edited, Some(spec)) {
                Ok(is) => is.then_some(edited),
                Err(mistake) => {
                    why = Some(format!("with it: {mistake}"));
                    None
                }
            }
        };
        // Of a short form, the text that says it is nearer than one that goes over it.
        let edited = self
            .own_block(files, spec)
            .and_then(&mut fits)
            .or_else(|| self.short_form(files, drift))
            .or_else(|| self.overriding(files, drift, spec).and_then(&mut fits));
        edited.ok_or_else(|| self.explained(files, drift, why))
    }

    fn explained(&self, files: &Edited<'_>, drift: &Drift, why: Option<String>) -> Report {
        let report = by_hand(drift, Some(self.resource));
        let is_generated = || {
            let file = &self.stack.file;
            let in_stack = self.resource.location.as_ref().is_some_and(|at| at.file == *file);
            in_stack.then(|| "it is made of a short form, or by a command".to_owned())
        };
        match self.written_with(files, drift).or(why).or_else(is_generated) {
            Some(why) => report.cause(why),
            None => report,
        }
    }

    /// The references or variables that what has drifted is written with.
    fn written_with(&self, files: &Edited<'_>, drift: &Drift) -> Option<String> {
        let place = self.place(files)?;
        let mut own = &place.root;
        for name in &place.way {
            own = own.get(name)?;
        }
        drift.paths.iter().find_map(|change| {
            let mut spot = own;
            for segment in segments(&change.path) {
                let Some(next) = spot.step(segment) else { break };
                spot = next;
            }
            let old = value_at(&self.resource.spec, &change.path)?;
            let text = place.text.get(spot.start..spot.end)?;
            comes_from_elsewhere(spot, old)
                .then(|| format!("{} is written as `{text}`", change.path))
        })
    }

    /// Whether the edited files ask for that spec of the resource (None: not for the resource), and
    /// for everything else as before. Err: the first mistake in them.
    fn asks_for(&self, files: &Edited<'_>, spec: Option<&Json>) -> Result<bool, String> {
        let after = loaded(self.dir, files, self.inputs)?;
        let same_stacks = after.len() == self.before.len();
        Ok(same_stacks
            && self.before.iter().zip(&after).all(|(before, after)| {
                let own = |one: &&Resource| {
                    before.name == self.stack.name && one.address == self.resource.address
                };
                let rest = |stack: &Stack| -> BTreeMap<Address, (Json, Json)> {
                    let others = stack.resources.iter().filter(|one| !own(one));
                    others
                        .map(|one| {
                            (one.address.clone(), (one.spec.clone(), serde_json::json!(one.meta)))
                        })
                        .collect()
                };
                let is = after.resources.iter().find(own);
                let is_wanted = before.name != self.stack.name
                    || is.map(|one| &one.spec) == spec
                        && is.is_none_or(|one| one.meta == self.resource.meta);
                before.name == after.name
                    && before.lookups.len() == after.lookups.len()
                    && is_wanted
                    && rest(before) == rest(after)
            }))
    }

    /// The path and text of a file of the project, by its name in reports.
    fn file(&self, files: &Edited<'_>, name: &str) -> Option<(PathBuf, String)> {
        let path = self.dir.join(name);
        let text = files.read(&path).ok()?;
        Some((path, text))
    }

    /// Where the resource stands in the file that asks for it: the text, and the keys that lead to
    /// it in the document.
    fn place(&self, files: &Edited<'_>) -> Option<Place> {
        let address = self.resource.address.to_string();
        let (path, text) = self.file(files, &self.stack.file)?;
        let root = spans::documents(&text)?.into_iter().next()?;
        if root.get("resources").is_some_and(|all| all.get(&address).is_some()) {
            let way = vec!["resources".to_owned(), address];
            return Some(Place { path, text, root, way });
        }
        let at = self.resource.location.as_ref().filter(|at| at.file != self.stack.file)?;
        let (path, text) = self.file(files, &at.file)?;
        let line: usize = text.split_inclusive('\n').take(at.line - 1).map(str::len).sum();
        let end = text.get(line..)?.find('\n').map_or(text.len(), |end| line + end);
        let holds = |spot: &Spot| (line..=end).contains(&spot.start);
        let root = spans::documents(&text)?.into_iter().find(holds)?;
        Some(Place { path, text, root, way: Vec::new() })
    }

    /// The edit where the resource itself is written.
    fn own_block(&self, files: &Edited<'_>, spec: &Json) -> Option<(PathBuf, String)> {
        let place = self.place(files)?;
        let mut key = None;
        let mut spot = &place.root;
        let mut flow = false;
        for name in &place.way {
            flow |= spot.is_flow();
            let (own, value) = spot.entries().iter().find(|(key, _)| key.text() == Some(name))?;
            (key, spot) = (Some(own), value);
        }
        let editor = self.editor(&place.path, &place.text);
        let mut patches = Vec::new();
        editor.reconcile(key, spot, (&self.resource.spec, spec), flow, &mut patches)?;
        Some((place.path, patched(&place.text, patches)?))
    }

    /// Stack files are read with references in them.
    fn editor<'t>(&self, path: &Path, text: &'t str) -> Editor<'t> {
        match path == self.dir.join(&self.stack.file) {
            true => Editor::with_references(text),
            false => Editor::new(text),
        }
    }

    /// The edit of the one text of a short form that says each value; where several say it, of the
    /// first that is found to do nothing else.
    fn short_form<'f>(&self, files: &Edited<'f>, drift: &Drift) -> Option<Edited<'f>> {
        let mut edited = Edited { base: files.base, files: files.files.clone() };
        for (at, _) in drift.paths.iter().enumerate() {
            let so_far = Drift { paths: drift.paths.get(..=at)?.to_vec(), ..drift.clone() };
            let spec = wanted(&self.resource.spec, &so_far)?;
            let change = drift.paths.get(at)?;
            let is_text = |value: &Json| !value.is_object() && !value.is_array();
            let (old, new) = (value_at(&self.resource.spec, &change.path)?, change.after.as_ref()?);
            if !is_text(old) || !is_text(new) || drift.kind != DriftKind::Drifted {
                return None;
            }
            let (path, text) = self.file(&edited, &self.stack.file)?;
            let root = spans::documents(&text)?.into_iter().next()?;
            let mut scalars = Vec::new();
            root.get("services")?.scalars(&mut scalars);
            let said = old.as_str().map_or_else(|| old.to_string(), str::to_owned);
            let editor = Editor::with_references(&text);
            let next = scalars.iter().filter(|spot| spot.text() == Some(&said)).find_map(|spot| {
                let mut patches: Vec<Patch> = Vec::new();
                // Between brackets or not, a value on one line is written alike.
                editor.reconcile(None, spot, (old, new), true, &mut patches)?;
                let next = edited.with(&path, Some(patched(&text, patches)?));
                (self.asks_for(&next, Some(&spec)) == Ok(true)).then_some(next)
            });
            edited = next?;
        }
        Some(edited)
    }

    /// The edit that writes what differs under the resource's address: it goes over what a short
    /// form makes.
    fn overriding(
        &self,
        files: &Edited<'_>,
        drift: &Drift,
        spec: &Json,
    ) -> Option<(PathBuf, String)> {
        if self.resource.address.is_kubernetes() {
            return None;
        }
        let (path, text) = self.file(files, &self.stack.file)?;
        let root = spans::documents(&text)?.into_iter().next()?;
        let mut own = JsonMap::new();
        for change in &drift.paths {
            let field = *segments(&change.path).first()?;
            own.insert(field.to_owned(), spec.get(field).cloned().unwrap_or(Json::Null));
        }
        let (address, own) = (self.resource.address.to_string(), Json::Object(own));
        let editor = self.editor(&path, &text);
        let patch = match root.get("resources").filter(|all| !all.entries().is_empty()) {
            Some(all) if all.get(&address).is_some() => return None,
            Some(all) => editor.with_entry(all, &address, &own)?,
            None if root.get("resources").is_some() => return None,
            None => {
                let mut all = JsonMap::new();
                all.insert(address, own);
                editor.with_entry(&root, "resources", &Json::Object(all))?
            }
        };
        Some((path, patched(&text, vec![patch])?))
    }

    /// The edits that take the resource out of the file that asks for it. None as a text: the file
    /// goes.
    fn without(&self, files: &Edited<'_>) -> Vec<(PathBuf, Option<String>)> {
        let mut found = Vec::new();
        let Some(place) = self.place(files) else { return found };
        let editor = Editor::new(&place.text);
        if place.way.is_empty() {
            let documents = spans::documents(&place.text).unwrap_or_default();
            found.push(match documents.len() {
                0 | 1 => (place.path, None),
                _ => (place.path, Some(without_document(&place.text, &place.root))),
            });
            return found;
        }
        // The last one of a section takes the section with it.
        let mut inner = Some(&place.root);
        let mut patches = Vec::new();
        for name in &place.way {
            let Some(map) = inner else { break };
            let at = map.entries().iter().position(|(key, _)| key.text() == Some(name));
            patches.extend(at.and_then(|at| editor.without_entry(map, at)));
            inner = map.get(name);
        }
        if let Some(patch) = patches.pop() {
            found.extend(patched(&place.text, vec![patch]).map(|text| (place.path, Some(text))));
        }
        found
    }
}

/// Where a resource is written.
struct Place {
    path: PathBuf,
    text: String,
    root: Spot,
    way: Vec<String>,
}

/// A text of several documents without one of them, and without one of the lines between.
fn without_document(text: &str, document: &Spot) -> String {
    let is_line = |line: &str| line.trim_end() == "---" || line.starts_with("--- ");
    let mut separators = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if is_line(line) {
            separators.push((at, at + line.len()));
        }
        at += line.len();
    }
    let before = separators.iter().rev().find(|(_, end)| *end <= document.start);
    let after = separators.iter().find(|(start, _)| *start >= document.end);
    let (from, to) = match (before, after) {
        (Some((start, _)), Some((next, _))) => (*start, *next),
        (Some((start, _)), None) => (*start, text.len()),
        (None, Some((_, end))) => (0, *end),
        (None, None) => (0, text.len()),
    };
    let head = text.get(..from).unwrap_or_default();
    let tail = text.get(to..).unwrap_or_default();
    format!("{head}{tail}")
}

#[cfg(test)]
#[path = "accept_tests.rs"]
mod tests;
