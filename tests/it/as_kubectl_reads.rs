//! Manifests mean to boxctl what they mean to kubectl.

use std::path::Path;

use serde_json::Value;

use crate::lab::Lab;
use crate::tools::is_there;

/// Plain scalars whose meaning depends on the YAML that is spoken.
const SCALARS: &str = "\
apiVersion: v1
kind: ConfigMap
metadata: {name: scalars, namespace: a}
x:
  words: [y, Y, n, N, yes, Yes, YES, no, on, On, off, OFF, 'true', True, TRUE, tRue, null, ~, Null]
  integers: [0644, 0o17, 0x1F, -0x10, 0b11, 0B1, +5, -0, 1_000, 08, 9007199254740993, 1:30]
  floats: [1e3, 12e03, 1.0e+1, .5, -.5, 30.0, 0.1, 1., 1.5e-7, 685.230_15e+03]
  texts: [2024-01-01, 1.2.3, 0x, '1', \"yes\", 1e, v1, 0o8, '=', 12:30:45]
  y: {true: a, 1: b, 1.5: c, 0x10: d, no: e}
  merged: {<<: &base {a: 1, b: 2}, b: 3}
  block: |
    a
     b
  folded: >-
    a
    b
  tagged: [!!str 1, !!int '7', !!str yes, !!float 2]
";

/// Texts that hold several objects.
const FORMS: [(&str, &str); 3] = [
    (
        "typed-list.yaml",
        "apiVersion: v1\nkind: ConfigMapList\nitems:\n- metadata: {name: c}\n  data: {v: '1'}\n- {apiVersion: v1, kind: Service, metadata: {name: d}}\n",
    ),
    (
        "stream.json",
        "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"e\"},\"data\":{\"v\":\"\\ud83d\\ude00\\/\"}}\n{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"f\"}}]} {\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"g\"}}",
    ),
    (
        "windows.yaml",
        "\u{feff}apiVersion: v1\r\nkind: ConfigMap\r\nmetadata: {name: b}\r\ndata:\r\n  x: |\r\n    a\r\n    b\r\n---\r\n# nothing\r\n---\r\n",
    ),
];

/// What kubectl sends for a manifest: all documents, a label added.
fn kubectl(lab: &Lab, file: &str) -> Vec<Value> {
    let mut command = lab.command_of("kubectl");
    command.args(["label", "--local", "--overwrite", "-o", "json", "boxctl-test=x", "-f", file]);
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{file}: {}", String::from_utf8_lossy(&output.stderr));
    let documents = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
    let documents = documents.map(|document| document.unwrap());
    documents
        .map(|mut document| {
            let labels = document["metadata"]["labels"].as_object_mut().unwrap();
            labels.remove("boxctl-test");
            if labels.is_empty() {
                document["metadata"].as_object_mut().unwrap().remove("labels");
            }
            document
        })
        .collect()
}

/// Numbers by their value: Go writes `30.0` as 30.
fn by_value(value: &Value) -> Value {
    match value {
        Value::Number(number) => match number.as_f64() {
            Some(float)
                if number.as_i64().is_none() && float.fract() == 0.0 && float.abs() < 9e15 =>
            {
                (float as i64).into()
            }
            _ => value.clone(),
        },
        Value::Array(items) => items.iter().map(by_value).collect(),
        Value::Object(map) => {
            let mut entries: Vec<(String, Value)> =
                map.iter().map(|(key, value)| (key.clone(), by_value(value))).collect();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            entries.into_iter().collect()
        }
        _ => value.clone(),
    }
}

#[test]
fn every_manifest_is_read_as_kubectl_reads_it() {
    if !is_there("kubectl", &["version", "--client"]) {
        return;
    }
    let lab = Lab::of("openhands");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut texts: Vec<(String, String)> = [("scalars.yaml", SCALARS)]
        .into_iter()
        .chain(FORMS)
        .map(|(name, text)| (name.to_owned(), text.to_owned()))
        .collect();
    for entry in std::fs::read_dir(root.join("tests/manifests")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if !name.starts_with("refused") {
            texts.push((name, std::fs::read_to_string(&path).unwrap()));
        }
    }
    assert!(texts.len() > 20);
    for (name, text) in texts {
        lab.write("manifest.yaml", &text);
        lab.write("stacks/openhands.yaml", "namespace: fallback\nmanifests: [../manifest.yaml]\n");
        let ran = lab.run(&["expand", "openhands", "--json"]).exits(0).json();
        let ours: Vec<Value> = ran["stacks"][0]["resources"]
            .as_array()
            .unwrap()
            .iter()
            .map(|resource| by_value(&resource["spec"]))
            .collect();
        let theirs = kubectl(&lab, "manifest.yaml");
        assert_eq!(ours.len(), theirs.len(), "{name}");
        for theirs in &theirs {
            let mut theirs = by_value(theirs);
            let key = |object: &Value| (object["kind"].clone(), object["metadata"]["name"].clone());
            let mut ours = ours.iter().find(|ours| key(ours) == key(&theirs)).unwrap().clone();
            for object in [&mut ours, &mut theirs] {
                if object["metadata"]["namespace"] == "fallback" {
                    object["metadata"].as_object_mut().unwrap().remove("namespace");
                }
            }
            assert_eq!(
                serde_json::to_string_pretty(&ours).unwrap(),
                serde_json::to_string_pretty(&theirs).unwrap(),
                "{name}"
            );
        }
    }
}
