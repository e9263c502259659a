//! What became of calls whose answers were lost: told from what is there, never guessed.
//!
//! An object is taken for the one that a lost call made where it bears the mark of its address, or
//! where it is what the request asked for and not older than the intent; its name was free when
//! the call was planned. What is not to be seen may still arrive: its intent is remembered for a
//! while, and what comes late beside its successor is recorded under an address of its own, so
//! that the plan takes it away.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::model::address::Address;
use crate::model::change::Action;
use crate::model::error::Report;
use crate::model::journal::{Effect, Intent, OpenIntent, Settled};
use crate::model::kind::{Kind, Readiness, Shows, Written};
use crate::model::observed::{Observed, Remote, World};
use crate::model::path;
use crate::model::state::{Recorded, State};
use crate::model::{Json, JsonMap};

use super::fingerprint;

/// Clocks are read to the second (`Date`, `creationTimestamp`), on both sides.
const CLOCK_SLACK_MS: i64 = 2_000;

/// What a look at lost calls rests on.
pub struct Look<'a> {
    /// The stack.
    pub stack: &'a str,
    /// The calls, oldest first.
    pub open: &'a [OpenIntent],
    /// The state, with the journal folded in.
    pub state: &'a State,
    /// What was observed, [`World::lost`] among it.
    pub world: &'a World,
    /// Finds kinds by name.
    pub kinds: fn(&str) -> Option<&'static dyn Kind>,
    /// Now, by this machine's clock.
    pub now: Timestamp,
    /// How far the services' clocks are ahead of this one's, in milliseconds.
    pub skew_ms: i64,
    /// How long a call may arrive late, in milliseconds.
    pub late_ms: u64,
}

/// What was found out.
#[derive(Debug, Default)]
pub struct Found {
    /// What is to be written down.
    pub settled: Settled,
    /// What is there by now, of addresses whose record changed.
    pub observed: Vec<(Address, Observed)>,
    /// What to tell.
    pub reports: Vec<Report>,
}

/// When an intent was written, by the service's clock.
pub fn asked_at(intent: &Intent) -> Option<Timestamp> {
    let at: Timestamp = intent.at.parse().ok()?;
    let skew = jiff::SignedDuration::from_millis(intent.skew_ms.unwrap_or(0));
    at.checked_add(skew).ok()
}

/// How long ago an intent was written, in milliseconds. Two clocks that moved apart by no more
/// than they are read to are taken for one that went on; of two that did, the service's counts.
pub fn age_ms(intent: &Intent, now: Timestamp, skew_ms: i64) -> i64 {
    let Ok(at) = intent.at.parse::<Timestamp>() else { return i64::MAX };
    let own = now.duration_since(at).as_millis();
    let apart = skew_ms.saturating_sub(intent.skew_ms.unwrap_or(skew_ms));
    let apart = if apart.abs() <= CLOCK_SLACK_MS { 0 } else { apart };
    i64::try_from(own).unwrap_or(i64::MAX).saturating_add(apart)
}

/// Finds out what became of lost calls.
pub fn recover(look: &Look<'_>) -> Found {
    let mut recovery = Recovery {
        look,
        records: look.state.resources.clone(),
        found: Found::default(),
        told: Vec::new(),
    };
    for open in look.open {
        recovery.one(open);
    }
    recovery.finish()
}

struct Recovery<'a> {
    look: &'a Look<'a>,
    records: BTreeMap<Address, Recorded>,
    found: Found,
    told: Vec<String>,
}

/// What the look at one call came to.
enum End {
    /// It is known.
    Closed(&'static str),
    /// Nothing of it is to be seen.
    Unseen,
    /// It could not be looked up.
    Unread,
}

impl Recovery<'_> {
    fn one(&mut self, open: &OpenIntent) {
        let intent = &open.intent;
        let Some(kind) = (self.look.kinds)(intent.address.kind()) else { return };
        let end = if intent.removes() {
            self.removed(intent)
        } else if intent.id.is_some() {
            self.changed(kind, open)
        } else {
            self.made(kind, open)
        };
        match end {
            End::Closed(what) => {
                self.found.settled.closed.push(open.number);
                self.tell(intent, what);
            }
            End::Unread => self.tell(intent, "it could not be looked up what became of it"),
            End::Unseen => {
                let age = age_ms(intent, self.look.now, self.look.skew_ms);
                if u64::try_from(age).is_ok_and(|age| age > self.look.late_ms) {
                    self.found.settled.closed.push(open.number);
                } else if !intent.looked {
                    self.found.settled.looked.push(open.number);
                    self.tell(intent, "it has not taken effect");
                }
            }
        }
    }

