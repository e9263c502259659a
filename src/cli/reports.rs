//! Where a command tells its result beside stdout: comments, pages, annotations, metrics.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::{Args, ValueEnum};

use crate::model::error::{Exit, Report, Stop};
use crate::model::plan::Plan;
use crate::render::applied::Applied;
use crate::render::drift::DriftView;
use crate::render::{annotations, markdown, page, prometheus};

use super::session::Session;
use super::ui::Ui;

/// Whose annotations are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Annotations {
    /// GitHub's workflow commands, on stderr.
    Github,
}

/// Where else a result goes.
#[derive(Clone, Debug, Default, Args)]
pub struct ReportArgs {
    /// Also write a comment for a pull request or an issue; may be given several times. What
    /// GITHUB_STEP_SUMMARY names is appended to
    #[arg(long, value_name = "FILE")]
    pub markdown: Vec<PathBuf>,
    /// Also write one page of HTML that needs nothing else
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Also show what was found at its place in the files
    #[arg(long, value_enum, value_name = "WHOSE")]
    pub annotations: Option<Annotations>,
}

/// What a command writes beside its result.
pub struct Outputs<'a> {
    command: &'static str,
    args: &'a ReportArgs,
    prometheus: Option<&'a Path>,
    began: Instant,
    /// Whether a result was told.
    told: Cell<bool>,
}

impl<'a> Outputs<'a> {
    /// Of a command that begins now.
    pub fn new(
        command: &'static str,
        args: &'a ReportArgs,
        prometheus: Option<&'a Path>,
    ) -> Outputs<'a> {
        Outputs { command, args, prometheus, began: Instant::now(), told: Cell::new(false) }
    }

    /// The project, opened; that it could not be is told everywhere.
    ///
    /// # Errors
    /// What it was opened to.
    pub fn opened(&self, ui: &Ui, opened: Result<Session, Stop>) -> Result<Session, Stop> {
        if let Err(stop) = &opened {
            self.failed(ui, None, stop);
        }
        opened
    }

    /// How the command ended; that it did not come to a result is told everywhere.
    ///
    /// # Errors
    /// What it ended with.
    pub fn ended(
        &self,
        ui: &Ui,
        session: &Session,
        ended: Result<Exit, Stop>,
    ) -> Result<Exit, Stop> {
        if let Err(stop) = &ended
            && !self.told.get()
        {
            self.failed(ui, Some(session), stop);
        }
        ended
    }

    fn failed(&self, ui: &Ui, session: Option<&Session>, stop: &Stop) {
        let (name, dir) = match session {
            Some(session) => (session.project.name.as_str(), session.dir.as_path()),
            None => ("", Path::new("")),
        };
        if self.args.annotations.is_some() {
            ui.tell(&annotations::failed(self.command, &stop.reports, &from_root(dir)));
        }
        let mut written = self.comments(|| markdown::failed(self.command, name, &stop.reports));
        written = written.and(self.page(|| page::failed(self.command, name, &stop.reports)));
        written = written.and(self.metrics(name, self.elapsed_ms(), None));
        if let Err(stop) = written {
            ui.reports(&stop.reports);
        }
    }

    /// What drifted.
    ///
    /// # Errors
    /// A file can't be written.
    pub fn drift(&self, ui: &Ui, session: &Session, view: &DriftView) -> Result<(), Stop> {
        self.told.set(true);
        if self.args.annotations.is_some() {
            ui.tell(&annotations::drift(view, &from_root(&session.dir)));
        }
        // All are tried: who reads one has nothing of an error in another.
        let metrics = self.metrics(&view.project, view.elapsed_ms, Some(view));
        let comments = self.comments(|| markdown::drift(view));
        let page = self.page(|| page::drift(view));
        metrics.and(comments).and(page)
    }

    /// What an apply would do.
    ///
    /// # Errors
    /// A file can't be written.
    pub fn plan(&self, ui: &Ui, session: &Session, plan: &Plan) -> Result<(), Stop> {
        self.told.set(true);
        if self.args.annotations.is_some() {
            ui.tell(&annotations::plan(plan, &from_root(&session.dir)));
        }
        let comments = self.comments(|| markdown::plan(plan));
        let page = self.page(|| page::plan(plan));
        comments.and(page)
    }

    /// What an apply came to. What can't be written is told, and an error.
    pub fn applied(&self, ui: &Ui, session: &Session, applied: &Applied<'_>) -> Exit {
        self.told.set(true);
        if self.args.annotations.is_some() {
            ui.tell(&annotations::applied(applied, &from_root(&session.dir)));
        }
        let comments = self.comments(|| markdown::applied(applied));
        let page = self.page(|| page::applied(applied));
        match comments.and(page) {
            Ok(()) => Exit::Done,
            Err(stop) => {
                ui.reports(&stop.reports);
                stop.exit
            }
        }
    }

    fn comments(&self, text: impl FnOnce() -> String) -> Result<(), Stop> {
        if self.args.markdown.is_empty() {
            return Ok(());
        }
        let text = text();
        let summary = std::env::var_os("GITHUB_STEP_SUMMARY").map(PathBuf::from);
        let write = |path: &PathBuf| match summary.as_ref() == Some(path) {
            true => told(path, append(path, &text)),
            false => told(path, replace(path, &text)),
        };
        let results: Vec<Result<(), Stop>> = self.args.markdown.iter().map(write).collect();
        results.into_iter().collect()
    }

    fn page(&self, text: impl FnOnce() -> String) -> Result<(), Stop> {
        let Some(path) = &self.args.html else { return Ok(()) };
        told(path, replace(path, &text()))
    }

    fn metrics(
        &self,
        project: &str,
        elapsed_ms: u64,
        found: Option<&DriftView>,
    ) -> Result<(), Stop> {
        let Some(path) = self.prometheus else { return Ok(()) };
        // What can't be read says nothing of earlier runs.
        let before = std::fs::read_to_string(path).ok();
        let at = jiff::Timestamp::now();
        let before = before.as_deref();
        let run = prometheus::Run { project, at, elapsed_ms, found, before };
        told(path, replace(path, &prometheus::file(&run)))
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

fn told(path: &Path, written: io::Result<()>) -> Result<(), Stop> {
    written.map_err(|error| {
        Stop::error(Report::error(format!("{} could not be written", path.display())).cause(error))
    })
}

/// Writes a file that others read at any time: they see all of it or what was there before. It can
/// be read by whom the user's files can. What is no file, like `/dev/stdout`, is written to.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    // Through a link: what it leads to is replaced, not the link.
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let there = std::fs::metadata(&path).ok();
    if there.as_ref().is_some_and(|there| !there.is_file()) {
        return append(&path, text);
    }
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".boxctl-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(dir)?;
    file.write_all(text.as_bytes())?;
    if let Some(there) = there {
        file.as_file().set_permissions(there.permissions())?;
    }
    file.as_file().sync_all()?;
    file.persist(&path).map_err(|error| error.error)?;
    Ok(())
}

