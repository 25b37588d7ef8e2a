//! API keys: their life, and how they are used.

pub mod api_keys;
pub mod usage;
pub mod verification;
