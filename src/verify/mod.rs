//! The proof: many callers at once, a history of what each saw, and a checker that
//! searches it for a broken promise.
//!
//! It knows nothing of the server but the proto, so it proves a deployment as well as a
//! test. What it promises to find is listed at [`ViolationKind`].

pub mod checker;
pub mod history;

pub use checker::{Violation, ViolationKind, check};
