//! Reports beside the result, as those read them for whom they are: pages in Chromium, comments by
//! GitHub's own renderer, metrics by Prometheus' official client.

mod large;

use std::path::PathBuf;

use boxctl::render::{markdown, page};
use serde_json::{Value, json};

use crate::lab::{Lab, Ran};
use crate::tools::{is_there, tool};

/// What would like to be more than text.
const HOSTILE: &str = "</script><img src=x onerror=alert(1)> | `x` @team #123\n::error::x\n```\n";
/// The path of the deployment that someone changes.
const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/openhands/deployments/openhands";

/// How a page is looked at: at each width, light and dark, and once without scripts; a large one at
/// the ends of that.
const LOOKS: usize = 7;
const FEW: usize = 3;

fn config_map(text: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "settings", "namespace": "openhands"},
        "data": {"config.toml": text}})
}

/// The text of a file of settings.
fn settings(debug: bool) -> String {
    let section = |n: usize| format!("[section.{n}]\nworkspace = \"/opt/{n}\"\n");
    let all: String = (0..8).map(section).collect();
    format!("{all}debug = {debug}\n\n[llm]\nmodel = \"large\"\n")
}

/// A stack that was applied, with its reports.
fn applied() -> Lab {
    let lab = Lab::of("openhands");
    lab.write("manifests/socket/settings.yaml", &config_map(&settings(false)).to_string());
    lab.apply(&["--html", "applied.html", "--markdown", "applied.md"]);
    lab
}

/// What someone does to it.
fn meddle(lab: &Lab) {
    let record = lab.only(&lab.records());
    let record = format!("{}/{}", lab.records(), record["id"].as_str().unwrap());
    lab.cloudflare("PATCH", &record, Some(json!({"content": "elsewhere.example.org"})));
    let application = lab.only(&lab.account("access/apps"));
    let application = lab.account(&format!("access/apps/{}", application["id"].as_str().unwrap()));
    lab.cloudflare("DELETE", &application, None);
    let path = "/api/v1/namespaces/openhands/configmaps/settings";
    lab.patch(path, json!({"data": {"config.toml": settings(true) + HOSTILE}}));
    let image = json!([{"op": "replace", "path": "/spec/template/spec/containers/0/image",
        "value": "docker.all-hands.dev/all-hands-ai/openhands:evil"}]);
    let by = "fieldManager=%40team%20%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E";
    let patch = Some(("application/json-patch+json", image));
    lab.kubernetes("PATCH", &format!("{DEPLOYMENT}?{by}"), patch);
}

/// Every report of a drift, with the annotations on stderr.
fn drift(lab: &Lab) -> Ran {
    let outputs = ["--html", "drift.html", "--markdown", "drift.md", "--prometheus", "drift.prom"];
    lab.run(&[&["drift", "--annotations", "github", "--json"], &outputs[..]].concat())
}

fn path(lab: &Lab, name: &str) -> String {
    lab.path().join(name).to_str().unwrap().to_owned()
}

