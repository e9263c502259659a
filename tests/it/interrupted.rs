//! Runs that meet a signal, or another run.

use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStderr, Command, Stdio};

use serde_json::json;

use crate::kill::{Point, is_moto, kill};
use crate::lab::Lab;

/// The making of the tunnel, which waits until the test lets it go on.
pub struct Gate(TcpListener);

impl Gate {
    /// A lab whose sandbox asks here before it makes the tunnel.
    pub fn lab() -> (Lab, Gate) {
        Gate::before("method: POST, path: '*/cfd_tunnel'")
    }

    /// A lab whose sandbox asks here before it answers what fits.
    pub fn before(call: &str) -> (Lab, Gate) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut lab = Lab::hasty("openhands", &[]);
        let ask = listener.local_addr().unwrap();
        lab.write("faults.yaml", &format!("- {{{call}, ask: '{ask}'}}\n"));
        lab.restart(&["--faults", "faults.yaml"]);
        (lab, Gate(listener))
    }

    /// Waits until the call has come; it goes on when what is returned is dropped.
    pub fn reached(&self) -> TcpStream {
        self.0.accept().unwrap().0
    }
}

/// An apply under way.
pub struct Apply {
    pub child: Child,
    err: BufReader<ChildStderr>,
    said: String,
}

impl Apply {
    pub fn start(lab: &Lab, arguments: &[&str]) -> Apply {
        Apply::of(lab, &[&["apply", "--yes"], arguments].concat())
    }

