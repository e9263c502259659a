//! Field-by-field comparison, for kinds that have something of their own to add to it.

use serde_json::json;

use super::support::{at, is_special, same, steps};
use crate::model::change::FieldChange;
use crate::model::kind::{Diffed, Facts};
use crate::model::value::{Special, canonical_text, has_unknown};
use crate::model::{Json, JsonMap};

/// What a kind says about its fields.
#[derive(Debug, Default)]
pub struct Compared {
    /// Paths of lists whose order means nothing.
    pub sets: &'static [&'static str],
    /// Top-level fields whose items are declared whole: what is there beside counts.
    pub whole: &'static [&'static str],
    /// Top-level fields that are compared elsewhere.
    pub apart: &'static [&'static str],
    /// What the service has where nothing is said.
    pub defaults: JsonMap,
}

/// Whether `path` is one of, or lies below one of, the given paths.
pub fn covered(path: &str, by: &[String]) -> bool {
    let path = steps(path);
    by.iter().any(|pattern| {
        if pattern == "**" {
            return true;
        }
        let pattern = steps(pattern);
        pattern.len() <= path.len() && pattern.iter().zip(&path).all(|(p, s)| *p == "*" || p == s)
    })
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn sorted(list: &Json) -> Vec<String> {
    let mut texts: Vec<String> =
        list.as_array().map_or(&[][..], Vec::as_slice).iter().map(canonical_text).collect();
    texts.sort();
    texts.dedup();
    texts
}

struct Walk<'a> {
    how: &'a Compared,
    found: Vec<FieldChange>,
}

impl Walk<'_> {
    /// Notes what `want` has and `have` has otherwise; with `exact` also what only `have` has.
    fn walk(&mut self, path: &str, want: &Json, have: Option<&Json>, exact: bool) {
        match (want, have) {
            _ if is_special(want) => self.note(path, Some(want), have),
            (Json::Object(want), Some(Json::Object(map))) => {
                for (key, value) in want {
                    self.walk(&join(path, key), value, map.get(key), exact);
                }
                for (key, value) in map.iter().filter(|(key, _)| exact && !want.contains_key(*key))
                {
                    self.note(&join(path, key), None, Some(value));
                }
            }
            (Json::Array(_), Some(seen @ Json::Array(_))) if self.how.sets.contains(&path) => {
                if sorted(want) != sorted(seen) {
                    self.note(path, Some(want), have);
                }
            }
            (Json::Array(want), Some(Json::Array(seen))) => {
                for index in 0..want.len().max(seen.len()) {
                    let path = format!("{path}[{index}]");
                    match (want.get(index), seen.get(index)) {
                        (Some(want), have) => self.walk(&path, want, have, exact),
                        (None, have) => self.note(&path, None, have),
                    }
                }
            }
            (want, Some(have)) if same(want, have) => {}
            (want, have) => self.note(path, Some(want), have),
        }
    }

    fn note(&mut self, path: &str, want: Option<&Json>, have: Option<&Json>) {
        if let (Some(want), Some(have)) = (want, have)
            && same(want, have)
        {
            return;
        }
        let mut change = FieldChange::new(path, have.cloned(), want.cloned());
        change.secret =
            want.is_some_and(|want| matches!(Special::of(want), Some(Special::Secret(_))));
        self.found.push(change);
    }
}

/// What differs, from `have` to `want`.
fn differences(how: &Compared, want: &Json, have: &Json) -> Vec<FieldChange> {
    let mut walk = Walk { how, found: Vec::new() };
    for (key, value) in want.as_object().into_iter().flatten() {
        if !how.apart.contains(&key.as_str()) {
            let exact = how.whole.contains(&key.as_str());
            walk.walk(key, value, have.get(key), exact);
        }
    }
    walk.found
}

/// Whether a difference is one that the service makes by itself: the file says what was sent, and
/// there is what the write's own answer showed.
fn settled(facts: &Facts<'_>, path: &str) -> bool {
    let (Some(declared), Some(sent), Some(answered)) = (facts.declared, facts.sent, facts.answered)
    else {
        return false;
    };
    let Some(wanted) = at(declared, path) else {
        return at(sent, path).is_none() && at(answered, path) == at(&facts.remote.spec, path);
    };
    !has_unknown(wanted)
        && at(sent, path).is_some_and(|sent| same(sent, wanted))
        && match (at(answered, path), at(&facts.remote.spec, path)) {
            (Some(answered), Some(observed)) => same(answered, observed),
            (None, None) => true,
            _ => false,
        }
}

/// Compares declared, sent, answered and observed, field by field.
pub fn fields(facts: &Facts<'_>, how: &Compared) -> Diffed {
    let mut out = Diffed::default();
    let observed = &facts.remote.spec;
    if let Some(declared) = facts.declared {
        out.changes = differences(how, declared, observed);
        out.changes
            .retain(|change| !covered(&change.path, facts.ignore) && !settled(facts, &change.path));
        if let Some(sent) = facts.sent {
            removed(facts, how, declared, sent, &mut out);
        } else {
            undeclared(facts, how, declared, &mut out);
        }
    }
    let recorded = facts.answered.or(facts.sent);
    if let Some(recorded) = recorded.filter(|_| facts.sent.is_some()) {
        out.drift = differences(how, recorded, observed)
            .into_iter()
            .filter(|change| !change.secret && !covered(&change.path, facts.ignore))
            .map(|change| FieldChange { before: change.after, after: change.before, ..change })
            .collect();
    }
    out
}

