//! The command line. The names are fixed: other programs rely on them.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{
    Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum, error::ErrorKind,
    parser::ValueSource,
};
use gatepost_kernel::{
    ExternalId, Secret,
    settings::{listen_address, read_duration},
};
use gatepost_people::{Email, Role as MemberRole};

/// API keys, scopes, rate limits, entitlements and signed webhooks in one binary.
#[derive(Debug, Parser)]
#[command(name = "gatepost", version)]
pub struct Cli {
    #[command(flatten)]
    pub global: GlobalArgs,
    #[command(flatten)]
    pub serve: ServeArgs,
    #[command(subcommand)]
    pub command: Option<Command>,
}

impl Cli {
    /// Reads the command line; ends the process with an explanation if it cannot.
    pub fn read() -> Self {
        let matches = Self::command().get_matches();
        // `gatepost` alone takes the flags of `serve`; in front of another command they would be lost.
        if let Some(command) = matches.subcommand_name() {
            for name in ["bind", "redis_url", "roles", "data_dir", "no_migrate"] {
                if matches.value_source(name) == Some(ValueSource::CommandLine) {
                    let flag = name.replace('_', "-");
                    let text = format!("--{flag} belongs behind a command: gatepost {command} --{flag} …");
                    Self::command().error(ErrorKind::ArgumentConflict, text).exit();
                }
            }
        }
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }
}

#[derive(Debug, Clone, Args)]
pub struct GlobalArgs {
    /// The configuration file
    #[arg(long, global = true, value_name = "FILE", env = "GATEPOST_CONFIG")]
    pub config: Option<PathBuf>,
    /// The preset that the configuration is laid over: another face of the platform; `gatepost presets list`
    /// names them
    #[arg(long, global = true, value_name = "NAME", env = "GATEPOST_PRESET")]
    pub preset: Option<String>,
    /// sqlite://PATH or postgres://USER:PASSWORD@HOST/NAME [env: DATABASE_URL or DATABASE_URL_FILE] [default:
    /// sqlite://gatepost.db]
    #[arg(long, global = true, value_name = "URL", value_parser = secret)]
    pub database_url: Option<Secret>,
    /// What to log, e.g. info or gatepost_app=debug,info
    #[arg(long, global = true, value_name = "FILTER", env = "GATEPOST_LOG")]
    pub log: Option<String>,
    /// How lines of the log look [default: text on a terminal, json otherwise]
    #[arg(long, global = true, value_name = "FORMAT", env = "GATEPOST_LOG_FORMAT")]
    pub log_format: Option<LogFormat>,
}

/// How lines of the log look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For machines: an object in each line.
    Json,
    /// For people.
    Text,
}

#[derive(Debug, Clone, Default, Args)]
pub struct ServeArgs {
    /// Where to listen [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS", env = "GATEPOST_BIND", value_parser = listen_address)]
    pub bind: Option<SocketAddr>,
    /// Redis or Valkey, for exact limits on several nodes; not in this version
    #[arg(long, value_name = "URL", value_parser = secret)]
    pub redis_url: Option<Secret>,
    /// Where the file with the first API key goes if stdout is no terminal [default: the working directory]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Stop if the database is not of this version, instead of migrating it
    #[arg(long)]
    pub no_migrate: bool,
    /// What this process does [default: all]
    #[arg(long, value_name = "ROLES", value_delimiter = ',')]
    pub roles: Vec<Role>,
}

/// A URL can hold a password, which nothing should print.
fn secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::new(text.to_owned()))
}

