//! Paths into objects: reading and writing them, following them, matching them.

use std::fmt;

use crate::model::{Json, JsonMap};

/// One step of a path.
#[derive(Clone, Debug, PartialEq)]
pub enum Element {
    /// A field of an object, or a key of a map.
    Field(String),
    /// The item of a list that has these fields: `[name="x"]`.
    Item(Vec<(String, Json)>),
    /// The item of a set that is this value: `[="x"]`.
    Value(Json),
    /// The item at a place: `[0]`.
    Index(usize),
    /// Any one field or item; in patterns only.
    Any,
    /// Any number of steps; in patterns only.
    Deep,
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Element::Field(name) if is_plain(name) => f.write_str(name),
            Element::Field(name) => write!(f, "[{}]", Json::String(name.clone())),
            Element::Item(keys) => {
                f.write_str("[")?;
                for (i, (key, value)) in keys.iter().enumerate() {
                    write!(f, "{}{key}={value}", if i == 0 { "" } else { "," })?;
                }
                f.write_str("]")
            }
            Element::Value(value) => write!(f, "[={value}]"),
            Element::Index(index) => write!(f, "[{index}]"),
            Element::Any => f.write_str("*"),
            Element::Deep => f.write_str("**"),
        }
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.contains(['.', '[', ']', '"', '=', ',', '*'])
}

/// A path into an object.
///
/// Its text is the one that the server writes in conflicts, less the leading dot:
/// `spec.template.spec.containers[name="x"].image`; names that would be ambiguous in it are
/// quoted: `metadata.annotations["example.org/a"]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Path(pub Vec<Element>);

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, element) in self.0.iter().enumerate() {
            let dotted = match element {
                Element::Field(name) => is_plain(name),
                Element::Any | Element::Deep => true,
                Element::Item(_) | Element::Value(_) | Element::Index(_) => false,
            };
            if i > 0 && dotted {
                f.write_str(".")?;
            }
            element.fmt(f)?;
        }
        Ok(())
    }
}

impl Path {
    /// Reads a path as boxctl, a conflict or a refusal writes it; None for text that is none.
    pub fn parse(text: &str) -> Option<Path> {
        let mut elements = Vec::new();
        let mut rest = text.strip_prefix('.').unwrap_or(text);
        while !rest.is_empty() {
            if let Some(inner) = rest.strip_prefix('[') {
                let (element, after) = parse_bracket(inner)?;
                elements.push(element);
                rest = after;
            } else {
                let end = rest.find(['.', '[']).unwrap_or(rest.len());
                let (name, after) = rest.split_at(end);
                elements.push(match name {
                    "" => return None,
                    "*" => Element::Any,
                    "**" => Element::Deep,
                    name => Element::Field(name.to_owned()),
                });
                rest = after;
            }
            if let Some(after) = rest.strip_prefix('.') {
                if after.is_empty() {
                    return None;
                }
                rest = after;
            }
        }
        Some(Path(elements))
    }

    /// The text as the server writes it, less the leading dot: nothing is quoted.
    pub fn server_text(&self) -> String {
        let mut out = String::new();
        for element in &self.0 {
            match element {
                Element::Field(name) => {
                    if !out.is_empty() {
                        out.push('.');
                    }
                    out.push_str(name);
                }
                other => out.push_str(&other.to_string()),
            }
        }
        out
    }

    /// What the path leads to.
    pub fn get<'a>(&self, root: &'a Json) -> Option<&'a Json> {
        self.0.iter().try_fold(root, |at, element| match element {
            Element::Field(name) => at.as_object()?.get(name),
            Element::Item(keys) => find_item(at.as_array()?, keys).map(|(_, item)| item),
            Element::Value(value) => at.as_array()?.iter().find(|item| *item == value),
            Element::Index(index) => at.as_array()?.get(*index),
            Element::Any | Element::Deep => None,
        })
    }

    /// Puts a value where the path leads, and makes what is missing on the way. Does nothing where
    /// something else is in the way.
    pub fn put(&self, root: &mut Json, value: Json) {
        put(root, &self.0, value);
    }

    /// Takes away what the path leads to; every match, where it is a pattern.
    pub fn remove(&self, root: &mut Json) {
        remove(root, &self.0);
    }

    /// Whether this pattern covers a path: itself or anything beneath it.
    pub fn covers(&self, path: &Path) -> bool {
        covers(&self.0, &path.0)
    }

    /// Whether the other path is this one or goes on from it.
    pub fn leads_to(&self, other: &Path) -> bool {
        other.0.starts_with(&self.0)
    }
}

fn parse_bracket(inner: &str) -> Option<(Element, &str)> {
    if let Some(after) = inner.strip_prefix("*]") {
        return Some((Element::Any, after));
    }
    if let Some(rest) = inner.strip_prefix('=') {
        let (value, after) = parse_json(rest)?;
        return Some((Element::Value(value), after.strip_prefix(']')?));
    }
    if inner.starts_with('"') {
        let (value, after) = parse_json(inner)?;
        return Some((Element::Field(value.as_str()?.to_owned()), after.strip_prefix(']')?));
    }
    let plain_end = inner.find([']', '='])?;
    if inner[plain_end..].starts_with(']') {
        let text = &inner[..plain_end];
        let element = match text.parse() {
            Ok(index) => Element::Index(index),
            Err(_) => Element::Field(text.to_owned()),
        };
        return Some((element, &inner[plain_end + 1..]));
    }
    let mut keys = Vec::new();
    let mut rest = inner;
    loop {
        let (key, value) = rest.split_once('=')?;
        let (value, after) = parse_json(value)?;
        keys.push((key.to_owned(), value));
        match after.strip_prefix(',') {
            Some(more) => rest = more,
            None => return Some((Element::Item(keys), after.strip_prefix(']')?)),
        }
    }
}

