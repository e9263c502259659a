//! What the steps of one stack share: state, journal, outputs, objects as they were last read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crate::engine::resolve::{Known, Outputs};
use crate::engine::values;
use crate::model::Json;
use crate::model::address::{Address, AddressGlob};
use crate::model::change::StepId;
use crate::model::error::CallError;
use crate::model::journal::{Effect, Entry, Journal, JournalError, OpenIntent, Outcome, Settled};
use crate::model::kind::KindError;
use crate::model::observed::{Observed, Remote, World};
use crate::model::plan::StackPlan;
use crate::model::resource::Resource;
use crate::model::scope::Scope;
use crate::model::state::State;

use super::Context;

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
    /// What each step was last said to wait for.
    pub waiting: BTreeMap<StepId, String>,
    /// Calls of which it is not known what became of them, of this run and of earlier ones.
    pub open: Vec<OpenIntent>,
    /// What got a new secret in this run, and when it began to, by its service's clock.
    pub rotated: BTreeMap<Address, jiff::Timestamp>,
    /// Whether the journal failed: nothing more is sent then.
    pub broken: bool,
    /// Whether it failed since another run goes on with the state.
    pub replaced: bool,
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
    /// How long resources may take that are not declared, in seconds, by patterns; later ones are
    /// stronger.
    timeouts: &'a [(String, u64)],
    /// Whether apply waits until things are ready.
    pub wait: bool,
    /// Objects that nobody has recorded, for those that are taken over.
    pub(super) candidates: BTreeMap<Address, Vec<Remote>>,
    /// What was read and is not what its version says: addresses as they are recorded.
    pub(super) rewritten: BTreeSet<Address>,
    /// Objects that are being deleted.
    pub(super) going: BTreeMap<Address, Remote>,
    pub(super) scope: RwLock<Arc<Scope>>,
    pub(super) shared: Mutex<Shared>,
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
    /// Another run goes on with the state.
    #[error("nothing more is sent: {0}")]
    Replaced(String),
    /// Anything else, with what to do about it.
    #[error("{message}")]
    Other {
        /// What is wrong.
        message: String,
        /// What lies behind it, as far as it could be found out.
        causes: Vec<String>,
        /// What to do.
        hint: Option<String>,
    },
}

impl StepError {
    pub(super) fn other(message: impl Into<String>) -> Self {
        StepError::Other { message: message.into(), causes: Vec::new(), hint: None }
    }

    pub(super) fn hinted(message: impl Into<String>, hint: impl Into<String>) -> Self {
        StepError::Other { message: message.into(), causes: Vec::new(), hint: Some(hint.into()) }
    }

    /// The same, with what lies behind it.
    #[must_use]
    pub(super) fn because(self, causes: Vec<String>) -> Self {
        match self {
            StepError::Other { message, hint, .. } => StepError::Other { message, causes, hint },
            other => other,
        }
    }

    pub(super) fn causes(&self) -> &[String] {
        match self {
            StepError::Other { causes, .. } => causes,
            StepError::Call(_)
            | StepError::Kind(_)
            | StepError::Journal(_)
            | StepError::Replaced(_) => &[],
        }
    }

