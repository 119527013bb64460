//! Every path that ends a token passes one choke point, which writes its rows of
//! `countersign.event` in the same transaction: what, whom, by whom, why, when, in which call.

mod paths;
mod reading;

use crate::support::{
    audit::AuditFile,
    server::{Caller, Deployment, Refused, settings},
};
use countersign::proto::v1::{self, Role};
use paths::{PATHS, Path};
use std::collections::HashMap;
use tonic::Code;
use uuid::Uuid;

/// One server, its audit stream, and those who call.
struct Stage {
    at: Deployment,
    audit: AuditFile,
    revoker: Caller,
}

/// What one path is tried on: a client and a user of its own.
struct Scene<'a> {
    stage: &'a Stage,
    issuer: Caller,
    subject: String,
    /// Opened with the request id `again`.
    login: v1::IssueTokenResponse,
    /// A session of the same client and user.
    other: v1::IssueTokenResponse,
    /// Somebody who is not there yet.
    stranger: String,
}

impl Stage {
    async fn set() -> Self {
        let audit = AuditFile::new();
        let path = audit.path();
        let at = Deployment::start_with(1, &[("COUNTERSIGN_AUDIT_OUTPUT", &path)]).await;
        let revoker = at.client(&[Role::Revoker]).await;
        Self { at, audit, revoker }
    }

    async fn scene(&self) -> Scene<'_> {
        let issuer = self
            .at
            .client_with(v1::ClientSettings {
                roles: vec![Role::Issuer.into()],
                sessions_per_user: 2,
                session_limit_policy: v1::SessionLimitPolicy::EndLeastRecentlyUsed.into(),
                rotation_grace: Some(prost_types::Duration::default()),
                ..settings()
            })
            .await;
        let subject = self.at.user().await;
        let open = |request_id: &str| v1::IssueTokenRequest {
            subject: subject.clone(),
            with_refresh_token: !request_id.is_empty(),
            request_id: request_id.into(),
            ..Default::default()
        };
        let login = issuer.issue(open("again")).await.unwrap();
        let other = issuer.issue(open("other")).await.unwrap();
        // And one of the user's without a session.
        issuer.issue(open("")).await.unwrap();
        self.audit.news(&self.at).await;
        Scene {
            login,
            other,
            stage: self,
            issuer,
            subject,
            stranger: countersign::domain::clock::uuid().to_string(),
        }
    }

    /// The events after an id: `kind reason token session client subject actor`, each id by
    /// what it is in the scene, and the call's own id.
    async fn events(&self, after: i64, scene: &Scene<'_>) -> Vec<(String, Option<String>)> {
        let names = scene.names().await;
        let name = |id: Option<Uuid>| match id {
            None => "-".to_owned(),
            Some(id) => names.get(&id.to_string()).cloned().unwrap_or("new".into()),
        };
        let events = "SELECT kind, coalesce(reason, '-'), token_id, session_id, client_id, \
                             subject, actor, request \
                      FROM countersign.event WHERE id > $1 ORDER BY id";
        let rows = self.at.sql.query(events, &[&after]).await.unwrap();
        rows.iter()
            .map(|row| {
                let told = [
                    row.get(0),
                    row.get(1),
                    name(row.get(2)),
                    name(row.get(3)),
                    name(row.get(4)),
                    name(row.get(5)),
                    name(row.get(6)),
                ];
                (told.join(" "), row.get(7))
            })
            .collect()
    }

    async fn last_event(&self) -> i64 {
        let last = "SELECT coalesce(max(id), 0) FROM countersign.event";
        self.at.sql.query_one(last, &[]).await.unwrap().get(0)
    }

    /// Every row of every table.
    async fn rows(&self) -> HashMap<String, String> {
        let tables = "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables \
                      WHERE schemaname IN ('public', 'auth', 'countersign')";
        let mut all = HashMap::new();
        for table in self.at.sql.query(tables, &[]).await.unwrap() {
            let table: String = table.get(0);
            let rows = format!(
                "SELECT coalesce(string_agg(t::text, '; ' ORDER BY t::text), '') FROM {table} t"
            );
            all.insert(
                table,
                self.at.sql.query_one(&rows, &[]).await.unwrap().get(0),
            );
        }
        all
    }
}

