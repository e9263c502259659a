//! What is recorded, as tables and as whole records.

use anstyle::Style;
use serde_json::json;

use super::RenderOptions;
use super::fields::value_line;
use super::mask::{Mask, compact, leaves};
use super::text::{Palette, clean, columns, count, cut, hanging, paint, table, width};
use crate::model::address::Address;
use crate::model::state::{Recorded, State, Target};
use crate::model::{Json, JsonMap};

/// `state list`: a line a resource. The stack is a column where there are several, and when it was
/// written where more is asked for.
pub fn list(states: &[State], options: &RenderOptions) -> String {
    let several = states.len() > 1;
    let mut rows = Vec::new();
    for state in states {
        for (address, record) in &state.resources {
            let mut row = Vec::new();
            if options.verbose {
                row.push(day(&record.updated_at));
            }
            if several {
                row.push(clean(&state.stack));
            }
            row.push(address.to_string());
            // The id of a Kubernetes object is in its address already.
            let shown = options.verbose || !address.is_kubernetes();
            let id = if shown { clean(&record.id) } else { String::new() };
            row.push(match marks(record) {
                marks if marks.is_empty() => id,
                marks => format!("{id} ({marks})").trim_start().to_owned(),
            });
            rows.push(row);
        }
    }
    if rows.is_empty() {
        return "Nothing is recorded.\n".to_owned();
    }
    let heading =
        [("WRITTEN", options.verbose), ("STACK", several), ("ADDRESS", true), ("ID", true)];
    let heading: Vec<&str> =
        heading.into_iter().filter(|(_, shown)| *shown).map(|(name, _)| name).collect();
    table(&heading, &rows, options)
}

/// `state list --json`.
pub fn list_json(states: &[State]) -> Json {
    let mut resources = Vec::new();
    for state in states {
        for (address, record) in &state.resources {
            resources.push(json!({"stack": state.stack, "address": address, "kind": record.kind,
                "id": record.id, "protected": record.protected, "adopted": record.adopted,
                "updated_at": record.updated_at}));
        }
    }
    json!({"format_version": super::json::FORMAT_VERSION, "resources": resources})
}

/// `state show ADDRESS`: everything recorded of one resource.
pub fn record(address: &Address, record: &Recorded, options: &RenderOptions) -> String {
    let palette = Palette::of(options);
    let mask = Mask::of(address, Some(&record.sent));
    let mut out = format!("{}\n", paint(palette.bold, address));
    let dependencies: Vec<String> = record.dependencies.iter().map(ToString::to_string).collect();
    let mut facts = vec![
        ("id", record.id.clone()),
        ("marks", marks(record)),
        ("made", record.created_at.clone()),
        ("written", record.updated_at.clone()),
        ("version", record.version.clone().unwrap_or_default()),
        ("needs", dependencies.join(", ")),
        ("shared", record.shared.join(", ")),
    ];
    for (parameter, version) in &record.reads {
        facts.push(("reads", format!("{parameter}, version {version}")));
    }
    for name in record.secrets.keys() {
        facts.push(("secret", format!("{name} (a fingerprint of it)")));
    }
    for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
        let head = format!("  {name:<8} ");
        out.push_str(&hanging(&head, &head, &clean(value), columns(options)));
    }
    let key = Json::Object(record.key.clone());
    let outputs = Json::Object(record.outputs.clone());
    let sent = leaves(&mask.value("", &record.sent));
    // What the answer made of it is worth a line where it is something else.
    let alike = |leaf: &(String, Json)| sent.contains(leaf);
    let shown = options.verbose || !address.is_kubernetes();
    let answered: Vec<_> = leaves(&mask.value("", &record.answered))
        .into_iter()
        .filter(|leaf| options.verbose || shown && !alike(leaf))
        .collect();
    out.push_str(&part("key", &leaves(&mask.value("", &key)), options));
    out.push_str(&part("sent", &sent, options));
    let name = if options.verbose { "answered" } else { "answered, where it differs" };
    out.push_str(&part(name, &answered, options));
    out.push_str(&part("outputs", &leaves(&mask.value("", &outputs)), options));
    out
}

fn part(name: &str, leaves: &[(String, Json)], options: &RenderOptions) -> String {
    let palette = Palette::of(options);
    let empty = |(path, value): &(String, Json)| {
        path.is_empty() && (value.is_null() || value.as_object().is_some_and(JsonMap::is_empty))
    };
    if leaves.iter().all(empty) {
        return String::new();
    }
    let mut out = format!("  {}\n", paint(palette.dim, name));
    for (path, value) in leaves {
        let head = format!("    {}: ", clean(path));
        out.push_str(&value_line(&head, &clean(&compact(value)), Style::new(), options));
    }
    out
}

/// `state show ADDRESS --json`.
pub fn record_json(stack: &str, address: &Address, record: &Recorded) -> Json {
    let mask = Mask::of(address, Some(&record.sent));
    let mut value = json!({"format_version": super::json::FORMAT_VERSION, "stack": stack,
        "address": address});
    if let (Some(out), Ok(Json::Object(fields))) =
        (value.as_object_mut(), serde_json::to_value(record))
    {
        out.extend(fields);
    }
    value["sent"] = super::mask::with_nulls(&mask.value("", &record.sent));
    value["answered"] = super::mask::with_nulls(&mask.value("", &record.answered));
    value
}