    fn tell(&mut self, intent: &Intent, what: &str) {
        self.told.push(format!(
            "{} {} for {}: {what}",
            intent.method.as_str(),
            intent.path,
            intent.address
        ));
    }

    fn record(&mut self, address: &Address, record: Recorded) {
        self.records.insert(address.clone(), record.clone());
        let (address, record) = (address.clone(), Box::new(record));
        self.found.settled.effects.push(Effect::Record { address, record });
    }

    fn observed(&self, address: &Address) -> Option<&Observed> {
        let own = self.found.observed.iter().rev().find(|(at, _)| at == address);
        own.map(|(_, seen)| seen).or_else(|| self.look.world.resources.get(address))
    }

    /// A call that was to end an object's life.
    fn removed(&mut self, intent: &Intent) -> End {
        let address = &intent.address;
        let Some(record) = self.records.get(address).cloned() else {
            return End::Closed("it took effect");
        };
        if intent.id.as_ref().is_some_and(|id| *id != record.id) {
            return End::Closed("it took effect, and another one has been made since");
        }
        match self.observed(address) {
            Some(Observed::Absent) if intent.action == Action::Delete => {
                self.records.remove(address);
                self.found.settled.effects.push(Effect::Remove { address: address.clone() });
                End::Closed("it took effect")
            }
            Some(Observed::Absent) => {
                self.record(address, Recorded { replacing: true, ..record });
                End::Closed("it took effect")
            }
            Some(Observed::Going(_)) => End::Closed("it took effect, and is waited for"),
            Some(Observed::Present(_)) => End::Closed("it has not taken effect"),
            Some(Observed::Unreadable(_)) | None => End::Unread,
        }
    }

    /// A call that was to change an object that was there.
    fn changed(&mut self, kind: &dyn Kind, open: &OpenIntent) -> End {
        let intent = &open.intent;
        let address = &intent.address;
        let Some(then) = intent.then.as_deref() else {
            return End::Closed("the plan below goes by what is there");
        };
        let before = self.records.get(address).cloned();
        let id = intent.id.as_deref().unwrap_or_default();
        if before.as_ref().is_some_and(|before| before.id != id) {
            return End::Closed("another one has been made since");
        }
        if intent.action == Action::Rotate
            && let Some(before) = before
        {
            // Nothing shows which secret it has: those who hold it get the one it has by now.
            self.record(address, Recorded { secrets: BTreeMap::new(), ..before });
            return End::Closed("its secret may be a new one, which is handed on");
        }
        let remote = match self.observed(address) {
            Some(Observed::Present(remote)) if remote.id == id => remote.clone(),
            Some(Observed::Unreadable(_)) => return End::Unread,
            _ => {
                // What was about to be taken over has no record to be observed by.
                let fitting = self.look.world.lost.get(&open.number);
                let fitting = fitting.and_then(|seen| seen.as_ref().ok()).into_iter().flatten();
                match fitting.into_iter().find(|remote| remote.id == id) {
                    Some(remote) if before.is_none() => remote.clone(),
                    _ => return End::Closed("what it was to change is gone"),
                }
            }
        };
        let written =
            Written { then, before: before.as_ref(), makes: false, asked_at: asked_at(intent) };
        match kind.shows(&written, &remote) {
            Shows::Taken => {
                let record = as_found(kind, then, &remote, true);
                self.record(address, record);
                self.found.observed.push((address.clone(), Observed::Present(remote)));
                End::Closed("it took effect")
            }
            Shows::NotTaken => End::Closed("it has not taken effect"),
            Shows::Unclear => End::Closed("the plan below goes by what is there"),
        }
    }

