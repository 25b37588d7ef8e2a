//! A struct as the values of its fields.

/// What can be made of the values of its fields, in the order in which they stand. Derived by
/// `gatepost_macros::Fields`, so that whoever keeps such values need not name the fields again.
pub trait Fields: Sized {
    /// The values, as a tuple.
    type Values;
    /// The names of the fields.
    const NAMES: &'static [&'static str];

    /// The struct that has these values.
    fn of(values: Self::Values) -> Self;
}
