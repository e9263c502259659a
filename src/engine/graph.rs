//! Order: what comes before what.

use std::collections::{BTreeMap, BTreeSet};

/// An order of all nodes in which what a node needs comes before it; among nodes that could come
/// next, the one with the lowest rank, then the least. `needs` may name nodes that are not in
/// `nodes`: they are ignored.
///
/// # Errors
/// A cycle, as the nodes on it in order.
pub fn order<N: Ord + Clone, R: Ord>(
    nodes: &[N],
    needs: &BTreeMap<N, BTreeSet<N>>,
    rank: impl Fn(&N) -> R,
) -> Result<Vec<N>, Vec<N>> {
    let all: BTreeSet<&N> = nodes.iter().collect();
    let mut open: BTreeMap<&N, BTreeSet<&N>> = all
        .iter()
        .map(|node| {
            let needed = needs.get(*node).into_iter().flatten();
            (*node, needed.filter(|n| all.contains(n) && n != node).collect())
        })
        .collect();
    let mut users: BTreeMap<&N, Vec<&N>> = BTreeMap::new();
    for (node, needed) in &open {
        needed.iter().for_each(|needed| users.entry(*needed).or_default().push(*node));
    }
    let is_ready = |(_, needed): &(&&N, &BTreeSet<&N>)| needed.is_empty();
    let mut ready: BTreeSet<(R, &N)> =
        open.iter().filter(is_ready).map(|(node, _)| (rank(node), *node)).collect();
    let mut out = Vec::with_capacity(nodes.len());
    while let Some((_, next)) = ready.pop_first() {
        open.remove(next);
        out.push(next.clone());
        for user in users.remove(next).into_iter().flatten() {
            if let Some(needed) = open.get_mut(user) {
                needed.remove(next);
                if needed.is_empty() {
                    ready.insert((rank(user), user));
                }
            }
        }
    }
    if open.is_empty() { Ok(out) } else { Err(cycle(&open)) }
}

fn cycle<N: Ord + Clone>(open: &BTreeMap<&N, BTreeSet<&N>>) -> Vec<N> {
    let mut path: Vec<&N> = Vec::new();
    let mut at = open.keys().next().copied();
    while let Some(node) = at {
        if let Some(start) = path.iter().position(|seen| *seen == node) {
            return path[start..].iter().map(|node| (*node).clone()).collect();
        }
        path.push(node);
        at = open.get(node).and_then(|needed| needed.iter().next().copied());
    }
    path.into_iter().cloned().collect()
}

/// Everything that `of` reaches by `needs`, itself included.
pub fn reach<N: Ord + Clone>(of: &BTreeSet<N>, needs: &BTreeMap<N, BTreeSet<N>>) -> BTreeSet<N> {
    let mut seen = of.clone();
    let mut open: Vec<N> = of.iter().cloned().collect();
    while let Some(node) = open.pop() {
        for needed in needs.get(&node).into_iter().flatten() {
            if seen.insert(needed.clone()) {
                open.push(needed.clone());
            }
        }
    }
    seen
}

/// The edges the other way round.
pub fn reversed<N: Ord + Clone>(needs: &BTreeMap<N, BTreeSet<N>>) -> BTreeMap<N, BTreeSet<N>> {
    let mut out: BTreeMap<N, BTreeSet<N>> = BTreeMap::new();
    for (node, needed) in needs {
        for needed in needed {
            out.entry(needed.clone()).or_default().insert(node.clone());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_cycle_is_named() {
        let needs = [(1, [2].into()), (2, [3].into()), (3, [2].into())].into();
        assert_eq!(order(&[1, 2, 3], &needs, |_| 0), Err(vec![2, 3]));
    }

    proptest! {
        #[test]
        fn what_is_needed_comes_first(edges in proptest::collection::vec((0u8..20, 0u8..20), 0..60)) {
            let nodes: Vec<u8> = (0..20).collect();
            let mut needs: BTreeMap<u8, BTreeSet<u8>> = BTreeMap::new();
            for (a, b) in edges {
                // Only from larger to smaller: no cycles.
                needs.entry(a.max(b)).or_default().insert(a.min(b));
            }
            let order = order(&nodes, &needs, |n| 20 - n).unwrap();
            prop_assert_eq!(order.len(), 20);
            for (node, needed) in &needs {
                let at = |n: &u8| order.iter().position(|m| m == n).unwrap();
                for needed in needed.iter().filter(|needed| *needed != node) {
                    prop_assert!(at(needed) < at(node));
                }
            }
        }
    }
}
