//! What becomes of one container: pulled or not, configured or not, ready, crashing, done.

use jiff::SignedDuration;
use serde_json::Value;

use crate::sandbox::kubernetes::value::{items, text};

/// Annotation of a pod by which the sandbox is told how its containers behave: `never` ready,
/// `crash`, or the milliseconds until they are ready.
pub const BEHAVIOUR: &str = "/metadata/annotations/sandbox.boxctl~1ready";

/// The kubelet's first and longest pause before it starts a container again.
const BACKOFF: (i64, i64) = (10, 300);

/// What a container does once it has been started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conduct {
    /// It is ready after this long.
    Ready(SignedDuration),
    /// It is never ready.
    Never,
    /// It ends with this exit code after this long.
    Ends(i64, SignedDuration),
}

/// Where a container is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It has not been started.
    Waiting(&'static str, String),
    /// It runs.
    Running {
        /// Whether its probes pass.
        ready: bool,
    },
    /// It ends again and again, and is about to be started again.
    Crashing {
        /// How often it was started again.
        restarts: u32,
        /// How it ends.
        code: i64,
        /// Seconds until it is started again.
        pause: i64,
    },
    /// It has ended for good.
    Ended {
        /// How.
        code: i64,
    },
}

impl Fate {
    /// Whether nothing but a change of the cluster moves it any more.
    pub fn settled(&self) -> bool {
        matches!(self, Fate::Running { ready: true } | Fate::Ended { .. })
    }

    /// Whether the container has been started at least once.
    pub fn started(&self) -> bool {
        !matches!(self, Fate::Waiting(..))
    }
}

/// How a container behaves: by its command where that ends at once on any machine, else as the
/// pod's annotation says, else ready after `after`, or done where it runs but `once`.
pub fn conduct(pod: &Value, container: &Value, after: SignedDuration, once: bool) -> Conduct {
    if let Some(code) = ends_at_once(container) {
        return Conduct::Ends(code, SignedDuration::ZERO);
    }
    match text(pod, BEHAVIOUR) {
        "never" => Conduct::Never,
        "crash" => Conduct::Ends(1, SignedDuration::ZERO),
        said => {
            let after = said.parse().map_or(after, SignedDuration::from_millis);
            if once { Conduct::Ends(0, after) } else { Conduct::Ready(after) }
        }
    }
}

/// The exit code of a command that any shell would end at once with: `false`, `true`,
/// `sh -c 'echo no; exit 3'`.
fn ends_at_once(container: &Value) -> Option<i64> {
    let words: Vec<&str> = ["/command", "/args"]
        .iter()
        .flat_map(|list| items(container, list))
        .filter_map(Value::as_str)
        .collect();
    if items(container, "/command").is_empty() {
        return None;
    }
    let (program, rest) = words.split_first()?;
    match (program.rsplit('/').next()?, rest) {
        ("false", _) => Some(1),
        ("true", _) => Some(0),
        ("sh" | "bash" | "ash", ["-c" | "-ec", script, ..]) => script_ends(script),
        _ => None,
    }
}

fn script_ends(script: &str) -> Option<i64> {
    let lines: Vec<&str> =
        script.split([';', '\n']).map(str::trim).filter(|line| !line.is_empty()).collect();
    let (last, before) = lines.split_last()?;
    let silent = before.iter().all(|line| line.starts_with("echo ") && !line.contains(['|', '&']));
    match *last {
        _ if !silent => None,
        "false" => Some(1),
        "true" => Some(0),
        line => line.strip_prefix("exit ")?.trim().parse().ok(),
    }
}

/// Where a container is that could be started `elapsed` ago.
pub fn fate(conduct: Conduct, probed: bool, restart_policy: &str, elapsed: SignedDuration) -> Fate {
    // Without a probe, a container that runs is ready: what takes time is its start.
    let starting = || match probed {
        true => Fate::Running { ready: false },
        false => Fate::Waiting("ContainerCreating", String::new()),
    };
    match conduct {
        Conduct::Never => starting(),
        Conduct::Ready(after) | Conduct::Ends(_, after) if elapsed < after => starting(),
        Conduct::Ready(_) => Fate::Running { ready: true },
        Conduct::Ends(code, after) => match (restart_policy, code) {
            ("Never", _) | ("OnFailure", 0) => Fate::Ended { code },
            _ => {
                let (restarts, pause) = backoff((elapsed - after).as_secs());
                Fate::Crashing { restarts, code, pause }
            }
        },
    }
}

