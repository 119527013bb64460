//! What stands in the tables, against the model.

use super::{administration::quoted, case::Case, world::World};
use std::fmt::Write as _;
use uuid::Uuid;

impl Case<'_> {
    /// Leaves what earlier cases did behind: their fence and their events.
    pub async fn forget(&mut self) {
        let sql = &self.at.sql;
        sql.execute("UPDATE countersign.authority SET not_before = NULL", &[])
            .await
            .unwrap();
        let last = "SELECT coalesce(max(id), 0) FROM countersign.event";
        self.read_events = sql.query_one(last, &[]).await.unwrap().get(0);
    }

    /// The events since the last time, sorted.
    pub async fn new_events(&mut self) -> Vec<String> {
        let rows = self
            .at
            .sql
            .query(
                "SELECT id, concat_ws(':', kind, reason), session_id, token_id, client_id, \
                 subject, actor FROM countersign.event WHERE id > $1 ORDER BY id",
                &[&self.read_events],
            )
            .await
            .unwrap();
        let mut events = Vec::new();
        for row in rows {
            self.read_events = row.get(0);
            let kind: String = row.get(1);
            let about = match kind.split('_').next() {
                Some("session") => row.get(2),
                Some("token") => row.get(3),
                Some("client" | "secret") => row.get(4),
                Some("subject") => row.get(5),
                _ => None,
            };
            let (about, actor) = (self.someone(about), self.someone(row.get(6)));
            events.push(format!("{kind} of {about} by {actor}"));
        }
        events.sort();
        events
    }

    fn someone(&self, id: Option<Uuid>) -> String {
        id.map_or_else(|| "nobody".into(), |id| self.name(&id.to_string()))
    }

    /// Every session of the case, as its rows tell it.
    pub async fn stored(&self) -> Vec<String> {
        let clients = quoted(self.clients.iter().map(|client| client.id.as_str()));
        let users = quoted(self.users.iter().map(String::as_str));
        // A session without grant shows as one that nobody knows of.
        let read = format!(
            "SELECT coalesce(g.session_id, s.jti), g.end_reason, s.refresh_version, \
             ARRAY(SELECT concat_ws(' ', t.token, CASE WHEN t.revoked THEN 'revoked' END) \
                   FROM auth.refresh_tokens t WHERE t.session_id = g.session_id ORDER BY t.id), \
             ARRAY(SELECT coalesce(t.parent, '') \
                   FROM auth.refresh_tokens t WHERE t.session_id = g.session_id ORDER BY t.id), \
             g.ended_at IS NOT NULL \
             FROM (SELECT * FROM countersign.session_grant WHERE client_id IN ({clients})) g \
             FULL JOIN (SELECT s.* FROM auth.refresh_session s JOIN auth.\"user\" b ON b.id = s.user_id \
                   WHERE b.sub IN ({users})) s ON s.jti = g.session_id \
             ORDER BY 1"
        );
        let rows = self.at.sql.query(&read, &[]).await.unwrap();
        let mut stored: Vec<_> = rows
            .iter()
            .map(|row| {
                let id: Uuid = row.get(0);
                let version: Option<i32> = row.get(2);
                let (ledger, parents): (Vec<String>, Vec<String>) = (row.get(3), row.get(4));
                let mut told = self.name(&id.to_string());
                match (
                    row.get::<_, Option<&str>>(1),
                    version,
                    row.get::<_, bool>(5),
                ) {
                    (Some(reason), None, true) => write!(told, ": ended, {reason}"),
                    (None, Some(version), false) => write!(told, ": stands at {version}"),
                    odd => write!(told, ": makes no sense, {odd:?}"),
                }
                .unwrap();
                let digest = |row: &String| row.split(' ').next().unwrap_or_default().to_owned();
                let chained = parents.iter().enumerate().all(|(at, parent)| match at {
                    0 => parent.is_empty(),
                    at => *parent == digest(&ledger[at - 1]),
                });
                let chain = if chained { "a chain" } else { "no chain" };
                let live: Vec<_> = ledger
                    .iter()
                    .enumerate()
                    .filter(|(_, row)| !row.ends_with(" revoked"))
                    .map(|(at, _)| at)
                    .collect();
                write!(
                    told,
                    "; ledger: {chain} of {}, not revoked: {live:?}",
                    ledger.len()
                )
                .unwrap();
                told
            })
            .collect();
        stored.sort();
        stored
    }

    /// Whether any token or secret of the case stands in the clear in a row of the case.
    pub async fn in_the_clear(&self) -> Option<&'static str> {
        let clients = quoted(self.clients.iter().map(|client| client.id.as_str()));
        let of_clients = format!("client_id IN ({clients})");
        let of_ledger = format!("instance_id IN ({clients})");
        let of_grants =
            format!("jti IN (SELECT session_id FROM countersign.session_grant WHERE {of_clients})");
        let tables = [
            ("auth.refresh_session", of_grants.as_str()),
            ("auth.refresh_tokens", &of_ledger),
            ("public.oauth_access_tokens", &of_clients),
            ("countersign.session_grant", &of_clients),
            ("countersign.client", &of_clients),
            ("countersign.client_secret", &of_clients),
            ("countersign.event", &of_clients),
        ];
        let known = |text: &str| {
            let refresh = self.sessions.iter().flat_map(|login| &login.tokens);
            let access = self.access.iter().map(|(token, _)| token);
            let secrets = self.clients.iter().flat_map(|client| &client.secrets);
            refresh
                .chain(access)
                .chain(secrets.map(|(secret, _)| secret))
                .any(|token| text.contains(token.as_str()))
        };
        for (table, which) in tables {
            let read = format!("SELECT string_agg(t::text, ' ') FROM {table} t WHERE {which}");
            let text: Option<String> = self.at.sql.query_one(&read, &[]).await.unwrap().get(0);
            if known(&text.unwrap_or_default()) {
                return Some(table);
            }
        }
        None
    }
}

impl World {
    /// Every session, as its rows should tell it.
    pub fn stored(&self) -> Vec<String> {
        let told = self.sessions.iter().enumerate().map(|(number, session)| {
            let version = session.version();
            let (state, live) = match session.ended {
                Some(why) => (format!("ended, {why}"), "[]".to_owned()),
                None => (format!("stands at {version}"), format!("[{version}]")),
            };
            let rows = version + 1;
            format!("session {number}: {state}; ledger: a chain of {rows}, not revoked: {live}")
        });
        let mut stored: Vec<_> = told.collect();
        stored.sort();
        stored
    }
}
