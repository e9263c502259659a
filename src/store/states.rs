//! The states of a project in a directory: checkpoint, journal and history of each stack.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::backend::{self, Backend, Telling};
use super::claims::Claims;
use super::disk::Disk;
use super::error::StoreError;
use super::format;
use super::journal::{self, StoreJournal, Text};
use super::lease::Timing;
use super::lock::{Lock, LockError, LockInfo};
use super::remote::Remote;
use super::sealed::{self, Sealed};
use crate::model::address::Address;
use crate::model::history::Past;
use crate::model::journal::{Entry, FORMAT_VERSION, Numbered, OpenIntent};
use crate::model::port::{Holding, Objects, Turn, Turns};
use crate::model::secret::Secret;
use crate::model::state::State;

/// The states of a project. Reading needs no lock; writing needs the stack's [`Lock`].
///
/// Where several machines share them, a run whose lock was taken over while it was paused must not
/// write any more. So whoever begins to write a stack puts its journal and its checkpoint there
/// again first, each on the condition that it is what was read; every later write is conditional on
/// the one before it. What the earlier holder expects is then there no more.
#[derive(Clone, Debug)]
pub struct Store {
    pub(super) backend: Arc<dyn Backend>,
    pub(super) claims: Claims,
    /// Known where the states are here: not moved elsewhere.
    pub(super) here: Arc<OnceLock<()>>,
    /// Whether this moves them itself.
    pub(super) is_moving: bool,
}

/// A state as it was found: the checkpoint with the journal after it folded in.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The state.
    pub state: State,
    /// Calls of which it is not known what became of them, oldest first.
    pub open: Vec<OpenIntent>,
    /// Whether the journal ends in a record that was being written when its process ended.
    pub torn: bool,
    /// Whether the journal has records that no checkpoint has: a run was cut short.
    pub unfinished: bool,
    /// What the journal's records since the checkpoint are about.
    pub touched: BTreeSet<Address>,
}

impl Holding for Store {
    fn check(&self) -> io::Result<()> {
        let standings = self.claims.standings();
        standings.iter().try_for_each(|standing| standing.assure()).map_err(io::Error::other)
    }
}

impl Turns for Store {
    fn take(&self, name: &str) -> io::Result<Option<Box<dyn Turn>>> {
        check_name(name).and_then(|()| self.backend.turn(name)).map_err(io::Error::other)
    }
}

impl Store {
    /// The states in a directory, which need not exist yet.
    pub fn local(dir: impl Into<PathBuf>) -> Self {
        Store::over(Arc::new(Disk::new(dir.into())))
    }

    /// The states among objects that several machines share.
    ///
    /// # Errors
    /// No thread can be begun.
    pub fn shared(objects: Arc<dyn Objects>, lease: Timing) -> Result<Self, StoreError> {
        let place = PathBuf::from(objects.place(""));
        match Remote::new(objects, lease) {
            Ok(remote) => Ok(Store::over(Arc::new(remote))),
            Err(source) => Err(StoreError::Read { path: place, source }),
        }
    }

