//! The rules, pure: no async, no I/O, no database, no wire.
//!
//! Time and randomness come in as arguments; [`clock`] is the one file that names
//! where they come from.

pub mod caller;
pub mod clock;
pub mod dpop;
pub mod event;
pub mod identity;
pub mod instruments;
pub mod introspection;
pub mod issuance;
pub mod keys;
pub mod limits;
pub mod policy;
pub mod refusal;
pub mod revocation;
pub mod rotation;
pub mod standing;
pub mod terms;
pub mod tokens;
