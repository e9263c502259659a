//! `drift.yaml`: drift that somebody said is known.

use std::io::ErrorKind;
use std::path::Path;

use serde::Deserialize;

use super::edit::{self, Editor};
use super::files::Files;
use super::shape::{self, Marks};
use super::source::{Diagnostics, Mark, suggestion};
use super::spans;
use super::yaml::{self, Node};
use crate::model::acknowledge::{Acknowledgement, Content, Seen};
use crate::model::address::Address;
use crate::model::change::DriftKind;
use crate::model::error::Report;
use crate::model::{Json, JsonMap};

/// The name of the file, beside `boxctl.yaml`.
pub const FILE: &str = "drift.yaml";

/// The key of the list in it.
const LIST: &str = "acknowledged";

/// How the file begins that the first acknowledgement makes.
const HEAD: &str = "\
# Drift that is known: `boxctl drift` is quiet about it until then, or until it changes again.
# Written by `boxctl drift ack`, reviewed and committed like every other file; edit it as you like.
";

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct DriftText {
    /// What is known.
    acknowledged: Option<Vec<EntryText>>,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct EntryText {
    /// The stack of the resource.
    stack: String,
    /// The resource.
    address: String,
    /// Which part of it, with all below; all of it where nothing is said.
    path: Option<String>,
    /// How it had drifted.
    drift: DriftKind,
    /// What was there, at each path that differed: anything else rings.
    observed: Vec<SeenText>,
    /// Until when it is quiet: a day (UTC, to its end) like 2027-01-31, or a time like
    /// 2027-01-31T12:00:00Z.
    until: String,
    /// Why it may stay.
    reason: String,
    /// Who said so.
    by: Option<String>,
    /// When it was said.
    at: Option<String>,
}

/// What was at a path: nothing but the path where nothing was there.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct SeenText {
    /// The path.
    path: String,
    /// The value.
    value: Option<Json>,
    /// A fingerprint of a long value.
    fingerprint: Option<String>,
    /// Whether it is a value that is not kept: then it rings when it was written again.
    secret: Option<bool>,
    /// What the service said of who wrote a secret.
    note: Option<String>,
    /// Since when a secret was there.
    since: Option<String>,
}

/// The JSON Schema of `drift.yaml`.
pub(super) fn schema() -> Json {
    schemars::schema_for!(DriftText).to_value()
}

/// Reads `drift.yaml`; nothing is known where there is none.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load_acknowledged(
    dir: &Path,
    files: &dyn Files,
) -> Result<Vec<Acknowledgement>, Vec<Report>> {
    let text = match files.read(&dir.join(FILE)) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            return Err(vec![Report::error(format!("{FILE} could not be read")).cause(error)]);
        }
    };
    read_acknowledged(&text)
}

/// Reads the text of a `drift.yaml`.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read_acknowledged(text: &str) -> Result<Vec<Acknowledgement>, Vec<Report>> {
    let mut diagnostics = Diagnostics::default();
    let source = diagnostics.add(FILE, text);
    let found = entries(text, source, &mut diagnostics);
    if diagnostics.failed_since(0) { Err(diagnostics.finish()) } else { Ok(found) }
}

fn entries(text: &str, source: usize, diagnostics: &mut Diagnostics) -> Vec<Acknowledgement> {
    let Some(nodes) = yaml::parse(text, source, diagnostics) else { return Vec::new() };
    let node = match nodes.as_slice() {
        [] => return Vec::new(),
        [node] if node.is_null() => return Vec::new(),
        [node] => node,
        [_, second, ..] => {
            diagnostics.error(second.mark, format!("{FILE} is to hold one document"));
            return Vec::new();
        }
    };
    let checked = shape::check(node, &schema());
    let sound = checked.faults.is_empty();
    super::tell(checked.faults, diagnostics);
    match serde_json::from_value::<DriftText>(checked.value) {
        Ok(text) => {
            let all = text.acknowledged.unwrap_or_default().into_iter().enumerate();
            all.filter_map(|(at, entry)| acknowledgement(at, entry, node, diagnostics)).collect()
        }
        Err(_) if sound => {
            diagnostics.error(node.mark, format!("{FILE} could not be understood"));
            Vec::new()
        }
        Err(_) => Vec::new(),
    }
}