    /// The same, sealed with the key that a text stands for.
    ///
    /// # Errors
    /// Why the text is no key.
    pub fn sealed(self, key: &Secret) -> Result<Self, &'static str> {
        let key = sealed::key(key)?;
        Ok(Store::over(Arc::new(Sealed::over(self.backend, &key))))
    }

    /// Whether several machines share the states.
    pub fn is_shared(&self) -> bool {
        self.backend.is_shared()
    }

    fn over(backend: Arc<dyn Backend>) -> Self {
        Store { backend, claims: Claims::default(), here: Arc::default(), is_moving: false }
    }

    /// The same for who moves the states.
    pub(super) fn of_mover(&self) -> Self {
        Store { is_moving: true, ..Store::over(Arc::clone(&self.backend)) }
    }

    /// Where a stack's checkpoint is.
    pub fn checkpoint_path(&self, stack: &str) -> PathBuf {
        self.backend.path(&backend::checkpoint(stack))
    }

    /// Where a stack's journal is.
    pub fn journal_path(&self, stack: &str) -> PathBuf {
        self.backend.path(&backend::journal(stack))
    }

    /// Where a stack's lock is.
    pub fn lock_path(&self, stack: &str) -> PathBuf {
        self.backend.path(&backend::lock(stack))
    }

    /// Where a stack's earlier runs are.
    pub fn history_dir(&self, stack: &str) -> PathBuf {
        self.backend.path(&backend::history(stack))
    }

    /// Whether anything was ever recorded of a stack.
    ///
    /// # Errors
    /// The place can't be read.
    pub fn has(&self, stack: &str) -> Result<bool, StoreError> {
        check_name(stack)?;
        self.check_here_once()?;
        Ok(self.backend.read(&backend::checkpoint(stack))?.is_some()
            || self.backend.read(&backend::journal(stack))?.is_some())
    }

    /// Locks stacks, all or none, waiting up to `timeout` for others to let go of them; what is
    /// waited for is told.
    ///
    /// # Errors
    /// The first lock that is held beyond the timeout; a place that can't be used.
    pub fn lock(
        &self,
        stacks: &[&str],
        info: &LockInfo,
        timeout: Duration,
        tell: Telling<'_>,
    ) -> Result<Lock, LockError> {
        // In order of names, so that two runs never wait for one another.
        let mut stacks = stacks.to_vec();
        stacks.sort_unstable();
        stacks.dedup();
        stacks.iter().try_for_each(|stack| check_name(stack))?;
        let lock = self.backend.lock(&stacks, info, timeout, tell)?;
        // They may have been moved while it was waited for.
        self.check_here()?;
        for (stack, standing) in &lock.standings {
            self.claims.hold(stack, standing);
        }
        for stack in &lock.taken_over {
            self.fence(stack)?;
        }
        for stack in stacks {
            self.backend.sweep(stack)?;
        }
        Ok(lock)
    }

    /// Who holds the lock of a stack, if anyone does. Takes nothing.
    ///
    /// # Errors
    /// The lock can't be looked at, so that nobody knows.
    pub fn holder(&self, stack: &str) -> Result<Option<String>, StoreError> {
        check_name(stack)?;
        self.backend.holder(stack)
    }

    /// The state of a stack; None where nothing was ever recorded of it.
    ///
    /// # Errors
    /// A file that can't be read, of a newer format, damaged, or a journal that continues another
    /// state or a later one.
    pub fn load(&self, stack: &str) -> Result<Option<Loaded>, StoreError> {
        check_name(stack)?;
        self.check_here_once()?;
        // The journal first: a run that ends in between leaves one that is older than the
        // checkpoint, which fits, and not one that continues a later checkpoint.
        let text = self.read_journal(stack)?;
        let checkpoint = self.read_checkpoint(stack)?;
        let Some(base) = self.base(stack, checkpoint, &text)? else { return Ok(None) };
        let checkpointed = base.journal;
        let mut state = base;
        for record in &text.records {
            state.fold(record.number, &record.entry);
        }
        let unfinished = text.records.iter().any(|r| {
            r.number > checkpointed && !matches!(r.entry, Entry::Begin { .. } | Entry::Intent(_))
        });
        let since = text.records.iter().filter(|r| r.number > checkpointed);
        let touched = since.flat_map(|r| r.entry.addresses()).cloned().collect();
        let open = open_intents(&text.records);
        Ok(Some(Loaded { state, open, torn: text.torn, unfinished, touched }))
    }

    /// Opens the journal that continues a state, begins one where there is none. A torn tail is
    /// cut off durably.
    ///
    /// # Errors
    /// As [`Store::load`], a journal that can't be written, and [`StoreError::Moved`].
    pub fn open_journal(&self, state: &State) -> Result<StoreJournal, StoreError> {
        check_name(&state.stack)?;
        let name = backend::journal(&state.stack);
        let path = self.journal_path(&state.stack);
        let is_new = !self.has_begun(&state.stack)?;
        // A question was asked, perhaps, and answered after the lock was another's: what is put
        // there now would shut that one out.
        let standing = self.claims.standing(&state.stack);
        if let Some(standing) = &standing {
            standing.assure()?;
        }
        let (mut content, mut text) = self.claim(state)?;
        if text.records.is_empty() {
            content = journal::text(&path, vec![begin_entry(state)], state.journal + 1)?.into();
            self.put(&state.stack, &name, &content)?;
            text = Text::read(&path, &content)?;
        }
        if is_new {
            // Who moves the states lists them after it has said so: either it sees this journal, or
            // this run sees that.
            self.check_here()?;
        }
        content.truncate(text.whole);
        let next = text.last().unwrap_or(state.journal).max(state.journal) + 1;
        let backend = Arc::clone(&self.backend);
        let appender = backend.appender(&name, content, text.torn, &self.claims)?;
        Ok(StoreJournal::over(&path, appender, next).under(standing))
    }

    /// Writes a checkpoint and begins a new journal after it; the run is put into the history
    /// first. Calls of which it is not known what became of them go over to the new journal under
    /// new numbers.
    ///
    /// # Errors
    /// A document that can't be written; a state that lacks what the journal recorded.
    pub fn checkpoint(&self, run: &Past) -> Result<(), StoreError> {
        let state = &run.state;
        check_name(&state.stack)?;
        let name = backend::checkpoint(&state.stack);
        let path = self.checkpoint_path(&state.stack);
        if !self.is_claimed(&state.stack) {
            self.claim(state)?;
        }
        let text = self.read_journal(&state.stack)?;
        self.check_fit(state, &text)?;
        self.check_complete(state, &text)?;
        self.keep_original(&state.stack)?;
        self.keep(run)?;
        self.put(&state.stack, &name, format::write_state(state, &path)?.as_bytes())?;
        let mut entries = vec![begin_entry(state)];
        entries.extend(
            open_intents(&text.records).into_iter().map(|o| Entry::Intent(Box::new(o.intent))),
        );
        let journal = self.journal_path(&state.stack);
        let begun = journal::text(&journal, entries, state.journal + 1)?;
        self.put(&state.stack, &backend::journal(&state.stack), begun.as_bytes())
    }

    /// The stacks that have a state, in order of their names.
    ///
    /// # Errors
    /// A directory that can't be read.
    pub fn list(&self) -> Result<Vec<String>, StoreError> {
        self.check_here_once()?;
        let mut stacks: Vec<String> = self
            .backend
            .names("")?
            .iter()
            .filter_map(|name| name.strip_suffix(".json").or_else(|| name.strip_suffix(".journal")))
            .filter(|stack| check_name(stack).is_ok())
            .map(str::to_owned)
            .collect();
        stacks.sort();
        stacks.dedup();
        Ok(stacks)
    }

    /// Removes a stack's state. Its history stays.
    ///
    /// # Errors
    /// A state that can't be read, a file that can't be written or removed.
    pub fn remove(&self, stack: &str) -> Result<(), StoreError> {
        if let Some(Loaded { state, .. }) = self.load(stack)?
            && !self.is_kept(stack, state.serial)?
        {
            self.keep(&Past::of_state(state))?;
        }
        // The journal first: a journal without its checkpoint would read as a state of its own.
        for name in [backend::journal(stack), backend::checkpoint(stack)] {
            self.backend.remove(&name, self.claims.get(&name).as_ref())?;
            self.claims.forget(&name);
        }
        Ok(())
    }

    fn read_checkpoint(&self, stack: &str) -> Result<Option<State>, StoreError> {
        let path = self.checkpoint_path(stack);
        let Some(found) = self.backend.read(&backend::checkpoint(stack))? else {
            return Ok(None);
        };
        let state: State = format::state(&path, &found.content)?;
        if state.stack != stack {
            let expected = stack.to_owned();
            return Err(StoreError::OtherStack { path, found: state.stack, expected });
        }
        Ok(Some(state))
    }

    fn read_journal(&self, stack: &str) -> Result<Text, StoreError> {
        match self.backend.read(&backend::journal(stack))? {
            Some(found) => Text::read(&self.journal_path(stack), &found.content),
            None => Ok(Text::default()),
        }
    }

    /// What the journal is folded into: the checkpoint, or nothing yet.
    fn base(
        &self,
        stack: &str,
        checkpoint: Option<State>,
        text: &Text,
    ) -> Result<Option<State>, StoreError> {
        let base = match (checkpoint, text.records.first().map(|record| &record.entry)) {
            (Some(state), _) => state,
            (None, Some(Entry::Begin { lineage, .. })) => State::new(stack, lineage.clone()),
            (None, _) => return Ok(None),
        };
        self.check_fit(&base, text)?;
        Ok(Some(base))
    }

    /// Whether the journal continues this state.
    pub(super) fn check_fit(&self, state: &State, text: &Text) -> Result<(), StoreError> {
        let Some(Entry::Begin { lineage, stack, after, .. }) =
            text.records.first().map(|r| &r.entry)
        else {
            return Ok(());
        };
        let journal = self.journal_path(&state.stack);
        let checkpoint = self.checkpoint_path(&state.stack);
        if lineage != &state.lineage {
            let (found, expected) = (lineage.clone(), state.lineage.clone());
            return Err(StoreError::OtherLineage { journal, checkpoint, found, expected });
        }
        if stack != &state.stack {
            let (found, expected) = (stack.clone(), state.stack.clone());
            return Err(StoreError::OtherStack { path: journal, found, expected });
        }
        if *after > state.journal {
            let (after, has) = (*after, state.journal);
            return Err(StoreError::LaterCheckpoint { journal, checkpoint, after, has });
        }
        Ok(())
    }

    /// Whether the state has everything that the journal says about resources.
    fn check_complete(&self, state: &State, text: &Text) -> Result<(), StoreError> {
        let lost = text.records.iter().rev().find(|r| r.number > state.journal && tells(&r.entry));
        match lost {
            None => Ok(()),
            Some(record) => Err(StoreError::Behind {
                stack: state.stack.clone(),
                journal: self.journal_path(&state.stack),
                recorded: record.number,
                has: state.journal,
            }),
        }
    }
}

