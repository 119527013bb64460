//! The one file that names the system's clock and its random numbers.
//!
//! Whether a token is alive is never judged by this clock, but by the database's;
//! it stamps ids and mint times, which only order indexes.

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// The system's wall clock, UTC.
#[expect(clippy::disallowed_methods, reason = "this is the file that names it")]
pub fn now() -> DateTime<Utc> {
    Utc::now()
}

/// `N` bytes from the operating system's generator.
///
/// # Panics
/// When the operating system has no randomness to give; nothing safe can be
/// minted then.
#[expect(clippy::disallowed_methods, reason = "this is the file that names it")]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system's random numbers");
    bytes
}

/// A `UUIDv7` (RFC 9562 section 5.7), so that inserts stay at an index's right edge.
#[expect(clippy::disallowed_methods, reason = "this is the file that names it")]
pub fn uuid() -> Uuid {
    Uuid::now_v7()
}
