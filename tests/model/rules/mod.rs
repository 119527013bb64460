//! What the design says of each call.

mod directory;
mod issue;
mod read;
mod revoke;
mod rotate;
