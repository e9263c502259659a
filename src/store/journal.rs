//! The journal's lines: one record each, checksummed, the last of which a crash may have torn.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::backend::Durable;
use super::error::StoreError;
use super::standing::Standing;
use crate::model::journal::{Entry, FORMAT_VERSION, Journal, JournalError, Numbered};

const HEAD: &str = "{\"record\":";
const MIDDLE: &str = ",\"sum\":\"";
const TAIL: &str = "\"}";
const SUM_DIGITS: usize = 16;

/// A record as a line, newline included.
pub(super) fn line(record: &Numbered) -> Result<String, serde_json::Error> {
    let text = serde_json::to_string(record)?;
    let sum = sum(&text);
    Ok(format!("{HEAD}{text}{MIDDLE}{sum}{TAIL}\n"))
}

fn sum(text: &str) -> String {
    let mut digest = String::new();
    for byte in Sha256::digest(text.as_bytes()).iter().take(SUM_DIGITS / 2) {
        digest.push_str(&format!("{byte:02x}"));
    }
    digest
}

/// The record of a line without its newline, or what is wrong with it.
fn parse(line: &[u8]) -> Result<Numbered, String> {
    let line = std::str::from_utf8(line).map_err(|_| "it is not UTF-8".to_owned())?;
    let body = line
        .strip_prefix(HEAD)
        .and_then(|rest| rest.strip_suffix(TAIL))
        .ok_or("it is not a whole record")?;
    let (text, stated) = body.rsplit_once(MIDDLE).ok_or("it has no checksum")?;
    if stated != sum(text) {
        return Err("its checksum does not fit".to_owned());
    }
    serde_json::from_str(text).map_err(|error| format!("it is no record: {error}"))
}

/// What a journal's file holds.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Text {
    /// The whole records.
    pub records: Vec<Numbered>,
    /// How many bytes they take: what follows is a torn tail.
    pub whole: usize,
    /// Whether something follows them.
    pub torn: bool,
}

impl Text {
    /// The records of a file, less a torn tail: a last line without newline or without a fitting
    /// checksum was being written when the process ended, so nobody was told that it is durable.
    pub(super) fn read(path: &Path, content: &[u8]) -> Result<Text, StoreError> {
        let mut text = Text::default();
        let lines = content.split_inclusive(|byte| *byte == b'\n');
        for (number, bytes) in (1..).zip(lines) {
            let last = text.whole + bytes.len() == content.len();
            let record = match bytes.strip_suffix(b"\n") {
                Some(line) => parse(line),
                None => Err("it is not a whole line".to_owned()),
            };
            let damaged =
                |reason| StoreError::Damaged { path: path.to_owned(), line: number, reason };
            match record {
                Ok(record) => {
                    check_version(path, &record)?;
                    text.check_order(&record).map_err(damaged)?;
                    text.records.push(record);
                    text.whole += bytes.len();
                }
                Err(_) if last => text.torn = true,
                Err(reason) => return Err(damaged(reason)),
            }
        }
        Ok(text)
    }

    fn check_order(&self, record: &Numbered) -> Result<(), String> {
        match (self.records.last(), &record.entry) {
            (None, Entry::Begin { .. }) => Ok(()),
            (None, _) => Err("a journal's first line says which state it continues".to_owned()),
            (Some(_), Entry::Begin { .. }) => {
                Err("only a journal's first line says which state it continues".to_owned())
            }
            (Some(before), _) if record.number == before.number + 1 => Ok(()),
            (Some(before), _) => {
                Err(format!("record {} follows record {}", record.number, before.number))
            }
        }
    }

    /// The number of the last record.
    pub(super) fn last(&self) -> Option<u64> {
        self.records.last().map(|record| record.number)
    }
}

fn check_version(path: &Path, record: &Numbered) -> Result<(), StoreError> {
    match record.entry {
        Entry::Begin { format_version, .. } if format_version > FORMAT_VERSION => {
            let (found, known) = (u64::from(format_version), FORMAT_VERSION);
            Err(StoreError::Newer { path: path.to_owned(), found, known })
        }
        _ => Ok(()),
    }
}

/// A journal of these entries, the first of which has that number.
pub(super) fn text(path: &Path, entries: Vec<Entry>, first: u64) -> Result<String, StoreError> {
    let mut content = String::new();
    for (number, entry) in (first..).zip(entries) {
        let text = line(&Numbered { number, entry })
            .map_err(|error| StoreError::Write { path: path.to_owned(), source: error.into() })?;
        content.push_str(&text);
    }
    Ok(content)
}

/// The journal of a stack: each record durable before `append` returns. After a write that failed,
/// nothing is written any more: what is there after it is not known.
pub struct StoreJournal {
    path: PathBuf,
    file: Box<dyn Durable>,
    next: u64,
    broken: bool,
    /// What is known of the lock, where another run can take it over.
    standing: Option<Arc<Standing>>,
}

impl std::fmt::Debug for StoreJournal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreJournal")
            .field("path", &self.path)
            .field("next", &self.next)
            .field("broken", &self.broken)
            .finish_non_exhaustive()
    }
}

impl StoreJournal {
    pub(super) fn over(path: &Path, file: Box<dyn Durable>, next: u64) -> StoreJournal {
        StoreJournal { path: path.to_owned(), file, next, broken: false, standing: None }
    }

    /// The same, as long as a lock stands.
    pub(super) fn under(self, standing: Option<Arc<Standing>>) -> StoreJournal {
        StoreJournal { standing, ..self }
    }

    fn write(&mut self, entry: Entry) -> io::Result<u64> {
        if self.broken {
            return Err(io::Error::other("an earlier record could not be written"));
        }
        let number = self.next;
        let text = line(&Numbered { number, entry })?;
        self.broken = true;
        if let Some(standing) = &self.standing {
            standing.check().map_err(io::Error::other)?;
        }
        self.file.add(text.as_bytes())?;
        self.file.sync()?;
        // It may have stood still while the answer was on its way.
        if let Some(standing) = &self.standing {
            standing.assure().map_err(io::Error::other)?;
        }
        self.broken = false;
        self.next += 1;
        Ok(number)
    }
}

impl Journal for StoreJournal {
    fn append(&mut self, entry: Entry) -> Result<u64, JournalError> {
        self.write(entry).map_err(|source| {
            let inner = source.get_ref().and_then(|inner| inner.downcast_ref::<StoreError>());
            match inner {
                Some(inner @ (StoreError::Moved { .. } | StoreError::Replaced { .. })) => {
                    JournalError::Replaced(inner.to_string())
                }
                _ => JournalError::Unwritten { path: self.path.display().to_string(), source },
            }
        })
    }
}
