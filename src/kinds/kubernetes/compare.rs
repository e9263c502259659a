//! What has changed of an object: by who owns its fields, by what the server says an apply would
//! come to, and, where it can't be asked, by the manifest alone.

use crate::model::change::FieldChange;
use crate::model::kind::{Diffed, Facts, Problem};
use crate::model::observed::Preview;
use crate::model::value::{Special, canonical_text};
use crate::model::{Json, JsonMap};

use super::fields::{Element, Managed, Path, covered, managed, other_owner, own, resolve};
use super::{object, secret};

/// The warning that another tool keeps an object of boxctl's, too.
pub const TWO_OWNERS: &str = "two-owners";

/// Compares an object with what is recorded and declared of it.
pub fn diff(facts: &Facts<'_>) -> Diffed {
    let live = &facts.remote.raw;
    let owners = managed(live);
    let mut found = Diffed { drift: drift(facts, live, &owners), ..Diffed::default() };
    let Some(declared) = facts.declared else { return found };
    if facts.sent.is_some()
        && let Some(tool) = object::tracker(live)
    {
        let message = format!("{tool} tracks this object, which boxctl made or took over");
        found.warnings.push(Problem::warning(TWO_OWNERS, "", message).hint(
            "let one of the two keep it: exclude it there, or take it out of the stack with `forget`",
        ));
    }
    let unchanged = facts.sent.is_some_and(|sent| {
        let now = without(&secret::hide(declared), facts.ignore);
        canonical_text(&without(&secret::hide(sent), facts.ignore)) == canonical_text(&now)
    });
    if unchanged && found.drift.is_empty() && !has_secret_values(declared) {
        return found;
    }
    match facts.preview {
        Some(Preview::Object(new)) => previewed(facts, &owners, new, unchanged, &mut found),
        Some(Preview::Refused { status, message, fields, .. }) => {
            found.changes = local(facts, declared, &owners);
            refused(facts, declared, &owners, (*status, message, fields), &mut found);
        }
        Some(Preview::Unchecked(_)) => split(facts, declared, &owners, &mut found),
        None => {
            found.wants_preview = true;
            split(facts, declared, &owners, &mut found);
        }
    }
    found.removed = removed(facts, declared);
    found
}

fn has_secret_values(declared: &Json) -> bool {
    secret::is_secret(declared)
        && ["data", "stringData"].iter().any(|field| {
            declared.get(*field).and_then(Json::as_object).is_some_and(|m| !m.is_empty())
        })
}

/// The manifest without the paths that are left to others.
pub fn without(manifest: &Json, ignore: &[String]) -> Json {
    let mut out = manifest.clone();
    for path in ignore.iter().filter_map(|text| Path::parse(text)) {
        path.remove(&mut out);
    }
    out
}

/// The value that the record has for a field, and those that may stand there by now.
fn drift(facts: &Facts<'_>, live: &Json, owners: &[Managed]) -> Vec<FieldChange> {
    let Some(answered) = facts.answered.and_then(Json::as_object) else { return Vec::new() };
    let ours = own(owners);
    let hidden = secret::is_secret(live);
    let mut found = Vec::new();
    for (text, recorded) in answered {
        let Some(path) = Path::parse(text) else { continue };
        if covered(facts.ignore, &path) {
            continue;
        }
        let now = path.get(live);
        let is_value = hidden && secret::is_value(text);
        let same = match (recorded, now) {
            (Json::Null, None) => true,
            // The values of a Secret are not recorded: whoever changes one takes its ownership.
            (_, Some(_)) if is_value => ours.contains(&path),
            // What others add beneath a container that boxctl left empty is theirs.
            (Json::Object(map), Some(Json::Object(_))) if map.is_empty() => ours.contains(&path),
            (recorded, Some(now)) => recorded == now,
            (_, None) => false,
        };
        if same {
            continue;
        }
        let before = Some(recorded.clone()).filter(|value| !value.is_null());
        let mut change = FieldChange::new(text.clone(), before, now.cloned());
        name_owner(&mut change, owners, &path);
        hide(&mut change, is_value);
        found.push(change);
    }
    if hidden
        && found.is_empty()
        && let (Some(version), Some(now)) = (facts.version, &facts.remote.version)
        && version != now
    {
        let mut change = FieldChange::new("data", None, None);
        change.since = Some(now.clone());
        change.by = Some(super::fields::MANAGER.to_owned());
        change.note = Some("written again under boxctl's name, by another run".to_owned());
        hide(&mut change, true);
        found.push(change);
    }
    found
}

