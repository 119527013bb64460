//! The other side: keys that make proofs, for people and for tests.

use super::{
    jwk::{Algorithm, PublicKey},
    token_hash,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use chrono::{DateTime, Utc};
use pem::Pem;
use ring::{
    rand::SecureRandom,
    rsa::{KeyPair as RsaKeyPair, PublicKeyComponents},
    signature::{
        self, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        Ed25519KeyPair, KeyPair as _,
    },
};
use serde_json::json;
use std::fmt;
use thiserror::Error;
use uuid::Uuid;
use zeroize::Zeroizing;

/// The label of a PKCS#8 key in PEM (RFC 7468 section 10).
const LABEL: &str = "PRIVATE KEY";

/// Why a file is no key that makes proofs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidKey {
    /// It is not one block of PEM with that label.
    #[error("is not a PEM file with one `PRIVATE KEY` (PKCS#8)")]
    Form,
    /// None of P-256, P-384, Ed25519 and RSA.
    #[error("holds a key that is none of P-256, P-384, Ed25519 and RSA of 2,048 to 8,192 bits")]
    Kind,
    /// No key of that kind can be made here.
    #[error("a key for {} is not made here; openssl genpkey makes one", .0.name())]
    NotMade(Algorithm),
}

enum Pair {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

/// A private key and the algorithm that it signs with.
pub struct ProofKey {
    pair: Pair,
    algorithm: Algorithm,
    public: PublicKey,
}

impl fmt::Debug for ProofKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProofKey({})", self.public.thumbprint())
    }
}

/// What a proof says.
#[derive(Debug, Clone, Copy)]
pub struct Statement<'a> {
    /// The method of the request.
    pub method: &'a str,
    /// Its URI.
    pub uri: &'a str,
    /// The access token that it presents.
    pub access_token: Option<&'a str>,
    /// The nonce that the server gave out.
    pub nonce: Option<&'a str>,
    /// When it is made.
    pub at: DateTime<Utc>,
    /// What tells it from every other.
    pub id: Uuid,
}

/// A new key in PEM.
pub fn new_key(
    algorithm: Algorithm,
    rng: &dyn SecureRandom,
) -> Result<Zeroizing<String>, InvalidKey> {
    let made = match algorithm {
        Algorithm::Es256 => EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, rng),
        Algorithm::Es384 => EcdsaKeyPair::generate_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, rng),
        Algorithm::EdDsa => Ed25519KeyPair::generate_pkcs8(rng),
        Algorithm::Ps256 | Algorithm::Rs256 => return Err(InvalidKey::NotMade(algorithm)),
    };
    let made = made.map_err(|_| InvalidKey::NotMade(algorithm))?;
    let pem = Pem::new(LABEL, made.as_ref());
    Ok(Zeroizing::new(pem::encode(&pem)))
}

impl ProofKey {
    /// Reads a PKCS#8 key in PEM. An RSA key signs with PS256.
    pub fn read(text: &str, rng: &dyn SecureRandom) -> Result<Self, InvalidKey> {
        let pem = pem::parse(text).map_err(|_| InvalidKey::Form)?;
        if pem.tag() != LABEL {
            return Err(InvalidKey::Form);
        }
        let der = Zeroizing::new(pem.into_contents());
        let ecdsa = |parameters| EcdsaKeyPair::from_pkcs8(parameters, &der, rng);
        if let Ok(pair) = ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING) {
            let public = PublicKey::P256(pair.public_key().as_ref().to_vec());
            return Ok(Self::of(Pair::Ecdsa(pair), Algorithm::Es256, public));
        }
        if let Ok(pair) = ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING) {
            let public = PublicKey::P384(pair.public_key().as_ref().to_vec());
            return Ok(Self::of(Pair::Ecdsa(pair), Algorithm::Es384, public));
        }
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der) {
            let public = pair.public_key().as_ref().try_into();
            let public = PublicKey::Ed25519(public.map_err(|_| InvalidKey::Kind)?);
            return Ok(Self::of(Pair::Ed25519(pair), Algorithm::EdDsa, public));
        }
        let pair = RsaKeyPair::from_pkcs8(&der).map_err(|_| InvalidKey::Kind)?;
        let components: PublicKeyComponents<Vec<u8>> = pair.public().into();
        let public = PublicKey::Rsa {
            n: components.n,
            e: components.e,
        };
        Ok(Self::of(Pair::Rsa(pair), Algorithm::Ps256, public))
    }

    fn of(pair: Pair, algorithm: Algorithm, public: PublicKey) -> Self {
        Self {
            pair,
            algorithm,
            public,
        }
    }

    /// The same key with another algorithm; `None`: it is of another kind.
    pub fn with(self, algorithm: Algorithm) -> Option<Self> {
        let rsa = matches!(self.pair, Pair::Rsa(_));
        let fits = algorithm == self.algorithm || (rsa && algorithm == Algorithm::Rs256);
        fits.then_some(Self { algorithm, ..self })
    }

    /// Its public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// What it signs with.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Makes a proof (RFC 9449 section 4.2).
    pub fn prove(&self, says: Statement<'_>, rng: &dyn SecureRandom) -> String {
        let mut claims = json!({
            "jti": says.id,
            "htm": says.method,
            "htu": says.uri,
            "iat": says.at.timestamp(),
        });
        if let Some(token) = says.access_token {
            claims["ath"] = token_hash(token).into();
        }
        if let Some(nonce) = says.nonce {
            claims["nonce"] = nonce.into();
        }
        // The canonical form has no spaces and nothing to escape.
        let header = format!(
            r#"{{"typ":"dpop+jwt","alg":"{}","jwk":{}}}"#,
            self.algorithm.name(),
            self.public.canonical()
        );
        self.sign(&header, &claims.to_string(), rng)
    }

    /// Signs a header and a payload as they stand (RFC 7515 section 5.1).
    ///
    /// # Panics
    /// When the operating system has no randomness to give.
    pub fn sign(&self, header: &str, payload: &str, rng: &dyn SecureRandom) -> String {
        let mut text = BASE64URL.encode(header);
        text.push('.');
        BASE64URL.encode_string(payload, &mut text);
        let message = text.as_bytes();
        let signed = match &self.pair {
            Pair::Ecdsa(pair) => pair
                .sign(rng, message)
                .expect("the operating system's random numbers")
                .as_ref()
                .to_vec(),
            Pair::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let mut signed = vec![0; pair.public().modulus_len()];
                let padding: &dyn signature::RsaEncoding = match self.algorithm {
                    Algorithm::Rs256 => &signature::RSA_PKCS1_SHA256,
                    _ => &signature::RSA_PSS_SHA256,
                };
                pair.sign(padding, rng, message, &mut signed)
                    .expect("the operating system's random numbers");
                signed
            }
        };
        text.push('.');
        BASE64URL.encode_string(signed, &mut text);
        text
    }
}
