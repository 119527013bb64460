//! Proofs that a library in another language made.

use super::{ORIGIN, ORIGINS};
use crate::{
    foreign::{passes, python},
    support::server::Deployment,
};
use countersign::proto::v1::Role;
use std::env;

#[tokio::test]
async fn a_library_in_another_language_agrees_both_ways() {
    let at = Deployment::start_with(1, &[ORIGINS]).await;
    let issuer = at.client(&[Role::Issuer]).await;
    let subject = at.user().await;
    let stubs = env::var("COUNTERSIGN_TEST_STUBS").expect("tests/run makes the stubs");
    let target = at.targets()[0].replace("http://", "");
    let mut client = python("dpop.py");
    client
        .args([&stubs, &target, ORIGIN, &issuer.id, &subject])
        .env("CLIENT_SECRET", &issuer.secret)
        .env("COUNTERSIGN", env!("CARGO_BIN_EXE_countersign"));
    passes(client).await;
}
