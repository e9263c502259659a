//! Waits: until something is served, gone, done or ready.

use crate::model::Json;
use crate::model::call::Answer;
use crate::model::change::Change;
use crate::model::error::Failure;
use crate::model::event::Event;
use crate::model::journal::{Effect, Entry};
use crate::model::kind::{Awaited, Explain, Kind, Readiness, Since};
use crate::model::observed::Remote;
use crate::model::resource::Resource;
use crate::model::state::End;

use super::read;
use super::stack_run::{StackRun, StepError};

/// How many lists are read at most to find one reason.
const MOST_LISTS: usize = 5;
/// How many pauses pass until the reason is looked for the first time, doubled each time.
const PAUSES_TO_REASON: u64 = 5;
/// What to do where waiting took too long.
const LONGER: &str =
    "`timeout` in `settings` waits longer, `wait: false` or `--no-wait` not at all";
/// What to do where something does not go.
const HELD: &str = "run it again when what holds it has let go (a finalizer is taken away by the \
                    controller that set it): it goes on where it stopped; `timeout` in `settings` \
                    waits longer";

/// When a wait began, and when the reason for it is looked for next.
struct Watch {
    began: u64,
    next_reason: u64,
    pause: u64,
    reason: Option<String>,
}

impl<'a> StackRun<'a> {
    fn watch(&self) -> Watch {
        let pause = self.context.timing.poll_ms.saturating_mul(PAUSES_TO_REASON);
        Watch { began: self.context.outside.elapsed_ms(), next_reason: pause, pause, reason: None }
    }

    fn waited(&self, watch: &Watch) -> u64 {
        self.context.outside.elapsed_ms().saturating_sub(watch.began)
    }

    /// How long a resource may take, in milliseconds.
    pub(super) fn limit_ms(&self, kind: &dyn Kind, resource: &Resource, spec: &Json) -> u64 {
        let limit = resource.meta.timeout_s.unwrap_or_else(|| kind.timeout_s(spec));
        limit.saturating_mul(1000)
    }

    /// Waits before the same question is asked again.
    pub(super) async fn pace(
        &self,
        kind: &dyn Kind,
        change: &Change,
        began: u64,
        limit: u64,
        looks: u32,
        last: Option<&Answer>,
    ) -> Result<(), StepError> {
        let waited = self.context.outside.elapsed_ms().saturating_sub(began);
        let held = last.map_or_else(|| "it is still there".to_owned(), |a| kind.held(&a.body));
        if waited > limit {
            let remote = last.and_then(|last| kind.read(&last.body, &self.scope()).pop());
            let causes = match remote {
                Some(remote) => self.explain(kind, &remote, Awaited::Gone).await,
                None => Vec::new(),
            };
            let message = format!("it was not gone or done after {}: {held}", seconds(limit));
            return Err(StepError::hinted(message, HELD).because(causes));
        }
        if self.context.stop.is_set() {
            return Err(StepError::other(format!("interrupted while waiting: {held}")));
        }
        // What is gone at the second look is not worth a line.
        if looks > 0 {
            self.waiting(change, &held);
        }
        self.context.stop.pause(self.context.poll_ms(looks)).await;
        Ok(())
    }

    /// Tells what a step waits for, once for each reason. What controllers say may quote anything.
    pub(super) fn waiting(&self, change: &Change, reason: &str) {
        let reason = read(self.context.secrets).scrub(reason);
        let told = self.shared().waiting.insert(change.step(), reason.clone());
        if told.as_ref() == Some(&reason) {
            return;
        }
        self.context.events.emit(Event::StepWaiting {
            stack: self.stack.to_owned(),
            step: change.step(),
            reason,
        });
    }

    /// Why an object is not what it is waited for to be, as far as others tell. What can't be read
    /// is left out.
    async fn explain(&self, kind: &dyn Kind, remote: &Remote, awaited: Awaited) -> Vec<String> {
        let mut answers = Vec::new();
        loop {
            match kind.explain(remote, awaited, &answers, &self.scope()) {
                Explain::Told(reasons) => return reasons,
                Explain::Look(_) if answers.len() >= MOST_LISTS => return Vec::new(),
                Explain::Look(call) => {
                    let sent = self.context.transport.send(&call, self.context.secrets).await;
                    answers.push(sent.ok().filter(Answer::is_success));
                }
            }
        }
    }

