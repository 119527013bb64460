//! Issue, rotate, introspect, revoke a token.

use super::{Authority, Call, Failure, Presentation, audit::Record};
use crate::domain::{
    clock,
    introspection::{Finding, Question},
    issuance::{Opening, Order},
    refusal::Refusal,
    revocation::Target,
    rotation::Presented,
    terms::{Audience, Scopes},
    tokens::{AccessToken, Plaintext, RefreshToken, Token},
};
use crate::store::Revocation;
use chrono::{DateTime, Utc};
use std::{net::IpAddr, sync::Arc, time::Duration};
use uuid::Uuid;

/// What `IssueToken` asks for.
#[derive(Debug, Clone)]
pub struct IssueRequest {
    /// The client. `None`: the caller itself.
    pub client_id: Option<Uuid>,
    /// The user. `None`: a client-only token.
    pub subject: Option<Uuid>,
    /// What is asked for.
    pub scopes: Scopes,
    /// Who it is for; empty: the client's default.
    pub audience: Audience,
    /// How long the access token lives; `None`: the client's limit.
    pub access_token_ttl: Option<Duration>,
    /// The session to open.
    pub opening: Option<OpeningRequest>,
    /// Register the subject if it is not known.
    pub register_subject: bool,
}

/// The session that `IssueToken` opens.
#[derive(Debug, Clone)]
pub struct OpeningRequest {
    /// What the user logged in with.
    pub user_agent: Option<String>,
    /// Where from.
    pub ip_address: Option<IpAddr>,
    /// Makes the opening repeatable.
    pub request_id: Option<String>,
}

/// An issued access token, in the clear.
#[derive(Debug)]
pub struct IssuedToken {
    /// The token.
    pub access_token: Plaintext,
    /// Its public id.
    pub token_id: Uuid,
    /// When it dies.
    pub expires_at: DateTime<Utc>,
    /// What it grants.
    pub scopes: Scopes,
    /// Who it is for; empty: not constrained.
    pub audience: Audience,
    /// The key that it is bound to.
    pub dpop_jkt: Option<String>,
    /// Its session.
    pub session: Option<IssuedSession>,
}

/// A session and its current refresh token, in the clear.
#[derive(Debug)]
pub struct IssuedSession {
    /// Its id.
    pub session_id: Uuid,
    /// The refresh token.
    pub refresh_token: Plaintext,
    /// The session's absolute end.
    pub expires_at: DateTime<Utc>,
    /// How many steps it has taken.
    pub generation: u32,
}

/// What `RotateRefresh` presents.
#[derive(Debug)]
pub struct RotateRequest {
    /// The refresh token's text.
    pub refresh_token: Plaintext,
    /// What the access token is narrowed to; empty: nothing.
    pub scopes: Scopes,
    /// What the access token is narrowed to; empty: nothing.
    pub audience: Audience,
    /// Replaces the session's.
    pub user_agent: Option<String>,
    /// Replaces the session's.
    pub ip_address: Option<IpAddr>,
}

/// What a rotation hands out.
#[derive(Debug)]
pub struct RotatedToken {
    /// The access token; its session is always there.
    pub token: IssuedToken,
    /// No step was taken.
    pub replayed: bool,
}

impl Authority {
    /// Issues a token, and opens a session with it where the request has one.
    ///
    /// # Errors
    /// The refusals of [`issuance::decide`](crate::domain::issuance::decide), but that a
    /// `CallerMoved` is tried once more as the client whom the identity names now, and is
    /// `CredentialsInvalid` where it names nobody; `LinkRequired`: a table that others share wants
    /// more of a new user. `Failure::Store`: the database failed it.
    pub async fn issue(&self, call: &Call, request: IssueRequest) -> Result<IssuedToken, Failure> {
        let issued = self.issue_once(call, &request).await;
        let identity = call.claim.credentials.identity.as_ref();
        if let (Err(Failure::Refused(Refusal::CallerMoved)), Some(identity)) = (&issued, identity) {
            // What the call was read as named another client: once more, as what it is.
            self.forget(identity);
            let found = self.identify(std::slice::from_ref(identity)).await?;
            let (_, client_id) = found.ok_or(Refusal::CredentialsInvalid)?;
            let mut call = call.clone();
            call.claim.credentials.client_id = client_id;
            return Box::pin(self.issue_once(&call, &request)).await;
        }
        issued
    }

