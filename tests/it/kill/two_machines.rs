//! Two machines at once on one stack: each with a checkout of its own, at one store and in one world.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::sync::Arc;

use serde_json::Value;

use super::machines::{Machine, Second, signal};
use super::matrix::is_moto;
use super::{STRICT, nothing_is_open, world};
use crate::between::Fate;
use crate::homes::{Home, Kind};
use crate::lab::{Lab, Ran};

const APPLY: [&str; 2] = ["apply", "--yes"];

fn homes() -> Vec<Arc<Home>> {
    if is_moto() {
        return Vec::new();
    }
    [Kind::Bucket, Kind::Cluster].into_iter().filter_map(Home::start).map(Arc::new).collect()
}

/// A world and a store to begin with, and what one undisturbed run makes of the world.
struct Stage {
    base: Machine,
    expected: Value,
    /// How many writes of that run count.
    writes: usize,
}

impl Stage {
    fn of(home: &Arc<Home>) -> Stage {
        let base = Machine::of(home, Lab::hasty("openhands", &[]), home.place());
        let undisturbed = base.copy(&STRICT);
        let writes = undisturbed.writes(&APPLY);
        let expected = world::outline(&undisturbed.lab.dump());
        Stage { base, expected, writes }
    }

    fn machines(&self) -> (Machine, Second) {
        let machine = self.base.copy(&STRICT);
        let second = machine.second();
        (machine, second)
    }
}

/// Neither checkout has anything left to do, and there is one of everything.
fn is_settled(machine: &Machine, second: &Second, expected: &Value) {
    let dump = machine.lab.dump();
    nothing_is_open(&dump);
    let found = world::outline(&dump);
    assert!(found == *expected, "{}", super::difference(expected, &found));
    machine.lab.is_settled(&[]);
    machine.run_in(second, &["plan", "--detailed-exitcode"]).exits(0);
    machine.is_tidy();
}

/// Stops a run at a point until another one has replaced it and ended, and lets it go on: it ends
/// and says why. What it sent to the APIs after that.
fn replaced(
    machine: &Machine,
    second: &Second,
    arguments: &[&str],
    at: (usize, bool),
) -> Vec<String> {
    let stopped = machine.stopped(arguments, at.0, at.1);
    let stopped = stopped.unwrap_or_else(|ran| panic!("ended: {}\n{}", ran.out, ran.err));
    machine.run_in(second, arguments).exits(0).says("took it over");
    machine.lab.forget_requests();
    let ran = stopped.goes_on();
    let said = format!("{}\n{}", ran.out, ran.err);
    assert!([3, 4].contains(&ran.code), "exit {}: {said}", ran.code);
    let why = ["was taken over", "by another run"];
    assert!(why.iter().any(|why| said.contains(why)), "{said}");
    machine.lab.changes()
}

#[test]
fn a_run_that_was_replaced_while_it_stood_still_sends_nothing_more_and_says_so() {
    // One step after the other: nothing else is on its way when the process is stopped.
    let chain = ["apply", "--yes", "--target", "access_application.openhands"];
    for home in homes() {
        let stage = Stage::of(&home);
        let undisturbed = stage.base.copy(&STRICT);
        // The store is proven and the lock taken before that; after the last record nothing is sent.
        let points = 7..undisturbed.writes(&chain) - 1;
        let expected = world::outline(&undisturbed.lab.dump());
        let points: Vec<(usize, bool)> = points.flat_map(|at| [(at, true), (at, false)]).collect();
        super::all(&points, |at| {
            let (machine, second) = stage.machines();
            let sent = replaced(&machine, &second, &chain, *at);
            assert!(sent.is_empty(), "{sent:?}");
            let found = world::outline(&machine.lab.dump());
            assert!(found == expected, "{}", super::difference(&expected, &found));
            let plan = ["plan", "--detailed-exitcode", "--target", "access_application.openhands"];
            machine.run_in(&second, &plan).exits(0);
            machine.is_tidy();
        });
    }
}

#[test]
fn what_a_replaced_run_had_on_its_way_does_no_harm() {
    for home in homes() {
        let stage = Stage::of(&home);
        let middle = stage.writes / 2;
        let points = [(10, true), (middle, false), (middle + 1, true), (stage.writes - 6, true)];
        super::all(&points, |at| {
            let machine = stage.base.copy(&[]);
            let second = machine.second();
            // Steps that go on side by side are stopped anywhere, one between its last look and its
            // sending, perhaps.
            let sent = replaced(&machine, &second, &APPLY, *at);
            assert!(sent.len() <= 3, "{sent:?}");
            machine.run_in(&second, &APPLY).exits(0);
            is_settled(&machine, &second, &stage.expected);
        });
    }
}

#[test]
fn two_machines_at_once_do_the_work_of_one() {
    for home in homes() {
        let stage = Stage::of(&home);
        let (machine, second) = stage.machines();
        let start = |mut command: std::process::Command| {
            command.args(APPLY).args(["--lock-timeout", "2m"]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        };
        // The store is used for the first time by both.
        let both = [start(machine.lab.command()), start(machine.command_in(&second))];
        for child in both {
            let output = child.wait_with_output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(0), "{said}");
        }
        is_settled(&machine, &second, &stage.expected);
    }
}

