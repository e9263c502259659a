//! Compares what is declared, recorded and observed, field by field.
//!
//! The rule: where what is asked for is what was sent last, and what is there is what the service
//! made of it then, nothing is to be done, whatever the service did to the value. Everywhere else
//! the declared value is compared with the observed one in canonical form. What the files do not
//! say is left alone, but for fields that left the files: they go back to what the service has
//! without them. Lists are wholly the file's, unless they are shared.

use crate::model::change::FieldChange;
use crate::model::kind::{Diffed, Facts};
use crate::model::path;
use crate::model::value::{Special, canonical_text, has_unknown, same_secret};
use crate::model::{Json, JsonMap};

/// What a kind says about its fields.
#[derive(Debug, Default)]
pub struct Compared {
    /// Paths of lists whose order means nothing; `*` stands for any item or key.
    pub sets: Vec<&'static str>,
    /// Top-level fields that are compared elsewhere.
    pub apart: &'static [&'static str],
    /// What the service has where nothing is said, by path: adopting compares with it, and a field
    /// that left the files goes back to it. A null means absent.
    pub defaults: JsonMap,
}

/// Compares field by field.
pub fn fields(facts: &Facts<'_>, how: Compared) -> Diffed {
    let adopting = facts.sent.is_none();
    let mut walk = Walk { facts, how, adopting, out: Diffed::default() };
    if let Some(declared) = facts.declared {
        walk.changes("", Some(declared), facts.sent, facts.answered, Some(&facts.remote.spec));
        if adopting {
            walk.undeclared(declared);
        }
    }
    if let (Some(sent), Some(answered)) = (facts.sent, facts.answered) {
        walk.drift("", sent, Some(answered), Some(&facts.remote.spec));
    }
    walk.out
}

struct Walk<'a> {
    facts: &'a Facts<'a>,
    how: Compared,
    adopting: bool,
    out: Diffed,
}

fn is_plain_object(value: Option<&Json>) -> Option<&JsonMap> {
    let value = value?;
    if Special::of(value).is_some() { None } else { value.as_object() }
}

fn is_secret(value: Option<&Json>) -> bool {
    value.is_some_and(|value| matches!(Special::of(value), Some(Special::Secret(_))))
}

