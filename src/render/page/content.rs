//! What a page says, before it is HTML: the same for what drifted, what is planned and what was done.

use std::collections::BTreeMap;

use crate::model::address::Address;
use crate::model::change::FieldChange;
use crate::model::error::Report;
use crate::render::graph::Graph;

/// How something is to be taken: each has a colour, and a word or a sign beside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tone {
    /// Something is gone, goes or failed.
    Bad,
    /// Something is another than it was.
    Changed,
    /// Something else is there.
    Other,
    /// Something comes, or all is well.
    Good,
    /// To be known.
    #[default]
    Quiet,
}

impl Tone {
    /// The class in the style sheet.
    pub(super) fn class(self) -> &'static str {
        match self {
            Tone::Bad => "bad",
            Tone::Changed => "changed",
            Tone::Other => "other",
            Tone::Good => "good",
            Tone::Quiet => "quiet",
        }
    }
}

/// One resource and what there is to say of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Entry {
    pub stack: String,
    pub address: Option<Address>,
    pub tone: Tone,
    pub sign: &'static str,
    pub word: String,
    /// What stands beside the address, in a few words: who and when.
    pub aside: String,
    /// What differs, secrets hidden.
    pub fields: Vec<FieldChange>,
    /// What else there is to know, each led by a word.
    pub remarks: Vec<(&'static str, String)>,
    /// What went wrong with it.
    pub reports: Vec<Report>,
}

/// Entries that belong together.
#[derive(Clone, Debug)]
pub(super) struct Section {
    /// What links lead to.
    pub id: &'static str,
    pub title: &'static str,
    pub entries: Vec<Entry>,
    /// What the two sides of a difference are.
    pub sides: (&'static str, &'static str),
}

/// A number at the top of the page.
#[derive(Clone, Debug)]
pub(super) struct Tile {
    pub tone: Tone,
    pub number: usize,
    pub word: &'static str,
    /// The section that it counts.
    pub id: &'static str,
}

/// A stack's graph, with what happened to its nodes.
#[derive(Clone, Debug)]
pub(super) struct Drawing {
    pub stack: String,
    pub graph: Graph,
    pub marks: BTreeMap<Address, Mark>,
}

/// What happened to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub tone: Tone,
    pub sign: &'static str,
    /// The number of its entry on the page.
    pub entry: Option<usize>,
}

/// A page.
#[derive(Clone, Debug, Default)]
pub(super) struct Page {
    /// The command that it is of.
    pub command: &'static str,
    pub project: String,
    pub tone: Tone,
    /// What it comes to, in a line.
    pub verdict: String,
    /// What it means, in a sentence.
    pub advice: String,
    pub facts: Vec<(&'static str, String)>,
    pub tiles: Vec<Tile>,
    /// What there is to tell beside the entries; what matters most first.
    pub reports: Vec<Report>,
    pub sections: Vec<Section>,
    pub drawings: Vec<Drawing>,
    /// What else there is to know.
    pub notes: Vec<String>,
}

impl Page {
    /// Marks in the stacks' graphs what its entries are about.
    pub(super) fn mark(&mut self, graphs: Vec<(String, Graph)>) {
        let mut marks: BTreeMap<String, BTreeMap<Address, Mark>> = BTreeMap::new();
        let entries = self.sections.iter().flat_map(|section| &section.entries);
        for (number, entry) in entries.enumerate() {
            let Some(address) = &entry.address else { continue };
            let mark = Mark { tone: entry.tone, sign: entry.sign, entry: Some(number) };
            let of_stack = marks.entry(entry.stack.clone()).or_default();
            // The first is what matters most.
            of_stack.entry(address.clone()).or_insert(mark);
        }
        self.drawings = graphs
            .into_iter()
            .filter(|(_, graph)| !graph.nodes.is_empty())
            .map(|(stack, mut graph)| {
                let marks = marks.remove(&stack).unwrap_or_default();
                // What was recorded and what is planned have not all the same nodes.
                for address in marks.keys() {
                    graph.nodes.entry(address.clone()).or_insert(None);
                }
                Drawing { stack, graph, marks }
            })
            .collect();
    }
}
