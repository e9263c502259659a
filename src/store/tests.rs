//! What the store promises, on files.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;

use super::backend::Durable;
use super::journal::{StoreJournal, Text, line};
use super::*;
use crate::model::JsonMap;
use crate::model::address::Address;
use crate::model::call::Method;
use crate::model::change::{Action, Phase, StepId};
use crate::model::history::Past;
use crate::model::journal::{Effect, Entry, Intent, Journal, Numbered, Outcome, Settled};
use crate::model::state::{Recorded, State, Target};

pub(super) fn recorded(id: &str) -> Recorded {
    Recorded {
        kind: "tunnel".to_owned(),
        id: id.to_owned(),
        key: JsonMap::new(),
        sent: json!({"name": "a"}),
        answered: json!({"name": "a"}),
        outputs: JsonMap::new(),
        secrets: BTreeMap::new(),
        version: None,
        reads: BTreeMap::new(),
        dependencies: Default::default(),
        protected: false,
        shared: Vec::new(),
        adopted: false,
        replacing: false,
        rotated_at: None,
        modified_at: None,
        beside: BTreeSet::new(),
        end: None,
        awaited: false,
        created_at: "2026-11-22T10:00:00Z".to_owned(),
        updated_at: "2026-11-22T10:00:00Z".to_owned(),
    }
}

pub(super) fn run(state: &State) -> Past {
    Past::of_state(state.clone())
}

pub(super) fn intent(name: &str) -> Entry {
    let address = Address::new("tunnel", name);
    Entry::Intent(Box::new(Intent {
        step: StepId { address: address.clone(), phase: Phase::Whole },
        address,
        action: Action::Create,
        method: Method::Post,
        path: "/accounts/a/cfd_tunnel".to_owned(),
        key: JsonMap::from_iter([("name".to_owned(), json!(name))]),
        request: "f1".to_owned(),
        id: None,
        then: Some(Box::new(recorded(""))),
        at: "2026-11-22T10:00:00Z".to_owned(),
        skew_ms: None,
        looked: false,
    }))
}

pub(super) fn outcome(intent: u64, name: &str) -> Entry {
    Entry::Outcome(Box::new(Outcome {
        intent,
        status: Some(200),
        error: None,
        unknown: false,
        effects: vec![record(name)],
        at: "2026-11-22T10:00:01Z".to_owned(),
    }))
}

fn lost(intent: u64) -> Entry {
    Entry::Outcome(Box::new(Outcome {
        intent,
        status: None,
        error: Some("the connection was reset".to_owned()),
        unknown: true,
        effects: Vec::new(),
        at: "2026-11-22T10:00:01Z".to_owned(),
    }))
}

pub(super) fn record(name: &str) -> Effect {
    let address = Address::new("tunnel", name);
    Effect::Record { address, record: Box::new(recorded(name)) }
}

/// Appends and folds, as a run does.
pub(super) fn put(journal: &mut StoreJournal, state: &mut State, entry: Entry) -> u64 {
    let number = journal.append(entry.clone()).unwrap();
    state.fold(number, &entry);
    number
}

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::local(dir.path().join("state"));
    (dir, store)
}

/// A store in which a first run created tunnel `a` and was cut short while creating `b`.
fn cut_short() -> (tempfile::TempDir, Store, State) {
    let (dir, store) = store();
    let mut state = State::new("s", "l1".to_owned());
    let mut journal = store.open_journal(&state).unwrap();
    let number = put(&mut journal, &mut state, intent("a"));
    put(&mut journal, &mut state, outcome(number, "a"));
    put(&mut journal, &mut state, intent("b"));
    (dir, store, state)
}

pub(super) fn text(error: &StoreError) -> String {
    error.to_string()
}

#[test]
fn a_state_is_the_checkpoint_and_the_journal_after_it() {
    let (_dir, store, mut state) = cut_short();
    assert!(!store.checkpoint_path("s").exists());
    let loaded = store.load("s").unwrap().unwrap();
    assert_eq!(loaded.state, state);
    assert!(loaded.unfinished && !loaded.torn);
    assert_eq!(loaded.open.iter().map(|o| o.number).collect::<Vec<_>>(), [4]);

    state.serial = 1;
    store.checkpoint(&run(&state)).unwrap();
    let loaded = store.load("s").unwrap().unwrap();
    assert_eq!(loaded.state.resources, state.resources);
    assert_eq!(loaded.state.serial, 1);
}

