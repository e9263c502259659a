//! What several kinds share: reading fields that may be references, hostnames, durations, bodies.

use serde_json::json;

use crate::model::call::Answer;
use crate::model::kind::{KindError, Problem};
use crate::model::observed::Remote;
use crate::model::path;
use crate::model::value::{Special, canonical_text};
use crate::model::{Json, JsonMap};

/// The text at a field; None where there is none, or a reference.
pub fn text<'a>(spec: &'a Json, field: &str) -> Option<&'a str> {
    spec.get(field).and_then(Json::as_str)
}

/// The flag at a field; None where there is none, or a reference.
pub fn flag(spec: &Json, field: &str) -> Option<bool> {
    spec.get(field).and_then(Json::as_bool)
}

/// The items of a list; none where there is no list.
pub fn items<'a>(spec: &'a Json, field: &str) -> &'a [Json] {
    spec.get(field).and_then(Json::as_array).map_or(&[], Vec::as_slice)
}

/// Whether the value is a reference, an unknown or a secret: it says nothing yet.
pub fn is_special(value: &Json) -> bool {
    Special::of(value).is_some()
}

/// The fields of an object; empty for anything else.
pub fn fields(value: &Json) -> JsonMap {
    value.as_object().cloned().unwrap_or_default()
}

/// Whether two values are the same, whatever the order of keys.
pub fn same(a: &Json, b: &Json) -> bool {
    a == b || canonical_text(a) == canonical_text(b)
}

/// Whether a value says no more than its absence: null, an empty object.
pub fn is_empty(value: &Json) -> bool {
    match value {
        Json::Null => true,
        Json::Object(map) => map.is_empty(),
        Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => false,
    }
}

/// The object in an item of a list, with these of its fields as outputs; none without an id.
pub fn listed(item: &Json, spec: JsonMap, outputs: &[&str]) -> Vec<Remote> {
    let Some(id) = text(item, "id") else { return Vec::new() };
    vec![Remote {
        id: id.to_owned(),
        spec: Json::Object(spec),
        outputs: pick(item, outputs),
        version: None,
        raw: item.clone(),
    }]
}

/// An object of those of the given fields that are there.
pub fn pick(spec: &Json, names: &[&str]) -> JsonMap {
    let mut out = JsonMap::new();
    for name in names {
        if let Some(value) = spec.get(*name).filter(|value| !value.is_null()) {
            out.insert((*name).to_owned(), value.clone());
        }
    }
    out
}

/// A hostname as Cloudflare spells it: lower case, Punycode, no trailing dot (contract 3.5).
pub fn hostname(name: &str) -> String {
    let name = name.trim().trim_end_matches('.');
    idna::domain_to_ascii(name).unwrap_or_else(|_| name.to_ascii_lowercase())
}

/// What is wrong with a hostname; a leading `*` label may be allowed.
pub fn hostname_problem(name: &str, wildcard: bool) -> Option<String> {
    let ascii = hostname(name);
    if ascii.is_empty() {
        return Some("the hostname is empty".to_owned());
    }
    if ascii.len() > 253 {
        return Some(format!("`{name}` is longer than the 253 characters of a hostname"));
    }
    if ascii.contains("://") || ascii.contains('/') {
        return Some(format!("`{name}` is a URL; only the hostname belongs here"));
    }
    if ascii.contains(':') {
        return Some(format!("`{name}` has a port, which a hostname has not"));
    }
    for (index, label) in ascii.split('.').enumerate() {
        if label == "*" && index == 0 && wildcard {
            continue;
        }
        if label.contains('*') {
            return Some(format!("`{name}`: `*` can only be the whole first label"));
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let bad = label.is_empty()
            || label.len() > 63
            || label.starts_with('-')
            || label.ends_with('-')
            || !label.chars().all(allowed);
        if bad {
            return Some(format!("`{name}` is not a hostname: the label `{label}` is not valid"));
        }
    }
    None
}

/// The nanoseconds of a Go duration (`24h`, `1h30m`, `45s`, `1.5h`); None for anything else.
pub fn nanoseconds(text: &str) -> Option<u64> {
    const UNITS: [(&str, f64); 7] = [
        ("ns", 1.0),
        ("us", 1e3),
        ("µs", 1e3),
        ("ms", 1e6),
        ("s", 1e9),
        ("m", 6e10),
        ("h", 3.6e12),
    ];
    if text == "0" {
        return Some(0);
    }
    let mut rest = text;
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let number: f64 = number.parse().ok()?;
        let end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
        total += number * factor;
        rest = tail;
    }
    (!text.is_empty() && total < 9e18).then_some(total.round() as u64)
}

/// The seconds of a length of time in days (`90d`) or as a Go duration; None for anything else.
pub fn days(text: &str) -> Option<i64> {
    match text.strip_suffix('d') {
        Some(days) => days.parse::<u32>().ok().map(|days| i64::from(days) * 86_400),
        None => i64::try_from(nanoseconds(text)? / 1_000_000_000).ok(),
    }
}

