//! Every code of the contract at every call that can get it: a run ends well, or with an error that
//! says code, meaning and remedy; and when the fault is gone, it goes on.

mod table;

use std::collections::BTreeMap;
use std::time::Instant;

use regex::Regex;
use serde_json::{Value, json};

use crate::every_kind;
use crate::kill::difference;
use crate::kill::world::outline;
use crate::lab::{Lab, Ran, tell};
use table::{CLOUDFLARE, GONE, PASSING, Row, SSM};

/// A call as the rules of faults name it: service, method, and an expression of its path.
type Call = (String, String, String);

/// A fault at a call, and how its message can be told from others.
struct Planned {
    call: Call,
    row: &'static Row,
    passes: bool,
    mark: String,
}

/// The calls of the requests so far, each once.
fn calls(lab: &Lab, wanted: impl Fn(&Value) -> bool) -> Vec<Call> {
    let id = Regex::new("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}").unwrap();
    let requests = lab.requests();
    let mut all: Vec<Call> = Vec::new();
    for request in requests.iter().filter(|request| wanted(request)) {
        let text = |key: &str| request[key].as_str().unwrap();
        let path = text("path").trim_start_matches("/client/v4");
        let path = format!("^{}$", id.replace_all(path, "[^/]+"));
        let call = (text("service").to_owned(), text("method").to_owned(), path);
        if text("service") != "sts" && !all.contains(&call) {
            all.push(call);
        }
    }
    all
}

/// The rows of a table that a call can get.
fn rows(table: &'static [Row], call: &Call) -> Vec<&'static Row> {
    let (service, method, path) = call;
    let path = path.trim_matches(['^', '$']).replace("[^/]+", "0");
    let fits = |row: &&Row| {
        let numbered = row.code.parse::<u32>().is_ok() || row.code.is_empty();
        let at = Regex::new(row.at).unwrap();
        numbered == (service == "cloudflare") && at.is_match(&format!("{method} {path}"))
    };
    table.iter().filter(fits).collect()
}

fn rule(planned: &Planned, nth: usize, times: usize, effect: bool) -> Value {
    let (service, method, path) = &planned.call;
    let Row { status, code, message, .. } = planned.row;
    let mut rule = json!({"service": service, "method": method, "path": path, "nth": nth,
        "times": times, "status": status, "effect": effect, "headers": {"retry-after": "0"}});
    if code.is_empty() {
        rule["body"] = json!(message);
    } else {
        rule["code"] = code.parse::<u32>().map_or(json!(code), |number| json!(number));
        rule["message"] = json!(format!("{message} {}", planned.mark));
    }
    rule
}

/// Everything that a run reports with causes and hints.
fn reports(ran: &Ran) -> Vec<Value> {
    fn collect(value: &Value, into: &mut Vec<Value>) {
        match value {
            Value::Object(map) if map.contains_key("causes") && map.contains_key("hints") => {
                into.push(value.clone());
            }
            Value::Object(map) => map.values().for_each(|value| collect(value, into)),
            Value::Array(items) => items.iter().for_each(|value| collect(value, into)),
            _ => {}
        }
    }
    let mut all = Vec::new();
    let lines = ran.out.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.chain(serde_json::from_str(&ran.out).ok()).for_each(|value| collect(&value, &mut all));
    all
}

/// What is wrong with how a run took a fault that it met; none if nothing is.
fn complaint(planned: &Planned, reports: &[Value]) -> Option<String> {
    let row = planned.row;
    let told = reports.iter().find(|report| report["causes"].to_string().contains(&planned.mark));
    let wrong = match (told, planned.passes) {
        (None, true) => return None,
        (Some(report), true) => format!("does not pass: {report}"),
        (None, false) => "is not told".to_owned(),
        (Some(report), false) => {
            let text = format!("{}{}", report["causes"], report["hints"]);
            if text.contains(&format!("(code {})", row.code)) && text.contains(row.word) {
                return None;
            }
            format!("is told without code or `{}`: {report}", row.word)
        }
    };
    Some(format!("{:?} {} {}: {wrong}", planned.call, row.status, row.code))
}

/// What a walk goes through: the calls of a command, and what each has still to get.
struct Walk<'a> {
    lab: &'a Lab,
    command: &'a [&'a str],
    /// Whether the command makes its calls each time, as one that only reads does.
    repeats: bool,
    refused: BTreeMap<Call, Vec<&'static Row>>,
    passing: BTreeMap<Call, Vec<&'static Row>>,
    count: usize,
    wrong: Vec<String>,
}

