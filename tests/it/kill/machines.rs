//! Labs whose states several machines share, and what can happen between a run and its states.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, mpsc};

use serde_json::Value;

use crate::between::{Asked, Between, Fate};
use crate::homes::{Home, kubeconfig, written};
use crate::lab::{Lab, Ran};

/// How long a lease stands still before another takes it over.
pub const LEASE: &str = "2s";

/// A lab with its states at a home.
pub struct Machine {
    pub lab: Lab,
    pub between: Between,
    pub home: Arc<Home>,
    pub place: String,
}

/// A second checkout of a lab's project, that runs against the same world.
pub struct Second {
    dir: tempfile::TempDir,
    _between: Between,
}

/// What happens to a run at a request of its store; requests that only renew a lease do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happens {
    /// The process is killed before the n-th write arrives.
    KilledBefore(usize),
    /// It is killed after the n-th write was done, before the answer arrives.
    KilledAfter(usize),
    /// From the n-th write on, nothing arrives any more.
    Lost(usize),
    /// The n-th write is done, and no answer arrives from there on.
    Mute(usize),
}

/// Writes the settings of a project: where its states are, and how long its leases last.
fn settle(dir: &Path, home: &Home, place: &str, url: &str) -> PathBuf {
    let project = dir.join("boxctl.yaml");
    let text = std::fs::read_to_string(&project).unwrap();
    let lines = text.lines().map(|line| match line {
        line if line.starts_with("state:") => home.setting(place, url),
        line if line.starts_with("timing:") && !line.contains("lease:") => {
            // A machine that has much to do answers late, and is not to be taken for one that is gone.
            let line = line.replace("request: 600ms", "request: 2s");
            line.replace('{', &format!("{{lease: {LEASE}, "))
        }
        line => line.to_owned(),
    });
    std::fs::write(&project, lines.collect::<Vec<_>>().join("\n") + "\n").unwrap();
    let path = dir.join("states.kubeconfig");
    std::fs::write(&path, kubeconfig(url)).unwrap();
    path
}

/// Keeps beside the project what the store has, as files that can be read: the sandbox looks for
/// intents there, and the search for secrets too.
pub fn mirror(dir: &Path) -> impl Fn(&Asked, u16) + Send + Sync + 'static {
    let dir = dir.join("state");
    std::fs::create_dir_all(&dir).unwrap();
    move |asked, status| {
        if let Some((name, content)) = written(asked).filter(|_| status < 300) {
            // Whole or not at all: it is read at any time.
            let part = tempfile::NamedTempFile::new_in(&dir).unwrap();
            std::fs::write(part.path(), content).unwrap();
            part.persist(dir.join(name.replace('/', "_"))).unwrap();
        }
    }
}

/// Whether a request is one that a run's course determines: a write that is no renewal.
fn counts(asked: &Asked) -> bool {
    let Some((name, content)) = written(asked) else { return asked.method == "DELETE" };
    if !name.ends_with(".lock") {
        return true;
    }
    let record: Value = serde_json::from_str(content.trim()).unwrap();
    record["holder"].is_null() || record["acquired"] == record["renewed"]
}

/// Counts; the number from 1 of a request that counts, 0 of any other.
fn counter() -> impl Fn(&Asked) -> usize + Send + Sync + 'static {
    let seen: Mutex<BTreeMap<Vec<u8>, usize>> = Mutex::default();
    let next = AtomicUsize::new(1);
    move |asked| {
        if !counts(asked) {
            return 0;
        }
        // A write that is sent again is still the same one; a removal has no body to know it by.
        let what = [asked.method.as_bytes(), asked.path.as_bytes(), &asked.body].concat();
        let mut seen = seen.lock().unwrap();
        *seen.entry(what).or_insert_with(|| next.fetch_add(1, Ordering::SeqCst))
    }
}

/// Sends a process a signal: `-STOP`.
pub fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill").args([name, &pid.to_string()]).status().unwrap();
    assert!(sent.success());
}

impl Machine {
    /// A lab with its states in a place.
    pub fn of(home: &Arc<Home>, mut lab: Lab, place: String) -> Machine {
        let between = home.between();
        let path = settle(lab.path(), home, &place, between.url());
        lab.add_kubeconfig(path);
        let machine = Machine { lab, between, home: Arc::clone(home), place };
        machine.undisturbed();
        machine
    }

