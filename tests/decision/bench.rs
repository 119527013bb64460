//! Sets up what a case describes, and compares what is decided with the law.

use super::case::{
    CLIENT_CUT_OFF, CLIENT_DISABLED, COUNTER, CallerIs, Case, EXPIRED, FENCED, IDLE, Outcome,
    Proof, SCOPE_WITHDRAWN, State, TABLE, USER_CUT_OFF, USER_DISABLED,
};
use chrono::{DateTime, TimeDelta, Utc};
use countersign::domain::{
    caller::{Access, Caller, Claim, Credentials},
    dpop::{Demands, Fault, Proven},
    keys::KeyRing,
    rotation::{Decision, Family, Grant, Presented, Session, decide},
    standing::{ClientStanding, SessionLife, Standing, UserStanding},
    terms::{Audience, Scopes},
    tokens::{AccessToken, RefreshToken, SecretDigest},
};
use std::time::Duration;
use uuid::Uuid;

const OWN: Uuid = Uuid::from_u128(0xc1);
const OTHER: Uuid = Uuid::from_u128(0xc2);
pub(super) const SUBJECT: Uuid = Uuid::from_u128(0x5b);
pub(super) const SALT: [u8; 16] = [7; 16];
pub(super) const SECOND: i64 = 1_000_000;
/// From when a batch left until it had read.
const ON_THE_WAY: i64 = 10 * SECOND;
pub(super) const DAY: i64 = 86_400 * SECOND;

/// Everything that a case does not vary, made once.
pub(super) struct Bench {
    pub(super) presented: Presented,
    pub(super) family: Family,
    pub(super) asked_at: DateTime<Utc>,
    /// How often each row of the table decided.
    pub(super) hits: Vec<u32>,
    pub(super) cases: u32,
}

pub(super) fn scopes(terms: &[&str]) -> Scopes {
    Scopes::trusted(terms.iter().map(ToString::to_string).collect())
}

pub(super) fn audience(terms: &[&str]) -> Audience {
    Audience::trusted(terms.iter().map(ToString::to_string).collect())
}

pub(super) fn micros(micros: i64) -> TimeDelta {
    TimeDelta::microseconds(micros)
}

impl Bench {
    pub(super) fn new() -> Self {
        let ring = KeyRing::parse("00000007 AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE\n")
            .expect("a key file");
        let first = RefreshToken::first(ring.minting(), Uuid::from_u128(0x5e), [9; 20]);
        let asked_at = DateTime::from_timestamp(1_800_000_000, 0).expect("a time");
        let now = asked_at + micros(ON_THE_WAY);
        let client = ClientStanding {
            scopes: Scopes::default(),
            idle_timeout: Duration::ZERO,
            bearer_allowed: true,
            disabled_at: None,
            not_before: None,
        };
        let user = UserStanding {
            disabled_at: None,
            not_before: None,
        };
        Self {
            presented: Presented {
                claim: Claim {
                    credentials: Credentials {
                        client_id: OWN,
                        secret: Some(SecretDigest([1; 32])),
                        identity: None,
                    },
                    access: Access::Authenticated,
                    call: Uuid::nil(),
                },
                proof: None,
                token: (0..COUNTER).fold(first, |token, _| token.successor(&SALT)),
                scopes: Scopes::default(),
                audience: Audience::default(),
                access: AccessToken::mint(ring.minting(), 0, &[3; 24]),
                token_id: Uuid::nil(),
                user_agent: None,
                ip_address: None,
            },
            family: Family {
                caller: None,
                session: None,
                grant: None,
                ledger: None,
                purged_to: None,
                standing: Standing {
                    now,
                    fence: None,
                    client: Some(client),
                    user: Some(user),
                },
                demands: Demands::default(),
                grace: Duration::ZERO,
                access_token_ttl: Duration::from_mins(10),
            },
            asked_at,
            hits: vec![0; TABLE.len()],
            cases: 0,
        }
    }

