//! Edits of a YAML text that leave everything else as it stands: comments, quotes, order, blanks.

use granit_parser::ScalarStyle;

use super::print::{list_item, mapping, scalar_text, written};
use super::scalar::{self, Rules};
use super::spans::{Form, Spot};
use crate::model::{Json, JsonMap};

/// What is short enough to stand between brackets on one line, in characters.
const SHORT: usize = 60;

/// A piece of a text that is replaced.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Patch {
    /// Its first byte.
    pub start: usize,
    /// The byte after it.
    pub end: usize,
    /// What takes its place.
    pub text: String,
}

/// The text with all patches made; None where two of them want the same piece.
pub(super) fn patched(text: &str, mut patches: Vec<Patch>) -> Option<String> {
    patches.sort_by_key(|patch| (patch.start, patch.end));
    let mut out = String::new();
    let mut at = 0;
    for patch in patches {
        out.push_str(text.get(at..patch.start)?);
        out.push_str(&patch.text);
        at = patch.end;
    }
    out.push_str(text.get(at..)?);
    Some(out)
}

/// Edits of one text.
#[derive(Clone, Copy)]
pub(super) struct Editor<'t> {
    text: &'t str,
    /// Whether the text is read with references in it, so that values are written with them.
    references: bool,
}

impl<'t> Editor<'t> {
    /// Of a text that is read as it stands.
    pub fn new(text: &'t str) -> Self {
        Editor { text, references: false }
    }

    /// Of a text that is read with references in it.
    pub fn with_references(text: &'t str) -> Self {
        Editor { text, references: true }
    }

    /// A value as this text writes it.
    fn said(self, value: &Json) -> Json {
        if self.references { written(value) } else { value.clone() }
    }

    /// What makes of `old`, which stands at the spot, `new`. `key` is the key before the spot,
    /// `flow` whether something around it stands between brackets. None where it can't be done.
    pub fn reconcile(
        self,
        key: Option<&Spot>,
        spot: &Spot,
        (old, new): (&Json, &Json),
        flow: bool,
        out: &mut Vec<Patch>,
    ) -> Option<()> {
        if old == new {
            return Some(());
        }
        let inner = flow || spot.is_flow();
        let mut finer = Vec::new();
        let done = match (&spot.form, old, new) {
            (Form::Map { .. }, Json::Object(a), Json::Object(b)) => {
                self.mappings(spot, (a, b), inner, &mut finer)
            }
            (Form::List { .. }, Json::Array(a), Json::Array(b)) => {
                self.lists(spot, (a, b), inner, &mut finer)
            }
            _ => None,
        };
        match done.filter(|()| are_apart(&mut finer)) {
            Some(()) => out.append(&mut finer),
            // What stands elsewhere is not overwritten here.
            None if comes_from_elsewhere(spot, old) => return None,
            None => out.push(self.replaced(key, spot, new, flow)?),
        }
        Some(())
    }

    fn mappings(
        self,
        spot: &Spot,
        (old, new): (&JsonMap, &JsonMap),
        flow: bool,
        out: &mut Vec<Patch>,
    ) -> Option<()> {
        let is_kept = |(key, _): &(Spot, Spot)| key.text().is_some_and(|key| new.contains_key(key));
        if !spot.entries().iter().any(is_kept) {
            return None;
        }
        for name in old.keys().filter(|name| !new.contains_key(*name)) {
            let at = spot.entries().iter().position(|(key, _)| key.text() == Some(name))?;
            out.push(self.without_entry(spot, at)?);
        }
        for (name, value) in new {
            let there = spot.entries().iter().find(|(key, _)| key.text() == Some(name));
            match (there, old.get(name)) {
                (Some((key, spot)), Some(old)) => {
                    self.reconcile(Some(key), spot, (old, value), flow, out)?;
                }
                (None, Some(old)) if old == value => {}
                (None, _) => out.push(self.with_entry(spot, name, value)?),
                (Some((key, spot)), None) => {
                    out.push(self.replaced(Some(key), spot, value, flow)?)
                }
            }
        }
        Some(())
    }

