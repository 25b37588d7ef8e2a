//! Who is let in: forward auth, and the verification of keys for others.

mod auth_query;
mod early;
mod verification;
mod verification_wire;

use crate::operation::Operation;

pub use early::ForwardAuthGate;

/// The operations.
pub const OPERATIONS: &[Operation] = &[verification::FORWARD_AUTH_OPERATION, verification::VERIFY_API_KEY];
