//! What can go wrong with files of the store, and what to do about it.

use std::path::PathBuf;

use super::marks::Moving;
use crate::model::error::Report;
use crate::model::port::KeepError;

/// A file of the store that could not be read or written, or that can't be believed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The operating system refused a read.
    #[error("{} could not be read", path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The operating system refused a write.
    #[error("{} could not be written", path.display())]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not the JSON that it should be.
    #[error("{} is not a {what} that boxctl wrote", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// `state` or `plan`.
        what: &'static str,
        /// Where and why.
        source: serde_json::Error,
    },
    /// The file has the format of a newer boxctl.
    #[error(
        "{} has format version {found}; this boxctl knows versions up to {known}",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The version in the file.
        found: u64,
        /// The newest version that this program reads.
        known: u32,
    },
    /// A line of the journal that is not the last one is damaged.
    #[error("{}:{line} is damaged: {reason}", path.display())]
    Damaged {
        /// The journal.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The journal continues another state than the checkpoint beside it.
    #[error(
        "{} continues a state of lineage {found}, and {} has lineage {expected}",
        journal.display(),
        checkpoint.display()
    )]
    OtherLineage {
        /// The journal.
        journal: PathBuf,
        /// The checkpoint.
        checkpoint: PathBuf,
        /// The journal's lineage.
        found: String,
        /// The checkpoint's lineage.
        expected: String,
    },
    /// The journal continues a later checkpoint than the one beside it.
    #[error(
        "{} continues a checkpoint with records up to {after}, and {} has them up to {has} only",
        journal.display(),
        checkpoint.display()
    )]
    LaterCheckpoint {
        /// The journal.
        journal: PathBuf,
        /// The checkpoint.
        checkpoint: PathBuf,
        /// The number of the last record that the journal presumes.
        after: u64,
        /// The number of the last record in the checkpoint.
        has: u64,
    },
    /// The file is about another stack than its name says.
    #[error("{} is about the stack `{found}`, not `{expected}`", path.display())]
    OtherStack {
        /// The file.
        path: PathBuf,
        /// The stack in the file.
        found: String,
        /// The stack of the file's name.
        expected: String,
    },
    /// A checkpoint was asked for that lacks what the journal recorded.
    #[error(
        "the checkpoint of `{stack}` would lose records up to {recorded} of {}: it has them up to \
         {has} only",
        journal.display()
    )]
    Behind {
        /// The stack.
        stack: String,
        /// The journal.
        journal: PathBuf,
        /// The number of the journal's last record.
        recorded: u64,
        /// The number of the last record in the state.
        has: u64,
    },
    /// Another run has written there: the lock was taken over, or a file was put there by hand.
    #[error("{} was written by another run in the meantime", path.display())]
    Moved {
        /// Where it is.
        path: PathBuf,
    },
    /// Another run has the lock by now.
    #[error(
        "the lock of `{stack}` was taken over{}",
        by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default()
    )]
    Replaced {
        /// The stack, or what runs take turns at.
        stack: String,
        /// Who has it: command, user, host, since when.
        by: Option<String>,
    },
    /// The lock could not be renewed for so long that another run may have it by now.
    #[error("the lock of `{stack}` could not be renewed for {dead:?}: {reason}")]
    Unrenewed {
        /// The stack.
        stack: String,
        /// For how long.
        dead: std::time::Duration,
        /// Why.
        reason: String,
    },
    /// A shared place could not be read or written.
    #[error("{} could not be used", path.display())]
    Remote {
        /// The object.
        path: PathBuf,
        /// Why.
        source: KeepError,
    },
    /// A shared place does writes whose conditions do not hold.
    #[error("{} does not honour the conditions of writes", path.display())]
    Unconditional {
        /// The place.
        path: PathBuf,
    },
    /// The states are not in this place any more, or not yet.
    #[error(
        "the states {} {place} ({at})",
        match moving {
            Moving::Left => format!("of {} were moved to", path.display()),
            Moving::Leaving => format!("of {} are being moved to", path.display()),
            Moving::Arriving => format!("in {} are not whole: they are being moved from", path.display()),
        }
    )]
    Elsewhere {
        /// The place.
        path: PathBuf,
        /// Where it stands.
        moving: Moving,
        /// The other place.
        place: String,
        /// Since when (RFC 3339).
        at: String,
    },
    /// Two places have a state of the same stack.
    #[error("{} and {} both have a state of `{stack}`", from.display(), to.display())]
    Both {
        /// The stack.
        stack: String,
        /// Where it was to be moved from.
        from: PathBuf,
        /// Where it was to be moved to.
        to: PathBuf,
    },
    /// A sealed document that can't be opened.
    #[error("{} can't be opened: {reason}", path.display())]
    Sealed {
        /// The document.
        path: PathBuf,
        /// What is wrong.
        reason: &'static str,
    },
    /// A name that can't be the name of a stack's file.
    #[error("`{0}` can't be the name of a stack: letters, digits, `-` and `_` are what it is of")]
    Name(String),
}

