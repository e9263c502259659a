//! The status of a pod as its kubelet writes it.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::condition;
use super::containers::Fate;
use crate::sandbox::kubernetes::rfc3339;
use crate::sandbox::kubernetes::value::{fields, items, number, set, text};

/// Containers of a pod with their fates.
pub type Fates = Vec<(String, Fate)>;

/// The status of a pod whose init containers and containers are where `init` and `main` say.
pub fn of(pod: &Value, init: &Fates, main: &Fates, now: Timestamp) -> Value {
    let mut status = pod.get("status").cloned().unwrap_or_default();
    let statuses = |list: &str, field: &str, fates: &Fates| -> Value {
        let before = items(pod, &format!("/status/{field}"));
        let of = |(container, (_, fate)): (&Value, &(String, Fate))| {
            let before = before.iter().find(|s| text(s, "/name") == text(container, "/name"));
            container_status(pod, container, fate, before, list.contains("init"), now)
        };
        items(pod, list).iter().zip(fates).map(of).collect()
    };
    let containers = statuses("/spec/containers", "containerStatuses", main);
    let inits = statuses("/spec/initContainers", "initContainerStatuses", init);
    let phase = phase(init, main);
    let conditions = conditions(pod, init, main, phase, now);
    let started = text(&status, "/startTime").to_owned();
    let started = if started.is_empty() { rfc3339(now) } else { started };
    let address = address(text(pod, "/metadata/uid"));
    let node = node_address(text(pod, "/spec/nodeName"));
    let any = init.iter().chain(main).any(|(_, fate)| fate.started());
    let map = fields(&mut status);
    map.insert(
        "observedGeneration".to_owned(),
        number(pod, "/metadata/generation").unwrap_or(1).into(),
    );
    map.insert("phase".to_owned(), phase.into());
    map.insert("conditions".to_owned(), conditions);
    for field in ["reason", "message"] {
        map.shift_remove(field);
    }
    map.insert("hostIP".to_owned(), node.clone().into());
    map.insert("hostIPs".to_owned(), json!([{"ip": node}]));
    if any {
        map.insert("podIP".to_owned(), address.clone().into());
        map.insert("podIPs".to_owned(), json!([{"ip": address}]));
    }
    map.insert("startTime".to_owned(), started.into());
    if !init.is_empty() {
        map.insert("initContainerStatuses".to_owned(), inits);
    }
    map.insert("containerStatuses".to_owned(), containers);
    status
}

fn phase(init: &Fates, main: &Fates) -> &'static str {
    let all = |wanted: fn(&Fate) -> bool| main.iter().all(|(_, fate)| wanted(fate));
    if init.iter().any(|(_, fate)| matches!(fate, Fate::Ended { code } if *code != 0)) {
        "Failed"
    } else if all(|fate| matches!(fate, Fate::Ended { code: 0 })) {
        "Succeeded"
    } else if all(|fate| matches!(fate, Fate::Ended { .. })) {
        "Failed"
    } else if main.iter().all(|(_, fate)| fate.started()) {
        "Running"
    } else {
        "Pending"
    }
}

/// The pod's conditions in the kubelet's order.
fn conditions(pod: &Value, init: &Fates, main: &Fates, phase: &str, now: Timestamp) -> Value {
    let before = items(pod, "/status/conditions");
    let named = |wanted: fn(&Fate) -> bool, fates: &Fates| -> Vec<String> {
        fates.iter().filter(|(_, f)| !wanted(f)).map(|(name, _)| name.clone()).collect()
    };
    let done =
        |fate: &Fate| matches!(fate, Fate::Ended { code: 0 } | Fate::Running { ready: true });
    let incomplete = named(done, init);
    let unready = named(|fate| matches!(fate, Fate::Running { ready: true }), main);
    let over = matches!(phase, "Succeeded" | "Failed");
    let initialized = match (incomplete.is_empty(), phase) {
        (true, "Succeeded") => (true, "PodCompleted", String::new()),
        (true, _) => (true, "", String::new()),
        (false, _) => {
            let list = incomplete.join(" ");
            let text = format!("containers with incomplete status: [{list}]");
            (false, "ContainersNotInitialized", text)
        }
    };
    let ready = match (unready.is_empty(), phase) {
        (true, _) => (true, "", String::new()),
        (false, "Succeeded") => (false, "PodCompleted", String::new()),
        (false, "Failed") => (false, "PodFailed", String::new()),
        (false, _) => {
            let text = format!("containers with unready status: [{}]", unready.join(" "));
            (false, "ContainersNotReady", text)
        }
    };
    let sandboxed = init.iter().chain(main).any(|(_, fate)| fate.started()) && !over;
    let all = [
        ("PodReadyToStartContainers", (sandboxed, "", String::new())),
        ("Initialized", initialized),
        ("Ready", ready.clone()),
        ("ContainersReady", ready),
        ("PodScheduled", (true, "", String::new())),
    ];
    let observed = number(pod, "/metadata/generation").unwrap_or(1);
    all.iter()
        .map(|(kind, (status, reason, message))| {
            let mut one = condition(before, kind, *status, reason, message, now);
            set(&mut one, "lastProbeTime", Some(Value::Null));
            set(&mut one, "observedGeneration", Some(observed.into()));
            for field in ["reason", "message"] {
                if text(&one, &format!("/{field}")).is_empty() {
                    set(&mut one, field, None);
                }
            }
            one
        })
        .collect()
}

