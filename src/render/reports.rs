//! Reports as text, in the manner of rustc: what, where, the source line, what is behind it, what
//! to do next.

use std::collections::BTreeSet;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level as Mark, Origin, Renderer, Snippet};

use super::RenderOptions;
use super::text::{Palette, clean, columns, hanging, paint, wrap};
use crate::model::error::{Level, Report};

/// A report as text, ending in a line break.
pub fn report(report: &Report, options: &RenderOptions) -> String {
    let palette = Palette::of(options);
    let mut out = match report.location {
        Some(_) => located(report, options),
        None => unlocated(report, options),
    };
    for cause in &report.causes {
        out.push_str(&hanging(
            "  cause: ",
            &format!("  {} ", paint(palette.bold, "cause:")),
            &clean(cause),
            columns(options),
        ));
    }
    for hint in &report.hints {
        out.push_str(&hanging(
            "  hint: ",
            &format!("  {} ", paint(palette.hint, "hint:")),
            &clean(hint),
            columns(options),
        ));
    }
    out
}

/// What reports of many objects come to as one, by their code.
const AS_ONE: [(&str, &str); 2] = [
    ("adopt", "objects are there already, as the files say"),
    (Report::UNREADABLE, "resources could not be read, and are left out"),
];
/// From how many on.
const MANY: usize = 3;

/// The same reports, with those as one that say the same of many objects: what is only to be taken
/// over is one decision, and a service that is away is one reason.
pub(super) fn gathered<'a>(all: impl IntoIterator<Item = &'a Report>) -> Vec<Report> {
    let mut out: Vec<Report> = Vec::new();
    let mut alike: Vec<(usize, &str, Vec<&Report>)> = Vec::new();
    for one in all {
        let says = AS_ONE.iter().find(|(code, _)| one.code.as_deref() == Some(*code));
        let Some((_, says)) = says.filter(|_| one.address.is_some()) else {
            out.push(one.clone());
            continue;
        };
        let same = |(_, text, found): &&mut (usize, &str, Vec<&Report>)| {
            text == says && found.iter().all(|other| other.causes == one.causes)
        };
        match alike.iter_mut().find(same) {
            Some((_, _, found)) => found.push(one),
            None => alike.push((out.len(), says, vec![one])),
        }
    }
    for (at, says, found) in alike.into_iter().rev() {
        let Some(first) = found.first().filter(|_| found.len() >= MANY) else {
            out.splice(at..at, found.into_iter().cloned());
            continue;
        };
        let names = found.iter().filter_map(|one| one.address.as_ref()).map(ToString::to_string);
        let mut whole = (*first).clone();
        whole.message = format!("{} {says}", found.len());
        (whole.address, whole.location, whole.source_line) = (None, None, None);
        whole.causes.push(format!("they are {}", names.collect::<Vec<_>>().join(", ")));
        out.insert(at, whole);
    }
    out
}

/// Several reports, a blank line between them. What ails one reading often ails them all: the same
/// advice to reports that are about no place in a file is given once.
pub fn reports(all: &[Report], options: &RenderOptions) -> String {
    let mut given: BTreeSet<&String> = BTreeSet::new();
    let mut texts = Vec::new();
    for one in all {
        let mut shown = one.clone();
        if one.location.is_none() {
            shown.hints = one.hints.iter().filter(|hint| given.insert(*hint)).cloned().collect();
        }
        texts.push(report(&shown, options));
    }
    texts.join("\n")
}

/// `error`, `warning`, `note`.
pub(super) fn level_name(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Note => "note",
    }
}

/// The message, led by the address where it does not name it.
fn title(report: &Report) -> String {
    let message = clean(&report.message);
    match &report.address {
        Some(address) if !message.contains(&address.to_string()) => format!("{address}: {message}"),
        _ => message,
    }
}

fn unlocated(report: &Report, options: &RenderOptions) -> String {
    let palette = Palette::of(options);
    let style = match report.level {
        Level::Error => palette.error,
        Level::Warning => palette.warning,
        Level::Note => palette.note,
    };
    let name = match &report.code {
        Some(code) => format!("{}[{}]", level_name(report.level), clean(code)),
        None => level_name(report.level).to_owned(),
    };
    let painted = format!("{}{} ", paint(style, &name), paint(palette.bold, ":"));
    // A whole message is easier to read at the left edge than under a long head.
    let text = hanging("  ", "  ", &format!("{name}: {}", title(report)), columns(options) + 2);
    let text = text.trim_start().replacen(&format!("{name}: "), &painted, 1);
    format!("{}\n", text.trim_end())
}

