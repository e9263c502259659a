//! Earlier runs, as a table.

use serde_json::json;

use super::RenderOptions;
use super::human::deeds;
use super::state::day;
use super::text::{Palette, clean, paint, table};
use crate::model::Json;
use crate::model::history::Past;
use crate::model::plan::Summary;
use crate::model::state::RolledBack;

/// The runs of a stack that are kept.
#[derive(Clone, Debug)]
pub struct View {
    /// The stack.
    pub stack: String,
    /// Its runs, in order.
    pub runs: Vec<Past>,
    /// The serial of its state; None where that is gone.
    pub serial: Option<u64>,
    /// That it was rolled back.
    pub rolled_back: Option<RolledBack>,
}

/// `state history`: a line a run, the last one first.
pub fn text(views: &[View], options: &RenderOptions) -> String {
    let palette = Palette::of(options);
    let mut out = String::new();
    for view in views {
        if views.len() > 1 {
            let name = paint(palette.bold, format!("Stack {}", clean(&view.stack)));
            out.push_str(&format!("{name}\n"));
        }
        out.push_str(&runs(view, options));
        if let Some(note) = &view.rolled_back {
            out.push_str(&format!(
                "Rolled back to {}; the files ask for {}.\n",
                note.to,
                asked(note)
            ));
        }
        if views.len() > 1 {
            out.push('\n');
        }
    }
    if out.is_empty() { "Nothing was applied yet.\n".to_owned() } else { out }
}

/// What the files ask for.
pub fn asked(note: &RolledBack) -> String {
    note.asked.map_or_else(|| "something else".to_owned(), |serial| serial.to_string())
}

fn runs(view: &View, options: &RenderOptions) -> String {
    let rows: Vec<Vec<String>> = view
        .runs
        .iter()
        .rev()
        .filter(|past| view.serial.is_none_or(|serial| past.serial() <= serial))
        .map(|past| {
            let run = if past.run.is_empty() { "(not noted)" } else { past.run.as_str() };
            vec![
                past.serial().to_string(),
                day(&past.at),
                clean(run),
                past.state.resources.len().to_string(),
                what(past, view),
            ]
        })
        .collect();
    if rows.is_empty() {
        return "No run is kept.\n".to_owned();
    }
    table(&["SERIAL", "ENDED", "RUN", "RESOURCES", "WHAT"], &rows, options)
}

fn what(past: &Past, view: &View) -> String {
    let mut parts = Vec::new();
    let done = Summary { noop: 0, ..past.done };
    if !done.is_empty() {
        parts.push(deeds(&done));
    }
    if past.declared.is_some() && !past.complete {
        parts.push("something was left".to_owned());
    }
    if view.serial == Some(past.serial()) {
        parts.push("now".to_owned());
    }
    parts.join("; ")
}

/// `state history --json`.
pub fn json(views: &[View]) -> Json {
    let stacks: Vec<Json> = views
        .iter()
        .map(|view| {
            let runs: Vec<Json> = view
                .runs
                .iter()
                .map(|past| {
                    json!({"serial": past.serial(), "at": past.at, "run": past.run,
                        "complete": past.complete, "done": past.done,
                        "resources": past.state.resources.len(),
                        "can_be_applied_again": past.declared.is_some()})
                })
                .collect();
            json!({"stack": view.stack, "serial": view.serial, "rolled_back": view.rolled_back,
                "runs": runs})
        })
        .collect();
    json!({"format_version": super::json::FORMAT_VERSION, "stacks": stacks})
}
