//! What may happen, and how histories are made.
//!
//! An operation names earlier things by numbers that are taken modulo what there is, the
//! newest first, so any part of a history is a history and shrinking works.

use super::{
    clients::{ADMIN, CLIENTS},
    terms::{Audience, Scopes},
    world::World,
};
use proptest::prelude::*;

/// Users of a case; the last is not registered at first.
pub const USERS: usize = 3;
/// A client that nobody registered, as the client that a token is asked for.
pub const NOBODY: usize = ADMIN;

/// One thing that happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    Issue(Issue),
    Rotate(Rotate),
    RevokeSession {
        by: By,
        target: Target,
    },
    RevokeToken {
        by: By,
        token: Token,
    },
    Introspect {
        by: By,
        token: Token,
    },
    BatchIntrospect {
        by: usize,
        tokens: Vec<Token>,
    },
    ListSessions {
        by: usize,
        user: usize,
        page_size: u32,
    },
    DisableUser(usize),
    EnableUser(usize),
    DisableClient(usize),
    EnableClient(usize),
    CutOffClient(usize),
    AllowScopes {
        client: usize,
        scopes: Scopes,
    },
    AddSecret(usize),
    RetireSecret {
        client: usize,
        secret: usize,
    },
    /// A token for the caller itself, asked for with one of its secrets, live or not.
    UseSecret {
        client: usize,
        secret: usize,
    },
    Fence,
    /// Seconds.
    Pass(u64),
    AddKey,
    PromoteKey(usize),
    RetireKey(usize),
}

/// `IssueToken`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    pub by: usize,
    /// `None`: the caller's own.
    pub client: Option<usize>,
    pub user: Option<usize>,
    pub scopes: Scopes,
    pub audience: Audience,
    /// Seconds.
    pub ttl: Option<u64>,
    pub session: bool,
    pub request: Option<usize>,
    pub register: bool,
}

/// `RotateRefresh`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotate {
    pub by: By,
    pub session: usize,
    /// Made: how many steps behind the newest. Resolved: the generation.
    pub generation: usize,
    pub scopes: Scopes,
    pub audience: Audience,
    /// With another user agent.
    pub agent: bool,
}

/// Who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The client whose token or session it is; never left in a resolved operation.
    Owner,
    /// This one.
    Client(usize),
}

/// What `RevokeSession` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    Session(usize),
    Refresh { session: usize, generation: usize },
    Access(usize),
    User { user: usize, except: Option<usize> },
}

/// Any token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token {
    Access(usize),
    Refresh { session: usize, generation: usize },
}

impl Op {
    /// The operation over what there is; `None` where there is nothing of the kind.
    pub fn resolved(&self, world: &World) -> Option<Self> {
        let mut op = self.clone();
        match &mut op {
            Self::Issue(issue) if issue.session => issue.user = issue.user.or(Some(0)),
            Self::Issue(_) => {}
            Self::Rotate(rotate) => {
                rotate.session = newest(rotate.session, world.sessions.len())?;
                let steps = world.sessions[rotate.session].version();
                rotate.generation = newest(rotate.generation, steps + 1)?;
                let owner = world.sessions[rotate.session].client;
                rotate.by = rotate.by.or(owner);
            }
            Self::RevokeSession { by, target } => {
                let owner = target.resolve(world)?;
                *by = by.or(owner.unwrap_or_default());
            }
            Self::RevokeToken { by, token } | Self::Introspect { by, token } => {
                *by = by.or(token.resolve(world)?);
            }
            Self::BatchIntrospect { tokens, .. } => {
                tokens.retain_mut(|token| token.resolve(world).is_some());
                if tokens.is_empty() {
                    return None;
                }
            }
            Self::RetireSecret { client, secret } | Self::UseSecret { client, secret } => {
                *secret = newest(*secret, world.clients[*client].secrets.len())?;
            }
            Self::PromoteKey(key) | Self::RetireKey(key) => {
                *key = world.ring[*key % world.ring.len()];
                // A ring is never empty.
                if world.ring.len() == 1 {
                    return None;
                }
            }
            _ => {}
        }
        Some(op)
    }
}

impl By {
    fn or(self, owner: usize) -> Self {
        match self {
            Self::Owner => Self::Client(owner),
            Self::Client(client) => Self::Client(client),
        }
    }

    /// The client of a resolved operation.
    pub fn client(self) -> usize {
        match self {
            Self::Client(client) => client,
            Self::Owner => unreachable!("resolved"),
        }
    }
}

impl Target {
    /// Resolves it; its owner, if it is one client's.
    fn resolve(&mut self, world: &World) -> Option<Option<usize>> {
        match self {
            Self::Session(session) => {
                *session = newest(*session, world.sessions.len())?;
                Some(Some(world.sessions[*session].client))
            }
            Self::Refresh {
                session,
                generation,
            } => {
                let mut token = Token::Refresh {
                    session: *session,
                    generation: *generation,
                };
                let owner = token.resolve(world)?;
                if let Token::Refresh {
                    session: s,
                    generation: g,
                } = token
                {
                    (*session, *generation) = (s, g);
                }
                Some(Some(owner))
            }
            Self::Access(access) => {
                *access = newest(*access, world.access.len())?;
                Some(Some(world.access[*access].client))
            }
            Self::User { except, .. } => {
                if let Some(session) = except {
                    *session = newest(*session, world.sessions.len())?;
                }
                Some(None)
            }
        }
    }
}

