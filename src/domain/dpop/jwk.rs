//! The public key in a proof's header: a JWK (RFC 7517), and its thumbprint (RFC 7638).

use super::fault::Fault;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use ring::{digest, signature};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::fmt;

/// A signature algorithm of RFC 7518 section 3.1 or RFC 8037; all are asymmetric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// ECDSA over P-256 with SHA-256.
    Es256,
    /// ECDSA over P-384 with SHA-384.
    Es384,
    /// Ed25519; `Ed25519` is its other name (RFC 9864).
    EdDsa,
    /// RSASSA-PSS with SHA-256, 2,048 to 8,192 bits.
    Ps256,
    /// RSASSA-PKCS1-v1_5 with SHA-256, 2,048 to 8,192 bits.
    Rs256,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 5] = [
        Self::Es256,
        Self::Es384,
        Self::EdDsa,
        Self::Ps256,
        Self::Rs256,
    ];

    /// Its name in `alg`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
            Self::Ps256 => "PS256",
            Self::Rs256 => "RS256",
        }
    }

    /// The algorithm of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        if name == "Ed25519" {
            return Some(Self::EdDsa);
        }
        Self::ALL.into_iter().find(|own| own.name() == name)
    }
}

/// A JWK as it stands in a header. Members that say nothing about the key are passed over.
#[derive(Deserialize)]
pub(super) struct Jwk {
    kty: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    // RFC 7518 sections 6.2.2, 6.3.2 and 6.4: of private and symmetric keys alone.
    d: Option<IgnoredAny>,
    p: Option<IgnoredAny>,
    q: Option<IgnoredAny>,
    dp: Option<IgnoredAny>,
    dq: Option<IgnoredAny>,
    qi: Option<IgnoredAny>,
    oth: Option<IgnoredAny>,
    k: Option<IgnoredAny>,
}

/// A public key of one of the kinds that the algorithms need.
#[derive(Clone, PartialEq, Eq)]
pub enum PublicKey {
    /// A point of P-256, uncompressed: 65 bytes.
    P256(Vec<u8>),
    /// A point of P-384, uncompressed: 97 bytes.
    P384(Vec<u8>),
    /// 32 bytes (RFC 8032).
    Ed25519([u8; 32]),
    /// Modulus and exponent, big-endian, without leading zeros.
    Rsa {
        /// The modulus.
        n: Vec<u8>,
        /// The exponent.
        e: Vec<u8>,
    },
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.thumbprint())
    }
}

impl PublicKey {
    /// Reads a JWK.
    pub(super) fn read(jwk: &Jwk) -> Result<Self, Fault> {
        let private = [
            &jwk.d, &jwk.p, &jwk.q, &jwk.dp, &jwk.dq, &jwk.qi, &jwk.oth, &jwk.k,
        ];
        if private.into_iter().any(Option::is_some) || jwk.kty.as_deref() == Some("oct") {
            return Err(Fault::PrivateKey);
        }
        let key = match (jwk.kty.as_deref(), jwk.crv.as_deref()) {
            (Some("EC"), Some("P-256")) => Some(Self::P256(point(jwk, 32)?)),
            (Some("EC"), Some("P-384")) => Some(Self::P384(point(jwk, 48)?)),
            (Some("OKP"), Some("Ed25519")) => {
                bytes(jwk.x.as_ref())?.try_into().ok().map(Self::Ed25519)
            }
            (Some("RSA"), _) => {
                let (n, e) = (bytes(jwk.n.as_ref())?, bytes(jwk.e.as_ref())?);
                // RFC 7518 section 6.3.1: as few octets as possible, or one key would have
                // several thumbprints.
                let minimal = |number: &[u8]| number.first().is_some_and(|first| *first != 0);
                (minimal(&n) && minimal(&e)).then_some(Self::Rsa { n, e })
            }
            _ => None,
        };
        key.ok_or(Fault::Key)
    }

    /// Whether the signature over the message is this key's.
    pub(super) fn verify(
        &self,
        algorithm: Algorithm,
        message: &[u8],
        signed: &[u8],
    ) -> Result<(), Fault> {
        use signature as s;
        let holds = |parameters: &'static dyn s::VerificationAlgorithm, key: &[u8]| {
            s::UnparsedPublicKey::new(parameters, key).verify(message, signed)
        };
        let rsa = |parameters: &'static s::RsaParameters, n: &[u8], e: &[u8]| {
            s::RsaPublicKeyComponents { n, e }.verify(parameters, message, signed)
        };
        let verified = match (algorithm, self) {
            (Algorithm::Es256, Self::P256(point)) => holds(&s::ECDSA_P256_SHA256_FIXED, point),
            (Algorithm::Es384, Self::P384(point)) => holds(&s::ECDSA_P384_SHA384_FIXED, point),
            (Algorithm::EdDsa, Self::Ed25519(key)) => holds(&s::ED25519, key),
            (Algorithm::Ps256, Self::Rsa { n, e }) => rsa(&s::RSA_PSS_2048_8192_SHA256, n, e),
            (Algorithm::Rs256, Self::Rsa { n, e }) => rsa(&s::RSA_PKCS1_2048_8192_SHA256, n, e),
            _ => return Err(Fault::Key),
        };
        verified.map_err(|_| Fault::Signature)
    }

    /// The JWK with its required members alone, in the order of RFC 7638 section 3.2.
    pub fn canonical(&self) -> String {
        let encode = |bytes: &[u8]| BASE64URL.encode(bytes);
        match self {
            Self::P256(point) => {
                let (x, y) = point[1..].split_at(32);
                ec("P-256", &encode(x), &encode(y))
            }
            Self::P384(point) => {
                let (x, y) = point[1..].split_at(48);
                ec("P-384", &encode(x), &encode(y))
            }
            Self::Ed25519(key) => {
                format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, encode(key))
            }
            Self::Rsa { n, e } => {
                format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, encode(e), encode(n))
            }
        }
    }

    /// Its SHA-256 thumbprint in base64url, 43 characters (RFC 7638 section 3.1).
    pub fn thumbprint(&self) -> String {
        thumbprint_of(&self.canonical())
    }
}

/// The thumbprint of a JWK in its canonical form.
pub fn thumbprint_of(canonical: &str) -> String {
    BASE64URL.encode(digest::digest(&digest::SHA256, canonical.as_bytes()))
}

fn ec(curve: &str, x: &str, y: &str) -> String {
    format!(r#"{{"crv":"{curve}","kty":"EC","x":"{x}","y":"{y}"}}"#)
}

/// An uncompressed point (SEC 1 section 2.3.3); each coordinate has its full length (RFC 7518
/// section 6.2.1.2). Whether it lies on the curve is found when a signature is checked.
fn point(jwk: &Jwk, length: usize) -> Result<Vec<u8>, Fault> {
    let (x, y) = (bytes(jwk.x.as_ref())?, bytes(jwk.y.as_ref())?);
    if x.len() != length || y.len() != length {
        return Err(Fault::Key);
    }
    Ok([&[4], x.as_slice(), &y].concat())
}

fn bytes(member: Option<&String>) -> Result<Vec<u8>, Fault> {
    let text = member.ok_or(Fault::Key)?;
    BASE64URL.decode(text).map_err(|_| Fault::Key)
}
