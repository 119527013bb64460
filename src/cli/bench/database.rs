//! The callers of the baselines: the same work, one statement or transaction a call, no server.

use crate::{
    bench::{
        Caller, Trouble,
        callers::BATCH,
        population::{Population, Random},
        sessions::{Families, Opened},
    },
    domain::{
        caller::{Access, Claim, Credentials},
        clock,
        issuance::{Opening, Order},
        refusal::Refusal,
        rotation::Presented,
        terms::{Audience, Scopes},
        tokens::{AccessToken, RefreshToken},
    },
    store::{
        StoreError,
        bench::{Baselines, NewLogin, NewRow, Step},
    },
};
use std::sync::Arc;

/// What every caller of a baseline has.
#[derive(Clone)]
pub(super) struct Database {
    pub(super) baselines: Baselines,
    pub(super) population: Arc<Population>,
    /// Who calls where the server's own transactions judge it.
    pub(super) credentials: Credentials,
    /// The scopes of what is issued there.
    pub(super) scopes: Scopes,
}

/// How a baseline does a call's work.
#[derive(Debug, Clone, Copy)]
pub(super) enum Way {
    /// By one autocommit statement that judges nothing.
    Statement,
    /// By plain statements in a transaction, of which none judges anything.
    Steps,
    /// By the server's own transaction, with what it reads and judges.
    Own,
}

impl Way {
    /// The way of the row of that name.
    pub(super) fn of(name: &str) -> Self {
        match name.rsplit('-').next() {
            Some("tx") => Self::Steps,
            Some("one") => Self::Own,
            _ => Self::Statement,
        }
    }
}

impl Database {
    fn claim(&self) -> Claim {
        Claim {
            credentials: self.credentials.clone(),
            access: Access::Authenticated,
            call: clock::uuid(),
        }
    }

    fn mint(&self) -> AccessToken {
        let now = u32::try_from(clock::now().timestamp()).unwrap_or(u32::MAX);
        AccessToken::mint(self.population.ring().minting(), now, &clock::random())
    }

    /// A new access token, minted as the server would.
    fn access(&self) -> NewRow {
        NewRow {
            digest: self.mint().digest(),
            token_id: clock::uuid(),
        }
    }
}

fn failed(error: StoreError) -> Trouble {
    Trouble::Failed(error.causes())
}

fn refused(refusal: &Refusal) -> Trouble {
    Trouble::Failed(refusal.to_string())
}

/// `pg-select`: the row of one token of a session.
pub(super) struct Selects(pub(super) Database, pub(super) Random);

impl Caller for Selects {
    async fn call(&mut self) -> Result<(), Trouble> {
        let of = &self.0.population;
        let token = of.session_token(self.1.below(of.session_tokens()));
        match self.0.baselines.select(&token.digest()).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Trouble::failed("not found, and should be")),
            Err(error) => Err(failed(error)),
        }
    }
}

/// `pg-read` and `pg-batch`: introspection's own statement over some tokens.
pub(super) struct Reads {
    database: Database,
    random: Random,
    tokens: usize,
}

impl Reads {
    /// One token a call.
    pub(super) fn one(database: Database) -> Self {
        Self::of(database, 1)
    }

    /// As many as a batch has.
    pub(super) fn batch(database: Database) -> Self {
        Self::of(database, BATCH)
    }

    fn of(database: Database, tokens: usize) -> Self {
        Self {
            database,
            random: Random::new(),
            tokens,
        }
    }
}

impl Caller for Reads {
    async fn call(&mut self) -> Result<(), Trouble> {
        let of = &self.database.population;
        let digests: Vec<_> = (0..self.tokens)
            .map(|_| self.random.below(of.session_tokens()))
            .map(|number| of.session_token(number).digest())
            .collect();
        let found = self.database.baselines.read(&digests).await;
        if found.map_err(failed)? >= self.tokens {
            Ok(())
        } else {
            Err(Trouble::failed("not found, and should be"))
        }
    }
}

/// `pg-insert`.
pub(super) struct Inserts(pub(super) Database);

