//! What a move of states promises: everything arrives, the old place says so, and a move that is
//! cut short anywhere goes on.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::memory::{Fault, KEY, Memory, store_on, store_with};
use super::shared_tests::{lock, one_run, who};
use super::tests::{intent, put, run, text};
use super::*;
use crate::model::secret::Secret;
use crate::model::state::State;

/// Two stacks, one of which has a call of which it is not known what became of it, and a torn tail.
fn fill(store: &Store, dir: Option<&Path>) {
    one_run(store, "a").unwrap();
    one_run(store, "b").unwrap();
    let mut state = store.load("s").unwrap().unwrap().state;
    let mut journal = store.open_journal(&state).unwrap();
    put(&mut journal, &mut state, intent("c"));
    drop(journal);
    if let Some(dir) = dir {
        let path = dir.join("s.journal");
        let mut content = std::fs::read(&path).unwrap();
        content.extend_from_slice(b"{\"record\":{\"numb");
        std::fs::write(&path, content).unwrap();
    }
    let other = State { serial: 1, ..State::new("t", "l2".to_owned()) };
    drop(store.open_journal(&other).unwrap());
    store.checkpoint(&run(&other)).unwrap();
    store.put_note("drift", b"{}").unwrap();
}

fn mover(info: &LockInfo) -> Mover<'_> {
    Mover { info, at: "2026-11-25T10:00:00Z", timeout: Duration::ZERO }
}

fn go(from: (&Store, &str), to: (&Store, &str)) -> Result<Moved, LockError> {
    let info = who("state migrate");
    let named = |(store, name)| Named { store, name };
    migrate(named(from), named(to), mover(&info), &mut |_| {})
}

/// All there is to know of a place.
fn all(store: &Store) -> Vec<(Loaded, usize)> {
    let stacks = store.list().unwrap();
    let load = |stack: &String| {
        let loaded = store.load(stack).unwrap().unwrap();
        (Loaded { torn: false, ..loaded }, store.history(stack).unwrap().len())
    };
    stacks.iter().map(load).collect()
}

fn refused(store: &Store) -> String {
    let errors = [
        store.load("s").unwrap_err(),
        store.list().unwrap_err(),
        store.history("s").unwrap_err(),
        match lock(store, "apply s") {
            Err(LockError::Failed(error)) => error,
            other => panic!("{other:?}"),
        },
    ];
    assert!(errors.iter().all(|error| text(error) == text(&errors[0])), "{errors:?}");
    text(&errors[0])
}

#[test]
fn states_move_from_disk_to_a_shared_place_and_back() {
    let dir = tempfile::tempdir().unwrap();
    let key = Secret::new(KEY.to_owned());
    let memory = Arc::new(Memory::default());
    let local = || Store::local(dir.path());
    let sealed = || store_on(&memory).sealed(&key).unwrap();
    fill(&local(), Some(dir.path()));
    let before = all(&local());
    let early = local();
    early.list().unwrap();
    let moved = go((&local(), "state/"), (&sealed(), "memory")).unwrap();
    assert_eq!(moved.stacks, [("s".to_owned(), 1), ("t".to_owned(), 0)]);
    assert_eq!(all(&sealed()), before);
    assert_eq!(sealed().read_note("drift").unwrap().as_deref(), Some(b"{}".as_slice()));
    assert!(refused(&local()).contains("were moved to memory"), "{}", refused(&local()));
    // A run that has looked before, and one that begins a stack of its own.
    assert!(matches!(lock(&early, "apply s"), Err(LockError::Failed(_))));
    let new = State::new("new", "l3".to_owned());
    assert!(matches!(early.open_journal(&new), Err(StoreError::Elsewhere { .. })));
    assert!(go((&local(), "state/"), (&sealed(), "memory")).unwrap().is_old);
    // It goes on there, and back over the old copies.
    one_run(&sealed(), "d").unwrap();
    let after = all(&sealed());
    assert_ne!(after, before);
    go((&sealed(), "memory"), (&local(), "state/")).unwrap();
    assert_eq!(all(&local()), after);
    assert!(refused(&sealed()).contains("were moved to state/"));
}

