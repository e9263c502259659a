//! Whose rules stand in a tunnel's configuration, and how ours go into it beside those of others
//! where `ingress` is shared. The API only replaces the whole (contract 4.5).

use serde_json::json;

use super::compare::{self, Compared};
use super::origin;
use super::support::{fields, interleave, items, text, with_ignored};
use super::tunnel_config::{CATCH_ALL, is_catch_all, rule_key, rule_to_wire, shadows};
use crate::model::change::FieldChange;
use crate::model::kind::{Diffed, Facts, Work};
use crate::model::observed::Remote;
use crate::model::path;
use crate::model::{Json, JsonMap};

/// Whether the rules of others stay.
pub(super) fn is_shared(shared: &[String]) -> bool {
    shared.iter().any(|path| path == "ingress" || path == "**")
}

/// The rules of a spec without the one that takes the rest.
fn rules(spec: &Json) -> impl Iterator<Item = &Json> {
    items(spec, "ingress").iter().filter(|rule| !is_catch_all(rule))
}

/// The rules of `observed` whose hostname and path stand in none of `known`.
fn beside(known: &[&Json], observed: &Json) -> Vec<Json> {
    let known: Vec<_> = known.iter().flat_map(|spec| rules(spec)).map(rule_key).collect();
    rules(observed).filter(|rule| !known.contains(&rule_key(rule))).cloned().collect()
}

/// The rules that neither were sent nor are declared.
fn foreign(sent: Option<&Json>, declared: Option<&Json>, observed: &Json) -> Vec<Json> {
    let known: Vec<&Json> = sent.into_iter().chain(declared).collect();
    beside(&known, observed)
}

/// The rules of `observed` that `spec` has too, in the order in which they stand.
fn own<'a>(spec: &Json, observed: &'a Json) -> Vec<&'a Json> {
    let keys: Vec<_> = rules(spec).map(rule_key).collect();
    rules(observed).filter(|rule| keys.contains(&rule_key(rule))).collect()
}

/// The rules that a first write leaves beside ours.
pub(super) fn others(work: &Work<'_>, current: &Remote) -> Vec<Json> {
    match is_shared(work.shared) {
        true => foreign(work.sent, Some(work.spec), &current.spec),
        false => Vec::new(),
    }
}

/// The rules that a later write leaves beside ours. What someone added since the first reading stays
/// also where `ingress` is not shared: no plan has shown it yet, and the next one will.
pub(super) fn others_since(work: &Work<'_>, first: &Remote, current: &Remote) -> Vec<Json> {
    match is_shared(work.shared) {
        true => others(work, current),
        false => beside(&[&first.spec, work.spec], &current.spec),
    }
}

/// Whether all that was asked for is in `current` as the write's own answer showed it.
pub(super) fn holds(spec: &Json, written: &Json, current: &Json) -> bool {
    let settings = fields(spec.get("origin_request").unwrap_or(&Json::Null));
    let setting = |of: &Json, name: &str| of.get("origin_request")?.get(name).cloned();
    own(spec, written) == own(spec, current)
        && settings.keys().all(|name| setting(written, name) == setting(current, name))
}

/// What was read, without the rules that `spec` has not.
pub(super) fn only_ours(spec: &Json, read: Remote) -> Remote {
    let others = beside(&[spec], &read.spec);
    Remote { spec: without(&read.spec, &others, &Json::Null), ..read }
}

/// Whether a rule of ours is there.
pub(super) fn has_ours(spec: &Json, current: &Json) -> bool {
    !own(spec, current).is_empty()
}

/// Whether what is declared can join what is there without taking anything over.
pub(super) fn is_beside(declared: &Json, observed: &Json) -> bool {
    let settings = fields(declared.get("origin_request").unwrap_or(&Json::Null));
    let there = observed.get("origin_request");
    let last = |spec: &Json| items(spec, "ingress").last().cloned();
    let keeps_last = implies_last(declared) || is_implied(last(observed).as_ref());
    own(declared, observed).is_empty()
        && (keeps_last || last(declared) == last(observed))
        && settings.iter().all(|(name, value)| {
            there.and_then(|there| there.get(name)).is_none_or(|there| there == value)
        })
}

fn is_implied(rule: Option<&Json>) -> bool {
    rule.is_some_and(|rule| *rule == json!({"service": CATCH_ALL}))
}

/// Whether a spec says nothing of its own about what no rule takes.
fn implies_last(spec: &Json) -> bool {
    is_implied(items(spec, "ingress").last())
}

/// Whether the first rule has to stand before the second, which would take all its requests.
fn is_before(first: &Json, second: &Json) -> bool {
    shadows(second, first) && !shadows(first, second)
}

/// Others' rules and ours in one list. Each writer's rules keep their order, and their places as far
/// as they have one; what is new comes last, but a rule always before one that would take all its
/// requests.
pub(super) fn merge(observed: &[Json], others: &[Json], ours: &[Json]) -> Vec<Json> {
    let wished = interleave(observed, |rule| others.contains(rule), ours);
    let place = |rule: &Json| wished.iter().position(|wished| wished == rule);
    let (mut others, mut ours) = (others, ours);
    let mut out = Vec::with_capacity(wished.len());
    while let ([other, later_others @ ..], [own, later_ours @ ..]) = (others, ours) {
        let own_waits = others.iter().any(|rule| is_before(rule, own));
        let other_waits = ours.iter().any(|rule| is_before(rule, other));
        let own_is_next = match (own_waits, other_waits) {
            (true, false) => false,
            (false, true) => true,
            _ => place(own) < place(other),
        };
        if own_is_next {
            out.push(own.clone());
            ours = later_ours;
        } else {
            out.push(other.clone());
            others = later_others;
        }
    }
    out.extend(others.iter().chain(ours).cloned());
    out
}