    fn lists(
        self,
        spot: &Spot,
        (old, new): (&[Json], &[Json]),
        flow: bool,
        out: &mut Vec<Patch>,
    ) -> Option<()> {
        let items = spot.items();
        // What is implied at the end of a list does not stand there.
        let implied = old.get(items.len()..)?;
        let old = old.get(..items.len())?;
        let new = new.strip_suffix(implied).unwrap_or(new);
        let text = |all: &[Json]| all.iter().map(Json::to_string).collect::<Vec<_>>();
        let (before, after) = (text(old), text(new));
        if before.is_empty() || after.is_empty() {
            return None;
        }
        for step in similar::capture_diff_slices(similar::Algorithm::Myers, &before, &after) {
            let (was, is) = (step.old_range(), step.new_range());
            if before.get(was.clone()) == after.get(is.clone()) {
                continue;
            }
            let both = was.len().min(is.len());
            for at in 0..both {
                let (from, to) = (old.get(was.start + at)?, new.get(is.start + at)?);
                self.reconcile(None, items.get(was.start + at)?, (from, to), flow, out)?;
            }
            for at in was.start + both..was.end {
                out.push(self.without_item(spot, at)?);
            }
            for value in new.get(is.start + both..is.end)? {
                out.push(self.with_item(spot, was.start + both, value)?);
            }
        }
        Some(())
    }

    /// Another value in the place of one, written anew.
    fn replaced(self, key: Option<&Spot>, spot: &Spot, new: &Json, flow: bool) -> Option<Patch> {
        let new = &self.said(new);
        let is_block = |spot: &Spot| {
            !spot.is_flow() && matches!(spot.form, Form::List { .. } | Form::Map { .. })
        };
        let short = flow_text(new);
        let on_a_line = flow || spot.is_flow() || is_leaf(new) || !is_block(spot) && fits(&short);
        let text = match (&spot.form, new) {
            (Form::Scalar { style, .. }, Json::String(text)) => quoted_as(*style, text),
            _ => short,
        };
        if on_a_line && !is_block(spot) {
            // Behind a colon where nothing stood, a blank is missing.
            let blank = if spot.start == spot.end { " " } else { "" };
            return Some(Patch {
                start: spot.start,
                end: spot.end,
                text: format!("{blank}{text}"),
            });
        }
        let Some(key) = key else {
            // An item of a list: it stands behind its dash.
            let lines = match on_a_line {
                true => text,
                false => block(new, self.column(spot.start)?).trim().to_owned(),
            };
            return Some(Patch { start: spot.start, end: spot.end, text: lines });
        };
        let colon = key.end + self.text.get(key.end..)?.find(':')? + 1;
        let text = if on_a_line {
            format!(" {text}")
        } else {
            format!("\n{}", block(new, self.column(key.start)? + 2).trim_end())
        };
        Some(Patch { start: colon, end: spot.end, text })
    }

    /// A mapping with one more entry.
    pub fn with_entry(self, map: &Spot, name: &str, value: &Json) -> Option<Patch> {
        let value = &self.said(value);
        let Some((first, _)) = map.entries().first() else {
            let text = format!("{{{}: {}}}", scalar_text(name), flow_text(value));
            return map.is_flow().then_some(Patch { start: map.start, end: map.end, text });
        };
        let (_, last) = map.entries().last()?;
        if map.is_flow() {
            let text = format!(", {}: {}", scalar_text(name), flow_text(value));
            return Some(Patch { start: last.end, end: last.end, text });
        }
        let mut entry = JsonMap::new();
        entry.insert(name.to_owned(), value.clone());
        let text = block(&Json::Object(entry), self.column(first.start)?);
        self.line_after(last.end, &text)
    }

