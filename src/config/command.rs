//! Running the commands of stacks: away from boxctl's credentials, with an end.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

/// More bytes than the manifests of any stack are.
const LIMIT: usize = 64 << 20;

/// What a command gets of boxctl's environment: where programs, caches and certificates are, and
/// how people read and write. Not what opens an account or a cluster.
const PASSED_ON: [&str; 30] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "TERM",
    "TZ",
    "TMPDIR",
    "LANG",
    "LANGUAGE",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
    "HELM_CACHE_HOME",
    "HELM_CONFIG_HOME",
    "HELM_DATA_HOME",
    "HELM_PLUGINS",
    "KUSTOMIZE_PLUGIN_HOME",
    "NO_COLOR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
];

/// A command of a stack.
#[derive(Clone, Copy, Debug)]
pub struct Command<'a> {
    /// The program and its arguments.
    pub argv: &'a [String],
    /// Where it runs.
    pub dir: &'a Path,
    /// How long it may take.
    pub limit: Duration,
}

/// What a command printed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandOutput {
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

/// Why a command printed nothing to go by.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The command has no words.
    #[error("the command is empty")]
    Empty,
    /// The program is not installed, or not where it was said to be.
    #[error("there is no program `{0}`")]
    NoProgram(String),
    /// The directory is not there.
    #[error("there is no directory {}", .0.display())]
    NoDirectory(PathBuf),
    /// It ended, and not well.
    #[error("it ended with {status}")]
    Failed {
        /// `exit status 3`, `signal 9`.
        status: String,
        /// Its standard error.
        stderr: String,
    },
    /// It was ended after its time.
    #[error("it was ended after {} ms, the limit", .limit.as_millis())]
    TooSlow {
        /// The limit.
        limit: Duration,
        /// Its standard error, as far as it came.
        stderr: String,
    },
    /// It was ended for what it printed.
    #[error("it printed more than {} MiB", LIMIT >> 20)]
    TooMuch,
    /// It printed something else than text.
    #[error("line {line} of what it printed is not UTF-8")]
    NotText {
        /// From 1.
        line: usize,
    },
    /// It could not be started, or read from.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// The process group of the command that runs; 0 while none does.
static RUNNING: AtomicI32 = AtomicI32::new(0);

/// Ends the command that runs, if one does: where this process ends, a group of its own does not.
pub fn end_running() {
    end(Pid::from_raw(RUNNING.swap(0, Ordering::SeqCst)));
}

fn end(group: Option<Pid>) {
    if let Some(group) = group {
        // What it left running goes with it; that there is none is no error.
        let _ = kill_process_group(group, Signal::KILL);
    }
}

/// Runs a command to its end, as the leader of a process group that ends with it.
///
/// # Errors
/// It can't be started, fails, takes too long, or prints too much or no text.
pub(super) fn run(command: &Command<'_>) -> Result<CommandOutput, CommandError> {
    let Some((program, arguments)) = command.argv.split_first() else {
        return Err(CommandError::Empty);
    };
    if !command.dir.is_dir() {
        return Err(CommandError::NoDirectory(command.dir.to_owned()));
    }
    // A path is meant from where the command runs.
    let path = match program.contains('/') {
        true => std::path::absolute(command.dir.join(program))?,
        false => PathBuf::from(program),
    };
    let mut child = std::process::Command::new(&path);
    child
        .args(arguments)
        .current_dir(command.dir)
        .env_clear()
        .envs(passed_on(std::env::vars_os()))
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = child.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound if path.is_file() => io::Error::new(
            error.kind(),
            format!("the interpreter that `{program}` names in its first line is not there"),
        )
        .into(),
        io::ErrorKind::NotFound => CommandError::NoProgram(program.clone()),
        _ => CommandError::Io(error),
    })?;
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    RUNNING.store(group.map_or(0, Pid::as_raw_pid), Ordering::SeqCst);
    let (sender, receiver) = channel();
    if let Some(pipe) = child.stdout.take() {
        read(pipe, sender.clone(), Event::Output);
    }
    if let Some(pipe) = child.stderr.take() {
        read(pipe, sender.clone(), Event::Errors);
    }
    std::thread::spawn(move || sender.send(Event::Ended(child.wait())));
    let ended = gather(&receiver, command.limit);
    RUNNING.store(0, Ordering::SeqCst);
    end(group);
    let ended = ended?;
    let stderr = String::from_utf8_lossy(&ended.stderr).into_owned();
    match ended.status {
        None => Err(CommandError::TooSlow { limit: command.limit, stderr }),
        Some(status) if status.success() => {
            Ok(CommandOutput { stdout: text(ended.stdout)?, stderr })
        }
        Some(status) => Err(CommandError::Failed { status: said(status), stderr }),
    }
}

