//! Plans and events for machines: versioned documents, unknown values null, secrets hidden.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use serde_json::json;

use super::mask::{Mask, unknowns, with_nulls};
use crate::model::address::Address;
use crate::model::change::{Change, Confidence, Drift, FieldChange};
use crate::model::error::{Exit, Report};
use crate::model::event::{Event, Events};
use crate::model::plan::{Plan, Requests, StackPlan, Summary};
use crate::model::{Json, JsonMap};

/// The version of the documents here.
pub const FORMAT_VERSION: &str = "1";

/// `plan --json`. Requests are those of the whole run, since its stacks share their lists; they
/// stand with each stack, and once at the top.
pub fn plan(plan: &Plan) -> Json {
    let stacks: Vec<Json> =
        plan.stacks.iter().map(|stack| stack_plan(stack, plan.requests)).collect();
    json!({
        "format_version": FORMAT_VERSION,
        "id": plan.id,
        "project": plan.project,
        "created_at": plan.created_at,
        "summary": plan.summary(),
        "stacks": stacks,
        "requests": plan.requests,
    })
}

fn stack_plan(stack: &StackPlan, requests: Requests) -> Json {
    let renamed: Vec<Json> = stack
        .refresh
        .iter()
        .filter_map(|one| Some(json!({"from": one.moved_from.as_ref()?, "to": one.address})))
        .collect();
    json!({
        "stack": stack.stack,
        "serial": stack.serial,
        "summary": stack.summary(),
        "changes": stack.changes.iter().map(change).collect::<Vec<_>>(),
        "drift": stack.drift.iter().map(|one| drift_entry(None, one)).collect::<Vec<_>>(),
        "checks": stack.checks.iter().map(report).collect::<Vec<_>>(),
        "taken": stack.taken,
        "kept": stack.kept,
        "elsewhere": stack.elsewhere,
        "renamed": renamed,
        "requests": requests,
    })
}

fn change(change: &Change) -> Json {
    let mask = Mask::of(&change.address, change.spec.as_ref().or(change.before.as_ref()));
    let side = |value: &Option<Json>| value.as_ref().map(|value| mask.value("", value));
    let after = side(&change.spec);
    let mut unknown: BTreeMap<String, Address> = after.as_ref().map(unknowns).unwrap_or_default();
    unknown.extend(change.unknown.clone());
    let (confidence, unchecked) = match &change.confidence {
        Confidence::Checked => ("checked", None),
        Confidence::Compared => ("compared", None),
        Confidence::New => ("new", None),
        Confidence::Unchecked(why) => ("unchecked", Some(why)),
    };
    let mut out = json!({
        "address": change.address,
        "kind": change.address.kind(),
        "action": change.action,
        "phase": change.phase,
        "id": change.id,
        "paths": change.paths.iter().map(|field| &field.path).collect::<Vec<_>>(),
        "fields": change.paths.iter().map(|one| field(one, mask)).collect::<Vec<_>>(),
        "before": side(&change.before).map(|value| with_nulls(&value)),
        "after": after.map(|value| with_nulls(&value)),
        "unknown": unknown,
        "reason": change.reason,
        "confidence": confidence,
        "needs": change.needs,
    });
    if let Some(why) = unchecked {
        out["unchecked"] = why.as_str().into();
    }
    if let Some(how) = &change.interrupts {
        out["interrupts"] = how.as_str().into();
    }
    if let Some(from) = &change.moved_from {
        out["moved_from"] = from.to_string().into();
    }
    out
}

fn field(field: &FieldChange, mask: Mask) -> Json {
    let (before, after) = mask.field(field);
    let mut out = JsonMap::new();
    out.insert("path".to_owned(), field.path.as_str().into());
    out.insert("before".to_owned(), before.as_ref().map(with_nulls).unwrap_or_default());
    out.insert("after".to_owned(), after.as_ref().map(with_nulls).unwrap_or_default());
    for (name, value) in [("by", &field.by), ("since", &field.since), ("note", &field.note)] {
        if let Some(value) = value {
            out.insert(name.to_owned(), value.as_str().into());
        }
    }
    Json::Object(out)
}

