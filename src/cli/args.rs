//! The command line, as clap reads it.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::drift_args::DriftArgs;
use super::reports::ReportArgs;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

/// When colours are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On terminals, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Publishes services of a Kubernetes cluster, and keeps them the way their files say: DNS record,
/// Cloudflare Tunnel, Access, the tunnel's token in SSM, and the manifests.
#[derive(Debug, Parser)]
#[command(
    name = "boxctl",
    version,
    arg_required_else_help = true,
    subcommand_required = true,
    max_term_width = 100,
    after_help = "Exit codes: 0 done · 1 error · 2 changes or drift found · 3 something was done and \
                  something is left, run it again · 4 locked by another run · 5 refused before \
                  anything was done · 130 interrupted",
    after_long_help = "Credentials and endpoints come from where they usually are: \
                       CLOUDFLARE_API_TOKEN and CLOUDFLARE_BASE_URL; the AWS SDK's own chain \
                       (AWS_PROFILE, AWS_ENDPOINT_URL, SSO, …); KUBECONFIG, the default kubeconfig, \
                       or the pod's service account; HTTPS_PROXY for all three.\n\n\
                       Exit codes:\n  0    done\n  1    error, or something could not be read\n  \
                       2    plan --detailed-exitcode, render --check: changes; drift: drift\n  3    something was \
                       done and something is left: running it again goes on\n  4    the state is \
                       locked by another run\n  5    refused before anything was done\n  130  \
                       interrupted; what was in flight was finished and recorded"
)]
pub struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// The heading of what every command takes.
const COMMON: &str = "Options of every command";

/// Options of every command.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = COMMON)]
pub struct Global {
    /// The project's directory [default: found by walking up to boxctl.yaml]
    #[arg(long, global = true, value_name = "DIR")]
    pub project: Option<PathBuf>,
    /// The value of a variable, for this run
    #[arg(long = "var", global = true, value_name = "NAME=VALUE", value_parser = variable)]
    pub vars: Vec<(String, String)>,
    /// A YAML file with values of variables, for this run
    #[arg(long = "var-file", global = true, value_name = "FILE")]
    pub var_files: Vec<PathBuf>,
    /// Results as JSON documents with a `format_version`
    #[arg(long, global = true)]
    pub json: bool,
    /// When to colour
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub color: Color,
    /// Show more; twice: also each request
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Show results and errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// How long to wait for another run's lock, like 30s or 5m
    #[arg(long, global = true, value_name = "TIME", value_parser = duration, default_value = "0s")]
    pub lock_timeout: std::time::Duration,
    /// Run against the embedded sandbox, with a state of its own
    #[arg(long, global = true)]
    pub sandbox: bool,
}

/// `NAME=VALUE`. What is none gets no name, and [`parse_from`] refuses it: clap's own refusal would
/// repeat the text, which may be a secret whose name was forgotten.
fn variable(text: &str) -> Result<(String, String), std::convert::Infallible> {
    let (name, value) = text.split_once('=').unwrap_or_default();
    Ok((name.to_owned(), value.to_owned()))
}

/// Parses the command line of this process.
///
/// # Errors
/// A wrong command line; also help and version, which go to stdout.
pub fn parse() -> Result<Cli, clap::Error> {
    parse_from(std::env::args_os())
}

/// Parses a command line, the program's name first.
///
/// # Errors
/// As [`parse`].
pub fn parse_from(
    arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>,
) -> Result<Cli, clap::Error> {
    let cli = Cli::from_arg_matches(&definition().try_get_matches_from(arguments)?)?;
    if cli.global.vars.iter().any(|(name, _)| name.is_empty()) {
        let text = "`--var` wants NAME=VALUE";
        return Err(definition().error(clap::error::ErrorKind::ValueValidation, text));
    }
    Ok(cli)
}

/// `500ms`, `30s`, `5m`, `2h`; a bare number is seconds.
fn duration(text: &str) -> Result<std::time::Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| "30s or 5m is what one looks like".to_owned())?;
    let millis = match &text[digits.len()..] {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        unit => return Err(format!("there is no unit {unit}: ms, s, m, h")),
    };
    Ok(std::time::Duration::from_millis(number.saturating_mul(millis)))
}