    async fn issue_once(
        &self,
        call: &Call,
        request: &IssueRequest,
    ) -> Result<IssuedToken, Failure> {
        let order = Arc::new(self.order(call, request));
        let answer = self.store.issue(Arc::clone(&order), call.arrived).await?;
        let about = Record {
            client_id: Some(order.client_id),
            subject: order.subject,
            ..Record::default()
        };
        let issue = match answer {
            Ok(issue) => issue,
            Err(refusal @ Refusal::CallerMoved) => return Err(refusal.into()),
            Err(refusal) => {
                self.refused(call, "issue", &refusal, about);
                return Err(refusal.into());
            }
        };
        let session =
            order
                .opening
                .as_ref()
                .zip(issue.session_expires_at)
                .map(|(opening, expires_at)| IssuedSession {
                    session_id: opening.refresh.session(),
                    refresh_token: opening.refresh.plaintext(),
                    expires_at,
                    generation: 0,
                });
        let session_id = session.as_ref().map(|session| session.session_id);
        self.note(
            call,
            "issue",
            Record {
                token_id: Some(order.token_id),
                session_id,
                ..about
            },
        );
        Ok(IssuedToken {
            access_token: order.access.plaintext(),
            token_id: order.token_id,
            expires_at: issue.access_expires_at,
            scopes: issue.scopes,
            audience: issue.audience,
            dpop_jkt: issue.dpop_jkt,
            session,
        })
    }

    /// What a request orders, with everything that is made for it.
    fn order(&self, call: &Call, request: &IssueRequest) -> Order {
        let own = call.claim.credentials.client_id;
        let opening = request.opening.as_ref().map(|opening| Opening {
            refresh: RefreshToken::first(&self.minting(), clock::uuid(), clock::random()),
            salt: clock::random(),
            user_agent: opening.user_agent.clone(),
            ip_address: opening.ip_address,
            request_id: opening.request_id.clone(),
        });
        Order {
            claim: call.claim.clone(),
            client_id: request.client_id.unwrap_or(own),
            subject: request.subject,
            register_subject: request.register_subject,
            scopes: request.scopes.clone(),
            audience: request.audience.clone(),
            access_token_ttl: request.access_token_ttl,
            proof: call.proof.clone(),
            access: self.mint(),
            token_id: clock::uuid(),
            opening,
        }
    }

    /// Rotates a refresh token (RFC 6749 section 6).
    ///
    /// # Errors
    /// `RefreshTokenInvalid`: its form, checksum, key or MAC is wrong, for which nothing is asked
    /// of the database; then the refusals of
    /// [`rotation::decide`](crate::domain::rotation::decide), and `RefreshTokenReused` where that
    /// ended the session. `Failure::Store`: the database failed it.
    pub async fn rotate(
        &self,
        call: &Call,
        request: RotateRequest,
    ) -> Result<RotatedToken, Failure> {
        let token = RefreshToken::parse(request.refresh_token.reveal(), &self.ring.load())
            .map_err(|cause| {
                self.malformed(cause);
                let refusal = Refusal::RefreshTokenInvalid;
                self.refused(call, "rotate", &refusal, Record::default());
                refusal
            })?;
        let presented = Arc::new(Presented {
            claim: call.claim.clone(),
            proof: call.proof.clone(),
            token,
            scopes: request.scopes,
            audience: request.audience,
            access: self.mint(),
            token_id: clock::uuid(),
            user_agent: request.user_agent,
            ip_address: request.ip_address,
        });
        let asked = Arc::clone(&presented);
        let rotated = self.store.rotate(asked, call.arrived).await?;
        let session_id = presented.token.session();
        let (client_id, subject) = rotated.family.unzip();
        let about = Record {
            client_id,
            subject,
            session_id: Some(session_id),
            generation: Some(presented.token.counter()),
            ..Record::default()
        };
        let success = match rotated.result {
            Ok(success) => success,
            Err(refusal) => {
                if let Refusal::RefreshTokenUnknown { ahead } = refusal {
                    // Commits were lost, or the key is in someone else's hands.
                    tracing::error!(
                        call = %call.claim.call, session = %session_id, ahead,
                        "an authentic refresh token is unknown to the database"
                    );
                }
                self.instruments.not_rotated(&refusal);
                self.refused(call, "rotate", &refusal, about);
                return Err(refusal.into());
            }
        };
        self.instruments.rotated(rotated.replayed);
        let reason = rotated.replayed.then_some("REPLAYED");
        self.note(
            call,
            "rotate",
            Record {
                token_id: Some(presented.token_id),
                reason,
                ..about
            },
        );
        Ok(RotatedToken {
            token: IssuedToken {
                access_token: presented.access.plaintext(),
                token_id: presented.token_id,
                expires_at: success.access_expires_at,
                scopes: success.scopes,
                audience: success.audience,
                dpop_jkt: success.dpop_jkt,
                session: Some(IssuedSession {
                    session_id,
                    refresh_token: success.successor.plaintext(),
                    expires_at: success.session_expires_at,
                    generation: success.successor.counter(),
                }),
            },
            replayed: rotated.replayed,
        })
    }