fn hide(change: &mut FieldChange, is_value: bool) {
    if is_value {
        change.secret = true;
        let hidden = || Json::String(secret::HIDDEN.to_owned());
        change.before = change.before.as_ref().map(|_| hidden());
        change.after = change.after.as_ref().map(|_| hidden());
    }
}

fn name_owner<'a>(
    change: &mut FieldChange,
    owners: &'a [Managed],
    path: &Path,
) -> Option<&'a Managed> {
    let owner = other_owner(owners, path)?;
    change.by = Some(owner.manager.clone());
    change.since.clone_from(&owner.time);
    if owner.is_scale() {
        change.note = Some("written through /scale".to_owned());
    }
    Some(owner)
}

/// Whether a field that another manager wrote may be taken back: boxctl applied it before, and
/// nobody wrote it through `/scale`; or the file says so.
pub fn may_take(path: &Path, by_scale: bool, sent: Option<&Json>, force: &[String]) -> bool {
    covered(force, path) || (!by_scale && sent.is_some_and(|sent| path.get(sent).is_some()))
}

/// Files each change under changes or conflicts, by who owns the field.
fn file(
    facts: &Facts<'_>,
    owners: &[Managed],
    path: &Path,
    mut change: FieldChange,
    found: &mut Diffed,
) {
    let owner = name_owner(&mut change, owners, path);
    let taken = owner.is_none_or(|o| may_take(path, o.is_scale(), facts.sent, facts.force));
    if taken { found.changes.push(change) } else { found.conflicts.push(change) }
}

