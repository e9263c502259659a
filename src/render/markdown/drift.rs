//! What drifted, as a comment.

use super::escape::{cell, code, escape, prose};
use super::{Comment, TEXT};
use crate::model::change::{Acknowledged, Drift};
use crate::model::error::Report;
use crate::render::drift::{Counts, DriftView, advice, authors, entry};
use crate::render::human::{drift_words, requests_line};
use crate::render::text::{count, duration, moment};

/// The head of the table of what drifted.
const HEAD: &str = "| | resource | stack | where | who and when |\n|---|---|---|---|---|\n";
/// How many paths of a resource its line names.
const PATHS: usize = 3;

/// What a look found, as Markdown of less than [`super::LIMIT`] bytes.
pub fn drift(view: &DriftView) -> String {
    let counts = view.counts(None);
    let title = match view.drift.is_empty() {
        true if view.checks.iter().any(Report::is_unreadable) => {
            "no drift in what could be read".to_owned()
        }
        true => "no drift".to_owned(),
        false => counts.words(),
    };
    let mut out = Comment::new("drift", &view.project, &title);
    out.reports(view.checks.iter());
    if !view.drift.is_empty() {
        out.line(&format!("{}\n\n", advice(view)));
    }
    if view.stacks.len() > 1 && !view.drift.is_empty() {
        let stacks = view.stacks.iter().map(|name| (name, view.counts(Some(name))));
        let moved = stacks.filter(|(_, counts)| *counts != Counts::default());
        let rows: Vec<String> = moved.map(|(name, counts)| stack_row(name, counts)).collect();
        let head = "| stack | missing | changed | foreign | acknowledged | not applied yet |\n\
                    |---|--:|--:|--:|--:|--:|\n";
        out.table(head, &rows, 4);
    }
    let found = view.by_weight();
    let rows: Vec<String> = found.iter().map(|(stack, one)| row(stack, one)).collect();
    out.table(HEAD, &rows, 2);
    let blocks: Vec<String> = found.iter().map(|(_, one)| entry(one, &TEXT)).collect();
    out.details("Recorded → observed", &blocks);
    let known: Vec<String> = view.acknowledged.iter().map(known).collect();
    if !known.is_empty() {
        out.line(&format!("Acknowledged: {}\n\n", count(known.len() as u64, "resource")));
        out.table("| | resource | stack | until | why |\n|---|---|---|---|---|\n", &known, 1);
    }
    for (stack, holder) in &view.in_progress {
        out.line(&format!("Stack {} is being worked on by {}.\n\n", escape(stack), prose(holder)));
    }
    if counts.pending > 0 {
        let number = count(counts.pending as u64, "change");
        out.line(&format!("Not applied yet: {number} of the files; `boxctl plan` shows them.\n\n"));
    }
    let looked = format!(
        "Looked at {}, for {}. {}",
        moment(&view.at.to_string()),
        duration(view.elapsed_ms),
        requests_line(view.requests)
    );
    out.end("`boxctl drift` shows all, `--html FILE` on one page.", &looked)
}

fn stack_row(name: &str, counts: Counts) -> String {
    let Counts { missing, drifted, foreign, acknowledged, pending } = counts;
    let name = escape(name);
    format!("| {name} | {missing} | {drifted} | {foreign} | {acknowledged} | {pending} |\n")
}

fn row(stack: &str, one: &Drift) -> String {
    let (sign, word) = drift_words(one.kind);
    let mut paths: Vec<String> =
        one.paths.iter().take(PATHS).map(|field| cell(&field.path)).collect();
    if one.paths.len() > PATHS {
        paths.push(format!("{} more", one.paths.len() - PATHS));
    }
    let who = authors(one).pop().map(|(by, since)| {
        let by = by.map(escape);
        let since = since.map(|at| escape(&moment(at)));
        [by, since].into_iter().flatten().collect::<Vec<_>>().join(", ")
    });
    format!(
        "| `{sign}` {word} | {} | {} | {} | {} |\n",
        cell(&one.address.to_string()),
        escape(stack),
        paths.join(", "),
        who.unwrap_or_default()
    )
}

fn known((stack, one, said): &(String, Drift, Acknowledged)) -> String {
    let (sign, word) = drift_words(one.kind);
    let by = said.by.as_ref().map(|by| format!(" ({})", escape(by))).unwrap_or_default();
    format!(
        "| `{sign}` {word} | {} | {} | {} | {}{by} |\n",
        cell(&one.address.to_string()),
        escape(stack),
        code(&said.until),
        escape(&said.reason)
    )
}