fn acknowledgement(
    at: usize,
    entry: EntryText,
    node: &Node,
    diagnostics: &mut Diagnostics,
) -> Option<Acknowledgement> {
    let marks: Marks = shape::marks(node);
    let mark = |field: &str| -> Mark {
        shape::place(&marks, &format!("{LIST}[{at}].{field}")).unwrap_or(node.mark)
    };
    let address = address(&entry.address, mark("address"), diagnostics);
    let ends = ends(&entry.until);
    if ends.is_none() {
        diagnostics.error_hint(
            mark("until"),
            "this is neither a day nor a time",
            Some("write 2027-01-31, or 2027-01-31T12:00:00Z"),
        );
    }
    if entry.reason.trim().is_empty() {
        diagnostics.error(mark("reason"), "there is no reason");
    }
    if entry.observed.is_empty() {
        diagnostics.error_hint(
            mark("observed"),
            "nothing says what was there",
            Some("`boxctl drift ack` writes what it finds"),
        );
    }
    Some(Acknowledgement {
        location: diagnostics.location(mark("address")),
        stack: entry.stack,
        address: address?,
        path: entry.path.filter(|path| !path.is_empty()),
        drift: entry.drift,
        observed: entry.observed.into_iter().map(seen).collect(),
        until: entry.until,
        ends: ends?,
        reason: entry.reason,
        by: entry.by,
        at: entry.at,
    })
}

fn address(text: &str, mark: Mark, diagnostics: &mut Diagnostics) -> Option<Address> {
    let address: Address = match text.parse() {
        Ok(address) => address,
        Err(error) => {
            let error: crate::model::address::AddressError = error;
            diagnostics.error(mark, error.to_string());
            return None;
        }
    };
    if crate::kinds::find(address.kind()).is_none() {
        let names = crate::kinds::KINDS.iter().map(|kind| kind.name());
        let message = format!("there is no kind `{}`", address.kind());
        diagnostics.error_hint(mark, message, suggestion(address.kind(), names));
        return None;
    }
    Some(address)
}

fn seen(text: SeenText) -> Seen {
    let content = if text.secret == Some(true) {
        Content::Secret { note: text.note, since: text.since }
    } else {
        match (text.fingerprint, text.value) {
            (Some(fingerprint), _) => Content::Fingerprint(fingerprint),
            (None, Some(value)) => Content::Value(value),
            (None, None) => Content::Nothing,
        }
    };
    Seen { path: text.path, content }
}

/// The moment at which something ends that is said to last until then: a day counts to its end in
/// UTC. None for what is neither a day nor a time with its zone.
pub fn ends(until: &str) -> Option<jiff::Timestamp> {
    if let Ok(time) = until.parse::<jiff::Timestamp>() {
        return Some(time);
    }
    // A date parses out of longer texts, too.
    const DAY: usize = "2027-01-31".len();
    let day: jiff::civil::Date = until.parse().ok().filter(|_| until.len() == DAY)?;
    Some(day.tomorrow().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
}

/// A `drift.yaml` without some of its entries and with others: where one takes the place of one that
/// goes, there, else at the end. Comments, order and the rest stay as they are. `text` is what it
/// holds, empty where there is none.
///
/// # Errors
/// Why the text can't be edited.
pub fn edit_acknowledged(
    text: &str,
    without: &[usize],
    with: &[Acknowledgement],
) -> Result<String, Report> {
    let there = read_acknowledged(text).map_err(|reports| {
        let first = reports.into_iter().next();
        first.unwrap_or_else(|| Report::error(format!("{FILE} has mistakes")))
    })?;
    let order = order(&there, without, with);
    let after = edited(text, there.len(), &order);
    let wanted = order.iter().filter_map(|item| match item {
        Item::There(at) => there.get(*at),
        Item::New(one) => Some(*one),
    });
    let nowhere = |one: &Acknowledgement| Acknowledgement { location: None, ..one.clone() };
    let wanted: Vec<Acknowledgement> = wanted.map(nowhere).collect();
    let read = after.as_deref().and_then(|text| read_acknowledged(text).ok());
    let same = read.is_some_and(|read| read.iter().map(nowhere).collect::<Vec<_>>() == wanted);
    after.filter(|_| same).ok_or_else(|| {
        Report::error(format!("{FILE} is written in a way that could not be edited"))
            .hint("write each entry as an item of its own below `acknowledged:`")
    })
}

/// An entry after an edit.
enum Item<'a> {
    /// One that is there.
    There(usize),
    /// One that comes.
    New(&'a Acknowledgement),
}

fn order<'a>(
    there: &[Acknowledgement],
    without: &[usize],
    with: &'a [Acknowledgement],
) -> Vec<Item<'a>> {
    let mut left: Vec<&Acknowledgement> = with.iter().collect();
    let mut out = Vec::new();
    for (at, old) in there.iter().enumerate() {
        if !without.contains(&at) {
            out.push(Item::There(at));
        } else if let Some(new) = left.iter().position(|new| new.supersedes(old)) {
            out.push(Item::New(left.remove(new)));
        }
    }
    out.extend(left.into_iter().map(Item::New));
    out
}

