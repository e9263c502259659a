//! Jobs: pods until enough of them have succeeded, or too many have failed.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::events::{Said, Source};
use super::replicas::is_active;
use super::{condition, going};
use crate::sandbox::kubernetes::value::{fields, items, number, text};
use crate::sandbox::kubernetes::{Cluster, rfc3339};

const CONTROLLER: Source<'static> = Source::Controller("job-controller");
/// No job gets more pods at a time than this, whatever it asks for.
const MOST_PODS: i64 = 500;

/// How a job ended.
struct End {
    kinds: [&'static str; 2],
    reason: &'static str,
    message: &'static str,
}

const COMPLETE: End = End {
    kinds: ["SuccessCriteriaMet", "Complete"],
    reason: "CompletionsReached",
    message: "Reached expected number of succeeded pods",
};
const TOO_MANY: End = End {
    kinds: ["FailureTarget", "Failed"],
    reason: "BackoffLimitExceeded",
    message: "Job has reached the specified backoff limit",
};
const TOO_LATE: End = End {
    kinds: ["FailureTarget", "Failed"],
    reason: "DeadlineExceeded",
    message: "Job was active longer than specified deadline",
};

impl Cluster {
    /// Runs jobs, and takes away those that ended long enough ago.
    pub(super) fn run_jobs(&mut self, now: Timestamp) {
        for job in self.all_of("batch", "jobs") {
            let suspended = job.pointer("/spec/suspend") == Some(&Value::Bool(true));
            if going(&job) {
                continue;
            }
            match expiry(&job) {
                Some(end) if now.as_second() >= end => self.delete_as_controller(&job, now),
                _ if is_over(&job) || suspended => {}
                _ => self.run_job(&job, now),
            }
        }
    }

    /// Whether time alone will take a job away or fail it.
    pub(super) fn jobs_expire(&self) -> bool {
        self.store
            .list("batch", "jobs", None)
            .into_iter()
            .any(|job| expiry(job).is_some() || !is_over(job))
    }

    fn run_job(&mut self, job: &Value, now: Timestamp) {
        let parallel = number(job, "/spec/parallelism").unwrap_or(1);
        let wanted = number(job, "/spec/completions").unwrap_or(parallel).min(MOST_PODS);
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let pods = self.pods_of(job);
        let ended =
            |phase: &str| count(pods.iter().filter(|p| text(p, "/status/phase") == phase).count());
        let (done, failed) = (ended("Succeeded"), ended("Failed"));
        let restarts: i64 = pods
            .iter()
            .filter(|p| is_active(p))
            .flat_map(|p| items(p, "/status/containerStatuses"))
            .filter_map(|status| number(status, "/restartCount"))
            .sum();
        let limit = number(job, "/spec/backoffLimit").unwrap_or(6);
        let begun = text(job, "/status/startTime").parse::<Timestamp>().unwrap_or(now);
        let deadline = number(job, "/spec/activeDeadlineSeconds");
        let late = deadline.is_some_and(|d| now.as_second() >= begun.as_second().saturating_add(d));
        let end = match () {
            () if done >= wanted => Some(COMPLETE),
            () if failed + restarts > limit => Some(TOO_MANY),
            () if late => Some(TOO_LATE),
            () => None,
        };
        let active = count(pods.iter().filter(|p| is_active(p)).count());
        let template = job.pointer("/spec/template").cloned().unwrap_or_default();
        let more = (wanted - done).min(parallel) - active;
        if end.is_none() {
            for _ in 0..more {
                if self.make_counted_pod(job, &template, &[], CONTROLLER, now).is_some() {
                    break;
                }
            }
        } else {
            for pod in pods.iter().filter(|p| is_active(p)) {
                self.delete_as_controller(pod, now);
            }
        }
        self.note_job(job, end.as_ref(), (done, failed), now);
    }

    fn note_job(&mut self, job: &Value, end: Option<&End>, counts: (i64, i64), now: Timestamp) {
        let pods: Vec<_> = self.pods_of(job).into_iter().filter(is_active).collect();
        let ready = pods.iter().filter(|p| super::replicas::is_ready(p)).count();
        let known = text(job, "/status/startTime");
        let started = if known.is_empty() { rfc3339(now) } else { known.to_owned() };
        let mut status = json!({
            "startTime": started, "terminating": 0, "ready": ready,
            "uncountedTerminatedPods": {},
        });
        let map = fields(&mut status);
        for (field, n) in [("succeeded", counts.0), ("failed", counts.1)] {
            if n > 0 {
                map.insert(field.to_owned(), n.into());
            }
        }
        if !pods.is_empty() {
            map.insert("active".to_owned(), pods.len().into());
        }
        if let Some(End { kinds, reason, message }) = end {
            let before = items(job, "/status/conditions");
            let conditions: Vec<_> = kinds
                .iter()
                .map(|kind| {
                    let mut one = condition(before, kind, true, reason, message, now);
                    fields(&mut one).insert("lastProbeTime".to_owned(), rfc3339(now).into());
                    one
                })
                .collect();
            map.insert("conditions".to_owned(), conditions.into());
            let complete = kinds.contains(&"Complete");
            if complete {
                map.insert("completionTime".to_owned(), rfc3339(now).into());
            }
            let said = match complete {
                true => Said::normal("Completed", "Job completed"),
                false => Said::warning(reason, message),
            };
            self.tell(job, CONTROLLER, said, now);
        }
        self.note(job, status, now);
    }
}

/// Whether a job has completed or failed.
fn is_over(job: &Value) -> bool {
    items(job, "/status/conditions")
        .iter()
        .any(|c| matches!(text(c, "/type"), "Complete" | "Failed") && text(c, "/status") == "True")
}

/// The second at which a job that is over is taken away (`ttlSecondsAfterFinished`).
fn expiry(job: &Value) -> Option<i64> {
    let ttl = number(job, "/spec/ttlSecondsAfterFinished")?;
    let over = items(job, "/status/conditions").iter().find(|c| {
        matches!(text(c, "/type"), "Complete" | "Failed") && text(c, "/status") == "True"
    })?;
    let ended = text(over, "/lastTransitionTime").parse::<Timestamp>().ok()?;
    Some(ended.as_second().saturating_add(ttl))
}
