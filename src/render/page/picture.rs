//! A stack's graph as inline SVG: marked nodes are links to their entries.

use std::collections::{BTreeMap, BTreeSet};

use super::content::Drawing;
use super::html::Html;
use super::layout::{HEIGHT, Layout, WIDTH, layered};
use crate::model::address::Address;
use crate::render::text::{count, cut};

/// How many nodes a picture shows.
pub(super) const NODES: usize = 80;
/// How many columns of a name fit into a node.
const NAME: usize = 23;

/// The part of a graph that a picture shows.
#[derive(Debug, PartialEq, Eq)]
struct Part<'a> {
    nodes: Vec<&'a Address>,
    edges: Vec<(usize, usize)>,
    /// What is said of the rest.
    left_out: Option<String>,
}

/// The whole graph; of one that is too large, what is marked and what hangs together with it.
fn part(drawing: &Drawing) -> Part<'_> {
    let graph = &drawing.graph;
    let all = graph.nodes.len();
    let mut shown: BTreeSet<&Address> = graph.nodes.keys().collect();
    let mut left_out = None;
    if all > NODES {
        let marked = graph.nodes.keys().filter(|node| drawing.marks.contains_key(node));
        // The order of marks is that of the entries: what matters most first.
        let mut marked: Vec<&Address> = marked.collect();
        marked.sort_by_key(|node| drawing.marks.get(node).and_then(|mark| mark.entry));
        shown = marked.iter().take(NODES).copied().collect();
        let beside: BTreeSet<&Address> = graph
            .edges
            .iter()
            .filter(|(a, b)| shown.contains(a) != shown.contains(b))
            .map(|(a, b)| if shown.contains(a) { b } else { a })
            .collect();
        let room = NODES - shown.len();
        shown.extend(beside.into_iter().take(room));
        let number = shown.len();
        left_out = Some(match number {
            0 => format!(
                "{} are not drawn: none of them is on this page.",
                count(all as u64, "resource")
            ),
            _ => format!(
                "{number} of {} are drawn: those on this page, and what they hang together with.",
                count(all as u64, "resource")
            ),
        });
    }
    let nodes: Vec<&Address> = shown.into_iter().collect();
    let at: BTreeMap<&Address, usize> =
        nodes.iter().enumerate().map(|(at, node)| (*node, at)).collect();
    let edges = graph.edges.iter();
    let edges = edges.filter_map(|(a, b)| Some((*at.get(a)?, *at.get(b)?))).collect();
    Part { nodes, edges, left_out }
}

/// Writes the picture of a stack.
pub(super) fn write(html: &mut Html, drawing: &Drawing) {
    let part = part(drawing);
    if !part.nodes.is_empty() {
        let layout = layered(part.nodes.len(), &part.edges);
        html.raw(
            "<div class=\"picture\" tabindex=\"0\" role=\"group\" aria-label=\"What needs what in ",
        );
        html.text(&drawing.stack).raw("\">");
        svg(html, drawing, &part, &layout);
        html.raw("</div>");
    }
    if let Some(text) = &part.left_out {
        html.raw("<p class=\"muted\">").text(text).raw("</p>");
    }
}

fn svg(html: &mut Html, drawing: &Drawing, part: &Part<'_>, layout: &Layout) {
    html.raw("<svg width=\"").number(layout.width).raw("\" height=\"").number(layout.height);
    html.raw("\" viewBox=\"0 0 ").number(layout.width).raw(" ").number(layout.height).raw("\">");
    for (points, (user, need)) in layout.edges.iter().zip(&part.edges) {
        let is_marked = |node: &usize| drawing.marks.contains_key(part.nodes[*node]);
        let class = is_marked(user) && is_marked(need);
        html.raw(if class { "<path class=\"edge hot\" d=\"" } else { "<path class=\"edge\" d=\"" });
        curve(html, points);
        html.raw("\"/>");
    }
    for (address, (x, y)) in part.nodes.iter().zip(&layout.nodes) {
        node(html, drawing, address, *x, *y);
    }
    html.raw("</svg>");
}

