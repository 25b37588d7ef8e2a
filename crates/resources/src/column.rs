//! The columns by whose values records are filtered and sorted.

/// How many columns for texts a record has.
pub const TEXTS: usize = 8;
/// How many columns for numbers.
pub const NUMBERS: usize = 8;

/// A kind of column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// `t1` to `t8`.
    Text,
    /// `n1` to `n8`.
    Number,
}
