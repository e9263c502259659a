//! What it costs to plan an estate of 200 services in a zone of 5,000 records: requests by place,
//! time and memory: `cargo bench --bench estate`. Fails for too many requests, not for being slow.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a bench that cannot go on ends")]
#![expect(clippy::print_stdout, reason = "it is there to print")]

#[path = "../tests/it/aws.rs"]
mod aws;
#[expect(dead_code, reason = "it serves the tests too")]
#[path = "../tests/it/lab.rs"]
mod lab;
#[path = "../tests/it/moto.rs"]
mod moto;
#[path = "../tests/it/estate/project.rs"]
mod project;

use std::process::Stdio;
use std::time::{Duration, Instant};

use lab::Lab;
use project::{RESOURCES, costs, empty, fill_zone, of_service, stack};
use serde_json::Value;

const SERVICES: usize = 200;
const STACKS: usize = 20;
const RECORDS: usize = 5_000;
/// What a plan without changes may cost beside one configuration read a tunnel, by service.
const LIMITS: [(&str, usize); 2] = [("cloudflare", 40), ("ssm", 25)];
/// What Cloudflare grants: 1,200 requests in 5 minutes.
const BUDGET: &str = "1200/300";

/// Runs a command to its end; its peak of memory in MiB, where the system tells it.
fn watched(lab: &Lab, arguments: &[&str]) -> (String, String, Duration, Option<u64>) {
    let began = Instant::now();
    let mut command = lab.command();
    let (out, err) = (lab.path().join("out"), lab.path().join("err"));
    let file = |path| Stdio::from(std::fs::File::create(path).unwrap());
    let mut child = command.args(arguments).stdout(file(&out)).stderr(file(&err)).spawn().unwrap();
    let mut peak = None;
    let status = loop {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()));
        let high = status.ok().and_then(|text| {
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
            line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()
        });
        peak = high.or(peak);
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let time = began.elapsed();
    let read = |path| std::fs::read_to_string(path).unwrap();
    let (out, err) = (read(out), read(err));
    assert!(status.success(), "{arguments:?}:\n{out}\n{err}");
    (out, err, time, peak.map(|kib| kib / 1024))
}

/// Plans, prints what that cost, and returns the requests.
fn plan(lab: &Lab, title: &str, stacks: &[&str]) -> Vec<Value> {
    lab.forget_requests();
    let arguments = [&["plan", "--detailed-exitcode"], stacks].concat();
    let (_, err, time, memory) = watched(lab, &arguments);
    let requests = lab.requests();
    let memory = memory.map_or_else(String::new, |mib| format!(", {mib} MiB"));
    println!("{title}: {time:.1?}{memory}");
    for (place, count) in costs(&requests) {
        println!("{count:6}  {place}");
    }
    assert!(!err.contains("budget"), "it paused:\n{err}");
    assert!(requests.iter().all(|request| request["status"] == 200), "something was refused");
    requests
}

fn main() {
    let mut lab = empty(&[]);
    for at in 0..STACKS {
        let each = SERVICES / STACKS;
        stack(&lab, &format!("stack{at:02}"), at * each..(at + 1) * each);
    }
    let (_, _, time, _) = watched(&lab, &["apply", "--yes"]);
    let count = SERVICES * RESOURCES;
    println!("{count} resources of {SERVICES} services in {STACKS} stacks were made in {time:.0?}");
    fill_zone(&lab, RECORDS - 2 * SERVICES);
    lab.restart(&["--budget", BUDGET]);
    let requests = plan(&lab, "a plan of all without changes", &[]);
    let is_configuration = |request: &&Value| {
        request["path"].as_str().is_some_and(|path| path.ends_with("/configurations"))
    };
    let configurations = requests.iter().filter(is_configuration).count();
    println!("{configurations} configurations; beside them:");
    for (service, limit) in LIMITS {
        let all = of_service(&requests, service);
        let cost = if service == "cloudflare" { all - configurations } else { all };
        println!("{cost:6}  {service} (at most {limit})");
        assert!(cost <= limit, "{service}: {cost} requests");
    }
    stack(&lab, "stack20", SERVICES..SERVICES + 1);
    watched(&lab, &["apply", "--yes", "stack20"]);
    plan(&lab, "a plan of one stack with one service", &["stack20"]);
}
