//! What an apply came to, as a page.

use super::content::{Entry, Page, Section, Tile, Tone};
use super::{drift, plan};
use crate::model::error::Exit;
use crate::render::applied::{Applied, Became};
use crate::render::human::requests_line;
use crate::render::text::{count, duration, moment};

/// What was done, what failed and what is left.
pub(super) fn page(applied: &Applied<'_>) -> Page {
    let failed = entries(applied, |became| matches!(became, Became::Failed(_)));
    let left = entries(applied, |became| matches!(became, Became::Waiting(_) | Became::Left));
    let done = entries(applied, |became| *became == Became::Done);
    let tone = match applied.exit {
        Exit::Done | Exit::Found => Tone::Good,
        Exit::Refused if failed.is_empty() => Tone::Changed,
        _ => Tone::Bad,
    };
    let advice = match applied.exit {
        Exit::Done | Exit::Found => "The world is as the files say.",
        Exit::Partial | Exit::Interrupted => "Run it again: it goes on with what is left.",
        Exit::Refused => "Nothing was done.",
        Exit::Error | Exit::Locked => "",
    };
    let mut notes = Vec::new();
    if applied.lost() > 0 {
        let calls = count(applied.lost() as u64, "call");
        notes.push(format!("What became of {calls} is not known: the next run looks it up."));
    }
    notes.push(requests_line(applied.requests()));
    let tile = |tone, number, word, id| Tile { tone, number, word, id };
    let section = |id, title, entries| Section { id, title, entries, sides: ("before", "after") };
    let mut page = Page {
        command: "apply",
        project: applied.plan.project.clone(),
        tone,
        verdict: applied.verdict(),
        advice: advice.to_owned(),
        facts: vec![
            ("planned", moment(&applied.plan.created_at)),
            ("took", duration(applied.elapsed_ms())),
            ("stacks", applied.plan.stacks.len().to_string()),
        ],
        tiles: vec![
            tile(Tone::Bad, failed.len(), "failed", "failed"),
            tile(Tone::Changed, left.len(), "not done", "left"),
            tile(Tone::Good, done.len(), "done", "done"),
            tile(Tone::Quiet, applied.plan.summary().noop, "unchanged", ""),
        ],
        reports: drift::reports(applied.reports()),
        sections: vec![
            section("failed", "Failed", failed),
            section("left", "Not done", left),
            section("done", "Done", done),
        ],
        notes,
        ..Page::default()
    };
    page.mark(plan::graphs(applied.plan));
    page
}

fn entries(applied: &Applied<'_>, of: impl Fn(&Became) -> bool) -> Vec<Entry> {
    let steps = applied.steps(of).into_iter();
    steps
        .map(|(stack, change, became)| {
            let mut entry = plan::entry(&stack.stack, change);
            match became {
                Became::Failed(report) => {
                    entry.tone = Tone::Bad;
                    entry.reports.push((**report).clone());
                }
                Became::Waiting(steps) if !steps.is_empty() => {
                    let names: Vec<String> = steps.iter().map(ToString::to_string).collect();
                    entry.remarks.insert(0, ("waits for", names.join(", ")));
                }
                Became::Done => {}
                Became::Waiting(_) | Became::Left => entry.tone = Tone::Quiet,
            }
            entry
        })
        .collect()
}
