//! The arguments of `drift`.

use std::path::PathBuf;

use super::drift_commands::DriftCommand;
use super::reports::ReportArgs;

/// What `drift` looks at, and where it tells what it found.
#[derive(clap::Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct DriftArgs {
    #[command(subcommand)]
    pub command: Option<DriftCommand>,
    /// Stacks [default: all]
    pub stacks: Vec<String>,
    /// Also read what is otherwise taken as recorded (parameters' values, tunnels' tokens);
    /// takes ssm:GetParameters, kms:Decrypt, Cloudflare Tunnel Write
    #[arg(long)]
    pub verify_secrets: bool,
    /// Tell the webhooks of `notify:` in boxctl.yaml what changed since they were told last
    #[arg(long)]
    pub notify: bool,
    /// Where else to tell it.
    #[command(flatten)]
    pub reports: ReportArgs,
    /// Also write it for the textfile collector of Prometheus' node exporter; a run that fails
    /// writes that it did
    #[arg(long, value_name = "FILE")]
    pub prometheus: Option<PathBuf>,
}