/// Restarts so far and the pause now, `elapsed` seconds after the first start: 10 s, 20 s, 40 s …
/// 5 min.
fn backoff(elapsed: i64) -> (u32, i64) {
    let (mut pause, most) = BACKOFF;
    let (mut restarts, mut end) = (1, pause);
    while elapsed >= end && restarts < 1000 {
        pause = (pause * 2).min(most);
        end += pause;
        restarts += 1;
    }
    (restarts, pause)
}

/// The registry's host in an image's name; names without one are Docker Hub's.
fn registry(image: &str) -> &str {
    match image.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
        _ => "docker.io",
    }
}

/// Why an image can't be pulled from anywhere: reason and message.
pub fn unpullable(image: &str, first: bool) -> Option<(&'static str, String)> {
    let name = image.split('@').next().unwrap_or_default();
    let (path, tag) = match name.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => (path, tag),
        _ => (name, "latest"),
    };
    let host = registry(image);
    let repository = path.strip_prefix(host).unwrap_or(path).trim_start_matches('/');
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-/".contains(c);
    if repository.is_empty() || !repository.chars().all(legal) {
        let why = "couldn't parse image name";
        let message = format!(
            "Failed to apply default image tag {image:?}: {why} {image:?}: invalid reference format"
        );
        return Some(("InvalidImageName", message));
    }
    let bare = host.split(':').next().unwrap_or_default();
    // RFC 6761: no name under `invalid` ever resolves.
    if !bare.ends_with(".invalid") {
        return None;
    }
    let why = format!(
        "failed to pull and unpack image {image:?}: failed to resolve reference {image:?}: failed \
         to do request: Head \"https://{host}/v2/{repository}/manifests/{tag}\": dial tcp: lookup \
         {bare}: no such host"
    );
    Some(match first {
        true => ("ErrImagePull", why),
        false => {
            let back = format!("Back-off pulling image {image:?}: ErrImagePull: {why}");
            ("ImagePullBackOff", back)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_crash_loop_slows_down() {
        for (elapsed, wanted) in [
            (0, (1, 10)),
            (9, (1, 10)),
            (10, (2, 20)),
            (30, (3, 40)),
            (309, (5, 160)),
            (310, (6, 300)),
        ] {
            assert_eq!(backoff(elapsed), wanted, "{elapsed}");
        }
    }

    #[test]
    fn commands_that_end_at_once_do() {
        for (command, wanted) in [
            (json!(["false"]), Some(1)),
            (json!(["/bin/true"]), Some(0)),
            (json!(["sh", "-c", "echo no; exit 3"]), Some(3)),
            (json!(["sh", "-c", "sleep 5; exit 3"]), None),
            (json!(["sleep", "3600"]), None),
        ] {
            assert_eq!(ends_at_once(&json!({"command": command})), wanted, "{command}");
        }
        assert_eq!(ends_at_once(&json!({"args": ["false"]})), None, "the entry point is unknown");
    }

    #[test]
    fn images_are_pulled_unless_no_registry_can_have_them() {
        for (image, wanted) in [
            ("nginx", None),
            ("ghcr.io/a/b:1", None),
            ("localhost:5000/a@sha256:00", None),
            ("registry.invalid/a:1", Some("ErrImagePull")),
            ("Wrong:1", Some("InvalidImageName")),
        ] {
            assert_eq!(unpullable(image, true).map(|(reason, _)| reason), wanted, "{image}");
        }
        let (reason, message) = unpullable("registry.invalid/a", false).expect("unpullable");
        assert_eq!(reason, "ImagePullBackOff");
        assert!(message.contains("/v2/a/manifests/latest"), "{message}");
    }
}