#[test]
fn of_two_machines_one_waits_for_the_other_or_is_refused() {
    for home in homes() {
        let stage = Stage::of(&home);
        let (machine, second) = stage.machines();
        machine.lab.edit("boxctl.yaml", "request: 2s", "request: 30s");
        // Held up at its tenth write, and alive: its lease goes on being renewed.
        let (reached, go_on) = hold(&machine, 10);
        let mut command = machine.lab.command();
        let first = command.args(APPLY).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let first = first.unwrap();
        let pid = first.id().to_string();
        reached.recv().unwrap();
        let run = |arguments: &[&str]| machine.run_in(&second, arguments);
        let refused = run(&APPLY).exits(4).says("boxctl apply").says(&pid);
        assert!(refused.err.contains("--lock-timeout"), "{}", refused.err);
        // Who only reads is not kept waiting.
        run(&["plan"]).exits(0);
        run(&["state", "list"]).exits(0);
        run(&["drift"]);
        let mut command = machine.command_in(&second);
        command.args(APPLY).args(["--lock-timeout", "2m"]);
        let waiting = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(go_on);
        for child in [first, waiting] {
            let output = child.wait_with_output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(0), "{said}");
        }
        is_settled(&machine, &second, &stage.expected);
    }
}

/// Holds up the n-th write to anything but a lock, until what is returned is dropped.
fn hold(
    machine: &Machine,
    at: usize,
) -> (std::sync::mpsc::Receiver<()>, std::sync::mpsc::Sender<()>) {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Mutex, mpsc};
    let (tell, reached) = mpsc::channel();
    let (go_on, held) = mpsc::channel::<()>();
    let (held, count) = (Mutex::new(held), AtomicUsize::new(0));
    let mirror = super::machines::mirror(machine.lab.path());
    machine.between.hook(
        move |asked| {
            let name = crate::homes::written(asked).map(|(name, _)| name);
            let counts = name.is_some_and(|name| !name.ends_with(".lock"));
            if counts && count.fetch_add(1, Ordering::SeqCst) + 1 == at {
                tell.send(()).unwrap();
                let _ = held.lock().unwrap().recv();
            }
            Fate::Pass
        },
        move |asked, status| {
            mirror(asked, status);
            Fate::Pass
        },
    );
    (reached, go_on)
}

#[test]
fn a_store_that_does_not_honour_conditions_is_refused_at_first_use() {
    for home in homes() {
        let machine = Machine::of(&home, Lab::hasty("openhands", &STRICT), home.place());
        machine.between.hook(
            |asked| {
                asked.headers.retain(|(name, _)| name != "if-match" && name != "if-none-match");
                if let Ok(mut body) = serde_json::from_slice::<Value>(&asked.body) {
                    if let Some(metadata) = body["metadata"].as_object_mut() {
                        metadata.remove("resourceVersion");
                    }
                    asked.body = body.to_string().into_bytes();
                }
                Fate::Pass
            },
            |_, _| Fate::Pass,
        );
        machine.lab.forget_requests();
        let ran: Ran = machine.lab.run(&APPLY);
        ran.exits(1).says("does not honour the conditions of writes").says("If-None-Match");
        assert!(machine.lab.changes().is_empty(), "{:?}", machine.lab.changes());
        // It is asked again the next time: nothing was kept that says it did.
        machine.lab.run(&APPLY).exits(1);
        machine.undisturbed();
        machine.lab.apply(&[]);
    }
}

#[test]
fn a_call_that_waits_to_be_sent_again_is_not_sent_by_a_run_that_was_replaced_meanwhile() {
    for home in homes() {
        let stage = Stage::of(&home);
        let (machine, second) = stage.machines();
        // No new intent comes before the second attempt, whose write would fail.
        machine.lab.plan_faults(&serde_json::json!([{"method": "POST", "path": "*/cfd_tunnel",
            "status": 429, "headers": {"retry-after": "2"}}]));
        let mut command = machine.lab.command();
        command.args(APPLY).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut first = command.spawn().unwrap();
        let mut said = String::new();
        let mut lines = BufReader::new(first.stderr.take().unwrap());
        while !said.contains("too many requests") {
            assert_ne!(lines.read_line(&mut said).unwrap(), 0, "{said}");
        }
        signal(first.id(), "-STOP");
        machine.run_in(&second, &APPLY).exits(0).says("took it over");
        machine.lab.forget_requests();
        signal(first.id(), "-CONT");
        lines.read_to_string(&mut said).unwrap();
        let code = first.wait().unwrap().code();
        assert!(machine.lab.changes().is_empty(), "{:?}\n{said}", machine.lab.changes());
        assert!([Some(1), Some(3)].contains(&code), "exit {code:?}: {said}");
        assert!(said.contains("nothing more is sent"), "{said}");
        is_settled(&machine, &second, &stage.expected);
    }
}