fn edited(text: &str, there: usize, order: &[Item<'_>]) -> Option<String> {
    let documents = spans::documents(text)?;
    // Entries are only kept, taken out or written: what those that stay hold is not looked at.
    let new: Vec<Json> = order
        .iter()
        .map(|item| match item {
            Item::There(at) => Json::from(*at),
            Item::New(one) => written(one),
        })
        .collect();
    let Some(root) = documents.first().filter(|root| !root.entries().is_empty()) else {
        if new.is_empty() {
            return Some(text.to_owned());
        }
        let head = if text.trim().is_empty() { HEAD } else { text };
        let end = if head.ends_with('\n') { "" } else { "\n" };
        let mut map = JsonMap::new();
        map.insert(LIST.to_owned(), Json::Array(new));
        return Some(format!("{head}{end}{}", edit::block(&Json::Object(map), 0)));
    };
    let mut patches = Vec::new();
    let (mut before, mut after) = (JsonMap::new(), JsonMap::new());
    if root.get(LIST).is_some() {
        before.insert(LIST.to_owned(), (0..there).map(Json::from).collect());
    }
    after.insert(LIST.to_owned(), Json::Array(new));
    let both = (&Json::Object(before), &Json::Object(after));
    Editor::new(text).reconcile(None, root, both, false, &mut patches)?;
    edit::patched(text, patches)
}

/// An entry as the file writes it.
fn written(one: &Acknowledgement) -> Json {
    let mut map = JsonMap::new();
    let mut put = |key: &str, value: Json| map.insert(key.to_owned(), value);
    put("stack", one.stack.clone().into());
    put("address", one.address.to_string().into());
    if let Some(path) = &one.path {
        put("path", path.clone().into());
    }
    put("drift", serde_json::json!(one.drift));
    put("observed", one.observed.iter().map(written_seen).collect::<Vec<_>>().into());
    put("until", one.until.clone().into());
    put("reason", one.reason.clone().into());
    if let Some(by) = &one.by {
        put("by", by.clone().into());
    }
    if let Some(at) = &one.at {
        put("at", at.clone().into());
    }
    Json::Object(map)
}

fn written_seen(one: &Seen) -> Json {
    let mut map = JsonMap::new();
    map.insert("path".to_owned(), one.path.clone().into());
    match &one.content {
        Content::Nothing => {}
        Content::Value(value) => {
            map.insert("value".to_owned(), value.clone());
        }
        Content::Fingerprint(text) => {
            map.insert("fingerprint".to_owned(), text.clone().into());
        }
        Content::Secret { note, since } => {
            map.insert("secret".to_owned(), true.into());
            for (key, value) in [("note", note), ("since", since)] {
                if let Some(value) = value {
                    map.insert(key.to_owned(), value.clone().into());
                }
            }
        }
    }
    Json::Object(map)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn one(name: &str, until: &str) -> Acknowledgement {
        let value = |path: &str, content: Content| Seen { path: path.to_owned(), content };
        Acknowledgement {
            stack: "s".to_owned(),
            address: Address::new("dns_record", name),
            path: Some("ttl".to_owned()),
            drift: DriftKind::Drifted,
            observed: vec![
                value("ttl", Content::Value(json!(300))),
                value("name", Content::Value(json!("yes: #\u{85} \"no\"\n"))),
                value("list", Content::Value(json!([{"a": [1.5, true, ""]}, {}, []]))),
                value("gone", Content::Nothing),
                value("long", Content::Fingerprint("00ff".to_owned())),
                value("secret", Content::Secret { note: Some("v3".to_owned()), since: None }),
            ],
            until: until.to_owned(),
            ends: ends(until).unwrap(),
            reason: "it's: # \"known\"".to_owned(),
            by: Some("é @ann".to_owned()),
            at: Some("2026-11-25T20:00:00Z".to_owned()),
            location: None,
        }
    }

    #[test]
    fn what_is_written_is_read_and_the_rest_stays() {
        let (a, b) = (one("a", "2027-01-31"), one("b", "2027-01-31T12:00:00Z"));
        let first = edit_acknowledged("", &[], std::slice::from_ref(&a)).unwrap();
        assert!(first.starts_with("# Drift that is known"), "{first}");
        insta::assert_snapshot!(first);
        let mine = first.replace("  - stack: s", "  # see issue 7\n  - stack: s # ours");
        let second = edit_acknowledged(&mine, &[], std::slice::from_ref(&b)).unwrap();
        assert!(second.starts_with(&mine), "{second}");
        let read = read_acknowledged(&second).unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!(read[1].location.as_ref().map(|at| at.column), Some(14));
        let third = edit_acknowledged(&second, &[1], &[]).unwrap();
        assert_eq!(third, mine);
        // Said again, an entry stays where it was, and what is written around it too.
        let again = one("a", "2027-03-31");
        let fourth = edit_acknowledged(&second, &[0], std::slice::from_ref(&again)).unwrap();
        assert!(fourth.contains("  # see issue 7\n  - stack: s\n"), "{fourth}");
        let untils: Vec<_> = read_acknowledged(&fourth).unwrap();
        let untils: Vec<_> = untils.iter().map(|one| one.until.as_str()).collect();
        assert_eq!(untils, ["2027-03-31", "2027-01-31T12:00:00Z"]);
        let none = edit_acknowledged(&mine, &[0], &[]).unwrap();
        assert!(none.ends_with("acknowledged: []\n"), "{none}");
        let again = edit_acknowledged(&none, &[], std::slice::from_ref(&a)).unwrap();
        assert_eq!(read_acknowledged(&again).unwrap().len(), 1);
        assert_eq!(edit_acknowledged("# mine\n", &[], &[]).unwrap(), "# mine\n");
    }

    #[test]
    fn mistakes_are_told_at_their_place() {
        let entry = "acknowledged:\n- stack: s\n  address: dns_record.a\n  drift: drifted\n  observed: [{path: ttl, value: 1}]\n  until: 2027-01-31\n  reason: x\n";
        assert_eq!(read_acknowledged(entry).unwrap().len(), 1);
        for (from, to, line, column, message, hint) in [
            ("reason", "raeson", 7, 3, "unknown key `raeson`", "`reason`"),
            ("dns_record.a", "dns_recrd.a", 3, 12, "no kind `dns_recrd`", "`dns_record`"),
            ("dns_record.a", "record", 3, 12, "is not an address", ""),
            ("drifted", "changed", 4, 10, "`changed` is none of", ""),
            ("2027-01-31", "soon", 6, 10, "neither a day nor a time", "2027-01-31"),
            ("2027-01-31", "2027-01-31T10:00", 6, 10, "neither a day nor a time", "Z"),
            ("reason: x", "reason: ' '", 7, 11, "no reason", ""),
            ("[{path: ttl, value: 1}]", "[]", 5, 13, "nothing says", ""),
        ] {
            let reports = read_acknowledged(&entry.replace(from, to)).expect_err(to);
            let report = reports.iter().find(|one| one.message.contains(message));
            let report = report.unwrap_or_else(|| panic!("{to}: {reports:?}"));
            let at = report.location.as_ref().map(|at| (at.file.as_str(), at.line, at.column));
            assert_eq!(at, Some((FILE, line, column)), "{to}");
            assert!(report.hints.join(" ").contains(hint), "{to}: {:?}", report.hints);
        }
        for empty in ["", "# nothing\n", "acknowledged:\n", "acknowledged: []\n"] {
            assert_eq!(read_acknowledged(empty).unwrap(), [], "{empty}");
        }
    }

    #[test]
    fn a_day_counts_to_its_end() {
        let end = ends("2027-01-31").unwrap();
        assert_eq!(end.to_string(), "2027-02-01T00:00:00Z");
        assert_eq!(ends("2027-01-31T10:00:00+09:00").unwrap().to_string(), "2027-01-31T01:00:00Z");
        assert!(ends("2027-02-31").is_none() && ends("30d").is_none());
    }
}
