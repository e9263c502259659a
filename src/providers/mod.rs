//! How to reach each API: the one place that sends.

pub mod kubernetes;
