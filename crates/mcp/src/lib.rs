//! The bridge to MCP servers: programs on this machine, or servers over HTTP, that offer tools and resources.
//!
//! Which there are is for the operator's file to say, and for nobody else: a program that is started is trusted like this one.
//! Each has a supervisor of its own ([`McpServers::start`]), which makes the connection, makes it anew when it ends, and keeps
//! the last good list of tools meanwhile; so one that is broken costs the others nothing, and a call on it fails at once.
//! What is called is checked against the tool's own schema first. Who may call what is not decided here.

mod answer;
mod arguments;
mod client;
mod config;
mod connection;
mod error;
mod known;
mod process;
mod registry;
mod server;
mod supervisor;
mod uri;

pub use answer::{ResourceContent, ToolAnswer};
pub use arguments::Parameter;
pub use config::{Access, ServerConfig, Transport};
pub use error::McpError;
pub use known::Tool;
pub use registry::McpServers;
pub use server::{CallContext, Server, Status};
