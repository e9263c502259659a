//! YAML text to a tree of nodes that know where they stand.

use std::collections::HashMap;

use granit_parser::{Event, Marker, Options, Parser, ScalarStyle, Span, Tag};

use super::scalar::{self, Rules};
use super::source::{Diagnostics, Mark};
use crate::model::address::Address;
use crate::model::value::Special;
use crate::model::{Json, JsonMap};

/// More nodes than any file of a person has; aliases that multiply end here.
const NODE_LIMIT: usize = 200_000;

/// A value of a file and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// The value.
    pub shape: Shape,
    /// Where it stands.
    pub mark: Mark,
}

/// What a node is.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    /// Text, not yet read as anything.
    Scalar(Scalar),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order of the file, no key twice.
    Map(Vec<Entry>),
    /// A value with references or secrets, after interpolation.
    Special(Json),
}

/// A scalar before its type is known.
#[derive(Clone, Debug)]
pub(super) struct Scalar {
    /// The text.
    pub text: String,
    /// Whether it stands without quotes, so that it may be something else than a string.
    pub plain: bool,
}

/// One key of a mapping.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The key as it is written.
    pub key: String,
    /// Whether it stands without quotes.
    pub plain: bool,
    /// Where the key stands.
    pub mark: Mark,
    /// The value.
    pub value: Node,
}

impl Node {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries()?.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// The keys, if this is a mapping.
    pub fn entries(&self) -> Option<&[Entry]> {
        match &self.shape {
            Shape::Map(entries) => Some(entries),
            Shape::Scalar(_) | Shape::List(_) | Shape::Special(_) => None,
        }
    }

    /// The text, if this is a scalar and not null.
    pub fn text(&self) -> Option<&str> {
        match &self.shape {
            Shape::Scalar(scalar) if !self.is_null() => Some(&scalar.text),
            _ => None,
        }
    }

    /// Whether nothing stands here.
    pub fn is_null(&self) -> bool {
        matches!(&self.shape, Shape::Scalar(s) if s.plain && scalar::is_null(&s.text))
    }

    /// What it is, as an error calls it.
    pub fn describe(&self) -> String {
        match &self.shape {
            Shape::Scalar(_) if self.is_null() => "nothing".to_owned(),
            Shape::Scalar(scalar) => format!("`{}`", shorten(&scalar.text)),
            Shape::List(_) => "a list".to_owned(),
            Shape::Map(_) => "a mapping".to_owned(),
            Shape::Special(_) => "a reference".to_owned(),
        }
    }

    /// The value as JSON, plain scalars read by the given rules. Errors go to `diagnostics`.
    pub fn to_json(&self, rules: Rules, diagnostics: &mut Diagnostics) -> Json {
        match &self.shape {
            Shape::Scalar(scalar) if scalar.plain => scalar::resolve(&scalar.text, rules)
                .unwrap_or_else(|| {
                    let message = format!("`{}` is a number that JSON does not have", scalar.text);
                    diagnostics.error_hint(self.mark, message, Some("quote it to make it text"));
                    Json::Null
                }),
            Shape::Scalar(scalar) => Json::String(scalar.text.clone()),
            Shape::List(items) => {
                Json::Array(items.iter().map(|item| item.to_json(rules, diagnostics)).collect())
            }
            Shape::Map(entries) => {
                let mut map = JsonMap::new();
                for entry in entries {
                    map.insert(entry.name(rules), entry.value.to_json(rules, diagnostics));
                }
                Json::Object(map)
            }
            Shape::Special(value) => value.clone(),
        }
    }

    /// The value of a scalar or special node as it stands: text as text.
    pub fn to_plain(&self) -> Json {
        match &self.shape {
            Shape::Scalar(scalar) => Json::String(scalar.text.clone()),
            Shape::Special(value) => value.clone(),
            Shape::List(_) | Shape::Map(_) => Json::Null,
        }
    }