    /// Says what a token is, and whether the proof that came with it is its owner's (RFC 7662
    /// section 2, RFC 9449 section 7). What is no token of ours is `Finding::Inactive`, and costs
    /// no query.
    ///
    /// # Errors
    /// The refusals of [`Caller::admit`](crate::domain::caller::Caller::admit); `TooManyProofs`:
    /// this replica has no room to remember the proof. `Failure::Store`: the database failed it.
    pub async fn introspect(
        &self,
        call: &Call,
        token: &str,
        presented: Option<&Presentation>,
    ) -> Result<Finding, Failure> {
        let Some(read) = self.read(token) else {
            return Ok(Finding::Inactive);
        };
        let proof = presented.map(|presented| self.judge(&read, token, presented));
        let question = Arc::new(Question {
            claim: call.claim.clone(),
            token: read,
            proof: proof.clone(),
        });
        let answer = self.store.introspect(question, call.arrived).await;
        let finding = self.heard(call, "introspect", answer)?;
        self.remember(finding, proof.and_then(Result::ok).as_ref())
    }

    /// Says what several tokens are, in order, without proofs; like
    /// [`introspect`](Self::introspect).
    ///
    /// # Errors
    /// The refusals of [`Caller::admit`](crate::domain::caller::Caller::admit).
    /// `Failure::Store`: the database failed it.
    pub async fn introspect_all(
        &self,
        call: &Call,
        tokens: &[String],
    ) -> Result<Vec<Finding>, Failure> {
        let mut places = Vec::new();
        let mut questions = Vec::new();
        for (place, token) in tokens.iter().enumerate() {
            if let Some(token) = self.read(token) {
                places.push(place);
                questions.push(Question {
                    claim: call.claim.clone(),
                    token,
                    proof: None,
                });
            }
        }
        let mut findings = vec![Finding::Inactive; tokens.len()];
        if questions.is_empty() {
            return Ok(findings);
        }
        let answers = self.store.introspect_all(questions).await?;
        for (place, answer) in places.into_iter().zip(answers) {
            findings[place] = self.heard(call, "introspect", Ok(answer))?;
        }
        Ok(findings)
    }

    /// Revokes one token (RFC 7009 section 2): an access token alone, a refresh token with its
    /// session. What is no token, is not known, or another client's, is passed over.
    ///
    /// # Errors
    /// The refusals of [`Caller::admit`](crate::domain::caller::Caller::admit).
    /// `Failure::Store`: the database failed it.
    pub async fn revoke_token(&self, call: &Call, token: &str) -> Result<(), Failure> {
        let target = match self.read(token) {
            None => return Ok(()),
            Some(Token::Access(token)) => Target::Access(token),
            Some(Token::Refresh(token)) => Target::Refresh(token),
        };
        let revocation = Revocation {
            claim: call.claim.clone(),
            target,
        };
        self.revoke(call, "revoke_token", revocation)
            .await
            .map(drop)
    }

    fn mint(&self) -> AccessToken {
        // The mint time wraps in 2106; it only orders the index.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let minted_at = clock::now().timestamp() as u32;
        AccessToken::mint(&self.minting(), minted_at, &clock::random())
    }

    /// Whether this is a token that we made, whatever became of it. One that is will be read
    /// again, and counted then.
    pub fn is_token(&self, token: &str) -> bool {
        self.read(token).is_some()
    }

    pub(super) fn read(&self, token: &str) -> Option<Token> {
        self.parse(token)
            .map_err(|cause| self.malformed(cause))
            .ok()
    }
}
