//! What `countersign bench` asks of the database itself: the same work done without
//! coalescing, one statement or transaction a call; millions of rows by COPY; and what the database
//! tells of itself. Nothing of this serves.

mod baselines;
mod observer;
mod preload;

pub use baselines::{Baselines, NewLogin, NewRow, Step};
pub use observer::Observer;
pub use preload::{Login, Preload, Terms, TokenRow};
