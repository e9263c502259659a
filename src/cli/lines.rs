//! Puts the source line to reports that know where something was asked for.

use std::path::{Path, PathBuf};

use crate::model::error::Report;
use crate::model::event::Event;

/// Reads lines of a project's files.
#[derive(Clone, Debug)]
pub struct Lines {
    dir: PathBuf,
}

impl Lines {
    /// Lines of the files of that project.
    pub fn of(dir: &Path) -> Self {
        Lines { dir: dir.to_path_buf() }
    }

    /// The report with its source line, if it has a place and no line yet. Files with Secrets in
    /// them are not shown.
    pub fn fill(&self, report: &mut Report) {
        let Some(location) = &report.location else { return };
        if report.source_line.is_some() {
            return;
        }
        let Ok(text) = std::fs::read_to_string(self.dir.join(&location.file)) else { return };
        let is_secret = |line: &str| {
            line.trim_start_matches(['-', ' ', '{', '"'])
                .strip_prefix("kind")
                .is_some_and(|rest| rest.trim_matches(['"', ':', ' ', ',', '}', '\'']) == "Secret")
        };
        if text.lines().any(is_secret) {
            return;
        }
        let Some(line) = text.lines().nth(location.line.saturating_sub(1)) else { return };
        let start = location.column.saturating_sub(1);
        let word = |c: &char| !c.is_whitespace() && *c != ':' && *c != ',';
        report.width = line.chars().skip(start).take_while(word).count().max(1);
        report.source_line = Some(line.to_owned());
    }

    /// The event with the source line of its report, if it has one.
    pub fn fill_event(&self, event: &mut Event) {
        if let Event::StepFailed { report, .. } | Event::Told { report } = event {
            self.fill(report);
        }
    }
}