impl Token {
    /// Resolves it; its owner.
    fn resolve(&mut self, world: &World) -> Option<usize> {
        match self {
            Self::Access(access) => {
                *access = newest(*access, world.access.len())?;
                Some(world.access[*access].client)
            }
            Self::Refresh {
                session,
                generation,
            } => {
                *session = newest(*session, world.sessions.len())?;
                let steps = world.sessions[*session].version();
                *generation = newest(*generation, steps + 1)?;
                Some(world.sessions[*session].client)
            }
        }
    }
}

/// The `back`th from the end.
fn newest(back: usize, len: usize) -> Option<usize> {
    (len > 0).then(|| len - 1 - back % len)
}

/// Histories, without or with changes of the key ring.
pub fn histories(keys: bool, longest: usize) -> impl Strategy<Value = Vec<Op>> {
    prop::collection::vec(op(if keys { 8 } else { 0 }), 1..=longest)
}

fn op(keys: u32) -> impl Strategy<Value = Op> {
    let client = 0..ADMIN;
    let user = 0..USERS;
    let own = prop_oneof![
        24 => issue(true).prop_map(Op::Issue),
        8 => issue(false).prop_map(Op::Issue),
        34 => rotate().prop_map(Op::Rotate),
        8 => (by(), target()).prop_map(|(by, target)| Op::RevokeSession { by, target }),
        4 => (by(), token()).prop_map(|(by, token)| Op::RevokeToken { by, token }),
        8 => (by(), token()).prop_map(|(by, token)| Op::Introspect { by, token }),
        3 => (0..CLIENTS, prop::collection::vec(token(), 1..6))
            .prop_map(|(by, tokens)| Op::BatchIntrospect { by, tokens }),
        5 => (0..CLIENTS, user.clone(), 0..3_u32)
            .prop_map(|(by, user, page_size)| Op::ListSessions { by, user, page_size }),
        16 => pass().prop_map(Op::Pass),
    ];
    let administration = prop_oneof![
        2 => user.clone().prop_map(Op::DisableUser),
        3 => user.prop_map(Op::EnableUser),
        2 => client.clone().prop_map(Op::DisableClient),
        3 => client.clone().prop_map(Op::EnableClient),
        2 => client.clone().prop_map(Op::CutOffClient),
        3 => (client, 0..8_u8).prop_map(|(client, scopes)| Op::AllowScopes {
            client,
            scopes: Scopes(scopes),
        }),
        2 => (0..CLIENTS).prop_map(Op::AddSecret),
        2 => (0..CLIENTS, 0..3_usize)
            .prop_map(|(client, secret)| Op::RetireSecret { client, secret }),
        2 => (0..ADMIN, 0..3_usize)
            .prop_map(|(client, secret)| Op::UseSecret { client, secret }),
        1 => Just(Op::Fence),
    ];
    let ring = prop_oneof![
        3 => Just(Op::AddKey),
        2 => (0..4_usize).prop_map(Op::PromoteKey),
        2 => (0..4_usize).prop_map(Op::RetireKey),
    ];
    prop_oneof![100 => own, 14 => administration, keys => ring]
}

fn issue(session: bool) -> impl Strategy<Value = Issue> {
    (
        prop_oneof![6 => prop::sample::select(vec![0_usize, 1, 4, 5]), 1 => 0..ADMIN],
        prop_oneof![4 => Just(None), 2 => (0..CLIENTS).prop_map(Some)],
        prop_oneof![1 => Just(None), 4 => (0..USERS).prop_map(Some)],
        prop_oneof![3 => Just(3_u8), 2 => 0..4_u8, 1 => 0..8_u8].prop_map(Scopes),
        prop_oneof![3 => Just(0_u8), 2 => 0..4_u8, 1 => 0..8_u8].prop_map(Audience),
        prop_oneof![4 => Just(None), 1 => Just(Some(40)), 1 => Just(Some(5_000))],
        prop_oneof![2 => Just(None), 1 => (0..2_usize).prop_map(Some)],
        prop_oneof![2 => Just(true), 1 => Just(false)],
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
        prop_oneof![9 => Just(By::Owner), 1 => (0..CLIENTS).prop_map(By::Client)],
        prop_oneof![3 => Just(0_usize), 2 => 0..8_usize],
        prop_oneof![5 => Just(0_usize), 3 => Just(1), 2 => 2..6_usize],
        prop_oneof![4 => Just(0_u8), 1 => 0..8_u8].prop_map(Scopes),
        prop_oneof![6 => Just(0_u8), 1 => 0..8_u8].prop_map(Audience),
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
    prop_oneof![2 => Just(By::Owner), 3 => (0..CLIENTS).prop_map(By::Client)]
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
        2 => (0..6_usize, 0..4_usize)
            .prop_map(|(session, generation)| Target::Refresh { session, generation }),
        2 => (0..12_usize).prop_map(Target::Access),
        3 => (0..USERS, prop::option::of(0..6_usize))
            .prop_map(|(user, except)| Target::User { user, except }),
    ]
}

/// Around the edges of the grace windows, lifetimes, idle timeouts, and the day of a
/// request id; small ones more often, since large ones end everything.
fn pass() -> impl Strategy<Value = u64> {
    prop_oneof![
        8 => prop::sample::select(vec![20_u64, 31, 55, 100, 121]),
        3 => prop::sample::select(vec![560_u64, 601]),
        2 => prop::sample::select(vec![3_000_u64, 3_601, 82_800, 86_401]),
        1 => prop::sample::select(vec![604_801_u64, 2_592_001]),
    ]
}
