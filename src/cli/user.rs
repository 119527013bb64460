//! `countersign user`.

use super::{connection::CallArgs, failure::Failure, output};
use crate::proto::v1;
use clap::Subcommand;

/// Keep users.
#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Make a user known
    Register {
        /// The subject, a UUID; made up if not given
        #[arg(default_value = "", hide_default_value = true)]
        subject: String,
    },
    /// Show a user
    Get {
        /// The subject, a UUID
        subject: String,
    },
    /// Refuse a user, and kill all their tokens and sessions at once
    Disable {
        /// The subject, a UUID
        subject: String,
    },
    /// Admit a user again; nothing that died revives
    Enable {
        /// The subject, a UUID
        subject: String,
    },
}

/// Runs the command.
pub(super) async fn run(call: CallArgs, command: UserCommand) -> Result<(), Failure> {
    let mut client = call.directory().await?;
    let user = match command {
        UserCommand::Register { subject } => {
            client
                .register_user(v1::RegisterUserRequest { subject })
                .await?
                .into_inner()
                .user
        }
        UserCommand::Get { subject } => {
            client
                .get_user(v1::GetUserRequest { subject })
                .await?
                .into_inner()
                .user
        }
        UserCommand::Disable { subject } => {
            client
                .disable_user(v1::DisableUserRequest { subject })
                .await?
                .into_inner()
                .user
        }
        UserCommand::Enable { subject } => {
            client
                .enable_user(v1::EnableUserRequest { subject })
                .await?
                .into_inner()
                .user
        }
    };
    output::print(&user.unwrap_or_default(), "countersign.v1.User", call.json)
}
