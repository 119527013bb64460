//! What goes wrong with steps, and with answers as such.

use super::*;

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