/// What a plan is made of; plan and apply take the same.
#[derive(Clone, Debug, Default, Args)]
pub struct Planning {
    /// Take over what is there already and identical
    #[arg(long)]
    pub adopt: bool,
    /// Do not run the commands of the files: what they printed before is left as it is
    #[arg(long)]
    pub no_commands: bool,
    /// Only these resources, with all they need
    #[arg(long, value_name = "ADDRESS-GLOB")]
    pub target: Vec<String>,
    /// Not these resources, nor what needs them
    #[arg(long, value_name = "ADDRESS-GLOB")]
    pub exclude: Vec<String>,
    /// Protected resources that may be deleted
    #[arg(long, value_name = "ADDRESS-GLOB")]
    pub allow_protected: Vec<String>,
    /// More deletions than the project's limit are fine
    #[arg(long)]
    pub allow_large: bool,
    /// A hostname that may lose its Access application
    #[arg(long, value_name = "HOSTNAME")]
    pub allow_public: Vec<String>,
    /// Apply what the files ask for again, after a rollback
    #[arg(long)]
    pub forward: bool,
    /// Also read what is otherwise taken as recorded (parameters' values, tunnels' tokens), and
    /// write again what is another value; takes ssm:GetParameters, kms:Decrypt, Cloudflare Tunnel
    /// Write
    #[arg(long)]
    pub verify_secrets: bool,
    /// Warnings are errors
    #[arg(long)]
    pub strict: bool,
}

