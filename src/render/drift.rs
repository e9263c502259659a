//! What is not as it was recorded, for people and machines.

use std::collections::{BTreeMap, BTreeSet};

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
use crate::model::change::{Acknowledged, Action, Drift, DriftKind, FieldChange};
use crate::model::error::Report;
use crate::model::plan::{Plan, Requests};
use crate::model::resource::Location;
use crate::model::unread::Taken;

/// From how many on, text says first what it comes to, since its end may be far.
const MANY: usize = 20;

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
    /// Where the files ask for what has drifted, by stack and address.
    pub places: BTreeMap<(String, Address), Location>,
}

/// How many resources of a look, or of one of its stacks, are how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub missing: usize,
    pub drifted: usize,
    pub foreign: usize,
    pub acknowledged: usize,
    pub pending: usize,
}

impl Counts {
    /// `2 changed, 1 missing, 0 foreign`.
    pub(super) fn words(self) -> String {
        format!("{} changed, {} missing, {} foreign", self.drifted, self.missing, self.foreign)
    }
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

    /// How many are how, of one stack or of all.
    pub(super) fn counts(&self, of: Option<&str>) -> Counts {
        let is = |stack: &str| of.is_none_or(|name| name == stack);
        let number = |kind| self.of_kind(kind).filter(|(stack, _)| is(stack)).count();
        Counts {
            missing: number(DriftKind::Missing),
            drifted: number(DriftKind::Drifted),
            foreign: number(DriftKind::Foreign),
            acknowledged: self.acknowledged.iter().filter(|(stack, ..)| is(stack)).count(),
            pending: self.pending.iter().filter(|(stack, ..)| is(stack)).count(),
        }
    }

    /// What was found, what matters most first: what leaves a hostname open, then what is gone, what
    /// was changed, and what stands beside.
    pub(super) fn by_weight(&self) -> Vec<&(String, Drift)> {
        let open: BTreeSet<&Address> =
            exposures(&self.checks).filter_map(|check| check.address.as_ref()).collect();
        let mut all: Vec<_> = self.drift.iter().collect();
        all.sort_by_key(|(_, one)| (!open.contains(&one.address), weight(one.kind)));
        all
    }

    fn of_kind(&self, kind: DriftKind) -> impl Iterator<Item = &(String, Drift)> {
        self.drift.iter().filter(move |(_, one)| one.kind == kind)
    }
}

/// How far down what drifted in a way stands.
fn weight(kind: DriftKind) -> u8 {
    match kind {
        DriftKind::Missing => 0,
        DriftKind::Drifted => 1,
        DriftKind::Foreign => 2,
    }
}

/// The reports of hostnames that are open although they should not be.
pub(super) fn exposures(checks: &[Report]) -> impl Iterator<Item = &Report> {
    checks.iter().filter(|check| is_exposure(check))
}

/// Whether a report says that a hostname is open although it should not be.
pub(super) fn is_exposure(check: &Report) -> bool {
    check.code.as_deref() == Some("exposed")
}

/// Who wrote what is there, and when, as far as a service said: each once, latest last.
pub(super) fn authors(drift: &Drift) -> Vec<(Option<&str>, Option<&str>)> {
    let said = drift.paths.iter().map(|field| (field.by.as_deref(), field.since.as_deref()));
    let mut all: Vec<_> = said.filter(|(by, since)| by.is_some() || since.is_some()).collect();
    all.sort_by_key(|(by, since)| (*since, *by));
    all.dedup();
    all
}

/// What was found, as text.
pub fn text(view: &DriftView, options: &RenderOptions) -> String {
    let mut out = String::new();
    if view.drift.len() > MANY {
        out.push_str(&verdict(view, options));
        out.push('\n');
    }
    out.push_str(&found(view, options));
    out.push_str(&verdict(view, options));
    view.acknowledged.iter().for_each(|one| out.push_str(&acknowledged(one)));
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
    for check in exposures(&view.checks) {
        out.push_str(&report(check, options));
        out.push('\n');
    }
    let all = view.by_weight();
    for stack in &view.stacks {
        let entries: Vec<_> = all.iter().filter(|(name, _)| name == stack).collect();
        if !entries.is_empty() {
            out.push_str(&format!("{}\n", paint(palette.bold, format!("Stack {}", clean(stack)))));
            entries.iter().for_each(|(_, one)| out.push_str(&entry(one, options)));
            out.push('\n');
        }
    }
    for (stack, holder) in &view.in_progress {
        out.push_str(&format!("Stack {} is being worked on by {}.\n", clean(stack), clean(holder)));
    }
    for check in gathered(view.checks.iter().filter(|check| !is_exposure(check))) {
        out.push_str(&report(&check, options));
        out.push('\n');
    }
    out
}