#[test]
fn calls_of_unknown_outcome_survive_a_checkpoint_until_they_are_settled() {
    let (_dir, store, mut state) = cut_short();
    let mut journal = store.open_journal(&state).unwrap();
    let number = put(&mut journal, &mut state, intent("c"));
    put(&mut journal, &mut state, lost(number));
    store.checkpoint(&run(&state)).unwrap();

    let open = store.load("s").unwrap().unwrap().open;
    let names: Vec<_> = open.iter().map(|o| o.intent.address.name()).collect();
    assert_eq!(names, ["b", "c"]);

    let mut state = store.load("s").unwrap().unwrap().state;
    let mut journal = store.open_journal(&state).unwrap();
    put(&mut journal, &mut state, outcome(open[0].number, "b"));
    put(&mut journal, &mut state, outcome(open[1].number, "c"));
    assert_eq!(store.load("s").unwrap().unwrap().open, []);
    store.checkpoint(&run(&state)).unwrap();
    let loaded = store.load("s").unwrap().unwrap();
    assert_eq!((loaded.open.len(), loaded.state.resources.len()), (0, 3));
}

#[test]
fn a_lost_call_stays_open_until_it_is_known_what_became_of_it() {
    let (_dir, store, mut state) = cut_short();
    let mut journal = store.open_journal(&state).unwrap();
    put(&mut journal, &mut state, lost(4));
    let looked = Settled { looked: vec![4], ..Settled::default() };
    put(&mut journal, &mut state, Entry::Settled(looked));
    drop(journal);
    store.checkpoint(&run(&state)).unwrap();
    let open = store.load("s").unwrap().unwrap().open;
    assert!(open.len() == 1 && open[0].intent.looked, "what was looked for goes over: {open:?}");

    let mut journal = store.open_journal(&state).unwrap();
    let found =
        Settled { closed: vec![open[0].number], effects: vec![record("b")], ..Settled::default() };
    put(&mut journal, &mut state, Entry::Settled(found));
    let loaded = store.load("s").unwrap().unwrap();
    assert_eq!((loaded.open.len(), loaded.state.resources.len()), (0, 2));
}

#[test]
fn a_torn_tail_is_no_record_and_is_cut_off_before_the_next_one() {
    let torn_tails: [&[u8]; 4] = [
        b"{\"record\":{\"number\":5,\"plan_en",
        b"\0\0\0\0\0\0",
        b"{\"record\":{\"number\":5},\"sum\":\"0000000000000000\"}\n",
        b"\xff\xfe\n",
    ];
    for tail in torn_tails {
        let (_dir, store, mut state) = cut_short();
        let path = store.journal_path("s");
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, [&whole, tail].concat()).unwrap();

        let loaded = store.load("s").unwrap().unwrap();
        assert!(loaded.torn);
        assert_eq!(loaded.state, state);

        let mut journal = store.open_journal(&state).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), whole);
        put(&mut journal, &mut state, outcome(4, "b"));
        let loaded = store.load("s").unwrap().unwrap();
        assert!(!loaded.torn && loaded.open.is_empty());
        assert_eq!(loaded.state, state);
    }
}

#[test]
fn a_torn_earlier_line_is_an_error_that_names_it() {
    let (_dir, store, _) = cut_short();
    let path = store.journal_path("s");
    let mut content = std::fs::read(&path).unwrap();
    let second = content.iter().position(|b| *b == b'\n').unwrap() + 30;
    content[second] ^= 1;
    std::fs::write(&path, content).unwrap();
    let error = store.load("s").unwrap_err();
    assert_eq!(text(&error), format!("{}:2 is damaged: its checksum does not fit", path.display()));
    assert!(store.open_journal(&State::new("s", "l1".to_owned())).is_err());
}

#[test]
fn a_missing_line_is_an_error() {
    let (_dir, store, _) = cut_short();
    let path = store.journal_path("s");
    let content = std::fs::read_to_string(&path).unwrap();
    let kept: Vec<_> = content.lines().enumerate().filter(|(i, _)| *i != 1).collect();
    let kept: String = kept.into_iter().map(|(_, line)| format!("{line}\n")).collect();
    std::fs::write(&path, kept).unwrap();
    let error = text(&store.load("s").unwrap_err());
    assert!(error.ends_with(":2 is damaged: record 3 follows record 1"), "{error}");
}

