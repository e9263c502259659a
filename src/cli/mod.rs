//! Arguments, wiring and exit codes.

mod accepting;
mod acknowledging;
mod applying;
pub mod args;
mod asked;
pub mod connect;
mod drift_args;
mod drift_commands;
mod drifting;
mod dumps;
mod files;
mod history;
mod install;
mod install_args;
mod keeping;
mod lines;
mod migrating;
mod notifying;
mod panics;
mod planning;
mod rendering;
mod reports;
mod reverting;
mod rollback;
mod rotating;
mod sandbox;
mod saved;
mod session;
mod signals;
mod states;
mod status;
mod ui;
mod verify;
mod wires;

use std::io::IsTerminal;
use std::process::ExitCode;

use crate::model::error::{Exit, Report, Stop};
use crate::model::plan::Options;
use crate::render::RenderOptions;

use args::{Cli, Color, Command, Drawing, Global, Planning, SandboxCommand, StateCommand};
use drift_args::DriftArgs;
use drift_commands::DriftCommand;
use reports::Outputs;
use session::{Globals, Session};
use ui::Ui;

/// Parses the command line, runs the command, and says how the process ends.
pub fn main() -> ExitCode {
    let cli = match args::parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            // Clap's own code for a wrong command line is taken: 2 means changes.
            return ExitCode::from(if error.use_stderr() { Exit::Error.code() } else { 0 });
        }
    };
    let ui = ui_of(&cli.global);
    log_to_stderr(cli.global.verbose, ui.err.color);
    panics::hide_values();
    dumps::forbid();
    // The first provider wins; that one is set already is no error.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            ui.reports(&[Report::error("the process could not be set up").cause(error)]);
            return ExitCode::from(Exit::Error.code());
        }
    };
    let exit = match runtime.block_on(run(&cli, &ui)) {
        Ok(exit) => exit,
        Err(stop) => {
            ui.stop(stop.exit, &stop.reports);
            stop.exit
        }
    };
    let exit = if Ui::is_unwritten() { exit.and(Exit::Error) } else { exit };
    ExitCode::from(exit.code())
}

fn ui_of(global: &Global) -> Ui {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let color = |terminal: bool| match global.color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            terminal && !no_color && std::env::var_os("TERM").is_none_or(|t| t != "dumb")
        }
    };
    let (out, err) = (std::io::stdout().is_terminal(), std::io::stderr().is_terminal());
    let verbose = global.verbose > 0;
    Ui {
        out: RenderOptions { width: width(out), color: color(out), verbose },
        err: RenderOptions { width: width(err), color: color(err), verbose },
        json: global.json,
        quiet: global.quiet,
    }
}

/// The terminal's columns; what goes elsewhere is not cut to a terminal.
fn width(terminal: bool) -> usize {
    let said = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let of_terminal = || {
        let (_, columns) = console_size()?;
        Some(columns)
    };
    match said {
        Some(columns) => columns,
        None if terminal => of_terminal().unwrap_or(80),
        None => 120,
    }
}

fn console_size() -> Option<(usize, usize)> {
    let (rows, columns) = console::Term::stderr().size_checked()?;
    Some((usize::from(rows), usize::from(columns)))
}

/// Traces of requests, without bodies. kube's client logs whole bodies when it can't parse them.
fn log_to_stderr(verbose: u8, color: bool) {
    let level = match verbose {
        0 | 1 => "warn",
        2 => "boxctl=debug,warn",
        _ => "boxctl=trace,warn",
    };
    // The AWS SDK warns of each place where it finds no credentials; that there are none is told as
    // an error of the call that wants them.
    let places = if verbose < 2 { "aws_config=error" } else { "aws_config=warn" };
    let filter = tracing_subscriber::EnvFilter::new(format!("{level},kube_client=off,{places}"));
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // Where stderr is gone, a line of it that is lost is no reason to end.
        .log_internal_errors(false)
        .with_ansi(color)
        .without_time()
        .try_init();
}

fn globals(global: &Global, doing: &str, stacks: &[String]) -> Globals {
    let mut words = vec![doing.to_owned()];
    words.extend(stacks.iter().cloned());
    Globals {
        project: global.project.clone(),
        vars: global.vars.clone(),
        var_files: global.var_files.clone(),
        lock_timeout: global.lock_timeout,
        sandbox: global.sandbox,
        doing: words.join(" "),
    }
}

