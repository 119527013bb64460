//! What may happen.
//!
//! An operation names earlier things by numbers that are taken modulo what there is, the
//! newest first, so any part of a history is a history and shrinking works.

use super::{
    clients::ADMIN,
    terms::{Audience, Scopes},
    world::World,
};

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
    /// The session of a token.
    Of(Token),
    User {
        user: usize,
        except: Option<usize>,
    },
}

/// Any token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token {
    Access(usize),
    Refresh { session: usize, generation: usize },
}

impl Op {
    /// Whether nothing changes by it, whatever is answered.
    pub fn only_reads(&self) -> bool {
        matches!(
            self,
            Self::Introspect { .. } | Self::BatchIntrospect { .. } | Self::ListSessions { .. }
        )
    }

    /// The operation over what there is; `None` where there is nothing of the kind.
    pub fn resolved(&self, world: &World) -> Option<Self> {
        let mut op = self.clone();
        match &mut op {
            Self::Issue(issue) if issue.session => issue.user = issue.user.or(Some(0)),
            Self::Rotate(rotate) => {
                rotate.session = newest(rotate.session, world.sessions.len())?;
                let steps = world.sessions[rotate.session].version();
                rotate.generation = newest(rotate.generation, steps + 1)?;
                let owner = world.sessions[rotate.session].client;
                rotate.by = rotate.by.or(owner);
            }
            Self::RevokeSession { by, target } => {
                *by = by.or(target.resolve(world)?);
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
            // Who has one to spare, if anyone has.
            Self::RetireSecret { client, secret } => {
                let rich = numbers(&world.clients, |client| client.secrets.len() > 1);
                *client = picked(&rich, *client).unwrap_or(*client);
                *secret = newest(*secret, world.clients[*client].secrets.len())?;
            }
            Self::UseSecret { client, secret } => {
                *secret = newest(*secret, world.clients[*client].secrets.len())?;
            }
            // Who is disabled already, if anyone is.
            Self::EnableUser(user) => {
                let disabled = numbers(&world.users, |user| user.disabled);
                *user = picked(&disabled, *user).unwrap_or(*user);
            }
            Self::EnableClient(client) => {
                let disabled = numbers(&world.clients, |client| client.disabled);
                *client = picked(&disabled, *client).unwrap_or(*client);
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
    /// Resolves it; its owner, or any issuer for a user's sessions.
    fn resolve(&mut self, world: &World) -> Option<usize> {
        match self {
            Self::Session(session) => {
                *session = newest(*session, world.sessions.len())?;
                Some(world.sessions[*session].client)
            }
            Self::Of(token) => token.resolve(world),
            Self::User { except, .. } => {
                if let Some(session) = except {
                    *session = newest(*session, world.sessions.len())?;
                }
                Some(0)
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

fn numbers<T>(all: &[T], which: impl Fn(&T) -> bool) -> Vec<usize> {
    (0..all.len())
        .filter(|number| which(&all[*number]))
        .collect()
}

fn picked(numbers: &[usize], number: usize) -> Option<usize> {
    (!numbers.is_empty()).then(|| numbers[number % numbers.len()])
}