#[test]
fn a_move_that_is_cut_short_goes_on() {
    let dead = Duration::from_millis(30);
    let filled = || {
        let memory = Arc::new(Memory::default());
        fill(&store_with(&memory, dead), None);
        memory
    };
    let clean = (filled(), Arc::new(Memory::default()));
    let before = all(&store_with(&clean.0, dead));
    let began = clean.1.calls.load(Ordering::SeqCst);
    go((&store_with(&clean.0, dead), "a"), (&store_with(&clean.1, dead), "b")).unwrap();
    let calls = clean.1.calls.load(Ordering::SeqCst) - began;
    assert!(calls > 20, "{calls}");
    let faults = [Fault::Before, Fault::After];
    for (fault, at) in (0..calls).step_by(3).map(|at| (faults[at % 2], at)) {
        let (from, to) = (filled(), Arc::new(Memory::default()));
        let stores = || (store_with(&from, dead), store_with(&to, dead));
        *to.fault.lock().unwrap() = Some((at, fault, true));
        let (source, target) = stores();
        // What is left to do may be none of the move itself: to give the locks back.
        let first = go((&source, "a"), (&target, "b"));
        *to.fault.lock().unwrap() = None;
        let (source, target) = stores();
        if first.is_err() && target.mark().unwrap().is_some() {
            assert!(refused(&target).contains("they are being moved from a"), "{at}");
        }
        // Another place that is called the same is no part of it.
        let same = filled();
        let same = store_with(&same, dead);
        if first.is_err() && target.mark().unwrap().is_some() {
            let Err(LockError::Failed(error)) = go((&same, "a"), (&target, "b")) else { panic!() };
            assert!(text(&error).contains("are being moved from a"), "{error}");
        }
        let again = go((&source, "a"), (&target, "b")).unwrap();
        assert!(first.is_err() || again.is_old, "{at}");
        let (source, target) = stores();
        assert_eq!(all(&target), before, "{fault:?} {at}");
        assert!(refused(&source).contains("were moved to b"), "{at}");
    }
}

#[test]
fn states_in_both_places_are_not_put_together() {
    let (from, to) = (Arc::new(Memory::default()), Arc::new(Memory::default()));
    one_run(&store_on(&from), "a").unwrap();
    one_run(&store_on(&to), "b").unwrap();
    let (source, target) = (store_on(&from), store_on(&to));
    let Err(LockError::Failed(error)) = go((&source, "a"), (&target, "b")) else { panic!() };
    assert_eq!(text(&error), "memory/ and memory/ both have a state of `s`");
    assert!(source.load("s").is_ok() && target.load("s").is_ok());
    // A place with other stacks keeps them.
    let other = Arc::new(Memory::default());
    let theirs = State { serial: 1, ..State::new("u", "l3".to_owned()) };
    let third = store_on(&other);
    drop(third.open_journal(&theirs).unwrap());
    third.checkpoint(&run(&theirs)).unwrap();
    go((&store_on(&from), "a"), (&third, "c")).unwrap();
    assert_eq!(store_on(&other).list().unwrap(), ["s", "u"]);
    // An empty place has nothing to move, and may be used.
    let none = Store::local(tempfile::tempdir().unwrap().path().join("none"));
    assert_eq!(go((&none, "c"), (&target, "b")).unwrap(), Moved::default());
    assert_eq!(none.list().unwrap(), Vec::<String>::new());
}

#[test]
fn a_run_that_is_under_way_is_waited_for() {
    let (from, to) = (Arc::new(Memory::default()), Arc::new(Memory::default()));
    let (source, target) = (store_on(&from), store_on(&to));
    one_run(&source, "a").unwrap();
    let held = lock(&source, "apply s").unwrap();
    let Err(LockError::Held(locked)) = go((&store_on(&from), "a"), (&target, "b")) else {
        panic!("moved")
    };
    assert!(locked.holder.contains("apply s"), "{locked:?}");
    // The run itself ends as it would have.
    one_run(&source, "c").unwrap();
    drop(held);
    go((&store_on(&from), "a"), (&target, "b")).unwrap();
    assert_eq!(store_on(&to).load("s").unwrap().unwrap().state.resources.len(), 2);
}

#[test]
fn states_are_sealed_and_opened_where_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let memory = Arc::new(Memory::default());
    let key = Secret::new(KEY.to_owned());
    for open in [Store::local(dir.path()), store_on(&memory)] {
        fill(&open, None);
        let before = all(&open);
        let sealed = open.of_mover().sealed(&key).unwrap();
        let info = who("state migrate");
        let named = |store| Named { store, name: "here" };
        let moved = reseal(named(&open), named(&sealed), mover(&info), &mut |_| {}).unwrap();
        assert_eq!(moved.stacks.len(), 2);
        assert!(moved.written > 5, "{moved:?}");
        assert!(open.load("s").is_err());
        assert_eq!(all(&sealed), before);
        // Half of it done already.
        let again = reseal(named(&open), named(&sealed), mover(&info), &mut |_| {}).unwrap();
        assert_eq!(again.written, 0);
        let opened = reseal(named(&sealed), named(&open), mover(&info), &mut |_| {}).unwrap();
        assert_eq!(opened.written, moved.written);
        assert_eq!(all(&open), before);
    }
    assert!(!memory.everything().contains("boxctl sealed"));
}