fn script(name: &str) -> String {
    format!("{}/tests/tools/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// What a script of `tests/tools` says of files.
fn read(lab: &Lab, name: &str, arguments: &[&str]) -> Value {
    let script = script(name);
    serde_json::from_str(&tool(lab, "python3", &[&[script.as_str()], arguments].concat())).unwrap()
}

#[test]
fn pages_and_comments_of_a_whole_life_are_read_by_browser_and_renderer() {
    let lab = applied();
    lab.run(&["drift", "--html", "calm.html", "--markdown", "calm.md"]).exits(0);
    meddle(&lab);
    drift(&lab).exits(2);
    lab.run(&["plan", "--html", "planned.html", "--markdown", "planned.md"]).exits(0);
    let refused = json!([{"service": "kubernetes", "method": "PATCH", "path": "*/deployments/*",
        "status": 403, "times": 9}]);
    lab.plan_faults(&refused);
    let failed = ["--html", "failed.html", "--markdown", "failed.md"];
    lab.run(&[&["apply", "--yes"], &failed[..]].concat()).exits(3);
    let view = large::view(2_000);
    lab.write("large.html", &page::drift(&view));
    lab.write("large.md", &markdown::drift(&view));
    are_good_pages(&lab);
    are_good_comments(&lab);
}

/// What is to be seen of a page, beside that nothing is wrong with it.
struct Seen {
    page: &'static str,
    title: &'static str,
    entries: usize,
    drawn: usize,
}

fn are_good_pages(lab: &Lab) {
    if !is_there("chromium", &["--version"]) {
        return;
    }
    let pages = [
        Seen {
            page: "applied",
            title: "16 created · boxctl apply · lolice",
            entries: 16,
            drawn: 16,
        },
        Seen {
            page: "calm",
            title: "Everything is as it was recorded · boxctl drift · lolice",
            entries: 0,
            drawn: 16,
        },
        Seen {
            page: "drift",
            title: "1 hostname is open to everyone · boxctl drift · lolice",
            entries: 4,
            drawn: 16,
        },
        Seen { page: "planned", title: "1 to create, 3 to update", entries: 8, drawn: 16 },
        Seen { page: "failed", title: "1 created, 2 updated, 1 failed", entries: 4, drawn: 16 },
        Seen {
            page: "large",
            title: "1 hostname is open to everyone",
            entries: 2_020,
            drawn: 1_600,
        },
    ];
    // With a directory for them, pages and pictures are kept to be looked at.
    let kept = std::env::var_os("BOXCTL_TEST_SCREENSHOTS").map(PathBuf::from);
    let files: Vec<String> =
        pages.iter().map(|seen| path(lab, &format!("{}.html", seen.page))).collect();
    if let Some(kept) = &kept {
        std::fs::create_dir_all(kept).unwrap();
        for file in &files {
            let name = std::path::Path::new(file).file_name().unwrap();
            std::fs::copy(file, kept.join(name)).unwrap();
        }
    }
    let kept = kept.map(|path| path.to_str().unwrap().to_owned()).unwrap_or_default();
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let (large, usual) = files.split_last().unwrap();
    let mut looks = Vec::new();
    for (how, files) in [("all", usual), ("few", &[*large][..])] {
        let said = read(lab, "browser.py", &[&["chromium", &kept, how], files].concat());
        looks.extend(said.as_array().unwrap().clone());
    }
    let wanted =
        pages.iter().flat_map(|seen| vec![seen; if seen.page == "large" { FEW } else { LOOKS }]);
    let wanted: Vec<&Seen> = wanted.collect();
    assert_eq!(looks.len(), wanted.len());
    for (look, wanted) in looks.iter().zip(wanted) {
        let (name, seen, used) = (look["name"].as_str().unwrap(), &look["seen"], &look["used"]);
        assert_eq!(look["wrong"], json!([]), "{name}");
        assert!(seen["over"].as_i64().is_some_and(|over| over <= 0), "{name}: {seen:#}");
        for none in ["faint", "unnamed", "twice", "lost"] {
            assert_eq!(seen[none], json!([]), "{name}: {none}");
        }
        assert_eq!((&seen["lang"], &seen["landmarks"]), (&json!("en"), &json!([1, 1, 1, 1])));
        assert!(seen["texts"].as_u64().is_some_and(|texts| texts > 20), "{name}: {seen:#}");
        assert!(seen["title"].as_str().unwrap().starts_with(wanted.title), "{name}: {seen:#}");
        assert_eq!(
            (&seen["entries"], &seen["drawn"]),
            (&wanted.entries.into(), &wanted.drawn.into()),
            "{name}"
        );
        let scripts = !name.ends_with("-bare");
        assert_eq!(seen["tools"], scripts && wanted.entries > 0, "{name}");
        let done = used.as_object().unwrap();
        assert!(done.values().all(|done| *done == true), "{name}: {used:#}");
        let expected = if scripts && wanted.entries > 0 { 6 } else { 0 };
        assert_eq!(done.len(), expected, "{name}: {used:#}");
    }
}

#[test]
fn what_is_wrong_with_a_page_is_seen() {
    if !is_there("chromium", &["--version"]) {
        return;
    }
    let lab = Lab::of("openhands");
    let page = "<!doctype html><html lang=en><head><title>x</title>\
        <meta http-equiv=Content-Security-Policy content=\"default-src 'none'; style-src \
        'unsafe-inline'; img-src http:\"><style>p { width: 2000px; color: #bbb }</style></head>\
        <body><p id=a>faint</p><p id=a><a href='#b'></a></p>\
        <img src='http://127.0.0.1:9/x.png'><script>alert(1)</script></body></html>";
    lab.write("wrong.html", page);
    let looks = read(&lab, "browser.py", &["chromium", "", "few", &path(&lab, "wrong.html")]);
    let (wrong, seen) = (looks[0]["wrong"].to_string(), &looks[0]["seen"]);
    for what in ["request: http://127.0.0.1:9/x.png", "Content Security Policy", "issue: "] {
        assert!(wrong.contains(what), "{what}: {wrong}");
    }
    assert!(seen["over"].as_i64().is_some_and(|over| over > 1_000), "{seen:#}");
    assert!(seen["faint"].to_string().contains("faint: 1.9"), "{seen:#}");
    assert_eq!((&seen["twice"], &seen["lost"]), (&json!(["a"]), &json!(["#b"])));
    assert_eq!(seen["landmarks"], json!([0, 0, 0, 0]));
}

/// The elements that comments are made of.
const ELEMENTS: [&str; 19] = [
    "blockquote",
    "code",
    "details",
    "em",
    "h3",
    "li",
    "p",
    "pre",
    "strong",
    "summary",
    "table",
    "tbody",
    "td",
    "th",
    "thead",
    "tr",
    "ul",
    "br",
    "hr",
];

fn are_good_comments(lab: &Lab) {
    if !is_there("python3", &["-c", "import cmarkgfm"]) {
        return;
    }
    let names = ["applied", "calm", "drift", "planned", "failed", "large"];
    let files: Vec<String> = names.iter().map(|name| path(lab, &format!("{name}.md"))).collect();
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let comments = read(lab, "github_markdown.py", &files);
    let mark = regex::Regex::new("[@#][A-Za-z0-9]|https?://|www\\.").unwrap();
    for (name, comment) in names.iter().zip(comments.as_array().unwrap()) {
        assert!(comment["length"].as_u64().unwrap() < 65_000, "{name}");
        for element in comment["elements"].as_array().unwrap() {
            assert!(ELEMENTS.contains(&element.as_str().unwrap()), "{name}: {element}");
        }
        // A block of code has its language, a column of numbers its side.
        for attribute in comment["attributes"].as_array().unwrap() {
            assert!(attribute == "lang" || attribute == "align", "{name}: {attribute}");
        }
        assert_eq!(comment["wrong"], json!([]), "{name}: opened and closed");
        let text = comment["text"].as_str().unwrap();
        assert!(!mark.is_match(text), "{name}: {text}");
        let command = match *name {
            "applied" | "failed" => "apply",
            "planned" => "plan",
            _ => "drift",
        };
        let project = if *name == "large" { "large" } else { "lolice" };
        assert_eq!(comment["comments"], json!([format!("boxctl:{command}:{project}")]), "{name}");
    }
    let drift = comments[2]["text"].as_str().unwrap();
    assert!(drift.find("is open to everyone") < drift.find("puts it right"), "{drift}");
}

#[test]
fn metrics_tell_what_was_found_and_that_nothing_could_be() {
    let mut lab = applied();
    let run = |lab: &Lab| lab.run(&["drift", "--prometheus", "drift.prom"]);
    run(&lab).exits(0);
    std::fs::copy(lab.path().join("drift.prom"), lab.path().join("calm.prom")).unwrap();
    meddle(&lab);
    run(&lab).exits(2);
    std::fs::copy(lab.path().join("drift.prom"), lab.path().join("found.prom")).unwrap();
    // Nobody answers any more.
    lab.set("CLOUDFLARE_BASE_URL", "http://127.0.0.1:1/client/v4");
    lab.set("CLOUDFLARE_API_TOKEN", "");
    run(&lab).exits(1);
    std::fs::copy(lab.path().join("drift.prom"), lab.path().join("blind.prom")).unwrap();
    lab.write("boxctl.yaml", "nonsense: true\n");
    run(&lab).exits(1);
    let left = std::fs::read_dir(lab.path()).unwrap();
    let left = left.filter(|file| {
        file.as_ref().unwrap().file_name().to_string_lossy().starts_with(".boxctl-")
    });
    assert_eq!(left.count(), 0, "no unfinished file is left");
    if !is_there("python3", &["-c", "import prometheus_client"]) {
        return;
    }
    let names =
        ["calm.prom", "found.prom", "blind.prom", "drift.prom"].map(|name| path(&lab, name));
    let files: Vec<&str> = names.iter().map(String::as_str).collect();
    let read = read(&lab, "prometheus_file.py", &files);
    let one =
        |at: usize, name: &str| read[at][format!("boxctl_drift_{name}")]["samples"][0][1].clone();
    for (name, family) in read.as_array().unwrap().iter().flat_map(|file| file.as_object().unwrap())
    {
        assert!(name.starts_with("boxctl_"), "{name}");
        assert_eq!(family["type"], "gauge", "{name}");
        assert_eq!(family["documented"], true, "{name}");
    }
    let kinds = |at: usize| {
        let samples = read[at]["boxctl_drift_resources"]["samples"].as_array().unwrap().clone();
        samples
            .iter()
            .map(|sample| (sample[0]["kind"].clone(), sample[1].as_f64()))
            .collect::<Vec<_>>()
    };
    let counted = |drifted: f64, missing: f64| {
        let all = [("drifted", drifted), ("missing", missing), ("foreign", 0.0)];
        all.map(|(kind, number)| (json!(kind), Some(number))).to_vec()
    };
    assert_eq!(kinds(0), counted(0.0, 0.0));
    assert_eq!(kinds(1), counted(3.0, 1.0));
    let exposed = |at: usize| one(at, "exposed_hostnames").as_f64();
    assert_eq!((exposed(0), exposed(1)), (Some(0.0), Some(1.0)));
    let errors: Vec<bool> = (0..4).map(|at| one(at, "errors").as_f64().unwrap() > 0.0).collect();
    assert_eq!(errors, [false, false, true, true]);
    let success = "last_success_timestamp_seconds";
    assert_eq!(one(1, success), one(1, "last_run_timestamp_seconds"));
    assert_eq!(one(2, success), one(1, success), "the last run that could look is remembered");
    assert!(one(2, "last_run_timestamp_seconds").as_f64() > one(2, success).as_f64());
    assert_eq!(read[1]["boxctl_drift_requests"]["samples"].as_array().unwrap().len(), 3);
}

#[test]
fn annotations_are_at_their_places_and_results_stay_whole() {
    let lab = applied();
    meddle(&lab);
    std::fs::create_dir(lab.path().join("elsewhere")).unwrap();
    let ran = drift(&lab).exits(2);
    let all = ran.json();
    assert_eq!(all["project"], "lolice");
    assert_eq!(all["acknowledged"], json!([]));
    assert!(all["at"].is_string() && all["elapsed_ms"].is_number(), "{all:#}");
    let annotations: Vec<&str> =
        ran.err.lines().filter(|line| line.starts_with("::error")).collect();
    let found = |what: &str| annotations.iter().any(|line| line.contains(what));
    assert!(found("openhands.b0xp.io is open to everyone"), "{}", ran.err);
    assert!(found("::error file=manifests/socket/settings.yaml,line=1,col="), "{}", ran.err);
    assert!(found("title=missing access_application.openhands::"), "{}", ran.err);
    assert!(annotations.iter().all(|line| !line.contains("::error::x") || line.contains("%0A")));
    // In a repository, the way goes from its root.
    let dir = lab.path().file_name().unwrap().to_str().unwrap().to_owned();
    let output = lab
        .command()
        .env("GITHUB_WORKSPACE", lab.path().parent().unwrap())
        .env("GITHUB_STEP_SUMMARY", "summary.md")
        .args(["drift", "--annotations", "github", "--markdown", "summary.md"])
        .args(["--markdown", "comment.md"])
        .output();
    let err = String::from_utf8(output.unwrap().stderr).unwrap();
    assert!(err.contains(&format!("::error file={dir}/stacks/openhands.yaml,line=")), "{err}");
    // What is appended to keeps what others wrote.
    let comment = lab.read("comment.md");
    lab.write("summary.md", "before\n");
    let again = lab
        .command()
        .env("GITHUB_STEP_SUMMARY", "summary.md")
        .args(["drift", "--markdown", "summary.md", "--markdown", "comment.md"])
        .status();
    assert_eq!(again.unwrap().code(), Some(2));
    let summary = lab.read("summary.md");
    assert!(summary.starts_with("before\n<!-- boxctl:drift:lolice -->"), "{summary}");
    assert_eq!(lab.read("comment.md").matches("<!-- boxctl").count(), 1);
    assert!(comment.contains("is open to everyone"), "{comment}");
    // A command that comes to nothing says so in what it was to write.
    lab.write("stacks/openhands.yaml", "nonsense: true\n");
    lab.run(&["plan", "--markdown", "comment.md", "--html", "page.html"]).exits(1);
    assert!(lab.read("comment.md").starts_with("<!-- boxctl:plan:lolice -->"));
    assert!(lab.read("comment.md").contains("nonsense"), "{}", lab.read("comment.md"));
    assert!(lab.read("page.html").contains("<h1>It could not be done</h1>"));
    lab.run(&["plan", "--html", "none/page.html"]).exits(1).says("could not be written");
}
