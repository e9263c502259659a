//! One step: the calls that a kind asks for, each announced in the journal before it is sent and
//! noted after it.

use crate::engine::fingerprint;
use crate::engine::restart;
use crate::model::Json;
use crate::model::address::Address;
use crate::model::call::{Answer, Call};
use crate::model::change::{Action, Change, Phase};
use crate::model::error::{CallError, Failure, Report};
use crate::model::journal::{Effect, Entry, Intent, OpenIntent};
use crate::model::kind::{Kind, KindError, Next, Since, Verb, Work};
use crate::model::observed::Remote;
use crate::model::port::Turn;
use crate::model::resource::Resource;
use crate::model::secret::{Secret, SecretId};

use super::lost::Looked;
use super::stack_run::{StackRun, StepError};
use super::{read, write};

/// More answers than any step needs: a kind that never ends is a defect, not a reason to go on.
const MOST_ANSWERS: usize = 5_000;
/// How often a kind that is not served everywhere yet is tried.
const MOST_LOOKS: u32 = 30;
/// How many lost calls of one step are looked up before it is left to the next run.
const LOST_CALLS: usize = 3;

impl<'a> StackRun<'a> {
    /// Carries a change out; returns the object's id, if there is one afterwards.
    ///
    /// # Errors
    /// What failed, as it is told to the user.
    pub async fn run(&self, change: &Change) -> Result<Option<String>, Report> {
        let result = match change.phase {
            Phase::Await => self.see_ready(change).await.map(|()| change.id.clone()),
            _ => self.until_known(change).await,
        };
        result.map_err(|error| {
            let doing = match (change.action, change.phase) {
                (_, Phase::Await) => "waiting for",
                (Action::Create, _) | (_, Phase::Remake) => "creating",
                (Action::Delete, _) | (_, Phase::Remove) => "deleting",
                (Action::Adopt, _) => "adopting",
                (Action::Forget, _) => "forgetting",
                (Action::Rotate, _) => "rotating",
                (Action::Update | Action::Replace, _) => "updating",
            };
            let mut report = Report::error(format!("{doing} {} failed", change.address))
                .about(&change.address)
                .at(change.location.clone())
                .cause(read(self.context.secrets).scrub(&error.to_string()));
            let scrubbed = |text: &String| read(self.context.secrets).scrub(text);
            report.causes.extend(error.causes().iter().map(scrubbed));
            report.hints.extend(error.hint());
            report
        })
    }

    /// Carries a change out; where an answer was lost, it is looked up what became of the call
    /// before anything else is sent.
    async fn until_known(&self, change: &Change) -> Result<Option<String>, StepError> {
        let mut result = self.carry_out(change, Looked::Not).await;
        let mut looks = 0;
        while let Err(error) = &result
            && self.may_be_served_soon(change, error, looks)
        {
            self.waiting(change, "not every API server serves its kind yet");
            self.context.stop.pause(self.context.poll_ms(looks)).await;
            looks += 1;
            result = self.carry_out(change, Looked::Not).await;
        }
        for _ in 0..LOST_CALLS {
            let Err(error) = &result else { break };
            if !self.may_be_lost(change, error) {
                break;
            }
            match self.look_up(change).await {
                Ok(looked @ (Looked::Taken | Looked::Open)) => {
                    result = self.carry_out(change, looked).await;
                }
                // What failed first is what there is to tell.
                Ok(Looked::Not) | Err(_) => break,
            }
        }
        result
    }

    /// Whether a kind that was defined just now was not found by one of several API servers: they
    /// answer so, and nothing was done, until each of them has seen the definition.
    fn may_be_served_soon(&self, change: &Change, error: &StepError, looks: u32) -> bool {
        let StepError::Call(error) = error else { return false };
        let is_unserved =
            error.failure == Failure::NotFound && error.code.is_none() && error.status.is_some();
        is_unserved
            && looks < MOST_LOOKS
            && !self.context.stop.is_set()
            && self
                .declared
                .get(&change.address)
                .is_some_and(|resource| self.definition_of(&resource.spec).is_some())
    }