    /// A machine of its own that begins with this one's project, world and states.
    pub fn copy(&self, options: &[&str]) -> Machine {
        Machine::of(&self.home, self.lab.copy(options), self.home.copy(&self.place))
    }

    /// Lets everything pass from now on.
    pub fn undisturbed(&self) {
        let mirror = mirror(self.lab.path());
        let after = move |asked: &Asked, status| {
            mirror(asked, status);
            Fate::Pass
        };
        self.between.hook(|_| Fate::Pass, after);
    }

    /// How many writes of a run count. The run ends undisturbed.
    pub fn writes(&self, arguments: &[&str]) -> usize {
        let (number, most) = (counter(), Arc::new(AtomicUsize::new(0)));
        let (mirror, seen) = (mirror(self.lab.path()), Arc::clone(&most));
        let after = move |asked: &Asked, status| {
            seen.fetch_max(number(asked), Ordering::SeqCst);
            mirror(asked, status);
            Fate::Pass
        };
        self.between.hook(|_| Fate::Pass, after);
        self.lab.run(arguments).exits(0);
        self.undisturbed();
        most.load(Ordering::SeqCst)
    }

    /// Runs, and has this happen; what the run came to. Then everything passes again.
    pub fn disturbed(&self, arguments: &[&str], what: Happens) -> Ran {
        let pid = Arc::new(OnceLock::new());
        let (number, mirror) = (Arc::new(counter()), mirror(self.lab.path()));
        let is_gone = Arc::new(AtomicUsize::new(0));
        let before = {
            let (pid, number, is_gone) =
                (Arc::clone(&pid), Arc::clone(&number), Arc::clone(&is_gone));
            move |asked: &mut Asked| {
                let number = number(asked);
                match what {
                    Happens::KilledBefore(at) if number == at => {
                        signal(*pid.wait(), "-KILL");
                        Fate::Cut
                    }
                    Happens::Lost(at) if number == at || is_gone.load(Ordering::SeqCst) > 0 => {
                        is_gone.store(1, Ordering::SeqCst);
                        Fate::Cut
                    }
                    _ if is_gone.load(Ordering::SeqCst) > 0 => Fate::Cut,
                    _ => Fate::Pass,
                }
            }
        };
        let after = {
            let pid = Arc::clone(&pid);
            move |asked: &Asked, status| {
                mirror(asked, status);
                let number = number(asked);
                match what {
                    Happens::KilledAfter(at) if number == at => {
                        signal(*pid.wait(), "-KILL");
                        Fate::Cut
                    }
                    Happens::Mute(at) if number == at => {
                        is_gone.store(1, Ordering::SeqCst);
                        Fate::Cut
                    }
                    _ => Fate::Pass,
                }
            }
        };
        self.between.hook(before, after);
        let mut command = self.lab.command();
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        pid.set(child.id()).unwrap();
        let ran = end(child);
        self.undisturbed();
        ran
    }

    /// Runs with every connection cut the first time that something is asked for: before it
    /// arrives, or after it was done.
    pub fn cut(&self, arguments: &[&str], before: bool) -> Ran {
        let seen: Mutex<BTreeSet<Vec<u8>>> = Mutex::default();
        let reads: Mutex<BTreeMap<String, usize>> = Mutex::default();
        let fate = Arc::new(move |asked: &Asked| {
            let is_first = if asked.is_write() {
                seen.lock().unwrap().insert(asked.body.clone())
            } else {
                // The same may be read again for another reason: every other one is cut.
                let mut reads = reads.lock().unwrap();
                let times = reads.entry(asked.path.clone()).or_default();
                *times += 1;
                *times % 2 == 1
            };
            if is_first { Fate::Cut } else { Fate::Pass }
        });
        let (mirror, later) = (mirror(self.lab.path()), Arc::clone(&fate));
        self.between.hook(
            move |asked| if before { fate(asked) } else { Fate::Pass },
            move |asked, status| {
                mirror(asked, status);
                if before { Fate::Pass } else { later(asked) }
            },
        );
        let ran = self.lab.run(arguments);
        self.undisturbed();
        ran
    }

