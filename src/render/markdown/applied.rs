//! What an apply came to, as a comment.

use super::escape::{cell, escape};
use super::{Comment, TEXT};
use crate::model::change::{Change, Phase, StepId};
use crate::model::error::Report;
use crate::model::plan::StackPlan;
use crate::render::applied::{Applied, Became};
use crate::render::human::{change, phase_words, requests_line, sign};
use crate::render::text::{count, duration};

/// The head of a table of steps.
const HEAD: &str = "| | what | resource | stack | |\n|---|---|---|---|---|\n";

/// What an apply came to, as Markdown of less than [`super::LIMIT`] bytes: what failed, what is
/// left, what was done.
pub fn applied(applied: &Applied<'_>) -> String {
    let mut out = Comment::new("apply", &applied.plan.project, &applied.verdict());
    let failed = applied.steps(|became| matches!(became, Became::Failed(_)));
    let why: Vec<&Report> = failed
        .iter()
        .filter_map(|(_, _, became)| match became {
            Became::Failed(report) => Some(report.as_ref()),
            Became::Done | Became::Waiting(_) | Became::Left => None,
        })
        .collect();
    out.reports(why.into_iter().chain(applied.reports()));
    if applied.lost() > 0 {
        let calls = count(applied.lost() as u64, "call");
        out.line(&format!("What became of {calls} is not known: the next run looks it up.\n\n"));
    }
    let left = applied.steps(|became| matches!(became, Became::Waiting(_) | Became::Left));
    let done = applied.steps(|became| *became == Became::Done);
    if !failed.is_empty() || (!left.is_empty() && !done.is_empty()) {
        out.line("Run it again: it goes on with what is left.\n\n");
    }
    for (title, steps) in [("Failed", failed), ("Not done", left), ("Done", done)] {
        if !steps.is_empty() {
            out.line(&format!("**{title}**\n\n"));
            let rows: Vec<String> = steps.iter().map(row).collect();
            out.table(HEAD, &rows, 3);
        }
    }
    let blocks: Vec<String> = applied
        .steps(|became| *became == Became::Done)
        .into_iter()
        .filter(|(_, one, _)| one.phase != Phase::Await)
        .map(|(_, one, _)| change(one, &TEXT))
        .collect();
    if !blocks.is_empty() {
        out.details("What was done", &blocks);
    }
    let took = duration(applied.elapsed_ms());
    let foot = format!("It took {took}. {}", requests_line(applied.requests()));
    out.end("`boxctl apply` says all of it in its log.", &foot)
}

fn row((stack, one, became): &(&StackPlan, &Change, &Became)) -> String {
    let (sign, verb) = sign(one.action);
    let more = match became {
        Became::Waiting(steps) if !steps.is_empty() => format!("waits for {}", names(steps)),
        Became::Done | Became::Failed(_) | Became::Waiting(_) | Became::Left => {
            phase_words(one.phase).unwrap_or_default().to_owned()
        }
    };
    format!(
        "| `{sign}` | {verb} | {} | {} | {} |\n",
        cell(&one.address.to_string()),
        escape(&stack.stack),
        escape(&more)
    )
}

fn names(steps: &[StepId]) -> String {
    steps.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
