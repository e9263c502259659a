//! What boxctl sends, and what the sandbox answers, held to Cloudflare's own OpenAPI document and,
//! since that is of 2024, to the types of today's official client for Python.

mod calls;
mod known;
mod openapi;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use boxctl::kinds::KINDS;
use boxctl::model::call::Service;
use openapi::{Document, Way};
use regex::Regex;
use serde_json::json;

use crate::lab::Lab;
use crate::recorder::{Exchange, Recorder};
use crate::tools::is_there;

const DOCUMENT: &str = include_str!("../../contract/cloudflare-openapi.json");

/// Which half of an exchange is held to the schemas.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// Both.
    All,
    /// What the sandbox said alone: someone else asked.
    Answers,
}

/// Differences without those that are known, and the known ones that were not met.
fn sifted(found: &BTreeSet<String>, known: &[&str]) -> (Vec<String>, Vec<String>) {
    let known: Vec<Regex> = known.iter().map(|text| Regex::new(text).unwrap()).collect();
    let is_known = |text: &&String| known.iter().any(|known| known.is_match(text));
    let unknown = found.iter().filter(|text| !is_known(text)).cloned().collect();
    let unmet = known.iter().filter(|known| !found.iter().any(|text| known.is_match(text)));
    (unknown, unmet.map(ToString::to_string).collect())
}

fn texts<'a>(lists: &[&[(&'a str, &str)]]) -> Vec<&'a str> {
    lists.iter().flat_map(|list| list.iter()).map(|(text, _)| *text).collect()
}

/// Everything in which the exchanges differ from the document: `request POST /x /field: what`.
fn differences(document: &Document, heard: &[Exchange], held: Held) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for said in heard {
        let Some((template, operation)) = document.operation(&said.method, &said.path) else {
            found.insert(format!("request {} {}: no such operation", said.method, said.path));
            continue;
        };
        let name = format!("{} {template}", said.method);
        for (key, value) in &said.query {
            let parameters = operation["parameters"].as_array().unwrap();
            if !parameters.iter().any(|parameter| parameter["name"] == *key) {
                found.insert(format!("request {name} ?{key}: unknown parameter"));
            }
            assert!(!value.is_empty(), "{name} ?{key}");
        }
        match (operation.get("requestBody"), &said.sent) {
            (Some(schema), Some(sent)) => {
                for problem in document.problems(schema, sent, Way::Request) {
                    found.insert(format!("request {name} {problem}"));
                }
            }
            (None, Some(_)) => {
                found.insert(format!("request {name}: has a body"));
            }
            (Some(_), None) => {
                found.insert(format!("request {name}: has no body"));
            }
            (None, None) => {}
        }
        let answers = &operation["responses"];
        let status = said.status.to_string();
        let schema = match (answers.get(&status), said.status) {
            (Some(schema), _) => schema,
            (None, 400..500) => &answers["4XX"],
            _ => {
                found.insert(format!("answer {name}: {status} is not among the answers"));
                continue;
            }
        };
        let what = if said.status < 400 { "answer" } else { "refusal" };
        for problem in document.problems(schema, &said.answer, Way::Answer) {
            found.insert(format!("{what} {name} {problem}"));
        }
    }
    if held == Held::Answers {
        found.retain(|text| !text.starts_with("request ") || text.ends_with("no such operation"));
    }
    found
}

