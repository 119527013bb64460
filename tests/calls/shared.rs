//! Rows of the tables that we share with other systems, while one of those holds them: it holds
//! up the calls that need these rows, and no others of their batches.

use crate::support::server::{Caller, Deployment};
use countersign::proto::v1::{IssueTokenRequest, Role};
use futures_util::future::BoxFuture;
use std::time::Duration;
use uuid::Uuid;

/// Long enough for anything that is not held, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(20);

/// One place in the database for each kind of call, and no end to waiting there.
const SETTINGS: [(&str, &str); 7] = [
    ("COUNTERSIGN_BATCH_IN_FLIGHT", "1"),
    ("COUNTERSIGN_BATCH_MAX_WAIT", "60s"),
    ("COUNTERSIGN_CALLS_DEADLINE", "60s"),
    ("COUNTERSIGN_DATABASE_LOCK_TIMEOUT", "60s"),
    ("COUNTERSIGN_DATABASE_STATEMENT_TIMEOUT", "60s"),
    ("COUNTERSIGN_ROTATION_DEADLINE", "40s"),
    ("COUNTERSIGN_ROTATION_GRACE", "120s"),
];

struct Scene {
    at: Deployment,
    /// Two clients, whose tokens are decided on what was read before.
    clients: [Caller; 2],
    /// Two users with a session of the first client each.
    users: [String; 2],
    tokens: [String; 2],
}

impl Scene {
    async fn start() -> Self {
        let at = Deployment::start_with(1, &SETTINGS).await;
        let clients = [
            at.client(&[Role::Issuer]).await,
            at.client(&[Role::Issuer]).await,
        ];
        let users = [at.user().await, at.user().await];
        let mut tokens = [String::new(), String::new()];
        for (token, user) in tokens.iter_mut().zip(&users) {
            *token = clients[0].open(user).await.refresh_token;
        }
        for client in clients.iter().cycle().take(4) {
            client.issue(IssueTokenRequest::default()).await.unwrap();
        }
        Self {
            at,
            clients,
            users,
            tokens,
        }
    }

    /// These calls wait for the row; others go on beside them, and they when it is free.
    async fn waits(&self, lock: &str, key: &str, stuck: Vec<BoxFuture<'static, ()>>) {
        let mut other = self.at.database.client().await;
        let held = other.transaction().await.unwrap();
        let key = Uuid::parse_str(key).unwrap();
        held.query_one(lock, &[&key]).await.unwrap();
        let stuck: Vec<_> = stuck.into_iter().map(tokio::spawn).collect();
        let others = async {
            let mut token = self.tokens[1].clone();
            // So often that the calls that wait are in the database long before the last.
            for _ in 0..20 {
                self.clients[0].open(&self.users[1]).await;
                token = self.clients[0].rotate(&token).await.unwrap().refresh_token;
                let own = IssueTokenRequest::default();
                self.clients[0].issue(own).await.unwrap();
            }
        };
        let others = tokio::time::timeout(PATIENCE, others).await;
        others.expect("they need nothing of what is held");
        assert!(stuck.iter().all(|call| !call.is_finished()));
        held.rollback().await.unwrap();
        for call in stuck {
            tokio::time::timeout(PATIENCE, call).await.unwrap().unwrap();
        }
    }

    fn opens(&self) -> BoxFuture<'static, ()> {
        let (client, user) = (self.clients[0].clone(), self.users[0].clone());
        Box::pin(async move { drop(client.open(&user).await) })
    }

    fn rotates(&self) -> BoxFuture<'static, ()> {
        let (client, token) = (self.clients[0].clone(), self.tokens[0].clone());
        Box::pin(async move { drop(client.rotate(&token).await.unwrap()) })
    }

    fn issues(&self) -> BoxFuture<'static, ()> {
        let client = self.clients[1].clone();
        Box::pin(async move { drop(client.issue(IssueTokenRequest::default()).await.unwrap()) })
    }
}

#[tokio::test]
async fn a_user_that_another_system_holds_holds_up_nobody_else() {
    let scene = Scene::start().await;
    let lock = "SELECT FROM public.users WHERE id = $1 FOR UPDATE";
    let stuck = vec![scene.opens(), scene.rotates()];
    scene.waits(lock, &scene.users[0], stuck).await;
}

#[tokio::test]
async fn the_integer_of_a_user_that_another_system_holds_holds_up_nobody_else() {
    let scene = Scene::start().await;
    let lock = r#"SELECT FROM auth."user" WHERE sub = $1 FOR UPDATE"#;
    scene
        .waits(lock, &scene.users[0], vec![scene.opens()])
        .await;
}

#[tokio::test]
async fn a_client_that_another_system_holds_holds_up_nobody_else() {
    let scene = Scene::start().await;
    let lock = "SELECT FROM public.oauth_clients WHERE id = $1 FOR UPDATE";
    let other = scene.clients[1].id.clone();
    scene.waits(lock, &other, vec![scene.issues()]).await;
}
