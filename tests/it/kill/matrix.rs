//! Every point of four runs: the stack is made, changed, moved to Docker in Docker, destroyed.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use serde_json::Value;

use super::{Point, STRICT, kill, nothing_is_open, nothing_leaks, points, world};
use crate::lab::{Lab, Ran, tell};

/// How many labs are used side by side: they wait most of the time.
const AT_ONCE: usize = 4;

/// What is killed.
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// Whether the stack is there before.
    pub applied: bool,
    /// What is done to the project before.
    pub edit: fn(&Lab),
    /// The command that is killed, and run again.
    pub arguments: &'static [&'static str],
    /// The arguments of the plan that has to be empty afterwards; none after a destroy.
    pub plan: Option<&'static [&'static str]>,
}

pub const CREATE: Scenario = Scenario {
    name: "create",
    applied: false,
    edit: |_| {},
    arguments: &["apply", "--yes"],
    plan: Some(&[]),
};

pub const CHANGE: Scenario = Scenario {
    name: "change",
    applied: true,
    edit: |lab| {
        let stack = "stacks/openhands.yaml";
        lab.edit(stack, "hostname: openhands.b0xp.io", "hostname: chat.b0xp.io");
        lab.edit(stack, "session_duration: 24h", "session_duration: 12h");
        lab.edit(stack, "svc.cluster.local:80", "svc.cluster.local:8080");
        lab.edit(stack, "openhands-tunnel-token", "chat-tunnel-token");
    },
    arguments: &["apply", "--yes"],
    plan: Some(&[]),
};

pub const MOVE: Scenario = Scenario {
    name: "move",
    applied: true,
    edit: |_| {},
    arguments: &["apply", "--yes", "--var", "runtime=dind"],
    plan: Some(&["--var", "runtime=dind"]),
};

pub const DESTROY: Scenario = Scenario {
    name: "destroy",
    applied: true,
    edit: |_| {},
    arguments: &["destroy", "openhands", "--yes", "--allow-protected", "**"],
    plan: None,
};

/// The world that a scenario begins with.
pub fn beginning(scenario: &Scenario) -> Lab {
    let mut lab = Lab::hasty("openhands", &STRICT);
    if scenario.applied {
        lab.apply(&[]);
    }
    // Foreign hands announce nothing in a journal.
    lab.restart(&[]);
    (scenario.edit)(&lab);
    lab
}

/// Runs the command again, and finds the world as it would have been.
pub fn ends_well(lab: &Lab, scenario: &Scenario, expected: &Value, ran: &mut Vec<Ran>) {
    let again = lab.run(scenario.arguments);
    assert_eq!(again.code, 0, "{}{}", again.out, again.err);
    ran.push(again);
    let dump = lab.dump();
    nothing_is_open(&dump);
    let outline = world::outline(&dump);
    assert!(outline == *expected, "{}", difference(expected, &outline));
    if let Some(arguments) = scenario.plan {
        lab.forget_requests();
        let plan = lab.run(&[&["plan", "--detailed-exitcode"], arguments].concat());
        assert_eq!(plan.code, 0, "{}{}", plan.out, plan.err);
        assert!(lab.changes().is_empty(), "a plan only reads: {:?}", lab.changes());
        ran.push(plan);
    }
}

pub fn difference(expected: &Value, found: &Value) -> String {
    let text = |value: &Value| serde_json::to_string_pretty(value).unwrap();
    let (expected, found) = (text(expected), text(found));
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let (before, after) = (lines(&expected), lines(&found));
    let lack = before.iter().filter(|line| !after.contains(line)).map(|line| format!("- {line}"));
    let more = after.iter().filter(|line| !before.contains(line)).map(|line| format!("+ {line}"));
    lack.chain(more).collect::<Vec<_>>().join("\n")
}

/// Does something for every item, several at once; what panics is told with its item.
pub fn all<T: Sync + std::fmt::Debug>(items: &[T], one: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let one = std::panic::AssertUnwindSafe(|| one(item));
                    if let Err(panic) = std::panic::catch_unwind(one) {
                        let text = panic.downcast_ref::<String>().cloned();
                        failed.lock().unwrap().push((item, text.unwrap_or_default()));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    let told: Vec<String> = failed.iter().map(|(item, text)| format!("{item:?}: {text}")).collect();
    let of = items.len();
    assert!(failed.is_empty(), "{} of {of} failed\n{}", failed.len(), told.join("\n"));
}

/// Whether the tests are run with moto, which has no points to be killed at.
pub fn is_moto() -> bool {
    std::env::var("BOXCTL_TEST_SSM").is_ok_and(|value| value == "moto")
}

fn matrix(scenario: &Scenario) {
    if is_moto() {
        return;
    }
    let began = Instant::now();
    let base = beginning(scenario);
    let undisturbed = base.copy(&STRICT);
    let points = points(&undisturbed, scenario.arguments);
    let expected = world::outline(&undisturbed.dump());
    let killed = everywhere(&base, scenario, &points, &expected);
    tell(&format!(
        "{}: {} points, killed at {killed}, in {:.0} s",
        scenario.name,
        points.len(),
        began.elapsed().as_secs_f64()
    ));
}

/// Kills a copy of the lab at each point, and finds that it ends well; returns how many were
/// killed.
pub fn everywhere(base: &Lab, scenario: &Scenario, points: &[Point], expected: &Value) -> usize {
    let killed = AtomicUsize::new(0);
    all(points, |point: &Point| {
        let mut lab = base.copy(&STRICT);
        let mut ran = Vec::new();
        let was = kill(&mut lab, scenario.arguments, *point, &mut ran);
        killed.fetch_add(usize::from(was), Ordering::SeqCst);
        let between = lab.dump();
        nothing_is_open(&between);
        ends_well(&lab, scenario, expected, &mut ran);
        let secrets = [world::secrets(&between), world::secrets(&lab.dump())].concat();
        nothing_leaks(&lab, &ran, &secrets);
    });
    let killed = killed.into_inner();
    let few = killed * 100 < points.len() * 90;
    assert!(!few, "killed at {killed} of {}: too few to mean much", points.len());
    killed
}

#[test]
fn making_the_stack_can_be_killed_at_any_point() {
    matrix(&CREATE);
}

#[test]
fn changing_the_stack_can_be_killed_at_any_point() {
    matrix(&CHANGE);
}

#[test]
fn moving_the_stack_can_be_killed_at_any_point() {
    matrix(&MOVE);
}

#[test]
fn destroying_the_stack_can_be_killed_at_any_point() {
    matrix(&DESTROY);
}
