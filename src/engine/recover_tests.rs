use serde_json::json;

use super::*;
use crate::model::call::{Answer, Method, Service};
use crate::model::change::{Action, Phase, StepId};
use crate::model::kind::{Diffed, Facts, KindError, Locate, Next, Work};
use crate::model::scope::Scope;

/// A kind whose objects have a size, and maybe a mark and a time.
struct Thing;

impl Kind for Thing {
    fn name(&self) -> &'static str {
        "thing"
    }

    fn doc(&self) -> &'static str {
        "A thing."
    }

    fn service(&self) -> Service {
        Service::Cloudflare
    }

    fn schema(&self) -> schemars::Schema {
        schemars::Schema::default()
    }

    fn declare(&self, spec: &Json, _: &Scope) -> Result<Json, crate::model::kind::Problem> {
        Ok(spec.clone())
    }

    fn locate(&self, _: Option<&Json>, _: Option<&str>, _: &Scope) -> Option<Locate> {
        None
    }

    fn read(&self, _: &Json, _: &Scope) -> Vec<Remote> {
        Vec::new()
    }

    fn fits(&self, _: &Json, _: &Remote) -> bool {
        true
    }

    fn key(&self, _: &Json) -> JsonMap {
        JsonMap::new()
    }

    fn is_going(&self, remote: &Remote) -> bool {
        remote.raw["going"] == true
    }

    fn mark_of(&self, remote: &Remote) -> Option<String> {
        remote.raw["mark"].as_str().map(str::to_owned)
    }

    fn made_at(&self, remote: &Remote) -> Option<Timestamp> {
        remote.raw["made"].as_str()?.parse().ok()
    }

    fn diff(&self, _: &Facts<'_>) -> Diffed {
        Diffed::default()
    }

    fn shows(&self, written: &Written<'_>, remote: &Remote) -> Shows {
        match (&remote.spec, written.before.map(|before| &before.sent)) {
            (now, _) if *now == written.then.sent => Shows::Taken,
            (now, Some(before)) if now == before => Shows::NotTaken,
            _ => Shows::Unclear,
        }
    }

    fn next(&self, _: &Work<'_>, _: &[Answer]) -> Result<Next, KindError> {
        Ok(Next::gone())
    }
}

const STACK: &str = "shop";
const ASKED: &str = "2026-11-23T03:00:00Z";

fn kinds(_: &str) -> Option<&'static dyn Kind> {
    Some(&Thing)
}

fn address() -> Address {
    Address::new("thing", "a")
}

fn own_mark() -> String {
    fingerprint::mark("lineage", &address())
}

fn record(id: &str, size: u64) -> Recorded {
    serde_json::from_value(json!({"kind": "thing", "id": id, "key": {}, "sent": {"size": size},
        "answered": {"size": size}, "protected": true, "created_at": ASKED, "updated_at": ASKED}))
    .unwrap()
}

/// An object of that size.
fn there(id: &str, size: u64, raw: Json) -> Remote {
    Remote {
        id: id.to_owned(),
        spec: json!({"size": size}),
        outputs: JsonMap::new(),
        version: None,
        raw,
    }
}

/// An intent to make or change the thing to size 2, or to end it.
fn intent(action: Action, id: Option<&str>) -> Intent {
    let phase = Phase::Whole;
    Intent {
        step: StepId { address: address(), phase },
        address: address(),
        action,
        method: Method::Post,
        path: "/things".to_owned(),
        key: JsonMap::new(),
        request: String::new(),
        id: id.map(str::to_owned),
        then: (action != Action::Delete).then(|| Box::new(record("", 2))),
        at: ASKED.to_owned(),
        skew_ms: Some(0),
        looked: false,
    }
}

/// What a look at one call, a minute after it was sent, finds.
struct Case {
    state: State,
    world: World,
    intent: Intent,
    after_s: i64,
}

impl Case {
    fn new(intent: Intent) -> Self {
        let state = State::new(STACK, "lineage".to_owned());
        Case { state, world: World::default(), intent, after_s: 60 }
    }

    /// What fits the call that was to make something.
    fn lost(mut self, remotes: Vec<Remote>) -> Self {
        self.world.lost.insert(7, Ok(remotes));
        self
    }

