//! The texts that were read, and what is wrong with them, by file, line and column.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::model::error::{Level, Report};
use crate::model::resource::Location;

/// A place in one of the sources. Lines and columns count from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mark {
    /// Which source, as [`Diagnostics::add`] numbered it.
    pub source: usize,
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
    /// How many characters are meant.
    pub width: usize,
}

/// Which values of a source's lines are hidden when a line is shown.
#[derive(Debug, Default)]
struct Masks {
    /// Everything.
    all: bool,
    /// First and last line of documents with secrets.
    documents: Vec<(usize, usize)>,
    /// How many characters of a line in such a document may be shown: up to the end of its key.
    keys: BTreeMap<usize, usize>,
}

struct Source {
    name: String,
    lines: Vec<String>,
    masks: Masks,
}

/// Collects what is wrong, and keeps the texts to show the lines from.
#[derive(Default)]
pub(super) struct Diagnostics {
    sources: Vec<Source>,
    reports: Vec<(Option<Mark>, Report)>,
}

impl Diagnostics {
    /// Takes a text in, under the name that reports call it by.
    pub fn add(&mut self, name: &str, text: &str) -> usize {
        let lines = text.lines().map(str::to_owned).collect();
        self.sources.push(Source { name: name.to_owned(), lines, masks: Masks::default() });
        self.sources.len() - 1
    }

    /// Hides every line of a source.
    pub fn mask_all(&mut self, source: usize) {
        if let Some(source) = self.sources.get_mut(source) {
            source.masks.all = true;
        }
    }

    /// Shows the lines of a source again that [`Diagnostics::mask_all`] hid.
    pub fn unmask_all(&mut self, source: usize) {
        if let Some(source) = self.sources.get_mut(source) {
            source.masks.all = false;
        }
    }

    /// Hides the values between two lines.
    pub fn mask_document(&mut self, source: usize, first: usize, last: usize) {
        if let Some(source) = self.sources.get_mut(source) {
            source.masks.documents.push((first, last));
        }
    }

    /// Says that the key at `mark` may be shown in a hidden line.
    pub fn show_key(&mut self, mark: Mark) {
        if let Some(source) = self.sources.get_mut(mark.source) {
            source.masks.keys.entry(mark.line).or_insert(mark.column - 1 + mark.width);
        }
    }

    /// Where a mark is, for people.
    pub fn location(&self, mark: Mark) -> Option<Location> {
        let source = self.sources.get(mark.source)?;
        Some(Location { file: source.name.clone(), line: mark.line, column: mark.column })
    }

    /// The name of a source.
    pub fn name(&self, source: usize) -> &str {
        self.sources.get(source).map(|source| source.name.as_str()).unwrap_or_default()
    }

    /// A line as it stands, from 1.
    pub fn line(&self, source: usize, line: usize) -> Option<&str> {
        self.sources.get(source)?.lines.get(line.checked_sub(1)?).map(String::as_str)
    }

    /// The place where `text` stands in the value at `mark`, as far as it can be found.
    pub fn find(&self, mark: Mark, text: &str) -> Mark {
        const FAR: usize = 500;
        let width = text.chars().count().max(1);
        for line in mark.line..mark.line + FAR {
            let Some(content) = self.line(mark.source, line) else { break };
            let skip = if line == mark.line { mark.column.saturating_sub(1) } else { 0 };
            let start = content.char_indices().nth(skip).map_or(content.len(), |(at, _)| at);
            if let Some(at) = content[start..].find(text) {
                let column = content[..start + at].chars().count() + 1;
                return Mark { source: mark.source, line, column, width };
            }
        }
        mark
    }

    /// Adds a report, at a place where there is one.
    pub fn push(&mut self, mark: Option<Mark>, report: Report) {
        let known = self
            .reports
            .iter()
            .any(|(m, r)| *m == mark && r.message == report.message && r.address == report.address);
        if !known {
            self.reports.push((mark, report));
        }
    }

    /// Adds an error at a place.
    pub fn error(&mut self, mark: Mark, message: impl Into<String>) {
        self.push(Some(mark), Report::error(message));
    }

    /// Adds an error at a place, with advice.
    pub fn error_hint(
        &mut self,
        mark: Mark,
        message: impl Into<String>,
        hint: Option<impl Into<String>>,
    ) {
        let report = Report::error(message);
        self.push(Some(mark), hint.into_iter().fold(report, |report, hint| report.hint(hint)));
    }

    /// How many reports there are, to be given to [`Diagnostics::forget_since`].
    pub fn count(&self) -> usize {
        self.reports.len()
    }

    /// Whether an error was added after that count.
    pub fn failed_since(&self, count: usize) -> bool {
        self.reports.iter().skip(count).any(|(_, report)| report.level == Level::Error)
    }

    /// Drops the reports after that count.
    pub fn forget_since(&mut self, count: usize) {
        self.reports.truncate(count);
    }

