//! The pipeline in this process: plans and applies as the binary does, with the state in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, RwLock};

use boxctl::kinds;
use boxctl::kinds::wiring;
use boxctl::model::error::Stop;
use boxctl::model::event::{Event, Events};
use boxctl::model::journal::{Entry, Journal, JournalError};
use boxctl::model::plan::{Options, StackPlan};
use boxctl::model::port::{Outside, Turn, Turns};
use boxctl::model::project::{Project, Timing};
use boxctl::model::resource::Stack;
use boxctl::model::scope::Scope;
use boxctl::model::secret::Secrets;
use boxctl::model::state::State;
use boxctl::providers::Apis;
use boxctl::run::apply::{apply, keep_records};
use boxctl::run::look::{Looked, Standing, States, look};
use boxctl::run::pipeline::{self, Origin, Subject};
use boxctl::run::stack_run::StackRun;
use boxctl::run::{Context, StopFlag};

pub const TIMING: Timing = Timing {
    request_ms: 120_000,
    backoff_ms: 5,
    backoff_max_ms: 50,
    step_ms: 120_000,
    poll_ms: 10,
    grace_ms: 10_000,
    late_ms: 10_000,
    command_ms: 10_000,
    lease_ms: 60_000,
};

struct Silent;

impl Events for Silent {
    fn emit(&self, _: Event) {}
}

struct Machine(std::time::Instant);

impl Outside for Machine {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::now()
    }

    fn elapsed_ms(&self) -> u64 {
        self.0.elapsed().as_millis().try_into().unwrap()
    }

    fn random(&self, bytes: &mut [u8]) {
        rand::fill(bytes);
    }
}

/// Nobody else runs.
struct Alone;

impl Turns for Alone {
    fn take(&self, _: &str) -> std::io::Result<Option<Box<dyn Turn>>> {
        Ok(Some(Box::new(Alone)))
    }
}

impl Turn for Alone {
    fn check(&self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What others see of a stack's state: the last checkpoint, the journal after it, and whether a run
/// holds it.
#[derive(Default)]
struct Kept {
    checkpoint: Option<State>,
    journal: Vec<(u64, Entry)>,
    held: bool,
}

impl Kept {
    fn state(&self) -> Option<State> {
        let mut state = self.checkpoint.clone()?;
        self.journal.iter().for_each(|(number, entry)| state.fold(*number, entry));
        Some(state)
    }

    fn holder(&self) -> Option<String> {
        self.held.then(|| "an apply".to_owned())
    }
}

/// A journal that is as durable as this process.
struct Memory(u64, Arc<Mutex<Kept>>);

impl Journal for Memory {
    fn append(&mut self, entry: Entry) -> Result<u64, JournalError> {
        self.0 += 1;
        self.1.lock().unwrap().journal.push((self.0, entry));
        Ok(self.0)
    }
}

/// The drift job beside a stack's runs: knows what is kept of the state, and no more.
pub struct Looker {
    stop: StopFlag,
    outside: Machine,
    kept: Arc<Mutex<Kept>>,
}

impl Looker {
    pub async fn look(&self, apis: &Apis, project: &Project, stack: &Stack) -> Looked {
        let secrets = RwLock::new(Secrets::new());
        let context = Context {
            transport: apis,
            events: &Silent,
            secrets: &secrets,
            outside: &self.outside,
            timing: TIMING,
            stop: &self.stop,
            turns: &Alone,
            kinds: kinds::find,
        };
        let states = Watched { kept: &self.kept, stack };
        look(&context, project, &states, false)
            .await
            .unwrap_or_else(|stop| panic!("{:?}", stop.reports))
    }
}

struct Watched<'a> {
    kept: &'a Mutex<Kept>,
    stack: &'a Stack,
}

impl States for Watched<'_> {
    fn subjects(&self) -> Result<(Vec<Subject>, BTreeMap<String, String>), Stop> {
        let kept = self.kept.lock().unwrap();
        let held = kept.holder().map(|holder| (self.stack.name.clone(), holder));
        Ok((vec![subject(self.stack.clone(), kept.state())], held.into_iter().collect()))
    }

