//! The first hour: what `init` writes works on the sandbox as it is.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::lab::copy;

const BINARY: &str = env!("CARGO_BIN_EXE_boxctl");

/// A directory with the projects of the repository, and the binary where cargo puts it.
pub fn clone() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for fixture in ["openhands", "longform", "several", "mistakes"] {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(fixture);
        copy(&source, &dir.path().join("fixtures").join(fixture));
        // What someone tried in the checkout is not part of it.
        for own in [".boxctl", "state", "plans"] {
            let _ = std::fs::remove_dir_all(dir.path().join("fixtures").join(fixture).join(own));
        }
    }
    let binaries = dir.path().join("target/debug");
    std::fs::create_dir_all(&binaries).unwrap();
    std::os::unix::fs::symlink(BINARY, binaries.join("boxctl")).unwrap();
    dir
}

/// A program in a directory, with nothing of this shell's accounts.
pub fn program(program: &str, dir: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(dir)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", dir)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .stdin(Stdio::null());
    command
}

fn boxctl(dir: &Path, arguments: &[&str], code: i32) -> String {
    let output = program(BINARY, dir).args(arguments).output().unwrap();
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
    text
}

#[test]
fn what_init_writes_is_applied_on_the_sandbox_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let ignored: PathBuf = dir.path().join(".gitignore");
    std::fs::write(&ignored, "target/\n*.lock").unwrap();
    let said = boxctl(dir.path(), &["init"], 0);
    assert!(
        said.contains("wrote boxctl.yaml") && said.contains("boxctl --sandbox apply"),
        "{said}"
    );
    let text = std::fs::read_to_string(&ignored).unwrap();
    assert!(text.starts_with("target/\n*.lock\n#"), "what is there stays: {text}");
    assert_eq!(text.matches("*.lock").count(), 1, "{text}");
    assert!(text.contains("\n.boxctl/\n"), "{text}");

    boxctl(dir.path(), &["validate", "--strict"], 0);
    let plan = boxctl(dir.path(), &["--sandbox", "plan"], 0);
    assert!(plan.contains("Plan: 6 to create"), "{plan}");
    boxctl(dir.path(), &["--sandbox", "apply", "--yes"], 0);
    boxctl(dir.path(), &["--sandbox", "plan", "--detailed-exitcode"], 0);
    let show = boxctl(dir.path(), &["--sandbox", "state", "show", "tunnel.hello"], 0);
    assert!(show.contains("name: \"hello\""), "{show}");
    boxctl(dir.path(), &["--sandbox", "state", "show", "tunnel.helo"], 1);

    // Nothing is overwritten.
    let said = boxctl(dir.path(), &["init"], 5);
    assert!(said.contains("boxctl.yaml is there already"), "{said}");
}

#[test]
fn a_name_that_several_states_have_wants_its_stack() {
    let dir = clone();
    let project = dir.path().join("fixtures/several");
    boxctl(&project, &["--sandbox", "apply", "--yes"], 0);
    let wiki = boxctl(&project, &["--sandbox", "state", "show", "tunnel.wiki"], 0);
    assert!(wiki.starts_with("tunnel.wiki\n"), "{wiki}");
    let none = boxctl(&project, &["--sandbox", "state", "show", "tunnel.nothing"], 1);
    assert!(none.contains("tunnel.nothing is in no state"), "{none}");
}

#[test]
fn what_ails_every_reading_is_told_with_one_advice_and_no_traces() {
    let dir = tempfile::tempdir().unwrap();
    let project = "project: a\nstacks: [a.yaml]\naws: {region: ap-northeast-1}\ncloudflare: \
                   {account_id: 0123456789abcdef0123456789abcdef, zones: [b0xp.io]}\n\
                   timing: {backoff: 1ms, backoff_max: 1ms}\n";
    std::fs::write(dir.path().join("boxctl.yaml"), project).unwrap();
    let stack = "resources:\n  dns_record.a: {name: a, type: A, content: 192.0.2.1}\n  \
                 ssm_parameter.a: {name: a, value: x}\n  access_policy.a: {name: a, decision: \
                 allow, include: [{login_method: GitHub}]}\n";
    std::fs::write(dir.path().join("a.yaml"), stack).unwrap();
    let said = |settings: &[(&str, &str)]| {
        let mut command = program(BINARY, dir.path());
        let output = command.arg("plan").envs(settings.iter().copied()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains("reading the zones failed"), "{text}");
        assert!(text.contains("reading the identity providers failed"), "{text}");
        assert!(!text.contains("WARN"), "{text}");
        text
    };
    let text = said(&[]);
    assert_eq!(text.matches("hint: set CLOUDFLARE_API_TOKEN").count(), 1, "{text}");
    let text = said(&[("CLOUDFLARE_API_TOKEN", "x"), ("CLOUDFLARE_BASE_URL", "nonsense")]);
    assert!(text.contains("CLOUDFLARE_BASE_URL is `nonsense`, which is no URL"), "{text}");
    assert_eq!(text.matches("or leave it unset").count(), 1, "{text}");
}
