//! Pages of lists, and the opaque tokens that go on from one to the next.

use super::{Fields, client, timestamp};
use crate::authority::{ClientPage, ListedSession, Place, SessionPage};
use crate::proto::v1;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use chrono::DateTime;
use uuid::Uuid;

/// A page token is a place in the order of the list; it grants nothing.
pub(in crate::grpc) fn session_place(fields: &mut Fields, token: &str) -> Option<Place> {
    if token.is_empty() {
        return None;
    }
    let place = decode::<24>(token).and_then(|bytes| {
        let (micros, id) = bytes.split_at(8);
        let micros = i64::from_be_bytes(micros.try_into().ok()?);
        // PostgreSQL's time ends after chrono's, and begins later: 4713 BC.
        let micros = Some(micros).filter(|micros| *micros >= 0)?;
        Some(Place {
            last_used_at: DateTime::from_timestamp_micros(micros)?,
            session_id: Uuid::from_slice(id).ok()?,
        })
    });
    if place.is_none() {
        fields.refuse("page_token", "is not one that ListSessions gave");
    }
    place
}

pub(in crate::grpc) fn session_page(page: SessionPage, subject: Uuid) -> v1::ListSessionsResponse {
    v1::ListSessionsResponse {
        next_page_token: page.next.map(encode_place).unwrap_or_default(),
        sessions: page
            .sessions
            .into_iter()
            .map(|listed| session(listed, subject))
            .collect(),
    }
}

fn encode_place(place: Place) -> String {
    let mut bytes = place.last_used_at.timestamp_micros().to_be_bytes().to_vec();
    bytes.extend_from_slice(place.session_id.as_bytes());
    BASE64URL.encode(bytes)
}

fn session(listed: ListedSession, subject: Uuid) -> v1::Session {
    let ListedSession {
        session_id,
        client_id,
        generation,
        scopes,
        audience,
        user_agent,
        ip_address,
        life,
    } = listed;
    v1::Session {
        session_id: session_id.to_string(),
        client_id: client_id.to_string(),
        subject: subject.to_string(),
        scopes: scopes.to_vec(),
        audience: audience.to_vec(),
        generation,
        user_agent: user_agent.unwrap_or_default(),
        ip_address: ip_address
            .map(|address| address.to_string())
            .unwrap_or_default(),
        created_at: Some(timestamp(life.created_at)),
        last_used_at: Some(timestamp(life.last_used_at)),
        expires_at: Some(timestamp(life.expires_at)),
    }
}

pub(in crate::grpc) fn client_place(fields: &mut Fields, token: &str) -> Uuid {
    if token.is_empty() {
        return Uuid::nil();
    }
    decode::<16>(token).map_or_else(
        || {
            fields.refuse("page_token", "is not one that ListClients gave");
            Uuid::nil()
        },
        Uuid::from_bytes,
    )
}

pub(in crate::grpc) fn client_page(page: ClientPage) -> v1::ListClientsResponse {
    v1::ListClientsResponse {
        next_page_token: page
            .next
            .map(|id| BASE64URL.encode(id.as_bytes()))
            .unwrap_or_default(),
        clients: page.clients.into_iter().map(client).collect(),
    }
}

fn decode<const N: usize>(token: &str) -> Option<[u8; N]> {
    BASE64URL.decode(token).ok()?.try_into().ok()
}
