//! The progress of a run: live lines on a terminal, one line an event elsewhere.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::RenderOptions;
use super::board::{Board, Key};
use super::human::counts;
use super::reports::report;
use super::text::{Palette, clean, columns, count, cut, duration, hanging, paint};
use crate::model::change::{Action, Phase, StepId};
use crate::model::event::{Event, Events};
use crate::model::plan::Plan;

/// How often a live line moves.
const TICK: Duration = Duration::from_millis(120);

/// Tells the time of day: `12:03:04`.
pub type Clock = Box<dyn Fn() -> String + Send + Sync>;

/// The local time of day.
pub fn local_time() -> Clock {
    Box::new(|| jiff::Zoned::now().strftime("%H:%M:%S").to_string())
}

/// Shows events as they come.
pub struct Progress {
    options: RenderOptions,
    clock: Clock,
    inner: Mutex<Inner>,
}

struct Inner {
    board: Board,
    out: Out,
}

enum Out {
    Plain(Box<dyn Write + Send>),
    Live(Live),
}

struct Live {
    lines: MultiProgress,
    overview: Option<ProgressBar>,
    steps: BTreeMap<Key, ProgressBar>,
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Progress").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Progress {
    /// Plain lines with the time of day, for logs.
    pub fn plain(writer: Box<dyn Write + Send>, clock: Clock, options: RenderOptions) -> Self {
        Progress::over(Out::Plain(writer), clock, options)
    }

    /// Live lines on the terminal that is standard error, for people who watch.
    pub fn live(options: RenderOptions) -> Self {
        let lines = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let live = Live { lines, overview: None, steps: BTreeMap::new() };
        Progress::over(Out::Live(live), local_time(), options)
    }

    fn over(out: Out, clock: Clock, options: RenderOptions) -> Self {
        let inner = Mutex::new(Inner { board: Board::default(), out });
        Progress { options, clock, inner }
    }

    /// Takes in a plan that is about to be carried out, to say what waits for what.
    pub fn expect(&self, plan: &Plan) {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).board.expect(plan);
    }
}

impl Events for Progress {
    fn emit(&self, event: Event) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let Inner { board, out } = &mut *inner;
        board.take(&event);
        match out {
            Out::Plain(writer) => {
                let text = said(&event, &self.options, false);
                let time = (self.clock)();
                for line in text.lines().map(|line| format!("{time} {line}")) {
                    // A log that can't be written does not stop a run.
                    let _ = writeln!(writer, "{}", line.trim_end());
                }
                let _ = writer.flush();
            }
            Out::Live(live) => live.show(&event, board, &self.options),
        }
    }
}

impl Live {
    fn show(&mut self, event: &Event, board: &Board, options: &RenderOptions) {
        let text = said(event, options, true);
        if !text.is_empty() {
            let _ = self.lines.println(text.trim_end());
        }
        let over = matches!(event, Event::ApplyEnded { .. } | Event::Observed { .. });
        match event {
            Event::Observing { .. } => self.overview("reading the APIs".to_owned()),
            Event::ApplyStarted { .. } => self.overview(board.overview(columns(options) - 4)),
            _ if over && (board.is_over() || board.running().is_empty()) => self.clear(),
            _ => {
                if let Some(bar) = &self.overview {
                    bar.set_message(board.overview(columns(options) - 4));
                }
            }
        }
        self.steps(board, options);
    }

    fn overview(&mut self, message: String) {
        let bar = self.overview.get_or_insert_with(|| {
            let bar = self.lines.add(ProgressBar::new_spinner());
            bar.set_style(style("{spinner} {msg}"));
            bar.enable_steady_tick(TICK);
            bar
        });
        bar.set_message(message);
    }

