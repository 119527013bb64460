//! How histories are made.

use super::{
    clients::{ADMIN, CLIENTS},
    operations::{By, Issue, Op, Rotate, Target, Token, USERS},
    terms::{Audience, Scopes},
};
use proptest::prelude::*;

/// Histories, without or with changes of the key ring.
pub fn histories(keys: bool, longest: usize) -> impl Strategy<Value = Vec<Op>> {
    prop::collection::vec(op(if keys { 7 } else { 0 }), 1..=longest)
}

fn op(keys: u32) -> impl Strategy<Value = Op> {
    let calls = prop_oneof![
        20 => issue(true).prop_map(Op::Issue),
        6 => issue(false).prop_map(Op::Issue),
        34 => rotate().prop_map(Op::Rotate),
        7 => (by(), target()).prop_map(|(by, target)| Op::RevokeSession { by, target }),
        3 => (by(), token()).prop_map(|(by, token)| Op::RevokeToken { by, token }),
        5 => (by(), token()).prop_map(|(by, token)| Op::Introspect { by, token }),
        2 => (client(), prop::collection::vec(token(), 1..6))
            .prop_map(|(by, tokens)| Op::BatchIntrospect { by, tokens }),
        6 => (prop::sample::select(vec![0_usize, 2, 2, 3, 4, 5]), user(), 0..3_u32)
            .prop_map(|(by, user, page_size)| Op::ListSessions { by, user, page_size }),
        13 => pass().prop_map(Op::Pass),
    ];
    let administration = prop_oneof![
        2 => user().prop_map(Op::DisableUser),
        5 => user().prop_map(Op::EnableUser),
        2 => client().prop_map(Op::DisableClient),
        5 => client().prop_map(Op::EnableClient),
        1 => client().prop_map(Op::CutOffClient),
        6 => (prop::sample::select(vec![0_usize, 0, 1, 3, 4, 5]), prop_oneof![2 => Just(1_u8), 3 => Just(3), 1 => 0..8_u8])
            .prop_map(|(client, scopes)| Op::AllowScopes { client, scopes: Scopes(scopes) }),
        3 => secret_of().prop_map(Op::AddSecret),
        3 => (secret_of(), 0..3_usize)
            .prop_map(|(client, secret)| Op::RetireSecret { client, secret }),
        2 => (client(), 0..3_usize).prop_map(|(client, secret)| Op::UseSecret { client, secret }),
        1 => Just(Op::Fence),
    ];
    let ring = prop_oneof![
        3 => Just(Op::AddKey),
        2 => (0..4_usize).prop_map(Op::PromoteKey),
        2 => (0..4_usize).prop_map(Op::RetireKey),
    ];
    prop_oneof![100 => calls, 13 => administration, keys => ring]
}

/// Any but the admin.
fn client() -> impl Strategy<Value = usize> {
    0..ADMIN
}

fn secret_of() -> impl Strategy<Value = usize> {
    prop_oneof![2 => Just(0), 1 => 0..CLIENTS]
}

/// Few, so that things meet.
fn user() -> impl Strategy<Value = usize> {
    prop_oneof![5 => Just(0), 2 => Just(1), 1 => Just(USERS - 1)]
}

fn issue(session: bool) -> impl Strategy<Value = Issue> {
    (
        prop_oneof![9 => prop::sample::select(vec![0_usize, 1, 4, 5, 5]), 1 => client()],
        prop_oneof![8 => Just(None), 2 => (0..CLIENTS).prop_map(Some)],
        prop_oneof![1 => Just(None), 4 => user().prop_map(Some)],
        prop_oneof![4 => Just(3_u8), 2 => 0..4_u8, 1 => 0..8_u8].prop_map(Scopes),
        prop_oneof![9 => Just(0_u8), 3 => 0..3_u8, 1 => 0..8_u8].prop_map(Audience),
        prop_oneof![4 => Just(None), 1 => Just(Some(40)), 1 => Just(Some(5_000))],
        prop_oneof![3 => Just(None), 2 => (0..2_usize).prop_map(Some)],
        prop_oneof![1 => Just(false), 4 => Just(true)],
    )
        .prop_map(
            move |(by, client, user, scopes, audience, ttl, request, register)| Issue {
                by,
                client,
                user,
                scopes,
                audience,
                ttl,
                session,
                request: request.filter(|_| session),
                register,
            },
        )
}

fn rotate() -> impl Strategy<Value = Rotate> {
    (
        prop_oneof![14 => Just(By::Owner), 1 => client().prop_map(By::Client)],
        prop_oneof![3 => Just(0_usize), 2 => 0..8_usize],
        prop_oneof![12 => Just(0_usize), 5 => Just(1), 4 => 2..4_usize],
        prop_oneof![8 => Just(0_u8), 1 => Just(1), 1 => 0..8_u8].prop_map(Scopes),
        prop_oneof![10 => Just(0_u8), 1 => 0..8_u8].prop_map(Audience),
        any::<bool>(),
    )
        .prop_map(
            |(by, session, generation, scopes, audience, agent)| Rotate {
                by,
                session,
                generation,
                scopes,
                audience,
                agent,
            },
        )
}

fn by() -> impl Strategy<Value = By> {
    prop_oneof![
        3 => Just(By::Owner),
        // The revoker.
        2 => Just(By::Client(2)),
        3 => (0..CLIENTS).prop_map(By::Client),
    ]
}

fn token() -> impl Strategy<Value = Token> {
    prop_oneof![
        3 => (0..12_usize).prop_map(Token::Access),
        2 => (0..6_usize, 0..4_usize)
            .prop_map(|(session, generation)| Token::Refresh { session, generation }),
    ]
}

fn target() -> impl Strategy<Value = Target> {
    prop_oneof![
        2 => (0..6_usize).prop_map(Target::Session),
        4 => token().prop_map(Target::Of),
        3 => (user(), prop::option::of(0..6_usize))
            .prop_map(|(user, except)| Target::User { user, except }),
    ]
}

/// Around the edges of the grace windows, lifetimes, idle timeouts, and the day of a
/// request id; small ones more often, since large ones end everything.
fn pass() -> impl Strategy<Value = u64> {
    prop_oneof![
        24 => prop::sample::select(vec![20_u64, 20, 31, 55, 100, 121]),
        4 => prop::sample::select(vec![560_u64, 601]),
        2 => prop::sample::select(vec![3_000_u64, 3_601, 82_800, 86_401]),
        1 => prop::sample::select(vec![604_801_u64, 2_592_001]),
    ]
}
