//! What proves who calls: `authorization: Basic`, the place where certificates and a
//! mesh's header will join.

use crate::authority::Authority;
use crate::domain::{caller::Credentials, refusal::Refusal};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, header::AUTHORIZATION};
use zeroize::Zeroizing;

/// Reads a call's credentials. Their form and MAC are checked; no query is made.
/// Exactly one identity decides.
pub(super) fn read(headers: &HeaderMap, authority: &Authority) -> Result<Credentials, Refusal> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or(Refusal::CredentialsMissing)?;
    if values.next().is_some() {
        return Err(Refusal::CredentialsInvalid);
    }
    let (client_id, secret) = basic(value.as_bytes()).ok_or(Refusal::CredentialsInvalid)?;
    authority.credentials(&client_id, &secret)
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
