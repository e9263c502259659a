//! A drift job that is left on stays quiet over objects to which nothing happens.

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::json;

use super::files::{files, resources};
use super::world::World;
use super::{MERGE, PATHS};

/// Looks at each of two sets of objects.
const LOOKS: usize = 100;

async fn soak(mangle: Option<u64>) {
    let mut world = World::new(mangle).await;
    let mut runner = TestRunner::deterministic();
    let drawn = files().new_tree(&mut runner).unwrap().current();
    let resources = resources(&drawn, false);
    let plan = world.run(&resources, true).await;
    assert!(plan.refusals().next().is_none(), "{:#?}", plan.checks);
    let job = world.job(&resources);
    for at in 0..LOOKS {
        // What others write beside boxctl's fields is theirs, and statuses move all the time.
        let body = json!({"metadata": {"annotations": {"theirs": at.to_string()}}});
        let path = PATHS[at % PATHS.len()];
        if world.get(path).is_some() {
            world.ask("PATCH", path, "fieldManager=theirs", MERGE, &body).unwrap();
        }
        let looked = job.look().await;
        let found = &looked.found[0];
        assert!(found.drift.is_empty(), "look {at}: {:#?}\n{drawn:#?}", found.drift);
        assert!(found.pending.is_empty(), "look {at}: {:#?}\n{drawn:#?}", found.pending);
    }
}

#[test]
fn a_job_that_is_left_on_over_objects_is_quiet() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for mangle in [None, Some(7)] {
        runtime.block_on(soak(mangle));
    }
}
