//! Which drift rings, and which is known and unchanged since somebody said so.

use std::collections::BTreeMap;

use crate::model::acknowledge::{Acknowledgement, Content, Seen};
use crate::model::address::Address;
use crate::model::change::{Acknowledged, Drift, DriftKind, FieldChange};
use crate::model::error::Report;
use crate::model::path;

use super::fingerprint;

/// What stands in the place of a value that may not be shown.
const HIDDEN: &str = "(secret)";
/// Values whose JSON is longer than this many bytes are kept as fingerprints: nobody reads them.
const LONG: usize = 160;

/// Drift, told apart by what is known of it.
#[derive(Clone, Debug, Default)]
pub struct Sorted {
    /// What counts, with its stack.
    pub rings: Vec<(String, Drift)>,
    /// What does not, with its stack and what was said of it.
    pub quiet: Vec<(String, Drift, Acknowledged)>,
    /// Statements that do not hold any more, and why.
    pub reports: Vec<Report>,
    /// Which statements are over: expired, or of something that has drifted no more.
    pub over: Vec<usize>,
}

/// Tells what rings from what is known. `shown` gives a drift's differences with what may not be
/// shown hidden; `is_seen` whether a resource was looked at, so that it could have drifted.
pub fn sort(
    drift: Vec<(String, Drift)>,
    known: &[Acknowledgement],
    now: jiff::Timestamp,
    shown: &dyn Fn(&Drift) -> Vec<FieldChange>,
    is_seen: &dyn Fn(&str, &Address) -> bool,
) -> Sorted {
    let mut out = Sorted::default();
    let mut drifted = vec![false; known.len()];
    for (stack, drift) in drift {
        let mut quiet: BTreeMap<&str, usize> = BTreeMap::new();
        let mut unfit: Vec<(usize, bool, Vec<&str>)> = Vec::new();
        for (at, one) in known.iter().enumerate() {
            let is_of_it =
                (&one.stack, &one.address, one.drift) == (&stack, &drift.address, drift.kind);
            let part = Drift {
                paths: drift.paths.iter().filter(|c| covers(one, &c.path)).cloned().collect(),
                ..drift.clone()
            };
            if !is_of_it || part.paths.is_empty() {
                continue;
            }
            if let Some(said) = drifted.get_mut(at) {
                *said = true;
            }
            let paths = drift.paths.iter().map(|change| change.path.as_str());
            let paths = paths.filter(|path| covers(one, path));
            let is_over = now >= one.ends;
            if !is_over && is_as_seen(&seen(part.kind, &shown(&part)), &one.observed) {
                paths.for_each(|path| {
                    quiet.entry(path).or_insert(at);
                });
            } else {
                unfit.push((at, is_over, paths.collect()));
            }
        }
        for (at, is_over, paths) in unfit {
            // What another statement holds for needs no word.
            let rings = paths.iter().any(|path| !quiet.contains_key(path));
            if is_over || !rings {
                out.over.push(at);
            }
            if let Some(one) = known.get(at).filter(|_| rings) {
                out.reports.push(if is_over { expired(one) } else { changed(one) });
            }
        }
        for (at, one) in known.iter().enumerate() {
            let is_held = |change: &&FieldChange| quiet.get(change.path.as_str()) == Some(&at);
            let paths: Vec<_> = drift.paths.iter().filter(is_held).cloned().collect();
            if !paths.is_empty() {
                let part = Drift { paths, ..drift.clone() };
                out.quiet.push((stack.clone(), part, acknowledged(one)));
            }
        }
        let rings = |change: &&FieldChange| !quiet.contains_key(change.path.as_str());
        let paths: Vec<_> = drift.paths.iter().filter(rings).cloned().collect();
        if !paths.is_empty() {
            out.rings.push((stack, Drift { paths, ..drift }));
        }
    }
    for (at, one) in known.iter().enumerate() {
        if !drifted.get(at).copied().unwrap_or_default() && is_seen(&one.stack, &one.address) {
            out.over.push(at);
            out.reports.push(stale(one));
        }
    }
    out
}

