//! What is not as it was recorded, for people and machines.

use serde_json::json;

use super::RenderOptions;
use super::fields::field_change;
use super::graph::Graph;
use super::group::grouped;
use super::human::{drift_words, requests_line};
use super::json::{drift_entry, report as report_json};
use super::mask::Mask;
use super::reports::{gathered, report};
use super::taken;
use super::text::{Palette, clean, count, paint};
use crate::model::Json;
use crate::model::address::Address;
use crate::model::change::{Acknowledged, Action, Drift, DriftKind};
use crate::model::error::Report;
use crate::model::plan::{Plan, Requests};
use crate::model::unread::Taken;

/// What `drift` found.
#[derive(Clone, Debug, Default)]
pub struct DriftView {
    /// The project's name.
    pub project: String,
    /// When the look was begun.
    pub at: jiff::Timestamp,
    /// How long it took, in milliseconds.
    pub elapsed_ms: u64,
    /// Stacks that were looked at.
    pub stacks: Vec<String>,
    /// What is not as it was recorded, with its stack.
    pub drift: Vec<(String, Drift)>,
    /// What is known and unchanged since, with its stack and what was said of it: no alarm.
    pub acknowledged: Vec<(String, Drift, Acknowledged)>,
    /// What the files ask for and was not applied yet, with its stack: no drift.
    pub pending: Vec<(String, Address, Action)>,
    /// Stacks that another run works on, and who it is.
    pub in_progress: Vec<(String, String)>,
    /// What differs by their work, with its stack: no drift.
    pub under_way: Vec<(String, Drift)>,
    /// What else there is to tell.
    pub checks: Vec<Report>,
    /// Values that were taken as they are recorded, since they were not read.
    pub taken: Vec<Taken>,
    /// Whether those that can be read were to be.
    pub verify_secrets: bool,
    /// What it cost.
    pub requests: Requests,
    /// What is recorded of each stack and what needs what.
    pub graphs: Vec<(String, Graph)>,
}

impl DriftView {
    /// Drift and pending changes of a plan: pending is what is to be done where nothing drifted.
    pub fn of(plan: &Plan) -> DriftView {
        let mut view = DriftView { requests: plan.requests, ..DriftView::default() };
        for stack in &plan.stacks {
            view.stacks.push(stack.stack.clone());
            view.drift.extend(stack.drift.iter().map(|one| (stack.stack.clone(), one.clone())));
            view.checks.extend(stack.checks.iter().cloned());
            view.taken.extend(stack.taken.iter().cloned());
            for change in &stack.changes {
                let drifted = stack.drift.iter().any(|one| one.address == change.address);
                let entry = (stack.stack.clone(), change.address.clone(), change.action);
                if !drifted && !view.pending.contains(&entry) {
                    view.pending.push(entry);
                }
            }
        }
        view
    }

    fn of_kind(&self, kind: DriftKind) -> impl Iterator<Item = &(String, Drift)> {
        self.drift.iter().filter(move |(_, one)| one.kind == kind)
    }
}

/// What was found, as text.
pub fn text(view: &DriftView, options: &RenderOptions) -> String {
    let mut out = found(view, options);
    out.push_str(&verdict(view, options));
    if !view.pending.is_empty() {
        let number = count(view.pending.len() as u64, "change");
        out.push_str(&format!(
            "Not applied yet: {number} of the files; `boxctl plan` shows them.\n"
        ));
    }
    out.push_str(&taken::lines(&view.taken, options));
    out.push_str(&requests_line(view.requests));
    out
}

/// What a look at states found, as text.
pub fn verified(view: &DriftView, options: &RenderOptions) -> String {
    let palette = Palette::of(options);
    let mut out = found(view, options);
    if view.checks.is_empty() && view.drift.is_empty() {
        let names = view.stacks.join(", ");
        let text = match view.stacks.is_empty() {
            true => "there is no state yet.".to_owned(),
            false => format!("files, records and world agree ({}).", clean(&names)),
        };
        out.push_str(&format!("{} {text}\n", paint(palette.bold, "Verified:")));
    }
    out.push_str(&requests_line(view.requests));
    out
}

