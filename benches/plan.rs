//! How long planning takes, without any network: `cargo bench`. Prints the median of several runs;
//! nothing fails for being slow.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::time::{Duration, Instant};

use boxctl::engine::plan::{Input, plan};
use boxctl::kinds;
use boxctl::model::address::Address;
use boxctl::model::known::Known;
use boxctl::model::observed::{Observed, Remote, World};
use boxctl::model::plan::Options;
use boxctl::model::resource::{Meta, Resource, Stack};
use boxctl::model::scope::{Scope, Zone};
use boxctl::model::state::{Recorded, State, Target};
use serde_json::json;

/// A stack of records that were applied, and the world as it was then.
fn settled(count: usize) -> (Stack, State, World) {
    let mut stack = Stack { name: "bench".into(), ..Stack::default() };
    let mut state = State::new("bench", "lineage".into());
    let mut world = World::default();
    for at in 0..count {
        let address = Address::new("dns_record", format!("r{at}"));
        let spec = json!({
            "name": format!("r{at}.example.org"), "type": "A", "content": "192.0.2.1",
            "proxied": true, "ttl": 1, "zone": "example.org",
        });
        let remote = Remote {
            id: format!("z/{at}"),
            spec: spec.clone(),
            outputs: serde_json::Map::new(),
            version: None,
            raw: json!({}),
        };
        let recorded = Recorded {
            kind: "dns_record".into(),
            id: remote.id.clone(),
            key: serde_json::Map::new(),
            sent: spec.clone(),
            answered: spec.clone(),
            outputs: serde_json::Map::new(),
            secrets: BTreeMap::new(),
            version: None,
            reads: BTreeMap::new(),
            dependencies: Default::default(),
            protected: false,
            shared: Vec::new(),
            adopted: false,
            replacing: false,
            rotated_at: None,
            modified_at: None,
            beside: BTreeSet::new(),
            end: None,
            awaited: false,
            created_at: String::new(),
            updated_at: String::new(),
        };
        stack.resources.push(Resource {
            address: address.clone(),
            spec,
            meta: Meta::default(),
            location: None,
        });
        state.resources.insert(address.clone(), recorded);
        world.resources.insert(address, Observed::Present(remote));
    }
    (stack, state, world)
}

fn median(mut run: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..9)
        .map(|_| {
            let began = Instant::now();
            run();
            began.elapsed()
        })
        .collect();
    times.sort();
    times[times.len() / 2]
}

fn main() {
    let scope = Scope {
        zones: vec![Zone { id: "z".into(), name: "example.org".into() }],
        lineage: "lineage".into(),
        ..Scope::default()
    };
    let (none, edges, readers) = (Known::new(), BTreeMap::new(), BTreeMap::new());
    let options = Options::default();
    let mut out = std::io::stdout();
    for count in [10, 100, 1000] {
        let (stack, state, world) = settled(count);
        let input = Input {
            stack: &stack,
            kinds: kinds::find,
            state: Some(&state),
            lineage: "lineage",
            world: &world,
            scope: &scope,
            lookups: &none,
            edges: &edges,
            readers: &readers,
            fellows: &BTreeMap::new(),
            leaving: &BTreeSet::new(),
            options: &options,
            limit_percent: 30,
            retired: false,
            target: Target::default(),
            rolled_back: None,
            now: jiff::Timestamp::UNIX_EPOCH,
        };
        let time = median(|| assert!(plan(&input).plan.changes.is_empty()));
        let _ = writeln!(out, "planning {count} settled resources: {time:?}");
    }
}
