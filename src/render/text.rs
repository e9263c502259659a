//! Columns, colours and tables.

use anstyle::{AnsiColor, Style};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::RenderOptions;

/// The least width that anything is laid out for.
const NARROWEST: usize = 40;

/// Columns that a text takes.
pub(super) fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// The text in at most `columns` columns, with `…` where something was cut off.
pub(super) fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > columns {
            break;
        }
        out.push(c);
    }
    out.push('…');
    out
}

/// The text with blanks up to `columns` columns.
pub(super) fn pad(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

/// The text without characters that would move a terminal's cursor or colour it, and without what
/// would be a command to those who run jobs and read their logs. Line breaks stay.
pub(super) fn clean(text: &str) -> String {
    let bidi = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let text: String = text
        .chars()
        .map(|c| match c {
            '\n' => '\n',
            '\t' => ' ',
            c if c.is_control() || bidi(c) => '\u{fffd}',
            c => c,
        })
        .collect();
    match text.contains("::") || text.contains("##[") {
        true => without_commands(&text),
        false => text,
    }
}

/// The text with something that is not to be seen in what GitHub's runner takes for its commands in
/// whatever a job prints: `::name …::` at the start of a line, `##[name]` anywhere. Lines may be
/// broken at blanks later, so each word may come to start one.
fn without_commands(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("::") {
        let (before, after) = (&rest[..at], &rest[at + 2..]);
        out.push_str(before);
        let starts = out.chars().next_back().is_none_or(char::is_whitespace);
        let named = after.starts_with(|c: char| c.is_ascii_alphabetic());
        let ends = after.lines().next().is_some_and(|line| line.contains("::"));
        out.push_str(if starts && named && ends { ":\u{200b}:" } else { "::" });
        rest = after;
    }
    out.push_str(rest);
    out.replace("##[", "##\u{200b}[")
}

/// Broken at blanks into lines of at most `columns` columns; words that are longer stay whole.
pub(super) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let indent: String = paragraph.chars().take_while(|c| *c == ' ').collect();
        let mut line = indent.clone();
        for word in paragraph.split(' ').filter(|word| !word.is_empty()) {
            let begun = line.len() > indent.len();
            if begun && width(&line) + 1 + width(word) > columns {
                lines.push(std::mem::replace(&mut line, indent.clone()));
            } else if begun {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    lines
}

/// Lines of a wrapped text after a head; further lines stand under the first.
pub(super) fn hanging(head: &str, painted: &str, text: &str, columns: usize) -> String {
    let indent = width(head);
    let lines = wrap(text, columns.saturating_sub(indent).max(20));
    let mut out = String::new();
    for (i, line) in lines.iter().enumerate() {
        match i {
            0 => out.push_str(painted),
            _ => out.push_str(&" ".repeat(indent)),
        }
        out.push_str(line);
        out.push('\n');
    }
    out
}

/// The styles of the output: all plain where no colour is wanted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Palette {
    pub bold: Style,
    pub dim: Style,
    pub add: Style,
    pub change: Style,
    pub remove: Style,
    pub take: Style,
    pub error: Style,
    pub warning: Style,
    pub note: Style,
    pub hint: Style,
}

impl Palette {
    pub(super) fn of(options: &RenderOptions) -> Palette {
        if !options.color {
            return Palette::default();
        }
        let color = |color: AnsiColor| Style::new().fg_color(Some(color.into()));
        Palette {
            bold: Style::new().bold(),
            dim: Style::new().dimmed(),
            add: color(AnsiColor::Green),
            change: color(AnsiColor::Yellow),
            remove: color(AnsiColor::Red),
            take: color(AnsiColor::Cyan),
            error: color(AnsiColor::Red).bold(),
            warning: color(AnsiColor::Yellow).bold(),
            note: color(AnsiColor::Blue).bold(),
            hint: color(AnsiColor::Cyan).bold(),
        }
    }
}

/// The text in a style.
pub(super) fn paint(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

/// The width to lay out for.
pub(super) fn columns(options: &RenderOptions) -> usize {
    options.width.max(NARROWEST)
}

/// Rows under a heading, columns aligned, the last one cut to the width.
pub(super) fn table(heading: &[&str], rows: &[Vec<String>], options: &RenderOptions) -> String {
    let palette = Palette::of(options);
    let count = heading.len();
    let mut widths: Vec<usize> = heading.iter().map(|text| width(text)).collect();
    // A long cell pushes the rest of its own line only.
    let widest = columns(options) / 2;
    for row in rows {
        for (column, cell) in widths.iter_mut().zip(row) {
            *column = (*column).max(width(cell).min(widest));
        }
    }
    let line = |cells: &[String]| {
        let mut text = String::new();
        for (i, (cell, column)) in cells.iter().zip(&widths).enumerate() {
            match i + 1 == count {
                true => text.push_str(cell),
                false => text.push_str(&format!("{}  ", pad(cell, *column))),
            }
        }
        cut(text.trim_end(), columns(options))
    };
    let heading: Vec<String> = heading.iter().map(|text| (*text).to_owned()).collect();
    let mut out = format!("{}\n", paint(palette.bold, line(&heading)));
    for row in rows {
        out.push_str(&line(row));
        out.push('\n');
    }
    out
}

/// `1 request`, `2 requests`.
pub(super) fn count(number: u64, one: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        _ => format!("{number} {one}s"),
    }
}

/// A time (RFC 3339) as people read it; what is none stays as it is.
pub(super) fn moment(text: &str) -> String {
    match text.parse::<jiff::Timestamp>() {
        Ok(at) => at.strftime("%Y-%m-%d %H:%M UTC").to_string(),
        Err(_) => text.to_owned(),
    }
}

/// `0.4s`, `12s`, `3m 04s`.
pub(super) fn duration(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    match seconds {
        0..10 => format!("{seconds}.{}s", milliseconds % 1000 / 100),
        10..60 => format!("{seconds}s"),
        _ => format!("{}m {:02}s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_characters_take_two_columns() {
        assert_eq!(cut("トンネル", 8), "トンネル");
        assert_eq!(cut("トンネルx", 8), "トンネ…");
        assert_eq!(pad("トン", 6), "トン  ");
        let rows = vec![vec!["トン".to_owned(), "x".to_owned()]];
        assert_eq!(table(&["A", "B"], &rows, &RenderOptions::default()), "A     B\nトン  x\n");
    }

    #[test]
    fn texts_are_wrapped_at_blanks() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("a\n  b c", 4), ["a", "  b", "  c"]);
        assert_eq!(
            hanging("x: ", "x: ", "one two three four five", 24),
            "x: one two three four\n   five\n"
        );
    }

    #[test]
    fn a_text_from_outside_moves_no_cursor() {
        assert_eq!(clean("a\x1b[31mb\nc\u{202e}"), "a\u{fffd}[31mb\nc\u{fffd}");
    }

    #[test]
    fn a_text_from_outside_is_no_command_to_a_runner() {
        for (text, cleaned) in [
            ("a\n  ::error::x", "a\n  :\u{200b}:error::x"),
            ("::add-mask::x y", ":\u{200b}:add-mask::x y"),
            ("say ::stop-commands::z", "say :\u{200b}:stop-commands::z"),
            ("x ##[error]y", "x ##\u{200b}[error]y"),
            ("std::fs::write", "std::fs::write"),
            ("::1 fe80::a ::ffff:192.0.2.1", "::1 fe80::a ::ffff:192.0.2.1"),
        ] {
            assert_eq!(clean(text), cleaned);
        }
    }

    #[test]
    fn durations_are_short() {
        assert_eq!(moment("2026-11-20T08:12:44+09:00"), "2026-11-19 23:12 UTC");
        assert_eq!(moment("yesterday"), "yesterday");
        let texts = [0, 420, 1_250, 12_300, 184_000].map(duration);
        assert_eq!(texts, ["0.0s", "0.4s", "1.2s", "12s", "3m 04s"]);
    }
}
