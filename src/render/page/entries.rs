//! One resource on a page: its line, and under it what differs, side by side.

use super::content::{Entry, Section};
use super::html::Html;
use super::sides::{Piece, Row, head_of, rows};
use crate::model::Json;
use crate::model::change::FieldChange;
use crate::model::error::Report;
use crate::model::value::{Special, map_special};
use crate::render::drift::is_exposure;
use crate::render::fields::written;
use crate::render::mask::{SECRET, compact};
use crate::render::reports::level_name;
use crate::render::text::{moment, width};

/// How many fields of an entry are shown.
const FIELDS: usize = 60;
/// How much of an entry is written before what is left of its fields is only counted, in bytes.
const ENTRY: usize = 128 * 1024;
/// How many causes or hints of a report are shown.
const CAUSES: usize = 20;
/// From how many columns on a list or a map is shown in lines.
const LONG: usize = 60;

/// Writes an entry, its fields too unless there is no room for them.
pub(super) fn write(html: &mut Html, section: &Section, entry: &Entry, number: usize, open: bool) {
    let holds = !entry.fields.is_empty() || !entry.remarks.is_empty() || !entry.reports.is_empty();
    html.raw("<details class=\"entry ").raw(entry.tone.class()).raw("\" id=\"e");
    html.number(number as i64).raw(if open && holds { "\" open>" } else { "\">" });
    html.raw("<summary>");
    head(html, entry);
    html.raw("</summary><div class=\"body\">");
    entry.reports.iter().for_each(|one| report(html, one));
    let is_new = |field: &FieldChange| field.before.is_none() && field.by.is_none();
    let left = match entry.fields.iter().all(is_new) && entry.fields.len() > 1 {
        true => made(html, &entry.fields),
        false => {
            fitting(html, &entry.fields, |html, field| write_field(html, section.sides, field))
        }
    };
    if left > 0 {
        html.raw("<p class=\"muted\">").number(left as i64).raw(" more fields</p>");
    }
    if !entry.remarks.is_empty() {
        html.raw("<dl class=\"remarks\">");
        for (word, text) in &entry.remarks {
            html.raw("<div><dt>").text(word).raw("</dt><dd>").text(text).raw("</dd></div>");
        }
        html.raw("</dl>");
    }
    if !holds {
        html.raw("<p class=\"muted\">There is nothing more to say of it.</p>");
    }
    html.raw("</div></details>");
}

/// Writes only the line of an entry.
pub(super) fn write_line(html: &mut Html, entry: &Entry, number: usize) {
    html.raw("<div class=\"entry\" id=\"e").number(number as i64).raw("\"><div class=\"line\">");
    head(html, entry);
    html.raw("</div></div>");
}

fn head(html: &mut Html, entry: &Entry) {
    html.raw("<span class=\"chip ").raw(entry.tone.class());
    html.raw("\"><span aria-hidden=\"true\">").text(entry.sign).raw("</span> ");
    html.text(&entry.word).raw("</span> <code class=\"address\">");
    if let Some(address) = &entry.address {
        html.text(&address.to_string());
    }
    html.raw("</code> <span class=\"aside\"><span class=\"stack\">").text(&entry.stack);
    html.raw("</span>");
    if !entry.aside.is_empty() {
        html.raw(" · ").text(&entry.aside);
    }
    html.raw("</span>");
}

/// Writes a message with what is behind it and what to do.
pub(super) fn report(html: &mut Html, one: &Report) {
    // That a hostname is open is worse than its level says: the run goes on with it.
    let level = if is_exposure(one) { "exposed" } else { level_name(one.level) };
    html.raw("<div class=\"report ").raw(level).raw("\"><p><strong>").raw(level);
    if let Some(code) = one.code.as_ref().filter(|code| *code != level) {
        html.raw(" <code>").text(code).raw("</code>");
    }
    html.raw("</strong> ");
    if let Some(address) = one.address.as_ref().map(ToString::to_string)
        && !one.message.contains(&address)
    {
        html.raw("<code>").text(&address).raw("</code> ");
    }
    html.text(&one.message).raw("</p>");
    if let Some(place) = &one.location {
        html.raw("<p class=\"muted\"><code>").text(&place.to_string()).raw("</code></p>");
    }
    if let Some(line) = &one.source_line {
        html.raw("<pre>").text(line).raw("</pre>");
    }
    for (word, texts) in [("cause", &one.causes), ("hint", &one.hints)] {
        for text in texts.iter().take(CAUSES) {
            let text = head_of(text);
            html.raw("<p class=\"muted\">").raw(word).raw(": ").text(&text).raw("</p>");
        }
        if texts.len() > CAUSES {
            html.raw("<p class=\"muted\">").number((texts.len() - CAUSES) as i64);
            html.raw(" more</p>");
        }
    }
    html.raw("</div>");
}

