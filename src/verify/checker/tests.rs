//! Histories written by hand: for every violation one that must be seen, and beside it
//! one as like as can be that must not.

use super::{Violation, ViolationKind, check};
use crate::verify::history::{
    Actor, Answer, Call, History, Operation, Session, SessionId, Token, TokenId, TokenKind,
};
use ViolationKind as V;
use std::time::Duration;

/// Builds a history; moments are milliseconds.
struct Story(History);

impl Story {
    fn new() -> Self {
        Self(History {
            grace: Duration::from_secs(30),
            settle: Duration::from_secs(10),
            access_ttl: Duration::from_secs(3600),
            sessions: Vec::new(),
            tokens: Vec::new(),
            operations: Vec::new(),
        })
    }

    /// Opens a session between 0 and 1: session 0, refresh token 0, access token 1.
    fn opened() -> Self {
        let mut story = Self::new();
        story.open(0, 1, None);
        story
    }

    fn strict() -> Self {
        let mut story = Self::opened();
        story.0.grace = Duration::ZERO;
        story
    }

    fn open(&mut self, began: u64, ended: u64, request: Option<usize>) -> SessionId {
        let at = self.0.operations.len();
        let session = self.0.sessions.len();
        self.0.sessions.push(Session {
            opened: at,
            request,
        });
        let refresh = self.token(TokenKind::Refresh {
            session,
            generation: 0,
        });
        let access = self.token(TokenKind::Access { session });
        let answer = Answer::Opened {
            session,
            refresh,
            access,
        };
        self.call(Actor::Owner, Call::Open { request }, began, ended, answer);
        session
    }

    fn issue(&mut self, user: bool, began: u64, ended: u64) -> TokenId {
        let access = self.token(if user {
            TokenKind::UserAccess
        } else {
            TokenKind::ClientAccess
        });
        let answer = Answer::Issued { access };
        self.call(Actor::Owner, Call::Issue { user }, began, ended, answer);
        access
    }

    /// A token that the next operation is answered with.
    fn token(&mut self, kind: TokenKind) -> TokenId {
        self.0.tokens.push(Token {
            kind,
            born: self.0.operations.len(),
        });
        self.0.tokens.len() - 1
    }

    fn call(&mut self, by: Actor, call: Call, began: u64, ended: u64, answer: Answer) {
        self.0.operations.push(Operation {
            by,
            call,
            began: Duration::from_millis(began),
            ended: Duration::from_millis(ended),
            answer,
        });
    }

    fn owner(&mut self, call: Call, began: u64, ended: u64, answer: Answer) -> &mut Self {
        self.call(Actor::Owner, call, began, ended, answer);
        self
    }

    fn by(&mut self, by: Actor, call: Call, began: u64, ended: u64, answer: Answer) -> &mut Self {
        self.call(by, call, began, ended, answer);
        self
    }

    /// The owner rotates `token`; a new successor, or the one given.
    fn rotate(
        &mut self,
        token: TokenId,
        (began, ended): (u64, u64),
        replayed: bool,
        successor: Option<TokenId>,
    ) -> TokenId {
        let TokenKind::Refresh {
            session,
            generation,
        } = self.0.tokens[token].kind
        else {
            panic!("not a refresh token")
        };
        let generation = generation + 1;
        let refresh = successor.unwrap_or_else(|| {
            self.token(TokenKind::Refresh {
                session,
                generation,
            })
        });
        let access = self.token(TokenKind::Access { session });
        let answer = Answer::Rotated {
            replayed,
            generation,
            refresh,
            access,
        };
        self.owner(Call::Rotate(token), began, ended, answer);
        refresh
    }