/// The `config` to put: what was read less what the server sets (`warp-routing` among it), with the
/// declared rules and settings on top, beside `others`.
pub(super) fn config_to_put(work: &Work<'_>, current: &Remote, others: &[Json]) -> Json {
    let spec = with_ignored(work.spec, &current.spec, work.ignore);
    let mut ours = items(&spec, "ingress").to_vec();
    let keeps_last = is_shared(work.shared) && implies_last(&spec);
    let theirs = items(&current.spec, "ingress").last().filter(|_| keeps_last).cloned();
    let last = ours.pop();
    let seen: Vec<Json> = rules(&current.spec).cloned().collect();
    let mut all = merge(&seen, others, &ours);
    all.extend(theirs.or(last));
    let mut settings = fields(current.spec.get("origin_request").unwrap_or(&Json::Null));
    for path in work.removed {
        if let Some(name) = path.strip_prefix("origin_request.") {
            let mut value = Json::Object(settings);
            path::take(&mut value, name);
            settings = fields(&value);
        } else if path == "origin_request" {
            let sent = work.sent.and_then(|sent| sent.get("origin_request"));
            fields(sent.unwrap_or(&Json::Null)).keys().for_each(|key| {
                settings.shift_remove(key);
            });
        }
    }
    settings.extend(fields(spec.get("origin_request").unwrap_or(&Json::Null)));
    config(current, &all, settings)
}

/// What is left of a configuration when our rules go: those of others, and the last one.
pub(super) fn config_without(work: &Work<'_>, current: &Remote) -> Json {
    if !is_shared(work.shared) {
        return json!({"ingress": [{"service": CATCH_ALL}]});
    }
    let mut left = foreign(work.sent, Some(work.spec), &current.spec);
    let last = items(&current.spec, "ingress").last();
    let ours = items(work.spec, "ingress").last().filter(|_| !implies_last(work.spec));
    left.extend(match last == ours {
        true => Some(json!({"service": CATCH_ALL})),
        false => last.cloned(),
    });
    let mut settings = fields(current.spec.get("origin_request").unwrap_or(&Json::Null));
    let sent = fields(work.spec.get("origin_request").unwrap_or(&Json::Null));
    settings.retain(|name, value| sent.get(name) != Some(value));
    config(current, &left, settings)
}

fn config(current: &Remote, rules: &[Json], settings: JsonMap) -> Json {
    let mut config = fields(current.raw.get("config").unwrap_or(&Json::Null));
    config.shift_remove("warp-routing");
    let rules: Vec<Json> = rules.iter().map(rule_to_wire).collect();
    config.insert("ingress".to_owned(), Json::Array(rules));
    if settings.is_empty() {
        config.shift_remove("originRequest");
    } else {
        config.insert("originRequest".to_owned(), origin::to_wire(&Json::Object(settings)));
    }
    Json::Object(config)
}

/// What a reading shows of what is ours: without others' rules, and with the last rule as `ours`
/// implies it, where it says nothing of its own about that.
fn without(observed: &Json, others: &[Json], ours: &Json) -> Json {
    let mut kept: Vec<Json> =
        items(observed, "ingress").iter().filter(|rule| !others.contains(rule)).cloned().collect();
    if implies_last(ours) && kept.last().is_some_and(is_catch_all) {
        kept.pop();
        kept.push(json!({"service": CATCH_ALL}));
    }
    let mut out = fields(observed);
    out.insert("ingress".to_owned(), Json::Array(kept));
    Json::Object(out)
}

/// Compares our part of a list that others write too.
pub(super) fn diff_of_ours(facts: &Facts<'_>) -> Diffed {
    let of = |spec: &Json| foreign(facts.sent, facts.declared, spec);
    let ours = facts.declared.or(facts.sent).unwrap_or(&Json::Null);
    let others = of(&facts.remote.spec);
    let mut seen = facts.remote.clone();
    seen.spec = without(&facts.remote.spec, &others, ours);
    let answered = facts.answered.map(|answered| without(answered, &of(answered), ours));
    let own = Facts { remote: &seen, answered: answered.as_ref(), ..*facts };
    let mut diffed = compare::fields(&own, Compared::default());
    if let Some(change) = misplaced(&facts.remote.spec, &others) {
        if facts.declared.is_some() {
            diffed.changes.push(change.clone());
        }
        if facts.sent.is_some() {
            diffed.drift.push(change);
        }
    }
    diffed.foreign.extend(others.into_iter().map(|rule| {
        let name = text(&rule, "hostname").unwrap_or_default().to_owned();
        let mut change =
            FieldChange::new(format!("ingress[hostname=\"{name}\"]"), None, Some(rule));
        change.note = Some("another writer's rule, kept since `ingress` is shared".to_owned());
        change
    }));
    diffed
}

/// That a rule of one writer stands before a narrower one of another, which it leaves no request.
fn misplaced(observed: &Json, others: &[Json]) -> Option<FieldChange> {
    let there: Vec<Json> = rules(observed).cloned().collect();
    let ours: Vec<Json> = there.iter().filter(|rule| !others.contains(rule)).cloned().collect();
    let right = merge(&there, others, &ours);
    if right == there {
        return None;
    }
    let names = |rules: &[Json]| {
        Json::Array(rules.iter().map(|rule| rule.get("hostname").cloned().into()).collect())
    };
    let mut change = FieldChange::new("ingress", Some(names(&there)), Some(names(&right)));
    change.note = Some("a rule that takes all requests of another one stands before it".to_owned());
    Some(change)
}

#[cfg(test)]
#[path = "ingress_tests.rs"]
mod tests;