    /// Calls `visit` for this node and all below it, with paths like `ingress[0].service`.
    pub fn each(&self, path: &str, visit: &mut impl FnMut(&str, &Node)) {
        visit(path, self);
        match &self.shape {
            Shape::List(items) => {
                for (i, item) in items.iter().enumerate() {
                    item.each(&format!("{path}[{i}]"), visit);
                }
            }
            Shape::Map(entries) => {
                for entry in entries {
                    entry.value.each(&join(path, &entry.key), visit);
                }
            }
            Shape::Scalar(_) | Shape::Special(_) => {}
        }
    }

    /// Tells the diagnostics which keys of a hidden document may be shown; gives its last line.
    pub fn show_keys(&self, diagnostics: &mut Diagnostics) -> usize {
        let mut last = self.mark.line;
        match &self.shape {
            Shape::List(items) => {
                for item in items {
                    last = last.max(item.show_keys(diagnostics));
                }
            }
            Shape::Map(entries) => {
                for entry in entries {
                    diagnostics.show_key(entry.mark);
                    last = last.max(entry.mark.line).max(entry.value.show_keys(diagnostics));
                }
            }
            Shape::Scalar(scalar) => last += scalar.text.lines().count(),
            Shape::Special(_) => {}
        }
        last
    }
}

/// Making nodes that no file holds, at the place that they come from.
impl Node {
    /// Text.
    pub fn of_text(text: impl Into<String>, mark: Mark) -> Node {
        Node { shape: Shape::Scalar(Scalar { text: text.into(), plain: false }), mark }
    }

    /// A reference to an output.
    pub fn of_reference(address: &Address, output: &str, mark: Mark) -> Node {
        Node { shape: Shape::Special(Special::reference(address.clone(), output)), mark }
    }

    /// A list.
    pub fn of_list(items: Vec<Node>, mark: Mark) -> Node {
        Node { shape: Shape::List(items), mark }
    }

    /// A mapping of the fields that there are.
    pub fn of_map(fields: Vec<(&str, Option<Node>)>, mark: Mark) -> Node {
        let entries = fields
            .into_iter()
            .filter_map(|(key, value)| {
                let value = value?;
                Some(Entry { key: key.to_owned(), plain: false, mark: value.mark, value })
            })
            .collect();
        Node { shape: Shape::Map(entries), mark }
    }

    /// A plain JSON value, all of it at one place.
    pub fn of_json(value: &Json, mark: Mark) -> Node {
        let plain = |text: String| Shape::Scalar(Scalar { text, plain: true });
        let shape = match value {
            _ if Special::of(value).is_some() => Shape::Special(value.clone()),
            Json::Null => plain("null".to_owned()),
            Json::Bool(value) => plain(value.to_string()),
            Json::Number(value) => plain(value.to_string()),
            Json::String(text) => Shape::Scalar(Scalar { text: text.clone(), plain: false }),
            Json::Array(items) => {
                Shape::List(items.iter().map(|item| Node::of_json(item, mark)).collect())
            }
            Json::Object(map) => Shape::Map(
                map.iter()
                    .map(|(key, value)| Entry {
                        key: key.clone(),
                        plain: false,
                        mark,
                        value: Node::of_json(value, mark),
                    })
                    .collect(),
            ),
        };
        Node { shape, mark }
    }

    /// This one with another put over it: mappings field by field, nothing takes a field away.
    #[must_use]
    pub fn overridden(self, over: &Node) -> Node {
        match (self.shape, &over.shape) {
            (Shape::Map(mut entries), Shape::Map(others)) => {
                for other in others {
                    let at = entries.iter().position(|entry| entry.key == other.key);
                    match at {
                        Some(at) if other.value.is_null() => {
                            entries.remove(at);
                        }
                        Some(at) => {
                            let entry = entries.remove(at);
                            let value = entry.value.overridden(&other.value);
                            entries.insert(at, Entry { value, ..other.clone() });
                        }
                        None => entries.push(other.clone()),
                    }
                }
                Node { shape: Shape::Map(entries), mark: self.mark }
            }
            _ => over.clone(),
        }
    }
}

impl Entry {
    /// The key as JSON has it: kubectl makes text of numbers and booleans.
    pub fn name(&self, rules: Rules) -> String {
        if rules == Rules::Core || !self.plain {
            return self.key.clone();
        }
        match scalar::resolve(&self.key, rules) {
            Some(Json::Bool(value)) => value.to_string(),
            Some(Json::Number(value)) => value.to_string(),
            _ => self.key.clone(),
        }
    }
}