    /// What is waited for, with the reason that was found last; it is looked for seldom.
    async fn with_reason(
        &self,
        kind: &dyn Kind,
        remote: &Remote,
        text: &str,
        watch: &mut Watch,
    ) -> String {
        let waited = self.waited(watch);
        if waited >= watch.next_reason {
            watch.pause = watch.pause.saturating_mul(2);
            watch.next_reason = waited.saturating_add(watch.pause);
            let reasons = self.explain(kind, remote, Awaited::Ready).await;
            watch.reason = reasons.into_iter().next();
        }
        match &watch.reason {
            Some(reason) => format!("{text}: {reason}"),
            None => text.to_owned(),
        }
    }

    /// What the definition of an object's kind brings may be served only a while after the
    /// definition is there.
    pub(super) async fn wait_until_served(
        &self,
        change: &Change,
        spec: &Json,
    ) -> Result<(), StepError> {
        self.until_served(change, &[api_kind(spec)], self.definition_of(spec)).await
    }

    /// How long what defines the kind of an object may take, where the stack has it, in
    /// milliseconds.
    pub(super) fn definition_of(&self, spec: &Json) -> Option<u64> {
        let wanted = api_kind(spec);
        self.declared.values().find_map(|resource| {
            let kind = (self.context.kinds)(resource.address.kind())?;
            let serves = kind.serves(&resource.spec).contains(&wanted);
            serves.then(|| self.limit_ms(kind, resource, &resource.spec))
        })
    }

    /// Reads what the cluster serves until these kinds are among it; once only where there is no
    /// limit.
    async fn until_served(
        &self,
        change: &Change,
        wanted: &[(String, String)],
        limit: Option<u64>,
    ) -> Result<(), StepError> {
        let watch = self.watch();
        let mut looks = 0;
        loop {
            let missing = wanted.iter().find(|(version, kind)| !self.is_served(version, kind));
            let Some((version, kind)) = missing else { return Ok(()) };
            self.refresh_scope(version, kind).await?;
            if self.is_served(version, kind) {
                continue;
            }
            let Some(limit) = limit else { return Ok(()) };
            let reason = format!("the API server does not serve {kind} of {version} yet");
            if self.waited(&watch) > limit {
                let message = format!("after {}, {reason}", seconds(limit));
                return Err(StepError::hinted(message, LONGER));
            }
            if self.context.stop.is_set() {
                return Err(StepError::other(format!("interrupted while waiting: {reason}")));
            }
            self.waiting(change, &reason);
            self.context.stop.pause(self.context.poll_ms(looks)).await;
            looks += 1;
        }
    }

    /// What stands under the name and is being deleted has to be gone first.
    pub(super) async fn wait_until_gone(
        &self,
        kind: &dyn Kind,
        change: &Change,
    ) -> Result<(), StepError> {
        let address = &change.address;
        let recorded = self.shared().state.resources.get(address).map(|r| r.id.clone());
        let there = recorded.or_else(|| self.going.get(address).map(|remote| remote.id.clone()));
        let Some(call) = there.and_then(|id| kind.fetch(&id, &self.scope())) else {
            return Ok(());
        };
        let limit = self.removal_ms(address);
        let watch = self.watch();
        let mut looks = 0;
        loop {
            let there = match self.context.transport.send(&call, self.context.secrets).await {
                Ok(answer) if answer.is_success() => Some(answer),
                Ok(_) => None,
                Err(error) if error.failure == Failure::NotFound => None,
                Err(error) => return Err(error.into()),
            };
            let remotes = there.iter().flat_map(|there| kind.read(&there.body, &self.scope()));
            let Some(going) = remotes.into_iter().find(|remote| kind.is_going(remote)) else {
                return Ok(());
            };
            let held = kind.held(&going.raw);
            let reason = format!("the one that is being deleted has to be gone first: {held}");
            if self.waited(&watch) > limit {
                let causes = self.explain(kind, &going, Awaited::Gone).await;
                let message = format!("after {}, {reason}", seconds(limit));
                return Err(StepError::hinted(message, HELD).because(causes));
            }
            if self.context.stop.is_set() {
                return Err(StepError::other(format!("interrupted while waiting: {reason}")));
            }
            self.waiting(change, &reason);
            self.context.stop.pause(self.context.poll_ms(looks)).await;
            looks += 1;
        }
    }

