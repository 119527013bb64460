//! Envoy's external authorization: `envoy.service.auth.v3.Authorization/Check`.
//!
//! Envoy asks it about each request that it is about to pass on. A request is let through
//! where its token is alive, by the same coalesced read as Introspect, and meets what its
//! route demands. Whatever goes wrong on the way is a denial inside an answer.

mod allowance;
mod answer;
mod credentials;
pub mod decision;
mod denial;
mod headers;
mod message;
mod request;
mod requirement;

pub use credentials::{Credentials, Problem};
pub use denial::{PATH, in_place_of_an_error};
pub use headers::{IdentityHeaders, is_header_name};
pub use message::authorization_server::{AuthorizationServer, SERVICE_NAME};
pub use requirement::{Misconfigured, Requirement};

use crate::authority::{Authority, Call, Checked, Failure, Presentation};
use crate::domain::{
    dpop::{Fault, Origin},
    introspection::Finding,
};
use decision::{Denial, Doubt, Facts, Verdict, decide};
use message::{CheckRequest, CheckResponse, authorization_server::Authorization};
use request::Asked;
use std::{collections::HashMap, sync::Arc};
use tonic::{Request, Response, Status};

/// How requests are checked.
#[derive(Debug, Clone)]
pub struct Options {
    /// What a route demands that says nothing else.
    pub default: Requirement,
    /// The public origin of each audience, under which DPoP proofs are made; an audience that
    /// is an origin itself needs no entry.
    pub origins: HashMap<String, Origin>,
    /// The application sees the token, too.
    pub keep_token: bool,
    /// The headers that tell it whose request it is.
    pub headers: IdentityHeaders,
    /// What challenges name as the realm (RFC 9110 section 11.5).
    pub realm: String,
    /// What challenges name as the algorithms of proofs.
    pub algorithms: String,
}

/// An audience and its origin, `audience=origin`; `None`: it is something else.
pub fn parse_origin(entry: &str) -> Option<(String, Origin)> {
    // An audience may have a `=`, an origin has none.
    let (audience, origin) = entry.rsplit_once('=')?;
    let origin = Origin::parse(origin).ok()?;
    (!audience.is_empty()).then(|| (audience.to_owned(), origin))
}

/// What a request brings to prove that its token is its sender's.
enum Presented {
    /// No proof.
    NoProof,
    /// A proof with what is no token of ours.
    NoToken,
    /// A proof, to a path that makes no URI: none that a proof could name.
    NoUri,
    /// A proof with a token.
    Proof(Presentation),
}

/// The service.
#[derive(Debug)]
pub struct Sidecar {
    authority: Arc<Authority>,
    options: Options,
}

impl Sidecar {
    /// Checks against this authority.
    pub fn new(authority: Arc<Authority>, options: Options) -> Self {
        Self { authority, options }
    }

    async fn answer(&self, call: &Call, asked: &Asked<'_>) -> CheckResponse {
        let requirement = asked.requirement(&self.options.default);
        let presented = match &requirement {
            Ok(requirement) => self.presented(requirement, asked),
            Err(_) => Ok(Presented::NoProof),
        };
        let finding = match (&requirement, &presented) {
            (Ok(requirement), Ok(presented)) => {
                self.find(call, requirement, asked, presented).await
            }
            _ => None,
        };
        if let Some(why) = requirement.as_ref().err().or(presented.as_ref().err()) {
            tracing::warn!(call = %call.claim.call, %why, "a check cannot be decided");
        }
        let facts = Facts {
            requirement: match (&requirement, &presented) {
                (Ok(requirement), Ok(_)) => Ok(requirement),
                _ => Err(Doubt::Misconfigured),
            },
            credentials: &asked.credentials,
            principal: asked.principal,
            finding: finding.as_ref(),
        };
        let verdict = decide(&facts);
        self.note(call, asked, finding.as_ref(), &verdict);
        let dpop = matches!(asked.credentials, Credentials::Dpop { .. });
        let nonce = |wanted| {
            (dpop || wanted)
                .then(|| self.authority.nonce(wanted))
                .flatten()
        };
        match verdict {
            Verdict::Allow(token) => {
                let nonce = nonce(false);
                answer::allow(Some(token), &asked.headers, &self.options, nonce.as_deref())
            }
            Verdict::Anonymous => answer::allow(None, &asked.headers, &self.options, None),
            Verdict::Deny(denial) => answer::deny(
                denial,
                requirement.as_ref().ok(),
                &asked.credentials,
                &self.options,
                nonce(denial == Denial::UseNonce),
            ),
        }
    }

