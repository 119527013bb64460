//! `countersign client`: the clients that the authority serves.

use super::{
    bootstrap::{self, BootstrapArgs},
    connection::{CallOptions, Connection},
    exit::Exit,
    failure::Failure,
    input::Stdin,
    output,
    paging::Paging,
    settings::{Setting, SettingsArgs},
};
use crate::proto::v1;
use clap::{Args, Subcommand};
use uuid::Uuid;

/// What can be done with clients.
#[derive(Subcommand)]
pub enum ClientCommand {
    /// Register a client and print its first secret
    ///
    /// The secret is printed once and nobody can read it again. --id is the new
    /// client's id; --client-id names the caller, as everywhere.
    #[command(after_long_help = "\
Examples:
  countersign client create --name login --role issuer --scope orders.read \\\n    --audience https://orders.example --default-audience https://orders.example
  countersign client create --name orders --role introspector --audience https://orders.example
  countersign client create --name edge --access-token-ttl 5m --json")]
    Create(Box<CreateArgs>),
    /// Show a client
    #[command(after_long_help = "\
Examples:
  countersign client get 0198c0de-0000-7000-8000-000000000003")]
    Get(ClientId),
    /// List the clients in the order of their ids
    #[command(after_long_help = "\
Examples:
  countersign client list --page-size 20
  countersign client list --all --json")]
    List(Paging),
    /// Change the settings that are given, and no others
    ///
    /// A repeated option replaces the whole list. Tokens and sessions with a scope that
    /// the client may no longer have end at once.
    #[command(after_long_help = "\
Examples:
  countersign client update 0198c0de-0000-7000-8000-000000000003 \\\n    --scope orders.read --scope orders.write
  countersign client update 0198c0de-0000-7000-8000-000000000003 --clear roles,default-audience")]
    Update(Box<UpdateArgs>),
    /// Refuse a client and end all its tokens and sessions at once
    #[command(after_long_help = "\
Examples:
  countersign client disable 0198c0de-0000-7000-8000-000000000003")]
    Disable(ClientId),
    /// Admit a client again; nothing that ended revives
    #[command(after_long_help = "\
Examples:
  countersign client enable 0198c0de-0000-7000-8000-000000000003")]
    Enable(ClientId),
    /// End all its tokens and sessions that exist; it stays enabled
    #[command(after_long_help = "\
Examples:
  countersign client cut-off 0198c0de-0000-7000-8000-000000000003")]
    CutOff(ClientId),
    /// Add a second secret beside the live one, and print it
    ///
    /// Both work until the old one is retired with `client retire-secret`.
    #[command(after_long_help = "\
Examples:
  countersign client rotate-secret 0198c0de-0000-7000-8000-000000000003 --json")]
    RotateSecret(ClientId),
    /// End one secret at once; `client get` shows the ids
    #[command(after_long_help = "\
Examples:
  countersign client retire-secret 0198c0de-0000-7000-8000-000000000003 \\\n    0198c0de-0000-7000-8000-000000000004")]
    RetireSecret(RetireSecretArgs),
    /// Register an admin with database rights: the first one, and the way back in
    Bootstrap(Box<BootstrapArgs>),
}

/// Which client.
#[derive(Args)]
pub struct ClientId {
    /// The client's id
    #[arg(value_name = "UUID")]
    id: Uuid,
}

