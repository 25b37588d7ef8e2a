//! Closed sets of words, as an enumeration that is written as its word and read from it.

/// Declares an enumeration whose values are words on the wire and in the database, in the order in which
/// messages name them. It gets `NAMES`, `as_str`, `parse` and `Serialize`.
///
/// ```
/// gatepost_kernel::words! {
///     /// How large something is.
///     #[derive(Debug, Clone, Copy, PartialEq, Eq)]
///     pub enum Size {
///         /// Not large.
///         Small = "small",
///         /// Not small.
///         Large = "large",
///     }
/// }
///
/// assert_eq!(Size::NAMES, ["small", "large"]);
/// assert_eq!(Size::parse("large"), Some(Size::Large));
/// assert_eq!(Size::parse("huge"), None);
/// assert_eq!(Size::Small.as_str(), "small");
/// ```
#[macro_export]
macro_rules! words {
    (
        $(#[$about:meta])*
        $vis:vis enum $name:ident {
            $($(#[$of_value:meta])* $value:ident = $word:literal),+ $(,)?
        }
        $(described as $schema:literal: $told:literal)?
    ) => {
        $(#[$about])*
        $vis enum $name {
            $($(#[$of_value])* $value),+
        }

        impl $name {
            /// The accepted words, in the order in which messages name them.
            pub const NAMES: [&str; [$($word),+].len()] = [$($word),+];

            /// The word on the wire and in the database.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$value => $word),+
                }
            }

            /// What a word means.
            pub fn parse(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$value),)+
                    _ => None,
                }
            }
        }

        $crate::written_as_word!($name);
        $($crate::described_words!($name, $schema, $told, $name::NAMES);)?
    };
}

/// Nothing is described without JSON.
#[cfg(not(feature = "json"))]
#[doc(hidden)]
#[macro_export]
macro_rules! described_words {
    ($type:ty, $name:literal, $about:literal, $words:expr) => {};
}

/// Lets an enumeration that [`words!`](crate::words) declares be read from its word, where a configuration
/// names it.
#[macro_export]
macro_rules! read_as_word {
    ($name:ident) => {
        impl<'de> $crate::serde::Deserialize<'de> for $name {
            fn deserialize<D: $crate::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let word = <String as $crate::serde::Deserialize>::deserialize(deserializer)?;
                Self::parse(&word).ok_or_else(|| {
                    <D::Error as $crate::serde::de::Error>::custom(format!(
                        "expected one of: {}",
                        Self::NAMES.join(", ")
                    ))
                })
            }
        }
    };
}

/// Lets an enumeration be written as its word, which its `as_str` gives.
#[macro_export]
macro_rules! written_as_word {
    ($name:ident) => {
        impl $crate::serde::Serialize for $name {
            fn serialize<S: $crate::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    };
}
