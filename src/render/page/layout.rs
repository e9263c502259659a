//! Where the nodes of a graph go: in layers, each to the right of what it needs.
//!
//! After Sugiyama: layers by the longest way, what spans several layers gets a place in each of
//! them, the order within a layer follows the neighbours' (barycentres), and places move to their
//! neighbours as far as their order and distance allow.

use std::collections::BTreeMap;

/// The size of a node and the distances around it.
pub(super) const WIDTH: i32 = 190;
pub(super) const HEIGHT: i32 = 46;
const COLUMN: i32 = WIDTH + 64;
const GAP: i32 = 14;
/// The height of a place that an edge only goes through.
const PASSAGE: i32 = 12;
const MARGIN: i32 = 12;
/// How often layers are sorted, and places moved.
const SWEEPS: usize = 8;
/// The least number of nodes beside each other that hang on nothing.
const BESIDE: usize = 3;

/// A graph with its places.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Layout {
    /// The upper left corner of each node.
    pub nodes: Vec<(i32, i32)>,
    /// The points that each edge goes through, from what is needed to what needs it.
    pub edges: Vec<Vec<(i32, i32)>>,
    pub width: i32,
    pub height: i32,
}

/// A place in a layer: a node's, or one that an edge goes through.
#[derive(Clone, Copy, Debug)]
struct Place {
    node: Option<usize>,
    layer: usize,
    y: f64,
}

impl Place {
    fn height(&self) -> i32 {
        if self.node.is_some() { HEIGHT } else { PASSAGE }
    }
}

/// Places `count` nodes. An edge says that its first node needs its second.
pub(super) fn layered(count: usize, edges: &[(usize, usize)]) -> Layout {
    let layers = layers(count, edges);
    let is_alone = |node: usize| !edges.iter().any(|(a, b)| *a == node || *b == node);
    let mut places: Vec<Place> = Vec::new();
    let mut at: BTreeMap<usize, usize> = BTreeMap::new();
    for node in (0..count).filter(|node| !is_alone(*node)) {
        at.insert(node, places.len());
        places.push(Place { node: Some(node), layer: layers[node], y: 0.0 });
    }
    // The places that each edge goes through, from left to right.
    let mut ways: Vec<Vec<usize>> = Vec::new();
    for (user, need) in edges {
        let (mut from, mut to) = (at[need], at[user]);
        if places[from].layer > places[to].layer {
            std::mem::swap(&mut from, &mut to);
        }
        let mut way = vec![from];
        for layer in places[from].layer + 1..places[to].layer {
            way.push(places.len());
            places.push(Place { node: None, layer, y: 0.0 });
        }
        way.push(to);
        ways.push(way);
    }
    let mut left: Vec<Vec<usize>> = vec![Vec::new(); places.len()];
    let mut right: Vec<Vec<usize>> = vec![Vec::new(); places.len()];
    for pair in ways.iter().flat_map(|way| way.windows(2)) {
        right[pair[0]].push(pair[1]);
        left[pair[1]].push(pair[0]);
    }
    let depth = places.iter().map(|place| place.layer + 1).max().unwrap_or(0);
    let mut columns: Vec<Vec<usize>> = vec![Vec::new(); depth];
    for (index, place) in places.iter().enumerate() {
        columns[place.layer].push(index);
    }
    sort(&mut columns, &left, &right);
    settle(&columns, &left, &right, &mut places);

    let top = places.iter().map(|place| place.y - f64::from(place.height()) / 2.0);
    let top = top.fold(f64::MAX, f64::min);
    let y = |place: &Place| (place.y - top) as i32 + MARGIN;
    let x = |layer: usize| MARGIN + COLUMN * layer as i32;
    let mut layout = Layout { nodes: vec![(0, 0); count], ..Layout::default() };
    let mut bottom = MARGIN;
    for place in &places {
        if let Some(node) = place.node {
            layout.nodes[node] = (x(place.layer), y(place) - HEIGHT / 2);
        }
        bottom = bottom.max(y(place) + place.height() / 2 + MARGIN);
    }
    for way in &ways {
        let (first, last) = (way[0], way[way.len() - 1]);
        let mut points = Vec::new();
        for place in way {
            let (middle, left) = (y(&places[*place]), x(places[*place].layer));
            if *place != first {
                points.push((left, middle));
            }
            if *place != last {
                points.push((left + WIDTH, middle));
            }
        }
        layout.edges.push(points);
    }
    // What hangs on nothing stands below, in rows.
    let across = depth.max(BESIDE);
    let alone: Vec<usize> = (0..count).filter(|node| is_alone(*node)).collect();
    for (index, node) in alone.iter().enumerate() {
        let row = (index / across) as i32;
        layout.nodes[*node] = (x(index % across), bottom + row * (HEIGHT + GAP));
    }
    let rows = alone.len().div_ceil(across) as i32;
    layout.height = bottom + rows * (HEIGHT + GAP) + if rows > 0 { MARGIN - GAP } else { 0 };
    let wide = depth.max(alone.len().min(across)) as i32;
    layout.width = 2 * MARGIN + (COLUMN * wide - (COLUMN - WIDTH)).max(0);
    layout
}

