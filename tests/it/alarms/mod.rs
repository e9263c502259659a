//! Each thing that someone does behind boxctl's back rings once, with who did it as far as the
//! service knows, and is quiet again when it is put right. What the files alone ask for rings never.

mod cases;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Mutex;

use boxctl::engine::attribution::date;
use boxctl::model::change::FieldChange;
use serde_json::{Value, json};

use cases::{ANN, CASES, Case, DEPLOYMENT, MORE, Quiet, lab, record};

use crate::lab::Lab;
use crate::permissions::{READ, token};
use crate::readonly::read_only;
use crate::recorder::Recorder;
use crate::told::flowing;

/// What rings: kind of drift, address, and everything told of it.
fn rings(found: &Value) -> Vec<(&'static str, String, String)> {
    let of = |kind: &'static str| {
        let all = found[kind].as_array().unwrap().iter();
        all.map(move |one| {
            (kind, one["address"].as_str().unwrap().to_owned(), one["fields"].to_string())
        })
    };
    ["drifted", "missing", "foreign"].into_iter().flat_map(of).collect()
}

#[test]
fn each_edit_rings_once_and_is_quiet_when_it_is_known_or_put_right() {
    // The sandbox alone tells of other hands here.
    let mut lab = lab();
    lab.run(&["drift"]).exits(0);
    let own: Vec<(&str, String)> =
        ["CLOUDFLARE_API_TOKEN", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "KUBECONFIG"]
            .map(|name| (name, lab.variable(name).to_owned()))
            .into();
    for Case { what, edit, rings: expected, by, quiet } in CASES {
        // Shown where the case fails.
        println!("{what}");
        edit(&lab);
        read_only(&mut lab);
        let found = lab.run(&["drift", "--json"]).exits(2).json();
        let all = rings(&found);
        assert_eq!(all.len(), expected.len(), "{what}: {all:#?}");
        for (kind, address, path) in *expected {
            let one = all.iter().find(|one| one.0 == *kind && one.1 == *address);
            let one = one.unwrap_or_else(|| panic!("{what}: no {kind} {address} in {all:#?}"));
            let part = path.replace('"', "\\\"");
            assert!(one.2.contains(&part), "{what}: no {path} in {one:#?}");
            match by {
                Some(by) => assert!(one.2.contains(by), "{what}: no {by} in {one:#?}"),
                None => assert!(!one.2.contains("\"by\":\""), "{what}: {one:#?}"),
            }
        }
        let errors = found["checks"].as_array().unwrap().iter();
        let errors: Vec<&Value> = errors.filter(|check| check["level"] == "error").collect();
        assert!(errors.is_empty(), "{what}: {errors:#?}");
        own.iter().for_each(|(name, value)| lab.set(name, value));
        let addresses: Vec<&str> = expected.iter().map(|one| one.1).collect();
        // Known, it is quiet.
        let words = ["--until", "1d", "--reason", what];
        lab.run(&[&["drift", "ack"], &addresses[..], &words].concat()).exits(0);
        let found = lab.run(&["drift", "--json"]).exits(0).json();
        assert_eq!(rings(&found), [], "{what}");
        let known = found["acknowledged"].as_array().unwrap();
        assert_eq!(known.len(), expected.len(), "{what}: {known:#?}");
        std::fs::remove_file(lab.path().join("drift.yaml")).unwrap();
        let revert = lab.run(&[&["drift", "revert", "--yes"], &addresses[..]].concat());
        match quiet {
            Quiet::Revert => drop(revert.exits(0)),
            Quiet::Undone(undo) => {
                revert.exits(5);
                undo(&lab);
            }
        }
        lab.run(&["drift"]).exits(0);
    }
    lab.is_settled(&[]);
}

