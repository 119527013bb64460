//! The integration tests: one binary, on a real PostgreSQL.

mod migrate;
mod postgres;
mod support;
mod tidy;
