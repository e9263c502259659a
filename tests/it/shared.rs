//! A tunnel's configuration that several write: other hands between the calls of a run, and stacks
//! that share a tunnel.

use std::process::Stdio;
use std::sync::Mutex;

use serde_json::{Value, json};

use crate::lab::Lab;
use crate::recorder::Recorder;

/// A stack of one rule in the configuration of a tunnel that is there already.
fn stack(hostname: &str, port: u16, shared: &str) -> String {
    format!(
        "lookups: {{tunnel.common: {{name: common}}}}
resources:
  tunnel_config.own:
    tunnel: ${{tunnel.common.id}}
    ingress: [{{hostname: \"{hostname}\", service: \"http://own:{port}\"}}]
{shared}accept: {{unguarded: a test}}
"
    )
}

const SHARED: &str = "    shared: [ingress]\n";

/// A lab with a tunnel of someone, and one stack for each text.
fn lab(options: &[&str], stacks: &[(&str, &str)]) -> Lab {
    let lab = Lab::with("longform", options);
    std::fs::remove_file(lab.path().join("stacks/openhands.yaml")).unwrap();
    lab.cloudflare("POST", &lab.account("cfd_tunnel"), Some(json!({"name": "common"})));
    for (name, text) in stacks {
        lab.write(&format!("stacks/{name}.yaml"), text);
    }
    lab
}

fn configuration(lab: &Lab) -> String {
    let tunnel = lab.only(&lab.account("cfd_tunnel?is_deleted=false&name=common"));
    lab.account(&format!("cfd_tunnel/{}/configurations", tunnel["id"].as_str().unwrap()))
}

/// `hostname service` of the rules, the last one aside.
fn rules(lab: &Lab) -> Vec<String> {
    let all = lab.cloudflare("GET", &configuration(lab), None)["config"]["ingress"].clone();
    let mut all = all.as_array().cloned().unwrap_or_default();
    assert!(all.pop().is_none_or(|last| last.get("hostname").is_none()));
    let text = |rule: &Value, key: &str| rule[key].as_str().unwrap().to_owned();
    all.iter().map(|rule| format!("{} {}", text(rule, "hostname"), text(rule, "service"))).collect()
}

fn put(lab: &Lab, rules: &[(&str, &str)]) {
    lab.cloudflare("PUT", &configuration(lab), Some(body(rules)));
}

fn body(rules: &[(&str, &str)]) -> Value {
    let rules = rules.iter().map(|(host, service)| json!({"hostname": host, "service": service}));
    let last = json!({"service": "http_status:404"});
    json!({"config": {"ingress": rules.chain([last]).collect::<Vec<_>>()}})
}

/// When someone writes.
#[derive(Clone, Copy, PartialEq, Debug)]
enum When {
    /// When the step is about to read what is there.
    BeforeTheReading,
    /// When what it writes is on its way.
    BeforeTheWrite,
    /// When it has written, once.
    AfterTheWrite,
    /// Whenever it has written.
    AfterEachWrite,
}

/// Has someone write rules at a moment of the next run.
fn meddle(lab: &mut Lab, when: When, rules: &[(&str, &str)]) -> Recorder {
    let base = lab.variable("CLOUDFLARE_BASE_URL").to_owned();
    let url = format!("{base}{}", configuration(lab));
    let (token, rules) = (lab.variable("CLOUDFLARE_API_TOKEN").to_owned(), body(rules));
    let write = move || {
        let (url, token, rules) = (url.clone(), token.clone(), rules.clone());
        let written = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let http = reqwest::Client::builder().no_proxy().build().unwrap();
                http.put(url).bearer_auth(token).json(&rules).send().await.unwrap().status()
            })
        });
        assert!(written.join().unwrap().is_success());
    };
    let seen = Mutex::new((0, 0, false));
    let recorder = Recorder::instead(&base, move |asked| {
        if !asked.path.ends_with("/configurations") {
            return None;
        }
        let mut seen = seen.lock().unwrap();
        let is_write = asked.method == "PUT";
        let (reads, writes, done) = &mut *seen;
        let now = match when {
            When::BeforeTheReading => !is_write && *reads == 1,
            When::BeforeTheWrite => is_write && *writes == 0,
            When::AfterTheWrite => !is_write && *writes == 1 && !*done,
            When::AfterEachWrite => !is_write && *writes > 0,
        };
        if now {
            write();
            *done = true;
        }
        *(if is_write { writes } else { reads }) += 1;
        None
    });
    lab.set("CLOUDFLARE_BASE_URL", recorder.url());
    recorder
}

