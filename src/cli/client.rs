//! `countersign client`.

mod settings;

use super::{
    bootstrap::{self, BootstrapArgs},
    connection::CallArgs,
    failure::Failure,
    output,
};
use crate::proto::v1;
use clap::{Args, Subcommand};
use settings::SettingArgs;

/// Keep clients.
#[derive(Debug, Subcommand)]
pub(super) enum ClientCommand {
    /// Register an admin with database rights: the first one, and the way back in
    Bootstrap(Box<BootstrapArgs>),
    /// Register a client, and print its secret once
    ///
    /// Example: countersign --as admin client create --name orders --role introspector
    /// --scope read --audience urn:orders
    Create(CreateArgs),
    /// Show a client
    Get(OneClient),
    /// List the clients
    List(ListArgs),
    /// Change a client's settings; only what is given changes
    Update(UpdateArgs),
    /// Refuse a client, and kill all its tokens and sessions at once
    Disable(OneClient),
    /// Admit a client again; nothing that died revives
    Enable(OneClient),
    /// Kill all its tokens and sessions that exist; it stays enabled
    CutOff(OneClient),
    /// Add a second secret beside the live one, and print it once
    RotateSecret(OneClient),
    /// End one secret at once
    RetireSecret {
        /// The client's id, a UUID
        id: String,
        /// The secret's id, a UUID, as `client get` shows it
        secret_id: String,
    },
}

/// One client.
#[derive(Debug, Args)]
pub(super) struct OneClient {
    /// The client's id, a UUID
    id: String,
}

/// A new client.
#[derive(Debug, Args)]
pub(super) struct CreateArgs {
    /// The new client's id, a UUID; made up if not given
    #[arg(
        long,
        value_name = "UUID",
        default_value = "",
        hide_default_value = true
    )]
    id: String,
    #[command(flatten)]
    settings: SettingArgs,
}

/// A change.
#[derive(Debug, Args)]
pub(super) struct UpdateArgs {
    /// The client's id, a UUID
    id: String,
    #[command(flatten)]
    settings: SettingArgs,
    /// Empty these settings, by the names of their fields: scopes,audience
    #[arg(long, value_name = "FIELDS", value_delimiter = ',')]
    clear: Vec<String>,
}

/// A page.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Clients of one page
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 0,
        hide_default_value = true
    )]
    page_size: u32,
    /// Print every page
    #[arg(long)]
    all: bool,
}

/// Runs the command.
pub(super) async fn run(call: CallArgs, command: ClientCommand) -> Result<(), Failure> {
    if let ClientCommand::Bootstrap(args) = command {
        return bootstrap::run(*args, call.json).await;
    }
    let mut client = call.directory().await?;
    let changed = match command {
        ClientCommand::Bootstrap(_) => None,
        ClientCommand::Create(args) => {
            let (settings, _) = args.settings.read()?;
            let request = v1::CreateClientRequest {
                client_id: args.id,
                settings: Some(settings),
            };
            let answer = client.create_client(request).await?.into_inner();
            return output::print(&answer, "countersign.v1.CreateClientResponse", call.json);
        }
        ClientCommand::List(args) => return list(&call, args).await,
        ClientCommand::RotateSecret(OneClient { id }) => {
            let request = v1::RotateClientSecretRequest { client_id: id };
            let answer = client.rotate_client_secret(request).await?.into_inner();
            return output::print(
                &answer,
                "countersign.v1.RotateClientSecretResponse",
                call.json,
            );
        }
        ClientCommand::Get(OneClient { id }) => {
            client
                .get_client(v1::GetClientRequest { client_id: id })
                .await?
                .into_inner()
                .client
        }
        ClientCommand::Update(args) => {
            let (settings, mut paths) = args.settings.read()?;
            paths.extend(args.clear);
            let request = v1::UpdateClientRequest {
                client_id: args.id,
                settings: Some(settings),
                update_mask: Some(prost_types::FieldMask { paths }),
            };
            client.update_client(request).await?.into_inner().client
        }
        ClientCommand::Disable(OneClient { id }) => {
            let request = v1::DisableClientRequest { client_id: id };
            client.disable_client(request).await?.into_inner().client
        }
        ClientCommand::Enable(OneClient { id }) => {
            let request = v1::EnableClientRequest { client_id: id };
            client.enable_client(request).await?.into_inner().client
        }
        ClientCommand::CutOff(OneClient { id }) => {
            let request = v1::CutOffClientRequest { client_id: id };
            client.cut_off_client(request).await?.into_inner().client
        }
        ClientCommand::RetireSecret { id, secret_id } => {
            let request = v1::RetireClientSecretRequest {
                client_id: id,
                secret_id,
            };
            client
                .retire_client_secret(request)
                .await?
                .into_inner()
                .client
        }
    };
    output::print(
        &changed.unwrap_or_default(),
        "countersign.v1.Client",
        call.json,
    )
}

async fn list(call: &CallArgs, args: ListArgs) -> Result<(), Failure> {
    let mut client = call.directory().await?;
    let mut whole = v1::ListClientsResponse::default();
    loop {
        let request = v1::ListClientsRequest {
            page_size: args.page_size,
            page_token: whole.next_page_token.clone(),
        };
        let page = client.list_clients(request).await?.into_inner();
        whole.clients.extend(page.clients);
        whole.next_page_token = page.next_page_token;
        if !args.all || whole.next_page_token.is_empty() {
            break;
        }
    }
    output::print(&whole, "countersign.v1.ListClientsResponse", call.json)
}
