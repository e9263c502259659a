//! Kubernetes objects: generated manifests, one batch of them a world, answered in any order and
//! completed by the server, and taken over again when the state is lost.

use boxctl::model::change::{Action, Change};
use proptest::strategy::{Strategy, ValueTree};

use crate::edits::files::{files, resources};
use crate::edits::world::World;

/// The kind of all objects.
pub const KIND: &str = "k8s";

#[test]
fn objects_settle() {
    // These run in one process, without moto.
    if crate::kill::is_moto() {
        return;
    }
    let (seed, mut runner) = super::runner();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut done = 0;
    while done < super::cases() {
        let files = files().new_tree(&mut runner).unwrap().current();
        let resources = resources(&files, false);
        done += resources.len();
        // Every other world answers in other orders.
        let mangle = done.is_multiple_of(2).then_some(done as u64);
        runtime.block_on(async {
            let mut world = World::new(mangle).await;
            let plan = world.run(&resources, true).await;
            assert!(plan.refusals().next().is_none(), "{seed} {files:#?}\n{:#?}", plan.checks);
            let again = world.run(&resources, false).await;
            assert!(
                again.changes.is_empty() && again.drift.is_empty(),
                "{seed} {files:#?}\n{again:#?}"
            );
            world.pipeline.state = None;
            world.adopts = true;
            let taken = world.run(&resources, true).await;
            let as_it_is =
                |change: &Change| change.action == Action::Adopt && change.paths.is_empty();
            assert!(taken.changes.iter().all(as_it_is), "{seed} {files:#?}\n{taken:#?}");
            assert!(taken.refusals().next().is_none(), "{seed} {files:#?}\n{:#?}", taken.checks);
            let again = world.run(&resources, false).await;
            assert!(
                again.changes.is_empty() && again.drift.is_empty(),
                "{seed} {files:#?}\n{again:#?}"
            );
        });
    }
}
