//! MCP both ways: the servers and tools of the operator as operations, and Gatepost as a server of the
//! protocol.

mod endpoint;
mod server;
mod servers;
mod wire;

use crate::operation::Operation;

pub use endpoint::configure as configure_endpoint;
pub use server::{McpEndpoint, endpoint as endpoint_of};

/// The operations.
pub const OPERATIONS: &[Operation] = &[
    servers::LIST_MCP_SERVERS,
    servers::GET_MCP_SERVER,
    servers::LIST_MCP_TOOLS,
    servers::CALL_MCP_TOOL,
    servers::GET_MCP_RESOURCE,
];
