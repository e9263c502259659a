//! Every command of the README does what it says, and the picture of a plan is what is printed.

use std::fmt::Write as _;
use std::path::Path;

use crate::first_hour::{clone, program};
use crate::lab::Lab;
use crate::tools::is_there;

fn readme() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    std::fs::read_to_string(path).unwrap()
}

/// The fenced blocks of a language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    let parts = text.split(&fence).skip(1);
    parts.map(|rest| rest.split("```").next().unwrap_or_default().to_owned()).collect()
}

/// The commands of blocks as one script, in which each has to end with the code that its comment
/// names: 0 where it names none.
fn script(blocks: &[String]) -> String {
    let mut script = String::from(
        "shopt -s expand_aliases\ntrap 'kill $(jobs -p) 2>/dev/null' EXIT\n\
         cargo() { if [ \"$1\" = run ]; then shift 2; target/debug/boxctl \"$@\"; fi; }\n",
    );
    for line in blocks.iter().flat_map(|block| block.lines()) {
        let Some(line) = line.strip_prefix("$ ") else { continue };
        let comment = line.split_once("  #").map(|(_, comment)| comment).unwrap_or_default();
        let code = comment.split_once("exit ").and_then(|(_, rest)| {
            rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<i32>().ok()
        });
        let code = code.unwrap_or(0);
        writeln!(script, "{line}\ncode=$?").unwrap();
        writeln!(
            script,
            "[ $code = {code} ] || {{ echo \"ended with $code: $LINENO\"; exit 99; }}"
        )
        .unwrap();
        let command = line.split("  #").next().unwrap_or_default().trim_end();
        if command.ends_with('&') {
            // A person takes a moment before the next line.
            script.push_str(
                "for i in $(seq 200); do boxctl sandbox env >/dev/null 2>&1 && break; \
                 sleep 0.05; done\n",
            );
        }
    }
    script
}

#[test]
fn every_command_of_the_readme_does_what_it_says() {
    let tools = ["kubectl version --client", "aws --version", "python3 -c 'import cloudflare'"];
    let [kubectl, aws, python] = tools.map(|tool| is_there("sh", &["-c", tool]));
    let wanted = |block: &&String| {
        (kubectl || !block.contains("kubectl "))
            && (aws || !block.contains("aws "))
            && (python || !block.contains("python3 "))
    };
    let readme = readme();
    let all = blocks(&readme, "console");
    assert!(all[0].contains("cargo run -- --project fixtures/openhands --sandbox apply --yes"));
    assert!(all.iter().any(|block| block.contains("cargo test")));
    let chosen: Vec<String> = all.iter().filter(wanted).cloned().collect();
    let dir = clone();
    let path = dir.path().join("tour.sh");
    std::fs::write(&path, script(&chosen)).unwrap();
    let output = program("bash", dir.path()).arg(&path).output().unwrap();
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{out}\n{err}", script(&chosen));
    assert!(out.contains("https://openhands.b0xp.io is published"), "{out}");
}

/// A text with the ids, whole or cut short, taken out: they differ from run to run.
/// Without what is another each time: ids and times.
fn without_ids(text: &str) -> String {
    let id = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}|[0-9a-f]{8}-?…\
              |[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z";
    regex::Regex::new(id).unwrap().replace_all(text.trim(), "ID").into_owned()
}

#[test]
fn the_picture_of_a_plan_is_what_is_printed() {
    let lab = Lab::of("openhands");
    if lab.has_moto() {
        return;
    }
    lab.apply(&[]);
    let records = lab.records();
    let record = lab.only(&records)["id"].as_str().unwrap().to_owned();
    let body = serde_json::json!({"proxied": false});
    lab.cloudflare("PATCH", &format!("{records}/{record}"), Some(body));
    let tunnel = lab.only(&lab.account("cfd_tunnel?is_deleted=false"));
    let path = lab.account(&format!("cfd_tunnel/{}", tunnel["id"].as_str().unwrap()));
    lab.cloudflare("DELETE", &format!("{path}/connections"), None);
    lab.cloudflare("DELETE", &path, None);
    let output = lab.command().arg("plan").env("COLUMNS", "96").output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let readme = readme();
    let picture = &blocks(&readme, "text")[0];
    let shown = picture.strip_prefix("$ boxctl plan\n").unwrap();
    assert_eq!(without_ids(&printed), without_ids(shown), "{printed}");
}