/// Whether a statement speaks of a path.
pub fn covers(one: &Acknowledgement, at: &str) -> bool {
    one.path.as_ref().is_none_or(|path| path::covers(path, at))
}

/// What is there at each path that differs, as far as it may be kept. `shown`: with what may not be
/// shown hidden.
pub fn seen(kind: DriftKind, shown: &[FieldChange]) -> Vec<Seen> {
    shown
        .iter()
        .map(|change| Seen { path: change.path.clone(), content: content(kind, change) })
        .collect()
}

fn content(kind: DriftKind, change: &FieldChange) -> Content {
    let hidden = |value: &Option<crate::model::Json>| {
        value.as_ref().is_some_and(|value| value.as_str() == Some(HIDDEN))
    };
    if change.secret || hidden(&change.before) || hidden(&change.after) {
        return Content::Secret { note: change.note.clone(), since: change.since.clone() };
    }
    // Of what is gone, the id tells whether it is the same that is gone.
    let there = if kind == DriftKind::Missing { &change.before } else { &change.after };
    match there {
        None => Content::Nothing,
        Some(value) if value.is_null() => Content::Nothing,
        Some(value) if value.to_string().len() > LONG => {
            Content::Fingerprint(fingerprint::of_public(value))
        }
        Some(value) => Content::Value(value.clone()),
    }
}

/// Whether the same was seen at the same paths, in whatever order.
fn is_as_seen(now: &[Seen], then: &[Seen]) -> bool {
    now.len() == then.len() && now.iter().all(|one| then.contains(one))
}

fn acknowledged(one: &Acknowledgement) -> Acknowledged {
    Acknowledged { until: one.until.clone(), reason: one.reason.clone(), by: one.by.clone() }
}

fn expired(one: &Acknowledgement) -> Report {
    let text = format!("{} was acknowledged until {}, which is over", one.subject(), one.until);
    Report::warning("ack-expired", text).about(&one.address).at(one.location.clone()).hint(format!(
        "`boxctl drift ack {}` says it anew, `boxctl drift revert` puts it back",
        one.subject()
    ))
}

fn changed(one: &Acknowledgement) -> Report {
    let text = format!("{} has changed again since it was acknowledged", one.subject());
    Report::warning("ack-changed", text)
        .about(&one.address)
        .at(one.location.clone())
        .cause(format!("acknowledged: {}", one.reason))
}

