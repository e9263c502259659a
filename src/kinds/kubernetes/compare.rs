//! What has changed of an object: by who owns its fields, by what the server says an apply would
//! come to, and, where it can't be asked, by the manifest alone.

use crate::model::change::FieldChange;
use crate::model::kind::{Diffed, Facts, Problem};
use crate::model::observed::Preview;
use crate::model::value::{canonical_text, has_unknown};
use crate::model::{Json, JsonMap};

use super::fields::{Element, Path, covered};
use super::handover::{Handover, handover, last_applied_path, with_owners};
use super::local::{local, removed};
use super::owners::{MANAGER, Managed, managed, other_owner, own, resolve, retained};
use super::refused::{self, Refusal};
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
    let handover = facts.sent.is_none().then(|| handover(live, declared)).flatten();
    let returned: Vec<Path> =
        retained(&owners).into_iter().filter(|path| path.get(declared).is_some()).collect();
    if unchanged && found.drift.is_empty() && returned.is_empty() && !has_secret_values(declared) {
        return found;
    }
    match facts.preview {
        Some(Preview::Object(new)) => previewed(facts, &owners, new, unchanged, &mut found),
        Some(Preview::Refused { status, message, fields, .. }) => {
            split(facts, declared, &owners, &mut found);
            let then = handover.as_ref().map_or_else(|| live.clone(), |h| with_owners(live, h));
            refused(facts, &owners, &then, (*status, message, fields), &mut found);
        }
        Some(Preview::Unchecked(_)) => split(facts, declared, &owners, &mut found),
        None => {
            found.wants_preview = !has_unknown(declared);
            split(facts, declared, &owners, &mut found);
        }
    }
    for path in returned {
        let text = path.to_string();
        if !found.changes.iter().any(|change| change.path == text) {
            found.changes.push(noted(facts, &path, "is the manifest's again"));
        }
    }
    found.removed = removed(facts, declared);
    if facts.sent.is_none() {
        take_over(facts, handover.as_ref(), &mut found);
    }
    found
}

/// What a taking over adds to the changes: the fields that go since the manifest lacks what their
/// owners applied, and who gives up what.
fn take_over(facts: &Facts<'_>, handover: Option<&Handover>, found: &mut Diffed) {
    let live = &facts.remote.raw;
    let note = last_applied_path();
    let text = note.to_string();
    found.changes.retain(|change| change.path != text);
    for (path, owner) in handover.map_or(&[][..], |handover| &handover.leaving) {
        let at = path.to_string();
        if covered(facts.ignore, path) || found.changes.iter().any(|change| change.path == at) {
            continue;
        }
        let mut change = FieldChange::new(at.clone(), path.get(live).cloned(), None);
        change.by = Some(owner.manager.clone());
        change.since.clone_from(&owner.time);
        let exact = owner.applied || note.get(live).is_some();
        let goes = if exact { "goes" } else { "goes, or back to the server's default" };
        change.note = Some(format!("not in the files: {goes}"));
        hide(&mut change, hides(facts, &at));
        found.changes.push(change);
    }
    if let Some(handover) = handover {
        let from = handover.from.join(", ");
        let mut change =
            FieldChange::new("metadata.managedFields", Some(from.into()), Some(MANAGER.into()));
        change.note = Some("its fields are boxctl's from now on".to_owned());
        found.handover.push(change);
    }
    let drops = handover.is_some_and(|handover| handover.drops_last_applied);
    let owners = managed(live);
    let ours = own(&owners).contains(&note);
    if (drops || ours) && facts.declared.is_some_and(|declared| note.get(declared).is_none()) {
        let mut change = noted(facts, &note, "would be wrong from now on: kubectl's note goes");
        change.after = None;
        found.handover.push(change);
    }
}