/// A path with one more key.
pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn shorten(text: &str) -> String {
    const LONG: usize = 40;
    let line = text.lines().next().unwrap_or_default();
    if line.chars().count() <= LONG && line.len() == text.trim_end().len() {
        return line.to_owned();
    }
    let head: String = line.chars().take(LONG).collect();
    format!("{head}…")
}

/// The documents of a text; None where it is not YAML. What is wrong goes to `diagnostics`.
pub(super) fn parse(text: &str, source: usize, diagnostics: &mut Diagnostics) -> Option<Vec<Node>> {
    parse_at(text, source, (0, 0), diagnostics)
}

/// As [`parse`], of a piece of a source that stands so many lines and columns into it.
pub(super) fn parse_at(
    text: &str,
    source: usize,
    origin: (usize, usize),
    diagnostics: &mut Diagnostics,
) -> Option<Vec<Node>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut options = Options::default();
    options.set_emit_comments(false);
    let parser = Parser::new_from_str_with_options(text, options);
    let builder =
        Builder { parser, source, origin, diagnostics, anchors: HashMap::new(), nodes: 0 };
    builder.documents()
}

struct Builder<'a, 'd> {
    parser: Parser<'a, granit_parser::StrInput<'a>>,
    source: usize,
    origin: (usize, usize),
    diagnostics: &'d mut Diagnostics,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
}

/// The parse can't go on; the error is reported.
struct Broken;