/// The layer of each node: right of all it needs, as near as can be to what needs it. Edges that
/// close a circle do not count.
fn layers(count: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    let mut needs: Vec<Vec<usize>> = vec![Vec::new(); count];
    edges.iter().for_each(|(user, need)| needs[*user].push(*need));
    let mut layers: Vec<Option<usize>> = vec![None; count];
    let mut order = Vec::new();
    let mut begun = vec![false; count];
    for start in 0..count {
        // Each with the number of its needs that were looked at.
        let mut way = vec![(start, 0)];
        while let Some((node, next)) = way.last_mut() {
            let node = *node;
            begun[node] = true;
            if layers[node].is_some() {
                way.pop();
                continue;
            }
            match needs[node].get(*next) {
                Some(need) => {
                    *next += 1;
                    if !begun[*need] {
                        way.push((*need, 0));
                    }
                }
                None => {
                    let deepest = needs[node].iter().filter_map(|need| layers[*need]).max();
                    layers[node] = Some(deepest.map_or(0, |deepest| deepest + 1));
                    order.push(node);
                    way.pop();
                }
            }
        }
    }
    let mut layers: Vec<usize> = layers.into_iter().map(Option::unwrap_or_default).collect();
    // What is needed only far to the right moves there; users come before their needs.
    for node in order.into_iter().rev() {
        let users = edges.iter().filter(|(_, need)| *need == node).map(|(user, _)| layers[*user]);
        if let Some(nearest) = users.min().filter(|nearest| *nearest > layers[node]) {
            layers[node] = nearest - 1;
        }
    }
    layers
}

/// Puts places into the order of their neighbours.
fn sort(columns: &mut [Vec<usize>], left: &[Vec<usize>], right: &[Vec<usize>]) {
    for sweep in 0..SWEEPS {
        let to_right = sweep % 2 == 0;
        let neighbours = if to_right { left } else { right };
        let depth = columns.len();
        for step in 1..depth {
            let (at, beside) =
                if to_right { (step, step - 1) } else { (depth - 1 - step, depth - step) };
            let rank: BTreeMap<usize, usize> =
                columns[beside].iter().enumerate().map(|(rank, place)| (*place, rank)).collect();
            let own = columns[at].clone();
            let mean = |rank_of_own: usize, place: usize| {
                let ranks: Vec<f64> = neighbours[place]
                    .iter()
                    .filter_map(|other| rank.get(other).map(|rank| *rank as f64))
                    .collect();
                match ranks.is_empty() {
                    true => rank_of_own as f64,
                    false => ranks.iter().sum::<f64>() / ranks.len() as f64,
                }
            };
            let mut keyed: Vec<(f64, usize)> =
                own.iter().enumerate().map(|(rank, place)| (mean(rank, *place), *place)).collect();
            keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
            columns[at] = keyed.into_iter().map(|(_, place)| place).collect();
        }
    }
}