/// Fields that were sent and have left the files go back to what the service has without them.
fn removed(facts: &Facts<'_>, how: &Compared, declared: &Json, sent: &Json, out: &mut Diffed) {
    fn gone(path: &str, declared: &Json, sent: &Json, out: &mut Vec<String>) {
        let (Json::Object(sent), Json::Object(declared)) = (sent, declared) else { return };
        if is_special(&Json::Object(declared.clone())) {
            return;
        }
        for (key, value) in sent {
            let path = join(path, key);
            match declared.get(key) {
                None => out.push(path),
                Some(declared) => gone(&path, declared, value, out),
            }
        }
    }
    let mut paths = Vec::new();
    gone("", declared, sent, &mut paths);
    for path in paths {
        let top = steps(&path).first().copied().unwrap_or_default();
        if how.apart.contains(&top) || how.whole.contains(&top) && top != path {
            continue;
        }
        if covered(&path, facts.ignore) {
            continue;
        }
        let default = how.defaults.get(&path).filter(|value| !value.is_null());
        let seen = at(&facts.remote.spec, &path);
        let at_rest = match (default, seen) {
            (Some(default), Some(seen)) => same(default, seen),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if !at_rest {
            let mut change = FieldChange::new(&path, seen.cloned(), default.cloned());
            change.note = Some("left the files".to_owned());
            out.changes.push(change);
            out.removed.push(path);
        }
    }
}

/// Adopting: what nobody declares has to be as the service makes it, else it differs.
fn undeclared(facts: &Facts<'_>, how: &Compared, declared: &Json, out: &mut Diffed) {
    for (path, default) in &how.defaults {
        let top = steps(path).first().copied().unwrap_or_default();
        let said = at(declared, path).is_some() || covered(path, facts.ignore);
        if said || how.apart.contains(&top) {
            continue;
        }
        let seen = at(&facts.remote.spec, path).cloned().unwrap_or(Json::Null);
        let set = how.sets.contains(&path.as_str()) && sorted(&seen) == sorted(default);
        let none = default == &json!([]) && seen.is_null();
        let at_rest = set || none || same(&seen, default);
        if !at_rest {
            let change = FieldChange::new(
                path,
                Some(seen).filter(|seen| !seen.is_null()),
                Some(default.clone()).filter(|default| !default.is_null()),
            );
            out.removed.push(path.clone());
            out.changes.push(change);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::observed::Remote;

    fn remote(spec: Json) -> Remote {
        Remote { id: "1".to_owned(), spec, outputs: JsonMap::new(), version: None, raw: Json::Null }
    }

    fn paths(changes: &[FieldChange]) -> Vec<&str> {
        changes.iter().map(|change| change.path.as_str()).collect()
    }

    fn compare(
        declared: Json,
        sent: Option<Json>,
        answered: Option<Json>,
        observed: Json,
    ) -> Diffed {
        let how = Compared {
            sets: &["tags"],
            whole: &["rules"],
            defaults: [("comment".to_owned(), Json::Null), ("on".to_owned(), json!(true))]
                .into_iter()
                .collect(),
            ..Compared::default()
        };
        let facts = Facts {
            declared: Some(&declared),
            sent: sent.as_ref(),
            answered: answered.as_ref(),
            version: None,
            remote: &remote(observed),
            preview: None,
            ignore: &["left".to_owned()],
            force: &[],
            shared: &[],
        };
        fields(&facts, &how)
    }

    #[test]
    fn what_the_service_makes_of_a_value_is_settled() {
        let sent = json!({"name": "X", "tags": ["b", "a"]});
        let answered = json!({"name": "x", "tags": ["a", "b"]});
        let diffed = compare(sent.clone(), Some(sent), Some(answered.clone()), answered);
        assert_eq!(diffed, Diffed::default());
    }

    #[test]
    fn a_foreign_change_is_drift_and_is_put_right() {
        let sent = json!({"name": "x", "left": 1, "rules": [{"a": 1}]});
        let seen = json!({"name": "y", "left": 2, "rules": [{"a": 1, "b": 2}, {"c": 3}]});
        let diffed = compare(sent.clone(), Some(sent.clone()), Some(sent), seen);
        assert_eq!(paths(&diffed.changes), ["name", "rules[0].b", "rules[1]"]);
        assert_eq!(paths(&diffed.drift), ["name", "rules[0].b", "rules[1]"]);
        assert_eq!(diffed.drift[0].before, Some(json!("x")));
    }

    #[test]
    fn what_left_the_files_goes_back_to_the_default() {
        let sent = json!({"name": "x", "comment": "c", "on": false});
        let diffed = compare(json!({"name": "x"}), Some(sent.clone()), Some(sent.clone()), sent);
        assert_eq!(diffed.removed, ["comment", "on"]);
        assert_eq!(diffed.changes[1].after, Some(json!(true)));
        assert!(diffed.drift.is_empty());
    }

    #[test]
    fn adopting_counts_what_is_not_as_the_service_makes_it() {
        let diffed = compare(json!({"name": "x"}), None, None, json!({"name": "x", "on": false}));
        assert_eq!(paths(&diffed.changes), ["on"]);
        let diffed = compare(json!({"name": "x"}), None, None, json!({"name": "x", "on": true}));
        assert_eq!(diffed, Diffed::default());
    }
}
