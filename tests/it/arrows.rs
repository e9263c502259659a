//! Which way the arrows between modules run, as ARCHITECTURE.md draws them; and words that the pure
//! half does not say.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What each room may use, beside itself.
const ARROWS: [(&str, &[&str]); 10] = [
    ("model", &[]),
    ("engine", &["model"]),
    ("kinds", &["model"]),
    ("config", &["kinds", "model"]),
    ("run", &["engine", "kinds", "model"]),
    ("providers", &["model"]),
    ("store", &["model"]),
    ("render", &["model"]),
    ("sandbox", &[]),
    (
        "cli",
        &["config", "engine", "kinds", "model", "providers", "render", "run", "sandbox", "store"],
    ),
];

/// Rooms without I/O, and what would be some.
const PURE: [&str; 3] = ["model", "engine", "kinds"];
const IMPURE: [&str; 11] = [
    "std::fs",
    "std::env",
    "TcpStream",
    "UdpSocket",
    "std::process",
    "tokio::",
    "reqwest",
    "SystemTime",
    "Instant::now",
    "Timestamp::now",
    "println!",
];

fn files(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, out);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            out.push(path);
        }
    }
}

/// The code of a room, without its tests.
fn code(room: &str) -> Vec<(PathBuf, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    files(&src.join(room), &mut found);
    assert!(!found.is_empty(), "there is no room {room}");
    let is_test = |path: &Path| {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        name == "tests" || name.ends_with("_tests") || name == "testing" || name == "samples"
    };
    found
        .into_iter()
        .filter(|path| !is_test(path))
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default().to_owned();
            (path, code)
        })
        .collect()
}

#[test]
fn the_arrows_run_one_way() {
    let mut wrong = Vec::new();
    for (room, allowed) in ARROWS {
        for (path, code) in code(room) {
            let used: BTreeSet<&str> = code
                .split("crate::")
                .skip(1)
                .map(|rest| {
                    rest.split(|c: char| !c.is_alphanumeric() && c != '_')
                        .next()
                        .unwrap_or_default()
                })
                .filter(|name| ARROWS.iter().any(|(room, _)| room == name))
                .collect();
            for name in used.into_iter().filter(|name| *name != room && !allowed.contains(name)) {
                wrong.push(format!("{} uses {name}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_pure_half_knows_no_file_clock_or_socket() {
    let mut wrong = Vec::new();
    for room in PURE {
        for (path, code) in code(room) {
            let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
            for line in lines {
                for word in IMPURE.iter().filter(|word| line.contains(**word)) {
                    wrong.push(format!("{} says {word}", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_secret_is_exposed_in_one_place_only() {
    let exposing: Vec<String> =
        ["model", "engine", "kinds", "config", "run", "store", "render", "cli"]
            .iter()
            .flat_map(|room| code(room))
            .filter(|(_, code)| code.contains(".expose()"))
            .map(|(path, _)| path.file_name().unwrap().to_string_lossy().into_owned())
            .collect();
    assert_eq!(
        exposing,
        ["secret.rs", "fingerprint.rs"],
        "read by the sender's table and by fingerprints"
    );
}

#[test]
fn every_file_of_tests_is_among_the_tests() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let mut rooms = vec![tests];
    let mut forgotten = Vec::new();
    while let Some(room) = rooms.pop() {
        let listed = ["main.rs", "mod.rs"].map(|name| std::fs::read_to_string(room.join(name)));
        let listed: String = listed.into_iter().flatten().collect();
        for entry in std::fs::read_dir(&room).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let is_module = path.is_dir() || path.extension().is_some_and(|end| end == "rs");
            if !is_module || ["main", "mod"].contains(&name.as_str()) {
                continue;
            }
            let is_listed = listed.contains(&format!("mod {name};"))
                || listed.contains(&format!("/{name}.rs\""));
            if path.is_dir() && path.join("mod.rs").exists() {
                rooms.push(path.clone());
            } else if path.is_dir() {
                continue;
            }
            if !is_listed {
                forgotten.push(path);
            }
        }
    }
    assert!(forgotten.is_empty(), "{forgotten:#?}");
}
