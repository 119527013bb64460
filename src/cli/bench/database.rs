//! The callers of the baselines: the same work, one statement a call, no server.

use crate::{
    bench::{
        Caller, Trouble,
        callers::BATCH,
        population::{Population, Random},
        sessions::{Families, Opened},
    },
    domain::{
        clock,
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
}

impl Database {
    /// A new access token, minted as the server would.
    fn access(&self) -> NewRow {
        let now = u32::try_from(clock::now().timestamp()).unwrap_or(u32::MAX);
        let key = self.population.ring().minting();
        NewRow {
            digest: AccessToken::mint(key, now, &clock::random()).digest(),
            token_id: clock::uuid(),
        }
    }
}

fn failed(error: StoreError) -> Trouble {
    Trouble::Failed(error.causes())
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

/// `pg-open` and `pg-open-tx`.
pub(super) struct Opens {
    /// By plain statements in a transaction.
    pub(super) in_steps: bool,
    pub(super) database: Database,
    pub(super) opened: Opened,
    pub(super) random: Random,
}

impl Caller for Opens {
    async fn call(&mut self) -> Result<(), Trouble> {
        let of = &self.database.population;
        let key = of.ring().minting();
        let login = NewLogin {
            session_id: clock::uuid(),
            subject: of.subject(self.random.below(of.size().users)),
            refresh: RefreshToken::first(key, clock::uuid(), clock::random()).digest(),
            salt: clock::random(),
            access: self.database.access(),
        };
        let baselines = &self.database.baselines;
        let opened = if self.in_steps {
            baselines.open_session_in_steps(&login).await
        } else {
            baselines.open_session(&login).await
        };
        opened.map_err(failed)?;
        self.opened.add(login.session_id);
        Ok(())
    }
}

/// `pg-rotate` and `pg-rotate-tx`: the sessions of one part, in turn, as `rotate` does.
pub(super) struct Rotates {
    /// By plain statements in a transaction.
    pub(super) in_steps: bool,
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
        let step = Step {
            session_id: token.session(),
            version: token.counter(),
            parent: token.digest(),
            child: successor.digest(),
            subject: of.subject(of.user_of(number)),
            access: self.database.access(),
        };
        let baselines = &self.database.baselines;
        let stepped = if self.in_steps {
            baselines.rotate_in_steps(&step).await
        } else {
            baselines.rotate(&step).await
        };
        stepped.map_err(failed)?;
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
