use super::super::tests::{PROJECT, Table};
use super::*;
use crate::model::change::FieldChange;
use serde_json::json;

const DIR: &str = "/project";

fn drift(address: &str, kind: DriftKind, paths: &[(&str, Option<Json>)]) -> Drift {
    let paths = paths.iter().map(|(path, after)| FieldChange::new(*path, None, after.clone()));
    Drift { address: address.parse().unwrap(), kind, paths: paths.collect() }
}

/// What an edit makes of the one file that it changes; an error as its causes and hints.
fn edited(files: &[(&str, &str)], drift: &Drift) -> Result<(String, Option<String>), String> {
    let mut all = vec![("boxctl.yaml", PROJECT)];
    all.extend(files);
    let table = Table::of(&all);
    let files = Edited::new(&table);
    match accept(Path::new(DIR), &files, &Inputs::default(), "s", drift) {
        Ok(edited) => {
            assert_eq!(edited.files.len(), 1, "{:?}", edited.files);
            let (path, text) = edited.files.into_iter().next().unwrap();
            let name = path.strip_prefix(DIR).unwrap().display().to_string();
            Ok((name, text))
        }
        Err(report) => Err([report.causes, report.hints].concat().join("; ")),
    }
}

#[track_caller]
fn is(files: &[(&str, &str)], drift: &Drift, name: &str, from: &str, to: &str) {
    let (found, text) = edited(files, drift).unwrap_or_else(|why| panic!("{why}"));
    let before = files.iter().find(|(file, _)| *file == name).unwrap().1;
    assert!(before.contains(from), "{from} is not in {before}");
    assert_eq!((found.as_str(), text.as_deref()), (name, Some(before.replace(from, to).as_str())));
}

