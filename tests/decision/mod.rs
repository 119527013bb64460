//! What a presented refresh token gets, over every case: the table of
//! `RotateRefresh` once more, as rows of conditions in their order. The first row
//! that holds decides.

mod bench;
mod case;

use bench::{Bench, DAY, SALT, SECOND, SUBJECT, audience, micros, scopes};
use case::{COUNTER, CallerIs, Case, Proof, State};
use countersign::domain::{
    refusal::Refusal,
    rotation::{Decision, EndReason, decide},
    terms::Scopes,
};
use std::time::Duration;

const CALLERS: [CallerIs; 3] = [CallerIs::Known, CallerIs::Unknown, CallerIs::Disabled];
const PROOFS: [Proof; 8] = [
    Proof::UnboundNone,
    Proof::UnboundSome,
    Proof::UnboundForbidden,
    Proof::BoundSame,
    Proof::BoundWithoutNonce,
    Proof::BoundOther,
    Proof::BoundMissing,
    Proof::Fails,
];
const STATES: [State; 7] = [
    State::Nothing,
    State::Lost,
    State::Ended(EndReason::Revoked),
    State::Ended(EndReason::Reused),
    State::Ended(EndReason::Replaced),
    State::Ended(EndReason::Limit),
    State::Open,
];
/// Two behind is told from one behind and from more.
const VERSIONS: [u32; 6] = [
    COUNTER - 2,
    COUNTER - 1,
    COUNTER,
    COUNTER + 1,
    COUNTER + 2,
    COUNTER + 3,
];
const GRACES: [i64; 3] = [0, 30 * SECOND, 120 * SECOND];

/// Ages around the end of the window once the wait is taken off; the first is
/// negative: the step was taken after the call had arrived.
fn ages(grace: i64, waited: i64) -> [i64; 5] {
    [
        -5 * SECOND,
        waited,
        waited + grace - 1,
        waited + grace,
        waited + grace + 90 * SECOND,
    ]
}

/// Runs through every case of these callers, clients and proofs, with these ills for
/// each state of the family.
fn run(gates: &[(CallerIs, bool, Proof)], ills: impl Fn(State) -> Vec<u8>) -> Bench {
    let mut bench = Bench::new();
    for &(caller, own_client, proof) in gates {
        for (state, past) in STATES.into_iter().flat_map(|it| [(it, false), (it, true)]) {
            let mut case = Case {
                caller,
                own_client,
                proof,
                state,
                ill: 0,
                past,
                version: COUNTER,
                grace: 0,
                waited: 0,
                since_step: 0,
                since_ledger: None,
            };
            bench.set_gate(&case);
            for ill in ills(state) {
                case.ill = ill;
                for_times(&mut case, &mut |case| {
                    bench.set_life(case);
                    bench.judge(case);
                });
            }
        }
    }
    bench
}

fn for_times(case: &mut Case, judge: &mut impl FnMut(&Case)) {
    for version in VERSIONS {
        case.version = version;
        for grace in GRACES {
            case.grace = grace;
            for waited in [0, 2 * SECOND] {
                case.waited = waited;
                for since_step in ages(grace, waited) {
                    case.since_step = since_step;
                    for since_ledger in [None].into_iter().chain(ages(grace, waited).map(Some)) {
                        case.since_ledger = since_ledger;
                        judge(case);
                    }
                }
            }
        }
    }
}

/// Every caller, client and proof, over every state of the family, with nothing, one
/// thing or everything wrong with its life, at every counter and age.
#[test]
fn nothing_is_decided_before_caller_and_proof_are_the_grants() {
    let mut gates = Vec::new();
    for caller in CALLERS {
        for own_client in [true, false] {
            gates.extend(PROOFS.map(|proof| (caller, own_client, proof)));
        }
    }
    let bench = run(&gates, |state| match state {
        State::Open => (0..8).map(|bit| 1 << bit).chain([0, u8::MAX]).collect(),
        _ => vec![0, u8::MAX],
    });
    for (at, hits) in bench.hits.iter().enumerate() {
        assert!(*hits > 0, "no case tests row {at}");
    }
    assert_eq!(bench.cases, 48 * (10 + 6 * 2) * 2 * 6 * 3 * 2 * 5 * 6);
}

