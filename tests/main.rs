//! The integration tests: one binary, on a real PostgreSQL.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "it tells where a test failed"
)]
#![allow(
    clippy::default_trait_access,
    clippy::too_many_lines,
    reason = "a table of cases is read as a table"
)]

mod access;
mod alerts;
mod audit;
mod bench;
mod callers;
mod calls;
mod chart;
mod cli;
mod connecting;
mod decision;
mod dev;
mod dpop;
mod events;
mod faults;
mod foreign;
mod handbook;
mod inputs;
mod migrate;
mod model;
mod mutants;
mod operating;
mod plans;
mod postgres;
mod purge;
mod races;
mod readme;
mod resilience;
mod secrets;
mod serve;
mod sidecar;
mod statements;
mod support;
mod tidy;
mod tokens;
mod vectors;
mod verify;