fn container_status(
    pod: &Value,
    container: &Value,
    fate: &Fate,
    before: Option<&Value>,
    init: bool,
    now: Timestamp,
) -> Value {
    let null = Value::Null;
    let before = before.unwrap_or(&null);
    let name = text(container, "/name");
    let id = format!("containerd://{}", container_id(text(pod, "/metadata/uid"), name));
    let kept = |pointer: &str| {
        let known = text(before, pointer);
        if known.is_empty() { rfc3339(now) } else { known.to_owned() }
    };
    let ended = |code: i64, at: String| {
        json!({
            "exitCode": code, "reason": if code == 0 { "Completed" } else { "Error" },
            "startedAt": at, "finishedAt": at, "containerID": id,
        })
    };
    let mut last = json!({});
    let (state, ready, restarts) = match fate {
        Fate::Waiting(reason, message) if message.is_empty() => {
            (json!({"waiting": {"reason": reason}}), false, 0)
        }
        Fate::Waiting(reason, message) => {
            (json!({"waiting": {"reason": reason, "message": message}}), false, 0)
        }
        Fate::Running { ready } => {
            let at = kept("/state/running/startedAt");
            (json!({"running": {"startedAt": at}}), *ready, 0)
        }
        Fate::Crashing { restarts, code, pause } => {
            let same = number(before, "/restartCount") == Some(i64::from(*restarts));
            let at = if same { kept("/lastState/terminated/startedAt") } else { rfc3339(now) };
            last = json!({"terminated": ended(*code, at)});
            let (ns, pod_name) = (text(pod, "/metadata/namespace"), text(pod, "/metadata/name"));
            let uid = text(pod, "/metadata/uid");
            let message = format!(
                "back-off {} restarting failed container={name} pod={pod_name}_{ns}({uid})",
                go_duration(*pause)
            );
            let waiting = json!({"reason": "CrashLoopBackOff", "message": message});
            (json!({"waiting": waiting}), false, *restarts)
        }
        Fate::Ended { code } => {
            let at = kept("/state/terminated/startedAt");
            (json!({"terminated": ended(*code, at)}), init && *code == 0, 0)
        }
    };
    let image = text(container, "/image");
    let mut status = json!({
        "name": name, "state": state, "lastState": last, "ready": ready,
        "restartCount": restarts, "image": image, "imageID": "",
        "started": matches!(fate, Fate::Running { .. }) && (!init || ready),
    });
    if fate.started() {
        let digest = format!(
            "{}@sha256:{}",
            image.split(['@']).next().unwrap_or(image),
            container_id(image, "")
        );
        set(&mut status, "imageID", Some(digest.into()));
        set(&mut status, "containerID", Some(id.into()));
    }
    status
}

/// Seconds as Go writes a duration: `10s`, `1m20s`, `5m0s`.
pub fn go_duration(seconds: i64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        _ => format!("{}m{}s", seconds / 60, seconds % 60),
    }
}

fn container_id(uid: &str, name: &str) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(format!("{uid}/{name}")).iter().map(|b| format!("{b:02x}")).collect()
}

fn address(uid: &str) -> String {
    let digest = container_id(uid, "");
    let part = |at: usize| digest.get(at..at + 2).and_then(|s| u8::from_str_radix(s, 16).ok());
    format!("10.244.{}.{}", part(0).unwrap_or(0), part(2).unwrap_or(0).clamp(2, 254))
}

/// The address of a node, as its status has it.
pub fn node_address(node: &str) -> String {
    let digest = container_id(node, "node");
    let byte = digest.get(..2).and_then(|s| u8::from_str_radix(s, 16).ok()).unwrap_or(0);
    format!("192.168.1.{}", byte.clamp(2, 254))
}
