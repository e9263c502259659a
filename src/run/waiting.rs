//! Waits: until something is gone, done or ready.

use crate::model::Json;
use crate::model::address::Address;
use crate::model::call::Answer;
use crate::model::change::Change;
use crate::model::error::Failure;
use crate::model::event::Event;
use crate::model::kind::{Kind, Readiness};
use crate::model::observed::Remote;
use crate::model::resource::Resource;

use super::stack_run::{StackRun, StepError};

impl<'a> StackRun<'a> {
    /// Waits before the same question is asked again.
    pub(super) async fn pace(
        &self,
        change: &Change,
        began: u64,
        limit: u64,
        looks: u32,
        last: Option<&Answer>,
    ) -> Result<(), StepError> {
        let waited = self.context.outside.elapsed_ms().saturating_sub(began);
        if waited > limit {
            let holding = held_by(last);
            return Err(StepError::hinted(
                format!("it was not gone or done after {} s: {holding}", limit / 1000),
                "run it again: it goes on where it stopped; `timeout` in `settings` waits longer",
            ));
        }
        if self.context.stop.is_set() {
            return Err(StepError::other("interrupted while waiting"));
        }
        self.waiting(change, &held_by(last));
        self.context.stop.pause(self.context.poll_ms(looks)).await;
        Ok(())
    }

    /// Tells what a step waits for, once for each reason.
    pub(super) fn waiting(&self, change: &Change, reason: &str) {
        let told = self.shared().waiting.insert(change.step(), reason.to_owned());
        if told.as_deref() == Some(reason) {
            return;
        }
        self.context.events.emit(Event::StepWaiting {
            stack: self.stack.to_owned(),
            step: change.step(),
            reason: reason.to_owned(),
        });
    }

    /// What stands under the name and is being deleted has to be gone first.
    pub(super) async fn wait_until_gone(
        &self,
        kind: &dyn Kind,
        address: &Address,
    ) -> Result<(), StepError> {
        let recorded = self.shared().state.resources.get(address).map(|r| r.id.clone());
        let there = recorded.or_else(|| self.going.get(address).cloned());
        let Some(call) = there.and_then(|id| kind.fetch(&id, &self.scope())) else {
            return Ok(());
        };
        let began = self.context.outside.elapsed_ms();
        let mut looks = 0;
        loop {
            let there = match self.context.transport.send(&call, self.context.secrets).await {
                Ok(answer) if answer.is_success() => kind
                    .read(&answer.body, &self.scope())
                    .iter()
                    .any(|remote| kind.is_going(remote)),
                Ok(_) => false,
                Err(error) if error.failure == Failure::NotFound => false,
                Err(error) => return Err(error.into()),
            };
            let waited = self.context.outside.elapsed_ms().saturating_sub(began);
            if !there {
                return Ok(());
            }
            if waited > self.context.timing.step_ms || self.context.stop.is_set() {
                return Err(StepError::hinted(
                    "the one that is there is still being deleted",
                    "look what holds it (finalizers), then run it again",
                ));
            }
            self.context.stop.pause(self.context.poll_ms(looks)).await;
            looks += 1;
        }
    }

    pub(super) async fn wait_until_ready(
        &self,
        kind: &dyn Kind,
        change: &Change,
        resource: &Resource,
        spec: &Json,
        mut remote: Remote,
    ) -> Result<(), StepError> {
        let limit = resource.meta.timeout_s.unwrap_or_else(|| kind.timeout_s(spec)) * 1000;
        let began = self.context.outside.elapsed_ms();
        let mut looks = 0;
        loop {
            let reason = match kind.readiness(&remote) {
                Readiness::Ready => return Ok(()),
                Readiness::Failed(reason) => {
                    return Err(StepError::other(format!("it was applied and failed: {reason}")));
                }
                Readiness::Waiting(reason) => reason,
            };
            let waited = self.context.outside.elapsed_ms().saturating_sub(began);
            if waited > limit {
                return Err(StepError::hinted(
                    format!("it was applied and is not ready after {} s: {reason}", limit / 1000),
                    "`timeout` in `settings` waits longer, `wait: false` or `--no-wait` not at all",
                ));
            }
            if self.context.stop.is_set() {
                return Err(StepError::other(format!("interrupted while waiting: {reason}")));
            }
            // What is ready at the second look is not worth a line.
            if looks > 0 {
                self.waiting(change, &reason);
            }
            self.context.stop.pause(self.context.poll_ms(looks)).await;
            looks += 1;
            let Some(call) = kind.fetch(&remote.id, &self.scope()) else { return Ok(()) };
            let answer = self.context.transport.send(&call, self.context.secrets).await?;
            match kind.read(&answer.body, &self.scope()).into_iter().next() {
                Some(now) => remote = now,
                None => return Err(StepError::other("it was applied, and is gone again")),
            }
        }
    }
}

/// What keeps an object that is to go, as far as the last look at it tells.
fn held_by(last: Option<&Answer>) -> String {
    let finalizers =
        last.and_then(|answer| answer.body.pointer("/metadata/finalizers")?.as_array());
    let names: Vec<&str> = finalizers.into_iter().flatten().filter_map(Json::as_str).collect();
    if names.is_empty() {
        "it is still there".to_owned()
    } else {
        format!("it is still there, held by {}", names.join(", "))
    }
}