    /// Another command under way.
    fn of(lab: &Lab, arguments: &[&str]) -> Apply {
        let mut command = lab.command();
        command.args(arguments);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let err = BufReader::new(child.stderr.take().unwrap());
        Apply { child, err, said: String::new() }
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    /// Reads on until it says this.
    fn until(&mut self, text: &str) {
        while !self.said.contains(text) {
            assert_ne!(self.err.read_line(&mut self.said).unwrap(), 0, "{}", self.said);
        }
    }

    /// Its exit code, and what it said.
    pub fn end(mut self) -> (Option<i32>, String) {
        self.err.read_to_string(&mut self.said).unwrap();
        (self.child.wait().unwrap().code(), self.said)
    }
}

/// One apply does the rest, and nothing twice.
fn the_next_run_does_the_rest(lab: &Lab) {
    lab.apply(&[]);
    lab.is_settled(&[]);
    let tunnels = lab.cloudflare("GET", &lab.account("cfd_tunnel?is_deleted=false"), None);
    assert_eq!(tunnels.as_array().unwrap().len(), 1, "{tunnels:#}");
}

#[test]
fn a_signal_lets_finish_and_record_what_is_in_flight_and_begins_nothing_more() {
    if is_moto() {
        return;
    }
    for signal in ["-INT", "-TERM"] {
        let (lab, gate) = Gate::lab();
        // What is in flight is to be answered, however busy the machine is.
        lab.edit("boxctl.yaml", "request: 600ms, grace: 2s", "request: 30s, grace: 60s");
        let mut apply = Apply::start(&lab, &[]);
        let held = gate.reached();
        apply.signal(signal);
        apply.until("stopping: what is in flight is finished and recorded");
        drop(held);
        let (code, said) = apply.end();
        assert_eq!(code, Some(130), "{said}");
        assert!(said.contains("tunnel.openhands: created"), "{said}");
        assert!(said.contains("waiting  dns_record.openhands"), "{said}");
        assert!(said.contains("Next: the same command again does what is left"), "{said}");
        lab.run(&["state", "list", "openhands"]).exits(0).says("tunnel.openhands");
        assert!(!lab.run(&["plan"]).exits(0).err.contains("settled"));
        the_next_run_does_the_rest(&lab);
    }
}

#[test]
fn what_outlasts_the_grace_period_is_looked_up_by_the_next_run() {
    if is_moto() {
        return;
    }
    let (lab, gate) = Gate::lab();
    lab.edit("boxctl.yaml", "request: 600ms, grace: 2s", "request: 1s, grace: 50ms");
    let mut apply = Apply::start(&lab, &[]);
    let held = gate.reached();
    apply.signal("-TERM");
    apply.until("stopping");
    let (code, said) = apply.end();
    assert_eq!(code, Some(130), "{said}");
    // One at least: others may have been as slow.
    assert!(said.contains("finds out what became of "), "{said}");
    // It takes effect when nobody waits for it any more.
    drop(held);
    the_next_run_does_the_rest(&lab);
}

#[test]
fn a_second_signal_ends_at_once_and_the_next_run_settles() {
    if is_moto() {
        return;
    }
    let (lab, gate) = Gate::lab();
    let mut apply = Apply::start(&lab, &[]);
    let held = gate.reached();
    apply.signal("-INT");
    apply.until("stopping");
    apply.signal("-INT");
    let (code, said) = apply.end();
    assert_eq!(code, Some(130), "{said}");
    drop(held);
    the_next_run_does_the_rest(&lab);
}

#[test]
fn a_signal_before_any_step_ends_at_once_with_nothing_done() {
    if is_moto() {
        return;
    }
    for (signal, arguments) in
        [("-INT", ["apply", "--yes"].as_slice()), ("-TERM", &["apply"]), ("-TERM", &["plan"])]
    {
        let (lab, gate) = Gate::before("method: GET, path: '*/cfd_tunnel'");
        lab.edit("boxctl.yaml", "request: 600ms", "request: 30s");
        let command = Apply::of(&lab, arguments);
        let held = gate.reached();
        command.signal(signal);
        let (code, said) = command.end();
        assert_eq!(code, Some(130), "{signal} {arguments:?}: {said}");
        drop(held);
        assert!(lab.changes().is_empty(), "{:?}", lab.changes());
        the_next_run_does_the_rest(&lab);
    }
}

#[test]
fn a_signal_ends_the_command_that_prints_manifests_too() {
    let lab = Lab::of("openhands");
    let pipe = lab.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    lab.write("slow.sh", "exec 3>pipe; echo running >&3; sleep 600\n");
    lab.edit(
        "stacks/openhands.yaml",
        "manifests:",
        "manifests:\n  - {command: [sh, slow.sh], dir: ..}",
    );
    let plan = Apply::of(&lab, &["plan"]);
    let mut lines = BufReader::new(std::fs::File::open(&pipe).unwrap());
    let mut said = String::new();
    lines.read_line(&mut said).unwrap();
    plan.signal("-TERM");
    assert_eq!(plan.end().0, Some(130));
    // The pipe ends when nobody is left who could write to it.
    lines.read_to_string(&mut said).unwrap();
    assert_eq!(said, "running\n");
}

#[test]
fn a_signal_ends_the_wait_for_a_lock() {
    if is_moto() {
        return;
    }
    let (lab, gate) = Gate::lab();
    lab.edit("boxctl.yaml", "request: 600ms", "request: 30s");
    let first = Apply::start(&lab, &[]);
    let held = gate.reached();
    for signal in ["-INT", "-TERM"] {
        let mut second = Apply::start(&lab, &["--lock-timeout", "2m"]);
        second.until("waiting up to 120s for it");
        assert!(second.said.contains(&first.child.id().to_string()), "{}", second.said);
        second.signal(signal);
        let (code, said) = second.end();
        assert_eq!(code, Some(130), "{said}");
    }
    drop(held);
    let (code, said) = first.end();
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn of_two_applies_at_once_one_waits_or_is_refused() {
    if is_moto() {
        return;
    }
    let (lab, gate) = Gate::lab();
    lab.edit("boxctl.yaml", "request: 600ms", "request: 30s");
    let first = Apply::start(&lab, &[]);
    let held = gate.reached();
    let pid = first.child.id().to_string();

    let refused = lab.run(&["apply", "--yes"]).exits(4).says("boxctl apply").says(&pid);
    assert!(refused.err.contains("--lock-timeout"), "{}", refused.err);
    // Who only reads is not kept waiting.
    lab.run(&["plan"]).exits(0);
    lab.run(&["state", "list"]).exits(0);
    lab.run(&["drift"]);
    lab.run(&["state", "unlock", "openhands"]).says(&pid);
    lab.run(&["apply", "--yes"]).exits(4);

    let second = Apply::start(&lab, &["--lock-timeout", "2m"]);
    drop(held);
    let (code, said) = first.end();
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = second.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("Nothing to do") || !said.contains("created"), "{said}");
    the_next_run_does_the_rest(&lab);
}

#[test]
fn what_an_apply_works_on_is_in_progress_and_not_drift() {
    if is_moto() {
        return;
    }
    let (lab, gate) = Gate::before("method: PATCH, path: '*/dns_records/*'");
    lab.edit("boxctl.yaml", "request: 600ms", "request: 30s");
    lab.apply(&[]);
    lab.edit("stacks/openhands.yaml", "openhands.b0xp.io", "hands.b0xp.io");
    let apply = Apply::start(&lab, &[]);
    let held = gate.reached();
    // The application has both hostnames now, and the configuration leads the new one.
    let found = lab.run(&["drift", "--json"]).exits(0).json();
    assert_eq!(found["in_progress"][0]["stack"], "openhands", "{found:#}");
    let holder = found["in_progress"][0]["holder"].as_str().unwrap();
    assert!(holder.contains("boxctl apply"), "{holder}");
    // What it does not work on rings meanwhile, too.
    let service = "/api/v1/namespaces/openhands/services/openhands-service";
    lab.kubernetes("DELETE", service, None);
    let found = lab.run(&["drift", "--json"]).exits(2).json();
    assert_eq!(found["missing"][0]["address"], "k8s.Service/openhands/openhands-service");
    assert_eq!((found["missing"].as_array().unwrap().len(), &found["drifted"]), (1, &json!([])));
    drop(held);
    let (code, said) = apply.end();
    assert_eq!(code, Some(0), "{said}");
    lab.apply(&[]);
    lab.run(&["drift"]).exits(0);
}

/// A lab with a Deployment that starts when someone makes the ConfigMap `absent`.
fn held_up() -> Lab {
    let lab = Lab::hasty("openhands", &[]);
    let deployment = "apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: main, image: 'example.dev/web:1', envFrom: [{configMapRef: {name: absent}}]}]
";
    lab.write("manifests/web.yaml", deployment);
    lab.write("stacks/openhands.yaml", "manifests: [../manifests/web.yaml]\n");
    lab
}

fn goes_on_when_it_can(lab: &Lab) {
    let map = serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "absent", "namespace": "default"}, "data": {"a": "b"}});
    let path = "/api/v1/namespaces/default/configmaps";
    lab.kubernetes("POST", path, Some(("application/json", map)));
    lab.apply(&[]);
    lab.is_settled(&[]);
    assert!(!lab.read("state/openhands.json").contains("awaited"));
}

