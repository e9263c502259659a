//! boxctl end to end: the real binary against the sandbox. Read as a description of what it does.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on has failed, and says what it leaves out"
)]

mod accepting;
mod access;
mod alarms;
mod anywhere;
mod applying;
mod arrows;
mod as_kubectl_reads;
mod aws;
mod between;
mod budget;
mod clients;
mod cluster_oddities;
mod codes;
mod connectors;
mod deletion;
mod drift;
mod edits;
mod entitlements;
mod estate;
mod every_kind;
mod faults;
mod first_hour;
mod gaps_a;
mod generated;
mod homes;
mod install;
mod interrupted;
mod keeping;
mod kill;
mod known_drift;
mod kubectl;
mod kubernetes_kind;
mod lab;
mod leaks;
mod lifecycle;
mod manifests;
mod moto;
mod network;
mod notifying;
mod objects;
mod official_schema;
mod others;
mod owners;
mod pages;
mod partial;
mod permissions;
mod pipeline;
mod planning;
mod quirks;
mod readiness;
mod readme;
mod readonly;
mod recorder;
mod records;
mod refusals;
mod refused_early;
mod reverting;
mod rollback;
mod rotation;
mod routes;
mod secrets;
mod shared;
mod shared_objects;
mod ssm;
mod stacks;
mod state_lost;
mod told;
mod tools;
mod verifying;
mod workflows;
