//! The integration tests: one binary, on a real PostgreSQL.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "it tells where a test failed"
)]

mod calls;
mod cli;
mod decision;
mod dev;
mod foreign;
mod migrate;
mod postgres;
mod readme;
mod support;
mod tidy;
mod tokens;
mod vectors;