fn found(view: &DriftView, options: &RenderOptions) -> String {
    let palette = Palette::of(options);
    let mut out = String::new();
    for stack in &view.stacks {
        let entries: Vec<_> = view.drift.iter().filter(|(name, _)| name == stack).collect();
        if !entries.is_empty() {
            out.push_str(&format!("{}\n", paint(palette.bold, format!("Stack {}", clean(stack)))));
            entries.iter().for_each(|(_, one)| out.push_str(&entry(one, options)));
            out.push('\n');
        }
    }
    for (stack, holder) in &view.in_progress {
        out.push_str(&format!("Stack {} is being worked on by {}.\n", clean(stack), clean(holder)));
    }
    for check in gathered(&view.checks) {
        out.push_str(&report(&check, options));
        out.push('\n');
    }
    out
}

fn verdict(view: &DriftView, options: &RenderOptions) -> String {
    let palette = Palette::of(options);
    if view.drift.is_empty() {
        let text = match view.checks.iter().any(Report::is_unreadable) {
            true => "What could be read is as it was recorded.",
            false => "Everything is as it was recorded.",
        };
        return format!("{} {text}\n", paint(palette.bold, "No drift."));
    }
    let number = |kind| view.of_kind(kind).count();
    let flag = if view.verify_secrets { " --verify-secrets" } else { "" };
    format!(
        "{} {} changed, {} missing, {} foreign. `boxctl apply{flag}` puts it right.\n",
        paint(palette.bold, "Drift:"),
        number(DriftKind::Drifted),
        number(DriftKind::Missing),
        number(DriftKind::Foreign)
    )
}

/// One resource that is not as it was recorded: recorded → observed.
pub(super) fn entry(drift: &Drift, options: &RenderOptions) -> String {
    let palette = Palette::of(options);
    let (sign, word) = drift_words(drift.kind);
    let style = match drift.kind {
        DriftKind::Drifted => palette.change,
        DriftKind::Missing => palette.remove,
        DriftKind::Foreign => palette.take,
    };
    let head = paint(style, format!("{sign:>3} {word:<7}"));
    let mut out = format!("{head} {}\n", drift.address);
    let mask = Mask::of(&drift.address, None);
    grouped(&drift.paths, mask)
        .iter()
        .for_each(|one| out.push_str(&field_change(one, mask, options)));
    out
}

/// `drift --json`.
pub fn json(view: &DriftView) -> Json {
    let entries = |kind| -> Vec<Json> {
        view.of_kind(kind).map(|(stack, one)| drift_entry(Some(stack), one)).collect()
    };
    let pending: Vec<Json> = view
        .pending
        .iter()
        .map(|(stack, address, action)| json!({"stack": stack, "address": address, "action": action}))
        .collect();
    let in_progress: Vec<Json> = view
        .in_progress
        .iter()
        .map(|(stack, holder)| {
            let work = view.under_way.iter().filter(|(name, _)| name == stack);
            let resources: Vec<&Address> = work.map(|(_, one)| &one.address).collect();
            json!({"stack": stack, "holder": holder, "resources": resources})
        })
        .collect();
    json!({
        "format_version": super::json::FORMAT_VERSION,
        "drifted": entries(DriftKind::Drifted),
        "missing": entries(DriftKind::Missing),
        "foreign": entries(DriftKind::Foreign),
        "pending": pending,
        "in_progress": in_progress,
        "taken": view.taken,
        "checks": view.checks.iter().map(report_json).collect::<Vec<_>>(),
        "requests": view.requests,
    })
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn drift_is_told_apart_from_what_is_pending() {
        let mut view = DriftView::of(&samples::plan());
        view.checks.clear();
        view.in_progress.push(("other".to_owned(), "`boxctl apply other` of ann".to_owned()));
        insta::assert_snapshot!(text(&view, &RenderOptions::default()));
        insta::assert_json_snapshot!(json(&view));
        let none = text(&DriftView::default(), &RenderOptions::default());
        assert!(none.starts_with("No drift."), "{none}");
    }
}
