//! What readings before and after a write of a configuration tell of other writers. There is no
//! If-Match, and the last writer wins: only the version, which goes up by one with each write, tells
//! that someone came in between (contract 4.5).

use super::TunnelConfig;
use crate::kinds::ingress;
use crate::kinds::support::{items, text};
use crate::model::Json;
use crate::model::call::Answer;
use crate::model::kind::{Kind, KindError, Work};
use crate::model::observed::Remote;

/// How often one step writes a configuration before someone else is said to keep writing it.
const MOST_WRITES: usize = 3;

/// The version of a configuration that was written; None where none is told, and before the first
/// write, which is counted from -1, 0 or 1.
fn version(body: &Json) -> Option<i64> {
    body.get("version").and_then(Json::as_i64).filter(|version| *version > 0)
}

/// Whether a reading shows a later configuration than a write did.
pub(super) fn is_newer(read: &Answer, written: &Answer) -> bool {
    match (version(&read.body), version(&written.body)) {
        (Some(read), Some(written)) => read > written,
        _ => read.body.get("config") != written.body.get("config"),
    }
}

/// What is there is what the plan was made on, unless others' rules stay anyway.
///
/// # Errors
/// Someone wrote it since, and the write would undo that.
pub(super) fn same_as_planned(
    work: &Work<'_>,
    read: &Answer,
    current: &Remote,
) -> Result<(), KindError> {
    let now = version(&read.body);
    let then = work.remote.and_then(|planned| version(&planned.raw));
    let same = match work.remote {
        Some(planned) => now.is_some() && now == then || planned.spec == current.spec,
        None => !read.is_success() || TunnelConfig.read(&read.body, work.scope).is_empty(),
    };
    if same || ingress::is_shared(work.shared) || *work.spec == current.spec {
        return Ok(());
    }
    let planned = work.remote.map_or(&Json::Null, |planned| &planned.spec);
    let new = items(&current.spec, "ingress").iter();
    let new = new.filter(|rule| !items(planned, "ingress").contains(rule));
    let names: Vec<&str> = new.filter_map(|rule| text(rule, "hostname")).collect();
    let about = match names.is_empty() {
        true => String::new(),
        false => format!(" (rules of {})", names.join(", ")),
    };
    let versions = match (then, now) {
        (Some(then), Some(now)) => format!(": version {then} is {now} by now"),
        _ => String::new(),
    };
    Err(KindError::Impossible {
        message: format!(
            "someone else wrote the configuration since it was planned{versions}{about}"
        ),
        hint: Some("run this again: the plan shows what they changed".to_owned()),
    })
}

/// Whether another write is in order.
///
/// # Errors
/// There were enough.
pub(super) fn may_go_on(answers: &[Answer]) -> Result<(), KindError> {
    if answers.len() / 2 < MOST_WRITES {
        return Ok(());
    }
    Err(KindError::Impossible {
        message: format!(
            "someone else keeps writing the configuration: after {MOST_WRITES} writes it is still \
             not what was asked for"
        ),
        hint: Some(
            "find out who: each writer has to read the configuration again before it writes"
                .to_owned(),
        ),
    })
}

/// Nobody wrote between a reading and the write that rests on it.
///
/// # Errors
/// Someone did, and what they wrote is gone: the API keeps no earlier version.
pub(super) fn nothing_covered(answers: &[Answer]) -> Result<(), KindError> {
    for pair in answers.chunks_exact(2) {
        let [read, written] = pair else { continue };
        let (Some(before), Some(after)) = (version(&read.body), version(&written.body)) else {
            continue;
        };
        if after > before + 1 {
            return Err(KindError::Impossible {
                message: format!(
                    "version {after} was written and is what was asked for, but version {} had \
                     come in between from someone else and is covered now",
                    after - 1
                ),
                hint: Some(
                    "whoever wrote that has to write it again: the API keeps no earlier version; \
                     running this again goes on"
                        .to_owned(),
                ),
            });
        }
    }
    Ok(())
}
