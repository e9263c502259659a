//! What the store promises where several machines share it, on objects in memory whose answers get
//! lost.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::memory::{DEAD, Fault, KEY, Memory, OTHER_KEY, store_on};
use super::tests::{intent, outcome, put, run, text};
use super::*;
use crate::model::history::Past;
use crate::model::journal::{Journal, JournalError};
use crate::model::port::Turns;
use crate::model::secret::Secret;
use crate::model::state::State;

pub(super) fn who(command: &str) -> LockInfo {
    LockInfo::of_this_process(command, "2026-11-25T10:00:00Z")
}

pub(super) fn lock(store: &Store, command: &str) -> Result<Lock, LockError> {
    store.lock(&["s"], &who(command), Duration::ZERO, &mut |_| {})
}

/// One run: it creates a tunnel, and is checkpointed.
pub(super) fn one_run(store: &Store, name: &str) -> Result<State, StoreError> {
    let mut state = match store.load("s")? {
        Some(loaded) => loaded.state,
        None => State::new("s", "l1".to_owned()),
    };
    let mut journal = store.open_journal(&state)?;
    let mut add = |state: &mut State, entry: crate::model::journal::Entry| {
        let failed = |error: crate::model::journal::JournalError| StoreError::Write {
            path: "journal".into(),
            source: std::io::Error::other(error),
        };
        let number = journal.append(entry.clone()).map_err(failed)?;
        state.fold(number, &entry);
        Ok::<u64, StoreError>(number)
    };
    let number = add(&mut state, intent(name))?;
    add(&mut state, outcome(number, name))?;
    state.serial += 1;
    store.checkpoint(&Past { run: format!("apply {name}"), ..run(&state) })?;
    Ok(state)
}

#[test]
fn a_shared_state_is_the_checkpoint_and_the_journal_after_it() {
    let memory = Arc::new(Memory::default());
    let store = store_on(&memory);
    let _lock = lock(&store, "apply s").unwrap();
    let state = one_run(&store, "a").unwrap();
    let mut state = State { serial: 1, ..state };
    let mut journal = store.open_journal(&state).unwrap();
    put(&mut journal, &mut state, intent("b"));
    // Another machine reads it.
    let loaded = store_on(&memory).load("s").unwrap().unwrap();
    assert_eq!(loaded.state, state);
    assert_eq!(loaded.open.len(), 1);
    assert_eq!(store.list().unwrap(), ["s"]);
    assert_eq!(store.history("s").unwrap().len(), 1);
    assert_eq!(
        memory.names(),
        [".boxctl", "history/s/1.json", "s.journal", "s.json", "s.lock"].map(str::to_owned)
    );
    drop(journal);
    store.remove("s").unwrap();
    assert_eq!(store.load("s").unwrap(), None);
    assert_eq!(store.history("s").unwrap().len(), 1);
}

#[test]
fn an_answer_lost_anywhere_changes_nothing() {
    let clean = Arc::new(Memory::default());
    one_run(&store_on(&clean), "a").unwrap();
    let calls = clean.calls.load(Ordering::SeqCst);
    assert!(calls > 8, "{calls}");
    for fault in [Fault::Before, Fault::After] {
        for at in 0..calls {
            let memory = Arc::new(Memory::default());
            *memory.fault.lock().unwrap() = Some((at, fault, false));
            let store = store_on(&memory);
            let state = one_run(&store, "a").unwrap();
            let loaded = store.load("s").unwrap().unwrap();
            assert_eq!(loaded.state.resources, state.resources, "{fault:?} {at}");
            assert_eq!((loaded.state.serial, loaded.open.len()), (1, 0), "{fault:?} {at}");
            let runs: Vec<String> =
                store.history("s").unwrap().into_iter().map(|past| past.run).collect();
            assert_eq!(runs, ["apply a"], "{fault:?} {at}");
        }
    }
}