#[test]
fn a_journal_of_another_state_or_a_later_one_is_an_error_that_names_both_files() {
    let (_dir, store, mut state) = cut_short();
    store.checkpoint(&run(&state)).unwrap();
    let older = std::fs::read(store.checkpoint_path("s")).unwrap();
    let mut journal = store.open_journal(&state).unwrap();
    put(&mut journal, &mut state, Entry::PlanEnded { plan: "p".to_owned() });
    store.checkpoint(&run(&state)).unwrap();
    std::fs::write(store.checkpoint_path("s"), older).unwrap();
    let later = store.load("s").unwrap_err();
    assert!(matches!(later, StoreError::LaterCheckpoint { .. }), "{later}");

    let other = String::from_utf8(std::fs::read(store.checkpoint_path("s")).unwrap()).unwrap();
    std::fs::write(store.checkpoint_path("s"), other.replace("\"l1\"", "\"l2\"")).unwrap();
    let other = store.load("s").unwrap_err();
    assert!(matches!(other, StoreError::OtherLineage { .. }), "{other}");
    for error in [later, other] {
        let error = text(&error);
        for path in [store.checkpoint_path("s"), store.journal_path("s")] {
            assert!(error.contains(&path.display().to_string()), "{error}");
        }
    }
}

#[test]
fn records_that_a_checkpoint_has_are_skipped() {
    let (_dir, store, mut state) = cut_short();
    let journal = std::fs::read(store.journal_path("s")).unwrap();
    state.resources.clear();
    store.checkpoint(&run(&state)).unwrap();
    // Killed between the checkpoint's rename and the new journal.
    std::fs::write(store.journal_path("s"), journal).unwrap();
    let loaded = store.load("s").unwrap().unwrap();
    assert_eq!(loaded.state, state);
    assert!(!loaded.unfinished);
    let mut journal = store.open_journal(&loaded.state).unwrap();
    assert_eq!(journal.append(intent("c")).unwrap(), 5);
}

#[test]
fn a_checkpoint_that_would_lose_records_is_refused() {
    let (_dir, store, _) = cut_short();
    let error = store.checkpoint(&run(&State::new("s", "l1".to_owned()))).unwrap_err();
    assert!(matches!(error, StoreError::Behind { recorded: 3, has: 0, .. }), "{error}");
}