    /// A list with one more item, before the one that stands at `at` now.
    fn with_item(self, list: &Spot, at: usize, value: &Json) -> Option<Patch> {
        let value = &self.said(value);
        let items = list.items();
        if list.is_flow() {
            return Some(match (at.checked_sub(1).and_then(|at| items.get(at)), items.first()) {
                (Some(before), _) => {
                    let text = format!(", {}", flow_text(value));
                    Patch { start: before.end, end: before.end, text }
                }
                (None, Some(first)) => {
                    let text = format!("{}, ", flow_text(value));
                    Patch { start: first.start, end: first.start, text }
                }
                (None, None) => {
                    let text = format!("[{}]", flow_text(value));
                    Patch { start: list.start, end: list.end, text }
                }
            });
        }
        let dash = self.dash(items.first()?)?;
        let text = item(value, self.column(dash)?);
        match at.checked_sub(1).and_then(|at| items.get(at)) {
            Some(before) => self.line_after(before.end, &text),
            None => {
                let start = self.line_start(dash);
                Some(Patch { start, end: start, text })
            }
        }
    }

    /// A mapping without one of its entries.
    pub fn without_entry(self, map: &Spot, at: usize) -> Option<Patch> {
        let entries = map.entries();
        let (key, value) = entries.get(at)?;
        if entries.len() == 1 {
            return None;
        }
        if map.is_flow() {
            let spots: Vec<(usize, usize)> =
                entries.iter().map(|(key, value)| (key.start, value.end)).collect();
            return out_of_flow(&spots, at);
        }
        let start = self.line_start(key.start);
        if self.text.get(start..key.start)?.trim().is_empty() {
            return Some(Patch { start, end: self.next_line(value.end), text: String::new() });
        }
        // It stands behind a dash: the next one moves there.
        let (next, _) = entries.get(at + 1)?;
        Some(Patch { start: key.start, end: next.start, text: String::new() })
    }

    /// A list without one of its items.
    fn without_item(self, list: &Spot, at: usize) -> Option<Patch> {
        let items = list.items();
        let item = items.get(at)?;
        if items.len() == 1 {
            return None;
        }
        if list.is_flow() {
            let spots: Vec<(usize, usize)> = items.iter().map(|one| (one.start, one.end)).collect();
            return out_of_flow(&spots, at);
        }
        let dash = self.dash(item)?;
        let start = self.line_start(dash);
        if !self.text.get(start..dash)?.trim().is_empty() {
            return None;
        }
        Some(Patch { start, end: self.next_line(item.end), text: String::new() })
    }

    /// The text as lines of their own after the line in which a byte stands.
    pub fn line_after(self, at: usize, text: &str) -> Option<Patch> {
        let next = self.next_line(at);
        let ended = next == 0 || self.text.get(..next)?.ends_with('\n');
        let text = if ended { text.to_owned() } else { format!("\n{text}") };
        Some(Patch { start: next, end: next, text })
    }

    /// Where the dash of an item stands.
    fn dash(self, item: &Spot) -> Option<usize> {
        let before = self.text.get(..item.start)?.trim_end();
        before.ends_with('-').then(|| before.len() - 1)
    }

    /// The byte at which the line of a byte begins.
    pub fn line_start(self, at: usize) -> usize {
        self.text.get(..at).and_then(|head| head.rfind('\n')).map_or(0, |at| at + 1)
    }

    /// The byte at which the line after that of a byte begins.
    pub fn next_line(self, at: usize) -> usize {
        let rest = self.text.get(at..).unwrap_or_default();
        rest.find('\n').map_or(self.text.len(), |end| at + end + 1)
    }

    /// How many characters stand before a byte in its line.
    fn column(self, at: usize) -> Option<usize> {
        Some(self.text.get(self.line_start(at)..at)?.chars().count())
    }
}

/// Whether a value is written with references or variables: then its text is not what it says.
pub(super) fn comes_from_elsewhere(spot: &Spot, value: &Json) -> bool {
    let mut scalars = Vec::new();
    spot.scalars(&mut scalars);
    scalars.iter().filter_map(|scalar| scalar.text()).any(|text| {
        text.contains("${") && value.as_str() != Some(text.replace("$${", "${").as_str())
    })
}

/// Whether no two patches want the same piece; puts them in order.
fn are_apart(patches: &mut [Patch]) -> bool {
    patches.sort_by_key(|patch| (patch.start, patch.end));
    patches.windows(2).all(|pair| match pair {
        [one, next] => one.end <= next.start,
        _ => true,
    })
}

