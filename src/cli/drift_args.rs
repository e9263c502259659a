//! The arguments of `drift`.

/// What `drift` looks at, and where it tells what it found.
#[derive(clap::Args, Debug, Default)]
pub struct DriftArgs {
    /// Stacks [default: all]
    pub stacks: Vec<String>,
    /// Also read what is otherwise taken as recorded (parameters' values, tunnels' tokens);
    /// takes ssm:GetParameters, kms:Decrypt, Cloudflare Tunnel Write
    #[arg(long)]
    pub verify_secrets: bool,
}
