//! boxctl end to end: the real binary against the sandbox. Read as a description of what it does.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test that cannot go on has failed, and says what it leaves out"
)]

mod arrows;
mod drift;
mod kubernetes_kind;
mod lab;
mod lifecycle;
mod moto;
mod owners;
mod readme;
mod refusals;
mod secrets;
mod stacks;
mod tools;