/// One of the parts between commas taken out.
fn out_of_flow(spots: &[(usize, usize)], at: usize) -> Option<Patch> {
    let (start, end) = *spots.get(at)?;
    let (start, end) = match (at.checked_sub(1).and_then(|at| spots.get(at)), spots.get(at + 1)) {
        (Some((_, before)), _) => (*before, end),
        (None, Some((next, _))) => (start, *next),
        (None, None) => return None,
    };
    Some(Patch { start, end, text: String::new() })
}

fn is_leaf(value: &Json) -> bool {
    match value {
        Json::Object(map) => map.is_empty(),
        Json::Array(items) => items.is_empty(),
        Json::String(text) => !text.contains('\n'),
        Json::Null | Json::Bool(_) | Json::Number(_) => true,
    }
}

fn fits(text: &str) -> bool {
    text.chars().count() <= SHORT && !text.contains('\n')
}

/// A text with the quotes that stood there before, or without where there were none and it can be
/// taken for nothing else.
fn quoted_as(style: ScalarStyle, text: &str) -> String {
    let simple = !text.chars().any(|c| c.is_control() || c == '\'');
    let text_in_any = |text: &str| {
        [Rules::Core, Rules::Kubectl]
            .iter()
            .all(|rules| scalar::resolve(text, *rules) == Some(Json::String(text.to_owned())))
    };
    let plain = scalar_text(text);
    match style {
        ScalarStyle::SingleQuoted if simple => format!("'{text}'"),
        ScalarStyle::DoubleQuoted if !plain.starts_with('"') => format!("\"{plain}\""),
        // A colon inside a word is none of YAML's: images, addresses of services.
        ScalarStyle::Plain
            if text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
                && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:@+".contains(c))
                && !text.ends_with(':')
                && !text.contains("::")
                && text_in_any(text) =>
        {
            text.to_owned()
        }
        _ => plain,
    }
}