/// Writes to the end of what is there.
fn append(path: &Path, text: &str) -> io::Result<()> {
    File::options().append(true).create(true).open(path)?.write_all(text.as_bytes())
}

/// The way from the repository's root to the project, as GitHub counts it: its workspace's, else
/// the working directory's.
fn from_root(project: &Path) -> PathBuf {
    let whole = |path: &Path| std::fs::canonicalize(path).ok();
    let root = std::env::var_os("GITHUB_WORKSPACE").map(PathBuf::from);
    let root = root.or_else(|| std::env::current_dir().ok());
    let (Some(root), Some(project)) = (root.and_then(|root| whole(&root)), whole(project)) else {
        return PathBuf::new();
    };
    project.strip_prefix(&root).map(Path::to_path_buf).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_can_be_read_as_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("drift.prom");
        replace(&path, "first").unwrap();
        replace(&path, "second").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "second");
        append(&path, " and third").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "second and third");
        let left = std::fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(left, 1, "no temporary file stays");
        assert!(replace(&dir.path().join("none/x"), "").is_err());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
            let plain = dir.path().join("plain");
            std::fs::write(&plain, "").unwrap();
            assert_eq!(mode(&path), mode(&plain), "as any file of the user's");
            let link = dir.path().join("link");
            std::os::unix::fs::symlink(&path, &link).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
            replace(&link, "fourth").unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), "fourth");
            assert_eq!(mode(&path), 0o640);
            assert!(link.is_symlink());
        }
    }
}