#[test]
fn a_configuration_that_someone_writes_meanwhile_is_not_written_over_unseen() {
    let own = |port: u16| format!("own.b0xp.io http://own:{port}");
    let theirs = "theirs.b0xp.io http://theirs:1";
    let edit = [("own.b0xp.io", "http://own:1"), ("theirs.b0xp.io", "http://theirs:1")];
    for (when, shared, exit, says, after) in [
        (When::BeforeTheReading, "", 1, "(rules of theirs.b0xp.io)", vec![own(1), theirs.into()]),
        (When::BeforeTheReading, SHARED, 0, "", vec![own(2), theirs.into()]),
        (When::BeforeTheWrite, "", 3, "had come in between from someone else", vec![own(2)]),
        (When::BeforeTheWrite, SHARED, 3, "had come in between from someone else", vec![own(2)]),
        (When::AfterTheWrite, "", 0, "", vec![own(2), theirs.into()]),
        (When::AfterTheWrite, SHARED, 0, "", vec![own(2), theirs.into()]),
        (When::AfterEachWrite, "", 3, "keeps writing", vec![own(1), theirs.into()]),
        (When::AfterEachWrite, SHARED, 3, "keeps writing", vec![own(1), theirs.into()]),
    ] {
        let mut lab = lab(&[], &[("own", &stack("own.b0xp.io", 1, shared))]);
        lab.apply(&[]);
        lab.write("stacks/own.yaml", &stack("own.b0xp.io", 2, shared));
        let direct = lab.variable("CLOUDFLARE_BASE_URL").to_owned();
        let recorder = meddle(&mut lab, when, &edit);
        let ran = lab.run(&["apply", "--yes"]);
        lab.set("CLOUDFLARE_BASE_URL", &direct);
        drop(recorder);
        let said = format!("{when:?} {shared}: {}{}", ran.out, ran.err);
        assert_eq!(ran.code, exit, "{said}");
        assert!(said.contains(says), "{said}");
        assert_eq!(rules(&lab), after, "{said}");
        // What is left to decide is in the next plan.
        let is_settled = after == [own(2)] || exit == 0 && !shared.is_empty();
        lab.run(&["plan", "--detailed-exitcode"]).exits(if is_settled { 0 } else { 2 });
        lab.apply(&[]);
        assert_eq!(rules(&lab)[0], own(2), "{said}");
        lab.is_settled(&[]);
    }
}