    /// Who asks, and whether it is theirs.
    pub(super) fn set_gate(&mut self, case: &Case) {
        let client_id = if case.own_client { OWN } else { OTHER };
        self.presented.claim.credentials.client_id = client_id;
        let proven = |jkt: &str, nonce| {
            let jkt = jkt.to_owned();
            Some(Ok(Proven { jkt, nonce }))
        };
        self.presented.proof = match case.proof {
            Proof::UnboundNone | Proof::UnboundForbidden | Proof::BoundMissing => None,
            Proof::UnboundSome | Proof::BoundSame => proven("own", true),
            Proof::BoundWithoutNonce => proven("own", false),
            Proof::BoundOther => proven("other", true),
            Proof::Fails => Some(Err(Fault::Signature)),
        };
        self.family.demands = Demands {
            proof: case.proof == Proof::UnboundForbidden,
            nonce: case.proof == Proof::BoundWithoutNonce,
        };
        let caller = Caller {
            client_id,
            identity_of: None,
            roles: Vec::new(),
            disabled_at: (case.caller == CallerIs::Disabled).then_some(self.asked_at),
            introspection_audience: Audience::default(),
        };
        self.family.caller = (case.caller != CallerIs::Unknown).then_some(caller);
        let ended = match case.state {
            State::Ended(reason) => Some(reason),
            State::Nothing | State::Lost | State::Open => None,
        };
        let bound = !matches!(
            case.proof,
            Proof::UnboundNone | Proof::UnboundSome | Proof::UnboundForbidden
        );
        let grant = Grant {
            client_id: OWN,
            subject: SUBJECT,
            scopes: scopes(&["a", "b"]),
            audience: audience(&["urn:x", "urn:y"]),
            dpop_jkt: bound.then(|| "own".to_owned()),
            salt: SALT,
            expires_at: self.family.standing.now + micros(i64::from(!case.past)),
            ended,
        };
        // To the id: one beyond the newest that was purged never was.
        let session = self.presented.token.session().as_u128();
        self.family.purged_to = Some(Uuid::from_u128(session - u128::from(!case.past)));
        self.family.grant = (case.state != State::Nothing).then_some(grant);
    }

    /// The session, its life and its times.
    pub(super) fn set_life(&mut self, case: &Case) {
        let ill = |bit: u8| case.ill & bit != 0;
        let standing = &mut self.family.standing;
        let now = standing.now;
        let created_at = now - micros(3 * DAY);
        let session = Session {
            version: case.version,
            life: SessionLife {
                created_at,
                last_used_at: self.asked_at - micros(case.since_step),
                // To the microsecond: what ends now has ended.
                expires_at: now + micros(i64::from(!ill(EXPIRED))),
            },
        };
        self.family.session = (case.state == State::Open).then_some(session);
        self.family.ledger = case.since_ledger.map(|since| self.asked_at - micros(since));
        self.family.grace = duration(case.grace);

        let cut = |bit| Some(created_at - micros(i64::from(!ill(bit))));
        standing.fence = cut(FENCED);
        let client = standing.client.as_mut().expect("always set");
        let allowed: &[&str] = if ill(SCOPE_WITHDRAWN) {
            &["a"]
        } else {
            &["b", "c", "a"]
        };
        if client.scopes.as_slice().len() != allowed.len() {
            client.scopes = scopes(allowed);
        }
        let idle_for = (now - self.asked_at) + micros(case.since_step);
        let idle_for = idle_for.to_std().expect("the last step was before");
        client.idle_timeout = idle_for + Duration::from_micros(u64::from(!ill(IDLE)));
        client.disabled_at = ill(CLIENT_DISABLED).then_some(now);
        client.not_before = cut(CLIENT_CUT_OFF);
        let user = standing.user.as_mut().expect("always set");
        user.disabled_at = ill(USER_DISABLED).then_some(now);
        user.not_before = cut(USER_CUT_OFF);
    }

    pub(super) fn judge(&mut self, case: &Case) {
        let (at, row) = TABLE
            .iter()
            .enumerate()
            .find(|(_, row)| (row.when)(case))
            .expect("the last row always holds");
        self.hits[at] += 1;
        self.cases += 1;
        let decision = decide(
            &self.presented,
            &self.family,
            duration(case.waited + ON_THE_WAY),
        );
        let found = match &decision {
            Decision::Rotate(_) => Outcome::Rotated,
            Decision::Replay(_) => Outcome::Replayed,
            Decision::EndReused => Outcome::EndedAsReused,
            Decision::Refuse(refusal) => Outcome::Refused(refusal.clone()),
        };
        assert_eq!(found, row.then, "row {at}: {case:?}");
    }
}

pub(super) fn duration(micros: i64) -> Duration {
    Duration::from_micros(u64::try_from(micros).expect("not negative"))
}
