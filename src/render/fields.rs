//! Differences of fields as lines: old → new, line by line for texts of several lines.

use similar::{ChangeTag, TextDiff};

use super::RenderOptions;
use super::mask::{Mask, compact};
use super::text::{Palette, clean, columns, cut, paint, width};
use crate::model::Json;
use crate::model::change::FieldChange;

/// Where fields begin.
const INDENT: usize = 6;
/// How many unchanged lines are shown around changed ones.
const CONTEXT: usize = 2;

/// The lines of a field that differs.
pub(super) fn field_change(field: &FieldChange, mask: Mask, options: &RenderOptions) -> String {
    let (before, after) = mask.field(field);
    let path = match field.path.is_empty() {
        true => "(all)".to_owned(),
        false => clean(&field.path),
    };
    let mut out = match (&before, &after) {
        (Some(Json::String(a)), Some(Json::String(b))) if a.contains('\n') || b.contains('\n') => {
            text_diff(&path, a, b, options)
        }
        (Some(a), Some(b)) => both_sides(&path, &compact(a), &compact(b), options),
        (None, Some(b)) => one_side(&path, "+", b, options),
        (Some(a), None) => one_side(&path, "-", a, options),
        (None, None) => format!("{}{path}\n", " ".repeat(INDENT)),
    };
    out.push_str(&remarks(field, options));
    out
}

/// The line of a field of something that is made.
pub(super) fn field(path: &str, value: &Json, options: &RenderOptions) -> String {
    let head = format!("{}{}: ", " ".repeat(INDENT), clean(path));
    match value {
        Json::String(text) if text.contains('\n') => block(&head, "", text, options),
        _ => value_line(&head, &clean(&compact(value)), anstyle::Style::new(), options),
    }
}

fn both_sides(path: &str, before: &str, after: &str, options: &RenderOptions) -> String {
    let palette = Palette::of(options);
    let (before, after) = (clean(before), clean(after));
    let indent = " ".repeat(INDENT);
    let line = format!("{indent}{path}: {before} → {after}");
    if width(&line) <= columns(options) {
        let (before, after) = (paint(palette.remove, before), paint(palette.add, after));
        return format!("{indent}{path}: {before} → {after}\n");
    }
    let room = columns(options).saturating_sub(INDENT + 4);
    if width(&before) + width(&after) + 3 <= room {
        let (before, after) = (paint(palette.remove, before), paint(palette.add, after));
        return format!("{indent}{path}:\n{indent}    {before} → {after}\n");
    }
    let (before, after) = around_difference(&before, &after, room);
    format!(
        "{indent}{path}:\n{indent}    {}\n{indent}  → {}\n",
        paint(palette.remove, before),
        paint(palette.add, after)
    )
}

/// Two long values cut to the room there is, so that the place where they differ is to be seen.
fn around_difference(before: &str, after: &str, room: usize) -> (String, String) {
    let longest = width(before).max(width(after));
    if longest <= room {
        return (before.to_owned(), after.to_owned());
    }
    let same = before.chars().zip(after.chars()).take_while(|(a, b)| a == b).count();
    let skip = match same > room / 3 {
        true => same - room / 3,
        false => 0,
    };
    let side = |text: &str| match skip {
        0 => cut(text, room),
        _ => {
            let rest: String = text.chars().skip(skip).collect();
            format!("…{}", cut(&rest, room.saturating_sub(1)))
        }
    };
    (side(before), side(after))
}

fn one_side(path: &str, sign: &str, value: &Json, options: &RenderOptions) -> String {
    let palette = Palette::of(options);
    let style = match sign {
        "+" => palette.add,
        _ => palette.remove,
    };
    let head = format!("{}{sign} {path}: ", " ".repeat(INDENT));
    match value {
        Json::String(text) if text.contains('\n') => block(&head, sign, text, options),
        _ => value_line(&head, &clean(&compact(value)), style, options),
    }
}

/// A value after its path, or under it where there is no room.
pub(super) fn value_line(
    head: &str,
    value: &str,
    style: anstyle::Style,
    options: &RenderOptions,
) -> String {
    if width(head) + width(value) <= columns(options) {
        return format!("{head}{}\n", paint(style, value));
    }
    let indented = head.len() - head.trim_start().len() + 4;
    let indent = " ".repeat(indented);
    let value = cut(value, columns(options).saturating_sub(indented));
    format!("{}\n{indent}{}\n", head.trim_end(), paint(style, value))
}

