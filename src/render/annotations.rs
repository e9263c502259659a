//! Workflow commands that show what was found at its place in the files of a pull request.
//!
//! What GitHub takes, and how texts are escaped, is in its documentation of workflow commands; a
//! step shows ten errors, ten warnings and ten notices.

use std::path::Path;

use super::RenderOptions;
use super::applied::{Applied, Became};
use super::drift::{DriftView, entry, is_exposure};
use super::human::drift_words;
use super::text::clean;
use crate::model::error::{Level, Report};
use crate::model::plan::Plan;
use crate::model::resource::Location;

/// How many of a level a step shows.
const SHOWN: usize = 10;
/// How much a message says, in characters.
const LONGEST: usize = 2_000;

/// What the reader does with one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Error,
    Warning,
    Notice,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Error => "error",
            Kind::Warning => "warning",
            Kind::Notice => "notice",
        }
    }
}

struct Annotation {
    kind: Kind,
    place: Option<Location>,
    title: String,
    message: String,
}

/// What drifted, as errors; what is acknowledged, as notices. `root` is the way from the
/// repository's root to the project.
pub fn drift(view: &DriftView, root: &Path) -> String {
    let mut all = of_reports(view.checks.iter());
    let options = RenderOptions { width: 100, ..RenderOptions::default() };
    let place = |stack: &str, address| view.places.get(&(stack.to_owned(), address)).cloned();
    let found = view.by_weight().into_iter().map(|(stack, one)| Annotation {
        kind: Kind::Error,
        place: place(stack, one.address.clone()),
        title: format!("{} {}", drift_words(one.kind).1, one.address),
        message: unindented(&entry(one, &options)),
    });
    all.extend(found);
    all.extend(view.acknowledged.iter().map(|(stack, one, said)| Annotation {
        kind: Kind::Notice,
        place: place(stack, one.address.clone()),
        title: format!("acknowledged: {} {}", drift_words(one.kind).1, one.address),
        message: format!("until {}: {}", said.until, said.reason),
    }));
    lines(all, root, "drift")
}

/// What a plan has to tell beside its changes.
pub fn plan(plan: &Plan, root: &Path) -> String {
    lines(of_reports(plan.stacks.iter().flat_map(|stack| &stack.checks)), root, "plan")
}

/// What failed in an apply, and what else there was to tell.
pub fn applied(applied: &Applied<'_>, root: &Path) -> String {
    let failed = applied.steps(|became| matches!(became, Became::Failed(_)));
    let reports = failed.into_iter().filter_map(|(_, change, became)| match became {
        Became::Failed(report) => Some(Report {
            location: report.location.clone().or_else(|| change.location.clone()),
            ..(**report).clone()
        }),
        Became::Done | Became::Waiting(_) | Became::Left => None,
    });
    let mut all = of_reports(reports.collect::<Vec<_>>().iter());
    all.extend(of_reports(applied.reports()));
    lines(all, root, "apply")
}

/// What kept a command from its result.
pub fn failed(command: &str, reports: &[Report], root: &Path) -> String {
    lines(of_reports(reports.iter()), root, command)
}

fn of_reports<'a>(reports: impl Iterator<Item = &'a Report>) -> Vec<Annotation> {
    let told = reports.filter(|report| report.level > Level::Note);
    told.map(|report| {
        let more = report.causes.iter().chain(&report.hints);
        let lines: Vec<&str> =
            std::iter::once(&report.message).chain(more).map(String::as_str).collect();
        let about = report.address.as_ref().map(ToString::to_string);
        let title = [report.code.clone(), about].into_iter().flatten().collect::<Vec<_>>();
        Annotation {
            kind: match report.level {
                Level::Error => Kind::Error,
                Level::Warning if is_exposure(report) => Kind::Error,
                Level::Warning | Level::Note => Kind::Warning,
            },
            place: report.location.clone(),
            title: title.join(" "),
            message: lines.join("\n"),
        }
    })
    .collect()
}

