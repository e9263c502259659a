//! The text of a manifest as kubectl takes it apart: YAML documents, JSON values, lists.

use super::source::Diagnostics;
use super::yaml::{self, Entry, Node, Shape};

/// The documents of a text: YAML, or JSON values one after the other, as kubectl takes both.
pub(super) fn nodes(text: &str, source: usize, diagnostics: &mut Diagnostics) -> Option<Vec<Node>> {
    let values = json_values(text);
    if values.len() < 2 {
        return yaml::parse(text, source, diagnostics);
    }
    let mut nodes = Vec::new();
    let (mut line, mut column, mut end) = (0, 0, 0);
    for (from, to) in values {
        let between = text.get(end..from)?;
        match between.rfind('\n') {
            Some(at) => {
                line += between.matches('\n').count();
                column = between[at + 1..].chars().count();
            }
            None => column += between.chars().count(),
        }
        end = from;
        nodes.extend(yaml::parse_at(text.get(from..to)?, source, (line, column), diagnostics)?);
    }
    Some(nodes)
}

/// Where JSON objects of a text begin and end; none where it holds anything else.
fn json_values(text: &str) -> Vec<(usize, usize)> {
    let start = text.find(|c: char| !c.is_whitespace() && c != '\u{feff}').unwrap_or_default();
    let rest = &text[start..];
    if !rest.starts_with('{') {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut values = serde_json::Deserializer::from_str(rest).into_iter::<serde::de::IgnoredAny>();
    let mut from = 0;
    while let Some(value) = values.next() {
        let to = values.byte_offset();
        let skipped = rest[from..].len() - rest[from..].trim_start().len();
        if value.is_err() || !rest[from + skipped..].starts_with('{') {
            return Vec::new();
        }
        found.push((start + from + skipped, start + to));
        from = to;
    }
    found
}

/// The objects of a document: itself, or the items of a list.
pub(super) fn flatten(node: Node, out: &mut Vec<Node>) {
    let text = |key: &str| node.get(key).and_then(Node::text).map(str::to_owned);
    let list = text("kind").and_then(|kind| kind.strip_suffix("List").map(str::to_owned));
    match (list, node.get("items").map(|items| &items.shape)) {
        (Some(kind), Some(Shape::List(items))) => {
            let head = [("apiVersion", text("apiVersion")), ("kind", Some(kind))];
            let is_typed = head[1].1.as_deref() != Some("");
            for item in items {
                let item = item.clone();
                flatten(if is_typed { named(item, &head) } else { item }, out);
            }
        }
        (Some(kind), None) if kind.is_empty() => {}
        (Some(_), Some(_)) if node.get("items").is_some_and(Node::is_null) => {}
        _ => out.push(node),
    }
}

/// An item of a typed list, which says for its items what they are.
fn named(item: Node, head: &[(&str, Option<String>); 2]) -> Node {
    let mark = item.mark;
    match item.shape {
        Shape::Map(entries)
            if !entries.iter().any(|entry| matches!(entry.key.as_str(), "apiVersion" | "kind")) =>
        {
            let added = head.iter().filter_map(|(key, value)| {
                let value = Node::of_text(value.clone()?, mark);
                Some(Entry { key: (*key).to_owned(), plain: false, mark, value })
            });
            Node { shape: Shape::Map(added.chain(entries).collect()), mark }
        }
        shape => Node { shape, mark },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::error::Report;

    fn names(text: &str) -> Result<Vec<String>, Vec<Report>> {
        let mut diagnostics = Diagnostics::default();
        let source = diagnostics.add("a.yaml", text);
        let nodes = nodes(text, source, &mut diagnostics).unwrap_or_default();
        let mut objects = Vec::new();
        nodes.into_iter().filter(|n| !n.is_null()).for_each(|node| flatten(node, &mut objects));
        let named = objects.iter().map(|node| {
            let text = |node: Option<&Node>| node.and_then(Node::text).unwrap_or("-").to_owned();
            let name = node.get("metadata").and_then(|node| node.get("name"));
            let place = format!("{}:{}", node.mark.line, node.mark.column);
            [text(node.get("apiVersion")), text(node.get("kind")), text(name), place].join(" ")
        });
        let named = named.collect();
        let reports = diagnostics.finish();
        if reports.is_empty() { Ok(named) } else { Err(reports) }
    }

    #[test]
    fn texts_of_every_form_hold_the_same_objects() {
        let table: [(&str, &[&str]); 12] = [
            ("apiVersion: v1\nkind: A\nmetadata: {name: x}\n", &["v1 A x 1:1"]),
            ("# a\n---\n---\n# b\n--- \nkind: A\n---\n", &["- A - 6:1"]),
            ("kind: A\r\n---\r\nkind: B\r\n", &["- A - 1:1", "- B - 3:1"]),
            ("\u{feff}kind: A\n...\n---\nkind: B\n", &["- A - 1:1", "- B - 4:1"]),
            ("kind: List\nitems:\n- kind: A\n- kind: B\n", &["- A - 3:3", "- B - 4:3"]),
            ("{kind: List, items: [{kind: List, items: [{kind: A}]}]}", &["- A - 1:43"]),
            (
                "apiVersion: apps/v1\nkind: DeploymentList\nitems:\n- metadata: {name: x}\n- {apiVersion: v1, kind: Pod}\n- {kind: Pod}\n",
                &["apps/v1 Deployment x 4:3", "v1 Pod - 5:3", "- Pod - 6:3"],
            ),
            (
                "kind: List\n---\nkind: List\nitems: []\n---\nkind: List\nitems:\n---\nkind: PodList\nitems: null\n",
                &[],
            ),
            ("kind: AllowList\nspec: {items: [a]}\n", &["- AllowList - 1:1"]),
            ("{\"kind\": \"A\"}\n", &["- A - 1:1"]),
            (
                "{\"kind\": \"A\"}\n{\n \"kind\": \"B\"} {\"kind\":\"C\"}\n\n{\"kind\": \"語\"}{\"kind\":\"E\"}",
                &["- A - 1:1", "- B - 2:1", "- C - 3:15", "- 語 - 5:1", "- E - 5:14"],
            ),
            ("", &[]),
        ];
        for (text, expected) in table {
            let found = names(text).unwrap_or_else(|reports| panic!("{text}: {reports:?}"));
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn a_mistake_in_a_later_json_value_is_told_at_its_place() {
        let reports = names("{\"a\": 1}\n{\"b\": 1,\n \"b\": 2}\n").unwrap_err();
        let at = reports[0].location.as_ref().map(|at| (at.line, at.column));
        assert_eq!(at, Some((3, 2)), "{reports:?}");
    }
}