#[test]
fn what_was_waited_for_when_a_run_ended_is_waited_for_by_the_next_one() {
    for (signal, ended) in [("-INT", Some(130)), ("-KILL", None)] {
        let lab = held_up();
        let mut apply = Apply::start(&lab, &[]);
        apply.until("waiting: 0 of 1 replicas");
        apply.signal(signal);
        let (code, said) = apply.end();
        assert_eq!(code, ended, "{said}");
        lab.is_settled(&[]);
        let mut apply = Apply::start(&lab, &[]);
        apply.until("k8s.Deployment/default/web: waiting for it to be ready");
        apply.signal("-INT");
        let (code, said) = apply.end();
        assert_eq!(code, Some(130), "{said}");
        goes_on_when_it_can(&lab);
    }
}

#[test]
fn what_a_lost_call_applied_is_waited_for_too() {
    let mut lab = held_up();
    let point = Point::Call("PATCH", "*/deployments/web");
    assert!(kill(&mut lab, &["apply", "--yes"], point, &mut Vec::new()));
    lab.restart(&[]);
    let settings = "settings: {\"k8s.*/**\": {timeout: 1s}}\n";
    lab.write("stacks/openhands.yaml", &format!("{}{settings}", lab.read("stacks/openhands.yaml")));
    lab.forget_requests();
    lab.run(&["apply", "--yes"]).exits(3).says("is not ready after 1 s");
    assert!(lab.changes().is_empty(), "{:?}", lab.changes());
    lab.edit("stacks/openhands.yaml", "timeout: 1s", "timeout: 60s");
    goes_on_when_it_can(&lab);
}

#[test]
fn a_lock_left_by_kill_9_does_not_stop_the_next_run() {
    if is_moto() {
        return;
    }
    let (lab, gate) = Gate::lab();
    let apply = Apply::start(&lab, &[]);
    let held = gate.reached();
    apply.signal("-KILL");
    assert_eq!(apply.end().0, None);
    drop(held);
    lab.run(&["state", "unlock", "openhands"]).exits(0);
    // What the next run rests on is said.
    lab.run(&["plan"])
        .exits(0)
        .says("note[settled]: an earlier run of openhands ended before it was told what became of")
        .says("for tunnel.openhands: it took effect");
    the_next_run_does_the_rest(&lab);
}

#[test]
fn a_reader_of_what_is_told_that_goes_away_does_not_end_the_run() {
    if is_moto() {
        return;
    }
    let (lab, gate) = Gate::lab();
    let mut apply = Apply::of(&lab, &["-vvv", "apply", "--yes"]);
    let held = gate.reached();
    let Apply { err, child, .. } = &mut apply;
    // Nobody reads on from here.
    *err = BufReader::new(
        Command::new("true").stderr(Stdio::piped()).spawn().unwrap().stderr.take().unwrap(),
    );
    drop(held);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    lab.is_settled(&[]);
}

#[cfg(target_os = "linux")]
#[test]
fn no_core_dump_is_written_while_secrets_are_in_memory() {
    if is_moto() {
        return;
    }
    let (lab, gate) = Gate::lab();
    let apply = Apply::start(&lab, &[]);
    let held = gate.reached();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", apply.child.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"], "{core}");
    drop(held);
    let (code, said) = apply.end();
    assert_eq!(code, Some(0), "{said}");
}
