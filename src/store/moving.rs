//! Moves the states of a project from one place to another, or seals them anew where they are.
//!
//! Both places are marked first, so that no run begins in either; then every stack is locked in
//! both, everything is copied and read back, and last the new place loses its mark and the old one
//! says where the states are. A move that was cut short goes on when it is begun again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::backend::{self, Telling};
use super::error::StoreError;
use super::journal::Text;
use super::lock::{Lock, LockError, LockInfo};
use super::marks::{Mark, Moving};
use super::sealed::is_sealed;
use super::states::{Store, check_name};
use crate::model::port::Expected;

/// A place with its name for people.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    /// The states there.
    pub store: &'a Store,
    /// What the other place says of it.
    pub name: &'a str,
}

/// Who moves states, when, and how long it waits for locks.
#[derive(Clone, Copy, Debug)]
pub struct Mover<'a> {
    /// Who holds the locks meanwhile.
    pub info: &'a LockInfo,
    /// Now (RFC 3339).
    pub at: &'a str,
    /// How long it waits for locks.
    pub timeout: Duration,
}

/// What was moved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// The stacks, with how many calls there are of each of which it is not known what became of
    /// them.
    pub stacks: Vec<(String, usize)>,
    /// How many documents were written.
    pub written: usize,
    /// Whether an earlier move had come so far that nothing was left to do but to say so.
    pub is_old: bool,
}

/// What a document is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Of {
    Stack(String),
    Project,
}

/// Moves the states from one place to another.
///
/// # Errors
/// A lock that is held, a place that has states of its own or is part of another move, and what
/// can't be read or written. Begun again, it goes on.
pub fn migrate(
    from: Named<'_>,
    to: Named<'_>,
    mover: Mover<'_>,
    tell: Telling<'_>,
) -> Result<Moved, LockError> {
    let (source, target) = (&from.store.of_mover(), &to.store.of_mover());
    let Some(begun) = begun(source, target, to.name)? else {
        return Ok(Moved { is_old: true, ..Moved::default() });
    };
    if documents(source)?.is_empty() {
        return Ok(Moved::default());
    }
    let mark = |moving, place| Mark {
        id: begun.id.clone(),
        replaces: begun.replaces,
        ..Mark::new(moving, place, mover.at)
    };
    source.set_mark(Some(&mark(Moving::Leaving, to.name)))?;
    target.set_mark(Some(&mark(Moving::Arriving, from.name)))?;
    let mut locks = Vec::new();
    let stacks = lock_all(&[source, target], source, mover, tell, &mut locks)?;
    let copied = documents(source)?;
    let mut written = 0;
    for name in copied.keys() {
        let Some(content) = read_whole(source, name)? else { continue };
        let there = target.backend.read(name)?;
        if there.as_ref().is_some_and(|there| there.content == content) {
            continue;
        }
        let expected = there.map_or(Expected::Absent, |there| there.expected);
        target.backend.put(name, &content, &expected)?;
        written += 1;
    }
    if begun.replaces {
        for name in documents(target)?.keys().filter(|name| !copied.contains_key(*name)) {
            target.backend.remove(name, None)?;
        }
    }
    for name in copied.keys() {
        if read_whole(source, name)? != target.backend.read(name)?.map(|there| there.content) {
            return Err(StoreError::Moved { path: target.backend.path(name) }.into());
        }
    }
    let stacks = sizes(target, stacks)?;
    source.set_mark(Some(&mark(Moving::Left, to.name)))?;
    target.set_mark(None)?;
    Ok(Moved { stacks, written, is_old: false })
}

/// A move that begins, or goes on.
struct Begun {
    id: String,
    /// Whether what is in the target is an old copy, to be replaced whole.
    replaces: bool,
}

/// How a move stands by the marks of both places; None where it is done. The source is marked first
/// and last: what stands in the target without its like in the source is another move's.
fn begun(source: &Store, target: &Store, name: &str) -> Result<Option<Begun>, StoreError> {
    let fresh = |id: Option<String>| {
        let id = id.unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
        let replaces = target.mark()?.is_some();
        if !replaces {
            check_apart(source, target)?;
        }
        Ok(Some(Begun { id, replaces }))
    };
    let (here, there) = (source.mark()?, target.mark()?);
    let Some(here) = here else {
        return match there {
            Some(there) if there.moving != Moving::Left => Err(elsewhere(target, &there)),
            _ => fresh(None),
        };
    };
    if here.moving == Moving::Arriving || here.place != name {
        return Err(elsewhere(source, &here));
    }
    match (here.moving, there) {
        (Moving::Left, None) => Ok(None),
        (Moving::Left, Some(there)) if there.id == here.id => {
            target.set_mark(None)?;
            Ok(None)
        }
        (Moving::Leaving, None) => fresh(Some(here.id)),
        (Moving::Leaving, Some(there)) if there.moving == Moving::Left => fresh(Some(here.id)),
        (Moving::Leaving, Some(there)) if there.id == here.id => {
            Ok(Some(Begun { id: here.id, replaces: there.replaces }))
        }
        (_, Some(there)) => Err(elsewhere(target, &there)),
        (Moving::Arriving, None) => Err(elsewhere(source, &here)),
    }
}

