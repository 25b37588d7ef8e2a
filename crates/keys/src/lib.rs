//! API keys without HTTP or SQL: what a token looks like, what its scopes allow, from where it may be used,
//! and when it ends.
//!
//! A service can use this crate alone: [`Token::parse`] refuses typos without any look-up,
//! [`ScopeSet::allows`] decides on a scope, [`ApiKey::status`] on the key's life.

mod allowlist;
mod key;
pub mod presented;
mod scope;
mod token;

pub use allowlist::{IpAllowlist, normalize_address};
pub use key::{ApiKey, KeyStatus, grace_end};
pub use scope::{SCOPE_PATTERN, Scope, ScopeOrder, ScopeRef, ScopeSet};
pub use token::{PrefixFault, Token, TokenDigest, TokenFormat};