#[test]
fn who_was_replaced_while_paused_writes_nothing_more() {
    // Paused before it opens its journal, after it did, after an intent, after an outcome.
    for paused in 0..4 {
        let memory = Arc::new(Memory::default());
        let old = store_on(&memory);
        one_run(&old, "a").unwrap();
        let mut state = old.load("s").unwrap().unwrap().state;
        let mut journal = (paused > 0).then(|| old.open_journal(&state).unwrap());
        if let Some(journal) = journal.as_mut().filter(|_| paused > 1) {
            let number = put(journal, &mut state, intent("b"));
            if paused > 2 {
                put(journal, &mut state, outcome(number, "b"));
            }
        }
        let new = store_on(&memory);
        let theirs = one_run(&new, "c").unwrap();
        match journal.as_mut() {
            None => assert!(old.open_journal(&state).is_err(), "{paused}"),
            Some(journal) => {
                let error = journal.append(intent("late")).unwrap_err();
                assert!(error.to_string().contains("another run"), "{paused}: {error:?}");
            }
        }
        state.serial += 1;
        let error = old.checkpoint(&Past { run: "apply late".to_owned(), ..run(&state) });
        assert!(error.is_err(), "{paused}");
        let loaded = new.load("s").unwrap().unwrap();
        assert_eq!(loaded.state.resources, theirs.resources, "{paused}");
        let runs: Vec<String> =
            new.history("s").unwrap().into_iter().map(|past| past.run).collect();
        assert_eq!(runs, ["apply a", "apply c"], "{paused}");
        one_run(&new, "d").unwrap();
    }
}

#[test]
fn a_store_that_ignores_conditions_is_refused() {
    let memory = Arc::new(Memory { is_careless: true, ..Memory::default() });
    let Err(LockError::Failed(error)) = lock(&store_on(&memory), "apply s") else {
        panic!("locked")
    };
    assert_eq!(text(&error), "memory/ does not honour the conditions of writes");
    assert!(error.report().hints.iter().any(|hint| hint.contains("If-None-Match")));
}

#[test]
fn a_lease_that_moves_is_respected_and_one_that_stands_still_is_taken_over() {
    let memory = Arc::new(Memory::default());
    let (first, second) = (store_on(&memory), store_on(&memory));
    let held = lock(&first, "apply first").unwrap();
    let Err(LockError::Held(locked)) = lock(&second, "apply second") else { panic!("locked") };
    assert!(locked.holder.contains("apply first"), "{locked:?}");
    assert!(second.holder("s").unwrap().unwrap().contains("apply first"));
    drop(held);
    assert_eq!(second.holder("s").unwrap(), None);
    // A process that ends without giving it back.
    std::mem::forget(lock(&first, "apply first").unwrap());
    *memory.fault.lock().unwrap() = None;
    let dead = store_on(&memory);
    std::mem::forget(dead);
    drop(second);
    let third = store_on(&memory);
    let Err(LockError::Held(_)) = lock(&third, "apply third") else { panic!("locked") };
}

#[test]
fn the_lease_of_a_dead_holder_is_taken_over_with_a_message() {
    let memory = Arc::new(Memory::default());
    let dead = store_on(&memory);
    let held = lock(&dead, "apply dead").unwrap();
    let there = memory.objects.lock().unwrap().get("s.lock").cloned().unwrap();
    drop(held);
    memory.objects.lock().unwrap().insert("s.lock".to_owned(), there);
    let mut told = Vec::new();
    let store = store_on(&memory);
    let lock = store.lock(&["s"], &who("apply new"), Duration::ZERO, &mut |text| {
        told.push(text.to_owned());
    });
    assert!(lock.is_ok());
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("apply dead") && told[0].contains("waiting up to 600ms"), "{told:?}");
    assert!(told[1].contains("has not moved for 600ms: took it over"), "{told:?}");
    assert!(store.holder("s").unwrap().unwrap().contains("apply new"));
}

#[test]
fn sealed_states_say_nothing_and_open_with_their_key_only() {
    let key = Secret::new(KEY.to_owned());
    let memory = Arc::new(Memory::default());
    let store = store_on(&memory).sealed(&key).unwrap();
    let state = one_run(&store, "tunnel-of-mine").unwrap();
    assert_eq!(store.load("s").unwrap().unwrap().state.resources, state.resources);
    assert!(!memory.everything().contains("tunnel-of-mine"));
    let other = Secret::new(OTHER_KEY.to_owned());
    let error = store_on(&memory).sealed(&other).unwrap().load("s").unwrap_err();
    assert!(text(&error).contains("another key, or changed since"), "{error}");
    // One document in the place of another.
    let mut objects = memory.objects.lock().unwrap();
    let journal = objects.get("s.journal").cloned().unwrap();
    objects.insert("t.journal".to_owned(), journal);
    drop(objects);
    assert!(store.load("t").is_err());
    for text in ["", "correct horse battery staple", &KEY[4..]] {
        let refused = store_on(&memory).sealed(&Secret::new(text.to_owned()));
        assert_eq!(refused.unwrap_err(), "it is not 32 bytes in Base64", "{text}");
    }
}

