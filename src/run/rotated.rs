//! Waits until those who use a secret that was made anew use the new one.

use crate::model::address::Address;
use crate::model::change::{Change, StepId};
use crate::model::error::{Failure, Report};
use crate::model::kind::{Kind, Readiness};
use crate::model::plan::StackPlan;

use super::stack_run::{StackRun, StepError};

/// Services tell their clocks to the second.
const CLOCK_SLACK: jiff::SignedDuration = jiff::SignedDuration::from_secs(2);
/// What to do where nobody uses the new secret in time.
const LATE: &str = "the secret is made and handed on: `boxctl status` tells what its users do";

impl StackRun<'_> {
    /// Waits for the users of what got a new secret in this run, where this run restarted them.
    pub(super) async fn wait_for_users(&self, plan: &StackPlan) -> Vec<(StepId, Report)> {
        let restarts = |change: &Change| {
            let template = change.spec.as_ref().and_then(|spec| spec.pointer("/spec/template"));
            !change.restart.is_empty() && template.is_some()
        };
        let rotated = self.shared().rotated.clone();
        let mut failed = Vec::new();
        for change in plan.changes.iter().filter(|_| self.wait) {
            let Some(since) = rotated.get(&change.address) else { continue };
            let since = since.checked_sub(CLOCK_SLACK).unwrap_or(*since);
            let Some(kind) = (self.context.kinds)(change.address.kind()) else { continue };
            let hands_on = |user: &&Change| {
                let mut parameters = user.restart.keys();
                restarts(user) && parameters.any(|p| self.holds(p, &change.address))
            };
            if !plan.changes.iter().any(|user| hands_on(&user)) {
                continue;
            }
            if let Err(error) = self.until_renewed(kind, change, since).await {
                let text = format!("{} has a new secret, and its users", change.address);
                let report = Report::error(format!("{text} do not work with it yet"))
                    .about(&change.address)
                    .cause(error)
                    .hint(LATE);
                failed.push((change.step(), report));
            }
        }
        failed
    }

    /// Whether a parameter holds a secret of this resource.
    fn holds(&self, parameter: &Address, address: &Address) -> bool {
        self.needs.get(parameter).is_some_and(|needs| needs.contains(address))
    }

    async fn until_renewed(
        &self,
        kind: &dyn Kind,
        change: &Change,
        since: jiff::Timestamp,
    ) -> Result<(), StepError> {
        let remote = self.shared().remotes.get(&change.address).cloned();
        let call = remote.and_then(|remote| kind.users(&remote, &self.scope()));
        let Some(call) = call else { return Ok(()) };
        let limit = self
            .declared
            .get(&change.address)
            .map_or(0, |resource| self.limit_ms(kind, resource, &resource.spec));
        let began = self.context.outside.elapsed_ms();
        let mut looks = 0;
        loop {
            let sent = self.context.transport.send(&call, self.context.secrets).await;
            let reason = match sent {
                Ok(answer) => match kind.renewed(&answer, since) {
                    Readiness::Ready => return Ok(()),
                    Readiness::Waiting(reason) | Readiness::Failed(reason) => reason,
                },
                // Who may not look can't wait.
                Err(error) if error.failure == Failure::Denied => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            if self.context.outside.elapsed_ms().saturating_sub(began) > limit {
                let limit = limit / 1000;
                return Err(StepError::other(format!("after {limit} s, {reason}")));
            }
            if self.context.stop.is_set() {
                return Err(StepError::other(format!("interrupted while waiting: {reason}")));
            }
            if looks > 0 {
                self.waiting(change, &reason);
            }
            self.context.stop.pause(self.context.poll_ms(looks)).await;
            looks += 1;
        }
    }
}