impl Walk<'_> {
    fn is_set(&self, path: &str) -> bool {
        self.how.sets.iter().any(|set| path::is(set, path))
    }

    fn ignored(&self, path: &str) -> bool {
        !path.is_empty()
            && (self.how.apart.contains(&path) || path::covered(self.facts.ignore, path))
    }

    fn shared(&self, path: &str) -> bool {
        path::covered(self.facts.shared, path)
    }

    /// Whether two values are the same where they stand.
    fn same(&self, path: &str, a: &Json, b: &Json) -> bool {
        match (a, b) {
            (Json::Array(a), Json::Array(b)) if a.len() == b.len() => {
                if self.is_set(path) {
                    let texts = |items: &[Json]| {
                        let mut texts: Vec<_> = items.iter().map(canonical_text).collect();
                        texts.sort();
                        texts
                    };
                    return texts(a) == texts(b);
                }
                a.iter()
                    .zip(b)
                    .enumerate()
                    .all(|(i, (a, b))| self.same(&path::index(path, i), a, b))
            }
            (Json::Object(a), Json::Object(b)) => {
                a.len() == b.len()
                    && a.iter().all(|(key, a)| {
                        b.get(key).is_some_and(|b| self.same(&path::key(path, key), a, b))
                    })
            }
            _ => a == b,
        }
    }

    fn same_or_none(&self, path: &str, a: Option<&Json>, b: Option<&Json>) -> bool {
        match (a, b) {
            (Some(a), Some(b)) => self.same(path, a, b),
            (None, None) => true,
            (Some(value), None) | (None, Some(value)) => {
                value.is_null()
                    || self.how.defaults.get(path).is_some_and(|default| default == value)
            }
        }
    }

    fn push(&mut self, path: &str, before: Option<&Json>, after: Option<&Json>) {
        let mut change = FieldChange::new(path, before.cloned(), after.cloned());
        change.secret = is_secret(before) || is_secret(after);
        self.out.changes.push(change);
    }

    /// Whether the version says that someone wrote a value that cannot be read.
    fn version_moved(&self) -> bool {
        match (self.facts.version, self.facts.remote.version.as_deref()) {
            (Some(recorded), Some(now)) => recorded != now,
            _ => false,
        }
    }

    fn changes(
        &mut self,
        path: &str,
        declared: Option<&Json>,
        sent: Option<&Json>,
        answered: Option<&Json>,
        observed: Option<&Json>,
    ) {
        if self.ignored(path) {
            return;
        }
        let Some(declared_value) = declared else {
            return self.left_the_files(path, sent, observed);
        };
        if let Some(map) = is_plain_object(Some(declared_value)) {
            let below =
                |value: Option<&Json>, key: &str| value.and_then(|value| value.get(key)).cloned();
            let left: Vec<String> = is_plain_object(sent)
                .map(|sent| sent.keys().filter(|key| !map.contains_key(*key)).cloned().collect())
                .unwrap_or_default();
            for key in map.keys().cloned().chain(left) {
                let (s, a, o) = (below(sent, &key), below(answered, &key), below(observed, &key));
                self.changes(
                    &path::key(path, &key),
                    map.get(&key),
                    s.as_ref(),
                    a.as_ref(),
                    o.as_ref(),
                );
            }
            return;
        }
        if has_unknown(declared_value) {
            self.push(path, observed, Some(declared_value));
            return;
        }
        if is_secret(Some(declared_value)) {
            // Nothing can be read: the record and the service's version have to tell.
            let as_sent = sent.is_some_and(|sent| same_secret(sent, declared_value));
            if self.adopting || !as_sent || self.version_moved() {
                self.push(path, sent.or(observed), Some(declared_value));
            }
            return;
        }
        let as_sent = sent.is_some_and(|sent| self.same(path, sent, declared_value));
        // Where no answer is known, what is there has to be what is asked for.
        let as_answered =
            self.facts.answered.is_some() && self.same_or_none(path, answered, observed);
        if as_sent && as_answered {
            return;
        }
        match declared_value {
            Json::Array(items) if !self.is_set(path) => {
                let list = List { items, answered, observed, as_answered };
                self.list(path, &list);
            }
            Json::Array(items) if self.shared(path) => {
                // Others' items stay: only what is declared and not there counts.
                let there = observed.and_then(Json::as_array).cloned().unwrap_or_default();
                let gone = |item: &Json| {
                    sent_items(sent).any(|sent| sent == item) && !items.contains(item)
                };
                if items.iter().any(|item| !there.contains(item)) || there.iter().any(gone) {
                    self.push(path, observed, declared);
                }
            }
            _ => {
                if !self.same_or_none(path, declared, observed) {
                    self.push(path, observed, declared);
                }
            }
        }
    }

    /// Adopting: what nobody declares has to be as the service makes it, else it differs.
    fn undeclared(&mut self, declared: &Json) {
        let defaults: Vec<(String, Json)> =
            self.how.defaults.iter().map(|(path, value)| (path.clone(), value.clone())).collect();
        for (path, default) in defaults {
            let seen = path::get(&self.facts.remote.spec, &path).cloned();
            let said = path::get(declared, &path).is_some();
            let empty = seen.as_ref().is_none_or(Json::is_null)
                || seen.as_ref().and_then(Json::as_array).is_some_and(Vec::is_empty);
            let at_rest = match &seen {
                Some(seen) if !empty => self.same(&path, seen, &default),
                _ => true,
            };
            if !said && !at_rest && !self.ignored(&path) {
                self.out.removed.push(path.clone());
                let default = Some(&default).filter(|default| !default.is_null());
                self.push(&path, seen.as_ref(), default);
            }
        }
    }

    /// A field that left the files: gone already, or back to what the service has without it.
    fn left_the_files(&mut self, path: &str, sent: Option<&Json>, observed: Option<&Json>) {
        if sent.is_none() {
            return;
        }
        if let (Some(sent), Some(seen)) = (is_plain_object(sent), is_plain_object(observed)) {
            for (key, sent) in sent {
                self.left_the_files(&path::key(path, key), Some(sent), seen.get(key));
            }
            return;
        }
        let default = self.how.defaults.get(path).filter(|value| !value.is_null()).cloned();
        let secret = is_secret(sent);
        let back = match observed {
            _ if secret => false,
            None => true,
            Some(value) if default.as_ref() == Some(value) => true,
            Some(Json::Array(items)) if items.is_empty() => default.is_none(),
            Some(Json::Null) => true,
            Some(Json::Object(map)) if map.is_empty() => true,
            Some(Json::String(text)) if text.is_empty() => default.is_none(),
            Some(_) => false,
        };
        if !back {
            self.out.removed.push(path.to_owned());
            let before = observed.or(sent);
            self.push(path, before, default.as_ref());
        }
    }

    fn list(&mut self, path: &str, list: &List<'_>) {
        let seen = list.observed.and_then(Json::as_array).cloned().unwrap_or_default();
        let shared = self.shared(path);
        let known = list.answered.and_then(Json::as_array).cloned().unwrap_or_default();
        for at in 0..list.items.len().max(seen.len()) {
            let below = path::index(path, at);
            match (list.items.get(at), seen.get(at)) {
                (Some(item), Some(seen)) => {
                    // Where the observed item is what was answered, its undeclared fields are the
                    // service's; else they are somebody's, and the list is the file's.
                    let known_item = known.get(at);
                    self.item(&below, item, known_item, seen, list.as_answered);
                }
                (Some(item), None) => self.push(&below, None, Some(item)),
                (None, Some(seen)) if !shared => self.push(&below, Some(seen), None),
                (None, _) => {}
            }
        }
    }

    fn item(
        &mut self,
        path: &str,
        declared: &Json,
        answered: Option<&Json>,
        seen: &Json,
        as_answered: bool,
    ) {
        let (Some(map), Some(there)) = (is_plain_object(Some(declared)), seen.as_object()) else {
            if has_unknown(declared) || !self.same(path, declared, seen) {
                self.push(path, Some(seen), Some(declared));
            }
            return;
        };
        for (key, value) in map {
            let below = path::key(path, key);
            match there.get(key) {
                Some(seen) => {
                    self.item(&below, value, answered.and_then(|a| a.get(key)), seen, as_answered);
                }
                None if self.same_or_none(&below, Some(value), None) => {}
                None => self.push(&below, None, Some(value)),
            }
        }
        for (key, seen) in there.iter().filter(|(key, _)| !map.contains_key(*key)) {
            let below = path::key(path, key);
            let answered = answered.and_then(|answered| answered.get(key));
            let the_services = as_answered || self.same_or_none(&below, answered, Some(seen));
            let empty =
                seen.as_object().is_some_and(JsonMap::is_empty) || seen.as_str() == Some("");
            if !the_services && !empty && seen != &Json::Bool(false) {
                self.push(&below, Some(seen), None);
            }
        }
    }

    /// What someone changed of what was recorded.
    fn drift(&mut self, path: &str, sent: &Json, answered: Option<&Json>, observed: Option<&Json>) {
        if self.ignored(path) {
            return;
        }
        if let Some(map) = is_plain_object(Some(sent)) {
            for (key, sent) in map {
                let below = path::key(path, key);
                let (a, o) = (answered.and_then(|a| a.get(key)), observed.and_then(|o| o.get(key)));
                self.drift(&below, sent, a, o);
            }
            return;
        }
        if is_secret(Some(sent)) {
            if self.version_moved() {
                let mut change = FieldChange::new(path, Some(sent.clone()), None);
                change.secret = true;
                change.note = Some(match (self.facts.version, &self.facts.remote.version) {
                    (Some(was), Some(now)) => {
                        format!("written by someone else: {was} is now {now}")
                    }
                    _ => "written by someone else".to_owned(),
                });
                self.out.drift.push(change);
            }
            return;
        }
        if self.same_or_none(path, answered, observed) {
            return;
        }
        if let (Some(Json::Array(was)), Some(Json::Array(now))) = (answered, observed) {
            if self.shared(path) {
                return self.shared_drift(path, sent, now);
            }
            if !self.is_set(path) {
                for at in 0..was.len().max(now.len()) {
                    self.drift_item(&path::index(path, at), was.get(at), now.get(at));
                }
                return;
            }
        }
        self.out.drift.push(FieldChange::new(path, answered.cloned(), observed.cloned()));
    }

    fn shared_drift(&mut self, path: &str, sent: &Json, now: &[Json]) {
        let ours: Vec<&Json> = sent_items(Some(sent)).collect();
        let holds = |item: &Json| now.iter().any(|seen| path::project(item, seen) == *item);
        for (at, item) in ours.iter().enumerate() {
            if !holds(item) {
                let change = FieldChange::new(path::index(path, at), Some((*item).clone()), None);
                self.out.drift.push(change);
            }
        }
        for (at, seen) in now.iter().enumerate() {
            if !ours.iter().any(|item| path::project(item, seen) == **item) {
                let change = FieldChange::new(path::index(path, at), None, Some(seen.clone()));
                self.out.foreign.push(change);
            }
        }
    }

    fn drift_item(&mut self, path: &str, was: Option<&Json>, now: Option<&Json>) {
        if self.same_or_none(path, was, now) {
            return;
        }
        if let (Some(Json::Object(was)), Some(Json::Object(now))) = (was, now) {
            let added = now.keys().filter(|key| !was.contains_key(*key));
            for key in was.keys().chain(added) {
                self.drift_item(&path::key(path, key), was.get(key), now.get(key));
            }
            return;
        }
        self.out.drift.push(FieldChange::new(path, was.cloned(), now.cloned()));
    }
}

struct List<'a> {
    items: &'a [Json],
    answered: Option<&'a Json>,
    observed: Option<&'a Json>,
    as_answered: bool,
}

fn sent_items(sent: Option<&Json>) -> impl Iterator<Item = &Json> {
    sent.and_then(Json::as_array).into_iter().flatten()
}

#[cfg(test)]
mod tests;
