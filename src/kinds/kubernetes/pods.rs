//! What is wrong with pods.

use std::collections::BTreeMap;

use crate::model::Json;

use super::names::{is_going, name};
use super::status::{Condition, items, number, said, text};

/// More than that of a message is not told.
const LONGEST: usize = 300;

/// The end of a text, on one line: what went wrong last stands last.
pub(super) fn cut(message: &str) -> String {
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let length = line.chars().count();
    if length <= LONGEST {
        return line;
    }
    let end: String = line.chars().skip(length - LONGEST).collect();
    format!("…{end}")
}

/// What is wrong, each trouble once with one pod that has it; what a container says for itself
/// before what is only waited for.
pub(super) fn troubles<'a>(pods: &[&'a Json]) -> Vec<(&'a Json, String)> {
    let mut by_text: BTreeMap<(bool, String), Vec<&'a Json>> = BTreeMap::new();
    for pod in pods {
        if let Some(trouble) = trouble(pod) {
            by_text.entry((trouble.is_vague, trouble.text)).or_default().push(*pod);
        }
    }
    by_text
        .into_iter()
        .filter_map(|((_, text), pods)| {
            let first = *pods.first()?;
            let others = match pods.len() - 1 {
                0 => String::new(),
                others => format!(" and {others} more"),
            };
            Some((first, format!("pod {}{others}: {text}", name(first))))
        })
        .collect()
}

struct Trouble {
    text: String,
    /// Whether it may pass by itself.
    is_vague: bool,
}

fn trouble(pod: &Json) -> Option<Trouble> {
    let is = |text: String| Some(Trouble { text, is_vague: false });
    let may_be = |text: String| Some(Trouble { text, is_vague: true });
    let phase = text(pod, "/status/phase");
    if phase == "Succeeded" {
        return None;
    }
    for (list, what) in [
        ("/status/initContainerStatuses", "init container"),
        ("/status/containerStatuses", "container"),
    ] {
        if let Some(text) = items(pod, list).find_map(|status| of_container(status, what)) {
            return is(text);
        }
    }
    if phase == "Failed" {
        let (reason, message) = (text(pod, "/status/reason"), text(pod, "/status/message"));
        return is(format!("it failed: {}", said(reason, &cut(message))));
    }
    if let Some(scheduled) = Condition::of(pod, "PodScheduled").filter(|one| one.is("False")) {
        return is(said(scheduled.reason(), &cut(scheduled.message())));
    }
    if is_going(pod) {
        return may_be("it is ending".to_owned());
    }
    let not_yet = |status: &&Json| status.get("ready").and_then(Json::as_bool) != Some(true);
    if let Some(status) = items(pod, "/status/containerStatuses").find(not_yet) {
        let reason = text(status, "/state/waiting/reason");
        return may_be(match reason {
            "" => format!("container {} runs and is not ready", text(status, "/name")),
            reason => format!("container {}: {reason}", text(status, "/name")),
        });
    }
    let ready = Condition::of(pod, "Ready").filter(|ready| !ready.is("True"));
    ready.and_then(|ready| may_be(said(ready.reason(), &cut(ready.message()))))
}

/// What keeps a container from running, if it says so.
fn of_container(status: &Json, what: &str) -> Option<String> {
    let head = format!("{what} {}", text(status, "/name"));
    let waiting = text(status, "/state/waiting/reason");
    match waiting {
        "" => {}
        "ContainerCreating" | "PodInitializing" => return None,
        "CrashLoopBackOff" => {
            let ended = ended(status, "/lastState/terminated")
                .unwrap_or_else(|| cut(text(status, "/state/waiting/message")));
            return Some(format!("{head}: CrashLoopBackOff: {ended}"));
        }
        reason => {
            let message = cut(text(status, "/state/waiting/message"));
            let image = text(status, "/image");
            let of = if image.is_empty() || message.contains(image) {
                String::new()
            } else {
                format!(" (image {image})")
            };
            return Some(format!("{head}{of}: {}", said(reason, &message)));
        }
    }
    if number(status, "/state/terminated/exitCode").is_some_and(|code| code != 0) {
        return ended(status, "/state/terminated").map(|ended| format!("{head}: {ended}"));
    }
    None
}

/// How a container ended: `it ended with exit code 1 (Error): message`.
fn ended(status: &Json, pointer: &str) -> Option<String> {
    let code = number(status, &format!("{pointer}/exitCode"))?;
    let reason = text(status, &format!("{pointer}/reason"));
    let message = cut(text(status, &format!("{pointer}/message")));
    let mut out = format!("it ended with exit code {code}");
    if !reason.is_empty() {
        out.push_str(&format!(" ({reason})"));
    }
    if !message.is_empty() {
        out.push_str(&format!(": {message}"));
    }
    match number(status, "/restartCount").unwrap_or(0) {
        0 => {}
        1 => out.push_str("; it was restarted once"),
        times => out.push_str(&format!("; it was restarted {times} times")),
    }
    Some(out)
}
