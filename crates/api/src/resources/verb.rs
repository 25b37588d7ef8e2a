//! What is done to records.

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Lists records.
    List,
    /// Makes one.
    Create,
    /// Reads one.
    Get,
    /// Changes one.
    Update,
    /// Deletes one.
    Delete,
    /// Counts records by time.
    Count,
    /// Does to one what is declared under this name.
    Act(&'static str),
}
