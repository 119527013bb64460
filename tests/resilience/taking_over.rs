//! SIGTERM under a load of the four calls, with a second process that takes over.

use super::{
    load::{Caller, Load},
    pause,
};
use crate::support::{process::Process, server::Deployment};
use nix::sys::signal::Signal;
use std::time::{Duration, Instant};
use tonic::transport::Endpoint;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn none_of_the_four_calls_fails_while_a_second_process_takes_over() {
    let at = Deployment::start().await;
    let settings = [
        ("shutdown.pause", "\"500ms\""),
        ("shutdown.drain", "\"50s\""),
    ];
    let mut first = Process::start(&at, &settings).await;
    let second = Process::start(&at, &settings).await;
    let lazy = |address| {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        endpoint.connect_lazy()
    };
    let servers = vec![lazy(first.address), lazy(second.address)];
    let caller = Caller::new(servers, &at.admin().authorization()).await;
    let load = Load::start(&caller, 12);
    let began = Instant::now();
    load.recovers(began).await;
    first.signal(Signal::SIGTERM);
    assert_eq!(first.exit_code().await, 0);
    load.recovers(Instant::now()).await;
    pause(Duration::from_secs(1)).await;
    let outcomes = load.outcomes(began);
    assert!(
        outcomes.keys().all(|(_, code)| code == "Ok"),
        "{outcomes:?}"
    );
    load.end().await;
    assert!(!first.log().contains("still running"), "{}", first.log());
}
