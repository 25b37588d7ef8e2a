//! Who is let in, and who was not: forward auth, the verification of keys for others, and what was refused.

mod auth_query;
mod early;
mod refusals;
mod verification;
mod verification_wire;

use crate::operation::Operation;

pub use early::ForwardAuthGate;

/// The operations.
pub const OPERATIONS: &[Operation] =
    &[verification::FORWARD_AUTH_OPERATION, verification::VERIFY_API_KEY, refusals::LIST_REFUSED_REQUESTS];
