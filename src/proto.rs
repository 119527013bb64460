//! The generated types of `proto/countersign/v1`, as rustc sees them.

// Generated code: its style is prost's, and its comments are the proto's.
#![allow(missing_docs, clippy::pedantic)]

pub mod codec;

/// The package `countersign.v1`.
pub mod v1 {
    tonic::include_proto!("countersign.v1");
}

/// The descriptor set of every proto file, for reflection and for tests.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/countersign.v1.bin"));

/// The domain of every `google.rpc.ErrorInfo` that Countersign sends.
pub const ERROR_DOMAIN: &str = "countersign";
