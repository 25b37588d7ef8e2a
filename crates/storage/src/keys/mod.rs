//! Rows of API keys, and of how they are used.

mod api_key_chains;
mod api_keys;
mod usage;

pub use api_key_chains::CountedKey;
pub use api_keys::{API_KEY_SORTS, ApiKeyChanges, ApiKeyFilter, ApiKeyOwner, NewApiKey};
pub use usage::{DayUsage, RequestCounts, UsageDelta};