/// The entry without what only a terminal wants.
fn unindented(entry: &str) -> String {
    let lines = entry.lines().map(|line| line.strip_prefix("      ").unwrap_or(line).trim_end());
    lines.collect::<Vec<_>>().join("\n").trim().to_owned()
}

/// One line each, worst first; of each kind as many as are shown, the last of which counts the rest.
fn lines(mut all: Vec<Annotation>, root: &Path, command: &str) -> String {
    all.sort_by_key(|one| one.kind);
    let mut out = String::new();
    for kind in [Kind::Error, Kind::Warning, Kind::Notice] {
        let of_kind: Vec<&Annotation> = all.iter().filter(|one| one.kind == kind).collect();
        let shown = if of_kind.len() > SHOWN { SHOWN - 1 } else { of_kind.len() };
        of_kind[..shown].iter().for_each(|one| out.push_str(&line(one, root)));
        if shown < of_kind.len() {
            let rest = of_kind.len() - shown;
            let message = format!("{rest} more: `boxctl {command}` shows all of them");
            let more = Annotation { kind, place: None, title: String::new(), message };
            out.push_str(&line(&more, root));
        }
    }
    out
}

fn line(one: &Annotation, root: &Path) -> String {
    let mut properties = Vec::new();
    if let Some(place) = &one.place {
        properties.push(format!("file={}", property(&from_root(root, &place.file))));
        properties.push(format!("line={}", place.line));
        properties.push(format!("col={}", place.column));
    }
    if !one.title.is_empty() {
        let title: String = one.title.chars().take(200).collect();
        properties.push(format!("title={}", property(&title)));
    }
    let mut message: String = one.message.chars().take(LONGEST).collect();
    if message.len() < one.message.len() {
        message.push('…');
    }
    let blank = if properties.is_empty() { "" } else { " " };
    format!("::{}{blank}{}::{}\n", one.kind.name(), properties.join(","), data(&message))
}

/// The way to a file from the repository's root, without `.` and `..` where they can be resolved.
fn from_root(root: &Path, file: &str) -> String {
    let mut parts: Vec<std::ffi::OsString> = Vec::new();
    for part in root.join(file).components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir if parts.last().is_some_and(|last| last != "..") => {
                parts.pop();
            }
            other => parts.push(other.as_os_str().to_owned()),
        }
    }
    let path: std::path::PathBuf = parts.iter().collect();
    path.to_string_lossy().into_owned()
}

/// Text after the last `::`.
fn data(text: &str) -> String {
    clean(text).replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Text between the command's name and the last `::`.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn what_drifted_is_at_its_place_in_the_files() {
        let text = drift(&samples::view(), Path::new("infra/prod/.."));
        insta::assert_snapshot!(text);
        for line in text.lines() {
            assert!(["::error ", "::warning ", "::notice "].iter().any(|is| line.starts_with(is)));
        }
        for secret in samples::SECRETS {
            assert!(!text.contains(secret), "{secret}");
        }
    }

    #[test]
    fn texts_end_no_command() {
        let report = Report::error("50%\n::error::x\r").code("a,b:c").at(Some(Location {
            file: "../a:b,c.yaml".to_owned(),
            line: 3,
            column: 5,
        }));
        assert_eq!(
            failed("plan", &[report], Path::new("x/y")),
            "::error file=x/a%3Ab%2Cc.yaml,line=3,col=5,title=a%2Cb%3Ac::50%25%0A:\u{200b}:error::x\u{fffd}\n"
        );
        let bare = Report::warning("", "w");
        let text = failed("plan", &[Report { code: None, ..bare }], Path::new(""));
        assert_eq!(text, "::warning::w\n");
    }

    #[test]
    fn a_step_shows_ten_of_a_kind_and_they_are_what_matters() {
        let text = drift(&samples::large_view(2_000), Path::new(""));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 10);
        assert!(lines[0].contains("last.example.org is open to everyone"), "{}", lines[0]);
        assert!(lines[1].contains("title=missing access_application.r1999"), "{}", lines[1]);
        assert_eq!(lines[9], "::error::1992 more: `boxctl drift` shows all of them");
    }
}
