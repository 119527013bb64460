//! `countersign completions`: what a shell needs to complete our commands.

use super::{Cli, exit::Exit, failure::Failure, output};
use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

/// The options of `completions`.
#[derive(Args)]
pub struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Prints the shell's script to stdout.
pub fn run(args: &CompletionsArgs) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "countersign", &mut script);
    output::write(&script)
}
