//! The kill matrix where several machines share the states: in a bucket, and in a cluster. Killed
//! before and after every write to the store and around every call to the APIs, cut off from the
//! store at every request, and with the store gone for good from any write on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use serde_json::Value;

use super::machines::{Happens, Machine};
use super::matrix::{CHANGE, CREATE, DESTROY, Scenario, all, ends_well, is_moto};
use super::{Point, STRICT, kill, nothing_is_open, nothing_leaks, world};
use crate::homes::{Home, Kind};
use crate::lab::{Lab, tell};

/// Where a run is disturbed.
#[derive(Clone, Copy, Debug)]
enum At {
    Store(Happens),
    Api(Point),
}

/// A scenario with its states at a home, where it begins and where it ends.
struct Course<'a> {
    scenario: &'a Scenario,
    base: Machine,
    expected: Value,
    /// How many writes of the store count.
    writes: usize,
    /// How many calls of the APIs change something.
    calls: usize,
}

impl<'a> Course<'a> {
    fn of(home: &Arc<Home>, scenario: &'a Scenario) -> Course<'a> {
        let place = home.place();
        let mut base = Machine::of(home, Lab::hasty("openhands", &STRICT), place);
        if scenario.applied {
            base.lab.apply(&[]);
        }
        // Foreign hands announce nothing in a journal.
        base.lab.restart(&[]);
        (scenario.edit)(&base.lab);
        let undisturbed = base.copy(&STRICT);
        undisturbed.lab.forget_requests();
        let writes = undisturbed.writes(scenario.arguments);
        let calls = undisturbed.lab.changes().len();
        undisturbed.is_tidy();
        let expected = world::outline(&undisturbed.lab.dump());
        Course { scenario, base, expected, writes, calls }
    }

    /// Every point there is.
    fn points(&self) -> Vec<At> {
        let store = (1..=self.writes).flat_map(|at| {
            [
                Happens::KilledBefore(at),
                Happens::KilledAfter(at),
                Happens::Lost(at),
                Happens::Mute(at),
            ]
        });
        let api = (1..=self.calls).flat_map(|at| [Point::Before(at), Point::After(at)]);
        store.map(At::Store).chain(api.map(At::Api)).collect()
    }

    /// Disturbs a copy at a point, and finds that it ends well; whether it was disturbed.
    fn disturb(&self, at: At) -> bool {
        let mut machine = self.base.copy(&STRICT);
        let mut ran = Vec::new();
        let disturbed = match at {
            At::Api(point) => kill(&mut machine.lab, self.scenario.arguments, point, &mut ran),
            At::Store(what) => {
                let one = machine.disturbed(self.scenario.arguments, what);
                let said = format!("{}\n{}", one.out, one.err);
                match what {
                    Happens::KilledBefore(_) | Happens::KilledAfter(_) => {
                        // Where the machine has much to do, a call may be given up on before that.
                        assert!([-9, 0, 3].contains(&one.code), "exit {}: {said}", one.code);
                    }
                    // It says so, and was not ended by a panic. Once everything is recorded, a lock
                    // that can't be given back is no failure.
                    Happens::Lost(_) | Happens::Mute(_) => {
                        assert!([0, 1, 3].contains(&one.code), "exit {}: {said}", one.code);
                    }
                }
                let disturbed = one.code != 0;
                ran.push(one);
                disturbed
            }
        };
        let between = machine.lab.dump();
        nothing_is_open(&between);
        ends_well(&machine.lab, self.scenario, &self.expected, &mut ran);
        machine.is_tidy();
        let secrets = [world::secrets(&between), world::secrets(&machine.lab.dump())].concat();
        nothing_leaks(&machine.lab, &ran, &secrets);
        disturbed
    }

    fn disturb_all(&self, points: &[At]) {
        let began = Instant::now();
        let disturbed = AtomicUsize::new(0);
        all(points, |at| {
            disturbed.fetch_add(usize::from(self.disturb(*at)), Ordering::SeqCst);
        });
        let disturbed = disturbed.into_inner();
        tell(&format!(
            "{} on {:?}: disturbed at {disturbed} of {} points, of {} there are, in {:.0} s",
            self.scenario.name,
            self.base.home.kind,
            points.len(),
            self.points().len(),
            began.elapsed().as_secs_f64()
        ));
        let few = disturbed * 100 < points.len() * 75;
        assert!(!few, "disturbed at {disturbed} of {}: too few to mean much", points.len());
    }

    /// Every connection is cut once, before the request arrives or after it was carried out: the run
    /// ends as if nothing had been.
    fn cut(&self) {
        for before in [true, false] {
            let machine = self.base.copy(&STRICT);
            let ran = machine.cut(self.scenario.arguments, before);
            let ran = ran.exits(0);
            assert!(world::outline(&machine.lab.dump()) == self.expected, "before: {before}");
            machine.is_tidy();
            ends_well(&machine.lab, self.scenario, &self.expected, &mut vec![ran]);
        }
    }
}

fn everywhere(kind: Kind) {
    if is_moto() {
        return;
    }
    let Some(home) = Home::start(kind) else { return };
    let home = Arc::new(home);
    for scenario in [&CREATE, &CHANGE, &DESTROY] {
        let course = Course::of(&home, scenario);
        course.cut();
        course.disturb_all(&course.points());
    }
}

/// Every `step`-th point of each scenario: neighbours are of different kinds, of which there are four
/// at the store and two at the APIs, so that an odd step meets all.
#[test]
fn with_shared_states_runs_end_well_whatever_happens_here_and_there() {
    if is_moto() {
        return;
    }
    for kind in [Kind::Bucket, Kind::Cluster] {
        let Some(home) = Home::start(kind) else { continue };
        let home = Arc::new(home);
        for (scenario, step) in [(&CREATE, 19), (&CHANGE, 23), (&DESTROY, 23)] {
            let course = Course::of(&home, scenario);
            course.cut();
            let points: Vec<At> = course.points().into_iter().step_by(step).collect();
            course.disturb_all(&points);
        }
    }
}

#[test]
#[ignore = "takes half an hour: every point there is"]
fn with_states_in_a_bucket_runs_end_well_whatever_happens_anywhere() {
    everywhere(Kind::Bucket);
}

#[test]
#[ignore = "takes half an hour: every point there is"]
fn with_states_in_a_cluster_runs_end_well_whatever_happens_anywhere() {
    everywhere(Kind::Cluster);
}
