//! What a run is connected to: the APIs, the renderer of its events, the signals.

use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use crate::kinds;
use crate::model::error::Exit;
use crate::model::event::{Event, Events};
use crate::model::plan::Plan;
use crate::model::port::Outside;
use crate::model::project::Timing;
use crate::model::secret::Secrets;
use crate::providers::Apis;
use crate::render::applied::Told;
use crate::render::json::EventLines;
use crate::render::progress::{Progress, local_time};
use crate::run::{Context, StopFlag};
use crate::store::{self, Store};

use super::connect::connect;
use super::lines::Lines;
use super::session::Session;
use super::signals::{self, Signals};
use super::ui::Ui;

/// The clock and the randomness of this machine.
#[derive(Debug)]
pub struct Machine {
    began: Instant,
}

impl Outside for Machine {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::now()
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn random(&self, bytes: &mut [u8]) {
        rand::fill(bytes);
    }
}

/// Where events go.
struct Renderer {
    shape: Shape,
    lines: Lines,
    /// What is told again at the end.
    told: Mutex<Told>,
}

enum Shape {
    Human(Progress),
    Json(EventLines<std::io::Stdout>),
}

impl Events for Renderer {
    fn emit(&self, mut event: Event) {
        self.lines.fill_event(&mut event);
        self.told.lock().unwrap_or_else(PoisonError::into_inner).add(&event);
        match &self.shape {
            Shape::Human(progress) => progress.emit(event),
            Shape::Json(lines) => lines.emit(event),
        }
    }
}

/// The connections of a run.
pub struct Wires {
    apis: Apis,
    secrets: Arc<RwLock<Secrets>>,
    renderer: Arc<Renderer>,
    outside: Machine,
    turns: Store,
    published: Mutex<Vec<String>>,
    /// Whether the user asked to stop.
    pub stop: Arc<StopFlag>,
}

impl Wires {
    /// Connects for a command whose result is one document; nothing is sent yet.
    pub fn reading(session: &Session, ui: &Ui, secrets: Secrets) -> Wires {
        Wires::with(session, ui, secrets, ui.json)
    }

    /// Connects for a command whose result is what happens; nothing is sent yet.
    pub fn connect(session: &Session, ui: &Ui, secrets: Secrets) -> Wires {
        Wires::with(session, ui, secrets, ui.quiet && !ui.json)
    }

    fn with(session: &Session, ui: &Ui, secrets: Secrets, silent: bool) -> Wires {
        let shape = if ui.json && !silent {
            Shape::Json(EventLines::new(std::io::stdout()))
        } else {
            let live = std::io::stderr().is_terminal() && !silent && !ui.quiet;
            let sink = || -> Box<dyn std::io::Write + Send> {
                if silent || ui.quiet {
                    Box::new(std::io::sink())
                } else {
                    Box::new(std::io::stderr())
                }
            };
            Shape::Human(if live {
                Progress::live(ui.err)
            } else {
                Progress::plain(sink(), local_time(), ui.err)
            })
        };
        let renderer =
            Arc::new(Renderer { shape, lines: Lines::of(&session.dir), told: Mutex::default() });
        Wires {
            apis: connect(
                &session.project,
                &session.overrides,
                renderer.clone(),
                Arc::new(session.store.clone()),
            ),
            secrets: Arc::new(RwLock::new(secrets)),
            renderer,
            outside: Machine { began: Instant::now() },
            turns: session.store.clone(),
            published: Mutex::default(),
            stop: Arc::new(StopFlag::default()),
        }
    }

    /// What every part of the run is given.
    pub fn context(&self, timing: Timing) -> Context<'_> {
        Context {
            transport: &self.apis,
            events: self.renderer.as_ref(),
            secrets: &self.secrets,
            outside: &self.outside,
            turns: &self.turns,
            timing,
            stop: &self.stop,
            kinds: kinds::find,
        }
    }

    /// Keeps what stacks publish, to be told at the end of the run.
    pub fn published(&self, lines: Vec<String>) {
        self.published.lock().unwrap_or_else(PoisonError::into_inner).extend(lines);
    }

    /// What stacks publish, taken out.
    pub fn take_published(&self) -> Vec<String> {
        std::mem::take(&mut self.published.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What the events until now told.
    pub fn told(&self) -> Told {
        self.renderer.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where events go.
    pub fn events(&self) -> &dyn Events {
        self.renderer.as_ref()
    }

    /// Tells the renderer which plan is about to be carried out.
    pub fn expect(&self, plan: &Plan) {
        if let Shape::Human(progress) = &self.renderer.shape {
            progress.expect(plan);
        }
    }

    /// The end of an apply.
    pub fn done(&self, exit: Exit) {
        if let Shape::Json(lines) = &self.renderer.shape {
            // A closed pipe is the reader's decision.
            let _ = lines.finish(exit);
        }
    }

    /// Listens for SIGINT and SIGTERM: the first finishes what is in flight, the second ends the
    /// process at once.
    pub fn watch_signals(&self) -> tokio::task::JoinHandle<()> {
        let (stop, renderer) = (self.stop.clone(), self.renderer.clone());
        let mut signals = Signals::listen();
        signals::steps_begin();
        tokio::spawn(async move {
            signals.next().await;
            stop.set();
            renderer.emit(Event::Stopping);
            signals.next().await;
            store::give_back_leases();
            std::process::exit(i32::from(Exit::Interrupted.code()));
        })
    }
}
