//! What every call passes on its way in and out.

mod call;
mod credentials;
mod forwarded;
mod limits;
mod panics;
mod spans;

pub use call::CallService;
pub(super) use call::Edge;
pub(super) use limits::Limits;
pub use limits::Rates;

use std::time::Duration;

/// The server's own deadlines; a caller's shorter one holds.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// Of every call but the next two; streams have none.
    pub call: Duration,
    /// Of `RotateRefresh`: short, since its grace window counts on it.
    pub rotation: Duration,
    /// Of Envoy's Check: far below the time that Envoy waits.
    pub check: Duration,
}