/// What a rollback may do.
#[derive(Clone, Debug, Default, Args)]
pub struct Allowing {
    /// Do not run the commands of the files: secrets that they would give are missing
    #[arg(long)]
    pub no_commands: bool,
    /// Protected resources that may be deleted
    #[arg(long, value_name = "ADDRESS-GLOB")]
    pub allow_protected: Vec<String>,
    /// More deletions than the project's limit are fine
    #[arg(long)]
    pub allow_large: bool,
    /// A hostname that may lose its Access application
    #[arg(long, value_name = "HOSTNAME")]
    pub allow_public: Vec<String>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a commented project into the current directory
    Init {
        /// Where to write it
        #[arg(default_value = ".")]
        dir: PathBuf,
    },
    /// Check the files: no network, no commands
    Validate {
        /// Stacks [default: all]
        stacks: Vec<String>,
        /// Warnings are errors
        #[arg(long)]
        strict: bool,
    },
    /// Print the explicit resources that a stack stands for
    Expand {
        /// The stack [default: all]
        stack: Option<String>,
    },
    /// Show what apply would do; changes nothing
    #[command(
        long_about = "Show what apply would do: each change with its fields, old → new, in an \
                      order in which it can be done, and what reading cost. It only reads, and \
                      needs no more than credentials that read.",
        after_long_help = "\
Examples:
  boxctl plan                        all stacks of the project
  boxctl plan openhands --out next   saved, for `boxctl apply --plan next`
  boxctl plan --detailed-exitcode    exit 2 if there is anything to do
  boxctl plan --markdown comment.md  for a pull request
  boxctl plan --html plan.html       as a page: old and new side by side, and the graph
  boxctl plan --target 'tunnel.*'    the tunnels, with all that they need
  boxctl plan --destroy openhands    what destroy would do"
    )]
    Plan {
        /// Stacks [default: all]
        stacks: Vec<String>,
        /// What to plan.
        #[command(flatten)]
        planning: Planning,
        /// Save the plan: a name without a slash goes into plans/
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Where else to tell it.
        #[command(flatten)]
        reports: ReportArgs,
        /// Plan to destroy the stacks
        #[arg(long)]
        destroy: bool,
        /// Exit 2 if there are changes
        #[arg(long)]
        detailed_exitcode: bool,
    },
    /// Make the world as the files say: plans, asks for "yes", does it
    #[command(
        long_about = "Make the world as the files say: plan, ask for \"yes\", and carry it out, \
                      each call recorded before it is sent. What fails leaves the rest valid: run \
                      it again and it goes on. Ctrl-C once finishes what is in flight and records \
                      it, twice stops at once.",
        after_long_help = "\
Examples:
  boxctl apply                     shows the plan, asks, does it
  boxctl apply openhands --yes     in CI
  boxctl apply --yes --markdown \"$GITHUB_STEP_SUMMARY\" --annotations github
  boxctl apply --plan next         the saved plan, as far as it still holds
  boxctl apply --adopt             take over what is there and identical
  boxctl apply --var runtime=dind  with another value for this run"
    )]
    Apply {
        /// Stacks [default: all]
        #[arg(conflicts_with = "plan")]
        stacks: Vec<String>,
        /// What to plan.
        #[command(flatten)]
        planning: Planning,
        /// Where else to tell what it came to.
        #[command(flatten)]
        reports: ReportArgs,
        /// Carry out a saved plan, and only what still rests on the same ground
        #[arg(long, value_name = "FILE", conflicts_with_all = [
            "adopt", "no_commands", "target", "exclude", "allow_protected", "allow_large",
            "allow_public", "forward", "verify_secrets", "strict",
        ])]
        plan: Option<PathBuf>,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
        /// Do not wait until things are ready
        #[arg(long)]
        no_wait: bool,
    },
    /// Delete what a stack has made, in reverse order; asks for the stack's name
    #[command(
        long_about = "Delete what a stack has made, in reverse order: DNS, then ingress, then \
                      Access. It asks for the stack's name, and works from the state alone too, \
                      when the files are gone. Protected resources refuse it at once, all of them \
                      named.",
        after_long_help = "\
Examples:
  boxctl plan --destroy openhands                  look first
  boxctl destroy openhands                         asks for the name
  boxctl destroy openhands --allow-protected '**'  claims and namespaces too"
    )]
    Destroy {
        /// Stacks
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        stacks: Vec<String>,
        /// All stacks that have a state
        #[arg(long)]
        all: bool,
        /// Protected resources that may be deleted
        #[arg(long, value_name = "ADDRESS-GLOB")]
        allow_protected: Vec<String>,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Apply again what an earlier run applied
    #[command(
        long_about = "Apply again what an earlier run applied, manifests included: plan it, ask \
                      for \"yes\", do it. Without a number: what the last complete run applied \
                      before what is applied now. Values of secrets are today's. Until the files \
                      change, `plan` says that the stack was rolled back, and `apply` wants \
                      `--forward`.",
        after_long_help = "\
Examples:
  boxctl state history openhands  what is kept, with the numbers
  boxctl rollback openhands       take the last change back
  boxctl rollback openhands 7     what run 7 applied
  boxctl apply --forward          and again what the files ask for"
    )]
    Rollback {
        /// The stack
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        stack: Option<String>,
        /// The run [default: the last complete one that applied something else]
        serial: Option<u64>,
        /// All stacks that have a state
        #[arg(long)]
        all: bool,
        /// What may be done.
        #[command(flatten)]
        planning: Allowing,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
        /// Do not wait until things are ready
        #[arg(long)]
        no_wait: bool,
    },
    /// Make the secret of a service token or a tunnel anew, and hand it on
    #[command(
        long_about = "Make the secret of a service token or a tunnel anew, write it to the \
                      parameters that hold it, have the ExternalSecrets that read them refreshed \
                      and the workloads restarted, and wait until a tunnel's new connectors are \
                      healthy. It shows what it will do and asks for \"yes\". What was \
                      interrupted goes on with the next apply.",
        after_long_help = "\
Examples:
  boxctl rotate service_token.ci  a new client secret; the old one stays for `keep_old`
  boxctl rotate tunnel.openhands  a new secret and token for a tunnel
  boxctl rotate --due --yes       what `rotate: {every: …}` says is due, on a schedule"
    )]
    Rotate {
        /// The service token or tunnel
        #[arg(required_unless_present = "due", conflicts_with = "due", value_name = "ADDRESS")]
        address: Option<String>,
        /// Every secret that is due
        #[arg(long)]
        due: bool,
        /// Stacks [default: all]
        #[arg(long = "stack", value_name = "STACK")]
        stacks: Vec<String>,
        /// Do not run the commands of the files: what they print is not restarted
        #[arg(long)]
        no_commands: bool,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
        /// Do not wait until things are ready
        #[arg(long)]
        no_wait: bool,
    },
    /// Compare what was recorded with what is there; exit 2 on drift
    #[command(
        long_about = "Compare what was recorded with what is there: what someone changed, what is \
                      gone, what stands beside it and changes its meaning. For a scheduled job: it \
                      only reads, and what the files ask for and was not applied yet is shown as \
                      pending, and is no drift.",
        after_long_help = "\
Examples:
  boxctl drift                   all stacks; exit 2 if anything has drifted
  boxctl drift openhands --json  for an alarm that says what
  boxctl drift --verify-secrets  also values that no version tells of
  boxctl drift --notify          also tell the webhooks of boxctl.yaml, when the set of it changes
  boxctl drift --html drift.html --markdown drift.md    a page, and a comment for an issue
  boxctl drift --prometheus /var/lib/prometheus/node-exporter/boxctl.prom
  boxctl drift ack ADDRESS …     it is known: no alarm until it changes or the time is up
  boxctl drift accept ADDRESS    keep it: the edit of the files that asks for it
  boxctl drift revert ADDRESS    put just that back
  boxctl apply                   puts it right, with all else that the files ask for"
    )]
    Drift(DriftArgs),
    /// Show whether a stack works: tunnel, records, Access, secrets, workloads; exit 1 if not
    #[command(
        long_about = "Show whether a stack works: whether each of its resources is there, tunnels \
                      have connectors, secrets are synced and workloads ready. What another tool \
                      applies (`applied_by: argocd`) is shown with whether it is as its manifest \
                      says. It only reads. Exit 0 if everything works, 1 if something does not or \
                      could not be read.",
        after_long_help = "\
Examples:
  boxctl status                   all stacks
  boxctl status openhands -v      also what works, one by one
  boxctl status openhands --json  for a probe that says what"
    )]
    Status {
        /// The stack [default: all]
        stack: Option<String>,
    },
    /// Write generated manifests that another tool applies, for it to find
    #[command(
        long_about = "Write the manifests that services stand for and another tool applies \
                      (`connector: {namespace: …, applied_by: argocd}`), one object a file, into a \
                      directory where that tool finds them. A file that an earlier `render` wrote \
                      and that nothing stands for any more is removed; files of others are left \
                      alone. With `--check` nothing is written: it shows what would be, and exits \
                      2 if that is anything.",
        after_long_help = "\
Examples:
  boxctl render --to ../argoproj/hello          write them, then commit them
  boxctl render --to ../argoproj/hello --check  in CI: exit 2 if they are not up to date"
    )]
    Render {
        /// The stack [default: all]
        stack: Option<String>,
        /// The directory to write to
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
        /// Write nothing; exit 2 if something would be written
        #[arg(long)]
        check: bool,
    },
    /// Show what is recorded of a stack, or a saved plan
    Show {
        /// The stack [default: all]
        #[arg(conflicts_with = "plan")]
        stack: Option<String>,
        /// A saved plan
        #[arg(long, value_name = "FILE")]
        plan: Option<PathBuf>,
    },
    /// Draw what needs what
    Graph {
        /// The stack [default: all]
        stack: Option<String>,
        /// The language of the drawing
        #[arg(long, value_enum, default_value_t = Drawing::Dot)]
        format: Drawing,
    },
    /// Look at, and carefully change, what is recorded
    #[command(subcommand)]
    State(StateCommand),
    /// The embedded sandbox: a model of the real services
    #[command(
        subcommand,
        long_about = "A model of the real services on this machine: Cloudflare, SSM, STS and a \
                      Kubernetes API, set up with what the project at hand presumes. Every command \
                      runs against it with `--sandbox`; other programs (kubectl, aws, your tests) \
                      with the variables that `serve` and `env` print.",
        after_long_help = "\
Examples:
  boxctl --sandbox apply --yes   nothing is needed, nothing leaves this machine
  boxctl sandbox serve &         keep it running
  eval \"$(boxctl sandbox env)\"  point kubectl, aws and boxctl itself at it
  kubectl get pods -A
  boxctl sandbox reset           begin anew"
    )]
    Sandbox(SandboxCommand),
    /// Print the JSON Schemas of boxctl.yaml, of stack files and of drift.yaml
    Schema,
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// The language of a drawing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Drawing {
    /// Graphviz.
    Dot,
    /// Mermaid, as GitHub shows it.
    Mermaid,
}

