//! The operations: one file for each resource, one short function for each operation.

pub mod analytics;
pub mod api_keys;
pub mod audit_log;
pub mod entitlements;
pub mod events;
pub mod mcp;
pub mod mcp_endpoint;
pub mod pixel;
pub mod probes;
pub mod seo;
pub mod verification;
pub mod webhooks;
pub mod workspaces;
