use super::*;
use crate::domain::{
    dpop::Fault,
    terms::{Audience, Scopes},
};
use chrono::DateTime;
use proptest::prelude::*;
use std::collections::HashSet;
use uuid::Uuid;

const OWN: &str = "spiffe://example.org/gateway";

fn token(bound: bool, refresh: bool, user: bool, audience: &str, scopes: &[&str]) -> Description {
    let at = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
    Description {
        token_id: (!refresh).then_some(Uuid::nil()),
        client_id: Uuid::nil(),
        subject: user.then_some(Uuid::nil()),
        session_id: None,
        scopes: Scopes::trusted(scopes.iter().map(ToString::to_string).collect()),
        audience: Audience::trusted(vec![audience.to_owned()]),
        dpop_jkt: bound.then(|| "k".to_owned()),
        issued_at: at,
        expires_at: at,
    }
}

fn credentials() -> Vec<Credentials<'static>> {
    vec![
        Credentials::None,
        Credentials::Bearer("t"),
        Credentials::Dpop {
            token: "t",
            proof: "p",
        },
        Credentials::Malformed(Problem::SeveralAuthorizations),
        Credentials::Malformed(Problem::Authorization),
        Credentials::Malformed(Problem::Query),
        Credentials::Malformed(Problem::Proofs),
    ]
}

fn findings() -> Vec<Option<Result<Finding, Doubt>>> {
    let mut all: Vec<_> = vec![None];
    all.extend(
        [Doubt::Caller, Doubt::Misconfigured, Doubt::Unavailable].map(|doubt| Some(Err(doubt))),
    );
    all.push(Some(Ok(Finding::Inactive)));
    for failure in [
        BindingFailure::Proof(Fault::Signature),
        BindingFailure::Proof(Fault::NonceMissing),
        BindingFailure::OtherKey,
        BindingFailure::NotBound,
        BindingFailure::Replayed,
    ] {
        all.push(Some(Ok(Finding::Unproven(failure))));
    }
    let truths = [false, true];
    for (bound, refresh) in truths
        .into_iter()
        .flat_map(|one| truths.map(|two| (one, two)))
    {
        for user in truths {
            for audience in ["urn:own", "urn:other"] {
                for scopes in [&[][..], &["a"], &["a", "b"], &["b", "c"]] {
                    let token = token(bound, refresh, user, audience, scopes);
                    all.push(Some(Ok(Finding::Active(Box::new(token)))));
                }
            }
        }
    }
    all
}

fn requirements() -> Vec<Result<Requirement, Doubt>> {
    let mut all = vec![Err(Doubt::Misconfigured)];
    for bits in 0..64_u8 {
        let bit = |at: u8| bits & (1 << at) != 0;
        let words = |wanted: bool, words: &[&str]| -> Vec<String> {
            let words = words.iter().map(ToString::to_string);
            if wanted { words.collect() } else { Vec::new() }
        };
        all.push(Ok(Requirement {
            audience: Some("urn:own".into()),
            scopes: words(bit(0), &["a"]),
            any_scope: words(bit(1), &["b", "c"]),
            subject_required: bit(2),
            dpop_required: bit(3),
            anonymous_allowed: bit(4),
            principals: words(bit(5), &[OWN]),
        }));
    }
    all
}

/// Everything that a token must be, said once more and the other way round.
fn is_fit(requirement: &Requirement, credentials: &Credentials<'_>, token: &Description) -> bool {
    let has = |scope: &str| token.scopes.as_slice().iter().any(|own| own == scope);
    let presented = match credentials {
        Credentials::Bearer(_) => token.dpop_jkt.is_none() && !requirement.dpop_required,
        Credentials::Dpop { .. } => token.dpop_jkt.is_some(),
        Credentials::None | Credentials::Malformed(_) => false,
    };
    presented
        && token.token_id.is_some()
        && token.audience.as_slice() == ["urn:own"]
        && (requirement.scopes.is_empty() || has("a"))
        && (requirement.any_scope.is_empty() || has("b") || has("c"))
        && (!requirement.subject_required || token.subject.is_some())
}

#[test]
fn the_whole_table_lets_through_what_is_fit_and_nothing_else() {
    let (credentials, findings, requirements) = (credentials(), findings(), requirements());
    let (mut cases, mut allowed, mut denials) = (0, 0, HashSet::new());
    for requirement in &requirements {
        for credentials in &credentials {
            for finding in &findings {
                for principal in ["", OWN, "spiffe://example.org/other"] {
                    let facts = Facts {
                        requirement: requirement.as_ref().map_err(|doubt| *doubt),
                        credentials,
                        principal,
                        finding: finding.as_ref(),
                    };
                    let verdict = decide(&facts);
                    cases += 1;
                    let known = |own: &Requirement| own.principals.is_empty() || principal == OWN;
                    let fit = match (requirement, finding) {
                        (Ok(own), Some(Ok(Finding::Active(token)))) => {
                            known(own) && is_fit(own, credentials, token)
                        }
                        _ => false,
                    };
                    let nobody = match (requirement, finding, credentials) {
                        (Ok(own), Some(Ok(_)), Credentials::None) => {
                            known(own) && own.anonymous_allowed
                        }
                        _ => false,
                    };
                    assert_eq!(matches!(verdict, Verdict::Allow(_)), fit, "{facts:?}");
                    assert_eq!(verdict == Verdict::Anonymous, nobody, "{facts:?}");
                    match verdict {
                        Verdict::Deny(denial) => drop(denials.insert(denial)),
                        Verdict::Allow(_) | Verdict::Anonymous => allowed += 1,
                    }
                }
            }
        }
    }
    assert_eq!(cases, 65 * 7 * 74 * 3);
    assert!(allowed > 1000, "{allowed}");
    // Every denial there is comes up, but for a doubt that only a caller's layer has.
    assert_eq!(denials.len(), 15, "{denials:?}");
}

#[test]
fn a_denial_says_no_more_than_it_must() {
    let statuses = [
        (Denial::NoToken, 401),
        (Denial::InvalidToken, 401),
        (Denial::Audience, 403),
        (Denial::Principal, 403),
        (Denial::Doubt(Doubt::Caller), 503),
    ];
    for (denial, status) in statuses {
        assert_eq!(denial.status(), status);
    }
}

proptest! {
    #[test]
    fn nothing_is_let_through_without_a_token_that_was_found_active(
        anonymous in any::<bool>(), audience in "(urn:own|urn:other)?", principals in prop::collection::vec("[ab]", 0..2),
        at in 0usize..7, found in 0usize..10, principal in "[abc]?",
    ) {
        let requirement = Requirement {
            audience: (!audience.is_empty()).then_some(audience),
            anonymous_allowed: anonymous,
            principals,
            ..Requirement::default()
        };
        let (credentials, finding) = (&credentials()[at], &findings()[found]);
        let facts = Facts {
            requirement: Ok(&requirement),
            credentials,
            principal: &principal,
            finding: finding.as_ref(),
        };
        let verdict = decide(&facts);
        prop_assert!(!matches!(verdict, Verdict::Allow(_)));
        if verdict == Verdict::Anonymous {
            prop_assert!(anonymous && *credentials == Credentials::None);
        }
    }
}
