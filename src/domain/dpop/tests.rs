//! What is common to the tests, and what is no single check.

mod checks;
mod times;

use super::*;
use crate::domain::keys::{KeyRing, new_key_line};
use chrono::{DateTime, TimeDelta, Utc};
use ring::rand::SystemRandom;
use serde_json::{Value, json};
use std::{sync::LazyLock, time::Duration};
use uuid::Uuid;

/// RFC 9449 section 4.1.
const OF_RFC: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg";
/// RFC 9449 section 7.1, and the access token that it goes with.
const OF_RFC_WITH_TOKEN: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA";
const TOKEN_OF_RFC: &str = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";

const URI: &str = "https://tokens.example.org/countersign.v1.TokenAuthorityService/IssueToken";
const PATH: &str = "/countersign.v1.TokenAuthorityService/IssueToken";

fn key(algorithm: Algorithm) -> ProofKey {
    let pem = new_key(algorithm, &SystemRandom::new()).unwrap();
    ProofKey::read(&pem, &SystemRandom::new()).unwrap()
}

static KEY: LazyLock<ProofKey> = LazyLock::new(|| key(Algorithm::Es256));

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

fn ring(byte: u8) -> KeyRing {
    KeyRing::parse(&new_key_line(&[byte; 36])).unwrap()
}

fn rules() -> Rules {
    Rules {
        algorithms: Algorithm::ALL.to_vec(),
        origins: vec![Origin::parse("https://tokens.example.org").unwrap()],
        lifetime: Duration::from_mins(1),
        skew: Duration::from_secs(30),
        nonces: NoncePolicy::Off,
        nonce_lifetime: Duration::from_mins(5),
    }
}

fn judged(rules: &Rules, proof: &str, at: DateTime<Utc>) -> Result<Judged, Fault> {
    let uris = rules.uris(PATH);
    let expected = Expected {
        method: "POST",
        uris: &uris,
        token_hash: None,
        nonce: false,
    };
    rules.judge(proof, expected, &ring(5), at)
}

fn fault(proof: &str) -> Option<Fault> {
    judged(&rules(), proof, now()).err()
}

fn header() -> Value {
    let jwk: Value = serde_json::from_str(&KEY.public().canonical()).unwrap();
    json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": jwk })
}

fn claims() -> Value {
    json!({ "jti": "one", "htm": "POST", "htu": URI, "iat": now().timestamp() })
}

fn signed(header: &Value, claims: &Value) -> String {
    KEY.sign(
        &header.to_string(),
        &claims.to_string(),
        &SystemRandom::new(),
    )
}

/// A proof with one claim set, or with `null` taken away.
fn with_claim(name: &str, value: Value) -> String {
    let mut claims = claims();
    if value.is_null() {
        claims.as_object_mut().unwrap().remove(name);
    } else {
        claims[name] = value;
    }
    signed(&header(), &claims)
}

fn with_header(name: &str, value: Value) -> String {
    let mut header = header();
    if value.is_null() {
        header.as_object_mut().unwrap().remove(name);
    } else {
        header[name] = value;
    }
    signed(&header, &claims())
}

