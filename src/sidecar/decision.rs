//! Whether a request is let through: a pure function over everything that was found out.
//! Nothing is ever let through but a live token that meets its route's requirement, or, where
//! the route allows it, a request without any token.

use super::{
    credentials::{Credentials, Problem},
    requirement::Requirement,
};
use crate::domain::{
    dpop::BindingFailure,
    introspection::{Description, Finding},
};

/// What was found out about a request.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// What its route demands; an error: that makes no sense.
    pub requirement: Result<&'a Requirement, Doubt>,
    /// What it presents.
    pub credentials: &'a Credentials<'a>,
    /// Which workload sent it, as Envoy verified it; empty: unknown.
    pub principal: &'a str,
    /// What introspection found; `None`: nobody asked.
    pub finding: Option<&'a Result<Finding, Doubt>>,
}

/// Why nobody can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Doubt {
    /// The requirement, or what Envoy sent, makes no sense.
    Misconfigured,
    /// The database, or this server, has no answer.
    Unavailable,
    /// Envoy itself may not ask.
    Caller,
}

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// It is let through, as this token's.
    Allow(&'a Description),
    /// It is let through, as nobody's.
    Anonymous,
    /// It is turned away.
    Deny(Denial),
}

/// Why a request is turned away, and what its sender is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Denial {
    /// 401: it needs a token, and has none.
    NoToken,
    /// 401: what it presents is no token.
    Malformed(Problem),
    /// 401: the token is dead, or not one to be presented like this.
    InvalidToken,
    /// 401: its proof fails.
    InvalidProof,
    /// 401: its proof needs a nonce, or a newer one.
    UseNonce,
    /// 403: it is for another audience.
    Audience,
    /// 403: it has not the scopes.
    Scope,
    /// 403: no user stands behind it.
    Subject,
    /// 403: another workload may send this, but not that one.
    Principal,
    /// 503: nobody can tell.
    Doubt(Doubt),
}

impl Denial {
    /// The HTTP status.
    pub fn status(self) -> u16 {
        match self {
            Self::NoToken
            | Self::Malformed(_)
            | Self::InvalidToken
            | Self::InvalidProof
            | Self::UseNonce => 401,
            Self::Audience | Self::Scope | Self::Subject | Self::Principal => 403,
            Self::Doubt(_) => 503,
        }
    }

    /// Its name in metrics and in the audit stream.
    pub fn reason(self) -> &'static str {
        match self {
            Self::NoToken => "NO_TOKEN",
            Self::Malformed(_) => "MALFORMED",
            Self::InvalidToken => "INVALID_TOKEN",
            Self::InvalidProof => "INVALID_DPOP_PROOF",
            Self::UseNonce => "USE_DPOP_NONCE",
            Self::Audience => "WRONG_AUDIENCE",
            Self::Scope => "INSUFFICIENT_SCOPE",
            Self::Subject => "NO_SUBJECT",
            Self::Principal => "WRONG_PRINCIPAL",
            Self::Doubt(Doubt::Misconfigured) => "MISCONFIGURED",
            Self::Doubt(Doubt::Unavailable) => "UNAVAILABLE",
            Self::Doubt(Doubt::Caller) => "CALLER",
        }
    }
}

/// Decides.
pub fn decide<'a>(facts: &Facts<'a>) -> Verdict<'a> {
    judge(facts).unwrap_or_else(Verdict::Deny)
}

fn judge<'a>(facts: &Facts<'a>) -> Result<Verdict<'a>, Denial> {
    let requirement = facts.requirement.map_err(Denial::Doubt)?;
    let known = &requirement.principals;
    if !known.is_empty() && !known.iter().any(|own| own == facts.principal) {
        return Err(Denial::Principal);
    }
    let bound = match facts.credentials {
        Credentials::None if requirement.anonymous_allowed => {
            return match facts.finding {
                Some(Ok(_)) => Ok(Verdict::Anonymous),
                Some(Err(doubt)) => Err(Denial::Doubt(*doubt)),
                None => Err(Denial::Doubt(Doubt::Unavailable)),
            };
        }
        Credentials::None => return Err(Denial::NoToken),
        Credentials::Malformed(problem) => return Err(Denial::Malformed(*problem)),
        Credentials::Bearer(_) => false,
        Credentials::Dpop { .. } => true,
    };
    let finding = facts.finding.ok_or(Denial::Doubt(Doubt::Unavailable))?;
    let token = match finding.as_ref().map_err(|doubt| Denial::Doubt(*doubt))? {
        Finding::Inactive => return Err(Denial::InvalidToken),
        Finding::Unproven(failure) => return Err(unproven(*failure)),
        Finding::Active(token) => token.as_ref(),
    };
    // A refresh token gives access to nothing; a bound one is no bearer token (RFC 9449
    // section 7.2), and the other way round.
    if token.token_id.is_none() || token.dpop_jkt.is_some() != bound {
        return Err(Denial::InvalidToken);
    }
    if requirement.dpop_required && !bound {
        return Err(Denial::InvalidToken);
    }
    let audience = requirement.audience.as_ref();
    let audience = audience.ok_or(Denial::Doubt(Doubt::Misconfigured))?;
    if !token.audience.as_slice().contains(audience) {
        return Err(Denial::Audience);
    }
    let has = |scope: &String| token.scopes.as_slice().contains(scope);
    let any = &requirement.any_scope;
    if !requirement.scopes.iter().all(has) || (!any.is_empty() && !any.iter().any(has)) {
        return Err(Denial::Scope);
    }
    if requirement.subject_required && token.subject.is_none() {
        return Err(Denial::Subject);
    }
    Ok(Verdict::Allow(token))
}

fn unproven(failure: BindingFailure) -> Denial {
    match failure {
        BindingFailure::Proof(fault) if fault.wants_nonce() => Denial::UseNonce,
        BindingFailure::Proof(_) | BindingFailure::OtherKey | BindingFailure::Replayed => {
            Denial::InvalidProof
        }
        BindingFailure::NotBound => Denial::InvalidToken,
    }
}

#[cfg(test)]
mod tests;
