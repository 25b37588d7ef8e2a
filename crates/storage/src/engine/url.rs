//! Which database: `sqlite://PATH` or `postgres://…`.

use std::{fmt, net::IpAddr, path::PathBuf, str::FromStr};

use gatepost_kernel::{Cause, Secret, chain};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use tokio_postgres::{Config, config::Host};

use crate::StorageError;

/// The parameters of an address that mean something here.
const PARAMETERS: [&str; 19] = [
    "application_name",
    "channel_binding",
    "connect_timeout",
    "dbname",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "load_balance_hosts",
    "options",
    "password",
    "port",
    "sslmode",
    "sslnegotiation",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
];

/// What hosters put into the addresses that they give out, for other programs; it is passed over.
const FOREIGN_PARAMETERS: [&str; 7] = [
    "connection_limit",
    "pgbouncer",
    "pool_timeout",
    "schema",
    "socket_timeout",
    "statement_cache_size",
    "supa",
];

/// A database's address. `Debug` and `Display` leave out what could be a password.
#[derive(Clone, Debug)]
pub enum DatabaseUrl {
    /// A file, made if it is not there.
    Sqlite(PathBuf),
    /// A server's URL, with its password.
    Postgres(Secret),
}

/// `[database]`: Where everything is stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DatabaseSettings {
    /// The database: `sqlite://PATH` or `postgres://USER:PASSWORD@HOST/NAME`.
    #[serde(serialize_with = "without_password", deserialize_with = "url")]
    pub url: Secret,
}

impl Default for DatabaseSettings {
    fn default() -> Self {
        Self { url: Secret::new("sqlite://gatepost.db".to_owned()) }
    }
}

fn url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    let url = Secret::new(String::deserialize(deserializer)?);
    match url.expose().parse::<DatabaseUrl>() {
        Ok(_) => Ok(url),
        Err(error) => Err(D::Error::custom(chain(&error))),
    }
}

fn without_password<S: Serializer>(url: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    match url.expose().parse::<DatabaseUrl>() {
        // As it was written: a path may begin where the server runs.
        Ok(DatabaseUrl::Sqlite(_)) => serializer.serialize_str(url.expose()),
        Ok(url @ DatabaseUrl::Postgres(_)) => serializer.collect_str(&url),
        Err(_) => serializer.serialize_str("…"),
    }
}

impl FromStr for DatabaseUrl {
    type Err = StorageError;

    fn from_str(url: &str) -> Result<Self, StorageError> {
        let wrong = |message: &str| {
            StorageError::Configuration(Cause::new(format!(
                "{message}; expected sqlite://PATH or postgres://USER:PASSWORD@HOST/NAME"
            )))
        };
        if let Some(path) = url.strip_prefix("sqlite://") {
            return match path {
                "" => Err(wrong("the database URL names no file")),
                _ if path.contains(":memory:") => {
                    Err(wrong("an in-memory database cannot be shared by connections"))
                }
                _ if path.contains('?') => Err(wrong("a sqlite:// URL takes no parameters")),
                // Whole from here on, so that every message says where the file is.
                _ => Ok(Self::Sqlite(std::path::absolute(path).unwrap_or_else(|_| path.into()))),
            };
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let url = Secret::new(without_foreign_parameters(url)?);
            if let Err(error) = url.expose().parse::<Config>() {
                return Err(StorageError::Configuration(Cause::by("the database URL cannot be read", error)));
            }
            return Ok(Self::Postgres(url));
        }
        Err(wrong("the scheme of the database URL is unknown"))
    }
}

impl DatabaseUrl {
    /// Whether what is said to the database can leave this machine. It is said without TLS.
    pub fn crosses_a_network(&self) -> bool {
        let Self::Postgres(url) = self else { return false };
        let Ok(config) = url.expose().parse::<Config>() else { return false };
        let is_here = |host: &Host| match host {
            Host::Tcp(name) => match name.parse::<IpAddr>() {
                Ok(address) => address.is_loopback(),
                Err(_) => name == "localhost" || name.ends_with(".localhost"),
            },
            #[cfg(unix)]
            Host::Unix(_) => true,
        };
        // Where both are given, the address is what is connected to.
        match config.get_hostaddrs() {
            [] => !config.get_hosts().iter().all(is_here),
            addresses => !addresses.iter().all(IpAddr::is_loopback),
        }
    }
}

