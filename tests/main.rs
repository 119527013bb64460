//! The integration tests: one binary, on a real PostgreSQL.

mod decision;
mod migrate;
mod postgres;
mod support;
mod tidy;
mod tokens;
mod vectors;