    pub(super) async fn carry_out(
        &self,
        change: &Change,
        looked: Looked,
    ) -> Result<Option<String>, StepError> {
        let address = &change.address;
        if change.action == Action::Forget {
            self.effects(vec![Effect::Remove { address: address.clone() }])?;
            return Ok(None);
        }
        let kind = (self.context.kinds)(address.kind())
            .ok_or_else(|| StepError::other(format!("there is no kind {}", address.kind())))?;
        if change.action == Action::Delete || change.phase == Phase::Remove {
            if looked != Looked::Not && self.is_gone(address) {
                return Ok(None);
            }
            return self.delete(kind, change).await;
        }
        let resource = self
            .declared
            .get(address)
            .ok_or_else(|| StepError::other(format!("{address} is not declared")))?;
        if address.is_kubernetes() {
            self.wait_until_served(change, &resource.spec).await?;
        }
        let spec = self.spec(kind, resource, change).await?;
        if change.reason.as_deref().is_some_and(|_| change.action == Action::Create) {
            self.wait_until_gone(kind, change).await?;
        }
        let verb = match (change.action, change.phase) {
            (_, Phase::Widen) => Verb::Widen,
            (Action::Create, _) | (_, Phase::Remake) => Verb::Create,
            _ => Verb::Update,
        };
        let found = (looked != Looked::Not).then(|| self.found(address)).flatten();
        let verb = match &found {
            Some(_) if verb == Verb::Create => Verb::Update,
            _ => verb,
        };
        // What was said only once, in an answer that was lost, has to be said anew.
        let unsaid = |output: &str| {
            read(self.context.secrets).get(&SecretId::output(address, output)).is_none()
        };
        let rotates = change.action == Action::Rotate
            || change.action == Action::Create
                && verb == Verb::Update
                && kind.said_once().iter().any(|output| unsaid(output));
        if rotates {
            write(self.context.secrets).retire(address);
        }
        if verb == Verb::Create || rotates {
            self.make_secrets(kind, address, &spec);
        }
        // Ownership of a Kubernetes object's fields comes with an apply only.
        let calls =
            change.action != Action::Adopt || !change.paths.is_empty() || address.is_kubernetes();
        let is_done = |(sent, _): &(Json, Remote)| {
            !rotates
                && !self.is_rewritten(change)
                && looked == Looked::Taken
                && *sent == kind.recordable(&spec)
        };
        let before = self.shared().remotes.get(address).cloned();
        let began = self.service_now(kind);
        let remote = if let Some((_, remote)) = found.filter(is_done) {
            Some(remote)
        } else if calls {
            self.calls(kind, change, resource, &spec, verb, rotates).await?
        } else {
            let remote =
                self.shared().remotes.get(address).cloned().or_else(|| self.adopted(change));
            let remote = remote.ok_or_else(|| StepError::other("there is nothing to adopt"))?;
            let record = self.recorded(kind, resource, &spec, &remote, change);
            let address = address.clone();
            self.effects(vec![Effect::Record { address, record: Box::new(record) }])?;
            Some(remote)
        };
        let remote = remote.ok_or_else(|| StepError::other("the answer shows no object"))?;
        if change.phase == Phase::Widen {
            return Ok(Some(remote.id));
        }
        self.learn(kind, address, &spec, &remote);
        if rotates {
            self.shared().rotated.insert(address.clone(), began);
        }
        if self.wait && resource.meta.wait {
            let since = Since { before: before.as_ref(), written: &remote };
            self.wait_until_ready(kind, change, resource, &spec, since).await?;
        }
        Ok(Some(remote.id))
    }

    /// Whether a change writes a value again of which the version does not tell what it is.
    fn is_rewritten(&self, change: &Change) -> bool {
        let mut names = std::iter::once(&change.address).chain(&change.moved_from);
        names.any(|address| self.rewritten.contains(address))
    }