    fn standings(&self) -> Result<BTreeMap<String, Standing>, Stop> {
        let kept = self.kept.lock().unwrap();
        let Some(state) = kept.state() else { return Ok(BTreeMap::new()) };
        let entries = kept.journal.iter().flat_map(|(_, entry)| entry.addresses());
        let standing = Standing {
            holder: kept.holder(),
            touched: entries.cloned().collect(),
            ids: state.resources.values().map(|recorded| recorded.id.clone()).collect(),
            lineage: state.lineage,
            serial: state.serial,
            journal: state.journal,
        };
        Ok([(self.stack.name.clone(), standing)].into())
    }
}

const LINEAGE: &str = "lineage";

fn subject(stack: Stack, state: Option<State>) -> Subject {
    Subject {
        stack,
        state,
        lineage: LINEAGE.to_owned(),
        retired: false,
        lost: Vec::new(),
        files: String::new(),
        origin: Origin::Files,
        fellows: BTreeMap::new(),
    }
}

/// One stack's runs, one after the other.
pub struct Pipeline {
    stop: StopFlag,
    outside: Machine,
    /// What the last run that was carried out left; taken away, it is lost.
    pub state: Option<State>,
    kept: Arc<Mutex<Kept>>,
}

/// What a run is given.
pub struct Asked<'a> {
    pub apis: &'a Apis,
    pub project: &'a Project,
    pub stack: Stack,
    pub secrets: Secrets,
    pub options: Options,
}

impl Pipeline {
    pub fn new() -> Pipeline {
        let outside = Machine(std::time::Instant::now());
        Pipeline { stop: StopFlag::default(), outside, state: None, kept: Arc::default() }
    }

    /// Who looks for drift beside this one's runs.
    pub fn looker(&self) -> Looker {
        let outside = Machine(std::time::Instant::now());
        Looker { stop: StopFlag::default(), outside, kept: Arc::clone(&self.kept) }
    }

    /// One run: the plan, and, where nothing refuses it and it is to be, what came of it.
    pub async fn run(&mut self, asked: Asked<'_>, carry_out: bool) -> StackPlan {
        let secrets = RwLock::new(asked.secrets);
        let context = Context {
            transport: asked.apis,
            events: &Silent,
            secrets: &secrets,
            outside: &self.outside,
            timing: TIMING,
            stop: &self.stop,
            turns: &Alone,
            kinds: kinds::find,
        };
        let resources = asked.stack.resources.clone();
        let name = asked.stack.name.clone();
        let lineage = LINEAGE.to_owned();
        let subject = subject(asked.stack, self.state.clone());
        if carry_out {
            let mut kept = self.kept.lock().unwrap();
            *kept = Kept { checkpoint: self.state.clone(), journal: Vec::new(), held: true };
        }
        let (plan, seen) = pipeline::plan(
            &context,
            asked.project,
            vec![subject],
            &asked.options,
            "plan".to_owned(),
        )
        .await
        .unwrap_or_else(|stop| panic!("{:?}", stop.reports));
        let plan = plan.stacks.into_iter().next().unwrap();
        if !carry_out || plan.refusals().next().is_some() {
            self.kept.lock().unwrap().held = false;
            return plan;
        }
        let state = self.state.take().unwrap_or_else(|| State::new(&name, lineage.clone()));
        self.kept.lock().unwrap().checkpoint = Some(state.clone());
        let journal = Memory(state.journal, Arc::clone(&self.kept));
        let wiring = wiring::of(&resources);
        let run = StackRun::new(
            &context,
            Scope { lineage, ..seen.scope.clone() },
            &plan,
            &resources,
            &wiring.readers,
            &seen.lookups[0],
            &seen.worlds[0],
            state,
            Vec::new(),
            Box::new(journal),
            false,
        );
        if plan.changes.is_empty() {
            keep_records(&run, &plan, "plan").unwrap();
        } else {
            let applied = apply(&run, &plan, "plan", &BTreeSet::new()).await;
            assert!(applied.failed.is_empty(), "{:#?}\nof {:#?}", applied.failed, plan.changes);
        }
        let mut state = run.into_shared().state;
        state.serial += 1;
        let checkpoint = Some(state.clone());
        *self.kept.lock().unwrap() = Kept { checkpoint, journal: Vec::new(), held: false };
        self.state = Some(state);
        plan
    }
}