/// The JSON value that a text begins with, and what comes after it.
fn parse_json(text: &str) -> Option<(Json, &str)> {
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<Json>();
    let value = stream.next()?.ok()?;
    let end = stream.byte_offset();
    Some((value, text.get(end..)?))
}

/// The item with these fields; a field that an item leaves out counts as fitting, after the items
/// that have it, since manifests leave out defaulted keys (`protocol: TCP`).
fn find_item<'a>(items: &'a [Json], keys: &[(String, Json)]) -> Option<(usize, &'a Json)> {
    let fits = |item: &Json, lenient: bool| {
        let mut found = false;
        let all = keys.iter().all(|(key, value)| match item.get(key) {
            Some(have) => {
                found = true;
                have == value
            }
            None => lenient,
        });
        all && found
    };
    let position = items
        .iter()
        .position(|item| fits(item, false))
        .or_else(|| items.iter().position(|item| fits(item, true)))?;
    Some((position, items.get(position)?))
}

fn put(root: &mut Json, path: &[Element], value: Json) {
    let Some((first, rest)) = path.split_first() else {
        *root = value;
        return;
    };
    match first {
        Element::Field(name) => {
            if root.is_null() {
                *root = Json::Object(JsonMap::new());
            }
            if let Json::Object(map) = root {
                put(map.entry(name.clone()).or_insert(Json::Null), rest, value);
            }
        }
        Element::Item(_) | Element::Value(_) | Element::Index(_) => {
            if root.is_null() {
                *root = Json::Array(Vec::new());
            }
            let Json::Array(items) = root else { return };
            let found = match first {
                Element::Item(keys) => find_item(items, keys).map(|(at, _)| at),
                Element::Value(wanted) => items.iter().position(|item| item == wanted),
                Element::Index(index) => Some(*index).filter(|index| *index < items.len()),
                Element::Field(_) | Element::Any | Element::Deep => None,
            };
            let at = found.unwrap_or_else(|| {
                items.push(match first {
                    Element::Item(keys) => Json::Object(keys.iter().cloned().collect()),
                    _ => Json::Null,
                });
                items.len() - 1
            });
            if let Some(item) = items.get_mut(at) {
                put(item, rest, value);
            }
        }
        Element::Any | Element::Deep => {}
    }
}

fn remove(root: &mut Json, path: &[Element]) {
    let Some((first, rest)) = path.split_first() else { return };
    match root {
        Json::Object(map) => match first {
            Element::Field(name) if rest.is_empty() => {
                map.shift_remove(name);
            }
            Element::Field(name) => {
                if let Some(inner) = map.get_mut(name) {
                    remove(inner, rest);
                }
            }
            Element::Any if rest.is_empty() => map.clear(),
            Element::Any => map.values_mut().for_each(|inner| remove(inner, rest)),
            Element::Deep if rest.is_empty() => map.clear(),
            Element::Deep => {
                map.values_mut().for_each(|inner| remove(inner, path));
                remove(root, rest);
            }
            Element::Item(_) | Element::Value(_) | Element::Index(_) => {}
        },
        Json::Array(items) => {
            let at = match first {
                Element::Item(keys) => find_item(items, keys).map(|(at, _)| at),
                Element::Value(value) => items.iter().position(|item| item == value),
                Element::Index(index) => Some(*index).filter(|index| *index < items.len()),
                Element::Any | Element::Deep => {
                    let inner = if matches!(first, Element::Any) { rest } else { path };
                    if inner.is_empty() || rest.is_empty() {
                        items.clear();
                    } else {
                        items.iter_mut().for_each(|item| remove(item, inner));
                    }
                    None
                }
                Element::Field(_) => None,
            };
            match at {
                Some(at) if rest.is_empty() => {
                    items.remove(at);
                }
                Some(at) => {
                    if let Some(item) = items.get_mut(at) {
                        remove(item, rest);
                    }
                }
                None => {}
            }
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

fn covers(pattern: &[Element], path: &[Element]) -> bool {
    let Some((first, rest)) = pattern.split_first() else { return true };
    if *first == Element::Deep {
        return (0..=path.len()).any(|skip| path.get(skip..).is_some_and(|p| covers(rest, p)));
    }
    let Some((step, after)) = path.split_first() else { return false };
    let same = match (first, step) {
        (Element::Any, _) => true,
        (Element::Item(wanted), Element::Item(have)) => wanted.iter().all(|key| have.contains(key)),
        (a, b) => a == b,
    };
    same && covers(rest, after)
}

/// Whether one of the patterns that a user wrote covers the path, in boxctl's or the server's
/// spelling.
pub fn covered(patterns: &[String], path: &Path) -> bool {
    patterns.iter().any(|text| {
        let text = text.strip_prefix('.').unwrap_or(text);
        Path::parse(text).is_some_and(|pattern| pattern.covers(path)) || text == path.server_text()
    })
}

#[cfg(test)]
#[path = "fields_tests.rs"]
mod tests;
