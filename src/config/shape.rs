//! Nodes against a JSON Schema: what is wrong, where, and the value with each scalar made into what
//! its field's type makes of it.

use std::collections::BTreeMap;

use super::scalar::{self, Rules};
use super::source::{Mark, nearest, suggestion};
use super::yaml::{Node, Scalar, Shape, join};
use crate::model::{Json, JsonMap};

/// Schemas with this key set take no references: the value must be known from the files.
pub(super) const KNOWN: &str = "x-known";

/// Where the values of a document stand, by path (`ingress[0].service`).
pub(super) type Marks = BTreeMap<String, Mark>;

/// Something wrong at a place.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    /// Where.
    pub mark: Mark,
    /// What.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    sort: Sort,
}

/// What sort of mistake it is, for choosing which alternative was meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Unknown,
    Missing,
    Shape,
    Value,
}

/// What a check found: the value, and what is wrong with it.
#[derive(Debug)]
pub(super) struct Checked {
    /// The value; where something is wrong, as far as it goes.
    pub value: Json,
    /// What is wrong.
    pub faults: Vec<Fault>,
}

/// Checks a node against a schema.
pub(super) fn check(node: &Node, schema: &Json) -> Checked {
    let checker = Checker { root: schema };
    let (value, faults) = checker.value(node, schema, "");
    Checked { value, faults }
}

/// Where everything below a node stands.
pub(super) fn marks(node: &Node) -> Marks {
    let mut marks = Marks::new();
    node.each("", &mut |path, node| {
        marks.insert(path.to_owned(), node.mark);
    });
    marks
}

/// The place of a path, or of the nearest part of it that stands in the file.
pub(super) fn place(marks: &Marks, path: &str) -> Option<Mark> {
    let mut path = path;
    loop {
        if let Some(mark) = marks.get(path) {
            return Some(*mark);
        }
        path = match path.rfind(['.', '[']) {
            Some(at) => &path[..at],
            None if path.is_empty() => return None,
            None => "",
        };
    }
}