impl StoreError {
    /// This as a report: what is behind it, and what to do next.
    pub fn report(&self) -> Report {
        let mut report = Report::error(self.to_string());
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            report = report.cause(cause);
            source = cause.source();
        }
        if let StoreError::Remote { source: KeepError { hint: Some(hint), .. }, .. } = self {
            report = report.hint(hint);
        }
        match self.advice() {
            Some(advice) => report.hint(advice),
            None => report,
        }
    }

    fn advice(&self) -> Option<&'static str> {
        Some(match self {
            StoreError::Newer { .. } => "use the boxctl that wrote it, or a newer one",
            StoreError::Damaged { .. } => {
                "a disk or an editor changed it: put the file back from a backup; boxctl guesses \
                 nothing of what it recorded"
            }
            StoreError::OtherLineage { .. } => {
                "one of the two was copied here from elsewhere: put back the pair that belongs \
                 together"
            }
            StoreError::LaterCheckpoint { .. } => {
                "the state file is older than the journal: put the newer state file back (earlier \
                 ones are under history/)"
            }
            StoreError::OtherStack { .. } => {
                "the file was renamed by hand: `renamed_from` in the stack file renames a stack"
            }
            StoreError::Malformed { what: "plan", .. } => "make a new one with `boxctl plan --out`",
            StoreError::Malformed { .. } => {
                "put it back from a backup; earlier checkpoints are under history/"
            }
            StoreError::Moved { .. } | StoreError::Replaced { .. } => {
                "this run stood still for so long that another one took over: it sends nothing \
                 more; plan again when the other has ended"
            }
            StoreError::Unrenewed { .. } => {
                "run it again when the place of the states can be reached: it goes on from what is \
                 recorded"
            }
            StoreError::Unconditional { .. } => {
                "two runs would overwrite one another there: choose a store that knows If-Match \
                 and If-None-Match"
            }
            StoreError::Elsewhere { moving: Moving::Left, .. } => {
                "let `state:` in boxctl.yaml say where they are; `boxctl state migrate` moves them \
                 back"
            }
            StoreError::Elsewhere { .. } => {
                "run that `boxctl state migrate` again: it goes on, and ends it"
            }
            StoreError::Both { .. } => {
                "one of them is not wanted: look at both with `boxctl state list`, and remove the \
                 other"
            }
            StoreError::Sealed { .. } => {
                "set the variable that `state.encryption` names to the key that it was sealed with"
            }
            StoreError::Remote { .. } => return None,
            StoreError::Write { source, .. } => return of_disk(source.kind()),
            StoreError::Read { .. } | StoreError::Behind { .. } | StoreError::Name(_) => {
                return None;
            }
        })
    }
}

/// What to do where a file can't be written.
fn of_disk(kind: std::io::ErrorKind) -> Option<&'static str> {
    use std::io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    match kind {
        StorageFull | QuotaExceeded => {
            Some("make room there, then run it again: it goes on from what is recorded")
        }
        PermissionDenied | ReadOnlyFilesystem => {
            Some("a run that changes something has to write there; plan and drift need not")
        }
        _ => None,
    }
}