    /// Begins a run, and stops it at its n-th write: after it was done, or before it arrives.
    ///
    /// # Errors
    /// What the run came to, where it ended before that.
    pub fn stopped(&self, arguments: &[&str], at: usize, done: bool) -> Result<Stopped, Ran> {
        let pid = Arc::new(OnceLock::new());
        let (number, mirror) = (Arc::new(counter()), mirror(self.lab.path()));
        let (tell, told) = mpsc::channel();
        let (go_on, held) = mpsc::channel::<()>();
        let held = Mutex::new(held);
        // Once only: a process that goes on may send again what it had no answer to.
        let is_reached = Arc::new(AtomicBool::new(false));
        let reached = {
            let (pid, tell) = (Arc::clone(&pid), tell.clone());
            move |asked: &Asked| {
                let is_it = number(asked) == at && !is_reached.swap(true, Ordering::SeqCst);
                if is_it {
                    signal(*pid.wait(), "-STOP");
                    tell.send(None).unwrap();
                }
                is_it
            }
        };
        let (before, after) = (reached.clone(), reached);
        self.between.hook(
            move |asked| {
                if !done && before(asked) {
                    // It arrives when the process goes on.
                    let _ = held.lock().unwrap().recv();
                }
                Fate::Pass
            },
            move |asked, status| {
                mirror(asked, status);
                if done {
                    after(asked);
                }
                Fate::Pass
            },
        );
        let mut command = self.lab.command();
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        let id = child.id();
        pid.set(id).unwrap();
        std::thread::spawn(move || tell.send(Some(end(child))));
        match told.recv().unwrap() {
            None => Ok(Stopped { pid: id, told, go_on }),
            Some(ran) => Err(ran),
        }
    }

    /// Another checkout of the project.
    pub fn second(&self) -> Second {
        let dir = tempfile::tempdir().unwrap();
        for part in ["stacks", "manifests"] {
            crate::lab::copy(&self.lab.path().join(part), &dir.path().join(part));
        }
        std::fs::write(dir.path().join("boxctl.yaml"), self.lab.read("boxctl.yaml")).unwrap();
        let between = self.home.between();
        settle(dir.path(), &self.home, &self.place, between.url());
        let mirror = mirror(self.lab.path());
        let after = move |asked: &Asked, status| {
            mirror(asked, status);
            Fate::Pass
        };
        between.hook(|_| Fate::Pass, after);
        Second { dir, _between: between }
    }

    /// The binary in another checkout.
    pub fn command_in(&self, second: &Second) -> Command {
        let mut command = self.lab.command();
        let own = Path::new(self.lab.variable("KUBECONFIG"));
        let states = second.dir.path().join("states.kubeconfig");
        let paths = std::env::join_paths([own, &states]).unwrap();
        command.current_dir(second.dir.path()).env("KUBECONFIG", paths);
        command
    }

    /// Runs in another checkout.
    pub fn run_in(&self, second: &Second, arguments: &[&str]) -> Ran {
        let mut command = self.command_in(second);
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        end(command.spawn().unwrap())
    }

    /// Nothing is left in the store but what a stack has there, and nobody holds its lock.
    pub fn is_tidy(&self) {
        for (name, content) in self.home.documents(&self.place) {
            let known = [".boxctl", "openhands.json", "openhands.journal", "openhands.lock"];
            assert!(
                known.contains(&name.as_str())
                    || name.starts_with("history/openhands/")
                    || name.ends_with(".lock"),
                "{name} is left"
            );
            if name.ends_with(".lock") {
                let record: Value = serde_json::from_str(content.trim()).unwrap();
                assert!(record["holder"].is_null(), "{name}: {content}");
            }
        }
    }
}

/// A run that stands still.
pub struct Stopped {
    pid: u32,
    told: mpsc::Receiver<Option<Ran>>,
    go_on: mpsc::Sender<()>,
}

impl Stopped {
    /// Lets it go on, and waits for its end.
    pub fn goes_on(self) -> Ran {
        let _ = self.go_on.send(());
        signal(self.pid, "-CONT");
        self.told.iter().flatten().next().unwrap()
    }
}

fn end(child: Child) -> Ran {
    let output = child.wait_with_output().unwrap();
    let killed = output.status.signal() == Some(9);
    Ran {
        code: if killed { -9 } else { output.status.code().unwrap_or(-1) },
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
