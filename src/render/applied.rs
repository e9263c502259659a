//! What an apply came to: its plan, and what became of each step, gathered from its events.

use std::collections::BTreeMap;

use super::human::deeds;
use crate::model::change::{Change, StepId};
use crate::model::error::{Exit, Report};
use crate::model::event::Event;
use crate::model::plan::{Plan, Requests, StackPlan, Summary};

/// What became of a step.
#[derive(Clone, Debug, PartialEq)]
pub enum Became {
    /// It is done.
    Done,
    /// It failed, and why.
    Failed(Box<Report>),
    /// It was not begun, since these were not done.
    Waiting(Vec<StepId>),
    /// It was not begun: the run was refused, ended or stopped before it.
    Left,
}

/// What the events of a run told, to be shown with its plan at its end.
#[derive(Clone, Debug, Default)]
pub struct Told {
    steps: BTreeMap<(String, StepId), Became>,
    done: Summary,
    elapsed_ms: u64,
    lost: usize,
    requests: Requests,
    reports: Vec<Report>,
}

impl Told {
    /// Takes an event.
    pub fn add(&mut self, event: &Event) {
        match event {
            Event::StepDone { stack, step, .. } => self.became(stack, step, Became::Done),
            Event::StepFailed { stack, step, report, .. } => {
                self.became(stack, step, Became::Failed(report.clone()));
            }
            Event::StepSkipped { stack, step, waits_for, .. } => {
                self.became(stack, step, Became::Waiting(waits_for.clone()));
            }
            Event::Told { report } => self.reports.push((**report).clone()),
            Event::ApplyEnded { done, lost, elapsed_ms, requests, .. } => {
                self.done = self.done.plus(*done);
                self.elapsed_ms += elapsed_ms;
                self.lost += lost;
                self.requests = *requests;
            }
            Event::Observing { .. }
            | Event::Observed { .. }
            | Event::ApplyStarted { .. }
            | Event::StepStarted { .. }
            | Event::StepWaiting { .. }
            | Event::Retrying { .. }
            | Event::Stopping => {}
        }
    }

    fn became(&mut self, stack: &str, step: &StepId, became: Became) {
        self.steps.insert((stack.to_owned(), step.clone()), became);
    }
}

/// An apply that ended.
#[derive(Clone, Copy, Debug)]
pub struct Applied<'a> {
    /// What was to be done.
    pub plan: &'a Plan,
    /// What happened.
    pub told: &'a Told,
    /// How it ended.
    pub exit: Exit,
    /// What stopped it, if anything did.
    pub stopped: &'a [Report],
}

impl<'a> Applied<'a> {
    /// What became of a step.
    pub(super) fn became(&self, stack: &StackPlan, change: &Change) -> &'a Became {
        const LEFT: &Became = &Became::Left;
        self.told.steps.get(&(stack.stack.clone(), change.step())).unwrap_or(LEFT)
    }

    /// The steps that became something, with their stacks, in the order of the plan.
    pub(super) fn steps(
        &self,
        of: impl Fn(&Became) -> bool,
    ) -> Vec<(&'a StackPlan, &'a Change, &'a Became)> {
        let stacks = self.plan.stacks.iter();
        let all = stacks.flat_map(|stack| stack.changes.iter().map(move |change| (stack, change)));
        all.map(|(stack, change)| (stack, change, self.became(stack, change)))
            .filter(|(_, _, became)| of(became))
            .collect()
    }

    /// What it came to, in a line: `2 created; 1 failed, 3 not done`.
    pub(super) fn verdict(&self) -> String {
        let number = |of: fn(&Became) -> bool| self.steps(of).len();
        let failed = number(|became| matches!(became, Became::Failed(_)));
        let left = number(|became| matches!(became, Became::Waiting(_) | Became::Left));
        let mut parts = Vec::new();
        let done = Summary { noop: 0, ..self.told.done };
        if !done.is_empty() {
            parts.push(deeds(&done));
        }
        if failed > 0 {
            parts.push(format!("{failed} failed"));
        }
        if left > 0 {
            parts.push(format!("{left} not done"));
        }
        match (parts.is_empty(), self.exit) {
            (false, _) => parts.join(", "),
            (true, Exit::Done) => "nothing to do".to_owned(),
            (true, Exit::Refused) => "refused, nothing was done".to_owned(),
            (true, _) => "nothing was done".to_owned(),
        }
    }

    /// What it cost: reading before and looking after included.
    pub(super) fn requests(&self) -> Requests {
        match self.told.requests.total() {
            0 => self.plan.requests,
            _ => self.told.requests,
        }
    }

    /// How long the steps took, in milliseconds.
    pub(super) fn elapsed_ms(&self) -> u64 {
        self.told.elapsed_ms
    }

    /// Calls of which it is not known what became of them.
    pub(super) fn lost(&self) -> usize {
        self.told.lost
    }

    /// What there is to tell beside the steps: what stopped it, what the plan says, what was told.
    pub(super) fn reports(&self) -> impl Iterator<Item = &'a Report> {
        let checks = self.plan.stacks.iter().flat_map(|stack| &stack.checks);
        // A refusal repeats what the plan says.
        let stopped = self
            .stopped
            .iter()
            .filter(|report| !self.plan.stacks.iter().any(|stack| stack.checks.contains(report)));
        stopped.chain(checks).chain(&self.told.reports)
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn what_became_of_each_step_is_told() {
        let (plan, told) = (samples::plan(), samples::told());
        let of = |exit| Applied { plan: &plan, told: &told, exit, stopped: &[] };
        let applied = of(Exit::Partial);
        assert_eq!(applied.verdict(), "1 created, 1 updated, 1 failed, 10 not done");
        let failed = applied.steps(|became| matches!(became, Became::Failed(_)));
        assert_eq!(failed.len(), 1);
        assert_eq!(failed[0].1.address.to_string(), "access_application.openhands");
        let none = Told::default();
        let empty = Plan { stacks: Vec::new(), ..plan.clone() };
        let quiet = Applied { plan: &empty, told: &none, exit: Exit::Done, stopped: &[] };
        assert_eq!(quiet.verdict(), "nothing to do");
        assert_eq!(Applied { exit: Exit::Refused, ..quiet }.verdict(), "refused, nothing was done");
    }
}