#[test]
fn the_proofs_of_the_rfc_hold() {
    let proof = Proof::read(OF_RFC, &Algorithm::ALL).unwrap();
    assert_eq!(proof.jkt, "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
    assert_eq!(
        (proof.htm.as_str(), proof.jti.as_str()),
        ("POST", "-BwC3ESc6acc2lTc")
    );
    let at = DateTime::from_timestamp(1_562_262_620, 0).unwrap();
    let uri = TargetUri::parse("https://resource.example.org/protectedresource?x=1").unwrap();
    let expected = Expected {
        method: "GET",
        uris: std::slice::from_ref(&uri),
        token_hash: Some(&token_hash(TOKEN_OF_RFC)),
        nonce: false,
    };
    rules()
        .judge(OF_RFC_WITH_TOKEN, expected, &ring(5), at)
        .unwrap();
}

#[test]
fn thumbprints_are_those_of_the_rfcs() {
    let read = |jwk: Value| {
        let jwk: jwk::Jwk = serde_json::from_value(jwk).unwrap();
        PublicKey::read(&jwk).unwrap().thumbprint()
    };
    // RFC 7638 section 3.1.
    let rsa = json!({
        "kty": "RSA", "e": "AQAB", "alg": "RS256", "kid": "2011-04-29",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
    });
    assert_eq!(read(rsa), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    // RFC 8037 appendix A.3.
    let ed25519 = json!({
        "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    });
    assert_eq!(read(ed25519), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

#[test]
fn what_we_make_is_what_we_take() {
    for algorithm in [Algorithm::Es256, Algorithm::Es384, Algorithm::EdDsa] {
        let key = key(algorithm);
        let says = Statement {
            method: "POST",
            uri: URI,
            access_token: None,
            nonce: None,
            at: now(),
            id: Uuid::nil(),
        };
        let proof = key.prove(says, &SystemRandom::new());
        let judged = judged(&rules(), &proof, now()).unwrap();
        assert_eq!(judged.proven.jkt, key.public().thumbprint());
        assert!(!judged.proven.nonce);
        let without: Vec<_> = Algorithm::ALL
            .into_iter()
            .filter(|one| *one != algorithm)
            .collect();
        let rules = Rules {
            algorithms: without,
            ..rules()
        };
        assert_eq!(
            super::tests::judged(&rules, &proof, now()).err(),
            Some(Fault::Algorithm)
        );
    }
    for algorithm in [Algorithm::Ps256, Algorithm::Rs256] {
        let refused = new_key(algorithm, &SystemRandom::new()).err();
        assert_eq!(refused, Some(InvalidKey::NotMade(algorithm)));
    }
}

/// Check 12, and what a resource server is told.
#[test]
fn a_proof_goes_with_its_access_token() {
    let uris = rules().uris(PATH);
    let hash = token_hash("cs_at_x");
    let judge = |proof: &str| {
        let expected = Expected {
            method: "POST",
            uris: &uris,
            token_hash: Some(&hash),
            nonce: false,
        };
        rules().judge(proof, expected, &ring(5), now()).err()
    };
    assert_eq!(judge(&with_claim("ath", json!(hash))), None);
    assert_eq!(
        judge(&signed(&header(), &claims())),
        Some(Fault::Missing("ath"))
    );
    let other = token_hash("cs_at_y");
    assert_eq!(
        judge(&with_claim("ath", json!(other))),
        Some(Fault::AccessToken)
    );
}

#[test]
fn another_key_uri_or_id_is_another_use() {
    let used = |proof: &str| judged(&rules(), proof, now()).unwrap().used();
    let one = used(&with_claim("jti", json!("a")));
    assert_eq!(one, used(&with_claim("jti", json!("a"))));
    assert_ne!(one, used(&with_claim("jti", json!("b"))));
    // The same URI by another spelling is the same use.
    let spelt = URI.replace("https://tokens", "https://TOKENS");
    let mut claims = claims();
    claims["jti"] = json!("a");
    claims["htu"] = json!(spelt);
    assert_eq!(one, used(&signed(&header(), &claims)));
    // Another key says the same, and the same key says it of another URI.
    let (other, mut its) = (key(Algorithm::Es256), header());
    its["jwk"] = serde_json::from_str(&other.public().canonical()).unwrap();
    let by_another = other.sign(&its.to_string(), &claims.to_string(), &SystemRandom::new());
    assert_ne!(one, used(&by_another));
    let elsewhere = "https://elsewhere.example.org";
    let of_both = Rules {
        origins: [rules().origins, vec![Origin::parse(elsewhere).unwrap()]].concat(),
        ..rules()
    };
    claims["htu"] = json!(URI.replace("https://tokens.example.org", elsewhere));
    let of_another = signed(&header(), &claims);
    let of_another = judged(&of_both, &of_another, now()).unwrap();
    assert_ne!(one, of_another.used());
}

#[test]
fn what_a_client_demands_is_met_or_named() {
    let proven = |nonce| {
        Ok(Proven {
            jkt: "k".into(),
            nonce,
        })
    };
    let none = Demands::default();
    let bound = Demands {
        proof: true,
        nonce: false,
    };
    let fresh = Demands {
        proof: false,
        nonce: true,
    };
    assert_eq!(none.key(None), Ok(None));
    assert_eq!(none.key(Some(&proven(false))), Ok(Some("k")));
    assert_eq!(bound.key(None), Err(Refusal::DpopProofRequired));
    assert_eq!(fresh.key(None), Ok(None));
    let missing = Refusal::InvalidDpopProof(Fault::NonceMissing);
    assert_eq!(fresh.key(Some(&proven(false))), Err(missing));
    assert_eq!(fresh.key(Some(&proven(true))), Ok(Some("k")));
    let failed = Err(Fault::Signature);
    let refused = Refusal::InvalidDpopProof(Fault::Signature);
    assert_eq!(none.key(Some(&failed)), Err(refused));
}

#[test]
fn no_key_and_no_proof_is_printed() {
    let proof = signed(&header(), &claims());
    let judged = judged(&rules(), &proof, now()).unwrap();
    for text in [format!("{:?}", *KEY), format!("{:?}", judged.proven)] {
        assert!(!text.contains(&proof) && !text.contains(header()["jwk"]["x"].as_str().unwrap()));
    }
}