/// A text of several lines under its path.
fn block(head: &str, sign: &str, text: &str, options: &RenderOptions) -> String {
    const SHOWN: usize = 12;
    let palette = Palette::of(options);
    let style = match sign {
        "+" => palette.add,
        "-" => palette.remove,
        _ => palette.dim,
    };
    let indent = " ".repeat(INDENT + 4);
    let mut out = format!("{}\n", head.trim_end());
    let lines: Vec<&str> = text.lines().collect();
    let shown = if options.verbose { lines.len() } else { SHOWN };
    for line in lines.iter().take(shown) {
        let line = cut(&clean(line), columns(options).saturating_sub(indent.len()));
        out.push_str(&indented(&indent, line.trim_end(), style));
    }
    if lines.len() > shown {
        let more = format!("… {} more lines (-v shows them)", lines.len() - shown);
        out.push_str(&format!("{indent}{}\n", paint(palette.dim, more)));
    }
    out
}

fn text_diff(path: &str, before: &str, after: &str, options: &RenderOptions) -> String {
    let palette = Palette::of(options);
    let indent = " ".repeat(INDENT + 2);
    let room = columns(options).saturating_sub(indent.len() + 2);
    let mut out = format!("{}{path}:\n", " ".repeat(INDENT));
    let diff = TextDiff::from_lines(before, after);
    for (i, group) in diff.grouped_ops(CONTEXT).iter().enumerate() {
        if i > 0 {
            out.push_str(&format!("{indent}  …\n"));
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let (sign, style) = match change.tag() {
                ChangeTag::Equal => (" ", palette.dim),
                ChangeTag::Delete => ("-", palette.remove),
                ChangeTag::Insert => ("+", palette.add),
            };
            let text = clean(change.value().trim_end_matches(['\n', '\r']));
            let line = format!("{sign} {}", cut(&text, room));
            out.push_str(&indented(&indent, line.trim_end(), style));
        }
    }
    out
}

fn indented(indent: &str, line: &str, style: anstyle::Style) -> String {
    match line.is_empty() {
        true => "\n".to_owned(),
        false => format!("{indent}{}\n", paint(style, line)),
    }
}

/// Who wrote what is there, and when, as far as the service said.
pub(super) fn written(field: &FieldChange) -> Option<String> {
    // What is missing has no id any more.
    let verb = if field.path == "id" && field.after.is_none() { "deleted" } else { "written" };
    match (&field.by, &field.since) {
        (Some(by), Some(since)) => Some(format!("{verb} by {by}, {since}")),
        (Some(by), None) => Some(format!("{verb} by {by}")),
        (None, Some(since)) => Some(format!("{verb} {since}")),
        (None, None) => None,
    }
}

/// Who wrote what is there, and what else there is to know.
fn remarks(field: &FieldChange, options: &RenderOptions) -> String {
    let palette = Palette::of(options);
    let indent = INDENT + 2;
    let mut remarks: Vec<String> = written(field).into_iter().collect();
    remarks.extend(field.note.clone());
    remarks
        .iter()
        .flat_map(|remark| {
            super::text::wrap(&clean(remark), columns(options).saturating_sub(indent + 2))
                .into_iter()
                .enumerate()
                .map(move |(i, line)| {
                    let sign = if i == 0 { "^ " } else { "  " };
                    let line = paint(palette.dim, format!("{sign}{line}"));
                    format!("{}{line}\n", " ".repeat(indent))
                })
                .collect::<Vec<_>>()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::address::Address;
    use serde_json::json;

    fn shown(path: &str, before: Json, after: Json, width: usize) -> String {
        let mask = Mask::of(&Address::new("x", "y"), None);
        let field = FieldChange::new(path, Some(before), Some(after));
        field_change(&field, mask, &RenderOptions { width, ..RenderOptions::default() })
    }

    #[test]
    fn long_values_show_where_they_differ() {
        let long = |end: &str| json!(format!("docker.io/{}:{end}", "x".repeat(90)));
        let text = shown("image", long("1.0"), long("1.1"), 60);
        assert!(text.lines().all(|line| width(line) <= 60), "{text}");
        assert!(text.contains(":1.0\"") && text.contains(":1.1\""), "{text}");
        let wide = shown("名", json!("トンネル".repeat(20)), json!("橋".repeat(50)), 80);
        assert!(wide.lines().all(|line| width(line) <= 80), "{wide}");
    }

    #[test]
    fn texts_of_several_lines_are_compared_by_line() {
        let text = shown("data.conf", json!("a\nb\nc\nd\ne\nf\n"), json!("a\nb\nc\nD\ne\nf\n"), 80);
        let said = "      data.conf:\n          b\n          c\n        - d\n        + D\n          \
                    e\n          f\n";
        assert_eq!(text, said);
    }
}