/// With place and source line.
fn located(report: &Report, options: &RenderOptions) -> String {
    let Some(location) = &report.location else { return String::new() };
    let level = match report.level {
        Level::Error => Mark::ERROR,
        Level::Warning => Mark::WARNING,
        Level::Note => Mark::NOTE,
    };
    let code = report.code.as_deref().map(clean).unwrap_or_default();
    let head = level_name(report.level).len() + code.len() + 4;
    let title = wrap(&title(report), columns(options).saturating_sub(head)).join("\n");
    let mut head = level.primary_title(title.as_str());
    if !code.is_empty() {
        head = head.id(code.as_str());
    }
    let source = report.source_line.as_deref().map(clean);
    let label = report.label.as_deref().map(clean);
    let group: Group<'_> = match &source {
        Some(line) if !line.trim().is_empty() => {
            let span = span(line, location.column, report.width);
            let mark = AnnotationKind::Primary.span(span).label(label.as_deref());
            head.element(
                Snippet::source(line.as_str())
                    .line_start(location.line)
                    .path(location.file.as_str())
                    .annotation(mark),
            )
        }
        _ => head.element(
            Origin::path(location.file.as_str()).line(location.line).char_column(location.column),
        ),
    };
    let renderer = if options.color { Renderer::styled() } else { Renderer::plain() };
    let text =
        renderer.term_width(columns(options)).decor_style(DecorStyle::Ascii).render(&[group]);
    format!("{}\n", text.trim_end())
}

/// The bytes of a line that a column (from 1, in characters) and a width mean; never outside it.
fn span(line: &str, column: usize, width: usize) -> std::ops::Range<usize> {
    let at = |characters: usize| {
        line.char_indices().nth(characters).map_or(line.len(), |(index, _)| index)
    };
    let start = column.saturating_sub(1);
    at(start)..at(start.saturating_add(width.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::address::Address;
    use crate::model::resource::Location;

    fn located(column: usize, width: usize) -> Report {
        Report {
            width,
            source_line: Some("    origin: http://トンネル:80 # x".to_owned()),
            label: Some("no such service".to_owned()),
            ..Report::error("creating tunnel.openhands failed")
        }
        .at(Some(Location { file: "stacks/a.yaml".to_owned(), line: 12, column }))
        .about(&Address::new("tunnel", "openhands"))
        .cause(
            "Cloudflare POST /accounts/a/cfd_tunnel answered 409 (code 1013): You already have \
                a tunnel with this name [request 8f2]",
        )
        .hint("take it over with `adopt: true`")
    }

    #[test]
    fn a_report_shows_the_line_and_what_to_do() {
        let text = report(&located(13, 15), &RenderOptions::default());
        insta::assert_snapshot!(text);
    }

    #[test]
    fn a_report_without_a_place_has_its_code_and_address() {
        let one = Report::warning("two-owners", "Argo CD keeps it too")
            .about(&Address::new("tunnel", "a"))
            .hint("\x1b[2J");
        assert_eq!(
            report(&one, &RenderOptions::default()),
            "warning[two-owners]: tunnel.a: Argo CD keeps it too\n  hint: \u{fffd}[2J\n"
        );
        let long = Report::note("one two three ".repeat(10));
        let text = report(&long, &RenderOptions { width: 40, ..RenderOptions::default() });
        assert!(text.lines().all(|line| line.len() <= 40), "{text}");
    }

    #[test]
    fn a_place_outside_the_line_does_no_harm() {
        for (column, width) in [(0, 0), (99, 5), (38, 500)] {
            let text = report(&located(column, width), &RenderOptions::default());
            assert!(text.contains("stacks/a.yaml:12"), "{text}");
        }
        let mut bare = located(3, 1);
        bare.source_line = None;
        let text = report(&bare, &RenderOptions::default());
        assert!(text.contains("--> stacks/a.yaml:12:3"), "{text}");
    }
}