/// The address of a PostgreSQL without what is for other programs.
fn without_foreign_parameters(url: &str) -> Result<String, StorageError> {
    let Some((address, parameters)) = url.split_once('?') else { return Ok(url.to_owned()) };
    let mut kept = Vec::new();
    for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
        let name = parameter.split('=').next().unwrap_or_default();
        if PARAMETERS.contains(&name) {
            kept.push(parameter);
        } else if !FOREIGN_PARAMETERS.contains(&name) {
            return Err(StorageError::Configuration(Cause::new(format!(
                "the parameter {name:?} of the database URL is not known; known are {}",
                PARAMETERS.join(", ")
            ))));
        }
    }
    Ok(if kept.is_empty() { address.to_owned() } else { format!("{address}?{}", kept.join("&")) })
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Self::Postgres(url) => {
                let (scheme, rest) = url.expose().split_once("://").unwrap_or(("postgres", ""));
                let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
                write!(f, "{scheme}://{}", host.split('?').next().unwrap_or_default())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use gatepost_kernel::chain;

    use super::*;

    #[test]
    fn unknown_schemes_are_refused_and_passwords_are_not_shown() {
        for bad in [
            "gatepost.db",
            "mysql://x",
            "sqlite:gatepost.db",
            "sqlite://",
            "sqlite://:memory:",
            "sqlite://a?mode=ro",
        ] {
            assert!(bad.parse::<DatabaseUrl>().is_err(), "{bad}");
        }
        let url: DatabaseUrl =
            "postgres://me:p%40ss@db:5432/gate?sslmode=disable&password=x".parse().expect("a url");
        assert_eq!(url.to_string(), "postgres://db:5432/gate");
        assert!(!format!("{url:?}").contains("p%40ss"));
        let file: DatabaseUrl = "sqlite://gatepost.db".parse().expect("a url");
        assert!(file.to_string().starts_with("sqlite:///") && file.to_string().ends_with("/gatepost.db"));
    }

    #[test]
    fn parameters_are_known_passed_over_or_named() {
        for (given, kept) in [
            ("postgres://u@h/n?schema=public", "postgres://u@h/n"),
            (
                "postgres://u@h/n?pgbouncer=true&connect_timeout=3&supa=base-pooler.x",
                "postgres://u@h/n?connect_timeout=3",
            ),
            ("postgres://u@h/n?", "postgres://u@h/n"),
        ] {
            let Ok(DatabaseUrl::Postgres(url)) = given.parse() else { panic!("{given}") };
            assert_eq!(url.expose(), kept);
        }
        for (bad, name) in [
            ("postgres://u:hunter2@h/n?sslrootcert=x", "\"sslrootcert\""),
            ("postgres://u:hunter2@h/n?pgbouncer=true&nope=hunter2", "\"nope\""),
            ("postgres://u:hunter2@h/n?connect_timeout=hunter2", "connect_timeout"),
            ("postgres://u:hunter2@h:hunter2/n", "port"),
        ] {
            let error = chain(&bad.parse::<DatabaseUrl>().expect_err(bad)).to_string();
            assert!(error.contains(name) && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn what_leaves_the_machine_is_known() {
        for (url, crosses) in [
            ("sqlite://x.db", false),
            ("postgres://u@localhost/n", false),
            ("postgres://u@127.0.0.9/n", false),
            ("postgres://u@[::1]/n", false),
            ("postgres://u@%2Fvar%2Frun%2Fpostgresql/n", false),
            ("postgres:///n?host=/var/run/postgresql", false),
            ("postgres://u@localhost,db/n", true),
            ("postgres://u@db.example.com/n", true),
            ("postgres://u@10.0.0.1/n", true),
            ("postgres://u@db.example.com/n?hostaddr=127.0.0.1", false),
        ] {
            assert_eq!(url.parse::<DatabaseUrl>().expect(url).crosses_a_network(), crosses, "{url}");
        }
    }
}
