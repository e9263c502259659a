//! No byte of a secret at rest or in sight.

use std::path::{Path, PathBuf};

use base64::prelude::*;
use serde_json::json;

use crate::lab::{Lab, Ran};

/// The files below a directory, less the sandbox's own.
fn files(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.ends_with(".boxctl/sandbox") {
            continue;
        }
        if path.is_dir() { files(&path, out) } else { out.push(path) }
    }
}

/// How a value could be spelt.
fn spellings(value: &str) -> Vec<String> {
    let hex: String = value.bytes().map(|byte| format!("{byte:02x}")).collect();
    let url: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
    let escaped = json!(value).to_string().trim_matches('"').to_owned();
    vec![
        value.to_owned(),
        BASE64_STANDARD.encode(value),
        BASE64_STANDARD_NO_PAD.encode(value),
        BASE64_URL_SAFE_NO_PAD.encode(value),
        hex,
        url,
        escaped,
    ]
}

#[test]
fn no_secret_is_anywhere_on_disk_or_in_any_output() {
    let lab = Lab::of("openhands");
    let password = "correct horse battery";
    lab.edit(
        "stacks/openhands.yaml",
        "variables:\n",
        "variables:\n  password: {sensitive: true}\n",
    );
    let more = "\nresources:\n  ssm_parameter.password: {name: /app/password, value: \"${var.password}\"}\n  \
                ssm_parameter.made: {name: made, value: {generate: {length: 32}}}\n";
    lab.write("stacks/openhands.yaml", &(lab.read("stacks/openhands.yaml") + more));
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: app, namespace: openhands}\nstringData: {key: \
                  plain-secret-data-of-a-manifest}\n";
    lab.write("manifests/socket/secret.yaml", secret);
    let given = ["--var", "password=correct horse battery"];
    let with = |arguments: &[&str]| lab.run(&[arguments, &given[..]].concat());
    let mut ran: Vec<Ran> = vec![
        with(&["plan", "-vvv", "--out", "first", "--html", "a.html", "--markdown", "a.md"]),
        with(&["apply", "--yes", "-vvv", "--html", "b.html", "--markdown", "b.md"]),
        with(&["plan", "--detailed-exitcode"]).exits(0),
        with(&["plan", "--json"]),
    ];
    let parameter = |name: &str| {
        let read = lab.ssm("GetParameter", json!({"Name": name, "WithDecryption": true}));
        read["Parameter"]["Value"].as_str().unwrap().to_owned()
    };
    let token = parameter("openhands-tunnel-token");
    let decoded = String::from_utf8(BASE64_STANDARD.decode(&token).unwrap()).unwrap();
    let inner: serde_json::Value = serde_json::from_str(&decoded).unwrap();
    let made = parameter("made");
    assert_eq!(parameter("/app/password"), password);
    assert_eq!(made.len(), 32);

    // Someone writes another value, a value changes, a call fails and echoes what was sent.
    lab.ssm(
        "PutParameter",
        json!({"Name": "openhands-tunnel-token", "Value": "x", "Overwrite": true}),
    );
    let reports = ["--html", "c.html", "--markdown", "c.md", "--prometheus", "c.prom"];
    let drift = ["drift", "--annotations", "github"];
    ran.push(with(&[&drift[..], &reports].concat()).exits(2));
    ran.push(with(&["apply", "--yes"]).exits(0));
    let other = ["--var", "password=another passphrase"];
    ran.push(lab.run(&[&["plan"], &other[..]].concat()).exits(0));
    ran.push(lab.run(&[&["apply", "--yes", "--json"], &other[..]].concat()).exits(0));
    ran.push(lab.run(&[&["plan", "--detailed-exitcode"], &other[..]].concat()).exits(0));
    ran.push(lab.run(&["show"]).exits(0));
    ran.push(lab.run(&["state", "show", "openhands", "tunnel.openhands"]).exits(0));
    ran.push(lab.run(&["expand"]).exits(1));

    let secrets = [
        token.as_str(),
        inner["s"].as_str().unwrap(),
        made.as_str(),
        password,
        "another passphrase",
        "plain-secret-data-of-a-manifest",
        lab.variable("CLOUDFLARE_API_TOKEN"),
        lab.variable("AWS_SECRET_ACCESS_KEY"),
    ];
    let secrets: Vec<String> = secrets.iter().map(|secret| (*secret).to_owned()).collect();
    are_nowhere(&lab, &ran, &secrets, &["manifests/socket/secret.yaml"]);
}

