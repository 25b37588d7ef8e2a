//! API keys over HTTP, and how they are used.

mod api_keys;
pub mod api_keys_wire;
mod me;
mod usage_wire;

pub use api_keys::API_KEYS;

use crate::operation::Operation;

/// The operations.
pub const OPERATIONS: &[Operation] = &[
    api_keys::LIST_API_KEYS,
    api_keys::CREATE_API_KEY,
    api_keys::GET_API_KEY,
    api_keys::UPDATE_API_KEY,
    api_keys::REVOKE_API_KEY,
    api_keys::ROTATE_API_KEY,
    api_keys::GET_API_KEY_USAGE,
    me::GET_ME,
];