impl<'a> Builder<'a, '_> {
    fn documents(mut self) -> Option<Vec<Node>> {
        let mut documents = Vec::new();
        loop {
            let (event, span) = self.next().ok()?;
            match event {
                Event::StreamEnd => return Some(documents),
                Event::StreamStart | Event::DocumentEnd => {}
                Event::DocumentStart(..) => self.anchors.clear(),
                event => documents.push(self.node(event, span).ok()?),
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), Broken> {
        match self.parser.next_event() {
            Some(Ok(pair)) => Ok(pair),
            Some(Err(error)) => {
                let mark = self.point(*error.marker());
                let hint = quoting_hint(self.diagnostics, mark);
                self.diagnostics.error_hint(
                    mark,
                    format!("this is not YAML: {}", error.info()),
                    hint,
                );
                Err(Broken)
            }
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span) -> Result<Node, Broken> {
        let mark = self.mark(span);
        self.count(1, mark)?;
        let before = self.nodes;
        let (shape, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain;
                (Shape::Scalar(self.scalar(text.into_owned(), plain, tag.as_deref(), mark)), anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.collection_tag(tag.as_deref(), mark);
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break,
                        (event, span) => items.push(self.node(event, span)?),
                    }
                }
                (Shape::List(items), anchor)
            }
            Event::MappingStart(_, anchor, tag) => {
                self.collection_tag(tag.as_deref(), mark);
                (Shape::Map(self.mapping()?), anchor)
            }
            Event::Alias(id) => return self.alias(id, mark),
            _ => {
                self.diagnostics.error(mark, "a value is missing here");
                return Err(Broken);
            }
        };
        let node = Node { shape, mark };
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), self.nodes - before + 1));
        }
        Ok(node)
    }

    fn count(&mut self, nodes: usize, mark: Mark) -> Result<(), Broken> {
        self.nodes += nodes;
        if self.nodes <= NODE_LIMIT {
            return Ok(());
        }
        self.diagnostics.error(mark, format!("this text stands for more than {NODE_LIMIT} values"));
        Err(Broken)
    }

    fn alias(&mut self, id: usize, mark: Mark) -> Result<Node, Broken> {
        match self.anchors.get(&id) {
            Some((node, size)) => {
                let (node, size) = (node.clone(), *size);
                self.count(size, mark)?;
                Ok(node)
            }
            None => {
                self.diagnostics.error(mark, "this alias stands inside what it stands for");
                Err(Broken)
            }
        }
    }

    fn scalar(&mut self, text: String, plain: bool, tag: Option<&Tag>, mark: Mark) -> Scalar {
        let plain = match tag.map(|tag| tag.core_suffix()) {
            None => plain,
            Some(Some("str")) => false,
            Some(Some("int" | "float" | "bool" | "null")) => true,
            Some(_) => {
                let tag = tag.map(Tag::original).unwrap_or_default();
                self.diagnostics.error(mark, format!("the tag `{tag}` means nothing here"));
                plain
            }
        };
        Scalar { text, plain }
    }

    fn collection_tag(&mut self, tag: Option<&Tag>, mark: Mark) {
        let Some(tag) = tag else { return };
        if !matches!(tag.core_suffix(), Some("map" | "seq")) {
            let message = format!("the tag `{}` means nothing here", tag.original());
            self.diagnostics.error(mark, message);
        }
    }

    fn mapping(&mut self) -> Result<Vec<Entry>, Broken> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen: HashMap<String, usize> = HashMap::new();
        let mut merged: Vec<Node> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                break;
            }
            let key = self.node(event, span)?;
            let Shape::Scalar(scalar) = &key.shape else {
                let hint = quoting_hint(self.diagnostics, key.mark);
                self.diagnostics.error_hint(key.mark, "a key is to be text", hint);
                return Err(Broken);
            };
            let (event, span) = self.next()?;
            let value = self.node(event, span)?;
            if scalar.plain && scalar.text == "<<" {
                merged.push(value);
                continue;
            }
            if let Some(first) = seen.insert(scalar.text.clone(), key.mark.line) {
                let message = format!("the key `{}` stands here twice", scalar.text);
                let hint = format!("it first stands in line {first}");
                self.diagnostics.error_hint(key.mark, message, Some(hint));
                continue;
            }
            entries.push(Entry {
                key: scalar.text.clone(),
                plain: scalar.plain,
                mark: key.mark,
                value,
            });
        }
        for node in merged {
            self.merge(&mut entries, &mut seen, node);
        }
        Ok(entries)
    }

    fn merge(&mut self, entries: &mut Vec<Entry>, seen: &mut HashMap<String, usize>, node: Node) {
        match node.shape {
            Shape::Map(others) => {
                for other in others {
                    if !seen.contains_key(&other.key) {
                        seen.insert(other.key.clone(), other.mark.line);
                        entries.push(other);
                    }
                }
            }
            Shape::List(items) => {
                for item in items {
                    self.merge(entries, seen, item);
                }
            }
            Shape::Scalar(_) | Shape::Special(_) => {
                self.diagnostics.error(node.mark, "`<<` takes a mapping, or a list of them");
            }
        }
    }

    fn point(&self, marker: Marker) -> Mark {
        let (line, column) = (marker.line().max(1), marker.col() + 1);
        let shift = if line == 1 { self.origin.1 } else { 0 };
        let (line, column) = (line + self.origin.0, column + shift);
        Mark { source: self.source, line, column, width: 1 }
    }

    fn mark(&self, span: Span) -> Mark {
        let mut mark = self.point(span.start);
        if span.start.line() == span.end.line() {
            mark.width = span.end.col().saturating_sub(span.start.col()).max(1);
        }
        mark
    }
}

/// What to quote, where a line holds something that YAML reads in a way nobody means.
fn quoting_hint(diagnostics: &Diagnostics, mark: Mark) -> Option<String> {
    let lines = [mark.line, mark.line.saturating_sub(1)];
    lines.into_iter().filter_map(|line| diagnostics.line(mark.source, line)).find_map(line_hint)
}

