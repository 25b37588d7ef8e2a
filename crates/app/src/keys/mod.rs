//! API keys: their life, how they are used, and why they were refused.

pub mod api_keys;
pub mod refusals;
pub mod usage;
pub mod verification;