/// Whether a record says something that a checkpoint must have.
fn tells(entry: &Entry) -> bool {
    match entry {
        Entry::Begin { .. } | Entry::Intent(_) => false,
        Entry::Outcome(outcome) => !outcome.effects.is_empty(),
        Entry::Settled(settled) => !settled.effects.is_empty(),
        Entry::PlanStarted { .. } | Entry::PlanEnded { .. } | Entry::Effects(_) => true,
    }
}

pub(super) fn begin_entry(state: &State) -> Entry {
    Entry::Begin {
        lineage: state.lineage.clone(),
        stack: state.stack.clone(),
        after: state.journal,
        format_version: FORMAT_VERSION,
    }
}

/// Intents of which no record says what became of them.
fn open_intents(records: &[Numbered]) -> Vec<OpenIntent> {
    let mut open = BTreeMap::new();
    for record in records {
        match &record.entry {
            Entry::Intent(intent) => {
                open.insert(record.number, intent.as_ref().clone());
            }
            Entry::Outcome(outcome) if !outcome.unknown => {
                open.remove(&outcome.intent);
            }
            Entry::Settled(settled) => {
                open.retain(|number, _| !settled.closed.contains(number));
                for number in &settled.looked {
                    if let Some(intent) = open.get_mut(number) {
                        intent.looked = true;
                    }
                }
            }
            Entry::Begin { .. }
            | Entry::Outcome(_)
            | Entry::Effects(_)
            | Entry::PlanStarted { .. }
            | Entry::PlanEnded { .. } => {}
        }
    }
    open.into_iter().map(|(number, intent)| OpenIntent { number, intent }).collect()
}

/// Stacks are named by files, so a name may not lead elsewhere.
pub(super) fn check_name(stack: &str) -> Result<(), StoreError> {
    let fits = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    if stack.is_empty() || stack.starts_with('-') || !stack.chars().all(fits) {
        return Err(StoreError::Name(stack.to_owned()));
    }
    Ok(())
}