#[test]
fn newer_formats_and_foreign_files_are_refused() {
    let (dir, store, mut state) = cut_short();
    state.serial = 1;
    store.checkpoint(&run(&state)).unwrap();
    let path = store.checkpoint_path("s");
    let content = std::fs::read_to_string(&path).unwrap();
    let newer = content.replace("\"format_version\": 2", "\"format_version\": 3");
    std::fs::write(&path, newer).unwrap();
    let error = text(&store.load("s").unwrap_err());
    assert!(error.contains("has format version 3; this boxctl knows versions up to 2"), "{error}");
    std::fs::write(&path, content.replace("\"stack\": \"s\"", "\"stack\": \"t\"")).unwrap();
    assert!(matches!(store.load("s"), Err(StoreError::OtherStack { .. })));
    std::fs::write(&path, "{").unwrap();
    assert!(matches!(store.load("s"), Err(StoreError::Malformed { .. })));

    let plan = dir.path().join("plan.json");
    assert!(matches!(load_plan(&plan), Err(StoreError::Read { .. })));
    std::fs::write(&plan, r#"{"format_version": 9, "new": true}"#).unwrap();
    assert!(matches!(load_plan(&plan), Err(StoreError::Newer { found: 9, known: 1, .. })));
}

#[test]
fn the_last_ten_runs_are_kept() {
    let (_dir, store) = store();
    let mut state = State::new("s", "l1".to_owned());
    for serial in 1..=13 {
        state.serial = serial;
        store.checkpoint(&run(&state)).unwrap();
        store.checkpoint(&run(&state)).unwrap();
    }
    let mut kept: Vec<u64> = std::fs::read_dir(store.history_dir("s"))
        .unwrap()
        .map(|e| e.unwrap().path().file_stem().unwrap().to_str().unwrap().parse().unwrap())
        .collect();
    kept.sort_unstable();
    assert_eq!(kept, (4..=13).collect::<Vec<_>>());
    store.remove("s").unwrap();
    assert_eq!(store.load("s").unwrap(), None);
    assert!(store.history_dir("s").join("13.json").exists());
}

#[test]
fn stacks_are_listed_by_their_files() {
    let (dir, store, state) = cut_short();
    assert_eq!(store.list().unwrap(), ["s"]);
    let other = State { stack: "b".to_owned(), ..state };
    let other = State { journal: 0, ..other };
    store.checkpoint(&run(&other)).unwrap();
    std::fs::write(store.checkpoint_path("notes.schema"), "{}").unwrap();
    std::fs::write(store.lock_path("c"), "").unwrap();
    assert_eq!(store.list().unwrap(), ["b", "s"]);
    assert_eq!(Store::local(dir.path().join("none")).list().unwrap(), [""; 0]);
    for name in ["../s", "", "a/b", ".s", "a.b"] {
        assert!(matches!(store.load(name), Err(StoreError::Name(_))), "{name}");
    }
}

#[cfg(unix)]
#[test]
fn what_is_written_is_the_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let (_dir, store, mut state) = cut_short();
    for serial in 1..=2 {
        state.serial = serial;
        store.checkpoint(&run(&state)).unwrap();
    }
    let history = store.history_dir("s").join("1.json");
    for path in [store.checkpoint_path("s"), store.journal_path("s"), history] {
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
}

#[test]
fn a_state_file_changes_only_where_something_changed() {
    let (_dir, store, mut state) = cut_short();
    let tunnel = Address::new("tunnel", "a");
    let mut bytes = |answered| {
        state.resources.get_mut(&tunnel).unwrap().answered = answered;
        store.checkpoint(&run(&state)).unwrap();
        std::fs::read(store.checkpoint_path("s")).unwrap()
    };
    let one = bytes(json!({"b": {"d": 1, "c": 2}, "a": 1}));
    let other = bytes(json!({"a": 1, "b": {"c": 2, "d": 1}}));
    assert_eq!(one, other);
}

#[test]
fn a_lock_says_who_holds_it_and_goes_with_its_holder() {
    let (_dir, store) = store();
    let info = LockInfo {
        host: "earth".to_owned(),
        user: "ann".to_owned(),
        command: "apply b a".to_owned(),
        since: "2026-11-22T10:00:00Z".to_owned(),
    };
    let lock = store.lock(&["b", "a"], &info, Duration::ZERO, &mut |_| {}).unwrap();
    let Err(LockError::Held(held)) =
        store.lock(&["a", "c"], &info, Duration::from_millis(60), &mut |_| {})
    else {
        panic!("it was taken twice");
    };
    assert_eq!((held.stack.as_str(), held.path), ("a", store.lock_path("a")));
    let said = held.holder;
    assert!(said.starts_with("`boxctl apply b a` of ann on earth (process "), "{said}");
    assert!(said.ends_with(", since 2026-11-22T10:00:00Z"), "{said}");
    assert_eq!(store.holder("a").unwrap().as_ref(), Some(&said));
    drop(lock);
    assert_eq!(store.holder("a").unwrap(), None);
    store.lock(&["a", "b", "c"], &info, Duration::ZERO, &mut |_| {}).unwrap();
    assert_eq!(std::fs::read(store.lock_path("a")).unwrap(), b"");
}

#[test]
fn a_lock_that_cannot_be_looked_at_is_not_called_free() {
    let (_dir, store) = store();
    let path = store.lock_path("a");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(&path, &path).unwrap();
    assert!(store.holder("a").is_err());
    assert_eq!(store.holder("b").unwrap(), None);
}

#[test]
fn a_state_can_be_read_at_any_time_while_runs_end() {
    let (_dir, store) = store();
    let mut state = State::new("a", "1".to_owned());
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for _ in 0..100 {
                let mut journal = store.open_journal(&state).unwrap();
                let entry = Entry::PlanEnded { plan: "p".to_owned() };
                let number = journal.append(entry.clone()).unwrap();
                state.fold(number, &entry);
                store.checkpoint(&run(&state)).unwrap();
            }
        });
        while !writer.is_finished() {
            store.load("a").unwrap();
        }
        writer.join().unwrap();
    });
}

/// A file on a disk that fails at the n-th operation.
struct Failing(u32);

impl Durable for Failing {
    fn add(&mut self, _: &[u8]) -> io::Result<()> {
        self.step()
    }

    fn sync(&mut self) -> io::Result<()> {
        self.step()
    }
}

impl Failing {
    fn step(&mut self) -> io::Result<()> {
        self.0 = self.0.wrapping_sub(1);
        if self.0 == 0 { Err(io::Error::other("disk full")) } else { Ok(()) }
    }
}