    /// Takes away warnings whose code is in `accepted`, of those after that count.
    pub fn accept_since(&mut self, count: usize, accepted: &BTreeMap<String, String>) {
        let later = self.reports.split_off(count.min(self.reports.len()));
        self.reports.extend(later.into_iter().filter(|(_, report)| {
            report.level != Level::Warning
                || !report.code.as_ref().is_some_and(|code| accepted.contains_key(code))
        }));
    }

    /// Keeps, of the reports after that count, those at a place in one of the files or with a hint
    /// that names one.
    pub fn keep_about_since(&mut self, count: usize, files: &BTreeSet<&str>) {
        let later = self.reports.split_off(count.min(self.reports.len()));
        let kept = later.into_iter().filter(|(mark, report)| {
            mark.is_some_and(|mark| files.contains(self.name(mark.source)))
                || report
                    .hints
                    .iter()
                    .any(|hint| files.iter().any(|file| hint.contains(&format!("{file}:"))))
        });
        let kept: Vec<_> = kept.collect();
        self.reports.extend(kept);
    }

    /// Every report, with its line, sorted by file, line and column; those without a place first.
    pub fn finish(mut self) -> Vec<Report> {
        let reports = std::mem::take(&mut self.reports);
        let mut out: Vec<Report> = reports
            .into_iter()
            .map(|(mark, mut report)| {
                if let Some(mark) = mark {
                    report.location = self.location(mark);
                    let (line, width) = self.shown(mark);
                    report.source_line = line;
                    report.width = width;
                }
                report
            })
            .collect();
        out.sort_by(|a, b| a.location.cmp(&b.location));
        out
    }

    /// The line at a mark as it may be shown, and how much of it is marked.
    fn shown(&self, mark: Mark) -> (Option<String>, usize) {
        const MASK: &str = "(secret)";
        let Some(source) = self.sources.get(mark.source) else { return (None, mark.width) };
        let Some(line) = self.line(mark.source, mark.line) else { return (None, mark.width) };
        let masks = &source.masks;
        let hidden =
            masks.all || masks.documents.iter().any(|(a, b)| (*a..=*b).contains(&mark.line));
        if !hidden {
            return (Some(line.to_owned()), mark.width.max(1));
        }
        let shown = masks.keys.get(&mark.line).copied().unwrap_or_else(|| {
            line.chars().take_while(|c| c.is_whitespace()).count().min(mark.column - 1)
        });
        let head: String = line.chars().take(shown).collect();
        let text = if masks.keys.contains_key(&mark.line) {
            format!("{head}: {MASK}")
        } else {
            format!("{head}{MASK}")
        };
        let width = if mark.column <= shown { mark.width.max(1) } else { 1 };
        (Some(text), width)
    }
}

/// A path below the project as reports call it: relative, with `/`.
pub(super) fn shown_path(dir: &Path, path: &Path) -> String {
    let text = path.strip_prefix(dir).unwrap_or(path).to_string_lossy();
    if text.is_empty() { ".".to_owned() } else { text.replace('\\', "/") }
}

/// The name nearest to a misspelt one, if one is near.
pub(super) fn nearest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    names
        .into_iter()
        .map(|known| {
            let distance = strsim::damerau_levenshtein(&lower, &known.to_lowercase());
            let similar = strsim::jaro_winkler(&lower, &known.to_lowercase());
            (distance, similar, known)
        })
        .filter(|(distance, similar, known)| {
            let length = known.chars().count().max(name.chars().count());
            *distance * 3 <= length || (*similar > 0.88 && length > 3)
        })
        .min_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)))
        .map(|(_, _, known)| known)
}

/// Advice that names the nearest of the valid names, or all of them where they are few.
pub(super) fn suggestion<'a>(
    name: &str,
    names: impl IntoIterator<Item = &'a str> + Clone,
) -> Option<String> {
    if let Some(near) = nearest(name, names.clone()) {
        return Some(format!("did you mean `{near}`?"));
    }
    let all: Vec<&str> = names.into_iter().collect();
    match all.len() {
        0 => None,
        1..=12 => Some(format!("there is: {}", all.join(", "))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_suggested_only_when_it_is_near() {
        let names = ["hostname", "origin", "tunnel", "access"];
        for (given, near) in [
            ("hostnme", Some("hostname")),
            ("orgin", Some("origin")),
            ("Acess", Some("access")),
            ("zzz", None),
        ] {
            assert_eq!(nearest(given, names), near, "{given}");
        }
    }

    #[test]
    fn a_hidden_line_shows_its_key_only() {
        let mut diagnostics = Diagnostics::default();
        let source = diagnostics.add("a.yaml", "kind: Secret\ndata:\n  pass: aHVudGVyMg==\n");
        diagnostics.mask_document(source, 1, 3);
        diagnostics.show_key(Mark { source, line: 3, column: 3, width: 4 });
        diagnostics.error(Mark { source, line: 3, column: 9, width: 12 }, "bad");
        let reports = diagnostics.finish();
        assert_eq!(reports[0].source_line.as_deref(), Some("  pass: (secret)"));
        assert_eq!(reports[0].width, 1);
    }
}
