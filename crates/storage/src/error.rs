//! What can go wrong below the use-cases, sorted by what the caller can do about it.
//!
//! Neither engine's words decide: PostgreSQL speaks the language of its operator. What decides is the state
//! that it sends beside (`SQLSTATE`), and on SQLite, whose messages are constants, the table of them.

use diesel::result::{DatabaseErrorKind, Error as DieselError};
use gatepost_kernel::{Cause, Fate};

use crate::engine::{Fault, fate, postgres_state};

/// The result of a storage operation.
pub type Result<T, E = StorageError> = std::result::Result<T, E>;

/// A failure of the database. Its text is for the log, never for a client.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StorageError {
    /// The database cannot be reached, is full, or does not answer in time. Trying again later can help.
    #[error("database unavailable")]
    Unavailable {
        /// What became of the unit of work.
        fate: Fate,
        /// What went wrong.
        #[source]
        cause: Cause,
    },
    /// A row holds what this program never writes.
    #[error("unreadable row")]
    Corrupt(#[source] Cause),
    /// A statement failed for a reason that trying again will not change.
    #[error("query failed")]
    Query(#[source] Cause),
    /// A value that must be unique is taken; the text names the constraint.
    #[error("duplicate: {0}")]
    Duplicate(String),
    /// The settings do not name a usable database.
    #[error(transparent)]
    Configuration(Cause),
}

impl StorageError {
    /// Nothing can be done now, and nothing was changed.
    pub(crate) fn unavailable(cause: Cause) -> Self {
        Self::Unavailable { fate: Fate::Undone, cause }
    }

    /// The part of a row that nobody can read.
    pub(crate) fn corrupt(what: impl Into<std::borrow::Cow<'static, str>>) -> Self {
        Self::Corrupt(Cause::new(what))
    }
}

impl From<StorageError> for gatepost_kernel::Error {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Unavailable { fate, cause } => Self::Unavailable { fate, cause },
            other => Self::Internal(Cause::by("the database", other)),
        }
    }
}

impl From<DieselError> for StorageError {
    fn from(error: DieselError) -> Self {
        let fate = match &error {
            DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, info) => {
                // SQLite names the column in its message, PostgreSQL the constraint.
                return Self::Duplicate(info.constraint_name().unwrap_or(info.message()).to_owned());
            }
            DieselError::DeserializationError(_) => return Self::Corrupt(Cause::by("a column", error)),
            other => match (postgres_state(), other) {
                (Some(state), _) => state.fate_of_refused(),
                (
                    None,
                    DieselError::BrokenTransactionManager
                    | DieselError::DatabaseError(
                        DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand,
                        _,
                    ),
                ) => Some(fate()),
                (None, other) => Fault::of(other).map(|_| Fate::Undone),
            },
        };
        let cause = Cause::by("a statement was refused", error);
        match fate {
            Some(fate) => Self::Unavailable { fate, cause },
            None => Self::Query(cause),
        }
    }
}
