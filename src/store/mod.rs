//! The database, and nobody else who knows it.

pub mod catalog;
pub mod connect;
pub mod migrate;
mod template;
