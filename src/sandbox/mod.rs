//! A model of the real services, to try boxctl on: Cloudflare, SSM, STS and a Kubernetes API.
//!
//! Handlers are pure functions over a [`world::World`]; `server` gives them a port, a directory
//! and the time.

pub mod budget;
pub mod cloudflare;
mod connection;
mod core;
mod directory;
pub mod env;
mod exchange;
pub mod faults;
pub mod journal;
pub mod kubernetes;
pub mod log;
pub mod mangle;
pub mod options;
pub mod quirks;
mod server;
pub mod ssm;
mod upstream;
pub mod world;

use std::path::PathBuf;

pub use budget::{Budget, Throughput};
pub use directory::{dump, reset, running_environment};
pub use options::{Options, Preset};
pub use quirks::Quirks;
pub use server::{Running, start};

/// Why a sandbox can't be served, read or emptied.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// Another process serves the directory.
    #[error("{} is held by another sandbox; end that one first, or use another directory", dir.display())]
    Held {
        /// The directory.
        dir: PathBuf,
    },
    /// A process holds the directory and does not say where it answers.
    #[error("{} is held by a process that does not say where it answers", dir.display())]
    Silent {
        /// The directory.
        dir: PathBuf,
    },
    /// A file can't be read or written.
    #[error("{}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file of the directory isn't what it should be.
    #[error("{} is damaged; `boxctl sandbox reset` begins anew", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// The file of faults is no list of rules.
    #[error("{}: {reason}", path.display())]
    Faults {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The address can't be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The SSM that the secret store should read doesn't answer.
    #[error(
        "the SSM at {url} (AWS_ENDPOINT_URL), which the secret store reads, does not answer: {reason}"
    )]
    Upstream {
        /// Its address.
        url: String,
        /// Why.
        reason: String,
    },
}
