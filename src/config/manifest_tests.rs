//! Stacks with manifests of every origin, loaded.

use super::tests::{PROJECT, Table, addresses, one, shown};
use super::*;

#[test]
fn what_becomes_of_a_command_is_told_where_it_is_asked_for() {
    for (argv, level, message, rest) in [
        (
            "fail, badly",
            Level::Error,
            "`fail badly` failed",
            "it ended with exit status 3; first; badly at /project/stacks; it ran in stacks, without boxctl's credentials",
        ),
        (
            "sleep",
            Level::Error,
            "`sleep` took too long",
            "it was ended after 90000 ms, the limit; `timing: {command: 5m}` in boxctl.yaml gives it more time",
        ),
        (
            "no-tool",
            Level::Error,
            "`no-tool` could not be run",
            "there is no program `no-tool`; install `no-tool`, or put the directory it is in on PATH",
        ),
        (
            "fail, \"a long story\\n in lines that goes on and on and on and on and on\"",
            Level::Error,
            "`fail a long story in lines that goes on and on and on and on…` failed",
            "it ended with exit status 3; first; a long story;  in lines that goes on and on and on and on and on at /project/stacks; it ran in stacks, without boxctl's credentials",
        ),
        ("silent", Level::Warning, "`silent` printed no manifest", ""),
        ("warn", Level::Note, "`warn` has something to say", "a is deprecated"),
    ] {
        let table = Table::of(&[
            ("boxctl.yaml", &format!("{PROJECT}timing: {{command: 90s}}\n")),
            ("stacks/s.yaml", &format!("manifests:\n  - command: [{argv}]\n")),
        ]);
        let reports = match table.load(&Inputs::default()) {
            Ok(loaded) => loaded.reports,
            Err(reports) => reports,
        };
        let [report] = reports.as_slice() else { panic!("{argv}: {}", shown(&reports)) };
        let place = report.location.as_ref().map(ToString::to_string);
        assert_eq!(place.as_deref(), Some("stacks/s.yaml:2:14"), "{argv}");
        assert_eq!((report.level, report.message.as_str()), (level, message));
        let said: Vec<&str> =
            report.causes.iter().chain(&report.hints).map(String::as_str).collect();
        assert_eq!(said.join("; "), rest);
    }
}

#[test]
fn what_a_command_would_print_is_not_missed_where_it_is_not_run() {
    let table = one(
        "manifests: [{command: [print, it]}]\nsettings: {k8s.ConfigMap/a/print-it: {ignore: [data.x]}}\nresources:\n  tunnel.a: {name: a, depends_on: [k8s.ConfigMap/a/print-it]}\nservices:\n  s: {hostname: s.b0xp.io, origin: \"http://a\", access: public, connector: {workload: Deployment/a/b}}\n",
    );
    assert!(table.load(&Inputs::default()).is_err(), "the command prints no Deployment");
    let skipped = Inputs { commands: Commands::Skip, ..Inputs::default() };
    let loaded = table.load(&skipped).unwrap_or_else(|reports| panic!("{}", shown(&reports)));
    assert!(loaded.stacks[0].partial);
    assert!(!addresses(&loaded.stacks[0]).iter().any(|address| address.starts_with("k8s.")));
    let messages: Vec<&str> = loaded.reports.iter().map(|r| r.message.as_str()).collect();
    assert_eq!(messages, ["`print it` was not run: what it prints is not looked at"]);
}

#[test]
fn mistakes_in_manifests_are_told_at_their_places() {
    let table = [
        (
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: on, namespace: a}\n",
            3,
            18,
            "`metadata.name` is to be text, not true",
            "quotes",
        ),
        (
            "apiVersion: v1\nkind: Pod\nmetadata: {generateName: x-}\n",
            3,
            26,
            "no `metadata.name`",
            "another one each time",
        ),
        (
            "apiVersion: v1\nkind: Pod\nmetadata: {name: \"${tunnel.t.id}\", namespace: a}\n",
            3,
            18,
            "must be known from the files",
            "a variable",
        ),
        (
            "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: \"${tunnel.t.id}\"}\n",
            3,
            32,
            "must be known from the files",
            "a variable",
        ),
        (
            "apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: a}\ndata:\n  t: ${tunnel.t.token}\n",
            5,
            6,
            "`data.t` is to be base64",
            "`stringData`",
        ),
        (
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: a}\ndata:\n  t: ${tunnel.x.token}\n",
            5,
            6,
            "no resource or lookup `tunnel.x`",
            "tunnel.t",
        ),
        (
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: a}\ndata:\n  t: ${tunnel.t.tokn}\n",
            5,
            6,
            "no output `tokn`",
            "did you mean `token`?",
        ),
        (
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: a}\ndata:\n  t: ${var.colr}\n",
            5,
            6,
            "no variable `colr`",
            "did you mean `color`?",
        ),
        (
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: a}\ndata:\n  t: ${HOME}\n",
            5,
            6,
            "is no reference",
            "`$${`",
        ),
    ];
    let stack = "variables: {color: {default: red}}\nresources: {tunnel.t: {name: t}}\nmanifests: [{path: ../m.yaml, substitute: true}]\n";
    for (text, line, column, message, hint) in table {
        let table =
            Table::of(&[("boxctl.yaml", PROJECT), ("stacks/s.yaml", stack), ("m.yaml", text)]);
        let reports = table.load(&Inputs::default()).expect_err(text);
        let [report] = reports.as_slice() else { panic!("{text}: {}", shown(&reports)) };
        let place = report.location.as_ref().map(|at| (at.file.as_str(), at.line, at.column));
        assert_eq!(place, Some(("m.yaml", line, column)), "{text}: {}", report.message);
        assert!(report.message.contains(message), "{text}: {}", report.message);
        assert!(report.hints.join(" ").contains(hint), "{text}: {:?}", report.hints);
    }
}