#[test]
fn sealed_states_on_disk_are_as_durable_as_open_ones() {
    let dir = tempfile::tempdir().unwrap();
    let key = Secret::new(KEY.to_owned());
    let store = Store::local(dir.path()).sealed(&key).unwrap();
    one_run(&store, "a").unwrap();
    let state = one_run(&store, "b").unwrap();
    assert_eq!(store.load("s").unwrap().unwrap().state.resources, state.resources);
    let open = Store::local(dir.path()).load("s").unwrap_err();
    assert!(text(&open).contains("s.journal"), "{open}");
}

#[test]
fn notes_are_beside_the_states_and_are_none() {
    let dir = tempfile::tempdir().unwrap();
    let memory = Arc::new(Memory::default());
    for store in [Store::local(dir.path()), store_on(&memory)] {
        assert_eq!(store.read_note("drift").unwrap(), None);
        store.put_note("drift", b"{}").unwrap();
        store.put_note("drift", b"[]").unwrap();
        assert_eq!(store.read_note("drift").unwrap().as_deref(), Some(b"[]".as_slice()));
        assert_eq!(store.list().unwrap(), Vec::<String>::new());
        assert!(matches!(store.put_note("../x", b""), Err(StoreError::Name(_))));
    }
    assert_eq!(memory.names(), ["notes/drift.json"]);
    assert!(dir.path().join("notes/drift.json").is_file());
}

#[test]
fn a_lock_that_is_taken_away_stops_its_holder_and_says_who_has_it() {
    let memory = Arc::new(Memory::default());
    let old = store_on(&memory);
    let _old_lock = lock(&old, "apply old").unwrap();
    one_run(&old, "a").unwrap();
    let mut state = old.load("s").unwrap().unwrap().state;
    let mut journal = old.open_journal(&state).unwrap();
    put(&mut journal, &mut state, intent("b"));
    let new = store_on(&memory);
    assert!(new.unlock("s").unwrap().unwrap().contains("apply old"));
    let _new_lock = lock(&new, "apply new").unwrap();
    let error = journal.append(intent("late")).unwrap_err();
    let JournalError::Replaced(why) = &error else { panic!("{error:?}") };
    assert!(why.starts_with("the lock of `s` was taken over"), "{why}");
    assert!(why.contains("apply new"), "{why}");
    assert_eq!(new.load("s").unwrap().unwrap().open.len(), 1);
    assert_eq!(store_on(&memory).unlock("t").unwrap(), None);
}

#[test]
fn runs_take_turns_where_states_are_shared() {
    let memory = Arc::new(Memory::default());
    let (first, second) = (store_on(&memory), store_on(&memory));
    let turn = first.take("tunnel_config-t").unwrap().expect("it is free");
    turn.check().unwrap();
    assert!(second.take("tunnel_config-t").unwrap().is_none());
    drop(turn);
    let turn = second.take("tunnel_config-t").unwrap().expect("it is free again");
    // Whose turn it is by now knows of no other.
    first.unlock("tunnel_config-t").unwrap();
    let theirs = first.take("tunnel_config-t").unwrap().expect("it was taken away");
    theirs.check().unwrap();
    let began = std::time::Instant::now();
    let error = loop {
        match turn.check() {
            Err(error) => break error,
            Ok(()) => assert!(began.elapsed() < DEAD, "it is fresh for half of that at most"),
        }
    };
    assert!(error.to_string().contains("was taken over"), "{error}");
}

#[test]
fn what_a_dead_run_held_is_taken_over_together() {
    let memory = Arc::new(Memory::default());
    let stacks = ["a", "b", "c", "d"];
    let lock = |store: &Store, tell: &mut dyn FnMut(&str)| {
        store.lock(&stacks, &who("apply"), Duration::ZERO, tell)
    };
    let held = lock(&store_on(&memory), &mut |_| {}).unwrap();
    let there = memory.objects.lock().unwrap().clone();
    drop(held);
    *memory.objects.lock().unwrap() = there;
    let (mut told, began) = (Vec::new(), std::time::Instant::now());
    let all = lock(&store_on(&memory), &mut |text| told.push(text.to_owned())).unwrap();
    assert!(began.elapsed() >= DEAD, "{:?}", began.elapsed());
    assert_eq!(all.taken_over, stacks);
    // One after the other, the last would have been taken three waits after the first.
    let acquired = |name: &str| {
        let object = memory.objects.lock().unwrap().get(name).cloned().unwrap();
        let text = String::from_utf8(object.content).unwrap();
        let record: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        record["acquired"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap()
    };
    let between = acquired("d.lock").duration_since(acquired("a.lock"));
    assert!(between.unsigned_abs() < 3 * DEAD, "{between:?}");
    assert_eq!(told.len(), 2, "one wait, and one takeover: {told:?}");
}