fn line_hint(line: &str) -> Option<String> {
    let mut open = 0usize;
    let mut quote: Option<char> = None;
    let mut previous = ' ';
    let mut word_start = true;
    for (at, c) in line.char_indices() {
        let rest = &line[at..];
        if let Some(end) = quote {
            if c == end {
                quote = None;
            }
        } else {
            match c {
                '"' | '\'' if word_start => quote = Some(c),
                '#' if previous.is_whitespace() => return None,
                '$' if rest.starts_with("${") && open > 0 => {
                    return Some("put quotes around `${…}` between `{}` or `[]`".to_owned());
                }
                '{' | '[' => open += 1,
                '}' | ']' => open = open.saturating_sub(1),
                '@' | '`' if word_start => {
                    return Some(format!("put quotes around a value that begins with `{c}`"));
                }
                '*' if word_start => {
                    return Some("put quotes around a value that begins with `*`".to_owned());
                }
                ':' if rest.starts_with("::") => {
                    return Some("put quotes around a value with `::` in it".to_owned());
                }
                _ => {}
            }
        }
        word_start = (word_start && c.is_whitespace())
            || matches!(c, '{' | '[' | ',')
            || (c.is_whitespace() && matches!(previous, ':' | '-' | ',' | '[' | '{'));
        previous = c;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn read(text: &str, rules: Rules) -> Result<Vec<Json>, Vec<crate::model::error::Report>> {
        let mut diagnostics = Diagnostics::default();
        let source = diagnostics.add("a.yaml", text);
        let documents = parse(text, source, &mut diagnostics);
        let values = documents
            .map(|nodes| nodes.iter().map(|node| node.to_json(rules, &mut diagnostics)).collect());
        let reports = diagnostics.finish();
        values.filter(|_| reports.is_empty()).ok_or(reports)
    }

    #[test]
    fn text_becomes_values() {
        let table = [
            ("a: 1\nb: [x, 'y']\n", json!({"a": 1, "b": ["x", "y"]})),
            ("a: Default\t\nb: None\t# c\n", json!({"a": "Default", "b": "None"})),
            (
                "a: &x {k: 1, l: 2}\nb: {<<: *x, l: 3}\n",
                json!({"a": {"k": 1, "l": 2}, "b": {"l": 3, "k": 1}}),
            ),
            ("a: |\n  x\n  y\n", json!({"a": "x\ny\n"})),
            ("日本: 語 # コメント\n", json!({"日本": "語"})),
            ("a:\nb: ''\n", json!({"a": null, "b": ""})),
            ("{\n\t\"a\": {\n\t\t\"b\": 1\n\t}\n}\n", json!({"a": {"b": 1}})),
            ("\u{feff}a: 1\r\nb: 2\r\n", json!({"a": 1, "b": 2})),
        ];
        for (text, expected) in table {
            let read =
                read(text, Rules::Core).unwrap_or_else(|reports| panic!("{text}: {reports:?}"));
            assert_eq!(read, [expected], "{text}");
        }
    }

    #[test]
    fn mistakes_are_told_at_their_place() {
        let table = [
            ("a: 1\nb: 2\na: 3\n", 3, 1, "the key `a` stands here twice", "line 1"),
            ("a: {b: ${x.y.z}}\n", 1, 9, "not YAML", "quotes around `${…}`"),
            ("a: @x\n", 1, 4, "not YAML", "begins with `@`"),
            ("a:\n  - *.x\n", 2, 5, "not YAML", "begins with `*`"),
            ("a: 100::\n", 1, 8, "not YAML", "with `::`"),
            ("a: !foo x\n", 1, 9, "tag `!foo`", ""),
            ("a: &x [*x]\n", 1, 8, "stands inside", ""),
        ];
        for (text, line, column, message, hint) in table {
            let reports = read(text, Rules::Core).expect_err(text);
            let report = &reports[0];
            let at = report.location.as_ref().map(|l| (l.line, l.column));
            assert!(report.message.contains(message), "{text}: {}", report.message);
            assert_eq!(at, Some((line, column)), "{text}: {}", report.message);
            assert!(report.hints.join(" ").contains(hint), "{text}: {:?}", report.hints);
        }
    }

    #[test]
    fn aliases_that_multiply_end_at_the_limit() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for i in 1..9 {
            let items = vec![format!("*a{}", i - 1); 10].join(", ");
            text.push_str(&format!("a{i}: &a{i} [{items}]\n"));
        }
        let reports = read(&text, Rules::Core).unwrap_err();
        assert!(reports[0].message.contains("more than"), "{}", reports[0].message);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC*") {
            let _ = read(&text, Rules::Kubectl);
        }

        #[test]
        fn any_text_of_yaml_signs_is_read_or_refused(text in "[-a1:{}\\[\\],&*!|>'\"%@`#?<$ \n\t~]{0,60}") {
            let _ = read(&text, Rules::Core);
        }
    }
}