    /// The proof of a request and what it must have been made for.
    fn presented(
        &self,
        requirement: &Requirement,
        asked: &Asked<'_>,
    ) -> Result<Presented, Misconfigured> {
        let Credentials::Dpop { token, proof } = &asked.credentials else {
            return Ok(Presented::NoProof);
        };
        // Before anything else: a stranger makes up tokens and proofs for nothing.
        if !self.authority.is_token(token) {
            return Ok(Presented::NoToken);
        }
        let audience = requirement.audience.clone().unwrap_or_default();
        let origin = self.options.origins.get(&audience).cloned();
        let origin = origin.or_else(|| Origin::parse(&audience).ok());
        let origin = origin.ok_or(Misconfigured::NoOrigin(audience))?;
        let path = asked.path.split(['?', '#']).next().unwrap_or_default();
        Ok(origin.call(path).map_or(Presented::NoUri, |uri| {
            Presented::Proof(Presentation {
                proof: (*proof).to_owned(),
                method: asked.method.to_owned(),
                uri,
                nonce_required: false,
            })
        }))
    }

    /// Asks the authority where there is something to ask; `None`: there is nothing.
    async fn find(
        &self,
        call: &Call,
        requirement: &Requirement,
        asked: &Asked<'_>,
        presented: &Presented,
    ) -> Option<Result<Finding, Doubt>> {
        let found = match &asked.credentials {
            Credentials::Bearer(token) => self.authority.introspect(call, token, None).await,
            Credentials::Dpop { token, .. } => match presented {
                Presented::Proof(presented) => {
                    let presented = Some(presented);
                    self.authority.introspect(call, token, presented).await
                }
                Presented::NoUri => Ok(Finding::Unproven(Fault::Uri.into())),
                Presented::NoToken | Presented::NoProof => Ok(Finding::Inactive),
            },
            // Envoy's own right to ask is all that is looked at.
            Credentials::None if requirement.anonymous_allowed => {
                self.authority.admit(call).await.map(|()| Finding::Inactive)
            }
            Credentials::None | Credentials::Malformed(_) => return None,
        };
        Some(found.map_err(|failure| match failure {
            Failure::Refused(refusal) if refusal.is_of_caller() => Doubt::Caller,
            Failure::Refused(_) => Doubt::Unavailable,
            Failure::Store(error) => {
                let (error, call) = (error.root(), call.claim.call);
                let causes = error.causes();
                if error.comes_in_crowds() {
                    tracing::debug!(%call, %causes, "a check cannot be decided");
                } else {
                    tracing::warn!(%call, %causes, "a check cannot be decided");
                }
                Doubt::Unavailable
            }
        }))
    }

    fn note(
        &self,
        call: &Call,
        asked: &Asked<'_>,
        finding: Option<&Result<Finding, Doubt>>,
        verdict: &Verdict<'_>,
    ) {
        let token = match finding {
            Some(Ok(Finding::Active(token))) => Some(token.as_ref()),
            _ => None,
        };
        let checked = match verdict {
            Verdict::Allow(_) => Checked::Allowed,
            Verdict::Anonymous => Checked::Anonymous,
            Verdict::Deny(denial) => Checked::Denied(denial.reason()),
        };
        self.authority
            .checked(call, checked, asked.principal, token);
    }
}

#[tonic::async_trait]
impl Authorization for Sidecar {
    async fn check(
        &self,
        request: Request<CheckRequest>,
    ) -> Result<Response<CheckResponse>, Status> {
        let (_, mut extensions, message) = request.into_parts();
        let asked = Asked::read(&message);
        let (Some(call), Some(asked)) = (extensions.remove::<Call>(), asked) else {
            tracing::warn!(why = %Misconfigured::NoRequest, "a check cannot be decided");
            return Ok(Response::new(answer::doubt(Doubt::Misconfigured)));
        };
        Ok(Response::new(self.answer(&call, &asked).await))
    }
}
