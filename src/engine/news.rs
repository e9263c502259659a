//! What is new in a set of drift, compared with what was told last.

use crate::model::address::Address;
use crate::model::change::{Acknowledged, Drift, FieldChange};
use crate::model::notify::{News, Told};

use super::acknowledge;
use super::fingerprint;

/// What is remembered of drift. `shown` gives its differences with what may not be shown hidden.
pub fn told(stack: &str, drift: &Drift, shown: &dyn Fn(&Drift) -> Vec<FieldChange>) -> Told {
    let mut seen: Vec<String> = acknowledge::seen(drift.kind, &shown(drift))
        .iter()
        .map(|one| format!("{} {:?}", one.path, one.content))
        .collect();
    seen.sort();
    Told {
        stack: stack.to_owned(),
        address: drift.address.clone(),
        drift: drift.kind,
        fingerprint: fingerprint::of_public(&seen.into()),
    }
}

/// What changed since `before`, and what there is to remember. `is_seen` says whether a resource
/// was looked at: what was not stays as it was told.
pub fn news(
    before: &[Told],
    drift: &[(String, Drift)],
    acknowledged: &[(String, Drift, Acknowledged)],
    shown: &dyn Fn(&Drift) -> Vec<FieldChange>,
    is_seen: &dyn Fn(&str, &Address) -> bool,
) -> (News, Vec<Told>) {
    let mut news = News::default();
    let mut now: Vec<Told> = Vec::new();
    for (stack, one) in drift {
        let told = told(stack, one, shown);
        let there = || (stack.clone(), one.clone());
        match before.iter().find(|old| old.is_about(&told)) {
            None => news.new.push(there()),
            Some(old) if old.fingerprint != told.fingerprint => news.changed.push(there()),
            Some(_) => news.same += 1,
        }
        now.push(told);
    }
    for old in before {
        if now.iter().any(|one| one.is_about(old)) {
            continue;
        }
        let is_known = acknowledged.iter().any(|(stack, one, _)| {
            (stack, &one.address, one.kind) == (&old.stack, &old.address, old.drift)
        });
        if is_known {
            news.acknowledged.push(old.clone());
        } else if is_seen(&old.stack, &old.address) {
            news.resolved.push(old.clone());
        } else {
            news.same += 1;
            now.push(old.clone());
        }
    }
    now.sort();
    (news, now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::change::DriftKind;
    use serde_json::json;

    fn drift(name: &str, value: u32) -> (String, Drift) {
        let paths = vec![FieldChange::new("ttl", Some(json!(1)), Some(json!(value)))];
        let address = Address::new("dns_record", name);
        ("s".to_owned(), Drift { address, kind: DriftKind::Drifted, paths })
    }

    /// Names that are new, changed, resolved, acknowledged, how many stay, and how many are kept.
    fn told_of(
        before: &[(String, Drift)],
        now: &[(String, Drift)],
        known: &[(String, Drift)],
        unseen: &str,
    ) -> (String, String, String, String, usize, usize) {
        let shown = |drift: &Drift| drift.paths.clone();
        let before: Vec<Told> = before.iter().map(|(s, one)| told(s, one, &shown)).collect();
        let said = Acknowledged { until: String::new(), reason: String::new(), by: None };
        let known: Vec<_> =
            known.iter().map(|(s, one)| (s.clone(), one.clone(), said.clone())).collect();
        let (news, kept) =
            news(&before, now, &known, &shown, &|_, address| address.name() != unseen);
        let names =
            |all: &[(String, Drift)]| all.iter().map(|(_, one)| one.address.name()).collect();
        let olds = |all: &[Told]| all.iter().map(|one| one.address.name()).collect();
        (
            names(&news.new),
            names(&news.changed),
            olds(&news.resolved),
            olds(&news.acknowledged),
            news.same,
            kept.len(),
        )
    }

    #[test]
    fn only_what_changed_is_news() {
        let (a, b, c) = (drift("a", 1), drift("b", 1), drift("c", 1));
        let text = |new: &str, changed: &str, resolved: &str, known: &str, same, kept| {
            (new.to_owned(), changed.to_owned(), resolved.to_owned(), known.to_owned(), same, kept)
        };
        let (both, other) = ([a.clone(), b.clone()], [a.clone(), drift("b", 2)]);
        assert_eq!(told_of(&[], &both, &[], ""), text("ab", "", "", "", 0, 2));
        assert_eq!(told_of(&both, &both, &[], ""), text("", "", "", "", 2, 2));
        assert_eq!(told_of(&both, &other, &[], ""), text("", "b", "", "", 1, 2));
        assert_eq!(told_of(&both, &[c], &[], ""), text("c", "", "ab", "", 0, 1));
        assert_eq!(told_of(&both, &[], &[], "a"), text("", "", "b", "", 1, 1));
        assert_eq!(told_of(&both, &[a], &[b], ""), text("", "", "", "b", 1, 1));
    }
}
