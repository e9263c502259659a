//! The recordings of a real API server, replayed: what it answered, the model has to answer.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::value::text;
use super::{Cluster, Request, presets};

const ADMIN: &str = "Bearer sandbox-admin-oracle";
const NOBODY: &str = "Bearer sandbox-none-oracle";

/// A line that differs, and why.
#[derive(serde::Deserialize)]
struct Difference {
    file: String,
    line: usize,
    reason: String,
}

/// The lines that may differ, of which there may be five and
/// none where ownership is decided.
fn differences() -> Vec<Difference> {
    let text = include_str!("../../../tests/recordings/kubernetes/differences.json");
    let listed: Vec<Difference> = serde_json::from_str(text).expect("a list of differences");
    assert!(listed.len() <= 5, "{} lines differ", listed.len());
    for one in &listed {
        let exact = ["03", "05", "06", "11", "12", "13"].iter().any(|n| one.file.starts_with(n));
        assert!(!exact && !one.reason.is_empty(), "{}:{}", one.file, one.line);
    }
    listed
}

struct Line {
    file: String,
    number: usize,
    note: String,
    request: Value,
    response: Value,
}

fn recording(name: &str) -> Vec<Line> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings/kubernetes");
    let path = dir.join(format!("{name}.jsonl"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.lines()
        .enumerate()
        .map(|(i, line)| {
            let line: Value = serde_json::from_str(line).expect("recordings are JSON lines");
            Line {
                file: name.to_owned(),
                number: i + 1,
                note: line["note"].as_str().unwrap_or_default().to_owned(),
                request: line["request"].clone(),
                response: line["response"].clone(),
            }
        })
        .collect()
}

fn now() -> Timestamp {
    "2026-11-22T21:31:00Z".parse().expect("a time")
}

/// What was answered: the response's parts that recordings have.
struct Answer {
    status: u16,
    content_type: String,
    warning: Option<String>,
    retry_after: Option<String>,
    body: Value,
}

fn send(cluster: &mut Cluster, line: &Line, authorization: &str) -> Answer {
    let request = &line.request;
    let query = request["query"].as_object().into_iter().flatten();
    let query = query.map(|(k, v)| {
        let v = v.as_str().map_or_else(|| v.to_string(), str::to_owned);
        (k.clone(), v)
    });
    let body = match &request["body"] {
        Value::Null => String::new(),
        Value::String(s) => s.clone(),
        other => other.to_string(),
    };
    let response = cluster.handle(
        &Request {
            method: text(request, "/method"),
            path: text(request, "/path"),
            query: query.collect(),
            content_type: request["content_type"].as_str(),
            accept: request["accept"].as_str(),
            user_agent: Some("python-requests/2.32"),
            authorization: Some(authorization),
            body: body.as_bytes(),
        },
        now(),
    );
    let header = |name: &str| {
        let all: Vec<_> = response.headers.iter().filter(|(n, _)| n == name).collect();
        (!all.is_empty())
            .then(|| all.iter().map(|(_, v)| v.as_str()).collect::<Vec<_>>().join(", "))
    };
    let body = serde_json::from_slice(&response.body)
        .unwrap_or_else(|_| json!({"_text": String::from_utf8_lossy(&response.body)}));
    Answer {
        status: response.status,
        warning: header("warning"),
        retry_after: header("retry-after"),
        content_type: response.content_type,
        body,
    }
}

/// Takes out what belongs to one run: identities, versions, times, addresses.
fn meaning(value: &Value) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .filter(|(key, _)| {
                !matches!(
                    key.as_str(),
                    "uid"
                        | "resourceVersion"
                        | "time"
                        | "creationTimestamp"
                        | "deletionTimestamp"
                        | "lastTransitionTime"
                        | "lastUpdateTime"
                        | "firstTimestamp"
                        | "lastTimestamp"
                        | "clusterIP"
                        | "clusterIPs"
                        | "continue"
                        // Where the recorded server answered, and its build.
                        | "serverAddress"
                        | "gitVersion"
                        | "gitCommit"
                        | "gitTreeState"
                        | "pod-template-hash"
                )
            })
            .map(|(key, member)| {
                let owner = key.starts_with("k:{\"uid\"");
                (if owner { "k:uid".to_owned() } else { key.clone() }, meaning(member))
            })
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Array(list) => list.iter().map(meaning).collect(),
        Value::String(s) if s.contains("errors:\n") => {
            // The server goes through its maps in no order.
            let mut lines: Vec<_> = s.lines().collect();
            lines.sort_unstable();
            lines.join("\n").into()
        }
        Value::String(s) if s.contains("does not match the UID in record") => {
            s.split('(').next().unwrap_or_default().into()
        }
        Value::String(s) if s.contains("cloudflared") => generated(s).into(),
        other => other.clone(),
    }
}

