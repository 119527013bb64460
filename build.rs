//! Compiles the proto files with protox, so that no protoc is needed, and keeps the descriptor
//! set of our own for server reflection and for the tests.

use prost::Message as _;
use std::{env, error::Error, fs, path::PathBuf};

/// What turns messages of the services into bytes and back.
const CODEC: &str = "crate::proto::codec::Codec";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    println!("cargo:rerun-if-changed=src/sidecar/check.proto");
    println!("cargo:rerun-if-changed=sql");

    let descriptors = protox::compile(
        [
            "countersign/v1/token_authority.proto",
            "countersign/v1/directory.proto",
            "countersign/v1/errors.proto",
        ],
        ["proto"],
    )?;
    let out_dir = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(
        out_dir.join("countersign.v1.bin"),
        descriptors.encode_to_vec(),
    )?;
    tonic_prost_build::configure()
        .codec_path(CODEC)
        .compile_fds(descriptors)?;

    let check = protox::compile(["check.proto"], ["src/sidecar"])?;
    tonic_prost_build::configure()
        .build_client(false)
        .codec_path(CODEC)
        .bytes(".")
        .compile_fds(check)?;
    Ok(())
}
