//! The recordings of a real API server, replayed: what it answered, the model has to answer.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::value::{fields, items, text};
use super::{Cluster, Request, presets};

const ADMIN: &str = "Bearer sandbox-admin-oracle";
const READER: &str = "Bearer sandbox-read-oracle";

/// Lines that differ, with the reason.
const EXCEPTIONS: &[(&str, usize, &str)] = &[
    (
        "04-openhands-create",
        14,
        "a fresh claim's first unchanged apply got a new resourceVersion, with the same content",
    ),
    ("04-openhands-create", 19, "as line 14"),
    (
        "07-rejections",
        25,
        "the recording's reader may do nothing, the sandbox's read-only token may list",
    ),
];

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

fn send(cluster: &mut Cluster, line: &Line, authorization: &str) -> (u16, Vec<String>, Value) {
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
    let warnings = response.headers.iter().map(|(_, v)| v.clone()).collect();
    let body = serde_json::from_slice(&response.body)
        .unwrap_or_else(|_| json!({"_text": String::from_utf8_lossy(&response.body)}));
    (response.status, warnings, body)
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
    let (status, warnings, body) = send(cluster, line, authorization);
    let wanted = &line.response;
    let place = format!("{}:{} {}", line.file, line.number, line.note);
    if Some(u64::from(status)) != wanted["status"].as_u64() {
        return Err(format!("{place}: {status}, not {}: {body}", wanted["status"]));
    }
    let warning = wanted["warning"].as_str();
    if warning.is_some() && warnings.first().map(String::as_str) != warning {
        return Err(format!("{place}: warnings {warnings:?}, not {warning:?}"));
    }
    if wanted.get("body").is_none() {
        return Ok(());
    }
    let (is, should) = (sorted(meaning(&body)), sorted(meaning(&wanted["body"])));
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

/// Replays a recording; lines of [`EXCEPTIONS`] are sent, not compared, and have to differ.
fn replay(cluster: &mut Cluster, name: &str) {
    let mut failures = Vec::new();
    let mut last = Revisions::new();
    for line in recording(name) {
        before(cluster, &line);
        let authorization = match line.note.as_str() {
            "forbidden" | "forbidden apply" => READER,
            "bad token" => "Bearer nobody",
            _ => ADMIN,
        };
        let result = compare(cluster, &line, authorization, &mut last);
        let excused =
            EXCEPTIONS.iter().any(|(file, number, _)| *file == name && *number == line.number);
        match (result, excused) {
            (Err(failure), false) => failures.push(failure),
            (Ok(()), true) => failures.push(format!("{name}:{} agrees by now", line.number)),
            _ => {}
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
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

fn bare() -> Cluster {
    Cluster::new(now())
}

fn with_definitions() -> Cluster {
    let mut cluster = bare();
    install(&mut cluster);
    cluster
}

fn install(cluster: &mut Cluster) {
    for definition in presets::external_secrets().into_iter().chain(presets::argo_cd()) {
        cluster.put_as("kubectl-create", &definition, now());
    }
    cluster.establish(now());
}

#[test]
fn missing_things_are_missing_as_recorded() {
    replay(&mut bare(), "02-missing");
}

#[test]
fn a_small_definition_merges_as_recorded() {
    replay(&mut bare(), "03-crd-and-ssa-merge");
}

#[test]
fn the_stack_is_created_changed_refused_and_deleted_as_recorded() {
    let mut cluster = bare();
    replay(&mut cluster, "02-missing");
    install(&mut cluster);
    for name in [
        "04-openhands-create",
        "05-migrate-and-roll-back",
        "06-drift-and-conflicts",
        "07-rejections",
        "08-quantities",
        "09-lists",
        "10-delete",
        "11-strategy-switch",
        "12-strategy-switch-by-claim-and-drop",
    ] {
        replay(&mut cluster, name);
    }
}

#[test]
fn an_immutable_field_is_dropped_and_a_namespace_ends_as_recorded() {
    let mut cluster = with_definitions();
    replay(&mut cluster, "13-drop-an-immutable-field");
    replay(&mut cluster, "14-status-and-readiness");
    replay(&mut cluster, "15-namespace-termination");
}

#[test]
fn discovery_has_the_recorded_entries() {
    let mut cluster = bare();
    for line in recording("01-discovery") {
        let (status, _, body) = send(&mut cluster, &line, ADMIN);
        let wanted = &line.response["body"];
        assert_eq!(Some(u64::from(status)), line.response["status"].as_u64(), "{}", line.number);
        for entry in items(&body, "/resources") {
            let same = |other: &&Value| text(other, "/name") == text(entry, "/name");
            let mut entry = entry.clone();
            fields(&mut entry);
            assert_eq!(Some(&entry), items(wanted, "/resources").iter().find(same));
        }
        if body.get("code").is_some() || body.get("_text").is_some() {
            assert_eq!(&body, wanted, "line {}", line.number);
        }
    }
}