/// One resource that is not as it was recorded: `before` is what is recorded, `after` what is there.
pub(super) fn drift_entry(stack: Option<&str>, drift: &Drift) -> Json {
    let mask = Mask::of(&drift.address, None);
    let mut out = JsonMap::new();
    if let Some(stack) = stack {
        out.insert("stack".to_owned(), stack.into());
    }
    out.insert("address".to_owned(), drift.address.to_string().into());
    out.insert("kind".to_owned(), drift.address.kind().into());
    out.insert("drift".to_owned(), json!(drift.kind));
    let paths: Vec<&str> = drift.paths.iter().map(|field| field.path.as_str()).collect();
    out.insert("paths".to_owned(), paths.into());
    let fields: Vec<Json> = drift.paths.iter().map(|one| field(one, mask)).collect();
    out.insert("fields".to_owned(), fields.into());
    Json::Object(out)
}

/// A report: what, about which address, where.
pub fn report(report: &Report) -> Json {
    json!({
        "level": report.level,
        "code": report.code,
        "address": report.address,
        "message": report.message,
        "file": report.location.as_ref().map(|location| &location.file),
        "line": report.location.as_ref().map(|location| location.line),
        "column": report.location.as_ref().map(|location| location.column),
        "causes": report.causes,
        "hints": report.hints,
    })
}

/// Why a command ended without success: `{"format_version", "exit", "errors"}`.
pub fn stop(exit: Exit, reports: &[Report]) -> Json {
    json!({
        "format_version": FORMAT_VERSION,
        "exit": exit.code(),
        "errors": reports.iter().map(report).collect::<Vec<_>>(),
    })
}

/// An event as a line's document.
pub fn event(event: &Event) -> Json {
    let mut value = json!({"format_version": FORMAT_VERSION});
    if let (Some(out), Ok(Json::Object(fields))) =
        (value.as_object_mut(), serde_json::to_value(event))
    {
        out.extend(fields);
    }
    if let Event::StepFailed { report: told, .. } | Event::Told { report: told } = event {
        value["report"] = report(told);
    }
    if let Event::ApplyEnded { exit, .. } = event {
        value["exit"] = exit.code().into();
    }
    value
}

#[derive(Debug, Default)]
struct Total {
    stacks: Vec<Json>,
    done: Summary,
    failed: usize,
    waiting: usize,
    elapsed_ms: u64,
    requests: Requests,
}

/// `apply --json`: one event a line, ended by [`EventLines::finish`] with a summary event.
#[derive(Debug)]
pub struct EventLines<W> {
    inner: Mutex<(W, Total)>,
}

impl<W: Write + Send> EventLines<W> {
    /// Lines to that writer.
    pub fn new(writer: W) -> Self {
        EventLines { inner: Mutex::new((writer, Total::default())) }
    }

    /// Writes the summary event, the last line.
    ///
    /// # Errors
    /// The writer's.
    pub fn finish(&self, exit: Exit) -> io::Result<()> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let (writer, total) = &mut *inner;
        let summary = json!({
            "format_version": FORMAT_VERSION,
            "event": "summary",
            "exit": exit.code(),
            "done": total.done,
            "failed": total.failed,
            "waiting": total.waiting,
            "stacks": total.stacks,
            "elapsed_ms": total.elapsed_ms,
            "requests": total.requests,
        });
        writeln!(writer, "{summary}")?;
        writer.flush()
    }
}

impl<W: Write + Send> Events for EventLines<W> {
    fn emit(&self, happened: Event) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let (writer, total) = &mut *inner;
        if let Event::ApplyEnded {
            stack,
            done,
            failed,
            waiting,
            serial,
            exit,
            elapsed_ms,
            requests,
            ..
        } = &happened
        {
            total.done = total.done.plus(*done);
            total.failed += failed.len();
            total.waiting += waiting.len();
            total.elapsed_ms = total.elapsed_ms.max(*elapsed_ms);
            total.requests = *requests;
            let entry = json!({"stack": stack, "serial": serial, "exit": exit.code(), "done": done,
                "failed": failed, "waiting": waiting});
            total.stacks.push(entry);
        }
        // A reader that went away does not stop a run.
        let _ = writeln!(writer, "{}", event(&happened)).and_then(|()| writer.flush());
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn a_plan_for_machines_has_nulls_for_what_is_not_known() {
        let document = plan(&samples::plan());
        insta::assert_json_snapshot!(document);
        let text = document.to_string();
        for secret in samples::SECRETS {
            assert!(!text.contains(secret), "{secret}");
        }
    }

    #[test]
    fn events_are_lines_and_end_in_a_summary() {
        let mut written = Vec::new();
        let lines = EventLines::new(&mut written);
        samples::events().into_iter().for_each(|event| lines.emit(event));
        lines.finish(Exit::Partial).unwrap();
        insta::assert_snapshot!(String::from_utf8(written).unwrap());
    }
}
