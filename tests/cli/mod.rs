//! The command-line client: the real binary against canned answers, so that what
//! it sends, prints and exits with is seen alone.

mod authority;
pub mod binary;
mod calls;
mod credentials;
mod directory;
mod errors;
mod keys;
mod trial;
