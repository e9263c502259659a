//! Whether a state hangs together, by itself.

use std::collections::BTreeMap;

use crate::model::address::Address;
use crate::model::error::Report;
use crate::model::kind::Kind;
use crate::model::resource::Stack;
use crate::model::state::State;

/// What of a state can't be right, or leads nowhere. `declared` names resources that another tool
/// applies: they are needed and not recorded.
pub fn inconsistencies(
    state: &State,
    declared: Option<&Stack>,
    kinds: fn(&str) -> Option<&'static dyn Kind>,
) -> Vec<Report> {
    let mut found = Vec::new();
    let mut holders: BTreeMap<(&str, &str), &Address> = BTreeMap::new();
    for (address, record) in &state.resources {
        if kinds(&record.kind).is_none() {
            found.push(
                Report::error(format!("{address} is of a kind that this boxctl does not have"))
                    .code("kind")
                    .about(address)
                    .hint("use the boxctl that recorded it, or a newer one"),
            );
        }
        if record.kind != address.kind() {
            let text = format!("{address} is recorded as a {}", record.kind);
            found.push(Report::error(text).code("kind").about(address));
        }
        if let Some(other) = holders.insert((&record.kind, &record.id), address) {
            found.push(
                Report::error(format!("{other} and {address} are records of the same object"))
                    .code("twice")
                    .about(address)
                    .cause(format!("both have the id {}", record.id))
                    .hint(format!("`boxctl state rm {} ADDRESS` takes one out", state.stack)),
            );
        }
        let is_elsewhere = |needed: &Address| {
            declared
                .and_then(|stack| stack.resource(needed))
                .is_some_and(|resource| resource.meta.applied_elsewhere)
        };
        for needed in &record.dependencies {
            if !state.resources.contains_key(needed) && !is_elsewhere(needed) {
                found.push(
                    Report::warning(
                        "dangling",
                        format!("{address} needs {needed}, which is not recorded"),
                    )
                    .about(address)
                    .hint("the next apply records what it needs by then"),
                );
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::model::resource::{Meta, Resource};
    use crate::model::state::Recorded;

    fn no_kinds(_: &str) -> Option<&'static dyn Kind> {
        None
    }

    fn state(records: &[(&str, &str, &str, &[&str])]) -> State {
        let mut state = State::new("s", "l".to_owned());
        for (name, kind, id, needs) in records {
            let record: Recorded = serde_json::from_value(serde_json::json!({
                "kind": kind, "id": id, "key": {}, "sent": {}, "answered": {}, "outputs": {},
                "created_at": "2026-11-22T00:00:00Z", "updated_at": "2026-11-22T00:00:00Z",
            }))
            .unwrap();
            let needs: BTreeSet<Address> =
                needs.iter().map(|n| Address::new("tunnel", *n)).collect();
            let record = Recorded { dependencies: needs, ..record };
            state.resources.insert(Address::new("tunnel", *name), record);
        }
        state
    }

    fn codes(state: &State, declared: Option<&Stack>) -> Vec<String> {
        let found = inconsistencies(state, declared, no_kinds);
        let known = found.iter().filter(|r| !r.message.contains("does not have"));
        known
            .map(|report| {
                format!("{}: {}", report.code.clone().unwrap_or_default(), report.message)
            })
            .collect()
    }

    #[test]
    fn records_that_can_not_be_right_are_told() {
        assert_eq!(
            codes(&state(&[("a", "tunnel", "1", &[]), ("b", "tunnel", "2", &["a"])]), None),
            Vec::<String>::new()
        );
        assert_eq!(
            codes(&state(&[("a", "tunnel", "1", &[]), ("b", "tunnel", "1", &[])]), None),
            ["twice: tunnel.a and tunnel.b are records of the same object"]
        );
        assert_eq!(
            codes(&state(&[("a", "dns_record", "1", &[])]), None),
            ["kind: tunnel.a is recorded as a dns_record"]
        );
        assert_eq!(
            codes(&state(&[("a", "tunnel", "1", &["gone"])]), None),
            ["dangling: tunnel.a needs tunnel.gone, which is not recorded"]
        );
    }

    #[test]
    fn what_another_tool_applies_is_needed_and_not_recorded() {
        let elsewhere = Resource {
            address: Address::new("tunnel", "gone"),
            spec: serde_json::json!({}),
            meta: Meta { applied_elsewhere: true, ..Meta::default() },
            location: None,
        };
        let declared = Stack { resources: vec![elsewhere], ..Stack::default() };
        let state = state(&[("a", "tunnel", "1", &["gone"])]);
        assert_eq!(codes(&state, Some(&declared)), Vec::<String>::new());
    }

    #[test]
    fn a_kind_that_is_not_known_is_told_by_address() {
        let found = inconsistencies(&state(&[("a", "tunnel", "1", &[])]), None, no_kinds);
        assert_eq!(found[0].message, "tunnel.a is of a kind that this boxctl does not have");
    }
}
