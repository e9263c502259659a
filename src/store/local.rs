//! The states of a project in a directory: checkpoint, journal and history of each stack.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::error::StoreError;
use super::files;
use super::format;
use super::journal::{self, LocalJournal, Text};
use crate::model::history::Past;
use crate::model::journal::{Entry, FORMAT_VERSION, Numbered, OpenIntent};
use crate::model::state::State;

/// The states of a project in a directory. Reading needs no lock; writing needs the stack's
/// [`super::Lock`].
#[derive(Clone, Debug)]
pub struct LocalStore {
    dir: PathBuf,
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
}

impl LocalStore {
    /// The states in that directory, which need not exist yet.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        LocalStore { dir: dir.into() }
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The file of a stack's checkpoint.
    pub fn checkpoint_path(&self, stack: &str) -> PathBuf {
        self.dir.join(format!("{stack}.json"))
    }

    /// The file of a stack's journal.
    pub fn journal_path(&self, stack: &str) -> PathBuf {
        self.dir.join(format!("{stack}.journal"))
    }

    /// The state of a stack; None where nothing was ever recorded of it.
    ///
    /// # Errors
    /// A file that can't be read, of a newer format, damaged, or a journal that continues another
    /// state or a later one.
    pub fn load(&self, stack: &str) -> Result<Option<Loaded>, StoreError> {
        check_name(stack)?;
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
        Ok(Some(Loaded { state, open: open_intents(&text.records), torn: text.torn, unfinished }))
    }

    /// Opens the journal that continues a state, begins one where there is none. A torn tail is
    /// cut off durably.
    ///
    /// # Errors
    /// As [`LocalStore::load`], and a journal that can't be written.
    pub fn open_journal(&self, state: &State) -> Result<LocalJournal, StoreError> {
        check_name(&state.stack)?;
        let path = self.journal_path(&state.stack);
        let mut text = self.read_journal(&state.stack)?;
        self.check_fit(state, &text)?;
        if text.records.is_empty() {
            journal::begin(&path, vec![begin_entry(state)], state.journal + 1)?;
            text = self.read_journal(&state.stack)?;
        }
        let next = text.last().unwrap_or(state.journal).max(state.journal) + 1;
        LocalJournal::open(&path, &text, next)
    }

    /// Writes a checkpoint and begins a new journal after it; the run is put into the history
    /// first. Calls of which it is not known what became of them go over to the new journal under
    /// new numbers.
    ///
    /// # Errors
    /// A file that can't be written; a state that lacks what the journal recorded.
    pub fn checkpoint(&self, run: &Past) -> Result<(), StoreError> {
        let state = &run.state;
        check_name(&state.stack)?;
        let text = self.read_journal(&state.stack)?;
        self.check_fit(state, &text)?;
        self.check_complete(state, &text)?;
        let path = self.checkpoint_path(&state.stack);
        self.keep_original(&state.stack)?;
        self.keep(run)?;
        files::replace(&path, format::write_state(state, &path)?.as_bytes())?;
        let mut entries = vec![begin_entry(state)];
        entries.extend(
            open_intents(&text.records).into_iter().map(|o| Entry::Intent(Box::new(o.intent))),
        );
        journal::begin(&self.journal_path(&state.stack), entries, state.journal + 1)
    }

    /// The stacks that have a state, in order of their names.
    ///
    /// # Errors
    /// A directory that can't be read.
    pub fn list(&self) -> Result<Vec<String>, StoreError> {
        let mut stacks: Vec<String> = files::names(&self.dir)?
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
            && !self.is_kept(stack, state.serial)
        {
            self.keep(&Past::of_state(state))?;
        }
        // The journal first: a journal without its checkpoint would read as a state of its own.
        files::remove(&self.journal_path(stack))?;
        files::remove(&self.checkpoint_path(stack))
    }

    /// Removes files that an earlier run had not finished when it was killed.
    pub(super) fn sweep(&self, stack: &str) -> Result<(), StoreError> {
        files::sweep(&self.checkpoint_path(stack))?;
        files::sweep(&self.journal_path(stack))?;
        files::sweep_all(&self.history_dir(stack))
    }

    fn read_checkpoint(&self, stack: &str) -> Result<Option<State>, StoreError> {
        let path = self.checkpoint_path(stack);
        let Some(content) = files::read(&path)? else { return Ok(None) };
        let state: State = format::state(&path, &content)?;
        if state.stack != stack {
            let expected = stack.to_owned();
            return Err(StoreError::OtherStack { path, found: state.stack, expected });
        }
        Ok(Some(state))
    }

    fn read_journal(&self, stack: &str) -> Result<Text, StoreError> {
        let path = self.journal_path(stack);
        match files::read(&path)? {
            Some(content) => Text::read(&path, &content),
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
    fn check_fit(&self, state: &State, text: &Text) -> Result<(), StoreError> {
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

fn begin_entry(state: &State) -> Entry {
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
