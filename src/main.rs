//! The `countersign` binary.

use clap::Parser as _;

#[tokio::main]
async fn main() -> std::process::ExitCode {
    countersign::cli::run(countersign::cli::Cli::parse()).await
}
