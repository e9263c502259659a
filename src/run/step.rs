//! One step: the calls that a kind asks for, each announced in the journal before it is sent and
//! noted after it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use base64::prelude::*;
use sha2::{Digest, Sha256};

use crate::engine::fingerprint;
use crate::engine::plan::{needed_secrets, protected};
use crate::engine::resolve::{Known, Outputs, resolve, with_fingerprints};
use crate::engine::restart;
use crate::model::address::Address;
use crate::model::call::{Answer, Call};
use crate::model::change::{Action, Change, Phase};
use crate::model::error::{CallError, Failure, Report};
use crate::model::event::Event;
use crate::model::journal::{Effect, Entry, Intent, Journal, Outcome};
use crate::model::kind::{Kind, KindError, Next, Readiness, Recipe, Verb, Work};
use crate::model::observed::{Remote, World};
use crate::model::path;
use crate::model::resource::Resource;
use crate::model::scope::Scope;
use crate::model::secret::{Secret, SecretId};
use crate::model::state::{Recorded, State};
use crate::model::value::has_unknown;
use crate::model::{Json, JsonMap};

use super::{Context, read, write};

/// More answers than any step needs: a kind that never ends is a defect, not a reason to go on.
const MOST_ANSWERS: usize = 5_000;

/// What the steps of one stack share.
pub struct Shared {
    /// The state as it is by now: the checkpoint with every record since folded in.
    pub state: State,
    /// Where records go.
    pub journal: Box<dyn Journal>,
    /// Outputs by now.
    pub known: Known,
    /// Objects as they were last read.
    pub remotes: BTreeMap<Address, Remote>,
    /// Whether the journal failed: nothing more is sent then.
    pub broken: bool,
    /// Whether anything in the world or a record was changed.
    pub changed: bool,
}

/// The run of one stack's plan.
pub struct StackRun<'a> {
    /// What every part of a run is given.
    pub context: &'a Context<'a>,
    /// The stack's name.
    pub stack: &'a str,
    /// What is declared.
    pub declared: BTreeMap<Address, Resource>,
    /// What each resource needs.
    pub needs: &'a BTreeMap<Address, BTreeSet<Address>>,
    /// The objects that read each parameter.
    pub readers: &'a BTreeMap<Address, Vec<Address>>,
    /// Whether apply waits until things are ready.
    pub wait: bool,
    scope: RwLock<Arc<Scope>>,
    shared: Mutex<Shared>,
}