    /// Now, by the clock of a kind's service.
    pub(super) fn service_now(&self, kind: &dyn Kind) -> jiff::Timestamp {
        let skew = self.context.transport.skew_ms(kind.service()).unwrap_or(0);
        let now = self.context.outside.now();
        now.checked_add(jiff::SignedDuration::from_millis(skew)).unwrap_or(now)
    }

    /// The object that a change takes over.
    pub(super) fn adopted(&self, change: &Change) -> Option<Remote> {
        let id = change.id.as_ref()?;
        self.candidates.get(&change.address)?.iter().find(|remote| &remote.id == id).cloned()
    }

    /// The calls of a create or update, one after the other.
    pub(super) async fn calls(
        &self,
        kind: &dyn Kind,
        change: &Change,
        resource: &Resource,
        spec: &Json,
        verb: Verb,
        rotates: bool,
    ) -> Result<Option<Remote>, StepError> {
        let address = &change.address;
        let (sent, version, remote) = {
            let shared = self.shared();
            let recorded = shared.state.resources.get(address);
            let recorded =
                recorded.or_else(|| shared.state.resources.get(change.moved_from.as_ref()?));
            let remote = shared
                .remotes
                .get(address)
                .or_else(|| shared.remotes.get(change.moved_from.as_ref()?));
            let remote = remote.cloned().or_else(|| self.adopted(change));
            let sent = recorded.map(|recorded| recorded.sent.clone());
            let version = recorded.and_then(|recorded| recorded.version.clone());
            let version = version.filter(|_| !self.is_rewritten(change));
            (sent, version, remote.filter(|_| verb != Verb::Create))
        };
        let scope = self.scope();
        let mark = fingerprint::mark(&scope.lineage, address);
        let versions = self.versions(address);
        let restart = restart::text(&versions);
        let mut force = resource.meta.force.clone();
        if change.action == Action::Adopt {
            force.push("**".to_owned());
        }
        let work = Work {
            verb,
            address,
            spec,
            sent: sent.as_ref(),
            version: version.as_deref(),
            remote: remote.as_ref(),
            removed: &change.removed,
            shared: &resource.meta.shared,
            ignore: &resource.meta.ignore,
            force: &force,
            scope: &scope,
            mark: &mark,
            restart: (!change.restart.is_empty()).then_some(restart.as_str()),
            rotate: rotates.then(|| self.service_now(kind)),
            keeps: self.keeps(kind, change, spec),
        };
        self.drive(kind, change, &work, Some(resource)).await
    }

    pub(super) async fn delete(
        &self,
        kind: &dyn Kind,
        change: &Change,
    ) -> Result<Option<String>, StepError> {
        let address = &change.address;
        let (sent, lists, remote) = {
            let shared = self.shared();
            let recorded = shared.state.resources.get(address);
            let sent = recorded.map(|recorded| recorded.sent.clone());
            let lists = recorded.map(|recorded| recorded.shared.clone());
            let there = shared.remotes.get(address).or_else(|| self.going.get(address));
            (sent.unwrap_or(Json::Null), lists.unwrap_or_default(), there.cloned())
        };
        let scope = self.scope();
        let mark = fingerprint::mark(&scope.lineage, address);
        let work = Work {
            verb: Verb::Delete,
            address,
            spec: &sent,
            sent: Some(&sent),
            version: None,
            remote: remote.as_ref(),
            removed: &[],
            shared: &lists,
            ignore: &[],
            force: &[],
            scope: &scope,
            mark: &mark,
            restart: None,
            rotate: None,
            keeps: false,
        };
        self.drive(kind, change, &work, None).await?;
        let mut shared = self.shared();
        shared.remotes.remove(address);
        shared.known.remove(address);
        Ok(None)
    }

