//! (being built)

pub mod postgres;