/// Why a step was not done.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// A call failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The kind could not make sense of an answer, or was refused.
    #[error(transparent)]
    Kind(#[from] KindError),
    /// The journal could not be written.
    #[error("nothing more is sent, since the journal could not be written: {0}")]
    Journal(String),
    /// Anything else, with what to do about it.
    #[error("{message}")]
    Other {
        /// What is wrong.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
}

impl StepError {
    fn other(message: impl Into<String>) -> Self {
        StepError::Other { message: message.into(), hint: None }
    }

    fn hinted(message: impl Into<String>, hint: impl Into<String>) -> Self {
        StepError::Other { message: message.into(), hint: Some(hint.into()) }
    }

    fn hint(&self) -> Option<String> {
        match self {
            StepError::Call(error) => error.hint.clone(),
            StepError::Kind(
                KindError::Refused { hint, .. } | KindError::Impossible { hint, .. },
            ) => hint.clone(),
            StepError::Kind(KindError::Answer(_)) | StepError::Journal(_) => None,
            StepError::Other { hint, .. } => hint.clone(),
        }
    }
}

impl<'a> StackRun<'a> {
    /// Gets ready to carry out a stack's plan.
    #[expect(
        clippy::too_many_arguments,
        reason = "each is another part of the run, none has a default"
    )]
    pub fn new(
        context: &'a Context<'a>,
        scope: Scope,
        stack: &'a str,
        declared: &[Resource],
        needs: &'a BTreeMap<Address, BTreeSet<Address>>,
        readers: &'a BTreeMap<Address, Vec<Address>>,
        lookups: &Known,
        world: &World,
        state: State,
        journal: Box<dyn Journal>,
        wait: bool,
    ) -> Self {
        let declared: BTreeMap<Address, Resource> =
            declared.iter().map(|resource| (resource.address.clone(), resource.clone())).collect();
        let mut remotes = BTreeMap::new();
        for (address, observed) in &world.resources {
            if let Some(remote) = observed.present() {
                remotes.insert(address.clone(), remote.clone());
            }
        }
        let mut known = lookups.clone();
        for (address, remote) in &remotes {
            known.insert(address.clone(), outputs(context, address, remote, &state));
        }
        let shared = Shared { state, journal, known, remotes, broken: false, changed: false };
        let shared = Mutex::new(shared);
        let scope = RwLock::new(Arc::new(scope));
        StackRun { context, scope, stack, declared, needs, readers, wait, shared }
    }

    /// The accounts, as they are known by now.
    pub fn scope(&self) -> Arc<Scope> {
        self.scope.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads anew what the cluster serves, where a step needs a kind that it did not serve yet: the
    /// definition may have come with an earlier step.
    async fn refresh_scope(&self, spec: &Json) -> Result<(), StepError> {
        let text = |key: &str| spec.get(key).and_then(Json::as_str).unwrap_or_default();
        if self.scope().api_resource(text("apiVersion"), text("kind")).is_some() {
            return Ok(());
        }
        let resources = self.context.transport.api_resources().await?;
        let scope = Scope { api_resources: Some(resources), ..self.scope().as_ref().clone() };
        *self.scope.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(scope);
        Ok(())
    }

    /// What the steps share. A panic in one step does not take the others' records with it.
    pub fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The shared part, when all steps have ended.
    pub fn into_shared(self) -> Shared {
        self.shared.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a record to the journal and takes it into the state.
    ///
    /// # Errors
    /// The record is not durable: nothing more may be sent.
    pub fn record(&self, entry: Entry) -> Result<u64, StepError> {
        let mut shared = self.shared();
        if shared.broken {
            return Err(StepError::Journal("an earlier record is not durable".to_owned()));
        }
        match shared.journal.append(entry.clone()) {
            Ok(number) => {
                shared.state.fold(number, &entry);
                Ok(number)
            }
            Err(error) => {
                shared.broken = true;
                let source = std::error::Error::source(&error).map(ToString::to_string);
                Err(StepError::Journal(format!("{error}: {}", source.unwrap_or_default())))
            }
        }
    }

    /// Carries a change out; returns the object's id, if there is one afterwards.
    ///
    /// # Errors
    /// What failed, as it is told to the user.
    pub async fn run(&self, change: &Change) -> Result<Option<String>, Report> {
        let result = self.carry_out(change).await;
        result.map_err(|error| {
            let doing = match (change.action, change.phase) {
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
            report.hints.extend(error.hint());
            report
        })
    }

    async fn carry_out(&self, change: &Change) -> Result<Option<String>, StepError> {
        let address = &change.address;
        if change.action == Action::Forget {
            self.effects(vec![Effect::Remove { address: address.clone() }])?;
            return Ok(None);
        }
        let kind = (self.context.kinds)(address.kind())
            .ok_or_else(|| StepError::other(format!("there is no kind {}", address.kind())))?;
        if change.action == Action::Delete || change.phase == Phase::Remove {
            return self.delete(kind, change).await;
        }
        let resource = self
            .declared
            .get(address)
            .ok_or_else(|| StepError::other(format!("{address} is not declared")))?;
        if address.is_kubernetes() {
            self.refresh_scope(&resource.spec).await?;
        }
        let spec = self.spec(kind, resource).await?;
        if change.reason.as_deref().is_some_and(|_| change.action == Action::Create) {
            self.wait_until_gone(kind, address).await?;
        }
        let verb = match (change.action, change.phase) {
            (_, Phase::Widen) => Verb::Widen,
            (Action::Create, _) | (_, Phase::Remake) => Verb::Create,
            _ => Verb::Update,
        };
        if verb == Verb::Create {
            self.make_secrets(kind, address, &spec);
        }
        // Ownership of a Kubernetes object's fields comes with an apply only.
        let calls =
            change.action != Action::Adopt || !change.paths.is_empty() || address.is_kubernetes();
        let remote = if calls {
            self.calls(kind, change, resource, &spec, verb).await?
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
        if self.wait && resource.meta.wait {
            self.wait_until_ready(kind, change, resource, &spec, remote.clone()).await?;
        }
        Ok(Some(remote.id))
    }

    fn adopted(&self, change: &Change) -> Option<Remote> {
        Some(Remote {
            id: change.id.clone()?,
            spec: change.before.clone()?,
            outputs: JsonMap::new(),
            version: None,
            raw: Json::Null,
        })
    }

    /// The spec as it is sent: references resolved, names looked up, secrets at hand.
    async fn spec(&self, kind: &dyn Kind, resource: &Resource) -> Result<Json, StepError> {
        let resolved = {
            let shared = self.shared();
            resolve(&resource.spec, &shared.known)
        };
        if has_unknown(&resolved) {
            return Err(StepError::other("a value that it needs is still unknown"));
        }
        let spec = kind
            .declare(&resolved, &self.scope())
            .map_err(|problem| StepError::Other { message: problem.message, hint: problem.hint })?;
        for source in needed_secrets(&spec) {
            self.fetch_secret(&source).await?;
        }
        Ok(with_fingerprints(&spec, &mut |source| self.fingerprint(source)))
    }

    /// Makes sure that a secret is at hand.
    async fn fetch_secret(&self, source: &SecretId) -> Result<(), StepError> {
        if read(self.context.secrets).get(source).is_some() {
            return Ok(());
        }
        let missing = || StepError::other(format!("the secret {source} is not at hand"));
        let (address, output) = source.as_output().ok_or_else(missing)?;
        let kind = (self.context.kinds)(address.kind()).ok_or_else(missing)?;
        let remote = self.shared().remotes.get(&address).cloned().ok_or_else(missing)?;
        let (call, pointer) = kind.reveal(&remote, output, &self.scope()).ok_or_else(missing)?;
        let answer = self.context.transport.send(&call, self.context.secrets).await?;
        let value = answer.body.pointer(pointer).and_then(Json::as_str).ok_or_else(missing)?;
        write(self.context.secrets).insert(source.clone(), Secret::new(value));
        Ok(())
    }

    /// The fingerprint of a secret: the recorded one where it still fits.
    fn fingerprint(&self, source: &SecretId) -> Option<String> {
        let (address, output) = source.as_output()?;
        if address.is_kubernetes() {
            return None;
        }
        let shared = self.shared();
        let recorded =
            shared.state.resources.get(&address).and_then(|r| r.secrets.get(output).cloned());
        let secrets = read(self.context.secrets);
        let secret = secrets.get(source)?;
        match recorded {
            Some(recorded) if fingerprint::is_of(&recorded, secret) => Some(recorded),
            _ => Some(fingerprint::of_random(secret, self.context.salt())),
        }
    }

    fn make_secrets(&self, kind: &dyn Kind, address: &Address, spec: &Json) {
        for (output, recipe) in kind.makes(spec) {
            let value = match recipe {
                Recipe::Characters(length) => self.characters(length),
                Recipe::HashedCharacters => {
                    let characters = self.characters(64);
                    BASE64_STANDARD.encode(Sha256::digest(characters.as_bytes()))
                }
            };
            let id = SecretId::output(address, output);
            write(self.context.secrets).insert(id, Secret::new(value));
        }
    }

    /// Letters and digits, each equally likely.
    fn characters(&self, length: usize) -> String {
        const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        let mut out = String::with_capacity(length);
        while out.len() < length {
            let mut bytes = [0u8; 64];
            self.context.outside.random(&mut bytes);
            // Bytes from 248 on would favour the first letters.
            let fair = bytes.iter().filter(|byte| **byte < 248).map(|byte| usize::from(*byte % 62));
            out.extend(
                fair.take(length - out.len()).filter_map(|at| ALPHABET.get(at)).map(|b| *b as char),
            );
        }
        out
    }

    /// The calls of a create or update, one after the other.
    async fn calls(
        &self,
        kind: &dyn Kind,
        change: &Change,
        resource: &Resource,
        spec: &Json,
        verb: Verb,
    ) -> Result<Option<Remote>, StepError> {
        let address = &change.address;
        let (sent, remote) = {
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
            (sent, remote.filter(|_| verb != Verb::Create))
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
            remote: remote.as_ref(),
            removed: &change.removed,
            shared: &resource.meta.shared,
            ignore: &resource.meta.ignore,
            force: &force,
            scope: &scope,
            mark: &mark,
            restart: (!change.restart.is_empty()).then_some(restart.as_str()),
        };
        self.drive(kind, change, &work, Some(resource)).await
    }

    async fn delete(&self, kind: &dyn Kind, change: &Change) -> Result<Option<String>, StepError> {
        let address = &change.address;
        let (sent, remote) = {
            let shared = self.shared();
            let sent = shared.state.resources.get(address).map(|recorded| recorded.sent.clone());
            (sent.unwrap_or(Json::Null), shared.remotes.get(address).cloned())
        };
        let scope = self.scope();
        let mark = fingerprint::mark(&scope.lineage, address);
        let work = Work {
            verb: Verb::Delete,
            address,
            spec: &sent,
            sent: Some(&sent),
            remote: remote.as_ref(),
            removed: &[],
            shared: &[],
            ignore: &[],
            force: &[],
            scope: &scope,
            mark: &mark,
            restart: None,
        };
        self.drive(kind, change, &work, None).await?;
        let mut shared = self.shared();
        shared.remotes.remove(address);
        shared.known.remove(address);
        Ok(None)
    }

    /// Asks the kind for call after call until it says that it is done.
    async fn drive(
        &self,
        kind: &dyn Kind,
        change: &Change,
        work: &Work<'_>,
        resource: Option<&Resource>,
    ) -> Result<Option<Remote>, StepError> {
        let began = self.context.outside.elapsed_ms();
        let limit = resource.and_then(|resource| resource.meta.timeout_s);
        let limit = limit.unwrap_or_else(|| kind.timeout_s(work.spec)).saturating_mul(1000);
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
                self.pace(change, began, limit, looks).await?;
                looks += 1;
            }
            let (answer, number) = self.send(change, &call).await?;
            let answer = self.take_secrets(kind, &change.address, answer);
            let tail = answer.clone();
            answers.push(answer);
            let following = kind.next(work, &answers);
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

    /// Waits before the same question is asked again.
    async fn pace(
        &self,
        change: &Change,
        began: u64,
        limit: u64,
        looks: u32,
    ) -> Result<(), StepError> {
        let waited = self.context.outside.elapsed_ms().saturating_sub(began);
        if waited > limit {
            return Err(StepError::hinted(
                format!("it was not gone or done after {} s", limit / 1000),
                "run it again: it goes on where it stopped; `timeout` in `settings` waits longer",
            ));
        }
        if self.context.stop.is_set() {
            return Err(StepError::other("interrupted while waiting"));
        }
        self.waiting(change, "the service to be done with it");
        self.context.stop.pause(self.context.poll_ms(looks)).await;
        Ok(())
    }

    fn waiting(&self, change: &Change, reason: &str) {
        self.context.events.emit(Event::StepWaiting {
            stack: self.stack.to_owned(),
            step: change.step(),
            reason: reason.to_owned(),
        });
    }

    /// Sends a call; a mutating one is announced first, and its failure noted.
    async fn send(&self, change: &Change, call: &Call) -> Result<(Answer, Option<u64>), StepError> {
        let number = if call.mutating {
            let intent = Intent {
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
                at: self.context.now(),
            };
            let number = self.record(Entry::Intent(Box::new(intent)))?;
            self.shared().changed = true;
            Some(number)
        } else {
            None
        };
        match self.context.transport.send(call, self.context.secrets).await {
            Ok(answer) => Ok((answer, number)),
            Err(error) => {
                if let Some(number) = number {
                    let unknown = error.failure == Failure::Unknown;
                    let text = read(self.context.secrets).scrub(&error.to_string());
                    self.outcome(number, error.status, Some(text), unknown, Vec::new())?;
                }
                Err(error.into())
            }
        }
    }

    fn outcome(
        &self,
        intent: u64,
        status: Option<u16>,
        error: Option<String>,
        unknown: bool,
        effects: Vec<Effect>,
    ) -> Result<(), StepError> {
        let at = self.context.now();
        let outcome = Outcome { intent, status, error, unknown, effects, at };
        self.record(Entry::Outcome(Box::new(outcome))).map(|_| ())
    }

    fn effects(&self, effects: Vec<Effect>) -> Result<(), StepError> {
        if effects.is_empty() {
            return Ok(());
        }
        self.shared().changed = true;
        self.record(Entry::Effects(effects)).map(|_| ())
    }

    /// Takes secret outputs out of an answer before anything else sees it.
    fn take_secrets(&self, kind: &dyn Kind, address: &Address, mut answer: Answer) -> Answer {
        for (output, pointer) in kind.secrets_in_answers() {
            if let Some(value) = answer.body.pointer_mut(pointer)
                && let Json::String(text) = value
            {
                let secret = Secret::new(std::mem::take(text));
                *value = Json::String("(secret)".to_owned());
                write(self.context.secrets).insert(SecretId::output(address, output), secret);
            }
        }
        answer
    }

    /// How the record changes when a step is done.
    fn ending(
        &self,
        kind: &dyn Kind,
        change: &Change,
        work: &Work<'_>,
        resource: Option<&Resource>,
        remote: Option<&Remote>,
    ) -> Vec<Effect> {
        let address = change.address.clone();
        let mut effects = Vec::new();
        if let Some(old) = &change.moved_from {
            effects.push(Effect::Remove { address: old.clone() });
        }
        match (remote, resource) {
            (None, _) if change.phase == Phase::Remove => {
                let recorded = self.shared().state.resources.get(&address).cloned();
                if let Some(mut record) = recorded {
                    record.replacing = true;
                    effects.push(Effect::Record { address, record: Box::new(record) });
                }
            }
            (None, _) => effects.push(Effect::Remove { address }),
            (Some(_), _) if change.phase == Phase::Widen => {}
            (Some(remote), Some(resource)) => {
                let record = self.recorded(kind, resource, work.spec, remote, change);
                effects.push(Effect::Record { address, record: Box::new(record) });
            }
            (Some(_), None) => {}
        }
        effects
    }

    /// A create that needs more calls is recorded with its id at once: it must not get lost.
    fn interim(
        &self,
        kind: &dyn Kind,
        change: &Change,
        work: &Work<'_>,
        resource: Option<&Resource>,
        answer: &Answer,
    ) -> Vec<Effect> {
        let known =
            self.shared().state.resources.get(&change.address).is_some_and(|r| !r.replacing);
        let (Some(resource), Verb::Create, false) = (resource, work.verb, known) else {
            return Vec::new();
        };
        let Some(remote) = kind.read(&answer.body, &self.scope()).into_iter().next() else {
            return Vec::new();
        };
        let mut record = self.recorded(kind, resource, work.spec, &remote, change);
        // It is not what was asked for yet: the next plan has to see the difference.
        record.sent = Json::Object(JsonMap::new());
        record.answered = Json::Object(JsonMap::new());
        vec![Effect::Record { address: change.address.clone(), record: Box::new(record) }]
    }

    fn recorded(
        &self,
        kind: &dyn Kind,
        resource: &Resource,
        spec: &Json,
        remote: &Remote,
        change: &Change,
    ) -> Recorded {
        let sent = kind.recordable(spec);
        let answered =
            kind.answered(&sent, remote).unwrap_or_else(|| path::project(&sent, &remote.spec));
        let shared = self.shared();
        let old = shared.state.resources.get(&resource.address);
        let old = old.or_else(|| shared.state.resources.get(change.moved_from.as_ref()?));
        let created = change.action == Action::Create || change.phase == Phase::Remake;
        let now = self.context.now();
        let secrets = read(self.context.secrets);
        let outputs =
            kind.outputs().iter().filter(|output| output.secret).map(|output| output.name);
        let made = kind.makes(spec).into_iter().map(|(output, _)| output);
        let fingerprints = outputs
            .chain(made)
            .filter_map(|output| {
                let recorded = old.and_then(|old| old.secrets.get(output)).cloned();
                let id = SecretId::output(&resource.address, output);
                let fingerprint = match (secrets.get(&id), recorded) {
                    (Some(secret), Some(recorded)) if fingerprint::is_of(&recorded, secret) => {
                        recorded
                    }
                    (Some(secret), _) => fingerprint::of_random(secret, self.context.salt()),
                    (None, Some(recorded)) if !created => recorded,
                    (None, _) => return None,
                };
                Some((output.to_owned(), fingerprint))
            })
            .collect();
        Recorded {
            kind: kind.name().to_owned(),
            id: remote.id.clone(),
            key: kind.key(spec),
            sent,
            answered,
            outputs: remote.outputs.clone(),
            secrets: fingerprints,
            version: remote.version.clone(),
            reads: self.versions_of(&shared, &resource.address),
            dependencies: self.needs.get(&resource.address).cloned().unwrap_or_default(),
            protected: protected(kind, &resource.meta, spec),
            shared: resource.meta.shared.clone(),
            adopted: old.map_or(change.action == Action::Adopt, |old| old.adopted),
            replacing: false,
            created_at: old
                .filter(|_| !created)
                .map_or_else(|| now.clone(), |old| old.created_at.clone()),
            updated_at: now,
        }
    }

    /// The versions of the parameters that an object reads, as they are by now.
    fn versions(&self, address: &Address) -> BTreeMap<Address, String> {
        self.versions_of(&self.shared(), address)
    }

    fn versions_of(&self, shared: &Shared, address: &Address) -> BTreeMap<Address, String> {
        self.readers
            .iter()
            .filter(|(_, readers)| readers.contains(address))
            .filter_map(|(parameter, _)| {
                let version = shared.known.get(parameter)?.plain.get("version")?;
                Some((parameter.clone(), restart::version_text(version)?))
            })
            .collect()
    }

    /// What others may know of this resource from now on.
    fn learn(&self, kind: &dyn Kind, address: &Address, spec: &Json, remote: &Remote) {
        let mut shared = self.shared();
        let mut outputs = outputs(self.context, address, remote, &shared.state);
        outputs.plain.extend(kind.known_outputs(spec, &self.scope()));
        shared.known.insert(address.clone(), outputs);
        shared.remotes.insert(address.clone(), remote.clone());
    }

    /// What stands under the name and is being deleted has to be gone first.
    async fn wait_until_gone(&self, kind: &dyn Kind, address: &Address) -> Result<(), StepError> {
        let recorded = self.shared().state.resources.get(address).map(|r| r.id.clone());
        let Some(call) = recorded.and_then(|id| kind.fetch(&id, &self.scope())) else {
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

    async fn wait_until_ready(
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
            self.waiting(change, &reason);
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

/// The outputs of an object that is there.
fn outputs(context: &Context<'_>, address: &Address, remote: &Remote, state: &State) -> Outputs {
    let mut outputs = Outputs { plain: remote.outputs.clone(), secret: BTreeMap::new() };
    let recorded = state.resources.get(address).filter(|recorded| recorded.id == remote.id);
    if let Some(kind) = (context.kinds)(address.kind()) {
        if let Some(recorded) = recorded {
            outputs.plain.extend(kind.known_outputs(&recorded.sent, &Scope::default()));
        }
        for output in kind.outputs().iter().filter(|output| output.secret) {
            let fingerprint = recorded.and_then(|r| r.secrets.get(output.name).cloned());
            outputs.secret.insert(output.name.to_owned(), fingerprint);
        }
    }
    outputs
}
