//! Where output goes: results to stdout, everything else to stderr; the only place that prints.

use std::io::{ErrorKind, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::model::Json;
use crate::model::error::{Exit, Report};
use crate::render::{self, RenderOptions};

static UNWRITTEN: AtomicBool = AtomicBool::new(false);

/// How the user wants output.
#[derive(Clone, Copy, Debug)]
pub struct Ui {
    /// Options of text on stdout.
    pub out: RenderOptions,
    /// Options of text on stderr.
    pub err: RenderOptions,
    /// Whether results are JSON.
    pub json: bool,
    /// Whether notes are left out.
    pub quiet: bool,
}

impl Ui {
    /// A result, to stdout.
    pub fn print(&self, text: &str) {
        let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        let mut out = std::io::stdout().lock();
        let written = out.write_all(text.as_bytes()).and_then(|()| out.write_all(end.as_bytes()));
        match written.and_then(|()| out.flush()) {
            // A closed pipe is the reader's decision, and no error of ours.
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                if !UNWRITTEN.swap(true, Ordering::SeqCst) {
                    self.reports(&[Report::error("the result could not be written").cause(error)]);
                }
            }
            Ok(()) | Err(_) => {}
        }
    }

    /// Whether a result was not written: who reads it has half of it, and must not take it for all.
    pub fn is_unwritten() -> bool {
        UNWRITTEN.load(Ordering::SeqCst)
    }

    /// A JSON result, to stdout.
    pub fn print_json(&self, value: &Json) {
        let text = serde_json::to_string_pretty(value).unwrap_or_default();
        self.print(&text);
    }

    /// Something else to tell, to stderr.
    pub fn tell(&self, text: &str) {
        let mut err = std::io::stderr().lock();
        let _ = err.write_all(text.as_bytes());
        if !text.is_empty() && !text.ends_with('\n') {
            let _ = err.write_all(b"\n");
        }
        let _ = err.flush();
    }

    /// A note, to stderr, unless the user wants quiet.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            self.tell(text);
        }
    }

    /// Reports, to stderr; with `--json` also as a document on stdout.
    pub fn reports(&self, reports: &[Report]) {
        if !reports.is_empty() {
            self.tell(&render::reports::reports(reports, &self.err));
        }
    }

    /// The end of a command that did not come to its result.
    pub fn stop(&self, exit: Exit, reports: &[Report]) {
        self.reports(reports);
        if self.json {
            self.print_json(&render::json::stop(exit, reports));
        }
    }

    /// Asks on the terminal; None where there is none to ask.
    pub fn ask(&self, question: &str) -> Option<String> {
        if !std::io::stdin().is_terminal() {
            return None;
        }
        let mut err = std::io::stderr().lock();
        let _ = err.write_all(question.as_bytes());
        let _ = err.flush();
        drop(err);
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).ok()?;
        Some(line.trim().to_owned())
    }
}
