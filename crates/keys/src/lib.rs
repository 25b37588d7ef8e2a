#![doc = include_str!("../README.md")]

mod allowlist;
mod key;
mod metadata;
pub mod presented;
mod scope;
mod token;

pub use allowlist::{IpAllowlist, normalize_address};
pub use key::{ApiKey, KeyStatus, grace_end};
pub use metadata::Metadata;
pub use scope::{SCOPE_PATTERN, Scope, ScopeError, ScopeOrder, ScopeRef, ScopeSet};
pub use token::{PrefixError, Token, TokenDigest, TokenError, TokenFormat};

pub use gatepost_kernel::{
    ApiKeyId, Environment, Error, ExternalId, ItemError, ListErrors, Secret, Timestamp, WorkspaceId, random,
};