    fn recorded(mut self, address: Address, record: Recorded) -> Self {
        self.state.resources.insert(address, record);
        self
    }

    fn observed(mut self, observed: Observed) -> Self {
        self.world.resources.insert(address(), observed);
        self
    }

    fn found(self) -> Found {
        let asked: Timestamp = ASKED.parse().unwrap();
        let now = asked + jiff::SignedDuration::from_secs(self.after_s);
        recover(&Look {
            stack: STACK,
            open: &[OpenIntent { number: 7, intent: self.intent }],
            state: &self.state,
            world: &self.world,
            kinds,
            now,
            skew_ms: 0,
            late_ms: 3_600_000,
        })
    }
}

/// What was told, in a word; whether the call is known now.
fn told(found: &Found) -> (String, bool) {
    let settled = found.reports.iter().find(|report| report.code.as_deref() == Some("settled"));
    let text = settled.and_then(|report| report.causes.first()).cloned().unwrap_or_default();
    let text = text.split_once(": ").map(|(_, text)| text.to_owned()).unwrap_or_default();
    (text, found.settled.closed == [7])
}

fn records(found: &Found) -> Vec<(String, &Recorded)> {
    let records = found.settled.effects.iter().filter_map(|effect| match effect {
        Effect::Record { address, record } => Some((address.to_string(), record.as_ref())),
        Effect::Remove { .. } => None,
    });
    records.collect()
}

#[test]
fn what_is_there_is_ours_by_its_mark_or_by_its_content_and_age() {
    let later = "2026-11-23T03:00:01Z";
    let earlier = "2026-11-23T02:00:00Z";
    let mark = own_mark();
    let cases: [(&str, Json, u64, bool, bool); 6] = [
        ("all of it, since then", json!({"made": later}), 2, true, true),
        ("all of it, no time told", json!({}), 2, true, true),
        ("all of it, older", json!({"made": earlier}), 2, false, false),
        ("other content", json!({"made": later}), 3, false, false),
        ("other content, our mark", json!({"mark": mark}), 3, true, false),
        ("being deleted", json!({"mark": mark, "going": true}), 2, false, false),
    ];
    for (name, raw, size, ours, whole) in cases {
        let case = Case::new(intent(Action::Create, None)).lost(vec![there("x", size, raw)]);
        let found = case.found();
        let records = records(&found);
        assert_eq!(records.len(), usize::from(ours), "{name}");
        assert_eq!(told(&found).1, ours, "{name}");
        if let Some((at, record)) = records.first() {
            assert_eq!((at.as_str(), record.id.as_str()), ("thing.a", "x"), "{name}");
            // What is only part of it is sent again by the next plan.
            let sent = if whole { json!({"size": 2}) } else { json!({}) };
            assert_eq!(record.sent, sent, "{name}");
        }
        assert_eq!(found.observed.len(), usize::from(ours), "{name}");
    }
}

#[test]
fn what_is_not_ours_is_named_and_left_alone() {
    let other = there("x", 3, json!({}));
    let found = Case::new(intent(Action::Create, None)).lost(vec![other]).found();
    assert_eq!(told(&found), ("it has not taken effect".to_owned(), false));
    let not_ours = found.reports.iter().find(|r| r.code.as_deref() == Some("not-ours")).unwrap();
    assert_eq!(not_ours.causes, ["it is x"]);
    assert_eq!(found.settled.looked, [7]);
}

#[test]
fn what_is_not_to_be_seen_is_remembered_until_it_can_no_longer_arrive() {
    let fresh = Case::new(intent(Action::Create, None)).lost(Vec::new());
    let found = fresh.found();
    assert_eq!((found.settled.looked.as_slice(), found.settled.closed.len()), (&[7][..], 0));

    let again = Intent { looked: true, ..intent(Action::Create, None) };
    let found = Case::new(again.clone()).lost(Vec::new()).found();
    assert!(found.settled.is_empty() && found.reports.is_empty(), "said once: {found:?}");

    let case = Case { after_s: 3_601, ..Case::new(again).lost(Vec::new()) };
    assert_eq!(case.found().settled.closed, [7]);
}