    /// Asks the kind for call after call until it says that it is done.
    pub(super) async fn drive(
        &self,
        kind: &dyn Kind,
        change: &Change,
        work: &Work<'_>,
        resource: Option<&Resource>,
    ) -> Result<Option<Remote>, StepError> {
        let began = self.context.outside.elapsed_ms();
        let held = || self.context.transport.held_ms(kind.service());
        let held_before = held();
        let limit = match resource {
            Some(resource) => self.limit_ms(kind, resource, work.spec),
            None => self.removal_ms(&change.address),
        };
        // What is recorded when a create begins is gone.
        let gone = (work.verb == Verb::Create).then(|| self.recorded_id(&change.address)).flatten();
        let turn = self.turn(kind, change, work, began, limit).await?;
        let mut answers: Vec<Answer> = Vec::new();
        let mut last: Option<Call> = None;
        let mut looks = 0;
        let mut next = kind.next(work, &answers)?;
        loop {
            let call = match next {
                Next::Done(remote) => {
                    let remote = remote.map(|remote| *remote);
                    if last.is_none() {
                        // Done without a call: the record still has to follow.
                        self.effects(self.ending(kind, change, work, resource, remote.as_ref()))?;
                    }
                    return Ok(remote);
                }
                Next::Call(call) => *call,
            };
            if answers.len() >= MOST_ANSWERS {
                return Err(StepError::other("the step did not come to an end"));
            }
            if last.as_ref().is_some_and(|last| *last == call && !call.mutating) {
                self.pace(kind, change, began, limit, looks, answers.last()).await?;
                looks += 1;
            }
            let announced = self.intent(kind, change, work, resource, &call).map(|intent| Intent {
                id: intent.id.filter(|id| Some(id) != gone.as_ref()),
                ..intent
            });
            let spent = self.context.outside.elapsed_ms().saturating_sub(began);
            let spent = spent.saturating_sub(held().saturating_sub(held_before));
            let left = self.context.timing.step_ms.max(limit).saturating_sub(spent);
            let sent = Call { within_ms: Some(left), ..call.clone() };
            if let Some(turn) = turn.as_ref().filter(|_| call.mutating) {
                turn.check().map_err(|error| StepError::other(error.to_string()))?;
            }
            let (answer, number) = self.send(&sent, announced.clone()).await?;
            let answer = self.take_secrets(kind, work, answer);
            let tail = answer.clone();
            answers.push(answer);
            let following = kind.next(work, &answers);
            if let (Some(number), Some(intent), Err(why @ KindError::Answer(_))) =
                (number, &announced, &following)
                && tail.is_success()
            {
                let error = unusable(&call, &tail, why);
                self.lose(number, intent.clone(), &error)?;
                return Err(error.into());
            }
            let effects = match &following {
                Ok(Next::Done(remote)) => {
                    let remote = remote.as_ref().map(|remote| remote.as_ref());
                    self.ending(kind, change, work, resource, remote)
                }
                Ok(Next::Call(_)) | Err(_) if call.mutating && tail.is_success() => {
                    self.interim(kind, change, work, resource, &tail)
                }
                Ok(Next::Call(_)) | Err(_) => Vec::new(),
            };
            match number {
                Some(intent) => self.outcome(intent, Some(tail.status), None, false, effects)?,
                None => self.effects(effects)?,
            }
            next = following?;
            last = Some(call);
        }
    }

    /// Waits for the turn at what other runs may write, too, and keeps it while the step lasts.
    async fn turn(
        &self,
        kind: &dyn Kind,
        change: &Change,
        work: &Work<'_>,
        began: u64,
        limit: u64,
    ) -> Result<Option<Box<dyn Turn>>, StepError> {
        let Some(name) = kind.turn(work.spec, work.shared) else { return Ok(None) };
        let mut looks = 0;
        loop {
            let taken = self.context.turns.take(&name);
            let taken = taken.map_err(|error| StepError::other(format!("{name}.lock: {error}")))?;
            let reason = "another run writes it, too";
            if taken.is_some() {
                return Ok(taken);
            }
            if self.context.outside.elapsed_ms().saturating_sub(began) > limit {
                return Err(StepError::other(format!("after {} s, {reason}", limit / 1000)));
            }
            if self.context.stop.is_set() {
                return Err(StepError::other(format!("interrupted while waiting: {reason}")));
            }
            self.waiting(change, reason);
            self.context.stop.pause(self.context.poll_ms(looks)).await;
            looks += 1;
        }
    }

