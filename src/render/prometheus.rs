//! What a look at drift found, as a file for the textfile collector of Prometheus' node exporter:
//! gauges of the last run, with its times. A run that could not look writes its times and that it
//! failed, so that a job that is blind does ring.

use std::fmt::Write as _;

use super::drift::{DriftView, exposures};
use crate::model::error::Level;
use crate::model::plan::Requests;

/// The name of the time of the last run.
const RUN: &str = "boxctl_drift_last_run_timestamp_seconds";
/// The name of the time of the last run that could read everything.
const SUCCESS: &str = "boxctl_drift_last_success_timestamp_seconds";

/// A run, looked at from outside.
#[derive(Clone, Debug)]
pub struct Run<'a> {
    /// The project's name; empty where not even that is known, which leaves that of the run before.
    pub project: &'a str,
    /// When it ended.
    pub at: jiff::Timestamp,
    /// How long it took, in milliseconds.
    pub elapsed_ms: u64,
    /// What it found; None where it could not look.
    pub found: Option<&'a DriftView>,
    /// What the run before wrote, where it did.
    pub before: Option<&'a str>,
}

impl Run<'_> {
    /// How many errors there were: what could not be read, or that nothing could.
    fn errors(&self) -> usize {
        let is = |view: &DriftView| {
            view.checks.iter().filter(|check| check.level == Level::Error).count()
        };
        self.found.map_or(1, is)
    }
}

/// The file's text, in Prometheus' text format.
pub fn file(run: &Run<'_>) -> String {
    let before = run.before.unwrap_or_default();
    let project = match run.project {
        // The series of the runs before go on, so that what watches them is not without any.
        "" => project_in(before).unwrap_or_default(),
        name => escaped(name),
    };
    let mut out = Out { text: String::new(), project };
    let seconds = |at: jiff::Timestamp| format!("{:.3}", at.as_millisecond() as f64 / 1_000.0);
    out.head("boxctl_build_info", "The version of boxctl that wrote this.");
    out.gauge("boxctl_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    if let Some(view) = run.found {
        counts(&mut out, view);
    }
    let requests = run.found.map(|view| view.requests);
    if let Some(Requests { cloudflare, ssm, kubernetes }) = requests {
        let name = "boxctl_drift_requests";
        out.head(name, "Requests that the last run sent, by API.");
        for (api, number) in [("cloudflare", cloudflare), ("ssm", ssm), ("kubernetes", kubernetes)]
        {
            out.gauge(name, &[("api", api)], number);
        }
    }
    let one = |out: &mut Out, name: &str, help: &str, value: String| {
        out.head(name, help);
        out.gauge(name, &[], value);
    };
    let errors = run.errors();
    let help = "What the last run could not read or do; 0 after a run that could read everything.";
    one(&mut out, "boxctl_drift_errors", help, errors.to_string());
    let took = format!("{:.3}", run.elapsed_ms as f64 / 1_000.0);
    one(&mut out, "boxctl_drift_duration_seconds", "How long the last run took.", took);
    one(&mut out, RUN, "When the last run ended, since the epoch.", seconds(run.at));
    let success = match errors {
        0 => seconds(run.at),
        // A run that never succeeded is to ring as well as one that does so no more.
        _ => out.value_in(before, SUCCESS).unwrap_or("0").to_owned(),
    };
    let help = "When a run last could read everything, since the epoch; 0 for never.";
    one(&mut out, SUCCESS, help, success);
    out.text
}

