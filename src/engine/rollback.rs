//! Going back: what an earlier run applied is what is declared.

use std::collections::BTreeSet;

use serde_json::json;

use crate::model::Json;
use crate::model::address::Address;
use crate::model::history::Past;
use crate::model::resource::{Resource, Stack};
use crate::model::secret::SecretId;
use crate::model::state::RolledBack;

use super::fingerprint;
use super::resolve::without_fingerprints;

/// A fingerprint of what a stack asks for. Where it is written, the values of secrets and where
/// values come from do not count.
pub fn asks(stack: &Stack) -> String {
    let resources: Vec<Json> = stack
        .resources
        .iter()
        .map(|r| {
            let spec = without_fingerprints(&r.spec, &|_| true);
            json!({"address": r.address, "spec": spec, "meta": r.meta})
        })
        .collect();
    let lookups: Vec<Json> =
        stack.lookups.iter().map(|l| json!({"address": l.address, "query": l.query})).collect();
    fingerprint::of_public(&json!({
        "resources": resources, "lookups": lookups, "forget": stack.forget, "public": stack.public,
        "protect_settings": stack.protect_settings,
    }))
}

/// What an earlier run applied, to be applied again: the secrets that this run has are today's.
pub fn as_it_was(past: &Stack, name: &str, at_hand: impl Fn(&SecretId) -> bool) -> Stack {
    let resources = past.resources.iter().map(|resource| Resource {
        spec: without_fingerprints(&resource.spec, &at_hand),
        ..resource.clone()
    });
    Stack {
        name: name.to_owned(),
        renamed_from: None,
        resources: resources.collect(),
        ..past.clone()
    }
}

/// What is applied after a run that did not do all it was asked for: what it came to is as this
/// run declared it, the rest is as the run before did.
pub fn as_applied(
    before: Option<&Stack>,
    now: &Stack,
    done: &impl Fn(&Address) -> bool,
    is_recorded: &impl Fn(&Address) -> bool,
) -> Stack {
    let mut resources: Vec<Resource> =
        now.resources.iter().filter(|resource| done(&resource.address)).cloned().collect();
    let there: BTreeSet<Address> = resources.iter().map(|r| r.address.clone()).collect();
    let earlier = before.map(|stack| stack.resources.as_slice()).unwrap_or_default().iter();
    resources.extend(
        earlier
            .filter(|resource| !there.contains(&resource.address))
            .filter(|resource| is_recorded(&resource.address))
            .cloned(),
    );
    let mut lookups = now.lookups.clone();
    let known: BTreeSet<&Address> = now.lookups.iter().map(|lookup| &lookup.address).collect();
    let earlier = before.map(|stack| stack.lookups.as_slice()).unwrap_or_default().iter();
    lookups.extend(earlier.filter(|lookup| !known.contains(&lookup.address)).cloned());
    // With what the run before had, nothing is missing.
    let partial = now.partial && before.is_none();
    Stack { resources, lookups, partial, ..now.clone() }
}

/// Why there is nothing to go back to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPast {
    /// No run of that number is kept.
    #[error("run {serial} is not kept")]
    NotKept {
        /// What was asked for.
        serial: u64,
    },
    /// The run applied nothing, or what it applied was not kept.
    #[error("what run {serial} applied is not kept: it was `{run}`")]
    NothingApplied {
        /// What was asked for.
        serial: u64,
        /// What it was.
        run: String,
    },
    /// No complete run before this one applied anything else.
    #[error("no earlier run is kept that did all it was asked for and applied anything else")]
    NothingElse,
}

/// The run to go back to: the one of that number, or the one that a rollback did not wholly get
/// back to, or the last complete one that applied something else than is applied now. `history` is
/// in order.
///
/// # Errors
/// There is none.
pub fn past(history: &[Past], serial: Option<u64>) -> Result<(&Past, &Stack), NoPast> {
    let unfinished = history.last().filter(|past| !past.complete).and_then(|past| past.back_to);
    if let Some(serial) = serial.or(unfinished) {
        let past = history.iter().find(|past| past.serial() == serial);
        let past = past.ok_or(NoPast::NotKept { serial })?;
        let run = past.run.clone();
        let declared = past.declared.as_ref().ok_or(NoPast::NothingApplied { serial, run })?;
        return Ok((past, declared));
    }
    let now = history.iter().rev().find_map(|past| past.declared.as_ref()).map(asks);
    history
        .iter()
        .rev()
        .filter(|past| past.complete)
        .filter_map(|past| Some((past, past.declared.as_ref()?)))
        .find(|(_, declared)| Some(asks(declared)) != now)
        .ok_or(NoPast::NothingElse)
}

