//! The request log: one JSON line a request, never a body.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;

use jiff::Timestamp;
use serde::Serialize;

use super::SandboxError;
use super::env::stamp;

/// One line.
#[derive(Debug, Serialize)]
pub struct Line<'a> {
    /// When the request came.
    pub time: String,
    /// `cloudflare`, `ssm`, `sts` or `kubernetes`.
    pub service: &'a str,
    /// HTTP method.
    pub method: &'a str,
    /// The path as it was sent; for AWS, the operation.
    pub path: &'a str,
    /// The query as it was sent.
    pub query: &'a str,
    /// HTTP status; 0 where the connection was closed without an answer.
    pub status: u16,
    /// It would change something.
    pub mutating: bool,
    /// It is a Kubernetes dry-run.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// What a planned fault did to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<&'a str>,
}

/// A log file that is appended to.
pub struct Log {
    file: Mutex<File>,
}

impl Log {
    /// Opens the file; it is made where it is missing.
    ///
    /// # Errors
    /// It can't be opened.
    pub fn open(path: &Path) -> Result<Log, SandboxError> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        let file = file.map_err(|source| SandboxError::Io { path: path.to_owned(), source })?;
        Ok(Log { file: Mutex::new(file) })
    }

    /// Appends one line in one write.
    pub fn write(&self, line: &Line<'_>) {
        let Ok(mut text) = serde_json::to_vec(line) else { return };
        text.push(b'\n');
        let Ok(mut file) = self.file.lock() else { return };
        if let Err(error) = file.write_all(&text) {
            tracing::warn!(%error, "the request log cannot be written");
        }
    }
}

/// The time of a line.
pub fn time() -> String {
    stamp(Timestamp::now())
}
