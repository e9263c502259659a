//! The arguments of what deals with the drift that `drift` finds.

use super::install_args::InstallCommand;

/// What else there is to do about drift.
#[derive(clap::Subcommand, Debug)]
pub enum DriftCommand {
    /// Write to drift.yaml that drift is known: no alarm until it changes or the time is up
    #[command(
        long_about = "Write to drift.yaml, beside boxctl.yaml, that what has drifted now is known. \
                      `boxctl drift` is quiet about it until the time is up or it changes again. \
                      The file is to be reviewed and committed; it may be edited by hand. plan and \
                      apply do not read it: an apply puts back what is acknowledged, too.",
        after_long_help = "\
Examples:
  boxctl drift ack dns_record.app.ttl --until 30d --reason 'the move to the new host'
  boxctl drift ack tunnel_config.app --until 2027-01-31 --reason 'rule of the migration'
  boxctl drift ack 'k8s.Deployment/app/*' --until 12h --reason 'incident 42'
  boxctl drift ack --prune   takes out what is over: expired, or drifted no more"
    )]
    Ack(AckArgs),
    /// Show, or with --write make, the edit of the files that keeps what was found
    #[command(
        long_about = "Show the edit of the stack file or manifest that keeps what has drifted as it \
                      is now, as a unified diff; with `--write` make it. Comments, order and quotes \
                      of the file stay. The next apply records it and sends nothing for it. What \
                      comes from a reference, a variable or a command, and what is secret, is left \
                      to be edited by hand: it says where, and exits 5. What is missing is taken \
                      out of the files.",
        after_long_help = "\
Examples:
  boxctl drift accept dns_record.app
  boxctl drift accept dns_record.app.ttl --write && boxctl apply
  boxctl drift accept 'k8s.Deployment/app/*' | git apply"
    )]
    Accept(AcceptArgs),
    /// Put back what has drifted, as it was applied last, and nothing else
    #[command(
        long_about = "Put back what has drifted, as it was applied last: an apply of just that. \
                      What the files ask for by now and was not applied yet is left pending, also \
                      of the same resource. It shows what it will do and asks for \"yes\". A \
                      resource is put back as a whole; what boxctl did not make is not removed.",
        after_long_help = "\
Examples:
  boxctl drift revert dns_record.app
  boxctl drift revert 'k8s.Deployment/app/*' --yes"
    )]
    Revert(RevertArgs),
    /// Write the files of a job that looks for drift at its times
    #[command(subcommand)]
    Install(InstallCommand),
}

/// What `drift accept` is told.
#[derive(clap::Args, Debug, Default)]
pub struct AcceptArgs {
    /// What has drifted: an address, one with a path, or a pattern of addresses
    #[arg(value_name = "ADDRESS[.PATH]", required = true)]
    pub what: Vec<String>,
    /// Make the edit
    #[arg(long)]
    pub write: bool,
    /// Stacks to look at [default: all]
    #[arg(long = "stack", value_name = "STACK")]
    pub stacks: Vec<String>,
    /// Also read what is otherwise taken as recorded, as `drift --verify-secrets` does
    #[arg(long)]
    pub verify_secrets: bool,
}

/// What `drift revert` is told.
#[derive(clap::Args, Debug, Default)]
pub struct RevertArgs {
    /// What has drifted: an address, one with a path, or a pattern of addresses
    #[arg(value_name = "ADDRESS[.PATH]", required = true)]
    pub what: Vec<String>,
    /// Stacks to look at [default: all]
    #[arg(long = "stack", value_name = "STACK")]
    pub stacks: Vec<String>,
    /// Also read what is otherwise taken as recorded, as `drift --verify-secrets` does
    #[arg(long)]
    pub verify_secrets: bool,
    /// Do not run the commands of the files: secrets that they would give are missing
    #[arg(long)]
    pub no_commands: bool,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
    /// Do not wait until things are ready
    #[arg(long)]
    pub no_wait: bool,
}

/// What `drift ack` is told.
#[derive(clap::Args, Debug, Default)]
pub struct AckArgs {
    /// What has drifted: an address, one with a path, or a pattern of addresses
    #[arg(value_name = "ADDRESS[.PATH]", required_unless_present = "prune")]
    pub what: Vec<String>,
    /// Until when it is quiet: 12h, 30d, or through a day (UTC) like 2027-01-31
    #[arg(long, value_name = "WHEN", required_unless_present = "prune")]
    pub until: Option<String>,
    /// Why it may stay, for who reviews it
    #[arg(long, value_name = "TEXT", required_unless_present = "prune")]
    pub reason: Option<String>,
    /// Who says so [default: git's user.name, else $USER]
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
    /// Take out of drift.yaml what has expired or drifts no more
    #[arg(long, conflicts_with_all = ["what", "until", "reason", "by"])]
    pub prune: bool,
    /// Stacks to look at [default: all]
    #[arg(long = "stack", value_name = "STACK")]
    pub stacks: Vec<String>,
    /// Also read what is otherwise taken as recorded, as `drift --verify-secrets` does
    #[arg(long)]
    pub verify_secrets: bool,
}
