//! A proof by itself: a JWT that carries the key that signed it (RFC 9449 section 4.2).
//!
//! Of both JSON objects a member that means something and appears twice is refused (RFC 7515
//! section 4, RFC 7519 section 4), and so is an array where an object should be.

use super::{
    fault::Fault,
    jwk::{Algorithm, Jwk, PublicKey},
};
use crate::domain::limits::{DPOP_JTI_CHARS, DPOP_PROOF_CHARS};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use serde::de::{IgnoredAny, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer};
use std::{fmt, marker::PhantomData};

/// The JOSE header.
#[derive(Deserialize)]
struct Header {
    typ: Option<String>,
    alg: Option<String>,
    jwk: Option<Object<Jwk>>,
    crit: Option<IgnoredAny>,
}

/// The claims.
#[derive(Deserialize)]
struct Claims {
    jti: Option<String>,
    htm: Option<String>,
    htu: Option<String>,
    iat: Option<f64>,
    ath: Option<String>,
    nonce: Option<String>,
}

/// A proof whose form and signature hold; whether it was made for the call at hand is for
/// [`Rules`](super::Rules).
#[derive(Debug, Clone)]
pub struct Proof {
    /// The thumbprint of the key that signed it.
    pub jkt: String,
    /// What tells it from every other of its key.
    pub jti: String,
    /// The method that it was made for.
    pub htm: String,
    /// The URI that it was made for.
    pub htu: String,
    /// When it was made: seconds since 1970, UTC.
    pub iat: f64,
    /// The hash of the access token that it goes with.
    pub ath: Option<String>,
    /// The nonce of the server that it was made for.
    pub nonce: Option<String>,
}

impl Proof {
    /// Reads a proof: RFC 9449 section 4.3, checks 2 to 7.
    pub fn read(text: &str, taken: &[Algorithm]) -> Result<Self, Fault> {
        if text.len() > DPOP_PROOF_CHARS {
            return Err(Fault::Malformed("it is too long"));
        }
        let mut parts = text.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Fault::Malformed("it does not have three parts"));
        };
        let signed = &text[..header.len() + 1 + payload.len()];
        let header: Header = object(header, "its header is no JSON object of the right types")?;
        let claims: Claims = object(payload, "its payload is no JSON object of the right types")?;
        let signature = base64url(signature)?;

        if header.crit.is_some() {
            return Err(Fault::Critical);
        }
        let typ = header.typ.ok_or(Fault::Missing("typ"))?;
        if typ != "dpop+jwt" {
            return Err(Fault::Type);
        }
        let algorithm = header.alg.ok_or(Fault::Missing("alg"))?;
        let algorithm = Algorithm::from_name(&algorithm)
            .filter(|algorithm| taken.contains(algorithm))
            .ok_or(Fault::Algorithm)?;
        let key = PublicKey::read(&header.jwk.ok_or(Fault::Missing("jwk"))?.0)?;
        let proof = Self {
            jkt: key.thumbprint(),
            jti: claims
                .jti
                .filter(|jti| !jti.is_empty())
                .ok_or(Fault::Missing("jti"))?,
            htm: claims.htm.ok_or(Fault::Missing("htm"))?,
            htu: claims.htu.ok_or(Fault::Missing("htu"))?,
            iat: claims.iat.ok_or(Fault::Missing("iat"))?,
            ath: claims.ath,
            nonce: claims.nonce,
        };
        if proof.jti.len() > DPOP_JTI_CHARS {
            return Err(Fault::Malformed("its `jti` is too long"));
        }
        key.verify(algorithm, signed.as_bytes(), &signature)?;
        Ok(proof)
    }
}

fn base64url(part: &str) -> Result<Vec<u8>, Fault> {
    // RFC 7515 section 2: without padding, and no other bits.
    let decoded = BASE64URL.decode(part);
    decoded.map_err(|_| Fault::Malformed("a part is not base64url"))
}

fn object<T: for<'de> Deserialize<'de>>(part: &str, otherwise: &'static str) -> Result<T, Fault> {
    let text = base64url(part)?;
    let object: Result<Object<T>, _> = serde_json::from_slice(&text);
    Ok(object.map_err(|_| Fault::Malformed(otherwise))?.0)
}

/// What is read from a JSON object only; serde would take an array for a struct, too.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members(PhantomData))
    }
}

struct Members<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(members)).map(Object)
    }
}