/// What differs from the types of the official client, where it is installed.
fn by_client(lab: &Lab, heard: &[Exchange], held: Held) -> Option<BTreeSet<String>> {
    if !is_there("python3", &["-c", "import cloudflare"]) {
        return None;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools/cloudflare_models.py");
    let mut command = lab.command_of("python3");
    command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    for said in heard {
        let line = json!({
            "method": said.method, "path": said.path, "query": said.query, "sent": said.sent,
            "status": said.status, "answer": said.answer,
        });
        writeln!(input, "{line}").unwrap();
    }
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let mut found: BTreeSet<String> = serde_json::from_slice(&output.stdout).unwrap();
    if held == Held::Answers {
        found.retain(|text| !text.starts_with("request ") || text.ends_with("no such operation"));
    }
    Some(found)
}

/// Holds exchanges to both sources. What is known to differ for boxctl's own requests may differ
/// here; `more` has to.
#[track_caller]
pub fn holds(lab: &Lab, heard: &[Exchange], held: Held) {
    let document = differences(&Document::new(DOCUMENT), heard, held);
    let client = by_client(lab, heard, held);
    let both = [
        (Some(document), known::DOCUMENT, known::MORE_OF_DOCUMENT),
        (client, known::CLIENT, known::MORE_OF_CLIENT),
    ];
    let (mut unknown, mut unmet) = (Vec::new(), Vec::new());
    for (found, known, more) in both {
        let Some(found) = found else { continue };
        let needed = if held == Held::All { known } else { more };
        unknown.extend(sifted(&found, &texts(&[known, more])).0);
        unmet.extend(sifted(&found, &texts(&[needed])).1);
    }
    assert!(unknown.is_empty() && unmet.is_empty(), "{unknown:#?}\nnever met: {unmet:#?}");
}

/// `METHOD /template` of everything that was asked, ids left out.
fn asked(heard: &[Exchange]) -> BTreeSet<String> {
    let id = Regex::new("^([0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$").unwrap();
    let template = |path: &str| {
        let parts = path.split('/').map(|part| if id.is_match(part) { "*" } else { part });
        parts.collect::<Vec<_>>().join("/")
    };
    heard.iter().map(|said| format!("{} {}", said.method, template(&said.path))).collect()
}

/// The collections of what is made again after it vanished.
const MADE_AGAIN: [&str; 14] = [
    "*/dns_records",
    "*/access/apps",
    "*/access/apps/*/policies",
    "*/access/policies",
    "*/access/groups",
    "*/access/service_tokens",
    "*/teamnet/routes",
    "*/routes/hostname",
    "*/cfd_tunnel",
    "*/storage/kv/namespaces",
    "*/d1/database",
    "*/r2/buckets",
    "*/workers/routes",
    "*/rulesets",
];

/// Deletes, by someone else's hands, the one of a collection whose member has that value.
fn vanish(lab: &Lab, collection: &str, member: &str, value: &str) {
    let rows = lab.cloudflare("GET", collection, None);
    let fits = |row: &&serde_json::Value| row[member] == value && row["deleted_at"].is_null();
    let rows: Vec<_> = rows.as_array().unwrap().iter().filter(fits).collect();
    assert_eq!(rows.len(), 1, "{collection} {value}");
    let id = rows[0].get("id").unwrap_or(&rows[0]["uuid"]).as_str().unwrap();
    lab.cloudflare("DELETE", &format!("{collection}/{id}"), None);
}

#[test]
fn bodies_queries_and_answers_are_as_the_official_sources_say() {
    let mut lab = Lab::hasty("openhands", &[]);
    let behind = lab.variable("CLOUDFLARE_BASE_URL").to_owned();
    let recorder = Recorder::before(&behind);
    lab.set("CLOUDFLARE_BASE_URL", recorder.url());
    lab.write("stacks/more.yaml", include_str!("before.yaml"));
    lab.apply(&[]);
    lab.is_settled(&[]);
    // Everything that can be changed in place, a hostname that moves, and a name among it.
    lab.write("stacks/more.yaml", include_str!("after.yaml"));
    lab.apply(&["--allow-large"]);
    lab.is_settled(&[]);

    // What others have added comes back with what boxctl sends; what they took away is asked for
    // by its id, and made again.
    lab.set("CLOUDFLARE_BASE_URL", &behind);
    let apps = lab.cloudflare("GET", &lab.account("access/apps"), None);
    let app = apps.as_array().unwrap().iter().find(|app| app["name"] == "shell").unwrap();
    let mut other = app.clone();
    other["custom_deny_message"] = json!("someone else's");
    let path = lab.account(&format!("access/apps/{}", app["id"].as_str().unwrap()));
    lab.cloudflare("PUT", &path, Some(other));
    vanish(&lab, &lab.records(), "type", "MX");
    for (collection, member, value) in [
        ("access/apps", "name", "own"),
        ("access/policies", "name", "lone"),
        ("access/groups", "name", "some of us"),
        ("access/service_tokens", "name", "builds"),
        ("teamnet/routes", "network", "10.0.0.0/9"),
        ("zerotrust/routes/hostname", "hostname", "even.more.lan"),
        ("cfd_tunnel", "name", "renamed"),
        ("storage/kv/namespaces", "title", "visits"),
        ("d1/database", "name", "app"),
        ("rulesets", "name", "limits"),
    ] {
        vanish(&lab, &lab.account(collection), member, value);
    }
    lab.cloudflare("DELETE", &lab.account("r2/buckets/archive"), None);
    vanish(&lab, &lab.records().replace("dns_records", "workers/routes"), "script", "next");
    lab.set("CLOUDFLARE_BASE_URL", recorder.url());
    lab.run(&["drift"]).exits(2);
    lab.edit("stacks/more.yaml", "session_duration: 2h", "session_duration: 3h");
    // The answer to the first create in each collection is lost, and looked up.
    let lost: Vec<_> = MADE_AGAIN
        .iter()
        .map(|path| {
            json!({"method": "POST", "path": path,
        "status": 502, "body": "<html>bad gateway</html>", "effect": true})
        })
        .collect();
    lab.plan_faults(&json!(lost));
    lab.apply(&["--allow-large"]);
    assert_eq!(lab.hits(), vec![1; MADE_AGAIN.len()]);
    lab.plan_faults(&json!([]));
    lab.is_settled(&[]);
    // The state is lost, and everything is taken over.
    std::fs::remove_dir_all(lab.path().join("state")).unwrap();
    lab.apply(&["--adopt", "--allow-large"]);
    lab.is_settled(&[]);
    for address in ["service_token.ci", "tunnel.openhands"] {
        lab.run(&["rotate", address, "--yes"]).exits(0);
    }
    lab.run(&["destroy", "--all", "--yes", "--allow-protected", "**"]).exits(0);

    let mut heard = recorder.heard();
    heard.retain(|said| said.status != 502 && !said.path.starts_with("/sandbox/"));
    let known: BTreeSet<String> = calls::CALLS
        .iter()
        .flat_map(|(_, base, calls)| {
            calls.iter().map(move |call| match call.split_once(' ') {
                Some((method, rest)) => format!("{method} {base}{rest}"),
                None => format!("{call} {base}"),
            })
        })
        .collect();
    assert_eq!(asked(&heard), known);
    for kind in KINDS.iter().filter(|kind| kind.service() == Service::Cloudflare) {
        assert!(calls::CALLS.iter().any(|(name, ..)| *name == kind.name()), "{}", kind.name());
    }
    holds(&lab, &heard, Held::All);
}
