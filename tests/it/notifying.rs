//! `drift --notify`: who is to be told is told when the set of drift changes, and only then.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::lab::{Lab, Ran};

/// A service with webhooks: what it was sent, and what it answers to the next ones; 200 else.
struct Service {
    url: String,
    heard: Arc<Mutex<Vec<(String, Value)>>>,
    answers: Arc<Mutex<VecDeque<&'static str>>>,
}

/// The path that is the secret.
const TOKEN: &str = "T0KEN/s3cr3t-hook";

impl Service {
    fn start() -> Service {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/services/{TOKEN}", listener.local_addr().unwrap());
        let (heard, answers) = (Arc::default(), Arc::default());
        let service = Service { url, heard: Arc::clone(&heard), answers: Arc::clone(&answers) };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let answer = answers.lock().unwrap().pop_front();
                hear(stream, answer, &heard);
            }
        });
        service
    }

    /// What it was sent since it was asked last.
    fn heard(&self) -> Vec<Value> {
        std::mem::take(&mut *self.heard.lock().unwrap()).into_iter().map(|(_, body)| body).collect()
    }

    fn answer(&self, answers: &[&'static str]) {
        self.answers.lock().unwrap().extend(answers);
    }
}

/// One request. An answer of `lost` is none.
fn hear(stream: TcpStream, answer: Option<&str>, heard: &Mutex<Vec<(String, Value)>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let (mut length, mut is_json) = (0, false);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).unwrap();
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap(),
            "content-type" => is_json = value.starts_with("application/json"),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    assert!(line.starts_with(&format!("POST /services/{TOKEN}")) && is_json, "{line}");
    let body: Value = serde_json::from_slice(&body).unwrap();
    let refused = answer.is_some_and(|answer| !answer.starts_with("lost"));
    if !refused {
        heard.lock().unwrap().push((line, body));
    }
    let answer = match answer {
        Some("lost") => return,
        Some(answer) => answer,
        None => "200 OK\r\n",
    };
    let text = format!("HTTP/1.1 {answer}content-length: 2\r\nconnection: close\r\n\r\nok");
    let _ = (&stream).write_all(text.as_bytes());
}

/// A lab whose project tells these shapes, each at a service of its own.
fn lab(shapes: &[&str], more: &str) -> (Lab, Vec<Service>) {
    let lab = Lab::of("openhands");
    let services: Vec<Service> = shapes.iter().map(|_| Service::start()).collect();
    let list: Vec<String> =
        shapes.iter().map(|shape| format!("{{type: {shape}, url_env: HOOK_{shape}}}")).collect();
    let text = lab.read("boxctl.yaml");
    let notify = format!("notify: {{webhooks: [{}]{more}}}\n", list.join(", "));
    lab.write("boxctl.yaml", &(text + &notify));
    lab.apply(&[]);
    (lab, services)
}

fn notify(lab: &Lab, services: &[(&str, &Service)]) -> Ran {
    let mut command = lab.command();
    for (shape, service) in services {
        command.env(format!("HOOK_{shape}"), &service.url);
    }
    let output = command.args(["drift", "--notify"]).output().unwrap();
    let (out, err) = (String::from_utf8(output.stdout), String::from_utf8(output.stderr));
    let ran = Ran { code: output.status.code().unwrap(), out: out.unwrap(), err: err.unwrap() };
    assert!(!format!("{}{}", ran.out, ran.err).contains("s3cr3t-hook"), "{}{}", ran.out, ran.err);
    ran
}

fn set(lab: &Lab, body: Value) {
    let record = lab.only(&lab.records());
    let path = format!("{}/{}", lab.records(), record["id"].as_str().unwrap());
    lab.cloudflare("PATCH", &path, Some(body));
}

const NOTE: &str = "state/notes/drift.json";