/// A field whose value stays, and what changes about it.
fn noted(facts: &Facts<'_>, path: &Path, note: &str) -> FieldChange {
    let text = path.to_string();
    let value = path.get(&facts.remote.raw).cloned();
    let is_value = hides(facts, &text);
    let mut change = FieldChange::new(text, value.clone(), value);
    change.note = Some(note.to_owned());
    hide(&mut change, is_value);
    change
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
        // The server leaves some empty containers out of its answers.
        let left = match recorded {
            Json::Null => facts.sent.and_then(|sent| path.get(sent)).unwrap_or(recorded),
            _ => recorded,
        };
        let same = match (left, now) {
            (_, None) => recorded.is_null(),
            (_, Some(now)) if recorded == now => true,
            // Secret values are not recorded: whoever changes one takes its ownership.
            (_, Some(_)) if is_value => ours.contains(&path),
            // What others add beneath a container that boxctl left empty is theirs.
            (Json::Object(map), Some(Json::Object(_))) if map.is_empty() => ours.contains(&path),
            (Json::Array(items), Some(Json::Array(_))) if items.is_empty() => {
                ours.contains(&path) && is_filled_by_others(owners, &path)
            }
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

/// Whether others own items of a list: then it is merged by keys, and an apply leaves them.
fn is_filled_by_others(owners: &[Managed], list: &Path) -> bool {
    let others = owners.iter().filter(|entry| !entry.is_boxctls());
    others.flat_map(|entry| &entry.paths).any(|path| path != list && list.leads_to(path))
}

/// Whether a field holds a value that may not be shown.
pub fn hides(facts: &Facts<'_>, path: &str) -> bool {
    secret::hides(path, &[Some(&facts.remote.raw), facts.declared, facts.sent])
}

/// Takes the values of a field out that may not be shown.
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
        let note = |path: &Path, note: &str| noted(facts, path, note);
        let lost = own_live.iter().filter(|path| !own_new.contains(path));
        found.changes.extend(lost.map(|path| note(path, "stays, and is no longer boxctl's")));
        let gained = own_new.iter().filter(|path| !own_live.contains(path));
        found
            .changes
            .extend(gained.map(|path| note(path, "is there already, and becomes boxctl's")));
    }
}

/// What it comes to that the server refuses the manifest. `then` is the object as its owners will
/// be when it is applied.
fn refused(
    facts: &Facts<'_>,
    owners: &[Managed],
    then: &Json,
    (status, message, fields): (u16, &str, &[String]),
    found: &mut Diffed,
) {
    let (Some(declared), live) = (facts.declared, &facts.remote.raw) else { return };
    if status == 409 && !fields.is_empty() {
        for path in fields.iter().filter_map(|text| resolve(owners, text, declared, live)) {
            found.changes.retain(|change| change.path != path.to_string());
            found.conflicts.retain(|change| change.path != path.to_string());
            let text = path.to_string();
            let (before, after) = (path.get(live).cloned(), path.get(declared).cloned());
            let mut change = FieldChange::new(text.clone(), before, after);
            hide(&mut change, hides(facts, &text));
            file(facts, owners, &path, change, found);
        }
        return;
    }
    if status == 422 {
        let texts: Vec<&str> = fields.iter().map(String::as_str).collect();
        let why = Refusal::of(message, &texts, declared, then);
        if explained(facts, &why, found) {
            return;
        }
    }
    found.warnings.push(refused::problem(status, message, fields));
}

/// Whether it is known what gets a refused apply through, which is then noted with the changes.
fn explained(facts: &Facts<'_>, why: &Refusal<'_>, found: &mut Diffed) -> bool {
    let live = &facts.remote.raw;
    let claims = why.claims();
    for path in &claims {
        let mut change = FieldChange::new(path.to_string(), path.get(live).cloned(), None);
        change.note = Some(
            "a default of the server that stands in the way: claimed first, then dropped"
                .to_owned(),
        );
        found.changes.push(change);
    }
    if !claims.is_empty() {
        return true;
    }
    let kept = why.stays();
    let stays = |change: &FieldChange| kept.iter().any(|path| path.to_string() == change.path);
    let others = found.changes.iter().filter(|change| !stays(change));
    found.replaced = others.filter_map(|change| why.replacement(&change.path)).next();
    if found.replaced.is_some() {
        return true;
    }
    if !kept.is_empty() {
        found.changes.retain(|change| !stays(change));
        let note = "can't be taken away: it stays, and is no longer the manifest's";
        found.changes.extend(kept.iter().map(|path| noted(facts, path, note)));
        return true;
    }
    found.replaced = found.changes.iter().find_map(|change| why.replacement(&change.path));
    found.replaced.is_some()
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