/// Names with what was generated of them taken out.
fn generated(text: &str) -> String {
    let name = regex::Regex::new("cloudflared-[a-z0-9]{8,10}(-[a-z0-9]{5})?").expect("a pattern");
    let text = name.replace_all(text, "cloudflared-#");
    // An event's name ends with a time.
    let event = regex::Regex::new(r"\.[0-9a-f]{16}$").expect("a pattern");
    event.replace(&text, ".#").into_owned()
}

/// Managed fields in one order: times of one second leave the server's own order open.
fn sorted(mut value: Value) -> Value {
    if let Some(list) = value.pointer_mut("/metadata/managedFields").and_then(Value::as_array_mut) {
        list.sort_by_key(|entry| {
            ["/manager", "/operation", "/subresource"].map(|p| text(entry, p).to_owned())
        });
    }
    value
}

/// Path, recorded and own revision of the last answer about it.
type Revisions = BTreeMap<String, (String, String)>;

/// An object has a new revision where the recorded one has, and the old one where that has.
fn moved(last: &mut Revisions, line: &Line, body: &Value) -> Result<(), String> {
    let at = "/metadata/resourceVersion";
    let (should, is) = (text(&line.response["body"], at), text(body, at));
    let named = line.response["body"].pointer("/metadata/uid").is_some();
    if should.is_empty() || is.is_empty() || !named {
        return Ok(());
    }
    let path = text(&line.request, "/path").trim_end_matches("/scale").to_owned();
    let path = path.trim_end_matches("/status").to_owned();
    let before = last.insert(path, (should.to_owned(), is.to_owned()));
    match before {
        Some((a, b)) if (a == should) != (b == is) => {
            Err(format!("resourceVersion {b} -> {is}, recorded {a} -> {should}"))
        }
        _ => Ok(()),
    }
}

fn compare(
    cluster: &mut Cluster,
    line: &Line,
    authorization: &str,
    last: &mut Revisions,
) -> Result<(), String> {
    let Answer { status, content_type, warning, retry_after, body } =
        send(cluster, line, authorization);
    let wanted = &line.response;
    let place = format!("{}:{} {}", line.file, line.number, line.note);
    if Some(u64::from(status)) != wanted["status"].as_u64() {
        return Err(format!("{place}: {status}, not {}: {body}", wanted["status"]));
    }
    // Of a watch only that it answers was recorded.
    let Some(expected) = wanted.get("body") else { return Ok(()) };
    for (header, is) in
        [("content_type", Some(content_type)), ("warning", warning), ("retry_after", retry_after)]
    {
        if wanted[header].as_str() != is.as_deref() {
            return Err(format!("{place}: {header} is {is:?}, not {}", wanted[header]));
        }
    }
    let (is, should) = (sorted(meaning(&body)), sorted(meaning(expected)));
    let mut differences = Vec::new();
    differ("", &is, &should, &mut differences);
    if let Err(difference) = moved(last, line, &body) {
        differences.push(difference);
    }
    if differences.is_empty() {
        Ok(())
    } else {
        Err(format!("{place}:\n  {}", differences.join("\n  ")))
    }
}