fn options(planning: &Planning, destroy: bool) -> Options {
    Options {
        destroy,
        adopt: planning.adopt,
        target: planning.target.clone(),
        exclude: planning.exclude.clone(),
        allow_protected: planning.allow_protected.clone(),
        allow_large: planning.allow_large,
        allow_public: planning.allow_public.clone(),
        strict: planning.strict,
        no_commands: planning.no_commands,
        forward: planning.forward,
        verify_secrets: planning.verify_secrets,
        ..Options::default()
    }
}

async fn run(cli: &Cli, ui: &Ui) -> Result<Exit, Stop> {
    let global = &cli.global;
    let of = |doing: &str, stacks: &[String]| globals(global, doing, stacks);
    // A sandbox that is served waits for signals itself.
    if !matches!(cli.command, Command::Sandbox(_)) {
        signals::end_before_steps();
    }
    match &cli.command {
        Command::Init { dir } => files::init(dir, ui),
        Command::Validate { stacks, strict } => {
            files::validate(&of("validate", stacks), stacks, *strict, ui)
        }
        Command::Expand { stack } => files::expand(&of("expand", &[]), stack.as_ref(), ui),
        Command::Graph { stack, format } => {
            let mermaid = *format == Drawing::Mermaid;
            files::graph(&of("graph", &[]), stack.as_ref(), mermaid, ui)
        }
        Command::Schema => Ok(files::schema(ui)),
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(*shell, &mut args::definition(), "boxctl", &mut text);
            ui.print(&String::from_utf8_lossy(&text));
            Ok(Exit::Done)
        }
        Command::Sandbox(command) => serve(global, command, ui).await,
        Command::Plan { stacks, planning, out, reports, destroy, detailed_exitcode } => {
            let command = planning::PlanCommand {
                stacks: stacks.clone(),
                options: options(planning, *destroy),
                out: out.clone(),
                detailed_exitcode: *detailed_exitcode,
            };
            let outputs = Outputs::new("plan", reports, None);
            let session = outputs.opened(ui, Session::open(of("plan", stacks)).await)?;
            let result = planning::run(&session, ui, &command, &outputs).await;
            let result = outputs.ended(ui, &session, result);
            session.close().await;
            result
        }
        Command::Apply { stacks, planning, reports, plan, yes, no_wait } => {
            let command = applying::ApplyCommand {
                stacks: stacks.clone(),
                options: options(planning, false),
                plan: plan.clone(),
                yes: *yes,
                no_wait: *no_wait,
            };
            let outputs = Outputs::new("apply", reports, None);
            let session = outputs.opened(ui, Session::open(of("apply", stacks)).await)?;
            let result = applying::run(&session, ui, &command, &outputs).await;
            let result = outputs.ended(ui, &session, result);
            session.close().await;
            result
        }
        Command::Destroy { stacks, all, allow_protected, yes } => {
            let command = applying::DestroyCommand {
                stacks: stacks.clone(),
                all: *all,
                allow_protected: allow_protected.clone(),
                yes: *yes,
            };
            let session = Session::open(of("destroy", stacks)).await?;
            let result = applying::destroy(&session, ui, &command).await;
            session.close().await;
            result
        }
        Command::Rollback { stack, serial, all, planning, yes, no_wait } => {
            let command = rollback::RollbackCommand {
                stack: stack.clone(),
                serial: *serial,
                all: *all,
                options: Options {
                    allow_protected: planning.allow_protected.clone(),
                    allow_large: planning.allow_large,
                    allow_public: planning.allow_public.clone(),
                    no_commands: planning.no_commands,
                    ..Options::default()
                },
                yes: *yes,
                no_wait: *no_wait,
            };
            let names: Vec<String> = stack.iter().cloned().collect();
            let session = Session::open(of("rollback", &names)).await?;
            let result = rollback::run(&session, ui, &command).await;
            session.close().await;
            result
        }
        Command::Rotate { address, due: _, stacks, no_commands, yes, no_wait } => {
            let command = rotating::RotateCommand {
                address: address.clone(),
                stacks: stacks.clone(),
                no_commands: *no_commands,
                yes: *yes,
                no_wait: *no_wait,
            };
            let session = Session::open(of("rotate", stacks)).await?;
            let result = rotating::run(&session, ui, &command).await;
            session.close().await;
            result
        }
        Command::Drift(DriftArgs { command: Some(command), .. }) => {
            drift(global, command, ui).await
        }
        Command::Drift(args) => {
            let outputs = Outputs::new("drift", &args.reports, args.prometheus.as_deref());
            let session = outputs.opened(ui, Session::open(of("drift", &args.stacks)).await)?;
            let result = drifting::run(&session, ui, args, &outputs).await;
            let result = outputs.ended(ui, &session, result);
            session.close().await;
            result
        }
        Command::Status { stack } => {
            let session = Session::open(of("status", &[])).await?;
            let result = status::run(&session, ui, stack.as_ref()).await;
            session.close().await;
            result
        }
        Command::Render { stack, to, check } => {
            rendering::run(&of("render", &[]), stack.as_ref(), to, *check, ui)
        }
        Command::Show { stack, plan } => {
            let session = Session::offline(of("show", &[]))?;
            states::show(&session, stack.as_ref(), plan.as_deref(), ui)
        }
        Command::State(command) => state(global, command, ui).await,
    }
}