#[test]
fn what_comes_late_beside_another_gets_an_address_of_its_own_and_no_protection() {
    let mark = json!({"mark": own_mark()});
    let case = Case::new(intent(Action::Create, None))
        .recorded(address(), record("first", 2))
        .observed(Observed::Present(there("first", 2, mark.clone())))
        .lost(vec![there("first", 2, mark.clone()), there("late", 2, mark.clone())]);
    let found = case.found();
    let records = records(&found);
    assert_eq!(records.len(), 1);
    let (at, record) = &records[0];
    assert!(at.starts_with("thing.a-late-"), "{at}");
    assert_eq!((record.id.as_str(), record.protected), ("late", false));

    // Of two that nobody recorded, one is the resource.
    let case = Case::new(intent(Action::Create, None))
        .lost(vec![there("x", 2, mark.clone()), there("y", 2, mark)]);
    let found = case.found();
    let at: Vec<String> = self::records(&found).into_iter().map(|(at, _)| at).collect();
    assert_eq!(at.len(), 2);
    assert_eq!(at[0], "thing.a");
    assert!(at[1].starts_with("thing.a-late-"), "{at:?}");
}

#[test]
fn what_another_address_has_is_not_taken() {
    let case = Case::new(intent(Action::Create, None))
        .recorded(Address::new("thing", "b"), record("x", 2))
        .lost(vec![there("x", 2, json!({}))]);
    assert!(records(&case.found()).is_empty());
}

#[test]
fn a_change_is_told_by_what_is_there_now() {
    let after = there("x", 2, json!({}));
    let cases: [(&str, Observed, &str, bool, usize); 5] = [
        ("new", Observed::Present(after.clone()), "it took effect", true, 1),
        ("old", Observed::Present(there("x", 1, json!({}))), "it has not taken effect", true, 0),
        (
            "neither",
            Observed::Present(there("x", 9, json!({}))),
            "the plan below goes by what is there",
            true,
            0,
        ),
        ("gone", Observed::Absent, "what it was to change is gone", true, 0),
        (
            "unread",
            Observed::Unreadable("403".to_owned()),
            "it could not be looked up what became of it",
            false,
            0,
        ),
    ];
    for (name, observed, text, closed, count) in cases {
        let case = Case::new(intent(Action::Update, Some("x")))
            .recorded(address(), record("x", 1))
            .observed(observed);
        let found = case.found();
        assert_eq!(told(&found), (text.to_owned(), closed), "{name}");
        assert_eq!(records(&found).len(), count, "{name}");
    }
    let case = Case::new(intent(Action::Update, Some("x")))
        .recorded(address(), record("y", 1))
        .observed(Observed::Present(after));
    assert_eq!(told(&case.found()).0, "another one has been made since");
}

#[test]
fn a_delete_is_told_by_whether_it_is_gone() {
    let there = there("x", 1, json!({}));
    let cases = [
        (Observed::Absent, "it took effect", 1),
        (Observed::Going(there.clone()), "it took effect, and is waited for", 0),
        (Observed::Present(there), "it has not taken effect", 0),
    ];
    for (observed, text, removed) in cases {
        let case = Case::new(intent(Action::Delete, Some("x")))
            .recorded(address(), record("x", 1))
            .observed(observed);
        let found = case.found();
        assert_eq!(told(&found), (text.to_owned(), true));
        let removes = |effect: &&Effect| matches!(effect, Effect::Remove { .. });
        assert_eq!(found.settled.effects.iter().filter(removes).count(), removed, "{text}");
    }

    // The old object of a replacement: the record waits for its successor.
    let mut removing = intent(Action::Replace, Some("x"));
    removing.step.phase = Phase::Remove;
    let case = Case::new(removing).recorded(address(), record("x", 1)).observed(Observed::Absent);
    let found = case.found();
    assert!(records(&found)[0].1.replacing);
}

#[test]
fn the_age_of_a_call_is_counted_by_the_clock_that_went_on() {
    let at = |now: &str, skew_ms: i64| {
        age_ms(&intent(Action::Create, None), now.parse().unwrap(), skew_ms)
    };
    assert_eq!(at("2026-11-23T03:00:40Z", 0), 40_000);
    assert_eq!(at("2026-11-23T03:00:40Z", 1_500), 40_000, "read to the second");
    // This machine's clock was set back an hour; the service's went on.
    assert_eq!(at("2026-11-23T02:00:40Z", 3_600_000), 40_000);
}
