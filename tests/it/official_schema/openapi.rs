//! The part of OpenAPI 3.0 that Cloudflare's document uses: what does a value have that its schema
//! does not allow?

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::{Map, Value};

/// Which way a value goes: what the server sets is not required of requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    Request,
    Answer,
}

/// The document, cut to what is used.
pub struct Document(Value);

fn list<'a>(schema: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    schema[key].as_array().into_iter().flatten()
}

impl Document {
    pub fn new(text: &str) -> Document {
        Document(serde_json::from_str(text).unwrap())
    }

    /// The operation of a method and a path, and the path as the document has it.
    pub fn operation(&self, method: &str, path: &str) -> Option<(String, &Value)> {
        let parts: Vec<&str> = path.split('/').collect();
        let paths = self.0["paths"].as_object().unwrap();
        let fits = |template: &str| {
            let wanted: Vec<&str> = template.split('/').collect();
            wanted.len() == parts.len()
                && wanted
                    .iter()
                    .zip(&parts)
                    .all(|(want, part)| want.starts_with('{') || want == part)
        };
        let (template, operations) = paths.iter().find(|(template, _)| fits(template))?;
        let operation = operations.get(method.to_ascii_lowercase())?;
        Some((template.clone(), operation))
    }

    fn resolve<'a>(&'a self, mut schema: &'a Value) -> &'a Value {
        while let Some(name) = schema["$ref"].as_str() {
            let name = name.rsplit('/').next().unwrap();
            schema = &self.0["schemas"][name];
            assert!(schema.is_object(), "no schema {name}");
        }
        schema
    }

    /// Everything that is wrong with a value: `at: what`.
    pub fn problems(&self, schema: &Value, value: &Value, way: Way) -> Vec<String> {
        let mut found = Vec::new();
        self.whole(schema, value, way, "", &mut found);
        found
    }

    fn whole(&self, schema: &Value, value: &Value, way: Way, at: &str, found: &mut Vec<String>) {
        self.part(schema, value, way, at, found);
        let mut names = BTreeSet::new();
        let mut open = false;
        self.names(schema, &mut names, &mut open);
        let Some(map) = value.as_object().filter(|_| !open && !names.is_empty()) else { return };
        for key in map.keys().filter(|key| !names.contains(key.as_str())) {
            found.push(format!("{at}/{key}: unknown field"));
        }
    }

    /// All fields that any of the alternatives names; `open` where others may be there too.
    fn names<'a>(&'a self, schema: &'a Value, names: &mut BTreeSet<&'a str>, open: &mut bool) {
        let schema = self.resolve(schema);
        *open |= schema["additionalProperties"].is_object();
        if let Some(properties) = schema["properties"].as_object() {
            names.extend(properties.keys().map(String::as_str));
        }
        for key in ["allOf", "anyOf", "oneOf"] {
            list(schema, key).for_each(|part| self.names(part, names, open));
        }
    }

    /// The schema of a field, wherever it stands first.
    fn field<'a>(&'a self, schema: &'a Value, name: &str) -> Option<&'a Value> {
        let schema = self.resolve(schema);
        let own = schema["properties"].get(name).map(|field| self.resolve(field));
        own.or_else(|| {
            let keys = ["allOf", "anyOf", "oneOf"];
            keys.iter().flat_map(|key| list(schema, key)).find_map(|part| self.field(part, name))
        })
    }

    fn part(&self, schema: &Value, value: &Value, way: Way, at: &str, found: &mut Vec<String>) {
        let schema = self.resolve(schema);
        if value.is_null() && schema["nullable"] == true {
            return;
        }
        if let Some(allowed) = schema["enum"].as_array()
            && !allowed.contains(value)
        {
            found.push(format!("{at}: {value} is none of {}", schema["enum"]));
            return;
        }
        if let Some(kind) = schema["type"].as_str()
            && !is_of(kind, value)
        {
            found.push(format!("{at}: {value} is no {kind}"));
            return;
        }
        match value {
            Value::String(text) => text_problems(schema, text, at, found),
            Value::Number(number) => {
                let number = number.as_f64().unwrap();
                if schema["minimum"].as_f64().is_some_and(|least| number < least)
                    || schema["maximum"].as_f64().is_some_and(|most| number > most)
                {
                    found.push(format!("{at}: {number} is out of range"));
                }
            }
            Value::Array(items) if schema["items"].is_object() => {
                for item in items {
                    self.whole(&schema["items"], item, way, &format!("{at}/*"), found);
                }
            }
            Value::Object(map) => self.object(schema, map, way, at, found),
            _ => {}
        }
        list(schema, "allOf").for_each(|part| self.part(part, value, way, at, found));
        for key in ["anyOf", "oneOf"] {
            let tried = list(schema, key).map(|part| {
                let mut found = Vec::new();
                // What an alternative does not name counts against it, so that the nearest is told.
                self.whole(part, value, way, at, &mut found);
                found
            });
            if let Some(best) = tried.min_by_key(|found| distance(found)) {
                found.extend(best.into_iter().filter(|text| !text.ends_with(": unknown field")));
            }
        }
    }

    fn object(
        &self,
        schema: &Value,
        map: &Map<String, Value>,
        way: Way,
        at: &str,
        found: &mut Vec<String>,
    ) {
        for name in list(schema, "required").filter_map(Value::as_str) {
            let set = self.field(schema, name).is_some_and(|field| field["readOnly"] == true);
            if !(map.contains_key(name) || set && way == Way::Request) {
                found.push(format!("{at}/{name}: missing"));
            }
        }
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            if let Some(value) = map.get(name) {
                let at = format!("{at}/{name}");
                if way == Way::Request && self.resolve(field)["readOnly"] == true {
                    found.push(format!("{at}: the server sets this"));
                }
                self.whole(field, value, way, &at, found);
            }
        }
    }
}

/// How far a value is from an alternative: a field too many is little, a wrong value much.
fn distance(found: &[String]) -> usize {
    found.iter().map(|text| if text.ends_with(": unknown field") { 1 } else { 3 }).sum()
}

fn is_of(kind: &str, value: &Value) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "number" => value.is_number(),
        other => panic!("no type {other}"),
    }
}

fn text_problems(schema: &Value, text: &str, at: &str, found: &mut Vec<String>) {
    let length = text.chars().count() as u64;
    if schema["minLength"].as_u64().is_some_and(|least| length < least)
        || schema["maxLength"].as_u64().is_some_and(|most| length > most)
    {
        found.push(format!("{at}: {length} characters"));
    }
    if let Some(pattern) = schema["pattern"].as_str()
        && !Regex::new(pattern).unwrap().is_match(text)
    {
        found.push(format!("{at}: `{text}` does not match {pattern}"));
    }
    let good = match schema["format"].as_str() {
        Some("uuid") => uuid::Uuid::try_parse(text).is_ok(),
        Some("date-time") => text.parse::<jiff::Timestamp>().is_ok(),
        Some("email") => text.contains('@'),
        Some("ipv4") => text.parse::<std::net::Ipv4Addr>().is_ok(),
        Some("ipv6") => text.parse::<std::net::Ipv6Addr>().is_ok(),
        _ => true,
    };
    if !good {
        found.push(format!("{at}: `{text}` is no {}", schema["format"]));
    }
}
