//! A stack's explicit resources as a stack file: `boxctl expand`.

use std::fmt::Write;

use serde_json::json;

use super::reference::escape;
use super::scalar::{self, Rules};
use crate::model::address::Address;
use crate::model::resource::{Adopt, Meta, Resource, Stack};
use crate::model::value::{Part, SecretPart, Special};
use crate::model::{Json, JsonMap};

/// The stack as a file with explicit resources, which loads to the same ones. Data of Secrets is
/// not written: such objects are named in comments and stay in their manifests.
pub fn expanded_yaml(stack: &Stack) -> String {
    let mut root = JsonMap::new();
    root.insert("stack".to_owned(), stack.name.clone().into());
    if let Some(name) = &stack.renamed_from {
        root.insert("renamed_from".to_owned(), name.clone().into());
    }
    let sensitive: JsonMap = stack
        .variables
        .iter()
        .filter(|(_, variable)| variable.sensitive)
        .map(|(name, _)| (name.clone(), json!({"sensitive": true})))
        .collect();
    insert(&mut root, "variables", sensitive);
    let mut resources = JsonMap::new();
    let mut settings = JsonMap::new();
    let mut left = String::new();
    for resource in &stack.resources {
        if holds_file_secret(resource) {
            let place = resource.location.as_ref().map(ToString::to_string).unwrap_or_default();
            let _ = writeln!(left, "# {} stays in {place}: it holds secrets", resource.address);
            continue;
        }
        let meta = meta_of(&resource.meta, &resource.address);
        let mut spec = match written(&resource.spec) {
            Json::Object(map) => map,
            _ => JsonMap::new(),
        };
        if resource.address.is_kubernetes() {
            if !meta.is_empty() {
                settings.insert(resource.address.to_string(), Json::Object(meta));
            }
        } else {
            spec.extend(meta);
        }
        resources.insert(resource.address.to_string(), Json::Object(spec));
    }
    insert(&mut root, "resources", resources);
    let lookups = stack
        .lookups
        .iter()
        .map(|lookup| (lookup.address.to_string(), lookup.query.clone()))
        .collect();
    insert(&mut root, "lookups", lookups);
    for (pattern, what) in patterns(stack) {
        settings.entry(pattern).or_insert(what);
    }
    insert(&mut root, "settings", settings);
    if !stack.forget.is_empty() {
        root.insert("forget".to_owned(), stack.forget.clone().into());
    }
    let accept =
        stack.accept.iter().map(|(code, why)| (code.clone(), why.clone().into())).collect();
    insert(&mut root, "accept", accept);
    let mut out = left;
    mapping(&mut out, &root, 0);
    out
}

/// What `settings` say of resources that have left the files.
fn patterns(stack: &Stack) -> JsonMap {
    let protect =
        stack.protect_settings.iter().map(|(at, protect)| (at, "protect", json!(protect)));
    let timeout =
        stack.timeout_settings.iter().map(|(at, seconds)| (at, "timeout", json!(seconds)));
    let mut out = JsonMap::new();
    for (pattern, key, value) in protect.chain(timeout) {
        let said = out.entry(pattern.clone()).or_insert_with(|| json!({}));
        if let Some(said) = said.as_object_mut() {
            said.insert(key.to_owned(), value);
        }
    }
    out
}

/// A manifest as YAML, fields in the order in which they stand; what kubectl reads as the same.
pub(super) fn manifest_yaml(manifest: &Json) -> String {
    let mut out = String::new();
    mapping(&mut out, manifest.as_object().unwrap_or(&JsonMap::new()), 0);
    out
}

fn insert(root: &mut JsonMap, key: &str, map: JsonMap) {
    if !map.is_empty() {
        root.insert(key.to_owned(), Json::Object(map));
    }
}

/// Whether a spec holds a secret that no variable stands for.
fn holds_file_secret(resource: &Resource) -> bool {
    crate::model::value::secret_sources(&resource.spec)
        .iter()
        .any(|source| source.as_output().is_some())
}

fn meta_of(meta: &Meta, address: &Address) -> JsonMap {
    let usual = Meta::default();
    let mut out = JsonMap::new();
    if !meta.depends_on.is_empty() {
        let addresses: Vec<String> = meta.depends_on.iter().map(ToString::to_string).collect();
        out.insert("depends_on".to_owned(), addresses.into());
    }
    if let Some(protect) = meta.protect {
        out.insert("protect".to_owned(), protect.into());
    }
    for (key, paths) in [("ignore", &meta.ignore), ("force", &meta.force), ("shared", &meta.shared)]
    {
        if !paths.is_empty() {
            out.insert(key.to_owned(), paths.clone().into());
        }
    }
    match &meta.adopt {
        Adopt::No => {}
        Adopt::Fitting | Adopt::Yes => {
            out.insert("adopt".to_owned(), true.into());
        }
        Adopt::Id(id) => {
            out.insert("adopt".to_owned(), id.clone().into());
        }
    }
    if meta.wait != usual.wait {
        out.insert("wait".to_owned(), meta.wait.into());
    }
    if let Some(seconds) = meta.timeout_s {
        out.insert("timeout".to_owned(), seconds.into());
    }
    if let Some(old) = &meta.renamed_from {
        out.insert("renamed_from".to_owned(), old.to_string().into());
    }
    if meta.applied_elsewhere && address.is_kubernetes() {
        out.insert("applied_by".to_owned(), "argocd".into());
    }
    out
}

