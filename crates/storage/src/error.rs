//! What can go wrong below the use-cases, sorted by what the caller can do about it.

use diesel::result::{DatabaseErrorKind, Error as DieselError};

/// The result of a storage operation.
pub type Result<T, E = StorageError> = std::result::Result<T, E>;

/// A failure of the database. Its text is for the log, never for a client.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StorageError {
    /// The database cannot be reached, is full, or does not answer in time. Trying again later can help.
    #[error("database unavailable: {0}")]
    Unavailable(String),
    /// A row holds what this program never writes.
    #[error("unreadable row: {0}")]
    Corrupt(String),
    /// A statement failed for a reason that trying again will not change.
    #[error("query failed: {0}")]
    Query(String),
    /// A value that must be unique is taken; the text names the constraint.
    #[error("duplicate: {0}")]
    Duplicate(String),
    /// The settings do not name a usable database.
    #[error("{0}")]
    Configuration(String),
}

impl From<StorageError> for gatepost_kernel::Error {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Unavailable(context) => Self::Unavailable(context),
            other => Self::Internal(other.to_string()),
        }
    }
}

/// How the engines word a failure that passes by itself. Diesel hands on no error number, so the words have to do.
const PASSING: [&str; 19] = [
    "terminating connection",
    "deadlock detected",
    "the database system is",
    "remaining connection slots",
    "too many clients",
    "canceling statement due to",
    "connection closed",
    "connection reset",
    "broken pipe",
    "server closed the connection",
    "error communicating with the server",
    "could not extend file",
    "no space left on device",
    "database is locked",
    "database or disk is full",
    "disk i/o error",
    "unable to open database file",
    "readonly database",
    "cannot start a transaction",
];

impl From<DieselError> for StorageError {
    fn from(error: DieselError) -> Self {
        let text = error.to_string();
        let lower = text.to_lowercase();
        let passing = match &error {
            DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, info) => {
                // SQLite names the column in its message, PostgreSQL the constraint.
                return Self::Duplicate(info.constraint_name().unwrap_or(info.message()).to_owned());
            }
            DieselError::DatabaseError(kind, _) => matches!(
                kind,
                DatabaseErrorKind::ClosedConnection
                    | DatabaseErrorKind::UnableToSendCommand
                    | DatabaseErrorKind::SerializationFailure
                    | DatabaseErrorKind::ReadOnlyTransaction
            ),
            DieselError::BrokenTransactionManager => true,
            DieselError::DeserializationError(_) => return Self::Corrupt(text),
            _ => false,
        };
        if passing || PASSING.iter().any(|words| lower.contains(words)) {
            Self::Unavailable(text)
        } else {
            Self::Query(text)
        }
    }
}