/// What the state notes of going back, if the files ask for something else.
pub fn note(history: &[Past], past: &Past, files: &str) -> Option<RolledBack> {
    let asks_for_it = |past: &Past| past.declared.as_ref().is_some_and(|s| asks(s) == files);
    if asks_for_it(past) {
        return None;
    }
    let asked = history.iter().rev().find(|past| asks_for_it(past)).map(Past::serial);
    Some(RolledBack { to: past.serial(), asked, files: files.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::plan::Summary;
    use crate::model::resource::Meta;
    use crate::model::state::State;
    use crate::model::value::Special;

    fn resource(name: &str, value: Json) -> Resource {
        Resource {
            address: Address::new("tunnel", name),
            spec: value,
            meta: Meta::default(),
            location: None,
        }
    }

    fn stack(resources: &[(&str, Json)]) -> Stack {
        let resources = resources.iter().map(|(name, spec)| resource(name, spec.clone()));
        Stack { name: "s".to_owned(), resources: resources.collect(), ..Stack::default() }
    }

    fn run(serial: u64, complete: bool, declared: Option<Stack>) -> Past {
        let mut state = State::new("s", "l".to_owned());
        state.serial = serial;
        Past { complete, run: "apply".to_owned(), declared, ..Past::of_state(state) }
    }

    fn secret(fingerprint: Option<&str>) -> Json {
        Special::secret(SecretId::variable("password"), fingerprint.map(str::to_owned))
    }

    fn chosen(history: &[Past], serial: Option<u64>) -> Result<u64, NoPast> {
        past(history, serial).map(|(past, _)| past.serial())
    }

    #[test]
    fn without_a_number_it_is_the_last_complete_run_that_applied_something_else() {
        let (a, b) = (stack(&[("t", 1.into())]), stack(&[("t", 2.into())]));
        let of = |runs: &[(u64, bool, Option<&Stack>)]| {
            let runs = runs.iter().map(|(n, complete, s)| run(*n, *complete, s.cloned()));
            chosen(&runs.collect::<Vec<_>>(), None)
        };
        let (a, b) = (Some(&a), Some(&b));
        assert_eq!(of(&[(1, true, a), (2, true, b)]), Ok(1));
        // A drift that was put right applied the same.
        assert_eq!(of(&[(1, true, a), (2, true, b), (3, true, b)]), Ok(1));
        // What half succeeded is no place to go back to, but to be taken back.
        assert_eq!(of(&[(1, true, a), (2, false, b)]), Ok(1));
        assert_eq!(of(&[(1, true, a), (2, false, b), (3, true, a)]), Err(NoPast::NothingElse));
        // A change of the state by hand applied nothing.
        assert_eq!(of(&[(1, true, a), (2, true, b), (3, true, None)]), Ok(1));
        // A way back that was not done is gone on with.
        let mut half_way = run(3, false, Some(stack(&[])));
        half_way.back_to = Some(1);
        let runs = [run(1, true, a.cloned()), run(2, true, b.cloned()), half_way];
        assert_eq!(chosen(&runs, None), Ok(1));
        // Taken back twice, it is where it was.
        assert_eq!(of(&[(1, true, a), (2, true, b), (3, true, a)]), Ok(2));
        assert_eq!(of(&[(1, true, a)]), Err(NoPast::NothingElse));
        assert_eq!(of(&[]), Err(NoPast::NothingElse));
    }

    #[test]
    fn a_number_is_that_run_or_why_it_can_not_be() {
        let a = stack(&[("t", 1.into())]);
        let runs = [run(6, true, None), run(7, false, Some(a))];
        assert_eq!(chosen(&runs, Some(7)), Ok(7));
        let no = NoPast::NothingApplied { serial: 6, run: "apply".to_owned() };
        assert_eq!(chosen(&runs, Some(6)), Err(no));
        assert_eq!(chosen(&runs, Some(5)), Err(NoPast::NotKept { serial: 5 }));
    }

    #[test]
    fn values_of_secrets_and_places_in_files_are_not_what_is_asked_for() {
        let one = stack(&[("t", secret(Some("f1")))]);
        let mut other = stack(&[("t", secret(None))]);
        other.resources[0].location = Some(crate::model::resource::Location {
            file: "stacks/s.yaml".to_owned(),
            line: 3,
            column: 1,
        });
        assert_eq!(asks(&one), asks(&other));
        other.resources[0].meta.wait = false;
        assert_ne!(asks(&one), asks(&other));
    }

    #[test]
    fn secrets_that_are_at_hand_are_todays_and_others_stay() {
        let declared = stack(&[("t", secret(Some("f1")))]);
        let today = as_it_was(&declared, "renamed", |_| true);
        assert_eq!((today.name.as_str(), &today.resources[0].spec), ("renamed", &secret(None)));
        let kept = as_it_was(&declared, "s", |_| false);
        assert_eq!(kept.resources[0].spec, secret(Some("f1")));
    }

    #[test]
    fn after_a_run_that_failed_in_part_each_resource_is_as_it_was_last_applied() {
        let before =
            stack(&[("a", 1.into()), ("b", 1.into()), ("c", 1.into()), ("gone", 1.into())]);
        let now = stack(&[("a", 2.into()), ("b", 2.into()), ("new", 2.into())]);
        let is = |names: &'static [&str]| move |a: &Address| names.contains(&a.name());
        let applied = as_applied(Some(&before), &now, &is(&["a"]), &is(&["a", "b", "c"]));
        let found: Vec<_> =
            applied.resources.iter().map(|r| (r.address.name(), r.spec.clone())).collect();
        assert_eq!(found, [("a", 2.into()), ("b", 1.into()), ("c", 1.into())]);
        let first = as_applied(None, &now, &is(&["a"]), &is(&["a"]));
        assert_eq!(first.resources.len(), 1);
    }

    #[test]
    fn the_state_notes_a_way_back_unless_the_files_ask_for_it() {
        let (a, b) = (stack(&[("t", 1.into())]), stack(&[("t", 2.into())]));
        let history = [
            run(7, true, Some(a.clone())),
            run(8, true, Some(b.clone())),
            run(9, true, Some(b.clone())),
        ];
        assert_eq!(note(&history, &history[0], &asks(&a)), None);
        let noted = note(&history, &history[0], &asks(&b)).unwrap();
        assert_eq!((noted.to, noted.asked), (7, Some(9)));
        let never = note(&history, &history[0], &asks(&stack(&[]))).unwrap();
        assert_eq!((never.to, never.asked), (7, None));
    }

    #[test]
    fn a_run_known_by_its_state_alone_did_nothing_that_can_be_applied() {
        let past = Past::of_state(State::new("s", "l".to_owned()));
        assert_eq!((past.done, past.declared), (Summary::default(), None));
    }
}
