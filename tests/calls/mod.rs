//! The calls, through the real door, on the real database.

mod cutting;
mod held;
mod introspection;
mod issuing;
mod premises;
mod revoking;
mod rotating;
mod shared;
mod whole;