/// A Go duration in one spelling for each length: `1440m` becomes `24h`. Other text (`forever`) and
/// values that are no text stay as they are.
pub fn duration(value: &Json) -> Json {
    let Some(nanos) = value.as_str().and_then(nanoseconds) else { return value.clone() };
    if nanos == 0 {
        return json!("0s");
    }
    let (hours, rest) = (nanos / 3_600_000_000_000, nanos % 3_600_000_000_000);
    let (minutes, rest) = (rest / 60_000_000_000, rest % 60_000_000_000);
    let mut out = String::new();
    if hours > 0 {
        out.push_str(&format!("{hours}h"));
    }
    if minutes > 0 {
        out.push_str(&format!("{minutes}m"));
    }
    match (rest / 1_000_000_000, rest % 1_000_000_000) {
        (0, 0) => {}
        (seconds, 0) => out.push_str(&format!("{seconds}s")),
        (0, small) if small % 1_000_000 == 0 => out.push_str(&format!("{}ms", small / 1_000_000)),
        (_, _) => out.push_str(&format!("{}s", rest as f64 / 1e9)),
    }
    Json::String(out)
}

/// A point in time as a service writes it: RFC 3339, or seconds since 1970.
pub fn moment(value: Option<&Json>) -> Option<jiff::Timestamp> {
    match value? {
        Json::String(text) => text.parse().ok(),
        Json::Number(seconds) => {
            let millis = (seconds.as_f64()? * 1000.0).floor();
            #[expect(clippy::cast_possible_truncation, reason = "whole milliseconds fit")]
            jiff::Timestamp::from_millisecond(millis as i64).ok()
        }
        _ => None,
    }
}

/// When an object of the Cloudflare API was changed last, by what its services call that.
pub fn modified(raw: &Json) -> Option<jiff::Timestamp> {
    const NAMES: [&str; 4] = ["modified_on", "updated_at", "last_updated", "modified_at"];
    NAMES.iter().find_map(|name| moment(raw.get(*name)))
}

/// A duration that is counted in whole seconds on the wire: 30, `30s` and `0m30s` are 30. Values
/// that cannot be read so stay as they are.
pub fn seconds(value: &Json) -> Json {
    match value {
        Json::String(text) => match (text.parse::<u64>(), nanoseconds(text)) {
            (Ok(whole), _) => json!(whole),
            (_, Some(nanos)) if nanos % 1_000_000_000 == 0 => json!(nanos / 1_000_000_000),
            _ => value.clone(),
        },
        _ => value.clone(),
    }
}

/// Whether a text is a UUID or 32 hex digits: an id, not a name.
pub fn is_id(text: &str) -> bool {
    let hex = text.chars().filter(|c| *c != '-').count();
    let plain = text.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    plain && hex == 32 && (text.len() == 32 || text.len() == 36)
}

/// A problem where a required text is empty.
pub fn required_text(spec: &Json, field: &str, problems: &mut Vec<Problem>) {
    if text(spec, field).is_some_and(|value| value.trim().is_empty()) {
        problems.push(Problem::error(field, format!("`{field}` is empty")));
    }
}

/// The spec with what is ignored as it is at the service: what is left to others goes back as it
/// was when a whole object is replaced.
pub fn with_ignored(spec: &Json, remote: &Json, ignore: &[String]) -> Json {
    let mut out = spec.clone();
    for path in ignore {
        match path::get(remote, path) {
            Some(value) => path::put(&mut out, path, value.clone()),
            None => {
                path::take(&mut out, path);
            }
        }
    }
    out
}

/// Puts the items that others wrote beside ours: theirs keep their places, ours take the places
/// that ours had, in the declared order, and what is left comes last.
pub fn interleave(observed: &[Json], foreign: impl Fn(&Json) -> bool, ours: &[Json]) -> Vec<Json> {
    let mut ours = ours.iter();
    let mut out = Vec::new();
    for item in observed {
        if foreign(item) {
            out.push(item.clone());
        } else if let Some(next) = ours.next() {
            out.push(next.clone());
        }
    }
    out.extend(ours.cloned());
    out
}

/// The object that a successful answer holds.
///
/// # Errors
/// The answer holds none that can be read.
pub fn remote_of(read: Vec<Remote>) -> Result<Remote, KindError> {
    read.into_iter().next().ok_or_else(|| KindError::Answer("id".to_owned()))
}

/// The refusal of an answer that the kind asked to see; without a hint of the kind's own, with what
/// is known of the service's code.
pub fn refused(answer: &Answer, hint: Option<&str>) -> KindError {
    let message = text(&answer.body, "message").unwrap_or("the service gave no reason");
    let code = code_of(answer).map(|code| format!(" (code {code})")).unwrap_or_default();
    KindError::Refused {
        status: answer.status,
        message: format!("answered {}{code}: {message}", answer.status),
        hint: hint.or_else(|| text(&answer.body, "hint")).map(str::to_owned),
    }
}

/// The service's own code of a refusal.
pub fn code_of(answer: &Answer) -> Option<String> {
    match answer.body.get("code")? {
        Json::String(code) => Some(code.clone()),
        Json::Number(code) => Some(code.to_string()),
        _ => None,
    }
}

/// Whether a delete's answer says that the object is gone.
pub fn is_gone(answer: &Answer) -> bool {
    answer.is_success() || answer.status == 404 || answer.status == 410
}

#[cfg(test)]
#[path = "support_tests.rs"]
mod tests;