#[test]
fn after_a_failed_write_or_fsync_nothing_is_appended_any_more() {
    for fails_at in [3, 4] {
        let file = Box::new(Failing(fails_at));
        let mut journal = StoreJournal::over(Path::new("s.journal"), file, 7);
        assert_eq!(journal.append(intent("a")).unwrap(), 7);
        let error = journal.append(intent("b")).unwrap_err();
        assert_eq!(error.to_string(), "the journal s.journal could not be written");
        assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "disk full");
        let error = journal.append(intent("c")).unwrap_err();
        assert_eq!(
            std::error::Error::source(&error).unwrap().to_string(),
            "an earlier record could not be written"
        );
    }
}

#[test]
fn a_line_has_its_record_and_the_checksum_of_its_text() {
    let text = line(&Numbered { number: 3, entry: Entry::PlanEnded { plan: "p".to_owned() } });
    assert_eq!(
        text.unwrap(),
        "{\"record\":{\"number\":3,\"plan_ended\":{\"plan\":\"p\"}},\"sum\":\"d026025de7f46aee\"}\n"
    );
    let text = line(&Numbered { number: 4, entry: intent("a") }).unwrap();
    let value: crate::model::Json = serde_json::from_str(&text).unwrap();
    assert_eq!(value["record"]["intent"]["path"], "/accounts/a/cfd_tunnel");
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let entry = prop_oneof![
        "[a-c]".prop_map(|name| intent(&name)),
        (2_u64..9, "[a-c]").prop_map(|(number, name)| outcome(number, &name)),
        (2_u64..9).prop_map(lost),
        "[a-c]".prop_map(|name| Entry::Effects(vec![record(&name)])),
        "[a-c]".prop_map(|name| {
            Entry::Effects(vec![Effect::Remove { address: Address::new("tunnel", name) }])
        }),
        "\\PC{0,9}".prop_map(|plan| Entry::PlanEnded { plan }),
        "\\PC{0,9}".prop_map(|region| Entry::PlanStarted {
            rolled_back: None,
            plan: "p".to_owned(),
            target: Box::new(Target { aws_region: Some(region), ..Target::default() }),
            variables: BTreeMap::new(),
        }),
    ];
    proptest::collection::vec(entry, 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_prefix_of_a_journal_gives_the_state_of_some_prefix_of_its_records(
        entries in entries(),
        cut in any::<prop::sample::Index>(),
    ) {
        let (_dir, store) = store();
        let mut state = State::new("s", "l1".to_owned());
        store.checkpoint(&run(&state)).unwrap();
        let mut journal = store.open_journal(&state).unwrap();
        state.fold(1, &Entry::Begin { lineage: "l1".to_owned(), stack: "s".to_owned(), after: 0, format_version: 2 });
        let mut states = vec![State::new("s", "l1".to_owned()), state.clone()];
        for entry in entries {
            put(&mut journal, &mut state, entry);
            states.push(state.clone());
        }
        let path = store.journal_path("s");
        let content = std::fs::read(&path).unwrap();
        let cut = cut.index(content.len() + 1);
        let lines = content[..cut].iter().filter(|byte| **byte == b'\n').count();
        std::fs::write(&path, &content[..cut]).unwrap();
        let loaded = store.load("s").unwrap().unwrap();
        prop_assert_eq!(&loaded.state, &states[lines]);

        // And what is appended to it is read again.
        let mut state = loaded.state;
        let mut journal = store.open_journal(&state).unwrap();
        put(&mut journal, &mut state, Entry::PlanEnded { plan: "after".to_owned() });
        prop_assert_eq!(store.load("s").unwrap().unwrap().state, state);
    }

    #[test]
    fn no_damage_to_a_journal_gives_another_record(at in any::<prop::sample::Index>(), bit in 0..8) {
        let records: Vec<_> = [
            Entry::Begin { lineage: "l1".to_owned(), stack: "s".to_owned(), after: 0, format_version: 2 },
            intent("a"),
            outcome(2, "a"),
        ]
        .into_iter()
        .zip(1..)
        .map(|(entry, number)| Numbered { number, entry })
        .collect();
        let mut content: Vec<u8> =
            records.iter().flat_map(|record| line(record).unwrap().into_bytes()).collect();
        let at = at.index(content.len());
        content[at] ^= 1_u8 << bit;
        if let Ok(text) = Text::read(Path::new("s.journal"), &content) {
            prop_assert!(records.starts_with(&text.records));
        }
    }
}

/// A checkpoint and a run in its history, as the first format had them.
fn of_the_first_format() -> (tempfile::TempDir, Store, String) {
    let (dir, store, mut state) = cut_short();
    (state.format_version, state.serial) = (1, 7);
    state.resources.clear();
    let mut bare = serde_json::to_value(&state).unwrap();
    let text = serde_json::to_string_pretty(&bare).unwrap();
    std::fs::write(store.checkpoint_path("s"), &text).unwrap();
    bare["serial"] = 6.into();
    std::fs::create_dir_all(store.history_dir("s")).unwrap();
    std::fs::write(store.history_dir("s").join("6.json"), bare.to_string()).unwrap();
    (dir, store, text)
}

#[test]
fn an_older_format_is_read_and_its_original_kept_when_it_is_written() {
    let (_dir, store, original) = of_the_first_format();
    let loaded = store.load("s").unwrap().unwrap();
    assert_eq!((loaded.state.serial, loaded.state.format_version), (7, 2));
    assert_eq!(std::fs::read_to_string(store.checkpoint_path("s")).unwrap(), original);
    let past = &store.history("s").unwrap()[0];
    assert_eq!((past.serial(), past.run.as_str(), &past.declared), (6, "", &None));

    let mut state = loaded.state;
    state.serial = 8;
    store.checkpoint(&Past { run: "apply".to_owned(), ..run(&state) }).unwrap();
    let kept = store.history_dir("s").join("7.format-1.json");
    assert_eq!(std::fs::read_to_string(&kept).unwrap(), original);
    let written: crate::model::Json =
        serde_json::from_slice(&std::fs::read(store.checkpoint_path("s")).unwrap()).unwrap();
    assert_eq!(written["format_version"], 2);
    let runs: Vec<_> =
        store.history("s").unwrap().iter().map(|p| (p.serial(), p.run.clone())).collect();
    assert_eq!(runs, [(6, String::new()), (8, "apply".to_owned())]);

    // Writing it again keeps no second original.
    state.serial = 9;
    store.checkpoint(&run(&state)).unwrap();
    let originals = std::fs::read_dir(store.history_dir("s")).unwrap();
    let originals =
        originals.filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().contains("format"));
    assert_eq!(originals.count(), 1);
}

