//! Where the values of a YAML text begin and end, for edits that leave the rest as it is.

use granit_parser::{Event, Marker, Options, Parser, ScalarStyle, Span, StructureStyle};

use crate::model::Json;

/// More nodes than any file of a person has.
const NODE_LIMIT: usize = 200_000;

/// A value of a text.
#[derive(Clone, Debug)]
pub(super) struct Spot {
    /// The byte where it begins.
    pub start: usize,
    /// The byte after it.
    pub end: usize,
    /// What it is.
    pub form: Form,
}

/// What stands at a spot.
#[derive(Clone, Debug)]
pub(super) enum Form {
    /// A scalar, and how it is written.
    Scalar {
        /// What it says.
        text: String,
        /// Its quotes.
        style: ScalarStyle,
    },
    /// A list.
    List {
        /// Its items.
        items: Vec<Spot>,
        /// Whether it stands between brackets.
        flow: bool,
    },
    /// A mapping.
    Map {
        /// Its keys and values.
        entries: Vec<(Spot, Spot)>,
        /// Whether it stands between braces.
        flow: bool,
    },
    /// What stands elsewhere.
    Alias,
}

impl Spot {
    /// The text of a scalar.
    pub fn text(&self) -> Option<&str> {
        match &self.form {
            Form::Scalar { text, .. } => Some(text),
            Form::List { .. } | Form::Map { .. } | Form::Alias => None,
        }
    }

    /// The entries of a mapping.
    pub fn entries(&self) -> &[(Spot, Spot)] {
        match &self.form {
            Form::Map { entries, .. } => entries,
            Form::Scalar { .. } | Form::List { .. } | Form::Alias => &[],
        }
    }

    /// The items of a list.
    pub fn items(&self) -> &[Spot] {
        match &self.form {
            Form::List { items, .. } => items,
            Form::Scalar { .. } | Form::Map { .. } | Form::Alias => &[],
        }
    }

    /// Whether it is a list or mapping between brackets or braces.
    pub fn is_flow(&self) -> bool {
        matches!(&self.form, Form::List { flow: true, .. } | Form::Map { flow: true, .. })
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Spot> {
        self.entries().iter().find(|(name, _)| name.text() == Some(key)).map(|(_, value)| value)
    }

    /// The spot that one segment of a path leads to.
    pub fn step(&self, segment: &str) -> Option<&Spot> {
        match Segment::of(segment) {
            Segment::Key(key) => self.get(&key),
            Segment::Index(index) => self.items().get(index),
            Segment::Item(wanted) => self.items().iter().find(|item| {
                wanted.iter().all(|(key, value)| match key.as_str() {
                    "" => item.text() == Some(value),
                    key => item.get(key).and_then(Spot::text) == Some(value),
                })
            }),
        }
    }

    /// All scalars in it, keys left out.
    pub fn scalars<'a>(&'a self, out: &mut Vec<&'a Spot>) {
        match &self.form {
            Form::Scalar { .. } => out.push(self),
            Form::List { items, .. } => items.iter().for_each(|item| item.scalars(out)),
            Form::Map { entries, .. } => {
                entries.iter().for_each(|(_, value)| value.scalars(out));
            }
            Form::Alias => {}
        }
    }
}

/// One segment of a path.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Segment {
    /// A key of a mapping.
    Key(String),
    /// A place in a list.
    Index(usize),
    /// The item of a list that has these values at these keys; an empty key is the item itself.
    Item(Vec<(String, String)>),
}

impl Segment {
    /// A segment as paths write it: `key`, `["a key"]`, `[0]`, `[name="x"]`, `[="x"]`.
    pub fn of(text: &str) -> Segment {
        let Some(inner) = text.strip_prefix('[').and_then(|s| s.strip_suffix(']')) else {
            return Segment::Key(text.to_owned());
        };
        if let Ok(index) = inner.parse() {
            return Segment::Index(index);
        }
        if let Ok(key) = serde_json::from_str::<String>(inner) {
            return Segment::Key(key);
        }
        match keys(inner) {
            Some(wanted) => Segment::Item(wanted),
            None => Segment::Key(inner.to_owned()),
        }
    }
}

