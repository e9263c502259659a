//! What drifted, as a page.

use super::content::{Entry, Page, Section, Tile, Tone};
use crate::model::change::{Drift, DriftKind};
use crate::model::error::{Level, Report};
use crate::render::drift::{DriftView, advice, authors, exposures, is_exposure};
use crate::render::group::grouped;
use crate::render::human::{drift_words, requests_line, sign};
use crate::render::mask::Mask;
use crate::render::text::{count, duration, moment};

/// What the two sides of a drift are.
const SIDES: (&str, &str) = ("recorded", "observed");

/// What a look found.
pub(super) fn page(view: &DriftView) -> Page {
    let counts = view.counts(None);
    let unread = view.checks.iter().any(Report::is_unreadable);
    let open = exposures(&view.checks).count();
    let found = view.drift.len();
    let (tone, verdict) = match (open, found) {
        (0, 0) if unread => (Tone::Changed, "What could be read is as it was recorded".to_owned()),
        (0, 0) => (Tone::Good, "Everything is as it was recorded".to_owned()),
        (0, 1) => (Tone::Bad, "1 resource is not as it was recorded".to_owned()),
        (0, n) => (Tone::Bad, format!("{n} resources are not as they were recorded")),
        (1, _) => (Tone::Bad, "1 hostname is open to everyone".to_owned()),
        (n, _) => (Tone::Bad, format!("{n} hostnames are open to everyone")),
    };
    let mut notes: Vec<String> = view
        .in_progress
        .iter()
        .map(|(stack, holder)| format!("Stack {stack} is being worked on by {holder}."))
        .collect();
    if !view.taken.is_empty() {
        let values = count(view.taken.len() as u64, "value");
        notes.push(format!("{values} were taken as recorded, not read."));
    }
    notes.push(requests_line(view.requests));
    let tile = |tone, number, word, id| Tile { tone, number, word, id };
    let mut page = Page {
        command: "drift",
        project: view.project.clone(),
        tone,
        verdict,
        advice: if found > 0 { advice(view) } else { String::new() },
        facts: vec![
            ("looked at", moment(&view.at.to_string())),
            ("took", duration(view.elapsed_ms)),
            ("stacks", view.stacks.len().to_string()),
        ],
        tiles: vec![
            tile(Tone::Bad, counts.missing, "missing", "found"),
            tile(Tone::Changed, counts.drifted, "changed", "found"),
            tile(Tone::Other, counts.foreign, "foreign", "found"),
            tile(Tone::Quiet, counts.acknowledged, "acknowledged", "known"),
            tile(Tone::Quiet, counts.pending, "not applied yet", "pending"),
        ],
        reports: reports(view.checks.iter()),
        sections: sections(view),
        notes,
        ..Page::default()
    };
    page.mark(view.graphs.clone());
    page
}

/// What there is to tell: hostnames that are open, then errors, then warnings.
pub(super) fn reports<'a>(all: impl Iterator<Item = &'a Report>) -> Vec<Report> {
    let told = all.filter(|report| report.level > Level::Note);
    let mut all = crate::render::reports::gathered(told);
    all.sort_by_key(|one| (!is_exposure(one), std::cmp::Reverse(one.level)));
    all
}

fn sections(view: &DriftView) -> Vec<Section> {
    let section = |id, title, entries| Section { id, title, entries, sides: SIDES };
    let found =
        view.by_weight().into_iter().map(|(stack, one)| place(entry(stack, one), view)).collect();
    let known = view.acknowledged.iter().map(|(stack, one, said)| {
        let by = said.by.as_ref().map(|by| format!(" ({by})")).unwrap_or_default();
        let mut entry = place(entry(stack, one), view);
        entry.tone = Tone::Quiet;
        entry.aside = format!("until {}", said.until);
        entry.remarks.insert(0, ("acknowledged", format!("{}{by}", said.reason)));
        entry
    });
    let pending = view.pending.iter().map(|(stack, address, action)| Entry {
        stack: stack.clone(),
        address: Some(address.clone()),
        sign: sign(*action).0,
        word: sign(*action).1.to_owned(),
        ..Entry::default()
    });
    vec![
        section("found", "Not as it was recorded", found),
        section("known", "Acknowledged, and unchanged since", known.collect()),
        section("pending", "Not applied yet", pending.collect()),
    ]
}

/// A resource that is not as it was recorded.
pub(super) fn entry(stack: &str, one: &Drift) -> Entry {
    let (sign, word) = drift_words(one.kind);
    let aside = authors(one).pop().map(|(by, since)| {
        let parts = [by.map(str::to_owned), since.map(moment)].into_iter().flatten();
        let parts: Vec<String> = parts.collect();
        parts.join(", ")
    });
    Entry {
        stack: stack.to_owned(),
        address: Some(one.address.clone()),
        tone: match one.kind {
            DriftKind::Missing => Tone::Bad,
            DriftKind::Drifted => Tone::Changed,
            DriftKind::Foreign => Tone::Other,
        },
        sign,
        word: word.to_owned(),
        aside: aside.unwrap_or_default(),
        fields: grouped(&one.paths, Mask::of(&one.address, None)),
        ..Entry::default()
    }
}

/// The entry with the place where the files ask for it.
fn place(mut entry: Entry, view: &DriftView) -> Entry {
    if let Some(address) = &entry.address
        && let Some(place) = view.places.get(&(entry.stack.clone(), address.clone()))
    {
        entry.remarks.push(("asked for at", place.to_string()));
    }
    entry
}
