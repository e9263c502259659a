//! Events in their two versions: one set of objects, stored in the core form, also served as
//! events.k8s.io/v1 (`pkg/apis/events/v1/conversion.go`).

use serde_json::Value;

use super::resources::{Resource, built_in};
use super::value::{fields, set};

/// Names in the core form and in events.k8s.io/v1.
const NAMES: [(&str, &str); 8] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("apiVersion", "apiVersion"),
];

/// Whether requests for the kind see events in the newer form.
pub fn is_newer(resource: &Resource) -> bool {
    resource.is("events.k8s.io", "events")
}

/// Gives an event in the core form the newer one's names.
pub fn to_newer(event: &mut Value) {
    rename(event, |(core, newer)| (core, newer));
    set(event, "apiVersion", Some("events.k8s.io/v1".into()));
}

/// Brings an event in the newer form into the stored one, whose kind it gives back.
pub fn stored(resource: &Resource, event: &mut Value) -> Option<&'static Resource> {
    if !is_newer(resource) {
        return None;
    }
    rename(event, |(core, newer)| (newer, core));
    set(event, "apiVersion", Some("v1".into()));
    built_in().iter().find(|known| known.is("", "events"))
}

fn rename(
    event: &mut Value,
    way: fn((&'static str, &'static str)) -> (&'static str, &'static str),
) {
    let map = fields(event);
    for (from, to) in NAMES.map(way) {
        if let Some(value) = map.shift_remove(from) {
            map.insert(to.to_owned(), value);
        }
    }
}

/// The field of the stored form that a field selector means, `None` for one that is not
/// supported.
pub fn selected<'a>(resource: &Resource, field: &'a str) -> Option<std::borrow::Cow<'a, str>> {
    let (subject, component) = match is_newer(resource) {
        true => ("regarding.", "reportingController"),
        false => ("involvedObject.", "reportingComponent"),
    };
    if let Some(of) = field.strip_prefix(subject) {
        let known =
            ["kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath"];
        return known.contains(&of).then(|| format!("involvedObject.{of}").into());
    }
    match field {
        "reason" | "type" => Some(field.into()),
        "source" if !is_newer(resource) => Some("source.component".into()),
        _ if field == component => Some("reportingComponent".into()),
        _ => None,
    }
}