fn stale(one: &Acknowledgement) -> Report {
    let text = format!("{} is acknowledged, and has drifted no more", one.subject());
    Report::note(text)
        .code("ack-stale")
        .about(&one.address)
        .at(one.location.clone())
        .hint("`boxctl drift ack --prune` takes out what is over")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Json;
    use serde_json::json;

    fn change(path: &str, after: Json) -> FieldChange {
        FieldChange::new(path, Some(json!("was")), Some(after))
    }

    fn drift(kind: DriftKind, paths: Vec<FieldChange>) -> (String, Drift) {
        ("s".to_owned(), Drift { address: Address::new("dns_record", "a"), kind, paths })
    }

    fn said(path: Option<&str>, drift: DriftKind, observed: Vec<Seen>) -> Acknowledgement {
        Acknowledgement {
            stack: "s".to_owned(),
            address: Address::new("dns_record", "a"),
            path: path.map(str::to_owned),
            drift,
            observed,
            until: "2027-01-31".to_owned(),
            ends: "2027-02-01T00:00:00Z".parse().unwrap(),
            reason: "known".to_owned(),
            by: None,
            at: None,
            location: None,
        }
    }

    fn value(path: &str, value: Json) -> Seen {
        Seen { path: path.to_owned(), content: Content::Value(value) }
    }

    /// Paths that ring, paths that are quiet, codes of reports.
    fn sorted(
        found: (String, Drift),
        known: &[Acknowledgement],
        now: &str,
    ) -> (Vec<String>, Vec<String>, Vec<String>) {
        let shown = |drift: &Drift| drift.paths.clone();
        let out = sort(vec![found], known, now.parse().unwrap(), &shown, &|_, _| true);
        let paths =
            |drift: &Drift| drift.paths.iter().map(|one| one.path.clone()).collect::<Vec<_>>();
        (
            out.rings.iter().flat_map(|(_, one)| paths(one)).collect(),
            out.quiet.iter().flat_map(|(_, one, _)| paths(one)).collect(),
            out.reports.iter().filter_map(|one| one.code.clone()).collect(),
        )
    }

    #[test]
    fn what_is_as_it_was_acknowledged_is_quiet_until_then() {
        let kind = DriftKind::Drifted;
        let both = || drift(kind, vec![change("ttl", json!(300)), change("tags[0]", json!("x"))]);
        let ttl = said(Some("ttl"), kind, vec![value("ttl", json!(300))]);
        let all = said(None, kind, vec![value("tags[0]", json!("x")), value("ttl", json!(300))]);
        let (before, after) = ("2027-01-31T23:59:59Z", "2027-02-01T00:00:00Z");
        type Case<'a> =
            (&'a [Acknowledgement], &'a str, &'a [&'a str], &'a [&'a str], &'a [&'a str]);
        let table: [Case<'_>; 6] = [
            (&[], before, &["ttl", "tags[0]"], &[], &[]),
            (std::slice::from_ref(&ttl), before, &["tags[0]"], &["ttl"], &[]),
            (std::slice::from_ref(&all), before, &[], &["ttl", "tags[0]"], &[]),
            (std::slice::from_ref(&all), after, &["ttl", "tags[0]"], &[], &["ack-expired"]),
            (
                &[said(None, kind, vec![value("ttl", json!(300))])],
                before,
                &["ttl", "tags[0]"],
                &[],
                &["ack-changed"],
            ),
            (
                &[said(None, DriftKind::Foreign, vec![value("ttl", json!(300))])],
                before,
                &["ttl", "tags[0]"],
                &[],
                &["ack-stale"],
            ),
        ];
        for (known, now, rings, quiet, codes) in table {
            let (r, q, c) = sorted(both(), known, now);
            let text = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
            assert_eq!((r, q, c), (text(rings), text(quiet), text(codes)), "{known:?} at {now}");
        }
    }

    #[test]
    fn another_value_rings() {
        let kind = DriftKind::Drifted;
        let known = [said(Some("ttl"), kind, vec![value("ttl", json!(300))])];
        let found = drift(kind, vec![change("ttl", json!(60))]);
        let (rings, quiet, codes) = sorted(found, &known, "2027-01-01T00:00:00Z");
        assert_eq!((rings.len(), quiet.len()), (1, 0));
        assert_eq!(codes, ["ack-changed"]);
    }

    #[test]
    fn what_may_not_be_shown_is_known_by_what_is_said_of_it() {
        let hidden = FieldChange {
            note: Some("someone wrote version 3".to_owned()),
            ..change("value", json!(HIDDEN))
        };
        let found = seen(DriftKind::Drifted, std::slice::from_ref(&hidden));
        let note = hidden.note.clone();
        assert_eq!(found[0].content, Content::Secret { note, since: None });
        let long = seen(DriftKind::Drifted, &[change("x", json!("y".repeat(500)))]);
        assert!(matches!(&long[0].content, Content::Fingerprint(text) if text.len() == 32));
        let gone = FieldChange::new("id", Some(json!("123")), None);
        assert_eq!(seen(DriftKind::Missing, &[gone]), [value("id", json!("123"))]);
    }

    #[test]
    fn what_was_not_looked_at_is_not_over() {
        let known = [said(None, DriftKind::Missing, vec![])];
        let shown = |drift: &Drift| drift.paths.clone();
        let now = "2027-01-01T00:00:00Z".parse().unwrap();
        let out = sort(Vec::new(), &known, now, &shown, &|_, _| false);
        assert!(out.over.is_empty() && out.reports.is_empty());
        let out = sort(Vec::new(), &known, now, &shown, &|_, _| true);
        assert_eq!(out.over, [0]);
    }
}
