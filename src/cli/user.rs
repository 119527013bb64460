//! `countersign user`: register, get, disable, enable.

use super::{
    connection::{CallOptions, Connection},
    exit::Exit,
    failure::Failure,
    input::Stdin,
    output,
};
use crate::proto::v1;
use clap::{Args, Subcommand};
use uuid::Uuid;

/// What can be done with users.
#[derive(Subcommand)]
pub enum UserCommand {
    /// Make a user known
    ///
    /// Registering a known user changes nothing.
    #[command(after_long_help = "\
Examples:
  countersign user register
  countersign user register 0198c0de-0000-7000-8000-000000000001")]
    Register {
        /// The user's id [default: a new one]
        #[arg(value_name = "UUID")]
        subject: Option<Uuid>,
    },
    /// Show a user
    #[command(after_long_help = "\
Examples:
  countersign user get 0198c0de-0000-7000-8000-000000000001")]
    Get(Subject),
    /// Refuse a user and end all their tokens and sessions at once
    #[command(after_long_help = "\
Examples:
  countersign user disable 0198c0de-0000-7000-8000-000000000001")]
    Disable(Subject),
    /// Admit a user again; nothing that ended revives
    #[command(after_long_help = "\
Examples:
  countersign user enable 0198c0de-0000-7000-8000-000000000001")]
    Enable(Subject),
}

/// Which user.
#[derive(Args)]
pub struct Subject {
    /// The user's id
    #[arg(value_name = "UUID")]
    subject: Uuid,
}

/// Runs one of them.
pub async fn run(command: UserCommand, options: &CallOptions) -> Result<Exit, Failure> {
    let calls = Connection::open(options, &mut Stdin::default()).await?;
    let mut directory = calls.directory();
    match command {
        UserCommand::Register { subject } => {
            let subject = subject.map(|id| id.to_string()).unwrap_or_default();
            let request = v1::RegisterUserRequest { subject };
            let answer = directory.register_user(request).await?;
            output::print(answer.into_inner(), options.json())
        }
        UserCommand::Get(user) => {
            let subject = user.subject.to_string();
            let answer = directory.get_user(v1::GetUserRequest { subject }).await?;
            output::print(answer.into_inner(), options.json())
        }
        UserCommand::Disable(user) => {
            let subject = user.subject.to_string();
            let request = v1::DisableUserRequest { subject };
            let answer = directory.disable_user(request).await?;
            output::print(answer.into_inner(), options.json())
        }
        UserCommand::Enable(user) => {
            let subject = user.subject.to_string();
            let request = v1::EnableUserRequest { subject };
            let answer = directory.enable_user(request).await?;
            output::print(answer.into_inner(), options.json())
        }
    }
}