/// Everything that may be wrong with a session's life at once, in all combinations.
#[test]
fn whatever_is_wrong_with_a_session_the_first_reason_is_told_and_nothing_ends() {
    let bench = run(
        &[(CallerIs::Known, true, Proof::BoundSame)],
        |state| match state {
            State::Open => (0..=u8::MAX).collect(),
            _ => vec![0],
        },
    );
    assert_eq!(bench.cases, (256 + 6) * 2 * 6 * 3 * 2 * 5 * 6);
}

/// The plainest case: an open session, its own client, a ledger row, an age of one
/// second.
fn plain(version: u32) -> (Bench, Case) {
    let case = Case {
        caller: CallerIs::Known,
        own_client: true,
        proof: Proof::UnboundNone,
        state: State::Open,
        ill: 0,
        past: false,
        version,
        grace: 30 * SECOND,
        waited: 0,
        since_step: SECOND,
        since_ledger: Some(SECOND),
    };
    let mut bench = Bench::new();
    bench.set_gate(&case);
    bench.set_life(&case);
    (bench, case)
}

fn plain_decision(bench: &Bench) -> Decision {
    decide(&bench.presented, &bench.family, Duration::ZERO)
}

#[test]
fn a_step_and_its_repeat_hand_out_the_same_successor_and_the_whole_grant() {
    for version in [COUNTER, COUNTER + 1] {
        let (mut bench, _) = plain(version);
        let now = bench.family.standing.now;
        let session = bench.family.session.as_mut().expect("an open session");
        session.life.expires_at = now + micros(DAY);
        let (Decision::Rotate(success) | Decision::Replay(success)) = plain_decision(&bench) else {
            panic!("version {version} is a success");
        };
        let expected = bench.presented.token.successor(&SALT);
        assert_eq!(success.successor.digest(), expected.digest());
        assert_eq!(success.successor.counter(), COUNTER + 1);
        assert_eq!(success.scopes, scopes(&["a", "b"]));
        assert_eq!(success.audience, audience(&["urn:x", "urn:y"]));
        assert_eq!(success.subject, SUBJECT);
        assert_eq!(success.access_expires_at, now + micros(600 * SECOND));
        assert_eq!(success.session_expires_at, now + micros(DAY));
        assert_eq!(success.at, now);
    }
}

#[test]
fn an_access_token_never_outlives_its_session() {
    let (bench, _) = plain(COUNTER);
    let Decision::Rotate(success) = plain_decision(&bench) else {
        panic!("a success");
    };
    assert_eq!(
        success.access_expires_at,
        bench.family.standing.now + micros(1)
    );
    assert_eq!(success.access_expires_at, success.session_expires_at);
}

#[test]
fn a_narrowed_access_token_leaves_the_family_whole_and_asking_for_more_consumes_nothing() {
    for version in [COUNTER, COUNTER + 1] {
        let (mut bench, _) = plain(version);
        bench.presented.scopes = scopes(&["b"]);
        bench.presented.audience = audience(&["urn:y"]);
        let (Decision::Rotate(success) | Decision::Replay(success)) = plain_decision(&bench) else {
            panic!("version {version} is a success");
        };
        assert_eq!(success.scopes, scopes(&["b"]));
        assert_eq!(success.audience, audience(&["urn:y"]));

        // Allowed for the client, and yet not the session's.
        bench.presented.scopes = scopes(&["b", "c"]);
        let refused = Refusal::InvalidScope(vec!["c".to_owned()]);
        assert!(matches!(plain_decision(&bench), Decision::Refuse(why) if why == refused));
        bench.presented.scopes = Scopes::default();
        bench.presented.audience = audience(&["urn:z"]);
        let refused = Refusal::InvalidTarget(vec!["urn:z".to_owned()]);
        assert!(matches!(plain_decision(&bench), Decision::Refuse(why) if why == refused));
    }
}

#[test]
fn a_stale_token_ends_its_family_whatever_it_asks_for() {
    let (mut bench, mut case) = plain(COUNTER + 1);
    case.since_step = 31 * SECOND;
    bench.set_life(&case);
    bench.presented.scopes = scopes(&["c"]);
    assert!(matches!(plain_decision(&bench), Decision::EndReused));
}

#[test]
fn a_wait_of_any_length_is_no_age() {
    let (mut bench, case) = plain(COUNTER + 1);
    bench.set_life(&case);
    let decision = decide(&bench.presented, &bench.family, Duration::MAX);
    assert!(matches!(decision, Decision::Replay(_)), "{decision:?}");
}
