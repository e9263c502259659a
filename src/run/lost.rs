//! A step whose answer was lost: what became of its call is looked up before anything else is
//! sent.

use std::collections::BTreeMap;

use crate::engine::recover::{Look, recover};
use crate::model::Json;
use crate::model::address::Address;
use crate::model::call::Call;
use crate::model::change::{Action, Change, Phase};
use crate::model::error::{CallError, Failure};
use crate::model::journal::OpenIntent;
use crate::model::kind::{Kind, Locate};
use crate::model::observed::{Observed, Remote, World};

use super::settle::due_in_ms;
use super::stack_run::{StackRun, StepError};

/// What a look at lost calls came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Looked {
    /// The user asked to stop, and there was none.
    Not,
    /// One of them took effect, and is recorded.
    Taken,
    /// What is there and what is recorded says what is left to do.
    Open,
}

impl StackRun<'_> {
    /// Whether a failure leaves open what became of a call: its answer was lost, or what a create
    /// clashes with may be what an earlier one made.
    pub(super) fn may_be_lost(&self, change: &Change, error: &StepError) -> bool {
        let StepError::Call(error) = error else { return false };
        let makes = change.action == Action::Create || change.phase == Phase::Remake;
        let concerns = match error.failure {
            Failure::Unknown => true,
            Failure::Conflict | Failure::Refused => makes,
            Failure::NotFound | Failure::Denied | Failure::Throttled | Failure::NotSent => false,
        };
        let shared = self.shared();
        concerns && shared.open.iter().any(|open| open.intent.address == change.address)
    }

    /// Looks up what became of the open calls of a change.
    pub(super) async fn look_up(&self, change: &Change) -> Result<Looked, StepError> {
        let address = &change.address;
        let Some(kind) = (self.context.kinds)(address.kind()) else { return Ok(Looked::Not) };
        let open: Vec<OpenIntent> = {
            let shared = self.shared();
            let open = shared.open.iter().filter(|open| open.intent.address == *address);
            open.cloned().collect()
        };
        let due = open.iter().map(|open| due_in_ms(self.context, &open.intent)).max().unwrap_or(0);
        self.waiting(change, "the answer was lost: what became of the call is looked up");
        self.context.stop.pause(due).await;
        if self.context.stop.is_set() {
            return Ok(Looked::Not);
        }
        let world = self.see(kind, address, &open).await?;
        let found = {
            let shared = self.shared();
            recover(&Look {
                stack: self.stack,
                open: &open,
                state: &shared.state,
                world: &world,
                kinds: self.context.kinds,
                now: self.context.outside.now(),
                skew_ms: self.context.transport.skew_ms(kind.service()).unwrap_or(0),
                late_ms: self.context.timing.late_ms,
            })
        };
        let taken = found.observed.iter().any(|(at, _)| at == address);
        self.settle(found.settled)?;
        let mut shared = self.shared();
        for (address, seen) in world.resources.into_iter().chain(found.observed) {
            match seen {
                Observed::Present(remote) | Observed::Going(remote) => {
                    shared.remotes.insert(address, remote);
                }
                Observed::Absent => {
                    shared.remotes.remove(&address);
                }
                Observed::Unreadable(_) => {}
            }
        }
        drop(shared);
        Ok(if taken { Looked::Taken } else { Looked::Open })
    }

    /// What there is of a resource, and of what its lost calls may have made.
    async fn see(
        &self,
        kind: &dyn Kind,
        address: &Address,
        open: &[OpenIntent],
    ) -> Result<World, CallError> {
        let mut world = World::default();
        let known = {
            let shared = self.shared();
            let recorded = shared.state.resources.get(address).filter(|record| !record.replacing);
            let recorded = recorded.map(|record| (Some(record.sent.clone()), record.id.clone()));
            let about = open.iter().find_map(|open| Some((None, open.intent.id.clone()?)));
            recorded.or(about)
        };
        if let Some((sent, id)) = known {
            let asked = open.iter().find_map(|open| Some(&open.intent.then.as_deref()?.sent));
            let by = sent.as_ref().or(asked).unwrap_or(&Json::Null);
            let seen = self.see_one(kind, sent.as_ref(), by, &id).await?;
            world.resources.insert(address.clone(), seen);
        }
        for open in open {
            let Some(then) = open.intent.then.as_deref() else { continue };
            let locate = kind.locate(Some(&then.sent), None, &self.scope());
            let filter = kind.narrowed(&then.sent);
            let all = self.see_all(kind, &then.sent, locate, &filter).await?;
            let mut fitting = Vec::new();
            for remote in all.into_iter().filter(|remote| kind.fits(&then.sent, remote)) {
                fitting.push(self.whole(kind, &then.sent, remote).await?);
            }
            world.lost.insert(open.number, Ok(fitting));
        }
        Ok(world)
    }

    /// The object with what a list leaves out of it.
    async fn whole(&self, kind: &dyn Kind, by: &Json, remote: Remote) -> Result<Remote, CallError> {
        let call = kind.fetch(&remote.id, &self.scope());
        let Some(call) = call.filter(|_| !kind.is_whole(by, &remote)) else { return Ok(remote) };
        let seen = self.see_by(kind, by, &call).await?;
        Ok(seen.into_iter().find(|one| one.id == remote.id).unwrap_or(remote))
    }

    async fn see_one(
        &self,
        kind: &dyn Kind,
        sent: Option<&Json>,
        by: &Json,
        id: &str,
    ) -> Result<Observed, CallError> {
        let scope = self.scope();
        let all = match kind.fetch(id, &scope) {
            Some(call) => self.see_by(kind, by, &call).await?,
            None => self.see_all(kind, by, kind.locate(sent, Some(id), &scope), &[]).await?,
        };
        let one = all.into_iter().find(|remote| remote.id == id);
        Ok(match one {
            Some(remote) if kind.is_going(&remote) => Observed::Going(remote),
            Some(remote) => Observed::Present(remote),
            None => Observed::Absent,
        })
    }

    async fn see_all(
        &self,
        kind: &dyn Kind,
        by: &Json,
        locate: Option<Locate>,
        filter: &[(String, String)],
    ) -> Result<Vec<Remote>, CallError> {
        let scope = self.scope();
        match locate {
            Some(Locate::In(listings)) => {
                let mut all: BTreeMap<String, Remote> = BTreeMap::new();
                for listing in &listings {
                    let items = self.context.transport.list(&listing.narrowed(filter)).await?;
                    let remotes = items.iter().flat_map(|item| kind.read_by(by, item, &scope));
                    all.extend(remotes.map(|remote| (remote.id.clone(), remote)));
                }
                Ok(all.into_values().collect())
            }
            Some(Locate::By(call)) => self.see_by(kind, by, &call).await,
            Some(Locate::Nowhere) | None => Ok(Vec::new()),
            Some(Locate::Away(why)) => Err(CallError {
                service: kind.service(),
                operation: "looking at what is there".to_owned(),
                failure: Failure::NotSent,
                status: None,
                code: None,
                message: why,
                request_id: None,
                hint: None,
                retry_after_ms: None,
            }),
        }
    }

    async fn see_by(
        &self,
        kind: &dyn Kind,
        by: &Json,
        call: &Call,
    ) -> Result<Vec<Remote>, CallError> {
        match self.context.transport.send(call, self.context.secrets).await {
            Ok(answer) if answer.is_success() => Ok(kind.read_by(by, &answer.body, &self.scope())),
            Ok(_) => Ok(Vec::new()),
            Err(error) if error.failure == Failure::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Whether nothing is recorded of a resource any more.
    pub(super) fn is_gone(&self, address: &Address) -> bool {
        self.shared().state.resources.get(address).is_none_or(|record| record.replacing)
    }

    /// What was found of a resource: what is recorded as sent, and the object.
    pub(super) fn found(&self, address: &Address) -> Option<(Json, Remote)> {
        let shared = self.shared();
        let record = shared.state.resources.get(address).filter(|record| !record.replacing)?;
        let remote = shared.remotes.get(address).filter(|remote| remote.id == record.id)?;
        Some((record.sent.clone(), remote.clone()))
    }
}