    /// Waits until what was written does what it is there for.
    pub(super) async fn wait_until_ready(
        &self,
        kind: &dyn Kind,
        change: &Change,
        resource: &Resource,
        spec: &Json,
        since: Since<'_>,
    ) -> Result<(), StepError> {
        let limit = self.limit_ms(kind, resource, spec);
        let mut remote = since.written.clone();
        let mut watch = self.watch();
        let mut looks = 0;
        loop {
            if kind.is_going(&remote) {
                let message = "it was applied, and someone else deletes it";
                return Err(StepError::other(format!("{message}: {}", kind.held(&remote.raw))));
            }
            let reason = match kind.readiness(&remote, Some(&since)) {
                Readiness::Ready => {
                    self.until_served(change, &kind.serves(spec), Some(limit)).await?;
                    return self.note_seen(change, kind.ended(&remote), true);
                }
                Readiness::Failed(reason) => {
                    self.note_seen(change, kind.ended(&remote), false)?;
                    let causes = self.explain(kind, &remote, Awaited::Ready).await;
                    let message = format!("it was applied and failed: {reason}");
                    return Err(StepError::other(message).because(causes));
                }
                Readiness::Waiting(reason) => reason,
            };
            if self.waited(&watch) > limit {
                let causes = self.explain(kind, &remote, Awaited::Ready).await;
                let message =
                    format!("it was applied and is not ready after {}: {reason}", seconds(limit));
                return Err(StepError::hinted(message, LONGER).because(causes));
            }
            if self.context.stop.is_set() {
                return Err(StepError::other(format!("interrupted while waiting: {reason}")));
            }
            // What is ready at the second look is not worth a line.
            if looks > 0 {
                let reason = self.with_reason(kind, &remote, &reason, &mut watch).await;
                self.waiting(change, &reason);
            }
            self.context.stop.pause(self.context.poll_ms(looks)).await;
            looks += 1;
            let Some(call) = kind.fetch(&remote.id, &self.scope()) else { return Ok(()) };
            let read = match self.context.transport.send(&call, self.context.secrets).await {
                Ok(answer) => kind.read(&answer.body, &self.scope()).into_iter().next(),
                Err(error) if error.failure == Failure::NotFound => None,
                Err(error) => return Err(error.into()),
            };
            match read {
                Some(now) => remote = now,
                // It ended between two looks, and was taken away as its manifest asks.
                None if kind.is_spent(&kind.recordable(spec), None) => {
                    return self.note_seen(change, None, true);
                }
                None => return Err(StepError::other("it was applied, and is gone again")),
            }
        }
    }

    /// Waits for what an earlier run applied and did not see ready.
    pub(super) async fn see_ready(&self, change: &Change) -> Result<(), StepError> {
        let address = &change.address;
        let (recorded, remote) = {
            let shared = self.shared();
            let recorded = shared.state.resources.get(address).cloned();
            (recorded, shared.remotes.get(address).cloned())
        };
        let resource = self.declared.get(address);
        let kind = (self.context.kinds)(address.kind());
        let (Some(kind), Some(resource), Some(recorded), Some(remote)) =
            (kind, resource, recorded, remote)
        else {
            return Ok(());
        };
        let since = Since { before: None, written: &remote };
        self.wait_until_ready(kind, change, resource, &recorded.sent, since).await
    }

    /// What was seen of it is remembered: what is ready is waited for no more, and what has run to
    /// its end may not be missing when it is gone.
    fn note_seen(
        &self,
        change: &Change,
        end: Option<End>,
        is_ready: bool,
    ) -> Result<(), StepError> {
        let address = change.address.clone();
        let Some(before) = self.shared().state.resources.get(&address).cloned() else {
            return Ok(());
        };
        let mut record = before.clone();
        record.end = end.or(record.end);
        record.awaited &= !is_ready;
        if record == before {
            return Ok(());
        }
        // Nothing was changed but what is known: this alone makes no run of its own.
        let effect = Effect::Record { address, record: Box::new(record) };
        self.record(Entry::Effects(vec![effect])).map(|_| ())
    }
}

/// `apiVersion` and `kind`.
fn api_kind(spec: &Json) -> (String, String) {
    let text = |key: &str| spec.get(key).and_then(Json::as_str).unwrap_or_default().to_owned();
    (text("apiVersion"), text("kind"))
}

/// A limit as people write it.
fn seconds(milliseconds: u64) -> String {
    match milliseconds {
        0..1000 => format!("{milliseconds} ms"),
        _ => format!("{} s", milliseconds / 1000),
    }
}