#[test]
fn what_the_files_ask_for_is_pending_and_rings_never() {
    let lab = lab();
    let pending = |lab: &Lab| -> Vec<(String, String)> {
        let found = lab.run(&["drift", "--json"]).exits(0).json();
        let text = |one: &Value, key: &str| one[key].as_str().unwrap().to_owned();
        let all = found["pending"].as_array().unwrap().iter();
        all.map(|one| (text(one, "address"), text(one, "action"))).collect()
    };
    let owned = |all: &[(&str, &str)]| -> Vec<(String, String)> {
        all.iter().map(|(address, action)| ((*address).into(), (*action).into())).collect()
    };
    assert_eq!(pending(&lab), []);
    // The same in other words is none.
    lab.edit("stacks/more.yaml", "name: two, type: A", "name: TWO.b0xp.io., type: A");
    lab.edit("stacks/openhands.yaml", "session_duration: 24h", "session_duration: 1440m");
    assert_eq!(pending(&lab), []);
    lab.forget_requests();
    lab.edit("stacks/more.yaml", "content: 192.0.2.1", "content: 192.0.2.2");
    lab.edit("stacks/more.yaml", "{name: net}", "{name: grid}");
    lab.edit("stacks/more.yaml", "value: one", "value: two");
    lab.edit(
        "stacks/more.yaml",
        "  access_application.open: {name: open, domain: open.b0xp.io}\n",
        "",
    );
    lab.edit(
        "stacks/more.yaml",
        "accept:",
        "  dns_record.new: {name: new, type: A, content: 192.0.2.9}\naccept:",
    );
    lab.edit("stacks/openhands.yaml", "session_duration: 1440m", "session_duration: 12h");
    lab.edit("manifests/socket/deployment.yaml", "replicas: 1", "replicas: 2");
    let before = lab.requests().len();
    let expected = owned(&[
        ("dns_record.new", "create"),
        ("access_application.open", "delete"),
        ("dns_record.two", "update"),
        ("tunnel.net", "update"),
        ("ssm_parameter.plain", "update"),
        ("access_application.openhands", "update"),
        ("k8s.Deployment/openhands/openhands", "update"),
    ]);
    let (mut found, mut expected) = (pending(&lab), expected);
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    assert!(lab.changes().is_empty() && before == 0);
    lab.run(&["drift"]).exits(0).says("Not applied yet: 7 changes");
    lab.apply(&["--allow-large", "--allow-public", "open.b0xp.io"]);
    assert_eq!(pending(&lab), []);
}

#[test]
fn the_audit_log_is_asked_only_when_something_rings_and_nothing_fails_without_it() {
    let mut lab = lab();
    let all = lab.variable("CLOUDFLARE_API_TOKEN").to_owned();
    let asked = |lab: &Lab| {
        let requests = lab.requests();
        let is = |one: &&Value| one["path"].as_str().unwrap().ends_with("/logs/audit");
        requests.iter().filter(is).count()
    };
    let names: Vec<&str> = READ.map(|(name, _)| name).into();
    let blind = token(&lab, &names);
    let edits = ["DNS Read", "DNS Write", "Zone Read"];
    let robot = token(&lab, &edits);
    let reader = token(&lab, &[&names[..], &["Account Settings Read"]].concat());

    lab.set("CLOUDFLARE_API_TOKEN", &reader);
    lab.forget_requests();
    lab.run(&["drift"]).exits(0);
    lab.patch(DEPLOYMENT, json!({"spec": {"replicas": 3}}));
    lab.run(&["drift"]).exits(2);
    assert_eq!(asked(&lab), 0, "nothing rings at Cloudflare");

    // A program with a token of its own.
    lab.set("CLOUDFLARE_API_TOKEN", &robot);
    let path = record(&lab, "two.b0xp.io");
    lab.cloudflare("PATCH", &path, Some(json!({"content": "192.0.2.7"})));
    lab.set("CLOUDFLARE_API_TOKEN", &reader);
    lab.forget_requests();
    let told = lab.run(&["drift"]).exits(2);
    assert!(flowing(&told.out).contains("written by the API token plan of owner@example.com, 2"));
    assert_eq!(asked(&lab), 1);
    assert!(lab.changes().is_empty());

    // Without the permission: when, as the record itself says; and what would tell by whom.
    lab.set("CLOUDFLARE_API_TOKEN", &blind);
    let told = flowing(&lab.run(&["drift"]).exits(2).out);
    assert!(!told.contains("written by the API token"), "{told}");
    assert!(told.contains("who changed it at Cloudflare is not known"), "{told}");
    assert!(told.contains("`Account Settings Read` for the account"), "{told}");
    assert!(told.contains("^ written 2"), "{told}");

    // A page may be smaller than is asked for.
    lab.set("CLOUDFLARE_API_TOKEN", &all);
    let refused = json!({"path": "*/logs/audit", "times": 1, "status": 400,
        "body": {"success": false, "errors": [{"code": 1001, "message": "limit"}], "messages": [],
            "result": null}});
    lab.plan_faults(&json!([refused]));
    lab.set("CLOUDFLARE_API_TOKEN", &reader);
    lab.forget_requests();
    assert!(flowing(&lab.run(&["drift"]).exits(2).out).contains("written by the API token plan"));
    assert_eq!(asked(&lab), 2);

    // Nor does anything fail where the log itself does.
    lab.set("CLOUDFLARE_API_TOKEN", &all);
    lab.plan_faults(&json!([{"path": "*/logs/audit", "times": 1000, "status": 404,
        "body": "<html>no such page</html>"}]));
    lab.run(&["drift"]).exits(2).says("who changed it at Cloudflare is not known");
}