    /// A call that was to make an object.
    fn made(&mut self, kind: &dyn Kind, open: &OpenIntent) -> End {
        let (number, intent) = (open.number, &open.intent);
        let address = &intent.address;
        let Some(then) = intent.then.as_deref() else { return End::Unseen };
        let remotes = match self.look.world.lost.get(&number) {
            Some(Ok(remotes)) => remotes,
            Some(Err(_)) | None => return End::Unread,
        };
        let taken: BTreeSet<&str> = self
            .records
            .values()
            .filter(|record| record.kind == kind.name() && !record.replacing)
            .map(|record| record.id.as_str())
            .collect();
        let mark = fingerprint::mark(&self.look.state.lineage, address);
        let free = remotes.iter().filter(|remote| !taken.contains(remote.id.as_str()));
        let free: Vec<&Remote> = free.filter(|remote| !kind.is_going(remote)).collect();
        let written = Written { then, before: None, makes: true, asked_at: asked_at(intent) };
        let ours: Vec<(Remote, bool)> = free
            .iter()
            .filter_map(|remote| {
                let whole = kind.shows(&written, remote) == Shows::Taken;
                let marked = kind.mark_of(remote).as_deref() == Some(mark.as_str());
                let is_ours = marked || (whole && is_young(kind, remote, asked_at(intent)));
                is_ours.then(|| ((*remote).clone(), whole))
            })
            .collect();
        // What is recorded may be gone: then this call was to make it again.
        let is_gone = matches!(self.observed(address), Some(Observed::Absent));
        let there = self.records.get(address).is_some_and(|record| !record.replacing && !is_gone);
        let mut ours = ours.into_iter();
        let mut end = None;
        if !there && let Some((remote, whole)) = ours.next() {
            let record = as_found(kind, then, &remote, whole);
            self.record(address, record);
            self.found.observed.push((address.clone(), Observed::Present(remote)));
            end = Some("it took effect");
        }
        for (remote, whole) in ours {
            // It can't bear the address that another one has, and leaves with the next apply.
            let late = late_address(address, &remote.id);
            let mut record = as_found(kind, then, &remote, whole);
            record.protected = false;
            self.record(&late, record);
            self.found.observed.push((late, Observed::Present(remote)));
            end = Some("it took effect late, beside another one, and is taken away");
        }
        if let Some(end) = end {
            return End::Closed(end);
        }
        if !free.is_empty() && !there && !intent.looked {
            let what = free.iter().map(|remote| remote.id.as_str()).collect::<Vec<_>>().join(", ");
            let text = format!(
                "{address}: what is there is not what a lost call of an earlier run asked for, or \
                 is older than it"
            );
            self.found.reports.push(
                Report::warning("not-ours", text).about(address).cause(format!("it is {what}")),
            );
        }
        End::Unseen
    }

    fn finish(mut self) -> Found {
        if !self.told.is_empty() {
            let text = format!(
                "an earlier run of {} ended before it was told what became of {}: it was looked up",
                self.look.stack,
                match self.told.len() {
                    1 => "a call".to_owned(),
                    several => format!("{several} calls"),
                }
            );
            let mut report = Report::note(text).code("settled");
            report.causes = self.told;
            self.found.reports.insert(0, report);
        }
        self.found
    }
}

/// Whether an object is not older than the call that may have made it.
fn is_young(kind: &dyn Kind, remote: &Remote, asked_at: Option<Timestamp>) -> bool {
    let (Some(made), Some(asked)) = (kind.made_at(remote), asked_at) else { return true };
    made.duration_since(asked).as_millis() >= i128::from(-CLOCK_SLACK_MS)
}

/// The record of an object that a lost call made. One that is not all of what was asked for has
/// nothing that was sent, so that the next plan sees the difference.
fn as_found(kind: &dyn Kind, then: &Recorded, remote: &Remote, whole: bool) -> Recorded {
    let mut record = then.clone();
    record.id.clone_from(&remote.id);
    record.outputs.clone_from(&remote.outputs);
    record.version.clone_from(&remote.version);
    record.modified_at = kind.modified_at(remote).map(|at| at.to_string());
    record.replacing = false;
    record.awaited &= kind.readiness(remote, None) != Readiness::Ready;
    if whole {
        record.answered = kind
            .answered(&record.sent, remote)
            .unwrap_or_else(|| path::project(&record.sent, &remote.spec));
    } else {
        record.sent = Json::Object(JsonMap::new());
        record.answered = Json::Object(JsonMap::new());
    }
    super::drift::note_beside(kind, &mut record, remote);
    record
}

fn late_address(address: &Address, id: &str) -> Address {
    let hash = fingerprint::of_public(&Json::String(id.to_owned()));
    let short = hash.get(..8).unwrap_or(&hash);
    Address::new(address.kind(), format!("{}-late-{short}", address.name()))
}

#[cfg(test)]
#[path = "recover_tests.rs"]
mod tests;
