//! One client of each role, and one user: made at the first start, found at the next.

use super::{
    certificates,
    description::{Description, DevClient},
};
use crate::authority::{Authority, Call};
use crate::cli::{bootstrap, failure::Failure};
use crate::domain::{
    caller::{Access, Claim, Role},
    clock,
    identity::Identity,
    policy::ClientSettings,
    terms::{Audience, Scopes},
};
use std::time::Instant;
use uuid::Uuid;

/// What the clients' tokens may have.
const SCOPES: [&str; 2] = ["read", "write"];
/// The audience that the clients share.
pub(super) const AUDIENCE: &str = "urn:countersign:dev";

/// The clients and the user of an earlier start, where they still stand; else new ones.
pub(super) async fn seed(
    authority: &Authority,
    known: Option<&Description>,
) -> Result<(Vec<DevClient>, Uuid), Failure> {
    if let Some(known) = known
        && let Some(admin) = known.clients.iter().find(|client| client.name == "admin")
        && let Ok(call) = call(authority, admin)
        && authority.user(&call, known.subject).await.is_ok()
    {
        return Ok((known.clients.clone(), known.subject));
    }
    let mut clients = Vec::new();
    for role in Role::ALL {
        clients.push(client(authority, role).await?);
    }
    let admin = &clients[clients.len() - 1];
    let call = call(authority, admin).map_err(|refusal| bootstrap::failure(refusal.into()))?;
    let user = authority
        .register_user(&call, None)
        .await
        .map_err(bootstrap::failure)?;
    Ok((clients, user.subject))
}

async fn client(authority: &Authority, role: Role) -> Result<DevClient, Failure> {
    let audience = Audience::trusted(vec![AUDIENCE.to_owned()]);
    let settings = ClientSettings {
        name: role.name().to_owned(),
        roles: vec![role],
        identities: Identity::spiffe(&certificates::spiffe_id(role))
            .into_iter()
            .collect(),
        scopes: Scopes::trusted(SCOPES.map(str::to_owned).to_vec()),
        default_audience: audience.clone(),
        audience,
        ..ClientSettings::default()
    };
    let created = authority
        .bootstrap_client(None, settings)
        .await
        .map_err(bootstrap::failure)?;
    Ok(DevClient {
        name: role.name().to_owned(),
        client_id: created.entry.client.client_id,
        client_secret: created.secret.reveal().to_owned(),
        roles: vec![role.name().to_owned()],
    })
}

/// A call of one of the clients, within the process.
fn call(
    authority: &Authority,
    client: &DevClient,
) -> Result<Call, crate::domain::refusal::Refusal> {
    let credentials =
        authority.credentials(&client.client_id.to_string(), &client.client_secret)?;
    Ok(Call {
        claim: Claim {
            credentials,
            access: Access::AnyOf(&[Role::Admin]),
            call: clock::uuid(),
        },
        arrived: Instant::now(),
        peer: None,
        proof: None,
        trace_id: None,
    })
}