#[test]
fn a_journal_of_a_newer_format_is_refused() {
    let (_dir, store, state) = cut_short();
    let begin =
        Entry::Begin { lineage: state.lineage, stack: "s".to_owned(), after: 0, format_version: 3 };
    let begun = line(&Numbered { number: 1, entry: begin }).unwrap();
    std::fs::write(store.journal_path("s"), begun).unwrap();
    let error = text(&store.load("s").unwrap_err());
    assert!(error.contains("has format version 3; this boxctl knows versions up to 2"), "{error}");
}

#[test]
fn a_rename_that_is_cut_short_loses_no_call_and_goes_on() {
    let (_dir, store, state) = cut_short();
    let earlier = store.load("s").unwrap().unwrap();
    let renamed = State { stack: "t".to_owned(), ..earlier.state };
    assert!(!store.has_begun("t").unwrap());
    // Cut short between checkpoint and journal, and begun again.
    store.take_name(&renamed, &earlier.open).unwrap();
    std::fs::remove_file(store.journal_path("t")).unwrap();
    assert!(!store.has_begun("t").unwrap());
    let open = store.take_name(&renamed, &earlier.open).unwrap();
    assert!(store.has_begun("t").unwrap());
    // A run under the new name that is cut short, too.
    drop(store.open_journal(&renamed).unwrap());
    let found = store.load("t").unwrap().unwrap();
    assert_eq!(found.state.resources, state.resources);
    assert_eq!((found.state.stack.as_str(), &found.open), ("t", &open));
    assert_eq!(open[0].intent, earlier.open[0].intent);
    // Another stack's state is not written over.
    let other = State::new("u", "l2".to_owned());
    drop(store.open_journal(&other).unwrap());
    store.checkpoint(&run(&State { serial: 1, ..other })).unwrap();
    let error = store.take_name(&State { stack: "u".to_owned(), ..renamed }, &[]).unwrap_err();
    assert!(matches!(error, StoreError::OtherLineage { .. }), "{error:?}");
}