#[test]
fn each_change_of_the_set_is_told_once() {
    let (lab, services) = lab(&["slack", "discord", "json"], "");
    let [slack, discord, plain] = services.as_slice() else { panic!() };
    let all = [("slack", slack), ("discord", discord), ("json", plain)];
    let none = || all.iter().all(|(_, service)| service.heard().is_empty());
    notify(&lab, &all).exits(0);
    assert!(none() && !lab.path().join(NOTE).exists(), "there is nothing to tell");

    set(&lab, json!({"proxied": false, "ttl": 300}));
    lab.run(&["drift"]).exits(2);
    assert!(none() && !lab.path().join(NOTE).exists(), "nobody asked to tell");
    lab.forget_requests();
    notify(&lab, &all).exits(2).says("Told the webhook of HOOK_slack");
    assert_eq!(lab.changes(), [] as [String; 0]);
    let told = slack.heard();
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(told[0]["text"].as_str().unwrap().contains("1 new"), "{told:#?}");
    assert!(told[0]["blocks"].to_string().contains("dns_record.openhands"), "{told:#?}");
    let told = discord.heard();
    assert_eq!(told[0]["allowed_mentions"], json!({"parse": []}));
    assert!(told[0]["embeds"][0]["description"].as_str().unwrap().contains("`ttl`"), "{told:#?}");
    let told = plain.heard();
    assert_eq!(told[0]["new"][0]["address"], "dns_record.openhands");
    assert!(!lab.read(NOTE).contains("s3cr3t"), "{}", lab.read(NOTE));
    let kept = lab.read(NOTE);
    notify(&lab, &all).exits(2);
    assert!(none() && lab.read(NOTE) == kept, "it is told already");

    set(&lab, json!({"ttl": 600}));
    notify(&lab, &all).exits(2);
    let told = plain.heard();
    assert_eq!((told.len(), &told[0]["new"]), (1, &json!([])), "{told:#?}");
    assert_eq!(told[0]["changed"][0]["address"], "dns_record.openhands");

    lab.run(&["drift", "ack", "dns_record.openhands", "--until", "1d", "--reason", "x"]).exits(0);
    notify(&lab, &all).exits(0);
    assert_eq!(plain.heard()[0]["acknowledged"][0]["address"], "dns_record.openhands");
    std::fs::remove_file(lab.path().join("drift.yaml")).unwrap();
    notify(&lab, &all).exits(2);
    lab.apply(&[]);
    notify(&lab, &all).exits(0);
    let told = plain.heard();
    assert_eq!(told[1]["resolved"][0]["address"], "dns_record.openhands", "{told:#?}");
    assert!(slack.heard().last().unwrap()["text"].as_str().unwrap().contains("1 resolved"));
    notify(&lab, &all).exits(0);
    assert!(plain.heard().is_empty());
}

#[test]
fn what_was_not_taken_is_told_again_and_only_to_whom_it_was_not() {
    let (lab, services) = lab(&["slack", "json"], "");
    let [slack, plain] = services.as_slice() else { panic!() };
    let all = [("slack", slack), ("json", plain)];
    set(&lab, json!({"proxied": false, "ttl": 300}));
    // Too many at once, an error, a lost answer: it goes on until it is taken.
    slack.answer(&["429 Too Many Requests\r\nretry-after: 0\r\n", "503 Busy\r\n"]);
    plain.answer(&["lost"]);
    notify(&lab, &all).exits(2);
    assert_eq!(slack.heard().len(), 1);
    assert_eq!(plain.heard().len(), 2, "a lost answer tells twice, never not at all");
    set(&lab, json!({"ttl": 600}));
    slack.answer(&["404 Not Found\r\n"]);
    notify(&lab, &all).exits(1).says("HOOK_slack could not be told").says("404");
    assert_eq!((slack.heard().len(), plain.heard().len()), (0, 1));
    notify(&lab, &[("json", plain)]).exits(1).says("the variable is not set");
    notify(&lab, &all).exits(2);
    assert_eq!((slack.heard().len(), plain.heard().len()), (1, 0));
}

#[test]
fn without_memory_every_run_that_finds_drift_tells() {
    let (lab, services) = lab(&["json"], ", remember: false");
    let all = [("json", &services[0])];
    notify(&lab, &all).exits(0);
    assert!(services[0].heard().is_empty());
    set(&lab, json!({"proxied": false, "ttl": 300}));
    for _ in 0..2 {
        notify(&lab, &all).exits(2);
        assert_eq!(services[0].heard()[0]["new"][0]["address"], "dns_record.openhands");
    }
    assert!(!lab.path().join(NOTE).exists());
    // The same where it can't be written: here, since a file stands in the way.
    lab.edit("boxctl.yaml", ", remember: false", "");
    lab.write("state/notes", "");
    for _ in 0..2 {
        notify(&lab, &all).exits(2).says("can't be remembered");
        assert_eq!(services[0].heard().len(), 1);
    }
    lab.edit("boxctl.yaml", "notify:", "# notify:");
    lab.run(&["drift", "--notify"]).exits(5).says("names nobody").says("url_env");
    lab.edit("boxctl.yaml", "# notify:", "notify: [{type: slack, url_env: 'https://x/s3cr3t'}] #");
    let ran = lab.run(&["validate"]).exits(1).says("not the name of a variable");
    assert!(!format!("{}{}", ran.out, ran.err).contains("s3cr3t"), "{}", ran.err);
}
