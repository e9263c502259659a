//! Keeps this process's memory, secrets and all, out of core dumps.

use rustix::process::{Resource, Rlimit, setrlimit};

/// No core dump of this process is written from here on, nor handed to a program that collects
/// them. Where the system does not allow that, the run goes on.
pub fn forbid() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::debug!(%error, "core dumps can't be limited");
    }
    // A collector behind `core_pattern` is not bound by the limit.
    #[cfg(target_os = "linux")]
    if let Err(error) =
        rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
    {
        tracing::debug!(%error, "core dumps can't be turned off");
    }
}