/// A part of the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Answers the API
    Api,
    /// Delivers webhooks
    Delivery,
    /// Cleans up
    Jobs,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server (what `gatepost` alone does)
    Serve(ServeArgs),
    /// Bring the database to this version
    Migrate {
        /// One JSON object instead of lines
        #[arg(long)]
        json: bool,
    },
    /// Check the configuration and the database, and say what to mend
    Doctor {
        #[command(flatten)]
        serve: ServeArgs,
        /// One JSON object instead of lines
        #[arg(long)]
        json: bool,
    },
    /// Ask the server that this configuration starts on this machine whether it can do its work; for
    /// containers and supervisors
    Healthcheck {
        #[command(flatten)]
        serve: ServeArgs,
    },
    /// Print the OpenAPI document
    Openapi {
        /// The version of OpenAPI
        #[arg(long, default_value = "3.1")]
        format: OpenapiFormat,
    },
    /// Show and check what is configured
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Show the presets, each of which gives the platform another face
    #[command(subcommand)]
    Presets(PresetsCommand),
    /// Manage API keys
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Manage workspaces
    #[command(subcommand)]
    Workspaces(WorkspacesCommand),
    /// Manage the people who sign in to the dashboard
    #[command(subcommand)]
    Members(MembersCommand),
    /// Manage stored secrets
    #[command(subcommand)]
    Secrets(SecretsCommand),
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print the default of every setting as JSON, by section
    Defaults,
    /// Read the configuration, and say all that is wrong with it
    Check {
        #[command(flatten)]
        serve: ServeArgs,
        /// One JSON object instead of lines
        #[arg(long)]
        json: bool,
    },
    /// Print every setting that is in force, and where it comes from; secrets are hidden
    Show {
        #[command(flatten)]
        serve: ServeArgs,
        /// One JSON object instead of lines
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum PresetsCommand {
    /// List the presets
    List,
    /// Print a preset, which is a configuration file to start one's own from
    Show {
        /// Name of the preset
        name: String,
    },
    /// Say what a preset would change for a running installation; nothing is written
    Check {
        /// Name of the preset
        name: String,
        /// One JSON object instead of lines
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum SecretsCommand {
    /// Encrypt stored secrets with the first key of GATEPOST_SECRET_KEY: those stored without one, and those
    /// of older keys
    Reseal {
        /// Give endpoints a fresh secret, no headers and no deliveries if no present key decrypts what they
        /// have
        #[arg(long)]
        replace_lost: bool,
        /// One JSON object instead of lines
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum OpenapiFormat {
    #[value(name = "3.1")]
    V31,
    #[value(name = "3.0")]
    V30,
}

#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make a key and print it, this once
    Create {
        /// A label for people
        #[arg(long)]
        name: String,
        /// The workspace that it belongs to
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(i64).range(1..))]
        workspace: i64,
        /// A scope; may be given several times [default: read and write]
        #[arg(long = "scope", value_name = "S")]
        scopes: Vec<String>,
        /// live or test
        #[arg(long, default_value = "live")]
        environment: gatepost_kernel::Environment,
        /// The plan for its limits [default: the workspace's]
        #[arg(long)]
        tier: Option<String>,
        /// How long it works, e.g. 90d [default: for ever]
        #[arg(long, value_name = "DURATION", value_parser = duration)]
        expires_in: Option<Duration>,
        /// Whose it is in your own system: 1 to 255 visible ASCII characters
        #[arg(long, value_name = "ID", value_parser = external_id)]
        external_id: Option<ExternalId>,
        /// One JSON object instead of lines
        #[arg(long)]
        json: bool,
    },
    /// Print a token such as GATEPOST_BOOTSTRAP_KEY takes, without a database
    Generate {
        /// live or test
        #[arg(long, default_value = "live")]
        environment: gatepost_kernel::Environment,
        /// One JSON object instead of lines
        #[arg(long)]
        json: bool,
    },
    /// List the keys that are not revoked
    List {
        /// The workspace that they belong to
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(i64).range(1..))]
        workspace: i64,
        /// One JSON object instead of lines
        #[arg(long)]
        json: bool,
    },
    /// Revoke a key
    Revoke {
        /// Numeric id of the key
        id: i64,
        /// One JSON object instead of lines
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum WorkspacesCommand {
    /// Make a workspace
    Create {
        /// A name for people
        #[arg(long)]
        name: String,
        /// The plan [default: that of new workspaces]
        #[arg(long)]
        tier: Option<String>,
        /// Which of your customers it is in your own system: 1 to 255 visible ASCII characters
        #[arg(long, value_name = "ID", value_parser = external_id)]
        external_id: Option<ExternalId>,
        /// One JSON object instead of lines
        #[arg(long)]
        json: bool,
    },
    /// Give all workspaces and keys that have one plan another
    ReplaceTier {
        /// The plan that they have, which may have left the configuration
        old: String,
        /// The plan that they get
        new: String,
        /// One JSON object instead of lines
        #[arg(long)]
        json: bool,
    },
    /// List the workspaces
    List {
        /// One JSON object instead of lines
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum MembersCommand {
    /// List the members of a workspace
    List {
        /// The workspace that they belong to
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(i64).range(1..))]
        workspace: i64,
        /// One JSON object instead of lines
        #[arg(long)]
        json: bool,
    },
    /// Invite somebody, and print the link for them, this once
    Invite {
        /// The address that they sign in with [default: whoever opens the link enters their own, within an hour]
        #[arg(long, value_name = "ADDRESS", value_parser = email)]
        email: Option<Email>,
        /// What they may do: viewer, developer, admin or owner
        #[arg(long, default_value = "developer", value_parser = role)]
        role: MemberRole,
        /// The same as --role owner
        #[arg(long, conflicts_with = "role")]
        owner: bool,
        /// The workspace that they are invited to
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(i64).range(1..))]
        workspace: i64,
        /// One JSON object instead of lines
        #[arg(long)]
        json: bool,
    },
    /// Keep a member from signing in, in all workspaces, and end their sessions
    Disable {
        /// Numeric id of the member
        id: i64,
        /// One JSON object instead of lines
        #[arg(long)]
        json: bool,
    },
    /// Let a disabled member sign in again
    Enable {
        /// Numeric id of the member
        id: i64,
        /// One JSON object instead of lines
        #[arg(long)]
        json: bool,
    },
    /// Print a link with which a member can choose another password
    ResetLink {
        /// Numeric id of the member
        id: i64,
        /// One JSON object instead of lines
        #[arg(long)]
        json: bool,
    },
}

fn email(text: &str) -> Result<Email, &'static str> {
    Email::parse(text).ok_or("expected an e-mail address")
}

fn role(text: &str) -> Result<MemberRole, String> {
    let known = || format!("expected one of: {}", MemberRole::NAMES.join(", "));
    MemberRole::parse(text).ok_or_else(known)
}

fn external_id(text: &str) -> Result<ExternalId, &'static str> {
    ExternalId::parse(text).ok_or("expected 1 to 255 visible ASCII characters, without blanks")
}

/// Reads a duration such as `90d`.
fn duration(text: &str) -> Result<Duration, &'static str> {
    read_duration(text).ok_or("expected a duration such as 12h or 90d")
}