/// What was found.
fn counts(out: &mut Out, view: &DriftView) {
    let all: Vec<_> =
        view.stacks.iter().map(|name| (name.as_str(), view.counts(Some(name)))).collect();
    let name = "boxctl_drift_resources";
    out.head(name, "Resources that are not as they were recorded and not acknowledged.");
    for (stack, counts) in &all {
        let kinds =
            [("drifted", counts.drifted), ("missing", counts.missing), ("foreign", counts.foreign)];
        for (kind, number) in kinds {
            out.gauge(name, &[("stack", stack), ("kind", kind)], number);
        }
    }
    let name = "boxctl_drift_acknowledged_resources";
    out.head(name, "Resources whose drift is known and has not changed since.");
    all.iter()
        .for_each(|(stack, counts)| out.gauge(name, &[("stack", stack)], counts.acknowledged));
    let name = "boxctl_drift_pending_changes";
    out.head(name, "Changes that the files ask for and that were not applied yet.");
    all.iter().for_each(|(stack, counts)| out.gauge(name, &[("stack", stack)], counts.pending));
    let name = "boxctl_drift_in_progress";
    out.head(name, "Whether another run worked on the stack during the look: 1 if so.");
    for (stack, _) in &all {
        let is = view.in_progress.iter().any(|(name, _)| name == stack);
        out.gauge(name, &[("stack", stack)], u8::from(is));
    }
    let name = "boxctl_drift_exposed_hostnames";
    out.head(name, "Hostnames that are open although the files guard them.");
    out.gauge(name, &[], exposures(&view.checks).count());
}

struct Out {
    text: String,
    /// The project's name as the value of a label.
    project: String,
}

impl Out {
    fn head(&mut self, name: &str, help: &str) {
        // Writing to a text can't fail.
        let _ = write!(self.text, "# HELP {name} {help}\n# TYPE {name} gauge\n");
    }

    fn gauge(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let line = self.line(name, labels);
        let _ = writeln!(self.text, "{line} {value}");
    }

    fn line(&self, name: &str, labels: &[(&str, &str)]) -> String {
        let label = |(name, value): &(&str, &str)| format!(",{name}=\"{}\"", escaped(value));
        let more: String = labels.iter().map(label).collect();
        format!("{name}{{project=\"{}\"{more}}}", self.project)
    }

    /// The value of a metric of this project in another file's text.
    fn value_in<'t>(&self, text: &'t str, name: &str) -> Option<&'t str> {
        let start = self.line(name, &[]);
        let value = text.lines().find_map(|line| line.strip_prefix(&start))?.trim();
        value.parse::<f64>().ok().filter(|number| number.is_finite()).map(|_| value)
    }
}

/// The project that another file's text is of, as the value of a label.
fn project_in(text: &str) -> Option<String> {
    let start = format!("{RUN}{{project=\"");
    let rest = text.lines().find_map(|line| line.strip_prefix(&start))?;
    Some(rest.rsplit_once("\"}")?.0.to_owned())
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    fn run<'a>(found: Option<&'a DriftView>, before: Option<&'a str>) -> Run<'a> {
        let at = "2026-11-22T10:15:31.240Z".parse().unwrap();
        Run { project: "lo\"li\\ce", at, elapsed_ms: 1_240, found, before }
    }

    #[test]
    fn what_was_found_is_counted() {
        let text = file(&run(Some(&samples::view()), None));
        insta::assert_snapshot!(text);
        for secret in samples::SECRETS {
            assert!(!text.contains(secret), "{secret}");
        }
    }

    #[test]
    fn a_run_that_could_not_look_rings_and_remembers_the_last_that_could() {
        let good = file(&run(Some(&DriftView::default()), None));
        let bad = file(&run(None, Some(&good)));
        let line = |text: &str, name: &str| {
            let found = text.lines().find(|line| line.starts_with(name));
            found.unwrap_or_else(|| panic!("{name} is not in {text}")).to_owned()
        };
        assert_eq!(line(&bad, SUCCESS), line(&good, SUCCESS));
        assert!(line(&bad, SUCCESS).ends_with(" 1795342531.240"), "{bad}");
        assert!(line(&good, "boxctl_drift_errors").ends_with(" 0"));
        assert!(line(&bad, "boxctl_drift_errors").ends_with(" 1"));
        assert!(!bad.contains("boxctl_drift_resources"));
        let nameless = file(&Run { project: "", ..run(None, Some(&good)) });
        assert_eq!(nameless, bad, "it goes on with the project of the run before");
        let first = file(&Run { project: "", ..run(None, None) });
        assert!(first.contains("boxctl_drift_errors{project=\"\"} 1"), "{first}");
        for before in [None, Some("nonsense"), Some("boxctl_drift_errors 1")] {
            assert!(line(&file(&run(None, before)), SUCCESS).ends_with("} 0"));
        }
    }
}