/// What the server says that an apply would come to.
fn previewed(
    facts: &Facts<'_>,
    owners: &[Managed],
    new: &Json,
    unchanged: bool,
    found: &mut Diffed,
) {
    let live = &facts.remote.raw;
    let new = secret::mark(new);
    let (own_live, own_new) = (own(owners), own(&managed(&new)));
    let recorded = facts.answered.and_then(Json::as_object).into_iter().flat_map(JsonMap::keys);
    let mut paths: Vec<Path> = own_new.clone();
    for path in own_live.iter().cloned().chain(recorded.filter_map(|text| Path::parse(text))) {
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    let mut seen: Vec<&Path> = Vec::new();
    for path in &paths {
        let (before, after) = (path.get(live), path.get(&new));
        if before == after || covered(facts.ignore, path) || seen.iter().any(|p| p.leads_to(path)) {
            continue;
        }
        seen.push(path);
        let text = path.to_string();
        let mut change = FieldChange::new(text.clone(), before.cloned(), after.cloned());
        hide(&mut change, secret::is_secret(live) && secret::is_value(&text));
        if own_new.contains(path) {
            file(facts, owners, path, change, found);
        } else {
            found.changes.push(change);
        }
    }
    if facts.sent.is_some() && !unchanged && seen.is_empty() {
        let note = |path: &Path, note: &str| {
            let value = path.get(live).cloned();
            let text = path.to_string();
            let is_value = secret::is_secret(live) && secret::is_value(&text);
            let mut change = FieldChange::new(text, value.clone(), value);
            change.note = Some(note.to_owned());
            hide(&mut change, is_value);
            change
        };
        let lost = own_live.iter().filter(|path| !own_new.contains(path));
        found.changes.extend(lost.map(|path| note(path, "stays, and is no longer boxctl's")));
        let gained = own_new.iter().filter(|path| !own_live.contains(path));
        found
            .changes
            .extend(gained.map(|path| note(path, "is there already, and becomes boxctl's")));
    }
}

/// Whether a field that a refusal names is a default in the way: not the manifest's, nobody's, and
/// there. Claimed at its live value and then left out, it goes away.
pub fn is_claimable(path: &Path, manifest: &Json, live: &Json, owners: &[Managed]) -> bool {
    !path.0.is_empty()
        && path.get(manifest).is_none()
        && path.get(live).is_some()
        && !owners.iter().flat_map(|entry| &entry.paths).any(|owned| path.leads_to(owned))
}

/// Whether a refusal says that a field can't be changed in place.
pub fn is_immutable(message: &str) -> bool {
    ["immutable", "may not be changed", "may not change", "cannot change", "updates to statefulset"]
        .iter()
        .any(|text| message.contains(text))
}

fn refused(
    facts: &Facts<'_>,
    declared: &Json,
    owners: &[Managed],
    (status, message, fields): (u16, &str, &[String]),
    found: &mut Diffed,
) {
    let live = &facts.remote.raw;
    if status == 409 && !fields.is_empty() {
        for path in fields.iter().filter_map(|text| resolve(owners, text)) {
            found.changes.retain(|change| change.path != path.to_string());
            let text = path.to_string();
            let (before, after) = (path.get(live).cloned(), path.get(declared).cloned());
            let mut change = FieldChange::new(text.clone(), before, after);
            hide(&mut change, secret::is_secret(live) && secret::is_value(&text));
            file(facts, owners, &path, change, found);
        }
        return;
    }
    let paths: Vec<Path> = fields.iter().filter_map(|text| resolve(owners, text)).collect();
    if status == 422
        && !paths.is_empty()
        && paths.iter().all(|path| is_claimable(path, declared, live, owners))
    {
        for path in paths {
            let mut change = FieldChange::new(path.to_string(), path.get(live).cloned(), None);
            change.note = Some(
                "a default of the server that stands in the way: claimed first, then dropped"
                    .to_owned(),
            );
            found.changes.push(change);
        }
        return;
    }
    let replaced =
        |change: &FieldChange| object::replacement_reason(&change.path, declared, live).is_some();
    if is_immutable(message) && found.changes.iter().any(replaced) {
        return;
    }
    found.warnings.push(refusal(status, message, fields));
}

/// A refusal of the server as a problem with the manifest.
pub fn refusal(status: u16, message: &str, fields: &[String]) -> Problem {
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

/// Compares without the server, and tells conflicts by owners alone.
fn split(facts: &Facts<'_>, declared: &Json, owners: &[Managed], found: &mut Diffed) {
    for change in local(facts, declared, owners) {
        match Path::parse(&change.path) {
            Some(path) => file(facts, owners, &path, change, found),
            None => found.changes.push(change),
        }
    }
}

/// Fields that left the manifest, of those that boxctl applied.
fn removed(facts: &Facts<'_>, declared: &Json) -> Vec<String> {
    let answered = facts.answered.and_then(Json::as_object);
    let gone = |text: &&String| {
        Path::parse(text)
            .is_some_and(|path| path.get(declared).is_none() && !covered(facts.ignore, &path))
            && facts
                .sent
                .is_some_and(|sent| Path::parse(text).is_some_and(|p| p.get(sent).is_some()))
    };
    answered.into_iter().flat_map(JsonMap::keys).filter(gone).cloned().collect()
}

/// The manifest against the object, without a schema: what it says and the object has otherwise,
/// and what boxctl applied and it says no more.
fn local(facts: &Facts<'_>, declared: &Json, owners: &[Managed]) -> Vec<FieldChange> {
    let live = &facts.remote.raw;
    let mut changes = Vec::new();
    if let Json::Object(map) = declared {
        for (key, value) in map.iter().filter(|(key, _)| *key != "apiVersion" && *key != "kind") {
            let mut at = vec![Element::Field(key.clone())];
            subset(value, live.get(key), &mut at, &mut changes);
        }
    }
    for text in removed(facts, declared) {
        if let Some(before) = Path::parse(&text).and_then(|path| path.get(live).cloned())
            && !others_own(owners, &text)
        {
            changes.push(FieldChange::new(text, Some(before), None));
        }
    }
    changes.retain(|change| {
        Path::parse(&change.path).is_none_or(|path| !covered(facts.ignore, &path))
    });
    if secret::is_secret(live) {
        for change in &mut changes {
            let is_value = secret::is_value(&change.path);
            hide(change, is_value);
        }
        changes
            .retain(|change| !change.secret || change.before.is_none() || change.after.is_none());
    }
    changes
}

fn others_own(owners: &[Managed], text: &str) -> bool {
    Path::parse(text).is_some_and(|path| other_owner(owners, &path).is_some())
}

fn subset(want: &Json, have: Option<&Json>, at: &mut Vec<Element>, out: &mut Vec<FieldChange>) {
    if Special::of(want).is_some() {
        if have.is_none() {
            out.push(FieldChange::new(Path(at.clone()).to_string(), None, Some(want.clone())));
        }
        return;
    }
    match (want, have) {
        (Json::Object(want), Some(Json::Object(have))) => {
            for (key, value) in want {
                at.push(Element::Field(key.clone()));
                subset(value, have.get(key), at, out);
                at.pop();
            }
        }
        (Json::Array(want), Some(Json::Array(have))) if identity(want).is_some() => {
            let key = identity(want).unwrap_or_default();
            for item in want {
                let value = item.get(key).cloned().unwrap_or_default();
                let found = have.iter().find(|other| other.get(key) == Some(&value));
                at.push(Element::Item(vec![(key.to_owned(), value)]));
                subset(item, found, at, out);
                at.pop();
            }
        }
        (Json::Array(want_items), Some(Json::Array(have_items)))
            if want_items.len() == have_items.len() =>
        {
            for (index, (item, other)) in want_items.iter().zip(have_items).enumerate() {
                at.push(Element::Index(index));
                subset(item, Some(other), at, out);
                at.pop();
            }
        }
        (want, None) if is_empty(want) => {}
        (want, have) => {
            if have.is_none_or(|have| !same_value(want, have, at)) {
                let path = Path(at.clone()).to_string();
                out.push(FieldChange::new(path, have.cloned(), Some(want.clone())));
            }
        }
    }
}

/// What the server leaves out of objects.
fn is_empty(value: &Json) -> bool {
    match value {
        Json::Null | Json::Bool(false) => true,
        Json::Bool(true) => false,
        Json::Number(number) => number.as_f64() == Some(0.0),
        Json::String(text) => text.is_empty(),
        Json::Array(items) => items.is_empty(),
        Json::Object(map) => map.values().all(is_empty),
    }
}

/// The field that tells the items of a list apart, as in most lists of built-in kinds.
fn identity(items: &[Json]) -> Option<&'static str> {
    ["name", "mountPath", "devicePath", "containerPort", "port", "ip", "uid", "type"]
        .into_iter()
        .find(|key| {
            let values: Vec<&Json> = items.iter().filter_map(|item| item.get(*key)).collect();
            !items.is_empty()
                && values.len() == items.len()
                && values.iter().enumerate().all(|(i, value)| {
                    !matches!(value, Json::Object(_) | Json::Array(_))
                        && values.iter().skip(i + 1).all(|other| other != value)
                })
        })
}

fn same_value(want: &Json, have: &Json, at: &[Element]) -> bool {
    if want == have {
        return true;
    }
    let is_quantity = at.iter().any(|element| {
        matches!(element, Element::Field(name)
            if matches!(name.as_str(), "limits" | "requests" | "capacity" | "hard" | "sizeLimit" | "divisor"))
    });
    is_quantity
        && quantity(want)
            .is_some_and(|a| quantity(have).is_some_and(|b| (a - b).abs() <= a.abs() * 1e-12))
}

/// The number that a quantity stands for: `1000m`, `1Gi`, `0.5`, `1e3`.
fn quantity(value: &Json) -> Option<f64> {
    let text = match value {
        Json::Number(number) => return number.as_f64(),
        Json::String(text) => text.trim(),
        _ => return None,
    };
    let units: [(&str, f64); 16] = [
        ("Ki", 1024.0),
        ("Mi", 1024f64.powi(2)),
        ("Gi", 1024f64.powi(3)),
        ("Ti", 1024f64.powi(4)),
        ("Pi", 1024f64.powi(5)),
        ("Ei", 1024f64.powi(6)),
        ("n", 1e-9),
        ("u", 1e-6),
        ("m", 1e-3),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("P", 1e15),
        ("E", 1e18),
        ("", 1.0),
    ];
    units.into_iter().find_map(|(unit, factor)| {
        let number = text.strip_suffix(unit)?;
        number.parse::<f64>().ok().filter(|n| n.is_finite()).map(|n| n * factor)
    })
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;