/// What a command is to know of the environment.
fn passed_on(
    environment: impl Iterator<Item = (OsString, OsString)>,
) -> impl Iterator<Item = (OsString, OsString)> {
    environment.filter(|(name, value)| {
        let name = name.to_string_lossy();
        let is_proxy = name.to_ascii_lowercase().ends_with("_proxy");
        let is_known = PASSED_ON.contains(&name.as_ref()) || name.starts_with("LC_");
        // A proxy that wants a password has it in its URL.
        is_known && !(is_proxy && value.to_string_lossy().contains('@'))
    })
}

enum Event {
    Output(io::Result<Vec<u8>>),
    Errors(io::Result<Vec<u8>>),
    Ended(io::Result<ExitStatus>),
}

#[derive(Default)]
struct Ended {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    /// None: it did not end in time.
    status: Option<ExitStatus>,
}

fn read(
    pipe: impl Read + Send + 'static,
    sender: Sender<Event>,
    event: fn(io::Result<Vec<u8>>) -> Event,
) {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = pipe.take(LIMIT as u64 + 1).read_to_end(&mut bytes);
        sender.send(event(read.map(|_| bytes)))
    });
}

/// Waits until the command has ended and both its pipes are closed.
fn gather(receiver: &Receiver<Event>, limit: Duration) -> Result<Ended, CommandError> {
    let deadline = Instant::now() + limit;
    let mut ended = Ended::default();
    let (mut status, mut left) = (None, 3);
    while left > 0 {
        match receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(Event::Output(bytes)) => ended.stdout = bytes?,
            Ok(Event::Errors(bytes)) => ended.stderr = bytes?,
            Ok(Event::Ended(with)) => status = Some(with?),
            Err(RecvTimeoutError::Timeout) => return Ok(ended),
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if ended.stdout.len().max(ended.stderr.len()) > LIMIT {
            return Err(CommandError::TooMuch);
        }
        left -= 1;
    }
    ended.status = status;
    Ok(ended)
}

fn text(bytes: Vec<u8>) -> Result<String, CommandError> {
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let lines = error.as_bytes().iter().take(good).filter(|byte| **byte == b'\n').count();
        CommandError::NotText { line: lines + 1 }
    })
}

fn said(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "no status".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit_ms: u64) -> Result<CommandOutput, CommandError> {
        let argv = ["sh", "-c", script].map(str::to_owned);
        let limit = Duration::from_millis(limit_ms);
        run(&Command { argv: &argv, dir: Path::new("/"), limit })
    }

    #[test]
    fn what_a_command_prints_is_read_to_its_end() {
        let ran = shell("pwd; echo careful >&2; cat; yes x | head -c 200000", 30_000).unwrap();
        assert!(ran.stdout.starts_with("/\nx\n") && ran.stdout.len() == 200_002);
        assert_eq!(ran.stderr, "careful\n");
    }

    #[test]
    fn every_failure_has_its_words() {
        for (script, limit, expected) in [
            ("exit 3", 30_000, "it ended with exit status 3"),
            ("kill -9 $$", 30_000, "it ended with signal 9"),
            ("printf 'a\\n\\377'", 30_000, "line 2 of what it printed is not UTF-8"),
            ("yes", 30_000, "it printed more than 64 MiB"),
            ("sleep 600 & sleep 600", 100, "it was ended after 100 ms, the limit"),
            ("sleep 600 &", 100, "it was ended after 100 ms, the limit"),
        ] {
            let error = shell(script, limit).expect_err(script);
            assert_eq!(error.to_string(), expected, "{script}");
        }
    }

    #[test]
    fn what_is_not_there_is_named() {
        let limit = Duration::from_secs(30);
        for (argv, dir, expected) in [
            (vec![], "/", "the command is empty"),
            (vec!["no-such-tool"], "/", "there is no program `no-such-tool`"),
            (vec!["./no-such-tool"], "/", "there is no program `./no-such-tool`"),
            (vec!["sh"], "/no/such", "there is no directory /no/such"),
        ] {
            let argv: Vec<String> = argv.into_iter().map(str::to_owned).collect();
            let error = run(&Command { argv: &argv, dir: Path::new(dir), limit }).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn credentials_stay_out_of_a_commands_environment() {
        let given = [
            ("PATH", "/bin"),
            ("LC_ALL", "C"),
            ("HTTPS_PROXY", "http://proxy:3128"),
            ("https_proxy", "http://user:password@proxy:3128"),
            ("CLOUDFLARE_API_TOKEN", "x"),
            ("AWS_SECRET_ACCESS_KEY", "x"),
            ("AWS_PROFILE", "x"),
            ("KUBECONFIG", "x"),
            ("BOXCTL_VAR_PASSWORD", "x"),
            ("GITHUB_TOKEN", "x"),
            ("HELM_KUBETOKEN", "x"),
        ];
        let given = given.map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let names: Vec<String> = passed_on(given.into_iter())
            .map(|(name, _)| name.to_string_lossy().into_owned())
            .collect();
        assert_eq!(names, ["PATH", "LC_ALL", "HTTPS_PROXY"]);
    }
}
