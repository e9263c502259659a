//! What `boxctl.yaml` says.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::notify::Notify;
use super::{Json, JsonMap};

/// A project, read.
#[derive(Clone, Debug, PartialEq)]
pub struct Project {
    /// The directory of `boxctl.yaml`.
    pub dir: PathBuf,
    /// Its name.
    pub name: String,
    /// Patterns of stack files, relative to the project.
    pub stacks: Vec<String>,
    /// Cloudflare's account and zones.
    pub cloudflare: Option<CloudflareSettings>,
    /// The AWS region; None: as the AWS SDK finds it.
    pub aws_region: Option<String>,
    /// The kubeconfig context; None: the current one.
    pub kubernetes_context: Option<String>,
    /// The namespace of manifests that name none, unless the stack says one.
    pub namespace: Option<String>,
    /// Where states are kept, and how.
    pub keeping: Keeping,
    /// Lasting values of variables, by stack and name.
    pub values: BTreeMap<String, JsonMap>,
    /// Stacks whose file is gone and that are to be destroyed.
    pub retired: Vec<String>,
    /// The share of a stack's resources that a plan may delete or replace, in percent.
    pub destroy_limit_percent: u8,
    /// What generated connectors look like.
    pub connector: Option<Connector>,
    /// Who is told of drift.
    pub notify: Notify,
    /// Waits of the run.
    pub timing: Timing,
}

/// Where states are kept, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keeping {
    /// Where.
    pub place: Place,
    /// The environment variable with the key that they are sealed with.
    pub key_env: Option<String>,
}

impl Keeping {
    /// A directory, as it is.
    pub fn local(dir: impl Into<PathBuf>) -> Keeping {
        Keeping { place: Place::Local { dir: dir.into() }, key_env: None }
    }
}

/// A place that states are kept in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Files in a directory.
    Local {
        /// The directory, relative to the project.
        dir: PathBuf,
    },
    /// Objects in a bucket.
    S3 {
        /// The bucket.
        bucket: String,
        /// What the keys begin with: nothing, or what ends in a slash.
        prefix: String,
        /// Its region; None: as the AWS SDK finds it.
        region: Option<String>,
        /// The URL of a store that speaks like S3; None: as the AWS SDK finds it.
        endpoint: Option<String>,
    },
    /// Secrets, and Leases for the locks, in a namespace.
    Kubernetes {
        /// The namespace.
        namespace: String,
        /// The kubeconfig context; None: the current one.
        context: Option<String>,
    },
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::Local { dir } => write!(f, "{}/", dir.display()),
            Place::S3 { bucket, prefix, endpoint: None, .. } => write!(f, "s3://{bucket}/{prefix}"),
            Place::S3 { bucket, prefix, endpoint: Some(url), .. } => {
                write!(f, "s3://{bucket}/{prefix} at {url}")
            }
            Place::Kubernetes { namespace, context: None } => write!(f, "namespace {namespace}"),
            Place::Kubernetes { namespace, context: Some(context) } => {
                write!(f, "namespace {namespace} of {context}")
            }
        }
    }
}

/// Cloudflare's account and zones, as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloudflareSettings {
    /// The account's id, 32 hex digits.
    pub account_id: String,
    /// Names or ids of zones.
    pub zones: Vec<String>,
}

/// What generated connectors look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connector {
    /// The image of cloudflared.
    pub image: String,
    /// Arguments between `tunnel` and `run`.
    pub args: Vec<String>,
    /// How many pods run it.
    pub replicas: u32,
    /// The container's `resources`, as Kubernetes writes them.
    pub resources: Json,
    /// The pods' `affinity`, as Kubernetes writes it.
    pub affinity: Option<Json>,
    /// Where it serves its metrics and `/ready`: host and port.
    pub metrics: String,
    /// The port of `metrics`.
    pub metrics_port: u16,
    /// The kind of the secret store: `ClusterSecretStore` or `SecretStore`.
    pub secret_store_kind: String,
    /// The secret store's name.
    pub secret_store_name: String,
    /// The version of External Secrets' API: `v1` or `v1beta1`.
    pub secret_store_version: String,
}

/// Waits of the run, all in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// The limit of one request.
    pub request_ms: u64,
    /// The first pause before a retry; doubled each time, with jitter.
    pub backoff_ms: u64,
    /// The longest pause before a retry.
    pub backoff_max_ms: u64,
    /// How long retries of one step may take together.
    pub step_ms: u64,
    /// The pause between two looks at whether an object is ready.
    pub poll_ms: u64,
    /// The grace period for in-flight calls after an interrupt.
    pub grace_ms: u64,
    /// How long a call whose answer was lost, and of which nothing is to be seen, is remembered: it
    /// may arrive late.
    pub late_ms: u64,
    /// How long a command that prints manifests may take.
    pub command_ms: u64,
    /// How long the lock of a shared state has to stand still before another run takes it over.
    pub lease_ms: u64,
}

impl Default for Timing {
    fn default() -> Self {
        Timing {
            request_ms: 30_000,
            backoff_ms: 500,
            backoff_max_ms: 30_000,
            step_ms: 300_000,
            poll_ms: 1_000,
            grace_ms: 30_000,
            late_ms: 3_600_000,
            command_ms: 60_000,
            lease_ms: 60_000,
        }
    }
}