/// `show STACK`: where it lives, its variables, its resources.
pub fn overview(state: &State, options: &RenderOptions) -> String {
    let palette = Palette::of(options);
    let mut out = format!(
        "{} (serial {}, {})\n",
        paint(palette.bold, format!("Stack {}", clean(&state.stack))),
        state.serial,
        count(state.resources.len() as u64, "resource")
    );
    for (name, value) in target_parts(&state.target) {
        let line = format!("  {name:<20} {}", clean(value));
        out.push_str(&format!("{}\n", cut(&line, columns(options))));
    }
    for (name, value) in &state.variables {
        let shown = match value.sensitive {
            true => "(secret)".to_owned(),
            false => compact(&Json::from(value.value.as_str())),
        };
        let line = format!("  {:<20} {}", format!("var.{name}"), clean(&shown));
        out.push_str(&format!("{}\n", cut(&line, columns(options))));
    }
    out.push('\n');
    out.push_str(&list(std::slice::from_ref(state), options));
    let outputs = outputs(state, options);
    if !outputs.is_empty() {
        out.push_str(&format!("\n{}\n{outputs}", paint(palette.bold, "OUTPUTS")));
    }
    out
}

/// `show STACK --json`: the state, variables' fingerprints hidden.
pub fn overview_json(state: &State) -> Json {
    let mut value = serde_json::to_value(state).unwrap_or_default();
    value["format_version"] = super::json::FORMAT_VERSION.into();
    for (name, variable) in &state.variables {
        if variable.sensitive {
            value["variables"][name]["value"] = super::mask::SECRET.into();
        }
    }
    for (address, record) in &state.resources {
        let mask = Mask::of(address, Some(&record.sent));
        let out = &mut value["resources"][address.to_string()];
        out["sent"] = super::mask::with_nulls(&mask.value("", &record.sent));
        out["answered"] = super::mask::with_nulls(&mask.value("", &record.answered));
    }
    value
}

/// What references can name. What the table of resources says already is left out.
fn outputs(state: &State, options: &RenderOptions) -> String {
    let mut lines = Vec::new();
    for (address, record) in &state.resources {
        if address.is_kubernetes() && !options.verbose {
            continue;
        }
        let mask = Mask::of(address, Some(&record.sent));
        let is_id = |value: &Json| value.as_str().is_some_and(|value| record.id.ends_with(value));
        for (name, value) in record.outputs.iter().filter(|(_, v)| options.verbose || !is_id(v)) {
            let value = compact(&mask.value(name, value));
            lines.push((format!("{address}.{name}"), clean(&value)));
        }
        for name in record.secrets.keys() {
            lines.push((format!("{address}.{name}"), super::mask::SECRET.to_owned()));
        }
    }
    let column = lines.iter().map(|(name, _)| width(name)).max().unwrap_or(0);
    lines
        .iter()
        .map(|(name, value)| {
            let head = format!("{}  ", super::text::pad(name, column));
            value_line(&head, value, Style::new(), options)
        })
        .collect()
}

fn target_parts(target: &Target) -> Vec<(&'static str, &str)> {
    [
        ("Cloudflare account", &target.cloudflare_account),
        ("Cloudflare endpoint", &target.cloudflare_host),
        ("AWS account", &target.aws_account),
        ("AWS region", &target.aws_region),
        ("AWS endpoint", &target.aws_host),
        ("Kubernetes cluster", &target.kubernetes_cluster),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value.as_deref()?)))
    .collect()
}

/// What is special about a record.
fn marks(record: &Recorded) -> String {
    let marks = [
        (record.protected, "protected"),
        (record.adopted, "adopted"),
        (record.replacing, "replacing"),
    ];
    let marks: Vec<&str> = marks.into_iter().filter(|(is, _)| *is).map(|(_, mark)| mark).collect();
    marks.join(", ")
}

/// The day and minute of a time, as people read it.
pub(super) fn day(time: &str) -> String {
    match time.get(..16) {
        Some(start) => start.replace('T', " "),
        None => clean(time),
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn states_are_tables() {
        let state = samples::state();
        let options = RenderOptions::default();
        insta::assert_snapshot!("overview", overview(&state, &options));
        let other = State { stack: "other".to_owned(), ..state.clone() };
        insta::assert_snapshot!("list", list(&[state.clone(), other], &options));
        assert_eq!(list(&[], &options), "Nothing is recorded.\n");
        for (address, one) in &state.resources {
            insta::assert_snapshot!(
                format!("record_{}", address.kind()),
                record(address, one, &options)
            );
        }
        assert_eq!(overview_json(&state)["format_version"], "1");
        let text = overview_json(&state).to_string() + &overview(&state, &options);
        for secret in samples::SECRETS {
            assert!(!text.contains(secret), "{secret}");
        }
    }
}
