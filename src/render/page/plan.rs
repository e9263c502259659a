//! A plan, as a page.

use super::content::{Entry, Page, Section, Tile, Tone};
use super::drift;
use crate::model::change::{Action, Change, Confidence, FieldChange, Phase};
use crate::model::plan::{Plan, StackPlan};
use crate::render::graph::Graph;
use crate::render::group::grouped;
use crate::render::human::{counts, how_sure, interruption, phase_words, requests_line, sign};
use crate::render::mask::{Mask, compact, leaves};
use crate::render::text::moment;

/// What the two sides of a change are.
pub(super) const SIDES: (&str, &str) = ("now", "then");

/// What an apply would do.
pub(super) fn page(plan: &Plan) -> Page {
    let summary = plan.summary();
    let refused = plan.stacks.iter().flat_map(StackPlan::refusals).count();
    let (tone, verdict) = match (refused, summary.is_empty()) {
        (0, true) => (Tone::Good, "Nothing to do".to_owned()),
        (0, false) => (Tone::Changed, capital(&counts(&summary, "to "))),
        (1, _) => (Tone::Bad, "1 error comes first".to_owned()),
        (n, _) => (Tone::Bad, format!("{n} errors come first")),
    };
    let advice = match (refused, summary.is_empty()) {
        (0, true) => "The world is as the files say.",
        (0, false) => "`boxctl apply` does this, in an order in which it can be done.",
        _ => "Apply does nothing until they are settled.",
    };
    let tile = |tone, number, word, id| Tile { tone, number, word, id };
    let entries = |entry: fn(&StackPlan) -> Vec<Entry>| {
        plan.stacks.iter().flat_map(entry).collect::<Vec<Entry>>()
    };
    let found =
        entries(|stack| stack.drift.iter().map(|one| drift::entry(&stack.stack, one)).collect());
    let changes =
        entries(|stack| stack.changes.iter().map(|one| entry(&stack.stack, one)).collect());
    let kept = entries(kept);
    let section = |id, title, entries, sides| Section { id, title, entries, sides };
    let mut page = Page {
        command: "plan",
        project: plan.project.clone(),
        tone,
        verdict,
        advice: advice.to_owned(),
        facts: vec![
            ("planned", moment(&plan.created_at)),
            ("stacks", plan.stacks.len().to_string()),
        ],
        tiles: vec![
            tile(Tone::Good, summary.create, "to create", "changes"),
            tile(Tone::Changed, summary.update + summary.rotate, "to update", "changes"),
            tile(Tone::Bad, summary.replace + summary.delete, "to replace or delete", "changes"),
            tile(Tone::Other, summary.adopt + summary.forget, "to adopt or forget", "changes"),
            tile(Tone::Quiet, summary.noop, "unchanged", ""),
        ],
        reports: drift::reports(plan.stacks.iter().flat_map(|stack| &stack.checks)),
        sections: vec![
            section("changes", "Changes, in an order in which they can be done", changes, SIDES),
            section("found", "Not as it was recorded", found, ("recorded", "observed")),
            section("kept", "Kept, although the files no longer have them", kept, SIDES),
        ],
        notes: vec![requests_line(plan.requests)],
        ..Page::default()
    };
    page.mark(graphs(plan));
    page
}

/// The graph of each stack.
pub(super) fn graphs(plan: &Plan) -> Vec<(String, Graph)> {
    plan.stacks.iter().map(|stack| (stack.stack.clone(), Graph::of_plan(stack))).collect()
}

fn capital(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map(|first| first.to_uppercase().chain(rest).collect()).unwrap_or_default()
}

fn kept(stack: &StackPlan) -> Vec<Entry> {
    let kept = stack.kept.iter().map(|address| Entry {
        stack: stack.stack.clone(),
        address: Some(address.clone()),
        sign: "#",
        word: "kept".to_owned(),
        remarks: vec![("because", "it is protected".to_owned())],
        ..Entry::default()
    });
    kept.collect()
}

/// How a change is to be taken.
pub(super) fn tone(action: Action) -> Tone {
    match action {
        Action::Create => Tone::Good,
        Action::Update | Action::Rotate => Tone::Changed,
        Action::Replace | Action::Delete => Tone::Bad,
        Action::Adopt | Action::Forget => Tone::Other,
    }
}

/// A change.
pub(super) fn entry(stack: &str, one: &Change) -> Entry {
    let (sign, verb) = sign(one.action);
    let mut remarks = Vec::new();
    remarks.extend(one.reason.clone().map(|text| ("because", text)));
    remarks.extend(interruption(one).map(|text| ("interrupts", text.to_owned())));
    for (address, version) in &one.restart {
        remarks.push(("restart", format!("to read {address}, version {}", compact(version))));
    }
    if let Confidence::Unchecked(why) = &one.confidence {
        remarks.push(("unchecked", why.clone()));
    }
    remarks.extend(how_sure(one).map(|text| ("how sure", text.to_owned())));
    remarks.extend(one.moved_from.as_ref().map(|from| ("was called", from.to_string())));
    remarks.extend(one.id.clone().map(|id| ("id", id)));
    remarks.extend(one.location.as_ref().map(|place| ("asked for at", place.to_string())));
    Entry {
        stack: stack.to_owned(),
        address: Some(one.address.clone()),
        tone: tone(one.action),
        sign,
        word: verb.to_owned(),
        aside: phase_words(one.phase).unwrap_or_default().to_owned(),
        fields: fields(one),
        remarks,
        reports: Vec::new(),
    }
}

/// What differs, or what is made, secrets hidden.
fn fields(one: &Change) -> Vec<FieldChange> {
    let mask = Mask::of(&one.address, one.spec.as_ref().or(one.before.as_ref()));
    match (one.action, &one.spec) {
        (Action::Delete | Action::Forget, _) => Vec::new(),
        (Action::Replace, _) if one.phase == Phase::Remove => Vec::new(),
        (Action::Create, Some(spec)) => leaves(&mask.value("", spec))
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(path, value)| FieldChange::new(path, None, Some(value)))
            .collect(),
        _ => grouped(&one.paths, mask),
    }
}
