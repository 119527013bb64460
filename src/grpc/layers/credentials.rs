//! What proves who calls: a client id and secret, a certificate, or the word of a proxy for
//! one. Exactly one identity decides.

use super::forwarded::{self, Ignored};
use crate::authority::{Authority, Failure};
use crate::domain::{caller::Credentials, identity::Identity, refusal::Refusal};
use crate::grpc::transport::Peer;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, header::AUTHORIZATION};
use zeroize::Zeroizing;

/// What a call carries, before anybody was asked about it.
pub(super) struct Presented {
    /// Client id and secret, their form and MAC checked.
    secret: Option<Credentials>,
    /// What the certificate names, or the proxy.
    identities: Vec<Identity>,
    /// It came through a proxy, which has verified them.
    proxied: bool,
}

/// Reads what a call carries; no query is made.
pub(super) fn read(
    headers: &HeaderMap,
    peer: Option<&Peer>,
    authority: &Authority,
) -> Result<Presented, Refusal> {
    let forwarded = forwarded::read(headers);
    let proxied = peer.is_some_and(Peer::is_proxy);
    let (identities, ignored) = match forwarded {
        // A proxy speaks for others, never for itself, whatever it says.
        Some(Ok(identity)) if proxied && peer.is_some_and(|peer| peer.is(&identity)) => {
            (Vec::new(), Some(Ignored::Untrusted))
        }
        Some(Ok(identity)) if proxied => (vec![identity], None),
        Some(Err(why)) if proxied => (Vec::new(), Some(why)),
        None if proxied => (Vec::new(), None),
        forwarded => {
            let names = peer.and_then(|peer| peer.names().ok()).unwrap_or_default();
            (names.to_vec(), forwarded.map(|_| Ignored::Untrusted))
        }
    };
    if let Some(why) = ignored {
        authority.instruments().ignored_header(why.name());
    }
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let secret = match (values.next(), values.next()) {
        (None, _) => None,
        (Some(_), Some(_)) => return Err(Refusal::CredentialsInvalid),
        (Some(value), None) => {
            let basic = basic(value.as_bytes()).ok_or(Refusal::CredentialsInvalid)?;
            Some(authority.credentials(&basic.0, &basic.1)?)
        }
    };
    if secret.is_none() && identities.is_empty() {
        let unnamed = peer.is_some_and(|peer| peer.names().is_err());
        return Err(if unnamed && !proxied {
            Refusal::CredentialsInvalid
        } else {
            Refusal::CredentialsMissing
        });
    }
    Ok(Presented {
        secret,
        identities,
        proxied,
    })
}

impl Presented {
    /// Whether finding out who calls costs a query that a stranger could cause.
    pub(super) fn is_strange(&self, authority: &Authority) -> bool {
        self.secret.is_none() && !self.proxied && !authority.recognises(&self.identities)
    }

    /// The credentials. Only an identity that was not seen of late costs a query.
    pub(super) async fn credentials(self, authority: &Authority) -> Result<Credentials, Failure> {
        if let Some(secret) = self.secret {
            let identity = match &self.identities[..] {
                [] => None,
                [identity] => Some(identity.clone()),
                // Which of several names is a client's, only the database knows.
                several => authority
                    .identify(several)
                    .await?
                    .map(|(identity, _)| identity),
            };
            return Ok(Credentials { identity, ..secret });
        }
        let found = authority.identify(&self.identities).await?;
        let (identity, client_id) = found.ok_or(Refusal::CredentialsInvalid)?;
        Ok(Credentials {
            client_id,
            secret: None,
            identity: Some(identity),
        })
    }
}

/// Reads `Basic base64(client_id ":" secret)` (RFC 7617 section 2); neither part has
/// characters that RFC 6749 section 2.3.1 would encode.
fn basic(value: &[u8]) -> Option<(String, Zeroizing<String>)> {
    let value = std::str::from_utf8(value).ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = Zeroizing::new(STANDARD.decode(encoded.trim()).ok()?);
    let text = std::str::from_utf8(&decoded).ok()?;
    let (client_id, secret) = text.split_once(':')?;
    Some((client_id.to_owned(), Zeroizing::new(secret.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_is_read_whatever_the_case_of_its_scheme() {
        for scheme in ["Basic", "basic", "BASIC"] {
            let value = format!("{scheme} {}", STANDARD.encode("id:secret:x"));
            let (id, secret) = basic(value.as_bytes()).unwrap();
            assert_eq!((id.as_str(), secret.as_str()), ("id", "secret:x"));
        }
    }

    #[test]
    fn anything_else_is_no_credential() {
        for bad in [
            "",
            "Basic",
            "Basic !!!",
            "Bearer aWQ6cw==",
            "Basic aWQ=",
            "Basic \u{e9}",
        ] {
            assert!(basic(bad.as_bytes()).is_none(), "{bad:?}");
        }
    }
}