impl<'a> Walk<'a> {
    /// What a call that deletes does not find is gone, which passes.
    fn new(lab: &'a Lab, command: &'a [&'a str], calls: &[Call], deletes: bool) -> Walk<'a> {
        let (mut refused, mut passing) = (BTreeMap::new(), BTreeMap::new());
        for call in calls {
            let mut rows_of = [rows(CLOUDFLARE, call), rows(SSM, call)].concat();
            rows_of.retain(|row| !(deletes && row.status == 404 && row.at != table::ANY));
            refused.insert(call.clone(), rows_of);
            let gone = call.1 == "DELETE" || call.2.contains("DeleteParameter");
            let gone = if gone { rows(GONE, call) } else { Vec::new() };
            passing.insert(call.clone(), [rows(PASSING, call), gone].concat());
        }
        let repeats = command[0] == "plan";
        Walk { lab, command, repeats, refused, passing, count: 0, wrong: Vec::new() }
    }

    /// What each call gets in the next round: one refusal that lasts, until it has had them all;
    /// then what passes, all in a row where the call is done after that.
    fn next(&self, round: usize) -> (Vec<Planned>, Vec<Value>) {
        let (mut planned, mut rules) = (Vec::new(), Vec::new());
        for (call, rows) in &self.refused {
            let passing = self.passing.get(call).map(Vec::as_slice).unwrap_or_default();
            let (rows, passes) = match rows.first() {
                Some(row) => (std::slice::from_ref(row), false),
                None if self.repeats => (&passing[..passing.len().min(1)], true),
                None => (passing, true),
            };
            for (nth, row) in rows.iter().enumerate() {
                let mark = format!("#{round}-{}#", rules.len());
                let gone = GONE.iter().any(|gone| std::ptr::eq(gone, *row));
                planned.push(Planned { call: call.clone(), row, passes, mark });
                let times = if passes { 1 } else { 99 };
                rules.push(rule(&planned[planned.len() - 1], nth + 1, times, gone));
            }
        }
        (planned, rules)
    }

    /// Runs the command again and again, until each call has got each of its codes.
    fn go(mut self) -> (usize, Vec<String>) {
        let mut idle = 0;
        for round in 0.. {
            let (planned, rules) = self.next(round);
            if planned.is_empty() || idle == 4 {
                let never = planned.iter().map(|one| format!("never asked: {:?}", one.call));
                self.wrong.extend(never);
                break;
            }
            self.lab.plan_faults(&json!(rules));
            let ran = self.lab.run(self.command);
            let (hits, reports) = (self.lab.hits(), reports(&ran));
            let met: Vec<&Planned> =
                planned.iter().zip(&hits).filter(|(_, hits)| **hits > 0).map(|(p, _)| p).collect();
            self.wrong.extend(met.iter().filter_map(|planned| complaint(planned, &reports)));
            let fails = met.iter().any(|planned| !planned.passes);
            if fails != matches!(ran.code, 1 | 3) {
                self.wrong.push(format!("exit {}: {}{}", ran.code, ran.out, ran.err));
            }
            idle = if met.is_empty() { idle + 1 } else { 0 };
            self.count += met.len();
            for one in met {
                let left = if one.passes { &mut self.passing } else { &mut self.refused };
                let left = left.get_mut(&one.call).unwrap();
                left.retain(|row| !std::ptr::eq(*row, one.row));
            }
        }
        self.lab.plan_faults(&json!([]));
        (self.count, self.wrong)
    }
}

const APPLY: [&str; 4] = ["apply", "--yes", "--allow-large", "--json"];

/// What is done to the lab before a walk.
type Before = fn(&Lab);

/// The walk over an apply: its calls, each with each code, and in the end the same world.
fn applied(name: &str, before: &[Before]) {
    let began = Instant::now();
    let lab = every_kind::hasty_lab(&[]);
    let (last, first) = before.split_last().unwrap();
    for step in first {
        step(&lab);
        lab.apply(&["--allow-large"]);
    }
    last(&lab);
    let undisturbed = lab.copy(&[]);
    undisturbed.forget_requests();
    undisturbed.run(&APPLY).exits(0);
    let own = |request: &Value| {
        let path = request["path"].as_str().unwrap();
        request["mutating"] == true || path.ends_with("/token")
    };
    let calls = calls(&undisturbed, own);
    let (count, wrong) = Walk::new(&lab, &APPLY, &calls, name == "delete").go();
    tell(&format!(
        "{name}: {count} refusals of {} calls, in {:.0} s",
        calls.len(),
        began.elapsed().as_secs_f64()
    ));
    assert!(wrong.is_empty(), "{name}: {} of {count}\n{}", wrong.len(), wrong.join("\n"));
    lab.apply(&["--allow-large"]);
    lab.is_settled(&[]);
    let (found, expected) = (outline(&lab.dump()), outline(&undisturbed.dump()));
    assert!(found == expected, "{name}: {}", difference(&expected, &found));
}

fn all(lab: &Lab) {
    lab.write(every_kind::FILE, &format!("{}{}", every_kind::BASE, every_kind::LEAVES));
}

fn without(lab: &Lab) {
    lab.write(every_kind::FILE, every_kind::BASE);
}

#[test]
fn whatever_is_refused_while_things_are_made_is_told_and_then_it_goes_on() {
    // The sandbox refuses what it answers itself.
    if crate::kill::is_moto() {
        return;
    }
    applied("create", &[without, all]);
}

#[test]
fn whatever_is_refused_while_things_are_changed_is_told_and_then_it_goes_on() {
    // The sandbox refuses what it answers itself.
    if crate::kill::is_moto() {
        return;
    }
    applied("change", &[all, every_kind::change]);
}

#[test]
fn whatever_is_refused_while_things_are_deleted_is_told_and_then_it_goes_on() {
    // The sandbox refuses what it answers itself.
    if crate::kill::is_moto() {
        return;
    }
    applied("delete", &[all, without]);
}

#[test]
fn whatever_is_refused_while_things_are_read_is_told_and_nothing_is_planned_for_it() {
    // The sandbox refuses what it answers itself.
    if crate::kill::is_moto() {
        return;
    }
    let lab = every_kind::hasty_lab(&[]);
    lab.apply(&[]);
    lab.forget_requests();
    lab.is_settled(&[]);
    let calls = calls(&lab, |_| true);
    let (count, wrong) = Walk::new(&lab, &["plan", "--json"], &calls, false).go();
    lab.is_settled(&[]);
    tell(&format!("read: {count} refusals of {} calls", calls.len()));
    assert!(wrong.is_empty(), "{} of {count}\n{}", wrong.len(), wrong.join("\n"));
}
