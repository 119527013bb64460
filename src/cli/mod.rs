//! The commands for people, and the options that they share.

mod bench;
mod bootstrap;
pub mod check;
pub mod client;
pub mod completions;
pub mod connection;
mod credentials;
mod dev;
mod doctor;
pub mod dpop;
pub mod exit;
pub mod failure;
mod fence;
pub mod input;
pub mod keys;
mod migrate;
pub mod output;
mod paging;
pub mod postgres;
mod printable;
mod purge;
mod records;
mod serve;
pub mod session;
mod settings;
mod status;
pub mod token;
mod try_once;
pub mod user;
mod verify;

use clap::{Parser, Subcommand};
use connection::CallOptions;
use exit::Exit;
use failure::Failure;
use std::process::ExitCode;

/// Countersign, a gRPC-only token authority over `PostgreSQL`
#[derive(Parser)]
#[command(name = "countersign", version, about, after_long_help = exit::HELP)]
#[command(arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    options: CallOptions,
}

#[derive(Subcommand)]
enum Command {
    /// Run a token authority from nothing, to try and to develop against
    Dev(dev::DevArgs),
    /// Serve over gRPC
    Serve(Box<serve::ServeArgs>),
    /// Migrate the database, or check it
    Migrate(migrate::MigrateArgs),
    /// Look at everything that a server needs, and say what to do
    Doctor(Box<doctor::DoctorArgs>),
    /// Cut off every token and session that exists
    Fence(fence::FenceArgs),
    /// Remove what expired
    Purge(purge::PurgeArgs),
    /// Issue, rotate, revoke and introspect tokens
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Ask what a request through Envoy would get
    Check(Box<check::CheckArgs>),
    /// List and end sessions
    #[command(subcommand)]
    Session(session::SessionCommand),
    /// Manage the clients that the authority serves
    #[command(subcommand)]
    Client(client::ClientCommand),
    /// Manage the users that the authority knows
    #[command(subcommand)]
    User(user::UserCommand),
    /// Try a running deployment: the four calls, once
    Try(try_once::TryArgs),
    /// Prove a running deployment: many callers at once, and a search for a broken promise
    Verify(verify::VerifyArgs),
    /// Make, roll over and retire the keys of the key file
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Make keys and proofs of possession (RFC 9449)
    #[command(subcommand)]
    Dpop(dpop::DpopCommand),
    /// Measure calls, latencies and costs, beside an echo and bare statements
    Bench(Box<bench::BenchArgs>),
    /// The bare echo of `bench`
    #[command(hide = true)]
    BenchEcho(bench::EchoArgs),
    /// Print what a shell needs to complete these commands
    #[command(after_long_help = "\
Examples:
  countersign completions bash > /etc/bash_completion.d/countersign
  countersign completions fish | source")]
    Completions(completions::CompletionsArgs),
}

/// Reads the command line. What clap has to say, help or an error, it has said
/// when this returns its exit code.
pub fn parse() -> Result<Cli, ExitCode> {
    Cli::try_parse().map_err(|error| {
        let text = error.render().to_string();
        let safe = printable::without_tokens(&text);
        if error.use_stderr() && safe != text {
            output::say(&safe);
        } else {
            // Nobody reads what a closed pipe does not take.
            let _ = error.print();
        }
        ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Exit::Usage as u8))
    })
}

/// Runs a command, says on stderr why it failed, and returns its exit code.
pub async fn run(cli: Cli) -> ExitCode {
    let Cli { command, options } = cli;
    let exit = Box::pin(dispatch(command, &options))
        .await
        .unwrap_or_else(|failure| {
            failure.report(options.json());
            failure.exit()
        });
    exit.into()
}