    fn steps(&mut self, board: &Board, options: &RenderOptions) {
        self.steps.retain(|key, bar| {
            let running = board.running().contains_key(key);
            if !running {
                bar.finish_and_clear();
            }
            running
        });
        for (key, running) in board.running() {
            let bar = self.steps.entry(key.clone()).or_insert_with(|| {
                let bar = ProgressBar::new_spinner();
                let bar = match &self.overview {
                    Some(overview) => self.lines.insert_before(overview, bar),
                    None => self.lines.add(bar),
                };
                bar.set_style(style("{spinner} {msg} {elapsed}"));
                bar.enable_steady_tick(TICK);
                bar
            });
            let mut text = format!("{}: {}", key.1.address, doing(running.action, key.1.phase));
            if let Some(reason) = &running.waits {
                text.push_str(&format!(" ({})", clean(reason)));
            }
            bar.set_message(cut(&text, columns(options).saturating_sub(8)));
        }
    }

    fn clear(&mut self) {
        if let Some(bar) = self.overview.take() {
            bar.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

/// The lines of an event. Live, what only begins or waits is not said: it is to be seen.
fn said(event: &Event, options: &RenderOptions, live: bool) -> String {
    let palette = Palette::of(options);
    let bold = |text: String| paint(palette.bold, text);
    let text = match event {
        Event::Observing { .. } | Event::StepStarted { .. } | Event::StepWaiting { .. } if live => {
            return String::new();
        }
        Event::Observing { stacks } => {
            format!("reading the APIs for {}", clean(&stacks.join(", ")))
        }
        Event::Observed { requests } if options.verbose => {
            format!("read the APIs with {}", count(requests.total(), "request"))
        }
        Event::Observed { .. } => return String::new(),
        Event::ApplyStarted { stack, steps } => {
            bold(format!("{}: {}", clean(stack), count(*steps as u64, "step")))
        }
        Event::StepStarted { step, action, .. } => {
            format!("{}: {}", step.address, doing(*action, step.phase))
        }
        Event::StepWaiting { step, reason, .. } => {
            format!("{}: waiting: {}", step.address, clean(reason))
        }
        Event::Retrying { operation, status, reason, pause_ms } => {
            let status = status.map(|status| format!(" answered {status}")).unwrap_or_default();
            let pause = duration(*pause_ms);
            format!("{}{status}: {}; again in {pause}", clean(operation), clean(reason))
        }
        Event::StepDone { step, action, id, elapsed_ms, .. } => {
            // A log keeps the ids of what was made; people who watch ask `show`. The id of a
            // Kubernetes object is in its address already.
            let says_more = options.verbose || !live && !step.address.is_kubernetes();
            let id = id.as_ref().filter(|_| says_more);
            let id = id.map(|id| format!(" (id {})", clean(id))).unwrap_or_default();
            let done = paint(palette.add, done(*action, step.phase));
            let took = match elapsed_ms {
                0..100 => String::new(),
                _ => format!(" in {}", duration(*elapsed_ms)),
            };
            format!("{}: {done}{took}{id}", step.address)
        }
        Event::StepFailed { step, report: told, elapsed_ms, .. } => {
            let failed = paint(palette.error, "failed");
            let head = format!("{}: {failed} after {}", step.address, duration(*elapsed_ms));
            format!("{head}\n{}", report(told, options))
        }
        Event::StepSkipped { step, action, waits_for, .. } => format!(
            "{}: {} {}, waits for {}",
            step.address,
            paint(palette.warning, "not"),
            done(*action, step.phase),
            names(waits_for)
        ),
        Event::Told { report: told } => report(told, options),
        Event::Stopping => {
            "stopping: what is in flight is finished and recorded; once more stops at once"
                .to_owned()
        }
        Event::ApplyEnded { .. } => ended(event, options, live),
    };
    format!("{}\n", text.trim_end())
}

/// How a run ended. People who watch see lines that fit; those of a log stay whole.
fn ended(event: &Event, options: &RenderOptions, live: bool) -> String {
    let Event::ApplyEnded {
        stack, done, failed, waiting, lost, serial, elapsed_ms, requests, ..
    } = event
    else {
        return String::new();
    };
    let palette = Palette::of(options);
    let mut text = format!("{}: {}", clean(stack), counts(done, ""));
    if !failed.is_empty() {
        let failed = format!("{} failed", failed.len());
        text.push_str(&format!(", {}", paint(palette.error, failed)));
    }
    if !waiting.is_empty() {
        text.push_str(&format!(", {} not begun", waiting.len()));
    }
    text.push_str(&format!(
        " in {} with {} (serial {serial})\n",
        duration(*elapsed_ms),
        count(requests.total(), "request")
    ));
    for one in failed {
        let label = paint(palette.error, "failed ");
        let why = format!("{}: {}", one.step, clean(&one.why));
        let columns = if live { columns(options) } else { usize::MAX };
        text.push_str(&hanging("  failed   ", &format!("  {label}  "), &why, columns));
    }
    for one in waiting {
        let label = paint(palette.warning, "waiting");
        text.push_str(&format!("  {label}  {}", one.step));
        if !one.waits_for.is_empty() {
            text.push_str(&format!(", for {}", names(&one.waits_for)));
        }
        text.push('\n');
    }
    if !(failed.is_empty() && waiting.is_empty()) {
        text.push_str(&format!("{}\n", next(failed.len(), waiting.len(), *lost)));
    }
    text
}

/// What the next run will do.
fn next(failed: usize, waiting: usize, lost: usize) -> String {
    let first = match lost {
        0 => String::new(),
        lost => format!("finds out what became of {}, then ", count(lost as u64, "call")),
    };
    let left: Vec<String> = [(failed, "that failed"), (waiting, "not begun")]
        .iter()
        .filter(|(many, _)| *many > 0)
        .map(|(many, what)| format!("{many} {what}"))
        .collect();
    format!("Next: the same command again {first}does what is left: {}.", left.join(", "))
}

fn names(steps: &[StepId]) -> String {
    steps.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn doing(action: Action, phase: Phase) -> &'static str {
    match (action, phase) {
        (_, Phase::Widen) => "updating for both hostnames",
        (_, Phase::Narrow) => "updating for the new hostname only",
        (_, Phase::Remove) => "deleting the old one",
        (_, Phase::Remake) => "creating the new one",
        (_, Phase::Await) => "waiting for it to be ready",
        (Action::Create, _) => "creating",
        (Action::Update, _) => "updating",
        (Action::Replace, _) => "replacing",
        (Action::Delete, _) => "deleting",
        (Action::Adopt, _) => "taking over",
        (Action::Forget, _) => "forgetting",
        (Action::Rotate, _) => "rotating",
    }
}

fn done(action: Action, phase: Phase) -> &'static str {
    match (action, phase) {
        (_, Phase::Widen) => "updated for both hostnames",
        (_, Phase::Narrow) => "updated for the new hostname only",
        (_, Phase::Remove) => "deleted for a new one",
        (_, Phase::Remake) => "created anew",
        (_, Phase::Await) => "ready",
        (Action::Create, _) => "created",
        (Action::Update, _) => "updated",
        (Action::Replace, _) => "replaced",
        (Action::Delete, _) => "deleted",
        (Action::Adopt, _) => "taken over",
        (Action::Forget, _) => "forgotten",
        (Action::Rotate, _) => "rotated",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::samples;
    use super::*;

    /// A writer whose content can be read afterwards.
    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_log_has_a_line_an_event() {
        for width in [80, 200] {
            let page = Page::default();
            let clock: Clock = Box::new(|| "12:03:04".to_owned());
            let options = RenderOptions { width, ..RenderOptions::default() };
            let progress = Progress::plain(Box::new(page.clone()), clock, options);
            progress.expect(&samples::plan());
            samples::events().into_iter().for_each(|event| progress.emit(event));
            let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
            insta::assert_snapshot!(format!("log_{width}"), text);
        }
    }

    #[test]
    fn live_lines_say_nothing_twice() {
        let options = RenderOptions { width: 80, ..RenderOptions::default() };
        let said: Vec<String> =
            samples::events().iter().map(|event| said(event, &options, true)).collect();
        let text = said.concat();
        assert!(!text.contains("creating\n") && !text.contains("waiting:"), "{text}");
        assert!(text.contains("created in 1.2s"), "{text}");
        let failed = |line: &&str| line.contains("failed   ") || line.starts_with("           ");
        assert!(text.lines().filter(failed).count() > 1, "{text}");
        assert!(text.lines().filter(failed).all(|line| line.chars().count() <= 80), "{text}");
        let live = Progress::live(options);
        samples::events().into_iter().for_each(|event| live.emit(event));
    }
}