    pub(super) fn hint(&self) -> Option<String> {
        match self {
            StepError::Call(error) => error.hint.clone(),
            StepError::Kind(
                KindError::Refused { hint, .. } | KindError::Impossible { hint, .. },
            ) => hint.clone(),
            StepError::Kind(KindError::Answer(_)) => None,
            StepError::Journal(_) => {
                Some("run it again: it goes on from what is recorded".to_owned())
            }
            StepError::Replaced(_) => Some("plan again when the other run has ended".to_owned()),
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
        plan: &'a StackPlan,
        declared: &[Resource],
        readers: &'a BTreeMap<Address, Vec<Address>>,
        lookups: &Known,
        world: &World,
        state: State,
        open: Vec<OpenIntent>,
        journal: Box<dyn Journal>,
        wait: bool,
    ) -> Self {
        let declared: BTreeMap<Address, Resource> =
            declared.iter().map(|resource| (resource.address.clone(), resource.clone())).collect();
        let mut remotes = BTreeMap::new();
        let mut going = BTreeMap::new();
        for (address, observed) in &world.resources {
            match observed {
                Observed::Present(remote) => {
                    remotes.insert(address.clone(), remote.clone());
                }
                Observed::Going(remote) => {
                    going.insert(address.clone(), remote.clone());
                }
                Observed::Absent | Observed::Unreadable(_) => {}
            }
        }
        let mut known = lookups.clone();
        for (address, remote) in &remotes {
            known.insert(address.clone(), outputs(context, address, remote, &state));
        }
        // What another tool applies is nobody's record, and no step of this run will tell of it.
        for resource in declared.values().filter(|resource| resource.meta.applied_elsewhere) {
            if let Some([remote]) = world.candidates.get(&resource.address).map(Vec::as_slice) {
                let address = &resource.address;
                known.insert(address.clone(), outputs(context, address, remote, &state));
            }
        }
        let mut rewritten = BTreeSet::new();
        for (address, readings) in &world.readings {
            for path in values::others(readings) {
                rewritten.insert(address.clone());
                // The recorded fingerprint is of what is no more.
                if let Some(one) = known.get_mut(address).and_then(|k| k.secret.get_mut(path)) {
                    *one = None;
                }
            }
        }
        let shared = Shared {
            state,
            journal,
            known,
            remotes,
            waiting: BTreeMap::new(),
            open,
            rotated: BTreeMap::new(),
            broken: false,
            replaced: false,
            changed: false,
        };
        let shared = Mutex::new(shared);
        let scope = RwLock::new(Arc::new(scope));
        let candidates = world.candidates.clone();
        StackRun {
            context,
            scope,
            stack: &plan.stack,
            declared,
            needs: &plan.needs,
            readers,
            timeouts: &plan.timeout_settings,
            wait,
            candidates,
            going,
            rewritten,
            shared,
        }
    }

    /// How long it may take until something is gone, in milliseconds: as its settings say, also where
    /// it has left the files.
    pub(super) fn removal_ms(&self, address: &Address) -> u64 {
        let fits =
            |pattern: &str| pattern.parse::<AddressGlob>().is_ok_and(|glob| glob.matches(address));
        let said =
            || self.timeouts.iter().rev().find(|(pattern, _)| fits(pattern)).map(|(_, s)| *s);
        let limit = match self.declared.get(address) {
            Some(resource) => resource.meta.timeout_s,
            None => said(),
        };
        limit.map_or(self.context.timing.step_ms, |seconds| seconds.saturating_mul(1000))
    }

    /// What was observed under an earlier address is known under its new one.
    pub(super) fn is_called(&self, from: &Address, to: &Address) {
        let mut shared = self.shared();
        if let Some(outputs) = shared.known.get(from).cloned() {
            shared.known.insert(to.clone(), outputs);
        }
        if let Some(remote) = shared.remotes.get(from).cloned() {
            shared.remotes.insert(to.clone(), remote);
        }
    }

    /// The accounts, as they are known by now.
    pub fn scope(&self) -> Arc<Scope> {
        self.scope.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the cluster serves a kind, as far as that is known by now.
    pub(super) fn is_served(&self, api_version: &str, kind: &str) -> bool {
        self.scope().api_resource(api_version, kind).is_some()
    }

    /// Reads anew what the cluster serves, where a step needs a kind that it did not serve yet: the
    /// definition may have come with an earlier step.
    pub(super) async fn refresh_scope(
        &self,
        api_version: &str,
        kind: &str,
    ) -> Result<(), StepError> {
        if self.is_served(api_version, kind) {
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
        if shared.replaced {
            return Err(StepError::Replaced("another run goes on with the state".to_owned()));
        }
        if shared.broken {
            return Err(StepError::Journal("an earlier record is not durable".to_owned()));
        }
        match shared.journal.append(entry.clone()) {
            Ok(number) => {
                shared.state.fold(number, &entry);
                Ok(number)
            }
            Err(JournalError::Replaced(why)) => {
                shared.broken = true;
                shared.replaced = true;
                Err(StepError::Replaced(why))
            }
            Err(error) => {
                shared.broken = true;
                let source = std::error::Error::source(&error).map(ToString::to_string);
                Err(StepError::Journal(format!("{error}: {}", source.unwrap_or_default())))
            }
        }
    }

    pub(super) fn outcome(
        &self,
        intent: u64,
        status: Option<u16>,
        error: Option<String>,
        unknown: bool,
        effects: Vec<Effect>,
    ) -> Result<(), StepError> {
        let at = self.context.moment();
        let outcome = Outcome { intent, status, error, unknown, effects, at };
        self.record(Entry::Outcome(Box::new(outcome))).map(|_| ())
    }

    /// Writes down what became of lost calls.
    ///
    /// # Errors
    /// As [`StackRun::record`].
    pub fn settle(&self, settled: Settled) -> Result<(), StepError> {
        {
            let mut shared = self.shared();
            shared.changed |= !settled.effects.is_empty();
            shared.open.retain(|open| !settled.closed.contains(&open.number));
        }
        self.record(Entry::Settled(settled)).map(|_| ())
    }

    pub(super) fn effects(&self, effects: Vec<Effect>) -> Result<(), StepError> {
        if effects.is_empty() {
            return Ok(());
        }
        self.shared().changed = true;
        self.record(Entry::Effects(effects)).map(|_| ())
    }
}

/// The outputs of an object that is there.
pub(super) fn outputs(
    context: &Context<'_>,
    address: &Address,
    remote: &Remote,
    state: &State,
) -> Outputs {
    let mut outputs = Outputs { plain: remote.outputs.clone(), secret: BTreeMap::new() };
    let recorded = state.resources.get(address).filter(|recorded| recorded.id == remote.id);
    if let Some(kind) = (context.kinds)(address.kind()) {
        if let Some(recorded) = recorded {
            outputs.plain.extend(kind.known_outputs(&recorded.sent, &Scope::default()));
        }
        let sent = recorded.map_or(&Json::Null, |recorded| &recorded.sent);
        for output in kind.secret_outputs(sent) {
            let fingerprint = recorded.and_then(|r| r.secrets.get(&output).cloned());
            outputs.secret.insert(output, fingerprint);
        }
    }
    outputs
}
