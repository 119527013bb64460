//! The commands for people.

pub mod bootstrap;
pub mod dev;
pub mod failure;
pub mod migrate;
pub mod postgres;
pub mod serve;

use clap::Parser;
/// Provisional.
#[derive(Parser)]
#[command(version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}
#[derive(clap::Subcommand)]
enum Command {
    Serve(serve::ServeArgs),
    Dev(dev::DevArgs),
    Migrate(migrate::MigrateArgs),
    Bootstrap(bootstrap::BootstrapArgs),
}
/// Provisional.
pub async fn run(cli: Cli) -> std::process::ExitCode {
    let r = match cli.command {
        Command::Serve(a) => serve::run(a).await,
        Command::Dev(a) => dev::run(a).await,
        Command::Migrate(a) => migrate::run(a).await,
        Command::Bootstrap(a) => bootstrap::run(a).await,
    };
    match r {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(f) => f.report(),
    }
}