/// Writes as many fields as there is room for; how many are left.
fn fitting(
    html: &mut Html,
    fields: &[FieldChange],
    mut write: impl FnMut(&mut Html, &FieldChange),
) -> usize {
    let mut shown = 0;
    for field in fields.iter().take(FIELDS) {
        if html.len() > ENTRY {
            break;
        }
        write(html, field);
        shown += 1;
    }
    fields.len() - shown
}

/// The fields of something that was not there; how many are left.
fn made(html: &mut Html, fields: &[FieldChange]) -> usize {
    html.raw("<table class=\"made\"><tbody>");
    let left = fitting(html, fields, |html, field| {
        html.raw("<tr><th scope=\"row\"><code>").text(&field.path).raw("</code></th><td>");
        html.text(&field.after.as_ref().map(|value| head_of(&shown(value))).unwrap_or_default());
        html.raw("</td></tr>");
    });
    html.raw("</tbody></table>");
    left
}

fn write_field(html: &mut Html, names: (&'static str, &'static str), field: &FieldChange) {
    html.raw("<table class=\"sides\"><caption><code>");
    html.text(if field.path.is_empty() { "(all)" } else { &field.path }).raw("</code></caption>");
    html.raw("<thead><tr><th scope=\"col\">").raw(names.0).raw("</th><th scope=\"col\">");
    html.raw(names.1).raw("</th></tr></thead><tbody>");
    let (before, after) = (field.before.as_ref().map(shown), field.after.as_ref().map(shown));
    match (&before, &after) {
        (Some(before), Some(after)) => {
            for row in rows(before, after) {
                write_row(html, &row);
            }
        }
        (Some(text), None) => alone(html, text, true),
        (None, Some(text)) => alone(html, text, false),
        (None, None) => {}
    }
    html.raw("</tbody></table>");
    let since = field.since.as_deref().map(moment);
    let by = written(&FieldChange { since, ..field.clone() });
    for text in by.iter().chain(&field.note) {
        html.raw("<p class=\"muted\">").text(text).raw("</p>");
    }
}

/// A value that only one side has.
fn alone(html: &mut Html, text: &str, is_old: bool) {
    html.raw("<tr>");
    if !is_old {
        html.raw("<td class=\"none\">not there</td>");
    }
    html.raw(if is_old { "<td class=\"old\">" } else { "<td class=\"new\">" });
    html.text(&head_of(text)).raw("</td>");
    if is_old {
        html.raw("<td class=\"none\">not there</td>");
    }
    html.raw("</tr>");
}

fn write_row(html: &mut Html, row: &Row) {
    match row {
        Row::Same(line) => {
            html.raw("<tr class=\"same\"><td>").text(line).raw("</td><td>").text(line);
            html.raw("</td></tr>");
        }
        Row::Pair(before, after) => {
            html.raw("<tr>");
            for (class, pieces) in [("old", before), ("new", after)] {
                match pieces {
                    Some(pieces) => side(html, class, pieces),
                    None => drop(html.raw("<td class=\"blank\"></td>")),
                }
            }
            html.raw("</tr>");
        }
        Row::Gap(number) => {
            html.raw("<tr class=\"gap\"><td colspan=\"2\">").number(*number as i64);
            html.raw(" unchanged lines</td></tr>");
        }
        Row::Rest(number) => {
            html.raw("<tr class=\"gap\"><td colspan=\"2\">").number(*number as i64);
            html.raw(" more lines that were not compared here</td></tr>");
        }
    }
}

fn side(html: &mut Html, class: &'static str, pieces: &[Piece]) {
    let (open, close) = if class == "old" { ("<del>", "</del>") } else { ("<ins>", "</ins>") };
    html.raw("<td class=\"").raw(class).raw("\">");
    for piece in pieces {
        match piece.marked {
            true => html.raw(open).text(&piece.text).raw(close),
            false => html.text(&piece.text),
        };
    }
    html.raw("</td>");
}

/// A masked value as text: in one line, or in several where it is long.
fn shown(value: &Json) -> String {
    if let Json::String(text) = value
        && text.contains('\n')
    {
        return text.clone();
    }
    let line = compact(value);
    let is_nested = value.is_array() || value.is_object() && Special::of(value).is_none();
    match is_nested && width(&line) > LONG {
        true => in_lines(value).unwrap_or(line),
        false => line,
    }
}

/// A list or a map in lines.
fn in_lines(value: &Json) -> Option<String> {
    let told: Result<Json, std::convert::Infallible> =
        map_special(value, &mut |special| match special {
            Special::Unknown(reference) => {
                Ok(format!("(known after {})", reference.address).into())
            }
            Special::Secret(_) | Special::Text(_) => Ok(SECRET.into()),
        });
    let Ok(told) = told;
    serde_json::to_string_pretty(&told).ok()
}