    /// What is noted before a mutating call: with it the call can be found again.
    fn intent(
        &self,
        kind: &dyn Kind,
        change: &Change,
        work: &Work<'_>,
        resource: Option<&Resource>,
        call: &Call,
    ) -> Option<Intent> {
        if !call.mutating {
            return None;
        }
        let recorded = self.recorded_id(&change.address);
        let then = resource.filter(|_| change.phase != Phase::Widen);
        let then = then.map(|resource| self.expected(kind, resource, work.spec, change));
        Some(Intent {
            step: change.step(),
            address: change.address.clone(),
            action: change.action,
            method: call.method,
            path: call.path.clone(),
            key: call.key.clone(),
            request: fingerprint::of_public(&serde_json::json!({
                "method": call.method,
                "path": call.path,
                "query": call.query,
                "body": call.body,
            })),
            id: work.remote.map(|remote| remote.id.clone()).or(recorded),
            then: then.map(Box::new),
            at: self.context.moment(),
            skew_ms: self.context.transport.skew_ms(call.service),
            looked: false,
        })
    }

    fn recorded_id(&self, address: &Address) -> Option<String> {
        let shared = self.shared();
        let recorded = shared.state.resources.get(address);
        recorded.filter(|recorded| !recorded.replacing).map(|recorded| recorded.id.clone())
    }

    /// Sends a call; a mutating one is announced first, and its failure noted.
    pub(super) async fn send(
        &self,
        call: &Call,
        announced: Option<Intent>,
    ) -> Result<(Answer, Option<u64>), StepError> {
        let lost = announced.clone();
        let number = match announced {
            Some(intent) => {
                let number = self.record(Entry::Intent(Box::new(intent)))?;
                self.shared().changed = true;
                Some(number)
            }
            None => None,
        };
        match self.context.transport.send(call, self.context.secrets).await {
            Ok(answer) => Ok((answer, number)),
            Err(error) => {
                if let (Some(number), Some(intent)) = (number, lost) {
                    self.lose(number, intent, &error)?;
                }
                Err(error.into())
            }
        }
    }

    /// Notes that an announced call failed, and keeps in mind that it may have taken effect.
    fn lose(&self, number: u64, intent: Intent, error: &CallError) -> Result<(), StepError> {
        let unknown = error.failure == Failure::Unknown;
        let text = read(self.context.secrets).scrub(&error.to_string());
        self.outcome(number, error.status, Some(text), unknown, Vec::new())?;
        if unknown {
            self.shared().open.push(OpenIntent { number, intent });
        }
        Ok(())
    }

    /// Takes secret outputs out of an answer before anything else sees it.
    pub(super) fn take_secrets(
        &self,
        kind: &dyn Kind,
        work: &Work<'_>,
        mut answer: Answer,
    ) -> Answer {
        let address = work.address;
        let own = kind.secrets_in_answers().iter();
        let own = own.map(|(name, pointer)| ((*name).to_owned(), (*pointer).to_owned()));
        let named = kind.named_outputs(work.spec).into_iter().filter(|output| output.secret);
        let named = named.filter_map(|output| Some((output.name, output.pointer?)));
        for (output, pointer) in own.chain(named) {
            if let Some(value) = answer.body.pointer_mut(&pointer)
                && let Json::String(text) = value
            {
                let secret = Secret::new(std::mem::take(text));
                *value = Json::String("(secret)".to_owned());
                write(self.context.secrets).insert(SecretId::output(address, &output), secret);
            }
        }
        answer
    }
}

/// A changing call that was answered as a success without saying what came of it: an empty body, a
/// null, what a proxy made up. It may have taken effect.
fn unusable(call: &Call, answer: &Answer, why: &KindError) -> CallError {
    CallError {
        service: call.service,
        operation: format!("{} {}", call.method.as_str(), call.path),
        failure: Failure::Unknown,
        status: Some(answer.status),
        code: None,
        message: why.to_string(),
        request_id: None,
        hint: Some("what answers there may be a proxy, not the API".to_owned()),
        retry_after_ms: None,
    }
}
