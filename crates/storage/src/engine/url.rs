//! Which database: `sqlite://PATH` or `postgres://…`.

use std::{fmt, path::PathBuf, str::FromStr};

use gatepost_kernel::Secret;

use crate::StorageError;

/// A database's address. `Debug` and `Display` leave out what could be a password.
#[derive(Clone, Debug)]
pub enum DatabaseUrl {
    /// A file, made if it is not there.
    Sqlite(PathBuf),
    /// A server's URL, with its password.
    Postgres(Secret),
}

impl FromStr for DatabaseUrl {
    type Err = StorageError;

    fn from_str(url: &str) -> Result<Self, StorageError> {
        let wrong = |fault: &str| {
            StorageError::Configuration(format!(
                "{fault}; expected sqlite://PATH or postgres://USER:PASSWORD@HOST/NAME"
            ))
        };
        if let Some(path) = url.strip_prefix("sqlite://") {
            return match path {
                "" => Err(wrong("the database URL names no file")),
                _ if path.contains(":memory:") => {
                    Err(wrong("an in-memory database cannot be shared by connections"))
                }
                _ if path.contains('?') => Err(wrong("a sqlite:// URL takes no parameters")),
                _ => Ok(Self::Sqlite(path.into())),
            };
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Ok(Self::Postgres(Secret::new(url.to_owned())));
        }
        Err(wrong("the scheme of the database URL is unknown"))
    }
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
    }
}
