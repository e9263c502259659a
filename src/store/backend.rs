//! What the store asks of the place where its documents are kept.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::claims::Claims;
use super::error::StoreError;
use super::lock::{Lock, LockError, LockInfo};
use crate::model::port::{Expected, Turn};

/// A document as it was found.
#[derive(Clone, Debug)]
pub(super) struct Document {
    /// What is in it.
    pub content: Vec<u8>,
    /// What a write has to expect that is to replace just this.
    pub expected: Expected,
}

/// Something that can be made durable.
pub(super) trait Durable: Send {
    /// Adds all bytes.
    fn add(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Returns when everything added is durable.
    fn sync(&mut self) -> io::Result<()>;
}

/// Told, in words, what a lock is waiting for.
pub type Telling<'a> = &'a mut dyn FnMut(&str);

/// A place that keeps documents by name: a directory, or objects that several machines share.
pub(super) trait Backend: Send + Sync + fmt::Debug {
    /// Whether a holder of the lock can have been replaced without knowing it: writes say what they
    /// expect then. The lock of an operating system goes with its process only.
    fn is_shared(&self) -> bool;

    /// Where a document is, for people.
    fn path(&self, name: &str) -> PathBuf;

    /// Reads a document; None where there is none.
    fn read(&self, name: &str) -> Result<Option<Document>, StoreError>;

    /// Writes a document whole: readers see the old one or the new one. What to expect next comes
    /// back.
    ///
    /// # Errors
    /// [`StoreError::Moved`] where a shared backend has something else there than is expected.
    fn put(&self, name: &str, content: &[u8], expected: &Expected) -> Result<Expected, StoreError>;

    /// Goes on with a document that ends in `content`'s end; what follows after it in the document
    /// is cut off.
    fn appender(
        self: Arc<Self>,
        name: &str,
        content: Vec<u8>,
        is_torn: bool,
        claims: &Claims,
    ) -> Result<Box<dyn Durable>, StoreError>;

    /// Removes a document, if there is one. With something to expect, a shared backend removes just
    /// that.
    ///
    /// # Errors
    /// [`StoreError::Moved`] where something else is there.
    fn remove(&self, name: &str, expected: Option<&Expected>) -> Result<(), StoreError>;

    /// The names of the documents directly under `dir` (`""`, or one that ends in `/`), without it.
    fn names(&self, dir: &str) -> Result<Vec<String>, StoreError>;

    /// Removes what earlier runs left unfinished of a stack's documents. The lock is held.
    fn sweep(&self, stack: &str) -> Result<(), StoreError>;

    /// Locks stacks, all or none: their names are in order, and each only once.
    fn lock(
        &self,
        stacks: &[&str],
        info: &LockInfo,
        timeout: Duration,
        tell: Telling<'_>,
    ) -> Result<Lock, LockError>;

    /// Takes a lock that is no stack's, if nobody has it; what is returned lets go of it when it is
    /// dropped.
    fn turn(&self, name: &str) -> Result<Option<Box<dyn Turn>>, StoreError>;

    /// Who holds a stack's lock, if anyone does. Takes nothing.
    fn holder(&self, stack: &str) -> Result<Option<String>, StoreError>;

    /// Takes a stack's lock from whoever holds it, whom this names. A lock of the operating system
    /// can't be taken from its process: None.
    fn free(&self, stack: &str) -> Result<Option<String>, StoreError>;

    /// The names of all documents but locks.
    fn everything(&self) -> Result<Vec<String>, StoreError>;
}

/// How the name of a journal ends.
pub(super) const JOURNAL: &str = ".journal";
/// How the name of a lock ends.
pub(super) const LOCK: &str = ".lock";
/// Where the earlier runs of all stacks are.
pub(super) const HISTORY: &str = "history/";
/// Where notes are: in a directory of their own, since a stack may have any name.
pub(super) const NOTES: &str = "notes/";

/// The name of a stack's checkpoint.
pub(super) fn checkpoint(stack: &str) -> String {
    format!("{stack}.json")
}

/// The name of a stack's journal.
pub(super) fn journal(stack: &str) -> String {
    format!("{stack}{JOURNAL}")
}

/// The name of a stack's lock.
pub(super) fn lock(stack: &str) -> String {
    format!("{stack}{LOCK}")
}

/// Where a stack's earlier runs are.
pub(super) fn history(stack: &str) -> String {
    format!("{HISTORY}{stack}/")
}
