//! The integration tests: one binary, on a real PostgreSQL.

mod postgres;