#[test]
fn stacks_that_share_a_tunnel_keep_each_others_rules() {
    let own = stack("a.b0xp.io", 1, SHARED);
    let lab = lab(&[], &[("a", &own), ("b", &stack("*.b0xp.io", 1, SHARED))]);
    put(&lab, &[("theirs.example.org", "http://theirs:1")]);
    let theirs = "theirs.example.org http://theirs:1";
    // Whoever comes first, the narrower rule stands before the wider one.
    for order in [["a", "b"], ["b", "a"]] {
        order.iter().for_each(|name| drop(lab.apply(&[name])));
        let all = [theirs, "a.b0xp.io http://own:1", "*.b0xp.io http://own:1"];
        assert_eq!(rules(&lab), all);
        lab.is_settled(&[]);
        lab.is_settled(&["a"]);
        lab.is_settled(&["b"]);
        // What was there before, and what the other one wrote, is known; what comes later is said.
        lab.run(&["drift"]).exits(0);
        let before = [
            ("theirs.example.org", "http://theirs:1"),
            ("a.b0xp.io", "http://own:1"),
            ("*.b0xp.io", "http://own:1"),
        ];
        put(&lab, &[&[("later.example.org", "http://later:1")], &before[..]].concat());
        let drift = lab.run(&["drift", "a", "--json"]).exits(2).json();
        let foreign = drift["foreign"].to_string();
        assert!(foreign.contains("later.example.org"), "{drift:#}");
        assert!(!foreign.contains("theirs") && !foreign.contains("*"), "{drift:#}");
        put(&lab, &before);
        lab.run(&["drift"]).exits(0);
        lab.write("stacks/a.yaml", &stack("a.b0xp.io", 2, SHARED));
        lab.apply(&[]);
        assert_eq!(rules(&lab), [theirs, "a.b0xp.io http://own:2", "*.b0xp.io http://own:1"]);
        lab.write("stacks/a.yaml", &own);
        lab.apply(&[]);
        lab.run(&["destroy", order[0], "--yes"]).exits(0);
        assert_eq!(rules(&lab).len(), 2, "{order:?}");
        lab.is_settled(&[order[1]]);
        lab.run(&["destroy", order[1], "--yes"]).exits(0);
        assert_eq!(rules(&lab), [theirs]);
    }
    // A wider rule that someone puts first takes requests away, and is put behind.
    lab.apply(&["a"]);
    put(&lab, &[("*.b0xp.io", "http://theirs:1"), ("a.b0xp.io", "http://own:1")]);
    lab.run(&["drift", "a"]).exits(2).says("takes all requests of another one");
    lab.apply(&["a"]);
    assert_eq!(rules(&lab), ["a.b0xp.io http://own:1", "*.b0xp.io http://theirs:1"]);
    lab.is_settled(&["a"]);
}

#[test]
fn runs_at_the_same_time_take_turns_at_a_tunnel_that_their_stacks_share() {
    let names = ["a", "b", "c"];
    let of = |port: u16| names.map(|name| (name, stack(&format!("{name}.b0xp.io"), port, SHARED)));
    let text = of(1);
    let stacks: Vec<(&str, &str)> =
        text.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let lab = lab(&["--latency", "30"], &stacks);
    for port in [1, 2] {
        for (name, text) in of(port) {
            lab.write(&format!("stacks/{name}.yaml"), &text);
        }
        let apply = |name: &&str| {
            let mut command = lab.command();
            command.args(["apply", name, "--yes"]).stdout(Stdio::piped()).stderr(Stdio::piped());
            command.spawn().unwrap()
        };
        let running: Vec<_> = names.iter().map(apply).collect();
        for one in running {
            let ended = one.wait_with_output().unwrap();
            assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        }
        let mut all = rules(&lab);
        all.sort();
        assert_eq!(all, names.map(|name| format!("{name}.b0xp.io http://own:{port}")));
        lab.is_settled(&[]);
        lab.run(&["drift"]).exits(0);
    }
}

#[test]
fn a_tunnel_stays_while_others_have_rules_in_it() {
    let owner = stack("a.b0xp.io", 1, SHARED)
        .replace("lookups: {tunnel.common: {name: common}}\n", "")
        .replace("resources:\n", "resources:\n  tunnel.common: {name: common, adopt: true}\n");
    let lab = lab(&[], &[("a", &owner), ("b", &stack("b.b0xp.io", 1, SHARED))]);
    lab.apply(&[]);
    lab.forget_requests();
    let refused = lab.run(&["destroy", "a", "--yes"]).exits(5);
    refused
        .says("it also routes b.b0xp.io, of the stack b")
        .says("--allow-protected tunnel.common");
    assert!(lab.changes().is_empty(), "{:?}", lab.changes());
    // Together they can go.
    lab.run(&["destroy", "a", "b", "--yes"]).exits(0);
    let left = lab.cloudflare("GET", &lab.account("cfd_tunnel?is_deleted=false"), None);
    assert_eq!(left, json!([]));
}