const RECORDS: &str = "\
resources:
  # the first
  dns_record.a: {name: a.b0xp.io, type: A, content: 192.0.2.1, ttl: 300} # one
  dns_record.b:
    name: b.b0xp.io # two
    type: A
    content: \"192.0.2.2\"
  dns_record.c: {name: c.b0xp.io, type: CNAME, content: \"${dns_record.a.hostname}\"}
";

#[test]
fn a_resource_is_edited_where_it_is_written() {
    use DriftKind::{Drifted, Missing};
    let files = [("stacks/s.yaml", RECORDS)];
    let name = "stacks/s.yaml";
    let ttl = drift("dns_record.a", Drifted, &[("ttl", Some(json!(60)))]);
    is(&files, &ttl, name, "ttl: 300", "ttl: 60");
    let no_ttl = drift("dns_record.a", Drifted, &[("ttl", None)]);
    is(&files, &no_ttl, name, ", ttl: 300", "");
    let content = drift("dns_record.b", Drifted, &[("content", Some(json!("192.0.2.9")))]);
    is(&files, &content, name, "\"192.0.2.2\"", "\"192.0.2.9\"");
    let comment = drift("dns_record.b", Drifted, &[("comment", Some(json!("cost: ${x}")))]);
    let added = "\"192.0.2.2\"\n    comment: \"cost: $${x}\"\n";
    is(&files, &comment, name, "\"192.0.2.2\"\n", added);
    let gone = drift("dns_record.b", Missing, &[("id", None)]);
    let b = "  dns_record.b:\n    name: b.b0xp.io # two\n    type: A\n    content: \"192.0.2.2\"\n";
    is(&files, &gone, name, b, "");
}

#[test]
fn what_can_not_be_edited_says_why() {
    use DriftKind::{Drifted, Foreign, Missing};
    let files = [("stacks/s.yaml", RECORDS)];
    let mut secret = drift("dns_record.a", Drifted, &[("content", Some(json!("x")))]);
    secret.paths[0].secret = true;
    for (drift, why) in [
        (
            drift("dns_record.c", Drifted, &[("content", Some(json!("x.example.org")))]),
            "content is written as `\"${dns_record.a.hostname}\"`",
        ),
        (
            drift("dns_record.c", Drifted, &[("content", Some(json!("x.example.org")))]),
            "by hand: `content` is to be \"x.example.org\"",
        ),
        (drift("dns_record.a", Missing, &[("id", None)]), "without it: stacks/s.yaml"),
        (drift("dns_record.z", Drifted, &[("ttl", None)]), "no file asks for it any more"),
        (
            drift("dns_record.a", Foreign, &[("records", Some(json!({})))]),
            "can't be said of it in a file",
        ),
        (
            drift("dns_record.a", Foreign, &[("policies[id=\"7\"]", Some(json!({"id": "7"})))]),
            "is an object of its own",
        ),
        (secret, "its value is a secret"),
    ] {
        let said = edited(&files, &drift).unwrap_err();
        assert!(said.contains(why), "{why} is not in {said}");
    }
}

const MANIFESTS: &str = "\
# the map
apiVersion: v1
kind: ConfigMap
metadata: {name: one, namespace: a}
data:
  key: ${not} # a reference to nobody
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: two
  namespace: a
data: {key: x, \"other\": 'y'}
---
# the last
apiVersion: v1
kind: Service
metadata: {name: three, namespace: a}
spec:
  ports:
  - port: 80 # plain
    protocol: TCP
  - {port: 443, protocol: TCP}
";

#[test]
fn a_manifest_is_edited_in_its_document() {
    use DriftKind::{Drifted, Missing};
    let files = [("stacks/s.yaml", "manifests: [../m]\n"), ("m/all.yaml", MANIFESTS)];
    let name = "m/all.yaml";
    let one = drift("k8s.ConfigMap/a/one", Drifted, &[("data.key", Some(json!("${new}")))]);
    is(&files, &one, name, "${not} #", "\"${new}\" #");
    let two = drift("k8s.ConfigMap/a/two", Drifted, &[("data.other", Some(json!("z")))]);
    is(&files, &two, name, "'y'", "'z'");
    let path = "spec.ports[port=80,protocol=\"TCP\"].nodePort";
    let three = drift("k8s.Service/a/three", Drifted, &[(path, Some(json!(30080)))]);
    is(&files, &three, name, "    protocol: TCP\n", "    protocol: TCP\n    nodePort: 30080\n");
    let labels =
        drift("k8s.ConfigMap/a/two", Drifted, &[("metadata.labels[\"a/b\"]", Some(json!("yes")))]);
    is(
        &files,
        &labels,
        name,
        "  name: two\n  namespace: a\n",
        "  name: two\n  namespace: a\n  labels:\n    a/b: \"yes\"\n",
    );
    let gone = drift("k8s.ConfigMap/a/two", Missing, &[("id", None)]);
    let start = MANIFESTS.find("---\n").unwrap();
    let end = start + 4 + MANIFESTS[start + 4..].find("---\n").unwrap();
    is(&files, &gone, name, &MANIFESTS[start..end], "");
    let first = drift("k8s.ConfigMap/a/one", Missing, &[("id", None)]);
    is(&files, &first, name, &MANIFESTS[..start + 4], "");
    let alone = [
        ("stacks/s.yaml", "manifests: [../m]\n"),
        ("m/a.yaml", MANIFESTS.split("---\n").next().unwrap()),
        ("m/b.yaml", MANIFESTS.split("---\n").nth(1).unwrap()),
    ];
    assert_eq!(edited(&alone, &first), Ok(("m/a.yaml".to_owned(), None)));
}

#[test]
fn several_edits_come_one_upon_the_other() {
    let table = Table::of(&[("boxctl.yaml", PROJECT), ("stacks/s.yaml", RECORDS)]);
    let mut files = Edited::new(&table);
    for name in ["dns_record.a", "dns_record.b"] {
        let one = drift(name, DriftKind::Drifted, &[("ttl", Some(json!(900)))]);
        files = accept(Path::new(DIR), &files, &Inputs::default(), "s", &one).unwrap();
    }
    let text = files.read(&Path::new(DIR).join("stacks/s.yaml")).unwrap();
    assert_eq!(text.matches("ttl: 900").count(), 2, "{text}");
}