/// The value as a file writes it: references and variables as text.
pub(super) fn written(value: &Json) -> Json {
    if let Some(special) = Special::of(value) {
        return Json::String(match special {
            Special::Text(parts) => parts.iter().map(part).collect(),
            Special::Unknown(reference) => super::reference::written(&reference),
            Special::Secret(parts) => parts.iter().map(secret_part).collect(),
        });
    }
    match value {
        Json::String(text) => Json::String(escape(text)),
        Json::Array(items) => Json::Array(items.iter().map(written).collect()),
        Json::Object(map) => {
            Json::Object(map.iter().map(|(key, item)| (key.clone(), written(item))).collect())
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => value.clone(),
    }
}

fn part(part: &Part) -> String {
    match part {
        Part::Literal(text) => escape(text),
        Part::Reference(reference) => super::reference::written(reference),
    }
}

fn secret_part(part: &SecretPart) -> String {
    match part {
        SecretPart::Literal(text) => escape(text),
        SecretPart::From { source, .. } => {
            let name = source.as_str();
            let name = name.rsplit_once('/').map_or(name, |(_, name)| name);
            format!("${{var.{}}}", name.trim_start_matches("var."))
        }
    }
}

/// The entries of a mapping as lines, two blanks deeper for each of `depth`.
pub(super) fn mapping(out: &mut String, map: &JsonMap, depth: usize) {
    for (key, value) in map {
        indent(out, depth);
        out.push_str(&scalar_text(key));
        out.push(':');
        below(out, value, depth);
    }
}

fn below(out: &mut String, value: &Json, depth: usize) {
    match value {
        Json::Object(map) if !map.is_empty() => {
            out.push('\n');
            mapping(out, map, depth + 1);
        }
        Json::Array(items) if !items.is_empty() => {
            out.push('\n');
            for item in items {
                list_item(out, item, depth + 1);
            }
        }
        other => {
            out.push(' ');
            leaf(out, other, depth);
        }
    }
}

/// An item of a list as lines.
pub(super) fn list_item(out: &mut String, item: &Json, depth: usize) {
    indent(out, depth);
    out.push('-');
    match item {
        Json::Object(map) if !map.is_empty() => {
            // The first key goes behind the dash, the others below it.
            let mut text = String::new();
            mapping(&mut text, map, depth + 1);
            out.push(' ');
            out.push_str(text.trim_start_matches(' '));
        }
        Json::Array(items) if !items.is_empty() => {
            out.push('\n');
            for item in items {
                list_item(out, item, depth + 1);
            }
        }
        other => {
            out.push(' ');
            leaf(out, other, depth);
        }
    }
}

fn leaf(out: &mut String, value: &Json, depth: usize) {
    match value {
        Json::String(text) if fits_block(text) => {
            out.push_str(if text.ends_with('\n') { "|\n" } else { "|-\n" });
            for line in text.trim_end_matches('\n').lines() {
                if !line.is_empty() {
                    indent(out, depth + 1);
                    out.push_str(line);
                }
                out.push('\n');
            }
        }
        Json::String(text) => {
            out.push_str(&scalar_text(text));
            out.push('\n');
        }
        other => {
            out.push_str(&other.to_string());
            out.push('\n');
        }
    }
}

fn indent(out: &mut String, depth: usize) {
    out.push_str(&"  ".repeat(depth));
}

/// Whether a text of several lines can stand as a block and mean the same.
pub(super) fn fits_block(text: &str) -> bool {
    text.contains('\n')
        && !text.ends_with("\n\n")
        && !text.starts_with([' ', '\n', '\t'])
        && text.chars().all(|c| {
            c == '\n'
                || (!c.is_control()
                    && c != '\u{feff}'
                    && c != '\u{85}'
                    && c != '\u{2028}'
                    && c != '\u{2029}')
        })
}

/// Text without quotes where it can't be taken for anything else, by either version of YAML.
pub(super) fn scalar_text(text: &str) -> String {
    let plain = text
        .starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_'))
        && text.chars().all(|c| c.is_alphanumeric() || "-_./ ".contains(c))
        && !text.ends_with(' ')
        && [Rules::Core, Rules::Kubectl]
            .iter()
            .all(|rules| scalar::resolve(text, *rules) == Some(Json::String(text.to_owned())))
        && text != "."
        && text != "...";
    if plain {
        return text.to_owned();
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() || matches!(c, '\u{feff}' | '\u{2028}' | '\u{2029}') => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
