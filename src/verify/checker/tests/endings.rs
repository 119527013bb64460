//! What goes wrong with endings.

use super::*;

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