    fn kinds(&self) -> Vec<V> {
        let mut kinds: Vec<_> = check(&self.0).iter().map(|found| found.kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }
}

fn refused(reason: &str) -> Answer {
    Answer::Refused(reason.into())
}

fn lost() -> Answer {
    Answer::Lost("UNAVAILABLE".into())
}

const REFRESH: TokenId = 0;
const ACCESS: TokenId = 1;

#[test]
fn an_ordinary_life_breaks_nothing() {
    let mut story = Story::opened();
    let second = story.rotate(REFRESH, (2, 5), false, None);
    story.rotate(REFRESH, (3, 6), true, Some(second));
    let third = story.rotate(second, (7, 8), false, None);
    story
        .owner(
            Call::Rotate(REFRESH),
            9,
            10,
            refused("REFRESH_TOKEN_SUPERSEDED"),
        )
        .owner(Call::Introspect(ACCESS), 9, 10, Answer::Active)
        .owner(Call::Introspect(second), 9, 10, Answer::Inactive)
        .owner(Call::Introspect(third), 9, 10, Answer::Active)
        .by(
            Actor::Introspector,
            Call::Introspect(third),
            9,
            10,
            Answer::Inactive,
        )
        .by(
            Actor::Stranger,
            Call::Rotate(third),
            9,
            10,
            refused("INVALID_GRANT"),
        )
        .by(
            Actor::Stranger,
            Call::RevokeSession(0),
            9,
            10,
            Answer::Revoked(0),
        )
        .owner(Call::ListSessions, 11, 12, Answer::Listed(vec![(0, 2)]))
        .by(
            Actor::Revoker,
            Call::RevokeByToken(REFRESH),
            13,
            14,
            Answer::Revoked(1),
        )
        .owner(Call::RevokeSession(0), 13, 15, Answer::Revoked(0))
        .owner(Call::Introspect(ACCESS), 15, 16, Answer::Inactive)
        .owner(Call::Rotate(third), 15, 16, refused("SESSION_REVOKED"))
        .owner(Call::ListSessions, 15, 16, Answer::Listed(vec![]));
    assert_eq!(story.kinds(), []);
}

#[test]
fn two_successors_of_one_token() {
    let mut story = Story::opened();
    story.rotate(REFRESH, (2, 5), false, None);
    story.rotate(REFRESH, (3, 6), true, None);
    assert_eq!(story.kinds(), [V::TwoSuccessors]);
}

#[test]
fn two_acknowledged_steps_from_one_generation() {
    let mut story = Story::opened();
    let second = story.rotate(REFRESH, (2, 5), false, None);
    story.rotate(REFRESH, (3, 6), false, Some(second));
    assert_eq!(story.kinds(), [V::TwoSteps]);
}

#[test]
fn a_superseded_token_that_is_active_or_still_rotates() {
    let mut active = Story::opened();
    active.rotate(REFRESH, (2, 5), false, None);
    active.owner(Call::Introspect(REFRESH), 6, 7, Answer::Active);
    assert_eq!(active.kinds(), [V::StaleActive]);
    // The step had not been acknowledged when the introspection began.
    active.0.operations[2].began = Duration::from_millis(4);
    assert_eq!(active.kinds(), []);

    let mut late = Story::opened();
    let second = late.rotate(REFRESH, (2, 5), false, None);
    late.rotate(REFRESH, (30_006, 30_007), true, Some(second));
    assert_eq!(late.kinds(), [V::StaleActive]);

    let mut strict = Story::strict();
    let second = strict.rotate(REFRESH, (2, 5), false, None);
    strict.rotate(REFRESH, (3, 6), true, Some(second));
    assert_eq!(strict.kinds(), [V::StaleActive]);

    let mut overtaken = Story::opened();
    let second = overtaken.rotate(REFRESH, (2, 5), false, None);
    overtaken.rotate(second, (6, 7), false, None);
    overtaken.rotate(REFRESH, (8, 9), true, Some(second));
    assert_eq!(overtaken.kinds(), [V::StaleActive]);
}

#[test]
fn a_generation_that_was_skipped_or_taken_back() {
    let mut skipped = Story::opened();
    let session = 0;
    let refresh = skipped.token(TokenKind::Refresh {
        session,
        generation: 2,
    });
    let access = skipped.token(TokenKind::Access { session });
    let answer = Answer::Rotated {
        replayed: false,
        generation: 2,
        refresh,
        access,
    };
    skipped.owner(Call::Rotate(REFRESH), 2, 5, answer);
    assert_eq!(skipped.kinds(), [V::GenerationGap]);

    for (listed, broken) in [(0, true), (1, false), (2, true)] {
        let mut back = Story::opened();
        back.rotate(REFRESH, (2, 5), false, None);
        back.owner(Call::ListSessions, 6, 7, Answer::Listed(vec![(0, listed)]));
        let expected: &[V] = if broken { &[V::GenerationGap] } else { &[] };
        assert_eq!(back.kinds(), expected, "{listed}");
    }
}

#[test]
fn replayed_though_nobody_else_had_asked() {
    let mut story = Story::opened();
    story.rotate(REFRESH, (2, 5), true, None);
    assert_eq!(story.kinds(), [V::ReplayWithoutStep]);
    // A call that was lost may have taken the step.
    story.owner(Call::Rotate(REFRESH), 1, 2, lost());
    assert_eq!(story.kinds(), []);
}

#[test]
fn alive_after_an_ending_was_acknowledged() {
    let endings = [
        (Actor::Owner, Call::RevokeSession(0), Answer::Revoked(1)),
        (
            Actor::Revoker,
            Call::RevokeByToken(ACCESS),
            Answer::Revoked(0),
        ),
        (Actor::Owner, Call::RevokeToken(REFRESH), Answer::Done),
        (
            Actor::Owner,
            Call::RevokeUser { except: None },
            Answer::Revoked(1),
        ),
        (Actor::Admin, Call::DisableUser, Answer::Done),
        (Actor::Admin, Call::DisableClient, Answer::Done),
    ];
    for (by, call, answer) in endings {
        let mut story = Story::opened();
        story.by(by, call, 5, 9, answer);
        story.owner(Call::Introspect(ACCESS), 10, 11, Answer::Active);
        assert_eq!(story.kinds(), [V::ActiveAfterRevocation], "{call:?}");
        // It had not returned when the introspection began.
        story.0.operations[2].began = Duration::from_millis(8);
        assert_eq!(story.kinds(), [], "{call:?}");
    }

    let mut rotated = Story::opened();
    rotated.owner(Call::RevokeSession(0), 5, 9, Answer::Revoked(1));
    rotated.rotate(REFRESH, (10, 11), false, None);
    assert_eq!(rotated.kinds(), [V::ActiveAfterRevocation]);

    let mut listed = Story::opened();
    listed.owner(Call::RevokeSession(0), 5, 9, Answer::Revoked(1));
    listed.owner(Call::ListSessions, 10, 11, Answer::Listed(vec![(0, 0)]));
    assert_eq!(listed.kinds(), [V::ActiveAfterRevocation]);

    // The child of a rotation that the revocation waited for.
    let mut child = Story::opened();
    let second = child.rotate(REFRESH, (2, 8), false, None);
    child.owner(Call::RevokeSession(0), 3, 9, Answer::Revoked(1));
    child.owner(Call::Introspect(second), 10, 11, Answer::Active);
    assert_eq!(child.kinds(), [V::ActiveAfterRevocation]);
}

#[test]
fn single_tokens_stay_revoked_while_their_session_lives() {
    let mut story = Story::opened();
    story
        .owner(Call::RevokeToken(ACCESS), 5, 9, Answer::Done)
        .owner(Call::Introspect(ACCESS), 10, 11, Answer::Inactive)
        .owner(Call::Introspect(REFRESH), 10, 11, Answer::Active);
    assert_eq!(story.kinds(), []);
    story.owner(Call::Introspect(ACCESS), 12, 13, Answer::Active);
    assert_eq!(story.kinds(), [V::ActiveAfterRevocation]);
}

#[test]
fn all_but_one_spares_the_one_and_ends_tokens_without_a_session() {
    let mut story = Story::opened();
    let token = story.issue(true, 2, 3);
    let own = story.issue(false, 2, 3);
    let other = story.open(2, 3, None);
    let except = Call::RevokeUser { except: Some(0) };
    story
        .owner(except, 4, 5, Answer::Revoked(1))
        .owner(Call::Introspect(ACCESS), 6, 7, Answer::Active)
        .owner(Call::Introspect(own), 6, 7, Answer::Active)
        .owner(Call::ListSessions, 6, 7, Answer::Listed(vec![(0, 0)]));
    assert_eq!(story.kinds(), []);
    let mut listed = Story(story.0.clone());
    let both = Answer::Listed(vec![(0, 0), (other, 0)]);
    listed.owner(Call::ListSessions, 8, 9, both);
    assert_eq!(listed.kinds(), [V::ActiveAfterRevocation]);
    story.owner(Call::Introspect(token), 8, 9, Answer::Active);
    assert_eq!(story.kinds(), [V::ActiveAfterRevocation]);
}

#[test]
fn an_opening_beside_a_cut_off_may_go_either_way_but_only_once() {
    for alive in [true, false] {
        let mut story = Story::opened();
        story.by(
            Actor::Revoker,
            Call::RevokeUser { except: None },
            5,
            20,
            Answer::Revoked(1),
        );
        story.open(10, 12, None);
        let listed = if alive { vec![(1, 0)] } else { vec![] };
        story.owner(Call::ListSessions, 21, 22, Answer::Listed(listed));
        assert_eq!(story.kinds(), [], "{alive}");
    }
    let mut story = Story::opened();
    story.by(
        Actor::Revoker,
        Call::RevokeUser { except: None },
        5,
        20,
        Answer::Revoked(1),
    );
    story.open(10, 12, None);
    story.owner(Call::ListSessions, 21, 22, Answer::Listed(vec![]));
    story.owner(Call::ListSessions, 23, 24, Answer::Listed(vec![(1, 0)]));
    assert_eq!(story.kinds(), [V::CameBack]);
}

#[test]
fn alive_again_after_it_was_seen_dead() {
    let mut story = Story::opened();
    story
        .owner(Call::RevokeSession(0), 2, 3, lost())
        .owner(Call::Introspect(ACCESS), 4, 5, Answer::Inactive)
        .owner(Call::Introspect(ACCESS), 6, 7, Answer::Active);
    assert_eq!(story.kinds(), [V::CameBack]);
    let mut other = Story::opened();
    other.owner(Call::RevokeSession(0), 2, 3, lost()).owner(
        Call::Introspect(ACCESS),
        4,
        5,
        Answer::Inactive,
    );
    other.rotate(REFRESH, (6, 7), false, None);
    assert_eq!(other.kinds(), [V::CameBack]);
}

#[test]
fn gone_without_a_cause() {
    let mut inactive = Story::opened();
    inactive.owner(Call::Introspect(ACCESS), 2, 3, Answer::Inactive);
    assert_eq!(inactive.kinds(), [V::Lost]);

    let mut refresh = Story::opened();
    refresh.owner(Call::Introspect(REFRESH), 2, 3, Answer::Inactive);
    assert_eq!(refresh.kinds(), [V::Lost]);

    let mut unlisted = Story::opened();
    unlisted.owner(Call::ListSessions, 2, 3, Answer::Listed(vec![]));
    assert_eq!(unlisted.kinds(), [V::Lost]);

    for reason in [
        "REFRESH_TOKEN_UNKNOWN",
        "SESSION_REVOKED",
        "SESSION_CUT_OFF",
    ] {
        let mut refusal = Story::opened();
        refusal.owner(Call::Rotate(REFRESH), 2, 3, refused(reason));
        assert_eq!(refusal.kinds(), [V::Lost], "{reason}");
    }

    // A revocation that was lost explains it, and expiry does.
    let mut revoked = Story::opened();
    revoked.owner(Call::RevokeSession(0), 1, 2, lost());
    revoked.owner(Call::Introspect(ACCESS), 2, 3, Answer::Inactive);
    assert_eq!(revoked.kinds(), []);
    let mut expired = Story::opened();
    expired.owner(
        Call::Introspect(ACCESS),
        3_599_000,
        3_600_001,
        Answer::Inactive,
    );
    assert_eq!(expired.kinds(), []);

    // A refusal of the wrong kind does not.
    let mut wrong = Story::opened();
    wrong.owner(Call::RevokeSession(0), 1, 2, Answer::Revoked(1));
    wrong.owner(Call::Rotate(REFRESH), 2, 3, refused("SUBJECT_DISABLED"));
    assert_eq!(wrong.kinds(), [V::Lost]);
}

#[test]
fn ended_as_reused_though_nothing_old_was_presented() {
    let reused = || refused("REFRESH_TOKEN_REUSED");
    let mut once = Story::strict();
    once.owner(Call::Rotate(REFRESH), 2, 3, reused());
    assert_eq!(once.kinds(), [V::RevokedWithoutReuse]);

    // Twice is reuse where the grace is zero, and not within the window elsewhere.
    let mut twice = Story::strict();
    twice.rotate(REFRESH, (2, 3), false, None);
    twice.owner(Call::Rotate(REFRESH), 4, 5, reused());
    assert_eq!(twice.kinds(), []);
    twice.0.grace = Duration::from_secs(30);
    assert_eq!(twice.kinds(), [V::RevokedWithoutReuse]);
    twice.0.operations[2].ended = Duration::from_millis(30_003);
    assert_eq!(twice.kinds(), []);

    // A call without an answer goes on for as long as it takes to settle, not for ever.
    let mut unanswered = Story::opened();
    unanswered.owner(Call::Rotate(REFRESH), 2, 3, lost());
    unanswered.owner(Call::Rotate(REFRESH), 4, 5, reused());
    assert_eq!(unanswered.kinds(), [V::RevokedWithoutReuse]);
    unanswered.0.settle = Duration::from_secs(31);
    assert_eq!(unanswered.kinds(), []);

    // Revoked by someone: then that is the reason to be told.
    let mut revoked = Story::opened();
    revoked.owner(Call::RevokeSession(0), 2, 3, Answer::Revoked(1));
    revoked.owner(Call::Rotate(REFRESH), 4, 5, reused());
    assert_eq!(revoked.kinds(), [V::RevokedWithoutReuse]);
}

#[test]
fn ended_by_one_who_may_not() {
    let mut revoked = Story::opened();
    revoked
        .by(
            Actor::Stranger,
            Call::RevokeSession(0),
            2,
            3,
            Answer::Revoked(0),
        )
        .owner(Call::Introspect(ACCESS), 4, 5, Answer::Inactive);
    assert_eq!(revoked.kinds(), [V::EndedByStranger]);

    let mut rotated = Story::strict();
    rotated.rotate(REFRESH, (2, 3), false, None);
    rotated
        .by(
            Actor::Stranger,
            Call::Rotate(REFRESH),
            4,
            5,
            refused("INVALID_GRANT"),
        )
        .owner(Call::ListSessions, 6, 7, Answer::Listed(vec![]));
    assert_eq!(rotated.kinds(), [V::EndedByStranger]);
}

#[test]
fn one_who_may_not_was_served() {
    let rotated = Answer::Rotated {
        replayed: false,
        generation: 1,
        refresh: REFRESH,
        access: ACCESS,
    };
    for (by, call, answer) in [
        (Actor::Stranger, Call::Rotate(REFRESH), rotated),
        (Actor::Stranger, Call::Introspect(ACCESS), Answer::Active),
        (
            Actor::Introspector,
            Call::Introspect(REFRESH),
            Answer::Active,
        ),
        (Actor::Stranger, Call::RevokeSession(0), Answer::Revoked(1)),
        (
            Actor::Stranger,
            Call::Rotate(REFRESH),
            refused("SESSION_REVOKED"),
        ),
    ] {
        let mut story = Story::opened();
        story.by(by, call, 2, 3, answer);
        assert!(story.kinds().contains(&V::ServedStranger), "{call:?}");
    }
}

#[test]
fn one_session_that_ended_twice() {
    let mut story = Story::opened();
    story.owner(Call::RevokeSession(0), 2, 3, Answer::Revoked(1));
    assert_eq!(story.kinds(), []);
    story.by(
        Actor::Revoker,
        Call::RevokeByToken(ACCESS),
        2,
        3,
        Answer::Revoked(1),
    );
    assert_eq!(story.kinds(), [V::EndedTwice]);
}

#[test]
fn a_repeated_request_replaces_and_nothing_else_does() {
    let mut story = Story::new();
    story.open(0, 1, Some(7));
    story.open(2, 3, Some(7));
    story.owner(Call::Rotate(REFRESH), 4, 5, refused("SESSION_REVOKED"));
    assert_eq!(story.kinds(), []);
    story.owner(Call::Introspect(ACCESS), 6, 7, Answer::Active);
    assert_eq!(story.kinds(), [V::ActiveAfterRevocation]);

    let mut other = Story::new();
    other.open(0, 1, Some(7));
    other.open(2, 3, Some(8));
    other.owner(Call::Rotate(REFRESH), 4, 5, refused("SESSION_REVOKED"));
    assert_eq!(other.kinds(), [V::Lost]);
}

#[test]
fn refused_for_a_reason_that_nothing_gave() {
    for (call, reason) in [
        (Call::Rotate(REFRESH), "REFRESH_TOKEN_SUPERSEDED"),
        (Call::Rotate(REFRESH), "INVALID_GRANT"),
        (Call::Rotate(REFRESH), "SESSION_EXPIRED"),
        (Call::Open { request: None }, "SUBJECT_DISABLED"),
        (Call::Introspect(ACCESS), "CREDENTIALS_INVALID"),
    ] {
        let mut story = Story::opened();
        story.owner(call, 2, 3, refused(reason));
        assert_eq!(story.kinds(), [V::UnexplainedRefusal], "{call:?} {reason}");
    }
    let mut disabled = Story::opened();
    disabled
        .by(Actor::Admin, Call::DisableUser, 2, 5, Answer::Done)
        .owner(
            Call::Open { request: None },
            3,
            4,
            refused("SUBJECT_DISABLED"),
        );
    assert_eq!(disabled.kinds(), []);
}

#[test]
fn an_internal_error() {
    let mut story = Story::opened();
    story.owner(
        Call::Introspect(ACCESS),
        2,
        3,
        Answer::Defect("INTERNAL".into()),
    );
    assert_eq!(story.kinds(), [V::Defect]);
}

#[test]
fn a_violation_is_told_with_the_history_of_its_session() {
    let mut story = Story::opened();
    story.open(1, 2, None);
    story.owner(Call::RevokeSession(0), 3, 4, Answer::Revoked(1));
    story.owner(Call::Introspect(ACCESS), 5, 6, Answer::Active);
    story.owner(Call::ListSessions, 7, 8, Answer::Listed(vec![(1, 0)]));
    let found: Vec<Violation> = check(&story.0);
    assert_eq!(
        found[0].explain(&story.0),
        "VIOLATION: alive after its ending was acknowledged (session 0)\n     \
         began ms    ended ms  who           call\n        \
         0.000       1.000  owner         open = refresh#0(session 0, generation 0) \
         access#1(session 0)\n->      \
         3.000       4.000  owner         revoke session 0 = 1 ended\n->      \
         5.000       6.000  owner         introspect access#1(session 0) = active\n"
    );
}