/// A smooth way through points: level where it leaves and enters.
fn curve(html: &mut Html, points: &[(i32, i32)]) {
    let Some((first, rest)) = points.split_first() else { return };
    html.raw("M").number(first.0).raw(" ").number(first.1);
    let mut from = *first;
    for (x, y) in rest {
        let middle = (from.0 + x) / 2;
        html.raw("C").number(middle).raw(" ").number(from.1).raw(" ").number(middle);
        html.raw(" ").number(*y).raw(" ").number(*x).raw(" ").number(*y);
        from = (*x, *y);
    }
}

fn node(html: &mut Html, drawing: &Drawing, address: &Address, x: i32, y: i32) {
    let mark = drawing.marks.get(address);
    let entry = mark.and_then(|mark| mark.entry);
    if let Some(entry) = entry {
        html.raw("<a href=\"#e").number(entry as i64).raw("\">");
    }
    html.raw("<g class=\"node ").raw(mark.map_or("plain", |mark| mark.tone.class()));
    html.raw("\"><title>").text(&address.to_string()).raw("</title>");
    html.raw("<rect x=\"").number(x).raw("\" y=\"").number(y);
    html.raw("\" width=\"").number(WIDTH).raw("\" height=\"").number(HEIGHT).raw("\" rx=\"8\"/>");
    let (kind, name) = label(address);
    let line = |html: &mut Html, class: &'static str, down: i32, text: &str, end: bool| {
        html.raw("<text class=\"").raw(class).raw("\" x=\"");
        html.number(if end { x + WIDTH - 12 } else { x + 12 }).raw("\" y=\"").number(y + down);
        html.raw(if end { "\" text-anchor=\"end\">" } else { "\">" }).text(text).raw("</text>");
    };
    line(html, "kind", 18, &kind, false);
    line(html, "name", 35, &name, false);
    if let Some(mark) = mark {
        line(html, "sign", 19, mark.sign, true);
    }
    html.raw("</g>");
    if entry.is_some() {
        html.raw("</a>");
    }
}

/// The two lines of a node: what it is and how it is called. The title has all of it.
fn label(address: &Address) -> (String, String) {
    let (kind, name) = match address.kubernetes_kind() {
        Some((kind, _)) => {
            let name = address.name().rsplit('/').next().unwrap_or_default();
            (kind.to_owned(), name.to_owned())
        }
        None => (address.kind().replace('_', " "), address.name().to_owned()),
    };
    (cut(&kind, NAME), cut(&name, NAME))
}

#[cfg(test)]
mod tests {
    use super::super::content::{Mark, Tone};
    use super::*;
    use crate::render::graph::Graph;

    #[test]
    fn of_a_large_graph_what_is_marked_is_drawn_with_what_hangs_together_with_it() {
        let address = |at: usize| Address::new("dns_record", format!("r{at:04}"));
        let mut graph = Graph::default();
        graph.nodes.extend((0..500).map(|at| (address(at), None)));
        (1..500).for_each(|at| graph.edge(&address(at), &address(at - 1)));
        let mark = Mark { tone: Tone::Bad, sign: "-", entry: Some(7) };
        let marks = BTreeMap::from([(address(100), mark)]);
        let mut drawing = Drawing { stack: "s".to_owned(), graph, marks };
        let names = |drawing: &Drawing| -> Vec<String> {
            part(drawing).nodes.iter().map(|node| node.to_string()).collect()
        };
        assert_eq!(names(&drawing), ["dns_record.r0099", "dns_record.r0100", "dns_record.r0101"]);
        let mut html = Html::default();
        write(&mut html, &drawing);
        let text = html.finish();
        assert!(text.contains("3 of 500 resources are drawn"), "{text}");
        assert!(text.contains("<a href=\"#e7\"><g class=\"node bad\">"), "{text}");
        let marks = (0..500).map(|at| (address(at), Mark { entry: Some(500 - at), ..mark }));
        drawing.marks.extend(marks);
        assert_eq!(names(&drawing).len(), NODES);
        assert_eq!(names(&drawing).last().map(String::as_str), Some("dns_record.r0499"));
        drawing.marks.clear();
        assert!(names(&drawing).is_empty());
    }
}