fn verdict(view: &DriftView, options: &RenderOptions) -> String {
    let palette = Palette::of(options);
    if view.drift.is_empty() {
        let unread = view.checks.iter().any(Report::is_unreadable);
        let text = match (unread, view.acknowledged.is_empty()) {
            (true, true) => "What could be read is as it was recorded.",
            (true, false) => "What could be read is as it was recorded, or as it is known.",
            (false, true) => "Everything is as it was recorded.",
            (false, false) => "Everything is as it was recorded, or as it is known.",
        };
        return format!("{} {text}\n", paint(palette.bold, "No drift."));
    }
    let (head, counts) = (paint(palette.bold, "Drift:"), view.counts(None).words());
    format!("{head} {counts}. {}\n", advice(view))
}

/// What puts drift right. What is foreign is not boxctl's, so that no apply takes it away.
pub(super) fn advice(view: &DriftView) -> String {
    const KNOWN: &str = "`boxctl drift ack` says that it is known";
    let flag = if view.verify_secrets { " --verify-secrets" } else { "" };
    let foreign = view.of_kind(DriftKind::Foreign).count();
    match foreign {
        0 => format!("`boxctl apply{flag}` puts it right."),
        all if all == view.drift.len() => {
            format!("What is foreign is not boxctl's to remove; {KNOWN}.")
        }
        _ => format!("`boxctl apply{flag}` puts it right, but for what is foreign: {KNOWN}."),
    }
}

/// What is known, on one line.
fn acknowledged((_, drift, said): &(String, Drift, Acknowledged)) -> String {
    let mask = Mask::of(&drift.address, None);
    let paths: Vec<String> =
        grouped(&drift.paths, mask).iter().map(|field| clean(&field.path)).collect();
    let what = match drift.kind {
        DriftKind::Drifted | DriftKind::Foreign => format!(" ({})", paths.join(", ")),
        DriftKind::Missing => " (missing)".to_owned(),
    };
    let by = said.by.as_ref().map(|by| format!(", {}", clean(by))).unwrap_or_default();
    let (until, reason) = (clean(&said.until), clean(&said.reason));
    let line = format!("Known: {}{what} until {until}: {reason}{by}", drift.address);
    format!("{}\n", line.replace('\n', " "))
}

/// A text of several lines without what would move a terminal's cursor or colour it.
pub fn plain(text: &str) -> String {
    clean(text)
}

/// The differences of a drift as they may be shown, what is secret hidden.
pub fn shown(drift: &Drift) -> Vec<FieldChange> {
    let mask = Mask::of(&drift.address, None);
    let hidden = |field: &FieldChange| {
        let (before, after) = mask.field(field);
        FieldChange { before, after, ..field.clone() }
    };
    drift.paths.iter().map(hidden).collect()
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
    let acknowledged: Vec<Json> = view
        .acknowledged
        .iter()
        .map(|(stack, one, said)| {
            let mut entry = drift_entry(Some(stack), one);
            entry["acknowledged"] = json!(said);
            entry
        })
        .collect();
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
        "project": view.project,
        "at": view.at,
        "elapsed_ms": view.elapsed_ms,
        "drifted": entries(DriftKind::Drifted),
        "missing": entries(DriftKind::Missing),
        "foreign": entries(DriftKind::Foreign),
        "acknowledged": acknowledged,
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
    fn no_apply_is_said_to_take_away_what_is_foreign() {
        let mut view = DriftView::of(&samples::plan());
        assert_eq!(advice(&view), "`boxctl apply` puts it right.");
        view.drift[0].1.kind = DriftKind::Foreign;
        let said = advice(&view);
        assert!(said.contains("puts it right, but for what is foreign"), "{said}");
        view.drift.truncate(1);
        assert!(!advice(&view).contains("puts it right"), "{}", advice(&view));
    }

    #[test]
    fn drift_is_told_apart_from_what_is_pending() {
        let mut view = DriftView::of(&samples::plan());
        view.checks.clear();
        view.in_progress.push(("other".to_owned(), "`boxctl apply other` of ann".to_owned()));
        insta::assert_snapshot!(text(&view, &RenderOptions::default()));
        insta::assert_json_snapshot!(json(&view));
        let known = &json(&samples::view())["acknowledged"][0];
        assert_eq!(known["acknowledged"]["until"], "2026-12-24");
        assert_eq!(known["address"], "k8s.Secret/openhands/login");
        let none = text(&DriftView::default(), &RenderOptions::default());
        assert!(none.starts_with("No drift."), "{none}");
    }

    #[test]
    fn a_large_drift_is_told_with_what_it_comes_to_first_and_whole_to_machines() {
        let view = samples::large_view(2_000);
        let shown = text(&view, &RenderOptions::default());
        let lines: Vec<&str> = shown.lines().collect();
        let sum = "Drift: 1999 changed, 1 missing, 0 foreign. `boxctl apply` puts it right.";
        assert_eq!(lines[0], sum, "at its head");
        assert!(lines[lines.len() - 3..].contains(&sum), "and at its end");
        let at = |what: &str| shown.find(what).unwrap_or_else(|| panic!("no {what} in {shown}"));
        assert!(at("exposed") < at("access_application.r1999"));
        assert!(at("missing access_application.r1999") < at("changed dns_record.r1900"));
        let document = json(&view);
        assert_eq!(document["drifted"].as_array().map(Vec::len), Some(1_999));
        assert_eq!(document["missing"].as_array().map(Vec::len), Some(1));
    }
}