/// Moves places to the middle of their neighbours, in their order and with their distance.
fn settle(columns: &[Vec<usize>], left: &[Vec<usize>], right: &[Vec<usize>], places: &mut [Place]) {
    for column in columns {
        let offsets = offsets(column, places);
        column.iter().zip(offsets).for_each(|(place, y)| places[*place].y = y);
    }
    for sweep in 0..SWEEPS {
        let to_right = sweep % 2 == 0;
        let neighbours = if to_right { left } else { right };
        let order: Vec<&Vec<usize>> =
            if to_right { columns.iter().collect() } else { columns.iter().rev().collect() };
        for column in order {
            let offsets = offsets(column, places);
            let wanted: Vec<f64> = column
                .iter()
                .zip(&offsets)
                .map(|(place, offset)| {
                    let beside = &neighbours[*place];
                    let y = match beside.is_empty() {
                        true => places[*place].y,
                        false => {
                            let sum: f64 = beside.iter().map(|other| places[*other].y).sum();
                            sum / beside.len() as f64
                        }
                    };
                    y - offset
                })
                .collect();
            for ((place, offset), y) in column.iter().zip(&offsets).zip(rising(&wanted)) {
                places[*place].y = y + offset;
            }
        }
    }
}

/// Where the middles of a column's places are when nothing but their distance matters.
fn offsets(column: &[usize], places: &[Place]) -> Vec<f64> {
    let mut y = 0;
    let mut out = Vec::new();
    for place in column {
        let height = places[*place].height();
        out.push(f64::from(y) + f64::from(height) / 2.0);
        y += height + GAP;
    }
    out
}

/// The numbers nearest to these that do not fall (least squares, by pooling those that do).
fn rising(wanted: &[f64]) -> Vec<f64> {
    let mut pools: Vec<(f64, usize)> = Vec::new();
    for value in wanted {
        let mut pool = (*value, 1);
        while let Some((sum, count)) = pools.last().copied() {
            if sum / count as f64 <= pool.0 / pool.1 as f64 {
                break;
            }
            pools.pop();
            pool = (pool.0 + sum, pool.1 + count);
        }
        pools.push(pool);
    }
    let each = pools.into_iter();
    each.flat_map(|(sum, count)| std::iter::repeat_n(sum / count as f64, count)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_node_is_right_of_what_it_needs() {
        // 2 needs 1 needs 0, 3 needs 0 and 2, 4 hangs on nothing.
        let layout = layered(5, &[(1, 0), (2, 1), (3, 0), (3, 2)]);
        let x: Vec<i32> = layout.nodes.iter().map(|(x, _)| (x - MARGIN) / COLUMN).collect();
        assert_eq!(x, [0, 1, 2, 3, 0]);
        assert_eq!(layout.edges[2].len(), 6, "a long edge has a place in each layer");
        assert!(layout.nodes[4].1 > layout.nodes[0].1, "what hangs on nothing is below");
        assert_eq!(layered(0, &[]).nodes, []);
        assert_eq!(rising(&[1.0, 3.0, 2.0, 4.0]), [1.0, 2.5, 2.5, 4.0]);
    }

    proptest! {
        #[test]
        fn no_two_nodes_overlap_and_all_are_inside(
            count in 1..40_usize,
            pairs in prop::collection::vec((0..40_usize, 0..40_usize), 0..80),
        ) {
            let mut edges: Vec<(usize, usize)> = pairs
                .into_iter()
                .map(|(a, b)| (a % count, b % count))
                .filter(|(a, b)| a != b)
                .collect();
            edges.sort_unstable();
            edges.dedup();
            let layout = layered(count, &edges);
            for (at, (x, y)) in layout.nodes.iter().enumerate() {
                prop_assert!(*x >= 0 && x + WIDTH <= layout.width, "{layout:?}");
                prop_assert!(*y >= 0 && y + HEIGHT <= layout.height, "{layout:?}");
                for (other, (x2, y2)) in layout.nodes.iter().enumerate().skip(at + 1) {
                    let apart = (x - x2).abs() >= WIDTH || (y - y2).abs() >= HEIGHT;
                    prop_assert!(apart, "{at} and {other} overlap: {layout:?}");
                }
            }
            prop_assert_eq!(layout.edges.len(), edges.len());
        }
    }
}
