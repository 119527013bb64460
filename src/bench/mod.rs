//! The load generator behind `countersign bench`: callers, loops, statistics, report.
//!
//! It knows gRPC and `/proc`, but no database: what is compared with it, the same work
//! done one call at a time, is handed in as a [`Caller`] like any other. Nothing here
//! spawns a task a call or goes through a channel: every caller owns its request and runs in
//! the task of its connection, and HTTP/2 is spoken directly (`wire`).

pub mod callers;
pub mod chart;
pub mod checks;
pub mod ends;
#[cfg(test)]
mod fake;
pub mod listed;
pub mod population;
pub mod process;
pub mod report;
pub mod rows;
pub mod runner;
pub mod sessions;
pub mod statistics;
pub mod wire;
pub mod writers;

pub use runner::{Caller, Callers, Crew, Load, Stop, Trouble};
pub use statistics::Tally;