/// `name="x",port=80` as keys and the texts of their values.
fn keys(inner: &str) -> Option<Vec<(String, String)>> {
    let (mut found, mut rest) = (Vec::new(), inner);
    loop {
        let (key, after) = rest.split_once('=')?;
        let mut values = serde_json::Deserializer::from_str(after).into_iter::<Json>();
        let value = match values.next()?.ok()? {
            Json::String(text) => text,
            other => other.to_string(),
        };
        let end = values.byte_offset();
        found.push((key.to_owned(), value));
        match after.get(end..)?.strip_prefix(',') {
            Some(more) => rest = more,
            None => return Some(found),
        }
    }
}

/// The documents of a text; None where it is not YAML.
pub(super) fn documents(text: &str) -> Option<Vec<Spot>> {
    let mut options = Options::default();
    options.set_emit_comments(false);
    let mut reader =
        Reader { parser: Parser::new_from_str_with_options(text, options), text, nodes: 0 };
    let mut documents = Vec::new();
    loop {
        match reader.next()? {
            (Event::StreamEnd, _) => return Some(documents),
            (Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd, _) => {}
            (event, span) => documents.push(reader.spot(event, span)?),
        }
    }
}

struct Reader<'a> {
    parser: Parser<'a, granit_parser::StrInput<'a>>,
    text: &'a str,
    nodes: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<(Event<'a>, Span)> {
        match self.parser.next_event() {
            Some(event) => event.ok(),
            None => Some((Event::StreamEnd, Span::default())),
        }
    }

    fn spot(&mut self, event: Event<'a>, span: Span) -> Option<Spot> {
        self.nodes += 1;
        if self.nodes > NODE_LIMIT {
            return None;
        }
        let mut start = self.byte(span.start)?;
        let mut end = self.byte(span.end)?;
        let form = match event {
            Event::Scalar(text, style, ..) => {
                if !matches!(style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted) {
                    let written = self.text.get(start..end)?;
                    end = start + written.trim_end().len();
                }
                if matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) {
                    start = self.header(start)?;
                    end = end.max(start + 1);
                }
                Form::Scalar { text: text.into_owned(), style }
            }
            Event::SequenceStart(style, ..) => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, span) => {
                            end = self.close(style, span, start, items.last())?;
                            break;
                        }
                        (event, span) => items.push(self.spot(event, span)?),
                    }
                }
                Form::List { items, flow: style == StructureStyle::Flow }
            }
            Event::MappingStart(style, ..) => {
                let mut entries: Vec<(Spot, Spot)> = Vec::new();
                loop {
                    match self.next()? {
                        (Event::MappingEnd, span) => {
                            let last = entries.last().map(|(_, value)| value);
                            end = self.close(style, span, start, last)?;
                            break;
                        }
                        (event, span) => {
                            let key = self.spot(event, span)?;
                            let (event, span) = self.next()?;
                            let mut value = self.spot(event, span)?;
                            if value.start >= value.end {
                                // Nothing stands there: it would come behind the colon.
                                let rest = self.text.get(key.end..)?;
                                value.start = key.end + rest.find(':').map_or(0, |at| at + 1);
                                value.end = value.start;
                            }
                            entries.push((key, value));
                        }
                    }
                }
                Form::Map { entries, flow: style == StructureStyle::Flow }
            }
            Event::Alias(_) => Form::Alias,
            _ => return None,
        };
        Some(Spot { start, end, form })
    }

    /// Where the sign of a block scalar stands whose text begins at a byte: at the end of the last
    /// line before it that is not empty.
    fn header(&self, at: usize) -> Option<usize> {
        let before = self.text.get(..at)?;
        let before = before.rfind('\n').map_or("", |end| before.get(..end).unwrap_or_default());
        let line = before.trim_end().rfind('\n').map_or(0, |end| end + 1);
        let signs = before.match_indices(['|', '>']).filter(|(at, _)| *at >= line);
        let is_header = |rest: &str| {
            let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit() || "+-".contains(c));
            rest.trim().is_empty() || rest.starts_with(' ') && rest.trim_start().starts_with('#')
        };
        let mut fitting =
            signs.filter(|(at, sign)| before.get(at + sign.len()..).is_some_and(is_header));
        fitting.next().map(|(at, _)| at)
    }

    /// The byte after a collection: its bracket, or the end of the last thing in it.
    fn close(
        &self,
        style: StructureStyle,
        span: Span,
        start: usize,
        last: Option<&Spot>,
    ) -> Option<usize> {
        match style {
            StructureStyle::Flow => self.byte(span.end),
            StructureStyle::Block => Some(last.map_or(start, |last| last.end)),
        }
    }

    fn byte(&self, marker: Marker) -> Option<usize> {
        let at = marker.byte_offset()?;
        self.text.is_char_boundary(at).then_some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The spot that a path leads to.
    fn spot<'s>(root: &'s Spot, path: &str) -> Option<&'s Spot> {
        let mut way = crate::model::path::segments(path).into_iter();
        way.try_fold(root, |spot, segment| spot.step(segment))
    }

    fn at<'t>(text: &'t str, path: &str) -> Option<&'t str> {
        let documents = documents(text).expect(text);
        let spot = spot(documents.last()?, path)?;
        text.get(spot.start..spot.end)
    }

    #[test]
    fn every_value_is_found_where_it_stands() {
        let text = "# é\na: 1 # one\nb:\n  - {name: x, v: \"q é\"}   # c\n  - name: y\n    v: |\n      l1\n      l2\n\n# end\nc: [1, 'two', {d: e}]\nf:\ng:\n  \"h/i\": >-\n    folded\n    text\nj: plain\n  on two lines\n";
        for (path, found) in [
            ("a", "1"),
            ("b[name=\"x\"].v", "\"q é\""),
            ("b[0]", "{name: x, v: \"q é\"}"),
            ("b[name=\"y\"].name", "y"),
            ("b[1].v", "|\n      l1\n      l2"),
            ("b[1]", "name: y\n    v: |\n      l1\n      l2"),
            ("c", "[1, 'two', {d: e}]"),
            ("c[1]", "'two'"),
            ("c[=\"two\"]", "'two'"),
            ("c[2].d", "e"),
            ("f", ""),
            ("g[\"h/i\"]", ">-\n    folded\n    text"),
            ("j", "plain\n  on two lines"),
        ] {
            assert_eq!(at(text, path), Some(found), "{path}");
        }
        for path in ["x", "b[2]", "b[name=\"z\"]", "a.b", "c[name=\"x\"]"] {
            assert_eq!(at(text, path), None, "{path}");
        }
        let crlf = "a: 1\r\nb:\r\n  c: two\r\n---\r\nd: 日本\r\n";
        assert_eq!(at(crlf, "d"), Some("日本"));
        assert_eq!(documents(crlf).unwrap().len(), 2);
        assert!(documents("a: [").is_none());
    }

    #[test]
    fn segments_of_items_have_keys() {
        let item = Segment::of("[containerPort=80,protocol=\"T,C]P\"]");
        let wanted = vec![
            ("containerPort".to_owned(), "80".to_owned()),
            ("protocol".to_owned(), "T,C]P".to_owned()),
        ];
        assert_eq!(item, Segment::Item(wanted));
        assert_eq!(Segment::of("[\"a.b/c\"]"), Segment::Key("a.b/c".to_owned()));
        assert_eq!(Segment::of("[7]"), Segment::Index(7));
        assert_eq!(Segment::of("a"), Segment::Key("a".to_owned()));
    }
}