async fn drift(global: &Global, command: &DriftCommand, ui: &Ui) -> Result<Exit, Stop> {
    let of = |doing: &str, stacks: &[String]| globals(global, doing, stacks);
    match command {
        DriftCommand::Install(command) => {
            install::run(&Session::offline(of("drift install", &[]))?, command, ui)
        }
        DriftCommand::Ack(args) => {
            let session = Session::open(of("drift ack", &args.stacks)).await?;
            let result = acknowledging::run(&session, ui, args).await;
            session.close().await;
            result
        }
        DriftCommand::Accept(args) => {
            let session = Session::open(of("drift accept", &args.stacks)).await?;
            let result = accepting::run(&session, ui, args).await;
            session.close().await;
            result
        }
        DriftCommand::Revert(args) => {
            let session = Session::open(of("drift revert", &args.stacks)).await?;
            let result = reverting::run(&session, ui, args).await;
            session.close().await;
            result
        }
    }
}

async fn state(global: &Global, command: &StateCommand, ui: &Ui) -> Result<Exit, Stop> {
    let of = |doing: &str, stack: &str| globals(global, doing, &[stack.to_owned()]);
    match command {
        StateCommand::List { stack } => {
            states::list(&Session::offline(of("state list", ""))?, stack.as_ref(), ui)
        }
        StateCommand::Show { stack, address } => {
            let session = Session::offline(globals(global, "state show", &[]))?;
            states::show_record(&session, stack.as_deref(), address, ui)
        }
        StateCommand::History { stack } => {
            history::list(&Session::offline(of("state history", ""))?, stack.as_ref(), ui)
        }
        StateCommand::Unlock { stack, yes } => {
            history::unlock(&Session::offline(of("state unlock", stack))?, stack, *yes, ui)
        }
        StateCommand::Migrate { from, to, yes } => {
            let session = Session::offline(globals(global, "state migrate", &[]))?;
            let said = match (from, to) {
                (Some(text), _) => migrating::Said::From(text),
                (None, Some(text)) => migrating::Said::To(text),
                (None, None) => unreachable!("one of them is required"),
            };
            migrating::run(&session, said, *yes, ui)
        }
        StateCommand::Verify { stack } => {
            let session = Session::open(of("state verify", "")).await?;
            let result = verify::run(&session, stack.as_ref(), ui).await;
            session.close().await;
            result
        }
        StateCommand::Rm { stack, addresses } => {
            states::remove(&Session::offline(of("state rm", stack))?, stack, addresses, ui)
        }
        StateCommand::Mv { stack, from, to } => {
            states::rename(&Session::offline(of("state mv", stack))?, stack, from, to, ui)
        }
        StateCommand::Retarget { stack, yes } => {
            let session = Session::open(of("state retarget", stack)).await?;
            let result = states::retarget(&session, stack, *yes, ui).await;
            session.close().await;
            result
        }
    }
}

async fn serve(global: &Global, command: &SandboxCommand, ui: &Ui) -> Result<Exit, Stop> {
    let globals = globals(global, "sandbox", &[]);
    match command {
        SandboxCommand::Serve {
            listen,
            dir,
            latency,
            ready_after,
            faults,
            log,
            mangle,
            quirks,
            budget,
            throughput,
            zone,
            signatures,
            journal,
        } => {
            let command = sandbox::ServeCommand {
                listen: *listen,
                dir: dir.clone(),
                latency_ms: *latency,
                ready_after_ms: *ready_after,
                faults: faults.clone(),
                log: log.clone(),
                mangle: *mangle,
                quirks: quirks.clone(),
                budget: *budget,
                throughput: *throughput,
                plans: zone.clone(),
                signatures: *signatures,
                journals: journal.clone(),
            };
            sandbox::serve(&globals, &command, ui).await
        }
        SandboxCommand::Env { dir } => sandbox::env(&globals, dir.as_ref(), ui),
        SandboxCommand::Reset { dir } => sandbox::reset(&globals, dir.as_ref(), ui),
    }
}
