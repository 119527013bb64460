//! A reader that resumes, in the documented order, misses nothing.

use crate::support::server::{Deployment, answer};
use countersign::{proto::v1, store::statements};
use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio_postgres::Client;
use uuid::Uuid;

/// How long the writers write, at least.
const WRITING: Duration = Duration::from_secs(4);

/// Follows the events from a place on, as the table's comment says.
struct Reader {
    place: (String, i64),
    read: Vec<i64>,
}

impl Reader {
    fn new() -> Self {
        Self {
            place: ("0".into(), 0),
            read: Vec::new(),
        }
    }

    async fn read_on(&mut self, sql: &Client) {
        let next = "SELECT transaction_id::text, id FROM countersign.event \
                    WHERE (transaction_id, id) > ($1::text::xid8, $2) \
                    AND transaction_id < pg_snapshot_xmin(pg_current_snapshot()) \
                    ORDER BY transaction_id, id LIMIT 7";
        for row in sql
            .query(next, &[&self.place.0, &self.place.1])
            .await
            .unwrap()
        {
            self.place = (row.get(0), row.get(1));
            self.read.push(row.get(1));
        }
    }
}

/// Writes one event as the server does, and leaves the transaction open.
async fn begin_event(sql: &Client) -> i64 {
    sql.batch_execute("BEGIN").await.unwrap();
    let (none, no_text) = ([None::<Uuid>], [None::<&str>]);
    let kinds = ["subject_registered"];
    let record = statements::ALL
        .iter()
        .find(|one| one.name == "events/record")
        .unwrap();
    let no_detail: [Option<serde_json::Value>; 1] = [None];
    let written = sql
        .execute(
            record.text,
            &[
                &kinds.as_slice(),
                &no_text.as_slice(),
                &none.as_slice(),
                &none.as_slice(),
                &none.as_slice(),
                &none.as_slice(),
                &none.as_slice(),
                &no_text.as_slice(),
                &no_detail.as_slice(),
            ],
        )
        .await
        .unwrap();
    assert_eq!(written, 1);
    let mine = "SELECT id FROM countersign.event WHERE transaction_id = pg_current_xact_id()";
    sql.query_one(mine, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn a_row_that_becomes_visible_after_a_later_one_is_not_passed_by() {
    let at = Deployment::start().await;
    let (early, late) = (at.database.client().await, at.database.client().await);
    let mut reader = Reader::new();
    let first = begin_event(&early).await;
    let second = begin_event(&late).await;
    assert!(first < second);
    late.batch_execute("COMMIT").await.unwrap();
    for _ in 0..3 {
        reader.read_on(&at.sql).await;
    }
    assert!(
        !reader.read.contains(&second),
        "it waits for the one before"
    );
    early.batch_execute("COMMIT").await.unwrap();
    // Other tests' transactions hold it up as well.
    let started = Instant::now();
    while reader.read.last() != Some(&second) {
        assert!(
            started.elapsed() < Duration::from_mins(1),
            "{:?}",
            reader.read
        );
        reader.read_on(&at.sql).await;
    }
    assert!(reader.read.ends_with(&[first, second]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reader_that_resumes_misses_nothing_while_writers_commit_out_of_order() {
    let at = Deployment::start_with(2, &[]).await;
    let over = Arc::new(AtomicBool::new(false));
    let passes = Arc::new(AtomicUsize::new(0));
    let mut writers = tokio::task::JoinSet::new();
    for n in 0..4 {
        let admin = at.at(n % 2, &at.admin());
        let over = Arc::clone(&over);
        writers.spawn(async move {
            while !over.load(Relaxed) {
                let request = admin.request(v1::RegisterUserRequest::default());
                answer(admin.directory().register_user(request).await).unwrap();
            }
        });
    }
    for _ in 0..2 {
        // Two transactions that commit in the other order, again and again.
        let one = at.database.client().await;
        let other = at.database.client().await;
        let (passes, over) = (Arc::clone(&passes), Arc::clone(&over));
        writers.spawn(async move {
            while !over.load(Relaxed) {
                begin_event(&one).await;
                begin_event(&other).await;
                other.batch_execute("COMMIT").await.unwrap();
                // The reader reads between the two.
                let enough = passes.load(Relaxed) + 2;
                while passes.load(Relaxed) < enough && !over.load(Relaxed) {
                    tokio::task::yield_now().await;
                }
                one.batch_execute("COMMIT").await.unwrap();
            }
        });
    }
    let mut reader = Reader::new();
    let mut newest = 0;
    let mut passed_by = HashSet::new();
    let started = Instant::now();
    while started.elapsed() < WRITING || passed_by.len() < 20 {
        let patience = started.elapsed() < Duration::from_mins(1);
        assert!(patience, "nobody commits out of order");
        reader.read_on(&at.sql).await;
        // What a reader by id alone would not have seen.
        let seen = "SELECT id FROM countersign.event WHERE id > $1 ORDER BY id DESC LIMIT 1";
        if let Some(row) = at.sql.query_opt(seen, &[&newest]).await.unwrap() {
            let last: i64 = row.get(0);
            let all = "SELECT id FROM countersign.event WHERE id > $1 AND id <= $2";
            let found = at.sql.query(all, &[&newest, &last]).await.unwrap();
            let found: HashSet<i64> = found.iter().map(|row| row.get(0)).collect();
            passed_by.extend((newest + 1..=last).filter(|id| !found.contains(id)));
            newest = last;
        }
        passes.fetch_add(1, Relaxed);
    }
    over.store(true, Relaxed);
    writers.join_all().await;
    let all = at
        .sql
        .query("SELECT id FROM countersign.event", &[])
        .await
        .unwrap();
    let all: HashSet<i64> = all.iter().map(|row| row.get(0)).collect();
    let started = Instant::now();
    while reader.read.len() < all.len() {
        let patience = started.elapsed() < Duration::from_mins(1);
        assert!(patience, "{} of {} rows", reader.read.len(), all.len());
        reader.read_on(&at.sql).await;
    }
    assert_eq!(reader.read.len(), all.len(), "each row once");
    assert_eq!(reader.read.into_iter().collect::<HashSet<_>>(), all);
    assert!(passed_by.intersection(&all).count() > 0, "they all gave up");
}
