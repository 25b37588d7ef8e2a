//! `[mcp]` of a configuration file, and the servers that it declares.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use gatepost_kernel::{Environment, Secret, WorkspaceId, settings};
use gatepost_keys::{Scope, ScopeOrder, ScopeRef};
use indexmap::IndexMap;
use serde::{Deserialize, Deserializer, Serialize};

use crate::{Access, ServerConfig, Transport};

/// `[mcp]`: The MCP servers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct McpSettings {
    /// How long a call of a tool may take: `"1s"` to `"10m"`.
    #[serde(
        serialize_with = "settings::duration::serialize",
        deserialize_with = "settings::duration_within::<_, 1, 600>"
    )]
    pub call_timeout: Duration,
    /// The servers, each in a section of its own, `[mcp.servers.NAME]`.
    pub servers: IndexMap<String, McpServerSettings>,
}

impl Default for McpSettings {
    fn default() -> Self {
        Self { call_timeout: Duration::from_secs(30), servers: IndexMap::new() }
    }
}

/// `[mcp.servers.NAME]`: An MCP server, and who may use it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct McpServerSettings {
    /// Name for people. Default: what the server calls itself.
    pub name: Option<String>,
    /// What the server is for. Default: what the server says of itself.
    pub description: Option<String>,
    /// The program to start, a path or a name; it is trusted like Gatepost itself. Either this or `url`.
    pub command: Option<String>,
    /// Arguments that the program is started with.
    pub args: Vec<String>,
    /// Environment variables of the program; beside these it gets `PATH` alone.
    #[serde(with = "settings::secrets")]
    pub env: IndexMap<String, Secret>,
    /// Working directory of the program. Default: the directory of this file.
    pub directory: Option<PathBuf>,
    /// Address of a server over streamable HTTP. Private ones must be in `[egress] allow`. Either this or
    /// `command`.
    pub url: Option<String>,
    /// Headers of every request to the server, such as a token.
    #[serde(with = "settings::secrets")]
    pub headers: IndexMap<String, Secret>,
    /// Only keys of these environments may use the server: `"live"`, `"test"`.
    pub environments: Vec<Environment>,
    /// Only these workspaces may use the server, by id. Default: all.
    #[serde(deserialize_with = "workspace_ids")]
    pub workspaces: Option<Vec<WorkspaceId>>,
    /// Only keys with all of these scopes may use the server.
    pub scopes: Vec<String>,
    /// How long a call of a tool may take, `"1s"` to `"10m"`. Default: that of `[mcp]`.
    #[serde(
        serialize_with = "settings::show_duration_or_none",
        deserialize_with = "settings::duration_within_or_none::<_, 1, 600>"
    )]
    pub call_timeout: Option<Duration>,
}

fn workspace_ids<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<WorkspaceId>>, D::Error> {
    #[derive(Deserialize)]
    struct Id(#[serde(deserialize_with = "settings::positive")] i64);
    let ids = Vec::<Id>::deserialize(deserializer)?;
    Ok(Some(ids.into_iter().map(|Id(id)| WorkspaceId(id)).collect()))
}

impl Default for McpServerSettings {
    fn default() -> Self {
        Self {
            name: None,
            description: None,
            command: None,
            args: Vec::new(),
            env: IndexMap::new(),
            directory: None,
            url: None,
            headers: IndexMap::new(),
            environments: Access::default().environments,
            workspaces: None,
            scopes: Vec::new(),
            call_timeout: None,
        }
    }
}

/// Path of a setting that is wrong, and what is accepted there.
type Fault = (Vec<String>, String);

impl McpSettings {
    /// The servers. Relative paths begin at `directory`; `path` is where programs are looked for.
    ///
    /// # Errors
    /// The path of the first setting that is wrong, and what is missing or too much.
    pub fn servers(
        &self,
        directory: &Path,
        path: Option<&str>,
        scope_order: ScopeOrder,
    ) -> Result<Vec<ServerConfig>, Fault> {
        let server = |(id, server): (&String, &McpServerSettings)| {
            let at = ["mcp", "servers", id].map(str::to_owned).to_vec();
            let scopes = server.scopes.iter().enumerate().map(|(index, scope)| {
                let read = ScopeRef::parse_in(scope_order, scope).map(Scope::from);
                read.map_err(|error| {
                    ([at.as_slice(), &["scopes".to_owned(), index.to_string()]].concat(), error.to_string())
                })
            });
            let scopes = scopes.collect::<Result<Vec<_>, _>>()?;
            let read = server.read(id, directory, path, self.call_timeout, scopes);
            read.map_err(|error| (at, format!("mcp.servers.{id}: {error}")))
        };
        self.servers.iter().map(server).collect()
    }
}

impl McpServerSettings {
    fn read(
        &self,
        id: &str,
        directory: &Path,
        path: Option<&str>,
        usual_timeout: Duration,
        scopes: Vec<Scope>,
    ) -> Result<ServerConfig, &'static str> {
        let sound = id.starts_with(|c: char| c.is_ascii_lowercase())
            && id.len() <= 64
            && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'));
        if !sound {
            return Err("a name begins with a lower-case letter and has up to 64 of those, digits, - and _");
        }
        let pairs = |secrets: &IndexMap<String, Secret>| -> Vec<(String, Secret)> {
            secrets.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
        };
        let of_programs = !self.args.is_empty() || !self.env.is_empty() || self.directory.is_some();
        let transport = match (&self.command, &self.url) {
            (Some(command), None) if self.headers.is_empty() => {
                let mut env = pairs(&self.env);
                if let Some(path) = path.filter(|_| !self.env.contains_key("PATH")) {
                    env.push(("PATH".to_owned(), Secret::new(path.to_owned())));
                }
                let directory = directory.join(self.directory.as_deref().unwrap_or(Path::new("")));
                let directory = std::path::absolute(&directory).unwrap_or(directory);
                Transport::Stdio { command: command.clone(), args: self.args.clone(), env, directory }
            }
            (None, Some(url)) if !of_programs => {
                Transport::Http { url: url.clone(), headers: pairs(&self.headers) }
            }
            (Some(_), None) => return Err("headers are for servers with a url"),
            (None, Some(_)) => return Err("args, env and directory are for servers with a command"),
            _ => return Err("expected either command or url"),
        };
        Ok(ServerConfig {
            id: id.to_owned(),
            name: self.name.clone(),
            description: self.description.clone(),
            transport,
            access: Access {
                environments: self.environments.clone(),
                workspaces: self.workspaces.clone(),
                scopes,
            },
            call_timeout: self.call_timeout.unwrap_or(usual_timeout),
        })
    }
}