#[test]
fn references_stand_in_manifests_only_where_that_is_said() {
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: a}\ndata: {color: \"${var.color}\", m: \"$${x}\", id: \"is ${tunnel.t.id}\"}\n";
    let load = |entry: &str| {
        let stack = format!(
            "variables: {{color: {{default: red}}}}\nresources: {{tunnel.t: {{name: t}}}}\nmanifests: [{entry}]\n"
        );
        let table =
            Table::of(&[("boxctl.yaml", PROJECT), ("stacks/s.yaml", &stack), ("m.yaml", text)]);
        let loaded = table.load(&Inputs::default());
        let loaded = loaded.unwrap_or_else(|reports| panic!("{}", shown(&reports)));
        loaded.stacks[0].resources.iter().find(|r| r.address.is_kubernetes()).unwrap().spec["data"]
            .clone()
    };
    let as_it_is =
        serde_json::json!({"color": "${var.color}", "m": "$${x}", "id": "is ${tunnel.t.id}"});
    assert_eq!(load("../m.yaml"), as_it_is);
    let replaced = load("{path: ../m.yaml, substitute: true}");
    assert_eq!((&replaced["color"], &replaced["m"]), (&"red".into(), &"${x}".into()));
    assert!(Special::of(&replaced["id"]).is_some(), "{replaced}");
}

#[test]
fn an_object_that_two_files_declare_is_named_at_both_places() {
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: b}\n";
    let table = Table::of(&[
        ("boxctl.yaml", PROJECT),
        ("stacks/s.yaml", "manifests: [../m]\n"),
        ("m/1.yaml", map),
        ("m/2.json", &format!("# twice\n{map}")),
    ]);
    let reports = table.load(&Inputs::default()).unwrap_err();
    assert_eq!(
        shown(&reports),
        "m/2.json:2:1: k8s.ConfigMap/b/a is declared twice [\"it is declared at m/1.yaml:1:1 already\"]\n"
    );
}

#[test]
fn a_copy_in_a_namespace_of_its_own_stands_beside_the_original() {
    let manifests = "apiVersion: v1\nkind: Namespace\nmetadata: {name: app}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: app}\n---\napiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\nmetadata: {name: p}\nvalue: 1\n";
    let project = |copy: &str| {
        Table::of(&[
            ("boxctl.yaml", PROJECT),
            ("m.yaml", manifests),
            ("stacks/a.yaml", "manifests: [../m.yaml]\n"),
            ("stacks/b.yaml", copy),
        ])
    };
    let reports = project("manifests: [../m.yaml]\n").load(&Inputs::default()).unwrap_err();
    assert!(shown(&reports).contains("are one object"), "{}", shown(&reports));
    let loaded = project("manifests: [{path: ../m.yaml, namespace: try}]\n")
        .load(&Inputs::default())
        .unwrap_or_else(|reports| panic!("{}", shown(&reports)));
    assert_eq!(addresses(&loaded.stacks[1]), ["k8s.Namespace/try", "k8s.ConfigMap/try/a"]);
    assert!(shown(&loaded.reports).contains("PriorityClass `p`"), "{}", shown(&loaded.reports));
}

#[test]
fn a_namespace_that_the_api_would_refuse_is_told_where_it_stands() {
    for name in ["Try", "try_1", "-try", "try-", "a.b", "\"\""] {
        let table = Table::of(&[
            ("boxctl.yaml", PROJECT),
            ("stacks/s.yaml", &format!("manifests: [{{path: ../m.yaml, namespace: {name}}}]\n")),
            ("m.yaml", ""),
        ]);
        let reports = table.load(&Inputs::default()).expect_err(name);
        let place = reports[0].location.as_ref().map(ToString::to_string);
        assert_eq!(place.as_deref(), Some("stacks/s.yaml:1:42"), "{name}");
        assert!(reports[0].message.contains("is no name of a namespace"), "{}", shown(&reports));
    }
}