/// The options of `client create`.
#[derive(Args)]
pub struct CreateArgs {
    /// Its name, for people
    #[arg(long, value_name = "TEXT")]
    name: String,
    /// The new client's id [default: a new one]
    #[arg(long, value_name = "UUID")]
    id: Option<Uuid>,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// The options of `client update`.
#[derive(Args)]
pub struct UpdateArgs {
    #[command(flatten)]
    client: ClientId,
    /// Its name, for people
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// Empty these settings, so that the authority's default counts
    #[arg(long, value_name = "SETTING,…", value_delimiter = ',')]
    clear: Vec<Setting>,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// The options of `client retire-secret`.
#[derive(Args)]
pub struct RetireSecretArgs {
    #[command(flatten)]
    client: ClientId,
    /// The secret's id
    #[arg(value_name = "SECRET_UUID")]
    secret_id: Uuid,
}

/// Runs one of them.
pub async fn run(command: ClientCommand, options: &CallOptions) -> Result<Exit, Failure> {
    match command {
        ClientCommand::Create(args) => {
            let request = v1::CreateClientRequest {
                client_id: args.id.map(|id| id.to_string()).unwrap_or_default(),
                settings: Some(args.settings.message(Some(args.name))),
            };
            let mut directory = open(options).await?.directory();
            let answer = directory.create_client(request).await?;
            output::print(answer.into_inner(), options.json())
        }
        ClientCommand::Get(client) => {
            let client_id = client.id.to_string();
            let mut directory = open(options).await?.directory();
            let answer = directory
                .get_client(v1::GetClientRequest { client_id })
                .await?;
            output::print(answer.into_inner(), options.json())
        }
        ClientCommand::List(paging) => list(paging, options).await,
        ClientCommand::Update(args) => {
            let request = update_request(*args)?;
            let mut directory = open(options).await?.directory();
            let answer = directory.update_client(request).await?;
            output::print(answer.into_inner(), options.json())
        }
        ClientCommand::Disable(client) => {
            let client_id = client.id.to_string();
            let request = v1::DisableClientRequest { client_id };
            let mut directory = open(options).await?.directory();
            let answer = directory.disable_client(request).await?;
            output::print(answer.into_inner(), options.json())
        }
        ClientCommand::Enable(client) => {
            let client_id = client.id.to_string();
            let request = v1::EnableClientRequest { client_id };
            let mut directory = open(options).await?.directory();
            let answer = directory.enable_client(request).await?;
            output::print(answer.into_inner(), options.json())
        }
        ClientCommand::CutOff(client) => {
            let client_id = client.id.to_string();
            let request = v1::CutOffClientRequest { client_id };
            let mut directory = open(options).await?.directory();
            let answer = directory.cut_off_client(request).await?;
            output::print(answer.into_inner(), options.json())
        }
        ClientCommand::Bootstrap(args) => bootstrap::run(*args, options.json()).await,
        ClientCommand::RotateSecret(client) => {
            let client_id = client.id.to_string();
            let request = v1::RotateClientSecretRequest { client_id };
            let mut directory = open(options).await?.directory();
            let answer = directory.rotate_client_secret(request).await?;
            output::print(answer.into_inner(), options.json())
        }
        ClientCommand::RetireSecret(args) => {
            let request = v1::RetireClientSecretRequest {
                client_id: args.client.id.to_string(),
                secret_id: args.secret_id.to_string(),
            };
            let mut directory = open(options).await?.directory();
            let answer = directory.retire_client_secret(request).await?;
            output::print(answer.into_inner(), options.json())
        }
    }
}

async fn open(options: &CallOptions) -> Result<Connection, Failure> {
    Connection::open(options, &mut Stdin::default()).await
}

async fn list(paging: Paging, options: &CallOptions) -> Result<Exit, Failure> {
    let mut directory = open(options).await?.directory();
    let mut clients = Vec::new();
    let mut page_token = paging.page_token.clone().unwrap_or_default();
    loop {
        let request = v1::ListClientsRequest {
            page_size: paging.page_size.unwrap_or_default(),
            page_token,
        };
        let page = directory.list_clients(request).await?.into_inner();
        clients.extend(page.clients);
        page_token = page.next_page_token;
        if !paging.goes_on(&page_token) {
            break;
        }
    }
    let answer = v1::ListClientsResponse {
        clients,
        next_page_token: page_token,
    };
    output::print(answer, options.json())
}

fn update_request(args: UpdateArgs) -> Result<v1::UpdateClientRequest, Failure> {
    let mask = args
        .settings
        .update_mask(args.name.as_deref(), &args.clear)?;
    Ok(v1::UpdateClientRequest {
        client_id: args.client.id.to_string(),
        settings: Some(args.settings.message(args.name)),
        update_mask: Some(mask),
    })
}
