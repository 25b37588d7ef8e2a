//! The bridge to MCP servers: programs on this machine, or servers over HTTP, that offer tools and resources.
//!
//! Which there are is for the operator's file to say, and for nobody else: a program that is started is
//! trusted like this one. Each has a supervisor of its own ([`McpServers::start`]), which makes the
//! connection, makes it anew when it ends, and keeps the last good list of tools meanwhile; so one that is
//! broken costs the others nothing, and a call on it fails at once. What is called is checked against the
//! tool's own schema first, within bounds and aside, since schemas and arguments come from two strangers. Who
//! may call what is not decided here.
//!
//! What servers say is somebody else's: it is read item by item, and what is malformed costs nothing but
//! itself.

mod answer;
mod arguments;
mod ask;
mod client;
mod config;
mod connection;
mod envelope;
mod error;
mod http;
mod known;
mod message;
mod paths;
mod process;
mod registry;
mod schema;
mod server;
mod settings;
mod stdio;
mod supervisor;
mod uri;

pub use answer::{ResourceContent, ToolAnswer};
pub use arguments::{Arguments, Parameter};
pub use config::{Access, ServerConfig, Transport};
pub use envelope::Envelope;
pub use error::{CallOutcome, McpError};
pub use known::{Problem, Tool};
pub use registry::McpServers;
pub use schema::Unchecked;
pub use server::{CallContext, CheckedCall, Server, Status};
pub use settings::{McpServerSettings, McpSettings};