/// A value on one line.
fn flow_text(value: &Json) -> String {
    match value {
        Json::String(text) => scalar_text(text),
        Json::Array(items) => {
            format!("[{}]", items.iter().map(flow_text).collect::<Vec<_>>().join(", "))
        }
        Json::Object(map) => {
            let entries = map.iter().map(|(k, v)| format!("{}: {}", scalar_text(k), flow_text(v)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => value.to_string(),
    }
}

/// A value as lines that begin in a column.
pub(super) fn block(value: &Json, column: usize) -> String {
    let mut text = String::new();
    match value {
        Json::Object(map) => mapping(&mut text, map, 0),
        Json::Array(items) => items.iter().for_each(|item| list_item(&mut text, item, 0)),
        other => text = flow_text(other),
    }
    indented(&text, column)
}

/// An item of a list whose dash stands in a column.
pub(super) fn item(value: &Json, column: usize) -> String {
    let mut text = String::new();
    list_item(&mut text, value, 0);
    indented(&text, column)
}

fn indented(text: &str, column: usize) -> String {
    let blanks = " ".repeat(column);
    text.lines().fold(String::new(), |mut out, line| {
        if !line.is_empty() {
            out.push_str(&blanks);
            out.push_str(line);
        }
        out.push('\n');
        out
    })
}

#[cfg(test)]
mod tests {
    use super::super::source::Diagnostics;
    use super::super::{spans, yaml};
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn read(text: &str) -> Json {
        let mut diagnostics = Diagnostics::default();
        let source = diagnostics.add("a", text);
        let nodes = yaml::parse(text, source, &mut diagnostics);
        let nodes = nodes.unwrap_or_else(|| panic!("{text}: {:?}", diagnostics.finish()));
        nodes[0].to_json(Rules::Core, &mut Diagnostics::default())
    }

    fn edited(text: &str, new: &Json) -> String {
        let spots = spans::documents(text).expect(text);
        let mut patches = Vec::new();
        let old = read(text);
        Editor::new(text)
            .reconcile(None, &spots[0], (&old, new), false, &mut patches)
            .unwrap_or_else(|| panic!("{text} to {new}"));
        patched(text, patches).unwrap_or_else(|| panic!("{text} to {new}"))
    }

    #[test]
    fn an_edit_leaves_the_rest_as_it_stands() {
        let table = [
            ("# c\na: 1 # one\nb: 'x'\n", json!({"a": 2, "b": "w"}), "# c\na: 2 # one\nb: 'w'\n"),
            ("a: http://x:1\n", json!({"a": "http://y.z:2"}), "a: http://y.z:2\n"),
            ("a: img:1\n", json!({"a": "img:2 #x"}), "a: \"img:2 #x\"\n"),
            ("a: \"x\" # s\n", json!({"a": "z"}), "a: \"z\" # s\n"),
            ("a: {b: 1, c: 2} # s\n", json!({"a": {"c": 2}}), "a: {c: 2} # s\n"),
            ("a: {b: 1, c: 2}\n", json!({"a": {"b": 1}}), "a: {b: 1}\n"),
            ("a: {b: 1}\n", json!({"a": {"b": 1, "d": "on"}}), "a: {b: 1, d: \"on\"}\n"),
            ("a: [x, y, z]\n", json!({"a": ["x", "z"]}), "a: [x, z]\n"),
            ("a: [x, z]\n", json!({"a": ["x", "w", "z"]}), "a: [x, w, z]\n"),
            ("a: [z]\n", json!({"a": ["w", "z"]}), "a: [w, z]\n"),
            (
                "a:\n  # first\n  - x # one\n  # second\n  - z\nb: 1\n",
                json!({"a": ["x", "w", "z"], "b": 1}),
                "a:\n  # first\n  - x # one\n  - w\n  # second\n  - z\nb: 1\n",
            ),
            ("a:\n- x\n- y # gone\n- z\n", json!({"a": ["x", "z"]}), "a:\n- x\n- z\n"),
            ("a:\n  - k: 1\n    l: 2 # two\n", json!({"a": [{"l": 2}]}), "a:\n  - l: 2 # two\n"),
            (
                "a:\n  b: 1\n  # of c\n  c: 2\nd: 3\n",
                json!({"a": {"b": 1, "c": 2, "e": {"f": [1, {"g": 2}]}}, "d": 3}),
                "a:\n  b: 1\n  # of c\n  c: 2\n  e:\n    f:\n      - 1\n      - g: 2\nd: 3\n",
            ),
            ("a: 1\nb:\nc: 2", json!({"a": 1, "b": 5, "c": 2, "d": 4}), "a: 1\nb: 5\nc: 2\nd: 4\n"),
            ("a:\n  b: 1\nc: 2\n", json!({"a": "x", "c": 2}), "a: x\nc: 2\n"),
            ("a: |\n  one\n  two\nb: 1\n", json!({"a": "x", "b": 1}), "a: x\nb: 1\n"),
            ("a: x\nb: 1\n", json!({"a": {"c": 1}, "b": 1}), "a: {c: 1}\nb: 1\n"),
        ];
        for (text, new, expected) in table {
            assert_eq!(edited(text, &new), expected, "{text}");
        }
    }

    fn value() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            (-5i64..5).prop_map(Json::from),
            any::<bool>().prop_map(Json::from),
            Just(Json::Null),
            "[a-c :#'\"é{},\\[\\]&*-]{0,4}".prop_map(Json::from),
            Just(json!("two\nlines\n")),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
                prop::collection::btree_map("[a-d]{1}", inner, 0..4)
                    .prop_map(|map| Json::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn whatever_is_edited_reads_as_what_was_wanted(old in value(), new in value(), flow in any::<bool>()) {
            let (old, new) = (json!({"a": old, "z": 1}), json!({"a": new, "z": 1}));
            let text = if flow { format!("{}\n", flow_text(&old)) } else { block(&old, 0) };
            prop_assert_eq!(&read(&text), &old, "{}", text);
            let after = edited(&text, &new);
            prop_assert_eq!(read(&after), new, "{} became {}", text, after);
        }
    }
}
