//! The `countersign` binary.

use countersign::cli;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    match cli::parse() {
        Ok(command) => cli::run(command).await,
        Err(code) => code,
    }
}
