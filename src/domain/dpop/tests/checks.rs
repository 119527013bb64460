//! RFC 9449 section 4.3 and its like, each check by a proof that fails it.

use super::*;

/// RFC 9449 section 4.3, check after check.
#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases is read as a table")]
fn every_check_has_a_proof_that_fails_it() {
    let good = signed(&header(), &claims());
    assert_eq!(fault(&good), None);
    let (signed_part, signature) = good.rsplit_once('.').unwrap();

    // 2: a single well-formed JWT.
    let malformed = |proof: &str| matches!(fault(proof), Some(Fault::Malformed(_)));
    for bad in [
        "",
        ".",
        "..",
        "a.b",
        signed_part,
        &format!("{good}."),
        &format!("{good}="),
        &format!("{good} "),
        &format!("{good},{good}"),
        &good.replacen('.', ".!", 1),
        &"a".repeat(8193),
    ] {
        assert!(malformed(bad), "{bad:?} {:?}", fault(bad));
    }
    let raw = |header: &str, claims: &str| KEY.sign(header, claims, &SystemRandom::new());
    let (head, body) = (header().to_string(), claims().to_string());
    for (header, claims) in [
        ("[]", body.as_str()),
        ("null", &body),
        (&head, "[]"),
        (&head, "{"),
        (&head, r#"{"jti":"a","jti":"b"}"#),
        (&head.replacen('{', r#"{"alg":"ES256","#, 1), &body),
        (&head, &body.replace(r#""one""#, "1")),
        (&head, &body.replace("1800000000", r#""1800000000""#)),
        (&head, &body.replace("1800000000", "1e999")),
        (&head, &format!("{body} x")),
    ] {
        let bad = raw(header, claims);
        assert!(malformed(&bad), "{header} {claims} {:?}", fault(&bad));
    }
    assert!(malformed(&with_header("jwk", json!(["EC"]))));
    assert!(malformed(&with_claim("jti", json!("x".repeat(513)))));
    // Unknown members are passed over, white space is JSON's.
    assert_eq!(fault(&raw(&format!(" {head}"), &format!("{body}\n"))), None);
    assert_eq!(fault(&with_claim("exp", json!(1))), None);
    assert_eq!(fault(&with_claim("iat", json!(1_800_000_000.25))), None);

    // 3: all that it must have.
    for name in ["typ", "alg", "jwk"] {
        assert_eq!(
            fault(&with_header(name, Value::Null)),
            Some(Fault::Missing(name))
        );
    }
    for name in ["jti", "htm", "htu", "iat"] {
        assert_eq!(
            fault(&with_claim(name, Value::Null)),
            Some(Fault::Missing(name))
        );
    }
    assert_eq!(
        fault(&with_claim("jti", json!(""))),
        Some(Fault::Missing("jti"))
    );
    // 4: the type.
    for bad in ["JWT", "dpop", "DPOP+JWT", "application/dpop+jwt"] {
        assert_eq!(fault(&with_header("typ", json!(bad))), Some(Fault::Type));
    }
    // 5: the algorithm.
    for bad in ["none", "HS256", "ES512", "es256", "RSA-OAEP", ""] {
        assert_eq!(
            fault(&with_header("alg", json!(bad))),
            Some(Fault::Algorithm),
            "{bad}"
        );
    }
    // RFC 7515 section 4.1.11.
    assert_eq!(
        fault(&with_header("crit", json!(["b64"]))),
        Some(Fault::Critical)
    );
    // The key fits its algorithm and its own form.
    for bad in ["ES384", "EdDSA", "PS256", "RS256"] {
        assert_eq!(
            fault(&with_header("alg", json!(bad))),
            Some(Fault::Key),
            "{bad}"
        );
    }
    let jwk = |change: &dyn Fn(&mut Value)| {
        let mut jwk = header()["jwk"].clone();
        change(&mut jwk);
        fault(&with_header("jwk", jwk))
    };
    assert_eq!(jwk(&|jwk| jwk["kty"] = json!("ec")), Some(Fault::Key));
    assert_eq!(jwk(&|jwk| jwk["crv"] = json!("P-521")), Some(Fault::Key));
    assert_eq!(jwk(&|jwk| jwk["x"] = json!("AAAA")), Some(Fault::Key));
    assert_eq!(jwk(&|jwk| jwk["x"] = json!("=")), Some(Fault::Key));
    // 6: the signature.
    let other = key(Algorithm::Es256);
    assert_eq!(
        jwk(&|jwk| *jwk = serde_json::from_str(&other.public().canonical()).unwrap()),
        Some(Fault::Signature)
    );
    assert_eq!(
        jwk(&|jwk| jwk["y"] = jwk["x"].clone()),
        Some(Fault::Signature)
    );
    assert_eq!(fault(&format!("{signed_part}.")), Some(Fault::Signature));
    let cut = &signature[..signature.len() - 2];
    assert_eq!(
        fault(&format!("{signed_part}.{cut}")),
        Some(Fault::Signature)
    );
    // 7: no private key, and no symmetric one.
    for name in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
        assert_eq!(
            jwk(&|jwk| jwk[name] = json!("AA")),
            Some(Fault::PrivateKey),
            "{name}"
        );
    }
    assert_eq!(
        jwk(&|jwk| jwk["kty"] = json!("oct")),
        Some(Fault::PrivateKey)
    );
    // 8: the method.
    for bad in ["GET", "post", " POST"] {
        assert_eq!(fault(&with_claim("htm", json!(bad))), Some(Fault::Method));
    }
    // 9: the URI.
    for bad in [
        "https://tokens.example.org/",
        "http://tokens.example.org/countersign.v1.TokenAuthorityService/IssueToken",
        "https://evil.example/countersign.v1.TokenAuthorityService/IssueToken",
        "https://tokens.example.org/countersign.v1.TokenAuthorityService/RotateRefresh",
        PATH,
        "",
    ] {
        assert_eq!(
            fault(&with_claim("htu", json!(bad))),
            Some(Fault::Uri),
            "{bad}"
        );
    }
    let same =
        "HTTPS://TOKENS.example.org:443/x/../countersign%2Ev1.TokenAuthorityService/IssueToken?a#b";
    assert_eq!(fault(&with_claim("htu", json!(same))), None);
    // 11: the time, to the edges of the window.
    let at = |seconds: f64| fault(&with_claim("iat", json!(1_800_000_000.0 + seconds)));
    assert_eq!(at(-90.0), None);
    assert_eq!(at(-90.001), Some(Fault::Stale));
    assert_eq!(at(30.0), None);
    assert_eq!(at(30.001), Some(Fault::Future));
    assert_eq!(at(-1e300), Some(Fault::Stale));
}