async fn dispatch(command: Command, options: &CallOptions) -> Result<Exit, Failure> {
    match command {
        Command::Dev(args) => Box::pin(dev::run(args)).await.map(|()| Exit::Ok),
        Command::Serve(args) => serve::run(*args).await.map(|()| Exit::Ok),
        Command::Migrate(args) => migrate::run(args).await,
        Command::Doctor(args) => doctor::run(*args, options.json()).await,
        Command::Fence(args) => fence::run(args).await,
        Command::Purge(args) => purge::run(args, options.json()).await,
        Command::Token(command) => token::run(command, options).await,
        Command::Check(args) => check::run(*args, options).await,
        Command::Session(command) => session::run(command, options).await,
        Command::Client(command) => client::run(command, options).await,
        Command::User(command) => user::run(command, options).await,
        Command::Try(args) => try_once::run(args, options).await,
        Command::Verify(args) => verify::run(args, options).await,
        Command::Keys(command) => keys::run(command, options.json()).await,
        Command::Dpop(command) => dpop::run(&command, options.json()),
        Command::Bench(args) => bench::run(*args, options).await,
        Command::BenchEcho(args) => bench::run_echo(args).await,
        Command::Completions(args) => completions::run(&args),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Flags};
    use clap::CommandFactory as _;

    fn refused(line: &str) -> bool {
        Cli::try_parse_from(line.split_whitespace()).is_err()
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_examples_and_they_parse() {
        fn walk(command: &clap::Command, path: &str) {
            for sub in command.get_subcommands() {
                walk(sub, &format!("{path} {}", sub.get_name()));
            }
            if command.has_subcommands() {
                return;
            }
            let help = command.get_after_long_help();
            let help = help.unwrap_or_else(|| panic!("`{path}` has no examples"));
            let help = help.to_string().replace("\\\n", "");
            for line in help.lines().skip(1) {
                let example = line.split(['<', '>', '|']).next().unwrap_or_default();
                assert!(example.trim().starts_with(path), "`{line}`");
                let parsed = Cli::try_parse_from(example.split_whitespace());
                assert!(parsed.is_ok(), "`{line}`: {}", parsed.err().unwrap());
            }
        }
        walk(&Cli::command(), "countersign");
    }

    #[test]
    fn no_command_stumbles_over_a_variable_of_another() {
        fn collect(command: &clap::Command, found: &mut Vec<String>) {
            let variables = command.get_arguments().filter_map(clap::Arg::get_env);
            found.extend(variables.map(|name| name.to_str().unwrap().to_owned()));
            for sub in command.get_subcommands() {
                collect(sub, found);
            }
        }
        let mut found = Vec::new();
        collect(&Cli::command(), &mut found);
        assert!(found.iter().any(|name| name == "COUNTERSIGN_CONFIG"));
        for name in found {
            let environment = [(name.clone(), String::new())].into_iter();
            let refused = Config::load(None, environment, Flags::default()).unwrap_err();
            assert!(!refused.to_string().contains("no such setting"), "{name}");
        }
    }

    #[test]
    fn options_for_calls_stand_before_or_after_the_command() {
        let words = "countersign --json token issue --timeout 2s --as issuer --dev-json x";
        let cli = Cli::try_parse_from(words.split_whitespace()).ok().unwrap();
        assert!(cli.options.json());
        assert_eq!(cli.options.timeout.as_secs(), 2);
        assert_eq!(cli.options.as_client.as_deref(), Some("issuer"));
    }

    #[test]
    fn exactly_one_target_is_revoked() {
        let id = "0198c0de-0000-7000-8000-000000000001";
        for bad in [
            String::new(),
            format!("--session-id {id} --subject {id}"),
            format!("--session-id {id} --except {id}"),
            "--refresh-token - --token-file x".to_owned(),
        ] {
            assert!(
                refused(&format!("countersign session revoke {bad}")),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_token_comes_from_one_place_and_a_secret_never_from_an_option() {
        assert!(refused("countersign token rotate"));
        assert!(refused("countersign token rotate - --token-file x"));
        assert!(refused("countersign token introspect a --token-file x"));
        assert!(refused("countersign token issue --client-secret x"));
    }
}
