//! What a request presents: a token and perhaps a proof, exactly one of each.

use super::headers::Headers;
use crate::domain::limits::{DPOP_PROOF_CHARS, TOKEN_CHARS};

/// What a request presents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credentials<'a> {
    /// Nothing.
    None,
    /// A token under the scheme `Bearer` (RFC 6750 section 2.1).
    Bearer(&'a str),
    /// A token under the scheme `DPoP` and its proof (RFC 9449 section 7.1).
    Dpop {
        /// The token.
        token: &'a str,
        /// The proof.
        proof: &'a str,
    },
    /// Something that is none of these.
    Malformed(Problem),
}

/// What is wrong with what a request presents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Problem {
    /// More than one `authorization`.
    SeveralAuthorizations,
    /// Neither `Bearer` nor `DPoP`, or no token behind it.
    Authorization,
    /// A token in the query, where logs keep it (RFC 9700 section 4.3.2).
    Query,
    /// The scheme `DPoP` with no proof, or more than one beside whatever else.
    Proofs,
}

impl Problem {
    /// What is said of it.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::SeveralAuthorizations => "more than one authorization",
            Self::Authorization => "no token of the scheme Bearer or DPoP",
            Self::Query => "a token in the query",
            Self::Proofs => "not exactly one DPoP proof",
        }
    }
}

/// Reads what a request presents. `path` may have a query.
pub(super) fn read<'a>(headers: &Headers<'a>, path: &str) -> Credentials<'a> {
    let query = path.split_once('?').map(|(_, query)| query);
    let query = query.map(|query| query.split('#').next().unwrap_or_default());
    let parameters = query.map(|query| form_urlencoded::parse(query.as_bytes()));
    let mut parameters = parameters.into_iter().flatten();
    if parameters.any(|(name, _)| name.eq_ignore_ascii_case("access_token")) {
        return Credentials::Malformed(Problem::Query);
    }
    // Where Envoy sends no list of headers it joins several by commas, which neither a proof nor
    // a token has.
    let mut proofs = headers.all("dpop");
    let proof = proofs.next();
    if proofs.next().is_some() || proof.is_some_and(|proof| proof.contains(&b',')) {
        return Credentials::Malformed(Problem::Proofs);
    }
    let mut values = headers.all("authorization");
    let value = match (values.next(), values.next()) {
        (None, _) => return Credentials::None,
        (Some(_), Some(_)) => return Credentials::Malformed(Problem::SeveralAuthorizations),
        (Some(value), None) => value,
    };
    if value.contains(&b',') {
        return Credentials::Malformed(Problem::SeveralAuthorizations);
    }
    let Some((scheme, token)) = split(value) else {
        return Credentials::Malformed(Problem::Authorization);
    };
    if scheme.eq_ignore_ascii_case("bearer") {
        return Credentials::Bearer(token);
    }
    if !scheme.eq_ignore_ascii_case("dpop") {
        return Credentials::Malformed(Problem::Authorization);
    }
    let proof = proof.filter(|proof| proof.len() <= DPOP_PROOF_CHARS);
    match proof.and_then(|proof| std::str::from_utf8(proof).ok()) {
        Some(proof) => Credentials::Dpop { token, proof },
        None => Credentials::Malformed(Problem::Proofs),
    }
}

/// Scheme and token of `scheme SP token` (RFC 9110 section 11.4).
fn split(value: &[u8]) -> Option<(&str, &str)> {
    let (scheme, token) = std::str::from_utf8(value).ok()?.split_once(' ')?;
    let token = token.trim_matches(' ');
    let whole = (1..=TOKEN_CHARS).contains(&token.len());
    let visible = token.bytes().all(|byte| byte.is_ascii_graphic());
    (whole && visible).then_some((scheme, token))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of<'a>(headers: &[(&'a str, &'a str)], path: &str) -> Credentials<'a> {
        read(&Headers::of(headers), path)
    }

    #[test]
    fn a_scheme_is_read_whatever_its_case() {
        for scheme in ["Bearer", "bearer", "BEARER"] {
            let value = format!("{scheme} t");
            let found = of(&[("Authorization", &value)], "/");
            assert_eq!(found, Credentials::Bearer("t"));
        }
        let found = of(&[("authorization", "dpop t"), ("DPoP", "p")], "/");
        let expected = Credentials::Dpop {
            token: "t",
            proof: "p",
        };
        assert_eq!(found, expected);
        assert_eq!(of(&[("dpop", "p")], "/"), Credentials::None);
        let found = of(&[("authorization", "Bearer t"), ("dpop", "p")], "/");
        assert_eq!(found, Credentials::Bearer("t"));
    }

    #[test]
    fn anything_else_is_malformed() {
        use Problem::{Authorization, Proofs, Query, SeveralAuthorizations};
        let long = format!("Bearer {}", "t".repeat(4097));
        for (headers, path, problem) in [
            (
                vec![("authorization", "Bearer t"), ("Authorization", "Bearer t")],
                "/",
                SeveralAuthorizations,
            ),
            (
                vec![("authorization", "Bearer t,Bearer u")],
                "/",
                SeveralAuthorizations,
            ),
            (vec![("authorization", "Basic dDp0")], "/", Authorization),
            (vec![("authorization", "Bearer")], "/", Authorization),
            (vec![("authorization", "Bearer ")], "/", Authorization),
            (vec![("authorization", "Bearer t u")], "/", Authorization),
            (vec![("authorization", "")], "/", Authorization),
            (vec![("authorization", long.as_str())], "/", Authorization),
            (
                vec![("authorization", "Bearer t")],
                "/?access_token=t",
                Query,
            ),
            (vec![], "/a?b=c&access_token=t#d", Query),
            (vec![], "/?%61ccess_token", Query),
            (vec![("authorization", "DPoP t")], "/", Proofs),
            (
                vec![("authorization", "DPoP t"), ("dpop", "p"), ("dpop", "q")],
                "/",
                Proofs,
            ),
            (
                vec![("authorization", "DPoP t"), ("dpop", "p,q")],
                "/",
                Proofs,
            ),
            (
                vec![("authorization", "Bearer t"), ("dpop", "p"), ("DPoP", "q")],
                "/",
                Proofs,
            ),
            (
                vec![("authorization", "Bearer t"), ("dpop", "p,q")],
                "/",
                Proofs,
            ),
            (vec![("dpop", "p"), ("dpop", "p")], "/", Proofs),
            (vec![("dpop", "p,q")], "/", Proofs),
        ] {
            assert_eq!(
                of(&headers, path),
                Credentials::Malformed(problem),
                "{headers:?} {path}"
            );
        }
    }
}
