//! A plan as a comment.

use super::escape::{cell, escape};
use super::{Comment, TEXT};
use crate::model::change::{Action, Change};
use crate::model::plan::{Plan, StackPlan};
use crate::render::drift::entry;
use crate::render::human::{change, counts, interruption, phase_words, requests_line, sign};

/// The head of a table of changes.
const HEAD: &str = "| | what | resource | why |\n|---|---|---|---|\n";

/// The plan as Markdown of less than [`super::LIMIT`] bytes. What takes something away or interrupts
/// it comes first; the differences stand in the order in which they are made.
pub fn plan(plan: &Plan) -> String {
    let summary = plan.summary();
    let title = match summary.is_empty() {
        true => "no changes".to_owned(),
        false => counts(&summary, "to "),
    };
    let mut out = Comment::new("plan", &plan.project, &title);
    out.reports(plan.stacks.iter().flat_map(|stack| &stack.checks));
    for (at, stack) in plan.stacks.iter().enumerate() {
        let name = escape(&stack.stack);
        if stack.changes.is_empty() && stack.kept.is_empty() {
            out.line(&format!("**{name}**: no changes\n\n"));
            continue;
        }
        out.line(&format!("**{name}**\n\n"));
        // What is left is shared with the stacks to come, and with the differences.
        out.table(HEAD, &rows(stack), plan.stacks.len() - at + 1);
    }
    for stack in &plan.stacks {
        let drift: Vec<String> = stack.drift.iter().map(|one| entry(one, &TEXT)).collect();
        let changes: Vec<String> = stack.changes.iter().map(|one| change(one, &TEXT)).collect();
        for (title, blocks) in [("Not as it was recorded", drift), ("Changes", changes)] {
            if !blocks.is_empty() {
                out.details(&format!("{title}: {}", stack.stack), &blocks);
            }
        }
    }
    out.end("`boxctl plan` shows all, `--html FILE` on one page.", &requests_line(plan.requests))
}

/// The changes of a stack, what takes something away first.
fn rows(stack: &StackPlan) -> Vec<String> {
    let mut changes: Vec<&Change> = stack.changes.iter().collect();
    changes.sort_by_key(|one| weight(one));
    let mut rows: Vec<String> = changes.into_iter().map(row).collect();
    rows.extend(stack.kept.iter().map(|address| {
        format!("| `#` | kept | {} | protected, not in the files |\n", cell(&address.to_string()))
    }));
    rows
}

/// How far down a change stands.
pub(super) fn weight(one: &Change) -> u8 {
    match one.action {
        Action::Delete | Action::Replace => 0,
        _ if interruption(one).is_some() => 1,
        Action::Rotate | Action::Forget => 2,
        Action::Create | Action::Update | Action::Adopt => 3,
    }
}

fn row(one: &Change) -> String {
    let (sign, verb) = sign(one.action);
    let why = phase_words(one.phase).or(one.reason.as_deref()).map(escape);
    let interrupts = interruption(one).map(|how| format!("⚡ interrupts: {}", escape(how)));
    let why = [why, interrupts].into_iter().flatten().collect::<Vec<_>>().join("; ");
    format!("| `{sign}` | {verb} | {} | {why} |\n", cell(&one.address.to_string()))
}
