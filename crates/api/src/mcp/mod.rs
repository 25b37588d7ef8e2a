//! MCP both ways: the servers and tools of the operator as operations, and Gatepost as a server of the protocol.

mod endpoint;
mod server;
mod servers;
mod wire;

use utoipa_actix_web::service_config::ServiceConfig;

pub use endpoint::configure as configure_endpoint;
pub use server::{McpEndpoint, endpoint as endpoint_of};

/// Registers the operations.
pub fn configure(config: &mut ServiceConfig<'_>) {
    servers::configure(config);
}