/// Writes everything in a place again, as it is to be sealed, or open, from now on. `from` reads
/// what is there, `to` writes it.
///
/// # Errors
/// As [`migrate`].
pub fn reseal(
    from: Named<'_>,
    to: Named<'_>,
    mover: Mover<'_>,
    tell: Telling<'_>,
) -> Result<Moved, LockError> {
    let (source, target) = (&from.store.of_mover(), &to.store.of_mover());
    match source.mark()? {
        Some(mark) if mark.moving != Moving::Arriving || mark.place != to.name => {
            return Err(elsewhere(source, &mark).into());
        }
        _ => {}
    }
    if documents(source)?.is_empty() {
        return Ok(Moved::default());
    }
    source.set_mark(Some(&Mark::new(Moving::Arriving, to.name, mover.at)))?;
    let mut locks = Vec::new();
    let stacks = lock_all(&[source], source, mover, tell, &mut locks)?;
    let mut written = 0;
    for name in documents(source)?.keys() {
        // What can be read as it is to be, an earlier move has written; what is open reads
        // anything.
        match target.backend.read(name) {
            Ok(Some(there)) if is_sealed(&there.content) => {}
            Ok(_) => continue,
            Err(StoreError::Sealed { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let Some(found) = source.backend.read(name)? else { continue };
        if is_sealed(&found.content) {
            let reason = "it was sealed with a third key";
            return Err(StoreError::Sealed { path: source.backend.path(name), reason }.into());
        }
        target.backend.put(name, &found.content, &found.expected)?;
        let there = target.backend.read(name)?.map(|there| there.content);
        if there.as_ref() != Some(&found.content) {
            return Err(StoreError::Moved { path: target.backend.path(name) }.into());
        }
        written += 1;
    }
    let stacks = sizes(target, stacks)?;
    source.set_mark(None)?;
    Ok(Moved { stacks, written, is_old: false })
}

fn elsewhere(store: &Store, mark: &Mark) -> StoreError {
    StoreError::Elsewhere {
        path: store.backend.path(""),
        moving: mark.moving,
        place: mark.place.clone(),
        at: mark.at.clone(),
    }
}

/// Two places that both have a state of a stack are none that can be put together.
fn check_apart(source: &Store, target: &Store) -> Result<(), StoreError> {
    let there: BTreeSet<Of> = documents(target)?.into_values().collect();
    let both = documents(source)?.into_values().find(|of| there.contains(of));
    match both {
        Some(Of::Stack(stack)) => Err(StoreError::Both {
            stack,
            from: source.backend.path(""),
            to: target.backend.path(""),
        }),
        Some(Of::Project) | None => Ok(()),
    }
}

/// What is to be moved, and what each document is of.
fn documents(store: &Store) -> Result<BTreeMap<String, Of>, StoreError> {
    let names = store.backend.everything()?.into_iter();
    Ok(names.filter_map(|name| Some((name.clone(), of(&name)?))).collect())
}

fn of(name: &str) -> Option<Of> {
    if name.starts_with(backend::NOTES) {
        return Some(Of::Project);
    }
    let stack = match name.strip_prefix(backend::HISTORY) {
        Some(past) => past.split_once('/').filter(|(_, file)| file.ends_with(".json"))?.0,
        None => name.strip_suffix(".json").or_else(|| name.strip_suffix(backend::JOURNAL))?,
    };
    check_name(stack).ok().map(|()| Of::Stack(stack.to_owned()))
}

/// Locks every stack of the source in some places. A run that had its lock before the places were
/// marked may have begun a stack since: it is waited for.
fn lock_all(
    places: &[&Store],
    source: &Store,
    mover: Mover<'_>,
    tell: Telling<'_>,
    locks: &mut Vec<Lock>,
) -> Result<BTreeSet<String>, LockError> {
    let mut locked = BTreeSet::new();
    loop {
        let stacks = documents(source)?.into_values().filter_map(|of| match of {
            Of::Stack(stack) => Some(stack),
            Of::Project => None,
        });
        let new: BTreeSet<String> = stacks.filter(|stack| !locked.contains(stack)).collect();
        if new.is_empty() {
            return Ok(locked);
        }
        let names: Vec<&str> = new.iter().map(String::as_str).collect();
        for place in places {
            locks.push(place.lock(&names, mover.info, mover.timeout, tell)?);
        }
        locked.extend(new);
    }
}

/// A document, less a torn tail: that is no record.
fn read_whole(store: &Store, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(mut found) = store.backend.read(name)? else { return Ok(None) };
    if name.ends_with(backend::JOURNAL) {
        let text = Text::read(&store.backend.path(name), &found.content)?;
        found.content.truncate(text.whole);
    }
    Ok(Some(found.content))
}

/// The stacks as they can be read now.
fn sizes(store: &Store, stacks: BTreeSet<String>) -> Result<Vec<(String, usize)>, StoreError> {
    let mut sizes = Vec::new();
    for stack in stacks {
        if let Some(loaded) = store.load(&stack)? {
            sizes.push((stack, loaded.open.len()));
        }
    }
    Ok(sizes)
}
