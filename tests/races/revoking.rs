//! Rotate against revoke, and revoke against revoke.

use super::{Both, WAYS, actives, both, times, two_servers};
use countersign::proto::v1::Role;
use futures_util::future::join_all;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// Pairs of calls at once.
const SIDE_BY_SIDE: usize = 128;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_rotation_survives_a_revocation_that_it_races() {
    let at = two_servers().await;
    let pairs = times(10_000);
    let race = Arc::new(Race {
        issuers: both(&at, &at.client(&[Role::Issuer]).await),
        revokers: both(&at, &at.client(&[Role::Revoker]).await),
        left: AtomicUsize::new(pairs),
        rotated: AtomicUsize::new(0),
    });
    let mut runners = Vec::new();
    for _ in 0..SIDE_BY_SIDE {
        let (race, subject) = (Arc::clone(&race), at.user().await);
        runners.push(tokio::spawn(async move {
            while let Ok(left) = race
                .left
                .fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1))
            {
                race.run(&subject, left).await;
            }
        }));
    }
    for runner in runners {
        runner.await.unwrap();
    }
    let rotated = race.rotated.load(Relaxed);
    assert!(
        rotated > pairs / 100 && rotated < pairs - pairs / 100,
        "no race: {rotated} of {pairs} rotations came first"
    );
    let told = "SELECT count(*), count(DISTINCT session_id), \
                       count(*) FILTER (WHERE reason = 'revoked') \
                FROM countersign.event WHERE kind = 'session_ended'";
    let told = at.sql.query_one(told, &[]).await.unwrap();
    let expected = i64::try_from(pairs).unwrap();
    for column in 0..3 {
        assert_eq!(told.get::<_, i64>(column), expected, "one event a session");
    }
    // A revocation that waited for a rotation must see the row that the rotation inserted.
    let alive = "SELECT count(*) FROM auth.refresh_tokens t WHERE NOT t.revoked \
                 AND NOT EXISTS (SELECT FROM auth.refresh_session s WHERE s.jti = t.session_id)";
    let alive: i64 = at.sql.query_one(alive, &[]).await.unwrap().get(0);
    assert_eq!(alive, 0, "ledger rows that outlive their session");
}

struct Race {
    issuers: Both,
    revokers: Both,
    left: AtomicUsize,
    rotated: AtomicUsize,
}

impl Race {
    async fn run(&self, subject: &str, number: usize) {
        let (as_revoker, way) = WAYS[number % WAYS.len()];
        // Apart from the way, so that each way meets each order at each server.
        let turn = number / WAYS.len();
        let (here, there) = (turn % 2, 1 - turn % 2);
        let login = self.issuers[turn / 2 % 2].open(subject).await;
        let target = way(&login, subject);
        let revoker = if as_revoker {
            &self.revokers[there]
        } else {
            &self.issuers[there]
        };
        let rotation = self.issuers[here].rotate(&login.refresh_token);
        let revocation = revoker.revoke(target);
        let (rotated, ended) = if (turn / 4).is_multiple_of(2) {
            tokio::join!(rotation, revocation)
        } else {
            let (ended, rotated) = tokio::join!(revocation, rotation);
            (rotated, ended)
        };
        assert_eq!(ended, 1, "way {}", number % WAYS.len());

        let mut family = vec![login.access_token, login.refresh_token.clone()];
        let mut newest = login.refresh_token;
        match rotated {
            Ok(rotated) => {
                self.rotated.fetch_add(1, Relaxed);
                newest.clone_from(&rotated.refresh_token);
                family.extend([rotated.access_token, rotated.refresh_token]);
            }
            Err(refused) => assert_eq!(refused.reason, "SESSION_REVOKED"),
        }
        let active = actives(&self.issuers[here], family).await;
        assert!(
            !active.contains(&true),
            "{active:?}, way {}",
            number % WAYS.len()
        );
        for issuer in &self.issuers {
            assert_eq!(issuer.refusal(&newest).await, "SESSION_REVOKED");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_revocations_of_one_session_one_ends_it() {
    let at = two_servers().await;
    let issuers = both(&at, &at.client(&[Role::Issuer]).await);
    let revokers = both(&at, &at.client(&[Role::Revoker]).await);
    for round in 0..times(12) {
        // Each way against itself, and then all against all.
        for way in 0..=WAYS.len() {
            let subject = at.user().await;
            let login = issuers[0].open(&subject).await;
            let calls = (0..24).map(|n| {
                let (as_revoker, target) = WAYS[if way < WAYS.len() { way } else { n % way }];
                let callers = if as_revoker { &revokers } else { &issuers };
                callers[(n + round) / 3 % 2].revoke(target(&login, &subject))
            });
            let ended = join_all(calls).await;
            assert_eq!(ended.iter().sum::<u32>(), 1, "way {way}: {ended:?}");
            assert!(!issuers[1].active(&login.access_token).await);
            let session = uuid::Uuid::parse_str(&login.session_id).unwrap();
            let told = "SELECT count(*) FROM countersign.event WHERE session_id = $1";
            let told: i64 = at.sql.query_one(told, &[&session]).await.unwrap().get(0);
            assert_eq!(told, 1, "way {way}");
        }
    }
}
