//! Ten times the load that a bounded database can take: goodput stays, and what is refused is
//! refused before the database.

use super::{load::Caller, pause, until_ready};
use crate::{faults::site::Site, support::figures};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tonic::Code;

/// How long each load is measured.
const MEASURED: Duration = Duration::from_secs(6);

#[derive(Default)]
struct Tally {
    good: AtomicUsize,
    shed: AtomicUsize,
    other: AtomicUsize,
    stop: AtomicBool,
}

/// Callers in a closed loop; how many answers there were, and refusals of the overloaded kind, a second.
async fn measure(caller: &Caller, token: &str, callers: usize) -> (usize, usize) {
    let tally = Arc::new(Tally::default());
    let workers: Vec<_> = (0..callers)
        .map(|_| {
            let (caller, token, tally) = (caller.clone(), token.to_owned(), Arc::clone(&tally));
            tokio::spawn(async move {
                while !tally.stop.load(Ordering::Relaxed) {
                    let counted = match caller.introspect(&token).await {
                        Ok(true) => &tally.good,
                        Err(status) if status.code() == Code::ResourceExhausted => {
                            // As long as its RetryInfo says.
                            pause(Duration::from_millis(250)).await;
                            &tally.shed
                        }
                        _ => &tally.other,
                    };
                    counted.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    // Until the queue is as it stays.
    pause(Duration::from_secs(2)).await;
    let read = || {
        let of = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        (of(&tally.good), of(&tally.shed))
    };
    let (began, before) = (Instant::now(), read());
    pause(MEASURED).await;
    let after = read();
    let millis = usize::try_from(began.elapsed().as_millis()).unwrap();
    tally.stop.store(true, Ordering::Relaxed);
    for worker in workers {
        worker.await.unwrap();
    }
    assert_eq!(
        tally.other.load(Ordering::Relaxed),
        0,
        "only answers, and RESOURCE_EXHAUSTED"
    );
    let rate = |count: usize| count * 1000 / millis;
    (rate(after.0 - before.0), rate(after.1 - before.1))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn goodput_stays_at_ten_times_the_load() {
    // Two batches of eight at once, of 200 ms each: eighty calls a second at most.
    let settings = [
        ("COUNTERSIGN_BATCH_MAX_CALLS", "8"),
        ("COUNTERSIGN_BATCH_MAX_WAIT", "1500ms"),
    ];
    let site = Site::start(&[&settings], 0).await;
    let admin = site.admin().await;
    until_ready(&site).await;
    let caller = Caller::new(site.channels(), &admin).await;
    let token = caller.open().await.unwrap().access_token;
    assert!(caller.introspect(&token).await.unwrap());
    site.servers[0].database.slow(Duration::from_millis(200));

    let (best, refused) = measure(&caller, &token, 24).await;
    assert_eq!(refused, 0, "it can take that");
    let (good, shed) = measure(&caller, &token, 240).await;
    let told = format!(
        "best {best} a second; at ten times the callers {good} a second, and {shed} refused\n"
    );
    figures::write("overload", &told);
    println!("{told}");
    assert!(shed > 0, "{told}");
    assert!(good * 10 >= best * 8, "{told}");
}
