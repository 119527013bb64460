//! The commands for people: over gRPC like any caller, or with database rights.

mod bootstrap;
mod client;
mod connection;
mod dev;
mod failure;
mod fence;
mod keys;
mod migrate;
mod output;
pub mod postgres;
mod serve;
mod session;
mod terms;
mod token;
mod user;

use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;
use connection::CallArgs;
use failure::Failure;
use std::process::ExitCode;

/// Countersign, a gRPC-only token authority for service meshes.
///
/// Exit codes: 0 done; 1 refused or failed; 2 wrong usage; 64 bad configuration or input;
/// 65 the database's tables or durability are not what serving needs; 69 the server or the
/// database cannot be reached; 76 the schema is beyond this binary; 77 credentials or
/// rights were refused.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    call: CallArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a token authority from nothing, to try and to develop against
    Dev(dev::DevArgs),
    /// Serve over gRPC
    Serve(Box<serve::ServeArgs>),
    /// Migrate the database, or check it
    Migrate(migrate::MigrateArgs),
    /// Cut off every token and session that exists
    Fence(fence::FenceArgs),
    /// Issue, rotate, revoke and introspect tokens
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// List and revoke sessions
    #[command(subcommand)]
    Session(session::SessionCommand),
    /// Keep clients
    #[command(subcommand)]
    Client(client::ClientCommand),
    /// Keep users
    #[command(subcommand)]
    User(user::UserCommand),
    /// Make keys
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// Runs a command, and says on stderr why it failed.
pub async fn run(cli: Cli) -> ExitCode {
    let Cli { call, command } = cli;
    let json = call.json;
    match dispatch(call, command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(json),
    }
}

async fn dispatch(call: CallArgs, command: Command) -> Result<(), Failure> {
    match command {
        Command::Dev(args) => dev::run(args).await,
        Command::Serve(args) => serve::run(*args).await,
        Command::Migrate(args) => migrate::run(args).await,
        Command::Fence(args) => fence::run(args).await,
        Command::Token(command) => token::run(call, command).await,
        Command::Session(command) => session::run(call, command).await,
        Command::Client(command) => client::run(call, command).await,
        Command::User(command) => user::run(call, command).await,
        Command::Keys(command) => keys::run(command),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "countersign", &mut script);
            output::say(&String::from_utf8_lossy(&script))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
