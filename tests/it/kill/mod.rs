//! Killed at any instant, boxctl ends where it would have ended: the real binary is killed before
//! and after everything that it makes durable, and while each of its calls is under way.

mod again;
mod disk;
pub mod machines;
mod matrix;
mod shared_states;
mod two_machines;
pub mod world;

pub use matrix::{all, difference, is_moto};

use std::io::Read;
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

use crate::lab::{Lab, Ran};

/// Where a run is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// At the n-th point of what it makes durable, as `tests/tools/kill_at.rs` counts them.
    Disk(usize),
    /// While the n-th call that changes something is under way, before it takes effect.
    Before(usize),
    /// The same, after it took effect and before its answer arrives.
    After(usize),
    /// While the first call with this method, and a path that this pattern fits, is under way,
    /// after it took effect.
    Call(&'static str, &'static str),
}

/// The library that kills, built once.
fn killer() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kill_at");
        std::fs::create_dir_all(&dir).unwrap();
        let out = dir.join(format!("kill_at-{}.so", std::process::id()));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools/kill_at.rs");
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let built = Command::new(rustc)
            .args(["--edition", "2024", "-O", "-C", "panic=abort", "-o"])
            .arg(&out)
            .arg(source)
            .status()
            .unwrap();
        assert!(built.success());
        out
    })
}

/// The options of a sandbox that refuses what no journal announces.
const STRICT: [&str; 2] = ["--journal", "state/openhands.journal"];

fn instrumented(lab: &Lab, arguments: &[&str]) -> Command {
    let dir = lab.path().join("state");
    // What is killed before it made the directory has made nothing durable.
    std::fs::create_dir_all(&dir).unwrap();
    let mut command = lab.command();
    command
        .args(arguments)
        .env("LD_PRELOAD", killer())
        .env("KILL_DIR", dir.canonicalize().unwrap())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// How many points a run has: of what it makes durable, and calls. The run ends undisturbed.
pub fn points(lab: &Lab, arguments: &[&str]) -> Vec<Point> {
    lab.forget_requests();
    let counted = tempfile::NamedTempFile::new().unwrap();
    let mut command = instrumented(lab, arguments);
    let output = command.env("KILL_COUNT", counted.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}{said}", String::from_utf8_lossy(&output.stdout));
    let durable = std::fs::metadata(counted.path()).unwrap().len() as usize;
    let calls = lab.changes().len();
    let mut points: Vec<Point> = (1..=durable).map(Point::Disk).collect();
    points.extend((1..=calls).flat_map(|at| [Point::Before(at), Point::After(at)]));
    points
}

/// Runs until the point, where it is killed. False where it ended before that: what runs side by
/// side does not come in the same order each time.
pub fn kill(lab: &mut Lab, arguments: &[&str], point: Point, ran: &mut Vec<Ran>) -> bool {
    let which = match point {
        Point::Disk(at) => {
            let output =
                instrumented(lab, arguments).env("KILL_AT", at.to_string()).output().unwrap();
            return note(output.status, output.stdout, output.stderr, ran);
        }
        Point::Before(at) => format!("nth: {at}, hold: before"),
        Point::After(at) => format!("nth: {at}, hold: after"),
        Point::Call(method, path) => format!("method: {method}, path: '{path}', hold: after"),
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let tell = listener.local_addr().unwrap();
    let faults = format!("- {{mutating: true, {which}, tell: '{tell}'}}\n");
    lab.write("faults.yaml", &faults);
    lab.restart(&[&STRICT[..], &["--faults", "faults.yaml"]].concat());
    let mut command = lab.command();
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let pid = child.id().to_string();
    let waiting = std::thread::spawn(move || {
        let mut said = [0];
        let held = listener.accept().unwrap().0.read(&mut said).unwrap() == 0;
        if held {
            assert!(Command::new("kill").args(["-9", &pid]).status().unwrap().success());
        }
    });
    let (mut out, mut err) = (Vec::new(), Vec::new());
    child.stdout.take().unwrap().read_to_end(&mut out).unwrap();
    child.stderr.take().unwrap().read_to_end(&mut err).unwrap();
    let status = child.wait().unwrap();
    // Where nothing was held, the listener still waits.
    if let Ok(mut stream) = std::net::TcpStream::connect(tell) {
        use std::io::Write;
        let _ = stream.write_all(b"-");
    }
    let _ = waiting.join();
    note(status, out, err, ran)
}

/// Runs with a disk that fails from a point on, with this error number.
pub fn with_a_failing_disk(lab: &Lab, arguments: &[&str], point: usize, error: i32) -> Ran {
    let mut command = instrumented(lab, arguments);
    command.env("KILL_AT", point.to_string()).env("KILL_ERROR", error.to_string());
    let output = command.output().unwrap();
    assert_eq!(output.status.signal(), None, "{}", String::from_utf8_lossy(&output.stderr));
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn note(status: std::process::ExitStatus, out: Vec<u8>, err: Vec<u8>, ran: &mut Vec<Ran>) -> bool {
    let killed = status.signal() == Some(9);
    ran.push(Ran {
        code: status.code().unwrap_or(-1),
        out: String::from_utf8(out).unwrap(),
        err: String::from_utf8_lossy(&err).into_owned(),
    });
    let last = ran.last().unwrap();
    assert!(killed || last.code == 0, "{}\n{}", last.out, last.err);
    killed
}

/// What holds wherever a run was killed: nothing is reachable without its guard.
pub fn nothing_is_open(dump: &Value) {
    let open = world::unguarded(dump);
    assert!(open.is_empty(), "routed without an Access application: {open:?}");
}

/// Nothing that was written or printed holds a secret, and nothing is left in the states'
/// directory that no run needs.
pub fn nothing_leaks(lab: &Lab, ran: &[Ran], secrets: &[String]) {
    let mut secrets = secrets.to_vec();
    for name in ["CLOUDFLARE_API_TOKEN", "AWS_SECRET_ACCESS_KEY"] {
        secrets.push(lab.variable(name).to_owned());
    }
    crate::secrets::are_nowhere(lab, ran, &secrets, &["faults.yaml"]);
    let left = std::fs::read_dir(lab.path().join("state")).unwrap();
    for entry in left {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(!name.contains("unfinished"), "{name} is left in the states' directory");
    }
}
