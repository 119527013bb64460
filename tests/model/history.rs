//! An operation in words, without any token's text.

use super::{
    operations::{By, Issue, Op, Rotate, Target, Token},
    terms::{Audience, Scopes},
};
use std::fmt::{Display, Formatter, Result};

impl Display for Op {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Issue(issue) => issue.fmt(f),
            Self::Rotate(rotate) => rotate.fmt(f),
            Self::RevokeSession { by, target } => write!(f, "{by} revokes {target}"),
            Self::RevokeToken { by, token } => write!(f, "{by} revokes the token {token}"),
            Self::Introspect { by, token } => write!(f, "{by} introspects {token}"),
            Self::BatchIntrospect { by, tokens } => {
                let tokens: Vec<_> = tokens.iter().map(ToString::to_string).collect();
                write!(f, "client {by} introspects at once: {}", tokens.join("; "))
            }
            Self::ListSessions {
                by,
                user,
                page_size,
            } => write!(
                f,
                "client {by} lists the sessions of user {user}, {page_size} a page"
            ),
            Self::DisableUser(user) => write!(f, "user {user} is disabled"),
            Self::EnableUser(user) => write!(f, "user {user} is enabled"),
            Self::DisableClient(client) => write!(f, "client {client} is disabled"),
            Self::EnableClient(client) => write!(f, "client {client} is enabled"),
            Self::CutOffClient(client) => write!(f, "client {client} is cut off"),
            Self::AllowScopes { client, scopes } => {
                write!(f, "client {client} may have{scopes} and no other scope")
            }
            Self::AddSecret(client) => write!(f, "client {client} gets another secret"),
            Self::RetireSecret { client, secret } => {
                write!(f, "secret {secret} of client {client} is retired")
            }
            Self::UseSecret { client, secret } => {
                write!(
                    f,
                    "client {client} asks for a token with its secret {secret}"
                )
            }
            Self::Fence => write!(f, "the fence is raised"),
            Self::Pass(seconds) => write!(f, "{seconds} s pass"),
            Self::AddKey => write!(f, "a key is added"),
            Self::PromoteKey(key) => write!(f, "key {key} is promoted"),
            Self::RetireKey(key) => write!(f, "key {key} is retired"),
        }
    }
}

impl Display for Issue {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let what = if self.session {
            "opens a session"
        } else {
            "asks for a token"
        };
        write!(f, "client {} {what}", self.by)?;
        if let Some(client) = self.client {
            write!(f, " of client {client}")?;
        }
        if let Some(user) = self.user {
            write!(f, " for user {user}")?;
            if self.register {
                write!(f, ", to be registered")?;
            }
        }
        write!(f, " with{}{}", self.scopes, self.audience)?;
        if let Some(seconds) = self.ttl {
            write!(f, ", {seconds} s")?;
        }
        match self.request {
            Some(request) => write!(f, ", request id {request}"),
            None => Ok(()),
        }
    }
}

impl Display for Rotate {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self {
            by,
            session,
            generation,
            ..
        } = self;
        write!(f, "{by} rotates session {session}, generation {generation}")?;
        if self.scopes.0 != 0 || !self.audience.is_empty() {
            write!(f, ", narrowed to{}{}", self.scopes, self.audience)?;
        }
        if self.agent {
            write!(f, ", from another user agent")?;
        }
        Ok(())
    }
}

impl Display for By {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Owner => write!(f, "its client"),
            Self::Client(client) => write!(f, "client {client}"),
        }
    }
}

impl Display for Target {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Session(session) => write!(f, "session {session} by its id"),
            Self::Of(token) => write!(f, "the session of {token}"),
            Self::User { user, except } => {
                write!(f, "the sessions of user {user}")?;
                match except {
                    Some(session) => write!(f, " but session {session}"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl Display for Token {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Access(access) => write!(f, "access {access}"),
            Self::Refresh {
                session,
                generation,
            } => write!(f, "session {session}, generation {generation}"),
        }
    }
}

impl Display for Scopes {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        listed(f, "no scope", &self.words())
    }
}

impl Display for Audience {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        listed(f, "", &self.words())
    }
}

fn listed(f: &mut Formatter<'_>, none: &str, words: &[String]) -> Result {
    if words.is_empty() && none.is_empty() {
        Ok(())
    } else if words.is_empty() {
        write!(f, " {none}")
    } else {
        write!(f, " {}", words.join(" "))
    }
}
