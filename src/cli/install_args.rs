//! The arguments of `drift install`.

use std::path::PathBuf;

/// Which scheduler runs the job.
#[derive(clap::Subcommand, Debug)]
pub enum InstallCommand {
    /// A CronJob, with a service account that can only read what the job has to
    #[command(
        long_about = "Write the manifests of a CronJob that looks for drift, with a service account \
                      whose roles can only read what is recorded by now: write them again when \
                      stacks get objects of other kinds or namespaces. The job fetches the \
                      project's files from its repository each time.",
        after_long_help = "\
Examples:
  boxctl drift install kubernetes --image registry.example.org/boxctl:0.1.0
  boxctl drift install kubernetes --image … --time-zone Asia/Tokyo --to - | kubectl apply -f -"
    )]
    Kubernetes {
        #[command(flatten)]
        job: JobArgs,
        /// When: a cron line
        #[arg(long, value_name = "CRON", default_value = "17 6 * * *")]
        schedule: String,
        /// The namespace that it runs in
        #[arg(long, default_value = "boxctl")]
        namespace: String,
        /// The image of boxctl: built from its Containerfile, and pushed where the cluster pulls
        #[arg(long)]
        image: String,
        /// The image of git that fetches the files
        #[arg(long, default_value = "docker.io/alpine/git:v2.49.1")]
        git_image: String,
        /// Where the files are fetched from [default: the remote `origin` of the checkout]
        #[arg(long, value_name = "URL")]
        repository: Option<String>,
        /// The branch [default: the repository's]
        #[arg(long)]
        branch: Option<String>,
    },
    /// A workflow that opens, updates and closes one issue
    #[command(after_long_help = "\
Examples:
  boxctl drift install github --image ghcr.io/me/boxctl:0.1.0
  boxctl drift install github --image … --schedule '17 */6 * * *' --time-zone Europe/Berlin")]
    Github {
        #[command(flatten)]
        job: JobArgs,
        /// When: a cron line
        #[arg(long, value_name = "CRON", default_value = "17 6 * * *")]
        schedule: String,
        /// The image of boxctl: built from its Containerfile, and pushed where runners pull
        #[arg(long)]
        image: String,
    },
    /// A timer and its service, for a machine of your own
    #[command(after_long_help = "\
Examples:
  boxctl drift install systemd
  boxctl drift install systemd --schedule 'Mon..Fri 06:17' --time-zone Europe/Berlin")]
    Systemd {
        #[command(flatten)]
        job: JobArgs,
        /// When: a calendar event, as systemd.time(7) has it
        #[arg(long, value_name = "EVENT", default_value = "*-*-* 06:17:00")]
        schedule: String,
        /// Who runs it [default: you]
        #[arg(long, value_name = "NAME")]
        run_as: Option<String>,
    },
}

/// What all schedulers are told.
#[derive(clap::Args, Debug)]
pub struct JobArgs {
    /// The time zone of the schedule: Asia/Tokyo [default: the scheduler's own]
    #[arg(long, value_name = "ZONE")]
    pub time_zone: Option<String>,
    /// The directory to write into; `-` writes to stdout [default: the project's drift/, for github
    /// the repository's .github/workflows/]
    #[arg(long, value_name = "DIR")]
    pub to: Option<PathBuf>,
    /// Write over files that say something else
    #[arg(long)]
    pub overwrite: bool,
}