/// The names of a schema's fields.
pub(super) fn fields(schema: &Json) -> Vec<String> {
    let checker = Checker { root: schema };
    let mut names: Vec<String> = Vec::new();
    for form in checker.forms(schema, 0) {
        for (name, _) in form.properties {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}

/// One form that a value may have: a schema without alternatives.
#[derive(Clone, Default)]
struct Form<'s> {
    types: Vec<&'s str>,
    properties: Vec<(String, &'s Json)>,
    required: Vec<String>,
    closed: bool,
    others: Option<&'s Json>,
    items: Option<&'s Json>,
    values: Option<Vec<&'s Json>>,
    minimum: Option<f64>,
    maximum: Option<f64>,
    known: bool,
}

struct Checker<'s> {
    root: &'s Json,
}

impl<'s> Checker<'s> {
    /// The forms that a schema allows.
    fn forms(&self, schema: &'s Json, depth: usize) -> Vec<Form<'s>> {
        const DEEP: usize = 32;
        if depth > DEEP {
            return vec![Form::default()];
        }
        let Some(map) = schema.as_object() else { return vec![Form::default()] };
        let mut forms = vec![own_form(map)];
        if let Some(target) = map.get("$ref").and_then(Json::as_str).and_then(|at| self.find(at)) {
            forms = product(&forms, &self.forms(target, depth + 1));
        }
        for part in map.get("allOf").and_then(Json::as_array).into_iter().flatten() {
            forms = product(&forms, &self.forms(part, depth + 1));
        }
        for key in ["anyOf", "oneOf"] {
            if let Some(parts) = map.get(key).and_then(Json::as_array) {
                let others: Vec<Form<'s>> =
                    parts.iter().flat_map(|part| self.forms(part, depth + 1)).collect();
                forms = product(&forms, &others);
            }
        }
        forms
    }

    fn find(&self, reference: &str) -> Option<&'s Json> {
        let pointer = reference.strip_prefix('#')?;
        if pointer.is_empty() { Some(self.root) } else { self.root.pointer(pointer) }
    }

    fn value(&self, node: &Node, schema: &'s Json, path: &str) -> (Json, Vec<Fault>) {
        let forms = self.forms(schema, 0);
        let fitting: Vec<&Form<'_>> = forms.iter().filter(|form| form.fits(node)).collect();
        if fitting.is_empty() {
            return (Json::Null, vec![misfit(node, &forms, path)]);
        }
        if let Some(found) = self.one_of_values(node, &fitting, path) {
            return found;
        }
        let mut best: Option<(Json, Vec<Fault>)> = None;
        for form in &fitting {
            let (value, faults) = self.form(node, form, path);
            if faults.is_empty() {
                return (value, faults);
            }
            if best.as_ref().is_none_or(|(_, least)| weight(&faults) < weight(least)) {
                best = Some((value, faults));
            }
        }
        let (value, mut faults) = best.unwrap_or((Json::Null, Vec::new()));
        if fitting.len() > 1 {
            self.widen_suggestions(node, &fitting, &mut faults);
        }
        (value, faults)
    }

    /// Where every form that fits lists its values, one list of them all.
    fn one_of_values(
        &self,
        node: &Node,
        forms: &[&Form<'_>],
        path: &str,
    ) -> Option<(Json, Vec<Fault>)> {
        let Shape::Scalar(scalar) = &node.shape else { return None };
        let mut all: Vec<&Json> = Vec::new();
        for form in forms {
            all.extend(form.values.as_ref()?);
        }
        if let Some(value) = all.iter().find(|value| spelt_as(scalar, value)) {
            return Some(((**value).clone(), Vec::new()));
        }
        let names: Vec<String> = all.iter().map(|value| plain_text(value)).collect();
        let what = if path.is_empty() { String::new() } else { format!("`{path}`: ") };
        let message = format!("{what}`{}` is none of {}", scalar.text, names.join(", "));
        let hint = nearest(&scalar.text, names.iter().map(String::as_str))
            .map(|near| format!("did you mean `{near}`?"));
        Some((Json::Null, vec![Fault { mark: node.mark, message, hint, sort: Sort::Value }]))
    }

    /// Unknown keys are compared with the keys of all forms; what one form lacks says nothing then.
    fn widen_suggestions(&self, node: &Node, forms: &[&Form<'_>], faults: &mut Vec<Fault>) {
        let Some(entries) = node.entries() else { return };
        let names: Vec<&str> = forms
            .iter()
            .flat_map(|form| form.properties.iter().map(|(name, _)| name.as_str()))
            .collect();
        let unknown: Vec<_> =
            entries.iter().filter(|entry| !names.contains(&entry.key.as_str())).collect();
        if unknown.is_empty() {
            return;
        }
        faults.retain(|fault| fault.sort != Sort::Missing || fault.mark != node.mark);
        for fault in faults.iter_mut().filter(|fault| fault.sort == Sort::Unknown) {
            if let Some(entry) = unknown.iter().find(|entry| entry.mark == fault.mark) {
                fault.hint = suggestion(&entry.key, names.iter().copied());
            }
        }
    }

    fn form(&self, node: &Node, form: &Form<'s>, path: &str) -> (Json, Vec<Fault>) {
        match &node.shape {
            Shape::Special(_) if form.known => {
                let message = format!("`{path}` must be known from the files: no reference here");
                (
                    Json::Null,
                    vec![Fault { mark: node.mark, message, hint: None, sort: Sort::Value }],
                )
            }
            Shape::Special(value) => (value.clone(), Vec::new()),
            Shape::Scalar(scalar) => match form.scalar(node, scalar, path) {
                Ok(value) => (value, Vec::new()),
                Err(fault) => (Json::Null, vec![fault]),
            },
            Shape::List(items) => {
                let mut faults = Vec::new();
                let mut values = Vec::new();
                for (i, item) in items.iter().enumerate() {
                    let schema = form.items.unwrap_or(&Json::Bool(true));
                    let (value, more) = self.value(item, schema, &format!("{path}[{i}]"));
                    values.push(value);
                    faults.extend(more);
                }
                (Json::Array(values), faults)
            }
            Shape::Map(_) => self.mapping(node, form, path),
        }
    }

    fn mapping(&self, node: &Node, form: &Form<'s>, path: &str) -> (Json, Vec<Fault>) {
        let mut faults = Vec::new();
        let mut map = JsonMap::new();
        for entry in node.entries().unwrap_or_default() {
            let known = form.properties.iter().find(|(name, _)| *name == entry.key);
            let schema = match (known, form.others) {
                (Some((_, schema)), _) => schema,
                (None, Some(schema)) => schema,
                (None, None) if !form.closed => &Json::Bool(true),
                (None, None) => {
                    faults.push(unknown_key(entry.mark, &entry.key, form, path));
                    continue;
                }
            };
            let (value, more) = self.value(&entry.value, schema, &join(path, &entry.key));
            faults.extend(more);
            // `ttl:` without a value is a field that is left out; in what has no fields of its own,
            // null is a value like any other.
            if !(entry.value.is_null() && known.is_some_and(|(_, schema)| schema.is_object())) {
                map.insert(entry.key.clone(), value);
            }
        }
        for name in form.required.iter().filter(|name| node.get(name).is_none()) {
            let inside = if path.is_empty() { String::new() } else { format!(" in `{path}`") };
            let message = format!("`{name}` is missing{inside}");
            faults.push(Fault { mark: node.mark, message, hint: None, sort: Sort::Missing });
        }
        (Json::Object(map), faults)
    }
}

fn own_form(map: &JsonMap) -> Form<'_> {
    let types = match map.get("type") {
        Some(Json::String(one)) => vec![one.as_str()],
        Some(Json::Array(several)) => several.iter().filter_map(Json::as_str).collect(),
        _ => Vec::new(),
    };
    let values = match (map.get("const"), map.get("enum").and_then(Json::as_array)) {
        (Some(value), _) => Some(vec![value]),
        (None, Some(values)) => Some(values.iter().filter(|value| !value.is_null()).collect()),
        (None, None) => None,
    };
    let others = map.get("additionalProperties");
    Form {
        types,
        properties: map
            .get("properties")
            .and_then(Json::as_object)
            .map(|fields| fields.iter().map(|(name, schema)| (name.clone(), schema)).collect())
            .unwrap_or_default(),
        required: map
            .get("required")
            .and_then(Json::as_array)
            .map(|names| names.iter().filter_map(Json::as_str).map(str::to_owned).collect())
            .unwrap_or_default(),
        closed: others == Some(&Json::Bool(false))
            || map.get("unevaluatedProperties") == Some(&Json::Bool(false)),
        others: others.filter(|schema| schema.is_object()),
        items: map.get("items"),
        values,
        minimum: map.get("minimum").and_then(Json::as_f64),
        maximum: map.get("maximum").and_then(Json::as_f64),
        known: map.get(KNOWN) == Some(&Json::Bool(true)),
    }
}

/// Every pairing of two lists of forms, each pair made into one form.
fn product<'s>(left: &[Form<'s>], right: &[Form<'s>]) -> Vec<Form<'s>> {
    left.iter().flat_map(|a| right.iter().map(|b| a.clone().and(b))).collect()
}

impl<'s> Form<'s> {
    fn and(mut self, other: &Form<'s>) -> Form<'s> {
        if self.types.is_empty() {
            self.types = other.types.clone();
        } else if !other.types.is_empty() {
            self.types.retain(|name| other.types.contains(name));
        }
        self.properties.extend(other.properties.iter().cloned());
        self.required.extend(other.required.iter().cloned());
        self.closed |= other.closed;
        self.others = self.others.or(other.others);
        self.items = self.items.or(other.items);
        if self.values.is_none() {
            self.values.clone_from(&other.values);
        }
        self.minimum = self.minimum.or(other.minimum);
        self.maximum = self.maximum.or(other.maximum);
        self.known |= other.known;
        self
    }

    /// The types it takes; those of its values or fields where it names none.
    fn takes(&self, name: &str) -> bool {
        if !self.types.is_empty() {
            return self.types.contains(&name);
        }
        if let Some(values) = &self.values {
            return values.iter().any(|value| type_of(value) == name);
        }
        if !self.properties.is_empty() || self.others.is_some() {
            return name == "object";
        }
        true
    }

    /// Whether the node has the shape of this form.
    fn fits(&self, node: &Node) -> bool {
        match &node.shape {
            Shape::Special(_) => true,
            Shape::List(_) => self.takes("array"),
            Shape::Map(_) => self.takes("object"),
            Shape::Scalar(_) => {
                (node.is_null() && self.takes("null"))
                    || (!node.is_null()
                        && ["string", "integer", "number", "boolean"]
                            .iter()
                            .any(|name| self.takes(name)))
            }
        }
    }

    fn scalar(&self, node: &Node, scalar: &Scalar, path: &str) -> Result<Json, Fault> {
        let fault = |message: String, hint: Option<&str>| Fault {
            mark: node.mark,
            message,
            hint: hint.map(str::to_owned),
            sort: Sort::Value,
        };
        if node.is_null() && self.takes("null") {
            return Ok(Json::Null);
        }
        if let Some(values) = &self.values {
            return match values.iter().find(|value| spelt_as(scalar, value)) {
                Some(value) => Ok((*value).clone()),
                None => {
                    let names: Vec<String> = values.iter().map(|value| plain_text(value)).collect();
                    let message =
                        format!("`{path}` is to be {}, not `{}`", names.join(" or "), scalar.text);
                    Err(fault(message, None))
                }
            };
        }
        let text = scalar.text.as_str();
        if self.types.is_empty() {
            let value = if scalar.plain { scalar::resolve(text, Rules::Core) } else { None };
            return Ok(value.unwrap_or_else(|| Json::String(text.to_owned())));
        }
        let read = scalar::resolve(text, Rules::Core);
        match read {
            Some(Json::Bool(value)) if self.takes("boolean") => return Ok(Json::Bool(value)),
            Some(Json::Number(number)) if self.takes("integer") && !number.is_f64() => {
                return self.in_range(node, number, path);
            }
            Some(Json::Number(number)) if self.takes("number") => {
                return self.in_range(node, number, path);
            }
            _ => {}
        }
        if self.takes("string") {
            return Ok(Json::String(text.to_owned()));
        }
        let hint = match scalar::boolean(text, Rules::Kubectl) {
            Some(value) if self.takes("boolean") => {
                Some(if value { "write true" } else { "write false" })
            }
            _ => None,
        };
        let message = format!("`{path}` is to be {}, not {}", self.title(), node.describe());
        Err(fault(message, hint))
    }

    fn in_range(&self, node: &Node, number: serde_json::Number, path: &str) -> Result<Json, Fault> {
        let value = number.as_f64().unwrap_or_default();
        let bound = match (self.minimum, self.maximum) {
            (Some(least), _) if value < least => Some(format!("at least {least}")),
            (_, Some(most)) if value > most => Some(format!("at most {most}")),
            _ => None,
        };
        match bound {
            None => Ok(Json::Number(number)),
            Some(bound) => Err(Fault {
                mark: node.mark,
                message: format!("`{path}` is to be {bound}, not {number}"),
                hint: None,
                sort: Sort::Value,
            }),
        }
    }

    fn title(&self) -> String {
        let named: Vec<&str> = ["string", "integer", "number", "boolean", "array", "object"]
            .into_iter()
            .filter(|name| self.takes(name))
            .map(|name| match name {
                "string" => "text",
                "integer" => "a whole number",
                "number" => "a number",
                "boolean" => "true or false",
                "array" => "a list",
                _ => "a mapping",
            })
            .collect();
        named.join(" or ")
    }
}

fn misfit(node: &Node, forms: &[Form<'_>], path: &str) -> Fault {
    let mut titles: Vec<String> = Vec::new();
    for title in forms.iter().map(Form::title).filter(|title| !title.is_empty()) {
        if !titles.contains(&title) {
            titles.push(title);
        }
    }
    let what = if path.is_empty() { "this".to_owned() } else { format!("`{path}`") };
    let message = format!("{what} is to be {}, not {}", titles.join(" or "), node.describe());
    Fault { mark: node.mark, message, hint: None, sort: Sort::Shape }
}

fn unknown_key(mark: Mark, key: &str, form: &Form<'_>, path: &str) -> Fault {
    let names = form.properties.iter().map(|(name, _)| name.as_str());
    let inside = if path.is_empty() { String::new() } else { format!(" in `{path}`") };
    Fault {
        mark,
        message: format!("unknown key `{key}`{inside}"),
        hint: suggestion(key, names),
        sort: Sort::Unknown,
    }
}

/// How far off a form is: a wrong shape or value inside tells less against it than other keys.
fn weight(faults: &[Fault]) -> usize {
    faults
        .iter()
        .map(|fault| match fault.sort {
            Sort::Unknown | Sort::Missing => 2,
            Sort::Shape | Sort::Value => 1,
        })
        .sum()
}

fn type_of(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(_) => "number",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    }
}

fn plain_text(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn spelt_as(scalar: &Scalar, value: &Json) -> bool {
    match value {
        Json::String(text) => *text == scalar.text,
        other => scalar::resolve(&scalar.text, Rules::Core).as_ref() == Some(other),
    }
}

#[cfg(test)]
mod tests {
    use super::super::source::Diagnostics;
    use super::super::yaml;
    use super::*;
    use serde_json::json;

    fn schema() -> Json {
        json!({
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "ttl": {"type": ["integer", "null"], "minimum": 1, "maximum": 86400},
                "weight": {"type": "number"},
                "proxied": {"type": "boolean"},
                "type": {"oneOf": [{"const": "CNAME"}, {"type": "string", "enum": ["A", "AAAA"]}]},
                "include": {"type": "array", "items": {"$ref": "#/$defs/Rule"}},
                "origin": {"$ref": "#/$defs/Origin"},
                "account": {"type": "string", "x-known": true},
                "value": {"anyOf": [{"type": "string"}, {"type": "object", "properties": {"by_hand": {"type": "boolean"}}, "required": ["by_hand"], "additionalProperties": false}]},
                "free": true
            },
            "required": ["name"],
            "additionalProperties": false,
            "$defs": {
                "Origin": {"type": "object", "properties": {"host": {"type": "string"}}, "additionalProperties": false},
                "Rule": {"oneOf": [
                    {"type": "object", "properties": {"email": {"type": "string"}}, "required": ["email"], "additionalProperties": false},
                    {"type": "object", "properties": {"login_method": {"type": "string"}}, "required": ["login_method"], "additionalProperties": false}
                ]}
            }
        })
    }

    fn checked(text: &str) -> Checked {
        let mut diagnostics = Diagnostics::default();
        let source = diagnostics.add("a", text);
        let nodes = yaml::parse(text, source, &mut diagnostics).expect(text);
        check(&nodes[0], &schema())
    }

    #[test]
    fn scalars_become_what_their_field_is() {
        let table = [
            ("name: 5", json!({"name": "5"})),
            ("name: 'x'\nttl: '5'", json!({"name": "x", "ttl": 5})),
            ("name: yes\nproxied: 'true'", json!({"name": "yes", "proxied": true})),
            ("name: x\nttl:", json!({"name": "x"})),
            ("name: x\nfree: null", json!({"name": "x", "free": null})),
            ("name: x\nfree: {a: null}", json!({"name": "x", "free": {"a": null}})),
            ("name: x\nweight: 2", json!({"name": "x", "weight": 2})),
            ("name: 1.10\nfree: 1.10", json!({"name": "1.10", "free": 1.1})),
            ("name: x\ntype: AAAA", json!({"name": "x", "type": "AAAA"})),
            ("name: x\nvalue: {by_hand: true}", json!({"name": "x", "value": {"by_hand": true}})),
            (
                "name: x\ninclude: [{login_method: 1}]",
                json!({"name": "x", "include": [{"login_method": "1"}]}),
            ),
        ];
        for (text, value) in table {
            let found = checked(text);
            assert!(found.faults.is_empty(), "{text}: {:?}", found.faults);
            assert_eq!(found.value, value, "{text}");
        }
    }

    #[test]
    fn mistakes_have_a_place_and_advice() {
        let table = [
            ("nam: x\nname: y", 1, 1, "unknown key `nam`", "`name`"),
            ("ttl: 5", 1, 1, "`name` is missing", ""),
            ("name: [a]", 1, 7, "`name` is to be text, not a list", ""),
            ("name: x\nttl: soon", 2, 6, "a whole number", ""),
            ("name: x\nttl: 0", 2, 6, "at least 1", ""),
            ("name: x\nproxied: yes", 2, 10, "true or false", "write true"),
            ("name: x\ntype: CNAM", 2, 7, "`CNAM` is none of CNAME, A, AAAA", "`CNAME`"),
            (
                "name: x\ninclude: [{login_metod: a}]",
                2,
                12,
                "unknown key `login_metod`",
                "`login_method`",
            ),
            ("name: x\norigin: {hots: a}", 2, 10, "unknown key `hots` in `origin`", "`host`"),
            ("name: x\nvalue: {}", 2, 8, "`by_hand` is missing", ""),
            ("name:", 1, 5, "not nothing", ""),
        ];
        for (text, line, column, message, hint) in table {
            let faults = checked(text).faults;
            assert_eq!(faults.len(), 1, "{text}: {faults:?}");
            let fault = &faults[0];
            assert!(fault.message.contains(message), "{text}: {}", fault.message);
            assert_eq!((fault.mark.line, fault.mark.column), (line, column), "{text}");
            assert!(fault.hint.clone().unwrap_or_default().contains(hint), "{text}");
        }
    }
}
