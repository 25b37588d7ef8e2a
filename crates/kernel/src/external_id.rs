//! Ids that callers have for things in systems of their own.

use std::{fmt, sync::Arc};

use serde::{Serialize, Serializer};
#[cfg(feature = "json")]
use serde_json::{Value, json};

#[cfg(feature = "json")]
use crate::describe::{Described, Schemas};

/// The id that a thing has in the caller's own system: 1 to 255 visible ASCII characters, so that it can be
/// the value of a header. Cloning is cheap.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ExternalId(Arc<str>);

impl ExternalId {
    /// The most characters.
    pub const MAX_LEN: usize = 255;

    /// Takes a text that can be one.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=Self::MAX_LEN).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        fits.then(|| Self(text.into()))
    }

    /// One that was parsed before it was stored.
    pub fn from_stored(text: String) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ExternalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for ExternalId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(feature = "json")]
impl Described for ExternalId {
    fn schema(_: &mut Schemas) -> Value {
        json!({ "type": "string", "pattern": "^[!-~]+$", "minLength": 1, "maxLength": Self::MAX_LEN })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_in_a_header_is_an_id() {
        for good in ["cust_42", "1", "urn:uuid:6e8bc430", "jo@example.com", &"x".repeat(255)] {
            assert_eq!(ExternalId::parse(good).as_ref().map(ExternalId::as_str), Some(good));
        }
        for bad in ["", " ", "a b", "a\n", "é", "\u{7f}", &"x".repeat(256)] {
            assert_eq!(ExternalId::parse(bad), None, "{bad:?}");
        }
    }
}
