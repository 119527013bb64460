//! The single integration binary, on a real PostgreSQL.

mod migrate;
mod support;
