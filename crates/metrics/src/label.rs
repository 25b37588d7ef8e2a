//! Labels whose values are known.

/// The values of a label, or the pairs of two.
pub trait Labels: Copy + 'static {
    /// How many there are.
    const COUNT: usize;

    /// The place of this one, below [`Labels::COUNT`].
    fn index(self) -> usize;

    /// All of them, in their order.
    fn all() -> impl Iterator<Item = Self>;

    /// The name and the value of each label of the one in this place.
    fn pairs(index: usize) -> Vec<(&'static str, &'static str)>;
}

/// One label.
pub trait Label: Labels {
    /// The value.
    fn as_str(self) -> &'static str;
}

impl<A: Labels, B: Labels> Labels for (A, B) {
    const COUNT: usize = A::COUNT * B::COUNT;

    fn index(self) -> usize {
        self.0.index() * B::COUNT + self.1.index()
    }

    fn all() -> impl Iterator<Item = Self> {
        A::all().flat_map(|a| B::all().map(move |b| (a, b)))
    }

    fn pairs(index: usize) -> Vec<(&'static str, &'static str)> {
        let mut pairs = A::pairs(index / B::COUNT);
        pairs.extend(B::pairs(index % B::COUNT));
        pairs
    }
}

/// Declares a label by its name and its values.
///
/// ```
/// gatepost_metrics::label! {
///     /// How an attempt ended.
///     pub enum Outcome("outcome") {
///         /// The endpoint took it.
///         Success = "success",
///         /// It did not.
///         Failed = "failed",
///     }
/// }
/// ```
#[macro_export]
macro_rules! label {
    ($(#[$about:meta])* $visible:vis enum $Name:ident($label:literal) {
        $($(#[$about_value:meta])* $Value:ident = $value:literal,)+
    }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        $visible enum $Name {
            $($(#[$about_value])* $Value,)+
        }

        impl $Name {
            const VALUES: &'static [&'static str] = &[$($value),+];
        }

        impl $crate::Label for $Name {
            fn as_str(self) -> &'static str {
                Self::VALUES[self as usize]
            }
        }

        impl $crate::Labels for $Name {
            const COUNT: usize = Self::VALUES.len();

            fn index(self) -> usize {
                self as usize
            }

            fn all() -> impl Iterator<Item = Self> {
                [$(Self::$Value),+].into_iter()
            }

            fn pairs(index: usize) -> Vec<(&'static str, &'static str)> {
                vec![($label, Self::VALUES[index])]
            }
        }
    };
}
