//! What a run is doing right now: what runs, what waits for what, what is done.

use std::collections::{BTreeMap, BTreeSet};

use super::text::cut;
use crate::model::change::{Action, StepId};
use crate::model::event::Event;
use crate::model::plan::Plan;

/// A step of a stack.
pub(super) type Key = (String, StepId);

/// A step under way.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Running {
    /// What it does.
    pub action: Action,
    /// What it waits for at the moment.
    pub waits: Option<String>,
}

/// What a run is doing right now.
#[derive(Clone, Debug, Default)]
pub(super) struct Board {
    needs: BTreeMap<Key, BTreeSet<StepId>>,
    finished: BTreeSet<Key>,
    running: BTreeMap<Key, Running>,
    steps: usize,
    stopping: bool,
}

impl Board {
    /// Takes in what the steps of a plan need, so that it can be said what waits for what.
    pub(super) fn expect(&mut self, plan: &Plan) {
        for stack in &plan.stacks {
            for change in &stack.changes {
                let key = (stack.stack.clone(), change.step());
                self.needs.insert(key, change.needs.iter().cloned().collect());
            }
        }
    }

    /// Takes an event in.
    pub(super) fn take(&mut self, event: &Event) {
        match event {
            Event::ApplyStarted { steps, .. } => self.steps += steps,
            Event::StepStarted { stack, step, action } => {
                let running = Running { action: *action, waits: None };
                self.running.insert((stack.clone(), step.clone()), running);
            }
            Event::StepWaiting { stack, step, reason } => {
                if let Some(running) = self.running.get_mut(&(stack.clone(), step.clone())) {
                    running.waits = Some(reason.clone());
                }
            }
            Event::StepDone { stack, step, .. }
            | Event::StepFailed { stack, step, .. }
            | Event::StepSkipped { stack, step, .. } => {
                let key = (stack.clone(), step.clone());
                self.running.remove(&key);
                self.finished.insert(key);
            }
            Event::Stopping => self.stopping = true,
            Event::Observing { .. }
            | Event::Observed { .. }
            | Event::Retrying { .. }
            | Event::Told { .. }
            | Event::ApplyEnded { .. } => {}
        }
    }

    /// The steps under way.
    pub(super) fn running(&self) -> &BTreeMap<Key, Running> {
        &self.running
    }

    /// Whether every step has come to its end.
    pub(super) fn is_over(&self) -> bool {
        self.finished.len() >= self.steps && self.running.is_empty()
    }

    /// `4 of 14 done, 2 running; dns_record.a waits for access_application.a`.
    pub(super) fn overview(&self, columns: usize) -> String {
        let mut text = format!(
            "{} of {} done, {} running",
            self.finished.len(),
            self.steps.max(self.finished.len()),
            self.running.len()
        );
        if self.stopping {
            text.push_str(", stopping");
        } else if let Some((step, need)) = self.next_waiting() {
            text.push_str(&format!("; {step} waits for {need}"));
        }
        cut(&text, columns)
    }

    /// The step that a running one will set free: the first of them, with what it waits for.
    fn next_waiting(&self) -> Option<(&StepId, &StepId)> {
        self.needs
            .iter()
            .filter(|(key, _)| !self.finished.contains(*key) && !self.running.contains_key(*key))
            .find_map(|((stack, step), needs)| {
                let need = needs
                    .iter()
                    .find(|need| self.running.contains_key(&(stack.clone(), (*need).clone())))?;
                Some((step, need))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn it_is_said_what_waits_for_what() {
        let mut board = Board::default();
        board.expect(&samples::plan());
        let said: Vec<String> = samples::events()
            .iter()
            .map(|event| {
                board.take(event);
                board.overview(90)
            })
            .collect();
        insta::assert_snapshot!(said.join("\n"));
        assert!(board.is_over());
    }
}
