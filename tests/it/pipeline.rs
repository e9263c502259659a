//! The pipeline in this process: plans and applies as the binary does, with the state in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::RwLock;

use boxctl::kinds;
use boxctl::kinds::wiring;
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

/// A journal that is as durable as this process.
struct Memory(u64);

impl Journal for Memory {
    fn append(&mut self, _: Entry) -> Result<u64, JournalError> {
        self.0 += 1;
        Ok(self.0)
    }
}

/// One stack's runs, one after the other.
pub struct Pipeline {
    stop: StopFlag,
    outside: Machine,
    /// What the last run that was carried out left; taken away, it is lost.
    pub state: Option<State>,
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
        Pipeline { stop: StopFlag::default(), outside, state: None }
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
        let lineage = "lineage".to_owned();
        let subject = Subject {
            stack: asked.stack,
            state: self.state.clone(),
            lineage: lineage.clone(),
            retired: false,
            lost: Vec::new(),
            files: String::new(),
            origin: Origin::Files,
            fellows: BTreeMap::new(),
        };
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
            return plan;
        }
        let state = self.state.take().unwrap_or_else(|| State::new(&name, lineage.clone()));
        let journal = Memory(state.journal);
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
        self.state = Some(run.into_shared().state);
        plan
    }
}
