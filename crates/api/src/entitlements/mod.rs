//! Entitlements over HTTP.

mod operations;
pub mod wire;

use crate::operation::Operation;

/// The operations.
pub const OPERATIONS: &[Operation] = &[
    operations::CHECK_ENTITLEMENT,
    operations::RECORD_USAGE,
    operations::CONSUME_ENTITLEMENT,
    operations::RELEASE_ENTITLEMENT,
    operations::SET_USAGE,
    operations::GET_ENTITLEMENT_SUMMARY,
    operations::GET_BILLING,
];
