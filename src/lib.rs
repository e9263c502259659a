//! boxctl publishes services of a Kubernetes cluster and keeps them the way their files say.
//!
//! The program is one sentence, and the modules are its words: load the files (`config`) and
//! expand them to resources, observe the world, resolve, diff and plan (`engine`, `kinds`),
//! then execute (`run`) through the APIs (`providers`), recording each call before and after
//! (`store`). `model` holds the nouns, `render` shows them, `cli` wires it all together, and
//! `sandbox` is a model of the real services to try it on.

pub mod cli;
pub mod config;
pub mod engine;
pub mod kinds;
pub mod model;
pub mod providers;
pub mod render;
pub mod run;
pub mod sandbox;
pub mod store;