impl Caller for Inserts {
    async fn call(&mut self) -> Result<(), Trouble> {
        let row = self.0.access();
        self.0.baselines.insert(&row).await.map_err(failed)
    }
}

/// `pg-open`, `pg-open-tx` and `pg-open-one`.
pub(super) struct Opens {
    pub(super) way: Way,
    pub(super) database: Database,
    pub(super) opened: Opened,
    pub(super) random: Random,
}

impl Caller for Opens {
    async fn call(&mut self) -> Result<(), Trouble> {
        let of = &self.database.population;
        let subject = of.subject(self.random.below(of.size().users));
        let refresh = RefreshToken::first(of.ring().minting(), clock::uuid(), clock::random());
        let (session_id, salt) = (refresh.session(), clock::random());
        let baselines = &self.database.baselines;
        if let Way::Own = self.way {
            let order = Order {
                claim: self.database.claim(),
                client_id: self.database.credentials.client_id,
                subject: Some(subject),
                register_subject: false,
                scopes: self.database.scopes.clone(),
                audience: Audience::default(),
                access_token_ttl: None,
                proof: None,
                access: self.database.mint(),
                token_id: clock::uuid(),
                opening: Some(Opening {
                    refresh,
                    salt,
                    user_agent: None,
                    ip_address: None,
                    request_id: None,
                }),
            };
            let issued = baselines.issue_one(order).await.map_err(failed)?;
            issued.map_err(|refusal| refused(&refusal))?;
        } else {
            let login = NewLogin {
                session_id,
                subject,
                refresh: refresh.digest(),
                salt,
                access: self.database.access(),
            };
            let opened = if let Way::Steps = self.way {
                baselines.open_session_in_steps(&login).await
            } else {
                baselines.open_session(&login).await
            };
            opened.map_err(failed)?;
        }
        self.opened.add(session_id);
        Ok(())
    }
}

/// `pg-rotate`, `pg-rotate-tx` and `pg-rotate-one`: the sessions of one part, in turn, as
/// `rotate` does.
pub(super) struct Rotates {
    pub(super) way: Way,
    pub(super) database: Database,
    pub(super) families: Arc<Families>,
    pub(super) part: usize,
}

impl Caller for Rotates {
    async fn call(&mut self) -> Result<(), Trouble> {
        let of = &self.database.population;
        let (at, token) = self.families.next(self.part).ok_or(Trouble::Exhausted)?;
        let number = self.families.number(self.part, at);
        let token = RefreshToken::parse(&token, of.ring())
            .map_err(|error| Trouble::Failed(error.to_string()))?;
        let successor = token.successor(&of.salt(number));
        let baselines = &self.database.baselines;
        if let Way::Own = self.way {
            let presented = Presented {
                claim: self.database.claim(),
                proof: None,
                token,
                scopes: Scopes::default(),
                audience: Audience::default(),
                access: self.database.mint(),
                token_id: clock::uuid(),
                user_agent: None,
                ip_address: None,
            };
            let rotated = baselines.rotate_one(presented).await.map_err(failed)?;
            rotated.result.map_err(|refusal| refused(&refusal))?;
            if rotated.replayed {
                return Err(Trouble::failed("replayed, so no step was taken"));
            }
        } else {
            let step = Step {
                session_id: token.session(),
                version: token.counter(),
                parent: token.digest(),
                child: successor.digest(),
                subject: of.subject(of.user_of(number)),
                access: self.database.access(),
            };
            let stepped = if let Way::Steps = self.way {
                baselines.rotate_in_steps(&step).await
            } else {
                baselines.rotate(&step).await
            };
            stepped.map_err(failed)?;
        }
        let text = successor.plaintext();
        self.families.put(self.part, at, text.reveal());
        Ok(())
    }
}

/// `pg-revoke`.
pub(super) struct Revokes {
    pub(super) database: Database,
    pub(super) opened: Opened,
}

impl Caller for Revokes {
    async fn call(&mut self) -> Result<(), Trouble> {
        let session = self.opened.take().ok_or(Trouble::Exhausted)?;
        let revoked = self.database.baselines.revoke(session).await;
        revoked.map_err(failed)
    }
}