impl Scene<'_> {
    async fn names(&self) -> HashMap<String, String> {
        let mut names: HashMap<String, String> = [
            (&self.issuer.id, "issuer"),
            (&self.stage.revoker.id, "revoker"),
            (&self.stage.at.admin().id, "admin"),
            (&self.subject, "subject"),
            (&self.login.session_id, "login"),
            (&self.login.token_id, "login's"),
            (&self.other.session_id, "other"),
            (&self.stranger, "stranger"),
        ]
        .map(|(id, name)| (id.clone(), name.to_owned()))
        .into();
        let secrets = "SELECT secret_id::text FROM countersign.client_secret \
                       WHERE client_id = $1 ORDER BY created_at";
        let client = Uuid::parse_str(&self.issuer.id).unwrap();
        for (n, row) in self
            .stage
            .at
            .sql
            .query(secrets, &[&client])
            .await
            .unwrap()
            .iter()
            .enumerate()
        {
            names.insert(row.get(0), format!("secret{n}"));
        }
        names
    }
}

/// What the events of a path tell, once it was gone; every one bears the id of its call.
async fn told(scene: &Scene<'_>, path: &Path) -> Vec<String> {
    let stage = scene.stage;
    let before = stage.last_event().await;
    let answered = (path.go)(scene).await;
    let news = stage.audit.news(&stage.at).await;
    let expected = path.refused.map_or(Ok(()), |reason| Err(reason.to_owned()));
    assert_eq!(
        answered.map_err(|refused| refused.reason),
        expected,
        "{}",
        path.name
    );
    let call = match (path.by_call, news.as_slice()) {
        (true, [record]) => Some(record["call"].as_str().unwrap().to_owned()),
        (false, []) => None,
        (_, other) => panic!("{}: {other:?}", path.name),
    };
    let events = stage.events(before, scene).await;
    for (event, request) in &events {
        assert_eq!(*request, call, "{}: {event}", path.name);
    }
    events.into_iter().map(|(event, _)| event).collect()
}

#[tokio::test]
async fn every_path_that_ends_a_token_writes_its_events() {
    let stage = Stage::set().await;
    for path in PATHS {
        let scene = stage.scene().await;
        (path.before)(&scene).await;
        stage.audit.news(&stage.at).await;
        assert_eq!(told(&scene, path).await, path.tells, "{}", path.name);
    }
}

#[tokio::test]
async fn a_repeat_that_ends_nothing_writes_nothing() {
    let stage = Stage::set().await;
    for path in PATHS {
        let scene = stage.scene().await;
        (path.before)(&scene).await;
        stage.audit.news(&stage.at).await;
        told(&scene, path).await;
        let before = stage.last_event().await;
        let again = (path.go)(&scene).await;
        stage.audit.news(&stage.at).await;
        let refused = again.err().map(|refused| refused.reason);
        assert_eq!(refused.as_deref(), path.again.0, "{}", path.name);
        let events = stage.events(before, &scene).await;
        let events: Vec<_> = events.into_iter().map(|(event, _)| event).collect();
        assert_eq!(events, path.again.1, "{}", path.name);
    }
}

#[tokio::test]
async fn what_cannot_be_told_does_not_happen() {
    let stage = Stage::set().await;
    let role = &stage.at.database.serving_role;
    for path in PATHS.iter().filter(|path| !path.tells.is_empty()) {
        let scene = stage.scene().await;
        (path.before)(&scene).await;
        stage.audit.news(&stage.at).await;
        // The constraint stops an operator with database rights too.
        let (stop, go) = (
            format!(
                "REVOKE INSERT ON countersign.event FROM {role}; \
                 ALTER TABLE countersign.event ADD CONSTRAINT full_up CHECK (false) NOT VALID"
            ),
            format!(
                "GRANT INSERT ON countersign.event TO {role}; \
                 ALTER TABLE countersign.event DROP CONSTRAINT full_up"
            ),
        );
        stage.at.sql.batch_execute(&stop).await.unwrap();
        let before = stage.rows().await;
        let refused = (path.go)(&scene).await.unwrap_err();
        let after = stage.rows().await;
        stage.at.sql.batch_execute(&go).await.unwrap();
        assert_eq!(
            (refused.code, refused.reason.as_str()),
            (Code::Internal, "INTERNAL"),
            "{}",
            path.name
        );
        for (table, rows) in before {
            assert_eq!(rows, after[&table], "{}: {table}", path.name);
        }
        stage.audit.news(&stage.at).await;
        assert_eq!(
            told(&scene, path).await,
            path.tells,
            "{}, once it can be told",
            path.name
        );
    }
}

/// The refusal of a call that is none: the store's failure, as the edge would answer it.
fn failed() -> Refused {
    Refused {
        code: Code::Internal,
        reason: "INTERNAL".into(),
        fields: Vec::new(),
        retry: false,
        check: String::new(),
        nonce: None,
    }
}
