//! What a sandbox is started with.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::budget::{Budget, Throughput};
use super::cloudflare::ZonePlan;
use super::quirks::Quirks;

/// How to serve a sandbox.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen; port 0 is any.
    pub listen: SocketAddr,
    /// The directory that holds the world; made with mode 0700.
    pub dir: PathBuf,
    /// How long each answer waits.
    pub latency: Duration,
    /// How long containers take to be ready.
    pub ready_after: Duration,
    /// A file of faults to inject (see [`super::faults`]).
    pub faults: Option<PathBuf>,
    /// A file to which each request is appended as a JSON line (see [`super::log`]).
    pub log: Option<PathBuf>,
    /// Answer in unusual normal forms made from this seed (see [`super::mangle`]).
    pub mangle: Option<u64>,
    /// Behaviours that the references doubt and that go the other way (see [`super::quirks`]).
    pub quirks: Quirks,
    /// How many requests the Cloudflare API takes in which time.
    pub budget: Budget,
    /// How many requests SSM takes in which time.
    pub throughput: Throughput,
    /// Whether the signatures of AWS requests are checked. What stands between has to leave the
    /// header `Host` as it was signed.
    pub signatures: bool,
    /// Journals of which one must hold an open intent for each mutating call
    /// (see [`super::journal`]); none checks nothing.
    pub journals: Vec<PathBuf>,
    /// What the world begins with.
    pub preset: Preset,
    /// The SSM that the secret store reads instead of the sandbox's own.
    pub upstream_ssm: Option<String>,
}

/// What the world begins with.
#[derive(Debug, Clone, Default)]
pub struct Preset {
    /// The Cloudflare account, 32 hexadecimal digits.
    pub account_id: String,
    /// Names of the account's zones; a 32-digit id makes a zone of that id.
    pub zones: Vec<String>,
    /// Plans of zones; one that has none here keeps its own, at first the free one.
    pub plans: Vec<ZonePlan>,
    /// The AWS region.
    pub region: String,
    /// The kubeconfig's context.
    pub context: String,
    /// Names of ClusterSecretStores that read the parameter store.
    pub secret_stores: Vec<String>,
}