/// No file of the project, less the named ones, and no output holds one of these, however spelt.
pub fn are_nowhere(lab: &Lab, ran: &[Ran], secrets: &[String], but: &[&str]) {
    let mut found = Vec::new();
    files(lab.path(), &mut found);
    let files = found.iter().filter(|path| !but.iter().any(|name| path.ends_with(name)));
    let files = files.map(|path| {
        let text = String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
        (path.display().to_string(), text)
    });
    let outputs = ran.iter().enumerate();
    let outputs =
        outputs.map(|(at, ran)| (format!("command {at}"), format!("{}{}", ran.out, ran.err)));
    let texts: Vec<(String, String)> = files.chain(outputs).collect();
    assert!(texts.iter().any(|(name, _)| name.contains("state/") && name.ends_with(".json")));
    for secret in secrets {
        for spelling in spellings(secret) {
            for (name, text) in &texts {
                if let Some(at) = text.find(&spelling) {
                    let from = text[..at].char_indices().rev().nth(200).map_or(0, |(at, _)| at);
                    panic!("{name} holds {secret} as {spelling}: {}", &text[from..at]);
                }
            }
        }
    }
}

#[test]
fn a_value_that_is_made_once_or_by_hand_stays_as_it_is() {
    let lab = Lab::of("longform");
    let text = "resources:
  ssm_parameter.made: {name: /app/made, description: one, value: {generate: {length: 32}}}
  ssm_parameter.hand: {name: /app/hand, description: one, value: {by_hand: true}}
";
    lab.write("stacks/openhands.yaml", text);
    let value = |name: &str| {
        let read = lab.ssm("GetParameter", json!({"Name": name, "WithDecryption": true}));
        let parameter = read["Parameter"].clone();
        (parameter["Value"].as_str().unwrap().to_owned(), parameter["Version"].as_u64().unwrap())
    };
    // Nobody but a hand makes it; the rest goes on.
    lab.run(&["apply", "--yes"])
        .exits(3)
        .says("/app/hand is written by hand, and is not there yet")
        .says("aws ssm put-parameter --name /app/hand");
    let (made, _) = value("/app/made");
    assert_eq!(made.len(), 32);
    let put = |name: &str, value: &str, overwrite: bool| {
        let input = json!({"Name": name, "Value": value, "Type": "SecureString",
            "Overwrite": overwrite});
        lab.ssm("PutParameter", input);
    };
    put("/app/hand", "a first secret by hand", false);
    lab.edit("stacks/openhands.yaml", "by_hand: true}", "by_hand: true}, adopt: true");
    lab.apply(&[]);
    lab.is_settled(&[]);
    assert_eq!(value("/app/hand").0, "a first secret by hand");

    // What stands around a value changes, and the value is put back.
    lab.edit("stacks/openhands.yaml", "description: one", "description: two");
    lab.apply(&[]);
    lab.is_settled(&[]);
    assert_eq!(value("/app/made").0, made);
    assert_eq!(value("/app/hand").0, "a first secret by hand");

    // A hand writes again: that is what it is for.
    put("/app/hand", "a second secret by hand", true);
    lab.is_settled(&[]);
    lab.run(&["drift"]).exits(0);
    // A generated one is not for hands: it is told, and left alone.
    put("/app/made", "a secret that someone wrote", true);
    lab.is_settled(&[]);
    let drift = lab.run(&["drift"]).exits(2).says("someone wrote version");
    lab.apply(&[]);
    assert_eq!(value("/app/made").0, "a secret that someone wrote");
    let secrets = ["a first secret by hand", "a second secret by hand", &made];
    let secrets: Vec<String> = secrets.iter().map(|secret| (*secret).to_owned()).collect();
    are_nowhere(&lab, &[drift], &secrets, &[]);
    lab.run(&["destroy", "openhands", "--yes"]).exits(0);
}
