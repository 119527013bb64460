//! Everything that the rows' callers need, and the callers of each row.

use super::database::{self, Database, Way};
use crate::{
    bench::{
        Caller, Callers, Crew, Trouble,
        callers::{Batches, Echoes, Introspects, Tokens},
        checks::Checks,
        population::Random,
        sessions::{Families, Opened},
        wire::Wire,
        writers::{Issues, Mixes, Revokes, Rotates, Subjects},
    },
    driver::Streams,
    proto::v1,
};
use std::sync::Arc;

/// What is called, and with what.
pub(super) struct Field {
    /// The bare echo.
    pub(super) echo: Wire,
    /// Bytes of its message.
    pub(super) message_bytes: usize,
    /// The authority.
    pub(super) authority: Wire,
    /// Tokens of each kind.
    pub(super) tokens: Kinds,
    /// The audience that checks demand; none where the caller may not check.
    pub(super) audience: Option<String>,
    /// The terms of what is issued.
    pub(super) issue: v1::IssueTokenRequest,
    /// Sessions; none where the caller may open none.
    pub(super) sessions: Option<Sessions>,
    /// The database; none where it is another's.
    pub(super) database: Option<Database>,
    /// Callers of a row.
    pub(super) concurrency: usize,
}

/// The tokens that are asked about.
pub(super) struct Kinds {
    /// Of sessions; client-only ones where there are no sessions.
    pub(super) of_sessions: Tokens,
    /// Client-only.
    pub(super) of_clients: Tokens,
    /// Authentic and not alive.
    pub(super) unknown: Tokens,
    /// Not authentic.
    pub(super) forged: Tokens,
}

/// What there is of sessions.
pub(super) struct Sessions {
    /// Whom they are opened for.
    pub(super) subjects: Subjects,
    /// Those that are rotated.
    pub(super) families: Arc<Families>,
    /// Those that were opened and not revoked yet.
    pub(super) opened: Opened,
}

impl Field {
    /// The callers of a row; none where something of it is missing.
    pub(super) fn crew(&self, name: &str, callers: usize) -> Option<Box<dyn Crew>> {
        let (wire, tokens) = (&self.authority, &self.tokens);
        let introspects = |tokens: &Tokens, active| {
            let one = |caller| Introspects::new(wire, caller, tokens.clone(), active);
            crew(callers, one)
        };
        Some(match name {
            "echo" => crew(callers, |caller| {
                Echoes::new(&self.echo, caller, self.message_bytes)
            }),
            "introspect" => introspects(&tokens.of_sessions, true),
            "introspect-client" => introspects(&tokens.of_clients, true),
            "introspect-unknown" => introspects(&tokens.unknown, false),
            "introspect-forged" => introspects(&tokens.forged, false),
            "check" => {
                let audience = self.audience.as_ref()?;
                crew(callers, |caller| {
                    Checks::new(wire, caller, tokens.of_sessions.clone(), audience)
                })
            }
            "batch-introspect" => crew(callers, |caller| {
                Batches::new(wire, caller, tokens.of_sessions.clone())
            }),
            "issue" => crew(callers, |caller| self.issues(caller)),
            "open" | "rotate" | "revoke" | "mix" => {
                return self.sessions_crew(name, self.sessions.as_ref()?, callers);
            }
            _ => return self.database_crew(name, self.database.as_ref()?, callers),
        })
    }

    fn issues(&self, caller: usize) -> Issues {
        Issues::new(&self.authority, caller, self.issue.clone())
    }

    fn sessions_crew(
        &self,
        name: &str,
        sessions: &Sessions,
        callers: usize,
    ) -> Option<Box<dyn Crew>> {
        let wire = &self.authority;
        let opens = |caller, opened| {
            let subjects = sessions.subjects.clone();
            self.issues(caller).opening(subjects, opened)
        };
        let rotates = |caller| Rotates::new(wire, caller, &sessions.families);
        Some(match name {
            "open" => crew(callers, |caller| opens(caller, sessions.opened.clone())),
            "rotate" => crew(callers, rotates),
            "revoke" => crew(callers, |caller| {
                Revokes::new(wire, caller, sessions.opened.clone())
            }),
            "mix" => crew(callers, |caller| Mixes {
                introspects: Introspects::new(wire, caller, self.tokens.of_sessions.clone(), true),
                issues: self.issues(caller),
                opens: opens(caller, sessions.opened.clone()),
                rotates: rotates(caller),
                revokes: Revokes::new(wire, caller, sessions.opened.clone()),
            }),
            _ => return None,
        })
    }

    fn database_crew(
        &self,
        name: &str,
        database: &Database,
        callers: usize,
    ) -> Option<Box<dyn Crew>> {
        let here = || database.clone();
        let sessions = self.sessions.as_ref()?;
        Some(match name {
            "pg-select" => crew(callers, |_| database::Selects(here(), Random::new())),
            "pg-read" => crew(callers, |_| database::Reads::one(here())),
            "pg-batch" => crew(callers, |_| database::Reads::batch(here())),
            "pg-insert" => crew(callers, |_| database::Inserts(here())),
            "pg-open" | "pg-open-tx" | "pg-open-one" => crew(callers, |_| database::Opens {
                way: Way::of(name),
                database: here(),
                opened: sessions.opened.clone(),
                random: Random::new(),
            }),
            "pg-rotate" | "pg-rotate-tx" | "pg-rotate-one" => {
                crew(callers, |caller| database::Rotates {
                    way: Way::of(name),
                    database: here(),
                    families: Arc::clone(&sessions.families),
                    part: caller % sessions.families.parts(),
                })
            }
            "pg-revoke" => crew(callers, |_| database::Revokes {
                database: here(),
                opened: sessions.opened.clone(),
            }),
            _ => return None,
        })
    }

    /// Callers that open sessions over gRPC until there are as many to be revoked.
    pub(super) fn openers(&self, wanted: usize) -> Option<Box<dyn Crew>> {
        let sessions = self.sessions.as_ref()?;
        Some(crew(self.concurrency, |caller| Until {
            opened: sessions.opened.clone(),
            wanted,
            opens: self
                .issues(caller)
                .opening(sessions.subjects.clone(), sessions.opened.clone()),
        }))
    }
}

fn crew<C: Caller>(callers: usize, one: impl Fn(usize) -> C) -> Box<dyn Crew> {
    Box::new(Callers((0..callers).map(one).collect()))
}

/// Opens sessions until there are enough.
struct Until {
    opened: Opened,
    wanted: usize,
    opens: Issues,
}

impl Caller for Until {
    async fn call(&mut self) -> Result<(), Trouble> {
        if self.opened.count() >= self.wanted {
            return Err(Trouble::Exhausted);
        }
        self.opens.call().await
    }

    fn task(&self) -> Option<Streams> {
        self.opens.task()
    }
}
