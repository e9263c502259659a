//! What has changed of an object: by who owns its fields, by what the server says an apply would
//! come to, and, where it can't be asked, by the manifest alone.

use crate::model::change::FieldChange;
use crate::model::kind::{Diffed, Facts, Problem};
use crate::model::observed::Preview;
use crate::model::value::{canonical_text, has_unknown};
use crate::model::{Json, JsonMap};

use super::fields::{Element, Path, covered};
use super::local::{local, removed};
use super::owners::{MANAGER, Managed, managed, other_owner, own, resolve};
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
            found.wants_preview = !has_unknown(declared);
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
        let is_value = recorded == secret::HIDDEN || hides(facts, text);
        let same = match (recorded, now) {
            (Json::Null, None) => true,
            (recorded, Some(now)) if recorded == now => true,
            // Secret values are not recorded: whoever changes one takes its ownership.
            (_, Some(_)) if is_value => ours.contains(&path),
            // What others add beneath a container that boxctl left empty is theirs.
            (Json::Object(map), Some(Json::Object(_))) if map.is_empty() => ours.contains(&path),
            (_, _) => false,
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
        change.by = Some(MANAGER.to_owned());
        change.note = Some("written again under boxctl's name, by another run".to_owned());
        hide(&mut change, true);
        found.push(change);
    }
    found
}

pub fn hides(facts: &Facts<'_>, path: &str) -> bool {
    secret::hides(path, &[Some(&facts.remote.raw), facts.declared, facts.sent])
}

pub fn hide(change: &mut FieldChange, is_value: bool) {
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
    if secret::is_secret(&new) {
        // What was written as `stringData` is owned as that, and kept as `data`.
        for key in new.get("data").and_then(Json::as_object).into_iter().flat_map(JsonMap::keys) {
            let path = Path(vec![Element::Field("data".into()), Element::Field(key.clone())]);
            if !paths.contains(&path) {
                paths.push(path);
            }
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
        hide(&mut change, hides(facts, &text));
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
            let is_value = hides(facts, &text);
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
            hide(&mut change, hides(facts, &text));
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

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;
