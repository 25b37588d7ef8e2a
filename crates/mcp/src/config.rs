//! What the operator says about a server.

use std::{path::PathBuf, time::Duration};

use gatepost_kernel::{Environment, Secret, WorkspaceId};
use gatepost_keys::Scope;

/// A server.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// What it is called in paths and scopes: lower-case letters, digits, `_` and `-`.
    pub id: String,
    /// A name for people; what the server calls itself without one.
    pub name: Option<String>,
    /// What it is for; what the server says of itself without one.
    pub description: Option<String>,
    /// How it is reached.
    pub transport: Transport,
    /// Who may use it.
    pub access: Access,
    /// How long a call may take.
    pub call_timeout: Duration,
}

/// How a server is reached.
#[derive(Debug, Clone)]
pub enum Transport {
    /// A program of this machine, started here, that speaks over its standard input and output. No shell is
    /// involved.
    Stdio {
        /// The program: a path, or a name that is looked for in the `PATH` of `env`.
        command: String,
        /// Its arguments.
        args: Vec<String>,
        /// Its whole environment; nothing of this process's own is handed on.
        env: Vec<(String, Secret)>,
        /// Where it runs.
        directory: PathBuf,
    },
    /// A server over HTTP.
    Http {
        /// Its address.
        url: String,
        /// Headers of every request, such as a token of the operator's. A caller's own is never handed on.
        headers: Vec<(String, Secret)>,
    },
}

/// Who may use a server, beside what the scopes for its tools say.
#[derive(Debug, Clone)]
pub struct Access {
    /// Only keys of these environments.
    pub environments: Vec<Environment>,
    /// Only these workspaces; all without it.
    pub workspaces: Option<Vec<WorkspaceId>>,
    /// Only keys with all of these scopes.
    pub scopes: Vec<Scope>,
}

impl Default for Access {
    /// A test key does not reach what is in use, unless the operator says so.
    fn default() -> Self {
        Self { environments: vec![Environment::Live], workspaces: None, scopes: Vec::new() }
    }
}