fn differ(at: &str, is: &Value, should: &Value, out: &mut Vec<String>) {
    match (is, should) {
        (Value::Object(a), Value::Object(b)) => {
            for (key, member) in a {
                match b.get(key) {
                    Some(other) => differ(&format!("{at}.{key}"), member, other, out),
                    None => out.push(format!("{at}.{key}: {member}, should not be")),
                }
            }
            for (key, member) in b.iter().filter(|(key, _)| !a.contains_key(*key)) {
                out.push(format!("{at}.{key}: missing, should be {member}"));
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (i, (a, b)) in a.iter().zip(b).enumerate() {
                differ(&format!("{at}[{i}]"), a, b, out);
            }
        }
        (a, b) if a == b => {}
        (a, b) => out.push(format!("{at}: {a}, should be {b}")),
    }
}

/// How many lines of a recording agree, and what is wrong with the others. Listed lines are sent
/// and compared too, and have to differ.
fn replay(cluster: &mut Cluster, name: &str, failures: &mut Vec<String>) -> (usize, usize) {
    let listed = differences();
    let mut last = Revisions::new();
    let (mut agree, mut all) = (0, 0);
    for line in recording(name) {
        before(cluster, &line);
        let authorization = match line.note.as_str() {
            "forbidden" | "forbidden apply" => NOBODY,
            "bad token" => "Bearer nobody",
            _ => ADMIN,
        };
        let result = compare(cluster, &line, authorization, &mut last);
        let excused = listed.iter().any(|d| d.file == name && d.line == line.number);
        all += 1;
        agree += usize::from(result.is_ok());
        match (result, excused) {
            (Err(failure), false) => failures.push(failure),
            (Ok(()), true) => failures.push(format!("{name}:{} agrees by now", line.number)),
            _ => {}
        }
    }
    (agree, all)
}

/// What happened between two lines that no line shows.
fn before(cluster: &mut Cluster, line: &Line) {
    match (line.file.as_str(), line.number) {
        ("03-crd-and-ssa-merge", 3) => cluster.establish(now()),
        ("09-lists", 1) => {
            for i in 0..7 {
                let map = json!({
                    "apiVersion": "v1", "kind": "ConfigMap",
                    "metadata": {"name": format!("p{i}"), "namespace": "default",
                        "labels": {"app.kubernetes.io/managed-by": "boxctl"}},
                    "data": {"i": i.to_string()},
                });
                cluster.put_as("python-requests", &map, now());
            }
        }
        ("11-strategy-switch" | "12-strategy-switch-by-claim-and-drop", 1)
        | ("13-drop-an-immutable-field", 1) => {
            cluster.store.remove("apps", "deployments", "probe", "openhands");
            let namespace =
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "probe"}});
            cluster.put_as("python-requests", &namespace, now());
        }
        // The claim's protection is still there when the namespace is first looked through.
        ("15-namespace-termination", 5) => cluster.end_namespaces(now()),
        ("14-status-and-readiness", 2) | ("15-namespace-termination", 8) => {
            cluster.reconcile(&super::Outside::default(), now());
        }
        _ => {}
    }
}

fn install(cluster: &mut Cluster) {
    for definition in presets::external_secrets().into_iter().chain(presets::argo_cd()) {
        cluster.put_as("kubectl-create", &definition, now());
    }
    cluster.establish(now());
}

/// The recordings that depend on one another, in their order; each list begins with a bare
/// cluster, and the definitions come where the recorded one got them.
const WORLDS: [&[&str]; 4] = [
    &["01-discovery"],
    &["03-crd-and-ssa-merge"],
    &[
        "02-missing",
        DEFINITIONS,
        "04-openhands-create",
        "05-migrate-and-roll-back",
        "06-drift-and-conflicts",
        "07-rejections",
        "08-quantities",
        "09-lists",
        "10-delete",
        "11-strategy-switch",
        "12-strategy-switch-by-claim-and-drop",
    ],
    &[
        DEFINITIONS,
        "13-drop-an-immutable-field",
        "14-status-and-readiness",
        "15-namespace-termination",
    ],
];

const DEFINITIONS: &str = "";

#[test]
fn every_line_of_every_recording_is_answered_as_the_real_server_did() {
    let mut failures = Vec::new();
    let mut counts = BTreeMap::new();
    for world in WORLDS {
        let mut cluster = Cluster::new(now());
        for name in world {
            if *name == DEFINITIONS {
                install(&mut cluster);
            } else {
                counts.insert(*name, replay(&mut cluster, name, &mut failures));
            }
        }
    }
    assert_eq!(counts.len(), 15, "a recording was left out");
    let (agree, all) = counts.values().fold((0, 0), |(a, b), (c, d)| (a + c, b + d));
    let mut out = std::io::stdout().lock();
    for (name, (agree, all)) in &counts {
        writeln!(out, "{name}: {agree} of {all} lines agree").expect("it can be said");
    }
    writeln!(out, "recordings: {agree} of {all} lines agree").expect("it can be said");
    drop(out);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert_eq!(agree + differences().len(), all);
}
