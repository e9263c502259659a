//! Resources and what needs what, as Graphviz or Mermaid text.

use std::collections::{BTreeMap, BTreeSet};

use super::human::sign;
use crate::model::Json;
use crate::model::address::Address;
use crate::model::change::{Action, Phase};
use crate::model::plan::StackPlan;
use crate::model::resource::Resource;
use crate::model::state::State;
use crate::model::value::{references, secret_sources};

/// Resources and what needs what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Graph {
    /// The resources, with what happens to them where that is known.
    pub nodes: BTreeMap<Address, Option<Action>>,
    /// What needs what: the first needs the second.
    pub edges: BTreeSet<(Address, Address)>,
}

impl Graph {
    /// The graph of resources as the files have them: references and `depends_on`.
    pub fn of_resources(resources: &[Resource]) -> Graph {
        let mut graph = Graph::default();
        for resource in resources {
            graph.nodes.insert(resource.address.clone(), None);
        }
        for resource in resources {
            let needed = needed(&resource.spec).into_iter().chain(resource.meta.depends_on.clone());
            for need in needed {
                graph.edge(&resource.address, &need);
            }
        }
        graph
    }

    /// The graph of a plan: what is declared, and what is deleted.
    pub fn of_plan(plan: &StackPlan) -> Graph {
        let mut graph = Graph::of_resources(&plan.declared);
        for change in &plan.changes {
            if change.phase != Phase::Remove || !graph.nodes.contains_key(&change.address) {
                graph.nodes.insert(change.address.clone(), Some(change.action));
            }
        }
        for change in &plan.changes {
            for need in &change.needs {
                // A deletion needs what needs it to be deleted before: the edge goes the other way.
                match change.action {
                    Action::Delete => graph.edge(&need.address, &change.address),
                    _ => graph.edge(&change.address, &need.address),
                }
            }
        }
        graph
    }

    /// The graph of what is recorded.
    pub fn of_state(state: &State) -> Graph {
        let mut graph = Graph::default();
        for address in state.resources.keys() {
            graph.nodes.insert(address.clone(), None);
        }
        for (address, record) in &state.resources {
            record.dependencies.iter().for_each(|need| graph.edge(address, need));
        }
        graph
    }

    /// Adds that one resource needs another, where both are in the graph.
    pub fn edge(&mut self, address: &Address, need: &Address) {
        if address != need && self.nodes.contains_key(address) && self.nodes.contains_key(need) {
            self.edges.insert((address.clone(), need.clone()));
        }
    }
}

/// Resources that a spec's references and secrets lead to.
fn needed(spec: &Json) -> Vec<Address> {
    let sources = secret_sources(spec);
    let secrets =
        sources.iter().filter_map(|source| source.as_output()).map(|(address, _)| address);
    references(spec).into_iter().map(|reference| reference.address).chain(secrets).collect()
}

/// The label of a resource: its address, led by the sign of what happens to it.
fn label(address: &Address, action: Option<Action>) -> String {
    match action {
        Some(action) => format!("{} {address}", sign(action).0),
        None => address.to_string(),
    }
}

/// Graphviz text: arrows lead from what is needed to what needs it.
pub fn dot(graph: &Graph) -> String {
    let quoted = |text: String| Json::from(text).to_string();
    let mut out = "digraph boxctl {\n  rankdir=LR;\n  node [shape=box];\n".to_owned();
    for (address, action) in &graph.nodes {
        let look = match action {
            Some(Action::Delete) => ", style=dashed, color=red",
            Some(Action::Replace) => ", style=bold, color=red",
            Some(Action::Create) => ", color=darkgreen",
            Some(Action::Update | Action::Rotate) => ", color=darkorange",
            Some(Action::Adopt | Action::Forget) => ", color=blue",
            None => "",
        };
        let (name, label) = (quoted(address.to_string()), quoted(label(address, *action)));
        out.push_str(&format!("  {name} [label={label}{look}];\n"));
    }
    for (address, need) in &graph.edges {
        let (from, to) = (quoted(need.to_string()), quoted(address.to_string()));
        let deleted = |node| graph.nodes.get(node) == Some(&Some(Action::Delete));
        let look = if deleted(address) || deleted(need) { " [style=dashed]" } else { "" };
        out.push_str(&format!("  {from} -> {to}{look};\n"));
    }
    out.push_str("}\n");
    out
}

/// Mermaid text: arrows lead from what is needed to what needs it.
pub fn mermaid(graph: &Graph) -> String {
    let ids: BTreeMap<&Address, String> =
        graph.nodes.keys().enumerate().map(|(i, address)| (address, format!("n{i}"))).collect();
    let mut out = "flowchart LR\n".to_owned();
    for (address, action) in &graph.nodes {
        let text = label(address, *action).replace('&', "&amp;").replace('"', "&quot;");
        let class = match action {
            Some(Action::Delete) => ":::deleted",
            Some(Action::Replace) => ":::replaced",
            _ => "",
        };
        out.push_str(&format!("  {}[\"{text}\"]{class}\n", ids[address]));
    }
    for (address, need) in &graph.edges {
        if let (Some(from), Some(to)) = (ids.get(need), ids.get(address)) {
            out.push_str(&format!("  {from} --> {to}\n"));
        }
    }
    out.push_str("  classDef deleted stroke:#c00,stroke-dasharray:4\n");
    out.push_str("  classDef replaced stroke:#c00,stroke-width:3px\n");
    out
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn deletions_are_marked_and_arrows_follow_the_need() {
        let graph = Graph::of_plan(&samples::plan().stacks[0]);
        insta::assert_snapshot!(dot(&graph));
        insta::assert_snapshot!(mermaid(&graph));
    }
}