/// Changes what the files say of a record, and carries that out, each time that boxctl begins to
/// look, until it was done so often.
fn apply_beside_each_look(lab: &mut Lab, times: usize, from: usize) -> Recorder {
    let base = lab.variable("CLOUDFLARE_BASE_URL").to_owned();
    let (mut apply, file) = (lab.command(), lab.path().join("stacks/more.yaml"));
    apply.args(["apply", "--yes", "more"]).stdout(Stdio::null()).stderr(Stdio::null());
    let done = Mutex::new((0, apply));
    let recorder = Recorder::instead(&base, move |asked| {
        let mut done = done.lock().unwrap();
        let (rounds, apply) = &mut *done;
        // Every look reads the zones first, and the records after them.
        if asked.path.ends_with("/zones") && *rounds < times {
            *rounds += 1;
            let text = MORE.replace("192.0.2.1", &format!("192.0.2.{}", from + *rounds));
            std::fs::write(&file, text).unwrap();
            assert!(apply.status().unwrap().success());
        }
        None
    });
    lab.set("CLOUDFLARE_BASE_URL", recorder.url());
    recorder
}

#[test]
fn a_run_that_comes_and_goes_while_drift_looks_does_not_ring() {
    let mut lab = lab();
    let base = lab.variable("CLOUDFLARE_BASE_URL").to_owned();
    // It looks again, and sees records and world as that run has left them.
    let once = apply_beside_each_look(&mut lab, 1, 50);
    let found = lab.run(&["drift", "--json"]).exits(0).json();
    assert_eq!((&rings(&found)[..], &found["in_progress"]), (&[][..], &json!([])));
    let looks = once.heard().iter().filter(|said| said.path == "/zones").count();
    assert_eq!(looks, 2);
    // One after the other: nobody can tell what is older, and it does not look for ever.
    lab.set("CLOUDFLARE_BASE_URL", &base);
    let always = apply_beside_each_look(&mut lab, usize::MAX, 100);
    let found = lab.run(&["drift", "--json"]).exits(0).json();
    assert_eq!(rings(&found), []);
    assert_eq!(found["in_progress"][0]["stack"], "more", "{found:#}");
    assert_eq!(found["in_progress"][0]["resources"], json!(["dns_record.two"]));
    let looks = always.heard().iter().filter(|said| said.path == "/zones").count();
    assert_eq!(looks, 3);
    lab.set("CLOUDFLARE_BASE_URL", &base);
    lab.run(&["drift"]).exits(0);
}

/// Every file of the project with what is in it, the sandbox's own aside.
fn files(lab: &Lab) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut dirs = vec![lab.path().to_path_buf()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            match path.file_name().unwrap().to_str().unwrap() {
                ".boxctl" | "requests.log" => {}
                _ if path.is_dir() => dirs.push(path),
                _ => drop(found.insert(path.clone(), std::fs::read(&path).unwrap())),
            }
        }
    }
    found
}

