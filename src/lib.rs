//! Countersign, a gRPC-only token authority for service meshes.
//!
//! The library exists for the binary and the tests; its public face is the
//! proto in `proto/countersign/v1`. ARCHITECTURE.md has the map of the rooms.

pub mod app;
pub mod authority;
pub mod bench;
pub mod cli;
pub mod config;
pub mod domain;
pub mod driver;
pub mod grpc;
pub mod health;
pub mod keyfile;
mod listening;
mod options;
mod presence;
pub mod proto;
pub mod purging;
pub mod reload;
pub mod shutdown;
pub mod sidecar;
pub mod store;
pub mod telemetry;
pub mod verify;