/// What to do with a state.
#[derive(Debug, Subcommand)]
pub enum StateCommand {
    /// List what is recorded
    List {
        /// The stack [default: all]
        stack: Option<String>,
    },
    /// Show one record
    #[command(allow_missing_positional = true)]
    Show {
        /// The stack [default: the only one that has the address]
        stack: Option<String>,
        /// The address
        address: String,
    },
    /// List the runs that are kept, for `rollback`
    History {
        /// The stack [default: all]
        stack: Option<String>,
    },
    /// Check the state's files, its records, and what the APIs say of them
    #[command(
        long_about = "Check the state's files (checksums, formats), whether its records hang \
                            together, and what the APIs say of each. It only reads. Exit 1: a file \
                            or record is wrong; 2: the world is not as it was recorded."
    )]
    Verify {
        /// The stack [default: all]
        stack: Option<String>,
    },
    /// Say who holds a state's lock; take it from a run that is gone, where states are shared
    #[command(
        long_about = "Say who holds a state's lock, and what ends that. Of states on this disk the \
                            lock is the operating system's, and is gone with its process, also a \
                            killed one: nothing is removed, exit 4 if it is locked. Of shared \
                            states it is a lease that the next run takes over when it has stood \
                            still for a minute; this takes it at once. The run that held it \
                            writes and sends nothing more."
    )]
    Unlock {
        /// The stack
        stack: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Move the states of all stacks to another place, or seal them
    #[command(
        long_about = "Move states, journals and earlier runs of all stacks to another place, or \
                            seal them with another key. Either edit `state:` in boxctl.yaml and \
                            give --from what it was, or give --to what it is to be and edit it \
                            then. Everything is read back; the old place says where the states \
                            are, and runs that still use it are refused. Cut short, it goes on \
                            when it is begun again."
    )]
    #[command(group = clap::ArgGroup::new("place").required(true).args(["from", "to"]))]
    Migrate {
        /// What `state:` of boxctl.yaml said before: '{backend: local, dir: state}'
        #[arg(long, value_name = "STATE")]
        from: Option<String>,
        /// What `state:` of boxctl.yaml is to say: '{backend: s3, bucket: NAME}'
        #[arg(long, value_name = "STATE")]
        to: Option<String>,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Take records out of the state; the objects stay
    Rm {
        /// The stack
        stack: String,
        /// Addresses or patterns
        #[arg(required = true, value_name = "ADDRESS-GLOB")]
        addresses: Vec<String>,
    },
    /// Give a record another address
    Mv {
        /// The stack
        stack: String,
        /// The address it has
        from: String,
        /// The address it gets
        to: String,
    },
    /// Say that the state belongs to this shell's target now, after a cluster was rebuilt
    Retarget {
        /// The stack
        stack: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

/// What to do with the sandbox.
#[derive(Debug, Subcommand)]
pub enum SandboxCommand {
    /// Serve it: prints its environment as soon as it answers, runs until it is ended
    #[command(after_long_help = "Example:\n  boxctl sandbox serve &\n  eval \"$(boxctl sandbox \
                                 env)\"\n  boxctl plan; kubectl get ns; aws ssm describe-parameters")]
    Serve {
        /// Where to listen; port 0 is any
        #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDR")]
        listen: SocketAddr,
        /// Where its world is kept [default: .boxctl/sandbox of the project]
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
        /// How long each answer takes, in milliseconds
        #[arg(long, default_value_t = 0, value_name = "MS")]
        latency: u64,
        /// How long containers take to be ready, in milliseconds; a pod's annotation
        /// `sandbox.boxctl/ready` (`never`, `crash` or milliseconds) goes before it, and
        /// `sandbox.boxctl/connections` (1 to 4) says how many a connector holds
        #[arg(long, default_value_t = 0, value_name = "MS")]
        ready_after: u64,
        /// Faults to play: which call, and what happens to it
        ///
        /// A list in YAML or JSON. Which: `service` (cloudflare, ssm, sts, kubernetes), `method`,
        /// `path` (a glob over all of it, or a regular expression with `^` or `$`), `mutating`; the
        /// `nth` that fits (from 1) and so many `times`, or with a `chance` by a `seed`. What:
        /// `status`, `code` and `message` (or a whole `body`), `headers` (with `effect: true` after
        /// it took effect), `delay_ms`, `drop: before|after` its effect (`reset: true`: with a reset), `truncate: true`,
        /// `late: N` (it takes effect N calls later), `lag: true` (answered from before the last
        /// change), `hold: before|after` (never answered; `tell: ADDR` is connected to), `ask:
        /// ADDR` (waits until who listens there closes the connection). `PUT /sandbox/faults` plans
        /// others while it serves.
        #[arg(long, value_name = "FILE")]
        faults: Option<PathBuf>,
        /// Log each request as a JSON line
        #[arg(long, value_name = "FILE")]
        log: Option<PathBuf>,
        /// Answer in normal forms that no table knows
        #[arg(long, value_name = "SEED")]
        mangle: Option<u64>,
        /// What the references doubt goes the other way: names apart by commas, `all` or `none`
        /// (a wrong name lists them)
        #[arg(long, value_name = "NAMES", default_value = "none")]
        quirks: crate::sandbox::Quirks,
        /// How many requests the Cloudflare API takes in which time; more are answered with 429 for
        /// as long again
        #[arg(long, value_name = "N/SECONDS", default_value = "1200/300")]
        budget: crate::sandbox::Budget,
        /// How many PutParameter SSM takes in which time, and how many GetParameter, GetParameters
        /// and GetParametersByPath together; more are refused with ThrottlingException
        #[arg(long, value_name = "N/SECONDS,N/SECONDS", default_value = "180/60,2400/60")]
        throughput: crate::sandbox::Throughput,
        /// The plan of a zone (free, pro, business, enterprise): what is paid for has tags, records
        /// that answer with one kind of address, longer comments and larger batches
        #[arg(long, value_name = "DOMAIN:PLAN")]
        zone: Vec<crate::sandbox::ZonePlan>,
        /// Check the signatures of AWS requests, as AWS does; a proxy in between must leave `Host`
        /// as it was signed
        #[arg(long)]
        signatures: bool,
        /// Refuse mutating calls that no journal announces; one for each stack
        #[arg(long, value_name = "FILE")]
        journal: Vec<PathBuf>,
    },
    /// Print the environment of the one that is served
    Env {
        /// Where its world is kept [default: .boxctl/sandbox of the project]
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
    /// Empty it, and the states made against it
    Reset {
        /// Where its world is kept [default: .boxctl/sandbox of the project]
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
}

/// The definition itself. The long help of a command leaves out what every command takes, which
/// would be most of it.
pub fn definition() -> clap::Command {
    let mut command = Cli::command();
    // Before that, commands don't have the options of every command.
    command.build();
    command.mut_subcommands(with_own_options_only)
}

fn with_own_options_only(command: clap::Command) -> clap::Command {
    let more = "Also --project, --var, --json, --sandbox and others: `boxctl --help` has them.";
    let text = match command.get_after_long_help() {
        Some(text) => format!("{text}\n\n{more}"),
        None => more.to_owned(),
    };
    let common = |arg: &clap::Arg| arg.get_help_heading() == Some(COMMON);
    command
        .mut_args(|arg| if common(&arg) { arg.hide_long_help(true) } else { arg })
        .mut_subcommands(with_own_options_only)
        .after_long_help(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        definition().debug_assert();
    }

    #[test]
    fn a_saved_plan_takes_no_planning_options() {
        for args in [
            &["boxctl", "apply", "--plan", "x", "--adopt"][..],
            &["boxctl", "apply", "--plan", "x", "stack"],
            &["boxctl", "apply", "--plan", "x", "--target", "a.b"],
            &["boxctl", "destroy"],
            &["boxctl", "destroy", "a", "--all"],
            &["boxctl", "plan", "--var", "hunter2"],
            &["boxctl", "plan", "--var", "=hunter2"],
            &["boxctl", "render"],
            &["boxctl", "rollback"],
            &["boxctl", "rollback", "a", "--all"],
            &["boxctl", "rollback", "a", "first"],
            &["boxctl", "rotate"],
            &["boxctl", "rotate", "tunnel.a", "--due"],
        ] {
            let error = parse_from(args).unwrap_err();
            assert!(error.use_stderr(), "{args:?}");
            assert!(!error.render().to_string().contains("hunter2"), "{args:?}");
        }
        assert!(parse_from(["boxctl", "apply", "--plan", "x", "--yes", "--sandbox"]).is_ok());
    }

    #[test]
    fn times_have_units() {
        for (text, millis) in [("30s", 30_000), ("5m", 300_000), ("7", 7_000), ("20ms", 20)] {
            assert_eq!(duration(text).map(|d| d.as_millis()), Ok(millis), "{text}");
        }
        assert!(duration("5 minutes").is_err() && duration("soon").is_err());
    }
}