#[test]
fn the_job_reads_with_credentials_that_may_only_read_and_writes_nothing() {
    let mut lab = lab();
    let path = record(&lab, "two.b0xp.io");
    for Case { edit, .. } in CASES.iter().filter(|case| matches!(case.quiet, Quiet::Undone(_))) {
        edit(&lab);
    }
    lab.dashboard(ANN, "PATCH", &path, Some(json!({"content": "192.0.2.7"})));
    lab.ssm("PutParameter", json!({"Name": "plain", "Value": "x", "Overwrite": true}));
    lab.patch(DEPLOYMENT, json!({"spec": {"replicas": 3}}));
    read_only(&mut lab);
    lab.forget_requests();
    let before = files(&lab);
    let found = lab.run(&["drift", "--json"]).exits(2).json();
    assert_eq!(rings(&found).len(), 9, "{found:#}");
    assert_eq!(files(&lab), before);
    assert!(lab.changes().is_empty(), "{:?}", lab.changes());
    let requests = lab.requests();
    let text = |one: &Value, key: &str| one[key].as_str().unwrap().to_owned();
    for one in &requests {
        let (service, method, path) =
            (text(one, "service"), text(one, "method"), text(one, "path"));
        let reads = match service.as_str() {
            "ssm" => path.starts_with("Describe") || path == "ListTagsForResource",
            "sts" => path == "GetCallerIdentity",
            // What wants a permission to write, although it only reads.
            "cloudflare" => method == "GET" && !path.ends_with("/token"),
            _ => method == "GET",
        };
        assert!(reads, "{service} {method} {path}");
        assert_eq!(one["status"].as_u64().unwrap() / 100, 2, "{service} {method} {path}");
    }
    let log = requests.iter().filter(|one| text(one, "path").ends_with("/logs/audit")).count();
    assert_eq!(log, 1);
}

#[test]
fn the_binary_is_quiet_as_long_as_nothing_happens() {
    let mut lab = Lab::with("openhands", &["--mangle", "11"]);
    lab.apply(&[]);
    for _ in 0..3 {
        lab.run(&["drift"]).exits(0).says("No drift.");
        // The order of answers begins anew.
        lab.restart(&["--mangle", "11"]);
    }
}

#[test]
fn what_was_applied_is_not_pending_whatever_it_is_made_of() {
    for fixture in ["longform", "several", "connector", "volumes"] {
        let lab = Lab::own(fixture);
        lab.apply(&[]);
        let found = lab.run(&["drift", "--json"]).exits(0).json();
        assert_eq!(found["pending"], json!([]), "{fixture}");
    }
}

#[test]
fn what_another_run_of_boxctl_applied_is_said_to_be_that_ones() {
    let kind = boxctl::kinds::find("k8s").unwrap();
    let dated = |applied: &str, by: Option<&str>| {
        let recorded = serde_json::from_value(json!({"kind": "k8s", "id": "x", "key": {},
            "sent": {}, "answered": {}, "modified_at": "2026-01-02T03:04:05Z",
            "created_at": "2026-01-02T03:04:05Z", "updated_at": "2026-01-02T03:04:05Z"}))
        .unwrap();
        let raw = json!({"metadata": {"managedFields": [
            {"manager": "boxctl", "operation": "Apply", "time": applied, "fieldsV1": {}},
            {"manager": "other", "operation": "Update", "time": "2026-02-02T03:04:05Z",
                "fieldsV1": {}}]}});
        let remote = boxctl::model::observed::Remote {
            id: "x".to_owned(),
            spec: json!({}),
            outputs: serde_json::Map::new(),
            version: None,
            raw,
        };
        let mut field = FieldChange::new("spec.replicas", Some(json!(1)), Some(json!(3)));
        field.by = by.map(str::to_owned);
        field.since = by.map(|_| "2026-02-02T03:04:05Z".to_owned());
        let mut fields = vec![field];
        date(kind, &recorded, &remote, &mut fields);
        let FieldChange { by, since, note, .. } = fields.remove(0);
        (by.unwrap_or_default(), since.unwrap_or_default(), note.unwrap_or_default())
    };
    let later = "2026-01-03T00:00:00Z";
    let (by, since, note) = dated(later, None);
    assert_eq!((by.as_str(), since.as_str()), ("boxctl", later));
    assert!(note.contains("by another run"), "{note}");
    // What someone else owns is theirs, and boxctl's own write is nobody's.
    assert_eq!(dated(later, Some("other")).0, "other");
    assert_eq!(dated("2026-01-02T03:04:05Z", None), Default::default());
}
